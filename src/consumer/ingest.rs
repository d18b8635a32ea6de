//! From messages to the book: decode, validate, append, one lock a read of the socket.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use tracing::warn;

use crate::analysis::OutlierFilter;
use crate::client::{LinkState, Message, MessageBatch, MessageHandler};
use crate::consumer::alerting::{Unwatched, Watch, Watcher};
use crate::consumer::persistence::Persistence;
use crate::consumer::shared::{Continuity, Shared};
use crate::model::{Decoder, Reject, RejectCounts, StreamId, TickView, Timestamp};
use crate::series::SeriesMap;
use crate::storage::db::TickRow;

/// Ticks taken in under one lock, at most: a tenth of a millisecond, so that a frame is not held up by a message that
/// is an array of a hundred thousand.
const BATCH_TICKS: usize = 1_024;

/// A message longer than this is not begun while the book is locked: its first tick may be long in coming.
const QUICK_BYTES_MAX: usize = 4_096;

/// Least time between two log lines about rejected messages.
const REJECTS_LOGGED_EVERY: Duration = Duration::from_secs(5);

/// The network side's end of the book. Where several connections bring ticks, each has its own.
pub(super) struct Ingest {
    pub(super) shared: Arc<Shared>,
    /// Which of the connections this is.
    part: usize,
    decoder: Decoder,
    /// The filter, where there is one.
    outliers: Option<OutlierFilter>,
    log: RejectLog,
    sampler: Sampler,
    /// Where ticks are kept, if they are.
    pub(super) keeping: Option<Arc<Persistence>>,
    /// Ticks on their way there.
    pub(super) to_keep: Vec<TickRow>,
    /// Entries from before this moment, ms, are history: how old they are says nothing about how quick the feed is.
    live_from_ms: u64,
}

impl Ingest {
    pub(super) fn new(
        shared: Arc<Shared>,
        part: usize,
        decoder: Decoder,
        outliers: Option<OutlierFilter>,
        keeping: Option<Arc<Persistence>>,
    ) -> Self {
        let log = RejectLog { last: None, unlogged: 0, due: None };
        let sampler = Sampler { stride: 1, left: 1, taken: Vec::with_capacity(BATCH_TICKS) };
        let live_from_ms = (Timestamp::now().as_nanos() / 1_000_000) as u64;
        Self { shared, part, decoder, outliers, log, sampler, keeping, to_keep: Vec::new(), live_from_ms }
    }

    /// Which of the connections this is.
    pub(super) fn part(&self) -> usize {
        self.part
    }
}

/// Something that holds ticks.
pub(super) struct Parcel<'a> {
    /// The entry of a stream that it came in.
    pub(super) id: Option<StreamId>,
    pub(super) incoming: Message<'a>,
}

/// Every so manieth tick's event time, for the latency figure. Which ticks these are depends on their number alone.
struct Sampler {
    stride: usize,
    /// Ticks until the next one that is taken.
    left: usize,
    taken: Vec<i64>,
}

impl Sampler {
    #[inline]
    fn offer(&mut self, event: Timestamp) {
        self.left -= 1;
        if self.left == 0 {
            self.left = self.stride;
            self.taken.push(event.as_nanos());
        }
    }

    fn set_stride(&mut self, stride: usize) {
        self.stride = stride;
        self.left = self.left.min(stride);
    }
}

/// The book, locked from the first tick on, and let go at the end.
struct Batch<'a, W> {
    shared: &'a Shared,
    sampler: &'a mut Sampler,
    /// The clock, read once for all that one read of the socket brought: to read it costs a tenth of a tick.
    arrival: Timestamp,
    book: Option<MutexGuard<'a, SeriesMap>>,
    ticks: usize,
    watch: W,
    outliers: Option<&'a mut OutlierFilter>,
    /// Where ticks are to be kept.
    to_keep: Option<&'a mut Vec<TickRow>>,
    live_from_ms: u64,
}

impl<W: Watch> Batch<'_, W> {
    #[inline]
    fn append(&mut self, tick: &TickView<'_>, id: Option<StreamId>) {
        let book = self.book.get_or_insert_with(|| self.shared.book());
        let is_outlier = self.outliers.as_deref_mut().is_some_and(|filter| filter.is_outlier(tick));
        if is_outlier {
            // A price that is taken for a slip is no reason for an alarm.
            book.append_outlier(tick, self.arrival);
        } else {
            let appended = book.append_view(tick, self.arrival);
            self.watch.saw(tick, appended, book);
        }
        // Also what is not shown: the place in the stream moves on over it, and another run may want it.
        if let Some(to_keep) = self.to_keep.as_deref_mut() {
            to_keep.push(kept(tick, id, is_outlier));
        }
        if id.is_none_or(|id| id.ms >= self.live_from_ms) {
            self.sampler.offer(tick.timestamp);
        }
        self.ticks += 1;
        if self.ticks >= BATCH_TICKS {
            self.close();
        }
    }

    fn close(&mut self) {
        let Some(mut book) = self.book.take() else { return };
        if self.to_keep.is_none() {
            self.shared.unkept().fetch_add(self.ticks as u64, Ordering::Relaxed);
        }
        book.finish_batch();
        drop(book);
        self.watch.let_go();
        self.ticks = 0;
        let mut arrivals = self.shared.arrivals();
        arrivals.beat(Instant::now());
        arrivals.note(&self.sampler.taken, self.arrival);
        self.sampler.set_stride(arrivals.stride());
        drop(arrivals);
        self.sampler.taken.clear();
        self.shared.touch();
    }
}

