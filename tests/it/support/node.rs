//! A running daemon.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::launch::{Ended, Launch};
use super::output::Output;
use super::{eventually, http};

/// A child that serves. Killed when dropped; its log is shown if the test has failed.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    pub(crate) log: Output,
    launch: Launch,
    http: Option<SocketAddr>,
}

impl Node {
    pub(super) fn spawn(mut command: Command, launch: Launch) -> Self {
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary can be started");
        let log = Output::of(child.stderr.take().expect("standard error is a pipe"));
        let mut node = Self { child, log, launch, http: None };
        let serving = eventually("the daemon serves", || {
            assert!(node.ended().is_none(), "the daemon ended at its start");
            node.log.said("serving").into_iter().next()
        });
        node.http = serving["http"].as_str().and_then(|address| address.parse().ok());
        node
    }

    /// Where its HTTP server listens.
    pub(crate) fn http(&self) -> SocketAddr {
        self.http.unwrap_or_else(|| panic!("no address in the log"))
    }

    pub(crate) fn wait_until_ready(&self) {
        eventually("the daemon is ready", || {
            http::try_get(self.http(), "/readyz", None).filter(|answer| answer.status == 200)
        });
    }

    pub(crate) fn wait_until_not_ready(&self) {
        eventually("the daemon is no longer ready", || {
            http::try_get(self.http(), "/readyz", None).filter(|answer| answer.status == 503)
        });
    }

    /// Asks the API; status and JSON.
    pub(crate) fn api(&self, method: &str, path: &str, json: Option<&str>) -> (u16, serde_json::Value) {
        let answer = http::send(self.http(), method, path, json);
        let body = serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("no JSON ({error}): {answer:?}"));
        (answer.status, body)
    }

    /// All samples of `/metrics`: name with labels → value.
    pub(crate) fn metrics(&self) -> BTreeMap<String, f64> {
        parse_metrics(&http::get(self.http(), "/metrics", None).body)
    }

    /// One sample of `/metrics`.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        *self.metrics().get(name).unwrap_or_else(|| panic!("no metric {name}"))
    }

    /// Waits until a sample has this value.
    pub(crate) fn wait_for_metric(&self, name: &str, value: f64) {
        eventually(&format!("{name} is {value}"), || (self.metric(name) == value).then_some(()));
    }

    /// Frames that gave no result for `reason`.
    pub(crate) fn dropped(&self, reason: &str) -> f64 {
        self.metric(&dropped(reason))
    }

    /// Waits until so many frames gave no result for `reason`.
    pub(crate) fn wait_for_dropped(&self, reason: &str, value: f64) {
        self.wait_for_metric(&dropped(reason), value);
    }

    /// Changes the configuration file, asks for a reload, and waits until the daemon has said what it did.
    pub(crate) fn reload(&self, toml: &str) {
        let said = || self.log.said("configuration reloaded").len() + self.log.said("was not taken").len();
        let before = said();
        self.launch.write("glanced.toml", toml);
        self.signal(Signal::HUP);
        eventually("the configuration is reloaded or refused", || (said() > before).then_some(()));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the daemon can be signalled");
    }

    /// Its end, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the daemon can be waited for")
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        eventually("the daemon ends", || self.ended())
    }

    /// SIGTERM, and a clean end.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "the daemon did not stop cleanly");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Runs a command with the node's configuration, beside it.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.launch.run(args)
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.launch.dir().to_owned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        #[expect(clippy::print_stderr, reason = "the test has failed: this is what its reader needs")]
        if std::thread::panicking() {
            eprintln!("log of the daemon {}:\n{}\n", self.pid(), self.log.text());
        }
    }
}

fn dropped(reason: &str) -> String {
    format!("glanced_frames_dropped_total{{reason=\"{reason}\"}}")
}

/// Reads the text format; anything that does not belong there is an error.
pub(crate) fn parse_metrics(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with("# EOF\n"), "the metrics do not end with # EOF:\n{text}");
    let samples = text.lines().filter(|line| !line.starts_with("# "));
    samples
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line:?}"));
            (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number: {line:?}")))
        })
        .collect()
}
