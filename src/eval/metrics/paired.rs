//! Whether one way of answering is better than another, from both on the same pictures.

use serde::Serialize;

use super::interval::{Interval, wilson};

/// Two ways compared. Differences are the second's rate minus the first's, in points.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Paired {
    /// How many pictures.
    pub n: usize,
    /// Where only the first was right: what the second lost.
    pub lost: usize,
    /// Where only the second was right: what it gained.
    pub gained: usize,
    /// The difference.
    pub points: f64,
    /// Its 95 % interval, by method 10 of Newcombe, "Improved Confidence Intervals for the Difference between Binomial
    /// Proportions Based on Paired Data", 1998.
    pub interval: Interval,
    /// How likely a difference at least as large, either way, is by chance alone: see [`mcnemar`].
    pub p: f64,
}

/// Compares outcomes on the same pictures, `true` where right, in the same order.
///
/// # Panics
/// If the two differ in length.
#[must_use]
pub fn paired(first: &[bool], second: &[bool]) -> Paired {
    assert_eq!(first.len(), second.len(), "two ways are compared on the same pictures");
    let count = |pair: (bool, bool)| first.iter().zip(second).filter(|&(&a, &b)| (a, b) == pair).count();
    let table = Table {
        both: count((true, true)),
        lost: count((true, false)),
        gained: count((false, true)),
        neither: count((false, false)),
    };
    let Interval { low, high } = table.interval();
    Paired {
        n: first.len(),
        lost: table.lost,
        gained: table.gained,
        points: 100.0 * table.difference(),
        interval: Interval { low: 100.0 * low, high: 100.0 * high },
        p: mcnemar(table.lost, table.gained),
    }
}

/// McNemar's test, exact and two-sided: how likely it is that, of `lost + gained` pictures on which two ways differ, one is
/// right on as few as the fewer, were each as likely right as the other. 1 if they never differ.
#[must_use]
pub fn mcnemar(lost: usize, gained: usize) -> f64 {
    let (n, fewer) = (lost + gained, lost.min(gained));
    // The logarithm of the binomial probability of `fewer`: for many pictures the probability itself is too small a number.
    let top: f64 = (1..=fewer).map(|k| ((n - fewer + k) as f64 / k as f64).ln()).sum();
    let top = top - n as f64 * std::f64::consts::LN_2;
    // The others below it, in proportion to it.
    let (mut term, mut sum) = (1.0, 1.0);
    for k in (1..=fewer).rev() {
        term *= k as f64 / (n - k + 1) as f64;
        sum += term;
    }
    (2.0 * top.exp() * sum).min(1.0)
}

/// Pictures by which way was right.
struct Table {
    both: usize,
    lost: usize,
    gained: usize,
    neither: usize,
}

impl Table {
    fn n(&self) -> usize {
        self.both + self.lost + self.gained + self.neither
    }

    /// As a fraction; 0 of nothing.
    fn difference(&self) -> f64 {
        (self.gained as f64 - self.lost as f64) / self.n().max(1) as f64
    }

    /// Newcombe's: Wilson's intervals of both rates, put together as their correlation allows. As fractions; −1 to 1 of
    /// nothing.
    fn interval(&self) -> Interval {
        let n = self.n();
        if n == 0 {
            return Interval { low: -1.0, high: 1.0 };
        }
        let spread = |right: usize| {
            let (rate, Interval { low, high }) = (right as f64 / n as f64, wilson(right, n));
            (rate - low, high - rate)
        };
        let (first_below, first_above) = spread(self.both + self.lost);
        let (second_below, second_above) = spread(self.both + self.gained);
        let phi = self.correlation();
        let together = |a: f64, b: f64| (a * a - 2.0 * phi * a * b + b * b).max(0.0).sqrt();
        let difference = self.difference();
        Interval {
            low: difference - together(second_below, first_above),
            high: difference + together(second_above, first_below),
        }
    }

