//! What differs between two configurations, and what of it a running daemon can take over.

use std::collections::BTreeSet;

use super::Loaded;
use super::document::SOURCES;

/// One key that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key, with dots; `sources` for anything about them. For a secret, the key of its file.
    pub key: String,
    /// Whether it can be applied without a restart.
    pub live: bool,
}

/// What differs between `old` and `new`, by key. A value that only comes from elsewhere now is no change; a secret
/// whose file has another content is one.
#[must_use]
pub fn changes(old: &Loaded, new: &Loaded) -> Vec<Change> {
    let text = |loaded: &Loaded, key: &str| loaded.values.get(key).map(|setting| setting.value.clone());
    let in_sources = |key: &str| key.starts_with(SOURCES);
    let mut changed: BTreeSet<&str> = old
        .values
        .keys()
        .chain(new.values.keys())
        .map(String::as_str)
        .filter(|key| !in_sources(key) && text(old, key) != text(new, key))
        .collect();
    if old.config.mqtt.password != new.config.mqtt.password {
        changed.insert("mqtt.password_file");
    }
    if old.config.http.token != new.config.http.token {
        changed.insert("http.token_file");
    }
    if old.config.sources != new.config.sources {
        changed.insert(SOURCES);
    }
    changed.into_iter().map(|key| Change { key: key.to_owned(), live: is_live(key) }).collect()
}

fn is_live(key: &str) -> bool {
    matches!(key, "log.level" | "inference.max_age_ms" | SOURCES)
        || key.starts_with("classify.")
        || key.starts_with("inference.repeats")
        || key.starts_with("store.collect")
}
