//! Likely mistakes are kept until someone says what they show: when asked for, each once, and not too many.

use std::path::{Path, PathBuf};

use glanced::eval::run;
use glanced::feedback::View;
use glanced::feedback::view::{FrameRecord, Frames};
use glanced::frame::decode::Limits;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::feedback::FEEDBACK;
use crate::support::broker::{self, Mosquitto};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::launch::Launch;
use crate::support::node::Node;
use crate::support::pictures::{base64, photograph, png, scene};

/// As red as grey: no answer of any worth.
const DOUBTFUL: u8 = 53;
const SURE: u8 = 0;

/// A store that outlives a node.
struct Site {
    folder: TempDir,
    mosquitto: Mosquitto,
}

impl Site {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), mosquitto: Mosquitto::new() }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn launch(&self) -> Launch {
        Launch::new(self.mosquitto.url()).set("store.dir", self.store().display())
    }

    /// Collects what is in doubt, and nothing of which the model is sure.
    fn collecting(&self) -> Launch {
        self.launch().set("store.collect", true).set("store.collect_sure_per_day", 0)
    }

    fn client(&self) -> Client {
        let client = Client::v5(self.mosquitto.open);
        client.subscribe("glanced/+/top3");
        client.subscribe("me/#");
        client
    }

    /// What waits for a label, the oldest first.
    fn waiting(&self) -> Vec<FrameRecord> {
        waiting(&self.store())
    }
}

fn waiting(store: &Path) -> Vec<FrameRecord> {
    let Ok(view) = View::read_only(store, |_| {}) else { return Vec::new() };
    view.frames(Frames::Unlabelled, None, 1000).expect("a list").items
}

/// Sends a frame, and returns its result.
fn see(client: &Client, camera: &str, scene: &image::RgbImage) -> Value {
    client.publish(&format!("cameras/{camera}/frame"), png(scene));
    client.fresh_on(&format!("glanced/{camera}/top3")).json()
}

fn collected(reason: &str) -> String {
    format!("glanced_frames_collected_total{{reason=\"{reason}\"}}")
}

fn not_collected(reason: &str) -> String {
    format!("glanced_frames_not_collected_total{{reason=\"{reason}\"}}")
}

fn all(node: &Node) -> f64 {
    node.metrics().iter().filter(|(name, _)| name.contains("collected_total")).map(|(_, value)| value).sum()
}

fn ids(frames: &[FrameRecord]) -> Vec<Value> {
    frames.iter().map(|frame| json!(frame.frame.to_string())).collect()
}

#[test]
fn unless_asked_for_nothing_is_kept() {
    let site = Site::new();
    let node = site.launch().set("classify.unknown_below", 0.9).serve();
    let client = site.client();
    for number in 0..3 {
        assert_eq!(see(&client, "gate", &scene(number, DOUBTFUL))["unknown"], true);
    }
    assert_eq!(all(&node), 0.0);
    node.stop();
    assert_eq!(site.waiting(), []);
    let folders = std::fs::read_dir(site.store().join("blobs")).expect("a folder");
    let folders: Vec<_> = folders.map(|folder| folder.expect("an entry").file_name()).collect();
    assert_eq!(folders, ["new"], "there are pictures");
}

#[test]
fn a_doubtful_frame_is_kept_once_with_all_that_is_known_of_it() {
    let site = Site::new();
    let toml = "[[sources]]\ntopic = \"cameras/+/frame\"\ncrop = [0.0, 0.0, 1.0, 0.9]\n";
    let node = site.collecting().file(toml).serve();
    let client = site.client();
    see(&client, "gate", &scene(1, SURE));
    let doubtful = see(&client, "gate", &scene(2, DOUBTFUL));
    node.wait_for_metric(&collected("margin"), 1.0);
    // The same but for a shade, then the same from another camera, and a request.
    see(&client, "gate", &scene(2, DOUBTFUL + 1));
    node.wait_for_metric(&not_collected("alike"), 1.0);
    let other = see(&client, "yard", &scene(2, DOUBTFUL));
    node.wait_for_metric(&collected("margin"), 2.0);
    client.request("glanced/classify", base64(&png(&scene(3, DOUBTFUL))), "me/answers", b"");
    client.next_on("me/answers");

    // Beside the daemon.
    let listed = site.launch().run(&["feedback", "list", "--unlabelled", "--json"]).json();
    let frames = listed["frames"].as_array().expect("a list");
    assert_eq!(frames.len(), 2, "{listed}");
    assert_eq!((&frames[0]["frame"], &frames[1]["frame"]), (&doubtful["frame"], &other["frame"]));
    let first = &frames[0];
    assert_eq!((&first["reason"], &first["camera"]), (&json!("margin"), &json!("gate")));
    let score = |rank: usize| doubtful["top3"][rank]["score"].as_f64().expect("a score");
    let margin = first["margin"].as_f64().expect("a margin");
    // Published scores have four digits.
    assert!(margin < 0.1 && (margin - (score(0) - score(1))).abs() < 2e-4, "{listed} {doubtful}");
    assert_eq!(first["crop"], json!([0.0, 0.0, 1.0, 0.9]));
    assert_eq!(first["model"], json!({"name": "tints", "version": "1"}));
    assert_eq!(first["predicted"][0]["label"], doubtful["top3"][0]["label"]);
    assert_eq!(first["hash"].as_str().map(str::len), Some(16));
    let people = site.launch().run(&["feedback", "list", "--unlabelled"]).stdout;
    assert!(people.contains("? margin (margin "), "{people}");
    let stats = site.launch().run(&["feedback", "stats", "--json"]).json();
    assert_eq!((&stats["unlabelled"], &stats["by_reason"]), (&json!(2), &json!({"margin": 2})));
    assert!(site.launch().run(&["feedback", "stats"]).stdout.contains("for margin"));
    node.stop();
    let view = View::read_only(&site.store(), |_| {}).expect("a store");
    let waiting = site.waiting();
    assert_eq!(ids(&waiting), [doubtful["frame"].clone(), other["frame"].clone()], "the request was kept");
    let blob = waiting[0].blob.expect("a picture");
    assert_eq!(view.picture(&blob).expect("the picture")[..], png(&scene(2, DOUBTFUL))[..]);
}

