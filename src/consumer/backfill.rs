//! The past comes back: what the user looks at and memory does not keep is read from the store.
//!
//! The drawing side leaves a wish, of which only the latest one counts, and draws with what has been read so far; a
//! thread of its own reads, page by page, and puts each in place by exchanging a pointer. Neither waits for the other,
//! and the thread sleeps while nothing is wished.

mod reading;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::warn;

use crate::consumer::shared::Shared;
use crate::model::TimeSpan;
use crate::series::{ArrivalMark, LoadedHistory, Series, SeriesMap};
use crate::storage::db::StoreUrl;
use reading::{PAGE_TICKS, PAST_TICKS_MAX, Reading};

/// How long the end waits for a page that is being read. Whoever still reads then holds nothing that matters.
const END_WAIT: Duration = Duration::from_millis(300);

/// How often the end looks whether that is done.
const END_POLL: Duration = Duration::from_millis(5);

/// What the drawing side would like to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BackfillRequest {
    pub(super) span: TimeSpan,
    /// The symbols, by their places in the book, sorted.
    pub(super) slots: Vec<usize>,
    /// Where their memory begins to be whole, the latest of all.
    complete_from_ns: i64,
    /// Ticks came that belong into what was read: the number of that reading.
    stale: Option<u64>,
}

/// What a picture needs from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Need {
    /// Memory has it all.
    Nothing,
    /// What was read does, or the store is not asked at all.
    NoMore,
    Read(BackfillRequest),
}

/// How the reading goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum State {
    /// More is coming, or nothing is wished.
    #[default]
    Reading,
    /// The store has yet to commit what memory has given up already.
    Behind,
    /// No more ticks fit.
    Full,
    /// The store cannot be read; it is tried again. The cause is safe to show.
    Failing(String),
}

/// What has been read so far.
#[derive(Debug, Default)]
pub(super) struct HistorySnapshot {
    pub(super) past: LoadedHistory,
    /// How far each symbol had come when the store was known to have all of it.
    marks: Vec<ArrivalMark>,
    /// Grows with everything that was read.
    number: u64,
    /// Time of the oldest tick in the store; `None` while unknown.
    pub(super) oldest_ns: Option<i64>,
    pub(super) state: State,
    /// What was wished when no more ticks fitted.
    full: Option<Full>,
}

/// A view of which not all ticks fit.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Full {
    slots: Vec<usize>,
    span: TimeSpan,
}

impl Full {
    /// Whether it is no use to try again: about the same stretch of the same symbols.
    fn is_like(&self, slots: &[usize], span: TimeSpan) -> bool {
        let moved_ns = self.span.start.abs_diff(span.start).max(self.span.end.abs_diff(span.end));
        self.slots == slots && moved_ns <= self.span.len_ns().unsigned_abs() / 8
    }
}

#[derive(Debug, Default)]
struct Slot {
    wish: Option<BackfillRequest>,
    /// Grows with each wish.
    number: u64,
    is_over: bool,
}

