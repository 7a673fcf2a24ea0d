//! `glanced eval`: how good the answers are, step by step, on pictures whose classes are known.

mod sequences;
mod table;

use std::sync::Arc;

use indicatif::ProgressBar;
use serde::Serialize;

use super::Failure;
use crate::app::{self, Models, StartError};
use crate::cli::{Eval, Settings};
use crate::eval::dataset::{Dataset, Sample};
use crate::eval::degrade::Degradation;
use crate::eval::metrics::{Paired, paired};
use crate::eval::outcome::{Outcome, Summary};
use crate::eval::run;
use crate::frame::Route;
use crate::frame::decode::Limits;
use crate::frame::pipeline::Pipeline;
use crate::frame::steps::{Looking, Occasion, Steps};
use crate::model::Bundle;

#[derive(Serialize)]
struct Report {
    model: String,
    /// Pictures, before any degradation.
    n: usize,
    rows: Vec<Row>,
}

/// One step on one kind of pictures.
#[derive(Serialize)]
struct Row {
    step: String,
    /// What was done to the pictures: "none", a degradation, or "all" for all of the degradations together.
    degrade: String,
    #[serde(flatten)]
    summary: Summary,
    /// Top-3 against the first row on the same pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    against_first: Option<Paired>,
}

/// A way of answering, by name.
struct Step {
    name: String,
    steps: Steps,
}

/// What a step gave for each picture, for one kind after another.
type Columns = Vec<Vec<Outcome>>;

pub(super) fn eval(args: &Eval, settings: &Settings) -> Result<(), Failure> {
    let config = super::load(settings)?.config;
    let models = Models::open(&config).map_err(StartError::from)?;
    let bundle = &models.bundles()[0];
    let dataset = Dataset::open(&args.dir, &bundle.labels).map_err(anyhow::Error::from)?;
    let dataset = args.half.map_or_else(|| dataset.clone(), |half| dataset.half(half));
    let kinds: Vec<Option<Degradation>> = [None].into_iter().chain(args.degrade.iter().copied().map(Some)).collect();
    let limits = app::decode_limits(&config.decode);
    let mut pipelines =
        super::pipelines(&config, bundle, dataset.samples.len() + dataset.sequences.len(), Pipeline::new)?;

    let steps = steps(args, &app::steps(&config.classify), bundle);
    let mut rows = Vec::new();
    let samples = &dataset.samples;
    if !samples.is_empty() {
        let progress = super::progress(samples.len() * kinds.len());
        let seen = look(&mut pipelines, samples, &kinds, &steps, args.seed, limits, &progress)?;
        progress.finish_and_clear();
        add_rows(&mut rows, &steps, &kinds, &seen);
    }
    if args.sequence > 0 || !dataset.sequences.is_empty() {
        let task = sequences::Task {
            dataset: &dataset,
            args,
            kinds: &kinds,
            limits,
            half_life_s: config.classify.temporal_half_life_s,
        };
        sequences::add_rows(&mut rows, &mut pipelines, &task, &steps)?;
    }
    let report = Report { model: format!("{} {}", bundle.name, bundle.version), n: samples.len(), rows };
    if args.json { super::print_json(&report) } else { super::print(&table::of(&report)) }
}

/// The steps that are compared, each with what the ones before it have.
fn steps(args: &Eval, configured: &Steps, bundle: &Arc<Bundle>) -> Vec<Step> {
    let plain = Steps { temperature: false, ..Steps::default() };
    let calibrated = Steps { temperature: true, ..plain.clone() };
    let looking = super::looking(args.views.as_deref(), &configured.looking);
    // What is configured by default would be a second row of the same.
    let looking = if args.views.is_none() && looking.name() == "center" { Looking::dynamic() } else { looking };
    let name = looking.name();
    let looking = Steps { looking, ..calibrated.clone() };
    let mut steps = vec![("center", plain), ("temperature", calibrated), (name, looking.clone())];
    if bundle.prior.is_some() && bundle.prior_strength > 0.0 {
        steps.push(("prior", Steps { prior: true, ..looking }));
    }
    steps.into_iter().map(|(name, steps)| Step { name: name.to_owned(), steps }).collect()
}

/// All steps on all kinds of all pictures: for each step, for each kind, the outcomes in the order of the pictures.
fn look(
    pipelines: &mut [Pipeline],
    samples: &[Sample],
    kinds: &[Option<Degradation>],
    steps: &[Step],
    seed: u64,
    limits: Limits,
    progress: &ProgressBar,
) -> Result<Vec<Columns>, Failure> {
    let each = run::in_parallel(pipelines, samples.len(), |pipeline, index| -> Result<Vec<Vec<Outcome>>, String> {
        let sample = &samples[index];
        let bytes = run::read(&sample.path, limits)?;
        let mut outcomes = vec![Vec::with_capacity(kinds.len()); steps.len()];
        for (_, bytes) in run::copies(&bytes, kinds, limits, seed, index)? {
            for (step, outcomes) in steps.iter().zip(&mut outcomes) {
                let glance = pipeline
                    .classify(&bytes, &Route::WHOLE, &step.steps, Occasion::default())
                    .map_err(|error| error.to_string())?;
                outcomes.push(Outcome::new(sample.class, &glance, pipeline.probabilities()));
            }
            progress.inc(1);
        }
        Ok(outcomes)
    });
    let mut columns = vec![vec![Vec::with_capacity(samples.len()); kinds.len()]; steps.len()];
    for (outcomes, sample) in each.into_iter().zip(samples) {
        let outcomes = outcomes.map_err(|error| anyhow::anyhow!("{}: {error}", sample.path.display()))?;
        for (step, outcomes) in columns.iter_mut().zip(outcomes) {
            step.iter_mut().zip(outcomes).for_each(|(kind, outcome)| kind.push(outcome));
        }
    }
    Ok(columns)
}

/// A row for each step on each kind, and on all degraded ones together.
fn add_rows(rows: &mut Vec<Row>, steps: &[Step], kinds: &[Option<Degradation>], seen: &[Columns]) {
    let mut groups: Vec<(String, Vec<usize>)> = kinds
        .iter()
        .enumerate()
        .map(|(number, kind)| (kind.map_or("none", Degradation::name).to_owned(), vec![number]))
        .collect();
    let degraded: Vec<usize> = (0..kinds.len()).filter(|&number| kinds[number].is_some()).collect();
    if degraded.len() > 1 {
        groups.push(("all".to_owned(), degraded));
    }
    for (degrade, numbers) in groups {
        let of =
            |step: &Columns| -> Vec<Outcome> { numbers.iter().flat_map(|&number| &step[number]).copied().collect() };
        let first = of(&seen[0]);
        for (number, (step, seen)) in steps.iter().zip(seen).enumerate() {
            let outcomes = of(seen);
            rows.extend(Row::new(&step.name, &degrade, &outcomes, (number > 0).then_some(&first)));
        }
    }
}

impl Row {
    /// `None` if there are no outcomes.
    fn new(step: &str, degrade: &str, outcomes: &[Outcome], first: Option<&Vec<Outcome>>) -> Option<Self> {
        let right = |outcomes: &[Outcome]| outcomes.iter().map(|outcome| outcome.is_in_top(3)).collect::<Vec<_>>();
        let against_first = first.map(|first| paired(&right(first), &right(outcomes)));
        let (step, degrade) = (step.to_owned(), degrade.to_owned());
        Some(Self { step, degrade, summary: Summary::of(outcomes)?, against_first })
    }
}
