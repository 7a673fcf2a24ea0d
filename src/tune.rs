//! What suits this box: how many workers and threads, which precision, whether threads spin, how large frames are decoded.
//!
//! What the configuration leaves open is decided here: by what was measured on this box (`glanced tune`), if that still holds,
//! and by rules of thumb else. Only precision is measured without being asked for, when a model is first loaded.

mod measure;
mod precision;
mod remembered;
mod scale;
mod scene;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::thread;

pub use self::measure::{Arrangement, Speed, speed};
pub use self::precision::Measured;
use self::precision::compare;
pub use self::remembered::Remembered;
pub use self::scale::{OVERSAMPLES, Scale, choose, scales};
pub use self::scene::{scene, scene_pixels};
use crate::classify::session::{Computing, Runtime, SessionError};
pub use crate::classify::views::OVERSAMPLE;
use crate::config;
use crate::model::{Bundle, Precision};

/// How the workers of a node compute on this box.
#[derive(Clone, Debug)]
pub struct Tuning {
    runtime: Runtime,
    cache: Option<Arc<Path>>,
    /// Frames that are classified at the same time.
    pub workers: usize,
    /// Threads of each.
    pub threads: usize,
    /// Whether threads that wait keep their core busy for a moment.
    pub spinning: bool,
    /// The least pixels of a decoded frame for one of the resized frame.
    pub oversample: f32,
    precision: Option<Precision>,
}

impl Tuning {
    /// What the configuration says, and for what it leaves open, what was measured or is usual.
    #[must_use]
    pub fn new(config: &config::Config, runtime: &Runtime) -> Self {
        let cache = config.model.cache_dir().map(Arc::from);
        let remembered = Remembered::read(cache.as_deref(), runtime.machine());
        let arrangement =
            remembered.arrangement.filter(|arrangement| arrangement.workers * arrangement.threads <= 2 * cores());
        let config::Inference { workers, threads_per_worker, spinning, precision, .. } = config.inference;
        let (workers, threads) = match (workers, threads_per_worker, arrangement) {
            (None, None, Some(Arrangement { workers, threads, .. })) => (workers, threads),
            _ => parallelism(workers, threads_per_worker, cores()),
        };
        let measured_spinning = arrangement.is_some_and(|found| found.threads == threads && found.spinning);
        Self {
            runtime: runtime.clone(),
            cache,
            workers,
            threads,
            // Threads that wait for work must leave the cores to decoding and to the other workers, unless that was measured.
            spinning: spinning.unwrap_or(measured_spinning),
            oversample: config.decode.oversample.or(remembered.oversample).unwrap_or(OVERSAMPLE),
            precision,
        }
    }

    /// How a session of this model is to compute. Measures, for a second or two, if nobody has said which precision to use, the bundle
    /// has both, and this model was never measured on this box; that is remembered.
    ///
    /// # Errors
    /// [`SessionError`] if a network can't be loaded.
    pub fn computing(&self, bundle: &Bundle) -> Result<Computing, SessionError> {
        let computing = Computing { threads: self.threads, precision: Precision::Fp32, spinning: self.spinning };
        let precision = match (self.precision, &bundle.int8) {
            (Some(Precision::Int8), None) => {
                tracing::warn!(
                    model = bundle.name,
                    version = bundle.version,
                    "inference.precision is \"int8\", but this version has no such network: it computes in fp32"
                );
                Precision::Fp32
            }
            (Some(precision), _) => precision,
            (None, None) => Precision::Fp32,
            (None, Some(_)) => self.measured(bundle, computing)?,
        };
        Ok(Computing { precision, ..computing })
    }

    fn measured(&self, bundle: &Bundle, computing: Computing) -> Result<Precision, SessionError> {
        let remembered = Remembered::read(self.cache.as_deref(), self.runtime.machine());
        if let Some(measured) = remembered.precision(&bundle.name) {
            return Ok(measured.choice());
        }
        let measured = compare(&self.runtime, bundle, computing)?;
        let Measured { fp32_ms, int8_ms, .. } = measured;
        let choice = measured.choice();
        tracing::info!(
            model = bundle.name,
            fp32_ms,
            int8_ms,
            choice = choice.name(),
            "the model's precision was measured"
        );
        let kept = Remembered::change(self.cache.as_deref(), self.runtime.machine(), |remembered| {
            remembered.models.insert(bundle.name.clone(), measured);
        });
        if let Err(error) = kept {
            tracing::debug!(%error, "what was measured is not remembered");
        }
        Ok(choice)
    }
}

/// The middle one of some measurements: the upper one, if two are.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Cores that this process may use.
#[must_use]
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// How many workers, and how many threads each computes with, where nothing was measured.
///
/// One thread a worker and a worker a core gives the most frames a second: what two threads win on one frame (a third
/// of the time, where a half would be even) they lose on two.
fn parallelism(workers: Option<usize>, threads: Option<usize>, cores: usize) -> (usize, usize) {
    match (workers, threads) {
        (Some(workers), Some(threads)) => (workers, threads),
        (Some(workers), None) => (workers, (cores / workers).max(1)),
        (None, Some(threads)) => ((cores / threads).max(1), threads),
        (None, None) => (cores, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_shared_out() {
        assert_eq!(parallelism(None, None, 4), (4, 1));
        assert_eq!(parallelism(Some(2), None, 4), (2, 2));
        assert_eq!(parallelism(None, Some(4), 4), (1, 4));
        assert_eq!(parallelism(None, Some(8), 4), (1, 8));
        assert_eq!(parallelism(Some(8), None, 4), (8, 1));
        assert_eq!(parallelism(Some(3), Some(3), 4), (3, 3));
    }
}
