//! Trainings that begin by themselves, in the quiet hours.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use super::with_yellow;
use crate::support::eventually;
use crate::support::launch::Launch;

/// Quiet hours that begin and end so many hours from now, over midnight if need be. In UTC, so that none is left out or comes
/// twice.
fn quiet(launch: Launch, from: i64, until: i64) -> Launch {
    let now = Timestamp::now().to_zoned_datetime(TimeZone::UTC).time();
    let at = |hours: i64| now.wrapping_add(hours.hours()).strftime("%H:%M").to_string();
    launch
        .env("TZ", "UTC")
        .set("learn.auto", true)
        .set("learn.quiet_from", at(from))
        .set("learn.quiet_until", at(until))
}

#[test]
fn in_the_quiet_hours_a_training_begins_by_itself_and_out_of_them_none_does() {
    let node = quiet(with_yellow(), 2, 4).start();
    // The clock is looked at first of all. That it came to nothing is what the one who looked at it says: there is no training
    // to be cancelled, and there was none.
    for _ in 0..3 {
        let (status, answer) = node.api("DELETE", "/api/retrain", None);
        assert_eq!((status, &answer["detail"]), (409, &json!("no training is running")), "{answer}");
    }
    let (_, state) = node.api("GET", "/api/retrain", None);
    assert_eq!(state, json!({"running": null, "last": null}));
    assert_eq!(node.log.said("a training begins"), Vec::<Value>::new());
    node.stop();

    let node = quiet(with_yellow(), -2, 2).start();
    let report = eventually("a training ends", || {
        let (_, state) = node.api("GET", "/api/retrain", None);
        state["last"]["report"].as_object().cloned()
    });
    assert_eq!((&report["verdict"], &report["promoted"]), (&json!("promote"), &json!(true)), "{report:?}");
    node.wait_for_metric("glanced_model_swaps_total", 1.0);
    assert_eq!(node.run(&["model", "list", "--json"]).done()["models"][0]["version"], "2");
    let begun = node.log.said("a training begins");
    assert_eq!(
        (begun.len(), &begun[0]["model"], &begun[0]["promote"]),
        (1, &json!("tints"), &json!(true)),
        "{begun:?}"
    );
    node.stop();
}

#[test]
fn by_the_clock_too_little_that_is_new_is_not_learnt_from() {
    let launch = quiet(with_yellow(), -2, 2).set("learn.min_new", 49);
    let node = launch.start();
    let report = eventually("a training ends", || {
        let (_, state) = node.api("GET", "/api/retrain", None);
        state["last"]["report"].as_object().cloned()
    });
    assert_eq!(report["verdict"], "too_little");
    assert_eq!(report["reason"], "too little new feedback: 48 of 49 since the last training");
    node.stop();
}
