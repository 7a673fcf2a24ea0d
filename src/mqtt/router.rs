//! What a topic means.

use std::collections::HashMap;
use std::sync::Arc;

use super::discovery::Topics;
use super::subscription::{self, Subscription};
use super::topics;
use crate::config::{CameraName, Config, Source};
use crate::frame::Route;
use crate::ops::metrics::Drop;

/// Topics whose meaning is remembered, so that a camera's name is not made anew for each frame.
const MAX_REMEMBERED: usize = 4096;

/// Knows what a topic means. Made from the configuration; made again when that is reloaded.
#[derive(Clone, Debug)]
pub struct Router {
    prefix: String,
    classify: String,
    retrain: String,
    promote: String,
    /// Home Assistant's topics, if it is told of anything.
    discovery: Option<Topics>,
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
    /// The wish that another version of a model is in use.
    Promote,
    /// Home Assistant has started.
    Birth,
    /// An announcement to Home Assistant, of a camera or the node, that the broker has kept or somebody has taken away.
    Announced,
    /// Nothing that was asked for.
    Nothing,
}

impl Router {
    /// Of a configuration whose sources' models have the indexes that `model` tells.
    pub fn new(config: &Config, model: impl Fn(Option<&str>) -> usize) -> Self {
        let classify = topics::classify(&config.mqtt.prefix);
        let retrain = topics::retrain(&config.mqtt.prefix, &config.mqtt.node);
        let promote = topics::promote(&config.mqtt.prefix, &config.mqtt.node);
        let discovery = config.homeassistant.discovery.then(|| Topics::new(&config.homeassistant, &config.mqtt));
        let sources: Vec<Listener> = config
            .sources
            .iter()
            .map(|source| {
                let route = Route {
                    encoding: source.encoding,
                    crop: source.crop,
                    model: model(source.model.as_deref()),
                    shared: source.shared_group.is_some(),
                };
                Listener { source: source.clone(), route }
            })
            .collect();
        let encoding = crate::config::Encoding::Auto;
        let request_route = Route { encoding, crop: None, model: model(None), shared: false };
        let shared = sources.iter().any(|listener| listener.route.shared);
        let kept = discovery.iter().flat_map(|topics| topics.filters(shared));
        let requests = match &config.mqtt.request_group {
            Some(group) => format!("$share/{group}/{classify}"),
            None => classify.clone(),
        };
        let asked = [&requests, &retrain, &promote].map(|topic| (topic.clone(), false));
        let subscriptions = subscription::all(
            sources.iter().map(|listener| &listener.source),
            asked.into_iter().chain(kept.map(|filter| (filter, true))),
        );
        Self {
            prefix: config.mqtt.prefix.clone(),
            classify,
            retrain,
            promote,
            discovery,
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
        if topic == self.promote.as_bytes() {
            return if retained { Meaning::Nothing } else { Meaning::Promote };
        }
        if let Some(meaning) = self.of_home_assistant(topic) {
            return meaning;
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
        if topics::is_written_by_nodes(&self.prefix, topic) {
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

    /// What a message on one of Home Assistant's topics means; `None` if it is on none.
    fn of_home_assistant(&self, topic: &[u8]) -> Option<Meaning> {
        let topics = self.discovery.as_ref()?;
        if topic == topics.birth().as_bytes() {
            return Some(Meaning::Birth);
        }
        let topic = std::str::from_utf8(topic).ok()?;
        (topics.is_camera(topic) || topic == topics.node()).then_some(Meaning::Announced)
    }

    /// What the node listens to.
    pub(super) fn listened(&self) -> Vec<String> {
        let sources = self.sources.iter().map(|listener| listener.source.topic.clone());
        let asked = [self.classify.clone(), self.retrain.clone(), self.promote.clone(), topics::feedback(&self.prefix)];
        let birth = self.discovery.iter().map(|topics| topics.birth().to_owned());
        sources.chain(asked).chain(birth).collect()
    }
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
            Meaning::Promote => "promote".to_owned(),
            Meaning::Birth => "birth".to_owned(),
            Meaning::Announced => "announced".to_owned(),
            Meaning::Nothing => "nothing".to_owned(),
            Meaning::Frames { seen, dropped } => {
                let seen = seen.iter().map(|(camera, route)| format!("{camera}@{}", route.model));
                seen.chain(dropped.iter().map(|reason| reason.name().to_owned())).collect::<Vec<_>>().join(" ")
            }
        }
    }

    /// All but where the node is asked to learn and to promote, which are always the last ones.
    fn filters(router: &Router) -> Vec<String> {
        let made = router.subscriptions();
        let mut made: Vec<_> =
            made.map(|made| format!("{} q{} r{}", made.filter, made.qos, u8::from(made.retained))).collect();
        let asked = made.split_off(made.len() - 2);
        assert_eq!(asked, [&router.retrain, &router.promote].map(|topic| format!("{topic} q1 r0")));
        made
    }

    #[test]
    fn a_node_is_asked_to_learn_by_its_own_topic_and_not_by_what_was_kept() {
        let mut router = router("[mqtt]\nnode = \"box-7\"\n[[sources]]\ntopic = \"#\"\ncamera = \"all\"");
        for (topic, retained, want) in [
            ("glanced/nodes/box-7/retrain", false, "retrain"),
            ("glanced/nodes/box-7/retrain", true, "nothing"),
            ("glanced/nodes/box-7/retrain/state", false, "nothing"),
            ("glanced/nodes/box-7/promote", false, "promote"),
            ("glanced/nodes/box-7/promote", true, "nothing"),
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
    fn home_assistant_is_heard_only_if_it_is_told_of_anything() {
        let toml = "[mqtt]\nnode = \"box-7\"\n[homeassistant]\ndiscovery = true\n[[sources]]\ntopic = \"#\"\ncamera = \"all\"\n";
        let mut on = router(toml);
        let heard = |router: &Router| -> Vec<String> {
            let kept = router.subscriptions().filter(|made| made.retained);
            kept.map(|made| made.filter.clone()).collect()
        };
        let device = "homeassistant/device/glanced-box-7";
        assert_eq!(heard(&on), ["homeassistant/status", &format!("{device}/config"), &format!("{device}/+/config")]);
        for (topic, want) in [
            ("homeassistant/status", "birth"),
            ("homeassistant/device/glanced-box-7/gate/config", "announced"),
            ("homeassistant/device/glanced-box-7/config", "announced"),
            ("glanced/gate/state", "nothing"),
            ("glanced/gate/state/image", "nothing"),
            ("glanced/nodes/box-8/models", "nothing"),
        ] {
            assert_eq!(meaning(&mut on, topic, &[], false), want, "{topic}");
        }
        let mut off = router(&toml.replace("true", "false"));
        assert_eq!(heard(&off), Vec::<String>::new());
        assert_eq!(meaning(&mut off, "homeassistant/status", &[], false), "all@0");
        let shared = router(&toml.replace("camera =", "shared_group = \"g\"\ncamera ="));
        assert_eq!(heard(&shared).len(), 4, "{:?}", heard(&shared));
    }

    #[test]
    fn requests_can_be_shared() {
        let mut router = router("[mqtt]\nrequest_group = \"g\"");
        assert_eq!(filters(&router), ["cameras/+/frame q0 r0", "$share/g/glanced/classify q1 r0"]);
        assert_eq!(meaning(&mut router, "glanced/classify", &[2], false), "request");
    }

    #[test]
    fn own_results_are_never_taken_for_frames() {
        let mut router = router("[[sources]]\ntopic = \"#\"\ncamera = \"{1}\"\n");
        assert_eq!(meaning(&mut router, "glanced/gate/top3", &[], false), "nothing");
        assert_eq!(meaning(&mut router, "glanced/nodes/n/status", &[], false), "nothing");
        assert_eq!(meaning(&mut router, "x/gate", &[], false), "gate@0");
        assert_eq!(meaning(&mut router, "short", &[], false), "bad_topic");
    }
}
