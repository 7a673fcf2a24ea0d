//! The configuration as the rest of the daemon sees it: checked, in the types that are used, one part a section.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::civil::Time;

use super::{BrokerUrl, CameraName, Crop, Secret};
use crate::model::Precision;

/// A complete, checked configuration. Hand each part of the daemon only its section.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The connection to the broker, and our names there.
    pub mqtt: Mqtt,
    /// Where frames come from. May be empty: then there are only requests.
    pub sources: Vec<Source>,
    /// Where models are.
    pub model: Model,
    /// Threads, queues and freshness.
    pub inference: Inference,
    /// Limits for images.
    pub decode: Decode,
    /// From scores to a result.
    pub classify: Classify,
    /// Where feedback is kept, and what is held for it.
    pub store: Store,
    /// Learning from feedback.
    pub learn: Learn,
    /// What Home Assistant is told.
    pub homeassistant: HomeAssistant,
    /// The HTTP server.
    pub http: Http,
    /// Logging.
    pub log: Log,
    /// The process itself.
    pub service: Service,
}

/// Section `[mqtt]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Mqtt {
    /// The broker.
    pub url: BrokerUrl,
    /// The version of MQTT to speak.
    pub protocol: Protocol,
    /// Never empty: `glanced-<node>` unless configured.
    pub client_id: String,
    /// Who logs in. Set if `password` is.
    pub username: Option<String>,
    /// The content of `password_file`.
    pub password: Option<Secret>,
    /// PEM file of the authorities to trust; the system's if `None`.
    pub ca_file: Option<PathBuf>,
    /// PEM file of the client's certificate. Set exactly if `key_file` is.
    pub cert_file: Option<PathBuf>,
    /// PEM file of the client's key.
    pub key_file: Option<PathBuf>,
    /// What all our topics begin with, without the slash after it.
    pub prefix: String,
    /// Our name, one topic level: the host name unless configured.
    pub node: String,
    /// The group of the shared subscription to requests, if it is to be one.
    pub request_group: Option<String>,
    /// The longest silence towards the broker.
    pub keep_alive: Duration,
    /// The largest packet in either direction, in bytes.
    pub max_packet_bytes: u32,
    /// Whether results are published retained.
    pub retain_results: bool,
    /// The interval of the statistics message.
    pub stats_every: Duration,
    /// The cap of the reconnect back-off.
    pub reconnect_max: Duration,
    /// Whether to run a broker in this process; then `url` is `mqtt://` on a loopback address.
    pub embedded_broker: bool,
}

/// A version of MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT 5.
    V5,
    /// MQTT 3.1.1.
    V311,
}

/// One `[[sources]]`: a topic filter, and what to do with the frames that come through it.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// A valid topic filter, without `$share`.
    pub topic: String,
    /// How the camera is named.
    pub camera: CameraName,
    /// How frames are encoded.
    pub encoding: Encoding,
    /// The part of the frame to look at; all of it if `None`.
    pub crop: Option<Crop>,
    /// The model to use; that of `[model]` if `None`.
    pub model: Option<String>,
    /// The group of the shared subscription, if it is to be one.
    pub shared_group: Option<String>,
    /// Whether retained frames count.
    pub allow_retained: bool,
    /// The quality of service to subscribe with: 0 or 1.
    pub qos: u8,
}

/// What a frame's payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Any of the others, told apart by its first bytes.
    Auto,
    /// The bytes of an image file.
    Raw,
    /// Base64 of the bytes.
    Base64,
    /// JSON with the base64 in its field `image`.
    Json,
}

/// Section `[model]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The folder of the models: `<dir>/<name>/<version>/`.
    pub dir: PathBuf,
    /// The model for sources that name none: one path component.
    pub name: String,
    /// ONNX Runtime's library; to be searched for if `None`.
    pub runtime: Option<PathBuf>,
    /// The folder for what is made from models, and remembered of this box; the usual one if `None`.
    pub cache: Option<PathBuf>,
}

/// Where an installed daemon keeps what can be made anew.
const CACHE_DIR: &str = "/var/cache/glanced";

impl Model {
    /// The folder for what is made from models: as configured, else the system's if that is there, else in the folder of the
    /// models if that is.
    #[must_use]
    pub fn cache_dir(&self) -> Option<PathBuf> {
        if self.cache.is_some() {
            return self.cache.clone();
        }
        let system = Path::new(CACHE_DIR);
        if system.is_dir() { Some(system.to_owned()) } else { self.dir.is_dir().then(|| self.dir.join(".cache")) }
    }
}

