//! What was seen in one image.

use std::time::Duration;

use crate::classify::quality::Condition;
use crate::classify::rank::Ranked;
use crate::config::Crop;

/// What was seen in one image.
#[derive(Clone, Copy, Debug)]
pub struct Glance {
    /// Index of the model that looked.
    pub model: usize,
    /// The part of the image that it looked at; all of it if `None`.
    pub crop: Option<Crop>,
    pub(super) top: [Ranked; 3],
    pub(super) ranked: usize,
    /// The best score is below `classify.unknown_below`.
    pub unknown: bool,
    /// Views of the image that were looked at.
    pub views: u32,
    /// The best class was not the same in all views.
    pub views_disagree: bool,
    /// What was wrong with the image, if that was asked.
    pub condition: Option<Condition>,
    /// Time of each step.
    pub took: Took,
}

/// Time of each step.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    /// Image bytes to the network's input.
    pub decode: Duration,
    /// The network.
    pub infer: Duration,
    /// Scores to ranked classes.
    pub post: Duration,
}

impl Glance {
    /// The best classes, best first: three, or as many as the model has.
    #[must_use]
    pub fn top(&self) -> &[Ranked] {
        &self.top[..self.ranked]
    }

    /// How far the best score is above the second; `None` if there are not two.
    #[must_use]
    pub fn margin(&self) -> Option<f32> {
        match self.top() {
            [first, second, ..] => Some(first.score - second.score),
            _ => None,
        }
    }
}
