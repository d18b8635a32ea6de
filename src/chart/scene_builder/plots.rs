//! Charts of the plots: lines, bars, outliers, tags and titles.

use crate::chart::format;
use crate::chart::interaction::{ChartKind, Interaction, Plot, PlotId};
use crate::chart::query::{FrameData, SymbolFrame};
use crate::chart::scene_builder::SceneBuilder;
use crate::chart::{AxisKind, BarStyle, Bars, Chart, Line, MissingBand, Outlier, Tag, Title, Viewport};

/// Number of symbols in a plot from which tags show names instead of prices. Colours repeat by then, and the axis shows
/// the prices.
const NAME_TAGS_FROM: usize = 25;

impl SceneBuilder {
    /// The chart of a plot. The spans without data of a grid are common to its panes.
    pub(super) fn chart(
        &self,
        plot: &Plot,
        data: &FrameData,
        interaction: &Interaction,
        missing: &[MissingBand],
    ) -> Chart {
        let (axis, kind) = (data.hit.axis, interaction.view.kind);
        let symbols: Vec<&SymbolFrame> = data.plot_symbols(plot.id).collect();
        let viewport = Viewport { time: data.span, value: plot.value };
        let bars = symbols.first().filter(|_| kind != ChartKind::Lines).map(|symbol| Bars {
            style: if kind == ChartKind::Ohlc { BarStyle::Ohlc } else { BarStyle::Candles },
            bars: symbol.bars_on(axis).collect(),
        });
        let is_grid = data.hit.layout.is_grid();
        let title = match plot.id {
            PlotId::Symbol(_) => symbols.first().map(|symbol| self.pane_title(symbol)),
            PlotId::Main => self.bars_title(data),
        };
        Chart {
            decimals: symbols.iter().map(|symbol| self.decimals[symbol.index]).min().unwrap_or(2),
            lines: if bars.is_some() { Vec::new() } else { symbols.iter().map(|it| line(it, axis)).collect() },
            focus: interaction.explicit_focus().filter(|focus| symbols.iter().any(|it| it.index == *focus)),
            bars,
            volume: !data.hit.layout.volume.is_empty(),
            title,
            missing: if is_grid { Vec::new() } else { missing.to_vec() },
            outliers: symbols.iter().flat_map(|symbol| outliers(symbol, axis)).collect(),
            tags: symbols.iter().filter_map(|it| self.tag(it, axis, symbols.len() >= NAME_TAGS_FROM)).collect(),
            ..Chart::empty(viewport, axis, self.zone.clone())
        }
    }

    fn tag(&self, symbol: &SymbolFrame, axis: AxisKind, shows_name: bool) -> Option<Tag> {
        let price = symbol.at_edge?.price;
        let value = symbol.axis_value(axis, price)?;
        let text = match axis {
            _ if shows_name => symbol.symbol.clone(),
            AxisKind::Percent => format::percent(value),
            AxisKind::Price | AxisKind::Log => self.price(symbol, price),
        };
        Some(Tag { palette_index: symbol.index, value, text })
    }

    fn pane_title(&self, symbol: &SymbolFrame) -> Title {
        let last = symbol.at_edge.map(|at_edge| (String::new(), self.price(symbol, at_edge.price)));
        Title {
            symbol: symbol.symbol.clone(),
            detail: String::new(),
            figures: last.into_iter().collect(),
            change_percent: symbol.at_edge.and_then(|at_edge| symbol.percent(at_edge.price)),
            palette_index: Some(symbol.index),
        }
    }

    /// The title of a chart of bars: the symbol, and the prices of the bar at the crosshair, or else of the newest bar.
    fn bars_title(&self, data: &FrameData) -> Option<Title> {
        let (interval, symbol) = (data.hit.bar_interval?, data.drawn().next()?);
        let cursor_ns = data.crosshair.map(|crosshair| crosshair.cursor.time_ns);
        let at_cursor = cursor_ns.and_then(|at_ns| symbol.bars.iter().rev().find(|bar| bar.start_ns <= at_ns));
        let bar = at_cursor.or(symbol.bars.last());
        let mut figures = Vec::new();
        if let Some(bar) = bar {
            let prices = [("O", bar.open), ("H", bar.high), ("L", bar.low), ("C", bar.close)];
            figures.extend(prices.map(|(name, price)| (name.to_owned(), self.price(symbol, price))));
            if bar.volume > 0.0 {
                figures.push(("V".to_owned(), format::quantity(bar.volume)));
            }
        }
        let change = bar.filter(|bar| bar.open != 0.0).map(|bar| (bar.close - bar.open) / bar.open.abs() * 100.0);
        // The first ticks of the bar have been evicted from memory.
        let part = if bar.is_some_and(|bar| !bar.complete) { " (in part: older ticks are gone)" } else { "" };
        Some(Title {
            symbol: symbol.symbol.clone(),
            detail: format!("{interval}{part}"),
            figures,
            change_percent: change.filter(|change| change.is_finite()),
            palette_index: None,
        })
    }
}

/// The line of a symbol. It breaks at prices that have no position on the axis.
fn line(symbol: &SymbolFrame, axis: AxisKind) -> Line {
    let mut runs = Vec::with_capacity(symbol.runs.len());
    for run in &symbol.runs {
        let mut points = Vec::with_capacity(run.len());
        for sample in run {
            match symbol.point(axis, sample) {
                Some(point) => points.push(point),
                None if points.is_empty() => {}
                None => runs.push(std::mem::take(&mut points)),
            }
        }
        if !points.is_empty() {
            runs.push(points);
        }
    }
    Line { palette_index: symbol.index, runs }
}

/// The outliers of a symbol. On a logarithmic axis, a price that is not positive lies below all others.
fn outliers(symbol: &SymbolFrame, axis: AxisKind) -> impl Iterator<Item = Outlier> {
    let lowest = (axis == AxisKind::Log).then_some(f64::NEG_INFINITY);
    symbol.outliers.iter().filter_map(move |sample| {
        let value = symbol.axis_value(axis, sample.price).or(lowest)?;
        Some(Outlier { time_ns: sample.time_ns, value, palette_index: symbol.index })
    })
}
