//! The daemon under test and its broker, each a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;

use super::super::Failure;
use crate::cli::Settings;
use crate::config::{Config, Mqtt, Protocol};
use crate::mqtt::broker;
use crate::mqtt::peer::Peer;
use crate::mqtt::topics;
use crate::ops::process;

/// Longest wait for a process to be there or to be gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// A broker on a free port.
pub(super) struct Broker {
    url: String,
    mosquitto: Option<(Child, PathBuf)>,
}

impl Broker {
    /// Mosquitto, if there is one; else the broker that is built in.
    pub(super) fn start() -> Result<Self, Failure> {
        let address = broker::free_address().context("a port for the broker")?;
        let url = format!("mqtt://{address}");
        let file = std::env::temp_dir().join(format!("glanced-bench-{}.conf", std::process::id()));
        let settings = format!("listener {} {}\nallow_anonymous true\nlog_type error\n", address.port(), address.ip());
        std::fs::write(&file, settings).with_context(|| file.display().to_string())?;
        // Debian has it where only root's PATH looks.
        for program in ["mosquitto", "/usr/sbin/mosquitto"] {
            let started =
                Command::new(program).arg("-c").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
            if let Ok(child) = started {
                return Ok(Self { url, mosquitto: Some((child, file)) });
            }
        }
        remove(&file);
        broker::listen_on(address, Protocol::V5, 256 << 20).context("the built-in broker")?;
        Ok(Self { url, mosquitto: None })
    }

    /// Which one it is.
    pub(super) fn kind(&self) -> &'static str {
        if self.mosquitto.is_some() { "mosquitto" } else { "built in" }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some((child, file)) = &mut self.mosquitto {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
            remove(file);
        }
    }
}

fn remove(file: &Path) {
    // A temporary file that can't be removed is no reason to fail a measurement.
    let _ = std::fs::remove_file(file);
}

/// A running daemon.
pub(super) struct Node {
    child: Child,
    mqtt: Mqtt,
    start: Duration,
    /// A feedback store of its own.
    store: PathBuf,
}

impl Node {
    /// Starts the daemon and waits for its first result.
    pub(super) async fn start(
        broker: &Broker,
        settings: &Settings,
        config: &Config,
        frame: &Bytes,
    ) -> Result<Self, Failure> {
        let mqtt = Mqtt {
            url: broker.url.parse().map_err(|_| anyhow!("the broker's address {} is no URL", broker.url))?,
            protocol: Protocol::V5,
            client_id: "glanced-bench".to_owned(),
            username: None,
            password: None,
            prefix: "glanced".to_owned(),
            node: "bench".to_owned(),
            embedded_broker: false,
            ..config.mqtt.clone()
        };
        let mut onlooker = Peer::connect(&mqtt, "first", Some("glanced/#"), 64).await.context("onlooker")?;
        let program = std::env::current_exe().context("the path of this program")?;
        let start = Instant::now();
        let mut command = Command::new(program);
        command.args(["run", "--broker", &broker.url, "--log-level", "warn"]);
        for (flag, value) in [("--model", &settings.model), ("--models", &settings.models)] {
            command.args(value.iter().flat_map(|value| [flag, value]));
        }
        if let Some(file) = &settings.config {
            command.arg("--config").arg(file);
        }
        for (key, value) in [
            ("PROTOCOL", "5"),
            ("NODE", "bench"),
            ("PREFIX", "glanced"),
            ("CLIENT_ID", ""),
            ("USERNAME", ""),
            ("PASSWORD_FILE", ""),
        ] {
            command.env(format!("GLANCED__MQTT__{key}"), value);
        }
        let store = std::env::temp_dir().join(format!("glanced-bench-{}", std::process::id()));
        command.env("GLANCED__STORE__DIR", &store);
        let child = command.env("GLANCED__HTTP__LISTEN", "").stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let mut node = Self { child: child.context("starting the daemon")?, mqtt, start: Duration::ZERO, store };
        node.first_result(&mut onlooker, frame).await?;
        node.start = start.elapsed();
        Ok(node)
    }

    /// Sends a frame as soon as the daemon is online, and waits for its result.
    async fn first_result(&self, onlooker: &mut Peer, frame: &Bytes) -> anyhow::Result<()> {
        let status = topics::status(&self.mqtt.prefix, &self.mqtt.node);
        let result = topics::top3(&self.mqtt.prefix, "first");
        loop {
            let message =
                tokio::time::timeout(PATIENCE, onlooker.next()).await.context("the daemon gives no result")?;
            let (topic, payload) = message.context("the connection to the broker was lost")?;
            if topic == status && payload == topics::ONLINE {
                onlooker.publish("cameras/first/frame", frame.clone())?;
            } else if topic == result {
                return Ok(());
            }
        }
    }

    /// How to reach the broker.
    pub(super) fn mqtt(&self) -> &Mqtt {
        &self.mqtt
    }

    /// From starting the process to its first result.
    pub(super) fn start_ms(&self) -> f64 {
        self.start.as_secs_f64() * 1e3
    }

    /// Resident memory now.
    pub(super) fn rss_mib(&self) -> Result<f64, Failure> {
        let bytes = process::resident_bytes_of(&self.child.id().to_string()).context("the daemon's memory")?;
        Ok(bytes as f64 / f64::from(1 << 20))
    }

    /// Processor time used so far.
    pub(super) fn cpu_time(&self) -> Result<Duration, Failure> {
        Ok(process::cpu_time_of(self.child.id()).context("the daemon's processor time")?)
    }

    /// Stops it as systemd would.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw).context("its id")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                return if status.success() { Ok(()) } else { bail!("it ended with {status}") };
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("it did not stop")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // After a stop it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.store);
    }
}
