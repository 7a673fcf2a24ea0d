//! Brokers: one inside the test's process, and a real Mosquitto.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use glanced::config::Protocol;
use glanced::mqtt::broker;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::eventually;
use super::output::Output;

const MAX_PAYLOAD: usize = 64 << 20;

/// A free loopback address.
pub(crate) fn free_address() -> SocketAddr {
    broker::free_address().expect("a free port")
}

/// Starts a broker in this process, which serves until the tests end.
pub(crate) fn embedded(protocol: Protocol) -> SocketAddr {
    let address = free_address();
    broker::listen_on(address, protocol, MAX_PAYLOAD).unwrap_or_else(|error| panic!("{error}"));
    wait_for(address);
    address
}

fn wait_for(address: SocketAddr) {
    eventually("the broker listens", || TcpStream::connect(address).ok());
}

/// A Mosquitto. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Mosquitto {
    child: Child,
    log: Output,
    dir: TempDir,
    /// A listener for everyone.
    pub(crate) open: SocketAddr,
    /// A listener with the rules of [`Mosquitto::with`].
    pub(crate) guarded: SocketAddr,
}

impl Mosquitto {
    /// For everyone, without rules.
    pub(crate) fn new() -> Self {
        Self::with(|_| "allow_anonymous true\n".to_owned())
    }

    /// For everyone, on this address.
    pub(crate) fn on(open: SocketAddr) -> Self {
        Self::listen(open, |_| "allow_anonymous true\n".to_owned())
    }

    /// With rules for its guarded listener, which may need files in the folder that is given.
    pub(crate) fn with(rules: impl FnOnce(&Path) -> String) -> Self {
        Self::listen(free_address(), rules)
    }

    fn listen(open: SocketAddr, rules: impl FnOnce(&Path) -> String) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let rules = rules(dir.path());
        let guarded = free_address();
        let config = format!(
            "user root\nper_listener_settings true\nmax_queued_messages 0\nlog_dest stderr\nlog_type all\n\
             listener {} 127.0.0.1\nallow_anonymous true\n\
             listener {} 127.0.0.1\n{rules}\n",
            open.port(),
            guarded.port()
        );
        std::fs::write(dir.path().join("mosquitto.conf"), config).expect("a file in a temporary folder");
        let (child, log) = spawn(&dir);
        let mosquitto = Self { child, log, dir, open, guarded };
        mosquitto.wait_until_it_listens();
        mosquitto
    }

    fn wait_until_it_listens(&self) {
        wait_for(self.open);
        wait_for(self.guarded);
    }

    /// Waits until its log has this.
    pub(crate) fn wait_for(&self, text: &str) {
        eventually(&format!("Mosquitto logs {text:?}"), || self.log.text().contains(text).then_some(()));
    }

    /// The open listener's URL.
    pub(crate) fn url(&self) -> String {
        format!("mqtt://{}", self.open)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("Mosquitto can be signalled");
    }

    /// Ends it, as a power cut would.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again on the same ports, with nothing kept.
    pub(crate) fn start_again(&mut self) {
        (self.child, self.log) = spawn(&self.dir);
        self.wait_until_it_listens();
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
        #[expect(clippy::print_stderr, reason = "the test has failed: this is what its reader needs")]
        if std::thread::panicking() {
            eprintln!("log of Mosquitto:\n{}\n", self.log.text());
        }
    }
}

fn spawn(dir: &TempDir) -> (Child, Output) {
    let mut command = Command::new(find("mosquitto"));
    command.arg("-c").arg(dir.path().join("mosquitto.conf")).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("Mosquitto can be started");
    let log = Output::of(child.stderr.take().expect("standard error is a pipe"));
    (child, log)
}

/// A program of Debian's package `mosquitto`, which puts its server where only root's PATH leads.
pub(crate) fn find(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
        .unwrap_or_else(|| {
            panic!("{program} was not found: these tests need Debian's package mosquitto (apt-get install mosquitto)")
        })
}
