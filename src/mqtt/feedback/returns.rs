//! What goes back: acknowledgements first, then answers.
//!
//! Both wait here and not in the client library, whose one queue would make acknowledgements wait behind answers. Answers
//! go out at quality of service 0: at 1 the library sends nothing at all, acknowledgements neither, while the broker owes it
//! too many of its own. A sender that misses its answer sends again, with its own id.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::Serialize;

use super::session::{Delivery, Session, Ticket};
use crate::feedback::message::Answer;
use crate::frame::ask::Reply;
use crate::mqtt::ReplyGuard;
use crate::mqtt::client::{Outgoing, Publisher};
use crate::mqtt::subscription::Subscription;
use crate::mqtt::wire;
use crate::ops::metrics::Metrics;
use crate::ops::telemetry::Throttle;

/// Answers that may wait, bytes: those to thousands of messages.
const ANSWERS: usize = 1 << 20;
/// What an answer costs beside its content.
const OVERHEAD: usize = 128;

/// A message that was stored, or refused for good.
#[derive(Debug)]
pub(super) struct Finished {
    /// To be acknowledged, if its sender asked for that.
    pub(super) ticket: Option<Ticket>,
    /// Where its sender wants the answer.
    pub(super) to: Option<Reply>,
    pub(super) answer: Answer,
}

/// An answer as it is sent: where several nodes hear one message, it matters whose it is.
#[derive(Serialize)]
struct Signed<'a> {
    #[serde(flatten)]
    answer: &'a Answer,
    node: &'a str,
}

/// Acknowledgements and answers on their way to the broker.
pub(super) struct Returns {
    node: String,
    publisher: Publisher,
    guard: ReplyGuard,
    metrics: Arc<Metrics>,
    throttle: Arc<Throttle>,
    session: Session,
    connected: bool,
    acknowledgements: VecDeque<u16>,
    answers: VecDeque<Outgoing>,
    /// Of the answers.
    bytes: usize,
    /// Answers not sent since the log last said so.
    unsent: u64,
}

