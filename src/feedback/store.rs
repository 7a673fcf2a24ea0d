//! The store: one process writes it, in batches, and what it has confirmed is on disk.

mod error;
mod event;
mod item;
mod mark;
mod open;
mod plan;
mod room;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use ulid::Ulid;

use self::open::Lock;
use super::blobs::Blobs;
use super::disk::{Disk, OsDisk};
use super::index::apply::Changes;
use super::index::rows::{self, FeedbackRow, State};
use super::index::{IndexError, Keys};
use super::journal::{Pointer, Writer};
use super::record::{BlobRef, Entry, Exported, Removed, Sha256Sum, Withdrawn};
use super::view::{View, get};

pub use error::StoreError;
pub use event::Event;
pub use item::{Item, NewCollected, NewFeedback, Picture, Receipt, Refusal};

use error::chain;
pub(super) use open::{replay, sizes};

/// The most items of a batch: what one sync confirms, and what is in memory as one.
pub const MAX_BATCH: usize = 1024;
/// The index is flushed after so many entries: this many are read again after a kill.
const FLUSH_AFTER: u64 = 4096;
/// While the index can't be opened, it is tried again this often and no more.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// How a store is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The most it may take on disk, bytes. Frames are removed before that is reached, those without a label first.
    pub max_bytes: u64,
    /// Labelled frames that were never exported may be removed too, when nothing else is left.
    pub drop_labelled: bool,
    /// The size at which a segment of the journal ends, bytes.
    pub segment_bytes: u64,
    /// Memory for the index's pages, bytes.
    pub cache_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_bytes: 10 << 30, drop_labelled: false, segment_bytes: 8 << 20, cache_bytes: 8 << 20 }
    }
}

/// A store that is open for writing. Shared between threads; batches follow one another.
///
/// Its calls wait for the disk: they belong on a thread that may wait, and not on one of tokio's. Questions go to
/// [`Store::view`], which no batch holds up.
pub struct Store {
    view: View,
    inner: Mutex<Inner>,
    observe: Observer,
}

type Observer = Box<dyn Fn(Event) + Send + Sync>;

#[derive(Debug)]
struct Inner {
    options: Options,
    writer: Writer,
    blobs: Blobs,
    /// Held as long as the store is open.
    _lock: Lock,
    unflushed: u64,
    /// When the index could not be opened last, why, and whether that was for lack of room.
    failed: Option<(Instant, String, bool)>,
    /// Sizes that are not counted by themselves, and how many entries ago that was looked up.
    measured: Option<(u64, u64)>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("view", &self.view).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens or creates the store in `dir`: cuts off what a stop left unfinished, and brings the index up to date, or makes
    /// it again if it can't be used. `observe` hears of that, and later of what goes wrong without being an error of a
    /// call; it is called with the store locked, and must not call it.
    ///
    /// # Errors
    /// If another process has it open, the journal can't be opened, or it is of a newer release. An index that can't be
    /// opened for lack of room is no error: the store opens, and refuses batches with [`StoreError`] until there is room.
    pub fn open(
        dir: &Path,
        options: Options,
        observe: impl Fn(Event) + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        Self::open_on(Arc::new(OsDisk), dir, options, Box::new(observe))
    }

    fn open_on(disk: Arc<dyn Disk>, dir: &Path, options: Options, observe: Observer) -> Result<Self, StoreError> {
        let lock = open::prepare(&*disk, dir)?;
        let (writer, found) = Writer::open(Arc::clone(&disk), &dir.join("journal"), options.segment_bytes)?;
        found.torn.into_iter().for_each(|torn| observe(Event::Torn(torn)));
        found.damage.into_iter().for_each(|damage| observe(Event::Damaged(damage)));
        let blobs = Blobs::open(disk, dir)?;
        let inner = Inner { options, writer, blobs, _lock: lock, unflushed: 0, failed: None, measured: None };
        let store = Self { view: View::new(dir), inner: Mutex::new(inner), observe };
        match store.index(&mut store.lock()) {
            Err(StoreError::Index(IndexError::Io(error))) => {
                (store.observe)(Event::IndexLost { error: chain(&error) });
            }
            other => drop(other?),
        }
        Ok(store)
    }

