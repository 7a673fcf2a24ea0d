use std::path::Path;
use std::time::Duration;

use fast_image_resize::pixels::U8x3;

use super::*;
use crate::classify::quality::Condition;
use crate::classify::temporal::TemporalStates;
use crate::config::{Crop, Repeating};
use crate::frame::steps::Looking;

fn bundle() -> Bundle {
    Bundle::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bundles/tints/1")).expect("a bundle")
}

fn settings(of: Repeating) -> config::Repeats {
    config::Repeats { of, max_age: Duration::from_secs(10), alike_below: 1.5 }
}

/// An even surface, or one with a spot.
fn grey(value: u8, spot: Option<u8>) -> Sketch {
    let pixels: Vec<_> = (0..64 * 64)
        .map(|at| {
            let inside = |side: usize| (20..28).contains(&side);
            let value = spot.filter(|_| inside(at % 64) && inside(at / 64)).unwrap_or(value);
            U8x3::new([value; 3])
        })
        .collect();
    Sketch::of(&pixels, 64)
}

/// All that a worker has, without the worker.
struct Site {
    repeats: Repeats,
    states: TemporalStates,
    bundle: Bundle,
    steps: Arc<Steps>,
    start: Instant,
}

impl Site {
    fn new(of: Repeating, most: usize) -> Self {
        Self {
            repeats: Repeats::new(settings(of), most),
            states: TemporalStates::new(9),
            bundle: bundle(),
            steps: Arc::default(),
            start: Instant::now(),
        }
    }

