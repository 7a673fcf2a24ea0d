//! What questions to a store are made of, and what answers.

use std::collections::BTreeMap;

use serde::Serialize;
use ulid::Ulid;

use crate::classify::dhash::PictureHash;
use crate::feedback::index::rows::{FeedbackRow, FrameRow};
use crate::feedback::record::{BlobRef, Collected, Feedback, Sighting, WITHDRAWN};

/// All that is known of a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameRecord {
    /// The frame.
    pub frame: Ulid,
    /// How it came to be kept without a statement, if it was.
    pub collected: Option<Collected>,
    /// All statements about it, the oldest first, also those that were taken back.
    pub feedback: Vec<Said>,
    /// Its picture.
    pub blob: Option<BlobRef>,
    /// Exported since the last statement.
    pub exported: bool,
}

impl FrameRecord {
    /// What it is said to show: the latest statement that stands.
    #[must_use]
    pub fn says(&self) -> Option<&Feedback> {
        let standing = self.feedback.iter().filter(|said| said.standing).map(|said| &said.feedback);
        standing.max_by_key(|feedback| (feedback.at, feedback.id))
    }

    /// As what it waits for a label, if nothing that stands is said of it: as it was collected, or else as what was taken back
    /// left it.
    #[must_use]
    pub fn waits(&self) -> Option<Collected> {
        if self.feedback.iter().any(|said| said.standing) {
            return None;
        }
        let left = || {
            let Feedback { frame, at, sighting, .. } = self.feedback.first()?.feedback.clone();
            let blob = self.blob?;
            Some(Collected { frame, at, reason: WITHDRAWN.to_owned(), margin: None, hash: None, sighting, blob })
        };
        self.collected.clone().or_else(left)
    }

    /// What was known of it when it was collected, or when somebody first said something about it.
    #[must_use]
    pub fn sighting(&self) -> Option<&Sighting> {
        let first = self.feedback.first().map(|said| &said.feedback.sighting);
        self.collected.as_ref().map(|collected| &collected.sighting).or(first)
    }
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// What was said.
    pub feedback: Feedback,
    /// No later statement of the same sender about the same frame has replaced it, and it was not taken back.
    pub standing: bool,
    /// It was taken back.
    pub withdrawn: bool,
}

/// Which statements are wanted. The default wants all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// With this label.
    pub label: Option<String>,
    /// By this sender.
    pub by: Option<String>,
    /// From this camera.
    pub camera: Option<String>,
    /// About this model's classes.
    pub model: Option<String>,
    /// Not those that a later one replaced or that were taken back.
    pub standing: bool,
}

/// Which frames are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {
    /// All.
    All,
    /// With a statement that stands.
    Labelled,
    /// With a statement that stands and was not exported yet.
    NotExported,
    /// Without one: collected, or all that was said was taken back.
    Unlabelled,
}

impl Frames {
    /// What the keys begin with under which they are found.
    pub(super) fn tag(self) -> u8 {
        if self == Self::Unlabelled { b'u' } else { b'f' }
    }

    pub(super) fn wants(self, row: &FrameRow) -> bool {
        match self {
            Self::All | Self::Unlabelled => true,
            Self::Labelled => row.standing > 0,
            Self::NotExported => row.standing > 0 && !row.exported,
        }
    }
}

/// That a frame was collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptFrame {
    /// On which day, counted from 1970, in UTC.
    pub day: i64,
    /// What its picture is compared by.
    pub hash: Option<PictureHash>,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page goes on; `None` at the end.
    pub next: Option<Ulid>,
    /// Items that the index knows, and that can't be read in the journal any more.
    pub unreadable: u64,
}

/// What is in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Frames with a standing statement.
    pub labelled: u64,
    /// Frames that wait for a label.
    pub unlabelled: u64,
    /// Labelled frames that were exported since the last statement.
    pub exported: u64,
    /// Statements, also those that a later one replaced or that were taken back.
    pub feedback: u64,
    /// Entries in the journal.
    pub journal_entries: u64,
    /// Everything on disk, bytes.
    pub bytes: u64,
    /// Of these, the journal.
    pub journal_bytes: u64,
    /// Of these, the pictures.
    pub blob_bytes: u64,
    /// Of these, the index.
    pub index_bytes: u64,
    /// Of these, what was moved aside because it was damaged.
    pub aside_bytes: u64,
    /// Frames that wait for a label, by why they were collected; `withdrawn` if they were not.
    pub by_reason: BTreeMap<String, u64>,
    /// Standing statements by label, over all models.
    pub by_label: BTreeMap<String, u64>,
    /// Standing statements by model and label.
    pub by_model: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Filter {
    pub(super) fn wants(&self, row: &FeedbackRow) -> bool {
        let is =
            |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|wanted| Some(wanted) == found);
        is(&self.label, Some(&row.label))
            && is(&self.by, row.by.as_deref())
            && is(&self.camera, row.camera.as_deref())
            && is(&self.model, Some(&row.model))
            && (row.standing || !self.standing)
    }
}
