//! Any sequence of calls, compared with the simplest store there could be, and the same by every way to an index.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Give { frame: u64, by: u8, label: u8, sender_id: Option<u8> },
    Keep(u64),
    Export(u64),
    Remove(u64),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let frame = 0..6u64;
    prop_oneof![
        6 => (frame.clone(), 0..3u8, 0..4u8, prop::option::of(0..4u8))
            .prop_map(|(frame, by, label, sender_id)| Step::Give { frame, by, label, sender_id }),
        3 => frame.clone().prop_map(Step::Keep),
        1 => frame.clone().prop_map(Step::Export),
        1 => frame.prop_map(Step::Remove),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Default)]
struct Simple {
    frames: BTreeMap<u64, SimpleFrame>,
    sent: BTreeMap<(u8, u8), (u64, u8)>,
}

#[derive(Default)]
struct SimpleFrame {
    said: Vec<(u8, u8)>,
    exported: bool,
}

impl SimpleFrame {
    fn standing(&self) -> BTreeMap<u8, u8> {
        self.said.iter().copied().collect()
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
        for step in steps {
            match step {
                Step::Give { frame, by, label: said, sender_id } => {
                    let item = NewFeedback {
                        sender_id: sender_id.map(|id| id.to_string()),
                        ..new_feedback(frame, name(by).as_deref(), &format!("label {said}"))
                    };
                    let receipt = add(&store, Item::Feedback(Box::new(item)));
                    let resend = sender_id.is_some_and(|id| simple.sent.get(&(by, id)) == Some(&(frame, said)));
                    prop_assert_eq!(matches!(receipt, Receipt::Known { .. }), resend);
                    if !resend {
                        let entry = simple.frames.entry(frame).or_default();
                        entry.said.push((by, said));
                        entry.exported = false;
                        if let Some(id) = sender_id {
                            simple.sent.insert((by, id), (frame, said));
                        }
                    }
                }
                Step::Keep(frame) => {
                    let receipt = add(&store, keep(frame));
                    let known = simple.frames.contains_key(&frame);
                    prop_assert_eq!(receipt == Receipt::Known { feedback: None }, known);
                    simple.frames.entry(frame).or_default();
                }
                Step::Export(frame) => {
                    store.mark_exported(&[Ulid(frame.into())]).unwrap();
                    if let Some(frame) = simple.frames.get_mut(&frame) {
                        frame.exported = !frame.said.is_empty();
                    }
                }
                Step::Remove(frame) => {
                    store.remove(&[Ulid(frame.into())], "test").unwrap();
                    simple.frames.remove(&frame);
                    simple.sent.retain(|_, (sent, _)| *sent != frame);
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
        for (record, (frame, wanted)) in frames.iter().zip(&simple.frames) {
            prop_assert_eq!(record.frame, Ulid((*frame).into()));
            prop_assert_eq!(record.exported, wanted.exported);
            let said: Vec<_> = record.feedback.iter().map(|said| {
                (said.feedback.by.clone(), said.feedback.statement.label().to_owned())
            }).collect();
            let wanted_said: Vec<_> =
                wanted.said.iter().map(|(by, label)| (name(*by), format!("label {label}"))).collect();
            prop_assert_eq!(said, wanted_said);
            let standing = record.feedback.iter().filter(|said| said.standing);
            prop_assert_eq!(standing.count(), wanted.standing().len());
            for label in wanted.standing().values() {
                *by_label.entry(format!("label {label}")).or_default() += 1;
            }
        }
        let labelled = simple.frames.values().filter(|frame| !frame.said.is_empty()).count() as u64;
        prop_assert_eq!(stats.labelled, labelled);
        prop_assert_eq!(stats.unlabelled, frames.len() as u64 - labelled);
        prop_assert_eq!(stats.exported, simple.frames.values().filter(|frame| frame.exported).count() as u64);
        prop_assert_eq!(&stats.by_label, &by_label);
        prop_assert_eq!(stats.by_reason.values().sum::<u64>(), stats.unlabelled);
        let kept = store.view().kept_on("gate", usize::MAX).unwrap();
        let everything_now = (frames, stats);
        prop_assert_eq!(&everything(&View::read_only(dir.path(), |_| {}).unwrap()), &everything_now);
        store.rebuild().unwrap();
        prop_assert_eq!(&everything(store.view()), &everything_now);
        prop_assert_eq!(store.view().kept_on("gate", usize::MAX).unwrap(), kept);
        let files = |folder: &str| {
            let entries = fs::read_dir(dir.path().join(folder)).unwrap();
            entries.filter(|entry| entry.as_ref().unwrap().path().is_file()).count()
        };
        let pictures = files("blobs") + files("blobs/new");
        prop_assert_eq!(pictures, everything_now.0.len(), "one picture a frame, and no other");
    }
}
