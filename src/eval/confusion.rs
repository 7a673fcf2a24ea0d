//! Which classes are taken for which.

use std::collections::BTreeMap;

/// The best answer to a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Said {
    /// What the picture shows.
    pub class: u32,
    /// What was the best answer.
    pub best: u32,
    /// Its probability.
    pub confidence: f32,
}

/// One class that was taken for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    /// What was shown.
    pub class: u32,
    /// What was said.
    pub taken_for: u32,
    /// How often.
    pub count: usize,
    /// Of how many pictures of the class.
    pub of: usize,
    /// Those pictures, by index, the surest mistakes first.
    pub examples: Vec<usize>,
}

/// The pairs that are confused, the most frequent first; of those equally frequent, the surest mistakes first.
#[must_use]
pub fn confusions(said: &[Said]) -> Vec<Confusion> {
    let mut of = BTreeMap::<u32, usize>::new();
    let mut pairs = BTreeMap::<(u32, u32), Vec<usize>>::new();
    for (index, said) in said.iter().enumerate() {
        *of.entry(said.class).or_default() += 1;
        if said.best != said.class {
            pairs.entry((said.class, said.best)).or_default().push(index);
        }
    }
    let sureness = |index: &usize| said[*index].confidence;
    let mut pairs: Vec<_> = pairs.into_iter().collect();
    for (_, indices) in &mut pairs {
        indices.sort_by(|a, b| sureness(b).total_cmp(&sureness(a)));
    }
    pairs.sort_by(|(_, a), (_, b)| b.len().cmp(&a.len()).then(sureness(&b[0]).total_cmp(&sureness(&a[0]))));
    let confusion = |((class, taken_for), examples): ((u32, u32), Vec<usize>)| Confusion {
        class,
        taken_for,
        count: examples.len(),
        of: of[&class],
        examples,
    };
    pairs.into_iter().map(confusion).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_come_first_and_then_the_surest() {
        let said = [(0, 0, 0.9), (0, 1, 0.4), (1, 0, 0.8), (2, 1, 0.5), (2, 1, 0.6), (2, 2, 0.7)];
        let said = said.map(|(class, best, confidence)| Said { class, best, confidence });
        let pairs: Vec<_> = confusions(&said)
            .into_iter()
            .map(|pair| (pair.class, pair.taken_for, pair.count, pair.of, pair.examples))
            .collect();
        assert_eq!(pairs, [(2, 1, 2, 3, vec![4, 3]), (1, 0, 1, 1, vec![2]), (0, 1, 1, 2, vec![1])]);
        assert_eq!(confusions(&[]), []);
    }
}
