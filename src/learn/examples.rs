//! What there is to learn from: the pictures of the store with the labels that people gave them.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;
use ulid::Ulid;

use crate::config::Crop;
use crate::feedback::collect::Reason;
use crate::feedback::record::{BlobRef, Collected, Sha256Sum, Sighting};
use crate::feedback::view::{FrameRecord, Frames, View};
use crate::feedback::{Statement, StoreError};
use crate::model::Labels;

/// Frames are read so many at a time.
const PAGE: usize = 256;

/// A picture that is learnt from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exhibit {
    /// The frame.
    pub frame: Ulid,
    /// Its picture.
    pub blob: BlobRef,
    /// The part of it that is looked at.
    pub crop: Option<Crop>,
}

/// A picture and what it shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// The picture.
    pub exhibit: Exhibit,
    /// The statement that says what it shows.
    pub said: Ulid,
    /// Its camera, if it has one.
    pub camera: Option<String>,
    /// When it was taken, or received; `None` if nobody knows, as of an imported file.
    pub at: Option<Timestamp>,
    /// What it shows, a class of [`Examples::labels`].
    pub class: usize,
    /// Somebody said that what the model saw is right.
    pub confirmed: bool,
}

/// The examples of a model.
#[derive(Clone, Debug)]
pub struct Examples {
    /// Those with a label, in the order of their frames.
    pub labelled: Vec<Example>,
    /// Frames that nobody has labelled, kept because the model was sure: what it says of them is to stay.
    pub sure: Vec<Exhibit>,
    /// The model's classes, and after them those that the labels add.
    pub labels: Labels,
    /// What could not be used.
    pub left_out: LeftOut,
}

/// What could not be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Frames that can't be read, or whose picture is gone.
    pub unreadable: u64,
    /// The same picture again.
    pub repeated: u64,
    /// Beyond the most that are learnt from; the newest are used.
    pub too_many: u64,
}

impl Examples {
    /// The labelled frames that are about the classes of a model, at most `most` of them, the newest; and at most as many of those
    /// that it was sure of. `labels` are its classes. What counts of a frame is the latest statement about it that stands.
    ///
    /// # Errors
    /// If the store can't be read.
    pub fn of(view: &View, model: &str, labels: &Labels, most: usize) -> Result<Self, StoreError> {
        let mut found = Found::new(labels);
        let mut after = None;
        loop {
            let page = view.frames(Frames::Labelled, after, PAGE)?;
            found.left_out.unreadable += page.unreadable;
            page.items.iter().for_each(|record| found.add(record, model));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        loop {
            let page = view.frames(Frames::Unlabelled, after, PAGE)?;
            page.items.iter().for_each(|record| found.add_sure(record, model));
            after = page.next;
            if after.is_none() {
                return Ok(found.into_examples(labels, most));
            }
        }
    }

    /// All pictures: those of the labelled ones, and then the others.
    #[must_use]
    pub fn exhibits(&self) -> Vec<Exhibit> {
        self.labelled.iter().map(|example| example.exhibit).chain(self.sure.iter().copied()).collect()
    }

    /// The newest statement among those that say what the examples show.
    #[must_use]
    pub fn newest(&self) -> Option<Ulid> {
        self.labelled.iter().map(|example| example.said).max()
    }
}

/// What is looked at: the picture, and the part of it as text, for numbers with a fraction have no order.
type PictureKey = (Sha256Sum, String);

struct Found {
    labels: Labels,
    by_picture: HashMap<PictureKey, Example>,
    sure: Vec<Exhibit>,
    left_out: LeftOut,
}

impl Found {
    fn new(labels: &Labels) -> Self {
        Self { labels: labels.clone(), by_picture: HashMap::new(), sure: Vec::new(), left_out: LeftOut::default() }
    }

