//! What the journal says, entry by entry: JSON with a version, so that a person can read it with `strings` and a later
//! release can read what this one wrote.

mod blob;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::classify::dhash::PictureHash;
use crate::config::Crop;
use crate::model::Bundle;

pub use blob::{BlobRef, Sha256Error, Sha256Sum, extension, format_of};

/// The version of the entries this release writes, and the newest it reads. It grows only with a change that an older
/// release would misread; a field more is none, for readers pass over fields they do not know.
pub const VERSION: u32 = 1;

/// The kinds of entry, as their `kind` field names them.
const KINDS: [&str; 5] = ["feedback", "collected", "exported", "removed", "withdrawn"];

/// Why a frame waits for a label that was not collected: all that was said about it was taken back.
pub const WITHDRAWN: &str = "withdrawn";

/// Why bytes of an intact journal frame are no entry.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Written by a later release.
    #[error("the entry has version {found}, this release reads up to {VERSION}: it was written by a newer one")]
    Version {
        /// The entry's version.
        found: u32,
    },
    /// A kind that this release does not have. Passing over it could lose what it says, so it stops the reader.
    #[error("the entry is of the unknown kind {kind:?}: it was written by a newer release")]
    Kind {
        /// Its kind.
        kind: String,
    },
    /// No JSON, or a field is missing or of the wrong type.
    #[error("the entry can't be read")]
    Json(#[from] serde_json::Error),
}

/// One thing that happened to the store. The journal is the list of all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// Somebody said what a frame shows.
    Feedback(Feedback),
    /// A frame was kept because it is worth a label.
    Collected(Collected),
    /// Frames were written out, and may go when room is needed.
    Exported(Exported),
    /// A frame and all that was said about it was removed.
    Removed(Removed),
    /// Somebody took back what was said.
    Withdrawn(Withdrawn),
}

/// A statement about a frame, with all that was known about it at that moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Feedback {
    /// Unique, and in order of acceptance.
    pub id: Ulid,
    /// The frame it is about.
    pub frame: Ulid,
    /// The sender's own id, by which a resend is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_id: Option<String>,
    /// Who said it. Without it, all such senders count as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When it was received.
    pub at: Timestamp,
    /// How it was received.
    pub via: Via,
    /// What was said.
    pub statement: Statement,
    /// The frame, as the daemon saw it.
    #[serde(flatten)]
    pub sighting: Sighting,
    /// The picture.
    pub blob: BlobRef,
    /// When it was brought in from another store's export, if it was. Such a statement never takes the place of one that
    /// the same sender made later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported_at: Option<Timestamp>,
}

/// A frame that waits for a label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Collected {
    /// The frame.
    pub frame: Ulid,
    /// When it was kept.
    pub at: Timestamp,
    /// Why: `unknown`, `margin`, `views`, `disagreement`, or whatever a later release writes.
    pub reason: String,
    /// How far the best score was above the second, if there were two.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "finite_if_any")]
    pub margin: Option<f32>,
    /// What the picture is compared by with others of its camera.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<PictureHash>,
    /// The frame, as the daemon saw it.
    #[serde(flatten)]
    pub sighting: Sighting,
    /// The picture.
    pub blob: BlobRef,
}

/// Frames that an export wrote out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exported {
    /// When.
    pub at: Timestamp,
    /// Which.
    pub frames: Vec<Ulid>,
}

/// A frame that is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Removed {
    /// When.
    pub at: Timestamp,
    /// Which.
    pub frame: Ulid,
    /// Why, for example `room`.
    pub reason: String,
}

/// A statement that was taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// When.
    pub at: Timestamp,
    /// Which.
    pub feedback: Ulid,
}

/// What the daemon knew of a frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    /// The camera, unless it was a request without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera: Option<String>,
    /// The part of the frame that was looked at, if it was not all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<Crop>,
    /// The model that looked, or, if none did, whose labels are meant.
    pub model: ModelRef,
    /// What it saw, best first. Empty if it never saw the frame.
    #[serde(default)]
    pub predicted: Vec<Predicted>,
    /// When the picture was taken, if the sender said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured_at: Option<Timestamp>,
    /// When the frame was received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_at: Option<Timestamp>,
}

impl Sighting {
    /// Of a picture that no model of ours has seen; `model` is the one whose labels are meant.
    #[must_use]
    pub fn unseen(camera: Option<String>, model: ModelRef) -> Self {
        Self { camera, crop: None, model, predicted: Vec::new(), captured_at: None, received_at: None }
    }
}

/// One version of one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRef {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl From<&Bundle> for ModelRef {
    fn from(bundle: &Bundle) -> Self {
        Self { name: bundle.name.clone(), version: bundle.version.clone() }
    }
}

/// One class that a model named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Predicted {
    /// Index in the model's scores.
    pub class: u32,
    /// Its label at that time.
    pub label: String,
    /// Calibrated probability, 0 to 1. Single precision, so that decimal text and back is exact.
    #[serde(deserialize_with = "finite")]
    pub score: f32,
}

/// JSON has no word for infinity: one that came in by a number too large would be written as `null`, and could not be read
/// again.
fn finite<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    let score = f32::deserialize(deserializer)?;
    if score.is_finite() { Ok(score) } else { Err(serde::de::Error::custom("a score is too large to be a number")) }
}

