//! Things that several tests need.

use std::path::Path;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use ulid::Ulid;

use super::record::{BlobRef, Collected, Feedback, ModelRef, Predicted, Sighting, Statement, Via};
use super::store::{Event, Item, NewCollected, NewFeedback, Options, Picture, Store};
use crate::classify::dhash::PictureHash;
use crate::config::Crop;
use crate::frame::decode::Format;

pub(super) fn sighting() -> Sighting {
    Sighting {
        camera: Some("gate".into()),
        crop: Some(Crop { x: 0.1, y: 0.5, w: 0.7, h: 0.5 }),
        model: ModelRef { name: "lite0".into(), version: "1".into() },
        predicted: vec![
            Predicted { class: 340, label: "zebra".into(), score: 0.7142 },
            Predicted { class: 3, label: "tiger shark, shark".into(), score: 0.1 },
        ],
        captured_at: None,
        received_at: Some(Timestamp::UNIX_EPOCH),
    }
}

/// About 100 bytes that differ from those of every other frame.
pub(super) fn picture(frame: u64) -> Picture {
    Picture::new(format!("{frame:0100}").into(), Format::Jpeg)
}

pub(super) fn blob(frame: u64) -> BlobRef {
    picture(frame).blob()
}

pub(super) fn label(label: &str) -> Statement {
    Statement::Label { label: label.into(), class: None, new_class: true }
}

pub(super) fn feedback(frame: u64, by: Option<&str>, said: &str) -> Feedback {
    Feedback {
        id: Ulid(u128::from(frame) + 1000),
        frame: Ulid(frame.into()),
        sender_id: None,
        by: by.map(Into::into),
        at: Timestamp::UNIX_EPOCH,
        via: Via::Mqtt,
        statement: label(said),
        sighting: sighting(),
        blob: blob(frame),
        imported_at: None,
    }
}

pub(super) fn collected(frame: u64) -> Collected {
    Collected {
        frame: Ulid(frame.into()),
        at: Timestamp::UNIX_EPOCH,
        reason: "margin".into(),
        margin: Some(0.6142),
        hash: Some(PictureHash(frame)),
        sighting: sighting(),
        blob: blob(frame),
    }
}

pub(super) fn new_feedback(frame: u64, by: Option<&str>, said: &str) -> NewFeedback {
    NewFeedback {
        id: None,
        frame: Ulid(frame.into()),
        sender_id: None,
        by: by.map(Into::into),
        at: Timestamp::UNIX_EPOCH,
        via: Via::Mqtt,
        statement: label(said),
        sighting: Some(sighting()),
        picture: Some(picture(frame)),
        imported_at: None,
    }
}

pub(super) fn give(frame: u64, by: Option<&str>, said: &str) -> Item {
    Item::Feedback(Box::new(new_feedback(frame, by, said)))
}

pub(super) fn keep(frame: u64) -> Item {
    Item::Collected(Box::new(NewCollected {
        frame: Ulid(frame.into()),
        at: Timestamp::UNIX_EPOCH,
        reason: "margin".into(),
        margin: Some(0.6142),
        hash: Some(PictureHash(frame)),
        sighting: sighting(),
        picture: picture(frame),
    }))
}

/// What a store told its observer.
#[derive(Clone, Default)]
pub(super) struct Events(Arc<Mutex<Vec<Event>>>);

impl Events {
    pub(super) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    pub(super) fn observer(&self) -> impl Fn(Event) + Send + Sync + 'static {
        let events = self.0.clone();
        move |event| events.lock().unwrap().push(event)
    }
}

pub(super) fn open(dir: &Path) -> (Store, Events) {
    open_with(dir, Options::default())
}

pub(super) fn open_with(dir: &Path, options: Options) -> (Store, Events) {
    let events = Events::default();
    let store = Store::open(dir, options, events.observer()).unwrap();
    (store, events)
}
