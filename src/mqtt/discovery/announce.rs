//! What is announced: <https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload>.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::names::Topics;
use crate::config::{HomeAssistant, Mqtt};
use crate::frame::decode::Format;
use crate::mqtt::topics;
use crate::mqtt::wire::ModelState;

/// Home Assistant takes no longer state than this, in characters.
const LONGEST_STATE: usize = 255;

/// Makes announcements.
#[derive(Clone, Debug)]
pub(super) struct Announcer {
    topics: Topics,
    prefix: String,
    node: String,
    images: bool,
}

impl Announcer {
    /// Of a node.
    pub(super) fn new(config: &HomeAssistant, mqtt: &Mqtt) -> Self {
        let topics = Topics::new(config, mqtt);
        Self { topics, prefix: mqtt.prefix.clone(), node: mqtt.node.clone(), images: config.images }
    }

    /// Topics of announcements.
    pub(super) fn topics(&self) -> &Topics {
        &self.topics
    }

    /// The first level(s) of our topics.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether pictures are announced.
    pub(super) fn has_images(&self) -> bool {
        self.images
    }

    /// The node, with these models: a button for each that has it learn, and an update that puts the version that waits in use.
    /// To be sent anew with each version that waits, so that nobody installs another one than he saw. Of what was announced
    /// `before` and is not any more, it says so.
    pub(super) fn node(&self, models: &[ModelState], before: &Before) -> Vec<u8> {
        let node = self.node_id();
        let (promote, state) = (topics::promote(&self.prefix, &self.node), topics::models(&self.prefix, &self.node));
        let mut components = serde_json::Map::new();
        components.insert(
            "connected".to_owned(),
            json!({
                "platform": "binary_sensor",
                "unique_id": format!("{node}/connected"),
                "name": "Connected",
                "device_class": "connectivity",
                "entity_category": "diagnostic",
                "state_topic": topics::status(&self.prefix, &self.node),
                "payload_on": topics::ONLINE,
                "payload_off": topics::OFFLINE,
            }),
        );
        for ModelState { name: model, waiting, .. } in models {
            // Which of several models is meant; of one alone that is clear.
            let of = if models.len() > 1 { format!(" {model}") } else { String::new() };
            components.insert(
                format!("retrain_{model}"),
                json!({
                    "platform": "button",
                    "unique_id": format!("{node}/retrain/{model}"),
                    "name": format!("Retrain{of}"),
                    "icon": "mdi:school",
                    "entity_category": "config",
                    "command_topic": topics::retrain(&self.prefix, &self.node),
                    "payload_press": json!({ "model": model }).to_string(),
                    "availability": self.availability(),
                }),
            );
            // A text in JSON is one in a template too.
            let of_model = format!("(value_json.models | selectattr('name', 'eq', {}) | first)", json!(model));
            let mut update = json!({
                "platform": "update",
                "unique_id": format!("{node}/update/{model}"),
                "name": format!("Model{of}"),
                "title": model,
                "entity_category": "config",
                "state_topic": state,
                "value_template": format!(
                    "{{{{ {{'installed_version': {of_model}.version, \
                     'latest_version': {of_model}.waiting or {of_model}.version, \
                     'release_summary': ({of_model}.reason or '')[:{LONGEST_STATE}]}} | tojson }}}}"
                ),
                "availability": self.availability(),
            });
            if let Some(waiting) = waiting {
                update["command_topic"] = promote.as_str().into();
                update["payload_install"] = json!({ "model": model, "version": waiting }).to_string().into();
            }
            components.insert(format!("update_{model}"), update);
        }
        for (key, platform) in &before.0 {
            components.entry(key.as_str()).or_insert_with(|| json!({ "platform": platform }));
        }
        let device = json!({
            "identifiers": [node],
            "name": format!("glanced {}", self.node),
            "manufacturer": "glanced",
            "model": "node",
            "sw_version": env!("CARGO_PKG_VERSION"),
        });
        to_bytes(&json!({ "device": device, "origin": origin(), "components": components }))
    }

