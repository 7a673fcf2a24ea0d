//! `glanced feedback export`

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use serde::Serialize;
use ulid::Ulid;

use super::manifest::{self, Line};
use super::sink::{Folder, Sink, Tar};
use super::{Failure, Faults, label_studio};
use crate::cli::{ExportFormat, FeedbackExport};
use crate::config::Config;
use crate::feedback::view::{Frames, View};
use crate::feedback::{Store, StoreError};

/// Frames are read so many at a time.
const PAGE: usize = 256;

#[derive(Debug, Default, Serialize)]
struct Answer {
    frames: u64,
    labelled: u64,
    unlabelled: u64,
    /// Pictures that were there already, of an export before this one.
    skipped: u64,
    /// Pictures that the store has lost, and entries that it can't read.
    missing: u64,
    marked: u64,
}

pub(super) fn export(args: &FeedbackExport, config: &Config) -> Result<(), Failure> {
    super::must_exist(&config.store.resolved_dir())?;
    // First, so that nothing is written in vain while a daemon has the store.
    let instead = "Without --mark-exported the export goes on beside it.";
    let store = args.mark_exported.then(|| super::open(&config.store, instead, |_| {})).transpose()?;
    let looked_into;
    let view = match &store {
        Some(store) => store.view(),
        None => {
            looked_into = super::view(&config.store)?;
            &looked_into
        }
    };
    let document = match args.format {
        ExportFormat::Folder => manifest::FILE,
        ExportFormat::LabelStudio => label_studio::FILE,
    };
    let to_stdout = args.to == Path::new("-");
    let mut export =
        Export { view, format: args.format, answer: Answer::default(), marks: Vec::new(), faults: Faults::default() };
    if to_stdout {
        let out = std::io::stdout().lock();
        if out.is_terminal() {
            return Err(anyhow!("a tar is nothing for a terminal: send it to a file or a program").into());
        }
        export.run(&mut Tar::new(BufWriter::with_capacity(1 << 16, out), document), None)?;
    } else {
        let earlier = (args.format == ExportFormat::Folder).then(|| Earlier::read(&args.to)).transpose()?;
        export.run(&mut Folder::create(&args.to, document, args.mark_exported)?, earlier)?;
    }
    let Export { mut answer, marks, faults, .. } = export;
    if let Some(store) = &store {
        answer.marked = mark(store, &marks).map_err(super::failure)?;
    }
    let text = format!(
        "{} frames ({} labelled, {} unlabelled), {} of them were there already\n",
        answer.frames, answer.labelled, answer.unlabelled, answer.skipped
    );
    match (to_stdout, args.json) {
        (true, _) => super::note(text.trim_end()),
        (false, true) => super::super::print_json(&answer)?,
        (false, false) => super::super::print(&text)?,
    }
    faults.result()
}

fn mark(store: &Store, frames: &[Ulid]) -> Result<u64, StoreError> {
    store.mark_exported(frames)?;
    store.flush()?;
    Ok(frames.len() as u64)
}

struct Export<'a> {
    view: &'a View,
    format: ExportFormat,
    answer: Answer,
    /// Labelled frames that are written, with their pictures.
    marks: Vec<Ulid>,
    faults: Faults,
}

