//! Views: from a decoded frame to the floats that a model wants.
//!
//! A view is an area of the upright frame, resized to the model's input, turned upright, normalised and laid out. The
//! area may have fractions of pixels: so one resize gives what the usual pipeline gets by resizing the whole frame and
//! cutting the middle out of it, at the cost of the middle alone.

mod resize;
#[cfg(test)]
mod tests;

use fast_image_resize::ResizeError;
use fast_image_resize::pixels::U8x3;

use super::dhash::PictureHash;
use crate::config::Crop;
use crate::frame::decode::{Area, Need, Picture, Turn};
use crate::model::{CropMode, InputSpec, Interpolation, Layout};

/// A frame is decoded with at least this many pixels for one of the resized frame.
///
/// A reduced decode cuts high frequencies off more sharply than the resize does; the more pixels the resize still has to
/// average, the nearer the view is to that of the full decode. Mean absolute differences from Pillow, in steps of 255,
/// over noisy frames of 1920×1080: 1.1 with 1.05 pixels for one, 0.3 with 2.1, and 0.002 without a reduced decode.
const OVERSAMPLE: f32 = 1.5;

impl InputSpec {
    /// What has to be decoded of a frame for the centre view of it, or of a crop of it.
    #[must_use]
    pub fn need(&self, crop: Option<Crop>) -> Need {
        // The kernel's reach on either side in resized pixels, and one for rounding the offset.
        const MARGIN: u32 = 3;
        let target = match self.crop {
            CropMode::Center => self.resize,
            CropMode::Squash => self.width.max(self.height),
        };
        let [target, width, height] = [target, self.width + 2 * MARGIN, self.height + 2 * MARGIN].map(|n| n as f32);
        let short_side = (target * OVERSAMPLE) as u32;
        let middle = match self.crop {
            CropMode::Center => Some((width / target, height / target)),
            CropMode::Squash => None,
        };
        Need { crop, short_side, middle }
    }

    /// Number of floats in one view.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a view is never empty")]
    pub fn len(&self) -> usize {
        3 * self.width as usize * self.height as usize
    }

    /// The area of the upright frame that becomes the centre view of `crop`.
    fn center_of(&self, crop: Area) -> Result<Area, ViewError> {
        if self.crop == CropMode::Squash {
            return Ok(crop);
        }
        if self.resize < self.width.max(self.height) {
            let Self { resize, width, height, .. } = *self;
            return Err(ViewError::ResizeTooSmall { resize, width, height });
        }
        // To the rounding as it is done with Pillow: the long side is rounded, the offset cut. (torchvision cuts the one
        // and rounds the other. It moves the view by up to a pixel, and some pictures' scores by several points.)
        let short = crop.short_side();
        let resized = |side: f64| (f64::from(self.resize) * side / short).round_ties_even();
        let along = |start: f64, side: f64, view: u32| {
            let resized = resized(side);
            let step = side / resized;
            let offset = ((resized - f64::from(view)) / 2.0).floor();
            (start + offset * step, f64::from(view) * step)
        };
        let (x, w) = along(crop.x, crop.w, self.width);
        let (y, h) = along(crop.y, crop.h, self.height);
        Ok(Area { x, y, w, h })
    }
}

/// Why a view could not be made.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ViewError {
    /// The slice given for a view is not of the view's size.
    #[error("a view has {expected} floats, but there is room for {found}")]
    WrongLength {
        /// Floats in a view.
        expected: usize,
        /// Floats in the slice.
        found: usize,
    },
    /// The specification wants a centre larger than what it is cut from.
    #[error("resize = {resize} is less than the view of {width}x{height}")]
    ResizeTooSmall {
        /// Length of the resized short side.
        resize: u32,
        /// Width of the view.
        width: u32,
        /// Height of the view.
        height: u32,
    },
    /// The picture was decoded for something else, and lacks a part of the view.
    #[error("the decoded part of the frame, {width}x{height} pixels, does not hold {area:?}")]
    NotDecoded {
        /// Width of the decoded part.
        width: u32,
        /// Height of the decoded part.
        height: u32,
        /// Where the view would be in it.
        area: Area,
    },
    /// The resize refused its arguments.
    #[error("cannot resize: {0}")]
    Resize(#[from] ResizeError),
}

/// Makes views, one after another, in the same memory.
#[derive(Debug, Default)]
pub struct ViewMaker {
    resampler: resize::Resampler,
    /// The view before it is turned upright.
    small: Vec<U8x3>,
    /// The view after it is turned upright, if it has to be.
    turned: Vec<U8x3>,
    /// The width of the view that was made last, and whether it had to be turned.
    last: (usize, bool),
    /// For each channel, the float of each of its 256 values.
    table: Table,
}

