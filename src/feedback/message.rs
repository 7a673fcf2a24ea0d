//! The feedback message, version 1: what a sender says of a frame, and what is answered.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::frame::payload::{self, PayloadError};

/// Characters allowed in `id`, `by` and `camera`.
const MAX_NAME: usize = 256;
/// Characters allowed in a label.
const MAX_LABEL: usize = 200;

/// What a sender says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The frame it is about; a picture that comes along needs none.
    pub frame: Option<Ulid>,
    /// What is right.
    pub said: Said,
    /// The sender's own id: makes a resend harmless.
    pub id: Option<String>,
    /// Who says it.
    pub by: Option<String>,
    /// The camera, for a frame that is no longer held.
    pub camera: Option<String>,
    /// The model whose classes are meant, for such a frame; that of `model.name` if none is named.
    pub model: Option<String>,
    /// The encoded picture, for such a frame.
    pub image: Option<Vec<u8>>,
    /// The node that is told; all are if none is named.
    pub node: Option<String>,
}

/// What is right, in the sender's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A label by name.
    Label(String),
    /// A class by number.
    Class(u32),
    /// The first of the classes published is right.
    Correct,
}

/// What is wrong with a feedback message.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// It is no such JSON.
    #[error("the feedback is not understood: {0}")]
    Json(String),
    /// None or several of label, class and verdict.
    #[error("one of \"label\", \"class\" and \"verdict\" is needed, there are {0}")]
    Statements(usize),
    /// A verdict other than correct.
    #[error("\"verdict\" can only be \"correct\"; for anything else say what is right with \"label\" or \"class\"")]
    Verdict,
    /// The frame's id is none.
    #[error("\"frame\" must be the id from a result, 26 letters and digits")]
    Frame,
    /// A label that is none.
    #[error("\"label\" must have 1 to {MAX_LABEL} characters, none of them a control character or a slash")]
    Label,
    /// A text that is too long.
    #[error("{field:?} is longer than {MAX_NAME} characters")]
    TooLong {
        /// The field.
        field: &'static str,
    },
    /// Neither frame nor picture.
    #[error("\"frame\" is needed, or \"image\" with the picture itself")]
    Nothing,
    /// The picture's base64 can't be taken off.
    #[error("\"image\": {0}")]
    Image(#[from] PayloadError),
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    frame: Option<Cow<'a, str>>,
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    class: Option<u32>,
    #[serde(borrow, default)]
    verdict: Option<Cow<'a, str>>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    by: Option<String>,
    #[serde(default)]
    camera: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(borrow, default)]
    image: Option<Cow<'a, str>>,
    #[serde(default)]
    node: Option<String>,
}

/// Reads a feedback message; a picture in it may have `max_bytes`.
///
/// # Errors
/// [`MessageError`], in words for the sender.
pub fn parse(json: &[u8], max_bytes: usize) -> Result<Claim, MessageError> {
    if !json.trim_ascii_start().starts_with(b"{") {
        // serde would take a list for the fields in their order.
        return Err(MessageError::Json("it is no JSON object".to_owned()));
    }
    let message: Message<'_> = serde_json::from_slice(json)
        .map_err(|error| MessageError::Json(error.to_string().chars().take(MAX_LABEL).collect()))?;
    let Message { frame, label, class, verdict, id, by, camera, model, image, node } = message;
    let count = usize::from(label.is_some()) + usize::from(class.is_some()) + usize::from(verdict.is_some());
    let said = match (label, class, verdict) {
        (Some(label), None, None) => Said::Label(checked_label(&label)?),
        (None, Some(class), None) => Said::Class(class),
        (None, None, Some(verdict)) if verdict == "correct" => Said::Correct,
        (None, None, Some(_)) => return Err(MessageError::Verdict),
        _ => return Err(MessageError::Statements(count)),
    };
    for (field, text) in [("id", &id), ("by", &by), ("camera", &camera), ("model", &model), ("node", &node)] {
        if text.as_ref().is_some_and(|text| text.chars().count() > MAX_NAME) {
            return Err(MessageError::TooLong { field });
        }
    }
    let frame = match frame {
        Some(text) => Some(text.parse::<Ulid>().map_err(|_| MessageError::Frame)?),
        None if image.is_none() => return Err(MessageError::Nothing),
        None => None,
    };
    let image = match image {
        Some(text) => Some(payload::decode_base64(text.trim().as_bytes(), max_bytes)?),
        None => None,
    };
    Ok(Claim { frame, said, id, by, camera, model, image, node })
}

