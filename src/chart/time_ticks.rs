//! Ticks of the time axis: round instants of local time, from nanoseconds to centuries.

use jiff::civil::{self, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::model::{NS_PER_S, TimeSpan};

const NS_PER_MIN: i64 = 60 * NS_PER_S;
const NS_PER_HOUR: i64 = 60 * NS_PER_MIN;
const NS_PER_DAY: i64 = 24 * NS_PER_HOUR;

/// Minimum space between two labels, in digits.
const AIR_DIGITS: f64 = 3.0;

/// Maximum number of ticks: more than the widest monitor can label.
const TICKS_MAX: usize = 512;

/// Distance between two ticks.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    /// Nanoseconds; divides a day, or a second.
    Clock(i64),
    Days(i64),
    Months(i32),
    Years(i32),
}

impl Step {
    /// All steps, finest first. Those below a second are decimal.
    fn all() -> impl Iterator<Item = Self> {
        (0..9)
            .flat_map(|exponent| [1, 2, 5].map(|digit| Self::Clock(digit * 10_i64.pow(exponent))))
            .chain([1, 2, 5, 10, 15, 30].map(|seconds| Self::Clock(seconds * NS_PER_S)))
            .chain([1, 2, 5, 10, 15, 30].map(|minutes| Self::Clock(minutes * NS_PER_MIN)))
            .chain([1, 2, 3, 6, 12].map(|hours| Self::Clock(hours * NS_PER_HOUR)))
            .chain([1, 2, 7, 14].map(Self::Days))
            .chain([1, 2, 3, 6].map(Self::Months))
            .chain([1, 2, 5, 10, 20, 50, 100].map(Self::Years))
    }

    /// Minimum length, ns.
    fn ns_min(self) -> i64 {
        match self {
            Self::Clock(ns) => ns,
            Self::Days(days) => days * NS_PER_DAY,
            Self::Months(months) => i64::from(months) * 28 * NS_PER_DAY,
            Self::Years(years) => i64::from(years) * 365 * NS_PER_DAY,
        }
    }

    /// Decimals of the seconds.
    fn decimals(self) -> usize {
        match self {
            Self::Clock(ns) if ns < NS_PER_S => 9 - ns.ilog10() as usize,
            _ => 0,
        }
    }

    /// Length of the longest label, in characters.
    fn label_chars(self) -> usize {
        match self {
            Self::Clock(ns) if ns < NS_PER_S => "00:00:00.".len() + self.decimals(),
            Self::Clock(ns) if ns < NS_PER_MIN => "00:00:00".len(),
            Self::Clock(_) | Self::Days(_) => "Oct 07".len(),
            Self::Months(_) | Self::Years(_) => "2013".len(),
        }
    }
}

/// Ticks for an axis of `width_px` that shows `span`, as (ns since the epoch, label), strictly increasing and inside
/// the span. Labels do not touch if set in a monospaced typeface with digits `digit_px` wide. Ticks are round in the
/// local time of `zone`, also across changes of its offset. The first tick of a new day is labelled with the date.
pub fn time_ticks(span: TimeSpan, zone: &TimeZone, width_px: f64, digit_px: f64) -> Vec<(i64, String)> {
    let ns_per_px = (i128::from(span.end) - i128::from(span.start)) as f64 / width_px;
    if !(ns_per_px > 0.0 && ns_per_px.is_finite() && digit_px > 0.0) {
        return Vec::new();
    }
    let air_ns = |step: Step| (step.label_chars() as f64 + AIR_DIGITS) * digit_px * ns_per_px;
    let step = Step::all().find(|&step| step.ns_min() as f64 >= air_ns(step)).unwrap_or(Step::Years(100));

    let mut instants = match step {
        Step::Clock(ns) => clock_instants(span, zone, ns),
        Step::Days(days) => day_instants(span, zone, days),
        Step::Months(months) => month_instants(span, zone, months),
        Step::Years(years) => month_instants(span, zone, years * 12),
    };
    // At a change of the offset two ticks may be closer than the step.
    let apart_ns = (step.label_chars() as f64 + 1.0) * digit_px * ns_per_px;
    instants.dedup_by(|at, last| ((i128::from(*at) - i128::from(*last)) as f64) < apart_ns);
    label(step, zone, instants)
}

fn label(step: Step, zone: &TimeZone, instants: Vec<i64>) -> Vec<(i64, String)> {
    let mut before = None::<DateTime>;
    let mut ticks = Vec::with_capacity(instants.len());
    for at in instants {
        let now = local(zone, at);
        let midnight = now.time() == civil::Time::midnight();
        let new_day = before.map_or(midnight, |b| b.date() != now.date());
        let new_year = before.map_or(now.day_of_year() == 1, |b| b.year() != now.year());
        let text = match step {
            Step::Clock(_) if new_day => month_day(now),
            Step::Clock(ns) => clock(now, ns < NS_PER_MIN, step.decimals()),
            Step::Days(_) if !(new_year && now.day_of_year() == 1) => month_day(now),
            Step::Months(_) if !new_year => now.strftime("%b").to_string(),
            Step::Days(_) | Step::Months(_) | Step::Years(_) => now.year().to_string(),
        };
        ticks.push((at, text));
        before = Some(now);
    }
    ticks
}