impl ViewMaker {
    /// A view maker that uses the processor's vector instructions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes the centre view of a frame, or of a crop of it, into `out`, which has [`InputSpec::len`] floats.
    ///
    /// It is what resizing with Pillow, cropping the centre and normalising make of a frame, to one step of the
    /// 255 in one sample of a hundred, where the picture was decoded at its full size; see [`InputSpec::need`] for where
    /// it was not. A frame smaller than the view is enlarged.
    ///
    /// # Errors
    ///
    /// If the specification contradicts itself, `out` has another length, or `picture` was decoded with a [`Need`] that
    /// does not hold this view.
    pub fn center(
        &mut self,
        picture: &Picture,
        crop: Option<Crop>,
        spec: &InputSpec,
        out: &mut [f32],
    ) -> Result<(), ViewError> {
        let crop = Area::of_crop(crop, picture.frame_width, picture.frame_height);
        self.view(picture, crop, spec.center_of(crop)?, spec, out)
    }

    /// Writes the view of an area of the upright frame. Pixels outside `crop` do not exist for it.
    fn view(
        &mut self,
        picture: &Picture,
        crop: Area,
        area: Area,
        spec: &InputSpec,
        out: &mut [f32],
    ) -> Result<(), ViewError> {
        if out.len() != spec.len() {
            return Err(ViewError::WrongLength { expected: spec.len(), found: out.len() });
        }
        // Everything until here is upright; the pixels are as they were stored. It is cheaper to turn the small picture.
        let turn = Turn::of(picture.orientation);
        let (width, height) = turn.size(spec.width, spec.height);
        let source = within(picture.locate(area), picture)?;
        let job = resize::Job { source, edges: picture.locate(crop), kernel: spec.interpolation, width, height };
        self.resampler.resize(picture, &job, turn.swap, &mut self.small)?;
        self.last = (spec.width as usize, turn != Turn::NONE);
        if turn != Turn::NONE {
            turn_pixels(turn, width as usize, height as usize, &self.small, &mut self.turned);
        }
        self.table.prepare(spec);
        self.table.write(self.upright(), spec.layout, out);
        Ok(())
    }

    /// The view that was made last.
    fn upright(&self) -> &[U8x3] {
        if self.last.1 { &self.turned } else { &self.small }
    }

    /// The hash of the view that was made last: of what the network saw, and of nothing beside it.
    #[must_use]
    pub fn hash(&self) -> PictureHash {
        PictureHash::of(self.upright(), self.last.0)
    }
}

/// The area, if the picture holds it; rounding errors at the picture's edges are taken off.
fn within(area: Area, picture: &Picture) -> Result<Area, ViewError> {
    const ROUNDING: f64 = 1e-6;
    let inside = area.grown(0.0, Area::whole(picture.width, picture.height));
    let near = |a: f64, b: f64| (a - b).abs() < ROUNDING;
    if near(inside.x, area.x) && near(inside.y, area.y) && near(inside.w, area.w) && near(inside.h, area.h) {
        Ok(inside)
    } else {
        Err(not_decoded(area, picture))
    }
}

fn not_decoded(area: Area, picture: &Picture) -> ViewError {
    ViewError::NotDecoded { width: picture.width, height: picture.height, area }
}

/// Turns a stored picture of `width` × `height` upright.
fn turn_pixels(turn: Turn, width: usize, height: usize, stored: &[U8x3], upright: &mut Vec<U8x3>) {
    upright.clear();
    let (columns, rows) = if turn.swap { (height, width) } else { (width, height) };
    for y in 0..rows {
        upright.extend((0..columns).map(|x| {
            let (x, y) = if turn.swap { (y, x) } else { (x, y) };
            let x = if turn.flip_x { width - 1 - x } else { x };
            let y = if turn.flip_y { height - 1 - y } else { y };
            stored[y * width + x]
        }));
    }
}

/// The normalised float of every value of every channel, for one specification.
///
/// Looking up beats computing here (40 against 55 µs for 224×224): bytes that lie three by three are expensive to bring
/// into vector registers. And it divides exactly as NumPy does.
#[derive(Debug)]
struct Table {
    made_for: Option<([f32; 3], [f32; 3])>,
    floats: [[f32; 256]; 3],
}

impl Default for Table {
    fn default() -> Self {
        Self { made_for: None, floats: [[0.0; 256]; 3] }
    }
}

impl Table {
    fn prepare(&mut self, spec: &InputSpec) {
        if self.made_for == Some((spec.mean, spec.std)) {
            return;
        }
        for ((floats, mean), std) in self.floats.iter_mut().zip(spec.mean).zip(spec.std) {
            for (float, value) in floats.iter_mut().zip(0..=255_u8) {
                *float = (f32::from(value) - mean) / std;
            }
        }
        self.made_for = Some((spec.mean, spec.std));
    }

    fn write(&self, pixels: &[U8x3], layout: Layout, out: &mut [f32]) {
        let [red, green, blue] = &self.floats;
        match layout {
            // A pass for each channel takes 40 µs, one pass that writes to three places 70.
            Layout::Nchw => {
                let planes = out.chunks_exact_mut(pixels.len());
                for ((channel, table), plane) in self.floats.iter().enumerate().zip(planes) {
                    for (pixel, out) in pixels.iter().zip(plane) {
                        *out = table[usize::from(pixel.0[channel])];
                    }
                }
            }
            Layout::Nhwc => {
                for (pixel, out) in pixels.iter().zip(out.as_chunks_mut::<3>().0) {
                    let [r, g, b] = pixel.0.map(usize::from);
                    *out = [red[r], green[g], blue[b]];
                }
            }
        }
    }
}
