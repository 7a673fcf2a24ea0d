//! Still cameras: frames that look the same are answered from what was seen, each with a result of its own.

use glanced::config::Protocol;
use glanced::feedback::View;
use image::{Rgb, RgbImage};
use serde_json::{Value, json};

use crate::feedback::{FEEDBACK, said};
use crate::support::broker;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::launch::Launch;
use crate::support::node::Node;
use crate::support::pictures::{GREEN, RED, base64, jpeg, plain, png};

fn start(repeats: &str) -> (Node, Client) {
    let broker = broker::embedded(Protocol::V5);
    // An answer stands for longer than any test takes.
    let toml = format!("[inference]\nrepeats = \"{repeats}\"\nrepeats_max_age_s = 3600.0\n");
    let node = Launch::new(format_args!("mqtt://{broker}")).file(&toml).serve();
    let client = Client::v5(broker);
    client.subscribe("glanced/+/top3");
    client.subscribe("me/#");
    (node, client)
}

/// Sends a frame, and returns its result.
fn see(client: &Client, camera: &str, payload: impl Into<bytes::Bytes>) -> Value {
    client.publish(&format!("cameras/{camera}/frame"), payload);
    client.fresh_on(&format!("glanced/{camera}/top3")).json()
}

fn repeats(node: &Node) -> [f64; 2] {
    ["identical", "alike"].map(|kind| node.metric(&format!("glanced_repeats_total{{kind=\"{kind}\"}}")))
}

/// Waits until each step was timed so often: queue, decode, infer, post. That is done a moment after a result is published.
fn wait_for_times(node: &Node, times: [f64; 4]) {
    for (stage, times) in ["queue", "decode", "infer", "post"].into_iter().zip(times) {
        node.wait_for_metric(&format!("glanced_stage_seconds_count{{stage=\"{stage}\"}}"), times);
    }
}

/// Red, with noise of its own for each number, and perhaps with something small in it.
fn noisy(number: u32, spot: bool) -> RgbImage {
    RgbImage::from_fn(64, 48, |x, y| {
        if spot && (30..36).contains(&x) && (20..26).contains(&y) {
            return Rgb([255, 255, 255]);
        }
        let noise = (number * 64 * 48 + y * 64 + x).wrapping_mul(0x9e37_79b1) >> 29;
        Rgb([200 + noise as u8, 10, 10])
    })
}

#[test]
fn unless_asked_for_every_frame_is_looked_at() {
    let (node, client) = start("off");
    for _ in 0..3 {
        let result = see(&client, "gate", jpeg(&plain(RED)));
        assert_eq!(result.get("repeat_of"), None, "{result}");
    }
    assert_eq!(repeats(&node), [0.0, 0.0]);
    wait_for_times(&node, [3.0; 4]);
    node.stop();
}

#[test]
fn the_same_image_is_looked_at_once_and_answered_each_time() {
    let (node, client) = start("identical");
    let image = jpeg(&plain(RED));
    let first = see(&client, "gate", image.clone());
    assert_eq!(first.get("repeat_of"), None, "{first}");
    let second = see(&client, "gate", image.clone());
    // The same image in another message.
    let message = json!({"image": base64(&image), "captured_at": "2026-11-24T03:00:00.120Z", "id": "3"});
    let third = see(&client, "gate", message.to_string());
    for result in [&second, &third] {
        assert_eq!(result["repeat_of"], first["frame"], "{result}");
        assert_ne!(result["frame"], first["frame"]);
        for key in ["v", "camera", "node", "model", "top3", "unknown", "views"] {
            assert_eq!(result[key], first[key], "{key}");
        }
        assert_eq!((&result["ms"]["infer"], &result["ms"]["post"]), (&json!(0.0), &json!(0.0)));
    }
    assert_ne!(second["frame"], third["frame"]);
    assert_eq!(third["captured_at"], "2026-11-24T03:00:00.120Z");
    assert_eq!(repeats(&node), [2.0, 0.0]);
    wait_for_times(&node, [3.0, 1.0, 1.0, 1.0]);
    node.wait_for_metric("glanced_results_total{model=\"tints\",version=\"1\"}", 3.0);

    // Another picture, another camera, and requests.
    let other = see(&client, "gate", jpeg(&plain(GREEN)));
    assert_eq!((other.get("repeat_of"), &other["top3"][0]["label"]), (None, &json!("green")));
    assert_eq!(see(&client, "yard", image.clone()).get("repeat_of"), None);
    for _ in 0..2 {
        client.request("glanced/classify", image.clone(), "me/answers", b"");
        assert_eq!(client.next_on("me/answers").json().get("repeat_of"), None);
    }
    assert_eq!(repeats(&node), [2.0, 0.0]);
    wait_for_times(&node, [7.0, 5.0, 5.0, 5.0]);
    let (_, told) = node.api("GET", "/api/node", None);
    assert_eq!(told["repeats"], json!({"identical": 2, "alike": 0}));
    node.stop();
}

