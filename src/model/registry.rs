//! Finds the bundles on disk, `<dir>/<name>/<version>/`, and says which of them is in use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::bundle::{Bundle, BundleError, MANIFEST_FILE};
use super::current::{self, Current};

/// Where an installed daemon keeps what must last.
const STATE_DIR: &str = "/var/lib/glanced";
/// The default of `model.dir`, which is a checkout's.
const DEFAULT_DIR: &str = "models";
/// Where an installed daemon keeps what it learnt, and where the package puts what it brings.
const INSTALLED: [&str; 2] = ["/var/lib/glanced/models", "/usr/share/glanced/models"];

/// The folders in which models are looked for. A version that several have is that of the first.
///
/// The version in use is the one that `current.json` of the first folder names. While there is none, it is the newest
/// version in the first folder that has the model: highest by number, then by name.
#[derive(Clone, Debug)]
pub struct Registry {
    dirs: Vec<PathBuf>,
}

/// A version of a model on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its name, as a rule a number.
    pub version: String,
    /// Its folder.
    pub dir: PathBuf,
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
    /// The model is there, but not in this version.
    #[error("model {name:?} has no version {version:?}: there are {}", there.join(", "))]
    NoVersion {
        /// The model's name.
        name: String,
        /// The version.
        version: String,
        /// Those there are.
        there: Vec<String>,
    },
    /// There is nothing to go back to.
    #[error("model {name:?} has no version before {version:?} to go back to")]
    NothingBefore {
        /// The model's name.
        name: String,
        /// The version in use.
        version: String,
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
    /// The file that names the version in use can't be read or written.
    #[error("{}: {error}", path.display())]
    Current {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: std::io::Error,
    },
}

