//! A better last layer: softmax regression that begins with the layer there is and stays near it.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{Array1, Array2, ArrayView2, Axis, s};

use super::minimise::{Until, minimise};
use crate::classify::temperature::softmax;
use crate::model::onnx::Linear;

/// The bias of a class that is not known yet: it is never the answer.
const NEVER: f32 = -50.0;

/// What a last layer is taught.
#[derive(Clone, Copy, Debug)]
pub struct Lesson<'a> {
    /// The layer there is, of the classes known so far.
    pub champion: &'a Linear,
    /// The number of classes after it.
    pub classes: usize,
    /// The features of each view, shape `[views, features]`.
    pub features: ArrayView2<'a, f32>,
    /// What the layer there is says of each view, shape `[views, known classes]`.
    pub scores: ArrayView2<'a, f32>,
    /// The class that each view shows; `None` where nobody has said it, and what the layer there is says is to stay.
    pub shown: &'a [Option<usize>],
    /// How much each view counts, beside what evens out the classes.
    pub weights: &'a [f32],
    /// Views of a picture. Those of one follow each other, the centre view first.
    pub views: usize,
}

/// How it is taught.
///
/// What the settings are for Lite0 was chosen by cross-validation on 400 photographs of 100 everyday classes. The mixture as the
/// beginning of a new class is what matters most; `distil_new` trades new classes for old ones. Of what was tried,
/// replaying made-up features of old classes, whitening the features, and more or other views gained nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How strongly a row is held where it began: λ/2 of the squared distance, beside the sum of the losses of all pictures,
    /// where λ is this part of the features' mean squared length. So it means the same for networks with larger features.
    pub pull: f32,
    /// The part of the target that is what the layer there is says, for views of known classes …
    pub distil_known: f32,
    /// … and of new ones.
    pub distil_new: f32,
    /// A new class begins as a mixture of those that it was taken for, by their probabilities at this temperature.
    pub mixed_at: f32,
    /// When to end.
    pub until: Until,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pull: 1.0 / 30.0,
            distil_known: 0.5,
            distil_new: 0.05,
            mixed_at: 0.25,
            until: Until { steps: 40, gradient: 1e-3 },
        }
    }
}

impl Settings {
    /// For a layer that knows nothing: there is nothing to be kept.
    #[must_use]
    pub fn from_nothing() -> Self {
        Self { distil_known: 0.0, distil_new: 0.0, ..Self::default() }
    }

    /// The part of the target that is what the layer there is says, for a view that shows this class, of which so many are known.
    #[must_use]
    pub fn distilled(&self, shown: Option<usize>, known: usize) -> f32 {
        match shown {
            None => 1.0,
            Some(class) if class < known => self.distil_known,
            Some(_) => self.distil_new,
        }
    }
}

/// Teaches. Only the rows of classes that are shown change. The same lesson gives the same layer. `None` if it was stopped.
///
/// The loss is the cross-entropy, as in distillation (Hinton et al., "Distilling the Knowledge in a Neural Network", 2015)
/// with targets of which a part is the champion's own distribution, so that what it knew is not forgotten (Li and Hoiem,
/// "Learning without Forgetting", 2017); and each row is held where it began (L2-SP: Li et al., "Explicit Inductive Bias for Transfer
/// Learning", 2018). New rows begin as a mixture of old ones: what a new class was taken for is what it looks like.
///
/// # Panics
/// If the shapes are not those that are said.
#[must_use]
pub fn teach(lesson: &Lesson<'_>, settings: &Settings, stopped: &dyn Fn() -> bool) -> Option<Linear> {
    let problem = Problem::new(lesson, settings);
    let start = vec![0.0; problem.rows.len() * problem.width()];
    let moved = minimise(start, settings.until, |at, gradient| problem.loss(at, gradient), stopped)?;
    Some(problem.layer(lesson, &moved))
}

