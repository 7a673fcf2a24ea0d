//! Pictures, as files named by the hash of their bytes: `blobs/abcdef….jpg`.
//!
//! A file is written under another name in `blobs/new/`, synced, and only then given its own: a file with the name of a
//! hash is whole. Many are synced side by side, because a file system commits what waits together in one go: on ext4 128
//! files of 100 KiB take 25 ms with four threads and 350 ms with one. They lie in one folder, because each folder in which a
//! name is new needs a sync of its own; file systems of today find one name among a million.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::disk::{Disk, Handle};
use super::record::{BlobRef, Sha256Sum, extension};

/// Threads that sync.
const SYNCERS: usize = 8;
/// Files that are open at a time: a process may have 1024, and not all are ours.
const OPEN_FILES: usize = 128;

/// Why a picture can't be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The file system says no.
    #[error("{}: can't {doing}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// Its bytes are not those that were stored.
    #[error("{}: its content has changed since it was stored", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

fn failed(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> BlobError {
    move |source| BlobError::Io { path: path.to_owned(), doing, source }
}

/// The file of a picture below the store's folder.
#[must_use]
pub fn path(blob: &BlobRef) -> PathBuf {
    Path::new("blobs").join(format!("{}.{}", blob.sha256, extension(blob.format)))
}

/// Reads a picture of the store in `dir`, and checks that it is what was stored.
///
/// # Errors
/// [`BlobError`] if it is not there or has changed.
pub fn read(dir: &Path, blob: &BlobRef) -> Result<Bytes, BlobError> {
    let path = dir.join(path(blob));
    let mut bytes = Vec::with_capacity(usize::try_from(blob.bytes.min(64 << 20)).unwrap_or(0));
    File::open(&path)
        .and_then(|file| file.take(blob.bytes.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(failed(&path, "read"))?;
    if bytes.len() as u64 != blob.bytes || Sha256Sum::of(&bytes) != blob.sha256 {
        return Err(BlobError::Changed { path });
    }
    Ok(bytes.into())
}

/// The one writer of a store's pictures.
#[derive(Debug)]
pub(super) struct Blobs {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    count: u64,
}

impl Blobs {
    /// For the store in `dir`. What was being written at the last stop is removed.
    pub(super) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, BlobError> {
        let blobs = Self { disk, dir: dir.to_owned(), count: 0 };
        for folder in [dir.join("blobs"), blobs.new_dir()] {
            blobs.disk.create_dir(&folder).map_err(failed(&folder, "create"))?;
        }
        for (folder, what) in [(dir.to_owned(), "sync"), (dir.join("blobs"), "sync")] {
            blobs.disk.sync_dir(&folder).map_err(failed(&folder, what))?;
        }
        for entry in fs::read_dir(blobs.new_dir()).map_err(failed(&blobs.new_dir(), "list"))? {
            let path = entry.map_err(failed(&blobs.new_dir(), "list"))?.path();
            blobs.disk.remove(&path).map_err(failed(&path, "remove"))?;
        }
        Ok(blobs)
    }

    fn new_dir(&self) -> PathBuf {
        self.dir.join("blobs/new")
    }

    /// Whether the file of a picture is there with its length.
    pub(super) fn holds(&self, blob: &BlobRef) -> bool {
        fs::metadata(self.dir.join(path(blob))).is_ok_and(|file| file.is_file() && file.len() == blob.bytes)
    }

    /// Writes pictures and makes them durable: all, or, after an error, none that matters. What there is under their names
    /// is replaced, for whoever wrote it may have died before its name was durable.
    pub(super) fn write(&mut self, pictures: &[(BlobRef, Bytes)]) -> Result<(), BlobError> {
        pictures.chunks(OPEN_FILES).try_for_each(|pictures| self.write_together(pictures))
    }

    fn write_together(&mut self, pictures: &[(BlobRef, Bytes)]) -> Result<(), BlobError> {
        let mut temporary = Vec::with_capacity(pictures.len());
        let written = self.write_new(pictures, &mut temporary).and_then(|()| self.name(pictures, &temporary));
        if written.is_err() {
            // The room they take may be just what is missing. Those that already have their name are the caller's.
            for (path, _) in temporary {
                let _gone_or_next_time = self.disk.remove(&path);
            }
        }
        written
    }

    fn write_new(
        &mut self,
        pictures: &[(BlobRef, Bytes)],
        temporary: &mut Vec<(PathBuf, Box<dyn Handle>)>,
    ) -> Result<(), BlobError> {
        for (_, bytes) in pictures {
            self.count += 1;
            let path = self.new_dir().join(self.count.to_string());
            let file = self.disk.create(&path).map_err(failed(&path, "create"))?;
            temporary.push((path.clone(), file));
            let Some((_, file)) = temporary.last() else { continue };
            file.write_all_at(bytes, 0).map_err(failed(&path, "write"))?;
        }
        let share = temporary.len().div_ceil(SYNCERS).max(1);
        let sync = |files: &[(PathBuf, Box<dyn Handle>)]| {
            files.iter().try_for_each(|(path, file)| file.sync().map_err(failed(path, "sync")))
        };
        if temporary.len() == 1 {
            return sync(temporary);
        }
        std::thread::scope(|scope| {
            let threads: Vec<_> = temporary.chunks(share).map(|files| scope.spawn(move || sync(files))).collect();
            threads.into_iter().try_for_each(|thread| {
                thread.join().unwrap_or_else(|_| Err(failed(&self.dir, "sync")(io::Error::other("a thread panicked"))))
            })
        })
    }

    fn name(&self, pictures: &[(BlobRef, Bytes)], temporary: &[(PathBuf, Box<dyn Handle>)]) -> Result<(), BlobError> {
        for ((blob, _), (from, _)) in pictures.iter().zip(temporary) {
            let to = self.dir.join(path(blob));
            self.disk.rename(from, &to).map_err(failed(&to, "name"))?;
        }
        let folder = self.dir.join("blobs");
        self.disk.sync_dir(&folder).map_err(failed(&folder, "sync"))
    }

    /// Removes a picture, if it is there. That need not be durable: what comes back is swept away another time.
    pub(super) fn remove(&self, blob: &BlobRef) -> Result<(), BlobError> {
        let path = self.dir.join(path(blob));
        match self.disk.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&path, "remove")(error)),
            _ => Ok(()),
        }
    }

    /// Removes every picture that `wanted` does not want, and says how many bytes that freed.
    pub(super) fn sweep<E: From<BlobError>>(
        &self,
        mut wanted: impl FnMut(&Sha256Sum) -> Result<bool, E>,
    ) -> Result<u64, E> {
        let root = self.dir.join("blobs");
        let mut freed = 0;
        for file in fs::read_dir(&root).map_err(failed(&root, "list"))? {
            let file = file.map_err(failed(&root, "list"))?.path();
            let sum = file.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            // A file that the store did not name is not the store's to remove.
            let Some(sum) = sum else { continue };
            if !wanted(&sum)? {
                freed += fs::metadata(&file).map_or(0, |file| file.len());
                self.disk.remove(&file).map_err(failed(&file, "remove"))?;
            }
        }
        Ok(freed)
    }
}
