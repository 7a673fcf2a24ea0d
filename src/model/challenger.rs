//! The version of a model that is better than the one in use, and waits to be put in its place.

use serde::Deserialize;

use super::registry::{Registry, RegistryError, Version, order};
use super::write::METRICS_FILE;

/// A metrics.json that is larger, in bytes, is not ours.
const MOST_METRICS: u64 = 4 << 20;

impl Version {
    /// What was measured when it was made, as it is written; `None` if that can't be read.
    #[must_use]
    pub fn metrics(&self) -> Option<Vec<u8>> {
        let path = self.dir.join(METRICS_FILE);
        let size = std::fs::metadata(&path).ok()?.len();
        (size <= MOST_METRICS).then(|| std::fs::read(path).ok())?
    }

    /// Why the gate found it better, in its words, if it did.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Metrics {
            reason: Option<String>,
        }
        serde_json::from_slice::<Metrics>(&self.metrics()?).ok()?.reason
    }
}

impl Registry {
    /// The newest version that is newer than the one in use, and was not taken out of use before.
    ///
    /// # Errors
    /// [`RegistryError`] if it can't be said which is in use.
    pub fn waiting(&self, name: &str) -> Result<Option<Version>, RegistryError> {
        let left = self.current(name)?.map(|current| current.left).unwrap_or_default();
        let in_use = order(&self.version(name)?);
        let newest = self.versions(name).into_iter().next_back();
        Ok(newest.filter(|newest| order(&newest.version) > in_use && !left.contains(&newest.version)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::registry::tests::with_versions;
    use super::*;

    #[test]
    fn a_newer_version_waits_unless_it_was_gone_back_from() {
        let dir = tempfile::tempdir().unwrap();
        with_versions(dir.path(), &["1", "2", "3"]);
        let registry = Registry::new(dir.path());
        let waiting = || registry.waiting("tints").unwrap();
        let version = || waiting().map(|waiting| waiting.version);
        assert_eq!(version(), None, "nobody has said which is in use: it is the newest");
        registry.promote("tints", "1").unwrap();
        assert_eq!(version().as_deref(), Some("3"));
        assert_eq!(waiting().unwrap().reason(), None);
        std::fs::write(dir.path().join("tints/3/metrics.json"), r#"{"reason":"it is better"}"#).unwrap();
        assert_eq!(waiting().unwrap().reason().as_deref(), Some("it is better"));
        registry.promote("tints", "3").unwrap();
        assert_eq!(version(), None);
        registry.rollback("tints").unwrap();
        assert_eq!(registry.version("tints").unwrap(), "1");
        assert_eq!(version(), None, "somebody knows better");
        with_versions(dir.path(), &["4"]);
        assert_eq!(version().as_deref(), Some("4"));
    }
}
