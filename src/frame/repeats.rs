//! Still cameras: what was seen in a frame stands for a while for those after it that look the same.
//!
//! ```text
//! identical   the image has the hash of the one that was looked at       nothing is decoded
//! alike       its centre view differs too little (classify/sketch.rs)    the network is not run
//! ```
//!
//! Images are hashed, not payloads: JSON around the same image may say another time, and the image has to be taken out of it
//! in any case, to be held for feedback. A frame is always compared with one that the network has looked at, never with one that
//! was itself answered from memory: what changes little by little would otherwise never be seen.
//!
//! An answer stands for as long as steps, crop and version of the model are those that it was made with, and no longer than
//! `inference.repeats_max_age_s`, counted from the receipt of the frame that was looked at.
//!
//! **The mean over a camera's frames** is that of all of them, also of those that repeat: what the network said stands in for
//! what it would say, so that the answer is the same, and follows the camera as fast, as if it had looked. A mean of
//! what was looked at alone would stay for seconds at what the camera showed before it came to rest. With dynamic views the
//! frames of a scene show different ones in turn; until each has had its turn, nothing is repeated.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use twox_hash::XxHash3_128;
use ulid::Ulid;

use super::Route;
use super::glance::{Glance, Took};
use super::steps::{Series, Steps};
use crate::classify::dhash::PictureHash;
use crate::classify::dynamic;
use crate::classify::sketch::Sketch;
use crate::config;
use crate::model::Bundle;
use crate::ops::metrics::Likeness;

/// What the network saw last in the frames of each camera, for all workers. A bounded number of them: the one unseen for
/// longest gives way.
///
/// The lock is held while three kilobytes are compared, or the probabilities are copied and averaged: a few microseconds.
#[derive(Debug)]
pub struct Repeats {
    settings: ArcSwap<config::Repeats>,
    /// Of the hashes: another one in each process.
    seed: u64,
    inner: Mutex<Inner>,
    most: usize,
}

#[derive(Debug, Default)]
struct Inner {
    memories: HashMap<Key, Box<Memory>>,
    /// Uses so far: the clock by which memories are forgotten.
    uses: u64,
    /// Where a mean is made.
    mean: Vec<f32>,
}

/// What a memory is of: a part of a camera's frames, and the index of the model that looks at it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    camera: Arc<str>,
    model: usize,
    crop: Option<[u32; 4]>,
}

#[derive(Debug)]
struct Memory {
    looked: Looked,
    /// When that frame was received.
    at: Instant,
    /// The version of the model that looked.
    version: String,
    steps: Arc<Steps>,
    /// What it said, before the mean; nothing if no mean is made.
    said: Vec<f32>,
    last_use: u64,
}

/// What was seen when the network looked.
#[derive(Clone, Copy, Debug)]
pub struct Looked {
    /// The frame.
    pub frame: Ulid,
    /// The hash of its image: [`Repeats::fingerprint`].
    pub fingerprint: u128,
    /// Its centre view, if pictures that are alike count.
    pub sketch: Option<Sketch>,
    /// The hash of its centre view.
    pub hash: PictureHash,
    /// What was seen in it.
    pub glance: Glance,
}

/// The circumstances of a frame.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// Which part of it is looked at by which model.
    pub route: &'a Route,
    /// That model.
    pub bundle: &'a Bundle,
    /// How.
    pub steps: &'a Arc<Steps>,
    /// Its camera, and when it was received.
    pub series: Series<'a>,
    /// Whether what was seen in a frame may stand for it. Asked under the lock.
    pub may_repeat: &'a dyn Fn(Ulid) -> bool,
}

/// A frame that needs no look.
#[derive(Clone, Copy, Debug)]
pub struct Repeat {
    /// The frame that was looked at.
    pub of: Ulid,
    /// How like it this one is.
    pub likeness: Likeness,
    /// What the network sees in it. It took no time.
    pub glance: Glance,
    /// The hash of the centre view of the frame that was looked at.
    pub hash: PictureHash,
}

