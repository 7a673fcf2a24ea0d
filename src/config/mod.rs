//! Configuration: layered, checked, resolved once.
//!
//! ```text
//! DEFAULT_TOML < file < credentials < GLANCED__SECTION__KEY < flags      layers   (keys exist, types fit)
//!                          │
//!                       resolve                            ranges, rules between keys, files and secrets
//!                          │
//!                        Config                            sections: what the rest of the daemon sees
//! ```
//!
//! The default file is the only list of keys: what is not in it is unknown, and what is in it must be read by
//! `resolve`. Everything wrong is reported at once, each with its key, value, place and what is allowed.

mod broker_url;
mod camera;
mod change;
mod crop;
mod document;
mod error;
mod files;
mod layers;
mod level;
mod origin;
mod read;
mod resolve;
mod schema;
mod secret;
mod sections;
#[cfg(test)]
mod tests;
mod topic;
mod value;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use self::broker_url::{BrokerUrl, BrokerUrlError};
pub use self::camera::CameraName;
pub use self::change::{Change, changes};
pub use self::crop::Crop;
use self::error::Problems;
pub use self::error::{ConfigError, Problem};
use self::layers::Layers;
pub use self::origin::{Origin, Place, Setting};
use self::read::Files;
pub use self::secret::Secret;
pub use self::sections::{
    Classify, Collect, Config, Decode, Encoding, HomeAssistant, Http, Inference, Learn, Log, LogFormat, Looking, Model,
    Mqtt, Protocol, Repeating, Repeats, Service, Source, Store,
};

/// The default configuration: every key, with its unit and range in a comment.
pub const DEFAULT_TOML: &str = include_str!("../../config/glanced.toml");

/// The file that is read if no other is named.
pub const SYSTEM_FILE: &str = "/etc/glanced/config.toml";

/// A value that was given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The key that it sets, with dots: `mqtt.url`.
    pub key: &'static str,
    /// The value as it was typed.
    pub value: String,
    /// The flag's name, for errors: `--broker`.
    pub name: &'static str,
}

/// Where a configuration is to be loaded from. Load again with the same inputs to see what has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs {
    /// The file that was asked for; it must exist.
    pub file: Option<PathBuf>,
    /// The file to use otherwise, if it exists.
    pub system_file: PathBuf,
    /// The folder of systemd's credentials: some of them are secrets of ours.
    pub credentials: Option<PathBuf>,
    /// Environment variables; those without our prefix are ignored.
    pub env: Vec<(String, String)>,
    /// The command line.
    pub flags: Vec<Flag>,
}

impl Inputs {
    /// The inputs of this process: its environment, and [`SYSTEM_FILE`] unless `file` is given.
    #[must_use]
    pub fn from_process(file: Option<PathBuf>, flags: Vec<Flag>) -> Self {
        // Lossy, since std::env::vars would panic on a variable that is not UTF-8, ours or not.
        let env = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .filter(|(name, _)| name.starts_with(layers::ENV_PREFIX))
            .collect();
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Self { file, system_file: PathBuf::from(SYSTEM_FILE), credentials, env, flags }
    }
}

/// A configuration, and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What to run with.
    pub config: Config,
    /// Every key with the value in force and its origin; a source's as `sources[0].topic`. Of a secret there is the
    /// path of its file, never the content.
    pub values: BTreeMap<String, Setting>,
    /// The file that was asked for; `None` if it is the system's, or none.
    pub file: Option<PathBuf>,
}

/// Loads the configuration from all layers.
///
/// # Errors
/// Everything that is wrong: an unreadable file, TOML errors, unknown keys, wrong types, values out of range, values
/// that don't go together, and files that are named but can't be read.
pub fn load(inputs: &Inputs) -> Result<Loaded, ConfigError> {
    let mut problems = Problems::default();
    let mut layers = Layers::defaults(&mut problems);
    match &inputs.file {
        Some(file) => layers.file(file, false, &mut problems),
        None => layers.file(&inputs.system_file, true, &mut problems),
    }
    if let Some(folder) = &inputs.credentials {
        layers.credentials(folder, &mut problems);
    }
    layers.env(&inputs.env, &mut problems);
    layers.flags(&inputs.flags, &mut problems);
    Ok(Loaded { file: inputs.file.clone(), ..finish(&layers, Files::Open, problems)? })
}

/// Loads the defaults with `toml` over them, for tests. It opens no file: files that are named need not exist, and
/// secrets stay `None`.
///
/// # Errors
/// As [`load`]. Never panics, whatever the text.
pub fn parse_str(toml: &str) -> Result<Loaded, ConfigError> {
    let mut problems = Problems::default();
    let mut layers = Layers::defaults(&mut problems);
    layers.text(toml, &Origin::File(PathBuf::from("config.toml")), &mut problems);
    finish(&layers, Files::Leave, problems)
}

fn finish(layers: &Layers, files: Files, mut problems: Problems) -> Result<Loaded, ConfigError> {
    if !layers.complete {
        return Err(problems.into_error());
    }
    match resolve::resolve(layers, files, &mut problems) {
        Some(config) => Ok(Loaded { config, values: layers.shown(), file: None }),
        None => Err(problems.into_error()),
    }
}
