//! Takes over the version of a model that was made the one in use, by whomever, while the node serves.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use std::{io, thread};

use super::models::{self, note};
use crate::classify::session::Runtime;
use crate::frame::worker::Shared;
use crate::model::{Bundle, Count, Registry, Watch};
use crate::tune::Tuning;

/// How often what is on disk is looked at: a promotion on the command line takes so long to be noticed. It costs reading a small
/// file for each model.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often it is written down what was counted of a version.
const WRITE_EVERY: Duration = Duration::from_secs(60);

/// A thread that follows what is on disk. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Follower {
    /// Nothing is ever sent: when it is gone, the thread ends.
    until: Sender<Infallible>,
    thread: thread::JoinHandle<()>,
}

/// What the thread works with.
pub(super) struct Parts {
    pub(super) registry: Registry,
    pub(super) runtime: Runtime,
    /// How sessions compute.
    pub(super) tuning: Tuning,
    pub(super) shared: Arc<Shared>,
}

impl Follower {
    /// Starts the thread.
    ///
    /// # Errors
    /// What the system says if it gives us none.
    pub(super) fn start(parts: Parts) -> io::Result<Self> {
        let (until, ended) = channel();
        let builder = thread::Builder::new().name("models".to_owned());
        let thread = builder.spawn(move || run(&parts, &ended))?;
        Ok(Self { until, thread })
    }

    /// Ends it. A load that has begun is finished.
    pub(super) fn end(self) {
        let Self { until, thread } = self;
        drop(until);
        if thread.join().is_err() {
            tracing::error!("the thread that follows the models ended with a panic");
        }
    }
}

fn run(parts: &Parts, ended: &Receiver<Infallible>) {
    if parts.tuning.threads == 1 {
        // Frames come first. Not where sessions have threads of their own: those would be as patient.
        crate::ops::process::be_patient();
    }
    // Versions that could not be taken over, by model.
    let mut refused: HashMap<String, String> = HashMap::new();
    let mut watches: Vec<Watched> =
        parts.shared.models.all().iter().map(|bundle| Watched::new(parts, bundle)).collect();
    loop {
        watches.iter_mut().for_each(|watched| watched.look(parts));
        for (index, bundle) in parts.shared.models.all().iter().enumerate() {
            let name = &bundle.name;
            match parts.registry.version(name) {
                Ok(version) if version == bundle.version => {}
                Ok(version) if refused.get(name) == Some(&version) => {}
                Ok(version) => {
                    refused.remove(name);
                    if take_over(parts, index, bundle, &version) {
                        watches[index].follow(parts, &version);
                    } else {
                        refused.insert(name.clone(), version);
                    }
                }
                // Said once: a file that can't be read stays so for a while.
                Err(error) if refused.insert(name.clone(), String::new()).is_none() => {
                    tracing::warn!(model = name, %error, serving = bundle.version, "it can't be said which version is to be used");
                }
                Err(_) => {}
            }
        }
        if let Err(RecvTimeoutError::Disconnected) = ended.recv_timeout(LOOK_EVERY) {
            return;
        }
    }
}

/// What is counted of a model's version in use.
struct Watched {
    model: String,
    watch: Watch,
    /// What the counters of this process said of it the last time.
    last: Count,
    /// When it was written down the last time.
    written: Instant,
}

impl Watched {
    fn new(parts: &Parts, bundle: &Bundle) -> Self {
        let watch = Watch::read(&parts.registry.dir().join(&bundle.name), &bundle.version);
        Self { model: bundle.name.clone(), watch, last: Count::default(), written: Instant::now() }
    }

    fn counted(&self, parts: &Parts) -> Count {
        let (metrics, model, version) = (&parts.shared.metrics, &self.model, &self.watch.version);
        Count { results: metrics.results(model, version), corrections: metrics.corrections(model, version) }
    }

    /// Takes in what was counted since; a version that is corrected more often than the one before it is taken back.
    fn look(&mut self, parts: &Parts) {
        let now = self.counted(parts);
        self.watch.add(Count {
            results: now.results.saturating_sub(self.last.results),
            corrections: now.corrections.saturating_sub(self.last.corrections),
        });
        self.last = now;
        if self.watch.is_worse() {
            let Watch { version, count, before } = &self.watch;
            match parts.registry.rollback(&self.model) {
                Ok(back) => {
                    parts.shared.metrics.model_rollbacks.inc();
                    tracing::error!(
                        model = self.model,
                        version,
                        back_to = back.version,
                        ?count,
                        ?before,
                        "the version is corrected more often than the one before it, which is in use again"
                    );
                }
                Err(error) => {
                    tracing::error!(model = self.model, version, %error, ?count, ?before, "the version is corrected more often than the one before it, but that can't be used");
                }
            }
            // Said and done once.
            self.watch.before = Count::default();
        } else if self.written.elapsed() > WRITE_EVERY && self.watch.count != Count::default() {
            self.write(parts);
        }
    }

    fn follow(&mut self, parts: &Parts, version: &str) {
        // One that was in use before is gone back to.
        let current = parts.registry.current(&self.model).ok().flatten();
        let is_new = current.is_some_and(|current| current.before.contains(&self.watch.version));
        self.watch.follow(version, is_new);
        self.last = self.counted(parts);
        self.write(parts);
    }

    fn write(&mut self, parts: &Parts) {
        self.written = Instant::now();
        if let Err(error) = self.watch.write(&parts.registry.dir().join(&self.model)) {
            tracing::debug!(model = self.model, %error, "what is counted of a version was not written down");
        }
    }
}

/// Loads a version for all workers and hands it over. If it can't be used, what is in use stays, and is written down as such.
fn take_over(parts: &Parts, index: usize, old: &Bundle, version: &str) -> bool {
    let Parts { registry, runtime, tuning, shared } = parts;
    let (name, begin) = (&old.name, Instant::now());
    note(registry.trying(name));
    let opened = registry.open_version(name, version).map(Arc::new).map_err(|error| error.to_string());
    let loaded = opened.and_then(|bundle| {
        let copies = models::copies(runtime, &bundle, tuning);
        Ok((bundle, copies.map_err(|error| error.to_string())?))
    });
    match loaded {
        Ok((bundle, copies)) => {
            shared.exchange.hand_over(index, copies, || shared.models.replace(index, Arc::clone(&bundle)));
            note(registry.proven(name, version));
            shared.metrics.count_swap(name, version);
            let took_ms = begin.elapsed().as_millis() as u64;
            tracing::info!(
                model = name,
                version,
                before = old.version,
                took_ms,
                "another version of the model is in use"
            );
            true
        }
        Err(error) => {
            shared.metrics.model_rollbacks.inc();
            note(registry.refuse(name, version, &old.version));
            tracing::error!(
                model = name,
                version,
                error,
                serving = old.version,
                "the model's version can't be used; the one before it stays"
            );
            false
        }
    }
}
