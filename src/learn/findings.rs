//! What a trial showed, for a page: how far what it says can be believed, what it mixes up, and what looks like what to it.

use serde::Serialize;

use super::Stopped;
use super::material::Material;
use super::trial::Trial;
use crate::eval::confusion::{Said, confusions};
use crate::eval::embed::{self, tsne};
use crate::eval::fit::Answer;
use crate::eval::metrics::{self, Prediction};

/// Bars of a diagram: each tenth is easier to read than the 15 bins of the calibration error.
const BARS: usize = 10;
const MOST_CONFUSIONS: usize = 20;
/// Points of the map: so many can be told apart on a page, and take a second.
const MOST_POINTS: usize = 400;
/// The map's labels may take so many bytes: together with the rest of a point, it is to stay well below 100 kB whatever
/// classes are called.
const MOST_LABELS: usize = 20_000;
/// So that the map of the same examples is the same tomorrow.
const SEED: u64 = 1;

/// What a trial showed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Findings {
    /// How often answers are right, by how sure they were.
    pub reliability: Reliability,
    /// What the challenger took for what most often.
    pub confusions: Vec<Confused>,
    /// Places of examples, those near each other that look alike to the network.
    pub map: Vec<Point>,
}

/// How often answers are right, by how sure they were.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reliability {
    /// The champion's; `None` if it has learnt nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub champion: Option<Vec<Bar>>,
    /// The challenger's.
    pub challenger: Vec<Bar>,
}

/// Answers of about the same confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bar {
    /// Confidences above this; of the first bar, from this on.
    pub low: f64,
    /// Confidences up to this.
    pub high: f64,
    /// How many answers.
    pub n: usize,
    /// Their mean confidence; 0 if there are none.
    pub confidence: f64,
    /// How many of them are right, as a fraction; 0 if there are none.
    pub accuracy: f64,
}

/// A class that was taken for another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Confused {
    /// What was shown.
    pub label: String,
    /// What was said.
    pub said: String,
    /// How often.
    pub n: usize,
}

/// An example on the map.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// From left to right, 0 to 1.
    pub x: f64,
    /// And from one end to the other, 0 to 1.
    pub y: f64,
    /// What it shows.
    pub label: String,
    /// Whether the challenger said so that was not taught on it; `None` if it was not judged.
    pub right: Option<bool>,
}

impl Findings {
    /// Of a trial of this material; `width` features a view. A champion that has not `learnt` anything has nothing to show.
    ///
    /// # Errors
    /// [`Stopped`] if it was.
    pub fn of(
        material: &Material,
        trial: &Trial,
        learnt: bool,
        width: usize,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Self, Stopped> {
        let reliability =
            Reliability { champion: learnt.then(|| bars(&trial.champion)), challenger: bars(&trial.challenger) };
        let confusions = confused(material, &trial.challenger);
        if stopped() {
            return Err(Stopped);
        }
        let map = map(material, &trial.challenger, width);
        if stopped() { Err(Stopped) } else { Ok(Self { reliability, confusions, map }) }
    }
}

fn bars(answers: &[Answer]) -> Vec<Bar> {
    let predictions: Vec<Prediction> = answers.iter().map(|answer| answer.prediction).collect();
    let bar =
        |metrics::Bin { low, high, count, confidence, accuracy }| Bar { low, high, n: count, confidence, accuracy };
    metrics::reliability(&predictions, BARS).into_iter().map(bar).collect()
}

fn confused(material: &Material, answers: &[Answer]) -> Vec<Confused> {
    let said = |answer: &Answer| Said {
        class: u32::try_from(material.examples[answer.picture].0.class).unwrap_or(u32::MAX),
        best: answer.best,
        confidence: answer.prediction.confidence,
    };
    let pairs = confusions(&answers.iter().map(said).collect::<Vec<_>>());
    let name = |class: u32| material.name(class as usize);
    let mut confused: Vec<Confused> = pairs
        .into_iter()
        .map(|pair| Confused { label: name(pair.class), said: name(pair.taken_for), n: pair.count })
        .collect();
    confused.sort_by(|a, b| b.n.cmp(&a.n).then_with(|| (&a.label, &a.said).cmp(&(&b.label, &b.said))));
    confused.truncate(MOST_CONFUSIONS);
    confused
}

fn map(material: &Material, answers: &[Answer], width: usize) -> Vec<Point> {
    let examples = &material.examples;
    let labels: Vec<String> = examples.iter().map(|(example, _)| material.name(example.class)).collect();
    // From the newest on.
    let mut bytes = 0;
    let fits = |label: &&String| {
        bytes += label.len();
        bytes <= MOST_LABELS
    };
    let shown = labels.iter().rev().take(MOST_POINTS).take_while(fits).count();
    let first = examples.len() - shown;
    let centre = |features: &[f32]| embed::of_length_one(features.get(..width).unwrap_or(features));
    let rows: Vec<Vec<f32>> = examples[first..].iter().map(|(_, features)| centre(&features.views)).collect();
    let places = within_one(&tsne(&rows, SEED));
    let right = |example: usize| {
        let answer = answers.binary_search_by_key(&example, |answer| answer.picture).ok();
        answer.map(|answer| answers[answer].prediction.correct)
    };
    let numbered = (first..).zip(labels.into_iter().skip(first)).zip(places);
    numbered.map(|((example, label), [x, y])| Point { x, y, label, right: right(example) }).collect()
}

/// Each axis from 0 to 1, in thousandths.
fn within_one(places: &[[f32; 2]]) -> Vec<[f64; 2]> {
    let ends = [0, 1].map(|axis| {
        let values = || places.iter().map(|place| place[axis]);
        (values().fold(f32::INFINITY, f32::min), values().fold(f32::NEG_INFINITY, f32::max))
    });
    let scaled = |axis: usize, value: f32| {
        let (low, high) = ends[axis];
        let share = if high > low { f64::from(value - low) / f64::from(high - low) } else { 0.5 };
        (share.clamp(0.0, 1.0) * 1000.0).round() / 1000.0
    };
    places.iter().map(|place| [scaled(0, place[0]), scaled(1, place[1])]).collect()
}

#[cfg(test)]
mod tests;
