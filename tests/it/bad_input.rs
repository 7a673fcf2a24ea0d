//! Whatever comes in: it is counted, said once a minute for each camera, and stops nothing.

use glanced::config::Protocol;
use serde_json::json;

use crate::support::broker::{self, Mosquitto};
use crate::support::client::Client;
use crate::support::launch::Launch;
use crate::support::node::Node;
use crate::support::pictures::{GREEN, base64, jpeg, plain, png, png_bomb};

const SAID: &str = "a frame gave no result";

fn assert_serves(node: &Node, client: &Client) {
    client.publish("cameras/good/frame", jpeg(&plain(GREEN)));
    assert_eq!(client.fresh_on("glanced/good/top3").best(), "green");
    assert_eq!(node.metric("glanced_mqtt_connected"), 1.0);
}

/// Payloads, and words of what is said about them.
fn bad_payloads() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let image = jpeg(&plain(GREEN));
    let picture = png(&plain(GREEN));
    let deep = |open: &str, times: usize| format!("{{\"x\": {}", open.repeat(times)).into_bytes();
    let mut flipped = picture.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    vec![
        ("empty", Vec::new(), "the payload is empty"),
        ("blank", b" \r\n\t ".to_vec(), "the payload is empty"),
        ("truncated-jpeg", image[..image.len() * 2 / 3].to_vec(), "JPEG"),
        ("headless-jpeg", image[..4].to_vec(), "JPEG"),
        ("truncated-png", picture[..picture.len() / 2].to_vec(), "PNG"),
        ("damaged-png", flipped, "PNG"),
        ("wrong-magic", [b"\x7fELF\x02\x01\x01\x00".as_slice(), &[0; 64]].concat(), "neither an image"),
        ("text", b"a plain sentence, and no picture".to_vec(), "neither an image"),
        ("tiff", [b"II*\x00".as_slice(), &[0; 64]].concat(), "neither an image"),
        ("bomb", png_bomb(), "20000x20000 is 400.0 megapixels, over the limit of 40.0"),
        ("zeros", vec![0; 1 << 20], "over the limit of 262144"),
        (
            "broken-base64",
            format!("{}!{}", &base64(&image)[..99], &base64(&image)[100..]).into_bytes(),
            "the base64 is broken",
        ),
        ("short-base64", base64(&image)[..41].to_owned().into_bytes(), "base64"),
        ("base64-of-text", base64(b"no picture at all, really none").into_bytes(), "not an image"),
        ("no-image", b"{}".to_vec(), "missing field `image`"),
        ("list", json!([base64(&image)]).to_string().into_bytes(), "neither an image"),
        ("deep-objects", deep("{\"x\": ", 20_000), "the JSON is not understood"),
        ("deep-lists", deep("[", 100_000), "the JSON is not understood"),
        ("huge-number", b"{\"image\": \"\", \"captured_at\": 1e999999}".to_vec(), "the JSON is not understood"),
        (
            "long-number",
            format!("{{\"image\": \"\", \"captured_at\": {}}}", "9".repeat(100_000)).into_bytes(),
            "the JSON is not understood",
        ),
        ("far-future", json!({"image": "", "captured_at": 1e300}).to_string().into_bytes(), "captured_at is 1000"),
        ("twice", b"{\"image\": \"a\", \"image\": \"b\"}".to_vec(), "duplicate field `image`"),
        ("invalid-utf8", b"{\"image\": \"\xff\xfe\xfd\"}".to_vec(), "the JSON is not understood"),
        ("invalid-utf8-key", b"{\"\xc3\x28\": 1}".to_vec(), "the JSON is not understood"),
        ("half-json", b"{\"image\": \"abc".to_vec(), "the JSON is not understood"),
        ("empty-image", b"{\"image\": \"\"}".to_vec(), "the payload is empty"),
        (
            "long-id",
            json!({"image": base64(&image), "id": "x".repeat(300)}).to_string().into_bytes(),
            "over the limit of 256",
        ),
    ]
}

