//! What a frame takes from the book, in one go and at a cost that depends on the frame's width.

use jiff::ToSpan as _;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use crate::consumer::args::{AxisChoice, Config, KindChoice, LayoutChoice, parse_size};
use crate::consumer::bars;
use crate::consumer::controls::Controls;
use crate::consumer::shared::Shared;
use crate::model::{Timestamp, display_safe};
use crate::plot::{Arrangement, Frame, Scale, Size};
use crate::series::{BarCache, Book, Candle, ColumnCache, Counters, Sample, Series};
use crate::view::{BarInterval, TimeSpan};

/// One symbol as the frame shows it.
pub(super) struct Shown {
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
    pub(super) candles: Vec<Candle>,
    /// Ticks in view that were set apart: of each pixel column the first, lowest, highest and last.
    pub(super) outliers: Vec<Sample>,
}

impl Shown {
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
pub(super) struct Gathered {
    /// How the picture is laid out.
    pub(super) frame: Frame,
    pub(super) shown: Vec<Shown>,
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
    pub(super) oldest_ns: Option<i64>,
    /// Start, end and loss of each gap; an open one ends at the live edge.
    pub(super) gaps: Vec<(i64, i64, u64)>,
    pub(super) counters: Counters,
}

impl Gathered {
    /// The symbols that are switched on.
    pub(super) fn visible(&self) -> impl Iterator<Item = &Shown> {
        self.shown.iter().filter(|shown| shown.visible)
    }

    /// The symbols that are in the picture.
    pub(super) fn drawn(&self) -> impl Iterator<Item = &Shown> {
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

    pub(super) fn frame(self, arrangement: Arrangement) -> Frame {
        match self {
            Self::Screen { size, scale } => Frame::arranged(size, scale, arrangement),
            Self::Dots { size } => Frame::bare(size),
        }
    }
}

/// When the market's day begins.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) zone: TimeZone,
    pub(super) start: Time,
}

impl Session {
    /// When the session that `time_ns` belongs to opened, ns.
    fn open_ns(&self, time_ns: i64) -> i64 {
        let Ok(instant) = jiff::Timestamp::from_nanosecond(time_ns.into()) else { return i64::MIN };
        let local = instant.to_zoned(self.zone.clone());
        let opening = |date: jiff::civil::Date| {
            let opens = date.to_datetime(self.start).to_zoned(self.zone.clone()).ok()?;
            i64::try_from(opens.timestamp().as_nanosecond()).ok()
        };
        let today = opening(local.date()).filter(|open_ns| *open_ns <= time_ns);
        let yesterday = || local.date().checked_sub(1.day()).ok().and_then(opening);
        today.or_else(yesterday).unwrap_or(i64::MIN)
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
    book: &Book,
    caches: &mut Caches,
    controls: &mut Controls,
    surface: Surface,
    session: &Session,
    now: Timestamp,
) -> Gathered {
    let edge_ns = Shared::live_edge_ns(book, now);
    let oldest_ns = book.iter().filter_map(|(_, _, series)| series.oldest_ns()).min();
    for (_, symbol, _) in book.iter().skip(controls.symbols.len()) {
        controls.add_symbol(display_safe(symbol.as_str()).into_owned());
    }
    let span = controls.advance(edge_ns.unwrap_or(now.as_nanos()), oldest_ns.unwrap_or(now.as_nanos()));
    step_by_ticks(book, controls, span, edge_ns);
    let until = controls.until();
    let plan = Plan::new(book, controls, surface);
    let span = controls.span().aligned(plan.frame.columns());
    let gaps: Vec<_> = book
        .gaps()
        .filter(|gap| gap.start_ns < until.edge_ns)
        .map(|gap| (gap.start_ns, gap.end_ns.or(edge_ns).unwrap_or(gap.start_ns).min(until.edge_ns), gap.lost))
        .collect();
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
    caches.columns.resize_with(book.symbols_len(), ColumnCache::default);
    caches.bars.resize_with(book.symbols_len(), BarCache::default);
    let mut interval = None;
    let mut shown = Vec::with_capacity(book.symbols_len());
    for (slot, (_, _, series)) in book.iter().enumerate() {
        let (columns, bars) = (&mut caches.columns[slot], &mut caches.bars[slot]);
        let mut one = take.figures(series, slot, controls);
        one.drawn = plan.is_drawn(slot);
        if one.drawn {
            interval = take.line_or_bars(series, columns, bars, &mut one).or(interval);
            one.outliers = book.outliers(slot).map(|outliers| take.outliers(outliers)).unwrap_or_default();
        } else {
            (*columns, *bars) = (ColumnCache::default(), BarCache::default());
        }
        shown.push(one);
    }
    step_by_bars(controls, &shown);
    let (newest_ns, counters) = (book.newest_ns(), book.counters());
    let Plan { frame, drawn, page } = plan;
    Gathered { frame, shown, drawn, page, interval, span, edge_ns, newest_ns, oldest_ns, gaps, counters }
}

/// What of the book comes into the picture, and where.
struct Plan {
    frame: Frame,
    drawn: Vec<usize>,
    page: (usize, usize),
}

impl Plan {
    fn new(book: &Book, controls: &mut Controls, surface: Surface) -> Self {
        let visible: Vec<usize> = (0..book.symbols_len()).filter(|slot| controls.sight.shows(*slot)).collect();
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
            let has_sizes = focus.and_then(|slot| book.get(slot)).is_some_and(|(_, series)| {
                series.range(TimeSpan { start: i64::MIN, end: i64::MAX }).is_some_and(|all| all.sized > 0)
            });
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

/// What is taken of every symbol.
struct Take<'a> {
    span: TimeSpan,
    columns: u32,
    until_ns: i64,
    cuts: Vec<i64>,
    /// Bars instead of lines.
    has_bars: bool,
    /// How long the bars are to be; `None` for what suits the view.
    asked: Option<BarInterval>,
    session_open_ns: Option<i64>,
    zone: &'a TimeZone,
}

impl Take<'_> {
    fn figures(&self, series: &Series, slot: usize, controls: &Controls) -> Shown {
        let at_edge = series.at_or_before(self.span.end.min(self.until_ns));
        Shown {
            symbol: controls.symbols[slot].clone(),
            slot,
            visible: controls.sight.shows(slot),
            drawn: false,
            last: series.last().map(|tick| tick.sample()),
            at_edge: at_edge.map(|tick| tick.sample()),
            base: self.base_price(series),
            range: None,
            runs: Vec::new(),
            candles: Vec::new(),
            outliers: Vec::new(),
        }
    }

