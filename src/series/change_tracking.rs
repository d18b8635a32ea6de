//! Detection of what changed in a series between two frames, for the caches of columns and bars.

use super::Series;

/// Number of recent late ticks whose times a series remembers. After more late ticks between two frames, everything
/// counts as changed.
pub(super) const LATE_TIMES_MAX: usize = 64;

/// Snapshot of a series that shows whether and where it has changed since.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SeriesState {
    received: u64,
    evicted: u64,
    reordered: u64,
    oldest_ns: i64,
    newest_ns: i64,
    /// Revision of the loaded history, and the number of ticks that it has because they came too late for memory.
    loaded: Option<(u64, u64)>,
}

/// Loaded history that precedes a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LoadedState {
    /// Grows with every change; never 0.
    pub(super) revision: u64,
    /// Set if the history reaches up to the series, so that it holds whatever the series evicts.
    pub(super) is_contiguous: bool,
}

impl Series {
    fn state(&self, loaded: Option<LoadedState>) -> Option<SeriesState> {
        let (oldest_ns, newest_ns) = (self.oldest_ns()?, self.newest_ns());
        let loaded = loaded.map(|loaded| (loaded.revision, self.too_late));
        let Self { received, evicted, reordered, .. } = *self;
        Some(SeriesState { received, evicted, reordered, oldest_ns, newest_ns, loaded })
    }

    /// Brings `state` up to date. Calls `changed` with the first and last instant, in ns, of each interval of time
    /// whose ticks may differ from those that the old state describes.
    pub(super) fn track_changes(
        &self,
        state: &mut Option<SeriesState>,
        loaded: Option<LoadedState>,
        mut changed: impl FnMut(i64, i64),
    ) {
        let before = std::mem::replace(state, self.state(loaded));
        let (Some(before), Some(now)) = (before, *state) else { return changed(i64::MIN, i64::MAX) };
        if before == now {
            return;
        }
        if before.loaded != now.loaded {
            return changed(i64::MIN, i64::MAX);
        }
        // A counter that fell belongs to another series.
        let late = now.reordered.checked_sub(before.reordered).and_then(|late| usize::try_from(late).ok());
        let Some(late) = late.filter(|late| *late <= LATE_TIMES_MAX && now.evicted >= before.evicted) else {
            return changed(i64::MIN, i64::MAX);
        };
        self.late_times.iter().rev().take(late).for_each(|time_ns| changed(*time_ns, *time_ns));
        if now.evicted > before.evicted {
            match loaded {
                // No tick precedes the oldest one.
                None => changed(before.oldest_ns.min(now.oldest_ns), now.oldest_ns),
                Some(loaded) if !loaded.is_contiguous => changed(i64::MIN, now.oldest_ns),
                Some(_) => {}
            }
        }
        // New ticks may have the same time as the previously newest one.
        changed(before.newest_ns, i64::MAX);
    }
}
