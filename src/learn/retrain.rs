//! A training from feedback to a new version of a bundle.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use ulid::Ulid;

use super::Stopped;
use super::deep::{Deep, DeepError, Frozen};
use super::examples::{Examples, Exhibit};
use super::features::Features;
use super::findings::Findings;
use super::finetune;
use super::gate::Verdict;
use super::head::Settings;
use super::look::{self, Eye};
use super::material::Material;
use super::report::Report;
use super::trial::{FOLDS, Lessons, Trial, cross_fit};
use crate::classify::session::{Computing, Runtime, SessionError};
use crate::feedback::{StoreError, View};
use crate::frame::decode::Limits;
use crate::frame::pipeline::{LoadedModel, Pipeline, PipelineError};
use crate::model::onnx::{Linear, Onnx, OnnxError};
use crate::model::{
    Bundle, Changes, Head, METRICS_FILE, Network, PoorTemperatures, Registry, RegistryError, WriteError,
    int8_with_head, write_version,
};
use crate::ops::process;

/// The most examples that are learnt from: the newest.
const MOST_EXAMPLES: usize = 4_000;
/// While there are few examples, a champion's temperature stays; and below this none is believed: two states that are always told
/// apart would have the model surer than it can know.
const LEAST_TEMPERATURE: f32 = 0.5;
const FEW_EXAMPLES: usize = 100;

/// What is to be done.
#[derive(Debug)]
pub struct Task<'a> {
    /// The version in use, which is the champion.
    pub champion: &'a Bundle,
    /// Where models are.
    pub registry: &'a Registry,
    /// What people said.
    pub store: &'a View,
    /// A folder for features.
    pub features: PathBuf,
    /// A file that says what was learnt from the last time.
    pub last: PathBuf,
    /// Only if so many frames were labelled since then.
    pub if_new: u64,
    /// Convolution blocks before the last layer that are taught too.
    pub unfreeze: usize,
    /// ONNX Runtime.
    pub runtime: &'a Runtime,
    /// Limits of the decoder.
    pub limits: Limits,
}

/// A step of a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// The network looks at the examples.
    Look,
    /// Layers are taught.
    Teach,
}

