//! Routes, and who may use them.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State as Extract};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;

use crate::config::Secret;
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
