//! Trainings that a node has done beside its frames: a process of its own for each, which runs when nothing else wants to.
//!
//! A process, because then nothing that a training does can take the frames with it: not its memory, nor a crash. It changes
//! what is on disk and nothing else, each step of it at once, so it can be killed at any moment.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use jiff::{Timestamp, ZonedDateTime};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{mpsc, watch};
use utoipa::ToSchema;

use super::night::Night;
use super::retrain::Step;
use crate::config::{Config, Learn};
use crate::ops::shutdown::Shutdown;

/// Questions that may wait.
const ASKS: usize = 16;
/// The longest message that is read.
const MOST_BYTES: usize = 4096;
/// How often it is looked whether the quiet hours have come.
const TICK: Duration = Duration::from_secs(20);
/// What is being done, in the store's folder, so that it goes on after a stop.
const PENDING_FILE: &str = "retrain.pending";

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The model; that of `model.name` if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Whether what is better is put in use; `learn.promote` if that is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promote: Option<bool>,
    /// The training that runs is to end, and none to begin.
    #[serde(default)]
    pub cancel: bool,
    /// Where the answer goes, for those who can't say it otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
}

impl Ask {
    /// Of JSON; nothing at all asks for what is configured.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        parse(json)
    }
}

/// Reads what is asked for in a short JSON object; nothing at all asks for what is usual.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn parse<T: Default + DeserializeOwned>(json: &[u8]) -> Result<T, String> {
    if json.len() > MOST_BYTES {
        return Err(format!("{} bytes are too many: at most {MOST_BYTES}", json.len()));
    }
    if json.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    if !json.trim_ascii_start().starts_with(b"{") {
        // serde would take a list for the fields in their order.
        return Err("not understood: it is no JSON object".to_owned());
    }
    serde_json::from_slice(json).map_err(|error| format!("not understood: {error}"))
}

/// What trainings are doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct State {
    /// The one that runs.
    pub running: Option<Running>,
    /// The one that ended last.
    pub last: Option<Ended>,
}

/// A training that runs.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Running {
    /// Its model.
    pub model: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// What it is doing; `None` at the very beginning.
    pub step: Option<Step>,
    /// How much of that is done, …
    pub done: usize,
    /// … of so much.
    pub of: usize,
}

/// A training that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Ended {
    /// Its model.
    pub model: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What came of it, as `glanced retrain --json` tells it.
    #[schema(value_type = Option<Object>)]
    pub report: Option<Value>,
    /// Why nothing did.
    pub error: Option<String>,
}

type Reply = Box<dyn FnOnce(Result<State, String>) + Send>;

/// Starts trainings, ends them, and knows what they do. Clones are one.
#[derive(Clone)]
pub struct Learning {
    asks: mpsc::Sender<(Ask, Reply)>,
    state: watch::Receiver<State>,
}

impl std::fmt::Debug for Learning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Learning").field("state", &*self.state.borrow()).finish_non_exhaustive()
    }
}

impl Learning {
    /// Asks for something, and hands the answer to `reply`: the state then, or why not. Never blocks.
    pub fn ask(&self, ask: Ask, reply: impl FnOnce(Result<State, String>) + Send + 'static) {
        if let Err(error) = self.asks.try_send((ask, Box::new(reply))) {
            let ((_, reply), error) = match error {
                mpsc::error::TrySendError::Full(asked) => (asked, "too much is asked at once"),
                mpsc::error::TrySendError::Closed(asked) => (asked, "the node is stopping"),
            };
            reply(Err(error.to_owned()));
        }
    }

    /// What is being done.
    #[must_use]
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Tells when that changes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<State> {
        self.state.clone()
    }
}

/// Does what is asked. To be run as a task.
#[derive(Debug)]
pub struct Jobs {
    asks: mpsc::Receiver<(Ask, Reply)>,
    state: watch::Sender<State>,
    /// The configuration's file, for the process.
    file: Option<PathBuf>,
    config: Config,
    store: PathBuf,
    /// The models there are; the first is the default.
    models: Vec<String>,
    /// For trainings by the clock.
    night: Night,
}

/// A training of one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Order {
    model: String,
    promote: bool,
    /// It was begun by the clock, and ends with the quiet hours.
    #[serde(default)]
    by_clock: bool,
}

