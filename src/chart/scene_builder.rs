//! The scene builder: turns the data of a frame and the status of the feed into a scene.

mod frame_status;
mod overlays;
mod plots;
mod status_text;

use jiff::tz::TimeZone;

use crate::chart::format;
use crate::chart::interaction::{HELP, Interaction, RESULTS_MAX, matching_symbols};
use crate::chart::query::{FrameData, SymbolFrame};
use crate::chart::{Chart, Footer, Header, LegendEntry, Scene, Search, ValueSpan, Viewport};
use crate::model::display_safe;
pub use frame_status::{ConnectionState, FiredAlert, FrameStatus, StorageState, StorageStatus};
use status_text::{connection_badge, missing_bands, view_badge};

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

/// Builds scenes; see the example of [`FrameQuery`](crate::chart::FrameQuery). Remembers how many decimals prices need,
/// so that columns of figures keep their width.
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

    /// Builds the scene of a frame. `interaction` must have adopted the view of `data`.
    pub fn build(&mut self, data: &FrameData, interaction: &Interaction, status: &FrameStatus) -> Scene {
        self.update_decimals(data);
        let missing = missing_bands(data);
        let mut charts: Vec<Chart> =
            data.hit.plots.iter().map(|plot| self.chart(plot, data, interaction, &missing)).collect();
        self.add_crosshair(data, &mut charts);
        Self::add_alerts(data, status, &mut charts);
        let selection = Self::add_measurements(data, interaction, &mut charts);
        let header = Header {
            badge: connection_badge(data, status),
            view_badge: view_badge(data, interaction),
            channel: self.labels.channel.clone(),
            legend: data.symbols.iter().map(|symbol| self.legend_entry(symbol, interaction)).collect(),
            // The span as requested: that drawn is aligned to columns, and 60 s would read 59 s.
            span: format::span(interaction.span().len_ns()),
        };
        let (chart, grid) = if data.hit.layout.is_grid() {
            let value = data.hit.plots.first().map_or(ValueSpan::EMPTY, |plot| plot.value);
            let common = Chart::empty(Viewport { time: data.span, value }, data.hit.axis, self.zone.clone());
            (Chart { missing, ..common }, charts)
        } else {
            (charts.swap_remove(0), Vec::new())
        };
        Scene {
            theme: interaction.theme,
            header,
            chart: Chart { selection, notice: self.notice(data, &status.connection), ..chart },
            grid,
            footer: Footer { figures: Self::figures(data, status) },
            help: interaction.help.then(|| HELP.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()),
            search: self.search(data, interaction),
            toast: status.toast.clone(),
        }
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

    fn search(&self, data: &FrameData, interaction: &Interaction) -> Option<Search> {
        let search = interaction.search.as_ref()?;
        let matches = matching_symbols(&interaction.symbols, &search.text);
        let skipped = search.results_skipped();
        let shown = matches.iter().skip(skipped).take(RESULTS_MAX).filter_map(|index| data.symbols.get(*index));
        Some(Search {
            query: display_safe(&search.text).into_owned(),
            matches: shown.map(|symbol| self.legend_entry(symbol, interaction)).collect(),
            selected: search.selected - skipped,
            more: matches.len().saturating_sub(skipped + RESULTS_MAX),
        })
    }
}
