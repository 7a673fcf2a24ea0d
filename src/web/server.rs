//! Routes, and what stands before them.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State as Extract};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::Problem;
use super::state::{Parts, State};
use super::{access, assets, cameras, classify, feedback, labels, learning, live, models, node, review};

/// What is sent to the other routes is small.
const MOST_BYTES: usize = 64 << 10;

/// What `GET /api/openapi.json` says besides the routes.
#[derive(OpenApi)]
#[openapi(
    components(schemas(Problem)),
    info(title = "glanced", description = "Looks at camera frames, and learns from what people say of them.")
)]
struct Document;

/// Serves until asked to stop. The listener is bound before, so that an address in use is found at the start.
pub async fn serve(listener: TcpListener, parts: Parts) {
    let mut shutdown = parts.shutdown.clone();
    let service = routes(parts).into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(async move { shutdown.requested().await });
    if let Err(error) = server.await {
        tracing::error!(%error, "the HTTP server stopped");
    }
}

fn routes(parts: Parts) -> Router {
    let max_image_bytes = parts.limits.max_bytes.saturating_add(classify::FORM_BYTES);
    let max_feedback_bytes = parts.max_feedback_bytes;
    let state = State::new(parts);
    let large = |bytes| DefaultBodyLimit::max(bytes);
    let (api, document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(live::live))
        .routes(routes!(cameras::cameras))
        .routes(routes!(cameras::picture, review::remove))
        .routes(routes!(review::frames))
        .routes(routes!(labels::labels))
        .routes(routes!(feedback::take_back))
        .routes(routes!(feedback::stats))
        .routes(routes!(models::models, models::make))
        .routes(routes!(models::promote))
        .routes(routes!(models::rollback))
        .routes(routes!(learning::training, learning::retrain, learning::cancel))
        .routes(routes!(node::node))
        .layer(large(MOST_BYTES))
        .merge(OpenApiRouter::new().routes(routes!(classify::classify)).layer(large(max_image_bytes)))
        .merge(OpenApiRouter::new().routes(routes!(feedback::say)).layer(large(max_feedback_bytes)))
        .split_for_parts();
    let (session, session_document) = OpenApiRouter::new()
        .routes(routes!(access::session, access::login, access::logout))
        .layer(large(MOST_BYTES))
        .split_for_parts();
    let document = Arc::new(document.merge_from(session_document).to_json().unwrap_or_default());
    let document = move || async move {
        ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")], document.as_str().to_owned())
    };
    let guarded =
        |router: Router<State>| router.route_layer(middleware::from_fn_with_state(state.clone(), access::same_site));
    let behind_token = api
        .route("/metrics", get(metrics))
        .route("/api/openapi.json", get(document))
        .route_layer(middleware::from_fn_with_state(state.clone(), access::authorize));
    let in_front = session.route("/", get(assets::page)).route("/assets/{name}", get(assets::asset));
    guarded(behind_token.merge(in_front))
        .route_layer(middleware::from_fn_with_state(state.clone(), access::throttle))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback(async || Problem::not_found("there is nothing here"))
        .method_not_allowed_fallback(async || Problem::new(StatusCode::METHOD_NOT_ALLOWED, "not with this method"))
        .layer(middleware::from_fn(careful))
        .with_state(state)
}

/// What a browser may do with what we send: run our scripts and no others, show it in no frame, and give it to no other site.
async fn careful(request: Request, next: Next) -> Response {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
         connect-src 'self'; media-src 'self' blob:; manifest-src 'self'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'";
    const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), SAME_ORIGIN);
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), SAME_ORIGIN);
    let camera_only = HeaderValue::from_static("camera=(self), microphone=(), geolocation=()");
    headers.insert(HeaderName::from_static("permissions-policy"), camera_only);
    response
}

async fn metrics(Extract(state): Extract<State>) -> Response {
    const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, OPENMETRICS), (CACHE_CONTROL, "no-store")], state.shared.metrics.render()).into_response()
}

async fn healthz(Extract(state): Extract<State>) -> Response {
    tell(state.shared.health.alive())
}

async fn readyz(Extract(state): Extract<State>) -> Response {
    tell(state.shared.health.ready())
}

fn tell(state: Result<(), String>) -> Response {
    match state {
        Ok(()) => "ok\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}
