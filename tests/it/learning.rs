//! From feedback to a better model in use: over MQTT, HTTP and the command line, and what is left when it is cut short.

mod clock;
mod kills;
mod watchdog;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use glanced::config::Protocol;
use image::{Rgb, RgbImage};
use serde_json::{Value, json};

use crate::bundles::copied;
use crate::support::broker::{Mosquitto, embedded};
use crate::support::client::Client;
use crate::support::launch::Launch;
use crate::support::pictures::{GREEN, RED, base64, plain, png};
use crate::support::{eventually, text};

const YELLOW: Rgb<u8> = Rgb([255, 255, 0]);

/// Stripes in two shades of a colour, others for each number: no two are alike, and all are of that colour.
fn striped(colour: Rgb<u8>, number: u32) -> RgbImage {
    RgbImage::from_fn(64, 48, |x, y| {
        let patch = (number * 64 + y / 6 * 8 + x / 8).wrapping_mul(0x9e37_79b1) ^ 0x5bd1_e995;
        let shade = 150 + (patch.wrapping_mul(0x85eb_ca6b) >> 26);
        Rgb(colour.0.map(|channel| u8::try_from(u32::from(channel) * shade / 255).expect("a shade is no brighter")))
    })
}

/// Folders of pictures of some colours, by what they are called.
fn folders(launch: &Launch, colours: &[(&str, Rgb<u8>, u32)]) -> PathBuf {
    let dir = launch.dir().join("labelled");
    for (label, colour, count) in colours {
        let folder = dir.join(label);
        fs::create_dir_all(&folder).expect("a folder in a temporary folder");
        for number in 0..*count {
            fs::write(folder.join(format!("{number}.png")), png(&striped(*colour, number))).expect("a file there");
        }
    }
    dir
}

/// A model in a folder of its own, with feedback about a colour that it does not know.
fn with_yellow() -> Launch {
    let launch = copied("tints", |_| {});
    let dir = folders(&launch, &[("yellow", YELLOW, 24), ("red", RED, 12), ("green", GREEN, 12)]);
    launch.run(&["feedback", "import", text(&dir), "--json"]).done();
    launch
}

fn version(launch: &Launch) -> Value {
    launch.run(&["model", "list", "--json"]).done()["models"][0]["version"].clone()
}

#[test]
fn feedback_over_mqtt_becomes_a_class_that_results_name() {
    let mosquitto = Mosquitto::new();
    let launch = copied("tints", |_| {}).set("mqtt.url", mosquitto.url());
    let node = launch.serve();
    let client = Client::v5(mosquitto.open);
    client.subscribe("glanced/#");
    client.subscribe("me/#");
    client.publish("cameras/gate/frame", png(&striped(YELLOW, 1000)));
    let before = client.fresh_on("glanced/gate/top3").json();
    assert_ne!(before["top3"][0]["label"], "yellow");
    assert_eq!(before["model"]["version"], "1");

    for number in 0..40 {
        let (label, colour) = [("yellow", YELLOW), ("red", RED)][usize::from(number % 4 == 3)];
        let image = base64(&png(&striped(colour, number)));
        let said = json!({"image": image, "camera": "gate", "label": label, "id": number.to_string()});
        client.request("glanced/feedback", said.to_string(), "me/stored", b"");
        assert_eq!(client.next_on("me/stored").json()["stored"], true);
    }
    client.request("glanced/nodes/box-7/retrain", "{}", "me/retrain", b"");
    let begun = client.next_on("me/retrain").json();
    assert_eq!(begun["running"]["model"], "tints", "{begun}");
    client.request("glanced/nodes/box-7/retrain", "now!", "me/wrong", b"");
    let wrong = client.next_on("me/wrong").json();
    assert!(wrong["error"].as_str().is_some_and(|error| error.contains("not understood")), "{wrong}");

    let state = client.find("the training ends", |message| {
        message.topic == "glanced/nodes/box-7/retrain/state" && !message.json()["last"].is_null()
    });
    let report = &state.json()["last"]["report"];
    assert_eq!(report.get("findings"), None, "a page asks for it");
    assert_eq!((&report["verdict"], &report["promoted"]), (&json!("promote"), &json!(true)), "{report}");
    assert_eq!(report["challenger"]["version"], "2");
    assert!(report["challenger"]["top1"].as_f64() > report["champion"]["top1"].as_f64(), "{report}");

    node.wait_for_metric("glanced_model_swaps_total", 1.0);
    client.publish("cameras/gate/frame", png(&striped(YELLOW, 1001)));
    let after = client.find("a result of the new version", |message| {
        message.topic == "glanced/gate/top3" && message.json()["model"]["version"] == "2"
    });
    assert_eq!(after.best(), "yellow");
    // Every frame that was received gave a result: the swap has lost none.
    assert_eq!(node.metric("glanced_frames_received_total"), 2.0);
    let results = node.metrics();
    let of = |version| results[&format!("glanced_results_total{{model=\"tints\",version=\"{version}\"}}")];
    assert_eq!((of(1), of(2)), (1.0, 1.0));
    node.stop();
}

