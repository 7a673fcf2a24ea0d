//! Another version of a model put in use over MQTT: `<prefix>/nodes/<node>/promote`.

use serde::{Deserialize, Serialize};

use super::wire::{self, ErrorMessage};
use crate::frame::ask::Reply;
use crate::frame::publish::Answers;
use crate::learn::job;
use crate::model::{Registry, RegistryError};

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    /// The model; that of `model.name` if none is named.
    model: Option<String>,
    /// The version; the one that waits if none is named.
    version: Option<String>,
    /// Where the answer goes, for those who can't say it otherwise.
    reply_to: Option<String>,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Done<'a> {
    v: u8,
    model: &'a str,
    version: &'a str,
}

/// Does what a message asks for, and has the answer sent to where that is to go. Opening a version takes a moment: not on the
/// connection's own task.
pub(super) fn asked(registry: &Registry, default: &str, payload: &[u8], reply: Option<Reply>, answers: Answers) {
    let ask: Ask = match job::parse(payload) {
        Ok(ask) => ask,
        Err(error) => return answer(&answers, reply, Err(error)),
    };
    let reply = reply.or_else(|| ask.reply_to.clone().map(Reply::to));
    let (registry, model) = (registry.clone(), ask.model.unwrap_or_else(|| default.to_owned()));
    tokio::task::spawn_blocking(move || {
        let done = promote(&registry, &model, ask.version);
        answer(&answers, reply, done.map(|version| (model, version)));
    });
}

fn promote(registry: &Registry, model: &str, version: Option<String>) -> Result<String, String> {
    let text = |error: RegistryError| error.to_string();
    // A name from outside is only looked up among those there are: it becomes a part of a path.
    if !registry.names().iter().any(|name| name == model) {
        return Err(registry.not_found(model).to_string());
    }
    let version = match version {
        Some(version) => version,
        None => registry.waiting(model).map_err(text)?.ok_or(format!("no version of model {model:?} waits"))?.version,
    };
    let current = registry.promote(model, &version).map_err(text)?;
    tracing::info!(model, version = current.version, "asked over MQTT to put a version in use");
    Ok(current.version)
}

fn answer(answers: &Answers, reply: Option<Reply>, done: Result<(String, String), String>) {
    if let Err(error) = &done {
        tracing::warn!(error, "no other version is put in use");
    }
    let Some(reply) = reply else { return };
    answers.say(
        reply,
        match &done {
            Ok((model, version)) => wire::to_json(&Done { v: wire::VERSION, model, version }),
            Err(error) => wire::to_json(&ErrorMessage::new(None, error)),
        },
    );
}
