//! The layers, one over the other: defaults, file, credentials, environment, flags. Checks that keys exist and types fit; what the
//! values mean is for [`resolve`](super::resolve).

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::{Document, SOURCES, joined};
use super::error::{Problem, Problems, cut};
use super::origin::{Given, Origin, Place, Setting};
use super::schema::Schema;
use super::value::Value;
use super::{DEFAULT_TOML, Flag, files};

/// What every environment variable of ours starts with. One underscore alone is somebody else's.
pub(super) const ENV_PREFIX: &str = "GLANCED__";

/// The largest configuration file, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// systemd's credentials that are ours, and the keys that they are the files of.
const CREDENTIALS: [(&str, &str); 3] =
    [("mqtt-password", "mqtt.password_file"), ("mqtt-key", "mqtt.key_file"), ("http-token", "http.token_file")];

/// One `[[sources]]`, complete.
pub(super) struct GivenSource {
    pub(super) keys: Keys,
    /// Where it starts.
    pub(super) place: Place,
}

/// Values by key; `None` where the last one given was wrong, which has been reported.
pub(super) type Keys = BTreeMap<String, Option<Given>>;

/// All layers, merged.
pub(super) struct Layers {
    schema: Schema,
    pub(super) settings: Keys,
    pub(super) sources: Vec<GivenSource>,
    /// False once a layer could not be read at all: then rules about several values would see things that aren't so.
    pub(super) complete: bool,
}

impl Layers {
    /// The first layer, the defaults.
    pub(super) fn defaults(problems: &mut Problems) -> Self {
        let schema = Schema::new(DEFAULT_TOML).unwrap_or_else(|problem| {
            problems.push(problem);
            Schema { settings: BTreeMap::new(), source: BTreeMap::new() }
        });
        let settings = all_given(&schema.settings);
        let sources = vec![GivenSource { keys: all_given(&schema.source), place: Origin::Default.into() }];
        Self { complete: problems.is_empty(), schema, settings, sources }
    }

    /// Lays the file over what there is. `optional`: it need not exist.
    pub(super) fn file(&mut self, path: &Path, optional: bool, problems: &mut Problems) {
        match files::read_text(path, MAX_FILE) {
            Ok(text) => self.text(&text, &Origin::File(path.to_owned()), problems),
            Err(error) if optional && error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => {
                self.complete = false;
                problems.push(Problem::Unreadable { path: path.to_owned(), source });
            }
        }
    }

    /// Lays a file's text over what there is.
    pub(super) fn text(&mut self, text: &str, origin: &Origin, problems: &mut Problems) {
        match Document::parse(text, origin) {
            Ok(document) => self.table(&document, document.root(), "", problems),
            Err(problem) => {
                self.complete = false;
                problems.push(problem);
            }
        }
    }

    fn table(&mut self, document: &Document<'_>, table: &DeTable<'_>, prefix: &str, problems: &mut Problems) {
        for (name, value) in in_order(table) {
            let key = joined(prefix, name.get_ref());
            let place = document.place(name);
            if key == SOURCES {
                self.sources(document, value, &place, problems);
            } else if self.schema.settings.contains_key(&key) {
                self.set(key, Value::from_toml(value.get_ref()), place, problems);
            } else if !self.schema.is_section(&key) {
                unknown(place, key, |key| self.schema.nearest(key), problems);
            } else if let Some(section) = value.get_ref().as_table() {
                self.table(document, section, &key, problems);
            } else {
                let allowed = format!("a section, written [{key}]");
                problems.wrong(&place, &key, &Value::from_toml(value.get_ref()), allowed);
            }
        }
    }

    /// Takes the file's list of sources in place of the one there was.
    fn sources(
        &mut self,
        document: &Document<'_>,
        list: &Spanned<DeValue<'_>>,
        place: &Place,
        problems: &mut Problems,
    ) {
        const ALLOWED: &str = "a list of tables, each written [[sources]]";
        let Some(list) = list.get_ref().as_array() else {
            problems.wrong(place, SOURCES, &Value::from_toml(list.get_ref()), ALLOWED);
            return;
        };
        self.sources.clear();
        for (index, element) in list.iter().enumerate() {
            let name = format!("{SOURCES}[{index}]");
            let place = document.place(element);
            let Some(table) = element.get_ref().as_table() else {
                problems.wrong(&place, &name, &Value::from_toml(element.get_ref()), ALLOWED);
                continue;
            };
            let source = self.source(document, table, &name, place, problems);
            self.sources.push(source);
        }
    }

    fn source(
        &self,
        document: &Document<'_>,
        table: &DeTable<'_>,
        name: &str,
        place: Place,
        problems: &mut Problems,
    ) -> GivenSource {
        let mut keys = all_given(&self.schema.source);
        for (key, value) in in_order(table) {
            let here = document.place(key);
            let key = joined("", key.get_ref());
            if let Some(default) = self.schema.source.get(&key) {
                let full = joined_source(name, &key);
                let given = fit(&full, Value::from_toml(value.get_ref()), default, here, problems);
                keys.insert(key, given);
            } else {
                let nearest = |_: &str| self.schema.nearest_in_source(&key);
                unknown(here, joined_source(name, &key), nearest, problems);
            }
        }
        if !table.contains_key("topic") {
            problems.rule(&place, name, "has no topic");
            keys.insert("topic".to_owned(), None);
        }
        GivenSource { keys, place }
    }

