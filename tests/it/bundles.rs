//! Bundles that can't be used: what `check` and `run` say of them.

use std::path::Path;

use crate::support::bundles;
use crate::support::launch::Launch;

/// A copy of a bundle, to be spoilt, in the folder of a launch that uses it.
pub(crate) fn copied(name: &str, spoil: impl FnOnce(&Path)) -> Launch {
    copied_from(&bundles(), name, spoil)
}

/// The same of a bundle in some folder of models.
pub(crate) fn copied_from(from: &Path, name: &str, spoil: impl FnOnce(&Path)) -> Launch {
    let launch = Launch::new("mqtt://127.0.0.1:1883");
    let models = launch.dir().join("models");
    let to = models.join(name).join("1");
    std::fs::create_dir_all(&to).expect("a folder in a temporary folder");
    for entry in std::fs::read_dir(from.join(name).join("1")).expect("the bundle") {
        let file = entry.expect("a file of the bundle").path();
        std::fs::copy(&file, to.join(file.file_name().expect("a name"))).expect("a copy in a temporary folder");
    }
    spoil(&to);
    launch.set("model.dir", models.display()).set("model.name", name)
}

pub(crate) fn edit(file: &Path, change: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(file).expect("a text of the bundle");
    std::fs::write(file, change(text)).expect("a file in a temporary folder");
}

/// Both commands end with 69 and say this; neither gets as far as the broker.
fn assert_missing(launch: &Launch, words: &[&str]) {
    let checked = launch.run(&["check", "--no-broker"]);
    let run = launch.run(&["run"]);
    assert_eq!((checked.code, run.code), (Some(69), Some(69)), "{checked:?} {run:?}");
    for said in [&checked.stdout, &run.stderr] {
        for word in words {
            assert!(said.contains(word), "{word:?} is not in {said:?}");
        }
    }
    assert!(checked.stdout.contains("FAILED model"), "{checked:?}");
    assert!(!run.stderr.contains("\"serving\""), "{run:?}");
}

#[test]
fn a_good_bundle_is_found_good() {
    let ended = copied("tints", |_| {}).run(&["check", "--no-broker", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report = ended.json();
    assert_eq!(report["ok"], true);
    let names: Vec<_> =
        report["checks"].as_array().expect("a list").iter().map(|check| check["name"].clone()).collect();
    assert_eq!(names, ["configuration", "ONNX Runtime", "model tints 1"]);
}

#[test]
fn a_model_that_is_nowhere() {
    let launch = Launch::new("mqtt://127.0.0.1:1883").set("model.name", "nothing");
    let searched = bundles().display().to_string();
    assert_missing(&launch, &["model \"nothing\" was not found in", &searched, "/usr/share/glanced/models"]);
}

#[test]
fn a_source_whose_model_is_nowhere() {
    let sources = "[[sources]]\ntopic = \"a/+\"\n[[sources]]\ntopic = \"b/+\"\nmodel = \"nothing\"\n";
    let launch = Launch::new("mqtt://127.0.0.1:1883").file(sources);
    assert_missing(&launch, &["model \"nothing\" was not found in"]);
}

#[test]
fn a_file_that_is_missing() {
    for file in ["model.onnx", "labels.tsv"] {
        let launch = copied("tints", |dir| std::fs::remove_file(dir.join(file)).expect("the file is there"));
        assert_missing(&launch, &[file, "No such file"]);
    }
}

#[test]
fn a_file_with_another_hash() {
    for file in ["model.onnx", "labels.tsv"] {
        let launch = copied("tints", |dir| {
            let mut bytes = std::fs::read(dir.join(file)).expect("a file of the bundle");
            let last = bytes.len() - 2;
            bytes[last] ^= 1;
            std::fs::write(dir.join(file), bytes).expect("a file in a temporary folder");
        });
        assert_missing(&launch, &[file, "its sha256 is", "but bundle.toml says"]);
    }
}

#[test]
fn labels_of_another_length() {
    assert_missing(
        &Launch::new("mqtt://127.0.0.1:1883").set("model.name", "wrong-labels"),
        &["wrong-labels/1/model.onnx", "the model gives 4 scores, but labels.tsv has 3 classes"],
    );
}

#[test]
fn a_model_with_two_inputs() {
    assert_missing(
        &Launch::new("mqtt://127.0.0.1:1883").set("model.name", "two-inputs"),
        &["two-inputs/1/model.onnx", "one image input is needed, but the model has 2: input, other"],
    );
}

#[test]
fn a_description_that_does_not_fit() {
    let cases: [(&str, &str, &[&str]); 6] = [
        ("tensor = \"input\"", "tensor = \"picture\"", &["picture"]),
        ("tensor = \"logits\"", "tensor = \"answers\"", &["answers"]),
        ("size = [32, 32]", "size = [0, 32]", &["bundle.toml", "input.size is [0, 32]"]),
        ("temperature = 1.0", "temperature = 0.0", &["bundle.toml", "temperature is 0"]),
        ("[input]", "colour = 1\n[input]", &["bundle.toml", "colour"]),
        ("[input]", "[input", &["bundle.toml"]),
    ];
    for (from, to, words) in cases {
        let launch = copied("tints", |dir| edit(&dir.join("bundle.toml"), |text| text.replacen(from, to, 1)));
        assert_missing(&launch, words);
    }
}

#[test]
fn a_model_that_is_no_model() {
    let launch = copied("tints", |dir| {
        std::fs::write(dir.join("model.onnx"), "no protocol buffer").expect("a file in a temporary folder");
        // The hash of just that: the bundle is whole, but useless.
        let hash = "33b7701b1cbc149e37f2d22cb548bc619aa79381035ec1879ce0c9061f1f0c02";
        let new = sha256(&dir.join("model.onnx"));
        edit(&dir.join("bundle.toml"), |text| text.replace(hash, &new));
    });
    assert_missing(&launch, &["model.onnx", "ONNX Runtime"]);
}

pub(crate) fn sha256(file: &Path) -> String {
    use sha2::{Digest, Sha256};
    let bytes = std::fs::read(file).expect("a file in a temporary folder");
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_runtime_that_is_missing_or_none() {
    let launch = Launch::new("mqtt://127.0.0.1:1883");
    let none = launch.write("libonnxruntime.so", "no library");
    for path in [Path::new("/nowhere/libonnxruntime.so"), &none] {
        let launch = Launch::new("mqtt://127.0.0.1:1883").set("model.runtime", path.display());
        let checked = launch.run(&["check", "--no-broker"]);
        let run = launch.run(&["run"]);
        assert_eq!((checked.code, run.code), (Some(69), Some(69)), "{checked:?} {run:?}");
        for said in [&checked.stdout, &run.stderr] {
            assert!(said.contains(&format!("could not be loaded from {}", path.display())), "{said}");
        }
        assert!(run.stderr.contains("make setup"), "{run:?}");
    }
}
