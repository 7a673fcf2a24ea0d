//! Pictures are named by what they are: the hash of their bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use ulid::Ulid;

use crate::frame::decode::Format;

/// A picture in the store, by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRef {
    /// Hash of its bytes, which is its name.
    pub sha256: Sha256Sum,
    /// Its size, bytes.
    pub bytes: u64,
    /// What the bytes are; also the file name's extension.
    #[serde(serialize_with = "write_format", deserialize_with = "read_format")]
    pub format: Format,
}

impl BlobRef {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8], format: Format) -> Self {
        let length = bytes.len().try_into().unwrap_or(u64::MAX);
        Self { sha256: Sha256Sum::of(bytes), bytes: length, format }
    }
}

/// A SHA-256, as 64 lower case hexadecimal digits in text. Nothing else can be read into it, so that a path made from
/// one never leaves the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256Sum(pub [u8; 32]);

impl Sha256Sum {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The id of a picture that was no frame here: the same each time it is sent or imported, so that a resend is known as
    /// one, and opinions of several senders about one picture meet. Its time part is zero, which no frame's is.
    #[must_use]
    pub fn frame_id(&self) -> Ulid {
        let mut bytes = [0; 16];
        bytes[6..].copy_from_slice(&self.0[..10]);
        Ulid::from_bytes(bytes)
    }
}

impl fmt::Display for Sha256Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is wrong with the text of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sha256 is 64 lower case hexadecimal digits")]
pub struct Sha256Error;

impl FromStr for Sha256Sum {
    type Err = Sha256Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        fn digit(c: u8) -> Result<u8, Sha256Error> {
            match c {
                b'0'..=b'9' => Ok(c - b'0'),
                b'a'..=b'f' => Ok(c - b'a' + 10),
                _ => Err(Sha256Error),
            }
        }
        let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| Sha256Error)?;
        let mut sum = [0; 32];
        for (byte, pair) in sum.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(sum))
    }
}

impl Serialize for Sha256Sum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256Sum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The file name extension of a format.
#[must_use]
pub fn extension(format: Format) -> &'static str {
    match format {
        Format::Jpeg => "jpg",
        Format::Png => "png",
        Format::Gif => "gif",
        Format::WebP => "webp",
        Format::Bmp => "bmp",
    }
}

/// The format that a file name extension of the store stands for.
#[must_use]
pub fn format_of(extension: &str) -> Option<Format> {
    Some(match extension {
        "jpg" => Format::Jpeg,
        "png" => Format::Png,
        "gif" => Format::Gif,
        "webp" => Format::WebP,
        "bmp" => Format::Bmp,
        _ => return None,
    })
}

fn write_format<S: Serializer>(format: &Format, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(extension(*format))
}

fn read_format<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Format, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    format_of(&text).ok_or_else(|| de::Error::custom(format_args!("unknown image format {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_hash_is_a_hash() {
        let sum = Sha256Sum([0xab; 32]);
        assert_eq!(sum.to_string().parse(), Ok(sum));
        for text in ["", "ab", "../../../../../../../../../../../../../../../../../../../../etc/pas", &"AB".repeat(32)]
        {
            assert_eq!(text.parse::<Sha256Sum>(), Err(Sha256Error), "{text:?}");
        }
    }
}
