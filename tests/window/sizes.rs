//! Windows of other sizes, and resized windows.

use tickscope::chart::palette_color;
use tickscope::chart::{Layout, Size, Theme};

use super::fixture::{Colours, DARK, LIGHT, Rgb, SIZE, SPAN_S, Scope, area, at_ns, inked, rgb};
use crate::support::xvfb::Picture;

const SPAN_NS: i64 = SPAN_S * 1_000_000_000;

/// Returns `true` if the window shows two flat lines at their computed rows for its current size.
fn shows(scope: &Scope, picture: &Picture, theme: Theme, colours: &Colours) -> bool {
    let size = scope.size;
    if (picture.width, picture.height) != (size.width as usize, size.height as usize) {
        return false;
    }
    let frame = Layout::new(size);
    let view = scope.view(40.0, SPAN_NS, (90.0, 110.0));
    let x = view.x(at_ns(20.3)) as usize;
    let plot = area(frame.plot);
    let at_price = |index: usize, price: f64| {
        let colour: Rgb = palette_color(theme, index);
        let rows = inked(picture, (x, plot.1, 1, plot.3), colour, colours.ground);
        !rows.is_empty() && rows.iter().all(|(_, y)| (*y as f64 + 0.5 - view.y(price)).abs() <= 1.5)
    };
    let strip = |y: i32| rgb(picture.at(2, y as usize)) == colours.strip;
    let corners = strip(frame.header.top) && strip(frame.header.bottom - 1) && strip(frame.footer.bottom - 1);
    corners && at_price(0, 110.0) && at_price(1, 90.0)
}

fn resized(scope: &mut Scope, width: u32, height: u32) {
    scope.display.resize(scope.window, width, height);
    scope.size = Size { width, height };
}

#[test]
fn a_resized_window_is_drawn_anew_in_both_themes() {
    let mut scope = Scope::open_with(Size { width: 1280, height: 720 }, &[]);
    scope.publish(&[("A", 0.0, 110.0), ("B", 0.0, 90.0), ("A", 40.0, 110.0), ("B", 40.0, 90.0)]);
    scope.when("the first size", |picture| shows(&scope, picture, Theme::Dark, &DARK));
    for (width, height) in [(800, 500), (500, 320)] {
        resized(&mut scope, width, height);
        scope.when("the dark chart", |picture| shows(&scope, picture, Theme::Dark, &DARK));
        scope.key("t");
        scope.when("the light chart", |picture| shows(&scope, picture, Theme::Light, &LIGHT));
        scope.key("t");
    }
    resized(&mut scope, 1280, 720);
    scope.when("the first size again", |picture| shows(&scope, picture, Theme::Dark, &DARK));
    scope.quit();
}

#[test]
fn a_tiny_window_is_survived() {
    let mut scope = Scope::open();
    scope.publish(&[("A", 0.0, 110.0), ("B", 0.0, 90.0), ("A", 40.0, 110.0), ("B", 40.0, 90.0)]);
    scope.when("the first size", |picture| shows(&scope, picture, Theme::Dark, &DARK));
    for (round, (width, height)) in [(60, 40), (9, 300), (300, 9), (1, 1)].into_iter().enumerate() {
        resized(&mut scope, width, height);
        // Keys and ticks arrive at this size too. Their effect is visible once the window is large enough again.
        scope.key(["question", "t", "question", "t"][round]);
        scope.display.move_mouse(scope.window, (0, 0));
        scope.publish(&[("A", 40.0, 110.0)]);
    }
    resized(&mut scope, SIZE.width, SIZE.height);
    scope.mouse_away();
    scope.when("the first size again", |picture| shows(&scope, picture, Theme::Dark, &DARK));
    let stats = scope.quit().json();
    assert_eq!(stats["received"], 8);
}
