//! Task that checks for silence, logs alerts and starts the command.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use super::hook::Hook;
use super::{Alerting, lock};
use crate::analysis::WATCHED_SYMBOLS_MAX;
use crate::client;
use crate::consumer::redraw::Redraw;
use crate::consumer::series_handle::SeriesHandle;

/// Interval of the checks for silence, and so the largest delay of its alert. Held-back log lines use it too.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// Handle to the running task.
pub(in crate::consumer) struct AlertDispatcher {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl AlertDispatcher {
    /// Starts the task; returns `None` if there are no rules.
    pub(in crate::consumer) fn start(
        runtime: &Runtime,
        alerting: &Arc<Alerting>,
        series: &SeriesHandle,
        redraw: &Arc<Redraw>,
        command: Option<&str>,
    ) -> Option<Self> {
        if alerting.is_idle() {
            if command.is_some() {
                warn!("--on-alert has no effect without --alert; add a rule such as --alert 'AAPL > 190'");
            }
            return None;
        }
        let (stop, stopped) = watch::channel(false);
        let hook = command.map(|command| Hook::new(command.to_owned(), stopped.clone()));
        let task = runtime.spawn(dispatch(Arc::clone(alerting), series.clone(), Arc::clone(redraw), hook, stopped));
        Some(Self { stop, task })
    }

    /// Logs what remains, gives a running command a moment to finish, and ends.
    pub(in crate::consumer) async fn shut_down(self) {
        // Both fail only if the task has ended already.
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

async fn dispatch(
    alerting: Arc<Alerting>,
    series: SeriesHandle,
    redraw: Arc<Redraw>,
    mut hook: Option<Hook>,
    stopped: watch::Receiver<bool>,
) {
    let mut interval = tokio::time::interval(CHECK_EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut ended = pin!(client::stopped(stopped));
    loop {
        tokio::select! {
            () = &mut ended => break,
            () = alerting.wake.notified() => {}
            _ = interval.tick() => if alerting.check_silence(&series) {
                redraw.request();
            },
        }
        write_log(&alerting, false);
        if let Some(hook) = &mut hook {
            hook.step(&alerting).await;
        }
    }
    write_log(&alerting, true);
    let (unwatched, thinned) = {
        let rules = lock(&alerting.rules);
        (rules.unwatched(), rules.thinned())
    };
    if unwatched > 0 {
        warn!(
            "{unwatched} ticks of symbols beyond the first {WATCHED_SYMBOLS_MAX} were not checked against the rules \
             for *"
        );
    }
    if thinned > 0 {
        debug!("{thinned} prices were merged in the windows of the rules; a move may be off by a five-hundredth");
    }
    if let Some(hook) = hook {
        hook.shut_down(&alerting).await;
    }
}

fn write_log(alerting: &Alerting, all: bool) {
    // The lock is released first: a terminal may block.
    let lines = alerting.log().due_lines(Instant::now(), all);
    for line in lines {
        warn!("{line}");
    }
}
