//! A new configuration for a node that runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{App, steps};
use crate::config::{self, Loaded, Setting};
use crate::ops::telemetry::{Telemetry, TelemetryError};

/// A new configuration was not taken; the old one stays in force, whole.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// A source wants a model that is not in memory.
    #[error("a source names model {0:?}, which is not loaded: that needs a restart")]
    Model(String),
    /// The log level is none.
    #[error(transparent)]
    Log(#[from] TelemetryError),
}

impl App {
    /// Takes over what can be changed while running, and says in the log what can't.
    ///
    /// # Errors
    /// [`ReloadError`]; then nothing has changed.
    pub fn reload(&mut self, new: Loaded, telemetry: &Telemetry) -> Result<(), ReloadError> {
        let wanted = new.config.sources.iter().filter_map(|source| source.model.as_ref());
        if let Some(missing) = wanted.into_iter().find(|name| !self.models.has(name)) {
            return Err(ReloadError::Model(missing.clone()));
        }
        telemetry.set_level(&new.config.log.level)?;
        let changes = config::changes(&self.loaded, &new);
        for change in changes.iter().filter(|change| !change.live) {
            tracing::warn!(key = change.key, "this change needs a restart, and is not in force");
        }
        let applied: Vec<_> = changes.iter().filter(|change| change.live).map(|change| change.key.as_str()).collect();
        let config = &mut self.loaded.config;
        config.log.level = new.config.log.level;
        config.inference.max_age = new.config.inference.max_age;
        config.inference.repeats = new.config.inference.repeats;
        config.classify = new.config.classify;
        config.sources = new.config.sources;
        config.store.collect = new.config.store.collect;
        for change in changes.iter().filter(|change| change.live) {
            take_over(&mut self.loaded.values, &new.values, &change.key);
        }
        self.values.store(Arc::new(self.loaded.values.clone()));
        self.shared.intake.set_max_age(config.inference.max_age);
        self.shared.repeats.set(config.inference.repeats);
        self.shared.steps.store(Arc::new(steps(&config.classify)));
        if applied.iter().any(|key| key.starts_with("store.collect")) {
            self.shared.collector.set(config.store.collect);
        }
        if applied.contains(&"sources") {
            let router = self.models.router(config);
            self.guard.follow(&router);
            self.routes.send_replace(router);
        }
        tracing::info!(changed = ?applied, "configuration reloaded");
        Ok(())
    }
}

/// The settings under `key` (itself, or what is below it) as they are in the new configuration.
fn take_over(old: &mut BTreeMap<String, Setting>, new: &BTreeMap<String, Setting>, key: &str) {
    let under = |name: &str| name == key || name.strip_prefix(key).is_some_and(|rest| rest.starts_with(['.', '[']));
    old.retain(|name, _| !under(name));
    old.extend(new.iter().filter(|(name, _)| under(name)).map(|(name, setting)| (name.clone(), setting.clone())));
}
