//! What a process finds around it when it starts, as values: the command line, the environment, folders, the terminal.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal, stderr, stdout};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use super::Logging;

/// Everything that the binaries look up; the rest of the program is handed it.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// The command line; the first word is the program's name.
    pub args: Vec<OsString>,
    /// The environment.
    pub variables: BTreeMap<OsString, OsString>,
    /// Where this platform keeps settings, such as `~/.config`; `None` where nobody is at home.
    pub config_dir: Option<PathBuf>,
    /// Where this platform keeps what programs remember, such as `~/.local/state`.
    pub state_dir: Option<PathBuf>,
    /// Where this platform keeps a user's data, such as `~/.local/share`.
    pub data_dir: Option<PathBuf>,
    /// Whether standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether standard error is a terminal.
    pub stderr_is_terminal: bool,
}

impl Environment {
    /// Those of this process. For the binaries only: a library must not depend on its host's surroundings.
    pub fn of_process() -> Self {
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

    /// A variable that is set and not empty: an empty one is how scripts unset it.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// Whether `NO_COLOR` asks for plain text (<https://no-color.org>).
    pub fn no_color(&self) -> bool {
        self.variable("NO_COLOR").is_some()
    }

    /// How the log is to be, with this much said on the command line.
    pub fn logging(&self, verbosity: u8, quiet: bool) -> Logging {
        let directives = self.variable("RUST_LOG").and_then(OsStr::to_str).map(str::to_owned);
        Logging { verbosity, quiet, color: self.stderr_is_terminal && !self.no_color(), directives }
    }

    /// Whether standard output is a terminal that can be drawn on.
    pub fn can_draw(&self) -> bool {
        let dumb = |term: &OsStr| term == "dumb";
        // Windows has no TERM and can draw all the same.
        self.stdout_is_terminal && self.variable("TERM").map_or(cfg!(windows), |term| !dumb(term))
    }

    /// Whether the terminal says that it shows 16 million colours.
    pub fn true_color(&self) -> bool {
        self.variable("COLORTERM").is_some_and(|value| value == "truecolor" || value == "24bit") || cfg!(windows)
    }
}

/// Settings, state and data of this user.
fn folders() -> [Option<PathBuf>; 3] {
    let Ok(native) = etcetera::base_strategy::choose_native_strategy() else { return [None, None, None] };
    // On macOS, Library/Preferences is for property lists that the system itself manages.
    let config = if cfg!(target_os = "macos") { native.data_dir() } else { native.config_dir() };
    let state = native.state_dir().unwrap_or_else(|| native.data_dir());
    let absolute = |dir: PathBuf| Some(dir).filter(|dir: &PathBuf| Path::is_absolute(dir));
    [config, state, native.data_dir()].map(absolute)
}
