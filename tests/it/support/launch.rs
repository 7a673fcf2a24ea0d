//! How a daemon, or a command, is to be started.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::node::Node;
use super::{PATIENCE, bundles, program, root};

/// A configuration, and a folder for it. Changed step by step, then started.
#[derive(Debug)]
pub(crate) struct Launch {
    dir: TempDir,
    env: BTreeMap<String, String>,
}

/// What a command left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Standard output as JSON, of a command that did what was asked.
    pub(crate) fn done(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.json()
    }

    /// Standard output as JSON, which must be one object and nothing else.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

impl Launch {
    /// Nothing set but folders of its own, where ONNX Runtime is, and a precision, for answers that are the same on all machines.
    pub(crate) fn bare() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let launch = Self { dir, env: BTreeMap::new() };
        launch.write("glanced.toml", "");
        let store = launch.dir().join("feedback").to_string_lossy().into_owned();
        let cache = launch.dir().join("cache").to_string_lossy().into_owned();
        launch
            .set("store.dir", store)
            .set("model.cache", cache)
            .set("model.runtime", root().join("runtime/libonnxruntime.so").to_string_lossy())
            .set("inference.precision", "fp32")
    }

    /// A node with the quick `tints` model, one worker, and a log that can be read by machines.
    pub(crate) fn new(broker: impl std::fmt::Display) -> Self {
        Self::bare()
            .set("mqtt.url", broker)
            .set("mqtt.node", "box-7")
            .set("model.dir", bundles().to_string_lossy())
            .set("model.name", "tints")
            .set("inference.workers", 1)
            .set("http.listen", "127.0.0.1:0")
            .set("log.format", "json")
    }

    /// The real model in place of the quick one.
    pub(crate) fn lite0(self) -> Self {
        self.set("model.dir", root().join("models").to_string_lossy()).set("model.name", "efficientnet-lite0")
    }

    /// Sets a key through the environment: it wins over the file.
    pub(crate) fn set(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        self.env.insert(variable(key), value.to_string());
        self
    }

    /// Leaves a key to the file, or to its default.
    pub(crate) fn unset(mut self, key: &str) -> Self {
        self.env.remove(&variable(key));
        self
    }

    /// An environment variable as it is.
    pub(crate) fn env(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.env.insert(name.to_owned(), value.to_string());
        self
    }

    /// The whole configuration file.
    pub(crate) fn file(self, toml: &str) -> Self {
        self.write("glanced.toml", toml);
        self
    }

    /// Writes a file beside the configuration, and returns its path.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// The folder of the configuration file.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = program();
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GLANCED__") {
                command.env_remove(name);
            }
        }
        for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM"] {
            command.env_remove(name);
        }
        command.args(args).arg("--config").arg(self.dir.path().join("glanced.toml"));
        command.envs(&self.env).current_dir(root()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end, which must come by itself.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        let child = self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.expect("the binary can be started");
        let pid = Pid::from_child(&child);
        let (ended, end) = mpsc::channel();
        std::thread::spawn(move || ended.send(child.wait_with_output()));
        let Ok(output) = end.recv_timeout(2 * *PATIENCE) else {
            // Nothing has waited for it yet: the id is still its own.
            let _ = kill_process(pid, Signal::KILL);
            panic!("glanced {args:?} did not end; its last words: {:?}", end.recv());
        };
        let output = output.expect("the command can be waited for");
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Starts the daemon and waits until it says that it serves; the broker may be away.
    pub(crate) fn start(self) -> Node {
        let command = self.command(&["run"]);
        Node::spawn(command, self)
    }

    /// Starts the daemon and kills it after `life`, wherever it has come by then.
    pub(crate) fn kill_after(&self, life: Duration) {
        let child = self.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut child = child.expect("the binary can be started");
        // Waits for nothing: the moment of the kill is what the caller varies.
        std::thread::sleep(life);
        let ended = child.try_wait().expect("the daemon can be waited for");
        child.kill().expect("the daemon can be killed");
        child.wait().expect("the daemon can be waited for");
        assert_eq!(ended, None, "the daemon ended by itself within {life:?}");
    }

    /// Starts a command and kills it when it has written so many lines, or lets it end if it never does.
    pub(crate) fn kill_after_lines(&self, args: &[&str], lines: usize) {
        let child = self.command(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.expect("the binary can be started");
        let out = child.stdout.take().expect("standard output is a pipe");
        let read = std::io::BufReader::new(out).lines().take(lines).filter(Result::is_ok).count();
        if read == lines {
            child.kill().expect("the command can be killed");
        }
        child.wait().expect("the command can be waited for");
    }

    /// Starts a command and kills it as soon as `now` says so; says whether it came to that before the command had ended by
    /// itself, as it should.
    pub(crate) fn kill_when(&self, args: &[&str], mut now: impl FnMut() -> bool) -> bool {
        let child = self.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut child = child.expect("the binary can be started");
        loop {
            if now() {
                child.kill().expect("the command can be killed");
                child.wait().expect("the command can be waited for");
                return true;
            }
            if let Some(status) = child.try_wait().expect("the command can be waited for") {
                assert!(status.success(), "{status}");
                return false;
            }
            // Much shorter than anything takes that is synced.
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    /// Starts the daemon and waits until frames can flow.
    pub(crate) fn serve(self) -> Node {
        let node = self.start();
        node.wait_until_ready();
        node
    }
}

fn variable(key: &str) -> String {
    format!("GLANCED__{}", key.to_ascii_uppercase().replace('.', "__"))
}