    /// The correlation φ of the two outcomes, made smaller where it is positive: that of a sample tends to be too high.
    fn correlation(&self) -> f64 {
        let [both, lost, gained, neither] = [self.both, self.lost, self.gained, self.neither].map(|count| count as f64);
        let product = (both + lost) * (gained + neither) * (both + gained) * (lost + neither);
        if product == 0.0 {
            return 0.0;
        }
        let excess = both * neither - lost * gained;
        let half = self.n() as f64 / 2.0;
        (if excess > 0.0 { (excess - half).max(0.0) } else { excess }) / product.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(both: usize, lost: usize, gained: usize, neither: usize) -> Paired {
        let cells = [(both, (true, true)), (lost, (true, false)), (gained, (false, true)), (neither, (false, false))];
        let (first, second): (Vec<_>, Vec<_>) =
            cells.into_iter().flat_map(|(count, pair)| std::iter::repeat_n(pair, count)).unzip();
        paired(&first, &second)
    }

    /// The publications subtract the second's rate from the first's: `f` and `g` are exchanged here.
    #[test]
    fn published_intervals() {
        for ([e, f, g, h], low, high) in [
            // Newcombe 1998, table III, method 10.
            ([36, 12, 2, 0], 5.69, 34.04),
            ([20, 12, 2, 16], 5.62, 32.92),
            ([18, 12, 2, 18], 5.62, 32.90),
            ([36, 14, 0, 0], 15.28, 41.67),
            ([35, 14, 0, 1], 14.61, 41.75),
            ([18, 14, 0, 18], 14.41, 39.63),
            ([2, 97, 1, 0], 87.21, 98.54),
            ([1, 97, 1, 1], 87.36, 98.50),
            ([0, 30, 0, 0], 83.95, 100.0),
            ([54, 0, 0, 0], -6.64, 6.64),
            ([30, 0, 0, 24], -3.58, 3.58),
            // Fagerland et al., "Statistical Analysis of Contingency Tables", 2017, chapter 8: a negative difference.
            ([59, 6, 16, 80], -11.86, -0.46),
        ] {
            let found = of(e, g, f, h);
            assert!((found.points - 100.0 * (f as f64 - g as f64) / found.n as f64).abs() < 1e-9, "{found:?}");
            // The largest distance is that of 87.367, which is printed as 87.36.
            assert!(
                (found.interval.low - low).abs() < 0.008 && (found.interval.high - high).abs() < 0.008,
                "{found:?}"
            );
        }
    }

    #[test]
    fn exact_p_values() {
        for (lost, gained, p) in [
            // 2 · (1 + 14 + 91) / 2^14, and so on.
            (2, 12, 0.012_939_453_125),
            (12, 2, 0.012_939_453_125),
            (1, 7, 0.070_312_5),
            (0, 5, 0.062_5),
            (0, 1, 1.0),
            (0, 0, 1.0),
            (3, 3, 1.0),
            // Agresti, "Categorical Data Analysis", the approval ratings of a prime minister.
            (86, 150, 3.715_936_139_571_442e-5),
            // Exact sums of whole numbers, where 2^-n is too small for a number.
            (900, 1100, 8.457_089_535_503_927e-6),
        ] {
            let found = mcnemar(lost, gained);
            assert!((found / p - 1.0).abs() < 1e-9, "{lost} {gained}: {found} is not {p}");
        }
        assert!(mcnemar(0, 2000) >= 0.0);
    }

    #[test]
    fn exchanging_the_two_ways_changes_the_sign() {
        let (a, b) = (of(40, 3, 9, 12), of(40, 9, 3, 12));
        assert_eq!((a.n, a.lost, a.gained), (64, 3, 9));
        assert_eq!(a.points, 100.0 * 6.0 / 64.0);
        assert_eq!((a.points, a.p), (-b.points, b.p));
        assert!((a.interval.low + b.interval.high).abs() < 1e-9 && (a.interval.high + b.interval.low).abs() < 1e-9);
    }

    #[test]
    fn without_differences_or_pictures_nothing_is_claimed() {
        let same = of(80, 0, 0, 20);
        assert_eq!((same.points, same.p), (0.0, 1.0));
        assert!(same.interval.low < 0.0 && same.interval.high > 0.0);
        let all = of(50, 0, 0, 0);
        assert!(all.interval.low < 0.0 && all.interval.low > -12.0, "{all:?}");
        let none = of(0, 0, 0, 0);
        assert_eq!((none.points, none.p, none.interval), (0.0, 1.0, Interval { low: -100.0, high: 100.0 }));
        // Always the opposite: within what a difference can be.
        let opposite = of(0, 0, 30, 0);
        assert!(opposite.interval.high <= 100.0 && opposite.interval.low > 50.0, "{opposite:?}");
    }
}
