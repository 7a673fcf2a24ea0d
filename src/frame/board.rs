//! What each camera showed last, for those who look on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ulid::Ulid;

/// The newest result of each camera. Those not seen for longest go when there are too many.
///
/// While somebody looks on, there is a small picture of each camera too, taken once a second at most: frames are held for a
/// moment only where there are many, and to make one takes a few per cent of a look.
#[derive(Debug)]
pub struct Board {
    inner: Mutex<Inner>,
    most: usize,
    watchers: AtomicUsize,
}

/// Somebody who looks on, until dropped.
#[derive(Debug)]
pub struct Watcher(Arc<Board>);

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, Relaxed);
    }
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
    frame: Ulid,
    shared: bool,
    result: Bytes,
    picture: Option<Picture>,
    /// When that came.
    at: Instant,
    /// From one result to the next, in the mean over the last few.
    interval: Option<f64>,
    results: u64,
    dropped: u64,
}

/// A small picture of a frame.
#[derive(Debug)]
struct Picture {
    frame: Ulid,
    jpeg: Bytes,
    taken: Instant,
    /// When the last frame came that it shows: a later one than its own may look the same.
    at: Instant,
}

/// What a worker has to say of a frame.
#[derive(Debug)]
pub struct News {
    /// Its id.
    pub frame: Ulid,
    /// What was seen, in JSON.
    pub result: Bytes,
    /// The frames of its camera that newer ones replaced since the last result.
    pub replaced: u64,
    /// Other nodes get frames of the same camera.
    pub shared: bool,
    /// The frame that it repeats, if it does.
    pub repeat_of: Option<Ulid>,
    /// What the network saw, as a JPEG file, if [`Board::wants_picture`] said so.
    pub picture: Option<Bytes>,
}

/// A camera's newest result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    /// The camera.
    pub camera: Arc<str>,
    /// The frame.
    pub frame: Ulid,
    /// What was seen, in JSON.
    pub result: Bytes,
    /// Other nodes get frames of the same camera.
    pub shared: bool,
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
/// The least time between two pictures of a camera.
const PICTURE_EVERY: Duration = Duration::from_secs(1);
/// A picture that is not older than this stands for the camera's newest frame.
const PICTURE_STANDS: Duration = Duration::from_secs(2);

impl Board {
    /// An empty one, for at most so many cameras.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { inner: Mutex::default(), most: most.max(1), watchers: AtomicUsize::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody looks on as long as what is returned lives.
    #[must_use]
    pub fn watch(this: &Arc<Self>) -> Watcher {
        this.watchers.fetch_add(1, Relaxed);
        Watcher(Arc::clone(this))
    }

    /// Whether somebody would look at a new picture of the camera.
    #[must_use]
    pub fn wants_picture(&self, camera: &str) -> bool {
        if self.watchers.load(Relaxed) == 0 {
            return false;
        }
        let inner = self.lock();
        let last = inner.cameras.get(camera).and_then(|seen| seen.picture.as_ref());
        last.is_none_or(|picture| picture.taken.elapsed() >= PICTURE_EVERY)
    }

    /// Whether the camera's small picture is that of this frame.
    #[must_use]
    pub fn shows(&self, camera: &str, frame: Ulid) -> bool {
        let inner = self.lock();
        let picture = inner.cameras.get(camera).and_then(|seen| seen.picture.as_ref());
        picture.is_some_and(|picture| picture.frame == frame)
    }

    /// The small picture of a frame, or, of a camera's newest frame, one that was taken a moment before it.
    #[must_use]
    pub fn picture(&self, frame: Ulid) -> Option<Bytes> {
        let inner = self.lock();
        let mut pictures = inner.cameras.values().filter_map(|seen| Some((seen.frame, seen.picture.as_ref()?)));
        let stands = |(newest, picture): &(Ulid, &Picture)| {
            picture.frame == frame || *newest == frame && picture.at.elapsed() < PICTURE_STANDS
        };
        pictures.find(stands).map(|(_, picture)| picture.jpeg.clone())
    }

    /// Lets go of the picture of a frame.
    pub fn forget_picture(&self, frame: Ulid) {
        for seen in self.lock().cameras.values_mut() {
            seen.picture.take_if(|picture| picture.frame == frame || seen.frame == frame);
        }
    }

    /// A camera has a new result.
    pub fn put(&self, camera: &Arc<str>, news: News) {
        self.put_at(camera, news, Instant::now());
    }

