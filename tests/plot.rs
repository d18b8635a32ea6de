//! Positions and colours of the pixels of a frame.

use jiff::tz::TimeZone;
use proptest::prelude::*;
use tickscope::chart::{
    Absence, AxisKind, Badge, Chart, Crosshair, Footer, Header, HitAreas, Layout, LegendEntry, Line, MissingBand,
    Notice, Point, Readout, Scene, Size, Tag, Theme, Tone, palette_color,
};
use tickscope::chart::{Rect, ValueSpan, Viewport};
use tickscope::model::TimeSpan;
use tickscope::plot::{Painter, PlotError, png};

mod arrangements;
mod cached;
mod fidelity;
mod parts;

const SIZE: Size = Size { width: 640, height: 400 };
const SECOND: i64 = 1_000_000_000;
const START: i64 = 1_381_154_400 * SECOND;

fn plot() -> Rect {
    Layout::new(SIZE).plot
}

/// Empty chart in which column `c` of the plot is second `c` and row `r` from the bottom is value `r`.
fn scene() -> Scene {
    let rect = plot();
    let viewport = Viewport {
        time: TimeSpan { start: START, end: START + i64::from(rect.width()) * SECOND },
        value: ValueSpan { lo: 0.0, hi: f64::from(rect.height()) },
    };
    Scene {
        theme: Theme::Dark,
        header: Header {
            badge: Badge { tone: Tone::Good, text: "LIVE".to_owned() },
            view_badge: None,
            channel: "stock_prices".to_owned(),
            legend: Vec::new(),
            span: "45 min".to_owned(),
        },
        chart: Chart { ..Chart::empty(viewport, AxisKind::Price, TimeZone::UTC) },
        grid: Vec::new(),
        footer: Footer { figures: vec![(Tone::Good, "1,284 ticks/s".to_owned()), (Tone::Warn, "lost 3".to_owned())] },
        help: None,
        search: None,
        toast: None,
    }
}

/// Point at a column and row (from the bottom) of the plot, both fractional.
fn at(column: f64, row: f64) -> Point {
    Point { time_ns: START + (column * SECOND as f64) as i64, value: row }
}

fn line(palette_index: usize, runs: Vec<Vec<Point>>) -> Line {
    Line { palette_index, runs }
}

fn entry(palette_index: usize, symbol: &str, visible: bool) -> LegendEntry {
    let last = Some("168.12".to_owned());
    LegendEntry { symbol: symbol.to_owned(), palette_index, last, change_percent: Some(0.24), visible, focused: false }
}

/// A colour that no theme contains.
const UNPAINTED: u32 = 0x00ff_00ff;

struct Picture {
    pixels: Vec<u32>,
    hits: HitAreas,
    size: Size,
}

impl Picture {
    fn of(scene: &Scene, size: Size) -> Self {
        Self::by(&mut Painter::new().unwrap(), scene, size)
    }

    fn by(painter: &mut Painter, scene: &Scene, size: Size) -> Self {
        Self::on(painter, scene, &Layout::new(size))
    }

    fn on(painter: &mut Painter, scene: &Scene, frame: &Layout) -> Self {
        let size = frame.size;
        // The previous content of the buffer must not matter.
        let mut pixels = vec![UNPAINTED; size.width as usize * size.height as usize];
        let hits = painter.paint(scene, &mut pixels, frame).unwrap();
        Self { pixels, hits, size }
    }

    fn pixel(&self, x: i32, y: i32) -> (u8, u8, u8) {
        let value = self.pixels[y as usize * self.size.width as usize + x as usize];
        assert_eq!(value >> 24, 0);
        ((value >> 16) as u8, (value >> 8) as u8, value as u8)
    }

    /// Coordinates of the pixels that differ.
    fn changes(&self, other: &Self) -> Vec<(i32, i32)> {
        let width = self.size.width as usize;
        let pairs = self.pixels.iter().zip(&other.pixels).enumerate();
        pairs.filter(|(_, (a, b))| a != b).map(|(i, _)| ((i % width) as i32, (i / width) as i32)).collect()
    }

