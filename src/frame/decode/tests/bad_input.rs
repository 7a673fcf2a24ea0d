//! What a broken camera, a wrong topic or an ill-meaning sender may publish.

use image::ImageFormat;

use super::super::samples::{Jpeg, Random, photo};
use super::*;

/// A PNG that claims a size, with `data` in the place of its pixels.
fn png_header(width: u32, height: u32, data: &[u8]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    [b"\x89PNG\r\n\x1a\n".to_vec(), png_chunk(b"IHDR", &header), png_chunk(b"IDAT", data), png_chunk(b"IEND", &[])]
        .concat()
}

#[test]
fn bad_input_has_a_clear_error() {
    let table: [(&[u8], &str); 14] = [
        (b"", "the image is empty"),
        (b"{\"image\": \"/9j/4AAQSkZJRgABAQ\"}", r#"not an image: JSON: {"image": "/9j/4AAQSkZJR…"#),
        (b"<!DOCTYPE html><html><body>", "not an image: HTML or XML: <!DOCTYPE html><html><bo…"),
        (b"hello", "not an image: text: hello"),
        ("雪山上的滑雪者，和一条很长的句子".as_bytes(), "not an image: text: 雪山上的滑雪者，和一条很长的句子"),
        (b"\x01\x02\xfe\xff", r"not an image: bytes: \x01\x02\xfe\xff"),
        (b"BM, the garage", "not an image: text: BM, the garage"),
        (b"II*\0\x08\0\0\0", "not an image: TIFF, which is not supported"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "not an image: AVIF, which is not supported"),
        (b"\0\0\0\x01\x67\x42", "not an image: a raw video stream"),
        (b"\xff\xd8\xff", "the JPEG ends before its picture is complete"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "the JPEG ends before its picture is complete"),
        (b"\x89PNG\r\n\x1a\n", "the PNG ends before its picture is complete"),
        (b"GIF89a", "the GIF ends before its picture is complete"),
    ];
    for (bytes, expected) in table {
        let error = decode(bytes).expect_err("not an image").to_string();
        assert!(error.starts_with(expected), "{error:?}, not {expected:?}");
    }
}

#[test]
fn a_small_file_of_a_huge_picture_is_refused_by_its_header() {
    let error = decode(&png_header(20_000, 20_000, &[0; 4000])).expect_err("too large");
    assert_eq!(error.to_string(), "20000x20000 is 400.0 megapixels, over the limit of 40.0");
    assert_eq!(error.kind(), "too_large");

    let mut jpeg = Jpeg::of_size(16, 16).encode(&photo(16, 16));
    let sof = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a baseline file");
    jpeg[sof + 5..sof + 9].copy_from_slice(&[0xf0, 0, 0xf0, 0]);
    assert_eq!(
        decode(&jpeg).expect_err("too large").to_string(),
        "61440x61440 is 3774.9 megapixels, over the limit of 40.0"
    );

    let mut gif = encode(&rgb_image(8, 8), ImageFormat::Gif);
    gif[6..10].fill(0xff);
    assert_eq!(decode(&gif).expect_err("too large").kind(), "too_large");

    // A WebP that claims 1×1 outside, and 16383×16383 in the bitstream.
    let mut webp = b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    webp.extend(b"VP8 \x20\0\0\0\x10\0\0\x9d\x01\x2a\xff\x3f\xff\x3f");
    webp.extend([0; 22]);
    assert_eq!(
        decode(&webp).expect_err("too large").to_string(),
        "16383x16383 is 268.4 megapixels, over the limit of 40.0"
    );
}

#[test]
fn a_hundred_megabytes_of_zeros() {
    let zeros = vec![0; 100 << 20];
    assert_eq!(decode(&zeros).expect_err("too large").to_string(), "104857600 bytes are over the limit of 8388608");
    let limits = Limits { max_bytes: usize::MAX, ..LIMITS };
    let error = Decoder::new(limits).decode(&zeros, &Need::EVERYTHING).expect_err("zeros").to_string();
    assert_eq!(error, "not an image: zeros");
}

#[test]
fn a_jpeg_cut_anywhere_is_refused() {
    let rgb = photo(100, 75);
    for progressive in [false, true] {
        let bytes = Jpeg { progressive, ..Jpeg::of_size(100, 75) }.encode(&rgb);
        let mut decoder = decoder();
        // The last two bytes are the end marker. A baseline picture is complete without it.
        let first_complete = if progressive { bytes.len() } else { bytes.len() - 2 };
        for length in 3..bytes.len() {
            // A part as well as the whole: what is below the part must be there too.
            for need in [Need::EVERYTHING, Need { middle: Some((0.3, 0.3)), ..Need::EVERYTHING }] {
                let result = decoder.decode(&bytes[..length], &need);
                if length < first_complete {
                    let error = result.expect_err("cut");
                    assert!(matches!(error, DecodeError::Truncated { .. }), "at {length} of {}: {error}", bytes.len());
                } else {
                    result.expect("only the marker is missing");
                }
            }
        }
    }
}

#[test]
fn other_formats_cut_in_their_pixels_are_refused() {
    let image = rgb_image(64, 48);
    for format in [ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP, ImageFormat::Bmp] {
        let bytes = encode(&image, format);
        assert_eq!(whole(&bytes).rgb.len(), 64 * 48 * 3);
        let mut decoder = decoder();
        for length in (16..bytes.len() * 9 / 10).step_by(7) {
            let error = decoder.decode(&bytes[..length], &Need::EVERYTHING).expect_err("cut");
            assert!(["truncated", "corrupt"].contains(&error.kind()), "{format:?} at {length}: {error}");
        }
    }
}

#[test]
fn damage_never_panics_and_leaves_the_decoder_as_good_as_new() {
    let rgb = photo(80, 60);
    let good = Jpeg::of_size(80, 60).encode(&rgb);
    let expected = whole(&good).rgb;
    let files = [
        good.clone(),
        Jpeg { progressive: true, ..Jpeg::of_size(80, 60) }.encode(&rgb),
        encode(&rgb_image(80, 60), ImageFormat::Png),
        encode(&rgb_image(80, 60), ImageFormat::Gif),
        encode(&rgb_image(80, 60), ImageFormat::WebP),
        encode(&rgb_image(80, 60), ImageFormat::Bmp),
    ];
    let mut random = Random::new(3);
    let mut decoder = decoder();
    for round in 0..1500 {
        let mut bytes = files[round % files.len()].clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len() as u32) as usize;
            bytes[at] = random.below(256) as u8;
        }
        if let Ok(picture) = decoder.decode(&bytes, &Need { middle: Some((0.5, 0.5)), ..Need::EVERYTHING }) {
            assert_eq!(picture.rgb.len(), picture.width as usize * picture.height as usize * 3);
        }
        if round % 50 == 0 {
            assert_eq!(decoder.decode(&good, &Need::EVERYTHING).expect("good").rgb, expected);
        }
    }
}

