//! The means of all cameras, for all workers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::{Step, Temporal};
use crate::classify::dhash::PictureHash;

/// A mean for each camera and model. A bounded number of them: the one unseen for longest gives way.
///
/// Workers share it. A frame holds the lock while its distribution is averaged, a few microseconds for 1,000 classes.
#[derive(Debug)]
pub struct TemporalStates {
    inner: Mutex<Inner>,
    most: usize,
}

#[derive(Debug, Default)]
struct Inner {
    /// By camera and index of the model.
    states: HashMap<(Arc<str>, usize), State>,
    /// Frames so far: the clock by which states are forgotten.
    looks: u64,
}

#[derive(Debug)]
struct State {
    temporal: Temporal,
    /// The version of the model whose distributions it is a mean of.
    version: String,
    /// When the newest frame was received.
    newest: Instant,
    last_look: u64,
}

impl TemporalStates {
    /// Room for `most` means, at least one; a camera that several models look at needs one for each. Each takes four bytes
    /// a class. Nothing is allocated before the first frame.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { inner: Mutex::default(), most: most.max(1) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A mean that a panic left half-way is still made of numbers, and the next frames put it right.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a frame's distribution `p` into its camera's mean, and replaces it by the mean: see [`Temporal::update`].
    ///
    /// `model` is its index and version: distributions of another version are of another kind, and begin a new mean. `at` is when the frame was received. Frames may come in any order. Allocates only for a camera that is not
    /// remembered, while there is room for more.
    pub fn update(
        &self,
        camera: &Arc<str>,
        model: (usize, &str),
        at: Instant,
        half_life_s: f64,
        hash: PictureHash,
        p: &mut [f32],
    ) -> Step {
        let mut guard = self.lock();
        let state = guard.state(camera, model, at, self.most);
        let since = match at.checked_duration_since(state.newest) {
            Some(later) => later.as_secs_f64(),
            None => -state.newest.duration_since(at).as_secs_f64(),
        };
        let step = state.temporal.update(p, since, half_life_s, hash);
        match step {
            Step::Begun | Step::SceneChanged => state.newest = at,
            Step::Averaged => state.newest = state.newest.max(at),
            Step::LeftAlone => {}
        }
        step
    }

    /// How many frames are in a camera's mean, that of its present scene.
    #[must_use]
    pub fn frames(&self, camera: &Arc<str>, (model, version): (usize, &str)) -> usize {
        let of_version = |state: &&State| state.version == version;
        let inner = self.lock();
        let state = inner.states.get(&(Arc::clone(camera), model)).filter(of_version);
        state.map_or(0, |state| state.temporal.frames())
    }

    /// How many means are kept now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().states.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Inner {
    /// The state, from now on the one seen last.
    fn state(&mut self, camera: &Arc<str>, (model, version): (usize, &str), at: Instant, most: usize) -> &mut State {
        self.looks += 1;
        let key = (Arc::clone(camera), model);
        // The memory of the one that gives way is used again, so that a flood of names allocates nothing.
        let unused = if self.states.len() >= most && !self.states.contains_key(&key) { self.forget() } else { None };
        let state = self.states.entry(key).or_insert_with(|| State {
            temporal: unused.unwrap_or_default(),
            version: version.to_owned(),
            newest: at,
            last_look: 0,
        });
        if state.version != version {
            state.temporal.clear();
            version.clone_into(&mut state.version);
            state.newest = at;
        }
        state.last_look = self.looks;
        state
    }

