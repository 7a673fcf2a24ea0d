//! Topics of announcements.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::config::{HomeAssistant, Mqtt};

/// A level of a topic is at most so long: names that are longer are shortened.
const LONGEST: usize = 48;

/// Where a node announces, and what it listens to for that.
///
/// A camera's announcement lies below its node. One whose frames several nodes share lies below the prefix, and is the same
/// whichever of them makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topics {
    birth: String,
    node: String,
    own: String,
    shared: String,
}

impl Topics {
    /// Of a node.
    pub(crate) fn new(config: &HomeAssistant, mqtt: &Mqtt) -> Self {
        let prefix = &config.prefix;
        let (node, shared) = (level(&mqtt.node), level(&mqtt.prefix));
        Self {
            birth: format!("{prefix}/status"),
            node: format!("{prefix}/device/glanced-{node}/config"),
            own: format!("{prefix}/device/glanced-{node}/"),
            // No node's name: those have a hyphen where this has an underscore.
            shared: format!("{prefix}/device/glanced_{shared}/"),
        }
    }

    /// Where Home Assistant says that it has started.
    pub(crate) fn birth(&self) -> &str {
        &self.birth
    }

    /// Where the node is announced.
    pub(crate) fn node(&self) -> String {
        self.node.clone()
    }

    /// Where a camera is announced.
    pub(super) fn camera(&self, camera: &str, shared: bool) -> String {
        let parent = if shared { &self.shared } else { &self.own };
        format!("{parent}{}/config", level(camera))
    }

    /// What to subscribe to: Home Assistant's start, and the announcements of the node and of cameras; of those that are shared
    /// only if there are any.
    pub(crate) fn filters(&self, shared: bool) -> Vec<String> {
        let parents = [Some(&self.own), shared.then_some(&self.shared)];
        let cameras = parents.into_iter().flatten().map(|parent| format!("{parent}+/config"));
        [self.birth.clone(), self.node.clone()].into_iter().chain(cameras).collect()
    }

    /// Whether a camera may be announced there.
    pub(crate) fn is_camera(&self, topic: &str) -> bool {
        let below = |parent: &String| topic.strip_prefix(parent)?.strip_suffix("/config");
        [&self.own, &self.shared].into_iter().any(|parent| below(parent).is_some())
    }
}

/// A name as a level of Home Assistant's topics, which have letters, digits, `_` and `-` only. Names that would be the same there
/// are told apart by a hash.
fn level(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.len() <= LONGEST && name.chars().all(allowed) {
        return name.to_owned();
    }
    let mut level: String = name.chars().take(LONGEST).map(|c| if allowed(c) { c } else { '_' }).collect();
    level.push('_');
    for byte in &Sha256::digest(name.as_bytes())[..4] {
        write!(level, "{byte:02x}").expect("a string takes everything");
    }
    level
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_levels_that_home_assistant_takes_and_stay_different() {
        assert_eq!(level("gate-2_b"), "gate-2_b");
        let odd = ["yard north", "yard_north", "院子", "园子", "a.b", "a b"].map(level);
        for (index, one) in odd.iter().enumerate() {
            assert!(one.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'), "{one}");
            assert!(!odd[index + 1..].contains(one), "{one}");
        }
        let long = level(&"x".repeat(256));
        assert_eq!(long.len(), LONGEST + 9);
        assert_ne!(long, level(&"x".repeat(255)));
    }

    #[test]
    fn a_camera_lies_below_its_node_or_if_shared_below_the_prefix() {
        let config = crate::config::parse_str("[mqtt]\nnode = \"box-7\"\nprefix = \"home/eyes\"\n").unwrap().config;
        let topics = Topics::new(&config.homeassistant, &config.mqtt);
        assert_eq!(topics.node(), "homeassistant/device/glanced-box-7/config");
        let own = topics.camera("gate", false);
        assert_eq!(own, "homeassistant/device/glanced-box-7/gate/config");
        let shared = topics.camera("gate", true);
        assert!(shared.starts_with("homeassistant/device/glanced_home_eyes_"), "{shared}");
        for topic in [&own, &shared] {
            assert!(topics.is_camera(topic));
            assert!(topics.filters(true).iter().any(|filter| rumqttc::matches(topic, filter)));
        }
        assert!(!topics.filters(false).iter().any(|filter| rumqttc::matches(&shared, filter)));
        assert!(!topics.is_camera(&topics.node()));
    }
}
