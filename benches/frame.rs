//! What the steps of a frame beside the network cost: decoding, the view, and what follows the scores.
//!
//! Run all of it in one go, and compare within the run: the figures depend on what else the machine does.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use fast_image_resize::pixels::U8x3;
use glanced::classify::dhash::PictureHash;
use glanced::classify::quality::{Condition, Quality};
use glanced::classify::sketch::Sketch;
use glanced::classify::temporal::Temporal;
use glanced::classify::views::{View, ViewMaker};
use glanced::classify::{dynamic, prior, rank, temperature};
use glanced::config::{Encoding, Repeating, Repeats as RepeatsConfig};
use glanced::frame::decode::{Decoder, Limits, Need};
use glanced::frame::payload;
use glanced::frame::repeats::Repeats;
use glanced::model::{CropMode, InputSpec, Interpolation, Layout, Pair, Prior};
use glanced::tune::scene_pixels;

/// Says how much each step allocates.
#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

const SIZES: [(usize, usize); 4] = [(640, 480), (1280, 720), (1920, 1080), (3840, 2160)];
const LIMITS: Limits = Limits { max_bytes: 64 << 20, max_pixels: 40_000_000 };

/// Efficientnet-lite0's.
fn spec() -> InputSpec {
    InputSpec {
        tensor: "input".into(),
        layout: Layout::Nchw,
        height: 224,
        width: 224,
        resize: 256,
        crop: CropMode::Center,
        interpolation: Interpolation::Bicubic,
        mean: [127.0; 3],
        std: [128.0; 3],
    }
}

fn jpeg((width, height): (usize, usize), progressive: bool) -> Vec<u8> {
    let encode = || -> std::io::Result<Vec<u8>> {
        let mut encoder = mozjpeg::Compress::new(mozjpeg::ColorSpace::JCS_RGB);
        encoder.set_fastest_defaults();
        encoder.set_size(width, height);
        encoder.set_quality(85.0);
        if progressive {
            encoder.set_progressive_mode();
        }
        let mut started = encoder.start_compress(Vec::new())?;
        started.write_scanlines(&scene_pixels(width, height))?;
        started.finish()
    };
    encode().expect("a JPEG can be encoded")
}

mod decode {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn needed_part(bencher: Bencher, size: (usize, usize)) {
        run(bencher, &jpeg(size, false), &spec().need(None, &[View::CENTER]));
    }

    #[divan::bench(args = SIZES)]
    fn reduced_whole(bencher: Bencher, size: (usize, usize)) {
        run(bencher, &jpeg(size, false), &Need { middle: None, ..spec().need(None, &[View::CENTER]) });
    }

    #[divan::bench(args = SIZES)]
    fn everything(bencher: Bencher, size: (usize, usize)) {
        run(bencher, &jpeg(size, false), &Need::EVERYTHING);
    }

    #[divan::bench(args = SIZES)]
    fn progressive(bencher: Bencher, size: (usize, usize)) {
        run(bencher, &jpeg(size, true), &spec().need(None, &[View::CENTER]));
    }

    fn run(bencher: Bencher, bytes: &[u8], need: &Need) {
        let mut decoder = Decoder::new(LIMITS);
        bencher.counter(BytesCount::new(bytes.len())).bench_local(|| {
            decoder.decode(black_box(bytes), need).expect("decodes");
        });
    }
}

mod view {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn of_needed_part(bencher: Bencher, size: (usize, usize)) {
        run(bencher, size, &spec(), &spec().need(None, &[View::CENTER]));
    }

    #[divan::bench(args = SIZES)]
    fn of_everything(bencher: Bencher, size: (usize, usize)) {
        run(bencher, size, &spec(), &Need::EVERYTHING);
    }

    #[divan::bench(args = SIZES)]
    fn bilinear(bencher: Bencher, size: (usize, usize)) {
        let spec = InputSpec { interpolation: Interpolation::Bilinear, ..spec() };
        run(bencher, size, &spec, &spec.need(None, &[View::CENTER]));
    }

    /// The first view of a frame in each condition, with its repair.
    #[divan::bench(args = [Condition::Good, Condition::Soft, Condition::Blurred, Condition::Dark])]
    fn repaired(bencher: Bencher, condition: Condition) {
        let (view, spec) = (dynamic::views_for(condition)[0], spec());
        let mut decoder = Decoder::new(LIMITS);
        let bytes = jpeg(SIZES[0], false);
        let picture = decoder.decode(&bytes, &spec.need(None, &[view])).expect("decodes");
        let mut views = ViewMaker::new();
        let mut out = vec![0.0; spec.len()];
        bencher.bench_local(|| views.make(black_box(picture), None, &spec, &view, &mut out).expect("views"));
    }

    /// What tells the condition.
    #[divan::bench]
    fn quality(bencher: Bencher) {
        let spec = spec();
        let (mut decoder, mut views, mut scratch) = (Decoder::new(LIMITS), ViewMaker::new(), Vec::new());
        let bytes = jpeg(SIZES[0], false);
        let picture = decoder.decode(&bytes, &spec.need(None, &[View::CENTER])).expect("decodes");
        views.make(picture, None, &spec, &View::CENTER, &mut vec![0.0; spec.len()]).expect("views");
        let (pixels, width) = views.last();
        bencher.bench_local(|| Quality::of(black_box(pixels), width, &mut scratch).condition());
    }

