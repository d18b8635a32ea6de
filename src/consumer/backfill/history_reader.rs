//! Backfill thread: reads history from the database, a page at a time.

mod commit_barrier;
mod step;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use compact_str::CompactString;
use foldhash::fast::RandomState;
use tracing::{debug, warn};

use crate::chart::{BackfillRequest, BackfillState, HistorySnapshot, OversizedView, complete_memory};
use crate::consumer::backfill::Backfill;
use crate::consumer::handles::Handles;
use crate::consumer::persistence::Persistence;
use crate::model::{Price, Symbol, TimeSpan, Timestamp};
use crate::series::{ArrivalMark, HistoryPage, LoadedHistory, SeriesTick};
use crate::storage::db::{DbError, StoreReader, StoreUrl, TickRow};
use commit_barrier::CommitPoint;
use step::{Next, Reach};

/// Most loaded ticks in memory, over all symbols: 42 MB for trades of a few symbols (5.3 bytes each measured), more for
/// thousands of symbols, and more ticks than a screen has pixels.
const LOADED_TICKS_MAX: usize = 8_000_000;

/// Most ticks in a page: SQLite reads them in about a tenth of a second, so that a new request does not wait long.
const PAGE_TICKS: usize = 65_536;

/// Number of ticks that a page aims at. The span of the next page grows and shrinks accordingly.
const PAGE_TICKS_TARGET: usize = 32_768;

/// Interval of the checks for the oldest stored tick while reading: old ticks may be deleted.
const OLDEST_CHECK_EVERY: Duration = Duration::from_secs(10);

/// The same while the database is empty.
const EMPTY_CHECK_EVERY: Duration = Duration::from_secs(1);

/// Most symbols whose oldest tick is looked up by symbol. With more, the oldest tick of the database stands for all.
const OLDEST_SYMBOLS_MAX: usize = 64;

/// First and longest pause after a failure. The pause doubles in between.
const RETRY_PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// Doublings after which the pause is the longest in any case.
const DOUBLINGS_MAX: u32 = 8;

/// State of the thread.
pub(super) struct HistoryReader {
    url: StoreUrl,
    storage: Arc<Persistence>,
    handles: Handles,
    backfill: Arc<Backfill>,
    reader: Option<StoreReader>,
    /// Snapshot to publish, but for the parts that are computed then.
    snapshot: HistorySnapshot,
    /// Loaded symbols; a page has one column for each.
    symbols: Vec<Symbol>,
    /// Index of each name in `symbols`.
    columns: HashMap<CompactString, usize, RandomState>,
    /// Newest tick when the database was last known to hold everything. The marks of the snapshot are of that instant.
    committed_ns: Option<i64>,
    /// Later point whose commit is awaited.
    pending: Option<CommitPoint>,
    /// Time span of the next page.
    page_ns: i64,
    /// Failures since the last success.
    failures: u32,
    /// Time of the last check for the oldest tick, and the number of symbols then.
    oldest_checked: Option<(Instant, usize)>,
    /// History of fewer symbols and its marks. It stays visible until the new one covers the view.
    previous: Option<(LoadedHistory, Vec<ArrivalMark>)>,
    view: TimeSpan,
}

impl HistoryReader {
    pub(super) fn new(url: StoreUrl, storage: Arc<Persistence>, handles: Handles, backfill: Arc<Backfill>) -> Self {
        Self {
            url,
            storage,
            handles,
            backfill,
            reader: None,
            snapshot: HistorySnapshot::default(),
            symbols: Vec::new(),
            columns: HashMap::default(),
            committed_ns: None,
            pending: None,
            page_ns: 0,
            failures: 0,
            oldest_checked: None,
            previous: None,
            view: TimeSpan { start: 0, end: 0 },
        }
    }

    /// Serves requests until the backfill is stopped.
    pub(super) fn run(mut self) {
        while let Some((number, request)) = self.backfill.current() {
            let next = match &request {
                Some(request) => self.serve(number, request),
                // The chart needs the oldest time before anyone scrolls there.
                None if self.snapshot.oldest_ns.is_none() => self.open().map(|()| self.after_open()),
                None => Ok(Next::Idle),
            };
            match next {
                Ok(next) => {
                    self.failures = 0;
                    match next {
                        Next::Continue => {}
                        Next::RetryAfter(limit) => self.backfill.wait_for_change(number, Some(limit)),
                        Next::Idle => self.backfill.wait_for_change(number, None),
                    }
                }
                Err(error) => self.fail(&error),
            }
        }
    }

