//! The two passes of a resize. Every sample of the result is a weighted sum of samples of the source, in whole numbers.
//!
//! The weights are those of `fast_image_resize` (whose code follows Pillow-SIMD's) to the last bit, and so is what comes
//! out; but they are kept as long as the geometry stays the same, and nothing is allocated for a frame.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(test)]
mod tests;

use crate::model::Interpolation;

/// Bytes of a pixel.
const PIXEL: usize = 3;
/// Bytes that vector instructions read beyond the last pixel of a row: sixteen are loaded for four pixels.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const BEYOND: usize = 4;

/// One dimension of a resize.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Side {
    /// Samples in the source.
    pub(super) length: usize,
    /// Where in the source the result starts.
    pub(super) start: f64,
    /// How much of it the result shows.
    pub(super) shown: f64,
    /// Samples in the result.
    pub(super) result: usize,
    pub(super) kernel: Interpolation,
}

/// What each sample of the result takes of which samples of the source.
#[derive(Debug, Default)]
pub(super) struct Weights {
    made_for: Option<Side>,
    /// Weights of each sample, the same number for all: even, unless the source has fewer samples. Some are 0.
    taps: usize,
    /// Of each sample the first one in the source that has a weight.
    starts: Vec<u32>,
    /// In units of 2 to the power of -`precision`.
    values: Vec<i16>,
    precision: u32,
    /// Where the result starts in the source, if it is a copy of it.
    copied: Option<usize>,
}

/// The weights of the last few sides, the newest first: a worker sees frames of several cameras in turn, and several views of
/// one frame.
#[derive(Debug, Default)]
pub(super) struct Kept(Vec<Weights>);

impl Kept {
    /// A set of views has four places in a dimension at most, and weights have some six kilobytes.
    const MOST: usize = 8;

    /// The weights for a side; made anew, in the place of those that were not used for longest, if they are not kept.
    pub(super) fn prepare(&mut self, side: &Side) -> &Weights {
        let at = self.0.iter().position(|weights| weights.made_for == Some(*side)).unwrap_or_else(|| {
            if self.0.len() < Self::MOST {
                self.0.push(Weights::default());
            }
            let last = self.0.len() - 1;
            self.0[last].make(side);
            last
        });
        self.0[..=at].rotate_right(1);
        &self.0[0]
    }
}

impl Weights {
    fn make(&mut self, side: &Side) {
        // By way of the end, for the last digit.
        let scale = (side.start + side.shown - side.start) / side.result as f64;
        self.copied = (scale == 1.0 && side.start.fract() == 0.0).then_some(side.start as usize);
        let widened = scale.max(1.0);
        let reach = reach(side.kernel) * widened;
        let narrowed = 1.0 / widened;
        let (mut exact, mut ranges) = (Vec::new(), Vec::with_capacity(side.result));
        for at in 0..side.result {
            let middle = side.start + (at as f64 + 0.5) * scale;
            let first = (middle - reach).floor().max(0.0) as usize;
            let end = ((middle + reach).ceil() as usize).min(side.length);
            let weight = |x: usize| kernel(side.kernel, (x as f64 - (middle - 0.5)) * narrowed);
            let zeroes = (first..end).take_while(|&x| weight(x) == 0.0).count();
            let begin = exact.len();
            exact.extend((first + zeroes..end).map(weight));
            let sum: f64 = exact[begin..].iter().sum();
            if sum != 0.0 {
                exact[begin..].iter_mut().for_each(|weight| *weight /= sum);
            }
            while exact.len() > begin && exact.last() == Some(&0.0) {
                exact.pop();
            }
            ranges.push((first + zeroes, begin..exact.len()));
        }
        self.made_for = Some(*side);
        // As many bits as the largest weight leaves.
        let largest = exact.iter().copied().fold(0.0, f64::max);
        let fits = |precision: &u32| (largest * f64::from(1 << (precision + 1))).round() < 32768.0;
        self.precision = (0..21).find(|precision| !fits(precision)).unwrap_or(21);
        let unit = f64::from(1 << self.precision);
        let most = ranges.iter().map(|(_, range)| range.len()).max().unwrap_or(0);
        self.taps = most.next_multiple_of(2).min(side.length);
        self.starts.clear();
        self.values.clear();
        for (first, range) in ranges {
            // Where the source ends, zeroes stand before the weights instead of after them.
            let start = first.min(side.length - self.taps);
            let end = self.values.len() + self.taps;
            self.starts.push(start as u32);
            self.values.resize(self.values.len() + first - start, 0);
            self.values.extend(exact[range].iter().map(|weight| (weight * unit).round() as i16));
            self.values.resize(end, 0);
        }
    }

    /// The first and the one after the last sample of the source that has a weight.
    pub(super) fn range(&self) -> (usize, usize) {
        let first = self.starts.iter().min().map_or(0, |first| *first as usize);
        (first, self.starts.iter().max().map_or(0, |last| *last as usize + self.taps))
    }

    /// Of how many rows all that the weights reach may be read, and what vector instructions read beyond: all but the last one
    /// or few of a picture, if not all.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    fn readable(&self, source: Rows<'_>) -> usize {
        let end = self.range().1 * PIXEL + BEYOND;
        source.count.min((source.bytes.len() + source.stride).saturating_sub(end) / source.stride)
    }

    fn half(&self) -> i32 {
        1 << self.precision >> 1
    }

    /// Each sample's first one in the source, and weights.
    fn each(&self) -> impl Iterator<Item = (usize, &[i16])> {
        self.starts.iter().map(|start| *start as usize).zip(self.values.chunks_exact(self.taps))
    }
}

