//! Questions about single images, which are answered whatever comes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::glance::Glance;
use super::{Received, Route};
use crate::classify::views::View;
use crate::model::Bundle;

/// A question about one image.
#[derive(Debug)]
pub struct Request {
    /// The message's payload.
    pub payload: Bytes,
    /// How it is to be read.
    pub route: Route,
    /// When it was received.
    pub received: Received,
    /// Who wants to know.
    pub asker: Asker,
}

/// Who wants to know.
#[derive(Debug)]
pub enum Asker {
    /// Somebody over MQTT. Without an address, the payload may have it.
    Mqtt(Option<Reply>),
    /// Somebody in this process.
    Caller(Caller),
}

/// Where an answer goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// MQTT topic.
    pub topic: String,
    /// MQTT 5 correlation data, given back as it came.
    pub correlation: Option<Bytes>,
}

impl Reply {
    /// To a topic, without correlation data: what MQTT 3.1.1 can do.
    #[must_use]
    pub fn to(topic: String) -> Self {
        Self { topic, correlation: None }
    }
}

/// Somebody in this process, who waits. Nothing at all comes if the node stops.
#[derive(Debug)]
pub struct Caller {
    /// Whether it wants to see what the network saw.
    pub pictures: bool,
    /// Takes the answer.
    pub answer: oneshot::Sender<Result<Answer, Refusal>>,
}

/// What was seen in the image.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The best classes.
    pub glance: Glance,
    /// The model that has looked.
    pub bundle: Arc<Bundle>,
    /// From receipt until its turn.
    pub queue: Duration,
    /// What the network saw, if that was asked.
    pub pictures: Arc<[ViewPicture]>,
}

/// What the network saw of the image.
#[derive(Clone, Debug)]
pub struct ViewPicture {
    /// Which part, and what was done to it.
    pub view: View,
    /// The pixels as the network got them, as a JPEG file.
    pub jpeg: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind of reason.
    pub kind: RefusalKind,
    /// In words.
    pub message: String,
}

/// Kinds of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// It is no image, or beyond the limits.
    Unusable,
    /// The model has learnt nothing yet.
    Unlearnt,
    /// Too many wait, or the node is stopping: another time.
    Later,
    /// The fault is ours.
    Failed,
}

impl RefusalKind {
    /// With this in words.
    #[must_use]
    pub fn because(self, message: impl ToString) -> Refusal {
        Refusal { kind: self, message: message.to_string() }
    }
}
