//! What goes wrong with a camera's pictures: out of focus, hung askew, in the dark, too far away, something in front, too few
//! bits; and sequences made from one photograph.
//!
//! Whatever grows with a picture is measured in units of `k`, its short side ÷ 320: the same photograph at another size
//! is degraded alike.

mod filters;
mod jpeg;
mod rotate;

use std::fmt;
use std::str::FromStr;

use image::{Rgb, RgbImage, imageops};

use super::random::{Random, mix};

/// The short side, in pixels, at which `k` is 1.
const REFERENCE_SIDE: f64 = 320.0;
/// Standard deviation of [`Degradation::Blur`], in `k` pixels.
const BLUR_SIGMA: f64 = 3.0;
/// [`Degradation::Tilt`], in degrees.
const TILT: f64 = 20.0;
/// How far the frames of a tilted sequence are from that at most, in degrees.
const SWAY: f64 = 3.0;
/// What is left of the light in [`Degradation::Dark`], and the standard deviation of its noise, of 255.
const DARK_LIGHT: f64 = 0.25;
const DARK_NOISE: f64 = 10.0;
/// By what [`Degradation::Lowres`] divides each side.
const LOWRES_FACTOR: u32 = 5;
/// The box of [`Degradation::Occlude`].
const BOX_COLOUR: Rgb<u8> = Rgb([128; 3]);
/// Quality of [`Degradation::Jpeg`], of 100.
const JPEG_QUALITY: f32 = 10.0;
/// What [`jitter`] keeps of each side, and the least and most light.
const JITTER_SIDE: f64 = 0.9;
const JITTER_LIGHT: (f64, f64) = (0.85, 1.15);

/// One way to make a picture worse. Its name is the lower-case word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Degradation {
    /// Gaussian blur, standard deviation 3 `k` pixels.
    Blur,
    /// Turned by 20° about its centre, to the left or to the right; the corners are black.
    Tilt,
    /// A quarter of the light, and Gaussian noise with a standard deviation of 10 (of 255) in each sample.
    Dark,
    /// A fifth of each side, and enlarged again.
    Lowres,
    /// A grey box over the middle ninth.
    Occlude,
    /// JPEG of quality 10.
    Jpeg,
}

/// A name that is that of no degradation.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no degradation is called {name:?}; there are {}", Degradation::ALL.map(Degradation::name).join(", "))]
pub struct UnknownDegradation {
    /// The name.
    pub name: String,
}

impl Degradation {
    /// All there are.
    pub const ALL: [Self; 6] = [Self::Blur, Self::Tilt, Self::Dark, Self::Lowres, Self::Occlude, Self::Jpeg];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Blur => "blur",
            Self::Tilt => "tilt",
            Self::Dark => "dark",
            Self::Lowres => "lowres",
            Self::Occlude => "occlude",
            Self::Jpeg => "jpeg",
        }
    }

    /// The seed for one picture in a run with a seed: no two pictures have the same noise, and one picture has the same
    /// whichever degradations are asked for beside this one.
    #[must_use]
    pub fn seed(self, run: u64, picture: u64) -> u64 {
        mix(run, picture, self.name())
    }

    /// The picture made worse, at the same size. The same on every machine for the same seed.
    ///
    /// # Panics
    /// With [`Degradation::Jpeg`], if a side is longer than the 65,500 pixels that a JPEG can have.
    #[must_use]
    pub fn apply(self, picture: &RgbImage, seed: u64) -> RgbImage {
        let mut random = Random::new(seed);
        let angle = if self == Self::Tilt { tilt(&mut random) } else { 0.0 };
        self.apply_with(picture, angle, &mut random)
    }

    /// With an angle in degrees, for the tilt.
    fn apply_with(self, picture: &RgbImage, angle: f64, random: &mut Random) -> RgbImage {
        let (width, height) = picture.dimensions();
        if width == 0 || height == 0 {
            return picture.clone();
        }
        match self {
            Self::Blur => filters::blur(picture, BLUR_SIGMA * f64::from(width.min(height)) / REFERENCE_SIDE),
            Self::Tilt => rotate::rotate(picture, angle),
            Self::Dark => each_sample(picture, |value| value * DARK_LIGHT + DARK_NOISE * random.normal()),
            Self::Lowres => filters::low_resolution(picture, LOWRES_FACTOR),
            Self::Occlude => {
                let mut out = picture.clone();
                for y in height / 3..2 * height / 3 {
                    for x in width / 3..2 * width / 3 {
                        out.put_pixel(x, y, BOX_COLOUR);
                    }
                }
                out
            }
            Self::Jpeg => jpeg::round_trip(picture, JPEG_QUALITY),
        }
    }
}

impl fmt::Display for Degradation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Degradation {
    type Err = UnknownDegradation;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|degradation| degradation.name() == name);
        found.ok_or_else(|| UnknownDegradation { name: name.to_owned() })
    }
}

/// What a hand or the wind does to a camera between two frames: nine tenths of each side, from anywhere in the picture,
/// and 0.85 to 1.15 times the light.
#[must_use]
pub fn jitter(picture: &RgbImage, seed: u64) -> RgbImage {
    let mut random = Random::new(seed);
    let mut part = |side: u32| {
        let kept = (f64::from(side) * JITTER_SIDE).round() as u32;
        // Of a picture of a few pixels, one at least.
        let kept = kept.max(side.min(1));
        let start = random.below(u64::from(side - kept) + 1) as u32;
        (start, kept)
    };
    let ((x, width), (y, height)) = (part(picture.width()), part(picture.height()));
    let light = random.between(JITTER_LIGHT.0, JITTER_LIGHT.1);
    let crop = imageops::crop_imm(picture, x, y, width, height).to_image();
    each_sample(&crop, |value| value * light)
}

/// Frames such as a camera would take of one photograph, one after another: each is [`jitter`]ed, then degraded, with noise
/// of its own. A camera that hangs askew stays so: the tilt has one direction throughout and varies by up to 3°.
///
/// Without a degradation they are only jittered.
///
/// # Panics
/// As [`Degradation::apply`] does.
#[must_use]
pub fn sequence(picture: &RgbImage, degradation: Option<Degradation>, length: usize, seed: u64) -> Vec<RgbImage> {
    let askew = tilt(&mut Random::new(mix(seed, 0, "tilt")));
    let frame = |index: u64| {
        let frame = jitter(picture, mix(seed, index, "jitter"));
        let Some(degradation) = degradation else { return frame };
        let mut random = Random::new(mix(seed, index, "frame"));
        let angle = askew + random.between(-SWAY, SWAY);
        degradation.apply_with(&frame, angle, &mut random)
    };
    (0..length as u64).map(frame).collect()
}

/// The tilt, in degrees, to one side or the other.
fn tilt(random: &mut Random) -> f64 {
    if random.coin() { TILT } else { -TILT }
}

/// Each sample changed, rounded and limited to what a sample can be.
fn each_sample(picture: &RgbImage, mut change: impl FnMut(f64) -> f64) -> RgbImage {
    let mut out = picture.clone();
    out.iter_mut().for_each(|value| *value = change(f64::from(*value)).round().clamp(0.0, 255.0) as u8);
    out
}

#[cfg(test)]
mod tests;
