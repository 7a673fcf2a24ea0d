//! `glanced calibrate`: a new version of a model from pictures whose classes are known.

use std::fs;
use std::path::PathBuf;

use glanced::config::Crop;
use glanced::feedback::record::{ModelRef, Sighting, Via};
use glanced::feedback::store::{Item, NewFeedback, Options, Picture};
use glanced::feedback::{Statement, Store};
use glanced::frame::decode::Format;
use serde_json::{Value, json};
use ulid::Ulid;

use crate::bundles::copied;
use crate::support::launch::Launch;
use crate::support::pictures::{GREY, RED, cornered, plain, png, scene};
use crate::support::text;

/// Scenes that are red or grey, near where `tints` is in doubt; every third of the most doubtful is not what it seems.
fn pictures(launch: &Launch, count: u32) -> PathBuf {
    let dir = launch.dir().join(format!("{count} pictures"));
    for number in 0..count {
        let redder = 33 + number % 35;
        let misleads = redder.abs_diff(53) < 6 && number % 3 == 0;
        let class = if (redder > 53) == misleads { "grey" } else { "red" };
        let folder = dir.join(class);
        fs::create_dir_all(&folder).expect("a folder in a temporary folder");
        let picture = scene(number, u8::try_from(redder).expect("a few steps"));
        fs::write(folder.join(format!("{number:03}.png")), png(&picture)).expect("a file in a temporary folder");
    }
    dir
}

fn number(answer: &Value, pointer: &str) -> f64 {
    let found = answer.pointer(pointer).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("no number {pointer} in {answer}"))
}

