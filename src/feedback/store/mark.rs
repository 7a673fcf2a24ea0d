//! `index.mark`: how often in a row a process died while it opened the index.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// A process that dies so often in a row while it opens the index is killed by it: a damaged length can make it ask for
/// more memory than there is, which can't be caught.
const DEATHS: u32 = 3;

/// Notes that the index is being opened, and says why it should not be.
pub(super) fn opening(dir: &Path) -> io::Result<Option<String>> {
    let deaths = fs::read_to_string(dir.join("index.mark")).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    if deaths >= DEATHS {
        write(dir, 0)?;
        return Ok(Some(format!("{deaths} processes died opening it")));
    }
    write(dir, deaths + 1)?;
    Ok(None)
}

/// Notes that the index is open.
pub(super) fn opened(dir: &Path) -> io::Result<()> {
    write(dir, 0)
}

/// In place, so that it also works on a full disk. Not synced: a power cut is nobody's death.
fn write(dir: &Path, deaths: u32) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = dir.join("index.mark");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.write_all(format!("{deaths:<9}\n").as_bytes())
}
