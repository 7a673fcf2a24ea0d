//! What a training works with: examples with their features, and what they are enough for.

use std::collections::{BTreeMap, BTreeSet};

use ulid::Ulid;

use super::examples::{Example, Examples, Exhibit, LeftOut};
use super::features::Features;
use super::gate::{self, FEWEST, FEWEST_AT_FIRST, FEWEST_OF_NEW, Judged, Verdict};
use super::report::{Class, Doubtful, Report, Side};
use super::split::{self, Sample};
use super::trial::{FOLDS, Trial};
use crate::eval::fit::{Answer, figures};
use crate::model::{Bundle, Labels};

/// A label that what was learnt from the others gives less than this is doubtful.
const DOUBTFUL: f64 = 0.01;
const MOST_DOUBTFUL: usize = 50;

/// Examples with their features, and the classes that have enough of them.
#[derive(Debug)]
pub struct Material {
    /// The examples of classes that have enough.
    pub examples: Vec<(Example, Features)>,
    /// What the champion was sure of, and is to say still.
    pub sure: Vec<(Exhibit, Features)>,
    /// The classes: the champion's, and new ones that have enough.
    pub labels: Labels,
    /// The fold of each example that is labelled; `None` if the champion was taught on it, or on what looks like it: what is said of it then is no
    /// proof of anything.
    pub folds: Vec<Option<usize>>,
    /// Every class with an example, or that has to have some; those with most first.
    classes: Vec<Class>,
    /// Classes that the champion has.
    known: usize,
    left_out: LeftOut,
}

impl Material {
    /// Of the examples whose features could be had; `seen` are those of the labelled ones, and then of the others. The champion was taught on what was said up to `taught_until`.
    #[must_use]
    pub fn new(
        found: Examples,
        seen: Vec<Result<Features, String>>,
        champion: &Bundle,
        taught_until: Option<Ulid>,
    ) -> Self {
        let Examples { labelled, sure, labels, mut left_out } = found;
        let mut seen = seen.into_iter();
        let mut examples = Vec::with_capacity(labelled.len());
        for (example, features) in labelled.into_iter().zip(&mut seen) {
            match features {
                Ok(features) => examples.push((example, features)),
                Err(error) => {
                    left_out.unreadable += 1;
                    tracing::warn!(frame = %example.exhibit.frame, error, "an example can't be learnt from");
                }
            }
        }
        let sure =
            sure.into_iter().zip(seen).filter_map(|(exhibit, features)| Some((exhibit, features.ok()?))).collect();
        let known = champion.labels.len();
        let groups = split::groups(&samples(&examples));
        let mut classes = classes(&examples, &groups, &labels, known, champion.learnt);
        // A new class that has not enough is as if nobody had named it.
        let mut kept = champion.labels.clone();
        let mut number_of = BTreeMap::new();
        for (class, name) in labels.names().enumerate() {
            let enough = class < known || classes.get(&class).is_some_and(Class::is_enough);
            if class >= known && enough {
                kept = kept.clone().with(name).unwrap_or(kept);
            }
            if enough {
                number_of.insert(class, if class < known { class } else { kept.len() - 1 });
            }
        }
        let with_groups = examples.into_iter().zip(groups);
        let (examples, groups): (Vec<_>, Vec<_>) = with_groups
            .filter_map(|((example, features), group)| {
                let class = *number_of.get(&example.class)?;
                Some(((Example { class, ..example }, features), group))
            })
            .unzip();
        // Numbered anew, without those that went.
        let order: BTreeMap<usize, usize> = groups
            .iter()
            .copied()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .enumerate()
            .map(|(to, from)| (from, to))
            .collect();
        let groups: Vec<usize> = groups.iter().map(|group| order[group]).collect();
        let is_old = |example: &Example| taught_until.is_some_and(|until| example.said <= until);
        let with_groups = || examples.iter().zip(&groups);
        let old: BTreeSet<usize> =
            with_groups().filter(|((example, _), _)| is_old(example)).map(|(_, group)| *group).collect();
        let folds = split::folds(&samples(&examples), &groups, FOLDS).into_iter().zip(&groups);
        let folds = folds.map(|(fold, group)| (!old.contains(group)).then_some(fold)).collect();
        let mut classes: Vec<Class> = std::mem::take(&mut classes).into_values().collect();
        classes.sort_by(|a, b| b.n.cmp(&a.n).then_with(|| a.label.cmp(&b.label)));
        Self { examples, sure, labels: kept, folds, classes, known, left_out }
    }

