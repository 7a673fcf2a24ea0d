//! `eval`, and the views of a frame.

use std::path::Path;

use glanced::eval::degrade::Degradation;
use glanced::eval::run;
use glanced::frame::decode::Limits;
use serde_json::Value;

use crate::bundles::{copied_from, edit, sha256};
use crate::support::launch::Launch;
use crate::support::pictures::photograph;
use crate::support::root;

const LIMITS: Limits = Limits { max_bytes: 1 << 24, max_pixels: 40_000_000 };

/// Four photographs, in folders that name what they show in different ways.
fn labelled(dir: &Path) {
    for (folder, name) in [
        ("espresso", "coffee.jpg"),
        ("n02510455", "panda.jpg"),
        ("Egyptian_cat", "chelsea.jpg"),
        ("missile", "rocket.jpg"),
    ] {
        std::fs::create_dir_all(dir.join(folder)).expect("a folder");
        std::fs::write(dir.join(folder).join(name), photograph(name)).expect("a file");
    }
}

fn blurred(name: &str) -> Vec<u8> {
    let picture = run::decode(&photograph(name), LIMITS).expect("a photograph");
    run::encode(&Degradation::Blur.apply(&picture, 1))
}

fn rows(answer: &Value) -> Vec<(&str, &str, f64)> {
    let row = |row: &'_ Value| (row["top3"].as_f64().expect("a number"), row["n"].as_u64().expect("a number"));
    let rows = answer["rows"].as_array().expect("a list");
    rows.iter()
        .map(|found| {
            let (top3, n) = row(found);
            assert!(n > 0 && found["top3_low"].as_f64() <= Some(top3) && Some(top3) <= found["top3_high"].as_f64());
            (found["degrade"].as_str().expect("a text"), found["step"].as_str().expect("a text"), top3)
        })
        .collect()
}

#[test]
fn each_step_has_a_row_for_each_degradation() {
    let launch = Launch::bare();
    let dir = launch.dir().join("labelled");
    labelled(&dir);
    let args = ["eval", "--json", "--degrade", "blur,dark", "--sequence", "5", &dir.display().to_string()];
    let ended = launch.run(&args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let answer = ended.json();
    assert_eq!(answer["n"], 4);
    let found = rows(&answer);
    let names: Vec<_> = found.iter().map(|(degrade, step, _)| format!("{degrade} {step}")).collect();
    let mut wanted: Vec<String> = Vec::new();
    for degrade in ["none", "blur", "dark", "all"] {
        wanted.extend(["center", "temperature", "dynamic"].map(|step| format!("{degrade} {step}")));
    }
    for degrade in ["none x5", "blur x5", "dark x5", "all x5"] {
        wanted.extend(["center", "dynamic", "temporal"].map(|step| format!("{degrade} {step}")));
    }
    assert_eq!(names, wanted);
    assert!((found[0].2 - 1.0).abs() < 1e-9, "the photographs are known: {answer}");
    // After four frames of a scene, each view has had its turn.
    let after_four = answer["rows"].as_array().expect("rows").iter().filter(|row| row["step"] == "temporal");
    assert!(after_four.clone().count() == 4 && after_four.clone().all(|row| row["views"] == 1.0), "{answer}");
    // Temperature can't change the order of one view's classes.
    assert!((found[0].2 - found[1].2).abs() < 1e-9);
    // The same pictures are degraded in the same way again.
    let again = launch.run(&args).json();
    assert_eq!(rows(&again), found);
    assert_eq!(again["rows"][5]["log_loss"], answer["rows"][5]["log_loss"]);
}

#[test]
fn a_folder_that_names_no_class_is_refused_by_name() {
    let launch = Launch::bare();
    let dir = launch.dir().join("labelled");
    labelled(&dir);
    std::fs::rename(dir.join("espresso"), dir.join("espreso")).expect("renamed");
    let ended = launch.run(&["eval", "--json", &dir.display().to_string()]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("espreso") && ended.stderr.contains("\"espresso\""), "{}", ended.stderr);
    let ended = launch.run(&["eval", "--views", "eleven", &dir.display().to_string()]);
    assert!(ended.stderr.contains("center, flip"), "{}", ended.stderr);
}

#[test]
fn a_set_of_views_is_looked_at_whole() {
    let launch = Launch::bare().set("classify.views", "ten");
    let file = launch.dir().join("coffee.jpg");
    std::fs::write(&file, photograph("coffee.jpg")).expect("a file");
    let result = &launch.run(&["classify", "--json", &file.display().to_string()]).json()["results"][0];
    assert_eq!(result["views"], 10, "{result}");
    assert_eq!(result["top3"][0]["label"], "espresso");
}

#[test]
fn dynamic_views_are_more_only_where_it_is_worth_it() {
    let launch = Launch::bare().set("classify.views", "dynamic");
    let [clear, blurry] = ["clear.jpg", "blurry.bmp"].map(|name| launch.dir().join(name));
    std::fs::write(&clear, photograph("coffee.jpg")).expect("a file");
    std::fs::write(&blurry, blurred("chelsea.jpg")).expect("a file");
    let ended = launch.run(&["classify", "--json", &clear.display().to_string(), &blurry.display().to_string()]);
    let answer = ended.json();
    let views = |index: usize| answer["results"][index]["views"].as_u64().expect("a number");
    assert_eq!(views(0), 1, "{answer}");
    assert!((2..=4).contains(&views(1)), "{answer}");
}

#[test]
fn the_features_of_a_poor_frame_are_evened_out() {
    let seen = |launch: Launch| {
        let launch = launch.set("classify.views", "dynamic");
        let files =
            [("clear.jpg", photograph("coffee.jpg")), ("blurry.bmp", blurred("chelsea.jpg"))].map(|(name, bytes)| {
                let file = launch.dir().join(name);
                std::fs::write(&file, bytes).expect("a file");
                file.display().to_string()
            });
        let ended = launch.run(&["classify", "--json", &files[0], &files[1]]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let answer = ended.json();
        [0, 1].map(|index| answer["results"][index]["top3"].clone())
    };
    let with = seen(copied_from(&root().join("models"), "efficientnet-lite0", |_| {}));
    let without = seen(copied_from(&root().join("models"), "efficientnet-lite0", |dir| {
        edit(&dir.join("bundle.toml"), |text| {
            text.lines().filter(|line| !line.contains("gains.tsv")).collect::<Vec<_>>().join("\n")
        });
    }));
    assert_eq!(with[0], without[0], "a good frame is left as it is");
    assert_ne!(with[1], without[1], "a blurred one is not");

    // Gains for another network.
    let launch = copied_from(&root().join("models"), "efficientnet-lite0", |dir| {
        let file = dir.join("gains.tsv");
        std::fs::write(&file, "soft\tblurred\tdark\n1\t1\t1\n").expect("a file in a temporary folder");
        edit(&dir.join("bundle.toml"), |text| {
            let line = |line: &str| match line.starts_with("\"gains.tsv\"") {
                true => format!("\"gains.tsv\" = \"{}\"", sha256(&file)),
                false => line.to_owned(),
            };
            text.lines().map(line).collect::<Vec<_>>().join("\n")
        });
    });
    let checked = launch.run(&["check", "--no-broker"]);
    assert_eq!(checked.code, Some(69), "{checked:?}");
    assert!(checked.stdout.contains("gains.tsv has 1 features"), "{checked:?}");
}
