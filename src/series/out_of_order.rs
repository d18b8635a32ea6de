//! Times that late ticks reached back to, for any stretch of arrivals.

/// Maximum number of entries: the resolution for recent arrivals.
const ENTRIES_MAX: usize = 64;

/// Earliest time among all late ticks since a given arrival, in bounded memory. For arrivals long ago the answer is
/// coarse, and too early rather than too late.
#[derive(Debug, Default)]
pub(super) struct LateArrivals {
    /// Numbers of arrivals, each with a lower bound of the times of all late ticks that arrived after the previous
    /// entry's. Both grow from entry to entry.
    entries: Vec<(u64, i64)>,
}

impl LateArrivals {
    /// Records that the tick number `arrival` of the series was late.
    pub(super) fn record(&mut self, arrival: u64, time_ns: i64) {
        // An entry with a later time is never the minimum any more.
        while self.entries.last().is_some_and(|(_, known_ns)| *known_ns >= time_ns) {
            self.entries.pop();
        }
        if self.entries.len() >= ENTRIES_MAX {
            self.thin_out();
        }
        self.entries.push((arrival, time_ns));
    }

    /// Lower bound of the times of the late ticks after number `arrival`, ns.
    pub(super) fn earliest_since(&self, arrival: u64) -> Option<i64> {
        let first = self.entries.partition_point(|(number, _)| *number <= arrival);
        self.entries.get(first).map(|(_, time_ns)| *time_ns)
    }

    /// Merges pairs of entries in the older half.
    fn thin_out(&mut self) {
        let newer = self.entries.split_off(self.entries.len() / 2);
        let pairs = self.entries.chunks(2);
        self.entries = pairs.filter_map(|pair| Some((pair.last()?.0, pair.first()?.1))).chain(newer).collect();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::series::out_of_order::*;

    proptest! {
        #[test]
        fn bounds_hold_for_every_arrival_and_are_exact_for_recent_ones(
            times in prop::collection::vec(0_i64..10_000, 0..500),
            drift in 0_i64..100,
        ) {
            let times: Vec<i64> = times.iter().enumerate().map(|(n, time)| time + n as i64 * drift).collect();
            let mut late = LateArrivals::default();
            for (n, time_ns) in times.iter().enumerate() {
                late.record(n as u64 + 1, *time_ns);
                prop_assert!(late.entries.len() <= ENTRIES_MAX);
            }
            for since in 0..=times.len() {
                let earliest = times[since..].iter().min().copied();
                let found = late.earliest_since(since as u64);
                prop_assert_eq!(found.is_none(), earliest.is_none());
                prop_assert!(found <= earliest, "{:?} of {:?}", found, earliest);
                if times.len() - since < ENTRIES_MAX / 4 {
                    prop_assert_eq!(found, earliest);
                }
            }
        }
    }
}
