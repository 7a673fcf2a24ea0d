//! The bare loop: the same sessions, with nothing around them.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::super::Failure;
use crate::app::StartError;
use crate::classify::session::{Computing, Runtime, Session, SessionError};
use crate::model::Bundle;
use crate::ops::process;

/// Sessions as the daemon has them.
pub(super) struct Bare {
    sessions: Vec<Session>,
}

/// What they did.
pub(super) struct Rate {
    /// Frames a second of all together.
    pub(super) fps: f64,
    /// Processor time of a frame.
    pub(super) cpu_ms: f64,
}

impl Bare {
    pub(super) fn new(
        runtime: &Runtime,
        bundle: &Arc<Bundle>,
        workers: usize,
        computing: Computing,
    ) -> Result<Self, Failure> {
        let sessions = (0..workers)
            .map(|_| Session::open(runtime, bundle, computing))
            .collect::<Result<_, _>>()
            .map_err(StartError::from)?;
        Ok(Self { sessions })
    }

    /// Runs all of them for `measured`, after a short warm-up.
    pub(super) fn run(&mut self, measured: Duration) -> Result<Rate, Failure> {
        const WARM_UP: usize = 10;
        let counts = thread::scope(|scope| {
            let loops: Vec<_> = self
                .sessions
                .iter_mut()
                .map(|session| {
                    scope.spawn(move || {
                        session.input().fill(0.1);
                        for _ in 0..WARM_UP {
                            session.run()?;
                        }
                        let start = Instant::now();
                        let mut count = 0;
                        while start.elapsed() < measured {
                            session.run()?;
                            count += 1;
                        }
                        Ok((count, start.elapsed()))
                    })
                })
                .collect();
            loops
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect::<Result<Vec<(usize, Duration)>, SessionError>>()
        })
        .map_err(StartError::from)?;
        let fps = counts.iter().map(|(count, took)| *count as f64 / took.as_secs_f64()).sum();
        Ok(Rate { fps, cpu_ms: self.cpu_ms()? })
    }

    /// Processor time of a frame, of one session alone.
    fn cpu_ms(&mut self) -> Result<f64, Failure> {
        const COUNT: u32 = 30;
        let Some(session) = self.sessions.first_mut() else { return Ok(f64::NAN) };
        let before = process::cpu_time();
        for _ in 0..COUNT {
            session.run().map_err(StartError::from)?;
        }
        Ok((process::cpu_time() - before).as_secs_f64() * 1e3 / f64::from(COUNT))
    }
}
