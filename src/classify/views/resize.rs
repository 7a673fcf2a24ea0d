//! Resizing, in Pillow's order of steps.

use fast_image_resize::pixels::{InnerPixel as _, U8x3};

use super::convolve::{self, Kept, Rows, Side};
use super::{Interpolation, ViewError, not_decoded};
use crate::frame::decode::{Area, Picture};

/// Bytes of a pixel.
const PIXEL: usize = 3;

/// What is to become of which part of a picture. Areas are in the picture's pixels.
pub(super) struct Job {
    /// What is resized; within the picture.
    pub(super) source: Area,
    /// Where the picture ends for the kernel; may lie beyond what was decoded of it.
    pub(super) edges: Area,
    pub(super) kernel: Interpolation,
    /// Width of the result, in pixels.
    pub(super) width: u32,
    /// Height of the result, in pixels.
    pub(super) height: u32,
}

/// Resizes pictures, one after another, in the same memory.
#[derive(Debug, Default)]
pub(super) struct Resampler {
    across: Kept,
    down: Kept,
    /// The picture after the first pass.
    between: Vec<u8>,
}

impl Resampler {
    /// Resizes as `job` says, into `out`.
    ///
    /// Both passes round to bytes, so the order leaves a trace: one sample in five differs by one step, and a network's
    /// probabilities by up to 0.06. Pillow resizes rows before columns, and so does this; the other way about if
    /// `columns_first`, for a picture that lies on its side.
    pub(super) fn resize(
        &mut self,
        picture: &Picture,
        job: &Job,
        columns_first: bool,
        out: &mut Vec<U8x3>,
    ) -> Result<(), ViewError> {
        let stride = picture.width as usize * PIXEL;
        if picture.rgb.len() < stride * picture.height as usize {
            return Err(not_decoded(job.source, picture));
        }
        let edges = job.edges.grown(0.0, Area::whole(picture.width, picture.height));
        // Of a reduced picture, pixels that lie across the edge count as within.
        let (left, right) = covered(edges.x, edges.w, picture.width);
        let (mut top, mut bottom) = covered(edges.y, edges.h, picture.height);
        if !columns_first {
            // Only the rows that the second pass will read.
            let reach = convolve::reach(job.kernel) * (job.source.h / f64::from(job.height)).max(1.0) + 1.0;
            let rows = job.source.grown(reach, edges);
            let (first, last) = covered(rows.y, rows.h, picture.height);
            (top, bottom) = (first.max(top), last.min(bottom));
        }
        let (columns, rows) = (right - left, bottom - top);
        // Rounding: the source may stick out of the edges by the last digit.
        let source = Area { x: job.source.x - f64::from(left), y: job.source.y - f64::from(top), ..job.source }
            .grown(0.0, Area::whole(columns, rows));
        let side = |length: u32, start: f64, shown: f64, result: u32| {
            let (length, result) = (length as usize, result as usize);
            Side { length, start, shown, result, kernel: job.kernel }
        };
        let across = self.across.prepare(&side(columns, source.x, source.w, job.width));
        let down = self.down.prepare(&side(rows, source.y, source.h, job.height));

        let (columns, rows) = (columns as usize, rows as usize);
        let (width, height) = (job.width as usize, job.height as usize);
        let bytes = &picture.rgb[top as usize * stride + left as usize * PIXEL..];
        let part = Rows { bytes, stride, count: rows };
        out.resize(width * height, U8x3::new([0; 3]));
        let out = U8x3::components_mut(out);
        if columns_first {
            self.between.resize(columns * PIXEL * height, 0);
            convolve::along_columns(down, part, columns * PIXEL, &mut self.between);
            let between = Rows { bytes: &self.between, stride: columns * PIXEL, count: height };
            convolve::along_rows(across, between, out);
        } else {
            self.between.resize(width * PIXEL * rows, 0);
            convolve::along_rows(across, part, &mut self.between);
            let between = Rows { bytes: &self.between, stride: width * PIXEL, count: rows };
            convolve::along_columns(down, between, width * PIXEL, out);
        }
        Ok(())
    }
}

/// The whole pixels that a range covers, of `size`: first, and one after the last; at least one.
fn covered(start: f64, length: f64, size: u32) -> (u32, u32) {
    let first = (start.floor() as u32).min(size.saturating_sub(1));
    let end = ((start + length).ceil() as u32).clamp(first + 1, size.max(first + 1));
    (first, end)
}
