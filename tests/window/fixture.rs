//! A consumer in a window, a server that it listens to, and what both must look like.

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

/// Nothing that these tests wait for takes long, so this only bounds a failure.
pub const LIMIT: Duration = crate::support::wait::GUARD;

/// Of the window, unless a test wants another: small pictures are taken and compared faster.
pub const SIZE: Size = Size { width: 800, height: 500 };

/// Room that the display has beyond the window, so that the mouse can leave it.
const MARGIN_PX: u32 = 60;

pub const CHANNEL: &str = "stock_prices";

/// Ticks of long ago: their clock does not agree with ours, so the view stands where the newest tick put it, and each
/// pixel is known beforehand.
pub const T0_S: i64 = 1_700_000_000;

/// The visible span of [`Scope::open`].
pub const SPAN_S: i64 = 60;

/// The same, ns.
pub const SPAN_NS: i64 = SPAN_S * 1_000_000_000;

/// The step of the wheel and of keys that zoom: one shows this much less time.
pub const ZOOM_STEP: f64 = 0.8;

/// Plot area of a window of [`SIZE`].
pub fn plot() -> Rect {
    Layout::new(SIZE).plot
}

/// A colour by its parts.
pub type Rgb = (u8, u8, u8);

/// Pixel of the window inside the badge's dot. Its colour shows the connection state.
pub const BADGE_DOT: (usize, usize) = (21, 22);

/// Colours of the two themes that no symbol has.
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

/// Everything that a test holds in its hands. Fields end in this order: the programs before what they run on.
pub struct Scope {
    pub consumer: Running,
    pub window: Window,
    wire: Option<Wire>,
    redis: Option<RedisServer>,
    pub display: Xvfb,
    /// The consumer's working directory.
    pub dir: TempDir,
    pub size: Size,
}

