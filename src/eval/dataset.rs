//! Pictures whose classes are known: an ImageFolder.
//!
//! ```text
//! <dir>/<class>/<picture>            a sample
//! <dir>/<class>/<sequence>/<picture> a frame of a sequence
//! ```
//!
//! `<class>` is a synset, or an English or Chinese label, see [`Labels::find_folder`].

use std::path::{Path, PathBuf};

use crate::frame::files::{self, FolderError};
use crate::model::Labels;

/// Pictures, and sequences of pictures, with their classes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dataset {
    /// Single pictures, in the order of their paths.
    pub samples: Vec<Sample>,
    /// Sequences, in the order of their folders' paths. Their frames are not among the samples.
    pub sequences: Vec<Sequence>,
}

/// One picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The file.
    pub path: PathBuf,
    /// What it shows, by the class's number in the model's output.
    pub class: u32,
}

/// Pictures that one camera took of one thing, one after another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// What they show, by the class's number in the model's output.
    pub class: u32,
    /// The files, in the order of their names; at least one.
    pub frames: Vec<PathBuf>,
}

/// One of the two halves of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Half {
    /// To choose on.
    #[value(name = "1")]
    First,
    /// To report on.
    #[value(name = "2")]
    Second,
}

/// Why a folder is no dataset.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A folder can't be read.
    #[error(transparent)]
    Unreadable(#[from] FolderError),
    /// Not one picture where pictures are looked for.
    #[error(
        "{}: no pictures in it: there must be a folder for each class, named after it, with pictures ({})",
        dir.display(),
        files::EXTENSIONS.join(", ")
    )]
    NoPictures {
        /// The folder.
        dir: PathBuf,
    },
    /// Folders of pictures that are named after no class.
    #[error(
        "{}: the model has no class of that name{}{}",
        folder.display(),
        did_you_mean(nearest.as_deref()),
        and_others(*others)
    )]
    UnknownClass {
        /// The first of them.
        folder: PathBuf,
        /// How many more there are.
        others: usize,
        /// The name of a class that is spelt like the folder's, if there is one.
        nearest: Option<String>,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!(" (did you mean {nearest:?}?)")).unwrap_or_default()
}

fn and_others(others: usize) -> String {
    match others {
        0 => String::new(),
        1 => "; nor for 1 other folder".to_owned(),
        _ => format!("; nor for {others} other folders"),
    }
}

impl Dataset {
    /// Looks what there is. Nothing is decoded.
    ///
    /// Pictures that lie in a class's folder are samples; any folder below it that has pictures is a sequence. Hidden files
    /// and folders, folders without pictures, and what lies in `dir` itself are passed over.
    ///
    /// # Errors
    /// [`DatasetError`] if a folder can't be read or names no class, or there are no pictures.
    pub fn open(dir: &Path, labels: &Labels) -> Result<Self, DatasetError> {
        let mut dataset = Self::default();
        let mut unknown = Vec::new();
        for folder in files::entries(dir)?.into_iter().filter(|path| path.is_dir()) {
            let pictures = files::in_folder(&folder)?;
            if pictures.is_empty() {
                continue;
            }
            match labels.find_folder(&name_of(&folder)) {
                Some(class) => dataset.add(&folder, class, pictures),
                None => unknown.push(folder),
            }
        }
        if let Some(folder) = unknown.first() {
            let nearest = labels.nearest(&name_of(folder)).map(str::to_owned);
            return Err(DatasetError::UnknownClass { folder: folder.clone(), others: unknown.len() - 1, nearest });
        }
        if dataset.samples.is_empty() && dataset.sequences.is_empty() {
            return Err(DatasetError::NoPictures { dir: dir.to_owned() });
        }
        Ok(dataset)
    }

    /// Adds the pictures of a class's folder and of the folders within.
    fn add(&mut self, folder: &Path, class: u32, mut pictures: Vec<PathBuf>) {
        // A folder may have both pictures and folders: those of one folder stand together then.
        pictures.sort_by(|a, b| (a.parent(), a).cmp(&(b.parent(), b)));
        for pictures in pictures.chunk_by(|a, b| a.parent() == b.parent()) {
            if pictures.first().and_then(|first| first.parent()) == Some(folder) {
                self.samples.extend(pictures.iter().map(|path| Sample { path: path.clone(), class }));
            } else {
                self.sequences.push(Sequence { class, frames: pictures.to_vec() });
            }
        }
    }

