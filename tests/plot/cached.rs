//! A painter that redraws only what changes produces the same frames as one that draws everything.

use jiff::tz::TimeZone;
use proptest::prelude::*;
use tickscope::chart::{
    Arrangement, AxisKind, Badge, Bar, BarStyle, Bars, Chart, Layout, Mark, Notice, Ruler, Scale, Scene, Search,
    Selection, Size, Theme, Title, Tone,
};
use tickscope::plot::Painter;

use super::{Picture, SECOND, SIZE, START, at, busy, entry, line, scene};

/// A change from one frame to the next, parametrized by `n`.
type Change = fn(&mut Scene, &mut Layout, i64);

/// Chart to change: in a grid, one of its panes.
fn chart(scene: &mut Scene, n: i64) -> &mut Chart {
    let panes = scene.grid.len();
    if panes == 0 { &mut scene.chart } else { &mut scene.grid[n as usize % panes] }
}

fn bars(n: i64, style: BarStyle) -> Bars {
    let bar = |i: i64| Bar {
        start_ns: START + i * 7 * SECOND,
        end_ns: START + (i + 1) * 7 * SECOND,
        open: (i * 31 % 90) as f64,
        high: (i * 31 % 90 + 40) as f64,
        low: (i * 31 % 90 - 30) as f64,
        close: ((i * 31 + n) % 100) as f64,
        volume: (i * 17 % 60) as f64,
    };
    Bars { style, bars: (0..n).map(bar).collect() }
}

fn title(n: i64) -> Title {
    Title {
        symbol: format!("SYM{n}"),
        detail: "1 min".to_owned(),
        figures: vec![("O".to_owned(), format!("{n}.00")), ("V".to_owned(), "1,000".to_owned())],
        change_percent: Some(n as f64 - 40.0),
        palette_index: (n % 2 == 0).then_some(n as usize),
    }
}

fn mark(n: i64) -> Mark {
    let value = (n % 3 > 0).then_some(n as f64);
    Mark { time_ns: START + n * 5 * SECOND, value, palette_index: n as usize, text: format!("alert {n}") }
}

