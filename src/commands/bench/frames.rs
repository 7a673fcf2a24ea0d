//! Frames to send: photographs at the size of a camera's, as JPEG.

use std::path::Path;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use fast_image_resize as fir;
use fast_image_resize::images::{Image, ImageRef};

use super::super::{Failure, photographs};
use crate::app;
use crate::config::Config;
use crate::frame::decode::{Decoder, Need};

const QUALITY: f32 = 85.0;
/// Standard deviation of the noise that a sensor adds, of 255. A photograph that was enlarged has none of its own left,
/// and would be decoded in half the time that a camera's frame of that size takes.
const NOISE: f64 = 4.0;

/// Decoded photographs.
pub(super) struct Photographs(Vec<Photograph>);

struct Photograph {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

/// Reads and decodes the JPEGs of a folder.
pub(super) fn photographs(dir: &Path, config: &Config) -> Result<Photographs, Failure> {
    let mut decoder = Decoder::new(app::decode_limits(&config.decode));
    let decoded = photographs::read(dir)?.into_iter().map(|file| {
        let picture = decoder.decode(&file.bytes, &Need::EVERYTHING).with_context(|| file.name.clone())?;
        Ok(Photograph { width: picture.width, height: picture.height, rgb: picture.rgb.clone() })
    });
    Ok(Photographs(decoded.collect::<anyhow::Result<_>>()?))
}

impl Photographs {
    /// All of them at one size, cut to its shape, with noise.
    pub(super) fn sized(&self, size: (u32, u32)) -> Result<Vec<Bytes>, Failure> {
        let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
        Ok(self.0.iter().map(|photograph| photograph.jpeg(size, &mut noise)).collect::<anyhow::Result<_>>()?)
    }
}

impl Photograph {
    fn jpeg(&self, (width, height): (u32, u32), noise: &mut Noise) -> anyhow::Result<Bytes> {
        let source = ImageRef::new(self.width, self.height, &self.rgb, fir::PixelType::U8x3)?;
        let mut sized = Image::new(width, height, fir::PixelType::U8x3);
        let options = fir::ResizeOptions::new().fit_into_destination(None);
        fir::Resizer::new().resize(&source, &mut sized, &options)?;
        let mut rgb = sized.into_vec();
        for value in &mut rgb {
            *value = (f64::from(*value) + NOISE * noise.next()).round().clamp(0.0, 255.0) as u8;
        }
        let mut jpeg = mozjpeg::Compress::new(mozjpeg::ColorSpace::JCS_RGB);
        jpeg.set_fastest_defaults();
        jpeg.set_size(width as usize, height as usize);
        jpeg.set_quality(QUALITY);
        // 4:2:0, as cameras have it.
        jpeg.set_chroma_sampling_pixel_sizes((2, 2), (2, 2));
        let mut started = jpeg.start_compress(Vec::new())?;
        started.write_scanlines(&rgb)?;
        let bytes = started.finish()?;
        if bytes.is_empty() { Err(anyhow!("a frame could not be encoded")) } else { Ok(bytes.into()) }
    }
}

/// Seeded noise, nearly normal: the sum of four uniform values.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        // splitmix64 (Steele et al. 2014); its four 16-bit parts are as good as independent.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let sum: f64 = (0..4).map(|part| (z >> (part * 16) & 0xffff) as f64 / 65535.0).sum();
        // The sum has mean 2 and variance 4/12.
        (sum - 2.0) * 3.0_f64.sqrt()
    }
}