struct Job {
    order: Order,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    report: Option<Value>,
}

/// For a node with these models, the default one first. `file` is the configuration's.
#[must_use]
pub fn new(config: &Config, file: Option<PathBuf>, models: Vec<String>) -> (Learning, Jobs) {
    let (asks, asked) = mpsc::channel(ASKS);
    let (state, watched) = watch::channel(State::default());
    let store = config.store.resolved_dir();
    let Learn { quiet_from, quiet_until, .. } = config.learn;
    let night = Night::new(quiet_from, quiet_until, models.clone());
    let jobs = Jobs { asks: asked, state, file, config: config.clone(), store, models, night };
    (Learning { asks, state: watched }, jobs)
}

impl Jobs {
    /// Works until asked to stop; a training that runs then goes on with the next start.
    pub async fn run(mut self, mut shutdown: Shutdown) {
        let mut job = match self.pending() {
            Some(order) if self.models.contains(&order.model) => {
                tracing::info!(model = order.model, "a training that was cut short goes on");
                self.start(order).map_err(|error| tracing::warn!(error, "a training could not go on")).ok()
            }
            _ => None,
        };
        let mut ticks = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                () = shutdown.requested() => break,
                Some((ask, reply)) = self.asks.recv() => {
                    let answer = self.answer(&ask, &mut job);
                    reply(answer.map(|()| self.state.borrow().clone()));
                }
                line = next_line(&mut job) => match line {
                    Some(line) => if let Some(job) = &mut job { self.hear(job, &line) },
                    None => if let Some(job) = job.take() { self.end(job).await },
                },
                _ = ticks.tick() => self.look_at_the_clock(&mut job),
            }
        }
        if let Some(mut job) = job {
            tracing::info!(model = job.order.model, "the training goes on with the next start");
            // It is killed: all that it has done is on disk. An error means that it has ended.
            let _ended = job.child.kill().await;
        }
    }

    fn answer(&mut self, ask: &Ask, job: &mut Option<Job>) -> Result<(), String> {
        if ask.cancel {
            let running = job.as_mut().ok_or("no training is running")?;
            self.cancel(running);
            return Ok(());
        }
        if let Some(job) = job {
            return Err(format!("a training of {} is running already", job.order.model));
        }
        let model = ask.model.clone().or_else(|| self.models.first().cloned()).ok_or("there is no model")?;
        if !self.models.contains(&model) {
            return Err(format!("no source of this node names model {model:?}: it has {}", self.models.join(", ")));
        }
        let promote = ask.promote.unwrap_or(self.config.learn.promote);
        *job = Some(self.start(Order { model, promote, by_clock: false })?);
        Ok(())
    }

    /// Its end is noticed as any other is.
    fn cancel(&self, job: &mut Job) {
        tracing::info!(model = job.order.model, "the training is cancelled");
        self.set_pending(None);
        // An error means that it has ended.
        let _ended = job.child.start_kill();
    }

    fn start(&mut self, order: Order) -> Result<Job, String> {
        let mut command = Command::new("/proc/self/exe");
        command.args(["retrain", "--background", "--model", &order.model]);
        command.arg("--models").arg(&self.config.model.dir);
        command.env("GLANCED__STORE__DIR", &self.store);
        if let Some(file) = &self.file {
            command.arg("--config").arg(file);
        }
        if let Some(runtime) = &self.config.model.runtime {
            command.env("GLANCED__MODEL__RUNTIME", runtime);
        }
        if order.promote {
            command.arg("--promote");
        }
        if order.by_clock {
            command.args(["--if-new", &self.config.learn.min_new.to_string()]);
        }
        // Our service manager's socket is ours.
        command.env_remove("NOTIFY_SOCKET").stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| format!("the training could not be started: {error}"))?;
        let stdout = child.stdout.take().ok_or("the training has no output")?;
        self.set_pending(Some(&order));
        tracing::info!(model = order.model, promote = order.promote, "a training begins");
        let model = order.model.clone();
        let running = Running { model, since: Timestamp::now(), step: None, done: 0, of: 0 };
        self.state.send_modify(|state| state.running = Some(running));
        Ok(Job { order, child, lines: BufReader::new(stdout).lines(), report: None })
    }

    fn hear(&self, job: &mut Job, line: &str) {
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Line {
            Progress { step: Step, done: usize, of: usize },
            Report(Value),
        }
        match serde_json::from_str(line) {
            Ok(Line::Progress { step, done, of }) => self.state.send_modify(|state| {
                if let Some(running) = &mut state.running {
                    (running.step, running.done, running.of) = (Some(step), done, of);
                }
            }),
            Ok(Line::Report(report)) => job.report = Some(report),
            Err(error) => tracing::debug!(%error, line, "a training said something else"),
        }
    }

    async fn end(&mut self, job: Job) {
        let Job { order, mut child, report, .. } = job;
        let status = child.wait().await;
        self.set_pending(None);
        let error = match (&report, status) {
            (Some(_), _) => None,
            (None, Ok(status)) => Some(format!("it ended with {status}; the log says more")),
            (None, Err(error)) => Some(error.to_string()),
        };
        let said = |key: &str| report.as_ref().and_then(|report| report[key].as_str()).unwrap_or_default().to_owned();
        match &error {
            None => tracing::info!(
                model = order.model,
                verdict = said("verdict"),
                reason = said("reason"),
                "a training has ended"
            ),
            Some(error) => tracing::warn!(model = order.model, error, "a training has ended without a verdict"),
        }
        let ended = Ended { model: order.model, at: Timestamp::now(), report, error };
        self.state.send_replace(State { running: None, last: Some(ended) });
    }

    /// Begins the night's trainings one after the other, and ends one that is still running when the night is over.
    fn look_at_the_clock(&mut self, job: &mut Option<Job>) {
        let Learn { auto, promote, .. } = self.config.learn;
        if !auto {
            return;
        }
        let now = ZonedDateTime::now();
        match job {
            Some(job) if job.order.by_clock && !self.night.is_quiet(now.time()) => {
                tracing::info!(model = job.order.model, "the quiet hours are over");
                self.cancel(job);
            }
            Some(_) => {}
            None => {
                if let Some(model) = self.night.next(&now) {
                    let order = Order { model, promote, by_clock: true };
                    *job = self.start(order).map_err(|error| tracing::warn!(error, "no training tonight")).ok();
                }
            }
        }
    }

    fn pending(&self) -> Option<Order> {
        serde_json::from_slice(&std::fs::read(self.store.join(PENDING_FILE)).ok()?).ok()
    }

    /// It is only for convenience: what can't be written is not gone on with.
    fn set_pending(&self, order: Option<&Order>) {
        let path = self.store.join(PENDING_FILE);
        let _written = match order.map(serde_json::to_vec) {
            Some(Ok(json)) => std::fs::write(path, json),
            _ => std::fs::remove_file(path),
        };
    }
}