    /// What can be asked of it.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Stores a batch, at most [`MAX_BATCH`] items, with one sync of the journal. There is a receipt for each item, in order.
    ///
    /// # Errors
    /// If anything stands in the way: then nothing of the batch is confirmed, and it may be added again.
    pub fn add(&self, items: Vec<Item>) -> Result<Vec<Receipt>, StoreError> {
        if items.len() > MAX_BATCH {
            return Err(StoreError::BatchTooLarge(items.len()));
        }
        let mut inner = self.lock();
        let keys = self.index(&mut inner)?;
        let mut plan = self.watch(plan::plan(&self.view, &*keys, &inner.blobs, items))?;
        self.make_room(&mut inner, &*keys, &mut plan)?;
        let pictures = std::mem::take(&mut plan.pictures);
        if let Err(error) = inner.blobs.write(&pictures) {
            give_back(&inner, &pictures);
            return Err(error.into());
        }
        if let Err(error) = self.write(&mut inner, &*keys, &plan.entries) {
            give_back(&inner, &pictures);
            return Err(error);
        }
        Ok(plan.receipts)
    }

    /// Notes that frames were exported: they may go when room is needed.
    ///
    /// # Errors
    /// If it can't be written down.
    pub fn mark_exported(&self, frames: &[Ulid]) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let keys = self.index(&mut inner)?;
        for frames in frames.chunks(MAX_BATCH) {
            let entry = Entry::Exported(Exported { at: Timestamp::now(), frames: frames.to_vec() });
            self.write(&mut inner, &*keys, &[entry])?;
        }
        Ok(())
    }

    /// Takes a statement back: what its sender said of the frame before stands again. A frame about which nothing stands then
    /// waits for a label, whether it was collected or not. The journal keeps what was said, and that it was taken back, as
    /// history. `false` if there is no such statement, or it was taken back before.
    ///
    /// # Errors
    /// If it can't be written down.
    pub fn withdraw(&self, feedback: Ulid) -> Result<bool, StoreError> {
        let mut inner = self.lock();
        let keys = self.index(&mut inner)?;
        let row: Option<FeedbackRow> = self.watch(get(&*keys, &rows::feedback(feedback)).map_err(StoreError::from))?;
        if row.is_none_or(|row| row.withdrawn) {
            return Ok(false);
        }
        let entry = Entry::Withdrawn(Withdrawn { at: Timestamp::now(), feedback });
        self.write(&mut inner, &*keys, &[entry])?;
        Ok(true)
    }

    /// Removes frames and all that was said about them, labelled or not. The journal keeps what was said as history.
    ///
    /// # Errors
    /// If it can't be written down.
    pub fn remove(&self, frames: &[Ulid], reason: &str) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let keys = self.index(&mut inner)?;
        self.remove_from(&mut inner, &*keys, frames, reason)
    }

    fn remove_from(&self, inner: &mut Inner, keys: &dyn Keys, frames: &[Ulid], reason: &str) -> Result<(), StoreError> {
        let at = Timestamp::now();
        for frames in frames.chunks(MAX_BATCH) {
            let entries: Vec<Entry> = frames
                .iter()
                .map(|frame| Entry::Removed(Removed { at, frame: *frame, reason: reason.to_owned() }))
                .collect();
            self.write(inner, keys, &entries)?;
        }
        Ok(())
    }

    /// Moves the index aside, makes it again from the journal, and removes pictures that no frame needs.
    ///
    /// # Errors
    /// If the journal can't be read or the index not be written.
    pub fn rebuild(&self) -> Result<(), StoreError> {
        let mut inner = self.lock();
        self.view.set_keys(None);
        let keys = open::rebuild(&self.view, &inner, "asked for", &mut |event| (self.observe)(event))?;
        self.view.set_keys(Some(Arc::clone(&keys)));
        inner.measured = None;
        Self::sweep_from(&inner, &*keys)?;
        Ok(())
    }

    /// Removes pictures that no frame needs: a kill between a picture and its entry leaves some. Says how many bytes that
    /// freed. It looks at every file, with the store locked: something for a quiet moment.
    ///
    /// # Errors
    /// If a folder can't be read or a picture not be removed.
    pub fn sweep(&self) -> Result<u64, StoreError> {
        let mut inner = self.lock();
        let keys = self.index(&mut inner)?;
        self.watch(Self::sweep_from(&inner, &*keys))
    }

    fn sweep_from(inner: &Inner, keys: &dyn Keys) -> Result<u64, StoreError> {
        inner.blobs.sweep(|sum| Ok(keys.get(&rows::blob(sum))?.is_some()))
    }

    /// Writes out what the index holds in memory. Nothing is lost without it; the next start is quicker with it.
    ///
    /// # Errors
    /// If that fails.
    pub fn flush(&self) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let keys = self.index(&mut inner)?;
        self.watch(keys.flush().map_err(StoreError::from))?;
        inner.unflushed = 0;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic in a batch leaves at worst a journal that is longer than the index knows.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index; opened if it is not.
    fn index(&self, inner: &mut Inner) -> Result<Arc<dyn Keys>, StoreError> {
        if let Some(keys) = self.view.keys() {
            return Ok(keys);
        }
        if let Some((at, reason, disk_full)) = &inner.failed
            && at.elapsed() < TRY_AGAIN
        {
            return Err(StoreError::NoIndex { reason: reason.clone(), disk_full: *disk_full });
        }
        let observe = &mut |event| (self.observe)(event);
        let opened = match self.view.take_trouble() {
            Some(reason) => open::rebuild(&self.view, inner, &reason, observe),
            None => open::index(&self.view, inner, observe),
        };
        inner.failed = opened.as_ref().err().map(|error| (Instant::now(), chain(error), error.is_disk_full()));
        let keys = opened?;
        self.view.set_keys(Some(Arc::clone(&keys)));
        inner.measured = None;
        Ok(keys)
    }

    /// Lets go of the index when an error says that it is of no use any more.
    fn watch<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Index(error)) = &result {
            self.lose(error);
        }
        result
    }

    fn lose(&self, error: &IndexError) {
        self.view.lose(error);
        (self.observe)(Event::IndexLost { error: chain(error) });
    }

    /// Writes entries to the journal: with its return they are stored. Then to the index, which may fail.
    fn write(&self, inner: &mut Inner, keys: &dyn Keys, entries: &[Entry]) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let payloads = entries.iter().map(Entry::to_json).collect::<Result<Vec<_>, _>>()?;
        let pointers = inner.writer.append(&payloads)?;
        inner.unflushed += entries.len() as u64;
        if let Some((_, since)) = &mut inner.measured {
            *since += entries.len() as u64;
        }
        match self.enter(keys, entries, &pointers) {
            Ok(released) => self.discard(inner, keys, released),
            Err(error) => {
                self.lose(&error);
            }
        }
        Ok(())
    }

    fn enter(
        &self,
        keys: &dyn Keys,
        entries: &[Entry],
        pointers: &[Pointer],
    ) -> Result<HashMap<Sha256Sum, BlobRef>, IndexError> {
        let state: State = get(keys, rows::STATE)?.ok_or_else(|| IndexError::Unusable("it has no state".to_owned()))?;
        let mut changes = Changes::new(keys, state);
        for (entry, at) in entries.iter().zip(pointers) {
            changes.entry(*at, entry)?;
        }
        Ok(changes.commit()?.1)
    }

    /// Removes pictures that no frame needs any more, and flushes the index now and then.
    fn discard(&self, inner: &mut Inner, keys: &dyn Keys, released: HashMap<Sha256Sum, BlobRef>) {
        for blob in released.into_values() {
            let removed = match keys.get(&rows::blob(&blob.sha256)) {
                Ok(None) => inner.blobs.remove(&blob).map_err(StoreError::from),
                Ok(Some(_)) => Ok(()),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = removed {
                (self.observe)(Event::Leftover { error: chain(&error) });
            }
        }
        if inner.unflushed >= FLUSH_AFTER {
            inner.unflushed = 0;
            if let Err(error) = keys.flush() {
                self.lose(&error);
            }
        }
    }
}

/// Removes the pictures of a batch that failed: the room they take may be just what is missing. Not while the journal
/// might still name them.
fn give_back(inner: &Inner, pictures: &[(BlobRef, Bytes)]) {
    if !inner.writer.is_uncertain() {
        for (blob, _) in pictures {
            let _gone_or_swept = inner.blobs.remove(blob);
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(keys) = self.view.keys() {
            // If it fails, the next start reads a little more of the journal.
            let _later = keys.flush();
        }
    }
}

#[cfg(test)]
mod tests;
