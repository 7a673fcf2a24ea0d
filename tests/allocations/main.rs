//! A frame like the one before it allocates nothing: what it needs is kept from frame to frame.
//!
//! Of its own, since it has an allocator of its own. libjpeg's memory is C's, and not counted.

mod counting;

use counting::{Counting, count};
use glanced::classify::views::{View, ViewMaker};
use glanced::frame::decode::{Decoder, Limits};
use glanced::model::{CropMode, InputSpec, Interpolation, Layout};
use mozjpeg::{ColorSpace, Compress};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn spec(layout: Layout) -> InputSpec {
    InputSpec {
        tensor: "input".into(),
        layout,
        height: 224,
        width: 224,
        resize: 256,
        crop: CropMode::Center,
        interpolation: Interpolation::Bicubic,
        mean: [127.0; 3],
        std: [128.0; 3],
    }
}

/// A JPEG as cameras send it; no two `shade`s look alike.
fn jpeg(width: usize, height: usize, shade: usize) -> Vec<u8> {
    let rgb: Vec<u8> = (0..width * height * 3).map(|at| (at * (7 + shade) / 50 % 256) as u8).collect();
    let encode = || {
        let mut encoder = Compress::new(ColorSpace::JCS_RGB);
        encoder.set_fastest_defaults();
        encoder.set_size(width, height);
        encoder.set_quality(85.0);
        let mut started = encoder.start_compress(Vec::new())?;
        started.write_scanlines(&rgb)?;
        started.finish()
    };
    encode().expect("a JPEG can be encoded")
}

#[test]
fn the_allocator_counts() {
    assert_eq!(count(|| ()), 0);
    assert_eq!(count(|| drop(Vec::<u8>::with_capacity(10))), 1);
    assert_eq!(count(|| drop(vec![0_u8; 10])), 1);
    let mut longer = vec![0_u8; 10];
    assert_eq!(count(|| longer.reserve_exact(10_000)), 1);
    let elsewhere = || (0..1000).for_each(|_| drop(std::hint::black_box(Box::new(7_u8))));
    assert!(count(|| std::thread::spawn(elsewhere).join().expect("no panic")) < 1000, "its own thread alone");
}

#[test]
fn decoding_and_viewing_a_frame_like_the_last_one_allocates_nothing() {
    // Full size, half and a quarter of it.
    for (width, height) in [(640, 480), (1920, 1080), (3840, 2160)] {
        let frames = [0, 1, 2].map(|shade| jpeg(width, height, shade));
        for layout in [Layout::Nchw, Layout::Nhwc] {
            let spec = spec(layout);
            let (mut decoder, mut views) =
                (Decoder::new(Limits { max_bytes: 64 << 20, max_pixels: 40_000_000 }), ViewMaker::new());
            let mut out = vec![0.0; spec.len()];
            let allocations = frames.each_ref().map(|frame| {
                count(|| {
                    let picture = decoder.decode(frame, &spec.need(None, &[View::CENTER])).expect("decodes");
                    views.make(picture, None, &spec, &View::CENTER, &mut out).expect("a view");
                })
            });
            assert!(allocations[0] > 0, "the first one needs memory");
            assert_eq!(allocations[1..], [0, 0], "{width}x{height}, {layout:?}");
        }
    }
}
