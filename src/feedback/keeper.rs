//! The thread that keeps feedback: reads messages, finds what they are about, stores them in batches, and only then
//! answers. While there is nothing to be said, it stores frames that were collected. It alone writes the store.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::error::TryRecvError;

use super::collect::Collector;
use super::held::Held;
use super::inbox::{Mail, Submission, Submitted, Taken};
use super::message::{self, Answer, Claim, Said};
use super::record::{ModelRef, Sighting, Statement, Via};
use super::store::{Event, Item, NewFeedback, Options, Picture, Receipt, Refusal, Store};
use super::view::FrameRecord;
use crate::frame::decode::{Decoder, Limits, Need, sniff};
use crate::model::{Active, Bundle};
use crate::ops::metrics::{FeedbackOutcome, Metrics};
use crate::ops::shutdown::Shutdown;

/// The most messages that are stored with one sync.
const BATCH: usize = 256;
/// Less than this after a batch, the next one waits for company. A sync takes as much of a disk, and of the cores that are
/// the frames', for one message as for many.
const GATHER: Duration = Duration::from_millis(20);
/// How often what can't be stored at the moment is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Where the keeper puts the store once it is open, so that others can look into it.
pub type Shelf = Arc<OnceLock<Arc<Store>>>;

/// What the keeper works with.
#[derive(Debug)]
pub struct Parts {
    /// Where the store can be found once it is open.
    pub shelf: Shelf,
    /// This node's name.
    pub node: String,
    /// The store's folder.
    pub dir: PathBuf,
    /// How it is kept.
    pub options: Options,
    /// Limits for pictures that come with feedback.
    pub limits: Limits,
    /// Frames held in memory.
    pub held: Arc<Held>,
    /// Frames that wait to be stored without feedback.
    pub collector: Arc<Collector>,
    /// The models, by index; the first is the default.
    pub models: Arc<Active>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Once the node is to stop, what can't be stored is given up, unanswered.
    pub shutdown: Shutdown,
}

/// A message whose item waits to be stored.
struct Pending {
    item: Item,
    new_class: bool,
    via: Via,
    reply: Box<dyn FnOnce(&Answer) + Send>,
    _bytes: OwnedSemaphorePermit,
}

/// Works until all inboxes are gone and what they held is stored.
pub fn run(parts: &Parts, submitted: Submitted) {
    let Submitted(mut inbox) = submitted;
    let Some(store) = open(parts) else { return };
    let store = Arc::clone(parts.shelf.get_or_init(|| Arc::new(store)));
    let mut decoder = Decoder::new(parts.limits);
    let mut pending: Vec<Pending> = Vec::new();
    let mut failing: Option<Instant> = None;
    let mut due = Instant::now();
    loop {
        // What waits already goes first; while it can't be stored, nothing more is taken, and senders are held back.
        if pending.is_empty() {
            let Some(first) = next(parts, &store, &mut inbox) else { break };
            pending.extend(understand(parts, &store, &mut decoder, first));
            if !parts.shutdown.is_requested() {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            while pending.len() < BATCH
                && let Ok(next) = inbox.try_recv()
            {
                if let Mail::Feedback(next) = next {
                    pending.extend(understand(parts, &store, &mut decoder, next));
                }
            }
        }
        match keep(parts, &store, &mut pending) {
            Ok(()) if pending.is_empty() => {
                due = Instant::now() + GATHER;
                if failing.take().is_some() {
                    tracing::info!("feedback is stored again");
                }
                continue;
            }
            Ok(()) => say_once(&mut failing, "the store is full: export and remove feedback, or raise store.max_bytes"),
            Err(error) => {
                parts.metrics.feedback_failures.inc();
                say_once(&mut failing, &with_sources(&error));
            }
        }
        if parts.shutdown.is_requested() {
            tracing::warn!(messages = pending.len(), "feedback that could not be stored was not acknowledged");
            return;
        }
        std::thread::sleep(RETRY);
    }
    if let Err(error) = store.flush() {
        tracing::warn!(
            error = with_sources(&error),
            "the feedback index was not written out; the next start does that"
        );
    }
}

/// The next message. While there is none, frames that wait are stored, one by one. `None` at the end.
fn next(parts: &Parts, store: &Store, inbox: &mut Receiver<Mail>) -> Option<Taken> {
    loop {
        let mail = match inbox.try_recv() {
            Err(TryRecvError::Empty) if parts.collector.keep_next(store) => continue,
            Err(TryRecvError::Empty) => inbox.blocking_recv(),
            mail => mail.ok(),
        };
        match mail {
            Some(Mail::Feedback(taken)) => return Some(taken),
            Some(Mail::Collected) => {}
            None => {
                while parts.collector.keep_next(store) {}
                return None;
            }
        }
    }
}

fn say_once(failing: &mut Option<Instant>, error: &str) {
    /// The same is said again after so long.
    const AGAIN: Duration = Duration::from_secs(60);
    if failing.is_none_or(|since| since.elapsed() > AGAIN) {
        tracing::error!(error, "feedback can't be stored; it is not acknowledged, and tried again until it can");
        *failing = Some(Instant::now());
    }
}

pub(super) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut inner = error.source();
    while let Some(source) = inner {
        text = format!("{text}: {source}");
        inner = source.source();
    }
    text
}

