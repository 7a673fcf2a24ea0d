//! What is like the leading classes becomes likelier itself.
//!
//! A network that is unsure spreads its doubt over whatever looks alike. If several of the leading classes are like one
//! another, the thing is likely of their kind, and so may be a class just behind them.

use super::rank;
use crate::model::Prior;

/// So many leading classes lift their neighbours.
pub const LEADING: usize = 5;
/// Above it, a lift drowns what the network said, whatever the number.
pub const MAX_STRENGTH: f32 = 100.0;

/// Adds to the neighbours of each of the [`LEADING`] classes its probability × weight × `strength`, then renormalises. All
/// lifts are by the probabilities before any lift.
///
/// `p` is a distribution, as [`super::temperature`] makes it, and remains one. A strength that is not a positive number
/// does nothing; one above [`MAX_STRENGTH`] counts as that. Allocates nothing.
///
/// # Panics
///
/// If the prior is for another number of classes.
pub fn apply(p: &mut [f32], prior: &Prior, strength: f32) {
    assert_eq!(p.len(), prior.classes(), "a prior is for one number of classes");
    if strength.is_nan() || strength <= 0.0 || prior.is_empty() {
        return;
    }
    let strength = strength.min(MAX_STRENGTH);
    // Copies, so that what was lifted lifts no one.
    let (leading, count) = rank::top::<LEADING>(p);
    for leader in &leading[..count] {
        for (neighbour, weight) in prior.neighbours(leader.class) {
            p[neighbour as usize] += leader.score * weight * strength;
        }
    }
    let sum: f64 = p.iter().map(|p| f64::from(*p)).sum();
    if sum > 0.0 {
        p.iter_mut().for_each(|p| *p = (f64::from(*p) / sum) as f32);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Pair;

    fn prior(classes: usize, pairs: &[(u32, u32, f32)]) -> Prior {
        let pair = |&(class, neighbour, weight)| Pair { class, neighbour, weight };
        Prior::new(classes, pairs.iter().map(pair)).unwrap()
    }

    fn applied(p: &[f32], prior: &Prior, strength: f32) -> Vec<f32> {
        let mut p = p.to_vec();
        apply(&mut p, prior, strength);
        p
    }

    fn assert_close(a: &[f32], b: &[f32]) {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() < 1e-6, "{a} and {b}");
        }
    }

    #[test]
    fn leading_classes_lift_their_neighbours() {
        let table = prior(3, &[(0, 1, 0.5), (1, 2, 1.0)]);
        // 0.3 + 0.6 × 0.5 × 0.4 = 0.42; 0.1 + 0.3 × 1 × 0.4 = 0.22, and not + 0.42 × 0.4; in all 1.24.
        assert_close(&applied(&[0.6, 0.3, 0.1], &table, 0.4), &[0.6 / 1.24, 0.42 / 1.24, 0.22 / 1.24]);
    }

    #[test]
    fn several_lifts_of_one_class_add_up_and_can_take_it_past_another() {
        let table = prior(4, &[(0, 3, 1.0), (1, 3, 1.0)]);
        let p = applied(&[0.35, 0.3, 0.2, 0.15], &table, 0.5);
        assert_close(&p, &[0.35 / 1.325, 0.3 / 1.325, 0.2 / 1.325, 0.475 / 1.325]);
    }

    #[test]
    fn only_the_first_five_lift() {
        let table = prior(7, &[(4, 6, 1.0), (5, 6, 1.0)]);
        let p = applied(&[0.2, 0.2, 0.2, 0.2, 0.1, 0.05, 0.05], &table, 1.0);
        assert_close(&p, &[0.2, 0.2, 0.2, 0.2, 0.1, 0.05, 0.15].map(|p| p / 1.1));
    }

    #[test]
    fn nothing_happens_without_strength_or_neighbours() {
        let p = [0.6, 0.3, 0.099_999];
        let table = prior(3, &[(0, 1, 1.0)]);
        for strength in [0.0, -0.0, -1.0, f32::NAN, f32::NEG_INFINITY] {
            assert_eq!(applied(&p, &table, strength), p);
        }
        assert_eq!(applied(&p, &prior(3, &[]), 1.0), p);
        assert_eq!(applied(&[], &prior(0, &[]), 1.0), [0.0_f32; 0]);
    }

    #[test]
    fn too_strong_is_as_strong_as_can_be() {
        let table = prior(2, &[(0, 1, 1.0)]);
        for strength in [MAX_STRENGTH, f32::MAX, f32::INFINITY] {
            assert_close(&applied(&[1.0, 0.0], &table, strength), &[1.0 / 101.0, 100.0 / 101.0]);
        }
    }

    #[test]
    #[should_panic(expected = "a prior is for one number of classes")]
    fn another_number_of_classes_is_refused() {
        apply(&mut [0.5, 0.5], &prior(3, &[]), 1.0);
    }

    proptest! {
        #[test]
        fn a_distribution_remains_one(
            weights in proptest::collection::vec(0.0_f32..1.0, 12),
            pairs in proptest::collection::btree_map((0_u32..12, 0_u32..12), 0.0_f32..=1.0, 0..40),
            strength in 0.0_f32..200.0,
        ) {
            let sum = weights.iter().sum::<f32>() + 1e-9;
            let p: Vec<f32> = weights.iter().map(|w| (w + 1e-9 / 12.0) / sum).collect();
            let pairs: Vec<_> = pairs.into_iter().map(|((a, b), w)| (a, b, w)).filter(|(a, b, _)| a != b).collect();
            let lifted = applied(&p, &prior(12, &pairs), strength);
            prop_assert!(lifted.iter().all(|p| p.is_finite() && *p >= 0.0));
            prop_assert!((lifted.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            // Who has no lift keeps its place among those without.
            let still: Vec<usize> = (0..12).filter(|&at| pairs.iter().all(|pair| pair.1 as usize != at)).collect();
            for (&a, &b) in still.iter().zip(still.iter().skip(1)) {
                prop_assert!(p[a] <= p[b] || lifted[a] >= lifted[b]);
            }
        }
    }
}
