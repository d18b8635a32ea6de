use std::time::Duration;

use proptest::prelude::*;

use crate::client::publisher::send_queue::*;

fn messages(range: std::ops::Range<usize>) -> Batch {
    let mut batch = Batch::default();
    batch.set_first_number(range.start as u64);
    for n in range {
        batch.push(None, |out| out.extend_from_slice(n.to_string().as_bytes()));
    }
    batch
}

fn numbers(batch: &Batch) -> Vec<usize> {
    batch.payloads().map(|payload| std::str::from_utf8(payload).unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn the_oldest_messages_are_dropped_and_counted_while_the_server_is_down() {
    let queue = SendQueue::new(4);
    queue.push(&mut messages(0..10), OverflowPolicy::DropOldest).await;
    let stats = queue.stats();
    assert_eq!((stats.dropped, stats.queued, stats.status), (6, 4, ConnectionStatus::Connecting));
    assert_eq!(numbers(&queue.take(10)), [6, 7, 8, 9]);
    queue.confirm(4, 2);
    let stats = queue.stats();
    assert_eq!((stats.sent, stats.queued, stats.receivers), (4, 0, Some(2)));
}

#[tokio::test]
async fn a_source_waits_for_a_slow_server_and_drops_once_it_is_down() {
    let queue = SendQueue::new(2);
    queue.set_connected(true);
    let mut batch = messages(0..3);
    {
        let mut push = std::pin::pin!(queue.push(&mut batch, OverflowPolicy::DropOldest));
        let waits = std::future::poll_fn(|context| std::task::Poll::Ready(push.as_mut().poll(context).is_pending()));
        assert!(waits.await, "full");
        assert_eq!(queue.stats().dropped, 0);
        queue.set_connected(false);
        push.await;
    }
    assert_eq!(queue.stats().dropped, 1);
    assert_eq!(numbers(&queue.take(9)), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_source_waiting_for_a_full_spool_resumes_after_a_confirmation() {
    let queue = SendQueue::new(100);
    queue.state().disk = Some(DiskOverflow::new(2, 0, 0, 0));
    queue.set_connected(true);
    let mut batch = messages(1..4);
    let mut push = std::pin::pin!(queue.push(&mut batch, OverflowPolicy::DropOldest));
    let mut waits =
        async || std::future::poll_fn(|context| std::task::Poll::Ready(push.as_mut().poll(context).is_pending())).await;
    assert!(waits().await, "there is room for two");
    assert!(queue.stored(queue.wait_for_disk_work(true, Duration::ZERO).unwritten));
    assert!(waits().await, "they are on disk");
    assert_eq!(numbers(&queue.take(9)), [1, 2]);
    assert!(waits().await, "they are under way");
    queue.confirm(1, 0);
    let went_on = tokio::time::timeout(Duration::from_secs(1), push).await;
    assert!(went_on.is_ok(), "the source was not notified");
    assert_eq!(queue.stats().queued, 2);
}

#[tokio::test]
async fn a_cancelled_push_keeps_the_rest() {
    let queue = SendQueue::new(2);
    let mut batch = messages(0..5);
    tokio::select! {
        biased;
        () = queue.push(&mut batch, OverflowPolicy::Wait) => panic!("there is room for two"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(numbers(&batch), [2, 3, 4]);
    queue.discard(&mut batch);
    let stats = queue.stats();
    assert_eq!((stats.dropped, stats.queued), (3, 2));
}

#[tokio::test]
async fn the_queue_is_finished_when_the_last_message_is_confirmed() {
    let queue = SendQueue::new(8);
    queue.push(&mut messages(0..1), OverflowPolicy::Wait).await;
    queue.close();
    assert!(!queue.is_finished());
    queue.take(1);
    assert!(!queue.is_finished());
    queue.confirm(1, 0);
    assert!(queue.is_finished());
}

#[tokio::test]
async fn abandoned_messages_count_as_dropped_once() {
    let queue = SendQueue::new(8);
    queue.push(&mut messages(0..5), OverflowPolicy::Wait).await;
    queue.take(2);
    queue.abandon();
    queue.confirm(2, 1);
    queue.abandoned.notified().await;
    let stats = queue.stats();
    assert_eq!((stats.sent, stats.dropped, stats.queued), (0, 5, 0));
}

#[test]
fn a_restored_connection_counts_as_one_reconnect() {
    let queue = SendQueue::new(1);
    let statuses = [false, true, true, false, false, true].map(|live| {
        queue.set_connected(live);
        queue.stats().status
    });
    assert_eq!(
        statuses,
        [
            ConnectionStatus::Connecting,
            ConnectionStatus::Live,
            ConnectionStatus::Live,
            ConnectionStatus::Down,
            ConnectionStatus::Down,
            ConnectionStatus::Live
        ]
    );
    assert_eq!(queue.stats().reconnects, 1);
}

proptest! {
    #[test]
    fn every_lost_message_is_counted(
        capacity in 1usize..20,
        steps in proptest::collection::vec((0usize..12, 0usize..12, any::<bool>()), 1..40),
    ) {
        let queue = SendQueue::new(capacity);
        let (mut made, mut taken) = (0, Vec::new());
        for (push, take, live) in steps {
            queue.set_connected(live);
            let mut batch = messages(made..made + push);
            made += push;
            queue.try_push(&mut batch, OverflowPolicy::DropOldest);
            queue.discard(&mut batch);
            let got = queue.take(take);
            queue.confirm(got.len(), 1);
            taken.extend(numbers(&got));
            queue.recycle(got);
            let stats = queue.stats();
            prop_assert!(stats.queued <= capacity as u64);
            prop_assert_eq!(stats.sent + stats.dropped + stats.queued, made as u64);
        }
        prop_assert!(taken.windows(2).all(|pair| pair[0] < pair[1]), "order is kept");
    }
}
