//! Ingest of messages: decodes, validates and appends ticks, with one lock per read of the socket.

use std::collections::BTreeSet;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::analysis::OutlierFilter;
use crate::client::{LinkState, Message, MessageBatch, MessageHandler};
use crate::consumer::alerting::Watcher;
use crate::consumer::args::Config;
use crate::consumer::feed_status::Transition;
use crate::consumer::handles::Handles;
use crate::consumer::rate_limited::RateLimited;
use crate::model::{Decoder, Origin, Reject, RejectCounts, Rejection, StreamId, TickView, Timestamp, display_safe};
use crate::series::SeriesMap;
use crate::storage::db::TickRow;

/// Most ticks appended under one lock: 0.1 ms, so that an array of a hundred thousand ticks does not delay a frame.
const BATCH_TICKS: usize = 1_024;

/// Longest message whose decoding may start while the series are locked. The first tick of a longer one may take long.
const QUICK_BYTES_MAX: usize = 4_096;

/// Least time between two log lines about rejected messages.
const REJECTS_LOGGED_EVERY: Duration = Duration::from_secs(5);

/// Longest prefix of a rejected message that is logged, in characters of up to four bytes.
const LOGGED_CHARS_MAX: usize = 80;

/// Writer of one connection's ticks into the series.
pub(super) struct Ingest {
    pub(super) handles: Handles,
    /// Index of the connection.
    connection: usize,
    decoder: Decoder,
    outliers: Option<OutlierFilter>,
    reject_log: RejectLog,
    sampler: Sampler,
    /// Rows collected for the database; empty without one.
    pub(super) rows: Vec<TickRow>,
    /// Stream entries older than this, in ms, are history: their age says nothing about the latency of the feed.
    live_from_ms: u64,
}

/// Samples the event time of every `stride`th tick for the latency figure. The choice depends on the count alone.
struct Sampler {
    stride: usize,
    until_next: usize,
    samples_ns: Vec<i64>,
}

impl Sampler {
    #[inline]
    fn offer(&mut self, event: Timestamp) {
        self.until_next -= 1;
        if self.until_next == 0 {
            self.until_next = self.stride;
            self.samples_ns.push(event.as_nanos());
        }
    }

    fn set_stride(&mut self, stride: usize) {
        self.stride = stride;
        self.until_next = self.until_next.min(stride);
    }
}

/// Ticks of one read of the socket. Locks the series at the first tick and releases them every [`BATCH_TICKS`].
struct Batch<'a> {
    handles: &'a Handles,
    sampler: &'a mut Sampler,
    /// Read once for the whole read of the socket: reading the clock costs a tenth of a tick.
    arrival: Timestamp,
    series: Option<MutexGuard<'a, SeriesMap>>,
    ticks: usize,
    /// Alert rules; `None` if there are none.
    watcher: Option<Watcher<'a>>,
    outliers: Option<&'a mut OutlierFilter>,
    /// Destination of rows for the database; `None` without one.
    rows: Option<&'a mut Vec<TickRow>>,
    live_from_ms: u64,
}

