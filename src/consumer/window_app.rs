//! The loop on the main thread: poll, collect, draw, present; and next to nothing while nothing changes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::debug;

use crate::chart::Input;
use crate::chart::{Arrangement, Badge, Layout, Scale, Size, Tone};
use crate::consumer::export::Background;
use crate::consumer::interaction::{Interaction, Request, Seeing, Seen};
use crate::consumer::query::Surface;
use crate::consumer::scene_builder::{SECOND, SceneBuilder, TOAST, View};
use crate::consumer::shared::Shared;
use crate::consumer::{Config, ConsumerError, snapshot};
use crate::model::Timestamp;
use crate::plot::Painter;
use crate::window::{self, Window};

/// The rhythm of common displays. Input is polled in it while the user is there, and a tick takes no longer from its
/// arrival to the screen.
const FRAME: Duration = Duration::from_micros(16_667);

/// The user is not there when nothing has been done for this long.
const RESTING_AFTER: Duration = Duration::from_secs(3);

/// How often input is polled then. A poll asks the window system where the mouse is, and 60 of those a second cost more
/// than all else on an idle chart. Keys wait in a queue, and a click takes longer than this.
const RESTING_POLL: Duration = Duration::from_millis(60);

/// How often while the mouse is elsewhere: nothing can be clicked, and what moves into the window stays for longer.
const AWAY_POLL: Duration = Duration::from_millis(100);

/// An unchanged picture is presented this often all the same, because the window system may have forgotten it. Longer
/// than a second, so that a feed of one tick a second is drawn once a second and not twice.
const HEARTBEAT: Duration = Duration::from_millis(1_250);

/// The open window and what it shows.
pub(super) struct Screen {
    window: Window,
    painter: Painter,
    size: Size,
    scale: Scale,
    /// How the last picture was laid out.
    frame: Layout,
    seeing: Seeing,
    /// What the last frame was drawn from, and when.
    drawn: Option<(u64, Instant)>,
    /// When the window last got pixels.
    presented: Instant,
    /// What a frame costs to draw and present, smoothed.
    cost: Duration,
    /// The user did something since.
    touched: bool,
    /// When the user last did something.
    busy: Instant,
    next_poll: Instant,
    shared: Arc<Shared>,
    exports: Background,
}

impl Screen {
    pub(super) fn open(config: &Config, shared: &Arc<Shared>) -> Result<Self, ConsumerError> {
        let scale = config.scale_on(window::display_factor);
        let size = config.screen_size(scale);
        let window = Window::open(&config.title, size.width, size.height, scale.factor())?;
        let seeing = Seeing::nothing(Timestamp::now().as_nanos());
        let now = Instant::now();
        Ok(Self {
            window,
            painter: Painter::new()?,
            size,
            scale,
            frame: Layout::with_arrangement(size, scale, Arrangement::Single),
            seeing,
            drawn: None,
            presented: now,
            cost: Duration::ZERO,
            touched: true,
            busy: now,
            next_poll: now,
            shared: Arc::clone(shared),
            exports: Background::default(),
        })
    }

    /// Runs until the user or `stop` ends it. Returns what it drew on last.
    pub(super) fn run(
        mut self,
        controls: &mut Interaction,
        picture: &mut SceneBuilder,
        interval: Duration,
        stop: &watch::Receiver<bool>,
        started: Instant,
    ) -> Result<Surface, ConsumerError> {
        let mut inputs = Vec::new();
        let shared = &*Arc::clone(&self.shared);
        shared.draw_here();
        while !*stop.borrow() {
            let woke = Instant::now();
            if woke >= self.next_poll {
                self.window.poll(|input| inputs.push(input));
                self.next_poll = woke + self.poll_every(woke);
            }
            if self.take_inputs(&mut inputs, controls, picture, woke) {
                break;
            }
            if let Some(badge) = self.exports.ended() {
                picture.toast = Some((badge, woke + TOAST));
                self.touched = true;
            }
            if self.is_due(shared, interval, woke) {
                let first = self.drawn.is_none();
                self.draw(shared, controls, picture, &mut inputs)?;
                if first {
                    debug!("first frame after {} ms", started.elapsed().as_millis());
                }
                if self.take_inputs(&mut inputs, controls, picture, woke) {
                    break;
                }
            }
            self.rest(shared, interval);
        }
        Ok(self.surface())
    }

    fn surface(&self) -> Surface {
        Surface::Screen { size: self.size, scale: self.scale }
    }

    fn poll_every(&self, now: Instant) -> Duration {
        match now.duration_since(self.busy) {
            since if since < RESTING_AFTER => FRAME,
            _ if self.window.has_mouse() => RESTING_POLL,
            _ => AWAY_POLL,
        }
    }

