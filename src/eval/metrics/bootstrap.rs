//! Intervals of anything, by drawing from what there is.

use super::Interval;
use crate::eval::random::Random;

/// How many times the samples are drawn anew.
pub const RESAMPLES: usize = 1000;

/// The percentile bootstrap interval of a statistic, 95 % (Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979):
/// of [`RESAMPLES`] sets as large as the samples, drawn from them with replacement, the statistic's 2.5 and 97.5 percentiles.
///
/// For a difference between two ways on the same pictures, a sample is the pair of outcomes. Sets for which the statistic is
/// no number are left out. Nothing if there are no samples, or it never is one.
pub fn bootstrap<T: Copy>(samples: &[T], seed: u64, mut statistic: impl FnMut(&[T]) -> f64) -> Option<Interval> {
    if samples.is_empty() {
        return None;
    }
    let mut random = Random::new(seed);
    let mut drawn = samples.to_vec();
    let mut values: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            drawn.iter_mut().for_each(|sample| *sample = samples[random.below(samples.len() as u64) as usize]);
            statistic(&drawn)
        })
        .filter(|value| !value.is_nan())
        .collect();
    values.sort_by(f64::total_cmp);
    Some(Interval { low: percentile(&values, 0.025)?, high: percentile(&values, 0.975)? })
}

/// Between the two values that a percentile lies between, in proportion.
fn percentile(sorted: &[f64], fraction: f64) -> Option<f64> {
    let place = fraction * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (*sorted.get(place.floor() as usize)?, *sorted.get(place.ceil() as usize)?);
    // Also where both are infinite.
    if below == above { Some(below) } else { Some(below + (above - below) * place.fract()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::metrics::{Prediction, ece, wilson};

    fn mean(samples: &[f64]) -> f64 {
        samples.iter().sum::<f64>() / samples.len() as f64
    }

    #[test]
    fn percentiles_lie_between() {
        let values: Vec<f64> = (0..=40).map(f64::from).collect();
        assert_eq!(percentile(&values, 0.025), Some(1.0));
        assert_eq!(percentile(&values, 0.975), Some(39.0));
        assert_eq!(percentile(&[1.0, 2.0], 0.25), Some(1.25));
        assert_eq!(percentile(&[3.0], 0.975), Some(3.0));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn of_a_rate_it_is_about_wilsons() {
        let samples: Vec<f64> = (0..500).map(|index| f64::from(u8::from(index % 5 != 0))).collect();
        let (found, wanted) = (bootstrap(&samples, 1, mean).unwrap(), wilson(400, 500));
        assert!((found.low - wanted.low).abs() < 0.006 && (found.high - wanted.high).abs() < 0.006, "{found:?}");
    }

    #[test]
    fn of_a_mean_it_is_about_two_standard_errors() {
        let samples: Vec<f64> = (0..400).map(f64::from).collect();
        let found = bootstrap(&samples, 1, mean).unwrap();
        // The standard deviation of 0 … 399 is 115.5.
        let reach = 1.96 * 115.5 / 20.0;
        assert!((found.low - (199.5 - reach)).abs() < 1.5 && (found.high - (199.5 + reach)).abs() < 1.5, "{found:?}");
    }

    #[test]
    fn a_seed_gives_one_interval_and_oddities_give_none() {
        let samples = [0.0, 1.0, 2.0, 4.0];
        assert_eq!(bootstrap(&samples, 1, mean), bootstrap(&samples, 1, mean));
        assert_eq!(bootstrap(&samples, 1, |drawn| drawn.len() as f64), Some(Interval { low: 4.0, high: 4.0 }));
        assert_eq!(bootstrap(&[], 1, mean), None);
        assert_eq!(bootstrap(&samples, 1, |_| f64::NAN), None);
        let sometimes = |drawn: &[f64]| if drawn[0] == 0.0 { f64::NAN } else { drawn[0] };
        assert!(bootstrap(&samples, 1, sometimes).unwrap().low >= 1.0);
        let predictions = [Prediction { confidence: 1.0, correct: true }; 3];
        let of_ece = bootstrap(&predictions, 1, |drawn| ece(drawn, 15).into());
        assert_eq!(of_ece, Some(Interval { low: 0.0, high: 0.0 }));
    }
}
