//! What evens out the features of poor frames: means over pictures and over the same pictures made worse. No label is used.

use crate::classify::quality::Condition;
use crate::eval::fit::ENOUGH;
use crate::model::Gains;

/// The features of one picture, or of a copy of it.
pub(super) struct Featured {
    pub(super) condition: Option<Condition>,
    /// The mean over its views.
    pub(super) features: Vec<f32>,
}

/// Sums over pictures in one condition, and over the same pictures as they were.
#[derive(Default)]
struct Sums {
    pictures: usize,
    good: Vec<f32>,
    poor: Vec<f32>,
}

impl Sums {
    fn add(&mut self, good: &[f32], poor: &[f32]) {
        self.pictures += 1;
        for (sum, features) in [(&mut self.good, good), (&mut self.poor, poor)] {
            sum.resize(features.len(), 0.0);
            sum.iter_mut().zip(features).for_each(|(sum, feature)| *sum += feature);
        }
    }

    /// Both are sums of as many, so their ratios are those of the means.
    fn means(&self) -> Option<(&[f32], &[f32])> {
        (self.pictures >= ENOUGH).then_some((&self.good, &self.poor))
    }
}

/// Of pictures, each followed by its copies. A condition in which there are too few copies of good pictures keeps its features as
/// they are; `None` if that is so in all.
pub(super) fn gains(pictures: impl IntoIterator<Item = Vec<Featured>>) -> Option<Gains> {
    let mut sums: [Sums; 3] = Default::default();
    for copies in pictures {
        let Some((picture, copies)) = copies.split_first() else { continue };
        if picture.condition != Some(Condition::Good) {
            continue;
        }
        for copy in copies {
            if let Some(at) = Condition::POOR.iter().position(|&condition| copy.condition == Some(condition)) {
                sums[at].add(&picture.features, &copy.features);
            }
        }
    }
    let features = sums.iter().find_map(Sums::means)?.0.len();
    Some(Gains::of_means(features, sums.each_ref().map(Sums::means)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn featured(condition: Condition, features: [f32; 2]) -> Featured {
        Featured { condition: Some(condition), features: features.to_vec() }
    }

    #[test]
    fn only_good_pictures_and_their_poor_copies_count() {
        use Condition::{Blurred, Dark, Good};
        let made = |poor: Condition, count: usize| {
            (0..count).flat_map(move |_| {
                [
                    // Of a dark picture nothing is known that is not of its contents.
                    vec![featured(Dark, [9.0, 1.0]), featured(Blurred, [1.0, 9.0])],
                    vec![featured(Good, [1.0, 1.0]), featured(Good, [7.0, 1.0]), featured(poor, [1.0, 0.5])],
                ]
            })
        };
        assert_eq!(gains(made(Blurred, ENOUGH - 1)), None);
        let found = gains(made(Blurred, ENOUGH).chain(made(Dark, 1))).unwrap();
        assert_eq!(found.of(Dark), Some(&[1.0; 2][..]));
        let blurred = found.of(Blurred).unwrap();
        assert!((blurred[0] - 1.0).abs() < 1e-6 && (blurred[1] - 1.1 / 0.6).abs() < 1e-6, "{blurred:?}");
    }
}
