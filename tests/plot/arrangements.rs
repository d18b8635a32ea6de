//! Frames of every scale and arrangement: every pixel is painted, data stays inside its plots, and clickable areas are
//! where things are drawn.

use proptest::prelude::*;
use tickscope::chart::Rect;
use tickscope::chart::{Arrangement, Layout, Scale, Scene, Size};
use tickscope::plot::Painter;

use super::{Picture, SIZE, UNPAINTED, at, busy, line, scene};

const SCALES: [Scale; 3] = [Scale::One, Scale::OneAndHalf, Scale::Two];

/// Converts a rectangle of the layout to screen pixels.
fn screen(rect: Rect, scale: Scale) -> Rect {
    let px = |px: i32| px * scale.halves() as i32 / 2;
    Rect { left: px(rect.left), top: px(rect.top), right: px(rect.right), bottom: px(rect.bottom) }
}

fn grid(scene: &mut Scene, panes: usize) {
    scene.grid = vec![scene.chart.clone(); panes];
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_pixel_is_left_unpainted(
        width in 1_u32..700, height in 1_u32..500, scale in prop::sample::select(SCALES.to_vec()), panes in 0_usize..40,
    ) {
        let mut painter = Painter::new().unwrap();
        let mut scene = busy(SIZE);
        scene.chart.volume = true;
        grid(&mut scene, panes);
        for arrangement in [Arrangement::Single, Arrangement::WithVolume, Arrangement::Grid { panes }] {
            let frame = Layout::with_arrangement(Size { width, height }, scale, arrangement);
            let picture = Picture::on(&mut painter, &scene, &frame);
            prop_assert!(!picture.pixels.contains(&UNPAINTED), "{frame:?}");
            for (_, rect) in &picture.hits.legend {
                prop_assert!(rect.left >= 0 && rect.right <= frame.header.right && rect.bottom <= frame.header.bottom);
            }
        }
    }
}

/// Lines that leave the plot in all directions.
fn wild() -> Vec<tickscope::chart::Point> {
    vec![at(-1e6, 50.0), at(10.0, 1e9), at(30.0, -1e9), at(50.0, f64::MAX), at(70.0, f64::MIN), at(1e6, 90.0)]
}

#[test]
fn lines_stay_inside_their_plots_at_every_scale() {
    for scale in SCALES {
        for arrangement in [Arrangement::Single, Arrangement::Grid { panes: 5 }] {
            let frame = Layout::with_arrangement(Size { width: 901, height: 603 }, scale, arrangement);
            let mut bare = scene();
            grid(&mut bare, frame.panes());
            let mut drawn = bare.clone();
            for chart in drawn.grid.iter_mut().chain([&mut drawn.chart]) {
                chart.lines = vec![line(0, vec![wild()])];
            }
            let mut painter = Painter::new().unwrap();
            let with = Picture::on(&mut painter, &drawn, &frame);
            let changes = with.changes(&Picture::on(&mut painter, &bare, &frame));
            assert!(changes.len() > 500, "{scale:?} {arrangement:?}");
            let plots: Vec<Rect> = (0..frame.panes()).map(|i| screen(frame.pane(i).plot, scale)).collect();
            for (x, y) in changes {
                let inside = plots.iter().any(|plot| plot.contains(f64::from(x), f64::from(y)));
                assert!(inside, "{x} {y} at {scale:?} {arrangement:?}");
            }
        }
    }
}

#[test]
fn a_grid_shows_as_many_charts_as_there_are_and_fit() {
    let frame =
        Layout::with_arrangement(Size { width: 640, height: 400 }, Scale::One, Arrangement::Grid { panes: 300 });
    assert!(frame.panes() < 300);
    let mut painter = Painter::new().unwrap();
    for count in [0, 1, frame.panes(), 300] {
        let mut scene = busy(SIZE);
        grid(&mut scene, count);
        Picture::on(&mut painter, &scene, &frame);
        painter.svg(&scene, &frame).unwrap();
    }
}

#[test]
fn text_is_set_at_the_size_of_the_screen() {
    // Letters of twice the size are not letters with doubled pixels.
    let one = Layout::with_arrangement(Size { width: 640, height: 400 }, Scale::One, Arrangement::Single);
    let two = Layout::with_arrangement(Size { width: 1280, height: 800 }, Scale::Two, Arrangement::Single);
    assert_eq!((one.plot, one.footer), (two.plot, two.footer), "one layout");
    let mut painter = Painter::new().unwrap();
    let (small, large) = (Picture::on(&mut painter, &scene(), &one), Picture::on(&mut painter, &scene(), &two));
    let doubled = |x: i32, y: i32| {
        let pixel = large.pixel(2 * x, 2 * y);
        [(1, 0), (0, 1), (1, 1)].iter().all(|(dx, dy)| large.pixel(2 * x + dx, 2 * y + dy) == pixel)
    };
    let ground = small.pixel(1, 1);
    let inked = |(x, y): &(i32, i32)| small.pixel(*x, *y) != ground;
    let letters: Vec<(i32, i32)> = (0..300).flat_map(|x| (10..34).map(move |y| (x, y))).filter(inked).collect();
    let sharp = letters.iter().filter(|(x, y)| !doubled(*x, *y)).count();
    assert!(letters.len() > 200 && sharp > letters.len() / 3, "{sharp} of {}", letters.len());
}
