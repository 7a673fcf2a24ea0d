//! From a message to the bytes of an image: as they are, in base64, or in JSON.

use std::borrow::Cow;
use std::fmt;

use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine as _, GeneralPurpose, GeneralPurposeConfig};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de};

use super::decode::{describe, sniff};
use crate::config::Encoding;

/// Characters allowed in `id`.
const MAX_ID: usize = 256;
/// Characters allowed in `reply_to`.
const MAX_REPLY_TO: usize = 1024;

/// What a message held.
#[derive(Debug, PartialEq)]
pub struct Unpacked<'a> {
    /// The encoded image, borrowed from the message if it was there as it is.
    pub image: Cow<'a, [u8]>,
    /// The sender's own name for the frame.
    pub id: Option<String>,
    /// When the sender says it was taken.
    pub captured_at: Option<Timestamp>,
    /// Topic to which a sender without MQTT 5 wants the answer.
    pub reply_to: Option<String>,
}

impl<'a> Unpacked<'a> {
    fn of_image(image: impl Into<Cow<'a, [u8]>>) -> Self {
        Self { image: image.into(), id: None, captured_at: None, reply_to: None }
    }
}

/// Why no image could be taken out of a message.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum PayloadError {
    /// No bytes at all, or nothing but white space.
    #[error("the payload is empty")]
    Empty,
    /// More bytes than an image may have, before or after taking off base64.
    #[error("{bytes} bytes are over the limit of {max_bytes} for an image")]
    TooLarge {
        /// How many there are.
        bytes: usize,
        /// How many the image may have.
        max_bytes: usize,
    },
    /// Neither an image nor something that could hold one.
    #[error("neither an image, nor base64, nor JSON with one, but {found}")]
    Unknown {
        /// What the first bytes look like.
        found: String,
    },
    /// The JSON can't be read.
    #[error("the JSON is not understood: {reason}")]
    Json {
        /// The parser's words.
        reason: String,
    },
    /// A field of the JSON has a value that can't be used.
    #[error("the JSON field {field:?} is {length} characters long, over the limit of {max_length}")]
    FieldTooLong {
        /// The field.
        field: &'static str,
        /// Its length, in characters.
        length: usize,
        /// The allowed length.
        max_length: usize,
    },
    /// The base64 can't be decoded.
    #[error("the base64 is broken: {reason}")]
    Base64 {
        /// What is wrong, and where.
        reason: String,
    },
}

impl PayloadError {
    /// A short name for counters, from the same list as [`DecodeError::kind`](super::decode::DecodeError::kind), with
    /// `json` and `base64` besides.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge { .. } => "too_large",
            Self::Unknown { .. } => "not_an_image",
            Self::Json { .. } | Self::FieldTooLong { .. } => "json",
            Self::Base64 { .. } => "base64",
        }
    }
}

/// Takes the image out of a message.
///
/// The image is copied only to take off base64, and then `max_bytes` is the most that is allocated. (JSON that escapes
/// characters of the base64, as PHP does with `/`, is copied once more.)
///
/// Whether the bytes found are an image is not checked, except that [`Encoding::Auto`] looks at the first of them: an
/// image's signature means that they are one; `{` opens JSON; anything else can only be base64.
///
/// # Errors
///
/// What is wrong with the message, in words for whoever sent it.
pub fn unpack(payload: &[u8], encoding: Encoding, max_bytes: usize) -> Result<Unpacked<'_>, PayloadError> {
    // A message full of spaces, or an encoding with many of them, has no business here either.
    let max_payload = match encoding {
        Encoding::Raw => max_bytes,
        _ => max_bytes.saturating_mul(2).saturating_add(1 << 14),
    };
    if payload.len() > max_payload {
        return Err(PayloadError::TooLarge { bytes: payload.len(), max_bytes });
    }
    let text = payload.trim_ascii();
    if text.is_empty() {
        return Err(PayloadError::Empty);
    }
    match encoding {
        Encoding::Raw => raw(payload, max_bytes),
        Encoding::Base64 => decode_base64(text, max_bytes).map(Unpacked::of_image),
        Encoding::Json => from_json(text, max_bytes),
        Encoding::Auto if sniff(payload).is_some() => raw(payload, max_bytes),
        Encoding::Auto if text.starts_with(b"{") => from_json(text, max_bytes),
        Encoding::Auto => decode_base64(text, max_bytes).map(Unpacked::of_image).map_err(|error| match error {
            // Only something that begins like a base64 image is one that was broken on its way.
            PayloadError::Base64 { .. } if !begins_as_base64_image(text) => {
                PayloadError::Unknown { found: describe(payload) }
            }
            other => other,
        }),
    }
}

