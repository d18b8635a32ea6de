//! Command that runs on an alert: one at a time, at most one start a second, with a time limit.

use std::collections::VecDeque;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use super::{Alerting, Fired};
use crate::client;
use crate::consumer::rate_limited::RateLimited;
use crate::model::{TimestampFormat, display_safe, write_tick};

/// Least time between two starts: an oscillating alert must not become a fork bomb.
const START_EVERY: Duration = Duration::from_secs(1);

/// Longest run of a command: enough to send a message over a slow line, and short enough that a server that does not
/// answer does not delay the next alert for long.
const RUN_TIME_MAX: Duration = Duration::from_secs(10);

/// Time that a running command is given at exit. The documentation promises that the program ends within a second.
const END_GRACE: Duration = Duration::from_millis(250);

/// Most alerts that wait for the command, at most one for each rule and symbol: a minute of starts.
const QUEUE_MAX: usize = 64;

/// Least time between two log lines about failed commands, and between two about skipped alerts.
const LOGGED_EVERY: Duration = Duration::from_secs(10);

/// Longest wait for the remaining output of a command that has ended.
const OUTPUT_WAIT: Duration = Duration::from_millis(50);

/// Most bytes kept of a command's standard error.
const STDERR_BYTES_MAX: usize = 4_096;

/// Environment variable that holds the rule that fired. A consumer that finds it was started by such a command and runs
/// no command itself, which would never end.
pub(in crate::consumer) const FIRED_RULE: &str = "TICKSCOPE_FIRED_RULE";

/// Statistics of the `--on-alert` command over a whole run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct HooksReport {
    /// Number of starts.
    pub started: u64,
    /// Commands that could not be started, ended with a status other than 0, or were killed for taking too long.
    pub failed: u64,
    /// Alerts without a start: replaced by a newer one of the same rule and symbol, beyond the length of the queue, or
    /// still queued at the end.
    pub dropped: u64,
}

/// Alerts that wait for the command.
#[derive(Debug, Default)]
pub(super) struct HookQueue {
    alerts: VecDeque<Fired>,
    pub(super) report: HooksReport,
}

impl HookQueue {
    /// Queues an alert. It replaces a queued one of the same rule and symbol.
    pub(super) fn offer(&mut self, fired: Fired) {
        let is_same = |other: &&mut Fired| other.number == fired.number && other.symbol == fired.symbol;
        if let Some(older) = self.alerts.iter_mut().find(is_same) {
            *older = fired;
            self.report.dropped += 1;
        } else if self.alerts.len() < QUEUE_MAX {
            self.alerts.push_back(fired);
        } else {
            self.report.dropped += 1;
        }
    }

    fn start_next(&mut self) -> Option<Fired> {
        let next = self.alerts.pop_front()?;
        self.report.started += 1;
        Some(next)
    }
}

/// Runner of the command.
pub(super) struct Hook {
    command: String,
    stopped: watch::Receiver<bool>,
    running: Option<JoinHandle<Result<(), String>>>,
    last_start: Option<Instant>,
    failures: RateLimited,
    last_failure: String,
    /// Skipped alerts that were logged.
    logged_dropped: u64,
    dropped_logged_at: Option<Instant>,
}

impl Hook {
    /// `command` is a command line for the shell. A running command is ended when `stopped` turns true.
    pub(super) fn new(command: String, stopped: watch::Receiver<bool>) -> Self {
        Self {
            command,
            stopped,
            running: None,
            last_start: None,
            failures: RateLimited::new(LOGGED_EVERY),
            last_failure: String::new(),
            logged_dropped: 0,
            dropped_logged_at: None,
        }
    }

    /// Collects a command that has ended and starts the next one if it is due. Never waits.
    pub(super) async fn step(&mut self, alerting: &Alerting) {
        if self.running.as_ref().is_some_and(JoinHandle::is_finished) {
            self.reap(alerting).await;
        }
        let is_due = self.last_start.is_none_or(|start| start.elapsed() >= START_EVERY);
        if self.running.is_none() && is_due {
            let next = alerting.log().hooks.as_mut().and_then(HookQueue::start_next);
            if let Some(fired) = next {
                self.last_start = Some(Instant::now());
                self.running = Some(tokio::spawn(run(self.command.clone(), fired, self.stopped.clone())));
            }
        }
        if self.dropped_logged_at.is_none_or(|logged| logged.elapsed() >= LOGGED_EVERY) {
            self.log_dropped(alerting);
        }
    }

    /// Waits for the running command and records how it failed.
    async fn reap(&mut self, alerting: &Alerting) {
        let Some(running) = self.running.take() else { return };
        let outcome = running.await.unwrap_or_else(|_| Err("was lost".to_owned()));
        let Err(failure) = outcome else { return };
        if let Some(hooks) = &mut alerting.log().hooks {
            hooks.report.failed += 1;
        }
        if let Some(more) = self.failures.permit() {
            let more = if more > 0 { format!(" [and {more} more failures before it]") } else { String::new() };
            warn!("the command of --on-alert {failure}{more}");
        }
        self.last_failure = failure;
    }

