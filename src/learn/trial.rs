//! Cross-fitting: each example is judged by a layer that was taught on the others, as they stand in folds.

use std::thread;

use ndarray::{Array2, ArrayView2, s};

use super::Stopped;
use super::features::Features;
use super::head::{Lesson, Settings, scores, teach};
use crate::eval::fit::{Answer, Fit, Replay, Sighted, Values, fit};
use crate::model::onnx::Linear;
use crate::model::{OutputKind, PoorTemperatures};

/// Folds of the trial.
pub const FOLDS: usize = 4;
/// Views that are learnt from at once: their features, and what is made of them, take 200 MB.
const MOST_VIEWS: usize = 8_000;
/// The score of a class that a layer does not have.
const NO_CLASS: f32 = -1e4;
/// The share of right answers that `unknown` is to leave, as `calibrate` has it by default.
const PRECISION: f64 = 0.9;

/// All that is taught.
#[derive(Debug)]
pub struct Lessons {
    champion: Linear,
    /// Classes after it.
    classes: usize,
    /// The class of each example; `None` where only what the champion says is to stay.
    shown: Vec<Option<usize>>,
    /// Views of each example.
    views: usize,
    /// Shape `[examples · views, features]`.
    features: Array2<f32>,
    /// What the champion says, shape `[examples · views, known classes]`.
    scores: Array2<f32>,
}

impl Lessons {
    /// Of examples with their features, of `views` views each. Where there are very many, fewer views of each are used.
    ///
    /// # Panics
    /// If the features of an example are not those of so many views.
    #[must_use]
    pub fn new(champion: Linear, classes: usize, views: usize, examples: &[(Option<usize>, &Features)]) -> Self {
        let used = (MOST_VIEWS / examples.len().max(1)).clamp(1, views.max(1));
        let width = champion.features;
        let mut features = Array2::zeros((examples.len() * used, width));
        for (index, (_, of_example)) in examples.iter().enumerate() {
            let all = ArrayView2::from_shape((views, width), &of_example.views).expect("the features of all views");
            features.slice_mut(s![index * used..(index + 1) * used, ..]).assign(&all.slice(s![..used, ..]));
        }
        let scores = scores(&champion, features.view());
        let shown = examples.iter().map(|(class, _)| *class).collect();
        Self { champion, classes, shown, views: used, features, scores }
    }

    /// The number of examples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shown.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// A layer that is taught on some of the examples, each with its weight; one of weight 0 plays no part.
    ///
    /// # Errors
    /// [`Stopped`] if it was.
    pub fn teach(&self, weights: &[f32], settings: &Settings, stopped: &dyn Fn() -> bool) -> Result<Linear, Stopped> {
        let rows: Vec<usize> = (0..self.len())
            .filter(|&example| weights[example] > 0.0)
            .flat_map(|example| example * self.views..(example + 1) * self.views)
            .collect();
        let of_rows = |all: &Array2<f32>| all.select(ndarray::Axis(0), &rows);
        let (features, scores) = (of_rows(&self.features), of_rows(&self.scores));
        let shown: Vec<_> = rows.iter().map(|row| self.shown[row / self.views]).collect();
        let weights: Vec<f32> = rows.iter().map(|row| weights[row / self.views]).collect();
        let lesson = Lesson {
            champion: &self.champion,
            classes: self.classes,
            features: features.view(),
            scores: scores.view(),
            shown: &shown,
            weights: &weights,
            views: self.views,
        };
        teach(&lesson, settings, stopped).ok_or(Stopped)
    }

    /// What the champion says of a view of an example, one score a class that it has.
    #[must_use]
    pub fn champion_says(&self, example: usize, view: usize) -> Vec<f32> {
        self.scores.row(example * self.views + view).to_vec()
    }

    /// The classes that the champion has.
    #[must_use]
    pub fn known(&self) -> usize {
        self.champion.classes
    }

