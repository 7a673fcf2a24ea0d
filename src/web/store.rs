//! Questions to the store: they wait for a disk, and no frame and no other request waits with them.

use std::sync::Arc;

use axum::http::StatusCode;
use ulid::Ulid;

use super::problem::{Problem, Served};
use super::state::State;
use crate::feedback::{Store, View};

/// The id of a frame, or of a statement.
pub(super) fn frame_id(text: &str) -> Served<Ulid> {
    let malformed = |_| Problem::new(StatusCode::BAD_REQUEST, "an id has 26 letters and digits");
    text.parse().map_err(malformed)
}

/// Asks the store something, on a thread that may wait.
pub(super) async fn asked<T: Send + 'static>(
    state: &State,
    ask: impl FnOnce(&View) -> Served<T> + Send + 'static,
) -> Served<T> {
    done(state, move |store| ask(store.view())).await
}

/// Does something with the store, on a thread that may wait.
pub(super) async fn done<T: Send + 'static>(
    state: &State,
    work: impl FnOnce(&Store) -> Served<T> + Send + 'static,
) -> Served<T> {
    let store = state.shelf.get().map(Arc::clone);
    let store = store.ok_or_else(|| Problem::busy("the store is not open: the log says why"))?;
    waiting(move || work(&store)).await
}

/// Does something that may wait for a disk.
pub(super) async fn waiting<T: Send + 'static>(work: impl FnOnce() -> Served<T> + Send + 'static) -> Served<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Problem::internal("internal error: a step panicked")))
}
