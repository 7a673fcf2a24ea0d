//! Averages over a camera's last frames: what one frame blurs or hides, the frames around it may show.
//!
//! A frame counts half as much after a half-life, a quarter after two: the mean of the distributions of all frames since the
//! scene changed, with weights 0.5^(age / half-life).
//!
//! **A scene changed** if two things agree: the picture is another one, by more than [`SCENE_BITS`] of its hash against that
//! of the newest frame, and the model sees something else, by a likeness of less than [`SCENE_LIKENESS`] between its
//! distribution and the mean (their cosine: 1 for the same, 0 if no class is in both). Either alone is no proof: a camera
//! that shakes changes the hash, and a bad frame the distribution. It is the cosine rather than the total variation because it
//! depends less on the temperature: of flat distributions, any two have much in common by the latter. Tried on photographs
//! that were blurred, darkened, tilted, reduced or half hidden, each frame cropped elsewhere and with noise of its own, at
//! a temperature of 1: about one frame in a thousand is taken for another scene, and of other scenes more than nine in ten are
//! seen. At 0.7 it is up to five in a thousand, and 96 in a hundred.
//!
//! What is missed fades with the half-life. A new scene that looks like the old one to the model needs no reset.
//!
//! **Frames that finish out of order**: one that is older than the newest is averaged in with the weight of its own age, and the
//! clock does not run backwards, so the mean is the same in whatever order frames come. If it is of another scene than
//! the mean, it is left as it is, and so is the mean.

mod states;

pub use self::states::TemporalStates;

use super::dhash::PictureHash;

/// So many of 64 bits may differ in two pictures of one scene.
pub const SCENE_BITS: u32 = 10;
/// The least cosine between the distribution of a frame and the mean of those before in the same scene, if the picture
/// changed.
pub const SCENE_LIKENESS: f64 = 0.1;
/// After so many half-lives without a frame, what was seen before counts for nothing.
pub const FORGOTTEN: f64 = 20.0;

/// The mean of one camera's frames, for one model.
#[derive(Clone, Debug)]
pub struct Temporal {
    /// One number a class; none before the first frame.
    mean: Vec<f32>,
    /// The sum of the weights of the frames in it, where the newest one has weight 1.
    weight: f64,
    /// How many frames are in it.
    frames: usize,
    /// Of the newest frame.
    hash: PictureHash,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The mean begins with it: the first one, or the first one after a long time or with another number of classes.
    Begun,
    /// The mean begins anew with it, for the scene changed.
    SceneChanged,
    /// It was averaged with the frames before.
    Averaged,
    /// Neither it nor the mean was changed: it is too old, of an older scene, or no distribution, or the half-life is not a
    /// positive number.
    LeftAlone,
}

impl Default for Temporal {
    fn default() -> Self {
        Self { mean: Vec::new(), weight: 0.0, frames: 0, hash: PictureHash(0) }
    }
}

impl Temporal {
    /// Takes a frame's distribution `p` into the mean, and replaces it by the mean.
    ///
    /// `seconds_since_last` is counted from the newest frame so far, whose clock the caller keeps; negative for one that is
    /// older. For the first frame it does not matter. Allocates only when there are more classes than ever before.
    pub fn update(&mut self, p: &mut [f32], seconds_since_last: f64, half_life_s: f64, hash: PictureHash) -> Step {
        let known = self.mean.len() == p.len();
        let (sum, likeness) = compare(p, if known { &self.mean } else { &[] });
        if half_life_s.is_nan() || half_life_s <= 0.0 || !sum.is_finite() || sum <= 0.0 {
            return Step::LeftAlone;
        }
        let half_lives = seconds_since_last / half_life_s;
        let forgotten = half_lives.is_nan() || half_lives.abs() > FORGOTTEN;
        let step = if self.mean.is_empty() {
            Step::Begun
        } else if !known || forgotten {
            if half_lives < 0.0 { Step::LeftAlone } else { Step::Begun }
        } else if self.hash.distance(hash) > SCENE_BITS && likeness < SCENE_LIKENESS {
            if half_lives < 0.0 { Step::LeftAlone } else { Step::SceneChanged }
        } else {
            Step::Averaged
        };
        match step {
            Step::Begun | Step::SceneChanged => self.begin(p, hash),
            Step::Averaged if half_lives < 0.0 => self.average(p, half_lives.exp2()),
            Step::Averaged => {
                self.weight *= (-half_lives).exp2();
                self.hash = hash;
                self.average(p, 1.0);
            }
            Step::LeftAlone => {}
        }
        step
    }

    /// How many frames are in the mean, whatever their weights.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Forgets all frames; keeps the memory.
    pub fn clear(&mut self) {
        self.mean.clear();
        self.weight = 0.0;
        self.frames = 0;
    }

    fn begin(&mut self, p: &[f32], hash: PictureHash) {
        self.mean.clear();
        self.mean.extend_from_slice(p);
        self.weight = 1.0;
        self.hash = hash;
        self.frames = 1;
    }

