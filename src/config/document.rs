//! A TOML text, and the line that each part of it stands on.

use toml::Spanned;
use toml::de::DeTable;

use super::error::Problem;
use super::origin::{Origin, Place};
use super::value::quoted;

/// The one list of tables.
pub(super) const SOURCES: &str = "sources";

/// A parsed TOML text.
///
/// Not read through a layering crate: those forget the lines, and some take a quoted key such as `"a[999999999]"` for
/// an index expression and make a list of that length.
pub(super) struct Document<'a> {
    root: DeTable<'a>,
    /// Where each line starts, in bytes.
    starts: Vec<usize>,
    origin: Origin,
}

impl<'a> Document<'a> {
    pub(super) fn parse(text: &'a str, origin: &Origin) -> Result<Self, Problem> {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let mut document = Self {
            root: DeTable::new(),
            starts: std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect(),
            origin: origin.clone(),
        };
        match DeTable::parse(text) {
            Ok(root) => {
                document.root = root.into_inner();
                Ok(document)
            }
            Err(error) => Err(Problem::Syntax {
                place: document.place_at(error.span().map_or(0, |span| span.start)),
                message: error.message().replace('\n', " "),
            }),
        }
    }

    pub(super) fn root(&self) -> &DeTable<'a> {
        &self.root
    }

    /// The line that `part` starts on.
    pub(super) fn place<T>(&self, part: &Spanned<T>) -> Place {
        self.place_at(part.span().start)
    }

    fn place_at(&self, byte: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= byte);
        Place { origin: self.origin.clone(), line: Some(line) }
    }
}

/// `prefix.key`, with quotes round a key that needs them, so that the quoted key `"mqtt.url"` is not `mqtt.url`.
pub(super) fn joined(prefix: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    let key = if bare { key.to_owned() } else { quoted(key) };
    if prefix.is_empty() { key } else { format!("{prefix}.{key}") }
}
