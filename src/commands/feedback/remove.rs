//! `glanced feedback remove`

use serde::Serialize;
use ulid::Ulid;

use super::{Failure, Faults};
use crate::cli::FeedbackRemove;
use crate::config::Config;
use crate::feedback::view::Frames;
use crate::feedback::{Store, StoreError};

/// Frames are looked through so many at a time.
const PAGE: usize = 512;

#[derive(Debug, Default, Serialize)]
struct Answer {
    removed: usize,
    /// That were asked for, and are not in the store.
    missing: usize,
}

pub(super) fn remove(args: &FeedbackRemove, config: &Config) -> Result<(), Failure> {
    super::must_exist(&config.store.resolved_dir())?;
    let store = super::open(&config.store, super::STOP_FIRST, |_| {})?;
    let mut faults = Faults::default();
    let frames =
        if args.unlabelled { unlabelled(args, &store, &mut faults) } else { known(&args.frame, &store, &mut faults) };
    let frames = frames.map_err(super::failure)?;
    store.remove(&frames, "asked for").and_then(|()| store.flush()).map_err(super::failure)?;
    let missing = if args.unlabelled { 0 } else { args.frame.len() - frames.len() };
    let answer = Answer { removed: frames.len(), missing };
    if args.json {
        super::super::print_json(&answer)?;
    } else {
        super::super::print(&format!("{} frames removed, with their pictures and what was said\n", answer.removed))?;
    }
    faults.result()
}

fn known(frames: &[Ulid], store: &Store, faults: &mut Faults) -> Result<Vec<Ulid>, StoreError> {
    let mut known = Vec::new();
    for frame in frames {
        if store.view().frame(*frame)?.is_some() {
            known.push(*frame);
        } else {
            faults.add(&format!("frame {frame} is not in the store"));
        }
    }
    Ok(known)
}

fn unlabelled(args: &FeedbackRemove, store: &Store, faults: &mut Faults) -> Result<Vec<Ulid>, StoreError> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = store.view().frames(Frames::Unlabelled, after, PAGE)?;
        if page.unreadable > 0 {
            faults.add(&format!("{} frames can't be read in the journal, and stay", page.unreadable));
        }
        let of_camera = |camera: Option<&str>| args.camera.is_none() || args.camera.as_deref() == camera;
        let wanted = page
            .items
            .iter()
            .filter(|frame| of_camera(frame.sighting().and_then(|sighting| sighting.camera.as_deref())));
        found.extend(wanted.map(|frame| frame.frame));
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}
