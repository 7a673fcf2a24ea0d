//! To JPEG and back.

use image::RgbImage;

use super::filters::same_size;
use crate::frame::decode::{Decoder, Limits, Need};
use crate::frame::jpeg::encode;

/// The picture as a camera's JPEG of that quality has it, 4:2:0.
pub(super) fn round_trip(picture: &RgbImage, quality: f32) -> RgbImage {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let bytes = encode(picture.as_raw(), width, height, quality).expect("memory is all that a JPEG needs");
    let mut decoder = Decoder::new(Limits { max_bytes: usize::MAX, max_pixels: u64::MAX });
    let decoded = decoder.decode(&bytes, &Need::EVERYTHING).expect("what was encoded can be decoded");
    same_size(picture, decoded.rgb.clone())
}