    fn average(&mut self, p: &mut [f32], weight: f64) {
        self.weight += weight;
        self.frames = self.frames.saturating_add(1);
        let share = (weight / self.weight) as f32;
        let mut sum = 0.0_f64;
        for (mean, p) in self.mean.iter_mut().zip(&*p) {
            *mean += share * (p - *mean);
            sum += f64::from(*mean);
        }
        // Else the rounding of a million frames would add up.
        let scale = (1.0 / sum) as f32;
        for (mean, p) in self.mean.iter_mut().zip(p) {
            *mean *= scale;
            *p = *mean;
        }
    }
}

/// The sum of `p`, and the cosine between `p` and `mean`.
fn compare(p: &[f32], mean: &[f32]) -> (f64, f64) {
    let sum = p.iter().map(|p| f64::from(*p)).sum();
    let (mut both, mut of_p, mut of_mean) = (0.0_f64, 0.0_f64, 0.0_f64);
    for (p, mean) in p.iter().zip(mean) {
        let (p, mean) = (f64::from(*p), f64::from(*mean));
        both += p * mean;
        of_p += p * p;
        of_mean += mean * mean;
    }
    (sum, both / (of_p * of_mean).sqrt())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HERE: PictureHash = PictureHash(0);
    const NEAR: PictureHash = PictureHash(0x3ff);
    const ELSEWHERE: PictureHash = PictureHash(0x7ff);

    fn assert_close(a: &[f32], b: &[f32]) {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() < 1e-5, "{a} and {b}");
        }
    }

    /// What comes out, and what became of it.
    fn taken<const N: usize>(state: &mut Temporal, p: [f32; N], seconds: f64, hash: PictureHash) -> ([f32; N], Step) {
        let mut p = p;
        let step = state.update(&mut p, seconds, 2.0, hash);
        (p, step)
    }

    #[test]
    fn a_frame_counts_half_as_much_after_a_half_life() {
        let mut state = Temporal::default();
        assert_eq!(taken(&mut state, [1.0, 0.0], 99.0, HERE), ([1.0, 0.0], Step::Begun));
        // Weights ½ and 1.
        assert_close(&taken(&mut state, [0.4, 0.6], 2.0, HERE).0, &[0.6, 0.4]);
        // Weights ⅛, ¼ and 1.
        let (p, step) = taken(&mut state, [0.0, 1.0], 4.0, NEAR);
        assert_close(&p, &[(0.125 + 0.4 * 0.25) / 1.375, (0.6 * 0.25 + 1.0) / 1.375]);
        assert_eq!((step, state.frames()), (Step::Averaged, 3));
        // At the same moment: weights ⅛, ¼, 1 and 1.
        assert_close(&taken(&mut state, [0.0, 1.0], 0.0, NEAR).0, &[0.225 / 2.375, 2.15 / 2.375]);
    }

    #[test]
    fn an_older_frame_has_the_weight_of_its_age_and_the_clock_stays() {
        let mut state = Temporal::default();
        taken(&mut state, [1.0, 0.0], 0.0, HERE);
        let (p, step) = taken(&mut state, [0.0, 1.0], -2.0, NEAR);
        assert_eq!(step, Step::Averaged);
        assert_close(&p, &[1.0 / 1.5, 0.5 / 1.5]);
        // The hash is still that of the newest: 21 bits from NEAR would be another scene, and 10 from HERE are not.
        assert_eq!(state.hash, HERE);
        // A half-life after the newest: ½, ¼ and 1.
        assert_close(&taken(&mut state, [0.5, 0.5], 2.0, HERE).0, &[1.0 / 1.75, 0.75 / 1.75]);
    }

    #[test]
    fn the_scene_changed_if_picture_and_distribution_did() {
        let before = [0.9, 0.1, 0.0];
        let (like, unlike) = ([0.5, 0.3, 0.2], [0.0, 0.1, 0.9]);
        for (p, hash, wanted) in
            [(unlike, ELSEWHERE, Step::SceneChanged), (unlike, NEAR, Step::Averaged), (like, ELSEWHERE, Step::Averaged)]
        {
            let mut state = Temporal::default();
            taken(&mut state, before, 0.0, HERE);
            let (out, step) = taken(&mut state, p, 1.0, hash);
            assert_eq!((step, out == p), (wanted, wanted == Step::SceneChanged), "{p:?} {hash}");
            assert_eq!(state.frames(), if wanted == Step::SceneChanged { 1 } else { 2 });
        }
        // A late frame of the scene before changes nothing.
        let mut state = Temporal::default();
        taken(&mut state, before, 0.0, HERE);
        assert_eq!(taken(&mut state, unlike, -1.0, ELSEWHERE), (unlike, Step::LeftAlone));
        assert_eq!((&state.mean[..], state.weight, state.hash), (&before[..], 1.0, HERE));
    }

    #[test]
    fn after_a_long_time_or_with_other_classes_the_mean_begins_anew() {
        let begun = || {
            let mut state = Temporal::default();
            taken(&mut state, [1.0, 0.0], 0.0, HERE);
            state
        };
        assert_eq!(taken(&mut begun(), [0.5, 0.5], 40.0, HERE).1, Step::Averaged);
        assert_eq!(taken(&mut begun(), [0.5, 0.5], 40.1, HERE), ([0.5, 0.5], Step::Begun));
        assert_eq!(taken(&mut begun(), [0.5, 0.5], f64::NAN, HERE).1, Step::Begun);
        assert_eq!(taken(&mut begun(), [0.5, 0.25, 0.25], 1.0, HERE), ([0.5, 0.25, 0.25], Step::Begun));
        // Late ones: of an older version, or from long ago.
        assert_eq!(taken(&mut begun(), [0.5, 0.25, 0.25], -1.0, HERE).1, Step::LeftAlone);
        assert_eq!(taken(&mut begun(), [0.5, 0.5], -40.1, HERE).1, Step::LeftAlone);
        let mut state = begun();
        state.clear();
        assert_eq!(taken(&mut state, [0.5, 0.5], -1.0, HERE).1, Step::Begun);
    }

    #[test]
    fn what_is_no_distribution_or_has_no_half_life_changes_nothing() {
        let mut state = Temporal::default();
        taken(&mut state, [1.0, 0.0], 0.0, HERE);
        for p in [[f32::NAN, 1.0], [f32::INFINITY, 0.0], [0.0, 0.0]] {
            assert_eq!(taken(&mut state, p, 1.0, HERE).1, Step::LeftAlone);
        }
        for half_life in [0.0, -1.0, f64::NAN] {
            assert_eq!(state.update(&mut [0.5, 0.5], 1.0, half_life, HERE), Step::LeftAlone);
        }
        assert_eq!(Temporal::default().update(&mut [], 1.0, 1.0, HERE), Step::LeftAlone);
        assert_eq!(state.mean, [1.0, 0.0]);
    }

    #[test]
    fn an_endless_half_life_is_a_plain_mean_and_does_not_drift() {
        let mut state = Temporal::default();
        let mut last = [0.0; 3];
        for frame in 0..30_000 {
            last = [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.1, 0.1, 0.8]][frame % 3];
            state.update(&mut last, 0.1, f64::INFINITY, HERE);
        }
        for (p, wanted) in last.iter().zip([0.3, 0.2, 0.5]) {
            assert!((p - wanted).abs() < 1e-3, "{last:?}");
        }
        assert!((last.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn nothing_is_allocated_after_the_first_frame() {
        let mut state = Temporal::default();
        taken(&mut state, [0.25; 4], 0.0, HERE);
        let place = state.mean.as_ptr();
        for (p, hash) in [([1.0, 0.0, 0.0, 0.0], HERE), ([0.0, 0.0, 0.0, 1.0], ELSEWHERE), ([0.25; 4], HERE)] {
            taken(&mut state, p, 1.0, hash);
            taken(&mut state, p, 100.0, hash);
        }
        taken(&mut state, [1.0], 1.0, HERE);
        assert_eq!(state.mean.as_ptr(), place);
    }

    fn distribution() -> impl Strategy<Value = Vec<f32>> {
        proptest::collection::vec(0.0_f32..1.0, 5).prop_map(|weights| {
            let sum = weights.iter().sum::<f32>() + 1e-3;
            weights.iter().map(|w| (w + 2e-4) / sum).collect()
        })
    }

    proptest! {
        #[test]
        fn what_comes_out_is_a_distribution(
            frames in proptest::collection::vec((distribution(), -50.0_f64..50.0, any::<u64>()), 1..40),
            half_life in 0.01_f64..100.0,
        ) {
            let mut state = Temporal::default();
            for (mut p, seconds, hash) in frames {
                state.update(&mut p, seconds, half_life, PictureHash(hash));
                prop_assert!(p.iter().all(|p| p.is_finite() && *p >= 0.0));
                prop_assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                prop_assert!(state.weight.is_finite() && state.weight >= 1.0);
            }
        }

        #[test]
        fn the_mean_is_the_same_in_whatever_order_frames_come(
            frames in proptest::collection::vec((distribution(), 0.0_f64..10.0), 2..12)
                .prop_flat_map(|frames| (Just(frames.clone()), Just(frames).prop_shuffle())),
        ) {
            let (mut in_order, shuffled) = frames;
            in_order.sort_by(|a, b| a.1.total_cmp(&b.1));
            let mean_of = |frames: Vec<(Vec<f32>, f64)>| {
                let (mut state, mut newest) = (Temporal::default(), None);
                for (mut p, at) in frames {
                    let clock = newest.unwrap_or(at);
                    state.update(&mut p, at - clock, 3.0, HERE);
                    newest = Some(at.max(clock));
                }
                state.mean
            };
            assert_close(&mean_of(in_order), &mean_of(shuffled));
        }
    }
}
