//! A layer and the blocks before it, taught together on a lesson.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Stopped;
use super::examples::Exhibit;
use super::finetune::{Activations, FinetuneError, Sample, Settings, Trainer, finetune};
use super::head;
use super::look;
use super::network::{NetworkError, Tail};
use super::trial::{Lessons, Pupil};
use crate::classify::session::{Computing, Runtime, SessionError};
use crate::classify::temperature::softmax;
use crate::classify::views::Views;
use crate::eval::run;
use crate::feedback::View;
use crate::frame::decode::Limits;
use crate::frame::pipeline::Pipeline;
use crate::frame::steps::{Looking, Steps};
use crate::model::{Bundle, Head, Linear, Onnx};
use crate::ops::process;

/// Views that are learnt from, all examples together: what the frozen blocks make of them takes up to 90 KB each.
const MOST_VIEWS: usize = 1_600;

/// Why nothing was taught.
#[derive(Debug, thiserror::Error)]
pub enum DeepError {
    /// It was asked to end.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The blocks can't be taught.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Teaching failed.
    #[error(transparent)]
    Finetune(#[from] FinetuneError),
    /// The frozen blocks can't be run.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// An example could be looked at once, and not again.
    #[error("frame {frame}: {message}")]
    Example {
        /// Its frame.
        frame: ulid::Ulid,
        /// Why.
        message: String,
    },
}

/// What the frozen blocks make of each example, and the blocks that are taught.
#[derive(Debug)]
pub struct Deep<'a> {
    onnx: &'a Onnx,
    head: &'a Head,
    blocks: usize,
    layer: head::Settings,
    /// Of all views of all examples.
    activations: Activations,
    /// Views of each example.
    views: usize,
}

/// A network whose last blocks were taught, and what it says of the examples that it was not taught on.
#[derive(Debug)]
pub struct Taught {
    trainer: Trainer,
    /// By example.
    said: Vec<Vec<f32>>,
}

impl Pupil for Taught {
    // It uses all cores.
    const AT_ONCE: usize = 1;

    fn says(&self, _: &Lessons, example: usize) -> Vec<f32> {
        self.said[example].clone()
    }
}

impl Taught {
    /// Puts what was taught into a network.
    ///
    /// # Errors
    /// [`DeepError`] if it is not the network that it was taken from.
    pub fn write(&self, onnx: &mut Onnx, head: &Head) -> Result<(), DeepError> {
        self.trainer.tail().write(onnx)?;
        let layer = self.trainer.head()?;
        onnx.set_head(head, &layer).map_err(NetworkError::from)?;
        Ok(())
    }
}

/// How the frozen blocks are run.
#[derive(Clone, Copy, Debug)]
pub struct Frozen<'a> {
    /// ONNX Runtime.
    pub runtime: &'a Runtime,
    /// The model.
    pub bundle: &'a Bundle,
    /// Its last layer.
    pub head: &'a Head,
    /// Limits of the decoder.
    pub limits: Limits,
    /// Where pictures are.
    pub store: &'a View,
}

impl<'a> Deep<'a> {
    /// Runs the frozen blocks on all examples. `layer` is how the last layer was taught: the targets are the same.
    ///
    /// # Errors
    /// [`DeepError`] if so many blocks can't be taught, or the rest can't be run.
    pub fn new(
        onnx: &'a Onnx,
        blocks: usize,
        layer: head::Settings,
        frozen: Frozen<'a>,
        examples: &[Exhibit],
        stopped: &(dyn Fn() -> bool + Sync),
        looked: &(dyn Fn() + Sync),
    ) -> Result<Self, DeepError> {
        let Frozen { runtime, bundle, head, limits, store } = frozen;
        let tail = Tail::new(onnx, head, blocks)?;
        let models = [Arc::new(bundle.clone())];
        let open = || Pipeline::with_tensor(runtime, &models, Computing::threads(1), limits, tail.cut());
        let mut pipelines = look::pipelines(examples.len(), open)?;
        let views = Views::lesson(MOST_VIEWS / examples.len().max(1));
        let steps = Steps { looking: Looking::Always(views), temperature: false, ..Steps::default() };
        let seen = run::in_parallel(&mut pipelines, examples.len(), |pipeline, index| -> Result<_, DeepError> {
            if stopped() {
                return Err(Stopped.into());
            }
            let exhibit = &examples[index];
            let failed = |message: String| DeepError::Example { frame: exhibit.frame, message };
            look::look_at(pipeline, store, exhibit, &steps).map_err(failed)?;
            let [_, channels, height, width] = *pipeline.features_shape(0) else {
                return Err(failed(format!("the cut {:?} is no picture", tail.cut())));
            };
            let mut activations = Activations::new(channels, height, width);
            let each = pipeline.each_features().chunks_exact(channels * height * width);
            each.for_each(|view| activations.push(view));
            looked();
            Ok(activations)
        });
        drop(pipelines);
        process::trim_memory();
        let mut activations: Option<Activations> = None;
        for of_example in seen {
            let of_example = of_example?;
            activations.get_or_insert_with(|| of_example.like()).append(&of_example);
        }
        let nothing = || FinetuneError::Unfit("there is nothing to learn from".to_owned());
        let activations = activations.ok_or_else(nothing)?;
        let views = activations.len() / examples.len();
        Ok(Self { onnx, head, blocks, layer, activations, views })
    }

