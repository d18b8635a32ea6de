//! Log lines, data lines and a progress line share one terminal without tearing each other.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// How much is logged, and how.
#[derive(Debug, Clone, Default)]
pub struct Logging {
    /// 0 shows what matters, 1 adds debug, 2 and more adds every detail.
    pub verbosity: u8,
    /// Only warnings and errors.
    pub quiet: bool,
    /// Whether levels are coloured: stderr is a terminal and `NO_COLOR` is not set.
    pub color: bool,
    /// `RUST_LOG`'s directives, which replace the two settings above.
    pub directives: Option<String>,
}

/// Sends tracing events to stderr, one line each, through the returned [`Console`], so that they never tear a progress
/// line. A second call in one process leaves the first one's logging in place.
pub fn init_logging(logging: &Logging) -> Console {
    let console = Console::new();
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
        .with_writer(console.clone())
        .try_init();
    if set.is_ok() && refused {
        tracing::warn!("RUST_LOG is not understood and ignored; it looks like info,tickscope=debug");
    }
    console
}

/// Log lines kept while something else has the terminal: more than anyone scrolls back through. The oldest go first.
const HELD_MAX: usize = 500;

/// Log lines that wait until the terminal is free.
#[derive(Debug, Default)]
struct Held {
    lines: VecDeque<Vec<u8>>,
    /// How many were let go.
    dropped: u64,
    /// How many came in all.
    seen: u64,
}

/// The terminal, shared by log lines, data lines and at most one progress line. A cheap handle.
#[derive(Debug, Clone)]
pub struct Console {
    /// Draws to stderr, and to nothing when that is no terminal. It serialises all writers, hence no lock of ours.
    bars: MultiProgress,
    /// Set while log lines must wait.
    held: Arc<Mutex<Option<Held>>>,
}

impl Default for Console {
    fn default() -> Self {
        Self::new()
    }
}

impl Console {
    /// Draws on stderr where that is a terminal. `init_logging` makes one that log lines go through.
    pub fn new() -> Self {
        Self { bars: MultiProgress::new(), held: Arc::default() }
    }

    /// Draws nothing, for programs that embed this library.
    pub fn hidden() -> Self {
        Self { bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()), held: Arc::default() }
    }

    /// Whether a progress line would be seen.
    pub fn shows_progress(&self) -> bool {
        !self.bars.is_hidden()
    }

    /// Puts `bar` below the log lines.
    pub fn add(&self, bar: ProgressBar) -> ProgressBar {
        self.bars.add(bar)
    }

    /// Writes `text` and a line end to stdout, above the progress line.
    pub fn print_stdout(&self, text: &str) -> io::Result<()> {
        self.bars.suspend(|| print_stdout(text))
    }

    /// Writes `text` and a line end to stderr, above the progress line.
    pub fn print_stderr(&self, text: &str) {
        // There is nowhere left to complain when stderr is gone.
        self.write_stderr(format!("{text}\n").as_bytes()).ok();
    }

    /// From now on log lines wait, because something else draws on the terminal.
    pub fn hold(&self) {
        *self.held() = Some(Held::default());
    }

    /// The newest line that waits, without its line end, and how many came before it.
    pub fn newest_held(&self) -> Option<(u64, String)> {
        let held = self.held();
        let held = held.as_ref()?;
        let line = String::from_utf8_lossy(held.lines.back()?).trim_end().to_owned();
        Some((held.seen, line))
    }

    /// The terminal is free again: what waited is written, and nothing waits any more.
    pub fn release(&self) {
        let Some(held) = self.held().take() else { return };
        if held.dropped > 0 {
            self.print_stderr(&format!("{} earlier log lines were left out", held.dropped));
        }
        for line in held.lines {
            // There is nowhere left to complain when stderr is gone.
            self.write_stderr(&line).ok();
        }
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        // A panic elsewhere leaves whole lines behind.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a log line if such have to wait.
    fn keep(&self, bytes: &[u8]) -> bool {
        let mut held = self.held();
        let Some(held) = held.as_mut() else { return false };
        held.seen += 1;
        held.lines.push_back(bytes.to_vec());
        if held.lines.len() > HELD_MAX {
            held.lines.pop_front();
            held.dropped += 1;
        }
        true
    }

    fn write_stderr(&self, bytes: &[u8]) -> io::Result<()> {
        self.bars.suspend(|| io::stderr().lock().write_all(bytes))
    }
}

/// Writes `text` and a line end to stdout. That its reader has gone (`| head`) is no error.
pub fn print_stdout(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let written =
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// One log line on its way to stderr.
#[derive(Debug)]
pub struct LogLine {
    console: Console,
}

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // tracing-subscriber hands over one whole line; a stderr that is gone must not stop the program.
        if !self.console.keep(bytes) {
            self.console.write_stderr(bytes).ok();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Console {
    type Writer = LogLine;

    fn make_writer(&'a self) -> LogLine {
        LogLine { console: self.clone() }
    }
}

/// Wall-clock time of day: what a person at the terminal compares with.
struct LocalTime;

impl FormatTime for LocalTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        write!(writer, "{}", jiff::Zoned::now().strftime("%H:%M:%S"))
    }
}
