//! The collector between workers and a real store.

use jiff::Timestamp;
use ulid::Ulid;

use super::*;
use crate::classify::dhash::PictureHash;
use crate::feedback::store::Options;
use crate::feedback::testing::{give, open, open_with, picture, sighting};
use crate::feedback::view::Frames;
use crate::feedback::{IndexError, inbox};
use crate::frame::decode::Format;

const SETTINGS: Collect =
    Collect { on: true, margin_below: 0.1, unlike: 10, per_day: 3, sure_per_day: 0, per_day_in_all: 500 };
const DAY: i64 = 24 * 60 * 60;

/// A collector, and the end of the inbox that its bell is heard at.
fn collector(settings: Collect, cameras: usize) -> (Collector, inbox::Submitted) {
    let (inbox, heard) = inbox::new(64, 1 << 20);
    let limits = Limits { cameras, waiting: 8 };
    (Collector::new(settings, limits, inbox, Arc::new(Metrics::new([]))), heard)
}

/// Hashes that are 16 bits or more from each other, for numbers up to 60.
fn hash(number: u64) -> PictureHash {
    let mut seed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    PictureHash(seed ^ (seed >> 31))
}

fn look(number: u64) -> Look {
    let at = Timestamp::from_second(10 * DAY).unwrap();
    Look {
        frame: Ulid(number.into()),
        at,
        hash: hash(number),
        class: Some(1),
        score: Some(0.5),
        margin: Some(0.01),
        unlearnt: false,
        unknown: false,
        views_disagree: false,
    }
}

/// What a worker does.
fn see(collector: &Collector, camera: &str, look: Look) -> bool {
    let camera = Arc::from(camera);
    let Some(doubt) = collector.consider(&camera, 0, look) else { return false };
    let number = u64::try_from(doubt.look.frame.0).unwrap();
    let sighting = Sighting { camera: Some(camera.to_string()), ..sighting() };
    collector.offer(&camera, doubt, sighting, picture(number));
    true
}

fn keep_all(collector: &Collector, store: &Store) {
    while collector.keep_next(store) {}
}

fn waiting(store: &Store) -> Vec<u128> {
    let page = store.view().frames(Frames::Unlabelled, None, 1000).unwrap();
    page.items.iter().map(|record| record.frame.0).collect()
}

#[test]
fn the_numbers_stand_for_pictures_that_differ() {
    for a in 0..60 {
        assert!((0..a).all(|b| hash(a).distance(hash(b)) >= 16), "{a}");
    }
}

#[test]
fn a_frame_in_doubt_is_stored_with_all_that_is_known_and_one_like_it_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let (collector, mut heard) = collector(SETTINGS, 10);
    assert!(see(&collector, "gate", look(1)));
    assert_eq!(heard.rings(), (1, false));
    // Before the first is stored, nobody knows that this one is like it.
    assert!(see(&collector, "gate", Look { frame: Ulid(2), ..look(1) }));
    keep_all(&collector, &store);
    assert!(!see(&collector, "gate", Look { frame: Ulid(3), ..look(1) }));
    assert!(see(&collector, "yard", Look { frame: Ulid(4), ..look(1) }), "another camera");
    keep_all(&collector, &store);
    assert_eq!(waiting(&store), [1, 4]);
    let record = store.view().frame(Ulid(1)).unwrap().unwrap().collected.unwrap();
    assert_eq!((record.reason.as_str(), record.margin, record.hash), ("margin", Some(0.01), Some(hash(1))));
    assert_eq!((record.at, record.sighting), (look(1).at, sighting()));
    assert_eq!(collector.metrics.collected(Reason::Margin), 2);
    assert_eq!(collector.metrics.not_collected(Skip::Alike), 2);
}

