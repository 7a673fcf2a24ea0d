//! The table of classes that were confirmed together: made from the older frames, judged by the newer ones.

use super::pictures::Pictures;
use crate::eval::fit::{Confirmed, together};
use crate::model::Prior;

/// A table, and what may judge it.
pub(super) struct Learnt {
    /// From the older half of the frames.
    pub(super) table: Prior,
    /// The number of the first picture that is none of these.
    pub(super) judged_from: usize,
}

impl Learnt {
    /// `None` if no two classes were confirmed together often enough, as in pictures from a folder.
    pub(super) fn new(pictures: &Pictures, classes: usize, window_ms: u64) -> Option<Self> {
        let judged_from = pictures.items.len() / 2;
        let middle = pictures.items.get(judged_from)?.at_ms?;
        // What was said of a moment must not stand on both sides.
        let older = |seen: &&Confirmed| seen.at_ms + window_ms < middle;
        let table = together(classes, pictures.confirmed.iter().filter(older).cloned().collect(), window_ms);
        (!table.is_empty()).then_some(Self { table, judged_from })
    }
}
