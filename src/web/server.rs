//! Routes, and who may use them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State as Extract};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::learning;
use crate::config::Secret;
use crate::feedback::inbox::{Inbox, Submission};
use crate::feedback::message::Answer;
use crate::feedback::record::Via;
use crate::learn::job::Learning;
use crate::model::{Active, Registry};
use crate::mqtt::wire;
use crate::ops::health::Health;
use crate::ops::metrics::Metrics;
use crate::ops::shutdown::Shutdown;

/// What the routes show.
#[derive(Clone, Debug)]
pub struct State {
    /// For `/metrics`.
    pub metrics: Arc<Metrics>,
    /// For `/healthz` and `/readyz`.
    pub health: Arc<Health>,
    /// For `/api/feedback`.
    pub feedback: Inbox,
    /// For `/api/retrain`.
    pub learning: Learning,
    /// The models that are served.
    pub models: Arc<Active>,
    /// For `/api/models`.
    pub registry: Arc<Registry>,
    /// The largest feedback message, bytes.
    pub max_feedback_bytes: usize,
    /// What a request must carry (`Authorization: Bearer …`), if anything. Health is told to everyone.
    pub token: Option<Secret>,
}

/// Serves until asked to stop. The listener is bound before, so that an address in use is found at the start.
pub async fn serve(listener: TcpListener, state: State, mut shutdown: Shutdown) {
    let server = axum::serve(listener, routes(state)).with_graceful_shutdown(async move { shutdown.requested().await });
    if let Err(error) = server.await {
        tracing::error!(%error, "the HTTP server stopped");
    }
}

fn routes(state: State) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/api/feedback", post(feedback).layer(DefaultBodyLimit::max(state.max_feedback_bytes)))
        .route("/api/retrain", get(learning::state).post(learning::retrain).delete(learning::cancel))
        .route("/api/models", get(learning::models))
        .route("/api/models/{version}/promote", post(learning::promote))
        .route("/api/models/rollback", post(learning::rollback))
        .route_layer(middleware::from_fn_with_state(state.clone(), authorize))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(state)
}

async fn authorize(Extract(state): Extract<State>, request: Request, next: Next) -> Response {
    let Some(token) = &state.token else {
        return next.run(request).await;
    };
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    // In constant time: how long the comparison takes must not tell how much of a guess is right.
    if given.is_some_and(|given| bool::from(given.ct_eq(token.expose().as_bytes()))) {
        return next.run(request).await;
    }
    let challenge = [(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))];
    (StatusCode::UNAUTHORIZED, challenge, "a token is needed: Authorization: Bearer TOKEN\n").into_response()
}

/// How long a sender waits for the disk.
const FEEDBACK_WITHIN: Duration = Duration::from_secs(10);

async fn feedback(Extract(state): Extract<State>, headers: HeaderMap, body: Bytes) -> Response {
    // A page elsewhere can make a browser post here, but not JSON, unless we allowed it.
    if !is_json(&headers) {
        return json(StatusCode::UNSUPPORTED_MEDIA_TYPE, &Answer::refused("Content-Type must be application/json"));
    }
    let (done, stored) = oneshot::channel();
    let reply = move |answer: &Answer| {
        // A sender that has gone away needs no answer.
        let _ = done.send(answer.clone());
    };
    let submission = Submission { json: body, via: Via::Http, reply: Box::new(reply) };
    if let Err(error) = state.feedback.submit(submission) {
        return json(StatusCode::SERVICE_UNAVAILABLE, &Answer::refused(error.to_string()));
    }
    match tokio::time::timeout(FEEDBACK_WITHIN, stored).await {
        Ok(Ok(stored @ Answer::Stored { .. })) => json(StatusCode::OK, &stored),
        Ok(Ok(refused @ Answer::Refused { .. })) => json(StatusCode::UNPROCESSABLE_ENTITY, &refused),
        Ok(Err(_)) | Err(_) => json(
            StatusCode::SERVICE_UNAVAILABLE,
            &Answer::refused("it could not be stored yet: send it again later, with the same \"id\""),
        ),
    }
}

/// Whether a request says that its body is JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"))
}

/// An answer in JSON, which is true at this moment only.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    (status, [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], wire::to_json(body)).into_response()
}

async fn metrics(Extract(state): Extract<State>) -> Response {
    const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, OPENMETRICS), (CACHE_CONTROL, "no-store")], state.metrics.render()).into_response()
}

async fn healthz(Extract(state): Extract<State>) -> Response {
    tell(state.health.alive())
}

async fn readyz(Extract(state): Extract<State>) -> Response {
    tell(state.health.ready())
}

fn tell(state: Result<(), String>) -> Response {
    match state {
        Ok(()) => "ok\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}
