//! The module as its users see it: layers, origins, messages, secrets.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

mod messages;
mod secrets;

/// Inputs that see nothing of this machine.
fn inputs() -> Inputs {
    let system_file = PathBuf::from("/nonexistent/glanced/config.toml");
    Inputs { file: None, system_file, credentials: None, env: Vec::new(), flags: Vec::new() }
}

fn with_env(name: &str, value: &str) -> Inputs {
    Inputs { env: vec![(name.to_owned(), value.to_owned())], ..inputs() }
}

fn file(dir: &tempfile::TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

/// What is wrong with a configuration, in words.
fn wrong<T>(result: Result<T, ConfigError>) -> String {
    result.err().expect("should not have loaded").to_string()
}

#[test]
fn the_defaults_load_and_are_what_the_contract_says() {
    let loaded = parse_str("").unwrap();
    assert_eq!(parse_str(DEFAULT_TOML).unwrap().config, loaded.config, "the printed default is the default");
    let Config { mqtt, sources, model, inference, decode, classify, store, learn, homeassistant, http, log, service } =
        loaded.config;
    assert_eq!(mqtt.url.to_string(), "mqtt://127.0.0.1:1883");
    assert_eq!((mqtt.protocol, mqtt.prefix.as_str()), (Protocol::V5, "glanced"));
    assert_eq!(mqtt.client_id, format!("glanced-{}", mqtt.node));
    assert!(!mqtt.node.is_empty());
    assert_eq!((mqtt.username, mqtt.password, mqtt.request_group), (None, None, None));
    assert_eq!((mqtt.ca_file, mqtt.cert_file, mqtt.key_file), (None, None, None));
    assert_eq!((mqtt.keep_alive, mqtt.stats_every), (Duration::from_secs(30), Duration::from_mins(1)));
    assert_eq!((mqtt.reconnect_max, mqtt.max_packet_bytes), (Duration::from_secs(30), 16 << 20));
    assert_eq!((mqtt.retain_results, mqtt.embedded_broker), (true, false));
    let source = Source {
        topic: "cameras/+/frame".into(),
        camera: CameraName::Level(1),
        encoding: Encoding::Auto,
        crop: None,
        model: None,
        shared_group: None,
        allow_retained: false,
        qos: 0,
    };
    assert_eq!(sources, [source]);
    assert_eq!(model, Model { dir: "models".into(), name: "efficientnet-lite0".into(), runtime: None, cache: None });
    let max_age = Duration::from_secs(2);
    let (workers, threads_per_worker, queue_bytes) = (None, None, 64 << 20);
    let repeats = Repeats { of: Repeating::Off, max_age: Duration::from_secs(10), alike_below: 1.5 };
    let want = Inference {
        workers,
        threads_per_worker,
        precision: None,
        spinning: None,
        max_age,
        max_cameras: 1000,
        queue_bytes,
        request_queue: 16,
        repeats,
    };
    assert_eq!(inference, want);
    assert_eq!(decode, Decode { max_bytes: 16 << 20, max_pixels: 40_000_000, oversample: None });
    assert_eq!(
        classify,
        Classify {
            views: Looking::Always("center"),
            views_budget: 2.0,
            prior: true,
            temporal_half_life_s: 0.0,
            unknown_below: 0.0
        }
    );
    let clock = |hour| jiff::civil::time(hour, 0, 0, 0);
    let want = Learn { auto: false, quiet_from: clock(1), quiet_until: clock(5), min_new: 30, promote: true };
    assert_eq!(learn, want);
    let (every, forget_after) = (Duration::from_mins(1), Duration::from_hours(24));
    let want = HomeAssistant { discovery: false, prefix: "homeassistant".into(), every, images: true, forget_after };
    assert_eq!(homeassistant, want);
    let hold = Duration::from_mins(10);
    let collect =
        Collect { on: false, margin_below: 0.1, unlike: 10, per_day: 20, sure_per_day: 2, per_day_in_all: 500 };
    let want = Store { dir: None, max_bytes: 4 << 30, drop_labelled: false, hold_bytes: 4 << 20, hold, collect };
    assert_eq!(store, want);
    assert_eq!(http, Http { listen: Some("127.0.0.1:8080".parse().unwrap()), token: None });
    assert_eq!(log, Log { level: "info".into(), format: LogFormat::Text });
    assert_eq!(service, Service { stop_within: Duration::from_secs(10) });
}

#[test]
fn all_problems_are_reported_at_once_in_the_order_of_the_file() {
    let toml =
        "[mqtt]\nzzz = 1\nkeep_alive_s = true\nprotocol = \"6\"\n[[sources]]\ncamera = \"x\"\n[log]\nlevel = \"loud\"";
    let text = wrong(parse_str(toml));
    let heads: Vec<&str> = text.lines().map(|line| line.split(" is ").next().unwrap()).collect();
    let want = [
        "config.toml:2: unknown key mqtt.zzz",
        "config.toml:3: mqtt.keep_alive_s",
        "config.toml:5: sources[0] has no topic",
        "config.toml:4: mqtt.protocol",
        "config.toml:8: log.level",
    ];
    assert_eq!(heads, want);
    assert_eq!(parse_str(toml).unwrap_err().problems().len(), want.len());
}

#[test]
fn a_wrong_value_causes_no_second_error_in_rules_about_it() {
    let toml = "[mqtt]\nurl = 1\nca_file = \"/x\"\nusername = 1\npassword_file = \"/x\"\nembedded_broker = true";
    let text = wrong(parse_str(toml));
    assert_eq!(
        text,
        "config.toml:2: mqtt.url is 1, but must be a string\nconfig.toml:4: mqtt.username is 1, but must be a string"
    );
}

#[test]
fn later_layers_win_and_origins_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let toml = "[log]\nlevel = \"warn\"\n[mqtt]\nprefix = \"file\"\nnode = \"file\"\nclient_id = \"file\"\n";
    let path = file(&dir, "c.toml", toml);
    let mut inputs = Inputs { system_file: path.clone(), ..inputs() };
    let env = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    inputs.env = vec![
        env("GLANCED__MQTT__NODE", "env"),
        env("GLANCED__MQTT__CLIENT_ID", "env"),
        env("GLANCED_MQTT__NODE", "not ours"),
        env("PATH", "not ours"),
    ];
    inputs.flags = vec![Flag { key: "mqtt.client_id", value: "flag".into(), name: "--client-id" }];
    let loaded = load(&inputs).unwrap();
    let mqtt = &loaded.config.mqtt;
    assert_eq!((mqtt.prefix.as_str(), mqtt.node.as_str(), mqtt.client_id.as_str()), ("file", "env", "flag"));

    let from_file = Origin::File(path.clone());
    for (key, value, origin, line, shown) in [
        ("mqtt.client_id", "\"flag\"", Origin::Flag("--client-id"), None, "--client-id".to_owned()),
        ("mqtt.node", "\"env\"", Origin::Env("GLANCED__MQTT__NODE".into()), None, "GLANCED__MQTT__NODE".to_owned()),
        ("mqtt.prefix", "\"file\"", from_file.clone(), Some(4), path.display().to_string()),
        ("mqtt.keep_alive_s", "30", Origin::Default, None, "default".to_owned()),
        ("sources[0].crop", "[0.0, 0.0, 1.0, 1.0]", Origin::Default, None, "default".to_owned()),
    ] {
        assert_eq!(origin.to_string(), shown);
        assert_eq!(loaded.values[key], Setting { value: value.into(), origin, line }, "{key}");
    }

    // A file that is asked for takes the place of the system's; it does not add to it.
    inputs.file = Some(file(&dir, "empty.toml", ""));
    assert_eq!(load(&inputs).unwrap().config.mqtt.prefix, "glanced");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let from = |path: &Path| Inputs { file: Some(path.to_owned()), ..inputs() };
    let missing = dir.path().join("missing.toml");
    let text = wrong(load(&from(&missing)));
    assert_eq!(text, format!("{}: can't be read: No such file or directory (os error 2)", missing.display()));
    let binary = file(&dir, "binary.toml", [b'#', 0xFF]);
    assert_eq!(wrong(load(&from(&binary))), format!("{}: can't be read: not UTF-8 text", binary.display()));
    let large = file(&dir, "large.toml", vec![b'\n'; (1 << 20) + 1]);
    assert_eq!(wrong(load(&from(&large))), format!("{}: can't be read: larger than 1048576 bytes", large.display()));
    let windows = file(&dir, "windows.toml", "[log]\r\nlevel = \"warn\"\r\n");
    assert_eq!(load(&from(&windows)).unwrap().config.log.level, "warn");

    // Even then, the other layers are looked at.
    let mut both = from(&missing);
    both.flags = vec![Flag { key: "mqtt.urll", value: String::new(), name: "--broker" }];
    assert!(wrong(load(&both)).ends_with("\n--broker: unknown key mqtt.urll, did you mean mqtt.url?"));
}

