//! From bytes to pixels: JPEG through libjpeg, the other formats through `image`, within limits.
//!
//! [`Decoder::decode`] decodes no more than the next step needs: [`Need`] says which part of the frame will be looked
//! at, and how many pixels are wanted. The [`Picture`] says what of the frame it holds, at which scale.
//!
//! Time is bounded without a clock, so that the same frame has the same fate on a busy box and on a quiet one: the work is
//! at most proportional to the bytes and the pixels, both of which are limited, and for a progressive JPEG to pixels
//! times scans, which is limited too.

mod geometry;
mod huffman;
mod jpeg;
mod libjpeg;
mod raster;
mod sniff;

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;

pub use geometry::{Area, Orientation, Turn};
pub use sniff::{Format, describe, sniff};

use crate::config::Crop;

/// What is refused before much work or memory goes into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of the encoded image, in bytes.
    pub max_bytes: usize,
    /// Width × height.
    pub max_pixels: u64,
}

impl Limits {
    fn check_pixels(self, width: u32, height: u32) -> Result<(), DecodeError> {
        if u64::from(width) * u64::from(height) > self.max_pixels {
            return Err(DecodeError::TooManyPixels { width, height, max_pixels: self.max_pixels });
        }
        Ok(())
    }
}

/// What the next step needs, so that the decoder can leave out the rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Need {
    /// The part that is classified, in fractions of the upright frame; the whole frame if `None`.
    pub crop: Option<Crop>,
    /// The crop's short side keeps at least this many pixels, if the frame has them.
    pub short_side: u32,
    /// If only the middle of the crop is looked at: its width and height, in fractions of the crop's short side.
    pub middle: Option<(f32, f32)>,
}

impl Need {
    /// All of the frame, at its full size.
    pub const EVERYTHING: Self = Self { crop: None, short_side: u32::MAX, middle: None };

    /// The area of an upright frame that must be decoded, when that is done at `scale`.
    fn area(&self, frame_width: u32, frame_height: u32, scale: f64) -> Area {
        // Resizing reads some pixels beyond what it shows. Where it makes the picture smaller, that is for the caller to
        // add to `middle`; where it makes it larger, it is two pixels for a bicubic kernel, and rounding.
        const MARGIN: f64 = 3.0;
        let crop = Area::of_crop(self.crop, frame_width, frame_height);
        let Some((w, h)) = self.middle else { return crop };
        let short = crop.short_side();
        let (w, h) = (f64::from(w) * short, f64::from(h) * short);
        let middle = Area { x: crop.x + (crop.w - w) / 2.0, y: crop.y + (crop.h - h) / 2.0, w, h };
        middle.grown(MARGIN / scale, crop)
    }
}

/// A decoded frame, or the part of it that was needed, as it is stored: not yet turned upright.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Width of `rgb`, in pixels.
    pub width: u32,
    /// Height of `rgb`, in pixels.
    pub height: u32,
    /// Width of the whole frame at its full size, upright.
    pub frame_width: u32,
    /// Height of the whole frame at its full size, upright.
    pub frame_height: u32,
    /// How the stored picture has to be turned to stand upright.
    pub orientation: Orientation,
    /// Pixels of `rgb` for one pixel of the frame: 1, or less if it was decoded at a reduced size.
    pub scale: f64,
    /// Where the first pixel of `rgb` lies in the stored frame, in pixels of `rgb` from the frame's left and top.
    pub origin: (u32, u32),
    /// Rows of red, green and blue bytes, without padding.
    pub rgb: Vec<u8>,
}

impl Picture {
    /// Where an area of the upright, full-sized frame lies in `rgb`.
    #[must_use]
    pub fn locate(&self, area: Area) -> Area {
        // The stored size is the upright one turned: swapping is its own inverse.
        let (width, height) = Turn::of(self.orientation).size(self.frame_width, self.frame_height);
        let stored = area.to_stored(self.orientation, width, height);
        Area {
            x: stored.x * self.scale - f64::from(self.origin.0),
            y: stored.y * self.scale - f64::from(self.origin.1),
            w: stored.w * self.scale,
            h: stored.h * self.scale,
        }
    }
}

