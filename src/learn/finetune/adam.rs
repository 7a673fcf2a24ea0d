//! Adam with a pull toward where it began.
//!
//! Kingma and Ba, "Adam: a method for stochastic optimization", 2015; the pull is the decay of AdamW (Loshchilov and Hutter, 2019),
//! but toward the start and not toward zero, as in L2-SP (Li, Grandvalet and Davoine, 2018).

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};

const FIRST: f32 = 0.9;
const SECOND: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// One tensor of weights on its way.
pub(super) struct Adam {
    variable: Var,
    value: Vec<f32>,
    start: Vec<f32>,
    mean: Vec<f32>,
    square: Vec<f32>,
    /// What is gathered for the next step.
    gradient: Vec<f32>,
    steps: i32,
}

impl Adam {
    pub(super) fn new(variable: &Var) -> Result<Self> {
        let value = variable.flatten_all()?.to_vec1::<f32>()?;
        let zeros = vec![0.0; value.len()];
        let (start, mean) = (value.clone(), zeros.clone());
        let square = zeros.clone();
        Ok(Self { variable: variable.clone(), value, start, mean, square, gradient: zeros, steps: 0 })
    }

    /// Adds a part of the gradient for the next step.
    pub(super) fn gather(&mut self, gradients: &GradStore) -> Result<()> {
        let Some(part) = gradients.get(&self.variable) else { return Ok(()) };
        let part = part.flatten_all()?.to_vec1::<f32>()?;
        self.gradient.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        Ok(())
    }

    /// One step against the gradient that was gathered; each takes `rate · pull` of the way back to the start.
    pub(super) fn step(&mut self, rate: f32, pull: f32) -> Result<()> {
        self.steps += 1;
        let (first, second) = (1.0 - FIRST.powi(self.steps), 1.0 - SECOND.powi(self.steps));
        let weights = self.value.iter_mut().zip(&self.start).zip(&mut self.mean).zip(&mut self.square);
        for ((((value, start), mean), square), gradient) in weights.zip(&mut self.gradient) {
            let gradient = std::mem::take(gradient);
            *mean += (1.0 - FIRST) * (gradient - *mean);
            *square += (1.0 - SECOND) * (gradient * gradient - *square);
            let step = (*mean / first) / ((*square / second).sqrt() + EPSILON);
            *value -= rate * (step + pull * (*value - start));
        }
        self.variable.set(&Tensor::from_slice(&self.value, self.variable.shape(), self.variable.device())?)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn it_goes_down_and_the_pull_holds_it() {
        let lowest = |pull: f32| {
            let variable = Var::new(&[0.0_f32, 10.0], &Device::Cpu).unwrap();
            let mut adam = Adam::new(&variable).unwrap();
            for _ in 0..2000 {
                let value = variable.as_tensor();
                // Lowest at 3 for both.
                let loss = (value - 3.0).unwrap().sqr().unwrap().sum_all().unwrap();
                adam.gather(&loss.backward().unwrap()).unwrap();
                adam.step(0.01, pull).unwrap();
            }
            variable.to_vec1::<f32>().unwrap()
        };
        assert!(lowest(0.0).iter().all(|value| (value - 3.0).abs() < 0.01));
        let held = lowest(1.0);
        assert!(held[0] > 0.2 && held[0] < 2.9 && held[1] < 9.8 && held[1] > 3.1, "{held:?}");
    }
}
