//! Files that are not what was written.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::*;

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// What can happen to the files of the index between two starts.
fn harm(index: &Path, round: usize) {
    let files = files(index);
    let file = &files[round % files.len()];
    let bytes = fs::read(file).unwrap();
    match round / files.len() % 6 {
        0 => fs::remove_file(file).unwrap(),
        1 => fs::write(file, &bytes[..bytes.len() / 2]).unwrap(),
        2 => fs::write(file, b"").unwrap(),
        3 => {
            let mut bytes = bytes;
            let at = round * 7919 % bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 0x55;
            }
            fs::write(file, bytes).unwrap();
        }
        4 => fs::write(file, bytes.iter().map(|byte| byte ^ 0x80).collect::<Vec<_>>()).unwrap(),
        _ => fs::write(file, vec![0; bytes.len()]).unwrap(),
    }
}

#[test]
fn an_index_with_damaged_files_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    store.add((0..200).map(|n| if n % 3 == 0 { keep(n) } else { give(n, None, "ski") }).collect()).unwrap();
    let mut rebuilt = 0;
    let mut wanted = everything(store.view());
    drop(store);
    for round in 0..48 {
        harm(&dir.path().join("index"), round);
        let (store, events) = open(dir.path());
        // What is wrong may show only when it is read.
        let seen = store.view().frames(Frames::All, None, usize::MAX).and_then(|_| store.view().stats());
        if let Err(error) = seen {
            assert!(matches!(error, StoreError::Index(_) | StoreError::NoIndex { .. }), "{error:?}");
            store.flush().unwrap();
        }
        assert_eq!(everything(store.view()), wanted, "round {round}");
        rebuilt += events.take().iter().filter(|event| matches!(event, Event::Rebuilt { .. })).count();
        id(add(&store, give(1000 + round as u64, None, "sled")));
        wanted = everything(store.view());
    }
    assert!(rebuilt > 10, "{rebuilt}");
    let aside = fs::read_dir(dir.path()).unwrap().flatten();
    let aside = aside.filter(|entry| entry.file_name().to_string_lossy().starts_with("index.broken-"));
    assert_eq!(aside.count(), 8, "the first are kept to be looked at, and then no more");
}

#[test]
fn an_index_with_one_row_of_an_earlier_time_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let first = id(add(&store, give(1, None, "ski")));
    let key = rows::feedback(first);
    let before = store.view().keys().unwrap().get(&key).unwrap();
    add(&store, give(1, None, "sled"));
    let wanted = everything(store.view());
    store.view().keys().unwrap().apply([(key, before)].into()).unwrap();
    drop(store);
    let (store, events) = open(dir.path());
    let events = events.take();
    let is_it = |reason: &str| reason == "its rows are not those that were written";
    assert!(
        matches!(&events[..], [Event::Rebuilding { reason, .. }, Event::Rebuilt { .. }] if is_it(reason)),
        "{events:?}"
    );
    assert_eq!(everything(store.view()), wanted);
}

#[test]
fn a_kill_is_no_reason_to_make_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    store.add(vec![give(1, None, "ski")]).unwrap();
    store.flush().unwrap();
    store.add(vec![give(2, None, "ski")]).unwrap();
    let wanted = everything(store.view());
    let copy = tempfile::tempdir().unwrap();
    let root = copy.path().join("store");
    std::process::Command::new("cp").arg("-r").arg(dir.path()).arg(&root).status().unwrap();
    let (store, events) = open(&root);
    let events = events.take();
    assert!(matches!(events[..], [] | [Event::CaughtUp { entries: 1 }]), "{events:?}");
    assert_eq!(everything(store.view()), wanted);
}

