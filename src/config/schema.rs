//! The keys there are and their defaults, both taken from the default file, so that they can't drift apart.

use std::collections::BTreeMap;

use super::document::{self, Document};
use super::error::Problem;
use super::origin::{Given, Origin, Place};
use super::value::Value;

/// The longest key that a similar one is looked for. The search costs the product of both lengths.
const LONGEST_GUESS: usize = 64;

/// What the default file says there is.
pub(super) struct Schema {
    /// Every key outside of the sources, with dots, and its default.
    pub(super) settings: BTreeMap<String, Given>,
    /// Every key of a source, and its default.
    pub(super) source: BTreeMap<String, Given>,
}

impl Schema {
    /// Reads the default file, `text`.
    pub(super) fn new(text: &str) -> Result<Self, Problem> {
        let document = Document::parse(text, &Origin::Default)?;
        let mut schema = Self { settings: BTreeMap::new(), source: BTreeMap::new() };
        let given = |value| Given { value: Value::from_toml(value), place: Place::from(Origin::Default) };
        for (section, value) in document.root() {
            let section = section.get_ref();
            if let Some(table) = value.get_ref().as_table() {
                let keys =
                    table.iter().map(|(key, value)| (format!("{section}.{}", key.get_ref()), given(value.get_ref())));
                schema.settings.extend(keys);
            } else if let Some(tables) = value.get_ref().as_array() {
                let keys = tables.iter().filter_map(|element| element.get_ref().as_table()).flatten();
                schema.source.extend(keys.map(|(key, value)| (key.get_ref().to_string(), given(value.get_ref()))));
            }
        }
        Ok(schema)
    }

    /// Whether `name` is a section, such as `mqtt`.
    pub(super) fn is_section(&self, name: &str) -> bool {
        self.settings.keys().any(|key| section(key) == name)
    }

    /// The known key most like `key`, which is one with dots, or a section.
    pub(super) fn nearest(&self, key: &str) -> Option<String> {
        let known = self.settings.keys().map(String::as_str);
        if key.contains('.') {
            nearest(key, &known)
        } else {
            // A key on its own may have lost its section, or be a section that was mistyped.
            nearest(key, &known.clone().map(section).chain([document::SOURCES])).or_else(|| nearest(key, &known))
        }
    }

    /// The known key of a source most like `key`.
    pub(super) fn nearest_in_source(&self, key: &str) -> Option<String> {
        nearest(key, &self.source.keys().map(String::as_str))
    }
}

fn section(key: &str) -> &str {
    key.split_once('.').map_or(key, |(section, _)| section)
}

fn last(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(_, last)| last)
}

/// The candidate most like `key`: the same name in another section, a longer form of it (`password`,
/// `password_file`), or a few letters away. Nothing if all are far: a wild guess is worse than none.
fn nearest<'a>(key: &str, known: &(impl Iterator<Item = &'a str> + Clone)) -> Option<String> {
    if key.len() > LONGEST_GUESS {
        return None;
    }
    // A quoted key that has a dot in it is most likely two keys.
    let key = key.trim_matches('"');
    let name = last(key);
    let longer = |candidate: &&str| name.len() >= 3 && candidate.starts_with(&format!("{key}_"));
    let near = || {
        let scored = known.clone().map(|candidate| (strsim::osa_distance(key, candidate), candidate));
        scored.min().filter(|(distance, _)| *distance <= (name.len() / 3).max(1)).map(|(_, candidate)| candidate)
    };
    known
        .clone()
        .find(|candidate| last(candidate) == name)
        .or_else(|| known.clone().find(longer))
        .or_else(near)
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DEFAULT_TOML;

    #[test]
    fn similar_keys_are_found_and_others_are_not() {
        let schema = Schema::new(DEFAULT_TOML).unwrap();
        for (key, want) in [
            ("mqtt.urll", Some("mqtt.url")),
            ("mqtt.keepalive", Some("mqtt.keep_alive_s")),
            ("mqtt.password", Some("mqtt.password_file")),
            ("mqtt.workers", Some("inference.workers")),
            ("inference.max_age", Some("inference.max_age_ms")),
            ("mqtt.zzz", None),
            ("mqt", Some("mqtt")),
            ("source", Some("sources")),
            ("workers", Some("inference.workers")),
            ("\"mqtt.url\"", Some("mqtt.url")),
            ("colour", None),
        ] {
            assert_eq!(schema.nearest(key).as_deref(), want, "{key}");
        }
        assert_eq!(schema.nearest(&"mqtt.url".repeat(1000)), None);
        assert_eq!(schema.nearest_in_source("topics").as_deref(), Some("topic"));
        assert_eq!(schema.nearest_in_source("shared").as_deref(), Some("shared_group"));
    }

    #[test]
    fn every_key_of_the_default_file_is_documented() {
        let lines: Vec<&str> = DEFAULT_TOML.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) else {
                continue;
            };
            // One comment may stand over both halves of a pair.
            let above = if key == "key_file" { index - 2 } else { index - 1 };
            assert!(lines[above].starts_with("# "), "{key} has no comment");
        }
    }
}
