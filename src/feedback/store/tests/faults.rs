//! A disk that is full, that fails, or that loses its power.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::feedback::disk::trial::{TrialDisk, after_power_cut};

/// Small segments, so that many of them begin.
const OPTIONS: Options =
    Options { max_bytes: 1 << 30, drop_labelled: false, segment_bytes: 4000, cache_bytes: 1 << 20 };

fn open_on(disk: &TrialDisk, dir: &Path) -> Result<Store, StoreError> {
    Store::open_on(Arc::new(disk.clone()), dir, OPTIONS, Box::new(|_| {}))
}

/// A generator with no need for quality.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides.max(1)
    }
}

/// Each confirmed statement is there, whole and once, with its picture; and nothing that nobody gave.
fn check(view: &View, confirmed: &BTreeMap<u64, Ulid>, given: u64) {
    let page = view.frames(Frames::All, None, usize::MAX).unwrap();
    assert_eq!(page.unreadable, 0);
    let found: BTreeMap<u64, &FrameRecord> =
        page.items.iter().map(|record| (u64::try_from(record.frame.0).unwrap(), record)).collect();
    for (frame, id) in confirmed {
        let record = found.get(frame).unwrap_or_else(|| panic!("frame {frame} was confirmed and is gone"));
        assert_eq!(record.feedback.iter().filter(|said| said.feedback.id == *id).count(), 1, "frame {frame}");
    }
    for (frame, record) in found {
        assert!(frame < given, "nobody gave frame {frame}");
        assert_eq!(record.feedback[0].feedback.statement, label(&format!("label {frame}")));
        // Also those that were written and not confirmed: their pictures were durable before them.
        assert_eq!(view.picture(&record.blob.unwrap()).unwrap(), *picture(frame).bytes());
    }
}

fn batch(from: u64, size: u64) -> Vec<Item> {
    (from..from + size).map(|frame| give(frame, None, &format!("label {frame}"))).collect()
}

fn confirm(confirmed: &mut BTreeMap<u64, Ulid>, from: u64, receipts: &[Receipt]) {
    confirmed.extend((from..).zip(receipts.iter().map(|receipt| id(*receipt))));
}

#[test]
fn a_power_cut_at_any_moment_loses_nothing_that_was_confirmed() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let disk = TrialDisk::default();
    let mut dice = Dice(1);
    let mut given = 0;
    let mut confirmed = BTreeMap::new();
    // After how many operations what was confirmed.
    let mut confirmed_at = vec![(0, 0, confirmed.clone())];
    for _start in 0..4 {
        let store = open_on(&disk, &root).unwrap();
        for _batch in 0..8 {
            let size = 1 + dice.roll(6) as u64;
            if dice.roll(4) == 0 {
                disk.fail_in(u32::try_from(dice.roll(12)).unwrap());
            }
            if let Ok(receipts) = store.add(batch(given, size)) {
                confirm(&mut confirmed, given, &receipts);
            }
            disk.heal();
            given += size;
            confirmed_at.push((disk.ops().len(), given, confirmed.clone()));
        }
    }
    assert!(confirmed.len() > 60, "{}", confirmed.len());
    let ops = disk.ops();
    let mut images = 0;
    for cut in (1..=ops.len()).step_by(3).chain([ops.len()]) {
        let image = dir.path().join(format!("image-{cut}"));
        after_power_cut(&ops[..cut], &root, &image, &mut |sides| dice.roll(sides));
        let at = confirmed_at.iter().rev().find(|(ops, ..)| *ops <= cut).unwrap();
        let given = confirmed_at.iter().find(|(ops, ..)| *ops >= cut).map_or(given, |(_, given, _)| *given);
        if dice.roll(2) == 0 {
            // The index may be there, of any earlier or later moment.
            copy(&root.join("index"), &image.join("index"));
        }
        let (store, _) = open_with(&image, OPTIONS);
        check(store.view(), &at.2, given);
        add(&store, give(given, None, &format!("label {given}")));
        let wanted = everything(store.view());
        drop(store);
        assert_eq!(everything(open(&image).0.view()), wanted);
        fs::remove_dir_all(&image).unwrap();
        images += 1;
    }
    assert!(images > 100, "{images}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let to = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy(&entry, &to);
        } else {
            fs::copy(&entry, &to).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_failing_disk_refuses_can_be_added_again(seed: u64) {
        let dir = tempfile::tempdir().unwrap();
        let disk = TrialDisk::default();
        let mut dice = Dice(seed);
        let mut confirmed = BTreeMap::new();
        let mut given = 0;
        for _start in 0..2 {
            let store = open_on(&disk, dir.path()).unwrap();
            for _batch in 0..10 {
                let size = 1 + dice.roll(5) as u64;
                match dice.roll(3) {
                    0 => disk.set_room(Some(dice.roll(1500) as u64)),
                    1 => disk.fail_in(u32::try_from(dice.roll(20)).unwrap()),
                    _ => {}
                }
                // It fails until there is room again, and then it does not.
                let mut tries = 0;
                let receipts = loop {
                    match store.add(batch(given, size)) {
                        Ok(receipts) => break receipts,
                        Err(error) => {
                            tries += 1;
                            prop_assert!(tries < 6, "{:?}", error);
                            if dice.roll(2) == 0 || tries > 3 {
                                disk.heal();
                            }
                        }
                    }
                };
                confirm(&mut confirmed, given, &receipts);
                given += size;
            }
            disk.heal();
            check(store.view(), &confirmed, given);
        }
        let (store, _) = open(dir.path());
        check(store.view(), &confirmed, given);
        prop_assert_eq!(store.view().stats().unwrap().feedback, given, "each of them once");
        let beside = View::read_only(dir.path(), |event| panic!("{event:?}")).unwrap();
        prop_assert_eq!(everything(&beside), everything(store.view()));
    }
}

#[test]
fn a_full_disk_is_known_as_such_and_takes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TrialDisk::default();
    let store = open_on(&disk, dir.path()).unwrap();
    store.add(batch(0, 3)).unwrap();
    let before = (everything(store.view()), folder_bytes(dir.path()));
    disk.set_room(Some(250));
    for _ in 0..3 {
        let error = store.add(batch(3, 3)).unwrap_err();
        assert!(error.is_disk_full(), "{error:?}");
        assert_eq!((everything(store.view()), folder_bytes(dir.path())), before);
        disk.set_room(Some(250));
    }
    disk.heal();
    store.add(batch(3, 3)).unwrap();
}

#[test]
fn on_a_full_disk_nothing_is_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TrialDisk::default();
    let store = open_on(&disk, dir.path()).unwrap();
    let given = store.add(batch(0, 3)).unwrap();
    let before = everything(store.view());
    disk.set_room(Some(20));
    let error = store.withdraw(id(given[1])).unwrap_err();
    assert!(error.is_disk_full(), "{error:?}");
    assert_eq!(everything(store.view()), before);
    disk.heal();
    assert!(store.withdraw(id(given[1])).unwrap());
    drop(store);
    let (store, _) = open(dir.path());
    assert_eq!(store.view().stats().unwrap().unlabelled, 1);
}

fn folder_bytes(dir: &Path) -> u64 {
    let sizes = sizes(dir);
    let entries = |folder: &str| fs::read_dir(dir.join(folder)).unwrap().count() as u64;
    sizes.journal + entries("blobs") + entries("blobs/new")
}
