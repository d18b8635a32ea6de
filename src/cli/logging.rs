//! Log lines, data lines and a progress line on one terminal, each written as a whole.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// Logging options.
#[derive(Debug, Clone, Default)]
pub struct Logging {
    /// 0 for information, 1 adds debug lines, 2 and more adds trace lines.
    pub verbosity: u8,
    /// Limits the log to warnings and errors.
    pub quiet: bool,
    /// Colors the levels.
    pub color: bool,
    /// Directives of `RUST_LOG`, which replace verbosity and quietness.
    pub directives: Option<String>,
}

/// Writes tracing events to stderr, one line each, through the returned [`LogWriter`], which keeps them apart from a
/// progress line. A second call in one process does not change the log.
pub fn init_logging(logging: &Logging) -> LogWriter {
    let writer = LogWriter::new();
    let log_writer = writer.clone();
    let level = match (logging.quiet, logging.verbosity) {
        (true, _) => "warn",
        (false, 0) => "info",
        (false, 1) => "info,tickscope=debug",
        (false, _) => "debug,tickscope=trace",
    };
    let directives = logging.directives.as_deref().filter(|text| !text.trim().is_empty()).unwrap_or(level);
    let (filter, refused) = match EnvFilter::try_new(directives) {
        Ok(filter) => (filter, false),
        Err(_) => (EnvFilter::new(level), true),
    };
    let set = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(logging.verbosity > 1)
        .with_ansi(logging.color)
        .with_timer(LocalTime)
        .with_writer(move || LogLine(log_writer.clone()))
        .try_init();
    if set.is_ok() && refused {
        tracing::warn!("RUST_LOG is ignored because it is malformed; a valid value is info,tickscope=debug");
    }
    writer
}

/// Log lines that are held while the terminal is in use: more than anyone scrolls back. The oldest are dropped first.
const HELD_LINES_MAX: usize = 500;

/// Log lines held until the terminal is free.
#[derive(Debug, Default)]
struct HeldLines {
    lines: VecDeque<Vec<u8>>,
    /// Number of dropped lines.
    dropped: u64,
    /// Number of all lines.
    total: u64,
}

/// Writer for log lines, data lines and at most one progress line on a terminal. Clones share it.
///
/// # Examples
///
/// ```
/// use tickscope::cli::LogWriter;
///
/// let log = LogWriter::hidden();
/// log.hold();
/// assert!(log.newest_held().is_none() && !log.shows_progress());
/// log.release();
/// ```
#[derive(Debug, Clone)]
pub struct LogWriter {
    /// Draws on stderr if that is a terminal. It serializes all writers.
    bars: MultiProgress,
    /// Set while log lines are held.
    held: Arc<Mutex<Option<HeldLines>>>,
}

impl Default for LogWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl LogWriter {
    /// Returns a writer that draws on stderr if that is a terminal. [`init_logging`] returns one that also gets the
    /// log.
    pub fn new() -> Self {
        Self { bars: MultiProgress::new(), held: Arc::default() }
    }

    /// Returns a writer that draws no progress, for programs that embed this library.
    pub fn hidden() -> Self {
        Self { bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()), held: Arc::default() }
    }

    /// Returns whether a progress line would be visible.
    pub fn shows_progress(&self) -> bool {
        !self.bars.is_hidden()
    }

    /// Returns a progress bar below the log lines, of the form that `template` describes. It is hidden unless
    /// `is_shown` is set and progress is visible.
    pub fn progress_bar(&self, template: &str, is_shown: bool) -> ProgressBar {
        match ProgressStyle::with_template(template) {
            Ok(style) if is_shown && self.shows_progress() => self.bars.add(ProgressBar::new(1).with_style(style)),
            _ => ProgressBar::hidden(),
        }
    }

    /// Writes a line to stdout, above the progress line.
    ///
    /// # Errors
    ///
    /// Fails if stdout cannot be written; a closed pipe is not an error.
    pub fn print_stdout(&self, text: &str) -> io::Result<()> {
        self.bars.suspend(|| print_stdout(text))
    }

    /// Writes a line to stderr, above the progress line.
    pub fn print_stderr(&self, text: &str) {
        // An error of stderr cannot be reported anywhere.
        self.write_stderr(format!("{text}\n").as_bytes()).ok();
    }

    /// Holds log lines from now on, because something else draws on the terminal.
    pub fn hold(&self) {
        *self.held() = Some(HeldLines::default());
    }

    /// Returns the number of lines since [`hold`](Self::hold), and the newest one without its line end.
    pub fn newest_held(&self) -> Option<(u64, String)> {
        let held = self.held();
        let held = held.as_ref()?;
        let line = String::from_utf8_lossy(held.lines.back()?).trim_end().to_owned();
        Some((held.total, line))
    }

    /// Writes the held lines, and holds no further ones.
    pub fn release(&self) {
        let Some(held) = self.held().take() else { return };
        if held.dropped > 0 {
            self.print_stderr(&format!("{} earlier log lines were dropped", held.dropped));
        }
        for line in held.lines {
            // An error of stderr cannot be reported anywhere.
            self.write_stderr(&line).ok();
        }
    }

    fn held(&self) -> MutexGuard<'_, Option<HeldLines>> {
        // A panic cannot leave a partial line.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds a log line. Returns whether lines are held.
    fn hold_line(&self, bytes: &[u8]) -> bool {
        let mut held = self.held();
        let Some(held) = held.as_mut() else { return false };
        held.total += 1;
        held.lines.push_back(bytes.to_vec());
        if held.lines.len() > HELD_LINES_MAX {
            held.lines.pop_front();
            held.dropped += 1;
        }
        true
    }

    fn write_stderr(&self, bytes: &[u8]) -> io::Result<()> {
        self.bars.suspend(|| io::stderr().lock().write_all(bytes))
    }
}

/// Writes a line to stdout. A closed pipe, as of `| head`, is not an error.
///
/// # Errors
///
/// Fails if stdout cannot be written for another reason.
pub fn print_stdout(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let written =
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writer of one log line.
struct LogLine(LogWriter);

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // tracing-subscriber writes a whole line at once. An error of stderr must not stop the program.
        if !self.0.hold_line(bytes) {
            self.0.write_stderr(bytes).ok();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Local time of day.
struct LocalTime;

impl FormatTime for LocalTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        write!(writer, "{}", jiff::Zoned::now().strftime("%H:%M:%S"))
    }
}
