//! The command that runs on an alert: one at a time, one a second, none for long, and never in anybody's way.

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
use crate::model::{TimestampFormat, display_safe, write_tick};

/// Least time between two starts: an alert that trembles must not become a fork bomb, and whoever is called by it can
/// hardly read faster.
const STARTED_EVERY: Duration = Duration::from_secs(1);

/// A command that runs for longer is killed: long enough to send a message over a slow line, short enough that the next
/// alert is not kept waiting for a server that does not answer.
const TIME_MAX: Duration = Duration::from_secs(10);

/// What a command is given at exit. The program's end is promised within a second.
const END_GRACE: Duration = Duration::from_millis(250);

/// Alerts that wait for the command to be free, at most one for a rule and symbol: a minute's worth of starts.
const WAITING_MAX: usize = 64;

/// Least time between two log lines about commands that failed, and two about alerts that were left out.
const LOGGED_EVERY: Duration = Duration::from_secs(10);

/// How long the last words of a command that has ended are waited for.
const REST_TIME: Duration = Duration::from_millis(50);

/// Kept of what a command says on its standard error.
const SAID_BYTES_MAX: usize = 4_096;

/// What became of the command of `--on-alert` in a whole run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct HooksReport {
    /// Times it was started.
    pub started: u64,
    /// Times it could not be started, ended with another status than 0, or was killed for taking too long.
    pub failed: u64,
    /// Alerts that it was not started for: a newer one of the same rule and symbol took their place, too many were
    /// waiting, or the run ended.
    pub dropped: u64,
}

/// Alerts that wait for the command.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    list: VecDeque<Fired>,
    pub(super) report: HooksReport,
}

impl Waiting {
    /// Lets an alert wait; a newer one of the same rule and symbol takes the place of an older one.
    pub(super) fn offer(&mut self, fired: Fired) {
        let is_same = |other: &&mut Fired| other.number == fired.number && other.symbol == fired.symbol;
        if let Some(older) = self.list.iter_mut().find(is_same) {
            *older = fired;
            self.report.dropped += 1;
        } else if self.list.len() < WAITING_MAX {
            self.list.push_back(fired);
        } else {
            self.report.dropped += 1;
        }
    }
}

/// Says something at most every so often, and how often it was not said.
#[derive(Debug, Default)]
struct Seldom {
    last: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    /// How many were not said before this one; `None` if this is not to be said either.
    fn due(&mut self) -> Option<u64> {
        if self.last.is_some_and(|last| last.elapsed() < LOGGED_EVERY) {
            self.unsaid += 1;
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.unsaid))
    }
}

/// The command, and the one that runs.
pub(super) struct Hook {
    command: String,
    stopped: watch::Receiver<bool>,
    running: Option<JoinHandle<Result<(), String>>>,
    started: Option<Instant>,
    failures: Seldom,
    /// How it failed last.
    why: String,
    /// Left out and said so.
    said_dropped: u64,
    said_at: Option<Instant>,
}

impl Hook {
    /// A command line for the shell, which is told to end when `stopped` becomes true.
    pub(super) fn new(command: String, stopped: watch::Receiver<bool>) -> Self {
        let (running, started, failures) = (None, None, Seldom::default());
        Self { command, stopped, running, started, failures, why: String::new(), said_dropped: 0, said_at: None }
    }

    /// Takes note of a command that has ended and starts the next one, if it is time. Waits for nothing.
    pub(super) async fn step(&mut self, alerting: &Alerting) {
        if self.running.as_ref().is_some_and(JoinHandle::is_finished) {
            self.reap(alerting).await;
        }
        let rests = self.started.is_some_and(|started| started.elapsed() < STARTED_EVERY);
        if self.running.is_none() && !rests {
            let mut fires = alerting.fires();
            let next = fires.waiting.as_mut().and_then(|waiting| {
                let next = waiting.list.pop_front()?;
                waiting.report.started += 1;
                Some(next)
            });
            drop(fires);
            if let Some(fired) = next {
                self.started = Some(Instant::now());
                self.running = Some(tokio::spawn(run(self.command.clone(), fired, self.stopped.clone())));
            }
        }
        if self.said_at.is_none_or(|said| said.elapsed() >= LOGGED_EVERY) {
            self.say_dropped(alerting);
        }
    }

    /// Waits for the end of the command that runs, and counts what it failed by.
    async fn reap(&mut self, alerting: &Alerting) {
        let Some(running) = self.running.take() else { return };
        let outcome = running.await.unwrap_or_else(|_| Err("was lost".to_owned()));
        let Err(why) = outcome else { return };
        if let Some(waiting) = &mut alerting.fires().waiting {
            waiting.report.failed += 1;
        }
        if let Some(more) = self.failures.due() {
            let more = if more > 0 { format!(" [and {more} more failures before it]") } else { String::new() };
            warn!("the command of --on-alert {why}{more}");
        }
        self.why = why;
    }