fn kept(tick: &TickView<'_>, id: Option<StreamId>, outlier: bool) -> TickRow {
    TickRow {
        symbol: tick.symbol.as_str().into(),
        time_ns: tick.timestamp.as_nanos(),
        price: tick.price.get(),
        size: tick.size,
        source: tick.source.map(|source| source.as_str().into()),
        seq: tick.seq,
        id,
        outlier,
    }
}

impl Ingest {
    /// Takes parcels in. Ids of those in which nothing was a tick go to `hopeless`.
    pub(super) fn take_in<'a>(&mut self, parcels: impl Iterator<Item = Parcel<'a>>, hopeless: &mut Vec<StreamId>) {
        let Self { shared, decoder, outliers, log, sampler, keeping, to_keep, live_from_ms, .. } = self;
        let outliers = outliers.as_mut();
        let to_keep = keeping.is_some().then_some(to_keep);
        let parts = Parts { decoder, outliers, log, sampler, to_keep, hopeless, live_from_ms: *live_from_ms };
        if shared.alerting().is_idle() {
            Self::take_watched(shared, parts, parcels, Unwatched);
        } else {
            Self::take_watched(shared, parts, parcels, Watcher::new(shared.alerting()));
        }
    }

    /// There is one such function with rules and one without, so that a tick that nobody watches costs nothing more.
    fn take_watched<'a>(
        shared: &Shared,
        parts: Parts<'_>,
        parcels: impl Iterator<Item = Parcel<'a>>,
        watch: impl Watch,
    ) {
        let Parts { decoder, outliers, log, sampler, to_keep, hopeless, live_from_ms } = parts;
        let now = Timestamp::now();
        sampler.set_stride(shared.arrivals().stride());
        let mut rejects = RejectCounts::default();
        let mut batch =
            Batch { shared, sampler, arrival: now, book: None, ticks: 0, watch, outliers, to_keep, live_from_ms };
        for Parcel { id, incoming } in parcels {
            let mut has_tick = false;
            match incoming {
                Message::Payload(payload) => {
                    if payload.len() > QUICK_BYTES_MAX {
                        batch.close();
                    }
                    decoder.decode_borrowed(payload, now, |result| match result {
                        Ok(tick) => {
                            has_tick = true;
                            batch.append(&tick, id);
                        }
                        Err(cause) => {
                            rejects.add(cause);
                            log.note(cause, payload);
                        }
                    });
                }
                Message::TooLong => {
                    rejects.add(Reject::TooLong);
                    log.note(Reject::TooLong, b"");
                }
            }
            if let Some(id) = id.filter(|_| !has_tick) {
                hopeless.push(id);
            }
        }
        batch.close();
        if rejects.total() > 0 {
            shared.rejects().merge(&rejects);
            shared.touch();
            log.tell();
        }
    }
}

/// What parcels are taken in with.
struct Parts<'a> {
    decoder: &'a mut Decoder,
    outliers: Option<&'a mut OutlierFilter>,
    log: &'a mut RejectLog,
    sampler: &'a mut Sampler,
    to_keep: Option<&'a mut Vec<TickRow>>,
    hopeless: &'a mut Vec<StreamId>,
    live_from_ms: u64,
}

impl MessageHandler for Ingest {
    fn on_messages(&mut self, delivery: &mut MessageBatch<'_>) {
        let parcels = delivery.map(|incoming| Parcel { id: None, incoming });
        // Messages have no ids.
        self.take_in(parcels, &mut Vec::new());
        if let Some(keeping) = &self.keeping
            && !self.to_keep.is_empty()
        {
            keeping.offer(std::mem::take(&mut self.to_keep));
        }
    }

    fn on_cut_off(&mut self) {
        self.shared.link().cut_off += 1;
        self.shared.touch();
    }

    fn on_link(&mut self, state: LinkState) {
        self.shared.set_link(self.part, state, Continuity::Torn);
    }
}

/// Says what was rejected, but not each time.
struct RejectLog {
    last: Option<Instant>,
    unlogged: u64,
    /// What is to be said once the book is not locked: a terminal may take its time.
    due: Option<String>,
}

impl RejectLog {
    fn note(&mut self, cause: Reject, payload: &[u8]) {
        if self.due.is_some() || self.last.is_some_and(|last| last.elapsed() < REJECTS_LOGGED_EVERY) {
            self.unlogged += 1;
            return;
        }
        self.last = Some(Instant::now());
        let more = std::mem::take(&mut self.unlogged);
        // A character has four bytes at most: no more of a long message than can be shown is looked at.
        let shown: String = String::from_utf8_lossy(&payload[..payload.len().min(320)]).chars().take(80).collect();
        let shown = crate::model::display_safe(&shown);
        let more = if more > 0 { format!(" [and {more} more before it]") } else { String::new() };
        self.due = Some(format!("rejected a message ({cause}): {shown}{more}"));
    }

    fn tell(&mut self) {
        if let Some(text) = self.due.take() {
            warn!("{text}");
        }
    }
}