    fn add(&mut self, record: &FrameRecord, model: &str) {
        let Some(said) = record.says() else { return };
        let Sighting { crop, camera, model: of, captured_at, received_at, .. } = &said.sighting;
        if of.name != model {
            return;
        }
        let (Some(blob), Some(class)) = (record.blob, self.class(said.statement.label())) else {
            self.left_out.unreadable += 1;
            return;
        };
        let example = Example {
            exhibit: Exhibit { frame: record.frame, blob, crop: *crop },
            said: said.id,
            camera: camera.clone(),
            at: captured_at.or(*received_at),
            class,
            confirmed: matches!(said.statement, Statement::Correct { .. }),
        };
        // Frames come in order: of several with the same picture, what was said of the last one counts.
        if self.by_picture.insert((blob.sha256, format!("{crop:?}")), example).is_some() {
            self.left_out.repeated += 1;
        }
    }

    fn add_sure(&mut self, record: &FrameRecord, model: &str) {
        let Some(Collected { reason, sighting, .. }) = &record.collected else { return };
        if let Some(blob) = record.blob
            && reason == Reason::Sure.name()
            && sighting.model.name == model
        {
            self.sure.push(Exhibit { frame: record.frame, blob, crop: sighting.crop });
        }
    }

    /// By name: a version that was retrained may number its classes otherwise.
    fn class(&mut self, label: &str) -> Option<usize> {
        if self.labels.find(label).is_none() {
            self.labels = self.labels.clone().with(label)?;
        }
        self.labels.find(label).and_then(|class| usize::try_from(class).ok())
    }

