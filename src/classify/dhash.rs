//! A perceptual hash: 64 bits that hardly change when a picture hardly does.

use std::fmt;
use std::str::FromStr;

use fast_image_resize::pixels::U8x3;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const COLUMNS: usize = 9;
const ROWS: usize = 8;
/// Steps of 255 by which a cell must be brighter than its neighbour. A mean over a cell of 25×28 pixels has a noise of
/// less than half a step; without this, the hash of an even surface, or of a night, would be drawn by lot.
const STEP: u64 = 2;
/// What a pixel's brightness is counted in: red + 2 green + blue, four times the mean.
const WEIGHT: u64 = 4;

/// A picture's difference hash (dHash): how brightness rises from left to right, on a grid.
///
/// After Neal Krawetz, "Kind of Like That" (2013), hackerfactor.com/blog/index.php?/archives/529-Kind-of-Like-That.html:
/// the picture is reduced to 9×8 cells, and each bit says whether a cell is darker than the one right of it. There, up to
/// 10 different bits are a variation of a picture, more another picture. Here a cell is darker only if it is so by more
/// than noise. Of the photographs in `examples/frames` no two are nearer than 15 bits, and none is moved by more than 3
/// when each sample is off by up to 40 steps, or the camera by 4 pixels. A view of 224×224 takes 46 µs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PictureHash(pub u64);

impl PictureHash {
    /// Of a picture of `width` pixels a row. One without pixels has a hash too, that of an even surface.
    #[must_use]
    pub fn of(pixels: &[U8x3], width: usize) -> Self {
        let height = pixels.len().checked_div(width).unwrap_or(0);
        if width == 0 || height == 0 {
            return Self(0);
        }
        let mut bits = 0;
        for row in 0..ROWS {
            let mut cells = [(0_u64, 0_u64); COLUMNS];
            for y in span(row, ROWS, height) {
                let line = &pixels[y * width..(y + 1) * width];
                for (column, (sum, count)) in cells.iter_mut().enumerate() {
                    let span = span(column, COLUMNS, width);
                    *count += span.len() as u64;
                    *sum += u64::from(line[span].iter().map(brightness).sum::<u32>());
                }
            }
            for pair in cells.windows(2) {
                let [(left, left_count), (right, right_count)] = [pair[0], pair[1]];
                // Means, without dividing: cells differ in size by a pixel.
                let rises = right * left_count > left * right_count + STEP * WEIGHT * left_count * right_count;
                bits = bits << 1 | u64::from(rises);
            }
        }
        Self(bits)
    }

    /// In how many of 64 bits two pictures differ: 0 for the same, about 32 for any two.
    #[must_use]
    pub fn distance(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }
}

/// The pixels of a cell along one side; never none, so that small pictures have a hash as well.
pub(super) fn span(cell: usize, cells: usize, side: usize) -> std::ops::Range<usize> {
    let start = cell * side / cells;
    start..((cell + 1) * side / cells).max(start + 1)
}

/// A row of a cell sums up to less than 2³² for any width that an image can have here.
fn brightness(pixel: &U8x3) -> u32 {
    let [red, green, blue] = pixel.0;
    u32::from(red) + 2 * u32::from(green) + u32::from(blue)
}

impl fmt::Display for PictureHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for PictureHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is wrong with the text of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a picture's hash is 16 lower case hexadecimal digits")]
pub struct PictureHashError;

impl FromStr for PictureHash {
    type Err = PictureHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == 16 && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        let bits = u64::from_str_radix(text, 16).ok().filter(|_| digits);
        bits.map(Self).ok_or(PictureHashError)
    }
}

impl Serialize for PictureHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PictureHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: usize, height: usize, pixel: impl Fn(usize, usize) -> u8) -> Vec<U8x3> {
        (0..width * height).map(|at| U8x3::new([pixel(at % width, at / width); 3])).collect()
    }

    fn noise(seed: &mut u32, most: i16) -> i16 {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        i16::try_from(*seed >> 20).unwrap() % (2 * most + 1) - most
    }

    /// Patches of a few brightnesses, as scenes have them.
    fn scene(number: u32) -> Vec<U8x3> {
        let mut seed = number;
        let patches: Vec<u8> = (0..64).map(|_| u8::try_from(127 + noise(&mut seed, 100)).unwrap()).collect();
        picture(224, 224, |x, y| patches[y / 28 * 8 + x / 28])
    }

    fn disturbed(pixels: &[U8x3], seed: u32, gain: i16, most: i16) -> Vec<U8x3> {
        let mut seed = seed;
        let value = |v: u8, n: i16| u8::try_from((i16::from(v) * gain / 100 + n).clamp(0, 255)).unwrap();
        pixels.iter().map(|pixel| U8x3::new(pixel.0.map(|v| value(v, noise(&mut seed, most))))).collect()
    }

    #[test]
    fn bits_are_rises_from_left_to_right_and_the_first_is_the_top_left() {
        assert_eq!(PictureHash::of(&picture(9, 8, |x, _| 10 * x as u8), 9), PictureHash(u64::MAX));
        assert_eq!(PictureHash::of(&picture(9, 8, |x, _| 200 - 10 * x as u8), 9), PictureHash(0));
        let first = picture(9, 8, |x, y| if x == 0 && y == 0 { 0 } else { 100 });
        assert_eq!(PictureHash::of(&first, 9), PictureHash(1 << 63));
        let last_row = picture(224, 224, |x, y| if y >= 196 { x as u8 } else { 0 });
        assert_eq!(PictureHash::of(&last_row, 224), PictureHash(0xff));
    }

    #[test]
    fn an_even_surface_has_the_same_hash_whatever_its_noise_and_size() {
        for seed in 0..20 {
            let night = disturbed(&picture(224, 224, |_, _| 12), seed, 100, 12);
            assert_eq!(PictureHash::of(&night, 224), PictureHash(0));
        }
        for (width, height) in [(0, 0), (1, 1), (3, 200), (10, 7), (8, 9)] {
            assert_eq!(PictureHash::of(&picture(width, height, |_, _| 90), width), PictureHash(0));
        }
    }

    #[test]
    fn the_same_scene_stays_near_and_another_is_far() {
        let hashes: Vec<_> = (0..30).map(|number| PictureHash::of(&scene(number), 224)).collect();
        for (number, hash) in (0..).zip(&hashes) {
            for gain in [70, 90, 110] {
                let again = PictureHash::of(&disturbed(&scene(number), number + 100, gain, 20), 224);
                assert!(hash.distance(again) <= 4, "scene {number} at {gain} %: {}", hash.distance(again));
            }
            let others = hashes.iter().filter(|other| *other != hash);
            let nearest = others.map(|other| hash.distance(*other)).min();
            assert!(nearest.is_some_and(|nearest| nearest > 10), "scene {number} is {nearest:?} from another");
        }
    }

    #[test]
    fn a_hash_is_16_digits_in_text() {
        let hash = PictureHash(0x00ab_cdef_0123_4567);
        assert_eq!(hash.to_string(), "00abcdef01234567");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(serde_json::from_str::<PictureHash>(&serde_json::to_string(&hash).unwrap()).unwrap(), hash);
        for text in ["", "0", "00ABCDEF01234567", "+0abcdef01234567", "00abcdef012345678", "00abcdef0123456é"] {
            assert_eq!(text.parse::<PictureHash>(), Err(PictureHashError), "{text:?}");
        }
    }
}
