//! Terminal frontend.

use std::time::{Duration, Instant};

use crate::chart::{Badge, HitAreas, Input, Layout, Scene, Size, Surface, Tone};
use crate::consumer::frame::TOAST_TIME;
use crate::consumer::frontend::{Frontend, Presented};
use crate::consumer::{Config, ConsumerError, TerminalConfig};
use crate::model::display_safe;
use crate::terminal::{CellLayout, Screen};

/// Least time between two frames. A terminal draws characters, often over a network; thirty frames a second look live.
const FRAME: Duration = Duration::from_millis(33);

/// Interval of the checks for new data while none arrives. Keys end the wait.
const RESTING: Duration = Duration::from_millis(100);

/// Data counts as arriving for this long after the last change.
const RESTING_AFTER: Duration = Duration::from_secs(1);

/// Terminal and what it displays.
pub(super) struct TerminalApp {
    screen: Screen,
    /// Log lines wait here until the terminal is given back. Dropped after the screen.
    held_log: Option<HeldLog>,
    /// Layout of the last frame; `None` if the terminal is too small.
    layout: Option<CellLayout>,
    /// Number of symbols in the last frame, which the layout depends on.
    symbols_len: usize,
    hit_areas: HitAreas,
    /// Last scene, which is not drawn again if nothing changes.
    last_scene: Option<Scene>,
    image_surface: Surface,
}

/// Log lines that are held back while the chart has the terminal. Dropping it writes them.
struct HeldLog {
    log: crate::cli::LogWriter,
    /// Number of the last line that was displayed.
    displayed: u64,
    /// Line on display, and the end of its display.
    line: Option<(Badge, Instant)>,
}

impl Drop for HeldLog {
    fn drop(&mut self) {
        self.log.release();
    }
}

impl TerminalApp {
    /// Takes over the terminal.
    pub(super) fn open(config: &Config, terminal: &TerminalConfig) -> Result<Self, ConsumerError> {
        let held_log = terminal.console.clone().map(|log| {
            log.hold();
            HeldLog { log, displayed: 0, line: None }
        });
        Ok(Self {
            screen: Screen::open(terminal.colors)?,
            held_log,
            layout: None,
            symbols_len: config.symbols.len(),
            hit_areas: HitAreas::default(),
            last_scene: None,
            image_surface: config.surface(),
        })
    }
}

impl Frontend for TerminalApp {
    fn frame_interval(&self) -> Option<Duration> {
        Some(FRAME)
    }

    fn surface(&mut self) -> Result<Surface, ConsumerError> {
        let (columns, rows) = self.screen.size()?;
        self.layout = CellLayout::new(columns, rows, self.symbols_len);
        Ok(Surface::Dots { size: chart_layout(self.layout).size })
    }

    fn image_surface(&self) -> Surface {
        self.image_surface
    }

    fn rest(
        &mut self,
        until_frame: Option<Duration>,
        unchanged_for: Duration,
        inputs: &mut Vec<Input>,
    ) -> Result<(), ConsumerError> {
        let idle_wait = if unchanged_for < RESTING_AFTER { FRAME } else { RESTING };
        let limit = until_frame.map_or(idle_wait, |until_frame| until_frame.min(RESTING));
        if self.screen.poll(limit, |input| inputs.push(input))? {
            // The terminal's contents are unknown.
            inputs.push(Input::Resized { width: 0, height: 0 });
        }
        Ok(())
    }

    fn has_news(&self, now: Instant) -> bool {
        self.held_log.as_ref().is_some_and(|held| held.has_news(now))
    }

    fn convert(&mut self, input: Input) -> Option<Input> {
        if matches!(input, Input::Resized { .. }) {
            self.last_scene = None;
            return None;
        }
        Some(self.layout.map_or(input, |layout| layout.input_in_dots(input)))
    }

    fn present(
        &mut self,
        mut scene: Scene,
        _layout: &Layout,
        begun: Instant,
        _inputs: &mut Vec<Input>,
    ) -> Result<Presented, ConsumerError> {
        if let Some(held) = &mut self.held_log {
            held.update(begun);
            scene.toast = scene.toast.or_else(|| held.line.as_ref().map(|(badge, _)| badge.clone()));
        }
        // With the first symbol, the watchlist takes room from the chart: the next frame has the new layout.
        let is_outdated = self.symbols_len != scene.header.legend.len();
        self.symbols_len = scene.header.legend.len();
        self.hit_areas = self.layout.map_or_else(HitAreas::default, |layout| layout.hit_areas(&scene));
        let rendered = Instant::now();
        if self.last_scene.as_ref() != Some(&scene) {
            self.screen.draw(&scene)?;
            self.last_scene = Some(scene);
        }
        Ok(Presented { rendered, is_outdated })
    }

    fn hit_layout(&self, _: Layout) -> Layout {
        chart_layout(self.layout)
    }

    fn hit_areas(&self) -> HitAreas {
        self.hit_areas.clone()
    }
}

/// Layout of a chart whose pixels are the dots of the plot. A screen that is too small has a single cell.
fn chart_layout(layout: Option<CellLayout>) -> Layout {
    layout.map_or_else(|| Layout::plot_only(Size { width: 2, height: 4 }), |layout| layout.chart_layout())
}

impl HeldLog {
    /// Returns true if a new line waits, or the one on display has been there for long enough.
    fn has_news(&self, now: Instant) -> bool {
        let is_over = self.line.as_ref().is_some_and(|(_, until)| now >= *until);
        is_over || self.log.newest_held().is_some_and(|(number, _)| number != self.displayed)
    }

    fn update(&mut self, now: Instant) {
        if let Some((number, line)) = self.log.newest_held().filter(|(number, _)| *number != self.displayed) {
            self.displayed = number;
            let text = without_escapes(&line);
            let tone = match () {
                () if text.contains(" ERROR ") => Tone::Bad,
                () if text.contains(" WARN ") => Tone::Warn,
                () => Tone::Info,
            };
            self.line = Some((Badge { tone, text }, now + TOAST_TIME));
        }
        self.line.take_if(|(_, until)| now >= *until);
    }
}

/// Removes the escape sequences that colour a log line's level: `ESC [`, parameters, a letter.
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
    use super::*;

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