/// The lesson in the form in which it is solved: how far each row has moved, times the root of the pull.
struct Problem {
    /// The classes whose rows change.
    rows: Vec<usize>,
    /// Where they begin, shape `[rows, features + 1]`; the last column is the bias.
    begin: Array2<f32>,
    /// Shape `[views, features + 1]`, the last column ones.
    inputs: Array2<f32>,
    /// Scores at the start, shape `[views, rows + 1]`; the last column is that of all other classes together.
    scores: Array2<f32>,
    /// The same shape.
    targets: Array2<f32>,
    /// One a view.
    weights: Array1<f32>,
    /// What a move of length one is.
    scale: f32,
}

impl Problem {
    fn new(lesson: &Lesson<'_>, settings: &Settings) -> Self {
        let &Lesson { champion, features, scores, shown, .. } = lesson;
        let (views, known) = (shown.len(), champion.classes);
        assert!(features.dim() == (views, champion.features) && scores.dim() == (views, known), "shapes");
        let rows: Vec<usize> = shown.iter().flatten().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let row_of: BTreeMap<usize, usize> = rows.iter().enumerate().map(|(row, &class)| (class, row)).collect();
        let old = rows.partition_point(|&class| class < known);

        let mut inputs = Array2::ones((views, champion.features + 1));
        inputs.slice_mut(s![.., ..champion.features]).assign(&features);
        let weight = ArrayView2::from_shape((known, champion.features), &champion.weight);
        let weight = weight.expect("as many weights as are said");
        let mut begin = Array2::zeros((rows.len(), champion.features + 1));
        for (mut row, &class) in begin.outer_iter_mut().zip(&rows[..old]) {
            row.slice_mut(s![..champion.features]).assign(&weight.row(class));
            row[champion.features] = champion.bias[class];
        }
        for (row, &class) in rows.iter().enumerate().skip(old) {
            let mixture = mixture(lesson, settings.mixed_at, class);
            begin.slice_mut(s![row, ..champion.features]).assign(&mixture.dot(&weight));
            begin[[row, champion.features]] = mixture.iter().zip(&champion.bias).map(|(part, bias)| part * bias).sum();
        }

        let mut at_start = Array2::zeros((views, rows.len() + 1));
        at_start.slice_mut(s![.., ..rows.len()]).assign(&inputs.dot(&begin.t()));
        let others: Vec<usize> = (0..known).filter(|class| !row_of.contains_key(class)).collect();
        let mut targets = Array2::zeros((views, rows.len() + 1));
        let mut p = vec![0.0; known];
        for (view, class) in shown.iter().enumerate() {
            let scores = scores.row(view);
            at_start[[view, rows.len()]] = log_sum_exp(others.iter().map(|&class| scores[class]));
            let part = settings.distilled(*class, known);
            let mut target = targets.row_mut(view);
            if part > 0.0 {
                softmax(&scores.to_vec(), 1.0, &mut p);
                rows[..old].iter().enumerate().for_each(|(row, &class)| target[row] = part * p[class]);
                target[rows.len()] = part * others.iter().map(|&class| p[class]).sum::<f32>();
            }
            if let Some(class) = class {
                target[row_of[class]] += 1.0 - part;
            }
        }
        let length = features.iter().map(|value| value * value).sum::<f32>() / views.max(1) as f32;
        let scale = (settings.pull * length.max(f32::MIN_POSITIVE)).sqrt().recip();
        Self { begin, inputs, scores: at_start, targets, weights: balanced(lesson, &row_of), scale, rows }
    }

    fn width(&self) -> usize {
        self.inputs.ncols()
    }

    /// The loss, and its gradient.
    fn loss(&self, at: &[f32], gradient: &mut [f32]) -> f64 {
        let moved = ArrayView2::from_shape((self.rows.len(), self.width()), at).expect("one number for each weight");
        let mut scores = self.scores.clone();
        let mut trained = scores.slice_mut(s![.., ..self.rows.len()]);
        trained.scaled_add(self.scale, &self.inputs.dot(&moved.t()));
        let mut loss = 0.0;
        for ((mut scores, targets), &weight) in
            scores.outer_iter_mut().zip(self.targets.outer_iter()).zip(&self.weights)
        {
            let log_sum = log_sum_exp(scores.iter().copied());
            for (score, &target) in scores.iter_mut().zip(&targets) {
                let log_p = *score - log_sum;
                if target > 0.0 {
                    loss -= f64::from(weight * target * log_p);
                }
                *score = weight * (log_p.exp() - target);
            }
        }
        let slopes = scores.slice(s![.., ..self.rows.len()]);
        let slopes = slopes.t().dot(&self.inputs);
        for ((gradient, slope), &moved) in gradient.iter_mut().zip(&slopes).zip(at) {
            *gradient = self.scale * slope + moved;
            loss += 0.5 * f64::from(moved) * f64::from(moved);
        }
        loss
    }

