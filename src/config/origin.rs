//! Where a value came from, for errors and for showing the configuration in force.

use std::fmt;
use std::path::PathBuf;

use super::value::Value;

/// The layer that a value came from. Later ones win.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The built-in default file, [`DEFAULT_TOML`](super::DEFAULT_TOML).
    Default,
    /// A configuration file, by its path.
    File(PathBuf),
    /// A credential of systemd, by its name.
    Credential(&'static str),
    /// An environment variable, by its name.
    Env(String),
    /// A flag of the command line, by its name as it was typed: `--broker`.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Credential(name) => write!(f, "credential {name}"),
            Self::Env(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// An [`Origin`], and the line in it if it is a file. Shown as `path:line`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The layer.
    pub origin: Origin,
    /// The line, from 1, if the layer is a file.
    pub line: Option<usize>,
}

impl From<Origin> for Place {
    fn from(origin: Origin) -> Self {
        Self { origin, line: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.origin)?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// A value in force, as shown to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The value as it would be written in the file: strings in quotes. Of a secret, the path of its file.
    pub value: String,
    /// The layer it came from.
    pub origin: Origin,
    /// The line, from 1, if it came from a file.
    pub line: Option<usize>,
}

/// A value of the right type, not yet judged, and its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Given {
    pub(super) value: Value,
    pub(super) place: Place,
}

impl Given {
    pub(super) fn to_setting(&self) -> Setting {
        Setting { value: self.value.to_string(), origin: self.place.origin.clone(), line: self.place.line }
    }
}
