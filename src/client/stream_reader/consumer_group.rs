//! Consumer group: each entry goes to one consumer of the group, and to another if that one dies.
//!
//! An entry delivered to a consumer is pending until the consumer acknowledges it, which it does once the entry is
//! committed ([`EntryHandler::committed`]). Each second a consumer renews its claim on the entries in progress, and
//! claims entries that were not renewed for [`IDLE_MAX`]: another consumer has the entries of a dead one within 5 s. An
//! entry that was delivered too often, or cannot be processed, is moved to the dead letters with the reason. Entries
//! trimmed before a consumer has processed them are counted.

mod create_group;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::time::Duration;

use redis::streams::{StreamAutoClaimOptions, StreamAutoClaimReply, StreamPendingCountReply};
use redis::{Cmd, Value};
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use crate::client::connection::{Connection, error_text};
use crate::client::discovery::Discovery;
use crate::client::error::{SessionError, SessionResult, excerpt};
use crate::client::reconnect::{LinkState, Session, SessionProgress};
use crate::client::stream_reader::entry::{Entry, read_entries, read_range};
use crate::client::stream_reader::read_limits::ReadLimits;
use crate::client::stream_reader::trim_detector::GroupTrimDetector;
use crate::client::stream_reader::{CLIENT_NAME, EntryHandler, StreamSource, report_trimmed};
use crate::client::timeouts::BLOCK_TIMEOUT;
use crate::model::{StreamId, display_safe};

/// Idle time after which any consumer may claim an entry. Consumers renew each second, so only one that is gone, or has
/// not run for two seconds, loses its entries.
const IDLE_MAX: Duration = Duration::from_secs(3);

/// Interval at which a consumer renews its entries and claims those of others.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// Most entries in progress at a time: a second's worth for a fast store.
const IN_PROGRESS_MAX: usize = 50_000;

/// Most ids in one command.
const IDS_MAX: usize = 1_000;

/// Longest time that a read blocks while entries are in progress, which may have to be acknowledged.
const SHORT_BLOCK: Duration = Duration::from_millis(50);

/// Dead letters between two renewals; each takes two round trips.
const DEAD_LETTERS_PER_RENEWAL: usize = 64;

/// Time limit for the last acknowledgements: users are promised that the program ends within a second.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(400);

/// Consumer group, and this consumer of it.
#[derive(Debug, Clone)]
pub struct ConsumerGroup {
    /// Name of the group.
    pub name: String,
    /// Name of this consumer, unique in the group.
    pub consumer: String,
    /// Most deliveries of an entry; at the next one it is moved to the dead letters.
    pub deliveries_max: u64,
    /// Key of the stream of dead letters.
    pub dead_letters: String,
}

impl ConsumerGroup {
    /// Acknowledges entries, which are no longer pending afterwards.
    async fn acknowledge(&self, stream: &str, connection: &mut Connection, ids: &[StreamId]) -> SessionResult {
        for ids in ids.chunks(IDS_MAX) {
            let ids: Vec<String> = ids.iter().map(StreamId::to_string).collect();
            connection.query::<Value>(&Cmd::xack(stream, &self.name, &ids)).await?;
        }
        Ok(())
    }

    /// Claims entries for this consumer. Sets their number of deliveries, or leaves it unchanged.
    async fn claim(
        &self,
        stream: &str,
        connection: &mut Connection,
        ids: &[StreamId],
        deliveries: Option<u64>,
    ) -> SessionResult {
        for ids in ids.chunks(IDS_MAX) {
            let ids: Vec<String> = ids.iter().map(StreamId::to_string).collect();
            let mut command = Cmd::xclaim(stream, &self.name, &self.consumer, 0, &ids);
            // Without JUSTID the claim would count as a delivery.
            command.arg(deliveries.map(|count| ("RETRYCOUNT", count))).arg("JUSTID");
            connection.query::<Value>(&command).await?;
        }
        Ok(())
    }
}

/// Entries that were passed on together.
#[derive(Debug)]
struct PendingBatch {
    ticket: u64,
    ids: Vec<StreamId>,
    renewed_at: Instant,
}

/// Copy of an entry that outlives the reply, and may have to be moved to the dead letters.
#[derive(Debug, Clone)]
struct DeadLetter {
    id: StreamId,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    reason: &'static str,
    /// Number of times that the entry was delivered.
    deliveries: u64,
}

impl DeadLetter {
    fn new(entry: &Entry<'_>, reason: &'static str, deliveries: u64) -> Self {
        let fields = entry.fields.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        Self { id: entry.id, fields, reason, deliveries }
    }

