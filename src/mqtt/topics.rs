//! Topics: what is subscribed to, what a topic means, where answers go.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::{CameraName, Config, Source};
use crate::frame::Route;
use crate::ops::metrics::Drop;

/// What `<prefix>/nodes/<node>/status` says while the node serves.
pub const ONLINE: &str = "online";
/// What it says otherwise.
pub const OFFLINE: &str = "offline";
/// Topics whose meaning is remembered, so that a camera's name is not made anew for each frame.
const MAX_REMEMBERED: usize = 4096;

/// Where results of a camera go.
#[must_use]
pub fn top3(prefix: &str, camera: &str) -> String {
    format!("{prefix}/{camera}/top3")
}

/// Where a node says whether it is there.
#[must_use]
pub fn status(prefix: &str, node: &str) -> String {
    format!("{prefix}/nodes/{node}/status")
}

/// Where a node counts.
#[must_use]
pub fn stats(prefix: &str, node: &str) -> String {
    format!("{prefix}/nodes/{node}/stats")
}

/// Where requests come in.
#[must_use]
pub fn classify(prefix: &str) -> String {
    format!("{prefix}/classify")
}

/// Where feedback comes in.
#[must_use]
pub fn feedback(prefix: &str) -> String {
    format!("{prefix}/feedback")
}

/// Where a node is asked to learn.
#[must_use]
pub fn retrain(prefix: &str, node: &str) -> String {
    format!("{prefix}/nodes/{node}/retrain")
}

/// Where a node says what it is learning.
#[must_use]
pub fn retrain_state(prefix: &str, node: &str) -> String {
    format!("{prefix}/nodes/{node}/retrain/state")
}

/// A subscription to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subscription {
    pub(super) filter: String,
    pub(super) qos: u8,
    /// Its number, from 1; messages that match it carry it (MQTT 5).
    pub(super) id: usize,
    /// What the broker has kept is wanted too.
    pub(super) retained: bool,
}

/// Knows what a topic means. Made from the configuration; made again when that is reloaded.
#[derive(Clone, Debug)]
pub struct Router {
    prefix: String,
    classify: String,
    retrain: String,
    request_route: Route,
    sources: Vec<Listener>,
    subscriptions: Vec<(Subscription, Vec<usize>)>,
    remembered: HashMap<Box<[u8]>, Vec<Wanted>>,
}

/// A source that wants a topic, by its index, and the camera's name, if the topic has a usable one.
type Wanted = (usize, Option<Arc<str>>);

#[derive(Clone, Debug)]
struct Listener {
    source: Source,
    route: Route,
}

/// What a message is.
#[derive(Debug, PartialEq)]
pub(super) enum Meaning {
    /// A question.
    Request(Route),
    /// A frame, of these cameras; and how often it is to be counted as dropped.
    Frames { seen: Vec<(Arc<str>, Route)>, dropped: Vec<Drop> },
    /// The wish that the node learns.
    Retrain,
    /// Nothing that was asked for.
    Nothing,
}

impl Router {
    /// Of a configuration whose sources' models have the indexes that `model` tells.
    pub fn new(config: &Config, model: impl Fn(Option<&str>) -> usize) -> Self {
        let classify = classify(&config.mqtt.prefix);
        let retrain = retrain(&config.mqtt.prefix, &config.mqtt.node);
        let sources: Vec<Listener> = config
            .sources
            .iter()
            .map(|source| {
                let route =
                    Route { encoding: source.encoding, crop: source.crop, model: model(source.model.as_deref()) };
                Listener { source: source.clone(), route }
            })
            .collect();
        let request_route = Route { encoding: crate::config::Encoding::Auto, crop: None, model: model(None) };
        let subscriptions = subscriptions(&sources, [&classify, &retrain]);
        Self {
            prefix: config.mqtt.prefix.clone(),
            classify,
            retrain,
            request_route,
            sources,
            subscriptions,
            remembered: HashMap::new(),
        }
    }

    pub(super) fn subscriptions(&self) -> impl Iterator<Item = &Subscription> {
        self.subscriptions.iter().map(|(subscription, _)| subscription)
    }

