//! PNG, GIF, WebP and BMP, through the `image` crate.

use std::error::Error;
use std::io::{self, Cursor};
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::codecs::{bmp::BmpDecoder, gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::error::ImageError;
use image::{ColorType, ImageDecoder};

use super::geometry::{Orientation, Turn};
use super::{DecodeError, Format, Limits, Picture};

/// Memory that a decoder may use for each allowed pixel: RGBA with 16 bits, twice.
const BYTES_PER_PIXEL: u64 = 16;

/// Memory that a decoder may use beside pixels, for tables and metadata.
const BYTES_BESIDE: u64 = 8 << 20;

/// Decodes the first frame of `bytes`, all of it and at its full size, into `picture`; `scratch` takes the pixels in the
/// file's own format.
pub(super) fn decode(
    format: Format,
    bytes: &[u8],
    limits: Limits,
    picture: &mut Picture,
    scratch: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    if format == Format::WebP {
        check_webp_bitstreams(bytes, limits)?;
    }
    // These decoders are safe code, which reports a bug of its own by a panic. A frame must not take its thread along.
    match catch_unwind(AssertUnwindSafe(|| decode_with_image(format, bytes, limits, picture, scratch))) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Refusal::Limit(error))) => Err(error),
        Ok(Err(Refusal::Image(error))) => Err(image_error(format, &error)),
        Err(_) => Err(DecodeError::Corrupt { format, reason: "it made its decoder panic".to_owned() }),
    }
}

enum Refusal {
    Limit(DecodeError),
    Image(ImageError),
}

impl From<ImageError> for Refusal {
    fn from(error: ImageError) -> Self {
        Self::Image(error)
    }
}

fn decode_with_image(
    format: Format,
    bytes: &[u8],
    limits: Limits,
    picture: &mut Picture,
    scratch: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let mut allowed = image::Limits::no_limits();
    allowed.max_alloc = Some(limits.max_pixels.saturating_mul(BYTES_PER_PIXEL).saturating_add(BYTES_BESIDE));
    let cursor = Cursor::new(bytes);
    let mut decoder: Box<dyn ImageDecoder + '_> = match format {
        Format::Png => Box::new(PngDecoder::with_limits(cursor, allowed.clone())?),
        Format::Gif => Box::new(GifDecoder::new(cursor)?),
        Format::WebP => Box::new(WebPDecoder::new(cursor)?),
        Format::Bmp => Box::new(BmpDecoder::new(cursor)?),
        Format::Jpeg => unreachable!("JPEG has a decoder of its own"),
    };
    let (width, height) = decoder.dimensions();
    limits.check_pixels(width, height).map_err(Refusal::Limit)?;
    if width == 0 || height == 0 {
        let reason = format!("{width}x{height} pixels");
        return Err(Refusal::Limit(DecodeError::Corrupt { format, reason }));
    }
    decoder.set_limits(allowed)?;
    // Damaged metadata is no reason to refuse the picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);

    let pixels = width as usize * height as usize;
    let color = decoder.color_type();
    super::resize_buffer(&mut picture.rgb, pixels * 3);
    if color == ColorType::Rgb8 {
        decoder.read_image_boxed(&mut picture.rgb)?;
    } else {
        super::resize_buffer(scratch, pixels * usize::from(color.bytes_per_pixel()));
        decoder.read_image_boxed(scratch)?;
        to_rgb(color, scratch, &mut picture.rgb).map_err(Refusal::Limit)?;
    }
    picture.width = width;
    picture.height = height;
    (picture.frame_width, picture.frame_height) = Turn::of(orientation).size(width, height);
    picture.orientation = orientation;
    picture.scale = 1.0;
    picture.origin = (0, 0);
    Ok(())
}

/// Fills `rgb` from pixels of another kind: grey is repeated, alpha dropped, 16 bits are rounded to 8.
fn to_rgb(color: ColorType, from: &[u8], rgb: &mut [u8]) -> Result<(), DecodeError> {
    /// The nearest of the 256 values; `image` gives 16 bits in the machine's byte order.
    fn round(high: u8, low: u8) -> u8 {
        ((u32::from(u16::from_ne_bytes([high, low])) + 128) / 257) as u8
    }
    match color {
        ColorType::L8 => each(from, rgb, |&[v]| [v; 3]),
        ColorType::La8 => each(from, rgb, |&[v, _]| [v; 3]),
        ColorType::Rgb8 => each(from, rgb, |&v: &[u8; 3]| v),
        ColorType::Rgba8 => each(from, rgb, |&[r, g, b, _]| [r, g, b]),
        ColorType::L16 => each(from, rgb, |&[a, b]| [round(a, b); 3]),
        ColorType::La16 => each(from, rgb, |&[a, b, _, _]| [round(a, b); 3]),
        ColorType::Rgb16 => each(from, rgb, |&[a, b, c, d, e, f]| [round(a, b), round(c, d), round(e, f)]),
        ColorType::Rgba16 => each(from, rgb, |&[a, b, c, d, e, f, _, _]| [round(a, b), round(c, d), round(e, f)]),
        // None of the four formats has any other; `ColorType` may grow.
        other => {
            return Err(DecodeError::Unsupported { format: Format::Png, reason: format!("{other:?} pixels") });
        }
    }
    Ok(())
}

fn each<const N: usize>(from: &[u8], rgb: &mut [u8], pixel: impl Fn(&[u8; N]) -> [u8; 3]) {
    for (from, to) in from.as_chunks::<N>().0.iter().zip(rgb.as_chunks_mut::<3>().0) {
        *to = pixel(from);
    }
}

/// Checks the sizes in the headers of a WebP's lossy bitstreams against the limit.
///
/// The decoder checks the size of the canvas first, but allocates by the bitstream's own header, before comparing the
/// two: a file that claims 1×1 outside and 16383×16383 inside would cost 400 MB. Searching for the chunk's name and the
/// bitstream's start code, rather than walking the chunks, sees whatever a decoder can find.
fn check_webp_bitstreams(bytes: &[u8], limits: Limits) -> Result<(), DecodeError> {
    for chunk in bytes.windows(18) {
        // Name, length, frame tag of three bytes, start code, width, height; two bits of each size are for scaling.
        if let [b'V', b'P', b'8', b' ', _, _, _, _, _, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1] = *chunk {
            let width = u16::from_le_bytes([w0, w1]) & 0x3fff;
            let height = u16::from_le_bytes([h0, h1]) & 0x3fff;
            limits.check_pixels(width.into(), height.into())?;
        }
    }
    Ok(())
}

fn image_error(format: Format, error: &ImageError) -> DecodeError {
    if let ImageError::Unsupported(reason) = error {
        return DecodeError::Unsupported { format, reason: reason.to_string() };
    }
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    let mut reason = String::new();
    while let Some(e) = cause {
        if e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::UnexpectedEof) {
            return DecodeError::Truncated { format };
        }
        // The innermost one says it best; those around it repeat it.
        reason = e.to_string();
        // The decoders of PNG and GIF say so in words only.
        if reason.eq_ignore_ascii_case("unexpected end of file") {
            return DecodeError::Truncated { format };
        }
        cause = e.source();
    }
    DecodeError::Corrupt { format, reason }
}