fn finite_if_any<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<f32>, D::Error> {
    #[derive(Deserialize)]
    struct Finite(#[serde(deserialize_with = "finite")] f32);
    Ok(Option::<Finite>::deserialize(deserializer)?.map(|Finite(number)| number))
}

/// How a statement came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// The feedback topic.
    Mqtt,
    /// The web page or its API.
    Http,
    /// The command line.
    Cli,
    /// A folder or manifest that names no other way.
    Import,
}

/// What was said about a frame, as it was said: which of the three forms was used is itself worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "lowercase")]
pub enum Statement {
    /// A label by its name.
    Label {
        /// The name.
        label: String,
        /// The model's class of that name, if it had one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<u32>,
        /// The model had no such class.
        #[serde(default)]
        new_class: bool,
    },
    /// A label by its class.
    Class {
        /// The class.
        class: u32,
        /// The model's name for it.
        label: String,
    },
    /// "What you saw first is right".
    Correct {
        /// The class that was right.
        class: u32,
        /// The model's name for it.
        label: String,
    },
}

impl Statement {
    /// The label that is right according to it.
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Self::Label { label, .. } | Self::Class { label, .. } | Self::Correct { label, .. } => label,
        }
    }

    /// The class that is right according to it; `None` for a new one.
    #[must_use]
    pub fn class(&self) -> Option<u32> {
        match self {
            Self::Label { class, .. } => *class,
            Self::Class { class, .. } | Self::Correct { class, .. } => Some(*class),
        }
    }

    /// Whether the model did not know the label.
    #[must_use]
    pub fn new_class(&self) -> bool {
        matches!(self, Self::Label { new_class: true, .. })
    }
}

impl Entry {
    /// Its bytes for the journal.
    ///
    /// # Errors
    /// None in practice: text, finite numbers and lists only.
    pub fn to_json(&self) -> Result<Vec<u8>, RecordError> {
        #[derive(Serialize)]
        struct Versioned<'a> {
            v: u32,
            #[serde(flatten)]
            entry: &'a Entry,
        }
        Ok(serde_json::to_vec(&Versioned { v: VERSION, entry: self })?)
    }

    /// Reads what [`Entry::to_json`] wrote, in this release or an older one.
    ///
    /// # Errors
    /// [`RecordError`] that names the version or kind if it was written by a newer release.
    pub fn from_json(bytes: &[u8]) -> Result<Self, RecordError> {
        #[derive(Deserialize)]
        struct Head {
            v: u32,
            kind: String,
        }
        let head: Head = serde_json::from_slice(bytes)?;
        if head.v > VERSION {
            return Err(RecordError::Version { found: head.v });
        }
        if !KINDS.contains(&head.kind.as_str()) {
            return Err(RecordError::Kind { kind: head.kind });
        }
        Ok(serde_json::from_slice(bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feedback::testing;

    #[test]
    fn entries_survive_json() {
        let feedback = testing::feedback(7, Some("anna"), "ski");
        let entries = [
            Entry::Feedback(feedback.clone()),
            Entry::Feedback(Feedback {
                statement: Statement::Correct { class: 3, label: "zebra".into() },
                sender_id: Some("x-1".into()),
                imported_at: Some(Timestamp::UNIX_EPOCH),
                ..feedback
            }),
            Entry::Collected(testing::collected(8)),
            Entry::Collected(Collected { margin: None, hash: None, ..testing::collected(8) }),
            Entry::Exported(Exported { at: Timestamp::UNIX_EPOCH, frames: vec![Ulid(1), Ulid(2)] }),
            Entry::Removed(Removed { at: Timestamp::UNIX_EPOCH, frame: Ulid(1), reason: "room".into() }),
            Entry::Withdrawn(Withdrawn { at: Timestamp::UNIX_EPOCH, feedback: Ulid(1) }),
        ];
        for entry in entries {
            let json = entry.to_json().unwrap();
            assert_eq!(Entry::from_json(&json).unwrap(), entry, "{}", String::from_utf8_lossy(&json));
        }
    }

    #[test]
    fn a_score_that_could_not_be_written_again_is_refused() {
        let score = |text: &str| format!(r#"{{"class":1,"label":"ski","score":{text}}}"#);
        assert!(serde_json::from_str::<Predicted>(&score("0.5")).is_ok());
        let error = serde_json::from_str::<Predicted>(&score("1e39")).unwrap_err().to_string();
        assert!(error.contains("a score is too large"), "{error}");
        let json = String::from_utf8(Entry::Collected(testing::collected(8)).to_json().unwrap()).unwrap();
        let error = Entry::from_json(json.replace("0.6142", "1e39").as_bytes()).unwrap_err();
        assert!(format!("{error:?}").contains("a score is too large"), "{error:?}");
    }

    #[test]
    fn a_later_field_is_passed_over_a_later_kind_or_version_is_named() {
        let read = |json: &str| Entry::from_json(json.as_bytes());
        let more = r#"{"v":1,"kind":"exported","at":"2026-01-01T00:00:00Z","frames":[],"to":"/x"}"#;
        assert!(matches!(read(more), Ok(Entry::Exported(_))));
        let kind = read(r#"{"v":1,"kind":"merged"}"#).unwrap_err().to_string();
        assert!(kind.contains("\"merged\""), "{kind}");
        let version = read(r#"{"v":2,"kind":"feedback"}"#).unwrap_err().to_string();
        assert!(version.contains("version 2"), "{version}");
    }
}