    /// The price at the left edge: of the last tick before it, or else of the first one after. Or else the first price
    /// of the session.
    fn base_price(&self, series: &Series) -> Option<f64> {
        let base = match self.session_open_ns {
            Some(open_ns) => {
                // A session that has not begun within the view has no open: what was last traded stands for it.
                let end_ns = self.span.end.min(self.until_ns.saturating_add(1));
                let open = series.at_or_after(open_ns).filter(|tick| tick.time_ns < end_ns);
                open.or_else(|| series.at_or_before(open_ns))
            }
            None => series.at_or_before(self.span.start).or_else(|| series.at_or_after(self.span.start)),
        };
        base.filter(|tick| tick.time_ns <= self.until_ns).map(|tick| tick.price)
    }

    fn outliers(&self, series: &Series) -> Vec<Sample> {
        let mut outliers = Vec::new();
        series.extract(self.span, self.columns, &mut outliers);
        outliers.retain(|sample| self.span.contains(sample.time_ns) && sample.time_ns <= self.until_ns);
        outliers
    }

    /// Fills in what is drawn; returns how long the bars are, if there are any.
    fn line_or_bars(
        &self,
        series: &Series,
        columns: &mut ColumnCache,
        cache: &mut BarCache,
        shown: &mut Shown,
    ) -> Option<BarInterval> {
        if self.has_bars {
            let (interval, candles) =
                bars::candles(series, self.asked, self.span, self.columns, self.zone, self.until_ns, cache);
            let ends = candles.iter().flat_map(|candle| [candle.low, candle.high]);
            shown.range = ends.fold(None, |range, price| Some(widened(range, price)));
            shown.candles = candles;
            return Some(interval);
        }
        series.extract_cached(self.span, self.columns, &self.cuts, columns, &mut shown.runs);
        shown.runs.retain(|run| run.first().is_some_and(|sample| sample.time_ns <= self.until_ns));
        // The lowest and highest tick of every column are among the samples.
        let inside = shown.runs.iter().flatten().filter(|sample| self.span.contains(sample.time_ns));
        shown.range = inside.fold(None, |range, sample| Some(widened(range, sample.price)));
        for run in &shown.runs {
            shown.range = with_crossings(shown.range, run, self.span);
        }
        None
    }
}

/// Moves the crosshair from tick to tick of the focused symbol, where keys have asked for that, and brings it into
/// view.
fn step_by_ticks(book: &Book, controls: &mut Controls, span: TimeSpan, edge_ns: Option<i64>) {
    if controls.step == 0 || controls.sight.kind != KindChoice::Lines {
        return;
    }
    let Some((_, series)) = controls.focus().and_then(|slot| book.get(slot)) else { return };
    let until_ns = controls.until().tick_ns;
    let begin_ns = controls.key_cursor_ns.unwrap_or(span.end.saturating_sub(1));
    let mut at = series.at_or_before(begin_ns.min(until_ns)).map(|tick| tick.time_ns);
    let steps = std::mem::take(&mut controls.step);
    // The first stroke brings the crosshair to the newest tick in view.
    let steps = if controls.key_cursor_ns.is_some() { steps } else { 0 };
    for _ in 0..steps.unsigned_abs() {
        let Some(from_ns) = at else { break };
        let next = if steps < 0 {
            series.at_or_before(from_ns.saturating_sub(1))
        } else {
            series.at_or_after(from_ns.saturating_add(1)).filter(|tick| tick.time_ns <= until_ns)
        };
        at = next.map(|tick| tick.time_ns).or(at);
    }
    if let Some(at_ns) = at {
        controls.key_cursor_ns = Some(at_ns);
        controls.reveal(at_ns, edge_ns);
    }
}

/// As [`step_by_ticks`], from bar to bar of those in view.
fn step_by_bars(controls: &mut Controls, shown: &[Shown]) {
    let steps = std::mem::take(&mut controls.step);
    let Some(focus) = controls.focus().and_then(|slot| shown.get(slot)).filter(|_| steps != 0) else { return };
    let Some(last) = focus.candles.len().checked_sub(1) else { return };
    let at = controls.key_cursor_ns.and_then(|at_ns| focus.candles.iter().position(|c| c.start_ns >= at_ns));
    let next = at.map_or(last, |at| (at as i64 + steps).clamp(0, last as i64) as usize);
    controls.key_cursor_ns = Some(focus.candles[next].start_ns);
}

/// Where lines break; one that would lead on behind `until_ns` does there.
fn cuts_until(book: &Book, until_ns: i64) -> Vec<i64> {
    let mut cuts = book.cuts();
    if let Some(cut) = until_ns.checked_add(1)
        && let Err(at) = cuts.binary_search(&cut)
    {
        cuts.insert(at, cut);
    }
    cuts
}
/// The range widened by where the line crosses the edges of the view: its ends lie outside, and between two ticks that
/// both lie outside there is a line all the same.
fn with_crossings(range: Option<(f64, f64)>, run: &[Sample], span: TimeSpan) -> Option<(f64, f64)> {
    let pairs = [run.first().zip(run.get(1)), run.iter().rev().nth(1).zip(run.last())];
    let crossings = pairs.into_iter().flatten().flat_map(|(from, to)| {
        [span.start, span.end].into_iter().filter_map(move |edge_ns| {
            if from.time_ns >= edge_ns || to.time_ns <= edge_ns {
                return None;
            }
            let share = (edge_ns - from.time_ns) as f64 / (to.time_ns - from.time_ns) as f64;
            Some(from.price * (1.0 - share) + to.price * share)
        })
    });
    crossings.fold(range, |range, price| Some(widened(range, price)))
}

fn widened(range: Option<(f64, f64)>, price: f64) -> (f64, f64) {
    let (lo, hi) = range.unwrap_or((price, price));
    (lo.min(price), hi.max(price))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(zone: &str, start: &str) -> Session {
        Session { zone: TimeZone::get(zone).unwrap(), start: start.parse().unwrap() }
    }

    #[test]
    fn a_session_opens_at_its_local_time_of_day_or_the_day_before() {
        let ns = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_nanosecond() as i64;
        let new_york = session("America/New_York", "09:30");
        assert_eq!(new_york.open_ns(ns("2013-10-07T14:00:00Z")), ns("2013-10-07T13:30:00Z"));
        assert_eq!(new_york.open_ns(ns("2013-10-07T13:29:59Z")), ns("2013-10-06T13:30:00Z"));
        // Summer time ended on the third of November: the opening stays at half past nine.
        assert_eq!(new_york.open_ns(ns("2013-11-04T15:00:00Z")), ns("2013-11-04T14:30:00Z"));
        let midnight = session("UTC", "00:00");
        assert_eq!(midnight.open_ns(ns("2013-10-07T00:00:00Z")), ns("2013-10-07T00:00:00Z"));
        for extreme in [i64::MIN, i64::MAX, 0, -1] {
            assert!(midnight.open_ns(extreme) <= extreme);
        }
    }

    fn crossings(samples: &[(i64, f64)]) -> Option<(f64, f64)> {
        let run: Vec<Sample> = samples.iter().map(|&(time_ns, price)| Sample { time_ns, price }).collect();
        with_crossings(None, &run, TimeSpan { start: 100, end: 200 })
    }

    #[test]
    fn a_line_that_only_passes_through_counts_where_it_passes() {
        assert_eq!(crossings(&[(0, 0.0), (400, 40.0)]), Some((10.0, 20.0)));
        assert_eq!(crossings(&[(50, 0.0), (150, 10.0)]), Some((5.0, 5.0)));
        assert_eq!(crossings(&[(150, 1.0), (250, 3.0)]), Some((2.0, 2.0)));
        assert_eq!(crossings(&[(50, 0.0), (150, 10.0), (250, 0.0)]), Some((5.0, 5.0)));
        assert_eq!(crossings(&[(120, 1.0), (150, 2.0)]), None);
        assert_eq!(crossings(&[(120, 1.0)]), None);
        assert_eq!(crossings(&[(100, 1.0), (200, 2.0)]), None, "ticks on the edges count as ticks");
    }
}
