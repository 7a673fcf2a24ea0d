//! Where feedback waits for the keeper: so many messages, and so many bytes.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::message::Answer;
use super::record::Via;

/// A message that wants to be kept.
pub struct Submission {
    /// Its JSON.
    pub json: Bytes,
    /// How it came in.
    pub via: Via,
    /// Called once it is on disk, or refused for good. Dropped uncalled if the daemon stops before: then the sender has to
    /// send it again, or the broker does.
    pub reply: Box<dyn FnOnce(&Answer) + Send>,
}

impl std::fmt::Debug for Submission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Submission").field("json", &self.json.len()).field("via", &self.via).finish_non_exhaustive()
    }
}

/// Hands messages to the keeper. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Inbox {
    queue: mpsc::Sender<Mail>,
    bytes: Arc<Semaphore>,
    max_bytes: u32,
}

/// A place for one message.
#[derive(Debug)]
pub struct Room {
    place: OwnedPermit<Mail>,
    bytes: OwnedSemaphorePermit,
}

/// The end of the inbox that the keeper reads.
#[derive(Debug)]
pub struct Submitted(pub(super) mpsc::Receiver<Mail>);

#[cfg(test)]
impl Submitted {
    /// How often the bell was rung, and whether all inboxes are gone.
    pub(super) fn rings(&mut self) -> (usize, bool) {
        let mut rings = 0;
        loop {
            match self.0.try_recv() {
                Ok(_) => rings += 1,
                Err(error) => return (rings, error == mpsc::error::TryRecvError::Disconnected),
            }
        }
    }
}

/// A message, and its share of the bytes that may be in hand: given back when it is done with.
pub(super) type Taken = (Submission, OwnedSemaphorePermit);

/// What comes through the inbox.
#[derive(Debug)]
pub(super) enum Mail {
    /// A message.
    Feedback(Taken),
    /// A frame waits in the [`Collector`](super::collect::Collector).
    Collected,
}

/// Too many messages wait, or the keeper has ended: this one was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too much feedback waits to be stored; try again later")]
pub struct NotTaken;

impl Inbox {
    /// Hands a message over. Never blocks.
    ///
    /// # Errors
    /// [`NotTaken`] if it was not taken.
    pub fn submit(&self, submission: Submission) -> Result<(), NotTaken> {
        let bytes = Arc::clone(&self.bytes).try_acquire_many_owned(self.share(submission.json.len()));
        self.queue.try_send(Mail::Feedback((submission, bytes.map_err(|_| NotTaken)?))).map_err(|_| NotTaken)
    }

    /// Tells that a frame waits in the collector. Never blocks.
    pub(super) fn ring(&self) {
        // With a full inbox the keeper is awake, and looks there by itself when it is empty.
        let _awake = self.queue.try_send(Mail::Collected);
    }

    /// Waits until there is room for a message of `bytes` bytes. Those that wait are served in turn.
    ///
    /// # Errors
    /// [`NotTaken`] if the keeper has ended.
    pub async fn room(&self, bytes: usize) -> Result<Room, NotTaken> {
        let share = self.share(bytes);
        let acquire = Arc::clone(&self.bytes).acquire_many_owned(share);
        let bytes = tokio::select! {
            bytes = acquire => bytes.map_err(|_| NotTaken)?,
            () = self.queue.closed() => return Err(NotTaken),
        };
        let place = self.queue.clone().reserve_owned().await.map_err(|_| NotTaken)?;
        Ok(Room { place, bytes })
    }

    /// One that is larger than all the room there is gets in alone.
    fn share(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.max_bytes)
    }
}

impl Room {
    /// Hands a message over.
    pub fn fill(self, submission: Submission) {
        self.place.send(Mail::Feedback((submission, self.bytes)));
    }
}

/// An inbox in which `capacity` messages may wait, and the end that the keeper reads. What waits and what the keeper has in
/// hand have at most `max_bytes` bytes together.
#[must_use]
pub fn new(capacity: usize, max_bytes: u32) -> (Inbox, Submitted) {
    let (queue, submitted) = mpsc::channel(capacity);
    let bytes = Arc::new(Semaphore::new(max_bytes as usize));
    (Inbox { queue, bytes, max_bytes }, Submitted(submitted))
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn submission(bytes: usize) -> Submission {
        Submission { json: vec![0; bytes].into(), via: Via::Http, reply: Box::new(|_| {}) }
    }

    /// What there is without waiting.
    fn now<T>(work: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        match work.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    }

    #[test]
    fn room_is_given_back_when_a_message_is_done_with_and_not_when_it_is_read() {
        let (inbox, Submitted(mut submitted)) = new(10, 100);
        assert_eq!(inbox.submit(submission(60)), Ok(()));
        assert_eq!(inbox.submit(submission(60)), Err(NotTaken));
        assert_eq!(inbox.submit(submission(40)), Ok(()));
        let mut room = pin!(inbox.room(60));
        assert!(now(room.as_mut()).is_none());
        let first = submitted.try_recv().unwrap();
        assert!(now(room.as_mut()).is_none());
        drop(first);
        now(room.as_mut()).unwrap().unwrap().fill(submission(60));
        assert_eq!(inbox.submit(submission(1)), Err(NotTaken));
    }

    #[test]
    fn one_that_is_larger_than_all_the_room_gets_in_alone() {
        let (inbox, Submitted(mut submitted)) = new(10, 100);
        assert_eq!(inbox.submit(submission(1)), Ok(()));
        let mut room = pin!(inbox.room(1000));
        assert!(now(room.as_mut()).is_none());
        drop(submitted.try_recv().unwrap());
        now(room.as_mut()).unwrap().unwrap().fill(submission(1000));
        assert_eq!(inbox.submit(submission(1)), Err(NotTaken));
    }

    #[test]
    fn so_many_messages_wait_and_none_when_the_keeper_has_ended() {
        let (inbox, submitted) = new(1, 100);
        assert_eq!(inbox.submit(submission(1)), Ok(()));
        assert_eq!(inbox.submit(submission(1)), Err(NotTaken));
        let mut small = pin!(inbox.room(1));
        let mut large = pin!(inbox.room(100));
        assert!(now(small.as_mut()).is_none() && now(large.as_mut()).is_none());
        drop(submitted);
        assert!(matches!((now(small.as_mut()), now(large.as_mut())), (Some(Err(_)), Some(Err(_)))));
    }
}