/// Opens the store, however often that has to be tried. `None` if the node stops before.
fn open(parts: &Parts) -> Option<Store> {
    let mut failing = None;
    loop {
        let metrics = Arc::clone(&parts.metrics);
        match Store::open(&parts.dir, parts.options, move |event| report(&metrics, &event)) {
            Ok(store) => return Some(store),
            Err(error) => {
                parts.metrics.feedback_failures.inc();
                say_once(&mut failing, &with_sources(&error));
            }
        }
        if parts.shutdown.is_requested() {
            return None;
        }
        std::thread::sleep(RETRY);
    }
}

fn report(metrics: &Metrics, event: &Event) {
    match event {
        Event::Torn(torn) => tracing::info!(?torn, "a write to the feedback journal was cut short by the last stop"),
        Event::CaughtUp { entries } => tracing::info!(entries, "the feedback index was brought up to date"),
        Event::Removed { unlabelled, labelled, bytes } => {
            tracing::info!(unlabelled, labelled, bytes, "frames were removed from the store to make room");
        }
        Event::Damaged(damage) => {
            metrics.store_damage.inc();
            tracing::error!(?damage, "a part of the feedback journal can't be read");
        }
        Event::Rebuilding { reason, kept } => {
            metrics.store_rebuilds.inc();
            tracing::warn!(reason, ?kept, "the feedback index can't be used and is made again from the journal");
        }
        Event::Rebuilt { entries, took } => {
            tracing::warn!(entries, took_ms = took.as_millis() as u64, "the feedback index was made again");
        }
        Event::IndexLost { error } => {
            metrics.store_damage.inc();
            tracing::error!(error, "the feedback index can't be used; it is opened again before more is accepted");
        }
        Event::Leftover { error } => tracing::warn!(error, "a picture could not be removed from the store"),
    }
}

/// Stores the batch, and answers what is stored or refused for good; the rest stays.
fn keep(parts: &Parts, store: &Store, pending: &mut Vec<Pending>) -> Result<(), super::StoreError> {
    if pending.is_empty() {
        return Ok(());
    }
    let receipts = store.add(pending.iter().map(|pending| pending.item.clone()).collect())?;
    let mut left = Vec::new();
    for (pending, receipt) in std::mem::take(pending).into_iter().zip(receipts) {
        let (outcome, answer) = match receipt {
            Receipt::Stored { feedback: Some(id) } => (FeedbackOutcome::Stored, Answer::stored(id, pending.new_class)),
            Receipt::Known { feedback: Some(id) } => (FeedbackOutcome::Known, Answer::stored(id, pending.new_class)),
            // The broker goes on keeping it; whoever waits for an answer gets one.
            Receipt::Refused(Refusal::Full) if pending.via == Via::Mqtt => {
                left.push(pending);
                continue;
            }
            Receipt::Refused(refusal) => (FeedbackOutcome::Refused, Answer::refused(refusal.to_string())),
            Receipt::Stored { feedback: None } | Receipt::Known { feedback: None } => {
                (FeedbackOutcome::Refused, Answer::refused("internal error: a statement without an id"))
            }
        };
        parts.metrics.count_feedback(outcome);
        if matches!(outcome, FeedbackOutcome::Stored)
            && let Some(ModelRef { name, version }) = corrected(&pending.item)
        {
            parts.metrics.count_correction(&name, &version);
        }
        (pending.reply)(&answer);
    }
    *pending = left;
    Ok(())
}

/// The model's version that saw something else first than what is right, though it has that class.
fn corrected(item: &Item) -> Option<ModelRef> {
    let Item::Feedback(feedback) = item else { return None };
    let sighting = feedback.sighting.as_ref()?;
    let right = feedback.statement.class()?;
    (sighting.predicted.first()?.class != right).then(|| sighting.model.clone())
}

