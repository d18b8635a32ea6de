//! A consumer in a window, its server, and expectations about its picture.

#![allow(dead_code, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tickscope::chart::palette_color;
use tickscope::chart::{LEAD_SHARE, Rect, Transform, ValueSpan, Viewport};
use tickscope::chart::{Layout, Size, Theme};
use tickscope::model::TimeSpan;

use crate::support::process::{self, Ended, Launch, Running};
use crate::support::pulse::Pulse;
use crate::support::server::{RedisServer, Wire};
use crate::support::wait::wait_until;
use crate::support::xvfb::{Area, Picture, Window, Xvfb};

/// Limit of every wait. It only bounds a failed test: the expected events occur quickly.
pub const LIMIT: Duration = crate::support::wait::GUARD;

/// Default size of the window. Small pictures are captured and compared faster.
pub const SIZE: Size = Size { width: 800, height: 500 };

/// Margin of the display around the window, so that the mouse can leave the window.
const MARGIN_PX: u32 = 60;

pub const CHANNEL: &str = "stock_prices";

/// Ticks in the past. Because they are far from the current time, the newest tick decides the view, and each pixel is
/// known in advance.
pub const T0_S: i64 = 1_700_000_000;

/// Visible span of [`Scope::open`].
pub const SPAN_S: i64 = 60;

/// [`SPAN_S`] in nanoseconds.
pub const SPAN_NS: i64 = SPAN_S * 1_000_000_000;

/// Factor by which one notch of the wheel, or one press of a zoom key, scales the visible span.
pub const ZOOM_STEP: f64 = 0.8;

/// Plot area of a window of [`SIZE`].
pub fn plot() -> Rect {
    Layout::new(SIZE).plot
}

/// Red, green and blue of a colour.
pub type Rgb = (u8, u8, u8);

/// Pixel of the window inside the badge's dot. Its colour shows the connection state.
pub const BADGE_DOT: (usize, usize) = (21, 22);

/// Colours of a theme, apart from those of the symbols.
pub struct Colours {
    pub ground: Rgb,
    pub strip: Rgb,
    pub good: Rgb,
    pub info: Rgb,
    pub warn: Rgb,
    pub bad: Rgb,
    pub cross: Rgb,
}

pub const DARK: Colours = Colours {
    ground: (14, 18, 23),
    strip: (20, 26, 33),
    good: (43, 199, 155),
    info: (86, 180, 233),
    warn: (224, 174, 56),
    bad: (240, 104, 64),
    cross: (124, 139, 154),
};

pub const LIGHT: Colours = Colours {
    ground: (255, 255, 255),
    strip: (244, 246, 248),
    good: (8, 128, 94),
    info: (20, 104, 170),
    warn: (148, 98, 0),
    bad: (196, 62, 20),
    cross: (104, 118, 132),
};

/// Programs and resources of a test. Fields are dropped in this order: the programs before what they run on.
pub struct Scope {
    pub consumer: Running,
    pub window: Window,
    wire: Option<Wire>,
    redis: Option<RedisServer>,
    pub display: Xvfb,
    /// Working directory of the consumer.
    pub dir: TempDir,
    pub size: Size,
}