/// Why a payload could not be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// No bytes at all.
    #[error("the image is empty")]
    Empty,
    /// More bytes than allowed.
    #[error("{bytes} bytes are over the limit of {max_bytes}")]
    TooManyBytes {
        /// How many there are.
        bytes: usize,
        /// How many may be.
        max_bytes: usize,
    },
    /// More pixels than allowed, by the header.
    #[error("{width}x{height} is {:.1} megapixels, over the limit of {:.1}", megapixels(u64::from(*width) * u64::from(*height)), megapixels(*max_pixels))]
    TooManyPixels {
        /// Width that the header claims.
        width: u32,
        /// Height that the header claims.
        height: u32,
        /// Width × height that is allowed.
        max_pixels: u64,
    },
    /// A progressive JPEG with more scans than its size allows.
    #[error("a progressive JPEG of this size may have {max_scans} scans, and this one has more")]
    TooManyScans {
        /// How many may be.
        max_scans: u32,
    },
    /// The first bytes are those of no known image format.
    #[error("not an image: {found}")]
    NotAnImage {
        /// What the first bytes look like.
        found: String,
    },
    /// A known format in a variant that is not decoded.
    #[error("this kind of {format} is not supported: {reason}")]
    Unsupported {
        /// The format.
        format: Format,
        /// The decoder's words.
        reason: String,
    },
    /// The data ends before the picture does.
    #[error("the {format} ends before its picture is complete")]
    Truncated {
        /// The format.
        format: Format,
    },
    /// The data contradicts its format.
    #[error("the {format} is damaged: {reason}")]
    Corrupt {
        /// The format.
        format: Format,
        /// The decoder's words.
        reason: String,
    },
}

impl DecodeError {
    /// A short name for counters: `empty`, `too_large`, `not_an_image`, `unsupported`, `truncated` or `corrupt`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooManyBytes { .. } | Self::TooManyPixels { .. } | Self::TooManyScans { .. } => "too_large",
            Self::NotAnImage { .. } => "not_an_image",
            Self::Unsupported { .. } => "unsupported",
            Self::Truncated { .. } => "truncated",
            Self::Corrupt { .. } => "corrupt",
        }
    }
}

fn megapixels(pixels: u64) -> f64 {
    pixels as f64 / 1e6
}

/// Decodes one frame after another, each into the same memory.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    libjpeg: libjpeg::Libjpeg,
    picture: Picture,
    /// Pixels in a decoder's own format, on their way to `picture`.
    scratch: Vec<u8>,
}

impl Decoder {
    /// A decoder that keeps within `limits`.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let picture = Picture {
            width: 0,
            height: 0,
            frame_width: 0,
            frame_height: 0,
            orientation: Orientation::NoTransforms,
            scale: 1.0,
            origin: (0, 0),
            rgb: Vec::new(),
        };
        Self { limits, libjpeg: libjpeg::Libjpeg::new(), picture, scratch: Vec::new() }
    }

    /// Decodes an image of any known format, the first frame of an animated one.
    ///
    /// Alpha is dropped, not composited: the colours below it are kept. That is what `convert("RGB")` does in the
    /// pipelines that classifiers are trained with.
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes, or which limit they exceed. The decoder is as good as new afterwards.
    pub fn decode(&mut self, bytes: &[u8], need: &Need) -> Result<&Picture, DecodeError> {
        if bytes.is_empty() {
            return Err(DecodeError::Empty);
        }
        if bytes.len() > self.limits.max_bytes {
            return Err(DecodeError::TooManyBytes { bytes: bytes.len(), max_bytes: self.limits.max_bytes });
        }
        let format = sniff(bytes).ok_or_else(|| DecodeError::NotAnImage { found: describe(bytes) })?;
        match format {
            Format::Jpeg => {
                jpeg::decode(&mut self.libjpeg, bytes, need, self.limits, &mut self.picture, &mut self.scratch)?;
            }
            _ => raster::decode(format, bytes, self.limits, &mut self.picture, &mut self.scratch)?,
        }
        Ok(&self.picture)
    }

    /// What was decoded last; nothing good after an error.
    #[must_use]
    pub fn picture(&self) -> &Picture {
        &self.picture
    }
}

/// Makes a buffer `len` long without regard to what it holds, and gives memory back that a much larger frame left.
fn resize_buffer(buffer: &mut Vec<u8>, len: usize) {
    /// Room that is kept whatever the frame's size: a 1080p frame.
    const KEEP: usize = 1920 * 1080 * 3;
    if buffer.capacity() > KEEP && buffer.capacity() / 4 > len {
        *buffer = Vec::new();
    }
    buffer.resize(len, 0);
}
