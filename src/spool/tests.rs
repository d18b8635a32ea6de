//! The spool: what was written is there, whatever happened since.

use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use crate::client::{Batch, Overflow, Span};
use crate::spool::checkpoint::{Marks, Position};
use crate::spool::segment_log::Segment;
use crate::spool::*;

const LIMIT: Duration = Duration::from_secs(20);

fn lock() -> Arc<File> {
    Arc::new(tempfile::tempfile().unwrap())
}

fn batch(span: Span) -> Batch {
    let mut batch = Batch::default();
    batch.number(span.first);
    (span.first..=span.last).for_each(|n| batch.push(None, |out| out.extend_from_slice(payload(n).as_bytes())));
    batch
}

/// Payloads of different lengths, each of which tells its number.
fn payload(number: u64) -> String {
    format!("{number}{}", "x".repeat(number as usize % 7))
}

fn open(folder: &Path) -> Lane {
    Lane::open(folder.to_owned(), &lock()).unwrap()
}

/// All that can be read, by number; the payloads are right.
fn drain(lane: &mut Lane) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some(batch) = lane.load().unwrap() {
        let span = batch.span().unwrap();
        for (payload_read, number) in batch.payloads().zip(span.first..) {
            assert_eq!(payload_read, payload(number).as_bytes());
            numbers.push(number);
        }
    }
    numbers
}

fn spans(lengths: &[u64]) -> Vec<Span> {
    let mut next = 1;
    let span = |length: &u64| {
        let span = Span { first: next, last: next + length - 1 };
        next += length;
        span
    };
    lengths.iter().map(span).collect()
}

#[test]
fn what_is_done_with_is_forgotten_and_numbers_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut lane = open(folder.path());
    assert_eq!((lane.next(), lane.held()), (1, 0));
    lane.append(&[batch(Span { first: 1, last: 5 }), batch(Span { first: 6, last: 9 })]).unwrap();
    drop(lane);
    let mut lane = open(folder.path());
    assert_eq!((lane.next(), lane.held()), (10, 9));
    assert_eq!(drain(&mut lane), (1..=9).collect::<Vec<_>>());
    lane.append(&[batch(Span { first: 10, last: 12 })]).unwrap();
    lane.close(7, None, 20).unwrap();
    let mut lane = open(folder.path());
    assert_eq!((lane.next(), lane.held()), (21, 5));
    assert_eq!(drain(&mut lane), [8, 9, 10, 11, 12]);
    lane.release(12, None).unwrap();
    lane.close(12, None, 20).unwrap();
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["position"], "segments that are done with are gone");
    assert_eq!((open(folder.path()).next(), open(folder.path()).held()), (21, 0));
}

#[test]
fn what_was_given_up_behind_older_ones_is_forgotten_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut lane = open(folder.path());
    lane.append(&[batch(Span { first: 1, last: 20 }), batch(Span { first: 21, last: 30 })]).unwrap();
    let hole = Some(Span { first: 8, last: 24 });
    lane.close(3, hole, 30).unwrap();
    let mut lane = open(folder.path());
    let expected: Vec<u64> = (4..8).chain(25..=30).collect();
    assert_eq!((lane.held(), drain(&mut lane), lane.next()), (10, expected, 31));
    lane.append(&[batch(Span { first: 31, last: 35 })]).unwrap();
    lane.close(3, Some(Span { first: 8, last: 30 }), 35).unwrap();
    let mut lane = open(folder.path());
    assert_eq!(drain(&mut lane), (4..8).chain(31..=35).collect::<Vec<_>>());
    let marks = Marks { done: 3, hole_start: 31, hole_end: 36, ..Marks::default() };
    let is_done = |first, last| Segment { first, last, bytes: 0 }.is_done(&marks);
    assert_eq!(
        [(1, 3), (1, 4), (31, 35), (30, 35), (31, 36)].map(|(a, b)| is_done(a, b)),
        [true, false, true, false, false]
    );
}

#[test]
fn a_foreign_a_newer_and_a_damaged_folder_are_refused_and_left_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let open = |source| Spool::open(folder.path(), source, "p", 1, 10).map(|_| ()).map_err(|error| error.to_string());
    fs::write(folder.path().join("letters.txt"), "dear").unwrap();
    assert!(open(None).unwrap_err().contains("holds letters.txt"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    fs::remove_file(folder.path().join("letters.txt")).unwrap();
    open(Some("a")).unwrap();
    assert!(open(Some("b")).unwrap_err().contains("source a, not of b"));
    let lane = folder.path().join("lane-000");
    for (name, bytes, needle) in [
        ("notes", &b"x"[..], "holds notes"),
        ("00000000000000000001.ticks", b"tsspool\x02...", "newer tickscope"),
        ("00000000000000000001.ticks", b"something else", "no part of a spool"),
        ("1.ticks", b"tsspool\x01", "holds 1.ticks"),
    ] {
        fs::write(lane.join(name), bytes).unwrap();
        assert!(open(None).unwrap_err().contains(needle), "{needle}");
        assert_eq!(fs::read(lane.join(name)).unwrap(), bytes);
        fs::remove_file(lane.join(name)).unwrap();
    }
    for text in ["", "tickscope spool\n", "tickscope spool 1\nsource a\n"] {
        fs::write(folder.path().join(IDENTITY), text).unwrap();
        assert!(open(None).unwrap_err().contains("is damaged"), "{text}");
    }
    fs::write(folder.path().join(IDENTITY), "tickscope spool 2\nanything\n").unwrap();
    assert!(open(None).unwrap_err().contains("newer tickscope"));
    fs::remove_file(folder.path().join(IDENTITY)).unwrap();
    assert!(open(None).unwrap_err().contains("is damaged"), "lanes that nothing tells of");
}

#[test]
fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = Spool::open(folder.path(), None, "p", 2, 10).unwrap();
    let second = Spool::open(folder.path(), None, "q", 2, 10).unwrap_err().to_string();
    assert!(second.contains("in use by another producer"), "{second}");
    drop(first);
    assert_eq!(Spool::open(folder.path(), None, "q", 2, 10).unwrap().source(), "p");
}

