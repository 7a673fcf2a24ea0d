//! Learning, asked for and told over MQTT: `<prefix>/nodes/<node>/retrain` and, below it, `state`.

use serde::Serialize;
use tokio::sync::watch;

use super::client::{Outgoing, Publisher};
use super::topics;
use super::wire::{self, ErrorMessage};
use crate::config::Mqtt;
use crate::frame::ask::Reply;
use crate::frame::publish::Answers;
use crate::learn::job::{Ask, Learning, State};
use crate::ops::shutdown::Shutdown;

/// The state is told at most so often.
const EVERY: std::time::Duration = std::time::Duration::from_secs(1);
/// What a report has for people who look closer: it can be long.
const DETAILS: [&str; 3] = ["classes", "doubtful", "findings"];

/// Passes on what a message asks for, and its answer to where that is to go.
pub(super) fn asked(learning: &Learning, payload: &[u8], reply: Option<Reply>, answers: Answers) {
    let (ask, reply) = match Ask::parse(payload) {
        Ok(ask) => {
            let reply = reply.or_else(|| ask.reply_to.clone().map(Reply::to));
            (ask, reply)
        }
        Err(error) => return answer(&answers, reply, Err(error)),
    };
    learning.ask(ask, move |result| answer(&answers, reply, result));
}

fn answer(answers: &Answers, reply: Option<Reply>, result: Result<State, String>) {
    if let Err(error) = &result {
        tracing::warn!(error, "nothing is learnt");
    }
    let Some(reply) = reply else { return };
    answers.say(
        reply,
        match result {
            Ok(state) => wire::to_json(&Told::new(state)),
            Err(error) => wire::to_json(&ErrorMessage::new(None, &error)),
        },
    );
}

/// The state as it is told.
#[derive(Serialize)]
struct Told {
    v: u8,
    #[serde(flatten)]
    state: State,
}

impl Told {
    fn new(mut state: State) -> Self {
        let report = state.last.as_mut().and_then(|last| last.report.as_mut()?.as_object_mut());
        if let Some(report) = report {
            DETAILS.iter().for_each(|key| drop(report.remove(*key)));
        }
        Self { v: 1, state }
    }
}

/// Publishes the state as it changes, for the broker to keep.
pub async fn run(mut state: watch::Receiver<State>, publisher: Publisher, config: Mqtt, mut shutdown: Shutdown) {
    let topic = topics::retrain_state(&config.prefix, &config.node);
    loop {
        tokio::select! {
            () = shutdown.requested() => return,
            changed = state.changed() => if changed.is_err() { return },
        }
        let told = wire::to_json(&Told::new(state.borrow_and_update().clone()));
        let message =
            Outgoing { topic: topic.clone(), payload: told, qos: 1, retain: true, json: true, ..Outgoing::default() };
        if let Err(error) = publisher.publish(message) {
            tracing::debug!(%error, "what is being learnt was not published");
        }
        tokio::select! {
            () = shutdown.requested() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
