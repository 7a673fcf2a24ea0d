//! What the index holds under its keys.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use ulid::Ulid;

use super::IndexError;
use crate::feedback::journal::{Pointer, Position};
use crate::feedback::record::{BlobRef, Sha256Sum, WITHDRAWN, extension, format_of};

/// The version of keys and values. With another, the index is made again.
pub(in crate::feedback) const SCHEMA: u32 = 3;

pub(in crate::feedback) const STATE: &[u8] = b"m";

/// How far the index has come, and what it has counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::feedback) struct State {
    pub(in crate::feedback) schema: u32,
    /// The number of the store whose journal it follows.
    pub(in crate::feedback) store: u64,
    /// Where the journal goes on behind it.
    pub(in crate::feedback) next: Position,
    /// The last entry it knows: if that is not there, it follows another journal.
    pub(in crate::feedback) last: Option<Pointer>,
    pub(in crate::feedback) counts: Counts,
    /// The sum of [`digest`] over all other rows: whether they are those that were written.
    pub(in crate::feedback) digest: u64,
}

impl State {
    /// Of an index that has nothing yet.
    pub(in crate::feedback) fn new(store: u64) -> Self {
        Self { schema: SCHEMA, store, next: Position::default(), last: None, counts: Counts::default(), digest: 0 }
    }
}

/// Counters, each kept up to date with every batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::feedback) struct Counts {
    /// Entries of the journal.
    pub(in crate::feedback) entries: u64,
    /// Frames with a standing statement.
    pub(in crate::feedback) labelled: u64,
    /// Frames without: collected and not labelled yet, or all that was said about them was taken back.
    pub(in crate::feedback) unlabelled: u64,
    /// Of those labelled: exported since the last statement.
    pub(in crate::feedback) exported: u64,
    /// All statements.
    pub(in crate::feedback) feedback: u64,
    /// Statements that no later one of the same sender has replaced, and that were not taken back.
    pub(in crate::feedback) standing: u64,
    pub(in crate::feedback) blobs: u64,
    pub(in crate::feedback) blob_bytes: u64,
}

/// A frame.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::feedback) struct FrameRow {
    /// The entry that collected it, if it was collected, and why it was.
    pub(in crate::feedback) collected: Option<(Pointer, String)>,
    /// Its pictures: one, unless that was gone and feedback brought another.
    pub(in crate::feedback) blobs: Vec<PackedBlob>,
    /// How many statements stand.
    pub(in crate::feedback) standing: u32,
    /// Exported since the last statement.
    pub(in crate::feedback) exported: bool,
}

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::feedback) struct FeedbackRow {
    pub(in crate::feedback) at: Pointer,
    pub(in crate::feedback) frame: [u8; 16],
    /// When it was received, milliseconds since 1970.
    pub(in crate::feedback) given_ms: i64,
    /// It came from an export.
    pub(in crate::feedback) imported: bool,
    /// No later one of the same sender has replaced it, and it was not taken back.
    pub(in crate::feedback) standing: bool,
    /// It was taken back. It stays known, so that an export from before does not bring it again.
    pub(in crate::feedback) withdrawn: bool,
    pub(in crate::feedback) by: Option<String>,
    pub(in crate::feedback) label: String,
    pub(in crate::feedback) model: String,
    pub(in crate::feedback) camera: Option<String>,
    /// The key by which a resend finds it.
    pub(in crate::feedback) sender: Option<[u8; 16]>,
}

/// That a frame was collected on a camera. It stays when the frame goes: the day's budget is used all the same, and what
/// somebody has removed is not wanted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::feedback) struct CollectedRow {
    /// On which day.
    pub(in crate::feedback) day: i64,
    /// What its picture is compared by.
    pub(in crate::feedback) hash: Option<u64>,
}

impl FrameRow {
    /// Why it waits for a label, if it does.
    pub(in crate::feedback) fn reason(&self) -> &str {
        self.collected.as_ref().map_or(WITHDRAWN, |(_, reason)| reason)
    }
}

impl FeedbackRow {
    /// Whether it takes the place of a statement that the same sender made about the same frame, and that comes before it in
    /// the journal.
    pub(in crate::feedback) fn replaces(&self, earlier: &Self) -> bool {
        !self.imported || earlier.given_ms <= self.given_ms
    }
}

/// A picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::feedback) struct BlobRow {
    /// How many frames need it.
    pub(in crate::feedback) frames: u32,
    pub(in crate::feedback) bytes: u64,
}

/// A [`BlobRef`] in few bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::feedback) struct PackedBlob {
    sum: [u8; 32],
    bytes: u64,
    extension: String,
}

