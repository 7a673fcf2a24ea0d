//! Any sequence of calls, compared with the simplest store there could be, and the same by every way to an index.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::feedback::record::WITHDRAWN;

#[derive(Clone, Debug)]
enum Step {
    Give {
        frame: u64,
        by: u8,
        label: u8,
        sender_id: Option<u8>,
        at: i64,
        imported: bool,
    },
    /// One of those that were given, also of frames that are gone.
    Withdraw(prop::sample::Index),
    Keep(u64),
    Export(u64),
    Remove(u64),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let frame = 0..6u64;
    prop_oneof![
        8 => (frame.clone(), 0..3u8, 0..4u8, prop::option::of(0..4u8), 0..4i64, prop::bool::weighted(0.3)).prop_map(
            |(frame, by, label, sender_id, at, imported)| Step::Give { frame, by, label, sender_id, at, imported }
        ),
        4 => any::<prop::sample::Index>().prop_map(Step::Withdraw),
        3 => frame.clone().prop_map(Step::Keep),
        1 => frame.clone().prop_map(Step::Export),
        1 => frame.prop_map(Step::Remove),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Default)]
struct Simple {
    frames: BTreeMap<u64, SimpleFrame>,
    sent: BTreeMap<(u8, u8), (u64, u8, Ulid)>,
}

#[derive(Default)]
struct SimpleFrame {
    said: Vec<SimpleSaid>,
    kept: bool,
    exported: bool,
}

struct SimpleSaid {
    id: Ulid,
    by: u8,
    label: u8,
    at: i64,
    imported: bool,
    withdrawn: bool,
}

impl SimpleFrame {
    /// Of each sender the last that counts, and among those that were taken back none does.
    fn standing(&self) -> BTreeMap<u8, Ulid> {
        let mut standing = BTreeMap::<u8, &SimpleSaid>::new();
        for said in self.said.iter().filter(|said| !said.withdrawn) {
            let is_older = said.imported && standing.get(&said.by).is_some_and(|before| before.at > said.at);
            if !is_older {
                standing.insert(said.by, said);
            }
        }
        standing.into_iter().map(|(by, said)| (by, said.id)).collect()
    }
}

