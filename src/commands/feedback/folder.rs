//! Import of an ImageFolder: one folder of pictures for each label, from anywhere.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use jiff::Timestamp;

use super::Failure;
use super::import::{self, Batch};
use super::manifest::from_folder;
use crate::config::Config;
use crate::feedback::record::{ModelRef, Sighting, Statement, Via};
use crate::feedback::store::{Item, NewFeedback, Picture};
use crate::frame::decode::{describe, sniff};
use crate::model::{Bundle, Labels};

/// A label, and its folder's files.
pub(super) struct Labelled {
    label: String,
    files: Vec<PathBuf>,
}

/// Looks what there is. Hidden files and folders are passed over.
pub(super) fn labels(dir: &Path) -> Result<Vec<Labelled>, Failure> {
    let mut labels = Vec::new();
    for folder in entries(dir)?.into_iter().filter(|path| path.is_dir()) {
        let name = folder.file_name().unwrap_or_default();
        let name = name.to_str().with_context(|| format!("{}: its name is not UTF-8", folder.display()))?;
        let files: Vec<_> = entries(&folder)?.into_iter().filter(|path| path.is_file()).collect();
        if !files.is_empty() {
            labels.push(Labelled { label: from_folder(name), files });
        }
    }
    if labels.is_empty() {
        return Err(Failure::Missing(format!(
            "{}: neither manifest.jsonl nor a folder with pictures for each label (LABEL/*.jpg)",
            dir.display()
        )));
    }
    Ok(labels)
}

fn entries(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let entries = entries.with_context(|| dir.display().to_string())?;
    let shown = entries.into_iter().filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    let mut paths: Vec<_> = shown.map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

pub(super) fn import(
    labels: &[Labelled],
    bundle: &Bundle,
    config: &Config,
    batch: &mut Batch<'_>,
) -> Result<(), Failure> {
    let progress = super::progress(Some(labels.iter().map(|labelled| labelled.files.len() as u64).sum()));
    let now = Timestamp::now();
    for Labelled { label, files } in labels {
        let statement = statement(&bundle.labels, label);
        for file in files {
            progress.inc(1);
            match picture(file, config) {
                Ok(picture) => {
                    let bytes = picture.bytes().len();
                    batch.add(Item::Feedback(Box::new(feedback(picture, &statement, bundle, now))), bytes)?;
                }
                Err(error) => batch.fault(&format!("{}: {error:#}", file.display())),
            }
        }
    }
    progress.finish_and_clear();
    Ok(())
}

/// Reads a picture of any format that is read here.
pub(super) fn picture(file: &Path, config: &Config) -> anyhow::Result<Picture> {
    let bytes = import::read(file, config)?;
    let format = sniff(&bytes).ok_or_else(|| anyhow!("not an image that is read here: {}", describe(&bytes)))?;
    Ok(Picture::new(bytes, format))
}

/// What a label says, for a model with these labels. A class is called as the model calls it.
pub(super) fn statement(labels: &Labels, label: &str) -> Statement {
    let class = labels.find(label);
    let known = class.and_then(|class| labels.get(class));
    let label = known.map_or_else(|| label.to_owned(), |known| known.en.clone());
    Statement::Label { label, class, new_class: class.is_none() }
}

/// The frame's id and the sender's come from the picture: what is imported again is known again, wherever it lies by then.
fn feedback(picture: Picture, statement: &Statement, bundle: &Bundle, now: Timestamp) -> NewFeedback {
    let blob = picture.blob();
    let model = ModelRef::from(bundle);
    let sender = format!("import/{}/{}/{}", model.name, blob.sha256, statement.label());
    NewFeedback {
        id: None,
        frame: blob.sha256.frame_id(),
        sender_id: Some(sender),
        by: None,
        at: now,
        via: Via::Import,
        statement: statement.clone(),
        sighting: Some(Sighting::unseen(None, model)),
        picture: Some(picture),
        imported_at: Some(now),
    }
}
