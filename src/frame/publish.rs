//! The last step: results to their camera's topic, answers to who asked.

use std::sync::Arc;
use std::time::Duration;

use super::ask::{Answer, Asker, Caller, Refusal, Reply, Request};
use super::payload::{self, ReturnAddress};
use crate::mqtt::ReplyGuard;
use crate::mqtt::topics;
use crate::mqtt::wire::{self, ErrorMessage, ResultMessage};
use crate::mqtt::{Outgoing, Publisher};
use crate::ops::metrics::{Drop, Metrics, RequestOutcome};
use crate::ops::telemetry::Throttle;

/// How results are published.
#[derive(Clone, Debug)]
pub struct Style {
    /// First level of every topic of ours.
    pub prefix: String,
    /// The broker keeps each camera's last result.
    pub retain: bool,
    /// A result older than this is of no use to anyone.
    pub expiry: Duration,
}

/// Publishes results of frames.
#[derive(Clone, Debug)]
pub struct Results {
    publisher: Publisher,
    style: Arc<Style>,
    metrics: Arc<Metrics>,
}

impl Results {
    /// Through this publisher.
    #[must_use]
    pub fn new(publisher: Publisher, style: Arc<Style>, metrics: Arc<Metrics>) -> Self {
        Self { publisher, style, metrics }
    }

    /// Publishes what a camera's frame showed, a result in JSON. What the connection does not take is counted as dropped.
    pub fn publish(&self, camera: &str, result: Vec<u8>) -> bool {
        let taken = self.publisher.publish(Outgoing {
            topic: topics::top3(&self.style.prefix, camera),
            payload: result,
            qos: 1,
            retain: self.style.retain,
            expiry: Some(self.style.expiry),
            json: true,
            ..Outgoing::default()
        });
        if let Err(error) = taken {
            self.metrics.count_drop(Drop::Unpublished);
            tracing::debug!(camera, %error, "a result was not published");
        }
        taken.is_ok()
    }
}

/// Answers requests.
#[derive(Clone, Debug)]
pub struct Answers {
    publisher: Publisher,
    guard: ReplyGuard,
    metrics: Arc<Metrics>,
    throttle: Arc<Throttle>,
}

impl Answers {
    /// Through this publisher, to where the guard allows.
    #[must_use]
    pub fn new(publisher: Publisher, guard: ReplyGuard, metrics: Arc<Metrics>, throttle: Arc<Throttle>) -> Self {
        Self { publisher, guard, metrics, throttle }
    }

    /// Answers with what was seen.
    pub fn answer(&self, reply: Reply, message: &ResultMessage<'_>) {
        self.send(reply, wire::to_json(message), RequestOutcome::Answered);
    }

    /// Answers with what is wrong, wherever the request wants its answer.
    pub fn refuse(&self, request: Request, refusal: Refusal) {
        let reply = match request.asker {
            Asker::Mqtt(reply) => reply,
            Asker::Caller(caller) => return self.hand_over(caller, Err(refusal)),
        };
        let ReturnAddress { id, reply_to } = payload::return_address(&request.payload);
        match reply.or_else(|| reply_to.map(Reply::to)) {
            Some(reply) => {
                let message = ErrorMessage::new(id.as_deref(), &refusal.message);
                self.send(reply, wire::to_json(&message), RequestOutcome::Refused);
            }
            None => self.unanswerable(&refusal.message),
        }
    }

    /// Answers somebody in this process.
    pub fn hand_over(&self, caller: Caller, answer: Result<Answer, Refusal>) {
        let outcome = if answer.is_ok() { RequestOutcome::Answered } else { RequestOutcome::Refused };
        // Whoever has asked may have gone.
        let given = caller.answer.send(answer);
        self.metrics.count_request(if given.is_ok() { outcome } else { RequestOutcome::Unanswerable });
    }

    /// Sends an answer to another kind of question.
    pub fn say(&self, reply: Reply, payload: Vec<u8>) {
        if let Err(error) = self.publish(reply, payload) {
            tracing::warn!(error, "an answer was not sent");
        }
    }

    /// A request that names no place for its answer can only be counted, and told to the log now and then.
    pub fn unanswerable(&self, error: &str) {
        self.metrics.count_request(RequestOutcome::Unanswerable);
        // No camera's name has a slash.
        if self.throttle.allows("/request") {
            tracing::warn!(error, "a request was not answered (said at most once a minute)");
        } else {
            self.metrics.muted.inc();
        }
    }

    fn send(&self, reply: Reply, payload: Vec<u8>, outcome: RequestOutcome) {
        match self.publish(reply, payload) {
            Ok(()) => self.metrics.count_request(outcome),
            Err(error) => self.unanswerable(&error),
        }
    }

    fn publish(&self, reply: Reply, payload: Vec<u8>) -> Result<(), String> {
        let Reply { topic, correlation } = reply;
        self.guard.check(&topic)?;
        let message = Outgoing { topic, payload, qos: 1, json: true, correlation, ..Outgoing::default() };
        self.publisher.publish(message).map_err(|error| error.to_string())
    }
}