    fn say_dropped(&mut self, alerting: &Alerting) {
        let dropped = alerting.hooks().map_or(0, |report| report.dropped);
        let more = dropped - self.said_dropped;
        if more > 0 {
            (self.said_dropped, self.said_at) = (dropped, Some(Instant::now()));
            warn!("the command of --on-alert was not started for {more} alerts: it is, once a second at most");
        }
    }

    /// Gives the command that runs a moment; those that wait are left out.
    pub(super) async fn end(mut self, alerting: &Alerting) {
        self.reap(alerting).await;
        if self.failures.unsaid > 0 {
            warn!(
                "the command of --on-alert failed {} more times; the last time it {}",
                self.failures.unsaid, self.why
            );
        }
        if let Some(waiting) = &mut alerting.fires().waiting {
            waiting.report.dropped += waiting.list.len() as u64;
            waiting.list.clear();
        }
        self.say_dropped(alerting);
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

/// The variable that tells a command which rule fired. A consumer that finds it was started by such a command, and runs
/// none itself: that would never end.
pub(in crate::consumer) const FIRED_RULE: &str = "TICKSCOPE_FIRED_RULE";

/// Runs the command with the tick on its standard input; how it failed.
async fn run(command: String, fired: Fired, mut stopped: watch::Receiver<bool>) -> Result<(), String> {
    let mut shell = shell(&command);
    shell.env(FIRED_RULE, &*fired.rule).env("TICKSCOPE_FIRED_SYMBOL", fired.symbol.to_string());
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = shell.spawn().map_err(|error| format!("cannot be started: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        let mut line = Vec::new();
        if let Some(tick) = &fired.tick {
            write_tick(&mut line, tick, TimestampFormat::default());
            line.push(b'\n');
        }
        // A pipe holds many such lines, so this does not wait; and a command need not read.
        let _ = stdin.write_all(&line).await;
    }
    let (mut said, mut is_open) = (Vec::new(), true);
    let status = {
        let (stderr, deadline) = (child.stderr.take(), tokio::time::Instant::now() + TIME_MAX);
        let (drained, ended) = (drain(stderr, &mut said), ended(&mut child, deadline, &mut stopped));
        tokio::pin!(drained, ended);
        let status = loop {
            tokio::select! {
                status = &mut ended => break status,
                () = &mut drained, if is_open => is_open = false,
            }
        };
        if is_open && status.is_some() {
            // What it said last; something that it left behind may hold the pipe open, and is not waited for.
            let _ = tokio::time::timeout(REST_TIME, &mut drained).await;
        }
        status
    };
    if !said.is_empty() {
        debug!("the command of --on-alert says: {}", display_safe(&String::from_utf8_lossy(&said)));
    }
    match status {
        Some(Ok(status)) if status.success() => Ok(()),
        Some(Ok(status)) => Err(format!("ended with {status}")),
        Some(Err(error)) => Err(format!("was lost: {error}")),
        None => {
            kill(&mut child);
            // It is dead: this collects it, so that no zombie stays.
            let _ = child.wait().await;
            let why =
                if *stopped.borrow() { "at the end of the run".to_owned() } else { format!("after {TIME_MAX:?}") };
            Err(format!("did not end and was killed {why}"))
        }
    }
}

/// How the command ended; `None` if it has to be killed.
async fn ended(
    child: &mut Child,
    deadline: tokio::time::Instant,
    stopped: &mut watch::Receiver<bool>,
) -> Option<io::Result<ExitStatus>> {
    let run_ends = async {
        // A sender that is gone is an end as well.
        let _ = stopped.wait_for(|stop| *stop).await;
        tokio::time::sleep(END_GRACE).await;
    };
    tokio::select! {
        status = child.wait() => Some(status),
        () = tokio::time::sleep_until(deadline) => None,
        () = run_ends => None,
    }
}

/// Reads to the end, so that the writer never waits, and keeps the beginning.
async fn drain(source: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut source) = source else { return };
    let mut chunk = [0; 1_024];
    while let Ok(count @ 1..) = source.read(&mut chunk).await {
        let room = SAID_BYTES_MAX - kept.len();
        kept.extend_from_slice(&chunk[..count.min(room)]);
    }
}

/// Kills the command and what it started.
#[cfg(unix)]
fn kill(child: &mut Child) {
    let group = child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
    if let Some(group) = group {
        // It may have ended just now; then there is nothing to kill.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

/// Kills the command.
#[cfg(not(unix))]
fn kill(child: &mut Child) {
    // It may have ended just now; then there is nothing to kill.
    let _ = child.start_kill();
}
