//! Pictures as JPEG files.

use mozjpeg::{ColorSpace, Compress};

/// Red, green and blue of each pixel as a JPEG file with 4:2:0 colours; `quality` is 1 to 100.
///
/// # Errors
/// If libjpeg fails, which memory alone can make it do.
pub fn encode(rgb: &[u8], width: usize, height: usize, quality: f32) -> std::io::Result<Vec<u8>> {
    let mut jpeg = Compress::new(ColorSpace::JCS_RGB);
    // The other defaults search for the best bits in floating point, with other results on other processors.
    jpeg.set_fastest_defaults();
    jpeg.set_size(width, height);
    jpeg.set_quality(quality);
    jpeg.set_chroma_sampling_pixel_sizes((2, 2), (2, 2));
    let mut started = jpeg.start_compress(Vec::new())?;
    started.write_scanlines(rgb)?;
    started.finish()
}