    /// All pictures: those of the examples, and then the others.
    #[must_use]
    pub fn exhibits(&self) -> Vec<Exhibit> {
        let examples = self.examples.iter().map(|(example, _)| example.exhibit);
        examples.chain(self.sure.iter().map(|(exhibit, _)| *exhibit)).collect()
    }

    /// What is missing for a verdict, in words.
    #[must_use]
    pub fn lack(&self, learnt: bool) -> Option<String> {
        let n = self.judged().count();
        if learnt {
            let not_yet = if n < self.examples.len() { " that the model was not taught on" } else { "" };
            return (n < FEWEST).then(|| format!("too little feedback: {n} of {FEWEST}{not_yet}{}", self.lacking()));
        }
        let have: usize = self.classes.iter().map(|class| class.n.min(class.needed)).sum();
        let need: usize = self.classes.iter().map(|class| class.needed).sum();
        let enough = self.classes.iter().all(Class::is_enough);
        (!enough).then(|| format!("too little feedback: {have} of {need}{}", self.lacking()))
    }

    /// Class by class, what is missing.
    fn lacking(&self) -> String {
        let one = |Class { label, n, needed, .. }: &Class| match n < needed {
            true => format!("{label}: {n} of {needed}"),
            false => format!("{label}: {n}, but all of one moment"),
        };
        let lacking: Vec<_> =
            self.classes.iter().filter(|class| class.needed > 1 && !class.is_enough()).map(one).collect();
        if lacking.is_empty() { String::new() } else { format!(" ({})", lacking.join(", ")) }
    }

    /// The examples that are judged.
    fn judged(&self) -> impl Iterator<Item = &Example> {
        let with_folds = self.examples.iter().zip(&self.folds);
        with_folds.filter(|(_, fold)| fold.is_some()).map(|((example, _), _)| example)
    }

    /// A report of it, with no verdict yet but that there is too little.
    #[must_use]
    pub fn report(&self, champion: &Bundle) -> Report {
        Report {
            model: champion.name.clone(),
            verdict: Verdict::TooLittle,
            reason: String::new(),
            champion: Side {
                version: Some(champion.version.clone()),
                classes: champion.labels.len(),
                temperature: champion.temperature,
                ..Side::default()
            },
            challenger: Side { classes: self.labels.len(), ..Side::default() },
            n_train: self.examples.len(),
            n_sure: self.sure.len(),
            taught_until: self.examples.iter().map(|(example, _)| example.said).max().map(|said| said.to_string()),
            n_held_out: 0,
            seconds: 0.0,
            promoted: false,
            unfrozen: 0,
            comparison: None,
            classes: self.classes.clone(),
            doubtful: Vec::new(),
            left_out: self.left_out,
            findings: None,
        }
    }

