//! The loop on the main thread: poll, collect, draw, present; and nothing at all while nothing changes.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::debug;

use crate::consumer::controls::{Controls, Request, Seen};
use crate::consumer::picture::{Picture, Seeing};
use crate::consumer::shared::Shared;
use crate::consumer::{Config, ConsumerError, snapshot};
use crate::model::Timestamp;
use crate::plot::{AxisKind, Badge, Frame, Hits, Painter, Size, Tone};
use crate::view::TimeSpan;
use crate::window::{Input, Window};

/// How often input is polled and a frame may be drawn: the rhythm of common displays.
const FRAME: Duration = Duration::from_micros(16_667);

/// An unchanged picture is presented this often all the same, because the window system may have forgotten it, and
/// because figures that count seconds must go on.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long a message above the footer stays.
const TOAST: Duration = Duration::from_secs(4);

/// The open window and what it shows.
pub(super) struct Screen {
    window: Window,
    painter: Painter,
    pixels: Vec<u32>,
    size: Size,
    hits: Hits,
    seeing: Seeing,
    /// What the last frame was drawn from, and when.
    drawn: Option<(u64, Instant)>,
    /// The user did something since.
    touched: bool,
}

impl Screen {
    pub(super) fn open(config: &Config) -> Result<Self, ConsumerError> {
        let window = Window::open(&config.title, config.size.width, config.size.height)?;
        let now = Timestamp::now().as_nanos();
        let seeing = Seeing {
            span: TimeSpan { start: now, end: now + 1 },
            edge_ns: None,
            newest_ns: None,
            stale: false,
            oldest_ns: None,
            axis: AxisKind::Price,
        };
        Ok(Self {
            window,
            painter: Painter::new()?,
            pixels: Vec::new(),
            size: config.size,
            hits: Hits::default(),
            seeing,
            drawn: None,
            touched: true,
        })
    }

    /// Runs until the user or `stop` ends it. Returns the size that the window had.
    pub(super) fn run(
        mut self,
        shared: &Shared,
        controls: &mut Controls,
        picture: &mut Picture,
        interval: Duration,
        stop: &watch::Receiver<bool>,
        started: Instant,
    ) -> Result<Size, ConsumerError> {
        let mut inputs = Vec::new();
        while !*stop.borrow() {
            let woke = Instant::now();
            self.window.poll(|input| inputs.push(input));
            if self.is_due(shared, interval, woke) {
                let first = self.drawn.is_none();
                self.draw(shared, controls, picture, &mut inputs)?;
                if first {
                    debug!("first frame after {} ms", started.elapsed().as_millis());
                }
            }
            for input in inputs.drain(..) {
                if self.handle(input, controls, picture, woke) {
                    return Ok(self.size);
                }
            }
            std::thread::sleep(FRAME.saturating_sub(woke.elapsed()));
        }
        Ok(self.size)
    }

    /// Whether there is something new to show.
    fn is_due(&self, shared: &Shared, interval: Duration, now: Instant) -> bool {
        let Some((drawn_revision, drawn)) = self.drawn.filter(|_| !self.touched) else { return true };
        let age = now.duration_since(drawn);
        if age >= HEARTBEAT || shared.arrivals().stale_for(now).is_some() != self.seeing.stale {
            return true;
        }
        // The live edge moves on with the clock, but a picture in which only that has moved by some pixels is not worth
        // a redraw of its own: it moves in the rhythm of the data, and with the heartbeat.
        shared.revision() != drawn_revision && age >= interval
    }

    fn draw(
        &mut self,
        shared: &Shared,
        controls: &mut Controls,
        picture: &mut Picture,
        inputs: &mut Vec<Input>,
    ) -> Result<(), ConsumerError> {
        let begun = Instant::now();
        let revision = shared.revision();
        let unseen_ns = shared.take_unseen();
        let (scene, seeing) = picture.scene(shared, controls, &Frame::new(self.size), begun);
        self.pixels.resize(self.size.width as usize * self.size.height as usize, 0);
        self.hits = self.painter.paint(&scene, &mut self.pixels, self.size)?;
        self.seeing = seeing;
        let spent = begun.elapsed();
        self.window.present(&self.pixels, self.size.width, self.size.height, |input| inputs.push(input))?;
        picture.meters.frame(spent, Instant::now(), Timestamp::now().as_nanos(), &unseen_ns);
        self.drawn = Some((revision, begun));
        self.touched = false;
        Ok(())
    }

    /// Returns whether the user wants to leave.
    fn handle(&mut self, input: Input, controls: &mut Controls, picture: &mut Picture, now: Instant) -> bool {
        self.touched = true;
        if let Input::Resized { width, height } = input {
            self.size = Size { width, height };
            return false;
        }
        let frame = Frame::new(self.size);
        let seen = Seen {
            frame: &frame,
            hits: &self.hits,
            span: self.seeing.span,
            edge_ns: self.seeing.edge_ns,
            newest_ns: self.seeing.newest_ns,
            oldest_ns: self.seeing.oldest_ns,
            axis: self.seeing.axis,
        };
        let request = controls.apply(input, &seen);
        // Several inputs may come between two frames; each begins where the last one ended.
        self.seeing.span = controls.span();
        match request {
            None => false,
            Some(Request::Quit) => true,
            Some(Request::Screenshot) => {
                picture.toast = Some((self.save_screenshot(), now + TOAST));
                false
            }
        }
    }

    fn save_screenshot(&self) -> Badge {
        let name = jiff::Zoned::now().strftime("tickscope-%Y%m%d-%H%M%S-%3f.png").to_string();
        match snapshot::write_png(&PathBuf::from(&name), &self.pixels, self.size) {
            Ok(()) => Badge { tone: Tone::Good, text: format!("saved {name}") },
            Err(error) => Badge { tone: Tone::Bad, text: error.to_string() },
        }
    }
}
