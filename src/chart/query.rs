//! Frame query: reads from the series everything that one frame shows, at a cost set by the frame's width and not by
//! the length of the history. The caller holds the lock of the series meanwhile; the query only reads.

mod cursor;
mod symbol_frame;
mod trading_session;
mod value_axes;

use crate::chart::interaction::{
    AxisMode, ChartKind, GridPage, HitTest, Interaction, PaneLayout, PlotId, ResolvedView, SymbolSearch, VisibleTicks,
};
use crate::chart::{
    Arrangement, AxisKind, BackfillState, HistorySnapshot, Layout, MissingHistory, Scale, Size, Transform, Viewport,
};
use crate::model::{TimeSpan, Timestamp, display_safe};
use crate::series::{BarCache, ColumnCache, Counters, MergedSeries, MissingRange, SeriesMap};
pub use cursor::CrosshairPosition;
pub use symbol_frame::SymbolFrame;
use symbol_frame::SymbolQuery;
pub use trading_session::TradingSession;
use value_axes::ValueAxes;

/// Largest difference between two clocks that are taken for synchronized, ns. Beyond it, a tick is a replay, or its
/// producer's clock is wrong.
pub(crate) const CLOCK_SKEW_MAX_NS: i64 = 5_000_000_000;

/// Target that a frame is drawn on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Surface {
    /// Pixels of a screen. The frame has a header, a footer and axes.
    Screen {
        /// Size in pixels of the screen.
        size: Size,
        /// Pixels of the screen per pixel of the layout.
        scale: Scale,
    },
    /// Dots of a terminal. The frame is a plot alone.
    Dots {
        /// Size in dots.
        size: Size,
    },
}

impl Surface {
    fn layout(self, arrangement: Arrangement) -> Layout {
        match self {
            Self::Screen { size, scale } => Layout::with_arrangement(size, scale, arrangement),
            Self::Dots { size } => Layout::plot_only(size),
        }
    }
}

/// A span without data: an outage, or messages that were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingSpan {
    /// First instant without data, ns.
    pub start_ns: i64,
    /// First instant with data again, ns. The live edge while there is none.
    pub end_ns: i64,
    /// Number of ticks known to be missing.
    pub missing: u64,
}

/// Everything that one frame shows, as of one instant.
#[derive(Debug)]
pub struct FrameData {
    /// Part of the frame that input handling needs.
    pub hit: HitTest,
    /// All symbols, by index.
    pub symbols: Vec<SymbolFrame>,
    /// Indices of the symbols that are drawn, ascending. In a grid, those on the current page.
    pub drawn: Vec<usize>,
    /// Visible span, aligned to pixel columns.
    pub span: TimeSpan,
    /// Time of the last tick shown, ns. `i64::MAX` unless the chart is paused.
    pub until_ns: i64,
    /// Start and end of the visible spans that the database has and that are not loaded, ns.
    pub not_loaded: Vec<(i64, i64)>,
    /// Progress of loading them.
    pub(crate) backfill_state: BackfillState,
    /// Request for history that the view misses.
    pub(crate) missing_history: MissingHistory,
    /// Spans without data, in order of time.
    pub missing: Vec<MissingSpan>,
    /// Counters of the feed.
    pub counters: Counters,
    /// Crosshair, if there is one.
    pub crosshair: Option<CrosshairPosition>,
    /// The view moves with the live edge.
    pub follows: bool,
    /// View to adopt before the scene is built.
    pub view: ResolvedView,
}

impl FrameData {
    /// Returns the symbols that are drawn.
    pub fn drawn(&self) -> impl Iterator<Item = &SymbolFrame> {
        self.drawn.iter().map(|index| &self.symbols[*index])
    }

    /// Returns the symbols of a plot.
    pub(crate) fn plot_symbols(&self, id: PlotId) -> impl Iterator<Item = &SymbolFrame> {
        let indices = match id {
            PlotId::Main => &self.drawn[..],
            PlotId::Symbol(index) => self.drawn.binary_search(&index).map_or(&[][..], |at| &self.drawn[at..=at]),
        };
        indices.iter().map(|index| &self.symbols[*index])
    }

