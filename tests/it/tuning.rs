//! What is decided by the box itself: precision, workers, threads; and what is kept of it on disk.

use std::fs;
use std::path::{Path, PathBuf};

use glanced::model::{Bundle, Onnx};
use serde_json::{Value, json};

use crate::bundles::{copied, edit, sha256};
use crate::support::launch::Launch;
use crate::support::pictures::{GREEN, RED, plain, png};
use crate::support::text;

/// A model whose network of 8 bits can be told from the other one: it answers the opposite.
fn with_int8() -> Launch {
    copied("tints", |dir| {
        let bundle = Bundle::open(dir).expect("a bundle");
        let head = bundle.head.expect("a last layer");
        let mut onnx = Onnx::read(&bundle.model_file).expect("its network");
        let mut layer = onnx.head(&head).expect("its last layer");
        layer.weight.iter_mut().for_each(|weight| *weight = -*weight);
        onnx.set_head(&head, &layer).expect("a layer of the same size");
        let file = dir.join("model.int8.onnx");
        fs::write(&file, onnx.to_bytes()).expect("a file in a temporary folder");
        let sum = sha256(&file);
        edit(&dir.join("bundle.toml"), |text| {
            let text = text.replace("[sha256]\n", &format!("[sha256]\n\"model.int8.onnx\" = \"{sum}\"\n"));
            text + "\n[int8]\nweight_bits = 7\n"
        });
    })
}

fn cache(launch: &Launch) -> PathBuf {
    launch.dir().join("cache")
}

fn graphs(launch: &Launch) -> Vec<PathBuf> {
    let entries = fs::read_dir(cache(launch)).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    let mut graphs: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "ort")).collect();
    graphs.sort();
    graphs
}

fn best(launch: &Launch, precision: &str, picture: &Path) -> String {
    // Flags are for a few keys only; a launch that is used more than once takes this one from its file.
    launch.write("glanced.toml", &format!("[inference]\nprecision = \"{precision}\"\n"));
    let answer = launch.run(&["classify", "--json", text(picture)]).done();
    answer["results"][0]["top3"][0]["label"].as_str().unwrap_or_else(|| panic!("no label: {answer}")).to_owned()
}

