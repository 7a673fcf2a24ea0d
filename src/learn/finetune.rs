//! Training of a network's last blocks together with its last layer.
//!
//! The same settings and samples give the same weights on the same machine, bit for bit: no sum is shared out among threads, only
//! results are. It runs on the threads of the rayon pool that it is called from.

mod activations;
mod adam;
mod loss;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{Device, Tensor, Var};

pub use activations::Activations;
pub use loss::{Sample, loss};

use super::network::{NetworkError, Tail};
use crate::eval::random::Random;
use crate::model::Linear;
use adam::Adam;

/// The share of all steps in which the rate rises from nothing.
const WARM_UP: f32 = 0.1;
/// Views that are computed together. With 32, eight blocks of EfficientNet-Lite0 take 480 MB instead of 280, and no less time.
const AT_ONCE: usize = 16;

/// How it is learnt.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How often each sample is seen.
    pub epochs: usize,
    /// The largest step of a weight in the blocks; it rises to this and falls to 0 by a cosine.
    pub rate: f32,
    /// The same for a weight of the last layer.
    pub head_rate: f32,
    /// How much of the way back to where it began a weight goes at each step, in units of the rate.
    pub pull: f32,
    /// Samples a step.
    pub batch: usize,
    /// Of the order in which samples are seen.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { epochs: 10, rate: 1e-4, head_rate: 1e-3, pull: 0.1, batch: 32, seed: 1 }
    }
}

impl Settings {
    /// For a last layer that was taught by itself before, and so many blocks: the more weights there are, the less each of them
    /// moves. With Lite0 and 400 photographs of 100 classes, cross-validation found one block at these rates a little better than
    /// the last layer alone, and larger steps, or more blocks, worse.
    #[must_use]
    pub fn gentle(blocks: usize) -> Self {
        Self { epochs: 3, rate: 1e-4 / blocks.max(1) as f32, head_rate: 1e-4, ..Self::default() }
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// The mean loss of the last step's samples.
    pub loss: f64,
}

/// Why nothing was learnt.
#[derive(Debug, thiserror::Error)]
pub enum FinetuneError {
    /// The network can't be computed.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The samples do not fit the network.
    #[error("{0}")]
    Unfit(String),
    /// The weights went out of bounds: the rates are too high.
    #[error("the training diverged in step {step} of {steps}: lower rates are needed")]
    Diverged {
        /// The step.
        step: usize,
        /// Steps in all.
        steps: usize,
    },
}

impl From<candle_core::Error> for FinetuneError {
    fn from(error: candle_core::Error) -> Self {
        Self::Network(error.into())
    }
}

/// A network in training: its last blocks and its last layer.
pub struct Trainer {
    tail: Tail,
    weight: Var,
    bias: Var,
    blocks: Vec<Adam>,
    head: [Adam; 2],
    settings: Settings,
    random: Random,
    step: usize,
}

impl std::fmt::Debug for Trainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trainer").field("tail", &self.tail).field("step", &self.step).finish_non_exhaustive()
    }
}

impl Trainer {
    /// Begins with the weights that a tail and a last layer have. The last layer may have more classes than the network: rows
    /// for new ones.
    ///
    /// # Errors
    /// [`FinetuneError`] if memory is short or the layer does not have as many weights as it says.
    pub fn new(tail: Tail, head: &Linear, settings: Settings) -> Result<Self, FinetuneError> {
        let weight = Tensor::from_slice(&head.weight, (head.classes, head.features), &Device::Cpu)?;
        let weight = Var::from_tensor(&weight)?;
        let bias = Var::from_tensor(&Tensor::from_slice(&head.bias, head.classes, &Device::Cpu)?)?;
        let blocks = tail.weights().iter().map(|parameter| Adam::new(&parameter.value)).collect::<Result<_, _>>()?;
        let head = [Adam::new(&weight)?, Adam::new(&bias)?];
        let random = Random::new(settings.seed);
        Ok(Self { tail, weight, bias, blocks, head, settings, random, step: 0 })
    }

