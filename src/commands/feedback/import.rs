//! `glanced feedback import`: an export with its manifest. Folders without one: `folder.rs`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;

use super::manifest::{self, Line};
use super::{Failure, Faults, folder};
use crate::cli::FeedbackImport;
use crate::config::Config;
use crate::feedback::record::{Collected, Feedback};
use crate::feedback::store::{Item, MAX_BATCH, NewCollected, NewFeedback, Picture};
use crate::feedback::{Receipt, Store};

/// Pictures of a batch may take so much memory, bytes.
const BATCH_BYTES: usize = 16 << 20;

#[derive(Debug, Default, Serialize)]
pub(super) struct Answer {
    /// Statements, and frames that wait for one, that are new.
    stored: u64,
    /// That were there already.
    known: u64,
    /// That could not be taken.
    failed: u64,
}

pub(super) fn import(args: &FeedbackImport, config: &Config) -> Result<(), Failure> {
    let dir = &args.from;
    if !dir.is_dir() {
        return Err(Failure::Missing(format!("{}: no such folder", dir.display())));
    }
    let manifest = dir.join(manifest::FILE);
    let batch = if manifest.exists() {
        let store = super::open(&config.store, super::STOP_FIRST, |_| {})?;
        let mut batch = Batch::new(&store);
        lines(&manifest, dir, config, &mut batch)?;
        batch.flush()?;
        (batch.answer, batch.faults)
    } else {
        // What may fail without the store comes before it is made.
        let labels = folder::labels(dir)?;
        let bundle = super::bundle(config, &config.model.name)?;
        let store = super::open(&config.store, super::STOP_FIRST, |_| {})?;
        let mut batch = Batch::new(&store);
        folder::import(&labels, &bundle, config, &mut batch)?;
        batch.flush()?;
        (batch.answer, batch.faults)
    };
    let (answer, faults) = batch;
    if args.json {
        super::super::print_json(&answer)?;
    } else {
        let Answer { stored, known, failed } = answer;
        super::super::print(&format!("{stored} stored, {known} known already, {failed} failed\n"))?;
    }
    faults.result()
}

fn lines(manifest: &Path, dir: &Path, config: &Config, batch: &mut Batch<'_>) -> Result<(), Failure> {
    let file = File::open(manifest).with_context(|| manifest.display().to_string())?;
    let progress = super::progress(None);
    let now = Timestamp::now();
    for (number, text) in BufReader::new(file).lines().enumerate() {
        let text = text.with_context(|| manifest.display().to_string())?;
        if text.trim().is_empty() {
            continue;
        }
        let taken = Line::parse(&text).map_err(Failure::from).and_then(|line| frame(line, dir, config, now, batch));
        match taken {
            Ok(()) => {}
            Err(Failure::Other(error)) if !batch.broken => {
                batch.fault(&format!("{}, line {}: {error:#}", manifest.display(), number + 1));
            }
            Err(failure) => return Err(failure),
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(())
}

/// Takes a frame as the manifest tells it.
fn frame(line: Line, dir: &Path, config: &Config, now: Timestamp, batch: &mut Batch<'_>) -> Result<(), Failure> {
    let view = batch.store.view();
    let mut new = Vec::new();
    for opinion in &line.feedback {
        if opinion.feedback.frame != line.frame {
            return Err(anyhow!("a statement about another frame, {}", opinion.feedback.frame).into());
        }
        if view.feedback(opinion.feedback.id).map_err(super::failure)?.is_none() {
            new.push(opinion.feedback.clone());
        }
    }
    let held = view.frame(line.frame).map_err(super::failure)?;
    let collected = line.collected.clone().filter(|_| held.is_none());
    batch.answer.known += (line.feedback.len() - new.len()) as u64;
    batch.answer.known += u64::from(line.collected.is_some() && collected.is_none());
    if new.is_empty() && collected.is_none() {
        return Ok(());
    }
    let picture = match (&line.file, &held) {
        (None, Some(_)) => None,
        _ => Some(picture(&line, dir, config)?),
    };
    if let (Some(collected), Some(picture)) = (collected, &picture) {
        let Collected { at, reason, margin, hash, sighting, .. } = collected;
        let picture = picture.clone();
        let bytes = picture.bytes().len();
        let collected = NewCollected { frame: line.frame, at, reason, margin, hash, sighting, picture };
        batch.add(Item::Collected(Box::new(collected)), bytes)?;
    }
    for Feedback { id, frame, sender_id, by, at, via, statement, sighting, imported_at, .. } in new {
        let bytes = picture.as_ref().map_or(0, |picture| picture.bytes().len());
        let feedback = NewFeedback {
            id: Some(id),
            frame,
            sender_id,
            by,
            at,
            via,
            statement,
            sighting: Some(sighting),
            picture: picture.clone(),
            imported_at: Some(imported_at.unwrap_or(now)),
        };
        batch.add(Item::Feedback(Box::new(feedback)), bytes)?;
    }
    Ok(())
}

/// The picture of a line, which must be the one it means.
fn picture(line: &Line, dir: &Path, config: &Config) -> anyhow::Result<Picture> {
    let path = dir.join(line.path()?);
    let blob = line.blob.context("there is a picture, but not what it should be")?;
    let bytes = read(&path, config).with_context(|| path.display().to_string())?;
    let picture = Picture::new(bytes, blob.format);
    if picture.blob() != blob {
        bail!("{}: its content is not what the manifest says", path.display());
    }
    Ok(picture)
}

/// Reads a picture, unless it is larger than one that would be looked at.
pub(super) fn read(path: &Path, config: &Config) -> anyhow::Result<Bytes> {
    let limit = config.decode.max_bytes;
    let mut bytes = Vec::new();
    File::open(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        bail!("over the limit of {limit} bytes (decode.max_bytes)");
    }
    Ok(bytes.into())
}

/// Items on their way into the store: few enough for memory, many enough for one sync.
pub(super) struct Batch<'a> {
    pub(super) store: &'a Store,
    items: Vec<Item>,
    bytes: usize,
    answer: Answer,
    faults: Faults,
    /// The store can't be written: no other item would fare better.
    broken: bool,
}

impl<'a> Batch<'a> {
    fn new(store: &'a Store) -> Self {
        let (answer, faults) = Default::default();
        Self { store, items: Vec::new(), bytes: 0, answer, faults, broken: false }
    }

    pub(super) fn add(&mut self, item: Item, bytes: usize) -> Result<(), Failure> {
        self.items.push(item);
        self.bytes += bytes;
        if self.items.len() == MAX_BATCH || self.bytes >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    pub(super) fn fault(&mut self, text: &str) {
        self.answer.failed += 1;
        self.faults.add(text);
    }

    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.bytes = 0;
        let items = std::mem::take(&mut self.items);
        let frames: Vec<_> = items
            .iter()
            .map(|item| match item {
                Item::Feedback(feedback) => feedback.frame,
                Item::Collected(collected) => collected.frame,
            })
            .collect();
        let receipts = self.store.add(items).map_err(|error| {
            self.broken = true;
            super::failure(error)
        })?;
        for (receipt, frame) in receipts.into_iter().zip(frames) {
            match receipt {
                Receipt::Stored { .. } => self.answer.stored += 1,
                Receipt::Known { .. } => self.answer.known += 1,
                Receipt::Refused(refusal) => self.fault(&format!("frame {frame}: {refusal}")),
            }
        }
        Ok(())
    }
}