/// Who watches a training.
pub trait Observer: Sync {
    /// Whether it is to end. It is asked often.
    fn is_stopped(&self) -> bool;
    /// How far a step has come.
    fn progress(&self, step: Step, done: usize, of: usize);
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum RetrainError {
    /// It was asked to end.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The model can't be taught.
    #[error("model {model}: {message}")]
    Unteachable {
        /// Its name.
        model: String,
        /// Why.
        message: String,
    },
    /// The network's file is not what is needed.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// Feedback can't be read.
    #[error("the store can't be read: {0}")]
    Store(#[from] StoreError),
    /// The network can't be run.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The last blocks can't be taught.
    #[error(transparent)]
    Deep(DeepError),
    /// The new version can't be run.
    #[error("the new version does not work: {0}")]
    New(#[from] PipelineError),
    /// The new version can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The version in use can't be read or changed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl From<DeepError> for RetrainError {
    fn from(error: DeepError) -> Self {
        match error {
            DeepError::Stopped(stopped) => Self::Stopped(stopped),
            error => Self::Deep(error),
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// What was found.
    pub report: Report,
    /// The challenger, if the verdict is to promote it. It is on disk, and not in use.
    pub challenger: Option<Bundle>,
}

/// Makes a challenger of what people said, and judges it. If it is to be promoted, it is written; nothing is put in use.
///
/// # Errors
/// [`RetrainError`]; then nothing is left but features, which are used the next time.
pub fn retrain(task: &Task<'_>, observer: &dyn Observer) -> Result<Outcome, RetrainError> {
    let champion = task.champion;
    let unteachable = |message: String| RetrainError::Unteachable { model: champion.name.clone(), message };
    let head = champion.head.as_ref();
    let head =
        head.ok_or_else(|| unteachable("its bundle.toml names no [head], which is what is taught".to_owned()))?;
    let onnx = Onnx::read(&champion.model_file)?;
    let layer = onnx.head(head)?;
    let eye = Eye::new(&champion.input, &onnx, head, layer.features, &task.features).map_err(unteachable)?;

    let found = Examples::of(task.store, &champion.name, &champion.labels, MOST_EXAMPLES)?;
    let new = new_since(last_time(&task.last), &found);
    if new < task.if_new {
        let none = Examples { labelled: Vec::new(), sure: Vec::new(), ..found };
        let mut report = Material::new(none, Vec::new(), champion, None).report(champion);
        report.reason = format!("too little new feedback: {new} of {} since the last training", task.if_new);
        return Ok(Outcome { report, challenger: None });
    }
    let newest = found.newest();
    let outcome = teach_and_judge(task, observer, &eye, head, onnx, layer, found)?;
    note_last(&task.last, newest);
    Ok(outcome)
}

/// How many statements were made since the newest one that was learnt from.
fn new_since(last: Option<Ulid>, found: &Examples) -> u64 {
    found.labelled.iter().filter(|example| last.is_none_or(|last| example.said > last)).count() as u64
}

/// The newest statement that a version was taught, if it was made by a training.
#[must_use]
pub fn taught_until(bundle: &Bundle) -> Option<Ulid> {
    let metrics = std::fs::read_to_string(bundle.dir.join(METRICS_FILE)).ok()?;
    let metrics: serde_json::Value = serde_json::from_str(&metrics).ok()?;
    metrics["taught_until"].as_str()?.parse().ok()
}

fn last_time(path: &Path) -> Option<Ulid> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// What can't be written makes the next training begin a little early.
fn note_last(path: &Path, newest: Option<Ulid>) {
    let Some(newest) = newest else { return };
    let write = || {
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        std::fs::write(path, format!("{newest}\n"))
    };
    if let Err(error) = write() {
        tracing::warn!(path = %path.display(), %error, "what was learnt from was not written down");
    }
}

fn teach_and_judge(
    task: &Task<'_>,
    observer: &dyn Observer,
    eye: &Eye,
    head: &Head,
    onnx: Onnx,
    layer: Linear,
    found: Examples,
) -> Result<Outcome, RetrainError> {
    let begin = Instant::now();
    let champion = task.champion;
    let seen = look(task, eye, &found.exhibits(), observer)?;
    let material = Material::new(found, seen, champion, taught_until(champion));
    let mut report = material.report(champion);
    if let Some(reason) = material.lack(champion.learnt) {
        report.reason = reason;
        report.seconds = begin.elapsed().as_secs_f64();
        return Ok(Outcome { report, challenger: None });
    }

    let width = layer.features;
    let settings = if champion.learnt { Settings::default() } else { Settings::from_nothing() };
    let labelled = material.examples.iter().map(|(example, features)| (Some(example.class), features));
    let sure = material.sure.iter().map(|(_, features)| (None, features));
    let examples: Vec<(Option<usize>, &Features)> = labelled.chain(sure).collect();
    let lessons = Lessons::new(layer, material.labels.len(), eye.views(), &examples);
    // What nobody has labelled is always taught.
    let mut folds = material.folds.clone();
    folds.resize(lessons.len(), None);
    let rounds = FOLDS + 1;
    let taught = AtomicUsize::new(0);
    let count = || {
        let done = 1 + taught.fetch_add(1, Ordering::Relaxed);
        observer.progress(Step::Teach, done, rounds);
    };
    let stopped = || observer.is_stopped();
    let teach_layer = |weights: &[f32]| lessons.teach(weights, &settings, &stopped);
    let all = vec![1.0; lessons.len()];
    let mut network = onnx.clone();
    let mut int8 = None;
    let trial;
    if task.unfreeze == 0 {
        observer.progress(Step::Teach, 0, rounds);
        trial = cross_fit(&lessons, &folds, champion.temperature, &teach_layer, &count)?;
        material.judge(&trial, champion.learnt, &mut report);
        if report.verdict == Verdict::Promote {
            let layer = teach_layer(&all)?;
            network.set_head(head, &layer)?;
            int8 = int8_with_head(champion, &layer);
        }
    } else {
        let frozen = Frozen { runtime: task.runtime, bundle: champion, head, limits: task.limits, store: task.store };
        let looked = AtomicUsize::new(0);
        let examples = material.exhibits();
        let look = || {
            observer.progress(Step::Look, 1 + looked.fetch_add(1, Ordering::Relaxed), examples.len());
        };
        let deep = Deep::new(&onnx, task.unfreeze, settings, frozen, &examples, &stopped, &look)?;
        observer.progress(Step::Teach, 0, rounds);
        let deeper = finetune::Settings::gentle(task.unfreeze);
        let teach = |weights: &[f32]| {
            let layer = teach_layer(weights)?;
            deep.teach(&lessons, &layer, weights, &deeper, &|| !observer.is_stopped())
        };
        trial = cross_fit(&lessons, &folds, champion.temperature, &teach, &count)?;
        material.judge(&trial, champion.learnt, &mut report);
        if report.verdict == Verdict::Promote {
            teach(&all)?.write(&mut network, head)?;
        }
    }
    report.findings = Some(Findings::of(&material, &trial, champion.learnt, width, &stopped)?);
    report.unfrozen = task.unfreeze;
    report.challenger.temperature = temperature(&trial, champion);
    if report.verdict != Verdict::Promote {
        report.seconds = begin.elapsed().as_secs_f64();
        return Ok(Outcome { report, challenger: None });
    }
    count();
    report.seconds = begin.elapsed().as_secs_f64();
    // Nobody may take the newest version for the one in use before it is promoted.
    task.registry.promote(&champion.name, &champion.version)?;
    // The blocks that are taught have no weights of 8 bits: such a version has none.
    let network = Network { onnx: network.to_bytes(), int8, labels: material.labels.clone() };
    let challenger = write(task, &report, &trial, network)?;
    report.challenger.version = Some(challenger.version.clone());
    Ok(Outcome { report, challenger: Some(challenger) })
}

fn look(
    task: &Task<'_>,
    eye: &Eye,
    exhibits: &[Exhibit],
    observer: &dyn Observer,
) -> Result<Vec<Result<Features, String>>, RetrainError> {
    let models = [Arc::new(task.champion.clone())];
    let open = || Pipeline::with_features(task.runtime, &models, Computing::threads(1), task.limits);
    let mut pipelines = look::pipelines(exhibits.len(), open)?;
    let looked = AtomicUsize::new(0);
    observer.progress(Step::Look, 0, exhibits.len());
    let count = || {
        let done = 1 + looked.fetch_add(1, Ordering::Relaxed);
        observer.progress(Step::Look, done, exhibits.len());
    };
    let seen = eye.look(&mut pipelines, task.store, exhibits, &|| observer.is_stopped(), &count)?;
    drop(pipelines);
    process::trim_memory();
    eye.keep_only(exhibits);
    Ok(seen)
}

fn temperature(trial: &Trial, champion: &Bundle) -> f32 {
    match trial.challenger.len() {
        few if few < FEW_EXAMPLES && champion.learnt => champion.temperature,
        few if few < FEW_EXAMPLES => trial.temperature.max(LEAST_TEMPERATURE),
        _ => trial.temperature,
    }
}

/// Writes the challenger and tries it.
fn write(task: &Task<'_>, report: &Report, trial: &Trial, network: Network) -> Result<Bundle, RetrainError> {
    let champion = task.champion;
    let temperature = report.challenger.temperature;
    // Poor frames were not looked at: what they need beside good ones stays.
    let scaled = |old: Option<f32>| old.map(|old| (old * temperature / champion.temperature).clamp(0.01, 100.0));
    let PoorTemperatures { soft, blurred, dark } = champion.poor;
    let changes = Changes {
        network: Some(network),
        temperature,
        poor: PoorTemperatures { soft: scaled(soft), blurred: scaled(blurred), dark: scaled(dark) },
        gains: None,
        prior: None,
        prior_strength: champion.prior_strength,
        unknown_below: if champion.unknown_below > 0.0 { trial.unknown_below } else { 0.0 },
        metrics: serde_json::to_string_pretty(report).unwrap_or_default() + "\n",
    };
    let dir = write_version(champion, task.registry.dir(), &changes)?;
    let tried = try_out(task, &dir);
    if tried.is_err() {
        // It is not in use, and nobody should put it there.
        let _left = std::fs::remove_dir_all(&dir);
    }
    tried
}

fn try_out(task: &Task<'_>, dir: &Path) -> Result<Bundle, RetrainError> {
    let bundle = Arc::new(Bundle::open(dir).map_err(WriteError::from)?);
    LoadedModel::open(task.runtime, &bundle, Computing::threads(1))?;
    Ok(Arc::unwrap_or_clone(bundle))
}
