//! A bundle: a model with everything needed to use it.

mod manifest;

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::manifest::Manifest;
use super::gains::{Gains, GainsError};
use super::input::InputSpec;
use super::labels::{Labels, LabelsError};
use super::prior::{Prior, PriorError};
use crate::classify::quality::Condition;

/// The network's file in a bundle.
pub(super) const MODEL_FILE: &str = "model.onnx";
/// The same network with most weights in 8 bits.
pub(super) const INT8_FILE: &str = "model.int8.onnx";
pub(super) const LABELS_FILE: &str = "labels.tsv";
pub(super) const PRIOR_FILE: &str = "prior.tsv";
pub(super) const GAINS_FILE: &str = "gains.tsv";
pub(super) const MANIFEST_FILE: &str = "bundle.toml";

/// A model with everything needed to use it, read and checked. Immutable once written.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// Its folder.
    pub dir: PathBuf,
    /// The model's name.
    pub name: String,
    /// This version of it.
    pub version: String,
    /// The version it was made from.
    pub parent: Option<String>,
    /// Its last layer knows something. If not, what it answers means nothing.
    pub learnt: bool,
    /// Divides the logits before softmax.
    pub temperature: f32,
    /// What divides them instead, for frames in a poor condition, if that is looked at.
    pub poor: PoorTemperatures,
    /// What a poor frame's features are multiplied by, if the bundle has such a table.
    pub gains: Option<Gains>,
    /// Which classes are alike, if the bundle has such a table.
    pub prior: Option<Prior>,
    /// How much likely classes lift those like them; 0 is not at all.
    pub prior_strength: f32,
    /// A best score below this is "unknown", unless the configuration says otherwise; 0 is never.
    pub unknown_below: f32,
    /// What the network wants to see.
    pub input: InputSpec,
    /// What it answers.
    pub output: OutputSpec,
    /// Its last layer, if named.
    pub head: Option<Head>,
    /// What its classes are called.
    pub labels: Labels,
    /// The ONNX file.
    pub model_file: PathBuf,
    /// Its SHA-256, in hexadecimal.
    pub model_sha256: String,
    /// The same network with most weights in 8 bits, if the bundle has it.
    pub int8: Option<Int8>,
}

/// A network whose convolutions compute with integers of 8 bits. Its input, output and last layer are as they were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Int8 {
    /// The ONNX file.
    pub file: PathBuf,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
    /// Bits of a weight that are used: 8, or 7 for processors whose sums of products would overflow.
    pub weight_bits: u8,
}

/// What most of a network computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Floating point numbers of 32 bits.
    Fp32,
    /// Integers of 8 bits.
    Int8,
}

impl Precision {
    /// Its name in configuration and output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Int8 => "int8",
        }
    }
}

/// Temperatures for frames in a poor condition; where there is none, the common one holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PoorTemperatures {
    /// For frames that lack detail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soft: Option<f32>,
    /// For frames without any detail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blurred: Option<f32>,
    /// For dark frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dark: Option<f32>,
}

impl PoorTemperatures {
    /// Those there are, by the name that they have in bundle.toml.
    #[must_use]
    pub fn named(&self) -> [(&'static str, Option<f32>); 3] {
        [("soft", self.soft), ("blurred", self.blurred), ("dark", self.dark)]
    }

    /// The place of a condition's; a good one has the common temperature.
    pub fn place(&mut self, condition: Condition) -> Option<&mut Option<f32>> {
        match condition {
            Condition::Good => None,
            Condition::Soft => Some(&mut self.soft),
            Condition::Blurred => Some(&mut self.blurred),
            Condition::Dark => Some(&mut self.dark),
        }
    }

    /// That of a condition, if there is one.
    #[must_use]
    pub fn of(mut self, condition: Condition) -> Option<f32> {
        self.place(condition).and_then(|place| *place)
    }
}

/// The score output of a network.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputSpec {
    /// Tensor name; its shape is `[batch, classes]`.
    pub tensor: String,
    /// What the numbers are.
    pub kind: OutputKind,
}

/// What a network's scores are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputKind {
    /// Before softmax.
    Logits,
    /// After softmax.
    Probabilities,
}

/// The last fully connected layer, by the names of its tensors.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Its input, shape `[batch, features]`.
    pub features: String,
    /// Weight initialiser, shape `[classes, features]`.
    pub weight: String,
    /// Bias initialiser, shape `[classes]`.
    pub bias: String,
    /// An initialiser that may be given as an input, shape `[features]`: what the features are multiplied by.
    #[serde(default)]
    pub gain: Option<String>,
}

