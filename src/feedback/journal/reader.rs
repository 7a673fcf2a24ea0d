//! Reading: one entry where it is known to lie, or all from some place on.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::blocks::{self, Blocks, Piece};
use super::segment::{self, HEADER};
use super::{BLOCK_HEADER, Damage, JournalError, MAX_PAYLOAD, Pointer, Position};
use crate::feedback::record::Entry;

/// Reads a journal, also one that is being written.
#[derive(Debug)]
pub(in crate::feedback) struct Reader {
    dir: PathBuf,
    /// The segment read last: entries that are asked for one after the other mostly lie in the same.
    open: Mutex<Option<(u32, Arc<File>)>>,
}

/// What a scan comes across.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::feedback) enum Found {
    /// An entry.
    Entry(Pointer, Box<Entry>),
    /// Something that can't be read; what follows is.
    Damage(Damage),
    /// The end of the last segment is no whole block. A torn write, or one that is just being made.
    Torn { file: PathBuf, offset: u64, bytes: u64 },
}

impl Reader {
    pub(in crate::feedback) fn new(dir: PathBuf) -> Self {
        Self { dir, open: Mutex::new(None) }
    }

    /// The entry at a place.
    pub(in crate::feedback) fn read(&self, at: &Pointer) -> Result<Entry, JournalError> {
        let path = segment::path(&self.dir, at.segment);
        let len = usize::try_from(at.len).unwrap_or(usize::MAX);
        let mismatch = || JournalError::Mismatch { path: path.clone(), offset: at.offset, sequence: at.sequence };
        if len > MAX_PAYLOAD {
            return Err(mismatch());
        }
        let file = self.segment(at.segment, &path)?;
        let mut bytes = vec![0; BLOCK_HEADER + len];
        file.read_exact_at(&mut bytes, at.offset).map_err(JournalError::io(&path, "read"))?;
        let block = blocks::block_at(&bytes, 0, at.sequence)
            .filter(|block| block.sequence == at.sequence && block.payload.len() == len)
            .ok_or_else(mismatch)?;
        Entry::from_json(block.payload).map_err(|source| JournalError::Record {
            path: path.clone(),
            offset: at.offset,
            source,
        })
    }

    fn segment(&self, number: u32, path: &Path) -> Result<Arc<File>, JournalError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match &*open {
            Some((segment, file)) if *segment == number => Ok(Arc::clone(file)),
            _ => {
                let file = Arc::new(File::open(path).map_err(JournalError::io(path, "open"))?);
                *open = Some((number, Arc::clone(&file)));
                Ok(file)
            }
        }
    }

    /// Everything from a place on; from the beginning with the default place.
    ///
    /// # Errors
    /// If the folder can't be listed.
    pub(in crate::feedback) fn scan(&self, from: Position) -> Result<Scan, JournalError> {
        let segments: Vec<u32> =
            segment::list(&self.dir)?.into_iter().filter(|segment| *segment >= from.segment).collect();
        Ok(Scan { dir: self.dir.clone(), segments, index: 0, next: from, store: None, loaded: None, failed: false })
    }
}

/// A walk through the journal. It ends after the first error.
#[derive(Debug)]
pub(in crate::feedback) struct Scan {
    dir: PathBuf,
    segments: Vec<u32>,
    /// Of the segment to load next.
    index: usize,
    next: Position,
    store: Option<u64>,
    loaded: Option<Loaded>,
    failed: bool,
}

#[derive(Debug)]
struct Loaded {
    path: PathBuf,
    bytes: Vec<u8>,
    /// There is a segment after it: nothing is written to this one any more.
    sealed: bool,
}

impl Scan {
    /// Where it stands: after the last item, the end of what can be read.
    pub(in crate::feedback) fn position(&self) -> Position {
        self.next
    }

    fn advance(&mut self) -> Result<Option<Found>, JournalError> {
        loop {
            if self.loaded.is_none() {
                let Some(&segment) = self.segments.get(self.index) else { return Ok(None) };
                if let Some(found) = self.load(segment)? {
                    return Ok(Some(found));
                }
            }
            if let Some(found) = self.piece()? {
                return Ok(Some(found));
            }
            self.loaded = None;
        }
    }

