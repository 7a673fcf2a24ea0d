//! What was kept of a camera: so that the same is not kept twice, and no more of it than a day allows.

use std::collections::VecDeque;

use crate::classify::dhash::PictureHash;
use crate::config::Collect;
use crate::feedback::view::KeptFrame;

/// A picture is compared with so many that were kept before it, at least.
const LOOK_BACK: usize = 256;

/// Why a frame that is in doubt is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Skip {
    /// One like it was kept before.
    Alike,
    /// As many as a day allows were kept, of its camera or in all.
    Budget,
    /// Too many wait to be stored.
    QueueFull,
    /// Somebody has said what it shows before it was stored.
    Labelled,
    /// The store is full, or can't be written at the moment.
    Store,
}

impl Skip {
    /// Every reason.
    pub const ALL: [Self; 5] = [Self::Alike, Self::Budget, Self::QueueFull, Self::Labelled, Self::Store];

    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Alike => "alike",
            Self::Budget => "budget",
            Self::QueueFull => "queue_full",
            Self::Labelled => "labelled",
            Self::Store => "store",
        }
    }
}

/// The frames that were kept of one camera, the oldest first: those of the last days, or more.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    frames: VecDeque<KeptFrame>,
}

impl Kept {
    /// How many have to be looked up in the store.
    #[must_use]
    pub fn needed(settings: &Collect) -> usize {
        LOOK_BACK.max(settings.per_day)
    }

    /// From the store, which gives them the newest first.
    #[must_use]
    pub fn new(newest_first: Vec<KeptFrame>) -> Self {
        Self { frames: newest_first.into_iter().rev().collect() }
    }

    /// Whether another one may be kept.
    ///
    /// # Errors
    /// Why not. That it is like one before comes first: no budget would make it worth keeping.
    pub fn check(&self, frame: KeptFrame, settings: &Collect) -> Result<(), Skip> {
        let alike = |a: PictureHash| frame.hash.is_some_and(|b| a.distance(b) < settings.unlike);
        if self.frames.iter().filter_map(|kept| kept.hash).any(alike) {
            return Err(Skip::Alike);
        }
        let today = self.frames.iter().filter(|kept| kept.day == frame.day).count();
        if today >= settings.per_day { Err(Skip::Budget) } else { Ok(()) }
    }

    /// Another one was kept.
    pub fn note(&mut self, frame: KeptFrame, settings: &Collect) {
        while self.frames.len() >= Self::needed(settings) {
            self.frames.pop_front();
        }
        self.frames.push_back(frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Collect =
        Collect { on: true, margin_below: 0.1, unlike: 10, per_day: 3, sure_per_day: 0, per_day_in_all: 500 };

    fn frame(day: i64, hash: u64) -> KeptFrame {
        KeptFrame { day, hash: Some(PictureHash(hash)) }
    }

    #[test]
    fn what_is_like_one_before_is_not_kept() {
        let kept = Kept::new(vec![frame(1, 0), KeptFrame { day: 1, hash: None }]);
        assert_eq!(kept.check(frame(1, 0), &SETTINGS), Err(Skip::Alike));
        assert_eq!(kept.check(frame(9, 0x1ff), &SETTINGS), Err(Skip::Alike), "9 bits are not enough");
        assert_eq!(kept.check(frame(1, 0x3ff), &SETTINGS), Ok(()));
        assert_eq!(kept.check(frame(1, 1), &Collect { unlike: 1, ..SETTINGS }), Ok(()));
        assert_eq!(kept.check(KeptFrame { day: 1, hash: None }, &SETTINGS), Ok(()));
    }

    #[test]
    fn a_day_has_its_budget_whatever_the_clock_does() {
        let mut kept = Kept::default();
        for bit in 0..3 {
            let next = frame(5, 0xffff << (16 * bit));
            assert_eq!(kept.check(next, &SETTINGS), Ok(()));
            kept.note(next, &SETTINGS);
        }
        let next = 0xffff << 48;
        assert_eq!(kept.check(frame(5, next), &SETTINGS), Err(Skip::Budget));
        assert_eq!(kept.check(frame(5, 0), &SETTINGS), Err(Skip::Budget));
        assert_eq!(kept.check(frame(5, 0xffff), &SETTINGS), Err(Skip::Alike), "the budget is not why");
        assert_eq!(kept.check(frame(6, next), &SETTINGS), Ok(()));
        kept.note(frame(6, next), &SETTINGS);
        assert_eq!(kept.check(frame(5, 0), &SETTINGS), Err(Skip::Budget), "a clock that was set back");
    }

    #[test]
    fn it_is_bounded_and_never_forgets_today() {
        let settings = Collect { per_day: 1000, ..SETTINGS };
        let mut kept = Kept::default();
        for n in 0..3000 {
            kept.note(frame(n / 1000, n.cast_unsigned()), &settings);
        }
        assert_eq!(kept.frames.len(), 1000);
        assert_eq!(kept.check(KeptFrame { day: 2, hash: None }, &settings), Err(Skip::Budget));
        let mut kept = Kept::default();
        (0..3000).for_each(|n| kept.note(frame(n, 0), &SETTINGS));
        assert_eq!(kept.frames.len(), LOOK_BACK);
    }
}
