//! Undoing what made a frame poor: blur, or darkness with noise.
//!
//! All of it works on the view's bytes. Blur is taken out of each channel: to do so with the brightness alone is a third of
//! the work, but helps the network half as much. Noise is taken out of the colours alone, which keeps every edge.

use fast_image_resize::pixels::U8x3;

/// What is done to a view before the network sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Repair {
    /// Nothing.
    #[default]
    None,
    /// Unsharp mask: `amount` times the difference from a Gaussian of `sigma` pixels is added.
    Sharpen {
        /// Standard deviation of the Gaussian, in pixels of the view.
        sigma: f32,
        /// How much of the difference is added.
        amount: f32,
    },
    /// A Gaussian blur of `sigma` pixels is undone by Wiener's filter (Wiener, "Extrapolation, Interpolation, and
    /// Smoothing of Stationary Time Series", 1949), along rows and along columns.
    Restore {
        /// Standard deviation of the blur, in pixels of the view.
        sigma: f32,
        /// Noise in relation to signal: the larger, the less is restored.
        noise: f32,
    },
    /// Brightness is stretched: the darkest and brightest 3 % of the pixels become black and white.
    Contrast,
    /// As `Contrast`, after a Gaussian of two pixels has taken noise out of the colours.
    ContrastDenoised,
}

/// Share of the pixels, in percent, that a stretch may drive to black, and to white.
const CLIPPED_PERCENT: usize = 3;
/// A stretch makes a range at least this wide, of 255, into all of it: what is darker is noise.
const NARROWEST: f32 = 32.0;
/// How far the noise in colours is spread, in pixels.
const COLOUR_SIGMA: f32 = 2.0;
/// Taps of a filter on each side of its middle, at most.
const REACH: usize = 16;
/// ITU-R BT.601, as in JPEG.
const BRIGHTNESS: [f32; 3] = [0.299, 0.587, 0.114];

/// Repairs views, one after another, in the same memory.
#[derive(Debug, Default)]
pub(super) struct Repairer {
    /// One channel of each pixel, and what the filter makes of it.
    before: Vec<f32>,
    after: Vec<f32>,
    /// Half-done: filtered along rows only.
    between: Vec<f32>,
    kernel: Kernel,
}

/// A symmetric filter: its middle tap, and those on one side of it.
#[derive(Debug, Default)]
struct Kernel {
    made_for: Option<(f32, f32)>,
    taps: Vec<f32>,
}

impl Repairer {
    /// Repairs a picture of `width` pixels a row, in place.
    pub(super) fn apply(&mut self, repair: Repair, pixels: &mut [U8x3], width: usize) {
        if pixels.is_empty() || width == 0 {
            return;
        }
        match repair {
            Repair::None => {}
            Repair::Sharpen { sigma, amount } => {
                self.kernel.gaussian(sigma);
                self.each_channel(pixels, width, |value, soft| value + amount * (value - soft));
            }
            Repair::Restore { sigma, noise } => {
                self.kernel.wiener(sigma, noise);
                self.each_channel(pixels, width, |_, sharp| sharp);
            }
            Repair::Contrast => stretch(pixels),
            Repair::ContrastDenoised => {
                self.denoise_colours(pixels, width);
                stretch(pixels);
            }
        }
    }

    /// Makes each value of what it was and what the filter makes of it.
    fn each_channel(&mut self, pixels: &mut [U8x3], width: usize, made_of: impl Fn(f32, f32) -> f32) {
        for channel in 0..3 {
            self.before.clear();
            self.before.extend(pixels.iter().map(|pixel| f32::from(pixel.0[channel])));
            self.filter(width);
            for ((pixel, before), after) in pixels.iter_mut().zip(&self.before).zip(&self.after) {
                pixel.0[channel] = to_byte(made_of(*before, *after));
            }
        }
    }

    /// Filters `before` into `after`, along rows and columns; beyond an edge lies its mirror image.
    fn filter(&mut self, width: usize) {
        let (taps, height) = (&self.kernel.taps[..], self.before.len() / width);
        let mirror = |at: isize, size: usize| -> usize {
            // For a picture narrower than the filter, the mirror image is mirrored again.
            let period = (2 * size as isize - 2).max(1);
            let at = at.rem_euclid(period);
            at.min(period - at).min(size as isize - 1) as usize
        };
        let reach = taps.len() - 1;
        self.between.resize(self.before.len(), 0.0);
        self.after.resize(self.before.len(), 0.0);
        let mut line = vec![0.0; width + 2 * reach];
        for (row, out) in self.before.chunks_exact(width).zip(self.between.chunks_exact_mut(width)) {
            for (x, value) in line.iter_mut().enumerate() {
                *value = row[mirror(x as isize - reach as isize, width)];
            }
            out.fill(0.0);
            weigh(out, &line[reach..], &line[reach..], taps[0] / 2.0);
            for (distance, &tap) in taps.iter().enumerate().skip(1) {
                weigh(out, &line[reach - distance..], &line[reach + distance..], tap);
            }
        }
        for (y, out) in self.after.chunks_exact_mut(width).enumerate() {
            let row = |y: isize| &self.between[mirror(y, height) * width..][..width];
            out.fill(0.0);
            weigh(out, row(y as isize), row(y as isize), taps[0] / 2.0);
            for (distance, &tap) in taps.iter().enumerate().skip(1) {
                let (y, distance) = (y as isize, distance as isize);
                weigh(out, row(y - distance), row(y + distance), tap);
            }
        }
    }

