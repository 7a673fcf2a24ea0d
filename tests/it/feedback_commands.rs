//! `glanced feedback …`: what is said is kept, shown, taken out and brought in again.

mod fixture;

use std::fs;
use std::process::Stdio;

use glanced::feedback::Store;
use glanced::feedback::store::Options;
use serde_json::{Value, json};

use self::fixture::{content, files, filled, frame, label, launch, manifest, said, stats};
use crate::feedback;
use crate::support::broker::Mosquitto;
use crate::support::client::Client;
use crate::support::launch::Launch;
use crate::support::pictures::{BLUE, GREEN, RED, jpeg, plain, png};
use crate::support::{program, text};

#[test]
fn stats_and_list_show_what_stands() {
    let launch = launch();
    filled(&launch);
    let counts = stats(&launch);
    assert_eq!(counts["labelled"], 2);
    assert_eq!(counts["unlabelled"], 1);
    assert_eq!(counts["journal_entries"], 5);
    assert_eq!(counts["by_label"], json!({"../pink/light": 1, "red": 1, "green": 1}));
    assert!(counts["bytes"].as_u64().is_some_and(|bytes| bytes > 1000), "{counts}");
    let table = launch.run(&["feedback", "stats"]);
    assert!(table.code == Some(0) && table.stdout.contains("labelled frames"), "{table:?}");

    let list = |args: &[&str]| launch.run(&[&["feedback", "list", "--json"], args].concat()).done();
    let all = list(&[]);
    assert_eq!(all["feedback"].as_array().map(Vec::len), Some(3), "{all}");
    assert_eq!(all["more"], false);
    let red = list(&["--label", "red"]);
    assert_eq!(red["feedback"][0]["frame"], frame(1).to_string());
    assert_eq!(red["feedback"].as_array().map(Vec::len), Some(1), "{red}");
    let one = list(&["--limit", "1"]);
    assert_eq!((one["feedback"].as_array().map(Vec::len), &one["more"]), (Some(1), &json!(true)), "{one}");
    assert_eq!(list(&["--camera", "nowhere"])["feedback"], json!([]));
    let waiting = list(&["--unlabelled"]);
    assert_eq!(waiting["frames"][0]["frame"], frame(3).to_string());
    assert_eq!(waiting["frames"][0]["reason"], "margin");
    assert_eq!(list(&["--unlabelled", "--camera", "gate"])["frames"], json!([]));
    let people = launch.run(&["feedback", "list"]);
    assert!(people.stdout.contains("../pink/light  (saw: green 71.4 %)"), "{people:?}");
}

#[test]
fn an_export_that_is_imported_elsewhere_loses_nothing() {
    let from = launch();
    filled(&from);
    let (one, two) = (from.dir().join("one"), from.dir().join("two"));
    let first = from.run(&["feedback", "export", text(&one), "--json"]).done();
    assert_eq!(first, json!({"frames": 3, "labelled": 2, "unlabelled": 1, "skipped": 0, "missing": 0, "marked": 0}));
    let names: Vec<_> = files(&one).into_keys().collect();
    let [a, b, c] = [1, 2, 3].map(frame);
    assert_eq!(
        names,
        [
            format!("%2E.%2Fpink%2Flight/{a}.jpg"),
            format!("{c}.png"),
            format!("green/{b}.jpg"),
            "manifest.jsonl".to_owned()
        ]
    );
    assert_eq!(files(&one)[&format!("green/{b}.jpg")], jpeg(&plain(GREEN)));

    let to = launch();
    let import = |launch: &Launch| launch.run(&["feedback", "import", text(&one), "--json"]).done();
    assert_eq!(import(&to), json!({"stored": 5, "known": 0, "failed": 0}));
    let counts = content(&to);
    assert_eq!(import(&to), json!({"stored": 0, "known": 5, "failed": 0}));
    assert_eq!(content(&to), counts, "the second import changed something");
    // Nor does it change where it comes from.
    assert_eq!(import(&from), json!({"stored": 0, "known": 5, "failed": 0}));

    to.run(&["feedback", "export", text(&two), "--json"]).done();
    assert_eq!(manifest(&one), manifest(&two));
    let (mut one, mut two) = (files(&one), files(&two));
    one.remove("manifest.jsonl");
    two.remove("manifest.jsonl");
    assert_eq!(one, two);
}

