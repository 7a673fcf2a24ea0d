//! Loaded models on their way to the workers, which take them between two frames.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::pipeline::{LoadedModel, Pipeline};

/// A place for each worker.
#[derive(Debug)]
pub struct Exchange {
    /// Grows each time something is put into the places.
    round: AtomicU64,
    places: Vec<Mutex<Vec<(usize, LoadedModel)>>>,
}

impl Exchange {
    /// For so many workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self { round: AtomicU64::new(0), places: (0..workers).map(|_| Mutex::default()).collect() }
    }

    /// How many workers there are.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.places.len()
    }

    /// Puts a model in the place of the one with this index, one copy for each worker, for all of them at the same moment: the
    /// next frame that any of them takes is looked at by the new one. `then` happens at that moment too.
    pub fn hand_over(&self, model: usize, copies: Vec<LoadedModel>, then: impl FnOnce()) {
        let mut places: Vec<MutexGuard<'_, _>> = self.places.iter().map(lock).collect();
        for (place, copy) in places.iter_mut().zip(copies) {
            // A copy that was not taken yet will not be needed.
            place.retain(|(of, _): &(usize, LoadedModel)| *of != model);
            place.push((model, copy));
        }
        then();
        self.round.fetch_add(1, Ordering::Release);
    }

    /// What a worker does before each frame: takes over what was put into its place since the round it has seen last. One
    /// number is read when there is nothing.
    pub fn take_over(&self, worker: usize, seen: &mut u64, pipeline: &mut Pipeline) {
        let round = self.round.load(Ordering::Acquire);
        if round == *seen {
            return;
        }
        *seen = round;
        let new = std::mem::take(&mut *lock(&self.places[worker]));
        for (model, loaded) in new {
            pipeline.replace(model, loaded);
        }
    }
}

fn lock<T>(place: &Mutex<T>) -> MutexGuard<'_, T> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}