    /// What a message on `topic` means. `matched` are the numbers of the subscriptions that brought it, where the
    /// broker tells them; it may then bring the message once for each.
    pub(super) fn meaning(&mut self, topic: &[u8], matched: &[usize], retained: bool) -> Meaning {
        if topic == self.classify.as_bytes() {
            // A kept question is an old one: whoever asked is gone.
            return if retained { Meaning::Nothing } else { Meaning::Request(self.request_route) };
        }
        if topic == self.retrain.as_bytes() {
            // One that the broker has kept would come again with each connection.
            return if retained { Meaning::Nothing } else { Meaning::Retrain };
        }
        if !self.remembered.contains_key(topic) {
            let Ok(text) = std::str::from_utf8(topic) else {
                return Meaning::Frames { seen: Vec::new(), dropped: vec![Drop::BadTopic] };
            };
            let known = self.cameras(text);
            if self.remembered.len() >= MAX_REMEMBERED {
                self.remembered.clear();
            }
            self.remembered.insert(topic.into(), known);
        }
        let Some(known) = self.remembered.get(topic) else {
            return Meaning::Nothing;
        };
        let mut seen = Vec::with_capacity(known.len());
        let mut dropped = Vec::new();
        for (index, camera) in known {
            let listener = &self.sources[*index];
            let brought = matched.is_empty()
                || matched.iter().any(|id| {
                    self.subscriptions.iter().any(|(made, sources)| made.id == *id && sources.contains(index))
                });
            match camera {
                _ if !brought => {}
                None => dropped.push(Drop::BadTopic),
                Some(_) if retained && !listener.source.allow_retained => dropped.push(Drop::Retained),
                Some(camera) => seen.push((Arc::clone(camera), listener.route)),
            }
        }
        if seen.is_empty() && dropped.is_empty() { Meaning::Nothing } else { Meaning::Frames { seen, dropped } }
    }

    /// The sources that want this topic, each with the camera's name, or none if the topic has no usable one.
    fn cameras(&self, topic: &str) -> Vec<Wanted> {
        if self.is_own_output(topic) {
            return Vec::new();
        }
        let wanting = self.sources.iter().enumerate();
        wanting
            .filter(|(_, listener)| rumqttc::matches(topic, &listener.source.topic))
            .map(|(index, listener)| {
                let camera = match &listener.source.camera {
                    CameraName::Literal(name) => Some(name.as_str()),
                    CameraName::Level(level) => topic.split('/').nth(*level),
                };
                (index, camera.filter(|name| !name.is_empty()).map(Arc::from))
            })
            .collect()
    }

    /// A source as wide as `#` must not feed on our own results.
    fn is_own_output(&self, topic: &str) -> bool {
        let own = topic.strip_prefix(&self.prefix).and_then(|rest| rest.strip_prefix('/'));
        own.is_some_and(|rest| ["/top3", "/status", "/stats", "/retrain/state"].iter().any(|end| rest.ends_with(end)))
    }

    /// What the node listens to.
    fn listened(&self) -> Vec<String> {
        let sources = self.sources.iter().map(|listener| listener.source.topic.clone());
        sources.chain([self.classify.clone(), self.retrain.clone(), feedback(&self.prefix)]).collect()
    }
}

/// Knows where answers may go. Clones are one: what [`ReplyGuard::follow`] tells to one of them, all know.
#[derive(Clone, Debug)]
pub struct ReplyGuard {
    listened: Arc<ArcSwap<Vec<String>>>,
}

impl ReplyGuard {
    /// Answers go anywhere but to what `router` listens to.
    #[must_use]
    pub fn new(router: &Router) -> Self {
        Self { listened: Arc::new(ArcSwap::from_pointee(router.listened())) }
    }

    /// Another router's topics are listened to from now on.
    pub fn follow(&self, router: &Router) {
        self.listened.store(Arc::new(router.listened()));
    }

