//! Formats, and what all of the tests share.

mod bad_input;
mod entropy;
mod parts;

use std::io::Cursor;

use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat};
use mozjpeg::ColorSpace;

use super::samples::{Jpeg, difference, photo};
use super::*;

const LIMITS: Limits = Limits { max_bytes: 8 << 20, max_pixels: 40_000_000 };

fn decoder() -> Decoder {
    Decoder::new(LIMITS)
}

/// Decodes all of an image.
fn decode(bytes: &[u8]) -> Result<Picture, DecodeError> {
    decoder().decode(bytes, &Need::EVERYTHING).cloned()
}

fn whole(bytes: &[u8]) -> Picture {
    decode(bytes).expect("a good image decodes")
}

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("an image can be encoded");
    bytes.into_inner()
}

fn rgb_image(width: u32, height: u32) -> DynamicImage {
    image::RgbImage::from_raw(width, height, photo(width, height)).expect("the right length").into()
}

fn png_chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = u32::MAX;
    for &byte in name.iter().chain(data) {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let length = u32::try_from(data.len()).expect("a small chunk");
    [&length.to_be_bytes(), &name[..], data, &(!crc).to_be_bytes()].concat()
}

#[test]
fn grey_and_cmyk_jpegs() {
    let (w, h) = (40, 30);
    let grey: Vec<u8> = photo(w, h).as_chunks::<3>().0.iter().map(|&[r, ..]| r).collect();
    let picture = whole(&Jpeg::of_size(w, h).encode_as(ColorSpace::JCS_GRAYSCALE, &grey));
    assert!(picture.rgb.as_chunks::<3>().0.iter().all(|[r, g, b]| r == g && g == b));
    assert!(difference(&picture.rgb, &grey.iter().flat_map(|&v| [v; 3]).collect::<Vec<_>>()) < 1.0);

    // Inverted, as Adobe writes it: with k = 255 (no black ink), the other three are red, green and blue.
    let rgb = photo(w, h);
    let cmyk = |k| rgb.as_chunks::<3>().0.iter().flat_map(|&[r, g, b]| [r, g, b, k]).collect::<Vec<_>>();
    assert!(difference(&whole(&Jpeg::of_size(w, h).encode_as(ColorSpace::JCS_CMYK, &cmyk(255))).rgb, &rgb) < 2.0);
    let half: Vec<u8> = rgb.iter().map(|v| v / 2).collect();
    assert!(difference(&whole(&Jpeg::of_size(w, h).encode_as(ColorSpace::JCS_CMYK, &cmyk(128))).rgb, &half) < 2.0);
    // Of a part, through the rows below it, and at half size.
    let bytes = Jpeg::of_size(w, h).encode_as(ColorSpace::JCS_CMYK, &cmyk(255));
    let need = Need { crop: None, short_side: 15, middle: Some((0.2, 0.2)) };
    let mut decoder = decoder();
    let part = decoder.decode(&bytes, &need).expect("decodes");
    assert!(part.scale == 0.5 && part.height < 15, "{}x{} at {}", part.width, part.height, part.scale);
}

#[test]
fn pngs_of_every_kind() {
    let rgb = rgb_image(20, 15);
    let expected = rgb.to_rgb8().into_raw();
    for image in [
        rgb.clone(),
        DynamicImage::ImageRgba8(rgb.to_rgba8()),
        DynamicImage::ImageRgb16(rgb.to_rgb16()),
        DynamicImage::ImageRgba16(rgb.to_rgba16()),
    ] {
        assert_eq!(whole(&encode(&image, ImageFormat::Png)).rgb, expected);
    }
    let grey: Vec<u8> = rgb.to_luma8().iter().flat_map(|&v| [v; 3]).collect();
    for image in [
        DynamicImage::ImageLuma8(rgb.to_luma8()),
        DynamicImage::ImageLumaA8(DynamicImage::ImageLuma8(rgb.to_luma8()).to_luma_alpha8()),
        DynamicImage::ImageLuma16(DynamicImage::ImageLuma8(rgb.to_luma8()).to_luma16()),
        DynamicImage::ImageLumaA16(DynamicImage::ImageLuma8(rgb.to_luma8()).to_luma_alpha16()),
    ] {
        assert_eq!(whole(&encode(&image, ImageFormat::Png)).rgb, grey);
    }
}

#[test]
fn alpha_is_dropped_and_the_colours_below_it_are_kept() {
    let mut image = rgb_image(20, 15).to_rgba8();
    image.pixels_mut().enumerate().for_each(|(i, pixel)| pixel.0[3] = (i % 256) as u8);
    let image = DynamicImage::ImageRgba8(image);
    for format in [ImageFormat::Png, ImageFormat::WebP] {
        assert_eq!(whole(&encode(&image, format)).rgb, photo(20, 15), "{format:?}");
    }
}

#[test]
fn the_first_frame_of_an_animation() {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    for color in [[200, 0, 0, 255], [0, 200, 0, 255]] {
        let frame = image::RgbaImage::from_pixel(12, 9, image::Rgba(color));
        encoder.encode_frame(image::Frame::new(frame)).expect("a frame can be encoded");
    }
    drop(encoder);
    assert_eq!(whole(&bytes).rgb, [200, 0, 0].repeat(12 * 9));

    // Animated PNG: the default image is the first frame; `acTL` and `fcTL` before it, another frame after it.
    let still = encode(&rgb_image(12, 9), ImageFormat::Png);
    let idat = still.windows(4).position(|name| name == b"IDAT").expect("pixels") - 4;
    let (head, tail) = still.split_at(idat);
    let control = |sequence: u32| {
        let fields = [sequence, 12, 9, 0, 0].map(u32::to_be_bytes).concat();
        png_chunk(b"fcTL", &[&fields[..], &[0, 1, 0, 10, 0, 0]].concat())
    };
    let animated = [head, &png_chunk(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]), &control(0), tail].concat();
    assert_eq!(whole(&animated).rgb, photo(12, 9));
}

#[test]
fn orientation_is_read_from_jpeg_and_png() {
    let rgb = photo(32, 16);
    for exif in 1..=8 {
        let picture = whole(&Jpeg { orientation: Some(exif), ..Jpeg::of_size(32, 16) }.encode(&rgb));
        assert_eq!(picture.orientation.to_exif(), exif);
        let upright = if exif >= 5 { (16, 32) } else { (32, 16) };
        assert_eq!((picture.width, picture.height), (32, 16));
        assert_eq!((picture.frame_width, picture.frame_height), upright);
    }
    for nonsense in [0, 9, 255] {
        let picture = whole(&Jpeg { orientation: Some(nonsense), ..Jpeg::of_size(32, 16) }.encode(&rgb));
        assert_eq!(picture.orientation, Orientation::NoTransforms);
    }
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    let exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    encoder.set_exif_metadata(exif).expect("PNG takes EXIF");
    encoder.write_image(&rgb, 32, 16, ExtendedColorType::Rgb8).expect("a PNG can be encoded");
    let picture = whole(&bytes);
    assert_eq!((picture.orientation, picture.frame_width), (Orientation::Rotate90, 16));
}
