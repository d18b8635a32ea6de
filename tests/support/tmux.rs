//! Private terminal of a test: a tmux server with one window of a known size, synthetic keys and mouse, and access to
//! its cells.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::process::FOLDERS;
use super::wait::{poll, wait_until};

/// Longest wait for a reply of tmux, which is immediate on an idle machine.
const ANSWER_MAX: Duration = super::wait::GUARD;

/// Variables that would change the behaviour of the program.
const REMOVED: &str = "REDIS_URL DISPLAY WAYLAND_DISPLAY XAUTHORITY RUST_LOG NO_COLOR COLORTERM";

/// A terminal; closed when dropped, with all programs in it.
pub struct Terminal {
    /// Working directory of the shell; it contains the directories of settings.
    pub dir: TempDir,
}

/// Contents of the screen at one moment: one string per row, without trailing blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shot(pub Vec<String>);

impl Terminal {
    /// Starts a shell in a terminal of this size in cells.
    pub fn start(columns: u16, rows: u16) -> Self {
        let terminal = Self { dir: tempfile::tempdir().unwrap() };
        let mut script = format!("unset {REMOVED} ENV; export TZ=UTC PS1='$ ' LANG=C.UTF-8\n");
        for name in std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with("TICKSCOPE_")) {
            // Writing to a string cannot fail.
            let _ = writeln!(script, "unset {name}");
        }
        for (name, folder) in FOLDERS {
            let _ = writeln!(script, "export {name}={}", terminal.dir.path().join(folder).display());
        }
        let _ = writeln!(script, "cd {}\nexec bash --norc --noprofile -i", terminal.dir.path().display());
        let path = terminal.dir.path().join("shell.sh");
        fs::write(&path, script).unwrap();
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let shell = format!("sh {}", path.display());
        let started =
            terminal.ask(&["-u", "-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &rows, &shell]);
        assert_eq!(started, "", "tmux did not start");
        terminal.ask(&["set-option", "-g", "status", "off"]);
        terminal.ask(&["resize-window", "-x", &columns, "-y", &rows]);
        terminal.when("a prompt", |shot| shot.0.iter().any(|line| line.starts_with('$')));
        terminal
    }

    fn socket(&self) -> std::path::PathBuf {
        self.dir.path().join("tmux")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        // Inside another tmux, the variable would refer to that server.
        command
            .env_remove("TMUX")
            .env("LC_ALL", "C.UTF-8")
            .arg("-S")
            .arg(self.socket())
            .args(args)
            .stdin(Stdio::null());
        command
    }

    fn ask(&self, args: &[&str]) -> String {
        let output = self.command(args).output();
        let output = output.unwrap_or_else(|error| panic!("tmux did not start: {error}; run `scripts/test install`"));
        assert!(output.status.success(), "tmux {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Types a line into the shell.
    pub fn run(&self, line: &str) {
        self.text(line);
        self.key("Enter");
    }

    /// Presses a key, by its name in tmux: `q`, `Space`, `Left`, `C-c`.
    pub fn key(&self, name: &str) {
        self.ask(&["send-keys", name]);
    }

    /// Sends characters unchanged.
    pub fn text(&self, text: &str) {
        self.ask(&["send-keys", "-l", text]);
    }

    /// Sends a mouse report (SGR encoding): button 0 is the left one, 35 is none, 64 and 65 are the wheel.
    pub fn mouse(&self, button: u8, (column, row): (u16, u16), down: bool) {
        let end = if down { 'M' } else { 'm' };
        self.text(&format!("\u{1b}[<{button};{};{}{end}", column + 1, row + 1));
    }

    /// Presses and releases the left button.
    pub fn click(&self, at: (u16, u16)) {
        self.mouse(0, at, true);
        self.mouse(0, at, false);
    }

    /// Resizes the terminal.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.ask(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// Returns the current screen.
    pub fn shot(&self) -> Shot {
        Shot(self.ask(&["capture-pane", "-p"]).lines().map(|line| line.trim_end().to_owned()).collect())
    }

    /// Returns the current screen with its colours as escape sequences.
    pub fn coloured(&self) -> String {
        self.ask(&["capture-pane", "-p", "-e"])
    }

    /// Returns three modes of the terminal: alternate screen in use, cursor visible, mouse reporting on.
    pub fn modes(&self) -> (bool, bool, bool) {
        let answer = self.ask(&["display-message", "-p", "#{alternate_on} #{cursor_flag} #{mouse_any_flag}"]);
        let flags: Vec<bool> = answer.split_whitespace().map(|flag| flag == "1").collect();
        (flags[0], flags[1], flags[2])
    }

    /// Returns the first screen that `wanted` accepts.
    #[track_caller]
    pub fn when(&self, what: &str, mut wanted: impl FnMut(&Shot) -> bool) -> Shot {
        let mut last = None;
        let found = poll(ANSWER_MAX, || {
            let shot = self.shot();
            let is_it = wanted(&shot);
            last = Some(shot.clone());
            is_it.then_some(shot)
        });
        found.unwrap_or_else(|| panic!("{what} did not come; the screen shows\n{}", last.unwrap()))
    }

    /// Waits until the terminal has been restored to its state before the program.
    #[track_caller]
    pub fn wait_until_given_back(&self) {
        wait_until("the terminal to be given back", ANSWER_MAX, || self.modes() == (false, true, false));
    }

    /// Process id of the first program of this name in the terminal.
    pub fn find_process(&self, name: &str) -> Option<u32> {
        let shell = self.ask(&["display-message", "-p", "#{pane_pid}"]);
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", shell.trim())).ok()?;
        let is_named = |id: &&str| {
            let command = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            let program = command.split(|byte| *byte == 0).next().unwrap_or_default();
            Path::new(&*String::from_utf8_lossy(program)).file_name().is_some_and(|file| file == name)
        };
        children.split_whitespace().find(is_named)?.parse().ok()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // This fails if the shell, and with it the server, has already exited.
        drop(self.command(&["kill-server"]).stderr(Stdio::null()).status());
    }
}

impl Shot {
    /// Returns `true` if any row contains `text`.
    pub fn has(&self, text: &str) -> bool {
        self.0.iter().any(|line| line.contains(text))
    }

    /// Character of a cell; a blank if the cell is empty.
    pub fn at(&self, column: u16, row: u16) -> char {
        let line = self.0.get(usize::from(row));
        line.and_then(|line| line.chars().nth(usize::from(column))).unwrap_or(' ')
    }
}

impl std::fmt::Display for Shot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "|{line}"))
    }
}
