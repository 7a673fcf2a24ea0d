//! `glanced classify`: pictures from files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::{Failure, bars};
use crate::app::{self, Models, StartError};
use crate::cli::{Classify, Settings};
use crate::config::Config;
use crate::eval::run;
use crate::frame::glance::Glance;
use crate::frame::pipeline::Pipeline;
use crate::frame::steps::Occasion;
use crate::frame::{Route, files};
use crate::model::Bundle;
use crate::mqtt::wire::{self, StepTimes, Top3};

#[derive(Serialize)]
struct Answer<'a> {
    results: Vec<FileResult<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum FileResult<'a> {
    Seen { file: String, top3: Box<Top3<'a>>, unknown: bool, views: u32, ms: StepTimes },
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
                    top3: Box::new(wire::entries(glance, bundle)),
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
    let mut pipelines = super::pipelines(config, bundle, files.len(), Pipeline::new)?;
    let limits = app::decode_limits(&config.decode);
    let steps = app::steps(&config.classify);
    let progress = super::progress(files.len());
    let seen = run::in_parallel(&mut pipelines, files.len(), |pipeline, index| {
        let bytes = run::read(&files[index], limits)?;
        progress.inc(1);
        pipeline.classify(&bytes, &Route::WHOLE, &steps, Occasion::default()).map_err(|error| error.to_string())
    });
    progress.finish_and_clear();
    Ok(seen)
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
