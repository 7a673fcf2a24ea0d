//! `glanced feedback add`

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;
use ulid::Ulid;

use super::{Failure, folder};
use crate::cli::FeedbackAdd;
use crate::config::{Config, Mqtt, Protocol};
use crate::feedback::message;
use crate::feedback::record::{ModelRef, Sighting, Statement, Via};
use crate::feedback::store::{Item, NewFeedback, Picture};
use crate::feedback::view::FrameRecord;
use crate::feedback::{Receipt, Store, StoreError};
use crate::frame::next_id;
use crate::model::Bundle;
use crate::mqtt::peer::Peer;
use crate::mqtt::topics;

#[derive(Serialize)]
struct Answer {
    feedback: Option<Ulid>,
    stored: bool,
    new_class: bool,
    #[serde(skip)]
    known: bool,
}

pub(super) fn add(args: &FeedbackAdd, config: &Config) -> Result<(), Failure> {
    let picture = picture(args, config)?;
    if picture.is_none() {
        super::must_exist(&config.store.resolved_dir())?;
    }
    let (answer, label) = match super::open_unless_taken(&config.store)? {
        Ok(store) => {
            let (answer, label) = store_it(args, config, &store, picture)?;
            (answer, Some(label))
        }
        Err(taken) => (hand_over(args, config, picture.as_ref(), &taken)?, args.label.clone()),
    };
    if args.json {
        return super::super::print_json(&answer);
    }
    let class = if answer.new_class { " (a new class)" } else { "" };
    let said = label.map_or_else(|| "what was said".to_owned(), |label| super::shown(&label));
    let word = if answer.known { "known already" } else { "stored" };
    super::super::print(&format!("frame {}: {said}{class}, {word}\n", args.frame))
}

/// Puts it into the store, which no daemon has. Returns the label, too.
fn store_it(
    args: &FeedbackAdd,
    config: &Config,
    store: &Store,
    picture: Option<Picture>,
) -> Result<(Answer, String), Failure> {
    let sighting = sighting(args, config, store)?;
    let bundle = super::bundle(config, &sighting.model.name)?;
    let statement = statement(args, &sighting, &bundle)?;
    let new_class = statement.new_class();
    let label = statement.label().to_owned();
    let feedback = NewFeedback {
        id: None,
        frame: args.frame,
        sender_id: args.id.clone(),
        by: args.by.clone(),
        at: Timestamp::now(),
        via: Via::Cli,
        statement,
        sighting: Some(sighting),
        picture,
        imported_at: None,
    };
    let receipts = store.add(vec![Item::Feedback(Box::new(feedback))]).map_err(super::failure)?;
    let (feedback, known) = match receipts[..] {
        [Receipt::Stored { feedback }] => (feedback, false),
        [Receipt::Known { feedback }] => (feedback, true),
        [Receipt::Refused(refusal)] => return Err(anyhow!("{refusal}").into()),
        _ => return Err(anyhow!("the store gave no receipt").into()),
    };
    Ok((Answer { feedback, stored: true, new_class, known }, label))
}

/// Tells the daemon that has the store, over MQTT, and waits for its answer.
fn hand_over(
    args: &FeedbackAdd,
    config: &Config,
    picture: Option<&Picture>,
    taken: &StoreError,
) -> Result<Answer, Failure> {
    let message = told(args, picture);
    let answer = super::super::runtime()?.block_on(tell_daemon(&config.mqtt, &message));
    answer.map_err(|error| anyhow!("{taken}, and it could not be told: {error:#}").into())
}

