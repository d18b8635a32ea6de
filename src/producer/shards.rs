//! Shards of a cluster, each with a send queue, a connection, its own numbers and optionally a spool. A single server
//! is one shard.
//!
//! In a cluster, each shard has its own `source`. Readers follow shards at different speeds, so that common numbers
//! would look like missing ticks.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use compact_str::{CompactString, format_compact};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::client;
use crate::client::{
    ClientError, ConnectionStatus, DeliveryReport, Destination, OnConfirmed, OutputStream, QueueStats, RetryLog,
    SendQueue, SpoolWriter, Target, shard_name,
};
use crate::producer::Delivery;

/// One shard.
pub(super) struct Shard {
    pub(super) queue: Arc<SendQueue>,
    /// `source` of its ticks.
    pub(super) source: Option<CompactString>,
    /// Number of the next tick.
    pub(super) next_seq: u64,
    destination: Destination,
    writer: Option<SpoolWriter>,
}

/// All shards.
pub(super) struct Shards(Vec<Shard>);

/// Deliveries of one shard.
#[derive(Debug, Serialize)]
pub struct ShardReport {
    /// `source` of its ticks.
    pub source: Option<String>,
    /// Counts of ticks, by number.
    #[serde(flatten)]
    pub deliveries: DeliveryReport,
}

impl Shards {
    /// Creates the queues, and starts the threads that write the spool if there is one. All shards together may queue
    /// `queue_ticks` in memory.
    pub(super) fn new(
        target: &Target,
        channel: &str,
        delivery: Delivery,
        id: Option<&CompactString>,
        queue_ticks: usize,
    ) -> io::Result<Self> {
        let count = shard_count(target, delivery.shards);
        let queue_ticks = (queue_ticks / usize::from(count)).max(1);
        let queues: Vec<(Arc<SendQueue>, Option<SpoolWriter>, u64)> = match delivery.spool {
            Some(spool) => {
                let started = spool.into_logs().into_iter().map(|log| SpoolWriter::start(log, queue_ticks));
                let started = started.collect::<io::Result<Vec<_>>>()?.into_iter();
                started.map(|(queue, writer, next_seq)| (queue, Some(writer), next_seq)).collect()
            }
            None => (0..count).map(|_| (Arc::new(SendQueue::new(queue_ticks)), None, 1)).collect(),
        };
        let (sharded, stream) = (target.is_cluster(), delivery.stream);
        let shards = queues.into_iter().zip(0..).map(|((queue, writer, next_seq), shard)| {
            let name = |name: &str| if sharded { shard_name(name, shard) } else { name.to_owned() };
            let stream = stream.as_ref().map(|stream| OutputStream { name: name(&stream.name), maxlen: stream.maxlen });
            let destination = Destination { channel: name(channel), stream, sharded };
            let source = id.map(|id| if sharded { format_compact!("{id}.{shard}") } else { id.clone() });
            Shard { queue, source, next_seq, destination, writer }
        });
        Ok(Self(shards.collect()))
    }

    pub(super) fn as_slice(&self) -> &[Shard] {
        &self.0
    }

    /// Starts a publisher for each shard. `on_confirmed` makes the callback for confirmed ticks. Publishers run beside
    /// the publish loop, so that encoding and publishing use two cores.
    pub(super) fn start_publishers(
        &self,
        target: &Target,
        on_confirmed: impl Fn() -> Option<OnConfirmed>,
        jitter_seed: u64,
    ) -> JoinSet<Result<(), ClientError>> {
        let mut tasks = JoinSet::new();
        let log = RetryLog::shared();
        for (shard, index) in self.0.iter().zip(0u64..) {
            let (target, destination, queue) = (target.clone(), shard.destination.clone(), Arc::clone(&shard.queue));
            let (on_confirmed, log) = (on_confirmed(), log.clone());
            tasks.spawn(async move {
                let rng = ChaCha8Rng::seed_from_u64(jitter_seed.wrapping_add(index));
                client::publish(&target, &destination, &queue, on_confirmed, log, rng).await
            });
        }
        tasks
    }