#[test]
fn a_few_sure_frames_are_kept_and_leave_the_day_to_those_in_doubt() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let (collector, _heard) = collector(Collect { sure_per_day: 1, ..SETTINGS }, 10);
    let sure = |number| Look { score: Some(0.97), margin: Some(0.95), ..look(number) };
    for (look, kept) in [(sure(1), true), (sure(2), false), (look(3), true), (look(4), true), (look(5), false)] {
        assert_eq!(see(&collector, "gate", look), kept, "{look:?}");
        keep_all(&collector, &store);
    }
    assert_eq!(waiting(&store), [1, 3, 4]);
    assert_eq!(store.view().frame(Ulid(1)).unwrap().unwrap().collected.unwrap().reason, "sure");
    // Those that are passed over are no loss, and there are many.
    assert_eq!(collector.metrics.not_collected(Skip::Budget), 1);
}

#[test]
fn budget_and_likeness_outlive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let (first, _heard) = collector(SETTINGS, 10);
    for number in [1, 2] {
        assert!(see(&first, "gate", look(number)));
    }
    keep_all(&first, &store);
    drop(store);

    let (store, _) = open(dir.path());
    let (second, _heard) = collector(SETTINGS, 10);
    for number in [1, 3, 4] {
        // The store is not asked by a worker: the keeper finds out.
        assert!(see(&second, "gate", Look { frame: Ulid(u128::from(number) + 100), ..look(number) }));
    }
    keep_all(&second, &store);
    assert_eq!(waiting(&store), [1, 2, 103]);
    assert_eq!(second.metrics.not_collected(Skip::Alike), 1);
    assert_eq!(second.metrics.not_collected(Skip::Budget), 1);
    // Now it is known.
    assert!(!see(&second, "gate", Look { frame: Ulid(200), ..look(5) }));
    assert_eq!(second.metrics.not_collected(Skip::Budget), 2);
    let tomorrow = Timestamp::from_second(11 * DAY).unwrap();
    assert!(see(&second, "gate", Look { frame: Ulid(201), at: tomorrow, ..look(6) }));
    keep_all(&second, &store);
    assert_eq!(waiting(&store), [1, 2, 103, 201]);
}

#[test]
fn a_flood_of_names_costs_no_memory_and_does_not_get_round_the_budget() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let (collector, _heard) = collector(SETTINGS, 10);
    let flood = |round: u128| {
        for number in 0..60 {
            let look = Look { frame: Ulid(1000 * round + u128::from(number)), ..look(number) };
            see(&collector, &format!("camera {number}"), look);
            keep_all(&collector, &store);
            assert!(collector.lock().cameras.len() <= 10);
        }
    };
    flood(0);
    assert_eq!(waiting(&store), (0..60).collect::<Vec<_>>());
    // The first ones are forgotten in memory, but not in the store.
    flood(1);
    assert_eq!(waiting(&store).len(), 60);
    assert_eq!(collector.metrics.not_collected(Skip::Alike), 60);
    // New names, new pictures: a day has its limit all the same, and over a restart.
    let (second, _heard) = self::collector(Collect { per_day_in_all: 65, ..SETTINGS }, 10);
    for number in 100..120 {
        see(&second, &format!("camera {number}"), look(number));
        keep_all(&second, &store);
    }
    assert_eq!(waiting(&store).len(), 65);
    assert_eq!(second.metrics.not_collected(Skip::Budget), 15);
}

#[test]
fn few_wait_and_the_rest_is_passed_over() {
    let (collector, mut heard) = collector(SETTINGS, 10);
    for number in 0..12 {
        assert!(see(&collector, "gate", look(number)));
    }
    assert_eq!(collector.metrics.not_collected(Skip::QueueFull), 4);
    assert_eq!(heard.rings(), (8, false));
    collector.lock().waiting.clear();
    // By size, too; but a large one alone may wait.
    let large = || Picture::new(vec![0; WAITING_BYTES + 1].into(), Format::Jpeg);
    for number in [20, 21] {
        let camera = Arc::from("yard");
        let doubt = collector.consider(&camera, 0, look(number)).unwrap();
        collector.offer(&camera, doubt, sighting(), large());
    }
    assert_eq!(collector.metrics.not_collected(Skip::QueueFull), 5);
}

