//! How far back late ticks reached, asked for any stretch of arrivals.

/// Most entries: the resolution of what is asked about recent arrivals.
const ENTRIES_MAX: usize = 64;

/// The earliest time of all late ticks since any arrival, from a bounded memory. What is known of arrivals long ago is
/// coarse, and then too early rather than too late.
#[derive(Debug, Default)]
pub(super) struct Lateness {
    /// Number of an arrival, and a time that no late tick from the entry before up to it, or behind it, is earlier
    /// than. Both grow from entry to entry.
    entries: Vec<(u64, i64)>,
}

impl Lateness {
    /// A tick came late, or too late: as the `arrival`th of its series.
    pub(super) fn note(&mut self, arrival: u64, time_ns: i64) {
        // What is later than a newer one is never the answer.
        while self.entries.last().is_some_and(|(_, known_ns)| *known_ns >= time_ns) {
            self.entries.pop();
        }
        if self.entries.len() >= ENTRIES_MAX {
            self.thin_out();
        }
        self.entries.push((arrival, time_ns));
    }

    /// The earliest time of the late ticks that came behind the `arrival`th.
    pub(super) fn since(&self, arrival: u64) -> Option<i64> {
        let first = self.entries.partition_point(|(number, _)| *number <= arrival);
        self.entries.get(first).map(|(_, time_ns)| *time_ns)
    }

    /// Makes one of each two entries of the older half.
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
        fn no_late_tick_is_overlooked_and_the_newest_are_known_to_the_nanosecond(
            times in prop::collection::vec(0_i64..10_000, 0..500),
            drift in 0_i64..100,
        ) {
            let times: Vec<i64> = times.iter().enumerate().map(|(n, time)| time + n as i64 * drift).collect();
            let mut lateness = Lateness::default();
            for (n, time_ns) in times.iter().enumerate() {
                lateness.note(n as u64 + 1, *time_ns);
                prop_assert!(lateness.entries.len() <= ENTRIES_MAX);
            }
            for since in 0..=times.len() {
                let earliest = times[since..].iter().min().copied();
                let told = lateness.since(since as u64);
                prop_assert_eq!(told.is_none(), earliest.is_none());
                prop_assert!(told <= earliest, "{:?} of {:?}", told, earliest);
                if times.len() - since < ENTRIES_MAX / 4 {
                    prop_assert_eq!(told, earliest);
                }
            }
        }
    }
}
