//! The thread that writes a lane's spool: no task of the runtime ever waits for a disk.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::warn;

use crate::client::{Batch, SendQueue};
use crate::spool::segment_log::Lane;

/// A disk that took nothing is tried again after this long.
const RETRY_EVERY: Duration = Duration::from_millis(250);

/// As long as a disk takes nothing, that is said this often.
const NOTICE_EVERY: Duration = Duration::from_secs(5);

/// A thread that writes what comes through an [`SendQueue`], until that is abandoned.
pub struct Writer {
    outbox: Arc<SendQueue>,
    ended: oneshot::Receiver<()>,
}

impl Writer {
    /// Starts the thread, and makes its queue.
    pub(super) fn start(lane: Lane, memory: usize, max: u64) -> io::Result<(Arc<SendQueue>, Self)> {
        let (depot, recovered) = lane.depot(max);
        let outbox = Arc::new(SendQueue::with_spool(memory, depot, recovered));
        let (end, ended) = oneshot::channel();
        let job = Job { lane, outbox: Arc::clone(&outbox), failed_at: None, noticed_at: None };
        thread::Builder::new().name("spool".to_owned()).spawn(move || {
            job.run();
            // Whoever waited may have left.
            end.send(()).ok();
        })?;
        Ok((Arc::clone(&outbox), Self { outbox, ended }))
    }

    /// Waits until all is written that came before the outbox was abandoned, `limit` at most: what is not written by
    /// then counts as dropped.
    pub async fn end(self, limit: Duration) {
        // A thread that is gone has ended as well.
        if timeout(limit, self.ended).await.is_err() {
            self.outbox.give_up_unwritten();
        }
    }
}

struct Job {
    lane: Lane,
    outbox: Arc<SendQueue>,
    failed_at: Option<Instant>,
    noticed_at: Option<Instant>,
}

impl Job {
    fn run(mut self) {
        loop {
            let may_write = self.failed_at.is_none_or(|at| at.elapsed() >= RETRY_EVERY);
            let limit = if self.failed_at.is_some() { RETRY_EVERY } else { Duration::from_secs(1) };
            let chores = self.outbox.chores(may_write, limit);
            if !chores.fresh.is_empty() {
                self.write(chores.fresh);
            }
            if chores.load {
                match self.lane.load() {
                    Ok(batch) => self.outbox.loaded(batch),
                    Err(error) => {
                        self.complain("read", &error);
                        thread::sleep(RETRY_EVERY);
                    }
                }
            }
            let done = match chores.end {
                Some(used) => {
                    let folder = self.lane.folder();
                    if let Err(error) = self.lane.close(chores.done, chores.hole, used) {
                        warn!("the spool {folder} cannot be written: {error}; some ticks may be sent twice");
                    }
                    return;
                }
                None => self.lane.release(chores.done, chores.hole),
            };
            if let Err(error) = done {
                self.complain("written", &error);
            }
        }
    }

    fn write(&mut self, fresh: Vec<Batch>) {
        match self.lane.append(&fresh) {
            Ok(()) => {
                if self.failed_at.take().is_some() {
                    self.noticed_at = None;
                    warn!("the spool {} can be written again", self.lane.folder());
                }
                if self.outbox.stored(fresh) {
                    self.lane.skip_to_end();
                }
            }
            Err(error) => {
                self.failed_at = Some(Instant::now());
                self.complain("written", &error);
                // These numbers must never come again, whatever happens; a disk without room has room for that.
                if let Some(last) = self.outbox.would_leave(&fresh)
                    && let Err(error) = self.lane.note_used(last)
                {
                    self.complain("written", &error);
                }
                self.outbox.unstored(fresh);
            }
        }
    }

    fn complain(&mut self, what: &str, error: &io::Error) {
        if self.noticed_at.is_none_or(|at| at.elapsed() >= NOTICE_EVERY) {
            self.noticed_at = Some(Instant::now());
            let unspooled = self.outbox.snapshot().unspooled;
            let folder = self.lane.folder();
            warn!("the spool {folder} cannot be {what}: {error}; ticks stay in memory alone ({unspooled} so far)");
        }
    }
}
