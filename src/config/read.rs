//! Takes values out of the merged layers, judged one by one.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::error::{Problem, Problems};
use super::layers::{Keys, joined_source};
use super::origin::{Given, Origin};
use super::value::{Value, quoted};
use super::{Secret, files};

/// The longest string that fits into an MQTT packet, and long enough for everything else, in bytes.
const MAX_TEXT: usize = 65_535;

/// The largest password or token file, in bytes.
const MAX_SECRET: u64 = 4096;

/// Stands for a value that was no good, which is in the list of problems by now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported;

/// A value, or the fact that it was reported.
pub(super) type Read<T> = Result<T, Reported>;

/// Whether the files that a configuration names are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Files {
    /// They must be there, and secrets are read.
    Open,
    /// They are left alone, and secrets stay unset.
    Leave,
}

/// Reads the values under one name: all settings, or one source.
pub(super) struct Reader<'a> {
    keys: &'a Keys,
    /// Empty for the settings, whose keys are complete; else `sources[0]`.
    name: &'a str,
    files: Files,
    problems: &'a mut Problems,
    /// What was asked for, to find keys that exist in the default file and nowhere else.
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(keys: &'a Keys, name: &'a str, files: Files, problems: &'a mut Problems) -> Self {
        Self { keys, name, files, problems, asked: RefCell::default() }
    }

    /// A key that exists but that nothing reads.
    pub(super) fn forgotten(&self) -> Option<&str> {
        let asked = self.asked.borrow();
        self.keys.keys().map(String::as_str).find(|key| !asked.contains(key))
    }

    fn given(&self, key: &'static str) -> Option<&'a Given> {
        self.asked.borrow_mut().insert(key);
        self.keys.get(key)?.as_ref()
    }

    /// The value of `key` as `pick` sees it.
    fn get<T>(&mut self, key: &'static str, pick: impl Fn(&'a Value) -> Option<T>) -> Read<T> {
        if let Some(picked) = self.given(key).and_then(|given| pick(&given.value)) {
            return Ok(picked);
        }
        // Reported while merging, unless the default file lacks the key or has it with another type.
        if self.keys.get(key).is_none_or(Option::is_some) {
            let place = Origin::Default.into();
            self.problems.push(Problem::UnknownKey { place, key: self.full(key), nearest: None });
        }
        Err(Reported)
    }

    fn full(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { joined_source(self.name, key) }
    }

    /// Reports the value of `key`, which must be `allowed`.
    pub(super) fn wrong(&mut self, key: &'static str, allowed: impl Into<Cow<'static, str>>) -> Reported {
        let full = self.full(key);
        if let Some(given) = self.given(key) {
            self.problems.wrong(&given.place, &full, &given.value, allowed);
        }
        Reported
    }

    /// Reports that `key` does not go with something else, for a `reason` that is read after the key.
    pub(super) fn rule(&mut self, key: &'static str, reason: impl Into<Cow<'static, str>>) -> Reported {
        let full = self.full(key);
        if let Some(given) = self.given(key) {
            self.problems.rule(&given.place, &full, reason);
        }
        Reported
    }

    /// Whether `key` was left at its default.
    pub(super) fn is_default(&self, key: &'static str) -> bool {
        self.given(key).is_some_and(|given| given.place.origin == Origin::Default)
    }

    /// Whether `key` has a text.
    pub(super) fn is_set(&self, key: &'static str) -> bool {
        self.given(key).is_some_and(|given| matches!(&given.value, Value::String(text) if !text.is_empty()))
    }

    /// A string; `None` if it is empty.
    pub(super) fn optional(&mut self, key: &'static str) -> Read<Option<String>> {
        let text = self.get(key, |value| if let Value::String(text) = value { Some(text) } else { None })?;
        // Brokers close the connection on a control character in any string, and nothing else here has use for one.
        if text.len() > MAX_TEXT || text.contains(char::is_control) {
            return Err(self.wrong(key, "at most 65535 bytes, without control characters"));
        }
        Ok(Some(text).filter(|text| !text.is_empty()).cloned())
    }

    /// A string that `check` has nothing against; `check` tells what it must be.
    pub(super) fn checked(&mut self, key: &'static str, check: fn(&str) -> Result<(), &'static str>) -> Read<String> {
        let text = self.optional(key)?.unwrap_or_default();
        check(&text).map_err(|allowed| self.wrong(key, allowed))?;
        Ok(text)
    }

    /// As [`Self::checked`], or `None` if it is empty.
    pub(super) fn optional_checked(
        &mut self,
        key: &'static str,
        check: fn(&str) -> Result<(), &'static str>,
    ) -> Read<Option<String>> {
        let Some(text) = self.optional(key)? else { return Ok(None) };
        check(&text).map_err(|allowed| self.wrong(key, allowed))?;
        Ok(Some(text))
    }

    /// A string with a type of its own, whose error says what it must be.
    pub(super) fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, key: &'static str) -> Read<T> {
        let text = self.optional(key)?.unwrap_or_default();
        text.parse().map_err(|allowed: T::Err| self.wrong(key, allowed.to_string()))
    }

    /// One of a few strings.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Read<T> {
        let text = self.optional(key)?.unwrap_or_default();
        if let Some((_, chosen)) = choices.iter().find(|(name, _)| *name == text) {
            return Ok(*chosen);
        }
        let names: Vec<String> = choices.iter().map(|(name, _)| quoted(name)).collect();
        Err(self.wrong(key, names.join(" or ")))
    }

    /// True or false.
    pub(super) fn truth(&mut self, key: &'static str) -> Read<bool> {
        self.get(key, |value| if let Value::Boolean(truth) = value { Some(*truth) } else { None })
    }

    /// The items of a list.
    pub(super) fn list(&mut self, key: &'static str) -> Read<&'a [Value]> {
        self.get(key, |value| if let Value::List(items) = value { Some(items.as_slice()) } else { None })
    }

    /// A number from 0 to 1.
    pub(super) fn fraction(&mut self, key: &'static str) -> Read<f32> {
        self.real(key, 0.0..=1.0)
    }

    /// A number within `range`.
    pub(super) fn real(&mut self, key: &'static str, range: RangeInclusive<f64>) -> Read<f32> {
        let number = self.get(key, |value| if let Value::Float(number) = value { Some(*number) } else { None })?;
        if !range.contains(&number) {
            return Err(self.wrong(key, format!("{} to {}", range.start(), range.end())));
        }
        #[expect(clippy::cast_possible_truncation, reason = "no such number needs more than f32")]
        Ok(number as f32)
    }

    /// A whole number within `range`; `unit` is for the error and may be empty.
    pub(super) fn whole<T: TryFrom<i64>>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<i64>,
        unit: &str,
    ) -> Read<T> {
        let number = self.get(key, |value| if let Value::Integer(number) = value { Some(*number) } else { None })?;
        let converted = if range.contains(&number) { T::try_from(number).ok() } else { None };
        converted.ok_or_else(|| {
            let space = if unit.is_empty() { "" } else { " " };
            self.wrong(key, format!("{} to {}{space}{unit}", range.start(), range.end()))
        })
    }

    /// The whole number under `key` as it is, for a rule of another key.
    pub(super) fn peek_whole(&self, key: &'static str) -> Option<i64> {
        self.given(key).and_then(|given| if let Value::Integer(number) = given.value { Some(number) } else { None })
    }

    /// A whole number of which 0 means "choose".
    pub(super) fn count_or_auto(&mut self, key: &'static str, most: i64) -> Read<Option<usize>> {
        Ok(Some(self.whole(key, 0..=most, "")?).filter(|count| *count != 0))
    }

    pub(super) fn seconds(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Read<Duration> {
        self.whole(key, range, "seconds").map(Duration::from_secs)
    }

    pub(super) fn milliseconds(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Read<Duration> {
        self.whole(key, range, "milliseconds").map(Duration::from_millis)
    }

    /// A path, if it is set. It may lead nowhere yet.
    pub(super) fn path(&mut self, key: &'static str) -> Read<Option<PathBuf>> {
        Ok(self.optional(key)?.map(PathBuf::from))
    }

    /// The path of a file that can be read, if it is set.
    pub(super) fn readable(&mut self, key: &'static str) -> Read<Option<PathBuf>> {
        let path = self.path(key)?;
        if let (Some(path), Files::Open) = (&path, self.files) {
            files::check(path)
                .map_err(|error| self.rule(key, format!("names {}, which can't be read: {error}", path.display())))?;
        }
        Ok(path)
    }

    /// The secret in a file, if the file is set, without the newline at its end.
    pub(super) fn secret(&mut self, key: &'static str) -> Read<Option<Secret>> {
        let (Some(path), Files::Open) = (self.path(key)?, self.files) else {
            return Ok(None);
        };
        let text = files::read_text(&path, MAX_SECRET)
            .map_err(|error| self.rule(key, format!("names {}, which can't be read: {error}", path.display())))?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            return Err(self.rule(key, format!("names {}, which is empty", path.display())));
        }
        Ok(Some(Secret::new(text)))
    }
}
