//! `glanced report`: how good the answers are, as one page for people who are no statisticians.

mod confusion;
mod page;
mod plots;
mod thumbnail;
mod words;

use std::path::Path;

use indicatif::ProgressBar;
use serde::Serialize;

use super::Failure;
use crate::app::{self, Models, StartError};
use crate::cli::{Report, Settings};
use crate::config::Config;
use crate::eval::dataset::{Dataset, Sample};
use crate::eval::embed;
use crate::eval::outcome::{Outcome, Summary};
use crate::eval::run;
use crate::frame::Route;
use crate::frame::pipeline::Pipeline;
use crate::frame::steps::{Occasion, Steps};
use crate::model::Labels;

/// Pictures that are shown, and points in the map: the page must not grow without end, nor the time for the map.
const MOST_PICTURES: usize = 1000;
const MOST_POINTS: usize = 2000;

#[derive(Serialize)]
struct Answer<'a> {
    out: &'a Path,
    #[serde(flatten)]
    summary: Summary,
}

/// All that the page is made of.
struct Findings<'a> {
    /// The model's name and version.
    model: String,
    /// What was looked at of each picture.
    views: &'static str,
    /// What was done to the pictures first.
    degrade: Option<&'static str>,
    summary: Summary,
    labels: &'a Labels,
    seen: Vec<Seen>,
    /// A place for some of what was seen, by index.
    map: Vec<(usize, [f32; 2])>,
    /// The map is of the network's features; if not, of its probabilities.
    has_features: bool,
    /// The best score below which an answer is "unknown"; 0 is never.
    unknown_below: f32,
}

/// What came of one picture.
struct Seen {
    /// Its file, below the folder.
    file: String,
    outcome: Outcome,
    /// What the network made of it, of length 1.
    features: Vec<f32>,
    /// A small JPEG of it, in base64, if it is to be shown.
    thumbnail: Option<String>,
}

pub(super) fn report(args: &Report, settings: &Settings) -> Result<(), Failure> {
    let config = super::load(settings)?.config;
    let models = Models::open(&config).map_err(StartError::from)?;
    let bundle = &models.bundles()[0];
    let dataset = Dataset::open(&args.dir, &bundle.labels).map_err(anyhow::Error::from)?;
    let dataset = args.half.map_or_else(|| dataset.clone(), |half| dataset.half(half));
    let samples = dataset.samples;
    let steps = steps(args, &config);
    let progress = super::progress(samples.len());
    let seen = look(args, &config, &models, &samples, &steps, &progress)?;
    progress.finish_and_clear();
    let outcomes: Vec<Outcome> = seen.iter().map(|seen| seen.outcome).collect();
    let Some(summary) = Summary::of(&outcomes) else {
        let message = format!("{}: only sequences, no single pictures to report on", args.dir.display());
        return Err(Failure::Other(anyhow::anyhow!(message)));
    };

    let points: Vec<usize> = some(seen.len(), MOST_POINTS).collect();
    let rows: Vec<Vec<f32>> = points.iter().map(|&point| seen[point].features.clone()).collect();
    let findings = Findings {
        model: format!("{} {}", bundle.name, bundle.version),
        views: steps.looking.name(),
        degrade: args.degrade.map(|degradation| degradation.name()),
        summary,
        labels: &bundle.labels,
        map: points.into_iter().zip(embed::tsne(&rows, args.seed)).collect(),
        has_features: bundle.head.is_some(),
        unknown_below: if steps.unknown_below > 0.0 { steps.unknown_below } else { bundle.unknown_below },
        seen,
    };
    let page = page::of(&findings)?;
    let failed = |error| anyhow::Error::new(error).context(args.out.display().to_string());
    std::fs::write(&args.out, &page).map_err(failed)?;
    if args.json {
        super::print_json(&Answer { out: &args.out, summary })
    } else {
        let size = page.len() as f64 / 1e6;
        super::print(&format!("{}: {} pictures, {size:.1} MB\n", args.out.display(), summary.n))
    }
}

/// What is configured, but for what the command line says.
fn steps(args: &Report, config: &Config) -> Steps {
    let configured = app::steps(&config.classify);
    let looking = super::looking(args.views.as_deref(), &configured.looking);
    Steps { looking, ..configured }
}

/// At most so many of `count` things, evenly spread.
fn some(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let kept = count.min(most);
    (0..kept).map(move |number| number * count / kept)
}

fn look(
    args: &Report,
    config: &Config,
    models: &Models,
    samples: &[Sample],
    steps: &Steps,
    progress: &ProgressBar,
) -> Result<Vec<Seen>, Failure> {
    let limits = app::decode_limits(&config.decode);
    let bundle = &models.bundles()[0];
    let mut pipelines = super::pipelines(config, bundle, samples.len(), Pipeline::with_features)?;
    let mut shown = vec![false; samples.len()];
    some(samples.len(), MOST_PICTURES).for_each(|index| shown[index] = true);
    let each = run::in_parallel(&mut pipelines, samples.len(), |pipeline, index| -> Result<Seen, String> {
        let sample = &samples[index];
        let mut bytes = run::read(&sample.path, limits)?;
        let mut picture = run::decode(&bytes, limits).map_err(|error| error.to_string())?;
        if let Some(degradation) = args.degrade {
            picture = degradation.apply(&picture, degradation.seed(args.seed, index as u64));
            bytes = run::encode(&picture);
        }
        let glance = pipeline.classify(&bytes, &Route::WHOLE, steps, Occasion::default());
        let glance = glance.map_err(|error| error.to_string())?;
        let thumbnail = shown[index].then(|| thumbnail::of(&picture)).transpose().map_err(|error| error.to_string())?;
        progress.inc(1);
        Ok(Seen {
            file: sample.path.strip_prefix(&args.dir).unwrap_or(&sample.path).display().to_string(),
            outcome: Outcome::new(sample.class, &glance, pipeline.probabilities()),
            features: features(pipeline),
            thumbnail,
        })
    });
    let named = each.into_iter().zip(samples).map(|(seen, sample)| {
        seen.map_err(|error| Failure::Other(anyhow::anyhow!("{}: {error}", sample.path.display())))
    });
    named.collect()
}

/// What the network made of the last picture, of length 1. The
/// square roots of the probabilities, which have that length, if its features are not to be had.
fn features(pipeline: &Pipeline) -> Vec<f32> {
    let features = pipeline.features();
    if features.is_empty() {
        return pipeline.probabilities().iter().map(|probability| probability.sqrt()).collect();
    }
    embed::of_length_one(features)
}

/// Of a class, for people.
fn label(labels: &Labels, class: u32) -> &str {
    labels.get(class).map_or("?", |label| &label.en)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_spread_evenly() {
        let of = |count, most| some(count, most).collect::<Vec<_>>();
        assert_eq!(of(0, 3), [0; 0]);
        assert_eq!(of(2, 3), [0, 1]);
        assert_eq!(of(9, 3), [0, 3, 6]);
    }
}