    /// Teaches, from a layer that was taught before, on the examples with a weight; the others are answered. `watch` is told of
    /// each step, and says whether to go on.
    ///
    /// # Errors
    /// [`DeepError`], also if it was stopped.
    pub fn teach(
        &self,
        lessons: &Lessons,
        layer: &Linear,
        weights: &[f32],
        settings: &Settings,
        watch: &dyn Fn() -> bool,
    ) -> Result<Taught, DeepError> {
        let tail = Tail::new(self.onnx, self.head, self.blocks)?;
        let views = self.views.min(lessons.views());
        let evened = evened(lessons, weights);
        let taught = (0..lessons.len()).filter(|&example| weights[example] > 0.0);
        let each_view = taught.flat_map(|example| (0..views).map(move |view| (example, view)));
        let samples: Vec<Sample> =
            each_view.map(|(example, view)| self.sample(lessons, example, view, evened[example])).collect();
        let stop = AtomicBool::new(false);
        let mut progress = |_| stop.store(!watch(), Ordering::Relaxed);
        let taught = finetune(tail, layer, &self.activations, &samples, settings.clone(), &stop, &mut progress)?;
        let trainer = taught.ok_or(Stopped)?;
        let others = (0..lessons.len()).filter(|&example| weights[example] == 0.0);
        let centres: Vec<usize> = others.map(|example| example * self.views).collect();
        let logits = trainer.logits(&self.activations, &centres)?;
        let mut answers = logits.chunks_exact(layer.classes).map(<[f32]>::to_vec);
        let said = weights.iter().map(|weight| match *weight > 0.0 {
            true => Vec::new(),
            false => answers.next().unwrap_or_default(),
        });
        let said = said.collect();
        Ok(Taught { trainer, said })
    }

    fn sample(&self, lessons: &Lessons, example: usize, view: usize, weight: f32) -> Sample {
        let shown = lessons.shown(example);
        let part = self.layer.distilled(shown, lessons.known());
        let class = shown.and_then(|class| u32::try_from(class).ok());
        let mut target: Vec<_> = class.map(|class| (class, 1.0 - part)).into_iter().collect();
        if part > 0.0 {
            let scores = lessons.champion_says(example, view);
            let mut p = vec![0.0; scores.len()];
            softmax(&scores, 1.0, &mut p);
            // What is left out is less than a thousandth each.
            target.extend((0..).zip(p).filter(|(_, p)| *p > 1e-3).map(|(class, p)| (class, part * p)));
        }
        Sample { view: example * self.views + view, target, weight }
    }
}

/// A class with four times as many examples counts twice as much, as for the last layer alone; 1 in the mean. What has no class
/// counts 1.
fn evened(lessons: &Lessons, weights: &[f32]) -> Vec<f32> {
    let mut sums = vec![0.0_f32; lessons.classes()];
    let with_class = || weights.iter().enumerate().map(|(example, weight)| (lessons.shown(example), *weight));
    with_class().for_each(|(class, weight)| class.into_iter().for_each(|class| sums[class] += weight));
    let evened = |class: usize, weight: f32| weight / sums[class].max(f32::MIN_POSITIVE).sqrt();
    let of_classes = || with_class().filter_map(|(class, weight)| Some((class?, weight)));
    let count = of_classes().filter(|(_, weight)| *weight > 0.0).count().max(1);
    let mean = of_classes().map(|(class, weight)| evened(class, weight)).sum::<f32>() / count as f32;
    let of_one = |(class, weight): (Option<usize>, f32)| {
        class.map_or(weight, |class| evened(class, weight) / mean.max(f32::MIN_POSITIVE))
    };
    with_class().map(of_one).collect()
}
