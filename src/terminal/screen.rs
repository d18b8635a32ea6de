//! The terminal itself: taken over, drawn on, listened to, and given back as it was, whatever happens.

use std::io::{self, BufWriter, Stdout, stdout};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, DisableMouseCapture, EnableMouseCapture, Event};
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{execute, queue};
use thiserror::Error;

use super::input::{Clicks, Meaning, translate};
use super::{Colors, Frame};
use crate::chart::Input;
use crate::terminal::canvas::paint;

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
    events: Receiver<io::Result<Event>>,
    colors: Colors,
    clicks: Clicks,
}

impl Screen {
    /// Takes over the terminal of standard output.
    pub fn open(colors: Colors) -> Result<Self, TerminalError> {
        give_back_on_panic();
        let terminal = blank().map_err(TerminalError::Open)?;
        let failed = |error| {
            give_back();
            TerminalError::Open(error)
        };
        take().map_err(failed)?;
        let events = listen().map_err(failed)?;
        Ok(Self { terminal, events, colors, clicks: Clicks::default() })
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
        let mut next = match self.events.recv_timeout(patience) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(io::ErrorKind::UnexpectedEof.into())),
        };
        let stood_still = begun.elapsed() >= patience + STOOD_STILL;
        let mut suspend = false;
        for _ in 0..INPUTS_MAX {
            let Some(event) = next else { break };
            let event = event.map_err(TerminalError::Lost)?;
            translate(&event, &mut self.clicks, Instant::now(), |meaning| match meaning {
                Meaning::Input(input) => each(input),
                Meaning::Suspend => suspend = true,
            });
            next = self.events.try_recv().ok();
        }
        if suspend {
            give_back();
            stop_here();
        }
        if suspend || stood_still {
            // To clear what is there, the library would ask where the cursor is, and wait for an answer that the
            // reading thread gets; a screen that knows of nothing is drawn whole.
            let cleared = take().and_then(|()| execute!(stdout(), Clear(ClearType::All)));
            self.terminal = cleared.and_then(|()| blank()).map_err(TerminalError::Lost)?;
        }
        Ok(suspend || stood_still)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// A screen of which nothing is known.
fn blank() -> io::Result<Terminal<CrosstermBackend<BufWriter<Stdout>>>> {
    Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(FRAME_BYTES, stdout())))
}

/// Reads what comes from the terminal on a thread of its own: half a key (Alt and `[`) keeps a read waiting for the
/// rest, and neither the chart nor the end of the program may wait with it. The thread ends with the process.
fn listen() -> io::Result<Receiver<io::Result<Event>>> {
    let (sender, events) = sync_channel(INPUTS_MAX);
    let read = move || {
        loop {
            let event = event::read();
            let is_lost = event.is_err();
            if sender.send(event).is_err() || is_lost {
                return;
            }
        }
    };
    std::thread::Builder::new().name("terminal".to_owned()).spawn(read)?;
    Ok(events)
}

fn take() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, EnableMouseCapture, Hide)
}

/// Gives the terminal back, if it is taken: for those who end the process at once. Every step is tried, whatever became
/// of the ones before: half a terminal given back is better than none.
pub fn give_back() {
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
