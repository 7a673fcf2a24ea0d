//! Keeping within the size that was allowed.

use std::collections::HashSet;

use ulid::Ulid;

use super::plan::Plan;
use super::{Event, Inner, Receipt, Refusal, Store, StoreError, sizes};
use crate::feedback::index::rows::{self, FrameRow, State};
use crate::feedback::index::{IndexError, Keys, Order, prefix};
use crate::feedback::record::Entry;
use crate::feedback::view::get;

/// What an entry costs in journal and index, bytes: measured, and a little more.
const ENTRY: u64 = 2048;
/// The size of index and of what was moved aside is looked up again after so many entries.
const MEASURE_AFTER: u64 = 512;
/// When frames have to go, a little more goes than is needed, so that it is not every batch that waits for it: one in so
/// many of the bytes that are allowed.
const SPARE: u64 = 100;

/// Who may go, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unlabelled,
    Exported,
    Labelled,
}

impl Store {
    /// Removes frames until a batch fits, or takes out of it what does not fit.
    pub(super) fn make_room(&self, inner: &mut Inner, keys: &dyn Keys, plan: &mut Plan) -> Result<(), StoreError> {
        let max = inner.options.max_bytes;
        let needed = plan.bytes();
        let used = self.used(inner, keys)?;
        if used + needed <= max || plan.entries.is_empty() {
            return Ok(());
        }
        let batch: HashSet<Ulid> = plan.entries.iter().filter_map(frame_of).collect();
        let wanted = used + needed + max / SPARE - max;
        let least = used + needed - max;
        let mut candidates = Vec::new();
        let mut freed = 0;
        for kind in [Kind::Unlabelled, Kind::Exported, Kind::Labelled] {
            let allowed = match kind {
                Kind::Unlabelled => true,
                // What nobody has looked at yet never takes the place of what somebody said.
                Kind::Exported => plan.has_feedback(),
                Kind::Labelled => plan.has_feedback() && inner.options.drop_labelled,
            };
            if allowed && freed < wanted {
                freed += self.watch(collect(keys, kind, &batch, wanted - freed, &mut candidates))?;
            }
        }
        if freed < least {
            // Removing them would not help the whole batch; without, a part of it may fit.
            plan.cut((max + freed).saturating_sub(used));
            if plan.entries.is_empty() {
                return Ok(());
            }
        }
        let frames: Vec<Ulid> = candidates.iter().map(|(frame, _, _)| *frame).collect();
        if frames.is_empty() {
            return Ok(());
        }
        self.remove_from(inner, keys, &frames, "room")?;
        let count = |labelled: bool| candidates.iter().filter(|c| (c.1 != Kind::Unlabelled) == labelled).count() as u64;
        (self.observe)(Event::Removed {
            unlabelled: count(false),
            labelled: count(true),
            bytes: candidates.iter().map(|c| c.2).sum(),
        });
        Ok(())
    }

    /// Everything on disk, bytes.
    fn used(&self, inner: &mut Inner, keys: &dyn Keys) -> Result<u64, StoreError> {
        let beside = match inner.measured {
            Some((bytes, since)) if since < MEASURE_AFTER => bytes,
            _ => {
                let sizes = sizes(&self.view.dir);
                inner.measured = Some((sizes.index + sizes.aside, 0));
                sizes.index + sizes.aside
            }
        };
        let state: Option<State> = self.watch(get(keys, rows::STATE).map_err(StoreError::from))?;
        Ok(beside + inner.writer.bytes() + state.map_or(0, |state| state.counts.blob_bytes))
    }
}

