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

use rand_chacha::ChaCha8Rng;
use redis::streams::{StreamAutoClaimReply, StreamPendingCountReply};
use redis::{Cmd, Value};
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use crate::client::ClientError;
use crate::client::connection::{Connection, error_text};
use crate::client::discovery::Discovery;
use crate::client::error::SessionError;
use crate::client::error_advice::excerpt;
use crate::client::reconnect::{LinkState, RetryLog, Session, SessionOutcome, run_with_reconnect};
use crate::client::stream_reader::dead_letter::DeadLetter;
use crate::client::stream_reader::entry::{Entry, read_entries, read_range};
use crate::client::stream_reader::read_limits::ReadLimits;
use crate::client::stream_reader::trim_detector::{GroupTrimDetector, stream_id};
use crate::client::stream_reader::{CLIENT_NAME, EntryHandler, StreamSource, warn_trimmed};
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

/// Runs a consumer until `stop` resolves.
pub(super) async fn read(
    source: &StreamSource,
    group: &ConsumerGroup,
    handler: &mut impl EntryHandler,
    discovery: &mut Discovery,
    stop: impl Future<Output = ()>,
    rng: ChaCha8Rng,
) -> Result<(), ClientError> {
    let mut consumer = Consumer {
        source,
        group,
        handler,
        limits: ReadLimits::default(),
        in_progress: VecDeque::new(),
        held: HashSet::new(),
        claim_start: StreamId::START,
        oversized: None,
        last_delivered: None,
        trim_detector: GroupTrimDetector::default(),
    };
    run_with_reconnect(&mut consumer, discovery, stop, &RetryLog::single(), rng).await?;
    if timeout(LEAVE_TIMEOUT, consumer.leave(discovery)).await.is_err() {
        debug!("the consumer {} could not acknowledge its last entries in time", display_safe(&group.consumer));
    }
    Ok(())
}

/// Entries that were passed on together.
#[derive(Debug)]
struct PendingBatch {
    ticket: u64,
    ids: Vec<StreamId>,
    renewed_at: Instant,
}

struct Consumer<'a, H> {
    source: &'a StreamSource,
    group: &'a ConsumerGroup,
    handler: &'a mut H,
    limits: ReadLimits,
    /// Entries in progress, in order of their tickets.
    in_progress: VecDeque<PendingBatch>,
    /// Ids in `in_progress`.
    held: HashSet<StreamId>,
    /// Start of the next scan for entries of other consumers.
    claim_start: StreamId,
    /// An entry that exceeds the limits.
    oversized: Option<StreamId>,
    /// Highest entry delivered to this consumer.
    last_delivered: Option<StreamId>,
    trim_detector: GroupTrimDetector,
}

impl<H: EntryHandler> Session for Consumer<'_, H> {
    async fn run(&mut self, discovery: &mut Discovery, outcome: &mut SessionOutcome) -> Result<(), SessionError> {
        let connection = &mut discovery.connect(CLIENT_NAME).await?;
        let stream = display_safe(&self.source.stream);
        self.create_group(connection).await?;
        discovery.confirm();
        if let Some(id) = self.oversized.take() {
            self.acknowledge(connection, &[id]).await?;
            warn!("skipped the entry {id} of {stream}, which is too long");
            self.handler.on_trimmed(1);
        }
        self.resume_pending(connection, outcome).await?;
        self.claim_idle(connection, outcome).await?;
        // Every command that needs a permission has succeeded once.
        info!("reading the stream {stream} at {}", discovery.endpoint());
        outcome.set_live(true);
        self.handler.on_link(LinkState::Live);
        let mut renewed_at = Instant::now();
        loop {
            self.acknowledge_committed(connection).await?;
            if renewed_at.elapsed() >= RENEW_EVERY {
                renewed_at = Instant::now();
                self.renew(connection).await?;
                let is_ready = timeout(Duration::ZERO, self.handler.ready()).await.is_ok();
                if is_ready && self.held.len() < IN_PROGRESS_MAX {
                    self.claim_idle(connection, outcome).await?;
                }
            }
            if self.held.len() >= IN_PROGRESS_MAX {
                // The loop continues after a commit as well as after the timeout.
                let _ = timeout(SHORT_BLOCK, self.handler.commit_progress()).await;
                continue;
            }
            // The wait is short, because claims have to be renewed while the store is full.
            if timeout(SHORT_BLOCK, self.handler.ready()).await.is_err() {
                continue;
            }
            self.read_new(connection, outcome).await?;
        }
    }

    fn on_link(&mut self, state: LinkState) {
        self.handler.on_link(state);
    }
}

