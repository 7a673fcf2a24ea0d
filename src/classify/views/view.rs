//! What a view shows of a frame, and where that lies.

use std::fmt;

use super::{Repair, ViewError};
use crate::config::Crop;
use crate::frame::decode::{Area, Need};
use crate::model::{CropMode, InputSpec};

/// One way to look at a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct View {
    /// Which part of the frame, and how large.
    pub framing: Framing,
    /// Left and right are swapped.
    pub mirrored: bool,
    /// The frame is turned anticlockwise by so many degrees about its middle.
    pub turned: f32,
    /// What is done to its pixels.
    pub repair: Repair,
}

/// Which part of a frame a view shows, and how large.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Framing {
    /// The middle, at this multiple of the scale that the model's description asks for. Where the frame is then smaller than
    /// the view, the model's mean colour surrounds it.
    Middle(f32),
    /// A corner of the frame.
    Corner {
        /// Multiple of the scale that the model's description asks for, at least 1.
        scale: f32,
        /// The right one of two.
        right: bool,
        /// The lower one of two.
        bottom: bool,
    },
    /// The whole frame, squeezed into the view's shape.
    Squashed,
}

impl Default for Framing {
    fn default() -> Self {
        Self::Middle(1.0)
    }
}

/// In words, with commas between.
impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scaled = |f: &mut fmt::Formatter<'_>, scale: f32| match scale {
            1.0 => Ok(()),
            scale => write!(f, ", scale {scale}"),
        };
        match self.framing {
            Framing::Middle(scale) => {
                f.write_str("centre")?;
                scaled(f, scale)?;
            }
            Framing::Corner { scale, right, bottom } => {
                let (row, column) = (if bottom { "lower" } else { "upper" }, if right { "right" } else { "left" });
                write!(f, "{row} {column}")?;
                scaled(f, scale)?;
            }
            Framing::Squashed => f.write_str("squeezed")?,
        }
        if self.turned != 0.0 {
            write!(f, ", turned {}°", self.turned)?;
        }
        if self.mirrored {
            f.write_str(", mirrored")?;
        }
        f.write_str(match self.repair {
            Repair::None => "",
            Repair::Sharpen { .. } => ", sharpened",
            Repair::Restore { .. } => ", deblurred",
            Repair::Contrast => ", brightened",
            Repair::ContrastDenoised => ", brightened, colours denoised",
        })
    }
}

/// A frame is decoded with at least this many pixels for one of the resized frame, unless something else is asked for.
///
/// A reduced decode cuts high frequencies off more sharply than the resize does; the more pixels the resize still has to
/// average, the nearer the view is to that of the full decode. Mean absolute differences from that, in steps of 255, of a
/// noisy frame of 1920×1080: 0.7 with 1.05 pixels for one, and 0.24 with 2.1. That of the full decode is 0.002 from Pillow's.
pub const OVERSAMPLE: f32 = 1.5;

/// Where the pixels of a view come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    /// The area of the upright frame.
    pub(super) area: Area,
    /// Pixels that it is resized to.
    pub(super) width: u32,
    pub(super) height: u32,
}

impl View {
    /// The centre view, as the model's description has it.
    pub const CENTER: Self = Self { framing: Framing::Middle(1.0), mirrored: false, turned: 0.0, repair: Repair::None };

    /// The middle at a multiple of the model's scale.
    #[must_use]
    pub const fn middle(scale: f32) -> Self {
        Self { framing: Framing::Middle(scale), ..Self::CENTER }
    }

    /// This view, repaired.
    #[must_use]
    pub const fn repaired(self, repair: Repair) -> Self {
        Self { repair, ..self }
    }

    /// This view, turned anticlockwise by so many degrees.
    #[must_use]
    pub const fn turned(self, degrees: f32) -> Self {
        Self { turned: degrees, ..self }
    }

    /// This view, mirrored.
    #[must_use]
    pub const fn mirrored(self) -> Self {
        Self { mirrored: !self.mirrored, ..self }
    }

