//! What a pipeline would have answered with other values.

use super::{Sighted, Values};
use crate::classify::rank::{self, Ranked};
use crate::classify::{dynamic, prior, temperature};
use crate::eval::degrade::Degradation;
use crate::eval::metrics::{Prediction, brier, negative_log_likelihood};
use crate::model::{OutputKind, Prior};

/// What would have been answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The picture's number.
    pub picture: usize,
    /// What was done to it.
    pub degradation: Option<Degradation>,
    /// The best class.
    pub best: u32,
    /// Its probability, and whether it is right.
    pub prediction: Prediction,
    /// The right class is among the best three.
    pub in_top3: bool,
    /// Negative logarithm of the right class's probability.
    pub log_loss: f64,
    /// Sum of the squared errors of all probabilities.
    pub brier: f64,
}

/// Does with what a network said what [`crate::frame::pipeline::Pipeline`] does, a moment's frames apart.
#[derive(Clone, Debug)]
pub struct Replay<'a> {
    kind: OutputKind,
    prior: Option<&'a Prior>,
    /// Probabilities of one view.
    view: Vec<f32>,
    /// Their sum over the views, then their mean.
    sum: Vec<f32>,
}

impl<'a> Replay<'a> {
    /// For a network of `classes` classes.
    #[must_use]
    pub fn new(kind: OutputKind, classes: usize, prior: Option<&'a Prior>) -> Self {
        Self { kind, prior, view: vec![0.0; classes], sum: vec![0.0; classes] }
    }

    /// The probabilities of all classes. Where the number of views depends on how sure the model is, it does so here.
    pub fn probabilities(&mut self, sighted: &Sighted, temperature: f32, strength: f32) -> &[f32] {
        let mut views = 0.0;
        for raw in sighted.raw.chunks_exact(self.sum.len().max(1)) {
            let first = views == 0.0;
            if let Some(condition) = sighted.condition.filter(|_| !first) {
                let (top, ranked) = rank::top::<2>(&self.sum);
                let top = top.map(|sum| Ranked { score: sum.score / views, ..sum });
                if !dynamic::is_unsure(condition, &top[..ranked]) {
                    break;
                }
            }
            let scores = if first { &mut self.sum } else { &mut self.view };
            match self.kind {
                OutputKind::Logits => temperature::softmax(raw, temperature, scores),
                OutputKind::Probabilities => temperature::from_probabilities(raw, temperature, scores),
            }
            if !first {
                self.sum.iter_mut().zip(&self.view).for_each(|(sum, score)| *sum += score);
            }
            views += 1.0;
        }
        let share = 1.0 / views;
        self.sum.iter_mut().for_each(|score| *score *= share);
        if let Some(prior) = self.prior {
            prior::apply(&mut self.sum, prior, strength);
        }
        &self.sum
    }

    /// Negative logarithm of the right class's probability, without the prior.
    pub(super) fn log_loss(&mut self, sighted: &Sighted, temperature: f32) -> f64 {
        negative_log_likelihood(self.probabilities(sighted, temperature, 0.0), sighted.class)
    }

    /// What would have been answered with these values.
    pub fn answer(&mut self, sighted: &Sighted, values: &Values) -> Answer {
        let p = self.probabilities(sighted, values.temperature_for(sighted), values.prior_strength);
        let (top, ranked) = rank::top::<3>(p);
        let top = &top[..ranked];
        let best = top.first().copied().unwrap_or_default();
        Answer {
            picture: sighted.picture,
            degradation: sighted.degradation,
            best: best.class,
            prediction: Prediction { confidence: best.score, correct: ranked > 0 && best.class == sighted.class },
            in_top3: top.iter().any(|ranked| ranked.class == sighted.class),
            log_loss: negative_log_likelihood(p, sighted.class),
            brier: brier(p, sighted.class),
        }
    }
}
