//! Frames of one camera, one after another: what the mean over them gives.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Outcome, Row, Step};
use crate::classify::temporal::TemporalStates;
use crate::cli::Eval;
use crate::commands::Failure;
use crate::eval::dataset::Dataset;
use crate::eval::degrade::{self, Degradation};
use crate::eval::run;
use crate::frame::Route;
use crate::frame::decode::Limits;
use crate::frame::pipeline::Pipeline;
use crate::frame::steps::{Occasion, Series, Steps};

/// Between two frames of a sequence.
const INTERVAL: Duration = Duration::from_secs(1);
/// If the configuration has the mean switched off, in seconds: that of the frames of a sequence, about.
const HALF_LIFE_S: f32 = 8.0;

pub(super) struct Task<'a> {
    pub(super) dataset: &'a Dataset,
    pub(super) args: &'a Eval,
    pub(super) kinds: &'a [Option<Degradation>],
    pub(super) limits: Limits,
    /// As configured; 0 if the mean is switched off.
    pub(super) half_life_s: f32,
}

/// The last frame of each sequence: alone, by each step, and last the mean over all of them.
type Last = Vec<Outcome>;

/// Adds rows for each kind: the last frame alone, by the first step and by all that there are, and the mean.
pub(super) fn add_rows(
    rows: &mut Vec<Row>,
    pipelines: &mut [Pipeline],
    task: &Task<'_>,
    steps: &[Step],
) -> Result<(), Failure> {
    let [first, .., all] = steps else { return Ok(()) };
    let temporal_half_life_s = if task.half_life_s > 0.0 { task.half_life_s } else { HALF_LIFE_S };
    let temporal = Steps { temporal_half_life_s, ..all.steps.clone() };
    let named = [(&*first.name, &first.steps), (&*all.name, &all.steps), ("temporal", &temporal)];
    let Task { dataset, args, kinds, limits, .. } = task;
    let mut all_degraded = Vec::new();
    let mut add = |kind: &str, seen: &[Last]| {
        let of = |number: usize| seen.iter().map(|last| last[number]).collect::<Vec<_>>();
        let alone = of(0);
        for (number, (step, _)) in named.iter().enumerate() {
            rows.extend(Row::new(step, kind, &of(number), (number > 0).then_some(&alone)));
        }
    };
    let steps = named.map(|(_, steps)| steps);
    if args.sequence > 0 {
        for kind in *kinds {
            let name = format!("{} x{}", kind.map_or("none", Degradation::name), args.sequence);
            let seen = run::in_parallel(pipelines, dataset.samples.len(), |pipeline, index| -> Result<Last, String> {
                let sample = &dataset.samples[index];
                let picture =
                    run::decode(&run::read(&sample.path, *limits)?, *limits).map_err(|error| error.to_string())?;
                let seed = crate::eval::random::mix(args.seed, index as u64, "sequence");
                let frames = degrade::sequence(&picture, *kind, args.sequence, seed);
                watch(pipeline, &steps, sample.class, frames.iter().map(|frame| Ok(run::encode(frame))))
            });
            let seen = said(seen, |index| dataset.samples[index].path.display().to_string())?;
            if kind.is_some() {
                all_degraded.extend_from_slice(&seen);
            }
            add(&name, &seen);
        }
        if kinds.iter().flatten().count() > 1 {
            add(&format!("all x{}", args.sequence), &all_degraded);
        }
    }
    if !dataset.sequences.is_empty() {
        let seen = run::in_parallel(pipelines, dataset.sequences.len(), |pipeline, index| {
            let sequence = &dataset.sequences[index];
            watch(pipeline, &steps, sequence.class, sequence.frames.iter().map(|file| run::read(file, *limits)))
        });
        add("sequences", &said(seen, |index| dataset.sequences[index].frames[0].display().to_string())?);
    }
    Ok(())
}

fn said(seen: Vec<Result<Last, String>>, name: impl Fn(usize) -> String) -> Result<Vec<Last>, Failure> {
    let named = |(index, result): (usize, Result<Last, String>)| {
        result.map_err(|error| anyhow::anyhow!("{}: {error}", name(index)).into())
    };
    seen.into_iter().enumerate().map(named).collect()
}

/// Looks at the frames of one camera, one after another.
fn watch(
    pipeline: &mut Pipeline,
    steps: &[&Steps],
    class: u32,
    frames: impl Iterator<Item = Result<Vec<u8>, String>>,
) -> Result<Last, String> {
    let (states, camera, begin) = (TemporalStates::new(1), Arc::from("sequence"), Instant::now());
    let mut last = Vec::new();
    let mut frames = frames.zip(0..).peekable();
    while let Some((frame, at)) = frames.next() {
        let (frame, is_last) = (frame?, frames.peek().is_none());
        let occasion = Occasion {
            series: Some(Series { states: &states, camera: &camera, at: begin + INTERVAL * at }),
            hurry: false,
        };
        // Only what is averaged depends on the frames before the last.
        for steps in steps.iter().filter(|steps| is_last || steps.temporal_half_life_s > 0.0) {
            let glance =
                pipeline.classify(&frame, &Route::WHOLE, steps, occasion).map_err(|error| error.to_string())?;
            if is_last {
                last.push(Outcome::new(class, &glance, pipeline.probabilities()));
            }
        }
    }
    if last.is_empty() { Err("it has no frames".to_owned()) } else { Ok(last) }
}