#[test]
fn nothing_is_lost_by_a_swap_among_many_frames() {
    let broker = embedded(Protocol::V5);
    let launch = with_yellow().set("mqtt.url", format!("mqtt://{broker}"));
    launch.run(&["retrain", "--json"]).done();
    let node = launch.set("inference.workers", 2).serve();
    node.wait_until_ready();
    let client = Client::v5(broker);
    client.subscribe("glanced/+/top3");
    let frame = png(&plain(RED));
    // Back and forth, while frames come one by one: as many results as frames, and of both versions.
    let mut versions = Vec::new();
    for round in 0..6 {
        let to = if round % 2 == 0 { "2" } else { "1" };
        let moved = node.run(&["model", "promote", to, "--json"]);
        assert_eq!(moved.done()["version"], to);
        eventually("the version is in use", || {
            client.publish("cameras/gate/frame", frame.clone());
            let result = client.fresh_on("glanced/gate/top3").json();
            versions.push(result["model"]["version"].clone());
            (result["model"]["version"] == to).then_some(())
        });
    }
    assert_eq!(node.metric("glanced_model_swaps_total"), 6.0);
    assert_eq!(node.metric("glanced_frames_received_total"), versions.len() as f64);
    let all: f64 =
        node.metrics().iter().filter(|(name, _)| name.starts_with("glanced_results_total")).map(|(_, n)| n).sum();
    assert_eq!(all, versions.len() as f64);
    // From a swap on there are no results of the version before.
    let changes = versions.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(changes <= 6, "{versions:?}");
    node.stop();
}

