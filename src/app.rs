//! The only wiring: every part, every queue between them, its capacity and what happens when it is full.
//!
//! | queue | capacity | when full |
//! | --- | --- | --- |
//! | a camera's slot | 1 frame | the newer frame replaces the waiting one |
//! | all slots together | `inference.queue_bytes`, `inference.max_cameras` | the arriving frame is dropped |
//! | requests | `inference.request_queue` | the request is answered "busy" |
//! | messages to the broker | 256 (`OUTBOX`) | the result is dropped and counted |
//! | feedback to be stored | 512 (`INBOX`), 32 MiB (`INBOX_BYTES`) | its connection is not read: the broker keeps it, HTTP says "later" |
//! | answers to feedback | 1 MiB (`mqtt/feedback/returns.rs`) | the answer is not sent, and the log says so |
//! | likely mistakes to be stored | 8 (`COLLECTED`) | the frame is not kept, and counted |
//! | wishes to learn | 16 (`learn/job.rs`) | answered "too much is asked at once" |
//! | what Home Assistant's topics say | 4096 (`mqtt/discovery.rs`) | it is passed over |
//! | loaded models for a worker | 1 a model (`frame/exchange.rs`) | the newer one takes the place |
//! | new routes for the connection | 1 | the newer ones replace those not yet taken over |

mod feedback;
mod follow;
mod models;
mod reload;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use self::feedback::Feedback;
use self::follow::Follower;
pub use self::models::Models;
pub use self::reload::ReloadError;
use crate::classify::session::{Runtime, SessionError};
use crate::classify::temporal::TemporalStates;
use crate::classify::views::Views;
use crate::config::{self, Loaded, Setting};
use crate::feedback::collect::{self, Collector};
use crate::feedback::held::Held;
use crate::feedback::inbox;
use crate::feedback::keeper::Shelf;
use crate::frame::ask::RefusalKind;
use crate::frame::board::Board;
use crate::frame::decode::Limits;
use crate::frame::exchange::Exchange;
use crate::frame::intake::{self, Intake};
use crate::frame::pipeline::{Pipeline, PipelineError};
use crate::frame::publish::{Answers, Results, Style};
use crate::frame::repeats::Repeats;
use crate::frame::steps::{Looking, Steps};
use crate::frame::worker::{self, Shared};
use crate::learn::job;
use crate::model::{Active, Registry, RegistryError};
use crate::mqtt::broker::{self, BrokerError};
use crate::mqtt::{
    self, Connection, FeedbackLink, LinkParts, OptionsError, Parts, ReplyGuard, Router, discovery, stats,
};
use crate::ops::health::Health;
use crate::ops::metrics::Metrics;
use crate::ops::notify;
use crate::ops::shutdown::{self, Trigger};
use crate::ops::telemetry::Throttle;
use crate::tune::Tuning;
use crate::web;

/// Messages that may wait for the broker: a second's results of a fast box.
const OUTBOX: usize = 256;
/// A result that nobody has fetched for so long is history.
const RESULT_EXPIRY: Duration = Duration::from_secs(3600);

/// Feedback that may wait for the disk: more than a broker should send unacknowledged. Some send more.
const INBOX: usize = 512;
/// Memory for it, bytes, and for what the keeper has in hand.
const INBOX_BYTES: u32 = 32 << 20;
/// Likely mistakes that may wait for the disk: there will be others.
const COLLECTED: usize = 8;

/// A running node.
#[derive(Debug)]
pub struct App {
    loaded: Loaded,
    /// What `loaded` says of each key, for those who show it.
    values: Arc<ArcSwap<BTreeMap<String, Setting>>>,
    models: Models,
    shared: Arc<Shared>,
    routes: watch::Sender<Router>,
    guard: ReplyGuard,
    trigger: Trigger,
    workers: Vec<thread::JoinHandle<()>>,
    feedback: Feedback,
    drained: oneshot::Sender<()>,
    connection: JoinHandle<()>,
    follower: Follower,
    tasks: Vec<JoinHandle<()>>,
    http: Option<SocketAddr>,
}

