//! What a frame costs: from the book to pixels, without presenting them.

#![expect(missing_docs, reason = "criterion's macros write public functions")]
#![allow(unreachable_pub, reason = "the modules of a benchmark are its own")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tickscope::plot::{Painter, Scene};

mod drawing {
    pub mod scenes;
}

use drawing::scenes::{SIZE, Shape, TICKS, book, full_span, hover, moved, scene};

/// Painter and pixels, as the window keeps them.
struct Screen {
    painter: Painter,
    pixels: Vec<u32>,
}

impl Screen {
    fn new() -> Self {
        let painter = Painter::new().expect("the built-in typefaces are sound");
        Self { painter, pixels: vec![0; SIZE.width as usize * SIZE.height as usize] }
    }

    fn paint(&mut self, scene: &Scene) {
        let hits = self.painter.paint(scene, &mut self.pixels, SIZE);
        black_box(hits.expect("the size is legal"));
        black_box(&self.pixels);
    }
}

fn frames(criterion: &mut Criterion) {
    let books = [
        ("1 line", book(1, TICKS, Shape::Walk)),
        ("4 lines", book(4, TICKS, Shape::Walk)),
        ("1 noisy line", book(1, TICKS, Shape::Noise)),
        ("4 noisy lines", book(4, TICKS, Shape::Noise)),
        ("4 zigzags", book(4, TICKS, Shape::Zigzag)),
        ("few points", book(3, 180, Shape::Walk)),
        ("200 symbols", book(200, TICKS, Shape::Walk)),
    ];
    for (name, book) in &books {
        let ticks = book.counters().kept;
        let mut group = criterion.benchmark_group(format!("{name}, {ticks} ticks"));
        group.sample_size(if name.starts_with("200") { 20 } else { 60 });
        // The view moves by a column each frame, so that nothing of the chart can be kept.
        let scenes = [scene(book, full_span()), scene(book, moved(full_span(), 1))];
        let (mut screen, mut turn) = (Screen::new(), 0);
        group.bench_function("scene and plot", |bencher| {
            bencher.iter(|| {
                turn += 1;
                screen.paint(&scene(book, moved(full_span(), turn % 2)));
            });
        });
        group.bench_function("plot", |bencher| {
            bencher.iter(|| {
                turn += 1;
                screen.paint(&scenes[turn as usize % 2]);
            });
        });
        group.bench_function("scene", |bencher| bencher.iter(|| black_box(scene(book, full_span()))));
        group.finish();
    }
}

/// Frames in which little changes.
fn small_changes(criterion: &mut Criterion) {
    let book = book(4, TICKS, Shape::Noise);
    let mut group = criterion.benchmark_group("4 noisy lines, little changes");
    let mut screen = Screen::new();
    let plain = scene(&book, full_span());
    let mut changed = [plain.clone(), plain.clone()];
    (0..2).for_each(|i| hover(&mut changed[i], 400 + 3 * i as i32));
    let mut turn = 0;
    let mut run = |name: &str, scenes: &[Scene; 2]| {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                turn += 1;
                screen.paint(&scenes[turn % 2]);
            });
        });
    };
    run("the mouse moves", &changed);
    let mut changed = [plain.clone(), plain.clone()];
    changed[1].header.legend[0].last = Some("101.11".to_owned());
    changed[1].chart.tags[0].text = "101.11".to_owned();
    run("a last price", &changed);
    let mut changed = [plain.clone(), plain.clone()];
    changed[1].footer.figures[0].1 = "999,999 ticks/s".to_owned();
    run("a figure of the footer", &changed);
    run("nothing", &[plain.clone(), plain]);
    group.finish();
}

criterion_group!(draw, frames, small_changes);
criterion_main!(draw);