#[test]
fn retrain_promote_and_roll_back_on_the_command_line() {
    let launch = with_yellow();
    let report = launch.run(&["retrain", "--json"]).done();
    assert_eq!((&report["verdict"], &report["promoted"]), (&json!("promote"), &json!(false)), "{report}");
    assert_eq!((&report["n_train"], &report["n_held_out"]), (&json!(48), &json!(48)));
    for side in ["champion", "challenger"] {
        for figure in ["top1", "top3", "ece"] {
            assert!(report[side][figure].as_f64().is_some_and(|value| (0.0..=1.0).contains(&value)), "{report}");
        }
    }
    // It is there, and waits.
    assert_eq!(version(&launch), "1");
    assert_eq!(
        launch.run(&["model", "promote", "2", "--json"]).done(),
        json!({"name": "tints", "version": "2", "before": "1"})
    );
    assert_eq!(version(&launch), "2");
    let shown = launch.run(&["model", "show", "--json"]).done();
    assert_eq!((&shown["version"], &shown["parent"], &shown["classes"]), (&json!("2"), &json!("1"), &json!(5)));
    assert_eq!(shown["metrics"]["verdict"], "promote", "{shown}");
    // For a page: too much for people to read as text.
    let findings = &shown["metrics"]["findings"];
    assert_eq!(findings, &report["findings"]);
    assert_eq!(findings["map"].as_array().map(Vec::len), Some(48), "{findings}");
    let judged = |side: &str| {
        let bars = findings["reliability"][side].as_array().expect("bars");
        bars.iter().filter_map(|bar| bar["n"].as_u64()).sum::<u64>()
    };
    assert_eq!((judged("champion"), judged("challenger")), (48, 48), "{findings}");
    let told = launch.run(&["model", "show"]).stdout;
    assert!(told.contains("\"left_out\"") && !told.contains("findings"), "{told}");
    let seen = launch.run(&["classify", text(&launch.dir().join("labelled/yellow/3.png")), "--json"]).done();
    assert_eq!(seen["results"][0]["top3"][0]["label"], "yellow", "{seen}");

    // Nothing new to learn: what was learnt is not learnt again, and what is in use stays.
    let again = launch.run(&["retrain", "--promote", "--json", "--if-new", "5"]).done();
    assert_eq!(again["verdict"], "too_little");
    assert_eq!(again["reason"], "too little new feedback: 0 of 5 since the last training");
    let again = launch.run(&["retrain", "--promote", "--json"]).done();
    assert_eq!((&again["verdict"], &again["challenger"]["version"]), (&json!("too_little"), &Value::Null), "{again}");
    assert_eq!(again["reason"], "too little feedback: 0 of 30 that the model was not taught on");

    assert_eq!(launch.run(&["model", "rollback", "--json"]).done()["version"], "1");
    let none = launch.run(&["model", "rollback"]);
    assert_eq!(none.code, Some(69), "{none:?}");
    assert!(none.stderr.contains("no version before \"1\""), "{none:?}");
    let unknown = launch.run(&["model", "promote", "7"]);
    assert!(unknown.stderr.contains("has no version \"7\": there are 1, 2"), "{unknown:?}");
}

#[test]
fn a_version_is_judged_by_what_was_said_since_it_was_made() {
    let launch = with_yellow();
    launch.run(&["retrain", "--promote", "--json"]).done();
    let purple = Rgb([200, 0, 255]);
    let dir = launch.dir().join("more");
    for (label, colour, first) in [("purple", purple, 100), ("yellow", YELLOW, 200), ("red", RED, 300)] {
        fs::create_dir_all(dir.join(label)).expect("a folder");
        for number in first..first + 14 {
            fs::write(dir.join(label).join(format!("{number}.png")), png(&striped(colour, number))).expect("a file");
        }
    }
    launch.run(&["feedback", "import", text(&dir), "--json"]).done();
    let report = launch.run(&["retrain", "--promote", "--json"]).done();
    assert_eq!((&report["n_train"], &report["verdict"]), (&json!(90), &json!("promote")), "{report}");
    // A new one that looks like an old one is no proof either.
    let held_out = report["n_held_out"].as_u64().expect("a number");
    assert!((30..=42).contains(&held_out) && report["challenger"]["version"] == "3", "{report}");
    // What was learnt before is still known.
    for (label, colour) in [("yellow", YELLOW), ("purple", purple), ("red", RED)] {
        let file = launch.dir().join("look.png");
        fs::write(&file, png(&striped(colour, 900))).expect("a file");
        let seen = launch.run(&["classify", text(&file), "--json"]).done();
        assert_eq!(seen["results"][0]["top3"][0]["label"], label, "{seen}");
    }
}

