//! Bars against the calendar: each edge is where the rounded local time changes.

use jiff::civil::date;
use proptest::prelude::*;

use crate::chart::bar_interval::*;

const HOUR_NS: i64 = 3_600_000_000_000;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn interval(text: &str) -> BarInterval {
    text.parse().unwrap()
}

/// Local midnight, ns.
fn midnight(zone: &TimeZone, year: i16, month: i8, day: i8) -> i64 {
    let zoned = date(year, month, day).to_zoned(zone.clone()).unwrap();
    i64::try_from(zoned.timestamp().as_nanosecond()).unwrap()
}

/// Local times of the edges, and the lengths of the bars in minutes.
fn day(zone: &TimeZone, (year, month, day): (i16, i8, i8), bars: &str) -> (Vec<String>, Vec<i64>) {
    let start = midnight(zone, year, month, day);
    let tomorrow = date(year, month, day).tomorrow().unwrap();
    let end = midnight(zone, tomorrow.year(), tomorrow.month(), tomorrow.day());
    let edges = interval(bars).edges(TimeSpan { start, end }, zone);
    let clock = |ns: &i64| {
        let at = Timestamp::from_nanosecond((*ns).into()).unwrap().to_zoned(zone.clone());
        format!("{}:{:02}", at.hour(), at.minute())
    };
    (edges.iter().map(clock).collect(), edges.windows(2).map(|pair| (pair[1] - pair[0]) / (HOUR_NS / 60)).collect())
}

#[test]
fn bars_of_hours_begin_at_round_hours_also_when_the_clock_is_changed() {
    let new_york = zone("America/New_York");
    let (clocks, minutes) = day(&new_york, (2024, 3, 10), "4h");
    assert_eq!(clocks, ["0:00", "4:00", "8:00", "12:00", "16:00", "20:00", "0:00"]);
    assert_eq!(minutes, [180, 240, 240, 240, 240, 240]);
    let (clocks, minutes) = day(&new_york, (2024, 11, 3), "4h");
    assert_eq!(clocks, ["0:00", "4:00", "8:00", "12:00", "16:00", "20:00", "0:00"]);
    assert_eq!(minutes, [300, 240, 240, 240, 240, 240]);
    // A skipped hour has no bar, a repeated one has two.
    let (clocks, minutes) = day(&new_york, (2024, 3, 10), "1h");
    assert_eq!((&clocks[..4], clocks.len()), (&["0:00", "1:00", "3:00", "4:00"].map(String::from)[..], 24));
    assert!(minutes.iter().all(|minutes| *minutes == 60));
    let (clocks, minutes) = day(&new_york, (2024, 11, 3), "1h");
    assert_eq!((&clocks[..4], clocks.len()), (&["0:00", "1:00", "1:00", "2:00"].map(String::from)[..], 26));
    assert!(minutes.iter().all(|minutes| *minutes == 60));
    // A bar whose first hour is skipped begins with the change: Berlin goes from 2:00 to 3:00, and back from 3:00.
    let (clocks, minutes) = day(&zone("Europe/Berlin"), (2024, 3, 31), "2h");
    assert_eq!((&clocks[..3], &minutes[..3]), (&["0:00", "3:00", "4:00"].map(String::from)[..], &[120, 60, 120][..]));
    let (clocks, minutes) = day(&zone("Europe/Berlin"), (2024, 10, 27), "2h");
    assert_eq!((&clocks[..3], &minutes[..3]), (&["0:00", "2:00", "4:00"].map(String::from)[..], &[120, 180, 120][..]));
    // Offsets of half an hour (India), and a clock change of half an hour (Lord Howe).
    assert_eq!(day(&zone("Asia/Kolkata"), (2024, 3, 10), "30m").0[..3], ["0:00", "0:30", "1:00"]);
    let (clocks, _) = day(&zone("Australia/Lord_Howe"), (2024, 4, 7), "30m");
    assert_eq!(clocks[..6], ["0:00", "0:30", "1:00", "1:30", "1:30", "2:00"]);
}