impl Batch<'_> {
    #[inline]
    fn append(&mut self, tick: &TickView<'_>, id: Option<StreamId>) {
        let series = self.series.get_or_insert_with(|| self.handles.series.lock());
        let is_outlier = self.outliers.as_deref_mut().is_some_and(|filter| filter.is_outlier(tick));
        if is_outlier {
            // A probable bad print triggers no alert.
            series.append_outlier(tick, self.arrival);
        } else {
            let appended = series.append_view(tick, self.arrival);
            if let Some(watcher) = &mut self.watcher {
                watcher.check(tick, appended, series);
            }
        }
        // Ticks that are not displayed are stored too: the checkpoint passes them, and another run may show them.
        if let Some(rows) = self.rows.as_deref_mut() {
            rows.push(row(tick, id, is_outlier));
        }
        if id.is_none_or(|id| id.ms >= self.live_from_ms) {
            self.sampler.offer(tick.timestamp);
        }
        self.ticks += 1;
        if self.ticks >= BATCH_TICKS {
            self.flush();
        }
    }

    /// Releases the series and publishes what was appended.
    fn flush(&mut self) {
        let Some(mut series) = self.series.take() else { return };
        let Handles { feed, redraw, .. } = self.handles;
        if self.rows.is_none() {
            feed.counters.unstored.fetch_add(self.ticks as u64, Ordering::Relaxed);
        }
        series.finish_batch();
        drop(series);
        if let Some(watcher) = &mut self.watcher {
            watcher.release();
        }
        self.ticks = 0;
        let mut arrivals = feed.arrivals();
        arrivals.record_arrival(Instant::now());
        arrivals.record_samples(&self.sampler.samples_ns, self.arrival);
        self.sampler.set_stride(arrivals.stride());
        drop(arrivals);
        self.sampler.samples_ns.clear();
        redraw.request();
    }
}

fn row(tick: &TickView<'_>, id: Option<StreamId>, outlier: bool) -> TickRow {
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

/// Channel of the last message. Most messages of a read are of one channel, whose name is validated once.
#[derive(Default)]
struct NamedChannel<'a> {
    bytes: &'a [u8],
    name: Option<&'a str>,
}

impl<'a> NamedChannel<'a> {
    /// Origin of a message of `channel`. An entry arrived at the time in its `id`.
    #[inline]
    fn origin(&mut self, channel: &'a [u8], id: Option<StreamId>, now: Timestamp) -> Origin<'a> {
        if self.bytes != channel {
            *self = Self { bytes: channel, name: std::str::from_utf8(channel).ok() };
        }
        let arrived_ns = id.map_or(now.as_nanos(), |id| (id.ms as i64).saturating_mul(1_000_000));
        Origin { now, arrival: Some(Timestamp::saturating_from_nanos(arrived_ns)), channel: self.name }
    }
}

impl Ingest {
    pub(super) fn new(handles: Handles, connection: usize, config: &Config) -> Self {
        Self {
            handles,
            connection,
            decoder: Decoder::new(config.fields.clone()),
            // All ticks of a symbol come through the same connection, so each may have a filter of its own.
            outliers: config.args.outliers.map(OutlierFilter::new),
            reject_log: RejectLog {
                limit: RateLimited::new(REJECTS_LOGGED_EVERY),
                seen: BTreeSet::new(),
                pending: Vec::new(),
            },
            sampler: Sampler { stride: 1, until_next: 1, samples_ns: Vec::with_capacity(BATCH_TICKS) },
            rows: Vec::new(),
            live_from_ms: (Timestamp::now().as_nanos() / 1_000_000) as u64,
        }
    }

