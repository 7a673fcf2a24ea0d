//! Convolutions with all channels of a pixel side by side, `[batch, height, width, channels]`, and their derivatives.
//!
//! candle's own are for the other layout and, with many groups or in their derivatives, slower by orders of magnitude. Here
//! a convolution of all channels is a matrix product, of the patches that the kernel covers; a depthwise one is computed directly.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::pointwise::{values, with_values};

/// Channels that are summed at a time: what fits into a processor's registers.
const LANES: usize = 16;

/// How a kernel moves over a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Height and width of the kernel.
    pub(super) kernel: [usize; 2],
    /// Rows and columns that it moves at a time.
    pub(super) stride: [usize; 2],
    /// Rows and columns of zeros around the picture.
    pub(super) pads: Pads,
}

/// Rows and columns of zeros around a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pads {
    /// Above, left, below, right.
    Given([usize; 4]),
    /// As many as the result needs to have the picture's size, divided by the stride; an odd one goes after, or before.
    Same { odd_before: bool },
}

/// A window on pictures of a certain size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fit {
    window: Window,
    /// Rows and columns of zeros above and left.
    before: [usize; 2],
    from: [usize; 2],
    to: [usize; 2],
    channels: usize,
}

impl Window {
    /// A kernel of one pixel.
    pub(super) const PIXEL: Self = Self { kernel: [1, 1], stride: [1, 1], pads: Pads::Given([0; 4]) };

    /// Over pictures of this shape, `[batch, height, width, channels]`.
    pub(super) fn fit(self, shape: &[usize]) -> Result<Fit> {
        let &[_, height, width, channels] = shape else { candle_core::bail!("{shape:?} is no shape of pictures") };
        let from = [height, width];
        let (mut before, mut to) = ([0; 2], [0; 2]);
        for axis in 0..2 {
            let (kernel, stride) = (self.kernel[axis], self.stride[axis]);
            let pads = match self.pads {
                Pads::Given(pads) => [pads[axis], pads[axis + 2]],
                Pads::Same { odd_before } => {
                    let total = ((from[axis].div_ceil(stride) - 1) * stride + kernel).saturating_sub(from[axis]);
                    let (less, more) = (total / 2, total - total / 2);
                    if odd_before { [more, less] } else { [less, more] }
                }
            };
            let Some(room) = (from[axis] + pads[0] + pads[1]).checked_sub(kernel) else {
                candle_core::bail!("a kernel of {kernel} does not fit into {} pixels", from[axis]);
            };
            before[axis] = pads[0];
            to[axis] = room / stride + 1;
        }
        Ok(Fit { window: self, before, from, to, channels })
    }
}

impl Fit {
    /// For each pixel of the result and each tap of the kernel that is not over the padding: `(pixel, tap, pixel before)`.
    fn each_tap(&self, mut each: impl FnMut(usize, usize, usize)) {
        let Window { kernel, stride, .. } = self.window;
        for y in 0..self.to[0] {
            for x in 0..self.to[1] {
                for row in 0..kernel[0] {
                    let Some(from_y) = (y * stride[0] + row).checked_sub(self.before[0]) else { continue };
                    for column in 0..kernel[1] {
                        let Some(from_x) = (x * stride[1] + column).checked_sub(self.before[1]) else { continue };
                        if from_y < self.from[0] && from_x < self.from[1] {
                            let tap = row * kernel[1] + column;
                            each(y * self.to[1] + x, tap, from_y * self.from[1] + from_x);
                        }
                    }
                }
            }
        }
    }

    fn taps(&self) -> usize {
        self.window.kernel[0] * self.window.kernel[1]
    }

    /// Values of one picture before, and of one after.
    fn sizes(&self) -> (usize, usize) {
        (self.from[0] * self.from[1] * self.channels, self.to[0] * self.to[1] * self.channels)
    }

    fn shape(&self, batch: usize, channels: usize) -> Shape {
        Shape::from((batch, self.to[0], self.to[1], channels))
    }
}

/// Each channel by a kernel of its own: pictures, and weights of shape `[channels, 1, height, width]`.
pub(super) struct Depthwise(pub(super) Window);

