//! The JSON of the MQTT contract, version 1.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use ulid::Ulid;
use utoipa::ToSchema;

use crate::frame::glance::{Glance, Took};
use crate::model::{Bundle, Label};

/// The version of the contract.
pub(super) const VERSION: u8 = 1;

/// What was seen in one frame, as it is published.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResultMessage<'a> {
    v: u8,
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String)]
    frame: Ulid,
    /// The frame that was looked at, if this one looks the same and was not.
    #[serde(serialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    repeat_of: Option<Ulid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    camera: Option<&'a str>,
    node: &'a str,
    #[serde(serialize_with = "optional_millis")]
    #[schema(value_type = Option<String>, format = DateTime)]
    captured_at: Option<Timestamp>,
    #[serde(serialize_with = "millis")]
    #[schema(value_type = String, format = DateTime)]
    received_at: Timestamp,
    age_ms: f64,
    model: ModelName<'a>,
    #[schema(value_type = Vec<Entry>)]
    top3: Top3<'a>,
    unknown: bool,
    views: u32,
    ms: StepTimes,
    dropped: u64,
}

/// Which model looked.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelName<'a> {
    name: &'a str,
    version: &'a str,
}

/// The best classes, best first: up to three.
#[derive(Debug)]
pub struct Top3<'a>([Option<Entry<'a>>; 3]);

impl Serialize for Top3<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().flatten())
    }
}

/// One of the best classes.
#[derive(Debug, Serialize, ToSchema)]
pub struct Entry<'a> {
    rank: usize,
    class: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    label: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label_zh: Option<&'a str>,
    score: f64,
}

/// Milliseconds that each step took.
#[derive(Debug, Serialize, ToSchema)]
pub struct StepTimes {
    /// Waiting for its turn; only a frame or a request waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<f64>,
    decode: f64,
    infer: f64,
    post: f64,
}

/// What a result says besides what was seen.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The frame's id.
    pub frame: Ulid,
    /// That of the frame that it repeats, if it does.
    pub repeat_of: Option<Ulid>,
    /// The requester's id, if it was a request that had one.
    pub id: Option<&'a str>,
    /// The camera, unless it was a request.
    pub camera: Option<&'a str>,
    /// This node.
    pub node: &'a str,
    /// When the picture was taken, if the sender said so.
    pub captured_at: Option<Timestamp>,
    /// When it was received.
    pub received_at: Timestamp,
    /// From receipt until now.
    pub age: std::time::Duration,
    /// From receipt until its turn.
    pub queue: std::time::Duration,
    /// Frames of this camera replaced since its last result.
    pub dropped: u64,
}

impl<'a> ResultMessage<'a> {
    /// Puts together what was seen by the model of `bundle`.
    #[must_use]
    pub fn new(about: About<'a>, glance: &Glance, bundle: &'a Bundle) -> Self {
        Self {
            v: VERSION,
            frame: about.frame,
            repeat_of: about.repeat_of,
            id: about.id,
            camera: about.camera,
            node: about.node,
            captured_at: about.captured_at,
            received_at: about.received_at,
            age_ms: tenths(about.age),
            model: ModelName { name: &bundle.name, version: &bundle.version },
            top3: entries(glance, bundle),
            unknown: glance.unknown,
            views: glance.views,
            ms: StepTimes { queue: Some(tenths(about.queue)), ..StepTimes::new(&glance.took) },
            dropped: about.dropped,
        }
    }
}

impl StepTimes {
    /// Of an image that did not wait.
    #[must_use]
    pub fn new(took: &Took) -> Self {
        Self { queue: None, decode: tenths(took.decode), infer: tenths(took.infer), post: tenths(took.post) }
    }
}

/// The best classes with their names.
#[must_use]
pub fn entries<'a>(glance: &Glance, bundle: &'a Bundle) -> Top3<'a> {
    const UNNAMED: &Label = &Label { id: None, en: String::new(), zh: None };
    let mut entries = [const { None }; 3];
    for (index, (ranked, entry)) in glance.top().iter().zip(&mut entries).enumerate() {
        let label = bundle.labels.get(ranked.class).unwrap_or(UNNAMED);
        *entry = Some(Entry {
            rank: index + 1,
            class: ranked.class,
            id: label.id.as_deref(),
            label: &label.en,
            label_zh: label.zh.as_deref(),
            // More digits than a calibrated probability has would only cost bytes.
            score: (f64::from(ranked.score) * 1e4).round() / 1e4,
        });
    }
    Top3(entries)
}

