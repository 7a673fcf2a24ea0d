//! Pictures whose class is known to the `tints` bundles, and broken ones.

use base64::Engine as _;
use image::{ImageFormat, Rgb, RgbImage};

pub(crate) const RED: Rgb<u8> = Rgb([255, 0, 0]);
pub(crate) const GREEN: Rgb<u8> = Rgb([0, 255, 0]);
pub(crate) const BLUE: Rgb<u8> = Rgb([0, 0, 255]);
pub(crate) const GREY: Rgb<u8> = Rgb([128, 128, 128]);

/// One colour all over, as large as a small camera's frame.
pub(crate) fn plain(colour: Rgb<u8>) -> RgbImage {
    RgbImage::from_pixel(64, 48, colour)
}

/// One colour all over, but another in the lower left quarter.
pub(crate) fn cornered(colour: Rgb<u8>, corner: Rgb<u8>) -> RgbImage {
    RgbImage::from_fn(64, 48, |x, y| if x < 32 && y >= 24 { corner } else { colour })
}

/// A scene in light and dark, another for each number. It is grey, or redder than that by so many steps: the more, the surer
/// `tints` is of red, with about 53 steps in the middle between the two.
pub(crate) fn scene(number: u32, redder: u8) -> RgbImage {
    RgbImage::from_fn(64, 48, |x, y| {
        let patch = (number * 64 + y / 6 * 8 + x / 8).wrapping_mul(0x9e37_79b1) ^ 0x5bd1_e995;
        let grey = 60 + (patch.wrapping_mul(0x85eb_ca6b) >> 25) as u8;
        Rgb([grey + redder, grey, grey])
    })
}

pub(crate) fn encode(picture: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut out, format).expect("a picture of ours can be encoded");
    out.into_inner()
}

pub(crate) fn png(picture: &RgbImage) -> Vec<u8> {
    encode(picture, ImageFormat::Png)
}

pub(crate) fn jpeg(picture: &RgbImage) -> Vec<u8> {
    let mut compress = mozjpeg::Compress::new(mozjpeg::ColorSpace::JCS_RGB);
    compress.set_size(picture.width() as usize, picture.height() as usize);
    compress.set_quality(90.0);
    let mut started = compress.start_compress(Vec::new()).expect("a JPEG can be started");
    started.write_scanlines(picture).expect("a picture of ours can be encoded");
    started.finish().expect("a JPEG can be finished")
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A photograph of `examples/frames`.
pub(crate) fn photograph(name: &str) -> Vec<u8> {
    let path = super::root().join("examples/frames").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A PNG of a few bytes that claims to be 20,000 × 20,000 pixels.
pub(crate) fn png_bomb() -> Vec<u8> {
    const SIDE: u32 = 20_000;
    let mut header = SIDE.to_be_bytes().to_vec();
    header.extend(SIDE.to_be_bytes());
    // Eight bits of each of red, green, blue; deflate, standard filters, not interlaced.
    header.extend([8, 2, 0, 0, 0]);
    // An empty stored block: the data would end at once.
    let data = vec![0x78, 0x01, 0x01, 0x00, 0x00, 0xff, 0xff, 0x00, 0x00, 0x00, 0x01];
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", header), (b"IDAT", data), (b"IEND", Vec::new())] {
        let mut checked = kind.to_vec();
        checked.extend(&data);
        png.extend(u32::try_from(data.len()).expect("a chunk is small").to_be_bytes());
        png.extend(&checked);
        png.extend(crc32(&checked).to_be_bytes());
    }
    png
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}
