//! `gains.tsv`: what each feature is multiplied by before the last layer, so that a poor frame's features are, in the mean, as
//! strong as a good one's.
//!
//! A blur or noise makes some of a network's features weaker in every picture and others stronger, and its last layer never
//! learnt to allow for that. Only means are needed to put it right, and no labels: the idea is that of adapting batch
//! normalisation to corrupted pictures (Schneider et al., "Improving robustness against common corruptions by covariate shift
//! adaptation", 2020), here for the last features alone, and by a factor, since none of them is below zero.

use crate::classify::quality::Condition;

/// The gains of a model, by condition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gains {
    /// One column for each of [`Condition::POOR`], in that order; all are as long, and positive.
    columns: [Vec<f32>; 3],
}

const HEADER: &str = "soft\tblurred\tdark";
/// A feature that is seen so much less, or more, tells nothing any more.
const LARGEST: f32 = 100.0;
/// Added to both means, as a share of the mean of all features: one that is hardly ever seen has no gain to speak of.
const FLOOR: f32 = 0.1;
/// The most features: a wide network has 4,096.
const MOST_FEATURES: usize = 1 << 16;

/// What is wrong with a `gains.tsv`. Lines count from 1.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum GainsError {
    /// The first line is not the header.
    #[error("gains.tsv: the first line must be \"soft<TAB>blurred<TAB>dark\", not {found:?}")]
    Header {
        /// The line there is, shortened.
        found: String,
    },
    /// A line that is not three gains.
    #[error("gains.tsv, line {line}: three numbers above 0 and up to {LARGEST} are needed, not {found:?}")]
    Line {
        /// Line number.
        line: usize,
        /// The line there is, shortened.
        found: String,
    },
    /// No lines, or too many.
    #[error("gains.tsv has {found} lines of gains: it must have one a feature, up to {MOST_FEATURES}")]
    Count {
        /// Lines of gains.
        found: usize,
    },
}

impl Gains {
    /// Reads the text of a `gains.tsv`: a header, then a line for each feature.
    ///
    /// # Errors
    /// [`GainsError`], with the first line that is wrong.
    pub fn parse(text: &str) -> Result<Self, GainsError> {
        let shortened = |text: &str| text.chars().take(40).collect::<String>();
        let mut lines = text.lines().map(|line| line.trim_end_matches('\r'));
        let header = lines.next().unwrap_or_default();
        if header != HEADER {
            return Err(GainsError::Header { found: shortened(header) });
        }
        let mut gains = Self::default();
        for (index, line) in lines.enumerate().take(MOST_FEATURES + 1) {
            let numbers: Option<Vec<f32>> = line.split('\t').map(|number| number.parse().ok()).collect();
            let numbers = numbers.filter(|numbers| numbers.iter().all(|gain| *gain > 0.0 && *gain <= LARGEST));
            let Some([soft, blurred, dark]) = numbers.as_deref() else {
                return Err(GainsError::Line { line: index + 2, found: shortened(line) });
            };
            gains.columns.iter_mut().zip([soft, blurred, dark]).for_each(|(column, gain)| column.push(*gain));
        }
        match gains.features() {
            1..=MOST_FEATURES => Ok(gains),
            found => Err(GainsError::Count { found }),
        }
    }

    /// The text of a `gains.tsv`. Gains are rounded to thousandths, but never to nothing.
    #[must_use]
    pub fn to_tsv(&self) -> String {
        let mut text = format!("{HEADER}\n");
        for feature in 0..self.features() {
            let line = self.columns.each_ref().map(|column| format!("{:.3}", column[feature].clamp(0.001, LARGEST)));
            text.push_str(&line.join("\t"));
            text.push('\n');
        }
        text
    }

    /// Of the mean features of good pictures and of the same pictures in a poor condition, which are as many. Where there is
    /// no such mean, features stay as they are.
    ///
    /// # Panics
    ///
    /// If there is another number of features in one of them than in another.
    #[must_use]
    pub fn of_means(features: usize, means: [Option<(&[f32], &[f32])>; 3]) -> Self {
        let column = |means: Option<(&[f32], &[f32])>| {
            let Some((good, poor)) = means else { return vec![1.0; features] };
            assert!(good.len() == features && poor.len() == features, "means are of all features");
            let floor = FLOOR * good.iter().sum::<f32>() / features as f32;
            let gain = |(good, poor): (&f32, &f32)| {
                let gain = (good + floor) / (poor + floor);
                if gain.is_finite() { gain.clamp(0.001, LARGEST) } else { 1.0 }
            };
            good.iter().zip(poor).map(gain).collect()
        };
        Self { columns: means.map(column) }
    }

    /// The number of features.
    #[must_use]
    pub fn features(&self) -> usize {
        self.columns[0].len()
    }

    /// Those of a condition; a good frame has none.
    #[must_use]
    pub fn of(&self, condition: Condition) -> Option<&[f32]> {
        let at = Condition::POOR.iter().position(|&with| with == condition)?;
        Some(&self.columns[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_weaker_is_made_stronger() {
        let (good, poor) = ([0.2, 0.1, 0.0], [0.1, 0.1, 0.3]);
        let gains = Gains::of_means(3, [None, Some((&good, &poor)), None]);
        // A tenth of the mean, 0.01, is added to each.
        let wanted = [0.21 / 0.11, 1.0, 0.01 / 0.31];
        for (gain, wanted) in gains.of(Condition::Blurred).unwrap().iter().zip(wanted) {
            assert!((gain - wanted).abs() < 1e-6, "{gains:?}");
        }
        assert_eq!(gains.of(Condition::Soft), Some(&[1.0; 3][..]));
        assert_eq!(gains.of(Condition::Good), None);
        let read = Gains::parse(&gains.to_tsv()).unwrap();
        assert_eq!(
            read.to_tsv(),
            "soft\tblurred\tdark\n1.000\t1.909\t1.000\n1.000\t1.000\t1.000\n1.000\t0.032\t1.000\n"
        );
        assert_eq!(Gains::parse(&read.to_tsv()).unwrap(), read);
    }

    #[test]
    fn features_that_are_never_seen_stay() {
        let none = [0.0; 2];
        assert_eq!(Gains::of_means(2, [Some((&none, &none)); 3]).of(Condition::Dark), Some(&[1.0; 2][..]));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let header = |found: &str| GainsError::Header { found: found.to_owned() };
        assert_eq!(Gains::parse(""), Err(header("")));
        assert_eq!(Gains::parse("a\tb\tc\n1\t1\t1"), Err(header("a\tb\tc")));
        assert_eq!(Gains::parse(HEADER), Err(GainsError::Count { found: 0 }));
        for line in ["1\t1", "1\t1\t1\t1", "1\t0\t1", "1\t-1\t1", "1\tnan\t1", "1\tinf\t1", "1\t101\t1", "1\tx\t1", ""]
        {
            let error = Gains::parse(&format!("{HEADER}\r\n1\t2\t0.5\r\n{line}\n")).unwrap_err();
            assert_eq!(error, GainsError::Line { line: 3, found: line.to_owned() });
            assert!(error.to_string().starts_with("gains.tsv, line 3: three numbers"), "{error}");
        }
        let many = format!("{HEADER}\n{}", "1\t1\t1\n".repeat(MOST_FEATURES + 10));
        assert_eq!(Gains::parse(&many), Err(GainsError::Count { found: MOST_FEATURES + 1 }));
    }
}
