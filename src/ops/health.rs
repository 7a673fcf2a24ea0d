//! Whether frames can flow: what `/healthz`, `/readyz` and systemd's watchdog ask.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A worker that spends longer than this on one frame is stuck: the slowest box needs seconds.
const STUCK_AFTER: Duration = Duration::from_secs(60);
/// The connection's task looks up at least once a second; it is stuck after this long.
const SILENT_AFTER: Duration = Duration::from_secs(15);

/// Signs of life of the parts that a frame passes.
#[derive(Debug)]
pub struct Health {
    start: Instant,
    connected: AtomicBool,
    connection_seen: AtomicU64,
    /// For each worker the millisecond at which it took its frame, 0 while it waits.
    busy_since: Vec<AtomicU64>,
}

impl Health {
    /// For a node with so many workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            start: Instant::now(),
            connected: AtomicBool::new(false),
            connection_seen: AtomicU64::new(0),
            busy_since: (0..workers).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn now(&self) -> u64 {
        // Never 0, which means "waits".
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    /// Since the node started.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.start.elapsed()
    }

    /// The connection to the broker came or went.
    pub fn set_connected(&self, connected: bool) {
        self.connected.store(connected, Relaxed);
    }

    /// Connected to the broker.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.connected.load(Relaxed)
    }

    /// The connection's task is alive.
    pub fn connection_seen(&self) {
        self.connection_seen.store(self.now(), Relaxed);
    }

    /// A worker took a frame, or (`false`) is done with it.
    pub fn worker_busy(&self, worker: usize, busy: bool) {
        if let Some(since) = self.busy_since.get(worker) {
            since.store(if busy { self.now() } else { 0 }, Relaxed);
        }
    }

    /// Nothing is stuck. A broker that is away does not count: a restart would not bring it back.
    ///
    /// # Errors
    /// What is stuck, in words.
    pub fn alive(&self) -> Result<(), String> {
        let now = self.now();
        let silent = Duration::from_millis(now.saturating_sub(self.connection_seen.load(Relaxed)));
        if silent > SILENT_AFTER {
            return Err(format!("the MQTT connection's task has been silent for {} s", silent.as_secs()));
        }
        for (worker, since) in self.busy_since.iter().enumerate() {
            let since = since.load(Relaxed);
            let busy = Duration::from_millis(now.saturating_sub(since));
            if since != 0 && busy > STUCK_AFTER {
                return Err(format!("worker {worker} has been busy with one frame for {} s", busy.as_secs()));
            }
        }
        Ok(())
    }

    /// Frames can flow: alive, and connected to the broker.
    ///
    /// # Errors
    /// What is in the way, in words.
    pub fn ready(&self) -> Result<(), String> {
        self.alive()?;
        if self.connected() { Ok(()) } else { Err("not connected to the MQTT broker".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_needs_the_broker_alive_does_not() {
        let health = Health::new(1);
        health.connection_seen();
        assert_eq!(health.alive(), Ok(()));
        assert_eq!(health.ready(), Err("not connected to the MQTT broker".to_owned()));
        health.set_connected(true);
        assert_eq!(health.ready(), Ok(()));
    }

    #[test]
    fn a_stuck_worker_and_a_silent_connection_are_named() {
        let back = Duration::from_secs(100);
        let health = Health { start: Instant::now().checked_sub(back).unwrap(), ..Health::new(2) };
        assert_eq!(health.alive(), Err("the MQTT connection's task has been silent for 100 s".to_owned()));
        health.connection_seen();
        health.busy_since[1].store(1, Relaxed);
        assert_eq!(health.alive(), Err("worker 1 has been busy with one frame for 99 s".to_owned()));
        health.worker_busy(1, false);
        assert_eq!(health.alive(), Ok(()));
    }
}
