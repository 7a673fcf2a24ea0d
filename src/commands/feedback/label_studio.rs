//! Label Studio's task format: JSON, with what the model saw as predictions and what was said as annotations.
//!
//! The pictures lie in `images/`; the tasks name them for Label Studio's local files, with the export's folder as
//! `LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT`. The labelling interface is `<Choices name="label" toName="image">`.

use serde::Serialize;
use serde_json::{Value, json};

use super::manifest::Line;
use crate::feedback::record::{ModelRef, Predicted, extension};

/// The file's name in an export.
pub(super) const FILE: &str = "tasks.json";

/// Where the picture of a frame goes.
pub(super) fn file(line: &Line) -> Option<String> {
    line.blob.map(|blob| format!("images/{}.{}", line.frame, extension(blob.format)))
}

#[derive(Serialize)]
struct Task {
    data: Value,
    predictions: Vec<Value>,
    annotations: Vec<Value>,
}

/// One frame.
pub(super) fn task(line: &Line) -> Value {
    let first = line.feedback.first().map(|opinion| &opinion.feedback.sighting);
    let sighting = line.collected.as_ref().map(|collected| &collected.sighting).or(first);
    let collected = line.collected.as_ref();
    let image = file(line).map(|file| format!("/data/local-files/?d={file}"));
    let data = json!({
        "image": image,
        "frame": line.frame,
        "camera": sighting.and_then(|sighting| sighting.camera.as_deref()),
        "captured_at": sighting.and_then(|sighting| sighting.captured_at),
        "received_at": sighting.and_then(|sighting| sighting.received_at),
        "crop": sighting.and_then(|sighting| sighting.crop),
        "reason": collected.map(|collected| &collected.reason),
        "margin": collected.and_then(|collected| collected.margin),
    });
    let predictions = sighting.map_or_else(Vec::new, |sighting| {
        sighting.predicted.iter().map(|seen| prediction(&sighting.model, seen)).collect()
    });
    let standing = line.feedback.iter().filter(|opinion| opinion.standing()).map(|opinion| &opinion.feedback);
    let annotations = standing.map(|said| {
        json!({
            "result": [choice(said.statement.label())],
            "created_at": said.at,
            "meta": {"feedback": said.id, "by": said.by},
        })
    });
    json!(Task { data, predictions, annotations: annotations.collect() })
}

fn prediction(model: &ModelRef, seen: &Predicted) -> Value {
    let version = format!("{} {}", model.name, model.version);
    json!({"model_version": version, "score": seen.score, "result": [choice(&seen.label)]})
}

fn choice(label: &str) -> Value {
    json!({"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": [label]}})
}