fn raw(payload: &[u8], max_bytes: usize) -> Result<Unpacked<'_>, PayloadError> {
    if payload.len() > max_bytes {
        return Err(PayloadError::TooLarge { bytes: payload.len(), max_bytes });
    }
    Ok(Unpacked::of_image(payload))
}

/// The message as JSON. Fields that are not listed are ignored, whatever they hold.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    image: Cow<'a, str>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default, deserialize_with = "timestamp")]
    captured_at: Option<Timestamp>,
    #[serde(default)]
    reply_to: Option<String>,
}

fn from_json(text: &[u8], max_bytes: usize) -> Result<Unpacked<'_>, PayloadError> {
    if !text.starts_with(b"{") {
        // serde would take a list for the fields in their order.
        return Err(PayloadError::Json { reason: format!("it is no object, but {}", describe(text)) });
    }
    let envelope: Envelope<'_> =
        serde_json::from_slice(text).map_err(|e| PayloadError::Json { reason: shorten(&e.to_string()) })?;
    check_length("id", envelope.id.as_deref(), MAX_ID)?;
    check_length("reply_to", envelope.reply_to.as_deref(), MAX_REPLY_TO)?;
    let image = decode_base64(envelope.image.trim().as_bytes(), max_bytes)?;
    let Envelope { id, captured_at, reply_to, .. } = envelope;
    Ok(Unpacked { image: Cow::Owned(image), id, captured_at, reply_to })
}

/// Where a message wants its answer, and under which name.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ReturnAddress {
    /// The sender's own name for the frame.
    #[serde(default)]
    pub id: Option<String>,
    /// A topic.
    #[serde(default)]
    pub reply_to: Option<String>,
}

/// The return address of a message whose image is broken, or is not looked at; empty if it has none that can be read.
#[must_use]
pub fn return_address(payload: &[u8]) -> ReturnAddress {
    let text = payload.trim_ascii();
    if !text.starts_with(b"{") {
        return ReturnAddress::default();
    }
    let address: ReturnAddress = serde_json::from_slice(text).unwrap_or_default();
    let usable = check_length("id", address.id.as_deref(), MAX_ID)
        .and_then(|()| check_length("reply_to", address.reply_to.as_deref(), MAX_REPLY_TO));
    if usable.is_ok() { address } else { ReturnAddress::default() }
}

fn check_length(field: &'static str, value: Option<&str>, max_length: usize) -> Result<(), PayloadError> {
    let length = value.map_or(0, |value| value.chars().count());
    if length > max_length {
        return Err(PayloadError::FieldTooLong { field, length, max_length });
    }
    Ok(())
}

/// serde quotes a value of the wrong type in full.
fn shorten(reason: &str) -> String {
    const SHOWN: usize = 160;
    match reason.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}

/// RFC 3339, or a number of seconds or milliseconds since 1970.
fn timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    deserializer.deserialize_any(TimestampVisitor)
}

struct TimestampVisitor;

