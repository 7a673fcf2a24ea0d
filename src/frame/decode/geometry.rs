//! Where things are: crops, EXIF orientation, and the parts of a frame that the next step will look at.

use crate::config::Crop;

pub use image::metadata::Orientation;

/// A rectangle in pixels. Fractions of a pixel are meant: areas come from scaling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    /// Distance of the left edge from the picture's left edge.
    pub x: f64,
    /// Distance of the top edge from the picture's top edge.
    pub y: f64,
    /// Width.
    pub w: f64,
    /// Height.
    pub h: f64,
}

impl Area {
    /// The whole of a picture.
    #[must_use]
    pub fn whole(width: u32, height: u32) -> Self {
        Self { x: 0.0, y: 0.0, w: f64::from(width), h: f64::from(height) }
    }

    /// The part of a `width` × `height` frame that `crop` names, in whole pixels as `PIL.Image.crop` would want them,
    /// and at least one of them; the whole frame without a crop.
    #[must_use]
    pub fn of_crop(crop: Option<Crop>, width: u32, height: u32) -> Self {
        let Some(crop) = crop else { return Self::whole(width, height) };
        let (x, w) = whole_pixels(crop.x, crop.w, width);
        let (y, h) = whole_pixels(crop.y, crop.h, height);
        Self { x, y, w, h }
    }

    /// The same area in the picture as it is stored, given the size of the picture as it is stored.
    #[must_use]
    pub fn to_stored(self, orientation: Orientation, stored_width: u32, stored_height: u32) -> Self {
        let turn = Turn::of(orientation);
        let Self { x, y, w, h } = self;
        let (x, y, w, h) = if turn.swap { (y, x, h, w) } else { (x, y, w, h) };
        Self {
            x: if turn.flip_x { f64::from(stored_width) - x - w } else { x },
            y: if turn.flip_y { f64::from(stored_height) - y - h } else { y },
            w,
            h,
        }
    }

    /// This area with `margin` pixels more on each side, as far as it lies within `limits`.
    #[must_use]
    pub fn grown(self, margin: f64, limits: Self) -> Self {
        let left = (self.x - margin).max(limits.x);
        let top = (self.y - margin).max(limits.y);
        let right = (self.x + self.w + margin).min(limits.x + limits.w);
        let bottom = (self.y + self.h + margin).min(limits.y + limits.h);
        Self { x: left, y: top, w: right - left, h: bottom - top }
    }

    /// The shorter of the two sides.
    #[must_use]
    pub fn short_side(self) -> f64 {
        self.w.min(self.h)
    }
}

/// The whole pixels nearest to a range given in fractions of `size`: start and length, the latter at least 1.
fn whole_pixels(start: f32, length: f32, size: u32) -> (f64, f64) {
    let size = f64::from(size);
    // `config` has checked the fractions; a NaN that got here all the same becomes 0 by `max`.
    let first = (f64::from(start) * size).round().max(0.0).min(size - 1.0);
    let end = (f64::from(start) * size + f64::from(length) * size).round().max(first + 1.0).min(size);
    (first, end - first)
}

/// An orientation as steps that are easy to apply: the upright pixel (x, y) is the stored pixel (x, y), or (y, x) if
/// `swap`, with the stored x counted from the right if `flip_x`, and the stored y from the bottom if `flip_y`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Rows of the upright picture are columns of the stored one.
    pub swap: bool,
    /// The stored picture's columns are counted from the right.
    pub flip_x: bool,
    /// The stored picture's rows are counted from the bottom.
    pub flip_y: bool,
}

impl Turn {
    /// Nothing to do.
    pub const NONE: Self = Self { swap: false, flip_x: false, flip_y: false };

    /// The steps for an orientation, after the table of EXIF 2.3, tag 0x0112.
    #[must_use]
    pub fn of(orientation: Orientation) -> Self {
        let (swap, flip_x, flip_y) = match orientation {
            Orientation::NoTransforms => (false, false, false),
            Orientation::FlipHorizontal => (false, true, false),
            Orientation::Rotate180 => (false, true, true),
            Orientation::FlipVertical => (false, false, true),
            Orientation::Rotate90FlipH => (true, false, false),
            Orientation::Rotate90 => (true, false, true),
            Orientation::Rotate270FlipH => (true, true, true),
            Orientation::Rotate270 => (true, true, false),
        };
        Self { swap, flip_x, flip_y }
    }

    /// Where the upright pixel (x, y) is in the stored picture of this width and height, counted row by row.
    #[must_use]
    pub fn stored_index(self, x: usize, y: usize, (width, height): (usize, usize)) -> usize {
        let (x, y) = if self.swap { (y, x) } else { (x, y) };
        let x = if self.flip_x { width - 1 - x } else { x };
        let y = if self.flip_y { height - 1 - y } else { y };
        y * width + x
    }

    /// Width and height after turning.
    #[must_use]
    pub fn size(self, width: u32, height: u32) -> (u32, u32) {
        if self.swap { (height, width) } else { (width, height) }
    }
}
