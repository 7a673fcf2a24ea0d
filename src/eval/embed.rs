//! Many numbers a thing to a place on a sheet of paper: t-SNE (van der Maaten and Hinton, "Visualizing Data using t-SNE",
//! JMLR 9, 2008).
//!
//! The exact method, which takes time with the square of the things: up to some 2,000 that is seconds. The crates there are
//! sum in parallel, in another order each time, and a picture of the same data must be the same tomorrow.

use std::num::NonZero;
use std::thread;

use super::random::{Random, mix};

/// About how many neighbours each thing has.
const PERPLEXITY: f32 = 30.0;
/// Steps in all, and those at the start in which things attract each other more than they should, so that clusters form.
const STEPS: usize = 750;
const EARLY_STEPS: usize = 250;
const EARLY_EXAGGERATION: f32 = 12.0;
/// What is kept of a step's direction in the next one, early and later.
const MOMENTUM: (f32, f32) = (0.5, 0.8);

/// A place for each row, so that rows near each other are near each other. Only who is near whom means something: neither
/// the axes nor far distances do. The same for the same rows and seed on every machine.
///
/// # Panics
/// If the rows are not of one length, or hold numbers that are not finite.
#[must_use]
pub fn tsne(rows: &[Vec<f32>], seed: u64) -> Vec<[f32; 2]> {
    let n = rows.len();
    assert!(rows.iter().all(|row| row.len() == rows[0].len() && row.iter().all(|value| value.is_finite())));
    let mut random = Random::new(mix(seed, n as u64, "t-SNE"));
    let mut places: Vec<[f32; 2]> = (0..n).map(|_| [(); 2].map(|()| 1e-4 * random.normal() as f32)).collect();
    if n < 3 {
        return places;
    }
    let likeness = likeness(rows);
    let rate = (n as f32 / EARLY_EXAGGERATION / 4.0).max(50.0);
    let mut speeds = vec![[0.0_f32; 2]; n];
    let mut gains = vec![[1.0_f32; 2]; n];
    for step in 0..STEPS {
        let early = step < EARLY_STEPS;
        let (exaggeration, momentum) = if early { (EARLY_EXAGGERATION, MOMENTUM.0) } else { (1.0, MOMENTUM.1) };
        let forces = each_row(n, |row| Force::on(row, &places, &likeness[row * n..][..n]));
        let total: f32 = forces.iter().map(|force| force.total).sum();
        for (row, force) in forces.iter().enumerate() {
            for axis in 0..2 {
                let slope = 4.0 * (exaggeration * force.attraction[axis] - force.repulsion[axis] / total);
                let (gain, speed) = (&mut gains[row][axis], &mut speeds[row][axis]);
                // Faster where the direction stays, slower where it turns (Jacobs, 1988).
                *gain = if (slope > 0.0) == (*speed > 0.0) { (*gain * 0.8).max(0.01) } else { *gain + 0.2 };
                *speed = momentum * *speed - rate * *gain * slope;
                places[row][axis] += *speed;
            }
        }
        centre(&mut places);
    }
    places
}

/// What a network made of a picture, of length 1, so that strong and faint pictures of one thing are alike.
#[must_use]
pub fn of_length_one(features: &[f32]) -> Vec<f32> {
    let length = features.iter().map(|feature| feature * feature).sum::<f32>().sqrt();
    let share = if length.is_finite() && length > 0.0 { 1.0 / length } else { 0.0 };
    features.iter().map(|feature| if feature.is_finite() { feature * share } else { 0.0 }).collect()
}

/// What moves one thing.
struct Force {
    attraction: [f32; 2],
    /// Before it is divided by the total over all things.
    repulsion: [f32; 2],
    total: f32,
}

impl Force {
    fn on(row: usize, places: &[[f32; 2]], likeness: &[f32]) -> Self {
        let [x, y] = places[row];
        // The place itself adds 1 to the total, and nothing else.
        let mut force = Self { attraction: [0.0; 2], repulsion: [0.0; 2], total: -1.0 };
        for (place, like) in places.iter().zip(likeness) {
            let (dx, dy) = (x - place[0], y - place[1]);
            let near = 1.0 / (1.0 + dx * dx + dy * dy);
            let (pull, push) = (like * near, near * near);
            force.attraction[0] += pull * dx;
            force.attraction[1] += pull * dy;
            force.repulsion[0] += push * dx;
            force.repulsion[1] += push * dy;
            force.total += near;
        }
        force
    }
}

/// How alike each two rows are, row by row; the sum is 1.
fn likeness(rows: &[Vec<f32>]) -> Vec<f32> {
    let n = rows.len();
    let perplexity = PERPLEXITY.min((n - 1) as f32 / 3.0).max(1.0);
    let one_way: Vec<f32> = each_row(n, |row| neighbours(row, rows, libm::logf(perplexity))).concat();
    let mut likeness = vec![0.0; n * n];
    for row in 0..n {
        for other in 0..n {
            let both = one_way[row * n + other] + one_way[other * n + row];
            // Not quite 0, as in the paper's own program: whoever is alone must not drift off.
            likeness[row * n + other] = if row == other { 0.0 } else { (both / (2 * n) as f32).max(1e-12) };
        }
    }
    likeness
}