    /// A camera whose pictures are of this format. One whose frames several nodes share is nobody's alone: it is available while
    /// the broker is.
    pub(super) fn camera(&self, camera: &str, shared: bool, format: Format) -> Vec<u8> {
        let id =
            if shared { format!("glanced/{}/{camera}", self.prefix) } else { format!("{}/{camera}", self.node_id()) };
        let state = topics::state(&self.prefix, camera);
        let sensor = |name: &str, key: &str, template: String| {
            json!({
                "platform": "sensor",
                "unique_id": format!("{id}/{key}"),
                "name": name,
                "state_topic": state,
                "value_template": template,
            })
        };
        let mut class = sensor("Class", "class", format!("{{{{ value_json.label[:{LONGEST_STATE}] }}}}"));
        class["icon"] = "mdi:eye".into();
        class["json_attributes_topic"] = state.as_str().into();
        let mut score = sensor("Score", "score", "{{ (value_json.score * 100) | round(1) }}".to_owned());
        score["unit_of_measurement"] = "%".into();
        score["state_class"] = "measurement".into();
        // The class has it as an attribute; as a sensor of its own it is for who wants its history.
        score["enabled_by_default"] = false.into();
        let mut unknown = sensor("Unknown", "unknown", "{{ 'ON' if value_json.unknown else 'OFF' }}".to_owned());
        unknown["platform"] = "binary_sensor".into();
        unknown["icon"] = "mdi:help-circle".into();
        let mut components = json!({ "class": class, "score": score, "unknown": unknown });
        if self.images {
            components["image"] = json!({
                "platform": "image",
                "unique_id": format!("{id}/image"),
                "name": "Frame",
                "image_topic": topics::image(&self.prefix, camera),
                "content_type": format.media_type(),
            });
        } else {
            // It may have been announced before; to leave it out would leave it there.
            components["image"] = json!({ "platform": "image" });
        }
        let mut device = json!({ "identifiers": [id], "name": camera, "manufacturer": "glanced", "model": "camera" });
        let mut announcement = json!({ "origin": origin(), "components": components });
        if !shared {
            device["via_device"] = self.node_id().into();
            announcement["availability"] = self.availability();
        }
        announcement["device"] = device;
        to_bytes(&announcement)
    }

    fn node_id(&self) -> String {
        format!("glanced/nodes/{}/{}", self.prefix, self.node)
    }

    fn availability(&self) -> Value {
        json!([{ "topic": topics::status(&self.prefix, &self.node) }])
    }
}

/// Components that the broker's announcement of the node has, by key, with their platforms: Home Assistant takes none away
/// that is only left out.
#[derive(Debug, Default)]
pub(super) struct Before(BTreeMap<String, String>);

impl Before {
    /// So many are remembered: more than a node has models.
    const MOST: usize = 32;

    /// Takes in what an announcement has.
    pub(super) fn remember(&mut self, announcement: &[u8]) {
        let Ok(announcement) = serde_json::from_slice::<Value>(announcement) else { return };
        for (key, component) in announcement["components"].as_object().into_iter().flatten() {
            if let Some(platform) = component["platform"].as_str().filter(|_| self.0.len() < Self::MOST) {
                self.0.insert(key.clone(), platform.to_owned());
            }
        }
    }
}

fn origin() -> Value {
    json!({ "name": "glanced", "sw_version": env!("CARGO_PKG_VERSION") })
}

