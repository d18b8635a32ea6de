//! The chart in the terminal: the loop on the main thread that listens, collects and draws.

mod map;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::debug;

use crate::chart::Input;
use crate::chart::{Badge, HitAreas, Layout, Size, Tone};
use crate::consumer::export::Background;
use crate::consumer::interaction::{Interaction, Request, Seeing, Seen};
use crate::consumer::query::Surface;
use crate::consumer::scene_builder::{SECOND, SceneBuilder, TOAST, View};
use crate::consumer::shared::Shared;
use crate::consumer::{Config, ConsumerError, TerminalConfig, snapshot};
use crate::model::{Timestamp, display_safe};
use crate::plot::Painter;
use crate::terminal::{self, CellLayout, Screen, Word};

/// Least time between two redraws. A terminal draws letters, often over a network; thirty times a second looks live.
const FRAME: Duration = Duration::from_millis(33);

/// How often it is looked for ticks while none come. Keys are seen at once all the same.
const RESTING: Duration = Duration::from_millis(100);

/// While ticks came this lately, it is looked for more at the pace of frames.
const RESTING_AFTER: Duration = Duration::from_secs(1);

/// The figures in the footer change with time although nothing comes.
const HEARTBEAT: Duration = Duration::from_millis(1_250);

/// The terminal and what it shows.
pub(super) struct Console {
    screen: Screen,
    /// Log lines wait here until the terminal is free again.
    held: Option<Held>,
    seeing: Seeing,
    /// Symbols that there were in the last frame; they decide where its parts lie.
    symbols: usize,
    hits: HitAreas,
    /// What the last frame was drawn from, and when.
    drawn: Option<(u64, Instant)>,
    shown: Option<terminal::Frame>,
    /// When ticks last came.
    lively: Instant,
    /// The user did something since the last frame.
    touched: bool,
    /// What a screenshot is drawn on.
    picture: Surface,
    shared: Arc<Shared>,
    exports: Background,
}

/// Log lines that are held back; let go when dropped, after the screen is.
struct Held {
    log: crate::cli::Console,
    /// How many lines there were when the last one was shown, and until when that stays.
    told: u64,
    line: Option<(Word, Instant)>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.log.release();
    }
}

impl Console {
    pub(super) fn open(
        config: &Config,
        terminal: &TerminalConfig,
        shared: &Arc<Shared>,
    ) -> Result<Self, ConsumerError> {
        let held = terminal.console.clone().map(|log| {
            log.hold();
            Held { log, told: 0, line: None }
        });
        let screen = Screen::open(terminal.colors)?;
        let seeing = Seeing::nothing(Timestamp::now().as_nanos());
        Ok(Self {
            screen,
            held,
            seeing,
            symbols: config.symbols.len(),
            hits: HitAreas::default(),
            drawn: None,
            shown: None,
            lively: Instant::now(),
            touched: true,
            picture: Surface::of(config),
            shared: Arc::clone(shared),
            exports: Background::default(),
        })
    }

