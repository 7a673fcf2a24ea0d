//! The models that a configuration names.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::Config;
use crate::model::{Bundle, Registry, RegistryError};
use crate::mqtt::topics::Router;

/// The models in use, each loaded once.
#[derive(Clone, Debug)]
pub struct Models {
    bundles: Vec<Arc<Bundle>>,
    index: HashMap<String, usize>,
}

impl Models {
    /// Opens every model that the configuration names.
    ///
    /// # Errors
    /// [`RegistryError`] of the first that can't be used.
    pub fn open(config: &Config) -> Result<Self, RegistryError> {
        let registry = Registry::new(&config.model.dir);
        let mut models = Self { bundles: Vec::new(), index: HashMap::new() };
        let named = config.sources.iter().filter_map(|source| source.model.as_ref());
        for name in std::iter::once(&config.model.name).chain(named) {
            if !models.index.contains_key(name) {
                models.index.insert(name.clone(), models.bundles.len());
                models.bundles.push(Arc::new(registry.open(name)?));
            }
        }
        Ok(models)
    }

    /// The bundles, by index. The first is that of sources and requests that name none.
    #[must_use]
    pub fn bundles(&self) -> &[Arc<Bundle>] {
        &self.bundles
    }

    /// Whether it is one of them.
    pub(super) fn has(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    /// Name and version of each.
    pub(super) fn names(&self) -> Vec<String> {
        self.bundles.iter().map(|bundle| format!("{} {}", bundle.name, bundle.version)).collect()
    }

    /// What topics mean, with these models.
    pub(super) fn router(&self, config: &Config) -> Router {
        Router::new(config, |name| name.and_then(|name| self.index.get(name)).copied().unwrap_or(0))
    }
}
