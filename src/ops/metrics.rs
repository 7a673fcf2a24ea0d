//! Counters and histograms, for Prometheus and for the stats topic.

mod outcomes;

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

pub use self::outcomes::{Drop, FeedbackOutcome, Likeness, RequestOutcome, Stage};
use super::process;
use crate::feedback::collect::{Reason, Skip};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabel {
    reason: Drop,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RepeatLabel {
    kind: Likeness,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabel {
    stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: RequestOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FeedbackLabel {
    outcome: FeedbackOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CollectedLabel {
    reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SkippedLabel {
    reason: Skip,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabel {
    model: String,
    version: String,
}

/// All metrics of a node.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    received: Counter,
    dropped: Family<DropLabel, Counter>,
    repeats: Family<RepeatLabel, Counter>,
    results: Family<ModelLabel, Counter>,
    corrections: Family<ModelLabel, Counter>,
    requests: Family<OutcomeLabel, Counter>,
    feedback: Family<FeedbackLabel, Counter>,
    collected: Family<CollectedLabel, Counter>,
    not_collected: Family<SkippedLabel, Counter>,
    /// Attempts to open or write the feedback store that failed, and are repeated.
    pub feedback_failures: Counter,
    /// Times the feedback index was made again from the journal.
    pub store_rebuilds: Counter,
    /// Damage found in the feedback store.
    pub store_damage: Counter,
    /// Versions of models that were taken back because they could not be loaded or were worse.
    pub model_rollbacks: Counter,
    /// Versions of models that were taken over while serving.
    model_swaps: Counter,
    age: Histogram,
    stages: Family<StageLabel, Histogram, fn() -> Histogram>,
    /// Cameras that have a slot.
    pub cameras: Gauge,
    /// 1 while connected to the broker.
    pub connected: Gauge,
    /// Connections made to the broker.
    pub connections: Counter,
    /// Log lines that were held back because the same was said less than a minute before.
    pub muted: Counter,
    memory: Gauge<i64>,
    cpu: Gauge<f64, AtomicU64>,
}

/// From half a millisecond to a minute and a half, each bound twice the one before.
fn seconds() -> Histogram {
    Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(0.0005, 2.0, 18))
}

impl Metrics {
    /// Metrics of a node that runs `models` (name, version).
    #[must_use]
    pub fn new<'a>(models: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut registry = Registry::with_prefix("glanced");
        let metrics = Self {
            received: Counter::default(),
            dropped: Family::default(),
            repeats: Family::default(),
            results: Family::default(),
            corrections: Family::default(),
            requests: Family::default(),
            feedback: Family::default(),
            collected: Family::default(),
            not_collected: Family::default(),
            feedback_failures: Counter::default(),
            store_rebuilds: Counter::default(),
            store_damage: Counter::default(),
            model_rollbacks: Counter::default(),
            model_swaps: Counter::default(),
            age: seconds(),
            stages: Family::new_with_constructor(seconds as fn() -> Histogram),
            cameras: Gauge::default(),
            connected: Gauge::default(),
            connections: Counter::default(),
            muted: Counter::default(),
            memory: Gauge::default(),
            cpu: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register("build", "What is running", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
        registry.register("frames_received", "Frames that arrived from cameras", metrics.received.clone());
        registry.register("frames_dropped", "Frames that gave no result, by reason", metrics.dropped.clone());
        registry.register(
            "repeats",
            "Frames that looked like one before and needed no look, by kind",
            metrics.repeats.clone(),
        );
        registry.register("results", "Results published, by model", metrics.results.clone());
        registry.register(
            "corrections",
            "Statements that what a model saw first is wrong, and another of its classes is right",
            metrics.corrections.clone(),
        );
        registry.register("requests", "Classification requests, by outcome", metrics.requests.clone());
        registry.register("feedback", "Feedback messages, by outcome", metrics.feedback.clone());
        registry.register("frames_collected", "Likely mistakes that were kept, by reason", metrics.collected.clone());
        registry.register(
            "frames_not_collected",
            "Likely mistakes that were not kept, by reason",
            metrics.not_collected.clone(),
        );
        registry.register("feedback_failures", "Failed attempts to store feedback", metrics.feedback_failures.clone());
        registry.register("store_rebuilds", "Feedback indexes made again", metrics.store_rebuilds.clone());
        registry.register("store_damage", "Damage found in the feedback store", metrics.store_damage.clone());
        registry.register("model_swaps", "Versions of models taken over while serving", metrics.model_swaps.clone());
        registry.register("model_rollbacks", "Versions of models taken back", metrics.model_rollbacks.clone());
        registry.register_with_unit(
            "frame_age",
            "From receiving a frame to publishing its result",
            Unit::Seconds,
            metrics.age.clone(),
        );
        registry.register_with_unit("stage", "Time a step took", Unit::Seconds, metrics.stages.clone());
        registry.register("cameras", "Cameras seen", metrics.cameras.clone());
        registry.register("mqtt_connected", "1 while connected to the broker", metrics.connected.clone());
        registry.register("mqtt_connections", "Connections made to the broker", metrics.connections.clone());
        registry.register("log_lines_muted", "Log lines held back as repetitions", metrics.muted.clone());
        registry.register_with_unit(
            "memory_resident",
            "Resident memory of the process",
            Unit::Bytes,
            metrics.memory.clone(),
        );
        registry.register_with_unit("cpu", "Processor time the process has used", Unit::Seconds, metrics.cpu.clone());
        // Every reason and outcome is there from the start, at zero: a rate over a series that appears late misses its first count.
        for reason in Drop::ALL {
            drop(metrics.dropped.get_or_create(&DropLabel { reason }));
        }
        for kind in Likeness::ALL {
            drop(metrics.repeats.get_or_create(&RepeatLabel { kind }));
        }
        for outcome in RequestOutcome::ALL {
            drop(metrics.requests.get_or_create(&OutcomeLabel { outcome }));
        }
        for outcome in FeedbackOutcome::ALL {
            drop(metrics.feedback.get_or_create(&FeedbackLabel { outcome }));
        }
        for reason in Reason::ALL {
            drop(metrics.collected.get_or_create(&CollectedLabel { reason }));
        }
        for reason in Skip::ALL {
            drop(metrics.not_collected.get_or_create(&SkippedLabel { reason }));
        }
        let metrics = Self { registry, ..metrics };
        models.into_iter().for_each(|(model, version)| metrics.has_version(model, version));
        metrics
    }

    /// This version of a model is counted from now on.
    fn has_version(&self, model: &str, version: &str) {
        let label = ModelLabel { model: model.to_owned(), version: version.to_owned() };
        drop(self.results.get_or_create(&label));
        drop(self.corrections.get_or_create(&label));
    }

    /// Another version of a model is in use.
    pub fn count_swap(&self, model: &str, version: &str) {
        self.model_swaps.inc();
        self.has_version(model, version);
    }

    /// Somebody has said that what a model saw first is wrong.
    pub fn count_correction(&self, model: &str, version: &str) {
        self.corrections.get_or_create(&ModelLabel { model: model.to_owned(), version: version.to_owned() }).inc();
    }

    /// How often that was said of a version.
    #[must_use]
    pub fn corrections(&self, model: &str, version: &str) -> u64 {
        let label = ModelLabel { model: model.to_owned(), version: version.to_owned() };
        self.corrections.get(&label).map_or(0, |counter| counter.get())
    }

    /// A frame arrived.
    pub fn count_received(&self) {
        self.received.inc();
    }

    /// A frame gave no result.
    pub fn count_drop(&self, reason: Drop) {
        self.dropped.get_or_create(&DropLabel { reason }).inc();
    }

    /// A frame needed no look.
    pub fn count_repeat(&self, kind: Likeness) {
        self.repeats.get_or_create(&RepeatLabel { kind }).inc();
    }

    /// A request ended.
    pub fn count_request(&self, outcome: RequestOutcome) {
        self.requests.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// A feedback message was stored or refused.
    pub fn count_feedback(&self, outcome: FeedbackOutcome) {
        self.feedback.get_or_create(&FeedbackLabel { outcome }).inc();
    }

    /// A likely mistake is in the store.
    pub fn count_collected(&self, reason: Reason) {
        self.collected.get_or_create(&CollectedLabel { reason }).inc();
    }

    /// A likely mistake was not kept.
    pub fn count_not_collected(&self, reason: Skip) {
        self.not_collected.get_or_create(&SkippedLabel { reason }).inc();
    }

    /// A frame's result was handed to the broker's connection.
    pub fn count_result(&self, model: &str, version: &str, age: Duration) {
        self.results.get_or_create(&ModelLabel { model: model.to_owned(), version: version.to_owned() }).inc();
        self.age.observe(age.as_secs_f64());
    }

    /// A step took some time.
    pub fn observe(&self, stage: Stage, took: Duration) {
        self.stages.get_or_create(&StageLabel { stage }).observe(took.as_secs_f64());
    }

    /// Frames that arrived.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.get()
    }

    /// Frames that gave no result for this reason.
    #[must_use]
    pub fn dropped(&self, reason: Drop) -> u64 {
        self.dropped.get_or_create(&DropLabel { reason }).get()
    }

    /// Frames that needed no look.
    #[must_use]
    pub fn repeats(&self, kind: Likeness) -> u64 {
        self.repeats.get_or_create(&RepeatLabel { kind }).get()
    }

    /// Results published by this model.
    #[must_use]
    pub fn results(&self, model: &str, version: &str) -> u64 {
        self.results.get_or_create(&ModelLabel { model: model.to_owned(), version: version.to_owned() }).get()
    }

    /// Requests with this outcome.
    #[must_use]
    pub fn requests(&self, outcome: RequestOutcome) -> u64 {
        self.requests.get_or_create(&OutcomeLabel { outcome }).get()
    }

    /// Likely mistakes kept for this reason.
    #[must_use]
    pub fn collected(&self, reason: Reason) -> u64 {
        self.collected.get_or_create(&CollectedLabel { reason }).get()
    }

    /// Likely mistakes not kept for this reason.
    #[must_use]
    pub fn not_collected(&self, reason: Skip) -> u64 {
        self.not_collected.get_or_create(&SkippedLabel { reason }).get()
    }

    /// All of it in the OpenMetrics text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.memory.set(i64::try_from(process::resident_bytes().unwrap_or(0)).unwrap_or(i64::MAX));
        self.cpu.set(process::cpu_time().as_secs_f64());
        let mut text = String::new();
        // Writing to a String fails only if an encoder does, and these are all the library's own.
        if encode(&mut text, &self.registry).is_err() {
            text.clear();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered() {
        let metrics = Metrics::new([("m", "1")]);
        metrics.count_received();
        metrics.count_drop(Drop::TooOld);
        metrics.count_result("m", "1", Duration::from_millis(20));
        metrics.observe(Stage::Infer, Duration::from_millis(15));
        metrics.count_repeat(Likeness::Alike);
        let text = metrics.render();
        for line in [
            "glanced_frames_received_total 1\n",
            "glanced_frames_dropped_total{reason=\"too_old\"} 1\n",
            "glanced_frames_dropped_total{reason=\"replaced\"} 0\n",
            "glanced_repeats_total{kind=\"alike\"} 1\n",
            "glanced_repeats_total{kind=\"identical\"} 0\n",
            "glanced_results_total{model=\"m\",version=\"1\"} 1\n",
            "glanced_frame_age_seconds_count 1\n",
            "glanced_stage_seconds_count{stage=\"infer\"} 1\n",
        ] {
            assert!(text.contains(line), "{line:?} is missing in:\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
