//! Where frames come from: topics, camera names, models, retained frames, groups.

use glanced::config::Protocol;

use crate::support::broker::{self, Mosquitto};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::launch::Launch;
use crate::support::pictures::{BLUE, GREEN, RED, cornered, jpeg, plain, png};

#[test]
fn frigate_snapshots_come_from_the_camera_of_their_second_level() {
    let mosquitto = Mosquitto::new();
    let sources = "[[sources]]\ntopic = \"frigate/+/+/snapshot\"\ncamera = \"{1}\"\n";
    let _node = Launch::new(mosquitto.url()).file(sources).serve();
    let client = Client::v5(mosquitto.open);
    client.subscribe("glanced/+/top3");
    client.publish("frigate/front_door/person/snapshot", jpeg(&plain(GREEN)));
    let result = client.next_on("glanced/front_door/top3");
    assert_eq!(result.json()["camera"], "front_door");
    assert_eq!(result.best(), "green");
}

#[test]
fn a_camera_may_have_a_name_of_its_own() {
    let broker = broker::embedded(Protocol::V5);
    let sources = "[[sources]]\ntopic = \"attic/cam\"\ncamera = \"under the roof\"\n";
    let _node = Launch::new(format_args!("mqtt://{broker}")).file(sources).serve();
    let client = Client::v5(broker);
    client.subscribe("glanced/+/top3");
    client.publish("attic/cam", jpeg(&plain(RED)));
    assert_eq!(client.next_on("glanced/under the roof/top3").json()["camera"], "under the roof");
}

#[test]
fn one_topic_is_seen_by_two_models_each_with_its_own_part() {
    let mosquitto = Mosquitto::new();
    let sources = "[[sources]]\ntopic = \"cameras/+/frame\"\ncrop = [0.5, 0.0, 0.5, 1.0]\n\
                   [[sources]]\ntopic = \"cameras/yard/frame\"\ncamera = \"gate\"\ncrop = [0.0, 0.5, 0.5, 0.5]\n\
                   model = \"tints-nhwc\"\n";
    for (protocol, name) in [(Protocol::V5, "5"), (Protocol::V311, "3.1.1")] {
        let node = Launch::new(mosquitto.url()).file(sources).set("mqtt.protocol", name).serve();
        let client = Client::connect(mosquitto.open, protocol);
        client.subscribe("glanced/+/top3");
        for encoded in [png(&cornered(RED, BLUE)), jpeg(&cornered(RED, BLUE))] {
            client.publish("cameras/yard/frame", encoded);
            let yard = client.fresh_on("glanced/yard/top3");
            let gate = client.fresh_on("glanced/gate/top3");
            assert_eq!((yard.best().as_str(), gate.best().as_str()), ("red", "blue"));
            assert_eq!(yard.json()["model"]["name"], "tints");
            assert_eq!(gate.json()["model"]["name"], "tints-nhwc");
            assert_ne!(yard.json()["frame"], gate.json()["frame"]);
        }
        // Each once: the two filters overlap, and one message must not be looked at twice.
        client.publish("cameras/door/frame", png(&plain(GREEN)));
        client.fresh_on("glanced/door/top3");
        let more: Vec<_> = client.arrived().into_iter().filter(|message| !message.retain).collect();
        assert!(more.is_empty(), "{more:?}");
        assert_eq!(node.metric("glanced_frames_received_total"), 5.0);
        assert_eq!(node.metric("glanced_results_total{model=\"tints\",version=\"1\"}"), 3.0);
        assert_eq!(node.metric("glanced_results_total{model=\"tints-nhwc\",version=\"1\"}"), 2.0);
        node.stop();
    }
}

