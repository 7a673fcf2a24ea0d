//! Networks that were made ready for this processor, kept on disk and mapped into memory.
//!
//! ONNX Runtime rewrites a network when it loads it, for the processor that it runs on, which takes longer than all the rest, and
//! three times the memory of the result. Here that is done once: the result is written to a file, and from then on it is
//! mapped. Its weights are then in memory once, however many sessions use them, and the system may take their pages back.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use memmap2::Mmap;
use sha2::{Digest, Sha256};
use ulid::Ulid;

/// How names of graphs end.
const GRAPH: &str = ".ort";
/// How names of graphs end that are being written.
const PART: &str = ".part";
/// What was not used for so long is not likely to be used again, and is quickly made anew if it is.
const UNUSED: Duration = Duration::from_secs(3 * 86_400);
/// After a graph stand its checksum and this: a file without is not a whole one.
const END: [u8; 8] = *b"glanced1";
/// Length of the two.
const FOOTER: usize = 4 + END.len();

/// The folder of the graphs, and those of them that are mapped.
#[derive(Debug)]
pub(super) struct Graphs {
    /// None are kept if there is no folder, or nothing is known of the processor.
    dir: Option<PathBuf>,
    /// What they are made by and for.
    pub(super) machine: String,
    mapped: Mutex<HashMap<PathBuf, Weak<Graph>>>,
}

/// A graph, mapped into memory.
#[derive(Debug)]
pub(super) struct Graph {
    map: Mmap,
    len: usize,
}

impl Deref for Graph {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map[..self.len]
    }
}

impl Graphs {
    /// Kept in `dir`, for a build of ONNX Runtime and this processor.
    pub(super) fn new(dir: Option<PathBuf>, runtime: &str) -> Self {
        let processor = processor();
        let dir = dir.filter(|_| processor.is_some());
        Self { dir, machine: format!("{runtime}\n{}", processor.unwrap_or_default()), mapped: Mutex::default() }
    }

    /// Where the graph of a network is kept, whatever the network's name: `sha256` is that of its file, and `options` are those
    /// of its session that make a difference.
    pub(super) fn place(&self, sha256: &str, options: &str) -> Option<PathBuf> {
        let key = Sha256::new().chain_update(&self.machine).chain_update([0]).chain_update(options).finalize();
        let key: String = key.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        // The sum comes from a file of a bundle.
        let sum = sha256.get(..32).filter(|sum| sum.bytes().all(|byte| byte.is_ascii_alphanumeric()))?;
        Some(self.dir.as_ref()?.join(format!("{sum}-{key}{GRAPH}")))
    }

    /// The graph in that place, mapped once in this process.
    ///
    /// # Errors
    /// What the system says, also if there is none; [`ErrorKind::InvalidData`] if it is not whole.
    pub(super) fn open(&self, place: &Path) -> io::Result<Arc<Graph>> {
        let mut mapped = self.mapped.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(graph) = mapped.get(place).and_then(Weak::upgrade) {
            return Ok(graph);
        }
        let file = File::open(place)?;
        // Only for `tidy`: where the folder can't be written, nobody tidies up.
        let _read_only = file.set_modified(SystemTime::now());
        // SAFETY: what is mapped must not change. Graphs are written under another name and renamed when they are whole; nobody
        // writes into one afterwards, and to remove one leaves the mapping as it is.
        let map = unsafe { Mmap::map(&file)? };
        let graph = Arc::new(Graph::checked(map)?);
        mapped.retain(|_, graph| graph.strong_count() > 0);
        mapped.insert(place.to_owned(), Arc::downgrade(&graph));
        Ok(graph)
    }

    /// Keeps what `make` writes into the file that it is told. It appears whole or not at all.
    ///
    /// # Errors
    /// What the system says, or `make`.
    pub(super) fn keep<T>(place: &Path, make: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
        let dir = place.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir)?;
        let part = Part(dir.join(format!(".{}{PART}", Ulid::new())));
        let made = make(&part.0)?;
        let mut file = File::options().read(true).append(true).open(&part.0)?;
        // SAFETY: nobody else knows the file yet, and it is appended to only after this mapping is gone.
        let sum = crc32fast::hash(&unsafe { Mmap::map(&file)? });
        file.write_all(&[&sum.to_le_bytes()[..], &END].concat())?;
        file.sync_all()?;
        fs::rename(&part.0, place)?;
        tidy(dir);
        Ok(made)
    }
}

impl Graph {
    fn checked(map: Mmap) -> io::Result<Self> {
        let not_whole = || io::Error::new(ErrorKind::InvalidData, "it is damaged");
        let (graph, footer) =
            map.split_last_chunk::<FOOTER>().map(|(graph, footer)| (graph, *footer)).ok_or_else(not_whole)?;
        let (len, sum) = (graph.len(), crc32fast::hash(graph));
        if footer[..4] != sum.to_le_bytes() || footer[4..] != END {
            return Err(not_whole());
        }
        Ok(Self { map, len })
    }
}