    /// Least time from one frame to the next. The oldest tick in a frame came when the one before it was being
    /// collected: it waits for this long and until its own frame is presented, and both together are at most
    /// [`FRAME`], with room for the way to here. Where a frame is so slow that this cannot be, drawing takes two thirds
    /// of the time.
    fn pace(&self) -> Duration {
        FRAME.saturating_sub(2 * self.cost).max(self.cost * 3 / 2)
    }

    /// Waits for the next poll, or for what comes before it.
    fn rest(&self, shared: &Shared, interval: Duration) {
        let now = Instant::now();
        let until_poll = self.next_poll.saturating_duration_since(now);
        let Some((revision, drawn)) = self.drawn else { return };
        if self.touched {
            std::thread::sleep(until_poll.min((drawn + self.pace()).saturating_duration_since(now)));
        } else if shared.revision() == revision {
            std::thread::park_timeout(until_poll);
        } else {
            let due = drawn + self.pace().max(interval);
            std::thread::sleep(until_poll.min(due.saturating_duration_since(now)));
        }
    }

    /// Whether there is something new to show, and time to show it.
    fn is_due(&self, shared: &Shared, interval: Duration, now: Instant) -> bool {
        let Some((drawn_revision, drawn)) = self.drawn else { return true };
        let age = now.duration_since(drawn);
        if age < self.pace() {
            return false;
        }
        let unchanged = if self.seeing.counts_seconds { SECOND } else { HEARTBEAT };
        if self.touched || age >= unchanged || shared.arrivals().stale_for(now).is_some() != self.seeing.stale {
            return true;
        }
        // The live edge moves on with the clock, but a picture in which only that has moved by some pixels is not worth
        // a redraw of its own: it moves in the rhythm of the data, and with the heartbeat.
        shared.revision() != drawn_revision && age >= interval
    }

    fn draw(
        &mut self,
        shared: &Shared,
        controls: &mut Interaction,
        picture: &mut SceneBuilder,
        inputs: &mut Vec<Input>,
    ) -> Result<(), ConsumerError> {
        let begun = Instant::now();
        let revision = shared.revision();
        let unseen_ns = shared.take_unseen();
        let surface = self.surface();
        let View { scene, frame, seeing } = picture.view(shared, controls, surface, begun);
        let changed = self.painter.update(scene, &frame)?;
        (self.frame, self.seeing) = (frame, seeing);
        let spent = begun.elapsed();
        if changed || begun.duration_since(self.presented) >= HEARTBEAT {
            let pixels = self.painter.pixels();
            self.window.present(pixels, self.size.width, self.size.height, |input| inputs.push(input))?;
            self.presented = begun;
            self.next_poll = begun + self.poll_every(begun);
        }
        let ended = Instant::now();
        picture.meters.frame(spent, ended, Timestamp::now().as_nanos(), &unseen_ns);
        self.cost = (3 * self.cost + ended.duration_since(begun)) / 4;
        self.drawn = Some((revision, begun));
        self.touched = false;
        Ok(())
    }

    /// Handles and empties `inputs`; returns whether the user wants to leave.
    fn take_inputs(
        &mut self,
        inputs: &mut Vec<Input>,
        controls: &mut Interaction,
        picture: &mut SceneBuilder,
        now: Instant,
    ) -> bool {
        if !inputs.is_empty() {
            self.busy = now;
        }
        inputs.drain(..).any(|input| self.handle(input, controls, picture, now))
    }

    /// Returns whether the user wants to leave.
    fn handle(&mut self, input: Input, controls: &mut Interaction, picture: &mut SceneBuilder, now: Instant) -> bool {
        self.touched = true;
        if let Input::Resized { width, height } = input {
            self.size = Size { width, height };
            return false;
        }
        let seen = Seen { frame: &self.frame, hits: self.painter.hits(), seeing: &self.seeing };
        let request = controls.apply(input, &seen);
        // Several inputs may come between two frames; each begins where the last one ended.
        self.seeing.span = controls.span();
        match request {
            None => false,
            Some(Request::Quit) => true,
            Some(Request::Export) => {
                let (symbols, span) = self.seeing.in_view.clone();
                picture.toast = Some((self.exports.start(&self.shared, symbols, span), now + TOAST));
                false
            }
            Some(Request::Screenshot) => {
                picture.toast = Some((self.save_screenshot(), now + TOAST));
                false
            }
        }
    }

    fn save_screenshot(&self) -> Badge {
        let name = jiff::Zoned::now().strftime("tickscope-%Y%m%d-%H%M%S-%3f.png").to_string();
        match snapshot::write_png(&PathBuf::from(&name), self.painter.pixels(), self.frame.size) {
            Ok(()) => Badge { tone: Tone::Good, text: format!("saved {name}") },
            Err(error) => Badge { tone: Tone::Bad, text: error.to_string() },
        }
    }
}