/// A tick: symbol, seconds after [`T0_S`], price.
pub type Tick = (&'static str, f64, f64);

impl Scope {
    /// Starts a consumer of [`SIZE`] that shows A and B over [`SPAN_S`] on a price axis, and waits until it has
    /// subscribed.
    pub fn open() -> Self {
        Self::open_with(SIZE, &[])
    }

    /// As [`Scope::open`], with another size and additional arguments.
    pub fn open_with(size: Size, more: &[&str]) -> Self {
        let span = format!("{SPAN_S}s");
        let mut args = vec!["--symbols", "A,B", "--window", &span, "--axis", "price"];
        args.extend(more);
        Self::open_plain(size, &args)
    }

    /// Starts a consumer with these arguments in addition to server, size and statistics.
    pub fn open_plain(size: Size, args: &[&str]) -> Self {
        let redis = RedisServer::start();
        let url = format!("redis://127.0.0.1:{}", redis.port);
        let mut scope = Self::open_at(&url, size, args);
        scope.serve(redis);
        scope
    }

    /// Starts a consumer that connects to `url`.
    pub fn open_at(url: &str, size: Size, args: &[&str]) -> Self {
        let wanted = format!("{}x{}", size.width, size.height);
        let mut all = vec!["--size", wanted.as_str()];
        all.extend(args);
        Self::start_at(url, size, &all)
    }

    /// As [`Scope::open_at`], with a display for a window of `size`; the arguments may request another size.
    fn start_at(url: &str, size: Size, args: &[&str]) -> Self {
        let mut display = Xvfb::start(size.width + MARGIN_PX, size.height + MARGIN_PX);
        let dir = tempfile::tempdir().unwrap();
        let consumer = process::consumer()
            .args(["--redis", url, "--stats", "json"])
            .args(args)
            .env("DISPLAY", &display.display())
            .dir(dir.path())
            .start();
        let window = display.find_window("tickscope", LIMIT);
        display.focus(window);
        display.watch(Pulse::of(consumer.id()));
        Self { consumer, window, wire: None, redis: None, display, dir, size }
    }

    /// Takes over the server that the consumer connects to; returns when it has subscribed.
    pub fn serve(&mut self, redis: RedisServer) {
        let mut wire = Wire::connect(redis.port);
        wait_until("the consumer to subscribe", LIMIT, || {
            wire.ask(&format!("PUBSUB NUMSUB {CHANNEL}")).ends_with(":1\r\n")
        });
        (self.wire, self.redis) = (Some(wire), Some(redis));
    }

    /// Kills the server.
    pub fn stop_server(&mut self) {
        (self.wire, self.redis) = (None, None);
    }

    /// Publishes ticks in one message, so that they are shown together.
    pub fn publish(&mut self, ticks: &[Tick]) {
        let objects: Vec<String> = ticks
            .iter()
            .map(|(symbol, at_s, price)| {
                format!(r#"{{"symbol":"{symbol}","price":{price},"timestamp":{:.3}}}"#, T0_S as f64 + at_s)
            })
            .collect();
        let answer = self.wire.as_mut().unwrap().ask(&format!("PUBLISH {CHANNEL} [{}]", objects.join(",")));
        assert_eq!(answer, ":1\r\n", "one subscriber got it");
    }

    /// Publishes one message unchanged.
    pub fn publish_raw(&mut self, message: &str) {
        let answer = self.wire.as_mut().unwrap().ask(&format!("PUBLISH {CHANNEL} {message}"));
        assert_eq!(answer, ":1\r\n", "one subscriber got it");
    }

    /// Starts a consumer with `--size` set to `size` and a window of `screen` pixels, over [`SPAN_S`] on a price axis.
    pub fn open_scaled(size: Size, screen: Size, more: &[&str]) -> Self {
        let span = format!("{SPAN_S}s");
        let wanted = format!("{}x{}", size.width, size.height);
        let mut args = vec!["--symbols", "A,B", "--window", &span, "--axis", "price", "--size", &wanted];
        args.extend(more);
        let redis = RedisServer::start();
        let url = format!("redis://127.0.0.1:{}", redis.port);
        let mut scope = Self::start_at(&url, screen, &args);
        scope.serve(redis);
        scope
    }

    /// Command line of the producer, connected to the same server.
    pub fn producer(&self, args: &[&str]) -> Launch {
        let url = format!("redis://127.0.0.1:{}", self.redis.as_ref().unwrap().port);
        process::producer().args(["--quiet", "--redis", &url]).args(args)
    }

    /// View of the window when its newest tick is `newest_s` after [`T0_S`], with the span `span_ns` and prices from
    /// `lo` to `hi`.
    pub fn view(&self, newest_s: f64, span_ns: i64, (lo, hi): (f64, f64)) -> Transform {
        let time = TimeSpan::ending_at(span_ns, span_ns).following(at_ns(newest_s), LEAD_SHARE);
        Transform { viewport: Viewport { time, value: ValueSpan::fit(lo, hi) }, rect: Layout::new(self.size).plot }
    }

    /// Returns the first picture of the window that `wanted` accepts.
    pub fn when(&self, what: &str, wanted: impl FnMut(&Picture) -> bool) -> Picture {
        self.display.window_when(self.window, what, LIMIT, wanted)
    }

    pub fn key(&self, name: &str) {
        self.display.key(name);
    }

    /// Double-clicks, moves the mouse away, and returns the first picture that `wanted` accepts. A delay between the
    /// presses turns them into two clicks, which cancel each other; the double-click is then repeated.
    pub fn double_click(
        &self,
        place: impl Fn() -> (i32, i32),
        what: &str,
        wanted: impl Fn(&Picture) -> bool,
    ) -> Picture {
        const TRIES: u32 = 5;
        let click = || {
            self.display.double_click(self.window, place());
            self.mouse_away();
            self.display.window_within(self.window, LIMIT / TRIES, &wanted)
        };
        (0..TRIES).find_map(|_| click()).unwrap_or_else(|| self.when(what, &wanted))
    }

    /// Current centre of a symbol's square in the legend. It moves with the width of the badge.
    pub fn swatch(&self, index: usize) -> Option<(i32, i32)> {
        swatch(&self.display.picture_of(self.window), self.size, index)
    }

    /// Moves the mouse to a place without effect: between header and plot, far from the legend.
    pub fn mouse_away(&self) {
        let frame = Layout::new(self.size);
        self.display.move_mouse(self.window, (frame.header.right - 3, frame.header.bottom + 2));
        // The crosshair's tag on the time axis is a box of a unique colour.
        let cross = |pixel: u32| [DARK.cross, LIGHT.cross].contains(&rgb(pixel));
        self.when("no crosshair", |picture| picture.count(area(frame.time_axis), cross) < 20);
    }

    /// Quits with a key and returns the exit status and output.
    pub fn quit(self) -> Ended {
        self.key("q");
        self.consumer.wait(LIMIT).expect_code(0)
    }
}

/// Instant of a tick, ns.
pub fn at_ns(at_s: f64) -> i64 {
    T0_S * 1_000_000_000 + (at_s * 1e9).round() as i64
}

/// Converts a rectangle of the layout to an area of the picture.
pub fn area(rect: Rect) -> Area {
    (rect.left as usize, rect.top as usize, rect.width() as usize, rect.height() as usize)
}

pub fn rgb(pixel: u32) -> Rgb {
    ((pixel >> 16) as u8, (pixel >> 8) as u8, pixel as u8)
}

/// Returns `true` if the badge shows that ticks have arrived: it is green for 2.5 s after the last tick, and amber
/// afterwards. A test that waits for green must keep publishing, or it may take its picture too late.
pub fn badge_has_feed(picture: &Picture) -> bool {
    badge_is(picture, DARK.good) || badge_is(picture, DARK.warn)
}

/// Returns `true` if the badge has this colour.
pub fn badge_is(picture: &Picture, colour: Rgb) -> bool {
    rgb(picture.at(BADGE_DOT.0, BADGE_DOT.1)) == colour
}

/// Colour of a symbol, by its position in `--symbols`.
pub fn slot(index: usize) -> Rgb {
    palette_color(Theme::Dark, index)
}

/// Decodes a PNG file written by the consumer.
pub fn decode(path: &Path) -> Picture {
    let mut reader = png::Decoder::new(BufReader::new(File::open(path).unwrap())).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
    let pixels = bytes.chunks_exact(3).map(|p| u32::from_be_bytes([0, p[0], p[1], p[2]])).collect();
    Picture { width: info.width as usize, height: info.height as usize, pixels }
}

/// Opacity of `colour` over `ground` in a pixel, 0 to 1; 0 if the pixel is not a mixture of the two.
pub fn cover(pixel: u32, colour: Rgb, ground: Rgb) -> f64 {
    /// Maximum deviation of a channel from a mixture of the two: missing ranges and grid lines tint the ground.
    const OFF_MAX: f64 = 30.0;
    let parts = |(r, g, b): Rgb| [f64::from(r), f64::from(g), f64::from(b)];
    let (p, c, g) = (parts(rgb(pixel)), parts(colour), parts(ground));
    let (mut dot, mut square) = (0.0, 0.0);
    for i in 0..3 {
        dot += (p[i] - g[i]) * (c[i] - g[i]);
        square += (c[i] - g[i]).powi(2);
    }
    let share = (dot / square).clamp(0.0, 1.0);
    let off = (0..3).map(|i| (p[i] - g[i] - share * (c[i] - g[i])).abs()).fold(0.0, f64::max);
    if off > OFF_MAX { 0.0 } else { share }
}

/// Pixels of an area that are mostly `colour`.
pub fn inked(picture: &Picture, (left, top, width, height): Area, colour: Rgb, ground: Rgb) -> Vec<(usize, usize)> {
    let rows = top..top + height;
    let pixels = rows.flat_map(|y| (left..left + width).map(move |x| (x, y)));
    pixels.filter(|&(x, y)| cover(picture.at(x, y), colour, ground) >= 0.5).collect()
}

/// Pixels of a symbol's line inside the plot of a dark window.
pub fn line(picture: &Picture, size: Size, index: usize) -> Vec<(usize, usize)> {
    inked(picture, area(Layout::new(size).plot), slot(index), DARK.ground)
}

/// Centre of a symbol's square in the legend, which moves with the width of the badge; `None` while the symbol is
/// hidden and its square is empty.
pub fn swatch(picture: &Picture, size: Size, index: usize) -> Option<(i32, i32)> {
    let header = area(Layout::new(size).header);
    // The badge and the figures may have the same colour, but only a square has this width and height.
    let ink = inked(picture, header, slot(index), DARK.ground);
    let solid = |x: usize, y: usize| (0..6).all(|i| (0..6).all(|j| ink.contains(&(x + i, y + j))));
    let found = ink.iter().copied().find(|&(x, y)| x > BADGE_DOT.0 + 8 && solid(x, y));
    found.map(|(x, y)| (x as i32 + 5, y as i32 + 5))
}

/// Asserts that a symbol's line is within a pixel of `row` in the given columns, and absent elsewhere.
#[track_caller]
pub fn assert_line(
    picture: &Picture,
    size: Size,
    index: usize,
    columns: std::ops::RangeInclusive<usize>,
    row: impl Fn(f64) -> f64,
) {
    let ink = line(picture, size, index);
    for x in columns.clone() {
        let wanted = row(x as f64 + 0.5);
        let rows: Vec<usize> = ink.iter().filter(|(column, _)| *column == x).map(|(_, y)| *y).collect();
        let near = |y: &usize| (*y as f64 + 0.5 - wanted).abs() <= 1.5;
        assert!(!rows.is_empty() && rows.iter().all(near), "column {x} is inked in rows {rows:?}, not at {wanted:.2}");
    }
    let outside = ink.iter().find(|(x, _)| *x + 2 < *columns.start() || *x > *columns.end() + 2);
    assert_eq!(outside, None, "the line reaches beyond {columns:?}");
}