impl Registry {
    /// Looks in `dir` first (configuration key `model.dir`), then where packages install. Where there is no folder of the name that
    /// is the default, but an installed daemon's, that is the first.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self::beside(dir, Path::new(STATE_DIR))
    }

    fn beside(dir: &Path, state: &Path) -> Self {
        let installed = INSTALLED.iter().map(PathBuf::from);
        if dir == Path::new(DEFAULT_DIR) && !dir.is_dir() && state.is_dir() {
            return Self { dirs: installed.collect() };
        }
        let others = installed.filter(|installed| installed != dir);
        Self { dirs: std::iter::once(dir.to_owned()).chain(others).collect() }
    }

    /// Where what is learnt is written, and which version is in use.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dirs[0]
    }

    /// The names of all models, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let models = self.dirs.iter().flat_map(|dir| folders(dir));
        let mut names: Vec<String> = models
            .filter(|(_, dir)| folders(dir).any(|(_, version)| is_bundle(&version)))
            .map(|(name, _)| name)
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// All versions of a model, the oldest first: by number, and after those by name.
    #[must_use]
    pub fn versions(&self, name: &str) -> Vec<Version> {
        let mut versions = BTreeMap::new();
        for dir in self.dirs.iter().rev() {
            versions.extend(versions_in(&dir.join(name)));
        }
        let mut versions: Vec<Version> = versions.into_iter().map(|(version, dir)| Version { version, dir }).collect();
        versions.sort_by_key(|version| order(&version.version));
        versions
    }

    /// What `current.json` says of a model; `None` if there is none.
    ///
    /// # Errors
    /// [`RegistryError::Current`] if it can't be read.
    pub fn current(&self, name: &str) -> Result<Option<Current>, RegistryError> {
        let model = self.dir().join(name);
        Current::read(&model).map_err(|error| RegistryError::Current { path: model.join(current::FILE), error })
    }

    /// The version in use.
    ///
    /// # Errors
    /// [`RegistryError`] if there is none.
    pub fn version(&self, name: &str) -> Result<String, RegistryError> {
        match self.current(name)? {
            Some(current) => Ok(current.version),
            None => self.implied(name).ok_or_else(|| self.not_found(name)),
        }
    }

    /// The version that is in use as long as nobody has said which.
    fn implied(&self, name: &str) -> Option<String> {
        let newest = |dir: &PathBuf| versions_in(&dir.join(name)).map(|(version, _)| version).max_by_key(|v| order(v));
        self.dirs.iter().find_map(newest)
    }

    /// Opens the version in use.
    ///
    /// # Errors
    /// [`RegistryError`] if there is none, or the one there is can't be used.
    pub fn open(&self, name: &str) -> Result<Bundle, RegistryError> {
        self.open_version(name, &self.version(name)?)
    }

    /// Opens a version.
    ///
    /// # Errors
    /// [`RegistryError`] if there is none of that name, or it can't be used.
    pub fn open_version(&self, name: &str, version: &str) -> Result<Bundle, RegistryError> {
        let versions = self.versions(name);
        let Some(found) = versions.iter().find(|there| there.version == version) else {
            if versions.is_empty() {
                return Err(self.not_found(name));
            }
            let there = versions.into_iter().map(|version| version.version).collect();
            return Err(RegistryError::NoVersion { name: name.to_owned(), version: version.to_owned(), there });
        };
        let bundle = Bundle::open(&found.dir)?;
        let (expected, found_there) = (format!("{name}/{version}"), format!("{}/{}", bundle.name, bundle.version));
        if expected == found_there {
            Ok(bundle)
        } else {
            Err(RegistryError::Misplaced { dir: found.dir.clone(), expected, found: found_there })
        }
    }

    /// Makes a version the one in use, if it can be opened. That is one rename of a file: a node that runs takes it over, and
    /// after a stop at any moment either the old one is in use or this one.
    ///
    /// # Errors
    /// [`RegistryError`]; then the old one stays in use.
    pub fn promote(&self, name: &str, version: &str) -> Result<Current, RegistryError> {
        self.open_version(name, version)?;
        let old = self.current(name)?;
        if let Some(old) = old.as_ref().filter(|old| old.version == version) {
            return Ok(old.clone());
        }
        let implied = self.implied(name).filter(|implied| implied != version);
        self.set(name, Current::after(old, implied.as_deref(), version))
    }

    /// Goes back to the version that was in use before this one, or, if none is known, the one it was made from.
    ///
    /// # Errors
    /// [`RegistryError`] if there is none, or it can't be used; then nothing changes.
    pub fn rollback(&self, name: &str) -> Result<Current, RegistryError> {
        let version = self.version(name)?;
        let known = self.current(name)?.and_then(Current::back);
        let parent = || {
            let parent = self.open_version(name, &version).ok()?.parent?;
            Some(Current { before: Vec::new(), ..Current::after(None, None, &parent) }.without(&version))
        };
        let Some(back) = known.or_else(parent) else {
            return Err(RegistryError::NothingBefore { name: name.to_owned(), version });
        };
        self.open_version(name, &back.version)?;
        self.set(name, back)
    }

    /// Takes a version that can't be used out of use, for one that can.
    ///
    /// # Errors
    /// [`RegistryError::Current`] if the file can't be read or written.
    pub fn refuse(&self, name: &str, version: &str, instead: &str) -> Result<(), RegistryError> {
        match self.current(name)? {
            // Somebody else has chosen meanwhile.
            Some(current) if current.version != version => Ok(()),
            old => {
                let back = Current::after(old, None, instead).without(version);
                self.set(name, Current { proven: true, ..back }).map(|_| ())
            }
        }
    }

    /// Writes down that the version in use is about to be loaded by a node, unless one has done so before. To be followed by
    /// [`Registry::proven`]: if it is not, again and again, the version is what the process dies of.
    ///
    /// # Errors
    /// [`RegistryError::Current`] if the file can't be read or written.
    pub fn trying(&self, name: &str) -> Result<(), RegistryError> {
        match self.current(name)? {
            Some(current) if !current.proven => {
                self.set(name, Current { tries: current.tries + 1, ..current }).map(|_| ())
            }
            _ => Ok(()),
        }
    }

    /// Writes down that a node has loaded and run this version, if it is the one in use.
    ///
    /// # Errors
    /// [`RegistryError::Current`] if the file can't be read or written.
    pub fn proven(&self, name: &str, version: &str) -> Result<(), RegistryError> {
        match self.current(name)? {
            Some(current) if !current.proven && current.version == version => {
                self.set(name, Current { proven: true, tries: 0, ..current }).map(|_| ())
            }
            _ => Ok(()),
        }
    }

    fn set(&self, name: &str, current: Current) -> Result<Current, RegistryError> {
        let model = self.dir().join(name);
        let written = current.write(&model);
        written.map_err(|error| RegistryError::Current { path: model.join(current::FILE), error })?;
        Ok(current)
    }

    /// The error that says that there is no such model.
    #[must_use]
    pub fn not_found(&self, name: &str) -> RegistryError {
        RegistryError::NotFound { name: name.to_owned(), searched: self.dirs.clone() }
    }
}

/// The folders in a folder, by name. None of ours begins with a dot.
fn folders(dir: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let named = entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())));
    named.filter(|(name, path)| !name.starts_with('.') && path.is_dir())
}

fn is_bundle(dir: &Path) -> bool {
    dir.join(MANIFEST_FILE).is_file()
}

fn versions_in(model: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    folders(model).filter(|(_, dir)| is_bundle(dir))
}

