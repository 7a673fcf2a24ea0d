//! Which models are taught by the clock, and when.

use jiff::ZonedDateTime;
use jiff::civil::{Date, Time};

/// The quiet hours, and what is left to be done in them: every model once a night.
#[derive(Debug)]
pub struct Night {
    from: Time,
    until: Time,
    models: Vec<String>,
    /// The night for which trainings were begun, and the models that are still to be taught in it.
    begun: Option<(Date, Vec<String>)>,
}

impl Night {
    /// Of quiet hours, which may go over midnight. The same time twice is all day.
    #[must_use]
    pub fn new(from: Time, until: Time, models: Vec<String>) -> Self {
        Self { from, until, models, begun: None }
    }

    /// Whether it is night.
    #[must_use]
    pub fn is_quiet(&self, now: Time) -> bool {
        let Self { from, until, .. } = *self;
        if from < until { (from..until).contains(&now) } else { now >= from || now < until }
    }

    /// The model whose turn it is in this night; `None` by day, and when all have had theirs.
    pub fn next(&mut self, now: &ZonedDateTime) -> Option<String> {
        if !self.is_quiet(now.time()) {
            return None;
        }
        let date = self.called(now);
        let begun = self.begun.take().filter(|(of, _)| *of == date);
        let (_, left) = self.begun.insert(begun.unwrap_or_else(|| (date, self.models.clone())));
        (!left.is_empty()).then(|| left.remove(0))
    }

    /// The day on which the night has begun.
    fn called(&self, now: &ZonedDateTime) -> Date {
        if now.time() >= self.from { now.date() } else { now.date().yesterday().unwrap_or(now.date()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::{date, time};

    fn night(from: i8, until: i8) -> Night {
        let models = ["gate", "yard"].map(str::to_owned).to_vec();
        Night::new(time(from, 0, 0, 0), time(until, 0, 0, 0), models)
    }

    #[test]
    fn quiet_hours_may_go_over_midnight() {
        for (hour, from, until, wanted) in [
            (2, 1, 5, true),
            (0, 1, 5, false),
            (5, 1, 5, false),
            (23, 22, 4, true),
            (3, 22, 4, true),
            (12, 22, 4, false),
            (12, 3, 3, true),
        ] {
            assert_eq!(night(from, until).is_quiet(time(hour, 30, 0, 0)), wanted, "{hour} {from} {until}");
        }
        assert!(!night(1, 5).is_quiet(time(5, 0, 0, 0)));
    }

    #[test]
    fn every_model_has_its_turn_once_a_night() {
        let zone = jiff::tz::TimeZone::UTC;
        let at = |day, hour| date(2026, 3, day).at(hour, 0, 0, 0).to_zoned_datetime(zone.clone()).unwrap();
        let mut night = night(22, 4);
        for (day, hour, wanted) in [
            (7, 21, None),
            (7, 22, Some("gate")),
            // After midnight it is the same night.
            (8, 1, Some("yard")),
            (8, 3, None),
            (8, 12, None),
            (8, 23, Some("gate")),
            // What was not done in a night is not made up for in the next: each begins anew.
            (9, 22, Some("gate")),
        ] {
            assert_eq!(night.next(&at(day, hour)).as_deref(), wanted, "{day} {hour}");
        }
    }
}
