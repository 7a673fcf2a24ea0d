//! `manifest.jsonl`: one frame a line, with all that the store knows of it.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::feedback::record::{BlobRef, Collected, Feedback, Sha256Sum, extension};
use crate::feedback::view::{FrameRecord, Said};

/// The file's name in an export.
pub(super) const FILE: &str = "manifest.jsonl";
const VERSION: u32 = 1;
/// A file name may have 255 bytes on most systems.
const LONGEST: usize = 200;

/// A frame.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Line {
    v: u32,
    pub(super) frame: Ulid,
    /// The picture's file, below the manifest's folder, with `/`. `None` if the store had lost it.
    pub(super) file: Option<String>,
    /// The label that stands, of several senders' the latest.
    pub(super) label: Option<String>,
    /// The picture.
    pub(super) blob: Option<BlobRef>,
    /// How it came to be kept without a statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) collected: Option<Collected>,
    /// What was said, the oldest first.
    pub(super) feedback: Vec<Opinion>,
}

/// A statement.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Opinion {
    #[serde(flatten)]
    pub(super) feedback: Feedback,
    /// No later one of the same sender has replaced it. For readers of the manifest; an import finds it out anew.
    standing: bool,
}

impl Opinion {
    pub(super) fn standing(&self) -> bool {
        self.standing
    }
}

impl Line {
    pub(super) fn new(record: FrameRecord) -> Self {
        let label = label(&record).map(str::to_owned);
        let file = record.blob.map(|blob| file(record.frame, label.as_deref(), &blob));
        let collected = record.collected.clone().or_else(|| record.waits());
        let opinion = |said: Said| Opinion { feedback: said.feedback, standing: said.standing };
        // Whoever imports it finds out anew what stands, and knows nothing of what was taken back.
        let left = record.feedback.into_iter().filter(|said| !said.withdrawn);
        let feedback = left.map(opinion).collect();
        let FrameRecord { frame, blob, .. } = record;
        Self { v: VERSION, frame, file, label, blob, collected, feedback }
    }

    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            v: u32,
        }
        let head: Head = serde_json::from_str(text)?;
        if head.v > VERSION {
            bail!("version {}, this release reads up to {VERSION}: it was written by a newer one", head.v);
        }
        Ok(serde_json::from_str(text)?)
    }

    /// Its file, if that is one inside the manifest's folder.
    pub(super) fn path(&self) -> anyhow::Result<PathBuf> {
        let path = Path::new(self.file.as_deref().context("there is no picture of it")?);
        if path.as_os_str().is_empty() || !path.components().all(|part| matches!(part, Component::Normal(_))) {
            bail!("{path:?} is no file below the manifest's folder");
        }
        Ok(path.to_owned())
    }
}

/// The label that stands; of several senders' the latest.
pub(super) fn label(record: &FrameRecord) -> Option<&str> {
    let standing = record.feedback.iter().filter(|said| said.standing).map(|said| &said.feedback);
    standing.max_by_key(|feedback| (feedback.at, feedback.id)).map(|feedback| feedback.statement.label())
}

/// `<label>/<frame>.jpg`. A frame that waits for a label lies beside the manifest: a folder of its own would be a class
/// to every reader of such exports.
fn file(frame: Ulid, label: Option<&str>, blob: &BlobRef) -> String {
    let name = format!("{frame}.{}", extension(blob.format));
    label.map_or_else(|| name.clone(), |label| format!("{}/{name}", to_folder(label)))
}

