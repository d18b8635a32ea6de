//! Commit barrier: establishes up to which point the database holds everything that arrived.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{HistoryReader, Next};
use crate::chart::{BackfillRequest, BackfillState, complete_memory};
use crate::series::{ArrivalMark, Series, SeriesMap};

/// Interval of the checks for a commit.
const COMMIT_POLL: Duration = Duration::from_millis(20);

/// Time without a commit after which the database counts as behind.
const BEHIND_AFTER: Duration = Duration::from_secs(1);

/// Position of the feed at an instant.
#[derive(Debug, Clone)]
pub(super) struct CommitPoint {
    at: Instant,
    /// Ticks received from the network and meant for the database.
    received: u64,
    /// Ticket whose commit covers all of them, once known.
    ticket: Option<u64>,
    /// Position of each loaded symbol's series.
    marks: Vec<ArrivalMark>,
    /// Newest tick of all symbols.
    newest_ns: i64,
    /// Oldest tick that arrived since the previous point.
    since_ns: Option<i64>,
}

impl HistoryReader {
    /// Moves the commit point as far as `request` needs. Returns true once the database is known to hold everything up
    /// to it.
    pub(super) fn pass_barrier(&mut self, request: &BackfillRequest) -> bool {
        if self.pending.is_none() && self.needs_later_point(request) {
            self.pending = self.commit_point();
        }
        let Some(pending) = &mut self.pending else { return self.committed_ns.is_some() };
        if pending.ticket.is_none() {
            // Ticks reach the series a moment before they are queued for the database.
            let queued = self.storage.queued();
            pending.ticket = Some(queued.ticket).filter(|_| queued.ticks >= pending.received);
        }
        if !pending.ticket.is_some_and(|ticket| self.storage.is_settled(ticket)) {
            return false;
        }
        let Some(point) = self.pending.take() else { return false };
        if let Some(since_ns) = point.since_ns {
            self.snapshot.loaded.drop_from(since_ns);
        }
        (self.committed_ns, self.snapshot.marks) = (Some(point.newest_ns), point.marks);
        true
    }

    /// Returns true if `request` concerns ticks behind the current commit point.
    fn needs_later_point(&self, request: &BackfillRequest) -> bool {
        let Some(committed_ns) = self.committed_ns else { return true };
        let series = self.handles.series.lock();
        let is_short = complete_memory(&series, &request.symbols).is_some_and(|(complete_from_ns, overlap_ns)| {
            let is_visible = request.span.end > committed_ns;
            is_visible && complete_from_ns.saturating_add(overlap_ns) > committed_ns.saturating_add(1)
        });
        let since_and_covered = self.oldest_since_commit(&series).zip(self.snapshot.loaded.covered());
        is_short || since_and_covered.is_some_and(|(since_ns, covered)| since_ns < covered.end)
    }

    /// Oldest tick that arrived since the commit point.
    fn oldest_since_commit(&self, series: &SeriesMap) -> Option<i64> {
        let known = self.snapshot.loaded.symbols().iter().zip(&self.snapshot.marks);
        known.filter_map(|(symbol, mark)| series.get(*symbol)?.1.earliest_since(mark)).min()
    }

    fn commit_point(&self) -> Option<CommitPoint> {
        let series = self.handles.series.lock();
        let loaded = self.snapshot.loaded.symbols().iter().filter_map(|symbol| Some(series.get(*symbol)?.1));
        let newest_ns = series.newest_ns()?;
        // Ticks that came from the database, or were not handed to it, are not awaited.
        let counters = &self.handles.feed.counters;
        let others = [&counters.restored, &counters.unstored].map(|count| count.load(Ordering::Relaxed));
        let received = series.counters().received.saturating_sub(others.iter().sum());
        let (marks, since_ns) = (loaded.map(Series::arrival_mark).collect(), self.oldest_since_commit(&series));
        Some(CommitPoint { at: Instant::now(), received, ticket: None, marks, newest_ns, since_ns })
    }

    pub(super) fn wait_for_commit(&mut self) -> Next {
        if self.pending.as_ref().is_some_and(|pending| pending.at.elapsed() >= BEHIND_AFTER) {
            self.set_state(BackfillState::Behind);
        }
        Next::RetryAfter(COMMIT_POLL)
    }
}
