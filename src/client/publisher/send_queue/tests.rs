//! The queue: nothing is lost uncounted.

use std::time::Duration;

use proptest::prelude::*;

use crate::client::publisher::delivery_report::Recovered;
use crate::client::publisher::send_queue::*;

fn messages(range: std::ops::Range<usize>) -> Batch {
    let mut batch = Batch::default();
    batch.number(range.start as u64);
    for n in range {
        batch.push(None, |out| out.extend_from_slice(n.to_string().as_bytes()));
    }
    batch
}

fn numbers(batch: &Batch) -> Vec<usize> {
    batch.payloads().map(|payload| std::str::from_utf8(payload).unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn the_oldest_are_dropped_and_counted_while_the_server_is_away() {
    let outbox = SendQueue::new(4);
    outbox.push(&mut messages(0..10), Overflow::DropOldest).await;
    let snapshot = outbox.snapshot();
    assert_eq!((snapshot.dropped, snapshot.queued, snapshot.link), (6, 4, Link::Connecting));
    assert_eq!(numbers(&outbox.take(10)), [6, 7, 8, 9]);
    outbox.confirm(4, 2);
    let snapshot = outbox.snapshot();
    assert_eq!((snapshot.sent, snapshot.queued, snapshot.receivers), (4, 0, Some(2)));
}

#[tokio::test]
async fn a_source_waits_for_a_server_that_is_slow_and_drops_once_it_is_gone() {
    let outbox = SendQueue::new(2);
    outbox.set_link(true);
    let mut batch = messages(0..3);
    {
        let mut push = std::pin::pin!(outbox.push(&mut batch, Overflow::DropOldest));
        let waits = std::future::poll_fn(|context| std::task::Poll::Ready(push.as_mut().poll(context).is_pending()));
        assert!(waits.await, "full");
        assert_eq!(outbox.snapshot().dropped, 0);
        outbox.set_link(false);
        push.await;
    }
    assert_eq!(outbox.snapshot().dropped, 1);
    assert_eq!(numbers(&outbox.take(9)), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_waits_for_a_full_spool_goes_on_once_something_is_confirmed() {
    let outbox = SendQueue::with_spool(100, DiskOverflow::new(2, 0, 0, 0), Recovered::default());
    outbox.set_link(true);
    let mut batch = messages(1..4);
    let mut push = std::pin::pin!(outbox.push(&mut batch, Overflow::DropOldest));
    let mut waits =
        async || std::future::poll_fn(|context| std::task::Poll::Ready(push.as_mut().poll(context).is_pending())).await;
    assert!(waits().await, "there is room for two");
    assert!(outbox.stored(outbox.chores(true, Duration::ZERO).fresh));
    assert!(waits().await, "they are on disk");
    assert_eq!(numbers(&outbox.take(9)), [1, 2]);
    assert!(waits().await, "they are under way");
    outbox.confirm(1, 0);
    let went_on = tokio::time::timeout(Duration::from_secs(1), push).await;
    assert!(went_on.is_ok(), "nobody told the source that there is room");
    assert_eq!(outbox.snapshot().queued, 2);
}

#[tokio::test]
async fn a_cancelled_push_keeps_what_was_not_taken() {
    let outbox = SendQueue::new(2);
    let mut batch = messages(0..5);
    tokio::select! {
        biased;
        () = outbox.push(&mut batch, Overflow::Wait) => panic!("there is room for two"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(numbers(&batch), [2, 3, 4]);
    outbox.give_up(&mut batch);
    let snapshot = outbox.snapshot();
    assert_eq!((snapshot.dropped, snapshot.queued), (3, 2));
}

#[tokio::test]
async fn it_is_finished_only_when_the_last_one_is_confirmed() {
    let outbox = SendQueue::new(8);
    outbox.push(&mut messages(0..1), Overflow::Wait).await;
    outbox.close();
    assert!(!outbox.is_finished());
    outbox.take(1);
    assert!(!outbox.is_finished());
    outbox.confirm(1, 0);
    assert!(outbox.is_finished());
}

#[tokio::test]
async fn what_is_abandoned_counts_as_dropped_once() {
    let outbox = SendQueue::new(8);
    outbox.push(&mut messages(0..5), Overflow::Wait).await;
    outbox.take(2);
    outbox.abandon();
    outbox.confirm(2, 1);
    outbox.abandoned().await;
    let snapshot = outbox.snapshot();
    assert_eq!((snapshot.sent, snapshot.dropped, snapshot.queued), (0, 5, 0));
}

#[test]
fn a_connection_that_comes_back_counts_as_one_reconnect() {
    let outbox = SendQueue::new(1);
    let links = [false, true, true, false, false, true].map(|live| {
        outbox.set_link(live);
        outbox.snapshot().link
    });
    assert_eq!(links, [Link::Connecting, Link::Live, Link::Live, Link::Down, Link::Down, Link::Live]);
    assert_eq!(outbox.snapshot().reconnects, 1);
}

proptest! {
    #[test]
    fn no_message_is_lost_uncounted(
        capacity in 1usize..20,
        steps in proptest::collection::vec((0usize..12, 0usize..12, any::<bool>()), 1..40),
    ) {
        let outbox = SendQueue::new(capacity);
        let (mut made, mut taken) = (0, Vec::new());
        for (push, take, live) in steps {
            outbox.set_link(live);
            let mut batch = messages(made..made + push);
            made += push;
            outbox.take_in(&mut batch, Overflow::DropOldest);
            outbox.give_up(&mut batch);
            let got = outbox.take(take);
            outbox.confirm(got.len(), 1);
            taken.extend(numbers(&got));
            outbox.recycle(got);
            let snapshot = outbox.snapshot();
            prop_assert!(snapshot.queued <= capacity as u64);
            prop_assert_eq!(snapshot.sent + snapshot.dropped + snapshot.queued, made as u64);
        }
        prop_assert!(taken.windows(2).all(|pair| pair[0] < pair[1]), "order is kept");
    }
}