/// A label as the name of a folder on any file system: what can't be in one is written `%2F`. One that is too long is cut
/// and ends with a part of its hash; the manifest has it whole.
pub(super) fn to_folder(label: &str) -> String {
    let mut name = String::new();
    let last = label.chars().count().saturating_sub(1);
    for (index, c) in label.chars().enumerate() {
        let edge = matches!(c, '.' | ' ') && (index == 0 || index == last);
        if edge || c.is_control() || matches!(c, '/' | '\\' | '%' | ':' | '*' | '?' | '"' | '<' | '>' | '|') {
            c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| name.push_str(&format!("%{byte:02X}")));
        } else {
            name.push(c);
        }
    }
    if name.is_empty() {
        return "%".to_owned();
    }
    if name.len() > LONGEST {
        let hash = Sha256Sum::of(label.as_bytes()).to_string();
        name.truncate(name.floor_char_boundary(LONGEST));
        name = format!("{name}~{}", &hash[..16]);
    }
    name
}

/// The label that a folder's name stands for.
pub(super) fn from_folder(name: &str) -> String {
    if name == "%" {
        return String::new();
    }
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let code = code.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        if let Some(byte) = code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    // A name that was not made by us may say anything.
    String::from_utf8(bytes).unwrap_or_else(|_| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_safe_folders_and_come_back() {
        for label in [
            "ski",
            "red wine",
            "tiger shark, shark",
            "斑马",
            "a/b",
            "..",
            ".",
            "",
            "50% off",
            "%2F",
            "x.",
            " x ",
            "a\0\n\\:",
        ] {
            let folder = to_folder(label);
            assert_eq!(from_folder(&folder), label, "{folder:?}");
            assert!(
                !folder.contains(['/', '\\', '\0']) && !folder.starts_with('.') && !folder.is_empty(),
                "{folder:?}"
            );
        }
        assert_eq!(to_folder("tiger shark, shark"), "tiger shark, shark");
        assert_eq!(to_folder("../x"), "%2E.%2Fx");
        let long = [to_folder(&"斑".repeat(300)), to_folder(&"斑".repeat(301))];
        assert!(long[0] != long[1] && long.iter().all(|name| name.len() < 255), "{long:?}");
        assert_eq!(from_folder("100%"), "100%");
    }

    #[test]
    fn what_was_taken_back_is_not_exported_and_its_frame_waits() {
        let frame = Ulid(7);
        let said = |id: u128, label: &str, withdrawn: bool| {
            let feedback = serde_json::json!({
                "id": Ulid(id), "frame": frame, "at": "2026-01-01T00:00:00Z", "via": "mqtt",
                "statement": {"said": "label", "label": label}, "model": {"name": "m", "version": "1"},
                "blob": BlobRef::of(b"picture", crate::frame::decode::Format::Jpeg),
            });
            Said { feedback: serde_json::from_value(feedback).unwrap(), standing: !withdrawn, withdrawn }
        };
        let record = |feedback: Vec<Said>| {
            let blob = feedback.first().map(|said| said.feedback.blob);
            FrameRecord { frame, collected: None, feedback, blob, exported: false }
        };
        let line = Line::new(record(vec![said(1, "ski", false), said(2, "sled", true)]));
        assert_eq!((line.label.as_deref(), line.feedback.len(), line.collected), (Some("ski"), 1, None));
        let line = Line::new(record(vec![said(2, "sled", true)]));
        assert_eq!((line.label, line.feedback.len()), (None, 0));
        assert_eq!(line.collected.map(|waits| waits.reason).as_deref(), Some(crate::feedback::record::WITHDRAWN));
    }

    #[test]
    fn a_file_outside_of_the_folder_is_refused() {
        for (file, fine) in [
            ("red/1.jpg", true),
            ("1.jpg", true),
            ("../1.jpg", false),
            ("/etc/passwd", false),
            ("a/../../b", false),
            ("", false),
        ] {
            let text = format!(
                r#"{{"v":1,"frame":"01JDC000000000000000000000","file":{file:?},"label":null,"blob":null,"feedback":[]}}"#
            );
            assert_eq!(Line::parse(&text).unwrap().path().is_ok(), fine, "{file}");
        }
        let error = Line::parse(r#"{"v":2}"#).unwrap_err().to_string();
        assert!(error.contains("written by a newer one"), "{error}");
    }
}
