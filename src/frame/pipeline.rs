//! One image through decoding, the network and ranking: what a worker does, and `glanced classify`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Route;
use super::decode::{DecodeError, Decoder, Limits};
use crate::classify::dhash::PictureHash;
use crate::classify::rank::{self, Ranked};
use crate::classify::session::{Runtime, Session, SessionError};
use crate::classify::temperature;
use crate::classify::views::{ViewError, ViewMaker};
use crate::config::Crop;
use crate::model::{Bundle, OutputKind};

/// Everything one thread needs to classify: sessions of all models, and buffers that are reused.
#[derive(Debug)]
pub struct Pipeline {
    models: Vec<Model>,
    decoder: Decoder,
    views: ViewMaker,
    scores: Vec<f32>,
}

#[derive(Debug)]
struct Model {
    bundle: Arc<Bundle>,
    session: Session,
}

/// What was seen in one image.
#[derive(Clone, Copy, Debug)]
pub struct Glance {
    /// Index of the model that looked.
    pub model: usize,
    /// The part of the image that it looked at; all of it if `None`.
    pub crop: Option<Crop>,
    top: [Ranked; 3],
    ranked: usize,
    /// The best score is below `classify.unknown_below`.
    pub unknown: bool,
    /// Views of the image that were looked at.
    pub views: u32,
    /// Time of each step.
    pub took: Took,
}

/// Time of each step.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    /// Image bytes to the network's input.
    pub decode: Duration,
    /// The network.
    pub infer: Duration,
    /// Scores to ranked classes.
    pub post: Duration,
}

impl Glance {
    /// The best classes, best first: three, or as many as the model has.
    #[must_use]
    pub fn top(&self) -> &[Ranked] {
        &self.top[..self.ranked]
    }

    /// How far the best score is above the second; `None` if there are not two.
    #[must_use]
    pub fn margin(&self) -> Option<f32> {
        match self.top() {
            [first, second, ..] => Some(first.score - second.score),
            _ => None,
        }
    }
}

/// Why an image could not be classified.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// It is no image, or beyond the limits.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// No view could be made of it.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The network failed.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The network's scores are no numbers.
    #[error("model {model} gave scores that are not finite")]
    NotFinite {
        /// Its name.
        model: String,
    },
}

impl Pipeline {
    /// Loads a session of every model, each to run on `threads` threads.
    ///
    /// # Errors
    /// [`SessionError`] if a network can't be loaded.
    pub fn new(
        runtime: &Runtime,
        models: &[Arc<Bundle>],
        threads: usize,
        limits: Limits,
    ) -> Result<Self, SessionError> {
        let models = models
            .iter()
            .map(|bundle| Ok(Model { session: Session::open(runtime, bundle, threads)?, bundle: Arc::clone(bundle) }))
            .collect::<Result<_, SessionError>>()?;
        Ok(Self { models, decoder: Decoder::new(limits), views: ViewMaker::default(), scores: Vec::new() })
    }

    /// Classifies an encoded image (JPEG, PNG, WebP, GIF, BMP).
    ///
    /// # Errors
    /// [`PipelineError`], in words for whoever sent the image.
    ///
    /// # Panics
    /// If `route.model` is no loaded model.
    pub fn classify(&mut self, image: &[u8], route: &Route, unknown_below: f32) -> Result<Glance, PipelineError> {
        let Model { bundle, session } = &mut self.models[route.model];
        let start = Instant::now();
        let picture = self.decoder.decode(image, &bundle.input.need(route.crop))?;
        self.views.center(picture, route.crop, &bundle.input, session.input())?;
        let decoded = Instant::now();
        let raw = session.run()?;
        let inferred = Instant::now();
        if raw.iter().any(|score| !score.is_finite()) {
            return Err(PipelineError::NotFinite { model: bundle.name.clone() });
        }
        self.scores.resize(raw.len(), 0.0);
        match bundle.output.kind {
            OutputKind::Logits => temperature::softmax(raw, bundle.temperature, &mut self.scores),
            OutputKind::Probabilities => temperature::from_probabilities(raw, bundle.temperature, &mut self.scores),
        }
        let (top, ranked) = rank::top::<3>(&self.scores);
        let unknown = rank::is_unknown(top[..ranked].first(), unknown_below);
        let took = Took { decode: decoded - start, infer: inferred - decoded, post: inferred.elapsed() };
        Ok(Glance { model: route.model, crop: route.crop, top, ranked, unknown, views: 1, took })
    }

    /// The hash of what the network saw of the image that was classified last.
    #[must_use]
    pub fn hash(&self) -> PictureHash {
        self.views.hash()
    }
}