#[test]
fn the_environment_is_typed_by_the_defaults() {
    let load_with = |name: &str, value: &str| load(&with_env(name, value)).map(|loaded| loaded.config);
    assert_eq!(load_with("GLANCED__MQTT__NODE", "007").unwrap().mqtt.node, "007");
    assert_eq!(load_with("GLANCED__MQTT__KEEP_ALIVE_S", "007").unwrap().mqtt.keep_alive, Duration::from_secs(7));
    assert!(!load_with("GLANCED__MQTT__RETAIN_RESULTS", "false").unwrap().mqtt.retain_results);
    assert!((load_with("GLANCED__CLASSIFY__UNKNOWN_BELOW", "1").unwrap().classify.unknown_below - 1.0).abs() < 1e-9);
    assert_eq!(load_with("GLANCED__HTTP__LISTEN", "").unwrap().http.listen, None);
    for (name, value, want) in [
        (
            "GLANCED__MQTT__KEEP_ALIVE_S",
            "soon",
            "GLANCED__MQTT__KEEP_ALIVE_S: mqtt.keep_alive_s is \"soon\", but must be a whole number",
        ),
        (
            "GLANCED__MQTT__KEEP_ALIVE_S",
            "1",
            "GLANCED__MQTT__KEEP_ALIVE_S: mqtt.keep_alive_s is 1, but must be 5 to 600 seconds",
        ),
        (
            "GLANCED__MQTT__RETAIN_RESULTS",
            "yes",
            "GLANCED__MQTT__RETAIN_RESULTS: mqtt.retain_results is \"yes\", but must be true or false",
        ),
        (
            "GLANCED__MQTT__PASSWORD",
            "hunter2",
            "GLANCED__MQTT__PASSWORD: unknown key mqtt.password, did you mean GLANCED__MQTT__PASSWORD_FILE?",
        ),
        ("GLANCED__mqtt__url", "x", "GLANCED__mqtt__url: unknown key mqtt.url, did you mean GLANCED__MQTT__URL?"),
        ("GLANCED__", "x", "GLANCED__: unknown key \"\""),
        (
            "GLANCED__SOURCES",
            "[]",
            "GLANCED__SOURCES: sources can't be set from the environment: put [[sources]] into the file",
        ),
        (
            "GLANCED__SOURCES__0__TOPIC",
            "a",
            "GLANCED__SOURCES__0__TOPIC: sources can't be set from the environment: put [[sources]] into the file",
        ),
    ] {
        assert_eq!(wrong(load_with(name, value)), want);
    }
}

