use std::fs;
use std::time::Duration;

use crate::client::OverflowPolicy;
use crate::client::publisher::spool_writer::*;
use crate::spool::{SequenceRange, Spool};

const LIMIT: Duration = Duration::from_secs(20);

fn batch(range: SequenceRange) -> Batch {
    let mut batch = Batch::default();
    batch.set_first_number(range.first);
    (range.first..=range.last).for_each(|n| batch.push(None, |out| out.extend_from_slice(n.to_string().as_bytes())));
    batch
}

fn start(spool: Spool, memory: usize) -> (Arc<SendQueue>, SpoolWriter, u64) {
    SpoolWriter::start(spool.into_logs().remove(0), memory).unwrap()
}

/// Takes and confirms messages as a publisher does, up to number `until`.
fn take_all(queue: &SendQueue, until: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    let deadline = std::time::Instant::now() + LIMIT;
    while numbers.last() != Some(&until) {
        assert!(std::time::Instant::now() < deadline, "number {until} is missing after {:?}", numbers.last());
        let batch = queue.take(256);
        let Some(range) = batch.range() else {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        numbers.extend(range.first..=range.last);
        queue.confirm(batch.len(), 1);
        queue.recycle(batch);
    }
    numbers
}

#[tokio::test]
async fn messages_beyond_memory_wait_on_disk_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), None, "p", 1, 100_000).unwrap();
    let (queue, writer, _) = start(spool, 64);
    for first in (1..=5_000).step_by(50) {
        queue.push(&mut batch(SequenceRange { first, last: first + 49 }), OverflowPolicy::DropOldest).await;
    }
    queue.set_connected(true);
    assert_eq!(take_all(&queue, 5_000), (1..=5_000).collect::<Vec<_>>());
    queue.close();
    assert!(queue.is_finished());
    queue.abandon();
    writer.finish(LIMIT).await;
    assert_eq!((queue.report().sent, queue.report().dropped, queue.report().spooled), (5_000, 0, 0));
}

#[tokio::test]
async fn messages_of_an_earlier_run_are_sent_first() {
    let folder = tempfile::tempdir().unwrap();
    let run = async |from: u64, made: SequenceRange, take: u64| {
        let spool = Spool::open(folder.path(), None, "p", 1, 1_000).unwrap();
        let (queue, writer, next) = start(spool, 64);
        assert_eq!(next, made.first);
        queue.set_connected(true);
        queue.push(&mut batch(made), OverflowPolicy::Wait).await;
        let taken = take_all(&queue, take);
        assert_eq!(taken.first(), Some(&from));
        assert!(taken.is_sorted_by(|a, b| a + 1 == *b), "{taken:?}");
        queue.abandon();
        writer.finish(LIMIT).await;
        queue.report()
    };
    let report = run(1, SequenceRange { first: 1, last: 60 }, 60).await;
    assert_eq!((report.sent, report.spooled, report.recovered), (60, 0, 0));
    // Taken as batches and never confirmed.
    let spool = Spool::open(folder.path(), None, "p", 1, 1_000).unwrap();
    let (queue, writer, next) = start(spool, 64);
    queue.push(&mut batch(SequenceRange { first: next, last: next + 29 }), OverflowPolicy::Wait).await;
    while queue.take(10).is_empty() {
        tokio::task::yield_now().await;
    }
    queue.abandon();
    writer.finish(LIMIT).await;
    let report = queue.report();
    assert_eq!((report.sent, report.dropped, report.spooled), (0, 0, 30), "{report:?}");
    assert_eq!((report.first, report.last), (Some(61), Some(90)));
    let report = run(61, SequenceRange { first: 91, last: 95 }, 95).await;
    assert_eq!((report.recovered, report.first, report.sent, report.spooled), (30, Some(91), 35, 0));
    assert_eq!(report.recovered_ranges, [SequenceRange { first: 61, last: 90 }]);
}

#[tokio::test]
async fn a_full_spool_drops_and_counts_the_oldest_messages() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), None, "p", 1, 200).unwrap();
    let (queue, writer, _) = start(spool, 32);
    for first in (1..=3_000).step_by(10) {
        queue.push(&mut batch(SequenceRange { first, last: first + 9 }), OverflowPolicy::DropOldest).await;
        while queue.stats().queued > 300 {
            tokio::task::yield_now().await;
        }
    }
    queue.set_connected(true);
    let taken = take_all(&queue, 3_000);
    let report = queue.report();
    queue.abandon();
    writer.finish(LIMIT).await;
    assert_eq!(report.sent + report.dropped, 3_000, "{report:?}");
    assert_eq!(
        report.dropped_ranges,
        [SequenceRange { first: 1, last: report.dropped }],
        "the oldest ones, in one range"
    );
    assert_eq!(taken, (report.dropped + 1..=3_000).collect::<Vec<_>>());
    assert!((150..=300).contains(&report.sent), "{report:?}");
}

#[tokio::test]
async fn a_failing_disk_drops_no_message_while_memory_lasts() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), None, "p", 1, 1_000).unwrap();
    let (queue, writer, _) = start(spool, 64);
    queue.set_connected(true);
    // A folder with the name of the segment makes its creation fail.
    let lane = folder.path().join("lane-000");
    let obstacle = lane.join("00000000000000000001.ticks");
    fs::create_dir(&obstacle).unwrap();
    queue.push(&mut batch(SequenceRange { first: 1, last: 40 }), OverflowPolicy::Wait).await;
    assert_eq!(take_all(&queue, 40), (1..=40).collect::<Vec<_>>());
    assert_eq!(queue.stats().unspooled, 40);
    queue.push(&mut batch(SequenceRange { first: 41, last: 50 }), OverflowPolicy::Wait).await;
    assert_eq!(take_all(&queue, 50), (41..=50).collect::<Vec<_>>());
    queue.abandon();
    writer.finish(LIMIT).await;
    fs::remove_dir(&obstacle).unwrap();
    let spool = Spool::open(folder.path(), None, "p", 1, 1_000).unwrap();
    assert_eq!((spool.recovered(), start(spool, 1).2), (0, 51), "no number is reused");
}
