//! The configuration as users meet it: messages, exit codes, and what is in force.

use crate::support::launch::Launch;

#[test]
fn wrong_configurations_end_with_78_and_name_file_and_line() {
    let cases = [
        ("[mqtt]\nurll = \"x\"\n", "glanced.toml:2: unknown key mqtt.urll, did you mean mqtt.url?"),
        (
            "\n\n[inference]\nmax_age_ms = 1\n",
            "glanced.toml:4: inference.max_age_ms is 1, but must be 10 to 3600000 milliseconds",
        ),
        ("[log]\nlevel = 7\n", "glanced.toml:2: log.level is 7, but must be a string"),
        ("[mqtt\n", "glanced.toml:1: "),
        (
            "[http]\nlisten = \"0.0.0.0:0\"\n",
            "glanced.toml:2: http.listen is 0.0.0.0:0, which others can reach, so http.token_file must be set",
        ),
        (
            "[mqtt]\nusername = \"me\"\npassword_file = \"/nowhere/password\"\n",
            "/nowhere/password, which can't be read",
        ),
        ("[[sources]]\nqos = 1\n", "glanced.toml:1: sources[0] has no topic"),
    ];
    for (toml, words) in cases {
        let launch = Launch::bare().file(toml);
        for command in ["run", "check"] {
            let ended = launch.run(&[command]);
            assert_eq!(ended.code, Some(78), "{command}: {ended:?}");
            assert!(ended.stderr.contains(words), "{words:?} is not in {ended:?}");
            assert_eq!(ended.stdout.matches("ok ").count(), 0, "{ended:?}");
        }
    }
}

#[test]
fn everything_wrong_is_said_at_once() {
    let ended = Launch::bare().file("[mqtt]\nurll = \"x\"\n[inference]\nworkers = -1\n").run(&["check"]);
    assert_eq!(ended.code, Some(78));
    assert!(ended.stderr.contains("mqtt.urll") && ended.stderr.contains("inference.workers is -1"), "{ended:?}");
}

#[test]
fn wrong_environment_and_flags_are_named() {
    let cases = [
        (
            Launch::bare().set("inference.max_age_ms", "soon"),
            "GLANCED__INFERENCE__MAX_AGE_MS: inference.max_age_ms is \"soon\"",
        ),
        (Launch::bare().env("GLANCED__MQTT__URLL", "x"), "GLANCED__MQTT__URLL"),
        (Launch::bare().env("GLANCED__SOURCES", "x"), "sources can't be set from the environment"),
    ];
    for (launch, words) in cases {
        let ended = launch.run(&["run"]);
        assert_eq!(ended.code, Some(78), "{ended:?}");
        assert!(ended.stderr.contains(words), "{words:?} is not in {ended:?}");
    }
    let ended = Launch::bare().run(&["run", "--broker", "http://x"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(ended.stderr.contains("--broker: mqtt.url is \"http://x\""), "{ended:?}");
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let launch = Launch::bare();
    std::fs::remove_file(launch.dir().join("glanced.toml")).expect("the file is there");
    let ended = launch.run(&["run"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(ended.stderr.contains("glanced.toml") && ended.stderr.contains("No such file"), "{ended:?}");
}

#[test]
fn what_config_prints_is_a_configuration_and_changes_nothing() {
    let printed = Launch::bare().run(&["config"]);
    assert_eq!(printed.code, Some(0));
    let values = |launch: Launch| {
        // Each launch has folders of its own.
        let launch = launch.set("store.dir", "elsewhere").set("model.cache", "elsewhere");
        let shown = launch.run(&["config", "--effective", "--json"]);
        assert_eq!(shown.code, Some(0), "{shown:?}");
        let shown = shown.json();
        let entries = shown.as_object().expect("an object").iter();
        entries.map(|(key, entry)| (key.clone(), entry["value"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(values(Launch::bare().file(&printed.stdout)), values(Launch::bare()));
}

#[test]
fn the_configuration_in_force_says_where_each_value_comes_from() {
    let launch = Launch::bare()
        .file("[mqtt]\nurl = \"mqtt://file\"\nprefix = \"eyes\"\nnode = \"file\"\n")
        .set("mqtt.node", "env")
        .set("mqtt.url", "mqtt://env");
    let shown = launch.run(&["config", "--effective", "--json", "--broker", "mqtt://flag:1884"]).json();
    let file = launch.dir().join("glanced.toml").display().to_string();
    for (key, value, origin) in [
        ("mqtt.url", "\"mqtt://flag:1884\"", "--broker"),
        ("mqtt.node", "\"env\"", "GLANCED__MQTT__NODE"),
        ("mqtt.prefix", "\"eyes\"", file.as_str()),
        ("mqtt.protocol", "\"5\"", "default"),
        ("sources[0].topic", "\"cameras/+/frame\"", "default"),
    ] {
        assert_eq!((&shown[key]["value"], &shown[key]["origin"]), (&value.into(), &origin.into()), "{key}");
    }
    let text = launch.run(&["config", "--effective", "--broker", "mqtt://flag:1884"]).stdout;
    assert!(
        text.lines().any(|line| line.starts_with("mqtt.url = \"mqtt://flag:1884\" ") && line.ends_with("# --broker")),
        "{text}"
    );
}

#[test]
fn secrets_are_never_shown() {
    const SECRETS: [&str; 2] = ["a-password-of-mine", "a-token-of-24-characters"];
    let launch = Launch::bare();
    let [password, token] = SECRETS.map(|secret| launch.write(&secret[..6], secret).display().to_string());
    let launch = launch.set("mqtt.username", "me").set("mqtt.password_file", &password).set("http.token_file", &token);
    for args in [&["config", "--effective"][..], &["config", "--effective", "--json"]] {
        let shown = launch.run(args);
        assert_eq!(shown.code, Some(0), "{shown:?}");
        assert!(shown.stdout.contains(&password) && shown.stdout.contains(&token));
        for secret in SECRETS {
            assert!(!shown.stdout.contains(secret) && !shown.stderr.contains(secret), "{shown:?}");
        }
    }
    // Not even when it stands where it should not.
    let ended = Launch::bare().set("mqtt.url", "mqtt://me:a-password-of-mine@host").run(&["run"]);
    assert_eq!(ended.code, Some(78));
    assert!(!ended.stderr.contains(SECRETS[0]), "{ended:?}");
}
