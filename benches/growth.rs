//! How what a frame costs beside the network grows: with its size, the views of it, and the classes of the model. How it grows with
//! the number of cameras, says `glanced bench --growth`.

use std::sync::Arc;

use divan::{Bencher, black_box};
use glanced::classify::session::{Computing, Runtime};
use glanced::classify::views::{OVERSAMPLE, ViewMaker, Views};
use glanced::classify::{rank, temperature};
use glanced::frame::Received;
use glanced::frame::decode::{Decoder, Limits};
use glanced::frame::pipeline::Pipeline;
use glanced::frame::steps::{Occasion, Steps};
use glanced::frame::{Route, next_id};
use glanced::model::Bundle;
use glanced::mqtt::wire::{self, About, ResultMessage};
use glanced::tune::scene;

fn main() {
    divan::main();
}

const SIZES: [(usize, usize); 5] = [(320, 240), (640, 480), (1280, 720), (1920, 1080), (3840, 2160)];
const LIMITS: Limits = Limits { max_bytes: 64 << 20, max_pixels: 40_000_000 };

fn bundle() -> Arc<Bundle> {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/efficientnet-lite0/1");
    Arc::new(Bundle::open(&dir).expect("`make setup` makes the model"))
}

/// From a JPEG file to the network's input, one view.
#[divan::bench(args = SIZES)]
fn frame_size(bencher: Bencher, (width, height): (usize, usize)) {
    run(bencher, (width, height), "center");
}

/// The same of 720p for 1, 2, 3, 4, 5 and 10 views.
#[divan::bench(args = Views::NAMES.map(|(name, _)| name))]
fn views(bencher: Bencher, name: &str) {
    run(bencher, SIZES[2], name);
}

fn run(bencher: Bencher, (width, height): (usize, usize), set: &str) {
    let file = scene(width, height).expect("a JPEG file");
    let (spec, views) = (&bundle().input, Views::named(set).expect("a set of that name"));
    let (mut decoder, mut maker) = (Decoder::new(LIMITS), ViewMaker::new());
    let mut out = vec![0.0; spec.len()];
    bencher.bench_local(|| {
        let need = spec.need_at(None, views.views(), OVERSAMPLE);
        let picture = decoder.decode(black_box(&file), &need).expect("decodes");
        for view in views.views() {
            maker.make(picture, None, spec, view, &mut out).expect("views");
        }
    });
}

/// From the network's scores to the best three.
#[divan::bench(args = [10, 100, 1_000, 10_000])]
fn classes(bencher: Bencher, count: usize) {
    let logits: Vec<f32> = (0..count).map(|i| (i.wrapping_mul(40_503) % 4096) as f32 / 400.0).collect();
    let mut probabilities = vec![0.0; count];
    bencher.bench_local(|| {
        temperature::softmax(black_box(&logits), 0.7, &mut probabilities);
        rank::top::<3>(&probabilities)
    });
}

/// The result of a frame as it is published.
#[divan::bench]
fn json(bencher: Bencher) {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let runtime = Runtime::load(Some(&root.join("runtime/libonnxruntime.so")), None).expect("`make setup` fetches it");
    let bundle = bundle();
    let mut pipeline =
        Pipeline::new(&runtime, &[Arc::clone(&bundle)], Computing::threads(1), LIMITS).expect("the model loads");
    let file = scene(640, 480).expect("a JPEG file");
    let glance = pipeline.classify(&file, &Route::WHOLE, &Steps::default(), Occasion::default()).expect("an answer");
    let received = Received::now();
    bencher.bench_local(|| {
        let about = About {
            frame: next_id(),
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
        wire::to_json(&ResultMessage::new(black_box(about), &glance, &bundle))
    });
}