#[test]
fn one_training_at_a_time() {
    let launch = with_yellow();
    let held = fs::File::create(launch.dir().join("feedback/retrain.lock")).expect("a file in the store");
    held.lock().expect("a lock");
    let ended = launch.run(&["retrain"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("a training is running already"), "{ended:?}");
    drop(held);
    launch.run(&["retrain", "--json"]).done();
}

#[test]
fn the_same_feedback_gives_the_same_model() {
    let model = || {
        let launch = with_yellow();
        launch.run(&["retrain", "--promote", "--json"]).done();
        fs::read(launch.dir().join("models/tints/2/model.onnx")).expect("the new version")
    };
    assert_eq!(model(), model());
}

#[test]
fn too_little_feedback_is_counted_class_by_class() {
    let launch = copied("tints", |_| {});
    let dir = folders(&launch, &[("yellow", YELLOW, 1), ("red", RED, 9)]);
    launch.run(&["feedback", "import", text(&dir), "--json"]).done();
    let report = launch.run(&["retrain", "--promote", "--json"]).done();
    assert_eq!(report["verdict"], "too_little");
    assert_eq!(report["reason"], "too little feedback: 9 of 30 (yellow: 1 of 2)");
    let said = launch.run(&["retrain"]);
    assert!(
        said.stdout.contains("Not learnt yet, for lack of examples of two moments at least: yellow (1 of 2)"),
        "{said:?}"
    );
    assert_eq!(version(&launch), "1");
}

#[test]
fn labels_that_do_not_fit_are_rejected() {
    let launch = copied("tints", |_| {});
    // Each colour has each label.
    let dir = launch.dir().join("labelled");
    for label in ["red", "green", "yellow", "blue"] {
        fs::create_dir_all(dir.join(label)).expect("a folder");
    }
    for number in 0..80 {
        let colour = [RED, GREEN, YELLOW, Rgb([0, 0, 255])][number as usize % 4];
        let label = ["red", "green", "yellow", "blue"][number as usize / 4 % 4];
        fs::write(dir.join(label).join(format!("{number}.png")), png(&striped(colour, number))).expect("a file");
    }
    launch.run(&["feedback", "import", text(&dir), "--json"]).done();
    let report = launch.run(&["retrain", "--promote", "--json"]).done();
    assert_eq!(report["verdict"], "reject", "{report}");
    assert!(report["reason"].as_str().is_some_and(|reason| reason.contains("may not fit")), "{report}");
    assert_eq!(version(&launch), "1");
}

#[test]
fn blocks_that_are_not_there_can_t_be_taught() {
    let ended = with_yellow().run(&["retrain", "--unfreeze", "2"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("2 blocks"), "{ended:?}");
}

#[test]
fn a_model_of_ones_own_from_a_few_labels() {
    let mosquitto = Mosquitto::new();
    let launch = copied("tints", |_| {}).set("mqtt.url", mosquitto.url());
    let made = launch.run(&["model", "new", "door", "--from", "tints", "--labels", "open,closed", "--json"]).done();
    assert_eq!((&made["from"], &made["labels"]), (&json!("tints/1"), &json!(["open", "closed"])));
    let source = "[[sources]]\ntopic = \"cameras/front/frame\"\ncamera = \"door\"\nmodel = \"door\"\n";
    let node = launch.file(source).serve();
    let client = Client::v5(mosquitto.open);
    client.subscribe("glanced/#");
    client.subscribe("me/#");
    // Until it has learnt, frames are kept, and nothing is published.
    for number in 0..24 {
        let colour = if number % 2 == 0 { RED } else { GREEN };
        // A quarter of an hour apart: what is a second apart is one moment, and no proof of anything.
        let image = base64(&png(&striped(colour, number)));
        let captured_at = 1_700_000_000_000_u64 + 900_000 * u64::from(number);
        client.publish("cameras/front/frame", json!({"image": image, "captured_at": captured_at}).to_string());
        node.wait_for_dropped("unlearnt", f64::from(number + 1));
    }
    node.wait_for_metric("glanced_frames_collected_total{reason=\"unlearnt\"}", 24.0);
    assert!(client.arrived().iter().all(|message| !message.topic.ends_with("/top3")));
    let asked = node.run(&["feedback", "list", "--unlabelled", "--json"]);
    let frames = asked.done()["frames"].as_array().expect("a list").clone();
    assert_eq!(frames.len(), 24);
    for (number, frame) in frames.iter().enumerate() {
        let label = if number % 2 == 0 { "open" } else { "closed" };
        let said = json!({"frame": frame["frame"], "label": label}).to_string();
        client.request("glanced/feedback", said, "me/stored", b"");
        let answer = client.next_on("me/stored").json();
        assert_eq!((&answer["stored"], &answer["new_class"]), (&json!(true), &json!(false)), "{answer}");
    }
    client.publish("glanced/nodes/box-7/retrain", r#"{"model": "door"}"#);
    node.wait_for_metric("glanced_model_swaps_total", 1.0);
    client.publish("cameras/front/frame", png(&striped(GREEN, 500)));
    assert_eq!(client.fresh_on("glanced/door/top3").best(), "closed");
    node.stop();
}

#[test]
fn models_and_trainings_over_http() {
    let node = with_yellow().start();
    let (status, models) = node.api("GET", "/api/models", None);
    assert_eq!((status, &models["models"][0]["version"]), (200, &json!("1")), "{models}");
    let (status, refused) = node.api("POST", "/api/retrain", Some("{\"modell\": 1}"));
    assert_eq!(status, 422, "{refused}");
    let (status, refused) = node.api("POST", "/api/retrain", Some("{\"model\": \"other\"}"));
    assert!(
        status == 409 && refused["detail"].as_str().is_some_and(|detail| detail.contains("\"other\"")),
        "{refused}"
    );
    let (status, state) = node.api("POST", "/api/retrain", Some("{\"promote\": false}"));
    assert_eq!((status, &state["running"]["model"]), (202, &json!("tints")), "{state}");
    let report = eventually("the training ends", || {
        let (_, state) = node.api("GET", "/api/retrain", None);
        state["last"]["report"].as_object().cloned()
    });
    assert_eq!((&report["verdict"], &report["promoted"]), (&json!("promote"), &json!(false)));
    let (status, promoted) = node.api("POST", "/api/models/2/promote", None);
    assert_eq!((status, promoted), (200, json!({"name": "tints", "version": "2"})));
    node.wait_for_metric("glanced_model_swaps_total", 1.0);
    for (path, wanted) in [("/api/models/9/promote", 404), ("/api/models/1/promote?model=..", 404)] {
        assert_eq!(node.api("POST", path, None).0, wanted, "{path}");
    }
    let (status, back) = node.api("POST", "/api/models/rollback", None);
    assert_eq!((status, &back["version"]), (200, &json!("1")));
    node.stop();
}

#[test]
fn a_version_that_can_t_be_loaded_gives_way() {
    let launch = with_yellow();
    launch.run(&["retrain", "--promote", "--json"]).done();
    // As if the disk had lost a part of it.
    let broken = launch.dir().join("models/tints/2/model.onnx");
    fs::write(&broken, &fs::read(&broken).expect("the version")[..100]).expect("a file");
    let node = launch.start();
    assert_eq!(node.run(&["model", "list", "--json"]).done()["models"][0]["version"], "1");
    // While it serves: what can't be opened is not even promoted.
    let refused = node.run(&["model", "promote", "2"]);
    assert_eq!(refused.code, Some(69), "{refused:?}");
    node.stop();
}

#[test]
fn a_training_that_is_killed_leaves_what_was_there() {
    let launch = with_yellow();
    let models = launch.dir().join("models/tints");
    let mut seen = BTreeSet::new();
    // While it looks at the examples, while it teaches each fold, and when all that is left is to write the version and put it
    // in use.
    for lines in [0, 1, 20, 48, 49, 50, 51, 52, 53, 54, 55] {
        launch.kill_after_lines(&["retrain", "--promote", "--background"], lines);
        let checked = launch.run(&["check", "--no-broker", "--json"]);
        assert_eq!(checked.done()["ok"], true);
        seen.insert(version(&launch).as_str().expect("a version").to_owned());
    }
    launch.run(&["retrain", "--promote", "--json"]).done();
    let left = fs::read_dir(&models).expect("the model").filter_map(Result::ok);
    let versions = left.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.') && entry.path().is_dir());
    for entry in versions {
        glanced::model::Bundle::open(&entry.path()).unwrap_or_else(|error| panic!("{error}"));
    }
    assert!(seen.contains("1"), "{seen:?}");
}