fn name(by: u8) -> Option<String> {
    (by > 0).then(|| format!("by {by}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_the_simplest_store_would(steps in prop::collection::vec(step(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path()).0;
        let mut simple = Simple::default();
        let mut given = Vec::new();
        for step in steps {
            match step {
                Step::Give { frame, by, label: said, sender_id, at, imported } => {
                    let item = NewFeedback {
                        sender_id: sender_id.map(|id| id.to_string()),
                        at: Timestamp::from_second(at).unwrap(),
                        imported_at: imported.then_some(Timestamp::UNIX_EPOCH),
                        ..new_feedback(frame, name(by).as_deref(), &format!("label {said}"))
                    };
                    let receipt = add(&store, Item::Feedback(Box::new(item)));
                    let sent = sender_id.and_then(|id| simple.sent.get(&(by, id)));
                    let resend = sent.is_some_and(|&(of, label, _)| (of, label) == (frame, said));
                    prop_assert_eq!(matches!(receipt, Receipt::Known { .. }), resend);
                    if !resend {
                        let entry = simple.frames.entry(frame).or_default();
                        let before = entry.standing();
                        let id = id(receipt);
                        entry.said.push(SimpleSaid { id, by, label: said, at, imported, withdrawn: false });
                        entry.exported &= entry.standing() == before;
                        given.push((id, frame, by, sender_id));
                        if let Some(sender_id) = sender_id {
                            simple.sent.insert((by, sender_id), (frame, said, id));
                        }
                    }
                }
                Step::Keep(frame) => {
                    let receipt = add(&store, keep(frame));
                    let known = simple.frames.contains_key(&frame);
                    prop_assert_eq!(receipt == Receipt::Known { feedback: None }, known);
                    simple.frames.entry(frame).or_insert_with(|| SimpleFrame { kept: true, ..SimpleFrame::default() });
                }
                Step::Withdraw(_) if given.is_empty() => {}
                Step::Withdraw(which) => {
                    let (id, frame, by, sender_id) = *which.get(&given);
                    let frame_now = simple.frames.get_mut(&frame);
                    let before = frame_now.as_ref().map(|frame| frame.standing());
                    let said = frame_now.and_then(|frame| frame.said.iter_mut().find(|said| said.id == id));
                    let said = said.filter(|said| !said.withdrawn);
                    prop_assert_eq!(store.withdraw(id).unwrap(), said.is_some());
                    if let Some(said) = said {
                        said.withdrawn = true;
                        if let Some(key) = sender_id.map(|sender_id| (by, sender_id))
                            && simple.sent.get(&key).is_some_and(|(_, _, sent)| *sent == id)
                        {
                            simple.sent.remove(&key);
                        }
                        if let Some(frame) = simple.frames.get_mut(&frame) {
                            frame.exported &= Some(frame.standing()) == before;
                        }
                    }
                }
                Step::Export(frame) => {
                    store.mark_exported(&[Ulid(frame.into())]).unwrap();
                    if let Some(frame) = simple.frames.get_mut(&frame) {
                        frame.exported = !frame.standing().is_empty();
                    }
                }
                Step::Remove(frame) => {
                    store.remove(&[Ulid(frame.into())], "test").unwrap();
                    simple.frames.remove(&frame);
                    simple.sent.retain(|_, (sent, _, _)| *sent != frame);
                }
                Step::Reopen => {
                    drop(store);
                    store = open(dir.path()).0;
                }
            }
        }
        let (frames, stats) = everything(store.view());
        prop_assert_eq!(frames.len(), simple.frames.len());
        let mut by_label = BTreeMap::<String, u64>::new();
        let mut waiting = BTreeMap::<&str, u64>::new();
        for (record, (frame, wanted)) in frames.iter().zip(&simple.frames) {
            prop_assert_eq!(record.frame, Ulid((*frame).into()));
            prop_assert_eq!(record.exported, wanted.exported);
            let said: Vec<_> = record.feedback.iter().map(|said| {
                let of = &said.feedback;
                (of.id, of.by.clone(), of.statement.label().to_owned(), said.standing, said.withdrawn)
            }).collect();
            let standing = wanted.standing();
            let wanted_said: Vec<_> = wanted.said.iter().map(|said| {
                let stands = standing.get(&said.by) == Some(&said.id);
                (said.id, name(said.by), format!("label {}", said.label), stands, said.withdrawn)
            }).collect();
            prop_assert_eq!(said, wanted_said);
            for said in wanted.said.iter().filter(|said| standing.get(&said.by) == Some(&said.id)) {
                *by_label.entry(format!("label {}", said.label)).or_default() += 1;
            }
            prop_assert_eq!(record.waits().is_some(), standing.is_empty());
            prop_assert_eq!(record.collected.is_some(), wanted.kept);
            *waiting.entry(if wanted.kept { "margin" } else { WITHDRAWN }).or_default() += u64::from(standing.is_empty());
        }
        waiting.retain(|_, count| *count > 0);
        let labelled = simple.frames.values().filter(|frame| !frame.standing().is_empty()).count() as u64;
        prop_assert_eq!(stats.labelled, labelled);
        prop_assert_eq!(stats.unlabelled, frames.len() as u64 - labelled);
        prop_assert_eq!(stats.exported, simple.frames.values().filter(|frame| frame.exported).count() as u64);
        prop_assert_eq!(&stats.by_label, &by_label);
        let by_reason = stats.by_reason.iter().map(|(reason, count)| (reason.as_str(), *count));
        prop_assert_eq!(by_reason.collect::<BTreeMap<_, _>>(), waiting);
        prop_assert_eq!(stats.by_reason.values().sum::<u64>(), stats.unlabelled);
        let kept = store.view().kept_on("gate", usize::MAX).unwrap();
        let everything_now = (frames, stats);
        let state: State = get(&*store.view().keys().unwrap(), rows::STATE).unwrap().unwrap();
        prop_assert_eq!(&everything(&View::read_only(dir.path(), |_| {}).unwrap()), &everything_now);
        store.rebuild().unwrap();
        prop_assert_eq!(&everything(store.view()), &everything_now);
        prop_assert_eq!(get::<State>(&*store.view().keys().unwrap(), rows::STATE).unwrap(), Some(state));
        prop_assert_eq!(store.view().kept_on("gate", usize::MAX).unwrap(), kept);
        let files = |folder: &str| {
            let entries = fs::read_dir(dir.path().join(folder)).unwrap();
            entries.filter(|entry| entry.as_ref().unwrap().path().is_file()).count()
        };
        let pictures = files("blobs") + files("blobs/new");
        prop_assert_eq!(pictures, everything_now.0.len(), "one picture a frame, and no other");
    }
}
