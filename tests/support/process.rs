//! Programs as child processes whose output is read while they run.

use std::ffi::OsStr;
use std::fmt;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::wait::poll;

/// Variables that would change the result of a test if set on a developer's machine.
const ENV_REMOVED: &[&str] = &[
    "REDIS_URL",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "RUST_LOG",
    "RUST_BACKTRACE",
    "NO_COLOR",
    "CLICOLOR_FORCE",
];

/// Prefix of the variables of tickscope's programs.
const OWN_PREFIX: &str = "TICKSCOPE_";

/// Directories in which the programs look for the user's settings and save their state.
pub const FOLDERS: [(&str, &str); 3] =
    [("XDG_CONFIG_HOME", "config"), ("XDG_STATE_HOME", "state"), ("XDG_DATA_HOME", "data")];

/// Command line of a program.
pub struct Launch {
    name: String,
    command: Command,
    stdin: Option<Vec<u8>>,
    /// Home directory, empty and private to this program.
    home: TempDir,
}

/// A running program; killed when dropped.
pub struct Running {
    name: String,
    child: Child,
    /// Removed together with the program.
    _home: TempDir,
    started: Instant,
    stdout: Pipe,
    stderr: Pipe,
}

/// Exit status and output of a program.
pub struct Ended {
    /// Command line, for messages.
    pub name: String,
    /// Exit code; `None` if a signal terminated the program.
    pub code: Option<i32>,
    /// Complete output; invalid UTF-8 is replaced.
    pub stdout: String,
    /// Complete output; invalid UTF-8 is replaced.
    pub stderr: String,
    /// Time from the start until the exit was detected.
    pub elapsed: Duration,
}

/// Command line of this crate's `producer`, as built for these tests.
pub fn producer() -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_producer"))
}

/// Command line of this crate's `consumer`, as built for these tests.
pub fn consumer() -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_consumer"))
}

/// Command line of a script in `tests/support/python`, run by a Python interpreter with redis-py.
pub fn python(script: &str) -> Launch {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/python").join(script);
    Launch::new(find_python()).args([path])
}

/// Finds the interpreter: the one named by `scripts/test`, otherwise Debian's, otherwise `python3` on the `PATH`.
fn find_python() -> String {
    let named = std::env::var("TICKSCOPE_TEST_PYTHON").ok();
    let candidates = named.into_iter().chain(["/usr/bin/python3".to_owned(), "python3".to_owned()]);
    let has_redis = |python: &String| {
        let probe = Command::new(python).args(["-c", "import redis"]).stderr(Stdio::null()).status();
        probe.is_ok_and(|status| status.success())
    };
    candidates.into_iter().find(has_redis).unwrap_or_else(|| {
        panic!("no Python with redis-py was found: run `scripts/test install`, or set TICKSCOPE_TEST_PYTHON")
    })
}

impl Launch {
    /// Command line of any program, by name or path. The time zone is UTC, and variables that would change the
    /// behaviour of the program are removed.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(&program);
        command.env("TZ", "UTC");
        for name in ENV_REMOVED {
            command.env_remove(name);
        }
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with(OWN_PREFIX)) {
            command.env_remove(name);
        }
        // Settings and saved views of the developer do not affect the tests, and the tests do not modify them.
        let home = tempfile::tempdir().unwrap();
        for (name, folder) in FOLDERS {
            command.env(name, home.path().join(folder));
        }
        let name = Path::new(&program).file_name().unwrap_or(program.as_ref()).to_string_lossy().into_owned();
        Self { name, command, stdin: None, home }
    }

    /// Appends arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        for arg in args {
            self.name = format!("{} {}", self.name, arg.as_ref().to_string_lossy());
            self.command.arg(arg);
        }
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the directories of settings and state to those below `home`, which other programs may share.
    pub fn home(mut self, home: &Path) -> Self {
        for (name, folder) in FOLDERS {
            self.command.env(name, home.join(folder));
        }
        self
    }

    /// Sets the working directory.
    pub fn dir(mut self, path: &Path) -> Self {
        self.command.current_dir(path);
        self
    }

    /// Sets the contents of standard input; empty by default.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Starts the program.
    pub fn start(mut self) -> Running {
        let stdin = if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
        let started = Instant::now();
        let mut child = self
            .command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("`{}` did not start: {error}; run `scripts/test install`", self.name));
        if let Some(bytes) = self.stdin.take() {
            let mut pipe = child.stdin.take().unwrap();
            // The program may exit before it has read everything, so a broken pipe is not a failure.
            thread::spawn(move || drop(pipe.write_all(&bytes)));
        }
        let stdout = Pipe::drain(child.stdout.take().unwrap());
        let stderr = Pipe::drain(child.stderr.take().unwrap());
        Running { name: self.name, child, _home: self.home, started, stdout, stderr }
    }

    /// Starts the program and waits until it exits.
    pub fn run(self, limit: Duration) -> Ended {
        self.start().wait(limit)
    }
}

