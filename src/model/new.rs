//! A model of one's own: the network of another one, with a last layer that knows nothing yet.

use serde::Serialize;

use super::labels::{Labels, LabelsError};
use super::registry::{Registry, RegistryError};
use super::write::{WriteError, write_new};

/// The longest name, which is that of a folder.
const MOST_NAME: usize = 64;
/// The most classes that are named at once.
const MOST_LABELS: usize = 10_000;

/// Why there is no such model.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The name is none.
    #[error(
        "{0:?} can't be a model's name: 1 to {MOST_NAME} letters, digits, hyphens, underscores and points are needed"
    )]
    Name(String),
    /// There is nothing to be told apart.
    #[error("labels: two classes or more are needed, at most {MOST_LABELS}")]
    Labels,
    /// Two of the classes can't be told apart by name, or one has none.
    #[error("labels: {0:?} is no name for a class, or names one twice")]
    Label(String),
    /// There is a model of that name.
    #[error("there is a model {0:?}")]
    Exists(String),
    /// The model that it is to be made from can't be had.
    #[error(transparent)]
    Base(#[from] RegistryError),
    /// It can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// A model that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Made {
    /// Its name.
    pub name: String,
    /// Its only version.
    pub version: String,
    /// Name and version of the one whose network it has.
    pub from: String,
    /// What it is to tell apart.
    pub labels: Vec<String>,
    /// Its folder.
    pub dir: String,
}

impl Made {
    /// What the configuration needs, so that it is fed.
    #[must_use]
    pub fn source(&self) -> String {
        let name = &self.name;
        format!(
            "[[sources]]\ntopic = \"cameras/front/frame\"\ncamera = \"{name}\"\nmodel = \"{name}\"\n\
             # crop = [0.0, 0.5, 0.5, 0.5]    # the part to look at: left, top, width, height\n"
        )
    }
}

impl Registry {
    /// Makes a model that is to tell these apart, by the network of `from`.
    ///
    /// # Errors
    /// [`NewError`]; then nothing is left behind.
    pub fn make(&self, name: &str, from: &str, labels: &[String]) -> Result<Made, NewError> {
        let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > MOST_NAME || name.starts_with('.') || !name.chars().all(usable) {
            return Err(NewError::Name(name.chars().take(2 * MOST_NAME).collect()));
        }
        if !(2..=MOST_LABELS).contains(&labels.len()) {
            return Err(NewError::Labels);
        }
        let labels = Labels::new(labels).map_err(|error| match error {
            LabelsError::Duplicate { label, .. } => NewError::Label(label),
            _ => NewError::Labels,
        })?;
        let names = self.names();
        if names.iter().any(|there| there == name) {
            return Err(NewError::Exists(name.to_owned()));
        }
        // A name from outside is only looked up among those there are: it becomes a part of a path.
        if !names.iter().any(|there| there == from) {
            return Err(self.not_found(from).into());
        }
        let base = self.open(from)?;
        let dir = write_new(&base, self.dir(), name, &labels)?;
        Ok(Made {
            name: name.to_owned(),
            version: dir.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            from: format!("{}/{}", base.name, base.version),
            labels: labels.names().map(str::to_owned).collect(),
            dir: dir.display().to_string(),
        })
    }
}
