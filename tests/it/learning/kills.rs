//! A training that is killed, wherever it has come to.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use serde_json::json;

use super::{version, with_yellow};
use crate::support::text;

/// What changes in a model's folder, and in the folders that are made there.
struct Changes {
    watch: OwnedFd,
    model: PathBuf,
    count: usize,
}

impl Changes {
    fn of(model: &Path) -> Self {
        let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).expect("the system tells of changes");
        let changes = Self { watch, model: model.to_owned(), count: 0 };
        changes.add(model).expect("the model's folder");
        changes
    }

    fn add(&self, dir: &Path) -> rustix::io::Result<i32> {
        let kinds = WatchFlags::CREATE | WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::DELETE;
        inotify::add_watch(&self.watch, dir, kinds)
    }

    /// How many there were until now.
    fn count(&mut self) -> usize {
        let mut room = [MaybeUninit::uninit(); 4096];
        let mut folders = Vec::new();
        let mut reader = Reader::new(&self.watch, &mut room);
        // An error says that there are no more at the moment.
        while let Ok(change) = reader.next() {
            self.count += 1;
            if change.events().contains(ReadFlags::CREATE | ReadFlags::ISDIR) {
                folders.extend(change.file_name().map(|name| self.model.join(OsStr::from_bytes(name.to_bytes()))));
            }
        }
        for folder in folders {
            // It may have another name by now; then all that is in it is there.
            let _renamed = self.add(&folder);
        }
        self.count
    }
}

/// What is in a model's folder, without what is being written.
fn names(model: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(model).expect("the model's folder").filter_map(Result::ok);
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn is_part(name: &str) -> bool {
    name.starts_with('.')
}

/// Only the first version, as it was at the beginning.
fn restore(model: &Path, first: &Path) {
    fs::remove_dir_all(model).expect("the model's folder");
    let to = model.join("1");
    fs::create_dir_all(&to).expect("a folder");
    for entry in fs::read_dir(first).expect("the first version") {
        let file = entry.expect("a file of it").path();
        fs::copy(&file, to.join(file.file_name().expect("a name"))).expect("a copy");
    }
}

#[test]
fn after_any_change_on_disk_it_leaves_a_model_that_works() {
    let launch = with_yellow();
    let model = launch.dir().join("models/tints");
    let first = launch.dir().join("first");
    fs::rename(model.join("1"), &first).expect("a folder beside the model's");
    let [red, yellow] = ["red/3.png", "yellow/3.png"].map(|file| launch.dir().join("labelled").join(file));
    let (mut in_use, mut left_behind) = (BTreeSet::new(), BTreeSet::new());
    for changes in 1.. {
        restore(&model, &first);
        let mut seen = Changes::of(&model);
        let killed = launch.kill_when(&["retrain", "--promote"], || seen.count() >= changes);
        // What is in use is whole, and answers.
        let version = version(&launch);
        // Not because it is the newest, but because it was put in use.
        let current = fs::read_to_string(model.join("current.json")).unwrap_or_default();
        assert_eq!(version == "2", current.contains(r#""version": "2""#), "{changes}: {version} {current}");
        let classified = launch.run(&["classify", text(&red), text(&yellow), "--json"]).done();
        let best = [0, 1].map(|picture: usize| classified["results"][picture]["top3"][0]["label"].clone());
        assert_eq!((&best[0], best[1] == "yellow"), (&json!("red"), version == "2"), "{changes}: {classified}");
        // What was being written is cleared away when nobody can be writing it any more.
        let parts: Vec<String> = names(&model).into_iter().filter(|name| is_part(name)).collect();
        for part in &parts {
            let at = SystemTime::now() - Duration::from_secs(7200);
            File::open(model.join(part)).and_then(|part| part.set_modified(at)).expect("a part");
        }
        left_behind.extend(parts.iter().map(|part| model.join(part).is_dir()));
        let report = launch.run(&["retrain", "--promote", "--json"]).done();
        let wanted = if version == "1" { ("promote", true) } else { ("too_little", false) };
        assert_eq!(
            (&report["verdict"], &report["promoted"]),
            (&json!(wanted.0), &json!(wanted.1)),
            "{changes}: {report}"
        );
        let there = names(&model);
        assert!(!there.iter().any(|name| is_part(name)), "{changes}: {there:?}");
        for version in there.iter().filter(|name| model.join(name).is_dir()) {
            glanced::model::Bundle::open(&model.join(version)).unwrap_or_else(|error| panic!("{changes}: {error}"));
        }
        assert_ne!(super::version(&launch), "1", "{changes}: {there:?}");
        in_use.insert(version.as_str().expect("a version").to_owned());
        // On a busy box it may be over before it is killed: then there were as many, and the next change is another's turn.
        if !killed && seen.count() < changes {
            assert!(changes > 10, "{changes}");
            break;
        }
    }
    // It was killed before it had come to anything, with a version half written, and when all was done.
    assert_eq!(in_use, ["1", "2"].map(str::to_owned).into());
    assert!(left_behind.contains(&true), "{left_behind:?}");
}
