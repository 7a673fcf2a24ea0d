//! What can be asked of a store, by the daemon that writes it as well as by a command beside it.

mod answer;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use ulid::Ulid;

use super::blobs;
use super::index::memory::MemoryKeys;
use super::index::rows::{self, CollectedRow, FeedbackRow, FrameRow, State};
use super::index::{IndexError, Keys, Order, prefix};
use super::journal::{JournalError, Reader};
use super::record::{BlobRef, Collected, Entry, Feedback};
use super::store::{Event, StoreError, replay, sizes};
use crate::classify::dhash::PictureHash;

pub use answer::{Filter, FrameRecord, Frames, KeptFrame, Page, Said, Stats};

/// Keys are looked through so many at a time.
const PAGE: usize = 512;

/// A store to look into.
#[derive(Debug)]
pub struct View {
    pub(super) dir: PathBuf,
    pub(super) reader: Reader,
    /// `None` while the index can't be used.
    keys: RwLock<Option<Arc<dyn Keys>>>,
    /// Why it has to be made again.
    trouble: Mutex<Option<String>>,
}

impl View {
    /// Looks into the store in `dir` without opening it: nothing is written, and a daemon may have it open. It shows
    /// what the journal says at this moment, and `observe` hears of damage.
    ///
    /// # Errors
    /// If there is no journal in `dir`, or it is of a newer release.
    pub fn read_only(dir: &Path, mut observe: impl FnMut(Event)) -> Result<Self, StoreError> {
        let keys = MemoryKeys::default();
        let view = Self::new(dir);
        replay(&view.reader, &keys, State::new(0), &mut |event| match event {
            // A write that is just being made.
            Event::Torn(_) => {}
            event => observe(event),
        })?;
        view.set_keys(Some(Arc::new(keys)));
        Ok(view)
    }

