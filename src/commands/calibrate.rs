//! `glanced calibrate`: makes the model's probabilities mean what they say, by pictures whose classes are known.

mod evened;
mod learnt;
mod pictures;
mod report;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;

use self::evened::Featured;
use self::learnt::Learnt;
use self::pictures::{LeftOut, Pictures};
use self::report::Report;
use super::Failure;
use crate::app::{self, StartError};
use crate::cli::{Calibrate, Settings};
use crate::config::Config;
use crate::eval::degrade::Degradation;
use crate::eval::fit::{Answer, Fit, Replay, Sighted, Values, fit, together};
use crate::eval::run;
use crate::frame::glance::Glance;
use crate::frame::pipeline::Pipeline;
use crate::frame::steps::{Looking, Occasion, Steps};
use crate::model::{Bundle, Changes, Gains, PoorTemperatures, Prior, Registry, WriteError, write_version};

/// With fewer pictures, what is fitted is chance.
const FEWEST_PICTURES: usize = 100;
/// With one class, any confidence is right.
const FEWEST_CLASSES: usize = 2;
/// Memory for what the network said.
const MOST_BYTES: usize = 1 << 30;
/// At this temperature a model is sure of nothing, and all views are looked at: how many of them count depends on the
/// temperature that is tried.
const UNSURE: f32 = 100.0;

pub(super) fn calibrate(args: &Calibrate, settings: &Settings) -> Result<(), Failure> {
    let config = super::load(settings)?.config;
    let bundle = Registry::new(&config.model.dir).open(&config.model.name).map_err(StartError::from)?;
    let steps = steps(args, &config);
    let mut pictures = match &args.dir {
        Some(dir) => Pictures::in_folder(dir, args.half, &bundle)?,
        None => Pictures::in_store(&config, &bundle)?,
    };
    enough(pictures.items.iter().map(|picture| picture.class), &pictures.left_out)?;
    let kinds: Vec<Option<Degradation>> = [None].into_iter().chain(args.degrade.iter().copied().map(Some)).collect();
    thin_out(&mut pictures, kinds.len() * most_views(&steps) * bundle.labels.len() * size_of::<f32>());

    let looks = Looks { config: &config, kinds: &kinds, steps: &steps, seed: args.seed };
    let gains = looks.gains(&bundle, &pictures)?;
    // With new gains the network says something else, and what it said before them has to be asked for itself.
    let before = gains.as_ref().map(|_| looks.answers(&bundle, &pictures)).transpose()?;
    let bundle = Bundle { gains: gains.clone().or(bundle.gains), ..bundle };
    let sighted = pictures.without_unreadable(looks.sighted(&bundle, &pictures)?);
    let sighted: Vec<Sighted> = sighted.into_iter().flatten().collect();
    let by_picture = sighted.chunk_by(|a, b| a.picture == b.picture);
    let n = enough(by_picture.filter_map(|copies| copies.first()).map(|sighted| sighted.class), &pictures.left_out)?;

    let fit_with = |prior: Option<&Prior>, from| {
        let replay = Replay::new(bundle.output.kind, bundle.labels.len(), prior);
        fit(&sighted, &Values::of(&bundle), &replay, prior.map(|_| from), args.precision)
    };
    let window_ms = args.window.saturating_mul(1000);
    let learnt = if steps.prior { Learnt::new(&pictures, bundle.labels.len(), window_ms) } else { None };
    let own = bundle.prior.as_ref().filter(|_| steps.prior);
    let with_learnt = learnt.as_ref().map(|learnt| fit_with(Some(&learnt.table), learnt.judged_from));
    let helps = |fitted: &Fit| fitted.prior.is_some_and(|trial| trial.helps);
    let (mut fitted, table) = match (with_learnt, own) {
        (Some(fitted), _) if helps(&fitted) => {
            (fitted, Some(together(bundle.labels.len(), pictures.confirmed, window_ms)))
        }
        (Some(fitted), None) => (fitted, None),
        // A table that was made of something else may help where this does not.
        (_, own) => (fit_with(own, 0), None),
    };
    fitted.before = before.unwrap_or(fitted.before);
    let mut report = Report::new(args, &bundle, &steps, n, pictures.left_out, &fitted, table.as_ref());
    report.gains = gains.is_some();
    if !args.dry_run {
        let changes = Changes {
            network: None,
            temperature: fitted.values.temperature,
            poor: fitted.values.poor,
            gains,
            prior: table,
            prior_strength: fitted.values.prior_strength,
            unknown_below: report.unknown_below,
            metrics: serde_json::to_string_pretty(&report).map_err(anyhow::Error::from)? + "\n",
        };
        let dir = write(&bundle, &config, &changes).map_err(anyhow::Error::from)?;
        report.written(&dir);
        put_in_use(&bundle.name, &dir, &config)?;
    }
    if args.json { super::print_json(&report) } else { super::print(&report.to_text()) }
}

