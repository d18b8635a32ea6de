//! M4 downsampling of a merged series.

use crate::model::TimeSpan;
use crate::series::change_tracking::LoadedState;
use crate::series::column_cache::{Column, Runs};
use crate::series::{ColumnCache, Sample};

use super::MergedSeries;
use super::walk::Walk;

impl MergedSeries<'_> {
    /// Downsamples `span` to `columns` pixel columns as [`Series::downsample`](crate::series::Series::downsample) does,
    /// cut into runs: each of the sorted instants in `breaks` (ns) starts a new run, as does the end of an unknown
    /// stretch, and no run contains ticks of another one. A run without a tick in the span is left out. `out` is cleared
    /// first.
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
        let is_aligned = span.is_aligned(columns);
        let loaded = self.loaded.filter(|_| !self.is_live_sufficient(span));
        if is_aligned && loaded.is_none() {
            return self.live.downsample_cached(span, columns, breaks, cache, out);
        }
        let mut all_breaks = breaks.to_vec();
        if let Some(loaded) = loaded.filter(|loaded| loaded.has_hole())
            && let Err(at) = all_breaks.binary_search(&loaded.complete_from_ns)
        {
            all_breaks.insert(at, loaded.complete_from_ns);
        }
        if is_aligned {
            let state = |loaded: super::Loaded<'_>| LoadedState {
                revision: loaded.revision,
                is_contiguous: !loaded.has_hole(),
            };
            cache.move_to(span, columns, self.live, loaded.map(state));
            self.fill(cache, span);
            self.join_columns(span, columns, &all_breaks, Some(cache), out);
        } else {
            self.join_columns(span, columns.max(1), &all_breaks, None, out);
        }
    }

    /// Reads the invalid columns of the cache.
    fn fill(&self, cache: &mut ColumnCache, span: TimeSpan) {
        let (first, width_ns) = (cache.first, cache.width_ns);
        let mut walk = None;
        for (column, number) in cache.columns.iter_mut().zip(first..) {
            if column.is_valid {
                walk = None;
                continue;
            }
            let start_ns = number.saturating_mul(width_ns);
            let walk = walk.get_or_insert_with(|| Walk::new(self.parts(start_ns, span.end), start_ns));
            *column = Column::EMPTY;
            if let Some(points) = walk.take_points(start_ns.saturating_add(width_ns)) {
                points.emit(column);
            }
        }
    }

    /// Joins the columns and the neighbours of the span to runs.
    fn join_columns(
        &self,
        span: TimeSpan,
        columns: u32,
        breaks: &[i64],
        cache: Option<&ColumnCache>,
        out: &mut Vec<Vec<Sample>>,
    ) {
        out.clear();
        let mut runs = Runs { out, breaks, capacity: 2 * columns as usize };
        let before = span.start.checked_sub(1).and_then(|before_ns| self.at_or_before(before_ns));
        let begin_ns = before.map_or(span.start, |before| before.time_ns);
        runs.breaks = &breaks[breaks.partition_point(|&at_ns| at_ns <= begin_ns)..];
        runs.extend(before.map(|before| before.sample()));
        match cache {
            None => self.read_columns(span, (span, columns), breaks, &mut runs),
            Some(cache) => {
                for (column, start_ns) in cache.columns.iter().zip((span.start..).step_by(cache.width_ns as usize)) {
                    let end_ns = start_ns.saturating_add(cache.width_ns);
                    // A break within the column, after its first instant, separates its ticks.
                    let first_break = breaks.get(breaks.partition_point(|&at_ns| at_ns <= start_ns));
                    if first_break.is_some_and(|&at_ns| at_ns < end_ns) {
                        let column = TimeSpan { start: start_ns, end: end_ns };
                        self.read_columns(column, (span, columns), breaks, &mut runs);
                    } else {
                        runs.extend(column.samples().iter().copied());
                    }
                }
            }
        }
        runs.extend(self.at_or_after(span.end).map(|tick| tick.sample()));
        out.retain(|run| !matches!(run[..], [only] if !span.contains(only.time_ns)));
    }

    /// Reads the columns of `part`, a part of `span`, without the cache.
    fn read_columns(&self, part: TimeSpan, (span, columns): (TimeSpan, u32), breaks: &[i64], runs: &mut Runs<'_>) {
        let mut walk = Walk::new(self.parts(part.start, part.end), part.start);
        while let Some(time_ns) = walk.next_ns().filter(|time_ns| *time_ns < part.end) {
            let column_end_ns = span.column_start(span.column(time_ns, columns) + 1, columns);
            let next_break = breaks.get(breaks.partition_point(|&at_ns| at_ns <= time_ns));
            let end_ns = next_break.map_or(column_end_ns, |&at_ns| at_ns.min(column_end_ns)).min(part.end);
            if let Some(points) = walk.take_points(end_ns) {
                points.emit(runs);
            }
        }
    }
}
