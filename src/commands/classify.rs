//! `glanced classify`: pictures from files.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use indicatif::{ProgressBar, ProgressDrawTarget};
use serde::Serialize;

use super::{Failure, bars};
use crate::app::{self, Models, StartError};
use crate::classify::session::Runtime;
use crate::cli::{Classify, Settings};
use crate::config::{Config, Encoding};
use crate::frame::pipeline::{Glance, Pipeline};
use crate::frame::{Route, files};
use crate::model::Bundle;
use crate::mqtt::wire::{self, Entry, StepTimes};

#[derive(Serialize)]
struct Answer<'a> {
    results: Vec<FileResult<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum FileResult<'a> {
    Seen { file: String, top3: Vec<Entry<'a>>, unknown: bool, views: u32, ms: StepTimes },
    Failed { file: String, error: String },
}

pub(super) fn classify(args: &Classify, settings: &Settings) -> Result<(), Failure> {
    let config = super::load(settings)?.config;
    let files = files(&args.paths)?;
    let models = Models::open(&config).map_err(StartError::from)?;
    let bundle = &models.bundles()[0];
    let seen = look_at_all(&config, bundle, &files)?;
    let failed = seen.iter().filter(|result| result.is_err()).count();

    if args.json {
        let results = files.iter().zip(&seen).map(|(file, result)| {
            let file = file.display().to_string();
            match result {
                Ok(glance) => FileResult::Seen {
                    file,
                    top3: wire::entries(glance, bundle),
                    unknown: glance.unknown,
                    views: glance.views,
                    ms: StepTimes::new(&glance.took),
                },
                Err(error) => FileResult::Failed { file, error: error.clone() },
            }
        });
        super::print_json(&Answer { results: results.collect() })?;
    } else {
        let texts = files.iter().zip(&seen).map(|(file, result)| describe(file, result, bundle));
        super::print(&texts.collect::<String>())?;
    }
    if failed == 0 { Ok(()) } else { Err(Failure::Said(1)) }
}

fn describe(file: &Path, result: &Result<Glance, String>, bundle: &Bundle) -> String {
    match result {
        Ok(glance) => {
            let unknown = if glance.unknown { "  (unknown)" } else { "" };
            let lines = bars::lines(glance, bundle).into_iter().map(|line| format!("  {line}\n"));
            format!("{}{unknown}\n{}", file.display(), lines.collect::<String>())
        }
        Err(error) => format!("{}\n  {error}\n", file.display()),
    }
}

/// Classifies all files on all cores; results in the order of the files.
fn look_at_all(
    config: &Config,
    bundle: &Arc<Bundle>,
    files: &[PathBuf],
) -> Result<Vec<Result<Glance, String>>, Failure> {
    let runtime = Runtime::load(config.model.runtime.as_deref()).map_err(StartError::from)?;
    let (workers, threads) = app::parallelism(&config.inference);
    let workers = workers.min(files.len().max(1));
    let limits = app::decode_limits(&config.decode);
    let models = [Arc::clone(bundle)];
    let pipelines = (0..workers)
        .map(|_| Pipeline::new(&runtime, &models, threads, limits))
        .collect::<Result<Vec<_>, _>>()
        .map_err(StartError::from)?;
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let progress = ProgressBar::with_draw_target(Some(files.len() as u64), target);
    let next = AtomicUsize::new(0);
    let mut seen: Vec<(usize, Result<Glance, String>)> = thread::scope(|scope| {
        let running: Vec<_> = pipelines
            .into_iter()
            .map(|mut pipeline| {
                let (next, progress) = (&next, &progress);
                scope.spawn(move || {
                    let mut seen = Vec::new();
                    while let index = next.fetch_add(1, Ordering::Relaxed)
                        && let Some(file) = files.get(index)
                    {
                        seen.push((index, look_at(&mut pipeline, file, config)));
                        progress.inc(1);
                    }
                    seen
                })
            })
            .collect();
        running
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    progress.finish_and_clear();
    seen.sort_by_key(|(index, _)| *index);
    Ok(seen.into_iter().map(|(_, result)| result).collect())
}

fn look_at(pipeline: &mut Pipeline, file: &Path, config: &Config) -> Result<Glance, String> {
    // Checked before reading: a file may be larger than the memory there is.
    let size = std::fs::metadata(file).map_err(|error| error.to_string())?.len();
    if size > config.decode.max_bytes as u64 {
        return Err(format!("{size} bytes are over the limit of {} (decode.max_bytes)", config.decode.max_bytes));
    }
    let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
    let route = Route { encoding: Encoding::Raw, crop: None, model: 0 };
    pipeline.classify(&bytes, &route, config.classify.unknown_below).map_err(|error| error.to_string())
}

/// The files named, and the pictures in the folders named, each folder's in the order of their names. A file that is named
/// is always tried.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            let pictures = files::in_folder(path).map_err(anyhow::Error::from)?;
            if pictures.is_empty() {
                let extensions = files::EXTENSIONS.join(", ");
                return Err(Failure::Missing(format!("{}: no pictures in it ({extensions})", path.display())));
            }
            found.extend(pictures);
        } else {
            found.push(path.clone());
        }
    }
    Ok(found)
}
