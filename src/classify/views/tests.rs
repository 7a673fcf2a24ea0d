use super::*;
use crate::classify::dynamic;
use crate::classify::quality::Condition;
use crate::frame::decode::samples::{Jpeg, Random, difference, photo};
use crate::frame::decode::{Decoder, Limits, Orientation};
use crate::model::CropMode;

const LIMITS: Limits = Limits { max_bytes: 8 << 20, max_pixels: 40_000_000 };

/// Bytes as floats, in the order of the pixels: easy to compare.
pub(super) fn plain(width: u32, height: u32, resize: u32) -> InputSpec {
    InputSpec {
        tensor: "input".into(),
        layout: Layout::Nhwc,
        height,
        width,
        resize,
        crop: CropMode::Center,
        interpolation: Interpolation::Bicubic,
        mean: [0.0; 3],
        std: [1.0; 3],
    }
}

/// A picture that was decoded whole.
fn picture(width: u32, height: u32) -> Picture {
    Picture {
        width,
        height,
        frame_width: width,
        frame_height: height,
        orientation: Orientation::NoTransforms,
        scale: 1.0,
        origin: (0, 0),
        rgb: photo(width, height),
    }
}

fn center(picture: &Picture, crop: Option<Crop>, spec: &InputSpec) -> Vec<u8> {
    let mut out = vec![f32::NAN; spec.len()];
    ViewMaker::new().make(picture, crop, spec, &View::CENTER, &mut out).expect("a view");
    out.iter().map(|&float| float as u8).collect()
}

/// One line of the usual resize: every sample of the result is a weighted sum of samples near it, in Pillow's way.
fn resize_line(line: &[f64], size: usize, interpolation: Interpolation) -> Vec<f64> {
    let scale = line.len() as f64 / size as f64;
    let widened = scale.max(1.0);
    let (reach, kernel): (f64, fn(f64) -> f64) = match interpolation {
        Interpolation::Bilinear => (1.0, |x| (1.0 - x.abs()).max(0.0)),
        Interpolation::Bicubic => (2.0, |x| match x.abs() {
            x if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            x if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
            _ => 0.0,
        }),
    };
    (0..size)
        .map(|i| {
            let middle = (i as f64 + 0.5) * scale;
            let first = (middle - reach * widened).floor().max(0.0) as usize;
            let end = ((middle + reach * widened).ceil() as usize).min(line.len());
            let weights = (first..end).map(|j| (kernel((j as f64 + 0.5 - middle) / widened), line[j]));
            let (sum, total) = weights.fold((0.0, 0.0), |(sum, total), (w, v)| (sum + w * v, total + w));
            (sum / total).round().clamp(0.0, 255.0)
        })
        .collect()
}

/// The usual pipeline, slow and plain: the whole picture is resized, along rows and then along columns, and cropped.
fn reference(picture: &Picture, spec: &InputSpec) -> Vec<u8> {
    let (w, h) = (picture.width as usize, picture.height as usize);
    let (view_w, view_h, resize) = (spec.width as usize, spec.height as usize, spec.resize as usize);
    let (rw, rh) = match spec.crop {
        CropMode::Squash => (view_w, view_h),
        CropMode::Center => {
            let resized = |side: usize| ((resize * side) as f64 / w.min(h) as f64).round_ties_even() as usize;
            (resized(w), resized(h))
        }
    };
    let offset = |size: usize, view: usize| (size - view) / 2;
    let (left, top) = (offset(rw, view_w), offset(rh, view_h));
    let mut out = vec![0; view_w * view_h * 3];
    for c in 0..3 {
        let rows = picture.rgb.chunks_exact(w * 3).map(|row| {
            let line: Vec<f64> = row.iter().skip(c).step_by(3).map(|&v| f64::from(v)).collect();
            resize_line(&line, rw, spec.interpolation)
        });
        let rows: Vec<Vec<f64>> = rows.collect();
        for x in 0..view_w {
            let column: Vec<f64> = rows.iter().map(|row| row[left + x]).collect();
            let column = resize_line(&column, rh, spec.interpolation);
            assert_eq!(column.len(), rh);
            for y in 0..view_h {
                out[(y * view_w + x) * 3 + c] = column[top + y] as u8;
            }
        }
        assert_eq!(rows.len(), h);
    }
    out
}

