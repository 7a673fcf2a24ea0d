//! Which classes are seen together: a prior from what people said about the frames of their own cameras.
//!
//! Where a cat is fed, the bowl is not far. Such a table knows nothing of what classes are, only of what was confirmed on one
//! camera within a time window, and so it says something that the model's makers could not.

use std::collections::HashMap;

use crate::model::{MOST_NEIGHBOURS, Pair, Prior};

/// A class that somebody said a camera's frame shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// The camera.
    pub camera: String,
    /// When the frame was taken, in milliseconds since 1970.
    pub at_ms: u64,
    /// The class.
    pub class: u32,
}

/// Two classes that met less often may have met by chance.
const FEWEST_MEETINGS: u32 = 3;
/// So many meetings with nothing are added to those that were seen: a share of few is not yet one of many.
const SHRINKAGE: f32 = 2.0;

/// The table of classes confirmed on one camera within `window_ms` of each other, for a model of `classes` classes.
///
/// The weight of a neighbour is the share of a class's occurrences near which it was seen, shrunk a little. What is
/// seen of one class within one window is one occurrence, so that a hundred frames of one cat are one cat. A class has at
/// most [`MOST_NEIGHBOURS`], those with the largest weights. Classes beyond `classes` are passed over.
#[must_use]
pub fn together(classes: usize, mut confirmed: Vec<Confirmed>, window_ms: u64) -> Prior {
    confirmed.retain(|seen| usize::try_from(seen.class).is_ok_and(|class| class < classes));
    confirmed.sort_unstable_by(|a, b| (&a.camera, a.at_ms, a.class).cmp(&(&b.camera, b.at_ms, b.class)));
    let mut occurrences: HashMap<u32, u32> = HashMap::new();
    let mut meetings: HashMap<(u32, u32), u32> = HashMap::new();
    for camera in confirmed.chunk_by(|a, b| a.camera == b.camera) {
        let mut last: HashMap<u32, u64> = HashMap::new();
        // How often each class is seen in the window around the present frame, which is `from..to`.
        let (mut around, mut from, mut to) = (HashMap::<u32, u32>::new(), 0, 0);
        for seen in camera {
            while camera.get(to).is_some_and(|later| later.at_ms - seen.at_ms.min(later.at_ms) <= window_ms) {
                *around.entry(camera[to].class).or_default() += 1;
                to += 1;
            }
            while seen.at_ms - camera[from].at_ms > window_ms {
                if let Some(count) = around.get_mut(&camera[from].class) {
                    *count -= 1;
                }
                from += 1;
            }
            if last.get(&seen.class).is_some_and(|last| seen.at_ms - last <= window_ms) {
                continue;
            }
            last.insert(seen.class, seen.at_ms);
            *occurrences.entry(seen.class).or_default() += 1;
            for (&other, _) in around.iter().filter(|&(&other, &count)| count > 0 && other != seen.class) {
                *meetings.entry((seen.class, other)).or_default() += 1;
            }
        }
    }
    let pair = |((class, neighbour), met): ((u32, u32), u32)| {
        let weight = met as f32 / (occurrences[&class] as f32 + SHRINKAGE);
        Pair { class, neighbour, weight }
    };
    let mut pairs: Vec<_> = meetings.into_iter().filter(|&(_, met)| met >= FEWEST_MEETINGS).map(pair).collect();
    pairs.sort_unstable_by(|a, b| {
        a.class.cmp(&b.class).then(b.weight.total_cmp(&a.weight)).then(a.neighbour.cmp(&b.neighbour))
    });
    let best = pairs.chunk_by(|a, b| a.class == b.class).flat_map(|row| &row[..row.len().min(MOST_NEIGHBOURS)]);
    Prior::new(classes, best.copied()).expect("pairs are of the model's classes, each once, with weights below 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    fn seen(camera: &str, minute: u64, class: u32) -> Confirmed {
        Confirmed { camera: camera.to_owned(), at_ms: minute * MINUTE, class }
    }

    fn weights(confirmed: Vec<Confirmed>) -> Vec<(u32, u32, f32)> {
        together(10, confirmed, 10 * MINUTE)
            .pairs()
            .map(|pair| (pair.class, pair.neighbour, (pair.weight * 1000.0).round() / 1000.0))
            .collect()
    }

    #[test]
    fn what_is_seen_near_on_one_camera_belongs_together() {
        let mut all = Vec::new();
        for hour in 0..4 {
            all.extend([seen("yard", hour * 60, 1), seen("yard", hour * 60 + 10, 2)]);
            // At the same time, but elsewhere; and too late.
            all.extend([seen("hall", hour * 60, 3), seen("yard", hour * 60 + 21, 4)]);
        }
        // Once without the other.
        all.push(seen("yard", 1000, 1));
        assert_eq!(weights(all.clone()), [(1, 2, 0.571), (2, 1, 0.667)]);
        all.reverse();
        assert_eq!(weights(all), [(1, 2, 0.571), (2, 1, 0.667)]);
    }

    #[test]
    fn many_frames_of_one_moment_are_one_occurrence() {
        let moment = |hour: u64| (0..50).flat_map(move |_| [seen("yard", hour * 60, 1), seen("yard", hour * 60, 2)]);
        assert_eq!(weights((0..2).flat_map(moment).collect()), [], "two meetings may be chance");
        assert_eq!(weights((0..3).flat_map(moment).collect()), [(1, 2, 0.6), (2, 1, 0.6)]);
    }

    #[test]
    fn a_class_that_the_model_lacks_is_passed_over() {
        let moment = |hour: u64| [seen("yard", hour * 60, 1), seen("yard", hour * 60, 10)];
        assert_eq!(weights((0..5).flat_map(moment).collect()), []);
        assert!(together(0, vec![seen("yard", 0, 0)], MINUTE).is_empty());
    }

    #[test]
    fn no_class_has_more_neighbours_than_it_may() {
        let classes = 3 + u32::try_from(MOST_NEIGHBOURS).unwrap();
        let moment = |hour: u64| (0..classes).map(move |class| seen("yard", hour * 60, class));
        let all = (0..4).flat_map(moment).chain([seen("hall", 0, 0), seen("hall", 60, 0)]).collect();
        let prior = together(100, all, MINUTE);
        assert!((0..classes).all(|class| prior.neighbours(class).count() == MOST_NEIGHBOURS));
    }
}
