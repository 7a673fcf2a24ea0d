//! What each camera showed last, for those who look on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

/// The newest result of each camera. Those not seen for longest go when there are too many.
#[derive(Debug)]
pub struct Board {
    inner: Mutex<Inner>,
    most: usize,
}

#[derive(Debug, Default)]
struct Inner {
    cameras: HashMap<Arc<str>, Seen>,
    /// Results so far.
    results: u64,
}

#[derive(Debug)]
struct Seen {
    /// The number of its newest result among all.
    number: u64,
    result: Bytes,
    /// When that came.
    at: Instant,
    /// From one result to the next, in the mean over the last few.
    interval: Option<f64>,
    results: u64,
    dropped: u64,
}

/// A camera as it stands on the board.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Its name.
    pub camera: Arc<str>,
    /// Its newest result, in JSON.
    pub result: Bytes,
    /// How long ago that came.
    pub age: Duration,
    /// Results a second, of late.
    pub per_second: f64,
    /// Results so far.
    pub results: u64,
    /// Frames that newer ones replaced so far.
    pub dropped: u64,
}

/// What the newest interval counts in the mean: as if the last five did.
const NEWEST: f64 = 0.2;

impl Board {
    /// An empty one, for at most so many cameras.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { inner: Mutex::default(), most: most.max(1) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A camera has a new result; `replaced` of its frames were dropped since the last one.
    pub fn put(&self, camera: &Arc<str>, result: Bytes, replaced: u64) {
        self.put_at(camera, result, replaced, Instant::now());
    }

    fn put_at(&self, camera: &Arc<str>, result: Bytes, replaced: u64, now: Instant) {
        let mut guard = self.lock();
        let inner = &mut *guard;
        inner.results += 1;
        let number = inner.results;
        if let Some(seen) = inner.cameras.get_mut(camera) {
            let since = now.saturating_duration_since(seen.at).as_secs_f64();
            let interval = seen.interval.map_or(since, |mean| mean + NEWEST * (since - mean));
            let (results, dropped) = (seen.results + 1, seen.dropped + replaced);
            *seen = Seen { number, result, at: now, interval: Some(interval), results, dropped };
            return;
        }
        if inner.cameras.len() >= self.most {
            let oldest = inner.cameras.iter().min_by_key(|(_, seen)| seen.number).map(|(camera, _)| Arc::clone(camera));
            oldest.and_then(|camera| inner.cameras.remove(&camera));
        }
        let seen = Seen { number, result, at: now, interval: None, results: 1, dropped: replaced };
        inner.cameras.insert(Arc::clone(camera), seen);
    }

    /// The newest results after the one with this number, those of a camera as one, in the order in which they came; and the
    /// number of the last one.
    #[must_use]
    pub fn since(&self, number: u64) -> (Vec<Bytes>, u64) {
        let inner = self.lock();
        if inner.results == number {
            return (Vec::new(), number);
        }
        let newer = inner.cameras.values().filter(|seen| seen.number > number);
        let mut newer: Vec<_> = newer.map(|seen| (seen.number, seen.result.clone())).collect();
        newer.sort_unstable_by_key(|(number, _)| *number);
        (newer.into_iter().map(|(_, result)| result).collect(), inner.results)
    }

    /// All cameras, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Shown> {
        self.all_at(Instant::now())
    }

    fn all_at(&self, now: Instant) -> Vec<Shown> {
        let inner = self.lock();
        let shown = inner.cameras.iter().map(|(camera, seen)| {
            let age = now.saturating_duration_since(seen.at);
            // Of a camera that has stopped it falls.
            let interval = seen.interval.map(|mean| mean.max(age.as_secs_f64()));
            Shown {
                camera: Arc::clone(camera),
                result: seen.result.clone(),
                age,
                per_second: interval.map_or(0.0, |interval| 1.0 / interval.max(1e-3)),
                results: seen.results,
                dropped: seen.dropped,
            }
        });
        let mut all: Vec<_> = shown.collect();
        drop(inner);
        all.sort_unstable_by(|a, b| a.camera.cmp(&b.camera));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(board: &Board, camera: &str, result: &'static str) {
        board.put(&camera.into(), Bytes::from_static(result.as_bytes()), 1);
    }

    #[test]
    fn each_camera_s_newest_result_is_told_once() {
        let board = Board::new(10);
        assert_eq!(board.since(0), (Vec::new(), 0));
        for (camera, result) in [("gate", "1"), ("yard", "2"), ("gate", "3")] {
            put(&board, camera, result);
        }
        let (newest, number) = board.since(0);
        assert_eq!((newest, number), (vec![Bytes::from("2"), Bytes::from("3")], 3));
        assert_eq!(board.since(number).0, Vec::<Bytes>::new());
        put(&board, "yard", "4");
        assert_eq!(board.since(number), (vec![Bytes::from("4")], 4));
    }

    #[test]
    fn rates_follow_the_camera_and_fall_when_it_stops() {
        let board = Board::new(10);
        let begin = Instant::now();
        for n in 0..50 {
            board.put_at(&"gate".into(), Bytes::new(), 2, begin + Duration::from_millis(500 * n));
        }
        let last = begin + Duration::from_millis(24_500);
        let at = |later| board.all_at(last + Duration::from_secs(later)).remove(0);
        assert!((at(0).per_second - 2.0).abs() < 0.01, "{:?}", at(0));
        assert!((at(100).per_second - 0.01).abs() < 1e-6, "{:?}", at(100));
        assert_eq!((at(7).age, at(0).results, at(0).dropped), (Duration::from_secs(7), 50, 100));
    }

    #[test]
    fn the_camera_not_seen_for_longest_makes_room() {
        let board = Board::new(2);
        for camera in ["a", "b", "a", "c"] {
            put(&board, camera, "x");
        }
        assert_eq!(board.all().iter().map(|shown| &*shown.camera).collect::<Vec<_>>(), ["a", "c"]);
    }
}
