//! Whether a version is corrected more often than the one before it.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// The file, in a model's folder.
const FILE: &str = "watch.json";
/// With fewer results, of either version, nothing is said.
const FEWEST_RESULTS: u64 = 100;
/// A few corrections are no reason, whatever the rate.
const FEWEST_CORRECTIONS: u64 = 5;
/// So unlikely must it be by chance.
const SURE: f64 = 0.01;

/// What was counted of a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Results that were published.
    pub results: u64,
    /// Results of which somebody said that they are wrong, and named a class that the version has.
    pub corrections: u64,
}

/// What was counted of the version in use, and of the one before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The version in use.
    pub version: String,
    /// What was counted of it.
    pub count: Count,
    /// What was counted of the one before.
    pub before: Count,
}

impl Watch {
    /// That of a model's folder, if it is about this version; else a new one.
    #[must_use]
    pub fn read(model: &Path, version: &str) -> Self {
        let kept = std::fs::read(model.join(FILE)).ok().and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        kept.filter(|kept| kept.version == version)
            .unwrap_or_else(|| Self { version: version.to_owned(), ..Self::default() })
    }

    /// Writes it into a model's folder.
    ///
    /// # Errors
    /// If that fails.
    pub fn write(&self, model: &Path) -> std::io::Result<()> {
        let part = model.join(format!("{FILE}{}", super::write::PART));
        std::fs::write(&part, serde_json::to_vec(self)?)?;
        std::fs::rename(part, model.join(FILE))
    }

    /// Another version is in use from now on. One that is gone back to has nothing to be compared with.
    pub fn follow(&mut self, version: &str, is_new: bool) {
        let before = if is_new { self.count } else { Count::default() };
        *self = Self { version: version.to_owned(), count: Count::default(), before };
    }

    /// More was counted of the version in use.
    pub fn add(&mut self, more: Count) {
        self.count.results += more.results;
        self.count.corrections += more.corrections;
    }

    /// Whether this version is corrected more often than the one before it, for certain: whether as many of all corrections would
    /// fall to its share of the results with a probability of less than 1 %, were both corrected alike (the exact test of
    /// two Poisson rates: Przyborowski and Wilenski, 1940).
    #[must_use]
    pub fn is_worse(&self) -> bool {
        let (after, before) = (self.count, self.before);
        if after.results.min(before.results) < FEWEST_RESULTS || after.corrections < FEWEST_CORRECTIONS {
            return false;
        }
        let share = after.results as f64 / (after.results + before.results) as f64;
        let all = after.corrections + before.corrections;
        let expected = share * all as f64;
        after.corrections as f64 > expected && at_least(after.corrections, all, share) < SURE
    }
}

/// The probability of `k` or more of `n`, each with probability `p`, by the logarithms of the terms.
fn at_least(k: u64, n: u64, p: f64) -> f64 {
    let mut log_choose = 0.0;
    let mut sum = 0.0;
    for i in 0..=n {
        if i > 0 {
            log_choose += ((n - i + 1) as f64 / i as f64).ln();
        }
        if i >= k {
            sum += (log_choose + i as f64 * p.ln() + (n - i) as f64 * (1.0 - p).ln()).exp();
        }
    }
    f64::min(sum, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(before: (u64, u64), after: (u64, u64)) -> Watch {
        let count = |(results, corrections)| Count { results, corrections };
        Watch { version: "2".to_owned(), before: count(before), count: count(after) }
    }

    #[test]
    fn more_corrections_for_the_same_results_are_worse() {
        for (before, after, worse) in [
            ((10_000, 20), (10_000, 45), true),
            ((10_000, 20), (10_000, 25), false),
            // The same rate of fewer results.
            ((10_000, 20), (1_000, 3), false),
            ((10_000, 20), (1_000, 12), true),
            ((10_000, 0), (10_000, 4), false),
            ((10_000, 0), (10_000, 8), true),
            ((50, 0), (10_000, 500), false),
            ((10_000, 20), (50, 40), false),
            ((10_000, 45), (10_000, 20), false),
        ] {
            assert_eq!(watch(before, after).is_worse(), worse, "{before:?} {after:?}");
        }
    }

    #[test]
    fn tails_of_the_binomial_distribution() {
        for (k, n, p, wanted) in [(0, 10, 0.3, 1.0), (10, 10, 0.5, 0.000_976_562_5), (8, 10, 0.5, 0.054_687_5)] {
            assert!((at_least(k, n, p) - wanted).abs() < 1e-9, "{k} of {n} at {p}: {}", at_least(k, n, p));
        }
        assert!(at_least(5_000, 10_000, 0.5) < 0.51);
    }

    #[test]
    fn it_is_kept_for_the_version_that_it_is_about() {
        let dir = tempfile::tempdir().unwrap();
        let mut kept = watch((100, 1), (200, 2));
        kept.write(dir.path()).unwrap();
        assert_eq!(Watch::read(dir.path(), "2"), kept);
        assert_eq!(Watch::read(dir.path(), "3").count, Count::default());
        kept.add(Count { results: 1, corrections: 1 });
        kept.follow("3", true);
        assert_eq!(kept.before, Count { results: 201, corrections: 3 });
        kept.follow("2", false);
        assert_eq!((kept.before, kept.count), (Count::default(), Count::default()));
    }
}