#[test]
fn processes_that_die_opening_the_index_do_not_go_on_dying() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    store.add(vec![give(1, None, "ski")]).unwrap();
    drop(store);
    for _ in 0..3 {
        assert_eq!(mark::opening(dir.path()).unwrap(), None);
    }
    let (_store, events) = open(dir.path());
    let events = events.take();
    let is_it = |reason: &str| reason == "3 processes died opening it";
    assert!(
        matches!(&events[..], [Event::Rebuilding { reason, .. }, Event::Rebuilt { .. }] if is_it(reason)),
        "{events:?}"
    );
}

/// Told of what happens while a store is opened, so that it sees the guard at that moment: where a kill would leave it.
#[test]
fn kills_after_the_index_was_looked_at_do_not_count() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    store.add(vec![give(1, None, "ski")]).unwrap();
    drop(store);
    let deaths = |dir: &Path| fs::read_to_string(dir.join("index.mark")).unwrap().trim().to_owned();
    // An index that lacks all entries is made again, and one that lacks some is brought up to date: both can take long.
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let (root, at) = (dir.path().to_owned(), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&at);
    let store = Store::open(dir.path(), Options::default(), move |event| {
        seen.lock().unwrap().push((event, deaths(&root)));
    });
    drop(store.unwrap());
    let at = at.lock().unwrap();
    assert!(
        matches!(&at[..], [(Event::Rebuilding { .. }, first), (Event::Rebuilt { .. }, last)] if first == "0" && last == "0"),
        "{at:?}"
    );
}

/// The last, or another, segment.
fn segment(dir: &Path, from_the_end: usize) -> PathBuf {
    let segments: Vec<_> =
        files(&dir.join("journal")).into_iter().filter(|path| path.extension().unwrap() == "log").collect();
    segments[segments.len() - 1 - from_the_end].clone()
}

#[test]
fn a_torn_end_is_cut_kept_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    store.add(vec![give(1, None, "ski")]).unwrap();
    let wanted = everything(store.view());
    drop(store);
    let file = segment(dir.path(), 0);
    let whole = fs::read(&file).unwrap();
    for tail in [&whole[44..whole.len() - 1], &[0; 5000], &[0xff], &whole[44..]] {
        fs::write(&file, [&whole, tail].concat()).unwrap();
        // Nothing to fear for who only looks.
        assert_eq!(everything(&View::read_only(dir.path(), |event| panic!("{event:?}")).unwrap()), wanted);
        let (store, events) = open(dir.path());
        let events = events.take();
        let [Event::Torn(torn)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((torn.offset, torn.bytes), (whole.len() as u64, tail.len() as u64));
        assert_eq!(fs::read(torn.kept.as_ref().unwrap()).unwrap(), tail);
        assert_eq!(fs::read(&file).unwrap(), whole);
        assert_eq!(everything(store.view()), wanted);
    }
}

#[test]
fn a_segment_whose_beginning_was_cut_short_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 1000, ..Options::default() };
    let (store, _) = open_with(dir.path(), options);
    for n in 0..3 {
        id(add(&store, give(n, None, "ski")));
    }
    let wanted = everything(store.view());
    drop(store);
    let next = dir.path().join("journal/00000004.log");
    assert!(!next.exists() && dir.path().join("journal/00000003.log").exists());
    for torn in [&b""[..], b"glncdJNL\x01", &[0; 44]] {
        fs::write(&next, torn).unwrap();
        let (store, _) = open_with(dir.path(), options);
        assert_eq!(everything(store.view()), wanted);
        id(add(&store, give(9, None, "ski")));
        drop(store);
        fs::remove_file(&next).unwrap();
        // Entries of the index that are in no journal any more: it is made again.
        let (store, events) = open_with(dir.path(), options);
        let events = events.take();
        assert!(
            events.iter().any(|event| matches!(event, Event::Rebuilt { .. })),
            "{events:?} {:?}",
            files(&dir.path().join("journal"))
        );
        assert_eq!(everything(store.view()).0, wanted.0);
        drop(store);
        for file in files(&dir.path().join("journal")) {
            if file.file_name().unwrap() > std::ffi::OsStr::new("00000003.log") {
                fs::remove_file(file).unwrap();
            }
        }
    }
}

