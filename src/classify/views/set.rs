//! Sets of views by name.

use super::{Framing, View};

/// Views of every frame, by the name of a set (`classify.views`).
#[derive(Clone, Debug, PartialEq)]
pub struct Views {
    name: &'static str,
    views: Vec<View>,
}

impl Views {
    /// The names of all sets, and what each shows.
    pub const NAMES: [(&'static str, &'static str); 6] = [
        ("center", "the centre, as the model's description has it"),
        ("flip", "the centre, and the centre mirrored"),
        ("scales", "the centre at 0.875, 1 and 1.15 times its scale, and the whole frame squeezed"),
        ("turns", "the centre, and turned by 10 degrees each way"),
        ("five", "the centre and the four corners"),
        ("ten", "the centre and the four corners, each also mirrored"),
    ];

    /// The set of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let corners = [(false, false), (true, false), (false, true), (true, true)]
            .map(|(right, bottom)| View { framing: Framing::Corner { scale: 1.0, right, bottom }, ..View::CENTER });
        let five = || [View::CENTER].into_iter().chain(corners);
        let (name, _) = Self::NAMES.into_iter().find(|(known, _)| *known == name)?;
        let views = match name {
            "center" => vec![View::CENTER],
            "flip" => vec![View::CENTER, View::CENTER.mirrored()],
            "scales" => vec![
                View::CENTER,
                View::middle(0.875),
                View::middle(1.15),
                View { framing: Framing::Squashed, ..View::CENTER },
            ],
            "turns" => vec![View::CENTER, View::CENTER.turned(10.0), View::CENTER.turned(-10.0)],
            "five" => five().collect(),
            _ => five().chain(five().map(View::mirrored)).collect(),
        };
        Some(Self { name, views })
    }

    /// What is learnt from, at most `most` views: the centre first, and ways in which the same may be seen another time.
    #[must_use]
    pub fn lesson(most: usize) -> Self {
        let zoomed = |right, bottom| View { framing: Framing::Corner { scale: 1.25, right, bottom }, ..View::CENTER };
        let mut views = vec![
            View::CENTER,
            View::CENTER.mirrored(),
            View { framing: Framing::Squashed, ..View::CENTER },
            View::middle(0.875).mirrored(),
            zoomed(false, false),
            zoomed(true, true).mirrored(),
            zoomed(true, false).mirrored(),
            zoomed(false, true),
        ];
        views.truncate(most.max(1));
        Self { name: "lesson", views }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its views, the centre first.
    #[must_use]
    pub fn views(&self) -> &[View] {
        &self.views
    }
}

impl Default for Views {
    /// The centre alone.
    fn default() -> Self {
        Self { name: "center", views: vec![View::CENTER] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_set_of_different_views_that_begins_with_the_centre() {
        for (name, _) in Views::NAMES {
            let set = Views::named(name).unwrap();
            assert_eq!((set.name(), set.views()[0]), (name, View::CENTER));
            for (at, view) in set.views().iter().enumerate() {
                assert!(!set.views()[..at].contains(view), "{name}: {view:?} twice");
            }
        }
        assert_eq!(Views::named("ten").unwrap().views().len(), 10);
        assert_eq!(Views::named("Center"), None);
    }
}
