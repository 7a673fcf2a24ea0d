//! Pages of frames, the newest first.

use super::*;

/// The pages that come one after the other.
fn pages(
    view: &View,
    which: Frames,
    wanted: &dyn Fn(&FrameRecord) -> bool,
    limit: usize,
    looks: usize,
) -> Vec<Vec<u64>> {
    let mut pages = Vec::new();
    let mut before = None;
    loop {
        let page = view.recent(which, wanted, before, limit, looks).unwrap();
        pages.push(page.items.iter().map(|record| record.frame.0 as u64).collect());
        before = page.next;
        if before.is_none() {
            return pages;
        }
    }
}

#[test]
fn pages_follow_one_another_and_none_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    for frame in 1..=7 {
        add(&store, keep(frame));
    }
    add(&store, give(3, None, "ski"));
    let all = |_: &FrameRecord| true;
    assert_eq!(pages(store.view(), Frames::All, &all, 3, 100), [vec![7, 6, 5], vec![4, 3, 2], vec![1]]);
    assert_eq!(pages(store.view(), Frames::Unlabelled, &all, 10, 100), [[7, 6, 5, 4, 2, 1]]);
    assert_eq!(pages(store.view(), Frames::Labelled, &all, 10, 100), [[3]]);
}

#[test]
fn a_page_looks_at_so_many_and_may_be_short() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    for frame in 1..=7 {
        add(&store, keep(frame));
    }
    let even = |record: &FrameRecord| record.frame.0.is_multiple_of(2);
    assert_eq!(pages(store.view(), Frames::All, &even, 10, 3), [vec![6], vec![4, 2], vec![]]);
}
