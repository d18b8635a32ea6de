//! The thread that reads the past, a page at a time.

mod settling;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use compact_str::CompactString;
use foldhash::fast::RandomState;
use tracing::{debug, warn};

use crate::consumer::shared::Shared;
use crate::model::TimeSpan;
use crate::model::{Price, Symbol, Timestamp};
use crate::series::{ArrivalMark, HistoryPage, LoadedHistory, SeriesTick};
use crate::storage::db::{DbError, StoreReader, StoreUrl, TickRow};

use settling::Moment;

use crate::consumer::backfill::{BackfillRequest, Full, History, HistorySnapshot, State, seam};

/// Most ticks of the past in memory, over all symbols: some 42 MB as trades of a few symbols come (5.3 bytes each
/// measured), more where there are thousands, and more than a screen has pixels.
pub(super) const PAST_TICKS_MAX: usize = 8_000_000;

/// Most ticks in a page: what a file gives in about a tenth of a second, so that a new wish is not kept waiting.
pub(super) const PAGE_TICKS: usize = 65_536;

/// As many as one reading should bring: the stretch of time that is asked for grows and shrinks with that.
const WANTED_TICKS: usize = 32_768;

/// Where the store begins is asked this often while it is read: old ticks may be deleted.
const ASKED_EVERY: Duration = Duration::from_secs(10);

/// Where each of so many symbols begins in the store is asked; of more, where the store does.
const OLDEST_OF_MAX: usize = 64;

/// A store that fails is tried again after this, and then after twice as long, up to the second value.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// How far behind the seam the past may reach, and how far is enough: it is read on in larger pieces than memory gives
/// up.
#[derive(Debug, Clone, Copy)]
struct Reach {
    most_ns: i64,
    enough_ns: i64,
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
    past: LoadedHistory,
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
    /// When the store was asked where it begins, and of how many symbols.
    asked: Option<(Instant, usize)>,
    /// A past of fewer symbols, and its marks: shown until there is as much of the new one as is in view.
    replaced: Option<(LoadedHistory, Vec<ArrivalMark>)>,
    /// What is looked at.
    view: TimeSpan,
    /// That of which not all fits.
    full: Option<Full>,
}