#[test]
fn harmless_oddities_of_cameras_are_accepted() {
    let good = Jpeg::of_size(64, 48).encode(&photo(64, 48));
    let expected = whole(&good).rgb;
    let padded = [&good[..], &[0; 1000]].concat();
    let without_end = good[..good.len() - 2].to_vec();
    let padding_before_end = [&good[..good.len() - 2], &[0; 9], &good[good.len() - 2..]].concat();
    let fill_before_marker = [&good[..2], &[0xff; 5], &good[2..]].concat();
    for odd in [padded, without_end, padding_before_end, fill_before_marker] {
        assert_eq!(whole(&odd).rgb, expected);
    }
}

#[test]
fn what_libjpeg_lacks_is_called_unsupported() {
    let good = Jpeg::of_size(16, 16).encode(&photo(16, 16));
    let sof = good.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a baseline file");
    // Arithmetic coding, lossless, twelve bits.
    for (at, value) in [(sof + 1, 0xc9), (sof + 1, 0xc3), (sof + 4, 12)] {
        let mut bytes = good.clone();
        bytes[at] = value;
        let error = decode(&bytes).expect_err("unsupported");
        assert!(matches!(error, DecodeError::Unsupported { .. }), "{error}");
    }
}

#[test]
fn scans_without_end_are_refused() {
    let bytes = Jpeg { progressive: true, ..Jpeg::of_size(64, 64) }.encode(&photo(64, 64));
    // The first scan, up to the next marker, again and again.
    let sos = bytes.windows(2).position(|pair| pair == [0xff, 0xda]).expect("a scan");
    let next = bytes[sos + 2..].windows(2).position(|pair| pair[0] == 0xff && pair[1] != 0).expect("another marker");
    let (before, rest) = bytes.split_at(sos);
    let (scan, after) = rest.split_at(2 + next);
    let many = [before, &scan.repeat(500), after].concat();
    let mut decoder = Decoder::new(Limits { max_pixels: 64 * 64, ..LIMITS });
    decoder.decode(&bytes, &Need::EVERYTHING).expect("the usual scans");
    let error = decoder.decode(&many, &Need::EVERYTHING).expect_err("500 scans");
    assert!(matches!(error, DecodeError::TooManyScans { max_scans: 20 }), "{error}");
    assert_eq!(error.kind(), "too_large");
}
