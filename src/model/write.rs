//! Writes a new version of a bundle, beside the one that it is made from.

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, Table, value};
use ulid::Ulid;

use super::bundle::{
    Bundle, BundleError, GAINS_FILE, INT8_FILE, LABELS_FILE, MANIFEST_FILE, MODEL_FILE, PRIOR_FILE, PoorTemperatures,
    sha256_of,
};
use super::gains::Gains;
use super::labels::Labels;
use super::onnx::{Linear, Onnx, OnnxError};
use super::prior::Prior;

/// What was measured when a version was made.
pub const METRICS_FILE: &str = "metrics.json";
/// What names of things end with that are not finished.
pub(super) const PART: &str = ".part";
/// Others may make versions at the same time; not so many.
const TRIES: u64 = 100;

/// A network that was taught.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// The ONNX file.
    pub onnx: Vec<u8>,
    /// The same with most weights in 8 bits, if there is to be one.
    pub int8: Option<Vec<u8>>,
    /// What its classes are called.
    pub labels: Labels,
}

/// What is new in a version.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// The network and its classes; `None` if they stay as they are.
    pub network: Option<Network>,
    /// Divides the logits before softmax.
    pub temperature: f32,
    /// What divides them instead, for frames in a poor condition.
    pub poor: PoorTemperatures,
    /// What a poor frame's features are multiplied by; `None` if it stays as it is.
    pub gains: Option<Gains>,
    /// The table of classes that lift each other; `None` if it stays as it is.
    pub prior: Option<Prior>,
    /// How much likely classes lift those like them.
    pub prior_strength: f32,
    /// A best score below this is "unknown".
    pub unknown_below: f32,
    /// How it was made and what was measured, in JSON: its `metrics.json`.
    pub metrics: String,
}