/// The node can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A model is missing or can't be used.
    #[error(transparent)]
    Model(#[from] RegistryError),
    /// ONNX Runtime is missing.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A model can't be loaded or run.
    #[error(transparent)]
    Unusable(#[from] PipelineError),
    /// A model's version ended the process each time it was loaded, and there is none before it.
    #[error("model {model:?}, version {version:?}: the process has ended each time it was loaded")]
    Deadly {
        /// Its name.
        model: String,
        /// The version.
        version: String,
    },
    /// The connection to the broker can't even be tried.
    #[error(transparent)]
    Mqtt(#[from] OptionsError),
    /// The broker of our own does not start.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The address is taken, or not ours.
    #[error("http.listen {address}: {error}")]
    Listen {
        /// From the configuration.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// The system gives us no threads.
    #[error("a worker thread could not be started: {0}")]
    Thread(std::io::Error),
}

/// ONNX Runtime, as configured.
///
/// # Errors
/// [`SessionError`] if it is not to be had.
pub fn runtime(config: &config::Model) -> Result<Runtime, SessionError> {
    Runtime::load(config.runtime.as_deref(), config.cache_dir().as_deref())
}

/// The limits of the decoder.
#[must_use]
pub fn decode_limits(config: &config::Decode) -> Limits {
    Limits { max_bytes: config.max_bytes, max_pixels: config.max_pixels }
}

impl App {
    /// Loads the models and starts every part. The broker need not be there yet.
    ///
    /// # Errors
    /// [`StartError`], which says what is missing.
    pub async fn start(loaded: Loaded) -> Result<Self, StartError> {
        let config = &loaded.config;
        let listener = match config.http.listen {
            Some(address) => {
                Some(TcpListener::bind(address).await.map_err(|error| StartError::Listen { address, error })?)
            }
            None => None,
        };
        let http = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        if config.mqtt.embedded_broker {
            broker::start(&config.mqtt)?;
        }

        let runtime = runtime(&config.model)?;
        let tuning = Tuning::new(config, &runtime);
        let Tuning { workers, threads, oversample, .. } = tuning;
        let (models, sessions) = Models::load(config, &runtime, &tuning)?;
        let active = Arc::new(Active::new(models.bundles()));

        let named = models.bundles().iter().map(|bundle| (bundle.name.as_str(), bundle.version.as_str()));
        let metrics = Arc::new(Metrics::new(named));
        let health = Arc::new(Health::new(workers));
        let throttle = Arc::new(Throttle::default());
        let limits = intake::Limits {
            cameras: config.inference.max_cameras,
            bytes: config.inference.queue_bytes,
            requests: config.inference.request_queue,
        };
        let names = models.bundles().iter().map(|bundle| bundle.name.clone()).collect();
        let (learning, jobs) = job::new(config, loaded.file.clone(), names);
        let intake = Arc::new(Intake::new(limits, config.inference.max_age, Arc::clone(&metrics)));

        let (trigger, stop) = shutdown::channel();
        let router = models.router(config);
        let guard = ReplyGuard::new(&router);
        let (routes, newest_routes) = watch::channel(router);
        // Before the whole stop is given up: a broker that hangs is no failure of ours, and its will says the rest.
        let goodbye_within = config.service.stop_within.mul_f64(0.8);
        let registry = Registry::new(&config.model.dir);
        let (ear, ears) = discovery::ears();
        let (connection, publisher) = Connection::new(Parts {
            config: config.mqtt.clone(),
            routes: newest_routes,
            intake: Arc::clone(&intake),
            learning: learning.clone(),
            models: (registry.clone(), config.model.name.clone()),
            discovery: config.homeassistant.discovery.then_some(ear),
            metrics: Arc::clone(&metrics),
            health: Arc::clone(&health),
            capacity: OUTBOX,
            goodbye_within,
        })?;
        let held = Arc::new(Held::new(config.store.hold_bytes, config.store.hold));
        let (inbox, submitted) = inbox::new(INBOX, INBOX_BYTES);
        let shelf = Shelf::default();
        let link = FeedbackLink::new(LinkParts {
            config: config.mqtt.clone(),
            inbox: inbox.clone(),
            guard: guard.clone(),
            metrics: Arc::clone(&metrics),
            throttle: Arc::clone(&throttle),
            goodbye_within,
        })?;
        let limits = collect::Limits { cameras: config.inference.max_cameras, waiting: COLLECTED };
        let collector = Collector::new(config.store.collect, limits, inbox.clone(), Arc::clone(&metrics));
        let collector = Arc::new(collector);
        let style =
            Style { prefix: config.mqtt.prefix.clone(), retain: config.mqtt.retain_results, expiry: RESULT_EXPIRY };
        let answers = Answers::new(publisher.clone(), guard.clone(), Arc::clone(&metrics), Arc::clone(&throttle));
        let shared = Arc::new(Shared {
            intake,
            models: Arc::clone(&active),
            exchange: Exchange::new(workers),
            steps: ArcSwap::from_pointee(steps(&config.classify)),
            temporal: TemporalStates::new(config.inference.max_cameras),
            repeats: Repeats::new(config.inference.repeats, config.inference.max_cameras),
            node: config.mqtt.node.clone(),
            max_image_bytes: config.decode.max_bytes,
            held: Arc::clone(&held),
            collector: Arc::clone(&collector),
            board: Arc::new(Board::new(config.inference.max_cameras)),
            results: Results::new(publisher.clone(), Arc::new(style), Arc::clone(&metrics)),
            answers: answers.clone(),
            metrics: Arc::clone(&metrics),
            health: Arc::clone(&health),
            throttle,
        });

        // Last stage first: whoever produces finds its consumer running.
        let (drained, all_drained) = oneshot::channel();
        let workers = sessions
            .into_iter()
            .enumerate()
            .map(|(index, models)| {
                let pipeline = Pipeline::of(models, decode_limits(&config.decode)).oversampled(oversample);
                let shared = Arc::clone(&shared);
                let builder = thread::Builder::new().name(format!("worker-{index}"));
                builder.spawn(move || worker::run(index, pipeline, &shared)).map_err(StartError::Thread)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let feedback = feedback::Parts {
            shelf: Arc::clone(&shelf),
            held,
            collector,
            models: active,
            metrics: Arc::clone(&metrics),
            submitted,
            link,
            shutdown: stop.clone(),
        };
        let feedback = Feedback::start(config, feedback).map_err(StartError::Thread)?;
        let follower =
            follow::Parts { registry: registry.clone(), runtime: runtime.clone(), tuning, shared: Arc::clone(&shared) };
        let follower = Follower::start(follower).map_err(StartError::Thread)?;
        let mut tasks = vec![
            tokio::spawn(notify::watchdog(Arc::clone(&health), stop.clone())),
            tokio::spawn(stats::run(Arc::clone(&shared), publisher.clone(), config.mqtt.clone(), stop.clone())),
            tokio::spawn(mqtt::learning::run(learning.changes(), publisher.clone(), config.mqtt.clone(), stop.clone())),
            tokio::spawn(jobs.run(stop.clone())),
        ];
        if config.homeassistant.discovery {
            let parts = discovery::Parts {
                config: config.homeassistant.clone(),
                mqtt: config.mqtt.clone(),
                most_cameras: config.inference.max_cameras,
                shared: Arc::clone(&shared),
                registry: registry.clone(),
                publisher,
                ears,
                shutdown: stop.clone(),
            };
            tasks.push(tokio::spawn(discovery::run(parts)));
        }
        let values = Arc::new(ArcSwap::from_pointee(loaded.values.clone()));
        if let Some(listener) = listener {
            let parts = web::Parts {
                shared: Arc::clone(&shared),
                feedback: inbox,
                shelf,
                learning,
                registry,
                values: Arc::clone(&values),
                limits: decode_limits(&config.decode),
                workers: workers.len(),
                runtime: runtime.path().display().to_string(),
                max_feedback_bytes: usize::try_from(config.mqtt.max_packet_bytes).unwrap_or(usize::MAX),
                token: config.http.token.clone(),
                shutdown: stop.clone(),
            };
            tasks.push(tokio::spawn(web::serve(listener, parts)));
        }
        let connection = tokio::spawn(connection.run(stop, answers, async move {
            // An error means that the other end is gone: nothing more will come.
            let _ = all_drained.await;
        }));
        tracing::info!(
            node = config.mqtt.node,
            models = ?shared.models.names(),
            runtime = %runtime.path().display(),
            workers = workers.len(),
            threads_per_worker = threads,
            http = http.map(tracing::field::display),
            "serving"
        );
        Ok(Self {
            models,
            shared,
            routes,
            guard,
            trigger,
            workers,
            feedback,
            drained,
            connection,
            follower,
            tasks,
            http,
            loaded,
            values,
        })
    }

    /// Where the HTTP server listens.
    #[must_use]
    pub fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// The node's counters.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Whether frames can flow.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.shared.health
    }

    /// What is being done, in a line.
    #[must_use]
    pub fn status(&self) -> String {
        format!("serving {} with {} workers", self.shared.models.names().join(", "), self.workers.len())
    }

    /// Finishes what is in hand, says offline, and ends, within `service.stop_within_s`.
    ///
    /// Returns whether all parts ended in time.
    pub async fn stop(self) -> bool {
        let within = self.loaded.config.service.stop_within;
        notify::stopping(within);
        self.trigger.stop();
        self.shared.collector.close();
        for request in self.shared.intake.close() {
            self.shared.answers.refuse(request, RefusalKind::Later.because("the node is stopping"));
        }
        let Self { workers, feedback, drained, connection, follower, tasks, .. } = self;
        let ending = async {
            let joined = tokio::task::spawn_blocking(move || {
                follower.end();
                workers.into_iter().filter_map(|worker| worker.join().err()).count()
            });
            if !matches!(joined.await, Ok(0)) {
                tracing::error!("a worker thread ended with a panic");
            }
            // Nobody listening means that the connection has ended already.
            let _ = drained.send(());
            if let Err(error) = connection.await {
                tracing::error!(%error, "the MQTT connection's task failed");
            }
            for task in tasks {
                // Cancelled is fine; a panic has been reported by the task itself.
                let _ = task.await;
            }
            // The tasks held its other inboxes.
            feedback.ended().await;
        };
        let in_time = tokio::time::timeout(within, ending).await.is_ok();
        if !in_time {
            tracing::error!(within_s = within.as_secs(), "not everything ended in time; what was in hand is given up");
        }
        in_time
    }
}

/// How `[classify]` wants images classified.
pub(crate) fn steps(config: &config::Classify) -> Steps {
    let looking = match config.views {
        config::Looking::Dynamic => Looking::Dynamic { budget: config.views_budget },
        config::Looking::Always(name) => Looking::Always(Views::named(name).unwrap_or_default()),
    };
    let &config::Classify { prior, temporal_half_life_s, unknown_below, .. } = config;
    Steps { looking, temperature: true, prior, temporal_half_life_s, unknown_below }
}
