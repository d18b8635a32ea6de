//! When the market's day begins.

use jiff::ToSpan as _;
use jiff::civil::Time;
use jiff::tz::TimeZone;

/// When the market's day begins.
#[derive(Debug, Clone)]
pub(in crate::consumer) struct Session {
    pub(in crate::consumer) zone: TimeZone,
    pub(in crate::consumer) start: Time,
}

impl Session {
    /// When the session that `time_ns` belongs to opened, ns.
    pub(super) fn open_ns(&self, time_ns: i64) -> i64 {
        let Ok(instant) = jiff::Timestamp::from_nanosecond(time_ns.into()) else { return i64::MIN };
        let local = instant.to_zoned(self.zone.clone());
        let opening = |date: jiff::civil::Date| {
            let opens = date.to_datetime(self.start).to_zoned(self.zone.clone()).ok()?;
            i64::try_from(opens.timestamp().as_nanosecond()).ok()
        };
        let today = opening(local.date()).filter(|open_ns| *open_ns <= time_ns);
        let yesterday = || local.date().checked_sub(1.day()).ok().and_then(opening);
        today.or_else(yesterday).unwrap_or(i64::MIN)
    }
}

#[cfg(test)]
mod tests {
    use crate::consumer::query::session::*;

    fn session(zone: &str, start: &str) -> Session {
        Session { zone: TimeZone::get(zone).unwrap(), start: start.parse().unwrap() }
    }

    #[test]
    fn a_session_opens_at_its_local_time_of_day_or_the_day_before() {
        let ns = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_nanosecond() as i64;
        let new_york = session("America/New_York", "09:30");
        assert_eq!(new_york.open_ns(ns("2013-10-07T14:00:00Z")), ns("2013-10-07T13:30:00Z"));
        assert_eq!(new_york.open_ns(ns("2013-10-07T13:29:59Z")), ns("2013-10-06T13:30:00Z"));
        // Summer time ended on the third of November: the opening stays at half past nine.
        assert_eq!(new_york.open_ns(ns("2013-11-04T15:00:00Z")), ns("2013-11-04T14:30:00Z"));
        let midnight = session("UTC", "00:00");
        assert_eq!(midnight.open_ns(ns("2013-10-07T00:00:00Z")), ns("2013-10-07T00:00:00Z"));
        for extreme in [i64::MIN, i64::MAX, 0, -1] {
            assert!(midnight.open_ns(extreme) <= extreme);
        }
    }
}
