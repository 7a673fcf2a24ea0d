//! One image through decoding, the network and ranking: what a worker does, and `glanced classify`.

mod look;

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use fast_image_resize::pixels::U8x3;

use self::look::Look;
use super::Route;
use super::ask::ViewPicture;
use super::decode::{DecodeError, Decoder, Limits};
use super::glance::{Glance, Took};
use super::steps::{Looking, Occasion, Series, Steps};
use crate::classify::dhash::PictureHash;
use crate::classify::dynamic::Budget;
use crate::classify::prior;
use crate::classify::quality::Condition;
use crate::classify::session::{Computing, Runtime, Session, SessionError};
use crate::classify::views::{OVERSAMPLE, View, ViewError, ViewMaker};
use crate::model::Bundle;

/// Everything one thread needs to classify: sessions of all models, and buffers that are reused.
#[derive(Debug)]
pub struct Pipeline {
    models: Vec<LoadedModel>,
    decoder: Decoder,
    /// The least pixels of a decoded frame for one of the resized frame.
    oversample: f32,
    views: ViewMaker,
    /// Whether the view that was made last is the centre view, and its hash not yet taken.
    at_center: bool,
    /// The view that was made last.
    prepared: View,
    hash: Option<PictureHash>,
    /// Brightness of a view's pixels.
    brightness: Vec<u16>,
    budget: Budget,
    /// What the network sees of each view, if it is to be kept.
    pictures: Option<Vec<ViewPicture>>,
    /// What the network said of each view, if it is to be kept.
    raw: Option<Vec<f32>>,
    /// The input of the network's last layer, summed over the views.
    features: Vec<f32>,
    /// The same, view after view, if it is to be kept.
    each_features: Option<Vec<f32>>,
    /// Probabilities of one view, if there is more than one.
    scores: Vec<f32>,
    /// Probabilities of all views: their sum while there may be more to come, then their mean.
    sum: Vec<f32>,
    /// The same before the mean with the camera's frames before, if there is one.
    said: Vec<f32>,
}

/// A model with a session of its network, ready to be used by one pipeline.
#[derive(Debug)]
pub struct LoadedModel {
    bundle: Arc<Bundle>,
    session: Session,
}

