//! What the running numbers of the producers tell: which ticks never came, which came twice, which came after all.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use crate::model::Name;

/// Most producers watched at once, each some 200 bytes while nothing is lost; beyond, the one idle for longest is
/// forgotten.
pub const SOURCES_MAX: usize = 1_024;

/// Most runs of missing numbers remembered for a producer; beyond, the oldest run is lost for good: a tick of it that
/// still comes cannot be told from a repetition, and is taken for one. Bounds a hostile or very lossy feed to some
/// 50 kB a producer.
pub const MISSING_RUNS_MAX: usize = 1_024;

/// A jump ahead by more than this is a new numbering (say, numbers seeded by a clock), not a loss: at a million ticks a
/// second it would be an outage of twelve days.
pub const SEQ_JUMP_MAX: u64 = 1 << 40;

/// What a tick's running number says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Not seen before; that many numbers before it are missing.
    Fresh {
        /// Ticks lost just before this one.
        lost: u64,
    },
    /// Missed before, here after all. `mark` is the one its loss was recorded under; `None` when it was never counted
    /// as lost.
    Late {
        /// Whose loss shrinks by one.
        mark: Option<u64>,
    },
    /// Seen before, or so old that it must be assumed.
    Duplicate,
}

/// A run of numbers not seen; the map's key is its first number.
#[derive(Debug, Clone, Copy)]
struct Hole {
    last: u64,
    /// `None` for numbers before the first one heard, and such that others have: neither is a loss.
    mark: Option<u64>,
}

/// One producer, since it last started over.
#[derive(Debug)]
struct Source {
    name: Box<[u8]>,
    /// One more than the highest number seen.
    next: u64,
    holes: BTreeMap<u64, Hole>,
    oldest_ns: i64,
    newest_ns: i64,
    /// When it was heard last, in ticks of all producers.
    heard: u64,
}

impl Source {
    fn start(name: Box<[u8]>, seq: u64, time_ns: i64) -> Self {
        let mut holes = BTreeMap::new();
        if let Some(last) = seq.checked_sub(1) {
            holes.insert(0, Hole { last, mark: None });
        }
        Self { name, next: seq.saturating_add(1), holes, oldest_ns: time_ns, newest_ns: time_ns, heard: 0 }
    }

    fn observe(&mut self, seq: u64, time_ns: i64, mark: Option<u64>) -> Verdict {
        if seq >= self.next && seq - self.next <= SEQ_JUMP_MAX {
            let lost = seq - self.next;
            if lost > 0 {
                self.add_hole(self.next, Hole { last: seq - 1, mark });
            }
            self.next = seq.saturating_add(1);
            self.note_time(time_ns);
            return Verdict::Fresh { lost };
        }
        let hole = self.holes.range(..=seq).next_back().map(|(&first, &hole)| (first, hole));
        let hole = hole.filter(|(_, hole)| seq <= hole.last);
        if self.has_started_over(seq, time_ns, hole.map(|(_, hole)| hole)) {
            let name = std::mem::take(&mut self.name);
            *self = Self { heard: self.heard, ..Self::start(name, seq, time_ns) };
            return Verdict::Fresh { lost: 0 };
        }
        let Some((first, hole)) = hole else { return Verdict::Duplicate };
        self.holes.remove(&first);
        if first < seq {
            self.holes.insert(first, Hole { last: seq - 1, ..hole });
        }
        if seq < hole.last {
            self.add_hole(seq + 1, hole);
        }
        self.note_time(time_ns);
        Verdict::Late { mark: hole.mark }
    }

    /// Whether a number that is not the next one means that the producer counts from the start again.
    ///
    /// A tick seen before cannot be newer than every tick seen, so a number seen before on a newer tick is a restart.
    /// The same holds for a number from before the first one heard. A number from a counted hole is taken as the late
    /// tick that it most likely is, unless it is the very first. Where clocks are coarse (whole seconds), a first
    /// number that carries the newest time is a restart too, if the run had moved on in time.
    fn has_started_over(&self, seq: u64, time_ns: i64, hole: Option<Hole>) -> bool {
        let is_first = seq <= 1;
        let is_newer = time_ns > self.newest_ns;
        let is_as_new = time_ns == self.newest_ns && self.newest_ns > self.oldest_ns;
        let is_late_tick = hole.is_some_and(|hole| hole.mark.is_some());
        seq > self.next || (is_newer && (is_first || !is_late_tick)) || (is_first && is_as_new)
    }

    fn add_hole(&mut self, first: u64, hole: Hole) {
        self.holes.insert(first, hole);
        if self.holes.len() > MISSING_RUNS_MAX {
            self.holes.pop_first();
        }
    }

    fn note_time(&mut self, time_ns: i64) {
        self.oldest_ns = self.oldest_ns.min(time_ns);
        self.newest_ns = self.newest_ns.max(time_ns);
    }
}

/// The running numbers of all producers.
#[derive(Debug, Default)]
pub(super) struct SequenceTracker {
    /// ColumnMap in `sources`.
    places: HashMap<Box<[u8]>, usize, RandomState>,
    sources: Vec<Source>,
    /// Place of the one heard last: ticks of one producer come in runs.
    last: usize,
    heard: u64,
}

impl SequenceTracker {
    /// Takes note of a tick that is the next one of the producer heard last; of any other, `false` and nothing done.
    /// [`observe`](Self::observe) would say that it is fresh and that nothing is lost.
    #[inline]
    pub(super) fn is_next(&mut self, source: Name<'_>, seq: u64, time_ns: i64) -> bool {
        let Some(known) = self.sources.get_mut(self.last) else { return false };
        if known.next != seq || *known.name != *source.as_bytes() {
            return false;
        }
        self.heard += 1;
        known.heard = self.heard;
        known.next = seq.saturating_add(1);
        known.note_time(time_ns);
        true
    }

    /// Takes note of a tick. `mark` is what a loss found by it is recorded under, if it is one.
    pub(super) fn observe(&mut self, source: Name<'_>, seq: u64, time_ns: i64, mark: Option<u64>) -> Verdict {
        self.heard += 1;
        if let Some(&place) = self.places.get(source.as_bytes()) {
            self.last = place;
            let known = &mut self.sources[place];
            known.heard = self.heard;
            return known.observe(seq, time_ns, mark);
        }
        if self.sources.len() >= SOURCES_MAX {
            self.forget_idlest();
        }
        let name = Box::<[u8]>::from(source.as_bytes());
        self.last = self.sources.len();
        self.places.insert(name.clone(), self.last);
        self.sources.push(Source { heard: self.heard, ..Source::start(name, seq, time_ns) });
        Verdict::Fresh { lost: 0 }
    }

    fn forget_idlest(&mut self) {
        let idlest = self.sources.iter().enumerate().min_by_key(|(_, source)| source.heard);
        let Some((place, _)) = idlest else { return };
        let forgotten = self.sources.swap_remove(place);
        self.places.remove(&forgotten.name);
        // The last one has taken its place.
        if let Some(known) = self.sources.get(place).and_then(|moved| self.places.get_mut(&moved.name)) {
            *known = place;
        }
    }
}