fn assert_same(a: &[u8], b: &[u8], what: &str) {
    let worst = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
    assert!(worst <= 2 && difference(a, b) < 0.05, "{what}: worst {worst}, mean {}", difference(a, b));
}

#[test]
fn the_centre_is_that_of_the_resized_whole() {
    let mut random = Random::new(5);
    for round in 0..60 {
        // Larger and smaller than the view, of all shapes.
        let (w, h) = (1 + random.below(150), 1 + random.below(150));
        let view = 8 + random.below(40);
        let spec = InputSpec {
            interpolation: if round % 2 == 0 { Interpolation::Bicubic } else { Interpolation::Bilinear },
            crop: if round % 5 == 0 { CropMode::Squash } else { CropMode::Center },
            ..plain(view, 8 + random.below(view - 7), view + random.below(12))
        };
        let picture = picture(w, h);
        assert_same(&center(&picture, None, &spec), &reference(&picture, &spec), &format!("{w}x{h} for {spec:?}"));
    }
}

#[test]
fn extreme_shapes() {
    for (w, h) in [(1, 1), (1, 5000), (5000, 1), (2, 3), (3000, 7)] {
        let picture = picture(w, h);
        for crop in [CropMode::Center, CropMode::Squash] {
            let spec = InputSpec { crop, ..plain(24, 24, 28) };
            let view = center(&picture, None, &spec);
            assert_eq!(view.len(), 24 * 24 * 3);
            if w * h == 1 {
                assert_eq!(view, picture.rgb.repeat(24 * 24));
            }
        }
    }
}

#[test]
fn a_crop_is_what_cutting_first_gives() {
    let whole = picture(120, 90);
    let crop = Crop { x: 0.25, y: 0.2, w: 0.5, h: 0.6 };
    let cut = Picture {
        rgb: (18..72).flat_map(|y| whole.rgb[(y * 120 + 30) * 3..(y * 120 + 90) * 3].to_vec()).collect(),
        ..picture(60, 54)
    };
    for spec in [plain(20, 20, 30), plain(20, 20, 20), InputSpec { crop: CropMode::Squash, ..plain(9, 13, 0) }] {
        assert_same(&center(&whole, Some(crop), &spec), &reference(&cut, &spec), &format!("{spec:?}"));
    }
}

#[test]
fn layout_and_normalisation() {
    let picture = picture(50, 40);
    let bytes = center(&picture, None, &plain(16, 12, 20));
    let spec = InputSpec { mean: [127.0, 100.0, 80.0], std: [128.0, 60.0, 70.0], ..plain(16, 12, 20) };
    let mut views = ViewMaker::new();
    let mut nhwc = vec![0.0; spec.len()];
    views.make(&picture, None, &spec, &View::CENTER, &mut nhwc).expect("a view");
    let mut nchw = vec![0.0; spec.len()];
    views
        .make(&picture, None, &InputSpec { layout: Layout::Nchw, ..spec.clone() }, &View::CENTER, &mut nchw)
        .expect("a view");
    for (i, &byte) in bytes.iter().enumerate() {
        let channel = i % 3;
        let expected = (f32::from(byte) - spec.mean[channel]) / spec.std[channel];
        assert_eq!(nhwc[i], expected);
        assert_eq!(nchw[channel * 16 * 12 + i / 3], expected);
    }
}

/// All eight orientations of one scene give the view of the upright one.
#[test]
fn orientations() {
    let (w, h) = (200, 152);
    let upright = photo(w, h);
    let spec = plain(64, 48, 72);
    let crop = Some(Crop { x: 0.1, y: 0.05, w: 0.7, h: 0.8 });
    let mut decoder = Decoder::new(LIMITS);
    let expected = center(&picture(w, h), crop, &spec);
    let mut views = ViewMaker::new();
    let mut hash = |picture: &Picture| {
        views.make(picture, crop, &spec, &View::CENTER, &mut vec![0.0; spec.len()]).expect("a view");
        views.hash()
    };
    let expected_hash = hash(&picture(w, h));
    for exif in 1..=8_u8 {
        let turn = Turn::of(Orientation::from_exif(exif).expect("1 to 8"));
        let (sw, sh) = turn.size(w, h);
        // Where each upright pixel goes, after the table of EXIF: which side of the scene are row 0 and column 0?
        let mut stored = vec![0; upright.len()];
        for y in 0..h {
            for x in 0..w {
                let (sx, sy) = match exif {
                    1 => (x, y),
                    2 => (w - 1 - x, y),
                    3 => (w - 1 - x, h - 1 - y),
                    4 => (x, h - 1 - y),
                    5 => (y, x),
                    6 => (y, w - 1 - x),
                    7 => (h - 1 - y, w - 1 - x),
                    _ => (h - 1 - y, x),
                };
                let (from, to) = (((y * w + x) * 3) as usize, ((sy * sw + sx) * 3) as usize);
                stored[to..to + 3].copy_from_slice(&upright[from..from + 3]);
            }
        }
        let file = Jpeg { orientation: Some(exif), sampling: (1, 1), ..Jpeg::of_size(sw, sh) }.encode(&stored);
        let picture = decoder.decode(&file, &spec.need(crop, &[View::CENTER])).expect("decodes");
        let difference = difference(&center(picture, crop, &spec), &expected);
        assert!(difference < 1.5, "{difference} in orientation {exif}");
        let distance = expected_hash.distance(hash(picture));
        assert!(distance <= 3, "the hash is {distance} bits off in orientation {exif}");
    }
}

