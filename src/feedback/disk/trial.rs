//! A disk for tests: the real one, but it can run out of room or fail, and it remembers what was done, so that what a
//! power cut would have left of it can be laid out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::{fs, io};

use super::{Disk, Handle, OsDisk};

/// What was done, in order.
#[derive(Clone, Debug)]
pub(in crate::feedback) enum Op {
    CreateDir(PathBuf),
    /// A new, empty file; its number stays with it under every name.
    Create(PathBuf, usize),
    Write(usize, u64, Vec<u8>),
    SetLen(usize, u64),
    Sync(usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    SyncDir(PathBuf),
}

#[derive(Debug, Default)]
struct Inner {
    ops: Vec<Op>,
    names: BTreeMap<PathBuf, usize>,
    files: usize,
    /// Bytes that can still be written.
    room: Option<u64>,
    /// Operations until the next failure.
    fail_in: Option<u32>,
    fail_always: bool,
}

#[derive(Clone, Debug, Default)]
pub(in crate::feedback) struct TrialDisk(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct TrialFile {
    disk: TrialDisk,
    number: usize,
    file: Box<dyn Handle>,
}

impl TrialDisk {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// From now on only so many bytes can be written.
    pub(in crate::feedback) fn set_room(&self, room: Option<u64>) {
        self.lock().room = room;
    }

    /// The operation after so many others fails, as a failing disk would, once.
    pub(in crate::feedback) fn fail_in(&self, operations: u32) {
        self.lock().fail_in = Some(operations);
    }

    /// Every operation fails, until it is said otherwise.
    pub(in crate::feedback) fn fail_always(&self, fail: bool) {
        self.lock().fail_always = fail;
    }

    pub(in crate::feedback) fn heal(&self) {
        let mut inner = self.lock();
        inner.room = None;
        inner.fail_in = None;
    }

    pub(in crate::feedback) fn ops(&self) -> Vec<Op> {
        self.lock().ops.clone()
    }

    fn step(&self) -> io::Result<()> {
        let mut inner = self.lock();
        if inner.fail_always {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        if let Some(left) = inner.fail_in {
            inner.fail_in = left.checked_sub(1);
            if left == 0 {
                return Err(io::Error::from_raw_os_error(libc::EIO));
            }
        }
        Ok(())
    }

    fn file(&self, number: usize, file: Box<dyn Handle>) -> Box<dyn Handle> {
        Box::new(TrialFile { disk: self.clone(), number, file })
    }
}

impl Disk for TrialDisk {
    fn create_dir(&self, path: &Path) -> io::Result<bool> {
        self.step()?;
        let made = OsDisk.create_dir(path)?;
        if made {
            self.lock().ops.push(Op::CreateDir(path.to_owned()));
        }
        Ok(made)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        self.step()?;
        if self.lock().room == Some(0) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let is_new = !path.exists();
        let file = OsDisk.create(path)?;
        let mut inner = self.lock();
        let number = match inner.names.get(path) {
            Some(number) if !is_new => {
                let number = *number;
                inner.ops.push(Op::SetLen(number, 0));
                number
            }
            _ => {
                inner.files += 1;
                let number = inner.files;
                inner.names.insert(path.to_owned(), number);
                inner.ops.push(Op::Create(path.to_owned(), number));
                number
            }
        };
        drop(inner);
        Ok(self.file(number, file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        self.step()?;
        let file = OsDisk.open(path)?;
        let number = self.lock().names[path];
        Ok(self.file(number, file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        OsDisk.rename(from, to)?;
        let mut inner = self.lock();
        if let Some(number) = inner.names.remove(from) {
            inner.names.insert(to.to_owned(), number);
        }
        inner.ops.push(Op::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        OsDisk.remove(path)?;
        let mut inner = self.lock();
        inner.names.remove(path);
        inner.ops.push(Op::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        self.lock().ops.push(Op::SyncDir(path.to_owned()));
        Ok(())
    }
}

impl Handle for TrialFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        // A failing write has written a part.
        let failed = self.disk.step().err();
        let mut inner = self.disk.lock();
        let room = inner.room.map_or(bytes.len(), |room| usize::try_from(room).unwrap().min(bytes.len()));
        let part = if failed.is_some() { room / 2 } else { room };
        self.file.write_all_at(&bytes[..part], offset)?;
        inner.ops.push(Op::Write(self.number, offset, bytes[..part].to_vec()));
        inner.room = inner.room.map(|left| left - part as u64);
        match failed {
            Some(error) => Err(error),
            None if part < bytes.len() => Err(io::ErrorKind::StorageFull.into()),
            None => Ok(()),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.step()?;
        self.file.set_len(len)?;
        self.disk.lock().ops.push(Op::SetLen(self.number, len));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.step()?;
        self.disk.lock().ops.push(Op::Sync(self.number));
        Ok(())
    }
}

/// A name that a folder may or may not have kept.
type Names = BTreeMap<PathBuf, Option<Node>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Folder,
    File(usize),
}

/// Lays out below `to` what a power cut after these operations (on paths below `from`) may have left: what was synced, and
/// of the rest whatever `chance` says yes to, in any order, with writes cut off anywhere.
pub(in crate::feedback) fn after_power_cut(ops: &[Op], from: &Path, to: &Path, chance: &mut dyn FnMut(usize) -> usize) {
    let mut live: BTreeMap<PathBuf, Node> = BTreeMap::new();
    let mut kept: BTreeMap<PathBuf, Node> = BTreeMap::new();
    // By folder: changes of names since its last sync.
    let mut names: BTreeMap<PathBuf, Vec<Names>> = BTreeMap::new();
    let mut synced: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    let mut writes: BTreeMap<usize, Vec<Op>> = BTreeMap::new();
    let parent = |path: &Path| path.parent().unwrap().to_owned();
    for op in ops {
        match op {
            Op::CreateDir(path) => {
                live.insert(path.clone(), Node::Folder);
                names.entry(parent(path)).or_default().push([(path.clone(), Some(Node::Folder))].into());
            }
            Op::Create(path, number) => {
                live.insert(path.clone(), Node::File(*number));
                names.entry(parent(path)).or_default().push([(path.clone(), Some(Node::File(*number)))].into());
            }
            Op::Rename(before, after) => {
                let node = live.remove(before).unwrap();
                live.insert(after.clone(), node);
                names.entry(parent(before)).or_default().push([(before.clone(), None)].into());
                names.entry(parent(after)).or_default().push([(after.clone(), Some(node))].into());
            }
            Op::Remove(path) => {
                live.remove(path);
                names.entry(parent(path)).or_default().push([(path.clone(), None)].into());
            }
            Op::SyncDir(path) => {
                for (name, node) in names.remove(path).into_iter().flatten().flatten() {
                    keep(&mut kept, name, node);
                }
            }
            Op::Write(number, ..) | Op::SetLen(number, _) => writes.entry(*number).or_default().push(op.clone()),
            Op::Sync(number) => {
                let content = synced.entry(*number).or_default();
                writes.remove(number).into_iter().flatten().for_each(|op| apply(content, &op, usize::MAX));
            }
        }
    }
    for (name, node) in names.into_values().flatten().flatten() {
        if chance(2) == 1 {
            keep(&mut kept, name, node);
        }
    }
    for (number, ops) in writes {
        let content = synced.entry(number).or_default();
        for op in ops {
            if chance(2) == 1 {
                let length = if let Op::Write(_, _, bytes) = &op { bytes.len() } else { 0 };
                let part = if chance(2) == 1 { length } else { chance(length + 1) };
                apply(content, &op, part);
            }
        }
    }
    fs::create_dir_all(to).unwrap();
    for (path, node) in kept {
        let Ok(path) = path.strip_prefix(from) else { continue };
        let path = to.join(path);
        // A name in a folder that was itself not kept is gone.
        if !path.parent().unwrap().is_dir() {
            continue;
        }
        match node {
            Node::Folder => fs::create_dir_all(&path).unwrap(),
            Node::File(number) => fs::write(&path, synced.get(&number).map_or(&[][..], Vec::as_slice)).unwrap(),
        }
    }
}

fn keep(kept: &mut BTreeMap<PathBuf, Node>, name: PathBuf, node: Option<Node>) {
    match node {
        Some(node) => kept.insert(name, node),
        None => kept.remove(&name),
    };
}

fn apply(content: &mut Vec<u8>, op: &Op, part: usize) {
    match op {
        Op::Write(_, offset, bytes) => {
            let start = usize::try_from(*offset).unwrap();
            let bytes = &bytes[..part.min(bytes.len())];
            if content.len() < start + bytes.len() {
                content.resize(start + bytes.len(), 0);
            }
            content[start..start + bytes.len()].copy_from_slice(bytes);
        }
        Op::SetLen(_, length) => content.resize(usize::try_from(*length).unwrap(), 0),
        _ => {}
    }
}