/// Local time of an instant as precise as a pixel of `ns_per_px`, with the date if `dated`: `10:33:24.118`.
pub(crate) fn instant_text(time_ns: i64, zone: &TimeZone, ns_per_px: f64, dated: bool) -> String {
    let now = local(zone, time_ns);
    if ns_per_px >= NS_PER_DAY as f64 {
        return now.date().to_string();
    }
    let decimals = (NS_PER_S as f64 / ns_per_px.max(1.0)).log10().ceil().clamp(0.0, 9.0) as usize;
    let time = clock(now, ns_per_px < NS_PER_MIN as f64, decimals);
    if dated { format!("{} {time}", month_day(now)) } else { time }
}

/// Local date of an instant, `2013-10-07`.
pub(crate) fn date_text(time_ns: i64, zone: &TimeZone) -> String {
    local(zone, time_ns).date().to_string()
}

/// Time of day, `10:33`, with seconds and their decimals if `to_seconds`.
fn clock(t: DateTime, to_seconds: bool, decimals: usize) -> String {
    match (to_seconds, decimals) {
        (false, _) => t.strftime("%H:%M").to_string(),
        (true, 0) => t.strftime("%H:%M:%S").to_string(),
        (true, _) => t.strftime(&format!("%H:%M:%S%.{decimals}f")).to_string(),
    }
}

fn month_day(t: DateTime) -> String {
    t.strftime("%b %d").to_string()
}

/// Any `i64` of nanoseconds is an instant between 1677 and 2262, which jiff supports.
fn instant(ns: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(ns)).unwrap_or_default()
}

fn local(zone: &TimeZone, ns: i64) -> DateTime {
    zone.to_datetime(instant(ns))
}

/// Instants whose local time of day is a multiple of `step_ns`, computed per offset.
fn clock_instants(span: TimeSpan, zone: &TimeZone, step_ns: i64) -> Vec<i64> {
    let (step, end) = (i128::from(step_ns), i128::from(span.end));
    let mut from = i128::from(span.start);
    let mut offset = zone.to_offset(instant(span.start));
    let mut changes = zone.following(instant(span.start));
    let mut instants = Vec::new();
    while from < end && instants.len() < TICKS_MAX {
        let change = changes.next();
        let until = change.as_ref().map_or(end, |c| c.timestamp().as_nanosecond().min(end));
        let offset_ns = i128::from(offset.seconds()) * i128::from(NS_PER_S);
        let local = from + offset_ns;
        let mut at = local + (-local).rem_euclid(step) - offset_ns;
        while at < until && instants.len() < TICKS_MAX {
            instants.extend(i64::try_from(at));
            at += step;
        }
        from = until;
        if let Some(change) = change {
            offset = change.offset();
        }
    }
    instants
}

/// Local midnights, every `step` days since the epoch; weeks begin on Monday.
fn day_instants(span: TimeSpan, zone: &TimeZone, step: i64) -> Vec<i64> {
    // 1970-01-05 was a Monday.
    let anchor = civil::date(1970, 1, 5);
    let Ok(since) = local(zone, span.start).date().since(anchor) else { return Vec::new() };
    let first = i64::from(since.get_days()).div_euclid(step) * step;
    collect(span, zone, |i| anchor.checked_add((first + i * step).days()).ok())
}

/// First days of months, every `step` months since January of year 0.
fn month_instants(span: TimeSpan, zone: &TimeZone, step: i32) -> Vec<i64> {
    let start = local(zone, span.start);
    let first = (i32::from(start.year()) * 12 + i32::from(start.month()) - 1).div_euclid(step) * step;
    collect(span, zone, |i| {
        let months = i64::from(first) + i * i64::from(step);
        let year = i16::try_from(months.div_euclid(12)).ok()?;
        civil::Date::new(year, months.rem_euclid(12) as i8 + 1, 1).ok()
    })
}

/// First instants of the days that `date` numbers, as far as they lie in the span.
fn collect(span: TimeSpan, zone: &TimeZone, date: impl Fn(i64) -> Option<civil::Date>) -> Vec<i64> {
    let mut instants = Vec::new();
    for i in 0..=TICKS_MAX as i64 {
        let Some(midnight) = date(i).map(|date| date.to_datetime(civil::Time::midnight())) else { break };
        // "Compatible" moves a skipped midnight to the first instant of the day.
        let Ok(at) = zone.to_ambiguous_timestamp(midnight).compatible() else { break };
        let Ok(at) = i64::try_from(at.as_nanosecond()) else {
            // Before 1677 or after 2262: outside any span.
            if at.as_nanosecond() > 0 {
                break;
            }
            continue;
        };
        if at >= span.end {
            break;
        }
        if at >= span.start {
            instants.push(at);
        }
    }
    instants
}