    /// Next step once the oldest tick is known. An empty database is checked again.
    fn after_open(&mut self) -> Next {
        self.recover();
        self.snapshot.oldest_ns.map_or(Next::RetryAfter(EMPTY_CHECK_EVERY), |_| Next::Idle)
    }

    fn fail(&mut self, error: &DbError) {
        self.failures += 1;
        // At the very start the file may not exist yet.
        if self.failures > 1 || self.reader.is_some() {
            let state = BackfillState::Failing(cause(error));
            if self.snapshot.state != state {
                warn!("cannot read older ticks from the store, retrying: {error}");
            }
            self.set_state(state);
        }
        // The next attempt opens a new connection.
        (self.reader, self.oldest_checked) = (None, None);
        let doublings = (self.failures - 1).min(DOUBLINGS_MAX);
        self.backfill.pause((RETRY_PAUSES.0 * (1 << doublings)).min(RETRY_PAUSES.1));
    }

    fn recover(&mut self) {
        if matches!(self.snapshot.state, BackfillState::Behind | BackfillState::Failing(_)) {
            self.set_state(BackfillState::Reading);
        }
    }

    fn set_state(&mut self, state: BackfillState) {
        if self.snapshot.state != state {
            self.snapshot.state = state;
            self.publish();
        }
    }

    fn publish(&mut self) {
        self.snapshot.revision += 1;
        let (mut published, view) = (self.snapshot.clone(), self.view);
        let is_visible = |loaded: &LoadedHistory| {
            loaded.covered().is_some_and(|covered| covered.start < view.end && covered.end > view.start)
        };
        if let Some((loaded, marks)) = self.previous.as_ref().filter(|(loaded, _)| is_visible(loaded)) {
            (published.loaded, published.marks) = (loaded.clone(), marks.clone());
        }
        published.loaded.set_revision(published.revision);
        published.has_room = has_room(&published.loaded);
        self.backfill.publish(published);
        self.handles.redraw.request();
    }

    /// Drops the previous history: the new one covers the view.
    fn drop_previous(&mut self) {
        if self.previous.take().is_some() {
            self.publish();
        }
    }