#[test]
fn an_unknown_is_kept_as_one() {
    let site = Site::new();
    let node = site.collecting().set("classify.unknown_below", 0.6).set("store.collect_margin_below", 0).serve();
    let client = site.client();
    assert_eq!(see(&client, "gate", &scene(1, SURE))["unknown"], false);
    let unknown = see(&client, "gate", &scene(2, DOUBTFUL));
    assert_eq!(unknown["unknown"], true);
    node.wait_for_metric(&collected("unknown"), 1.0);
    node.stop();
    assert_eq!(ids(&site.waiting()), [unknown["frame"].clone()]);
}

#[test]
fn a_class_that_comes_back_while_nothing_moves_is_kept() {
    for hold_bytes in [4 << 20, 0] {
        let site = Site::new();
        let node = site.collecting().set("store.hold_bytes", hold_bytes).serve();
        let client = site.client();
        let (red, grey) = (DOUBTFUL + 9, DOUBTFUL - 9);
        let looks = [(red, "red"), (grey, "grey"), (red, "red")].map(|(redder, label)| {
            let result = see(&client, "gate", &scene(4, redder));
            assert_eq!(result["top3"][0]["label"], label);
            result["frame"].clone()
        });
        node.wait_for_metric(&collected("disagreement"), 1.0);
        // Now the picture changes.
        for (number, redder) in [(5, red), (6, grey), (7, red)] {
            see(&client, "gate", &scene(number, redder));
        }
        node.stop();
        // The one between; or the last, where the one between is not in memory any more.
        let meant = if hold_bytes > 0 { &looks[1] } else { &looks[2] };
        assert_eq!(ids(&site.waiting()), std::slice::from_ref(meant));
        assert_eq!(site.waiting()[0].collected.as_ref().expect("collected").reason, "disagreement");
    }
}

#[test]
fn budget_and_likeness_outlive_a_restart() {
    let site = Site::new();
    let start = || site.collecting().set("store.collect_per_day", 3).serve();
    let client = site.client();
    let node = start();
    for number in 0..2 {
        see(&client, "gate", &scene(number, DOUBTFUL));
        node.wait_for_metric(&collected("margin"), f64::from(number + 1));
    }
    // Whatever way it ends.
    node.signal(Signal::KILL);
    let mut node = node;
    node.wait();
    let node = start();
    see(&client, "gate", &scene(1, DOUBTFUL));
    node.wait_for_metric(&not_collected("alike"), 1.0);
    see(&client, "gate", &scene(2, DOUBTFUL));
    node.wait_for_metric(&collected("margin"), 1.0);
    see(&client, "gate", &scene(3, DOUBTFUL));
    // Unless midnight has passed since the first one, in which case the day has a budget of its own.
    eventually("it is over the budget, or of another day", || {
        let over = node.metric(&not_collected("budget")) == 1.0;
        (over || node.metric(&collected("margin")) == 2.0).then_some(())
    });
    node.stop();
    let days: Vec<_> = site
        .waiting()
        .iter()
        .map(|frame| frame.collected.as_ref().expect("collected").at.as_second().div_euclid(24 * 60 * 60))
        .collect();
    let same_day = days.iter().filter(|day| **day == days[0]).count();
    assert!(same_day <= 3 && (days.len() == 3 || same_day < days.len()), "{days:?}");
}

