//! From a scene to the terminal's own frame, and from cells to the dots that the controls think in.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::chart::Input;
use crate::chart::format;
use crate::chart::palette_color;
use crate::chart::{self, AxisKind, BarStyle, HitAreas, LegendEntry, Scene, Theme, Tone, time_ticks, value_ticks};
use crate::model::TimeSpan;
use crate::terminal::{
    self, Bars, Candle, CellLayout, Crosshair, DOT_COLUMNS, DOT_ROWS, Gap, Line, Look, Mark, Message, Notice, Outlier,
    Reading, Ruler, Search, Tag, Watched, Word,
};

/// What `plot::value_ticks` takes for pixels: so many a cell that there is a label every three cells or more, on axes
/// that it takes for low (below 420 px, where labels are 32 px apart) and on others (44 px).
fn value_axis_px(rows: u16) -> f64 {
    let (low_px, high_px) = (f64::from(rows) * 32.0 / 3.0, f64::from(rows) * 44.0 / 3.0);
    if low_px < 420.0 { low_px } else { high_px }
}

const NS_PER_S: i64 = 1_000_000_000;
const NS_PER_DAY: i64 = 86_400 * NS_PER_S;

const DARK: Look = Look {
    ground: (14, 18, 23),
    strip: (24, 31, 39),
    grid: (34, 44, 54),
    text: (226, 232, 240),
    dim: (132, 147, 162),
    good: (43, 199, 155),
    bad: (240, 104, 64),
    info: (86, 180, 233),
    warn: (224, 174, 56),
};

const LIGHT: Look = Look {
    ground: (255, 255, 255),
    strip: (240, 243, 246),
    grid: (226, 231, 236),
    text: (24, 32, 42),
    dim: (92, 106, 120),
    good: (8, 128, 94),
    bad: (196, 62, 20),
    info: (20, 104, 170),
    warn: (148, 98, 0),
};

/// What the terminal shows of a scene that was collected for `layout`'s dots; `None` where there is no room.
pub(super) fn frame(scene: &Scene, layout: Option<CellLayout>) -> terminal::Frame {
    let look = match scene.theme {
        Theme::Dark => DARK,
        Theme::Light => LIGHT,
    };
    let tones = Tones { look, theme: scene.theme };
    let word = |badge: &chart::Badge| Word { text: badge.text.clone(), color: tones.of(badge.tone) };
    let figure = |(tone, text): &(Tone, String)| {
        // What is well needs no colour of its own.
        let color = if *tone == Tone::Good { look.dim } else { tones.of(*tone) };
        Word { text: text.clone(), color }
    };
    terminal::Frame {
        look,
        badge: word(&scene.header.badge),
        view_badge: scene.header.view_badge.as_ref().map(word),
        channel: scene.header.channel.clone(),
        span: scene.header.span.clone(),
        watchlist: scene.header.legend.iter().map(|entry| tones.watched(entry)).collect(),
        chart: tones.chart(&scene.chart, layout),
        footer: scene.footer.figures.iter().map(figure).collect(),
        help: scene.help.clone(),
        search: scene.search.as_ref().map(|search| Search {
            query: search.query.clone(),
            found: search.matches.iter().map(|entry| tones.watched(entry)).collect(),
            chosen: search.selected,
            more: search.more,
        }),
        toast: scene.toast.as_ref().map(word),
    }
}

/// What can be clicked where, in dots.
pub(super) fn hits(frame: &terminal::Frame, layout: &CellLayout) -> HitAreas {
    let columns = |word: &Word| word.text.chars().count() as u16 + 2;
    let badge = columns(&frame.badge);
    HitAreas {
        legend: layout.clickable(&frame.watchlist),
        badge: layout.header_words(1, badge),
        view_badge: frame
            .view_badge
            .as_ref()
            .map(|word| layout.header_words(2 + badge, columns(word)))
            .unwrap_or_default(),
        found: frame.search.as_ref().map(|search| layout.findings(search)).unwrap_or_default(),
        help: layout.help(),
    }
}

/// An input whose place is a cell, as one whose place is in dots of the plot.
pub(super) fn in_dots(input: Input, layout: &CellLayout) -> Input {
    let at = |x: f64, y: f64| layout.place(x as u16, y as u16);
    match input {
        Input::Moved { x, y } => {
            let (x, y) = at(x, y);
            Input::Moved { x, y }
        }
        Input::Pressed { x, y, button, held, clicks } => {
            let (x, y) = at(x, y);
            Input::Pressed { x, y, button, held, clicks }
        }
        Input::Released { x, y, button } => {
            let (x, y) = at(x, y);
            Input::Released { x, y, button }
        }
        Input::Wheel { x, y, up, right, held } => {
            let (x, y) = at(x, y);
            Input::Wheel { x, y, up, right, held }
        }
        other => other,
    }
}

/// Colours of a theme.
struct Tones {
    look: Look,
    theme: Theme,
}

impl Tones {
    fn of(&self, tone: Tone) -> terminal::Rgb {
        match tone {
            Tone::Good => self.look.good,
            Tone::Info => self.look.info,
            Tone::Warn => self.look.warn,
            Tone::Bad => self.look.bad,
        }
    }

    fn palette_index(&self, palette_index: usize) -> terminal::Rgb {
        palette_color(self.theme, palette_index)
    }

    fn change(&self, percent: Option<f64>) -> Word {
        let color = match percent {
            Some(percent) if percent > 0.0 => self.look.good,
            Some(percent) if percent < 0.0 => self.look.bad,
            _ => self.look.dim,
        };
        Word { text: percent.map(format::percent).unwrap_or_default(), color }
    }