#[test]
fn a_frame_that_hardly_differs_is_decoded_and_no_more() {
    let (node, client) = start("alike");
    let first = see(&client, "gate", png(&noisy(1, false)));
    let second = see(&client, "gate", png(&noisy(2, false)));
    assert_eq!((first.get("repeat_of"), &second["repeat_of"]), (None, &first["frame"]));
    assert_eq!(second["top3"], first["top3"]);
    assert_eq!(repeats(&node), [0.0, 1.0]);
    wait_for_times(&node, [2.0, 2.0, 1.0, 1.0]);
    // Something small appears, stays, and is gone.
    let third = see(&client, "gate", png(&noisy(3, true)));
    let fourth = see(&client, "gate", png(&noisy(4, true)));
    let again = see(&client, "gate", png(&noisy(4, true)));
    let fifth = see(&client, "gate", png(&noisy(5, false)));
    assert_eq!((third.get("repeat_of"), fifth.get("repeat_of")), (None, None));
    // The fourth was not looked at, so nothing is a repetition of it, not even itself.
    assert_eq!((&fourth["repeat_of"], &again["repeat_of"]), (&third["frame"], &third["frame"]));
    assert_eq!(see(&client, "gate", png(&noisy(5, false)))["repeat_of"], fifth["frame"]);
    assert_eq!(repeats(&node), [1.0, 3.0]);
    wait_for_times(&node, [7.0, 6.0, 3.0, 3.0]);
    node.stop();
}

#[test]
fn feedback_on_a_frame_that_repeats_another_is_stored_with_its_picture() {
    let (node, client) = start("identical");
    let store = node.dir().join("feedback");
    let image = jpeg(&plain(RED));
    let first = see(&client, "gate", image.clone());
    let second = see(&client, "gate", image.clone());
    assert_eq!(second["repeat_of"], first["frame"]);
    client.request(FEEDBACK, json!({"frame": second["frame"], "label": "ski"}).to_string(), "me/answers", b"");
    let answer = client.next_on("me/answers").json();
    assert_eq!(answer["stored"], true, "{answer}");
    let all = said(&store);
    let [said] = &all[..] else { panic!("{all:?}") };
    let feedback = &said.feedback;
    assert_eq!(json!(feedback.frame.to_string()), second["frame"]);
    assert_eq!(feedback.sighting.camera.as_deref(), Some("gate"));
    assert_eq!(feedback.sighting.predicted[0].label, "red");
    let view = View::read_only(&store, |_| {}).expect("a store");
    let record = view.frame(feedback.frame).expect("the store can be read").expect("the frame");
    assert_eq!(view.picture(&record.blob.expect("a picture")).expect("its bytes"), image);
    node.stop();
}

#[test]
fn an_answer_gets_too_old_and_settings_change_while_running() {
    let (node, client) = start("off");
    let image = jpeg(&plain(RED));
    see(&client, "gate", image.clone());
    node.reload("[inference]\nrepeats = \"identical\"\nrepeats_max_age_s = 0.1\n");
    let mut looked = see(&client, "gate", image.clone());
    assert_eq!(looked.get("repeat_of"), None, "nothing was remembered before");
    // Of frames that come one after another, some repeat and some are looked at, however busy the machine is.
    let (mut repeated, mut anew) = (0, 0);
    eventually("frames repeat, and are looked at anew", || {
        let result = see(&client, "gate", image.clone());
        match result.get("repeat_of") {
            Some(of) => {
                assert_eq!(*of, looked["frame"]);
                repeated += 1;
            }
            None => {
                looked = result;
                anew += 1;
            }
        }
        (repeated > 0 && anew > 0).then_some(())
    });
    node.reload("[inference]\nrepeats = \"off\"\n");
    assert_eq!(see(&client, "gate", image).get("repeat_of"), None);
    node.stop();
}
