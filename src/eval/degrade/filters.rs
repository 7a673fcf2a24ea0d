//! Filters over neighbouring pixels.

use fast_image_resize as fir;
use fir::images::{Image, ImageRef};
use image::RgbImage;

/// How far the Gaussian reaches, in standard deviations. Beyond lies less than a part in 10,000, a fraction of a step of 255.
const REACH: f64 = 4.0;

/// Gaussian blur with a standard deviation in pixels. Beyond the edges the picture goes on as it is at the edge.
///
/// Not `image`'s: its sums are rounded otherwise where the processor can multiply and add at once.
pub(super) fn blur(picture: &RgbImage, sigma: f64) -> RgbImage {
    let kernel = kernel(sigma);
    let reach = kernel.len() / 2;
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let row_len = width * 3;
    let pixels = picture.as_raw();

    // Both passes add up whole rows, shifted and weighted.
    let mut across = vec![0.0_f32; pixels.len()];
    let mut padded = vec![0.0_f32; row_len + reach * 6];
    for (row, sums) in pixels.chunks_exact(row_len).zip(across.chunks_exact_mut(row_len)) {
        for (index, pixel) in padded.chunks_exact_mut(3).enumerate() {
            let x = index.saturating_sub(reach).min(width - 1);
            pixel.iter_mut().zip(&row[x * 3..]).for_each(|(out, &value)| *out = f32::from(value));
        }
        for (tap, &weight) in kernel.iter().enumerate() {
            add(sums, &padded[tap * 3..], weight);
        }
    }
    let mut out = Vec::with_capacity(pixels.len());
    let mut sums = vec![0.0_f32; row_len];
    for y in 0..height {
        sums.fill(0.0);
        for (tap, &weight) in kernel.iter().enumerate() {
            let from = (y + tap).saturating_sub(reach).min(height - 1);
            add(&mut sums, &across[from * row_len..], weight);
        }
        out.extend(sums.iter().map(|sum| sum.round() as u8));
    }
    same_size(picture, out)
}

fn add(sums: &mut [f32], values: &[f32], weight: f32) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
}

/// The Gaussian at whole pixels, from one end of its reach to the other, adding up to 1.
fn kernel(sigma: f64) -> Vec<f32> {
    let reach = (sigma * REACH).ceil() as i32;
    let weights: Vec<f64> = (-reach..=reach)
        .map(|x| {
            let x = f64::from(x) / sigma;
            libm::exp(-0.5 * x * x)
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| (weight / sum) as f32).collect()
}

/// Averaged over boxes, down to a `factor`th of each side, then enlarged bilinearly.
pub(super) fn low_resolution(picture: &RgbImage, factor: u32) -> RgbImage {
    let (width, height) = picture.dimensions();
    let fraction = |side: u32| ((side + factor / 2) / factor).max(1);
    let small = (fraction(width), fraction(height));
    let reduced = resize(picture.as_raw(), (width, height), small, fir::FilterType::Box);
    same_size(picture, resize(&reduced, small, (width, height), fir::FilterType::Bilinear))
}

/// The resizer computes with whole numbers, so that all its variants for different processors give the same.
fn resize(pixels: &[u8], from: (u32, u32), to: (u32, u32), filter: fir::FilterType) -> Vec<u8> {
    let source = ImageRef::new(from.0, from.1, pixels, fir::PixelType::U8x3).expect("as many bytes as the size needs");
    let mut resized = Image::new(to.0, to.1, fir::PixelType::U8x3);
    let options = fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(filter));
    fir::Resizer::new().resize(&source, &mut resized, &options).expect("pictures of one pixel type");
    resized.into_vec()
}

/// A picture of the size of another.
pub(super) fn same_size(like: &RgbImage, pixels: Vec<u8>) -> RgbImage {
    RgbImage::from_raw(like.width(), like.height(), pixels).expect("as many bytes as before")
}
