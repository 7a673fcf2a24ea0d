//! Likely mistakes, and a few frames that the model was sure of, kept until someone says what they show.
//!
//! ```text
//! worker   consider   in doubt (doubt.rs)? unlike what was kept, within the day's budget (kept.rs)?     waits for nothing
//!          offer      a few wait; another one is passed over
//! keeper   keep_next  only when no feedback waits: looks up in the store what was kept of the camera, asks again, stores
//! ```
//!
//! What was kept is known from the store, so that a restart forgets nothing. A frame that can't be stored is passed over,
//! and none is tried again. While it is switched off, a worker reads one flag and no more.

mod doubt;
mod kept;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

pub use self::doubt::{Doubt, Look, Reason, Trail};
pub use self::kept::{Kept, Skip};

use super::inbox::Inbox;
use super::index::rows::day_of;
use super::keeper::with_sources;
use super::record::Sighting;
use super::store::{Item, NewCollected, Picture, Receipt, Store, StoreError};
use super::view::{KeptFrame, View};
use crate::config::Collect;
use crate::ops::metrics::Metrics;

/// Pictures that wait may take so much memory, bytes; a single one may take more.
const WAITING_BYTES: usize = 16 << 20;
/// For a model that has learnt nothing: so many bits make a picture another one. Noise alone moves 3.
const UNLIKE_FOR_UNLEARNT: u32 = 4;
/// The most frames a day of a camera that such a model looks at, unless more are configured.
const PER_DAY_FOR_UNLEARNT: usize = 100;
/// While the store takes nothing, this long passes before it is asked again.
const PAUSE: Duration = Duration::from_secs(60);

/// Chooses what is kept, for all workers, and hands it to the keeper.
#[derive(Debug)]
pub struct Collector {
    settings: ArcSwap<Collect>,
    limits: Limits,
    metrics: Arc<Metrics>,
    inner: Mutex<Inner>,
}

/// What is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most cameras that are remembered. Those not seen for longest are looked up again.
    pub cameras: usize,
    /// The most frames that wait to be stored.
    pub waiting: usize,
}

#[derive(Debug)]
struct Inner {
    cameras: HashMap<Arc<str>, Camera>,
    /// Looks so far: the clock by which cameras are forgotten.
    looks: u64,
    /// A day, and how many frames were kept on it, once that was looked up.
    in_all: Option<(i64, u64)>,
    waiting: VecDeque<Candidate>,
    /// Wakes the keeper.
    bell: Option<Inbox>,
    /// The store takes nothing until then.
    paused: Option<Instant>,
}

#[derive(Debug, Default)]
struct Camera {
    last_look: u64,
    /// One for each model that looks at it.
    trails: Vec<(usize, Trail)>,
    /// Once that was looked up.
    kept: Option<Kept>,
}

#[derive(Debug)]
struct Candidate {
    camera: Arc<str>,
    doubt: Doubt,
    sighting: Sighting,
    picture: Picture,
}

