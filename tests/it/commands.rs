//! `classify`, `demo`, `check` and `generate` on the command line.

use serde_json::Value;

use crate::support::broker::{self, Mosquitto};
use crate::support::launch::Launch;
use crate::support::pictures::{BLUE, GREEN, RED, jpeg, plain, png};
use crate::support::root;

fn labels(result: &Value) -> Vec<&str> {
    let top3 = result["top3"].as_array().unwrap_or_else(|| panic!("no classes: {result}"));
    top3.iter().map(|entry| entry["label"].as_str().expect("a label")).collect()
}

#[test]
fn the_real_model_names_what_the_photographs_show() {
    let frames = root().join("examples/frames");
    let ended = Launch::bare().run(&["classify", "--json", &frames.display().to_string()]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let answer = ended.json();
    let results = answer["results"].as_array().expect("a list");
    let files: Vec<_> = results.iter().map(|result| result["file"].as_str().expect("a text").to_owned()).collect();
    assert!(files.is_sorted() && files.len() == 10, "{files:?}");
    let of = |name: &str| {
        results
            .iter()
            .find(|result| result["file"].as_str().is_some_and(|file| file.ends_with(name)))
            .unwrap_or_else(|| panic!("no {name} in {files:?}"))
    };
    let coffee = of("coffee.jpg");
    assert_eq!(labels(coffee)[0], "espresso");
    assert!(coffee["top3"][0]["score"].as_f64().is_some_and(|score| score >= 0.98), "{coffee}");
    assert_eq!(labels(of("chelsea.jpg")), ["tiger cat", "Egyptian cat", "tabby"]);
    assert_eq!(labels(of("rocket.jpg"))[0], "missile");
    assert_eq!(labels(of("motorcycle.jpg"))[..2], ["moped", "motor scooter"]);
    assert_eq!(labels(of("panda.jpg"))[0], "giant panda");
    for result in results {
        assert_eq!(result["unknown"], false);
        assert_eq!(result["views"], 1);
        let steps: Vec<_> = result["ms"].as_object().expect("an object").keys().collect();
        assert_eq!(steps, ["decode", "infer", "post"]);
        for (index, entry) in result["top3"].as_array().expect("a list").iter().enumerate() {
            assert_eq!(entry["rank"], index + 1);
            assert!(entry["id"].as_str().is_some_and(|id| id.len() == 9 && id.starts_with('n')), "{entry}");
            assert!(entry["class"].is_u64() && entry["label_zh"].is_string(), "{entry}");
        }
    }
}

#[test]
fn a_broken_file_has_its_error_in_its_place() {
    let launch = Launch::new("mqtt://127.0.0.1:1883");
    let dir = launch.dir().join("pictures");
    std::fs::create_dir_all(dir.join("more")).expect("a folder in a temporary folder");
    let red = jpeg(&plain(RED));
    let files: [(&str, &[u8]); 6] = [
        ("1.jpg", &red),
        ("2.jpg", &red[..red.len() / 2]),
        ("3.PNG", &png(&plain(GREEN))),
        ("4.jpg", b""),
        ("more/5.png", &png(&plain(BLUE))),
        ("notes.txt", b"no picture, and not looked at"),
    ];
    for (name, bytes) in files {
        std::fs::write(dir.join(name), bytes).expect("a file in a temporary folder");
    }
    let named = dir.join("notes.txt").display().to_string();
    let gone = dir.join("gone.jpg").display().to_string();
    let ended = launch.run(&["classify", "--json", &dir.display().to_string(), &named, &gone]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let answer = ended.json();
    let results = answer["results"].as_array().expect("a list");
    let seen: Vec<String> = results
        .iter()
        .map(|result| match result["error"].as_str() {
            Some(_) => {
                assert_eq!(result.as_object().map(serde_json::Map::len), Some(2), "{result}");
                "error".to_owned()
            }
            None => labels(result)[0].to_owned(),
        })
        .collect();
    assert_eq!(seen, ["red", "error", "green", "error", "blue", "error", "error"]);
    let error = |index: usize| results[index]["error"].as_str().unwrap_or_default();
    assert!(error(1).contains("JPEG"), "{}", error(1));
    assert!(error(3).contains("empty"), "{}", error(3));
    assert!(error(5).contains("not an image"), "{}", error(5));
    assert!(error(6).contains("No such file"), "{}", error(6));
    // For people, the same, with bars.
    let ended = launch.run(&["classify", &dir.display().to_string()]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("1.jpg\n  red 红") && ended.stdout.contains("████ 100.0 %"), "{}", ended.stdout);
}

#[test]
fn a_folder_without_pictures_is_said() {
    let launch = Launch::new("mqtt://127.0.0.1:1883");
    let dir = launch.dir().display().to_string();
    let ended = launch.run(&["classify", &dir]);
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert!(ended.stderr.contains("no pictures in it"), "{ended:?}");
}

#[test]
fn the_demo_shows_every_camera_and_ends() {
    let ended = Launch::bare().run(&["demo", "--seconds", "3"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let last = ended.stdout.rfind("garden ").map(|at| &ended.stdout[at..]).unwrap_or_default();
    for camera in ["garden", "gate", "kitchen", "street"] {
        let lines: Vec<_> = last.lines().skip_while(|line| !line.starts_with(camera)).take(4).collect();
        let [head, classes @ ..] = &lines[..] else { panic!("no camera {camera}: {last}") };
        assert!(head.contains("results/s") && classes.len() == 3, "{last}");
        assert!(
            classes[0].contains('█') && classes.iter().all(|line| line.starts_with("  ") && line.ends_with(" %")),
            "{last}"
        );
    }
    assert!(ended.stdout.contains("frames received"), "{}", ended.stdout);
}

#[test]
fn check_tells_of_the_broker() {
    let mosquitto = Mosquitto::new();
    for protocol in ["5", "3.1.1"] {
        let ended = Launch::new(mosquitto.url()).set("mqtt.protocol", protocol).run(&["check"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.contains(&format!("ok     MQTT broker {}: connected", mosquitto.url())), "{ended:?}");
        let away = format!("mqtt://{}", broker::free_address());
        let ended = Launch::new(&away).set("mqtt.protocol", protocol).run(&["check"]);
        assert_eq!(ended.code, Some(69), "{ended:?}");
        assert!(ended.stdout.contains(&format!("FAILED MQTT broker {away}: ")), "{ended:?}");
        assert!(ended.stdout.contains("Connection refused"), "{ended:?}");
    }
}

#[test]
fn a_report_is_one_page_with_all_of_its_parts() {
    let launch = Launch::new("mqtt://127.0.0.1:1883");
    let dir = launch.dir().join("pictures");
    // The last one is green, whatever its folder says.
    for (class, colours) in [("red", [RED, RED, RED]), ("green", [GREEN; 3]), ("blue", [BLUE, BLUE, GREEN])] {
        std::fs::create_dir_all(dir.join(class)).expect("a folder in a temporary folder");
        for (number, colour) in colours.into_iter().enumerate() {
            std::fs::write(dir.join(class).join(format!("<{number}>.jpg")), jpeg(&plain(colour))).expect("a file");
        }
    }
    let (dir, out) = (dir.display().to_string(), launch.dir().join("page.html"));
    let name = out.display().to_string();
    let ended = launch.run(&["report", &dir, "--out", &name, "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let answer = ended.json();
    assert_eq!((&answer["out"], &answer["n"]), (&Value::from(name.clone()), &Value::from(9)));
    assert!(answer["top1"].as_f64().is_some_and(|top1| (top1 - 8.0 / 9.0).abs() < 1e-6), "{answer}");

    let page = std::fs::read_to_string(&out).expect("the page");
    assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">") && page.ends_with("</html>"), "{page}");
    for part in ["reliability", "coverage", "confusion", "map"] {
        assert!(page.contains(&format!("<section id=\"{part}\">")), "no {part} in {page}");
    }
    assert_eq!(page.matches("<svg").count(), 3);
    assert_eq!(page.matches("<circle class").count(), 9);
    assert_eq!(page.matches("data-picture=\"").count(), 9);
    assert!(page.contains("t-SNE of the features") && page.contains("blue, taken for green"), "{page}");
    assert!(!page.contains("<0>") && page.contains("red/&lt;0&gt;.jpg"), "{page}");
    assert!(!page.contains("http://") && !page.contains("https://"), "{page}");

    launch.run(&["report", &dir, "--out", &name]);
    assert_eq!(std::fs::read_to_string(&out).expect("the page"), page, "the same pictures give the same page");
}

#[test]
fn the_manual_has_a_page_for_each_command_and_completions_offer_what_users_want() {
    let launch = Launch::bare();
    let share = launch.dir().join("share");
    let ended = launch.run(&["generate", &share.display().to_string()]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let read = |name: &str| {
        let path = share.join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let page = read("man/man1/glanced.1");
    for what in [".SH FILES", ".SH \"EXIT STATUS\"", "/etc/glanced/config.toml", "glanced\\-feedback(1)"] {
        assert!(page.contains(what), "no {what} in\n{page}");
    }
    assert!(read("man/man1/glanced-feedback-add.1").contains(".SH OPTIONS"));
    // For those who make packages: nobody else is to see it.
    assert!(!share.join("man/man1/glanced-generate.1").exists());
    for shell in [
        "bash-completion/completions/glanced",
        "zsh/vendor-completions/_glanced",
        "fish/vendor_completions.d/glanced.fish",
    ] {
        let script = read(shell);
        assert!(script.contains("calibrate") && !script.contains("generate"), "{shell}");
    }
}