    /// Waits for the first connection of any shard.
    pub(super) async fn connected(&self) {
        let mut connections: Vec<_> = self.0.iter().map(|shard| Box::pin(shard.queue.connected())).collect();
        poll_fn(|context| {
            let made = connections.iter_mut().any(|connection| pin!(connection).poll(context).is_ready());
            if made { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Returns whether ticks are written to disk before they are sent.
    pub(super) fn are_spooled(&self) -> bool {
        self.0.iter().all(|shard| shard.writer.is_some())
    }

    /// Closes the queues: no more ticks follow.
    pub(super) fn close(&self) {
        self.0.iter().for_each(|shard| shard.queue.close());
    }

    /// Makes all publishers end at once.
    pub(super) fn abandon(&self) {
        self.0.iter().for_each(|shard| shard.queue.abandon());
    }

    /// Returns the sums over all shards.
    pub(super) fn snapshot(&self) -> QueueStats {
        sum(self.0.iter().map(|shard| shard.queue.stats()))
    }

    /// Returns whether any shard is connected.
    pub(super) fn is_any_live(&self) -> bool {
        self.0.iter().any(|shard| shard.queue.stats().status == ConnectionStatus::Live)
    }

    /// Waits until the spools are written, for at most `limit`.
    pub(super) async fn end_spools(&mut self, limit: Duration) {
        let mut writers = JoinSet::new();
        for writer in self.0.iter_mut().filter_map(|shard| shard.writer.take()) {
            writers.spawn(writer.finish(limit));
        }
        while writers.join_next().await.is_some() {}
    }

    /// Returns the deliveries of each shard.
    pub(super) fn reports(&self) -> Vec<ShardReport> {
        let report = |shard: &Shard| ShardReport {
            source: shard.source.as_ref().map(ToString::to_string),
            deliveries: shard.queue.report(),
        };
        self.0.iter().map(report).collect()
    }
}

/// Returns the number of shards.
pub(super) fn shard_count(target: &Target, shards: u16) -> u16 {
    if target.is_cluster() { shards.max(1) } else { 1 }
}

/// Adds up the counts of all shards. A subscriber of all shards counts once.
fn sum(snapshots: impl Iterator<Item = QueueStats>) -> QueueStats {
    let rank = |status: ConnectionStatus| match status {
        ConnectionStatus::Live => 0,
        ConnectionStatus::Connecting => 1,
        ConnectionStatus::Down => 2,
    };
    let sum = snapshots.reduce(|a, b| QueueStats {
        sent: a.sent + b.sent,
        dropped: a.dropped + b.dropped,
        queued: a.queued + b.queued,
        unspooled: a.unspooled + b.unspooled,
        recovered: a.recovered + b.recovered,
        reconnects: a.reconnects + b.reconnects,
        receivers: a.receivers.max(b.receivers),
        // The worst state of any shard.
        status: if rank(a.status) >= rank(b.status) { a.status } else { b.status },
        connected_at: [a.connected_at, b.connected_at].into_iter().flatten().min(),
        confirmed_at: a.confirmed_at.max(b.confirmed_at),
    });
    sum.unwrap_or_else(|| SendQueue::new(1).stats())
}

#[cfg(test)]
mod tests {
    use crate::client::{Endpoint, TlsFiles};
    use crate::producer::shards::*;

    fn shards(target: &Target) -> Shards {
        let stream = Some(OutputStream { name: "s".to_owned(), maxlen: 9 });
        let delivery = Delivery { stream, spool: None, shards: 4 };
        Shards::new(target, "c", delivery, Some(&"p".into()), 100).unwrap()
    }

    #[test]
    fn a_cluster_has_many_shards_and_a_single_server_has_one() {
        let cluster = Target::parse_with("redis+cluster://h", false, &TlsFiles::default()).unwrap();
        let shards = shards(&cluster);
        let shard = &shards.as_slice()[3];
        assert_eq!((shards.as_slice().len(), shard.source.as_deref(), shard.next_seq), (4, Some("p.3"), 1));
        let stream_of_shard = Some(OutputStream { name: "s:{3}".to_owned(), maxlen: 9 });
        assert_eq!(
            shard.destination,
            Destination { channel: "c:{3}".to_owned(), stream: stream_of_shard, sharded: true }
        );
        let shards = super::tests::shards(&Target::Server(Endpoint::loopback(1)));
        let [shard] = shards.as_slice() else { panic!("one shard") };
        assert_eq!((shard.source.as_deref(), shard.destination.channel.as_str()), (Some("p"), "c"));
    }

    #[test]
    fn counts_are_added_up_and_one_shard_that_is_down_shows() {
        let one = SendQueue::new(9).stats();
        let a = QueueStats { sent: 3, queued: 1, receivers: Some(2), status: ConnectionStatus::Live, ..one };
        let b = QueueStats { sent: 4, dropped: 5, reconnects: 1, status: ConnectionStatus::Down, ..one };
        let both = sum([a, b].into_iter());
        assert_eq!((both.sent, both.dropped, both.queued, both.reconnects), (7, 5, 1, 1));
        assert_eq!((both.receivers, both.status), (Some(2), ConnectionStatus::Down));
        assert_eq!(sum([a].into_iter()), a);
    }
}
