//! Rotation by any angle.

use image::{Rgb, RgbImage};

/// The picture turned about its centre, clockwise for positive angles in degrees, at the same size. Interpolated bicubically
/// (Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981); what lay outside is black.
pub(super) fn rotate(picture: &RgbImage, degrees: f64) -> RgbImage {
    let (sine, cosine) = libm::sincos(degrees.to_radians());
    let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        // Pixels are squares: the centre of the first is at a half.
        let (x, y) = (f64::from(x) + 0.5 - width / 2.0, f64::from(y) + 0.5 - height / 2.0);
        let (x, y) = (x * cosine + y * sine + width / 2.0, y * cosine - x * sine + height / 2.0);
        if (0.0..width).contains(&x) && (0.0..height).contains(&y) {
            sample(picture, x - 0.5, y - 0.5)
        } else {
            Rgb([0; 3])
        }
    })
}

/// The colour between the pixels around a point, with pixels beyond the edge as those at it.
fn sample(picture: &RgbImage, x: f64, y: f64) -> Rgb<u8> {
    let (left, top) = (x.floor(), y.floor());
    let (across, down) = (weights(x - left), weights(y - top));
    let mut sums = [0.0; 3];
    for (row, down) in (-1..).zip(down) {
        for (column, across) in (-1..).zip(across) {
            let near = picture
                .get_pixel(within(left as i64 + column, picture.width()), within(top as i64 + row, picture.height()));
            for (sum, &value) in sums.iter_mut().zip(&near.0) {
                *sum += down * across * f64::from(value);
            }
        }
    }
    Rgb(sums.map(|sum| sum.round().clamp(0.0, 255.0) as u8))
}

fn within(position: i64, size: u32) -> u32 {
    position.clamp(0, i64::from(size) - 1) as u32
}

/// The weights of the four pixels around a point, `t` of the way from the second to the third; they add up to 1.
fn weights(t: f64) -> [f64; 4] {
    let (t2, t3) = (t * t, t * t * t);
    [-t3 + 2.0 * t2 - t, 3.0 * t3 - 5.0 * t2 + 2.0, -3.0 * t3 + 4.0 * t2 + t, t3 - t2].map(|weight| weight / 2.0)
}
