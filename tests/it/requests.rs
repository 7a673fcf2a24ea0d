//! Questions on `<prefix>/classify`, and their answers.

use bytes::Bytes;
use glanced::config::Protocol;
use serde_json::{Value, json};

use crate::support::broker::{self, Mosquitto};
use crate::support::client::{Client, Message};
use crate::support::launch::Launch;
use crate::support::node::Node;
use crate::support::pictures::{BLUE, GREEN, base64, jpeg, plain};

const CLASSIFY: &str = "glanced/classify";

fn outcome(name: &str) -> String {
    format!("glanced_requests_total{{outcome=\"{name}\"}}")
}

fn outcomes(node: &Node) -> [f64; 3] {
    let metrics = node.metrics();
    ["answered", "refused", "unanswerable"].map(|name| metrics[&outcome(name)])
}

fn assert_answer(message: &Message, id: &Value, label: &str) {
    let answer = message.json();
    assert_eq!(answer["v"], 1);
    assert_eq!(answer.get("id").unwrap_or(&Value::Null), id);
    assert_eq!(answer.get("camera"), None, "{answer}");
    assert_eq!(answer["node"], "box-7");
    assert_eq!(answer["model"], json!({"name": "tints", "version": "1"}));
    assert_eq!(answer["top3"][0]["label"], label);
    assert_eq!(answer["dropped"], 0);
    assert!(ulid::Ulid::from_string(answer["frame"].as_str().expect("a text")).is_ok());
    assert_eq!((message.qos, message.retain), (1, false));
}

fn assert_error(message: &Message, id: &Value, words: &str) {
    let answer = message.json();
    let error = answer["error"].as_str().unwrap_or_else(|| panic!("no error: {answer}"));
    assert!(error.contains(words), "{error}");
    let expected =
        if id.is_null() { json!({"v": 1, "error": error}) } else { json!({"v": 1, "id": id, "error": error}) };
    assert_eq!(answer, expected);
    assert_eq!((message.qos, message.retain), (1, false));
}

#[test]
fn of_nodes_that_share_requests_one_answers_each() {
    let mosquitto = Mosquitto::new();
    let serve =
        |node: &str| Launch::new(mosquitto.url()).set("mqtt.node", node).set("mqtt.request_group", "all").serve();
    let nodes = ["box-7", "box-8"].map(serve);
    let client = Client::v5(mosquitto.open);
    client.subscribe("me/#");
    for _ in 0..10 {
        client.request(CLASSIFY, jpeg(&plain(GREEN)), "me/answers", b"");
        client.next_on("me/answers");
    }
    let answered: f64 = nodes.iter().map(|node| outcomes(node)[0]).sum();
    assert_eq!((answered, client.arrived().len()), (10.0, 0));
    nodes.into_iter().for_each(Node::stop);
}

#[test]
fn a_request_is_answered_on_its_response_topic_with_its_correlation_data() {
    let mosquitto = Mosquitto::new();
    let node = Launch::new(mosquitto.url()).serve();
    let client = Client::v5(mosquitto.open);
    client.subscribe("me/#");

    client.request(CLASSIFY, jpeg(&plain(GREEN)), "me/answers", b"\x00question \xff1");
    let answer = client.next_on("me/answers");
    assert_answer(&answer, &Value::Null, "green");
    assert_eq!(answer.correlation, Some(Bytes::from_static(b"\x00question \xff1")));
    assert_eq!(answer.content_type.as_deref(), Some("application/json"));

    // Without correlation data there are none in the answer, and JSON keeps its id.
    let question = json!({"id": "q-2", "image": base64(&jpeg(&plain(BLUE))), "captured_at": "2026-11-24T03:00:00Z"});
    client.request(CLASSIFY, question.to_string(), "me/answers", b"");
    let answer = client.next_on("me/answers");
    assert_answer(&answer, &json!("q-2"), "blue");
    assert_eq!(answer.json()["captured_at"], "2026-11-24T03:00:00.000Z");
    assert_eq!(answer.correlation, None);

    // The response topic of MQTT 5 goes before the one in the JSON.
    let question = json!({"id": "q-3", "reply_to": "me/elsewhere", "image": base64(&jpeg(&plain(BLUE)))});
    client.request(CLASSIFY, question.to_string(), "me/answers", b"3");
    assert_answer(&client.next_on("me/answers"), &json!("q-3"), "blue");
    assert!(client.arrived().is_empty(), "{:?}", client.arrived());
    assert_eq!(outcomes(&node), [3.0, 0.0, 0.0]);
    assert_eq!(node.metric("glanced_frames_received_total"), 0.0);
    node.stop();
}

