//! What happens now, for those who look on.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State as Extract;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_core::Stream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Interval, MissedTickBehavior};

use super::problem::{Problem, Refused, Served};
use super::state::State;
use crate::frame::board::{Board, Watcher};
use crate::learn::job;
use crate::mqtt::wire;
use crate::ops::shutdown::Shutdown;

/// How often it is looked what is new: of a camera that is quicker, only the newest result is told.
const EVERY: Duration = Duration::from_millis(250);
/// With nothing to tell, a sign of life, so that what lies between does not close the connection.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// Tells results as they come, and what is being learnt
#[utoipa::path(
    get, path = "/api/live", tag = "frames",
    responses((status = 200, content_type = "text/event-stream", body = String,
        description = "Server-sent events: results of cameras, and `retrain` with what is being learnt"), Refused)
)]
pub(super) async fn live(
    Extract(state): Extract<State>,
) -> Served<Sse<impl Stream<Item = Result<Event, Infallible>> + use<>>> {
    let place = Arc::clone(&state.watchers).try_acquire_owned();
    let place = place.map_err(|_| Problem::busy("too many look on already"))?;
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut learning = state.learning.changes();
    learning.mark_changed();
    let board = Arc::clone(&state.shared.board);
    let watcher = Board::watch(&board);
    let shutdown = state.shutdown.clone();
    let live =
        Live { board, ticks, told: 0, waiting: VecDeque::new(), learning, shutdown, _watcher: watcher, _place: place };
    Ok(Sse::new(live).keep_alive(KeepAlive::new().interval(SIGN_OF_LIFE)))
}

/// Everything that comes, each camera's newest result only: who reads slowly gets fewer.
struct Live {
    board: Arc<Board>,
    ticks: Interval,
    /// The number of the last result that was told.
    told: u64,
    waiting: VecDeque<Bytes>,
    learning: watch::Receiver<job::State>,
    shutdown: Shutdown,
    _watcher: Watcher,
    _place: OwnedSemaphorePermit,
}

impl Stream for Live {
    type Item = Result<Event, Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let live = self.get_mut();
        loop {
            if live.shutdown.is_requested() {
                return Poll::Ready(None);
            }
            if let Some(result) = live.waiting.pop_front() {
                // JSON is UTF-8 in one line.
                return Poll::Ready(Some(Ok(Event::default().data(String::from_utf8_lossy(&result)))));
            }
            if live.learning.has_changed().unwrap_or(false) {
                let state = wire::to_json(&*live.learning.borrow_and_update());
                let event = Event::default().event("retrain").data(String::from_utf8_lossy(&state));
                return Poll::Ready(Some(Ok(event)));
            }
            ready!(live.ticks.poll_tick(context));
            let (newest, told) = live.board.since(live.told);
            live.told = told;
            live.waiting.extend(newest.into_iter().map(|newest| newest.result));
        }
    }
}
