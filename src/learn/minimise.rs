//! The minimum of a smooth function of many variables.

use std::collections::VecDeque;

/// Steps that are remembered.
const MEMORY: usize = 8;
/// The least part of the expected gain that a step must give (Armijo).
const ENOUGH_GAIN: f64 = 1e-4;
/// A step is halved no further than this.
const SHORTEST_STEP: f64 = 1e-4;

/// When to end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Until {
    /// After so many steps.
    pub steps: usize,
    /// Or when the gradient is this part of what it was at the start.
    pub gradient: f64,
}

/// Goes from `start` to where `function` is least, by L-BFGS (Nocedal, "Updating Quasi-Newton Matrices with Limited Storage",
/// 1980) with a backtracking line search. `function` returns the value at a point and writes the gradient there into its second argument.
/// `None` if it was stopped: that is asked before each evaluation.
pub fn minimise(
    start: Vec<f32>,
    until: Until,
    mut function: impl FnMut(&[f32], &mut [f32]) -> f64,
    stopped: &dyn Fn() -> bool,
) -> Option<Vec<f32>> {
    let mut at = start;
    let mut gradient = vec![0.0; at.len()];
    if stopped() {
        return None;
    }
    let mut value = function(&at, &mut gradient);
    let first_norm = norm(&gradient);
    let mut history: VecDeque<Move> = VecDeque::new();
    let (mut next, mut next_gradient) = (at.clone(), gradient.clone());
    for _ in 0..until.steps {
        let slope_norm = norm(&gradient);
        if slope_norm <= until.gradient * first_norm || slope_norm == 0.0 {
            break;
        }
        let mut direction = downhill(&gradient, &history);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            // What is remembered misleads.
            history.clear();
            direction = downhill(&gradient, &history);
            slope = dot(&direction, &gradient);
        }
        let mut step = 1.0_f64;
        let next_value = loop {
            for ((next, at), direction) in next.iter_mut().zip(&at).zip(&direction) {
                *next = at + step as f32 * direction;
            }
            if stopped() {
                return None;
            }
            let value_there = function(&next, &mut next_gradient);
            if value_there <= value + ENOUGH_GAIN * step * slope {
                break Some(value_there);
            }
            if step < SHORTEST_STEP {
                break None;
            }
            step *= 0.5;
        };
        // No gain to be had: rounding is all that is left.
        let Some(next_value) = next_value else { break };
        let moved = Move::new(&at, &next, &gradient, &next_gradient);
        std::mem::swap(&mut at, &mut next);
        std::mem::swap(&mut gradient, &mut next_gradient);
        value = next_value;
        if moved.curvature > 1e-10 {
            history.truncate(MEMORY - 1);
            history.push_front(moved);
        }
    }
    Some(at)
}

/// A step, and how the gradient changed with it.
struct Move {
    step: Vec<f32>,
    change: Vec<f32>,
    /// The product of both.
    curvature: f64,
}

impl Move {
    fn new(from: &[f32], to: &[f32], gradient: &[f32], next_gradient: &[f32]) -> Self {
        let difference = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f32>>();
        let (step, change) = (difference(to, from), difference(next_gradient, gradient));
        let curvature = dot(&step, &change);
        Self { step, change, curvature }
    }
}

/// Against the gradient, as bent by what is remembered, the newest first. The first step has length one.
fn downhill(gradient: &[f32], history: &VecDeque<Move>) -> Vec<f32> {
    let mut q = gradient.to_vec();
    let mut weights = Vec::with_capacity(history.len());
    for Move { step, change, curvature } in history {
        let weight = dot(step, &q) / curvature;
        add(&mut q, change, -weight);
        weights.push(weight);
    }
    let scale = match history.front() {
        Some(newest) => newest.curvature / dot(&newest.change, &newest.change),
        None => 1.0 / norm(gradient).max(1e-9),
    };
    q.iter_mut().for_each(|q| *q *= scale as f32);
    for (Move { step, change, curvature }, weight) in history.iter().zip(weights).rev() {
        let correction = weight - dot(change, &q) / curvature;
        add(&mut q, step, correction);
    }
    q.iter_mut().for_each(|q| *q = -*q);
    q
}

fn add(to: &mut [f32], what: &[f32], times: f64) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += times as f32 * what);
}

/// Summed in blocks: quick, and the same on every processor.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let block = |(a, b): (&[f32], &[f32])| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    a.chunks(256).zip(b.chunks(256)).map(block).sum()
}

fn norm(a: &[f32]) -> f64 {
    dot(a, a).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNTIL: Until = Until { steps: 200, gradient: 1e-6 };

    /// Rosenbrock's valley: least, 0, at (1, 1).
    fn valley(at: &[f32], gradient: &mut [f32]) -> f64 {
        let (x, y) = (f64::from(at[0]), f64::from(at[1]));
        gradient[0] = (-2.0 * (1.0 - x) - 400.0 * x * (y - x * x)) as f32;
        gradient[1] = (200.0 * (y - x * x)) as f32;
        (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2)
    }

    #[test]
    fn the_bottom_of_a_bent_valley_is_found() {
        let found = minimise(vec![-1.2, 1.0], UNTIL, valley, &|| false).unwrap();
        assert!((found[0] - 1.0).abs() < 1e-3 && (found[1] - 1.0).abs() < 2e-3, "{found:?}");
    }

    #[test]
    fn a_bowl_of_many_variables_takes_few_steps() {
        let mut evaluations = 0;
        let bowl = |at: &[f32], gradient: &mut [f32]| {
            evaluations += 1;
            let of = |(index, x): (usize, &f32)| (1.0 + index as f64 / 10.0, f64::from(*x) - index as f64);
            for (gradient, pair) in gradient.iter_mut().zip(at.iter().enumerate()) {
                let (steep, away) = of(pair);
                *gradient = (steep * away) as f32;
            }
            at.iter().enumerate().map(of).map(|(steep, away)| 0.5 * steep * away * away).sum()
        };
        let found = minimise(vec![0.0; 100], UNTIL, bowl, &|| false).unwrap();
        assert!(found.iter().enumerate().all(|(index, x)| (x - index as f32).abs() < 1e-2), "{found:?}");
        assert!(evaluations < 60, "{evaluations}");
    }

    #[test]
    fn it_stays_at_a_minimum_and_stops_when_it_is_asked_to() {
        assert_eq!(minimise(vec![1.0, 1.0], UNTIL, valley, &|| false), Some(vec![1.0, 1.0]));
        let asked = std::cell::Cell::new(0);
        let stopped = || asked.replace(asked.get() + 1) >= 5;
        assert_eq!(minimise(vec![-1.2, 1.0], UNTIL, valley, &stopped), None);
        assert_eq!(asked.get(), 6);
    }
}