    /// Returns the mapping of a plot to pixels. `None` if there is no such plot.
    pub(crate) fn transform(&self, pane: usize) -> Option<Transform> {
        let viewport = Viewport { time: self.span, value: self.hit.plots.get(pane)?.value };
        Some(Transform { viewport, rect: self.hit.layout.pane(pane).plot })
    }

    /// Returns whether an instant lies in a span without data.
    pub(crate) fn is_missing(&self, time_ns: i64) -> bool {
        self.missing.iter().any(|span| span.start_ns < time_ns && time_ns < span.end_ns)
    }

    /// Returns whether an event at this time is shown.
    pub(crate) fn shows(&self, time_ns: i64) -> bool {
        self.span.contains(time_ns) && time_ns <= self.until_ns
    }
}

/// State that frames pass on: cached columns and bars, and the value axes, which move as rarely as possible.
#[derive(Debug, Default)]
pub struct QueryState {
    columns: Vec<ColumnCache>,
    bars: Vec<BarCache>,
    axes: ValueAxes,
}

/// A query for one frame.
///
/// # Examples
///
/// ```
/// use jiff::{civil::Time, tz::TimeZone};
/// use tickscope::chart::{FrameQuery, FrameStatus, Interaction, QueryState, Scale, SceneBuilder, Size, SourceLabels};
/// use tickscope::chart::{Surface, TradingSession, ViewSettings, new_symbols};
/// use tickscope::model::{Price, Symbol, Tick, Timestamp};
/// use tickscope::series::{HistoryLimits, SeriesMap, SeriesMapConfig};
///
/// let history = HistoryLimits { ticks_max: 1_000, age_ns_max: None };
/// let mut series = SeriesMap::new(SeriesMapConfig { symbols: Vec::new(), symbols_max: 16, history });
/// let now = Timestamp::from_nanos(1_732_000_000_000_000_000).unwrap();
/// let (symbol, price) = (Symbol::new("AAPL").unwrap(), Price::new(187.25).unwrap());
/// let tick = Tick { symbol, price, timestamp: now, size: None, seq: None, source: None };
/// series.append(&tick, now);
///
/// let mut interaction = Interaction::new(ViewSettings::default());
/// new_symbols(&series, 0).into_iter().for_each(|symbol| interaction.add_symbol(symbol));
/// let session = TradingSession { zone: TimeZone::UTC, open: Time::midnight() };
/// let surface = Surface::Screen { size: Size { width: 1280, height: 720 }, scale: Scale::One };
/// let data = FrameQuery::new(&series, &interaction, &session, surface, now).run(&mut QueryState::default());
/// assert_eq!(data.symbols[0].last.unwrap().price, 187.25);
///
/// interaction.adopt(&data.view);
/// let mut builder = SceneBuilder::new(SourceLabels::default(), TimeZone::UTC);
/// let scene = builder.build(&data, &interaction, &FrameStatus::default());
/// assert_eq!(scene.header.legend[0].last.as_deref(), Some("187.25"));
/// ```
pub struct FrameQuery<'a> {
    series: &'a SeriesMap,
    /// Older ticks loaded from a database.
    history: Option<&'a HistorySnapshot>,
    interaction: &'a Interaction,
    session: &'a TradingSession,
    surface: Surface,
    now: Timestamp,
}

impl<'a> FrameQuery<'a> {
    /// A query of the ticks in memory. `interaction` must know every symbol of `series`; see [`new_symbols`]. `session`
    /// is used for changes since its open.
    pub fn new(
        series: &'a SeriesMap,
        interaction: &'a Interaction,
        session: &'a TradingSession,
        surface: Surface,
        now: Timestamp,
    ) -> Self {
        Self { series, history: None, interaction, session, surface, now }
    }

    /// Extends the query to ticks loaded from a database.
    #[must_use]
    pub(crate) fn with_history(self, history: Option<&'a HistorySnapshot>) -> Self {
        Self { history, ..self }
    }

