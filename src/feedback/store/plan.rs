//! What a batch will write, worked out before anything is written.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use ulid::Ulid;

use super::{Item, NewCollected, NewFeedback, Receipt, Refusal, StoreError};
use crate::feedback::blobs::Blobs;
use crate::feedback::index::Keys;
use crate::feedback::index::rows::{self, FeedbackRow, FrameRow};
use crate::feedback::journal::MAX_PAYLOAD;
use crate::feedback::record::{BlobRef, Collected, Entry, Feedback, Sha256Sum, Sighting};
use crate::feedback::view::{View, get};
use crate::frame::next_id;

/// An entry's texts may take half of what the journal allows; the rest is for everything around them.
const MAX_TEXT: usize = MAX_PAYLOAD / 2;

/// A batch, ready to be written.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) receipts: Vec<Receipt>,
    pub(super) entries: Vec<Entry>,
    /// The receipt of each entry.
    pub(super) receipt_of: Vec<usize>,
    /// Receipts of items that are the same as one before them in the batch, with the entry of that one.
    pub(super) twins: Vec<(usize, usize)>,
    /// To be written before the entries.
    pub(super) pictures: Vec<(BlobRef, Bytes)>,
}

struct Planner<'a> {
    view: &'a View,
    keys: &'a dyn Keys,
    blobs: &'a Blobs,
    plan: Plan,
    /// Frames that come with this batch.
    frames: HashMap<Ulid, (BlobRef, Sighting)>,
    /// Entries of this batch, by sender's key and by id.
    sent: HashMap<[u8; 16], usize>,
    ids: HashMap<Ulid, usize>,
    pictures: HashSet<Sha256Sum>,
}

pub(super) fn plan(view: &View, keys: &dyn Keys, blobs: &Blobs, items: Vec<Item>) -> Result<Plan, StoreError> {
    let mut planner = Planner {
        view,
        keys,
        blobs,
        plan: Plan::default(),
        frames: HashMap::new(),
        sent: HashMap::new(),
        ids: HashMap::new(),
        pictures: HashSet::new(),
    };
    for item in items {
        let receipt = match item {
            Item::Feedback(feedback) => planner.feedback(*feedback)?,
            Item::Collected(collected) => planner.collected(*collected)?,
        };
        planner.plan.receipts.push(receipt);
    }
    Ok(planner.plan)
}

