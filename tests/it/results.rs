//! Frames in, results out: every payload that the contract allows, and every field of the result.

use std::net::SocketAddr;

use glanced::config::Protocol;
use image::ImageFormat;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::broker::{self, Mosquitto};
use crate::support::client::{Client, Message};
use crate::support::launch::Launch;
use crate::support::pictures::{BLUE, GREEN, GREY, RED, base64, encode, jpeg, photograph, plain, png};

/// RFC 3339 in UTC with milliseconds.
fn time(value: &Value) -> Timestamp {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    let millis = text.rsplit_once('.').map(|(_, rest)| rest);
    assert!(millis.is_some_and(|rest| rest.len() == 4 && rest.ends_with('Z')), "no milliseconds in UTC: {text}");
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// All that the contract says of a result for a red picture, from a sender that gave `captured_at`.
fn assert_result(message: &Message, camera: &str, captured_at: &Value) {
    let result = message.json();
    assert_eq!(
        keys(&result),
        [
            "age_ms",
            "camera",
            "captured_at",
            "dropped",
            "frame",
            "model",
            "ms",
            "node",
            "received_at",
            "top3",
            "unknown",
            "v",
            "views"
        ]
    );
    assert_eq!(result["v"], 1);
    assert_eq!(result["camera"], camera);
    assert_eq!(result["node"], "box-7");
    assert_eq!(&result["captured_at"], captured_at);
    assert_eq!(result["model"], json!({"name": "tints", "version": "1"}));
    assert_eq!(result["unknown"], false);
    assert_eq!(result["views"], 1);
    assert_eq!(result["dropped"], 0);

    let id = ulid::Ulid::from_string(result["frame"].as_str().expect("a text")).expect("a ULID");
    let received = time(&result["received_at"]);
    let made = i64::try_from(id.timestamp_ms()).expect("a time of our days");
    assert!((made - received.as_millisecond()).abs() <= 1, "the ULID is not of the time of receipt: {result}");
    let now = Timestamp::now();
    assert!(received <= now && now.duration_since(received).as_secs() < 60, "received {received}, now {now}");

    assert_eq!(keys(&result["ms"]), ["decode", "infer", "post", "queue"]);
    let steps: f64 = ["decode", "infer", "post", "queue"].iter().map(|step| number(&result["ms"][step])).sum();
    // Each of the five numbers is rounded to a tenth.
    assert!(number(&result["age_ms"]) >= steps - 0.25, "the steps take longer than the whole: {result}");

    let top3 = result["top3"].as_array().expect("a list");
    let seen: Vec<_> = top3.iter().map(|entry| (&entry["rank"], &entry["class"], &entry["label"])).collect();
    assert_eq!(seen[0], (&json!(1), &json!(0), &json!("red")));
    assert_eq!((seen[1].0, seen[2].0, seen.len()), (&json!(2), &json!(3), 3));
    assert_eq!(top3[0]["label_zh"], "红");
    // The classes of this model have no WordNet id.
    assert_eq!(keys(&top3[0]), ["class", "label", "label_zh", "rank", "score"]);
    let scores: Vec<_> = top3.iter().map(|entry| number(&entry["score"])).collect();
    assert!(scores[0] > 0.99 && scores.is_sorted_by(|a, b| a >= b) && scores.iter().sum::<f64>() <= 1.001);
}

fn a_frame_becomes_a_result(broker: SocketAddr, protocol: Protocol, name: &str) {
    let node = Launch::new(format_args!("mqtt://{broker}")).set("mqtt.protocol", name).serve();
    let client = Client::connect(broker, protocol);
    client.subscribe("glanced/+/top3");

    client.publish("cameras/gate/frame", jpeg(&plain(RED)));
    let live = client.next_on("glanced/gate/top3");
    assert_result(&live, "gate", &Value::Null);
    assert_eq!((live.qos, live.retain), (1, false));

    let frame =
        json!({"image": base64(&png(&plain(RED))), "id": "mine", "captured_at": "2026-11-24T04:00:00.12+01:00"});
    client.publish("cameras/gate/frame", frame.to_string());
    let second = client.next_on("glanced/gate/top3");
    assert_result(&second, "gate", &json!("2026-11-24T03:00:00.120Z"));

    // Who comes later gets the last one, kept by the broker.
    let late = Client::connect(broker, protocol);
    late.subscribe("glanced/gate/top3");
    let kept = late.next_on("glanced/gate/top3");
    assert_eq!(kept.payload, second.payload);
    assert_eq!((kept.qos, kept.retain), (1, true));
    for message in [live, kept] {
        match protocol {
            Protocol::V5 => {
                assert_eq!(message.content_type.as_deref(), Some("application/json"));
                // The broker takes off the time that it has kept it.
                assert!(message.expiry.is_some_and(|seconds| (3540..=3600).contains(&seconds)), "{message:?}");
            }
            Protocol::V311 => assert_eq!((message.content_type, message.expiry), (None, None)),
        }
    }
    node.stop();
}

#[test]
fn a_frame_becomes_a_result_on_mosquitto_with_mqtt_5() {
    a_frame_becomes_a_result(Mosquitto::new().open, Protocol::V5, "5");
}

#[test]
fn a_frame_becomes_a_result_on_mosquitto_with_mqtt_3_1_1() {
    a_frame_becomes_a_result(Mosquitto::new().open, Protocol::V311, "3.1.1");
}

#[test]
fn a_frame_becomes_a_result_on_the_embedded_broker_with_mqtt_3_1_1() {
    let broker = broker::embedded(Protocol::V311);
    let node = Launch::new(format_args!("mqtt://{broker}")).set("mqtt.protocol", "3.1.1").serve();
    let client = Client::v311(broker);
    client.subscribe("glanced/+/top3");
    client.publish("cameras/gate/frame", jpeg(&plain(RED)));
    assert_result(&client.next_on("glanced/gate/top3"), "gate", &Value::Null);
    node.stop();
}

#[test]
fn auto_tells_every_encoding_apart() {
    let broker = broker::embedded(Protocol::V5);
    let _node = Launch::new(format_args!("mqtt://{broker}")).serve();
    let client = Client::v5(broker);
    client.subscribe("glanced/+/top3");
    let blue = plain(BLUE);
    let jpeg_bytes = jpeg(&blue);
    let lines: String =
        base64(&jpeg_bytes).as_bytes().chunks(76).map(|line| format!("{}\r\n", line.escape_ascii())).collect();
    let payloads: Vec<(&str, Vec<u8>)> = vec![
        ("jpeg", jpeg_bytes.clone()),
        ("png", png(&blue)),
        ("webp", encode(&blue, ImageFormat::WebP)),
        ("bmp", encode(&blue, ImageFormat::Bmp)),
        ("gif", encode(&blue, ImageFormat::Gif)),
        ("base64", base64(&jpeg_bytes).into_bytes()),
        ("base64-lines", lines.into_bytes()),
        ("data-url", format!("data:image/jpeg;base64,{}", base64(&jpeg_bytes)).into_bytes()),
        ("json", json!({"image": base64(&jpeg_bytes)}).to_string().into_bytes()),
        (
            "json-more",
            json!({"more": [{}], "image": base64(&jpeg_bytes), "captured_at": null}).to_string().into_bytes(),
        ),
    ];
    for (camera, payload) in payloads {
        client.publish(&format!("cameras/{camera}/frame"), payload);
        let result = client.next_on(&format!("glanced/{camera}/top3"));
        assert_eq!(result.best(), "blue", "{camera}");
    }
}

#[test]
fn an_encoding_that_is_named_takes_nothing_else() {
    const ENCODINGS: [&str; 3] = ["raw", "base64", "json"];
    let broker = broker::embedded(Protocol::V5);
    let sources = ENCODINGS.map(|name| format!("[[sources]]\ntopic = \"{name}/+\"\nencoding = \"{name}\"\n"));
    let node = Launch::new(format_args!("mqtt://{broker}")).file(&sources.concat()).serve();
    let client = Client::v5(broker);
    client.subscribe("glanced/+/top3");
    let image = jpeg(&plain(GREEN));
    let payloads =
        [image.clone(), base64(&image).into_bytes(), json!({"image": base64(&image)}).to_string().into_bytes()];
    let mut refused = 0.0;
    for (encoding, topic) in ENCODINGS.iter().enumerate() {
        for (payload, bytes) in payloads.iter().enumerate() {
            client.publish(&format!("{topic}/from-{payload}-{encoding}"), bytes.clone());
            if payload == encoding {
                let result = client.next_on(&format!("glanced/from-{payload}-{encoding}/top3"));
                assert_eq!(result.best(), "green");
            } else {
                refused += 1.0;
                node.wait_for_dropped("undecodable", refused);
            }
        }
    }
    assert_eq!(client.arrived().len(), 0);
}

#[test]
fn captured_at_may_be_a_number_and_is_given_back_in_milliseconds() {
    let broker = broker::embedded(Protocol::V5);
    let _node = Launch::new(format_args!("mqtt://{broker}")).serve();
    let client = Client::v5(broker);
    client.subscribe("glanced/+/top3");
    for (given, expected) in [
        (json!(1_700_000_000), "2023-11-14T22:13:20.000Z"),
        (json!(1_700_000_000.25), "2023-11-14T22:13:20.250Z"),
        (json!(1_700_000_000_250_u64), "2023-11-14T22:13:20.250Z"),
        (json!("2023-11-14T22:13:20Z"), "2023-11-14T22:13:20.000Z"),
    ] {
        let frame = json!({"image": base64(&jpeg(&plain(GREY))), "captured_at": given});
        client.publish("cameras/gate/frame", frame.to_string());
        assert_eq!(client.next_on("glanced/gate/top3").json()["captured_at"], expected);
    }
}

#[test]
fn the_real_model_names_what_a_photograph_shows() {
    let mosquitto = Mosquitto::new();
    let node = Launch::new(mosquitto.url()).lite0().set("mqtt.retain_results", false).serve();
    let client = Client::v5(mosquitto.open);
    client.subscribe("glanced/+/top3");
    client.publish("cameras/kitchen/frame", photograph("coffee.jpg"));
    let message = client.next_on("glanced/kitchen/top3");
    let result = message.json();
    assert_eq!(result["model"], json!({"name": "efficientnet-lite0", "version": "1"}));
    let best = &result["top3"][0];
    assert_eq!((&best["class"], &best["id"], &best["label"]), (&json!(967), &json!("n07920052"), &json!("espresso")));
    assert!(number(&best["score"]) >= 0.98, "{best}");
    // Not retained, as configured: whoever comes later gets nothing but what is new.
    let late = Client::v5(mosquitto.open);
    late.subscribe("glanced/+/top3");
    client.publish("cameras/kitchen/frame", photograph("rocket.jpg"));
    let first = late.next_on("glanced/kitchen/top3");
    assert_eq!(first.best(), "missile");
    assert!(!first.retain);
    node.stop();
}
