//! Where frames wait: one slot a camera, turns in order, nothing unbounded.
//!
//! A newer frame takes the slot of a waiting one and keeps its turn, so a camera that sends fast gets fresher results
//! but no more of them. Requests wait in a queue of their own and take turns with the cameras.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::Frame;
use super::ask::Request;
use crate::ops::metrics::{Drop, Metrics};

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Cameras that may have a slot.
    pub cameras: usize,
    /// Payload bytes that may wait, frames and requests together.
    pub bytes: usize,
    /// Requests that may wait.
    pub requests: usize,
}

/// The waiting room.
#[derive(Debug)]
pub struct Intake {
    state: Mutex<State>,
    arrived: Condvar,
    limits: Limits,
    max_age: ArcSwap<Duration>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct State {
    slots: HashMap<Arc<str>, Slot>,
    /// Cameras with a waiting frame, in the order of their turns.
    turns: VecDeque<Arc<str>>,
    requests: VecDeque<Request>,
    bytes: usize,
    /// The last turn went to a camera, so a waiting request is next.
    request_next: bool,
    closed: bool,
}

#[derive(Debug)]
struct Slot {
    waiting: Option<Frame>,
    last: Instant,
    /// Frames replaced by newer ones since this camera's last result.
    replaced: u64,
}

/// A camera that sent nothing for so long gives its slot to a new one when all are taken.
const IDLE: Duration = Duration::from_secs(600);

/// What a worker does next.
#[derive(Debug)]
pub enum Work {
    /// A frame, with the number of this camera's frames that it and its predecessors replaced.
    Frame {
        /// The newest of its camera.
        frame: Frame,
        /// Replaced since this camera's last result.
        replaced: u64,
    },
    /// A request.
    Request(Request),
}

/// The request queue is full, or the daemon is stopping.
#[derive(Debug, thiserror::Error)]
#[error("busy: {waiting} requests are waiting already; try again later")]
pub struct Busy {
    waiting: usize,
    /// The request, to be answered.
    pub request: Request,
}

impl Intake {
    /// An empty waiting room.
    #[must_use]
    pub fn new(limits: Limits, max_age: Duration, metrics: Arc<Metrics>) -> Self {
        Self {
            state: Mutex::default(),
            arrived: Condvar::new(),
            limits,
            max_age: ArcSwap::from_pointee(max_age),
            metrics,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code between lock and unlock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the age beyond which a frame is not worth looking at.
    pub fn set_max_age(&self, max_age: Duration) {
        self.max_age.store(Arc::new(max_age));
    }

    /// A frame arrived: it takes its camera's slot. Never blocks.
    pub fn push(&self, frame: Frame) {
        self.metrics.count_received();
        let mut guard = self.lock();
        let state = &mut *guard;
        if !state.slots.contains_key(&frame.camera) {
            if state.slots.len() >= self.limits.cameras {
                state.slots.retain(|_, slot| slot.waiting.is_some() || slot.last.elapsed() < IDLE);
            }
            if state.slots.len() >= self.limits.cameras {
                drop(guard);
                return self.metrics.count_drop(Drop::TooManyCameras);
            }
            let slot = Slot { waiting: None, last: frame.received.instant, replaced: 0 };
            state.slots.insert(Arc::clone(&frame.camera), slot);
            self.metrics.cameras.set(i64::try_from(state.slots.len()).unwrap_or(i64::MAX));
        }
        let size = frame.payload.len();
        let Some(slot) = state.slots.get_mut(&frame.camera) else {
            return;
        };
        let freed = slot.waiting.as_ref().map_or(0, |old| old.payload.len());
        if state.bytes - freed + size > self.limits.bytes {
            // The waiting frame, if any, stays: an old result beats none.
            drop(guard);
            return self.metrics.count_drop(Drop::QueueFull);
        }
        state.bytes = state.bytes - freed + size;
        slot.last = frame.received.instant;
        let camera = Arc::clone(&frame.camera);
        if slot.waiting.replace(frame).is_some() {
            slot.replaced += 1;
            drop(guard);
            self.metrics.count_drop(Drop::Replaced);
        } else {
            state.turns.push_back(camera);
            drop(guard);
            self.arrived.notify_one();
        }
    }

    /// A request arrived. Never blocks.
    ///
    /// # Errors
    /// [`Busy`] with the request if too many wait already.
    pub fn push_request(&self, request: Request) -> Result<(), Box<Busy>> {
        let mut state = self.lock();
        let waiting = state.requests.len();
        let size = request.payload.len();
        if state.closed || waiting >= self.limits.requests || state.bytes + size > self.limits.bytes {
            drop(state);
            return Err(Box::new(Busy { waiting, request }));
        }
        state.bytes += size;
        state.requests.push_back(request);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// The next piece of work; waits for one. `None` once closed.
    ///
    /// Frames that grew too old while they waited are dropped here.
    pub fn take(&self) -> Option<Work> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(work) = state.next() {
                match work {
                    Work::Frame { frame, .. } if frame.received.instant.elapsed() > **self.max_age.load() => {
                        self.metrics.count_drop(Drop::TooOld);
                        continue;
                    }
                    work => {
                        if let Work::Frame { frame, .. } = &work
                            && let Some(slot) = state.slots.get_mut(&frame.camera)
                        {
                            slot.replaced = 0;
                        }
                        return Some(work);
                    }
                }
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Frames and requests that wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let state = self.lock();
        state.turns.len() + state.requests.len()
    }

    /// Stops: workers finish what they hold and get nothing more. Returns the requests nobody will serve.
    pub fn close(&self) -> Vec<Request> {
        let mut state = self.lock();
        state.closed = true;
        let requests = state.requests.drain(..).collect();
        let left = std::mem::take(&mut state.turns);
        state.slots.clear();
        drop(state);
        for _ in left {
            self.metrics.count_drop(Drop::Stopping);
        }
        self.arrived.notify_all();
        requests
    }
}

impl State {
    fn next(&mut self) -> Option<Work> {
        let request_first = self.request_next || self.turns.is_empty();
        if request_first && let Some(request) = self.requests.pop_front() {
            self.request_next = false;
            self.bytes -= request.payload.len();
            return Some(Work::Request(request));
        }
        let camera = self.turns.pop_front()?;
        self.request_next = true;
        let slot = self.slots.get_mut(&camera)?;
        let frame = slot.waiting.take()?;
        self.bytes -= frame.payload.len();
        Some(Work::Frame { frame, replaced: slot.replaced })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::ask::Asker;
    use super::super::{Received, Route};
    use super::*;

    fn intake(cameras: usize, bytes: usize, requests: usize) -> Intake {
        let metrics = Arc::new(Metrics::new([]));
        Intake::new(Limits { cameras, bytes, requests }, Duration::from_secs(60), metrics)
    }

    fn frame(camera: &str, payload: &'static [u8]) -> Frame {
        Frame {
            camera: camera.into(),
            payload: Bytes::from_static(payload),
            route: Route::WHOLE,
            received: Received::now(),
        }
    }

    fn request(payload: &'static [u8]) -> Request {
        Request {
            payload: Bytes::from_static(payload),
            route: Route::WHOLE,
            received: Received::now(),
            asker: Asker::Mqtt(None),
        }
    }

    /// What `take` gives, as text: the payload, then how many it replaced.
    fn taken(intake: &Intake) -> String {
        match intake.take() {
            Some(Work::Frame { frame, replaced }) => format!("{} {replaced}", String::from_utf8_lossy(&frame.payload)),
            Some(Work::Request(request)) => String::from_utf8_lossy(&request.payload).into_owned(),
            None => "closed".to_owned(),
        }
    }

    #[test]
    fn a_newer_frame_replaces_a_waiting_one_and_keeps_its_turn() {
        let intake = intake(9, 99, 9);
        for (camera, payload) in [("a", b"a1"), ("b", b"b1"), ("a", b"a2"), ("a", b"a3")] {
            intake.push(frame(camera, payload));
        }
        assert_eq!(taken(&intake), "a3 2");
        assert_eq!(taken(&intake), "b1 0");
        assert_eq!(intake.metrics.dropped(Drop::Replaced), 2);
        intake.push(frame("a", b"a4"));
        assert_eq!(taken(&intake), "a4 0");
        assert_eq!(intake.waiting(), 0);
    }

    #[test]
    fn a_fast_camera_does_not_starve_the_others() {
        let intake = intake(9, 99, 9);
        let mut served = Vec::new();
        for _ in 0..4 {
            intake.push(frame("slow", b"s"));
            intake.push(frame("other", b"o"));
            for _ in 0..10 {
                intake.push(frame("fast", b"f"));
            }
            served.extend((0..3).map(|_| taken(&intake).chars().next().unwrap()));
        }
        assert_eq!(served.iter().collect::<String>(), "sofsofsofsof");
    }

    #[test]
    fn a_frame_too_old_when_its_turn_comes_is_dropped_and_counted() {
        let intake = intake(9, 99, 9);
        intake.push(frame("a", b"old"));
        intake.set_max_age(Duration::ZERO);
        let mut fresh = frame("b", b"new");
        // A frame "from the future" stands in for one younger than any limit, so that no time has to pass.
        fresh.received.instant += Duration::from_secs(3600);
        intake.push(fresh);
        assert_eq!(taken(&intake), "new 0");
        assert_eq!(intake.metrics.dropped(Drop::TooOld), 1);
    }

    #[test]
    fn waiting_bytes_and_cameras_are_bounded() {
        let intake = intake(2, 4, 9);
        intake.push(frame("a", b"aa"));
        intake.push(frame("b", b"bbb"));
        intake.push(frame("a", b"AAAA"));
        intake.push(frame("c", b"c"));
        assert_eq!(intake.metrics.dropped(Drop::QueueFull), 1);
        assert_eq!(intake.metrics.dropped(Drop::TooManyCameras), 1);
        assert_eq!(taken(&intake), "AAAA 1");
        // What was taken is no longer counted.
        intake.push(frame("b", b"bbbb"));
        assert_eq!(taken(&intake), "bbbb 0");
        assert_eq!(intake.lock().bytes, 0);
    }

    #[test]
    fn requests_and_cameras_take_turns() {
        let intake = intake(9, 99, 2);
        intake.push_request(request(b"r1")).unwrap();
        intake.push_request(request(b"r2")).unwrap();
        let busy = intake.push_request(request(b"r3")).unwrap_err();
        assert_eq!(busy.to_string(), "busy: 2 requests are waiting already; try again later");
        assert_eq!(&busy.request.payload[..], b"r3");
        for camera in ["a", "b", "c"] {
            intake.push(frame(camera, b"f"));
        }
        let order: Vec<_> = (0..5).map(|_| taken(&intake)).collect();
        assert_eq!(order, ["f 0", "r1", "f 0", "r2", "f 0"]);
    }

    #[test]
    fn closing_wakes_the_workers_and_hands_back_the_requests() {
        let intake = Arc::new(intake(9, 99, 9));
        let worker = std::thread::spawn({
            let intake = Arc::clone(&intake);
            move || taken(&intake)
        });
        assert!(intake.close().is_empty());
        assert_eq!(worker.join().unwrap(), "closed");
        assert!(intake.push_request(request(b"r")).is_err());
    }

    #[test]
    fn what_waits_when_closing_is_handed_back_or_counted() {
        let intake = intake(9, 99, 9);
        intake.push(frame("a", b"a1"));
        intake.push(frame("b", b"b1"));
        intake.push_request(request(b"r1")).unwrap();
        let left = intake.close();
        assert_eq!(left.iter().map(|request| &request.payload[..]).collect::<Vec<_>>(), [b"r1"]);
        assert_eq!(intake.metrics.dropped(Drop::Stopping), 2);
    }
}
