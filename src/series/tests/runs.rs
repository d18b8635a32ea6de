//! Reference for downsampling in runs: each run is downsampled on its own, without a cache.

use crate::model::TimeSpan;
use crate::series::{Sample, Series};

impl Series {
    /// As [`MergedSeries::downsample_cached`](crate::series::MergedSeries::downsample_cached) of this series alone, from
    /// scratch.
    pub(crate) fn downsample_runs(&self, span: TimeSpan, columns: u32, breaks: &[i64], out: &mut Vec<Vec<Sample>>) {
        out.clear();
        let mut from = self.begin();
        for to in breaks.iter().map(|at_ns| self.seek(*at_ns)).chain([self.end()]) {
            let (mut run, to) = (Vec::new(), to.max(from));
            self.downsample_between(span, columns, (from, to), &mut run);
            let is_outside = matches!(run[..], [only] if !span.contains(only.time_ns));
            if !run.is_empty() && !is_outside {
                out.push(run);
            }
            from = to;
        }
    }
}
