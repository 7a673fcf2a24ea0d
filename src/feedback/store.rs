//! The store: one process writes it, in batches, and what it has confirmed is on disk.

mod mark;
mod open;
mod plan;
mod room;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use ulid::Ulid;

use self::open::Lock;
use super::blobs::{BlobError, Blobs};
use super::disk::{Disk, OsDisk};
use super::index::apply::Changes;
use super::index::rows::{self, State};
use super::index::{IndexError, Keys};
use super::journal::{Damage, JournalError, Pointer, Torn, Writer};
use super::record::{BlobRef, Entry, Exported, RecordError, Removed, Sha256Sum, Sighting, Statement, Via};
use super::view::{View, get};
use crate::frame::decode::Format;

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

/// What happened that an operator should hear of: to be logged and counted.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A stop had cut a write short. Nothing that was confirmed is missing.
    Torn(Torn),
    /// A part of the journal can't be read.
    Damaged(Damage),
    /// The index lacked entries of the journal, and has them now. Normal after a kill.
    CaughtUp {
        /// How many.
        entries: u64,
    },
    /// The index could not be used, and was made again from the journal.
    Rebuilt {
        /// Why.
        reason: String,
        /// Where the old one is now; `None` if there was none.
        kept: Option<PathBuf>,
        /// Entries read.
        entries: u64,
        /// How long that took.
        took: Duration,
    },
    /// The index failed. What was confirmed is safe in the journal; nothing more is accepted until it is open again, which
    /// is tried with each batch.
    IndexLost {
        /// Why.
        error: String,
    },
    /// Frames were removed for lack of room.
    Removed {
        /// How many without a label.
        unlabelled: u64,
        /// How many with one.
        labelled: u64,
        /// The size of their pictures, bytes.
        bytes: u64,
    },
    /// A picture could not be removed. It is tried again with the next sweep.
    Leftover {
        /// Why.
        error: String,
    },
}

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
    /// The index can't be used at the moment.
    #[error("the index of the store can't be opened at the moment")]
    NoIndex,
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

/// A picture that comes with an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Its bytes.
    pub bytes: Bytes,
    /// What they are.
    pub format: Format,
}

/// A statement to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct NewFeedback {
    /// Its id, if it has one from another store. One that is known already changes nothing.
    pub id: Option<Ulid>,
    /// The frame it is about.
    pub frame: Ulid,
    /// The sender's own id.
    pub sender_id: Option<String>,
    /// Who says it.
    pub by: Option<String>,
    /// When it was received.
    pub at: Timestamp,
    /// How it was received.
    pub via: Via,
    /// What is said.
    pub statement: Statement,
    /// What is known of the frame. Without it, what the store knows.
    pub sighting: Option<Sighting>,
    /// The picture. It is not needed, nor used, for a frame whose picture the store has.
    pub picture: Option<Picture>,
    /// When it was imported, if it comes from an export.
    pub imported_at: Option<Timestamp>,
}

/// A frame to be kept until it has a label.
#[derive(Clone, Debug, PartialEq)]
pub struct NewCollected {
    /// The frame.
    pub frame: Ulid,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// What is known of it.
    pub sighting: Sighting,
    /// Its picture.
    pub picture: Picture,
}

/// Something to be stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A statement.
    Feedback(Box<NewFeedback>),
    /// A frame that waits for one.
    Collected(Box<NewCollected>),
}

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It is on disk.
    Stored {
        /// Its id, for feedback.
        feedback: Option<Ulid>,
    },
    /// It is on disk since an earlier time.
    Known {
        /// Its id, for feedback.
        feedback: Option<Ulid>,
    },
    /// It can't be stored, and could not if it were sent again, unless something changes.
    Refused(Refusal),
}

/// Why an item can't be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing is known of the frame, and the picture or what was seen did not come with the statement.
    #[error("the frame is not known any more: send the image and the camera with the feedback")]
    UnknownFrame,
    /// There is no room within the store's limit, and nothing that may go.
    #[error("the store is full")]
    Full,
    /// Its texts are too long.
    #[error("the feedback is too long")]
    TooLong,
}

/// A store that is open for writing. Shared between threads; batches follow one another.
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
    /// When the index could not be opened last.
    failed_at: Option<Instant>,
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
        let inner = Inner { options, writer, blobs, _lock: lock, unflushed: 0, failed_at: None, measured: None };
        let store = Self { view: View::new(dir), inner: Mutex::new(inner), observe };
        match store.index(&mut store.lock()) {
            Err(StoreError::Index(IndexError::Io(error))) => {
                (store.observe)(Event::IndexLost { error: error.to_string() });
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

    /// Moves the index aside and makes it again from the journal, and removes pictures that no frame needs.
    ///
    /// # Errors
    /// If the journal can't be read or the index not be written.
    pub fn rebuild(&self) -> Result<(), StoreError> {
        let mut inner = self.lock();
        self.view.set_keys(None);
        let keys = open::rebuild(&self.view, &inner, "asked for", &mut |event| (self.observe)(event))?;
        self.view.set_keys(Some(Arc::clone(&keys)));
        inner.measured = None;
        inner.blobs.sweep(|sum| -> Result<bool, StoreError> { Ok(keys.get(&rows::blob(sum))?.is_some()) })?;
        Ok(())
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
        if inner.failed_at.is_some_and(|at| at.elapsed() < TRY_AGAIN) {
            return Err(StoreError::NoIndex);
        }
        let observe = &mut |event| (self.observe)(event);
        let opened = match self.view.take_trouble() {
            Some(reason) => open::rebuild(&self.view, inner, &reason, observe),
            None => open::index(&self.view, inner, observe),
        };
        inner.failed_at = opened.is_err().then(Instant::now);
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
        (self.observe)(Event::IndexLost { error: error.to_string() });
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
                (self.observe)(Event::Leftover { error: error.to_string() });
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
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(keys) = self.view.keys() else { return };
        self.view.set_keys(None);
        if keys.flush().is_ok() {
            // Views of others may still hold it; what they do changes nothing on disk.
            drop(keys);
            mark::closed(&self.view.dir);
        }
        inner.unflushed = 0;
    }
}

#[cfg(test)]
mod tests;