impl Export<'_> {
    fn run(&mut self, sink: &mut dyn Sink, mut earlier: Option<Earlier>) -> Result<(), Failure> {
        let stats = self.view.stats().map_err(super::failure)?;
        let progress = super::progress(Some(stats.labelled + stats.unlabelled));
        let mut after = None;
        if self.format == ExportFormat::LabelStudio {
            sink.text("[")?;
        }
        loop {
            let page = self.view.frames(Frames::All, after, PAGE).map_err(super::failure)?;
            if page.unreadable > 0 {
                self.answer.missing += page.unreadable;
                self.faults.add(&format!("{} frames can't be read in the journal", page.unreadable));
            }
            for record in page.items {
                let line = self.frame(sink, Line::new(record))?;
                if let Some(earlier) = &mut earlier {
                    earlier.replace(&line);
                }
                progress.inc(1);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        match self.format {
            ExportFormat::LabelStudio => sink.text("\n]\n")?,
            ExportFormat::Folder => earlier.iter().try_for_each(|earlier| earlier.finish(sink))?,
        }
        sink.finish()?;
        progress.finish_and_clear();
        Ok(())
    }

    /// Writes a frame: first its picture, then its line.
    fn frame(&mut self, sink: &mut dyn Sink, mut line: Line) -> Result<Line, Failure> {
        let path = match self.format {
            ExportFormat::Folder => line.file.clone(),
            ExportFormat::LabelStudio => label_studio::file(&line),
        };
        let mut whole = false;
        if let (Some(path), Some(blob)) = (path, line.blob) {
            if sink.has(&path, &blob) {
                self.answer.skipped += 1;
                whole = true;
            } else {
                match self.view.picture(&blob) {
                    Ok(bytes) => {
                        sink.picture(&path, &bytes)?;
                        whole = true;
                    }
                    Err(error) => self.faults.add(&format!("frame {}: {:#}", line.frame, anyhow::Error::new(error))),
                }
            }
        }
        if whole && line.label.is_some() {
            self.marks.push(line.frame);
        }
        if !whole {
            line.file = None;
            self.answer.missing += 1;
        }
        match self.format {
            ExportFormat::Folder => sink.text(&format!("{}\n", json(&line)?))?,
            // A task without a picture is none.
            ExportFormat::LabelStudio if !whole => return Ok(line),
            ExportFormat::LabelStudio => {
                let comma = if self.answer.frames > 0 { "," } else { "" };
                sink.text(&format!("{comma}\n{}", json(&label_studio::task(&line))?))?;
            }
        }
        self.answer.frames += 1;
        *(if line.label.is_some() { &mut self.answer.labelled } else { &mut self.answer.unlabelled }) += 1;
        Ok(line)
    }
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string(value).map_err(anyhow::Error::from)?)
}

/// The export that is in the folder already. Frames that the store has removed since stay in it; the file of one whose
/// label has changed goes.
struct Earlier {
    dir: PathBuf,
    /// The files of frames that are not written anew yet.
    files: HashMap<Ulid, Option<String>>,
    stale: Vec<PathBuf>,
}

impl Earlier {
    fn read(dir: &Path) -> Result<Self, Failure> {
        let mut earlier = Self { dir: dir.to_owned(), files: HashMap::new(), stale: Vec::new() };
        let mut files = HashMap::new();
        earlier.lines(|_, line| {
            let file = line.path().ok().and(line.file);
            files.insert(line.frame, file);
            Ok(())
        })?;
        earlier.files = files;
        Ok(earlier)
    }

    fn lines(&self, mut each: impl FnMut(&str, Line) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let path = self.dir.join(manifest::FILE);
        let file = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            file => file.with_context(|| path.display().to_string())?,
        };
        for (number, text) in BufReader::new(file).lines().enumerate() {
            let at = || format!("{}, line {}", path.display(), number + 1);
            let text = text.with_context(at)?;
            let line = Line::parse(&text).with_context(at)?;
            each(&text, line)?;
        }
        Ok(())
    }

    /// A frame was written anew.
    fn replace(&mut self, line: &Line) {
        let before = self.files.remove(&line.frame).flatten();
        // One that could not be written is no reason to remove the one that was.
        if let Some(before) = before.filter(|before| line.file.as_ref().is_some_and(|file| file != before)) {
            self.stale.push(self.dir.join(before));
        }
    }

    /// Keeps what is not in the store any more, and removes files that were written anew elsewhere.
    fn finish(&self, sink: &mut dyn Sink) -> anyhow::Result<()> {
        if !self.files.is_empty() {
            self.lines(
                |text, line| {
                    if self.files.contains_key(&line.frame) { sink.text(&format!("{text}\n")) } else { Ok(()) }
                },
            )?;
        }
        // Before the new manifest has its name: after a stop in between, the next export finds them missing, and not two.
        for file in &self.stale {
            match std::fs::remove_file(file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(anyhow::Error::new(error).context(file.display().to_string()));
                }
                _ => {}
            }
            // Fails while others are in it.
            let _not_empty = file.parent().filter(|folder| *folder != self.dir).map(std::fs::remove_dir);
        }
        Ok(())
    }
}