#[test]
fn a_bad_payload_is_counted_said_once_and_stops_nothing() {
    let mosquitto = Mosquitto::new();
    for (protocol, name) in [(Protocol::V5, "5"), (Protocol::V311, "3.1.1")] {
        let launch = Launch::new(mosquitto.url()).set("mqtt.protocol", name).set("decode.max_bytes", 1 << 18);
        let node = launch.serve();
        let client = Client::connect(mosquitto.open, protocol);
        client.subscribe("glanced/+/top3");
        let (mut bad, mut muted) = (0.0, 0.0);
        for (camera, payload, words) in bad_payloads() {
            let topic = format!("cameras/{camera}/frame");
            for again in [false, true] {
                client.publish(&topic, payload.clone());
                bad += 1.0;
                node.wait_for_dropped("undecodable", bad);
                assert_serves(&node, &client);
                muted += f64::from(u8::from(again));
                assert_eq!(node.metric("glanced_log_lines_muted_total"), muted, "{camera}");
            }
            let lines: Vec<_> = node.log.said(SAID).into_iter().filter(|line| line["camera"] == camera).collect();
            let [line] = &lines[..] else { panic!("said {} times: {camera}", lines.len()) };
            assert_eq!(line["level"], "WARN");
            assert_eq!(line["reason"], "undecodable");
            assert_eq!(line["bytes"], payload.len());
            let error = line["error"].as_str().expect("a text");
            assert!(error.contains(words), "{camera}: {words:?} is not in {error:?}");
            assert!(error.len() < 400, "{camera}: a sender must not fill the log: {error}");
        }
        assert_eq!(node.metric("glanced_mqtt_connections_total"), 1.0);
        node.stop();
    }
}

#[test]
fn a_camera_that_recovers_is_served_again() {
    let broker = broker::embedded(Protocol::V5);
    let node = Launch::new(format_args!("mqtt://{broker}")).serve();
    let client = Client::v5(broker);
    client.subscribe("glanced/+/top3");
    client.publish("cameras/gate/frame", "broken");
    node.wait_for_dropped("undecodable", 1.0);
    client.publish("cameras/gate/frame", jpeg(&plain(GREEN)));
    assert_eq!(client.next_on("glanced/gate/top3").best(), "green");
    node.stop();
}

#[test]
fn a_hundred_megabytes_of_zeros_are_kept_away_by_the_broker_in_mqtt_5() {
    let mosquitto = Mosquitto::new();
    let node = Launch::new(mosquitto.url()).serve();
    let client = Client::v5(mosquitto.open);
    client.subscribe("glanced/+/top3");
    client.publish("cameras/gate/frame", vec![0; 100_000_000]);
    client.flush();
    assert_serves(&node, &client);
    assert_eq!(node.metric("glanced_frames_received_total"), 1.0);
    assert_eq!(node.metric("glanced_mqtt_connections_total"), 1.0);
    // Just within the packet limit it comes, and is one bad frame more.
    client.publish("cameras/gate/frame", vec![0; 16_777_216 - 64]);
    node.wait_for_dropped("undecodable", 1.0);
    assert_serves(&node, &client);
    node.stop();
}

#[test]
fn a_message_over_the_packet_limit_costs_a_connection_in_mqtt_3_1_1() {
    let mosquitto = Mosquitto::new();
    let launch = Launch::new(mosquitto.url()).set("mqtt.protocol", "3.1.1").set("mqtt.reconnect_max_s", 1);
    let node = launch.set("mqtt.max_packet_bytes", 65536).serve();
    let client = Client::v311(mosquitto.open);
    client.subscribe("glanced/+/top3");
    client.publish("cameras/gate/frame", vec![0; 1 << 20]);
    let line = node.log.wait_for("no connection to the MQTT broker", 1).remove(0);
    let reason = line["reason"].as_str().expect("a text");
    assert!(reason.contains("a message is larger than mqtt.max_packet_bytes"), "{reason}");
    node.wait_for_metric("glanced_mqtt_connections_total", 2.0);
    node.wait_until_ready();
    assert_serves(&node, &client);
    node.stop();
}

#[test]
fn odd_topics_name_odd_cameras() {
    let mosquitto = Mosquitto::new();
    let node = Launch::new(mosquitto.url()).serve();
    let client = Client::v5(mosquitto.open);
    client.subscribe("glanced/#");
    let long = "n".repeat(1000);
    let odd = [" ", "a b", "门口", "$SYS", "\u{feff}", "..", "%2f", "{1}", "nodes", "classify", "\\", "🚪", &long];
    for camera in odd {
        client.publish(&format!("cameras/{camera}/frame"), jpeg(&plain(GREEN)));
        let result = client.next_on(&format!("glanced/{camera}/top3"));
        assert_eq!(result.json()["camera"], camera);
    }
    client.publish("cameras//frame", jpeg(&plain(GREEN)));
    node.wait_for_dropped("bad_topic", 1.0);
    assert_serves(&node, &client);
    node.stop();
}
