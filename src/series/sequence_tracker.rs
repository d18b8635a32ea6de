//! Tracking of the producers' sequence numbers, which tell lost, late and duplicate ticks apart.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use crate::model::Name;

/// Maximum number of producers tracked, at about 200 bytes each while nothing is lost. Beyond it, the one idle for
/// longest is evicted.
pub const SOURCES_MAX: usize = 1_024;

/// Maximum number of runs of missing numbers remembered per producer. Beyond it, the oldest run is lost for good, and a
/// tick of it that still arrives counts as a duplicate. Limits a hostile or very lossy feed to about 50 kB per
/// producer.
pub const MISSING_RUNS_MAX: usize = 1_024;

/// Jumps ahead by more than this start a new numbering, such as one seeded by a clock, and are not a loss. At a million
/// ticks per second it would be an outage of twelve days.
pub const SEQ_JUMP_MAX: u64 = 1 << 40;

/// Result of checking a tick's sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SequenceCheck {
    /// The number is new.
    New {
        /// Number of ticks lost just before this one.
        lost: u64,
    },
    /// The number was missing before.
    Late {
        /// Number of the missing range in which the loss was recorded; `None` if it was never counted as lost.
        range: Option<u64>,
    },
    /// The number was received before, or is so old that it must be assumed.
    Duplicate,
}

/// Run of missing numbers; the map's key is its first number.
#[derive(Debug, Clone, Copy)]
struct MissingRun {
    last: u64,
    /// `None` for numbers that are not a loss: those before the first one received, and those that other consumers
    /// received.
    range: Option<u64>,
}

/// One producer since its last restart.
#[derive(Debug)]
struct Source {
    name: Box<[u8]>,
    /// Highest number received, plus 1.
    next: u64,
    missing_runs: BTreeMap<u64, MissingRun>,
    oldest_ns: i64,
    newest_ns: i64,
    /// Value of the tracker's count of ticks at the last tick of this producer.
    last_seen: u64,
}

impl Source {
    fn start(name: Box<[u8]>, seq: u64, time_ns: i64) -> Self {
        let mut missing_runs = BTreeMap::new();
        if let Some(last) = seq.checked_sub(1) {
            missing_runs.insert(0, MissingRun { last, range: None });
        }
        Self { name, next: seq.saturating_add(1), missing_runs, oldest_ns: time_ns, newest_ns: time_ns, last_seen: 0 }
    }

    fn observe(&mut self, seq: u64, time_ns: i64, range: Option<u64>) -> SequenceCheck {
        if seq >= self.next && seq - self.next <= SEQ_JUMP_MAX {
            let lost = seq - self.next;
            if lost > 0 {
                self.add_missing_run(self.next, MissingRun { last: seq - 1, range });
            }
            self.next = seq.saturating_add(1);
            self.extend_times(time_ns);
            return SequenceCheck::New { lost };
        }
        let run = self.missing_runs.range(..=seq).next_back().map(|(&first, &run)| (first, run));
        let run = run.filter(|(_, run)| seq <= run.last);
        if self.has_restarted(seq, time_ns, run.map(|(_, run)| run)) {
            let name = std::mem::take(&mut self.name);
            *self = Self { last_seen: self.last_seen, ..Self::start(name, seq, time_ns) };
            return SequenceCheck::New { lost: 0 };
        }
        let Some((first, run)) = run else { return SequenceCheck::Duplicate };
        self.missing_runs.remove(&first);
        if first < seq {
            self.missing_runs.insert(first, MissingRun { last: seq - 1, ..run });
        }
        if seq < run.last {
            self.add_missing_run(seq + 1, run);
        }
        self.extend_times(time_ns);
        SequenceCheck::Late { range: run.range }
    }

    /// Whether a number that is not the next one means that the producer has restarted its numbering.
    ///
    /// A tick received before cannot be newer than all ticks received, so a known number on a newer tick is a restart;
    /// likewise for a number before the first one received. A number that counts as lost is taken for the late tick
    /// that it most likely is, unless it is the very first. With coarse clocks (whole seconds), a first number with the
    /// newest time is a restart too, if the run had moved on in time.
    fn has_restarted(&self, seq: u64, time_ns: i64, run: Option<MissingRun>) -> bool {
        let is_first = seq <= 1;
        let is_newer = time_ns > self.newest_ns;
        let is_as_new = time_ns == self.newest_ns && self.newest_ns > self.oldest_ns;
        let is_lost_tick = run.is_some_and(|run| run.range.is_some());
        seq > self.next || (is_newer && (is_first || !is_lost_tick)) || (is_first && is_as_new)
    }

    fn add_missing_run(&mut self, first: u64, run: MissingRun) {
        self.missing_runs.insert(first, run);
        if self.missing_runs.len() > MISSING_RUNS_MAX {
            self.missing_runs.pop_first();
        }
    }

    fn extend_times(&mut self, time_ns: i64) {
        self.oldest_ns = self.oldest_ns.min(time_ns);
        self.newest_ns = self.newest_ns.max(time_ns);
    }
}

/// Sequence numbers of all producers.
#[derive(Debug, Default)]
pub(super) struct SequenceTracker {
    /// Indices into `sources`.
    indices: HashMap<Box<[u8]>, usize, RandomState>,
    sources: Vec<Source>,
    /// Index of the producer of the last tick: ticks of one producer come in runs.
    last: usize,
    observed: u64,
}

impl SequenceTracker {
    /// Records a tick if it is the next one of the producer of the last tick; otherwise does nothing and returns
    /// `false`. Equivalent to [`observe`](Self::observe), which would return `New` without a loss.
    #[inline]
    pub(super) fn is_next(&mut self, source: Name<'_>, seq: u64, time_ns: i64) -> bool {
        let Some(known) = self.sources.get_mut(self.last) else { return false };
        if known.next != seq || *known.name != *source.as_bytes() {
            return false;
        }
        self.observed += 1;
        known.last_seen = self.observed;
        known.next = seq.saturating_add(1);
        known.extend_times(time_ns);
        true
    }

    /// Records a tick. A loss that it reveals belongs to the missing range with the number `range`, if that is given.
    pub(super) fn observe(&mut self, source: Name<'_>, seq: u64, time_ns: i64, range: Option<u64>) -> SequenceCheck {
        self.observed += 1;
        if let Some(&index) = self.indices.get(source.as_bytes()) {
            self.last = index;
            let known = &mut self.sources[index];
            known.last_seen = self.observed;
            return known.observe(seq, time_ns, range);
        }
        if self.sources.len() >= SOURCES_MAX {
            self.evict_idlest();
        }
        let name = Box::<[u8]>::from(source.as_bytes());
        self.last = self.sources.len();
        self.indices.insert(name.clone(), self.last);
        self.sources.push(Source { last_seen: self.observed, ..Source::start(name, seq, time_ns) });
        SequenceCheck::New { lost: 0 }
    }

    fn evict_idlest(&mut self) {
        let idlest = self.sources.iter().enumerate().min_by_key(|(_, source)| source.last_seen);
        let Some((index, _)) = idlest else { return };
        let forgotten = self.sources.swap_remove(index);
        self.indices.remove(&forgotten.name);
        // `swap_remove` moved the last producer to this index.
        if let Some(known) = self.sources.get(index).and_then(|moved| self.indices.get_mut(&moved.name)) {
            *known = index;
        }
    }
}
