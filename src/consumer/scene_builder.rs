//! From the book to a scene: one short stay under the lock, then words and points.

mod alerts;
mod cursor;
mod plots;
mod status_text;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::chart::MissingHistory;
use crate::chart::format;
use crate::chart::{AxisKind, Badge, Chart, Footer, Header, Layout, LegendEntry, Scene, Search};
use crate::chart::{ValueSpan, Viewport};
use crate::client::{LinkState, Target};
use crate::consumer::args::{AxisChoice, Config};
use crate::consumer::export::in_view;
use crate::consumer::interaction::{HELP, Interaction, PlotId, Seeing, find};
use crate::consumer::meters::Meters;
use crate::consumer::query::{Caches, FrameData, Session, Surface, SymbolFrame, gather};
use crate::consumer::shared::Shared;
use crate::model::{Timestamp, display_safe};
use status_text::{gap_bands, link_badge, producer_command, stream_title, view_badge};

/// A price axis that gives its liveliest line less than this share of the height shows flat lines.
const FLAT_SHARE: f64 = 0.25;

/// Back from percent to price only above this share, so that the axis does not flicker between the two.
const LIVELY_SHARE: f64 = 0.5;

/// A figure in the picture that counts seconds goes on this often.
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// How long a message above the footer stays.
pub(super) const TOAST: Duration = Duration::from_secs(4);

/// Most findings of a search that are shown: more would hide the chart.
const FOUND_MAX: usize = 10;

/// What the drawing side remembers between two scenes.
pub(super) struct SceneBuilder {
    session: Session,
    channel: String,
    server: String,
    /// What to type in order to see something; in the marks of code.
    producer_command: String,
    pub(super) meters: Meters,
    /// Shown above the footer until the instant.
    pub(super) toast: Option<(Badge, Instant)>,
    /// The value axes as they were last.
    held: HashMap<PlotId, (AxisKind, ValueSpan)>,
    /// What `--axis auto` chose last.
    axis: AxisKind,
    /// Decimals that each symbol's prices were seen to need.
    decimals: Vec<usize>,
    caches: Caches,
    /// The alert that was told last.
    told: Option<Instant>,
    /// Alerts that were too many to be marked.
    unmarked: u64,
    /// More is to be read from the store for what was collected last.
    pub(super) is_wanting: bool,
}

/// A picture as data, how it is laid out, and what inputs need to know of it.
pub(super) struct View {
    pub(super) scene: Scene,
    pub(super) frame: Layout,
    pub(super) seeing: Seeing,
}

impl SceneBuilder {
    pub(super) fn new(config: &Config, target: &Target) -> Self {
        let channels: Vec<String> = config.channels.iter().map(ToString::to_string).collect();
        Self {
            session: Session { zone: config.zone.clone(), start: config.session_start },
            channel: config.stream.as_ref().map_or_else(|| channels.join(" "), stream_title),
            server: target.to_string(),
            producer_command: producer_command(config),
            meters: Meters::new(),
            toast: None,
            held: HashMap::new(),
            axis: AxisKind::Price,
            decimals: Vec::new(),
            caches: Caches::default(),
            told: None,
            unmarked: 0,
            is_wanting: false,
        }
    }

