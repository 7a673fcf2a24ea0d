//! Frames that were just classified, with their pictures, so that feedback by a frame's id finds what it is about.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use ulid::Ulid;

use super::record::{ModelRef, Predicted, Sighting};
use crate::frame::decode::{Format, sniff};
use crate::frame::glance::Glance;
use crate::model::Bundle;

/// A frame and what was seen in it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The camera, unless it was a request.
    pub camera: Option<Arc<str>>,
    /// The encoded picture.
    pub image: Bytes,
    /// What its bytes are.
    pub format: Format,
    /// The model that looked.
    pub bundle: Arc<Bundle>,
    /// What it saw.
    pub glance: Glance,
    /// When the picture was taken, if the sender said so.
    pub captured_at: Option<Timestamp>,
    /// When the frame was received.
    pub received_at: Timestamp,
}

impl Seen {
    /// As it is written down with feedback.
    #[must_use]
    pub fn sighting(&self) -> Sighting {
        let named = |class| self.bundle.labels.get(class).map(|label| label.en.clone()).unwrap_or_default();
        let top = self.glance.top().iter();
        Sighting {
            camera: self.camera.as_deref().map(str::to_owned),
            crop: self.glance.crop,
            model: ModelRef::from(&*self.bundle),
            predicted: top
                .map(|top| Predicted { class: top.class, label: named(top.class), score: top.score })
                .collect(),
            captured_at: self.captured_at,
            received_at: Some(self.received_at),
        }
    }
}

/// The frames held, bounded by bytes and age; the oldest go first.
#[derive(Debug)]
pub struct Held {
    inner: Mutex<Inner>,
    max_bytes: usize,
    max_age: Duration,
}

#[derive(Debug, Default)]
struct Inner {
    frames: HashMap<Ulid, Seen>,
    order: VecDeque<(Instant, Ulid)>,
    bytes: usize,
}

impl Held {
    /// Holds pictures of at most `max_bytes` together, each for `max_age`.
    #[must_use]
    pub fn new(max_bytes: usize, max_age: Duration) -> Self {
        Self { inner: Mutex::default(), max_bytes, max_age }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds a frame. `image` is copied, for a part of a packet would keep the whole of it in memory; `seen` makes the
    /// rest of it and is not called if the picture is not held.
    pub fn insert(&self, frame: Ulid, image: &[u8], seen: impl FnOnce(Bytes, Format) -> Seen) {
        if image.len() > self.max_bytes {
            return;
        }
        let Some(format) = sniff(image) else { return };
        let seen = seen(Bytes::copy_from_slice(image), format);
        let now = Instant::now();
        let mut inner = self.lock();
        inner.make_room(self.max_bytes - image.len(), now, self.max_age);
        inner.bytes += image.len();
        inner.order.push_back((now, frame));
        inner.frames.insert(frame, seen);
    }

    /// The frame, if it is still held.
    #[must_use]
    pub fn get(&self, frame: Ulid) -> Option<Seen> {
        let mut inner = self.lock();
        inner.make_room(self.max_bytes, Instant::now(), self.max_age);
        inner.frames.get(&frame).cloned()
    }

    /// Lets go of a frame.
    pub fn forget(&self, frame: Ulid) {
        let mut inner = self.lock();
        if let Some(gone) = inner.frames.remove(&frame) {
            inner.bytes -= gone.image.len();
        }
    }

    /// Whether the frame is still held.
    #[must_use]
    pub fn holds(&self, frame: Ulid) -> bool {
        let mut inner = self.lock();
        inner.make_room(self.max_bytes, Instant::now(), self.max_age);
        inner.frames.contains_key(&frame)
    }
}

impl Inner {
    fn make_room(&mut self, max_bytes: usize, now: Instant, max_age: Duration) {
        while let Some((since, frame)) = self.order.front().copied()
            && (self.bytes > max_bytes || now.duration_since(since) > max_age)
        {
            self.order.pop_front();
            if let Some(gone) = self.frames.remove(&frame) {
                self.bytes -= gone.image.len();
            }
        }
    }
}
