//! The HTTP server: metrics, health, and who may see what.

use crate::support::broker::{self, Mosquitto};
use crate::support::client::Client;
use crate::support::http::get;
use crate::support::launch::Launch;
use crate::support::node::parse_metrics;
use crate::support::pictures::{RED, jpeg, plain};

const TOKEN: &str = "a-token-of-24-characters";

#[test]
fn metrics_have_their_documented_names() {
    let mosquitto = Mosquitto::new();
    let node = Launch::new(mosquitto.url()).serve();
    let client = Client::v5(mosquitto.open);
    client.subscribe("glanced/+/top3");
    client.publish("cameras/gate/frame", jpeg(&plain(RED)));
    client.next_on("glanced/gate/top3");
    let answer = get(node.http(), "/metrics", None);
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{}", answer.head);
    let metrics = parse_metrics(&answer.body);
    let reasons = [
        "retained",
        "bad_topic",
        "too_many_cameras",
        "stopping",
        "queue_full",
        "replaced",
        "too_old",
        "undecodable",
        "failed",
        "unpublished",
    ];
    for reason in reasons {
        assert_eq!(metrics[&format!("glanced_frames_dropped_total{{reason=\"{reason}\"}}")], 0.0);
    }
    for outcome in ["answered", "refused", "unanswerable"] {
        assert_eq!(metrics[&format!("glanced_requests_total{{outcome=\"{outcome}\"}}")], 0.0);
    }
    for stage in ["queue", "decode", "infer", "post"] {
        assert_eq!(metrics[&format!("glanced_stage_seconds_count{{stage=\"{stage}\"}}")], 1.0);
        assert_eq!(metrics[&format!("glanced_stage_seconds_bucket{{le=\"+Inf\",stage=\"{stage}\"}}")], 1.0);
    }
    let version = env!("CARGO_PKG_VERSION");
    for (name, value) in [
        (format!("glanced_build_info{{version=\"{version}\"}}"), 1.0),
        ("glanced_frames_received_total".to_owned(), 1.0),
        ("glanced_results_total{model=\"tints\",version=\"1\"}".to_owned(), 1.0),
        ("glanced_frame_age_seconds_count".to_owned(), 1.0),
        ("glanced_cameras".to_owned(), 1.0),
        ("glanced_mqtt_connected".to_owned(), 1.0),
        ("glanced_mqtt_connections_total".to_owned(), 1.0),
        ("glanced_log_lines_muted_total".to_owned(), 0.0),
    ] {
        assert_eq!(metrics.get(&name), Some(&value), "{name} in {}", answer.body);
    }
    assert!(metrics["glanced_memory_resident_bytes"] > 1e6);
    assert!(metrics["glanced_cpu_seconds"] > 0.0);
    for line in answer.body.lines().filter(|line| line.starts_with("# TYPE ")) {
        assert!(
            answer.body.contains(
                &line.replace("# TYPE ", "# HELP ").rsplit_once(' ').map_or(String::new(), |l| l.0.to_owned())
            )
        );
    }
    node.stop();
}

#[test]
fn ready_is_only_who_has_a_broker_and_alive_is_without() {
    let broker = broker::free_address();
    let node = Launch::new(format_args!("mqtt://{broker}")).set("mqtt.reconnect_max_s", 1).start();
    node.log.wait_for("no connection to the MQTT broker", 1);
    let answer = get(node.http(), "/readyz", None);
    assert_eq!((answer.status, answer.body.as_str()), (503, "not connected to the MQTT broker\n"));
    let answer = get(node.http(), "/healthz", None);
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
    let mut mosquitto = Mosquitto::on(broker);
    node.wait_until_ready();
    assert_eq!(get(node.http(), "/readyz", None).body, "ok\n");
    mosquitto.kill();
    node.wait_until_not_ready();
    assert_eq!(get(node.http(), "/healthz", None).status, 200);
    assert_eq!(get(node.http(), "/nothing", None).status, 404);
    node.stop();
}

#[test]
fn a_token_guards_metrics_but_not_health_and_is_never_told() {
    let launch = Launch::new(format_args!("mqtt://{}", broker::free_address()));
    let file = launch.write("token", &format!("{TOKEN}\n"));
    let launch = launch.set("http.token_file", file.display()).set("log.level", "trace");
    let shown = launch.run(&["config", "--effective"]);
    assert!(!shown.stdout.contains(TOKEN) && shown.stdout.contains("http.token_file"), "{shown:?}");
    let node = launch.start();
    for wrong in [None, Some("wrong"), Some(""), Some(&TOKEN[1..]), Some("a-token-of-24-characters-")] {
        let answer = get(node.http(), "/metrics", wrong);
        assert_eq!(answer.status, 401, "{wrong:?}");
        assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
        assert!(!answer.body.contains("glanced_") && !answer.body.contains(TOKEN), "{}", answer.body);
    }
    let answer = get(node.http(), "/metrics", Some(TOKEN));
    assert_eq!(answer.status, 200);
    assert!(parse_metrics(&answer.body).contains_key("glanced_frames_received_total"));
    assert_eq!(get(node.http(), "/healthz", None).status, 200);
    assert_eq!(get(node.http(), "/readyz", None).status, 503);
    let log = node.log.clone();
    node.stop();
    assert!(!log.text().contains(TOKEN), "the token is in the log");
}

#[test]
fn others_are_let_in_only_with_a_token() {
    let launch = Launch::new("mqtt://127.0.0.1:1883").set("http.listen", "0.0.0.0:0");
    let ended = launch.run(&["run"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(ended.stderr.contains("http.token_file must be set"), "{ended:?}");
    let short = launch.write("token", "short\n");
    let ended = launch.set("http.token_file", short.display()).run(&["run"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(ended.stderr.contains("http.token_file") && !ended.stderr.contains("short\""), "{ended:?}");
}

#[test]
fn an_address_that_is_taken_is_said() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address");
    let ended = Launch::new("mqtt://127.0.0.1:1883").set("http.listen", address).run(&["run"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains(&format!("http.listen {address}: Address already in use")), "{ended:?}");
}

#[test]
fn without_an_address_there_is_no_server() {
    let mosquitto = Mosquitto::new();
    let node = Launch::new(mosquitto.url()).set("http.listen", "").start();
    let client = Client::v5(mosquitto.open);
    client.subscribe("glanced/nodes/box-7/status");
    client.find("online", |message| message.text() == "online");
    assert!(node.log.said("serving")[0]["http"].is_null());
    node.stop();
}
