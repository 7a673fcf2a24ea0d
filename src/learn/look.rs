//! The features of examples: from the cache, or by the network.

use std::path::Path;

use super::Stopped;
use super::examples::Example;
use super::features::{Cache, Features};
use crate::classify::views::Views;
use crate::eval::run;
use crate::feedback::View as Store;
use crate::frame::Route;
use crate::frame::pipeline::Pipeline;
use crate::frame::steps::{Looking, Occasion, Steps};
use crate::model::Bundle;
use crate::model::onnx::{Linear, Onnx, OnnxError};

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
    /// For the network of a bundle. Features are kept below `root`: they stay while nothing but the last layer changes.
    ///
    /// # Errors
    /// In words, if the network has no last layer that could be taught, or the folder can't be made.
    pub fn new(bundle: &Bundle, onnx: &Onnx, root: &Path) -> Result<Self, String> {
        let head = bundle.head.as_ref().ok_or("its bundle.toml names no [head]")?;
        let layer = onnx.head(head).map_err(|error| error.to_string())?;
        let lesson = Views::lesson(usize::MAX);
        let maker = trunk(onnx, bundle, &layer).map_err(|error| error.to_string())?;
        let input = format!("{:?} {:?}", bundle.input, lesson.views());
        let len = layer.features * lesson.views().len();
        let cache = Cache::open(root, &[&maker, input.as_bytes()], len);
        let cache = cache.map_err(|error| format!("{}: {error}", root.display()))?;
        let (features, views) = (layer.features, lesson.views().len());
        let steps = Steps { looking: Looking::Always(lesson), temperature: false, ..Steps::default() };
        Ok(Self { cache, steps, features, views })
    }

    /// Features of a view.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// Views of a picture, the centre view first.
    #[must_use]
    pub fn views(&self) -> usize {
        self.views
    }

    /// The features of each example, or why there are none. Each pipeline looks on a thread of its own; it must have been opened
    /// [with features](Pipeline::with_features). What is new is kept.
    ///
    /// # Errors
    /// [`Stopped`] if it was; what was looked at by then is kept.
    pub fn look(
        &self,
        pipelines: &mut [Pipeline],
        store: &Store,
        examples: &[Example],
        stopped: &(dyn Fn() -> bool + Sync),
        looked: &(dyn Fn() + Sync),
    ) -> Result<Vec<Result<Features, String>>, Stopped> {
        pipelines.iter_mut().for_each(Pipeline::keep_each_features);
        let all = run::in_parallel(pipelines, examples.len(), |pipeline, index| {
            if stopped() {
                return Err(Stopped);
            }
            let features = self.one(pipeline, store, &examples[index]);
            looked();
            Ok(features)
        });
        all.into_iter().collect()
    }

    fn one(&self, pipeline: &mut Pipeline, store: &Store, example: &Example) -> Result<Features, String> {
        if let Some(kept) = self.cache.get(example) {
            return Ok(kept);
        }
        let picture = store.picture(&example.blob).map_err(|error| format!("{:#}", anyhow::Error::new(error)))?;
        let route = Route { crop: example.crop, ..Route::WHOLE };
        let seen = pipeline.classify(&picture, &route, &self.steps, Occasion::default());
        seen.map_err(|error| error.to_string())?;
        let each = pipeline.each_features();
        if each.len() != self.features * self.views {
            return Err(format!("the network gave {} features of {}", each.len(), self.features * self.views));
        }
        let features = Features::new(pipeline.hash(), each);
        if let Err(error) = self.cache.put(example, &features) {
            tracing::debug!(%error, "features were not kept");
        }
        Ok(features)
    }

    /// Forgets the features of all but these.
    pub fn keep_only(&self, examples: &[Example]) {
        self.cache.retain(examples);
    }
}

/// All of a network but its last layer, as bytes.
fn trunk(onnx: &Onnx, bundle: &Bundle, layer: &Linear) -> Result<Vec<u8>, OnnxError> {
    let Some(head) = &bundle.head else { return Ok(onnx.to_bytes()) };
    let mut empty = onnx.clone();
    let features = layer.features;
    empty.set_head(head, &Linear { classes: 1, features, weight: vec![0.0; features], bias: vec![0.0] })?;
    Ok(empty.to_bytes())
}