/// Why a bundle can't be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file of it can't be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// bundle.toml is not as it should be.
    #[error("{}: {message}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        message: String,
    },
    /// A file differs from the one the bundle was made with.
    #[error("{}: its sha256 is {found}, but bundle.toml says {expected}", path.display())]
    Hash {
        /// The file.
        path: PathBuf,
        /// From bundle.toml.
        expected: String,
        /// Of the file there is.
        found: String,
    },
    /// gains.tsv is not such a table.
    #[error("{}: {error}", path.display())]
    Gains {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: GainsError,
    },
    /// prior.tsv is not such a table.
    #[error("{}: {error}", path.display())]
    Prior {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        error: PriorError,
    },
    /// labels.tsv is not such a table.
    #[error("{}: {error}", dir.display())]
    Labels {
        /// The bundle.
        dir: PathBuf,
        /// What is wrong, and where.
        error: LabelsError,
    },
}

impl Bundle {
    /// The temperature for a frame in some condition.
    #[must_use]
    pub fn temperature_for(&self, condition: Condition) -> f32 {
        self.poor.of(condition).unwrap_or(self.temperature)
    }

    /// Reads the bundle in `dir` and checks every file of it against its hash.
    ///
    /// # Errors
    /// [`BundleError`], which names the file and what is wrong with it.
    pub fn open(dir: &Path) -> Result<Self, BundleError> {
        let path = dir.join(MANIFEST_FILE);
        let text = read_text(&path)?;
        let manifest: Manifest = toml::from_str(&text).map_err(|error| BundleError::Manifest {
            path: path.clone(),
            message: error.to_string().trim_end().to_owned(),
        })?;
        manifest.check().map_err(|message| BundleError::Manifest { path, message })?;
        for (file, expected) in &manifest.sha256 {
            let path = dir.join(file);
            let found = sha256_of(&path)?;
            if !found.eq_ignore_ascii_case(expected) {
                return Err(BundleError::Hash { path, expected: expected.clone(), found });
            }
        }
        let labels = Labels::parse(&read_text(&dir.join(LABELS_FILE))?)
            .map_err(|error| BundleError::Labels { dir: dir.to_owned(), error })?;
        let path = dir.join(PRIOR_FILE);
        let prior = match manifest.sha256.contains_key(PRIOR_FILE) {
            true => Some(
                Prior::parse(&read_text(&path)?, labels.len()).map_err(|error| BundleError::Prior { path, error })?,
            ),
            false => None,
        };
        let path = dir.join(GAINS_FILE);
        let gains = match manifest.sha256.contains_key(GAINS_FILE) {
            true => Some(Gains::parse(&read_text(&path)?).map_err(|error| BundleError::Gains { path, error })?),
            false => None,
        };
        let Manifest {
            name,
            version,
            parent,
            learnt,
            temperature,
            poor,
            prior_strength,
            unknown_below,
            input,
            output,
            head,
            int8,
            sha256,
        } = manifest;
        let int8 = int8.zip(sha256.get(INT8_FILE)).map(|(int8, sha256)| Int8 {
            file: dir.join(INT8_FILE),
            sha256: sha256.to_ascii_lowercase(),
            weight_bits: int8.weight_bits,
        });
        Ok(Self {
            dir: dir.to_owned(),
            name,
            version,
            parent,
            learnt,
            temperature,
            poor,
            gains,
            prior,
            prior_strength,
            unknown_below,
            input: input.into(),
            output,
            head,
            labels,
            model_file: dir.join(MODEL_FILE),
            model_sha256: sha256.get(MODEL_FILE).map(|sum| sum.to_ascii_lowercase()).unwrap_or_default(),
            int8,
        })
    }
}

fn read_text(path: &Path) -> Result<String, BundleError> {
    std::fs::read_to_string(path).map_err(|error| BundleError::Read { path: path.to_owned(), error })
}

pub(super) fn sha256_of(path: &Path) -> Result<String, BundleError> {
    let read = || -> std::io::Result<String> {
        let mut file = std::fs::File::open(path)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 18];
        loop {
            let n = file.read(&mut buffer)?;
            if n == 0 {
                return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
            }
            hash.update(&buffer[..n]);
        }
    };
    read().map_err(|error| BundleError::Read { path: path.to_owned(), error })
}
