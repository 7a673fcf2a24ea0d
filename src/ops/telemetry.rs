//! Logs: text or JSON on standard error, level changeable while running.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::config::{Log, LogFormat};

/// Changes the log level of a running process.
#[derive(Clone, Debug)]
pub struct Telemetry {
    level: reload::Handle<EnvFilter, Registry>,
}

/// Logging can't be set up or changed.
#[derive(Debug, thiserror::Error)]
#[error("log.level {level:?}: {message}")]
pub struct TelemetryError {
    level: String,
    message: String,
}

impl Telemetry {
    /// Sends this process's log to standard error. Once a process.
    ///
    /// Under systemd (`JOURNAL_STREAM`) text lines have no time and no colour, for journald adds its own, but begin with
    /// their priority, so that `journalctl -p warning` finds them.
    ///
    /// # Errors
    /// If the level is no filter, or logging is already set up.
    pub fn start(log: &Log) -> Result<Self, TelemetryError> {
        let failed = |message: String| TelemetryError { level: log.level.clone(), message };
        let filter = filter(&log.level).map_err(failed)?;
        let (filter, level) = reload::Layer::new(filter);
        let output = fmt::layer().with_target(false);
        let output = match log.format {
            LogFormat::Json => output.with_writer(std::io::stderr).json().flatten_event(true).boxed(),
            LogFormat::Text if std::env::var_os("JOURNAL_STREAM").is_some() => {
                output.with_writer(Journal).without_time().with_level(false).with_ansi(false).boxed()
            }
            LogFormat::Text => output.with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).boxed(),
        };
        tracing_subscriber::registry()
            .with(filter)
            .with(output)
            .try_init()
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self { level })
    }

    /// Changes the level.
    ///
    /// # Errors
    /// If it is no filter; the old one stays.
    pub fn set_level(&self, level: &str) -> Result<(), TelemetryError> {
        let failed = |message: String| TelemetryError { level: level.to_owned(), message };
        let filter = filter(level).map_err(failed)?;
        self.level.reload(filter).map_err(|error| failed(error.to_string()))
    }
}

/// Standard error, as journald reads it: each line begins with its priority (sd-daemon(3)).
struct Journal;

impl<'a> MakeWriter<'a> for Journal {
    type Writer = Prioritised;

    fn make_writer(&'a self) -> Self::Writer {
        Prioritised("<6>")
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        Prioritised(priority(*metadata.level()))
    }
}

/// The priorities of syslog(3).
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}

/// Writes one event, which arrives whole.
struct Prioritised(&'static str);

impl Write for Prioritised {
    fn write(&mut self, event: &[u8]) -> std::io::Result<usize> {
        let mut line = Vec::with_capacity(self.0.len() + event.len());
        line.extend_from_slice(self.0.as_bytes());
        line.extend_from_slice(event);
        // In one write, so that lines of several threads don't mix.
        std::io::stderr().write_all(&line)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The libraries below speak of every packet at `info` and repeat our own warnings: they are quiet unless the level
/// names them.
fn filter(level: &str) -> Result<EnvFilter, String> {
    let filter =
        if level.contains('=') { level.to_owned() } else { format!("{level},rumqttc=error,rumqttd=off,ort=warn") };
    EnvFilter::try_new(filter).map_err(|error| error.to_string())
}

/// Lets one of many equal log lines through a minute, for each key (a camera, say).
#[derive(Debug)]
pub struct Throttle {
    last: Mutex<HashMap<String, Instant>>,
}

/// Keys remembered: past this the oldest knowledge is dropped, and a line may be repeated.
const MAX_KEYS: usize = 4096;
const EVERY: Duration = Duration::from_secs(60);

impl Default for Throttle {
    fn default() -> Self {
        Self { last: Mutex::new(HashMap::new()) }
    }
}

impl Throttle {
    /// Whether a line for `key` may be written now.
    #[must_use]
    pub fn allows(&self, key: &str) -> bool {
        self.allows_at(key, Instant::now())
    }

    fn allows_at(&self, key: &str, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(said) = last.get_mut(key) {
            let due = now.duration_since(*said) >= EVERY;
            if due {
                *said = now;
            }
            return due;
        }
        if last.len() >= MAX_KEYS {
            last.retain(|_, said| now.duration_since(*said) < EVERY);
            if last.len() >= MAX_KEYS {
                last.clear();
            }
        }
        last.insert(key.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_minute_for_each_key_and_memory_stays_bounded() {
        let throttle = Throttle::default();
        let start = Instant::now();
        assert!(throttle.allows_at("gate", start));
        assert!(!throttle.allows_at("gate", start + EVERY / 2));
        assert!(throttle.allows_at("door", start + EVERY / 2));
        assert!(throttle.allows_at("gate", start + EVERY));
        for n in 0..3 * MAX_KEYS {
            assert!(throttle.allows_at(&format!("camera {n}"), start));
        }
        assert!(throttle.last.lock().unwrap().len() <= MAX_KEYS);
    }

    #[test]
    fn a_wrong_level_is_named() {
        assert!(filter("info").is_ok());
        assert!(filter("glanced=debug").is_ok());
        assert!(filter("glanced=loud").is_err());
    }
}
