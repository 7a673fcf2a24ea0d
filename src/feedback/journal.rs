//! The journal: every entry that was ever accepted, in order, in files that only grow.
//!
//! A segment `NNNNNNNN.log` is a header, then blocks:
//!
//! ```text
//! header   magic "glncdJNL" · version u32 · segment u32 · store u64 · first sequence u64 · end of the previous segment u64 · crc32
//! block    length of the payload u32 · crc32 over length, sequence and payload · sequence u64 · payload (JSON)
//! ```
//!
//! All numbers are little-endian. Sequences count entries over all segments, which tells how many are missing where bytes
//! are damaged, and makes it safe to look for the next whole block behind the damage: a payload can't be mistaken
//! for a block, for a sequence has zero bytes at its end and JSON text has none anywhere. A header says where the segment
//! before it ends, so that what a failed write may have left there is never read.

mod blocks;
mod reader;
mod segment;
mod writer;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::record::RecordError;

pub use blocks::{Block, Blocks, Piece};
pub(super) use reader::{Found, Reader};
pub(super) use writer::Writer;

/// The longest payload of a block, bytes: against lengths that are garbage. An entry of feedback has about 1 KiB.
pub const MAX_PAYLOAD: usize = 256 << 10;
/// Bytes of a block beside its payload.
const BLOCK_HEADER: usize = 16;
/// A segment is never longer than this, bytes: readers take one into memory.
const MAX_SEGMENT: u64 = 64 << 20;
/// Sequences stay below this: at a million entries a second it lasts for 35 years, and it keeps the top bytes zero.
const MAX_SEQUENCE: u64 = 1 << 50;

/// Where a block lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pointer {
    /// Its segment.
    pub(super) segment: u32,
    /// Its offset there, bytes.
    pub(super) offset: u64,
    /// Its payload's length, bytes.
    pub(super) len: u32,
    /// Its sequence.
    pub(super) sequence: u64,
}

impl Pointer {
    /// The place behind it.
    pub(super) fn after(&self) -> Position {
        let offset = self.offset + BLOCK_HEADER as u64 + u64::from(self.len);
        Position { segment: self.segment, offset, sequence: self.sequence + 1 }
    }
}

/// Where the next block begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) segment: u32,
    pub(super) offset: u64,
    pub(super) sequence: u64,
}

/// Bytes of the journal that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Where it begins, bytes.
    pub offset: u64,
    /// How many bytes.
    pub bytes: u64,
    /// How many entries are missing, as far as their sequences tell.
    pub lost: u64,
}

/// A write that a stop cut short, found when the journal was opened: nobody had been told that it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The file it was cut from.
    pub file: PathBuf,
    /// Where it began, bytes.
    pub offset: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Where the bytes are now; `None` if there was no room to keep them.
    pub kept: Option<PathBuf>,
}

/// Why the journal can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system says no.
    #[error("{}: can't {doing}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// An entry that is whole, but not for this release.
    #[error("{}, offset {offset}", path.display())]
    Record {
        /// The segment.
        path: PathBuf,
        /// Where the block begins, bytes.
        offset: u64,
        /// What is wrong.
        source: RecordError,
    },
    /// A segment in the format of a later release.
    #[error("{}: journal format {found}, this release reads {}: it was written by a newer one", path.display(), segment::VERSION)]
    Version {
        /// The segment.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// A segment of another store.
    #[error("{}: belongs to another store than the segments before it", path.display())]
    Foreign {
        /// The segment.
        path: PathBuf,
    },
    /// No such block where one was said to be.
    #[error("{}, offset {offset}: not the entry with sequence {sequence}", path.display())]
    Mismatch {
        /// The segment.
        path: PathBuf,
        /// The offset, bytes.
        offset: u64,
        /// The sequence it should have.
        sequence: u64,
    },
    /// An entry that is too long to be written.
    #[error("an entry of {found} bytes, {MAX_PAYLOAD} are allowed")]
    TooLong {
        /// Its length, bytes.
        found: usize,
    },
}

impl JournalError {
    fn io(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), doing, source }
    }
}
