//! Scores of whole probability vectors. Both are proper: nothing but the true probabilities makes them best.

/// No probability counts as less: one picture that the model held for impossible must not make the mean infinite.
const FLOOR: f64 = 1e-12;

/// The Brier score of one picture: the sum over all classes of the squared distance between its probability and 1 if it is
/// the right one, else 0 (Brier, "Verification of Forecasts Expressed in Terms of Probability", 1950). 0 is best, 2 is worst.
///
/// A class without a probability (one that the model does not have) has probability 0.
#[must_use]
pub fn brier(probabilities: &[f32], class: u32) -> f64 {
    let squares: f64 = probabilities.iter().map(|&p| f64::from(p) * f64::from(p)).sum();
    // (1 − p)² where p² was counted.
    squares + 1.0 - 2.0 * probability(probabilities, class)
}

/// Minus the natural logarithm of the right class's probability, which counts as 10⁻¹² at least: 0 is best, 27.6 worst.
#[must_use]
pub fn negative_log_likelihood(probabilities: &[f32], class: u32) -> f64 {
    // `max` also takes what is no number.
    -probability(probabilities, class).max(FLOOR).ln()
}

fn probability(probabilities: &[f32], class: u32) -> f64 {
    let found = usize::try_from(class).ok().and_then(|class| probabilities.get(class));
    found.map_or(0.0, |&p| f64::from(p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // (0.5 − 1)² + 0.25² + 0.25², and ln 2.
        assert!((brier(&[0.5, 0.25, 0.25], 0) - 0.375).abs() < 1e-12);
        assert!((negative_log_likelihood(&[0.5, 0.25, 0.25], 0) - 2.0_f64.ln()).abs() < 1e-12);
        // 0.5² + (0.25 − 1)² + 0.25²
        assert!((brier(&[0.5, 0.25, 0.25], 1) - 0.875).abs() < 1e-12);
        assert_eq!((brier(&[0.0, 1.0], 1), negative_log_likelihood(&[0.0, 1.0], 1)), (0.0, 0.0));
        assert_eq!(brier(&[1.0, 0.0], 1), 2.0);
    }

    #[test]
    fn the_impossible_has_a_price_but_no_infinite_one() {
        for probabilities in [&[1.0, 0.0][..], &[1.0], &[], &[0.0, f32::NAN]] {
            assert!((negative_log_likelihood(probabilities, 1) - 27.631).abs() < 1e-3);
        }
        assert_eq!(brier(&[1.0], 1), 2.0);
    }
}
