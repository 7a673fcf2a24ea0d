//! The rules of MQTT for topic filters, and for the names that become part of a topic.

/// The longest string that an MQTT packet can carry, in bytes.
const MAX_BYTES: usize = 65_535;

/// The longest name that goes into a topic, in bytes: several, and what stands between them, must fit into one.
const MAX_NAME: usize = 256;

/// Checks a topic filter to subscribe to.
///
/// # Errors
/// What the filter must be, to be read after "must be".
pub(super) fn check_filter(filter: &str) -> Result<(), &'static str> {
    if filter.is_empty() || filter.len() > MAX_BYTES {
        return Err("an MQTT topic filter of 1 to 65535 bytes");
    }
    // The broker would take either for the group of a shared subscription.
    if filter == "$share" || filter.starts_with("$share/") {
        return Err("a filter without $share/: set shared_group to the group's name");
    }
    let levels: Vec<&str> = filter.split('/').collect();
    for (index, level) in levels.iter().enumerate() {
        if level.contains('#') && (*level != "#" || index + 1 != levels.len()) {
            return Err("a filter with # only as its whole last level");
        }
        if level.contains('+') && *level != "+" {
            return Err("a filter with + only as a whole level");
        }
    }
    Ok(())
}

/// Checks a name of one level (or of several, with `slashes`) that is put into topics.
///
/// # Errors
/// What the name must be, to be read after "must be".
pub(super) fn check_name(name: &str, slashes: bool) -> Result<(), &'static str> {
    let odd_slash = if slashes { name.starts_with('/') || name.ends_with('/') } else { name.contains('/') };
    if name.is_empty() || name.len() > MAX_NAME || name.starts_with('$') || odd_slash || name.contains(['+', '#']) {
        return Err(if slashes {
            "1 to 256 bytes without + and #, with no $ at its start and no / at either end"
        } else {
            "1 to 256 bytes without / + # and with no $ at its start"
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_follow_the_rules_of_mqtt() {
        let long = "a".repeat(MAX_BYTES);
        for good in ["a", "+", "#", "a/+/b", "a/#", "+/+/#", "/a", "a/", "$SYS/#", "$shared/x", "帧/+", &long] {
            assert_eq!(check_filter(good), Ok(()), "{good}");
        }
        let longer = "a".repeat(MAX_BYTES + 1);
        for (bad, part) in [
            ("", "1 to 65535"),
            (longer.as_str(), "1 to 65535"),
            ("a+/b", "+ only"),
            ("a/b+", "+ only"),
            ("#/a", "# only"),
            ("a#", "# only"),
            ("$share/g/a", "shared_group"),
            ("$share", "shared_group"),
        ] {
            assert!(check_filter(bad).unwrap_err().contains(part), "{bad}");
        }
    }

    #[test]
    fn names_can_stand_in_a_topic() {
        for (name, one, several) in [
            ("gate", true, true),
            ("a/b", false, true),
            ("a/", false, false),
            ("/a", false, false),
            ("$a", false, false),
            ("a$", true, true),
            ("a+", false, false),
            ("#", false, false),
            ("", false, false),
        ] {
            assert_eq!((check_name(name, false).is_ok(), check_name(name, true).is_ok()), (one, several), "{name}");
        }
        assert!(check_name(&"a".repeat(MAX_NAME + 1), true).is_err());
    }
}
