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
    /// … of so many that are needed. More may be, if some are of one moment or were learnt from before.
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

/// Of a model with so many standing statements by label.
#[must_use]
pub fn of(bundle: &Bundle, by_label: &BTreeMap<String, u64>) -> Needs {
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
        (classes.iter().filter(|class| class.n >= class.needed).map(|class| class.n).sum(), FEWEST as u64)
    } else {
        let have = classes.iter().map(|class| class.n.min(class.needed)).sum();
        (have, classes.iter().map(|class| class.needed).sum())
    };
    Needs { model: bundle.name.clone(), learnt, have, need, classes }
}
