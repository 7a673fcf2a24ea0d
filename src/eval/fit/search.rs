//! The temperature with the least loss.

use super::{HIGHEST, LOWEST};

/// Points of the grid, evenly apart by the logarithm.
const POINTS: usize = 17;
/// The search ends when the temperature is known to this part of itself.
const TOLERANCE: f64 = 5e-4;

/// The temperature from [`LOWEST`] to [`HIGHEST`] with the least loss, to four digits.
///
/// First on a grid, then by golden section (Kiefer, "Sequential Minimax Search for a Maximum", 1953) around the best point: the
/// loss of one view has one minimum, that of a mean over views may have several.
pub fn best_temperature(mut loss: impl FnMut(f32) -> f64) -> f32 {
    let mut loss = |log: f64| loss(log.exp() as f32);
    let (low, high) = (LOWEST.ln(), HIGHEST.ln());
    let step = (high - low) / (POINTS - 1) as f64;
    let grid = (0..POINTS).map(|point| low + point as f64 * step);
    // Of equal ones the first; of equal ones the first.
    let start = grid.map(|log| (loss(log), log)).min_by(|a, b| a.0.total_cmp(&b.0)).map_or(0.0, |(_, log)| log);
    let (mut low, mut high) = ((start - step).max(low), (start + step).min(high));
    const SECTION: f64 = 0.618_033_988_749_894_9;
    let (mut a, mut b) = (high - SECTION * (high - low), low + SECTION * (high - low));
    let (mut at_a, mut at_b) = (loss(a), loss(b));
    while high - low > TOLERANCE {
        if at_a <= at_b {
            (high, b, at_b) = (b, a, at_a);
            a = high - SECTION * (high - low);
            at_a = loss(a);
        } else {
            (low, a, at_a) = (a, b, at_b);
            b = low + SECTION * (high - low);
            at_b = loss(b);
        }
    }
    // An end of the range is no inner point, and may be the best.
    let log = [(low + high) / 2.0, low, high].map(|log| (loss(log), log));
    let log = log.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)).map_or(start, |(_, log)| log);
    ((log.exp() * 1e4).round() / 1e4) as f32
}
