//! SIGHUP: what changes at once, what is named as needing a restart, and what changes nothing.

use glanced::config::Protocol;
use serde_json::json;

use crate::support::broker::{self, Mosquitto};
use crate::support::client::Client;
use crate::support::launch::Launch;
use crate::support::node::Node;
use crate::support::pictures::{GREY, RED, jpeg, photograph, plain};

const RELOADED: &str = "configuration reloaded";
const NOT_TAKEN: &str = "the new configuration was not taken; the old one stays in force";

/// The keys that the last reload has changed.
fn changed(node: &Node) -> Vec<String> {
    let line = node.log.said(RELOADED).pop().unwrap_or_else(|| panic!("nothing was reloaded"));
    let text = line["changed"].as_str().unwrap_or_else(|| panic!("no list: {line}")).to_owned();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn sources_change_while_running() {
    for (protocol, name) in [(Protocol::V5, "5"), (Protocol::V311, "3.1.1")] {
        let mosquitto = Mosquitto::new();
        let first = "[[sources]]\ntopic = \"old/+\"\n[[sources]]\ntopic = \"stays/+\"\n";
        let node = Launch::new(mosquitto.url()).file(first).set("mqtt.protocol", name).serve();
        let client = Client::connect(mosquitto.open, protocol);
        client.subscribe("glanced/+/top3");
        client.subscribe("me/+");
        let red = jpeg(&plain(RED));
        client.publish("old/gate", red.clone());
        client.fresh_on("glanced/gate/top3");

        node.reload("[[sources]]\ntopic = \"stays/+\"\n[[sources]]\ntopic = \"new/+\"\ncamera = \"fresh\"\n");
        assert_eq!(changed(&node), ["sources"]);
        // At once, and not only when the next message comes: none does.
        mosquitto.wait_for("Received UNSUBSCRIBE from glanced-box-7");
        mosquitto.wait_for("glanced-box-7 0 new/+");
        for topic in ["old/gate", "stays/door", "new/any"] {
            client.publish(topic, red.clone());
        }
        assert_eq!(client.fresh_on("glanced/fresh/top3").best(), "red");
        assert_eq!(client.fresh_on("glanced/door/top3").best(), "red");
        assert_eq!(node.metric("glanced_frames_received_total"), 3.0);
        // Answers may go to what is no longer listened to, and no more to what is.
        let ask = |topic: &str| {
            let image = crate::support::pictures::base64(&red);
            client.publish("glanced/classify", json!({"reply_to": topic, "image": image}).to_string());
        };
        ask("new/loop");
        ask("me/answers");
        client.next_on("me/answers");
        assert_eq!(node.metric("glanced_requests_total{outcome=\"unanswerable\"}"), 1.0);
        assert_eq!(node.metric("glanced_mqtt_connections_total"), 1.0);
        node.stop();
    }
}

#[test]
fn answers_to_feedback_know_of_new_sources() {
    let mosquitto = Mosquitto::new();
    let node = Launch::new(mosquitto.url()).serve();
    let client = Client::v5(mosquitto.open);
    client.subscribe("#");
    node.reload("[[sources]]\ntopic = \"new/+\"\n");
    let feedback = json!({"frame": "x", "label": "a"}).to_string();
    client.request("glanced/feedback", feedback.clone(), "new/loop", b"");
    // They are answered in turn.
    client.request("glanced/feedback", feedback, "cameras/gate/frame", b"");
    client.next_on("cameras/gate/frame");
    assert!(client.arrived().iter().all(|message| message.topic != "new/loop"));
    node.stop();
}

#[test]
fn sources_that_change_while_the_broker_is_away_are_in_force_when_it_comes() {
    let address = broker::free_address();
    let node = Launch::new(format_args!("mqtt://{address}"))
        .file("[[sources]]\ntopic = \"old/+\"\n")
        .set("mqtt.reconnect_max_s", 1)
        .start();
    node.log.wait_for("no connection to the MQTT broker", 1);
    node.reload("[[sources]]\ntopic = \"new/+\"\n");
    let mosquitto = Mosquitto::on(address);
    node.wait_until_ready();
    let client = Client::v5(mosquitto.open);
    client.subscribe("glanced/+/top3");
    client.publish("new/gate", jpeg(&plain(RED)));
    client.fresh_on("glanced/gate/top3");
    node.stop();
}

#[test]
fn settings_change_while_running() {
    let broker = broker::embedded(Protocol::V5);
    let node = Launch::new(format_args!("mqtt://{broker}")).serve();
    let client = Client::v5(broker);
    client.subscribe("glanced/+/top3");
    client.publish("cameras/gate/frame", jpeg(&plain(GREY)));
    assert_eq!(client.fresh_on("glanced/gate/top3").json()["unknown"], false);

    node.reload("[classify]\nunknown_below = 0.99\n");
    assert_eq!(changed(&node), ["classify.unknown_below"]);
    client.publish("cameras/gate/frame", jpeg(&plain(GREY)));
    assert_eq!(client.fresh_on("glanced/gate/top3").json()["unknown"], true);

    node.reload("[log]\nlevel = \"debug\"\n[inference]\nmax_age_ms = 60000\n");
    assert_eq!(changed(&node), ["classify.unknown_below", "inference.max_age_ms", "log.level"]);
    client.publish("cameras/gate/frame", jpeg(&plain(GREY)));
    assert_eq!(client.fresh_on("glanced/gate/top3").json()["unknown"], false);
    // A granted subscription is told at this level only.
    assert!(node.log.said("subscribed").is_empty());
    node.reload("[log]\nlevel = \"debug\"\n[[sources]]\ntopic = \"other/+\"\n");
    node.log.wait_for("subscribed", 1);
    node.stop();
}

#[test]
fn a_smaller_max_age_drops_what_waits_longer() {
    let broker = broker::embedded(Protocol::V5);
    let toml = |ms: u32| format!("[inference]\nmax_age_ms = {ms}\n");
    let node = Launch::new(format_args!("mqtt://{broker}")).lite0().file(&toml(3_600_000)).serve();
    node.reload(&toml(10));
    assert_eq!(changed(&node), ["inference.max_age_ms"]);
    let client = Client::v5(broker);
    let frame = photograph("coffee.jpg");
    // One at a time, each of more than ten milliseconds: of so many cameras only the first few are young enough.
    for camera in 0..40 {
        client.publish(&format!("cameras/c{camera}/frame"), frame.clone());
    }
    node.wait_for_metric("glanced_frames_received_total", 40.0);
    crate::support::eventually("all frames are done with", || {
        let results = node.metric("glanced_results_total{model=\"efficientnet-lite0\",version=\"1\"}");
        (results + node.dropped("too_old") == 40.0).then_some(())
    });
    assert!(node.dropped("too_old") > 0.0);
    node.stop();
}

#[test]
fn what_needs_a_restart_is_named() {
    let broker = broker::embedded(Protocol::V5);
    let node = Launch::new(format_args!("mqtt://{broker}")).serve();
    node.reload("[mqtt]\nprefix = \"other\"\n[decode]\nmax_bytes = 2048\n[classify]\nunknown_below = 0.99\n");
    let lines = node.log.said("this change needs a restart, and is not in force");
    let keys: Vec<_> = lines.iter().map(|line| line["key"].as_str().unwrap_or_default()).collect();
    assert_eq!(keys, ["decode.max_bytes", "mqtt.prefix"]);
    assert_eq!(changed(&node), ["classify.unknown_below"]);
    let client = Client::v5(broker);
    client.subscribe("glanced/+/top3");
    client.publish("cameras/gate/frame", jpeg(&plain(GREY)));
    assert_eq!(client.fresh_on("glanced/gate/top3").json()["unknown"], true);
    node.stop();
}

#[test]
fn a_configuration_that_is_wrong_changes_nothing() {
    let broker = broker::embedded(Protocol::V5);
    let node = Launch::new(format_args!("mqtt://{broker}")).serve();
    let client = Client::v5(broker);
    client.subscribe("glanced/+/top3");
    let wrong = [
        (
            "[classify]\nunknown_below = 0.99\n[inference]\nmax_age_ms = 1\n",
            "glanced.toml:4: inference.max_age_ms is 1",
        ),
        ("[classify]\nunknown_below = 0.99\nbelow = 1\n", "glanced.toml:3: unknown key classify.below"),
        ("[classify\nunknown_below = 0.99\n", "glanced.toml:1"),
        (
            "[classify]\nunknown_below = 0.99\n[[sources]]\ntopic = \"cameras/+/frame\"\nmodel = \"tints-nhwc\"\n",
            "model \"tints-nhwc\", which is not loaded: that needs a restart",
        ),
    ];
    for (toml, words) in wrong {
        node.reload(toml);
        let lines = node.log.said(NOT_TAKEN);
        let error =
            lines.last().and_then(|line| line["error"].as_str()).unwrap_or_else(|| panic!("not refused: {toml}"));
        assert!(error.contains(words), "{error}");
        client.publish("cameras/gate/frame", jpeg(&plain(GREY)));
        assert_eq!(client.fresh_on("glanced/gate/top3").json()["unknown"], false);
    }
    assert!(node.log.said(RELOADED).is_empty());
    node.stop();
}
