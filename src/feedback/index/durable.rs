//! The index on disk, with sled. The only file that names it.
//!
//! What sled 0.34 does that this guards against:
//! - It panics on some damaged files, also long after it was opened. Every call is caught.
//! - After one failed write, every later call fails. It is dropped and opened again (by the store).
//! - Its flush on Linux is `sync_file_range`, which a power cut may still undo, in any order. When it is opened, all rows
//!   are held against a sum that was written with them (`store/open.rs`).

use std::io::ErrorKind;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use super::{Batch, IndexError, Keys, Order, Pairs};

/// How long the last user of the folder in this process may take to let go of it, in steps of [`LET_GO_STEP`].
const LET_GO_STEPS: u32 = 200;
const LET_GO_STEP: Duration = Duration::from_millis(10);

/// In a folder.
#[derive(Debug)]
pub(in crate::feedback) struct DurableKeys(Option<sled::Db>);

impl DurableKeys {
    /// Opens or creates it, with so many bytes for cached pages.
    pub(in crate::feedback) fn open(dir: &Path, cache_bytes: u64) -> Result<Self, IndexError> {
        let mut step = 0;
        loop {
            let opened = guarded(|| {
                sled::Config::new()
                    .path(dir)
                    .cache_capacity(cache_bytes)
                    .mode(sled::Mode::LowSpace)
                    // The store flushes, and hears of it when that fails.
                    .flush_every_ms(None)
                    .open()
            });
            match opened {
                Ok(db) => return Ok(Self(Some(db))),
                // Its own lock: threads of a store that was just closed.
                Err(IndexError::Io(error)) if is_lock(&error) && step < LET_GO_STEPS => {
                    step += 1;
                    std::thread::sleep(LET_GO_STEP);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn with<T>(&self, work: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, IndexError> {
        let db = self.0.as_ref().ok_or_else(|| IndexError::Unusable("closed".to_owned()))?;
        guarded(|| work(db))
    }
}

fn is_lock(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock || error.to_string().contains("could not acquire lock")
}

fn guarded<T>(work: impl FnOnce() -> sled::Result<T>) -> Result<T, IndexError> {
    // What a panic leaves behind in it does not matter: after an error it is only dropped.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(error))) if is_of_the_file_system(&error) => Err(IndexError::Io(error)),
        Ok(Err(error)) => Err(IndexError::Unusable(error.to_string())),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Err(IndexError::Unusable(format!("it panicked: {text}")))
        }
    }
}

/// Not the fault of what is in its files: it would be the same with new ones.
fn is_of_the_file_system(error: &std::io::Error) -> bool {
    is_lock(error)
        || matches!(
            error.kind(),
            ErrorKind::StorageFull
                | ErrorKind::QuotaExceeded
                | ErrorKind::PermissionDenied
                | ErrorKind::ReadOnlyFilesystem
                | ErrorKind::OutOfMemory
        )
        || matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

impl Keys for DurableKeys {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        self.with(|db| Ok(db.get(key)?.map(|value| value.to_vec())))
    }

    fn page(&self, range: Range<Vec<u8>>, order: Order, limit: usize) -> Result<Pairs, IndexError> {
        if range.start >= range.end {
            return Ok(Vec::new());
        }
        self.with(|db| {
            let pairs = db.range(range);
            let owned =
                |pair: sled::Result<(sled::IVec, sled::IVec)>| pair.map(|(key, value)| (key.to_vec(), value.to_vec()));
            match order {
                Order::Ascending => pairs.take(limit).map(owned).collect(),
                Order::Descending => pairs.rev().take(limit).map(owned).collect(),
            }
        })
    }

    fn apply(&self, batch: Batch) -> Result<(), IndexError> {
        self.with(|db| {
            let mut changes = sled::Batch::default();
            for (key, value) in batch {
                match value {
                    Some(value) => changes.insert(key, value),
                    None => changes.remove(key),
                }
            }
            db.apply_batch(changes)
        })
    }

    fn flush(&self) -> Result<(), IndexError> {
        self.with(|db| db.flush().map(|_bytes| ()))
    }
}

impl Drop for DurableKeys {
    fn drop(&mut self) {
        if let Some(db) = self.0.take() {
            let _panicked = catch_unwind(AssertUnwindSafe(move || drop(db)));
        }
    }
}
