//! Routes, and what stands before them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
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
use tokio::sync::Semaphore;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{self, Access};
use super::cache::Cache;
use super::problem::{Problem, Served};
use super::review::Hashes;
use super::{assets, cameras, classify, feedback, labels, learning, live, models, node, review};
use crate::config::{Secret, Setting};
use crate::feedback::inbox::Inbox;
use crate::feedback::keeper::Shelf;
use crate::frame::decode::Limits;
use crate::frame::worker::Shared;
use crate::learn::job::Learning;
use crate::model::{Bundle, Registry};
use crate::ops::shutdown::Shutdown;

/// Pictures that may be uploaded at once: as many as the workers of a large box take in a moment.
const UPLOADS: usize = 8;
/// Pages that may look on at once.
const WATCHERS: usize = 64;
/// What is sent to the other routes is small.
const MOST_BYTES: usize = 64 << 10;

/// What the routes work with.
#[derive(Debug)]
pub struct Parts {
    /// The workers' side: intake, models, board, held frames, counters, health.
    pub shared: Arc<Shared>,
    /// For what people say.
    pub feedback: Inbox,
    /// The store, once it is open.
    pub shelf: Shelf,
    /// For trainings.
    pub learning: Learning,
    /// The models on disk.
    pub registry: Registry,
    /// Every key of the configuration.
    pub values: Arc<ArcSwap<BTreeMap<String, Setting>>>,
    /// Of the decoder.
    pub limits: Limits,
    /// Threads that classify.
    pub workers: usize,
    /// Where ONNX Runtime was found.
    pub runtime: String,
    /// The largest feedback message, bytes.
    pub max_feedback_bytes: usize,
    /// What a request must carry (`Authorization: Bearer …`), if anything. Health is told to everyone.
    pub token: Option<Secret>,
    /// The word to stop.
    pub shutdown: Shutdown,
}

/// What the routes share.
#[derive(Clone, Debug)]
pub(super) struct State(Arc<Inner>);

impl std::ops::Deref for State {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) shared: Arc<Shared>,
    pub(super) feedback: Inbox,
    pub(super) shelf: Shelf,
    pub(super) learning: Learning,
    pub(super) registry: Arc<Registry>,
    pub(super) values: Arc<ArcSwap<BTreeMap<String, Setting>>>,
    pub(super) limits: Limits,
    pub(super) workers: usize,
    pub(super) runtime: String,
    pub(super) shutdown: Shutdown,
    pub(super) access: Access,
    pub(super) cache: Cache,
    pub(super) hashes: Arc<Hashes>,
    pub(super) looking: models::Looking,
    pub(super) uploads: Semaphore,
    pub(super) watchers: Arc<Semaphore>,
}

impl State {
    /// The model of a name that is served, or the default one.
    pub(super) fn model(&self, name: Option<&str>) -> Served<Arc<Bundle>> {
        let models = &self.shared.models;
        match name {
            None | Some("") => Ok(models.get(0)),
            Some(name) => models.named(name).ok_or_else(|| Problem::not_found(format!("no model {name:?} runs here"))),
        }
    }
}

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
    let Parts {
        shared, feedback, shelf, learning, registry, values, limits, workers, runtime, token, shutdown, ..
    } = parts;
    let state = State(Arc::new(Inner {
        shared,
        feedback,
        shelf,
        learning,
        registry: Arc::new(registry),
        values,
        limits,
        workers,
        runtime,
        shutdown,
        access: Access::new(token),
        cache: Cache::new(),
        hashes: Arc::new(Hashes::new()),
        looking: models::Looking::default(),
        uploads: Semaphore::new(UPLOADS),
        watchers: Arc::new(Semaphore::new(WATCHERS)),
    }));
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
