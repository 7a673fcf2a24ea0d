//! bundle.toml: what it says, and what it may not say.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{GAINS_FILE, Head, INT8_FILE, LABELS_FILE, MODEL_FILE, OutputSpec, PRIOR_FILE, PoorTemperatures};
use crate::classify::prior::MAX_STRENGTH;
use crate::model::input::{CropMode, InputSpec, Interpolation, Layout};

/// Largest side of a view: networks for edge boxes take 224 to 600 pixels.
const MAX_SIDE: u32 = 4096;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) parent: Option<String>,
    #[serde(default = "yes")]
    pub(super) learnt: bool,
    pub(super) temperature: f32,
    #[serde(default)]
    pub(super) poor: PoorTemperatures,
    #[serde(default)]
    pub(super) prior_strength: f32,
    #[serde(default)]
    pub(super) unknown_below: f32,
    pub(super) input: ManifestInput,
    pub(super) output: OutputSpec,
    pub(super) head: Option<Head>,
    pub(super) int8: Option<ManifestInt8>,
    pub(super) sha256: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ManifestInt8 {
    pub(super) weight_bits: u8,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ManifestInput {
    pub(super) tensor: String,
    pub(super) layout: Layout,
    pub(super) size: [u32; 2],
    pub(super) resize: u32,
    pub(super) crop: CropMode,
    pub(super) interpolation: Interpolation,
    pub(super) mean: [f32; 3],
    pub(super) std: [f32; 3],
}

impl Manifest {
    pub(super) fn check(&self) -> Result<(), String> {
        for file in [MODEL_FILE, LABELS_FILE] {
            if !self.sha256.contains_key(file) {
                return Err(format!("[sha256] has no entry for {file:?}"));
            }
        }
        // The names come from a file that may have been downloaded: none may point out of the folder.
        if let Some(file) = self.sha256.keys().find(|file| file.contains('/') || file.starts_with('.')) {
            return Err(format!("[sha256] names {file:?}, which is not a plain file name"));
        }
        let [height, width] = self.input.size;
        if !(1..=MAX_SIDE).contains(&height) || !(1..=MAX_SIDE).contains(&width) {
            return Err(format!("input.size is [{height}, {width}]: each side must be 1 to {MAX_SIDE} pixels"));
        }
        if matches!(self.input.crop, CropMode::Center) && !(height.max(width)..=MAX_SIDE).contains(&self.input.resize) {
            return Err(format!(
                "input.resize is {}: it must be at least the view's {} pixels and at most {MAX_SIDE}",
                self.input.resize,
                height.max(width)
            ));
        }
        if self.input.std.iter().any(|std| !std.is_finite() || *std <= 0.0)
            || self.input.mean.iter().any(|mean| !mean.is_finite())
        {
            return Err("input.mean must be finite, and input.std above zero".to_owned());
        }
        for (key, temperature) in [("temperature", Some(self.temperature))].into_iter().chain(self.poor.named()) {
            if let Some(temperature) = temperature.filter(|temperature| !(0.01..=100.0).contains(temperature)) {
                return Err(format!("{key} is {temperature}: it must be 0.01 to 100"));
            }
        }
        if !(0.0..=MAX_STRENGTH).contains(&self.prior_strength) {
            return Err(format!("prior_strength is {}: it must be 0 to {MAX_STRENGTH}", self.prior_strength));
        }
        if self.prior_strength > 0.0 && !self.sha256.contains_key(PRIOR_FILE) {
            return Err(format!("prior_strength is {}, but [sha256] has no {PRIOR_FILE:?}", self.prior_strength));
        }
        if self.sha256.contains_key(GAINS_FILE) && self.head.as_ref().is_none_or(|head| head.gain.is_none()) {
            return Err(format!("[sha256] has {GAINS_FILE:?}, but [head] names no input \"gain\" for it"));
        }
        if self.int8.is_some() != self.sha256.contains_key(INT8_FILE) {
            return Err(format!(
                "[int8] and the entry {INT8_FILE:?} of [sha256] go together, but there is only one of them"
            ));
        }
        if let Some(ManifestInt8 { weight_bits }) =
            self.int8.as_ref().filter(|int8| !(7..=8).contains(&int8.weight_bits))
        {
            return Err(format!("int8.weight_bits is {weight_bits}: it must be 7 or 8"));
        }
        if !(0.0..=1.0).contains(&self.unknown_below) {
            return Err(format!("unknown_below is {}: it must be 0 to 1", self.unknown_below));
        }
        for (key, value) in [("name", &self.name), ("version", &self.version)] {
            if value.is_empty() || value.contains(['/', '\\', '\0']) || value.starts_with('.') {
                return Err(format!("{key} is {value:?}: it must be a plain file name"));
            }
        }
        Ok(())
    }
}

impl From<ManifestInput> for InputSpec {
    fn from(input: ManifestInput) -> Self {
        let ManifestInput { tensor, layout, size: [height, width], resize, crop, interpolation, mean, std } = input;
        Self { tensor, layout, height, width, resize, crop, interpolation, mean, std }
    }
}
