//! Cross-fitting: each picture is judged by values that were fitted on the others.

use std::thread;

use super::figures::{SEED, by_picture, mean};
use super::{Answer, Plan, Replay, Sighted, Values};
use crate::eval::metrics::{Interval, Prediction, Threshold, bootstrap, threshold};

/// Pictures are dealt to so many folds. Those of a class stand together, so each fold has some of each.
const FOLDS: usize = 5;
/// Strengths of the prior that are tried beside none.
const STRENGTHS: [f32; 6] = [0.02, 0.05, 0.1, 0.2, 0.3, 0.5];
/// A precision that fewer answers reach may be luck.
const FEWEST_ANSWERS: usize = 20;

/// What was fitted.
#[derive(Clone, Debug)]
pub struct Fit {
    /// The values, fitted on all pictures.
    pub values: Values,
    /// What was answered with the values before.
    pub before: Vec<Answer>,
    /// What is answered, each picture by values that were fitted without it.
    pub after: Vec<Answer>,
    /// What came of the prior; `None` if there is none.
    pub prior: Option<PriorTrial>,
    /// The threshold that gives the precision that was asked for on the pictures as they are; `None` if none does.
    pub threshold: Option<Threshold>,
}

/// What the prior gives on pictures that its strength was not chosen on.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct PriorTrial {
    /// The strength that was best, of all pictures; 0 if none.
    pub best: f32,
    /// By how much the log-likelihood of the right class grows, in the mean.
    pub gain: f64,
    /// The 95 % interval of that.
    pub interval: Interval,
    /// What it adds to the share of pictures with the right class among the best three, in points.
    pub top3_points: f64,
    /// Whether it helps for certain, and so is used.
    pub helps: bool,
}

/// Fits temperatures, the prior's strength if `replay` has a prior, and the threshold for a precision.
///
/// The prior is used if the log-likelihood's gain has an interval above zero and top-3 does not fall, both on pictures that
/// took no part in the choice of its strength. Temperatures are fitted without it. Only pictures from the number `prior_from`
/// on judge it: it may have been learnt from those before. `None` if `replay` has no prior; the strength stays as it is then.
#[must_use]
pub fn fit(
    sighted: &[Sighted],
    present: &Values,
    replay: &Replay<'_>,
    prior_from: Option<usize>,
    precision: f64,
) -> Fit {
    let plan = Plan::new(sighted, present);
    let without = |fold: Option<usize>| {
        let among: Vec<_> = sighted.iter().filter(|sighted| Some(fold_of(sighted.picture)) != fold).collect();
        plan.temperatures(&among, &mut replay.clone())
    };
    let (mut values, folds) = thread::scope(|scope| {
        let folds: Vec<_> = (0..FOLDS).map(|fold| scope.spawn(move || without(Some(fold)))).collect();
        let all = without(None);
        let joined = folds.into_iter().map(thread::ScopedJoinHandle::join);
        let folds: Vec<Values> =
            joined.map(|fold| fold.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect();
        (all, folds)
    });
    let mut replay = replay.clone();
    let mut answers = |values: &dyn Fn(usize) -> Values| -> Vec<Answer> {
        sighted.iter().map(|sighted| replay.answer(sighted, &values(fold_of(sighted.picture)))).collect()
    };
    let before = answers(&|_| *present);
    let mut after = answers(&|fold| folds[fold]);
    let prior = prior_from.map(|from| {
        let begin = after.partition_point(|answer| answer.picture < from);
        let tried = STRENGTHS
            .map(|strength| answers(&|fold| Values { prior_strength: strength, ..folds[fold] }).split_off(begin));
        let (trial, lifted) = try_prior(&after[begin..], &tried);
        if trial.helps {
            values.prior_strength = trial.best;
            after.splice(begin.., lifted);
        }
        trial
    });
    if prior.is_none() {
        values.prior_strength = present.prior_strength;
    }
    // Copies that were made worse are no sample of what comes in.
    let as_they_are = after.iter().filter(|answer| answer.degradation.is_none());
    let predictions: Vec<Prediction> = as_they_are.map(|answer| answer.prediction).collect();
    let threshold = threshold(&predictions, precision)
        .filter(|threshold| threshold.answered >= FEWEST_ANSWERS)
        // A little lower, so that no answer falls below by rounding.
        .map(|threshold| Threshold { below: (threshold.below * 1e4).floor() / 1e4, ..threshold });
    Fit { values, before, after, prior, threshold }
}

fn fold_of(picture: usize) -> usize {
    picture % FOLDS
}

/// Compares answers without the prior to those at each strength. Also what is answered if each fold's strength is the best of
/// the other folds.
fn try_prior(none: &[Answer], tried: &[Vec<Answer>]) -> (PriorTrial, Vec<Answer>) {
    let best_but = |fold: Option<usize>| {
        let loss = |answers: &[Answer]| {
            let others = answers.iter().filter(|answer| Some(fold_of(answer.picture)) != fold);
            others.map(|answer| answer.log_loss).sum::<f64>()
        };
        let all = std::iter::once((0.0, none)).chain(STRENGTHS.into_iter().zip(tried.iter().map(Vec::as_slice)));
        all.map(|(strength, answers)| (loss(answers), strength, answers))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map_or((0.0, none), |(_, strength, answers)| (strength, answers))
    };
    let folds: Vec<_> = (0..FOLDS).map(|fold| best_but(Some(fold)).1).collect();
    let lifted: Vec<Answer> =
        none.iter().enumerate().map(|(index, answer)| folds[fold_of(answer.picture)][index]).collect();
    let both: Vec<(Answer, Answer)> = none.iter().copied().zip(lifted.iter().copied()).collect();
    let gain = |pictures: &[&[(Answer, Answer)]]| mean(pictures, |(none, lifted)| none.log_loss - lifted.log_loss);
    let pictures = by_picture(&both, |(none, _)| none.picture);
    let interval = bootstrap(&pictures, SEED, gain).unwrap_or(Interval { low: 0.0, high: 0.0 });
    let top3_points = 100.0
        * mean(&pictures, |(none, lifted)| f64::from(u8::from(lifted.in_top3)) - f64::from(u8::from(none.in_top3)));
    let best = best_but(None).0;
    let helps = best > 0.0 && interval.low > 0.0 && top3_points >= 0.0;
    (PriorTrial { best, gain: gain(&pictures), interval, top3_points, helps }, lifted)
}
