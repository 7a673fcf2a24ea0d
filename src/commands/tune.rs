//! `glanced tune`: measures what suits this box, and remembers it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use super::Failure;
use crate::app::{self, Models, StartError};
use crate::cli::{Settings, Tune};
use crate::config::Config;
use crate::frame::decode::{Decoder, Limits, Need};
use crate::model::{Bundle, Precision};
use crate::tune::{self, Arrangement, Measured, OVERSAMPLE, Remembered, Scale, Speed, cores};

/// Sizes of the frames that stand for a camera's.
const SIZES: [(usize, usize); 3] = [(640, 480), (1280, 720), (1920, 1080)];
/// What is slower by less than this may be so by chance.
const CHANCE: f64 = 0.97;

#[derive(Serialize)]
struct Report {
    model: String,
    cores: usize,
    arrangements: Vec<Row>,
    decoding: Vec<Scale>,
    chosen: Chosen,
    /// The file; nothing if it was not to be written.
    remembered: Option<String>,
    /// What the configuration sets, so that it is not taken from here.
    overruled: Vec<&'static str>,
}

#[derive(Clone, Copy, Serialize)]
struct Row {
    #[serde(flatten)]
    arrangement: Arrangement,
    #[serde(flatten)]
    speed: Speed,
}

#[derive(Clone, Copy, Serialize)]
struct Chosen {
    #[serde(flatten)]
    arrangement: Arrangement,
    oversample: f32,
}

