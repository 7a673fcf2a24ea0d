//! Small pictures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::{RgbImage, imageops};
use mozjpeg::{ColorSpace, Compress};

/// The longer side, in pixels.
const SIDE: u32 = 96;
const QUALITY: f32 = 70.0;

/// A small JPEG of a picture, in base64.
pub(super) fn of(picture: &RgbImage) -> std::io::Result<String> {
    let longer = picture.width().max(picture.height()).max(1);
    let side = |length: u32| (u64::from(length) * u64::from(SIDE.min(longer)) / u64::from(longer)).max(1) as u32;
    let small = imageops::thumbnail(picture, side(picture.width()), side(picture.height()));
    let mut jpeg = Compress::new(ColorSpace::JCS_RGB);
    jpeg.set_size(small.width() as usize, small.height() as usize);
    jpeg.set_quality(QUALITY);
    let mut started = jpeg.start_compress(Vec::new())?;
    started.write_scanlines(small.as_raw())?;
    Ok(STANDARD.encode(started.finish()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_side_has_96_pixels_at_most() {
        for (size, expected) in [((640, 480), (96, 72)), ((10, 2000), (1, 96)), ((30, 20), (30, 20))] {
            let jpeg = STANDARD.decode(of(&RgbImage::new(size.0, size.1)).unwrap()).unwrap();
            let limits = crate::frame::decode::Limits { max_bytes: 1 << 20, max_pixels: 1 << 20 };
            assert_eq!(crate::eval::run::decode(&jpeg, limits).unwrap().dimensions(), expected);
        }
    }
}
