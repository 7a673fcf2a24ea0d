//! The models in use: each can be replaced by another version of it while others look.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::bundle::Bundle;

/// The models in use, by index. The first is that of sources and requests that name none.
#[derive(Debug)]
pub struct Active {
    bundles: Vec<ArcSwap<Bundle>>,
}

impl Active {
    /// These, and no others: which models there are does not change.
    #[must_use]
    pub fn new(bundles: &[Arc<Bundle>]) -> Self {
        Self { bundles: bundles.iter().map(|bundle| ArcSwap::new(Arc::clone(bundle))).collect() }
    }

    /// The version of a model that is in use.
    ///
    /// # Panics
    /// If there is no such model.
    #[must_use]
    pub fn get(&self, model: usize) -> Arc<Bundle> {
        self.bundles[model].load_full()
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Bundle>> {
        self.bundles.iter().map(ArcSwap::load_full).collect()
    }

    /// The model of a name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Arc<Bundle>> {
        self.bundles.iter().map(ArcSwap::load_full).find(|bundle| bundle.name == name)
    }

    /// The index of the model of a name.
    #[must_use]
    pub fn index(&self, name: &str) -> Option<usize> {
        self.bundles.iter().position(|bundle| bundle.load().name == name)
    }

    /// Name and version of each.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.all().iter().map(|bundle| format!("{} {}", bundle.name, bundle.version)).collect()
    }

    /// Puts a version in the place of another.
    ///
    /// # Panics
    /// If there is no such model.
    pub fn replace(&self, model: usize, bundle: Arc<Bundle>) {
        self.bundles[model].store(bundle);
    }
}
