//! A version that is corrected more often than the one before it.

use glanced::config::Protocol;
use serde_json::{Value, json};

use super::{striped, with_yellow};
use crate::support::broker::embedded;
use crate::support::client::Client;
use crate::support::pictures::{RED, png};

/// A few more than the watchdog wants to see of each version before it says anything.
const RESULTS: u32 = 110;

/// Shows the node red things one by one, and returns the ids of their frames.
fn show(client: &Client, by: &str) -> Vec<Value> {
    let one = |number| {
        client.publish("cameras/gate/frame", png(&striped(RED, 1000 + number)));
        let result = client.find("a result of that version", |message| {
            message.topic == "glanced/gate/top3" && message.json()["model"]["version"] == by
        });
        assert_eq!(result.best(), "red");
        result.json()["frame"].clone()
    };
    (0..RESULTS).map(one).collect()
}

#[test]
fn a_version_that_is_corrected_much_more_often_is_taken_back() {
    let broker = embedded(Protocol::V5);
    let launch = with_yellow().set("mqtt.url", format!("mqtt://{broker}"));
    launch.run(&["retrain", "--json"]).done();
    let node = launch.serve();
    let client = Client::v5(broker);
    client.subscribe("glanced/+/top3");
    let correct = |frame: &Value| {
        let said = json!({"frame": frame, "label": "green"}).to_string();
        let (status, answer) = node.api("POST", "/api/feedback", Some(&said));
        assert_eq!((status, &answer["stored"]), (200, &json!(true)), "{answer}");
    };
    // Of the first version one is corrected: that alone takes nothing back.
    correct(&show(&client, "1")[3]);
    assert_eq!(node.run(&["model", "promote", "2", "--json"]).done()["version"], "2");
    node.wait_for_metric("glanced_model_swaps_total", 1.0);
    let frames = show(&client, "2");
    assert_eq!(node.metric("glanced_model_rollbacks_total"), 0.0, "as long as nobody says anything");
    frames.iter().take(20).for_each(correct);

    node.wait_for_metric("glanced_model_rollbacks_total", 1.0);
    let said = "the version is corrected more often than the one before it, which is in use again";
    let [back] = &node.log.wait_for(said, 1)[..] else { panic!("it is said once") };
    assert_eq!(
        (&back["version"], &back["back_to"], &back["level"]),
        (&json!("2"), &json!("1"), &json!("ERROR")),
        "{back}"
    );
    // By itself: nothing but the node has moved the version, on disk and for its frames.
    node.wait_for_metric("glanced_model_swaps_total", 2.0);
    assert_eq!(node.run(&["model", "list", "--json"]).done()["models"][0]["version"], "1");
    client.publish("cameras/gate/frame", png(&striped(RED, 5000)));
    client.find("a result of the first version", |message| {
        message.topic == "glanced/gate/top3" && message.json()["model"]["version"] == "1"
    });
    let metrics = node.metrics();
    let of =
        |name: &str, version: u32| metrics[&format!("glanced_{name}_total{{model=\"tints\",version=\"{version}\"}}")];
    assert_eq!((of("corrections", 1), of("corrections", 2)), (1.0, 20.0));
    assert_eq!(of("results", 2), f64::from(RESULTS));
    node.stop();
}
