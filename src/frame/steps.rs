//! How an image is classified: which steps, and what of its circumstances matters to them.

use std::sync::Arc;
use std::time::Instant;

use crate::classify::rank::{self, Ranked};
use crate::classify::temporal::TemporalStates;
use crate::classify::views::Views;
use crate::model::Bundle;

/// How an image is classified. Each step that is off costs nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Steps {
    /// What is looked at.
    pub looking: Looking,
    /// Scores are divided by the model's temperature.
    pub temperature: bool,
    /// Likely classes lift those like them, if the model has a prior that helps.
    pub prior: bool,
    /// The half-life of the mean over a camera's frames, in seconds; 0 is no mean.
    pub temporal_half_life_s: f32,
    /// A best score below this is "unknown"; 0 is the model's own threshold.
    pub unknown_below: f32,
}

impl Default for Steps {
    /// The centre view and nothing more.
    fn default() -> Self {
        Self {
            looking: Looking::Always(Views::default()),
            temperature: true,
            prior: false,
            temporal_half_life_s: 0.0,
            unknown_below: 0.0,
        }
    }
}

impl Steps {
    /// The best classes by their probabilities, how many there are, and whether the best is too bad for an answer.
    pub(super) fn rank(&self, probabilities: &[f32], bundle: &Bundle) -> ([Ranked; 3], usize, bool) {
        let (top, ranked) = rank::top::<3>(probabilities);
        let below = if self.unknown_below > 0.0 { self.unknown_below } else { bundle.unknown_below };
        (top, ranked, rank::is_unknown(top[..ranked].first(), below))
    }
}

/// When and where an image was taken, as far as it matters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Occasion<'a> {
    /// Others are waiting: dynamic views end with the first.
    pub hurry: bool,
    /// The camera's frames before it.
    pub series: Option<Series<'a>>,
}

/// The frames of a camera.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// What was seen in them.
    pub states: &'a TemporalStates,
    /// The camera.
    pub camera: &'a Arc<str>,
    /// When the image was received.
    pub at: Instant,
}

/// What is looked at of an image.
#[derive(Clone, Debug, PartialEq)]
pub enum Looking {
    /// The same views of every image.
    Always(Views),
    /// As many as the image is worth.
    Dynamic {
        /// Mean views a frame, at most.
        budget: f32,
    },
}

impl Looking {
    /// The name of dynamic views, beside those of the sets.
    pub const DYNAMIC: &str = "dynamic";
    /// A budget that cuts no views short.
    const UNLIMITED: f32 = 10.0;

    /// Dynamic views that no budget cuts short: pictures are not frames, and what is seen of one must not depend on the one
    /// before.
    #[must_use]
    pub fn dynamic() -> Self {
        Self::Dynamic { budget: Self::UNLIMITED }
    }

    /// The set of a name, or dynamic views without a limit.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if name == Self::DYNAMIC { Some(Self::dynamic()) } else { Views::named(name).map(Self::Always) }
    }

    /// The same without a limit.
    #[must_use]
    pub fn unlimited(&self) -> Self {
        match self {
            Self::Always(_) => self.clone(),
            Self::Dynamic { .. } => Self::dynamic(),
        }
    }

    /// The name of the set, or that of dynamic views.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Always(views) => views.name(),
            Self::Dynamic { .. } => Self::DYNAMIC,
        }
    }
}