    /// Takes up the next segment, and tells what is wrong with its beginning, or is missing before it.
    fn load(&mut self, segment: u32) -> Result<Option<Found>, JournalError> {
        let path = segment::path(&self.dir, segment);
        let mut bytes = segment::load(&self.dir, segment)?;
        let header = segment::checked(&path, segment, &bytes)?;
        let following = self.segments.get(self.index + 1).copied();
        if let Some(next) = following
            && next == segment + 1
            && let Some(header) = segment::header(&self.dir, next)?
        {
            // What lies behind the end was never acknowledged: it is what a failed write left.
            bytes.truncate(header.previous_end.try_into().unwrap_or(usize::MAX));
        }
        let before = self.next;
        if header.is_none() && following.is_none() && !Blocks::new(&bytes, 0, before.sequence).any(is_block) {
            // A stop while it was made.
            self.index = self.segments.len();
            return Ok(Some(Found::Torn { file: path, offset: 0, bytes: bytes.len() as u64 }));
        }
        self.index += 1;
        let length = bytes.len().min(HEADER);
        self.loaded = Some(Loaded { path: path.clone(), bytes, sealed: following.is_some() });
        if before.segment == segment && before.offset >= HEADER as u64 {
            // In the middle of it: its beginning has been read another time.
            self.store = self.store.or(header.map(|header| header.store));
            return Ok(None);
        }
        let Some(header) = header else {
            // Its blocks say by themselves where they belong.
            self.next = Position { segment, offset: length as u64, ..before };
            return Ok(Some(Found::Damage(Damage { file: path, offset: 0, bytes: length as u64, lost: 0 })));
        };
        if *self.store.get_or_insert(header.store) != header.store {
            return Err(JournalError::Foreign { path });
        }
        self.next = Position { segment, offset: HEADER as u64, sequence: header.first_sequence };
        // Nothing may be missing between the segments, but for what lies before the oldest there is.
        let lost = header.first_sequence.saturating_sub(before.sequence);
        let first = before == Position::default();
        Ok((lost > 0 && !first).then_some(Found::Damage(Damage { file: path, offset: 0, bytes: 0, lost })))
    }

    fn piece(&mut self) -> Result<Option<Found>, JournalError> {
        let Some(loaded) = &self.loaded else { return Ok(None) };
        let offset = usize::try_from(self.next.offset).unwrap_or(usize::MAX);
        let mut blocks = Blocks::new(&loaded.bytes, offset, self.next.sequence);
        let Some(piece) = blocks.next() else { return Ok(None) };
        let segment = self.next.segment;
        let found = match piece {
            Piece::Block(block) => {
                let entry = Entry::from_json(block.payload).map_err(|source| JournalError::Record {
                    path: loaded.path.clone(),
                    offset: block.offset as u64,
                    source,
                })?;
                let len = u32::try_from(block.payload.len()).unwrap_or(u32::MAX);
                let at = Pointer { segment, offset: block.offset as u64, len, sequence: block.sequence };
                self.next = at.after();
                Found::Entry(at, Box::new(entry))
            }
            Piece::Damage { offset, bytes, lost } => {
                self.next.offset = (offset + bytes) as u64;
                self.next.sequence += lost;
                Found::Damage(Damage { file: loaded.path.clone(), offset: offset as u64, bytes: bytes as u64, lost })
            }
            Piece::Tail { offset } => {
                let bytes = (loaded.bytes.len() - offset) as u64;
                let (file, offset) = (loaded.path.clone(), offset as u64);
                if loaded.sealed {
                    // How many are lost shows at the next segment.
                    self.loaded = None;
                    Found::Damage(Damage { file, offset, bytes, lost: 0 })
                } else {
                    // Not passed over: it may be whole when it is looked at again.
                    self.loaded = None;
                    self.index = self.segments.len();
                    Found::Torn { file, offset, bytes }
                }
            }
        };
        Ok(Some(found))
    }
}

fn is_block(piece: Piece<'_>) -> bool {
    matches!(piece, Piece::Block(_))
}

impl Iterator for Scan {
    type Item = Result<Found, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let found = self.advance();
        self.failed = found.is_err();
        found.transpose()
    }
}
