//! One client for both protocol versions: what the library has twice, the rest of the daemon has once.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rumqttc::v5::mqttbytes::v5 as v5packet;
use rumqttc::{mqttbytes::v4 as v4packet, v5};

use super::options::{self, OptionsError, Purpose};
use super::topics::Subscription;
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
}

/// A message that arrived.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    pub(super) topic: Bytes,
    pub(super) payload: Bytes,
    pub(super) retain: bool,
    pub(super) response_topic: Option<String>,
    pub(super) correlation: Option<Bytes>,
    /// The subscriptions it matches, where the broker says so (MQTT 5).
    pub(super) subscriptions: Vec<usize>,
    /// To acknowledge it, on a connection where that is ours to do.
    pub(super) receipt: Receipt,
}

/// What identifies a message to be acknowledged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Receipt {
    packet: u16,
    qos: u8,
}

/// What the connection tells.
#[derive(Debug)]
pub(super) enum Event {
    Connected,
    Message(Incoming),
    /// The broker has acknowledged a message of ours.
    Delivered,
    /// The broker has granted a subscription, or not: then why.
    Subscribed {
        filter: String,
        refused: Option<String>,
    },
    /// A clean goodbye has been sent.
    Disconnected,
    /// Nothing that concerns us.
    Other,
}

/// Why the connection broke or was not made, in words.
#[derive(Debug)]
pub(super) struct Lost(String);

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Hands messages to the connection. Cheap to clone, never blocks.
#[derive(Clone, Debug)]
pub struct Publisher {
    client: Client,
    gate: Option<Arc<AtomicBool>>,
    asked: Asked,
}

/// Filters asked for, in the order in which they were, until their packet has a number.
type Asked = Arc<Mutex<VecDeque<String>>>;

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

/// The receiving half of the connection. Only its owner polls it.
pub(super) struct Events {
    inner: EventLoop,
    asked: Asked,
    /// Filters by the number of their packet, until the broker has granted them.
    numbered: HashMap<u16, String>,
}