    /// Sees each sample once, in an order of its own; `views` are those that the samples name. Returns the mean loss, or nothing if it was
    /// stopped, which it looks for at each step.
    ///
    /// # Errors
    /// [`FinetuneError`] if samples do not fit, or the loss is no number any more.
    pub fn epoch(
        &mut self,
        views: &Activations,
        samples: &[Sample],
        stop: &AtomicBool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Option<f64>, FinetuneError> {
        self.check(views, samples)?;
        let mut order: Vec<usize> = (0..samples.len()).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, self.random.below(last as u64 + 1) as usize);
        }
        let batch = self.settings.batch.max(1);
        let steps = self.settings.epochs * samples.len().div_ceil(batch);
        let mut sum = 0.0;
        for picked in order.chunks(batch) {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let loss = self.learn(views, samples, picked, steps)?;
            sum += loss * picked.len() as f64;
            progress(Progress { step: self.step, steps, loss });
        }
        Ok(Some(sum / samples.len() as f64))
    }

    fn check(&self, views: &Activations, samples: &[Sample]) -> Result<(), FinetuneError> {
        let classes = self.bias.elem_count();
        if samples.is_empty() || samples.iter().any(|sample| sample.view >= views.len()) {
            return Err(FinetuneError::Unfit(format!("{} views for {} samples", views.len(), samples.len())));
        }
        let is_unfit = |sample: &&Sample| sample.target.iter().any(|(class, _)| *class as usize >= classes);
        match samples.iter().find(is_unfit) {
            Some(_) => Err(FinetuneError::Unfit(format!("a sample is of another class than the {classes} there are"))),
            None => Ok(()),
        }
    }

    fn learn(
        &mut self,
        views: &Activations,
        samples: &[Sample],
        picked: &[usize],
        steps: usize,
    ) -> Result<f64, FinetuneError> {
        self.step += 1;
        let mut sum = 0.0;
        for some in picked.chunks(AT_ONCE) {
            sum += self.differentiate(views, samples, some, picked.len())?;
        }
        let loss = sum / picked.len() as f64;
        if !loss.is_finite() {
            return Err(FinetuneError::Diverged { step: self.step, steps });
        }
        let share = share(self.step, steps);
        let Settings { rate, head_rate, pull, .. } = self.settings;
        self.blocks.iter_mut().try_for_each(|adam| adam.step(rate * share, pull))?;
        self.head.iter_mut().try_for_each(|adam| adam.step(head_rate * share, pull))?;
        Ok(loss)
    }

    /// Gathers the derivatives of some samples' losses, of which the mean over `all` is wanted; returns the sum of the losses.
    fn differentiate(
        &mut self,
        views: &Activations,
        samples: &[Sample],
        some: &[usize],
        all: usize,
    ) -> Result<f64, FinetuneError> {
        let of_samples: Vec<usize> = some.iter().map(|&sample| samples[sample].view).collect();
        let features = self.tail.forward(&views.batch(&of_samples)?)?;
        let logits = features.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)?;
        // The derivatives by the logits are known in closed form. As factors of the logits they are passed on as they are.
        let values = logits.flatten_all()?.to_vec1::<f32>()?;
        let mut slopes = vec![0.0; values.len()];
        let classes = self.bias.elem_count();
        let each = values.chunks_exact(classes).zip(slopes.chunks_exact_mut(classes)).zip(some);
        let losses = each.map(|((logits, slopes), &sample)| {
            let loss = loss(logits, &samples[sample], slopes);
            slopes.iter_mut().for_each(|slope| *slope /= all as f32);
            loss
        });
        let sum = losses.sum();
        let slopes = Tensor::from_vec(slopes, logits.shape(), logits.device())?;
        let gradients = (logits * slopes)?.sum_all()?.backward()?;
        self.blocks.iter_mut().chain(&mut self.head).try_for_each(|adam| adam.gather(&gradients))?;
        Ok(sum)
    }

    /// What the last layer gives for some views now: their logits, one after the other.
    ///
    /// # Errors
    /// [`FinetuneError`] if the views do not fit the network.
    pub fn logits(&self, views: &Activations, which: &[usize]) -> Result<Vec<f32>, FinetuneError> {
        let (weight, bias) = (self.weight.as_detached_tensor(), self.bias.as_detached_tensor());
        let mut logits = Vec::with_capacity(which.len() * bias.elem_count());
        for some in which.chunks(AT_ONCE) {
            let features = self.tail.features(&views.batch(some)?)?;
            let some = features.matmul(&weight.t()?)?.broadcast_add(&bias)?;
            logits.extend(some.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(logits)
    }

    /// The last layer as it is now.
    ///
    /// # Errors
    /// [`FinetuneError`] if memory is short.
    pub fn head(&self) -> Result<Linear, FinetuneError> {
        let (classes, features) = self.weight.dims2()?;
        let weight = self.weight.flatten_all()?.to_vec1()?;
        Ok(Linear { classes, features, weight, bias: self.bias.to_vec1()? })
    }

    /// The last blocks as they are now, for [`Tail::write`].
    #[must_use]
    pub fn tail(&self) -> &Tail {
        &self.tail
    }
}

/// Trains for all epochs of the settings; returns the trainer, from which weights are taken, or nothing if it was stopped.
///
/// # Errors
/// As for [`Trainer::new`] and [`Trainer::epoch`].
pub fn finetune(
    tail: Tail,
    head: &Linear,
    views: &Activations,
    samples: &[Sample],
    settings: Settings,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Option<Trainer>, FinetuneError> {
    let epochs = settings.epochs;
    let mut trainer = Trainer::new(tail, head, settings)?;
    for _ in 0..epochs {
        if trainer.epoch(views, samples, stop, progress)?.is_none() {
            return Ok(None);
        }
    }
    Ok(Some(trainer))
}

/// The share of the rate that a step has: up in a line, and down in half a cosine.
fn share(step: usize, steps: usize) -> f32 {
    let (done, warm_up) = (step as f32 / steps.max(1) as f32, WARM_UP);
    // The C library's cosine differs from machine to machine.
    match done {
        done if done < warm_up => done / warm_up,
        done => 0.5 + 0.5 * libm::cosf(std::f32::consts::PI * ((done - warm_up) / (1.0 - warm_up)).min(1.0)),
    }
}