#[test]
fn bars_of_days_are_calendar_days_of_their_zone() {
    let new_york = zone("America/New_York");
    let noon = |month, day| midnight(&new_york, 2024, month, day) + 12 * HOUR_NS;
    let hours = |span: TimeSpan, zone: &TimeZone| {
        let edges = interval("1d").edges(span, zone);
        edges.windows(2).map(|pair| (pair[1] - pair[0]) / HOUR_NS).collect::<Vec<_>>()
    };
    assert_eq!(hours(TimeSpan { start: noon(3, 9), end: noon(3, 11) }, &new_york), [24, 23, 24]);
    assert_eq!(hours(TimeSpan { start: noon(11, 2), end: noon(11, 4) }, &new_york), [24, 25, 24]);
    // Cairo's daylight saving time begins at midnight, so its day begins at one.
    let cairo = zone("Africa/Cairo");
    assert_eq!(day(&cairo, (2024, 4, 26), "1d"), (vec!["1:00".into(), "0:00".into()], vec![23 * 60]));
    // Samoa had no 30 December 2011.
    let apia = zone("Pacific/Apia");
    let start = midnight(&apia, 2011, 12, 29);
    let edges = interval("1d").edges(TimeSpan { start, end: start + 30 * HOUR_NS }, &apia);
    assert_eq!(edges, [start, start + 24 * HOUR_NS, start + 48 * HOUR_NS]);
    assert_eq!(edges[1], midnight(&apia, 2011, 12, 31));
    // Weeks begin on Mondays.
    let week = BarInterval::Seconds(7 * DAY_S).edges(TimeSpan { start: noon(3, 9), end: noon(3, 12) }, &new_york);
    assert_eq!(
        week,
        [midnight(&new_york, 2024, 3, 4), midnight(&new_york, 2024, 3, 11), midnight(&new_york, 2024, 3, 18)]
    );
}

#[test]
fn steps_are_taken_one_by_one_up_to_the_ends() {
    let climb = |from: &str| {
        let mut steps = vec![interval(from)];
        while steps.last().unwrap().coarser() != *steps.last().unwrap() {
            steps.push(steps.last().unwrap().coarser());
        }
        for pair in steps.windows(2) {
            assert_eq!(pair[1].finer(), pair[0]);
        }
        assert_eq!(steps[0].finer(), steps[0]);
        steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let times =
        "1 s, 2 s, 5 s, 10 s, 15 s, 30 s, 1 min, 2 min, 5 min, 10 min, 15 min, 30 min, 1 h, 2 h, 4 h, 6 h, 12 h, 1 d";
    assert_eq!(climb("1s"), times);
    assert!(
        climb("10t").starts_with("10 ticks, 20 ticks, 50 ticks, 100 ticks, 200 ticks, 500 ticks, 1000 ticks, 2000")
    );
    // From between two steps to the next one.
    assert_eq!((interval("3m").finer(), interval("3m").coarser()), (interval("2m"), interval("5m")));
    assert_eq!((interval("7t").finer(), interval("7t").coarser()), (interval("7t"), interval("10t")));
}

#[test]
fn suited_bars_are_about_ten_pixels_wide() {
    let suited = |seconds: i64| BarInterval::automatic(TimeSpan { start: 0, end: seconds * 1_000_000_000 }, 1_200);
    assert_eq!(suited(60), interval("1s"));
    assert_eq!(suited(300), interval("2s"));
    assert_eq!(suited(6 * 3_600 + 1_800), interval("5m"));
    assert_eq!(suited(86_400), interval("15m"));
    assert_eq!(suited(100 * 86_400), interval("1d"));
    assert_eq!(suited(365 * 86_400), BarInterval::Seconds(7 * DAY_S));
    assert_eq!(suited(10 * 365 * 86_400), BarInterval::Seconds(28 * DAY_S));
    for seconds in 130..100_000 {
        let BarInterval::Seconds(bar) = suited(seconds) else { panic!("bars of ticks") };
        let px = f64::from(bar) * 1_200.0 / seconds as f64;
        assert!((6.5..17.5).contains(&px), "{seconds} s: {px} px");
    }
}

#[test]
fn bars_of_ticks_become_longer_when_there_are_too_many() {
    let fits = |text: &str, ticks, columns| interval(text).fitted_to_ticks(ticks, columns);
    assert_eq!(fits("100t", 40_000, 1_200), interval("100t"));
    assert_eq!(fits("100t", 40_001, 1_200), interval("200t"));
    assert_eq!(fits("3t", u64::MAX, 0), interval("1000000t"));
    assert_eq!(fits("1m", 1_000_000, 10), interval("1m"));
}

fn instants() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), -5_000_i64..5_000, 1_500_000_000_i64..1_800_000_000]
        .prop_flat_map(|time| prop_oneof![Just(time), Just(time.saturating_mul(1_000_000_000))])
}

