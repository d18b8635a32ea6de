//! Drawn one pixel wide, the downsampled line lights exactly the pixels that all ticks light.
//!
//! The argument is that of the M4 paper. The pixels of a column are lit by segments within the column and by segments
//! that cross into other columns. A crossing segment connects the last tick of a column with the first one of the next
//! column that has any; both are kept, so it is unchanged. The inner segments form a connected path within one column,
//! which lights every row between its lowest and highest tick and no other; both are kept, and a path through fewer of
//! its ticks still connects them.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{EVERYTHING, Shape, fill, make_ticks, shapes};
use crate::model::TimeSpan;
use crate::series::Sample;

/// Columns of the picture, from the first to the one past the last.
const COLUMNS: std::ops::Range<i32> = 7..7 + 160;

/// Rows of the picture, from the first to the one past the last.
const ROWS: std::ops::Range<i32> = 3..3 + 90;

/// Mapping of time and price to fractional columns and rows.
struct Mapping {
    time: TimeSpan,
    /// Prices at the bottom and at the top edge.
    prices: (f64, f64),
}

impl Mapping {
    fn x(&self, time_ns: i64) -> f64 {
        let (column, share) = self.time.column_and_share(time_ns, width());
        let left = f64::from(COLUMNS.start) + column as f64;
        // The sum may round up to the next column.
        (left + share).min((left + 1.0).next_down())
    }

    fn y(&self, price: f64) -> f64 {
        let share = (price - self.prices.0) / (self.prices.1 - self.prices.0);
        (f64::from(ROWS.end) - share * ROWS.len() as f64).clamp(-1e9, 1e9)
    }
}

fn width() -> u32 {
    COLUMNS.len() as u32
}

type Pixels = BTreeSet<(i64, i64)>;

/// Bresenham's line between the pixels of consecutive vertices.
fn bresenham(at: &Mapping, line: &[Sample]) -> Pixels {
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
fn coverage(at: &Mapping, line: &[Sample]) -> Pixels {
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
        let columns =
            x0.floor().max(f64::from(COLUMNS.start)) as i64..=x1.floor().min(f64::from(COLUMNS.end - 1)) as i64;
        for x in columns {
            let (enter, leave) = (height(x as f64), height((x + 1) as f64));
            // Rounding must not extend the part within a column beyond its ends.
            let (top, bottom) = (enter.min(leave).floor() as i64, enter.max(leave).floor() as i64);
            for y in top.max(ROWS.start.into())..=bottom.min((ROWS.end - 1).into()) {
                light(&mut lit, x, y);
            }
        }
    }
    lit
}

fn light(lit: &mut Pixels, x: i64, y: i64) {
    if (COLUMNS.start.into()..COLUMNS.end.into()).contains(&x) && (ROWS.start.into()..ROWS.end.into()).contains(&y) {
        lit.insert((x, y));
    }
}

/// Number of pixels that differ, for both rasterisers, and number of pixels that are lit.
fn compare(ticks: &[Sample], extracted: &[Sample], at: &Mapping) -> (usize, usize) {
    let mut lit = 0;
    let differ = [bresenham, coverage].iter().map(|rasterise| {
        let (all, few) = (rasterise(at, ticks), rasterise(at, extracted));
        lit += all.len();
        all.symmetric_difference(&few).count()
    });
    (differ.sum(), lit)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn downsampled_and_all_ticks_light_the_same_pixels(
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
        // The value span may clip the data; the clipped pixels must be the same as well.
        let height = (found.max - found.min).max(1e-9);
        let prices = (found.min + (low - 0.1) * height, found.min + (high + 0.1) * height);
        let mut extracted = Vec::new();
        series.downsample(time, width(), &mut extracted);
        let (differ, _) = compare(&ticks, &extracted, &Mapping { time, prices });
        prop_assert_eq!(differ, 0);
    }
}

#[test]
fn the_comparison_detects_a_missing_spike() {
    let (series, _) = fill(EVERYTHING, &make_ticks(Shape::Spikes, 5_000, 0, 1));
    let ticks: Vec<Sample> = series.iter().map(|tick| tick.sample()).collect();
    let time = TimeSpan { start: ticks[0].time_ns, end: ticks[4_999].time_ns };
    let at = Mapping { time, prices: (-1e6, 1e6) };
    let mut extracted = Vec::new();
    series.downsample(time, width(), &mut extracted);
    let (differ, lit) = compare(&ticks, &extracted, &at);
    assert!(differ == 0 && lit > 200, "{differ} of {lit}");
    let highest = extracted.iter().position(|s| s.price == series.statistics().unwrap().max).unwrap();
    extracted.remove(highest);
    assert!(compare(&ticks, &extracted, &at).0 > 0);
}
