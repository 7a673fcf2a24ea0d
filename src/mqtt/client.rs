//! One client for both protocol versions: what the library has twice, the rest of the daemon has once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rumqttc::v5::mqttbytes::v5 as v5packet;
use rumqttc::{mqttbytes::v4 as v4packet, v5};

use super::events::{Asked, EventLoop, Events};
use super::options::{self, OptionsError, Purpose};
use super::subscription::Subscription;
use crate::config::{Mqtt, Protocol};

/// A message to be published.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outgoing {
    /// Its topic.
    pub topic: String,
    /// Its bytes.
    pub payload: Vec<u8>,
    /// 0 or 1.
    pub qos: u8,
    /// The broker keeps it for those who subscribe later.
    pub retain: bool,
    /// The broker may forget it after this long (MQTT 5).
    pub expiry: Option<Duration>,
    /// It is JSON (MQTT 5 content type).
    pub json: bool,
    /// Given back to who asked (MQTT 5).
    pub correlation: Option<Bytes>,
    /// Where an answer is wanted (MQTT 5).
    pub response_topic: Option<String>,
}

/// Hands messages to the connection. Cheap to clone, never blocks.
#[derive(Clone, Debug)]
pub struct Publisher {
    client: Client,
    gate: Option<Arc<AtomicBool>>,
    asked: Asked,
}

#[derive(Clone, Debug)]
enum Client {
    V4(rumqttc::AsyncClient),
    V5(v5::AsyncClient),
}

/// The message was not taken: the broker is away, or slower than we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpublished {
    /// Not connected.
    #[error("not connected to the MQTT broker")]
    Disconnected,
    /// Too many messages wait to be sent.
    #[error("too many messages wait to be sent to the MQTT broker")]
    QueueFull,
}

/// Prepares a connection; it is made by polling the events. `capacity` messages may wait to be sent.
pub(super) fn open(config: &Mqtt, purpose: Purpose, capacity: usize) -> Result<(Publisher, Events), OptionsError> {
    let (client, inner) = match config.protocol {
        Protocol::V311 => {
            let (client, events) = rumqttc::AsyncClient::new(options::v4(config, purpose)?, capacity);
            (Client::V4(client), EventLoop::V4(Box::new(events)))
        }
        Protocol::V5 => {
            let (client, events) = v5::AsyncClient::new(options::v5(config, purpose)?, capacity);
            (Client::V5(client), EventLoop::V5(Box::new(events)))
        }
    };
    let asked = Asked::default();
    let events = Events::new(inner, Arc::clone(&asked));
    Ok((Publisher { client, gate: None, asked }, events))
}

impl Publisher {
    /// The same, but refusing while `open` is not set: results of an outage would only be stale when it ends.
    pub(super) fn while_open(self, open: Arc<AtomicBool>) -> Self {
        Self { gate: Some(open), ..self }
    }

    /// Hands a message over.
    ///
    /// # Errors
    /// [`Unpublished`] if it was not taken.
    pub fn publish(&self, message: Outgoing) -> Result<(), Unpublished> {
        if self.gate.as_ref().is_some_and(|open| !open.load(Ordering::Relaxed)) {
            return Err(Unpublished::Disconnected);
        }
        let Outgoing { topic, payload, qos, retain, expiry, json, correlation, response_topic } = message;
        let taken = match &self.client {
            Client::V4(client) => client.try_publish(topic, v4qos(qos), retain, payload).is_ok(),
            Client::V5(client) => {
                let properties = v5packet::PublishProperties {
                    message_expiry_interval: expiry.map(|expiry| u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX)),
                    content_type: json.then(|| "application/json".to_owned()),
                    payload_format_indicator: json.then_some(1),
                    correlation_data: correlation,
                    response_topic,
                    ..Default::default()
                };
                client.try_publish_with_properties(topic, v5qos(qos), retain, payload, properties).is_ok()
            }
        };
        if taken { Ok(()) } else { Err(Unpublished::QueueFull) }
    }

    /// Hands over a frame, without a copy where the library allows it, at quality of service 0.
    pub(super) fn publish_bytes(&self, topic: &str, payload: Bytes) -> Result<(), Unpublished> {
        let taken = match &self.client {
            Client::V4(client) => client.try_publish(topic, v4qos(0), false, payload).is_ok(),
            Client::V5(client) => client.try_publish(topic, v5qos(0), false, payload).is_ok(),
        };
        if taken { Ok(()) } else { Err(Unpublished::QueueFull) }
    }

    pub(super) fn subscribe(&self, subscription: &Subscription) -> Result<(), Unpublished> {
        let Subscription { filter, qos, id, retained } = subscription;
        // Before it is sent: the connection's task may number it at once.
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = match &self.client {
            Client::V4(client) => client.try_subscribe(filter, v4qos(*qos)).is_ok(),
            Client::V5(client) => {
                let wanted = v5packet::Filter {
                    path: filter.clone(),
                    qos: v5qos(*qos),
                    nolocal: false,
                    preserve_retain: false,
                    retain_forward_rule: if *retained {
                        v5packet::RetainForwardRule::OnEverySubscribe
                    } else {
                        v5packet::RetainForwardRule::Never
                    },
                };
                let properties = v5packet::SubscribeProperties { id: Some(*id), user_properties: Vec::new() };
                client.try_subscribe_many_with_properties([wanted], properties).is_ok()
            }
        };
        if !taken {
            return Err(Unpublished::QueueFull);
        }
        asked.push_back(filter.clone());
        Ok(())
    }

    /// Tells the broker that the message of this number is done with, where the connection leaves that to us.
    pub(super) fn acknowledge(&self, packet: u16) -> Result<(), Unpublished> {
        // The library takes the number from a whole message.
        let taken = match &self.client {
            Client::V4(client) => {
                let mut publish = v4packet::Publish::new("", v4qos(1), Vec::new());
                publish.pkid = packet;
                client.try_ack(&publish).is_ok()
            }
            Client::V5(client) => {
                let mut publish = v5packet::Publish::new("", v5qos(1), Bytes::new(), None);
                publish.pkid = packet;
                client.try_ack(&publish).is_ok()
            }
        };
        if taken { Ok(()) } else { Err(Unpublished::QueueFull) }
    }

    pub(super) fn unsubscribe(&self, filter: &str) -> Result<(), Unpublished> {
        let taken = match &self.client {
            Client::V4(client) => client.try_unsubscribe(filter).is_ok(),
            Client::V5(client) => client.try_unsubscribe(filter).is_ok(),
        };
        if taken { Ok(()) } else { Err(Unpublished::QueueFull) }
    }

    pub(super) fn disconnect(&self) -> Result<(), Unpublished> {
        let taken = match &self.client {
            Client::V4(client) => client.try_disconnect().is_ok(),
            Client::V5(client) => client.try_disconnect().is_ok(),
        };
        if taken { Ok(()) } else { Err(Unpublished::QueueFull) }
    }
}

fn v4qos(qos: u8) -> rumqttc::QoS {
    if qos == 0 { rumqttc::QoS::AtMostOnce } else { rumqttc::QoS::AtLeastOnce }
}

fn v5qos(qos: u8) -> v5::mqttbytes::QoS {
    if qos == 0 { v5::mqttbytes::QoS::AtMostOnce } else { v5::mqttbytes::QoS::AtLeastOnce }
}
