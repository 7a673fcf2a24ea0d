//! What is subscribed to.

use crate::config::Source;

/// A subscription to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subscription {
    pub(super) filter: String,
    pub(super) qos: u8,
    /// Its number, from 1; messages that match it carry it (MQTT 5).
    pub(super) id: usize,
    /// What the broker has kept is wanted too.
    pub(super) retained: bool,
}

/// One subscription for each filter, without those that a wider one covers: brokers send a message once for each
/// filter that matches, and twice the frames would be twice the work.
///
/// `asked` are filters beside those of the sources, and whether what the broker has kept is wanted of them. Returned are, with each
/// subscription, the indexes of the sources that it brings frames for.
pub(super) fn all<'a>(
    sources: impl Iterator<Item = &'a Source> + Clone,
    asked: impl Iterator<Item = (String, bool)>,
) -> Vec<(Subscription, Vec<usize>)> {
    let plain = sources.clone().filter(|source| source.shared_group.is_none());
    let plain: Vec<&str> = plain.map(|source| source.topic.as_str()).collect();
    let mut made: Vec<(Subscription, Vec<usize>)> = Vec::new();
    for (index, source) in sources.enumerate() {
        let filter = match &source.shared_group {
            Some(group) => format!("$share/{group}/{}", source.topic),
            None => widest(&source.topic, &plain).to_owned(),
        };
        // A shared subscription never brings what the broker has kept.
        let retained = source.allow_retained && source.shared_group.is_none();
        match made.iter_mut().find(|(subscription, _)| subscription.filter == filter) {
            Some((subscription, sources)) => {
                subscription.qos = subscription.qos.max(source.qos);
                subscription.retained |= retained;
                sources.push(index);
            }
            None => {
                let id = made.len() + 1;
                made.push((Subscription { filter, qos: source.qos, id, retained }, vec![index]));
            }
        }
    }
    for (filter, retained) in asked {
        let id = made.len() + 1;
        made.push((Subscription { filter, qos: 1, id, retained }, Vec::new()));
    }
    made
}

/// The filter among `all` that covers `filter` and is covered by no other.
fn widest<'a>(filter: &'a str, all: &[&'a str]) -> &'a str {
    let mut widest = filter;
    while let Some(wider) = all.iter().find(|other| **other != widest && covers(other, widest)) {
        widest = wider;
    }
    widest
}

/// Whether every topic that `narrow` matches is matched by `wide` too.
fn covers(wide: &str, narrow: &str) -> bool {
    let mut narrow = narrow.split('/');
    for level in wide.split('/') {
        match (level, narrow.next()) {
            ("#", _) => return true,
            (_, None) | (_, Some("#")) => return false,
            ("+", Some(_)) => {}
            (level, Some(other)) if level == other => {}
            _ => return false,
        }
    }
    narrow.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_covers_what_it_matches_whole() {
        let table = [
            ("#", "a/b", true),
            ("a/#", "a/+/c", true),
            ("a/+", "a/b", true),
            ("a/+", "a/+/c", false),
            ("a/+", "a/#", false),
            ("a/b", "a/+", false),
            ("a/+/c", "a/b/c", true),
            ("+/b", "a/b", true),
        ];
        for (wide, narrow, expected) in table {
            assert_eq!(covers(wide, narrow), expected, "{wide} {narrow}");
        }
    }
}