/// Why no version could be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A file or folder can't be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The bundle's bundle.toml can't be changed.
    #[error("{}: {message}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The network can't be changed.
    #[error(transparent)]
    Network(#[from] OnnxError),
    /// There is nothing in the network that could be taught.
    #[error("model {name:?} names no last layer: its bundle.toml needs [head], with the names of its tensors")]
    NoHead {
        /// The model.
        name: String,
    },
    /// A model of that name is there.
    #[error("{}: there is a model of that name", dir.display())]
    Exists {
        /// Its folder.
        dir: PathBuf,
    },
    /// What was written is no bundle.
    #[error("the new version can't be used: {0}")]
    Unusable(#[from] BundleError),
    /// Every number was taken at the moment when it was to be used.
    #[error("{}: no number is free", dir.display())]
    NoNumber {
        /// The model's folder.
        dir: PathBuf,
    },
}

impl WriteError {
    /// The folder is not ours to write, though it may be read.
    #[must_use]
    pub fn is_not_writable(&self) -> bool {
        let kinds = [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem];
        matches!(self, Self::Io { error, .. } if kinds.contains(&error.kind()))
    }
}

/// Writes a version of the bundle with some values changed into `<models>/<name>/<number>/`, and returns that folder.
///
/// The number is above those of all versions there and of the one it is made from. The folder appears at once and whole: it is
/// written under another name, synced, opened as a bundle, and then renamed. Files that do not change are shared with
/// the old version where the file system can do that.
///
/// # Errors
/// [`WriteError`]; then nothing is left behind.
pub fn write_version(from: &Bundle, models: &Path, changes: &Changes) -> Result<PathBuf, WriteError> {
    let mut files = vec![(METRICS_FILE, Some(changes.metrics.clone().into_bytes()))];
    files.extend(changes.prior.as_ref().map(|prior| (PRIOR_FILE, Some(prior.to_tsv().into_bytes()))));
    files.extend(changes.gains.as_ref().map(|gains| (GAINS_FILE, Some(gains.to_tsv().into_bytes()))));
    if let Some(Network { onnx, int8, labels }) = &changes.network {
        files.push((MODEL_FILE, Some(onnx.clone())));
        files.push((INT8_FILE, int8.clone()));
        files.push((LABELS_FILE, Some(labels.to_tsv().into_bytes())));
    }
    let dir = models.join(&from.name);
    fs::create_dir_all(&dir).map_err(at(&dir))?;
    let newest = newest_number(&dir).max(from.version.parse().unwrap_or(0));
    write(from, &dir, newest + 1, files, |manifest| change(manifest, from, changes))
}

/// Writes the first version of a model that sees as this one does and knows nothing: the same network with an empty last
/// layer. Returns its folder, `<models>/<name>/1/`.
///
/// # Errors
/// [`WriteError`], also if there is a model of that name; then nothing is left behind.
pub fn write_new(from: &Bundle, models: &Path, name: &str, labels: &Labels) -> Result<PathBuf, WriteError> {
    let head = from.head.as_ref().ok_or_else(|| WriteError::NoHead { name: from.name.clone() })?;
    let dir = models.join(name);
    if dir.exists() {
        return Err(WriteError::Exists { dir });
    }
    let mut onnx = Onnx::read(&from.model_file)?;
    let (classes, features) = (labels.len(), onnx.head(head)?.features);
    let empty = Linear { classes, features, weight: vec![0.0; classes * features], bias: vec![0.0; classes] };
    onnx.set_head(head, &empty)?;
    let metrics = serde_json::json!({"made_from": format!("{}/{}", from.name, from.version)}).to_string() + "\n";
    let files = vec![
        (METRICS_FILE, Some(metrics.into_bytes())),
        (MODEL_FILE, Some(onnx.to_bytes())),
        (INT8_FILE, int8_with_head(from, &empty)),
        (LABELS_FILE, Some(labels.to_tsv().into_bytes())),
        (PRIOR_FILE, None),
    ];
    fs::create_dir_all(&dir).map_err(at(&dir))?;
    let written = write(from, &dir, 1, files, |manifest| {
        for key in ["parent", "poor", "prior_strength", "unknown_below"] {
            manifest.remove(key);
        }
        set(&mut manifest["name"], name);
        set(&mut manifest["temperature"], 1.0);
        manifest["learnt"] = value(false);
    });
    if written.is_err() {
        // It is there if others have put something into it.
        let _left = fs::remove_dir(&dir);
    }
    written
}

/// A bundle's network of 8 bits with another last layer, which such a network has in floating point. `None` if the bundle has none,
/// or one whose last layer can't be replaced.
#[must_use]
pub fn int8_with_head(bundle: &Bundle, layer: &Linear) -> Option<Vec<u8>> {
    let (int8, head) = bundle.int8.as_ref().zip(bundle.head.as_ref())?;
    let replaced = Onnx::read(&int8.file).and_then(|mut onnx| {
        onnx.set_head(head, layer)?;
        Ok(onnx.to_bytes())
    });
    replaced.inspect_err(|error| tracing::warn!(%error, "the new version has no network of 8 bits")).ok()
}

/// Writes a bundle like another one, with some files changed or left out, and with another manifest. `number` is the first
/// one that may be free.
fn write(
    from: &Bundle,
    dir: &Path,
    mut number: u64,
    files: Vec<(&str, Option<Vec<u8>>)>,
    change: impl FnOnce(&mut DocumentMut),
) -> Result<PathBuf, WriteError> {
    let part = Part::create(dir.join(format!(".{}{PART}", Ulid::new())))?;
    let path = from.dir.join(MANIFEST_FILE);
    let text = fs::read_to_string(&path).map_err(at(&path))?;
    let mut manifest = parse(&text).map_err(|message| WriteError::Manifest { path: path.clone(), message })?;
    change(&mut manifest);
    let sums = manifest["sha256"].or_insert(Item::Table(Table::new()));
    let names: Vec<String> =
        sums.as_table_like().into_iter().flat_map(|sums| sums.iter()).map(|(name, _)| name.to_owned()).collect();
    let is_new_network = files.iter().any(|(name, _)| *name == MODEL_FILE);
    for name in names.iter().filter(|name| files.iter().all(|(new, _)| new != name)) {
        if is_new_network && name.ends_with(".onnx") {
            // Another form of the old one.
            sums.as_table_like_mut().map(|sums| sums.remove(name));
        } else {
            share(&from.dir.join(name), &part.0.join(name))?;
        }
    }
    for (name, content) in files {
        match content {
            Some(content) => {
                let file = part.0.join(name);
                write_synced(&file, &content).map_err(at(&file))?;
                set(&mut sums[name], sha256_of(&part.0.join(name))?);
            }
            None => {
                sums.as_table_like_mut().map(|sums| sums.remove(name));
            }
        }
    }
    if sums.get(INT8_FILE).is_none() {
        manifest.remove("int8");
    }
    let manifest_file = part.0.join(MANIFEST_FILE);
    for _ in 0..TRIES {
        set(&mut manifest["version"], number.to_string());
        write_synced(&manifest_file, manifest.to_string().as_bytes()).map_err(at(&manifest_file))?;
        Bundle::open(&part.0)?;
        sync(&part.0)?;
        let to = dir.join(number.to_string());
        match fs::rename(&part.0, &to) {
            // Another one was quicker.
            Err(error) if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) => {}
            renamed => {
                renamed.map_err(at(&to))?;
                sync(dir)?;
                return Ok(to);
            }
        }
        number += 1;
    }
    Err(WriteError::NoNumber { dir: dir.to_owned() })
}

