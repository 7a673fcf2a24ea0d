//! What Home Assistant is told, and what it may ask for. That it understands it is for `tests/homeassistant`, which has its own
//! validators.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::bundles::copied;
use crate::support::broker::Mosquitto;
use crate::support::client::{Client, Message};
use crate::support::eventually;
use crate::support::launch::Launch;
use crate::support::pictures::{GREEN, RED, jpeg, plain};

const GATE: &str = "homeassistant/device/glanced-box-7/gate/config";
const NODE: &str = "homeassistant/device/glanced-box-7/config";
const MODELS: &str = "glanced/nodes/box-7/models";

fn launch(mosquitto: &Mosquitto) -> Launch {
    Launch::new(mosquitto.url()).set("homeassistant.discovery", true)
}

/// Somebody who sees what Home Assistant would, and the cameras.
fn onlooker(mosquitto: &Mosquitto) -> Client {
    let client = Client::v5(mosquitto.open);
    client.subscribe("homeassistant/#");
    client.subscribe("glanced/#");
    client
}

/// What the broker has kept under a filter.
fn kept(mosquitto: &Mosquitto, filter: &str) -> Vec<Message> {
    let client = Client::v5(mosquitto.open);
    client.subscribe(filter);
    // What is kept comes before what is sent after it was asked for.
    client.subscribe("test/end");
    client.publish("test/end", "");
    client.next_on("test/end");
    client.arrived().into_iter().filter(|message| message.topic != "test/end").collect()
}

fn component<'a>(announced: &'a Value, name: &str) -> &'a Value {
    &announced["components"][name]
}

#[test]
fn a_camera_is_announced_and_its_topics_carry_what_is_announced() {
    let mosquitto = Mosquitto::new();
    let node = launch(&mosquitto).serve();
    let client = onlooker(&mosquitto);
    let frame = jpeg(&plain(RED));
    client.publish("cameras/gate/frame", frame.clone());

    let announced = client.next_on(GATE).json();
    let state_topic = component(&announced, "class")["state_topic"].as_str().expect("a topic");
    let state = client.next_on(state_topic).json();
    assert_eq!((&state["label"], &state["previous"], &state["unknown"]), (&json!("red"), &Value::Null, &json!(false)));
    assert_eq!((&state["model"], &state["model_version"]), (&json!("tints"), &json!("1")));
    let result = client.next_on("glanced/gate/top3").json();
    assert_eq!(state["score"], result["top3"][0]["score"]);
    assert_eq!(state["second"], result["top3"][1]["label"]);
    assert_eq!(state["frame"], result["frame"]);
    let image = component(&announced, "image");
    assert_eq!(image["content_type"], "image/jpeg");
    let picture = client.next_on(image["image_topic"].as_str().expect("a topic"));
    assert_eq!(picture.payload, frame, "the picture as it came");

    // Another class is told by itself, with the one before.
    client.publish("cameras/gate/frame", jpeg(&plain(GREEN)));
    let state = client.next_on(state_topic).json();
    assert_eq!((&state["label"], &state["previous"]), (&json!("green"), &json!("red")));
    assert_eq!(state["changed_at"], state["received_at"]);

    // All of it is kept for a Home Assistant that comes later, and it says that the camera is available.
    let availability = announced["availability"][0]["topic"].as_str().expect("a topic");
    let all: BTreeSet<String> = kept(&mosquitto, "#").into_iter().map(|message| message.topic).collect();
    for topic in [GATE, NODE, state_topic, MODELS, availability] {
        assert!(all.contains(topic), "{topic} is not among {all:?}");
    }
    node.stop();
}

#[test]
fn a_home_assistant_that_starts_is_told_again() {
    let mosquitto = Mosquitto::new();
    let node = launch(&mosquitto).serve();
    let client = onlooker(&mosquitto);
    client.publish("cameras/gate/frame", jpeg(&plain(RED)));
    let announced = client.next_on(GATE).payload;
    client.publish("homeassistant/status", "offline");
    client.publish("homeassistant/status", "online");
    assert_eq!(client.next_on(GATE).payload, announced);
    client.find("the node, again", |message| message.topic == NODE && !message.retain);
    node.stop();
}

#[test]
fn a_camera_that_is_gone_is_taken_away_even_if_it_went_while_the_node_was_down() {
    let mosquitto = Mosquitto::new();
    let gone = || kept(&mosquitto, "#").iter().all(|message| !message.topic.contains("gate/"));
    let node = launch(&mosquitto).set("mqtt.retain_results", false).serve();
    let client = onlooker(&mosquitto);
    client.publish("cameras/gate/frame", jpeg(&plain(RED)));
    client.next_on("glanced/gate/state/image");
    node.stop();
    assert!(!gone(), "what was announced stays while the node is down");

    let node = launch(&mosquitto).set("homeassistant.forget_after_s", 1).set("mqtt.retain_results", false).serve();
    eventually("nothing is kept of the camera", || gone().then_some(()));
    // And it comes back when it does.
    client.publish("cameras/gate/frame", jpeg(&plain(RED)));
    client.find("the camera, again", |message| message.topic == GATE && message.payload.len() > 2);
    node.stop();
}

