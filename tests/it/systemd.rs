//! What systemd is told, by a stand-in that listens where systemd would.

use std::os::unix::net::UnixDatagram;
use std::sync::Mutex;

use rustix::process::Signal;

use crate::support::PATIENCE;
use crate::support::broker::{self, Mosquitto};
use crate::support::launch::Launch;
use crate::support::node::Node;

struct Systemd {
    socket: UnixDatagram,
    heard: Mutex<Vec<String>>,
    _dir: tempfile::TempDir,
}

impl Systemd {
    /// Listens, and starts the daemon as a service would be.
    fn start(broker: std::net::SocketAddr, watchdog_usec: u64) -> (Self, Node) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket in a temporary folder");
        socket.set_read_timeout(Some(*PATIENCE)).expect("a time limit");
        let node = Launch::new(format_args!("mqtt://{broker}"))
            .set("mqtt.reconnect_max_s", 1)
            .env("NOTIFY_SOCKET", path.display())
            .env("WATCHDOG_USEC", watchdog_usec)
            .start();
        (Self { socket, heard: Mutex::default(), _dir: dir }, node)
    }

    /// Waits for a message that has this line, and returns it whole.
    fn hear(&self, line: &str) -> String {
        let mut heard = self.heard.lock().expect("no thread has panicked");
        loop {
            let mut buffer = [0; 4096];
            let length =
                self.socket.recv(&mut buffer).unwrap_or_else(|error| panic!("no {line}: {error}; heard {heard:?}"));
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            heard.push(message.clone());
            if message.lines().any(|said| said == line) {
                return message;
            }
        }
    }

    fn heard(&self, line: &str) -> usize {
        let heard = self.heard.lock().expect("no thread has panicked");
        heard.iter().filter(|message| message.lines().any(|said| said == line)).count()
    }
}

#[test]
fn readiness_reload_and_stop_are_told() {
    let mosquitto = Mosquitto::new();
    let (systemd, mut node) = Systemd::start(mosquitto.open, 0);
    let ready = systemd.hear("READY=1");
    assert!(ready.lines().any(|line| line == "STATUS=serving tints 1 with 1 workers"), "{ready}");

    node.signal(Signal::HUP);
    let reloading = systemd.hear("RELOADING=1");
    let clock = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(clock.is_some_and(|usec| usec.parse::<u64>().is_ok()), "{reloading}");
    systemd.hear("READY=1");

    // A configuration that is not taken ends the reload just the same.
    std::fs::write(node.dir().join("glanced.toml"), "[mqtt\n").expect("a file in a temporary folder");
    node.signal(Signal::HUP);
    systemd.hear("RELOADING=1");
    systemd.hear("READY=1");
    assert_eq!(systemd.heard("STOPPING=1"), 0);

    node.signal(Signal::TERM);
    let stopping = systemd.hear("STOPPING=1");
    assert!(stopping.lines().any(|line| line == "EXTEND_TIMEOUT_USEC=10000000"), "{stopping}");
    assert_eq!(node.wait().code(), Some(0));
}

#[test]
fn the_watchdog_is_pinged_even_while_the_broker_is_away() {
    let (systemd, node) = Systemd::start(broker::free_address(), 500_000);
    systemd.hear("READY=1");
    node.log.wait_for("no connection to the MQTT broker", 2);
    for _ in 0..5 {
        systemd.hear("WATCHDOG=1");
    }
    node.stop();
}
