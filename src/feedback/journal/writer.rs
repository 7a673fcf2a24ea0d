//! Writing: a batch of entries with one sync.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::reader::{Found, Reader};
use super::segment::{self, HEADER, Header};
use super::{BLOCK_HEADER, Damage, JournalError, MAX_PAYLOAD, MAX_SEGMENT, Pointer, Position, Torn, blocks};
use crate::feedback::disk::{Disk, Handle};

/// The one writer of a journal.
#[derive(Debug)]
pub(in crate::feedback) struct Writer {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    store: u64,
    limit: u64,
    file: Box<dyn Handle>,
    /// The end of what is durable, where the next block goes.
    end: Position,
    /// Bytes of the segments before this one.
    sealed_bytes: u64,
    state: State,
}

/// What must be done before the next append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    /// Cut off what a failed append may have left behind the end.
    Cut {
        /// The sync failed. It may be the place on the disk, and a new segment lies elsewhere.
        then_rotate: bool,
    },
    /// Begin the next segment. Once that has been tried, this one must not grow, for the other may already name its end.
    Rotate,
}

/// What was found when a journal was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::feedback) struct Opened {
    pub(in crate::feedback) torn: Option<Torn>,
    /// In the last segment; the others are not read for it.
    pub(in crate::feedback) damage: Vec<Damage>,
}

impl Writer {
    /// Opens the journal in a folder, or begins one there, and cuts off what a stop left unfinished.
    /// Segments end at `limit` bytes, give or take a batch.
    pub(in crate::feedback) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        limit: u64,
    ) -> Result<(Self, Opened), JournalError> {
        let limit = limit.min(MAX_SEGMENT / 2);
        let segments = segment::list(dir)?;
        // From the last segment with a whole header on: mostly the last.
        let mut from = Position::default();
        let mut whole = None;
        for &number in segments.iter().rev() {
            if let Some(header) = segment::header(dir, number)? {
                from = Position { segment: number, offset: HEADER as u64, sequence: header.first_sequence };
                whole = Some(header);
                break;
            }
        }
        let mut opened = Opened::default();
        let mut scan = Reader::new(dir.to_owned()).scan(from)?;
        let mut torn = None;
        for found in &mut scan {
            match found? {
                Found::Entry(..) => {}
                Found::Damage(damage) => opened.damage.push(damage),
                Found::Torn { file, offset, bytes } => torn = Some((file, offset, bytes)),
            }
        }
        let end = scan.position();
        if let Some((file, offset, bytes)) = torn {
            let kept = set_aside(&*disk, dir, &file, offset)?;
            opened.torn = Some(Torn { file, offset, bytes, kept });
        }
        let mut writer = match whole {
            Some(header) if header.segment == end.segment => {
                let path = segment::path(dir, end.segment);
                let file = disk.open(&path).map_err(JournalError::io(&path, "open"))?;
                let length = fs::metadata(&path).map_err(JournalError::io(&path, "look at"))?.len();
                // What is damaged at its end stays there to be looked at.
                let state = if length > end.offset { State::Rotate } else { State::Ready };
                Self { disk, dir: dir.to_owned(), store: header.store, limit, file, end, sealed_bytes: 0, state }
            }
            // No segment at all, or one with a damaged header, to which nothing is added.
            _ => {
                let store = whole.map_or_else(new_store_number, |header| header.store);
                let header =
                    Header { segment: end.segment + 1, store, first_sequence: end.sequence, previous_end: end.offset };
                let file = begin(&*disk, dir, header)?;
                let end = Position { segment: header.segment, offset: HEADER as u64, ..end };
                Self { disk, dir: dir.to_owned(), store, limit, file, end, sealed_bytes: 0, state: State::Ready }
            }
        };
        for segment in segments.into_iter().filter(|segment| *segment < writer.end.segment) {
            let path = segment::path(dir, segment);
            writer.sealed_bytes += fs::metadata(&path).map_err(JournalError::io(&path, "look at"))?.len();
        }
        Ok((writer, opened))
    }

    /// The number that the store was given when it was made.
    pub(in crate::feedback) fn store(&self) -> u64 {
        self.store
    }

    /// The end of what is durable.
    pub(in crate::feedback) fn end(&self) -> Position {
        self.end
    }

    /// The size of all segments, bytes.
    pub(in crate::feedback) fn bytes(&self) -> u64 {
        self.sealed_bytes + self.end.offset
    }

    /// Whether a failed append may have left something that a later opening would take for written.
    pub(in crate::feedback) fn is_uncertain(&self) -> bool {
        matches!(self.state, State::Cut { .. })
    }

    /// Appends a batch and makes it durable: all of it, or, after an error, nothing. It may be called again after an error.
    pub(in crate::feedback) fn append(&mut self, payloads: &[Vec<u8>]) -> Result<Vec<Pointer>, JournalError> {
        if let Some(long) = payloads.iter().find(|payload| payload.len() > MAX_PAYLOAD) {
            return Err(JournalError::TooLong { found: long.len() });
        }
        self.make_ready()?;
        let size: usize = payloads.iter().map(|payload| BLOCK_HEADER + payload.len()).sum();
        if self.end.offset > HEADER as u64 && self.end.offset + size as u64 > self.limit {
            self.state = State::Rotate;
            self.make_ready()?;
        }
        let mut bytes = Vec::with_capacity(size);
        let mut pointers = Vec::with_capacity(payloads.len());
        for (sequence, payload) in (self.end.sequence..).zip(payloads) {
            let offset = self.end.offset + bytes.len() as u64;
            let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
            pointers.push(Pointer { segment: self.end.segment, offset, len, sequence });
            blocks::write_block(&mut bytes, sequence, payload);
        }
        let path = segment::path(&self.dir, self.end.segment);
        if let Err(error) = self.file.write_all_at(&bytes, self.end.offset) {
            self.give_back(false);
            return Err(JournalError::io(&path, "append")(error));
        }
        if let Err(error) = self.file.sync() {
            self.give_back(true);
            return Err(JournalError::io(&path, "sync")(error));
        }
        if let Some(last) = pointers.last() {
            self.end = last.after();
        }
        Ok(pointers)
    }

    /// Tries to undo a failed append at once, so that what could not be written takes no room. If it fails, the next
    /// append tries again.
    fn give_back(&mut self, sync_failed: bool) {
        self.state = State::Cut { then_rotate: sync_failed };
        let _later = self.cut();
    }

    fn cut(&mut self) -> Result<(), JournalError> {
        if let State::Cut { then_rotate } = self.state {
            let path = segment::path(&self.dir, self.end.segment);
            let cut = self.file.set_len(self.end.offset).and_then(|()| self.file.sync());
            cut.map_err(JournalError::io(&path, "cut back"))?;
            self.state = if then_rotate { State::Rotate } else { State::Ready };
        }
        Ok(())
    }

    fn make_ready(&mut self) -> Result<(), JournalError> {
        self.cut()?;
        if self.state == State::Rotate {
            let header = Header {
                segment: self.end.segment + 1,
                store: self.store,
                first_sequence: self.end.sequence,
                previous_end: self.end.offset,
            };
            self.file = begin(&*self.disk, &self.dir, header)?;
            self.sealed_bytes += self.end.offset;
            self.end = Position { segment: header.segment, offset: HEADER as u64, ..self.end };
            self.state = State::Ready;
        }
        Ok(())
    }
}

