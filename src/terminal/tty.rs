//! The terminal itself: raw mode, drawing, events, and restoring it on every way out.

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

use super::ColorDepth;
use super::input::{ClickCounter, TerminalEvent, translate};
use super::render::render;
use crate::chart::{Input, Scene};

/// Maximum number of inputs handled between two frames, so that a flood of mouse movements does not stop drawing.
const INPUTS_MAX: usize = 256;

/// A wait that exceeds its timeout by this much means that the process was stopped (`kill -STOP`, a laptop's lid).
/// Other programs may have written to the terminal meanwhile.
const STOPPED_MIN: Duration = Duration::from_secs(1);

/// Size of the output buffer, in bytes. It holds a whole frame of 300 x 80 cells with a colour each, so that the
/// terminal gets a frame in one write.
const FRAME_BYTES: usize = 1 << 19;

/// Set while the terminal is in raw mode and has to be restored; read by the panic hook.
static IS_RAW: AtomicBool = AtomicBool::new(false);

/// Error of the terminal.
#[derive(Debug, Error)]
pub enum TerminalError {
    /// Raw mode or the alternate screen is not available.
    #[error("the terminal cannot be used: {0}")]
    Open(#[source] io::Error),
    /// The terminal was closed.
    #[error("the connection to the terminal is lost: {0}")]
    Lost(#[source] io::Error),
}

/// The terminal in raw mode, on its alternate screen. It is restored on drop and when any thread panics.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    events: Receiver<io::Result<Event>>,
    depth: ColorDepth,
    clicks: ClickCounter,
}

impl Screen {
    /// Takes over the terminal of standard output.
    ///
    /// # Errors
    ///
    /// [`TerminalError::Open`] if standard output is no terminal or refuses raw mode.
    pub fn open(depth: ColorDepth) -> Result<Self, TerminalError> {
        restore_on_panic();
        let terminal = new_terminal().map_err(TerminalError::Open)?;
        let failed = |error| {
            restore();
            TerminalError::Open(error)
        };
        enter().map_err(failed)?;
        let events = spawn_reader().map_err(failed)?;
        Ok(Self { terminal, events, depth, clicks: ClickCounter::default() })
    }

    /// Columns and rows of cells.
    ///
    /// # Errors
    ///
    /// [`TerminalError::Lost`] if the terminal was closed.
    pub fn size(&self) -> Result<(u16, u16), TerminalError> {
        self.terminal.size().map(|size| (size.width, size.height)).map_err(TerminalError::Lost)
    }

    /// Draws a scene. Only cells that changed are sent.
    ///
    /// # Errors
    ///
    /// [`TerminalError::Lost`] if the terminal was closed.
    pub fn draw(&mut self, scene: &Scene) -> Result<(), TerminalError> {
        let depth = self.depth;
        let drawn = queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)
            .and_then(|()| self.terminal.draw(|surface| render(surface.buffer_mut(), scene, depth)).map(|_| ()))
            .and_then(|()| execute!(self.terminal.backend_mut(), EndSynchronizedUpdate));
        drawn.map_err(TerminalError::Lost)
    }

    /// Waits up to `timeout` for input and calls `each` with every input, places in cells. Returns `true` if the whole
    /// screen has to be redrawn.
    ///
    /// # Errors
    ///
    /// [`TerminalError::Lost`] if the terminal was closed.
    pub fn poll(&mut self, timeout: Duration, mut each: impl FnMut(Input)) -> Result<bool, TerminalError> {
        let started = Instant::now();
        let mut next = match self.events.recv_timeout(timeout) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(io::ErrorKind::UnexpectedEof.into())),
        };
        let was_stopped = started.elapsed() >= timeout + STOPPED_MIN;
        let mut suspend = false;
        for _ in 0..INPUTS_MAX {
            let Some(event) = next else { break };
            let event = event.map_err(TerminalError::Lost)?;
            translate(&event, &mut self.clicks, Instant::now(), |event| match event {
                TerminalEvent::Input(input) => each(input),
                TerminalEvent::Suspend => suspend = true,
            });
            next = self.events.try_recv().ok();
        }
        if suspend {
            restore();
            stop_process_group();
        }
        if suspend || was_stopped {
            // `Terminal::clear` queries the cursor position and waits for an answer that the reader thread consumes.
            // A new terminal has no previous frame, so it draws the next one whole.
            let cleared = enter().and_then(|()| execute!(stdout(), Clear(ClearType::All)));
            self.terminal = cleared.and_then(|()| new_terminal()).map_err(TerminalError::Lost)?;
        }
        Ok(suspend || was_stopped)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// A terminal without a previous frame.
fn new_terminal() -> io::Result<Terminal<CrosstermBackend<BufWriter<Stdout>>>> {
    Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(FRAME_BYTES, stdout())))
}

/// Reads terminal events on a thread. An incomplete escape sequence (Alt and `[`) blocks the read until the rest
/// arrives; neither drawing nor shutdown waits for it. The thread ends with the process.
fn spawn_reader() -> io::Result<Receiver<io::Result<Event>>> {
    let (sender, events) = sync_channel(INPUTS_MAX);
    let read = move || {
        loop {
            let event = event::read();
            let is_closed = event.is_err();
            if sender.send(event).is_err() || is_closed {
                return;
            }
        }
    };
    std::thread::Builder::new().name("terminal".to_owned()).spawn(read)?;
    Ok(events)
}

/// Enters raw mode and the alternate screen.
fn enter() -> io::Result<()> {
    IS_RAW.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, EnableMouseCapture, Hide)
}

/// Restores the terminal if it was taken over. To be called before the process exits without unwinding. A failing step
/// does not prevent the next ones.
pub fn restore() {
    if IS_RAW.swap(false, Ordering::SeqCst) {
        let _ = execute!(stdout(), EndSynchronizedUpdate, DisableMouseCapture, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// Restores the terminal before a panic message is printed.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            restore();
            previous(info);
        }));
    });
}

/// Stops this process group, as Ctrl-Z does outside of raw mode; returns when it is continued.
#[cfg(unix)]
fn stop_process_group() {
    // Ignored on failure: without a shell with job control there is nothing to stop for.
    let _ = rustix::process::kill_current_process_group(rustix::process::Signal::TSTP);
}

#[cfg(not(unix))]
fn stop_process_group() {}
