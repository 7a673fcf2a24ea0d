//! How a source names its camera.

use super::topic::check_name;

/// Where a frame's camera name comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CameraName {
    /// This level of the frame's topic, from 0 (`"{1}"`). Under a `#` a topic may have too few levels; only there.
    Level(usize),
    /// The same name for every frame.
    Literal(String),
}

impl CameraName {
    /// Reads `text` for a source with this (valid) topic filter.
    ///
    /// # Errors
    /// What it must be, to be read after "must be".
    pub(super) fn parse(text: &str, filter: &str) -> Result<Self, String> {
        let Some(inside) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            if text.contains(['{', '}']) {
                return Err("{N} for level N of the topic, or a name without braces".to_owned());
            }
            check_name(text, false)?;
            return Ok(Self::Literal(text.to_owned()));
        };
        let digits = !inside.is_empty() && inside.bytes().all(|b| b.is_ascii_digit());
        let Some(level) = inside.parse().ok().filter(|_| digits) else {
            return Err("{N} with a number from 0".to_owned());
        };
        let levels = filter.split('/').count();
        if level >= levels && !filter.ends_with('#') {
            return Err(format!("{{0}} to {{{}}}, the levels of \"{filter}\"", levels - 1));
        }
        Ok(Self::Level(level))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_is_a_level_or_a_name() {
        for (text, filter, want) in [
            ("{0}", "a", Ok(CameraName::Level(0))),
            ("{1}", "cameras/+/frame", Ok(CameraName::Level(1))),
            ("{5}", "a/#", Ok(CameraName::Level(5))),
            ("{3}", "a/+/c", Err("{0} to {2}, the levels of \"a/+/c\"")),
            ("gate", "a", Ok(CameraName::Literal("gate".into()))),
            ("大门", "a", Ok(CameraName::Literal("大门".into()))),
            ("", "a", Err("1 to 256 bytes without / + # and with no $ at its start")),
            ("a/b", "a", Err("1 to 256 bytes without / + # and with no $ at its start")),
            ("{x}", "a", Err("{N} with a number from 0")),
            ("{}", "a", Err("{N} with a number from 0")),
            ("{+1}", "a/b", Err("{N} with a number from 0")),
            ("{99999999999999999999999}", "#", Err("{N} with a number from 0")),
            ("cam-{1}", "a/b", Err("{N} for level N of the topic, or a name without braces")),
            ("{", "a", Err("{N} for level N of the topic, or a name without braces")),
        ] {
            assert_eq!(CameraName::parse(text, filter), want.map_err(str::to_owned), "{text} in {filter}");
        }
    }
}
