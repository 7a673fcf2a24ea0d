//! Finds the bundles on disk: `<dir>/<name>/<version>/`.

use std::path::{Path, PathBuf};

use super::bundle::{Bundle, BundleError};

/// Where an installed daemon keeps what it learnt, and where the package puts what it brings.
const INSTALLED: [&str; 2] = ["/var/lib/glanced/models", "/usr/share/glanced/models"];

/// The folders in which models are looked for, first match first.
#[derive(Clone, Debug)]
pub struct Registry {
    dirs: Vec<PathBuf>,
}

/// Why a model can't be had.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No folder has it.
    #[error("model {name:?} was not found in {}", list(searched))]
    NotFound {
        /// The model's name.
        name: String,
        /// Where it was looked for.
        searched: Vec<PathBuf>,
    },
    /// It is there, but can't be used.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Its folder says another name or version than its bundle.toml: results would carry the wrong one.
    #[error("{}: bundle.toml says {found:?}, but the folder is that of {expected:?}", dir.display())]
    Misplaced {
        /// The folder.
        dir: PathBuf,
        /// Name and version by the folder.
        expected: String,
        /// Name and version by bundle.toml.
        found: String,
    },
}

impl Registry {
    /// Looks in `dir` first (configuration key `model.dir`), then where packages install.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        let mut dirs = vec![dir.to_owned()];
        dirs.extend(INSTALLED.iter().map(PathBuf::from).filter(|installed| installed != dir));
        Self { dirs }
    }

    /// Opens the newest version of a model: the highest by number, then by name.
    ///
    /// # Errors
    /// [`RegistryError`] if there is none, or the one there is can't be used.
    pub fn open(&self, name: &str) -> Result<Bundle, RegistryError> {
        let newest = self.dirs.iter().find_map(|dir| newest_version(&dir.join(name)));
        match newest {
            Some(dir) => {
                let bundle = Bundle::open(&dir)?;
                let version = dir.file_name().unwrap_or_default().to_string_lossy();
                let (expected, found) = (format!("{name}/{version}"), format!("{}/{}", bundle.name, bundle.version));
                if expected == found { Ok(bundle) } else { Err(RegistryError::Misplaced { dir, expected, found }) }
            }
            None => Err(RegistryError::NotFound { name: name.to_owned(), searched: self.dirs.clone() }),
        }
    }
}

fn newest_version(model: &Path) -> Option<PathBuf> {
    std::fs::read_dir(model)
        .ok()?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.join("bundle.toml").is_file())
        .max_by_key(|path| {
            let version = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (version.parse::<u64>().ok(), version)
        })
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_the_highest_number_not_the_last_by_letter() {
        let dir = tempfile::tempdir().unwrap();
        for version in ["2", "10", "9", "draft"] {
            std::fs::create_dir_all(dir.path().join("m").join(version)).unwrap();
            std::fs::write(dir.path().join("m").join(version).join("bundle.toml"), "").unwrap();
        }
        std::fs::create_dir_all(dir.path().join("m/11")).unwrap();
        assert_eq!(newest_version(&dir.path().join("m")), Some(dir.path().join("m/10")));
    }

    #[test]
    fn a_bundle_in_the_folder_of_another_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let gate = dir.path().join("gate/1");
        std::fs::create_dir_all(&gate).unwrap();
        let tints = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bundles/tints/1");
        for file in ["bundle.toml", "labels.tsv", "model.onnx"] {
            std::fs::copy(tints.join(file), gate.join(file)).unwrap();
        }
        let error = Registry::new(dir.path()).open("gate").unwrap_err().to_string();
        assert!(error.ends_with("bundle.toml says \"tints/1\", but the folder is that of \"gate/1\""), "{error}");
    }

    #[test]
    fn a_missing_model_is_named_with_the_places_searched() {
        let error = Registry::new(Path::new("nowhere")).open("m").unwrap_err().to_string();
        assert_eq!(error, "model \"m\" was not found in nowhere, /var/lib/glanced/models, /usr/share/glanced/models");
    }
}