fn checked_label(label: &str) -> Result<String, MessageError> {
    let label = label.trim();
    let usable = (1..=MAX_LABEL).contains(&label.chars().count())
        && !label.chars().any(|character| character.is_control() || matches!(character, '/' | '\\'))
        && !label.starts_with('.');
    if usable { Ok(label.to_owned()) } else { Err(MessageError::Label) }
}

/// What the sender hears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    /// It is on disk.
    Stored {
        /// Its id.
        #[serde(serialize_with = "as_text")]
        feedback: Ulid,
        /// Always true.
        stored: bool,
        /// The model did not know the label before.
        new_class: bool,
    },
    /// It is not, and sending it again will not help.
    Refused {
        /// Always false.
        stored: bool,
        /// Why.
        error: String,
    },
    /// It is for another node, whose answer it is to give.
    Elsewhere {
        /// Always false.
        stored: bool,
        /// Which it is for, for who has asked this node alone.
        error: String,
    },
}

impl Answer {
    /// It is on disk.
    #[must_use]
    pub fn stored(feedback: Ulid, new_class: bool) -> Self {
        Self::Stored { feedback, stored: true, new_class }
    }

    /// It is refused.
    #[must_use]
    pub fn refused(error: impl std::fmt::Display) -> Self {
        Self::Refused { stored: false, error: error.to_string() }
    }
}

fn as_text<S: serde::Serializer>(id: &Ulid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

    #[test]
    fn the_three_statements() {
        for (field, said) in [
            (r#""label":" Egyptian cat ""#, Said::Label("Egyptian cat".into())),
            (r#""class":795"#, Said::Class(795)),
            (r#""verdict":"correct""#, Said::Correct),
        ] {
            let claim = parse(format!(r#"{{"frame":"{FRAME}",{field},"id":"7","by":"me","more":[]}}"#).as_bytes(), 99);
            let claim = claim.unwrap();
            assert_eq!(claim.said, said);
            assert_eq!(claim.frame.unwrap().to_string(), FRAME);
            assert_eq!((claim.id.as_deref(), claim.by.as_deref()), (Some("7"), Some("me")));
        }
    }

    #[test]
    fn a_picture_may_come_along() {
        let claim = parse(br#"{"image":"/9j/","camera":"gate","label":"open"}"#, 9).unwrap();
        assert_eq!((claim.frame, claim.image.as_deref()), (None, Some(&[0xff, 0xd8, 0xff][..])));
        assert!(matches!(
            parse(br#"{"image":"/9j//9j/","label":"x"}"#, 3),
            Err(MessageError::Image(PayloadError::TooLarge { bytes: 6, max_bytes: 3 }))
        ));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let table = [
            ("", "not understood"),
            ("[]", "not understood"),
            (r#"{"label":1}"#, "not understood"),
            (r#"{"frame":"FRAME"}"#, "one of \"label\", \"class\" and \"verdict\" is needed, there are 0"),
            (r#"{"frame":"FRAME","label":"a","class":1}"#, "there are 2"),
            (r#"{"frame":"FRAME","verdict":"wrong"}"#, "can only be \"correct\""),
            (r#"{"frame":"x","label":"a"}"#, "26 letters and digits"),
            (r#"{"label":"a"}"#, "\"frame\" is needed"),
            (r#"{"frame":"FRAME","label":" "}"#, "1 to 200 characters"),
            (r#"{"frame":"FRAME","label":"../../etc"}"#, "slash"),
            (r#"{"frame":"FRAME","label":"a","image":"!"}"#, "\"image\": the base64 is broken"),
        ];
        for (json, wanted) in table {
            let error = parse(json.replace("FRAME", FRAME).as_bytes(), 99).unwrap_err().to_string();
            assert!(error.contains(wanted), "{json} gave {error:?}, without {wanted:?}");
        }
        let long = "x".repeat(MAX_NAME + 1);
        let error = parse(format!(r#"{{"frame":"{FRAME}","class":1,"by":"{long}"}}"#).as_bytes(), 99).unwrap_err();
        assert_eq!(error.to_string(), "\"by\" is longer than 256 characters");
    }
}
