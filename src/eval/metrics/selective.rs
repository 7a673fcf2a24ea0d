//! Answers that are only given when they are sure enough.

use serde::Serialize;

use super::Prediction;

/// What a threshold gives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CoveragePoint {
    /// The lowest confidence that is an answer.
    pub threshold: f32,
    /// How many answers are at or above it.
    pub answered: usize,
    /// The same as a fraction of all.
    pub coverage: f64,
    /// How many of them are right, as a fraction of the answers.
    pub accuracy: f64,
}

/// A threshold for `unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Threshold {
    /// Answers with less confidence are unknown. 0 if none need be.
    pub below: f32,
    /// How many answers stay.
    pub answered: usize,
    /// The same as a fraction of all.
    pub coverage: f64,
    /// How many of those that stay are right, as a fraction.
    pub precision: f64,
}

/// The curve of coverage against accuracy: the most confident answers first, down to all of them. Answers of the same
/// confidence come at once, for no threshold can part them.
#[must_use]
pub fn coverage(predictions: &[Prediction]) -> Vec<CoveragePoint> {
    let mut sorted: Vec<(f32, bool)> = predictions.iter().map(|p| (p.clean(), p.correct)).collect();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut answered, mut correct) = (0, 0);
    let point = |equal: &[(f32, bool)]| {
        answered += equal.len();
        correct += equal.iter().filter(|(_, correct)| *correct).count();
        CoveragePoint {
            threshold: equal.first().map_or(0.0, |(confidence, _)| *confidence),
            answered,
            coverage: answered as f64 / predictions.len() as f64,
            accuracy: correct as f64 / answered as f64,
        }
    };
    sorted.chunk_by(|a, b| a.0 == b.0).map(point).collect()
}

/// The lowest threshold at which the answers that stay reach a precision, so that as many as possible stay. Nothing if even
/// the surest do not reach it, or there are none.
///
/// The precision is that of these answers: of a few it may be luck. Fit on one half of the pictures, look at the other.
#[must_use]
pub fn threshold(predictions: &[Prediction], precision: f64) -> Option<Threshold> {
    let point = coverage(predictions).into_iter().rev().find(|point| point.accuracy >= precision)?;
    let below = if point.answered == predictions.len() { 0.0 } else { point.threshold };
    Some(Threshold { below, answered: point.answered, coverage: point.coverage, precision: point.accuracy })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::rank::{Ranked, is_unknown};

    fn predictions(pairs: &[(f32, bool)]) -> Vec<Prediction> {
        pairs.iter().map(|&(confidence, correct)| Prediction { confidence, correct }).collect()
    }

    #[test]
    fn by_hand() {
        let some = predictions(&[(0.5, false), (0.9, true), (0.7, true), (0.7, false), (0.3, true)]);
        let curve: Vec<_> = coverage(&some).iter().map(|p| (p.threshold, p.answered, p.coverage, p.accuracy)).collect();
        assert_eq!(curve, [(0.9, 1, 0.2, 1.0), (0.7, 3, 0.6, 2.0 / 3.0), (0.5, 4, 0.8, 0.5), (0.3, 5, 1.0, 0.6)]);
        assert_eq!(coverage(&[]), []);
    }

    #[test]
    fn the_lowest_threshold_that_reaches_the_target() {
        let some = predictions(&[(0.9, true), (0.8, false), (0.7, true), (0.6, true), (0.5, false), (0.4, false)]);
        // Rightness from the top: 1, 1/2, 2/3, 3/4, 3/5, 1/2.
        for (target, wanted) in [
            (1.0, Some((0.9, 1))),
            (0.76, Some((0.9, 1))),
            (0.75, Some((0.6, 4))),
            (0.7, Some((0.6, 4))),
            (0.6, Some((0.5, 5))),
            // All may stay.
            (0.5, Some((0.0, 6))),
            (0.0, Some((0.0, 6))),
            (1.1, None),
        ] {
            let found = threshold(&some, target);
            assert_eq!(found.map(|found| (found.below, found.answered)), wanted, "{target}");
        }
        assert_eq!(threshold(&predictions(&[(0.9, false), (0.8, true)]), 0.9), None);
        assert_eq!(threshold(&[], 0.0), None);
    }

    #[test]
    fn the_answers_that_stay_are_those_that_ranking_lets_through() {
        let some: Vec<_> = (0..100_u16)
            .map(|index| Prediction { confidence: f32::from(index * 37 % 100) / 100.0, correct: index % 3 != 0 })
            .collect();
        let found = threshold(&some, 0.7).unwrap();
        let stay = |p: &&Prediction| !is_unknown(Some(&Ranked { class: 0, score: p.confidence }), found.below);
        let stay: Vec<_> = some.iter().filter(stay).collect();
        assert_eq!(stay.len(), found.answered);
        let right = stay.iter().filter(|p| p.correct).count() as f64 / stay.len() as f64;
        assert!(right >= 0.7 && (right - found.precision).abs() < 1e-12);
    }
}