impl Returns {
    pub(super) fn new(
        node: String,
        publisher: Publisher,
        guard: ReplyGuard,
        metrics: Arc<Metrics>,
        throttle: Arc<Throttle>,
    ) -> Self {
        Self {
            node,
            publisher,
            guard,
            metrics,
            throttle,
            session: Session::default(),
            connected: false,
            acknowledgements: VecDeque::new(),
            answers: VecDeque::new(),
            bytes: 0,
            unsent: 0,
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    /// A connection is made; `kept` if the broker has the session of the last one.
    pub(super) fn connected(&mut self, kept: bool, wanted: &Subscription) {
        self.session.connected(kept);
        self.connected = true;
        if let Err(error) = self.publisher.subscribe(wanted) {
            tracing::error!(filter = wanted.filter, %error, "could not subscribe");
        }
    }

    /// The connection is gone, and with it what was to be acknowledged over it.
    pub(super) fn lost(&mut self) {
        self.session.lost();
        self.connected = false;
        self.acknowledgements.clear();
    }

    /// A message of the session has come. Returns its ticket if it is to be taken.
    pub(super) fn delivered(&mut self, packet: u16, again: bool) -> Option<Ticket> {
        match self.session.delivered(packet, again) {
            Delivery::New(ticket) => return Some(ticket),
            Delivery::InHand => {}
            Delivery::Finished => self.acknowledgements.push_back(packet),
        }
        None
    }

    /// A message was not taken after all.
    pub(super) fn passed_over(&mut self, ticket: Ticket) {
        self.session.passed_over(ticket);
    }

    /// A message is to be acknowledged without being taken.
    pub(super) fn dismiss(&mut self, ticket: Ticket) {
        self.acknowledgements.extend(self.session.finished(ticket));
    }

    /// A message is done with.
    pub(super) fn finish(&mut self, finished: Finished) {
        let Finished { ticket, to, answer } = finished;
        if let Some(ticket) = ticket {
            self.dismiss(ticket);
        }
        match (to, answer) {
            // Two answers to one question would be one too many.
            (_, Answer::Elsewhere { .. }) => {}
            (Some(to), answer) => self.answer(to, &answer),
            (None, Answer::Refused { error, .. }) => {
                if self.throttle.allows("/feedback/refused") {
                    tracing::warn!(error, "feedback was refused, and its sender wants no answer (said once a minute)");
                } else {
                    self.metrics.muted.inc();
                }
            }
            (None, Answer::Stored { .. }) => {}
        }
        self.hand_over();
    }

    /// The acknowledgement was sent.
    pub(super) fn acknowledged(&mut self, packet: u16) {
        self.session.acknowledged(packet);
    }

    /// Hands over what the library has room for. Returns whether that was all.
    pub(super) fn hand_over(&mut self) -> bool {
        if !self.connected {
            return false;
        }
        while let Some(packet) = self.acknowledgements.front() {
            if self.publisher.acknowledge(*packet).is_err() {
                return false;
            }
            self.acknowledgements.pop_front();
        }
        while let Some(answer) = self.answers.front() {
            if self.publisher.publish(answer.clone()).is_err() {
                return false;
            }
            self.bytes -= size(answer);
            self.answers.pop_front();
        }
        true
    }

    fn answer(&mut self, to: Reply, answer: &Answer) {
        let Reply { topic, correlation } = to;
        if let Err(error) = self.guard.check(&topic) {
            return self.unsent(&error);
        }
        let payload = wire::to_json(&Signed { answer, node: &self.node });
        let message = Outgoing { topic, payload, json: true, correlation, ..Outgoing::default() };
        if self.bytes + size(&message) > ANSWERS {
            return self.unsent("too many answers wait to be sent to the MQTT broker");
        }
        self.bytes += size(&message);
        self.answers.push_back(message);
    }

    fn unsent(&mut self, error: &str) {
        self.unsent += 1;
        if self.throttle.allows("/feedback/unsent") {
            let answers = std::mem::take(&mut self.unsent);
            tracing::warn!(error, answers, "answers to feedback were not sent (said at most once a minute)");
        } else {
            self.metrics.muted.inc();
        }
    }
}

fn size(answer: &Outgoing) -> usize {
    answer.topic.len() + answer.payload.len() + answer.correlation.as_ref().map_or(0, |data| data.len()) + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::Router;
    use crate::mqtt::client;
    use crate::mqtt::events::Events;
    use crate::mqtt::options::Purpose;

    fn returns(room: usize) -> (Returns, Events) {
        let config = crate::config::parse_str("").unwrap().config;
        let (publisher, events) = client::open(&config.mqtt, Purpose::Feedback, room).unwrap();
        let guard = ReplyGuard::new(&Router::new(&config, |_| 0));
        let metrics = Arc::new(Metrics::new(std::iter::empty()));
        (Returns::new(config.mqtt.node, publisher, guard, metrics, Arc::new(Throttle::default())), events)
    }

    fn finished(ticket: Option<Ticket>, topic: String) -> Finished {
        Finished { ticket, to: Some(Reply::to(topic)), answer: Answer::refused("for a test") }
    }

    #[test]
    fn acknowledgements_pass_answers() {
        let (mut returns, _events) = returns(3);
        let subscription = Subscription { filter: "f".into(), qos: 1, id: 1, retained: false };
        let tickets: Vec<_> = (1..=3).map(|packet| returns.delivered(packet, false)).collect();
        for ticket in tickets {
            returns.finish(finished(ticket, "me/answers".into()));
        }
        // The subscription takes one of three places.
        returns.connected(true, &subscription);
        assert!(!returns.hand_over());
        assert_eq!((returns.acknowledgements.len(), returns.answers.len()), (1, 3));
    }

    #[test]
    fn answers_are_bounded_and_what_is_not_sent_is_said_once() {
        let (mut returns, _events) = returns(1);
        let each = 10_000;
        for _ in 0..1000 {
            returns.finish(finished(None, "x".repeat(each)));
        }
        assert!(returns.answers.len() <= ANSWERS / each && returns.bytes <= ANSWERS);
        let refused = 1000 - returns.answers.len() as u64;
        // The first of them was told to the log.
        assert_eq!((returns.unsent, returns.metrics.muted.get()), (refused - 1, refused - 1));
        returns.finish(finished(None, "glanced/feedback".into()));
        assert_eq!(returns.unsent, refused, "one that would be feedback again");
    }
}