    /// Reads a frame.
    pub fn run(&self, state: &mut QueryState) -> FrameData {
        let (series, interaction) = (self.series, self.interaction);
        let edge_ns = live_edge_ns(series, self.now);
        let oldest_ns = series.iter().filter_map(|(_, _, series)| series.oldest_ns()).min();
        let now_ns = self.now.as_nanos();
        let mut view = interaction.resolve(edge_ns.unwrap_or(now_ns), oldest_ns.unwrap_or(now_ns));
        self.step_by_ticks(&mut view, edge_ns);
        let (layout, drawn, page) = self.arrange();
        view.page = page;
        let span = view.span().aligned(layout.columns());
        let pause_point = interaction.pause_point();
        let mut data = FrameData {
            hit: HitTest {
                layout,
                edge_ns,
                newest_ns: series.newest_ns(),
                oldest_ns,
                mouse: interaction.mouse,
                focus: interaction.focus(),
                results_skipped: interaction.search.as_ref().map_or(0, SymbolSearch::results_skipped),
                ..HitTest::empty(now_ns)
            },
            symbols: Vec::with_capacity(series.symbol_count()),
            drawn,
            span,
            until_ns: pause_point.tick_ns,
            not_loaded: Vec::new(),
            backfill_state: BackfillState::default(),
            missing_history: MissingHistory::Unchanged,
            missing: missing_until(series, pause_point.edge_ns, edge_ns),
            counters: series.counters(),
            crosshair: None,
            follows: interaction.will_follow(&view),
            view,
        };
        self.read_symbols(state, &mut data);
        self.check_history(&mut data);
        self.step_by_bars(&mut data);
        data.hit.axis = state.axes.kind(interaction.view.axis, &data);
        if data.hit.axis == AxisKind::Percent {
            data.symbols.iter_mut().for_each(SymbolFrame::clear_without_percent);
        }
        data.hit.plots = state.axes.plots(interaction, &data);
        self.read_crosshair(&mut data);
        let (hit, end_ns) = (&mut data.hit, data.until_ns.saturating_add(1));
        hit.span = data.view.span();
        hit.cursor = data.crosshair.map(|crosshair| crosshair.cursor);
        hit.hovered = data.crosshair.and_then(|crosshair| crosshair.symbol);
        hit.visible = VisibleTicks {
            symbols: data.symbols.iter().filter(|symbol| symbol.visible).map(|symbol| symbol.index).collect(),
            span: TimeSpan { end: data.span.end.min(end_ns).max(data.span.start), ..data.span },
        };
        data
    }