impl Repeats {
    /// Room for `most` memories, at least one. Each takes four kilobytes, and four bytes a class if a mean is made. Nothing is
    /// allocated before the first one.
    #[must_use]
    pub fn new(settings: config::Repeats, most: usize) -> Self {
        // The standard library has a source of randomness that can't fail.
        let seed = RandomState::new().hash_one(());
        Self { settings: ArcSwap::from_pointee(settings), seed, inner: Mutex::default(), most: most.max(1) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing between lock and unlock leaves a memory half-way.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What counts as a repetition.
    #[must_use]
    pub fn settings(&self) -> config::Repeats {
        **self.settings.load()
    }

    /// Takes over new settings, and forgets what was seen if nothing is to be repeated any more.
    pub fn set(&self, settings: config::Repeats) {
        self.settings.store(Arc::new(settings));
        if settings.of == config::Repeating::Off {
            *self.lock() = Inner::default();
        }
    }

    /// The hash of an image's bytes.
    ///
    /// XXH3 is fast, and no cryptographic hash: who knows the seed could make two images with one hash. Who could send the
    /// second one to a camera's topic could send anything else there too, and no other camera's frames are compared with it.
    #[must_use]
    pub fn fingerprint(&self, image: &[u8]) -> u128 {
        XxHash3_128::oneshot_with_seed(self.seed, image)
    }

    /// What was seen in the same image.
    #[must_use]
    pub fn identical(&self, now: &Moment<'_>, fingerprint: u128) -> Option<Repeat> {
        self.find(now, Likeness::Identical, |looked| looked.fingerprint == fingerprint)
    }

    /// What was seen in an image whose centre view is like this one.
    #[must_use]
    pub fn alike(&self, now: &Moment<'_>, sketch: &Sketch) -> Option<Repeat> {
        let below = self.settings.load().alike_below;
        let alike = |looked: &Looked| looked.sketch.as_ref().is_some_and(|seen| seen.is_alike(sketch, below));
        self.find(now, Likeness::Alike, alike)
    }

    /// If what was seen stands for a frame, it is in the camera's mean from now on.
    fn find(&self, now: &Moment<'_>, likeness: Likeness, is_like: impl FnOnce(&Looked) -> bool) -> Option<Repeat> {
        let max_age = self.settings.load().max_age;
        let mut guard = self.lock();
        let inner = &mut *guard;
        inner.uses += 1;
        let memory = inner.memories.get_mut(&now.key())?;
        memory.last_use = inner.uses;
        // A frame that was received before the one that was looked at is like it all the same.
        let age = now.series.at.saturating_duration_since(memory.at);
        let Looked { frame: of, hash, mut glance, .. } = memory.looked;
        if !memory.is_valid(now) || age > max_age || !is_like(&memory.looked) || !(now.may_repeat)(of) {
            return None;
        }
        glance.took = Took::default();
        if now.steps.temporal_half_life_s > 0.0 {
            let Series { states, camera, at } = now.series;
            let model = (now.route.model, now.bundle.version.as_str());
            let turns = glance.condition.map_or(0, |condition| dynamic::views_for(condition).len());
            if states.frames(camera, model) < turns {
                return None;
            }
            inner.mean.clone_from(&memory.said);
            states.update(camera, model, at, f64::from(now.steps.temporal_half_life_s), hash, &mut inner.mean);
            (glance.top, glance.ranked, glance.unknown) = now.steps.rank(&inner.mean, now.bundle);
        }
        Some(Repeat { of, likeness, glance, hash })
    }

    /// The network has looked, and `said` this before the mean. Nothing is remembered of a frame that was received before the
    /// one that is remembered. Allocates only for what is not remembered, while there is room for more.
    pub fn remember(&self, now: &Moment<'_>, looked: Looked, said: &[f32]) {
        let mut guard = self.lock();
        let inner = &mut *guard;
        inner.uses += 1;
        let key = now.key();
        if let Some(memory) = inner.memories.get_mut(&key) {
            if !memory.is_valid(now) || memory.at <= now.series.at {
                memory.set(now, looked, said, inner.uses);
            }
            return;
        }
        // What gives way is written over, so that a flood of names allocates nothing.
        let unused = if inner.memories.len() >= self.most { inner.forget() } else { None };
        let mut memory = unused.unwrap_or_else(|| {
            let (version, steps, said) = (String::new(), Arc::clone(now.steps), Vec::new());
            Box::new(Memory { looked, at: now.series.at, version, steps, said, last_use: 0 })
        });
        memory.set(now, looked, said, inner.uses);
        inner.memories.insert(key, memory);
    }
}

impl Moment<'_> {
    fn key(&self) -> Key {
        let crop = self.route.crop.map(|crop| [crop.x, crop.y, crop.w, crop.h].map(f32::to_bits));
        Key { camera: Arc::clone(self.series.camera), model: self.route.model, crop }
    }
}

impl Memory {
    /// Whether the network would be asked the same now.
    fn is_valid(&self, now: &Moment<'_>) -> bool {
        // Any reload of the configuration makes new steps. These are held, so no others can have come to lie in their place.
        Arc::ptr_eq(&self.steps, now.steps) && self.version == now.bundle.version
    }

    fn set(&mut self, now: &Moment<'_>, looked: Looked, said: &[f32], last_use: u64) {
        (self.looked, self.at, self.last_use) = (looked, now.series.at, last_use);
        now.bundle.version.clone_into(&mut self.version);
        self.steps = Arc::clone(now.steps);
        said.clone_into(&mut self.said);
    }
}

impl Inner {
    /// Takes out the memory unused for longest. Looks at all of them, but only when a new camera comes.
    fn forget(&mut self) -> Option<Box<Memory>> {
        let oldest = self.memories.iter().min_by_key(|(_, memory)| memory.last_use).map(|(key, _)| key.clone())?;
        self.memories.remove(&oldest)
    }
}
