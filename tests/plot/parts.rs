//! Positions of bars, volume, titles, marks, rulers and the search.

use tickscope::chart::Rect;
use tickscope::chart::{
    Arrangement, Badge, Bar, BarStyle, Bars, Chart, Crosshair, Layout, LegendEntry, Mark, Readout, Ruler, Scale, Scene,
    Search, Selection, Size, Tag, Theme, Title, Tone, palette_color,
};
use tickscope::plot::Painter;

use super::{Picture, SECOND, SIZE, START, at, entry, line, plot, scene};

fn bar(start: i64, end: i64, [open, high, low, close]: [f64; 4]) -> Bar {
    let (start_ns, end_ns) = (START + start * SECOND, START + end * SECOND);
    Bar { start_ns, end_ns, open, high, low, close, volume: 10.0 }
}

fn with_bars(style: BarStyle, bars: Vec<Bar>) -> Scene {
    let mut scene = scene();
    scene.chart.bars = Some(Bars { style, bars });
    scene
}

/// Columns and rows (from the plot's top left) that differ from an empty chart.
fn changed(drawn: &Scene, frame: &Layout) -> Vec<(i32, i32)> {
    let mut bare = drawn.clone();
    bare.chart = Chart { volume: drawn.chart.volume, ..scene().chart };
    bare.search = None;
    let mut painter = Painter::new().unwrap();
    Picture::on(&mut painter, drawn, frame).changes(&Picture::on(&mut painter, &bare, frame))
}

#[test]
fn a_candle_is_a_body_and_wicks_of_whole_pixels() {
    let rect = plot();
    // Ten columns: a body of seven.
    let drawn = with_bars(BarStyle::Candles, vec![bar(100, 110, [50.5, 90.5, 20.5, 70.5])]);
    let picture = Picture::of(&drawn, SIZE);
    let gain = picture.pixel(rect.left + 105, rect.bottom - 61);
    for (x, y) in changed(&drawn, &Layout::new(SIZE)) {
        let (column, row) = (x - rect.left, rect.bottom - 1 - y);
        assert!((20..=90).contains(&row) && (101..=108).contains(&column), "{column} {row}");
        if !(50..=70).contains(&row) {
            assert_eq!(column, 105, "the wick at row {row}");
        }
        assert_eq!(picture.pixel(x, y), gain, "no pixel is half a bar's: {column} {row}");
    }
    let body = (102..=108).all(|column| picture.pixel(rect.left + column, rect.bottom - 51) == gain);
    assert!(body && picture.pixel(rect.left + 105, rect.bottom - 91) == gain);
}

#[test]
fn gains_and_losses_differ_and_a_doji_is_seen() {
    let rect = plot();
    let bars = vec![
        bar(100, 110, [50.5, 60.5, 40.5, 55.5]),
        bar(110, 120, [55.5, 60.5, 40.5, 50.5]),
        bar(120, 130, [50.5, 50.5, 50.5, 50.5]),
    ];
    for theme in [Theme::Dark, Theme::Light] {
        let drawn = Scene { theme, ..with_bars(BarStyle::Candles, bars.clone()) };
        let picture = Picture::of(&drawn, SIZE);
        let at = |column: i32, row: i32| picture.pixel(rect.left + column, rect.bottom - 1 - row);
        assert_ne!(at(105, 53), at(115, 53));
        let doji: Vec<_> = (120..130).filter(|column| at(*column, 50) == at(105, 53)).collect();
        assert!(doji.len() >= 5, "{doji:?}");
    }
}

#[test]
fn an_ohlc_bar_opens_left_and_closes_right() {
    let rect = plot();
    let drawn = with_bars(BarStyle::Ohlc, vec![bar(100, 110, [30.5, 90.5, 20.5, 70.5])]);
    for (x, y) in changed(&drawn, &Layout::new(SIZE)) {
        match (x - rect.left, rect.bottom - 1 - y) {
            (105, row) => assert!((20..=90).contains(&row)),
            (column, 30) => assert!((102..105).contains(&column)),
            (column, 70) => assert!((106..=108).contains(&column)),
            elsewhere => panic!("{elsewhere:?}"),
        }
    }
}

