//! Brokers that go, come back, or were never ones.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use glanced::config::Protocol;

use crate::support::broker::{self, Mosquitto};
use crate::support::client::Client;
use crate::support::launch::Launch;
use crate::support::node::Node;
use crate::support::pictures::{GREEN, jpeg, plain};

const LOST: &str = "no connection to the MQTT broker";
const STATUS: &str = "glanced/nodes/box-7/status";

/// The daemon has subscribed, says so, and frames flow.
fn assert_works(node: &Node, broker: SocketAddr, protocol: Protocol) {
    node.wait_until_ready();
    let client = Client::connect(broker, protocol);
    client.subscribe(STATUS);
    assert_eq!(client.next_on(STATUS).text(), "online");
    client.subscribe("glanced/+/top3");
    client.subscribe("me/answers");
    client.publish("cameras/gate/frame", jpeg(&plain(GREEN)));
    assert_eq!(client.fresh_on("glanced/gate/top3").best(), "green");
    if protocol == Protocol::V5 {
        client.request("glanced/classify", jpeg(&plain(GREEN)), "me/answers", b"1");
        assert_eq!(client.next_on("me/answers").best(), "green");
    }
}

#[test]
fn a_broker_that_comes_back_finds_everything_restored() {
    for (protocol, name) in [(Protocol::V5, "5"), (Protocol::V311, "3.1.1")] {
        let mut mosquitto = Mosquitto::new();
        let node = Launch::new(mosquitto.url()).set("mqtt.protocol", name).set("mqtt.reconnect_max_s", 1).serve();
        assert_works(&node, mosquitto.open, protocol);
        for round in 1..=2 {
            mosquitto.kill();
            node.wait_until_not_ready();
            assert_eq!(node.metric("glanced_mqtt_connected"), 0.0);
            mosquitto.start_again();
            assert_works(&node, mosquitto.open, protocol);
            assert_eq!(node.metric("glanced_mqtt_connected"), 1.0);
            assert_eq!(node.metric("glanced_mqtt_connections_total"), f64::from(round + 1));
        }
        node.stop();
    }
}

#[test]
fn a_broker_that_is_not_there_yet_is_waited_for() {
    let broker = broker::free_address();
    let node = Launch::new(format_args!("mqtt://{broker}")).set("mqtt.reconnect_max_s", 1).start();
    let lines = node.log.wait_for(LOST, 1);
    assert_eq!(lines[0]["level"], "WARN");
    assert_eq!(lines[0]["broker"], format!("mqtt://{broker}"));
    assert!(lines[0]["reason"].as_str().is_some_and(|reason| reason.contains("Connection refused")), "{}", lines[0]);
    let _mosquitto = Mosquitto::on(broker);
    assert_works(&node, broker, Protocol::V5);
    node.stop();
}

/// Answers each connection with the next of some bytes, and closes it.
struct Impostor {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Impostor {
    fn new(answers: &'static [&'static [u8]]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            for (mut stream, answer) in listener.incoming().flatten().zip(answers.iter().cycle()) {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                // The CONNECT is read first: closing with bytes unread would be a reset, and nothing would arrive.
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(answer);
            }
        });
        Self { address, over, thread: Some(thread) }
    }

    /// Frees the port.
    fn end(mut self) -> SocketAddr {
        self.over.store(true, Ordering::Relaxed);
        let _ = std::net::TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the impostor ends");
        }
        self.address
    }
}

/// Attempts that are watched: each pause may be twice the one before, up to the limit.
const ATTEMPTS: usize = 6;

/// Pauses grow from half a second to `reconnect_max_s = 2`, each shortened at random by up to a half.
fn assert_backs_off(node: &Node) {
    let lines = node.log.wait_for(LOST, ATTEMPTS);
    for (attempt, line) in lines.iter().take(ATTEMPTS).enumerate() {
        let pause = line["retry_in_ms"].as_u64().unwrap_or_else(|| panic!("no pause: {line}"));
        let longest = [500, 1000, 2000].get(attempt).copied().unwrap_or(2000);
        assert!((longest / 2..=longest).contains(&pause), "attempt {attempt}: {line}");
        assert!(!line["reason"].as_str().unwrap_or_default().is_empty(), "{line}");
    }
}

fn survives(protocol: Protocol, name: &str, answers: &'static [&'static [u8]]) {
    let impostor = Impostor::new(answers);
    let url = format!("mqtt://{}", impostor.address);
    let node = Launch::new(url).set("mqtt.protocol", name).set("mqtt.reconnect_max_s", 2).start();
    assert_backs_off(&node);
    let address = impostor.end();
    let _mosquitto = Mosquitto::on(address);
    assert_works(&node, address, protocol);
    node.stop();
}

#[test]
fn a_server_that_speaks_no_mqtt_5_is_survived() {
    survives(
        Protocol::V5,
        "5",
        &[
            b"",
            b"\xff\xff\xff\xff\xff\xff",
            b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\nThis is no place for you, go away.\r\n\r\n",
            // The broker's welcome, and a third of it.
            b"\x20\x03\x00\x00\x00",
            b"\x20",
            // A welcome, then a message that ends in its topic.
            b"\x20\x03\x00\x00\x00\x30\x40\x00\x12cameras/ga",
        ],
    );
}

#[test]
fn a_server_that_speaks_no_mqtt_3_1_1_is_survived() {
    survives(
        Protocol::V311,
        "3.1.1",
        &[b"", b"\x00\x00\x00\x00\x00", b"\x20\x02\x00\x00\x30\x40\x00\x12cameras/ga", b"\x20\x02\x00\x00\xf0\x00"],
    );
}
