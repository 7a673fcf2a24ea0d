//! What the store promises, on a disk that works. See `faults.rs` for one that does not.

use std::fs;

use super::*;
use crate::feedback::blobs::BlobError;
use crate::feedback::record::{Feedback, Sighting};
use crate::feedback::testing::*;
use crate::feedback::view::{Filter, FrameRecord, Frames, Stats};
use crate::frame::decode::Format;

mod damage;
mod faults;
mod model;
mod recent;
mod withdrawn;

fn id(receipt: Receipt) -> Ulid {
    match receipt {
        Receipt::Stored { feedback: Some(id) } => id,
        other => panic!("{other:?}"),
    }
}

fn add(store: &Store, item: Item) -> Receipt {
    store.add(vec![item]).unwrap()[0]
}

fn said_by(record: &FrameRecord) -> Vec<(Option<&str>, &str, bool)> {
    let said = record.feedback.iter();
    said.map(|said| (said.feedback.by.as_deref(), said.feedback.statement.label(), said.standing)).collect()
}

/// Everything a store says of itself that does not depend on how its index came about.
fn everything(view: &View) -> (Vec<FrameRecord>, Stats) {
    let page = view.frames(Frames::All, None, usize::MAX).unwrap();
    assert_eq!((page.next, page.unreadable), (None, 0));
    let stats = view.stats().unwrap();
    (page.items, Stats { journal_bytes: 0, index_bytes: 0, aside_bytes: 0, bytes: 0, ..stats })
}

#[test]
fn what_is_added_is_there_after_a_restart_and_for_a_reader_beside() {
    let dir = tempfile::tempdir().unwrap();
    let (store, events) = open(dir.path());
    let receipts = store.add(vec![give(1, Some("anna"), "ski"), keep(2), give(2, None, "zebra")]).unwrap();
    let wanted = everything(store.view());
    assert_eq!(wanted.1.labelled, 2);
    assert_eq!(wanted.1.journal_entries, 3);
    assert_eq!(wanted.1.by_label, [("ski".to_owned(), 1), ("zebra".to_owned(), 1)].into());
    assert_eq!(everything(&View::read_only(dir.path(), |event| panic!("{event:?}")).unwrap()), wanted);
    drop(store);
    assert_eq!(events.take(), []);

    let (store, events) = open(dir.path());
    assert_eq!(everything(store.view()), wanted);
    let said = store.view().feedback(id(receipts[0])).unwrap().unwrap();
    let new = new_feedback(1, Some("anna"), "ski");
    let expected = Feedback { id: id(receipts[0]), blob: blob(1), ..feedback(1, Some("anna"), "ski") };
    assert_eq!(said.feedback, expected);
    assert_eq!(store.view().picture(&said.feedback.blob).unwrap(), *new.picture.unwrap().bytes());
    assert_eq!(events.take(), [], "a clean stop leaves nothing to do");
}

#[test]
fn only_the_owner_can_look_into_it() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let (store, _) = open(&root);
    store.add(vec![give(1, None, "ski")]).unwrap();
    drop(store);
    let mut seen = 0;
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o077, 0, "{folder:?}");
        for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            seen += 1;
            // What is in the index is behind its folder.
            if entry.is_dir() && !entry.ends_with("index") {
                folders.push(entry);
            } else {
                assert_eq!(fs::metadata(&entry).unwrap().permissions().mode() & 0o077, 0, "{entry:?}");
            }
        }
    }
    assert!(seen > 5);
}

#[test]
fn a_resend_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let send = |id: &str, frame, label| {
        Item::Feedback(Box::new(NewFeedback { sender_id: Some(id.into()), ..new_feedback(frame, Some("anna"), label) }))
    };
    let first = id(add(&store, send("1", 1, "ski")));
    let before = everything(store.view());
    assert_eq!(add(&store, send("1", 1, "ski")), Receipt::Known { feedback: Some(first) });
    assert_eq!(everything(store.view()), before);
    drop(store);
    let (store, _) = open(dir.path());
    assert_eq!(add(&store, send("1", 1, "ski")), Receipt::Known { feedback: Some(first) });
    // Twice in one batch.
    let receipts = store.add(vec![send("2", 2, "ski"), send("2", 2, "ski")]).unwrap();
    assert_eq!(receipts[1], Receipt::Known { feedback: Some(id(receipts[0])) });
    // A resend of something that was corrected in between does not undo the correction.
    add(&store, send("3", 1, "sled"));
    assert_eq!(add(&store, send("1", 1, "ski")), Receipt::Known { feedback: Some(first) });
    let record = store.view().frame(Ulid(1)).unwrap().unwrap();
    assert_eq!(said_by(&record), [(Some("anna"), "ski", false), (Some("anna"), "sled", true)]);
    // A sender that counts from 1 again has something new to say.
    id(add(&store, send("1", 3, "ski")));
    let last = id(add(&store, send("1", 3, "dog sled")));
    // Which is known also when what it said first is gone.
    store.remove(&[Ulid(1)], "test").unwrap();
    assert_eq!(add(&store, send("1", 3, "dog sled")), Receipt::Known { feedback: Some(last) });
}

