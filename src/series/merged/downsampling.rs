//! M4 downsampling of a merged series.

use std::borrow::Cow;

use crate::model::TimeSpan;
use crate::series::column_cache::{Column, Runs};
use crate::series::{ColumnCache, Sample};

use super::parts_reader::PartsReader;
use super::{Loaded, MergedSeries};

impl MergedSeries<'_> {
    /// Downsamples `span` to `columns` pixel columns as [`Series::downsample`](crate::series::Series::downsample) does,
    /// cut into runs: each of the sorted instants in `breaks` (ns) starts a new run, as does the end of an unknown
    /// stretch, and no run contains ticks of another one. A run without a tick in the span is left out. `out` is
    /// cleared first.
    ///
    /// If the span is [aligned](TimeSpan::aligned), the cost depends on what has changed since the last call with the
    /// same cache; otherwise every column is read.
    pub fn downsample_cached(
        &self,
        span: TimeSpan,
        columns: u32,
        breaks: &[i64],
        cache: &mut ColumnCache,
        out: &mut Vec<Vec<Sample>>,
    ) {
        out.clear();
        let columns = columns.max(1);
        let whole = if self.is_live_sufficient(span) { Self::live(self.live) } else { *self };
        let mut breaks = Cow::Borrowed(breaks);
        if let Some(loaded) = whole.loaded.filter(Loaded::has_hole)
            && let Err(at) = breaks.binary_search(&loaded.complete_from_ns)
        {
            breaks.to_mut().insert(at, loaded.complete_from_ns);
        }
        let mut reader = whole.reader(span.start, span.end);
        let before = whole.sample_before(span.start, &mut reader);
        let begin_ns = before.map_or(span.start, |before| before.time_ns);
        let first_break = breaks.partition_point(|&at_ns| at_ns <= begin_ns);
        let mut runs = Runs { out, breaks: &breaks[first_break..], capacity: 2 * columns as usize };
        runs.extend(before);
        if span.is_aligned(columns) {
            cache.move_to(span, columns, self.live, whole.loaded_state());
            fill(cache, &mut reader);
            for (column, start_ns) in cache.columns.iter().zip((span.start..).step_by(cache.width_ns as usize)) {
                let part = TimeSpan { start: start_ns, end: start_ns.saturating_add(cache.width_ns) };
                // A break within the column, after its first instant, separates its ticks.
                let next_break = breaks.get(breaks.partition_point(|&at_ns| at_ns <= start_ns));
                if next_break.is_some_and(|&at_ns| at_ns < part.end) {
                    read_columns(&mut reader, part, (span, columns), &breaks, &mut runs);
                } else {
                    runs.extend(column.samples().iter().copied());
                }
            }
        } else {
            read_columns(&mut reader, span, (span, columns), &breaks, &mut runs);
        }
        runs.extend(whole.sample_from(span.end, &mut reader));
        out.retain(|run| !matches!(run[..], [only] if !span.contains(only.time_ns)));
    }

    /// The latest tick before an instant, which the reader mostly has.
    fn sample_before(&self, time_ns: i64, reader: &mut PartsReader<'_>) -> Option<Sample> {
        let position = reader.seek(time_ns);
        let before = || self.at_or_before(time_ns.checked_sub(1)?).map(|tick| tick.sample());
        reader.sample_before(position).or_else(before)
    }

    /// The earliest tick that is not before an instant, which the reader mostly has.
    fn sample_from(&self, time_ns: i64, reader: &mut PartsReader<'_>) -> Option<Sample> {
        let (number, place) = reader.seek(time_ns);
        let part = reader.parts[number];
        if place > part.from {
            return (place < part.to).then(|| reader.sample((number, place)));
        }
        self.at_or_after(time_ns).map(|tick| tick.sample())
    }
}

/// Reads the invalid columns of the cache.
fn fill(cache: &mut ColumnCache, reader: &mut PartsReader<'_>) {
    let mut next = None;
    let (first, width_ns) = (cache.first, cache.width_ns);
    for (column, number) in cache.columns.iter_mut().zip(first..) {
        if column.is_valid {
            next = None;
            continue;
        }
        let from = next.unwrap_or_else(|| reader.seek(number.saturating_mul(width_ns)));
        let to = reader.seek_from(from, (number + 1).saturating_mul(width_ns));
        *column = Column::EMPTY;
        reader.downsample(from..to, column);
        next = Some(to);
    }
}

/// Reads the columns of `part`, a part of `span`, without the cache.
fn read_columns(
    reader: &mut PartsReader<'_>,
    part: TimeSpan,
    (span, columns): (TimeSpan, u32),
    breaks: &[i64],
    runs: &mut Runs<'_>,
) {
    let (mut from, end) = (reader.seek(part.start), reader.seek(part.end));
    while from < end {
        let time_ns = reader.time(from);
        let column_end_ns = span.column_start(span.column(time_ns, columns) + 1, columns);
        let next_break = breaks.get(breaks.partition_point(|&at_ns| at_ns <= time_ns));
        let end_ns = next_break.map_or(column_end_ns, |&at_ns| at_ns.min(column_end_ns)).min(part.end);
        let to = reader.seek_from(from, end_ns);
        reader.downsample(from..to, runs);
        from = to;
    }
}
