use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

const GATE: &str = "homeassistant/device/glanced-box-7/gate/config";

/// Cameras on a clock of their own, and what was told of them.
struct Bench {
    cameras: Cameras,
    now: Instant,
    frames: u128,
    /// Pictures that are held.
    pictures: BTreeSet<Ulid>,
    format: Format,
}

impl Bench {
    fn new(toml: &str) -> Self {
        Self::with(toml, 100)
    }

    fn with(toml: &str, most: usize) -> Self {
        let config =
            crate::config::parse_str(&format!("[mqtt]\nnode = \"box-7\"\n[homeassistant]\n{toml}")).unwrap().config;
        let announcer = Announcer::new(&config.homeassistant, &config.mqtt);
        let cameras = Cameras::new(&config.homeassistant, announcer, most);
        let (now, pictures) = (Instant::now(), BTreeSet::new());
        Self { cameras, now, frames: 0, pictures, format: Format::Jpeg }
    }

    fn later(&mut self, seconds: f64) -> &mut Self {
        self.now += Duration::from_secs_f64(seconds);
        self
    }

    fn sees(&mut self, camera: &str, label: &str) -> &mut Self {
        self.frames += 1;
        let result = serde_json::json!({
            "received_at": format!("t{}", self.frames), "model": { "name": "m", "version": "1" }, "unknown": false,
            "top3": [{ "label": label, "score": 0.75 }, { "label": "b", "score": 0.2 }],
        });
        let frame = Ulid(self.frames);
        self.pictures.insert(frame);
        let newest = Newest { camera: camera.into(), frame, result: result.to_string().into(), shared: false };
        self.cameras.see(newest, self.now);
        self
    }

    /// Tells all that is due: topics, and what was said there.
    fn told(&mut self) -> Vec<(String, String)> {
        self.cameras.forget(self.now);
        let mut told = Vec::new();
        loop {
            let held = |frame: Ulid| {
                self.pictures.contains(&frame).then(|| (Bytes::from(format!("picture {frame}")), self.format))
            };
            let Some(mut due) = self.cameras.due(self.now, held) else { return told };
            let message = std::mem::take(&mut due.message);
            assert!(message.retain, "{}", message.topic);
            told.push((message.topic, String::from_utf8(message.payload).unwrap()));
            self.cameras.told(due, self.now);
            assert!(told.len() < 1000, "it has no end: {told:?}");
        }
    }

    fn topics(&mut self) -> Vec<String> {
        self.told().into_iter().map(|(topic, _)| topic).collect()
    }

    /// The one state that is told.
    fn state(&mut self) -> Value {
        let told = self.told();
        let states: Vec<_> = told.iter().filter(|(topic, _)| topic.ends_with("/state")).collect();
        assert_eq!(states.len(), 1, "{told:?}");
        serde_json::from_str(&states[0].1).unwrap()
    }
}

#[test]
fn a_camera_is_announced_once_and_told_at_once_with_its_picture() {
    let mut bench = Bench::new("");
    assert_eq!(bench.sees("gate", "a").topics(), [GATE, "glanced/gate/state", "glanced/gate/state/image"]);
    assert_eq!(bench.topics(), Vec::<String>::new());
    // The same class again is told when it is time to.
    assert_eq!(bench.later(59.0).sees("gate", "a").topics(), Vec::<String>::new());
    assert_eq!(bench.later(1.0).topics(), ["glanced/gate/state", "glanced/gate/state/image"]);
    // Nothing new is nothing to tell.
    assert_eq!(bench.later(100.0).topics(), Vec::<String>::new());
}

#[test]
fn a_change_is_told_soon_and_says_what_was_before_and_since_when() {
    let mut bench = Bench::new("");
    let first = bench.sees("gate", "a").state();
    assert_eq!((&first["label"], &first["second"], &first["third"]), (&"a".into(), &"b".into(), &Value::Null));
    assert_eq!((&first["previous"], &first["changed_at"]), (&Value::Null, &Value::Null));
    // At most once a second.
    assert_eq!(bench.later(0.5).sees("gate", "c").topics(), Vec::<String>::new());
    let second = bench.later(0.5).state();
    assert_eq!(
        (&second["label"], &second["previous"], &second["changed_at"]),
        (&"c".into(), &"a".into(), &"t2".into())
    );
    let third = bench.later(60.0).sees("gate", "c").state();
    assert_eq!((&third["label"], &third["previous"], &third["changed_at"]), (&"c".into(), &"a".into(), &"t2".into()));
}

#[test]
fn a_picture_that_is_not_held_any_more_is_that_of_the_next_frame() {
    let mut bench = Bench::new("");
    bench.sees("gate", "a").pictures.clear();
    assert_eq!(bench.topics(), [GATE, "glanced/gate/state"]);
    let told = bench.sees("gate", "a").told();
    assert_eq!(told, [("glanced/gate/state/image".to_owned(), format!("picture {}", Ulid(2)))]);
    let mut without = Bench::new("images = false");
    assert_eq!(without.sees("gate", "a").topics(), [GATE, "glanced/gate/state"]);
}

