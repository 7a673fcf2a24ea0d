//! The path of a frame: intake → decode → classify → publish.

pub mod ask;
pub mod board;
pub mod decode;
pub mod exchange;
pub mod files;
pub mod glance;
pub mod intake;
pub mod jpeg;
pub mod payload;
pub mod pipeline;
pub mod publish;
pub mod repeats;
pub mod steps;
pub mod worker;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use jiff::Timestamp;
use ulid::Ulid;

use crate::config::{Crop, Encoding};

/// One image from one camera, as it arrived.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The name from its topic.
    pub camera: Arc<str>,
    /// The message's payload: image bytes, or what carries them.
    pub payload: Bytes,
    /// How it is to be read.
    pub route: Route,
    /// When it was received.
    pub received: Received,
}

/// How a payload is read and which model sees which part of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Route {
    /// What the payload is.
    pub encoding: Encoding,
    /// The part of the frame to look at.
    pub crop: Option<Crop>,
    /// Index of the model among those loaded.
    pub model: usize,
    /// Other nodes get frames of the same camera (a shared subscription).
    pub shared: bool,
}

impl Route {
    /// A picture's bytes, all of it, for the first model.
    pub const WHOLE: Self = Self { encoding: Encoding::Raw, crop: None, model: 0, shared: false };
}

/// The moment of receipt, on the monotonic clock and on the wall's, and the frame's identity made from it.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// Unique, and in order of time.
    pub id: Ulid,
    /// For ages.
    pub instant: Instant,
    /// For people.
    pub at: Timestamp,
}

impl Received {
    /// This moment.
    #[must_use]
    pub fn now() -> Self {
        Self { id: next_id(), instant: Instant::now(), at: Timestamp::now() }
    }
}

/// The next id: greater than all before it, also within a millisecond.
#[must_use]
pub fn next_id() -> Ulid {
    static GENERATOR: Mutex<Option<ulid::Generator>> = Mutex::new(None);
    let mut generator = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    // It fails only when the random part overflows within one millisecond.
    generator.get_or_insert_with(ulid::Generator::new).generate().unwrap_or_else(|_| Ulid::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_also_within_a_millisecond() {
        let ids: Vec<_> = (0..1000).map(|_| next_id()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
    }
}
