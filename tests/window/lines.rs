//! Lines are drawn at their computed places, in the colours of their symbols.

use tickscope::chart::{Layout, Size};

use super::fixture::{DARK, LIGHT, SIZE, SPAN_NS, Scope, area, assert_line, at_ns, badge_is, inked, line, rgb, slot};

#[test]
fn lines_lie_where_the_transform_says_and_nothing_leaves_the_plot() {
    let mut scope = Scope::open();
    scope.mouse_away();
    let waiting = scope.when("the state before the first tick", |picture| badge_is(picture, DARK.info));
    // The notice in the middle has the colour of A.
    assert_eq!(line(&waiting, SIZE, 1), [], "nothing is drawn yet");

    // A climbs from 100 to 110 and falls to 104; B stays at 95.
    scope.publish(&[("A", 0.0, 100.0), ("B", 0.0, 95.0), ("A", 20.0, 110.0), ("A", 40.0, 104.0), ("B", 40.0, 95.0)]);
    let view = scope.view(40.0, SPAN_NS, (95.0, 110.0));
    let column = |at_s: f64| view.x(at_ns(at_s)).round() as usize;
    let (first, top, last) = (column(0.0), column(20.0), column(40.0));
    let picture = scope.when("both lines", |picture| line(picture, SIZE, 1).len() >= last - first - 2);

    let along = |x: f64| {
        let at_s = (view.time_at(x) - at_ns(0.0)) as f64 / 1e9;
        view.y(if at_s < 20.0 { 100.0 + at_s / 2.0 } else { 110.0 - (at_s - 20.0) * 0.3 })
    };
    assert_line(&picture, SIZE, 0, first + 1..=last - 2, along);
    assert_line(&picture, SIZE, 1, first + 1..=last - 2, |_| view.y(95.0));
    let ink = line(&picture, SIZE, 0);
    let highest = ink.iter().min_by_key(|(_, y)| *y).unwrap();
    assert!(highest.0.abs_diff(top) <= 2 && (highest.1 as f64 - view.y(110.0)).abs() <= 2.0, "{highest:?} {top}");

    // Header and value axis contain a symbol's colour too; nothing else around the plot does.
    let frame = Layout::new(SIZE);
    let left_margin = (0, frame.header.bottom as usize, frame.plot.left as usize, frame.plot.height() as usize);
    let gap = (0, frame.header.bottom as usize, SIZE.width as usize, (frame.plot.top - frame.header.bottom) as usize);
    for (name, around) in [("left", left_margin), ("above", gap), ("below", area(frame.time_axis))] {
        for symbol in 0..2 {
            assert_eq!(inked(&picture, around, slot(symbol), DARK.ground), [], "{name} of the plot");
        }
    }
    let ended = scope.quit();
    let stats = ended.json();
    assert_eq!((&stats["received"], &stats["symbols"]["A"]["count"]), (&5.into(), &3.into()), "{ended:?}");
}

#[test]
fn a_light_window_has_the_palette_for_light_grounds() {
    let mut scope = Scope::open_with(SIZE, &["--theme", "light"]);
    scope.mouse_away();
    scope.publish(&[("A", 0.0, 100.0), ("A", 40.0, 100.0), ("B", 0.0, 90.0), ("B", 40.0, 90.0)]);
    let view = scope.view(40.0, SPAN_NS, (90.0, 100.0));
    let middle = view.x(at_ns(20.3)) as usize;
    let rows = |index: usize, picture: &crate::support::xvfb::Picture| {
        let colour = tickscope::chart::palette_color(tickscope::chart::Theme::Light, index);
        let plot = area(Layout::new(SIZE).plot);
        inked(picture, (middle, plot.1, 1, plot.3), colour, LIGHT.ground)
    };
    // The preceding notice has the colour of a line, and may still be between the lines in an early picture.
    let picture = scope.when("both lines, and nothing else of their colours", |picture| {
        [(0, 100.0), (1, 90.0)].into_iter().all(|(index, price)| {
            let ink = rows(index, picture);
            let is_near = |(_, y): &(usize, usize)| (*y as f64 + 0.5 - view.y(price)).abs() <= 1.5;
            !ink.is_empty() && ink.iter().all(is_near)
        })
    });
    assert_eq!(rgb(picture.at(3, 300)), LIGHT.ground);
    assert_eq!(rgb(picture.at(3, 3)), LIGHT.strip);
    scope.quit();
}

#[test]
fn a_line_comes_by_the_real_producer_and_ends_at_the_live_edge() {
    let scope = Scope::open_with(Size { width: 640, height: 360 }, &[]);
    scope.mouse_away();
    let mut producer = scope.producer(&["--symbols", "A,B", "--interval", "100ms"]).start();
    // The live edge does not move, so the column of the newest tick does not depend on when the picture is taken.
    let view = scope.view(0.0, SPAN_NS, (0.0, 1.0));
    let edge = view.x(at_ns(0.0)) as usize;
    scope.when("lines of some seconds that end at the live edge", |picture| {
        badge_is(picture, DARK.good)
            && (0..2).all(|symbol| {
                let ink = line(picture, scope.size, symbol);
                let (first, last) = (ink.iter().map(|(x, _)| *x).min(), ink.iter().map(|(x, _)| *x).max());
                // Ten ticks and ten columns per second; a busy machine may delay a few ticks.
                first.is_some_and(|x| x + 40 < edge) && last.is_some_and(|x| (edge - 60..=edge + 2).contains(&x))
            })
    });
    assert!(producer.is_running());
    producer.stop("TERM", super::fixture::LIMIT).expect_code(0);
    let stats = scope.quit().json();
    assert_eq!(stats["lost"], 0);
    assert!(stats["received"].as_u64().unwrap() > 20, "{stats}");
}
