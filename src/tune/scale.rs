//! How large frames are decoded: what it saves, and what it costs.

use std::time::Instant;

use serde::Serialize;

use crate::classify::views::{View, ViewMaker};
use crate::frame::decode::{Decoder, Limits, Need};
use crate::frame::pipeline::PipelineError;
use crate::model::InputSpec;

/// What can be chosen: the least pixels of a decoded frame for one of the resized frame.
pub const OVERSAMPLES: [f32; 4] = [1.0, 1.5, 2.0, 4.0];

/// A view may differ by so much, in the mean over its samples, in steps of 255. The noise of a camera is several.
const UNSEEN: f64 = 0.5;

/// Decoding at one scale, over some frames.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Scale {
    /// The least pixels of a decoded frame for one of the resized frame.
    pub oversample: f32,
    /// From file to view, milliseconds: the mean over the frames of the least of each.
    pub ms: f64,
    /// How far the view is from that of the frame at its full size, in steps of 255: the mean over its samples, of the frame
    /// where it is most.
    pub difference: f64,
}

/// Decodes frames, given as files, at all scales in turn.
///
/// # Errors
/// [`PipelineError`] if a frame can't be decoded.
pub fn scales(spec: &InputSpec, limits: Limits, frames: &[Vec<u8>]) -> Result<Vec<Scale>, PipelineError> {
    const ROUNDS: usize = 15;
    let (mut decoder, mut views) = (Decoder::new(limits), ViewMaker::new());
    let mut out = vec![0.0; spec.len()];
    let mut view = |frame: &[u8], need: &Need| -> Result<Vec<u8>, PipelineError> {
        let picture = decoder.decode(frame, need)?;
        views.make(picture, None, spec, &View::CENTER, &mut out)?;
        Ok(views.last().0.iter().flat_map(|pixel| pixel.0).collect())
    };
    let needs = OVERSAMPLES.map(|oversample| spec.need_at(None, &[View::CENTER], oversample));
    let mut least = vec![[f64::INFINITY; OVERSAMPLES.len()]; frames.len()];
    let mut difference = [0.0_f64; OVERSAMPLES.len()];
    for (frame, least) in frames.iter().zip(&mut least) {
        let exact = view(frame, &Need::EVERYTHING)?;
        for (need, difference) in needs.iter().zip(&mut difference) {
            let sum: u64 = view(frame, need)?.iter().zip(&exact).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            *difference = difference.max(sum as f64 / exact.len() as f64);
        }
        for _ in 0..ROUNDS {
            for (need, least) in needs.iter().zip(&mut *least) {
                let begin = Instant::now();
                view(frame, need)?;
                *least = least.min(begin.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    let scales = OVERSAMPLES.iter().zip(difference).enumerate().map(|(index, (&oversample, difference))| {
        let ms = least.iter().map(|least| least[index]).sum::<f64>() / frames.len().max(1) as f64;
        Scale { oversample, ms, difference }
    });
    Ok(scales.collect())
}

/// The quickest whose difference nobody would see, by more than what may be chance; the sharper one else.
#[must_use]
pub fn choose(scales: &[Scale]) -> Option<Scale> {
    const CHANCE: f64 = 0.97;
    let sharp = scales.iter().filter(|scale| scale.difference <= UNSEEN);
    sharp.copied().reduce(|best, scale| match scale.oversample > best.oversample {
        true if scale.ms * CHANCE <= best.ms => scale,
        false if scale.ms < best.ms * CHANCE => scale,
        _ => best,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(oversample: f32, ms: f64, difference: f64) -> Scale {
        Scale { oversample, ms, difference }
    }

    #[test]
    fn the_quickest_of_those_that_are_sharp_enough() {
        let chosen = |scales: &[Scale]| choose(scales).map(|scale| scale.oversample);
        assert_eq!(chosen(&[scale(1.0, 1.0, 1.2), scale(1.5, 2.0, 0.3), scale(4.0, 3.0, 0.0)]), Some(1.5));
        assert_eq!(chosen(&[scale(1.0, 1.0, 0.4), scale(1.5, 2.0, 0.3), scale(4.0, 3.0, 0.0)]), Some(1.0));
        // What saves nothing is not worth a difference.
        assert_eq!(chosen(&[scale(1.0, 1.99, 0.4), scale(1.5, 2.0, 0.3), scale(4.0, 3.0, 0.0)]), Some(1.5));
        assert_eq!(chosen(&[scale(1.0, 1.0, 2.0)]), None);
    }
}
