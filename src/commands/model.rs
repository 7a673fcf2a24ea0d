//! `glanced model`: the models there are, their versions, and which of them is in use.

use serde::Serialize;
use serde_json::value::RawValue;

use super::Failure;
use crate::cli::{ModelArgs, ModelCommand, ModelList, ModelPromote, ModelRollback, ModelShow, Settings};
use crate::config::Config;
use crate::model::{Current, METRICS_FILE, Registry, RegistryError};

pub(super) fn model(args: &ModelArgs, settings: &Settings) -> Result<(), Failure> {
    let config = super::load(settings)?.config;
    let registry = Registry::new(&config.model.dir);
    match &args.command {
        ModelCommand::List(args) => list(args, &registry),
        ModelCommand::Show(args) => show(args, &registry, &config.model.name),
        ModelCommand::Promote(args) => promote(args, &registry, &config),
        ModelCommand::Rollback(args) => rollback(args, &registry, &config),
    }
}

pub(super) fn failure(error: RegistryError) -> Failure {
    match error {
        RegistryError::Current { .. } => Failure::Other(error.into()),
        error => Failure::Missing(error.to_string()),
    }
}

#[derive(Serialize)]
struct Listed {
    models: Vec<ListedModel>,
}

#[derive(Serialize)]
struct ListedModel {
    name: String,
    /// The version in use.
    version: String,
    versions: Vec<ListedVersion>,
}

#[derive(Serialize)]
struct ListedVersion {
    version: String,
    in_use: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<usize>,
    /// Why it can't be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

fn list(args: &ModelList, registry: &Registry) -> Result<(), Failure> {
    let mut models = Vec::new();
    for name in registry.names() {
        let in_use = registry.version(&name).map_err(failure)?;
        let listed = |version: String| {
            let opened = registry.open_version(&name, &version);
            let (bundle, error) = match opened {
                Ok(bundle) => (Some(bundle), None),
                Err(error) => (None, Some(error.to_string())),
            };
            ListedVersion {
                in_use: version == in_use,
                version,
                parent: bundle.as_ref().and_then(|bundle| bundle.parent.clone()),
                classes: bundle.as_ref().map(|bundle| bundle.labels.len()),
                error,
            }
        };
        let versions = registry.versions(&name).into_iter().map(|version| listed(version.version)).collect();
        models.push(ListedModel { version: in_use, versions, name });
    }
    if args.json {
        return super::print_json(&Listed { models });
    }
    let lines = models.iter().flat_map(|model| {
        model.versions.iter().map(|version| {
            let ListedVersion { version, in_use, parent, classes, error } = version;
            let mark = if *in_use { "*" } else { " " };
            let classes = classes.map(|classes| format!("{classes} classes")).unwrap_or_default();
            let parent = parent.as_ref().map(|parent| format!(", made from {parent}")).unwrap_or_default();
            let error = error.as_deref().unwrap_or_default();
            format!("{mark} {} {version}: {classes}{parent}{error}\n", model.name)
        })
    });
    super::print(&lines.collect::<String>())
}

#[derive(Serialize)]
struct Shown {
    name: String,
    version: String,
    in_use: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    classes: usize,
    temperature: f32,
    prior_strength: f32,
    unknown_below: f32,
    dir: String,
    /// What was measured when it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<Box<RawValue>>,
}

fn show(args: &ModelShow, registry: &Registry, name: &str) -> Result<(), Failure> {
    let in_use = registry.version(name).map_err(failure)?;
    let version = args.version.clone().unwrap_or_else(|| in_use.clone());
    let bundle = registry.open_version(name, &version).map_err(failure)?;
    let metrics = std::fs::read_to_string(bundle.dir.join(METRICS_FILE)).ok();
    let shown = Shown {
        in_use: version == in_use,
        name: bundle.name,
        version,
        parent: bundle.parent,
        classes: bundle.labels.len(),
        temperature: bundle.temperature,
        prior_strength: bundle.prior_strength,
        unknown_below: bundle.unknown_below,
        dir: bundle.dir.display().to_string(),
        metrics: metrics.and_then(|text| RawValue::from_string(text.trim().to_owned()).ok()),
    };
    if args.json {
        return super::print_json(&shown);
    }
    let Shown { name, version, in_use, parent, classes, temperature, unknown_below, dir, metrics, .. } = shown;
    let mut text = format!("model         {name}\nversion       {version}{}\n", if in_use { ", in use" } else { "" });
    if let Some(parent) = parent {
        text += &format!("made from     {parent}\n");
    }
    text += &format!(
        "classes       {classes}\ntemperature   {temperature}\nunknown below {unknown_below}\nfolder        {dir}\n"
    );
    if let Some(metrics) = metrics {
        text += &format!("measured      {metrics}\n");
    }
    super::print(&text)
}

#[derive(Serialize)]
struct Moved {
    name: String,
    /// The version in use now.
    version: String,
    /// The one before.
    before: String,
}

fn promote(args: &ModelPromote, registry: &Registry, config: &Config) -> Result<(), Failure> {
    moved(registry, config, args.json, |name| registry.promote(name, &args.version))
}

fn rollback(args: &ModelRollback, registry: &Registry, config: &Config) -> Result<(), Failure> {
    moved(registry, config, args.json, |name| registry.rollback(name))
}

fn moved(
    registry: &Registry,
    config: &Config,
    json: bool,
    to: impl FnOnce(&str) -> Result<Current, RegistryError>,
) -> Result<(), Failure> {
    let name = config.model.name.clone();
    let before = registry.version(&name).map_err(failure)?;
    let Current { version, .. } = to(&name).map_err(failure)?;
    if json {
        return super::print_json(&Moved { name, version, before });
    }
    super::print(&match version == before {
        true => format!("{name} {version} is in use already\n"),
        false => format!("{name} {version} is in use; before: {before}\n"),
    })
}
