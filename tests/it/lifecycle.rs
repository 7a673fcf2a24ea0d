//! Coming, being there, and going: status, will, statistics, and the ways to stop.

use glanced::config::Protocol;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::broker::{self, Mosquitto};
use crate::support::client::{Client, Message};
use crate::support::launch::Launch;
use crate::support::pictures::{RED, base64, jpeg, plain};

const STATUS: &str = "glanced/nodes/box-7/status";
const VERSIONS: [(Protocol, &str); 2] = [(Protocol::V5, "5"), (Protocol::V311, "3.1.1")];

fn assert_status(message: &Message, payload: &str, retain: bool) {
    assert_eq!((message.text(), message.qos, message.retain), (payload, 1, retain));
}

/// What the broker has kept says this too.
fn assert_kept(mosquitto: &Mosquitto, payload: &str) {
    let late = Client::v5(mosquitto.open);
    late.subscribe(STATUS);
    assert_status(&late.next_on(STATUS), payload, true);
}

#[test]
fn the_will_says_offline_for_a_node_that_was_killed() {
    let mosquitto = Mosquitto::new();
    let client = Client::v5(mosquitto.open);
    client.subscribe(STATUS);
    for (_, name) in VERSIONS {
        let mut node = Launch::new(mosquitto.url()).set("mqtt.protocol", name).serve();
        assert_status(&client.next_on(STATUS), "online", false);
        assert_kept(&mosquitto, "online");
        node.signal(Signal::KILL);
        node.wait();
        assert_status(&client.next_on(STATUS), "offline", false);
        assert_kept(&mosquitto, "offline");
    }
}

#[test]
fn a_clean_stop_says_offline_itself() {
    let mosquitto = Mosquitto::new();
    let client = Client::v5(mosquitto.open);
    client.subscribe(STATUS);
    for ((_, name), signal) in VERSIONS.into_iter().zip([Signal::TERM, Signal::INT]) {
        let mut node = Launch::new(mosquitto.url()).set("mqtt.protocol", name).serve();
        assert_status(&client.next_on(STATUS), "online", false);
        node.signal(signal);
        assert_eq!(node.wait().code(), Some(0));
        assert_status(&client.next_on(STATUS), "offline", false);
        assert_kept(&mosquitto, "offline");
        assert_eq!(node.log.wait_for("stopped", 1).len(), 1);
        // Said once: the broker must not have published the will besides.
        assert!(client.arrived().is_empty(), "{:?}", client.arrived());
    }
}

#[test]
fn a_stop_answers_what_was_asked_and_then_says_offline() {
    const QUESTIONS: usize = 12;
    let mosquitto = Mosquitto::new();
    let mut node = Launch::new(mosquitto.url()).lite0().serve();
    let client = Client::v5(mosquitto.open);
    client.subscribe("me/answers");
    client.subscribe(STATUS);
    assert_status(&client.next_on(STATUS), "online", true);
    let image = base64(&jpeg(&plain(RED)));
    for id in 0..QUESTIONS {
        client.request(
            "glanced/classify",
            json!({"id": id.to_string(), "image": image}).to_string(),
            "me/answers",
            b"",
        );
    }
    let first = client.next_on("me/answers").json();
    node.signal(Signal::TERM);
    assert_eq!(node.wait().code(), Some(0));
    // The broker delivers in order: what is there when "offline" comes is all that ever comes.
    client.find("offline", |message| message.topic == STATUS);
    let mut answers: Vec<Value> = client.arrived().iter().map(Message::json).collect();
    answers.push(first);
    let mut ids: Vec<usize> =
        answers.iter().map(|answer| answer["id"].as_str().expect("an id").parse().expect("a number")).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..QUESTIONS).collect::<Vec<_>>());
    for answer in &answers {
        let stopping = answer["error"]
            .as_str()
            .is_some_and(|error| error.contains("the node is stopping") || error.contains("busy"));
        assert!(stopping || answer["top3"].is_array(), "{answer}");
    }
    assert_kept(&mosquitto, "offline");
}

