//! A plain client beside the daemon's own: the cameras and the onlooker of `glanced demo` and `glanced bench`.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::client::{self, Outgoing, Publisher, Unpublished};
use super::events::Event;
use super::options::{OptionsError, Purpose};
use super::subscription::Subscription;
use crate::config::Mqtt;

/// A connected client.
#[derive(Debug)]
pub struct Peer {
    publisher: Publisher,
    arrived: mpsc::Receiver<(String, Bytes)>,
}

/// A client could not be connected.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// It can't even be tried.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The broker does not let us in, or is not there.
    #[error("no connection to the MQTT broker: {0}")]
    Lost(String),
}

/// Attempts to connect: a broker that was started with us needs a moment.
const ATTEMPTS: usize = 100;
/// Between two of them.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

impl Peer {
    /// Connects to the broker of `config` and subscribes to `filter`, if one is given. `capacity` messages may wait to
    /// be sent, and as many to be read; an arriving one beyond that is lost.
    ///
    /// # Errors
    /// [`PeerError`] if the broker can't be reached.
    pub async fn connect(config: &Mqtt, name: &str, filter: Option<&str>, capacity: usize) -> Result<Self, PeerError> {
        let config = Mqtt { client_id: format!("{}-{name}", config.client_id), ..config.clone() };
        let (publisher, mut events) = client::open(&config, Purpose::Peer, capacity)?;
        let mut attempts = 0;
        loop {
            match events.next().await {
                Ok(Event::Connected { .. }) => match filter {
                    Some(filter) => {
                        let subscription = Subscription { filter: filter.to_owned(), qos: 0, id: 1, retained: true };
                        publisher.subscribe(&subscription).map_err(|error| PeerError::Lost(error.to_string()))?;
                    }
                    None => break,
                },
                Ok(Event::Subscribed { refused: None, .. }) => break,
                Ok(Event::Subscribed { refused: Some(reason), .. }) => return Err(PeerError::Lost(reason)),
                Ok(_) => {}
                Err(lost) if attempts >= ATTEMPTS => return Err(PeerError::Lost(lost.to_string())),
                Err(_) => {
                    attempts += 1;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        let (arriving, arrived) = mpsc::channel(capacity);
        tokio::spawn(async move {
            // Ends with the connection, or when nobody holds the peer any more.
            while let Ok(event) = events.next().await {
                if let Event::Message(message) = event {
                    let topic = String::from_utf8_lossy(&message.topic).into_owned();
                    if let Err(mpsc::error::TrySendError::Closed(_)) = arriving.try_send((topic, message.payload)) {
                        return;
                    }
                }
            }
        });
        Ok(Self { publisher, arrived })
    }

    /// Publishes at quality of service 0.
    ///
    /// # Errors
    /// [`Unpublished`] if too many messages wait to be sent.
    pub fn publish(&self, topic: &str, payload: Bytes) -> Result<(), Unpublished> {
        self.publisher.publish_bytes(topic, payload)
    }

    /// Publishes at quality of service 1, and asks for an answer on a topic (MQTT 5).
    ///
    /// # Errors
    /// [`Unpublished`] if too many messages wait to be sent.
    pub fn ask(&self, topic: &str, payload: Vec<u8>, answer_on: &str) -> Result<(), Unpublished> {
        let response_topic = Some(answer_on.to_owned());
        self.publisher.publish(Outgoing {
            topic: topic.to_owned(),
            payload,
            qos: 1,
            response_topic,
            ..Outgoing::default()
        })
    }

    /// The next message that arrives: topic and payload. `None` when the connection is gone.
    pub async fn next(&mut self) -> Option<(String, Bytes)> {
        self.arrived.recv().await
    }
}