    /// Smooths red and blue less brightness, and makes green follow, so that the brightness stays.
    fn denoise_colours(&mut self, pixels: &mut [U8x3], width: usize) {
        let [wr, wg, wb] = BRIGHTNESS;
        self.kernel.gaussian(COLOUR_SIGMA);
        let mut smooth = [0, 2].map(|channel: usize| {
            self.before.clear();
            self.before.extend(pixels.iter().map(|pixel| f32::from(pixel.0[channel]) - brightness(pixel)));
            self.filter(width);
            std::mem::take(&mut self.after)
        });
        for ((pixel, red), blue) in pixels.iter_mut().zip(&smooth[0]).zip(&smooth[1]) {
            let y = brightness(pixel);
            let green = -(wr * red + wb * blue) / wg;
            pixel.0 = [y + red, y + green, y + blue].map(to_byte);
        }
        self.after = std::mem::take(&mut smooth[0]);
    }
}

impl Kernel {
    fn gaussian(&mut self, sigma: f32) {
        if self.made_for == Some((sigma, 0.0)) {
            return;
        }
        let reach = ((3.0 * sigma).ceil() as usize).clamp(1, REACH);
        let weight = |distance: usize| (-((distance * distance) as f32) / (2.0 * sigma * sigma)).exp();
        self.set((sigma, 0.0), (0..=reach).map(weight).collect());
    }

    /// The inverse of a Gaussian with frequency response g is g / (g² + noise), scaled so that evenly lit areas keep
    /// their brightness. Its taps are the cosine transform of that, under a Hann window.
    fn wiener(&mut self, sigma: f32, noise: f32) {
        const FREQUENCIES: usize = 256;
        if self.made_for == Some((sigma, noise)) {
            return;
        }
        let response = |k: usize| {
            let frequency = k as f32 / FREQUENCIES as f32 * 0.5;
            let g = (-2.0 * (std::f32::consts::PI * sigma * frequency).powi(2)).exp();
            g / (g * g + noise)
        };
        let tap = |distance: usize| {
            let wave = |k: usize| {
                let angle = std::f32::consts::PI * k as f32 * distance as f32 / FREQUENCIES as f32;
                // The ends of the range count half: they are shared with the negative frequencies.
                let share = if k == 0 || k == FREQUENCIES { 0.5 } else { 1.0 };
                share * response(k) * angle.cos()
            };
            let hann = 0.5 + 0.5 * (std::f32::consts::PI * distance as f32 / (REACH + 1) as f32).cos();
            hann * (0..=FREQUENCIES).map(wave).sum::<f32>()
        };
        self.set((sigma, noise), (0..=REACH).map(tap).collect());
    }

    /// Takes over taps, scaled to a sum of one.
    fn set(&mut self, made_for: (f32, f32), mut taps: Vec<f32>) {
        let sum = taps[0] + 2.0 * taps[1..].iter().sum::<f32>();
        taps.iter_mut().for_each(|tap| *tap /= sum);
        (self.made_for, self.taps) = (Some(made_for), taps);
    }
}

/// Adds `tap` times two rows, which may be longer than `out`.
fn weigh(out: &mut [f32], left: &[f32], right: &[f32], tap: f32) {
    for ((out, left), right) in out.iter_mut().zip(left).zip(right) {
        *out += tap * (left + right);
    }
}

fn brightness(pixel: &U8x3) -> f32 {
    let [r, g, b] = pixel.0.map(f32::from);
    BRIGHTNESS[0] * r + BRIGHTNESS[1] * g + BRIGHTNESS[2] * b
}

fn to_byte(value: f32) -> u8 {
    // `as` cuts to the range.
    (value + 0.5) as u8
}

/// Stretches brightness to the whole range; all channels alike, so that grey stays grey.
fn stretch(pixels: &mut [U8x3]) {
    let mut histogram = [0_usize; 256];
    for pixel in &*pixels {
        histogram[usize::from(to_byte(brightness(pixel)))] += 1;
    }
    let (low, high) = range(&histogram, pixels.len(), CLIPPED_PERCENT);
    let gain = 255.0 / (f32::from(high) - f32::from(low)).max(NARROWEST);
    let mut table = [0; 256];
    for (stretched, value) in table.iter_mut().zip(0..=255_u8) {
        *stretched = to_byte((f32::from(value) - f32::from(low)) * gain);
    }
    for pixel in pixels {
        pixel.0 = pixel.0.map(|value| table[usize::from(value)]);
    }
}

