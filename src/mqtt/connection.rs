//! The connection to the broker. One task owns it and never waits for anything but it.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::client::{self, Outgoing, Publisher};
use super::discovery::{Ear, Heard};
use super::events::{Event, Events, Incoming, Lost};
use super::learning;
use super::options::{OptionsError, Purpose};
use super::promote;
use super::router::{Meaning, Router};
use super::subscription::Subscription;
use super::topics;
use crate::config::Mqtt;
use crate::frame::ask::{Asker, RefusalKind, Reply, Request};
use crate::frame::intake::Intake;
use crate::frame::publish::Answers;
use crate::frame::{Frame, Received, next_id};
use crate::learn::job::Learning;
use crate::model::Registry;
use crate::ops::health::Health;
use crate::ops::metrics::Metrics;
use crate::ops::shutdown::Shutdown;

/// First wait after a lost connection. It doubles up to `mqtt.reconnect_max_s`.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// A connection that lasted so long was a good one: the next wait is short again.
const GOOD: Duration = Duration::from_secs(30);
/// Signs of life for the watchdog.
const TICK: Duration = Duration::from_secs(1);

/// What the connection works with.
#[derive(Debug)]
pub struct Parts {
    /// The configuration.
    pub config: Mqtt,
    /// What topics mean; another one when the configuration was reloaded.
    pub routes: watch::Receiver<Router>,
    /// Where frames go.
    pub intake: Arc<Intake>,
    /// Who is asked to learn.
    pub learning: Learning,
    /// Where models are, and the name of the one that is meant where none is named.
    pub models: (Registry, String),
    /// Who tells Home Assistant, if it is told of anything.
    pub discovery: Option<Ear>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Signs of life.
    pub health: Arc<Health>,
    /// Messages that may wait to be sent.
    pub capacity: usize,
    /// After the word to stop, the goodbye may take so long.
    pub goodbye_within: Duration,
}

/// The connection to the broker.
pub struct Connection {
    parts: Parts,
    router: Router,
    publisher: Publisher,
    events: Events,
    /// Results are taken: from the broker's welcome on, since what it has kept comes before the last subscription is granted.
    open: Arc<AtomicBool>,
    /// Subscriptions asked for and not yet granted; "online" is said when there are none.
    pending: usize,
    since: Option<Instant>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("parts", &self.parts).finish_non_exhaustive()
    }
}

impl Connection {
    /// Prepares the connection; [`Connection::run`] makes it. The publisher refuses messages while there is none.
    ///
    /// # Errors
    /// [`OptionsError`] if it can't even be tried.
    pub fn new(parts: Parts) -> Result<(Self, Publisher), OptionsError> {
        let (publisher, events) = client::open(&parts.config, Purpose::Serve, parts.capacity)?;
        let open = Arc::new(AtomicBool::new(false));
        let for_results = publisher.clone().while_open(Arc::clone(&open));
        let router = parts.routes.borrow().clone();
        Ok((Self { parts, router, publisher, events, open, pending: 0, since: None }, for_results))
    }

    /// Serves until asked to stop, and says goodbye once `drained` tells that the last result was handed over.
    pub async fn run(mut self, mut shutdown: Shutdown, answers: Answers, drained: impl Future<Output = ()>) {
        let mut wait = FIRST_WAIT;
        let mut drained = pin!(drained);
        loop {
            let event = tokio::select! {
                event = self.next() => event,
                () = shutdown.requested() => break,
            };
            match event {
                Ok(event) => self.handle(event, &answers),
                Err(lost) => {
                    if self.lost() {
                        wait = FIRST_WAIT;
                    }
                    let pause = jittered(wait);
                    tracing::warn!(broker = %self.parts.config.url, reason = %lost, retry_in_ms = pause.as_millis() as u64, "no connection to the MQTT broker");
                    wait = (wait * 2).min(self.parts.config.reconnect_max);
                    tokio::select! {
                        () = wait_alive(&self.parts.health, pause) => {}
                        () = shutdown.requested() => break,
                    }
                }
            }
        }
        // Frames go on being drained by the workers: their results still want a connection that is polled.
        let within = self.parts.goodbye_within;
        let goodbye = async {
            loop {
                tokio::select! {
                    () = &mut drained => break,
                    event = self.next() => if event.is_err() { return },
                }
            }
            self.goodbye().await;
        };
        if tokio::time::timeout(within, goodbye).await.is_err() {
            tracing::warn!("the MQTT broker did not take the goodbye in time; its will says offline for us");
        }
    }