fn to_bytes(announcement: &Value) -> Vec<u8> {
    announcement.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcer(images: bool) -> Announcer {
        let toml = format!("[mqtt]\nnode = \"box-7\"\n[homeassistant]\nimages = {images}\n");
        let config = crate::config::parse_str(&toml).unwrap().config;
        Announcer::new(&config.homeassistant, &config.mqtt)
    }

    fn parsed(announcement: &[u8]) -> Value {
        serde_json::from_slice(announcement).unwrap()
    }

    fn model(name: &str, waiting: Option<&str>) -> ModelState {
        ModelState { name: name.into(), version: "1".into(), waiting: waiting.map(Into::into), reason: None }
    }

    /// All values of a key, however deep.
    fn all<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get(key).and_then(Value::as_str));
                map.values().for_each(|value| all(value, key, found));
            }
            Value::Array(values) => values.iter().for_each(|value| all(value, key, found)),
            _ => {}
        }
    }

    #[test]
    fn ids_are_unique_among_cameras_nodes_and_models() {
        let announcer = announcer(true);
        let models = ["tints", "gate"].map(|name| model(name, None));
        let announcements = [
            announcer.node(&models, &Before::default()),
            announcer.camera("gate", false, Format::Jpeg),
            announcer.camera("gate", true, Format::Jpeg),
            announcer.camera("box-7", true, Format::Jpeg),
            announcer.camera("class", false, Format::Jpeg),
        ]
        .map(|announcement| parsed(&announcement));
        let mut ids = Vec::new();
        announcements.iter().for_each(|announcement| all(announcement, "unique_id", &mut ids));
        assert_eq!(ids.len(), 5 + 4 * 4);
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }

    #[test]
    fn a_camera_is_behind_its_node_unless_it_is_shared() {
        let announcer = announcer(true);
        let node = parsed(&announcer.node(&[model("tints", None)], &Before::default()));
        let own = parsed(&announcer.camera("gate", false, Format::Jpeg));
        assert_eq!(own["device"]["via_device"], node["device"]["identifiers"][0]);
        assert_eq!(own["availability"][0]["topic"], "glanced/nodes/box-7/status");
        let shared = parsed(&announcer.camera("gate", true, Format::Jpeg));
        assert!(shared["device"].get("via_device").is_none() && shared.get("availability").is_none());
    }

    #[test]
    fn an_update_can_be_installed_if_a_version_waits_and_names_it() {
        let announcer = announcer(true);
        let node = |waiting| {
            let node = parsed(&announcer.node(&[model("tints", waiting)], &Before::default()));
            node["components"]["update_tints"].clone()
        };
        assert_eq!(node(Some("2"))["payload_install"], r#"{"model":"tints","version":"2"}"#);
        assert!(node(None).get("payload_install").is_none() && node(None).get("command_topic").is_none());
    }

    #[test]
    fn a_picture_is_announced_with_its_format_if_pictures_are_published() {
        let with = parsed(&announcer(true).camera("gate", false, Format::Png));
        assert_eq!(with["components"]["image"]["content_type"], "image/png");
        let without = parsed(&announcer(false).camera("gate", false, Format::Png));
        assert_eq!(without["components"]["image"], json!({ "platform": "image" }), "takes it away");
    }

    #[test]
    fn what_the_broker_has_of_models_that_are_gone_is_taken_away() {
        let announcer = announcer(true);
        let mut before = Before::default();
        before.remember(&announcer.node(&[model("tints", None), model("gate", None)], &before));
        let now = parsed(&announcer.node(&[model("tints", None)], &before));
        assert_eq!(now["components"]["retrain_gate"], json!({ "platform": "button" }));
        assert_eq!(now["components"]["update_gate"], json!({ "platform": "update" }));
        assert_eq!(now["components"]["retrain_tints"]["platform"], "button");
        assert!(now["components"]["retrain_tints"].get("unique_id").is_some());
        before.remember(b"{");
        for number in 0..100 {
            before.remember(format!("{{\"components\":{{\"{number}\":{{\"platform\":\"x\"}}}}}}").as_bytes());
        }
        assert_eq!(before.0.len(), Before::MOST);
    }

    #[test]
    fn an_announcement_stays_below_four_kilobytes_with_the_longest_names() {
        let mut announcer = announcer(true);
        announcer.prefix = "p".repeat(64);
        announcer.node = "n".repeat(64);
        let camera = announcer.camera(&"c".repeat(128), false, Format::Jpeg);
        assert!(camera.len() < 4096, "{}", camera.len());
    }
}
