//! A consumer in a terminal, its server, and expectations about its screen.

use tickscope::chart::{LEAD_SHARE, Rect, Transform, ValueSpan, Viewport};
use tickscope::model::TimeSpan;
use tickscope::terminal::{CellLayout, DOT_COLUMNS, DOT_ROWS};

use crate::support::server::{LIMIT, RedisServer, Wire};
use crate::support::tmux::{Shot, Terminal};
use crate::support::wait::wait_until;

pub const CHANNEL: &str = "stock_prices";

/// Ticks in the past: the newest tick decides the view, so that each dot is known in advance.
pub const T0_S: i64 = 1_700_000_000;

/// Visible span of [`Scope::open`].
pub const SPAN_S: i64 = 60;

/// First character with braille dots.
const BRAILLE: char = '\u{2800}';

/// A tick: symbol, seconds after [`T0_S`], price.
pub type Tick<'a> = (&'a str, f64, f64);

/// Fields are dropped in this order: the program before what it runs on.
pub struct Scope {
    pub terminal: Terminal,
    wire: Option<Wire>,
    redis: Option<RedisServer>,
    pub size: (u16, u16),
    pub symbols: usize,
}

impl Scope {
    /// Starts a consumer that shows A and B over [`SPAN_S`] on a price axis, and waits until it has subscribed.
    pub fn open(columns: u16, rows: u16) -> Self {
        Self::open_with((columns, rows), "--symbols A,B --window 60s --axis price", 2)
    }

    /// Starts a consumer with these arguments in addition to server and view.
    pub fn open_with(size: (u16, u16), args: &str, symbols: usize) -> Self {
        let redis = RedisServer::start();
        let terminal = Terminal::start(size.0, size.1);
        let mut scope = Self { terminal, wire: None, redis: None, size, symbols };
        scope.launch(redis.port, args);
        scope.serve(redis);
        scope
    }

    /// Starts a consumer that connects to `port`.
    pub fn launch(&self, port: u16, args: &str) {
        let program = env!("CARGO_BIN_EXE_consumer");
        let line = format!("clear; {program} --view terminal --redis redis://127.0.0.1:{port} {args}; echo status $?");
        self.terminal.run(&line);
        self.terminal.when("the view", |shot| shot.has("? help") || shot.has("too small"));
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
    pub fn publish(&mut self, ticks: &[Tick<'_>]) {
        let objects: Vec<String> = ticks
            .iter()
            .map(|(symbol, at_s, price)| {
                format!(r#"{{"symbol":"{symbol}","price":{price},"timestamp":{:.3}}}"#, T0_S as f64 + at_s)
            })
            .collect();
        self.publish_text(&format!("[{}]", objects.join(",")));
    }

    /// Publishes one message, which must not contain blanks.
    pub fn publish_text(&mut self, text: &str) {
        let answer = self.wire.as_mut().unwrap().ask(&format!("PUBLISH {CHANNEL} {text}"));
        assert_eq!(answer, ":1\r\n", "one subscriber got it");
    }

    pub fn layout(&self) -> CellLayout {
        CellLayout::new(self.size.0, self.size.1, self.symbols).unwrap()
    }

    /// View when its newest tick is `newest_s` after [`T0_S`], with prices from `lo` to `hi`, in dots.
    pub fn view(&self, newest_s: f64, span_ns: i64, (lo, hi): (f64, f64)) -> Transform {
        let (width, height) = self.layout().dots();
        let time = TimeSpan::ending_at(span_ns, span_ns).following(at_ns(newest_s), LEAD_SHARE).aligned(width);
        let rect = Rect { left: 0, top: 0, right: width as i32, bottom: height as i32 };
        Transform { viewport: Viewport { time, value: ValueSpan::fit(lo, hi) }, rect }
    }

    /// Cell of the plot that contains a dot.
    pub fn cell(&self, x: f64, y: f64) -> (u16, u16) {
        let (zero_x, zero_y) = self.layout().place(0, 0);
        let (left, top) = (0.5 - zero_x / f64::from(DOT_COLUMNS), 0.5 - zero_y / f64::from(DOT_ROWS));
        let at = |from: f64, place: f64, dots: u32| (from + (place / f64::from(dots)).floor()) as u16;
        (at(left, x, DOT_COLUMNS), at(top, y, DOT_ROWS))
    }

    /// Returns `true` if a flat line is at `price` between two instants: each cell in between has dots in exactly that
    /// row of dots, and the cell after the end has none there.
    pub fn has_line(&self, shot: &Shot, view: &Transform, price: f64, (from_s, to_s): (f64, f64)) -> bool {
        let y = view.y(price).floor();
        let bit_pair = [0x09, 0x12, 0x24, 0xc0][y as usize % 4];
        let (left, row) = self.cell(view.x(at_ns(from_s)), y);
        let (right, _) = self.cell(view.x(at_ns(to_s)), y);
        let dots = |column: u16| (shot.at(column, row) as u32).wrapping_sub(BRAILLE as u32);
        let is_inked = |column: u16| dots(column) < 0x100 && dots(column) & bit_pair == bit_pair;
        let is_empty = |column: u16| dots(column) >= 0x100 || dots(column) & bit_pair == 0;
        // The cells at both ends may be half full.
        (left + 1..right).all(is_inked) && is_empty(right + 1)
    }

    /// Returns `true` if any cell of the plot has a dot.
    pub fn has_dots(&self, shot: &Shot) -> bool {
        let (left, top) = self.cell(0.0, 0.0);
        let (columns, rows) = self.layout().cells();
        let is_braille = |c: char| (c as u32).wrapping_sub(BRAILLE as u32) < 0x100;
        (top..top + rows).any(|row| (left..left + columns).any(|column| is_braille(shot.at(column, row))))
    }

    /// Quits with a key; the terminal must be restored.
    pub fn quit(self) {
        self.terminal.key("q");
        self.terminal.wait_until_given_back();
        self.terminal.when("status 0", |shot| shot.has("status 0"));
    }
}

/// Instant of a tick, ns.
pub fn at_ns(at_s: f64) -> i64 {
    T0_S * 1_000_000_000 + (at_s * 1e9).round() as i64
}
