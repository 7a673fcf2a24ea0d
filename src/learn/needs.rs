//! What a model still needs before a training can come to a verdict, from numbers alone: what is quickly told while people
//! label.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::gate::{FEWEST, FEWEST_AT_FIRST, FEWEST_OF_NEW};
use crate::model::Bundle;

/// What there is, and what is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Needs {
    /// The model.
    pub model: String,
    /// It has learnt something already.
    pub learnt: bool,
    /// Statements that count, …
    pub have: u64,
    /// … of so many that are needed. More may be, if some are of one moment.
    pub need: u64,
    /// Class by class: those with too few first, then those with most.
    pub classes: Vec<ClassNeeds>,
}

/// What there is of a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClassNeeds {
    /// Its name.
    pub label: String,
    /// In Chinese.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_zh: Option<String>,
    /// Statements.
    pub n: u64,
    /// So many are needed.
    pub needed: u64,
    /// The model does not have it yet.
    pub new: bool,
}

/// Of a model with so many standing statements by label, and so many that it was not taught on; `None` if that is all of them.
/// What a version was taught proves nothing of the next one.
#[must_use]
pub fn of(bundle: &Bundle, by_label: &BTreeMap<String, u64>, new: Option<u64>) -> Needs {
    let learnt = bundle.learnt;
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    if !learnt {
        counts.extend(bundle.labels.names().map(|name| (name, 0)));
    }
    for (label, count) in by_label {
        *counts.entry(label).or_default() += count;
    }
    let class = |(label, n): (&str, u64)| {
        let known = bundle.labels.find(label).and_then(|class| bundle.labels.get(class));
        let needed = match (learnt, known.is_some()) {
            (false, _) => FEWEST_AT_FIRST,
            (true, false) => FEWEST_OF_NEW,
            (true, true) => 1,
        };
        ClassNeeds {
            label: label.to_owned(),
            label_zh: known.and_then(|label| label.zh.clone()),
            n,
            needed: needed as u64,
            new: known.is_none(),
        }
    };
    let mut classes: Vec<ClassNeeds> = counts.into_iter().map(class).collect();
    classes.sort_by(|a, b| (a.n >= a.needed, b.n, &a.label).cmp(&(b.n >= b.needed, a.n, &b.label)));
    let (have, need) = if learnt {
        // What a new class has too little of does not count.
        let have = classes.iter().filter(|class| class.n >= class.needed).map(|class| class.n).sum();
        (new.map_or(have, |new| new.min(have)), FEWEST as u64)
    } else {
        let have = classes.iter().map(|class| class.n.min(class.needed)).sum();
        (have, classes.iter().map(|class| class.needed).sum())
    };
    Needs { model: bundle.name.clone(), learnt, have, need, classes }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn tints() -> Bundle {
        Bundle::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bundles/tints/1")).unwrap()
    }

    fn said(labels: &[(&str, u64)]) -> BTreeMap<String, u64> {
        labels.iter().map(|(label, n)| ((*label).to_owned(), *n)).collect()
    }

    fn rows(needs: &Needs) -> Vec<(&str, u64, u64, bool)> {
        needs.classes.iter().map(|class| (class.label.as_str(), class.n, class.needed, class.new)).collect()
    }

    #[test]
    fn a_learnt_model_needs_thirty_that_it_was_not_taught_on() {
        let by_label = said(&[("red", 20), ("yellow", 5), ("mauve", 1)]);
        let needs = of(&tints(), &by_label, None);
        assert_eq!((needs.have, needs.need), (25, 30));
        assert_eq!(rows(&needs), [("mauve", 1, 2, true), ("red", 20, 1, false), ("yellow", 5, 2, true)]);
        assert_eq!(of(&tints(), &by_label, Some(3)).have, 3);
    }

    #[test]
    fn one_that_has_learnt_nothing_needs_some_of_each_class() {
        let fresh = Bundle { learnt: false, ..tints() };
        let needs = of(&fresh, &said(&[("red", 20), ("green", 3)]), None);
        let classes = fresh.labels.len() as u64;
        assert_eq!((needs.have, needs.need), (11, 8 * classes));
        assert_eq!(rows(&needs)[0], ("green", 3, 8, false));
    }
}
