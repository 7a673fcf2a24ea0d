//! The counters, on `<prefix>/nodes/<node>/stats`.

use std::sync::Arc;

use super::client::{Outgoing, Publisher};
use super::topics;
use super::wire::{self, ModelStats, StatsMessage};
use crate::config::Mqtt;
use crate::frame::worker::Shared;
use crate::ops::metrics::{Drop, Likeness, RequestOutcome};
use crate::ops::process;
use crate::ops::shutdown::Shutdown;

/// Publishes the counters now and then.
pub async fn run(shared: Arc<Shared>, publisher: Publisher, config: Mqtt, mut shutdown: Shutdown) {
    let topic = topics::stats(&config.prefix, &config.node);
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + config.stats_every, config.stats_every);
    loop {
        tokio::select! {
            () = shutdown.requested() => return,
            _ = ticks.tick() => {}
        }
        let metrics = &shared.metrics;
        let mut message = StatsMessage::new(&config.node, shared.health.uptime());
        message.received = metrics.received();
        let models = shared.models.all();
        message.models = models
            .iter()
            .map(|bundle| ModelStats {
                name: &bundle.name,
                version: &bundle.version,
                results: metrics.results(&bundle.name, &bundle.version),
            })
            .collect();
        message.dropped = Drop::ALL.into_iter().map(|reason| (reason.name(), metrics.dropped(reason))).collect();
        message.repeats = Likeness::ALL.into_iter().map(|like| (like.name(), metrics.repeats(like))).collect();
        message.requests =
            RequestOutcome::ALL.into_iter().map(|outcome| (outcome.name(), metrics.requests(outcome))).collect();
        message.waiting = shared.intake.waiting();
        message.cameras = metrics.cameras.get();
        message.rss_bytes = process::resident_bytes();
        message.cpu_s = process::cpu_time().as_secs_f64();
        let message =
            Outgoing { topic: topic.clone(), payload: wire::to_json(&message), json: true, ..Outgoing::default() };
        if let Err(error) = publisher.publish(message) {
            tracing::debug!(%error, "stats were not published");
        }
    }
}
