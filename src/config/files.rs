//! The files that a configuration names: read within limits, or not at all.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Reads a text of at most `limit` bytes.
///
/// # Errors
/// What the system says; or `FileTooLarge`; or `InvalidData` if it is not UTF-8.
pub(super) fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    // One byte more than allowed tells "too large" from "just fits", also where a file's size is no help (a pipe).
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8 text"))
}

/// Whether the file can be read, without reading it.
///
/// # Errors
/// What the system says, or `InvalidInput` if it is no regular file.
pub(super) fn check(path: &Path) -> io::Result<()> {
    // Asked before opening, which would wait for ever on a pipe that nobody writes to.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    File::open(path).map(drop)
}