#[test]
fn an_export_goes_on_where_it_stopped_and_follows_what_was_said_since() {
    let launch = launch();
    let store = filled(&launch);
    let out = launch.dir().join("out");
    let export = || launch.run(&["feedback", "export", text(&out), "--json"]).done();
    export();
    let before = files(&out);
    // As if it had stopped: no manifest, a file missing, one cut, and one half written.
    let green = out.join(format!("green/{}.jpg", frame(2)));
    fs::remove_file(out.join("manifest.jsonl")).expect("there");
    fs::remove_file(out.join(format!("{}.png", frame(3)))).expect("there");
    fs::write(&green, b"cut").expect("written");
    fs::write(out.join(format!("green/{}.jpg.part", frame(2))), b"cut").expect("written");
    assert_eq!(export()["skipped"], 1);
    assert_eq!(files(&out), before);
    assert_eq!(export()["skipped"], 3);
    assert_eq!(files(&out), before);

    // One frame gets another label, one is removed from the store.
    let opened = Store::open(&store, Options::default(), |_| {}).expect("the store");
    opened.add(vec![said(2, None, "2026-11-24T04:00:00Z", label("blue", Some(2)), Vec::new())]).expect("room");
    opened.remove(&[frame(1)], "test").expect("room");
    drop(opened);
    assert_eq!(export()["frames"], 2);
    let after = files(&out);
    assert!(!green.exists() && after.contains_key(&format!("blue/{}.jpg", frame(2))), "{:?}", after.keys());
    let lines = manifest(&out);
    assert_eq!(lines.len(), 3, "the export has lost a frame that the store has removed");
    assert!(lines.iter().all(|line| after.contains_key(line["file"].as_str().expect("a file"))), "{lines:?}");
}

#[test]
fn exported_frames_are_marked_when_asked_for() {
    let launch = launch();
    filled(&launch);
    let out = launch.dir().join("out");
    let answer = launch.run(&["feedback", "export", text(&out), "--mark-exported", "--json"]).done();
    assert_eq!(answer["marked"], 2);
    assert_eq!(stats(&launch)["exported"], 2);
}

#[test]
fn a_tar_on_standard_output_is_the_folder() {
    let launch = launch();
    let store = filled(&launch);
    let out = launch.dir().join("out");
    launch.run(&["feedback", "export", text(&out), "--json"]).done();
    let child = program()
        .args(["feedback", "export", "-", "--config", text(&launch.dir().join("glanced.toml"))])
        .env("GLANCED__STORE__DIR", &store)
        .stderr(Stdio::null())
        .output()
        .expect("the binary can be started");
    assert!(child.status.success());
    let unpacked = launch.dir().join("unpacked");
    tar::Archive::new(&child.stdout[..]).unpack(&unpacked).expect("a tar");
    assert_eq!(files(&unpacked), files(&out));
}

#[test]
fn label_studio_gets_tasks_with_predictions_and_annotations() {
    let launch = launch();
    filled(&launch);
    let out = launch.dir().join("out");
    launch.run(&["feedback", "export", text(&out), "--format", "label-studio", "--json"]).done();
    let tasks: Value = serde_json::from_slice(&fs::read(out.join("tasks.json")).expect("tasks")).expect("JSON");
    let tasks = tasks.as_array().expect("a list");
    assert_eq!(tasks.len(), 3);
    for task in tasks {
        let image = task["data"]["image"].as_str().expect("a text");
        let file = image.strip_prefix("/data/local-files/?d=").expect("a local file");
        assert!(out.join(file).is_file(), "{image}");
        assert_eq!(task["predictions"][0]["model_version"], "tints 1");
        assert_eq!(task["predictions"][0]["result"][0]["value"]["choices"], json!(["green"]));
        assert!((task["predictions"][0]["score"].as_f64().expect("a number") - 0.7142).abs() < 1e-6);
    }
    let annotations = |index: usize| tasks[index]["annotations"].as_array().map(Vec::len);
    assert_eq!([annotations(0), annotations(1), annotations(2)], [Some(2), Some(1), Some(0)]);
    assert_eq!(tasks[1]["annotations"][0]["result"][0]["value"]["choices"], json!(["green"]));
}

#[test]
fn a_folder_of_folders_is_imported_once() {
    let launch = launch();
    let dir = launch.dir().join("pictures");
    let pictures: [(&str, &str, Vec<u8>); 5] = [
        ("RED", "1.jpg", jpeg(&plain(RED))),
        ("green", "2.png", png(&plain(GREEN))),
        ("light pink", "3.jpg", jpeg(&plain(BLUE))),
        ("green", "notes.txt", b"no picture".to_vec()),
        (".hidden", "4.jpg", jpeg(&plain(GREEN))),
    ];
    for (label, file, bytes) in pictures {
        fs::create_dir_all(dir.join(label)).expect("a folder");
        fs::write(dir.join(label).join(file), bytes).expect("a file");
    }
    let import = || launch.run(&["feedback", "import", text(&dir), "--json"]);
    let ended = import();
    assert_eq!((ended.code, ended.json()), (Some(1), json!({"stored": 3, "known": 0, "failed": 1})), "{ended:?}");
    assert!(ended.stderr.contains("notes.txt: not an image that is read here: text: no picture"), "{ended:?}");
    let counts = content(&launch);
    assert_eq!(counts["by_label"], json!({"red": 1, "green": 1, "light pink": 1}));
    assert_eq!(import().json(), json!({"stored": 0, "known": 3, "failed": 1}));
    assert_eq!(content(&launch), counts);
    let red = launch.run(&["feedback", "list", "--label", "red", "--json"]).done();
    let red = &red["feedback"][0];
    assert_eq!((&red["via"], &red["statement"]["class"]), (&json!("import"), &json!(0)), "{red}");
    assert_eq!(red["model"], json!({"name": "tints", "version": "1"}));
    let pink = launch.run(&["feedback", "list", "--label", "light pink", "--json"]).done();
    assert_eq!(pink["feedback"][0]["statement"]["new_class"], true, "{pink}");
}