/// Tells the segments of one store from those of another.
fn new_store_number() -> u64 {
    let [.., a, b, c, d, e, f, g, h] = ulid::Ulid::new().to_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// Makes a segment with nothing but a header.
fn begin(disk: &dyn Disk, dir: &Path, header: Header) -> Result<Box<dyn Handle>, JournalError> {
    let path = segment::path(dir, header.segment);
    let file = disk.create(&path).map_err(JournalError::io(&path, "create"))?;
    let written = file.write_all_at(&header.to_bytes(), 0).and_then(|()| file.sync());
    written.map_err(JournalError::io(&path, "write"))?;
    disk.sync_dir(dir).map_err(JournalError::io(dir, "sync"))?;
    Ok(file)
}

/// Cuts a file, and keeps what was behind the cut in another, whose name it returns. Without room for that, it is gone:
/// better than a daemon that does not start, for nobody was told that it was stored.
fn set_aside(disk: &dyn Disk, dir: &Path, file: &Path, offset: u64) -> Result<Option<PathBuf>, JournalError> {
    let bytes = fs::read(file).map_err(JournalError::io(file, "read"))?;
    let tail = bytes.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
    let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or("segment");
    let kept = dir.join(format!("{name}-{offset}-{}.torn", ulid::Ulid::new()));
    let write = || -> std::io::Result<()> {
        let copy = disk.create(&kept)?;
        copy.write_all_at(tail, 0)?;
        copy.sync()
    };
    let kept = match write() {
        Ok(()) => Some(kept),
        Err(_) => {
            let _there_may_be_none = disk.remove(&kept);
            None
        }
    };
    if offset == 0 {
        disk.remove(file).map_err(JournalError::io(file, "remove"))?;
    } else {
        let handle = disk.open(file).map_err(JournalError::io(file, "open"))?;
        handle.set_len(offset).and_then(|()| handle.sync()).map_err(JournalError::io(file, "cut"))?;
    }
    disk.sync_dir(dir).map_err(JournalError::io(dir, "sync"))?;
    Ok(kept)
}

#[cfg(test)]
mod tests;
