//! `glanced retrain`: a better version of the model from what people said, proven, and put in use if that is asked.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Context, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::Failure;
use super::feedback;
use crate::app::{self, StartError};
use crate::cli::{Retrain, Settings};
use crate::config::Config;
use crate::learn::gate::Verdict;
use crate::learn::report::Report;
use crate::learn::retrain::{self, Observer, Outcome, Step, Task};
use crate::model::{Registry, remove_leftovers};
use crate::ops::process;

/// Held while a training runs, in the store's folder.
const LOCK_FILE: &str = "retrain.lock";
/// Below the store's folder, one folder a model.
const FEATURES_DIR: &str = "features";
/// Below the store's folder, one file a model: what was learnt from the last time.
const LAST_DIR: &str = "retrained";

pub(super) fn retrain(args: &Retrain, settings: &Settings) -> Result<(), Failure> {
    let config = super::load(settings)?.config;
    if args.background {
        process::go_last();
    }
    let report = run(args, &config)?;
    if args.background {
        print_line(&Line::Report(&report))
    } else if args.json {
        super::print_json(&report)
    } else {
        super::print(&report.to_text())
    }
}

fn run(args: &Retrain, config: &Config) -> Result<Report, Failure> {
    let registry = Registry::new(&config.model.dir);
    let champion = registry.open(&config.model.name).map_err(StartError::from)?;
    let dir = config.store.resolved_dir();
    let store = feedback::view(&config.store)?;
    let _lock = lock(&dir)?;
    remove_leftovers(&registry.dir().join(&champion.name));
    let runtime = app::runtime(&config.model).map_err(StartError::from)?;
    let task = Task {
        champion: &champion,
        registry: &registry,
        store: &store,
        features: dir.join(FEATURES_DIR).join(&champion.name),
        last: dir.join(LAST_DIR).join(&champion.name),
        if_new: args.if_new,
        unfreeze: args.unfreeze,
        runtime: &runtime,
        limits: app::decode_limits(&config.decode),
    };
    let watch = Watch::new(args.background);
    let outcome = retrain::retrain(&task, &watch).map_err(anyhow::Error::from);
    watch.end();
    let Outcome { mut report, challenger } = outcome?;
    if let Some(challenger) = challenger.filter(|_| args.promote && report.verdict == Verdict::Promote) {
        registry.promote(&challenger.name, &challenger.version).map_err(super::model::failure)?;
        report.promoted = true;
    }
    Ok(report)
}

/// One training at a time: a second one would only take the first one's time.
fn lock(store: &Path) -> Result<File, Failure> {
    let path = store.join(LOCK_FILE);
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(anyhow!("a training is running already").into()),
        Err(TryLockError::Error(error)) => Err(anyhow!("{}: {error}", path.display()).into()),
    }
}

/// What a node hears of a training that it has done.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Line<'a> {
    Progress { step: Step, done: usize, of: usize },
    Report(&'a Report),
}

fn print_line(line: &Line<'_>) -> Result<(), Failure> {
    let json = serde_json::to_string(line).map_err(anyhow::Error::from)?;
    super::print(&format!("{json}\n"))
}

/// Shows how far it is: on a terminal, or line by line.
struct Watch {
    bar: ProgressBar,
    lines: bool,
    /// The last percentage that was told, and one more.
    told: AtomicU8,
}

impl Watch {
    fn new(lines: bool) -> Self {
        let bar = if lines { ProgressBar::hidden() } else { super::progress(0) };
        let style = ProgressStyle::with_template("{msg:>8} {wide_bar} {pos}/{len}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self { bar, lines, told: AtomicU8::new(0) }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Watch {
    fn is_stopped(&self) -> bool {
        // A signal ends the process, and what is on disk is whole at any moment.
        false
    }

    fn progress(&self, step: Step, done: usize, of: usize) {
        self.bar.set_message(match step {
            Step::Look => "looking",
            Step::Teach => "learning",
        });
        self.bar.set_length(of as u64);
        self.bar.set_position(done as u64);
        let percent = u8::try_from(100 * done / of.max(1)).unwrap_or(100);
        if self.lines && (self.told.swap(percent + 1, Ordering::Relaxed) != percent + 1 || done == 0) {
            // Nobody may be listening any more, and then this process is about to end.
            let _unheard = print_line(&Line::Progress { step, done, of });
        }
    }
}
