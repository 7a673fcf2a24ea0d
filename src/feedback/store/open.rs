//! Opening: the folder, its lock, and an index that agrees with the journal.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::{Event, Inner, StoreError, mark};
use crate::feedback::disk::Disk;
use crate::feedback::index::apply::Changes;
use crate::feedback::index::durable::DurableKeys;
use crate::feedback::index::rows::{self, SCHEMA, State};
use crate::feedback::index::{IndexError, Keys, Order};
use crate::feedback::journal::{Found, Reader};
use crate::feedback::view::{View, get};

/// Keys that change with one batch while the journal is read.
const REPLAY_KEYS: usize = 512;

/// The lock of a store: it ends with the process, however that ends.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "held, not read")] File);

fn failed(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Io { path: path.to_owned(), doing, source }
}

/// Makes the folder of a store, if need be, and locks it.
pub(super) fn prepare(disk: &dyn Disk, dir: &Path) -> Result<Lock, StoreError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed(dir, "create"))?;
    let path = dir.join("lock");
    let mut file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed(&path, "open"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let read = file.take(32).read_to_string(&mut text);
            let holder = read.ok().and_then(|_| text.trim().parse().ok());
            return Err(StoreError::Locked { dir: dir.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(failed(&path, "lock")(error)),
    }
    // Only for the message to whoever finds it locked; on a full disk there is none.
    let _without_a_name = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    let journal = dir.join("journal");
    if disk.create_dir(&journal).map_err(failed(&journal, "create"))? {
        disk.sync_dir(dir).map_err(failed(dir, "sync"))?;
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            disk.sync_dir(parent).map_err(failed(parent, "sync"))?;
        }
    }
    Ok(Lock(file))
}

/// Opens the index and brings it up to date, or makes it again if it can't be used.
pub(super) fn index(view: &View, inner: &Inner, observe: &mut dyn FnMut(Event)) -> Result<Arc<dyn Keys>, StoreError> {
    let mark = view.dir.join("index.mark");
    let reason = match mark::opening(&view.dir).map_err(failed(&mark, "write"))? {
        Some(reason) if view.dir.join("index").exists() => reason,
        _ => {
            let checked = existing(view, inner);
            // Every page was read, or there was a reason not to. Who dies from here on did not die of the index.
            mark::opened(&view.dir).map_err(failed(&mark, "write"))?;
            match checked.and_then(|(keys, state)| catch_up(view, inner, keys, state, observe)) {
                Err(StoreError::Index(IndexError::Unusable(reason))) => reason,
                other => return other,
            }
        }
    };
    rebuild(view, inner, &reason, observe)
}

/// Opens the index and looks whether it agrees with itself and with the journal.
fn existing(view: &View, inner: &Inner) -> Result<(DurableKeys, State), StoreError> {
    let unusable = |reason: &str| StoreError::from(IndexError::Unusable(reason.to_owned()));
    let dir = view.dir.join("index");
    let is_new = !dir.exists();
    if is_new && inner.writer.end().sequence > 0 {
        return Err(unusable("there is none"));
    }
    let keys = open_keys(&dir, inner)?;
    let state = match get::<State>(&keys, rows::STATE)? {
        Some(state) => state,
        None if inner.writer.end().sequence == 0 => State::new(inner.writer.store()),
        None => return Err(unusable("it is empty")),
    };
    let end = inner.writer.end();
    if state.schema != SCHEMA {
        return Err(unusable("it is of another release"));
    }
    if state.store != inner.writer.store() {
        return Err(unusable("it belongs to another journal"));
    }
    if state.next.sequence > end.sequence {
        return Err(unusable("it knows of entries that the journal does not have"));
    }
    if let Some(last) = &state.last {
        view.reader.read(last).map_err(|_| unusable("it does not agree with the journal"))?;
    }
    if digest(&keys)? != state.digest {
        return Err(unusable("its rows are not those that were written"));
    }
    Ok((keys, state))
}

/// Reads what a good index lacks.
fn catch_up(
    view: &View,
    inner: &Inner,
    keys: DurableKeys,
    state: State,
    observe: &mut dyn FnMut(Event),
) -> Result<Arc<dyn Keys>, StoreError> {
    let known = state.counts.entries;
    let state = finish(view, inner, &keys, state, observe)?;
    if state.counts.entries > known {
        observe(Event::CaughtUp { entries: state.counts.entries - known });
    }
    Ok(Arc::new(keys))
}

/// Looks at every row: 0.3 s for 100,000 statements, and after it nothing about the index has to be believed. What its own
/// checksums can't tell is an older page that came back with a power cut.
fn digest(keys: &dyn Keys) -> Result<u64, IndexError> {
    let mut sum = 0_u64;
    let mut range = Vec::new()..vec![u8::MAX];
    loop {
        let pairs = keys.page(range.clone(), Order::Ascending, 1024)?;
        let Some((last, _)) = pairs.last() else { return Ok(sum) };
        range.start = [last.as_slice(), &[0]].concat();
        for (key, value) in pairs.iter().filter(|(key, _)| key != rows::STATE) {
            sum = sum.wrapping_add(rows::digest(key, value));
        }
    }
}