impl<H: EntryHandler> Consumer<'_, H> {
    /// Starts a command with its name, the stream and the group.
    fn group_command(&self, name: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(&self.source.stream).arg(&self.group.name);
        command
    }

    /// Processes the entries that are pending for this consumer and not in progress: those of an earlier run or a lost
    /// connection, and those claimed from other consumers. They are looked up one by one, because other commands count
    /// as a delivery.
    async fn resume_pending(
        &mut self,
        connection: &mut Connection,
        outcome: &mut SessionOutcome,
    ) -> Result<(), SessionError> {
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
            let mut command = self.group_command("XPENDING");
            command.arg(&start).arg("+").arg(self.limits.entries_max()).arg(&self.group.consumer);
            let pending: StreamPendingCountReply = connection.query(&command).await?;
            let pending: Vec<(StreamId, u64)> = (pending.ids.iter())
                .filter_map(|entry| Some((stream_id(&entry.id)?, entry.times_delivered as u64)))
                .collect();
            let Some((last, _)) = pending.last() else { return Ok(()) };
            start = format!("({last}");
            let deliveries: BTreeMap<StreamId, u64> =
                pending.into_iter().filter(|(id, _)| !self.held.contains(id)).map(|(id, n)| (id, n + 1)).collect();
            if !deliveries.is_empty() {
                self.process_pending(connection, &deliveries, outcome).await?;
            }
        }
    }

    /// Passes on pending entries, and moves those that were delivered too often to the dead letters.
    async fn process_pending(
        &mut self,
        connection: &mut Connection,
        deliveries: &BTreeMap<StreamId, u64>,
        outcome: &mut SessionOutcome,
    ) -> Result<(), SessionError> {
        let found = self.look_up(connection, deliveries).await?;
        let present: HashSet<StreamId> = found.iter().map(|entry| entry.id).collect();
        let gone: Vec<StreamId> = deliveries.keys().copied().filter(|id| !present.contains(id)).collect();
        if !gone.is_empty() {
            self.report_trimmed(gone.len() as u64);
            self.acknowledge(connection, &gone).await?;
        }
        for count in deliveries.values().copied().collect::<BTreeSet<u64>>() {
            let ids: Vec<StreamId> =
                found.iter().filter(|entry| entry.deliveries == count).map(|entry| entry.id).collect();
            self.claim(connection, &ids, Some(count)).await?;
        }
        let (exhausted, fresh): (Vec<DeadLetter>, Vec<DeadLetter>) =
            found.into_iter().partition(|entry| entry.deliveries > self.group.deliveries_max);
        let fresh: Vec<Entry<'_>> = fresh.iter().map(DeadLetter::entry).collect();
        let mut rejected = self.pass_on(&fresh, outcome);
        rejected.extend(exhausted.into_iter().map(|entry| DeadLetter { reason: "handed out too often", ..entry }));
        self.move_to_dead_letters(connection, &rejected).await
    }

    /// Returns those of the entries that the stream still holds.
    async fn look_up(
        &mut self,
        connection: &mut Connection,
        deliveries: &BTreeMap<StreamId, u64>,
    ) -> Result<Vec<DeadLetter>, SessionError> {
        let xrange = |id: &StreamId| {
            let mut command = redis::cmd("XRANGE");
            command.arg(&self.source.stream).arg(id.to_string()).arg(id.to_string());
            command
        };
        let commands: Vec<Cmd> = deliveries.keys().map(xrange).collect();
        if let Err(error) = connection.request_all(&commands).await {
            if matches!(error, SessionError::ReplyTooLong(_)) && !self.limits.shrink() {
                self.oversized = deliveries.keys().next().copied();
            }
            return Err(error);
        }
        self.limits.grow();
        let mut found = Vec::new();
        for reply in connection.replies() {
            for entry in read_range(reply, connection.endpoint())? {
                let count = deliveries.get(&entry.id).copied().unwrap_or(1);
                found.push(DeadLetter::new(&entry, "", count));
            }
        }
        Ok(found)
    }

    /// Reads entries that were not delivered to any consumer. From time to time, the state of stream and group is
    /// requested together with them, before and after: see [`GroupTrimDetector`].
    async fn read_new(
        &mut self,
        connection: &mut Connection,
        outcome: &mut SessionOutcome,
    ) -> Result<(), SessionError> {
        let checks_state = self.limits.is_state_due();
        let mut command = redis::cmd("XREADGROUP");
        command.arg("GROUP").arg(&self.group.name).arg(&self.group.consumer);
        command.arg("COUNT").arg(self.limits.entries_max());
        if !checks_state {
            let block = if self.held.is_empty() { BLOCK_TIMEOUT } else { SHORT_BLOCK };
            command.arg("BLOCK").arg(block.as_millis() as u64);
        }
        command.arg("STREAMS").arg(&self.source.stream).arg(">");
        let commands =
            if checks_state { create_group::with_state_checks(&self.source.stream, command) } else { vec![command] };
        // Entries in a reply that is too long count as delivered: the next session reads them in smaller parts.
        if let Err(error) = connection.request_all(&commands).await {
            if matches!(error, SessionError::ReplyTooLong(_)) {
                self.limits.pause_state();
            }
            return Err(error);
        }
        let replies: Vec<&[u8]> = connection.replies().collect();
        let reply = if checks_state { self.check_missed(&replies, connection) } else { replies.first().copied() };
        let entries = read_entries(reply.unwrap_or_default(), connection.endpoint())?;
        let rejected = self.pass_on(&entries, outcome);
        self.move_to_dead_letters(connection, &rejected).await
    }

    /// Passes entries to the handler, and returns those that it rejects.
    fn pass_on(&mut self, entries: &[Entry<'_>], outcome: &mut SessionOutcome) -> Vec<DeadLetter> {
        if entries.is_empty() {
            return Vec::new();
        }
        outcome.has_delivered = true;
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
        self.held.extend(&ids);
        self.in_progress.push_back(PendingBatch { ticket: accepted.ticket, ids, renewed_at: Instant::now() });
        rejected
    }

    /// Acknowledges entries that are committed.
    async fn acknowledge_committed(&mut self, connection: &mut Connection) -> Result<(), SessionError> {
        let committed = self.handler.committed();
        while let Some(batch) = self.in_progress.front().filter(|batch| batch.ticket <= committed) {
            let ids = batch.ids.clone();
            self.acknowledge(connection, &ids).await?;
            for id in &ids {
                self.held.remove(id);
            }
            self.in_progress.pop_front();
        }
        Ok(())
    }

    /// Acknowledges entries, which are no longer pending afterwards.
    async fn acknowledge(&mut self, connection: &mut Connection, ids: &[StreamId]) -> Result<(), SessionError> {
        for ids in ids.chunks(IDS_MAX) {
            let mut command = self.group_command("XACK");
            for id in ids {
                command.arg(id.to_string());
            }
            connection.query::<Value>(&command).await?;
        }
        Ok(())
    }

    /// Renews the claim on all entries in progress.
    async fn renew(&mut self, connection: &mut Connection) -> Result<(), SessionError> {
        let now = Instant::now();
        let mut ids: Vec<StreamId> = Vec::new();
        let is_due = |batch: &&mut PendingBatch| now.duration_since(batch.renewed_at) >= RENEW_EVERY / 2;
        for batch in self.in_progress.iter_mut().filter(is_due) {
            ids.extend(&batch.ids);
            batch.renewed_at = now;
        }
        self.claim(connection, &ids, None).await
    }

    /// Claims entries for this consumer. Sets their number of deliveries, or leaves it unchanged.
    async fn claim(
        &mut self,
        connection: &mut Connection,
        ids: &[StreamId],
        deliveries: Option<u64>,
    ) -> Result<(), SessionError> {
        for ids in ids.chunks(IDS_MAX) {
            let mut command = self.group_command("XCLAIM");
            command.arg(&self.group.consumer).arg(0);
            for id in ids {
                command.arg(id.to_string());
            }
            if let Some(deliveries) = deliveries {
                command.arg("RETRYCOUNT").arg(deliveries);
            }
            // Without JUSTID the claim would count as a delivery.
            command.arg("JUSTID");
            connection.query::<Value>(&command).await?;
        }
        Ok(())
    }

    /// Claims the entries of dead consumers.
    async fn claim_idle(
        &mut self,
        connection: &mut Connection,
        outcome: &mut SessionOutcome,
    ) -> Result<(), SessionError> {
        let mut command = self.group_command("XAUTOCLAIM");
        command.arg(&self.group.consumer).arg(IDLE_MAX.as_millis() as u64).arg(self.claim_start.to_string());
        command.arg("COUNT").arg(IDS_MAX).arg("JUSTID");
        let reply: StreamAutoClaimReply = connection.query(&command).await?;
        self.claim_start = stream_id(&reply.next_stream_id).unwrap_or_default();
        if !reply.deleted_ids.is_empty() {
            self.report_trimmed(reply.deleted_ids.len() as u64);
        }
        if reply.claimed.is_empty() {
            return Ok(());
        }
        debug!("claimed {} entries of other consumers", reply.claimed.len());
        self.resume_pending(connection, outcome).await
    }

    /// Moves entries to the dead letters.
    async fn move_to_dead_letters(
        &mut self,
        connection: &mut Connection,
        entries: &[DeadLetter],
    ) -> Result<(), SessionError> {
        let dead_letters = display_safe(&self.group.dead_letters);
        for (at, entry) in entries.iter().enumerate() {
            if at % DEAD_LETTERS_PER_RENEWAL == DEAD_LETTERS_PER_RENEWAL - 1 {
                self.renew(connection).await?;
            }
            let mut command = redis::cmd("XADD");
            command.arg(&self.group.dead_letters).arg("*");
            for (name, value) in &entry.fields {
                command.arg(name.as_slice()).arg(value.as_slice());
            }
            command.arg("dead_id").arg(entry.id.to_string()).arg("dead_group").arg(&self.group.name);
            command.arg("dead_reason").arg(entry.reason).arg("dead_deliveries").arg(entry.deliveries);
            let DeadLetter { id, reason, .. } = entry;
            if let Some(text) = error_text(connection.request(&command).await?) {
                // The entry stays pending and is tried again later; the others need not wait for it.
                warn!("the entry {id} ({reason}) cannot be moved to {dead_letters}: {}", excerpt(&text));
                continue;
            }
            // The entry is acknowledged last: a crash in between leaves a second dead letter, but loses no entry.
            self.acknowledge(connection, &[*id]).await?;
            self.handler.on_dead_letters(1);
            warn!("the entry {id} was moved to {dead_letters}: {reason}");
        }
        Ok(())
    }

    fn report_trimmed(&mut self, count: u64) {
        warn_trimmed(&self.source.stream, count);
        self.handler.on_trimmed(count);
    }

    /// Acknowledges the last committed entries.
    async fn leave(&mut self, discovery: &mut Discovery) -> Result<(), SessionError> {
        while self.in_progress.back().is_some_and(|batch| batch.ticket > self.handler.committed()) {
            self.handler.commit_progress().await;
        }
        let mut connection = discovery.connect(CLIENT_NAME).await?;
        // The consumer stays in the group: its removal would discard entries that the server has delivered to the last
        // connection before it noticed its end.
        self.acknowledge_committed(&mut connection).await
    }
}
