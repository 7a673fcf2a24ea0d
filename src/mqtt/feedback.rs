//! Feedback over MQTT: a connection of its own, so that frames never wait for the disk.
//!
//! Its session is kept by the broker: what is sent while the daemon is down arrives later. A message is acknowledged after
//! it is on disk (or refused for good), and not before; what was not acknowledged comes again.
//!
//! While there is no room for a message, nothing more is read: the broker keeps the rest. If that lasts, the connection is
//! closed until there is room, for a broker would take the silence for a death.

mod returns;
mod session;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use self::returns::{Finished, Returns};
use super::client::{self, Publisher};
use super::connection::jittered;
use super::events::{Event, Events, Incoming, Lost};
use super::options::{OptionsError, Purpose};
use super::reply_guard::ReplyGuard;
use super::subscription::Subscription;
use super::topics;
use crate::config::Mqtt;
use crate::feedback::inbox::{Inbox, Submission};
use crate::feedback::message::Answer;
use crate::feedback::record::Via;
use crate::frame::ask::Reply;
use crate::ops::metrics::Metrics;
use crate::ops::shutdown::Shutdown;
use crate::ops::telemetry::Throttle;

/// Acknowledgements and answers handed to the library at once. The rest waits in [`Returns`].
const HANDED_OVER: usize = 64;
/// Finished messages that wait for this task. More than the keeper can have in hand: none is lost.
const FINISHED: usize = 1024;
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// What the link works with.
#[derive(Debug)]
pub struct LinkParts {
    /// The configuration.
    pub config: Mqtt,
    /// Where feedback goes.
    pub inbox: Inbox,
    /// Knows where answers may go.
    pub guard: ReplyGuard,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Keeps repetitions out of the log.
    pub throttle: Arc<Throttle>,
    /// The goodbye may take so long.
    pub goodbye_within: Duration,
}

/// The connection over which feedback comes.
pub struct FeedbackLink {
    config: Mqtt,
    publisher: Publisher,
    events: Events,
    inbox: Inbox,
    returns: Returns,
    throttle: Arc<Throttle>,
    goodbye_within: Duration,
}

impl std::fmt::Debug for FeedbackLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FeedbackLink").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A link at work.
struct Running {
    config: Mqtt,
    subscription: Subscription,
    publisher: Publisher,
    events: Events,
    desk: Desk,
    throttle: Arc<Throttle>,
    goodbye_within: Duration,
    /// Before the next attempt to connect.
    wait: Duration,
}

/// What goes on while the link waits for anything.
struct Desk {
    returns: Returns,
    finished: mpsc::Receiver<Finished>,
    shutdown: Shutdown,
    taking: Option<Taking>,
}

/// What it takes to take messages; gone with the word to stop.
#[derive(Clone)]
struct Taking {
    inbox: Inbox,
    finish: mpsc::Sender<Finished>,
}

impl FeedbackLink {
    /// Prepares the connection; [`FeedbackLink::run`] makes it.
    ///
    /// # Errors
    /// [`OptionsError`] if it can't even be tried.
    pub fn new(parts: LinkParts) -> Result<Self, OptionsError> {
        let LinkParts { config, inbox, guard, metrics, throttle, goodbye_within } = parts;
        let (publisher, events) = client::open(&config, Purpose::Feedback, HANDED_OVER)?;
        let returns = Returns::new(config.node.clone(), publisher.clone(), guard, metrics, Arc::clone(&throttle));
        Ok(Self { config, publisher, events, inbox, returns, throttle, goodbye_within })
    }

    /// Serves until asked to stop; then takes nothing more, but acknowledges and answers what it has taken, as long as
    /// that can still be stored.
    pub async fn run(self, shutdown: Shutdown) {
        let Self { config, publisher, events, inbox, returns, throttle, goodbye_within } = self;
        let (finish, finished) = mpsc::channel(FINISHED);
        let filter = topics::feedback(&config.prefix);
        let mut link = Running {
            config,
            subscription: Subscription { filter, qos: 1, id: 1, retained: false },
            publisher,
            events,
            desk: Desk { returns, finished, shutdown, taking: Some(Taking { inbox, finish }) },
            throttle,
            goodbye_within,
            wait: FIRST_WAIT,
        };
        // Never dropped half-way but at the end: a connection in the making would be lost.
        while let Some(event) = link.desk.during(link.events.next()).await {
            link.handle(event).await;
            link.desk.returns.hand_over();
        }
        link.leave().await;
    }
}

