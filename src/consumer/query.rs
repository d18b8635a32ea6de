//! What a frame takes from the book, in one go and at a cost that depends on the frame's width.

mod collect;
mod session;

use std::sync::Arc;

use crate::chart::BarInterval;
use crate::chart::{Arrangement, Layout, Scale, Size};
use crate::chart::{HistorySnapshot, MissingHistory};
use crate::consumer::args::{AxisChoice, Config, KindChoice, LayoutChoice, parse_size};
use crate::consumer::interaction::Interaction;
use crate::consumer::shared::Shared;
use crate::model::TimeSpan;
use crate::model::{Timestamp, display_safe};
use crate::series::{Bar, BarCache, ColumnCache, Counters, MergedSeries, Sample, SeriesMap};
use collect::Take;
pub(super) use session::Session;

/// One symbol as the frame shows it.
pub(super) struct SymbolFrame {
    /// Safe to show.
    pub(super) symbol: String,
    /// Its place in the book, which is its colour.
    pub(super) slot: usize,
    /// Switched on.
    pub(super) visible: bool,
    /// In this picture: switched on, and on the grid's page, or what the bars are about.
    pub(super) drawn: bool,
    /// Newest tick.
    pub(super) last: Option<Sample>,
    /// Newest tick at the right edge of the view.
    pub(super) at_edge: Option<Sample>,
    /// Price against which changes are measured: at the left edge of the view, or at the session's open.
    pub(super) base: Option<f64>,
    /// Lowest and highest price in view.
    pub(super) range: Option<(f64, f64)>,
    /// The line, cut at gaps.
    pub(super) runs: Vec<Vec<Sample>>,
    /// The bars, where these are drawn instead.
    pub(super) candles: Vec<Bar>,
    /// Ticks in view that were set apart: of each pixel column the first, lowest, highest and last.
    pub(super) outliers: Vec<Sample>,
}

impl SymbolFrame {
    /// Change of `price` against the base, percent; `None` where that has no meaning.
    pub(super) fn percent(&self, price: f64) -> Option<f64> {
        let base = self.base.filter(|base| *base != 0.0)?;
        Some((price - base) / base.abs() * 100.0).filter(|percent| percent.is_finite())
    }

    /// Whether a logarithmic axis can show any of it.
    pub(super) fn has_positive(&self) -> bool {
        self.range.is_some_and(|(_, hi)| hi > 0.0)
    }

    /// Whether there is nothing of it to draw.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.candles.is_empty()
    }
}

/// Everything a frame takes from the book.
pub(super) struct FrameData {
    /// How the picture is laid out.
    pub(super) frame: Layout,
    pub(super) shown: Vec<SymbolFrame>,
    /// What is drawn, by places in `shown`: the symbols of a grid's panes, in reading order, or of the one chart.
    pub(super) drawn: Vec<usize>,
    /// Page of the grid, and how many there are.
    pub(super) page: (usize, usize),
    /// The bars' length.
    pub(super) interval: Option<BarInterval>,
    pub(super) span: TimeSpan,
    /// `None` before the first tick.
    pub(super) edge_ns: Option<i64>,
    /// Of all ticks.
    pub(super) newest_ns: Option<i64>,
    /// In memory or in the store.
    pub(super) oldest_ns: Option<i64>,
    /// What was read back, if anything is.
    pub(super) recalled: Option<Arc<HistorySnapshot>>,
    /// What else is to be read.
    pub(super) need: MissingHistory,
    /// Stretches of the time before memory that are not known.
    pub(super) unknown: Vec<(i64, i64)>,
    /// Start, end and loss of each gap; an open one ends at the live edge.
    pub(super) gaps: Vec<(i64, i64, u64)>,
    pub(super) counters: Counters,
}

impl FrameData {
    /// The symbols that are switched on.
    pub(super) fn visible(&self) -> impl Iterator<Item = &SymbolFrame> {
        self.shown.iter().filter(|shown| shown.visible)
    }

    /// The symbols that are in the picture.
    pub(super) fn drawn(&self) -> impl Iterator<Item = &SymbolFrame> {
        self.drawn.iter().map(|at| &self.shown[*at])
    }

    /// Whether there is one chart a symbol.
    pub(super) fn is_grid(&self) -> bool {
        matches!(self.frame.arrangement, Arrangement::Grid { .. })
    }

    /// Whether an instant lies inside a gap.
    pub(super) fn is_gap(&self, time_ns: i64) -> bool {
        self.gaps.iter().any(|(start, end, _)| *start < time_ns && time_ns < *end)
    }

    /// On a percent axis, a symbol whose base price is zero cannot be drawn.
    pub(super) fn drop_without_base(&mut self) {
        for shown in &mut self.shown {
            if shown.base == Some(0.0) {
                shown.range = None;
                shown.runs.clear();
                shown.candles.clear();
            }
        }
    }
}

/// What a picture is drawn on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Surface {
    /// Pixels of a screen, with strips and axes.
    Screen { size: Size, scale: Scale },
    /// Dots that are the plot alone.
    Dots { size: Size },
}

