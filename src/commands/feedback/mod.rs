//! `glanced feedback`: what people and systems said about frames. Reading goes on beside a daemon; writing needs the store
//! for itself.

mod add;
mod export;
mod folder;
mod import;
mod label_studio;
mod list;
mod manifest;
mod rebuild;
mod remove;
mod sink;
mod stats;

use std::io::{IsTerminal, Write};
use std::path::Path;

use anyhow::anyhow;
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::{Failure, SETUP_HINT};
use crate::cli::{FeedbackArgs, FeedbackCommand, Settings};
use crate::config::{self, Config};
use crate::feedback::store::Options;
use crate::feedback::{Event, Store, StoreError, View};
use crate::model::{Bundle, Registry};

pub(super) fn feedback(args: &FeedbackArgs, settings: &Settings) -> Result<(), Failure> {
    let config = super::load(settings)?.config;
    match &args.command {
        FeedbackCommand::Stats(args) => stats::stats(args, &config),
        FeedbackCommand::List(args) => list::list(args, &config),
        FeedbackCommand::Add(args) => add::add(args, &config),
        FeedbackCommand::Export(args) => export::export(args, &config),
        FeedbackCommand::Import(args) => import::import(args, &config),
        FeedbackCommand::Remove(args) => remove::remove(args, &config),
        FeedbackCommand::Rebuild(args) => rebuild::rebuild(args, &config),
    }
}

/// The store, to look into.
pub(super) fn view(config: &config::Store) -> Result<View, Failure> {
    let dir = config.resolved_dir();
    must_exist(&dir)?;
    View::read_only(&dir, |event| tell(&event)).map_err(failure)
}

/// The store, to write. `instead` is what to do when a daemon has it.
fn open(
    config: &config::Store,
    instead: &str,
    observe: impl Fn(Event) + Send + Sync + 'static,
) -> Result<Store, Failure> {
    open_with(config, observe).map_err(|error| match error {
        StoreError::Locked { .. } => Failure::Other(anyhow!("{error}, which writes it\n{instead}")),
        error => failure(error),
    })
}

/// The store, to write; or, within, what says that a daemon has it.
fn open_unless_taken(config: &config::Store) -> Result<Result<Store, StoreError>, Failure> {
    match open_with(config, |_| {}) {
        Err(taken @ StoreError::Locked { .. }) => Ok(Err(taken)),
        opened => Ok(Ok(opened.map_err(failure)?)),
    }
}

fn open_with(config: &config::Store, observe: impl Fn(Event) + Send + Sync + 'static) -> Result<Store, StoreError> {
    let options = Options { max_bytes: config.max_bytes, drop_labelled: config.drop_labelled, ..Options::default() };
    Store::open(&config.resolved_dir(), options, move |event| {
        tell(&event);
        observe(event);
    })
}

const STOP_FIRST: &str = "Stop the daemon first (systemctl stop glanced), and start it again afterwards.";

fn must_exist(dir: &Path) -> Result<(), Failure> {
    if dir.join("journal").is_dir() {
        return Ok(());
    }
    // Without this it would seem to be missing to whoever may not look into it.
    if let Err(error) = std::fs::metadata(dir.join("journal"))
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(anyhow::Error::new(error).context(dir.display().to_string()).into());
    }
    Err(Failure::Missing(format!("{}: no feedback is stored there (store.dir says where)", dir.display())))
}

pub(super) fn failure(error: StoreError) -> Failure {
    Failure::Other(error.into())
}

/// A model whose labels are meant.
fn bundle(config: &Config, name: &str) -> Result<Bundle, Failure> {
    Registry::new(&config.model.dir).open(name).map_err(|error| Failure::Missing(format!("{error}{SETUP_HINT}")))
}

/// Says something that is not the answer.
pub(super) fn note(text: &str) {
    // Nobody is left to be told when that fails.
    let _unheard = writeln!(std::io::stderr().lock(), "glanced: {text}");
}

/// Says what the store told, as far as a person at the command line should know.
fn tell(event: &Event) {
    match event {
        Event::Damaged(damage) => note(&format!("a part of the journal can't be read: {damage:?}")),
        Event::Rebuilding { reason, kept } => {
            let kept = kept.as_ref().map(|kept| format!("; the old one is {}", kept.display())).unwrap_or_default();
            note(&format!("the index is made again from the journal ({reason}){kept}"));
        }
        Event::Rebuilt { entries, .. } => note(&format!("{entries} entries of the journal were read")),
        Event::IndexLost { error } => note(&format!("the index failed: {error}")),
        Event::Removed { unlabelled, labelled, bytes } => note(&format!(
            "removed {unlabelled} unlabelled and {labelled} labelled frames ({bytes} bytes) to make room (store.max_bytes)"
        )),
        Event::Torn(_) | Event::CaughtUp { .. } | Event::Leftover { .. } => {}
    }
}

/// A name from outside for a terminal, which must not take anything in it for a command.
fn shown(name: &str) -> String {
    let visible = |c: char| if c.is_control() { c.escape_default().collect() } else { String::from(c) };
    name.chars().map(visible).collect()
}

/// What went wrong with single files. Each is said, up to a point; the rest goes on.
#[derive(Debug, Default)]
pub(super) struct Faults(u64);

impl Faults {
    const SAID: u64 = 20;

    pub(super) fn add(&mut self, text: &str) {
        self.0 += 1;
        match self.0 {
            1..=Self::SAID => note(text),
            n if n == Self::SAID + 1 => note("… and more like that"),
            _ => {}
        }
    }

    /// The exit code says that there were some.
    fn result(&self) -> Result<(), Failure> {
        if self.0 == 0 { Ok(()) } else { Err(Failure::Said(1)) }
    }
}

/// Progress on a terminal; elsewhere nothing.
fn progress(total: Option<u64>) -> ProgressBar {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    ProgressBar::with_draw_target(total, target)
}