#[test]
fn a_picture_of_another_format_is_announced_as_such() {
    let mut bench = Bench::new("");
    bench.format = Format::Png;
    let told = bench.sees("gate", "a").told();
    let announced: Vec<_> = told.iter().filter(|(topic, _)| topic == GATE).map(|(_, said)| said).collect();
    assert_eq!(announced.len(), 2);
    assert!(announced[1].contains("image/png"), "{}", announced[1]);
}

#[test]
fn who_has_forgotten_is_told_again() {
    let mut bench = Bench::new("");
    bench.sees("gate", "a").sees("yard", "a").told();
    bench.cameras.announce_again();
    assert_eq!(bench.topics(), [GATE, "homeassistant/device/glanced-box-7/yard/config"]);
    bench.cameras.tell_again();
    assert_eq!(bench.topics().len(), 6);
}

#[test]
fn a_camera_that_is_gone_is_taken_away_with_all_that_is_kept_of_it() {
    let mut bench = Bench::new("every_s = 600\nforget_after_s = 60");
    bench.sees("gate", "a").sees("yard", "a").told();
    bench.later(59.0).sees("yard", "a").told();
    let told = bench.later(1.0).told();
    let empty = ["", "/state", "/state/image"].map(|end| match end {
        "" => (GATE.to_owned(), String::new()),
        end => (format!("glanced/gate{end}"), String::new()),
    });
    assert_eq!(told, empty);
    bench.cameras.withdrawn(GATE);
    assert_eq!(bench.later(1.0).topics(), Vec::<String>::new());
    // It may come back.
    assert_eq!(bench.sees("gate", "a").topics().len(), 3);
}

#[test]
fn a_camera_that_comes_back_while_it_is_taken_away_is_told_anew() {
    let mut bench = Bench::new("forget_after_s = 60");
    bench.sees("gate", "a").told();
    let now = bench.later(60.0).now;
    bench.cameras.forget(now);
    let due = bench.cameras.due(bench.now, |_| None).expect("the announcement is to be taken away");
    bench.cameras.told(due, bench.now);
    // The broker tells this node of what it has done itself.
    bench.cameras.withdrawn(GATE);
    assert_eq!(bench.sees("gate", "a").topics(), [GATE, "glanced/gate/state", "glanced/gate/state/image"]);
}

#[test]
fn what_only_the_broker_knew_is_forgotten_too_unless_it_is_seen() {
    let mut before = Bench::new("");
    let announcement = Bytes::from(before.sees("gate", "a").told().remove(0).1);
    for seen in [false, true] {
        let mut bench = Bench::new("forget_after_s = 60");
        bench.cameras.kept(GATE.to_owned(), &announcement, bench.now);
        assert_eq!(bench.topics(), Vec::<String>::new());
        if seen {
            // The broker has the announcement that it is to have.
            assert_eq!(bench.sees("gate", "a").topics(), ["glanced/gate/state", "glanced/gate/state/image"]);
        } else {
            assert_eq!(bench.later(60.0).topics(), [GATE, "glanced/gate/state", "glanced/gate/state/image"]);
        }
    }
}

#[test]
fn only_what_is_ours_is_taken_away_with_a_camera() {
    let mut bench = Bench::new("forget_after_s = 60");
    let foreign =
        r#"{"components":{"class":{"state_topic":"door/state"},"image":{"image_topic":"glanced/a/b/state"}}}"#;
    bench.cameras.kept(GATE.to_owned(), &Bytes::from_static(foreign.as_bytes()), bench.now);
    assert_eq!(bench.later(60.0).topics(), [GATE]);
}

#[test]
fn an_announcement_that_somebody_took_away_comes_back_with_the_next_result() {
    let mut bench = Bench::new("");
    bench.sees("gate", "a").told();
    bench.cameras.withdrawn(GATE);
    assert_eq!(bench.later(100.0).topics(), Vec::<String>::new());
    assert_eq!(bench.sees("gate", "a").topics()[0], GATE);
}

#[test]
fn cameras_take_turns_and_there_are_not_too_many() {
    let mut bench = Bench::with("every_s = 1", 2);
    bench.sees("a", "x").sees("b", "x").sees("c", "x");
    assert_eq!(bench.topics().len(), 6, "two cameras");
    bench.later(1.0).sees("a", "x").sees("b", "x");
    let topics = bench.topics();
    let camera = |topic: &String| topic.split('/').nth(1).unwrap().to_owned();
    assert_ne!(camera(&topics[0]), camera(&topics[1]), "{topics:?}");
}
