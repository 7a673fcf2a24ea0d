//! Feedback: what is acknowledged is on disk, and what is not comes again.

use std::path::Path;

use glanced::config::Protocol;
use glanced::feedback::View;
use glanced::feedback::record::{Statement, Via};
use glanced::feedback::view::{Filter, Said};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::broker::Mosquitto;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::launch::Launch;
use crate::support::pictures::{BLUE, GREEN, RED, base64, jpeg, plain};

pub(crate) const FEEDBACK: &str = "glanced/feedback";

/// Everything the store says, oldest first, as a reader beside the daemon sees it.
pub(crate) fn said(dir: &Path) -> Vec<Said> {
    let Ok(view) = View::read_only(dir, |_| {}) else { return Vec::new() };
    let mut all = view.list(&Filter::default(), None, 10_000).expect("a list").items;
    all.reverse();
    all
}

/// Sends feedback and returns the answer.
fn answer(client: &Client, feedback: &Value) -> Value {
    client.request(FEEDBACK, feedback.to_string(), "me/answers", b"f");
    let answer = client.next_on("me/answers");
    assert_eq!(answer.correlation.as_deref(), Some(&b"f"[..]));
    answer.json()
}

/// Sends a frame and returns its id.
pub(crate) fn frame(client: &Client, camera: &str, picture: Vec<u8>) -> Value {
    client.publish(&format!("cameras/{camera}/frame"), picture);
    client.fresh_on(&format!("glanced/{camera}/top3")).json()["frame"].clone()
}

#[test]
fn the_three_ways_to_say_what_is_right() {
    let mosquitto = Mosquitto::new();
    let launch = Launch::new(mosquitto.url());
    let store = launch.dir().join("feedback");
    let node = launch.serve();
    let client = Client::v5(mosquitto.open);
    client.subscribe("me/#");
    client.subscribe("glanced/+/top3");
    let picture = jpeg(&plain(GREEN));
    let id = frame(&client, "gate", picture.clone());

    let new = answer(&client, &json!({"frame": id, "label": "ski", "by": "ann", "id": "1"}));
    assert_eq!((&new["stored"], &new["new_class"]), (&json!(true), &json!(true)), "{new}");
    let known = answer(&client, &json!({"frame": id, "label": "Grey", "by": "bob"}));
    assert_eq!((&known["stored"], &known["new_class"]), (&json!(true), &json!(false)), "{known}");
    let class = answer(&client, &json!({"frame": id, "class": 2, "by": "cem"}));
    let correct = answer(&client, &json!({"frame": id, "verdict": "correct", "by": "dot"}));
    // A resend is the same feedback.
    assert_eq!(answer(&client, &json!({"frame": id, "label": "ski", "by": "ann", "id": "1"})), new);

    let all = said(&store);
    let ids: Vec<_> = all.iter().map(|said| json!(said.feedback.id.to_string())).collect();
    assert_eq!(ids, [&new, &known, &class, &correct].map(|answer| answer["feedback"].clone()));
    let statements: Vec<_> = all.iter().map(|said| said.feedback.statement.clone()).collect();
    assert_eq!(
        statements,
        [
            Statement::Label { label: "ski".into(), class: None, new_class: true },
            Statement::Label { label: "grey".into(), class: Some(3), new_class: false },
            Statement::Class { class: 2, label: "blue".into() },
            Statement::Correct { class: 1, label: "green".into() },
        ]
    );
    let first = &all[0].feedback;
    assert_eq!((first.via, first.by.as_deref(), first.sender_id.as_deref()), (Via::Mqtt, Some("ann"), Some("1")));
    assert_eq!(first.sighting.camera.as_deref(), Some("gate"));
    assert_eq!((first.sighting.model.name.as_str(), first.sighting.predicted[0].label.as_str()), ("tints", "green"));
    let view = View::read_only(&store, |_| {}).expect("a store");
    assert_eq!(view.picture(&first.blob).expect("the picture")[..], picture[..]);
    assert_eq!(node.metric("glanced_feedback_total{outcome=\"stored\"}"), 4.0);
    assert_eq!(node.metric("glanced_feedback_total{outcome=\"known\"}"), 1.0);
    node.stop();
}