#[test]
fn one_whole_position_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let mut lane = open(folder.path());
    lane.append(&[batch(Span { first: 1, last: 5 })]).unwrap();
    lane.note_used(3).unwrap();
    lane.close(2, None, 9).unwrap();
    let path = folder.path().join(checkpoint::NAME);
    let sound = fs::read(&path).unwrap();
    for (damaged, expected) in [(0..512, None), (512..1024, None), (0..1024, Some(()))] {
        let mut bytes = sound.clone();
        bytes[damaged.clone()].fill(7);
        fs::write(&path, bytes).unwrap();
        let opened = Lane::open(folder.path().to_owned(), &lock());
        assert_eq!(opened.as_ref().err().map(|_| ()), expected, "{damaged:?}: {opened:?}");
        // Whichever copy is left, no number comes twice and no tick is missing.
        if let Ok(lane) = opened {
            assert!(lane.next() >= 6 && lane.held() >= 3, "{lane:?}");
        }
        fs::write(&path, &sound).unwrap();
    }
}

/// Moves what came through `outbox` out of it, as a publisher would.
fn take_all(outbox: &SendQueue, until: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    let deadline = std::time::Instant::now() + LIMIT;
    while numbers.last() != Some(&until) {
        assert!(std::time::Instant::now() < deadline, "{until} does not come, after {:?}", numbers.last());
        let batch = outbox.take(256);
        let Some(span) = batch.span() else {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        numbers.extend(span.first..=span.last);
        outbox.confirm(batch.len(), 1);
        outbox.recycle(batch);
    }
    numbers
}

#[tokio::test]
async fn an_outage_longer_than_memory_is_kept_on_disk_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), None, "p", 1, 100_000).unwrap();
    let (outbox, writer, _) = spool.start(64).unwrap().remove(0);
    for first in (1..=5_000).step_by(50) {
        outbox.push(&mut batch(Span { first, last: first + 49 }), Overflow::DropOldest).await;
    }
    outbox.set_link(true);
    assert_eq!(take_all(&outbox, 5_000), (1..=5_000).collect::<Vec<_>>());
    outbox.close();
    assert!(outbox.is_finished());
    outbox.abandon();
    writer.end(LIMIT).await;
    assert_eq!((outbox.account().sent, outbox.account().dropped, outbox.account().spooled), (5_000, 0, 0));
}

#[tokio::test]
async fn what_is_left_comes_first_the_next_time() {
    let folder = tempfile::tempdir().unwrap();
    let run = async |from: u64, made: Span, take: u64| {
        let spool = Spool::open(folder.path(), None, "p", 1, 1_000).unwrap();
        let (outbox, writer, next) = spool.start(64).unwrap().remove(0);
        assert_eq!(next, made.first);
        outbox.set_link(true);
        outbox.push(&mut batch(made), Overflow::Wait).await;
        let taken = take_all(&outbox, take);
        assert_eq!(taken.first(), Some(&from));
        assert!(taken.is_sorted_by(|a, b| a + 1 == *b), "{taken:?}");
        outbox.abandon();
        writer.end(LIMIT).await;
        outbox.account()
    };
    let account = run(1, Span { first: 1, last: 60 }, 60).await;
    assert_eq!((account.sent, account.spooled, account.recovered), (60, 0, 0));
    // Taken as one batch of 64 at most, and never confirmed.
    let spool = Spool::open(folder.path(), None, "p", 1, 1_000).unwrap();
    let (outbox, writer, next) = spool.start(64).unwrap().remove(0);
    outbox.push(&mut batch(Span { first: next, last: next + 29 }), Overflow::Wait).await;
    while outbox.take(10).is_empty() {
        tokio::task::yield_now().await;
    }
    outbox.abandon();
    writer.end(LIMIT).await;
    let account = outbox.account();
    assert_eq!((account.sent, account.dropped, account.spooled), (0, 0, 30), "{account:?}");
    assert_eq!((account.first, account.last), (Some(61), Some(90)));
    let account = run(61, Span { first: 91, last: 95 }, 95).await;
    assert_eq!((account.recovered, account.first, account.sent, account.spooled), (30, Some(91), 35, 0));
    assert_eq!(account.recovered_ranges, [Span { first: 61, last: 90 }]);
}

