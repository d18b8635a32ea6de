//! Spans of time in which ticks are missing.

use std::collections::VecDeque;

/// Most gaps remembered: more than there are columns on a screen. Neighbor, the two oldest become one.
pub const MISSING_RANGES_MAX: usize = 4_096;

/// Why ticks are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingCause {
    /// The connection was down.
    Disconnected,
    /// The producers' running numbers jumped.
    Lost,
}

/// A span in which ticks are missing, or may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingRange {
    /// The last event time before it, ns.
    pub start_ns: i64,
    /// Event time of the first tick after it, ns, never before the start; `None` while none has come.
    pub end_ns: Option<i64>,
    /// Ticks known to be missing, by the producers' running numbers.
    pub lost: u64,
    /// Why.
    pub cause: MissingCause,
}

/// The gaps in order of their beginning; each has a number for good.
#[derive(Debug, Default)]
pub(super) struct MissingRanges {
    /// Number of the first one in the list; those before were merged into it.
    first: u64,
    list: VecDeque<MissingRange>,
}

impl MissingRanges {
    /// Those that still miss something: a loss that was healed to the last tick is none.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &MissingRange> {
        self.list.iter().filter(|gap| gap.cause == MissingCause::Disconnected || gap.lost > 0)
    }

    /// Whether the last gap still waits for a tick.
    pub(super) fn is_open(&self) -> bool {
        self.list.back().is_some_and(|gap| gap.end_ns.is_none())
    }

    /// Opens a gap unless one is open; `true` when it did.
    pub(super) fn open(&mut self, start_ns: i64) -> bool {
        let opens = !self.is_open();
        if opens {
            self.push(MissingRange { start_ns, end_ns: None, lost: 0, cause: MissingCause::Disconnected });
        }
        opens
    }

    /// Ends the open gap, if there is one; `true` when there was.
    pub(super) fn close(&mut self, end_ns: i64) -> bool {
        let Some(gap) = self.list.back_mut().filter(|gap| gap.end_ns.is_none()) else { return false };
        gap.end_ns = Some(end_ns.max(gap.start_ns));
        true
    }

    /// Number under which a loss after `start_ns` will be recorded by [`MissingRanges::lose`].
    pub(super) fn mark_for(&self, start_ns: i64) -> u64 {
        let next = self.first + self.list.len() as u64;
        if self.takes_loss(start_ns) { next - 1 } else { next }
    }

    /// Records `lost` ticks between `start_ns` and `end_ns`: in the open gap or in a loss that reaches up to here, else
    /// as a gap of its own.
    pub(super) fn lose(&mut self, lost: u64, start_ns: i64, end_ns: i64) {
        let end_ns = end_ns.max(start_ns);
        if !self.takes_loss(start_ns) {
            self.push(MissingRange { start_ns, end_ns: Some(end_ns), lost, cause: MissingCause::Lost });
        } else if let Some(gap) = self.list.back_mut() {
            gap.lost = gap.lost.saturating_add(lost);
            gap.end_ns = gap.end_ns.map(|end| end.max(end_ns));
        }
    }

    /// One of the lost ticks recorded under `mark` has come after all.
    pub(super) fn heal(&mut self, mark: u64) {
        if let Some(gap) = self.list.get_mut(mark.saturating_sub(self.first) as usize) {
            gap.lost = gap.lost.saturating_sub(1);
        }
    }

    /// All that was published while the connection was down has come after all: what stays of such gaps is what the
    /// running numbers miss. `true` when that changes something.
    pub(super) fn recover_outages(&mut self) -> bool {
        let mut healed = false;
        for gap in self.list.iter_mut().filter(|gap| gap.cause == MissingCause::Disconnected) {
            gap.cause = MissingCause::Lost;
            gap.end_ns.get_or_insert(gap.start_ns);
            healed = true;
        }
        healed
    }

    /// Whether the last gap takes in a loss that begins at `start_ns`: it is open, or no tick lies between the two.
    fn takes_loss(&self, start_ns: i64) -> bool {
        self.list
            .back()
            .is_some_and(|gap| gap.end_ns.is_none_or(|end| gap.cause == MissingCause::Lost && start_ns <= end))
    }

    fn push(&mut self, gap: MissingRange) {
        self.list.push_back(gap);
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