#[test]
fn feedback_labels_the_frame_that_was_kept() {
    let site = Site::new();
    // Nothing is held: what is known of a frame is in the store alone.
    let node = site.collecting().set("store.hold_bytes", 0).serve();
    let client = site.client();
    let doubtful = see(&client, "gate", &scene(1, DOUBTFUL));
    node.wait_for_metric(&collected("margin"), 1.0);
    let before = site.waiting().pop().expect("a frame");
    let said = json!({"frame": doubtful["frame"], "label": "ski", "by": "ann"});
    client.request(FEEDBACK, said.to_string(), "me/answers", b"");
    let answer = client.next_on("me/answers").json();
    assert_eq!((&answer["stored"], &answer["new_class"]), (&json!(true), &json!(true)), "{answer}");
    let sure = see(&client, "gate", &scene(2, SURE));
    client.request(FEEDBACK, json!({"frame": sure["frame"], "label": "ski"}).to_string(), "me/answers", b"");
    let answer = client.next_on("me/answers").json();
    assert!(answer["error"].as_str().is_some_and(|error| error.contains("no longer held")), "{answer}");
    // Its like is not kept again, though it has a label now.
    see(&client, "gate", &scene(1, DOUBTFUL));
    node.wait_for_metric(&not_collected("alike"), 1.0);
    node.stop();

    assert_eq!(site.waiting(), []);
    let view = View::read_only(&site.store(), |_| {}).expect("a store");
    let frames = view.frames(Frames::All, None, 10).expect("a list").items;
    let [frame] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!((frame.frame, frame.blob, &frame.collected), (before.frame, before.blob, &before.collected));
    let feedback = &frame.feedback[0].feedback;
    assert_eq!((feedback.statement.label(), feedback.blob), ("ski", before.blob.expect("a picture")));
    assert_eq!(feedback.sighting, before.collected.expect("collected").sighting);
    let stats = view.stats().expect("counts");
    assert_eq!((stats.labelled, stats.unlabelled, stats.by_reason.len()), (1, 0, 0));
}

#[test]
fn it_is_switched_on_and_off_while_running() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("store");
    let broker = broker::embedded(glanced::config::Protocol::V5);
    let node = Launch::new(format_args!("mqtt://{broker}")).set("store.dir", store.display()).serve();
    let client = Client::v5(broker);
    client.subscribe("glanced/+/top3");
    see(&client, "gate", &scene(1, DOUBTFUL));
    node.reload("[store]\ncollect = true\ncollect_per_day = 1\n");
    let kept = see(&client, "gate", &scene(2, DOUBTFUL));
    node.wait_for_metric(&collected("margin"), 1.0);
    node.reload("[store]\ncollect = false\n");
    see(&client, "gate", &scene(3, DOUBTFUL));
    assert_eq!(all(&node), 1.0);
    node.stop();
    assert_eq!(ids(&waiting(&store)), [kept["frame"].clone()]);
}

#[test]
fn frames_and_feedback_do_not_wait_for_a_store_that_can_t_be_written() {
    let site = Site::new();
    // A file is where the folder should be.
    std::fs::write(site.store(), "in the way").expect("a file");
    let node = site.collecting().serve();
    let client = site.client();
    for number in 0..12 {
        see(&client, "gate", &scene(number, DOUBTFUL));
    }
    // Eight wait, and no more.
    node.wait_for_metric(&not_collected("queue_full"), 4.0);
    std::fs::remove_file(site.store()).expect("the file is there");
    node.wait_for_metric(&collected("margin"), 8.0);
    node.stop();
    assert_eq!(site.waiting().len(), 8);
}

#[test]
fn of_photographs_that_come_again_and_again_each_is_kept_once() {
    let names = ["camera", "chelsea", "coffee", "flower", "motorcycle", "panda", "pavilion", "rocket"];
    let site = Site::new();
    // Whatever the model thinks of them.
    let node = site.collecting().lite0().set("store.collect_margin_below", 1).serve();
    let client = site.client();
    let mut first = Vec::new();
    for round in 0..3 {
        for (name, count) in names.iter().zip(1..) {
            client.publish("cameras/gate/frame", photograph(&format!("{name}.jpg")));
            let result = client.fresh_on("glanced/gate/top3").json();
            if round == 0 {
                node.wait_for_metric(&collected("margin"), f64::from(count));
                first.push(result["frame"].clone());
            }
        }
    }
    node.wait_for_metric(&not_collected("alike"), 16.0);
    node.stop();
    assert_eq!(ids(&site.waiting()), first);
}

#[test]
fn a_frame_whose_views_disagree_is_kept() {
    let site = Site::new();
    let node = site.collecting().lite0().set("classify.views", "five").set("store.collect_margin_below", 0).serve();
    let client = site.client();
    // Espresso wherever one looks; then espresso on the left, and a panda on the right.
    let limits = Limits { max_bytes: 1 << 24, max_pixels: 1 << 24 };
    let [coffee, panda] =
        ["coffee.jpg", "panda.jpg"].map(|name| run::decode(&photograph(name), limits).expect("a photo"));
    let (width, height) = (300, 300);
    let beside = image::RgbImage::from_fn(2 * width, height, |x, y| {
        let picture = if x < width { &coffee } else { &panda };
        let along = |at: u32, size: u32, all: u32| at * all / size;
        *picture.get_pixel(along(x % width, width, picture.width()), along(y, height, picture.height()))
    });
    see(&client, "gate", &coffee);
    let divided = see(&client, "gate", &beside);
    assert_eq!((&divided["views"], &divided["unknown"]), (&json!(5), &json!(false)));
    node.wait_for_metric(&collected("views"), 1.0);
    assert_eq!(all(&node), 1.0);
    node.stop();
    assert_eq!(ids(&site.waiting()), [divided["frame"].clone()]);
}
