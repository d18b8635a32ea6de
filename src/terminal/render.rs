//! Rendering of a scene to cells.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::canvas::{Canvas, width};
use super::layout::{COLUMNS_MIN, CellLayout, ROWS_MIN};
use super::plot::Plot;
use super::{ColorDepth, axes, header_footer, plot, popups};
use crate::chart::{Scene, ThemeColors};

/// Renders `scene` to all of `cells`; a note says so if they are too few.
pub(super) fn render(cells: &mut Buffer, scene: &Scene, depth: ColorDepth) {
    let area = cells.area;
    let colors = ThemeColors::of(scene.theme);
    let mut canvas = Canvas { cells, colors, depth };
    let style = canvas.on_background(colors.text);
    canvas.clear(area, style);
    let Some(layout) = CellLayout::new(area.width, area.height, scene.header.legend.len()) else {
        let text = format!("too small: {COLUMNS_MIN}x{ROWS_MIN} at least");
        let (x, y) = ((area.width.saturating_sub(width(&text))) / 2, area.height / 2);
        canvas.text(x, y, &text, area.width, style);
        return;
    };
    let plot = Plot::new(&layout, &scene.chart);
    header_footer::header(&mut canvas, &layout, &scene.header);
    header_footer::watchlist(&mut canvas, &layout, &scene.header.legend);
    header_footer::footer(&mut canvas, &layout, &scene.footer);
    plot::draw(&mut canvas, &plot);
    axes::draw(&mut canvas, &plot);
    popups::draw(&mut canvas, &plot, scene);
}

