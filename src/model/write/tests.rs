use super::*;
use crate::model::Registry;

fn tints() -> Bundle {
    Bundle::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bundles/tints/1")).unwrap()
}

fn changes() -> Changes {
    Changes {
        network: None,
        temperature: 0.7,
        poor: PoorTemperatures { soft: Some(0.8123), ..PoorTemperatures::default() },
        gains: None,
        prior: None,
        prior_strength: 0.0,
        unknown_below: 0.35,
        metrics: "{\"n\": 500}\n".to_owned(),
    }
}

#[test]
fn a_version_has_the_new_values_and_the_old_comments() {
    let dir = tempfile::tempdir().unwrap();
    let (from, changes) = (tints(), changes());
    let written = write_version(&from, dir.path(), &changes).unwrap();
    assert_eq!(written, dir.path().join("tints/2"));
    let bundle = Registry::new(dir.path()).open("tints").unwrap();
    assert_eq!((bundle.version.as_str(), bundle.parent.as_deref()), ("2", Some("1")));
    assert_eq!((bundle.temperature, bundle.poor, bundle.unknown_below), (0.7, changes.poor, 0.35));
    assert_eq!((&bundle.input, &bundle.labels, &bundle.head), (&from.input, &from.labels, &from.head));
    let text = fs::read_to_string(written.join(MANIFEST_FILE)).unwrap();
    for line in [
        "# A bundle: a model with everything needed to use it.",
        "parent = \"1\"                  # the version this one was made from, if any",
        "temperature = 0.7               # scores are softmax(logits / temperature)",
        "unknown_below = 0.35",
        "soft = 0.8123",
    ] {
        assert!(text.lines().any(|there| there == line), "{line:?} is not in {text}");
    }
    assert!(!text.contains("prior_strength") && !text.contains("# parent"), "{text}");
    assert_eq!(fs::read_to_string(written.join(METRICS_FILE)).unwrap(), changes.metrics);

    // A version of the version: what was set is changed, and what is gone goes.
    let next = Changes { poor: PoorTemperatures::default(), unknown_below: 0.0, temperature: 1.25, ..changes };
    let written = write_version(&bundle, dir.path(), &next).unwrap();
    let bundle = Bundle::open(&written).unwrap();
    assert_eq!((bundle.version.as_str(), bundle.parent.as_deref()), ("3", Some("2")));
    assert_eq!((bundle.temperature, bundle.poor, bundle.unknown_below), (1.25, next.poor, 0.0));

    // With a table of its own, and one that has it from there.
    let pair = crate::model::Pair { class: 1, neighbour: 0, weight: 0.5 };
    let learnt = Prior::new(bundle.labels.len(), [pair]).unwrap();
    let next = Changes { prior: Some(learnt.clone()), prior_strength: 0.1, ..next };
    let with = Bundle::open(&write_version(&bundle, dir.path(), &next).unwrap()).unwrap();
    let heir = write_version(&with, dir.path(), &Changes { prior: None, ..next }).unwrap();
    for bundle in [with, Bundle::open(&heir).unwrap()] {
        assert_eq!((bundle.prior, bundle.prior_strength), (Some(learnt.clone()), 0.1), "{}", bundle.version);
    }
}

#[test]
fn a_new_model_knows_nothing_and_a_version_of_it_may_know_more() {
    let dir = tempfile::tempdir().unwrap();
    let labels = Labels::new(&["open".to_owned(), "closed".to_owned()]).unwrap();
    let taught = Bundle::open(&write_version(&tints(), dir.path(), &changes()).unwrap()).unwrap();
    let written = write_new(&taught, dir.path(), "gate", &labels).unwrap();
    let new = Registry::new(dir.path()).open("gate").unwrap();
    assert_eq!((&new.dir, new.version.as_str(), &new.parent, new.learnt), (&written, "1", &None, false));
    assert_eq!((new.temperature, new.poor, new.unknown_below), (1.0, PoorTemperatures::default(), 0.0));
    assert_eq!((&new.labels, &new.input, &new.head), (&labels, &taught.input, &taught.head));
    let onnx = Onnx::read(&new.model_file).unwrap();
    let empty = onnx.head(new.head.as_ref().unwrap()).unwrap();
    assert!(empty.classes == 2 && empty.weight.iter().all(|weight| *weight == 0.0));
    let error = write_new(&taught, dir.path(), "gate", &labels).unwrap_err();
    assert!(matches!(error, WriteError::Exists { .. }), "{error}");

    let more = labels.with("ajar").unwrap();
    let mut onnx = onnx;
    let layer = Linear { classes: 3, weight: vec![0.5; 3 * empty.features], bias: vec![0.0, 1.0, 2.0], ..empty };
    onnx.set_head(new.head.as_ref().unwrap(), &layer).unwrap();
    let network = Some(Network { onnx: onnx.to_bytes(), int8: None, labels: more.clone() });
    let second = Bundle::open(&write_version(&new, dir.path(), &Changes { network, ..changes() }).unwrap()).unwrap();
    assert_eq!((second.labels, second.learnt, second.parent.as_deref()), (more, true, Some("1")));
    assert_eq!(Onnx::read(&second.model_file).unwrap().head(second.head.as_ref().unwrap()).unwrap(), layer);
}

#[test]
fn gains_need_a_network_that_takes_them() {
    let dir = tempfile::tempdir().unwrap();
    let gains = Gains::parse("soft\tblurred\tdark\n1\t2\t0.5\n").unwrap();
    let error = write_version(&tints(), dir.path(), &Changes { gains: Some(gains), ..changes() }).unwrap_err();
    assert!(error.to_string().contains("[head] names no input \"gain\""), "{error}");
}

#[test]
fn numbers_go_on_and_nothing_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("tints");
    fs::create_dir_all(model.join("12/something")).unwrap();
    assert_eq!(write_version(&tints(), dir.path(), &changes()).unwrap(), model.join("13"));
    let unusable = Changes { temperature: 0.0, ..changes() };
    let error = write_version(&tints(), dir.path(), &unusable).unwrap_err();
    assert!(matches!(error, WriteError::Unusable(_)) && !error.is_not_writable(), "{error}");
    let mut left: Vec<_> = fs::read_dir(&model).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["12", "13"]);
}

#[test]
fn a_place_that_is_no_folder_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("models");
    fs::write(&file, "").unwrap();
    let error = write_version(&tints(), &file, &changes()).unwrap_err();
    assert!(error.to_string().starts_with(&file.display().to_string()), "{error}");
}
