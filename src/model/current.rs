//! `current.json`: which version of a model is in use, and which were before it. The only thing about models that changes.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::write::replace_file;

/// The file's name, in a model's folder.
pub(super) const FILE: &str = "current.json";
/// So many versions can be gone back; older ones are forgotten here, not on disk.
const MOST_BEFORE: usize = 32;
/// After so many loads that ended the process, a version is not tried again.
const MOST_TRIES: u32 = 2;

/// The version of a model that is in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Current {
    /// The version.
    pub version: String,
    /// Since when.
    pub since: Timestamp,
    /// The versions that were in use before, the oldest first: where a rollback goes.
    #[serde(default)]
    pub before: Vec<String>,
    /// Versions that were taken out of use, by a person or because they were worse: nobody is asked to take them again.
    #[serde(default)]
    pub left: Vec<String>,
    /// A node has loaded it and run it once.
    #[serde(default)]
    pub proven: bool,
    /// Loads that were begun since it is in use, while it is not proven.
    #[serde(default)]
    pub tries: u32,
}

impl Current {
    /// A version in the place of the one before, if there was one.
    #[must_use]
    pub(super) fn after(old: Option<Self>, implied: Option<&str>, version: &str) -> Self {
        let (mut before, mut left) = match old {
            Some(old) => ([old.before, vec![old.version]].concat(), old.left),
            None => (implied.map(str::to_owned).into_iter().collect(), Vec::new()),
        };
        before.retain(|earlier| earlier != version);
        left.retain(|earlier| earlier != version);
        before.drain(..before.len().saturating_sub(MOST_BEFORE));
        Self { version: version.to_owned(), since: Timestamp::now(), before, left, proven: false, tries: 0 }
    }

    /// The one before; `None` if there was none.
    #[must_use]
    pub(super) fn back(mut self) -> Option<Self> {
        let version = self.before.pop()?;
        let left = std::mem::replace(&mut self.version, version);
        Some(Self { since: Timestamp::now(), proven: false, tries: 0, ..self.without(&left) })
    }

    /// A version is out of use, and no rollback goes there.
    #[must_use]
    pub(super) fn without(mut self, version: &str) -> Self {
        self.before.retain(|earlier| earlier != version);
        self.left.retain(|earlier| earlier != version);
        self.left.push(version.to_owned());
        self.left.drain(..self.left.len().saturating_sub(MOST_BEFORE));
        self
    }

    /// It was tried and, it seems, the process died of it each time.
    #[must_use]
    pub fn is_deadly(&self) -> bool {
        !self.proven && self.tries >= MOST_TRIES
    }

    /// What a model's folder says; `None` if it has no such file.
    ///
    /// # Errors
    /// If the file can't be read, or is something else.
    pub(super) fn read(model: &Path) -> io::Result<Option<Self>> {
        match fs::read(model.join(FILE)) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes it into a model's folder, at once and durably: whoever reads sees the old one or this one.
    ///
    /// # Errors
    /// If that fails; then the old one holds.
    pub(super) fn write(&self, model: &Path) -> io::Result<()> {
        fs::create_dir_all(model)?;
        let json = serde_json::to_string_pretty(self)? + "\n";
        replace_file(model, FILE, json.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_follow_each_other_and_are_gone_back() {
        let first = Current::after(None, Some("1"), "2");
        assert_eq!((first.version.as_str(), first.before.as_slice()), ("2", &["1".to_owned()][..]));
        let third = Current::after(Some(first), None, "3");
        assert_eq!(third.before, ["1", "2"]);
        // What was in use before and is again has no second place among those before it.
        assert_eq!(Current::after(Some(third.clone()), None, "1").before, ["2", "3"]);
        let second = third.back().unwrap();
        assert_eq!((second.version.as_str(), second.before.as_slice()), ("2", &["1".to_owned()][..]));
        assert_eq!(second.left, ["3"]);
        let first = second.back().unwrap();
        assert_eq!(first.left, ["3", "2"]);
        assert_eq!(Current::after(Some(first.clone()), None, "3").left, ["2"]);
        assert_eq!(first.back(), None);
        assert_eq!(Current::after(None, None, "1").before, Vec::<String>::new());
    }

    #[test]
    fn history_is_bounded() {
        let mut current = Current::after(None, None, "0");
        for version in 1..100 {
            current = Current::after(Some(current), None, &version.to_string());
        }
        assert_eq!(current.before.len(), MOST_BEFORE);
        assert_eq!(current.before.last().map(String::as_str), Some("98"));
    }

    #[test]
    fn it_survives_the_disk_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("m");
        assert_eq!(Current::read(&model).unwrap(), None);
        let current = Current { tries: 1, ..Current::after(None, Some("1"), "2") };
        current.write(&model).unwrap();
        assert_eq!(Current::read(&model).unwrap(), Some(current));
        assert_eq!(fs::read_dir(&model).unwrap().count(), 1);
        fs::write(model.join(FILE), "{").unwrap();
        assert!(Current::read(&model).is_err());
    }
}