    fn entry(&self) -> Entry<'_> {
        Entry { id: self.id, fields: self.fields.iter().map(|(name, value)| (&name[..], &value[..])).collect() }
    }
}

/// Session of one consumer.
pub(super) struct Consumer<'a, H> {
    source: &'a StreamSource,
    group: &'a ConsumerGroup,
    handler: &'a mut H,
    progress: SessionProgress,
    limits: ReadLimits,
    /// Entries in progress, in order of their tickets.
    in_progress: VecDeque<PendingBatch>,
    /// Start of the next scan for entries of other consumers.
    claim_start: StreamId,
    /// An entry that exceeds the limits.
    oversized: Option<StreamId>,
    /// Highest entry delivered to this consumer.
    last_delivered: Option<StreamId>,
    trim_detector: GroupTrimDetector,
}

impl<H: EntryHandler> Session for Consumer<'_, H> {
    async fn run(&mut self, discovery: &mut Discovery) -> SessionResult {
        let connection = &mut discovery.connect(CLIENT_NAME).await?;
        let stream = display_safe(&self.source.stream);
        self.create_group(connection).await?;
        discovery.confirm();
        if let Some(id) = self.oversized.take() {
            self.group.acknowledge(&self.source.stream, connection, &[id]).await?;
            warn!("skipped the entry {id} of {stream}, which is too long");
            self.handler.on_trimmed(1);
        }
        self.resume_pending(connection).await?;
        self.claim_idle(connection).await?;
        // Every command that needs a permission has succeeded once.
        info!("reading the stream {stream} at {}", discovery.endpoint());
        self.set_live();
        let mut renewed_at = Instant::now();
        loop {
            self.acknowledge_committed(connection).await?;
            if renewed_at.elapsed() >= RENEW_EVERY {
                renewed_at = Instant::now();
                self.renew(connection).await?;
                let is_ready = timeout(Duration::ZERO, self.handler.ready()).await.is_ok();
                if is_ready && self.in_progress_count() < IN_PROGRESS_MAX {
                    self.claim_idle(connection).await?;
                }
            }
            if self.in_progress_count() >= IN_PROGRESS_MAX {
                // The loop continues after a commit as well as after the timeout.
                let _ = timeout(SHORT_BLOCK, self.handler.commit_progress()).await;
                continue;
            }
            // The wait is short, because claims have to be renewed while the store is full.
            if timeout(SHORT_BLOCK, self.handler.ready()).await.is_err() {
                continue;
            }
            self.read_new(connection).await?;
        }
    }

    fn progress(&mut self) -> &mut SessionProgress {
        &mut self.progress
    }

    fn on_link(&mut self, state: LinkState) {
        self.handler.on_link(state);
    }

    /// Acknowledges the last committed entries.
    async fn leave(&mut self, discovery: &mut Discovery) {
        let acknowledged = async {
            while self.in_progress.back().is_some_and(|batch| batch.ticket > self.handler.committed()) {
                self.handler.commit_progress().await;
            }
            let mut connection = discovery.connect(CLIENT_NAME).await?;
            // The consumer stays in the group: its removal would discard entries that the server has delivered to the
            // last connection before it noticed its end.
            self.acknowledge_committed(&mut connection).await
        };
        if timeout(LEAVE_TIMEOUT, acknowledged).await.is_err() {
            let consumer = display_safe(&self.group.consumer);
            debug!("the consumer {consumer} could not acknowledge its last entries in time");
        }
    }
}

impl<'a, H: EntryHandler> Consumer<'a, H> {
    pub(super) fn new(source: &'a StreamSource, group: &'a ConsumerGroup, handler: &'a mut H) -> Self {
        Self {
            source,
            group,
            handler,
            progress: SessionProgress::default(),
            limits: ReadLimits::default(),
            in_progress: VecDeque::new(),
            claim_start: StreamId::START,
            oversized: None,
            last_delivered: None,
            trim_detector: GroupTrimDetector::default(),
        }
    }

    /// Number of entries in progress.
    fn in_progress_count(&self) -> usize {
        self.in_progress.iter().map(|batch| batch.ids.len()).sum()
    }