async fn tell_daemon(mqtt: &Mqtt, message: &serde_json::Value) -> anyhow::Result<Answer> {
    /// A daemon whose disk is full answers when there is room again: that is for a person to look into.
    const PATIENCE: Duration = Duration::from_secs(10);
    /// Several nodes may hear it, and those that never saw the frame refuse at once.
    const OTHERS: Duration = Duration::from_secs(1);
    if mqtt.protocol != Protocol::V5 {
        bail!("with MQTT 3.1.1 there are no answers; stop the daemon first (systemctl stop glanced)");
    }
    let answers = format!("{}/answers/{}", mqtt.prefix, next_id());
    let mut peer = Peer::connect(mqtt, &format!("add-{}", std::process::id()), Some(&answers), 64).await?;
    peer.ask(&topics::feedback(&mqtt.prefix), message.to_string().into_bytes(), &answers)?;
    let mut deadline = Instant::now() + PATIENCE;
    let mut refused = None;
    loop {
        let payload = match tokio::time::timeout_at(deadline, peer.next()).await {
            Ok(Some((_, payload))) => payload,
            Ok(None) => bail!("the connection to the MQTT broker was lost before the answer came"),
            Err(_) => match refused {
                Some(error) => bail!("it was refused: {error}"),
                None => bail!("no answer within {} s; it is stored later if it can be", PATIENCE.as_secs()),
            },
        };
        match serde_json::from_slice(&payload).context("an answer that can't be read")? {
            message::Answer::Stored { feedback, stored, new_class } => {
                return Ok(Answer { feedback: Some(feedback), stored, new_class, known: false });
            }
            message::Answer::Refused { error, .. } | message::Answer::Elsewhere { error, .. } => refused = Some(error),
        }
        deadline = deadline.min(Instant::now() + OTHERS);
    }
}

fn picture(args: &FeedbackAdd, config: &Config) -> Result<Option<Picture>, Failure> {
    let Some(file) = &args.image else { return Ok(None) };
    Ok(Some(folder::picture(file, config).with_context(|| file.display().to_string())?))
}

/// What is known of the frame: by the store, else by whoever sends its picture.
fn sighting(args: &FeedbackAdd, config: &Config, store: &Store) -> Result<Sighting, Failure> {
    let record = store.view().frame(args.frame).map_err(super::failure)?;
    if let Some(known) = record.as_ref().and_then(FrameRecord::sighting) {
        return Ok(known.clone());
    }
    if args.image.is_none() {
        return Err(anyhow!(
            "frame {} is not in the store: give its picture with --image FILE and --camera CAMERA",
            args.frame
        )
        .into());
    }
    let bundle = super::bundle(config, &config.model.name)?;
    Ok(Sighting::unseen(args.camera.clone(), ModelRef::from(&bundle)))
}

fn statement(args: &FeedbackAdd, sighting: &Sighting, bundle: &Bundle) -> Result<Statement, Failure> {
    if let Some(label) = &args.label {
        if label.trim().is_empty() {
            return Err(anyhow!("the label is empty").into());
        }
        return Ok(folder::statement(&bundle.labels, label.trim()));
    }
    if let Some(class) = args.class {
        let Some(known) = bundle.labels.get(class) else {
            let last = bundle.labels.len().saturating_sub(1);
            return Err(anyhow!("model {} has no class {class}: they are 0 to {last}", bundle.name).into());
        };
        return Ok(Statement::Class { class, label: known.en.clone() });
    }
    let seen = sighting.predicted.first().with_context(|| {
        format!("what was seen on frame {} is not known: say it with --label or --class", args.frame)
    })?;
    Ok(Statement::Correct { class: seen.class, label: seen.label.clone() })
}

/// What a running daemon is told.
fn told(args: &FeedbackAdd, picture: Option<&Picture>) -> serde_json::Value {
    let mut message = json!({"frame": args.frame});
    let fields = [
        ("label", args.label.as_ref().map(|label| json!(label))),
        ("class", args.class.map(|class| json!(class))),
        ("verdict", args.correct.then(|| json!("correct"))),
        ("by", args.by.as_ref().map(|by| json!(by))),
        ("id", args.id.as_ref().map(|id| json!(id))),
        ("camera", args.camera.as_ref().map(|camera| json!(camera))),
        ("image", picture.map(|picture| json!(STANDARD.encode(picture.bytes())))),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            message[name] = value;
        }
    }
    message
}