    fn into_examples(self, known: &Labels, most: usize) -> Examples {
        let Self { labels, by_picture, mut sure, mut left_out } = self;
        let mut labelled: Vec<Example> = by_picture.into_values().collect();
        labelled.sort_by_key(|example| example.exhibit.frame);
        let over = labelled.len().saturating_sub(most);
        left_out.too_many = over as u64;
        labelled.drain(..over);
        // Classes whose examples are all left out, or had another label in the end, are no classes.
        let mut numbers: Vec<Option<usize>> =
            (0..labels.len()).map(|class| (class < known.len()).then_some(class)).collect();
        let mut kept = known.clone();
        for example in &mut labelled {
            let number = numbers[example.class].unwrap_or_else(|| {
                let name = u32::try_from(example.class).ok().and_then(|class| labels.get(class));
                if let Some(more) = name.and_then(|label| kept.clone().with(&label.en)) {
                    kept = more;
                }
                kept.len() - 1
            });
            numbers[example.class] = Some(number);
            example.class = number;
        }
        // No more than were labelled: they are to hold the rest in place, and not to be what is learnt.
        sure.drain(..sure.len().saturating_sub(labelled.len()));
        Examples { labelled, sure, labels: kept, left_out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feedback::Feedback;
    use crate::feedback::record::{ModelRef, Via};
    use crate::feedback::view::Said;
    use crate::frame::decode::Format;

    fn said(frame: u128, at: i64, by: &str, statement: Statement) -> Said {
        let model = ModelRef { name: "m".to_owned(), version: "1".to_owned() };
        let feedback = Feedback {
            id: Ulid(frame * 100 + at.unsigned_abs() as u128),
            frame: Ulid(frame),
            sender_id: None,
            by: Some(by.to_owned()),
            at: Timestamp::from_second(at).unwrap(),
            via: Via::Mqtt,
            statement,
            sighting: Sighting::unseen(Some("gate".to_owned()), model),
            blob: BlobRef::of(&frame.to_le_bytes(), Format::Jpeg),
            imported_at: None,
        };
        Said { feedback, standing: true, withdrawn: false }
    }

    fn label(label: &str) -> Statement {
        Statement::Label { label: label.to_owned(), class: None, new_class: true }
    }

    fn record(frame: u128, feedback: Vec<Said>) -> FrameRecord {
        let blob = Some(BlobRef::of(&frame.to_le_bytes(), Format::Jpeg));
        FrameRecord { frame: Ulid(frame), collected: None, feedback, blob, exported: false }
    }

    fn known() -> Labels {
        Labels::new(&["red".to_owned(), "Egyptian cat".to_owned()]).unwrap()
    }

    fn found(records: &[FrameRecord], most: usize) -> Examples {
        let mut found = Found::new(&known());
        records.iter().for_each(|record| found.add(record, "m"));
        found.into_examples(&known(), most)
    }

    fn classes(examples: &Examples) -> Vec<usize> {
        examples.labelled.iter().map(|example| example.class).collect()
    }

    #[test]
    fn a_label_names_a_class_or_is_a_new_one() {
        let labels = ["RED", "egyptian_cat", "band aid", "Band-Aid", "blue"];
        let records: Vec<_> =
            (1..).zip(labels).map(|(frame, name)| record(frame, vec![said(frame, 0, "a", label(name))])).collect();
        let examples = found(&records, 99);
        assert_eq!(classes(&examples), [0, 1, 2, 2, 3]);
        assert_eq!(examples.labels.names().collect::<Vec<_>>(), ["red", "Egyptian cat", "band aid", "blue"]);
        assert_eq!(examples.newest(), Some(Ulid(500)));
        assert_eq!(examples.labelled[0].camera.as_deref(), Some("gate"));
    }

    #[test]
    fn the_latest_statement_counts() {
        let correct = Statement::Correct { class: 0, label: "red".to_owned() };
        let twice = record(1, vec![said(1, 5, "a", label("blue")), said(1, 9, "b", correct)]);
        let examples = found(&[twice], 99);
        assert_eq!((classes(&examples), examples.labelled[0].confirmed), (vec![0], true));
        // Nobody means "blue" any more.
        assert_eq!(examples.labels, known());
    }

    #[test]
    fn the_same_picture_counts_once_and_the_newest_are_used() {
        let mut again = record(2, vec![said(2, 0, "a", label("blue"))]);
        again.blob = Some(BlobRef::of(&1_u128.to_le_bytes(), Format::Jpeg));
        let examples = found(&[record(1, vec![said(1, 0, "a", label("red"))]), again], 99);
        assert_eq!((classes(&examples), examples.left_out.repeated), (vec![2], 1));

        let many: Vec<_> = (1..=5)
            .map(|frame| record(frame, vec![said(frame, 0, "a", label(["old", "red"][usize::from(frame > 1)]))]))
            .collect();
        let examples = found(&many, 3);
        assert_eq!((classes(&examples), examples.left_out.too_many), (vec![0, 0, 0], 2));
        assert_eq!(examples.labels, known(), "a class without examples is none");
    }

    #[test]
    fn what_the_model_was_sure_of_is_kept_beside_as_many_that_were_labelled() {
        let collected = |frame: u128, reason: &str, model: &str| {
            let model = ModelRef { name: model.to_owned(), version: "1".to_owned() };
            let blob = BlobRef::of(&frame.to_le_bytes(), Format::Jpeg);
            let sighting = Sighting::unseen(Some("gate".to_owned()), model);
            let at = Timestamp::UNIX_EPOCH;
            let reason = reason.to_owned();
            let kept = Collected { frame: Ulid(frame), at, reason, margin: None, hash: None, sighting, blob };
            FrameRecord { collected: Some(kept), ..record(frame, Vec::new()) }
        };
        let mut found = Found::new(&known());
        (1..=2).for_each(|frame| found.add(&record(frame, vec![said(frame, 0, "a", label("red"))]), "m"));
        for (frame, reason, model) in
            [(3, "sure", "m"), (4, "margin", "m"), (5, "sure", "n"), (6, "sure", "m"), (7, "sure", "m")]
        {
            found.add_sure(&collected(frame, reason, model), "m");
        }
        let examples = found.into_examples(&known(), 99);
        assert_eq!(examples.sure.iter().map(|exhibit| exhibit.frame).collect::<Vec<_>>(), [Ulid(6), Ulid(7)]);
    }

    #[test]
    fn what_is_about_another_model_or_has_no_picture_is_left_out() {
        let mut other = said(1, 0, "a", label("red"));
        other.feedback.sighting.model.name = "n".to_owned();
        let mut gone = record(2, vec![said(2, 0, "a", label("red"))]);
        gone.blob = None;
        let examples = found(&[record(1, vec![other]), gone], 99);
        assert_eq!((examples.labelled.len(), examples.left_out.unreadable), (0, 1));
    }
}
