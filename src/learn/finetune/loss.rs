//! What is made small: the cross-entropy to what is wanted.

/// What a view should be answered with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Which of the views it is.
    pub view: usize,
    /// The probabilities that are wanted, by class: one class with 1 for a plain label, or a part of it and a part of what the
    /// model before said. A class may be named more than once.
    pub target: Vec<(u32, f32)>,
    /// How much it counts; 1 in the mean over all samples.
    pub weight: f32,
}

/// The loss of one view's logits, and its derivative by them into `gradient`: the weight times the cross-entropy to the target.
///
/// # Panics
/// If the target names a class that has no logit, or `gradient` has another length.
pub fn loss(logits: &[f32], sample: &Sample, gradient: &mut [f32]) -> f64 {
    assert_eq!(logits.len(), gradient.len(), "one derivative a class");
    let (whole, weight) = (log_whole(logits), f64::from(sample.weight));
    let mass: f64 = sample.target.iter().map(|(_, wanted)| f64::from(*wanted)).sum();
    for (logit, gradient) in logits.iter().zip(&mut *gradient) {
        *gradient = (weight * mass * (f64::from(*logit) - whole).exp()) as f32;
    }
    let mut loss = 0.0;
    for &(class, wanted) in &sample.target {
        loss -= weight * f64::from(wanted) * (f64::from(logits[class as usize]) - whole);
        gradient[class as usize] -= (weight * f64::from(wanted)) as f32;
    }
    loss
}

/// The logarithm of the sum of the exponentials.
fn log_whole(logits: &[f32]) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - max).exp()).sum();
    f64::from(max) + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(target: &[(u32, f32)]) -> Sample {
        Sample { view: 0, target: target.to_vec(), weight: 0.7 }
    }

    #[test]
    fn known_values() {
        let mut gradient = [0.0; 2];
        let plain = Sample { view: 0, target: vec![(1, 1.0)], weight: 1.0 };
        let value = loss(&[0.0, 3.0_f32.ln()], &plain, &mut gradient);
        assert!((value - (4.0_f64 / 3.0).ln()).abs() < 1e-6);
        assert!((gradient[0] - 0.25).abs() < 1e-6 && (gradient[1] + 0.25).abs() < 1e-6);
        // What is as it is wanted can't be made better.
        let taught = Sample { view: 0, target: vec![(0, 0.25), (1, 0.75)], weight: 2.0 };
        loss(&[0.0, 3.0_f32.ln()], &taught, &mut gradient);
        assert!(gradient.iter().all(|gradient| gradient.abs() < 1e-6));
        assert!(loss(&[1000.0, -1000.0], &plain, &mut [0.0; 2]) > 1999.0);
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let logits = [0.3, -1.0, 2.0, 0.1];
        for sample in [sample(&[(2, 1.0)]), sample(&[(0, 0.3), (3, 0.6)]), sample(&[(3, 0.5), (1, 0.2), (3, 0.3)])] {
            let mut gradient = [0.0; 4];
            loss(&logits, &sample, &mut gradient);
            for class in 0..4 {
                let at = |by: f32| {
                    let mut moved = logits;
                    moved[class] += by;
                    loss(&moved, &sample, &mut [0.0; 4])
                };
                let difference = (at(0.01) - at(-0.01)) / 0.02;
                assert!((difference - f64::from(gradient[class])).abs() < 1e-4, "{sample:?}, {class}");
            }
        }
    }
}
