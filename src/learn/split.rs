//! Which examples stand together: what is learnt from one frame is no proof on another that is nearly the same.

use std::collections::BTreeMap;

use crate::classify::dhash::PictureHash;

/// Frames of one camera that are nearer in time than this show the same moment, whatever they look like, milliseconds.
const SAME_MOMENT_MS: i64 = 5_000;
/// Within this time, frames of one camera that look alike show the same thing, milliseconds.
const SAME_SCENE_MS: i64 = 600_000;
/// So many different bits are a variation of a picture (see [`PictureHash`]).
const ALIKE: u32 = 10;
/// So many are noise: the same picture again, whenever and wherever it was taken.
const SAME: u32 = 3;

/// What is known of an example.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Its camera, if it has one.
    pub camera: Option<&'a str>,
    /// When it was taken, in milliseconds since 1970, if that is known.
    pub at_ms: Option<i64>,
    /// What it looks like.
    pub hash: PictureHash,
    /// What it shows.
    pub class: usize,
}

/// Whether two examples must not stand on both sides.
fn belong_together(a: &Sample<'_>, b: &Sample<'_>) -> bool {
    let distance = a.hash.distance(b.hash);
    let same_camera = a.camera.is_some() && a.camera == b.camera;
    match (a.at_ms, b.at_ms) {
        (Some(one), Some(other)) if same_camera => {
            let apart = (one - other).abs();
            apart <= SAME_MOMENT_MS || (apart <= SAME_SCENE_MS && distance <= ALIKE)
        }
        _ => distance <= SAME,
    }
}

/// The groups of examples that stand together, each a number; groups are numbered in the order of their first example.
///
/// What belongs together directly or by way of others is one group. Compares all pairs: 0.1 s for 5,000.
#[must_use]
pub fn groups(samples: &[Sample<'_>]) -> Vec<usize> {
    // Each points to an earlier one of its group, the first to itself.
    let mut leader: Vec<usize> = (0..samples.len()).collect();
    fn find(leader: &mut [usize], mut at: usize) -> usize {
        while leader[at] != at {
            leader[at] = leader[leader[at]];
            at = leader[at];
        }
        at
    }
    for b in 0..samples.len() {
        for a in 0..b {
            if belong_together(&samples[a], &samples[b]) {
                let (a, b) = (find(&mut leader, a), find(&mut leader, b));
                leader[a.max(b)] = a.min(b);
            }
        }
    }
    let mut numbers = BTreeMap::new();
    (0..samples.len())
        .map(|at| {
            let (first, next) = (find(&mut leader, at), numbers.len());
            *numbers.entry(first).or_insert(next)
        })
        .collect()
}

/// The fold of each example, 0 to `folds` − 1: the examples of a group have the same. Each class is dealt evenly, group by
/// group in the order of time, so that a fold is, of each class, a stretch of time.
#[must_use]
pub fn folds(samples: &[Sample<'_>], groups: &[usize], folds: usize) -> Vec<usize> {
    let count = groups.iter().max().map_or(0, |last| last + 1);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (at, &group) in groups.iter().enumerate() {
        members[group].push(at);
    }
    let mut of_class: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (group, members) in members.iter().enumerate() {
        of_class.entry(most_common(members.iter().map(|&at| samples[at].class))).or_default().push(group);
    }
    let mut fold_of_group = vec![0; count];
    for (class, mut of_class) in of_class {
        let time = |group: &usize| members[*group].iter().map(|&at| samples[at].at_ms).min().flatten();
        of_class.sort_by_key(|group| (time(group), *group));
        let groups = of_class.len();
        for (place, group) in of_class.into_iter().enumerate() {
            let stretch = if groups < folds { place } else { place * folds / groups };
            // Classes begin with different folds: else the first would have all those with a single group.
            fold_of_group[group] = (stretch + class) % folds;
        }
    }
    groups.iter().map(|&group| fold_of_group[group]).collect()
}

/// Of equally common ones the first by number.
fn most_common(classes: impl Iterator<Item = usize>) -> usize {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    classes.for_each(|class| *counts.entry(class).or_default() += 1);
    counts.into_iter().max_by_key(|&(class, count)| (count, std::cmp::Reverse(class))).map_or(0, |(class, _)| class)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(camera: &'static str, seconds: i64, hash: u64, class: usize) -> Sample<'static> {
        Sample { camera: Some(camera), at_ms: Some(seconds * 1000), hash: PictureHash(hash), class }
    }

    fn file(hash: u64, class: usize) -> Sample<'static> {
        Sample { camera: None, at_ms: None, hash: PictureHash(hash), class }
    }

    #[test]
    fn a_burst_is_one_group_however_long() {
        let burst: Vec<_> = (0..100).map(|second| at("gate", 4 * second, !0 << (second % 60), 0)).collect();
        assert_eq!(groups(&burst), [0; 100]);
        let other_camera = [at("gate", 0, 0, 0), at("door", 0, 0xffff, 0), at("gate", 6, !0, 0), at("gate", 12, 0, 0)];
        assert_eq!(groups(&other_camera), [0, 1, 2, 0]);
    }

    #[test]
    fn what_looks_alike_stands_together_for_a_while() {
        let (alike, unlike) = (0x3ff, 0x7ff);
        assert_eq!(groups(&[at("gate", 0, 0, 0), at("gate", 500, alike, 0)]), [0, 0]);
        assert_eq!(groups(&[at("gate", 0, 0, 0), at("gate", 500, unlike, 0)]), [0, 1]);
        assert_eq!(groups(&[at("gate", 0, 0, 0), at("gate", 700, alike, 0)]), [0, 1]);
        // Files have no time: only the same picture is the same.
        assert_eq!(groups(&[file(0, 0), file(0x7, 0), file(0xf, 1)]), [0, 0, 0]);
        assert_eq!(groups(&[file(0, 0), file(0xf, 0)]), [0, 1]);
        assert!(groups(&[]).is_empty());
    }

    #[test]
    fn every_class_is_in_every_fold_and_no_group_in_two() {
        let samples: Vec<_> = (0..120).map(|n| at("gate", n * 1000, n as u64, (n % 5) as usize)).collect();
        let groups = groups(&samples);
        let folds = folds(&samples, &groups, 4);
        for class in 0..5 {
            let of_class: Vec<_> = (0..120).filter(|n| n % 5 == class).map(|n| folds[n]).collect();
            for fold in 0..4 {
                assert_eq!(of_class.iter().filter(|&&there| there == fold).count(), 6, "{class} {fold}");
            }
            // Stretches of time: the fold changes three times.
            assert_eq!(of_class.windows(2).filter(|pair| pair[0] != pair[1]).count(), 3);
        }
        let mixed = [at("a", 0, 0, 0), at("a", 1, !0, 1), at("a", 900, 0, 0), at("a", 901, !0, 1)];
        let groups = super::groups(&mixed);
        assert_eq!(groups, [0, 0, 1, 1]);
        let folds = super::folds(&mixed, &groups, 4);
        assert_eq!((folds[0] == folds[1], folds[2] == folds[3], folds[0] != folds[2]), (true, true, true));
    }

    #[test]
    fn single_examples_are_dealt_to_all_folds() {
        let samples: Vec<_> = (0..8).map(|class| file(0xff << (8 * class), class)).collect();
        let folds = folds(&samples, &groups(&samples), 4);
        assert_eq!(folds, [0, 1, 2, 3, 0, 1, 2, 3]);
    }
}
