//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ulid::Ulid;

use crate::classify::views::Views;
use crate::config::Flag;
use crate::eval::dataset::Half;
use crate::eval::degrade::Degradation;
use crate::frame::steps::Looking;

/// Glances at camera frames on MQTT and says what it sees.
#[derive(Debug, Parser)]
#[command(name = "glanced", version, about, max_term_width = 120)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Settings that win over file and environment.
    #[command(flatten)]
    pub settings: Settings,
}

/// Settings that most commands understand.
#[derive(Args, Debug, Default)]
pub struct Settings {
    /// Configuration file [default: /etc/glanced/config.toml, if there]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The MQTT broker, mqtt://HOST:PORT or mqtts://HOST:PORT (mqtt.url)
    #[arg(long, global = true, value_name = "URL")]
    pub broker: Option<String>,
    /// The model to use (model.name)
    #[arg(long, global = true, value_name = "NAME")]
    pub model: Option<String>,
    /// The folder of the models (model.dir)
    #[arg(long, global = true, value_name = "DIR")]
    pub models: Option<String>,
    /// How much to log: off, error, warn, info, debug, trace (log.level)
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

impl Settings {
    /// The flags given, as configuration.
    #[must_use]
    pub fn flags(&self) -> Vec<Flag> {
        let given = [
            ("mqtt.url", &self.broker, "--broker"),
            ("model.name", &self.model, "--model"),
            ("model.dir", &self.models, "--models"),
            ("log.level", &self.log_level, "--log-level"),
        ];
        given.into_iter().filter_map(|(key, value, name)| Some(Flag { key, value: value.clone()?, name })).collect()
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve until stopped
    Run,
    /// Show it at work: a broker in this process, cameras that send photographs, and what is seen in them
    Demo(Demo),
    /// Say whether everything that `run` needs is there, and what is wrong if not
    Check(Check),
    /// Print the configuration: every key with its default
    Config(ConfigArgs),
    /// Classify image files, or all those in folders
    Classify(Classify),
    /// Measure how good the answers are, step by step, on pictures whose classes are known
    Eval(Eval),
    /// Fit the model's probabilities to pictures whose classes are known, and write a new version of it
    Calibrate(Calibrate),
    /// Write one HTML page that shows how good the answers are, for people
    Report(Report),
    /// Look into, fill and export what people said about frames
    Feedback(FeedbackArgs),
    /// Measure throughput, freshness and memory through a real broker
    Bench(Bench),
}

/// `glanced demo`
#[derive(Args, Debug)]
pub struct Demo {
    /// End after so many seconds
    #[arg(long, value_name = "N")]
    pub seconds: Option<u64>,
    /// Photographs to send
    #[arg(long, value_name = "DIR", default_value = "examples/frames")]
    pub frames: PathBuf,
    /// Frames a second of each camera
    #[arg(long, value_name = "N", default_value_t = 2.0, value_parser = per_second)]
    pub fps: f64,
}

/// `glanced check`
#[derive(Args, Debug)]
pub struct Check {
    /// Do not try the broker
    #[arg(long)]
    pub no_broker: bool,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `glanced config`
#[derive(Args, Debug)]
pub struct ConfigArgs {
    /// Print what is in force instead, and where each value comes from
    #[arg(long)]
    pub effective: bool,
    /// One JSON object on standard output (with --effective)
    #[arg(long, requires = "effective")]
    pub json: bool,
}

/// `glanced classify`
#[derive(Args, Debug)]
pub struct Classify {
    /// Image files, or folders with some
    #[arg(required = true, value_name = "FILE|DIR")]
    pub paths: Vec<PathBuf>,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `glanced eval`
#[derive(Args, Debug)]
pub struct Eval {
    /// Pictures in a folder for each class, named by label or synset; a folder in it is a sequence of one camera's frames
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Measure on degraded copies too: blur, tilt, dark, lowres, occlude, jpeg
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    pub degrade: Vec<Degradation>,
    /// The views to compare with the centre alone: a set's name, or dynamic [default: classify.views, if not center, or dynamic]
    #[arg(long, value_name = "NAME", value_parser = views_name)]
    pub views: Option<String>,
    /// Make a sequence of so many frames from each picture, and measure the mean over them
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub sequence: usize,
    /// Only one half of the pictures, 1 or 2: choose on one, report on the other
    #[arg(long, value_name = "HALF")]
    pub half: Option<Half>,
    /// What degradations are drawn by
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `glanced calibrate`
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("pictures").required(true))]
pub struct Calibrate {
    /// Pictures in a folder for each class, named by label or synset; folders in it are passed over
    #[arg(value_name = "DIR", group = "pictures")]
    pub dir: Option<PathBuf>,
    /// The labelled frames of the store instead
    #[arg(long, group = "pictures")]
    pub feedback: bool,
    /// Only one half of the pictures of DIR, 1 or 2: choose on one, report on the other
    #[arg(long, value_name = "HALF", conflicts_with = "feedback")]
    pub half: Option<Half>,
    /// Add degraded copies, so that poor frames are calibrated too: blur, tilt, dark, lowres, occlude, jpeg
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    pub degrade: Vec<Degradation>,
    /// What degradations are drawn by
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// The views to calibrate for: a set's name, or dynamic [default: classify.views]
    #[arg(long, value_name = "NAME", value_parser = views_name)]
    pub views: Option<String>,
    /// With --feedback: classes confirmed on one camera within so many seconds belong together
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub window: u64,
    /// Share of the answers that is to be right, 0 to 1: the least sure ones are to be "unknown"
    #[arg(long, value_name = "SHARE", default_value_t = 0.9, value_parser = share)]
    pub precision: f64,
    /// Write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `glanced report`
#[derive(Args, Debug)]
pub struct Report {
    /// Pictures in a folder for each class, named by label or synset
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// The page to write; it needs nothing beside it
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    pub out: PathBuf,
    /// What is looked at of each picture: a set's name, or dynamic [default: classify.views]
    #[arg(long, value_name = "NAME", value_parser = views_name)]
    pub views: Option<String>,
    /// Degrade each picture first: blur, tilt, dark, lowres, occlude or jpeg
    #[arg(long, value_name = "KIND")]
    pub degrade: Option<Degradation>,
    /// Only one half of the pictures, 1 or 2: choose on one, report on the other
    #[arg(long, value_name = "HALF")]
    pub half: Option<Half>,
    /// What the degradation and the map are drawn by
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// A part of a whole.
fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a number from 0 to 1 is needed".to_owned()),
    }
}

/// The name of a set of views, or "dynamic".
fn views_name(text: &str) -> Result<String, String> {
    let known = || Views::NAMES.iter().map(|(name, _)| *name).chain([Looking::DYNAMIC]);
    if known().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    Err(format!("the sets of views are {}", known().collect::<Vec<_>>().join(", ")))
}

/// `glanced feedback`
#[derive(Args, Debug)]
pub struct FeedbackArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub command: FeedbackCommand,
}

/// What to do with feedback.
#[derive(Debug, Subcommand)]
pub enum FeedbackCommand {
    /// Count what there is
    Stats(FeedbackStats),
    /// List statements, the newest first, or frames that wait for one
    List(FeedbackList),
    /// Say what a frame shows
    Add(FeedbackAdd),
    /// Write pictures and all that is known of them to a folder, or as a tar to standard output
    Export(FeedbackExport),
    /// Take in an export, or a folder with one folder of pictures for each label
    Import(FeedbackImport),
    /// Delete frames: their pictures, and what was said about them
    Remove(FeedbackRemove),
    /// Make the index again from the journal
    Rebuild(FeedbackRebuild),
}

/// `glanced feedback stats`
#[derive(Args, Debug)]
pub struct FeedbackStats {
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `glanced feedback list`
#[derive(Args, Debug)]
pub struct FeedbackList {
    /// Only those with this label
    #[arg(long, value_name = "LABEL", conflicts_with = "unlabelled")]
    pub label: Option<String>,
    /// Only those from this camera
    #[arg(long, value_name = "CAMERA")]
    pub camera: Option<String>,
    /// Frames that wait for a label instead, the oldest first
    #[arg(long)]
    pub unlabelled: bool,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: usize,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `glanced feedback add`
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("statement").required(true))]
pub struct FeedbackAdd {
    /// The frame, as its result names it
    #[arg(long, value_name = "ULID")]
    pub frame: Ulid,
    /// What it shows, by name; one that the model does not know is a new class
    #[arg(long, value_name = "LABEL", group = "statement")]
    pub label: Option<String>,
    /// What it shows, by the number of the model's class
    #[arg(long, value_name = "N", group = "statement")]
    pub class: Option<u32>,
    /// What the model saw first is right
    #[arg(long, group = "statement")]
    pub correct: bool,
    /// Its picture, if the store does not have it
    #[arg(long, value_name = "FILE", requires = "camera")]
    pub image: Option<PathBuf>,
    /// The camera that took the picture
    #[arg(long, value_name = "CAMERA", requires = "image")]
    pub camera: Option<String>,
    /// Who says so
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
    /// An id of your own: the same statement with the same id is stored once
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `glanced feedback export`
#[derive(Args, Debug)]
pub struct FeedbackExport {
    /// The folder; it may hold an earlier export, which is brought up to date. `-` is a tar on standard output
    #[arg(value_name = "DIR|-")]
    pub to: PathBuf,
    /// What to write
    #[arg(long, value_enum, default_value_t = ExportFormat::Folder)]
    pub format: ExportFormat,
    /// Note in the store that they were exported: they may go when room is needed
    #[arg(long)]
    pub mark_exported: bool,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// What an export looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A folder a label, and manifest.jsonl with all that is known; what `import` reads
    Folder,
    /// Tasks of Label Studio, with predictions and annotations
    LabelStudio,
}

/// `glanced feedback import`
#[derive(Args, Debug)]
pub struct FeedbackImport {
    /// An export with its manifest.jsonl, or a folder with one folder of pictures for each label
    #[arg(value_name = "DIR")]
    pub from: PathBuf,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `glanced feedback remove`
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("which").required(true))]
pub struct FeedbackRemove {
    /// A frame, labelled or not; may be given several times
    #[arg(long, value_name = "ULID", group = "which")]
    pub frame: Vec<Ulid>,
    /// All frames that wait for a label
    #[arg(long, group = "which")]
    pub unlabelled: bool,
    /// Of these, only those from this camera
    #[arg(long, value_name = "CAMERA", requires = "unlabelled", conflicts_with = "frame")]
    pub camera: Option<String>,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `glanced feedback rebuild`
#[derive(Args, Debug)]
pub struct FeedbackRebuild {
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `glanced bench`
#[derive(Args, Debug)]
pub struct Bench {
    /// Seconds of each measurement
    #[arg(long, value_name = "N", default_value_t = 6)]
    pub seconds: u64,
    /// Measurements of each frame size, taken in turn with the bare loop
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub rounds: usize,
    /// Cameras of the overload
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub cameras: usize,
    /// Frames a second that each of them offers
    #[arg(long, value_name = "N", default_value_t = 10.0, value_parser = per_second)]
    pub camera_fps: f64,
    /// Feedback a second beside the frames, to see what it costs them
    #[arg(long, value_name = "N", default_value_t = 500.0, value_parser = per_second)]
    pub feedback: f64,
    /// Photographs to make frames from
    #[arg(long, value_name = "DIR", default_value = "examples/frames")]
    pub frames: PathBuf,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// How often something is to happen.
fn per_second(text: &str) -> Result<f64, String> {
    const MOST: f64 = 10_000.0;
    match text.parse() {
        Ok(rate) if rate > 0.0 && rate <= MOST => Ok(rate),
        _ => Err(format!("a number above 0 and at most {MOST} is needed")),
    }
}
