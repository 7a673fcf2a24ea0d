//! Feedback while everything goes wrong: what was acknowledged is there afterwards, whole, and once.
//!
//! A short round here; `make torture` makes it long, and adds what needs a file system of its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use glanced::feedback::View;
use image::{Rgb, RgbImage};
use serde_json::{Value, json};

use crate::feedback::{FEEDBACK, said};
use crate::support::broker::Mosquitto;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::launch::Launch;
use crate::support::node::Node;
use crate::support::pictures::{GREEN, base64, jpeg, plain};

/// Kills of each test, unless `TORTURE_KILLS` says otherwise.
const KILLS: u64 = 6;
/// Feedback that is sent in each life of the daemon.
const EACH: u64 = 10;
/// A life: from before the index is open to well into the work.
const LIFE_MS: std::ops::Range<u64> = 20..900;

fn kills() -> u64 {
    std::env::var("TORTURE_KILLS").map_or(KILLS, |text| text.parse().expect("TORTURE_KILLS is a number"))
}

/// SplitMix64: a failed round can be had again from its seed.
struct Dice(u64);

impl Dice {
    /// From `TORTURE_SEED`, or from the clock.
    fn new() -> Self {
        let seed = std::env::var("TORTURE_SEED").map_or_else(
            |_| SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs(),
            |text| text.parse().expect("TORTURE_SEED is a number"),
        );
        #[expect(clippy::print_stderr, reason = "shown with a failure: with it the failure can be had again")]
        {
            eprintln!("TORTURE_SEED={seed} TORTURE_KILLS={}", kills());
        }
        Self(seed)
    }

    fn roll(&mut self, range: std::ops::Range<u64>) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        range.start + (z ^ (z >> 31)) % (range.end - range.start)
    }
}

/// A daemon that is to suffer, its store, and someone who sends it feedback and remembers what was promised.
struct Trial {
    mosquitto: Mosquitto,
    client: Client,
    store: PathBuf,
    lives: Launch,
    dice: Dice,
    sent: u64,
}

impl Trial {
    /// From here on the broker keeps what is sent while the daemon is away.
    fn new(folder: &Path) -> Self {
        let mosquitto = Mosquitto::new();
        let client = Client::v5(mosquitto.open);
        client.subscribe("me/#");
        let store = folder.join("feedback");
        let lives = launch(&mosquitto, &store);
        let mut trial = Self { mosquitto, client, store, lives, dice: Dice::new(), sent: 0 };
        let node = trial.serve();
        trial.send(32);
        eventually("the first is stored", || (!trial.promised().is_empty()).then_some(()));
        node.stop();
        trial
    }

    /// A daemon that may live.
    fn serve(&self) -> Node {
        launch(&self.mosquitto, &self.store).serve()
    }

    fn send(&mut self, side: u32) {
        send(&self.client, &mut self.sent, side);
    }

    /// Sends feedback while the daemon lives, and kills it at a moment nobody knows.
    fn a_short_life(&mut self) {
        let life = Duration::from_millis(self.dice.roll(LIFE_MS));
        let Self { client, lives, sent, .. } = self;
        let lives = &*lives;
        std::thread::scope(|scope| {
            scope.spawn(move || lives.kill_after(life));
            for _ in 0..EACH {
                send(client, sent, 32);
            }
        });
    }

    /// All that was answered with a promise, now.
    fn promised(&self) -> BTreeSet<String> {
        let answers = self.client.arrived().into_iter().filter(|message| message.topic == "me/answers");
        let answers = answers.map(|message| message.json());
        answers
            .map(|answer| {
                assert_eq!(answer["stored"], true, "{answer}");
                answer["feedback"].as_str().unwrap_or_else(|| panic!("no id: {answer}")).to_owned()
            })
            .collect()
    }

    /// The daemon is up: all that was sent arrives, nothing of what was promised is missing, and all is whole.
    fn all_is_there(&self) {
        let promised = self.promised();
        eventually("all of it arrived", || (said(&self.store).len() as u64 >= self.sent).then_some(()));
        let all = said(&self.store);
        let ids: BTreeSet<String> = all.iter().map(|said| said.feedback.id.to_string()).collect();
        assert!(promised.is_subset(&ids), "promised and lost: {:?}", promised.difference(&ids));
        let senders: BTreeSet<_> = all.iter().map(|said| said.feedback.sender_id.clone()).collect();
        assert_eq!((senders.len() as u64, all.len() as u64), (self.sent, self.sent), "each once");
        let view = View::read_only(&self.store, |_| {}).expect("a store");
        for said in &all {
            view.picture(&said.feedback.blob).expect("whole");
        }
    }
}

