//! A frame like the one before it allocates nothing: what it needs is kept from frame to frame.
//!
//! Of its own, since it has an allocator of its own. libjpeg's memory is C's, and not counted.

mod counting;

use counting::{Counting, count};
use std::path::Path;
use std::sync::Arc;

use glanced::classify::session::{Computing, Runtime};
use glanced::classify::views::{View, ViewMaker};
use glanced::config::Encoding;
use glanced::frame::decode::{Decoder, Limits};
use glanced::frame::pipeline::Pipeline;
use glanced::frame::steps::{Occasion, Steps};
use glanced::frame::{Received, Route, jpeg as files, payload};
use glanced::model::{Bundle, CropMode, InputSpec, Interpolation, Layout};
use glanced::mqtt::wire::{self, About, ResultMessage};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const LIMITS: Limits = Limits { max_bytes: 64 << 20, max_pixels: 40_000_000 };

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
    files::encode(&rgb, width, height, 85.0).expect("a JPEG can be encoded")
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

/// What decoding and viewing each of some frames, one after the other, allocates.
fn allocations_of(frames: &[Vec<u8>], layout: Layout) -> Vec<usize> {
    let spec = spec(layout);
    let (mut decoder, mut views) = (Decoder::new(LIMITS), ViewMaker::new());
    let mut out = vec![0.0; spec.len()];
    let look = |frame: &Vec<u8>| {
        count(|| {
            let picture = decoder.decode(frame, &spec.need(None, &[View::CENTER])).expect("decodes");
            views.make(picture, None, &spec, &View::CENTER, &mut out).expect("a view");
        })
    };
    frames.iter().map(look).collect()
}

/// A worker has frames of several cameras in turn.
#[test]
fn frames_of_two_sizes_in_turn_allocate_nothing() {
    let frames = [jpeg(1920, 1080, 0), jpeg(640, 480, 1), jpeg(1920, 1080, 2), jpeg(640, 480, 3)];
    assert_eq!(allocations_of(&frames, Layout::Nchw)[2..], [0, 0]);
}

#[test]
fn decoding_and_viewing_a_frame_like_the_last_one_allocates_nothing() {
    // Full size, half and a quarter of it.
    for (width, height) in [(640, 480), (1920, 1080), (3840, 2160)] {
        let frames = [0, 1, 2].map(|shade| jpeg(width, height, shade));
        for layout in [Layout::Nchw, Layout::Nhwc] {
            let allocations = allocations_of(&frames, layout);
            assert!(allocations[0] > 0, "the first one needs memory");
            assert_eq!(allocations[1..], [0, 0], "{width}x{height}, {layout:?}");
        }
    }
}

/// From the payload to the message that is published. What ort makes of the network's output is its own, and the JSON is what goes
/// out; they are counted apart.
#[test]
fn a_frame_like_the_last_one_allocates_the_handle_of_its_output_and_its_result() {
    /// The handle itself, and that of its allocator.
    const HANDLE: usize = 2;
    const RESULT: usize = 1;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let runtime = Runtime::load(Some(&root.join("runtime/libonnxruntime.so")), None).expect("`make setup` fetches it");
    let bundle = Arc::new(Bundle::open(&root.join("tests/bundles/tints/1")).expect("a bundle"));
    let models = [Arc::clone(&bundle)];
    let mut pipeline = Pipeline::new(&runtime, &models, Computing::threads(1), LIMITS).expect("a network");
    let frames = [0, 1, 2, 3].map(|shade| jpeg(640, 480, shade));
    let steps = Steps::default();
    let allocations = frames.each_ref().map(|frame| {
        let received = Received::now();
        let mut glance = None;
        let looking = count(|| {
            let unpacked = payload::unpack(frame, Encoding::Auto, LIMITS.max_bytes).expect("an image");
            assert!(
                std::ptr::eq(&raw const *unpacked.image, &raw const **frame),
                "the payload's own bytes are decoded"
            );
            let seen = pipeline.classify(&unpacked.image, &Route::WHOLE, &steps, Occasion::default());
            glance = Some(seen.expect("an answer"));
        });
        let glance = glance.expect("an answer");
        let answering = count(|| {
            let about = About {
                frame: received.id,
                repeat_of: None,
                id: None,
                camera: Some("gate"),
                node: "box-7",
                captured_at: None,
                received_at: received.at,
                age: received.instant.elapsed(),
                queue: received.instant.elapsed(),
                dropped: 0,
            };
            assert!(!wire::to_json(&ResultMessage::new(about, &glance, &bundle)).is_empty());
        });
        (looking, answering)
    });
    assert_eq!(allocations[2..], [(HANDLE, RESULT); 2]);
}
