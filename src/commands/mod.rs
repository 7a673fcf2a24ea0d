//! What the command line can do, one file a command.

mod bars;
mod bench;
mod calibrate;
mod check;
mod classify;
mod config;
mod demo;
mod eval;
mod feedback;
mod generate;
mod model;
mod photographs;
mod report;
mod retrain;
mod run;
mod tune;

use std::io::IsTerminal;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget};

use crate::app::{self, StartError};
use crate::classify::session::{Computing, Runtime, SessionError};
use crate::cli::{Cli, Command, Settings};
use crate::config::{Config, ConfigError, Inputs, Loaded};
use crate::frame::decode::Limits;
use crate::frame::pipeline::Pipeline;
use crate::frame::steps::Looking;
use crate::model::Bundle;
use crate::tune::Tuning;

/// A command that failed, with the exit code that says how.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration is wrong (78).
    #[error("bad configuration:\n{0}")]
    Config(#[from] ConfigError),
    /// Something that is needed is missing (69).
    #[error("{0}")]
    Missing(String),
    /// Anything else (1).
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
    /// What is wrong has been said already, with this exit code.
    #[error("see above")]
    Said(u8),
}

impl Failure {
    /// The exit code, after sysexits.h.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Config(_) => 78,
            Self::Missing(_) => 69,
            Self::Other(_) => 1,
            Self::Said(code) => *code,
        }
    }

    /// Nothing is left to be said.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        matches!(self, Self::Said(_))
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Model(_) | StartError::Session(_) | StartError::Unusable(_) | StartError::Deadly { .. } => {
                Self::Missing(format!("{error}{}", SETUP_HINT))
            }
            StartError::Mqtt(_) => Self::Missing(error.to_string()),
            StartError::Broker(_) | StartError::Listen { .. } | StartError::Thread(_) => Self::Other(error.into()),
        }
    }
}

const SETUP_HINT: &str = "\n(in a checkout, `make setup` fetches ONNX Runtime and the model)";

/// Does what the command line asks.
///
/// # Errors
/// [`Failure`] with the exit code.
pub fn execute(cli: Cli) -> Result<(), Failure> {
    let Cli { command, settings } = cli;
    match command {
        Command::Run => run::run(&settings),
        Command::Demo(args) => demo::demo(&args, &settings),
        Command::Check(args) => check::check(&args, &settings),
        Command::Config(args) => config::config(&args, &settings),
        Command::Classify(args) => classify::classify(&args, &settings),
        Command::Eval(args) => eval::eval(&args, &settings),
        Command::Calibrate(args) => calibrate::calibrate(&args, &settings),
        Command::Report(args) => report::report(&args, &settings),
        Command::Feedback(args) => feedback::feedback(&args, &settings),
        Command::Retrain(args) => retrain::retrain(&args, &settings),
        Command::Model(args) => model::model(&args, &settings),
        Command::Bench(args) => bench::bench(&args, &settings),
        Command::Tune(args) => tune::tune(&args, &settings),
        Command::Generate(args) => generate::generate(&args),
    }
}

fn inputs(settings: &Settings) -> Inputs {
    Inputs::from_process(settings.config.clone(), settings.flags())
}

fn load(settings: &Settings) -> Result<Loaded, Failure> {
    Ok(crate::config::load(&inputs(settings))?)
}

/// The runtime of everything that waits: the connection, timers, HTTP. Inference has threads of its own.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    built.map_err(|error| Failure::Other(anyhow::Error::new(error).context("no threads to run on")))
}

/// Writes a command's answer. A reader that has seen enough, like `head`, is no failure.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::{ErrorKind, Write};
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("standard output").into())
        }
        _ => Ok(()),
    }
}

fn print_json(answer: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(answer).map_err(anyhow::Error::from)?;
    print(&format!("{text}\n"))
}

/// How a pipeline is opened: [`Pipeline::new`] or its like.
type Open = fn(&Runtime, &[Arc<Bundle>], Computing, Limits) -> Result<Pipeline, SessionError>;

/// The views that the command line names, or those that are configured; no budget cuts them short.
fn looking(named: Option<&str>, configured: &Looking) -> Looking {
    named.and_then(Looking::named).unwrap_or_else(|| configured.unlimited())
}

/// A pipeline for each core, or for each of `count` things to do, with one model.
fn pipelines(config: &Config, bundle: &Arc<Bundle>, count: usize, open: Open) -> Result<Vec<Pipeline>, Failure> {
    let runtime = app::runtime(&config.model).map_err(StartError::from)?;
    let tuning = Tuning::new(config, &runtime);
    let computing = tuning.computing(bundle).map_err(StartError::from)?;
    let models = [Arc::clone(bundle)];
    let limits = app::decode_limits(&config.decode);
    let open = |_| Ok(open(&runtime, &models, computing, limits)?.oversampled(tuning.oversample));
    Ok((0..tuning.workers.min(count.max(1)))
        .map(open)
        .collect::<Result<_, SessionError>>()
        .map_err(StartError::from)?)
}

/// A bar on the terminal, if there is one.
fn progress(count: usize) -> ProgressBar {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    ProgressBar::with_draw_target(Some(count as u64), target)
}