    /// Whether an answer may be published there.
    ///
    /// # Errors
    /// Why not: a topic of wildcards is none, and one that this node listens to would be answered again, for ever.
    pub fn check(&self, topic: &str) -> Result<(), String> {
        if topic.is_empty() || topic.len() > usize::from(u16::MAX) || topic.contains(['+', '#', '\0']) {
            return Err(format!("the response topic {:?} is no topic name", shorten(topic)));
        }
        if self.listened.load().iter().any(|filter| rumqttc::matches(topic, filter)) {
            return Err(format!("the response topic {:?} is one that this node listens to", shorten(topic)));
        }
        Ok(())
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(100).collect()
}

/// One subscription for each filter, without those that a wider one covers: brokers send a message once for each
/// filter that matches, and twice the frames would be twice the work.
fn subscriptions(sources: &[Listener], asked: [&str; 2]) -> Vec<(Subscription, Vec<usize>)> {
    let plain: Vec<&str> = sources
        .iter()
        .filter(|listener| listener.source.shared_group.is_none())
        .map(|listener| listener.source.topic.as_str())
        .collect();
    let mut made: Vec<(Subscription, Vec<usize>)> = Vec::new();
    for (index, Listener { source, .. }) in sources.iter().enumerate() {
        let filter = match &source.shared_group {
            Some(group) => format!("$share/{group}/{}", source.topic),
            None => widest(&source.topic, &plain).to_owned(),
        };
        // A shared subscription never brings what the broker has kept.
        let retained = source.allow_retained && source.shared_group.is_none();
        match made.iter_mut().find(|(subscription, _)| subscription.filter == filter) {
            Some((subscription, sources)) => {
                subscription.qos = subscription.qos.max(source.qos);
                subscription.retained |= retained;
                sources.push(index);
            }
            None => {
                let id = made.len() + 1;
                made.push((Subscription { filter, qos: source.qos, id, retained }, vec![index]));
            }
        }
    }
    for filter in asked {
        let id = made.len() + 1;
        made.push((Subscription { filter: filter.to_owned(), qos: 1, id, retained: false }, Vec::new()));
    }
    made
}

/// The filter among `all` that covers `filter` and is covered by no other.
fn widest<'a>(filter: &'a str, all: &[&'a str]) -> &'a str {
    let mut widest = filter;
    while let Some(wider) = all.iter().find(|other| **other != widest && covers(other, widest)) {
        widest = wider;
    }
    widest
}

/// Whether every topic that `narrow` matches is matched by `wide` too.
fn covers(wide: &str, narrow: &str) -> bool {
    let mut narrow = narrow.split('/');
    for level in wide.split('/') {
        match (level, narrow.next()) {
            ("#", _) => return true,
            (_, None) | (_, Some("#")) => return false,
            ("+", Some(_)) => {}
            (level, Some(other)) if level == other => {}
            _ => return false,
        }
    }
    narrow.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(toml: &str) -> Router {
        Router::new(&crate::config::parse_str(toml).unwrap().config, |model| usize::from(model.is_some()))
    }

    /// The cameras a message is for, and why it is dropped, as text.
    fn meaning(router: &mut Router, topic: &str, matched: &[usize], retained: bool) -> String {
        match router.meaning(topic.as_bytes(), matched, retained) {
            Meaning::Request(_) => "request".to_owned(),
            Meaning::Retrain => "retrain".to_owned(),
            Meaning::Nothing => "nothing".to_owned(),
            Meaning::Frames { seen, dropped } => {
                let seen = seen.iter().map(|(camera, route)| format!("{camera}@{}", route.model));
                seen.chain(dropped.iter().map(|reason| reason.name().to_owned())).collect::<Vec<_>>().join(" ")
            }
        }
    }

    /// All but where the node is asked to learn, which is always the last one.
    fn filters(router: &Router) -> Vec<String> {
        let made: Vec<_> = router.subscriptions().collect();
        let (asked, others) = made.split_last().unwrap();
        assert_eq!((asked.filter.as_str(), asked.qos, asked.retained), (router.retrain.as_str(), 1, false));
        others.iter().map(|made| format!("{} q{} r{}", made.filter, made.qos, u8::from(made.retained))).collect()
    }

    #[test]
    fn a_node_is_asked_to_learn_by_its_own_topic_and_not_by_what_was_kept() {
        let mut router = router("[mqtt]\nnode = \"box-7\"\n[[sources]]\ntopic = \"#\"\ncamera = \"all\"");
        for (topic, retained, want) in [
            ("glanced/nodes/box-7/retrain", false, "retrain"),
            ("glanced/nodes/box-7/retrain", true, "nothing"),
            ("glanced/nodes/box-7/retrain/state", false, "nothing"),
            ("glanced/nodes/box-8/retrain", false, "all@0"),
        ] {
            assert_eq!(meaning(&mut router, topic, &[], retained), want, "{topic} {retained}");
        }
    }

    #[test]
    fn the_default_source_names_the_camera_by_the_second_level() {
        let mut router = router("");
        assert_eq!(filters(&router), ["cameras/+/frame q0 r0", "glanced/classify q1 r0"]);
        assert_eq!(meaning(&mut router, "cameras/gate/frame", &[1], false), "gate@0");
        assert_eq!(meaning(&mut router, "cameras/gate/frame", &[], true), "retained");
        assert_eq!(meaning(&mut router, "cameras//frame", &[1], false), "bad_topic");
        assert_eq!(meaning(&mut router, "cameras/gate/other", &[], false), "nothing");
        assert_eq!(meaning(&mut router, "glanced/classify", &[2], false), "request");
        assert_eq!(meaning(&mut router, "glanced/classify", &[2], true), "nothing");
        assert_eq!(
            router.meaning(b"cameras/\xff/frame", &[1], false),
            Meaning::Frames { seen: vec![], dropped: vec![Drop::BadTopic] }
        );
    }

    #[test]
    fn frigate_snapshots_name_the_camera_by_their_second_level() {
        let mut router = router("[[sources]]\ntopic = \"frigate/+/+/snapshot\"\ncamera = \"{1}\"\n");
        assert_eq!(meaning(&mut router, "frigate/porch/person/snapshot", &[], false), "porch@0");
    }

    #[test]
    fn one_camera_can_be_seen_by_two_models_and_is_subscribed_to_once() {
        let toml = "[[sources]]\ntopic = \"cameras/+/frame\"\n\
                    [[sources]]\ntopic = \"cameras/yard/frame\"\ncamera = \"gate\"\nmodel = \"own\"\ncrop = [0.0, 0.5, 0.5, 0.5]\nqos = 1\n";
        let mut router = router(toml);
        assert_eq!(filters(&router), ["cameras/+/frame q1 r0", "glanced/classify q1 r0"]);
        assert_eq!(meaning(&mut router, "cameras/yard/frame", &[1], false), "yard@0 gate@1");
        assert_eq!(meaning(&mut router, "cameras/door/frame", &[1], false), "door@0");
    }

    #[test]
    fn a_shared_subscription_is_told_from_a_plain_one_by_its_number() {
        let toml = "[[sources]]\ntopic = \"a/+/frame\"\nshared_group = \"g\"\nallow_retained = true\n\
                    [[sources]]\ntopic = \"a/+/frame\"\ncamera = \"all\"\nallow_retained = true\n";
        let mut router = router(toml);
        assert_eq!(filters(&router), ["$share/g/a/+/frame q0 r0", "a/+/frame q0 r1", "glanced/classify q1 r0"]);
        assert_eq!(meaning(&mut router, "a/x/frame", &[1], false), "x@0");
        assert_eq!(meaning(&mut router, "a/x/frame", &[2], true), "all@0");
        assert_eq!(meaning(&mut router, "a/x/frame", &[], false), "x@0 all@0");
    }

    #[test]
    fn own_results_are_never_taken_for_frames() {
        let mut router = router("[[sources]]\ntopic = \"#\"\ncamera = \"{1}\"\n");
        assert_eq!(meaning(&mut router, "glanced/gate/top3", &[], false), "nothing");
        assert_eq!(meaning(&mut router, "glanced/nodes/n/status", &[], false), "nothing");
        assert_eq!(meaning(&mut router, "x/gate", &[], false), "gate@0");
        assert_eq!(meaning(&mut router, "short", &[], false), "bad_topic");
    }

    #[test]
    fn answers_go_nowhere_that_would_be_answered_again() {
        let guard = ReplyGuard::new(&router(""));
        assert_eq!(guard.check("me/answers"), Ok(()));
        for topic in ["", "a/+/b", "a/#", "glanced/classify", "cameras/x/frame"] {
            assert!(guard.check(topic).is_err(), "{topic:?}");
        }
        // Whoever holds one knows of another configuration.
        guard.clone().follow(&router("[[sources]]\ntopic = \"new/+\"\n"));
        assert_eq!(guard.check("cameras/x/frame"), Ok(()));
        assert!(guard.check("new/x").is_err());
    }

    #[test]
    fn a_filter_covers_what_it_matches_whole() {
        let table = [
            ("#", "a/b", true),
            ("a/#", "a/+/c", true),
            ("a/+", "a/b", true),
            ("a/+", "a/+/c", false),
            ("a/+", "a/#", false),
            ("a/b", "a/+", false),
            ("a/+/c", "a/b/c", true),
            ("+/b", "a/b", true),
        ];
        for (wide, narrow, expected) in table {
            assert_eq!(covers(wide, narrow), expected, "{wide} {narrow}");
        }
    }
}
