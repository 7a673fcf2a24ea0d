//! How good answers are, and how far that can be trusted.

use serde::Serialize;

use super::Answer;
use crate::eval::metrics::{bootstrap, ece};
use crate::eval::outcome::BINS;

/// So that the same answers give the same intervals.
pub(super) const SEED: u64 = 1;

/// A figure with its 95 % bootstrap interval. All copies of a picture are drawn together, for they are alike.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Of all pictures.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

/// How good answers are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// How many answers.
    pub n: usize,
    /// Share of the answers that are right.
    pub top1: f64,
    /// Share with the right class among the best three.
    pub top3: f64,
    /// Expected calibration error, 15 bins. Of fewer different pictures it tends to be larger, and so are both ends of its
    /// interval.
    pub ece: Figure,
    /// Mean Brier score.
    pub brier: Figure,
    /// Mean negative logarithm of the right class's probability.
    pub log_loss: Figure,
}

/// Of answers, those about copies of one picture one after another.
#[must_use]
pub fn figures(answers: &[Answer]) -> Figures {
    let share = |right: &dyn Fn(&Answer) -> bool| {
        answers.iter().filter(|answer| right(answer)).count() as f64 / answers.len().max(1) as f64
    };
    let calibration = |pictures: &[&[Answer]]| {
        let predictions: Vec<_> = pictures.iter().copied().flatten().map(|answer| answer.prediction).collect();
        f64::from(ece(&predictions, BINS))
    };
    Figures {
        n: answers.len(),
        top1: share(&|answer| answer.prediction.correct),
        top3: share(&|answer| answer.in_top3),
        ece: figure(answers, calibration),
        brier: figure(answers, |pictures| mean(pictures, |answer| answer.brier)),
        log_loss: figure(answers, |pictures| mean(pictures, |answer| answer.log_loss)),
    }
}

fn figure(answers: &[Answer], statistic: impl Fn(&[&[Answer]]) -> f64) -> Figure {
    let pictures = by_picture(answers, |answer| answer.picture);
    let value = statistic(&[answers]);
    let (low, high) = bootstrap(&pictures, SEED, &statistic).map_or((value, value), |ends| (ends.low, ends.high));
    Figure { value, low: low.min(value), high: high.max(value) }
}

/// What belongs to one picture, for each of them.
pub(super) fn by_picture<T>(all: &[T], picture: impl Fn(&T) -> usize) -> Vec<&[T]> {
    all.chunk_by(|a, b| picture(a) == picture(b)).collect()
}

/// Over all copies of all pictures; 0 of none.
pub(super) fn mean<T>(pictures: &[&[T]], value: impl Fn(&T) -> f64) -> f64 {
    let count: usize = pictures.iter().map(|copies| copies.len()).sum();
    pictures.iter().copied().flatten().map(value).sum::<f64>() / count.max(1) as f64
}