    fn put_at(&self, camera: &Arc<str>, news: News, now: Instant) {
        let News { frame, result, replaced, shared, repeat_of, picture } = news;
        let picture = picture.map(|jpeg| Picture { frame, jpeg, taken: now, at: now });
        let mut guard = self.lock();
        let inner = &mut *guard;
        inner.results += 1;
        let number = inner.results;
        if let Some(seen) = inner.cameras.get_mut(camera) {
            let since = now.saturating_duration_since(seen.at).as_secs_f64();
            let interval = Some(seen.interval.map_or(since, |mean| mean + NEWEST * (since - mean)));
            let (results, dropped) = (seen.results + 1, seen.dropped + replaced);
            let still = |kept: Picture| if repeat_of == Some(kept.frame) { Picture { at: now, ..kept } } else { kept };
            let picture = picture.or_else(|| seen.picture.take().map(still));
            *seen = Seen { number, frame, shared, result, picture, at: now, interval, results, dropped };
            return;
        }
        if inner.cameras.len() >= self.most {
            let oldest = inner.cameras.iter().min_by_key(|(_, seen)| seen.number).map(|(camera, _)| Arc::clone(camera));
            oldest.and_then(|camera| inner.cameras.remove(&camera));
        }
        let (interval, results, dropped) = (None, 1, replaced);
        let seen = Seen { number, frame, shared, result, picture, at: now, interval, results, dropped };
        inner.cameras.insert(Arc::clone(camera), seen);
    }

    /// The newest results after the one with this number, those of a camera as one, in the order in which they came; and the
    /// number of the last one.
    #[must_use]
    pub fn since(&self, number: u64) -> (Vec<Newest>, u64) {
        let inner = self.lock();
        if inner.results == number {
            return (Vec::new(), number);
        }
        let newer = inner.cameras.iter().filter(|(_, seen)| seen.number > number);
        let newest = |(camera, seen): (&Arc<str>, &Seen)| {
            let Seen { number, frame, shared, ref result, .. } = *seen;
            (number, Newest { camera: Arc::clone(camera), frame, result: result.clone(), shared })
        };
        let mut newer: Vec<_> = newer.map(newest).collect();
        newer.sort_unstable_by_key(|(number, _)| *number);
        (newer.into_iter().map(|(_, newest)| newest).collect(), inner.results)
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

    fn news(result: &'static str, replaced: u64) -> News {
        News {
            frame: Ulid::nil(),
            result: Bytes::from_static(result.as_bytes()),
            replaced,
            shared: false,
            repeat_of: None,
            picture: None,
        }
    }

    fn put(board: &Board, camera: &str, result: &'static str) {
        board.put(&camera.into(), news(result, 1));
    }

    #[test]
    fn each_camera_s_newest_result_is_told_once() {
        let board = Board::new(10);
        let told = |number| {
            let (newest, last) = board.since(number);
            (newest.into_iter().map(|newest| newest.result).collect::<Vec<_>>(), last)
        };
        assert_eq!(told(0), (Vec::new(), 0));
        for (camera, result) in [("gate", "1"), ("yard", "2"), ("gate", "3")] {
            put(&board, camera, result);
        }
        let (newest, number) = told(0);
        assert_eq!((newest, number), (vec![Bytes::from("2"), Bytes::from("3")], 3));
        assert_eq!(told(number).0, Vec::<Bytes>::new());
        put(&board, "yard", "4");
        assert_eq!(told(number), (vec![Bytes::from("4")], 4));
    }

    #[test]
    fn rates_follow_the_camera_and_fall_when_it_stops() {
        let board = Board::new(10);
        let begin = Instant::now();
        for n in 0..50 {
            board.put_at(&"gate".into(), news("", 2), begin + Duration::from_millis(500 * n));
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

    #[test]
    fn pictures_are_wanted_while_somebody_looks_on_and_stand_for_a_moment() {
        let board = Arc::new(Board::new(2));
        assert!(!board.wants_picture("gate"));
        let watcher = Board::watch(&board);
        assert!(board.wants_picture("gate"));
        let frames = [1, 2].map(Ulid);
        let gate: Arc<str> = "gate".into();
        let of = |frame, picture| News { frame, picture, ..news("", 0) };
        board.put(&gate, of(frames[0], Some(Bytes::from_static(b"jpeg"))));
        assert!(!board.wants_picture("gate") && board.wants_picture("yard"));
        board.put(&gate, of(frames[1], None));
        for frame in frames {
            assert_eq!(board.picture(frame), Some(Bytes::from_static(b"jpeg")), "{frame}");
        }
        assert_eq!(board.picture(Ulid(3)), None);
        // A while later it stands for its own frame only.
        let begin = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        board.put_at(&gate, of(frames[0], Some(Bytes::from_static(b"old"))), begin);
        board.put(&gate, of(frames[1], None));
        assert_eq!((board.picture(frames[0]), board.picture(frames[1])), (Some(Bytes::from_static(b"old")), None));
        assert!(board.wants_picture("gate"));
        // One that looks the same is shown by it too, and does not put off the next one.
        assert!(board.shows("gate", frames[0]) && !board.shows("gate", frames[1]) && !board.shows("yard", frames[0]));
        board.put(&gate, News { repeat_of: Some(frames[0]), ..of(Ulid(3), None) });
        assert_eq!((board.picture(Ulid(3)), board.picture(frames[1])), (Some(Bytes::from_static(b"old")), None));
        assert!(board.wants_picture("gate"));
        drop(watcher);
        assert!(!board.wants_picture("gate"));
    }
}
