//! Parts that both command lines share: settings, durations and times, exit statuses, logging, signals.
//!
//! Only the binaries call [`Environment::from_process`] and [`shutdown_signal`]. All other code gets their results.

mod duration;
mod environment;
mod logging;
mod redact;
mod settings;
mod signals;
mod time_arg;

use std::path::PathBuf;

use crate::model::display_safe;
pub use duration::{DURATION_MAX, DurationError, parse_duration};
pub use environment::Environment;
pub use logging::{LogWriter, Logging, init_logging, print_stdout};
pub use settings::{LocatedError, Origin, Settings, SettingsError, variable};
pub use signals::shutdown_signal;
pub use time_arg::{TimeError, parse_time};

/// Implements clap's `ValueEnum` for an enum of a module that does not know clap.
macro_rules! impl_value_enum {
    ($type:ty { $($variant:ident = $word:literal: $help:literal,)* }) => {
        impl clap::ValueEnum for $type {
            fn value_variants<'a>() -> &'a [Self] {
                &[$(Self::$variant),*]
            }

            fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
                Some(match self {
                    $(Self::$variant => clap::builder::PossibleValue::new($word).help($help),)*
                })
            }
        }
    };
}
pub(crate) use impl_value_enum;

/// Exit status after a failure at run time, such as a wrong password.
pub const EXIT_FAILURE: u8 = 1;

/// Exit status if the command line, a file or the display made running impossible. clap uses the same.
pub const EXIT_USAGE: u8 = 2;

/// Exit status after a second signal: 128 + SIGINT, as shells report it.
pub const EXIT_INTERRUPTED: i32 = 130;

/// Flags for the settings file.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct ConfigArgs {
    /// Settings file [default: tickscope/tickscope.toml in this platform's folder for settings]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print all settings in the form of a settings file, each with its origin, and exit
    #[arg(long)]
    pub print_config: bool,
}

/// Flags for TLS (`rediss://`).
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TlsArgs {
    /// With TLS: trust the authorities in this PEM file, instead of this machine's own
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// With TLS: certificate to show to a server that requires one, as PEM
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// With TLS: private key of that certificate, as PEM
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
}

impl TlsArgs {
    /// Returns the paths of authorities, certificate and key. An empty path counts as none.
    pub fn files(self) -> [Option<PathBuf>; 3] {
        [self.tls_ca, self.tls_cert, self.tls_key].map(|file| file.filter(|path| !path.as_os_str().is_empty()))
    }
}

/// Parses a port other than 0. Usable as a clap value parser.
///
/// # Errors
///
/// Fails if the text is not a number from 1 to 65535.
pub fn parse_port(text: &str) -> Result<u16, &'static str> {
    text.trim().parse().ok().filter(|port| *port > 0).ok_or("a port is a number from 1 to 65535")
}

/// Returns an error and its causes on one line, safe for a terminal: "failure: cause: cause". A cause that an error
/// repeats in its own text is omitted.
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

    #[test]
    fn an_error_line_has_all_causes_and_no_control_characters() {
        let error = anyhow::anyhow!("no such file\u{1b}[2J").context("cannot read it");
        assert_eq!(error_line(&error), "cannot read it: no such file\\u{1b}[2J");
        let error = anyhow::anyhow!("disk full").context("cannot write x (disk full); make room");
        assert_eq!(error_line(&error), "cannot write x (disk full); make room");
    }
}
