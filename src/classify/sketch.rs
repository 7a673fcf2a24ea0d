//! A small picture, to tell whether anything has changed in a scene.

use std::fmt;

use fast_image_resize::pixels::U8x3;

use super::dhash::span;

/// Cells on each side.
const SIDE: usize = 32;
/// Cells on each side of a block.
const BLOCK: usize = 4;
/// A block may differ by so many times as much as the whole.
const BLOCK_FACTOR: f32 = 2.0;

/// A picture as 32×32 cells: three kilobytes. Of a view of 224×224, each is the mean of 49 pixels. In colour, for a lamp that turns
/// from red to green may be as bright as before.
///
/// Two are alike if their cells differ by less than a limit in the mean, and those of no block of 4×4 cells (an eighth of the
/// side; blocks overlap by half) by twice as much or more: what is small and new in a scene changes little of the whole.
///
/// A hash of 64 bits ([`PictureHash`](super::dhash::PictureHash)) is no match for it: most of what is small and new leaves
/// that as it is.
///
/// Tried on the ten photographs of `examples/frames` at 640×480, with noise of its own in each picture and as JPEG. Differences in
/// steps of 255, in the mean and in the largest block:
///
/// | | mean | block |
/// | --- | --- | --- |
/// | noise of σ = 2, 3 and 4, quality 60, 75 and 90: most of 360 pairs | 0.71 | 1.2 |
/// | noise of σ = 8, the same: most of 120 pairs | 1.02 | 1.6 |
/// | part of another photograph on an eighth of the width: least of 60 | 1.41 | 26 |
/// | the same on a sixteenth: least of 60 | 0.65 | 15 |
/// | an eighth of the width lighter or darker by 20 steps, by 10: least of 60 each | 0.68, 0.45 | 8.6, 4.4 |
/// | a sixteenth, the same: least of 60 each | 0.30, 0.29 | 3.7, 2.4 |
/// | moved by one pixel: least and most of 10 | 0.89, 2.4 | 2.6, 6.3 |
/// | all of it lighter by 2 steps: least and most of 10 | 1.9, 2.0 | 2.3, 2.4 |
///
/// (All but the first two with σ = 3 and quality 75.) So the default, 1.5 in the mean and 3.0 in a block, is twice what the noise
/// of a usual sensor makes, and less than what anything new makes that has an eighth of the width and a contrast of 10 steps, or a
/// sixteenth and 20.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sketch([[[u8; 3]; SIDE]; SIDE]);

/// How far two sketches are apart, in steps of 255.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// In the mean over all cells.
    pub mean: f32,
    /// In the mean over the cells of the block that differs most.
    pub block: f32,
}

impl Sketch {
    /// Of a picture of `width` pixels a row. One without pixels is black.
    #[must_use]
    pub fn of(pixels: &[U8x3], width: usize) -> Self {
        let mut grid = [[[0; 3]; SIDE]; SIDE];
        let height = pixels.len().checked_div(width).unwrap_or(0);
        if width == 0 || height == 0 {
            return Self(grid);
        }
        for (row, cells) in grid.iter_mut().enumerate() {
            let rows = span(row, SIDE, height);
            // No image has so many pixels in a cell that these do not hold them.
            let mut sums = [[0_u32; 3]; SIDE];
            for y in rows.clone() {
                let line = &pixels[y * width..(y + 1) * width];
                for (column, sums) in sums.iter_mut().enumerate() {
                    for pixel in &line[span(column, SIDE, width)] {
                        sums.iter_mut().zip(pixel.0).for_each(|(sum, sample)| *sum += u32::from(sample));
                    }
                }
            }
            for (column, (cell, sums)) in cells.iter_mut().zip(sums).enumerate() {
                let count = (rows.len() * span(column, SIDE, width).len()) as u32;
                *cell = sums.map(|sum| ((sum + count / 2) / count) as u8);
            }
        }
        Self(grid)
    }

    /// How far the two are apart.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Difference {
        const HALF: usize = BLOCK / 2;
        const HALVES: usize = SIDE / HALF;
        // Sums over quarters of blocks: four neighbours are a block.
        let mut quarters = [[0_u32; HALVES]; HALVES];
        for (y, (row, other)) in self.0.iter().zip(&other.0).enumerate() {
            for (x, (cell, other)) in row.iter().zip(other).enumerate() {
                let samples = cell.iter().zip(other);
                quarters[y / HALF][x / HALF] += samples.map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>();
            }
        }
        let sum: u32 = quarters.iter().flatten().sum();
        let mut block = 0;
        for rows in quarters.windows(2) {
            for (upper, lower) in rows[0].windows(2).zip(rows[1].windows(2)) {
                block = block.max(upper[0] + upper[1] + lower[0] + lower[1]);
            }
        }
        let mean = |sum: u32, side: usize| sum as f32 / (3 * side * side) as f32;
        Difference { mean: mean(sum, SIDE), block: mean(block, BLOCK) }
    }

    /// Whether the two differ by less than `below` in the mean, and nowhere much.
    #[must_use]
    pub fn is_alike(&self, other: &Self, below: f32) -> bool {
        let Difference { mean, block } = self.difference(other);
        mean < below && block < BLOCK_FACTOR * below
    }
}

impl fmt::Debug for Sketch {
    /// A thousand numbers would hide what they are shown with.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sketch").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::views::{View, ViewMaker};
    use crate::frame::decode::samples::{Random, photo};
    use crate::frame::decode::{Decoder, Limits};
    use crate::frame::jpeg;
    use crate::model::{CropMode, InputSpec, Interpolation, Layout};

    const WIDTH: usize = 640;
    const HEIGHT: usize = 480;
    /// The default of `inference.repeats_alike_below`.
    const BELOW: f32 = 1.5;

