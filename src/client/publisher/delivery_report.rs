//! Which messages became what, by number: so that nobody has to take a sum's word for it.

use std::collections::VecDeque;

use serde::{Serialize, Serializer};

/// Ranges that are kept of what was dropped; an outage gives one, unless the source is as fast as the server is slow.
const RANGES_MAX: usize = 1_000;

/// Numbers from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The lowest.
    pub first: u64,
    /// The highest; never below `first`.
    pub last: u64,
}

impl Span {
    /// How many numbers there are.
    pub fn count(self) -> u64 {
        self.last - self.first + 1
    }
}

impl Serialize for Span {
    /// As a pair.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.first, self.last).serialize(serializer)
    }
}

/// What became of one lane's messages.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DeliveryReport {
    /// The first message that this run made.
    pub first: Option<u64>,
    /// The last one.
    pub last: Option<u64>,
    /// Messages that the server confirmed.
    pub sent: u64,
    /// Messages that were given up. One of them may have arrived all the same: its confirmation did not.
    pub dropped: u64,
    /// Their numbers, in pairs of first and last.
    pub dropped_ranges: Vec<Span>,
    /// There were too many ranges: the last of them may hold messages that were sent.
    pub dropped_ranges_cut: bool,
    /// Messages of an earlier run, found in the spool.
    pub recovered: u64,
    /// Their numbers.
    pub recovered_ranges: Vec<Span>,
    /// Messages that are in the spool, for the next run to send.
    pub spooled: u64,
    /// Their numbers.
    pub spooled_ranges: Vec<Span>,
}

impl DeliveryReport {
    /// There are messages of these numbers.
    pub(crate) fn made(&mut self, span: Span) {
        self.first = Some(self.first.map_or(span.first, |first| first.min(span.first)));
        self.last = Some(self.last.map_or(span.last, |last| last.max(span.last)));
    }

    /// They were given up.
    pub(crate) fn drop_span(&mut self, span: Span) {
        self.dropped += span.count();
        if add(&mut self.dropped_ranges, span) {
            self.dropped_ranges_cut = true;
        }
    }

    /// They stay in the spool.
    pub(crate) fn keep_span(&mut self, span: Span) {
        self.spooled += span.count();
        add(&mut self.spooled_ranges, span);
    }
}

/// Adds a span to ordered ranges, joined with the last one where they touch, or where there are too many: then true.
fn add(ranges: &mut Vec<Span>, span: Span) -> bool {
    let full = ranges.len() >= RANGES_MAX;
    match ranges.last_mut() {
        Some(last) if span.first <= last.last.saturating_add(1) && span.last >= last.first => {
            last.first = last.first.min(span.first);
            last.last = last.last.max(span.last);
            false
        }
        Some(last) if full => {
            last.first = last.first.min(span.first);
            last.last = last.last.max(span.last);
            true
        }
        _ => {
            ranges.push(span);
            false
        }
    }
}

/// Messages that the spool holds at the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recovered {
    count: u64,
    ranges: Vec<Span>,
}

impl Recovered {
    /// Adds numbers, if there are any.
    pub(crate) fn add(&mut self, first: u64, last: u64) {
        if first <= last {
            let span = Span { first, last };
            self.count += span.count();
            add(&mut self.ranges, span);
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn tell(self, account: &mut DeliveryReport) {
        (account.recovered, account.recovered_ranges) = (self.count, self.ranges);
    }
}

/// Messages under way, in order.
#[derive(Debug, Default)]
pub(crate) struct Flying {
    /// Each with whether it is in the spool.
    spans: VecDeque<(Span, bool)>,
}

impl Flying {
    pub(crate) fn push(&mut self, span: Span, spooled: bool) {
        match self.spans.back_mut() {
            Some((last, was)) if *was == spooled && last.last + 1 == span.first => last.last = span.last,
            _ => self.spans.push_back((span, spooled)),
        }
    }

    /// The `count` oldest ones have landed.
    pub(crate) fn confirm(&mut self, mut count: u64) {
        while count > 0
            && let Some((span, _)) = self.spans.front_mut()
        {
            let landed = count.min(span.count());
            count -= landed;
            if landed == span.count() {
                self.spans.pop_front();
            } else {
                span.first += landed;
            }
        }
    }

    /// The oldest one's number.
    pub(crate) fn first(&self) -> Option<u64> {
        self.spans.front().map(|(span, _)| span.first)
    }

    /// The youngest one's number.
    pub(crate) fn last(&self) -> Option<u64> {
        self.spans.back().map(|(span, _)| span.last)
    }

    pub(crate) fn take_all(&mut self) -> VecDeque<(Span, bool)> {
        std::mem::take(&mut self.spans)
    }
}

#[cfg(test)]
mod tests {
    use crate::client::publisher::delivery_report::*;

    fn span(first: u64, last: u64) -> Span {
        Span { first, last }
    }

    #[test]
    fn ranges_that_touch_are_one_and_their_number_is_bounded() {
        let mut account = DeliveryReport::default();
        account.made(span(1, 9_000));
        account.drop_span(span(1, 2));
        account.drop_span(span(3, 3));
        account.drop_span(span(5, 6));
        assert_eq!((account.dropped, account.dropped_ranges.as_slice()), (5, &[span(1, 3), span(5, 6)][..]));
        (0..2_000).for_each(|n| account.drop_span(span(10 + n * 2, 10 + n * 2)));
        assert_eq!((account.dropped, account.dropped_ranges.len()), (2_005, RANGES_MAX));
        assert!(account.dropped_ranges_cut);
        assert_eq!(account.dropped_ranges.last().unwrap().last, 10 + 1_999 * 2);
        let json = serde_json::to_value(&account).unwrap();
        assert_eq!((&json["first"], &json["dropped_ranges"][0]), (&1.into(), &serde_json::json!([1, 3])));
    }

    #[test]
    fn what_flies_lands_in_order() {
        let mut flying = Flying::default();
        flying.push(span(1, 4), false);
        flying.push(span(5, 6), false);
        flying.push(span(9, 9), true);
        assert_eq!(flying.first(), Some(1));
        flying.confirm(5);
        assert_eq!(flying.first(), Some(6));
        flying.confirm(1);
        assert_eq!(flying.take_all(), [(span(9, 9), true)]);
    }
}