fn spans() -> impl Strategy<Value = TimeSpan> {
    let ends = (instants(), instants()).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let near = (instants(), 1_i64..400 * 86_400 * 1_000_000_000).prop_map(|(a, len)| (a, a.saturating_add(len)));
    let span = prop_oneof![1 => ends, 3 => near];
    span.prop_filter_map("empty", |(start, end)| (start < end).then_some(TimeSpan { start, end }))
}

fn zones() -> impl Strategy<Value = TimeZone> {
    let names = [
        "UTC",
        "America/New_York",
        "Europe/London",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Pacific/Apia",
        "America/Havana",
        "Asia/Kathmandu",
        "Africa/Cairo",
        "America/Sao_Paulo",
        "Africa/Monrovia",
    ];
    prop::sample::select(names.to_vec()).prop_map(zone)
}

fn intervals() -> impl Strategy<Value = u32> {
    let any = prop_oneof![any::<u32>(), 0_u32..100];
    prop_oneof![6 => prop::sample::select(STEPS_S.to_vec()), 2 => prop::sample::select(LONG_STEPS_S.to_vec()), 1 => any]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn edges_cover_the_span_and_lie_where_local_time_rounded_down_changes(
        span in spans(),
        zone in zones(),
        seconds in intervals(),
    ) {
        let edges = BarInterval::Seconds(seconds).edges(span, &zone);
        prop_assert!(edges.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!((2..=2 * BARS_MAX as usize).contains(&edges.len()), "{}", edges.len());
        let (first, last) = (edges[0], edges[edges.len() - 1]);
        prop_assert!(first <= span.start && last >= span.end);
        prop_assert!(edges[1] > span.start && edges[edges.len() - 2] < span.end);
        let grid = Grid::new(fitting(seconds, span, BARS_MAX));
        let offset = |time: i128| offset_and_change(&zone, time).0;
        let number = |time: i128| grid.number(time, offset(time));
        for &edge in edges.iter().filter(|edge| **edge > i64::MIN && **edge < i64::MAX) {
            let edge = i128::from(edge);
            prop_assert!(grid.begins(edge, offset(edge - 1), offset(edge)), "{}", edge);
        }
        // Within a bar the rounded local time does not change: checked on a raster and at each clock change.
        for pair in edges.windows(2).take(300) {
            let (start, end) = (i128::from(pair[0]), i128::from(pair[1]));
            let at = |part: i128| start + (end - start) * part / 8;
            let changes = zone.following(instant(start)).take(12).map(|change| change.timestamp().as_nanosecond());
            let near = changes.flat_map(|at| [at - 1, at]).filter(|at| (start..end).contains(at));
            for time in (0..8).map(at).chain(near) {
                prop_assert_eq!(number(time), number(end - 1), "{} in {:?}", time, pair);
            }
        }
    }

    #[test]
    fn fitting_bars_are_no_more_than_a_third_of_the_columns(
        span in spans(),
        columns in 0_u32..5_000,
        seconds in intervals(),
        zone in zones(),
    ) {
        let asked = BarInterval::Seconds(seconds);
        let used = asked.fitted(span, columns);
        prop_assert!(used >= asked);
        prop_assert_eq!(used.fitted(span, columns), used);
        let bars = columns / 3;
        if bars >= 8 {
            let BarInterval::Seconds(used) = used else { panic!("bars of ticks") };
            prop_assert!(i128::from(used) * NS_PER_S * i128::from(bars) >= span.len());
        }
        if let BarInterval::Seconds(suited) = BarInterval::automatic(span, columns) {
            prop_assert!(!BarInterval::Seconds(suited).edges(span, &zone).is_empty());
        }
        prop_assert!(BarInterval::Ticks(5).edges(span, &zone).is_empty());
    }
}
