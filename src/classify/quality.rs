//! How good a picture is, by measures that take a fraction of a millisecond.

use fast_image_resize::pixels::U8x3;

use super::views::brightness_range;

/// Measures of the centre view of a frame, at the model's scale: what the network would see.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// What all but the brightest 3 % of the pixels are darker than: 0 to 255.
    pub bright: f32,
    /// Range of brightness that all but the darkest and brightest 3 % of the pixels lie in: 0 to 255.
    pub contrast: f32,
    /// How much detail there is at the scale of one pixel, of that at two: the logarithm of the ratio of the mean squared
    /// differences of neighbours. A photograph has -1.0 to 0.2, fine noise up to 1.4, and a picture without any
    /// detail at this scale, because of blur or because it was enlarged, less than -1.1; it can't have less than -1.39.
    pub fine: f32,
    /// The same for two pixels, of four.
    pub middle: f32,
}

/// What is wrong with a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Condition {
    /// Nothing that could be told.
    Good,
    /// It lacks detail: of low resolution, moved or slightly out of focus.
    Soft,
    /// It has no detail at all: out of focus.
    Blurred,
    /// It is dark, and noise comes to the fore.
    Dark,
}

impl Condition {
    /// Those in which something is wrong.
    pub const POOR: [Self; 3] = [Self::Soft, Self::Blurred, Self::Dark];
}

/// What has less contrast than this, and nothing bright, is [`Condition::Dark`]. Chosen on the first half of 500 photographs:
/// unspoilt ones had a contrast of 104 or more (2nd percentile), those at a quarter of their brightness 63 or less (98th).
const DARK_BELOW: f32 = 70.0;
/// What has something as bright as this is not dark, but fog, or a wall: to stretch it would make a picture of nothing.
const BRIGHT: f32 = 100.0;
/// With less contrast than this there is nothing to see in any light.
const EMPTY_BELOW: f32 = 12.0;
/// Less fine detail than this is [`Condition::Soft`]: unspoilt photographs had -1.03 or more, blurred by three pixels of 320
/// -1.29 or less, enlarged five times -1.14 or less (2nd and 98th percentiles).
const SOFT_BELOW: f32 = -1.1;
/// Less fine detail than this is [`Condition::Blurred`]: nearly all of the blurred ones had less, and of the enlarged ones one in
/// twenty, for enlarging leaves edges of its own.
const BLURRED_BELOW: f32 = -1.29;

impl Quality {
    /// Of a view of `width` pixels a row.
    #[must_use]
    pub fn of(pixels: &[U8x3], width: usize, scratch: &mut Vec<u16>) -> Self {
        let height = pixels.len().checked_div(width).unwrap_or(0);
        let mut histogram = [0; 256];
        scratch.clear();
        scratch.extend(pixels.iter().map(|pixel| {
            let [r, g, b] = pixel.0.map(u16::from);
            // BT.601 in 256ths.
            let brightness = (77 * r + 150 * g + 29 * b) >> 8;
            histogram[usize::from(brightness)] += 1;
            brightness
        }));
        let (low, high) = brightness_range(&histogram, pixels.len(), 3);
        let one = differences(scratch, width, height);
        let (width, height) = halve(scratch, width, height);
        // Sums of four pixels: their squares are 16 times as large.
        let two = differences(scratch, width, height) / 16.0;
        let (width, height) = halve(scratch, width, height);
        let four = differences(scratch, width, height) / 256.0;
        let ratio = |fine: f32, coarse: f32| ((fine + FLOOR) / (coarse + FLOOR)).ln();
        Self {
            bright: f32::from(high),
            contrast: f32::from(high) - f32::from(low),
            fine: ratio(one, two),
            middle: ratio(two, four),
        }
    }

    /// What is wrong, if anything.
    #[must_use]
    pub fn condition(self) -> Condition {
        if self.contrast < EMPTY_BELOW {
            Condition::Good
        } else if self.contrast < DARK_BELOW && self.bright < BRIGHT {
            Condition::Dark
        } else if self.fine < BLURRED_BELOW {
            Condition::Blurred
        } else if self.fine < SOFT_BELOW {
            Condition::Soft
        } else {
            Condition::Good
        }
    }
}

/// Keeps ratios of next to nothing near one.
const FLOOR: f32 = 1e-3;

