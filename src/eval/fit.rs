//! Finds the values of a calibration: temperatures, the prior's strength, the threshold for `unknown`.
//!
//! What the network said of each view is kept, so that any values can be tried without running it again. Whatever is said
//! of new values is cross-fitted: each picture is judged by values that were fitted without it.

mod cross;
mod figures;
mod replay;
mod search;
mod together;

use std::collections::BTreeSet;

use crate::classify::quality::Condition;
use crate::eval::degrade::Degradation;
use crate::model::{Bundle, PoorTemperatures};

pub use cross::{Fit, PriorTrial, fit};
pub use figures::{Figure, Figures, figures};
pub use replay::{Answer, Replay};
pub use search::best_temperature;
pub use together::{Confirmed, together};

/// Temperatures that are tried: from this, which makes a model much surer than it says it is, …
pub const LOWEST: f64 = 0.2;
/// … to this, which makes it much less sure.
pub const HIGHEST: f64 = 5.0;
/// A condition has a temperature of its own if so many pictures are in it.
pub const ENOUGH: usize = 50;

/// What the network said of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighted {
    /// What the picture shows.
    pub class: u32,
    /// The picture's number. Copies of one picture have the same, and follow one another.
    pub picture: usize,
    /// What was done to it.
    pub degradation: Option<Degradation>,
    /// What was wrong with it; `None` if its views did not depend on that.
    pub condition: Option<Condition>,
    /// One number a class, view after view. If there is a condition: all views that can be tried for it.
    pub raw: Vec<f32>,
}

/// The values of a calibration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Values {
    /// The common temperature.
    pub temperature: f32,
    /// Those for frames in a poor condition.
    pub poor: PoorTemperatures,
    /// How much likely classes lift those like them.
    pub prior_strength: f32,
}

impl Values {
    /// Those of a bundle.
    #[must_use]
    pub fn of(bundle: &Bundle) -> Self {
        let Bundle { temperature, poor, prior_strength, .. } = *bundle;
        Self { temperature, poor, prior_strength }
    }

    /// The temperature for a picture.
    #[must_use]
    pub fn temperature_for(&self, sighted: &Sighted) -> f32 {
        sighted.condition.and_then(|condition| self.poor.of(condition)).unwrap_or(self.temperature)
    }
}

/// Which temperatures are fitted, and on which pictures. Decided once, on all of them, so that every fold does the same.
#[derive(Clone, Debug)]
struct Plan {
    /// Conditions with enough pictures for a temperature of their own.
    own: Vec<Condition>,
    /// The temperatures that conditions without enough have and keep.
    kept: PoorTemperatures,
    /// Too few pictures are left for the common temperature: it is that of all.
    all_are_common: bool,
}

impl Plan {
    fn new(sighted: &[Sighted], present: &Values) -> Self {
        let count = |wanted: &dyn Fn(&Sighted) -> bool| {
            let pictures = sighted.iter().filter(|sighted| wanted(sighted)).map(|sighted| sighted.picture);
            pictures.collect::<BTreeSet<_>>().len()
        };
        let enough = |condition| count(&|sighted| sighted.condition == Some(condition)) >= ENOUGH;
        let own: Vec<_> = Condition::POOR.into_iter().filter(|&c| enough(c)).collect();
        let mut plan = Self { own, kept: present.poor, all_are_common: false };
        plan.all_are_common = count(&|sighted| plan.is_common(sighted)) < ENOUGH;
        plan
    }

    /// Whether the common temperature is this picture's.
    fn is_common(&self, sighted: &Sighted) -> bool {
        let kept = sighted.condition.and_then(|condition| self.kept.of(condition));
        self.all_are_common
            || !(kept.is_some() || sighted.condition.is_some_and(|condition| self.own.contains(&condition)))
    }

    /// The temperatures under which these pictures' classes are likeliest. The prior's strength is none.
    fn temperatures(&self, among: &[&Sighted], replay: &mut Replay<'_>) -> Values {
        let mut best = |copy_weight: f64, wanted: &dyn Fn(&Sighted) -> bool| {
            let weight = |sighted: &Sighted| if sighted.degradation.is_some() { copy_weight } else { 1.0 };
            let chosen: Vec<_> = among.iter().copied().filter(|sighted| wanted(sighted)).collect();
            let weights = chosen.iter().map(|sighted| weight(sighted)).sum::<f64>();
            best_temperature(|temperature| {
                let losses = chosen.iter().map(|sighted| weight(sighted) * replay.log_loss(sighted, temperature));
                losses.sum::<f64>() / weights.max(f64::MIN_POSITIVE)
            })
        };
        // What comes in is mostly like the pictures as they are: all copies together count no more than these.
        let copies = among.iter().filter(|sighted| self.is_common(sighted) && sighted.degradation.is_some()).count();
        let as_they_are =
            among.iter().filter(|sighted| self.is_common(sighted) && sighted.degradation.is_none()).count();
        let copy_weight = if copies > as_they_are { as_they_are as f64 / copies as f64 } else { 1.0 };
        let temperature = best(copy_weight, &|sighted| self.is_common(sighted));
        let mut poor = self.kept;
        for &condition in &self.own {
            if let Some(place) = poor.place(condition) {
                *place = Some(best(1.0, &|sighted| sighted.condition == Some(condition)));
            }
        }
        Values { temperature, poor, prior_strength: 0.0 }
    }
}

#[cfg(test)]
mod tests;
