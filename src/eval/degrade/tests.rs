use super::*;
use crate::frame::decode::samples::{difference, photo};

fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_raw(width, height, photo(width, height)).unwrap()
}

fn mean(picture: &RgbImage) -> f64 {
    picture.iter().map(|&value| f64::from(value)).sum::<f64>() / picture.len() as f64
}

/// A number for a picture, which changes if a single sample does.
fn checksum(picture: &RgbImage) -> u32 {
    crc32fast::hash(picture.as_raw())
}

#[test]
fn names_are_those_that_the_command_line_takes() {
    for degradation in Degradation::ALL {
        assert_eq!(degradation.to_string().parse(), Ok(degradation));
        let value = clap::ValueEnum::to_possible_value(&degradation).unwrap();
        assert_eq!(value.get_name(), degradation.name());
    }
    let error = "fog".parse::<Degradation>().unwrap_err().to_string();
    assert_eq!(error, "no degradation is called \"fog\"; there are blur, tilt, dark, lowres, occlude, jpeg");
}

/// The promise that figures of different machines can be compared.
#[test]
fn a_seed_gives_these_pictures_everywhere() {
    // Made without a sine, which need not be the same everywhere. It has slopes, and edges where the numbers start over.
    let slopes = |x: u32, y: u32| Rgb([x * 3 / 2, x * y / 80, (x * x + y * y) / 60].map(|value| value as u8));
    let photo = RgbImage::from_fn(160, 120, slopes);
    let sums = Degradation::ALL.map(|degradation| checksum(&degradation.apply(&photo, 1)));
    assert_eq!(sums, [2_537_595_377, 1_383_662_860, 3_510_045_300, 2_316_052_087, 281_636_921, 3_766_996_041]);
    assert_eq!(checksum(&jitter(&photo, 1)), 3_696_591_735);
}

#[test]
fn each_degradation_changes_the_picture_as_its_seed_says_and_keeps_its_size() {
    let photo = picture(90, 160);
    for degradation in Degradation::ALL {
        let (a, b) = (degradation.apply(&photo, 3), degradation.apply(&photo, 3));
        assert_eq!(a, b, "{degradation}");
        assert_eq!(a.dimensions(), photo.dimensions());
        let changed = difference(&a, &photo);
        assert!(changed > 0.2, "{degradation} {changed}");
    }
    let seeds = Degradation::ALL.map(|degradation| degradation.seed(1, 2));
    assert!(seeds.iter().enumerate().all(|(index, seed)| !seeds[..index].contains(seed)));
    assert_ne!(Degradation::Dark.seed(1, 2), Degradation::Dark.seed(2, 1));
}

#[test]
fn pictures_of_any_size_are_taken() {
    for (width, height) in [(0, 0), (0, 5), (1, 1), (2, 1), (1, 40), (3, 3), (7, 11)] {
        let photo = picture(width, height);
        for degradation in Degradation::ALL {
            assert_eq!(degradation.apply(&photo, 0).dimensions(), (width, height), "{degradation}");
        }
        assert_eq!(sequence(&photo, Some(Degradation::Tilt), 2, 0).len(), 2);
    }
}

#[test]
fn blur_is_the_gaussian() {
    // The step response of a Gaussian is its distribution function, here with 3 pixels for a standard deviation.
    let edge = RgbImage::from_fn(400, 320, |x, _| if x < 200 { Rgb([0, 10, 0]) } else { Rgb([200, 10, 100]) });
    let blurred = Degradation::Blur.apply(&edge, 0);
    for (x, share) in [(180, 0.0), (196, 0.1217), (199, 0.4338), (200, 0.5662), (203, 0.8783), (220, 1.0)] {
        let pixel = blurred.get_pixel(x, 100);
        assert!((f64::from(pixel[0]) - 200.0 * share).abs() < 2.0, "{x} {pixel:?}");
        assert!((f64::from(pixel[2]) - 100.0 * share).abs() < 1.5, "{x} {pixel:?}");
        assert_eq!(pixel[1], 10);
    }
    // Both ways the same, and at the edges nothing gets darker.
    let turned = Degradation::Blur.apply(&imageops::rotate90(&edge), 0);
    assert!(difference(&turned, &imageops::rotate90(&blurred)) < 0.01);
    assert_eq!(blurred.get_pixel(399, 0), &Rgb([200, 10, 100]));
    // Twice the size, twice as wide: half the size again, it looks the same.
    let twice = RgbImage::from_fn(800, 640, |x, y| *edge.get_pixel(x / 2, y / 2));
    let twice = Degradation::Blur.apply(&twice, 0);
    let halved = RgbImage::from_fn(400, 320, |x, y| *twice.get_pixel(2 * x, 2 * y));
    assert!(difference(&halved, &blurred) < 1.0);
}

#[test]
fn tilt_turns_about_the_centre() {
    // A quarter turn is exact, and needs no interpolation.
    let photo = picture(50, 50);
    assert_eq!(rotate::rotate(&photo, 90.0), imageops::rotate90(&photo));
    assert_eq!(rotate::rotate(&photo, 0.0), photo);
    // There and back, the middle is as it was.
    let photo = picture(120, 100);
    let back = rotate::rotate(&rotate::rotate(&photo, 20.0), -20.0);
    let middle = |picture: &RgbImage| imageops::crop_imm(picture, 40, 30, 40, 40).to_image();
    let changed = difference(&middle(&back), &middle(&photo));
    assert!(changed < 1.0, "{changed}");
    // To one side or the other, with black corners.
    let sides: Vec<RgbImage> = (0..8).map(|seed| Degradation::Tilt.apply(&photo, seed)).collect();
    let (left, right) = (rotate::rotate(&photo, -20.0), rotate::rotate(&photo, 20.0));
    assert!(sides.contains(&left) && sides.contains(&right));
    assert!(sides.iter().all(|side| *side == left || *side == right));
    for (x, y) in [(0, 0), (119, 0), (0, 99), (119, 99)] {
        assert_eq!(left.get_pixel(x, y), &Rgb([0; 3]));
    }
}

