use super::*;
use crate::classify::temperature::softmax;
use crate::eval::random::Random;
use crate::model::{OutputKind, Pair, Prior};

const CLASSES: usize = 5;

/// Logits whose softmax at `temperature` is how often each class is right, one view a picture.
fn honest(n: usize, temperature: f32, condition: Option<Condition>, seed: u64) -> Vec<Sighted> {
    let mut random = Random::new(seed);
    let mut p = [0.0; CLASSES];
    let one = |picture| {
        let raw: Vec<f32> = (0..CLASSES).map(|_| 3.0 * temperature * random.normal() as f32).collect();
        softmax(&raw, temperature, &mut p);
        let mut rest = random.unit() as f32;
        let class = p.iter().position(|p| {
            rest -= p;
            rest < 0.0
        });
        Sighted { class: class.unwrap_or(0) as u32, picture, degradation: None, condition, raw }
    };
    (0..n).map(one).collect()
}

fn replay(prior: Option<&Prior>) -> Replay<'_> {
    Replay::new(OutputKind::Logits, CLASSES, prior)
}

fn values(temperature: f32) -> Values {
    Values { temperature, poor: PoorTemperatures::default(), prior_strength: 0.0 }
}

#[test]
fn the_least_loss_is_found_wherever_it_is() {
    for least in [0.2_f32, 0.2003, 0.5, 0.7, 1.0, 1.234, 4.9, 5.0] {
        let found = best_temperature(|temperature| f64::from((temperature / least).ln().powi(2)));
        assert!((found / least - 1.0).abs() < 1e-3, "{found} for {least}");
    }
    // The better one of two, and an end where nothing lies between.
    let two = best_temperature(|t| f64::from(((t / 0.4).ln().powi(2)).min((t / 3.0).ln().powi(2) - 0.1)));
    assert!((two - 3.0).abs() < 0.01, "{two}");
    assert_eq!(best_temperature(f64::from), 0.2);
    assert_eq!(best_temperature(|t| -f64::from(t)), 5.0);
    assert!((0.2..=5.0).contains(&best_temperature(|_| 0.0)));
    assert!((0.2..=5.0).contains(&best_temperature(|_| f64::NAN)));
}

#[test]
fn the_temperature_of_honest_logits_comes_back() {
    for temperature in [0.4, 1.0, 2.5] {
        let seen = honest(4000, temperature, None, 3);
        let fit = fit(&seen, &values(1.3 * temperature), &replay(None), None, 0.9);
        assert!((fit.values.temperature / temperature - 1.0).abs() < 0.06, "{:?} for {temperature}", fit.values);
        assert_eq!(fit.values.poor, PoorTemperatures::default());
        let (before, after) = (figures(&fit.before), figures(&fit.after));
        assert!(after.ece.value < 0.025 && before.ece.value > after.ece.value, "{before:?} {after:?}");
        assert!(after.log_loss.value < before.log_loss.value && after.n == 4000);
        assert_eq!((after.top1, after.top3), (before.top1, before.top3));
        assert!(after.ece.low <= after.ece.value && after.ece.value <= after.ece.high);
    }
}

#[test]
fn each_condition_has_a_temperature_of_its_own_if_there_is_enough() {
    let mut seen = honest(2000, 1.0, Some(Condition::Good), 1);
    let other = |n, condition, temperature| {
        let mut seen = honest(n, temperature, Some(condition), 2);
        seen.iter_mut().for_each(|sighted| sighted.picture += 2000);
        seen
    };
    seen.extend(other(2000, Condition::Soft, 2.0));
    seen.extend(other(ENOUGH - 1, Condition::Dark, 4.0));
    let present = values(1.0);
    let found = fit(&seen, &present, &replay(None), None, 0.9).values;
    assert!((found.temperature - 1.0).abs() < 0.1, "{found:?}");
    assert!(found.poor.soft.is_some_and(|soft| (soft - 2.0).abs() < 0.2), "{found:?}");
    assert_eq!(found.poor.dark, None);
    // What a bundle has for a condition stays, if there is too little to say otherwise.
    let present = Values { poor: PoorTemperatures { soft: Some(3.0), blurred: None, dark: Some(3.0) }, ..present };
    let found = fit(&seen, &present, &replay(None), None, 0.9).values;
    assert_eq!(found.poor.dark, Some(3.0));
    // All pictures of one kind: the common temperature is theirs too.
    let soft = honest(2000, 2.0, Some(Condition::Soft), 5);
    let found = fit(&soft, &values(1.0), &replay(None), None, 0.9).values;
    assert_eq!(found.poor.soft, Some(found.temperature));
}

#[test]
fn no_picture_is_judged_by_values_that_it_took_part_in() {
    // With copies that would betray themselves: each picture's fold must not have seen any.
    let seen = honest(200, 1.0, None, 8);
    let all = fit(&seen, &values(1.0), &replay(None), None, 0.9);
    let mut changed = seen.clone();
    // Made unlike the others: what it changes about its own answer comes through the others' values alone.
    changed[0].raw = vec![40.0, 0.0, 0.0, 0.0, 0.0];
    changed[0].class = 1;
    let other = fit(&changed, &values(1.0), &replay(None), None, 0.9);
    assert_ne!(all.values.temperature, other.values.temperature);
    for index in (5..200).step_by(5) {
        assert_eq!(all.after[index], other.after[index], "{index}");
    }
    assert_ne!(all.after[1], other.after[1]);
}

