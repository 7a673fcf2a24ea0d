//! More feedback than there is room for: it waits at the broker, and then drains, each message once.

use std::collections::BTreeMap;
use std::path::Path;

use glanced::config::Protocol;
use serde_json::json;

use crate::feedback::said;
use crate::support::eventually;
use crate::support::flood::{Flood, Seen};
use crate::support::launch::Launch;
use crate::support::node::Node;
use crate::support::pictures::{BLUE, base64, jpeg, plain};

/// Many times what may wait in the daemon.
const BACKLOG: u16 = 3000;
const PROTOCOLS: [(Protocol, &str); 2] = [(Protocol::V5, "5"), (Protocol::V311, "3.1.1")];
const CLOSED: &str = "there is no room for feedback";

/// Statements that nothing but their label tells apart. Their senders have no ids of their own: taken twice, they would be
/// stored twice.
fn backlog() -> Vec<String> {
    let image = base64(&jpeg(&plain(BLUE)));
    (1..=BACKLOG).map(|n| json!({"image": image, "label": format!("label {n}")}).to_string()).collect()
}

/// A node that can't store anything before the file is taken out of its way.
fn blocked(broker: &Flood, protocol: &str, keep_alive_s: u16) -> Node {
    let launch = Launch::new(broker.url()).set("mqtt.protocol", protocol).set("mqtt.keep_alive_s", keep_alive_s);
    launch.write("feedback", "in the way");
    launch.serve()
}

fn unblock(node: &Node) {
    std::fs::remove_file(node.dir().join("feedback")).expect("the file is there");
}

fn all_acknowledged(broker: &Flood) -> Seen {
    eventually("all is acknowledged", || {
        let seen = broker.seen();
        (seen.acknowledged.len() == usize::from(BACKLOG)).then_some(seen)
    })
}

fn assert_each_once(store: &Path) {
    let mut labels = BTreeMap::new();
    for said in said(store) {
        *labels.entry(said.feedback.statement.label().to_owned()).or_insert(0) += 1;
    }
    let expected: BTreeMap<_, _> = (1..=BACKLOG).map(|n| (format!("label {n}"), 1)).collect();
    assert_eq!(labels, expected);
}

#[test]
fn a_backlog_far_larger_than_the_inbox_drains_over_one_connection() {
    for (protocol, name) in PROTOCOLS {
        let broker = Flood::new(protocol, backlog());
        let node = blocked(&broker, name, 60);
        // By then the inbox has been full for a while.
        eventually("three attempts", || (node.metric("glanced_feedback_failures_total") >= 3.0).then_some(()));
        assert_eq!(broker.seen().acknowledged.len(), 0, "nothing is stored");
        unblock(&node);
        let seen = all_acknowledged(&broker);
        assert_eq!((seen.connections, seen.goodbyes), (1, 0), "MQTT {name}");
        assert!(seen.acknowledged.values().all(|times| *times == 1), "{seen:?}");
        assert_each_once(&node.dir().join("feedback"));
        if protocol == Protocol::V5 {
            eventually("all is answered", || {
                (broker.seen().answers.iter().sum::<usize>() == usize::from(BACKLOG)).then_some(())
            });
        }
        assert_eq!(node.log.said(CLOSED).len(), 0);
        node.stop();
    }
}

#[test]
fn without_room_for_long_the_connection_is_closed_and_what_was_in_hand_is_not_taken_twice() {
    for (protocol, name) in PROTOCOLS {
        let broker = Flood::new(protocol, backlog());
        let node = blocked(&broker, name, 5);
        eventually("it says goodbye", || (broker.seen().goodbyes == 1).then_some(()));
        unblock(&node);
        let seen = all_acknowledged(&broker);
        assert_eq!((seen.connections, seen.goodbyes), (2, 1), "MQTT {name}");
        assert!(seen.acknowledged.values().all(|times| *times == 1), "{seen:?}");
        assert_each_once(&node.dir().join("feedback"));
        assert_eq!(node.log.said(CLOSED).len(), 1);
        node.log.wait_for("there is room for feedback again", 1);
        node.stop();
    }
}