const CHANGES: &[Change] = &[
    |scene, _, n| chart(scene, n).viewport.time.end += (n - 40) * SECOND,
    |scene, _, n| chart(scene, n).viewport.value.hi += n as f64,
    |scene, _, n| chart(scene, n).decimals = n as usize % 5,
    |scene, _, n| {
        chart(scene, n).axis = [AxisKind::Percent, AxisKind::Price, AxisKind::Log][n as usize % 3];
        // Logarithms of finite prices.
        chart(scene, n).viewport.value.hi = chart(scene, n).viewport.value.lo + 3.0;
    },
    |scene, _, n| chart(scene, n).zone = TimeZone::get("America/New_York").unwrap(),
    // One point of one line, by a row.
    |scene, _, n| {
        let lines = &mut chart(scene, n).lines;
        let count = lines.len();
        if let Some(run) = lines.get_mut(n as usize % count.max(1)).and_then(|line| line.runs.first_mut()) {
            let points = run.len();
            run[n as usize % points].value += 1.0;
        }
    },
    |scene, _, n| chart(scene, n).lines.push(line(n as usize, vec![vec![at(5.0, n as f64), at(300.0, 30.0)]])),
    |scene, _, n| drop(chart(scene, n).lines.pop()),
    |scene, _, n| chart(scene, n).focus = (n % 3 > 0).then_some(n as usize),
    |scene, _, n| chart(scene, n).bars = (n % 3 > 0).then(|| bars(n, BarStyle::Candles)),
    |scene, _, n| chart(scene, n).bars = Some(bars(n, BarStyle::Ohlc)),
    |scene, _, n| chart(scene, n).volume = n % 2 == 0,
    |scene, _, n| chart(scene, n).title = (n % 3 > 0).then(|| title(n)),
    |scene, _, n| chart(scene, n).marks.push(mark(n)),
    |scene, _, n| chart(scene, n).marks.clear(),
    |scene, _, n| {
        let (from, to) = (at(20.0, 30.0), at(n as f64 * 5.0, n as f64 * 3.0));
        chart(scene, n).ruler = (n % 3 > 0).then(|| Ruler { from, to, lines: vec![format!("{n} s")], rising: n > 9 });
    },
    |scene, _, n| {
        let selection = || Selection { from: (30.0, 80.0), to: (n as f64 * 9.0, n as f64 * 5.0) };
        scene.chart.selection = (n % 3 > 0).then(selection);
    },
    |scene, _, n| {
        let found =
            (0..n as usize % 20).map(|palette_index| entry(palette_index, "FOUND", palette_index % 3 > 0)).collect();
        let search =
            || Search { query: format!("q{n}"), matches: found, selected: n as usize % 23, more: n as usize % 4 };
        scene.search = (n % 3 > 0).then(search);
    },
    |scene, _, n| scene.chart.missing.iter_mut().for_each(|gap| gap.end_ns += n * SECOND),
    |scene, _, n| scene.chart.missing.iter_mut().for_each(|gap| gap.label = format!("gap {n}")),
    |scene, _, n| chart(scene, n).tags.iter_mut().take(1).for_each(|tag| tag.value = n as f64),
    |scene, _, n| chart(scene, n).crosshair.iter_mut().for_each(|cross| cross.x += n as i32 - 40),
    |scene, _, n| chart(scene, n).crosshair.iter_mut().for_each(|cross| cross.snapped = n % 2 == 0),
    |scene, _, n| chart(scene, n).crosshair = None,
    |scene, frame, n| chart(scene, n).crosshair = busy(frame.size).chart.crosshair,
    |scene, _, n| {
        let notice = || Notice { tone: Tone::Info, title: format!("title {n}"), lines: vec!["`code`".to_owned()] };
        scene.chart.notice = (n % 2 == 0).then(notice);
    },
    |scene, _, n| scene.help = (n % 2 == 0).then(|| vec![("key".to_owned(), "what it does".to_owned()); n as usize]),
    |scene, _, n| {
        scene.toast = (n % 2 == 0).then(|| Badge { tone: Tone::Good, text: format!("saved chart-{n}.png") });
    },
    |scene, _, n| scene.header.badge.text = format!("STALE {n} s"),
    |scene, _, n| scene.header.legend.iter_mut().take(1).for_each(|entry| entry.last = Some(format!("{n}.00"))),
    |scene, _, n| scene.header.legend.iter_mut().skip(n as usize).take(1).for_each(|entry| entry.focused ^= true),
    |scene, _, n| scene.header.legend.truncate(n as usize),
    |scene, _, n| scene.header.legend.push(entry(n as usize, "NEW", true)),
    |scene, _, n| scene.footer.figures[0].1 = format!("{n} ticks/s"),
    |scene, _, n| scene.theme = if n % 2 == 0 { Theme::Dark } else { Theme::Light },
    |_, frame, n| *frame = Layout::with_arrangement(sized(500 + n, 300 + n), frame.scale, frame.arrangement),
    |_, frame, n| {
        let scale = [Scale::One, Scale::OneAndHalf, Scale::Two][n as usize % 3];
        *frame = Layout::with_arrangement(frame.size, scale, frame.arrangement);
    },
    |scene, frame, n| {
        let panes = n as usize % 7;
        scene.grid = vec![scene.chart.clone(); panes];
        let arrangement = match n % 5 {
            0 | 1 if panes > 0 => Arrangement::Grid { panes },
            2 => Arrangement::WithVolume,
            _ => Arrangement::Single,
        };
        *frame = Layout::with_arrangement(frame.size, frame.scale, arrangement);
    },
    |scene, _, n| scene.grid.truncate(n as usize),
    |scene, frame, n| *scene = if n % 2 == 0 { self::scene() } else { busy(frame.size) },
    |_, _, _| {},
];

fn sized(width: i64, height: i64) -> Size {
    Size { width: width as u32, height: height as u32 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_is_drawn_on_is_what_would_be_drawn_anew(
        changes in prop::collection::vec((prop::sample::select(CHANGES), 0_i64..80), 1..40),
    ) {
        let (mut scene, mut frame) = (busy(SIZE), Layout::new(SIZE));
        let (mut painter, mut other) = (Painter::new().unwrap(), Painter::new().unwrap());
        painter.update(scene.clone(), &frame).unwrap();
        for (i, (change, n)) in changes.into_iter().enumerate() {
            let before = painter.pixels().to_vec();
            change(&mut scene, &mut frame, n);
            let changed = painter.update(scene.clone(), &frame).unwrap();
            let anew = Picture::on(&mut other, &scene, &frame);
            prop_assert!(painter.pixels() == anew.pixels, "change {i} by {n}");
            prop_assert_eq!(painter.hits(), &anew.hits);
            prop_assert!(changed || before == anew.pixels);
        }
    }
}

#[test]
fn nothing_is_drawn_where_nothing_has_changed() {
    let mut painter = Painter::new().unwrap();
    assert!(painter.update(busy(SIZE), &Layout::new(SIZE)).unwrap());
    assert!(!painter.update(busy(SIZE), &Layout::new(SIZE)).unwrap());
    let mut other = busy(SIZE);
    other.chart.lines[3].runs[0][7].value += f64::EPSILON * 64.0;
    assert!(painter.update(other, &Layout::new(SIZE)).unwrap(), "points are compared to the bit");
}

#[test]
fn after_an_error_everything_is_drawn() {
    let mut painter = Painter::new().unwrap();
    painter.update(busy(SIZE), &Layout::new(SIZE)).unwrap();
    assert!(painter.update(busy(SIZE), &Layout::new(Size { width: 0, height: 0 })).is_err());
    assert!(painter.update(scene(), &Layout::new(SIZE)).unwrap());
    assert!(painter.pixels() == Picture::of(&scene(), SIZE).pixels);
}