fn tuned(launch: &Launch) -> Value {
    let text = fs::read(cache(launch).join("tuned.json")).expect("what was measured");
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
fn the_network_of_the_precision_that_is_set_is_used() {
    let launch = with_int8().unset("inference.precision");
    let picture = launch.dir().join("red.png");
    fs::write(&picture, png(&plain(RED))).expect("a file in a temporary folder");
    assert_eq!(best(&launch, "fp32", &picture), "red");
    assert_ne!(best(&launch, "int8", &picture), "red");
    assert!(!cache(&launch).join("tuned.json").exists(), "nothing was to be measured");

    // Both take the same time, but for chance, of which so small a network has much: what was found is what counts.
    let chosen = best(&launch, "auto", &picture);
    let measured = tuned(&launch);
    let [fp32, int8] = ["fp32_ms", "int8_ms"].map(|key| measured["models"]["tints"][key].as_f64().expect("a time"));
    assert!(fp32 > 0.0 && int8 > 0.0, "{measured}");
    assert_eq!(chosen == "red", int8 >= 0.9 * fp32, "{measured}");
    let mut told = measured;
    told["models"]["tints"] = json!({"fp32_ms": 2.0, "int8_ms": 1.0});
    fs::write(cache(&launch).join("tuned.json"), told.to_string()).expect("a file in a temporary folder");
    assert_ne!(best(&launch, "auto", &picture), "red", "what is remembered holds");

    told["machine"] = json!("another one");
    fs::write(cache(&launch).join("tuned.json"), told.to_string()).expect("a file in a temporary folder");
    best(&launch, "auto", &picture);
    assert_ne!(tuned(&launch)["models"], told["models"], "on another machine it means nothing, and is measured anew");
}

#[test]
fn a_precision_that_a_model_does_not_have_is_said_and_not_missed() {
    let launch = copied("tints", |_| {}).set("inference.precision", "int8");
    let node = launch.start();
    let said = node.log.wait_for("has no such network", 1);
    assert_eq!(said[0]["model"], "tints", "{said:?}");
    node.stop();
}

#[test]
fn an_optimised_network_is_kept_and_made_anew_when_it_is_damaged() {
    let launch = copied("tints", |_| {});
    let picture = launch.dir().join("green.png");
    fs::write(&picture, png(&plain(GREEN))).expect("a file in a temporary folder");
    let classify = || {
        let answer = launch.run(&["classify", "--json", text(&picture)]).done();
        answer["results"][0]["top3"].clone()
    };
    let first = classify();
    assert_eq!(first[0]["label"], "green");
    let kept = graphs(&launch);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(classify(), first);
    assert_eq!(graphs(&launch), kept);

    let whole = fs::read(&kept[0]).expect("the graph");
    for damaged in [&whole[..whole.len() / 2], &[0; 4096], b""] {
        fs::write(&kept[0], damaged).expect("a file in a temporary folder");
        assert_eq!(classify(), first);
        let anew = fs::read(&kept[0]).expect("the graph");
        // Not the same bytes: its parts have no order.
        assert!(anew.len() == whole.len() && anew.ends_with(b"glanced1"), "{} of {} bytes", anew.len(), whole.len());
    }
}

#[test]
fn a_cache_that_can_not_be_written_is_no_reason_not_to_serve() {
    let launch = copied("tints", |_| {});
    let taken = launch.write("taken", "a file where the folder should be");
    let launch = launch.set("model.cache", taken.display());
    let checked = launch.run(&["check", "--no-broker"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    // But who asks for something to be remembered is told that it can't be.
    let tuned = launch.run(&["tune", "--seconds", "0.01", "--rounds", "1"]);
    assert_eq!(tuned.code, Some(1), "{tuned:?}");
    assert!(tuned.stderr.contains("model.cache"), "{tuned:?}");
}

#[test]
fn what_tune_found_is_used_where_the_configuration_leaves_it_open() {
    let launch = with_int8().unset("inference.precision").unset("inference.workers");
    let quick = ["tune", "--json", "--seconds", "0.01", "--rounds", "1"];
    let shown = launch.run(&[&quick[..], &["--dry-run"]].concat()).done();
    assert_eq!(shown["remembered"], Value::Null);
    assert!(!cache(&launch).join("tuned.json").exists());

    let report = launch.run(&quick).done();
    let rows = report["arrangements"].as_array().expect("a list");
    let cores = report["cores"].as_u64().expect("a number");
    for precision in ["fp32", "int8"] {
        let row = rows.iter().find(|row| row["precision"] == precision && row["threads"] == 1);
        let row = row.unwrap_or_else(|| panic!("no {precision}: {report}"));
        assert_eq!(row["workers"].as_u64(), Some(cores.min(64)));
        assert!(row["fps"].as_f64() > Some(0.0) && row["ms"].as_f64() > Some(0.0), "{row}");
    }
    let scales = report["decoding"].as_array().expect("a list");
    assert!(scales.len() > 2 && scales.iter().all(|scale| scale["ms"].as_f64() > Some(0.0)), "{report}");
    let remembered = tuned(&launch);
    assert_eq!(remembered["arrangement"]["workers"], report["chosen"]["workers"]);
    assert_eq!(remembered["oversample"], report["chosen"]["oversample"]);

    // Something that nobody would choose by rule of thumb.
    let mut told = remembered;
    told["arrangement"] = json!({"workers": 1, "threads": 2, "precision": "fp32", "spinning": false});
    fs::write(cache(&launch).join("tuned.json"), told.to_string()).expect("a file in a temporary folder");
    let node = launch.start();
    let serving = node.log.wait_for("serving", 1);
    let fields = &serving[0];
    assert_eq!((&fields["workers"], &fields["threads_per_worker"]), (&json!(1), &json!(2)), "{serving:?}");
    node.stop();
}

#[test]
fn settings_win_over_what_was_measured() {
    let launch = copied("tints", |_| {}).set("inference.workers", 3).set("decode.oversample", 2.0);
    let report = launch.run(&["tune", "--json", "--seconds", "0.01", "--rounds", "1"]).done();
    let overruled: Vec<_> = report["overruled"].as_array().expect("a list").iter().map(Value::to_string).collect();
    assert_eq!(overruled, ["\"inference.workers\"", "\"inference.precision\"", "\"decode.oversample\""]);
    let node = launch.start();
    let serving = node.log.wait_for("serving", 1);
    assert_eq!(serving[0]["workers"], 3, "{serving:?}");
    node.stop();
}

#[test]
fn a_frame_of_a_camera_can_be_measured_with_and_must_be_one() {
    let launch = copied("tints", |_| {});
    let frame = launch.dir().join("frame.png");
    fs::write(&frame, png(&plain(RED))).expect("a file in a temporary folder");
    launch.run(&["tune", text(&frame), "--json", "--seconds", "0.01", "--rounds", "1"]).done();
    let wrong = launch.write("frame.txt", "no picture");
    let ended = launch.run(&["tune", text(&wrong)]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("frame.txt") && ended.stderr.contains("not an image"), "{ended:?}");
    let nowhere = launch.run(&["tune", "nowhere.jpg"]);
    assert_eq!(nowhere.code, Some(1), "{nowhere:?}");
    assert!(nowhere.stderr.contains("nowhere.jpg"), "{nowhere:?}");
}
