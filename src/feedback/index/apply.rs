//! What an entry of the journal changes in the index. The same for an index on disk and for one in memory, when it is
//! new and when it is read again.

use std::collections::HashMap;

use ulid::Ulid;

use super::rows::{self, BlobRow, CollectedRow, FeedbackRow, FrameRow, PackedBlob, State};
use super::{Batch, IndexError, Keys, Order, prefix};
use crate::feedback::journal::Pointer;
use crate::feedback::record::{BlobRef, Collected, Entry, Feedback, Sha256Sum};

/// Keys are gone through so many at a time.
const PAGE: usize = 256;

/// Changes that are not yet in the index, over those that are.
#[derive(Debug)]
pub(in crate::feedback) struct Changes<'a> {
    keys: &'a dyn Keys,
    batch: Batch,
    state: State,
    /// Pictures that some change took a use from. They may be in use again by now.
    released: HashMap<Sha256Sum, BlobRef>,
}

impl<'a> Changes<'a> {
    pub(in crate::feedback) fn new(keys: &'a dyn Keys, state: State) -> Self {
        Self { keys, batch: Batch::new(), state, released: HashMap::new() }
    }

    /// How many keys change.
    pub(in crate::feedback) fn len(&self) -> usize {
        self.batch.len()
    }

    /// Puts the changes into the index, and returns its state then and the pictures that may have become free.
    pub(in crate::feedback) fn commit(mut self) -> Result<(State, HashMap<Sha256Sum, BlobRef>), IndexError> {
        for (key, value) in &self.batch {
            if let Some(before) = self.keys.get(key)? {
                self.state.digest = self.state.digest.wrapping_sub(rows::digest(key, &before));
            }
            if let Some(after) = value {
                self.state.digest = self.state.digest.wrapping_add(rows::digest(key, after));
            }
        }
        self.batch.insert(rows::STATE.to_vec(), Some(rows::pack(&self.state)?));
        self.keys.apply(self.batch)?;
        Ok((self.state, self.released))
    }

    /// What an entry at this place of the journal changes.
    pub(in crate::feedback) fn entry(&mut self, at: Pointer, entry: &Entry) -> Result<(), IndexError> {
        match entry {
            Entry::Feedback(feedback) => self.feedback(at, feedback)?,
            Entry::Collected(collected) => self.collected(at, collected)?,
            Entry::Exported(exported) => {
                exported.frames.iter().try_for_each(|frame| self.exported(*frame))?;
            }
            Entry::Removed(removed) => self.removed(removed.frame)?,
            Entry::Withdrawn(withdrawn) => self.withdrawn(withdrawn.feedback)?,
        }
        self.state.counts.entries += 1;
        self.state.next = at.after();
        self.state.last = Some(at);
        Ok(())
    }

    fn get<T: serde::de::DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, IndexError> {
        match self.batch.get(key) {
            Some(value) => value.as_deref().map(rows::unpack).transpose(),
            None => self.keys.get(key)?.as_deref().map(rows::unpack).transpose(),
        }
    }

    fn put(&mut self, key: Vec<u8>, row: &impl serde::Serialize) -> Result<(), IndexError> {
        self.batch.insert(key, Some(rows::pack(row)?));
        Ok(())
    }

    fn remove(&mut self, key: Vec<u8>) {
        self.batch.insert(key, None);
    }

    /// Every key that begins so, with what is not yet in the index.
    fn keys_of(&self, start: &[u8]) -> Result<Vec<Vec<u8>>, IndexError> {
        let mut keys = Vec::new();
        let mut range = prefix(start);
        let pending = self.batch.range(range.clone());
        loop {
            let page = self.keys.page(range.clone(), Order::Ascending, PAGE)?;
            let full = page.len() == PAGE;
            keys.extend(page.into_iter().map(|(key, _)| key).filter(|key| !self.batch.contains_key(key)));
            match keys.last() {
                Some(last) if full => range.start = [last.as_slice(), &[0]].concat(),
                _ => break,
            }
        }
        keys.extend(pending.filter(|(_, value)| value.is_some()).map(|(key, _)| key.clone()));
        Ok(keys)
    }