    /// The class of an example; `None` where only what the champion says is to stay.
    #[must_use]
    pub fn shown(&self, example: usize) -> Option<usize> {
        self.shown[example]
    }

    /// Views of each example that are learnt from.
    #[must_use]
    pub fn views(&self) -> usize {
        self.views
    }

    /// The number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// What a layer says of the centre view of an example, one score a class.
    fn said(&self, layer: &Linear, example: usize) -> Vec<f32> {
        let centre = example * self.views;
        let mut said = scores(layer, self.features.slice(s![centre..=centre, ..])).into_raw_vec_and_offset().0;
        said.resize(self.classes, NO_CLASS);
        said
    }

    fn sighted(&self, folds: &[Option<usize>], said: impl Fn(usize, usize) -> Vec<f32>) -> Vec<Sighted> {
        let one = |example: usize| {
            let (shown, fold) = (self.shown[example]?, folds[example]?);
            let class = u32::try_from(shown).unwrap_or(u32::MAX);
            Some(Sighted { class, picture: example, degradation: None, condition: None, raw: said(example, fold) })
        };
        (0..self.len()).filter_map(one).collect()
    }
}

/// What came of a trial.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What the champion answers, one for each example of a fold.
    pub champion: Vec<Answer>,
    /// What is answered by layers that were taught without the example's fold, at temperatures that were fitted without it.
    pub challenger: Vec<Answer>,
    /// The temperature for a layer that is taught on all.
    pub temperature: f32,
    /// A best score below this is "unknown"; 0 if no threshold leaves enough.
    pub unknown_below: f32,
}

/// Somebody who was taught.
pub trait Pupil: Send {
    /// So many are taught at once, on as many cores.
    const AT_ONCE: usize;

    /// What it says of the centre view of an example that it was not taught on, one score a class.
    fn says(&self, lessons: &Lessons, example: usize) -> Vec<f32>;
}

impl Pupil for Linear {
    const AT_ONCE: usize = 2;

    fn says(&self, lessons: &Lessons, example: usize) -> Vec<f32> {
        lessons.said(self, example)
    }
}