#[test]
fn retained_frames_are_ignored_unless_allowed() {
    let mosquitto = Mosquitto::new();
    let client = Client::v5(mosquitto.open);
    client.subscribe("glanced/+/top3");
    client.publish_retained("old/gate", jpeg(&plain(RED)));
    client.publish_retained("kept/door", jpeg(&plain(GREEN)));
    client.flush();
    let sources = "[[sources]]\ntopic = \"old/+\"\n[[sources]]\ntopic = \"kept/+\"\nallow_retained = true\n";
    for (name, counted) in [("5", 0.0), ("3.1.1", 1.0)] {
        let node = Launch::new(mosquitto.url()).file(sources).set("mqtt.protocol", name).serve();
        let result = client.next_on("glanced/door/top3");
        assert_eq!(result.best(), "green");
        // A new frame is taken though an old one was not. In MQTT 5 the broker is asked not to send those at all.
        client.publish("old/gate", jpeg(&plain(BLUE)));
        assert_eq!(client.next_on("glanced/gate/top3").best(), "blue");
        assert_eq!(node.dropped("retained"), counted, "MQTT {name}");
        assert_eq!(node.metric("glanced_results_total{model=\"tints\",version=\"1\"}"), 2.0);
        node.stop();
    }
}

#[test]
fn the_widest_source_does_not_feed_on_our_own_results() {
    let mosquitto = Mosquitto::new();
    let sources = "[[sources]]\ntopic = \"#\"\ncamera = \"{1}\"\n";
    for (protocol, name) in [(Protocol::V5, "5"), (Protocol::V311, "3.1.1")] {
        let node =
            Launch::new(mosquitto.url()).file(sources).set("mqtt.protocol", name).set("mqtt.stats_every_s", 1).serve();
        let client = Client::connect(mosquitto.open, protocol);
        client.subscribe("glanced/#");
        for _ in 0..3 {
            client.publish("cameras/gate/frame", jpeg(&plain(RED)));
            client.fresh_on("glanced/gate/top3");
        }
        // Two rounds of statistics and all results have come back by now, had they been taken for frames.
        for _ in 0..2 {
            client.next_on("glanced/nodes/box-7/stats");
        }
        assert_eq!(node.metric("glanced_frames_received_total"), 3.0, "MQTT {name}");
        assert_eq!(node.metric("glanced_cameras"), 1.0);
        node.stop();
    }
}

#[test]
fn a_topic_without_a_usable_camera_is_counted() {
    let broker = broker::embedded(Protocol::V5);
    let sources = "[[sources]]\ntopic = \"cameras/#\"\n";
    let node = Launch::new(format_args!("mqtt://{broker}")).file(sources).serve();
    let client = Client::v5(broker);
    client.subscribe("glanced/+/top3");
    client.publish("cameras", jpeg(&plain(RED)));
    client.publish("cameras//frame", jpeg(&plain(RED)));
    client.publish("cameras/gate", jpeg(&plain(RED)));
    client.next_on("glanced/gate/top3");
    assert_eq!(node.dropped("bad_topic"), 2.0);
    assert_eq!(node.metric("glanced_frames_received_total"), 3.0);
}

#[test]
fn nodes_of_one_group_share_the_frames() {
    const FRAMES: usize = 60;
    let mosquitto = Mosquitto::new();
    let sources = "[[sources]]\ntopic = \"cameras/+/frame\"\nshared_group = \"porch\"\nqos = 1\n";
    for (protocol, name) in [(Protocol::V5, "5"), (Protocol::V311, "3.1.1")] {
        let nodes = ["left", "right"].map(|node| {
            Launch::new(mosquitto.url()).file(sources).set("mqtt.protocol", name).set("mqtt.node", node).serve()
        });
        let client = Client::connect(mosquitto.open, protocol);
        client.subscribe("glanced/+/top3");
        let cameras: Vec<_> = (0..FRAMES).map(|frame| format!("{}-{frame}", name.replace('.', "_"))).collect();
        for camera in &cameras {
            client.publish(&format!("cameras/{camera}/frame"), jpeg(&plain(RED)));
        }
        for camera in &cameras {
            client.next_on(&format!("glanced/{camera}/top3"));
        }
        let received = || nodes.each_ref().map(|node| node.metric("glanced_frames_received_total"));
        eventually("all frames are counted", || (received().iter().sum::<f64>() >= FRAMES as f64).then_some(()));
        let shares = received();
        assert_eq!(shares.iter().sum::<f64>(), FRAMES as f64);
        assert!(shares.iter().all(|share| *share > 0.0), "{shares:?}");
        let twice: Vec<_> = client.arrived().into_iter().filter(|message| !message.retain).collect();
        assert!(twice.is_empty(), "answered more than once: {twice:?}");
        for node in nodes {
            node.stop();
        }
    }
}