    fn feedback(&mut self, at: Pointer, feedback: &Feedback) -> Result<(), IndexError> {
        let key = rows::feedback(feedback.id);
        if self.get::<FeedbackRow>(&key)?.is_some() {
            return Ok(());
        }
        let by = feedback.by.as_deref();
        let sender = feedback.sender_id.as_deref().map(|id| rows::hash(&[by, Some(id)]));
        let mut row = FeedbackRow {
            at,
            frame: feedback.frame.to_bytes(),
            given_ms: feedback.at.as_millisecond(),
            imported: feedback.imported_at.is_some(),
            standing: true,
            withdrawn: false,
            by: feedback.by.clone(),
            label: feedback.statement.label().to_owned(),
            model: feedback.sighting.model.name.clone(),
            camera: feedback.sighting.camera.clone(),
            sender,
        };
        let existing = self.get::<FrameRow>(&rows::frame(feedback.frame))?;
        let waited = existing.as_ref().is_some_and(|frame| frame.standing == 0);
        let mut frame = existing.unwrap_or_default();
        let was_labelled = frame.standing > 0;
        self.attach(&mut frame, &feedback.blob)?;

        let opinion = rows::opinion(feedback.frame, by);
        if let Some(id) = self.get::<[u8; 16]>(&opinion)? {
            let before = rows::feedback(Ulid::from_bytes(id));
            if let Some(mut earlier) = self.get::<FeedbackRow>(&before)? {
                if row.replaces(&earlier) {
                    earlier.standing = false;
                    self.stand(&mut frame, &earlier, false)?;
                    self.put(before, &earlier)?;
                } else {
                    row.standing = false;
                }
            }
        }
        if row.standing {
            self.put(opinion, &feedback.id.to_bytes())?;
            self.stand(&mut frame, &row, true)?;
            // What was exported does not say this.
            self.forget_export(feedback.frame, &mut frame)?;
        }
        if waited {
            self.end_of_waiting(feedback.frame, &frame)?;
        }
        if !was_labelled {
            self.state.counts.labelled += 1;
        }
        if let Some(sender) = sender {
            self.put(rows::sender(&sender), &feedback.id.to_bytes())?;
        }
        self.put(rows::said(feedback.frame, feedback.id), &())?;
        self.put(rows::frame(feedback.frame), &frame)?;
        self.put(key, &row)?;
        self.state.counts.feedback += 1;
        Ok(())
    }

    fn collected(&mut self, at: Pointer, collected: &Collected) -> Result<(), IndexError> {
        let key = rows::frame(collected.frame);
        let existing = self.get::<FrameRow>(&key)?;
        let waited = existing.as_ref().is_some_and(|frame| frame.standing == 0);
        let mut frame = existing.unwrap_or_default();
        if frame.collected.is_none() {
            // From here on it waits for another reason.
            if waited {
                self.end_of_waiting(collected.frame, &frame)?;
            }
            frame.collected = Some((at, collected.reason.clone()));
            if frame.standing == 0 {
                self.wait(collected.frame, &frame)?;
            }
            if let Some(camera) = &collected.sighting.camera {
                let row = CollectedRow { day: rows::day_of(collected.at), hash: collected.hash.map(|hash| hash.0) };
                self.put(rows::kept(camera, Some(collected.frame)), &row)?;
            }
            self.count(rows::day(rows::day_of(collected.at)), true)?;
        }
        self.attach(&mut frame, &collected.blob)?;
        self.put(key, &frame)
    }

    fn exported(&mut self, id: Ulid) -> Result<(), IndexError> {
        let key = rows::frame(id);
        match self.get::<FrameRow>(&key)? {
            // An unlabelled frame goes first anyway.
            Some(mut frame) if frame.standing > 0 && !frame.exported => {
                frame.exported = true;
                self.state.counts.exported += 1;
                self.put(rows::exported(id), &())?;
                self.put(key, &frame)
            }
            _ => Ok(()),
        }
    }

