//! Whether what a model said of a frame is likely wrong, or quite sure. Plain functions on data.

use jiff::{SignedDuration, Timestamp};
use ulid::Ulid;

use crate::classify::dhash::PictureHash;
use crate::config::Collect;

/// A flip that takes longer is a change of the scene that a hash does not see.
const FLIP_WITHIN: SignedDuration = SignedDuration::from_secs(10);
/// A model is sure of what is as likely as this.
const SURE: f32 = 0.9;

/// Why a frame is worth keeping. All but the last are likely mistakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The model has learnt nothing yet: all it says is a mistake.
    Unlearnt,
    /// The best score is below `classify.unknown_below`.
    Unknown,
    /// The best score is hardly above the second.
    Margin,
    /// The best class was not the same in all views of it.
    Views,
    /// The best class was another one shortly before and shortly after, while the picture hardly changed.
    Disagreement,
    /// The model was sure: kept so that learning from mistakes does not cost what is right.
    Sure,
}

impl Reason {
    /// Every reason. Of several the first counts.
    pub const ALL: [Self; 6] =
        [Self::Unlearnt, Self::Unknown, Self::Margin, Self::Views, Self::Disagreement, Self::Sure];

    /// Its name in records and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unlearnt => "unlearnt",
            Self::Unknown => "unknown",
            Self::Margin => "margin",
            Self::Views => "views",
            Self::Disagreement => "disagreement",
            Self::Sure => "sure",
        }
    }
}

/// What a model said of one frame of a camera.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// The frame.
    pub frame: Ulid,
    /// When it was received.
    pub at: Timestamp,
    /// What its picture is compared by.
    pub hash: PictureHash,
    /// The best class, if there is one.
    pub class: Option<u32>,
    /// Its probability.
    pub score: Option<f32>,
    /// How far its score is above the second.
    pub margin: Option<f32>,
    /// The model has learnt nothing yet.
    pub unlearnt: bool,
    /// Its score is too low to be an answer.
    pub unknown: bool,
    /// Not all views of it had the same best class.
    pub views_disagree: bool,
}

/// A frame that is worth keeping.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Doubt {
    /// The frame that is meant: the one that was looked at, or one a little earlier.
    pub look: Look,
    /// Why.
    pub reason: Reason,
}

/// What one model said of one camera's last frames: as much as is needed to see it disagree with itself.
///
/// It does when its best class was A, then B for one or several frames, then A again; when that took no more than 10 s from
/// the last A before to the first A after; and when the pictures of these two and of the first B are alike, each with each.
/// What stays the same has one right class: so B is likely a mistake, and the first B is the frame that is meant.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    /// The last frame of the class before the present one.
    before: Option<Look>,
    /// The first frame of the present class.
    first: Option<Look>,
    /// The last frame.
    last: Option<Look>,
}

impl Trail {
    /// The next frame, and whether it, or with it an earlier one, is in doubt; or else whether it is sure.
    pub fn push(&mut self, look: Look, settings: &Collect) -> Option<Doubt> {
        let disagreement = self.follow(look, settings.unlike);
        let small = look.margin.is_some_and(|margin| margin < settings.margin_below);
        let doubt = |reason| Some(Doubt { look, reason });
        match () {
            () if look.unlearnt => doubt(Reason::Unlearnt),
            () if look.unknown => doubt(Reason::Unknown),
            () if small => doubt(Reason::Margin),
            () if look.views_disagree => doubt(Reason::Views),
            () if let Some(look) = disagreement => Some(Doubt { look, reason: Reason::Disagreement }),
            () if settings.sure_per_day > 0 && look.score.is_some_and(|score| score >= SURE) => doubt(Reason::Sure),
            () => None,
        }
    }