    /// What EfficientNet-Lite0 would see of a frame, after its way through a JPEG file.
    fn sketch(rgb: &[u8]) -> Sketch {
        let spec = InputSpec {
            tensor: "input".into(),
            layout: Layout::Nchw,
            height: 224,
            width: 224,
            resize: 256,
            crop: CropMode::Center,
            interpolation: Interpolation::Bicubic,
            mean: [127.0; 3],
            std: [128.0; 3],
        };
        let file = jpeg::encode(rgb, WIDTH, HEIGHT, 75.0).unwrap();
        let mut decoder = Decoder::new(Limits { max_bytes: 8 << 20, max_pixels: 40_000_000 });
        let picture = decoder.decode(&file, &spec.need(None, &[View::CENTER])).unwrap();
        let mut views = ViewMaker::new();
        views.make(picture, None, &spec, &View::CENTER, &mut vec![0.0; spec.len()]).unwrap();
        let (pixels, width) = views.last();
        Sketch::of(pixels, width)
    }

    /// With a sensor's noise: near enough to a normal distribution, of σ = 4.
    fn noisy(rgb: &[u8], seed: u32) -> Vec<u8> {
        let mut random = Random::new(seed);
        // Four evenly distributed numbers have a variance of 4 · (7² - 1) / 12 = 16.
        let mut noise = || (0..4).map(|_| random.below(7) as i32 - 3).sum::<i32>();
        rgb.iter().map(|&sample| (i32::from(sample) + noise()).clamp(0, 255) as u8).collect()
    }

    /// With a square of `side` pixels, so many steps lighter or darker than what it covers.
    fn with_object(rgb: &[u8], (left, top): (usize, usize), side: usize, steps: u8) -> Vec<u8> {
        let mut rgb = rgb.to_vec();
        for y in top..top + side {
            for sample in &mut rgb[(y * WIDTH + left) * 3..(y * WIDTH + left + side) * 3] {
                *sample = if *sample > 127 { *sample - steps } else { *sample + steps };
            }
        }
        rgb
    }

    #[test]
    fn a_sensor_s_noise_makes_no_difference() {
        let scene = photo(WIDTH as u32, HEIGHT as u32);
        let first = sketch(&noisy(&scene, 0));
        for seed in 1..6 {
            let difference = first.difference(&sketch(&noisy(&scene, seed)));
            assert!(difference.mean < BELOW / 2.0 && difference.block < BELOW * BLOCK_FACTOR / 2.0, "{difference:?}");
        }
    }

    #[test]
    fn something_small_that_appears_is_seen_wherever_it_is() {
        let scene = photo(WIDTH as u32, HEIGHT as u32);
        let before = sketch(&noisy(&scene, 0));
        // Between, and across, blocks; at the edges of what the network sees.
        for (seed, at) in (1..).zip([(112, 32), (301, 211), (257, 97), (340, 190), (450, 370)]) {
            let after = sketch(&noisy(&with_object(&scene, at, WIDTH / 8, 12), seed));
            let difference = before.difference(&after);
            assert!(!before.is_alike(&after, BELOW), "{at:?}: {difference:?}");
            // The whole alone would not have told.
            assert!(difference.mean < BELOW, "{at:?}: {difference:?}");
        }
    }

    #[test]
    fn light_that_changes_everywhere_is_seen() {
        let scene = photo(WIDTH as u32, HEIGHT as u32);
        let lighter: Vec<u8> = scene.iter().map(|sample| sample.saturating_add(2)).collect();
        let (before, after) = (sketch(&noisy(&scene, 0)), sketch(&noisy(&lighter, 1)));
        assert!(!before.is_alike(&after, BELOW), "{:?}", before.difference(&after));
    }

    #[test]
    fn a_colour_that_changes_is_seen_though_it_is_as_bright() {
        let lamp = |colour: [u8; 3]| {
            let inside = |side: usize| (100..116).contains(&side);
            let pixel = |at: usize| if inside(at % 224) && inside(at / 224) { colour } else { [90; 3] };
            Sketch::of(&(0..224 * 224).map(|at| U8x3::new(pixel(at))).collect::<Vec<_>>(), 224)
        };
        assert!(!lamp([200, 40, 40]).is_alike(&lamp([40, 120, 40]), BELOW));
    }

    #[test]
    fn differences_are_in_steps() {
        let plain = |grey: u8| Sketch([[[grey; 3]; SIDE]; SIDE]);
        assert_eq!(plain(10).difference(&plain(13)), Difference { mean: 3.0, block: 3.0 });
        let mut one = plain(10);
        // Two cells that touch, in the middle of the grid: a block has both.
        (one.0[15][15], one.0[16][16]) = ([26; 3], [26; 3]);
        assert_eq!(plain(10).difference(&one), Difference { mean: 2.0 / 64.0, block: 2.0 });
        assert!(plain(10).is_alike(&one, 1.1) && !plain(10).is_alike(&one, 1.0));
        assert!(!plain(10).is_alike(&plain(11), 1.0) && plain(10).is_alike(&plain(11), 1.1));
    }

    #[test]
    fn a_picture_of_any_size_has_one() {
        let plain = |width: usize, pixels: usize| Sketch::of(&vec![U8x3::new([40, 50, 60]); pixels], width);
        for (width, pixels) in [(1, 1), (3, 6), (32, 1024), (33, 33 * 31), (100, 100)] {
            assert_eq!(plain(width, pixels), Sketch([[[40, 50, 60]; SIDE]; SIDE]), "{width}, {pixels}");
        }
        assert_eq!(plain(0, 0), Sketch([[[0; 3]; SIDE]; SIDE]));
    }
}
