//! Report of the fate of each message, by number.

use serde::Serialize;

use crate::spool::{SequenceRange, add_range};

/// Fate of all messages of one send queue.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DeliveryReport {
    /// Number of the first message of this run.
    pub first: Option<u64>,
    /// Number of the last message of this run.
    pub last: Option<u64>,
    /// Messages that the server confirmed.
    pub sent: u64,
    /// Messages that were dropped. A dropped message may have arrived if its confirmation was lost.
    pub dropped: u64,
    /// Numbers of the dropped messages.
    pub dropped_ranges: Vec<SequenceRange>,
    /// True if there were too many ranges: the last one may then cover messages that were sent.
    pub dropped_ranges_cut: bool,
    /// Messages of an earlier run that the spool held at the start.
    pub recovered: u64,
    /// Numbers of the recovered messages.
    pub recovered_ranges: Vec<SequenceRange>,
    /// Messages left in the spool for the next run.
    pub spooled: u64,
    /// Numbers of the spooled messages.
    pub spooled_ranges: Vec<SequenceRange>,
}

impl DeliveryReport {
    /// Records the numbers of new messages.
    pub(super) fn add_new(&mut self, range: impl Into<Option<SequenceRange>>) {
        let Some(range) = range.into() else { return };
        self.first = Some(self.first.map_or(range.first, |first| first.min(range.first)));
        self.last = Some(self.last.map_or(range.last, |last| last.max(range.last)));
    }

    /// Records dropped messages.
    pub(super) fn add_dropped(&mut self, range: impl Into<Option<SequenceRange>>) {
        let Some(range) = range.into() else { return };
        self.dropped += range.count();
        self.dropped_ranges_cut |= add_range(&mut self.dropped_ranges, range);
    }

    /// Records messages that stay in the spool.
    pub(super) fn add_spooled(&mut self, range: SequenceRange) {
        self.spooled += range.count();
        add_range(&mut self.spooled_ranges, range);
    }
}

#[cfg(test)]
mod tests {
    use crate::client::publisher::delivery_report::*;

    #[test]
    fn adjacent_ranges_are_joined_and_their_number_is_bounded() {
        let range = |first, last| SequenceRange { first, last };
        let mut report = DeliveryReport::default();
        report.add_new(range(1, 9_000));
        report.add_dropped(range(1, 2));
        report.add_dropped(range(3, 3));
        report.add_dropped(range(5, 6));
        assert_eq!((report.dropped, report.dropped_ranges.as_slice()), (5, &[range(1, 3), range(5, 6)][..]));
        (0..2_000).for_each(|n| report.add_dropped(range(10 + n * 2, 10 + n * 2)));
        assert_eq!((report.dropped, report.dropped_ranges.len()), (2_005, 1_000));
        assert!(report.dropped_ranges_cut);
        assert_eq!(report.dropped_ranges.last().unwrap().last, 10 + 1_999 * 2);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["first"], &json["dropped_ranges"][0]), (&1.into(), &serde_json::json!([1, 3])));
    }
}