/// Where wishes and what was read change hands.
#[derive(Debug, Default)]
pub(super) struct History {
    slot: Mutex<Slot>,
    woken: Condvar,
    recalled: Mutex<Arc<HistorySnapshot>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is replaced as a whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl History {
    /// What has been read so far.
    pub(super) fn recalled(&self) -> Arc<HistorySnapshot> {
        Arc::clone(&lock(&self.recalled))
    }

    /// From now on this is wished, and nothing else.
    pub(super) fn wish(&self, need: Need) {
        let wish = match need {
            Need::Nothing => None,
            // Who is reading ahead may go on.
            Need::NoMore => return,
            Need::Read(wish) => Some(wish),
        };
        let mut slot = lock(&self.slot);
        if slot.wish != wish {
            slot.wish = wish;
            slot.number += 1;
            self.woken.notify_one();
        }
    }

    fn show(&self, recalled: HistorySnapshot) {
        let before = std::mem::replace(&mut *lock(&self.recalled), Arc::new(recalled));
        // Millions of ticks may go with it: whoever draws does not wait for that.
        drop(before);
    }

    /// The wish and its number; `None` at the end.
    fn wished(&self) -> Option<(u64, Option<BackfillRequest>)> {
        let slot = lock(&self.slot);
        (!slot.is_over).then(|| (slot.number, slot.wish.clone()))
    }

    /// Waits until another wish than the one with this number is there, or for `limit`.
    fn wait(&self, number: u64, limit: Option<Duration>) {
        let slot = lock(&self.slot);
        let is_same = |slot: &mut Slot| slot.number == number && !slot.is_over;
        match limit {
            // A lock that was poisoned is as good as any here.
            Some(limit) => drop(self.woken.wait_timeout_while(slot, limit, is_same)),
            None => drop(self.woken.wait_while(slot, is_same)),
        }
    }

    /// Waits for `limit`, whatever is wished meanwhile, or for the end.
    fn pause(&self, limit: Duration) {
        let slot = lock(&self.slot);
        drop(self.woken.wait_timeout_while(slot, limit, |slot| !slot.is_over));
    }

    fn end(&self) {
        lock(&self.slot).is_over = true;
        self.woken.notify_all();
    }
}

/// The thread that reads. It ends when this is dropped.
pub(super) struct BackfillThread {
    history: Arc<History>,
    thread: Option<JoinHandle<()>>,
}

impl BackfillThread {
    /// Begins to serve the wishes of whoever draws.
    pub(super) fn start(url: StoreUrl, shared: &Arc<Shared>) -> Self {
        let history = Arc::new(History::default());
        let reading = Reading::new(url, Arc::clone(shared), Arc::clone(&history));
        let thread = thread::Builder::new().name("history".to_owned()).spawn(move || reading.run());
        match thread {
            Ok(thread) => {
                shared.remember_with(Arc::clone(&history));
                Self { history, thread: Some(thread) }
            }
            Err(error) => {
                warn!("no thread can be started: what memory does not keep cannot be shown: {error}");
                Self { history, thread: None }
            }
        }
    }
}

impl BackfillThread {
    /// It is time to end: nothing more is read. Does not wait.
    pub(super) fn end(&self) {
        self.history.end();
    }
}

impl Drop for BackfillThread {
    fn drop(&mut self) {
        self.end();
        let Some(thread) = self.thread.take() else { return };
        let begun = Instant::now();
        while !thread.is_finished() && begun.elapsed() < END_WAIT {
            thread::sleep(END_POLL);
        }
        if thread.is_finished() && thread.join().is_err() {
            warn!("the reading of the store ended by a defect of this program");
        }
    }
}

/// How far behind the seam the past is to reach, so that memory may give up more before the store is read again: a
/// sixteenth of what memory keeps, and for the least of memories two seconds, or half of it.
fn margin_ns(complete_from_ns: i64, series: &Series) -> i64 {
    const LEAST_NS: i64 = 2_000_000_000;
    if series.evicted() == 0 {
        return 0;
    }
    let kept_ns = series.last().map_or(0, |last| last.time_ns.saturating_sub(complete_from_ns).max(0));
    (kept_ns / 16).max(LEAST_NS.min(kept_ns / 2))
}

/// The latest of the symbols' seams, and up to where the past may reach and still be behind what all are doing now.
fn seam(book: &SeriesMap, slots: &[usize]) -> Option<(i64, i64)> {
    let series = slots.iter().filter_map(|slot| book.get(*slot)).map(|(_, series)| series);
    let seams = series.filter_map(|series| Some((series.complete_from_ns()?, series)));
    let (complete_from_ns, latest) = seams.max_by_key(|(complete_from_ns, _)| *complete_from_ns)?;
    Some((complete_from_ns, margin_ns(complete_from_ns, latest)))
}

impl HistorySnapshot {
    /// What a picture of `span` with these symbols (sorted) needs from the store.
    pub(super) fn need(&self, book: &SeriesMap, slots: &[usize], span: TimeSpan, follows: bool) -> Need {
        let Some((complete_from_ns, margin_ns)) = seam(book, slots) else { return Need::Nothing };
        // Who looks back is likely to go on; a view that follows the live edge stays where it is.
        let ahead_ns = if follows { 0 } else { span.len_ns() };
        let is_enough = self.oldest_ns.is_some_and(|oldest_ns| oldest_ns >= complete_from_ns);
        if is_enough || span.start.saturating_sub(ahead_ns) >= complete_from_ns {
            return Need::Nothing;
        }
        let is_stale = self.is_stale(book);
        let wish =
            BackfillRequest { span, slots: slots.to_vec(), complete_from_ns, stale: is_stale.then_some(self.number) };
        // What is read ahead is all that fits.
        let has_room = self.past.ticks() + PAGE_TICKS <= PAST_TICKS_MAX;
        let half_ns = if has_room { span.len_ns() / 2 } else { 0 };
        let (from_ns, to_ns) = (span.start.saturating_sub(half_ns), span.end.saturating_add(half_ns));
        let to_ns = to_ns.min(complete_from_ns.saturating_add(margin_ns / 2));
        let from_ns = from_ns.max(self.oldest_ns.unwrap_or(i64::MIN));
        let is_read = match (&self.state, self.past.covered()) {
            (State::Reading, Some(covered)) => covered.start <= from_ns && covered.end >= to_ns,
            (State::Full, Some(covered)) => {
                let is_tried = self.full.as_ref().is_some_and(|full| full.is_like(slots, span));
                is_tried && covered.end >= span.end.min(complete_from_ns)
            }
            _ => false,
        };
        let has_all = slots.iter().all(|slot| self.has(*slot));
        let is_wanting = is_stale || !has_all || !is_read;
        if is_wanting { Need::Read(wish) } else { Need::NoMore }
    }

