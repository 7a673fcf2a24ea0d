//! `glanced feedback list`

use std::fmt::Write;

use serde::Serialize;

use super::Failure;
use crate::cli::FeedbackList;
use crate::config::Config;
use crate::feedback::record::{Collected, Predicted, Sighting};
use crate::feedback::view::{Filter, FrameRecord, Frames, View};
use crate::feedback::{Feedback, StoreError};

/// Frames are looked through so many at a time.
const PAGE: usize = 512;

#[derive(Serialize)]
struct Answer<T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback: Option<Vec<T>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frames: Option<Vec<Collected>>,
    /// There are more than were asked for.
    more: bool,
    unreadable: u64,
}

pub(super) fn list(args: &FeedbackList, config: &Config) -> Result<(), Failure> {
    let view = super::view(&config.store)?;
    let answer = if args.unlabelled { unlabelled(args, &view) } else { statements(args, &view) };
    let answer = answer.map_err(super::failure)?;
    if args.json {
        return super::super::print_json(&answer);
    }
    let mut text = String::new();
    for said in answer.feedback.iter().flatten() {
        line(&mut text, &said.at.to_string(), &said.frame.to_string(), said.statement.label(), &said.sighting);
    }
    for frame in answer.frames.iter().flatten() {
        line(&mut text, &frame.at.to_string(), &frame.frame.to_string(), &why(frame), &frame.sighting);
    }
    if answer.more {
        text.push_str("… and more (--limit)\n");
    }
    if answer.unreadable > 0 {
        super::note(&format!("{} entries can't be read in the journal", answer.unreadable));
    }
    super::super::print(&text)
}

fn statements(args: &FeedbackList, view: &View) -> Result<Answer<Feedback>, StoreError> {
    let filter = Filter { label: args.label.clone(), camera: args.camera.clone(), standing: true, ..Filter::default() };
    let page = view.list(&filter, None, args.limit)?;
    let feedback = page.items.into_iter().map(|said| said.feedback).collect();
    Ok(Answer { feedback: Some(feedback), frames: None, more: page.next.is_some(), unreadable: page.unreadable })
}

fn unlabelled(args: &FeedbackList, view: &View) -> Result<Answer<Feedback>, StoreError> {
    let mut answer = Answer { feedback: None, frames: None, more: false, unreadable: 0 };
    let mut frames = Vec::new();
    let mut after = None;
    'pages: loop {
        let page = view.frames(Frames::Unlabelled, after, PAGE)?;
        answer.unreadable += page.unreadable;
        for frame in page.items.iter().filter_map(FrameRecord::waits) {
            if args.camera.is_some() && args.camera != frame.sighting.camera {
                continue;
            }
            if frames.len() == args.limit {
                answer.more = true;
                break 'pages;
            }
            frames.push(frame);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    answer.frames = Some(frames);
    Ok(answer)
}

/// What stands in the place of the label.
fn why(frame: &Collected) -> String {
    let Collected { reason, margin, .. } = frame;
    margin.map_or_else(|| format!("? {reason}"), |margin| format!("? {reason} (margin {:.1} %)", margin * 100.0))
}

fn line(text: &mut String, at: &str, frame: &str, label: &str, sighting: &Sighting) {
    let camera = super::shown(sighting.camera.as_deref().unwrap_or("-"));
    let seen = sighting.predicted.first().map_or_else(
        || "nothing".to_owned(),
        |Predicted { label, score, .. }| format!("{} {:.1} %", super::shown(label), score * 100.0),
    );
    let _to_memory = writeln!(text, "{at}  {frame}  {camera}  {}  (saw: {seen})", super::shown(label));
}
