//! Feedback over MQTT: a connection of its own, so that frames never wait for the disk.
//!
//! Its session is kept by the broker: what is sent while the daemon is down arrives later. A message is acknowledged after
//! it is on disk (or refused for good), and not before; what was not acknowledged comes again.

use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;

use super::client::{self, Outgoing, Publisher};
use super::connection::jittered;
use super::events::{Event, Events, Incoming};
use super::options::{OptionsError, Purpose};
use super::topics::{self, ReplyGuard, Subscription};
use super::wire;
use crate::config::Mqtt;
use crate::feedback::keeper::{Inbox, Submission};
use crate::feedback::message::Answer;
use crate::feedback::record::Via;
use crate::ops::shutdown::Shutdown;

/// Messages that the broker may send before the first of them is acknowledged, and places for their answers and
/// acknowledgements.
const WINDOW: usize = 1024;
const FIRST_WAIT: Duration = Duration::from_millis(500);
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);

/// The connection over which feedback comes.
pub struct FeedbackLink {
    config: Mqtt,
    publisher: Publisher,
    events: Events,
    inbox: Inbox,
    guard: ReplyGuard,
}

impl std::fmt::Debug for FeedbackLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FeedbackLink").field("config", &self.config).finish_non_exhaustive()
    }
}

impl FeedbackLink {
    /// Prepares the connection; [`FeedbackLink::run`] makes it.
    ///
    /// # Errors
    /// [`OptionsError`] if it can't even be tried.
    pub fn new(config: Mqtt, inbox: Inbox, guard: ReplyGuard) -> Result<Self, OptionsError> {
        let (publisher, events) = client::open(&config, Purpose::Feedback, WINDOW)?;
        Ok(Self { config, publisher, events, inbox, guard })
    }

    /// Serves until asked to stop; then takes nothing more, but goes on sending acknowledgements until `drained`.
    pub async fn run(self, mut shutdown: Shutdown, drained: impl Future<Output = ()>) {
        let Self { config, publisher, mut events, inbox, guard } = self;
        let filter = topics::feedback(&config.prefix);
        let subscription = Subscription { filter: filter.clone(), qos: 1, id: 1, retained: false };
        let mut inbox = Some(inbox);
        let mut drained = pin!(drained);
        let mut wait = FIRST_WAIT;
        // Set while there is more than can be taken: until then acknowledgements of what was taken go out, and then the
        // connection is cut, for only after that does a broker send again what is left.
        let mut cut_at: Option<Instant> = None;
        'serve: loop {
            let event = {
                // Never dropped half-way but at the end, or when it is to be cut: a connection in the making would be lost.
                let mut poll = pin!(events.next());
                loop {
                    tokio::select! {
                        event = &mut poll => break Some(event),
                        () = until(cut_at), if inbox.is_some() => break None,
                        () = shutdown.requested(), if inbox.is_some() => inbox = None,
                        () = &mut drained => break 'serve,
                    }
                }
            };
            let Some(event) = event else {
                cut_at = None;
                events.drop_connection();
                continue;
            };
            match event {
                Ok(Event::Connected) => {
                    wait = FIRST_WAIT;
                    if let Err(error) = publisher.subscribe(&subscription) {
                        tracing::error!(filter, %error, "could not subscribe");
                    }
                }
                Ok(Event::Subscribed { refused: Some(reason), .. }) => {
                    tracing::error!(
                        filter,
                        reason,
                        "the MQTT broker refused a subscription: no feedback will come from it"
                    );
                }
                Ok(Event::Message(message)) => {
                    let Some(inbox) = &inbox else { continue };
                    // What is passed over here comes again, unacknowledged, and by then there is room.
                    if cut_at.is_none() && !take(message, inbox, &publisher, &guard) {
                        tracing::warn!("too much feedback waits: the broker keeps the rest");
                        cut_at = Some(Instant::now() + FIRST_WAIT);
                    }
                }
                Ok(_) => {}
                Err(lost) => {
                    cut_at = None;
                    // The connection of the frames says what is wrong; this one has the same broker.
                    tracing::debug!(reason = %lost, "no connection for feedback");
                    let pause = jittered(wait);
                    wait = (wait * 2).min(config.reconnect_max);
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = shutdown.requested(), if inbox.is_some() => inbox = None,
                        () = &mut drained => break 'serve,
                    }
                }
            }
        }
        // The last acknowledgements go out before the goodbye. Those that don't are asked for again.
        let goodbye = async {
            if publisher.disconnect().is_ok() {
                while !matches!(events.next().await, Ok(Event::Disconnected) | Err(_)) {}
            }
        };
        if tokio::time::timeout(GOODBYE_WITHIN, goodbye).await.is_err() {
            tracing::debug!("the MQTT broker did not take the goodbye of the feedback connection in time");
        }
    }
}

/// Never, without a moment.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Whether the message was taken.
fn take(message: Incoming, inbox: &Inbox, publisher: &Publisher, guard: &ReplyGuard) -> bool {
    let Incoming { payload, retain, response_topic, correlation, receipt, .. } = message;
    if retain {
        // It was delivered when it was new; now it would come again with every connection.
        publisher.acknowledge(receipt);
        return true;
    }
    let (publisher, guard) = (publisher.clone(), guard.clone());
    let reply = move |answer: &Answer| {
        if let Some(topic) = response_topic {
            match guard.check(&topic) {
                Ok(()) => {
                    let payload = wire::to_json(answer);
                    let message = Outgoing { topic, payload, qos: 1, json: true, correlation, ..Outgoing::default() };
                    if let Err(error) = publisher.publish(message) {
                        tracing::warn!(%error, "an answer to feedback was not sent");
                    }
                }
                Err(error) => tracing::warn!(error, "an answer to feedback was not sent"),
            }
        } else if let Answer::Refused { error, .. } = answer {
            tracing::warn!(error, "feedback was refused, and its sender wants no answer");
        }
        publisher.acknowledge(receipt);
    };
    inbox.submit(Submission { json: payload, via: Via::Mqtt, reply: Box::new(reply) }).is_ok()
}
