//! Home Assistant: tells it of the node and of each camera, and what they show, by its MQTT discovery.
//!
//! The broker is the memory: what was announced is kept there, and comes back with each connection. So a camera that was gone
//! while the node was down is forgotten too, in time.

mod announce;
mod cameras;
mod models;
mod names;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use self::announce::{Announcer, Before};
use self::cameras::Cameras;
use self::models::Models;
pub(super) use self::names::Topics;
use super::client::{Outgoing, Publisher, Unpublished};
use super::topics;
use super::wire;
use crate::config::{HomeAssistant, Mqtt};
use crate::frame::worker::Shared;
use crate::model::Registry;
use crate::ops::shutdown::Shutdown;

/// How often it is looked what is new.
const TICK: Duration = Duration::from_millis(250);
/// Messages in one tick: what is to be told of many cameras at once must not fill the way that results go.
const MOST_AT_ONCE: usize = 32;
/// What the connection has heard and is not yet read: as many as there may be cameras, within reason. What finds no place is told
/// again with the next connection.
const HEARD: usize = 4096;
/// Ours are shorter.
const MOST_BYTES: usize = 8192;

/// What the connection tells.
#[derive(Debug)]
pub(super) enum Heard {
    /// There is a connection: the broker may be another, or have forgotten.
    Connected,
    /// Home Assistant has started.
    Birth,
    /// An announcement that the broker has, on this topic; an empty one is one that was withdrawn.
    Announced { topic: String, payload: Bytes },
}

/// Tells the task what the connection hears. Never waits.
#[derive(Clone, Debug)]
pub struct Ear(mpsc::Sender<Heard>);

impl Ear {
    /// Passes it on. What finds no place is dropped.
    pub(super) fn hear(&self, heard: Heard) {
        let long = matches!(&heard, Heard::Announced { payload, .. } if payload.len() > MOST_BYTES);
        if long || self.0.try_send(heard).is_err() {
            tracing::debug!("something that Home Assistant's topics said was passed over");
        }
    }
}

/// What [`run`] reads; its other end goes to the connection.
#[derive(Debug)]
pub struct Ears(mpsc::Receiver<Heard>);

/// An ear, and who listens to it.
#[must_use]
pub fn ears() -> (Ear, Ears) {
    let (sender, receiver) = mpsc::channel(HEARD);
    (Ear(sender), Ears(receiver))
}

/// What the task works with.
#[derive(Debug)]
pub struct Parts {
    /// The section `[homeassistant]`.
    pub config: HomeAssistant,
    /// The section `[mqtt]`.
    pub mqtt: Mqtt,
    /// It tells of no more cameras than these.
    pub most_cameras: usize,
    /// What the workers share.
    pub shared: Arc<Shared>,
    /// Where models are.
    pub registry: Registry,
    /// Where messages go.
    pub publisher: Publisher,
    /// What the connection hears.
    pub ears: Ears,
    /// The word to stop.
    pub shutdown: Shutdown,
}

/// Announces, and tells states and pictures, until asked to stop.
pub async fn run(parts: Parts) {
    let Parts { config, mqtt, most_cameras, shared, registry, publisher, mut ears, mut shutdown } = parts;
    let announcer = Announcer::new(&config, &mqtt);
    let mut teller = Teller {
        cameras: Cameras::new(&config, announcer.clone(), most_cameras),
        models: Models::new(registry, Arc::clone(&shared.models)),
        announcer,
        models_topic: topics::models(&mqtt.prefix, &mqtt.node),
        shared,
        publisher,
        node_due: false,
        node: Vec::new(),
        before: Before::default(),
        read: 0,
    };
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.requested() => return,
            heard = ears.0.recv() => match heard {
                Some(heard) => teller.hear(heard),
                None => return,
            },
            _ = ticks.tick() => {
                // An update that can be installed names its version.
                teller.node_due |= teller.models.look(Instant::now()).await;
                teller.tell(Instant::now());
            }
        }
    }
}

struct Teller {
    cameras: Cameras,
    models: Models,
    announcer: Announcer,
    models_topic: String,
    shared: Arc<Shared>,
    publisher: Publisher,
    /// The node's announcement is to be sent.
    node_due: bool,
    /// The one that was sent.
    node: Vec<u8>,
    before: Before,
    /// The number of the last result that was read.
    read: u64,
}

impl Teller {
    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Connected => {
                self.node_due = true;
                self.models.tell_again();
                self.cameras.tell_again();
            }
            Heard::Birth => {
                self.node_due = true;
                self.cameras.announce_again();
            }
            Heard::Announced { topic, payload } if topic == self.announcer.topics().node() => {
                self.before.remember(&payload);
                self.node_due |= self.announcer.node(self.models.newest(), &self.before) != self.node;
            }
            Heard::Announced { topic, payload } if payload.is_empty() => self.cameras.withdrawn(&topic),
            Heard::Announced { topic, payload } => self.cameras.kept(topic, &payload, Instant::now()),
        }
    }

    /// Reads what is new, and sends what is due.
    fn tell(&mut self, now: Instant) {
        let (newest, read) = self.shared.board.since(self.read);
        self.read = read;
        newest.into_iter().for_each(|newest| self.cameras.see(newest, now));
        self.cameras.forget(now);
        if let Err(error) = self.send_due(now) {
            tracing::debug!(%error, "Home Assistant was not told everything yet");
        }
    }

    /// Sends what is due, within bounds. What the connection does not take is due again.
    fn send_due(&mut self, now: Instant) -> Result<(), Unpublished> {
        // The node before its cameras, which are behind it.
        if self.node_due {
            let announcement = self.announcer.node(self.models.newest(), &self.before);
            self.publisher.publish(kept(self.announcer.topics().node(), announcement.clone(), 1))?;
            (self.node, self.node_due) = (announcement, false);
        }
        if let Some(told) = self.models.due() {
            let message = kept(self.models_topic.clone(), wire::to_json(&told), 1);
            self.publisher.publish(Outgoing { json: true, ..message })?;
            self.models.told();
        }
        let held = |frame| self.shared.held.get(frame).map(|seen| (seen.image, seen.format));
        for _ in 0..MOST_AT_ONCE {
            let Some(mut due) = self.cameras.due(now, held) else { break };
            self.publisher.publish(std::mem::take(&mut due.message))?;
            self.cameras.told(due, now);
        }
        Ok(())
    }
}

/// A message for the broker to keep.
fn kept(topic: String, payload: Vec<u8>, qos: u8) -> Outgoing {
    Outgoing { topic, payload, qos, retain: true, ..Outgoing::default() }
}
