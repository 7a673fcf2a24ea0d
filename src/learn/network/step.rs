//! One node of a graph, made from its ONNX description, and what it computes.

use candle_core::{Result, Tensor};

use super::convolution::{Depthwise, MaxPool, Patches, Window};
use super::pointwise::{Biased, Function, MeanPixel};

/// Pictures are `[batch, height, width, channels]` here, whatever the graph says; all else is `[batch, features]`.
pub(super) struct Step {
    pub(super) does: Does,
    pub(super) inputs: Vec<Operand>,
    pub(super) output: String,
}

/// What a step computes. Weights are numbers of parameters.
pub(super) enum Does {
    /// A convolution and a function of its results.
    Convolution {
        weight: usize,
        bias: Option<usize>,
        groups: usize,
        window: Window,
        function: Function,
    },
    /// A matrix product and a function of its results; weights have shape `[to, from]`, or `[from, to]` if turned.
    Linear {
        weight: usize,
        turned: bool,
        bias: Option<usize>,
        function: Function,
    },
    /// A batch normalisation by a mean and variance that stay; `by` is one over the deviation, and both have a value a channel.
    Norm {
        scale: usize,
        shift: usize,
        mean: Tensor,
        by: Tensor,
    },
    /// A function of each value.
    Each(Function),
    /// Of two operands.
    Both(Arithmetic),
    /// The mean over all pixels, as a picture of one pixel or as features.
    Mean {
        as_picture: bool,
    },
    /// The largest value, or the mean, of a window.
    MaxPool(Window),
    MeanPool(Window),
    /// From pictures to features.
    Flatten,
    /// All channels of all operands.
    Concat,
    /// Nothing.
    Same,
}

#[derive(Clone, Copy)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// What a step reads.
pub(super) enum Operand {
    /// What another step gives, or the cut.
    Made(String),
    /// A value in the graph, with ONNX's order of dimensions.
    Constant(Tensor),
}

impl Does {
    /// The function that is applied to the results, if another may take its place.
    pub(super) fn function(&mut self) -> Option<&mut Function> {
        match self {
            Self::Convolution { bias: Some(_), function, .. } | Self::Linear { bias: Some(_), function, .. } => {
                Some(function).filter(|function| **function == Function::Identity)
            }
            _ => None,
        }
    }

    pub(super) fn run(&self, inputs: &[Tensor], weights: &[Tensor]) -> Result<Tensor> {
        let [first, ..] = inputs else { candle_core::bail!("a step without inputs") };
        match self {
            Self::Convolution { weight, bias, groups, window, function } => {
                let result = convolve(first, &weights[*weight], *groups, *window)?;
                biased(result, bias.map(|bias| &weights[bias]), *function)
            }
            Self::Linear { weight, turned, bias, function } => {
                let weight = if *turned { weights[*weight].clone() } else { weights[*weight].t()? };
                let product = first.contiguous()?.matmul(&weight)?;
                biased(product, bias.map(|bias| &weights[bias]), *function)
            }
            Self::Norm { scale, shift, mean, by } => {
                let scale = weights[*scale].mul(by)?;
                let shift = weights[*shift].sub(&mean.mul(&scale)?)?;
                let channels = scale.elem_count();
                let x = first.contiguous()?;
                // A kernel of one pixel, also for features, which are pictures of one.
                let picture = if x.rank() == 2 { x.reshape(((), 1, 1, channels))? } else { x.clone() };
                let scaled = picture.apply_op2(&scale.reshape((channels, 1, 1, 1))?, Depthwise(Window::PIXEL))?;
                scaled.reshape(x.shape())?.apply_op2(&shift, Biased(Function::Identity))
            }
            Self::Each(function) => first.contiguous()?.apply_op1(*function),
            Self::Both(arithmetic) => {
                let [a, b] = inputs else { candle_core::bail!("arithmetic of {} operands", inputs.len()) };
                match arithmetic {
                    Arithmetic::Add => a.broadcast_add(b),
                    Arithmetic::Subtract => a.broadcast_sub(b),
                    Arithmetic::Multiply => a.broadcast_mul(b),
                    Arithmetic::Divide => a.broadcast_div(b),
                }
            }
            Self::Mean { as_picture } => {
                let mean = first.contiguous()?.apply_op1(MeanPixel)?;
                if *as_picture { Ok(mean) } else { mean.flatten_from(1) }
            }
            Self::MaxPool(window) => first.contiguous()?.apply_op1(MaxPool(*window)),
            Self::MeanPool(window) => {
                let [height, width] = window.kernel;
                let (_, _, _, channels) = first.dims4()?;
                let share = 1.0 / (height * width) as f32;
                let weights = Tensor::full(share, (channels, 1, height, width), first.device())?;
                first.contiguous()?.apply_op2(&weights, Depthwise(*window))
            }
            Self::Flatten => match first.rank() {
                4 => first.permute((0, 3, 1, 2))?.contiguous()?.flatten_from(1),
                _ => Ok(first.clone()),
            },
            Self::Concat => Tensor::cat(inputs, first.rank() - 1),
            Self::Same => Ok(first.clone()),
        }
    }
}

fn biased(x: Tensor, bias: Option<&Tensor>, function: Function) -> Result<Tensor> {
    match bias {
        Some(bias) => x.contiguous()?.apply_op2(bias, Biased(function)),
        None => Ok(x),
    }
}

/// Weights have ONNX's shape, `[to, from / groups, height, width]`.
fn convolve(x: &Tensor, weight: &Tensor, groups: usize, window: Window) -> Result<Tensor> {
    let x = x.contiguous()?;
    let ((.., channels), (to, from, ..)) = (x.dims4()?, weight.dims4()?);
    if from * groups != channels {
        candle_core::bail!("a convolution of {} channels gets {channels}", from * groups);
    }
    if groups > 1 && from == 1 && to == groups {
        return x.apply_op2(&weight.contiguous()?, Depthwise(window));
    }
    if groups > 1 {
        let each = (0..groups).map(|group| {
            let weight = weight.narrow(0, group * (to / groups), to / groups)?;
            convolve(&x.narrow(3, group * from, from)?, &weight, 1, window)
        });
        return Tensor::cat(&each.collect::<Result<Vec<_>>>()?, 3);
    }
    let patches = if window == Window::PIXEL { x } else { x.apply_op1(Patches(window))? };
    let (batch, height, width, length) = patches.dims4()?;
    let weight = weight.permute((2, 3, 1, 0))?.reshape((length, to))?;
    patches.reshape((batch * height * width, length))?.matmul(&weight)?.reshape((batch, height, width, to))
}

/// A constant as what it is combined with needs it: of pictures if that is.
pub(super) fn constant_for(constant: &Tensor, rank: usize) -> Result<Tensor> {
    if rank != 4 {
        return Ok(constant.clone());
    }
    let mut shape = vec![1; 4_usize.saturating_sub(constant.rank())];
    shape.extend_from_slice(constant.dims());
    constant.reshape(shape)?.permute((0, 2, 3, 1))?.contiguous()
}
