//! The feedback side of a node: the thread that stores, and the connection over which feedback comes.

use std::sync::Arc;
use std::{io, thread};

use tokio::task::JoinHandle;

use crate::config::Config;
use crate::feedback::collect::Collector;
use crate::feedback::held::Held;
use crate::feedback::inbox::Submitted;
use crate::feedback::keeper::{self, Shelf};
use crate::feedback::store;
use crate::model::Active;
use crate::mqtt::FeedbackLink;
use crate::ops::metrics::Metrics;
use crate::ops::shutdown::Shutdown;

/// Memory for the index's pages, bytes: feedback is rare, and the memory is the model's.
const INDEX_CACHE: u64 = 1 << 20;

/// What it is made of.
pub(super) struct Parts {
    /// Where the store can be found once it is open.
    pub(super) shelf: Shelf,
    /// Frames that feedback may be about.
    pub(super) held: Arc<Held>,
    /// Frames that wait to be stored without feedback. It is closed before the end, for it holds an inbox.
    pub(super) collector: Arc<Collector>,
    /// The models, by index.
    pub(super) models: Arc<Active>,
    /// Counts.
    pub(super) metrics: Arc<Metrics>,
    /// The end of the inbox that is read.
    pub(super) submitted: Submitted,
    /// Holds an inbox until asked to stop, and acknowledges.
    pub(super) link: FeedbackLink,
    /// The word to stop.
    pub(super) shutdown: Shutdown,
}

/// The running feedback side. It stops by itself with the word to stop, once all inboxes are gone.
#[derive(Debug)]
pub(super) struct Feedback {
    keeper: thread::JoinHandle<()>,
    link: JoinHandle<()>,
}

impl Feedback {
    /// Starts the thread, then the connection. Needs a tokio runtime.
    ///
    /// # Errors
    /// What the system says if it gives us no thread.
    pub(super) fn start(config: &Config, parts: Parts) -> io::Result<Self> {
        let Parts { shelf, held, collector, models, metrics, submitted, link, shutdown } = parts;
        let keeper = keeper::Parts {
            shelf,
            node: config.mqtt.node.clone(),
            dir: config.store.resolved_dir(),
            options: store::Options {
                max_bytes: config.store.max_bytes,
                drop_labelled: config.store.drop_labelled,
                cache_bytes: INDEX_CACHE,
                ..store::Options::default()
            },
            limits: super::decode_limits(&config.decode),
            held,
            collector,
            models,
            metrics,
            shutdown: shutdown.clone(),
        };
        let builder = thread::Builder::new().name("feedback".to_owned());
        let keeper = builder.spawn(move || keeper::run(&keeper, submitted))?;
        let link = tokio::spawn(link.run(shutdown));
        Ok(Self { keeper, link })
    }

    /// Waits until what was taken is stored (or, if that can't be, given up), and its acknowledgements are sent.
    pub(super) async fn ended(self) {
        let Self { keeper, link } = self;
        if !matches!(tokio::task::spawn_blocking(move || keeper.join().is_ok()).await, Ok(true)) {
            tracing::error!("the feedback thread ended with a panic");
        }
        if let Err(error) = link.await {
            tracing::error!(%error, "the feedback connection's task failed");
        }
    }
}
