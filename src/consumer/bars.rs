//! The bars that a frame shows: of the interval that was asked for, or of one that the view can hold.

use jiff::tz::TimeZone;

use crate::chart::BarInterval;
use crate::model::TimeSpan;
use crate::series::{Bar, BarCache, MergedSeries};

/// The bars of a span that is `columns` pixels wide, and the interval that they are of: `asked`, or what suits the view
/// where that is `None`, and a longer one where the bars would stand closer than three pixels. Bars of time are aligned
/// to the calendar of `zone`. Ticks later than `until_ns` are left out. The book is locked while this runs.
///
/// `cache` belongs to the symbol: another symbol needs another one.
pub(super) fn candles(
    tape: MergedSeries<'_>,
    asked: Option<BarInterval>,
    span: TimeSpan,
    columns: u32,
    zone: &TimeZone,
    until_ns: i64,
    cache: &mut BarCache,
) -> (BarInterval, Vec<Bar>) {
    let asked = asked.unwrap_or_else(|| BarInterval::suited(span, columns));
    let used = match asked {
        BarInterval::Seconds(_) => asked.fits(span, columns),
        BarInterval::Ticks(_) => asked.fits_ticks(tape.count(span, until_ns), columns),
    };
    let mut candles = Vec::new();
    match used {
        BarInterval::Seconds(_) => tape.bars(&used.edges(span, zone), until_ns, cache, &mut candles),
        BarInterval::Ticks(ticks) => {
            // A third of the columns and one that reaches over each end, as the interval was chosen.
            let bars_max = columns as usize / 3 + 3;
            tape.tick_bars(ticks, span, until_ns, bars_max, &mut candles);
        }
    }
    (used, candles)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Price, Timestamp};
    use crate::series::{HistoryLimits, Series};

    const SECOND: i64 = 1_000_000_000;

    /// A tick each second of an hour from midnight, rising by one.
    fn series() -> Series {
        let mut series = Series::new(HistoryLimits { ticks_max: usize::MAX, age_ns_max: None });
        for second in 0..3_600 {
            let time = Timestamp::from_nanos(second * SECOND).unwrap();
            series.push(time, Price::new(second as f64).unwrap(), Some(2.0));
        }
        series
    }

    fn bars(asked: Option<&str>, columns: u32, until_ns: i64) -> (String, Vec<Bar>) {
        let (span, asked) = (TimeSpan { start: 0, end: 3_600 * SECOND }, asked.map(|text| text.parse().unwrap()));
        let mut cache = BarCache::default();
        let (used, bars) =
            candles(MergedSeries::live(&series()), asked, span, columns, &TimeZone::UTC, until_ns, &mut cache);
        (used.to_string(), bars)
    }

    #[test]
    fn bars_are_those_asked_for_where_the_view_holds_them() {
        let (used, found) = bars(Some("5m"), 600, i64::MAX);
        assert_eq!((used.as_str(), found.len()), ("5 min", 12));
        let first = Bar {
            start_ns: 0,
            end_ns: 300 * SECOND,
            open: 0.0,
            high: 299.0,
            low: 0.0,
            close: 299.0,
            volume: 600.0,
            count: 300,
            complete: true,
        };
        assert_eq!(found[0], first);
        assert_eq!(bars(Some("1s"), 600, i64::MAX).0, "30 s");
        assert_eq!(bars(None, 600, i64::MAX).0, "1 min");
        let (used, found) = bars(Some("10t"), 600, i64::MAX);
        assert_eq!((used.as_str(), found.len(), found[0].close), ("20 ticks", 180, 19.0));
        assert_eq!(bars(Some("10t"), 1, i64::MAX).1.len(), 1);
    }

    #[test]
    fn a_paused_chart_shows_what_it_showed() {
        let (_, found) = bars(Some("5m"), 600, 400 * SECOND);
        let last = found.last().unwrap();
        assert_eq!((found.len(), last.end_ns, last.close, last.count), (2, 600 * SECOND, 400.0, 101));
        let (_, found) = bars(Some("100t"), 600, 449 * SECOND);
        let last = found.last().unwrap();
        assert_eq!((found.len(), last.end_ns, last.close, last.count), (5, 449 * SECOND, 449.0, 50));
    }
}