impl Running {
    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Returns `true` while the program has not exited.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until standard output contains `needle`; panics if the program exits without it, or after `limit`.
    #[track_caller]
    pub fn wait_for_stdout(&mut self, needle: &str, limit: Duration) {
        self.wait_for_text(needle, limit, |running| running.stdout.text());
    }

    /// Waits until standard error contains `needle`; panics if the program exits without it, or after `limit`.
    #[track_caller]
    pub fn wait_for_stderr(&mut self, needle: &str, limit: Duration) {
        self.wait_for_text(needle, limit, |running| running.stderr.text());
    }

    #[track_caller]
    fn wait_for_text(&mut self, needle: &str, limit: Duration, text: fn(&Self) -> String) {
        let mut ended = false;
        let found = poll(limit, || {
            ended = !self.is_running();
            if ended {
                // The pipes may still contain text.
                self.stdout.settle();
                self.stderr.settle();
            }
            let found = text(self).contains(needle);
            (found || ended).then_some(found)
        });
        let outcome = if ended { "it ended" } else { "it runs on" };
        assert_eq!(found, Some(true), "{needle:?} did not come within {limit:?}, {outcome}.\n{self:?}");
    }

    /// Sends a signal by name: `TERM`, `INT`, `STOP`, `CONT`, `KILL`.
    pub fn signal(&self, name: &str) {
        // The shell's built-in `kill`, because a minimal system has no such program.
        let kill = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.id())]).status().unwrap();
        assert!(kill.success(), "SIG{name} could not be sent to `{}`", self.name);
    }

    /// Waits until the program exits; panics with all output if it is still running after `limit`.
    #[track_caller]
    pub fn wait(mut self, limit: Duration) -> Ended {
        let status = poll(limit, || self.child.try_wait().unwrap());
        let status = status.unwrap_or_else(|| panic!("it still runs after {limit:?}.\n{self:?}"));
        self.ended(status)
    }

    /// Sends a signal and waits until the program exits.
    #[track_caller]
    pub fn stop(self, signal: &str, limit: Duration) -> Ended {
        self.signal(signal);
        self.wait(limit)
    }

    fn ended(&mut self, status: ExitStatus) -> Ended {
        let elapsed = self.started.elapsed();
        self.stdout.settle();
        self.stderr.settle();
        let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
        Ended { name: self.name.clone(), code: status.code(), stdout, stderr, elapsed }
    }

    /// Current resident set size in KiB (Linux).
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail if the process has already exited, which is not an error.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stdout, stderr) = (self.stdout(), self.stderr());
        write!(f, "`{}`\n--- its stdout:\n{stdout}\n--- its stderr:\n{stderr}\n---", self.name)
    }
}

impl Ended {
    /// Asserts that the exit status is `code`; panics with all output otherwise.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "unexpected exit status.\n{self:?}");
        self
    }

    /// Parses the last line of standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        let line = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("no JSON on the last line: {error}.\n{self:?}"))
    }
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, code, stdout, stderr, elapsed } = self;
        write!(
            f,
            "`{name}` ended with {code:?} after {elapsed:?}\n--- its stdout:\n{stdout}\n--- its stderr:\n{stderr}\n---"
        )
    }
}

/// Output of a program, collected by a dedicated thread, so that a full pipe never blocks the program.
struct Pipe {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Pipe {
    fn drain(mut source: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&bytes);
        let thread = thread::spawn(move || {
            let mut chunk = [0; 8192];
            loop {
                match source.read(&mut chunk) {
                    Ok(count @ 1..) => sink.lock().unwrap().extend_from_slice(&chunk[..count]),
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Ok(0) | Err(_) => break,
                }
            }
        });
        Self { bytes, thread: Some(thread) }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    /// Waits until the other end is closed. Call it only after the program has exited.
    fn settle(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}
