//! A worker: a thread that takes frames one by one and classifies them.

mod still;

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use fast_image_resize::pixels::U8x3;

use super::ask::{Answer, Asker, Caller, Refusal, RefusalKind, Reply, Request};
use super::board::{Board, News};
use super::decode::{Format, sniff};
use super::exchange::Exchange;
use super::glance::Glance;
use super::intake::{Intake, Work};
use super::payload::{self, Unpacked};
use super::pipeline::{Pipeline, PipelineError};
use super::publish::{Answers, Results};
use super::repeats::{Repeat, Repeats};
use super::steps::{Looking, Occasion, Series, Steps};
use super::{Frame, Received, Route};
use crate::classify::temporal::TemporalStates;
use crate::feedback::collect::{Collector, Doubt, Look};
use crate::feedback::held::{Held, Seen};
use crate::feedback::store::Picture;
use crate::model::Active;
use crate::mqtt::wire::{self, About, ResultMessage};
use crate::ops::health::Health;
use crate::ops::metrics::{Drop, Likeness, Metrics, Stage};
use crate::ops::telemetry::Throttle;

/// What all workers share.
#[derive(Debug)]
pub struct Shared {
    /// Where frames wait.
    pub intake: Arc<Intake>,
    /// The models, by index.
    pub models: Arc<Active>,
    /// New versions of them.
    pub exchange: Exchange,
    /// Can be changed while running.
    pub steps: ArcSwap<Steps>,
    /// What was seen in the cameras' last frames.
    pub temporal: TemporalStates,
    /// What stands for frames that look the same.
    pub repeats: Repeats,
    /// This node's name.
    pub node: String,
    /// Largest image, bytes.
    pub max_image_bytes: usize,
    /// Holds frames for feedback.
    pub held: Arc<Held>,
    /// Chooses frames that are kept without feedback.
    pub collector: Arc<Collector>,
    /// Where results can be seen.
    pub board: Arc<Board>,
    /// Where results go.
    pub results: Results,
    /// Where answers go.
    pub answers: Answers,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Signs of life.
    pub health: Arc<Health>,
    /// Keeps a broken camera from filling the log.
    pub throttle: Arc<Throttle>,
}

/// Works until the intake is closed.
pub fn run(index: usize, mut pipeline: Pipeline, shared: &Shared) {
    let mut seen = 0;
    while let Some(work) = shared.intake.take() {
        shared.exchange.take_over(index, &mut seen, &mut pipeline);
        shared.health.worker_busy(index, true);
        match work {
            Work::Frame { frame, replaced } => shared.serve_frame(&mut pipeline, &frame, replaced),
            Work::Request(request) => shared.serve_request(&mut pipeline, request),
        }
        shared.health.worker_busy(index, false);
    }
}

/// Why a payload gave no result.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Payload(#[from] payload::PayloadError),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error("internal error: a step panicked")]
    Panicked,
}

impl Failure {
    fn refusal(&self) -> Refusal {
        match self.reason() {
            Drop::Undecodable => RefusalKind::Unusable.because(self),
            _ => RefusalKind::Failed.because(self),
        }
    }

    fn reason(&self) -> Drop {
        match self {
            Self::Payload(_) | Self::Pipeline(PipelineError::Decode(_) | PipelineError::View(_)) => Drop::Undecodable,
            Self::Pipeline(_) | Self::Panicked => Drop::Failed,
        }
    }
}