    /// Appends the ticks of `messages`, each with its id if it is a stream entry. Pushes the ids of entries that held
    /// no tick to `without_tick`.
    pub(super) fn append<'a>(
        &mut self,
        messages: impl Iterator<Item = (Option<StreamId>, Message<'a>)>,
        without_tick: &mut Vec<StreamId>,
    ) {
        let Self { handles, decoder, outliers, reject_log, sampler, rows, live_from_ms, .. } = self;
        let arrival = Timestamp::now();
        sampler.set_stride(handles.feed.arrivals().stride());
        let (mut rejects, mut others) = (RejectCounts::default(), 0);
        let mut batch = Batch {
            handles,
            sampler,
            arrival,
            series: None,
            ticks: 0,
            watcher: (!handles.alerting.is_idle()).then(|| Watcher::new(&handles.alerting)),
            outliers: outliers.as_mut(),
            rows: handles.storage.is_some().then_some(rows),
            live_from_ms: *live_from_ms,
        };
        let mut named = NamedChannel::default();
        for (id, incoming) in messages {
            let mut has_tick = false;
            match incoming {
                Message::Payload { channel, payload } => {
                    if payload.len() > QUICK_BYTES_MAX {
                        batch.flush();
                    }
                    let origin = named.origin(channel, id, arrival);
                    let others_here = decoder.decode_borrowed(payload, origin, |result| match result {
                        Ok(tick) => {
                            has_tick = true;
                            batch.append(&tick, id);
                        }
                        Err(rejection) => {
                            rejects.add(rejection.cause);
                            reject_log.note(rejection, payload);
                        }
                    });
                    // An entry of another kind has been understood, so that a group acknowledges it.
                    has_tick |= others_here > 0;
                    others += others_here;
                }
                Message::TooLong => {
                    rejects.add(Reject::TooLong);
                    reject_log.note(Rejection::of_message(Reject::TooLong), b"");
                }
            }
            if let Some(id) = id.filter(|_| !has_tick) {
                without_tick.push(id);
            }
        }
        batch.flush();
        if others > 0 {
            handles.feed.counters.other.fetch_add(others, Ordering::Relaxed);
            handles.redraw.request();
        }
        if let Some(report) = decoder.take_report() {
            info!("{report}");
        }
        if rejects.total() > 0 {
            handles.feed.rejects().merge(&rejects);
            handles.redraw.request();
            reject_log.write();
        }
    }

    /// Records a connection's new state and its consequences: an outage in the series, or the end of one.
    ///
    /// `resumes` is true if the source delivers what was published while the connection was down. Such an outage is
    /// removed from the series once all connections are live again.
    pub(super) fn set_connection(&self, state: LinkState, resumes: bool) {
        let Handles { series, feed, redraw, alerting, .. } = &self.handles;
        feed.set_connection(self.connection, state, |transition| match transition {
            Transition::Connected if resumes => series.lock().recover_outages(),
            Transition::Connected => {}
            Transition::Disconnected => {
                let mut series = series.lock();
                if let Some(newest_ns) = series.newest_ns() {
                    series.begin_outage(newest_ns);
                }
            }
        });
        if feed.is_live() {
            alerting.start_silence_clock();
        }
        redraw.request();
    }
}

impl MessageHandler for Ingest {
    fn on_messages(&mut self, delivery: &mut MessageBatch<'_>) {
        // Messages of channels have no ids.
        self.append(delivery.map(|incoming| (None, incoming)), &mut Vec::new());
        if let Some(storage) = &self.handles.storage
            && !self.rows.is_empty()
        {
            storage.offer(std::mem::take(&mut self.rows));
        }
    }

    fn on_cut_off(&mut self) {
        self.handles.feed.connection().cut_off += 1;
        self.handles.redraw.request();
    }

    fn on_link(&mut self, state: LinkState) {
        self.set_connection(state, false);
    }
}

/// Log of rejected messages: the first of each cause at once, later ones at a limited rate.
struct RejectLog {
    limit: RateLimited,
    seen: BTreeSet<&'static str>,
    /// Lines to write once the series are unlocked: a terminal may block. At most one for each cause and one more.
    pending: Vec<String>,
}

impl RejectLog {
    fn note(&mut self, rejection: Rejection<'_>, payload: &[u8]) {
        let is_new = self.seen.insert(rejection.cause.name());
        let permitted = if is_new { Some(self.limit.force()) } else { self.limit.permit() };
        let Some(suppressed) = permitted else { return };
        let prefix = &payload[..payload.len().min(4 * LOGGED_CHARS_MAX)];
        let text: String = String::from_utf8_lossy(prefix).chars().take(LOGGED_CHARS_MAX).collect();
        let more = if suppressed > 0 { format!(" [and {suppressed} more before it]") } else { String::new() };
        self.pending.push(format!("rejected a message ({rejection}): {}{more}", display_safe(&text)));
    }

    fn write(&mut self) {
        for text in self.pending.drain(..) {
            warn!("{text}");
        }
    }
}