impl Planner<'_> {
    fn feedback(&mut self, new: NewFeedback) -> Result<Receipt, StoreError> {
        if new.text() > MAX_TEXT {
            return Ok(Receipt::Refused(Refusal::TooLong));
        }
        let sender = new.sender_id.as_deref().map(|id| rows::hash(&[new.by.as_deref(), Some(id)]));
        if let Some(known) = self.known(&new, sender)? {
            return Ok(Receipt::Known { feedback: Some(known) });
        }
        let stored = self.frame(new.frame)?;
        let (blob, bytes) = match (stored.as_ref(), &new.picture) {
            (Some((blob, _)), _) if self.pictures.contains(&blob.sha256) || self.blobs.holds(blob) => (*blob, None),
            (_, Some(picture)) => (picture.blob(), Some(picture.bytes().clone())),
            // The picture is gone from the disk, but the statement need not be.
            (Some((blob, _)), None) => (*blob, None),
            (None, None) => return Ok(Receipt::Refused(Refusal::UnknownFrame)),
        };
        let Some(sighting) = new.sighting.or(stored.map(|(_, sighting)| sighting)) else {
            return Ok(Receipt::Refused(Refusal::UnknownFrame));
        };
        self.frames.entry(new.frame).or_insert_with(|| (blob, sighting.clone()));
        let id = new.id.unwrap_or_else(next_id);
        self.ids.insert(id, self.plan.entries.len());
        if let Some(sender) = sender {
            self.sent.insert(sender, self.plan.entries.len());
        }
        let feedback = Feedback {
            id,
            frame: new.frame,
            sender_id: new.sender_id,
            by: new.by,
            at: new.at,
            via: new.via,
            statement: new.statement,
            sighting,
            blob,
            imported_at: new.imported_at,
        };
        self.push(Entry::Feedback(feedback), blob, bytes)?;
        Ok(Receipt::Stored { feedback: Some(id) })
    }

    fn collected(&mut self, new: NewCollected) -> Result<Receipt, StoreError> {
        if new.reason.len() + text_of(&new.sighting) > MAX_TEXT {
            return Ok(Receipt::Refused(Refusal::TooLong));
        }
        let known = self.frames.contains_key(&new.frame) || self.keys.get(&rows::frame(new.frame))?.is_some();
        if known {
            return Ok(Receipt::Known { feedback: None });
        }
        let blob = new.picture.blob();
        self.frames.insert(new.frame, (blob, new.sighting.clone()));
        let NewCollected { frame, at, reason, margin, hash, sighting, picture } = new;
        let collected = Collected { frame, at, reason, margin, hash, sighting, blob };
        self.push(Entry::Collected(collected), blob, Some(picture.bytes().clone()))?;
        Ok(Receipt::Stored { feedback: None })
    }

    fn push(&mut self, entry: Entry, blob: BlobRef, bytes: Option<Bytes>) -> Result<(), StoreError> {
        if let Some(bytes) = bytes {
            // One that a frame needs and that is there was durable before that frame was. Any other is written, whatever
            // lies there under its name.
            let there = self.keys.get(&rows::blob(&blob.sha256))?.is_some() && self.blobs.holds(&blob);
            if !there && self.pictures.insert(blob.sha256) {
                self.plan.pictures.push((blob, bytes));
            }
        }
        self.plan.entries.push(entry);
        self.plan.receipt_of.push(self.plan.receipts.len());
        Ok(())
    }

    /// The statement that was stored when this one was sent before. A sender's id alone does not make a resend: a sender
    /// that counts from 1 again after a restart has something new to say.
    fn known(&mut self, new: &NewFeedback, sender: Option<[u8; 16]>) -> Result<Option<Ulid>, StoreError> {
        if let Some(id) = new.id {
            if let Some(entry) = self.ids.get(&id) {
                self.plan.twins.push((self.plan.receipts.len(), *entry));
                return Ok(Some(id));
            }
            if self.keys.get(&rows::feedback(id))?.is_some() {
                return Ok(Some(id));
            }
        }
        let Some(sender) = sender else { return Ok(None) };
        let same = |feedback: &Feedback| {
            feedback.frame == new.frame
                && feedback.statement == new.statement
                && feedback.by == new.by
                && feedback.sender_id == new.sender_id
        };
        if let Some(&entry) = self.sent.get(&sender) {
            let Some(Entry::Feedback(feedback)) = self.plan.entries.get(entry) else { return Ok(None) };
            if !same(feedback) {
                return Ok(None);
            }
            self.plan.twins.push((self.plan.receipts.len(), entry));
            return Ok(Some(feedback.id));
        }
        let Some(id) = get::<[u8; 16]>(self.keys, &rows::sender(&sender))? else { return Ok(None) };
        let Some(row) = get::<FeedbackRow>(self.keys, &rows::feedback(Ulid::from_bytes(id)))? else { return Ok(None) };
        Ok(match self.view.reader.read(&row.at) {
            Ok(Entry::Feedback(feedback)) if same(&feedback) => Some(feedback.id),
            // Unreadable: then it is better to have it twice than not at all.
            _ => None,
        })
    }

    /// The picture of a frame and what was seen, as far as the store or this batch has them.
    fn frame(&self, id: Ulid) -> Result<Option<(BlobRef, Sighting)>, StoreError> {
        if let Some(known) = self.frames.get(&id) {
            return Ok(Some(known.clone()));
        }
        let Some(row) = get::<FrameRow>(self.keys, &rows::frame(id))? else { return Ok(None) };
        let Some(blob) = row.blobs.last() else { return Ok(None) };
        let blob = blob.unpack()?;
        let sighting = match self.view.collected(&row) {
            Ok(Some(collected)) => Some(collected.sighting),
            _ => self.view.first_said(self.keys, id)?.map(|feedback| feedback.sighting),
        };
        Ok(sighting.map(|sighting| (blob, sighting)))
    }
}

impl NewFeedback {
    /// The length of all its texts, bytes.
    fn text(&self) -> usize {
        let own = self.sender_id.as_ref().map_or(0, String::len) + self.by.as_ref().map_or(0, String::len);
        own + self.statement.label().len() + self.sighting.as_ref().map_or(0, text_of)
    }
}

fn text_of(sighting: &Sighting) -> usize {
    let predicted: usize = sighting.predicted.iter().map(|class| class.label.len() + 64).sum();
    sighting.camera.as_ref().map_or(0, String::len)
        + sighting.model.name.len()
        + sighting.model.version.len()
        + predicted
}
