//! Which of a model's networks is quicker on this box.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::median;
use crate::classify::session::{Computing, Runtime, Session, SessionError};
use crate::model::{Bundle, Precision};

/// How long one look of each network takes, or what stands for it in a comparison of the two, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Measured {
    /// In floating point.
    pub fp32_ms: f64,
    /// In 8 bits.
    pub int8_ms: f64,
}

impl Measured {
    /// The one to use. 8 bits cost a little accuracy: they must be worth it.
    #[must_use]
    pub fn choice(&self) -> Precision {
        const WORTH_IT: f64 = 0.9;
        if self.int8_ms < WORTH_IT * self.fp32_ms { Precision::Int8 } else { Precision::Fp32 }
    }
}

/// Runs both networks of a bundle in turn, for a second, so that what else the box does meets both; takes the median of
/// each.
///
/// # Errors
/// [`SessionError`] if one can't be loaded or run.
pub(super) fn compare(runtime: &Runtime, bundle: &Bundle, computing: Computing) -> Result<Measured, SessionError> {
    const LONG: Duration = Duration::from_secs(1);
    const LEAST: usize = 5;
    let open = |precision| Session::open(runtime, bundle, Computing { precision, ..computing });
    let mut sessions = [open(Precision::Fp32)?, open(Precision::Int8)?];
    let mut times = [Vec::new(), Vec::new()];
    for session in &mut sessions {
        session.input().fill(0.1);
        // The first takes its memory.
        session.run()?;
    }
    let begin = Instant::now();
    while begin.elapsed() < LONG || times[0].len() < LEAST {
        for (session, times) in sessions.iter_mut().zip(&mut times) {
            let start = Instant::now();
            session.run()?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    // To a microsecond: more would be noise in a file that people may read.
    let [fp32_ms, int8_ms] = times.map(|times| (median(times) * 1e3).round() / 1e3);
    Ok(Measured { fp32_ms, int8_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bits_must_be_worth_it() {
        let choice = |fp32_ms, int8_ms| Measured { fp32_ms, int8_ms }.choice();
        assert_eq!(choice(10.0, 5.0), Precision::Int8);
        assert_eq!(choice(10.0, 8.9), Precision::Int8);
        assert_eq!(choice(10.0, 9.5), Precision::Fp32);
        assert_eq!(choice(10.0, 20.0), Precision::Fp32);
    }
}
