//! The node: how it does, and what it was told.

use std::collections::BTreeMap;

use axum::extract::State as Extract;
use serde::Serialize;
use utoipa::ToSchema;

use super::cache::CacheUse;
use super::extract::Json;
use super::problem::Refused;
use super::state::State;
use crate::ops::metrics::{Drop, Likeness, RequestOutcome};
use crate::ops::process;

/// How a node does.
#[derive(Serialize, ToSchema)]
pub(super) struct Node {
    /// Its name.
    node: String,
    /// Of the program.
    version: &'static str,
    uptime_s: u64,
    /// Why it should be started anew, if it should.
    alive: Option<String>,
    /// Why no frames can flow, if none can.
    ready: Option<String>,
    /// Threads that classify.
    workers: usize,
    /// Frames and requests that wait now.
    waiting: usize,
    /// Frames that arrived.
    received: u64,
    /// Requests, by outcome.
    requests: BTreeMap<&'static str, u64>,
    /// Frames without a result, by reason.
    dropped: BTreeMap<&'static str, u64>,
    /// Frames that needed no look, by how like one before they were.
    repeats: BTreeMap<&'static str, u64>,
    /// Results published, by model.
    results: Vec<ResultsOf>,
    /// Results of all cameras a second, of late.
    per_second: f64,
    /// Cameras seen.
    cameras: i64,
    /// Resident memory.
    rss_bytes: Option<u64>,
    /// Processor time used.
    cpu_s: f64,
    cache: CacheUse,
    /// Where ONNX Runtime was found.
    runtime: String,
    /// Every key that is in force.
    config: Vec<Setting>,
}

/// What a model has said.
#[derive(Serialize, ToSchema)]
struct ResultsOf {
    name: String,
    version: String,
    results: u64,
}

/// A key of the configuration. Of a secret there is the path of its file.
#[derive(Serialize, ToSchema)]
struct Setting {
    key: String,
    value: String,
    /// Where it was set.
    origin: String,
}

/// Tells how the node does, and what it was told
#[utoipa::path(get, path = "/api/node", tag = "node", responses((status = 200, body = Node), Refused))]
pub(super) async fn node(Extract(state): Extract<State>) -> Json<Node> {
    let shared = &state.shared;
    let metrics = &shared.metrics;
    let results = shared.models.all().into_iter().map(|bundle| ResultsOf {
        results: metrics.results(&bundle.name, &bundle.version),
        name: bundle.name.clone(),
        version: bundle.version.clone(),
    });
    let per_second = shared.board.all().iter().fold(0.0, |sum, shown| sum + shown.per_second);
    let values = state.values.load();
    let config = values.iter().map(|(key, setting)| Setting {
        key: key.clone(),
        value: setting.value.clone(),
        origin: setting.origin.to_string(),
    });
    Json(Node {
        node: shared.node.clone(),
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: shared.health.uptime().as_secs(),
        alive: shared.health.alive().err(),
        ready: shared.health.ready().err(),
        workers: state.workers,
        waiting: shared.intake.waiting(),
        received: metrics.received(),
        requests: RequestOutcome::ALL.into_iter().map(|of| (of.name(), metrics.requests(of))).collect(),
        dropped: Drop::ALL.into_iter().map(|reason| (reason.name(), metrics.dropped(reason))).collect(),
        repeats: Likeness::ALL.into_iter().map(|like| (like.name(), metrics.repeats(like))).collect(),
        results: results.collect(),
        per_second: (per_second * 10.0).round() / 10.0,
        cameras: metrics.cameras.get(),
        rss_bytes: process::resident_bytes(),
        cpu_s: process::cpu_time().as_secs_f64(),
        cache: state.cache.used(),
        runtime: state.runtime.clone(),
        config: config.collect(),
    })
}
