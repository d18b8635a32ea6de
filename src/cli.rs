//! What both command lines share: durations, exit codes, logging and output that survives a closed pipe.
//!
//! Nothing here reads the environment; the binaries do, and hand in what they found.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};
use jiff::{Span, SpanRelativeTo};
use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::model::display_safe;

/// Exit status after a failure while running: Redis refused the password, a file broke off.
pub const EXIT_FAILURE: u8 = 1;

/// Exit status when the command line or its surroundings (a file, a display) made running impossible; clap's own, too.
pub const EXIT_USAGE: u8 = 2;

/// Exit status when a second signal cut the clean end short: 128 + SIGINT, as shells report it.
pub const EXIT_INTERRUPTED: i32 = 130;

/// Longest duration taken from a command line: a hundred years, well inside 64 bits of nanoseconds.
pub const DURATION_MAX: Duration = Duration::from_hours(100 * 366 * 24);

/// Why a duration cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DurationError {
    /// Neither a number nor a number with a unit.
    #[error("a duration is a number of seconds such as 0.5, or has units such as 250ms, 2m, 1h30m")]
    Malformed,
    /// Below zero.
    #[error("a duration cannot be negative")]
    Negative,
    /// Above [`DURATION_MAX`].
    #[error("a duration cannot exceed 100 years")]
    TooLong,
    /// Above zero, but not by a nanosecond.
    #[error("a duration other than 0 is at least one nanosecond")]
    TooShort,
}

/// Reads the command line. When it cannot be used, or only asked for help, everything has been said already and the
/// exit code is returned. Passwords in URLs are never repeated.
pub fn parse_args<A: clap::Parser>() -> Result<A, ExitCode> {
    A::try_parse().map_err(|error| {
        if error.use_stderr() && error.to_string().contains("://") {
            let mut stderr = io::stderr().lock();
            stderr.write_all(redacted(&error.to_string()).as_bytes()).ok();
        } else {
            // Like ours, clap's output may go to a closed pipe.
            error.print().ok();
        }
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(EXIT_USAGE))
    })
}

/// `text` with user and password cut out of whatever looks like a URL.
fn redacted(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        clean.push_str(before);
        clean.push_str("://");
        // A password may hold any character, so everything up to the line's last @ is taken for credentials.
        let line_end = after.find('\n').unwrap_or(after.len());
        rest = match after[..line_end].rfind('@') {
            Some(at) => {
                clean.push_str("***");
                &after[at..]
            }
            None => after,
        };
    }
    clean.push_str(rest);
    clean
}

/// What TLS (`rediss://`) needs beyond the URL.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TlsArgs {
    /// With TLS: trust the authorities in this PEM file, instead of this machine's own
    #[arg(long, value_name = "FILE", env = "TICKSCOPE_TLS_CA")]
    pub tls_ca: Option<PathBuf>,
    /// With TLS: the certificate, as PEM, to show to a server that asks for one
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// With TLS: the private key of that certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

impl TlsArgs {
    /// The three files. An empty name, as scripts unset a variable, is none.
    pub fn files(self) -> [Option<PathBuf>; 3] {
        [self.tls_ca, self.tls_cert, self.tls_key].map(|file| file.filter(|path| !path.as_os_str().is_empty()))
    }
}

/// Reads `0.5` (seconds), `250ms`, `2m`, `1h30m`, `1d` (24 hours). Fits as a clap value parser.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    let duration = match text.parse::<f64>() {
        Ok(seconds) => from_seconds(seconds)?,
        Err(_) => from_units(text)?,
    };
    if duration > DURATION_MAX { Err(DurationError::TooLong) } else { Ok(duration) }
}

/// Reads a port that can be connected to. Fits as a clap value parser.
pub fn parse_port(text: &str) -> Result<u16, &'static str> {
    text.trim().parse().ok().filter(|port| *port > 0).ok_or("a port is a number from 1 to 65535")
}

fn from_seconds(seconds: f64) -> Result<Duration, DurationError> {
    if seconds.is_nan() {
        return Err(DurationError::Malformed);
    }
    if seconds < 0.0 {
        return Err(DurationError::Negative);
    }
    let duration = Duration::try_from_secs_f64(seconds).map_err(|_| DurationError::TooLong)?;
    if duration.is_zero() && seconds > 0.0 { Err(DurationError::TooShort) } else { Ok(duration) }
}

fn from_units(text: &str) -> Result<Duration, DurationError> {
    let span: Span = text.parse().map_err(|_| DurationError::Malformed)?;
    if span.is_negative() {
        return Err(DurationError::Negative);
    }
    // Months and years have no fixed length, so they are refused; a day is 24 hours.
    let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| DurationError::Malformed)?;
    Duration::try_from(signed).map_err(|_| DurationError::TooLong)
}

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

