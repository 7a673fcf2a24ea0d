//! Statements that are taken back. Any order of them beside other calls: `model.rs`.

use super::*;
use crate::feedback::record::WITHDRAWN;

fn said(store: &Store, frame: u64) -> Vec<(String, bool, bool)> {
    let record = store.view().frame(Ulid(frame.into())).unwrap().unwrap();
    let said = record.feedback.iter();
    said.map(|said| (said.feedback.statement.label().to_owned(), said.standing, said.withdrawn)).collect()
}

fn counts(store: &Store) -> (u64, u64, u64) {
    let stats = store.view().stats().unwrap();
    (stats.labelled, stats.unlabelled, stats.exported)
}

/// What the index says of itself, with the sum over all its rows.
fn state(store: &Store) -> State {
    get(&*store.view().keys().unwrap(), rows::STATE).unwrap().unwrap()
}

#[test]
fn what_was_said_before_stands_again() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let anna = Some("anna");
    let given = [(anna, "ski"), (Some("ben"), "dog"), (anna, "sled"), (anna, "snow")];
    let [_, ben, sled, snow] = given.map(|(by, label)| id(add(&store, give(1, by, label))));
    store.mark_exported(&[Ulid(1)]).unwrap();
    // One that had been replaced changes nothing but itself.
    assert!(store.withdraw(sled).unwrap());
    assert_eq!(counts(&store), (1, 0, 1));
    assert!(store.withdraw(snow).unwrap());
    let wanted = [("ski", true, false), ("dog", true, false), ("sled", false, true), ("snow", false, true)];
    assert_eq!(said(&store, 1), wanted.map(|(label, stands, back)| (label.to_owned(), stands, back)));
    assert_eq!(counts(&store), (1, 0, 0), "what was exported says something else");
    assert!(!store.withdraw(snow).unwrap(), "once is enough");
    assert!(!store.withdraw(Ulid(77)).unwrap(), "nobody said that");
    assert!(store.withdraw(ben).unwrap());
    let stats = store.view().stats().unwrap();
    assert_eq!(stats.by_label, [("ski".to_owned(), 1)].into());
    assert_eq!((stats.feedback, stats.journal_entries), (4, 8));
}

#[test]
fn a_frame_of_which_nothing_is_left_waits_for_a_label() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    add(&store, keep(1));
    let of_kept = id(add(&store, give(1, None, "ski")));
    let of_given = id(add(&store, give(2, None, "ski")));
    store.mark_exported(&[Ulid(1), Ulid(2)]).unwrap();
    assert!(store.withdraw(of_kept).unwrap() && store.withdraw(of_given).unwrap());
    assert_eq!(counts(&store), (0, 2, 0));
    let by_reason = store.view().stats().unwrap().by_reason;
    assert_eq!(by_reason, [("margin".to_owned(), 1), (WITHDRAWN.to_owned(), 1)].into());
    let waiting = store.view().frames(Frames::Unlabelled, None, 10).unwrap().items;
    let why: Vec<_> = waiting.iter().map(|frame| frame.waits().unwrap().reason).collect();
    assert_eq!(why, ["margin", WITHDRAWN]);
    assert_eq!(waiting[1].sighting(), Some(&sighting()));
    assert_eq!(store.view().frames(Frames::Labelled, None, 10).unwrap().items, []);
    assert_eq!(add(&store, keep(2)), Receipt::Known { feedback: None }, "it waits already");
    // Both may get one, and both may go.
    id(add(&store, give(2, Some("ben"), "sled")));
    assert_eq!(counts(&store), (1, 1, 0));
    store.remove(&[Ulid(1), Ulid(2)], "test").unwrap();
    let wanted = Stats { journal_entries: 9, ..Stats::default() };
    assert_eq!(everything(store.view()), (Vec::new(), wanted));
    assert_eq!(state(&store).counts.standing, 0);
    assert!(!store.withdraw(of_kept).unwrap(), "it is gone");
}

#[test]
fn what_was_taken_back_may_be_said_again_but_no_export_brings_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let new = NewFeedback { sender_id: Some("1".into()), ..new_feedback(1, Some("anna"), "ski") };
    let send = || add(&store, Item::Feedback(Box::new(new.clone())));
    let first = id(send());
    assert!(store.withdraw(first).unwrap());
    let imported = NewFeedback { id: Some(first), imported_at: Some(Timestamp::UNIX_EPOCH), ..new.clone() };
    assert_eq!(add(&store, Item::Feedback(Box::new(imported))), Receipt::Known { feedback: Some(first) });
    assert_eq!(counts(&store), (0, 1, 0));
    let second = id(send());
    assert!(second != first);
    assert_eq!(send(), Receipt::Known { feedback: Some(second) }, "from here on it is a resend");
    assert_eq!(counts(&store), (1, 0, 0));
    assert_eq!(said(&store, 1), [("ski".to_owned(), false, true), ("ski".to_owned(), true, false)]);
}

#[test]
fn the_index_is_the_same_however_it_came_about() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let mut given = Vec::new();
    for frame in 0..40 {
        if frame % 3 == 0 {
            add(&store, keep(frame));
        }
        for by in [None, Some("anna"), Some("anna")] {
            given.push(id(add(&store, give(frame, by, if frame % 2 == 0 { "ski" } else { "sled" }))));
        }
    }
    store.mark_exported(&(0..20).map(Ulid).collect::<Vec<_>>()).unwrap();
    for (number, id) in given.iter().enumerate() {
        if number % 9 > 2 {
            assert!(store.withdraw(*id).unwrap());
        }
    }
    store.remove(&[Ulid(3), Ulid(4)], "test").unwrap();
    let (wanted, seen) = (state(&store), everything(store.view()));
    assert!(wanted.counts.unlabelled > 10 && wanted.counts.labelled > 10, "{wanted:?}");
    store.rebuild().unwrap();
    assert_eq!(state(&store), wanted);
    drop(store);
    let (store, events) = open(dir.path());
    assert_eq!(events.take(), [], "its rows are those that were written");
    assert_eq!((state(&store), everything(store.view())), (wanted, seen));
}

#[test]
fn when_room_is_needed_it_goes_first() {
    let dir = tempfile::tempdir().unwrap();
    let (store, events) = open(dir.path());
    let back = id(add(&store, give(5, None, "ski")));
    store.add((1..=4).map(|frame| give(frame, None, "ski")).collect()).unwrap();
    assert!(store.withdraw(back).unwrap());
    let (sizes, pictures) = (sizes(dir.path()), 5 * 100);
    let mut inner = store.lock();
    inner.measured = None;
    // For an entry, and half of its picture.
    inner.options.max_bytes = sizes.index + sizes.journal + pictures + 2048 + 50;
    drop(inner);
    id(add(&store, give(6, None, "ski")));
    let events = events.take();
    assert!(matches!(events[..], [Event::Removed { unlabelled: 1, labelled: 0, bytes: 100 }]), "{events:?}");
    assert_eq!(store.view().frame(Ulid(5)).unwrap(), None);
    assert_eq!(counts(&store), (5, 0, 0));
}