impl Surface {
    /// What a run without a window draws on.
    pub(super) fn of(config: &Config) -> Self {
        let scale = config.scale.fixed().unwrap_or_default();
        Self::Screen { size: config.screen_size(scale), scale }
    }

    /// Its size as `--size` takes it; `None` where that is too small to be asked for, as a window may be.
    pub(super) fn size_flag(self) -> Option<String> {
        let Self::Screen { size, scale } = self else { return None };
        let layout_px = |screen_px: u32| (screen_px * 2).div_ceil(scale.halves());
        let flag = format!("{}x{}", layout_px(size.width), layout_px(size.height));
        Some(flag).filter(|flag| parse_size(flag).is_ok())
    }

    pub(super) fn frame(self, arrangement: Arrangement) -> Layout {
        match self {
            Self::Screen { size, scale } => Layout::with_arrangement(size, scale, arrangement),
            Self::Dots { size } => Layout::plot_only(size),
        }
    }
}

/// What the last picture took from the book, by the symbols' places.
#[derive(Debug, Default)]
pub(super) struct Caches {
    columns: Vec<ColumnCache>,
    bars: Vec<BarCache>,
}

/// Reads the book.
pub(super) fn gather(
    book: &SeriesMap,
    recalled: Option<Arc<HistorySnapshot>>,
    caches: &mut Caches,
    controls: &mut Interaction,
    surface: Surface,
    session: &Session,
    now: Timestamp,
) -> FrameData {
    let edge_ns = Shared::live_edge_ns(book, now);
    let oldest_ns = book.iter().filter_map(|(_, _, series)| series.oldest_ns()).min();
    for (_, symbol, _) in book.iter().skip(controls.symbols.len()) {
        controls.add_symbol(display_safe(symbol.as_str()).into_owned());
    }
    let span = controls.advance(edge_ns.unwrap_or(now.as_nanos()), oldest_ns.unwrap_or(now.as_nanos()));
    let tapes = Tapes { book, recalled: recalled.as_deref() };
    step_by_ticks(&tapes, controls, span, edge_ns);
    let until = controls.until();
    let plan = Plan::new(&tapes, controls, surface);
    let span = controls.span().aligned(plan.frame.columns());
    let gaps = gaps_until(book, until.edge_ns, edge_ns);
    let take = Take {
        span,
        columns: plan.frame.columns(),
        until_ns: until.tick_ns,
        cuts: cuts_until(book, until.tick_ns),
        has_bars: controls.sight.kind != KindChoice::Lines,
        asked: controls.sight.bars,
        session_open_ns: (controls.sight.axis == AxisChoice::Session)
            .then(|| session.open_ns(span.end.min(edge_ns.unwrap_or(i64::MAX)))),
        zone: &session.zone,
    };
    caches.columns.resize_with(book.symbol_count(), ColumnCache::default);
    caches.bars.resize_with(book.symbol_count(), BarCache::default);
    let mut interval = None;
    let mut shown = Vec::with_capacity(book.symbol_count());
    for slot in 0..book.symbol_count() {
        let Some(tape) = tapes.get(slot) else { continue };
        let (columns, bars) = (&mut caches.columns[slot], &mut caches.bars[slot]);
        let mut one = take.figures(tape, slot, controls);
        one.drawn = plan.is_drawn(slot);
        if one.drawn {
            interval = take.line_or_bars(tape, columns, bars, &mut one).or(interval);
            one.outliers =
                take.outliers(book.outliers(slot), recalled.as_deref().map(|recalled| &recalled.loaded), slot);
        } else {
            (*columns, *bars) = (ColumnCache::default(), BarCache::default());
        }
        shown.push(one);
    }
    step_by_bars(controls, &shown);
    let Plan { frame, drawn, page } = plan;
    let (need, unknown) = tapes.need_and_unknown(controls, &drawn, span);
    let oldest_ns = recalled.as_ref().and_then(|recalled| recalled.oldest_ns).into_iter().chain(oldest_ns).min();
    FrameData {
        frame,
        shown,
        drawn,
        page,
        interval,
        span,
        edge_ns,
        newest_ns: book.newest_ns(),
        oldest_ns,
        recalled,
        need,
        unknown,
        gaps,
        counters: book.counters(),
    }
}

/// The gaps that begin before an instant, as far as that; an open one ends at the live edge.
fn gaps_until(book: &SeriesMap, until_ns: i64, edge_ns: Option<i64>) -> Vec<(i64, i64, u64)> {
    let gaps = book.missing_ranges().filter(|gap| gap.start_ns < until_ns);
    gaps.map(|gap| (gap.start_ns, gap.end_ns.or(edge_ns).unwrap_or(gap.start_ns).min(until_ns), gap.lost)).collect()
}

/// Memory and what was read back, symbol by symbol.
struct Tapes<'a> {
    book: &'a SeriesMap,
    recalled: Option<&'a HistorySnapshot>,
}