    pub(super) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            reader: Reader::new(dir.join("journal")),
            keys: RwLock::new(None),
            trouble: Mutex::new(None),
        }
    }

    pub(super) fn set_keys(&self, keys: Option<Arc<dyn Keys>>) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    pub(super) fn keys(&self) -> Option<Arc<dyn Keys>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets go of an index that failed.
    pub(super) fn lose(&self, error: &IndexError) {
        if let IndexError::Unusable(reason) = error {
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.clone());
        }
        self.set_keys(None);
    }

    pub(super) fn take_trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What a question came to. An index that fails on one is not asked again: the store makes it anew before it writes
    /// or flushes the next time.
    fn noted<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Index(error)) = &result {
            self.lose(error);
        }
        result
    }

    fn usable(&self) -> Result<Arc<dyn Keys>, StoreError> {
        self.keys().ok_or_else(|| {
            let reason = "it failed, and is opened again with the next batch".to_owned();
            StoreError::NoIndex { reason, disk_full: false }
        })
    }

    /// One statement.
    ///
    /// # Errors
    /// If index or journal can't be read.
    pub fn feedback(&self, id: Ulid) -> Result<Option<Said>, StoreError> {
        self.noted(self.ask_feedback(id))
    }

    fn ask_feedback(&self, id: Ulid) -> Result<Option<Said>, StoreError> {
        let keys = self.usable()?;
        let Some(row) = get::<FeedbackRow>(&*keys, &rows::feedback(id))? else { return Ok(None) };
        Ok(Some(self.said(&row)?))
    }

    /// One frame.
    ///
    /// # Errors
    /// If index or journal can't be read.
    pub fn frame(&self, frame: Ulid) -> Result<Option<FrameRecord>, StoreError> {
        self.noted(self.ask_frame(frame))
    }

    fn ask_frame(&self, frame: Ulid) -> Result<Option<FrameRecord>, StoreError> {
        let keys = self.usable()?;
        let Some(row) = get::<FrameRow>(&*keys, &rows::frame(frame))? else { return Ok(None) };
        self.record(&*keys, frame, &row).map(Some)
    }

    /// Statements, the newest first, from the one before `before` on.
    ///
    /// # Errors
    /// If index or journal can't be read.
    pub fn list(&self, filter: &Filter, before: Option<Ulid>, limit: usize) -> Result<Page<Said>, StoreError> {
        self.noted(self.ask_list(filter, before, limit))
    }

    fn ask_list(&self, filter: &Filter, before: Option<Ulid>, limit: usize) -> Result<Page<Said>, StoreError> {
        let keys = self.usable()?;
        let mut range = prefix(b"i");
        if let Some(before) = before {
            range.end = rows::feedback(before);
        }
        let mut page = Page { items: Vec::new(), next: None, unreadable: 0 };
        loop {
            let pairs = keys.page(range.clone(), Order::Descending, PAGE)?;
            let Some((last, _)) = pairs.last() else { return Ok(page) };
            range.end.clone_from(last);
            for (_, value) in &pairs {
                let row: FeedbackRow = rows::unpack(value)?;
                if !filter.wants(&row) {
                    continue;
                }
                if page.items.len() == limit {
                    page.next = page.items.last().map(|said: &Said| said.feedback.id);
                    return Ok(page);
                }
                match self.said(&row) {
                    Ok(said) => page.items.push(said),
                    Err(StoreError::Journal(JournalError::Mismatch { .. })) => page.unreadable += 1,
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// Frames with all that is known of them, the oldest first, from the one after `after` on.
    ///
    /// # Errors
    /// If index or journal can't be read.
    pub fn frames(&self, which: Frames, after: Option<Ulid>, limit: usize) -> Result<Page<FrameRecord>, StoreError> {
        self.noted(self.ask_frames(which, after, limit))
    }

    fn ask_frames(&self, which: Frames, after: Option<Ulid>, limit: usize) -> Result<Page<FrameRecord>, StoreError> {
        let keys = self.usable()?;
        let tag = which.tag();
        let mut range = prefix(&[tag]);
        if let Some(after) = after {
            range.start = [&[tag][..], &after.to_bytes(), &[0]].concat();
        }
        let mut page = Page { items: Vec::new(), next: None, unreadable: 0 };
        loop {
            let pairs = keys.page(range.clone(), Order::Ascending, PAGE)?;
            let Some((last, _)) = pairs.last() else { return Ok(page) };
            range.start = [last.as_slice(), &[0]].concat();
            for (key, _) in &pairs {
                let frame = rows::last_id(key)?;
                // It may have gone in between.
                let Some(row) = get::<FrameRow>(&*keys, &rows::frame(frame))? else { continue };
                if !which.wants(&row) {
                    continue;
                }
                if page.items.len() == limit {
                    page.next = page.items.last().map(|record: &FrameRecord| record.frame);
                    return Ok(page);
                }
                match self.record(&*keys, frame, &row) {
                    Ok(record) => page.items.push(record),
                    Err(StoreError::Journal(JournalError::Mismatch { .. })) => page.unreadable += 1,
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// Frames that `wanted` chooses, the newest first, from the one before `before` on. It looks at no more than `looks` of them:
    /// a page may be short, and still have another after it.
    ///
    /// # Errors
    /// If index or journal can't be read.
    pub fn recent(
        &self,
        which: Frames,
        wanted: &dyn Fn(&FrameRecord) -> bool,
        before: Option<Ulid>,
        limit: usize,
        looks: usize,
    ) -> Result<Page<FrameRecord>, StoreError> {
        self.noted(self.ask_recent(which, wanted, before, limit, looks))
    }

    fn ask_recent(
        &self,
        which: Frames,
        wanted: &dyn Fn(&FrameRecord) -> bool,
        before: Option<Ulid>,
        limit: usize,
        looks: usize,
    ) -> Result<Page<FrameRecord>, StoreError> {
        let keys = self.usable()?;
        let tag = which.tag();
        let mut range = prefix(&[tag]);
        if let Some(before) = before {
            range.end = [&[tag][..], &before.to_bytes()].concat();
        }
        let mut page = Page { items: Vec::new(), next: None, unreadable: 0 };
        let mut looked = 0;
        loop {
            let pairs = keys.page(range.clone(), Order::Descending, PAGE)?;
            let Some((last, _)) = pairs.last() else { return Ok(page) };
            range.end.clone_from(last);
            for (key, _) in &pairs {
                let frame = rows::last_id(key)?;
                if page.items.len() == limit || looked == looks {
                    // Those before the one after which it ends: this one comes next.
                    page.next = Some(Ulid(frame.0.saturating_add(1)));
                    return Ok(page);
                }
                looked += 1;
                let Some(row) = get::<FrameRow>(&*keys, &rows::frame(frame))? else { continue };
                if !which.wants(&row) {
                    continue;
                }
                match self.record(&*keys, frame, &row) {
                    Ok(record) if wanted(&record) => page.items.push(record),
                    Ok(_) => {}
                    Err(StoreError::Journal(JournalError::Mismatch { .. })) => page.unreadable += 1,
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// What is in the store.
    ///
    /// # Errors
    /// If the index or the folder can't be read.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        self.noted(self.ask_stats())
    }

    fn ask_stats(&self) -> Result<Stats, StoreError> {
        let keys = self.usable()?;
        let counts = get::<State>(&*keys, rows::STATE)?.unwrap_or_else(|| State::new(0)).counts;
        let sizes = sizes(&self.dir);
        let mut stats = Stats {
            labelled: counts.labelled,
            unlabelled: counts.unlabelled,
            exported: counts.exported,
            feedback: counts.feedback,
            journal_entries: counts.entries,
            bytes: sizes.journal + counts.blob_bytes + sizes.index + sizes.aside,
            journal_bytes: sizes.journal,
            blob_bytes: counts.blob_bytes,
            index_bytes: sizes.index,
            aside_bytes: sizes.aside,
            ..Stats::default()
        };
        each(&*keys, prefix(b"r"), |key, value| {
            stats.by_reason.insert(String::from_utf8_lossy(&key[1..]).into_owned(), rows::unpack(value)?);
            Ok(())
        })?;
        each(&*keys, prefix(b"c"), |key, value| {
            let name = String::from_utf8_lossy(&key[1..]);
            let Some((model, label)) = name.split_once('\0') else { return Ok(()) };
            let count: u64 = rows::unpack(value)?;
            *stats.by_label.entry(label.to_owned()).or_default() += count;
            stats.by_model.entry(model.to_owned()).or_default().insert(label.to_owned(), count);
            Ok(())
        })?;
        Ok(stats)
    }

    /// What was collected on a camera, the newest first, at most `limit` frames. Those that are gone since count too.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn kept_on(&self, camera: &str, limit: usize) -> Result<Vec<KeptFrame>, StoreError> {
        self.noted(self.ask_kept_on(camera, limit))
    }

    fn ask_kept_on(&self, camera: &str, limit: usize) -> Result<Vec<KeptFrame>, StoreError> {
        let pairs = self.usable()?.page(prefix(&rows::kept(camera, None)), Order::Descending, limit)?;
        let kept = pairs.iter().map(|(_, value)| {
            let row: CollectedRow = rows::unpack(value)?;
            Ok(KeptFrame { day: row.day, hash: row.hash.map(PictureHash) })
        });
        kept.collect()
    }

    /// How many frames were collected on a day, on all cameras together.
    /// Days are counted from 1970, in UTC: see [`KeptFrame::day`].
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn kept_on_day(&self, day: i64) -> Result<u64, StoreError> {
        self.noted(self.usable().and_then(|keys| Ok(get(&*keys, &rows::day(day))?.unwrap_or(0))))
    }

    /// A picture, checked to be what was stored.
    ///
    /// # Errors
    /// If it is not there or has changed.
    pub fn picture(&self, blob: &BlobRef) -> Result<Bytes, StoreError> {
        Ok(blobs::read(&self.dir, blob)?)
    }

    fn said(&self, row: &FeedbackRow) -> Result<Said, StoreError> {
        Ok(Said { feedback: self.statement(row)?, standing: row.standing, withdrawn: row.withdrawn })
    }

    fn statement(&self, row: &FeedbackRow) -> Result<Feedback, StoreError> {
        match self.reader.read(&row.at)? {
            Entry::Feedback(feedback) => Ok(feedback),
            _ => Err(IndexError::Unusable("it takes another entry for feedback".to_owned()).into()),
        }
    }

    pub(super) fn collected(&self, row: &FrameRow) -> Result<Option<Collected>, StoreError> {
        let Some((at, _)) = &row.collected else { return Ok(None) };
        match self.reader.read(at)? {
            Entry::Collected(collected) => Ok(Some(collected)),
            _ => Err(IndexError::Unusable("it takes another entry for a collected frame".to_owned()).into()),
        }
    }

    /// The first statement about a frame that can be read.
    pub(super) fn first_said(&self, keys: &dyn Keys, frame: Ulid) -> Result<Option<Feedback>, StoreError> {
        let pairs = keys.page(prefix(&rows::said(frame, Ulid::nil())[..17]), Order::Ascending, PAGE)?;
        for (key, _) in pairs {
            let row = get::<FeedbackRow>(keys, &rows::feedback(rows::last_id(&key)?))?;
            if let Some(Ok(feedback)) = row.map(|row| self.statement(&row)) {
                return Ok(Some(feedback));
            }
        }
        Ok(None)
    }

    fn record(&self, keys: &dyn Keys, frame: Ulid, row: &FrameRow) -> Result<FrameRecord, StoreError> {
        let mut feedback = Vec::new();
        let mut range = prefix(&rows::said(frame, Ulid::nil())[..17]);
        loop {
            let pairs = keys.page(range.clone(), Order::Ascending, PAGE)?;
            let Some((last, _)) = pairs.last() else { break };
            range.start = [last.as_slice(), &[0]].concat();
            for (key, _) in &pairs {
                let Some(row) = get::<FeedbackRow>(keys, &rows::feedback(rows::last_id(key)?))? else { continue };
                feedback.push(self.said(&row)?);
            }
        }
        let blob = row.blobs.last().map(rows::PackedBlob::unpack).transpose()?;
        Ok(FrameRecord { frame, collected: self.collected(row)?, feedback, blob, exported: row.exported })
    }
}

fn each(
    keys: &dyn Keys,
    mut range: Range<Vec<u8>>,
    mut row: impl FnMut(&[u8], &[u8]) -> Result<(), IndexError>,
) -> Result<(), IndexError> {
    loop {
        let pairs = keys.page(range.clone(), Order::Ascending, PAGE)?;
        let Some((last, _)) = pairs.last() else { return Ok(()) };
        range.start = [last.as_slice(), &[0]].concat();
        pairs.iter().try_for_each(|(key, value)| row(key, value))?;
    }
}

pub(super) fn get<T: serde::de::DeserializeOwned>(keys: &dyn Keys, key: &[u8]) -> Result<Option<T>, IndexError> {
    keys.get(key)?.as_deref().map(rows::unpack).transpose()
}
