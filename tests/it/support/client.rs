//! A client of either version of MQTT: cameras, those who ask, and those who look on.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use glanced::config::Protocol;
use rumqttc::v5::mqttbytes::v5 as v5packet;
use rumqttc::{mqttbytes::v4 as v4packet, v5};
use serde_json::Value;

use super::PATIENCE;

/// A message that arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) content_type: Option<String>,
    pub(crate) expiry: Option<u32>,
    pub(crate) correlation: Option<Bytes>,
}

impl Message {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).unwrap_or_else(|error| panic!("no text ({error}): {self:?}"))
    }

    /// The best class's label.
    pub(crate) fn best(&self) -> String {
        self.json()["top3"][0]["label"].as_str().unwrap_or_else(|| panic!("no label: {self:?}")).to_owned()
    }
}

#[derive(Debug, Default)]
struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    messages: Vec<Message>,
    connected: bool,
    subscribed: usize,
    /// Messages of ours that the broker has acknowledged.
    acknowledged: usize,
    lost: Option<String>,
}

enum Sender {
    V4(rumqttc::Client),
    V5(v5::Client),
}

/// A connected client.
pub(crate) struct Client {
    sender: Sender,
    inbox: Arc<Inbox>,
    sent: AtomicUsize,
}

/// Larger than anything that a test sends.
const MAX_PACKET: u32 = 128 << 20;

impl Client {
    /// Connects, and waits until the broker has said yes.
    pub(crate) fn connect(broker: SocketAddr, protocol: Protocol) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let id = format!("test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let inbox = Arc::new(Inbox::default());
        let (host, port) = (broker.ip().to_string(), broker.port());
        let sender = match protocol {
            Protocol::V311 => {
                let mut options = rumqttc::MqttOptions::new(id, host, port);
                options.set_max_packet_size(MAX_PACKET as usize, MAX_PACKET as usize);
                let (client, mut connection) = rumqttc::Client::new(options, 1024);
                let inbox = Arc::clone(&inbox);
                std::thread::spawn(move || {
                    for event in connection.iter() {
                        match event {
                            Ok(event) => inbox.take_v4(event),
                            Err(error) => return inbox.lose(&error),
                        }
                    }
                });
                Sender::V4(client)
            }
            Protocol::V5 => {
                let mut options = v5::MqttOptions::new(id, host, port);
                options.set_max_packet_size(Some(MAX_PACKET));
                let (client, mut connection) = v5::Client::new(options, 1024);
                let inbox = Arc::clone(&inbox);
                std::thread::spawn(move || {
                    for event in connection.iter() {
                        match event {
                            Ok(event) => inbox.take_v5(event),
                            Err(error) => return inbox.lose(&error),
                        }
                    }
                });
                Sender::V5(client)
            }
        };
        inbox.wait("the broker's welcome", |state| state.connected.then_some(()));
        Self { sender, inbox, sent: AtomicUsize::new(0) }
    }

    pub(crate) fn v5(broker: SocketAddr) -> Self {
        Self::connect(broker, Protocol::V5)
    }

    pub(crate) fn v311(broker: SocketAddr) -> Self {
        Self::connect(broker, Protocol::V311)
    }

    /// Subscribes at quality of service 1, and waits until the broker has agreed.
    pub(crate) fn subscribe(&self, filter: &str) {
        let before = self.inbox.lock().subscribed;
        let taken = match &self.sender {
            Sender::V4(client) => client.subscribe(filter, rumqttc::QoS::AtLeastOnce).is_ok(),
            Sender::V5(client) => client.subscribe(filter, v5::mqttbytes::QoS::AtLeastOnce).is_ok(),
        };
        assert!(taken, "the subscription to {filter} was not taken");
        self.inbox.wait("the broker's agreement", |state| (state.subscribed > before).then_some(()));
    }

    /// Publishes at quality of service 1.
    pub(crate) fn publish(&self, topic: &str, payload: impl Into<Bytes>) {
        self.send(topic, payload.into(), false, v5packet::PublishProperties::default());
    }

    pub(crate) fn publish_retained(&self, topic: &str, payload: impl Into<Bytes>) {
        self.send(topic, payload.into(), true, v5packet::PublishProperties::default());
    }