impl Reading {
    pub(super) fn new(url: StoreUrl, shared: Arc<Shared>, history: Arc<History>) -> Self {
        Self {
            url,
            shared,
            history,
            reader: None,
            past: LoadedHistory::default(),
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
            replaced: None,
            view: TimeSpan { start: 0, end: 0 },
            full: None,
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
    fn after_open(&mut self) -> Next {
        self.recover();
        self.oldest_ns.map_or(Next::After(ASKED_EVERY / 10), |_| Next::Done)
    }

    fn fail(&mut self, error: &DbError) {
        self.failures += 1;
        // At the very start the store may not have been made yet.
        if self.failures > 1 || self.reader.is_some() {
            let state = State::Failing(cause(error));
            if self.state != state {
                warn!("what memory does not keep cannot be read: {error}");
            }
            self.set_state(state);
        }
        // A new connection may do.
        (self.reader, self.asked) = (None, None);
        self.history.pause(self.pause);
        self.pause = (self.pause * 2).min(PAUSES.1);
    }

    /// There is nothing that hinders.
    fn recover(&mut self) {
        if matches!(self.state, State::Behind | State::Failing(_)) {
            self.set_state(State::Reading);
        }
    }

    fn set_state(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.show();
        }
    }

    fn show(&mut self) {
        self.shown += 1;
        let view = self.view;
        let is_seen =
            |past: &LoadedHistory| past.covered().is_some_and(|it| it.start < view.end && it.end > view.start);
        let (mut past, marks) = match &self.replaced {
            Some((past, marks)) if is_seen(past) => (past.clone(), marks.clone()),
            _ => (self.past.clone(), self.settled.as_ref().map(|settled| settled.marks.clone()).unwrap_or_default()),
        };
        past.set_revision(self.shown);
        let (oldest_ns, state, full) = (self.oldest_ns, self.state.clone(), self.full.clone());
        self.history.show(HistorySnapshot { past, marks, number: self.shown, oldest_ns, state, full });
        self.shared.touch();
    }

    /// There is as much of the new past as is needed for now.
    fn show_new(&mut self) {
        if self.replaced.take().is_some() {
            self.show();
        }
    }

    /// Opens the store, and looks where it begins, now and then and when there are more symbols.
    fn open(&mut self) -> Result<(), DbError> {
        let patience = if self.oldest_ns.is_some() { ASKED_EVERY } else { ASKED_EVERY / 10 };
        let count = self.shared.book().symbol_count().min(OLDEST_OF_MAX + 1);
        let is_asked = self.asked.is_some_and(|(asked, of)| of == count && asked.elapsed() < patience);
        if self.reader.is_some() && is_asked {
            return Ok(());
        }
        if self.reader.is_none() {
            self.reader = Some(StoreReader::open(&self.url)?);
        }
        let Some(reader) = &mut self.reader else { return Ok(()) };
        let oldest_ns = if (1..=OLDEST_OF_MAX).contains(&count) {
            let symbols: Vec<Symbol> = self.shared.book().iter().map(|(_, symbol, _)| symbol.clone()).collect();
            reader.oldest_of(&symbols)?
        } else {
            reader.span()?.map(|(oldest_ns, _)| oldest_ns)
        };
        self.asked = Some((Instant::now(), count));
        if oldest_ns != self.oldest_ns {
            self.oldest_ns = oldest_ns;
            self.show();
        }
        Ok(())
    }

    /// A part of what a wish needs.
    fn serve(&mut self, number: u64, wish: &BackfillRequest) -> Result<Next, DbError> {
        self.view = wish.span;
        self.open()?;
        self.take_symbols(wish);
        let is_settled = self.settle(wish);
        let ends = seam(&self.shared.book(), &wish.slots);
        let (Some(settled), Some((complete_from_ns, margin_ns))) = (&self.settled, ends) else {
            return Ok(if is_settled { Next::Done } else { self.wait_for_commit() });
        };
        // What came with the newest time itself is there; what comes with it now is seen to come.
        let up_to = |ns: i64| complete_from_ns.saturating_add(ns).min(settled.newest_ns.saturating_add(1));
        let reach = Reach { most_ns: up_to(margin_ns), enough_ns: up_to(margin_ns / 2) };
        if self.oldest_ns.is_none_or(|oldest_ns| oldest_ns >= complete_from_ns) {
            self.recover();
            self.show_new();
            // The first ticks may still be to be committed.
            return Ok(self.oldest_ns.map_or(Next::After(ASKED_EVERY / 10), |_| Next::Done));
        }
        let mut is_full = false;
        if self.read_next(wish, reach, &mut is_full)? {
            return Ok(Next::On);
        }
        self.note_full(wish, is_full);
        self.show_new();
        if !is_settled {
            return Ok(self.wait_for_commit());
        }
        self.recover();
        self.look_beyond(number, complete_from_ns)
    }

    /// All that fits is read, which is not all that is in view if it is full.
    fn note_full(&mut self, wish: &BackfillRequest, is_full: bool) {
        let full = is_full.then(|| Full { slots: wish.slots.clone(), span: wish.span });
        if is_full && (self.state != State::Full || self.full != full) {
            (self.state, self.full) = (State::Full, full);
            self.show();
        } else if !is_full && self.state == State::Full {
            self.full = None;
            self.set_state(State::Reading);
        }
    }

    /// The past is about the wished symbols, or about more.
    fn take_symbols(&mut self, wish: &BackfillRequest) {
        let known = self.past.symbols();
        if !known.is_empty() && wish.slots.iter().all(|slot| known.binary_search(slot).is_ok()) {
            return;
        }
        let book = self.shared.book();
        let symbols = wish.slots.iter().filter_map(|slot| Some((*slot, book.get(*slot)?.0.clone())));
        let (slots, symbols): (Vec<usize>, Vec<Symbol>) = symbols.unzip();
        drop(book);
        let names = symbols.iter().enumerate();
        self.lanes = names.map(|(lane, symbol)| (CompactString::from(symbol.as_str()), lane)).collect();
        let (past, settled) = (std::mem::replace(&mut self.past, LoadedHistory::new(slots)), self.settled.take());
        if self.replaced.is_none() && past.covered().is_some() {
            self.replaced = Some((past, settled.map(|settled| settled.marks).unwrap_or_default()));
        }
        (self.symbols, self.coming) = (symbols, None);
    }

    /// Reads the next stretch that the wish needs; whether there was one. It is full where not all that is in view
    /// fits.
    fn read_next(&mut self, wish: &BackfillRequest, reach: Reach, is_full: &mut bool) -> Result<bool, DbError> {
        let (view, width_ns) = (wish.span, wish.span.len_ns());
        let oldest_ns = self.oldest_ns.unwrap_or(i64::MIN);
        let (view_start, view_end) = (view.start.max(oldest_ns), view.end.min(reach.most_ns));
        let (start, ahead_ns) = (view.start.saturating_sub(width_ns).max(oldest_ns), view.end.saturating_add(width_ns));
        let end = ahead_ns.min(reach.most_ns);
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
                self.past = LoadedHistory::new(self.past.symbols().to_vec());
                return self.read_before(begin, start, end);
            }
        };
        if covered.end < view.end.min(reach.enough_ns) {
            return self.read_behind(covered.end, view_end, i64::MAX);
        }
        if covered.start > view_start {
            *is_full = !self.read_before(covered.start, view_start, end)?;
            return Ok(!*is_full);
        }
        self.show_new();
        if covered.start > start && self.read_before(covered.start, start, end)? {
            return Ok(true);
        }
        let is_short = covered.end < ahead_ns.min(reach.enough_ns);
        Ok(is_short && self.read_behind(covered.end, end, view.start)?)
    }

    /// Reads a stretch that ends at `to_ns` and begins at `least_ns` at the earliest, if there is room for it. What
    /// begins at `end_ns` or later is not wished and gives way.
    fn read_before(&mut self, to_ns: i64, least_ns: i64, end_ns: i64) -> Result<bool, DbError> {
        let drop_unwanted = |past: &mut LoadedHistory| {
            past.first_and_last().is_some_and(|(_, last)| last.span().start >= end_ns) && past.drop_last()
        };
        if !self.make_room(drop_unwanted) {
            return Ok(false);
        }
        let from_ns = to_ns.saturating_sub(self.step_ns).max(least_ns);
        let Some(page) = self.read_page(from_ns, to_ns)? else { return Ok(true) };
        if page.span().end < to_ns {
            // Too much at once: what is next to the past comes first. A single instant is always read as a whole.
            let (asked_ns, read_ns) = (to_ns.saturating_sub(from_ns), page.span().end.saturating_sub(from_ns));
            self.step_ns = (asked_ns / 2).min(read_ns).max(1);
            return Ok(true);
        }
        self.adapt(page.ticks());
        self.past.prepend(page);
        if self.oldest_ns.is_some_and(|oldest_ns| self.past.covered().is_some_and(|it| it.start <= oldest_ns)) {
            self.past.mark_start_of_history();
        }
        self.show_more();
        Ok(true)
    }

    /// Reads a stretch that begins at `from_ns` and ends at `most_ns` at the latest, if there is room for it. Pages
    /// that end at `until_ns` or earlier give way: what is newer is worth more.
    fn read_behind(&mut self, from_ns: i64, most_ns: i64, until_ns: i64) -> Result<bool, DbError> {
        let drop_unwanted = |past: &mut LoadedHistory| {
            past.first_and_last().is_some_and(|(first, _)| first.span().end <= until_ns) && past.drop_first()
        };
        if !self.make_room(drop_unwanted) {
            return Ok(false);
        }
        let to_ns = from_ns.saturating_add(self.step_ns).min(most_ns);
        let Some(page) = self.read_page(from_ns, to_ns)? else { return Ok(true) };
        if page.span().end == to_ns {
            self.adapt(page.ticks());
        }
        self.past.append(page, PAGE_TICKS);
        self.show_more();
        Ok(true)
    }

    /// Something was read. Whether all fits shows later.
    fn show_more(&mut self) {
        if self.state != State::Full {
            self.state = State::Reading;
        }
        self.show();
    }

    /// Lets go of pages until there is room for another; whether there is.
    fn make_room(&mut self, mut drop_one: impl FnMut(&mut LoadedHistory) -> bool) -> bool {
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
    fn read_page(&mut self, from_ns: i64, to_ns: i64) -> Result<Option<HistoryPage>, DbError> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        if self.history.wished().is_none() {
            return Ok(None);
        }
        let (symbols, lanes) = (&self.symbols, &self.lanes);
        let mut ticks: Vec<(usize, TickRow)> = Vec::new();
        let mut read = |from_ns: i64, to_ns: i64, limit: Option<u64>, ticks: &mut Vec<(usize, TickRow)>| {
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
        let mut page = HistoryPage::new(from_ns, symbols.len());
        for (lane, tick) in ticks {
            if let (Some(time), Some(price)) = (Timestamp::from_nanos(tick.time_ns), Price::new(tick.price)) {
                page.push(lane, time, price, tick.size, tick.outlier);
            }
        }
        Ok(Some(page.ending_at(end_ns)))
    }

    /// Looks up what stands next to the past, symbol by symbol. What was found stays where another wish comes.
    fn look_beyond(&mut self, number: u64, complete_from_ns: i64) -> Result<Next, DbError> {
        let Some(covered) = self.past.covered() else { return Ok(Next::Done) };
        let has_hole = covered.end < complete_from_ns;
        let is_wanted = |lane: &usize| {
            let (knows_before, knows_after) = self.past.knows_neighbors(*lane);
            !knows_before || (has_hole && !knows_after)
        };
        let lanes: Vec<usize> = (0..self.symbols.len()).filter(is_wanted).collect();
        if lanes.is_empty() {
            return Ok(Next::Done);
        }
        let Some(reader) = &mut self.reader else { return Ok(Next::On) };
        let as_tick = |tick: Option<TickRow>| {
            tick.map(|TickRow { time_ns, price, size, .. }| SeriesTick { time_ns, price, size })
        };
        let symbols: Vec<&Symbol> = lanes.iter().filter_map(|lane| self.symbols.get(*lane)).collect();
        let (before_ns, from_ns) = ((covered.start != i64::MIN).then_some(covered.start), Some(covered.end));
        let (past, history) = (&mut self.past, &self.history);
        let mut left = lanes.iter();
        reader.neighbours(&symbols, before_ns, from_ns.filter(|_| has_hole), &mut |before, after| {
            if let Some(lane) = left.next() {
                past.set_neighbors(*lane, as_tick(before), as_tick(after));
            }
            let is_same = history.wished().is_some_and(|(latest, _)| latest == number);
            if is_same { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        if left.len() > 0 {
            return Ok(Next::On);
        }
        debug!(ticks = self.past.ticks(), bytes = self.past.bytes(), "the past is read");
        self.show();
        Ok(Next::Done)
    }
}

/// The cause alone: which store it is, everybody knows.
fn cause(error: &DbError) -> String {
    match error {
        DbError::Read { cause, .. } | DbError::Open { cause, .. } => cause.clone(),
        other => other.to_string(),
    }
}
