//! Our programs (and others) as child processes whose output is read while they run.

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

/// Set on a developer's machine, these would change what a test sees.
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

/// Variables of our own programs begin so.
const OWN_PREFIX: &str = "TICKSCOPE_";

/// Directories in which the programs look for the user's settings and save their state.
pub const FOLDERS: [(&str, &str); 3] =
    [("XDG_CONFIG_HOME", "config"), ("XDG_STATE_HOME", "state"), ("XDG_DATA_HOME", "data")];

/// A program about to be started.
pub struct Launch {
    name: String,
    command: Command,
    stdin: Option<Vec<u8>>,
    /// Empty, and this program's alone.
    home: TempDir,
}

/// A running program; killed when dropped.
pub struct Running {
    name: String,
    child: Child,
    /// Goes with the program.
    _home: TempDir,
    started: Instant,
    stdout: Pipe,
    stderr: Pipe,
}

/// Exit status and output of a program.
pub struct Ended {
    /// Its command line, for messages.
    pub name: String,
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    /// All of it; bytes that are no UTF-8 are replaced.
    pub stdout: String,
    /// All of it; bytes that are no UTF-8 are replaced.
    pub stderr: String,
    /// From the start to the moment at which the end was noticed.
    pub elapsed: Duration,
}

/// `producer` of this crate, as built for these tests.
pub fn producer() -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_producer"))
}

/// `consumer` of this crate, as built for these tests.
pub fn consumer() -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_consumer"))
}

/// A script of `tests/support/python`, run by a Python that has redis-py.
pub fn python(script: &str) -> Launch {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/python").join(script);
    Launch::new(find_python()).args([path])
}

/// `scripts/test` names the interpreter; without it, Debian's own is tried before whatever `python3` is on the PATH.
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
    /// Any program, by name or path. Its time zone is UTC and its environment free of what would change its behaviour.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(&program);
        command.env("TZ", "UTC");
        for name in ENV_REMOVED {
            command.env_remove(name);
        }
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with(OWN_PREFIX)) {
            command.env_remove(name);
        }
        // The developer's own settings and windows change nothing here, and nothing here changes them.
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

    /// Looks for its settings, and remembers, in these folders below `home`, which other programs may share.
    pub fn home(mut self, home: &Path) -> Self {
        for (name, folder) in FOLDERS {
            self.command.env(name, home.join(folder));
        }
        self
    }

    /// Runs in this directory.
    pub fn dir(mut self, path: &Path) -> Self {
        self.command.current_dir(path);
        self
    }

    /// Sets the contents of standard input; empty by default.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Starts it.
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
            // A program may end before it has read everything; that the rest finds no reader is no failure.
            thread::spawn(move || drop(pipe.write_all(&bytes)));
        }
        let stdout = Pipe::drain(child.stdout.take().unwrap());
        let stderr = Pipe::drain(child.stderr.take().unwrap());
        Running { name: self.name, child, _home: self.home, started, stdout, stderr }
    }

    /// Starts it and waits for its end.
    pub fn run(self, limit: Duration) -> Ended {
        self.start().wait(limit)
    }
}

impl Running {
    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Standard output up to now.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Standard error up to now.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Returns `true` while the program has not exited.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Returns once standard output contains `needle`; panics when the program ends without it, or `limit` passes.
    #[track_caller]
    pub fn wait_for_stdout(&mut self, needle: &str, limit: Duration) {
        self.wait_for_text(needle, limit, |running| running.stdout.text());
    }

    /// Returns once standard error contains `needle`; panics when the program ends without it, or `limit` passes.
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
                // Its pipes may still hold text.
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
        // The shell's own `kill`: a bare system has no program of this name.
        let kill = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.id())]).status().unwrap();
        assert!(kill.success(), "SIG{name} could not be sent to `{}`", self.name);
    }

    /// Waits for the end; panics with all output when it is still running after `limit`.
    #[track_caller]
    pub fn wait(mut self, limit: Duration) -> Ended {
        let status = poll(limit, || self.child.try_wait().unwrap());
        let status = status.unwrap_or_else(|| panic!("it still runs after {limit:?}.\n{self:?}"));
        self.ended(status)
    }

    /// Sends a signal and waits for the end that it causes.
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

    /// Memory in use now, KiB (resident set; Linux).
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is what is wanted.
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
    /// Panics with all output unless the exit status is `code`.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "unexpected exit status.\n{self:?}");
        self
    }

    /// The last line of standard output as JSON.
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

    /// Waits until the other end is closed; only for programs that have ended.
    fn settle(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}