/// As it is configured, but for what the command line says; single pictures have no past.
fn steps(args: &Calibrate, config: &Config) -> Steps {
    let configured = app::steps(&config.classify);
    let looking = super::looking(args.views.as_deref(), &configured.looking);
    Steps { looking, temporal_half_life_s: 0.0, ..configured }
}

fn most_views(steps: &Steps) -> usize {
    match &steps.looking {
        Looking::Always(views) => views.views().len(),
        Looking::Dynamic { budget } => *budget as usize,
    }
}

/// How many pictures there are, if that is enough.
fn enough(classes: impl Iterator<Item = u32>, left_out: &LeftOut) -> Result<usize, Failure> {
    let mut classes: Vec<u32> = classes.collect();
    let pictures = classes.len();
    classes.sort_unstable();
    classes.dedup();
    let lack = |found: usize, needed, what| {
        anyhow!("too little to calibrate on: {found} {what} of {needed}{}", left_out.to_text("; left out: "))
    };
    if pictures < FEWEST_PICTURES {
        return Err(lack(pictures, FEWEST_PICTURES, if pictures == 1 { "picture" } else { "pictures" }).into());
    }
    if classes.len() < FEWEST_CLASSES {
        return Err(lack(classes.len(), FEWEST_CLASSES, "class").into());
    }
    Ok(pictures)
}

/// Every other picture, or every third, and so on, if there are more than the memory is for.
fn thin_out(pictures: &mut Pictures, bytes_each: usize) {
    let count = pictures.items.len();
    let most = (MOST_BYTES / bytes_each.max(1)).max(FEWEST_PICTURES);
    let step = count.div_ceil(most);
    if step > 1 {
        let mut index = 0;
        pictures.items.retain(|_| (index % step == 0, index += 1).0);
        super::feedback::note(&format!(
            "{} of {count} pictures are used: more would need too much memory",
            pictures.items.len()
        ));
    }
}

/// Pictures, each with its degraded copies, and how they are looked at.
struct Looks<'a> {
    config: &'a Config,
    kinds: &'a [Option<Degradation>],
    steps: &'a Steps,
    seed: u64,
}