/// The terminal, shared by log lines, data lines and at most one progress line. A cheap handle.
#[derive(Debug, Clone)]
pub struct Console {
    /// Draws to stderr, and to nothing when that is no terminal. It serialises all writers, hence no lock of ours.
    bars: MultiProgress,
}

impl Default for Console {
    fn default() -> Self {
        Self::new()
    }
}

impl Console {
    /// Draws on stderr where that is a terminal. `init_logging` makes one that log lines go through.
    pub fn new() -> Self {
        Self { bars: MultiProgress::new() }
    }

    /// Draws nothing, for programs that embed this library.
    pub fn hidden() -> Self {
        Self { bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()) }
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
        self.console.write_stderr(bytes).ok();
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

/// Resolves on the first Ctrl-C or SIGTERM; a second one ends the process at once, with [`EXIT_INTERRUPTED`].
///
/// For the binaries only: a library must not take its host's signals. Call it inside a tokio runtime and before the
/// work starts, because the handlers are in place only from then on.
pub fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    let mut signals = Signals::listen()?;
    Ok(async move {
        signals.next().await;
        tokio::spawn(async move {
            signals.next().await;
            std::process::exit(EXIT_INTERRUPTED);
        });
    })
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals {
    ctrl_c: tokio::signal::windows::CtrlC,
}

#[cfg(windows)]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { ctrl_c: tokio::signal::windows::ctrl_c()? })
    }

    async fn next(&mut self) {
        self.ctrl_c.recv().await;
    }
}

/// `error` and its causes on one line, safe for a terminal: "what failed: because of this: because of that". A cause
/// that an error has worked into its own words is not repeated.
pub fn error_line(error: &anyhow::Error) -> String {
    let mut line = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !line.contains(&cause) {
            line.push_str(": ");
            line.push_str(&cause);
        }
    }
    display_safe(&line).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_seconds_or_carry_units() {
        for (text, nanos) in [
            ("0", 0),
            ("1", 1_000_000_000),
            ("0.5", 500_000_000),
            (" 2 ", 2_000_000_000),
            ("1e-9", 1),
            ("250ms", 250_000_000),
            ("250 ms", 250_000_000),
            ("10us", 10_000),
            ("10µs", 10_000),
            ("2m", 120_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("1d", 86_400_000_000_000),
            ("0s", 0),
            ("PT2S", 2_000_000_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn durations_that_mean_nothing_are_refused_with_their_cause() {
        for (text, error) in [
            ("", DurationError::Malformed),
            ("fast", DurationError::Malformed),
            ("NaN", DurationError::Malformed),
            ("1mo", DurationError::Malformed),
            ("1y", DurationError::Malformed),
            ("5 parsecs", DurationError::Malformed),
            ("-1", DurationError::Negative),
            ("-2m", DurationError::Negative),
            ("1m ago", DurationError::Negative),
            ("1e300", DurationError::TooLong),
            ("inf", DurationError::TooLong),
            ("1000000h", DurationError::TooLong),
            ("1e-12", DurationError::TooShort),
        ] {
            assert_eq!(parse_duration(text), Err(error), "{text}");
        }
    }

    #[test]
    fn passwords_are_cut_out_of_urls() {
        for (text, clean) in [
            ("no url", "no url"),
            (
                "error: unexpected argument 'redis://u:p@ss:w@h:1/2' found\n\nUsage: x",
                "error: unexpected argument 'redis://***@h:1/2' found\n\nUsage: x",
            ),
            ("redis://h:1 and\na://:x@b", "redis://h:1 and\na://***@b"),
            ("redis://u:a://b@h", "redis://***@h"),
        ] {
            assert_eq!(redacted(text), clean);
        }
    }

    #[test]
    fn an_error_line_holds_the_chain_and_no_control_characters() {
        let error = anyhow::anyhow!("no such file\u{1b}[2J").context("cannot read it");
        assert_eq!(error_line(&error), "cannot read it: no such file\\u{1b}[2J");
        let error = anyhow::anyhow!("disk full").context("cannot write x (disk full); make room");
        assert_eq!(error_line(&error), "cannot write x (disk full); make room");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            if let Ok(duration) = parse_duration(&text) {
                prop_assert!(duration <= DURATION_MAX);
            }
        }

        #[test]
        fn whole_milliseconds_are_exact(millis in 0u64..1_000_000_000) {
            prop_assert_eq!(parse_duration(&format!("{millis}ms")), Ok(Duration::from_millis(millis)));
        }
    }
}