/// The next line of a training, `None` at its end; waits for ever if there is none.
async fn next_line(job: &mut Option<Job>) -> Option<String> {
    match job {
        Some(job) => job.lines.next_line().await.ok().flatten(),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_read_and_what_is_wrong_is_said() {
        assert_eq!(Ask::parse(b" \n"), Ok(Ask::default()));
        let ask = Ask::parse(br#"{"model":"gate","promote":false}"#).unwrap();
        assert_eq!((ask.model.as_deref(), ask.promote, ask.cancel), (Some("gate"), Some(false), false));
        assert!(Ask::parse(br#"{"cancel":true}"#).unwrap().cancel);
        for (json, wanted) in
            [(&b"{\"modell\":1}"[..], "modell"), (b"retrain", "not understood"), (&[b' '; 5000], "at most 4096")]
        {
            let error = Ask::parse(json).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn what_was_begun_is_known_after_a_stop() {
        let dir = tempfile::tempdir().unwrap();
        let toml = format!("[store]\ndir = {:?}", dir.path());
        let config = crate::config::parse_str(&toml).unwrap().config;
        let (_, jobs) = new(&config, None, vec!["gate".to_owned()]);
        assert_eq!(jobs.pending(), None);
        let order = Order { model: "gate".to_owned(), promote: true, by_clock: false };
        jobs.set_pending(Some(&order));
        assert_eq!(jobs.pending(), Some(order));
        jobs.set_pending(None);
        assert!(!dir.path().join(PENDING_FILE).exists());
    }
}