#[test]
fn views_end_when_the_answer_is_clear_at_the_temperature_that_is_tried() {
    let raw = [[2.0, 0.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0, 0.0]].concat();
    let mut sighted = Sighted { class: 0, picture: 0, degradation: None, condition: Some(Condition::Good), raw };
    let mut replay = replay(None);
    let sharp = replay.probabilities(&sighted, 1.0, 0.0).to_vec();
    assert!(sharp[0] > 0.6 && sharp[1] < 0.1, "{sharp:?}");
    let flat = replay.probabilities(&sighted, 5.0, 0.0).to_vec();
    // Unsure, so the second view was looked at.
    assert!((flat[0] - flat[1]).abs() < 1e-6, "{flat:?}");
    sighted.condition = None;
    let both = replay.probabilities(&sighted, 1.0, 0.0);
    assert!((both[0] - both[1]).abs() < 1e-6 && (both.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{both:?}");
}

#[test]
fn probabilities_are_scaled_as_logits_are() {
    let logits = honest(1, 1.0, None, 4).remove(0);
    let mut p = vec![0.0; CLASSES];
    softmax(&logits.raw, 1.0, &mut p);
    let same = Sighted { raw: p, ..logits.clone() };
    let of_logits = replay(None).probabilities(&logits, 1.7, 0.0).to_vec();
    let mut other = Replay::new(OutputKind::Probabilities, CLASSES, None);
    for (a, b) in of_logits.iter().zip(other.probabilities(&same, 1.7, 0.0)) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn a_prior_is_used_only_if_it_helps() {
    let mut seen = honest(1500, 1.0, None, 6);
    let pair = |(class, neighbour)| Pair { class, neighbour, weight: 1.0 };
    let prior = Prior::new(CLASSES, [(0, 1), (1, 0), (2, 3), (3, 2)].map(pair)).unwrap();
    let unhelpful = fit(&seen, &values(1.0), &replay(Some(&prior)), Some(0), 0.9);
    let trial = unhelpful.prior.unwrap();
    assert!(!trial.helps && unhelpful.values.prior_strength == 0.0, "{trial:?}");
    assert!(unhelpful.after.iter().zip(&unhelpful.before).all(|(a, b)| a.in_top3 == b.in_top3));
    // Of every third picture the right class is the leading one's neighbour, which no score told.
    for sighted in seen.iter_mut().step_by(3) {
        let best = (0..CLASSES).max_by(|&a, &b| sighted.raw[a].total_cmp(&sighted.raw[b])).unwrap();
        sighted.class = [1, 0, 3, 2, 4][best];
    }
    let helpful = fit(&seen, &values(1.0), &replay(Some(&prior)), Some(0), 0.9);
    let trial = helpful.prior.unwrap();
    assert!(trial.helps && trial.gain > 0.0 && helpful.values.prior_strength > 0.0, "{trial:?}");
    assert!(figures(&helpful.after).log_loss.value < figures(&helpful.before).log_loss.value);
    // Those that it may have been learnt from don't judge it, and are answered without it.
    let of_newer = fit(&seen, &values(1.0), &replay(Some(&prior)), Some(750), 0.9);
    assert!(of_newer.prior.unwrap().helps);
    let without = fit(&seen, &values(1.0), &replay(None), None, 0.9).after;
    assert_eq!(of_newer.after[..750], without[..750]);
    assert!(of_newer.after[750..].iter().zip(&without[750..]).any(|(a, b)| a != b));
    // Without the prior in use, a bundle's strength stays as it is.
    let present = Values { prior_strength: 0.2, ..values(1.0) };
    assert_eq!(fit(&seen, &present, &replay(None), None, 0.9).values.prior_strength, 0.2);
}

#[test]
fn the_threshold_gives_the_precision() {
    let seen = honest(2000, 1.0, None, 9);
    let of = |precision| fit(&seen, &values(1.0), &replay(None), None, precision);
    let found = of(0.9);
    let threshold = found.threshold.unwrap();
    assert!(threshold.below > 0.0 && threshold.coverage < 1.0 && threshold.precision >= 0.9, "{threshold:?}");
    let stay: Vec<_> = found.after.iter().filter(|answer| answer.prediction.confidence >= threshold.below).collect();
    assert!(stay.len().abs_diff(threshold.answered) <= 1);
    assert_eq!(of(0.1).threshold.unwrap().below, 0.0);
    assert_eq!(of(1.1).threshold, None);
    // Copies that were made worse, with whatever answers, change nothing but the temperature.
    let spoilt = honest(2000, 1.0, None, 10);
    let spoilt = spoilt.into_iter().map(|sighted| Sighted { degradation: Some(Degradation::Blur), ..sighted });
    let with_spoilt: Vec<_> = seen.iter().cloned().chain(spoilt).collect();
    let found = fit(&with_spoilt, &values(1.0), &replay(None), None, 0.9).threshold.unwrap();
    assert!((found.coverage - found.answered as f64 / 2000.0).abs() < 1e-9 && found.precision >= 0.9, "{found:?}");
}