impl LoadedModel {
    /// Loads the network, and lets it look at nothing once: what a file says of a network is
    /// no promise that it runs.
    ///
    /// # Errors
    /// [`PipelineError`] if the network can't be loaded or run, or its scores are no numbers.
    pub fn open(runtime: &Runtime, bundle: &Arc<Bundle>, computing: Computing) -> Result<Self, PipelineError> {
        let mut session = Session::open(runtime, bundle, computing)?;
        session.input().fill(0.0);
        match session.run()?.iter().all(|score| score.is_finite()) {
            true => Ok(Self { bundle: Arc::clone(bundle), session }),
            false => Err(PipelineError::NotFinite { model: bundle.name.clone() }),
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
    /// Loads a session of every model.
    ///
    /// # Errors
    /// [`SessionError`] if a network can't be loaded.
    pub fn new(
        runtime: &Runtime,
        models: &[Arc<Bundle>],
        computing: Computing,
        limits: Limits,
    ) -> Result<Self, SessionError> {
        Self::open(models, limits, |bundle| Session::open(runtime, bundle, computing))
    }

    /// The same, for [`Pipeline::features`].
    ///
    /// # Errors
    /// [`SessionError`] if a network can't be loaded.
    pub fn with_features(
        runtime: &Runtime,
        models: &[Arc<Bundle>],
        computing: Computing,
        limits: Limits,
    ) -> Result<Self, SessionError> {
        Self::open(models, limits, |bundle| Session::open_with_features(runtime, bundle, computing))
    }

    /// The same with another tensor of the networks in the place of their features.
    ///
    /// # Errors
    /// [`SessionError`] if a network can't be loaded, or has no such tensor.
    pub fn with_tensor(
        runtime: &Runtime,
        models: &[Arc<Bundle>],
        computing: Computing,
        limits: Limits,
        tensor: &str,
    ) -> Result<Self, SessionError> {
        Self::open(models, limits, |bundle| Session::open_with_tensor(runtime, bundle, computing, tensor))
    }

    fn open(
        models: &[Arc<Bundle>],
        limits: Limits,
        session: impl Fn(&Bundle) -> Result<Session, SessionError>,
    ) -> Result<Self, SessionError> {
        let open = |bundle: &Arc<Bundle>| Ok(LoadedModel { session: session(bundle)?, bundle: Arc::clone(bundle) });
        let models = models.iter().map(open).collect::<Result<_, SessionError>>()?;
        Ok(Self::of(models, limits))
    }

    /// Of models that are loaded already, by index.
    #[must_use]
    pub fn of(models: Vec<LoadedModel>, limits: Limits) -> Self {
        Self {
            models,
            decoder: Decoder::new(limits),
            oversample: OVERSAMPLE,
            views: ViewMaker::default(),
            at_center: false,
            prepared: View::CENTER,
            hash: None,
            brightness: Vec::new(),
            budget: Budget::default(),
            pictures: None,
            raw: None,
            features: Vec::new(),
            each_features: None,
            scores: Vec::new(),
            sum: Vec::new(),
            said: Vec::new(),
        }
    }

    /// With at least so many pixels of a decoded frame for one of the resized frame: see [`OVERSAMPLE`].
    #[must_use]
    pub fn oversampled(self, oversample: f32) -> Self {
        Self { oversample, ..self }
    }

    /// Puts another version of a model in the place of the one with this index.
    ///
    /// # Panics
    /// If there is no such model.
    pub fn replace(&mut self, model: usize, loaded: LoadedModel) {
        self.models[model] = loaded;
    }

    /// The version of a model that looks.
    ///
    /// # Panics
    /// If there is no such model.
    #[must_use]
    pub fn bundle(&self, model: usize) -> &Arc<Bundle> {
        &self.models[model].bundle
    }

    /// Classifies an encoded image (JPEG, PNG, WebP, GIF, BMP).
    ///
    /// # Errors
    /// [`PipelineError`], in words for whoever sent the image.
    ///
    /// # Panics
    /// If `route.model` is no loaded model.
    pub fn classify(
        &mut self,
        image: &[u8],
        route: &Route,
        steps: &Steps,
        occasion: Occasion<'_>,
    ) -> Result<Glance, PipelineError> {
        let ControlFlow::Continue(glance) =
            self.classify_unless(image, route, steps, occasion, |_, _| None::<Infallible>)?;
        Ok(glance)
    }

    /// The same, unless something is `known` of the centre view (its pixels, and how many there are in a row): then that is
    /// all, and the network is not run.
    ///
    /// # Errors
    /// As [`Pipeline::classify`].
    ///
    /// # Panics
    /// As [`Pipeline::classify`].
    pub fn classify_unless<K>(
        &mut self,
        image: &[u8],
        route: &Route,
        steps: &Steps,
        occasion: Occasion<'_>,
        known: impl FnOnce(&[U8x3], usize) -> Option<K>,
    ) -> Result<ControlFlow<K, Glance>, PipelineError> {
        self.hash = None;
        self.at_center = false;
        if let Some(raw) = &mut self.raw {
            raw.clear();
        }
        if let Some(each) = &mut self.each_features {
            each.clear();
        }
        let mut look =
            Look { image, route, decoded: None, views: 0, best: None, disagree: false, took: Took::default() };
        let all = if let Looking::Always(views) = &steps.looking { views.views() } else { &[View::CENTER] };
        // It is the first of every set.
        self.prepare(&mut look, &View::CENTER, all)?;
        let (pixels, width) = self.views.last();
        if let Some(known) = known(pixels, width) {
            return Ok(ControlFlow::Break(known));
        }
        let condition = match &steps.looking {
            Looking::Always(views) => {
                self.models[route.model].session.set_gain(None);
                for view in views.views() {
                    if look.views > 0 {
                        self.prepare(&mut look, view, all)?;
                    }
                    self.run(&mut look, steps.temperature.then_some(Condition::Good))?;
                }
                None
            }
            Looking::Dynamic { budget } => {
                let before = match occasion.series {
                    Some(Series { states, camera, .. }) if steps.temporal_half_life_s > 0.0 => {
                        states.frames(camera, (route.model, &self.models[route.model].bundle.version))
                    }
                    _ => 0,
                };
                Some(self.look_as_needed(&mut look, *budget, occasion.hurry, steps.temperature, before)?)
            }
        };
        let begin = Instant::now();
        let share = 1.0 / look.views as f32;
        self.sum.iter_mut().for_each(|score| *score *= share);
        let bundle = &self.models[route.model].bundle;
        if let Some(prior) = bundle.prior.as_ref().filter(|_| steps.prior) {
            prior::apply(&mut self.sum, prior, bundle.prior_strength);
        }
        self.said.clear();
        if steps.temporal_half_life_s > 0.0
            && let Some(Series { states, camera, at }) = occasion.series
        {
            self.said.extend_from_slice(&self.sum);
            let (half_life, hash) = (f64::from(steps.temporal_half_life_s), self.hash());
            let version = &self.models[route.model].bundle.version;
            states.update(camera, (route.model, version), at, half_life, hash, &mut self.sum);
        }
        let (top, ranked, unknown) = steps.rank(&self.sum, &self.models[route.model].bundle);
        let Look { views, disagree: views_disagree, mut took, .. } = look;
        took.post += begin.elapsed();
        let Route { model, crop, .. } = *route;
        let glance = Glance { model, crop, top, ranked, unknown, views, views_disagree, condition, took };
        Ok(ControlFlow::Continue(glance))
    }

    /// The hash of the centre view of the image that was classified last.
    #[must_use]
    pub fn hash(&self) -> PictureHash {
        self.hash.unwrap_or_else(|| self.views.hash())
    }

    /// Whether what the network sees is kept from now on, for [`Pipeline::take_pictures`].
    pub fn keep_pictures(&mut self, keep: bool) {
        self.pictures = keep.then(Vec::new);
    }

    /// What the network has seen of the image that was classified last, and no more is kept.
    pub fn take_pictures(&mut self) -> Vec<ViewPicture> {
        self.pictures.take().unwrap_or_default()
    }

    /// Keeps what the network says of each view from now on, for [`Pipeline::raw`].
    pub fn keep_raw(&mut self) {
        self.raw = Some(Vec::new());
    }

    /// What the network said of the image that was classified last: one number a class, view after view. Nothing, unless it
    /// was to be kept.
    #[must_use]
    pub fn raw(&self) -> &[f32] {
        self.raw.as_deref().unwrap_or_default()
    }

    /// The input of the network's last layer for the image that was classified last, summed over its views. Nothing, unless
    /// the pipeline was made [with it](Pipeline::with_features) and the bundle names it.
    #[must_use]
    pub fn features(&self) -> &[f32] {
        &self.features
    }

    /// Keeps the input of the last layer for each view from now on, for [`Pipeline::each_features`].
    pub fn keep_each_features(&mut self) {
        self.each_features = Some(Vec::new());
    }

    /// The input of the network's last layer for the image that was classified last, view after view. Nothing, unless it was
    /// to be kept; and as for [`Pipeline::features`].
    #[must_use]
    pub fn each_features(&self) -> &[f32] {
        self.each_features.as_deref().unwrap_or_default()
    }

    /// The shape of what is kept as features of a model, once it has been run; the first dimension is 1.
    ///
    /// # Panics
    /// If there is no such model.
    #[must_use]
    pub fn features_shape(&self, model: usize) -> &[usize] {
        self.models[model].session.features_shape()
    }

    /// The probabilities of all classes for the image that was classified last.
    #[must_use]
    pub fn probabilities(&self) -> &[f32] {
        &self.sum
    }

    /// The same before the mean with the camera's frames before; nothing if there was no such mean.
    #[must_use]
    pub fn said(&self) -> &[f32] {
        &self.said
    }
}
