//! What is known of each camera, and what of it is still to be told.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Deserialize;
use ulid::Ulid;

use super::announce::Announcer;
use super::kept;
use crate::config::HomeAssistant;
use crate::frame::board::Newest;
use crate::frame::decode::Format;
use crate::mqtt::client::Outgoing;
use crate::mqtt::topics;
use crate::mqtt::wire::{self, StateMessage};

/// A class that changes with every frame is told at most so often.
const CHANGES_EVERY: Duration = Duration::from_secs(1);

/// The cameras, by the topic of their announcement.
#[derive(Debug)]
pub(super) struct Cameras {
    known: BTreeMap<String, Known>,
    /// No more than so many.
    most: usize,
    /// Whose turn it was: the next one is the one after it.
    last: String,
    every: Duration,
    forget_after: Duration,
    announcer: Announcer,
}

#[derive(Debug)]
struct Known {
    /// When something was seen of it; of one that only the broker knew, when that was learnt.
    seen: Instant,
    /// Its announcement.
    announcement: Vec<u8>,
    /// That is to be sent.
    announce: bool,
    /// What it shows; nothing was seen yet of one that only the broker knew.
    view: Option<View>,
    /// It is gone: what the broker keeps of it, to be taken away.
    gone: Option<Vec<String>>,
}

#[derive(Debug)]
struct View {
    newest: Newest,
    sight: Sight,
    format: Format,
    told: Option<Told>,
    /// The class that was told before this one, and since when this one is.
    changed: Option<(String, String)>,
    /// The state is to be told, whatever was told before.
    again: bool,
    /// The picture is to be told.
    picture: bool,
}

/// What was told of a camera.
#[derive(Debug)]
struct Told {
    at: Instant,
    frame: Ulid,
    label: String,
    unknown: bool,
    version: String,
}

/// What of a result is told here.
#[derive(Debug, Deserialize)]
pub(super) struct Sight {
    received_at: String,
    model: Model,
    top3: Vec<Class>,
    unknown: bool,
}

#[derive(Debug, Deserialize)]
struct Model {
    name: String,
    version: String,
}

#[derive(Debug, Deserialize)]
struct Class {
    label: String,
    label_zh: Option<String>,
    score: f64,
}

/// Something to be told.
#[derive(Debug)]
pub(super) struct Due {
    /// The message.
    pub(super) message: Outgoing,
    key: String,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Announcement,
    State,
    Picture(Format),
    Removal,
}

impl Cameras {
    /// None yet, and never more than `most`.
    pub(super) fn new(config: &HomeAssistant, announcer: Announcer, most: usize) -> Self {
        let HomeAssistant { every, forget_after, .. } = *config;
        Self { known: BTreeMap::new(), most, last: String::new(), every, forget_after, announcer }
    }

    /// A camera has a new result.
    pub(super) fn see(&mut self, newest: Newest, now: Instant) {
        let Ok(sight) = serde_json::from_slice::<Sight>(&newest.result) else { return };
        let key = self.announcer.topics().camera(&newest.camera, newest.shared);
        if !self.known.contains_key(&key) && self.known.len() >= self.most {
            tracing::debug!(
                camera = &*newest.camera,
                most = self.most,
                "too many cameras: Home Assistant is not told of it"
            );
            return;
        }
        let known = self.known.entry(key).or_insert_with(|| Known::new(now, Vec::new()));
        known.seen = now;
        // Back before all was taken away: all of it is to be told anew.
        let back = known.gone.take().is_some();
        known.announce |= back;
        match &mut known.view {
            Some(view) => {
                (view.newest, view.sight) = (newest, sight);
                view.again |= back;
            }
            None => {
                known.view = Some(View {
                    newest,
                    sight,
                    format: Format::Jpeg,
                    told: None,
                    changed: None,
                    again: false,
                    picture: false,
                });
                known.announce(&self.announcer);
            }
        }
    }

    /// The broker has this announcement of a camera.
    pub(super) fn kept(&mut self, topic: String, announcement: &Bytes, now: Instant) {
        if self.known.len() < self.most {
            self.known.entry(topic).or_insert_with(|| Known::new(now, announcement.to_vec()));
        }
    }

    /// Somebody took an announcement away. If the camera is still there, its next result brings it back.
    pub(super) fn withdrawn(&mut self, topic: &str) {
        // What this node takes away itself it knows.
        if self.known.get(topic).is_some_and(|known| known.gone.is_none() && !known.announce) {
            self.known.remove(topic);
        }
    }

    /// Who listens has forgotten all announcements.
    pub(super) fn announce_again(&mut self) {
        self.known.values_mut().for_each(|known| known.announce = known.gone.is_none());
    }

    /// The broker may have forgotten everything.
    pub(super) fn tell_again(&mut self) {
        self.announce_again();
        for view in self.known.values_mut().filter_map(|known| known.view.as_mut()) {
            view.again = true;
        }
    }

    /// Cameras of which nothing was seen for long are gone.
    pub(super) fn forget(&mut self, now: Instant) {
        for (topic, known) in &mut self.known {
            if known.gone.is_none() && now.saturating_duration_since(known.seen) >= self.forget_after {
                let mut kept = known.kept_beside(self.announcer.prefix());
                // Taken from the end.
                kept.push(topic.clone());
                known.gone = Some(kept);
                tracing::info!(topic, "a camera is gone, and Home Assistant is told");
            }
        }
    }