    /// Every other sample, and every other sequence: the first, third and so on, or the second, fourth and so on. What is
    /// chosen (a threshold, a temperature, a set of views) is chosen on one half, and how well it does is reported on the
    /// other: figures from pictures that took part in the choice flatter.
    ///
    /// Samples of a class stand together in the list, so a class with several pictures is split evenly, and of classes
    /// with one picture each every other class is in a half. The halves stay the same while no file comes or goes.
    #[must_use]
    pub fn half(&self, half: Half) -> Self {
        fn every_other<T: Clone>(all: &[T], half: Half) -> Vec<T> {
            all.iter().skip(half as usize).step_by(2).cloned().collect()
        }
        Self { samples: every_other(&self.samples, half), sequences: every_other(&self.sequences, half) }
    }
}

/// A name that is not UTF-8 names no class; this shows what it is.
fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        Labels::parse("class\tid\ten\tzh\n0\tn01\tzebra\t斑马\n1\tn02\tEgyptian cat\t\n2\t\tred\t红\n").unwrap()
    }

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        dir
    }

    /// Samples and sequences by their files' names below the folder.
    type Found = (Vec<(String, u32)>, Vec<(Vec<String>, u32)>);

    fn open(files: &[&str]) -> Result<Found, String> {
        let dir = folder(files);
        let name = |path: &PathBuf| path.strip_prefix(dir.path()).unwrap().to_str().unwrap().to_owned();
        let dataset = Dataset::open(dir.path(), &labels()).map_err(|error| error.to_string())?;
        let samples = dataset.samples.iter().map(|sample| (name(&sample.path), sample.class)).collect();
        let sequence = |sequence: &Sequence| (sequence.frames.iter().map(name).collect(), sequence.class);
        Ok((samples, dataset.sequences.iter().map(sequence).collect()))
    }

    #[test]
    fn a_folder_is_a_class_and_a_folder_in_it_a_sequence() {
        let (samples, sequences) = open(&[
            "n01/b.jpg",
            "n01/a.PNG",
            "n01/dusk/2.jpg",
            "n01/dusk/1.jpg",
            "n01/dusk/deep/1.jpg",
            "n01/dawn/1.jpg",
            "n01/c/x.txt",
            "egyptian_CAT/1.webp",
            "红/1.bmp",
            "empty/readme.txt",
            ".cache/1.jpg",
            "stray.jpg",
        ])
        .unwrap();
        let sample = |name: &str, class| (name.to_owned(), class);
        assert_eq!(
            samples,
            [sample("egyptian_CAT/1.webp", 1), sample("n01/a.PNG", 0), sample("n01/b.jpg", 0), sample("红/1.bmp", 2)]
        );
        let frames = |names: &[&str]| (names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>(), 0);
        assert_eq!(
            sequences,
            [
                frames(&["n01/dawn/1.jpg"]),
                frames(&["n01/dusk/1.jpg", "n01/dusk/2.jpg"]),
                frames(&["n01/dusk/deep/1.jpg"])
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = open(&["zebra/1.jpg", "egyptian cats/1.jpg", "dog/1.jpg", "cow/a/1.jpg"]).unwrap_err();
        assert!(error.ends_with("cow: the model has no class of that name; nor for 2 other folders"), "{error}");
        let error = open(&["zebar/1.jpg"]).unwrap_err();
        assert!(error.ends_with("zebar: the model has no class of that name (did you mean \"zebra\"?)"), "{error}");
        for files in [&["zebra/notes.txt"][..], &["1.jpg"], &[]] {
            let error = open(files).unwrap_err();
            assert!(error.contains("no pictures in it: there must be a folder for each class"), "{error}");
        }
        let none = Dataset::open(Path::new("no/such/folder"), &labels()).unwrap_err().to_string();
        assert!(none.starts_with("no/such/folder: "), "{none}");
    }

    #[test]
    fn halves_share_nothing_and_each_class_is_split_evenly() {
        let files: Vec<String> = ["n01", "n02", "red"]
            .iter()
            .flat_map(|class| (0..5).flat_map(move |n| [format!("{class}/{n}.jpg"), format!("{class}/s{n}/1.jpg")]))
            .collect();
        let dir = folder(&files.iter().map(String::as_str).collect::<Vec<_>>());
        let all = Dataset::open(dir.path(), &labels()).unwrap();
        let (first, second) = (all.half(Half::First), all.half(Half::Second));
        assert_eq!((first.samples.len(), second.samples.len()), (8, 7));
        assert_eq!((first.sequences.len(), second.sequences.len()), (8, 7));
        let mut both = first.clone();
        both.samples.extend(second.samples.clone());
        both.samples.sort_by(|a, b| a.path.cmp(&b.path));
        assert_eq!(both.samples, all.samples);
        for class in 0..3 {
            let of = |half: &Dataset| half.samples.iter().filter(|sample| sample.class == class).count();
            assert!(of(&first).abs_diff(of(&second)) == 1, "{class}");
        }
        assert_eq!(Dataset::default().half(Half::Second), Dataset::default());
    }
}