/// Finds frames of a kind, the oldest first, until their pictures have so many bytes. Returns how many they have.
fn collect(
    keys: &dyn Keys,
    kind: Kind,
    batch: &HashSet<Ulid>,
    wanted: u64,
    candidates: &mut Vec<(Ulid, Kind, u64)>,
) -> Result<u64, StoreError> {
    let tag = match kind {
        Kind::Unlabelled => b'u',
        Kind::Exported => b'x',
        Kind::Labelled => b'f',
    };
    let mut range = prefix(&[tag]);
    let mut freed = 0;
    loop {
        let pairs = keys.page(range.clone(), Order::Ascending, 256)?;
        let Some((last, _)) = pairs.last() else { return Ok(freed) };
        range.start = [last.as_slice(), &[0]].concat();
        for (key, _) in &pairs {
            let frame = rows::last_id(key)?;
            let Some(row) = get::<FrameRow>(keys, &rows::frame(frame))? else { continue };
            if batch.contains(&frame) || (kind == Kind::Labelled && (row.exported || row.standing == 0)) {
                continue;
            }
            let bytes = pictures(keys, &row)?;
            freed += bytes;
            candidates.push((frame, kind, bytes));
            if freed >= wanted {
                return Ok(freed);
            }
        }
    }
}

/// What the pictures of a frame take that no other frame needs, bytes.
fn pictures(keys: &dyn Keys, row: &FrameRow) -> Result<u64, IndexError> {
    let mut bytes = 0;
    for blob in &row.blobs {
        let blob = blob.unpack()?;
        let alone = get::<rows::BlobRow>(keys, &rows::blob(&blob.sha256))?.is_some_and(|row| row.frames == 1);
        bytes += if alone { blob.bytes } else { 0 };
    }
    Ok(bytes)
}

fn frame_of(entry: &Entry) -> Option<Ulid> {
    match entry {
        Entry::Feedback(feedback) => Some(feedback.frame),
        Entry::Collected(collected) => Some(collected.frame),
        Entry::Exported(_) | Entry::Removed(_) | Entry::Withdrawn(_) => None,
    }
}

impl Plan {
    fn bytes(&self) -> u64 {
        self.pictures.iter().map(|(blob, _)| blob.bytes).sum::<u64>() + self.entries.len() as u64 * ENTRY
    }

    fn has_feedback(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry, Entry::Feedback(_)))
    }

    /// Keeps as many items as fit into so many bytes, statements before frames that wait for one, and refuses the rest.
    fn cut(&mut self, room: u64) {
        let bytes: std::collections::HashMap<_, _> =
            self.pictures.iter().map(|(blob, _)| (blob.sha256, blob.bytes)).collect();
        let mut paid = HashSet::new();
        let mut left = room;
        let mut keep = vec![false; self.entries.len()];
        for feedback in [true, false] {
            for (entry, keep) in self.entries.iter().zip(&mut keep) {
                let (is_feedback, blob) = match entry {
                    Entry::Feedback(feedback) => (true, feedback.blob),
                    Entry::Collected(collected) => (false, collected.blob),
                    Entry::Exported(_) | Entry::Removed(_) | Entry::Withdrawn(_) => continue,
                };
                if is_feedback != feedback {
                    continue;
                }
                let picture =
                    if paid.contains(&blob.sha256) { 0 } else { bytes.get(&blob.sha256).copied().unwrap_or(0) };
                if let Some(rest) = left.checked_sub(ENTRY + picture) {
                    left = rest;
                    paid.insert(blob.sha256);
                    *keep = true;
                }
            }
        }
        let twins = self.twins.iter().map(|(receipt, entry)| (receipt, keep.get(*entry).copied().unwrap_or(false)));
        for (receipt, keep) in self.receipt_of.iter().zip(keep.iter().copied()).chain(twins) {
            if !keep && let Some(receipt) = self.receipts.get_mut(*receipt) {
                *receipt = Receipt::Refused(Refusal::Full);
            }
        }
        let mut kept = keep.iter();
        self.entries.retain(|_| kept.next().copied().unwrap_or(false));
        let mut kept = keep.iter();
        self.receipt_of.retain(|_| kept.next().copied().unwrap_or(false));
        self.pictures.retain(|(blob, _)| paid.contains(&blob.sha256));
    }
}
