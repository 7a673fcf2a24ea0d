//! What came of a picture whose class is known, and of many.

use serde::Serialize;

use super::metrics::{Interval, Prediction, brier, ece, negative_log_likelihood, wilson};
use crate::classify::quality::Condition;
use crate::frame::glance::Glance;

/// Bins of the calibration error, as is usual.
pub const BINS: usize = 15;

/// What came of one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// What it shows.
    pub class: u32,
    /// What was the best answer.
    pub best: u32,
    /// Its probability.
    pub confidence: f32,
    /// How many classes were thought likelier than the right one.
    pub ahead: usize,
    /// Negative logarithm of the right class's probability.
    pub log_loss: f64,
    /// Sum of the squared errors of all probabilities.
    pub brier: f64,
    /// Views that were looked at.
    pub views: u32,
    /// What was wrong with it, if that was asked.
    pub condition: Option<Condition>,
    /// From its bytes to the answer, in milliseconds.
    pub ms: f64,
}

impl Outcome {
    /// Of what was seen, with the probabilities of all classes.
    #[must_use]
    pub fn new(class: u32, glance: &Glance, probabilities: &[f32]) -> Self {
        let right = probabilities.get(class as usize).copied().unwrap_or(0.0);
        // As it is ranked: of equal ones, the lower number comes first.
        let before = |(other, p): (usize, &f32)| *p > right || (*p >= right && other < class as usize);
        let best = glance.top().first();
        let took = glance.took;
        Self {
            class,
            best: best.map_or(u32::MAX, |best| best.class),
            confidence: best.map_or(0.0, |best| best.score),
            ahead: probabilities.iter().enumerate().filter(|&pair| before(pair)).count(),
            log_loss: negative_log_likelihood(probabilities, class),
            brier: brier(probabilities, class),
            views: glance.views,
            condition: glance.condition,
            ms: (took.decode + took.infer + took.post).as_secs_f64() * 1e3,
        }
    }

    /// The right class is among the best `k`.
    #[must_use]
    pub fn is_in_top(&self, k: usize) -> bool {
        self.ahead < k
    }

    /// For measures of calibration.
    #[must_use]
    pub fn prediction(&self) -> Prediction {
        Prediction { confidence: self.confidence, correct: self.is_in_top(1) }
    }
}

/// What came of many pictures. Rates are 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// How many.
    pub n: usize,
    /// Share with the right class as the best.
    pub top1: f64,
    /// Share with the right class among the best three, and its 95 % interval.
    pub top3: f64,
    /// Lower end of the interval.
    pub top3_low: f64,
    /// Upper end of the interval.
    pub top3_high: f64,
    /// Expected calibration error, 15 bins.
    pub ece: f64,
    /// Mean negative logarithm of the right class's probability.
    pub log_loss: f64,
    /// Mean Brier score.
    pub brier: f64,
    /// Mean views a picture.
    pub views: f64,
    /// Mean time a picture, in milliseconds.
    pub ms: f64,
}

impl Summary {
    /// Of outcomes; `None` if there are none.
    #[must_use]
    pub fn of(outcomes: &[Outcome]) -> Option<Self> {
        let n = outcomes.len();
        if n == 0 {
            return None;
        }
        let within = |k| outcomes.iter().filter(|outcome| outcome.is_in_top(k)).count();
        let mean = |value: fn(&Outcome) -> f64| outcomes.iter().map(value).sum::<f64>() / n as f64;
        let Interval { low, high } = wilson(within(3), n);
        let predictions: Vec<_> = outcomes.iter().map(Outcome::prediction).collect();
        Some(Self {
            n,
            top1: within(1) as f64 / n as f64,
            top3: within(3) as f64 / n as f64,
            top3_low: low,
            top3_high: high,
            ece: f64::from(ece(&predictions, BINS)),
            log_loss: mean(|outcome| outcome.log_loss),
            brier: mean(|outcome| outcome.brier),
            views: mean(|outcome| f64::from(outcome.views)),
            ms: mean(|outcome| outcome.ms),
        })
    }
}