    /// Opacity (0 to 1) of a line of `color` over a pixel of `without`.
    fn share(&self, without: &Self, (x, y): (i32, i32), color: (u8, u8, u8)) -> f64 {
        let (with, bare) = (self.pixel(x, y), without.pixel(x, y));
        let channels = [(with.0, bare.0, color.0), (with.1, bare.1, color.1), (with.2, bare.2, color.2)];
        let (with, bare, full) = channels.into_iter().max_by_key(|(_, bare, full)| bare.abs_diff(*full)).unwrap();
        (f64::from(with) - f64::from(bare)) / (f64::from(full) - f64::from(bare))
    }
}

#[test]
fn lines_touch_nothing_outside_the_plot() {
    let rect = plot();
    let wild = vec![
        at(-1e6, 50.0),
        at(10.0, 1e9),
        at(30.0, -1e9),
        at(50.0, f64::MAX),
        at(70.0, f64::MIN),
        Point { time_ns: i64::MAX, value: 20.0 },
        Point { time_ns: i64::MIN, value: 120.0 },
    ];
    let (right, top) = (f64::from(rect.width()), f64::from(rect.height()));
    let border = vec![at(0.0, 0.0), at(0.0, top), at(right, top), at(right, 0.0), at(0.0, 0.0)];
    let mut drawn = scene();
    drawn.chart.lines =
        vec![line(0, vec![wild, border]), line(1, vec![vec![at(0.0, 0.0)], vec![at(right, top)], vec![at(-1.0, 5.0)]])];
    let (with, without) = (Picture::of(&drawn, SIZE), Picture::of(&scene(), SIZE));
    let changes = with.changes(&without);
    assert!(changes.len() > 1_000);
    for (x, y) in changes {
        assert!(rect.contains(f64::from(x), f64::from(y)), "{x} {y}");
    }
}

#[test]
fn a_line_has_its_colour_where_it_runs_in_both_themes() {
    let rect = plot();
    for theme in [Theme::Dark, Theme::Light] {
        for palette_index in 0..9 {
            let mut drawn = Scene { theme, ..scene() };
            drawn.chart.lines = vec![line(palette_index, vec![vec![at(10.0, 50.5), at(200.0, 50.5)]])];
            let picture = Picture::of(&drawn, SIZE);
            assert_eq!(picture.pixel(rect.left + 100, rect.bottom - 51), palette_color(theme, palette_index));
        }
    }
}

#[test]
fn a_line_between_rows_is_shared_by_them() {
    let rect = plot();
    let mut drawn = scene();
    drawn.chart.lines = vec![line(0, vec![vec![at(10.0, 77.75), at(200.0, 77.75)]])];
    let (with, without) = (Picture::of(&drawn, SIZE), Picture::of(&scene(), SIZE));
    let color = palette_color(Theme::Dark, 0);
    let rows = [79, 78, 77, 76].map(|up| with.share(&without, (rect.left + 100, rect.bottom - up), color));
    let sum: f64 = rows.iter().sum();
    assert!((sum - 1.5).abs() < 0.03, "{rows:?}");
    assert!(rows[0] > 0.45 && rows[1] > 0.95 && rows[2] < 0.05 && rows[3].abs() < 0.01, "{rows:?}");
}

#[test]
fn a_gap_between_runs_is_never_bridged() {
    let rect = plot();
    let mut drawn = scene();
    let runs = vec![vec![at(10.0, 20.0), at(100.0, 90.0)], vec![at(140.0, 30.0), at(200.0, 80.0)]];
    drawn.chart.lines = vec![line(2, runs)];
    let (with, without) = (Picture::of(&drawn, SIZE), Picture::of(&scene(), SIZE));
    let columns: Vec<i32> = with.changes(&without).into_iter().map(|(x, _)| x - rect.left).collect();
    assert!(columns.contains(&99) && columns.contains(&141));
    assert!(!columns.iter().any(|column| (103..=137).contains(column)));
}

