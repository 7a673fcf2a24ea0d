//! The leading classes.

/// A class and its score.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ranked {
    /// The class, by its number in the model's output.
    pub class: u32,
    /// Its score.
    pub score: f32,
}

/// The `K` classes with the highest scores, best first, and how many there are: fewer than `K` if there are fewer
/// classes. Of classes with equal scores the lower number comes first; a score that is no number is not ranked.
///
/// One pass, no allocation.
#[must_use]
pub fn top<const K: usize>(scores: &[f32]) -> ([Ranked; K], usize) {
    let mut best = [Ranked::default(); K];
    let mut count = 0;
    for (class, &score) in (0..).zip(scores) {
        if score.is_nan() || (count == K && best.last().is_none_or(|last| score <= last.score)) {
            continue;
        }
        // Those with the same score came earlier, and stay before it.
        let place = best[..count].iter().position(|ranked| ranked.score < score).unwrap_or(count);
        count = (count + 1).min(K);
        best[place..count].rotate_right(1);
        best[place] = Ranked { class, score };
    }
    (best, count)
}

/// Whether the best score is too low to be called an answer, or there is none.
#[must_use]
pub fn is_unknown(top: Option<&Ranked>, below: f32) -> bool {
    top.is_none_or(|best| best.score.is_nan() || best.score < below)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes<const K: usize>(scores: &[f32]) -> Vec<u32> {
        let (best, count) = top::<K>(scores);
        best[..count].iter().map(|ranked| ranked.class).collect()
    }

    #[test]
    fn table() {
        assert_eq!(classes::<3>(&[0.1, 0.5, 0.2, 0.15, 0.05]), [1, 2, 3]);
        assert_eq!(classes::<3>(&[0.2, 0.2, 0.2, 0.2, 0.2]), [0, 1, 2]);
        assert_eq!(classes::<3>(&[0.1, 0.4, 0.1, 0.4]), [1, 3, 0]);
        assert_eq!(classes::<3>(&[0.3, 0.7]), [1, 0]);
        assert_eq!(classes::<3>(&[f32::NAN, 0.3, f32::NAN, 0.7]), [3, 1]);
        assert_eq!(classes::<3>(&[f32::NEG_INFINITY, 0.0, f32::INFINITY]), [2, 1, 0]);
        assert_eq!(classes::<3>(&[]), [0; 0]);
        assert_eq!(classes::<1>(&[0.1, 0.9]), [1]);
        assert_eq!(classes::<0>(&[0.1, 0.9]), [0; 0]);
    }

    #[test]
    fn agrees_with_a_stable_sort() {
        let mut seed = 7_u32;
        for round in 0..200 {
            let scores: Vec<f32> = (0..round)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    // Few values, so that there are ties.
                    f32::from((seed >> 28) as u8)
                })
                .collect();
            let mut sorted: Vec<u32> = (0..round).collect();
            sorted.sort_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]));
            sorted.truncate(5);
            assert_eq!(classes::<5>(&scores), sorted);
        }
    }

    #[test]
    fn unknown_is_below_the_threshold_or_nothing() {
        let best = |score| Some(Ranked { class: 0, score });
        assert!(is_unknown(best(0.19).as_ref(), 0.2));
        assert!(!is_unknown(best(0.2).as_ref(), 0.2));
        assert!(!is_unknown(best(0.0).as_ref(), 0.0));
        assert!(is_unknown(best(f32::NAN).as_ref(), 0.2));
        assert!(is_unknown(None, 0.0));
    }
}
