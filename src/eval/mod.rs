//! How good the answers are: pictures whose classes are known, what cameras do to pictures, and the figures.
//!
//! Plain functions on data; only [`dataset`] looks at the disk, and only at names. Whatever is random takes a seed, and is
//! the same on every machine.

pub mod confusion;
pub mod dataset;
pub mod degrade;
pub mod embed;
pub mod fit;
pub mod metrics;
pub mod outcome;
pub mod random;
pub mod run;
