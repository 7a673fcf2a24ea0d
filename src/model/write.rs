//! Writes a new version of a bundle, beside the one that it is made from.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, Table, value};
use ulid::Ulid;

use super::bundle::{
    Bundle, BundleError, GAINS_FILE, LABELS_FILE, MANIFEST_FILE, MODEL_FILE, PRIOR_FILE, PoorTemperatures, sha256_of,
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
    if let Some(Network { onnx, labels }) = &changes.network {
        files.push((MODEL_FILE, Some(onnx.clone())));
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
    onnx.set_head(
        head,
        &Linear { classes, features, weight: vec![0.0; classes * features], bias: vec![0.0; classes] },
    )?;
    let metrics = serde_json::json!({"made_from": format!("{}/{}", from.name, from.version)}).to_string() + "\n";
    let files = vec![
        (METRICS_FILE, Some(metrics.into_bytes())),
        (MODEL_FILE, Some(onnx.to_bytes())),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Registry;

    fn tints() -> Bundle {
        Bundle::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bundles/tints/1")).unwrap()
    }

    fn changes() -> Changes {
        Changes {
            network: None,
            temperature: 0.7,
            poor: PoorTemperatures { soft: Some(0.8123), ..PoorTemperatures::default() },
            gains: None,
            prior: None,
            prior_strength: 0.0,
            unknown_below: 0.35,
            metrics: "{\"n\": 500}\n".to_owned(),
        }
    }

    #[test]
    fn a_version_has_the_new_values_and_the_old_comments() {
        let dir = tempfile::tempdir().unwrap();
        let (from, changes) = (tints(), changes());
        let written = write_version(&from, dir.path(), &changes).unwrap();
        assert_eq!(written, dir.path().join("tints/2"));
        let bundle = Registry::new(dir.path()).open("tints").unwrap();
        assert_eq!((bundle.version.as_str(), bundle.parent.as_deref()), ("2", Some("1")));
        assert_eq!((bundle.temperature, bundle.poor, bundle.unknown_below), (0.7, changes.poor, 0.35));
        assert_eq!((&bundle.input, &bundle.labels, &bundle.head), (&from.input, &from.labels, &from.head));
        let text = fs::read_to_string(written.join(MANIFEST_FILE)).unwrap();
        for line in [
            "# A bundle: a model with everything needed to use it.",
            "parent = \"1\"                  # the version this one was made from, if any",
            "temperature = 0.7               # scores are softmax(logits / temperature)",
            "unknown_below = 0.35",
            "soft = 0.8123",
        ] {
            assert!(text.lines().any(|there| there == line), "{line:?} is not in {text}");
        }
        assert!(!text.contains("prior_strength") && !text.contains("# parent"), "{text}");
        assert_eq!(fs::read_to_string(written.join(METRICS_FILE)).unwrap(), changes.metrics);

        // A version of the version: what was set is changed, and what is gone goes.
        let next = Changes { poor: PoorTemperatures::default(), unknown_below: 0.0, temperature: 1.25, ..changes };
        let written = write_version(&bundle, dir.path(), &next).unwrap();
        let bundle = Bundle::open(&written).unwrap();
        assert_eq!((bundle.version.as_str(), bundle.parent.as_deref()), ("3", Some("2")));
        assert_eq!((bundle.temperature, bundle.poor, bundle.unknown_below), (1.25, next.poor, 0.0));

        // With a table of its own, and one that has it from there.
        let pair = crate::model::Pair { class: 1, neighbour: 0, weight: 0.5 };
        let learnt = Prior::new(bundle.labels.len(), [pair]).unwrap();
        let next = Changes { prior: Some(learnt.clone()), prior_strength: 0.1, ..next };
        let with = Bundle::open(&write_version(&bundle, dir.path(), &next).unwrap()).unwrap();
        let heir = write_version(&with, dir.path(), &Changes { prior: None, ..next }).unwrap();
        for bundle in [with, Bundle::open(&heir).unwrap()] {
            assert_eq!((bundle.prior, bundle.prior_strength), (Some(learnt.clone()), 0.1), "{}", bundle.version);
        }
    }

    #[test]
    fn a_new_model_knows_nothing_and_a_version_of_it_may_know_more() {
        let dir = tempfile::tempdir().unwrap();
        let labels = Labels::new(&["open".to_owned(), "closed".to_owned()]).unwrap();
        let taught = Bundle::open(&write_version(&tints(), dir.path(), &changes()).unwrap()).unwrap();
        let written = write_new(&taught, dir.path(), "gate", &labels).unwrap();
        let new = Registry::new(dir.path()).open("gate").unwrap();
        assert_eq!((&new.dir, new.version.as_str(), &new.parent, new.learnt), (&written, "1", &None, false));
        assert_eq!((new.temperature, new.poor, new.unknown_below), (1.0, PoorTemperatures::default(), 0.0));
        assert_eq!((&new.labels, &new.input, &new.head), (&labels, &taught.input, &taught.head));
        let onnx = Onnx::read(&new.model_file).unwrap();
        let empty = onnx.head(new.head.as_ref().unwrap()).unwrap();
        assert!(empty.classes == 2 && empty.weight.iter().all(|weight| *weight == 0.0));
        let error = write_new(&taught, dir.path(), "gate", &labels).unwrap_err();
        assert!(matches!(error, WriteError::Exists { .. }), "{error}");

        let more = labels.with("ajar").unwrap();
        let mut onnx = onnx;
        let layer = Linear { classes: 3, weight: vec![0.5; 3 * empty.features], bias: vec![0.0, 1.0, 2.0], ..empty };
        onnx.set_head(new.head.as_ref().unwrap(), &layer).unwrap();
        let network = Some(Network { onnx: onnx.to_bytes(), labels: more.clone() });
        let second =
            Bundle::open(&write_version(&new, dir.path(), &Changes { network, ..changes() }).unwrap()).unwrap();
        assert_eq!((second.labels, second.learnt, second.parent.as_deref()), (more, true, Some("1")));
        assert_eq!(Onnx::read(&second.model_file).unwrap().head(second.head.as_ref().unwrap()).unwrap(), layer);
    }

    #[test]
    fn gains_need_a_network_that_takes_them() {
        let dir = tempfile::tempdir().unwrap();
        let gains = Gains::parse("soft\tblurred\tdark\n1\t2\t0.5\n").unwrap();
        let error = write_version(&tints(), dir.path(), &Changes { gains: Some(gains), ..changes() }).unwrap_err();
        assert!(error.to_string().contains("[head] names no input \"gain\""), "{error}");
    }

    #[test]
    fn numbers_go_on_and_nothing_is_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("tints");
        fs::create_dir_all(model.join("12/something")).unwrap();
        assert_eq!(write_version(&tints(), dir.path(), &changes()).unwrap(), model.join("13"));
        let unusable = Changes { temperature: 0.0, ..changes() };
        let error = write_version(&tints(), dir.path(), &unusable).unwrap_err();
        assert!(matches!(error, WriteError::Unusable(_)) && !error.is_not_writable(), "{error}");
        let mut left: Vec<_> = fs::read_dir(&model).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["12", "13"]);
    }

    #[test]
    fn a_place_that_is_no_folder_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("models");
        fs::write(&file, "").unwrap();
        let error = write_version(&tints(), &file, &changes()).unwrap_err();
        assert!(error.to_string().starts_with(&file.display().to_string()), "{error}");
    }
}