    /// Opens the database if it is not open, and looks up its oldest tick if that is due or symbols were added.
    fn open(&mut self) -> Result<(), DbError> {
        let interval = if self.snapshot.oldest_ns.is_some() { OLDEST_CHECK_EVERY } else { EMPTY_CHECK_EVERY };
        let symbols_len = self.handles.series.lock().symbol_count().min(OLDEST_SYMBOLS_MAX + 1);
        let is_checked = self.oldest_checked.is_some_and(|(at, len)| len == symbols_len && at.elapsed() < interval);
        if self.reader.is_some() && is_checked {
            return Ok(());
        }
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => self.reader.insert(StoreReader::open(&self.url)?),
        };
        let oldest_ns = if (1..=OLDEST_SYMBOLS_MAX).contains(&symbols_len) {
            let symbols: Vec<Symbol> = self.handles.series.lock().iter().map(|(_, symbol, _)| symbol.clone()).collect();
            reader.oldest_of(&symbols)?
        } else {
            reader.span()?.map(|(oldest_ns, _)| oldest_ns)
        };
        self.oldest_checked = Some((Instant::now(), symbols_len));
        if oldest_ns != self.snapshot.oldest_ns {
            self.snapshot.oldest_ns = oldest_ns;
            self.publish();
        }
        Ok(())
    }

    /// Serves one step of a request.
    fn serve(&mut self, number: u64, request: &BackfillRequest) -> Result<Next, DbError> {
        self.view = request.span;
        self.open()?;
        self.select_symbols(request);
        let is_committed = self.pass_barrier(request);
        let memory = complete_memory(&self.handles.series.lock(), &request.symbols);
        let (Some(committed_ns), Some((complete_from_ns, overlap_ns))) = (self.committed_ns, memory) else {
            return Ok(if is_committed { Next::Idle } else { self.wait_for_commit() });
        };
        // Ticks of the newest instant itself are committed; further ones of that instant are seen to arrive.
        let newest_ns = committed_ns.saturating_add(1);
        let up_to = |overlap_ns: i64| complete_from_ns.saturating_add(overlap_ns).min(newest_ns);
        let reach = Reach { max_ns: up_to(overlap_ns), enough_ns: up_to(overlap_ns / 2) };
        if self.snapshot.oldest_ns.is_none_or(|oldest_ns| oldest_ns >= complete_from_ns) {
            self.drop_previous();
            // The first ticks may not be committed yet.
            return Ok(self.after_open());
        }
        let mut is_full = false;
        if self.read_next(request, reach, &mut is_full)? {
            return Ok(Next::Continue);
        }
        self.set_oversized(request, is_full);
        self.drop_previous();
        if !is_committed {
            return Ok(self.wait_for_commit());
        }
        self.recover();
        self.read_neighbours(number, complete_from_ns)
    }

    /// Records that the view does not fit into memory, or that it does.
    fn set_oversized(&mut self, request: &BackfillRequest, is_full: bool) {
        let view = is_full.then(|| OversizedView { symbols: request.symbols.clone(), span: request.span });
        if is_full && (self.snapshot.state != BackfillState::Full || self.snapshot.oversized != view) {
            (self.snapshot.state, self.snapshot.oversized) = (BackfillState::Full, view);
            self.publish();
        } else if !is_full && self.snapshot.state == BackfillState::Full {
            self.snapshot.oversized = None;
            self.set_state(BackfillState::Reading);
        }
    }

    /// Starts over with the requested symbols, unless all of them are loaded.
    fn select_symbols(&mut self, request: &BackfillRequest) {
        let known = self.snapshot.loaded.symbols();
        if !known.is_empty() && request.symbols.iter().all(|symbol| known.binary_search(symbol).is_ok()) {
            return;
        }
        let series = self.handles.series.lock();
        let symbols = request.symbols.iter().filter_map(|index| Some((*index, series.get(*index)?.0.clone())));
        let (indices, symbols): (Vec<usize>, Vec<Symbol>) = symbols.unzip();
        drop(series);
        let names = symbols.iter().enumerate();
        self.columns = names.map(|(column, symbol)| (CompactString::from(symbol.as_str()), column)).collect();
        let loaded = std::mem::replace(&mut self.snapshot.loaded, LoadedHistory::new(indices));
        let marks = std::mem::take(&mut self.snapshot.marks);
        if self.previous.is_none() && loaded.covered().is_some() {
            self.previous = Some((loaded, marks));
        }
        (self.symbols, self.committed_ns, self.pending) = (symbols, None, None);
    }

    /// Reads the next page that the request needs. Returns false if none is needed. Sets `is_full` if ticks in view do
    /// not fit into memory.
    fn read_next(&mut self, request: &BackfillRequest, reach: Reach, is_full: &mut bool) -> Result<bool, DbError> {
        let (view, width_ns) = (request.span, request.span.len_ns());
        let oldest_ns = self.snapshot.oldest_ns.unwrap_or(i64::MIN);
        let (view_start, view_end) = (view.start.max(oldest_ns), view.end.min(reach.max_ns));
        let (start, ahead_ns) = (view.start.saturating_sub(width_ns).max(oldest_ns), view.end.saturating_add(width_ns));
        let end = ahead_ns.min(reach.max_ns);
        if end <= start {
            return Ok(false);
        }
        if self.page_ns == 0 {
            self.page_ns = (width_ns / 8).max(1);
        }
        let is_far = |covered: TimeSpan| {
            covered.start > view_end.saturating_add(width_ns) || covered.end < view.start.saturating_sub(width_ns)
        };
        let covered = match self.snapshot.loaded.covered() {
            Some(covered) if !is_far(covered) => covered,
            // No loaded history adjoins the view. Reading starts at the view's right edge, next to newer data.
            _ => {
                self.snapshot.loaded = LoadedHistory::new(self.snapshot.loaded.symbols().to_vec());
                return self.read_before(view_end.max(start.saturating_add(1)), start, end);
            }
        };
        if covered.end < view.end.min(reach.enough_ns) {
            return self.read_after(covered.end, view_end, i64::MAX);
        }
        if covered.start > view_start {
            *is_full = !self.read_before(covered.start, view_start, end)?;
            return Ok(!*is_full);
        }
        self.drop_previous();
        if covered.start > start && self.read_before(covered.start, start, end)? {
            return Ok(true);
        }
        let is_short = covered.end < ahead_ns.min(reach.enough_ns);
        Ok(is_short && self.read_after(covered.end, end, view.start)?)
    }

    /// Reads a page that ends at `to_ns` and starts at `min_ns` at the earliest. Pages that start at `end_ns` or later
    /// are not requested and make room. Returns false if there is no room.
    fn read_before(&mut self, to_ns: i64, min_ns: i64, end_ns: i64) -> Result<bool, DbError> {
        let drop_last = |loaded: &mut LoadedHistory| {
            loaded.first_and_last().is_some_and(|(_, last)| last.span().start >= end_ns) && loaded.drop_last()
        };
        if !self.make_room(drop_last) {
            return Ok(false);
        }
        let from_ns = to_ns.saturating_sub(self.page_ns).max(min_ns);
        let Some(page) = self.read_page(from_ns, to_ns)? else { return Ok(true) };
        if page.span().end < to_ns {
            // The page is cut off before `to_ns`, and only an adjoining one can be prepended: try a shorter span. A
            // single instant is always read whole.
            let (requested_ns, read_ns) = (to_ns.saturating_sub(from_ns), page.span().end.saturating_sub(from_ns));
            self.page_ns = (requested_ns / 2).min(read_ns).max(1);
            return Ok(true);
        }
        self.adapt_page_span(page.ticks());
        self.snapshot.loaded.prepend(page);
        let covered = self.snapshot.loaded.covered();
        if self.snapshot.oldest_ns.zip(covered).is_some_and(|(oldest_ns, covered)| covered.start <= oldest_ns) {
            self.snapshot.loaded.mark_start_of_history();
        }
        self.publish_page();
        Ok(true)
    }

    /// Reads a page that starts at `from_ns` and ends at `max_ns` at the latest. Pages that end at `until_ns` or
    /// earlier make room, because newer ticks are worth more. Returns false if there is no room.
    fn read_after(&mut self, from_ns: i64, max_ns: i64, until_ns: i64) -> Result<bool, DbError> {
        let drop_first = |loaded: &mut LoadedHistory| {
            loaded.first_and_last().is_some_and(|(first, _)| first.span().end <= until_ns) && loaded.drop_first()
        };
        if !self.make_room(drop_first) {
            return Ok(false);
        }
        let to_ns = from_ns.saturating_add(self.page_ns).min(max_ns);
        let Some(page) = self.read_page(from_ns, to_ns)? else { return Ok(true) };
        if page.span().end == to_ns {
            self.adapt_page_span(page.ticks());
        }
        self.snapshot.loaded.append(page, PAGE_TICKS);
        self.publish_page();
        Ok(true)
    }

    fn publish_page(&mut self) {
        if self.snapshot.state != BackfillState::Full {
            self.snapshot.state = BackfillState::Reading;
        }
        self.publish();
    }

    /// Drops pages with `drop_one` until another page fits. Returns false if none can be dropped.
    fn make_room(&mut self, mut drop_one: impl FnMut(&mut LoadedHistory) -> bool) -> bool {
        while !has_room(&self.snapshot.loaded) {
            if !drop_one(&mut self.snapshot.loaded) {
                return false;
            }
        }
        true
    }

    /// Adapts the span of the next page to the number of ticks in this one.
    fn adapt_page_span(&mut self, ticks: usize) {
        let factor = match ticks {
            0 => 8,
            few if few < PAGE_TICKS_TARGET / 2 => (PAGE_TICKS_TARGET / few).min(8) as i64,
            _ => 1,
        };
        self.page_ns = self.page_ns.saturating_mul(factor);
        if ticks > 2 * PAGE_TICKS_TARGET {
            self.page_ns = (self.page_ns / (ticks / PAGE_TICKS_TARGET) as i64).max(1);
        }
    }

    /// Reads a page of whole instants from `from_ns` on, which ends at `to_ns` or, if it is full, before. Returns
    /// `None` once the backfill is stopped.
    fn read_page(&mut self, from_ns: i64, to_ns: i64) -> Result<Option<HistoryPage>, DbError> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        if self.backfill.current().is_none() {
            return Ok(None);
        }
        let (symbols, columns) = (&self.symbols, &self.columns);
        let mut ticks: Vec<(usize, TickRow)> = Vec::new();
        let mut read = |from_ns: i64, to_ns: i64, limit: Option<u64>, ticks: &mut Vec<(usize, TickRow)>| {
            reader.read(symbols, from_ns, to_ns, limit, &mut |tick| {
                ticks.extend(columns.get(&tick.symbol).map(|column| (*column, tick.clone())));
            })
        };
        let count = read(from_ns, to_ns.saturating_sub(1), Some(PAGE_TICKS as u64), &mut ticks)?;
        let mut end_ns = to_ns;
        if let Some(time_ns) = ticks.last().map(|(_, tick)| tick.time_ns).filter(|_| count >= PAGE_TICKS as u64) {
            // The last instant may be incomplete. If it is the only one, it is read whole.
            ticks.retain(|(_, tick)| tick.time_ns < time_ns);
            end_ns = time_ns;
            if ticks.is_empty() {
                read(time_ns, time_ns, None, &mut ticks)?;
                end_ns = time_ns.saturating_add(1);
            }
        }
        let mut page = HistoryPage::new(from_ns, symbols.len());
        for (column, tick) in ticks {
            if let (Some(time), Some(price)) = (Timestamp::from_nanos(tick.time_ns), Price::new(tick.price)) {
                page.push(column, time, price, tick.size, tick.outlier);
            }
        }
        Ok(Some(page.ending_at(end_ns)))
    }

    /// Looks up the ticks next to the loaded history, symbol by symbol, so that lines continue beyond it. Results are
    /// kept if another request interrupts the lookup.
    fn read_neighbours(&mut self, number: u64, complete_from_ns: i64) -> Result<Next, DbError> {
        let Some(covered) = self.snapshot.loaded.covered() else { return Ok(Next::Idle) };
        let has_hole = covered.end < complete_from_ns;
        let is_wanted = |column: &usize| {
            let (knows_before, knows_after) = self.snapshot.loaded.knows_neighbors(*column);
            !knows_before || (has_hole && !knows_after)
        };
        let columns: Vec<usize> = (0..self.symbols.len()).filter(is_wanted).collect();
        if columns.is_empty() {
            return Ok(Next::Idle);
        }
        let Some(reader) = &mut self.reader else { return Ok(Next::Continue) };
        let as_tick = |tick: Option<TickRow>| {
            tick.map(|TickRow { time_ns, price, size, .. }| SeriesTick { time_ns, price, size })
        };
        let symbols: Vec<&Symbol> = columns.iter().filter_map(|column| self.symbols.get(*column)).collect();
        let before_ns = (covered.start != i64::MIN).then_some(covered.start);
        let from_ns = has_hole.then_some(covered.end);
        let (loaded, backfill) = (&mut self.snapshot.loaded, &self.backfill);
        let mut remaining = columns.iter();
        reader.neighbours(&symbols, before_ns, from_ns, &mut |before, after| {
            if let Some(column) = remaining.next() {
                loaded.set_neighbors(*column, as_tick(before), as_tick(after));
            }
            let is_current = backfill.current().is_some_and(|(latest, _)| latest == number);
            if is_current { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        if remaining.len() > 0 {
            return Ok(Next::Continue);
        }
        debug!(ticks = self.snapshot.loaded.ticks(), bytes = self.snapshot.loaded.bytes(), "history loaded");
        self.publish();
        Ok(Next::Idle)
    }
}

/// Returns true if another page fits into memory.
fn has_room(loaded: &LoadedHistory) -> bool {
    loaded.ticks() + PAGE_TICKS <= LOADED_TICKS_MAX
}

/// Cause without the name of the database, which is known.
fn cause(error: &DbError) -> String {
    match error {
        DbError::Read { cause, .. } | DbError::Open { cause, .. } => cause.clone(),
        other => other.to_string(),
    }
}
