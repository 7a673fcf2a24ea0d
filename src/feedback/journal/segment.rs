//! Segment files: their names, their headers, and what is in one.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{JournalError, MAX_SEGMENT, MAX_SEQUENCE};

const MAGIC: [u8; 8] = *b"glncdJNL";
/// The version of the format.
pub(super) const VERSION: u32 = 1;
/// Bytes of a header.
pub(super) const HEADER: usize = 44;

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) segment: u32,
    /// A number drawn when the store was made: its segments belong together.
    pub(super) store: u64,
    pub(super) first_sequence: u64,
    /// Where the segment before it ends, bytes; 0 if there is none.
    pub(super) previous_end: u64,
}

impl Header {
    pub(super) fn to_bytes(self) -> [u8; HEADER] {
        let mut out = Vec::with_capacity(HEADER);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.segment.to_le_bytes());
        out.extend_from_slice(&self.store.to_le_bytes());
        out.extend_from_slice(&self.first_sequence.to_le_bytes());
        out.extend_from_slice(&self.previous_end.to_le_bytes());
        out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
        let mut bytes = [0; HEADER];
        bytes.copy_from_slice(&out);
        bytes
    }

    /// Reads the header at the start of `bytes`; `None` if there is no whole one.
    ///
    /// # Errors
    /// The version, if it is a whole header of another version.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, u32> {
        let Some(bytes) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if bytes[..8] != MAGIC || u32_at(HEADER - 4) != crc32fast::hash(&bytes[..HEADER - 4]) {
            return Ok(None);
        }
        if u32_at(8) != VERSION {
            return Err(u32_at(8));
        }
        let header =
            Self { segment: u32_at(12), store: u64_at(16), first_sequence: u64_at(24), previous_end: u64_at(32) };
        Ok((header.first_sequence < MAX_SEQUENCE).then_some(header))
    }
}

/// The file of a segment.
pub(super) fn path(dir: &Path, segment: u32) -> PathBuf {
    dir.join(format!("{segment:08}.log"))
}

/// The numbers of the segments in a folder, in order.
pub(super) fn list(dir: &Path) -> Result<Vec<u32>, JournalError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(JournalError::io(dir, "list"))? {
        let name = entry.map_err(JournalError::io(dir, "list"))?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.strip_suffix(".log")) else { continue };
        if let Ok(number) = number.parse() {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The header of a segment; `None` if it is damaged.
pub(super) fn header(dir: &Path, segment: u32) -> Result<Option<Header>, JournalError> {
    let path = path(dir, segment);
    let mut bytes = Vec::with_capacity(HEADER);
    File::open(&path)
        .and_then(|file| file.take(HEADER as u64).read_to_end(&mut bytes))
        .map_err(JournalError::io(&path, "read"))?;
    checked(&path, segment, &bytes)
}

/// The header in the bytes of a segment.
pub(super) fn checked(path: &Path, segment: u32, bytes: &[u8]) -> Result<Option<Header>, JournalError> {
    let header = Header::read(bytes).map_err(|found| JournalError::Version { path: path.to_owned(), found })?;
    // A file under another's name is no better than a damaged one.
    Ok(header.filter(|header| header.segment == segment))
}

/// The bytes of a segment.
pub(super) fn load(dir: &Path, segment: u32) -> Result<Vec<u8>, JournalError> {
    let path = path(dir, segment);
    let read = || -> io::Result<Vec<u8>> {
        let file = File::open(&path)?;
        let mut bytes = Vec::with_capacity(file.metadata()?.len().min(MAX_SEGMENT).try_into().unwrap_or(0));
        file.take(MAX_SEGMENT).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(JournalError::io(&path, "read"))
}