impl Looks<'_> {
    /// What evens out the features of poor copies, if the model has a place for it and there are enough of them.
    fn gains(&self, bundle: &Bundle, pictures: &Pictures) -> Result<Option<Gains>, Failure> {
        let has_place = bundle.head.as_ref().is_some_and(|head| head.gain.is_some());
        if !has_place || self.kinds.len() < 2 || !matches!(self.steps.looking, Looking::Dynamic { .. }) {
            return Ok(None);
        }
        let plain = Arc::new(Bundle { gains: None, ..unsure(bundle) });
        let pipelines = super::pipelines(self.config, &plain, pictures.items.len(), Pipeline::with_features)?;
        let seen = self.at(pipelines, pictures, |pipeline, _, glance| Featured {
            condition: glance.condition,
            features: pipeline.features().iter().map(|sum| sum / glance.views as f32).collect(),
        });
        // What can't be read is said when it is looked at again.
        Ok(evened::gains(seen.into_iter().filter_map(Result::ok)))
    }

    /// What the bundle as it is answers, for those that can be read.
    fn answers(&self, bundle: &Bundle, pictures: &Pictures) -> Result<Vec<Answer>, Failure> {
        let sighted = self.sighted(bundle, pictures)?.into_iter().filter_map(Result::ok).flatten();
        let prior = bundle.prior.as_ref().filter(|_| self.steps.prior);
        let mut replay = Replay::new(bundle.output.kind, bundle.labels.len(), prior);
        Ok(sighted.map(|sighted| replay.answer(&sighted, &Values::of(bundle))).collect())
    }

    /// What the network says of each picture and its copies, or why it can't be read.
    fn sighted(&self, bundle: &Bundle, pictures: &Pictures) -> Result<Vec<Result<Vec<Sighted>, String>>, Failure> {
        let unsure = Arc::new(unsure(bundle));
        let mut pipelines = super::pipelines(self.config, &unsure, pictures.items.len(), Pipeline::new)?;
        pipelines.iter_mut().for_each(Pipeline::keep_raw);
        let seen = self.at(pipelines, pictures, |pipeline, degradation, glance| {
            (degradation, glance.condition, pipeline.raw().to_vec())
        });
        let named = seen.into_iter().zip(&pictures.items).enumerate().map(|(index, (copies, picture))| {
            let sighted = |(degradation, condition, raw)| Sighted {
                class: picture.class,
                picture: index,
                degradation,
                condition,
                raw,
            };
            copies.map(|copies| copies.into_iter().map(sighted).collect::<Vec<_>>())
        });
        Ok(named.collect())
    }

    /// What is to be kept of each picture and its copies, or why it can't be read.
    fn at<T: Send>(
        &self,
        mut pipelines: Vec<Pipeline>,
        pictures: &Pictures,
        kept: impl Fn(&Pipeline, Option<Degradation>, &Glance) -> T + Sync,
    ) -> Vec<Result<Vec<T>, String>> {
        let limits = app::decode_limits(&self.config.decode);
        let progress = super::progress(pictures.items.len() * self.kinds.len());
        let seen = run::in_parallel(&mut pipelines, pictures.items.len(), |pipeline, index| {
            let picture = &pictures.items[index];
            let bytes = pictures.read(picture, limits)?;
            let mut copies = Vec::with_capacity(self.kinds.len());
            for (kind, bytes) in run::copies(&bytes, self.kinds, limits, self.seed, index)? {
                let glance = pipeline
                    .classify(&bytes, &picture.route(), self.steps, Occasion::default())
                    .map_err(|error| error.to_string())?;
                copies.push(kept(pipeline, kind, &glance));
                progress.inc(1);
            }
            Ok(copies)
        });
        progress.finish_and_clear();
        seen
    }
}

/// The model as it looks at all views, and without its prior.
fn unsure(bundle: &Bundle) -> Bundle {
    Bundle { temperature: UNSURE, poor: PoorTemperatures::default(), prior: None, ..bundle.clone() }
}

/// The newest version is the one in use, unless somebody has said which: then that is said again.
fn put_in_use(name: &str, dir: &Path, config: &Config) -> Result<(), Failure> {
    let registry = Registry::new(&config.model.dir);
    let version = dir.file_name().unwrap_or_default().to_string_lossy();
    if registry.version(name).map_err(super::model::failure)? != version {
        registry.promote(name, &version).map_err(super::model::failure)?;
    }
    Ok(())
}

/// Beside the version it is made from; where that is a package's or can't be written, in the folder that is configured.
fn write(bundle: &Bundle, config: &Config, changes: &Changes) -> Result<PathBuf, WriteError> {
    let registry = Registry::new(&config.model.dir);
    let beside = bundle.dir.parent().and_then(Path::parent).filter(|dir| !dir.starts_with("/usr"));
    if let Some(beside) = beside.filter(|beside| *beside != registry.dir()) {
        match write_version(bundle, beside, changes) {
            Err(error) if error.is_not_writable() => {}
            written => return written,
        }
    }
    write_version(bundle, registry.dir(), changes)
}