fn versions(launch: &Launch) -> Vec<String> {
    let entries = fs::read_dir(launch.dir().join("models/tints")).expect("the model");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_new_version_is_written_and_used() {
    let launch = copied("tints", |_| {});
    let dir = pictures(&launch, 120);
    let answer = launch.run(&["calibrate", text(&dir), "--precision", "0.95", "--json"]).done();
    assert_eq!((&answer["n"], &answer["version"], &answer["parent"]), (&json!(120), &json!("2"), &json!("1")));
    let temperature = number(&answer, "/temperature");
    // Nearly all are what they seem, also those of which the model says that it can hardly tell.
    assert!((0.2..=0.95).contains(&temperature), "{answer}");
    for (pointer, most) in [
        ("/ece_before", 1.0),
        ("/ece_after", 0.15),
        ("/prior_strength", 0.0),
        ("/unknown_below", 1.0),
        ("/before/brier/value", 2.0),
        ("/after/brier/high", 2.0),
    ] {
        assert!((0.0..=most).contains(&number(&answer, pointer)), "{pointer}: {answer}");
    }
    assert!(number(&answer, "/after/log_loss/value") < number(&answer, "/before/log_loss/value"), "{answer}");
    assert!(number(&answer, "/unknown/precision") >= 0.95, "{answer}");

    let checked = launch.run(&["check", "--no-broker", "--json"]).done();
    assert_eq!(checked["checks"][2]["name"], "model tints 2", "{checked}");
    let written = launch.dir().join("models/tints/2");
    let metrics: Value = serde_json::from_str(&fs::read_to_string(written.join("metrics.json")).expect("a file"))
        .expect("metrics.json is JSON");
    assert_eq!(metrics["temperature"], answer["temperature"]);
    // At a lower temperature it is surer.
    let red = launch.dir().join("red.png");
    fs::write(&red, png(&scene(1, 60))).expect("a file in a temporary folder");
    let score = |launch: &Launch| {
        let seen = launch.run(&["classify", "--json", text(&red)]).done();
        number(&seen, "/results/0/top3/0/score")
    };
    let before = score(&copied("tints", |_| {}));
    assert!(score(&launch) > before, "{} is not more than {before}", score(&launch));

    // From the new version on: for people, with copies, and without writing.
    let ended = launch.run(&["calibrate", text(&dir), "--views", "dynamic", "--degrade", "dark,blur", "--dry-run"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for words in
        ["tints 2: 120 pictures", "calibration error", "  of dark", "  of all", "dark frames", "Nothing was written"]
    {
        assert!(ended.stdout.contains(words), "{words:?} is not in {}", ended.stdout);
    }
    assert_eq!(versions(&launch), ["1", "2"]);
}

#[test]
fn too_little_is_refused_with_the_count() {
    let launch = copied("tints", |_| {});
    let dir = pictures(&launch, 37);
    let ended = launch.run(&["calibrate", text(&dir), "--json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("too little to calibrate on: 37 pictures of 100"), "{ended:?}");
    let dir = pictures(&launch, 240);
    fs::rename(dir.join("red"), dir.join("grey/sequence")).expect("a folder of ours");
    let ended = launch.run(&["calibrate", text(&dir)]);
    assert!(ended.code == Some(1) && ended.stderr.contains("1 class of 2"), "{ended:?}");
    let spoilt = pictures(&launch, 101);
    for entry in fs::read_dir(spoilt.join("red")).expect("a folder of ours").take(2) {
        fs::write(entry.expect("an entry").path(), "no picture").expect("a file in a temporary folder");
    }
    let ended = launch.run(&["calibrate", text(&spoilt)]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("99 pictures of 100; left out: 2 that can't be read"), "{ended:?}");
    assert_eq!(versions(&launch), ["1"]);
}

#[test]
fn frames_of_the_store_are_seen_as_they_were_seen_then() {
    let launch = copied("tints", |_| {});
    let ended = launch.run(&["calibrate", "--feedback"]);
    assert_eq!(ended.code, Some(69), "{ended:?}");
    let said = |number: u64, label: &str, model: &str| {
        let model = ModelRef { name: model.to_owned(), version: "1".to_owned() };
        let crop = Some(Crop { x: 0.0, y: 0.5, w: 0.5, h: 0.5 });
        let picture = if label == "red" { cornered(GREY, RED) } else { plain(GREY) };
        Item::Feedback(Box::new(NewFeedback {
            id: None,
            // One of each class an hour, two seconds apart.
            frame: Ulid::from_parts(number / 2 * 3_600_000 + number % 2 * 2000, number.into()),
            sender_id: None,
            by: None,
            at: "2026-11-24T03:00:01Z".parse().expect("a time"),
            via: Via::Mqtt,
            statement: Statement::Label { label: label.to_owned(), class: None, new_class: label == "pink" },
            sighting: Some(Sighting { crop, ..Sighting::unseen(Some("gate".to_owned()), model) }),
            picture: Some(Picture::new(png(&picture).into(), Format::Png)),
            imported_at: None,
        }))
    };
    let mut items: Vec<_> = (1..=110).map(|n| said(n, if n % 2 == 0 { "red" } else { "grey" }, "tints")).collect();
    items.push(said(111, "pink", "tints"));
    items.push(said(112, "red", "other"));
    let store = Store::open(&launch.dir().join("feedback"), Options::default(), |_| {}).expect("a store");
    store.add(items).expect("room on the disk");
    // Beside whoever has it open.
    let answer = launch.run(&["calibrate", "--feedback", "--json"]).done();
    assert_eq!((&answer["n"], &answer["version"]), (&json!(110), &json!("2")));
    assert_eq!(answer["left_out"], json!({"unreadable": 0, "other_model": 1, "new_class": 1}));
    // Both classes were confirmed together again and again, but nothing is left in doubt that this could decide.
    assert_eq!((&answer["prior"]["best"], &answer["prior_learnt"]), (&json!(0.0), &json!(null)), "{answer}");
    let apart = launch.run(&["calibrate", "--feedback", "--window", "1", "--dry-run", "--json"]).done();
    assert_eq!(apart["prior"], json!(null), "two seconds are not within one: {apart}");
    // What was outside the crop would be grey.
    assert_eq!(number(&answer, "/after/top1"), 1.0, "{answer}");
    drop(store);
}