#[cfg(test)]
mod tests {
    use crate::chart::time_ticks::*;
    use proptest::prelude::*;

    /// Offsets of whole hours and of quarters, a daylight saving time of half an hour, and skipped midnights.
    const ZONES: [&str; 5] = ["UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Sao_Paulo"];

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn at(text: &str) -> i64 {
        i64::try_from(text.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap()
    }

    fn labels(start: &str, end: &str, zone: &TimeZone) -> Vec<String> {
        let span = TimeSpan { start: at(start), end: at(end) };
        time_ticks(span, zone, 1_180.0, 7.0).into_iter().map(|(_, text)| text).collect()
    }

    proptest! {
        #[test]
        fn ticks_increase_inside_the_span_and_labels_never_touch(
            start in 0_i64..4_000_000_000_000_000_000,
            exponent in 0.0_f64..18.5,
            width in 0.5_f64..5_000.0,
            name in prop::sample::select(ZONES.to_vec()),
        ) {
            let span = TimeSpan { start, end: start + 10_f64.powf(exponent) as i64 + 1 };
            let zone = zone(name);
            let ticks = time_ticks(span, &zone, width, 7.2);
            let px = |ns: i64| (ns - span.start) as f64 / (span.end - span.start) as f64 * width;
            for (at, text) in &ticks {
                prop_assert!(*at >= span.start && *at < span.end);
                prop_assert!(!text.is_empty());
            }
            for pair in ticks.windows(2) {
                prop_assert!(pair[0].0 < pair[1].0);
                let room = px(pair[1].0) - px(pair[0].0);
                let longest = pair[0].1.len().max(pair[1].1.len()) as f64 * 7.2;
                prop_assert!(room >= longest, "{pair:?} {room} {longest}");
            }
            if width > 900.0 && exponent > 1.5 {
                prop_assert!(ticks.len() >= 2, "{ticks:?}");
            }
        }
    }

    #[test]
    fn the_widest_spans_have_ticks_too() {
        for (start, end) in [(i64::MIN, i64::MAX), (0, i64::MAX), (i64::MAX - 5, i64::MAX), (i64::MIN, i64::MIN + 1)] {
            time_ticks(TimeSpan { start, end }, &zone("America/New_York"), 1_000.0, 7.0);
        }
        let centuries = labels("1901-01-01T00:00:00Z", "2200-01-01T00:00:00Z", &TimeZone::UTC);
        assert!(centuries.contains(&"2000".to_owned()), "{centuries:?}");
    }

    #[test]
    fn a_trading_day_ticks_every_five_minutes_of_local_time() {
        let shown = labels("2013-10-07T14:00:00Z", "2013-10-07T14:49:00Z", &zone("America/New_York"));
        assert_eq!(shown[..3], ["10:00", "10:05", "10:10"]);
    }

    #[test]
    fn days_that_skip_or_repeat_an_hour_stay_aligned_to_local_time() {
        let zone = zone("America/New_York");
        let spring = labels("2024-03-10T04:30:00Z", "2024-03-10T10:30:00Z", &zone);
        assert!(
            spring.windows(2).any(|w| w == ["01:30", "03:00"]) || spring.windows(2).any(|w| w == ["01:00", "03:00"]),
            "{spring:?}"
        );
        let fall = labels("2024-11-03T03:00:00Z", "2024-11-03T09:00:00Z", &zone);
        assert_eq!(fall.iter().filter(|t| *t == "01:00").count(), 2, "{fall:?}");
        let days = labels("2024-03-08T00:00:00Z", "2024-03-14T00:00:00Z", &zone);
        assert!(
            days.contains(&"Mar 10".to_owned()) && days.iter().all(|t| t.starts_with("Mar") || t.ends_with(":00")),
            "{days:?}"
        );
    }

    #[test]
    fn a_new_day_shows_its_date_and_a_new_year_its_number() {
        let night = labels("2013-10-07T22:00:00Z", "2013-10-08T02:00:00Z", &TimeZone::UTC);
        assert!(night.contains(&"Oct 08".to_owned()) && !night.contains(&"00:00".to_owned()), "{night:?}");
        let winter = labels("2013-06-01T00:00:00Z", "2014-06-01T00:00:00Z", &TimeZone::UTC);
        assert!(winter.contains(&"2014".to_owned()) && winter.contains(&"Oct".to_owned()), "{winter:?}");
    }

    #[test]
    fn an_instant_is_as_exact_as_its_pixel() {
        let at = at("2013-10-07T14:33:24.118123456Z");
        let zone = zone("America/New_York");
        assert_eq!(instant_text(at, &zone, 2.3e9, false), "10:33:24");
        assert_eq!(instant_text(at, &zone, 1.0e6, false), "10:33:24.118");
        assert_eq!(instant_text(at, &zone, 0.001, false), "10:33:24.118123456");
        assert_eq!(instant_text(at, &zone, 6.0e10, true), "Oct 07 10:33");
        assert_eq!(instant_text(at, &zone, 1.0e14, true), "2013-10-07");
    }
}
