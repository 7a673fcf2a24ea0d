//! What the routes share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;

use super::access::Access;
use super::cache::Cache;
use super::hashes::Hashes;
use super::problem::{Problem, Served};
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
    /// One looks at the models' folder at a time: versions are checked against their hashes, which takes a core for a moment.
    pub(super) looking: Arc<Mutex<()>>,
    pub(super) uploads: Semaphore,
    pub(super) watchers: Arc<Semaphore>,
}

impl State {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { shared, feedback, shelf, learning, registry, values, limits, workers, runtime, .. } = parts;
        Self(Arc::new(Inner {
            shared,
            feedback,
            shelf,
            learning,
            registry: Arc::new(registry),
            values,
            limits,
            workers,
            runtime,
            shutdown: parts.shutdown,
            access: Access::new(parts.token),
            cache: Cache::new(),
            hashes: Arc::new(Hashes::new()),
            looking: Arc::default(),
            uploads: Semaphore::new(UPLOADS),
            watchers: Arc::new(Semaphore::new(WATCHERS)),
        }))
    }

    /// The model of a name that is served, or the default one.
    pub(super) fn model(&self, name: Option<&str>) -> Served<Arc<Bundle>> {
        let models = &self.shared.models;
        match name {
            None | Some("") => Ok(models.get(0)),
            Some(name) => models.named(name).ok_or_else(|| Problem::not_found(format!("no model {name:?} runs here"))),
        }
    }
}
