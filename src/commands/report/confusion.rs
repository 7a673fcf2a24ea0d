//! Which classes are taken for which.

use std::collections::BTreeMap;

use super::Seen;

/// Pictures of each pair that are shown.
const EXAMPLES: usize = 3;

/// One class that was taken for another.
pub(super) struct Confusion {
    pub(super) class: u32,
    pub(super) taken_for: u32,
    /// How often.
    pub(super) count: usize,
    /// Of how many pictures of the class.
    pub(super) of: usize,
    /// Some of those pictures that can be shown, by index, the surest mistakes first.
    pub(super) examples: Vec<usize>,
}

/// The pairs that are confused most often, at most so many; of those equally often, the surest mistakes first.
pub(super) fn worst(seen: &[Seen], most: usize) -> Vec<Confusion> {
    let mut of = BTreeMap::<u32, usize>::new();
    let mut pairs = BTreeMap::<(u32, u32), Vec<usize>>::new();
    for (index, Seen { outcome, .. }) in seen.iter().enumerate() {
        *of.entry(outcome.class).or_default() += 1;
        if outcome.best != outcome.class {
            pairs.entry((outcome.class, outcome.best)).or_default().push(index);
        }
    }
    let sureness = |index: &usize| seen[*index].outcome.confidence;
    let mut pairs: Vec<_> = pairs.into_iter().collect();
    for (_, indices) in &mut pairs {
        indices.sort_by(|a, b| sureness(b).total_cmp(&sureness(a)));
    }
    pairs.sort_by(|(_, a), (_, b)| b.len().cmp(&a.len()).then(sureness(&b[0]).total_cmp(&sureness(&a[0]))));
    let confusion = |((class, taken_for), indices): ((u32, u32), Vec<usize>)| Confusion {
        class,
        taken_for,
        count: indices.len(),
        of: of[&class],
        examples: indices.into_iter().filter(|&index| seen[index].thumbnail.is_some()).take(EXAMPLES).collect(),
    };
    pairs.into_iter().take(most).map(confusion).collect()
}

#[cfg(test)]
mod tests {
    use super::super::page::tests::seen;
    use super::*;

    #[test]
    fn the_most_frequent_come_first_and_then_the_surest() {
        let all =
            [seen(0, 0, 0.9), seen(0, 1, 0.4), seen(1, 0, 0.8), seen(2, 1, 0.5), seen(2, 1, 0.6), seen(2, 2, 0.7)];
        let worst = |most| {
            let of = |pair: Confusion| (pair.class, pair.taken_for, pair.count, pair.of, pair.examples);
            worst(&all, most).into_iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(worst(2), [(2, 1, 2, 3, vec![4, 3]), (1, 0, 1, 1, vec![2])]);
        assert_eq!(worst(9).len(), 3);
    }
}
