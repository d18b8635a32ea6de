//! From messages to the book: decode, validate, append, one lock a batch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::warn;

use crate::bus::{Feed, LinkState};
use crate::consumer::shared::Shared;
use crate::model::{Decoder, Reject, RejectCounts, Tick, Timestamp};

/// Ticks gathered before the book is locked, at most. A read brings some two thousand; an array in one message may
/// bring more, and the frame must not wait for all of them.
const BATCH_TICKS: usize = 4_096;

/// Least time between two log lines about rejected messages.
const REJECTS_LOGGED_EVERY: Duration = Duration::from_secs(5);

/// The network side's end of the book.
pub(super) struct Ingest {
    shared: Arc<Shared>,
    decoder: Decoder,
    batch: Vec<Tick>,
    rejects: RejectCounts,
    log: RejectLog,
    /// The clock, read once for all messages that one read of the socket brought: to read it costs a tenth of a tick.
    now: Option<Timestamp>,
}

impl Ingest {
    pub(super) fn new(shared: Arc<Shared>, decoder: Decoder) -> Self {
        let log = RejectLog { last: None, unlogged: 0 };
        Self {
            shared,
            decoder,
            batch: Vec::with_capacity(BATCH_TICKS),
            rejects: RejectCounts::default(),
            log,
            now: None,
        }
    }

    fn append(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let arrival = Timestamp::now();
        self.shared.book().append_batch(&self.batch, arrival);
        let mut arrivals = self.shared.arrivals();
        arrivals.beat(Instant::now());
        for tick in &self.batch {
            arrivals.note(tick.timestamp, arrival);
        }
        drop(arrivals);
        self.batch.clear();
        self.shared.touch();
    }
}

impl Feed for Ingest {
    fn message(&mut self, payload: &[u8]) {
        let now = *self.now.get_or_insert_with(Timestamp::now);
        let (batch, rejects, log) = (&mut self.batch, &mut self.rejects, &mut self.log);
        let shared = &self.shared;
        self.decoder.decode(payload, now, |result| match result {
            Ok(tick) => {
                batch.push(tick);
                if batch.len() >= BATCH_TICKS {
                    shared.book().append_batch(&*batch, now);
                    batch.clear();
                    shared.touch();
                }
            }
            Err(cause) => {
                rejects.add(cause);
                log.note(cause, payload);
            }
        });
    }

    fn too_long(&mut self) {
        self.rejects.add(Reject::TooLong);
        self.log.note(Reject::TooLong, b"");
    }

    fn flush(&mut self) {
        self.now = None;
        self.append();
        if self.rejects.total() > 0 {
            self.shared.rejects().merge(&std::mem::take(&mut self.rejects));
            self.shared.touch();
        }
    }

    fn cut_off(&mut self) {
        self.shared.link().cut_off += 1;
        self.shared.touch();
    }

    fn link(&mut self, state: LinkState) {
        let mut link = self.shared.link();
        match &state {
            LinkState::Live => {
                link.reconnects += u64::from(link.was_live);
                link.was_live = true;
            }
            LinkState::Down(_) if link.state == LinkState::Live => {
                let mut book = self.shared.book();
                if let Some(newest) = book.newest_ns() {
                    book.open_gap(newest);
                }
            }
            LinkState::Down(_) | LinkState::Connecting => {}
        }
        let kind_changed = std::mem::discriminant(&link.state) != std::mem::discriminant(&state);
        link.state = state;
        if kind_changed {
            link.since = Instant::now();
        }
        drop(link);
        self.shared.touch();
    }
}

/// Says what was rejected, but not each time.
struct RejectLog {
    last: Option<Instant>,
    unlogged: u64,
}

impl RejectLog {
    fn note(&mut self, cause: Reject, payload: &[u8]) {
        if self.last.is_some_and(|last| last.elapsed() < REJECTS_LOGGED_EVERY) {
            self.unlogged += 1;
            return;
        }
        self.last = Some(Instant::now());
        let more = std::mem::take(&mut self.unlogged);
        let shown: String = String::from_utf8_lossy(payload).chars().take(80).collect();
        let shown = crate::model::display_safe(&shown);
        if more > 0 {
            warn!("rejected a message ({cause}): {shown} [and {more} more before it]");
        } else {
            warn!("rejected a message ({cause}): {shown}");
        }
    }
}