impl<'de> de::Visitor<'de> for TimestampVisitor {
    type Value = Option<Timestamp>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("captured_at as RFC 3339 text, or as seconds or milliseconds since 1970")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        /// Longer than any time that `jiff` writes.
        const MAX_LENGTH: usize = 64;
        if text.len() > MAX_LENGTH {
            return Err(E::custom(format_args!(
                "captured_at is {} bytes long, over the limit of {MAX_LENGTH}",
                text.len()
            )));
        }
        text.parse().map(Some).map_err(|_| E::custom(format_args!("captured_at is {text:?}, which is not RFC 3339")))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
        /// As seconds this is in the year 5138, as milliseconds in 1973.
        const FIRST_MILLISECONDS: f64 = 1e11;
        let milliseconds = if number.abs() < FIRST_MILLISECONDS { number * 1e3 } else { number };
        Timestamp::from_millisecond(milliseconds.round() as i64)
            .map(Some)
            .map_err(|_| E::custom(format_args!("captured_at is {number}, which is out of range")))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        self.visit_f64(number as f64)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Padding may be missing, and bits that no byte needs may be set: both are common, and neither loses anything.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Decodes base64 of either alphabet, with white space anywhere, and with the start of a `data:` URL before it.
pub(crate) fn decode_base64(text: &[u8], max_bytes: usize) -> Result<Vec<u8>, PayloadError> {
    let text = strip_data_url(text)?;
    let spaces = text.iter().filter(|b| b.is_ascii_whitespace()).count();
    let symbols = text.len() - spaces;
    if symbols == 0 {
        return Err(PayloadError::Empty);
    }
    // Exact, but for padding, which the decoder takes off: three bytes for four symbols.
    let bytes = symbols / 4 * 3 + symbols % 4 * 3 / 4;
    let padding = text.iter().rev().filter(|b| !b.is_ascii_whitespace()).take(2).filter(|&&b| b == b'=').count();
    if bytes.saturating_sub(padding) > max_bytes {
        return Err(PayloadError::TooLarge { bytes: bytes.saturating_sub(padding), max_bytes });
    }
    // Counted rather than searched for: that takes 16 bytes at a time.
    let url_safe = text.iter().filter(|&&b| b == b'-' || b == b'_').count() > 0;
    let engine = if url_safe { URL_SAFE } else { STANDARD };
    let mut out = vec![0; bytes];
    let length = if spaces == 0 {
        engine.decode_slice(text, &mut out).map_err(|e| base64_error(e, 0))?
    } else {
        decode_lines(&engine, text, &mut out)?
    };
    out.truncate(length);
    Ok(out)
}

/// Decodes base64 with white space in it, through a small buffer rather than a copy of the text.
fn decode_lines(engine: &GeneralPurpose, text: &[u8], out: &mut [u8]) -> Result<usize, PayloadError> {
    let mut symbols = text.iter().copied().filter(|b| !b.is_ascii_whitespace());
    let (mut written, mut read) = (0, 0);
    loop {
        let mut buffer = [0; 1024];
        let mut filled = 0;
        for (slot, symbol) in buffer.iter_mut().zip(&mut symbols) {
            *slot = symbol;
            filled += 1;
        }
        let length = engine.decode_slice(&buffer[..filled], &mut out[written..]).map_err(|e| base64_error(e, read))?;
        written += length;
        read += filled;
        if filled < buffer.len() {
            return Ok(written);
        }
        if length < buffer.len() / 4 * 3 {
            // The buffer ended in padding. That is right only at the end.
            return match symbols.next() {
                None => Ok(written),
                Some(_) => {
                    Err(PayloadError::Base64 { reason: format!("it goes on after the padding at symbol {read}") })
                }
            };
        }
    }
}

fn base64_error(error: base64::DecodeSliceError, offset: usize) -> PayloadError {
    use base64::{DecodeError, DecodeSliceError};
    let reason = match error {
        DecodeSliceError::DecodeError(DecodeError::InvalidByte(at, byte)) => {
            format!("{:?} at symbol {} is not of its alphabet", char::from(byte), offset + at)
        }
        DecodeSliceError::DecodeError(DecodeError::InvalidLength(length)) => {
            format!("one symbol is left over at its end, after {}", (offset + length).saturating_sub(1))
        }
        other => other.to_string(),
    };
    PayloadError::Base64 { reason }
}

/// Takes `data:image/jpeg;base64,` off.
fn strip_data_url(text: &[u8]) -> Result<&[u8], PayloadError> {
    /// More than any image type with parameters needs.
    const MAX_HEADER: usize = 128;
    let Some(rest) = text.strip_prefix(b"data:") else { return Ok(text) };
    let header = &rest[..rest.len().min(MAX_HEADER)];
    match header.iter().position(|&b| b == b',') {
        Some(comma) if header[..comma].ends_with(b";base64") => Ok(&rest[comma + 1..]),
        _ => Err(PayloadError::Base64 { reason: "a data: URL must say ;base64, before the data".to_owned() }),
    }
}

fn begins_as_base64_image(text: &[u8]) -> bool {
    let text = strip_data_url(text).unwrap_or(text);
    let mut start = [0; 24];
    text.get(..24)
        .is_some_and(|text| STANDARD.decode_slice(text, &mut start).is_ok_and(|n| sniff(&start[..n]).is_some()))
        || text.starts_with(b"data:")
}

#[cfg(test)]
mod tests;