/// What `need` asks for is enough for the view, at every size and shape, and hardly differs from a full decode.
#[test]
fn the_needed_part_is_enough() {
    let mut random = Random::new(9);
    let mut decoder = Decoder::new(LIMITS);
    for round in 0..150 {
        let (w, h) = (1 + random.below(700), 1 + random.below(500));
        let file = Jpeg { orientation: Some(1 + random.below(8) as u8), ..Jpeg::of_size(w, h) }.encode(&photo(w, h));
        let view = 16 + random.below(80);
        let spec = InputSpec {
            interpolation: if round % 2 == 0 { Interpolation::Bicubic } else { Interpolation::Bilinear },
            crop: if round % 5 == 0 { CropMode::Squash } else { CropMode::Center },
            ..plain(view, 10 + random.below(view - 10), view + random.below(30))
        };
        let start = random.below(800) as f32 / 1000.0;
        let crop = (round % 3 == 0).then_some(Crop { x: start, y: start / 2.0, w: 1.0 - start, h: 0.3 });
        let everything = decoder.decode(&file, &crate::frame::decode::Need::EVERYTHING).expect("decodes");
        let expected = center(everything, crop, &spec);
        let part = decoder.decode(&file, &spec.need(crop, &[View::CENTER])).expect("decodes");
        let found = center(part, crop, &spec);
        let difference = difference(&found, &expected);
        // The scene has stripes that in a tiny frame are as fine as its pixels.
        let limit = if part.scale == 1.0 { 0.0 } else { 2.5 };
        assert!(difference <= limit, "{difference} for {w}x{h} {crop:?} {spec:?} at {}", part.scale);
    }
}

/// The aliases that libjpeg's own reduced decode has would make it 0.33.
#[test]
fn a_reduced_decode_has_no_aliases() {
    let (mut rgb, mut random) = (photo(960, 540), Random::new(2));
    rgb.iter_mut().for_each(|value| *value = value.saturating_add(random.below(24) as u8));
    let (file, spec) = (Jpeg::of_size(960, 540).encode(&rgb), plain(112, 112, 128));
    let mut decoder = Decoder::new(LIMITS);
    let everything = decoder.decode(&file, &crate::frame::decode::Need::EVERYTHING).expect("decodes");
    let expected = center(everything, None, &spec);
    let part = decoder.decode(&file, &spec.need(None, &[View::CENTER])).expect("decodes");
    assert_eq!(part.scale, 0.5);
    let difference = difference(&center(part, None, &spec), &expected);
    assert!(difference < 0.29, "{difference}");
}

#[test]
fn errors_say_what_is_wrong() {
    let mut views = ViewMaker::new();
    let frame = picture(40, 30);
    let spec = plain(16, 16, 20);
    let error = views.make(&frame, None, &spec, &View::CENTER, &mut [0.0; 3]).expect_err("too short");
    assert_eq!(error.to_string(), "a view has 768 floats, but there is room for 3");
    let mut out = vec![0.0; spec.len()];
    let error = views
        .make(&frame, None, &InputSpec { resize: 15, ..spec.clone() }, &View::CENTER, &mut out)
        .expect_err("too small");
    assert_eq!(error.to_string(), "resize = 15 is less than the view of 16x16");
    let part = Picture { frame_width: 80, ..frame };
    let error = views.make(&part, None, &spec, &View::CENTER, &mut out).expect_err("not decoded");
    assert!(matches!(error, ViewError::NotDecoded { width: 40, height: 30, .. }), "{error}");
}