impl Desk {
    /// Waits for `work`, while what is finished is passed on and the word to stop is heard. `None` once that has come
    /// and nothing is left to be finished.
    async fn during<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                finished = self.finished.recv() => self.returns.finish(finished?),
                () = self.shutdown.requested(), if self.taking.is_some() => self.taking = None,
                done = &mut work => return Some(done),
            }
        }
    }
}

impl Running {
    async fn handle(&mut self, event: Result<Event, Lost>) {
        match event {
            Ok(Event::Connected { session_kept }) => {
                self.wait = FIRST_WAIT;
                self.desk.returns.connected(session_kept, &self.subscription);
            }
            Ok(Event::Subscribed { filter, refused: Some(reason) }) => {
                tracing::error!(
                    filter,
                    reason,
                    "the MQTT broker refused a subscription: no feedback will come from it"
                );
            }
            Ok(Event::Message(message)) => self.message(message).await,
            Ok(Event::Acknowledged(packet)) => self.desk.returns.acknowledged(packet),
            Ok(_) => {}
            Err(lost) => {
                self.desk.returns.lost();
                // The connection of the frames says what is wrong; this one has the same broker.
                tracing::debug!(reason = %lost, "no connection for feedback");
                let pause = jittered(self.wait);
                self.wait = (self.wait * 2).min(self.config.reconnect_max);
                self.desk.during(tokio::time::sleep(pause)).await;
            }
        }
    }

    /// Takes a message once there is room for it.
    async fn message(&mut self, message: Incoming) {
        let Incoming { payload, retain, response_topic, correlation, packet, again, .. } = message;
        // What is not taken is not acknowledged: it comes again.
        let Some(Taking { inbox, finish }) = self.desk.taking.clone() else { return };
        let ticket = match packet {
            None => None,
            Some(packet) => match self.desk.returns.delivered(packet, again) {
                Some(ticket) => Some(ticket),
                None => return,
            },
        };
        if retain {
            // It was delivered when it was new; now it would come again with every connection.
            ticket.into_iter().for_each(|ticket| self.desk.returns.dismiss(ticket));
            return;
        }
        let size = payload.len();
        let to = response_topic.map(|topic| Reply { topic, correlation });
        let reply = move |answer: &Answer| {
            // There is a place for each that was taken. Nobody listening means that the link has ended.
            let _ = finish.try_send(Finished { ticket, to, answer: answer.clone() });
        };
        let submission = Submission { json: payload, via: Via::Mqtt, reply: Box::new(reply) };
        // A broker waits one and a half times the keep-alive for a sign of life.
        let room = tokio::time::timeout(self.config.keep_alive / 2, inbox.room(size));
        match self.desk.during(room).await {
            Some(Ok(Ok(room))) => room.fill(submission),
            // The keeper has ended.
            Some(Ok(Err(_))) | None => self.desk.taking = None,
            Some(Err(_)) => {
                ticket.into_iter().for_each(|ticket| self.desk.returns.passed_over(ticket));
                drop(submission);
                self.stay_away(&inbox, size).await;
            }
        }
    }

    /// Closes the connection until there is room for so many bytes.
    async fn stay_away(&mut self, inbox: &Inbox, size: usize) {
        let told = self.throttle.allows("/feedback/room");
        if told {
            tracing::warn!(
                "there is no room for feedback: its connection is closed until there is; the broker keeps it"
            );
        }
        self.leave().await;
        let room = self.desk.during(inbox.room(size)).await;
        if told && matches!(room, Some(Ok(_))) {
            tracing::info!("there is room for feedback again");
        }
    }

    /// Sends what is to be sent, says goodbye, and closes the connection. What arrives meanwhile comes again.
    async fn leave(&mut self) {
        let Self { publisher, events, desk: Desk { returns, .. }, .. } = self;
        if returns.is_connected() {
            let goodbye = async {
                let mut said = false;
                // Until the broker closes the connection: if we did, what it has not read yet could be lost.
                loop {
                    if returns.hand_over() && !said {
                        said = publisher.disconnect().is_ok();
                    }
                    match events.next().await {
                        Ok(Event::Acknowledged(packet)) => returns.acknowledged(packet),
                        Ok(_) => {}
                        Err(_) => return,
                    }
                }
            };
            if tokio::time::timeout(self.goodbye_within, goodbye).await.is_err() {
                tracing::debug!("the MQTT broker did not take the goodbye of the feedback connection in time");
            }
        }
        events.drop_connection();
        returns.lost();
    }
}