#[tokio::test]
async fn beyond_its_bound_the_oldest_are_dropped_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), None, "p", 1, 200).unwrap();
    let (outbox, writer, _) = spool.start(32).unwrap().remove(0);
    for first in (1..=3_000).step_by(10) {
        outbox.push(&mut batch(Span { first, last: first + 9 }), Overflow::DropOldest).await;
        while outbox.snapshot().queued > 300 {
            tokio::task::yield_now().await;
        }
    }
    outbox.set_link(true);
    let taken = take_all(&outbox, 3_000);
    let account = outbox.account();
    outbox.abandon();
    writer.end(LIMIT).await;
    assert_eq!(account.sent + account.dropped, 3_000, "{account:?}");
    assert_eq!(account.dropped_ranges, [Span { first: 1, last: account.dropped }], "the oldest, and in one piece");
    assert_eq!(taken, (account.dropped + 1..=3_000).collect::<Vec<_>>());
    assert!((150..=300).contains(&account.sent), "{account:?}");
}

#[tokio::test]
async fn a_disk_that_takes_nothing_costs_no_tick_while_memory_lasts() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), None, "p", 1, 1_000).unwrap();
    let (outbox, writer, _) = spool.start(64).unwrap().remove(0);
    outbox.set_link(true);
    // No segment can be made where a folder has its name.
    let lane = folder.path().join("lane-000");
    let obstacle = lane.join("00000000000000000001.ticks");
    fs::create_dir(&obstacle).unwrap();
    outbox.push(&mut batch(Span { first: 1, last: 40 }), Overflow::Wait).await;
    assert_eq!(take_all(&outbox, 40), (1..=40).collect::<Vec<_>>());
    assert_eq!(outbox.snapshot().unspooled, 40);
    outbox.push(&mut batch(Span { first: 41, last: 50 }), Overflow::Wait).await;
    assert_eq!(take_all(&outbox, 50), (41..=50).collect::<Vec<_>>());
    outbox.abandon();
    writer.end(LIMIT).await;
    fs::remove_dir(&obstacle).unwrap();
    let spool = Spool::open(folder.path(), None, "p", 1, 1_000).unwrap();
    assert_eq!((spool.recovered(), spool.start(1).unwrap()[0].2), (0, 51), "no number comes twice");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_file_cut_anywhere_gives_a_prefix_and_never_garbage(
        lengths in prop::collection::vec(1u64..20, 1..12),
        groups in prop::collection::vec(1usize..4, 12),
        cut: prop::sample::Index,
        noise in prop::collection::vec(any::<u8>(), 0..40),
        done in 0u64..40,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut lane = open(folder.path());
        let mut batches: Vec<Batch> = spans(&lengths).into_iter().map(batch).collect();
        let mut ends = Vec::new();
        let path = folder.path().join(format!("{:020}.ticks", 1));
        for group in groups {
            let group: Vec<Batch> = batches.drain(..group.min(batches.len())).collect();
            lane.append(&group).unwrap();
            let last = group.iter().filter_map(Batch::span).map(|span| span.last).max();
            ends.extend(last.map(|last| (fs::metadata(&path).unwrap().len(), last)));
        }
        drop(lane);
        let whole = fs::read(&path).unwrap();
        let cut = cut.index(whole.len() + 1);
        let mut bytes = whole[..cut].to_vec();
        bytes.extend_from_slice(&noise);
        // A head that is cut or written over was never one of ours.
        prop_assume!(cut >= 8 || noise.is_empty() && cut == 0);
        fs::write(&path, bytes).unwrap();
        let mut position = Position::open(folder.path()).unwrap().unwrap();
        position.marks.done = done;
        position.save().unwrap();

        let mut lane = open(folder.path());
        let next = lane.next();
        let numbers = drain(&mut lane);
        let synced = ends.iter().filter(|(end, _)| *end <= cut as u64).map(|(_, last)| *last).max().unwrap_or(0);
        prop_assert_eq!(numbers.len() as u64, lane.held());
        if let Some(last) = numbers.last() {
            prop_assert_eq!(&numbers, &(done + 1..=*last).collect::<Vec<_>>());
            prop_assert!(*last >= synced);
            prop_assert_eq!(next, last + 1);
        } else {
            prop_assert!(synced <= done);
        }
        // Life goes on behind what was cut.
        lane.append(&[batch(Span { first: next, last: next + 2 })]).unwrap();
        drop(lane);
        let expected: Vec<u64> = numbers.into_iter().chain(next..next + 3).collect();
        prop_assert_eq!(drain(&mut open(folder.path())), expected);
    }

    #[test]
    fn no_bytes_are_taken_for_a_record_that_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = record::read(&bytes);
        let mut framed = (bytes.len() as u32).to_le_bytes().to_vec();
        framed.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        framed.extend_from_slice(&bytes);
        if let Some((batch, length)) = record::read(&framed) {
            let mut again = Vec::new();
            record::write(&batch, &mut again);
            prop_assert_eq!(&framed[..length], &again[..]);
        }
    }
}