#[test]
fn damage_in_the_middle_costs_what_was_there_and_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 4000, ..Options::default() };
    let (store, _) = open_with(dir.path(), options);
    for n in 0..40 {
        id(add(&store, give(n, None, "ski")));
    }
    drop(store);
    assert!(segment(dir.path(), 3).exists(), "several segments");
    let damaged = segment(dir.path(), 1);
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[2000] ^= 1;
    fs::write(&damaged, &bytes).unwrap();
    // And a header, whose entries say by themselves where they belong.
    let headless = segment(dir.path(), 2);
    let mut bytes = fs::read(&headless).unwrap();
    bytes[20] ^= 1;
    fs::write(&headless, &bytes).unwrap();

    let (store, _) = open_with(dir.path(), options);
    let page = store.view().list(&Filter::default(), None, usize::MAX).unwrap();
    assert_eq!((page.items.len(), page.unreadable), (39, 1));
    let rebuilt = Events::default();
    drop(store);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let store = Store::open(dir.path(), options, rebuilt.observer()).unwrap();
    assert_eq!(everything(store.view()).0.len(), 39);
    let damage: Vec<_> = rebuilt
        .take()
        .into_iter()
        .filter_map(|event| match event {
            Event::Damaged(damage) => Some((damage.file, damage.lost)),
            _ => None,
        })
        .collect();
    assert_eq!(damage, [(headless, 0), (damaged.clone(), 1)]);
    // A whole segment.
    fs::remove_file(&damaged).unwrap();
    let mut lost = 0;
    let view = View::read_only(dir.path(), |event| match event {
        Event::Damaged(damage) => lost += damage.lost,
        event => panic!("{event:?}"),
    });
    let left = everything(&view.unwrap()).0.len() as u64;
    assert_eq!(left + lost, 40);
    assert!(lost > 3);
}

#[test]
fn a_journal_of_a_newer_release_is_refused_and_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let mut inner = store.lock();
    inner.writer.append(&[br#"{"v":1,"kind":"merged"}"#.to_vec()]).unwrap();
    drop(inner);
    drop(store);
    let before = fs::read(segment(dir.path(), 0)).unwrap();
    let error = Store::open(dir.path(), Options::default(), |_| {}).unwrap_err();
    let StoreError::Journal(error) = error else { panic!("{error:?}") };
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        error.to_string().ends_with("00000001.log, offset 44") && source.contains("\"merged\""),
        "{error} {source}"
    );
    assert_eq!(fs::read(segment(dir.path(), 0)).unwrap(), before);
}

#[test]
fn a_picture_that_changed_is_not_handed_out_and_is_written_again_when_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    store.add(vec![give(1, None, "ski")]).unwrap();
    let file = dir.path().join(crate::feedback::blobs::path(&blob(1)));
    fs::write(&file, vec![b'x'; 100]).unwrap();
    assert!(matches!(store.view().picture(&blob(1)), Err(StoreError::Blob(BlobError::Changed { .. }))));
    fs::remove_file(&file).unwrap();
    assert!(matches!(store.view().picture(&blob(1)), Err(StoreError::Blob(BlobError::Io { .. }))));
    store.add(vec![give(1, Some("ben"), "ski")]).unwrap();
    assert_eq!(store.view().picture(&blob(1)).unwrap(), *picture(1).bytes());
}

#[test]
fn a_file_under_the_name_of_a_picture_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let file = dir.path().join(crate::feedback::blobs::path(&blob(1)));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    // As some file systems leave one whose name was durable before its bytes.
    fs::write(&file, [0; 100]).unwrap();
    store.add(vec![give(1, None, "ski")]).unwrap();
    assert_eq!(store.view().picture(&blob(1)).unwrap(), *picture(1).bytes());
}