    /// What `ask` says of a frame that came so many seconds after the start.
    fn at<T>(&self, camera: &str, seconds: f32, ask: impl FnOnce(&Repeats, &Moment<'_>) -> T) -> T {
        self.on(camera, &Route::WHOLE, seconds, ask)
    }

    fn on<T>(&self, camera: &str, route: &Route, seconds: f32, ask: impl FnOnce(&Repeats, &Moment<'_>) -> T) -> T {
        let at = self.start + Duration::from_secs_f32(seconds);
        let series = Series { states: &self.states, camera: &camera.into(), at };
        let Self { bundle, steps, .. } = self;
        ask(&self.repeats, &Moment { route, bundle, steps, series, may_repeat: &|_| true })
    }

    /// The network looks at a frame and says this; the probabilities that are published.
    fn look(&self, camera: &str, seconds: f32, frame: u128, sketch: Sketch, said: [f32; 4]) -> Vec<f32> {
        self.at(camera, seconds, |repeats, now| {
            let mut mean = said.to_vec();
            let half_life = f64::from(now.steps.temporal_half_life_s);
            if half_life > 0.0 {
                let Series { states, camera, at } = now.series;
                states.update(camera, (0, &now.bundle.version), at, half_life, HASH, &mut mean);
            }
            let looked = Looked {
                frame: Ulid(frame),
                fingerprint: frame,
                sketch: Some(sketch),
                hash: HASH,
                glance: self.glance(&mean),
            };
            repeats.remember(now, looked, &said);
            mean
        })
    }

    fn glance(&self, probabilities: &[f32]) -> Glance {
        let (top, ranked, unknown) = self.steps.rank(probabilities, &self.bundle);
        let condition = matches!(self.steps.looking, Looking::Dynamic { .. }).then_some(Condition::Good);
        let took = Took { infer: Duration::from_secs(1), ..Took::default() };
        let (model, crop, views, views_disagree) = (0, None, 1, false);
        Glance { model, crop, top, ranked, unknown, views, views_disagree, condition, took }
    }

    fn identical(&self, camera: &str, seconds: f32, fingerprint: u128) -> Option<Repeat> {
        self.at(camera, seconds, |repeats, now| repeats.identical(now, fingerprint))
    }

    fn alike(&self, camera: &str, seconds: f32, sketch: &Sketch) -> Option<Repeat> {
        self.at(camera, seconds, |repeats, now| repeats.alike(now, sketch))
    }

    /// Which frame is repeated.
    fn repeats(&self, camera: &str, seconds: f32, fingerprint: u128) -> Option<u128> {
        self.identical(camera, seconds, fingerprint).map(|repeat| repeat.of.0)
    }
}

const HASH: PictureHash = PictureHash(7);
const RED: [f32; 4] = [0.7, 0.1, 0.1, 0.1];
const BLUE: [f32; 4] = [0.1, 0.1, 0.7, 0.1];

#[test]
fn the_same_image_of_the_same_camera_has_the_same_answer() {
    let site = Site::new(Repeating::Identical, 9);
    assert_eq!(site.repeats("gate", 0.0, 1), None);
    site.look("gate", 0.0, 1, grey(90, None), RED);
    let repeat = site.identical("gate", 1.0, 1).expect("a repetition");
    assert_eq!((repeat.of, repeat.likeness, repeat.hash), (Ulid(1), Likeness::Identical, HASH));
    assert_eq!(repeat.glance.top(), site.glance(&RED).top());
    assert_eq!(repeat.glance.took.infer, Duration::ZERO);
    assert_eq!(site.repeats("gate", 1.0, 2), None, "another image");
    assert_eq!(site.repeats("yard", 1.0, 1), None, "another camera");
    let crop = Crop { x: 0.0, y: 0.5, w: 0.5, h: 0.5 };
    for route in [Route { model: 1, ..Route::WHOLE }, Route { crop: Some(crop), ..Route::WHOLE }] {
        assert!(site.on("gate", &route, 1.0, |repeats, now| repeats.identical(now, 1)).is_none(), "{route:?}");
    }
}

#[test]
fn images_have_hashes_of_their_own_in_each_process() {
    let [one, other] = [0, 1].map(|_| Repeats::new(settings(Repeating::Identical), 1));
    // Short and long ones are hashed in different ways.
    for length in [1, 16, 200, 300_000] {
        let mut image = vec![7; length];
        let hash = one.fingerprint(&image);
        assert_eq!(hash, one.fingerprint(&image));
        assert_ne!(hash, other.fingerprint(&image), "the seed is the same");
        image[length - 1] ^= 1;
        assert_ne!(hash, one.fingerprint(&image), "{length}");
    }
}

#[test]
fn an_answer_gets_too_old_however_often_it_is_given() {
    let site = Site::new(Repeating::Identical, 9);
    site.look("gate", 5.0, 1, grey(90, None), RED);
    for seconds in [5.0, 9.0, 14.0, 15.0] {
        assert_eq!(site.repeats("gate", seconds, 1), Some(1), "{seconds}");
    }
    assert_eq!(site.repeats("gate", 15.1, 1), None);
    // It came before, and was not looked at yet.
    assert_eq!(site.repeats("gate", 4.0, 1), Some(1));
    site.look("gate", 15.1, 2, grey(90, None), RED);
    assert_eq!(site.repeats("gate", 25.0, 2), Some(2));
    // A frame that was overtaken does not take the place of a newer one.
    site.look("gate", 15.0, 3, grey(90, None), RED);
    assert_eq!((site.repeats("gate", 25.0, 2), site.repeats("gate", 25.0, 3)), (Some(2), None));
}

#[test]
fn another_version_or_other_steps_look_again() {
    let mut site = Site::new(Repeating::Identical, 9);
    site.look("gate", 5.0, 1, grey(90, None), RED);
    site.bundle.version = "2".to_owned();
    assert_eq!(site.repeats("gate", 6.0, 1), None);
    // Also if the frame is older than what the other version saw.
    site.look("gate", 4.0, 2, grey(90, None), RED);
    assert_eq!(site.repeats("gate", 6.0, 2), Some(2));
    site.steps = Arc::new(Steps { unknown_below: 0.9, ..Steps::default() });
    assert_eq!(site.repeats("gate", 6.0, 2), None);
    site.look("gate", 6.0, 3, grey(90, None), RED);
    assert_eq!(site.repeats("gate", 7.0, 3), Some(3));
}

#[test]
fn what_hardly_differs_is_alike_and_something_small_is_not() {
    let site = Site::new(Repeating::Alike, 9);
    site.look("gate", 0.0, 1, grey(90, None), RED);
    let repeat = site.alike("gate", 1.0, &grey(90, Some(92))).expect("a repetition");
    assert_eq!((repeat.of, repeat.likeness), (Ulid(1), Likeness::Alike));
    // In the mean over all, a spot of 8×8 pixels of 64×64 is next to nothing.
    assert!(grey(90, None).difference(&grey(90, Some(100))).mean < 0.2);
    assert!(site.alike("gate", 1.0, &grey(90, Some(100))).is_none());
    site.repeats.set(config::Repeats { alike_below: 6.0, ..settings(Repeating::Alike) });
    assert!(site.alike("gate", 1.0, &grey(90, Some(100))).is_some());
}

#[test]
fn what_changes_little_by_little_is_seen() {
    let site = Site::new(Repeating::Alike, 9);
    site.repeats.set(config::Repeats { alike_below: 3.5, ..settings(Repeating::Alike) });
    site.look("gate", 0.0, 1, grey(90, None), RED);
    for value in 91..=93 {
        assert!(site.alike("gate", 1.0, &grey(value, None)).is_some(), "{value}");
    }
    assert!(site.alike("gate", 1.0, &grey(94, None)).is_none());
}

#[test]
fn a_frame_whose_picture_is_wanted_may_repeat_only_what_is_shown() {
    let site = Site::new(Repeating::Identical, 9);
    site.look("gate", 0.0, 1, grey(90, None), RED);
    let asked = |shown: u128| {
        let may_repeat = |of| of == Ulid(shown);
        site.at("gate", 1.0, |repeats, now| repeats.identical(&Moment { may_repeat: &may_repeat, ..*now }, 1))
    };
    assert!(asked(2).is_none() && asked(1).is_some());
}

#[test]
fn the_mean_goes_on_as_if_the_network_had_looked() {
    let steps = Arc::new(Steps { temporal_half_life_s: 8.0, ..Steps::default() });
    let [remembered, looking] =
        [0, 1].map(|_| Site { steps: Arc::clone(&steps), ..Site::new(Repeating::Identical, 9) });
    let start = remembered.start;
    let looking = Site { start, ..looking };
    for second in 0..5_u8 {
        for site in [&remembered, &looking] {
            site.look("gate", second.into(), second.into(), grey(90, None), RED);
        }
    }
    for site in [&remembered, &looking] {
        site.look("gate", 5.0, 5, grey(90, None), BLUE);
    }
    for second in 6..15_u8 {
        let repeat = remembered.identical("gate", second.into(), 5).expect("a repetition");
        let mean = looking.look("gate", second.into(), 5, grey(90, None), BLUE);
        assert_eq!(repeat.glance.top(), looking.glance(&mean).top(), "{second}");
        // Blue overtakes red while the picture stays.
        let best = repeat.glance.top()[0].class;
        assert_eq!(best, if second < 8 { 0 } else { 2 }, "{second}");
    }
}

#[test]
fn with_dynamic_views_each_has_its_turn_before_anything_is_repeated() {
    let looking = Looking::Dynamic { budget: 2.0 };
    let steps = Arc::new(Steps { looking, temporal_half_life_s: 8.0, ..Steps::default() });
    let site = Site { steps, ..Site::new(Repeating::Identical, 9) };
    let turns = dynamic::views_for(Condition::Good).len();
    for frame in 0..turns {
        assert_eq!(site.repeats("gate", frame as f32, 1), None, "{frame}");
        site.look("gate", frame as f32, 1, grey(90, None), RED);
    }
    assert_eq!(site.repeats("gate", turns as f32, 1), Some(1));
}

#[test]
fn the_camera_unseen_for_longest_gives_way() {
    let site = Site::new(Repeating::Identical, 2);
    for camera in ["a", "b"] {
        site.look(camera, 0.0, 1, grey(90, None), RED);
    }
    assert_eq!(site.repeats("a", 1.0, 1), Some(1));
    site.look("c", 1.0, 1, grey(90, None), RED);
    assert_eq!(["a", "b", "c"].map(|camera| site.repeats(camera, 2.0, 1)), [Some(1), None, Some(1)]);
    for number in 0..100 {
        site.look(&number.to_string(), 2.0, 1, grey(90, None), RED);
    }
    assert_eq!(site.repeats.lock().memories.len(), 2);
    assert_eq!(Repeats::new(settings(Repeating::Off), 0).most, 1);
}

#[test]
fn what_is_switched_off_is_forgotten() {
    let site = Site::new(Repeating::Identical, 9);
    site.look("gate", 0.0, 1, grey(90, None), RED);
    site.repeats.set(settings(Repeating::Alike));
    assert_eq!(site.repeats("gate", 1.0, 1), Some(1));
    site.repeats.set(settings(Repeating::Off));
    site.repeats.set(settings(Repeating::Identical));
    assert_eq!(site.repeats("gate", 1.0, 1), None);
}