    /// Puts what a trial showed into the report.
    pub fn judge(&self, trial: &Trial, learnt: bool, report: &mut Report) {
        let judged: Vec<Judged> = self
            .judged()
            .zip(trial.champion.iter().zip(&trial.challenger))
            .map(|(example, (champion, challenger))| Judged {
                class: example.class,
                known: example.class < self.known,
                confirmed: example.confirmed,
                champion: *champion,
                challenger: *challenger,
            })
            .collect();
        let sides = [&trial.champion, &trial.challenger].map(|answers| figures(answers));
        let asked = gate::Trial { judged: &judged, learnt, ece: [sides[0].ece.value, sides[1].ece.value] };
        let comparison = asked.compare();
        let name = |class: usize| self.name(class);
        (report.verdict, report.reason) = asked.verdict(&comparison, &name);
        report.comparison = Some(comparison);
        report.n_held_out = judged.len();
        for (side, figures) in [&mut report.champion, &mut report.challenger].into_iter().zip(&sides) {
            // What a model says that has learnt nothing is not measured.
            if learnt || side.version.is_none() {
                (side.top1, side.top3, side.ece) = (Some(figures.top1), Some(figures.top3), Some(figures.ece.value));
            }
        }
        self.count(&judged, learnt, &mut report.classes);
        report.doubtful = self.doubtful(&trial.challenger);
    }

    /// A class, by its name.
    #[must_use]
    pub fn name(&self, class: usize) -> String {
        let label = u32::try_from(class).ok().and_then(|class| self.labels.get(class));
        label.map(|label| label.en.clone()).unwrap_or_default()
    }

    fn count(&self, judged: &[Judged], learnt: bool, classes: &mut [Class]) {
        for class in classes {
            let Some(number) = self.labels.find(&class.label) else { continue };
            let of_class = || judged.iter().filter(|judged| judged.class == number as usize);
            if of_class().next().is_none() {
                continue;
            }
            let in_top3 = |of: fn(&Judged) -> &Answer| of_class().filter(|judged| of(judged).in_top3).count();
            class.champion_top3 = learnt.then(|| in_top3(|judged| &judged.champion));
            class.challenger_top3 = Some(in_top3(|judged| &judged.challenger));
        }
    }

    fn doubtful(&self, answers: &[Answer]) -> Vec<Doubtful> {
        let scored = self.judged().zip(answers).map(|(example, answer)| (example, answer, (-answer.log_loss).exp()));
        let mut doubtful: Vec<Doubtful> = scored
            .filter(|(_, answer, score)| !answer.in_top3 && *score < DOUBTFUL)
            .map(|(example, _, score)| Doubtful {
                frame: example.exhibit.frame.to_string(),
                label: self.name(example.class),
                score,
            })
            .collect();
        doubtful.sort_by(|a, b| a.score.total_cmp(&b.score));
        doubtful.truncate(MOST_DOUBTFUL);
        doubtful
    }
}

fn samples(examples: &[(Example, Features)]) -> Vec<Sample<'_>> {
    let one = |(example, features): &'_ (Example, Features)| Sample {
        camera: None,
        at_ms: example.at.map(|at| at.as_millisecond()),
        hash: features.hash,
        class: example.class,
    };
    examples.iter().map(|pair| Sample { camera: pair.0.camera.as_deref(), ..one(pair) }).collect()
}

/// Every class that has an example; of a model that has learnt nothing, all that it is to learn.
fn classes(
    examples: &[(Example, Features)],
    groups: &[usize],
    labels: &Labels,
    known: usize,
    learnt: bool,
) -> BTreeMap<usize, Class> {
    let mut of_class: BTreeMap<usize, (usize, BTreeSet<usize>)> = BTreeMap::new();
    if !learnt {
        of_class.extend((0..known).map(|class| (class, (0, BTreeSet::new()))));
    }
    for ((example, _), group) in examples.iter().zip(groups) {
        let (count, moments) = of_class.entry(example.class).or_default();
        *count += 1;
        moments.insert(*group);
    }
    let names: Vec<&str> = labels.names().collect();
    let named = |(class, (n, moments)): (usize, (usize, BTreeSet<usize>))| {
        let needed = match (learnt, class < known) {
            (false, _) => FEWEST_AT_FIRST,
            (true, false) => FEWEST_OF_NEW,
            (true, true) => 1,
        };
        let class_of = Class {
            label: names[class].to_owned(),
            n,
            needed,
            moments: moments.len(),
            new: learnt && class >= known,
            champion_top3: None,
            challenger_top3: None,
        };
        (class, class_of)
    };
    of_class.into_iter().map(named).collect()
}
