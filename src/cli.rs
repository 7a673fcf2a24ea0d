//! The command line.

mod feedback;
mod model;
mod quality;
mod retrain;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use self::feedback::{
    ExportFormat, FeedbackAdd, FeedbackArgs, FeedbackCommand, FeedbackExport, FeedbackImport, FeedbackList,
    FeedbackRebuild, FeedbackRemove, FeedbackStats,
};
pub use self::model::{ModelArgs, ModelCommand, ModelList, ModelNew, ModelPromote, ModelRollback, ModelShow};
pub use self::quality::{Calibrate, Eval, Report};
pub use self::retrain::Retrain;
use crate::config::Flag;

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
    /// Learn from what people said: make a better version of the model, prove it, and put it in use if that is asked
    Retrain(Retrain),
    /// List, show, make, promote and take back models and their versions
    Model(ModelArgs),
    /// Measure throughput, freshness and memory through a real broker
    Bench(Bench),
    /// Measure which workers, threads and precision suit this box, and remember it for the settings that are left open
    Tune(Tune),
    /// Write the manual pages and the completions for shells into a folder that is laid out like /usr/share
    #[command(hide = true)]
    Generate(Generate),
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
    /// Also how cost and age grow with the number of cameras, 1 to 500
    #[arg(long)]
    pub growth: bool,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `glanced tune`
#[derive(Args, Debug)]
pub struct Tune {
    /// Frames of your cameras to measure with, as image files [default: some that look like a camera's]
    #[arg(value_name = "FILE")]
    pub frames: Vec<PathBuf>,
    /// Seconds of each measurement
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = seconds)]
    pub seconds: f64,
    /// Measurements of each arrangement, taken in turn
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = rounds)]
    pub rounds: usize,
    /// Only show it
    #[arg(long)]
    pub dry_run: bool,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// How long something is measured.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number from 0.01 to 600 is needed".to_owned()),
    }
}

/// How often something is measured.
fn rounds(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(rounds) if (1..=1000).contains(&rounds) => Ok(rounds),
        _ => Err("a whole number from 1 to 1000 is needed".to_owned()),
    }
}

/// `glanced generate`, for those who make packages
#[derive(Args, Debug)]
pub struct Generate {
    /// The folder
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// How often something is to happen.
fn per_second(text: &str) -> Result<f64, String> {
    const MOST: f64 = 10_000.0;
    match text.parse() {
        Ok(rate) if rate > 0.0 && rate <= MOST => Ok(rate),
        _ => Err(format!("a number above 0 and at most {MOST} is needed")),
    }
}