#[test]
fn dark_is_a_quarter_of_the_light_with_noise_in_each_sample() {
    let grey = RgbImage::from_pixel(200, 200, Rgb([200, 200, 200]));
    let dark = Degradation::Dark.apply(&grey, 5);
    let values: Vec<f64> = dark.iter().map(|&value| f64::from(value) - 50.0).collect();
    let average = values.iter().sum::<f64>() / values.len() as f64;
    let deviation = (values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64).sqrt();
    assert!(average.abs() < 0.2 && (deviation - 10.0).abs() < 0.2, "{average} {deviation}");
    // The channels have noise of their own.
    let products = values.chunks_exact(3).map(|rgb| rgb[0] * rgb[1] + rgb[1] * rgb[2]);
    let covariance = products.sum::<f64>() / (values.len() as f64 / 3.0);
    assert!(covariance.abs() < 3.0, "{covariance}");
    assert_ne!(dark, Degradation::Dark.apply(&grey, 6));
    // Limited, not wrapped.
    let black = Degradation::Dark.apply(&RgbImage::new(50, 50), 0);
    assert!(black.iter().all(|&value| value < 60));
}

#[test]
fn low_resolution_averages_boxes_and_interpolates() {
    // Columns of 5 with a step between them: the averages are those of the columns.
    let steps = RgbImage::from_fn(50, 10, |x, y| Rgb([(x / 5 * 20) as u8, ((x % 5) * 10) as u8, (y % 5) as u8]));
    let low = Degradation::Lowres.apply(&steps, 0);
    for column in 0..10 {
        // The middle of a box is where the small picture's pixel is.
        let pixel = low.get_pixel(column * 5 + 2, 5);
        assert_eq!(pixel, &Rgb([(column * 20) as u8, 20, 2]), "{column}");
    }
    // Between the middles of two boxes: two fifths of the way.
    assert_eq!(low.get_pixel(2 + 2, 5)[0], 8);
}

#[test]
fn occlude_covers_the_middle_ninth() {
    let low = Degradation::Occlude.apply(&RgbImage::new(10, 30), 0);
    let grey: Vec<_> = low.enumerate_pixels().filter(|(.., pixel)| **pixel == Rgb([128; 3])).collect();
    assert_eq!(grey.len(), 3 * 10);
    assert!(grey.iter().all(|(x, y, _)| (3..6).contains(x) && (10..20).contains(y)));
}

#[test]
fn jpeg_of_quality_ten_has_blocks() {
    let photo = picture(64, 48);
    let jpeg = Degradation::Jpeg.apply(&photo, 0);
    let changed = difference(&jpeg, &photo);
    assert!((2.0..20.0).contains(&changed), "{changed}");
    assert!((mean(&jpeg) - mean(&photo)).abs() < 3.0);
}

#[test]
fn jitter_takes_nine_tenths_from_anywhere_in_other_light() {
    let photo = RgbImage::from_fn(100, 60, |x, y| Rgb([x as u8, y as u8, 100]));
    let (mut lights, mut places) = (Vec::new(), Vec::new());
    for seed in 0..200 {
        let part = jitter(&photo, seed);
        assert_eq!(part.dimensions(), (90, 54));
        let light = f64::from(part.get_pixel(0, 0)[2]) / 100.0;
        lights.push(light);
        places.push((f64::from(part.get_pixel(89, 0)[0]) / light - 89.0).round() as i32);
    }
    let (low, high) = lights.iter().fold((2.0_f64, 0.0_f64), |(low, high), &light| (low.min(light), high.max(light)));
    assert!((0.85..0.87).contains(&low) && (1.13..=1.15).contains(&high), "{low} {high}");
    assert!((0..=10).all(|place| places.contains(&place)), "{places:?}");
    assert!(places.iter().all(|place| (-1..=11).contains(place)), "{places:?}");
}

#[test]
fn frames_of_a_sequence_differ_and_lean_one_way() {
    let grey = RgbImage::from_pixel(100, 100, Rgb([200; 3]));
    let frames = sequence(&grey, Some(Degradation::Dark), 3, 1);
    assert_eq!(frames.len(), 3);
    assert_eq!(frames[0].dimensions(), (90, 90));
    assert!(frames[0] != frames[1] && frames[1] != frames[2]);
    assert_eq!(frames, sequence(&grey, Some(Degradation::Dark), 3, 1));
    assert_eq!(frames[..2], sequence(&grey, Some(Degradation::Dark), 2, 1));
    assert_eq!(sequence(&grey, None, 1, 1)[0], jitter(&grey, mix(1, 0, "jitter")));

    // How far a picture leans shows in how long the black is at its top: at its left end, or at its right.
    let mut ways = Vec::new();
    for seed in 0..8 {
        let leans: Vec<i32> = sequence(&grey, Some(Degradation::Tilt), 8, seed)
            .iter()
            .map(|frame| {
                let black = |x: u32| (0..90).take_while(|&y| frame.get_pixel(x, y)[0] == 0).count() as i32;
                black(0) - black(89)
            })
            .collect();
        assert!(leans.iter().all(|lean| lean.signum() == leans[0].signum()), "{leans:?}");
        assert!(leans.iter().any(|lean| *lean != leans[0]), "{leans:?}");
        ways.push(leans[0].signum());
    }
    assert!(ways.contains(&1) && ways.contains(&-1));
}
