//! Pictures for tests, made rather than stored.

use mozjpeg::{ColorSpace, Compress, Marker};

/// Numbers that look random and are the same in each run.
pub(crate) struct Random(u32);

impl Random {
    pub(crate) fn new(seed: u32) -> Self {
        Self(seed)
    }

    /// A number from 0 up to, not including, `end`.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((u64::from(self.0) * u64::from(end)) >> 32) as u32
    }
}

/// A picture with shading, edges, and no symmetry: red, green and blue bytes.
pub(crate) fn photo(width: u32, height: u32) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..height {
        for x in 0..width {
            let (u, v) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
            let wave = 40.0 * (u * 9.0 + v * v * 14.0).sin();
            let disc = if (u - 0.3).hypot(v - 0.4) < 0.2 { 60.0 } else { 0.0 };
            rgb.extend(
                [60.0 + 120.0 * u + wave, 200.0 - 110.0 * v + wave - disc, 90.0 + disc + 60.0 * (u - v)]
                    .map(|c| c as u8),
            );
        }
    }
    rgb
}

/// How a JPEG is to be encoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jpeg {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Pixels for one sample of colour, across and down.
    pub(crate) sampling: (u8, u8),
    pub(crate) progressive: bool,
    /// EXIF orientation, 1 to 8.
    pub(crate) orientation: Option<u8>,
}

impl Jpeg {
    /// Baseline, 4:2:0, upright: what cameras send.
    pub(crate) fn of_size(width: u32, height: u32) -> Self {
        Self { width, height, sampling: (2, 2), progressive: false, orientation: None }
    }

    pub(crate) fn encode(&self, rgb: &[u8]) -> Vec<u8> {
        self.encode_as(ColorSpace::JCS_RGB, rgb)
    }

    /// Encodes samples of another colour space, as they are.
    pub(crate) fn encode_as(&self, space: ColorSpace, samples: &[u8]) -> Vec<u8> {
        let encode = || {
            let mut encoder = Compress::new(space);
            encoder.set_fastest_defaults();
            encoder.set_size(self.width as usize, self.height as usize);
            encoder.set_quality(90.0);
            if space == ColorSpace::JCS_RGB {
                encoder.set_chroma_sampling_pixel_sizes(self.sampling, self.sampling);
            } else {
                encoder.set_color_space(space);
            }
            if self.progressive {
                encoder.set_progressive_mode();
            }
            let mut started = encoder.start_compress(Vec::new())?;
            if let Some(orientation) = self.orientation {
                started.write_marker(Marker::APP(1), &exif(orientation));
            }
            started.write_scanlines(samples)?;
            started.finish()
        };
        encode().expect("a JPEG can be encoded")
    }
}

/// An APP1 segment that says nothing but the orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let mut segment = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01".to_vec();
    // Tag, type short, one of them, the value, padding; no further directory.
    segment.extend([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0]);
    segment
}

/// The mean absolute difference of two equally long slices.
pub(crate) fn difference(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: u64 = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.len() as f64
}
