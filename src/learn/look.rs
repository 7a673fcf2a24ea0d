//! The features of exhibits: from the cache, or by the network.

use std::num::NonZero;
use std::path::Path;
use std::thread;

use super::Stopped;
use super::examples::Exhibit;
use super::features::{Cache, Features};
use crate::classify::session::SessionError;
use crate::classify::views::Views;
use crate::eval::run;
use crate::feedback::View as Store;
use crate::frame::Route;
use crate::frame::pipeline::Pipeline;
use crate::frame::steps::{Looking, Occasion, Steps};
use crate::model::onnx::{Linear, Onnx, OnnxError};
use crate::model::{Head, InputSpec};

/// What makes features of pictures.
#[derive(Debug)]
pub struct Eye {
    cache: Cache,
    steps: Steps,
    /// Features of a view.
    features: usize,
    views: usize,
}

impl Eye {
    /// For a network with a last layer of `features` features. Those are kept below `root`: they stay while nothing but the last
    /// layer changes.
    ///
    /// # Errors
    /// In words, if the last layer can't be taken off, or the folder can't be made.
    pub fn new(input: &InputSpec, onnx: &Onnx, head: &Head, features: usize, root: &Path) -> Result<Self, String> {
        let lesson = Views::lesson(usize::MAX);
        let maker = trunk(onnx, head, features).map_err(|error| error.to_string())?;
        let input = format!("{input:?} {:?}", lesson.views());
        let len = features * lesson.views().len();
        let cache = Cache::open(root, &[&maker, input.as_bytes()], len);
        let cache = cache.map_err(|error| format!("{}: {error}", root.display()))?;
        let views = lesson.views().len();
        let steps = Steps { looking: Looking::Always(lesson), temperature: false, ..Steps::default() };
        Ok(Self { cache, steps, features, views })
    }

    /// Views of a picture, the centre view first.
    #[must_use]
    pub fn views(&self) -> usize {
        self.views
    }

    /// The features of each exhibit, or why there are none. Each pipeline looks on a thread of its own; it must have been opened
    /// [with features](Pipeline::with_features), and keep those of each view. What is new is kept.
    ///
    /// # Errors
    /// [`Stopped`] if it was; what was looked at by then is kept.
    pub fn look(
        &self,
        pipelines: &mut [Pipeline],
        store: &Store,
        exhibits: &[Exhibit],
        stopped: &(dyn Fn() -> bool + Sync),
        looked: &(dyn Fn() + Sync),
    ) -> Result<Vec<Result<Features, String>>, Stopped> {
        let all = run::in_parallel(pipelines, exhibits.len(), |pipeline, index| {
            if stopped() {
                return Err(Stopped);
            }
            let features = self.one(pipeline, store, &exhibits[index]);
            looked();
            Ok(features)
        });
        all.into_iter().collect()
    }

    fn one(&self, pipeline: &mut Pipeline, store: &Store, exhibit: &Exhibit) -> Result<Features, String> {
        if let Some(kept) = self.cache.get(exhibit) {
            return Ok(kept);
        }
        look_at(pipeline, store, exhibit, &self.steps)?;
        let each = pipeline.each_features();
        if each.len() != self.features * self.views {
            return Err(format!("the network gave {} features of {}", each.len(), self.features * self.views));
        }
        let features = Features::new(pipeline.hash(), each);
        if let Err(error) = self.cache.put(exhibit, &features) {
            tracing::debug!(%error, "features were not kept");
        }
        Ok(features)
    }

    /// Forgets the features of all but these.
    pub fn keep_only(&self, exhibits: &[Exhibit]) {
        self.cache.retain(exhibits);
    }
}

/// A pipeline for each core, but no more than there are exhibits; each keeps the features of each view.
///
/// # Errors
/// That of `open`.
pub(super) fn pipelines(
    exhibits: usize,
    open: impl Fn() -> Result<Pipeline, SessionError>,
) -> Result<Vec<Pipeline>, SessionError> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get).min(exhibits.max(1));
    let mut pipelines = (0..cores).map(|_| open()).collect::<Result<Vec<_>, _>>()?;
    pipelines.iter_mut().for_each(Pipeline::keep_each_features);
    Ok(pipelines)
}

/// Looks at the part of an exhibit's picture that it is about.
pub(super) fn look_at(pipeline: &mut Pipeline, store: &Store, exhibit: &Exhibit, steps: &Steps) -> Result<(), String> {
    let picture = store.picture(&exhibit.blob).map_err(|error| format!("{:#}", anyhow::Error::new(error)))?;
    let route = Route { crop: exhibit.crop, ..Route::WHOLE };
    let seen = pipeline.classify(&picture, &route, steps, Occasion::default());
    seen.map(drop).map_err(|error| error.to_string())
}

/// All of a network but its last layer, as bytes.
fn trunk(onnx: &Onnx, head: &Head, features: usize) -> Result<Vec<u8>, OnnxError> {
    let mut empty = onnx.clone();
    empty.set_head(head, &Linear { classes: 1, features, weight: vec![0.0; features], bias: vec![0.0] })?;
    Ok(empty.to_bytes())
}