    /// No resize to speak of: what turning bytes into floats costs.
    #[divan::bench(args = [Layout::Nchw, Layout::Nhwc])]
    fn floats_only(bencher: Bencher, layout: Layout) {
        let spec = InputSpec { resize: 224, layout, ..spec() };
        run(bencher, (224, 224), &spec, &Need::EVERYTHING);
    }

    fn run(bencher: Bencher, size: (usize, usize), spec: &InputSpec, need: &Need) {
        let mut decoder = Decoder::new(LIMITS);
        let bytes = jpeg(size, false);
        let picture = decoder.decode(&bytes, need).expect("decodes");
        let mut views = ViewMaker::new();
        let mut out = vec![0.0; spec.len()];
        bencher.bench_local(|| views.make(black_box(picture), None, spec, &View::CENTER, &mut out).expect("views"));
    }
}

/// The middle of a message: base64 as one line and in lines of 76, as in a JSON envelope.
#[divan::bench(args = [false, true])]
fn unpack_json(bencher: Bencher, lines: bool) {
    use base64::Engine as _;
    let image = jpeg((1920, 1080), false);
    let mut text = base64::engine::general_purpose::STANDARD.encode(&image);
    if lines {
        text = text.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line) + " ").collect();
    }
    let payload = format!(r#"{{"id":"1","image":"{text}"}}"#);
    bencher.counter(BytesCount::new(payload.len())).bench_local(|| {
        payload::unpack(black_box(payload.as_bytes()), Encoding::Auto, LIMITS.max_bytes).expect("unpacks").image.len()
    });
}

/// What it costs to find out that a frame needs no look.
mod repeats {
    use std::time::Duration;

    use super::*;

    #[divan::bench]
    fn fingerprint_of_300_kb(bencher: Bencher) {
        let settings = RepeatsConfig { of: Repeating::Identical, max_age: Duration::from_secs(10), alike_below: 1.5 };
        let repeats = Repeats::new(settings, 1);
        let image: Vec<u8> = (0..300_000_u32).map(|at| (at.wrapping_mul(40_503) >> 7) as u8).collect();
        bencher.counter(BytesCount::new(image.len())).bench_local(|| repeats.fingerprint(black_box(&image)));
    }

    fn sketch() -> Sketch {
        Sketch::of(&pixels(), 224)
    }

    fn pixels() -> Vec<U8x3> {
        scene_pixels(224, 224).as_chunks::<3>().0.iter().map(|rgb| U8x3::new(*rgb)).collect()
    }

    #[divan::bench]
    fn sketch_of_a_view(bencher: Bencher) {
        let pixels = pixels();
        bencher.bench_local(|| Sketch::of(black_box(&pixels), 224));
    }

    #[divan::bench]
    fn compare_sketches(bencher: Bencher) {
        let (one, other) = (sketch(), sketch());
        bencher.bench_local(|| black_box(&one).is_alike(black_box(&other), 1.5));
    }
}

mod post {
    use super::*;

    fn logits() -> Vec<f32> {
        (0..1000_u16).map(|i| f32::from(i.wrapping_mul(40_503) >> 4) / 400.0).collect()
    }

    #[divan::bench]
    fn softmax(bencher: Bencher) {
        let (logits, mut out) = (logits(), vec![0.0; 1000]);
        bencher.bench_local(|| temperature::softmax(black_box(&logits), 0.7, &mut out));
    }

    /// All that follows the scores of a thousand classes, with every step on: a second view, the prior, the mean over frames.
    #[divan::bench]
    fn every_step(bencher: Bencher) {
        let neighbours = |class: u32| (1..=10).map(move |step| (class, (class + step * 37) % 1000));
        let pairs = (0..1000).flat_map(neighbours);
        let table = Prior::new(1000, pairs.map(|(class, neighbour)| Pair { class, neighbour, weight: 0.5 }));
        let table = table.expect("a thousand classes, ten neighbours each");
        let (logits, mut view, mut sum) = (logits(), vec![0.0; 1000], vec![0.0; 1000]);
        let mut temporal = Temporal::default();
        bencher.bench_local(|| {
            temperature::softmax(black_box(&logits), 0.7, &mut sum);
            let first = rank::top::<2>(&sum);
            temperature::softmax(black_box(&logits), 0.8, &mut view);
            sum.iter_mut().zip(&view).for_each(|(sum, score)| *sum = (*sum + score) / 2.0);
            prior::apply(&mut sum, &table, 0.1);
            temporal.update(&mut sum, 0.1, 8.0, PictureHash(7));
            (first, rank::top::<3>(&sum))
        });
    }

    #[divan::bench]
    fn top3(bencher: Bencher) {
        let logits = logits();
        bencher.bench_local(|| rank::top::<3>(black_box(&logits)));
    }
}
