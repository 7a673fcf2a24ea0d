//! The gate: whether a challenger may take the champion's place, by what both answer on examples that it was not taught on.

use serde::Serialize;

use crate::eval::fit::Answer;
use crate::eval::metrics::{Interval, Paired, paired, wilson};

/// With fewer examples, what is found is chance.
pub const FEWEST: usize = 30;
/// A class that the champion does not have needs so many examples, …
pub const FEWEST_OF_NEW: usize = 2;
/// … and one of a model that has learnt nothing yet so many.
pub const FEWEST_AT_FIRST: usize = 8;
/// A difference that is less likely by chance is real.
const SURE: f64 = 0.05;
/// A class is looked at for itself if it has so many examples.
const ENOUGH_OF_CLASS: usize = 8;
/// Of what people confirmed, a challenger may lose this part …
const MAY_LOSE: f64 = 0.05;
/// … or so many, for a single one may be a mistake of theirs.
const MAY_LOSE_COUNT: usize = 1;
/// Calibration errors are compared if there are so many examples: of few, they are large by chance.
const ENOUGH_FOR_ECE: usize = 100;
/// The calibration error that is no reason, and by how much it may otherwise be above the champion's.
const ECE_ALLOWED: f64 = 0.1;
const ECE_MORE: f64 = 0.05;

/// What is to be done with a challenger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is better, for certain, and nowhere worse that matters.
    Promote,
    /// It is not better for certain.
    Keep,
    /// It is worse where that matters, or what it was taught makes no sense.
    Reject,
    /// There is too little to tell.
    TooLittle,
}

/// An example and what was answered to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// What it shows.
    pub class: usize,
    /// The champion has that class.
    pub known: bool,
    /// Somebody confirmed what the champion, or one before it, said.
    pub confirmed: bool,
    /// What the champion answers.
    pub champion: Answer,
    /// What a challenger answers that was not taught on it.
    pub challenger: Answer,
}

/// What the gate found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The right class is among the best three.
    pub top3: Paired,
    /// The right class is the best.
    pub top1: Paired,
    /// Top-3 on examples of classes that the champion has: what must not be forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<Paired>,
    /// Top-3 on what people confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Paired>,
}

/// The examples that the gate is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    /// Each with its answers.
    pub judged: &'a [Judged],
    /// The champion has learnt something: it is worth comparing with.
    pub learnt: bool,
    /// Calibration errors of champion and challenger.
    pub ece: [f64; 2],
}