    fn layer(&self, lesson: &Lesson<'_>, moved: &[f32]) -> Linear {
        let &Lesson { champion, classes, .. } = lesson;
        let features = champion.features;
        let mut layer = champion.clone();
        layer.classes = classes;
        layer.weight.resize(classes * features, 0.0);
        layer.bias.resize(classes, NEVER);
        for ((&class, begin), moved) in self.rows.iter().zip(self.begin.outer_iter()).zip(moved.chunks(features + 1)) {
            let mut end = begin.iter().zip(moved).map(|(begin, moved)| begin + self.scale * moved);
            let row = &mut layer.weight[class * features..(class + 1) * features];
            row.iter_mut().zip(end.by_ref()).for_each(|(weight, end)| *weight = end);
            layer.bias[class] = end.next().unwrap_or(NEVER);
        }
        layer
    }
}

/// The part of each known class in a new one: the champion's distribution at some temperature, in the mean over the centre views
/// of it.
fn mixture(lesson: &Lesson<'_>, temperature: f32, class: usize) -> Array1<f32> {
    let of_class = (0..lesson.shown.len()).step_by(lesson.views).filter(|&view| lesson.shown[view] == Some(class));
    let mut sum = Array1::zeros(lesson.champion.classes);
    let mut p = vec![0.0; lesson.champion.classes];
    let mut count = 0.0;
    for view in of_class {
        softmax(&lesson.scores.row(view).to_vec(), temperature, &mut p);
        sum.iter_mut().zip(&p).for_each(|(sum, p)| *sum += p);
        count += 1.0;
    }
    sum / f32::max(count, 1.0)
}

/// A class with four times as many pictures counts twice as much, for the roots of their numbers. The weights of all pictures
/// of classes together stay what they are, as do those of others, and the views of a picture share its weight.
fn balanced(lesson: &Lesson<'_>, row_of: &BTreeMap<usize, usize>) -> Array1<f32> {
    let mut sums = vec![0.0_f32; row_of.len()];
    let row = |class: &Option<usize>| class.map(|class| row_of[&class]);
    let with_weights = || lesson.shown.iter().map(row).zip(lesson.weights);
    with_weights().for_each(|(row, weight)| row.into_iter().for_each(|row| sums[row] += weight));
    let evened = |row: usize, weight: f32| if sums[row] > 0.0 { weight / sums[row].sqrt() } else { 0.0 };
    let all: f32 = with_weights().filter_map(|(row, weight)| Some(evened(row?, *weight))).sum();
    let scale = sums.iter().sum::<f32>() / all.max(f32::MIN_POSITIVE);
    let of_view = |(row, weight): (Option<usize>, &f32)| row.map_or(*weight, |row| scale * evened(row, *weight));
    with_weights().map(|pair| of_view(pair) / lesson.views as f32).collect()
}

fn log_sum_exp(values: impl Iterator<Item = f32> + Clone) -> f32 {
    let most = values.clone().fold(f32::NEG_INFINITY, f32::max);
    if most == f32::NEG_INFINITY { most } else { most + values.map(|value| (value - most).exp()).sum::<f32>().ln() }
}

/// What a layer says of each view, shape `[views, classes]`.
///
/// # Panics
/// If the features are not as many as the layer takes.
#[must_use]
pub fn scores(layer: &Linear, features: ArrayView2<'_, f32>) -> Array2<f32> {
    let weight = ArrayView2::from_shape((layer.classes, layer.features), &layer.weight).expect("as many as are said");
    let bias = Array1::from(layer.bias.clone());
    features.dot(&weight.t()) + bias.insert_axis(Axis(0))
}
