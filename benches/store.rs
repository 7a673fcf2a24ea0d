//! What it costs to keep feedback: durable statements a second by batch, opening, and what is asked of a store.
//!
//! `cargo bench --bench store`; on one core, `taskset -c 0` before it. The folder is the system's temporary one: set
//! `TMPDIR` to measure another disk. A tmpfs measures nothing, for there a sync is free.

use std::sync::OnceLock;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use glanced::feedback::record::{ModelRef, Predicted, Sighting, Statement, Via};
use glanced::feedback::store::{Item, NewFeedback, Options, Picture, Store};
use glanced::feedback::view::{Filter, Frames, View};
use glanced::frame::decode::Format;
use glanced::frame::next_id;
use jiff::Timestamp;
use tempfile::TempDir;

fn main() {
    divan::main();
}

const STATEMENTS: u64 = 100_000;

fn open(dir: &TempDir) -> Store {
    Store::open(dir.path(), Options::default(), |_| {}).expect("the store opens")
}

/// A statement with a picture of its own, which does not compress.
fn statement(number: u64, picture_bytes: usize) -> Item {
    let mut state = number | 1 << 63;
    let noise = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let bytes: Vec<u8> = noise.flatten().take(picture_bytes).collect();
    let now = Timestamp::now();
    let predicted = [(340, "zebra", 0.7142), (3, "tiger shark", 0.1), (7, "cock", 0.0301)];
    let predicted = predicted.map(|(class, label, score)| Predicted { class, label: label.into(), score });
    Item::Feedback(Box::new(NewFeedback {
        id: None,
        frame: next_id(),
        sender_id: Some(format!("sender-{number}")),
        by: Some("anna".into()),
        at: now,
        via: Via::Mqtt,
        statement: Statement::Label { label: format!("label {}", number % 100), class: Some(7), new_class: false },
        sighting: Some(Sighting {
            camera: Some("gate".into()),
            crop: None,
            model: ModelRef { name: "efficientnet-lite0".into(), version: "1".into() },
            predicted: predicted.into(),
            captured_at: Some(now),
            received_at: Some(now),
        }),
        picture: Some(Picture::new(bytes.into(), Format::Jpeg)),
        imported_at: None,
    }))
}

/// Durable statements: pictures, journal and index, each batch with its syncs.
#[divan::bench(args = [1, 8, 32, 128], consts = [100, 102_400], sample_count = 20, sample_size = 1)]
fn add<const PICTURE_BYTES: usize>(bencher: Bencher<'_, '_>, batch: u64) {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(&dir);
    let mut number = 0;
    let items = || {
        number += batch;
        (number..number + batch).map(|number| statement(number, PICTURE_BYTES)).collect::<Vec<_>>()
    };
    bencher
        .with_inputs(items)
        .counter(ItemsCount::new(batch))
        .bench_local_values(|items| store.add(items).expect("there is room"));
}

/// A store with [`STATEMENTS`] in it. Their pictures are all the same: pictures cost an opening nothing.
fn full() -> &'static TempDir {
    static FULL: OnceLock<TempDir> = OnceLock::new();
    FULL.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a folder");
        let store = open(&dir);
        let picture = Picture::new("x".into(), Format::Jpeg);
        for thousand in 0..STATEMENTS / 1000 {
            let items = (0..1000).map(|number| match statement(thousand * 1000 + number, 0) {
                Item::Feedback(new) => Item::Feedback(Box::new(NewFeedback { picture: Some(picture.clone()), ..*new })),
                item => item,
            });
            store.add(items.collect()).expect("there is room");
        }
        dir
    })
}

/// As at every start: the index is checked row by row.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn open_100k(bencher: Bencher<'_, '_>) {
    let dir = full();
    bencher.counter(ItemsCount::new(STATEMENTS)).bench_local(|| open(dir));
}

/// As after damage: the index is made again from the journal.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn rebuild_100k(bencher: Bencher<'_, '_>) {
    let dir = full();
    bencher
        .with_inputs(|| std::fs::remove_dir_all(dir.path().join("index")).expect("there is an index"))
        .counter(ItemsCount::new(STATEMENTS))
        .bench_local_values(|()| open(dir));
}

/// As a command does beside a running daemon.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn read_only_100k(bencher: Bencher<'_, '_>) {
    let dir = full();
    bencher.counter(ItemsCount::new(STATEMENTS)).bench_local(|| View::read_only(dir.path(), |_| {}).expect("it reads"));
}

/// The newest page of a list.
#[divan::bench]
fn list_100_of_100k(bencher: Bencher<'_, '_>) {
    let store = open(full());
    bencher.bench_local(|| black_box(store.view().list(&Filter::default(), None, 100).expect("it reads")));
}

/// All frames with everything that is known of them, as an export goes through them.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn walk_100k(bencher: Bencher<'_, '_>) {
    let store = open(full());
    bencher.counter(ItemsCount::new(STATEMENTS)).bench_local(|| {
        let mut after = None;
        loop {
            let page = store.view().frames(Frames::Labelled, after, 500).expect("it reads");
            black_box(&page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    });
}
