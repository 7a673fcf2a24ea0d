//! Dynamic views: whether a frame is worth another look, and which.
//!
//! The centre view's pixels say what is wrong with a frame, and so which views may help. The margin of what was seen in
//! the views so far says whether one more is worth its time. So a good frame that is clear costs one view.
//!
//! Where a camera's frames are [averaged](super::temporal), the views take turns from frame to frame, and once each has had
//! its turn in a scene, a frame is looked at once: the mean has all views in it. On 250 photographs that took no part in the
//! choice of views, spoilt in five ways, 8 frames of each, that is better than as many views of one frame as it is worth, at
//! half their cost.

use super::quality::Condition;
use super::rank::Ranked;
use super::views::{Framing, Repair, View};

/// The views that are tried for a frame in some condition, in this order.
///
/// The first takes the place of the centre view. Chosen on the first half of 500 photographs, each spoilt in six ways.
#[must_use]
pub fn views_for(condition: Condition) -> &'static [View] {
    const FULL: View = View::middle(0.875);
    const fn corner(right: bool, bottom: bool) -> View {
        View { framing: Framing::Corner { scale: 1.0, right, bottom }, ..View::CENTER }
    }
    const fn sharpened(view: View, sigma: f32, amount: f32) -> View {
        view.repaired(Repair::Sharpen { sigma, amount })
    }
    match condition {
        Condition::Good => const { &[View::CENTER, corner(false, false), FULL.mirrored(), corner(true, true)] },
        // Some are smaller than the centre view, which makes any blur smaller too.
        Condition::Soft => {
            const {
                &[
                    sharpened(FULL, 1.7, 1.0),
                    sharpened(FULL.turned(15.0), 1.7, 1.5),
                    sharpened(corner(true, true), 2.0, 1.5),
                    sharpened(View::middle(0.703), 1.4, 2.0),
                ]
            }
        }
        Condition::Blurred => {
            const {
                &[
                    sharpened(FULL, 1.7, 2.0),
                    sharpened(corner(true, true), 2.0, 1.5),
                    View::CENTER.repaired(Repair::Restore { sigma: 2.4, noise: 0.03 }),
                    sharpened(FULL.mirrored(), 1.7, 2.0),
                ]
            }
        }
        Condition::Dark => {
            const SQUASHED: View = View { framing: Framing::Squashed, ..View::CENTER };
            const {
                &[
                    View::CENTER.repaired(Repair::Contrast),
                    SQUASHED.repaired(Repair::ContrastDenoised),
                    FULL.repaired(Repair::ContrastDenoised),
                    View::CENTER.turned(10.0).repaired(Repair::Contrast),
                ]
            }
        }
    }
}

/// Whether the best classes so far leave it open which is right, so that one more view may help.
#[must_use]
pub fn is_unsure(condition: Condition, top: &[Ranked]) -> bool {
    let margin = match top {
        [first, second, ..] => first.score - second.score,
        _ => return false,
    };
    margin
        < match condition {
            // Where nothing is wrong, little is won by another look.
            Condition::Good => 0.15,
            Condition::Soft | Condition::Blurred | Condition::Dark => 0.48,
        }
}

/// Keeps the mean number of views a frame within a limit, whatever comes.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Extra views that may be taken now.
    saved: f32,
}

impl Budget {
    /// Extra views that are saved up at most: a hard minute after an easy one is not cut short at once.
    const MOST: f32 = 30.0;

    /// Counts a frame; each adds what the mean leaves beside its first view.
    pub fn count_frame(&mut self, mean: f32) {
        self.saved = (self.saved + (mean - 1.0)).clamp(0.0, Self::MOST);
    }

    /// Takes one extra view, if there is one.
    pub fn take(&mut self) -> bool {
        let enough = self.saved >= 1.0;
        if enough {
            self.saved -= 1.0;
        }
        enough
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self { saved: Self::MOST / 2.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_keeps_the_mean() {
        for mean in [1.0, 1.2, 2.0, 5.0] {
            let mut budget = Budget::default();
            let mut views = 0.0;
            for _ in 0..1000 {
                budget.count_frame(mean);
                views += 1.0;
                while views < 1e6 && budget.take() {
                    views += 1.0;
                }
            }
            let most = mean + Budget::MOST / 2.0 / 1000.0;
            assert!((mean - 0.01..=most + 1e-3).contains(&(views / 1000.0)), "{mean}: {}", views / 1000.0);
        }
    }

    #[test]
    fn what_is_saved_up_has_a_limit() {
        let mut budget = Budget::default();
        (0..10_000).for_each(|_| budget.count_frame(2.0));
        assert_eq!(std::iter::repeat_with(|| budget.take()).take_while(|taken| *taken).count(), Budget::MOST as usize);
    }

    #[test]
    fn one_more_view_only_if_two_classes_are_near() {
        let ranked = |scores: &[f32]| scores.iter().map(|&score| Ranked { class: 0, score }).collect::<Vec<_>>();
        assert!(is_unsure(Condition::Good, &ranked(&[0.4, 0.3, 0.1])));
        assert!(!is_unsure(Condition::Good, &ranked(&[0.5, 0.3, 0.1])));
        assert!(is_unsure(Condition::Soft, &ranked(&[0.5, 0.3, 0.1])));
        assert!(!is_unsure(Condition::Soft, &ranked(&[0.7, 0.2, 0.1])));
        assert!(!is_unsure(Condition::Dark, &ranked(&[1.0])));
    }
}
