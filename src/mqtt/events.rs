//! What a connection tells, translated from the library's two kinds of event; and what is wrong when it breaks, in words.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rumqttc::v5::mqttbytes::v5 as v5packet;
use rumqttc::{mqttbytes::v4 as v4packet, v5};

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
    /// Its number, if it is to be acknowledged.
    pub(super) packet: Option<u16>,
    /// The broker has sent it before.
    pub(super) again: bool,
}

/// What the connection tells.
#[derive(Debug)]
pub(super) enum Event {
    Connected {
        /// The broker has the session of an earlier connection.
        session_kept: bool,
    },
    Message(Incoming),
    /// The broker has acknowledged a message of ours.
    Delivered,
    /// We have acknowledged the message of this number.
    Acknowledged(u16),
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

/// Filters asked for, in the order in which they were, until their packet has a number.
pub(super) type Asked = Arc<Mutex<VecDeque<String>>>;

/// The receiving half of the connection. Only its owner polls it.
pub(super) struct Events {
    inner: EventLoop,
    asked: Asked,
    /// Filters by the number of their packet, until the broker has granted them.
    numbered: HashMap<u16, String>,
}

pub(super) enum EventLoop {
    V4(Box<rumqttc::EventLoop>),
    V5(Box<v5::EventLoop>),
}

impl Events {
    /// What `inner` tells; filters are put into `asked` by whoever subscribes.
    pub(super) fn new(inner: EventLoop, asked: Asked) -> Self {
        Self { inner, asked, numbered: HashMap::new() }
    }

    /// The next event. Connects if there is no connection. Must be polled to its end: a dropped poll may lose a
    /// connection that is being made.
    pub(super) async fn next(&mut self) -> Result<Event, Lost> {
        // Any message is a sign of life: the answer to our ping comes after all that the broker had sent before.
        match &mut self.inner {
            EventLoop::V4(events) => match events.poll().await {
                Ok(event) => {
                    events.state.await_pingresp &= !matches!(event, rumqttc::Event::Incoming(_));
                    Ok(self.translate_v4(event))
                }
                Err(error) => Err(self.lost(&error, explain_v4(&error))),
            },
            EventLoop::V5(events) => match events.poll().await {
                Ok(event) => {
                    events.state.await_pingresp &= !matches!(event, v5::Event::Incoming(_));
                    Ok(self.translate_v5(event))
                }
                Err(error) => Err(self.lost(&error, explain_v5(&error))),
            },
        }
    }

    /// Drops the connection, and what was to be sent over it; the next poll makes a new one.
    pub(super) fn drop_connection(&mut self) {
        match &mut self.inner {
            EventLoop::V4(events) => events.clean(),
            EventLoop::V5(events) => events.clean(),
        }
        self.forget();
    }

    /// Forgets what the library had still to tell of a connection that is gone: a subscription sent there must not be
    /// taken for one of the next connection, whose own would then never be granted. And what it had still to send there:
    /// it would send that first in a session that was kept, whatever else is urgent.
    fn forget(&mut self) {
        self.asked().clear();
        self.numbered.clear();
        match &mut self.inner {
            EventLoop::V4(events) => {
                events.state.events.clear();
                events.pending.clear();
            }
            EventLoop::V5(events) => {
                events.state.events.clear();
                events.pending.clear();
            }
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
        self.forget();
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
                packet: (publish.pkid != 0).then_some(publish.pkid),
                again: publish.dup,
                response_topic: None,
                correlation: None,
                subscriptions: Vec::new(),
            }),
            rumqttc::Event::Incoming(Packet::ConnAck(ack)) => Event::Connected { session_kept: ack.session_present },
            rumqttc::Event::Incoming(Packet::PubAck(_)) => Event::Delivered,
            rumqttc::Event::Incoming(Packet::SubAck(ack)) => {
                let refused = ack.return_codes.contains(&SubscribeReasonCode::Failure).then(|| "refused".to_owned());
                self.subscribed(ack.pkid, refused)
            }
            rumqttc::Event::Outgoing(rumqttc::Outgoing::Subscribe(packet)) => self.number(packet),
            rumqttc::Event::Outgoing(rumqttc::Outgoing::PubAck(packet)) => Event::Acknowledged(packet),
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
                    packet: (publish.pkid != 0).then_some(publish.pkid),
                    again: publish.dup,
                    response_topic: properties.response_topic,
                    correlation: properties.correlation_data,
                    subscriptions: properties.subscription_identifiers,
                })
            }
            v5::Event::Incoming(Packet::ConnAck(ack)) => Event::Connected { session_kept: ack.session_present },
            v5::Event::Incoming(Packet::PubAck(_)) => Event::Delivered,
            v5::Event::Incoming(Packet::SubAck(ack)) => {
                let refused = ack.return_codes.iter().find(|code| !matches!(code, SubscribeReasonCode::Success(_)));
                let refused = refused.map(|code| format!("{code:?}"));
                self.subscribed(ack.pkid, refused)
            }
            v5::Event::Outgoing(rumqttc::Outgoing::Subscribe(packet)) => self.number(packet),
            v5::Event::Outgoing(rumqttc::Outgoing::PubAck(packet)) => Event::Acknowledged(packet),
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
