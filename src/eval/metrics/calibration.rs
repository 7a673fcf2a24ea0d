//! Whether the probabilities mean something: of all answers with 80 %, are 80 % right?

use serde::Serialize;

/// The best class of one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// Its probability, 0 to 1. Counts as 0 if it is no number.
    pub confidence: f32,
    /// Whether it is right.
    pub correct: bool,
}

impl Prediction {
    /// Within 0 to 1, whatever was put in.
    pub(super) fn clean(&self) -> f32 {
        if self.confidence.is_nan() { 0.0 } else { self.confidence.clamp(0.0, 1.0) }
    }
}

/// Answers of about the same confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// Confidences above this; of the first bin, from this on.
    pub low: f64,
    /// Confidences up to this.
    pub high: f64,
    /// How many answers.
    pub count: usize,
    /// Their mean confidence; 0 if there are none.
    pub confidence: f64,
    /// How many of them are right, as a fraction; 0 if there are none.
    pub accuracy: f64,
}

/// The bars of a reliability diagram: `bins` bins (at least one) of equal width, empty ones too.
#[must_use]
pub fn reliability(predictions: &[Prediction], bins: usize) -> Vec<Bin> {
    let bins = bins.max(1);
    let mut sums = vec![(0_usize, 0.0_f64, 0_usize); bins];
    for prediction in predictions {
        let confidence = f64::from(prediction.clean());
        // Each bin has its upper end.
        let bin = ((confidence * bins as f64).ceil() as usize).saturating_sub(1).min(bins - 1);
        let (count, sum, correct) = &mut sums[bin];
        *count += 1;
        *sum += confidence;
        *correct += usize::from(prediction.correct);
    }
    let bin = |(index, (count, sum, correct)): (usize, (usize, f64, usize))| {
        let among = count.max(1) as f64;
        Bin {
            low: index as f64 / bins as f64,
            high: (index + 1) as f64 / bins as f64,
            count,
            confidence: sum / among,
            accuracy: correct as f64 / among,
        }
    };
    sums.into_iter().enumerate().map(bin).collect()
}

/// Expected calibration error: how far confidence and accuracy are apart, bin by bin, in the mean over all answers (Guo et
/// al., "On Calibration of Modern Neural Networks", ICML 2017, with 15 bins). 0 is best; 0 if there are no answers.
#[must_use]
pub fn ece(predictions: &[Prediction], bins: usize) -> f32 {
    let gaps = reliability(predictions, bins).into_iter();
    let sum: f64 = gaps.map(|bin| bin.count as f64 * (bin.accuracy - bin.confidence).abs()).sum();
    (sum / predictions.len().max(1) as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions(pairs: &[(f32, bool)]) -> Vec<Prediction> {
        pairs.iter().map(|&(confidence, correct)| Prediction { confidence, correct }).collect()
    }

    #[test]
    fn by_hand() {
        // Two bins: (0.3, 0.5) with accuracy 1/2, and (0.6, 0.9, 0.9) with accuracy 2/3.
        let some = predictions(&[(0.3, true), (0.5, false), (0.6, false), (0.9, true), (0.9, true)]);
        let bins = reliability(&some, 2);
        assert_eq!(bins.iter().map(|bin| bin.count).collect::<Vec<_>>(), [2, 3]);
        assert!((bins[0].confidence - 0.4).abs() < 1e-7 && (bins[0].accuracy - 0.5).abs() < 1e-12);
        assert!((bins[1].confidence - 0.8).abs() < 1e-7 && (bins[1].accuracy - 2.0 / 3.0).abs() < 1e-12);
        // 2/5 · 0.1 + 3/5 · 0.1333
        assert!((ece(&some, 2) - 0.12).abs() < 1e-6);
        // One bin: mean confidence 0.64, accuracy 0.6.
        assert!((ece(&some, 1) - 0.04).abs() < 1e-6);
        assert_eq!(ece(&some, 0), ece(&some, 1));
    }

    #[test]
    fn ends_belong_to_the_lower_bin() {
        let bins = reliability(&predictions(&[(0.0, false), (0.25, false), (0.250_001, false), (1.0, true)]), 4);
        assert_eq!(bins.iter().map(|bin| bin.count).collect::<Vec<_>>(), [2, 1, 0, 1]);
        assert_eq!(bins.iter().map(|bin| (bin.low, bin.high)).collect::<Vec<_>>()[1], (0.25, 0.5));
        assert_eq!((bins[2].confidence, bins[2].accuracy), (0.0, 0.0));
    }

    #[test]
    fn nothing_and_nonsense_are_taken() {
        assert_eq!(ece(&[], 15), 0.0);
        let odd = predictions(&[(f32::NAN, false), (-1.0, false), (7.0, true), (f32::INFINITY, true)]);
        assert_eq!(ece(&odd, 15), 0.0);
    }

    #[test]
    fn sure_and_right_half_the_time_is_half_off() {
        let some = predictions(&[(1.0, true), (1.0, false)]);
        assert_eq!(ece(&some, 15), 0.5);
    }
}
