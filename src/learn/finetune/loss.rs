//! What is made small: the cross-entropy to the labels, and the divergence from what the model before said.

/// What a view should be answered with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Which of the views it is.
    pub view: usize,
    /// The probabilities that are wanted, by class; one class with 1 for a plain label, none if only the teacher knows.
    pub target: Vec<(u32, f32)>,
    /// How much the target counts; 1 in the mean over all samples.
    pub weight: f32,
    /// What the model before said: the probabilities of its classes, which are the first ones. They are to stay as they were
    /// *among themselves* ("Learning without Forgetting", Li and Hoiem, 2016): what new classes get is taken from all alike.
    pub teacher: Option<Vec<f32>>,
}

/// The loss of one view's logits, and its derivative by them into `gradient`: the weight times the cross-entropy to the target,
/// and `distill` times the Kullback-Leibler divergence from the teacher.
///
/// # Panics
/// If the target names a class, or the teacher knows one, that has no logit; or `gradient` has another length.
pub fn loss(logits: &[f32], sample: &Sample, distill: f32, gradient: &mut [f32]) -> f64 {
    assert_eq!(logits.len(), gradient.len(), "one derivative a class");
    gradient.fill(0.0);
    let mut loss = 0.0;
    if !sample.target.is_empty() {
        let whole = log_whole(logits);
        let weight = f64::from(sample.weight);
        let mass: f64 = sample.target.iter().map(|(_, wanted)| f64::from(*wanted)).sum();
        for (logit, gradient) in logits.iter().zip(&mut *gradient) {
            *gradient = (weight * mass * (f64::from(*logit) - whole).exp()) as f32;
        }
        for &(class, wanted) in &sample.target {
            loss -= weight * f64::from(wanted) * (f64::from(logits[class as usize]) - whole);
            gradient[class as usize] -= (weight * f64::from(wanted)) as f32;
        }
    }
    if let Some(teacher) = sample.teacher.as_ref().filter(|_| distill > 0.0) {
        let (logits, gradient) = (&logits[..teacher.len()], &mut gradient[..teacher.len()]);
        let (whole, weight) = (log_whole(logits), f64::from(distill));
        for ((logit, taught), gradient) in logits.iter().zip(teacher).zip(gradient) {
            let (log_share, taught) = (f64::from(*logit) - whole, f64::from(*taught));
            if taught > 0.0 {
                loss += weight * taught * (taught.ln() - log_share);
            }
            *gradient += (weight * (log_share.exp() - taught)) as f32;
        }
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

    fn sample(target: &[(u32, f32)], teacher: Option<&[f32]>) -> Sample {
        Sample { view: 0, target: target.to_vec(), weight: 0.7, teacher: teacher.map(<[f32]>::to_vec) }
    }

    #[test]
    fn known_values() {
        let mut gradient = [0.0; 2];
        let plain = Sample { view: 0, target: vec![(1, 1.0)], weight: 1.0, teacher: None };
        let value = loss(&[0.0, 3.0_f32.ln()], &plain, 1.0, &mut gradient);
        assert!((value - (4.0_f64 / 3.0).ln()).abs() < 1e-6);
        assert!((gradient[0] - 0.25).abs() < 1e-6 && (gradient[1] + 0.25).abs() < 1e-6);
        // What is as the teacher has it costs nothing, however likely a new class is.
        let taught = Sample { teacher: Some(vec![0.25, 0.75]), ..Sample::default() };
        let mut gradient = [0.0; 3];
        let value = loss(&[0.0, 3.0_f32.ln(), 5.0], &taught, 2.0, &mut gradient);
        assert!(value.abs() < 1e-6 && gradient.iter().all(|gradient| gradient.abs() < 1e-6));
        assert!(loss(&[1000.0, -1000.0], &plain, 0.0, &mut [0.0; 2]) > 1999.0);
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let logits = [0.3, -1.0, 2.0, 0.1];
        let teacher = [0.2, 0.7, 0.1];
        for sample in [
            sample(&[(2, 1.0)], None),
            sample(&[(0, 0.3), (3, 0.6)], None),
            sample(&[], Some(&teacher)),
            sample(&[(3, 1.0)], Some(&teacher)),
        ] {
            let mut gradient = [0.0; 4];
            loss(&logits, &sample, 0.4, &mut gradient);
            for class in 0..4 {
                let at = |by: f32| {
                    let mut moved = logits;
                    moved[class] += by;
                    loss(&moved, &sample, 0.4, &mut [0.0; 4])
                };
                let difference = (at(0.01) - at(-0.01)) / 0.02;
                assert!((difference - f64::from(gradient[class])).abs() < 1e-4, "{sample:?}, {class}");
            }
        }
    }
}
