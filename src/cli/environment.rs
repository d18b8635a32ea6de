//! Environment of the process as values: command line, variables, folders, terminal.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal, stderr, stdout};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use crate::cli::logging::Logging;

/// Everything that the binaries read from their environment and pass to the rest of the program.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// Command line, starting with the program's name.
    pub args: Vec<OsString>,
    /// Environment variables.
    pub variables: BTreeMap<OsString, OsString>,
    /// This platform's folder for settings, such as `~/.config`; `None` if no home directory is set.
    pub config_dir: Option<PathBuf>,
    /// This platform's folder for state, such as `~/.local/state`.
    pub state_dir: Option<PathBuf>,
    /// This platform's folder for a user's data, such as `~/.local/share`.
    pub data_dir: Option<PathBuf>,
    /// Set if standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Set if standard error is a terminal.
    pub stderr_is_terminal: bool,
}

impl Environment {
    /// Reads the environment of this process. Only binaries call it: a library must not depend on its host.
    pub fn from_process() -> Self {
        let [config_dir, state_dir, data_dir] = folders();
        Self {
            args: std::env::args_os().collect(),
            variables: std::env::vars_os().collect(),
            config_dir,
            state_dir,
            data_dir,
            stdout_is_terminal: stdout().is_terminal(),
            stderr_is_terminal: stderr().is_terminal(),
        }
    }

    /// Returns a variable that is set and not empty. Scripts unset variables by making them empty.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// Returns whether `NO_COLOR` requests plain text (<https://no-color.org>).
    pub fn no_color(&self) -> bool {
        self.variable("NO_COLOR").is_some()
    }

    /// Returns the logging options for these flags.
    pub fn logging(&self, verbosity: u8, quiet: bool) -> Logging {
        let directives = self.variable("RUST_LOG").and_then(OsStr::to_str).map(str::to_owned);
        Logging { verbosity, quiet, color: self.stderr_is_terminal && !self.no_color(), directives }
    }

    /// Returns whether standard output is a terminal that can be drawn on.
    pub fn can_draw(&self) -> bool {
        let dumb = |term: &OsStr| term == "dumb";
        // Windows sets no TERM, and its terminals can be drawn on.
        self.stdout_is_terminal && self.variable("TERM").map_or(cfg!(windows), |term| !dumb(term))
    }

    /// Returns whether the terminal announces 16 million colors.
    pub fn true_color(&self) -> bool {
        self.variable("COLORTERM").is_some_and(|value| value == "truecolor" || value == "24bit") || cfg!(windows)
    }
}

/// Returns this user's folders for settings, state and data.
fn folders() -> [Option<PathBuf>; 3] {
    let Ok(native) = etcetera::base_strategy::choose_native_strategy() else { return [None, None, None] };
    // On macOS, Library/Preferences is reserved for property lists that the system manages.
    let config = if cfg!(target_os = "macos") { native.data_dir() } else { native.config_dir() };
    let state = native.state_dir().unwrap_or_else(|| native.data_dir());
    let absolute = |dir: PathBuf| Some(dir).filter(|dir: &PathBuf| Path::is_absolute(dir));
    [config, state, native.data_dir()].map(absolute)
}