    /// The next thing to be told, if there is one; cameras take turns. `held` gives a frame's picture, if there still is one.
    pub(super) fn due(&self, now: Instant, held: impl Fn(Ulid) -> Option<(Bytes, Format)>) -> Option<Due> {
        let after = self.known.range::<str, _>((Bound::Excluded(self.last.as_str()), Bound::Unbounded));
        let before = self.known.range::<str, _>((Bound::Unbounded, Bound::Included(self.last.as_str())));
        after.chain(before).find_map(|(key, known)| {
            let (what, message) = self.due_of(key, known, now, &held)?;
            Some(Due { message, key: key.clone(), what })
        })
    }

    fn due_of(
        &self,
        key: &str,
        known: &Known,
        now: Instant,
        held: impl Fn(Ulid) -> Option<(Bytes, Format)>,
    ) -> Option<(What, Outgoing)> {
        if let Some(gone) = &known.gone {
            return Some((What::Removal, kept(gone.last()?.clone(), Vec::new(), 1)));
        }
        if known.announce {
            return Some((What::Announcement, kept(key.to_owned(), known.announcement.clone(), 1)));
        }
        let view = known.view.as_ref()?;
        let camera = &view.newest.camera;
        if view.is_due(now, self.every) {
            let state = wire::to_json(&view.state());
            let message = Outgoing { json: true, ..kept(topics::state(self.announcer.prefix(), camera), state, 1) };
            return Some((What::State, message));
        }
        if !view.picture || !self.announcer.has_images() {
            return None;
        }
        let (image, format) = held(view.newest.frame)?;
        Some((What::Picture(format), kept(topics::image(self.announcer.prefix(), camera), image.to_vec(), 0)))
    }

    /// It was told.
    pub(super) fn told(&mut self, due: Due, now: Instant) {
        let Due { key, what, .. } = due;
        if let Some(known) = self.known.get_mut(&key) {
            match what {
                What::Announcement => known.announce = false,
                What::Removal => {
                    let left = known.gone.as_mut().map_or(0, |gone| {
                        gone.pop();
                        gone.len()
                    });
                    if left == 0 {
                        self.known.remove(&key);
                    }
                }
                What::State => known.view.as_mut().into_iter().for_each(|view| view.told(now)),
                What::Picture(format) => {
                    if let Some(view) = &mut known.view {
                        view.picture = false;
                        view.format = format;
                    }
                    known.announce(&self.announcer);
                }
            }
        }
        self.last = key;
    }
}

impl Known {
    fn new(now: Instant, announcement: Vec<u8>) -> Self {
        Self { seen: now, announcement, announce: false, view: None, gone: None }
    }

    /// Has its announcement sent if it is not as it should be.
    fn announce(&mut self, announcer: &Announcer) {
        let Some(view) = &self.view else { return };
        let announcement = announcer.camera(&view.newest.camera, view.newest.shared, view.format);
        if self.announcement != announcement {
            self.announcement = announcement;
            self.announce = true;
        }
    }

    /// The topics of its state and picture, which its announcement names. Only ours: who else may write there is unknown.
    fn kept_beside(&self, prefix: &str) -> Vec<String> {
        let Ok(announced) = serde_json::from_slice::<serde_json::Value>(&self.announcement) else { return Vec::new() };
        let components = &announced["components"];
        let named = [&components["image"]["image_topic"], &components["class"]["state_topic"]];
        let named = named.into_iter().filter_map(|topic| Some(topic.as_str()?.to_owned()));
        named.filter(|topic| topics::is_told_beside(prefix, topic)).collect()
    }
}

impl View {
    fn label(&self) -> &str {
        self.sight.top3.first().map_or("", |class| class.label.as_str())
    }

    fn is_due(&self, now: Instant, every: Duration) -> bool {
        let Some(told) = &self.told else { return true };
        if self.again {
            return true;
        }
        let changed = told.label != self.label()
            || told.unknown != self.sight.unknown
            || told.version != self.sight.model.version;
        let wait = if changed { CHANGES_EVERY.min(every) } else { every };
        told.frame != self.newest.frame && now.saturating_duration_since(told.at) >= wait
    }

    /// The class that was told before, and since when it is this one: `None` as long as it has not changed.
    fn changed(&self) -> Option<(&str, &str)> {
        match &self.told {
            Some(told) if told.label != self.label() => Some((&told.label, &self.sight.received_at)),
            _ => self.changed.as_ref().map(|(previous, at)| (previous.as_str(), at.as_str())),
        }
    }

    fn state(&self) -> StateMessage<'_> {
        let class = |index: usize| self.sight.top3.get(index);
        let label = |index: usize| class(index).map(|class| class.label.as_str());
        let changed = self.changed();
        StateMessage {
            v: wire::VERSION,
            label: self.label(),
            label_zh: class(0).and_then(|class| class.label_zh.as_deref()),
            score: class(0).map_or(0.0, |class| class.score),
            second: label(1),
            second_score: class(1).map(|class| class.score),
            third: label(2),
            third_score: class(2).map(|class| class.score),
            previous: changed.map(|(previous, _)| previous),
            changed_at: changed.map(|(_, at)| at),
            unknown: self.sight.unknown,
            model: &self.sight.model.name,
            model_version: &self.sight.model.version,
            frame: self.newest.frame,
            received_at: &self.sight.received_at,
        }
    }

    fn told(&mut self, now: Instant) {
        self.changed = self.changed().map(|(previous, at)| (previous.to_owned(), at.to_owned()));
        self.told = Some(Told {
            at: now,
            frame: self.newest.frame,
            label: self.label().to_owned(),
            unknown: self.sight.unknown,
            version: self.sight.model.version.clone(),
        });
        self.again = false;
        self.picture = true;
    }
}

#[cfg(test)]
mod tests;
