//! What the plots show, in plain words and with this data's numbers.

use super::confusion::Confusion;
use super::plots::Mark;
use super::{Findings, label};
use crate::eval::metrics::{Bin, CoveragePoint, Prediction, Threshold};

/// Fewer answers than this prove nothing.
const ENOUGH: usize = 10;
/// The share of right answers that a threshold is offered for.
pub(super) const PRECISION: f64 = 0.9;

pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

pub(super) fn reliability(bins: &[Bin], ece: f64) -> String {
    let worst = bins
        .iter()
        .filter(|bin| bin.count >= ENOUGH)
        .max_by(|a, b| (a.accuracy - a.confidence).abs().total_cmp(&(b.accuracy - b.confidence).abs()));
    let example = worst.map_or_else(
        || "There are too few answers of any one kind to give an example.".to_owned(),
        |bin| {
            let (said, right) = (percent(bin.confidence), percent(bin.accuracy));
            let verdict = if (bin.accuracy - bin.confidence).abs() < 0.05 {
                "no bar with enough answers is further off than this"
            } else if bin.accuracy < bin.confidence {
                "here it promises too much, and this is where it is furthest off"
            } else {
                "here it is better than it says, and this is where it is furthest off"
            };
            format!("Of the {} answers given with about {said}, {right} were right: {verdict}.", bin.count)
        },
    );
    format!(
        "Each bar is the answers of which the model was about equally sure (the number on it says how many); good bars end \
         at the slanted line, bars below it promise too much, and bars above it too little. {example} Over all answers, \
         what it says and what is so are {:.1} points of 100 apart.",
        100.0 * ece
    )
}

pub(super) fn coverage(points: &[CoveragePoint], marks: &[Mark]) -> String {
    let all = points.last().map_or(0.0, |point| point.accuracy);
    let half = points.iter().find(|point| point.coverage >= 0.5);
    let half = half.map_or_else(String::new, |point| {
        format!(
            ", and if it kept quiet whenever it is less than {} sure, {} would be right of the {} that remain",
            percent(point.threshold.into()),
            percent(point.accuracy),
            percent(point.coverage)
        )
    });
    let marked = if marks.is_empty() {
        format!("No threshold makes {} of these answers right.", percent(PRECISION))
    } else {
        "The marked points are thresholds to choose from.".to_owned()
    };
    format!(
        "If the model answers always (at the right end), {} of its answers are right{half}. A good curve starts at the top \
         left and falls late and slowly; a flat one says that its sureness tells nothing. {marked}",
        percent(all)
    )
}

/// The threshold that is in force, and one that might be.
pub(super) fn marks(findings: &Findings<'_>, predictions: &[Prediction], offered: Option<Threshold>) -> Vec<Mark> {
    let below = findings.unknown_below;
    let answered: Vec<_> = predictions.iter().filter(|prediction| prediction.confidence >= below).collect();
    let right = answered.iter().filter(|prediction| prediction.correct).count();
    let in_force = (below > 0.0 && !answered.is_empty()).then(|| Mark {
        coverage: answered.len() as f64 / predictions.len() as f64,
        accuracy: right as f64 / answered.len() as f64,
        text: format!("in force: unknown below {below:.2}"),
    });
    let offered = offered.map(|offered| Mark {
        coverage: offered.coverage,
        accuracy: offered.precision,
        text: if offered.below > 0.0 {
            format!("{} right: unknown below {:.2}", percent(offered.precision), offered.below)
        } else {
            format!("{} right without a threshold", percent(offered.precision))
        },
    });
    in_force.into_iter().chain(offered).collect()
}

pub(super) fn confusion(findings: &Findings<'_>, worst: &[Confusion]) -> String {
    let wrong = findings.seen.iter().filter(|seen| !seen.outcome.is_in_top(1)).count();
    let Some(first) = worst.first() else {
        return "Every best answer was right. There is nothing to confuse.".to_owned();
    };
    let (class, taken_for) = (label(findings.labels, first.class), label(findings.labels, first.taken_for));
    let example = if first.count > 1 {
        format!("The worst is {class}: {} of {} were taken for {taken_for}.", first.count, first.of)
    } else {
        format!("No mistake was made twice; the surest was {class}, taken for {taken_for}.")
    };
    format!(
        "In {wrong} of {} pictures the best answer was wrong; these are the mistakes made most often, and pairs that a \
         person might mix up too are no cause for worry. {example}",
        findings.seen.len()
    )
}

pub(super) fn map(findings: &Findings<'_>) -> String {
    let of = if findings.has_features {
        "what the network makes of the picture just before it decides"
    } else {
        "the probabilities of its classes, for the model does not name its features"
    };
    let class = |point: usize| findings.seen[findings.map[point].0].outcome.class;
    let far = |a: usize, b: usize| {
        let ([ax, ay], [bx, by]) = (findings.map[a].1, findings.map[b].1);
        (ax - bx).powi(2) + (ay - by).powi(2)
    };
    // Only of points that have another of their class.
    let n = findings.map.len();
    let several: Vec<usize> = (0..n).filter(|&a| (0..n).any(|b| a != b && class(a) == class(b))).collect();
    let beside = |&a: &usize| {
        let nearest = (0..n).filter(|&b| b != a).min_by(|&b, &c| far(a, b).total_cmp(&far(a, c)));
        nearest.is_some_and(|nearest| class(nearest) == class(a))
    };
    let number = if several.len() < ENOUGH {
        "Here almost every picture is of a class of its own, so look for groups of related things.".to_owned()
    } else {
        let same = several.iter().filter(|point| beside(point)).count() as f64 / several.len() as f64;
        format!("Here the nearest neighbour is of the same class for {} of the points.", percent(same))
    };
    format!(
        "Each point is a picture, and points lie close together if they look alike to the model: close in {of}. Good are \
         clear groups of one class; wrong answers in the midst of another group are pictures that look like something \
         else, and those between groups are doubtful. Only who is near whom means something, not the axes or long \
         distances. {number}"
    )
}
