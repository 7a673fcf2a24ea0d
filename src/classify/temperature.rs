//! From a model's scores to probabilities that mean something.
//!
//! Temperature scaling: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017. One number divides the
//! logits; it cannot change one view's ranking, but averages, the prior, the threshold for `unknown` and the published
//! score all depend on it.
//!
//! Whatever goes in, what comes out is finite, not negative, and sums to 1 (unless there are no classes): a published
//! score is never NaN. A score that is no number counts as impossible; infinite scores share the whole; and if nothing
//! at all is possible, every class is as likely as every other, which a threshold for `unknown` will catch.

/// The softmax of `logits / temperature`, into `out`.
///
/// A temperature that is not a positive number counts as 1.
///
/// # Panics
///
/// If the two slices differ in length.
pub fn softmax(logits: &[f32], temperature: f32, out: &mut [f32]) {
    assert_eq!(logits.len(), out.len(), "softmax needs as much room as there are logits");
    let inverse = inverse(temperature);
    // Ignores NaN. The largest becomes exp(0), so that nothing overflows.
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for (&logit, out) in logits.iter().zip(&mut *out) {
        *out =
            if max.is_finite() { ((logit - max) * inverse).exp() } else { f32::from(u8::from(logit == f32::INFINITY)) };
    }
    normalise(out);
}

/// `p^(1 / temperature)`, renormalised, into `out`: what [`softmax`] gives for the logits behind the probabilities `p`.
///
/// A temperature that is not a positive number counts as 1.
///
/// # Panics
///
/// If the two slices differ in length.
pub fn from_probabilities(p: &[f32], temperature: f32, out: &mut [f32]) {
    assert_eq!(p.len(), out.len(), "temperature scaling needs as much room as there are probabilities");
    let inverse = inverse(temperature);
    let max = p.iter().copied().fold(0.0, f32::max);
    for (&p, out) in p.iter().zip(&mut *out) {
        *out = match p {
            f32::INFINITY => 1.0,
            // Relative to the largest, so that a low temperature does not take all of them to zero.
            p if p > 0.0 => (p / max).powf(inverse),
            _ => 0.0,
        };
    }
    normalise(out);
}

fn inverse(temperature: f32) -> f32 {
    if temperature > 0.0 && temperature.is_finite() { temperature.recip() } else { 1.0 }
}

/// Divides weights by their sum; NaN becomes 0 first.
fn normalise(weights: &mut [f32]) {
    let mut sum = 0.0_f64;
    for weight in &mut *weights {
        if weight.is_nan() {
            *weight = 0.0;
        }
        sum += f64::from(*weight);
    }
    if sum > 0.0 {
        weights.iter_mut().for_each(|weight| *weight = (f64::from(*weight) / sum) as f32);
    } else {
        let share = 1.0 / weights.len() as f32;
        weights.fill(share);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn softmax_of(logits: &[f32], temperature: f32) -> Vec<f32> {
        let mut out = vec![f32::NAN; logits.len()];
        softmax(logits, temperature, &mut out);
        out
    }

    fn powers_of(p: &[f32], temperature: f32) -> Vec<f32> {
        let mut out = vec![f32::NAN; p.len()];
        from_probabilities(p, temperature, &mut out);
        out
    }

    fn assert_close(a: &[f32], b: &[f32]) {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() < 1e-5, "{a} and {b}");
        }
    }

    #[test]
    fn known_values() {
        assert_close(&softmax_of(&[0.0, 2.0_f32.ln()], 1.0), &[1.0 / 3.0, 2.0 / 3.0]);
        assert_close(&softmax_of(&[0.0, 2.0_f32.ln()], 0.5), &[0.2, 0.8]);
        assert_close(&powers_of(&[1.0 / 3.0, 2.0 / 3.0], 0.5), &[0.2, 0.8]);
        assert_close(&powers_of(&[0.0, 0.25, 0.75], 1.0), &[0.0, 0.25, 0.75]);
    }

    #[test]
    fn large_logits_do_not_overflow() {
        assert_close(&softmax_of(&[1e30, 0.0, -1e30], 1.0), &[1.0, 0.0, 0.0]);
        assert_close(&softmax_of(&[1000.0, 1000.0], 0.01), &[0.5, 0.5]);
        assert_close(&softmax_of(&[f32::MAX, f32::MIN], 0.01), &[1.0, 0.0]);
        assert_close(&powers_of(&[1e-30, 2e-30], 0.5), &[0.2, 0.8]);
    }

    #[test]
    fn what_is_no_number_never_comes_out() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        assert_close(&softmax_of(&[nan, 1.0, 1.0], 1.0), &[0.0, 0.5, 0.5]);
        assert_close(&softmax_of(&[inf, 1.0, inf, nan], 1.0), &[0.5, 0.0, 0.5, 0.0]);
        assert_close(&softmax_of(&[-inf, 0.0], 1.0), &[0.0, 1.0]);
        assert_close(&softmax_of(&[nan, nan], 1.0), &[0.5, 0.5]);
        assert_close(&softmax_of(&[-inf, -inf, nan, nan], 1.0), &[0.25; 4]);
        assert_close(&powers_of(&[nan, -1.0, 0.5, inf], 1.0), &[0.0, 0.0, 0.0, 1.0]);
        assert_close(&powers_of(&[0.0, 0.0], 1.0), &[0.5, 0.5]);
        for temperature in [0.0, -1.0, nan, inf] {
            assert_close(&softmax_of(&[0.0, 2.0_f32.ln()], temperature), &[1.0 / 3.0, 2.0 / 3.0]);
        }
        softmax(&[], 1.0, &mut []);
        from_probabilities(&[], 1.0, &mut []);
    }

    #[test]
    fn the_two_ways_agree_and_keep_the_order() {
        let mut seed = 1_u32;
        let mut random = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from((seed >> 16) as u16) / 6553.6 - 5.0
        };
        for temperature in [0.3, 0.7, 1.0, 2.0] {
            let logits: Vec<f32> = (0..100).map(|_| random()).collect();
            let scaled = softmax_of(&logits, temperature);
            assert_close(&powers_of(&softmax_of(&logits, 1.0), temperature), &scaled);
            assert!((scaled.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            for pair in 0..99 {
                assert!(
                    (logits[pair] < logits[pair + 1]) == (scaled[pair] < scaled[pair + 1])
                        || (logits[pair] - logits[pair + 1]).abs() < 1e-5
                );
            }
        }
    }
}
