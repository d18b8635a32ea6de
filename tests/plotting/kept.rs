//! A painter that keeps its frame and draws only what changes shows what one does that draws everything.

use jiff::tz::TimeZone;
use proptest::prelude::*;
use tickscope::plot::{AxisKind, Badge, Frame, Notice, Painter, Scene, Size, Theme, Tone};

use crate::{Picture, SECOND, SIZE, at, busy, entry, line, scene};

/// Something that may change from one frame to the next, by `n`.
type Change = fn(&mut Scene, &mut Size, i64);

const CHANGES: &[Change] = &[
    |scene, _, n| scene.chart.viewport.time.end += (n - 40) * SECOND,
    |scene, _, n| scene.chart.viewport.value.hi += n as f64,
    |scene, _, n| scene.chart.decimals = n as usize % 5,
    |scene, _, n| scene.chart.axis = if n % 2 == 0 { AxisKind::Percent } else { AxisKind::Price },
    |scene, _, _| scene.chart.zone = TimeZone::get("America/New_York").unwrap(),
    // A single point of a single line, by a row.
    |scene, _, n| {
        let lines = scene.chart.lines.len();
        if let Some(run) = scene.chart.lines.get_mut(n as usize % lines.max(1)).and_then(|line| line.runs.first_mut()) {
            let points = run.len();
            run[n as usize % points].value += 1.0;
        }
    },
    |scene, _, n| scene.chart.lines.push(line(n as usize, vec![vec![at(5.0, n as f64), at(300.0, 30.0)]])),
    |scene, _, _| drop(scene.chart.lines.pop()),
    |scene, _, n| scene.chart.gaps.iter_mut().for_each(|gap| gap.end_ns += n * SECOND),
    |scene, _, n| scene.chart.gaps.iter_mut().for_each(|gap| gap.label = format!("gap {n}")),
    |scene, _, n| scene.chart.tags.iter_mut().take(1).for_each(|tag| tag.value = n as f64),
    |scene, _, n| scene.chart.crosshair.iter_mut().for_each(|cross| cross.x += n as i32 - 40),
    |scene, _, _| scene.chart.crosshair = None,
    |scene, size, _| scene.chart.crosshair = busy(*size).chart.crosshair,
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
    |scene, _, n| scene.header.legend.truncate(n as usize),
    |scene, _, n| scene.header.legend.push(entry(n as usize, "NEW", true)),
    |scene, _, n| scene.footer.figures[0].1 = format!("{n} ticks/s"),
    |scene, _, n| scene.theme = if n % 2 == 0 { Theme::Dark } else { Theme::Light },
    |_, size, n| *size = Size { width: 500 + n as u32, height: 300 + n as u32 },
    |scene, size, n| *scene = if n % 2 == 0 { self::scene() } else { busy(*size) },
    |_, _, _| {},
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn what_is_drawn_on_is_what_would_be_drawn_anew(
        changes in prop::collection::vec((prop::sample::select(CHANGES), 0_i64..80), 1..40),
    ) {
        let (mut scene, mut size) = (busy(SIZE), SIZE);
        let mut painter = Painter::new().unwrap();
        painter.update(scene.clone(), &Frame::new(size)).unwrap();
        for (i, (change, n)) in changes.into_iter().enumerate() {
            let before = painter.pixels().to_vec();
            change(&mut scene, &mut size, n);
            let changed = painter.update(scene.clone(), &Frame::new(size)).unwrap();
            let anew = Picture::of(&scene, size);
            prop_assert!(painter.pixels() == anew.pixels, "change {i} by {n}");
            prop_assert_eq!(painter.hits(), &anew.hits);
            prop_assert!(changed || before == anew.pixels);
        }
    }
}

#[test]
fn nothing_is_drawn_where_nothing_has_changed() {
    let mut painter = Painter::new().unwrap();
    assert!(painter.update(busy(SIZE), &Frame::new(SIZE)).unwrap());
    assert!(!painter.update(busy(SIZE), &Frame::new(SIZE)).unwrap());
    let mut other = busy(SIZE);
    other.chart.lines[3].runs[0][7].value += f64::EPSILON * 64.0;
    assert!(painter.update(other, &Frame::new(SIZE)).unwrap(), "points are compared to the bit");
}

#[test]
fn after_an_error_everything_is_drawn() {
    let mut painter = Painter::new().unwrap();
    painter.update(busy(SIZE), &Frame::new(SIZE)).unwrap();
    assert!(painter.update(busy(SIZE), &Frame::new(Size { width: 0, height: 0 })).is_err());
    assert!(painter.update(scene(), &Frame::new(SIZE)).unwrap());
    assert!(painter.pixels() == Picture::of(&scene(), SIZE).pixels);
}