impl CustomOp2 for Depthwise {
    fn name(&self) -> &'static str {
        "depthwise"
    }

    fn cpu_fwd(
        &self,
        pictures: &CpuStorage,
        shape: &Layout,
        weights: &CpuStorage,
        of_weights: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let fit = self.0.fit(shape.dims())?;
        let (before, after) = fit.sizes();
        let x = values(pictures, shape)?;
        let weights = by_lanes(values(weights, of_weights)?, &fit);
        let mut out = vec![0.0; x.len() / before * after];
        out.par_chunks_mut(after).zip(x.par_chunks(before)).for_each(|(out, x)| {
            for (lanes, weights) in weights.chunks_exact(fit.taps()).enumerate() {
                let (first, width) = (lanes * LANES, LANES.min(fit.channels - lanes * LANES));
                if width == LANES {
                    fit.each_tap(|to, tap, from| {
                        let out = &mut out[to * fit.channels + first..][..LANES];
                        let x = &x[from * fit.channels + first..][..LANES];
                        for lane in 0..LANES {
                            out[lane] += x[lane] * weights[tap][lane];
                        }
                    });
                } else {
                    fit.each_tap(|to, tap, from| {
                        for lane in 0..width {
                            out[to * fit.channels + first + lane] +=
                                x[from * fit.channels + first + lane] * weights[tap][lane];
                        }
                    });
                }
            }
        });
        Ok((CpuStorage::F32(out), fit.shape(x.len() / before, fit.channels)))
    }

    fn bwd(
        &self,
        pictures: &Tensor,
        weights: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let fit = self.0.fit(pictures.dims())?;
        let (before, after) = fit.sizes();
        with_values([pictures, weights, gradient], |[x, w, gradient]| {
            let of_pictures = pictures.track_op().then(|| {
                let w = by_lanes(w, &fit);
                let mut out = vec![0.0; x.len()];
                out.par_chunks_mut(before).zip(gradient.par_chunks(after)).for_each(|(out, gradient)| {
                    for (lanes, w) in w.chunks_exact(fit.taps()).enumerate() {
                        let (first, width) = (lanes * LANES, LANES.min(fit.channels - lanes * LANES));
                        fit.each_tap(|to, tap, from| {
                            let out = &mut out[from * fit.channels + first..][..width];
                            let gradient = &gradient[to * fit.channels + first..][..width];
                            for ((out, gradient), w) in out.iter_mut().zip(gradient).zip(&w[tap]) {
                                *out += gradient * w;
                            }
                        });
                    }
                });
                Tensor::from_vec(out, pictures.shape(), pictures.device())
            });
            let of_weights = weights.track_op().then(|| {
                let mut sums = vec![[0.0_f32; LANES]; fit.channels.div_ceil(LANES) * fit.taps()];
                // Lanes are shared out, not pictures: so the order in which is summed does not depend on threads.
                sums.par_chunks_mut(fit.taps()).enumerate().for_each(|(lanes, sums)| {
                    let (first, width) = (lanes * LANES, LANES.min(fit.channels - lanes * LANES));
                    for (x, gradient) in x.chunks_exact(before).zip(gradient.chunks_exact(after)) {
                        fit.each_tap(|to, tap, from| {
                            let x = &x[from * fit.channels + first..][..width];
                            let gradient = &gradient[to * fit.channels + first..][..width];
                            for ((sum, x), gradient) in sums[tap].iter_mut().zip(x).zip(gradient) {
                                *sum += x * gradient;
                            }
                        });
                    }
                });
                let value = |channel: usize, tap: usize| sums[channel / LANES * fit.taps() + tap][channel % LANES];
                let out = (0..fit.channels).flat_map(|channel| (0..fit.taps()).map(move |tap| value(channel, tap)));
                Tensor::from_vec(out.collect(), weights.shape(), weights.device())
            });
            Ok((of_pictures.transpose()?, of_weights.transpose()?))
        })
    }
}

