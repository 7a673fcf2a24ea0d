//! `glanced bench`: throughput against a bare loop of ONNX Runtime and beside feedback, freshness under overload, memory,
//! start.
//!
//! The daemon is a process of its own, and frames reach it through a broker that is another (Mosquitto, where it is
//! installed), as in real use; all of them share the machine's cores with the load generator.

mod bare;
mod feedback;
mod frames;
mod node;
mod overload;
mod throughput;

use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use super::Failure;
use crate::app::{self, Models, StartError};
use crate::cli::{Bench, Settings};
use crate::model::Precision;
use crate::tune::{self, Tuning};

/// How many cameras send how many frames a second: how cost grows with their number, at 50 frames a second in all; many that hardly
/// send; and one that does not stop.
const GROWTH: [(usize, f64); 7] = [(1, 50.0), (10, 5.0), (50, 1.0), (100, 0.5), (500, 0.1), (500, 0.2), (1, 200.0)];

/// Sizes of the frames.
const SIZES: [(u32, u32); 2] = [(640, 480), (1920, 1080)];

#[derive(Serialize)]
struct Report {
    model: String,
    broker: &'static str,
    workers: usize,
    threads_per_worker: usize,
    precision: Precision,
    runs: Vec<throughput::Run>,
    overload: overload::Overload,
    feedback: feedback::Beside,
    growth: Vec<overload::Overload>,
    rss_mib: f64,
    start_ms: f64,
}

pub(super) fn bench(args: &Bench, settings: &Settings) -> Result<(), Failure> {
    let config = super::load(settings)?.config;
    let models = Models::open(&config).map_err(StartError::from)?;
    let bundle = &models.bundles()[0];
    let runtime = app::runtime(&config.model).map_err(StartError::from)?;
    let tuning = Tuning::new(&config, &runtime);
    let computing = tuning.computing(bundle).map_err(StartError::from)?;
    let Tuning { workers, threads, .. } = tuning;
    let photographs = frames::photographs(&args.frames, &config)?;
    let mut bare = bare::Bare::new(&runtime, bundle, workers, computing)?;
    let measured = Duration::from_secs(args.seconds.max(1));

    let runtime = super::runtime()?;
    let report = runtime.block_on(async {
        let broker = node::Broker::start()?;
        let mut runs = Vec::new();
        let node = node::Node::start(&broker, settings, &config, &photographs.sized(SIZES[0])?[0]).await?;
        for size in SIZES {
            say(&format!("{}x{}: {} rounds of {} s", size.0, size.1, args.rounds, args.seconds));
            let frames = photographs.sized(size)?;
            runs.push(throughput::measure(&node, &mut bare, size, &frames, args.rounds.max(1), measured).await?);
        }
        let rss_mib = node.rss_mib()?;
        say(&format!("overload: {} cameras at {} frames a second", args.cameras, args.camera_fps));
        let frames = photographs.sized(SIZES[0])?;
        let overload = overload::measure(&node, &frames, args.cameras, args.camera_fps, measured * 2).await?;
        say(&format!(
            "{} feedbacks a second beside the frames: {} rounds of {} s",
            args.feedback, args.rounds, args.seconds
        ));
        let feedback = feedback::measure(&node, &frames, args.feedback, args.rounds.max(1), measured).await?;
        let mut growth = Vec::new();
        for (cameras, camera_fps) in GROWTH.into_iter().filter(|_| args.growth) {
            say(&format!("growth: {cameras} cameras at {camera_fps} frames a second"));
            // Each of them at least once.
            let measured = (measured * 2).max(Duration::from_secs_f64(1.0 / camera_fps));
            growth.push(overload::measure(&node, &frames, cameras, camera_fps, measured).await?);
        }
        let report = Report {
            model: format!("{} {}", bundle.name, bundle.version),
            broker: broker.kind(),
            workers,
            threads_per_worker: threads,
            precision: computing.precision,
            runs,
            overload,
            feedback,
            growth,
            rss_mib,
            start_ms: node.start_ms(),
        };
        node.stop().await.context("the daemon under test")?;
        Ok::<_, Failure>(report)
    })?;
    if args.json { super::print_json(&report) } else { super::print(&table(&report)) }
}

fn say(line: &str) {
    tracing::info!("{line}");
    #[expect(clippy::print_stderr, reason = "progress of a long command, beside its answer on standard output")]
    {
        eprintln!("bench: {line}");
    }
}

fn table(report: &Report) -> String {
    use std::fmt::Write;
    let mut text = format!(
        "{}, {}, {} workers of {} threads, broker {}\n\n{:10} {:>9} {:>9} {:>6} {:>14} {:>10}\n",
        report.model,
        report.precision.name(),
        report.workers,
        report.threads_per_worker,
        report.broker,
        "frame",
        "frames/s",
        "bare/s",
        "share",
        "outside ms",
        "kB/frame"
    );
    // Writing to a String can't fail.
    for run in &report.runs {
        let _ = writeln!(
            text,
            "{:10} {:>9.1} {:>9.1} {:>6.3} {:>14.2} {:>10.0}   share {:.3} to {:.3}",
            run.frame, run.fps, run.bare_fps, run.share, run.cpu_ms_outside, run.kb, run.share_min, run.share_max
        );
    }
    let o = &report.overload;
    let _ = write!(
        text,
        "\noverload   {:.0} frames/s offered, {:.1} results/s; age p50 {:.1} ms, p99 {:.1} ms (bound {:.1} ms)\n           \
         fair share {:.2} to {:.2} of the mean; memory {:.1} to {:.1} MiB\nmemory     {:.1} MiB after the runs above\n\
         start      {:.0} ms to the first result\n",
        o.offered_fps,
        o.fps,
        o.age_p50_ms,
        o.age_p99_ms,
        o.age_bound_ms,
        o.fair_min,
        o.fair_max,
        o.rss_before_mib,
        o.rss_mib,
        report.rss_mib,
        report.start_ms
    );
    let f = &report.feedback;
    let _ = write!(
        text,
        "\nfeedback   {:.0} a second offered, {:.0} stored; {:.1} frames/s beside it, {:.1} without: {:.3} ({:.3} to {:.3})\n           \
         {:.1} beside the same messages to nobody: {:.3} of that; memory {:.1} MiB\n",
        f.offered_per_s,
        f.stored_per_s,
        f.fps,
        f.fps_without,
        f.share,
        f.share_min,
        f.share_max,
        f.fps_unheard,
        f.share_unheard,
        f.rss_mib
    );
    if !report.growth.is_empty() {
        let _ = writeln!(
            text,
            "\n{:>7} {:>9} {:>9} {:>10} {:>8} {:>8} {:>9} {:>7}",
            "cameras", "each fps", "results/s", "cpu ms", "age p50", "age p99", "bound ms", "MiB"
        );
    }
    for o in &report.growth {
        let _ = writeln!(
            text,
            "{:>7} {:>9.1} {:>9.1} {:>10.2} {:>8.1} {:>8.1} {:>9.1} {:>7.1}",
            o.cameras, o.camera_fps, o.fps, o.cpu_ms, o.age_p50_ms, o.age_p99_ms, o.age_bound_ms, o.rss_mib
        );
    }
    text
}

/// The middle one.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    tune::median(values.into_iter().collect())
}

/// The value below which the part `q` of all lies.
fn quantile(mut values: Vec<f64>, q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * q).round() as usize).copied().unwrap_or(f64::NAN)
}