/// Reads a message and finds what it is about. One that is wrong is answered at once.
fn understand(parts: &Parts, store: &Store, decoder: &mut Decoder, taken: Taken) -> Option<Pending> {
    let (Submission { json, via, reply }, bytes) = taken;
    // Whatever a picture makes the decoder do: the thread would be missed, and the message come again after every start.
    let resolved = catch_unwind(AssertUnwindSafe(|| {
        let claim = message::parse(&json, parts.limits.max_bytes).map_err(Answer::refused)?;
        if let Some(node) = claim.node.as_ref().filter(|node| **node != parts.node) {
            let error = format!("\"node\": it is for {node:?}, and this is {:?}", parts.node);
            return Err(Answer::Elsewhere { stored: false, error });
        }
        resolve(parts, store, decoder, claim, via).map_err(Answer::refused)
    }))
    .unwrap_or_else(|_| Err(Answer::refused("internal error: a step panicked")));
    match resolved {
        Ok((feedback, new_class)) => {
            Some(Pending { item: Item::Feedback(Box::new(feedback)), new_class, via, reply, _bytes: bytes })
        }
        Err(answer) => {
            let elsewhere = matches!(answer, Answer::Elsewhere { .. });
            parts.metrics.count_feedback(if elsewhere { FeedbackOutcome::Elsewhere } else { FeedbackOutcome::Refused });
            reply(&answer);
            None
        }
    }
}

/// What is known of the frame a message is about.
struct Known {
    sighting: Option<Sighting>,
    picture: Option<Picture>,
    bundle: Arc<Bundle>,
    /// The class that the model named first.
    first: Option<u32>,
}

fn resolve(
    parts: &Parts,
    store: &Store,
    decoder: &mut Decoder,
    claim: Claim,
    via: Via,
) -> Result<(NewFeedback, bool), String> {
    let known = known(parts, store, decoder, &claim)?;
    let by_content = || known.picture.as_ref().map(|picture| picture.blob().sha256.frame_id());
    let frame = claim.frame.or_else(by_content).ok_or("internal error: no frame and no picture")?;
    let statement = statement(&claim.said, &known)?;
    let new_class = statement.new_class();
    let feedback = NewFeedback {
        id: None,
        frame,
        sender_id: claim.id,
        by: claim.by,
        at: Timestamp::now(),
        via,
        statement,
        sighting: known.sighting,
        picture: known.picture,
        imported_at: None,
    };
    Ok((feedback, new_class))
}

/// Looks for the frame in memory, in the store, and in the message itself.
fn known(parts: &Parts, store: &Store, decoder: &mut Decoder, claim: &Claim) -> Result<Known, String> {
    if let Some(seen) = claim.frame.and_then(|frame| parts.held.get(frame)) {
        let first = seen.glance.top().first().map(|top| top.class);
        let sighting = Some(seen.sighting());
        let picture = Some(Picture::new(seen.image, seen.format));
        return Ok(Known { sighting, picture, bundle: seen.bundle, first });
    }
    if let Some(frame) = claim.frame {
        let record = store.view().frame(frame).map_err(|error| format!("the store can't be read: {error}"))?;
        if let Some(sighting) = record.as_ref().and_then(FrameRecord::sighting) {
            let bundle = parts.models.named(&sighting.model.name).unwrap_or_else(|| parts.models.get(0));
            let first = sighting.predicted.first().map(|top| top.class);
            return Ok(Known { sighting: None, picture: None, bundle, first });
        }
    }
    let Some(image) = &claim.image else {
        return Err("the frame is no longer held here: send it again with \"image\" and \"camera\"".to_owned());
    };
    // What can't be decoded can't be learnt from either; small, for it is only a check.
    let check = Need { crop: None, short_side: 32, middle: None };
    decoder.decode(image, &check).map_err(|error| format!("\"image\": {error}"))?;
    let format = sniff(image).ok_or("\"image\" is in no format that is known")?;
    let bundle = match &claim.model {
        Some(name) => parts.models.named(name).ok_or_else(|| format!("\"model\": no model {name:?} runs here"))?,
        None => parts.models.get(0),
    };
    let sighting = Sighting::unseen(claim.camera.clone(), ModelRef::from(&*bundle));
    let picture = Picture::new(Bytes::copy_from_slice(image), format);
    Ok(Known { sighting: Some(sighting), picture: Some(picture), bundle, first: None })
}

fn statement(said: &Said, known: &Known) -> Result<Statement, String> {
    let labels = &known.bundle.labels;
    let name = |class: u32| {
        let label = labels.get(class).map(|label| label.en.clone());
        label.ok_or_else(|| format!("model {} has no class {class}: it has {}", known.bundle.name, labels.len()))
    };
    Ok(match said {
        Said::Label(label) => match labels.find(label) {
            // Written down as the model writes it: "egyptian_cat" is "Egyptian cat".
            Some(class) => Statement::Label { label: name(class)?, class: Some(class), new_class: false },
            None => Statement::Label { label: label.clone(), class: None, new_class: true },
        },
        Said::Class(class) => Statement::Class { class: *class, label: name(*class)? },
        Said::Correct => {
            let first =
                known.first.ok_or("\"correct\" needs a frame that was classified here: say the label instead")?;
            Statement::Correct { class: first, label: name(first)? }
        }
    })
}
