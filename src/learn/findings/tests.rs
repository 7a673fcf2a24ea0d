use std::path::Path;
use std::time::{Duration, Instant};

use ulid::Ulid;

use super::*;
use crate::classify::dhash::PictureHash;
use crate::eval::random::Random;
use crate::feedback::BlobRef;
use crate::frame::decode::Format;
use crate::learn::examples::{Example, Examples, Exhibit, LeftOut};
use crate::learn::features::Features;
use crate::model::{Bundle, Labels};

/// Examples of the first three classes in turn, whose features say which, in two views of so many numbers.
fn material(count: usize, width: usize, class: impl Fn(&str) -> String) -> Material {
    let mut champion =
        Bundle::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bundles/tints/1")).expect("a bundle");
    let names: Vec<String> = champion.labels.names().map(class).collect();
    champion.labels = Labels::new(&names).expect("classes");
    let mut random = Random::new(7);
    let example = |number: usize| Example {
        exhibit: Exhibit {
            frame: Ulid(number as u128),
            blob: BlobRef::of(&number.to_le_bytes(), Format::Jpeg),
            crop: None,
        },
        said: Ulid(number as u128),
        camera: None,
        at: None,
        class: number % 3,
        confirmed: false,
    };
    let mut features = |number: usize| {
        let value = |n: usize| random.normal() as f32 + if n % 3 == number % 3 { 4.0 } else { 0.0 };
        let view: Vec<f32> = (0..width).map(value).collect();
        let hash = PictureHash((number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Features::new(hash, &[view.clone(), view].concat())
    };
    let found = Examples {
        labelled: (0..count).map(example).collect(),
        sure: Vec::new(),
        labels: champion.labels.clone(),
        left_out: LeftOut::default(),
    };
    Material::new(found, (0..count).map(|number| Ok(features(number))).collect(), &champion, None)
}

/// Each of these examples with what is said of it.
fn trial(said: impl Iterator<Item = (usize, u32)>) -> Trial {
    let answer = |(picture, best): (usize, u32)| Answer {
        picture,
        degradation: None,
        best,
        prediction: Prediction { confidence: 0.85, correct: best as usize == picture % 3 },
        in_top3: true,
        log_loss: 0.2,
        brier: 0.1,
    };
    let challenger: Vec<Answer> = said.map(answer).collect();
    Trial { champion: challenger[1..].to_vec(), challenger, temperature: 1.0, unknown_below: 0.0 }
}

fn of(material: &Material, trial: &Trial, width: usize) -> Findings {
    Findings::of(material, trial, true, width, &|| false).expect("it was not stopped")
}

#[test]
fn what_was_judged_is_told_and_the_rest_has_a_place() {
    let material = material(60, 12, str::to_owned);
    // Not the first six. Green is taken for blue twice, and each of two others once for red.
    let said = |number: usize| match number {
        7 | 10 => 2,
        8 | 13 => 0,
        number => number as u32 % 3,
    };
    let trial = trial((6..60).map(|number| (number, said(number))));
    let findings = of(&material, &trial, 12);
    let bar = findings.reliability.challenger[8];
    assert_eq!((bar.low, bar.high, bar.n, bar.accuracy), (0.8, 0.9, 54, 50.0 / 54.0));
    assert_eq!(findings.reliability.champion.as_ref().map(|bars| bars[8].n), Some(53));
    let confused: Vec<_> =
        findings.confusions.iter().map(|pair| (pair.label.as_str(), pair.said.as_str(), pair.n)).collect();
    assert_eq!(confused, [("green", "blue", 2), ("blue", "red", 1), ("green", "red", 1)]);
    let right: Vec<_> = findings.map.iter().map(|point| point.right).collect();
    assert_eq!(right[..9], [None, None, None, None, None, None, Some(true), Some(false), Some(false)]);
    assert_eq!(findings.map[5].label, "blue");
    for axis in [|point: &Point| point.x, |point: &Point| point.y] {
        let values: Vec<f64> = findings.map.iter().map(axis).collect();
        assert!(values.contains(&0.0) && values.contains(&1.0), "{values:?}");
        assert!(values.iter().all(|value| (value * 1000.0).round() / 1000.0 == *value), "{values:?}");
    }
    // Who looks alike is near.
    let nearest = |point: &Point| {
        let far = |other: &&Point| (point.x - other.x).powi(2) + (point.y - other.y).powi(2);
        findings.map.iter().filter(|other| *other != point).min_by(|a, b| far(a).total_cmp(&far(b)))
    };
    assert!(findings.map.iter().all(|point| nearest(point).is_some_and(|other| other.label == point.label)));

    assert_eq!(of(&material, &trial, 12), findings, "the same today and tomorrow");
    let at_first = Findings::of(&material, &trial, false, 12, &|| false).expect("it was not stopped");
    assert_eq!(at_first.reliability.champion, None);
    assert!(!serde_json::to_string(&at_first).expect("JSON").contains("champion"));
    assert_eq!(Findings::of(&material, &trial, true, 12, &|| true), Err(Stopped));
}

#[test]
fn the_newest_are_on_the_map_and_it_is_never_large() {
    let said = || (0..1000).map(|number| (number, (number as u32 + 1) % 3));
    let begin = Instant::now();
    let findings = of(&material(1000, 1280, str::to_owned), &trial(said()), 1280);
    println!("{:?} for {} points", begin.elapsed(), findings.map.len());
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
    assert_eq!((findings.map.len(), findings.map[0].label.as_str()), (400, "red"), "from the 600th on");
    let bytes = |findings: &Findings| serde_json::to_string_pretty(findings).expect("JSON").len();
    assert!(bytes(&findings) < 60_000, "{}", bytes(&findings));
    // Whatever classes are called.
    let findings = of(&material(1000, 3, |name| name.repeat(60)), &trial(said()), 3);
    assert!((50..400).contains(&findings.map.len()), "{}", findings.map.len());
    assert!(bytes(&findings) < 60_000, "{}", bytes(&findings));
}

#[test]
fn nothing_and_one_have_a_map_too() {
    assert_eq!(within_one(&[]), [[0.0; 2]; 0]);
    assert_eq!(within_one(&[[3.0, -7.0]]), [[0.5, 0.5]]);
    assert_eq!(within_one(&[[1.0, 5.0], [3.0, 5.0], [1.5, 5.0]]), [[0.0, 0.5], [1.0, 0.5], [0.25, 0.5]]);
}