    /// The mean of the state unseen for longest, emptied. Looks at all of them, but only when a new camera comes.
    fn forget(&mut self) -> Option<Temporal> {
        let oldest = self.states.iter().min_by_key(|(_, state)| state.last_look).map(|(key, _)| key.clone())?;
        let mut temporal = self.states.remove(&oldest)?.temporal;
        temporal.clear();
        Some(temporal)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HASH: PictureHash = PictureHash(7);

    fn seen(states: &TemporalStates, camera: &str, model: usize, at: Instant, p: [f32; 2]) -> ([f32; 2], Step) {
        let mut p = p;
        let step = states.update(&camera.into(), (model, "1"), at, 1.0, HASH, &mut p);
        (p, step)
    }

    #[test]
    fn each_camera_and_model_has_a_mean_of_its_own() {
        let (states, now) = (TemporalStates::new(9), Instant::now());
        for (camera, model) in [("a", 0), ("a", 1), ("b", 0)] {
            assert_eq!(seen(&states, camera, model, now, [1.0, 0.0]).1, Step::Begun);
        }
        let (p, step) = seen(&states, "a", 0, now + Duration::from_secs(1), [0.25, 0.75]);
        assert_eq!((p, step), ([0.5, 0.5], Step::Averaged));
        assert_eq!(seen(&states, "b", 0, now, [1.0, 0.0]).0, [1.0, 0.0]);
        assert_eq!(states.len(), 3);
    }

    #[test]
    fn another_version_of_a_model_begins_anew() {
        let (states, now) = (TemporalStates::new(9), Instant::now());
        let camera = Arc::from("a");
        for (version, step) in [("1", Step::Begun), ("1", Step::Averaged), ("2", Step::Begun), ("2", Step::Averaged)] {
            let mut p = [1.0, 0.0];
            assert_eq!(states.update(&camera, (0, version), now, 1.0, HASH, &mut p), step, "{version}");
        }
        assert_eq!((states.frames(&camera, (0, "2")), states.frames(&camera, (0, "1"))), (2, 0));
        // With more classes than before.
        assert_eq!(states.update(&camera, (0, "3"), now, 1.0, HASH, &mut [0.5, 0.25, 0.25]), Step::Begun);
    }

    #[test]
    fn the_clock_does_not_run_backwards() {
        let (states, start) = (TemporalStates::new(9), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        seen(&states, "a", 0, at(2), [1.0, 0.0]);
        // Received a half-life earlier, finished later: weights 1 and ½.
        let (p, _) = seen(&states, "a", 0, at(1), [0.0, 1.0]);
        assert!((p[0] - 2.0 / 3.0).abs() < 1e-6, "{p:?}");
        // A half-life after the newest: ½, ¼ and 1.
        let (p, _) = seen(&states, "a", 0, at(3), [0.0, 1.0]);
        assert!((p[0] - 0.5 / 1.75).abs() < 1e-6, "{p:?}");
        // What was left alone does not move it either.
        assert_eq!(seen(&states, "a", 0, at(30), [f32::NAN, 1.0]).1, Step::LeftAlone);
        assert_eq!(seen(&states, "a", 0, at(4), [0.0, 1.0]).1, Step::Averaged);
        assert_eq!(seen(&states, "a", 0, at(25), [0.0, 1.0]).1, Step::Begun);
    }

    #[test]
    fn the_camera_unseen_for_longest_gives_way_with_its_memory() {
        let (states, now) = (TemporalStates::new(2), Instant::now());
        seen(&states, "a", 0, now, [1.0, 0.0]);
        seen(&states, "b", 0, now, [1.0, 0.0]);
        seen(&states, "a", 0, now, [1.0, 0.0]);
        let memory = |camera: &str| {
            let states = states.lock();
            states.states.get(&(camera.into(), 0)).map(|state| state.temporal.mean.as_ptr())
        };
        let of_b = memory("b");
        assert_eq!(seen(&states, "c", 0, now, [0.0, 1.0]), ([0.0, 1.0], Step::Begun));
        assert_eq!((memory("b"), memory("c")), (None, of_b));
        assert_eq!(seen(&states, "a", 0, now, [1.0, 0.0]).1, Step::Averaged);
        for number in 0..100 {
            seen(&states, &number.to_string(), number, now, [1.0, 0.0]);
        }
        assert_eq!(states.len(), 2);
        assert_eq!(TemporalStates::new(0).most, 1);
    }

    #[test]
    fn no_frame_of_several_workers_is_lost() {
        let (states, start) = (TemporalStates::new(9), Instant::now());
        let camera: Arc<str> = "a".into();
        std::thread::scope(|scope| {
            for worker in 0..4_u32 {
                let (states, camera) = (&states, &camera);
                scope.spawn(move || {
                    for frame in 0..250 {
                        let at = start + Duration::from_millis(u64::from(frame * 4 + worker));
                        let mut p = if worker == 0 { [1.0, 0.0] } else { [0.0, 1.0] };
                        states.update(camera, (0, "1"), at, f64::INFINITY, HASH, &mut p);
                        assert!((p[0] + p[1] - 1.0).abs() < 1e-5);
                    }
                });
            }
        });
        let inner = states.lock();
        let state = &inner.states[&(camera, 0)];
        assert_eq!((state.temporal.weight, state.newest), (1000.0, start + Duration::from_millis(999)));
        assert!((state.temporal.mean[0] - 0.25).abs() < 1e-4);
    }
}
