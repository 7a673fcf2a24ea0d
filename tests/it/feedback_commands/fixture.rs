//! Stores to try commands on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use glanced::classify::dhash::PictureHash;
use glanced::config::Crop;
use glanced::feedback::record::{ModelRef, Predicted, Sighting, Via};
use glanced::feedback::store::{Item, NewCollected, NewFeedback, Options, Picture};
use glanced::feedback::{Statement, Store};
use glanced::frame::decode::Format;
use serde_json::Value;
use ulid::Ulid;

use crate::support::launch::Launch;
use crate::support::pictures::{BLUE, GREEN, RED, jpeg, plain, png};
use crate::support::text;

/// A command's surroundings: a store of its own, and the broker never asked.
pub(super) fn launch() -> Launch {
    let launch = Launch::new("mqtt://127.0.0.1:1883");
    let dir = launch.dir().join("store");
    launch.set("store.dir", dir.display())
}

pub(super) fn stats(launch: &Launch) -> Value {
    launch.run(&["feedback", "stats", "--json"]).done()
}

pub(super) fn frame(number: u128) -> Ulid {
    Ulid(number)
}

fn sighting(camera: &str) -> Sighting {
    Sighting {
        camera: Some(camera.to_owned()),
        crop: Some(Crop { x: 0.1, y: 1.0 / 3.0, w: 0.7, h: 0.5 }),
        model: ModelRef { name: "tints".to_owned(), version: "1".to_owned() },
        predicted: vec![
            Predicted { class: 1, label: "green".to_owned(), score: 0.7142 },
            Predicted { class: 0, label: "red".to_owned(), score: 0.1 },
        ],
        captured_at: None,
        received_at: Some("2026-11-24T03:00:00.131Z".parse().expect("a time")),
    }
}

pub(super) fn said(number: u128, by: Option<&str>, at: &str, statement: Statement, bytes: Vec<u8>) -> Item {
    Item::Feedback(Box::new(NewFeedback {
        id: None,
        frame: frame(number),
        sender_id: by.map(|by| format!("{by}-1")),
        by: by.map(str::to_owned),
        at: at.parse().expect("a time"),
        via: Via::Mqtt,
        statement,
        sighting: Some(sighting("gate")),
        picture: Some(Picture::new(bytes.into(), Format::Jpeg)),
        imported_at: None,
    }))
}

pub(super) fn label(label: &str, class: Option<u32>) -> Statement {
    Statement::Label { label: label.to_owned(), class, new_class: class.is_none() }
}

/// Two senders that do not agree, one that has changed its mind, a label that is no file name, and a frame without any.
pub(super) fn filled(launch: &Launch) -> PathBuf {
    let dir = launch.dir().join("store");
    let store = Store::open(&dir, Options::default(), |_| {}).expect("a store");
    let items = vec![
        said(1, Some("anna"), "2026-11-24T03:00:01Z", label("green", Some(1)), jpeg(&plain(RED))),
        said(1, Some("anna"), "2026-11-24T03:00:02Z", label("../pink/light", None), jpeg(&plain(RED))),
        said(
            1,
            None,
            "2026-11-24T03:00:01Z",
            Statement::Class { class: 0, label: "red".to_owned() },
            jpeg(&plain(RED)),
        ),
        said(
            2,
            None,
            "2026-11-24T03:00:03Z",
            Statement::Correct { class: 1, label: "green".to_owned() },
            jpeg(&plain(GREEN)),
        ),
        Item::Collected(Box::new(NewCollected {
            frame: frame(3),
            at: "2026-11-24T03:00:04Z".parse().expect("a time"),
            reason: "margin".to_owned(),
            margin: Some(0.6142),
            hash: Some(PictureHash(0x00ab_cdef_0123_4567)),
            sighting: sighting("yard"),
            picture: Picture::new(png(&plain(BLUE)).into(), Format::Png),
        })),
    ];
    store.add(items).expect("room on the disk");
    dir
}

/// Every file below a folder, by its path in it.
pub(super) fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(dir: &Path, below: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(below).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(dir, &path, found);
            } else {
                let name = text(path.strip_prefix(dir).expect("below it")).to_owned();
                found.insert(name, fs::read(&path).expect("a file"));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(dir, dir, &mut found);
    found
}

/// The lines of a manifest, without when they were imported.
pub(super) fn manifest(dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(dir.join("manifest.jsonl")).expect("a manifest");
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for said in lines.iter_mut().flat_map(|line| line["feedback"].as_array_mut().expect("a list")) {
        said.as_object_mut().expect("an object").remove("imported_at");
    }
    lines
}

/// What counts tell of what is stored, without how large the index happens to be.
pub(super) fn content(launch: &Launch) -> Value {
    let mut counts = stats(launch);
    let object = counts.as_object_mut().expect("an object");
    object.retain(|key, _| key != "bytes" && key != "index_bytes");
    counts
}
