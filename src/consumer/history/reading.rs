//! The thread that reads the past, a page at a time.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use compact_str::CompactString;
use foldhash::fast::RandomState;
use tracing::{debug, warn};

use crate::consumer::shared::Shared;
use crate::model::{Price, Symbol, Timestamp};
use crate::series::{Book, Mark, Page, Past, Series, TickRef};
use crate::store::keep::{KeepError, KeptTick, StoreReader, StoreUrl};
use crate::view::TimeSpan;

use super::{History, Recalled, State, Wish, seam};

/// Most ticks of the past in memory, over all symbols: some 25 MB as trades come, and more than a screen has pixels.
pub(super) const PAST_TICKS_MAX: usize = 8_000_000;

/// Most ticks in a page: what a file gives in about a tenth of a second, so that a new wish is not kept waiting.
const PAGE_TICKS: usize = 65_536;

/// As many as one reading should bring: the stretch of time that is asked for grows and shrinks with that.
const WANTED_TICKS: usize = 32_768;

/// Between two looks whether the store has committed what came.
const COMMIT_POLL: Duration = Duration::from_millis(20);

/// A store that has not committed for so long is said to be behind.
const BEHIND_AFTER: Duration = Duration::from_secs(1);

/// Where the store begins is asked this often while it is read: old ticks may be deleted.
const ASKED_EVERY: Duration = Duration::from_secs(10);

/// A store that fails is tried again after this, and then after twice as long, up to the second value.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// How far the feed had come at a moment.
#[derive(Debug, Clone)]
struct Moment {
    at: Instant,
    /// Ticks that came by way of the network.
    received: u64,
    /// The ticket behind which the store has all of them, once that is known.
    ticket: Option<u64>,
    marks: Vec<Mark>,
    /// Of all symbols.
    newest_ns: i64,
    /// What came since the moment before reaches back to here.
    since_ns: Option<i64>,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The same wish goes on.
    On,
    /// The same wish goes on after a while, unless another one comes.
    After(Duration),
    /// All that was wished and can be is there.
    Done,
}

pub(super) struct Reading {
    url: StoreUrl,
    shared: Arc<Shared>,
    history: Arc<History>,
    reader: Option<StoreReader>,
    past: Past,
    symbols: Vec<Symbol>,
    /// Their places in that list.
    lanes: HashMap<CompactString, usize, RandomState>,
    /// Of the last moment all of which the store has.
    settled: Option<Moment>,
    /// A later one, of which that is not yet known.
    coming: Option<Moment>,
    oldest_ns: Option<i64>,
    state: State,
    /// The stretch of time that is read at once.
    step_ns: i64,
    pause: Duration,
    /// Failures since the last success.
    failures: u32,
    /// How often something was shown.
    shown: u64,
    /// When the store was asked where it begins.
    asked: Option<Instant>,
}

impl Reading {
    pub(super) fn new(url: StoreUrl, shared: Arc<Shared>, history: Arc<History>) -> Self {
        Self {
            url,
            shared,
            history,
            reader: None,
            past: Past::default(),
            symbols: Vec::new(),
            lanes: HashMap::default(),
            settled: None,
            coming: None,
            oldest_ns: None,
            state: State::Reading,
            step_ns: 0,
            pause: PAUSES.0,
            failures: 0,
            shown: 0,
            asked: None,
        }
    }

    pub(super) fn run(mut self) {
        while let Some((number, wish)) = self.history.wished() {
            let next = match &wish {
                Some(wish) => self.serve(number, wish),
                // How far back one can go is known before anybody wants to.
                None if self.oldest_ns.is_none() => self.open().map(|()| self.after_open()),
                None => Ok(Next::Done),
            };
            match next {
                Ok(next) => {
                    (self.pause, self.failures) = (PAUSES.0, 0);
                    match next {
                        Next::On => {}
                        Next::After(limit) => self.history.wait(number, Some(limit)),
                        Next::Done => self.history.wait(number, None),
                    }
                }
                Err(error) => self.fail(&error),
            }
        }
    }

    /// A store that is empty is made just now: it is looked into again.
    fn after_open(&self) -> Next {
        self.oldest_ns.map_or(Next::After(ASKED_EVERY / 10), |_| Next::Done)
    }

    fn fail(&mut self, error: &KeepError) {
        self.failures += 1;
        // At the very start the store may not have been made yet.
        if self.failures > 1 || self.reader.is_some() {
            if !matches!(self.state, State::Failing(_)) {
                warn!("what memory does not keep cannot be read: {error}");
            }
            self.set_state(State::Failing(cause(error)));
        }
        // A new connection may do.
        (self.reader, self.asked) = (None, None);
        self.history.pause(self.pause);
        self.pause = (self.pause * 2).min(PAUSES.1);
    }