#[test]
fn flags_name_themselves_in_errors() {
    let flags = vec![Flag { key: "mqtt.url", value: "x".into(), name: "--broker" }];
    let want = "--broker: mqtt.url is \"x\", but must be mqtt://HOST[:PORT], or mqtts://HOST[:PORT] for TLS";
    assert_eq!(wrong(load(&Inputs { flags, ..inputs() })), want);
}

#[test]
fn sources_replace_the_default_and_are_filled_up_from_it() {
    let toml = r#"
        [[sources]]
        topic = "frigate/+/+/snapshot"
        [[sources]]
        topic = "cameras/yard/frame"
        camera = "gate"
        crop = [0, 0.5, 0.5, 0.5]
        model = "gate-open"
        encoding = "json"
        shared_group = "pool"
        allow_retained = true
        qos = 1
        [[sources]]
        topic = "cameras/yard/frame"
    "#;
    let loaded = parse_str(toml).unwrap();
    let [frigate, gate, yard] = loaded.config.sources.as_slice() else { panic!("three sources") };
    assert_eq!(frigate.camera, CameraName::Level(1));
    assert_eq!((yard.camera.clone(), yard.crop, yard.qos), (CameraName::Level(1), None, 0));
    let want = Source {
        topic: "cameras/yard/frame".into(),
        camera: CameraName::Literal("gate".into()),
        encoding: Encoding::Json,
        crop: Some(Crop { x: 0.0, y: 0.5, w: 0.5, h: 0.5 }),
        model: Some("gate-open".into()),
        shared_group: Some("pool".into()),
        allow_retained: true,
        qos: 1,
    };
    assert_eq!(*gate, want);
    assert_eq!(loaded.values["sources[0].topic"].line, Some(3));
    assert_eq!(loaded.values["sources[0].camera"].origin, Origin::Default);
    assert_eq!(parse_str("sources = []").unwrap().config.sources, []);
}

