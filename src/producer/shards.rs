//! The ways on which ticks leave: one, or in a cluster one a shard, each with a queue, a connection, numbers of its own
//! and, where that was asked for, a spool of its own.
//!
//! A lane has its own `source` in a cluster, because a reader follows shards at different speeds: numbers that ran on
//! across them would look like gaps.

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
use crate::spool::Spool;

/// One way.
pub(super) struct Lane {
    pub(super) outbox: Arc<SendQueue>,
    /// What its ticks name beside their number.
    pub(super) source: Option<CompactString>,
    /// The number of its next tick.
    pub(super) next: u64,
    destination: Destination,
    writer: Option<SpoolWriter>,
}

/// All of them.
pub(super) struct Lanes {
    lanes: Vec<Lane>,
}

/// What became of a lane's ticks.
#[derive(Debug, Serialize)]
pub struct LaneAccount {
    /// What they name beside their number.
    pub source: Option<String>,
    /// By number.
    #[serde(flatten)]
    pub account: DeliveryReport,
}

/// How ticks leave.
pub(super) struct Plan<'a> {
    pub(super) target: &'a Target,
    pub(super) channel: &'a str,
    pub(super) stream: Option<&'a OutputStream>,
    pub(super) shards: u16,
    pub(super) id: Option<&'a CompactString>,
    /// Ticks that wait in memory at most, of all lanes.
    pub(super) memory: usize,
}

impl Lanes {
    /// Makes the queues, and starts to write the spool, if there is one.
    pub(super) fn new(plan: &Plan<'_>, spool: Option<Spool>) -> io::Result<Self> {
        let count = lane_count(plan.target, plan.shards);
        let memory = (plan.memory / usize::from(count)).max(1);
        let queues: Vec<(Arc<SendQueue>, Option<SpoolWriter>, u64)> = match spool {
            Some(spool) => {
                let started = spool.into_logs().into_iter().map(|log| SpoolWriter::start(log, memory));
                started
                    .map(|started| started.map(|(outbox, writer, next)| (outbox, Some(writer), next)))
                    .collect::<io::Result<_>>()?
            }
            None => (0..count).map(|_| (Arc::new(SendQueue::new(memory)), None, 1)).collect(),
        };
        let sharded = plan.target.is_cluster();
        let lanes = queues.into_iter().zip(0..).map(|((outbox, writer, next), shard)| {
            let name = |name: &str| if sharded { shard_name(name, shard) } else { name.to_owned() };
            let stream = plan.stream.map(|stream| OutputStream { name: name(&stream.name), maxlen: stream.maxlen });
            let destination = Destination { channel: name(plan.channel), stream, sharded };
            let source = plan.id.map(|id| if sharded { format_compact!("{id}.{shard}") } else { id.clone() });
            Lane { outbox, source, next, destination, writer }
        });
        Ok(Self { lanes: lanes.collect() })
    }

    pub(super) fn as_slice(&self) -> &[Lane] {
        &self.lanes
    }