#[test]
fn a_stop_without_a_broker_is_clean_too() {
    let mut node = Launch::new(format_args!("mqtt://{}", broker::free_address())).start();
    node.log.wait_for("no connection to the MQTT broker", 1);
    node.signal(Signal::TERM);
    assert_eq!(node.wait().code(), Some(0));
}

#[test]
fn a_broker_that_hangs_delays_a_stop_no_longer_than_allowed() {
    let mosquitto = Mosquitto::new();
    let mut node = Launch::new(mosquitto.url()).set("service.stop_within_s", 1).serve();
    mosquitto.signal(Signal::STOP);
    node.signal(Signal::TERM);
    assert_eq!(node.wait().code(), Some(0));
    node.log.wait_for("the MQTT broker did not take the goodbye in time", 1);
    mosquitto.signal(Signal::CONT);
    let client = Client::v5(mosquitto.open);
    client.subscribe(STATUS);
    client.find("offline", |message| message.topic == STATUS && message.text() == "offline");
}

#[test]
fn a_second_signal_ends_a_stop_that_hangs() {
    let mosquitto = Mosquitto::new();
    let mut node = Launch::new(mosquitto.url()).set("service.stop_within_s", 300).serve();
    mosquitto.signal(Signal::STOP);
    node.signal(Signal::TERM);
    node.log.wait_for("stopping", 1);
    // A reload is no second stop.
    node.signal(Signal::HUP);
    node.signal(Signal::TERM);
    assert_eq!(node.wait().code(), Some(1));
    assert!(node.log.text().contains("a second signal: what was in hand is given up"));
}

#[test]
fn statistics_are_published_again_and_again() {
    let mosquitto = Mosquitto::new();
    let node = Launch::new(mosquitto.url()).set("mqtt.stats_every_s", 1).serve();
    let client = Client::v5(mosquitto.open);
    client.subscribe("glanced/#");
    client.publish("cameras/gate/frame", jpeg(&plain(RED)));
    client.publish("cameras/door/frame", "broken");
    client.request("glanced/classify", jpeg(&plain(RED)), "me/answers", b"");
    node.wait_for_dropped("undecodable", 1.0);
    node.wait_for_metric("glanced_requests_total{outcome=\"answered\"}", 1.0);
    let message = client.find("statistics with all of that", |message| {
        message.topic == "glanced/nodes/box-7/stats" && message.json()["requests"]["answered"] == 1
    });
    assert_eq!((message.qos, message.retain), (0, false));
    assert_eq!(message.content_type.as_deref(), Some("application/json"));
    let mut stats = message.json();
    assert_eq!(stats["v"], 1);
    assert_eq!(stats["node"], "box-7");
    assert_eq!(stats["version"], env!("CARGO_PKG_VERSION"));
    assert!(stats["at"].as_str().is_some_and(|at| at.len() == "2026-11-24T03:00:00.120Z".len()));
    assert!(stats["uptime_s"].is_u64());
    assert!(stats["rss_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20));
    assert!(stats["cpu_s"].as_f64().is_some_and(|seconds| seconds > 0.0));
    let counters = ["received", "models", "dropped", "repeats", "requests", "waiting", "cameras"]
        .map(|key| (key, stats[key].take()));
    let counters: Value =
        counters.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<serde_json::Map<_, _>>().into();
    let expected = json!({
        "received": 2,
        "models": [{"name": "tints", "version": "1", "results": 1}],
        "dropped": {"retained": 0, "bad_topic": 0, "too_many_cameras": 0, "queue_full": 0, "replaced": 0, "stopping": 0,
                    "too_old": 0, "undecodable": 1, "failed": 0, "unlearnt": 0,
                    "unpublished": 0},
        "repeats": {"identical": 0, "alike": 0},
        "requests": {"answered": 1, "refused": 0, "unanswerable": 0},
        "waiting": 0,
        "cameras": 2,
    });
    assert_eq!(counters, expected);
    node.stop();
}