#[test]
fn a_gap_has_a_band_and_a_label() {
    let rect = plot();
    let mut gapped = scene();
    let gap = |from: i64, to: i64| MissingBand {
        start_ns: START + from * SECOND,
        end_ns: START + to * SECOND,
        absence: Absence::Missing,
        label: "gap 2 min · 1,204 lost".to_owned(),
    };
    gapped.chart.missing = vec![gap(200, 240)];
    let (with, without) = (Picture::of(&gapped, SIZE), Picture::of(&scene(), SIZE));
    let changes = with.changes(&without);
    let low: Vec<i32> = changes.iter().filter(|(_, y)| *y > rect.top + 40).map(|(x, _)| x - rect.left).collect();
    assert_eq!((low.iter().min(), low.iter().max()), (Some(&200), Some(&239)));
    assert!(
        changes.iter().any(|(x, y)| *y < rect.top + 30 && *x < rect.left + 195),
        "the label is wider than the band"
    );

    // A second band beside it is drawn, but its label would cover the first one's.
    gapped.chart.missing.push(gap(250, 260));
    let both = Picture::of(&gapped, SIZE);
    let more: Vec<i32> = both.changes(&with).iter().map(|(x, _)| x - rect.left).collect();
    assert!(more.contains(&255) && more.iter().all(|column| (250..260).contains(column)), "{more:?}");

    // Data that is not loaded has no warning colour, neither its band nor its label.
    let mut unread = gapped.clone();
    unread.chart.missing = vec![MissingBand { absence: Absence::Unread, ..gap(200, 240) }];
    let calm = Picture::of(&unread, SIZE);
    let warmth = |picture: &Picture, x: i32, y: i32| {
        let (r, _, b) = picture.pixel(x, y);
        i32::from(r) - i32::from(b)
    };
    let (x, y) = (rect.left + 220, rect.bottom - 25);
    assert!(warmth(&with, x, y) > warmth(&calm, x, y) + 10, "the band");
    let warmest = |picture: &Picture| (rect.left..rect.left + 300).map(|x| warmth(picture, x, rect.top + 13)).max();
    assert!(warmest(&with) > Some(60) && warmest(&calm) < Some(20), "the label");
}

#[test]
fn a_steep_zigzag_has_no_holes() {
    let rect = plot();
    let row = |i: i32| if i % 2 == 0 { 15.0 } else { 180.0 };
    let points: Vec<Point> = (0..120).map(|i| at(20.3 + f64::from(i) * 2.7, row(i))).collect();
    let mut drawn = scene();
    drawn.chart.lines = vec![line(0, vec![points.clone()])];
    let (with, without) = (Picture::of(&drawn, SIZE), Picture::of(&scene(), SIZE));
    for pair in points.windows(2) {
        // The tips themselves are half a cap.
        for step in 2..329 {
            let along = f64::from(step) / 330.0;
            let column = (pair[0].time_ns - START) as f64 / SECOND as f64 + along * 2.7;
            let row = pair[0].value + along * (pair[1].value - pair[0].value);
            let here = (rect.left + column as i32, rect.bottom - 1 - row as i32);
            let covered = with.share(&without, here, palette_color(Theme::Dark, 0));
            assert!(covered > 0.6, "hole at column {column}, row {row}: {covered}");
        }
    }
}

#[test]
fn a_tall_stroke_within_a_column_is_solid_and_crisp() {
    let rect = plot();
    let mut drawn = scene();
    drawn.chart.lines = vec![line(0, vec![vec![at(77.1, 20.0), at(77.9, 120.0), at(77.95, 30.0)]])];
    let (with, without) = (Picture::of(&drawn, SIZE), Picture::of(&scene(), SIZE));
    let cover =
        |dx: i32, up: i32| with.share(&without, (rect.left + 77 + dx, rect.bottom - up), palette_color(Theme::Dark, 0));
    for up in 22..119 {
        assert!(cover(0, up) > 0.99 && cover(-1, up) < 0.3 && cover(1, up) < 0.3, "{up}");
        assert!(cover(2, up).abs() < 0.01);
    }
}