fn open_keys(dir: &Path, inner: &Inner) -> Result<DurableKeys, StoreError> {
    // Before the index makes it itself, open to all.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed(dir, "create"))?;
    Ok(DurableKeys::open(dir, inner.options.cache_bytes)?)
}

/// Moves the index aside, if there is one, and makes it again.
pub(super) fn rebuild(
    view: &View,
    inner: &Inner,
    reason: &str,
    observe: &mut dyn FnMut(Event),
) -> Result<Arc<dyn Keys>, StoreError> {
    let start = Instant::now();
    let dir = view.dir.join("index");
    let kept = move_aside(&view.dir, &dir)?;
    // Said before it is done: the journal of a long life takes a while.
    observe(Event::Rebuilding { reason: reason.to_owned(), kept });
    let keys = open_keys(&dir, inner)?;
    let state = finish(view, inner, &keys, State::new(inner.writer.store()), observe)?;
    observe(Event::Rebuilt { entries: state.counts.entries, took: start.elapsed() });
    Ok(Arc::new(keys))
}

/// So many are kept; a file system on which no index lasts would else be filled with them.
const KEPT: usize = 8;

fn move_aside(store: &Path, dir: &Path) -> Result<Option<PathBuf>, StoreError> {
    if !dir.exists() {
        return Ok(None);
    }
    if broken(store).count() >= KEPT {
        fs::remove_dir_all(dir).map_err(failed(dir, "remove"))?;
        return Ok(None);
    }
    let name = format!("index.broken-{}", Timestamp::now().strftime("%Y%m%dT%H%M%S%.6fZ"));
    let to = store.join(name);
    fs::rename(dir, &to).map_err(failed(dir, "move aside"))?;
    Ok(Some(to))
}

/// Reads what the index lacks, and removes the pictures that nothing needs any more.
fn finish(
    view: &View,
    inner: &Inner,
    keys: &DurableKeys,
    state: State,
    observe: &mut dyn FnMut(Event),
) -> Result<State, StoreError> {
    let (state, released) = replay(&view.reader, keys, state, observe)?;
    for blob in released {
        if keys.get(&rows::blob(&blob.sha256))?.is_none() {
            inner.blobs.remove(&blob)?;
        }
    }
    keys.flush()?;
    Ok(state)
}

/// Brings an index up to date with the journal. Returns its state then, and the pictures that may have become free.
pub(in crate::feedback) fn replay(
    reader: &Reader,
    keys: &dyn Keys,
    mut state: State,
    observe: &mut dyn FnMut(Event),
) -> Result<(State, Vec<crate::feedback::BlobRef>), StoreError> {
    let mut freed = std::collections::HashMap::new();
    let mut changes = Changes::new(keys, state.clone());
    for found in reader.scan(state.next)? {
        match found? {
            Found::Entry(at, entry) => changes.entry(at, &entry)?,
            Found::Damage(damage) => observe(Event::Damaged(damage)),
            Found::Torn { file, offset, bytes } => {
                observe(Event::Torn(crate::feedback::journal::Torn { file, offset, bytes, kept: None }));
            }
        }
        if changes.len() >= REPLAY_KEYS {
            let (after, released) = changes.commit()?;
            freed.extend(released);
            state = after;
            changes = Changes::new(keys, state.clone());
        }
    }
    let (state, released) = changes.commit()?;
    freed.extend(released);
    Ok((state, freed.into_values().collect()))
}

/// What lies in a store's folder beside its pictures, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::feedback) struct Sizes {
    pub(in crate::feedback) journal: u64,
    pub(in crate::feedback) index: u64,
    /// Torn ends of the journal, and indexes that could not be opened.
    pub(in crate::feedback) aside: u64,
}

/// Looks at the sizes of files. What can't be looked at counts as nothing.
pub(in crate::feedback) fn sizes(dir: &Path) -> Sizes {
    let mut sizes = Sizes { index: folder(&dir.join("index")), ..Sizes::default() };
    for entry in fs::read_dir(dir.join("journal")).into_iter().flatten().flatten() {
        let bytes = entry.metadata().map_or(0, |file| file.len());
        let is_segment = Path::new(&entry.file_name()).extension().is_some_and(|extension| extension == "log");
        *(if is_segment { &mut sizes.journal } else { &mut sizes.aside }) += bytes;
    }
    sizes.aside += broken(dir).map(|index| folder(&index)).sum::<u64>();
    sizes
}

/// Indexes that were moved aside.
fn broken(store: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(store).into_iter().flatten().flatten();
    let broken = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("index.broken-"));
    broken.map(|entry| entry.path())
}

fn folder(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(file) if file.is_dir() => folder(&entry.path()),
        Ok(file) => file.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}