    /// Publishes with a response topic, and with correlation data if they are not empty (MQTT 5).
    pub(crate) fn request(&self, topic: &str, payload: impl Into<Bytes>, response: &str, correlation: &'static [u8]) {
        let properties = v5packet::PublishProperties {
            response_topic: Some(response.to_owned()),
            correlation_data: (!correlation.is_empty()).then(|| Bytes::from_static(correlation)),
            ..Default::default()
        };
        self.send(topic, payload.into(), false, properties);
    }

    fn send(&self, topic: &str, payload: Bytes, retain: bool, properties: v5packet::PublishProperties) {
        let taken = match &self.sender {
            Sender::V4(client) => client.publish(topic, rumqttc::QoS::AtLeastOnce, retain, payload).is_ok(),
            Sender::V5(client) => {
                let qos = v5::mqttbytes::QoS::AtLeastOnce;
                client.publish_with_properties(topic, qos, retain, payload, properties).is_ok()
            }
        };
        assert!(taken, "a message on {topic} was not taken");
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until the broker has acknowledged all that was published.
    pub(crate) fn flush(&self) {
        let sent = self.sent.load(Ordering::Relaxed);
        self.inbox.wait("the broker's acknowledgements", |state| (state.acknowledged >= sent).then_some(()));
    }

    /// Waits for the first message that is `wanted`, and takes it out. Others stay.
    pub(crate) fn find(&self, what: &str, wanted: impl Fn(&Message) -> bool) -> Message {
        self.inbox.wait(what, |state| {
            let index = state.messages.iter().position(&wanted)?;
            Some(state.messages.remove(index))
        })
    }

    /// Waits for the next message on a topic, and takes it out.
    pub(crate) fn next_on(&self, topic: &str) -> Message {
        self.find(&format!("a message on {topic}"), |message| message.topic == topic)
    }

    /// Waits for the next message on a topic that the broker did not keep from earlier, and takes it out.
    pub(crate) fn fresh_on(&self, topic: &str) -> Message {
        self.find(&format!("a fresh message on {topic}"), |message| message.topic == topic && !message.retain)
    }

    /// What has arrived and was not taken out.
    pub(crate) fn arrived(&self) -> Vec<Message> {
        self.inbox.lock().messages.clone()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Its thread ends when the broker closes.
        match &self.sender {
            Sender::V4(client) => drop(client.try_disconnect()),
            Sender::V5(client) => drop(client.try_disconnect()),
        }
    }
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<T>(&self, what: &str, mut ask: impl FnMut(&mut State) -> Option<T>) -> T {
        let end = Instant::now() + *PATIENCE;
        let mut state = self.lock();
        loop {
            if let Some(answer) = ask(&mut state) {
                return answer;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || state.lost.is_some() {
                let (lost, messages) = (state.lost.clone(), state.messages.clone());
                drop(state);
                panic!("waited {:?} in vain for {what}; lost: {lost:?}; arrived: {messages:#?}", *PATIENCE);
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn lose(&self, error: &dyn std::fmt::Display) {
        self.change(|state| state.lost = Some(error.to_string()));
    }

    fn take_v4(&self, event: rumqttc::Event) {
        use v4packet::Packet;
        let rumqttc::Event::Incoming(packet) = event else { return };
        self.change(|state| match packet {
            Packet::ConnAck(_) => state.connected = true,
            Packet::SubAck(_) => state.subscribed += 1,
            Packet::PubAck(_) => state.acknowledged += 1,
            Packet::Publish(publish) => state.messages.push(Message {
                topic: publish.topic,
                payload: publish.payload,
                qos: publish.qos as u8,
                retain: publish.retain,
                ..Message::default()
            }),
            _ => {}
        });
    }

    fn take_v5(&self, event: v5::Event) {
        use v5packet::Packet;
        let v5::Event::Incoming(packet) = event else { return };
        self.change(|state| match packet {
            Packet::ConnAck(_) => state.connected = true,
            Packet::SubAck(_) => state.subscribed += 1,
            Packet::PubAck(_) => state.acknowledged += 1,
            Packet::Publish(publish) => {
                let properties = publish.properties.unwrap_or_default();
                state.messages.push(Message {
                    topic: String::from_utf8_lossy(&publish.topic).into_owned(),
                    payload: publish.payload,
                    qos: publish.qos as u8,
                    retain: publish.retain,
                    content_type: properties.content_type,
                    expiry: properties.message_expiry_interval,
                    correlation: properties.correlation_data,
                });
            }
            _ => {}
        });
    }
}