    fn set_state(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.show();
        }
    }

    fn show(&mut self) {
        self.shown += 1;
        self.past.set_revision(self.shown);
        let marks = self.settled.as_ref().map(|settled| settled.marks.clone()).unwrap_or_default();
        let (past, oldest_ns, state) = (self.past.clone(), self.oldest_ns, self.state.clone());
        self.history.show(Recalled { past, marks, number: self.shown, oldest_ns, state });
        self.shared.touch();
    }

    /// Opens the store, and looks where it begins, now and then.
    fn open(&mut self) -> Result<(), KeepError> {
        let patience = if self.oldest_ns.is_some() { ASKED_EVERY } else { ASKED_EVERY / 10 };
        if self.reader.is_some() && self.asked.is_some_and(|asked| asked.elapsed() < patience) {
            return Ok(());
        }
        if self.reader.is_none() {
            self.reader = Some(StoreReader::open(&self.url)?);
        }
        let Some(reader) = &mut self.reader else { return Ok(()) };
        let oldest_ns = reader.span()?.map(|(oldest_ns, _)| oldest_ns);
        self.asked = Some(Instant::now());
        let has_failed = matches!(self.state, State::Failing(_));
        if oldest_ns != self.oldest_ns || has_failed {
            self.oldest_ns = oldest_ns;
            if has_failed {
                self.state = State::Reading;
            }
            self.show();
        }
        Ok(())
    }

    /// A part of what a wish needs.
    fn serve(&mut self, number: u64, wish: &Wish) -> Result<Next, KeepError> {
        self.open()?;
        self.take_symbols(wish);
        let is_settled = self.settle(wish);
        let ends = seam(&self.shared.book(), &wish.slots);
        let (Some(settled), Some((seam_ns, margin_ns))) = (&self.settled, ends) else {
            return Ok(if is_settled { Next::Done } else { self.wait_for_commit() });
        };
        // What came with the newest time itself is there; what comes with it now is seen to come.
        let reach_ns = seam_ns.saturating_add(margin_ns).min(settled.newest_ns.saturating_add(1));
        match self.oldest_ns {
            // The first ticks are still to be committed.
            None => return Ok(Next::After(ASKED_EVERY / 10)),
            Some(oldest_ns) if oldest_ns >= seam_ns => return Ok(Next::Done),
            Some(_) => {}
        }
        if self.read_next(wish, reach_ns)? {
            return Ok(Next::On);
        }
        if !is_settled {
            return Ok(self.wait_for_commit());
        }
        if self.state == State::Behind {
            self.set_state(State::Reading);
        }
        self.look_beyond(number, seam_ns)
    }

    /// The past is about the wished symbols, or about more.
    fn take_symbols(&mut self, wish: &Wish) {
        let known = self.past.slots();
        if !known.is_empty() && wish.slots.iter().all(|slot| known.binary_search(slot).is_ok()) {
            return;
        }
        let book = self.shared.book();
        let symbols = wish.slots.iter().filter_map(|slot| Some((*slot, book.get(*slot)?.0.clone())));
        let (slots, symbols): (Vec<usize>, Vec<Symbol>) = symbols.unzip();
        drop(book);
        let names = symbols.iter().enumerate();
        self.lanes = names.map(|(lane, symbol)| (CompactString::from(symbol.as_str()), lane)).collect();
        (self.past, self.symbols) = (Past::new(slots), symbols);
        (self.settled, self.coming) = (None, None);
    }

    /// Sees to it that the store is known to have all that came up to a moment, as late as is needed. Whether it is.
    fn settle(&mut self, wish: &Wish) -> bool {
        if self.coming.is_none() && self.needs_later(wish) {
            self.coming = self.moment();
        }
        let Some(coming) = &mut self.coming else { return self.settled.is_some() };
        let Some(keeping) = self.shared.keeping() else { return false };
        if coming.ticket.is_none() {
            // What is in the book is handed over a little later.
            let handed = keeping.handed();
            coming.ticket = Some(handed.ticket).filter(|_| handed.ticks >= coming.received);
        }
        if !coming.ticket.is_some_and(|ticket| keeping.is_settled(ticket)) {
            return false;
        }
        let Some(moment) = self.coming.take() else { return false };
        if let Some(since_ns) = moment.since_ns {
            self.past.drop_from(since_ns);
        }
        self.settled = Some(moment);
        true
    }

    /// Whether what is known to be in the store does not do for the wish.
    fn needs_later(&self, wish: &Wish) -> bool {
        let Some(settled) = &self.settled else { return true };
        let book = self.shared.book();
        let is_short = seam(&book, &wish.slots).is_some_and(|(seam_ns, margin_ns)| {
            wish.span.end > settled.newest_ns && seam_ns.saturating_add(margin_ns) > settled.newest_ns.saturating_add(1)
        });
        is_short || self.since(&book).zip(self.past.covered()).is_some_and(|(since_ns, covered)| since_ns < covered.end)
    }

    /// How far back that reaches which came since the settled moment.
    fn since(&self, book: &Book) -> Option<i64> {
        let marks = &self.settled.as_ref()?.marks;
        let series = self.past.slots().iter().zip(marks).filter_map(|(slot, mark)| Some((book.get(*slot)?.1, mark)));
        series.filter_map(|(series, mark)| series.earliest_since(mark)).min()
    }

    fn moment(&self) -> Option<Moment> {
        let book = self.shared.book();
        let all = || self.past.slots().iter().filter_map(|slot| Some(book.get(*slot)?.1));
        let newest_ns = book.newest_ns()?;
        let marks = all().map(Series::mark).collect();
        // What the store has to do with: not what came from it, nor what was shown while nobody knew where it ends.
        let others = [self.shared.restored(), self.shared.unkept()].map(|count| count.load(Ordering::Relaxed));
        let received = book.counters().received.saturating_sub(others.iter().sum());
        Some(Moment { at: Instant::now(), received, ticket: None, marks, newest_ns, since_ns: self.since(&book) })
    }

    fn wait_for_commit(&mut self) -> Next {
        if self.coming.as_ref().is_some_and(|coming| coming.at.elapsed() >= BEHIND_AFTER) {
            self.set_state(State::Behind);
        }
        Next::After(COMMIT_POLL)
    }

    /// Reads the next stretch that the wish needs, as far as `reach_ns`; whether there was one.
    fn read_next(&mut self, wish: &Wish, reach_ns: i64) -> Result<bool, KeepError> {
        let (view, width_ns) = (wish.span, wish.span.len_ns());
        let oldest_ns = self.oldest_ns.unwrap_or(i64::MIN);
        let view_end = view.end.min(reach_ns);
        let (start, end) =
            (view.start.saturating_sub(width_ns).max(oldest_ns), view.end.saturating_add(width_ns).min(reach_ns));
        if end <= start {
            return Ok(false);
        }
        if self.step_ns == 0 {
            self.step_ns = (width_ns / 8).max(1);
        }
        let begin = view_end.max(start.saturating_add(1));
        let is_far = |covered: TimeSpan| {
            covered.start > view_end.saturating_add(width_ns) || covered.end < view.start.saturating_sub(width_ns)
        };
        let covered = match self.past.covered() {
            Some(covered) if !is_far(covered) => covered,
            // Nothing joins what is wished now: it begins at the right, where the user comes from.
            _ => {
                self.past = Past::new(self.past.slots().to_vec());
                return self.read_before(begin, start, end);
            }
        };
        if covered.end < view_end {
            self.read_behind(covered.end, view_end)
        } else if covered.start > view.start.max(start) {
            self.read_before(covered.start, view.start.max(start), end)
        } else if covered.start > start {
            self.read_before(covered.start, start, end)
        } else if covered.end < end {
            self.read_behind(covered.end, end)
        } else {
            Ok(false)
        }
    }

    /// Reads a stretch that ends at `to_ns` and begins at `least_ns` at the earliest. What begins at `end_ns` or later
    /// is not wished and gives way.
    fn read_before(&mut self, to_ns: i64, least_ns: i64, end_ns: i64) -> Result<bool, KeepError> {
        let drop_unwanted =
            |past: &mut Past| past.ends().is_some_and(|(_, last)| last.span().start >= end_ns) && past.drop_last();
        if !self.make_room(drop_unwanted) {
            self.set_state(State::Full);
            return Ok(false);
        }
        let from_ns = to_ns.saturating_sub(self.step_ns).max(least_ns);
        let (mut pages, mut ticks, mut at_ns) = (VecDeque::new(), 0, from_ns);
        while at_ns < to_ns {
            let Some(page) = self.read_page(at_ns, to_ns)? else { return Ok(true) };
            at_ns = page.span().end;
            ticks += page.ticks();
            pages.push_back(page);
            while self.past.ticks() + ticks > PAST_TICKS_MAX && pages.len() > 1 {
                ticks -= pages.pop_front().map_or(0, |page: Page| page.ticks());
            }
        }
        self.adapt(ticks);
        pages.into_iter().rev().for_each(|page| self.past.prepend(page));
        if self.oldest_ns.is_some_and(|oldest_ns| self.past.covered().is_some_and(|it| it.start <= oldest_ns)) {
            self.past.begin_there();
        }
        self.state = State::Reading;
        self.show();
        Ok(true)
    }

    /// Reads a stretch that begins at `from_ns` and ends at `most_ns` at the latest.
    fn read_behind(&mut self, from_ns: i64, most_ns: i64) -> Result<bool, KeepError> {
        // What is newer is worth more.
        self.make_room(Past::drop_first);
        let to_ns = from_ns.saturating_add(self.step_ns).min(most_ns);
        let Some(page) = self.read_page(from_ns, to_ns)? else { return Ok(true) };
        if page.span().end == to_ns {
            self.adapt(page.ticks());
        }
        self.past.append(page, PAGE_TICKS);
        self.state = State::Reading;
        self.show();
        Ok(true)
    }

    /// Lets go of pages until there is room for another; whether there is.
    fn make_room(&mut self, mut drop_one: impl FnMut(&mut Past) -> bool) -> bool {
        while self.past.ticks() + PAGE_TICKS > PAST_TICKS_MAX {
            if !drop_one(&mut self.past) {
                return false;
            }
        }
        true
    }

    /// Asks for more time at once where there was little in it, and for less where there was much.
    fn adapt(&mut self, ticks: usize) {
        let factor = match ticks {
            0 => 8,
            few if few < WANTED_TICKS / 2 => (WANTED_TICKS / few).min(8) as i64,
            _ => 1,
        };
        self.step_ns = self.step_ns.saturating_mul(factor);
        if ticks > 2 * WANTED_TICKS {
            self.step_ns = (self.step_ns / (ticks / WANTED_TICKS) as i64).max(1);
        }
    }

    /// The next page of a stretch; whole instants only. `None` if the end has come.
    fn read_page(&mut self, from_ns: i64, to_ns: i64) -> Result<Option<Page>, KeepError> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        if self.history.wished().is_none() {
            return Ok(None);
        }
        let (symbols, lanes) = (&self.symbols, &self.lanes);
        let mut ticks: Vec<(usize, KeptTick)> = Vec::new();
        let mut read = |from_ns: i64, to_ns: i64, limit: Option<u64>, ticks: &mut Vec<(usize, KeptTick)>| {
            reader.read(symbols, from_ns, to_ns, limit, &mut |tick| {
                ticks.extend(lanes.get(&tick.symbol).map(|lane| (*lane, tick.clone())));
            })
        };
        let count = read(from_ns, to_ns.saturating_sub(1), Some(PAGE_TICKS as u64), &mut ticks)?;
        let mut end_ns = to_ns;
        if let Some(time_ns) = ticks.last().map(|(_, tick)| tick.time_ns).filter(|_| count >= PAGE_TICKS as u64) {
            // The last instant may go on; where it is the only one, it is read as a whole.
            ticks.retain(|(_, tick)| tick.time_ns < time_ns);
            end_ns = time_ns;
            if ticks.is_empty() {
                read(time_ns, time_ns, None, &mut ticks)?;
                end_ns = time_ns.saturating_add(1);
            }
        }
        let mut page = Page::new(from_ns, symbols.len());
        for (lane, tick) in ticks {
            if let (Some(time), Some(price)) = (Timestamp::from_nanos(tick.time_ns), Price::new(tick.price)) {
                page.push(lane, time, price, tick.size, tick.outlier);
            }
        }
        Ok(Some(page.until(end_ns)))
    }

    /// Looks up what stands next to the past, symbol by symbol.
    fn look_beyond(&mut self, number: u64, seam_ns: i64) -> Result<Next, KeepError> {
        let Some(covered) = self.past.covered() else { return Ok(Next::Done) };
        let (knows_before, knows_after) = self.past.knows_beyond();
        let has_hole = covered.end < seam_ns;
        if knows_before && (knows_after || !has_hole) {
            return Ok(Next::Done);
        }
        let Some(reader) = &mut self.reader else { return Ok(Next::On) };
        let as_tick =
            |tick: Option<KeptTick>| tick.map(|KeptTick { time_ns, price, size, .. }| TickRef { time_ns, price, size });
        for (lane, symbol) in self.symbols.iter().enumerate() {
            if self.history.wished().is_none_or(|(latest, _)| latest != number) {
                return Ok(Next::On);
            }
            let before =
                if covered.start == i64::MIN { None } else { as_tick(reader.latest_before(symbol, covered.start)?) };
            let after = if has_hole { as_tick(reader.earliest_from(symbol, covered.end)?) } else { None };
            self.past.note_beyond(lane, before, after);
        }
        debug!(ticks = self.past.ticks(), bytes = self.past.bytes(), "the past is read");
        self.show();
        Ok(Next::Done)
    }
}

/// The cause alone: which store it is, everybody knows.
fn cause(error: &KeepError) -> String {
    match error {
        KeepError::Read { cause, .. } | KeepError::Open { cause, .. } => cause.clone(),
        other => other.to_string(),
    }
}
