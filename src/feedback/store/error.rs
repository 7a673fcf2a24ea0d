//! Why the store says no.

use std::path::PathBuf;

use super::MAX_BATCH;
use crate::feedback::blobs::BlobError;
use crate::feedback::index::IndexError;
use crate::feedback::journal::JournalError;
use crate::feedback::record::RecordError;

/// Why the store can't do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process writes it.
    #[error("{}: in use by {}", dir.display(), holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}")))]
    Locked {
        /// The store.
        dir: PathBuf,
        /// The process, if it says so.
        holder: Option<u32>,
    },
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
    /// The index can't be used at the moment. The store tries again when it is to write or flush.
    #[error("the store's index can't be used at the moment: {reason}")]
    NoIndex {
        /// What it said last.
        reason: String,
        /// That was for lack of room on the disk.
        disk_full: bool,
    },
    /// The index says no.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The journal says no.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A picture says no.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// An entry can't be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// More than [`MAX_BATCH`] items.
    #[error("a batch of {0} items, {MAX_BATCH} are allowed")]
    BatchTooLarge(usize),
}

impl StoreError {
    /// Whether there is no room on the disk (and not just in the store's own limit).
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        if let Self::NoIndex { disk_full, .. } = self {
            return *disk_full;
        }
        let mut error: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(inner) = error {
            if let Some(io) = inner.downcast_ref::<std::io::Error>() {
                return matches!(io.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
            }
            error = inner.source();
        }
        false
    }
}

/// An error and what it comes from, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