#[test]
fn a_bad_line_of_a_manifest_is_named_and_the_rest_is_taken() {
    let from = launch();
    filled(&from);
    let out = from.dir().join("out");
    from.run(&["feedback", "export", text(&out), "--json"]).done();
    fs::write(out.join(format!("green/{}.jpg", frame(2))), jpeg(&plain(BLUE))).expect("written");
    let manifest = out.join("manifest.jsonl");
    let lines = fs::read_to_string(&manifest).expect("a manifest");
    fs::write(&manifest, lines.replace(&format!("\"{}.png\"", frame(3)), "\"../../etc/passwd\"") + "{\n")
        .expect("written");
    let to = launch();
    let ended = to.run(&["feedback", "import", text(&out), "--json"]);
    assert_eq!((ended.code, ended.json()), (Some(1), json!({"stored": 3, "known": 0, "failed": 3})), "{ended:?}");
    for wanted in
        ["line 2: ", "its content is not what the manifest says", "line 3: ", "is no file below", "line 4: EOF"]
    {
        assert!(ended.stderr.contains(wanted), "without {wanted:?}: {ended:?}");
    }
}

#[test]
fn rebuild_gives_the_same_from_the_journal() {
    let launch = launch();
    let store = filled(&launch);
    let before = stats(&launch);
    let answer = launch.run(&["feedback", "rebuild", "--json"]).done();
    assert_eq!(answer, json!({"journal_entries": 5, "labelled": 2, "unlabelled": 1}));
    fs::remove_dir_all(store.join("index")).expect("an index");
    assert_eq!(launch.run(&["feedback", "rebuild", "--json"]).done(), answer);
    let after = stats(&launch);
    for key in ["labelled", "unlabelled", "journal_entries", "feedback", "by_label", "by_model"] {
        assert_eq!(after[key], before[key], "{key}");
    }
}

#[test]
fn add_stores_what_a_person_says() {
    let launch = launch();
    let picture = launch.dir().join("1.jpg");
    fs::write(&picture, jpeg(&plain(RED))).expect("a file");
    let new = frame(7).to_string();
    let add = |args: &[&str]| launch.run(&[&["feedback", "add", "--json"], args].concat());
    let with_picture = ["--frame", &new, "--label", "Red", "--image", text(&picture), "--camera", "gate", "--id", "a"];
    let first = add(&with_picture).done();
    assert_eq!((&first["stored"], &first["new_class"]), (&json!(true), &json!(false)), "{first}");
    assert_eq!(add(&with_picture).done()["feedback"], first["feedback"], "a resend is a second statement");
    assert_eq!(add(&["--frame", &new, "--label", "pink", "--by", "anna"]).done()["new_class"], true);
    assert_eq!(stats(&launch)["by_label"], json!({"red": 1, "pink": 1}));
    assert_eq!(add(&["--frame", &new, "--class", "2", "--by", "anna"]).done()["new_class"], false);
    assert_eq!(stats(&launch)["by_label"], json!({"red": 1, "blue": 1}));

    let table: [(&[&str], &str); 4] = [
        (&["--frame", &new, "--class", "4"], "model tints has no class 4: they are 0 to 3"),
        (&["--frame", &new, "--correct"], "is not known: say it with --label or --class"),
        (&["--frame", "0000000000000000000000000A", "--label", "red"], "give its picture with --image"),
        (&["--frame", &new, "--label", " "], "the label is empty"),
    ];
    for (args, wanted) in table {
        let ended = add(args);
        assert!(ended.code == Some(1) && ended.stderr.contains(wanted), "without {wanted:?}: {ended:?}");
    }
    let ended = add(&["--frame", &new]);
    assert!(ended.code == Some(2) && ended.stderr.contains("--correct"), "{ended:?}");

    // A frame that the daemon saw.
    filled(&launch);
    add(&["--frame", &frame(3).to_string(), "--correct"]).done();
    assert_eq!(stats(&launch)["unlabelled"], 0);
}