    /// The next event, with signs of life and new routes while it is awaited.
    ///
    /// The library's poll is never dropped half-way except at the very end: a connection in the making would be lost.
    async fn next(&mut self) -> Result<Event, Lost> {
        let Self { parts, router, publisher, events, open, pending, .. } = self;
        let mut poll = pin!(events.next());
        let mut ticks = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                biased;
                event = &mut poll => return event,
                Ok(()) = parts.routes.changed() => {
                    let old = std::mem::replace(router, parts.routes.borrow_and_update().clone());
                    // Without a connection there is nothing to change; the next one asks for what is wanted then.
                    if open.load(Ordering::Relaxed) {
                        *pending += change_subscriptions(&old, router, publisher);
                    }
                }
                _ = ticks.tick() => parts.health.connection_seen(),
            }
        }
    }

    fn handle(&mut self, event: Event, answers: &Answers) {
        match event {
            Event::Message(message) => self.message(message, answers),
            Event::Connected { .. } => {
                self.since = Some(Instant::now());
                self.open.store(true, Ordering::Relaxed);
                self.parts.metrics.connections.inc();
                tracing::info!(broker = %self.parts.config.url, "connected to the MQTT broker");
                self.pending = subscribe(&self.router, &self.publisher);
            }
            Event::Subscribed { filter, refused } => {
                if let Some(reason) = refused {
                    tracing::error!(
                        filter,
                        reason,
                        "the MQTT broker refused a subscription: nothing will come from it"
                    );
                } else {
                    tracing::debug!(filter, "subscribed");
                }
                self.pending = self.pending.saturating_sub(1);
                if self.pending == 0 {
                    self.online();
                }
            }
            Event::Delivered | Event::Acknowledged(_) | Event::Disconnected | Event::Other => {}
        }
    }

    /// Frames will come from now on: say so, here and to everyone.
    fn online(&self) {
        self.parts.health.set_connected(true);
        self.parts.metrics.connected.set(1);
        if let Err(error) = self.publisher.publish(self.status(topics::ONLINE)) {
            tracing::warn!(%error, "\"online\" was not published");
        }
        self.hear(Heard::Connected);
    }

    fn hear(&self, heard: Heard) {
        if let Some(ear) = &self.parts.discovery {
            ear.hear(heard);
        }
    }

    fn status(&self, payload: &str) -> Outgoing {
        let topic = topics::status(&self.parts.config.prefix, &self.parts.config.node);
        Outgoing { topic, payload: payload.into(), qos: 1, retain: true, ..Outgoing::default() }
    }

    /// Returns whether the connection had been a good one.
    fn lost(&mut self) -> bool {
        self.open.store(false, Ordering::Relaxed);
        self.parts.health.set_connected(false);
        self.parts.metrics.connected.set(0);
        self.since.take().is_some_and(|since| since.elapsed() >= GOOD)
    }

    fn message(&mut self, message: Incoming, answers: &Answers) {
        let received = Received::now();
        let Incoming { topic, payload, retain, response_topic, correlation, subscriptions, .. } = message;
        match self.router.meaning(&topic, &subscriptions, retain) {
            Meaning::Nothing => {}
            Meaning::Frames { seen, dropped } => {
                for reason in dropped {
                    self.parts.metrics.count_received();
                    self.parts.metrics.count_drop(reason);
                }
                // Each has an id of its own: they are different questions about one picture.
                for (index, (camera, route)) in seen.into_iter().enumerate() {
                    let received = if index == 0 { received } else { Received { id: next_id(), ..received } };
                    self.parts.intake.push(Frame { camera, payload: payload.clone(), route, received });
                }
            }
            Meaning::Retrain => {
                let reply = response_topic.map(|topic| Reply { topic, correlation });
                learning::asked(&self.parts.learning, &payload, reply, answers.clone());
            }
            Meaning::Promote => {
                let reply = response_topic.map(|topic| Reply { topic, correlation });
                let (registry, model) = &self.parts.models;
                promote::asked(registry, model, &payload, reply, answers.clone());
            }
            Meaning::Birth if payload == topics::ONLINE.as_bytes() => self.hear(Heard::Birth),
            Meaning::Birth => {}
            Meaning::Announced => {
                // Only what can be such a topic has this meaning.
                let topic = String::from_utf8_lossy(&topic).into_owned();
                self.hear(Heard::Announced { topic, payload });
            }
            Meaning::Request(route) => {
                let reply = response_topic.map(|topic| Reply { topic, correlation });
                let request = Request { payload, route, received, asker: Asker::Mqtt(reply) };
                if let Err(busy) = self.parts.intake.push_request(request) {
                    let refusal = RefusalKind::Later.because(&busy);
                    answers.refuse(busy.request, refusal);
                }
            }
        }
    }

    /// Says offline, waits until the broker has it, and leaves. A broker that has our goodbye does not publish the will.
    async fn goodbye(&mut self) {
        let connected = self.parts.health.connected();
        self.lost();
        if !connected || self.publisher.publish(self.status(topics::OFFLINE)).is_err() {
            return;
        }
        let mut leaving = false;
        // Results sent before are acknowledged first; the last acknowledgement is that of our own word.
        while let Ok(event) = self.next().await {
            match event {
                Event::Disconnected => return,
                Event::Delivered if !leaving && self.events.all_delivered() => {
                    leaving = self.publisher.disconnect().is_ok();
                }
                _ => {}
            }
        }
    }
}

