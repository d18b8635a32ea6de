//! Messages sent and not yet confirmed.

use std::collections::VecDeque;

use crate::spool::SequenceRange;

/// Numbers of the messages in flight, in order.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    /// Each range with a flag that is true if its messages are in the spool.
    ranges: VecDeque<(SequenceRange, bool)>,
}

impl InFlight {
    pub(super) fn push(&mut self, range: SequenceRange, spooled: bool) {
        match self.ranges.back_mut() {
            Some((last, was)) if *was == spooled && last.last + 1 == range.first => last.last = range.last,
            _ => self.ranges.push_back((range, spooled)),
        }
    }

    /// Removes the `count` oldest messages, which were confirmed.
    pub(super) fn confirm(&mut self, mut count: u64) {
        while count > 0
            && let Some((range, _)) = self.ranges.front_mut()
        {
            let confirmed = count.min(range.count());
            count -= confirmed;
            if confirmed == range.count() {
                self.ranges.pop_front();
            } else {
                range.first += confirmed;
            }
        }
    }

    /// Number of messages.
    pub(super) fn count(&self) -> u64 {
        self.ranges.iter().map(|(range, _)| range.count()).sum()
    }

    /// Range from the oldest to the newest message.
    pub(super) fn bounds(&self) -> Option<SequenceRange> {
        Some(SequenceRange { first: self.ranges.front()?.0.first, last: self.ranges.back()?.0.last })
    }

    pub(super) fn take_all(&mut self) -> VecDeque<(SequenceRange, bool)> {
        std::mem::take(&mut self.ranges)
    }
}

#[cfg(test)]
mod tests {
    use crate::client::publisher::in_flight::*;

    #[test]
    fn messages_are_confirmed_in_order() {
        let mut in_flight = InFlight::default();
        in_flight.push(SequenceRange { first: 1, last: 4 }, false);
        in_flight.push(SequenceRange { first: 5, last: 6 }, false);
        in_flight.push(SequenceRange { first: 9, last: 9 }, true);
        assert_eq!((in_flight.count(), in_flight.bounds()), (7, Some(SequenceRange { first: 1, last: 9 })));
        in_flight.confirm(5);
        assert_eq!((in_flight.count(), in_flight.bounds()), (2, Some(SequenceRange { first: 6, last: 9 })));
        in_flight.confirm(1);
        assert_eq!(in_flight.take_all(), [(SequenceRange { first: 9, last: 9 }, true)]);
    }
}
