//! A view's pixels put in their place: set into a larger view, rotated, mirrored.

use fast_image_resize::pixels::U8x3;

use super::View;
use crate::model::InputSpec;

/// What was resized of a frame, upright.
pub(super) struct Part<'a> {
    pub(super) pixels: &'a [U8x3],
    pub(super) width: usize,
    pub(super) height: usize,
}

/// Puts the middle of `part` into the middle of a view; what lies beyond it has the model's mean colour.
pub(super) fn compose(part: &Part<'_>, view: &View, spec: &InputSpec, out: &mut Vec<U8x3>) {
    let (width, height) = (spec.width as usize, spec.height as usize);
    let around = U8x3::new(spec.mean.map(|mean| mean.round() as u8));
    out.clear();
    out.resize(width * height, around);
    if view.turned == 0.0 {
        // Cut at the side where the part is larger, set in where it is smaller.
        let place =
            |part: usize, view: usize| (part.saturating_sub(view) / 2, view.saturating_sub(part) / 2, part.min(view));
        let (from_x, to_x, columns) = place(part.width, width);
        let (from_y, to_y, rows) = place(part.height, height);
        for y in 0..rows {
            let from = &part.pixels[(from_y + y) * part.width + from_x..][..columns];
            out[(to_y + y) * width + to_x..][..columns].copy_from_slice(from);
        }
    } else {
        rotate(part, view.turned, width, out);
    }
    if view.mirrored {
        out.chunks_exact_mut(width).for_each(<[_]>::reverse);
    }
}

/// Rotates `part` anticlockwise about its middle, which becomes the middle of `out`; between pixels it is bilinear.
fn rotate(part: &Part<'_>, degrees: f32, width: usize, out: &mut [U8x3]) {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let middle = |size: usize| (size as f32 - 1.0) / 2.0;
    let (out_x, out_y) = (middle(width), middle(out.len() / width));
    let (part_x, part_y) = (middle(part.width), middle(part.height));
    for (y, row) in out.chunks_exact_mut(width).enumerate() {
        let dy = y as f32 - out_y;
        for (x, pixel) in row.iter_mut().enumerate() {
            let dx = x as f32 - out_x;
            // y points down: this is where the pixel was before the turn.
            if let Some(found) = part.at(part_x + cos * dx - sin * dy, part_y + sin * dx + cos * dy) {
                *pixel = found;
            }
        }
    }
}

impl Part<'_> {
    /// The colour at a point between pixels; `None` if it lies outside.
    fn at(&self, x: f32, y: f32) -> Option<U8x3> {
        let inside = |at: f32, size: usize| at > -0.5 && at < size as f32 - 0.5;
        if !inside(x, self.width) || !inside(y, self.height) {
            return None;
        }
        let (left, top) = (x.floor(), y.floor());
        let column = |at: f32| (at.max(0.0) as usize).min(self.width - 1);
        let row = |at: f32| (at.max(0.0) as usize).min(self.height - 1) * self.width;
        let corner = |dx: f32, dy: f32| self.pixels[row(top + dy) + column(left + dx)].0;
        let corners = [corner(0.0, 0.0), corner(1.0, 0.0), corner(0.0, 1.0), corner(1.0, 1.0)];
        let (right, low) = (x - left, y - top);
        let weights = [(1.0 - right) * (1.0 - low), right * (1.0 - low), (1.0 - right) * low, right * low];
        let channel =
            |c: usize| -> f32 { corners.iter().zip(weights).map(|(corner, w)| f32::from(corner[c]) * w).sum() };
        Some(U8x3::new([0, 1, 2].map(|c| (channel(c) + 0.5) as u8)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::views::tests::plain;

    /// Numbered from the top left, row by row.
    fn numbered(width: u8, height: u8) -> Vec<U8x3> {
        (0..width * height).map(|at| U8x3::new([at, at, at])).collect()
    }

    fn composed(width: u8, height: u8, view: &View, size: (u32, u32)) -> Vec<u8> {
        let pixels = numbered(width, height);
        let part = Part { pixels: &pixels, width: width.into(), height: height.into() };
        let mut spec = plain(size.0, size.1, size.0.max(size.1));
        spec.mean = [99.0; 3];
        let mut out = Vec::new();
        compose(&part, view, &spec, &mut out);
        out.iter().map(|pixel| pixel.0[0]).collect()
    }

    #[test]
    fn a_small_part_is_set_into_the_mean_colour() {
        assert_eq!(composed(2, 1, &View::CENTER, (4, 3)), [99, 99, 99, 99, 99, 0, 1, 99, 99, 99, 99, 99]);
    }

    #[test]
    fn mirrored_is_from_right_to_left() {
        assert_eq!(composed(3, 2, &View::CENTER.mirrored(), (3, 2)), [2, 1, 0, 5, 4, 3]);
    }

    #[test]
    fn turned_is_anticlockwise() {
        // The right column becomes the top row.
        assert_eq!(composed(3, 3, &View::CENTER.turned(90.0), (3, 3)), [2, 5, 8, 1, 4, 7, 0, 3, 6]);
        assert_eq!(composed(3, 3, &View::CENTER.turned(180.0), (3, 3)), [8, 7, 6, 5, 4, 3, 2, 1, 0]);
    }

    #[test]
    fn a_larger_part_leaves_no_corner_empty_when_turned() {
        assert!(!composed(15, 15, &View::CENTER.turned(20.0), (9, 9)).contains(&99));
    }
}
