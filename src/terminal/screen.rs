//! The terminal itself: taken over, drawn on, listened to, and given back as it was, whatever happens.

use std::io::{self, BufWriter, Stdout, stdout};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, DisableMouseCapture, EnableMouseCapture};
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use ratatui::crossterm::{execute, queue};
use thiserror::Error;

use super::input::{Clicks, Meaning, translate};
use super::paint::paint;
use super::{Colors, Frame};
use crate::view::Input;

/// Most inputs taken in one go: a flood of mouse movements must not keep the chart from being drawn.
const INPUTS_MAX: usize = 256;

/// When a wait takes so much longer than it was to, the process stood still meanwhile (`kill -STOP`, a laptop's lid),
/// and whoever continued it may have used the terminal.
const STOOD_STILL: Duration = Duration::from_secs(1);

/// Room for a whole frame, in bytes, so that the terminal gets it in one piece: 300 x 80 cells with a colour each.
const FRAME_BYTES: usize = 1 << 19;

/// Whether the terminal is ours at the moment; what the panic hook has to know.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Why there is no terminal view.
#[derive(Debug, Error)]
pub enum TerminalError {
    /// It refuses to be taken over.
    #[error("the terminal cannot be used: {0}")]
    Open(#[source] io::Error),
    /// It went away.
    #[error("the terminal cannot be drawn on any more: {0}")]
    Lost(#[source] io::Error),
}

/// The terminal, taken over; given back when dropped, and when any thread panics.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    colors: Colors,
    clicks: Clicks,
}

impl Screen {
    /// Takes over the terminal of standard output.
    pub fn open(colors: Colors) -> Result<Self, TerminalError> {
        give_back_on_panic();
        let terminal = Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(FRAME_BYTES, stdout())))
            .map_err(TerminalError::Open)?;
        let screen = Self { terminal, colors, clicks: Clicks::default() };
        take().map_err(|error| {
            give_back();
            TerminalError::Open(error)
        })?;
        Ok(screen)
    }

    /// Columns and rows of cells.
    pub fn size(&self) -> Result<(u16, u16), TerminalError> {
        self.terminal.size().map(|size| (size.width, size.height)).map_err(TerminalError::Lost)
    }

    /// Draws a frame; only cells that changed are sent.
    pub fn draw(&mut self, frame: &Frame) -> Result<(), TerminalError> {
        let colors = self.colors;
        let drawn = queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)
            .and_then(|()| self.terminal.draw(|surface| paint(surface.buffer_mut(), frame, colors)).map(|_| ()))
            .and_then(|()| execute!(self.terminal.backend_mut(), EndSynchronizedUpdate));
        drawn.map_err(TerminalError::Lost)
    }

    /// Waits up to `patience` for the user to do something and hands it over, places in cells. Returns whether the
    /// screen must be drawn anew.
    pub fn poll(&mut self, patience: Duration, mut each: impl FnMut(Input)) -> Result<bool, TerminalError> {
        let begun = Instant::now();
        let mut waiting = event::poll(patience).map_err(TerminalError::Lost)?;
        let stood_still = begun.elapsed() >= patience + STOOD_STILL;
        let mut suspend = false;
        for _ in 0..INPUTS_MAX {
            if !waiting {
                break;
            }
            let event = event::read().map_err(TerminalError::Lost)?;
            translate(&event, &mut self.clicks, Instant::now(), |meaning| match meaning {
                Meaning::Input(input) => each(input),
                Meaning::Suspend => suspend = true,
            });
            waiting = event::poll(Duration::ZERO).map_err(TerminalError::Lost)?;
        }
        if suspend {
            give_back();
            stop_here();
        }
        if suspend || stood_still {
            take().and_then(|()| self.terminal.clear()).map_err(TerminalError::Lost)?;
        }
        Ok(suspend || stood_still)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, EnableMouseCapture, Hide)
}

/// Every step is tried, whatever became of the ones before: half a terminal given back is better than none.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(stdout(), EndSynchronizedUpdate, DisableMouseCapture, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// A panic's message belongs on the screen that stays.
fn give_back_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            give_back();
            before(info);
        }));
    });
}

/// Stops this process group, as Ctrl-Z does outside of raw mode; returns when it goes on.
#[cfg(unix)]
fn stop_here() {
    // A shell without job control, or none at all, continues it at once or leaves it alone.
    let _ = rustix::process::kill_current_process_group(rustix::process::Signal::TSTP);
}

#[cfg(not(unix))]
fn stop_here() {}
