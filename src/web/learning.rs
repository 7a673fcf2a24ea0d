//! Models and learning over HTTP.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State as Extract};
use axum::http::header::ORIGIN;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::server::{State, is_json, json};
use crate::learn::job::Ask;
use crate::model::{Registry, RegistryError};

#[derive(Serialize)]
struct Problem<'a> {
    error: &'a str,
}

fn problem(status: StatusCode, error: &str) -> Response {
    json(status, &Problem { error })
}

/// A page elsewhere can make a browser post here. Then the browser says where it comes from, and it can't say that it is JSON
/// unless we allowed it.
fn is_foreign(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) && !is_json(headers)
}

fn foreign() -> Response {
    problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json")
}

/// `GET /api/retrain`: what is being learnt.
pub(super) async fn state(Extract(state): Extract<State>) -> Response {
    json(StatusCode::OK, &state.learning.state())
}

/// `POST /api/retrain`: learn, or, with `{"cancel": true}`, do not.
pub(super) async fn retrain(Extract(state): Extract<State>, headers: HeaderMap, body: Bytes) -> Response {
    if is_foreign(&headers) {
        return foreign();
    }
    match Ask::parse(&body) {
        Ok(ask) => answered(&state, ask).await,
        Err(error) => problem(StatusCode::UNPROCESSABLE_ENTITY, &error),
    }
}

/// `DELETE /api/retrain`: the training that runs ends.
pub(super) async fn cancel(Extract(state): Extract<State>) -> Response {
    answered(&state, Ask { cancel: true, ..Ask::default() }).await
}

async fn answered(state: &State, ask: Ask) -> Response {
    let (done, answer) = oneshot::channel();
    // Whoever has asked may have gone.
    state.learning.ask(ask, move |result| drop(done.send(result)));
    match answer.await {
        Ok(Ok(state)) => json(StatusCode::ACCEPTED, &state),
        Ok(Err(error)) => problem(StatusCode::CONFLICT, &error),
        Err(_) => problem(StatusCode::SERVICE_UNAVAILABLE, "the node is stopping"),
    }
}

/// `GET /api/models`: all models and their versions.
pub(super) async fn models(Extract(state): Extract<State>) -> Response {
    match on_disk(&state, |registry| registry.list()).await {
        Ok(listed) => json(StatusCode::OK, &listed),
        Err(response) => response,
    }
}

/// Which model is meant.
#[derive(Deserialize)]
pub(super) struct Which {
    /// That of `model.name` if none is named.
    model: Option<String>,
}

#[derive(Serialize)]
struct InUse {
    name: String,
    version: String,
}

/// `POST /api/models/<version>/promote?model=<name>`: a version is put in use.
pub(super) async fn promote(
    Extract(state): Extract<State>,
    Path(version): Path<String>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Response {
    moved(&state, which, &headers, move |registry, name| {
        registry.promote(name, &version).map(|current| current.version)
    })
    .await
}

/// `POST /api/models/rollback?model=<name>`: the version before is put in use.
pub(super) async fn rollback(
    Extract(state): Extract<State>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Response {
    moved(&state, which, &headers, |registry, name| registry.rollback(name).map(|current| current.version)).await
}

async fn moved(
    state: &State,
    which: Which,
    headers: &HeaderMap,
    to: impl FnOnce(&Registry, &str) -> Result<String, RegistryError> + Send + 'static,
) -> Response {
    if is_foreign(headers) {
        return foreign();
    }
    let name = which.model.unwrap_or_else(|| state.models.get(0).name.clone());
    let known = name.clone();
    match on_disk(state, move |registry| {
        // A name from outside is only looked up among those there are: it becomes a part of a path.
        match registry.names().contains(&name) {
            true => to(registry, &name),
            false => Err(registry.not_found(&name)),
        }
    })
    .await
    {
        Ok(version) => json(StatusCode::OK, &InUse { name: known, version }),
        Err(response) => response,
    }
}

/// Asks the registry on a thread that may wait for a disk.
async fn on_disk<T: Send + 'static>(
    state: &State,
    ask: impl FnOnce(&Registry) -> Result<T, RegistryError> + Send + 'static,
) -> Result<T, Response> {
    let registry = Arc::clone(&state.registry);
    let asked = tokio::task::spawn_blocking(move || ask(&registry)).await;
    match asked {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            let status = match &error {
                RegistryError::NotFound { .. } | RegistryError::NoVersion { .. } => StatusCode::NOT_FOUND,
                RegistryError::NothingBefore { .. } => StatusCode::CONFLICT,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            Err(problem(status, &error.to_string()))
        }
        Err(_) => Err(problem(StatusCode::INTERNAL_SERVER_ERROR, "internal error: a step panicked")),
    }
}
