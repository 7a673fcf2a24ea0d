//! `glanced config`: the default file, or what is in force.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Failure;
use crate::cli::{ConfigArgs, Settings};
use crate::config::DEFAULT_TOML;

#[derive(Serialize)]
struct Entry<'a> {
    value: &'a str,
    origin: String,
}

pub(super) fn config(args: &ConfigArgs, settings: &Settings) -> Result<(), Failure> {
    if !args.effective {
        return super::print(DEFAULT_TOML);
    }
    let loaded = super::load(settings)?;
    if args.json {
        let entries: BTreeMap<_, _> = loaded
            .values
            .iter()
            .map(|(key, setting)| (key, Entry { value: &setting.value, origin: setting.origin.to_string() }))
            .collect();
        return super::print_json(&entries);
    }
    let width =
        loaded.values.iter().map(|(key, setting)| key.len() + setting.value.len() + 3).max().unwrap_or(0).min(60);
    let lines = loaded.values.iter().map(|(key, setting)| {
        let assignment = format!("{key} = {}", setting.value);
        format!("{assignment:width$}  # {}\n", setting.origin)
    });
    super::print(&lines.collect::<String>())
}
