//! The scene builder: turns the data of a frame and the status of the feed into a scene.

mod frame_status;
mod overlays;
mod plots;
mod status_text;

use jiff::tz::TimeZone;

use crate::chart::format;
use crate::chart::interaction::{HELP, HitTest, Interaction, VisibleTicks, matching_symbols};
use crate::chart::query::{FrameData, SymbolFrame};
use crate::chart::{Chart, Footer, Header, HitAreas, LegendEntry, Scene, Search, ValueSpan, Viewport};
use crate::model::display_safe;
pub use frame_status::{ConnectionState, FiredAlert, FrameStatus, StorageState, StorageStatus};
use status_text::{connection_badge, missing_bands, view_badge};

/// Most search results shown. More would hide the chart.
const RESULTS_MAX: usize = 10;

/// Fewest decimals of a price.
const DECIMALS_MIN: usize = 2;

/// Texts about the source of the feed, which do not change. They must be safe to display.
#[derive(Debug, Clone, Default)]
pub struct SourceLabels {
    /// Channels, or stream and group.
    pub channel: String,
    /// Server.
    pub server: String,
    /// Command line that starts a producer for this feed, in backticks.
    pub producer_command: String,
}

/// Builds scenes. Remembers how many decimals prices need, so that columns of figures keep their width.
pub struct SceneBuilder {
    labels: SourceLabels,
    zone: TimeZone,
    /// Number of decimals that each symbol's prices have needed so far, by index.
    decimals: Vec<usize>,
}

impl SceneBuilder {
    /// Builds scenes whose time axis is in `zone`.
    pub fn new(labels: SourceLabels, zone: TimeZone) -> Self {
        Self { labels, zone, decimals: Vec::new() }
    }

    /// Builds the scene of a frame, and what input handling needs to know of it. `interaction` must have adopted the
    /// view of `data`.
    pub fn build(&mut self, data: &FrameData, interaction: &Interaction, status: &FrameStatus) -> (Scene, HitTest) {
        self.update_decimals(data);
        let missing = missing_bands(data);
        let mut charts: Vec<Chart> =
            data.plots.iter().map(|plot| self.chart(plot, data, interaction, &missing)).collect();
        self.add_crosshair(data, &mut charts);
        Self::add_alerts(data, status, &mut charts);
        let selection = Self::add_measurements(data, interaction, &mut charts);
        let (search, results_skipped) = self.search(data, interaction);
        let hit_test = hit_test(data, interaction, results_skipped);
        let header = Header {
            badge: connection_badge(data, status),
            view_badge: view_badge(data, interaction),
            channel: self.labels.channel.clone(),
            legend: data.symbols.iter().map(|symbol| self.legend_entry(symbol, interaction)).collect(),
            // The span as requested: that drawn is aligned to columns, and 60 s would read 59 s.
            span: format::span(interaction.span().len_ns()),
        };
        let (chart, grid) = if data.layout.is_grid() {
            let value = data.plots.first().map_or(ValueSpan::EMPTY, |plot| plot.value);
            let common = Chart::empty(Viewport { time: data.span, value }, data.axis, self.zone.clone());
            (Chart { missing, ..common }, charts)
        } else {
            (charts.swap_remove(0), Vec::new())
        };
        let scene = Scene {
            theme: interaction.theme,
            header,
            chart: Chart { selection, notice: self.notice(data, &status.connection), ..chart },
            grid,
            footer: Footer { figures: Self::figures(data, status) },
            help: interaction.help.then(|| HELP.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()),
            search,
            toast: status.toast.clone(),
        };
        (scene, hit_test)
    }

    fn update_decimals(&mut self, data: &FrameData) {
        self.decimals.resize(data.symbols.len().max(self.decimals.len()), DECIMALS_MIN);
        for symbol in &data.symbols {
            if let Some(last) = symbol.last {
                let decimals = &mut self.decimals[symbol.index];
                *decimals = format::decimals_of(last.price).max(*decimals);
            }
        }
    }

    fn price(&self, symbol: &SymbolFrame, price: f64) -> String {
        format::price(price, self.decimals[symbol.index].max(format::decimals_of(price)))
    }

    fn legend_entry(&self, symbol: &SymbolFrame, interaction: &Interaction) -> LegendEntry {
        LegendEntry {
            symbol: symbol.symbol.clone(),
            palette_index: symbol.index,
            last: symbol.last.map(|last| self.price(symbol, last.price)),
            change_percent: symbol.last.and_then(|last| symbol.percent(last.price)),
            visible: symbol.visible,
            focused: interaction.explicit_focus() == Some(symbol.index),
        }
    }

    /// The search box, and the number of results above the first one shown.
    fn search(&self, data: &FrameData, interaction: &Interaction) -> (Option<Search>, usize) {
        let Some(search) = &interaction.search else { return (None, 0) };
        let matches = matching_symbols(&interaction.symbols, &search.text);
        // The list scrolls so that the selected result is always shown.
        let skipped = (search.selected + 1).saturating_sub(RESULTS_MAX);
        let shown = matches.iter().skip(skipped).take(RESULTS_MAX).filter_map(|index| data.symbols.get(*index));
        let result = Search {
            query: display_safe(&search.text).into_owned(),
            matches: shown.map(|symbol| self.legend_entry(symbol, interaction)).collect(),
            selected: search.selected - skipped,
            more: matches.len().saturating_sub(skipped + RESULTS_MAX),
        };
        (Some(result), skipped)
    }
}

fn hit_test(data: &FrameData, interaction: &Interaction, results_skipped: usize) -> HitTest {
    let visible = data.symbols.iter().filter(|symbol| symbol.visible);
    let end = data.span.end.min(data.until_ns.saturating_add(1)).max(data.span.start);
    HitTest {
        layout: data.layout,
        areas: HitAreas::default(),
        span: interaction.span(),
        edge_ns: data.edge_ns,
        newest_ns: data.newest_ns,
        oldest_ns: data.oldest_ns,
        axis: data.axis,
        plots: data.plots.clone(),
        cursor: data.crosshair.map(|crosshair| crosshair.cursor),
        mouse: interaction.mouse,
        hovered: data.crosshair.and_then(|crosshair| crosshair.symbol),
        focus: interaction.focus(),
        bar_interval: data.bar_interval,
        visible: VisibleTicks {
            symbols: visible.map(|symbol| symbol.index).collect(),
            span: crate::model::TimeSpan { end, ..data.span },
        },
        results_skipped,
    }
}