pub(super) fn tune(args: &Tune, settings: &Settings) -> Result<(), Failure> {
    let config = super::load(settings)?.config;
    let models = Models::open(&config).map_err(StartError::from)?;
    let bundle = &models.bundles()[0];
    let runtime = app::runtime(&config.model).map_err(StartError::from)?;
    let limits = app::decode_limits(&config.decode);
    let frames = frames(args, limits)?;

    let decoding = tune::scales(&bundle.input, limits, &frames).map_err(StartError::from)?;
    let oversample = tune::choose(&decoding).map_or(OVERSAMPLE, |scale| scale.oversample);
    let candidates = candidates(cores(), bundle.int8.is_some());
    let measured = Duration::from_secs_f64(args.seconds);
    let progress = super::progress(candidates.len() * args.rounds);
    let mut speeds = vec![Vec::new(); candidates.len()];
    // In turn, so that what else the box does meets all of them.
    for _ in 0..args.rounds {
        for (arrangement, speeds) in candidates.iter().zip(&mut speeds) {
            let speed = tune::speed(&runtime, bundle, *arrangement, (limits, oversample), &frames, measured);
            speeds.push(speed.map_err(StartError::from)?);
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    let rows = candidates.iter().zip(&speeds);
    let rows: Vec<Row> = rows.map(|(&arrangement, speeds)| Row { arrangement, speed: middle(speeds) }).collect();
    let (arrangement, precision) = choose(&rows);
    let chosen = Chosen { arrangement, oversample };

    let remembered =
        if args.dry_run { None } else { Some(remember(&config, runtime.machine(), bundle, chosen, precision)?) };
    let report = Report {
        model: format!("{} {}", bundle.name, bundle.version),
        cores: cores(),
        arrangements: rows,
        decoding,
        chosen,
        remembered,
        overruled: overruled(&config),
    };
    if args.json { super::print_json(&report) } else { super::print(&table(&report)) }
}

/// Those of a camera, or such that look like some.
fn frames(args: &Tune, limits: Limits) -> Result<Vec<Vec<u8>>, Failure> {
    if args.frames.is_empty() {
        let scenes = SIZES.map(|(width, height)| tune::scene(width, height));
        return Ok(scenes.into_iter().collect::<Result<_, _>>().context("a frame to measure with")?);
    }
    let mut decoder = Decoder::new(limits);
    let mut read = |path: &Path| -> anyhow::Result<Vec<u8>> {
        let bytes = std::fs::read(path)?;
        decoder.decode(&bytes, &Need::EVERYTHING)?;
        Ok(bytes)
    };
    let frames = args.frames.iter().map(|path| read(path).with_context(|| path.display().to_string()));
    Ok(frames.collect::<anyhow::Result<_>>()?)
}

/// All cores, shared out to workers in all ways that are even.
fn candidates(cores: usize, int8: bool) -> Vec<Arrangement> {
    let precisions =
        [Precision::Fp32, Precision::Int8].into_iter().filter(|precision| int8 || *precision == Precision::Fp32);
    let threads =
        std::iter::successors(Some(1), |threads| Some(threads * 2)).take_while(|threads| *threads <= cores.min(64));
    precisions
        .flat_map(|precision| {
            threads.clone().flat_map(move |threads| {
                // A thread alone has nobody to wait for.
                let spinnings = if threads > 1 { [false, true].as_slice() } else { &[false] };
                let workers = (cores / threads).clamp(1, 64);
                spinnings.iter().map(move |&spinning| Arrangement { workers, threads, precision, spinning })
            })
        })
        .collect()
}

/// The medians of some rounds.
fn middle(speeds: &[Speed]) -> Speed {
    let of = |value: fn(&Speed) -> f64| tune::median(speeds.iter().map(value).collect());
    Speed { fps: of(|speed| speed.fps), ms: of(|speed| speed.ms) }
}

/// The most frames a second; of those that are as good but for chance, the quickest for one frame. 8 bits only where they are worth
/// it, and then what decided that: what is remembered is what was chosen by.
fn choose(rows: &[Row]) -> (Arrangement, Option<Measured>) {
    let best = |precision| {
        let rows = rows.iter().filter(move |row| row.arrangement.precision == precision);
        let most = rows.clone().map(|row| row.speed.fps).fold(0.0, f64::max);
        let as_good = rows.filter(move |row| row.speed.fps >= most * CHANCE);
        as_good.min_by(|a, b| a.speed.ms.total_cmp(&b.speed.ms)).copied()
    };
    let fp32 = best(Precision::Fp32).expect("every network computes in floating point");
    let Some(int8) = best(Precision::Int8) else { return (fp32.arrangement, None) };
    let per_frame = |row: Row| 1e3 / row.speed.fps;
    let measured = Measured { fp32_ms: per_frame(fp32), int8_ms: per_frame(int8) };
    let chosen = if measured.choice() == Precision::Int8 { int8 } else { fp32 };
    (chosen.arrangement, Some(measured))
}

fn remember(
    config: &Config,
    build: &str,
    bundle: &Arc<Bundle>,
    chosen: Chosen,
    precision: Option<Measured>,
) -> Result<String, Failure> {
    let cache = config.model.cache_dir();
    Remembered::change(cache.as_deref(), build, |remembered| {
        remembered.arrangement = Some(chosen.arrangement);
        remembered.oversample = Some(chosen.oversample);
        if let Some(precision) = precision {
            remembered.models.insert(bundle.name.clone(), precision);
        }
    })
    .context("what was measured can't be remembered in the folder model.cache")?;
    Ok(cache.unwrap_or_default().display().to_string())
}

/// The keys that are set, so that what was measured is not asked.
fn overruled(config: &Config) -> Vec<&'static str> {
    let inference = &config.inference;
    let set = [
        ("inference.workers", inference.workers.is_some()),
        ("inference.threads_per_worker", inference.threads_per_worker.is_some()),
        ("inference.precision", inference.precision.is_some()),
        ("inference.spinning", inference.spinning.is_some()),
        ("decode.oversample", config.decode.oversample.is_some()),
    ];
    set.into_iter().filter(|(_, is_set)| *is_set).map(|(key, _)| key).collect()
}

fn table(report: &Report) -> String {
    use std::fmt::Write;
    let on = |spinning| if spinning { "on" } else { "off" };
    let mut text = format!(
        "{} on {} cores\n\n{:>7} {:>8} {:>10} {:>9} {:>9} {:>12}\n",
        report.model, report.cores, "workers", "threads", "precision", "spinning", "frames/s", "ms a frame"
    );
    // Writing to a String can't fail.
    for Row { arrangement: Arrangement { workers, threads, precision, spinning }, speed } in &report.arrangements {
        let (precision, spinning) = (precision.name(), on(*spinning));
        let _ = writeln!(
            text,
            "{workers:>7} {threads:>8} {precision:>10} {spinning:>9} {:>9.1} {:>12.2}",
            speed.fps, speed.ms
        );
    }
    let _ = writeln!(text, "\n{:>10} {:>12} {:>11}", "oversample", "ms a frame", "difference");
    for Scale { oversample, ms, difference } in &report.decoding {
        let _ = writeln!(text, "{oversample:>10} {ms:>12.2} {difference:>11.2}");
    }
    let Chosen { arrangement: Arrangement { workers, threads, precision, spinning }, oversample } = report.chosen;
    let (precision, spinning) = (precision.name(), on(spinning));
    let _ = writeln!(
        text,
        "\nchosen      {workers} workers of {threads} threads, {precision}, spinning {spinning}, oversample {oversample}"
    );
    if let Some(folder) = &report.remembered {
        let _ = writeln!(text, "remembered  in {folder}; a daemon takes it over when it starts");
    }
    if !report.overruled.is_empty() {
        let _ = writeln!(text, "overruled   by the configuration, which sets {}", report.overruled.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(workers: usize, threads: usize, precision: Precision, fps: f64, ms: f64) -> Row {
        Row { arrangement: Arrangement { workers, threads, precision, spinning: false }, speed: Speed { fps, ms } }
    }

    #[test]
    fn cores_are_shared_out_in_all_even_ways() {
        let shown = |cores, int8| {
            let candidates = candidates(cores, int8).into_iter();
            candidates.map(|found| (found.workers, found.threads, found.spinning)).collect::<Vec<_>>()
        };
        assert_eq!(shown(1, false), [(1, 1, false)]);
        assert_eq!(shown(2, false), [(2, 1, false), (1, 2, false), (1, 2, true)]);
        assert_eq!(shown(6, false), [(6, 1, false), (3, 2, false), (3, 2, true), (1, 4, false), (1, 4, true)]);
        assert_eq!(shown(2, true).len(), 6);
        assert_eq!(shown(256, false)[0], (64, 1, false));
    }

    #[test]
    fn the_most_frames_and_of_equals_the_quickest() {
        let (fp32, int8) = (Precision::Fp32, Precision::Int8);
        let chosen = |rows: &[Row]| {
            let (Arrangement { workers, threads, precision, .. }, _) = choose(rows);
            (workers, threads, precision)
        };
        assert_eq!(chosen(&[row(2, 1, fp32, 200.0, 10.0), row(1, 2, fp32, 150.0, 6.0)]), (2, 1, fp32));
        assert_eq!(chosen(&[row(2, 1, fp32, 200.0, 10.0), row(1, 2, fp32, 198.0, 6.0)]), (1, 2, fp32));
        assert_eq!(chosen(&[row(2, 1, fp32, 200.0, 10.0), row(2, 1, int8, 300.0, 6.0)]), (2, 1, int8));
        assert_eq!(chosen(&[row(2, 1, fp32, 200.0, 10.0), row(2, 1, int8, 210.0, 9.0)]), (2, 1, fp32));
        // What is remembered of the two says the same as the choice.
        let decided = |rows: &[Row]| choose(rows).1.map(|measured| measured.choice());
        assert_eq!(decided(&[row(2, 1, fp32, 200.0, 10.0)]), None);
        assert_eq!(decided(&[row(2, 1, fp32, 200.0, 10.0), row(2, 1, int8, 300.0, 6.0)]), Some(int8));
        assert_eq!(decided(&[row(2, 1, fp32, 200.0, 10.0), row(2, 1, int8, 210.0, 9.0)]), Some(fp32));
    }
}