#[test]
fn the_examples_in_the_default_file_are_valid() {
    let start = DEFAULT_TOML.find("# Frigate's snapshots").unwrap();
    let end = DEFAULT_TOML.find("\n[model]").unwrap();
    let uncommented: Vec<&str> = DEFAULT_TOML[start..end]
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| line.starts_with("[[") || line.contains(" = "))
        .collect();
    assert_eq!(parse_str(&uncommented.join("\n")).unwrap().config.sources.len(), 2);
}

#[test]
fn changes_are_told_by_key_and_whether_they_are_live() {
    let old = parse_str("[mqtt]\nnode = \"a\"").unwrap();
    let toml = r#"
        mqtt.node = "a"
        mqtt.prefix = "x"
        log = { level = "debug", format = "json" }
        inference.max_age_ms = 500
        inference.max_cameras = 7
        inference.repeats_max_age_s = 0.5
        classify.unknown_below = 0.2
        http.listen = "127.0.0.1:8080"
        sources = [{ topic = "a/b" }, { topic = "b/c" }]
    "#;
    let changed = changes(&old, &parse_str(toml).unwrap());
    let got: Vec<(&str, bool)> = changed.iter().map(|change| (change.key.as_str(), change.live)).collect();
    let want = [
        ("classify.unknown_below", true),
        ("inference.max_age_ms", true),
        ("inference.max_cameras", false),
        ("inference.repeats_max_age_s", true),
        ("log.format", false),
        ("log.level", true),
        ("mqtt.prefix", false),
        ("sources", true),
    ];
    assert_eq!(got, want);
    assert_eq!(changes(&old, &old), []);
}

#[test]
fn hostile_texts_are_refused_in_good_time() {
    let deep = 100_000;
    for toml in [
        "\"a[999999999]\" = 1".to_owned(),
        format!("{}a = 1", "a.".repeat(deep)),
        format!("x = {}{}", "[".repeat(deep), "]".repeat(deep)),
        format!("{} = 1", "k".repeat(1 << 20)),
        (0..20_000).map(|n| format!("k{n} = 1")).collect::<Vec<_>>().join("\n"),
        (0..5_000).map(|_| "[[sources]]\ntopic = \"a/b\"\n").collect(),
        "\u{FEFF}[mqtt]\nurl = \"\0\"".to_owned(),
        "[mqtt]\nx = \"\\uD800\"".to_owned(),
    ] {
        let text = wrong(parse_str(&toml));
        assert!(text.len() < 20_000, "{} bytes of error for {} of input", text.len(), toml.len());
    }
}