    /// Collects everything that a frame shows.
    pub(super) fn view(&mut self, shared: &Shared, controls: &mut Interaction, surface: Surface, now: Instant) -> View {
        let mut gathered = self.gather(shared, controls, surface);
        let link = shared.link().clone();
        let rejected = shared.rejects().total();
        let stale = shared.arrivals().stale_for(now);
        self.meters.settle(now, shared.brought(gathered.counters.received));
        self.note_decimals(&gathered);
        let axis = self.choose_axis(controls.sight.axis, &gathered);
        if axis == AxisKind::Percent {
            gathered.drop_without_base();
        }
        let plots = self.plots(&gathered, controls, axis);
        let mut charts: Vec<Chart> = plots.iter().map(|plot| self.chart(plot, &gathered, controls, axis)).collect();
        let at = cursor::locate(&gathered, &plots, &charts, controls, axis);
        if let Some(at) = at {
            let crosshairs = self.crosshairs(at, shared, &gathered, &plots, controls, axis);
            for (chart, crosshair) in charts.iter_mut().zip(crosshairs) {
                chart.crosshair = crosshair;
            }
        }
        let selection = Self::measurements(at.as_ref(), &gathered, &plots, controls, &mut charts);
        if let Some(chart) = charts.first_mut().filter(|_| !gathered.is_grid()) {
            chart.title = self.bars_title(&gathered, at.map(|at| at.cursor.time_ns));
        }
        self.alerts(shared, &gathered, controls, &mut charts, now);
        let (search, found_first) = self.search(&gathered, controls);
        let counts_seconds = stale.is_some() || matches!(link.state, LinkState::Down(_));
        let seeing = Seeing {
            span: controls.span(),
            edge_ns: gathered.edge_ns,
            newest_ns: gathered.newest_ns,
            oldest_ns: gathered.oldest_ns,
            axis,
            plots,
            cursor: at.map(|at| at.cursor),
            cursor_px: controls.mouse,
            pointed: at.and_then(|at| at.on),
            focus: controls.focus(),
            bars: gathered.interval,
            in_view: (Vec::new(), gathered.span),
            found_first,
            stale: stale.is_some(),
            counts_seconds,
        };
        let header = Header {
            badge: link_badge(&link, &gathered, stale.map(|d| d.as_secs()), now),
            view_badge: view_badge(controls, &gathered),
            channel: self.channel.clone(),
            legend: gathered.shown.iter().map(|shown| self.legend_entry(shown, controls)).collect(),
            // As it was asked for: the drawn one is aligned to columns, and 60 s would read 59 s.
            span: format::span(controls.span().len_ns()),
        };
        let footer = Footer { figures: self.figures(&gathered, rejected, &link, shared) };
        let notice = self.notice(&link, &gathered, axis);
        let (chart, grid) = if gathered.is_grid() {
            let value = seeing.plots.first().map_or(ValueSpan::EMPTY, |plot| plot.value);
            let common = Chart::empty(Viewport { time: gathered.span, value }, axis, self.session.zone.clone());
            (Chart { missing: gap_bands(&gathered), ..common }, charts)
        } else {
            (charts.swap_remove(0), Vec::new())
        };
        let help = controls.help.then(|| HELP.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        let toast = self.toast.as_ref().filter(|(_, until)| now < *until).map(|(badge, _)| badge.clone());
        let chart = Chart { selection, notice, ..chart };
        let scene = Scene { theme: controls.theme, header, chart, grid, footer, help, search, toast };
        let seeing = Seeing { in_view: in_view(&scene, controls.until()), ..seeing };
        View { scene, frame: gathered.frame, seeing }
    }

    /// Takes from memory and from what was read back, and says what else is to be read.
    fn gather(&mut self, shared: &Shared, controls: &mut Interaction, surface: Surface) -> FrameData {
        let session = self.session.clone();
        let recalled = shared.history().map(|history| history.snapshot());
        let mut gathered =
            gather(&shared.book(), recalled, &mut self.caches, controls, surface, &session, Timestamp::now());
        self.is_wanting = matches!(gathered.need, MissingHistory::Request(_));
        if let Some(history) = shared.history() {
            history.request(std::mem::replace(&mut gathered.need, MissingHistory::Unchanged));
        }
        gathered
    }

    fn note_decimals(&mut self, gathered: &FrameData) {
        /// Prices of most markets are read with at least two.
        const DECIMALS_MIN: usize = 2;
        self.decimals.resize(gathered.shown.len().max(self.decimals.len()), DECIMALS_MIN);
        for shown in &gathered.shown {
            if let Some(last) = shown.last {
                let needed = format::decimals_of(last.price);
                self.decimals[shown.slot] = self.decimals[shown.slot].max(needed);
            }
        }
    }

    fn choose_axis(&mut self, choice: AxisChoice, gathered: &FrameData) -> AxisKind {
        match choice {
            AxisChoice::Price => return AxisKind::Price,
            AxisChoice::Percent | AxisChoice::Session => return AxisKind::Percent,
            AxisChoice::Log => return AxisKind::Log,
            // Where each symbol has an axis of its own, prices always show.
            AxisChoice::Auto if gathered.is_grid() || gathered.interval.is_some() => return AxisKind::Price,
            AxisChoice::Auto => {}
        }
        let ranges = || gathered.drawn().filter_map(|shown| shown.range);
        let lo = ranges().map(|(lo, _)| lo).fold(f64::INFINITY, f64::min);
        let hi = ranges().map(|(_, hi)| hi).fold(f64::NEG_INFINITY, f64::max);
        let liveliest = ranges().map(|(lo, hi)| hi - lo).fold(0.0, f64::max);
        if liveliest > 0.0 && hi > lo {
            let share = liveliest / (hi - lo);
            if share < FLAT_SHARE {
                self.axis = AxisKind::Percent;
            } else if share > LIVELY_SHARE {
                self.axis = AxisKind::Price;
            }
        }
        self.axis
    }

    fn price(&self, slot: usize, price: f64) -> String {
        format::price(price, self.decimals[slot].max(format::decimals_of(price)))
    }

    fn legend_entry(&self, shown: &SymbolFrame, controls: &Interaction) -> LegendEntry {
        LegendEntry {
            symbol: shown.symbol.clone(),
            palette_index: shown.slot,
            last: shown.last.map(|last| self.price(shown.slot, last.price)),
            change_percent: shown.last.and_then(|last| shown.percent(last.price)),
            visible: shown.visible,
            focused: controls.singled_out() == Some(shown.slot),
        }
    }

    /// The search box, and the place of the first finding that it shows.
    fn search(&self, gathered: &FrameData, controls: &Interaction) -> (Option<Search>, usize) {
        let Some(query) = &controls.search else { return (None, 0) };
        let found = find(&controls.symbols, &query.text);
        // The chosen one is always among those that are shown.
        let first = (query.chosen + 1).saturating_sub(FOUND_MAX);
        let shown = found.iter().skip(first).take(FOUND_MAX).filter_map(|slot| gathered.shown.get(*slot));
        let search = Search {
            query: display_safe(&query.text).into_owned(),
            matches: shown.map(|shown| self.legend_entry(shown, controls)).collect(),
            selected: query.chosen - first,
            more: found.len().saturating_sub(first + FOUND_MAX),
        };
        (Some(search), first)
    }
}
