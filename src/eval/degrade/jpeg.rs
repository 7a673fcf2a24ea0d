//! To JPEG and back.

use image::RgbImage;
use mozjpeg::{ColorSpace, Compress};

use super::filters::same_size;
use crate::frame::decode::{Decoder, Limits, Need};

/// The picture as a camera's JPEG of that quality has it, 4:2:0.
pub(super) fn round_trip(picture: &RgbImage, quality: f32) -> RgbImage {
    let bytes = encode(picture, quality).expect("memory is all that a JPEG needs");
    let mut decoder = Decoder::new(Limits { max_bytes: usize::MAX, max_pixels: u64::MAX });
    let decoded = decoder.decode(&bytes, &Need::EVERYTHING).expect("what was encoded can be decoded");
    same_size(picture, decoded.rgb.clone())
}

fn encode(picture: &RgbImage, quality: f32) -> std::io::Result<Vec<u8>> {
    let mut jpeg = Compress::new(ColorSpace::JCS_RGB);
    // The other defaults search for the best bits in floating point, with other results on other processors.
    jpeg.set_fastest_defaults();
    jpeg.set_size(picture.width() as usize, picture.height() as usize);
    jpeg.set_quality(quality);
    jpeg.set_chroma_sampling_pixel_sizes((2, 2), (2, 2));
    let mut started = jpeg.start_compress(Vec::new())?;
    started.write_scanlines(picture.as_raw())?;
    started.finish()
}
