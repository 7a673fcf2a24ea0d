//! `index.mark`: whether the index was closed, and if not, on which boot it was open and how often a process died while
//! opening it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A process that dies so often in a row while it opens the index is killed by it: a damaged length can make it ask for
/// more memory than there is, which can't be caught.
const DEATHS: u32 = 3;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Mark {
    /// The kernel's id of the boot.
    boot: String,
    /// Times that opening began since it last ended.
    opening: u32,
}

/// Notes that the index is being opened, and says why it should not be.
pub(super) fn opening(dir: &Path) -> io::Result<Option<String>> {
    let boot = boot_id();
    let before = read(dir);
    let reason = match &before {
        // Without an id, no boot is like another.
        Some(mark) if mark.boot != boot || boot.is_empty() => Some("the machine stopped while it was open".to_owned()),
        Some(mark) if mark.opening >= DEATHS => Some(format!("{} processes died opening it", mark.opening)),
        _ => None,
    };
    let opening = if reason.is_some() { 0 } else { before.map_or(0, |mark| mark.opening) };
    write(dir, &Mark { boot, opening: opening + 1 })?;
    Ok(reason)
}

/// Notes that the index is open.
pub(super) fn opened(dir: &Path) -> io::Result<()> {
    write(dir, &Mark { boot: boot_id(), opening: 0 })
}

/// Makes a flushed index durable, for its own flush may not be, and notes that it is closed. If that fails, the next
/// opening on this boot is as usual, and after a power cut the index is made again.
pub(super) fn closed(dir: &Path) {
    let sync = || -> io::Result<()> {
        for file in fs::read_dir(dir.join("index"))? {
            let file = file?.path();
            File::open(&file)?.sync_all()?;
        }
        File::open(dir.join("index"))?.sync_all()?;
        fs::remove_file(dir.join("index.mark"))
    };
    let _made_again_if_need_be = sync();
}

fn read(dir: &Path) -> Option<Mark> {
    let mut text = String::new();
    File::open(dir.join("index.mark")).ok()?.take(4096).read_to_string(&mut text).ok()?;
    // What can't be read was being written when the power failed.
    Some(serde_json::from_str(&text).unwrap_or_default())
}

/// In place, in one block: it must also work on a full disk.
fn write(dir: &Path, mark: &Mark) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = dir.join("index.mark");
    let is_new = !path.exists();
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
    let text = serde_json::to_string(mark)?;
    file.write_all(format!("{text:<127}\n").as_bytes())?;
    file.sync_all()?;
    if is_new { File::open(dir)?.sync_all() } else { Ok(()) }
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}