    /// Goes on to the next frame. Returns the frame that is in doubt if the model came back to an earlier class with it.
    fn follow(&mut self, look: Look, unlike: u32) -> Option<Look> {
        // Several workers may look at frames of one camera, and end in another order.
        if self.last.is_some_and(|last| last.frame >= look.frame) {
            return None;
        }
        let last = self.last.replace(look);
        if last.is_some_and(|last| last.class == look.class) {
            return None;
        }
        let first = self.first.replace(look);
        let before = std::mem::replace(&mut self.before, last);
        let (first, before) = (first?, before?);
        let alike = |a: Look, b: Look| a.hash.distance(b.hash) < unlike;
        let flipped = before.class == look.class
            && look.at.duration_since(before.at) <= FLIP_WITHIN
            && alike(before, first)
            && alike(first, look)
            && alike(before, look);
        flipped.then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Collect =
        Collect { on: true, margin_below: 0.1, unlike: 10, per_day: 20, sure_per_day: 0, per_day_in_all: 500 };

    fn look(number: u64, class: u32) -> Look {
        Look {
            frame: Ulid(number.into()),
            at: Timestamp::from_second(number.cast_signed()).unwrap(),
            hash: PictureHash(0),
            class: Some(class),
            score: Some(0.7),
            margin: Some(0.5),
            unlearnt: false,
            unknown: false,
            views_disagree: false,
        }
    }

    fn one(look: Look, settings: &Collect) -> Option<Reason> {
        let doubt = Trail::default().push(look, settings)?;
        assert_eq!(doubt.look, look);
        Some(doubt.reason)
    }

    /// Which frames of a sequence are in doubt, for disagreement alone.
    fn doubted(looks: impl IntoIterator<Item = Look>) -> Vec<u128> {
        let mut trail = Trail::default();
        let doubts: Vec<_> = looks.into_iter().filter_map(|look| trail.push(look, &SETTINGS)).collect();
        assert!(doubts.iter().all(|doubt| doubt.reason == Reason::Disagreement));
        doubts.iter().map(|doubt| doubt.look.frame.0).collect()
    }

    #[test]
    fn what_is_sure_is_only_kept_where_nothing_is_in_doubt() {
        let settings = Collect { sure_per_day: 1, ..SETTINGS };
        for (score, margin, want) in [
            (Some(0.9), Some(0.85), Some(Reason::Sure)),
            (Some(0.89), Some(0.85), None),
            (Some(0.95), Some(0.05), Some(Reason::Margin)),
            (None, None, None),
        ] {
            assert_eq!(one(Look { score, margin, ..look(1, 0) }, &settings), want);
            assert_ne!(one(Look { score, margin, ..look(1, 0) }, &SETTINGS), Some(Reason::Sure));
        }
    }

    #[test]
    fn a_single_frame_is_in_doubt_by_score_and_margin() {
        for (margin, unknown, below, want) in [
            (Some(0.5), false, 0.1, None),
            (Some(0.1), false, 0.1, None),
            (Some(0.099), false, 0.1, Some(Reason::Margin)),
            (Some(0.0), false, 0.0, None),
            (Some(0.0), false, 1.0, Some(Reason::Margin)),
            (None, false, 1.0, None),
            (None, true, 0.1, Some(Reason::Unknown)),
            (Some(0.0), true, 0.1, Some(Reason::Unknown)),
        ] {
            let look = Look { margin, unknown, ..look(1, 0) };
            assert_eq!(one(look, &Collect { margin_below: below, ..SETTINGS }), want, "{margin:?} {unknown} {below}");
        }
    }

    #[test]
    fn views_that_disagree_put_a_frame_in_doubt() {
        let disagree = Look { margin: Some(0.5), views_disagree: true, ..look(1, 0) };
        assert_eq!(one(disagree, &SETTINGS), Some(Reason::Views));
        assert_eq!(one(Look { margin: Some(0.05), ..disagree }, &SETTINGS), Some(Reason::Margin));
        assert_eq!(one(Look { views_disagree: false, ..disagree }, &SETTINGS), None);
    }

    #[test]
    fn a_class_that_comes_back_puts_the_one_between_in_doubt() {
        let sequence = |classes: &[u32]| doubted((1..).zip(classes).map(|(number, class)| look(number, *class)));
        assert_eq!(sequence(&[7, 8, 7]), [2]);
        // Several frames between: the first of them is meant.
        assert_eq!(sequence(&[7, 7, 8, 8, 8, 7, 7]), [3]);
        assert_eq!(sequence(&[7, 8, 7, 8]), [2, 3]);
        // A change, and two changes, are no flip.
        assert_eq!(sequence(&[7, 7, 8, 8]), []);
        assert_eq!(sequence(&[7, 8, 9]), []);
        assert_eq!(sequence(&[7, 8, 9, 7]), []);
        assert_eq!(sequence(&[]), []);
    }

    #[test]
    fn only_while_the_picture_hardly_changes_and_only_for_a_short_time() {
        let far = PictureHash(0x3ff);
        let near = PictureHash(0x1ff);
        for (hashes, want) in [
            ([PictureHash(0), near, PictureHash(0)], vec![2]),
            ([PictureHash(0), far, PictureHash(0)], vec![]),
            ([far, PictureHash(0), PictureHash(0)], vec![]),
            ([PictureHash(0), PictureHash(0), far], vec![]),
            // A picture that drifts: each like the next, but the last unlike the first.
            ([PictureHash(0), PictureHash(0x1f), PictureHash(0x3ff)], vec![]),
        ] {
            let looks = [7, 8, 7].into_iter().zip(1..).zip(hashes);
            assert_eq!(doubted(looks.map(|((class, number), hash)| Look { hash, ..look(number, class) })), want);
        }
        assert_eq!(doubted([look(1, 7), look(5, 8), look(11, 7)]), [5]);
        assert_eq!(doubted([look(1, 7), look(5, 8), look(12, 7)]), []);
        // The time is that from the last A on.
        assert_eq!(doubted([look(1, 7), look(90, 7), look(95, 8), look(100, 7)]), [95]);
    }

    #[test]
    fn a_frame_that_comes_late_is_no_flip() {
        assert_eq!(doubted([look(1, 7), look(3, 7), look(2, 8), look(4, 7)]), []);
    }

    #[test]
    fn the_frame_s_own_doubt_comes_first() {
        let mut trail = Trail::default();
        trail.push(look(1, 7), &SETTINGS);
        trail.push(look(2, 8), &SETTINGS);
        let third = Look { margin: Some(0.01), ..look(3, 7) };
        assert_eq!(trail.push(third, &SETTINGS), Some(Doubt { look: third, reason: Reason::Margin }));
    }
}
