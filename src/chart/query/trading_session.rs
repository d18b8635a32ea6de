//! Trading sessions.

use jiff::ToSpan as _;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

/// A daily trading session, by its time of opening.
#[derive(Debug, Clone)]
pub struct TradingSession {
    /// Time zone of the market.
    pub zone: TimeZone,
    /// Local time of day at which a session opens.
    pub open: Time,
}

impl TradingSession {
    /// Open of the session that contains `time_ns`, ns since the Unix epoch. `i64::MIN` if it cannot be represented.
    pub(super) fn open_ns(&self, time_ns: i64) -> i64 {
        let Ok(instant) = jiff::Timestamp::from_nanosecond(time_ns.into()) else { return i64::MIN };
        let date = instant.to_zoned(self.zone.clone()).date();
        let open_on = |date: Date| {
            let open = date.to_datetime(self.open).to_zoned(self.zone.clone()).ok()?;
            i64::try_from(open.timestamp().as_nanosecond()).ok()
        };
        let today = open_on(date).filter(|open_ns| *open_ns <= time_ns);
        let yesterday = || date.checked_sub(1.day()).ok().and_then(open_on);
        today.or_else(yesterday).unwrap_or(i64::MIN)
    }
}

#[cfg(test)]
mod tests {
    use crate::chart::query::trading_session::*;

    fn session(zone: &str, open: &str) -> TradingSession {
        TradingSession { zone: TimeZone::get(zone).unwrap(), open: open.parse().unwrap() }
    }

    #[test]
    fn a_session_opens_at_its_local_time_of_day_or_the_day_before() {
        let ns = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_nanosecond() as i64;
        let new_york = session("America/New_York", "09:30");
        assert_eq!(new_york.open_ns(ns("2013-10-07T14:00:00Z")), ns("2013-10-07T13:30:00Z"));
        assert_eq!(new_york.open_ns(ns("2013-10-07T13:29:59Z")), ns("2013-10-06T13:30:00Z"));
        // Daylight saving time ended on 3 November. The local time of the open stays.
        assert_eq!(new_york.open_ns(ns("2013-11-04T15:00:00Z")), ns("2013-11-04T14:30:00Z"));
        let midnight = session("UTC", "00:00");
        assert_eq!(midnight.open_ns(ns("2013-10-07T00:00:00Z")), ns("2013-10-07T00:00:00Z"));
        for extreme in [i64::MIN, i64::MAX, 0, -1] {
            assert!(midnight.open_ns(extreme) <= extreme);
        }
    }
}