    /// Runs until the user or `stop` ends it.
    pub(super) fn run(
        mut self,
        controls: &mut Interaction,
        picture: &mut SceneBuilder,
        interval: Duration,
        stop: &watch::Receiver<bool>,
        started: Instant,
    ) -> Result<(), ConsumerError> {
        let mut inputs = Vec::new();
        let shared = &*Arc::clone(&self.shared);
        while !*stop.borrow() {
            if let Some(badge) = self.exports.ended() {
                picture.toast = Some((badge, Instant::now() + TOAST));
                self.touched = true;
            }
            if self.is_due(shared, interval, Instant::now()) {
                let first = self.drawn.is_none();
                self.draw(shared, controls, picture)?;
                if first {
                    debug!("first frame after {} ms", started.elapsed().as_millis());
                }
            }
            let patience = self.patience(shared, interval);
            if self.screen.poll(patience, |input| inputs.push(input))? {
                (self.shown, self.touched) = (None, true);
            }
            for input in inputs.drain(..) {
                if self.handle(input, shared, controls, picture)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// How long to wait for the user before it is looked for ticks again.
    fn patience(&self, shared: &Shared, interval: Duration) -> Duration {
        let now = Instant::now();
        let Some((revision, drawn)) = self.drawn else { return Duration::ZERO };
        if self.touched {
            return (drawn + FRAME).saturating_duration_since(now);
        }
        if shared.revision() != revision {
            return (drawn + FRAME.max(interval)).saturating_duration_since(now).min(RESTING);
        }
        if now.duration_since(self.lively) < RESTING_AFTER { FRAME } else { RESTING }
    }

    /// Whether there is something new to show, and time to show it.
    fn is_due(&self, shared: &Shared, interval: Duration, now: Instant) -> bool {
        let Some((revision, drawn)) = self.drawn else { return true };
        let age = now.duration_since(drawn);
        if age < FRAME {
            return false;
        }
        let unchanged = if self.seeing.counts_seconds { SECOND } else { HEARTBEAT };
        let stale = shared.arrivals().stale_for(now).is_some();
        let news = self.held.as_ref().is_some_and(|held| held.has_news(now));
        if self.touched || age >= unchanged || stale != self.seeing.stale || news {
            return true;
        }
        shared.revision() != revision && age >= interval
    }

    fn layout(&self) -> Result<Option<CellLayout>, ConsumerError> {
        let (columns, rows) = self.screen.size()?;
        Ok(CellLayout::new(columns, rows, self.symbols))
    }

    fn draw(
        &mut self,
        shared: &Shared,
        controls: &mut Interaction,
        picture: &mut SceneBuilder,
    ) -> Result<(), ConsumerError> {
        let begun = Instant::now();
        let revision = shared.revision();
        if self.drawn.is_some_and(|(drawn, _)| drawn != revision) {
            self.lively = begun;
        }
        let unseen_ns = shared.take_unseen();
        let layout = self.layout()?;
        let Layout { size, .. } = dots(layout);
        let View { scene, seeing, .. } = picture.view(shared, controls, Surface::Dots { size }, begun);
        self.seeing = seeing;
        let mut frame = map::frame(&scene, layout);
        if let Some(held) = &mut self.held {
            held.look(begun, &frame.look);
            frame.toast = frame.toast.or_else(|| held.line.as_ref().map(|(word, _)| word.clone()));
        }
        // Where a first symbol comes, the watchlist takes room of the chart: the next frame has it.
        self.touched = self.symbols != frame.watchlist.len();
        self.symbols = frame.watchlist.len();
        self.hits = layout.map_or_else(HitAreas::default, |layout| map::hits(&frame, &layout));
        let spent = begun.elapsed();
        if self.shown.as_ref() != Some(&frame) {
            self.screen.draw(&frame)?;
            self.shown = Some(frame);
        }
        picture.meters.frame(spent, Instant::now(), Timestamp::now().as_nanos(), &unseen_ns);
        self.drawn = Some((revision, begun));
        Ok(())
    }

    /// Returns whether the user wants to leave.
    fn handle(
        &mut self,
        input: Input,
        shared: &Shared,
        controls: &mut Interaction,
        picture: &mut SceneBuilder,
    ) -> Result<bool, ConsumerError> {
        self.touched = true;
        let layout = self.layout()?;
        if matches!(input, Input::Resized { .. }) {
            self.shown = None;
            return Ok(false);
        }
        let frame = dots(layout);
        let seen = Seen { frame: &frame, hits: &self.hits, seeing: &self.seeing };
        let request = controls.apply(layout.map_or(input, |layout| map::in_dots(input, &layout)), &seen);
        // Several inputs may come between two frames; each begins where the last one ended.
        self.seeing.span = controls.span();
        match request {
            None => {}
            Some(Request::Quit) => return Ok(true),
            Some(Request::Export) => {
                let (symbols, span) = self.seeing.in_view.clone();
                let toast = self.exports.start(&self.shared, symbols, span);
                picture.toast = Some((toast, Instant::now() + TOAST));
            }
            Some(Request::Screenshot) => {
                let toast = self.save_screenshot(shared, controls, picture);
                picture.toast = Some((toast, Instant::now() + TOAST));
            }
        }
        Ok(false)
    }

    /// What a window would show: letters make a poor picture.
    fn save_screenshot(&self, shared: &Shared, controls: &mut Interaction, picture: &mut SceneBuilder) -> Badge {
        let name = jiff::Zoned::now().strftime("tickscope-%Y%m%d-%H%M%S-%3f.png").to_string();
        let mouse = controls.mouse.take();
        let View { scene, frame, .. } = picture.view(shared, controls, self.picture, Instant::now());
        controls.mouse = mouse;
        let saved = Painter::new().map_err(snapshot::SnapshotError::from).and_then(|mut painter| {
            snapshot::write(&mut painter, &scene, &frame, &PathBuf::from(&name), super::SnapshotFormat::Png)
        });
        match saved {
            Ok(()) => Badge { tone: Tone::Good, text: format!("saved {name}") },
            Err(error) => Badge { tone: Tone::Bad, text: error.to_string() },
        }
    }
}

/// The plot's dots as a frame of pixels: what is collected for it is what its columns of dots can show.
fn dots(layout: Option<CellLayout>) -> Layout {
    let (width, height) = layout.map_or((2, 4), |layout| layout.dots());
    let bare = Layout::plot_only(Size { width, height });
    match layout {
        Some(layout) => Layout { value_axis: layout.value_axis(), time_axis: layout.time_axis(), ..bare },
        None => bare,
    }
}

impl Held {
    /// Whether a line has come, or the one that is shown has stood for long enough.
    fn has_news(&self, now: Instant) -> bool {
        let is_over = self.line.as_ref().is_some_and(|(_, until)| now >= *until);
        is_over || self.log.newest_held().is_some_and(|(seen, _)| seen != self.told)
    }

    fn look(&mut self, now: Instant, look: &terminal::Look) {
        if let Some((seen, line)) = self.log.newest_held().filter(|(seen, _)| *seen != self.told) {
            self.told = seen;
            let text = without_escapes(&line);
            let color = match () {
                () if text.contains(" ERROR ") => look.bad,
                () if text.contains(" WARN ") => look.warn,
                () => look.dim,
            };
            self.line = Some((Word { text, color }, now + TOAST));
        }
        self.line.take_if(|(_, until)| now >= *until);
    }
}

/// A log line without the escapes that colour its level: `ESC [`, parameters, a letter.
fn without_escapes(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').get(1..).unwrap_or_default());
    }
    display_safe(text.trim()).into_owned()
}

#[cfg(test)]
mod tests {
    use crate::consumer::terminal_app::*;

    #[test]
    fn log_lines_lose_their_colours_and_nothing_else() {
        assert_eq!(
            without_escapes("\u{1b}[2m10:00\u{1b}[0m \u{1b}[33m WARN\u{1b}[0m lost [3]"),
            "10:00  WARN lost [3]"
        );
        assert_eq!(without_escapes("plain\u{7}"), "plain\\u{7}");
        assert_eq!(without_escapes("\u{1b}["), "");
    }
}