/// With which probability a row would choose each other one as its neighbour, if it had as many as the entropy says.
fn neighbours(row: usize, rows: &[Vec<f32>], entropy: f32) -> Vec<f32> {
    let distance = |other: &Vec<f32>| rows[row].iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
    let mut distances: Vec<f32> = rows.iter().map(distance).collect();
    let others = || (0..rows.len()).filter(|other| *other != row);
    // In units of their mean, so that the search for the width starts near its end.
    let nearest = others().map(|other| distances[other]).fold(f32::INFINITY, f32::min);
    let mean = others().map(|other| distances[other] - nearest).sum::<f32>() / (rows.len() - 1) as f32;
    let unit = if mean > 0.0 { mean } else { 1.0 };
    distances.iter_mut().for_each(|distance| *distance = (*distance - nearest) / unit);

    let (mut low, mut high, mut sharpness) = (0.0, f32::INFINITY, 1.0);
    let mut chosen = vec![0.0; rows.len()];
    for _ in 0..64 {
        let (mut sum, mut weighted) = (0.0, 0.0);
        for other in others() {
            chosen[other] = libm::expf(-sharpness * distances[other]);
            sum += chosen[other];
            weighted += chosen[other] * distances[other];
        }
        chosen.iter_mut().for_each(|chosen| *chosen /= sum);
        let excess = libm::logf(sum) + sharpness * weighted / sum - entropy;
        if excess.abs() < 1e-4 {
            break;
        }
        if excess > 0.0 {
            low = sharpness;
            sharpness = if high.is_finite() { (low + high) / 2.0 } else { (sharpness * 2.0).min(1e30) };
        } else {
            high = sharpness;
            sharpness = (low + high) / 2.0;
        }
    }
    chosen
}

/// The mean of all places to the origin.
fn centre(places: &mut [[f32; 2]]) {
    for axis in 0..2 {
        let mean = places.iter().map(|place| place[axis]).sum::<f32>() / places.len() as f32;
        places.iter_mut().for_each(|place| place[axis] -= mean);
    }
}

/// Something for each row, on all cores. Each row is reckoned by itself, so that how many cores there are changes nothing.
fn each_row<T: Send>(n: usize, one: impl Fn(usize) -> T + Sync) -> Vec<T> {
    // A thread costs as much as some rows.
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(n.div_ceil(128));
    if threads == 1 {
        return (0..n).map(one).collect();
    }
    let (share, one) = (n.div_ceil(threads), &one);
    thread::scope(|scope| {
        let part = |from: usize| scope.spawn(move || (from..n.min(from + share)).map(one).collect::<Vec<T>>());
        let running: Vec<_> = (0..n).step_by(share).map(part).collect();
        let joined = running.into_iter().map(thread::ScopedJoinHandle::join);
        joined.flat_map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three clusters in 20 dimensions, whose members take turns.
    fn clusters(n: usize) -> Vec<Vec<f32>> {
        let mut random = Random::new(5);
        let value = |random: &mut Random, row: usize, axis: usize| {
            random.normal() as f32 + if axis == row % 3 { 12.0 } else { 0.0 }
        };
        (0..n).map(|row| (0..20).map(|axis| value(&mut random, row, axis)).collect()).collect()
    }

    fn nearest(row: usize, places: &[[f32; 2]]) -> usize {
        let far = |other: &usize| (0..2).map(|axis| (places[row][axis] - places[*other][axis]).powi(2)).sum::<f32>();
        (0..places.len()).filter(|other| *other != row).min_by(|a, b| far(a).total_cmp(&far(b))).unwrap()
    }

    #[test]
    fn clusters_stay_apart_and_the_same_seed_gives_the_same() {
        for n in [30, 300] {
            let rows = clusters(n);
            let places = tsne(&rows, 1);
            let same = (0..n).filter(|&row| nearest(row, &places) % 3 == row % 3).count();
            assert!(same as f64 > 0.95 * n as f64, "{same} of {n}");
            assert_eq!(tsne(&rows, 1), places);
            assert_ne!(tsne(&rows, 2), places);
        }
    }

    #[test]
    fn each_has_as_many_neighbours_as_it_should() {
        let rows = clusters(90);
        let chosen = neighbours(7, &rows, libm::logf(20.0));
        let entropy: f32 = chosen.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
        assert!((entropy.exp() - 20.0).abs() < 0.1, "{}", entropy.exp());
        assert_eq!(chosen[7], 0.0);
        let sum: f32 = likeness(&rows).iter().sum();
        assert!((sum - 1.0).abs() < 1e-3, "{sum}");
    }

    #[test]
    fn strong_and_faint_are_alike_and_nonsense_is_nothing() {
        assert_eq!(of_length_one(&[3.0, 4.0]), [0.6, 0.8]);
        assert_eq!(of_length_one(&[0.0, 0.0]), [0.0, 0.0]);
        assert_eq!(of_length_one(&[1.0, f32::NAN]), [0.0, 0.0]);
    }

    #[test]
    fn few_or_equal_things_have_places_too() {
        for n in 0..6 {
            for rows in [clusters(n), vec![vec![1.0; 3]; n]] {
                let places = tsne(&rows, 1);
                assert_eq!(places.len(), n);
                assert!(places.iter().flatten().all(|place| place.is_finite()), "{places:?}");
            }
        }
    }
}
