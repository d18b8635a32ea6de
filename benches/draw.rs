//! Cost of a frame, from the series map to pixels, without presenting it.

#![allow(unreachable_pub, reason = "the modules of a benchmark are its own")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use tickscope::chart::{Arrangement, Layout, Scale, Scene, Size};
use tickscope::plot::Painter;

mod drawing {
    pub mod scenes;
}

use drawing::scenes::{SIZE, Shape, TICKS, candles, full_span, grid, hover, moved, scene, series};

/// Draws `scene` as the window does.
fn show(painter: &mut Painter, scene: Scene) {
    black_box(painter.update(scene, &Layout::new(SIZE)).expect("the size is legal"));
    black_box(painter.pixels());
}

fn painter() -> Painter {
    Painter::new().expect("the built-in typefaces are sound")
}

fn frames(criterion: &mut Criterion) {
    let series_maps = vec![
        ("1 line", series(1, TICKS, Shape::Walk)),
        ("4 lines", series(4, TICKS, Shape::Walk)),
        ("1 noisy line", series(1, TICKS, Shape::Noise)),
        ("4 noisy lines", series(4, TICKS, Shape::Noise)),
        ("4 zigzags", series(4, TICKS, Shape::Zigzag)),
        ("few points", series(3, 180, Shape::Walk)),
        ("200 symbols", series(200, TICKS, Shape::Walk)),
    ];
    for (name, series) in &series_maps {
        let ticks = series.counters().kept;
        let mut group = criterion.benchmark_group(format!("{name}, {ticks} ticks"));
        group.sample_size(if name.starts_with("200") { 20 } else { 60 });
        // The view moves by a column each frame, so that nothing of the chart is reused.
        let mut caches = Vec::new();
        let scenes = [0, 1].map(|by| scene(series, moved(full_span(), by), &mut caches));
        let (mut painter, mut turn) = (painter(), 0_usize);
        group.bench_function("scene and plot", |bencher| {
            bencher.iter(|| {
                turn += 1;
                show(&mut painter, scene(series, moved(full_span(), turn as i64 % 2), &mut caches));
            });
        });
        group.bench_function("plot", |bencher| {
            let next = || {
                turn += 1;
                scenes[turn % 2].clone()
            };
            bencher.iter_batched(next, |scene| show(&mut painter, scene), BatchSize::LargeInput);
        });
        group.bench_function("scene", |bencher| bencher.iter(|| black_box(scene(series, full_span(), &mut caches))));
        let anew = || black_box(scene(series, full_span(), &mut Vec::new()));
        group.bench_function("scene, no column known", |bencher| bencher.iter(anew));
        group.finish();
    }
}

/// Frames with few changes.
fn small_changes(criterion: &mut Criterion) {
    let series = series(4, TICKS, Shape::Noise);
    let mut group = criterion.benchmark_group("4 noisy lines, little changes");
    let (mut painter, mut turn) = (painter(), 0_usize);
    let plain = scene(&series, full_span(), &mut Vec::new());
    let mut changed = [plain.clone(), plain.clone()];
    (0..2).for_each(|i| hover(&mut changed[i], 400 + 3 * i as i32));
    let mut run = |name: &str, scenes: &[Scene; 2]| {
        group.bench_function(name, |bencher| {
            let next = || {
                turn += 1;
                scenes[turn % 2].clone()
            };
            bencher.iter_batched(next, |scene| show(&mut painter, scene), BatchSize::LargeInput);
        });
    };
    run("the mouse moves", &changed);
    let mut changed = [plain.clone(), plain.clone()];
    changed[1].header.legend[0].last = Some("101.11".to_owned());
    "101.11".clone_into(&mut changed[1].chart.tags[0].text);
    run("a last price", &changed);
    let mut changed = [plain.clone(), plain.clone()];
    "999,999 ticks/s".clone_into(&mut changed[1].footer.figures[0].1);
    run("a figure of the footer", &changed);
    run("nothing", &[plain.clone(), plain]);
    group.finish();
}

/// Views other than lines, and screens with more pixels.
fn views(criterion: &mut Criterion) {
    let series = series(4, TICKS, Shape::Walk);
    let mut group = criterion.benchmark_group("views");
    group.sample_size(30);
    let volume = Layout::with_arrangement(SIZE, Scale::One, Arrangement::WithVolume);
    let twice = Size { width: 2 * SIZE.width, height: 2 * SIZE.height };
    let large = Layout::with_arrangement(twice, Scale::Two, Arrangement::Single);
    let of = |by: i64| scene(&series, moved(full_span(), by), &mut Vec::new());
    let mut run = |name: &str, frame: &Layout, scenes: [Scene; 2]| {
        let (mut painter, mut turn) = (painter(), 0_usize);
        group.bench_function(name, |bencher| {
            let next = || {
                turn += 1;
                scenes[turn % 2].clone()
            };
            let draw = |scene| {
                black_box(painter.update(scene, frame).expect("the size is legal"));
            };
            bencher.iter_batched(next, draw, BatchSize::LargeInput);
        });
    };
    run("200 candles with volume", &volume, [0, 1].map(|by| candles(of(by), 200)));
    run("1,180 sticks with volume", &volume, [0, 1].map(|by| candles(of(by), 1_180)));
    for panes in [30, 180] {
        let frame = Layout::with_arrangement(SIZE, Scale::One, Arrangement::Grid { panes });
        run(&format!("grid of {panes}"), &frame, [0, 1].map(|by| grid(of(by), panes)));
    }
    run("4 lines at scale 2", &large, [0, 1].map(of));
    group.finish();
}

criterion_group!(draw, frames, small_changes, views);
criterion_main!(draw);