    /// Length of the frame's short side in pixels of this view.
    fn short_side(&self, spec: &InputSpec) -> u32 {
        let target = match (self.framing, spec.crop) {
            (Framing::Squashed, _) => spec.width.max(spec.height),
            (Framing::Middle(scale) | Framing::Corner { scale, .. }, CropMode::Squash) => {
                scaled(spec.width.max(spec.height), scale)
            }
            (Framing::Middle(scale) | Framing::Corner { scale, .. }, CropMode::Center) => scaled(spec.resize, scale),
        };
        target.max(1)
    }

    /// Where the pixels of this view come from.
    pub(super) fn plan(&self, crop: Area, spec: &InputSpec) -> Result<Plan, ViewError> {
        let InputSpec { width, height, resize, .. } = *spec;
        if spec.crop == CropMode::Center && resize < width.max(height) {
            return Err(ViewError::ResizeTooSmall { resize, width, height });
        }
        // Turning moves the corners out of what is upright.
        let (sin, cos) = self.turned.to_radians().sin_cos();
        let (sin, cos) = (f64::from(sin.abs()), f64::from(cos.abs()));
        let around = |one: u32, other: u32| (f64::from(one) * cos + f64::from(other) * sin).ceil() as u32;
        let wanted = [around(width, height), around(height, width)];
        let resized = if self.framing == Framing::Squashed || spec.crop == CropMode::Squash {
            let scale = match self.framing {
                Framing::Middle(scale) | Framing::Corner { scale, .. } => scale,
                Framing::Squashed => 1.0,
            };
            [width, height].map(|side| f64::from(scaled(side, scale)))
        } else {
            // To the rounding as it is done with Pillow: the long side is rounded, the offset cut. (torchvision cuts the
            // one and rounds the other. It moves the view by up to a pixel, and some pictures' scores by several points.)
            let target = f64::from(self.short_side(spec));
            [crop.w, crop.h].map(|side| (target * side / crop.short_side()).round_ties_even().max(1.0))
        };
        let along = |start: f64, side: f64, resized: f64, wanted: u32, end: Option<bool>| {
            let shown = resized.min(f64::from(wanted));
            let step = side / resized;
            let offset = match end {
                None => ((resized - shown) / 2.0).floor(),
                Some(false) => 0.0,
                Some(true) => resized - shown,
            };
            (start + offset * step, shown * step, shown as u32)
        };
        let (right, bottom) = match self.framing {
            Framing::Corner { right, bottom, .. } => (Some(right), Some(bottom)),
            _ => (None, None),
        };
        let (x, w, width) = along(crop.x, crop.w, resized[0], wanted[0], right);
        let (y, h, height) = along(crop.y, crop.h, resized[1], wanted[1], bottom);
        Ok(Plan { area: Area { x, y, w, h }, width, height })
    }
}

fn scaled(side: u32, scale: f32) -> u32 {
    (side as f32 * scale).round() as u32
}

impl InputSpec {
    /// What has to be decoded of a frame for some views of it, or of a crop of it.
    #[must_use]
    pub fn need(&self, crop: Option<Crop>, views: &[View]) -> Need {
        self.need_at(crop, views, OVERSAMPLE)
    }

    /// The same, with at least `oversample` pixels of the decoded frame for one of the resized frame.
    #[must_use]
    pub fn need_at(&self, crop: Option<Crop>, views: &[View], oversample: f32) -> Need {
        // The kernel's reach on either side in resized pixels, and one for rounding the offset.
        const MARGIN: u32 = 3;
        let short_side = views.iter().map(|view| view.short_side(self)).max().unwrap_or(1) as f32;
        // The part that a view shows depends on the frame's shape, but for a middle that is cut out of it on all sides.
        let middle = |view: &View| match view.framing {
            Framing::Middle(scale) if self.crop == CropMode::Center && scale >= 1.0 && view.turned == 0.0 => {
                let target = view.short_side(self) as f32;
                Some([self.width, self.height].map(|side| (side + 2 * MARGIN) as f32 / target))
            }
            _ => None,
        };
        let middle = views.iter().map(middle).reduce(|a, b| Some([a?[0].max(b?[0]), a?[1].max(b?[1])])).flatten();
        Need { crop, short_side: (short_side * oversample) as u32, middle: middle.map(|[w, h]| (w, h)) }
    }

    /// Number of floats in one view.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a view is never empty")]
    pub fn len(&self) -> usize {
        3 * self.width as usize * self.height as usize
    }
}