    /// Processes the entries that are pending for this consumer and not in progress: those of an earlier run or a lost
    /// connection, and those claimed from other consumers. They are looked up one by one, because other commands count
    /// as a delivery.
    async fn resume_pending(&mut self, connection: &mut Connection) -> SessionResult {
        let held: HashSet<StreamId> = self.in_progress.iter().flat_map(|batch| &batch.ids).copied().collect();
        let ConsumerGroup { name, consumer, .. } = self.group;
        let mut start = "-".to_owned();
        loop {
            loop {
                let is_ready = timeout(SHORT_BLOCK, self.handler.ready()).await.is_ok();
                self.acknowledge_committed(connection).await?;
                self.renew(connection).await?;
                if is_ready {
                    break;
                }
            }
            let (stream, max) = (&self.source.stream, self.limits.entries_max());
            let command = Cmd::xpending_consumer_count(stream, name, &start, "+", max, consumer);
            let pending: StreamPendingCountReply = connection.query(&command).await?;
            let pending: Vec<(StreamId, u64)> = (pending.ids.iter())
                .filter_map(|entry| Some((entry.id.parse().ok()?, entry.times_delivered as u64)))
                .collect();
            let Some((last, _)) = pending.last() else { return Ok(()) };
            start = format!("({last}");
            let deliveries: BTreeMap<StreamId, u64> =
                pending.into_iter().filter(|(id, _)| !held.contains(id)).map(|(id, n)| (id, n + 1)).collect();
            if !deliveries.is_empty() {
                self.process_pending(connection, &deliveries).await?;
            }
        }
    }

    /// Passes on pending entries, and moves those that were delivered too often to the dead letters.
    async fn process_pending(
        &mut self,
        connection: &mut Connection,
        deliveries: &BTreeMap<StreamId, u64>,
    ) -> SessionResult {
        let (group, stream) = (self.group, &self.source.stream);
        let (found, gone) = self.look_up(connection, deliveries).await?;
        if !gone.is_empty() {
            report_trimmed(self.handler, stream, gone.len() as u64);
            group.acknowledge(stream, connection, &gone).await?;
        }
        for count in deliveries.values().copied().collect::<BTreeSet<u64>>() {
            let ids: Vec<StreamId> =
                found.iter().filter(|entry| entry.deliveries == count).map(|entry| entry.id).collect();
            group.claim(stream, connection, &ids, Some(count)).await?;
        }
        let (exhausted, fresh): (Vec<DeadLetter>, Vec<DeadLetter>) =
            found.into_iter().partition(|entry| entry.deliveries > group.deliveries_max);
        let fresh: Vec<Entry<'_>> = fresh.iter().map(DeadLetter::entry).collect();
        let mut rejected = self.pass_on(&fresh);
        rejected.extend(exhausted.into_iter().map(|entry| DeadLetter { reason: "handed out too often", ..entry }));
        self.move_to_dead_letters(connection, &rejected).await
    }

    /// Returns those of the entries that the stream still holds, and the ids of the others.
    async fn look_up(
        &mut self,
        connection: &mut Connection,
        deliveries: &BTreeMap<StreamId, u64>,
    ) -> SessionResult<(Vec<DeadLetter>, Vec<StreamId>)> {
        let xrange = |id: &StreamId| Cmd::xrange(&self.source.stream, id.to_string(), id.to_string());
        let commands: Vec<Cmd> = deliveries.keys().map(xrange).collect();
        connection.request_all(&commands).await.inspect_err(|error| {
            if matches!(error, SessionError::ReplyTooLong(_)) && !self.limits.shrink() {
                self.oversized = deliveries.keys().next().copied();
            }
        })?;
        self.limits.grow();
        let (mut found, mut gone) = (Vec::new(), Vec::new());
        for ((id, count), reply) in deliveries.iter().zip(connection.replies()) {
            match read_range(reply, &connection.endpoint)?.first() {
                Some(entry) => found.push(DeadLetter::new(entry, "", *count)),
                None => gone.push(*id),
            }
        }
        Ok((found, gone))
    }

    /// Reads entries that were not delivered to any consumer. From time to time, the state of stream and group is
    /// requested together with them, before and after: see [`GroupTrimDetector`].
    async fn read_new(&mut self, connection: &mut Connection) -> SessionResult {
        let (group, stream) = (self.group, &self.source.stream);
        let block = if self.in_progress_count() == 0 { BLOCK_TIMEOUT } else { SHORT_BLOCK };
        let (options, checks_state) = self.limits.next_read(block);
        let command = Cmd::xread_options(&[stream], &[">"], &options.group(&group.name, &group.consumer));
        let commands = if checks_state { create_group::with_state_checks(stream, command) } else { vec![command] };
        // Entries in a reply that is too long count as delivered: the next session reads them in smaller parts.
        connection.request_all(&commands).await.inspect_err(|error| self.limits.pause_state_after(error))?;
        let replies: Vec<&[u8]> = connection.replies().collect();
        let reply = if checks_state { self.check_missed(&replies, connection) } else { replies.first().copied() };
        let entries = read_entries(reply.unwrap_or_default(), &connection.endpoint)?;
        let rejected = self.pass_on(&entries);
        self.move_to_dead_letters(connection, &rejected).await
    }