    fn removed(&mut self, id: Ulid) -> Result<(), IndexError> {
        let key = rows::frame(id);
        let Some(mut frame) = self.get::<FrameRow>(&key)? else { return Ok(()) };
        let was_labelled = frame.standing > 0;
        self.forget_export(id, &mut frame)?;
        for said in self.keys_of(&rows::said(id, Ulid::nil())[..17])? {
            let said_id = rows::last_id(&said)?;
            let feedback = rows::feedback(said_id);
            if let Some(row) = self.get::<FeedbackRow>(&feedback)? {
                less(&mut self.state.counts.feedback, 1)?;
                if row.standing {
                    self.stand(&mut frame, &row, false)?;
                    self.remove(rows::opinion(id, row.by.as_deref()));
                }
                self.forget_sender(said_id, &row)?;
            }
            self.remove(feedback);
            self.remove(said);
        }
        if was_labelled {
            less(&mut self.state.counts.labelled, 1)?;
        } else {
            self.end_of_waiting(id, &frame)?;
        }
        for blob in &frame.blobs {
            self.release(&blob.unpack()?)?;
        }
        self.remove(key);
        Ok(())
    }

    /// A statement is taken back: then that of its sender stands which would if it had never been made.
    fn withdrawn(&mut self, id: Ulid) -> Result<(), IndexError> {
        let key = rows::feedback(id);
        let Some(mut row) = self.get::<FeedbackRow>(&key)?.filter(|row| !row.withdrawn) else { return Ok(()) };
        let frame_id = Ulid::from_bytes(row.frame);
        let Some(mut frame) = self.get::<FrameRow>(&rows::frame(frame_id))? else { return Ok(()) };
        row.withdrawn = true;
        self.put(key, &row)?;
        // The same, sent again, is said anew.
        self.forget_sender(id, &row)?;
        let opinion = rows::opinion(frame_id, row.by.as_deref());
        let before = self.get::<[u8; 16]>(&opinion)?.map(Ulid::from_bytes);
        let after = self.last_word(frame_id, row.by.as_deref())?;
        if before == after {
            return Ok(());
        }
        if let Some(before) = before {
            self.set_standing(&mut frame, before, false)?;
        }
        match after {
            Some(after) => {
                self.set_standing(&mut frame, after, true)?;
                self.put(opinion, &after.to_bytes())?;
            }
            None => self.remove(opinion),
        }
        // What was exported still says it.
        self.forget_export(frame_id, &mut frame)?;
        if frame.standing == 0 {
            less(&mut self.state.counts.labelled, 1)?;
            self.wait(frame_id, &frame)?;
        }
        self.put(rows::frame(frame_id), &frame)
    }

    /// The statement of a sender about a frame that stands when those that were taken back had never been made. All are gone
    /// through in the order of the journal: by which of two imported ones stands, that is not always the one before.
    fn last_word(&self, frame: Ulid, by: Option<&str>) -> Result<Option<Ulid>, IndexError> {
        let mut said = Vec::new();
        for key in self.keys_of(&rows::said(frame, Ulid::nil())[..17])? {
            let id = rows::last_id(&key)?;
            let row = self.get::<FeedbackRow>(&rows::feedback(id))?;
            said.extend(row.filter(|row| !row.withdrawn && row.by.as_deref() == by).map(|row| (id, row)));
        }
        said.sort_by_key(|(_, row)| row.at.sequence);
        let last = said.into_iter().reduce(|last, next| if next.1.replaces(&last.1) { next } else { last });
        Ok(last.map(|(id, _)| id))
    }

