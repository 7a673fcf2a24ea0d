//! Intervals of rates.

/// The normal distribution has 95 % of its weight within so many standard deviations.
pub(super) const Z: f64 = 1.959_963_984_540_054;

/// An interval in which the true value lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Wilson's score interval of a rate, 95 %, from `successes` among `n` (Wilson, "Probable Inference, the Law of Succession, and
/// Statistical Inference", 1927). Ends are fractions; of nothing, anything may be true: 0 to 1.
///
/// Unlike the textbook's interval it keeps what it promises with few samples and with rates near 0 and 1.
///
/// # Panics
/// If there are more successes than samples.
#[must_use]
pub fn wilson(successes: usize, n: usize) -> Interval {
    assert!(successes <= n, "{successes} successes in {n}");
    if n == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let (k, count) = (successes as f64, n as f64);
    let rate = k / count;
    let centre = rate + Z * Z / (2.0 * count);
    let half = Z * (rate * (1.0 - rate) / count + Z * Z / (4.0 * count * count)).sqrt();
    let scale = 1.0 + Z * Z / count;
    // Rounding must not leave an end beyond the rate that it is about.
    let low = if successes == 0 { 0.0 } else { (centre - half) / scale };
    let high = if successes == n { 1.0 } else { (centre + half) / scale };
    Interval { low, high }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Newcombe, "Two-Sided Confidence Intervals for the Single Proportion", 1998, table I, method 3.
    #[test]
    fn published_examples() {
        for (successes, n, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let interval = wilson(successes, n);
            assert!((interval.low - low).abs() < 5e-5 && (interval.high - high).abs() < 5e-5, "{interval:?}");
        }
    }

    #[test]
    fn ends_are_exact_where_all_or_none_succeed() {
        assert_eq!(wilson(0, 0), Interval { low: 0.0, high: 1.0 });
        for n in [1, 2, 29, 500, 1_000_000] {
            let (none, all) = (wilson(0, n), wilson(n, n));
            assert_eq!((none.low, all.high), (0.0, 1.0));
            assert!((none.high - (1.0 - all.low)).abs() < 1e-12);
            for successes in 0..n.min(30) {
                let rate = successes as f64 / n as f64;
                assert!(wilson(successes, n).low <= rate && rate <= wilson(successes, n).high);
            }
        }
    }
}