#[test]
fn a_lone_point_is_a_visible_dot_and_a_flat_line_a_line() {
    let rect = plot();
    let mut drawn = scene();
    drawn.chart.lines = vec![line(3, vec![vec![at(50.5, 60.5)]])];
    let (with, without) = (Picture::of(&drawn, SIZE), Picture::of(&scene(), SIZE));
    let changes = with.changes(&without);
    assert!((9..60).contains(&changes.len()), "{}", changes.len());
    assert_eq!(with.pixel(rect.left + 50, rect.bottom - 61), palette_color(Theme::Dark, 3));

    drawn.chart.lines = vec![line(3, vec![(0..100).map(|i| at(f64::from(i), 60.5)).collect()])];
    drawn.chart.viewport.value = ValueSpan { lo: 60.0, hi: 61.0 };
    let (flat, without) = (Picture::of(&drawn, SIZE), {
        drawn.chart.lines.clear();
        Picture::of(&drawn, SIZE)
    });
    let middle = i32::midpoint(rect.top, rect.bottom);
    for x in 0..99 {
        let rows =
            (middle - 3..middle + 3).map(|y| flat.share(&without, (rect.left + x, y), palette_color(Theme::Dark, 3)));
        assert!((rows.sum::<f64>() - 1.5).abs() < 0.1, "{x}");
    }
}

#[test]
fn the_percent_axis_marks_zero() {
    let rect = plot();
    let mut percent = scene();
    percent.chart.viewport.value = ValueSpan { lo: -1.0, hi: 1.05 };
    let price = Picture::of(&percent, SIZE);
    percent.chart.axis = AxisKind::Percent;
    let changes = Picture::of(&percent, SIZE).changes(&price);
    let inside: Vec<i32> = changes.iter().filter(|(x, _)| *x < rect.right).map(|(_, y)| *y).collect();
    assert!(inside.len() > 100 && inside.iter().all(|y| *y == inside[0]), "one dotted row");
    assert!(changes.iter().any(|(x, _)| *x > rect.right), "the labels have percent signs");
}

#[test]
fn legend_hits_hold_the_squares_that_they_stand_for() {
    let mut legend = scene();
    legend.header.legend = vec![entry(0, "SPY", true), entry(1, "IBM", false), entry(2, "BAC", true)];
    let picture = Picture::of(&legend, Size { width: 1_280, height: 720 });
    assert_eq!(picture.hits.legend.len(), 3);
    for (index, rect) in &picture.hits.legend {
        let color = palette_color(Theme::Dark, *index);
        let inside = (rect.left..rect.right).flat_map(|x| (rect.top..rect.bottom).map(move |y| (x, y)));
        let solid = inside.filter(|&(x, y)| picture.pixel(x, y) == color).count();
        // The square of a hidden symbol is hollow and faded.
        assert_eq!(solid > 150, *index != 1, "{index}: {solid}");
    }
    assert!(picture.hits.badge.width() > 20 && picture.hits.badge.right <= picture.hits.legend[0].1.left);
    assert!(picture.hits.help.left > 1_200 && picture.hits.help.top >= 698);
    for pair in picture.hits.legend.windows(2) {
        assert!(pair[0].1.right <= pair[1].1.left);
    }
}

#[test]
fn the_crosshair_reads_out_and_stays_out_of_the_strips() {
    let (rect, frame) = (plot(), Layout::new(SIZE));
    let mut crossed = scene();
    let rows = vec![Readout {
        palette_index: 0,
        symbol: "SPY".to_owned(),
        price: "168.12".to_owned(),
        change_percent: Some(0.2),
        point: at(100.5, 100.5),
    }];
    let cross = Crosshair {
        x: rect.left + 100,
        y: rect.bottom - 51,
        time_ns: START + 100 * SECOND,
        value: 50.5,
        rows,
        snapped: false,
    };
    crossed.chart.crosshair = Some(cross);
    let with = Picture::of(&crossed, SIZE);
    let changes = with.changes(&Picture::of(&scene(), SIZE));
    assert!(changes.iter().all(|(_, y)| (frame.plot.top..frame.footer.top).contains(y)));
    assert_eq!(
        with.pixel(rect.left + 100, rect.bottom - 101),
        palette_color(Theme::Dark, 0),
        "the dot at its own point"
    );
    assert!(changes.iter().any(|(x, _)| *x > rect.right + 10), "the value's tag");
    assert!(changes.iter().any(|(_, y)| *y > rect.bottom + 4), "the time's tag");
}