impl Shared {
    fn serve_frame(&self, pipeline: &mut Pipeline, frame: &Frame, replaced: u64) {
        let queue = frame.received.instant.elapsed();
        let picture = self.board.wants_picture(&frame.camera);
        pipeline.keep_pictures(picture);
        let seen = payload::unpack(&frame.payload, frame.route.encoding, self.max_image_bytes)
            .map_err(Failure::from)
            .and_then(|unpacked| Ok((self.look_unless_still(pipeline, &unpacked, frame, picture)?, unpacked)));
        match seen {
            Ok(((glance, repeat), unpacked)) => {
                if let Some(repeat) = repeat {
                    self.metrics.count_repeat(repeat.likeness);
                }
                let repeat_of = repeat.map(|repeat| repeat.of);
                let captured_at = unpacked.captured_at;
                // Before it is published: feedback may come the moment someone sees the result.
                let seen = self.seen(pipeline, &frame.received, Some(&frame.camera), &unpacked, glance);
                self.held.insert(frame.received.id, &unpacked.image, seen);
                let pictures = pipeline.take_pictures();
                let age = frame.received.instant.elapsed();
                let bundle = pipeline.bundle(glance.model);
                let about = About {
                    frame: frame.received.id,
                    repeat_of,
                    id: None,
                    camera: Some(&frame.camera),
                    node: &self.node,
                    captured_at,
                    received_at: frame.received.at,
                    age,
                    queue,
                    dropped: replaced,
                };
                if bundle.learnt {
                    let result = wire::to_json(&ResultMessage::new(about, &glance, bundle));
                    let news = News {
                        frame: frame.received.id,
                        result: Bytes::copy_from_slice(&result),
                        replaced,
                        shared: frame.route.shared,
                        repeat_of,
                        picture: pictures.into_iter().next().map(|view| view.jpeg.into()),
                    };
                    self.board.put(&frame.camera, news);
                    if self.results.publish(&frame.camera, result) {
                        self.metrics.count_result(&bundle.name, &bundle.version, age);
                        self.observe(queue, &glance, repeat.map(|repeat| repeat.likeness));
                    }
                } else {
                    self.metrics.count_drop(Drop::Unlearnt);
                }
                if self.collector.is_on() || !bundle.learnt {
                    self.collect(pipeline, frame, &unpacked, glance, repeat);
                }
            }
            Err(failure) => {
                let reason = failure.reason();
                self.metrics.count_drop(reason);
                if self.throttle.allows(&frame.camera) {
                    tracing::warn!(camera = &*frame.camera, reason = reason.name(), error = %failure, bytes = frame.payload.len(), "a frame gave no result (said at most once a minute for each camera)");
                } else {
                    self.metrics.muted.inc();
                }
            }
        }
    }

    fn serve_request(&self, pipeline: &mut Pipeline, request: Request) {
        let queue = request.received.instant.elapsed();
        // A part of the payload may live longer than the request.
        let payload = request.payload.clone();
        let unpacked = match payload::unpack(&payload, request.route.encoding, self.max_image_bytes) {
            Ok(unpacked) => unpacked,
            Err(error) => return self.answers.refuse(request, RefusalKind::Unusable.because(error)),
        };
        if matches!(request.asker, Asker::Mqtt(None)) && unpacked.reply_to.is_none() {
            return self.answers.unanswerable("it names no topic for its answer");
        }
        pipeline.keep_pictures(matches!(request.asker, Asker::Caller(Caller { pictures: true, .. })));
        let looked = self.look(pipeline, &unpacked, &request.route, &self.steps.load(), None, never);
        let pictures = pipeline.take_pictures();
        let glance = match looked {
            Ok(ControlFlow::Continue(glance)) => glance,
            Err(failure) => return self.answers.refuse(request, failure.refusal()),
        };
        let bundle = pipeline.bundle(glance.model);
        if !bundle.learnt {
            let error = format!("model {} has learnt nothing yet: label frames, and retrain it", bundle.name);
            return self.answers.refuse(request, RefusalKind::Unlearnt.because(error));
        }
        let seen = self.seen(pipeline, &request.received, None, &unpacked, glance);
        self.held.insert(request.received.id, &unpacked.image, seen);
        let reply = match request.asker {
            Asker::Caller(caller) => {
                let answer = Answer { glance, bundle: Arc::clone(bundle), queue, pictures: pictures.into() };
                self.observe(queue, &glance, None);
                return self.answers.hand_over(caller, Ok(answer));
            }
            Asker::Mqtt(reply) => reply.or_else(|| unpacked.reply_to.clone().map(Reply::to)),
        };
        let Some(reply) = reply else { return };
        let about = About {
            frame: request.received.id,
            repeat_of: None,
            id: unpacked.id.as_deref(),
            camera: None,
            node: &self.node,
            captured_at: unpacked.captured_at,
            received_at: request.received.at,
            age: request.received.instant.elapsed(),
            queue,
            dropped: 0,
        };
        self.answers.answer(reply, &ResultMessage::new(about, &glance, bundle));
        self.observe(queue, &glance, None);
    }

