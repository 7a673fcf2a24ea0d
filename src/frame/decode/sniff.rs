//! What a payload is, from its first bytes: the format to decode, or words for the log of who sent it.

use std::fmt;

/// An image format that is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JPEG.
    Jpeg,
    /// PNG, also animated.
    Png,
    /// GIF.
    Gif,
    /// WebP, also animated.
    WebP,
    /// Windows bitmap.
    Bmp,
}

impl Format {
    /// Its media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::WebP => "image/webp",
            Self::Bmp => "image/bmp",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Gif => "GIF",
            Self::WebP => "WebP",
            Self::Bmp => "BMP",
        })
    }
}

/// The format whose signature the bytes begin with.
#[must_use]
pub fn sniff(bytes: &[u8]) -> Option<Format> {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Some(Format::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Format::Png),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Format::Gif),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Format::WebP),
        // Two letters alone would also fit a text; bytes 6 to 9 are reserved, and zero in every known writer's files.
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Some(Format::Bmp),
        _ => None,
    }
}

/// How many of the first bytes or characters are shown.
const SHOWN: usize = 24;

/// Says in a few words what bytes that are no decodable image look like, for example `JSON: {"image": …`.
#[must_use]
pub fn describe(bytes: &[u8]) -> String {
    let known = match bytes {
        [] => return "nothing".to_owned(),
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Some("TIFF, which is not supported"),
        [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', ..] => Some("AVIF, which is not supported"),
        [_, _, _, _, b'f', b't', b'y', b'p', b'h', b'e', b'i' | b'v', ..] => Some("HEIC, which is not supported"),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some("MP4 video"),
        [0, 0, 0, 1, ..] | [0, 0, 1, ..] => Some("a raw video stream"),
        [0x1f, 0x8b, ..] => Some("gzip"),
        [b'%', b'P', b'D', b'F', ..] => Some("PDF"),
        _ if bytes.iter().take(64).all(|&b| b == 0) => Some("zeros"),
        _ => None,
    };
    if let Some(known) = known {
        return known.to_owned();
    }
    let start = bytes.trim_ascii_start();
    let kind = match start {
        [b'{' | b'[', ..] => "JSON",
        [b'<', ..] => "HTML or XML",
        _ if is_text(start) => "text",
        _ => {
            let more = if bytes.len() > SHOWN { "…" } else { "" };
            return format!("bytes: {}{more}", bytes[..bytes.len().min(SHOWN)].escape_ascii());
        }
    };
    // As it is, but for what would confuse a terminal.
    let mut shown = format!("{kind}: ");
    let lossy = String::from_utf8_lossy(&start[..start.len().min(4 * SHOWN)]);
    let mut chars = lossy.chars();
    for c in chars.by_ref().take(SHOWN) {
        if matches!(c, '"' | '\'') { shown.push(c) } else { shown.extend(c.escape_debug()) }
    }
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

fn is_text(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(SHOWN)];
    match std::str::from_utf8(start) {
        Ok(text) => !text.is_empty() && !text.chars().any(|c| c.is_control() && !c.is_whitespace()),
        // A character cut by taking the start only.
        Err(e) => e.valid_up_to() > 0 && e.error_len().is_none(),
    }
}
