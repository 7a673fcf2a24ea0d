//! What becomes of things, each outcome with its name in metrics.

use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};

use crate::feedback::collect::{Reason, Skip};

/// Why a frame gave no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Drop {
    /// A newer frame of the same camera took its place before its turn came.
    Replaced,
    /// It was older than `inference.max_age_ms` when its turn came.
    TooOld,
    /// Waiting frames already held `inference.queue_bytes`.
    QueueFull,
    /// A new camera beyond `inference.max_cameras`.
    TooManyCameras,
    /// Its topic gives no usable camera name.
    BadTopic,
    /// It is no image, or one beyond the limits.
    Undecodable,
    /// The network failed on it.
    Failed,
    /// Its result could not be handed to the broker's connection.
    Unpublished,
    /// The broker kept it from an earlier time, and the source does not want such frames.
    Retained,
    /// It waited when the node was asked to stop.
    Stopping,
    /// Its model has learnt nothing yet.
    Unlearnt,
}

impl Drop {
    /// Every reason, in the order of the path of a frame.
    pub const ALL: [Self; 11] = [
        Self::Retained,
        Self::BadTopic,
        Self::TooManyCameras,
        Self::QueueFull,
        Self::Replaced,
        Self::Stopping,
        Self::TooOld,
        Self::Undecodable,
        Self::Failed,
        Self::Unlearnt,
        Self::Unpublished,
    ];

    /// Its name in metrics and stats.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::TooOld => "too_old",
            Self::QueueFull => "queue_full",
            Self::TooManyCameras => "too_many_cameras",
            Self::BadTopic => "bad_topic",
            Self::Undecodable => "undecodable",
            Self::Failed => "failed",
            Self::Unpublished => "unpublished",
            Self::Retained => "retained",
            Self::Stopping => "stopping",
            Self::Unlearnt => "unlearnt",
        }
    }
}

/// How a frame that needs no look is like the one that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Likeness {
    /// It is the same image, byte by byte.
    Identical,
    /// Its centre view hardly differs.
    Alike,
}

impl Likeness {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Identical, Self::Alike];

    /// Its name in metrics and stats.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identical => "identical",
            Self::Alike => "alike",
        }
    }
}

/// A step of the path of a frame, timed for each result that took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// From receipt until a worker takes it.
    Queue,
    /// From payload bytes to the network's input.
    Decode,
    /// The network.
    Infer,
    /// Scores to ranked classes.
    Post,
}

impl Stage {
    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Decode => "decode",
            Self::Infer => "infer",
            Self::Post => "post",
        }
    }
}

/// What became of a classification request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestOutcome {
    /// Answered with classes.
    Answered,
    /// Answered with an error.
    Refused,
    /// Not answered: it does not say where to, or the connection did not take the answer.
    Unanswerable,
}

impl RequestOutcome {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Answered, Self::Refused, Self::Unanswerable];

    /// Its name in metrics and stats.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Unanswerable => "unanswerable",
        }
    }
}

/// What became of a feedback message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FeedbackOutcome {
    /// It is on disk.
    Stored,
    /// It was on disk already: a resend.
    Known,
    /// It was refused for good.
    Refused,
    /// It was for another node.
    Elsewhere,
}

impl FeedbackOutcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Stored, Self::Known, Self::Refused, Self::Elsewhere];

    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Known => "known",
            Self::Refused => "refused",
            Self::Elsewhere => "elsewhere",
        }
    }
}

/// Labels are written by their names.
macro_rules! encode_by_name {
    ($($kind:ty),*) => {$(
        impl EncodeLabelValue for $kind {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
                self.name().encode(encoder)
            }
        }
    )*};
}

encode_by_name!(Drop, Likeness, Stage, RequestOutcome, FeedbackOutcome, Reason, Skip);
