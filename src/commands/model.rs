//! `glanced model`: the models there are, their versions, and which of them is in use.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Failure;
use crate::cli::{ModelArgs, ModelCommand, ModelList, ModelNew, ModelPromote, ModelRollback, ModelShow, Settings};
use crate::config::Config;
use crate::model::{Current, Listed, ListedVersion, METRICS_FILE, Made, NewError, Registry, RegistryError};

pub(super) fn model(args: &ModelArgs, settings: &Settings) -> Result<(), Failure> {
    let config = super::load(settings)?.config;
    let registry = Registry::new(&config.model.dir);
    match &args.command {
        ModelCommand::List(args) => list(args, &registry),
        ModelCommand::Show(args) => show(args, &registry, &config.model.name),
        ModelCommand::New(args) => new(args, &registry),
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

fn list(args: &ModelList, registry: &Registry) -> Result<(), Failure> {
    let Listed { models } = registry.list().map_err(failure)?;
    if args.json {
        return super::print_json(&Listed { models });
    }
    let lines = models.iter().flat_map(|model| {
        model.versions.iter().map(|version| {
            let ListedVersion { version, in_use, parent, classes, learnt, error } = version;
            let mark = if *in_use { "*" } else { " " };
            let classes = classes.map(|classes| format!("{classes} classes")).unwrap_or_default();
            let parent = parent.as_ref().map(|parent| format!(", made from {parent}")).unwrap_or_default();
            let learnt = if *learnt == Some(false) { ", has learnt nothing yet" } else { "" };
            let error = error.as_deref().unwrap_or_default();
            format!("{mark} {} {version}: {classes}{parent}{learnt}{error}\n", model.name)
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
    learnt: bool,
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
        learnt: bundle.learnt,
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
        text += &format!("measured      {}\n", without_findings(metrics.get()));
    }
    super::print(&text)
}

/// What was measured, but for what makes sense on a page only: points of a map, and there are many. The rest stays as it is
/// written.
fn without_findings(metrics: &str) -> String {
    #[derive(Deserialize)]
    struct Found<'a> {
        #[serde(borrow)]
        findings: Option<&'a RawValue>,
    }
    let found = serde_json::from_str::<Found<'_>>(metrics).ok().and_then(|found| found.findings);
    let cut = found.and_then(|found| {
        let (before, after) = metrics.split_once(found.get())?;
        // It is not the first thing that is said.
        Some(format!("{}{after}", &before[..before.rfind(',')?]))
    });
    cut.unwrap_or_else(|| metrics.to_owned())
}

fn new(args: &ModelNew, registry: &Registry) -> Result<(), Failure> {
    let ModelNew { name, from, labels, json } = args;
    let made = registry.make(name, from, labels).map_err(|error| match error {
        NewError::Base(error) => failure(error),
        error => anyhow::Error::from(error).into(),
    })?;
    if *json {
        return super::print_json(&made);
    }
    let source = made.source();
    let Made { name, from, labels, dir, .. } = made;
    super::print(&format!(
        "{name}: {} to be told apart, by the network of {from}, in {dir}\n\
         Its frames are kept for labelling and nothing is published, until it has learnt. Feed it with a source that names it:\n\n{source}",
        labels.join(", ")
    ))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_left_out_of_what_is_shown_to_people() {
        for (metrics, wanted) in [
            ("{\n  \"a\": 1,\n  \"findings\": {\"map\": [1, 2]}\n}", "{\n  \"a\": 1\n}"),
            ("{\"a\":1,\"findings\":{\"map\":[]},\"b\":[2,3]}", "{\"a\":1,\"b\":[2,3]}"),
            ("{\"a\": 1}", "{\"a\": 1}"),
            ("[1]", "[1]"),
        ] {
            assert_eq!(without_findings(metrics), wanted);
        }
    }
}