#[test]
fn narrow_bars_are_exact_sticks() {
    let rect = plot();
    let stick = |i: i64| {
        let low = (20 + i * 7 % 100) as f64 + 0.5;
        bar(i * 2, i * 2 + 2, [low, low + 30.0, low, low + 10.0])
    };
    let bars: Vec<Bar> = (0..200).map(stick).collect();
    let drawn = with_bars(BarStyle::Candles, bars.clone());
    let mut expected: Vec<(i32, i32)> = Vec::new();
    for (i, bar) in bars.iter().enumerate() {
        let rows = bar.low as i32..=bar.high as i32;
        expected.extend(rows.map(|row| (rect.left + 2 * i as i32 + 1, rect.bottom - 1 - row)));
    }
    expected.sort_unstable();
    let mut found = changed(&drawn, &Layout::new(SIZE));
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn bars_and_volume_stay_inside_their_panes() {
    for scale in [Scale::One, Scale::OneAndHalf, Scale::Two] {
        let frame = Layout::with_arrangement(Size { width: 801, height: 601 }, scale, Arrangement::WithVolume);
        let wild = [
            bar(-50, 20, [f64::MIN, f64::MAX, f64::MIN, 50.0]),
            bar(40, 90, [10.0, 9_000.0, -9_000.0, 20.0]),
            bar(500, 4_000, [10.0, 90.0, 5.0, 20.0]),
            bar(95, 99, [f64::NAN, 90.0, 5.0, 20.0]),
        ];
        let mut drawn = with_bars(BarStyle::Candles, wild.to_vec());
        drawn.chart.volume = true;
        let px = |px: i32| px * scale.halves() as i32 / 2;
        let changes = changed(&drawn, &frame);
        let (left, right) = (px(frame.plot.left), px(frame.plot.right));
        let inside: Vec<_> = changes.iter().filter(|(x, _)| (left..right).contains(x)).collect();
        assert!(inside.len() > 1_000);
        assert!(inside.iter().all(|(_, y)| (px(frame.plot.top)..px(frame.volume.bottom)).contains(y)));
        // The scale is beside the pane.
        let beside = changes.iter().filter(|(x, _)| !(left..right).contains(x));
        assert!(
            beside.clone().count() > 10 && beside.clone().all(|(x, y)| *x >= right && *y > px(frame.volume.top) - 9)
        );
    }
}

#[test]
fn titles_lose_their_last_figures_first() {
    let figures = ["O", "H", "L", "C", "V"].map(|name| (name.to_owned(), "183.08".to_owned())).to_vec();
    let title = Title { symbol: "IBM".to_owned(), detail: "1 min".to_owned(), figures, ..Title::default() };
    let mut titled = scene();
    titled.chart.title = Some(title);
    let mut painter = Painter::new().unwrap();
    let mut last = i32::MAX;
    for width in [640, 480, 400, 320, 260, 200, 120] {
        let frame = Layout::new(Size { width, height: 400 });
        let bare = Picture::on(&mut painter, &scene(), &frame);
        let changes = Picture::on(&mut painter, &titled, &frame).changes(&bare);
        let right = changes.iter().map(|(x, _)| *x).max().unwrap();
        assert!(right < frame.plot.right && right <= last, "{width}: {right} after {last}");
        assert!(changes.iter().all(|(_, y)| (frame.plot.top..frame.plot.top + 30).contains(y)));
        last = right;
    }
}

#[test]
fn the_focus_is_wider_and_above_the_others_that_step_back() {
    let rect = plot();
    let mut drawn = scene();
    drawn.chart.lines = vec![
        line(0, vec![vec![at(10.0, 50.5), at(200.0, 50.5)]]),
        line(1, vec![vec![at(10.0, 50.5), at(400.0, 50.5)]]),
    ];
    let row = |picture: &Picture, x: i32| picture.pixel(rect.left + x, rect.bottom - 51);
    assert_eq!(row(&Picture::of(&drawn, SIZE), 100), palette_color(Theme::Dark, 1));
    drawn.chart.focus = Some(0);
    let focused = Picture::of(&drawn, SIZE);
    assert_eq!(row(&focused, 100), palette_color(Theme::Dark, 0));
    let back = row(&focused, 300);
    assert!(back.0 < palette_color(Theme::Dark, 1).0 && back.0 > 40, "{back:?}");
    // A focus that is not drawn dims nothing.
    drawn.chart.focus = Some(7);
    assert_eq!(row(&Picture::of(&drawn, SIZE), 300), palette_color(Theme::Dark, 1));
}

#[test]
fn tags_leave_labels_of_the_axis_readable() {
    let frame = Layout::new(Size { width: 1280, height: 720 });
    let mut painter = Painter::new().unwrap();
    let mut tagged = scene();
    let axis = frame.value_axis;
    let ground = Picture::on(&mut painter, &tagged, &frame);
    tagged.chart.tags = (0..200)
        .map(|palette_index| Tag { palette_index, value: 150.0 + palette_index as f64 * 0.1, text: "1.00".to_owned() })
        .collect();
    tagged.chart.focus = Some(100);
    let picture = Picture::on(&mut painter, &tagged, &frame);
    let rows = |picture: &Picture| -> Vec<i32> {
        let x = axis.right - 6;
        (axis.top..axis.bottom).filter(|y| picture.pixel(x, *y) != ground.pixel(x, *y)).collect()
    };
    let covered = rows(&picture).len();
    assert!(covered > 100 && covered * 2 < axis.height() as usize, "{covered} of {} rows", axis.height());
    // Labels that no tag covers are unchanged.
    let text = |picture: &Picture, y: i32| {
        (axis.left + 8..axis.left + 50).any(|x| {
            let (r, g, b) = picture.pixel(x, y);
            r > 90 && g > 90 && b > 90
        })
    };
    let free = (axis.top..axis.bottom).filter(|y| !rows(&picture).contains(y) && text(&picture, *y)).count();
    assert!(free > 20, "{free} rows of labels");
    let color = palette_color(Theme::Dark, 100);
    assert!((axis.top..axis.bottom).any(|y| picture.pixel(axis.right - 8, y) == color), "the focus keeps its tag");
}

#[test]
fn lines_of_one_colour_have_marks_of_their_own_on_hover() {
    let rect = plot();
    let mark = |palette_index: usize| {
        let row = Readout {
            palette_index,
            symbol: "A".to_owned(),
            price: "1".to_owned(),
            change_percent: None,
            point: at(100.5, 100.5),
        };
        let mut crossed = scene();
        let time_ns = START + 300 * SECOND;
        let cross =
            Crosshair { x: rect.left + 300, y: rect.top + 10, time_ns, value: 1.0, rows: vec![row], snapped: false };
        crossed.chart.crosshair = Some(cross);
        let picture = Picture::of(&crossed, SIZE);
        let around =
            Rect { left: rect.left + 90, top: rect.bottom - 112, right: rect.left + 112, bottom: rect.bottom - 90 };
        let inked = |x: i32, y: i32| picture.pixel(x, y) == palette_color(Theme::Dark, palette_index);
        (around.top..around.bottom)
            .flat_map(|y| (around.left..around.right).map(move |x| (x, y)))
            .map(|(x, y)| inked(x, y))
            .collect::<Vec<bool>>()
    };
    let marks: Vec<Vec<bool>> = (0..8).map(|round| mark(round * 8)).collect();
    for (i, a) in marks.iter().enumerate() {
        assert!(a.iter().filter(|inked| **inked).count() > 8, "{i}");
        assert!(!marks[i + 1..].contains(a), "{i}");
    }
}

#[test]
fn marks_rulers_and_boxes_stay_inside_the_plot() {
    let rect = plot();
    let mark = |second: i64, value: Option<f64>| Mark {
        time_ns: START + second * SECOND,
        value,
        palette_index: 1,
        text: "AAPL > 190".to_owned(),
    };
    let mut marked = scene();
    marked.chart.marks =
        vec![mark(0, Some(0.1)), mark(100, None), mark(101, None), mark(539, Some(1e9)), mark(300, Some(299.0))];
    let mut ruled = scene();
    let lines = vec!["3 min".to_owned(), "+0.51".to_owned()];
    ruled.chart.ruler = Some(Ruler { from: at(-1e9, f64::MIN), to: at(200.0, 90.0), lines, rising: true });
    let mut selected = scene();
    selected.chart.selection = Some(Selection { from: (50.0, 90.0), to: (f64::INFINITY, -1e9) });
    for drawn in [marked, ruled, selected] {
        let changes = changed(&drawn, &Layout::new(SIZE));
        assert!(changes.len() > 100);
        for (x, y) in changes {
            // Half of an outline lies outside its area.
            let near = Rect { left: rect.left - 1, top: rect.top - 1, right: rect.right + 1, bottom: rect.bottom + 1 };
            assert!(near.contains(f64::from(x), f64::from(y)), "{x} {y}");
        }
    }
}

#[test]
fn findings_can_be_clicked_where_they_stand() {
    let mut searching = scene();
    let found: Vec<LegendEntry> = (0..40).map(|palette_index| entry(palette_index, "FOUND", true)).collect();
    searching.search = Some(Search { query: "f".to_owned(), matches: found, selected: 30, more: 5 });
    let picture = Picture::of(&searching, SIZE);
    let hits = &picture.hits.search_rows;
    assert!(hits.len() == 31 && hits[30].height() > 10, "the chosen one is in view: {}", hits.len());
    for (palette_index, rect) in hits.iter().enumerate().filter(|(_, rect)| rect.width() > 0) {
        let inside = (rect.left..rect.right).flat_map(|x| (rect.top..rect.bottom).map(move |y| (x, y)));
        let solid = inside.filter(|&(x, y)| picture.pixel(x, y) == palette_color(Theme::Dark, palette_index)).count();
        assert!(solid > 60, "{palette_index}: {solid}");
    }
    let shown: Vec<&Rect> = hits.iter().filter(|rect| rect.width() > 0).collect();
    assert!(shown.len() > 3 && shown.windows(2).all(|pair| pair[0].bottom <= pair[1].top));
    searching.search = None;
    assert!(Picture::of(&searching, SIZE).hits.search_rows.is_empty());
}

#[test]
fn a_document_holds_every_part_as_vectors() {
    let mut full = with_bars(BarStyle::Candles, vec![bar(100, 110, [50.5, 90.5, 20.5, 70.5])]);
    full.chart.volume = true;
    let figures = vec![("O".to_owned(), "183.08".to_owned())];
    full.chart.title =
        Some(Title { symbol: "TITLED".to_owned(), detail: "1 min".to_owned(), figures, ..Title::default() });
    full.chart.marks =
        vec![Mark { time_ns: START + 50 * SECOND, value: None, palette_index: 1, text: "MARKED".to_owned() }];
    let lines = vec!["MEASURED".to_owned()];
    full.chart.ruler = Some(Ruler { from: at(200.0, 20.0), to: at(300.0, 90.0), lines, rising: true });
    full.chart.selection = Some(Selection { from: (50.0, 90.0), to: (90.0, 120.0) });
    full.search =
        Some(Search { query: "QUERIED".to_owned(), matches: vec![entry(3, "FOUND", true)], selected: 0, more: 2 });
    for (arrangement, words) in [
        (Arrangement::WithVolume, &["TITLED", "183.08", "Volume", "MARKED", "MEASURED", "QUERIED", "FOUND"][..]),
        (Arrangement::Grid { panes: 2 }, &["TITLED", "MARKED", "MEASURED", "QUERIED", "FOUND"]),
    ] {
        full.grid = vec![full.chart.clone(); 2];
        for scale in [Scale::One, Scale::Two] {
            let frame = Layout::with_arrangement(Size { width: 1280, height: 800 }, scale, arrangement);
            let document = Painter::new().unwrap().svg(&full, &frame).unwrap();
            assert!(!document.contains("<image"));
            for word in words {
                assert!(document.contains(word), "{word} at {scale:?} {arrangement:?}");
            }
            let width = format!(r#"width="{}" "#, 1280 * 2 / scale.halves());
            assert!(document.contains(&width), "{width}");
        }
    }
}

#[test]
fn the_view_badge_can_be_clicked_beside_the_state() {
    let mut paused = scene();
    assert_eq!(Picture::of(&paused, SIZE).hits.view_badge, Rect::default());
    paused.header.view_badge = Some(Badge { tone: Tone::Info, text: "PAUSED".to_owned() });
    let hits = Picture::of(&paused, SIZE).hits;
    assert!(hits.view_badge.width() > 30 && hits.view_badge.left >= hits.badge.right, "{hits:?}");
}