/// Between which values all but `percent` of the pixels on either side lie; 0 and 0 if there are none.
pub(in super::super) fn range(histogram: &[usize; 256], pixels: usize, percent: usize) -> (u8, u8) {
    let beyond = pixels * percent / 100;
    let seen_at = |seen: &mut usize, value: u8| {
        *seen += histogram[usize::from(value)];
        *seen > beyond
    };
    let (mut below, mut above) = (0, 0);
    let low = (0..=255).find(|&value| seen_at(&mut below, value)).unwrap_or(0);
    let high = (0..=255).rev().find(|&value| seen_at(&mut above, value)).unwrap_or(0);
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(values: impl IntoIterator<Item = u8>) -> Vec<U8x3> {
        values.into_iter().map(|value| U8x3::new([value; 3])).collect()
    }

    /// A dark square in a light field, of 64×64 pixels.
    fn square() -> Vec<U8x3> {
        grey(
            (0..64 * 64)
                .map(|at| if (20..44).contains(&(at % 64)) && (20..44).contains(&(at / 64)) { 60 } else { 180 }),
        )
    }

    fn blurred(sigma: f32) -> Vec<U8x3> {
        let (mut repairer, mut pixels) = (Repairer::default(), square());
        repairer.kernel.gaussian(sigma);
        repairer.each_channel(&mut pixels, 64, |_, soft| soft);
        pixels
    }

    fn off(a: &[U8x3], b: &[U8x3]) -> f32 {
        let sum: f32 = a.iter().zip(b).map(|(a, b)| (f32::from(a.0[1]) - f32::from(b.0[1])).powi(2)).sum();
        (sum / a.len() as f32).sqrt()
    }

    #[test]
    fn blur_is_undone_in_part() {
        let blurred = blurred(2.0);
        let before = off(&blurred, &square());
        for repair in [Repair::Sharpen { sigma: 2.0, amount: 2.0 }, Repair::Restore { sigma: 2.0, noise: 0.03 }] {
            let mut pixels = blurred.clone();
            Repairer::default().apply(repair, &mut pixels, 64);
            let after = off(&pixels, &square());
            assert!(after < 0.85 * before, "{repair:?}: {before} became {after}");
        }
    }

    #[test]
    fn an_even_surface_stays_as_it_is() {
        let even = vec![U8x3::new([200, 100, 30]); 40 * 30];
        for repair in
            [Repair::None, Repair::Sharpen { sigma: 2.0, amount: 3.0 }, Repair::Restore { sigma: 2.4, noise: 0.01 }]
        {
            let mut pixels = even.clone();
            Repairer::default().apply(repair, &mut pixels, 40);
            assert_eq!(pixels, even, "{repair:?}");
        }
    }

    #[test]
    fn a_stretch_fills_the_range_and_keeps_grey_grey() {
        let mut pixels = grey((0..1000_u32).map(|at| 10 + (at % 50) as u8));
        Repairer::default().apply(Repair::Contrast, &mut pixels, 50);
        assert_eq!(pixels.iter().map(|pixel| pixel.0[0]).min(), Some(0));
        assert_eq!(pixels.iter().map(|pixel| pixel.0[0]).max(), Some(255));
        assert!(pixels.iter().all(|pixel| pixel.0[0] == pixel.0[1] && pixel.0[1] == pixel.0[2]));
        // A night without anything in it stays one: its noise is not made into a picture.
        let mut night = grey((0..1000_u32).map(|at| 3 + (at % 4) as u8));
        Repairer::default().apply(Repair::Contrast, &mut night, 50);
        assert!(night.iter().all(|pixel| pixel.0[0] < 40));
    }

    #[test]
    fn noise_goes_from_colours_and_brightness_stays() {
        let mut pixels: Vec<U8x3> = (0..64 * 64_u32)
            .map(|at| if (at / 64 + at % 64) % 2 == 0 { U8x3::new([140, 100, 90]) } else { U8x3::new([110, 100, 168]) })
            .collect();
        let before: Vec<f32> = pixels.iter().map(brightness).collect();
        Repairer::default().denoise_colours(&mut pixels, 64);
        let [first, second] = [pixels[32 * 64 + 32], pixels[32 * 64 + 33]];
        for channel in 0..3 {
            assert!(first.0[channel].abs_diff(second.0[channel]) <= 2, "{first:?} {second:?}");
        }
        for (pixel, before) in pixels.iter().zip(before) {
            assert!((brightness(pixel) - before).abs() < 1.0);
        }
    }

    #[test]
    fn pictures_smaller_than_a_filter_are_no_trouble() {
        for (width, height) in [(1, 1), (1, 5), (7, 2), (0, 0)] {
            let mut pixels = grey((0..width * height).map(|at| at as u8));
            Repairer::default().apply(Repair::Restore { sigma: 2.4, noise: 0.03 }, &mut pixels, width);
            Repairer::default().apply(Repair::ContrastDenoised, &mut pixels, width);
            assert_eq!(pixels.len(), width * height);
        }
    }
}
