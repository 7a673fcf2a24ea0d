//! `glanced feedback rebuild`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use super::Failure;
use crate::cli::FeedbackRebuild;
use crate::config::Config;
use crate::feedback::Event;

#[derive(Serialize)]
struct Answer {
    journal_entries: u64,
    labelled: u64,
    unlabelled: u64,
}

pub(super) fn rebuild(args: &FeedbackRebuild, config: &Config) -> Result<(), Failure> {
    super::must_exist(&config.store.resolved_dir())?;
    let done = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&done);
    let store = super::open(&config.store, super::STOP_FIRST, move |event| {
        if matches!(event, Event::Rebuilt { .. }) {
            seen.store(true, Ordering::Relaxed);
        }
    })?;
    // One that could not be opened has been made again already.
    if !done.load(Ordering::Relaxed) {
        store.rebuild().map_err(super::failure)?;
    }
    let stats = store.view().stats().map_err(super::failure)?;
    let answer =
        Answer { journal_entries: stats.journal_entries, labelled: stats.labelled, unlabelled: stats.unlabelled };
    if args.json {
        return super::super::print_json(&answer);
    }
    super::super::print(&format!(
        "{} journal entries: {} labelled frames, {} unlabelled\n",
        answer.journal_entries, answer.labelled, answer.unlabelled
    ))
}
