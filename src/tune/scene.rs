//! A picture to measure with, where there is none from a camera.

use crate::frame::jpeg;

/// The quality of a camera's pictures.
const QUALITY: f32 = 85.0;

/// Shapes, shading and the noise of a sensor, so that it has about the bytes of a photograph of that size as a JPEG file: rows of
/// red, green and blue.
#[must_use]
pub fn scene_pixels(width: usize, height: usize) -> Vec<u8> {
    let mut seed = 1_u32;
    let mut rgb = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
            let shade = 60.0 + 70.0 * u + 40.0 * (v * 9.0 + (u * 7.0).sin()).sin();
            let edge = if ((u * 13.0).floor() + (v * 9.0).floor()) % 3.0 == 0.0 { 45.0 } else { 0.0 };
            for channel in 0..3_u8 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = f32::from((seed >> 24) as u8) / 12.0 - 10.0;
                rgb.push((shade + edge + noise + 15.0 * f32::from(channel) * v) as u8);
            }
        }
    }
    rgb
}

/// The same as a JPEG file.
///
/// # Errors
/// If libjpeg fails, which memory alone can make it do.
pub fn scene(width: usize, height: usize) -> std::io::Result<Vec<u8>> {
    jpeg::encode(&scene_pixels(width, height), width, height, QUALITY)
}
