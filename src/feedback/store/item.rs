//! What can be stored, and what became of it.

use std::sync::OnceLock;

use bytes::Bytes;
use jiff::Timestamp;
use ulid::Ulid;

use crate::classify::dhash::PictureHash;
use crate::feedback::record::{BlobRef, Sighting, Statement, Via};
use crate::frame::decode::Format;

/// A picture that comes with an item. It is hashed once, and only when that is asked for: what is refused never is.
#[derive(Clone, Debug)]
pub struct Picture {
    bytes: Bytes,
    format: Format,
    blob: OnceLock<BlobRef>,
}

impl Picture {
    /// Of these bytes, which are in this format.
    #[must_use]
    pub fn new(bytes: Bytes, format: Format) -> Self {
        Self { bytes, format, blob: OnceLock::new() }
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Its name and size, as it is stored.
    #[must_use]
    pub fn blob(&self) -> BlobRef {
        *self.blob.get_or_init(|| BlobRef::of(&self.bytes, self.format))
    }
}

impl PartialEq for Picture {
    fn eq(&self, other: &Self) -> bool {
        (&self.bytes, self.format) == (&other.bytes, other.format)
    }
}

impl Eq for Picture {}

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
    /// How far the best score was above the second.
    pub margin: Option<f32>,
    /// What its picture is compared by.
    pub hash: Option<PictureHash>,
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
