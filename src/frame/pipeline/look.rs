//! How a picture is looked at: view by view, until it is enough.

use std::time::Instant;

use super::{LoadedModel, Pipeline, PipelineError};
use crate::classify::dynamic;
use crate::classify::quality::{Condition, Quality};
use crate::classify::rank::{self, Ranked};
use crate::classify::temperature;
use crate::classify::views::View;
use crate::frame::ask::ViewPicture;
use crate::frame::decode::Need;
use crate::frame::glance::Took;
use crate::frame::{Route, jpeg};
use crate::model::OutputKind;

/// Quality of the pictures that show what the network has seen.
const PICTURE_QUALITY: f32 = 75.0;

/// An image that is being looked at.
pub(super) struct Look<'a> {
    pub(super) image: &'a [u8],
    pub(super) route: &'a Route,
    /// What the decoder was asked for last.
    pub(super) decoded: Option<Need>,
    /// Views that are in the sum.
    pub(super) views: u32,
    /// The best class of the first view, once there is a second.
    pub(super) best: Option<u32>,
    /// Another view had another.
    pub(super) disagree: bool,
    pub(super) took: Took,
}

impl Pipeline {
    /// The quality of the centre view, which is prepared, chooses the views, and the margin so far how many of them.
    ///
    /// If the frame is averaged with `before` others of its scene, the views take turns over the frames, and once each has
    /// had its turn, one a frame is enough: the mean has seen them all.
    pub(super) fn look_as_needed(
        &mut self,
        look: &mut Look<'_>,
        budget: f32,
        hurry: bool,
        scaled: bool,
        before: usize,
    ) -> Result<Condition, PipelineError> {
        self.budget.count_frame(budget);
        let begin = Instant::now();
        let (pixels, width) = self.views.last();
        let condition = Quality::of(pixels, width, &mut self.brightness).condition();
        look.took.decode += begin.elapsed();
        let LoadedModel { bundle, session } = &mut self.models[look.route.model];
        session.set_gain(bundle.gains.as_ref().and_then(|gains| gains.of(condition)));
        let views = dynamic::views_for(condition);
        let mut in_turn = views.iter().cycle().skip(before % views.len()).take(views.len());
        // Most frames need no more than the first: what the others show is decoded when it is needed.
        let first = in_turn.next().unwrap_or(&View::CENTER);
        if *first != View::CENTER {
            self.prepare(look, first, std::slice::from_ref(first))?;
        }
        self.run(look, scaled.then_some(condition))?;
        for view in in_turn {
            let begin = Instant::now();
            let (top, ranked) = rank::top::<2>(&self.sum);
            let top = top.map(|sum| Ranked { score: sum.score / look.views as f32, ..sum });
            let enough =
                hurry || before >= views.len() || !dynamic::is_unsure(condition, &top[..ranked]) || !self.budget.take();
            look.took.post += begin.elapsed();
            if enough {
                break;
            }
            self.prepare(look, view, views)?;
            self.run(look, scaled.then_some(condition))?;
        }
        Ok(condition)
    }

    /// Makes a view in the session's input. What `all` of the views show is decoded, unless it has been.
    pub(super) fn prepare(&mut self, look: &mut Look<'_>, view: &View, all: &[View]) -> Result<(), PipelineError> {
        let LoadedModel { bundle, session } = &mut self.models[look.route.model];
        let begin = Instant::now();
        if std::mem::take(&mut self.at_center) {
            self.hash = Some(self.views.hash());
        }
        let need = bundle.input.need_at(look.route.crop, all, self.oversample);
        if look.decoded != Some(need) {
            self.decoder.decode(look.image, &need)?;
            look.decoded = Some(need);
        }
        self.views.make(self.decoder.picture(), look.route.crop, &bundle.input, view, session.input())?;
        self.at_center = *view == View::CENTER && self.hash.is_none();
        self.prepared = *view;
        look.took.decode += begin.elapsed();
        Ok(())
    }

    /// Runs the network on the view that was prepared, and adds its probabilities to the sum: at the temperature for a
    /// condition, or at that of 1.
    pub(super) fn run(&mut self, look: &mut Look<'_>, condition: Option<Condition>) -> Result<(), PipelineError> {
        let LoadedModel { bundle, session } = &mut self.models[look.route.model];
        if let Some(pictures) = &mut self.pictures {
            let (pixels, width) = self.views.last();
            let rgb: Vec<u8> = pixels.iter().flat_map(|pixel| pixel.0).collect();
            // Only memory can be lacking, and then the answer is worth more than its picture.
            if let Ok(jpeg) = jpeg::encode(&rgb, width, pixels.len() / width.max(1), PICTURE_QUALITY) {
                pictures.push(ViewPicture { view: self.prepared, jpeg });
            }
        }
        let begin = Instant::now();
        let raw = session.run()?;
        if let Some(kept) = &mut self.raw {
            kept.extend_from_slice(raw);
        }
        let inferred = Instant::now();
        if raw.iter().any(|score| !score.is_finite()) {
            return Err(PipelineError::NotFinite { model: bundle.name.clone() });
        }
        let first = look.views == 0;
        let scores = if first { &mut self.sum } else { &mut self.scores };
        scores.resize(raw.len(), 0.0);
        let temperature = condition.map_or(1.0, |condition| bundle.temperature_for(condition));
        match bundle.output.kind {
            OutputKind::Logits => temperature::softmax(raw, temperature, scores),
            OutputKind::Probabilities => temperature::from_probabilities(raw, temperature, scores),
        }
        if let Some(each) = &mut self.each_features {
            each.extend_from_slice(session.features());
        }
        if first {
            self.features.clear();
        }
        self.features.resize(session.features().len(), 0.0);
        self.features.iter_mut().zip(session.features()).for_each(|(sum, feature)| *sum += feature);
        if !first {
            let best = |scores: &[f32]| rank::top::<1>(scores).0[0].class;
            let before = *look.best.get_or_insert_with(|| best(&self.sum));
            look.disagree |= best(&self.scores) != before;
            self.sum.iter_mut().zip(&self.scores).for_each(|(sum, score)| *sum += score);
        }
        look.views += 1;
        look.took.infer += inferred - begin;
        look.took.post += inferred.elapsed();
        Ok(())
    }
}
