//! Resizing, in Pillow's order of steps on SIMD code.

use fast_image_resize as fir;
use fir::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fir::pixels::U8x3;

use super::{Interpolation, ViewError, not_decoded};
use crate::frame::decode::{Area, Picture};

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
    resizer: fir::Resizer,
    /// Rows of the result's width, of which there are still as many as in the picture.
    narrow: Vec<U8x3>,
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
        let refused = |_| not_decoded(job.source, picture);
        let all = TypedImageRef::<U8x3>::from_buffer(picture.width, picture.height, &picture.rgb)
            .map_err(|_| not_decoded(job.source, picture))?;
        let edges = job.edges.grown(0.0, Area::whole(picture.width, picture.height));
        // Of a reduced picture, pixels that lie across the edge count as within.
        let (left, right) = covered(edges.x, edges.w, picture.width);
        let (mut top, mut bottom) = covered(edges.y, edges.h, picture.height);
        let (reach, filter) = match job.kernel {
            Interpolation::Bicubic => (2.0, fir::FilterType::CatmullRom),
            Interpolation::Bilinear => (1.0, fir::FilterType::Bilinear),
        };
        if !columns_first {
            // Only the rows that the second pass will read.
            let reach = reach * (job.source.h / f64::from(job.height)).max(1.0) + 1.0;
            let rows = job.source.grown(reach, edges);
            let (first, last) = covered(rows.y, rows.h, picture.height);
            (top, bottom) = (first.max(top), last.min(bottom));
        }
        let (columns, rows) = (right - left, bottom - top);
        let part = TypedCroppedImage::from_ref(&all, left, top, columns, rows).map_err(refused)?;
        // Rounding: the source may stick out of the edges by the last digit.
        let source = Area { x: job.source.x - f64::from(left), y: job.source.y - f64::from(top), ..job.source }
            .grown(0.0, Area::whole(columns, rows));
        let options = fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(filter));

        let black = U8x3::new([0; 3]);
        out.resize(job.width as usize * job.height as usize, black);
        let mut out =
            TypedImage::from_pixels_slice(job.width, job.height, out).map_err(|_| not_decoded(source, picture))?;
        if columns_first {
            // That is the resizer's own order.
            let options = options.crop(source.x, source.y, source.w, source.h);
            return Ok(self.resizer.resize_typed(&part, &mut out, &options)?);
        }
        self.narrow.resize(job.width as usize * rows as usize, black);
        let mut narrow = TypedImage::from_pixels_slice(job.width, rows, &mut self.narrow)
            .map_err(|_| not_decoded(source, picture))?;
        self.resizer.resize_typed(&part, &mut narrow, &options.crop(source.x, 0.0, source.w, f64::from(rows)))?;
        let options = options.crop(0.0, source.y, f64::from(job.width), source.h);
        Ok(self.resizer.resize_typed(&narrow, &mut out, &options)?)
    }
}

/// The whole pixels that a range covers, of `size`: first, and one after the last; at least one.
fn covered(start: f64, length: f64, size: u32) -> (u32, u32) {
    let first = (start.floor() as u32).min(size.saturating_sub(1));
    let end = ((start + length).ceil() as u32).clamp(first + 1, size.max(first + 1));
    (first, end)
}
