//! The models that a configuration names.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::StartError;
use crate::classify::session::Runtime;
use crate::config::Config;
use crate::frame::pipeline::{LoadedModel, PipelineError};
use crate::model::{Bundle, Registry, RegistryError};
use crate::mqtt::Router;
use crate::ops::process;
use crate::tune::Tuning;

/// The models in use, each opened once.
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
        Self::open_with(config, |name| Ok(Arc::new(registry.open(name)?)))
    }

    fn open_with<E>(config: &Config, mut open: impl FnMut(&str) -> Result<Arc<Bundle>, E>) -> Result<Self, E> {
        let mut models = Self { bundles: Vec::new(), index: HashMap::new() };
        let named = config.sources.iter().filter_map(|source| source.model.as_ref());
        for name in std::iter::once(&config.model.name).chain(named) {
            if !models.index.contains_key(name) {
                models.index.insert(name.clone(), models.bundles.len());
                models.bundles.push(open(name)?);
            }
        }
        Ok(models)
    }

    /// Opens and loads every model that the configuration names, for a node that is to serve: a version that can't be used
    /// gives way to the one before it. Returns the models of each worker too, by index.
    ///
    /// # Errors
    /// [`StartError`] of the first model of which no version can be used.
    pub(super) fn load(
        config: &Config,
        runtime: &Runtime,
        tuning: &Tuning,
    ) -> Result<(Self, Vec<Vec<LoadedModel>>), StartError> {
        let registry = Registry::new(&config.model.dir);
        let mut loaded: Vec<Vec<LoadedModel>> = (0..tuning.workers).map(|_| Vec::new()).collect();
        let models = Self::open_with(config, |name| {
            let (bundle, copies) = load_usable(&registry, name, |bundle| copies(runtime, bundle, tuning))?;
            loaded.iter_mut().zip(copies).for_each(|(of_worker, copy)| of_worker.push(copy));
            Ok::<_, StartError>(bundle)
        })?;
        Ok((models, loaded))
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

    /// What topics mean, with these models.
    pub(super) fn router(&self, config: &Config) -> Router {
        Router::new(config, |name| name.and_then(|name| self.index.get(name)).copied().unwrap_or(0))
    }
}

/// A copy of a model for each worker. One after the other: loading takes three times the memory that is needed in the
/// end, and the peak should not be that of all of them together.
pub(super) fn copies(
    runtime: &Runtime,
    bundle: &Arc<Bundle>,
    tuning: &Tuning,
) -> Result<Vec<LoadedModel>, PipelineError> {
    let computing = tuning.computing(bundle)?;
    let copy = |_| {
        let copy = LoadedModel::open(runtime, bundle, computing);
        process::trim_memory();
        copy
    };
    (0..tuning.workers).map(copy).collect()
}

/// The version of a model that is in use, or, if it can't be loaded, the one before that can: from then on that one is in use.
fn load_usable<T>(
    registry: &Registry,
    name: &str,
    load: impl Fn(&Arc<Bundle>) -> Result<T, PipelineError>,
) -> Result<(Arc<Bundle>, T), StartError> {
    let mut tried = BTreeSet::new();
    loop {
        let version = registry.version(name)?;
        let deadly = registry.current(name)?.is_some_and(|current| current.is_deadly());
        let result = if deadly {
            Err(StartError::Deadly { model: name.to_owned(), version: version.clone() })
        } else {
            note(registry.trying(name));
            registry.open(name).map_err(StartError::from).map(Arc::new).and_then(|bundle| {
                let loaded = load(&bundle)?;
                Ok((bundle, loaded))
            })
        };
        let error = match result {
            Ok(loaded) => {
                note(registry.proven(name, &version));
                return Ok(loaded);
            }
            Err(error) => error,
        };
        match registry.rollback(name) {
            Ok(back) if tried.insert(version.clone()) => {
                tracing::error!(model = name, version, %error, back_to = back.version, "the model's version can't be used, the one before it is again");
            }
            _ => return Err(error),
        }
    }
}

/// A folder of models that can't be written is no reason not to serve.
pub(super) fn note(written: Result<(), RegistryError>) {
    if let Err(error) = written {
        tracing::warn!(%error, "what became of a model's load was not written down");
    }
}