/// Teaches without each fold, and lets who was taught answer for that fold. An example without a fold is always taught, and never
/// judged. `teach` is given a weight for each example: 0 for
/// those of the fold.
///
/// # Errors
/// That of `teach`.
pub fn cross_fit<T: Pupil, E: Send>(
    lessons: &Lessons,
    folds: &[Option<usize>],
    champion_temperature: f32,
    teach: &(dyn Fn(&[f32]) -> Result<T, E> + Sync),
    taught: &(dyn Fn() + Sync),
) -> Result<Trial, E> {
    let without = |fold: usize| -> Result<T, E> {
        let kept: Vec<f32> = folds.iter().map(|of| if *of == Some(fold) { 0.0 } else { 1.0 }).collect();
        let pupil = teach(&kept)?;
        taught();
        Ok(pupil)
    };
    let mut pupils = Vec::with_capacity(FOLDS);
    for pair in (0..FOLDS).collect::<Vec<_>>().chunks(T::AT_ONCE) {
        let both = thread::scope(|scope| {
            let running: Vec<_> = pair.iter().map(|&fold| scope.spawn(move || without(fold))).collect();
            let joined = running.into_iter().map(thread::ScopedJoinHandle::join);
            joined.map(|layer| layer.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect::<Vec<_>>()
        });
        pupils.extend(both.into_iter().collect::<Result<Vec<_>, _>>()?);
    }
    let replay = Replay::new(OutputKind::Logits, lessons.classes, None);
    let values = |temperature| Values { temperature, poor: PoorTemperatures::default(), prior_strength: 0.0 };
    let champion = lessons.sighted(folds, |example, _| lessons.said(&lessons.champion, example));
    let mut answers = replay.clone();
    let champion = champion.iter().map(|sighted| answers.answer(sighted, &values(champion_temperature))).collect();
    let challenger = lessons.sighted(folds, |example, fold| pupils[fold].says(lessons, example));
    let Fit { values, after, threshold, .. } =
        fit(&challenger, &values(champion_temperature), &replay, None, PRECISION);
    let unknown_below = threshold.map_or(0.0, |threshold| threshold.below);
    Ok(Trial { champion, challenger: after, temperature: values.temperature, unknown_below })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::dhash::PictureHash;

    /// Three classes, of which the champion has two; each shows in a feature of its own, in both views.
    fn lessons(count: usize) -> (Lessons, Vec<Option<usize>>) {
        let champion =
            Linear { classes: 2, features: 3, weight: vec![4.0, 0.0, 0.0, 0.0, 4.0, 0.0], bias: vec![0.0; 2] };
        let features: Vec<Features> = (0..count)
            .map(|n| {
                let view: Vec<f32> = (0..3).map(|f| if f == n % 3 { 2.0 + n as f32 / 99.0 } else { 0.1 }).collect();
                Features::new(PictureHash(n as u64), &[view.clone(), view].concat())
            })
            .collect();
        let examples: Vec<_> = features.iter().enumerate().map(|(n, features)| (Some(n % 3), features)).collect();
        (Lessons::new(champion, 3, 2, &examples), (0..count).map(|n| Some(n / 3 % FOLDS)).collect())
    }

    #[test]
    fn each_example_is_answered_by_who_was_not_taught_on_it() {
        let (lessons, folds) = lessons(48);
        let asked = std::sync::Mutex::new(Vec::new());
        let teach = |weights: &[f32]| -> Result<Linear, Stopped> {
            let left_out: Vec<usize> = (0..48).filter(|example| weights[*example] == 0.0).collect();
            assert!(left_out.iter().all(|example| folds[*example] == folds[left_out[0]]));
            asked.lock().unwrap().push(folds[left_out[0]]);
            lessons.teach(weights, &Settings::default(), &|| false)
        };
        let trial = cross_fit(&lessons, &folds, 1.0, &teach, &|| {}).unwrap();
        let mut asked = asked.into_inner().unwrap();
        asked.sort_unstable();
        assert_eq!(asked, [Some(0), Some(1), Some(2), Some(3)]);
        let right = |answers: &[Answer]| answers.iter().filter(|answer| answer.prediction.correct).count();
        // The champion can't answer with the third class.
        assert_eq!((right(&trial.champion), right(&trial.challenger)), (32, 48));
        assert!(trial.temperature < 1.0, "{}", trial.temperature);
    }

    #[test]
    fn what_has_no_fold_is_always_taught_and_never_judged() {
        let (lessons, mut folds) = lessons(48);
        folds[..12].fill(None);
        let teach = |weights: &[f32]| {
            assert!(weights[..12].iter().all(|weight| *weight == 1.0));
            lessons.teach(weights, &Settings::default(), &|| false)
        };
        let trial = cross_fit(&lessons, &folds, 1.0, &teach, &|| {}).unwrap();
        assert_eq!((trial.champion.len(), trial.challenger.len()), (36, 36));
        assert_eq!(trial.challenger[0].picture, 12);
    }

    #[test]
    fn many_examples_have_fewer_views_each() {
        assert_eq!(lessons(48).0.views(), 2);
        let features = Features::new(PictureHash(0), &[0.0; 6]);
        let many = vec![(Some(0), &features); MOST_VIEWS];
        let champion = Linear { classes: 1, features: 3, weight: vec![0.0; 3], bias: vec![0.0] };
        assert_eq!(Lessons::new(champion, 1, 2, &many).views(), 1);
    }

    #[test]
    fn a_trial_stops_when_it_is_asked_to() {
        let (lessons, folds) = lessons(48);
        let teach = |weights: &[f32]| lessons.teach(weights, &Settings::default(), &|| true);
        assert_eq!(cross_fit(&lessons, &folds, 1.0, &teach, &|| {}).unwrap_err(), Stopped);
    }
}
