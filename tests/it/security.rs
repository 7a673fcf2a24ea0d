//! User names, passwords and certificates; and what is said when they are wrong.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::broker::{self, Mosquitto};
use crate::support::certs::{Authority, Certified};
use crate::support::client::Client;
use crate::support::launch::Launch;
use crate::support::node::Node;
use crate::support::pictures::{GREEN, jpeg, plain};

const LOST: &str = "no connection to the MQTT broker";
const USER: &str = "porch-box";
const PASSWORD: &str = "correct-horse-battery";
/// Everything that the daemon and the libraries below have to say.
const TALKATIVE: &str = "trace,rumqttc=trace,rustls=trace";

fn assert_works(node: &Node, mosquitto: &Mosquitto) {
    let client = Client::v5(mosquitto.open);
    client.subscribe("glanced/+/top3");
    client.publish("cameras/gate/frame", jpeg(&plain(GREEN)));
    assert_eq!(client.fresh_on("glanced/gate/top3").best(), "green");
    assert!(node.log.said(LOST).is_empty());
}

/// `glanced check` fails for the broker alone, with these words, and so does the daemon, which goes on trying.
fn assert_refused(launch: Launch, words: &[&str]) {
    let launch = launch.set("mqtt.reconnect_max_s", 1);
    let ended = launch.run(&["check", "--json"]);
    assert_eq!(ended.code, Some(69), "{ended:?}");
    let report = ended.json();
    let failed: Vec<&Value> =
        report["checks"].as_array().expect("a list").iter().filter(|check| check["ok"] == false).collect();
    let [failed] = failed[..] else { panic!("not one failure: {report}") };
    assert!(failed["name"].as_str().is_some_and(|name| name.starts_with("MQTT broker mqtt")), "{failed}");
    let detail = failed["detail"].as_str().expect("a text");
    let node = launch.start();
    let lines = node.log.wait_for(LOST, 2);
    let reason = lines[0]["reason"].as_str().expect("a text");
    for word in words {
        assert!(detail.contains(word), "{word:?} is not in {detail:?}");
        assert!(reason.contains(word), "{word:?} is not in {reason:?}");
    }
    assert!(!ended.stdout.contains(PASSWORD) && !ended.stderr.contains(PASSWORD));
    assert!(!node.log.text().contains(PASSWORD));
    node.stop();
}

