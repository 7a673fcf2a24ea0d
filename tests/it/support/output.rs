//! What a child process writes, line by line, for as long as it runs.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::Value;

use super::PATIENCE;

/// The lines so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
}

impl Output {
    /// Reads `source` to its end, on a thread of its own.
    pub(crate) fn of(source: impl Read + Send + 'static) -> Self {
        let output = Self::default();
        let shared = Arc::clone(&output.0);
        std::thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while source.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                shared.lines.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                shared.grown.notify_all();
                line.clear();
            }
        });
        output
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn text(&self) -> String {
        self.lock().join("\n")
    }

    /// The log lines (JSON) that say `message`, so far.
    pub(crate) fn said(&self, message: &str) -> Vec<Value> {
        self.lock().iter().filter_map(|line| saying(line, message)).collect()
    }

    /// Waits for so many log lines that say `message`, and returns all there are.
    pub(crate) fn wait_for(&self, message: &str, count: usize) -> Vec<Value> {
        let end = Instant::now() + *PATIENCE;
        let mut lines = self.lock();
        loop {
            let found: Vec<_> = lines.iter().filter_map(|line| saying(line, message)).collect();
            if found.len() >= count {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let log = lines.join("\n");
                drop(lines);
                panic!("{} of {count} lines {message:?} in {:?}:\n{log}", found.len(), *PATIENCE);
            }
            lines = self.0.grown.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn saying(line: &str, message: &str) -> Option<Value> {
    let line: Value = serde_json::from_str(line).ok()?;
    line["message"].as_str()?.contains(message).then_some(line)
}