impl Collector {
    /// Remembers nothing yet. `inbox` is the keeper's.
    #[must_use]
    pub fn new(settings: Collect, limits: Limits, inbox: Inbox, metrics: Arc<Metrics>) -> Self {
        let inner = Inner {
            cameras: HashMap::new(),
            looks: 0,
            in_all: None,
            waiting: VecDeque::new(),
            bell: Some(inbox),
            paused: None,
        };
        Self { settings: ArcSwap::from_pointee(settings), limits, metrics, inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether likely mistakes are collected.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.settings.load().on
    }

    /// Takes over new settings. What waits to be stored when it is switched off is not stored.
    pub fn set(&self, settings: Collect) {
        self.settings.store(Arc::new(settings));
        let mut inner = self.lock();
        if settings.on {
            // With another budget more may have to be looked up.
            inner.cameras.values_mut().for_each(|camera| camera.kept = None);
        } else {
            inner.cameras = HashMap::new();
            inner.waiting = VecDeque::new();
        }
    }

    /// Collects no more, and lets go of the inbox. What waits is still stored.
    pub fn close(&self) {
        let off = Collect { on: false, ..**self.settings.load() };
        self.settings.store(Arc::new(off));
        self.lock().bell = None;
    }

    /// A model's look at the next frame of a camera. Returns the frame that should be kept, if any: this one, or one shortly
    /// before it.
    #[must_use]
    pub fn consider(&self, camera: &Arc<str>, model: usize, look: Look) -> Option<Doubt> {
        let settings = **self.settings.load();
        let mut guard = self.lock();
        let inner = &mut *guard;
        let seen = inner.camera(camera, self.limits.cameras);
        let index = seen.trails.iter().position(|(of, _)| *of == model).unwrap_or_else(|| {
            seen.trails.push((model, Trail::default()));
            seen.trails.len() - 1
        });
        let trail = &mut seen.trails[index].1;
        let doubt = trail.push(look, &settings)?;
        let checked = inner.check(camera, frame_of(&doubt), &settings_for(settings, doubt.reason));
        drop(guard);
        if let Err(skip) = checked
            // Nothing is lost with one of the many that are sure.
            && doubt.reason != Reason::Sure
        {
            self.metrics.count_not_collected(skip);
        }
        checked.ok().map(|()| doubt)
    }

    /// Hands the frame over, to be stored when there is time. Never blocks.
    pub fn offer(&self, camera: &Arc<str>, doubt: Doubt, sighting: Sighting, picture: Picture) {
        let mut inner = self.lock();
        let bytes: usize = inner.waiting.iter().map(|waiting| waiting.picture.bytes().len()).sum();
        let too_large = !inner.waiting.is_empty() && bytes + picture.bytes().len() > WAITING_BYTES;
        if inner.waiting.len() >= self.limits.waiting || too_large {
            drop(inner);
            return self.metrics.count_not_collected(Skip::QueueFull);
        }
        inner.waiting.push_back(Candidate { camera: Arc::clone(camera), doubt, sighting, picture });
        if let Some(bell) = &inner.bell {
            bell.ring();
        }
    }

    /// Stores the frame that has waited longest, if it is still to be kept. Returns whether there was one. Waits for the
    /// disk: for the keeper alone.
    pub fn keep_next(&self, store: &Store) -> bool {
        let Some(candidate) = self.lock().waiting.pop_front() else { return false };
        let reason = candidate.doubt.reason;
        match self.keep(store, candidate) {
            Ok(()) => self.metrics.count_collected(reason),
            Err(skip) => self.metrics.count_not_collected(skip),
        }
        true
    }

    fn keep(&self, store: &Store, candidate: Candidate) -> Result<(), Skip> {
        let Candidate { camera, doubt, sighting, picture } = candidate;
        let Doubt { look, reason } = doubt;
        let settings = settings_for(**self.settings.load(), reason);
        let frame = frame_of(&doubt);
        self.look_up(store, &camera, frame.day, &settings)?;
        self.lock().check(&camera, frame, &settings)?;
        let collected = NewCollected {
            frame: look.frame,
            at: look.at,
            reason: reason.name().to_owned(),
            margin: look.margin,
            hash: Some(look.hash),
            sighting,
            picture,
        };
        match store.add(vec![Item::Collected(Box::new(collected))]).as_deref() {
            Ok([Receipt::Stored { .. }]) => {
                self.lock().note(&camera, frame, &settings);
                Ok(())
            }
            Ok([Receipt::Known { .. }]) => Err(Skip::Labelled),
            Ok([Receipt::Refused(refusal)]) => Err(self.pause(&refusal.to_string())),
            Ok(_) => Err(self.pause("the store gave no receipt")),
            Err(error) => Err(self.pause(&with_sources(error))),
        }
    }

    /// Asks the store what was kept of a camera, and in all on a day, if that is not known yet.
    fn look_up(&self, store: &Store, camera: &Arc<str>, day: i64, settings: &Collect) -> Result<(), Skip> {
        let (known, in_all) = {
            let inner = self.lock();
            (inner.cameras.get(camera).is_some_and(|camera| camera.kept.is_some()), inner.in_all)
        };
        if !known {
            let frames = self.ask(store, |view| view.kept_on(camera, Kept::needed(settings)))?;
            self.lock().camera(camera, self.limits.cameras).kept = Some(Kept::new(frames));
        }
        if in_all.is_none_or(|(of, _)| of != day) {
            let count = self.ask(store, |view| view.kept_on_day(day))?;
            self.lock().in_all = Some((day, count));
        }
        Ok(())
    }

    fn ask<T>(&self, store: &Store, question: impl Fn(&View) -> Result<T, StoreError>) -> Result<T, Skip> {
        // An index that failed is opened again when the store is written to or flushed, and not when it is only asked.
        let again = |_| store.flush().and_then(|()| question(store.view()));
        question(store.view()).or_else(again).map_err(|error| self.pause(&with_sources(&error)))
    }

    fn pause(&self, error: &str) -> Skip {
        tracing::warn!(error, pause_s = PAUSE.as_secs(), "likely mistakes can't be stored, and are passed over");
        self.lock().paused = Some(Instant::now() + PAUSE);
        Skip::Store
    }
}

impl Inner {
    /// The camera, from now on the one seen last.
    fn camera(&mut self, name: &Arc<str>, most: usize) -> &mut Camera {
        self.looks += 1;
        if self.cameras.len() >= most && !self.cameras.contains_key(name) {
            // Half of them at once, so that a flood of names costs each of them little.
            let mut looks: Vec<u64> = self.cameras.values().map(|camera| camera.last_look).collect();
            let middle = looks.len() / 2;
            let oldest_to_stay = *looks.select_nth_unstable(middle).1;
            self.cameras.retain(|_, camera| camera.last_look > oldest_to_stay);
        }
        let camera = self.cameras.entry(Arc::clone(name)).or_default();
        camera.last_look = self.looks;
        camera
    }

