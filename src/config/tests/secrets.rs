//! Secrets: from files and credentials, and never shown.

use super::*;

#[test]
fn secrets_are_read_and_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let password = file(&dir, "password", "hunter2 \n");
    let token = file(&dir, "token", "abcdefghijklmnop\r\n");
    let config = file(
        &dir,
        "c.toml",
        format!(
            "[mqtt]\nusername = \"me\"\npassword_file = {password:?}\n[http]\nlisten = \"0.0.0.0:0\"\ntoken_file = {token:?}"
        ),
    );
    let inputs = Inputs { file: Some(config), ..inputs() };
    let loaded = load(&inputs).unwrap();
    assert_eq!(loaded.config.mqtt.password.as_ref().unwrap().expose(), "hunter2 ");
    assert_eq!(loaded.config.http.token.as_ref().unwrap().expose(), "abcdefghijklmnop");
    assert_eq!(loaded.values["mqtt.password_file"].value, format!("{password:?}"));
    let debug = format!("{loaded:?} {loaded:#?} {}", loaded.config.mqtt.password.as_ref().unwrap());
    assert!(debug.contains("***") && !debug.contains("hunter2") && !debug.contains("abcdefgh"), "{debug}");

    // A new password in the same file is a change.
    fs::write(&password, "hunter3").unwrap();
    let change = Change { key: "mqtt.password_file".into(), live: false };
    assert_eq!(changes(&loaded, &load(&inputs).unwrap()), [change]);
}

#[test]
fn credentials_are_the_files_of_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let other = file(&dir, "other", "from the file");
    let password = file(&dir, "mqtt-password", "hunter2\n");
    // As the unit sets them where there are none.
    file(&dir, "http-token", "\n");
    file(&dir, "mqtt-key", "\n");
    let config = file(&dir, "c.toml", format!("[mqtt]\nusername = \"me\"\npassword_file = {other:?}"));
    let inputs = Inputs { file: Some(config), credentials: Some(dir.path().to_owned()), ..inputs() };
    let loaded = load(&inputs).unwrap();
    assert_eq!(loaded.config.mqtt.password.as_ref().unwrap().expose(), "hunter2");
    let origin = Origin::Credential("mqtt-password");
    let setting = Setting { value: format!("{password:?}"), origin, line: None };
    assert_eq!(loaded.values["mqtt.password_file"], setting);
    assert_eq!(loaded.config.http.token, None);
    assert_eq!(loaded.config.mqtt.key_file, None);

    // What was said for this start alone wins.
    let env = vec![("GLANCED__MQTT__PASSWORD_FILE".to_owned(), other.display().to_string())];
    let loaded = load(&Inputs { env, ..inputs.clone() }).unwrap();
    assert_eq!(loaded.config.mqtt.password.unwrap().expose(), "from the file");

    file(&dir, "http-token", "abc");
    assert_eq!(
        wrong(load(&inputs)),
        "credential http-token: http.token_file names a file with fewer than 16 characters"
    );
}

#[test]
fn secret_and_certificate_files_are_judged() {
    let dir = tempfile::tempdir().unwrap();
    let name = |path: &Path| path.display().to_string();
    let missing = dir.path().join("missing");
    let (empty, large) = (file(&dir, "empty", "\n"), file(&dir, "large", vec![b'a'; 4097]));
    let (short, odd) = (file(&dir, "short", "abc"), file(&dir, "odd", "two words in a row"));
    let gone = "No such file or directory (os error 2)";
    for (section, key, path, want) in [
        ("mqtt", "password_file", &missing, format!("names {}, which can't be read: {gone}", name(&missing))),
        ("mqtt", "password_file", &empty, format!("names {}, which is empty", name(&empty))),
        (
            "mqtt",
            "password_file",
            &large,
            format!("names {}, which can't be read: larger than 4096 bytes", name(&large)),
        ),
        ("http", "token_file", &short, "names a file with fewer than 16 characters".to_owned()),
        ("http", "token_file", &odd, "names a file with more than visible ASCII characters in its one line".to_owned()),
        ("mqtt", "ca_file", &missing, format!("names {}, which can't be read: {gone}", name(&missing))),
        (
            "mqtt",
            "ca_file",
            &dir.path().to_owned(),
            format!("names {}, which can't be read: not a regular file", name(dir.path())),
        ),
    ] {
        let text = format!("mqtt.url = \"mqtts://x\"\nmqtt.username = \"me\"\n{section}.{key} = {path:?}");
        let path = file(&dir, "c.toml", text);
        let want = format!("{}:3: {section}.{key} {want}", path.display());
        assert_eq!(wrong(load(&Inputs { file: Some(path), ..inputs() })), want);
    }
}