    fn watched(&self, entry: &LegendEntry) -> Watched {
        Watched {
            symbol: entry.symbol.clone(),
            color: self.palette_index(entry.palette_index),
            last: entry.last.clone().unwrap_or_default(),
            change: self.change(entry.change_percent),
            visible: entry.visible,
            focused: entry.focused,
        }
    }

    fn chart(&self, chart: &chart::Chart, layout: Option<CellLayout>) -> terminal::Chart {
        let (columns, rows) = layout.map_or((1, 1), |layout| layout.cells());
        let viewport = chart.viewport;
        let line = |line: &chart::Line| Line {
            color: self.palette_index(line.palette_index),
            runs: line.runs.iter().map(|run| run.iter().map(|point| (point.time_ns, point.value)).collect()).collect(),
        };
        let tag = |tag: &chart::Tag| Tag {
            value: tag.value,
            text: tag.text.clone(),
            color: self.palette_index(tag.palette_index),
        };
        let gap = |gap: &chart::MissingBand| Gap {
            span: (gap.start_ns, gap.end_ns),
            label: gap.label.clone(),
            color: match gap.absence {
                chart::Absence::Missing => self.look.warn,
                chart::Absence::Unread => self.look.dim,
            },
        };
        let mark = |mark: &chart::Mark| Mark {
            time_ns: mark.time_ns,
            value: mark.value,
            color: self.palette_index(mark.palette_index),
        };
        let outlier = |it: &chart::Outlier| Outlier {
            time_ns: it.time_ns,
            value: it.value,
            color: self.palette_index(it.palette_index),
        };
        // The focused line is drawn last, because a cell has the colour of whoever comes last.
        let (focused, others): (Vec<_>, Vec<_>) =
            chart.lines.iter().partition(|line| Some(line.palette_index) == chart.focus);
        terminal::Chart {
            viewport,
            lines: others.into_iter().chain(focused).map(line).collect(),
            bars: chart.bars.as_ref().map(bars),
            title: chart.title.as_ref().map(|title| self.title(title)).unwrap_or_default(),
            gaps: chart.missing.iter().map(gap).collect(),
            tags: chart.tags.iter().map(tag).collect(),
            marks: chart.marks.iter().map(mark).collect(),
            outliers: chart.outliers.iter().map(outlier).collect(),
            value_ticks: value_ticks(viewport.value, value_axis_px(rows), chart.axis, chart.decimals),
            time_ticks: time_ticks(viewport.time, &chart.zone, f64::from(columns), 1.0),
            crosshair: chart.crosshair.as_ref().map(|cross| self.crosshair(cross, chart)),
            selection: chart.selection.map(|selection| (selection.from, selection.to)),
            ruler: chart.ruler.as_ref().map(|ruler| {
                let at = |point: chart::Point| (point.time_ns, point.value);
                let color = if ruler.rising { self.look.good } else { self.look.bad };
                Ruler { from: at(ruler.from), to: at(ruler.to), message: Message { color, lines: ruler.lines.clone() } }
            }),
            notice: chart.notice.as_ref().map(|notice| Notice {
                title: Word { text: notice.title.clone(), color: self.of(notice.tone) },
                lines: notice.lines.clone(),
            }),
        }
    }

    fn title(&self, title: &chart::Title) -> Vec<Word> {
        let color = title.palette_index.map_or(self.look.text, |palette_index| self.palette_index(palette_index));
        let detail = Word { text: title.detail.clone(), color: self.look.dim };
        let figures = title.figures.iter().flat_map(|(name, value)| {
            let color = title.change_percent.map_or(self.look.text, |change| self.change(Some(change)).color);
            [Word { text: name.clone(), color: self.look.dim }, Word { text: value.clone(), color }]
        });
        [Word { text: title.symbol.clone(), color }, detail].into_iter().chain(figures).collect()
    }

    fn crosshair(&self, cross: &chart::Crosshair, chart: &chart::Chart) -> Crosshair {
        let reading = |row: &chart::Readout| Reading {
            symbol: row.symbol.clone(),
            color: self.palette_index(row.palette_index),
            price: row.price.clone(),
            change: self.change(row.change_percent),
        };
        let value = match chart.axis {
            AxisKind::Price => format::price(cross.value, chart.decimals),
            AxisKind::Percent => format::percent(cross.value),
            AxisKind::Log => format::price(10_f64.powf(cross.value), chart.decimals),
        };
        Crosshair {
            at: (f64::from(cross.x), f64::from(cross.y)),
            time: time_text(cross.time_ns, chart.viewport.time, &chart.zone),
            value,
            rows: cross.rows.iter().map(reading).collect(),
        }
    }
}

fn bars(bars: &chart::Bars) -> Bars {
    let candle = |bar: &chart::Bar| Candle {
        span: (bar.start_ns, bar.end_ns),
        open: bar.open,
        high: bar.high,
        low: bar.low,
        close: bar.close,
    };
    Bars { filled: bars.style == BarStyle::Candles, candles: bars.bars.iter().map(candle).collect() }
}

/// An instant as finely as the span that is shown deserves.
fn time_text(time_ns: i64, span: TimeSpan, zone: &TimeZone) -> String {
    let form = match span.len_ns() {
        len if len >= 2 * NS_PER_DAY => "%b %d %H:%M",
        len if len < 120 * NS_PER_S => "%H:%M:%S%.3f",
        _ => "%H:%M:%S",
    };
    let instant = Timestamp::from_nanosecond(time_ns.into()).unwrap_or_default();
    instant.to_zoned(zone.clone()).strftime(form).to_string()
}

/// Dots of a cell, which the frame of a bare plot is made of.
const _: () = assert!(DOT_COLUMNS == 2 && DOT_ROWS == 4, "a braille character has two columns of four dots");