#[test]
fn a_request_in_mqtt_3_1_1_says_in_its_json_where_to_answer() {
    let mosquitto = Mosquitto::new();
    let node = Launch::new(mosquitto.url()).set("mqtt.protocol", "3.1.1").serve();
    let client = Client::v311(mosquitto.open);
    client.subscribe("me/#");
    let question = json!({"id": "q-1", "reply_to": "me/answers", "image": base64(&jpeg(&plain(GREEN)))});
    client.publish(CLASSIFY, question.to_string());
    assert_answer(&client.next_on("me/answers"), &json!("q-1"), "green");

    client.publish(CLASSIFY, json!({"id": "q-2", "reply_to": "me/answers", "image": "bm90aGluZw=="}).to_string());
    assert_error(&client.next_on("me/answers"), &json!("q-2"), "not an image");
    assert_eq!(outcomes(&node), [1.0, 1.0, 0.0]);
    node.stop();
}

#[test]
fn what_is_wrong_with_a_request_is_its_answer() {
    let broker = broker::embedded(Protocol::V5);
    let node = Launch::new(format_args!("mqtt://{broker}")).serve();
    let client = Client::v5(broker);
    client.subscribe("me/#");
    let image = base64(&jpeg(&plain(GREEN)));
    let whole = jpeg(&plain(GREEN));
    let cases: Vec<(Vec<u8>, Value, &str)> = vec![
        (Vec::new(), Value::Null, "the payload is empty"),
        (b"hello, this is no picture".to_vec(), Value::Null, "neither an image, nor base64, nor JSON"),
        (whole[..whole.len() / 2].to_vec(), Value::Null, "JPEG"),
        (json!({"id": "a"}).to_string().into_bytes(), json!("a"), "missing field `image`"),
        (json!({"id": "b", "image": 7}).to_string().into_bytes(), json!("b"), "the JSON is not understood"),
        (json!({"id": "c", "image": "%%%"}).to_string().into_bytes(), json!("c"), "the base64 is broken"),
        (json!({"id": "d", "image": image, "captured_at": "noon"}).to_string().into_bytes(), json!("d"), "captured_at"),
        (b"{\"image\": ".to_vec(), Value::Null, "the JSON is not understood"),
    ];
    let count = cases.len();
    for (payload, id, words) in cases {
        client.request(CLASSIFY, payload, "me/answers", b"7");
        let answer = client.next_on("me/answers");
        assert_error(&answer, &id, words);
        assert_eq!(answer.correlation, Some(Bytes::from_static(b"7")));
    }
    // JSON that names its answer's topic gets it there, though the image is missing.
    client.publish(CLASSIFY, json!({"id": "e", "reply_to": "me/inside"}).to_string());
    assert_error(&client.next_on("me/inside"), &json!("e"), "missing field `image`");
    assert_eq!(outcomes(&node), [0.0, count as f64 + 1.0, 0.0]);
}

#[test]
fn an_answer_that_would_be_a_question_again_is_not_given_but_counted() {
    let mosquitto = Mosquitto::new();
    let node = Launch::new(mosquitto.url()).serve();
    let client = Client::v5(mosquitto.open);
    client.subscribe("#");
    let image = jpeg(&plain(GREEN));
    for topic in [CLASSIFY, "cameras/gate/frame"] {
        client.request(CLASSIFY, image.clone(), topic, b"1");
        // Broken ones too: an error sent to ourselves would come back for ever.
        client.request(CLASSIFY, "broken", topic, b"2");
    }
    for topic in ["a/+/b", "a/#", "cameras/gate/frame"] {
        client.publish(CLASSIFY, json!({"reply_to": topic, "image": base64(&image)}).to_string());
    }
    client.publish(CLASSIFY, image);
    client.publish(CLASSIFY, "broken");
    node.wait_for_metric(&outcome("unanswerable"), 9.0);
    assert_eq!(outcomes(&node), [0.0, 0.0, 9.0]);
    assert_eq!(node.metric("glanced_frames_received_total"), 0.0);
    assert_eq!(node.log.said("a request was not answered").len(), 1);
    assert_eq!(node.metric("glanced_log_lines_muted_total"), 8.0);
    node.stop();
}

#[test]
fn a_kept_request_is_not_answered() {
    let mosquitto = Mosquitto::new();
    let client = Client::v311(mosquitto.open);
    client.subscribe("me/#");
    let question =
        |id: &str| json!({"id": id, "reply_to": "me/answers", "image": base64(&jpeg(&plain(GREEN)))}).to_string();
    client.publish_retained(CLASSIFY, question("old"));
    client.flush();
    for name in ["5", "3.1.1"] {
        let node = Launch::new(mosquitto.url()).set("mqtt.protocol", name).serve();
        client.publish(CLASSIFY, question(name));
        assert_answer(&client.next_on("me/answers"), &json!(name), "green");
        assert_eq!(outcomes(&node), [1.0, 0.0, 0.0]);
        node.stop();
    }
}