#[test]
fn a_painter_that_keeps_its_ground_paints_as_a_new_one_does() {
    let mut first = busy(SIZE);
    let light = Scene { theme: Theme::Light, ..busy(SIZE) };
    let mut painter = Painter::new().unwrap();
    for round in 0..3 {
        for _ in 0..2 {
            let kept = Picture::by(&mut painter, &first, SIZE);
            assert!(kept.changes(&Picture::of(&first, SIZE)).is_empty(), "round {round}");
        }
        assert!(Picture::by(&mut painter, &light, SIZE).changes(&Picture::of(&light, SIZE)).is_empty());
        first.chart.viewport.time.end += 100 * SECOND;
    }
}

#[test]
fn help_notice_and_toast_cover_the_chart_but_not_the_strips() {
    let frame = Layout::new(SIZE);
    let plain = Picture::of(&scene(), SIZE);
    let mut helped = scene();
    helped.help = Some(vec![("q".to_owned(), "quit".to_owned()), ("space".to_owned(), "pause".to_owned())]);
    let mut noticed = scene();
    let lines = vec!["Start it with `redis-server`.".to_owned()];
    noticed.chart.notice = Some(Notice { tone: Tone::Bad, title: "No connection".to_owned(), lines });
    let mut toasted = scene();
    toasted.toast = Some(Badge { tone: Tone::Good, text: "saved chart.png".to_owned() });
    for covered in [helped, noticed, toasted] {
        let changes = Picture::of(&covered, SIZE).changes(&plain);
        assert!(changes.len() > 500);
        assert!(changes.iter().all(|(_, y)| (frame.header.bottom..frame.footer.top).contains(y)));
    }
}

/// A scene with more of everything than fits.
fn busy(size: Size) -> Scene {
    let rect = Layout::new(size).plot;
    let mut busy = scene();
    let symbols = ["SPY", "ÄÖ€", "日本", "<&>\"'", "A_LONG_SYMBOL_THAT_NO_EXCHANGE_WOULD_EVER_GIVE_TO_ANY_PAPER"];
    let mut rows = Vec::new();
    for palette_index in 0..40_usize {
        let symbol = symbols[palette_index % symbols.len()];
        busy.header.legend.push(entry(palette_index, symbol, palette_index % 3 > 0));
        let run = (0..50).map(|i| at(i as f64 * 9.0, ((i * 37 + palette_index * 11) % 250) as f64)).collect();
        busy.chart.lines.push(line(palette_index, vec![run, vec![at(460.0, palette_index as f64)]]));
        busy.chart.tags.push(Tag {
            palette_index,
            value: palette_index as f64 * 9.0 - 40.0,
            text: format!("{palette_index}.123456789"),
        });
        rows.push(Readout {
            palette_index,
            symbol: symbol.to_owned(),
            price: "1.00".to_owned(),
            change_percent: None,
            point: at(100.0, palette_index as f64),
        });
    }
    let (x, y) = (i32::midpoint(rect.left, rect.right), i32::midpoint(rect.top, rect.bottom));
    busy.chart.crosshair = Some(Crosshair { x, y, time_ns: START, value: 1.0, rows, snapped: false });
    busy.chart.missing = vec![MissingBand {
        start_ns: i64::MIN,
        end_ns: START + 60 * SECOND,
        absence: Absence::Missing,
        label: "gap".to_owned(),
    }];
    busy.header.view_badge = Some(Badge { tone: Tone::Info, text: "12 min back".to_owned() });
    busy
}