/// Renders `scene` to a screen of `columns` x `rows` cells and returns its lines as text, without colours and without
/// trailing blanks.
///
/// # Examples
///
/// ```
/// use jiff::tz::TimeZone;
/// use tickscope::chart::{
///     AxisKind, Badge, Chart, Footer, Header, Scene, Theme, Tone, ValueSpan, Viewport,
/// };
/// use tickscope::model::TimeSpan;
///
/// let time = TimeSpan { start: 0, end: 60_000_000_000 };
/// let viewport = Viewport { time, value: ValueSpan { lo: 0.0, hi: 10.0 } };
/// let scene = Scene {
///     theme: Theme::Dark,
///     header: Header {
///         badge: Badge { tone: Tone::Good, text: "LIVE".to_owned() },
///         view_badge: None,
///         channel: "stock_prices".to_owned(),
///         legend: Vec::new(),
///         span: "1 min".to_owned(),
///     },
///     chart: Chart::empty(viewport, AxisKind::Price, TimeZone::UTC),
///     grid: Vec::new(),
///     footer: Footer { figures: Vec::new() },
///     help: None,
///     search: None,
///     toast: None,
/// };
/// let lines = tickscope::terminal::text_lines(&scene, 40, 12);
/// assert_eq!(lines[0], "  LIVE  stock_prices              1 min");
/// ```
pub fn text_lines(scene: &Scene, columns: u16, rows: u16) -> Vec<String> {
    let mut cells = Buffer::empty(Rect::new(0, 0, columns, rows));
    render(&mut cells, scene, ColorDepth::Plain);
    let line = |y: u16| {
        let symbols = (0..columns).filter_map(|x| cells.cell((x, y)).map(|cell| cell.symbol().to_owned()));
        symbols.collect::<String>().trim_end().to_owned()
    };
    (0..rows).map(line).collect()
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::chart::{
        AxisKind, Badge, Bar, BarStyle, Bars, Chart, Footer, Header, LegendEntry, Theme, Tone, ValueSpan, Viewport,
    };
    use crate::model::{NS_PER_S, TimeSpan};

    fn screen(columns: u16, rows: u16, change: impl FnOnce(&mut Scene)) -> Vec<String> {
        let time = TimeSpan { start: 0, end: 60 * NS_PER_S };
        let viewport = Viewport { time, value: ValueSpan { lo: 0.0, hi: 10.0 } };
        let figure = |text: &str| (Tone::Good, text.to_owned());
        let mut scene = Scene {
            theme: Theme::Dark,
            header: Header {
                badge: Badge { tone: Tone::Good, text: "LIVE".to_owned() },
                view_badge: None,
                channel: "ch".to_owned(),
                legend: Vec::new(),
                span: "1 min".to_owned(),
            },
            chart: Chart::empty(viewport, AxisKind::Price, TimeZone::UTC),
            grid: Vec::new(),
            footer: Footer { figures: vec![figure("3 ticks/s"), figure("a figure too wide for what room there is")] },
            help: None,
            search: None,
            toast: None,
        };
        change(&mut scene);
        text_lines(&scene, columns, rows)
    }

    #[test]
    fn bars_are_drawn_in_half_cells() {
        let bar = |start_s: i64, open: f64, close: f64| Bar {
            start_ns: start_s * NS_PER_S,
            end_ns: (start_s + 6) * NS_PER_S,
            open,
            high: open.max(close) + 2.0,
            low: open.min(close) - 2.0,
            close,
            volume: 0.0,
        };
        let bars = vec![bar(6, 3.0, 7.0), bar(36, 6.0, 4.0)];
        let drawn = |style: BarStyle| {
            let bars = Some(Bars { style, bars: bars.clone() });
            screen(40, 12, |scene| scene.chart.bars = bars)[1..10]
                .iter()
                .map(|line| line.chars().take(30).collect::<String>().trim_end().to_owned())
                .collect::<Vec<_>>()
                .join("\n")
        };
        // From 1 to 9 with a body from 3 to 7, and from 2 to 8 with one from 6 down to 4, on rows of 10 / 9.
        let candles = "    ╷\n    │              ╷\n    ▄              │\n    █              ▄\n    █              █";
        let stems = "    ╷\n    │              ╷\n    ├              │\n    │              ┤\n    │              │";
        assert!(drawn(BarStyle::Candles).contains(candles), "{}", drawn(BarStyle::Candles));
        assert!(drawn(BarStyle::Ohlc).contains(stems), "{}", drawn(BarStyle::Ohlc));
    }

    #[test]
    fn a_screen_has_its_strips_and_labels_and_figures_are_whole_or_absent() {
        let lines = screen(40, 12, |_| ());
        assert_eq!(lines[0], "  LIVE  ch                        1 min");
        assert_eq!(lines[11], " 3 ticks/s                       ? help");
        assert!(lines[10].contains("00:00:30"), "{lines:#?}");
        assert!(lines.iter().any(|line| line.ends_with("     5.00")), "{lines:#?}");
        let entry = |symbol: &str, last: &str| LegendEntry {
            symbol: symbol.to_owned(),
            palette_index: 0,
            last: Some(last.to_owned()),
            change_percent: Some(0.25),
            visible: true,
            focused: false,
        };
        let legend = vec![entry("A-VERY-LONG-NAME", "1,234,567.89"), entry("B", "2.00")];
        let wide = screen(100, 20, |scene| scene.header.legend.clone_from(&legend));
        let watchlist = |line: &str| line.chars().take(34).collect::<String>().trim_end().to_owned();
        assert_eq!(watchlist(&wide[1]), " 1 \u{25a0} A-VER\u{2026} 1,234,567.89   +0.25%");
        assert_eq!(watchlist(&wide[2]), " 2 \u{25a0} B              2.00   +0.25%");
        let narrow = screen(40, 12, |scene| scene.header.legend = legend);
        assert_eq!(narrow[1].trim_end(), " \u{25a0} A-\u{2026} 1,234,567.89 \u{25a0} B 2.00 +0.25%");
    }

    #[test]
    fn any_size_and_any_text_can_be_rendered() {
        let help = vec![("k".repeat(30), "t".repeat(300)); 40];
        for (columns, rows) in [(1, 1), (39, 12), (40, 11), (40, 12), (63, 13), (96, 14), (300, 80)] {
            let lines = screen(columns, rows, |scene| {
                scene.help = Some(help.clone());
                scene.toast = Some(Badge { tone: Tone::Bad, text: "m".repeat(500) });
                scene.header.channel = "\u{65e5}".repeat(400);
            });
            assert_eq!(lines.len(), usize::from(rows));
        }
    }
}