    /// Whether a frame may be kept, as far as that is known: what was not looked up yet is no obstacle.
    fn check(&self, camera: &Arc<str>, frame: KeptFrame, settings: &Collect) -> Result<(), Skip> {
        if let Some(kept) = self.cameras.get(camera).and_then(|camera| camera.kept.as_ref()) {
            kept.check(frame, settings)?;
        }
        match self.in_all {
            Some((day, count)) if day == frame.day && count >= settings.per_day_in_all => Err(Skip::Budget),
            _ if self.paused.is_some_and(|until| Instant::now() < until) => Err(Skip::Store),
            _ => Ok(()),
        }
    }

    fn note(&mut self, camera: &Arc<str>, frame: KeptFrame, settings: &Collect) {
        if let Some(kept) = self.cameras.get_mut(camera).and_then(|camera| camera.kept.as_mut()) {
            kept.note(frame, settings);
        }
        if let Some((day, count)) = &mut self.in_all
            && *day == frame.day
        {
            *count += 1;
        }
    }
}

/// A model that has learnt nothing needs examples of everything its camera shows, also of what hardly changes there, and
/// needs them soon. What is sure has to leave most of the day to what is in doubt.
fn settings_for(settings: Collect, reason: Reason) -> Collect {
    let Collect { per_day, sure_per_day, .. } = settings;
    match reason {
        Reason::Unlearnt => {
            Collect { unlike: UNLIKE_FOR_UNLEARNT, per_day: per_day.max(PER_DAY_FOR_UNLEARNT), ..settings }
        }
        Reason::Sure => Collect { per_day: per_day.min(sure_per_day), ..settings },
        _ => settings,
    }
}

fn frame_of(doubt: &Doubt) -> KeptFrame {
    KeptFrame { day: day_of(doubt.look.at), hash: Some(doubt.look.hash) }
}