#[test]
fn each_sender_has_one_say() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    for (by, label) in [(Some("anna"), "ski"), (Some("ben"), "sled"), (None, "dog"), (Some("anna"), "snow")] {
        id(add(&store, give(1, by, label)));
    }
    let record = store.view().frame(Ulid(1)).unwrap().unwrap();
    let wanted =
        [(Some("anna"), "ski", false), (Some("ben"), "sled", true), (None, "dog", true), (Some("anna"), "snow", true)];
    assert_eq!(said_by(&record), wanted);
    let stats = store.view().stats().unwrap();
    assert_eq!((stats.labelled, stats.feedback), (1, 4));
    assert_eq!(stats.by_label.keys().collect::<Vec<_>>(), ["dog", "sled", "snow"]);
}

#[test]
fn an_import_never_takes_the_place_of_what_was_said_later() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let at = |second| Timestamp::from_second(second).unwrap();
    let import = |at_second, label, imported: bool| {
        Item::Feedback(Box::new(NewFeedback {
            at: at(at_second),
            imported_at: imported.then(|| at(1000)),
            ..new_feedback(1, Some("anna"), label)
        }))
    };
    add(&store, import(500, "live", false));
    add(&store, import(400, "old", true));
    // A clock that was set back does not make a person's correction an old one.
    let labels = |store: &Store| store.view().stats().unwrap().by_label.into_keys().collect::<Vec<_>>();
    assert_eq!(labels(&store), ["live"]);
    add(&store, import(300, "corrected", false));
    assert_eq!(labels(&store), ["corrected"]);
    // The same export once more.
    let record = store.view().frame(Ulid(1)).unwrap().unwrap();
    let again = NewFeedback { id: Some(record.feedback[0].feedback.id), ..new_feedback(1, Some("anna"), "live") };
    assert!(matches!(add(&store, Item::Feedback(Box::new(again))), Receipt::Known { .. }));
}

#[test]
fn what_the_store_knows_need_not_be_sent() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let bare = |frame| {
        Item::Feedback(Box::new(NewFeedback { sighting: None, picture: None, ..new_feedback(frame, None, "ski") }))
    };
    assert_eq!(add(&store, bare(1)), Receipt::Refused(Refusal::UnknownFrame));
    assert_eq!(add(&store, keep(1)), Receipt::Stored { feedback: None });
    assert_eq!(add(&store, keep(1)), Receipt::Known { feedback: None });
    assert_eq!(store.view().stats().unwrap().unlabelled, 1);
    let given = id(add(&store, bare(1)));
    let stats = store.view().stats().unwrap();
    assert_eq!((stats.labelled, stats.unlabelled), (1, 0));
    let said = store.view().feedback(given).unwrap().unwrap().feedback;
    assert_eq!((said.sighting, said.blob), (sighting(), blob(1)));
    // In one batch, too; and a frame known only from a statement.
    let receipts = store.add(vec![give(5, None, "a"), bare(5)]).unwrap();
    assert!(receipts.iter().all(|receipt| matches!(receipt, Receipt::Stored { .. })), "{receipts:?}");
    id(add(&store, bare(5)));
    let long = NewFeedback { by: Some("x".repeat(300_000)), ..new_feedback(6, None, "ski") };
    assert_eq!(add(&store, Item::Feedback(Box::new(long))), Receipt::Refused(Refusal::TooLong));
}

