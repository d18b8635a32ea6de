//! Window frontend.

use std::time::{Duration, Instant};

use crate::chart::{HitAreas, Input, Layout, Scale, Scene, Size, Surface};
use crate::consumer::event_loop::HEARTBEAT;
use crate::consumer::frontend::{Frontend, Presented};
use crate::consumer::redraw::Redraw;
use crate::consumer::{Config, ConsumerError};
use crate::plot::Painter;
use crate::window::{self, Window};

/// Refresh interval of common displays. Input is polled at this rate while the user is active, and no tick takes longer
/// from its arrival to the screen.
const FRAME: Duration = Duration::from_micros(16_667);

/// The user counts as inactive without input for this long.
const RESTING_AFTER: Duration = Duration::from_secs(3);

/// Interval of the polls then. A poll asks the window system for the mouse position, and 60 of those a second cost more
/// than everything else on an idle chart. Keys wait in a queue, and a click takes longer than this.
const RESTING_POLL: Duration = Duration::from_millis(60);

/// Interval of the polls while the mouse is outside the window: nothing can be clicked there.
const AWAY_POLL: Duration = Duration::from_millis(100);

/// Window and its renderer.
pub(super) struct WindowApp {
    window: Window,
    painter: Painter,
    size: Size,
    scale: Scale,
    /// Time of the last presentation.
    presented: Instant,
    /// Smoothed cost of building and presenting a frame.
    cost: Duration,
    last_input: Instant,
    next_poll: Instant,
}

impl WindowApp {
    /// Opens the window. Redraw requests wake the calling thread from then on.
    pub(super) fn open(config: &Config, redraw: &Redraw) -> Result<Self, ConsumerError> {
        let scale = config.scale_on(|| window::display_factor(&config.x11));
        let size = config.screen_size(scale);
        let window = Window::open(&config.args.title, size.width, size.height, scale.factor())?;
        redraw.wake_this_thread();
        let (painter, cost, now) = (Painter::new()?, Duration::ZERO, Instant::now());
        Ok(Self { window, painter, size, scale, presented: now, cost, last_input: now, next_poll: now })
    }

    fn poll_interval(&self, now: Instant) -> Duration {
        match now.duration_since(self.last_input) {
            since if since < RESTING_AFTER => FRAME,
            _ if self.window.has_mouse() => RESTING_POLL,
            _ => AWAY_POLL,
        }
    }
}

impl Frontend for WindowApp {
    /// The oldest tick of a frame arrived when the previous one was being built. It waits for one frame interval and
    /// until its own frame is presented: together at most [`FRAME`], minus the time to get here. If frames are too slow
    /// for that, drawing takes two thirds of the time.
    fn frame_interval(&self) -> Option<Duration> {
        Some(FRAME.saturating_sub(2 * self.cost).max(self.cost * 3 / 2))
    }

    fn image_surface(&self) -> Surface {
        Surface::Screen { size: self.size, scale: self.scale }
    }

    fn poll(&mut self, now: Instant, inputs: &mut Vec<Input>) {
        if now >= self.next_poll {
            self.window.poll(|input| inputs.push(input));
            if !inputs.is_empty() {
                self.last_input = now;
            }
            self.next_poll = now + self.poll_interval(now);
        }
    }

    fn rest(
        &mut self,
        until_frame: Option<Duration>,
        _unchanged_for: Duration,
        _inputs: &mut Vec<Input>,
    ) -> Result<(), ConsumerError> {
        let until_poll = self.next_poll.saturating_duration_since(Instant::now());
        match until_frame {
            Some(until_frame) => std::thread::sleep(until_poll.min(until_frame)),
            None => std::thread::park_timeout(until_poll),
        }
        Ok(())
    }

    fn convert(&mut self, input: Input) -> Option<Input> {
        if let Input::Resized { width, height } = input {
            self.size = Size { width, height };
            return None;
        }
        Some(input)
    }

    fn present(
        &mut self,
        scene: Scene,
        layout: &Layout,
        begun: Instant,
        inputs: &mut Vec<Input>,
    ) -> Result<Presented, ConsumerError> {
        let changed = self.painter.update(scene, layout)?;
        let rendered = Instant::now();
        if changed || begun.duration_since(self.presented) >= HEARTBEAT {
            let pixels = self.painter.pixels();
            self.window.present(pixels, self.size.width, self.size.height, |input| inputs.push(input))?;
            if !inputs.is_empty() {
                self.last_input = begun;
            }
            self.presented = begun;
            self.next_poll = begun + self.poll_interval(begun);
        }
        self.cost = (3 * self.cost + begun.elapsed()) / 4;
        Ok(Presented { rendered, is_outdated: false })
    }

    fn hit_areas(&self) -> HitAreas {
        self.painter.hits().clone()
    }

    fn pixels(&self) -> Option<&[u32]> {
        Some(self.painter.pixels())
    }
}