/// Unsubscribes from what is no longer wanted, and asks for all that is; returns how much that is.
fn change_subscriptions(old: &Router, new: &Router, publisher: &Publisher) -> usize {
    let gone = old.subscriptions().filter(|old| !new.subscriptions().any(|new| new.filter == old.filter));
    for Subscription { filter, .. } in gone {
        if let Err(error) = publisher.unsubscribe(filter) {
            tracing::error!(filter, %error, "could not unsubscribe");
        }
    }
    subscribe(new, publisher)
}

/// Asks for all that is wanted; returns how many answers are to come.
fn subscribe(router: &Router, publisher: &Publisher) -> usize {
    let mut asked = 0;
    for subscription in router.subscriptions() {
        match publisher.subscribe(subscription) {
            Ok(()) => asked += 1,
            Err(error) => tracing::error!(filter = subscription.filter, %error, "could not subscribe"),
        }
    }
    asked
}

/// Waits, with signs of life.
async fn wait_alive(health: &Health, pause: Duration) {
    let until = tokio::time::Instant::now() + pause;
    while tokio::time::Instant::now() < until {
        health.connection_seen();
        tokio::time::sleep_until(until.min(tokio::time::Instant::now() + TICK)).await;
    }
}

/// Half to all of `wait`: many nodes that lost one broker must not come back at the same moment.
pub(super) fn jittered(wait: Duration) -> Duration {
    use std::hash::{BuildHasher, Hasher};
    // A new RandomState is seeded from the system's randomness, which is enough here.
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    let part = f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX);
    wait.mul_f64(0.5 + part / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_jittered_within_half_to_all() {
        let wait = Duration::from_secs(8);
        let waits: Vec<_> = (0..100).map(|_| jittered(wait)).collect();
        assert!(waits.iter().all(|w| (wait / 2..=wait).contains(w)));
        assert!(waits.iter().any(|w| *w != waits[0]));
    }
}