/// What a camera shows, for those who follow its class rather than its frames: `<prefix>/<camera>/state`.
#[derive(Debug, Serialize)]
pub struct StateMessage<'a> {
    /// The version of the contract.
    pub v: u8,
    /// The best class.
    pub label: &'a str,
    /// Its Chinese name, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_zh: Option<&'a str>,
    /// Its probability, 0 to 1.
    pub score: f64,
    /// The second class.
    pub second: Option<&'a str>,
    /// Its probability.
    pub second_score: Option<f64>,
    /// The third class.
    pub third: Option<&'a str>,
    /// Its probability.
    pub third_score: Option<f64>,
    /// The best class that was told before this one.
    pub previous: Option<&'a str>,
    /// When the frame was received that showed this one first.
    pub changed_at: Option<&'a str>,
    /// Whether the score is too low to mean anything.
    pub unknown: bool,
    /// The model that looked.
    pub model: &'a str,
    /// Its version.
    pub model_version: &'a str,
    /// The frame.
    #[serde(serialize_with = "as_text")]
    pub frame: Ulid,
    /// When it was received.
    pub received_at: &'a str,
}

/// The models of a node: `<prefix>/nodes/<node>/models`.
#[derive(Debug, Serialize)]
pub struct ModelsMessage<'a> {
    v: u8,
    models: &'a [ModelState],
}

impl<'a> ModelsMessage<'a> {
    /// Of these models.
    #[must_use]
    pub fn new(models: &'a [ModelState]) -> Self {
        Self { v: VERSION, models }
    }
}

/// A model of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelState {
    /// Its name.
    pub name: String,
    /// The version in use.
    pub version: String,
    /// A newer version that is better, and waits for somebody to put it in use.
    pub waiting: Option<String>,
    /// Why that is better.
    pub reason: Option<String>,
}

/// Why a request has no result.
#[derive(Debug, Serialize)]
pub struct ErrorMessage<'a> {
    v: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    error: &'a str,
}

impl<'a> ErrorMessage<'a> {
    /// An answer to the request with this id, if it had one.
    #[must_use]
    pub fn new(id: Option<&'a str>, error: &'a str) -> Self {
        Self { v: VERSION, id, error }
    }
}

/// Counters since the start, on `<prefix>/nodes/<node>/stats`.
#[derive(Debug, Serialize)]
pub struct StatsMessage<'a> {
    v: u8,
    node: &'a str,
    version: &'static str,
    #[serde(serialize_with = "millis")]
    at: Timestamp,
    uptime_s: u64,
    /// Frames that arrived.
    pub received: u64,
    /// Results published, by model.
    pub models: Vec<ModelStats<'a>>,
    /// Frames without a result, by reason.
    pub dropped: std::collections::BTreeMap<&'static str, u64>,
    /// Frames that needed no look, by how like one before they were.
    pub repeats: std::collections::BTreeMap<&'static str, u64>,
    /// Requests, by outcome.
    pub requests: std::collections::BTreeMap<&'static str, u64>,
    /// Frames and requests that wait now.
    pub waiting: usize,
    /// Cameras seen.
    pub cameras: i64,
    /// Resident memory.
    pub rss_bytes: Option<u64>,
    /// Processor time used.
    pub cpu_s: f64,
}

/// One model's part of the stats.
#[derive(Debug, Serialize)]
pub struct ModelStats<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Results published.
    pub results: u64,
}

impl<'a> StatsMessage<'a> {
    /// Of this node, now, with all counters at zero.
    #[must_use]
    pub fn new(node: &'a str, uptime: std::time::Duration) -> Self {
        Self {
            v: VERSION,
            node,
            version: env!("CARGO_PKG_VERSION"),
            at: Timestamp::now(),
            uptime_s: uptime.as_secs(),
            received: 0,
            models: Vec::new(),
            dropped: Default::default(),
            repeats: Default::default(),
            requests: Default::default(),
            waiting: 0,
            cameras: 0,
            rss_bytes: None,
            cpu_s: 0.0,
        }
    }
}

/// JSON bytes of a message of this module.
#[must_use]
pub fn to_json(message: &impl Serialize) -> Vec<u8> {
    /// Room for a result with long names.
    const USUAL: usize = 1024;
    let mut json = Vec::with_capacity(USUAL);
    // Strings, finite numbers and string-keyed maps only: serde_json can't fail on these, nor can a Vec be full.
    let _infallible = serde_json::to_writer(&mut json, message);
    json
}

/// Milliseconds with one digit after the point.
fn tenths(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1e4).round() / 10.0
}

fn as_text<S: Serializer>(id: &Ulid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

fn optional_text<S: Serializer>(id: &Option<Ulid>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => as_text(id, serializer),
        None => serializer.serialize_none(),
    }
}

fn millis<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:.3}"))
}

fn optional_millis<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => millis(at, serializer),
        None => serializer.serialize_none(),
    }
}
