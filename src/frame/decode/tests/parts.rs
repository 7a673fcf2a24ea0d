//! Decoding less than everything.

use super::super::samples::{Jpeg, Random, difference, photo};
use super::*;

#[test]
fn a_reduced_decode_is_a_small_picture_of_the_same() {
    let (w, h) = (1000, 600);
    let rgb = photo(w, h);
    let bytes = Jpeg::of_size(w, h).encode(&rgb);
    let mut decoder = decoder();
    for (short_side, expected) in
        [(601, 1.0), (600, 1.0), (301, 1.0), (300, 0.5), (151, 0.5), (150, 0.25), (75, 0.125), (1, 0.125)]
    {
        let need = Need { short_side, ..Need::EVERYTHING };
        let picture = decoder.decode(&bytes, &need).expect("decodes");
        assert_eq!(picture.scale, expected, "for {short_side}");
        // Means over the squares of pixels that became one.
        let step = (1.0 / picture.scale) as u32;
        let mean = |x: u32, y: u32, c: u32| {
            let pixels = (0..step * step).map(|i| ((y * step + i / step) * w + x * step + i % step) * 3 + c);
            (pixels.map(|at| u32::from(rgb[at as usize])).sum::<u32>() / (step * step)) as u8
        };
        let expected: Vec<u8> = (0..picture.width * picture.height * 3)
            .map(|i| mean(i / 3 % picture.width, i / 3 / picture.width, i % 3))
            .collect();
        assert!(
            difference(&picture.rgb, &expected) < 2.0,
            "at {}: {}",
            picture.scale,
            difference(&picture.rgb, &expected)
        );
    }
}

/// The part that was asked for has the very bytes that a decode of everything has there.
#[test]
fn a_part_agrees_with_the_whole() {
    let mut random = Random::new(11);
    let mut parts = decoder();
    let mut wholes = decoder();
    for round in 0..400 {
        let (w, h) = (20 + random.below(300), 20 + random.below(300));
        let file = Jpeg {
            sampling: [(1, 1), (2, 1), (2, 2), (1, 2), (4, 1)][round % 5],
            progressive: random.below(3) == 0,
            orientation: Some(1 + random.below(8) as u8),
            ..Jpeg::of_size(w, h)
        };
        let bytes = file.encode(&photo(w, h));
        let fraction = |random: &mut Random| random.below(1000) as f32 / 1000.0;
        let (x, y) = (fraction(&mut random), fraction(&mut random));
        let crop = Crop { x, y, w: (1.0 - x) * fraction(&mut random), h: (1.0 - y) * fraction(&mut random) };
        let middle = (random.below(2) == 0).then(|| (fraction(&mut random), fraction(&mut random)));
        let need = Need { crop: Some(crop), short_side: random.below(60), middle };

        let part = parts.decode(&bytes, &need).expect("decodes");
        // The same scale: as many pixels of the whole frame as the part's scale leaves.
        let short_side = (f64::from(w.min(h)) * part.scale).floor() as u32;
        let whole = wholes.decode(&bytes, &Need { short_side, ..Need::EVERYTHING }).expect("decodes");
        assert_eq!(part.scale, whole.scale);
        assert_eq!(whole.origin, (0, 0));

        let area = part.locate(need.area(part.frame_width, part.frame_height, part.scale));
        let (x0, y0) = (area.x.floor() as u32, area.y.floor() as u32);
        let (x1, y1) = ((area.x + area.w).ceil() as u32, (area.y + area.h).ceil() as u32);
        assert!(x1 <= part.width && y1 <= part.height, "{file:?} {need:?}");
        for y in y0..y1 {
            let at = |picture: &Picture, x: u32, y: u32| ((y * picture.width + x) * 3) as usize;
            let of_part = &part.rgb[at(part, x0, y)..at(part, x1, y)];
            let (ox, oy) = part.origin;
            let of_whole = &whole.rgb[at(whole, x0 + ox, y + oy)..at(whole, x1 + ox, y + oy)];
            assert_eq!(of_part, of_whole, "row {y} of {file:?} {need:?} at {}", part.scale);
        }
    }
}

#[test]
fn memory_of_a_large_frame_is_given_back() {
    let mut buffer = Vec::new();
    resize_buffer(&mut buffer, 100 << 20);
    resize_buffer(&mut buffer, 1920 * 1080 * 3);
    assert!(buffer.capacity() < 10 << 20);
    let capacity = buffer.capacity();
    resize_buffer(&mut buffer, 1000);
    assert_eq!(buffer.capacity(), capacity, "the usual sizes keep their memory");
}