    fn log_dropped(&mut self, alerting: &Alerting) {
        let dropped = alerting.hooks().map_or(0, |report| report.dropped);
        let more = dropped - self.logged_dropped;
        if more > 0 {
            (self.logged_dropped, self.dropped_logged_at) = (dropped, Some(Instant::now()));
            warn!("the command of --on-alert was not started for {more} alerts: it starts once a second at most");
        }
    }

    /// Waits a moment for the running command and drops the queued alerts.
    pub(super) async fn shut_down(mut self, alerting: &Alerting) {
        self.reap(alerting).await;
        let suppressed = self.failures.suppressed();
        if suppressed > 0 {
            warn!("the command of --on-alert failed {suppressed} more times; the last time it {}", self.last_failure);
        }
        if let Some(hooks) = &mut alerting.log().hooks {
            hooks.report.dropped += hooks.alerts.len() as u64;
            hooks.alerts.clear();
        }
        self.log_dropped(alerting);
    }
}

fn shell(command: &str) -> Command {
    let (shell, switch) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let mut shell = Command::new(shell);
    shell.args([switch, command]);
    #[cfg(unix)]
    shell.process_group(0);
    shell
}

/// Runs the command with the tick as JSON on its standard input. The error completes "the command ...".
async fn run(command: String, fired: Fired, stopped: watch::Receiver<bool>) -> Result<(), String> {
    let mut shell = shell(&command);
    shell.env(FIRED_RULE, &*fired.mark.rule).env("TICKSCOPE_FIRED_SYMBOL", fired.symbol.to_string());
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = shell.spawn().map_err(|error| format!("cannot be started: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        let mut line = Vec::new();
        if let Some(tick) = &fired.tick {
            write_tick(&mut line, tick, TimestampFormat::default());
            line.push(b'\n');
        }
        // A pipe holds many such lines, so this does not wait. The command need not read its input.
        let _ = stdin.write_all(&line).await;
    }
    let mut output = Vec::new();
    let status = status_and_output(&mut child, stopped.clone(), &mut output).await;
    if !output.is_empty() {
        debug!("output of the --on-alert command: {}", display_safe(&String::from_utf8_lossy(&output)));
    }
    match status {
        Some(Ok(status)) if status.success() => Ok(()),
        Some(Ok(status)) => Err(format!("ended with {status}")),
        Some(Err(error)) => Err(format!("was lost: {error}")),
        None => {
            kill(&mut child);
            // Collects the dead process, so that no zombie remains.
            let _ = child.wait().await;
            let when =
                if *stopped.borrow() { "at the end of the run".to_owned() } else { format!("after {RUN_TIME_MAX:?}") };
            Err(format!("did not end and was killed {when}"))
        }
    }
}

/// Reads standard error while the command runs. Returns the exit status, or `None` if the command has to be killed.
async fn status_and_output(
    child: &mut Child,
    stopped: watch::Receiver<bool>,
    output: &mut Vec<u8>,
) -> Option<io::Result<ExitStatus>> {
    let stderr = child.stderr.take();
    let run_ends = async {
        client::stopped(stopped).await;
        tokio::time::sleep(END_GRACE).await;
    };
    let ended = async {
        tokio::select! {
            status = child.wait() => Some(status),
            () = tokio::time::sleep(RUN_TIME_MAX) => None,
            () = run_ends => None,
        }
    };
    let drained = drain(stderr, output);
    tokio::pin!(ended, drained);
    tokio::select! {
        status = &mut ended => {
            // A process that the command left behind may hold the pipe open.
            let _ = tokio::time::timeout(OUTPUT_WAIT, &mut drained).await;
            status
        }
        () = &mut drained => ended.await,
    }
}

/// Reads to the end, so that the writer never blocks, and keeps the beginning.
async fn drain(source: Option<impl AsyncRead + Unpin>, output: &mut Vec<u8>) {
    let Some(mut source) = source else { return };
    let mut chunk = [0; 1_024];
    while let Ok(count @ 1..) = source.read(&mut chunk).await {
        let room = STDERR_BYTES_MAX - output.len();
        output.extend_from_slice(&chunk[..count.min(room)]);
    }
}

/// Kills the command and its child processes.
#[cfg(unix)]
fn kill(child: &mut Child) {
    let group = child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
    if let Some(group) = group {
        // Fails only if the command has just ended.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

/// Kills the command.
#[cfg(not(unix))]
fn kill(child: &mut Child) {
    // Fails only if the command has just ended.
    let _ = child.start_kill();
}
