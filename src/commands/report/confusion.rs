//! Which classes are taken for which, with pictures to show.

use super::Seen;
use crate::eval::confusion::{Said, confusions};

pub(super) use crate::eval::confusion::Confusion;

/// Pictures of each pair that are shown.
const EXAMPLES: usize = 3;

/// The pairs that are confused most often, at most so many; of their pictures some that can be shown.
pub(super) fn worst(seen: &[Seen], most: usize) -> Vec<Confusion> {
    let said =
        |Seen { outcome, .. }: &Seen| Said { class: outcome.class, best: outcome.best, confidence: outcome.confidence };
    let mut worst = confusions(&seen.iter().map(said).collect::<Vec<_>>());
    worst.truncate(most);
    for pair in &mut worst {
        pair.examples.retain(|&index| seen[index].thumbnail.is_some());
        pair.examples.truncate(EXAMPLES);
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::super::page::tests::seen;
    use super::*;

    #[test]
    fn few_pairs_are_shown_with_few_pictures_each() {
        let mut all: Vec<Seen> = (0..6).map(|n| seen(2, 1, 0.9 - 0.1 * n as f32)).collect();
        all.extend([seen(1, 0, 0.8), seen(0, 0, 0.9)]);
        all[1].thumbnail = None;
        let worst = worst(&all, 1);
        assert_eq!((worst.len(), worst[0].count, worst[0].of), (1, 6, 6));
        assert_eq!(worst[0].examples, [0, 2, 3]);
    }
}
