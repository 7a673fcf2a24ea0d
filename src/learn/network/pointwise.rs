//! What is done to each value alone, and sums over pixels. candle makes each of these of several operations, with a new tensor
//! each; here it is one pass there and one back.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Storage, Tensor};

/// A function of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Function {
    Identity,
    /// Also Relu.
    Clip {
        low: f32,
        high: f32,
    },
    LeakyRelu {
        slope: f32,
    },
    Sigmoid,
    HardSigmoid {
        alpha: f32,
        beta: f32,
    },
    HardSwish,
    Tanh,
}

impl Function {
    #[inline]
    pub(super) fn value(self, x: f32) -> f32 {
        match self {
            Self::Identity => x,
            Self::Clip { low, high } => x.max(low).min(high),
            Self::LeakyRelu { slope } => x * if x < 0.0 { slope } else { 1.0 },
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Self::HardSigmoid { alpha, beta } => (alpha * x + beta).clamp(0.0, 1.0),
            Self::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Self::Tanh => x.tanh(),
        }
    }

    /// The derivative; 0 at the corners where a function becomes flat.
    #[inline]
    pub(super) fn slope(self, x: f32) -> f32 {
        match self {
            Self::Identity => 1.0,
            Self::Clip { low, high } => f32::from(u8::from(x > low && x < high)),
            Self::LeakyRelu { slope } => {
                if x < 0.0 {
                    slope
                } else {
                    1.0
                }
            }
            Self::Sigmoid => {
                let value = self.value(x);
                value * (1.0 - value)
            }
            Self::HardSigmoid { alpha, beta } => {
                let line = alpha * x + beta;
                if line > 0.0 && line < 1.0 { alpha } else { 0.0 }
            }
            Self::HardSwish => match x {
                x if x <= -3.0 => 0.0,
                x if x >= 3.0 => 1.0,
                x => x / 3.0 + 0.5,
            },
            Self::Tanh => 1.0 - x.tanh() * x.tanh(),
        }
    }
}

/// A function of each value of a tensor.
impl CustomOp1 for Function {
    fn name(&self) -> &'static str {
        "function"
    }

    fn cpu_fwd(&self, x: &CpuStorage, shape: &Layout) -> Result<(CpuStorage, Shape)> {
        let out = values(x, shape)?.iter().map(|&x| self.value(x)).collect();
        Ok((CpuStorage::F32(out), shape.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        with_values([x, gradient], |[values, gradient]| {
            let out = values.iter().zip(gradient).map(|(&x, gradient)| self.slope(x) * gradient).collect();
            Tensor::from_vec(out, x.shape(), x.device()).map(Some)
        })
    }
}

/// A function of each value and the bias of its channel: `f(x + bias)`, with channels last and a bias of shape `[channels]`.
pub(super) struct Biased(pub(super) Function);

impl CustomOp2 for Biased {
    fn name(&self) -> &'static str {
        "biased"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        shape: &Layout,
        bias: &CpuStorage,
        of_bias: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, bias) = (values(x, shape)?, values(bias, of_bias)?);
        let mut out = Vec::with_capacity(x.len());
        for x in x.chunks_exact(bias.len()) {
            out.extend(x.iter().zip(bias).map(|(x, bias)| self.0.value(x + bias)));
        }
        Ok((CpuStorage::F32(out), shape.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        with_values([x, bias, gradient], |[values, biases, gradient]| {
            let mut sums = vec![0.0_f32; biases.len()];
            let mut out = Vec::with_capacity(values.len());
            for (values, gradient) in values.chunks_exact(biases.len()).zip(gradient.chunks_exact(biases.len())) {
                let start = out.len();
                let terms = values.iter().zip(biases).zip(gradient);
                out.extend(terms.map(|((x, bias), gradient)| self.0.slope(x + bias) * gradient));
                sums.iter_mut().zip(&out[start..]).for_each(|(sum, out)| *sum += out);
            }
            let of_x = Tensor::from_vec(out, x.shape(), x.device())?;
            Ok((Some(of_x), Some(Tensor::from_vec(sums, bias.shape(), bias.device())?)))
        })
    }
}

/// The mean over all pixels: `[batch, height, width, channels]` → `[batch, 1, 1, channels]`.
pub(super) struct MeanPixel;

impl CustomOp1 for MeanPixel {
    fn name(&self) -> &'static str {
        "mean-pixel"
    }

    fn cpu_fwd(&self, x: &CpuStorage, shape: &Layout) -> Result<(CpuStorage, Shape)> {
        let &[batch, height, width, channels] = shape.dims() else { candle_core::bail!("{shape:?}: no pictures") };
        let mut out = vec![0.0_f32; batch * channels];
        let pictures = values(x, shape)?.chunks_exact(height * width * channels);
        for (out, x) in out.chunks_exact_mut(channels).zip(pictures) {
            for x in x.chunks_exact(channels) {
                out.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
            }
            out.iter_mut().for_each(|sum| *sum /= (height * width) as f32);
        }
        Ok((CpuStorage::F32(out), Shape::from((batch, 1, 1, channels))))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (_, height, width, channels) = x.dims4()?;
        with_values([gradient], |[gradient]| {
            let mut out = Vec::with_capacity(x.elem_count());
            for gradient in gradient.chunks_exact(channels) {
                for _ in 0..height * width {
                    out.extend(gradient.iter().map(|gradient| gradient / (height * width) as f32));
                }
            }
            Tensor::from_vec(out, x.shape(), x.device()).map(Some)
        })
    }
}

/// The values of a tensor that lies in one piece, in row-major order.
pub(super) fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else { candle_core::bail!("{layout:?} is not in one piece") };
    Ok(&storage.as_slice::<f32>()?[start..end])
}

/// Does something with the values of tensors, each in row-major order.
pub(super) fn with_values<const N: usize, T>(
    tensors: [&Tensor; N],
    then: impl FnOnce([&[f32]; N]) -> Result<T>,
) -> Result<T> {
    let mut whole = Vec::with_capacity(N);
    for tensor in tensors {
        whole.push(tensor.contiguous()?);
    }
    let locked: Vec<_> = whole.iter().map(Tensor::storage_and_layout).collect();
    let mut slices = [&[][..]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&locked) {
        let Storage::Cpu(storage) = &**storage else { candle_core::bail!("not in main memory") };
        *slice = values(storage, layout)?;
    }
    then(slices)
}
