//! Against `fast_image_resize`, to the last bit.

use fast_image_resize as fir;
use fir::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fir::pixels::{InnerPixel as _, U8x3};
use proptest::prelude::*;

use super::*;
use crate::frame::decode::samples::Random;

/// A picture, a part of it, what of that is shown, and at which size.
#[derive(Clone, Copy, Debug)]
struct Case {
    picture: (u32, u32),
    origin: (u32, u32),
    part: (u32, u32),
    shown: [f64; 4],
    result: (u32, u32),
    kernel: Interpolation,
}

fn cases() -> impl Strategy<Value = Case> {
    let size = prop_oneof![(1..9_u32), (1..120_u32)];
    let result = prop_oneof![(1..9_u32), (1..70_u32)];
    let fraction = || 0.0..1.0_f64;
    let fractions = ((fraction(), fraction()), (fraction(), fraction()), (fraction(), fraction()));
    ((size.clone(), size), fractions, (result.clone(), result), any::<bool>()).prop_map(
        |(picture, (origin, part, shown), result, bicubic)| {
            let within = |of: u32, start: f64, length: f64| {
                let start = (f64::from(of) * start) as u32;
                (start, 1 + (f64::from(of - start - 1) * length) as u32)
            };
            let (x, w) = within(picture.0, origin.0, part.0);
            let (y, h) = within(picture.1, origin.1, part.1);
            let (sx, sy) = (f64::from(w) * shown.0 / 2.0, f64::from(h) * shown.1 / 2.0);
            let shown =
                [sx, sy, (f64::from(w) - sx) * (0.1 + 0.9 * shown.1), (f64::from(h) - sy) * (0.1 + 0.9 * shown.0)];
            let kernel = if bicubic { Interpolation::Bicubic } else { Interpolation::Bilinear };
            Case { picture, origin: (x, y), part: (w, h), shown, result, kernel }
        },
    )
}

/// Noise, mostly black and white: so that the kernel's overshoot has to be cut off.
fn noise((width, height): (u32, u32)) -> Vec<u8> {
    let mut random = Random::new(width * 131 + height);
    let mut sample = || match random.below(3) {
        0 => 0,
        1 => 255,
        _ => random.below(256) as u8,
    };
    (0..width as usize * height as usize * PIXEL).map(|_| sample()).collect()
}

/// One pass of theirs.
fn theirs(case: &Case, rows: bool, rgb: &[u8]) -> Vec<u8> {
    let all = TypedImageRef::<U8x3>::from_buffer(case.picture.0, case.picture.1, rgb).expect("a picture");
    let part = TypedCroppedImage::from_ref(&all, case.origin.0, case.origin.1, case.part.0, case.part.1);
    let filter = match case.kernel {
        Interpolation::Bicubic => fir::FilterType::CatmullRom,
        Interpolation::Bilinear => fir::FilterType::Bilinear,
    };
    let options = fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(filter));
    let [x, y, w, h] = case.shown;
    let (width, height, options) = if rows {
        (case.result.0, case.part.1, options.crop(x, 0.0, w, f64::from(case.part.1)))
    } else {
        (case.part.0, case.result.1, options.crop(0.0, y, f64::from(case.part.0), h))
    };
    let mut out = vec![U8x3::new([0; 3]); (width * height) as usize];
    let mut image = TypedImage::from_pixels_slice(width, height, &mut out).expect("the right length");
    fir::Resizer::new().resize_typed(&part.expect("a part"), &mut image, &options).expect("resizes");
    U8x3::components(&out).to_vec()
}

/// One pass of ours, in vectors and without.
fn ours(case: &Case, rows: bool, rgb: &[u8]) -> [Vec<u8>; 2] {
    let stride = case.picture.0 as usize * PIXEL;
    let start = case.origin.1 as usize * stride + case.origin.0 as usize * PIXEL;
    let source = Rows { bytes: &rgb[start..], stride, count: case.part.1 as usize };
    let [x, y, w, h] = case.shown;
    let (length, start, shown, result) =
        if rows { (case.part.0, x, w, case.result.0) } else { (case.part.1, y, h, case.result.1) };
    let side = Side { length: length as usize, start, shown, result: result as usize, kernel: case.kernel };
    let mut weights = Weights::default();
    weights.make(&side);
    let weights = &weights;
    let (width, height) =
        if rows { (side.result * PIXEL, source.count) } else { (case.part.0 as usize * PIXEL, side.result) };
    [true, false].map(|fast| {
        let mut out = vec![0; width * height];
        match (rows, fast) {
            (true, true) => along_rows(weights, source, &mut out),
            (true, false) => plain_rows(weights, source, &mut out, 0),
            (false, true) => along_columns(weights, source, width, &mut out),
            (false, false) => plain_columns(weights, source, width, &mut out),
        }
        out
    })
}

proptest! {
    #[test]
    fn both_passes_give_what_fast_image_resize_gives(case in cases()) {
        let rgb = noise(case.picture);
        for rows in [true, false] {
            let expected = theirs(&case, rows, &rgb);
            let [vectors, plain] = ours(&case, rows, &rgb);
            prop_assert!(vectors == expected, "in vectors, rows: {}", rows);
            prop_assert!(plain == expected, "without vectors, rows: {}", rows);
        }
    }
}

#[test]
fn what_keeps_its_size_is_copied() {
    let part = Case {
        picture: (50, 40),
        origin: (3, 2),
        part: (40, 30),
        shown: [2.0, 3.0, 20.0, 10.0],
        result: (20, 10),
        kernel: Interpolation::Bicubic,
    };
    let rgb = noise(part.picture);
    for case in [part, Case { shown: [20.0, 20.0, 20.0, 10.0], ..part }, Case { shown: [2.5, 3.5, 20.0, 10.0], ..part }]
    {
        for rows in [true, false] {
            let expected = theirs(&case, rows, &rgb);
            assert!(ours(&case, rows, &rgb).iter().all(|ours| *ours == expected), "{case:?}, rows: {rows}");
        }
    }
}

#[test]
fn the_weights_of_the_last_few_geometries_are_kept() {
    let side = |start| Side { length: 540, start, shown: 480.0, result: 224, kernel: Interpolation::Bicubic };
    let mut kept = Kept::default();
    let values = kept.prepare(&side(3.5)).values.clone();
    kept.0[0].values[0] = 77;
    assert_ne!(kept.prepare(&side(4.0)).values[..], values[..]);
    assert_eq!(kept.prepare(&side(3.5)).values[0], 77, "not made again");
    for other in 10..10 + Kept::MOST {
        kept.prepare(&side(other as f64));
    }
    assert_eq!(kept.0.len(), Kept::MOST);
    assert_eq!(kept.prepare(&side(3.5)).values, values, "it had given way, and was made again");
}