#[test]
fn add_tells_the_daemon_that_has_the_store() {
    let mosquitto = Mosquitto::new();
    let launch = Launch::new(mosquitto.url());
    let picture = launch.dir().join("7.jpg");
    let node = launch.serve();
    let client = Client::v5(mosquitto.open);
    client.subscribe("glanced/+/top3");
    let seen = feedback::frame(&client, "gate", jpeg(&plain(GREEN)));
    let seen = seen.as_str().expect("a frame's id");
    let add = |args: &[&str]| node.run(&[&["feedback", "add", "--json"], args].concat());

    let held = add(&["--frame", seen, "--label", "pink", "--by", "ann"]).done();
    assert_eq!((&held["stored"], &held["new_class"]), (&json!(true), &json!(true)), "{held}");
    let new = frame(7).to_string();
    fs::write(&picture, jpeg(&plain(RED))).expect("a file");
    add(&["--frame", &new, "--label", "red", "--image", text(&picture), "--camera", "yard"]).done();
    assert_eq!(node.run(&["feedback", "stats", "--json"]).done()["by_label"], json!({"pink": 1, "red": 1}));
    let refused = add(&["--frame", &frame(8).to_string(), "--correct"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("it was refused: "), "{refused:?}");
    node.stop();
}

#[test]
fn what_is_removed_is_gone_with_its_picture() {
    let launch = launch();
    let store = filled(&launch);
    let pictures = || files(&store.join("blobs")).into_keys().filter(|name| !name.starts_with("new")).count();
    assert_eq!(pictures(), 3);
    let remove = |args: &[&str]| launch.run(&[&["feedback", "remove", "--json"], args].concat());
    assert_eq!(remove(&["--unlabelled", "--camera", "gate"]).done()["removed"], 0, "it is from the yard");
    assert_eq!(remove(&["--unlabelled", "--camera", "yard"]).done()["removed"], 1);
    assert_eq!((pictures(), &stats(&launch)["unlabelled"]), (2, &json!(0)));
    let [labelled, unknown] = [frame(1), frame(9)].map(|frame| frame.to_string());
    let ended = remove(&["--frame", &labelled, "--frame", &unknown]);
    assert!(ended.code == Some(1) && ended.stderr.contains(&format!("{unknown} is not in the store")), "{ended:?}");
    assert_eq!(ended.json(), json!({"removed": 1, "missing": 1}));
    assert_eq!((pictures(), &stats(&launch)["by_label"]), (1, &json!({"green": 1})));
    for args in [&[][..], &["--unlabelled", "--frame", &labelled], &["--frame", &labelled, "--camera", "gate"]] {
        assert_eq!(remove(args).code, Some(2), "{args:?}");
    }
}

#[test]
fn a_store_in_use_is_read_and_not_written() {
    let launch = launch().set("mqtt.protocol", "3.1.1");
    let dir = filled(&launch);
    let _in_use = Store::open(&dir, Options::default(), |_| {}).expect("the store");
    let out = launch.dir().join("out");
    assert_eq!(stats(&launch)["labelled"], 2);
    launch.run(&["feedback", "export", text(&out), "--json"]).done();
    let holder = format!("in use by process {}", std::process::id());
    let known = frame(1).to_string();
    let table: [(&[&str], &str); 5] = [
        (&["rebuild"], "Stop the daemon first"),
        (&["remove", "--unlabelled"], "Stop the daemon first"),
        (&["import", text(&out)], "Stop the daemon first"),
        (&["export", text(&out), "--mark-exported"], "Without --mark-exported"),
        (&["add", "--frame", &known, "--label", "red"], "with MQTT 3.1.1 there are no answers; stop the daemon first"),
    ];
    for (args, wanted) in table {
        let ended = launch.run(&[&["feedback"], args].concat());
        let said = ended.stderr.contains(&holder) && ended.stderr.contains(wanted);
        assert!(ended.code == Some(1) && said, "without {wanted:?}: {ended:?}");
    }
}

#[test]
fn what_is_not_there_is_said() {
    let launch = launch();
    let store = launch.dir().join("store");
    let gone = launch.dir().join("gone");
    let empty = launch.dir().join("empty");
    fs::create_dir(&empty).expect("a folder");
    let table: [(&[&str], &str); 6] = [
        (&["stats"], "no feedback is stored there (store.dir says where)"),
        (&["list"], "no feedback is stored there"),
        (&["rebuild"], "no feedback is stored there"),
        (&["export", text(&gone)], "no feedback is stored there"),
        (&["import", text(&gone)], "no such folder"),
        (&["import", text(&empty)], "neither manifest.jsonl nor a folder with pictures"),
    ];
    for (args, wanted) in table {
        let ended = launch.run(&[&["feedback"], args].concat());
        assert!(ended.code == Some(69) && ended.stderr.contains(wanted), "without {wanted:?}: {ended:?}");
    }
    assert!(!store.exists() && !gone.exists(), "a command that failed has left something");
}