/// Sends feedback with a picture of noise, so many pixels wide and high, that is like no other, and counts it.
fn send(client: &Client, sent: &mut u64, side: u32) {
    let mut dice = Dice(*sent);
    let picture = RgbImage::from_fn(side, side, |_, _| {
        let [red, green, blue, ..] = dice.roll(0..u64::MAX).to_le_bytes();
        Rgb([red, green, blue])
    });
    let feedback = json!({"image": base64(&jpeg(&picture)), "label": "grey", "by": "me", "id": sent.to_string()});
    client.request(FEEDBACK, feedback.to_string(), "me/answers", b"");
    *sent += 1;
}

fn launch(mosquitto: &Mosquitto, store: &Path) -> Launch {
    Launch::new(mosquitto.url()).set("store.dir", store.display())
}

#[test]
fn what_was_acknowledged_survives_kills() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut trial = Trial::new(folder.path());
    for _ in 0..kills() {
        trial.a_short_life();
    }
    let node = trial.serve();
    trial.all_is_there();
    node.stop();
}

#[test]
fn and_a_damaged_index_between_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut trial = Trial::new(folder.path());
    for _ in 0..kills() {
        trial.a_short_life();
        damage(&trial.store.join("index"), &mut trial.dice);
    }
    let node = trial.serve();
    trial.all_is_there();
    assert!(node.metric("glanced_store_rebuilds_total") <= 1.0);
    node.stop();
}

/// Truncates, flips or deletes one of the index's files.
fn damage(index: &Path, dice: &mut Dice) {
    let files = files(index);
    if files.is_empty() {
        return;
    }
    let file = &files[dice.roll(0..files.len() as u64) as usize];
    let mut bytes = std::fs::read(file).expect("a file of the index");
    let at = dice.roll(0..bytes.len().max(1) as u64) as usize;
    match dice.roll(0..3) {
        0 => return std::fs::remove_file(file).expect("a file can be deleted"),
        1 => bytes.truncate(at),
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 0x55;
            }
        }
    }
    std::fs::write(file, bytes).expect("a file can be written");
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    // A life may have ended before it had an index.
    for path in std::fs::read_dir(dir).into_iter().flatten().map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// A file system in memory, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, size: &str) -> Self {
        run("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "none", &at.to_string_lossy()]);
        Self(at.to_owned())
    }

    fn grow(&self, size: &str) {
        run("mount", &["-o", &format!("remount,size={size}"), &self.0.to_string_lossy()]);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn run(program: &str, args: &[&str]) {
    let status = Command::new(program).args(args).status().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(status.success(), "{program} {args:?}: {status}");
}

#[test]
#[ignore = "mounts a file system: make torture"]
fn a_full_disk_loses_nothing() {
    /// Pictures of about 30 kB: three times what there is room for.
    const SENT: u64 = 300;
    let folder = tempfile::tempdir().expect("a folder");
    let disk = SmallDisk::mount(folder.path(), "3m");
    let mut trial = Trial::new(folder.path());
    trial.client.subscribe("glanced/+/top3");
    let node = trial.serve();
    while trial.sent < SENT {
        trial.send(160);
    }
    eventually("the disk is full", || (node.metric("glanced_feedback_failures_total") >= 3.0).then_some(()));
    let promised = trial.promised().len() as u64;
    assert!((1..SENT).contains(&promised), "{promised} of {SENT} fit on 3 MB");
    // Frames go on.
    trial.client.publish("cameras/gate/frame", jpeg(&plain(GREEN)));
    let result: Value = trial.client.fresh_on("glanced/gate/top3").json();
    assert_eq!(result["top3"][0]["label"], "green");
    drop(node);
    for _ in 0..kills() {
        trial.a_short_life();
    }
    let node = trial.serve();
    disk.grow("64m");
    trial.all_is_there();
    node.stop();
}