    fn set_standing(&mut self, frame: &mut FrameRow, id: Ulid, stands: bool) -> Result<(), IndexError> {
        let key = rows::feedback(id);
        let Some(mut row) = self.get::<FeedbackRow>(&key)? else { return Ok(()) };
        row.standing = stands;
        self.stand(frame, &row, stands)?;
        self.put(key, &row)
    }

    /// A statement is not found any more by its sender's id, unless that was used again since, for something else.
    fn forget_sender(&mut self, id: Ulid, row: &FeedbackRow) -> Result<(), IndexError> {
        if let Some(key) = row.sender.map(|sender| rows::sender(&sender))
            && self.get(&key)? == Some(id.to_bytes())
        {
            self.remove(key);
        }
        Ok(())
    }

    /// A frame without a label waits for one.
    fn wait(&mut self, id: Ulid, frame: &FrameRow) -> Result<(), IndexError> {
        self.put(rows::unlabelled(id), &())?;
        self.state.counts.unlabelled += 1;
        self.count(rows::reason(frame.reason()), true)
    }

    /// A frame without a label gets one, or goes.
    fn end_of_waiting(&mut self, id: Ulid, frame: &FrameRow) -> Result<(), IndexError> {
        self.remove(rows::unlabelled(id));
        less(&mut self.state.counts.unlabelled, 1)?;
        self.count(rows::reason(frame.reason()), false)
    }

    fn forget_export(&mut self, id: Ulid, frame: &mut FrameRow) -> Result<(), IndexError> {
        if std::mem::take(&mut frame.exported) {
            self.remove(rows::exported(id));
            less(&mut self.state.counts.exported, 1)?;
        }
        Ok(())
    }

    /// A statement begins or ceases to stand.
    fn stand(&mut self, frame: &mut FrameRow, row: &FeedbackRow, stands: bool) -> Result<(), IndexError> {
        if stands {
            frame.standing += 1;
            self.state.counts.standing += 1;
        } else {
            frame.standing = frame.standing.saturating_sub(1);
            less(&mut self.state.counts.standing, 1)?;
        }
        self.count(rows::count(&row.model, &row.label), stands)
    }

    /// One more under this key, or one less; none is no row.
    fn count(&mut self, key: Vec<u8>, more: bool) -> Result<(), IndexError> {
        let count = self.get::<u64>(&key)?.unwrap_or(0);
        if more {
            return self.put(key, &(count + 1));
        }
        if count > 1 {
            return self.put(key, &(count - 1));
        }
        self.remove(key);
        Ok(())
    }

    fn attach(&mut self, frame: &mut FrameRow, blob: &BlobRef) -> Result<(), IndexError> {
        let packed = PackedBlob::from(blob);
        if frame.blobs.contains(&packed) {
            return Ok(());
        }
        frame.blobs.push(packed);
        let key = rows::blob(&blob.sha256);
        let row = self.get::<BlobRow>(&key)?;
        if row.is_none() {
            self.state.counts.blobs += 1;
            self.state.counts.blob_bytes += blob.bytes;
        }
        let row = row.unwrap_or(BlobRow { frames: 0, bytes: blob.bytes });
        self.put(key, &BlobRow { frames: row.frames + 1, ..row })
    }

    fn release(&mut self, blob: &BlobRef) -> Result<(), IndexError> {
        let key = rows::blob(&blob.sha256);
        let Some(row) = self.get::<BlobRow>(&key)? else { return Ok(()) };
        if row.frames > 1 {
            return self.put(key, &BlobRow { frames: row.frames - 1, ..row });
        }
        less(&mut self.state.counts.blobs, 1)?;
        less(&mut self.state.counts.blob_bytes, row.bytes)?;
        self.released.insert(blob.sha256, *blob);
        self.remove(key);
        Ok(())
    }
}

/// A counter that would fall below zero was not what was counted.
fn less(counter: &mut u64, by: u64) -> Result<(), IndexError> {
    *counter = counter.checked_sub(by).ok_or_else(|| IndexError::Unusable("its counters do not add up".to_owned()))?;
    Ok(())
}
