//! Which versions of the models are in use, and which wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::model::{Active, Bundle, Registry, Version};
use crate::mqtt::wire::{ModelState, ModelsMessage};

/// How often the disk is asked.
const EVERY: Duration = Duration::from_secs(5);

/// What is told of the models.
#[derive(Debug)]
pub(super) struct Models {
    registry: Registry,
    active: Arc<Active>,
    looked: Option<Instant>,
    newest: Vec<ModelState>,
    due: bool,
}

impl Models {
    /// Of a node's models.
    pub(super) fn new(registry: Registry, active: Arc<Active>) -> Self {
        Self { registry, active, looked: None, newest: Vec::new(), due: false }
    }

    /// What is known of them.
    pub(super) fn newest(&self) -> &[ModelState] {
        &self.newest
    }

    /// Asks the disk, if it is time to. Returns whether something has changed.
    pub(super) async fn look(&mut self, now: Instant) -> bool {
        if self.looked.is_some_and(|looked| now.saturating_duration_since(looked) < EVERY) {
            return false;
        }
        self.looked = Some(now);
        let (registry, active) = (self.registry.clone(), Arc::clone(&self.active));
        let looked = tokio::task::spawn_blocking(move || {
            active.all().iter().map(|bundle| state(&registry, bundle)).collect::<Vec<_>>()
        });
        // A panic has been told by whoever it was; what was known stays.
        let Ok(newest) = looked.await else { return false };
        let changed = self.newest != newest;
        self.newest = newest;
        self.due |= changed;
        changed
    }

    /// What is to be told, if anything is.
    pub(super) fn due(&self) -> Option<ModelsMessage<'_>> {
        self.due.then(|| ModelsMessage::new(&self.newest))
    }

    /// It was told.
    pub(super) fn told(&mut self) {
        self.due = false;
    }

    /// The broker may have forgotten it.
    pub(super) fn tell_again(&mut self) {
        self.due = !self.newest.is_empty();
    }
}

/// The version that the node serves, and the one that waits; one that is just being taken over does not wait any more.
fn state(registry: &Registry, bundle: &Bundle) -> ModelState {
    let (name, version) = (bundle.name.clone(), bundle.version.clone());
    let waiting = registry.waiting(&name).unwrap_or(None).filter(|waiting| waiting.version != version);
    let reason = waiting.as_ref().and_then(Version::reason);
    ModelState { name, version, waiting: waiting.map(|waiting| waiting.version), reason }
}