impl Trial<'_> {
    /// Compares both.
    #[must_use]
    pub fn compare(&self) -> Comparison {
        let on = |wanted: &dyn Fn(&Judged) -> bool, right: &dyn Fn(&Answer) -> bool| {
            let chosen = || self.judged.iter().filter(|judged| wanted(judged));
            let champion: Vec<bool> = chosen().map(|judged| right(&judged.champion)).collect();
            let challenger: Vec<bool> = chosen().map(|judged| right(&judged.challenger)).collect();
            paired(&champion, &challenger)
        };
        let (in_top3, first) = (|answer: &Answer| answer.in_top3, |answer: &Answer| answer.prediction.correct);
        let some = |paired: Paired| (paired.n > 0).then_some(paired);
        Comparison {
            top3: on(&|_| true, &in_top3),
            top1: on(&|_| true, &first),
            known: some(on(&|judged| judged.known, &in_top3)),
            confirmed: some(on(&|judged| judged.confirmed, &in_top3)),
        }
    }

    /// The verdict, and why. `name` is what a class is called.
    #[must_use]
    pub fn verdict(&self, found: &Comparison, name: &dyn Fn(usize) -> String) -> (Verdict, String) {
        let n = self.judged.len();
        let right = self.judged.iter().filter(|judged| judged.challenger.prediction.correct).count();
        let Interval { low, .. } = wilson(right, n);
        let chance = self.most_common();
        if low <= chance {
            let verdict = if self.learnt { Verdict::Reject } else { Verdict::Keep };
            let reason = format!(
                "what was learnt is no better than always saying the most common label: {right} of {n} are right. \
                 The labels may not fit the pictures"
            );
            return (verdict, reason);
        }
        if !self.learnt {
            return (Verdict::Promote, format!("{right} of {n} are right on pictures that it had not learnt from"));
        }
        if let Some(reason) = self.worse(found, name) {
            return (Verdict::Reject, reason);
        }
        let Comparison { top3, top1, .. } = found;
        let better = |paired: &Paired| paired.points > 0.0 && paired.p < SURE;
        let points = |paired: &Paired| {
            format!("{:+.1} points [{:.1}, {:.1}]", paired.points, paired.interval.low, paired.interval.high)
        };
        if better(top3) {
            return (Verdict::Promote, format!("top-3 is better: {}", points(top3)));
        }
        if better(top1) && top3.points >= 0.0 {
            return (Verdict::Promote, format!("the best answer is right more often: {}", points(top1)));
        }
        (Verdict::Keep, format!("no gain that is certain: top-3 {}, best answer {}", points(top3), points(top1)))
    }

    /// The share of the most common class.
    fn most_common(&self) -> f64 {
        let mut classes: Vec<usize> = self.judged.iter().map(|judged| judged.class).collect();
        classes.sort_unstable();
        let most = classes.chunk_by(|a, b| a == b).map(<[_]>::len).max().unwrap_or(0);
        most as f64 / classes.len().max(1) as f64
    }

    /// Where the challenger is worse and that matters.
    fn worse(&self, found: &Comparison, name: &dyn Fn(usize) -> String) -> Option<String> {
        let lost = |paired: &Paired| format!("{} lost, {} gained of {}", paired.lost, paired.gained, paired.n);
        let surely = |paired: &Paired, sure: f64| paired.points < 0.0 && paired.p < sure;
        if surely(&found.top3, SURE) {
            return Some(format!("top-3 is worse: {}", lost(&found.top3)));
        }
        if let Some(known) = found.known.as_ref().filter(|known| surely(known, SURE)) {
            return Some(format!("classes that were known are forgotten: top-3 {}", lost(known)));
        }
        if let Some(confirmed) = &found.confirmed {
            let may_lose = MAY_LOSE_COUNT.max((MAY_LOSE * confirmed.n as f64) as usize);
            if confirmed.lost.saturating_sub(confirmed.gained) > may_lose {
                return Some(format!("what people confirmed is no longer answered: {}", lost(confirmed)));
            }
        }
        if let Some((class, paired)) = self.worst_class(&|paired, classes| surely(paired, SURE / classes as f64)) {
            return Some(format!("{:?} is recognised worse: {}", name(class), lost(&paired)));
        }
        let [before, after] = self.ece;
        if self.judged.len() >= ENOUGH_FOR_ECE && after > ECE_ALLOWED.max(before + ECE_MORE) {
            return Some(format!(
                "its probabilities mean less: calibration error {after:.3}, the champion's {before:.3}"
            ));
        }
        None
    }

    /// A class with enough examples that fails; the more classes are looked at, the surer that must be.
    fn worst_class(&self, fails: &dyn Fn(&Paired, usize) -> bool) -> Option<(usize, Paired)> {
        let mut sorted: Vec<&Judged> = self.judged.iter().filter(|judged| judged.known).collect();
        sorted.sort_by_key(|judged| judged.class);
        let classes: Vec<_> =
            sorted.chunk_by(|a, b| a.class == b.class).filter(|of| of.len() >= ENOUGH_OF_CLASS).collect();
        let compared = classes.iter().map(|of| {
            let first: Vec<bool> = of.iter().map(|judged| judged.champion.in_top3).collect();
            let second: Vec<bool> = of.iter().map(|judged| judged.challenger.in_top3).collect();
            (of[0].class, paired(&first, &second))
        });
        compared.filter(|(_, paired)| fails(paired, classes.len())).min_by(|a, b| a.1.points.total_cmp(&b.1.points))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::metrics::Prediction;

    fn answer(rank: usize) -> Answer {
        Answer {
            picture: 0,
            degradation: None,
            best: 0,
            prediction: Prediction { confidence: 0.9, correct: rank == 1 },
            in_top3: rank <= 3,
            log_loss: 0.0,
            brier: 0.0,
        }
    }

    /// So many examples of classes in turn, with the ranks of the right class by champion and challenger.
    fn many(count: usize, classes: usize, champion: usize, challenger: usize) -> Vec<Judged> {
        let one = |n: usize| Judged {
            class: n % classes,
            known: true,
            confirmed: false,
            champion: answer(champion),
            challenger: answer(challenger),
        };
        (0..count).map(one).collect()
    }

    fn verdict(judged: &[Judged], learnt: bool, ece: [f64; 2]) -> (Verdict, String) {
        let trial = Trial { judged, learnt, ece };
        trial.verdict(&trial.compare(), &|class| format!("class {class}"))
    }

    fn check(judged: &[Judged], wanted: Verdict, why: &str) {
        let (verdict, reason) = verdict(judged, true, [0.05, 0.05]);
        assert!(verdict == wanted && reason.contains(why), "{verdict:?}: {reason}");
    }

    #[test]
    fn what_is_better_for_certain_is_promoted() {
        check(&[many(60, 10, 1, 1), many(20, 10, 9, 1)].concat(), Verdict::Promote, "top-3 is better: +25.0 points");
        check(
            &[many(60, 10, 1, 1), many(20, 10, 2, 1)].concat(),
            Verdict::Promote,
            "the best answer is right more often",
        );
        // Two classes: the right one is always among the best three.
        check(&[many(60, 2, 1, 1), many(20, 2, 2, 1)].concat(), Verdict::Promote, "the best answer");
    }

    #[test]
    fn what_may_be_chance_is_not() {
        check(&[many(80, 10, 1, 1), many(3, 10, 9, 1)].concat(), Verdict::Keep, "no gain that is certain");
        check(&many(80, 10, 1, 1), Verdict::Keep, "+0.0 points");
        check(&[many(60, 10, 1, 1), many(4, 10, 1, 9), many(2, 10, 9, 1)].concat(), Verdict::Keep, "no gain");
    }

    #[test]
    fn what_is_worse_where_it_matters_is_rejected() {
        check(
            &[many(60, 10, 1, 1), many(20, 10, 1, 9)].concat(),
            Verdict::Reject,
            "top-3 is worse: 20 lost, 0 gained of 80",
        );
        // Better as a whole, by new classes, and worse on those that were known.
        let new: Vec<_> = many(40, 10, 9, 1).into_iter().map(|judged| Judged { known: false, ..judged }).collect();
        check(&[many(60, 10, 1, 1), many(9, 10, 1, 9), new].concat(), Verdict::Reject, "are forgotten: top-3 9 lost");
        // One class pays for the others.
        let mut paying = [many(90, 9, 9, 1), many(90, 9, 1, 1)].concat();
        let of_class = |class| move |n: usize| Judged { class, ..many(1, 1, 1, if n < 12 { 9 } else { 1 })[0] };
        paying.extend((0..14).map(of_class(70)));
        check(&paying, Verdict::Reject, "\"class 70\" is recognised worse: 12 lost");
        let confirmed: Vec<_> =
            many(20, 10, 1, 9).into_iter().take(3).map(|j| Judged { confirmed: true, ..j }).collect();
        let good: Vec<_> = many(17, 10, 1, 1).into_iter().map(|j| Judged { confirmed: true, ..j }).collect();
        check(&[many(60, 10, 9, 1), confirmed, good].concat(), Verdict::Reject, "people confirmed");
        let better = [many(90, 10, 1, 1), many(20, 10, 9, 1)].concat();
        assert_eq!(verdict(&better, true, [0.05, 0.15]).0, Verdict::Reject);
        assert_eq!(verdict(&better, true, [0.12, 0.15]).0, Verdict::Promote);
    }

    #[test]
    fn labels_that_do_not_fit_are_rejected() {
        check(&[many(97, 100, 9, 9), many(3, 100, 9, 1)].concat(), Verdict::Reject, "3 of 100 are right");
        // Nearly all have one label: to say it always is no achievement.
        let lopsided = |n: usize| Judged { class: usize::from(n.is_multiple_of(20)), ..many(1, 1, 9, 1)[0] };
        let one_sided: Vec<_> = (0..60).map(lopsided).collect();
        check(&[one_sided, many(3, 1, 9, 9)].concat(), Verdict::Reject, "most common label");
    }

    #[test]
    fn a_model_that_knew_nothing_has_to_beat_chance() {
        let good = [many(19, 2, 2, 1), many(1, 2, 2, 2)].concat();
        assert_eq!(verdict(&good, false, [0.5, 0.05]).0, Verdict::Promote);
        let poor = [many(12, 2, 2, 1), many(8, 2, 2, 2)].concat();
        assert_eq!(verdict(&poor, false, [0.5, 0.05]).0, Verdict::Keep);
    }
}