    /// Classifies unless something is known of the centre view, and survives whatever an image makes the code below do.
    fn look<K>(
        &self,
        pipeline: &mut Pipeline,
        unpacked: &Unpacked<'_>,
        route: &Route,
        steps: &Steps,
        series: Option<Series<'_>>,
        known: impl FnOnce(&[U8x3], usize) -> Option<K>,
    ) -> Result<ControlFlow<K, Glance>, Failure> {
        // Only dynamic views ask for it, and it takes the intake's lock.
        let hurry = matches!(steps.looking, Looking::Dynamic { .. }) && self.intake.waiting() > 0;
        let occasion = Occasion { hurry, series };
        // The pipeline's buffers are written anew for each image, so that a half-done one leaves nothing behind.
        let look = || pipeline.classify_unless(&unpacked.image, route, steps, occasion, known);
        let seen = catch_unwind(AssertUnwindSafe(look));
        Ok(seen.map_err(|_| Failure::Panicked)??)
    }

    /// What is known of a frame, for those who keep it with its picture.
    fn seen(
        &self,
        pipeline: &Pipeline,
        received: &Received,
        camera: Option<&Arc<str>>,
        unpacked: &Unpacked<'_>,
        glance: Glance,
    ) -> impl FnOnce(Bytes, Format) -> Seen + use<> {
        let (camera, bundle) = (camera.cloned(), Arc::clone(pipeline.bundle(glance.model)));
        let (captured_at, received_at) = (unpacked.captured_at, received.at);
        move |image, format| Seen { camera, image, format, bundle, glance, captured_at, received_at }
    }

    /// Keeps the frame, or one shortly before it, if it is likely a mistake, or quite sure. One that repeats another is
    /// considered like any: it may be the A in A → B → A, or come when there is room again.
    fn collect(
        &self,
        pipeline: &Pipeline,
        frame: &Frame,
        unpacked: &Unpacked<'_>,
        glance: Glance,
        repeat: Option<Repeat>,
    ) {
        let look = Look {
            frame: frame.received.id,
            at: frame.received.at,
            hash: repeat.map_or_else(|| pipeline.hash(), |repeat| repeat.hash),
            class: glance.top().first().map(|top| top.class),
            score: glance.top().first().map(|top| top.score),
            margin: glance.margin(),
            unlearnt: !pipeline.bundle(glance.model).learnt,
            unknown: glance.unknown,
            views_disagree: glance.views_disagree,
        };
        let Some(doubt) = self.collector.consider(&frame.camera, glance.model, look) else { return };
        // Held already, as a rule, and then there is no need of another copy. One that is not held any more had a picture
        // like this one.
        let (doubt, seen) = if let Some(seen) = self.held.get(doubt.look.frame) {
            (doubt, seen)
        } else {
            let Some(format) = sniff(&unpacked.image) else { return };
            let image = Bytes::copy_from_slice(&unpacked.image);
            let seen = self.seen(pipeline, &frame.received, Some(&frame.camera), unpacked, glance);
            (Doubt { look, ..doubt }, seen(image, format))
        };
        let sighting = seen.sighting();
        let picture = Picture::new(seen.image, seen.format);
        self.collector.offer(&frame.camera, doubt, sighting, picture);
    }

    /// What was not done is not observed.
    fn observe(&self, queue: Duration, glance: &Glance, repeat: Option<Likeness>) {
        self.metrics.observe(Stage::Queue, queue);
        if repeat != Some(Likeness::Identical) {
            self.metrics.observe(Stage::Decode, glance.took.decode);
        }
        if repeat.is_none() {
            self.metrics.observe(Stage::Infer, glance.took.infer);
            self.metrics.observe(Stage::Post, glance.took.post);
        }
    }
}

/// For whoever wants the network to look in any case.
fn never(_pixels: &[U8x3], _width: usize) -> Option<Infallible> {
    None
}