#[test]
fn a_full_store_is_left_alone_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_with(dir.path(), Options { max_bytes: 1000, ..Options::default() });
    let (collector, _heard) = collector(SETTINGS, 10);
    for number in [1, 2] {
        assert!(see(&collector, "gate", look(number)));
    }
    keep_all(&collector, &store);
    assert!(!see(&collector, "gate", look(3)), "the store was asked twice");
    assert_eq!(waiting(&store), [0; 0]);
    assert_eq!(collector.metrics.not_collected(Skip::Store), 3);
    // When that time is over, nothing was remembered of what was not kept.
    collector.lock().paused = Some(Instant::now());
    assert!(see(&collector, "gate", Look { frame: Ulid(4), ..look(1) }));
}

#[test]
fn when_it_is_full_what_was_collected_first_goes_first() {
    let dir = tempfile::tempdir().unwrap();
    let (store, events) = open_with(dir.path(), Options { max_bytes: 2_000_000, ..Options::default() });
    let (collector, _heard) = collector(Collect { per_day: 1000, ..SETTINGS }, 10);
    let labelled = give(1000, None, "ski");
    store.add(vec![labelled]).unwrap();
    for number in 0..40 {
        let camera = Arc::from("gate");
        let doubt = collector.consider(&camera, 0, look(number)).unwrap();
        let bytes = vec![u8::try_from(number).unwrap(); 100_000].into();
        collector.offer(&camera, doubt, sighting(), Picture::new(bytes, Format::Jpeg));
        keep_all(&collector, &store);
    }
    let there = waiting(&store);
    assert!(there.len() > 5 && there.iter().copied().eq(40 - there.len() as u128..40), "{there:?}");
    assert!(!events.take().is_empty(), "nothing had to go");
    assert_eq!(store.view().stats().unwrap().labelled, 1);
    assert_eq!(collector.metrics.collected(Reason::Margin), 40);
    // What went is not kept again: it would go round for ever.
    assert!(!see(&collector, "gate", Look { frame: Ulid(2000), ..look(0) }));
}

#[test]
fn a_label_that_came_first_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let (collector, _heard) = collector(SETTINGS, 10);
    assert!(see(&collector, "gate", look(1)));
    store.add(vec![give(1, None, "ski")]).unwrap();
    keep_all(&collector, &store);
    assert_eq!(collector.metrics.not_collected(Skip::Labelled), 1);
    assert_eq!(store.view().stats().unwrap().unlabelled, 0);
}

#[test]
fn switched_off_it_forgets_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let (collector, _heard) = collector(SETTINGS, 10);
    assert!(see(&collector, "gate", look(1)));
    collector.set(Collect { on: false, ..SETTINGS });
    assert!(!collector.is_on());
    assert!(!collector.keep_next(&store));
    collector.set(SETTINGS);
    assert!(see(&collector, "gate", look(2)));
    // At the end of the daemon what waits is stored, and the inbox is let go.
    let (last, mut heard) = self::collector(SETTINGS, 10);
    assert!(see(&last, "gate", look(3)));
    last.close();
    assert!(!last.is_on());
    assert_eq!(heard.rings(), (1, true), "it still has an inbox");
    assert!(last.keep_next(&store));
    assert_eq!(waiting(&store), [3]);
}

#[test]
fn models_that_look_at_one_camera_do_not_disagree_with_each_other() {
    let (collector, _heard) = collector(SETTINGS, 10);
    let camera = Arc::from("gate");
    let sure = |number: u64, class| Look { margin: Some(0.9), class: Some(class), hash: hash(0), ..look(number) };
    for (number, model) in [(1, 0), (2, 1), (3, 0), (4, 1)] {
        assert_eq!(collector.consider(&camera, model, sure(number, u32::try_from(model).unwrap())), None);
    }
    assert_eq!(collector.consider(&camera, 0, sure(5, 7)), None);
    let doubt = collector.consider(&camera, 0, sure(6, 0)).unwrap();
    assert_eq!((doubt.look.frame, doubt.reason), (Ulid(5), Reason::Disagreement));
}

#[test]
fn an_index_that_failed_is_opened_again_without_feedback() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let (collector, _heard) = collector(SETTINGS, 10);
    store.view().lose(&IndexError::Unusable("a test says so".to_owned()));
    assert!(see(&collector, "gate", look(1)));
    keep_all(&collector, &store);
    assert_eq!(waiting(&store), [1]);
}
