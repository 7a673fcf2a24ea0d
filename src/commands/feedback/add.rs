//! `glanced feedback add`

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use ulid::Ulid;

use super::{Failure, folder, import};
use crate::cli::FeedbackAdd;
use crate::config::Config;
use crate::feedback::record::{ModelRef, Sighting, Statement, Via};
use crate::feedback::store::{Item, NewFeedback, Picture};
use crate::feedback::{Receipt, Store};
use crate::frame::decode::{describe, sniff};
use crate::model::Bundle;

#[derive(Serialize)]
struct Answer {
    feedback: Option<Ulid>,
    stored: bool,
    new_class: bool,
}

pub(super) fn add(args: &FeedbackAdd, config: &Config) -> Result<(), Failure> {
    let picture = picture(args, config)?;
    if picture.is_none() {
        super::must_exist(&config.store.resolved_dir())?;
    }
    let store = super::open(&config.store, &instead(args, config, picture.as_ref()), |_| {})?;
    let sighting = sighting(args, config, &store)?;
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
    let (feedback, word) = match receipts[..] {
        [Receipt::Stored { feedback }] => (feedback, "stored"),
        [Receipt::Known { feedback }] => (feedback, "known already"),
        [Receipt::Refused(refusal)] => return Err(anyhow!("{refusal}").into()),
        _ => return Err(anyhow!("the store gave no receipt").into()),
    };
    if args.json {
        return super::super::print_json(&Answer { feedback, stored: true, new_class });
    }
    let class = if new_class { " (a new class)" } else { "" };
    super::super::print(&format!("frame {}: {}{class}, {word}\n", args.frame, super::shown(&label)))
}

fn picture(args: &FeedbackAdd, config: &Config) -> Result<Option<Picture>, Failure> {
    let Some(file) = &args.image else { return Ok(None) };
    let bytes = import::read(file, config).with_context(|| file.display().to_string())?;
    let format = sniff(&bytes)
        .ok_or_else(|| anyhow!("{}: not an image that is read here: {}", file.display(), describe(&bytes)))?;
    Ok(Some(Picture { bytes, format }))
}

/// What is known of the frame: by the store, else by whoever sends its picture.
fn sighting(args: &FeedbackAdd, config: &Config, store: &Store) -> Result<Sighting, Failure> {
    if let Some(record) = store.view().frame(args.frame).map_err(super::failure)? {
        let first = record.feedback.into_iter().next().map(|said| said.feedback.sighting);
        if let Some(known) = record.collected.map(|collected| collected.sighting).or(first) {
            return Ok(known);
        }
    }
    if args.image.is_none() {
        return Err(anyhow!(
            "frame {} is not in the store: give its picture with --image FILE and --camera CAMERA",
            args.frame
        )
        .into());
    }
    let bundle = super::bundle(config, &config.model.name)?;
    let model = ModelRef { name: bundle.name, version: bundle.version };
    Ok(Sighting {
        camera: args.camera.clone(),
        crop: None,
        model,
        predicted: Vec::new(),
        captured_at: None,
        received_at: None,
    })
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

/// How to tell a running daemon the same.
fn instead(args: &FeedbackAdd, config: &Config, picture: Option<&Picture>) -> String {
    let mut message = json!({"frame": args.frame});
    let fields = [
        ("label", args.label.as_ref().map(|label| json!(label))),
        ("class", args.class.map(|class| json!(class))),
        ("verdict", args.correct.then(|| json!("correct"))),
        ("by", args.by.as_ref().map(|by| json!(by))),
        ("id", args.id.as_ref().map(|id| json!(id))),
        ("camera", args.camera.as_ref().map(|camera| json!(camera))),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            message[name] = value;
        }
    }
    // A shell ends the quoted text with a quote, JSON can do without.
    let topic = format!("{}/feedback", config.mqtt.prefix).replace('\'', "'\\''");
    let quoted = |message: &serde_json::Value| message.to_string().replace('\'', "\\u0027");
    let send = |how: &str| format!("mosquitto_pub -q 1 -t '{topic}' {how}");
    let Some(picture) = picture else {
        return format!("Send it to the daemon instead:\n  {}", send(&format!("-m '{}'", quoted(&message))));
    };
    // Too long for a command line in general.
    let length = picture.bytes.len().div_ceil(3) * 4;
    message["image"] = json!("BASE64");
    format!(
        "Send it to the daemon instead, with the picture's base64 ({length} characters) for BASE64:\n  {}\n  {}",
        quoted(&message),
        send("-s < message.json")
    )
}
