//! How fast some workers are that compute in some way.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::median;
use crate::classify::session::{Computing, Runtime};
use crate::frame::Route;
use crate::frame::decode::Limits;
use crate::frame::pipeline::{LoadedModel, Pipeline, PipelineError};
use crate::frame::steps::{Occasion, Steps};
use crate::model::{Bundle, Precision};

/// Workers, and how each computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Arrangement {
    /// Frames that are classified at the same time.
    pub workers: usize,
    /// Threads of each.
    pub threads: usize,
    /// With what they compute.
    pub precision: Precision,
    /// Whether threads that wait keep their core busy for a moment.
    pub spinning: bool,
}

impl Arrangement {
    /// Of one worker.
    #[must_use]
    pub fn computing(self) -> Computing {
        Computing { threads: self.threads, precision: self.precision, spinning: self.spinning }
    }
}

/// How fast it is.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Speed {
    /// Frames a second of all workers together, decoding included.
    pub fps: f64,
    /// Time of one frame while all of them work, milliseconds: the median.
    pub ms: f64,
}

/// Classifies frames, given as files, with all workers for a while.
///
/// # Errors
/// [`PipelineError`] if the model can't be used, or a frame can't be decoded.
///
/// # Panics
/// If there are no frames.
pub fn speed(
    runtime: &Runtime,
    bundle: &Arc<Bundle>,
    arrangement: Arrangement,
    (limits, oversample): (Limits, f32),
    frames: &[Vec<u8>],
    measured: Duration,
) -> Result<Speed, PipelineError> {
    /// Frames before it counts.
    const WARM_UP: usize = 2;
    let pipelines = (0..arrangement.workers).map(|_| {
        let model = LoadedModel::open(runtime, bundle, arrangement.computing())?;
        Ok(Pipeline::of(vec![model], limits).oversampled(oversample))
    });
    let pipelines = pipelines.collect::<Result<Vec<_>, PipelineError>>()?;
    let work = |mut pipeline: Pipeline| {
        let mut times = Vec::new();
        let mut frames = frames.iter().cycle();
        let mut look = || {
            let begin = Instant::now();
            let frame = frames.next().expect("there are frames");
            pipeline.classify(frame, &Route::WHOLE, &Steps::default(), Occasion::default())?;
            Ok::<_, PipelineError>(begin.elapsed().as_secs_f64())
        };
        for _ in 0..WARM_UP {
            look()?;
        }
        let begin = Instant::now();
        while begin.elapsed() < measured || times.is_empty() {
            times.push(look()?);
        }
        Ok((times.len() as f64 / begin.elapsed().as_secs_f64(), times))
    };
    let worked = thread::scope(|scope| {
        let threads: Vec<_> = pipelines.into_iter().map(|pipeline| scope.spawn(move || work(pipeline))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect::<Result<Vec<_>, PipelineError>>()
    })?;
    let fps = worked.iter().map(|(fps, _)| fps).sum();
    let times = worked.into_iter().flat_map(|(_, times)| times).collect();
    Ok(Speed { fps, ms: median(times) * 1e3 })
}