#[test]
fn what_was_collected_is_known_by_camera_and_day_also_when_it_is_gone() {
    const DAY: i64 = 24 * 60 * 60;
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let keep = |frame: u64, camera: Option<&str>, second, reason: &str| match keep(frame) {
        Item::Collected(new) => Item::Collected(Box::new(NewCollected {
            at: Timestamp::from_second(second).unwrap(),
            reason: reason.into(),
            sighting: Sighting { camera: camera.map(Into::into), ..sighting() },
            ..*new
        })),
        item => item,
    };
    let items = vec![
        keep(1, Some("gate"), DAY - 1, "margin"),
        keep(2, Some("gate"), DAY, "unknown"),
        keep(3, Some("yard"), DAY, "margin"),
        keep(4, None, DAY, "margin"),
        keep(5, Some("gate"), 2 * DAY - 1, "margin"),
        // By a person first: it waits for nothing, and was not collected.
        give(6, None, "ski"),
        keep(6, Some("gate"), DAY, "margin"),
    ];
    store.add(items).unwrap();
    let kept = |view: &View, camera, limit| -> Vec<(i64, u64)> {
        let kept = view.kept_on(camera, limit).unwrap();
        kept.iter().map(|kept| (kept.day, kept.hash.unwrap().0)).collect()
    };
    let check = |view: &View, by_reason: &[(&str, u64)]| {
        assert_eq!(kept(view, "gate", 10), [(1, 5), (1, 2), (0, 1)]);
        assert_eq!(kept(view, "gate", 2), [(1, 5), (1, 2)]);
        assert_eq!(kept(view, "yard", 10), [(1, 3)]);
        assert_eq!(kept(view, "gat", 10), []);
        assert_eq!([-1, 0, 1, 2].map(|day| view.kept_on_day(day).unwrap()), [0, 1, 4, 0]);
        let wanted = by_reason.iter().map(|(reason, count)| ((*reason).to_owned(), *count));
        assert_eq!(view.stats().unwrap().by_reason, wanted.collect());
    };
    check(store.view(), &[("margin", 4), ("unknown", 1)]);
    store.remove(&[Ulid(3)], "test").unwrap();
    add(&store, give(2, None, "ski"));
    check(store.view(), &[("margin", 3)]);
    check(&View::read_only(dir.path(), |_| {}).unwrap(), &[("margin", 3)]);
    drop(store);
    let (store, _) = open(dir.path());
    store.rebuild().unwrap();
    check(store.view(), &[("margin", 3)]);
}

#[test]
fn lists_come_in_pages_and_filtered() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let label = |n: u64| if n.is_multiple_of(3) { "zebra" } else { "ski" };
    store.add((0..700).map(|n| give(n, None, label(n))).collect()).unwrap();
    let filter = Filter { label: Some("zebra".into()), ..Filter::default() };
    let mut frames = Vec::new();
    let mut before = None;
    loop {
        let page = store.view().list(&filter, before, 50).unwrap();
        frames.extend(page.items.iter().map(|said| said.feedback.frame.0));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(frames, (0..700).rev().filter(|n| n % 3 == 0).collect::<Vec<_>>());
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store.view().frames(Frames::NotExported, after, 300).unwrap();
        seen.extend(page.items.iter().map(|record| record.frame.0));
        store.mark_exported(&page.items.iter().map(|record| record.frame).collect::<Vec<_>>()).unwrap();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..700).collect::<Vec<_>>());
    assert_eq!(store.view().stats().unwrap().exported, 700);
    assert_eq!(store.view().frames(Frames::NotExported, None, 10).unwrap().items, []);
    add(&store, give(7, Some("ben"), "dog"));
    assert_eq!(store.view().frames(Frames::NotExported, None, 10).unwrap().items.len(), 1, "there is news of it");
}

#[test]
fn a_second_process_is_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, _) = open(dir.path());
    let error = Store::open(dir.path(), Options::default(), |_| {}).unwrap_err();
    let wanted = format!("{}: in use by process {}", dir.path().display(), std::process::id());
    assert_eq!(error.to_string(), wanted);
}

#[test]
fn removed_frames_take_their_pictures_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let twin = Item::Feedback(Box::new(NewFeedback { picture: Some(picture(1)), ..new_feedback(2, None, "ski") }));
    store.add(vec![give(1, None, "ski"), twin, keep(3)]).unwrap();
    let file = |n| dir.path().join(crate::feedback::blobs::path(&blob(n)));
    store.remove(&[Ulid(1), Ulid(3)], "asked for").unwrap();
    assert!(file(1).exists(), "frame 2 has the same picture");
    assert!(!file(3).exists());
    store.remove(&[Ulid(2)], "asked for").unwrap();
    assert!(!file(1).exists());
    let (frames, stats) = everything(store.view());
    assert_eq!(frames, []);
    let wanted = Stats { journal_entries: 6, ..Stats::default() };
    assert_eq!(stats, wanted, "nothing is left but history");
}