    fn merged(&self, index: usize) -> Option<MergedSeries<'a>> {
        let (_, series) = self.series.get(index)?;
        Some(MergedSeries::new(series, self.history.map(|history| &history.loaded), index))
    }

    /// Chooses the layout, the symbols drawn and the page of the grid.
    fn arrange(&self) -> (Layout, Vec<usize>, Option<GridPage>) {
        let view = &self.interaction.view;
        let visible: Vec<usize> = (0..self.series.symbol_count()).filter(|index| view.shows(*index)).collect();
        let is_screen = matches!(self.surface, Surface::Screen { .. });
        if view.layout == PaneLayout::Grid && is_screen && visible.len() > 1 {
            let layout = self.surface.layout(Arrangement::Grid { panes: visible.len() });
            let page_len = layout.panes().max(1);
            let page = self.interaction.page_of(&visible, page_len);
            let drawn = visible.into_iter().skip(page.index * page_len).take(page_len).collect();
            return (layout, drawn, Some(page));
        }
        if view.kind == ChartKind::Lines {
            return (self.surface.layout(Arrangement::Single), visible, None);
        }
        let focus = self.interaction.focus();
        // All ticks count, not only those in view, so that the volume pane does not appear and disappear.
        let has_sizes = || focus.and_then(|index| self.merged(index)).is_some_and(|series| series.has_sizes());
        let has_volume = is_screen && view.volume && has_sizes();
        let arrangement = if has_volume { Arrangement::WithVolume } else { Arrangement::Single };
        (self.surface.layout(arrangement), focus.into_iter().collect(), None)
    }

    /// Determines which part of the view is not loaded yet.
    fn check_history(&self, data: &mut FrameData) {
        let Some(history) = self.history else { return };
        data.hit.oldest_ns = history.oldest_ns.into_iter().chain(data.hit.oldest_ns).min();
        data.not_loaded = history.unknown(self.series, &data.drawn, data.span);
        data.missing_history = history.missing(self.series, &data.drawn, data.span, data.follows);
        data.backfill_state = history.state.clone();
    }

    fn read_symbols(&self, state: &mut QueryState, data: &mut FrameData) {
        let view = &self.interaction.view;
        let session_ns = data.span.end.min(data.hit.edge_ns.unwrap_or(i64::MAX));
        let query = SymbolQuery {
            span: data.span,
            columns: data.hit.layout.columns(),
            until_ns: data.until_ns,
            breaks: breaks_until(self.series, data.until_ns),
            has_bars: view.kind != ChartKind::Lines,
            bar_interval: view.bar_interval,
            session_open_ns: (view.axis == AxisMode::Session).then(|| self.session.open_ns(session_ns)),
            zone: &self.session.zone,
        };
        let loaded = self.history.map(|history| &history.loaded);
        state.columns.resize_with(self.series.symbol_count(), ColumnCache::default);
        state.bars.resize_with(self.series.symbol_count(), BarCache::default);
        for index in 0..self.series.symbol_count() {
            let Some(series) = self.merged(index) else { continue };
            let (columns, bars) = (&mut state.columns[index], &mut state.bars[index]);
            let mut symbol = query.prices(series, index, self.interaction);
            if data.drawn.binary_search(&index).is_ok() {
                let interval = query.line_or_bars(series, columns, bars, &mut symbol);
                data.hit.bar_interval = interval.or(data.hit.bar_interval);
                symbol.outliers = query.outliers(self.series.outliers(index), loaded, index);
            } else {
                (*columns, *bars) = (ColumnCache::default(), BarCache::default());
            }
            data.symbols.push(symbol);
        }
    }
}

/// Names of the symbols that the view does not know yet, safe to display, given that it knows the first `known`.
pub fn new_symbols(series: &SeriesMap, known: usize) -> Vec<String> {
    series.iter().skip(known).map(|(_, symbol, _)| display_safe(symbol.as_str()).into_owned()).collect()
}

/// The live edge, ns: the current time if the clock of the newest tick agrees with ours, or else the time of the newest
/// tick. The latter also if all ticks come from a store. `None` before the first tick.
pub(crate) fn live_edge_ns(series: &SeriesMap, now: Timestamp) -> Option<i64> {
    let newest_ns = series.newest_ns()?;
    let lag_ns = series.last_arrival().map_or(i64::MAX, |arrival| arrival.as_nanos().saturating_sub(newest_ns));
    Some(if lag_ns.abs() <= CLOCK_SKEW_MAX_NS { newest_ns.max(now.as_nanos()) } else { newest_ns })
}

/// The spans without data that begin before `until_ns`, cut off there.
fn missing_until(series: &SeriesMap, until_ns: i64, edge_ns: Option<i64>) -> Vec<MissingSpan> {
    let spans = series.missing_ranges().filter(|range| range.start_ns < until_ns);
    let span = |range: &MissingRange| MissingSpan {
        start_ns: range.start_ns,
        end_ns: range.end_ns.or(edge_ns).unwrap_or(range.start_ns).min(until_ns),
        missing: range.lost,
    };
    spans.map(span).collect()
}

/// Instants at which lines break, sorted: at spans without data, and after `until_ns`.
fn breaks_until(series: &SeriesMap, until_ns: i64) -> Vec<i64> {
    let mut breaks = series.line_breaks();
    if let Some(end_ns) = until_ns.checked_add(1)
        && let Err(at) = breaks.binary_search(&end_ns)
    {
        breaks.insert(at, end_ns);
    }
    breaks
}