    /// Lays those credentials over what there is that are in `folder`. One of white space alone is none: the unit sets such a
    /// one for each that is not given, since systemd before 254 takes no optional ones, and no empty ones.
    pub(super) fn credentials(&mut self, folder: &Path, problems: &mut Problems) {
        for (name, key) in CREDENTIALS {
            let path = folder.join(name);
            let given = match files::read_text(&path, MAX_FILE) {
                Ok(text) => !text.trim().is_empty(),
                // What is there and can't be read is for `resolve` to report.
                Err(error) => error.kind() != std::io::ErrorKind::NotFound,
            };
            if given {
                let place = Place::from(Origin::Credential(name));
                self.set(key.to_owned(), Value::String(path.display().to_string()), place, problems);
            }
        }
    }

    /// Lays the environment over what there is.
    pub(super) fn env(&mut self, variables: &[(String, String)], problems: &mut Problems) {
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix(ENV_PREFIX) else {
                continue;
            };
            let place = Place::from(Origin::Env(name.clone()));
            let parts = rest.split("__").map(str::to_ascii_lowercase);
            let key = parts.fold(String::new(), |prefix, part| joined(&prefix, &part));
            if key == SOURCES || key.starts_with("sources.") {
                problems.rule(&place, SOURCES, "can't be set from the environment: put [[sources]] into the file");
            } else if self.schema.settings.contains_key(&key) && variable(&key) == *name {
                self.set_text(key, text, place, problems);
            } else {
                let nearest = |key: &str| self.schema.nearest(key).map(|key| variable(&key));
                unknown(place, key, nearest, problems);
            }
        }
    }

    /// Lays the flags over what there is.
    pub(super) fn flags(&mut self, flags: &[Flag], problems: &mut Problems) {
        for flag in flags {
            let place = Place::from(Origin::Flag(flag.name));
            if self.schema.settings.contains_key(flag.key) {
                self.set_text(flag.key.to_owned(), &flag.value, place, problems);
            } else {
                unknown(place, flag.key.to_owned(), |key| self.schema.nearest(key), problems);
            }
        }
    }

    /// Every value in force, for people.
    pub(super) fn shown(&self) -> BTreeMap<String, Setting> {
        let settings = self.settings.iter().map(|(key, given)| (key.clone(), given));
        let sources = self.sources.iter().enumerate().flat_map(|(index, source)| {
            let name = format!("{SOURCES}[{index}]");
            source.keys.iter().map(move |(key, given)| (joined_source(&name, key), given))
        });
        settings.chain(sources).filter_map(|(key, given)| Some((key, given.as_ref()?.to_setting()))).collect()
    }

    fn set_text(&mut self, key: String, text: &str, place: Place, problems: &mut Problems) {
        let typed = self.schema.settings.get(&key).and_then(|default| Value::from_text(text, &default.value));
        // A text that can't be read as the key's type goes on as a string, which then doesn't fit.
        let value = typed.unwrap_or_else(|| Value::String(text.to_owned()));
        self.set(key, value, place, problems);
    }

    fn set(&mut self, key: String, value: Value, place: Place, problems: &mut Problems) {
        if let Some(default) = self.schema.settings.get(&key) {
            let given = fit(&key, value, default, place, problems);
            self.settings.insert(key, given);
        }
    }
}

/// The full name of a source's key: `sources[0].topic`.
pub(super) fn joined_source(source: &str, key: &str) -> String {
    format!("{source}.{key}")
}

fn all_given(defaults: &BTreeMap<String, Given>) -> Keys {
    defaults.iter().map(|(key, given)| (key.clone(), Some(given.clone()))).collect()
}

fn fit(key: &str, value: Value, default: &Given, place: Place, problems: &mut Problems) -> Option<Given> {
    match value.fit(&default.value) {
        Ok(value) => Some(Given { value, place }),
        Err(value) => {
            problems.wrong(&place, key, &value, default.value.type_name());
            None
        }
    }
}

fn unknown(place: Place, key: String, nearest: impl Fn(&str) -> Option<String>, problems: &mut Problems) {
    let nearest = if problems.is_full() { None } else { nearest(&key) };
    problems.push(Problem::UnknownKey { place, nearest, key: cut(key) });
}

/// A table's entries as they stand in the file, so that problems come in that order.
fn in_order<'t, 'a>(table: &'t DeTable<'a>) -> Vec<(&'t Spanned<toml::de::DeString<'a>>, &'t Spanned<DeValue<'a>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// The environment variable of a key.
fn variable(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))
}
