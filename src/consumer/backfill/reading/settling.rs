//! What of that which came is known to be in the store.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::consumer::backfill::{BackfillRequest, State, seam};
use crate::series::{ArrivalMark, Series, SeriesMap};

use crate::consumer::backfill::reading::{Next, Reading};

/// Between two looks whether the store has committed what came.
const COMMIT_POLL: Duration = Duration::from_millis(20);

/// A store that has not committed for so long is said to be behind.
const BEHIND_AFTER: Duration = Duration::from_secs(1);

/// How far the feed had come at a moment.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    at: Instant,
    /// Ticks that came by way of the network.
    received: u64,
    /// The ticket behind which the store has all of them, once that is known.
    ticket: Option<u64>,
    pub(super) marks: Vec<ArrivalMark>,
    /// Of all symbols.
    pub(super) newest_ns: i64,
    /// What came since the moment before reaches back to here.
    since_ns: Option<i64>,
}

impl Reading {
    /// Sees to it that the store is known to have all that came up to a moment, as late as is needed. Whether it is.
    pub(super) fn settle(&mut self, wish: &BackfillRequest) -> bool {
        if self.coming.is_none() && self.needs_later(wish) {
            self.coming = self.moment();
        }
        let Some(coming) = &mut self.coming else { return self.settled.is_some() };
        let Some(keeping) = self.shared.keeping() else { return false };
        if coming.ticket.is_none() {
            // What is in the book is handed over a little later.
            let handed = keeping.handed();
            coming.ticket = Some(handed.ticket).filter(|_| handed.ticks >= coming.received);
        }
        if !coming.ticket.is_some_and(|ticket| keeping.is_settled(ticket)) {
            return false;
        }
        let Some(moment) = self.coming.take() else { return false };
        if let Some(since_ns) = moment.since_ns {
            self.past.drop_from(since_ns);
        }
        self.settled = Some(moment);
        true
    }

    /// Whether what is known to be in the store does not do for the wish.
    fn needs_later(&self, wish: &BackfillRequest) -> bool {
        let Some(settled) = &self.settled else { return true };
        let book = self.shared.book();
        let is_short = seam(&book, &wish.slots).is_some_and(|(complete_from_ns, margin_ns)| {
            wish.span.end > settled.newest_ns
                && complete_from_ns.saturating_add(margin_ns) > settled.newest_ns.saturating_add(1)
        });
        is_short || self.since(&book).zip(self.past.covered()).is_some_and(|(since_ns, covered)| since_ns < covered.end)
    }

    /// How far back that reaches which came since the settled moment.
    fn since(&self, book: &SeriesMap) -> Option<i64> {
        let marks = &self.settled.as_ref()?.marks;
        let series = self.past.symbols().iter().zip(marks).filter_map(|(slot, mark)| Some((book.get(*slot)?.1, mark)));
        series.filter_map(|(series, mark)| series.earliest_since(mark)).min()
    }

    fn moment(&self) -> Option<Moment> {
        let book = self.shared.book();
        let all = || self.past.symbols().iter().filter_map(|slot| Some(book.get(*slot)?.1));
        let newest_ns = book.newest_ns()?;
        let marks = all().map(Series::arrival_mark).collect();
        // What the store has to do with: not what came from it, nor what was shown while nobody knew where it ends.
        let others = [self.shared.restored(), self.shared.unkept()].map(|count| count.load(Ordering::Relaxed));
        let received = book.counters().received.saturating_sub(others.iter().sum());
        Some(Moment { at: Instant::now(), received, ticket: None, marks, newest_ns, since_ns: self.since(&book) })
    }

    pub(super) fn wait_for_commit(&mut self) -> Next {
        if self.coming.as_ref().is_some_and(|coming| coming.at.elapsed() >= BEHIND_AFTER) {
            self.set_state(State::Behind);
        }
        Next::After(COMMIT_POLL)
    }
}