    /// Whether ticks came that belong into what was read.
    fn is_stale(&self, book: &SeriesMap) -> bool {
        let Some(covered) = self.past.covered() else { return false };
        let known = self.past.symbols().iter().zip(&self.marks);
        let series = known.filter_map(|(slot, mark)| Some((book.get(*slot)?.1, mark)));
        let since = series.filter_map(|(series, mark)| series.earliest_since(mark));
        since.min().is_some_and(|since_ns| since_ns < covered.end)
    }

    /// Whether a symbol's past is read.
    fn has(&self, slot: usize) -> bool {
        self.past.symbols().binary_search(&slot).is_ok()
    }

    /// The stretches of a span that are not known, where these symbols are shown.
    pub(super) fn unknown(&self, book: &SeriesMap, slots: &[usize], span: TimeSpan) -> Vec<(i64, i64)> {
        let (read, unread): (Vec<usize>, Vec<usize>) = slots.iter().partition(|slot| self.has(**slot));
        let seam_of = |slots: &[usize]| {
            seam(book, slots).map(|(complete_from_ns, _)| complete_from_ns).filter(|ns| *ns > span.start)
        };
        let (read_ns, unread_ns) = (seam_of(&read), seam_of(&unread));
        // Before the store is known there is nothing to say, unless that it cannot be.
        let is_failing = matches!(self.state, State::Failing(_));
        let Some(oldest_ns) = self.oldest_ns.or(is_failing.then_some(span.start)) else { return Vec::new() };
        let first_ns = oldest_ns.max(span.start);
        let mut stretches: Vec<(i64, i64)> =
            unread_ns.map(|complete_from_ns| (first_ns, complete_from_ns)).into_iter().collect();
        match (read_ns, self.past.covered()) {
            (None, _) => {}
            (Some(complete_from_ns), None) => stretches.push((first_ns, complete_from_ns)),
            (Some(complete_from_ns), Some(covered)) => {
                stretches.extend([
                    (first_ns, covered.start.min(complete_from_ns)),
                    (covered.end.max(first_ns), complete_from_ns),
                ]);
            }
        }
        stretches.retain(|(start, end)| start < end && *start < span.end && *end > span.start);
        stretches.sort_unstable();
        stretches.dedup_by(|later, earlier| {
            let joins = later.0 <= earlier.1;
            if joins {
                earlier.1 = earlier.1.max(later.1);
            }
            joins
        });
        stretches
    }
}

#[cfg(test)]
mod tests;
