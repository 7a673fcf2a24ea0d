//! Frames that need no look, for one before looked the same.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use super::{Failure, Shared};
use crate::classify::sketch::Sketch;
use crate::config::Repeating;
use crate::frame::Frame;
use crate::frame::glance::{Glance, Took};
use crate::frame::payload::Unpacked;
use crate::frame::pipeline::Pipeline;
use crate::frame::repeats::{Looked, Moment, Repeat};
use crate::frame::steps::Series;

impl Shared {
    /// Classifies a frame, or says what it repeats. If its `picture` is wanted, it repeats only one whose picture is shown.
    pub(super) fn look_unless_still(
        &self,
        pipeline: &mut Pipeline,
        unpacked: &Unpacked<'_>,
        frame: &Frame,
        picture: bool,
    ) -> Result<(Glance, Option<Repeat>), Failure> {
        let begin = Instant::now();
        let Frame { camera, route, received, .. } = frame;
        let steps = self.steps.load_full();
        let series = Series { states: &self.temporal, camera, at: received.instant };
        let repeating = self.repeats.settings().of;
        if repeating == Repeating::Off {
            let ControlFlow::Continue(glance) =
                self.look(pipeline, unpacked, route, &steps, Some(series), super::never)?;
            return Ok((glance, None));
        }
        let bundle = Arc::clone(pipeline.bundle(route.model));
        let may_repeat = |of| !picture || self.board.shows(camera, of);
        let now = Moment { route, bundle: &bundle, steps: &steps, series, may_repeat: &may_repeat };
        // All that it took is to find out: no network, and no probabilities to speak of.
        let answered = |repeat: Repeat| {
            let took = Took { decode: begin.elapsed(), ..Took::default() };
            (Glance { took, ..repeat.glance }, Some(repeat))
        };
        let fingerprint = self.repeats.fingerprint(&unpacked.image);
        if let Some(repeat) = self.repeats.identical(&now, fingerprint) {
            return Ok(answered(repeat));
        }
        let mut sketch = None;
        let looked = self.look(pipeline, unpacked, route, &steps, Some(series), |pixels, width| {
            if repeating != Repeating::Alike {
                return None;
            }
            self.repeats.alike(&now, sketch.insert(Sketch::of(pixels, width)))
        })?;
        match looked {
            ControlFlow::Break(repeat) => Ok(answered(repeat)),
            ControlFlow::Continue(glance) => {
                let looked = Looked { frame: received.id, fingerprint, sketch, hash: pipeline.hash(), glance };
                self.repeats.remember(&now, looked, pipeline.said());
                Ok((glance, None))
            }
        }
    }
}