/// How far a kernel reaches.
pub(super) fn reach(interpolation: Interpolation) -> f64 {
    match interpolation {
        Interpolation::Bicubic => 2.0,
        Interpolation::Bilinear => 1.0,
    }
}

fn kernel(interpolation: Interpolation, x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    match interpolation {
        Interpolation::Bilinear if x < 1.0 => 1.0 - x,
        Interpolation::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        Interpolation::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
        _ => 0.0,
    }
}

/// Rows of pixels that lie one after another, and of which a part is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    /// From the first pixel of the part to the end of all rows.
    pub(super) bytes: &'a [u8],
    /// From the beginning of a row to that of the next.
    pub(super) stride: usize,
    /// Rows of the part.
    pub(super) count: usize,
}

/// Resizes rows. `out` has as many, without anything between them.
pub(super) fn along_rows(weights: &Weights, source: Rows<'_>, out: &mut [u8]) {
    let width = weights.starts.len() * PIXEL;
    assert_eq!(out.len(), width * source.count);
    if source.count == 0 {
        return;
    }
    assert!(source.bytes.len() >= (source.count - 1) * source.stride + weights.range().1 * PIXEL);
    if let Some(first) = weights.copied {
        for (row, out) in source.bytes.chunks(source.stride).zip(out.chunks_exact_mut(width)) {
            out.copy_from_slice(&row[first * PIXEL..][..width]);
        }
        return;
    }
    let done = fast_rows(weights, source, out);
    plain_rows(weights, source, out, done);
}

/// The rows that are not `done`.
fn plain_rows(weights: &Weights, source: Rows<'_>, out: &mut [u8], done: usize) {
    let width = weights.starts.len() * PIXEL;
    for (y, out) in out.chunks_exact_mut(width).enumerate().skip(done) {
        let row = &source.bytes[y * source.stride..];
        for ((start, weights_of), out) in weights.each().zip(out.as_chunks_mut::<PIXEL>().0) {
            let mut sums = [weights.half(); PIXEL];
            for (pixel, weight) in row[start * PIXEL..].as_chunks::<PIXEL>().0.iter().zip(weights_of) {
                sums.iter_mut().zip(pixel).for_each(|(sum, sample)| *sum += i32::from(*sample) * i32::from(*weight));
            }
            *out = sums.map(|sum| (sum >> weights.precision).clamp(0, 255) as u8);
        }
    }
}

/// Resizes columns: of rows of `width` bytes, as many as there are weights for.
pub(super) fn along_columns(weights: &Weights, source: Rows<'_>, width: usize, out: &mut [u8]) {
    assert_eq!(out.len(), width * weights.starts.len());
    if width == 0 || out.is_empty() {
        return;
    }
    assert!(source.bytes.len() >= (weights.range().1 - 1) * source.stride + width);
    if let Some(first) = weights.copied {
        for (row, out) in source.bytes.chunks(source.stride).skip(first).zip(out.chunks_exact_mut(width)) {
            out.copy_from_slice(&row[..width]);
        }
    } else if !fast_columns(weights, source, width, out) {
        plain_columns(weights, source, width, out);
    }
}

fn plain_columns(weights: &Weights, source: Rows<'_>, width: usize, out: &mut [u8]) {
    /// Sums that are kept in registers.
    const AT_ONCE: usize = 32;
    for ((start, weights_of), out) in weights.each().zip(out.chunks_exact_mut(width)) {
        let rows = || source.bytes[start * source.stride..].chunks(source.stride).zip(weights_of);
        let (chunks, rest) = out.as_chunks_mut::<AT_ONCE>();
        for (x, out) in chunks.iter_mut().enumerate() {
            let mut sums = [weights.half(); AT_ONCE];
            for (row, weight) in rows() {
                let samples: &[u8; AT_ONCE] = row[x * AT_ONCE..].first_chunk().expect("as wide as the result");
                sums.iter_mut().zip(samples).for_each(|(sum, sample)| *sum += i32::from(*sample) * i32::from(*weight));
            }
            *out = sums.map(|sum| (sum >> weights.precision).clamp(0, 255) as u8);
        }
        for (x, out) in (width - rest.len()..).zip(rest) {
            let sum = |sum, (row, weight): (&[u8], &i16)| sum + i32::from(row[x]) * i32::from(*weight);
            *out = (rows().fold(weights.half(), sum) >> weights.precision).clamp(0, 255) as u8;
        }
    }
}

/// Resizes as many rows as the processor's vector instructions can, and returns how many.
#[cfg(target_arch = "x86_64")]
fn fast_rows(weights: &Weights, source: Rows<'_>, out: &mut [u8]) -> usize {
    if !std::arch::is_x86_feature_detected!("avx2") {
        return 0;
    }
    // SAFETY: the processor has AVX2.
    unsafe { avx2::along_rows(weights, source, out) }
}

#[cfg(target_arch = "aarch64")]
fn fast_rows(weights: &Weights, source: Rows<'_>, out: &mut [u8]) -> usize {
    neon::along_rows(weights, source, out)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn fast_rows(_: &Weights, _: Rows<'_>, _: &mut [u8]) -> usize {
    0
}

/// Resizes columns by the processor's vector instructions, or returns false.
#[cfg(target_arch = "x86_64")]
fn fast_columns(weights: &Weights, source: Rows<'_>, width: usize, out: &mut [u8]) -> bool {
    // SAFETY: the processor has AVX2.
    std::arch::is_x86_feature_detected!("avx2") && unsafe { avx2::along_columns(weights, source, width, out) }
}

#[cfg(not(target_arch = "x86_64"))]
fn fast_columns(_: &Weights, _: Rows<'_>, _: usize, _: &mut [u8]) -> bool {
    false
}
