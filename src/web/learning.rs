//! Trainings.

use axum::body::Bytes;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::response::Response;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::extract::{Json, json};
use super::problem::{Problem, Refused, Served};
use super::state::State;
use crate::learn::job::{self, Ask};

/// What is asked for. Nothing at all asks for what is configured.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is only described: the same is read over MQTT")]
pub(super) struct Wish {
    /// The model; that of `model.name` if none is named.
    model: Option<String>,
    /// Whether what is better is put in use; `learn.promote` if that is not said.
    promote: Option<bool>,
    /// The training that runs is to end, and none to begin.
    cancel: Option<bool>,
}

/// Tells what is being learnt
#[utoipa::path(get, path = "/api/retrain", tag = "models", responses((status = 200, body = job::State), Refused))]
pub(super) async fn training(Extract(state): Extract<State>) -> Json<job::State> {
    Json(state.learning.state())
}

/// Begins a training
#[utoipa::path(
    post, path = "/api/retrain", tag = "models", request_body(content = Option<Wish>),
    responses((status = 202, body = job::State), Refused)
)]
pub(super) async fn retrain(Extract(state): Extract<State>, body: Bytes) -> Served<Response> {
    let ask = Ask::parse(&body).map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error))?;
    answered(&state, ask).await
}

/// Ends the training that runs
#[utoipa::path(delete, path = "/api/retrain", tag = "models", responses((status = 202, body = job::State), Refused))]
pub(super) async fn cancel(Extract(state): Extract<State>) -> Served<Response> {
    answered(&state, Ask { cancel: true, ..Ask::default() }).await
}

async fn answered(state: &State, ask: Ask) -> Served<Response> {
    let (done, answer) = oneshot::channel();
    // Whoever has asked may have gone.
    state.learning.ask(ask, move |result| drop(done.send(result)));
    match answer.await {
        Ok(Ok(state)) => Ok(json(StatusCode::ACCEPTED, &state)),
        Ok(Err(error)) => Err(Problem::new(StatusCode::CONFLICT, error)),
        Err(_) => Err(Problem::busy("the node is stopping")),
    }
}
