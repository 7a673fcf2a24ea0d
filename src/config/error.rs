//! What can be wrong with a configuration. All that is found is reported at once, one problem a line.

use std::borrow::Cow;
use std::path::PathBuf;
use std::{fmt, io};

use super::origin::Place;
use super::value::{Value, quoted};

/// Problems past this many are only counted: nobody reads more, and a hostile file must not fill the log.
const SHOWN: usize = 50;

/// The longest value or key that an error repeats, in characters.
const LONGEST: usize = 100;

/// One thing wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The configuration file itself can't be read.
    #[error("{}: can't be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{place}: {message}")]
    Syntax {
        /// File and line.
        place: Place,
        /// What the parser says.
        message: String,
    },
    /// No such key.
    #[error("{place}: unknown key {key}{}", did_you_mean(nearest.as_deref()))]
    UnknownKey {
        /// Where it was given.
        place: Place,
        /// The key, with dots.
        key: String,
        /// The most similar key (or environment variable), if one is similar.
        nearest: Option<String>,
    },
    /// A value of the wrong type or out of range.
    #[error("{place}: {key} is {value}, but must be {allowed}")]
    Value {
        /// Where it was given.
        place: Place,
        /// The key, with dots.
        key: String,
        /// The value, as it would be written in the file.
        value: String,
        /// What would be allowed.
        allowed: Cow<'static, str>,
    },
    /// A value that is fine by itself, but not together with another, or with the file that it names.
    #[error("{place}: {key} {reason}")]
    Rule {
        /// Where it was given.
        place: Place,
        /// The key, with dots.
        key: String,
        /// What is wrong, to be read after the key.
        reason: Cow<'static, str>,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!(", did you mean {nearest}?"))
}

/// Everything that is wrong with a configuration; shown one problem a line.
#[derive(Debug)]
pub struct ConfigError {
    problems: Vec<Problem>,
    more: usize,
}

impl ConfigError {
    /// The problems, in the order of the layers and, within one, of the keys. Never empty.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if index == 0 { "" } else { "\n" })?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// The problems found so far.
#[derive(Debug, Default)]
pub(super) struct Problems {
    list: Vec<Problem>,
    more: usize,
}

impl Problems {
    pub(super) fn push(&mut self, problem: Problem) {
        if self.is_full() {
            self.more += 1;
        } else {
            self.list.push(problem);
        }
    }

    /// Whether a further problem would only be counted, so that nothing costly need be put into it.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= SHOWN
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn into_error(self) -> ConfigError {
        ConfigError { problems: self.list, more: self.more }
    }

    pub(super) fn wrong(&mut self, place: &Place, key: &str, value: &Value, allowed: impl Into<Cow<'static, str>>) {
        self.push(Problem::Value {
            place: place.clone(),
            key: key.to_owned(),
            value: shown(key, value),
            allowed: allowed.into(),
        });
    }

    pub(super) fn rule(&mut self, place: &Place, key: &str, reason: impl Into<Cow<'static, str>>) {
        self.push(Problem::Rule { place: place.clone(), key: key.to_owned(), reason: reason.into() });
    }
}

/// `value` for an error: not too long, and without a password that someone put into the URL.
fn shown(key: &str, value: &Value) -> String {
    match value {
        Value::String(url) if key == "mqtt.url" => cut(quoted(&without_user(url))),
        other => cut(other.to_string()),
    }
}

fn without_user(url: &str) -> String {
    let Some((front, host)) = url.rsplit_once('@') else {
        return url.to_owned();
    };
    let scheme = front.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
    format!("{scheme}***@{host}")
}

/// `text` with at most [`LONGEST`] characters.
pub(super) fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;

    #[test]
    fn long_values_are_cut_and_many_problems_are_counted() {
        let mut problems = Problems::default();
        for _ in 0..SHOWN + 3 {
            problems.wrong(&Origin::Default.into(), "log.level", &Value::String("ä".repeat(300)), "short");
        }
        let text = problems.into_error().to_string();
        assert_eq!(text.lines().count(), SHOWN + 1);
        assert!(text.ends_with("\nand 3 more"), "{text}");
        let want = format!("default: log.level is \"{}…, but must be short", "ä".repeat(LONGEST - 1));
        assert_eq!(text.lines().next(), Some(want.as_str()));
    }

    #[test]
    fn a_password_in_the_url_is_not_repeated() {
        for (url, want) in [
            ("mqtt://me:secret@host", "mqtt://***@host"),
            ("me:secret@host", "***@host"),
            ("mqtt://me:sec@ret@host:1", "mqtt://***@host:1"),
            ("mqtt://host", "mqtt://host"),
        ] {
            assert_eq!(without_user(url), want);
        }
    }
}