/// Removes what versions left that were being written when the process was killed.
pub fn remove_leftovers(model: &Path) {
    /// Nobody writes for so long.
    const OLD: std::time::Duration = std::time::Duration::from_secs(3600);
    let entries = fs::read_dir(model).into_iter().flatten().filter_map(Result::ok);
    for entry in entries {
        let name = entry.file_name();
        let is_part = name.as_encoded_bytes().starts_with(b".") && name.as_encoded_bytes().ends_with(PART.as_bytes());
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        if is_part && modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > OLD)) {
            // What can't be removed only takes room.
            let _left =
                if entry.path().is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
        }
    }
}

/// A folder that is being filled; it goes unless it was renamed.
struct Part(PathBuf);

impl Part {
    fn create(dir: PathBuf) -> Result<Self, WriteError> {
        fs::create_dir(&dir).map_err(at(&dir))?;
        Ok(Self(dir))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // If that fails, what is left has a name that no version has.
        let _left = fs::remove_dir_all(&self.0);
    }
}

fn parse(text: &str) -> Result<DocumentMut, String> {
    // `tools/` writes the key as a comment while there is no parent: its place is there.
    let place = text.find("\n# parent = ").filter(|_| !text.lines().any(|line| line.starts_with("parent")));
    let text = match place {
        Some(place) => format!("{}\n{}", &text[..place], &text[place + 3..]),
        None => text.to_owned(),
    };
    text.parse().map_err(|error: toml_edit::TomlError| error.to_string().trim_end().to_owned())
}

fn change(manifest: &mut DocumentMut, from: &Bundle, changes: &Changes) {
    set(&mut manifest["parent"], from.version.clone());
    if changes.network.is_some() {
        manifest.remove("learnt");
    }
    set(&mut manifest["temperature"], decimal(changes.temperature));
    for (key, number) in [("prior_strength", changes.prior_strength), ("unknown_below", changes.unknown_below)] {
        if number != 0.0 || manifest.contains_key(key) {
            set(&mut manifest[key], decimal(number));
        }
    }
    let poor = changes.poor.named();
    for (key, temperature) in poor {
        match temperature {
            Some(temperature) => {
                let table = manifest["poor"].or_insert(Item::Table(Table::new()));
                set(&mut table[key], decimal(temperature));
            }
            None => {
                if let Some(table) = manifest.get_mut("poor").and_then(Item::as_table_like_mut) {
                    table.remove(key);
                }
            }
        }
    }
}

/// Changes a value and leaves the comment after it.
fn set(item: &mut Item, new: impl Into<toml_edit::Value>) {
    let decor = item.as_value().map(|old| old.decor().clone());
    *item = value(new);
    if let (Some(decor), Some(new)) = (decor, item.as_value_mut()) {
        *new.decor_mut() = decor;
    }
}

/// As few digits as tell it from others of its precision: TOML's numbers have more.
fn decimal(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

fn newest_number(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).max().unwrap_or(0)
}

/// The same file under another name, or a copy.
fn share(from: &Path, to: &Path) -> Result<(), WriteError> {
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    // On another file system, or not ours. A bundle that was installed may be read-only; what is made from it is its own.
    fs::copy(from, to).map_err(at(to))?;
    sync(to)
}

/// Replaces a file of a folder, at once and durably: whoever reads sees the old one or this one.
///
/// # Errors
/// What the system says; then the old one is there.
pub(crate) fn replace_file(dir: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let part = dir.join(format!(".{}{PART}", Ulid::new()));
    let written = write_synced(&part, bytes).and_then(|()| fs::rename(&part, dir.join(name)));
    if written.is_err() {
        // If that fails, what is left has a name that nobody reads.
        let _left = fs::remove_file(&part);
    }
    written.and_then(|()| File::open(dir)?.sync_all())
}

/// Writes a file so that it is on disk.
pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync(path: &Path) -> Result<(), WriteError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> WriteError {
    let path = path.to_owned();
    |error| WriteError::Io { path, error }
}
