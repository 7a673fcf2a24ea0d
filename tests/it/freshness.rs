//! More frames than can be served: turns, replacement, age, and an exact account of every frame.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::broker::Mosquitto;
use crate::support::client::{Client, Message};
use crate::support::eventually;
use crate::support::launch::Launch;
use crate::support::node::Node;
use crate::support::pictures::{RED, base64, jpeg, photograph, plain};

const RESULTS: &str = "glanced_results_total{model=\"efficientnet-lite0\",version=\"1\"}";
const RECEIVED: &str = "glanced_frames_received_total";

/// All frames that gave no result.
fn dropped(metrics: &BTreeMap<String, f64>) -> f64 {
    metrics.iter().filter(|(name, _)| name.starts_with("glanced_frames_dropped_total{")).map(|(_, value)| value).sum()
}

/// Waits until so many frames have come and each has given a result or is counted as dropped; returns the metrics then.
fn account(node: &Node, sent: usize) -> BTreeMap<String, f64> {
    eventually("every frame is accounted for", || {
        let metrics = node.metrics();
        (metrics[RECEIVED] == sent as f64 && metrics[RESULTS] + dropped(&metrics) == sent as f64).then_some(metrics)
    })
}

/// The results in the order of their arrival.
fn results(client: &Client, metrics: &BTreeMap<String, f64>) -> Vec<Value> {
    let expected = metrics[RESULTS] as usize;
    eventually("all results have arrived", || (client.arrived().len() >= expected).then_some(()));
    let results: Vec<_> = client.arrived().iter().map(Message::json).collect();
    assert_eq!(results.len(), expected, "more results than were counted");
    results
}

/// One worker with the real model, and a broker that drops nothing by itself.
fn node(mosquitto: &Mosquitto, max_age_ms: u32) -> Node {
    Launch::new(mosquitto.url())
        .lite0()
        .set("inference.max_age_ms", max_age_ms)
        .file("[[sources]]\ntopic = \"cameras/+/frame\"\nqos = 1\n")
        .serve()
}

#[test]
fn under_overload_the_newest_frames_of_every_camera_are_served_and_all_others_counted() {
    const CAMERAS: usize = 8;
    const FRAMES: usize = 60;
    let mosquitto = Mosquitto::new();
    let node = node(&mosquitto, 3_600_000);
    let client = Client::v5(mosquitto.open);
    client.subscribe("glanced/+/top3");
    let image = base64(&jpeg(&plain(RED)));
    // The sender's clock is the frame's number: it comes back in the result.
    for number in 0..FRAMES {
        for camera in 0..CAMERAS {
            let frame = json!({"image": image, "captured_at": number});
            client.publish(&format!("cameras/c{camera}/frame"), frame.to_string());
        }
    }
    let metrics = account(&node, CAMERAS * FRAMES);
    let results = results(&client, &metrics);
    assert!(results.len() < CAMERAS * FRAMES, "this was to be an overload");
    for camera in 0..CAMERAS {
        let name = format!("c{camera}");
        let of_camera: Vec<_> = results.iter().filter(|result| result["camera"] == *name).collect();
        let numbers: Vec<_> = of_camera.iter().map(|result| result["captured_at"].as_str().expect("a time")).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "an older frame after a newer one: {numbers:?}");
        let ids: Vec<_> = of_camera.iter().map(|result| result["frame"].as_str().expect("an id")).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
        // The last frame is always served: nothing newer took its place.
        assert_eq!(numbers.last().copied(), Some("1970-01-01T00:00:59.000Z"), "{name}");
        let replaced: u64 = of_camera.iter().map(|result| result["dropped"].as_u64().expect("a number")).sum();
        assert_eq!(replaced + of_camera.len() as u64, FRAMES as u64, "{name}");
    }
    let replaced = metrics["glanced_frames_dropped_total{reason=\"replaced\"}"];
    assert_eq!(dropped(&metrics), replaced, "{metrics:#?}");
    assert_eq!(metrics["glanced_cameras"], CAMERAS as f64);
    node.stop();
}

#[test]
fn a_fast_camera_takes_no_turns_from_slow_ones() {
    let mosquitto = Mosquitto::new();
    let node = node(&mosquitto, 3_600_000);
    let client = Client::v5(mosquitto.open);
    client.subscribe("glanced/+/top3");
    let image = jpeg(&plain(RED));
    let mut sent = 0;
    for _ in 0..3 {
        client.publish("cameras/slow/frame", image.clone());
        sent += 1;
        // The fast one has a newer frame at any time, until the slow one has been served.
        eventually("the slow camera is served", || {
            for _ in 0..10 {
                client.publish("cameras/fast/frame", image.clone());
            }
            sent += 10;
            client.flush();
            client.arrived().iter().any(|message| message.topic == "glanced/slow/top3").then_some(())
        });
        assert_eq!(client.next_on("glanced/slow/top3").json()["dropped"], 0);
    }
    let metrics = account(&node, sent);
    assert_eq!(dropped(&metrics), metrics["glanced_frames_dropped_total{reason=\"replaced\"}"]);
    node.stop();
}

#[test]
fn a_frame_that_waited_too_long_is_dropped_and_counted() {
    const CAMERAS: usize = 40;
    let mosquitto = Mosquitto::new();
    let node = node(&mosquitto, 10);
    let client = Client::v5(mosquitto.open);
    client.subscribe("glanced/+/top3");
    let image = photograph("coffee.jpg");
    // One each: nothing is replaced. The model takes longer than ten milliseconds a frame, or nearly, and they come all
    // at once: only the first few are young enough when their turn comes.
    for camera in 0..CAMERAS {
        client.publish(&format!("cameras/c{camera}/frame"), image.clone());
    }
    let metrics = account(&node, CAMERAS);
    let too_old = metrics["glanced_frames_dropped_total{reason=\"too_old\"}"];
    assert!(too_old > 0.0, "{metrics:#?}");
    assert_eq!(dropped(&metrics), too_old);
    results(&client, &metrics);
    node.stop();
}

#[test]
fn cameras_beyond_the_limit_are_dropped_and_counted() {
    let mosquitto = Mosquitto::new();
    let node = Launch::new(mosquitto.url()).set("inference.max_cameras", 2).serve();
    let client = Client::v5(mosquitto.open);
    client.subscribe("glanced/+/top3");
    for camera in ["a", "b", "c", "a"] {
        client.publish(&format!("cameras/{camera}/frame"), jpeg(&plain(RED)));
        if camera == "c" {
            node.wait_for_dropped("too_many_cameras", 1.0);
        } else {
            client.next_on(&format!("glanced/{camera}/top3"));
        }
    }
    assert_eq!(node.metric("glanced_cameras"), 2.0);
    node.stop();
}
