//! Drawn one pixel wide, the extracted samples light exactly the pixels that all ticks do.
//!
//! The argument is that of the M4 paper. What a line lights within a pixel column is lit by segments inside the column
//! and by segments that cross into other columns. The crossing ones run between the last tick of a column and the
//! first of the next that has any: both ends are kept, so they are the very same segments. The inner ones make an
//! unbroken path within one column, which lights every row between its lowest and its highest tick and no other: both
//! are kept, and a path through fewer of its ticks still joins them.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{EVERYTHING, Shape, fill, make_ticks, shapes};
use crate::chart::{Rect, Transform, ValueSpan, Viewport};
use crate::model::TimeSpan;
use crate::series::Sample;

const RECT: Rect = Rect { left: 7, top: 3, right: 7 + 160, bottom: 3 + 90 };

type Pixels = BTreeSet<(i64, i64)>;

/// Bresenham's line between the pixels of each two vertices.
fn bresenham(at: &Transform, line: &[Sample]) -> Pixels {
    let pixel = |s: &Sample| (at.x(s.time_ns).floor() as i64, at.y(s.price).floor() as i64);
    let mut lit = Pixels::new();
    for pair in line.windows(2) {
        let ((mut x, mut y), (x1, y1)) = (pixel(&pair[0]), pixel(&pair[1]));
        let (dx, dy) = ((x1 - x).abs(), -(y1 - y).abs());
        let (step_x, step_y) = ((x1 - x).signum(), (y1 - y).signum());
        let mut error = dx + dy;
        loop {
            light(&mut lit, x, y);
            if (x, y) == (x1, y1) {
                break;
            }
            let twice = 2 * error;
            if twice >= dy {
                error += dy;
                x += step_x;
            }
            if twice <= dx {
                error += dx;
                y += step_y;
            }
        }
    }
    lit
}

/// Every pixel that the ideal line touches, column by column.
fn coverage(at: &Transform, line: &[Sample]) -> Pixels {
    let mut lit = Pixels::new();
    for pair in line.windows(2) {
        let (x0, y0) = (at.x(pair[0].time_ns), at.y(pair[0].price));
        let (x1, y1) = (at.x(pair[1].time_ns), at.y(pair[1].price));
        let height = |x: f64| {
            if x <= x0 {
                y0
            } else if x >= x1 {
                y1
            } else {
                y0 + (y1 - y0) * ((x - x0) / (x1 - x0))
            }
        };
        let columns = x0.floor().max(f64::from(RECT.left)) as i64..=x1.floor().min(f64::from(RECT.right - 1)) as i64;
        for x in columns {
            let (enter, leave) = (height(x as f64), height((x + 1) as f64));
            // Rounding must not make the part inside one column reach beyond its own ends.
            let (top, bottom) = (enter.min(leave).floor() as i64, enter.max(leave).floor() as i64);
            for y in top.max(RECT.top.into())..=bottom.min((RECT.bottom - 1).into()) {
                light(&mut lit, x, y);
            }
        }
    }
    lit
}

fn light(lit: &mut Pixels, x: i64, y: i64) {
    if RECT.contains(x as f64, y as f64) {
        lit.insert((x, y));
    }
}

/// How many pixels differ, by both rasterisers; and how many are lit.
fn compare(ticks: &[Sample], extracted: &[Sample], viewport: Viewport) -> (usize, usize) {
    let at = Transform { viewport, rect: RECT };
    let mut lit = 0;
    let differ = [bresenham, coverage].iter().map(|rasterise| {
        let (all, few) = (rasterise(&at, ticks), rasterise(&at, extracted));
        lit += all.len();
        all.symmetric_difference(&few).count()
    });
    (differ.sum(), lit)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn extracted_and_all_ticks_light_the_same_pixels(
        shape in shapes(),
        count in prop_oneof![2_usize..50, 1_000_usize..20_000],
        seed: u64,
        (position, length) in (0.0_f64..1.0, 0.0_f64..1.2),
        (low, high) in (0.0_f64..0.6, 0.4_f64..1.0),
    ) {
        let (series, _) = fill(EVERYTHING, &make_ticks(shape, count, 40, seed));
        let ticks: Vec<Sample> = series.iter().map(|tick| tick.sample()).collect();
        let (from, to) = (ticks[0].time_ns, ticks[ticks.len() - 1].time_ns + 1);
        let length = (((to - from) as f64 * length * length) as i64).max(200);
        let start = from + ((to - from) as f64 * position) as i64 - length / 2;
        let time = TimeSpan { start, end: start + length };
        let found = series.statistics().unwrap();
        // The value span may cut the data: what is clipped away must be the same, too.
        let range = ValueSpan::fit(found.min, found.max);
        let value = ValueSpan { lo: range.value_at(low - 0.1), hi: range.value_at(high + 0.1) }.limited();
        let mut extracted = Vec::new();
        series.downsample(time, RECT.width().unsigned_abs(), &mut extracted);
        let (differ, _) = compare(&ticks, &extracted, Viewport { time, value });
        prop_assert_eq!(differ, 0);
    }
}

#[test]
fn the_comparison_sees_a_missing_spike() {
    let (series, _) = fill(EVERYTHING, &make_ticks(Shape::Spikes, 5_000, 0, 1));
    let ticks: Vec<Sample> = series.iter().map(|tick| tick.sample()).collect();
    let time = TimeSpan { start: ticks[0].time_ns, end: ticks[4_999].time_ns };
    let value = ValueSpan::fit(-1e6, 1e6);
    let mut extracted = Vec::new();
    series.downsample(time, RECT.width().unsigned_abs(), &mut extracted);
    let (differ, lit) = compare(&ticks, &extracted, Viewport { time, value });
    assert!(differ == 0 && lit > 200, "{differ} of {lit}");
    let highest = extracted.iter().position(|s| s.price == series.statistics().unwrap().max).unwrap();
    extracted.remove(highest);
    assert!(compare(&ticks, &extracted, Viewport { time, value }).0 > 0);
}