fn assert_check_is_fine(launch: &Launch) {
    let ended = launch.run(&["check"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("connected"), "{ended:?}");
}

fn with_passwords() -> Mosquitto {
    Mosquitto::with(|dir| {
        let file = dir.join("passwords");
        let made = Command::new(broker::find("mosquitto_passwd"))
            .arg("-b")
            .arg("-c")
            .arg(&file)
            .args([USER, PASSWORD])
            .status();
        assert!(made.is_ok_and(|status| status.success()), "mosquitto_passwd failed");
        format!("allow_anonymous false\npassword_file {}\n", file.display())
    })
}

#[test]
fn a_user_name_and_a_password_let_us_in_and_are_never_told() {
    let mosquitto = with_passwords();
    for protocol in ["5", "3.1.1"] {
        let launch = Launch::new(format_args!("mqtt://{}", mosquitto.guarded)).set("mqtt.protocol", protocol);
        let file = launch.write("password", &format!("{PASSWORD}\n"));
        let launch =
            launch.set("mqtt.username", USER).set("mqtt.password_file", file.display()).set("log.level", TALKATIVE);
        assert_check_is_fine(&launch);
        let shown = launch.run(&["config", "--effective"]);
        assert_eq!(shown.code, Some(0));
        assert!(shown.stdout.contains(&format!("{}", file.display())) && !shown.stdout.contains(PASSWORD), "{shown:?}");
        let node = launch.serve();
        assert_works(&node, &mosquitto);
        let log = node.log.clone();
        node.stop();
        assert!(log.text().contains("DEBUG"), "the log was to be talkative");
        assert!(!log.text().contains(PASSWORD), "the password is in the log");
    }
}

#[test]
fn a_wrong_password_is_said_and_tried_again() {
    let mosquitto = with_passwords();
    for protocol in ["5", "3.1.1"] {
        let launch = Launch::new(format_args!("mqtt://{}", mosquitto.guarded)).set("mqtt.protocol", protocol);
        let file = launch.write("password", "wrong\n");
        let launch =
            launch.set("mqtt.username", USER).set("mqtt.password_file", file.display()).set("log.level", TALKATIVE);
        assert_refused(launch, &["check mqtt.username and mqtt.password_file"]);
        let nobody = Launch::new(format_args!("mqtt://{}", mosquitto.guarded)).set("mqtt.protocol", protocol);
        assert_refused(nobody, &["check mqtt.username and mqtt.password_file"]);
    }
}

/// A broker whose certificate is for `host`, signed by the authority that is returned.
fn with_tls(host: &str, more: &str) -> (Mosquitto, Authority, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let authority = Authority::new(dir.path(), "authority");
    let Certified { cert, key } = authority.sign(host);
    let rules = format!(
        "allow_anonymous true\ncafile {}\ncertfile {}\nkeyfile {}\n{more}\n",
        authority.file.display(),
        cert.display(),
        key.display()
    );
    (Mosquitto::with(|_| rules), authority, dir)
}

fn tls(mosquitto: &Mosquitto, ca: &Path, protocol: &str) -> Launch {
    Launch::new(format_args!("mqtts://{}", mosquitto.guarded))
        .set("mqtt.ca_file", ca.display())
        .set("mqtt.protocol", protocol)
}

#[test]
fn tls_with_an_authority_of_ones_own() {
    let (mosquitto, authority, _dir) = with_tls("127.0.0.1", "");
    for protocol in ["5", "3.1.1"] {
        let launch = tls(&mosquitto, &authority.file, protocol);
        assert_check_is_fine(&launch);
        let node = launch.serve();
        assert_works(&node, &mosquitto);
        node.stop();
    }
}

#[test]
fn an_authority_that_did_not_sign_is_said() {
    let (mosquitto, _authority, dir) = with_tls("127.0.0.1", "");
    let stranger = Authority::new(dir.path(), "stranger");
    for protocol in ["5", "3.1.1"] {
        assert_refused(tls(&mosquitto, &stranger.file, protocol), &["UnknownIssuer", "check mqtt.ca_file"]);
    }
}

#[test]
fn a_certificate_for_another_host_is_said() {
    let (mosquitto, authority, _dir) = with_tls("elsewhere.example", "");
    assert_refused(tls(&mosquitto, &authority.file, "5"), &["not valid for name", "the certificate's host name"]);
}

#[test]
fn a_port_without_tls_is_said() {
    let (mosquitto, authority, dir) = with_tls("127.0.0.1", "");
    let plain = Launch::new(format_args!("mqtts://{}", mosquitto.open)).set("mqtt.ca_file", authority.file.display());
    assert_refused(plain, &["whether the port speaks TLS"]);
    drop(dir);
}

#[test]
fn a_client_certificate_is_shown_where_one_is_required() {
    let (mosquitto, authority, _dir) =
        with_tls("127.0.0.1", "require_certificate true\nuse_identity_as_username true\n");
    let me = authority.sign("box-7");
    for protocol in ["5", "3.1.1"] {
        let launch = tls(&mosquitto, &authority.file, protocol)
            .set("mqtt.cert_file", me.cert.display())
            .set("mqtt.key_file", me.key.display());
        assert_check_is_fine(&launch);
        let node = launch.serve();
        assert_works(&node, &mosquitto);
        node.stop();
        assert_refused(tls(&mosquitto, &authority.file, protocol), &["mqtt.cert_file"]);
    }
}

#[test]
fn certificates_that_cannot_be_read_are_said() {
    let launch = Launch::new("mqtts://127.0.0.1:8883");
    let garbage = launch.write("garbage.pem", "this is no certificate\n");
    let launch = launch.set("mqtt.ca_file", garbage.display());
    for (command, output) in [("check", 0), ("run", 1)] {
        let ended = launch.run(&[command]);
        assert_eq!(ended.code, Some(69), "{ended:?}");
        let said = [&ended.stdout, &ended.stderr][output];
        assert!(said.contains("mqtt.ca_file") && said.contains("no certificate in it"), "{ended:?}");
    }
}