/// A tick: symbol, seconds after [`T0_S`], price.
pub type Tick = (&'static str, f64, f64);

impl Scope {
    /// A consumer of [`SIZE`] that shows A and B over [`SPAN_S`] on a price axis, and has subscribed.
    pub fn open() -> Self {
        Self::open_with(SIZE, &[])
    }

    /// The same of another size, with more arguments.
    pub fn open_with(size: Size, more: &[&str]) -> Self {
        let span = format!("{SPAN_S}s");
        let mut args = vec!["--symbols", "A,B", "--window", &span, "--axis", "price"];
        args.extend(more);
        Self::open_plain(size, &args)
    }

    /// A consumer with these arguments beyond server, size and statistics.
    pub fn open_plain(size: Size, args: &[&str]) -> Self {
        let redis = RedisServer::start();
        let url = format!("redis://127.0.0.1:{}", redis.port);
        let mut scope = Self::open_at(&url, size, args);
        scope.serve(redis);
        scope
    }

    /// A consumer that looks for a server at `url`.
    pub fn open_at(url: &str, size: Size, args: &[&str]) -> Self {
        let wanted = format!("{}x{}", size.width, size.height);
        let mut all = vec!["--size", wanted.as_str()];
        all.extend(args);
        Self::start_at(url, size, &all)
    }

    /// The same with a display for a window of `size`, whatever the arguments ask for.
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

    /// Takes over the server that the consumer looks for; returns when it has subscribed.
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

    /// Publishes ticks in one message, so that they are shown at once or not at all.
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

    /// Publishes one message as it is.
    pub fn publish_raw(&mut self, message: &str) {
        let answer = self.wire.as_mut().unwrap().ask(&format!("PUBLISH {CHANNEL} {message}"));
        assert_eq!(answer, ":1\r\n", "one subscriber got it");
    }

    /// A consumer that is asked for `size` and has `screen` pixels, over [`SPAN_S`] on a price axis.
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

    /// The producer, publishing to the same server.
    pub fn producer(&self, args: &[&str]) -> Launch {
        let url = format!("redis://127.0.0.1:{}", self.redis.as_ref().unwrap().port);
        process::producer().args(["--quiet", "--redis", &url]).args(args)
    }

    /// View of the window when its newest tick is `newest_s` after [`T0_S`], with the span `span_ns` and prices from `lo`
    /// to `hi`.
    pub fn view(&self, newest_s: f64, span_ns: i64, (lo, hi): (f64, f64)) -> Transform {
        let time = TimeSpan::ending_at(span_ns, span_ns).following(at_ns(newest_s), LEAD_SHARE);
        Transform { viewport: Viewport { time, value: ValueSpan::fit(lo, hi) }, rect: Layout::new(self.size).plot }
    }

    /// The first picture of the window that `wanted` accepts.
    pub fn when(&self, what: &str, wanted: impl FnMut(&Picture) -> bool) -> Picture {
        self.display.window_when(self.window, what, LIMIT, wanted)
    }

    pub fn key(&self, name: &str) {
        self.display.key(name);
    }

    /// A double-click at a place, the mouse taken away, and the first picture that `wanted` accepts. Where a program is
    /// held up between its presses they are two clicks, which leave everything as it was; then it is done again.
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

    /// The middle of a symbol's square in the legend as it is now: it moves as the words of the badge grow.
    pub fn swatch(&self, index: usize) -> Option<(i32, i32)> {
        swatch(&self.display.picture_of(self.window), self.size, index)
    }

    /// Puts the mouse where it hides nothing and means nothing: between header and plot, far from the legend.
    pub fn mouse_away(&self) {
        let frame = Layout::new(self.size);
        self.display.move_mouse(self.window, (frame.header.right - 3, frame.header.bottom + 2));
        // The crosshair's tag on the time axis is a box of one colour, which nothing else there has.
        let cross = |pixel: u32| [DARK.cross, LIGHT.cross].contains(&rgb(pixel));
        self.when("no crosshair", |picture| picture.count(area(frame.time_axis), cross) < 20);
    }

    /// Ends it by a key and returns what it said.
    pub fn quit(self) -> Ended {
        self.key("q");
        self.consumer.wait(LIMIT).expect_code(0)
    }
}

/// Instant of a tick, ns.
pub fn at_ns(at_s: f64) -> i64 {
    T0_S * 1_000_000_000 + (at_s * 1e9).round() as i64
}

/// A rectangle of the frame as an area of the picture.
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

/// Colour of a symbol, by its place in `--symbols`.
pub fn slot(index: usize) -> Rgb {
    palette_color(Theme::Dark, index)
}

/// A PNG file of ours.
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
    /// Steps of a channel by which a mixture of the two may be missed: gap bands and grid lines tint the ground.
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

/// Pixels of an area that show mostly `colour`.
pub fn inked(picture: &Picture, (left, top, width, height): Area, colour: Rgb, ground: Rgb) -> Vec<(usize, usize)> {
    let rows = top..top + height;
    let pixels = rows.flat_map(|y| (left..left + width).map(move |x| (x, y)));
    pixels.filter(|&(x, y)| cover(picture.at(x, y), colour, ground) >= 0.5).collect()
}

/// The same inside the plot of a dark window.
pub fn line(picture: &Picture, size: Size, index: usize) -> Vec<(usize, usize)> {
    inked(picture, area(Layout::new(size).plot), slot(index), DARK.ground)
}

/// The middle of a symbol's square in the legend, which moves as the words of the badge change; `None` while the symbol
/// is switched off and its square is empty.
pub fn swatch(picture: &Picture, size: Size, index: usize) -> Option<(i32, i32)> {
    let header = area(Layout::new(size).header);
    // The badge and figures may have the same colour; a square is the only thing this wide and high.
    let ink = inked(picture, header, slot(index), DARK.ground);
    let solid = |x: usize, y: usize| (0..6).all(|i| (0..6).all(|j| ink.contains(&(x + i, y + j))));
    let found = ink.iter().copied().find(|&(x, y)| x > BADGE_DOT.0 + 8 && solid(x, y));
    found.map(|(x, y)| (x as i32 + 5, y as i32 + 5))
}

/// Asserts that a symbol's line runs where `row` says, within a pixel, from column to column, and nowhere else.
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
