//! What was measured on this box, in a file that does not last longer than what it is true of.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Arrangement, Measured};
use crate::model::replace_file;

const FILE: &str = "tuned.json";

/// What was measured on this box.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Remembered {
    /// The processor, and the build of ONNX Runtime: on others it would mean nothing.
    machine: String,
    /// What `glanced tune` chose.
    pub arrangement: Option<Arrangement>,
    /// The least pixels of a decoded frame for one of the resized frame, as `glanced tune` chose it.
    pub oversample: Option<f32>,
    /// How long the networks of each model take. By name: its versions differ in their weights, not in their work.
    pub models: BTreeMap<String, Measured>,
}

impl Remembered {
    /// What `cache` holds for this processor and this build of ONNX Runtime: nothing, if it is not there, damaged, or of another
    /// time.
    #[must_use]
    pub fn read(cache: Option<&Path>, machine: &str) -> Self {
        let machine = short(machine);
        let read = cache.and_then(|cache| std::fs::read(cache.join(FILE)).ok());
        let read = read.and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        read.filter(|remembered| remembered.machine == machine && remembered.is_sound())
            .unwrap_or_else(|| Self { machine, ..Self::default() })
    }

    /// Changes what is remembered.
    ///
    /// # Errors
    /// What the system says if the file can't be written, or that there is no folder for it. It is whole in any case.
    pub fn change(cache: Option<&Path>, machine: &str, change: impl FnOnce(&mut Self)) -> io::Result<()> {
        let cache =
            cache.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no folder for it (model.cache)"))?;
        let mut remembered = Self::read(Some(cache), machine);
        change(&mut remembered);
        std::fs::create_dir_all(cache)?;
        replace_file(cache, FILE, &serde_json::to_vec_pretty(&remembered)?)
    }

    /// What was measured of a model.
    #[must_use]
    pub fn precision(&self, model: &str) -> Option<&Measured> {
        self.models.get(model)
    }

    /// Someone may have written into the file.
    fn is_sound(&self) -> bool {
        let threads = |count: usize| (1..=64).contains(&count);
        self.arrangement.is_none_or(|found| threads(found.workers) && threads(found.threads))
            && self.oversample.is_none_or(|pixels| (1.0..=8.0).contains(&pixels))
    }
}

fn short(machine: &str) -> String {
    Sha256::digest(machine).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Precision;

    #[test]
    fn it_is_remembered_for_one_machine() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("cache");
        let cache = Some(&*cache);
        let measured = Measured { fp32_ms: 10.0, int8_ms: 5.0 };
        assert_eq!(Remembered::read(cache, "a machine").models.len(), 0);
        Remembered::change(cache, "a machine", |remembered| {
            remembered.models.insert("zoo".to_owned(), measured);
        })
        .unwrap();
        Remembered::change(cache, "a machine", |remembered| {
            remembered.arrangement =
                Some(Arrangement { workers: 2, threads: 1, precision: Precision::Int8, spinning: false });
        })
        .unwrap();
        let remembered = Remembered::read(cache, "a machine");
        assert_eq!(remembered.precision("zoo"), Some(&measured));
        assert_eq!(remembered.precision("other"), None);
        assert_eq!(remembered.arrangement.unwrap().workers, 2);
        assert_eq!(Remembered::read(cache, "another machine").models.len(), 0);
    }

    #[test]
    fn what_can_not_be_true_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        for change in [
            (|remembered| remembered.oversample = Some(0.1)) as fn(&mut Remembered),
            |remembered| remembered.oversample = Some(f32::NAN),
            |remembered| {
                remembered.arrangement =
                    Some(Arrangement { workers: 0, threads: 1, precision: Precision::Fp32, spinning: false });
            },
            |remembered| {
                remembered.arrangement =
                    Some(Arrangement { workers: 1, threads: 100, precision: Precision::Fp32, spinning: false });
            },
        ] {
            Remembered::change(Some(dir.path()), "a machine", change).unwrap();
            let remembered = Remembered::read(Some(dir.path()), "a machine");
            assert_eq!((remembered.arrangement, remembered.oversample), (None, None));
        }
        std::fs::write(dir.path().join(FILE), "{").unwrap();
        assert_eq!(Remembered::read(Some(dir.path()), "a machine").models.len(), 0);
    }
}
