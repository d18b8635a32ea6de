//! What both command lines share: settings, durations, exit codes, logging and output that survives a closed pipe.
//!
//! [`Environment::of_process`] and [`shutdown_signal`] are for the binaries; all else is told what they found.

mod environment;
mod logging;
mod settings;
mod time_arg;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use thiserror::Error;

use crate::model::display_safe;
pub use environment::Environment;
pub use logging::{Console, LogLine, Logging, init_logging, print_stdout};
pub use settings::{Origin, Placed, Settings, SettingsError, variable};
pub use time_arg::{TimeError, parse_time};

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

/// What the names of parameters hold whose values nobody is to see: password, passwd, the pass of a Redis socket.
const SECRET_NAMES: [&str; 2] = ["pass", "secret"];

/// `text` with user, password and such parameters cut out of whatever looks like a URL.
fn redacted(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(redacted_line).collect();
    lines.join("\n")
}

fn redacted_line(line: &str) -> String {
    let Some((before, rest)) = line.split_once("://") else { return line.to_owned() };
    // A password may hold any character, so everything up to the line's last @ is taken for credentials.
    let (hidden, mut shown) = rest.split_at(rest.rfind('@').unwrap_or(0));
    let mut clean = format!("{before}://{}", if hidden.is_empty() { "" } else { "***" });
    let last_hidden = hidden.split_once('?').and_then(|(_, query)| query.rsplit('&').next());
    let is_cut = last_hidden.and_then(|pair| pair.split_once('=')).is_some_and(|(name, _)| is_secret(name));
    if is_cut {
        // That @ was one of a secret value, which goes on behind it.
        clean.push_str("@***");
        shown = shown.find('&').map_or("", |end| &shown[end..]);
    }
    let query_at = shown.find(if is_cut { '&' } else { '?' }).unwrap_or(shown.len());
    clean.push_str(&shown[..query_at]);
    for pair in shown[query_at..].split_inclusive('&') {
        match pair.split_once('=') {
            Some((name, value)) if is_secret(name) => {
                clean.push_str(name);
                clean.push_str(if value.ends_with('&') { "=***&" } else { "=***" });
            }
            _ => clean.push_str(pair),
        }
    }
    clean
}

/// Whether the value of a parameter of that name is a secret. `%70` and the like may stand for letters.
fn is_secret(name: &str) -> bool {
    let mut plain = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let code = rest.strip_prefix('%').and_then(|rest| u8::from_str_radix(rest.get(..2)?, 16).ok());
        plain.push(code.map_or(first, char::from).to_ascii_lowercase());
        rest = &rest[if code.is_some() { 3 } else { first.len_utf8() }..];
    }
    SECRET_NAMES.iter().any(|secret| plain.contains(secret))
}

/// Where settings come from, and a look at them.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct ConfigArgs {
    /// File of settings [default: tickscope/tickscope.toml where this platform keeps settings]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print all settings as such a file, each with where it came from, and exit
    #[arg(long)]
    pub print_config: bool,
}

/// What TLS (`rediss://`) needs beyond the URL.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TlsArgs {
    /// With TLS: trust the authorities in this PEM file, instead of this machine's own
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// With TLS: the certificate, as PEM, to show to a server that asks for one
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// With TLS: the private key of that certificate, as PEM
    #[arg(long, value_name = "FILE")]
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

/// Resolves on the first Ctrl-C, SIGTERM or SIGHUP; a second one ends the process at once, with [`EXIT_INTERRUPTED`],
/// after `last`.
///
/// For the binaries only: a library must not take its host's signals. Call it inside a tokio runtime and before the
/// work starts, because the handlers are in place only from then on.
pub fn shutdown_signal(last: fn()) -> io::Result<impl Future<Output = ()>> {
    let mut signals = Signals::listen()?;
    Ok(async move {
        signals.next().await;
        tokio::spawn(async move {
            signals.next().await;
            last();
            std::process::exit(EXIT_INTERRUPTED);
        });
    })
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// The terminal's window was closed, or the line to it was lost.
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
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
            ("postgres://me:pw@h/d?sslmode=require&password=s3cret", "postgres://***@h/d?sslmode=require&password=***"),
            ("postgres://h/d?user=me&password=s3cret", "postgres://h/d?user=me&password=***"),
            ("postgres://h/d?PassWord=s3cret&user=me\nx", "postgres://h/d?PassWord=***&user=me\nx"),
            ("postgres://h/d?%70ass%77ord=s3?cret&user=me", "postgres://h/d?%70ass%77ord=***&user=me"),
            ("postgres://h/d?password=s3@cret&user=me", "postgres://***@***&user=me"),
            ("postgres://h/d?password=s3@cret", "postgres://***@***"),
            (
                "mongodb://h/d?tls=true&tlsCertificateKeyFilePassword=s3cret&x=%",
                "mongodb://h/d?tls=true&tlsCertificateKeyFilePassword=***&x=%",
            ),
            ("unix:///run/redis.sock?db=1&pass=s3cret", "unix:///run/redis.sock?db=1&pass=***"),
            ("http://h/?client_secret=s3cret&db_passwd=s3cret", "http://h/?client_secret=***&db_passwd=***"),
            ("http://h/?a=b?c=d&%\u{fc}=1", "http://h/?a=b?c=d&%\u{fc}=1"),
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
