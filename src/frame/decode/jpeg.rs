//! JPEG, decoded at the size and over the part that the next step needs.

use image::metadata::Orientation;

use super::geometry::{Area, Turn};
use super::libjpeg::{Failure, Libjpeg, Open};
use super::{DecodeError, Format, Limits, Need, Picture};

/// The scales, in eighths, at which libjpeg decodes fast: it has SIMD code for inverse transforms of 2×2, 4×4 and
/// 8×8 samples. The sizes between are plain C, and cost more than the full size does.
const FAST_EIGHTHS: [u8; 4] = [1, 2, 4, 8];

/// Columns decoded beyond what is needed. libjpeg interpolates colour from the neighbouring column, and takes the first
/// and last decoded one for the picture's edge.
const EDGE_COLUMNS: u32 = 2;

/// A picture of the largest allowed size may have this many scans; a smaller one more in proportion. Encoders write
/// about ten. What counts is the product, for each scan is a pass over the whole picture, however few bytes it has.
const SCANS_AT_MAX_PIXELS: u64 = 20;

/// Decodes `bytes` into `picture`; `row` is scratch.
pub(super) fn decode(
    libjpeg: &mut Libjpeg,
    bytes: &[u8],
    need: &Need,
    limits: Limits,
    picture: &mut Picture,
    row: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let orientation = orientation(bytes);
    let mut open = libjpeg.open(bytes).map_err(|e| error(e, 0))?;
    let (width, height) = open.size();
    limits.check_pixels(width, height)?;
    let max_scans =
        limits.max_pixels.saturating_mul(SCANS_AT_MAX_PIXELS) / (u64::from(width) * u64::from(height)).max(1);
    let max_scans = u32::try_from(max_scans).unwrap_or(u32::MAX);

    let (frame_width, frame_height) = Turn::of(orientation).size(width, height);
    let crop = Area::of_crop(need.crop, frame_width, frame_height);
    let eighths = choose_eighths(crop.short_side(), need.short_side);
    let scale = f64::from(eighths) / 8.0;
    let area = need.area(frame_width, frame_height, scale).to_stored(orientation, width, height);

    let mut part = Part { area, scale, origin: (0, 0), size: (0, 0) };
    part.read(&mut open, eighths, max_scans, picture, row).map_err(|e| error(e, max_scans))?;
    picture.width = part.size.0;
    picture.height = part.size.1;
    picture.frame_width = frame_width;
    picture.frame_height = frame_height;
    picture.orientation = orientation;
    picture.scale = scale;
    picture.origin = part.origin;
    Ok(())
}

/// The part of the stored picture that is decoded: wanted in `area`, obtained at `origin` with `size`.
struct Part {
    area: Area,
    scale: f64,
    origin: (u32, u32),
    size: (u32, u32),
}

impl Part {
    fn read(
        &mut self,
        open: &mut Open<'_>,
        eighths: u8,
        max_scans: u32,
        picture: &mut Picture,
        row: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let (width, height) = open.start(eighths, max_scans)?;
        let (left, columns) = scaled_range(self.area.x, self.area.w, self.scale, width, EDGE_COLUMNS);
        let (top, rows) = scaled_range(self.area.y, self.area.h, self.scale, height, 0);
        let (left, columns) = if columns < width { open.crop_columns(left, columns)? } else { (left, columns) };
        self.origin = (left, top);
        self.size = (columns, rows);

        if top > 0 {
            open.skip_rows(top)?;
        }
        let pixels = columns as usize * rows as usize;
        super::resize_buffer(&mut picture.rgb, pixels * 3);
        if open.has_four_components() {
            super::resize_buffer(row, columns as usize * 4);
            for out in picture.rgb.chunks_exact_mut(columns as usize * 3) {
                open.read_rows(row)?;
                rgb_from_inverted_cmyk(row, out);
            }
        } else {
            open.read_rows(&mut picture.rgb)?;
        }

        // Rows below are not needed, but a frame that was cut is refused wherever it was cut: what made it to the box in
        // half may be wrong in other ways. With an end marker still to come it was not cut. Else the rest is decoded,
        // which reports the cut unless the marker alone is missing.
        let below = height - top - rows;
        if below > 0 && !open.end_follows() {
            if below > 1 {
                open.skip_rows(below - 1)?;
            }
            let bytes = columns as usize * if open.has_four_components() { 4 } else { 3 };
            super::resize_buffer(row, bytes);
            open.read_rows(row)?;
        }
        Ok(())
    }
}

/// The scaled pixels that hold `start..start + length` at a scale, and `edge` more: first and count.
fn scaled_range(start: f64, length: f64, scale: f64, size: u32, edge: u32) -> (u32, u32) {
    let (first, end) = ((start * scale).floor() as u32, ((start + length) * scale).ceil() as u32);
    let first = first.saturating_sub(edge).min(size - 1);
    let end = end.saturating_add(edge).clamp(first + 1, size);
    (first, end - first)
}

/// The smallest fast scale that leaves the crop's short side at least `needed` pixels.
fn choose_eighths(short_side: f64, needed: u32) -> u8 {
    let needed = f64::from(needed);
    FAST_EIGHTHS.into_iter().find(|&n| short_side * f64::from(n) / 8.0 >= needed).unwrap_or(8)
}

/// RGB from the CMYK of a JPEG file, which Adobe's programs, and everyone after them, store inverted.
///
/// The plain conversion without a colour profile, as in Pillow: full ink is black.
fn rgb_from_inverted_cmyk(cmyk: &[u8], rgb: &mut [u8]) {
    for (&[c, m, y, k], out) in cmyk.as_chunks::<4>().0.iter().zip(rgb.as_chunks_mut::<3>().0) {
        *out = [c, m, y].map(|ink| {
            let product = u16::from(ink) * u16::from(k) + 128;
            // Divides by 255, rounding, exact for products of two bytes.
            ((product + (product >> 8)) >> 8) as u8
        });
    }
}

/// The EXIF orientation, from the first APP1 segment that has one. Only segment headers are read up to there.
fn orientation(bytes: &[u8]) -> Orientation {
    exif(bytes).and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms)
}

/// The EXIF block (a TIFF structure) of a JPEG file. Damaged files give nothing: libjpeg will say what is wrong.
fn exif(bytes: &[u8]) -> Option<&[u8]> {
    const SOS: u8 = 0xda;
    const APP1: u8 = 0xe1;
    let mut rest = bytes.get(2..)?;
    loop {
        // Any number of ff bytes may stand before a marker.
        let start = rest.iter().position(|&b| b != 0xff)?;
        if start == 0 {
            return None;
        }
        let marker = rest[start];
        rest = &rest[start + 1..];
        match marker {
            SOS | 0xd9 => return None,
            // Markers without a length.
            0x01 | 0xd0..=0xd8 => continue,
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?]));
        let segment = rest.get(2..length.max(2))?;
        if marker == APP1
            && let Some(exif) = segment.strip_prefix(b"Exif\0\0")
        {
            return Some(exif);
        }
        rest = &rest[length.max(2)..];
    }
}

fn error(failure: Failure, max_scans: u32) -> DecodeError {
    let format = Format::Jpeg;
    match failure {
        Failure::Truncated => DecodeError::Truncated { format },
        Failure::Unsupported(reason) => DecodeError::Unsupported { format, reason },
        Failure::Corrupt(reason) => DecodeError::Corrupt { format, reason },
        Failure::TooManyScans => DecodeError::TooManyScans { max_scans },
    }
}