/// All views that are made of a frame in some condition, or by some set.
fn all_views() -> Vec<View> {
    let sets = Views::NAMES.map(|(name, _)| Views::named(name).expect("a set").views().to_vec());
    let conditions = [Condition::Good, Condition::Soft, Condition::Blurred, Condition::Dark];
    let dynamic = conditions.map(|condition| dynamic::views_for(condition).to_vec());
    sets.into_iter().chain(dynamic).flatten().collect()
}

#[test]
fn every_view_can_be_made_of_what_it_needs() {
    let crops = [None, Some(Crop { x: 0.1, y: 0.2, w: 0.5, h: 0.3 })];
    let mut decoder = Decoder::new(LIMITS);
    for (w, h, orientation) in [(640, 480, 1), (90, 130, 6), (1600, 300, 8), (3, 2, 1)] {
        let file = Jpeg { orientation: Some(orientation), ..Jpeg::of_size(w, h) }.encode(&photo(w, h));
        for spec in [plain(224, 224, 256), plain(64, 48, 64), InputSpec { crop: CropMode::Squash, ..plain(48, 48, 48) }]
        {
            for crop in crops {
                for view in all_views() {
                    let picture = decoder.decode(&file, &spec.need(crop, &[view])).expect("decodes");
                    let mut out = vec![f32::NAN; spec.len()];
                    let made = ViewMaker::new().make(picture, crop, &spec, &view, &mut out);
                    assert_eq!(made, Ok(()), "{view:?} of {w}x{h} {orientation} {crop:?}");
                    assert!(out.iter().all(|float| (0.0..=255.0).contains(float)), "{view:?} of {w}x{h}");
                }
            }
        }
    }
}

#[test]
fn one_decoding_serves_all_views_of_a_condition() {
    let (file, spec) = (Jpeg::of_size(800, 500).encode(&photo(800, 500)), plain(224, 224, 256));
    let mut decoder = Decoder::new(LIMITS);
    for condition in [Condition::Good, Condition::Soft, Condition::Blurred, Condition::Dark] {
        let views = dynamic::views_for(condition);
        let picture = decoder.decode(&file, &spec.need(None, views)).expect("decodes");
        for view in views {
            let made = ViewMaker::new().make(picture, None, &spec, view, &mut vec![0.0; spec.len()]);
            assert_eq!(made, Ok(()), "{view:?}");
        }
    }
}

fn made(picture: &Picture, view: &View, spec: &InputSpec) -> Vec<u8> {
    let mut out = vec![f32::NAN; spec.len()];
    ViewMaker::new().make(picture, None, spec, view, &mut out).expect("a view");
    out.iter().map(|&float| float as u8).collect()
}

#[test]
fn a_squashed_view_is_what_a_squashing_model_sees() {
    let (picture, spec) = (picture(120, 80), plain(32, 32, 36));
    let squashed = View { framing: Framing::Squashed, ..View::CENTER };
    let model = InputSpec { crop: CropMode::Squash, ..spec.clone() };
    assert_eq!(made(&picture, &squashed, &spec), center(&picture, None, &model));
}

#[test]
fn corners_are_at_the_edges_of_the_frame() {
    // Left to right the red rises, top to bottom the green.
    let mut ramp = picture(64, 64);
    ramp.rgb = (0..64 * 64).flat_map(|at| [(at % 64 * 4) as u8, (at / 64 * 4) as u8, 0]).collect();
    let spec = plain(32, 32, 64);
    for (right, bottom) in [(false, false), (true, false), (false, true), (true, true)] {
        let view = View { framing: Framing::Corner { scale: 1.0, right, bottom }, ..View::CENTER };
        let start = [right, bottom].map(|far| if far { 128 } else { 0 });
        assert_eq!(made(&ramp, &view, &spec)[..2], start, "{view:?}");
    }
}

#[test]
fn a_smaller_scale_shows_all_and_the_mean_colour_around_it() {
    let mut white = picture(40, 40);
    white.rgb.fill(255);
    let spec = InputSpec { mean: [0.0; 3], ..plain(20, 20, 20) };
    let view = made(&white, &View::middle(0.5), &spec);
    let white = view.chunks(3).filter(|pixel| pixel == &[255; 3]).count();
    assert_eq!((white, view[0]), (100, 0));
}
