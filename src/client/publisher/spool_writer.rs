//! Thread that writes a send queue's messages to its spool, so that no task of the runtime waits for a disk.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::warn;

use crate::client::SendQueue;
use crate::spool::{Batch, SegmentLog};

/// Pause before the next attempt after a failed write.
const RETRY_EVERY: Duration = Duration::from_millis(250);

/// Longest wait for work; confirmations are saved at least this often.
const WORK_TIMEOUT: Duration = Duration::from_secs(1);

/// Interval of warnings while writes fail.
const WARN_EVERY: Duration = Duration::from_secs(5);

/// Handle of a thread that writes the messages of one [`SendQueue`] until the queue is abandoned.
pub struct SpoolWriter {
    queue: Arc<SendQueue>,
    finished: oneshot::Receiver<()>,
}

impl SpoolWriter {
    /// Starts a thread for `log`. Returns the queue in front of the log, which holds at most `memory` messages in
    /// memory, the handle of the thread, and the number of the next new message.
    ///
    /// # Errors
    /// An I/O error if the thread cannot be started.
    pub fn start(log: SegmentLog, memory: usize) -> io::Result<(Arc<SendQueue>, Self, u64)> {
        let next_number = log.next_number();
        let queue = Arc::new(SendQueue::with_log(memory, &log));
        let (finish, finished) = oneshot::channel();
        let worker = Worker { log, queue: Arc::clone(&queue), failed_at: None, warned_at: None };
        thread::Builder::new().name("spool".to_owned()).spawn(move || {
            worker.run();
            // The receiver may have given up waiting.
            finish.send(()).ok();
        })?;
        Ok((Arc::clone(&queue), Self { queue, finished }, next_number))
    }

    /// Waits at most `limit` until all messages that came before the queue was abandoned are written. The rest counts
    /// as dropped.
    pub async fn finish(self, limit: Duration) {
        // A closed channel means that the thread has ended.
        if timeout(limit, self.finished).await.is_err() {
            self.queue.drop_unwritten();
        }
    }
}

struct Worker {
    log: SegmentLog,
    queue: Arc<SendQueue>,
    failed_at: Option<Instant>,
    warned_at: Option<Instant>,
}

impl Worker {
    fn run(mut self) {
        loop {
            let may_write = self.failed_at.is_none_or(|at| at.elapsed() >= RETRY_EVERY);
            let limit = if self.failed_at.is_some() { RETRY_EVERY } else { WORK_TIMEOUT };
            let work = self.queue.wait_for_disk_work(may_write, limit);
            if !work.unwritten.is_empty() {
                self.write(work.unwritten);
            }
            if work.load {
                match self.log.read_next() {
                    Ok(batch) => self.queue.loaded(batch),
                    Err(error) => {
                        self.warn("read", &error);
                        thread::sleep(RETRY_EVERY);
                    }
                }
            }
            if let Some(used) = work.end {
                let folder = self.log.folder();
                if let Err(error) = self.log.close(work.done, work.dropped, used) {
                    warn!("the spool {folder} cannot be written: {error}; some ticks may be sent twice");
                }
                return;
            }
            if let Err(error) = self.log.release(work.done, work.dropped) {
                self.warn("written", &error);
            }
        }
    }

    fn write(&mut self, batches: Vec<Batch>) {
        match self.log.append(&batches) {
            Ok(()) => {
                if self.failed_at.take().is_some() {
                    self.warned_at = None;
                    warn!("the spool {} can be written again", self.log.folder());
                }
                if self.queue.stored(batches) {
                    self.log.skip_to_end();
                }
            }
            Err(error) => {
                self.failed_at = Some(Instant::now());
                self.warn("written", &error);
                // These numbers must not be reused after a restart. The checkpoint can be saved on a full disk.
                if let Some(last) = self.queue.last_bypassing(&batches)
                    && let Err(error) = self.log.reserve_numbers(last)
                {
                    self.warn("written", &error);
                }
                self.queue.write_failed(batches);
            }
        }
    }

    fn warn(&mut self, operation: &str, error: &io::Error) {
        if self.warned_at.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
            self.warned_at = Some(Instant::now());
            let unspooled = self.queue.stats().unspooled;
            let folder = self.log.folder();
            warn!("the spool {folder} cannot be {operation}: {error}; ticks stay in memory only ({unspooled} so far)");
        }
    }
}

#[cfg(test)]
mod tests;
