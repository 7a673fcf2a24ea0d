//! Figures about answers, and how far they can be trusted. Rates and probabilities are fractions; differences between two
//! ways of answering are in points, of which a whole has 100.

mod bootstrap;
mod calibration;
mod interval;
mod paired;
mod scores;
mod selective;

pub use bootstrap::{RESAMPLES, bootstrap};
pub use calibration::{Bin, Prediction, ece, reliability};
pub use interval::{Interval, wilson};
pub use paired::{Paired, mcnemar, paired};
pub use scores::{brier, negative_log_likelihood};
pub use selective::{CoveragePoint, Threshold, coverage, threshold};