impl<'a> Tapes<'a> {
    fn get(&self, slot: usize) -> Option<MergedSeries<'a>> {
        tape(self.book, self.recalled, slot)
    }

    /// What else is to be read of the symbols in the picture, and what is not known of them.
    fn need_and_unknown(
        &self,
        controls: &Interaction,
        drawn: &[usize],
        span: TimeSpan,
    ) -> (MissingHistory, Vec<(i64, i64)>) {
        let Some(recalled) = self.recalled else { return (MissingHistory::Unchanged, Vec::new()) };
        let need = recalled.missing(self.book, drawn, span, controls.follows());
        (need, recalled.unknown(self.book, drawn, span))
    }
}

/// What is known of the symbol at a place.
pub(super) fn tape<'a>(
    book: &'a SeriesMap,
    recalled: Option<&'a HistorySnapshot>,
    slot: usize,
) -> Option<MergedSeries<'a>> {
    let (_, series) = book.get(slot)?;
    Some(MergedSeries::new(series, recalled.map(|recalled| &recalled.loaded), slot))
}

/// What of the book comes into the picture, and where.
struct Plan {
    frame: Layout,
    drawn: Vec<usize>,
    page: (usize, usize),
}

impl Plan {
    fn new(tapes: &Tapes<'_>, controls: &mut Interaction, surface: Surface) -> Self {
        let visible: Vec<usize> = (0..tapes.book.symbol_count()).filter(|slot| controls.sight.shows(*slot)).collect();
        let screen = matches!(surface, Surface::Screen { .. });
        if controls.sight.layout == LayoutChoice::Grid && screen && visible.len() > 1 {
            let frame = surface.frame(Arrangement::Grid { panes: visible.len() });
            let fitting = frame.panes().max(1);
            let (page, pages) = (controls.page_of(&visible, fitting), controls.pages);
            let drawn: Vec<usize> = visible.into_iter().skip(page * fitting).take(fitting).collect();
            return Self { frame, drawn, page: (page, pages) };
        }
        let (drawn, arrangement) = if controls.sight.kind == KindChoice::Lines {
            (visible, Arrangement::Single)
        } else {
            let focus = controls.focus();
            // All of the symbol's ticks are asked, not those in view: the pane must not come and go.
            let has_sizes = focus.and_then(|slot| tapes.get(slot)).is_some_and(|tape| tape.has_sizes());
            let volume = screen && controls.sight.volume && has_sizes;
            (focus.into_iter().collect(), if volume { Arrangement::WithVolume } else { Arrangement::Single })
        };
        Self { frame: surface.frame(arrangement), drawn, page: (0, 1) }
    }

    fn is_drawn(&self, slot: usize) -> bool {
        // Places are in order.
        self.drawn.binary_search(&slot).is_ok()
    }
}

/// Moves the crosshair from tick to tick of the focused symbol, where keys have asked for that, and brings it into
/// view.
fn step_by_ticks(tapes: &Tapes<'_>, controls: &mut Interaction, span: TimeSpan, edge_ns: Option<i64>) {
    if controls.step == 0 || controls.sight.kind != KindChoice::Lines {
        return;
    }
    let Some(tape) = controls.focus().and_then(|slot| tapes.get(slot)) else { return };
    let until_ns = controls.until().tick_ns;
    let begin_ns = controls.key_cursor_ns.unwrap_or(span.end.saturating_sub(1));
    let mut at = tape.at_or_before(begin_ns.min(until_ns)).map(|tick| tick.time_ns);
    let steps = std::mem::take(&mut controls.step);
    // The first stroke brings the crosshair to the newest tick in view.
    let steps = if controls.key_cursor_ns.is_some() { steps } else { 0 };
    for _ in 0..steps.unsigned_abs() {
        let Some(from_ns) = at else { break };
        let next = if steps < 0 {
            tape.at_or_before(from_ns.saturating_sub(1))
        } else {
            tape.at_or_after(from_ns.saturating_add(1)).filter(|tick| tick.time_ns <= until_ns)
        };
        at = next.map(|tick| tick.time_ns).or(at);
    }
    if let Some(at_ns) = at {
        controls.key_cursor_ns = Some(at_ns);
        controls.reveal(at_ns, edge_ns);
    }
}

/// As [`step_by_ticks`], from bar to bar of those in view.
fn step_by_bars(controls: &mut Interaction, shown: &[SymbolFrame]) {
    let steps = std::mem::take(&mut controls.step);
    let Some(focus) = controls.focus().and_then(|slot| shown.get(slot)).filter(|_| steps != 0) else { return };
    let Some(last) = focus.candles.len().checked_sub(1) else { return };
    let at = controls.key_cursor_ns.and_then(|at_ns| focus.candles.iter().position(|c| c.start_ns >= at_ns));
    let next = at.map_or(last, |at| (at as i64 + steps).clamp(0, last as i64) as usize);
    controls.key_cursor_ns = Some(focus.candles[next].start_ns);
}

/// Where lines break; one that would lead on behind `until_ns` does there.
fn cuts_until(book: &SeriesMap, until_ns: i64) -> Vec<i64> {
    let mut cuts = book.line_breaks();
    if let Some(cut) = until_ns.checked_add(1)
        && let Err(at) = cuts.binary_search(&cut)
    {
        cuts.insert(at, cut);
    }
    cuts
}
