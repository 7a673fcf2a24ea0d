//! All models and their versions, for people and programs.

use serde::Serialize;

use super::registry::{Registry, RegistryError};

/// All models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// By name.
    pub models: Vec<ListedModel>,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedModel {
    /// Its name.
    pub name: String,
    /// The version in use.
    pub version: String,
    /// All versions, the oldest first.
    pub versions: Vec<ListedVersion>,
}

/// A version of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedVersion {
    /// Its name.
    pub version: String,
    /// Whether it is the one in use.
    pub in_use: bool,
    /// The version it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// How many classes it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    /// Whether it has learnt anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learnt: Option<bool>,
    /// Why it can't be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Registry {
    /// Lists all models. Every version is opened, so that what can't be used is known.
    ///
    /// # Errors
    /// [`RegistryError`] if it can't be said which version of a model is in use.
    pub fn list(&self) -> Result<Listed, RegistryError> {
        let model = |name: String| -> Result<ListedModel, RegistryError> {
            let in_use = self.version(&name)?;
            let versions = self.versions(&name).into_iter().map(|version| self.listed(&name, version.version, &in_use));
            Ok(ListedModel { versions: versions.collect(), version: in_use, name })
        };
        Ok(Listed { models: self.names().into_iter().map(model).collect::<Result<_, _>>()? })
    }

    fn listed(&self, name: &str, version: String, in_use: &str) -> ListedVersion {
        let (bundle, error) = match self.open_version(name, &version) {
            Ok(bundle) => (Some(bundle), None),
            Err(error) => (None, Some(error.to_string())),
        };
        ListedVersion {
            in_use: version == in_use,
            version,
            parent: bundle.as_ref().and_then(|bundle| bundle.parent.clone()),
            classes: bundle.as_ref().map(|bundle| bundle.labels.len()),
            learnt: bundle.as_ref().map(|bundle| bundle.learnt),
            error,
        }
    }
}
