//! Ranges of time in which ticks are missing.

use std::collections::VecDeque;

/// Maximum number of ranges remembered: more than a screen has columns. Beyond it, the two oldest are merged.
pub const MISSING_RANGES_MAX: usize = 4_096;

/// Reason why ticks are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingCause {
    /// The connection was down.
    Disconnected,
    /// The producers' sequence numbers skip some.
    Lost,
}

/// Range of time in which ticks are, or may be, missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingRange {
    /// Latest event time before the range, ns since the Unix epoch.
    pub start_ns: i64,
    /// Event time of the first tick after the range, ns, at least `start_ns`; `None` until that tick arrives.
    pub end_ns: Option<i64>,
    /// Number of ticks known to be missing from the producers' sequence numbers.
    pub lost: u64,
    /// Why ticks are missing.
    pub cause: MissingCause,
}

/// Missing ranges in order of their start. Each has a permanent number.
#[derive(Debug, Default)]
pub(super) struct MissingRanges {
    /// Number of the first range in the list; earlier ones were merged into it.
    first: u64,
    list: VecDeque<MissingRange>,
}

impl MissingRanges {
    /// Ranges that still miss ticks. A range whose lost ticks all arrived is left out.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &MissingRange> {
        self.list.iter().filter(|range| range.cause == MissingCause::Disconnected || range.lost > 0)
    }

    /// Returns whether the last range has no end yet.
    pub(super) fn is_open(&self) -> bool {
        self.list.back().is_some_and(|range| range.end_ns.is_none())
    }

    /// Opens a range for an outage. Returns `false` if one is open already.
    pub(super) fn open(&mut self, start_ns: i64) -> bool {
        let opens = !self.is_open();
        if opens {
            self.push(MissingRange { start_ns, end_ns: None, lost: 0, cause: MissingCause::Disconnected });
        }
        opens
    }

    /// Ends the open range. Returns `false` if there is none.
    pub(super) fn close(&mut self, end_ns: i64) -> bool {
        let Some(range) = self.list.back_mut().filter(|range| range.end_ns.is_none()) else { return false };
        range.end_ns = Some(end_ns.max(range.start_ns));
        true
    }

    /// Number of the range in which [`MissingRanges::add`] records a loss after `start_ns`.
    pub(super) fn number_for(&self, start_ns: i64) -> u64 {
        let next = self.first + self.list.len() as u64;
        if self.extends_last(start_ns) { next - 1 } else { next }
    }

    /// Records that `lost` ticks are missing between `start_ns` and `end_ns`: in the last range if it is open or
    /// reaches up to here, otherwise in a new one.
    pub(super) fn add(&mut self, lost: u64, start_ns: i64, end_ns: i64) {
        let end_ns = end_ns.max(start_ns);
        if !self.extends_last(start_ns) {
            self.push(MissingRange { start_ns, end_ns: Some(end_ns), lost, cause: MissingCause::Lost });
        } else if let Some(range) = self.list.back_mut() {
            range.lost = range.lost.saturating_add(lost);
            range.end_ns = range.end_ns.map(|end| end.max(end_ns));
        }
    }

    /// Records that a lost tick of the range with this number arrived late.
    pub(super) fn recover(&mut self, number: u64) {
        if let Some(range) = self.list.get_mut(number.saturating_sub(self.first) as usize) {
            range.lost = range.lost.saturating_sub(1);
        }
    }

    /// Records that everything published during outages was received after all: only ticks missing from the sequence
    /// numbers stay missing. Returns whether a range changed.
    pub(super) fn recover_outages(&mut self) -> bool {
        let mut changed = false;
        for range in self.list.iter_mut().filter(|range| range.cause == MissingCause::Disconnected) {
            range.cause = MissingCause::Lost;
            range.end_ns.get_or_insert(range.start_ns);
            changed = true;
        }
        changed
    }

    /// Returns whether a loss that starts at `start_ns` belongs to the last range: it is open, or no tick lies in
    /// between.
    fn extends_last(&self, start_ns: i64) -> bool {
        let is_adjacent = |range: &MissingRange, end: i64| range.cause == MissingCause::Lost && start_ns <= end;
        self.list.back().is_some_and(|range| range.end_ns.is_none_or(|end| is_adjacent(range, end)))
    }

    fn push(&mut self, range: MissingRange) {
        self.list.push_back(range);
        if self.list.len() <= MISSING_RANGES_MAX {
            return;
        }
        if let (Some(oldest), Some(next)) = (self.list.pop_front(), self.list.front_mut()) {
            self.first += 1;
            next.start_ns = next.start_ns.min(oldest.start_ns);
            next.end_ns = next.end_ns.map(|end| end.max(oldest.end_ns.unwrap_or(end)));
            next.lost = next.lost.saturating_add(oldest.lost);
            if oldest.cause == MissingCause::Disconnected {
                next.cause = MissingCause::Disconnected;
            }
        }
    }
}
