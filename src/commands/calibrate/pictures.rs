//! Pictures whose classes are known: from a folder, or from what people said about frames.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Serialize;

use super::super::feedback::{self, Faults};
use super::Failure;
use crate::config::{Config, Crop};
use crate::eval::dataset::{Dataset, Half};
use crate::eval::fit::Confirmed;
use crate::eval::run;
use crate::feedback::record::BlobRef;
use crate::feedback::view::{FrameRecord, Frames, View};
use crate::frame::Route;
use crate::frame::decode::Limits;
use crate::model::Bundle;

/// Frames are read so many at a time.
const PAGE: usize = 256;

/// Pictures to calibrate on.
#[derive(Debug)]
pub(super) struct Pictures {
    pub(super) items: Vec<Picture>,
    pub(super) left_out: LeftOut,
    /// What their cameras were said to show, the oldest first. Nothing of pictures from a folder.
    pub(super) confirmed: Vec<Confirmed>,
    /// Where frames are, if any are among them.
    store: Option<View>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) class: u32,
    /// When the frame was received, in milliseconds since 1970; `None` of a file.
    pub(super) at_ms: Option<u64>,
    crop: Option<Crop>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    File(PathBuf),
    Stored(BlobRef),
}

/// What could not be used.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct LeftOut {
    /// Pictures that can't be read, or are gone.
    unreadable: usize,
    /// Frames that another model looked at.
    other_model: usize,
    /// Frames of classes that the model does not have.
    new_class: usize,
}

impl LeftOut {
    /// In words after `before`; nothing if nothing was left out.
    pub(super) fn to_text(self, before: &str) -> String {
        let counts = [
            (self.unreadable, "that can't be read"),
            (self.other_model, "that another model looked at"),
            (self.new_class, "of a class that the model does not have"),
        ];
        let some: Vec<_> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        if some.is_empty() { String::new() } else { format!("{before}{}", some.join(", ")) }
    }
}

impl Picture {
    /// The part of it that was looked at.
    pub(super) fn route(&self) -> Route {
        Route { crop: self.crop, ..Route::WHOLE }
    }
}

impl Pictures {
    /// Those of an ImageFolder. Sequences are passed over: their frames are all alike.
    pub(super) fn in_folder(dir: &Path, half: Option<Half>, bundle: &Bundle) -> Result<Self, Failure> {
        let dataset = Dataset::open(dir, &bundle.labels).map_err(anyhow::Error::from)?;
        let dataset = half.map_or_else(|| dataset.clone(), |half| dataset.half(half));
        let samples = dataset.samples.into_iter();
        let items = samples.map(|sample| Picture {
            class: sample.class,
            at_ms: None,
            crop: None,
            place: Place::File(sample.path),
        });
        Ok(Self { items: items.collect(), left_out: LeftOut::default(), confirmed: Vec::new(), store: None })
    }

    /// The labelled frames of the store that this model, in any version, looked at, the oldest first.
    pub(super) fn in_store(config: &Config, bundle: &Bundle) -> Result<Self, Failure> {
        let view = feedback::view(&config.store)?;
        let (mut items, mut confirmed, mut left_out) = (Vec::new(), Vec::new(), LeftOut::default());
        let mut after = None;
        loop {
            let page = view.frames(Frames::Labelled, after, PAGE).map_err(feedback::failure)?;
            left_out.unreadable += usize::try_from(page.unreadable).unwrap_or(usize::MAX);
            for record in &page.items {
                let Some((picture, camera)) = labelled(record, bundle, &mut left_out) else { continue };
                if let Some(camera) = camera {
                    confirmed.push(Confirmed { camera, at_ms: record.frame.timestamp_ms(), class: picture.class });
                }
                items.push(picture);
            }
            after = page.next;
            if after.is_none() {
                return Ok(Self { items, left_out, confirmed, store: Some(view) });
            }
        }
    }

    /// The bytes of one, or why there are none.
    pub(super) fn read(&self, picture: &Picture, limits: Limits) -> Result<Bytes, String> {
        match (&picture.place, &self.store) {
            (Place::File(path), _) => run::read(path, limits).map(Bytes::from),
            (Place::Stored(blob), Some(store)) => {
                store.picture(blob).map_err(|error| format!("{:#}", anyhow::Error::new(error)))
            }
            (Place::Stored(_), None) => Err("there is no store".to_owned()),
        }
    }

    /// What could be made of the pictures, in their order; what could not is said.
    pub(super) fn without_unreadable<T>(&mut self, made: Vec<Result<T, String>>) -> Vec<T> {
        let mut faults = Faults::default();
        let mut kept = Vec::with_capacity(made.len());
        for (made, picture) in made.into_iter().zip(&self.items) {
            match made {
                Ok(made) => kept.push(made),
                Err(error) => {
                    self.left_out.unreadable += 1;
                    match &picture.place {
                        Place::File(path) => faults.add(&format!("{}: {error}", path.display())),
                        Place::Stored(blob) => faults.add(&format!("picture {}: {error}", blob.sha256)),
                    }
                }
            }
        }
        kept
    }
}

/// A frame with the class that the latest standing statement names, and its camera; or `None` and a count.
fn labelled(record: &FrameRecord, bundle: &Bundle, left_out: &mut LeftOut) -> Option<(Picture, Option<String>)> {
    let said = record.says()?;
    if said.sighting.model.name != bundle.name {
        left_out.other_model += 1;
        return None;
    }
    // By name: a version that was retrained may number its classes otherwise.
    let Some(class) = bundle.labels.find(said.statement.label()) else {
        left_out.new_class += 1;
        return None;
    };
    let Some(blob) = record.blob else {
        left_out.unreadable += 1;
        return None;
    };
    let (crop, at_ms) = (said.sighting.crop, Some(record.frame.timestamp_ms()));
    let picture = Picture { class, crop, at_ms, place: Place::Stored(blob) };
    Some((picture, said.sighting.camera.clone()))
}