#[test]
fn pictures_without_an_entry_are_swept_away_and_nothing_else_is() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    store.add(vec![give(1, None, "ski")]).unwrap();
    let orphan = dir.path().join(crate::feedback::blobs::path(&blob(2)));
    fs::create_dir_all(orphan.parent().unwrap()).unwrap();
    fs::write(&orphan, picture(2).bytes()).unwrap();
    let strange = orphan.with_file_name("notes.txt");
    fs::write(&strange, "mine").unwrap();
    assert_eq!(store.sweep().unwrap(), 100);
    assert!(!orphan.exists() && strange.exists());
    assert_eq!(store.view().picture(&blob(1)).unwrap(), *picture(1).bytes());
    assert_eq!(store.sweep().unwrap(), 0);
}

#[test]
fn a_batch_is_as_large_as_it_may_be_and_no_larger() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let items: Vec<_> = (0..=MAX_BATCH as u64).map(|n| give(n, None, "ski")).collect();
    assert!(matches!(store.add(items.clone()), Err(StoreError::BatchTooLarge(1025))));
    store.add(items[1..].to_vec()).unwrap();
    assert_eq!(store.view().stats().unwrap().labelled, 1024);
}

#[test]
fn when_it_is_full_unlabelled_frames_go_first_and_labelled_ones_not_before_they_were_exported() {
    let dir = tempfile::tempdir().unwrap();
    let big = |frame: u64| Picture::new(vec![u8::try_from(frame).unwrap(); 100_000].into(), Format::Jpeg);
    let give =
        |frame| Item::Feedback(Box::new(NewFeedback { picture: Some(big(frame)), ..new_feedback(frame, None, "ski") }));
    let keep = |frame| match keep(frame) {
        Item::Collected(new) => Item::Collected(Box::new(NewCollected { picture: big(frame), ..*new })),
        item => item,
    };
    let options = Options { max_bytes: 2_000_000, ..Options::default() };
    let (store, events) = open_with(dir.path(), options);
    let index = sizes(dir.path()).index;
    let room = (2_000_000 - index - 10_000) / 102_048;
    for frame in 0..room {
        add(&store, if frame % 2 == 0 { give(frame) } else { keep(frame) });
    }
    assert_eq!(events.take(), []);
    let there = |store: &Store| -> Vec<u64> {
        everything(store.view()).0.iter().map(|record| u64::try_from(record.frame.0).unwrap()).collect()
    };
    // The oldest unlabelled one goes.
    id(add(&store, give(100)));
    assert!(matches!(events.take()[..], [Event::Removed { unlabelled: 1, labelled: 0, bytes: 100_000 }]));
    assert!(!there(&store).contains(&1));
    // All unlabelled ones, and then it is full.
    let mut refused = None;
    for frame in 101..130 {
        if let Receipt::Refused(refusal) = add(&store, give(frame)) {
            refused = Some((frame, refusal));
            break;
        }
    }
    let (next, refusal) = refused.unwrap();
    assert_eq!(refusal, Refusal::Full);
    assert!(everything(store.view()).0.iter().all(|record| !record.feedback.is_empty()));
    assert!((0..room).step_by(2).all(|frame| there(&store).contains(&frame)), "no labelled one went");
    events.take();
    // Another opinion needs no room for a picture, but there is none for the entry either.
    store.mark_exported(&[Ulid(2), Ulid(4)]).unwrap();
    assert_eq!(add(&store, keep(200)), Receipt::Refused(Refusal::Full), "a guess does not replace an answer");
    id(add(&store, give(next)));
    assert!(matches!(events.take()[..], [Event::Removed { unlabelled: 0, labelled: 1, .. }]));
    assert!(!there(&store).contains(&2) && there(&store).contains(&0));
    drop(store);
    let (store, _) = open_with(dir.path(), Options { drop_labelled: true, ..options });
    for frame in 210..220 {
        id(add(&store, give(frame)));
    }
    assert!(!there(&store).contains(&0));
    assert!(store.view().stats().unwrap().bytes <= 2_000_000);
}

#[test]
fn of_a_batch_that_does_not_fit_a_part_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let used = sizes(dir.path());
    store.lock().options.max_bytes = used.index + used.journal + 10_000;
    let resend = Item::Feedback(Box::new(NewFeedback { sender_id: Some("1".into()), ..new_feedback(9, None, "a") }));
    let receipts = store.add(vec![keep(1), keep(2), give(3, None, "a"), give(4, None, "b"), resend.clone(), resend]);
    let full = Receipt::Refused(Refusal::Full);
    let receipts = receipts.unwrap();
    assert_eq!(receipts[1], full);
    let stored: Vec<bool> = receipts.iter().map(|receipt| *receipt != full).collect();
    assert_eq!(stored, [true, false, true, true, true, true], "statements first, then frames without one");
    assert_eq!(everything(store.view()).0.len(), 4);
}