/// Section `[inference]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Inference {
    /// Sessions, each with a thread of its own: 1 to 64; chosen by the cores if `None`.
    pub workers: Option<usize>,
    /// Threads inside a session: 1 to 64; chosen by the cores if `None`.
    pub threads_per_worker: Option<usize>,
    /// What networks compute with; whichever is quicker if `None`.
    pub precision: Option<Precision>,
    /// Whether threads that wait for work keep their core busy for a moment; as measured if `None`.
    pub spinning: Option<bool>,
    /// A frame older than this when its turn comes is dropped.
    pub max_age: Duration,
    /// The most cameras that have a slot.
    pub max_cameras: usize,
    /// The most bytes of frames that wait; at least `mqtt.max_packet_bytes`.
    pub queue_bytes: usize,
    /// The most requests that wait.
    pub request_queue: usize,
    /// Frames that need no look.
    pub repeats: Repeats,
}

/// The keys `repeats…` of `[inference]`: for which frames what was seen in one before stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Repeats {
    /// For those that are so like it.
    pub of: Repeating,
    /// For so long.
    pub max_age: Duration,
    /// What is alike differs by less than this, in steps of 255.
    pub alike_below: f32,
}

/// Which frames repeat one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeating {
    /// None.
    Off,
    /// The same image.
    Identical,
    /// That, and those that hardly differ.
    Alike,
}

/// Section `[decode]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Decode {
    /// The largest encoded image, in bytes.
    pub max_bytes: usize,
    /// The largest decoded image, in pixels.
    pub max_pixels: u64,
    /// The least pixels of a decoded frame for one of the resized frame, 1 to 8; as measured, or usual, if `None`.
    pub oversample: Option<f32>,
}

/// Which views of a frame a model sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looking {
    /// The set of this name, one of [`Views::NAMES`](crate::classify::views::Views::NAMES).
    Always(&'static str),
    /// As many as the frame is worth.
    Dynamic,
}

/// Section `[classify]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Classify {
    /// Which views of a frame the model sees.
    pub views: Looking,
    /// With dynamic views, the most views a frame, in the mean.
    pub views_budget: f32,
    /// Likely classes lift those like them, if the model has a prior that helps.
    pub prior: bool,
    /// The half-life of the mean over a camera's last frames, in seconds; 0 is no mean.
    pub temporal_half_life_s: f32,
    /// A best score under this, 0 to 1, is "unknown"; 0 is the model's own threshold.
    pub unknown_below: f32,
}

/// Section `[store]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    /// The folder; where the system keeps such things if `None`.
    pub dir: Option<PathBuf>,
    /// The most that feedback may take on disk, in bytes.
    pub max_bytes: u64,
    /// Labelled frames may go without having been exported, when nothing else is left to go.
    pub drop_labelled: bool,
    /// Memory for pictures of frames that feedback may still come for, in bytes.
    pub hold_bytes: usize,
    /// The age at which such a picture goes.
    pub hold: Duration,
    /// What is kept without having been asked for.
    pub collect: Collect,
}

/// The keys `collect…` of `[store]`: which frames are kept until someone says what they show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Collect {
    /// Whether any are.
    pub on: bool,
    /// The best score is less than this above the second, 0 to 1; 0 is off.
    pub margin_below: f32,
    /// Two pictures are alike if fewer of their hashes' 64 bits differ: 1 to 32.
    pub unlike: u32,
    /// The most a day of one camera.
    pub per_day: usize,
    /// Of those, the first so many may be frames that the model was sure of.
    pub sure_per_day: usize,
    /// The most a day of all cameras together.
    pub per_day_in_all: u64,
}

/// Section `[learn]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Learn {
    /// Once a night, by itself.
    pub auto: bool,
    /// From this hour, local time, …
    pub quiet_from: Time,
    /// … to this one.
    pub quiet_until: Time,
    /// If so many frames were labelled since the last time.
    pub min_new: u64,
    /// What is better for certain is put in use at once.
    pub promote: bool,
}

/// Section `[homeassistant]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HomeAssistant {
    /// Whether it is told of cameras and node.
    pub discovery: bool,
    /// What its own topics begin with, without the slash after it.
    pub prefix: String,
    /// The least time between two states of a camera whose class stays.
    pub every: Duration,
    /// Whether pictures are published.
    pub images: bool,
    /// A camera of which nothing was seen for so long is gone.
    pub forget_after: Duration,
}

/// Where an installed daemon keeps what must last.
const STATE_DIR: &str = "/var/lib/glanced";

impl Store {
    /// The folder: as configured, else below the system's if the package made that, else below the current one.
    #[must_use]
    pub fn resolved_dir(&self) -> PathBuf {
        if let Some(dir) = &self.dir {
            return dir.clone();
        }
        let state = Path::new(STATE_DIR);
        if state.is_dir() { state.join("feedback") } else { PathBuf::from("feedback") }
    }
}

/// Section `[http]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Where to listen; nowhere if `None`.
    pub listen: Option<SocketAddr>,
    /// The content of `token_file`: at least 16 visible ASCII characters. Set if `listen` is not a loopback address.
    pub token: Option<Secret>,
}

/// Section `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// A directive for tracing's `EnvFilter`.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Section `[service]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The deadline of a clean stop.
    pub stop_within: Duration,
}