#[test]
fn fifty_cameras_are_announced_each_in_less_than_four_kilobytes() {
    let mosquitto = Mosquitto::new();
    let node = launch(&mosquitto).serve();
    let client = onlooker(&mosquitto);
    let frame = Bytes::from(jpeg(&plain(RED)));
    for number in 0..50 {
        client.publish(&format!("cameras/camera {number}/frame"), frame.clone());
    }
    let mut ids = BTreeSet::new();
    for _ in 0..50 {
        let announced = client.find("a camera", |message| {
            message.topic.starts_with("homeassistant/device/glanced-box-7/") && message.topic != NODE
        });
        assert!(announced.payload.len() < 4096, "{}", announced.payload.len());
        let announced = announced.json();
        assert!(announced["device"]["name"].as_str().is_some_and(|name| name.starts_with("camera ")), "{announced}");
        for component in announced["components"].as_object().expect("components").values() {
            ids.insert(component["unique_id"].as_str().expect("an id").to_owned());
        }
    }
    assert_eq!(ids.len(), 50 * 4);
    node.stop();
}

#[test]
fn the_button_has_it_learn_and_the_update_puts_in_use_what_waits() {
    let mosquitto = Mosquitto::new();
    let launch = copied("tints", |_| {}).set("mqtt.url", mosquitto.url()).set("homeassistant.discovery", true);
    let client = onlooker(&mosquitto);
    client.subscribe("me/#");
    let node = launch.serve();
    let announced = client.next_on(NODE).json();
    let said = |name: &str, key: &str| component(&announced, name)[key].as_str().expect("a text").to_owned();
    let models = client.next_on(MODELS).json();
    assert_eq!(models["models"], json!([{ "name": "tints", "version": "1", "waiting": null, "reason": null }]));

    client.publish(&said("retrain_tints", "command_topic"), said("retrain_tints", "payload_press"));
    let learning = client.next_on("glanced/nodes/box-7/retrain/state").json();
    assert!(!learning["running"].is_null() || !learning["last"].is_null(), "{learning}");

    let topic = "glanced/nodes/box-7/promote";
    assert_eq!(component(&announced, "update_tints").get("command_topic"), None);
    client.request(topic, "", "me/early", b"");
    assert_eq!(client.next_on("me/early").json()["error"], "no version of model \"tints\" waits");

    // Version 2 is there, and version 1 in use.
    let versions = node.dir().join("models/tints");
    node.run(&["model", "promote", "1"]);
    copy_version(&versions);
    let waits = client.find("the version that waits", |message| {
        message.topic == MODELS && message.json()["models"][0]["waiting"] == "2"
    });
    assert_eq!(waits.json()["models"][0]["reason"], "it is redder");
    let announced = client.find("an update to be installed", |message| {
        message.topic == NODE && component(&message.json(), "update_tints").get("command_topic").is_some()
    });
    let announced = announced.json();
    let update = component(&announced, "update_tints");
    assert_eq!(update["command_topic"], topic);
    client.request(topic, update["payload_install"].as_str().expect("a text").to_owned(), "me/done", b"");
    assert_eq!(client.next_on("me/done").json(), json!({ "v": 1, "model": "tints", "version": "2" }));
    client.find("the version in use", |message| {
        message.topic == MODELS
            && message.json()["models"][0]
                == json!({ "name": "tints", "version": "2", "waiting": null, "reason": null })
    });
    for (wrong, words) in [
        ("{\"version\":\"7\"}", "has no version"),
        ("{\"model\":\"../x\"}", "was not found"),
        ("now", "no JSON object"),
        ("{\"versoin\":\"2\"}", "unknown field"),
    ] {
        client.request(topic, wrong, "me/wrong", b"");
        let answer = client.next_on("me/wrong").json();
        assert!(answer["error"].as_str().is_some_and(|error| error.contains(words)), "{wrong}: {answer}");
    }
    node.stop();
}

/// Makes version 2 of version 1, as a training would.
fn copy_version(versions: &std::path::Path) {
    let part = versions.join(".2");
    std::fs::create_dir(&part).expect("a folder in a temporary folder");
    for file in std::fs::read_dir(versions.join("1")).expect("version 1").map(|entry| entry.expect("a file").path()) {
        std::fs::copy(&file, part.join(file.file_name().expect("a name"))).expect("a copy");
    }
    let manifest = part.join("bundle.toml");
    let text = std::fs::read_to_string(&manifest).expect("a text").replacen("version = \"1\"", "version = \"2\"", 1);
    std::fs::write(manifest, text).expect("a file there");
    std::fs::write(part.join("metrics.json"), json!({ "reason": "it is redder" }).to_string()).expect("a file there");
    std::fs::rename(part, versions.join("2")).expect("a folder there");
}

#[test]
fn nothing_is_announced_unless_it_is_asked_for() {
    let mosquitto = Mosquitto::new();
    let node = Launch::new(mosquitto.url()).serve();
    let client = onlooker(&mosquitto);
    client.publish("cameras/gate/frame", jpeg(&plain(RED)));
    client.next_on("glanced/gate/top3");
    node.stop();
    let topics: BTreeSet<String> = kept(&mosquitto, "#").into_iter().map(|message| message.topic).collect();
    assert_eq!(topics, BTreeSet::from(["glanced/gate/top3", "glanced/nodes/box-7/status"].map(str::to_owned)));
}