/// The mean squared difference of neighbours in a row, and in a column, added.
fn differences(values: &[u16], width: usize, height: usize) -> f32 {
    if width < 2 || height < 2 {
        return 0.0;
    }
    let squares = |a: &[u16], b: &[u16]| -> u64 {
        a.iter().zip(b).map(|(&a, &b)| u64::from(i32::from(a).abs_diff(i32::from(b)).pow(2))).sum()
    };
    let rows = || values.chunks_exact(width);
    let along: u64 = rows().map(|row| squares(&row[1..], &row[..width - 1])).sum();
    let down: u64 = rows().skip(1).zip(rows()).map(|(lower, upper)| squares(lower, upper)).sum();
    along as f32 / ((width - 1) * height) as f32 + down as f32 / (width * (height - 1)) as f32
}

/// Adds up blocks of 2×2 values, in place; an odd row or column is left out. The new size.
fn halve(values: &mut Vec<u16>, width: usize, height: usize) -> (usize, usize) {
    let (columns, rows) = (width / 2, height / 2);
    for y in 0..rows {
        for x in 0..columns {
            let at = 2 * y * width + 2 * x;
            values[y * columns + x] = values[at] + values[at + 1] + values[at + width] + values[at + width + 1];
        }
    }
    values.truncate(columns * rows);
    (columns, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a camera sees at one place: something at every scale, from the whole picture down to a pixel.
    fn scene(x: u32, y: u32) -> f32 {
        let wave = |size: f32| (x as f32 / size).sin() * (y as f32 / size * 1.3 + 1.0).cos();
        128.0 + [40.0, 20.0, 10.0, 5.0, 3.0, 1.5, 0.8].iter().map(|&size| 18.0 * wave(size)).sum::<f32>()
    }

    fn picture(value: impl Fn(u32, u32) -> f32) -> Vec<U8x3> {
        let at = |at: u32| value(at % 224, at / 224).round().clamp(0.0, 255.0) as u8;
        (0..224 * 224).map(|index| U8x3::new([at(index); 3])).collect()
    }

    fn quality(pixels: &[U8x3]) -> Quality {
        Quality::of(pixels, 224, &mut Vec::new())
    }

    /// The mean over a square of so many pixels on each side.
    fn blurred(x: u32, y: u32, reach: u32) -> f32 {
        let around = |at: u32| at + 50 - reach..=at + 50 + reach;
        let values = around(y).flat_map(|y| around(x).map(move |x| scene(x, y)));
        values.sum::<f32>() / ((2 * reach + 1) * (2 * reach + 1)) as f32
    }

    /// The same at every run.
    fn noise(x: u32, y: u32) -> f32 {
        let mut bits = x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77);
        bits ^= bits >> 15;
        f32::from((bits.wrapping_mul(0x2C1B_3C6D) >> 24) as u8) - 128.0
    }

    #[test]
    fn what_is_wrong_with_a_picture_is_told() {
        let sharp = quality(&picture(|x, y| blurred(x, y, 0)));
        assert_eq!(sharp.condition(), Condition::Good, "{sharp:?}");
        let soft = quality(&picture(|x, y| blurred(x, y, 4)));
        assert!(soft.fine < sharp.fine && soft.condition() != Condition::Good, "{soft:?}");
        let dark = quality(&picture(|x, y| blurred(x, y, 0) / 4.0 + noise(x, y) / 16.0));
        assert_eq!(dark.condition(), Condition::Dark, "{dark:?}");
        let fog = quality(&picture(|x, y| 170.0 + blurred(x, y, 0) / 4.0));
        assert_eq!(fog.condition(), Condition::Good, "{fog:?}");
        // Nothing smaller than a quarter of the picture.
        let focus = quality(&picture(|x, y| 128.0 + 100.0 * (x as f32 / 10.0).sin() * (y as f32 / 12.0).cos()));
        assert_eq!(focus.condition(), Condition::Blurred, "{focus:?}");
    }

    #[test]
    fn noise_is_detail_at_the_scale_of_a_pixel() {
        let noisy = quality(&picture(|x, y| 128.0 + noise(x, y)));
        // A mean over four pixels has a quarter of the variance.
        assert!((noisy.fine - 4.0_f32.ln()).abs() < 0.1, "{noisy:?}");
        assert!((noisy.middle - 4.0_f32.ln()).abs() < 0.2, "{noisy:?}");
    }

    #[test]
    fn any_size_has_a_quality() {
        for (width, pixels) in [(0, 0), (1, 1), (1, 7), (3, 6), (5, 25)] {
            let quality = Quality::of(&vec![U8x3::new([7; 3]); pixels], width, &mut Vec::new());
            let bright = if pixels == 0 { 0.0 } else { 7.0 };
            assert_eq!(quality, Quality { bright, contrast: 0.0, fine: 0.0, middle: 0.0 });
            assert_eq!(quality.condition(), Condition::Good);
        }
    }
}