    /// Passes entries to the handler, and returns those that it rejects.
    fn pass_on(&mut self, entries: &[Entry<'_>]) -> Vec<DeadLetter> {
        if entries.is_empty() {
            return Vec::new();
        }
        self.progress.has_delivered = true;
        self.last_delivered = self.last_delivered.max(entries.iter().map(|entry| entry.id).max());
        let accepted = self.handler.on_entries(entries);
        let reasons: BTreeMap<StreamId, &'static str> = accepted.rejected.into_iter().collect();
        let (mut ids, mut rejected) = (Vec::with_capacity(entries.len()), Vec::new());
        for entry in entries {
            match reasons.get(&entry.id) {
                Some(reason) => rejected.push(DeadLetter::new(entry, reason, 1)),
                None => ids.push(entry.id),
            }
        }
        self.in_progress.push_back(PendingBatch { ticket: accepted.ticket, ids, renewed_at: Instant::now() });
        rejected
    }

    /// Acknowledges entries that are committed.
    async fn acknowledge_committed(&mut self, connection: &mut Connection) -> SessionResult {
        let committed = self.handler.committed();
        while let Some(batch) = self.in_progress.front().filter(|batch| batch.ticket <= committed) {
            self.group.acknowledge(&self.source.stream, connection, &batch.ids).await?;
            self.in_progress.pop_front();
        }
        Ok(())
    }

    /// Renews the claim on all entries in progress.
    async fn renew(&mut self, connection: &mut Connection) -> SessionResult {
        let now = Instant::now();
        let mut ids: Vec<StreamId> = Vec::new();
        let is_due = |batch: &&mut PendingBatch| now.duration_since(batch.renewed_at) >= RENEW_EVERY / 2;
        for batch in self.in_progress.iter_mut().filter(is_due) {
            ids.extend(&batch.ids);
            batch.renewed_at = now;
        }
        self.group.claim(&self.source.stream, connection, &ids, None).await
    }

    /// Claims the entries of dead consumers.
    async fn claim_idle(&mut self, connection: &mut Connection) -> SessionResult {
        let (ConsumerGroup { name, consumer, .. }, stream) = (self.group, &self.source.stream);
        let (idle_ms, start) = (IDLE_MAX.as_millis() as u64, self.claim_start.to_string());
        let options = StreamAutoClaimOptions::default().count(IDS_MAX).with_justid();
        let command = Cmd::xautoclaim_options(stream, name, consumer, idle_ms, start, options);
        let reply: StreamAutoClaimReply = connection.query(&command).await?;
        self.claim_start = reply.next_stream_id.parse().unwrap_or_default();
        if !reply.deleted_ids.is_empty() {
            report_trimmed(self.handler, stream, reply.deleted_ids.len() as u64);
        }
        if reply.claimed.is_empty() {
            return Ok(());
        }
        debug!("claimed {} entries of other consumers", reply.claimed.len());
        self.resume_pending(connection).await
    }

    /// Moves entries to the dead letters.
    async fn move_to_dead_letters(&mut self, connection: &mut Connection, entries: &[DeadLetter]) -> SessionResult {
        let dead_letters = display_safe(&self.group.dead_letters);
        for (at, entry) in entries.iter().enumerate() {
            if at % DEAD_LETTERS_PER_RENEWAL == DEAD_LETTERS_PER_RENEWAL - 1 {
                self.renew(connection).await?;
            }
            let mut command = Cmd::xadd(&self.group.dead_letters, "*", &entry.fields);
            command.arg("dead_id").arg(entry.id.to_string()).arg("dead_group").arg(&self.group.name);
            command.arg("dead_reason").arg(entry.reason).arg("dead_deliveries").arg(entry.deliveries);
            let DeadLetter { id, reason, .. } = entry;
            if let Some(text) = error_text(connection.request(&command).await?) {
                // The entry stays pending and is tried again later; the others need not wait for it.
                warn!("the entry {id} ({reason}) cannot be moved to {dead_letters}: {}", excerpt(&text));
                continue;
            }
            // The entry is acknowledged last: a crash in between leaves a second dead letter, but loses no entry.
            self.group.acknowledge(&self.source.stream, connection, &[*id]).await?;
            self.handler.on_dead_letters(1);
            warn!("the entry {id} was moved to {dead_letters}: {reason}");
        }
        Ok(())
    }
}