    /// Resolves once the first connection of any lane has been made.
    pub(super) async fn connected(&self) {
        let mut connections: Vec<_> = self.lanes.iter().map(|lane| Box::pin(lane.outbox.connected())).collect();
        poll_fn(|context| {
            let made = connections.iter_mut().any(|connection| pin!(connection).poll(context).is_ready());
            if made { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Whether ticks are on disk before they leave.
    pub(super) fn are_spooled(&self) -> bool {
        self.lanes.iter().all(|lane| lane.writer.is_some())
    }

    /// Says that no more ticks come.
    pub(super) fn close(&self) {
        self.lanes.iter().for_each(|lane| lane.outbox.close());
    }

    /// Makes all publishers leave now.
    pub(super) fn abandon(&self) {
        self.lanes.iter().for_each(|lane| lane.outbox.abandon());
    }

    /// All figures together.
    pub(super) fn snapshot(&self) -> QueueStats {
        sum(self.lanes.iter().map(|lane| lane.outbox.stats()))
    }

    /// Whether ticks can leave on any lane.
    pub(super) fn is_any_live(&self) -> bool {
        self.lanes.iter().any(|lane| lane.outbox.stats().status == ConnectionStatus::Live)
    }

    /// Waits until the spools are written, `limit` at most.
    pub(super) async fn end_spools(&mut self, limit: Duration) {
        let mut writers = JoinSet::new();
        for writer in self.lanes.iter_mut().filter_map(|lane| lane.writer.take()) {
            writers.spawn(writer.finish(limit));
        }
        while writers.join_next().await.is_some() {}
    }

    /// What became of each tick.
    pub(super) fn accounts(&self) -> Vec<LaneAccount> {
        let account = |lane: &Lane| LaneAccount {
            source: lane.source.as_ref().map(ToString::to_string),
            account: lane.outbox.report(),
        };
        self.lanes.iter().map(account).collect()
    }
}

/// How many lanes there are.
pub(super) fn lane_count(target: &Target, shards: u16) -> u16 {
    if target.is_cluster() { shards.max(1) } else { 1 }
}

/// Sums count what all lanes did. A subscriber of everything counts once, though it listens to each shard.
fn sum(snapshots: impl Iterator<Item = QueueStats>) -> QueueStats {
    let rank = |status: ConnectionStatus| match status {
        ConnectionStatus::Live => 0,
        ConnectionStatus::Connecting => 1,
        ConnectionStatus::Down => 2,
    };
    let together = snapshots.reduce(|a, b| QueueStats {
        sent: a.sent + b.sent,
        dropped: a.dropped + b.dropped,
        queued: a.queued + b.queued,
        unspooled: a.unspooled + b.unspooled,
        recovered: a.recovered + b.recovered,
        reconnects: a.reconnects + b.reconnects,
        receivers: a.receivers.max(b.receivers),
        // One part of the cluster that is away is what matters.
        status: if rank(a.status) >= rank(b.status) { a.status } else { b.status },
        connected_at: [a.connected_at, b.connected_at].into_iter().flatten().min(),
        confirmed_at: a.confirmed_at.max(b.confirmed_at),
    });
    together.unwrap_or_else(|| SendQueue::new(1).stats())
}

/// The publishers' tasks: their own, so that a tick is encoded on one core while another is published on the next.
pub(super) struct Publishers {
    tasks: JoinSet<Result<(), ClientError>>,
}

impl Publishers {
    /// Starts one for each lane; `echo` makes what is told each confirmed tick's line.
    pub(super) fn start(
        lanes: &Lanes,
        target: &Target,
        echo: impl Fn() -> Option<OnConfirmed>,
        jitter_seed: u64,
    ) -> Self {
        let mut tasks = JoinSet::new();
        let log = RetryLog::shared();
        for (lane, at) in lanes.lanes.iter().zip(0u64..) {
            let (target, destination, outbox) = (target.clone(), lane.destination.clone(), Arc::clone(&lane.outbox));
            let (echo, log) = (echo(), log.clone());
            tasks.spawn(async move {
                let rng = ChaCha8Rng::seed_from_u64(jitter_seed.wrapping_add(at));
                client::publish(&target, &destination, &outbox, echo, log, rng).await
            });
        }
        Self { tasks }
    }

    /// Waits for the first failure, or for the end of all; returns at once if that has been seen before.
    pub(super) async fn ended(&mut self) -> Result<(), ClientError> {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => return Err(error),
                Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Some(Err(_)) | None => return Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::client::{Endpoint, TlsFiles};
    use crate::producer::shards::*;

    fn plan<'a>(target: &'a Target, stream: &'a OutputStream, id: &'a CompactString) -> Plan<'a> {
        Plan { target, channel: "c", stream: Some(stream), shards: 4, id: Some(id), memory: 100 }
    }

    #[test]
    fn a_cluster_has_a_lane_a_shard_and_one_server_has_one() {
        let stream = OutputStream { name: "s".to_owned(), maxlen: 9 };
        let id = CompactString::from("p");
        let cluster = Target::parse_with("redis+cluster://h", false, &TlsFiles::default()).unwrap();
        let lanes = Lanes::new(&plan(&cluster, &stream, &id), None).unwrap();
        let lane = &lanes.as_slice()[3];
        assert_eq!((lanes.as_slice().len(), lane.source.as_deref(), lane.next), (4, Some("p.3"), 1));
        let kept = Some(OutputStream { name: "s:{3}".to_owned(), maxlen: 9 });
        assert_eq!(lane.destination, Destination { channel: "c:{3}".to_owned(), stream: kept, sharded: true });
        let lanes = Lanes::new(&plan(&Target::Server(Endpoint::loopback(1)), &stream, &id), None).unwrap();
        let [lane] = lanes.as_slice() else { panic!("one lane") };
        assert_eq!((lane.source.as_deref(), lane.destination.channel.as_str()), (Some("p"), "c"));
    }

    #[test]
    fn figures_add_up_and_one_part_that_is_away_shows() {
        let one = SendQueue::new(9).stats();
        let a = QueueStats { sent: 3, queued: 1, receivers: Some(2), status: ConnectionStatus::Live, ..one };
        let b = QueueStats { sent: 4, dropped: 5, reconnects: 1, status: ConnectionStatus::Down, ..one };
        let both = sum([a, b].into_iter());
        assert_eq!((both.sent, both.dropped, both.queued, both.reconnects), (7, 5, 1, 1));
        assert_eq!((both.receivers, both.status), (Some(2), ConnectionStatus::Down));
        assert_eq!(sum([a].into_iter()), a);
    }
}