impl From<&BlobRef> for PackedBlob {
    fn from(blob: &BlobRef) -> Self {
        Self { sum: blob.sha256.0, bytes: blob.bytes, extension: extension(blob.format).to_owned() }
    }
}

impl PackedBlob {
    pub(in crate::feedback) fn unpack(&self) -> Result<BlobRef, IndexError> {
        let format = format_of(&self.extension)
            .ok_or_else(|| IndexError::Unusable(format!("unknown image format {:?}", self.extension)))?;
        Ok(BlobRef { sha256: Sha256Sum(self.sum), bytes: self.bytes, format })
    }
}

/// What a row adds to [`State::digest`]: FNV-1a, mixed so that sums do not cancel out. It stands against chance, not against
/// malice.
pub(in crate::feedback) fn digest(key: &[u8], value: &[u8]) -> u64 {
    let length = (key.len() as u64).to_le_bytes();
    let bytes = length.iter().chain(key).chain(value);
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
}

fn key(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![tag];
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

pub(in crate::feedback) fn frame(frame: Ulid) -> Vec<u8> {
    key(b'f', &[&frame.to_bytes()])
}

pub(in crate::feedback) fn feedback(id: Ulid) -> Vec<u8> {
    key(b'i', &[&id.to_bytes()])
}

pub(in crate::feedback) fn said(frame: Ulid, id: Ulid) -> Vec<u8> {
    key(b'h', &[&frame.to_bytes(), &id.to_bytes()])
}

pub(in crate::feedback) fn opinion(frame: Ulid, by: Option<&str>) -> Vec<u8> {
    key(b'o', &[&frame.to_bytes(), &hash(&[by])])
}

pub(in crate::feedback) fn sender(hash: &[u8; 16]) -> Vec<u8> {
    key(b's', &[hash])
}

pub(in crate::feedback) fn unlabelled(frame: Ulid) -> Vec<u8> {
    key(b'u', &[&frame.to_bytes()])
}

pub(in crate::feedback) fn exported(frame: Ulid) -> Vec<u8> {
    key(b'x', &[&frame.to_bytes()])
}

pub(in crate::feedback) fn blob(sum: &Sha256Sum) -> Vec<u8> {
    key(b'b', &[&sum.0])
}

pub(in crate::feedback) fn count(model: &str, label: &str) -> Vec<u8> {
    key(b'c', &[model.as_bytes(), &[0], label.as_bytes()])
}

/// How many frames wait for this reason.
pub(in crate::feedback) fn reason(reason: &str) -> Vec<u8> {
    key(b'r', &[reason.as_bytes()])
}

/// A frame that was collected on a camera; without a frame, what the keys of all of them begin with.
pub(in crate::feedback) fn kept(camera: &str, frame: Option<Ulid>) -> Vec<u8> {
    let frame = frame.map(|frame| frame.to_bytes());
    key(b'k', &[&hash(&[Some(camera)]), frame.as_ref().map_or(&[], |frame| frame)])
}

/// How many frames were collected on a day, on all cameras.
pub(in crate::feedback) fn day(day: i64) -> Vec<u8> {
    key(b'd', &[&day.to_be_bytes()])
}

/// The day of a moment, counted from 1970, in UTC: the same on every box, and never of 23 or 25 hours.
pub(in crate::feedback) fn day_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(24 * 60 * 60)
}

/// Short and of one length, whatever the texts are. `None` differs from every text.
pub(in crate::feedback) fn hash(texts: &[Option<&str>]) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update([u8::from(text.is_some())]);
        hasher.update((text.map_or(0, str::len) as u64).to_le_bytes());
        hasher.update(text.unwrap_or_default());
    }
    let mut short = [0; 16];
    short.copy_from_slice(&hasher.finalize()[..16]);
    short
}

/// The id in a key that ends with one.
pub(in crate::feedback) fn last_id(key: &[u8]) -> Result<Ulid, IndexError> {
    let id = key.last_chunk().ok_or_else(|| IndexError::Unusable("a key is too short".to_owned()))?;
    Ok(Ulid::from_bytes(*id))
}

pub(in crate::feedback) fn pack(row: &impl Serialize) -> Result<Vec<u8>, IndexError> {
    postcard::to_stdvec(row).map_err(|error| IndexError::Unusable(format!("can't write a row: {error}")))
}

pub(in crate::feedback) fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, IndexError> {
    postcard::from_bytes(bytes).map_err(|error| IndexError::Unusable(format!("can't read a row: {error}")))
}
