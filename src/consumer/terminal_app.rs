//! The chart in the terminal: the loop on the main thread that listens, collects and draws.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::debug;

use crate::chart::{Badge, HitAreas, HitTest, Input, Interaction, Layout, Request, Scene, Size, Surface, Tone};
use crate::consumer::export::Background;
use crate::consumer::frame::{FrameSource, SECOND, TOAST, View};
use crate::consumer::shared::Shared;
use crate::consumer::{Config, ConsumerError, TerminalConfig, snapshot};
use crate::model::{Timestamp, display_safe};
use crate::plot::Painter;
use crate::terminal::{CellLayout, Screen};

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
    hit_test: HitTest,
    is_stale: bool,
    shows_seconds: bool,
    /// Symbols that there were in the last frame; they decide where its parts lie.
    symbols: usize,
    /// What the last frame was drawn from, and when.
    drawn: Option<(u64, Instant)>,
    shown: Option<Scene>,
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
    line: Option<(Badge, Instant)>,
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
        Ok(Self {
            screen,
            held,
            hit_test: HitTest::empty(Timestamp::now().as_nanos()),
            is_stale: false,
            shows_seconds: false,
            symbols: config.symbols.len(),
            drawn: None,
            shown: None,
            lively: Instant::now(),
            touched: true,
            picture: config.surface(),
            shared: Arc::clone(shared),
            exports: Background::default(),
        })
    }

    /// Runs until the user or `stop` ends it.
    pub(super) fn run(
        mut self,
        controls: &mut Interaction,
        picture: &mut FrameSource,
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
        let unchanged = if self.shows_seconds { SECOND } else { HEARTBEAT };
        let stale = shared.arrivals().stale_for(now).is_some();
        let news = self.held.as_ref().is_some_and(|held| held.has_news(now));
        if self.touched || age >= unchanged || stale != self.is_stale || news {
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
        picture: &mut FrameSource,
    ) -> Result<(), ConsumerError> {
        let begun = Instant::now();
        let revision = shared.revision();
        if self.drawn.is_some_and(|(drawn, _)| drawn != revision) {
            self.lively = begun;
        }
        let unseen_ns = shared.take_unseen();
        let layout = self.layout()?;
        let Layout { size, .. } = chart_layout(layout);
        let view = picture.view(shared, controls, Surface::Dots { size }, begun);
        let View { mut scene, hit_test, is_stale, shows_seconds } = view;
        (self.hit_test, self.is_stale, self.shows_seconds) = (hit_test, is_stale, shows_seconds);
        if let Some(held) = &mut self.held {
            held.look(begun);
            scene.toast = scene.toast.or_else(|| held.line.as_ref().map(|(badge, _)| badge.clone()));
        }
        // Where a first symbol comes, the watchlist takes room of the chart: the next frame has it.
        self.touched = self.symbols != scene.header.legend.len();
        self.symbols = scene.header.legend.len();
        self.hit_test.areas = layout.map_or_else(HitAreas::default, |layout| layout.hit_areas(&scene));
        let spent = begun.elapsed();
        if self.shown.as_ref() != Some(&scene) {
            self.screen.draw(&scene)?;
            self.shown = Some(scene);
        }
        picture.meters.record_frame(spent, Instant::now(), Timestamp::now().as_nanos(), &unseen_ns);
        self.drawn = Some((revision, begun));
        Ok(())
    }

    /// Returns whether the user wants to leave.
    fn handle(
        &mut self,
        input: Input,
        shared: &Shared,
        controls: &mut Interaction,
        picture: &mut FrameSource,
    ) -> Result<bool, ConsumerError> {
        self.touched = true;
        let layout = self.layout()?;
        if matches!(input, Input::Resized { .. }) {
            self.shown = None;
            return Ok(false);
        }
        self.hit_test.layout = chart_layout(layout);
        let input = layout.map_or(input, |layout| layout.input_in_dots(input));
        let request = controls.apply(input, &self.hit_test);
        // Several inputs may come between two frames; each begins where the last one ended.
        self.hit_test.span = controls.span();
        match request {
            None => {}
            Some(Request::Quit) => return Ok(true),
            Some(Request::Export) => {
                let visible = self.hit_test.visible.clone();
                let toast = self.exports.start(&self.shared, visible.symbols, visible.span);
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
    fn save_screenshot(&self, shared: &Shared, controls: &mut Interaction, picture: &mut FrameSource) -> Badge {
        let name = jiff::Zoned::now().strftime("tickscope-%Y%m%d-%H%M%S-%3f.png").to_string();
        let mouse = controls.mouse.take();
        let View { scene, hit_test, .. } = picture.view(shared, controls, self.picture, Instant::now());
        controls.mouse = mouse;
        let saved = Painter::new().map_err(snapshot::SnapshotError::from).and_then(|mut painter| {
            snapshot::write(&mut painter, &scene, &hit_test.layout, &PathBuf::from(&name), super::SnapshotFormat::Png)
        });
        match saved {
            Ok(()) => Badge { tone: Tone::Good, text: format!("saved {name}") },
            Err(error) => Badge { tone: Tone::Bad, text: error.to_string() },
        }
    }
}

/// Layout of a chart whose pixels are the dots of the plot; a screen that is too small has a single cell.
fn chart_layout(layout: Option<CellLayout>) -> Layout {
    layout.map_or_else(|| Layout::plot_only(Size { width: 2, height: 4 }), |layout| layout.chart_layout())
}

impl Held {
    /// Whether a line has come, or the one that is shown has stood for long enough.
    fn has_news(&self, now: Instant) -> bool {
        let is_over = self.line.as_ref().is_some_and(|(_, until)| now >= *until);
        is_over || self.log.newest_held().is_some_and(|(seen, _)| seen != self.told)
    }

    fn look(&mut self, now: Instant) {
        if let Some((seen, line)) = self.log.newest_held().filter(|(seen, _)| *seen != self.told) {
            self.told = seen;
            let text = without_escapes(&line);
            let tone = match () {
                () if text.contains(" ERROR ") => Tone::Bad,
                () if text.contains(" WARN ") => Tone::Warn,
                () => Tone::Info,
            };
            self.line = Some((Badge { tone, text }, now + TOAST));
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