enum EventLoop {
    V4(Box<rumqttc::EventLoop>),
    V5(Box<v5::EventLoop>),
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
    let events = Events { inner, asked: Arc::clone(&asked), numbered: HashMap::new() };
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
        let Outgoing { topic, payload, qos, retain, expiry, json, correlation } = message;
        let taken = match &self.client {
            Client::V4(client) => client.try_publish(topic, v4qos(qos), retain, payload).is_ok(),
            Client::V5(client) => {
                let properties = v5packet::PublishProperties {
                    message_expiry_interval: expiry.map(|expiry| u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX)),
                    content_type: json.then(|| "application/json".to_owned()),
                    payload_format_indicator: json.then_some(1),
                    correlation_data: correlation,
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

    /// Tells the broker that a message is done with, where the connection leaves that to us.
    pub(super) fn acknowledge(&self, receipt: Receipt) {
        let Receipt { packet, qos } = receipt;
        if qos == 0 {
            return;
        }
        // The library takes the number from a whole message.
        let taken = match &self.client {
            Client::V4(client) => {
                let mut publish = v4packet::Publish::new("", v4qos(qos), Vec::new());
                publish.pkid = packet;
                client.try_ack(&publish).is_ok()
            }
            Client::V5(client) => {
                let mut publish = v5packet::Publish::new("", v5qos(qos), Bytes::new(), None);
                publish.pkid = packet;
                client.try_ack(&publish).is_ok()
            }
        };
        if !taken {
            // It comes again after the next connection, and a resend is harmless.
            tracing::debug!("an acknowledgement could not be sent");
        }
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

impl Events {
    /// The next event. Connects if there is no connection. Must be polled to its end: a dropped poll may lose a
    /// connection that is being made.
    pub(super) async fn next(&mut self) -> Result<Event, Lost> {
        match &mut self.inner {
            EventLoop::V4(events) => match events.poll().await {
                Ok(event) => Ok(self.translate_v4(event)),
                Err(error) => Err(self.lost(&error, explain_v4(&error))),
            },
            EventLoop::V5(events) => match events.poll().await {
                Ok(event) => Ok(self.translate_v5(event)),
                Err(error) => Err(self.lost(&error, explain_v5(&error))),
            },
        }
    }

    /// Drops the connection; the next poll makes a new one, and the broker sends again what was not acknowledged.
    pub(super) fn drop_connection(&mut self) {
        match &mut self.inner {
            EventLoop::V4(events) => events.clean(),
            EventLoop::V5(events) => events.clean(),
        }
    }

    /// No message of ours is on the way or waits to be sent.
    pub(super) fn all_delivered(&self) -> bool {
        match &self.inner {
            EventLoop::V4(events) => events.state.inflight() == 0 && events.pending.is_empty(),
            EventLoop::V5(events) => events.state.inflight() == 0 && events.pending.is_empty(),
        }
    }

    fn lost(&mut self, error: &dyn fmt::Display, hint: Option<&str>) -> Lost {
        self.asked().clear();
        self.numbered.clear();
        // What the library had still to tell of the lost connection: a subscription sent there must not be taken for one
        // of the next connection, whose own would then never be granted.
        match &mut self.inner {
            EventLoop::V4(events) => events.state.events.clear(),
            EventLoop::V5(events) => events.state.events.clear(),
        }
        let text = error.to_string();
        // The broker's word comes while reading, long after the library's own part of the handshake is done.
        let hint = hint.or_else(|| text.contains("received fatal alert").then_some(ALERT));
        Lost(hint.map_or_else(|| text.clone(), |hint| format!("{text} ({hint})")))
    }

    fn asked(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(&mut self, packet: u16) -> Event {
        let first = self.asked().pop_front();
        if let Some(filter) = first {
            self.numbered.insert(packet, filter);
        }
        Event::Other
    }

    fn subscribed(&mut self, packet: u16, refused: Option<String>) -> Event {
        match self.numbered.remove(&packet) {
            Some(filter) => Event::Subscribed { filter, refused },
            None => Event::Other,
        }
    }

    fn translate_v4(&mut self, event: rumqttc::Event) -> Event {
        use v4packet::{Packet, SubscribeReasonCode};
        match event {
            rumqttc::Event::Incoming(Packet::Publish(publish)) => Event::Message(Incoming {
                topic: publish.topic.into(),
                payload: publish.payload,
                retain: publish.retain,
                receipt: Receipt { packet: publish.pkid, qos: publish.qos as u8 },
                response_topic: None,
                correlation: None,
                subscriptions: Vec::new(),
            }),
            rumqttc::Event::Incoming(Packet::ConnAck(_)) => Event::Connected,
            rumqttc::Event::Incoming(Packet::PubAck(_)) => Event::Delivered,
            rumqttc::Event::Incoming(Packet::SubAck(ack)) => {
                let refused = ack.return_codes.contains(&SubscribeReasonCode::Failure).then(|| "refused".to_owned());
                self.subscribed(ack.pkid, refused)
            }
            rumqttc::Event::Outgoing(rumqttc::Outgoing::Subscribe(packet)) => self.number(packet),
            rumqttc::Event::Outgoing(rumqttc::Outgoing::Disconnect) => Event::Disconnected,
            _ => Event::Other,
        }
    }

    fn translate_v5(&mut self, event: v5::Event) -> Event {
        use v5packet::{Packet, SubscribeReasonCode};
        match event {
            v5::Event::Incoming(Packet::Publish(publish)) => {
                let properties = publish.properties.unwrap_or_default();
                Event::Message(Incoming {
                    topic: publish.topic,
                    payload: publish.payload,
                    retain: publish.retain,
                    receipt: Receipt { packet: publish.pkid, qos: publish.qos as u8 },
                    response_topic: properties.response_topic,
                    correlation: properties.correlation_data,
                    subscriptions: properties.subscription_identifiers,
                })
            }
            v5::Event::Incoming(Packet::ConnAck(_)) => Event::Connected,
            v5::Event::Incoming(Packet::PubAck(_)) => Event::Delivered,
            v5::Event::Incoming(Packet::SubAck(ack)) => {
                let refused = ack.return_codes.iter().find(|code| !matches!(code, SubscribeReasonCode::Success(_)));
                let refused = refused.map(|code| format!("{code:?}"));
                self.subscribed(ack.pkid, refused)
            }
            v5::Event::Outgoing(rumqttc::Outgoing::Subscribe(packet)) => self.number(packet),
            v5::Event::Outgoing(rumqttc::Outgoing::Disconnect) => Event::Disconnected,
            _ => Event::Other,
        }
    }
}

const CREDENTIALS: &str = "check mqtt.username and mqtt.password_file, and the broker's access list";
const PROTOCOL: &str = "the broker may not speak this version: try the other mqtt.protocol";
const TOO_LARGE: &str = "a message is larger than mqtt.max_packet_bytes; if the broker keeps it, it comes again with every \
                         connection until it is cleared or the limit is raised";
const TLS: &str = "check mqtt.ca_file, the certificate's host name, and whether the port speaks TLS";
const ALERT: &str = "the broker does not accept our side of TLS: check mqtt.cert_file and mqtt.key_file";

fn explain_v4(error: &rumqttc::ConnectionError) -> Option<&'static str> {
    use rumqttc::{ConnectionError, StateError};
    use v4packet::ConnectReturnCode as Code;
    match error {
        ConnectionError::ConnectionRefused(Code::BadUserNamePassword | Code::NotAuthorized) => Some(CREDENTIALS),
        ConnectionError::ConnectionRefused(Code::RefusedProtocolVersion) => Some(PROTOCOL),
        ConnectionError::MqttState(StateError::Deserialization(
            rumqttc::mqttbytes::Error::PayloadSizeLimitExceeded(_),
        )) => Some(TOO_LARGE),
        ConnectionError::Tls(_) => Some(TLS),
        _ => None,
    }
}

fn explain_v5(error: &v5::ConnectionError) -> Option<&'static str> {
    use v5::{ConnectionError, StateError};
    use v5packet::ConnectReturnCode as Code;
    match error {
        ConnectionError::ConnectionRefused(Code::BadUserNamePassword | Code::NotAuthorized) => Some(CREDENTIALS),
        ConnectionError::ConnectionRefused(
            Code::RefusedProtocolVersion | Code::UnsupportedProtocolVersion | Code::ProtocolError,
        ) => Some(PROTOCOL),
        ConnectionError::MqttState(
            StateError::Deserialization(v5::mqttbytes::Error::PayloadSizeLimitExceeded { .. })
            | StateError::IncomingPacketTooLarge { .. },
        ) => Some(TOO_LARGE),
        ConnectionError::Tls(_) => Some(TLS),
        _ => None,
    }
}
