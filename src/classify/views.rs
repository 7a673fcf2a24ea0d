//! Views: from a decoded frame to the floats that a model wants.
//!
//! A view is an area of the upright frame, resized to the model's input, turned upright, normalised and laid out. The
//! area may have fractions of pixels: so one resize gives what the usual pipeline gets by resizing the whole frame and
//! cutting the middle out of it, at the cost of the middle alone.

mod canvas;
mod convolve;
mod repair;
mod resize;
mod set;
#[cfg(test)]
mod tests;
mod view;

pub use repair::Repair;
pub(super) use repair::range as brightness_range;
pub use set::Views;
pub use view::{Framing, OVERSAMPLE, View};

use fast_image_resize::pixels::U8x3;

use super::dhash::PictureHash;
use crate::config::Crop;
use crate::frame::decode::{Area, Picture, Turn};
use crate::model::{InputSpec, Interpolation, Layout};

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
}

/// Makes views, one after another, in the same memory.
#[derive(Debug, Default)]
pub struct ViewMaker {
    resampler: resize::Resampler,
    /// The view before it is turned upright.
    small: Vec<U8x3>,
    /// The view after it is turned upright, if it has to be.
    turned: Vec<U8x3>,
    /// The view after it is rotated, mirrored or set into a larger one, if it has to be.
    canvas: Vec<U8x3>,
    repairer: repair::Repairer,
    /// Where the view that was made last lies, and its width.
    last: (Buffer, usize),
    /// For each channel, the float of each of its 256 values.
    table: Table,
}

impl ViewMaker {
    /// A view maker that uses the processor's vector instructions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a view of a frame, or of a crop of it, into `out`, which has [`InputSpec::len`] floats.
    ///
    /// The centre view is what resizing with Pillow, cropping the centre and normalising make of a frame, to one step of the
    /// 255 in one sample of a hundred, where the picture was decoded at its full size; see [`InputSpec::need`] for where
    /// it was not. A frame smaller than the view is enlarged.
    ///
    /// # Errors
    ///
    /// If the specification contradicts itself, `out` has another length, or `picture` was decoded with a [`Need`] that
    /// does not hold this view.
    ///
    /// [`Need`]: crate::frame::decode::Need
    pub fn make(
        &mut self,
        picture: &Picture,
        crop: Option<Crop>,
        spec: &InputSpec,
        view: &View,
        out: &mut [f32],
    ) -> Result<(), ViewError> {
        if out.len() != spec.len() {
            return Err(ViewError::WrongLength { expected: spec.len(), found: out.len() });
        }
        let crop = Area::of_crop(crop, picture.frame_width, picture.frame_height);
        let plan = view.plan(crop, spec)?;
        // Everything until here is upright; the pixels are as they were stored. It is cheaper to turn the small picture.
        let turn = Turn::of(picture.orientation);
        let (width, height) = turn.size(plan.width, plan.height);
        let source = within(picture.locate(plan.area), picture)?;
        // Pixels outside `crop` do not exist for the view.
        let job = resize::Job { source, edges: picture.locate(crop), kernel: spec.interpolation, width, height };
        self.resampler.resize(picture, &job, turn.swap, &mut self.small)?;
        self.last = (Buffer::Small, spec.width as usize);
        let mut upright = &mut self.small;
        if turn != Turn::NONE {
            turn_pixels(turn, width as usize, height as usize, &self.small, &mut self.turned);
            self.last.0 = Buffer::Turned;
            upright = &mut self.turned;
        }
        self.repairer.apply(view.repair, upright, plan.width as usize);
        if view.mirrored || view.turned != 0.0 || (plan.width, plan.height) != (spec.width, spec.height) {
            let from = canvas::Part { pixels: upright, width: plan.width as usize, height: plan.height as usize };
            canvas::compose(&from, view, spec, &mut self.canvas);
            self.last.0 = Buffer::Canvas;
        }
        self.table.prepare(spec);
        self.table.write(self.last().0, spec.layout, out);
        Ok(())
    }

    /// The pixels of the view that was made last, and how many there are in a row.
    #[must_use]
    pub fn last(&self) -> (&[U8x3], usize) {
        let pixels = match self.last.0 {
            Buffer::Small => &self.small,
            Buffer::Turned => &self.turned,
            Buffer::Canvas => &self.canvas,
        };
        (pixels, self.last.1)
    }

    /// The hash of the view that was made last: of what the network saw, and of nothing beside it.
    #[must_use]
    pub fn hash(&self) -> PictureHash {
        let (pixels, width) = self.last();
        PictureHash::of(pixels, width)
    }
}

/// Where a view lies.
#[derive(Clone, Copy, Debug, Default)]
enum Buffer {
    #[default]
    Small,
    Turned,
    Canvas,
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
        upright.extend((0..columns).map(|x| stored[turn.stored_index(x, y, (width, height))]));
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