#[test]
fn any_size_is_painted() {
    let sides = [1, 2, 3, 7, 15, 40, 90, 200, 480];
    let sizes = sides.iter().flat_map(|&width| sides.map(|height| Size { width, height }));
    let mut painter = Painter::new().unwrap();
    for size in sizes.chain([Size { width: 4_000, height: 50 }, Size { width: 30, height: 2_500 }]) {
        let mut scene = busy(size);
        Picture::by(&mut painter, &scene, size);
        scene.help = Some(vec![("key".to_owned(), "what it does, at some length".to_owned()); 30]);
        scene.toast = Some(Badge { tone: Tone::Warn, text: "a toast".to_owned() });
        let lines = vec!["`code` and words".to_owned(); 9];
        scene.chart.notice = Some(Notice { tone: Tone::Info, title: "title".to_owned(), lines });
        let picture = Picture::by(&mut painter, &scene, size);
        for (_, rect) in &picture.hits.legend {
            assert!(rect.left >= 0 && rect.right <= size.width as i32 && rect.bottom <= size.height as i32);
        }
        painter.svg(&scene, &Layout::new(size)).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_view_is_painted(
        start in any::<i64>(), length in 1_i64..i64::MAX, a in any::<f64>(), b in any::<f64>(),
        percent in any::<bool>(), decimals in 0_usize..20, x in -50..700, y in -50..500,
    ) {
        prop_assume!(a.is_finite() && b.is_finite() && a < b && start < i64::MAX);
        let mut scene = busy(SIZE);
        scene.chart.viewport = Viewport {
            time: TimeSpan { start, end: start.saturating_add(length) },
            value: ValueSpan { lo: a, hi: b },
        };
        scene.chart.axis = if percent { AxisKind::Percent } else { AxisKind::Price };
        scene.chart.decimals = decimals;
        scene.chart.zone = TimeZone::get("America/New_York").unwrap();
        if let Some(cross) = &mut scene.chart.crosshair {
            (cross.x, cross.y, cross.time_ns, cross.value) = (x, y, start, a);
        }
        let picture = Picture::of(&scene, SIZE);
        prop_assert!(!picture.hits.legend.is_empty());
    }
}

#[test]
fn a_wrong_buffer_or_size_is_refused_with_the_reason() {
    let mut painter = Painter::new().unwrap();
    let error = painter.paint(&scene(), &mut [0; 10], &Layout::new(SIZE)).unwrap_err();
    assert!(matches!(error, PlotError::Buffer { expected: 256_000, got: 10 }), "{error}");
    for size in [Size { width: 0, height: 5 }, Size { width: 5, height: 100_000 }] {
        assert!(matches!(painter.paint(&scene(), &mut [], &Layout::new(size)), Err(PlotError::Size { .. })));
        assert!(matches!(painter.svg(&scene(), &Layout::new(size)), Err(PlotError::Size { .. })));
        assert!(matches!(png(&[], size), Err(PlotError::Size { .. })));
    }
}

#[test]
fn svg_is_vectors_and_text_and_well_formed() {
    let document = Painter::new().unwrap().svg(&busy(SIZE), &Layout::new(SIZE)).unwrap();
    assert!(document.starts_with("<svg ") && document.contains(r#"width="640" height="400""#));
    assert!(!document.contains("<image"));
    assert!(document.contains("<polyline") && document.contains("<text") && document.contains("LIVE"));
    assert!(document.contains("&lt;&amp;&gt;&quot;&apos;") && !document.contains("<&>"));

    let mut open = Vec::new();
    for tag in document.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap();
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap().to_owned());
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn png_holds_the_pixels() {
    let picture = Picture::of(&busy(SIZE), SIZE);
    let file = png(&picture.pixels, SIZE).unwrap();
    let mut reader = ::png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!((info.width, info.height, info.color_type), (640, 400, ::png::ColorType::Rgb));
    let back: Vec<u32> = bytes.chunks_exact(3).map(|c| u32::from_be_bytes([0, c[0], c[1], c[2]])).collect();
    assert!(back == picture.pixels);
}