#[test]
fn of_several_nodes_the_one_that_is_named_takes_feedback_and_answers() {
    let mosquitto = Mosquitto::new();
    let launches = ["box-7", "box-8"].map(|node| Launch::new(mosquitto.url()).set("mqtt.node", node));
    let stores = launches.each_ref().map(|launch| launch.dir().join("feedback"));
    let [seven, eight] = launches.map(Launch::serve);
    let client = Client::v5(mosquitto.open);
    client.subscribe("me/#");
    let image = base64(&jpeg(&plain(RED)));
    let feedback = json!({"image": image, "label": "red", "node": "box-8"});
    let answer = answer(&client, &feedback);
    assert_eq!((&answer["stored"], &answer["node"]), (&json!(true), &json!("box-8")), "{answer}");
    // The other one has heard it too, and has done nothing but that.
    seven.wait_for_metric("glanced_feedback_total{outcome=\"elsewhere\"}", 1.0);
    assert!(client.arrived().is_empty(), "one answer to one message");
    assert_eq!(stores.each_ref().map(|store| said(store).len()), [0, 1]);
    let (status, problem) = seven.api("POST", "/api/feedback", Some(&feedback.to_string()));
    assert_eq!(status, 422, "{problem}");
    seven.stop();
    eight.stop();
}

#[test]
fn what_is_wrong_with_feedback_is_its_answer() {
    let mosquitto = Mosquitto::new();
    let launch = Launch::new(mosquitto.url());
    let store = launch.dir().join("feedback");
    let node = launch.serve();
    let client = Client::v5(mosquitto.open);
    client.subscribe("me/#");
    let gone = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let table = [
        (json!({"frame": gone, "label": "a"}), "no longer held"),
        (json!({"frame": gone, "label": "a", "image": "bm90aGluZw=="}), "not an image"),
        (json!({"frame": "x", "label": "a"}), "26 letters and digits"),
        (json!({"label": "a"}), "\"frame\" is needed"),
        (json!({"frame": gone}), "there are 0"),
        (json!({"image": base64(&jpeg(&plain(RED))), "class": 99}), "has no class 99"),
        (json!({"image": base64(&jpeg(&plain(RED))), "verdict": "correct"}), "say the label instead"),
        (json!([1]), "not understood"),
    ];
    for (feedback, words) in &table {
        let answer = answer(&client, feedback);
        let error = answer["error"].as_str().unwrap_or_else(|| panic!("no error: {answer}"));
        assert!(error.contains(words), "{error}");
        assert_eq!(answer, json!({"stored": false, "error": error, "node": "box-7"}));
    }
    // A frame that is no longer held is taken with its picture.
    let late = json!({"frame": gone, "label": "red", "image": base64(&jpeg(&plain(RED))), "camera": "gate"});
    assert_eq!(answer(&client, &late)["stored"], true);
    let all = said(&store);
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].feedback.frame.to_string().as_str(), all[0].feedback.sighting.camera.as_deref()),
        (gone, Some("gate"))
    );
    assert_eq!(node.metric("glanced_feedback_total{outcome=\"refused\"}"), table.len() as f64);
    node.stop();
}

#[test]
fn what_is_sent_while_the_node_is_away_arrives_later() {
    let mosquitto = Mosquitto::new();
    for (_, name) in [(Protocol::V5, "5"), (Protocol::V311, "3.1.1")] {
        let folder = tempfile::tempdir().expect("a folder");
        let store = folder.path().join("feedback");
        let start = || {
            let launch = Launch::new(mosquitto.url()).set("mqtt.protocol", name);
            launch.set("mqtt.client_id", format!("node-{name}")).set("store.dir", store.display()).serve()
        };
        let mut node = start();
        node.signal(Signal::TERM);
        assert_eq!(node.wait().code(), Some(0));
        let client = Client::v5(mosquitto.open);
        let feedback = json!({"image": base64(&jpeg(&plain(BLUE))), "label": "blue", "id": name});
        client.publish(FEEDBACK, feedback.to_string());
        client.flush();
        let node = start();
        eventually("the feedback is stored", || (said(&store).len() == 1).then_some(()));
        node.stop();
    }
}

#[test]
fn nothing_is_acknowledged_before_it_can_be_stored() {
    let mosquitto = Mosquitto::new();
    let launch = Launch::new(mosquitto.url());
    // A file is where the folder should be.
    let store = launch.write("feedback", "in the way");
    let node = launch.serve();
    let client = Client::v5(mosquitto.open);
    client.subscribe("me/#");
    client.subscribe("glanced/+/top3");
    client.request(
        FEEDBACK,
        json!({"image": base64(&jpeg(&plain(BLUE))), "label": "blue"}).to_string(),
        "me/answers",
        b"",
    );
    eventually("two attempts", || (node.metric("glanced_feedback_failures_total") >= 2.0).then_some(()));
    // Frames go on.
    frame(&client, "gate", jpeg(&plain(GREEN)));
    assert!(client.arrived().iter().all(|message| message.topic != "me/answers"));
    std::fs::remove_file(&store).expect("the file is there");
    assert_eq!(client.next_on("me/answers").json()["stored"], true);
    assert_eq!(said(&store).len(), 1);
    node.stop();
}