/// Weights of shape `[channels, taps]` in lanes of channels, each with all taps.
fn by_lanes(weights: &[f32], fit: &Fit) -> Vec<[f32; LANES]> {
    let taps = fit.taps();
    let mut lanes = vec![[0.0; LANES]; fit.channels.div_ceil(LANES) * taps];
    for (channel, weights) in weights.chunks_exact(taps).enumerate() {
        for (tap, weight) in weights.iter().enumerate() {
            lanes[channel / LANES * taps + tap][channel % LANES] = *weight;
        }
    }
    lanes
}

/// What the kernel covers of the pictures, side by side: shape `[batch, height, width, taps · channels]`.
pub(super) struct Patches(pub(super) Window);

impl CustomOp1 for Patches {
    fn name(&self) -> &'static str {
        "patches"
    }

    fn cpu_fwd(&self, pictures: &CpuStorage, shape: &Layout) -> Result<(CpuStorage, Shape)> {
        let fit = self.0.fit(shape.dims())?;
        let (before, after) = fit.sizes();
        let (channels, taps) = (fit.channels, fit.taps());
        let x = values(pictures, shape)?;
        let mut out = vec![0.0; x.len() / before * after * taps];
        out.par_chunks_mut(after * taps).zip(x.par_chunks(before)).for_each(|(out, x)| {
            fit.each_tap(|to, tap, from| {
                out[(to * taps + tap) * channels..][..channels].copy_from_slice(&x[from * channels..][..channels]);
            });
        });
        Ok((CpuStorage::F32(out), fit.shape(x.len() / before, taps * channels)))
    }

    fn bwd(&self, pictures: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let fit = self.0.fit(pictures.dims())?;
        let (before, after) = fit.sizes();
        let (channels, taps) = (fit.channels, fit.taps());
        with_values([gradient], |[gradient]| {
            let mut out = vec![0.0; pictures.elem_count()];
            out.par_chunks_mut(before).zip(gradient.par_chunks(after * taps)).for_each(|(out, gradient)| {
                fit.each_tap(|to, tap, from| {
                    let out = &mut out[from * channels..][..channels];
                    let gradient = &gradient[(to * taps + tap) * channels..][..channels];
                    out.iter_mut().zip(gradient).for_each(|(out, gradient)| *out += gradient);
                });
            });
            Tensor::from_vec(out, pictures.shape(), pictures.device()).map(Some)
        })
    }
}

/// The largest value that the kernel covers, channel by channel; of equal ones, the gradient is the first's.
pub(super) struct MaxPool(pub(super) Window);

impl MaxPool {
    /// The largest values of one picture, and the pixels that they come from.
    fn largest(fit: &Fit, x: &[f32]) -> (Vec<f32>, Vec<usize>) {
        let (_, after) = fit.sizes();
        let (mut largest, mut pixels) = (vec![f32::NEG_INFINITY; after], vec![0; after]);
        fit.each_tap(|to, _, from| {
            for channel in 0..fit.channels {
                let (at, value) = (to * fit.channels + channel, x[from * fit.channels + channel]);
                if value > largest[at] {
                    (largest[at], pixels[at]) = (value, from);
                }
            }
        });
        (largest, pixels)
    }
}

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max-pool"
    }

    fn cpu_fwd(&self, pictures: &CpuStorage, shape: &Layout) -> Result<(CpuStorage, Shape)> {
        let fit = self.0.fit(shape.dims())?;
        let x = values(pictures, shape)?;
        let out: Vec<f32> = x.chunks_exact(fit.sizes().0).flat_map(|x| Self::largest(&fit, x).0).collect();
        Ok((CpuStorage::F32(out), fit.shape(shape.dims()[0], fit.channels)))
    }

    fn bwd(&self, pictures: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let fit = self.0.fit(pictures.dims())?;
        let (before, after) = fit.sizes();
        with_values([pictures, gradient], |[x, gradient]| {
            let mut out = vec![0.0; x.len()];
            let pictures_of = out.chunks_exact_mut(before).zip(x.chunks_exact(before));
            for ((out, x), gradient) in pictures_of.zip(gradient.chunks_exact(after)) {
                for (at, pixel) in Self::largest(&fit, x).1.into_iter().enumerate() {
                    out[pixel * fit.channels + at % fit.channels] += gradient[at];
                }
            }
            Tensor::from_vec(out, pictures.shape(), pictures.device()).map(Some)
        })
    }
}