/// A file that is removed unless it was renamed.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // Not there, as a rule.
        let _renamed = fs::remove_file(&self.0);
    }
}

/// Removes graphs that were not used for long, and what an interruption left behind. What can't be removed stays.
fn tidy(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| name.ends_with(GRAPH) || name.ends_with(PART));
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let unused = modified.is_ok_and(|at| at.elapsed().is_ok_and(|since| since > UNUSED));
        if ours && unused {
            let _stays = fs::remove_file(entry.path());
        }
    }
}

/// The processor, with all that it can do; `None` if the kernel does not tell.
fn processor() -> Option<String> {
    const TELLING: [&str; 11] = [
        "vendor_id",
        "cpu family",
        "model",
        "model name",
        "stepping",
        "flags",
        "CPU implementer",
        "CPU architecture",
        "CPU variant",
        "CPU part",
        "Features",
    ];
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let lines = text.lines().take_while(|line| !line.trim().is_empty());
    let telling = |line: &&str| line.split_once(':').is_some_and(|(key, _)| TELLING.contains(&key.trim()));
    let said: Vec<&str> = lines.filter(telling).collect();
    (!said.is_empty()).then(|| said.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn graphs(dir: &Path) -> Graphs {
        Graphs::new(Some(dir.to_owned()), "a build")
    }

    fn put(place: &Path, content: &[u8]) {
        Graphs::keep(place, |path| fs::write(path, content)).unwrap();
    }

    #[test]
    fn what_was_kept_is_there_and_mapped_once() {
        let dir = tempfile::tempdir().unwrap();
        let graphs = graphs(dir.path());
        let place = graphs.place(SUM, "").unwrap();
        assert_eq!(graphs.open(&place).unwrap_err().kind(), ErrorKind::NotFound);
        put(&place, b"a graph");
        let first = graphs.open(&place).unwrap();
        assert_eq!(&first[..], b"a graph");
        assert!(Arc::ptr_eq(&first, &graphs.open(&place).unwrap()));
        // Another one in the place of a mapped one does not change that.
        put(&place, b"another");
        assert_eq!(&first[..], b"a graph");
        drop(first);
        assert_eq!(&graphs.open(&place).unwrap()[..], b"another");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let graphs = graphs(dir.path());
        let place = graphs.place(SUM, "").unwrap();
        put(&place, b"a graph");
        let whole = fs::read(&place).unwrap();
        for length in 0..whole.len() {
            fs::write(&place, &whole[..length]).unwrap();
            assert_eq!(graphs.open(&place).unwrap_err().kind(), ErrorKind::InvalidData, "{length}");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&place, damaged).unwrap();
            assert_eq!(graphs.open(&place).unwrap_err().kind(), ErrorKind::InvalidData, "{at}");
        }
    }

    #[test]
    fn a_failure_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let place = graphs(dir.path()).place(SUM, "").unwrap();
        let failed = Graphs::keep(&place, |path| {
            fs::write(path, "half")?;
            Err::<(), _>(io::Error::other("no"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn places_differ_by_all_that_makes_a_difference() {
        let dir = Path::new("/somewhere");
        let place = graphs(dir).place(SUM, "").unwrap();
        assert_eq!(place, graphs(dir).place(SUM, "").unwrap());
        assert_ne!(place, graphs(dir).place(SUM, "x").unwrap());
        assert_ne!(place, graphs(dir).place(&SUM.replace('0', "1"), "").unwrap());
        assert_ne!(place, Graphs::new(Some(dir.to_owned()), "another build").place(SUM, "").unwrap());
        assert_eq!(graphs(dir).place("../../etc/passwd/0123456789abcdef0123456789abcdef", ""), None);
        assert_eq!(graphs(dir).place("", ""), None);
        assert_eq!(Graphs::new(None, "a build").place(SUM, ""), None);
    }

    #[test]
    fn what_was_not_used_for_long_goes_when_another_one_comes() {
        let dir = tempfile::tempdir().unwrap();
        let graphs = graphs(dir.path());
        let [old, used, new] = ["old", "used", "new"].map(|options| graphs.place(SUM, options).unwrap());
        let other = dir.path().join("tuned.json");
        for path in [&old, &used, &other] {
            put(path, b"a graph");
        }
        for path in [&old, &used, &other] {
            File::open(path).unwrap().set_modified(SystemTime::now() - 2 * UNUSED).unwrap();
        }
        graphs.open(&used).unwrap();
        put(&new, b"a graph");
        assert_eq!([&old, &used, &new, &other].map(|path| path.exists()), [false, true, true, true]);
    }
}