/// The order of versions: by number; one that has none comes before those that have.
pub(super) fn order(version: &str) -> (Option<u64>, String) {
    (version.parse().ok(), version.to_owned())
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Versions of a model that knows three colours.
    pub(in crate::model) fn with_versions(dir: &Path, versions: &[&str]) {
        let tints = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bundles/tints/1");
        for version in versions {
            let to = dir.join("tints").join(version);
            std::fs::create_dir_all(&to).unwrap();
            for file in ["labels.tsv", "model.onnx"] {
                std::fs::copy(tints.join(file), to.join(file)).unwrap();
            }
            let text = std::fs::read_to_string(tints.join("bundle.toml")).unwrap();
            let text = text.replacen("version = \"1\"", &format!("version = \"{version}\""), 1);
            std::fs::write(to.join("bundle.toml"), text).unwrap();
        }
    }

    fn names_of(versions: &[Version]) -> Vec<&str> {
        versions.iter().map(|version| version.version.as_str()).collect()
    }

    #[test]
    fn without_another_word_the_newest_version_is_in_use_by_number_not_by_letter() {
        let dir = tempfile::tempdir().unwrap();
        with_versions(dir.path(), &["2", "10", "9", "draft"]);
        std::fs::create_dir_all(dir.path().join("tints/11")).unwrap();
        std::fs::create_dir_all(dir.path().join("nothing")).unwrap();
        let registry = Registry::new(dir.path());
        assert_eq!(registry.open("tints").unwrap().version, "10");
        assert_eq!(names_of(&registry.versions("tints")), ["draft", "2", "9", "10"]);
        assert_eq!(registry.names().first().map(String::as_str), Some("tints"));
    }

    #[test]
    fn an_installed_daemon_writes_where_it_may() {
        let state = tempfile::tempdir().unwrap();
        // Tests run in the checkout, which has the folder of the default's name.
        assert_eq!(Registry::beside(Path::new("models"), state.path()).dir(), Path::new("models"));
        let elsewhere = state.path().join("models");
        assert_eq!(Registry::beside(&elsewhere, state.path()).dir(), elsewhere);
        assert_eq!(Registry::new(Path::new(INSTALLED[0])).dirs, INSTALLED.map(PathBuf::from));
    }

    #[test]
    fn promote_and_rollback_move_what_is_in_use() {
        let dir = tempfile::tempdir().unwrap();
        with_versions(dir.path(), &["1", "2", "3"]);
        let registry = Registry::new(dir.path());
        registry.promote("tints", "1").unwrap();
        assert_eq!(registry.open("tints").unwrap().version, "1");
        registry.promote("tints", "2").unwrap();
        // Once more says nothing new.
        assert_eq!(registry.promote("tints", "2").unwrap().before, ["3", "1"]);
        for version in ["1", "3"] {
            assert_eq!(registry.rollback("tints").unwrap().version, version);
            assert_eq!(registry.open("tints").unwrap().version, version);
        }
        let error = registry.rollback("tints").unwrap_err().to_string();
        assert_eq!(error, "model \"tints\" has no version before \"3\" to go back to");
        let error = registry.promote("tints", "7").unwrap_err().to_string();
        assert_eq!(error, "model \"tints\" has no version \"7\": there are 1, 2, 3");
        assert_eq!(registry.open("tints").unwrap().version, "3");
    }

    #[test]
    fn a_version_that_is_broken_is_not_promoted_nor_gone_back_to() {
        let dir = tempfile::tempdir().unwrap();
        with_versions(dir.path(), &["1", "2"]);
        let registry = Registry::new(dir.path());
        registry.promote("tints", "1").unwrap();
        registry.promote("tints", "2").unwrap();
        std::fs::write(dir.path().join("tints/1/model.onnx"), "x").unwrap();
        for error in [registry.promote("tints", "1").unwrap_err(), registry.rollback("tints").unwrap_err()] {
            assert!(matches!(error, RegistryError::Bundle(BundleError::Hash { .. })), "{error}");
        }
        assert_eq!(registry.version("tints").unwrap(), "2");
    }

    #[test]
    fn a_version_that_ends_the_process_is_known_by_its_tries() {
        let dir = tempfile::tempdir().unwrap();
        with_versions(dir.path(), &["1", "2"]);
        let registry = Registry::new(dir.path());
        // Nobody has said which: there is nothing to write.
        registry.trying("tints").unwrap();
        assert_eq!(registry.current("tints").unwrap(), None);
        registry.promote("tints", "2").unwrap();
        for deadly in [false, true] {
            registry.trying("tints").unwrap();
            assert_eq!(registry.current("tints").unwrap().unwrap().is_deadly(), deadly);
        }
        registry.proven("tints", "1").unwrap();
        assert!(registry.current("tints").unwrap().unwrap().is_deadly());
        registry.proven("tints", "2").unwrap();
        registry.trying("tints").unwrap();
        let current = registry.current("tints").unwrap().unwrap();
        assert_eq!((current.proven, current.tries, current.is_deadly()), (true, 0, false));
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
