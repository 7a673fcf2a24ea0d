//! The few things the store asks of a file system to make something durable. Behind a trait, so that tests can run out
//! of space, fail a sync, or keep only what a power cut would have kept.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

/// Changes to a file system.
pub(super) trait Disk: Debug + Send + Sync {
    /// Makes a folder that only its owner can look into, and says whether it was not there before.
    fn create_dir(&self, path: &Path) -> io::Result<bool>;
    /// Makes an empty file that only its owner can read, in the place of one that may be there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Handle>>;
    /// Opens an existing file to write.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Handle>>;
    /// Gives a file another name, in the place of one that may be there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes names in a folder durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// A file that is being written.
pub(super) trait Handle: Debug + Send + Sync {
    /// Writes all bytes at an offset. After an error, any part of them may be there.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Cuts or extends.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes content and length durable. After an error nothing is known about what was written since the last sync, and
    /// another sync that succeeds does not change that: the kernel reports a lost page once.
    fn sync(&self) -> io::Result<()>;
}

/// The real thing.
#[derive(Clone, Copy, Debug)]
pub(super) struct OsDisk;

impl Disk for OsDisk {
    fn create_dir(&self, path: &Path) -> io::Result<bool> {
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        Ok(Box::new(OpenOptions::new().write(true).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

impl Handle for File {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

#[cfg(test)]
pub(super) mod trial;
