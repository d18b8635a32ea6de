//! Tests of the spool folder and its logs.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use crate::spool::checkpoint::{Checkpoint, CheckpointFile};
use crate::spool::segment_log::Segment;
use crate::spool::*;

fn lock() -> Arc<File> {
    Arc::new(tempfile::tempfile().unwrap())
}

fn batch(range: SequenceRange) -> Batch {
    let mut batch = Batch::default();
    batch.set_first_number(range.first);
    (range.first..=range.last).for_each(|n| batch.push(None, |out| out.extend_from_slice(payload(n).as_bytes())));
    batch
}

/// Payload that starts with its number; the lengths differ.
fn payload(number: u64) -> String {
    format!("{number}{}", "x".repeat(number as usize % 7))
}

fn open(folder: &Path) -> SegmentLog {
    SegmentLog::open(folder.to_owned(), 100, &lock()).unwrap()
}

/// Reads all pending messages, checks their payloads and returns their numbers.
fn drain(log: &mut SegmentLog) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some(batch) = log.read_next().unwrap() {
        let range = batch.range().unwrap();
        for (payload_read, number) in batch.payloads().zip(range.first..) {
            assert_eq!(payload_read, payload(number).as_bytes());
            numbers.push(number);
        }
    }
    numbers
}

fn ranges(lengths: &[u64]) -> Vec<SequenceRange> {
    let mut next = 1;
    let range = |length: &u64| {
        let range = SequenceRange { first: next, last: next + length - 1 };
        next += length;
        range
    };
    lengths.iter().map(range).collect()
}

#[test]
fn done_messages_are_deleted_and_numbers_continue() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    assert_eq!((log.next_number(), log.recovered), (1, 0));
    log.append(&[batch(SequenceRange { first: 1, last: 5 }), batch(SequenceRange { first: 6, last: 9 })]).unwrap();
    drop(log);
    let mut log = open(folder.path());
    assert_eq!((log.next_number(), log.recovered), (10, 9));
    assert_eq!(drain(&mut log), (1..=9).collect::<Vec<_>>());
    log.append(&[batch(SequenceRange { first: 10, last: 12 })]).unwrap();
    log.close(7, None, 20).unwrap();
    let mut log = open(folder.path());
    assert_eq!((log.next_number(), log.recovered), (21, 5));
    assert_eq!(drain(&mut log), [8, 9, 10, 11, 12]);
    log.release(12, None).unwrap();
    log.close(12, None, 20).unwrap();
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["position"], "segments that are done are deleted");
    assert_eq!((open(folder.path()).next_number(), open(folder.path()).recovered), (21, 0));
}

#[test]
fn messages_dropped_behind_older_ones_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    log.append(&[batch(SequenceRange { first: 1, last: 20 }), batch(SequenceRange { first: 21, last: 30 })]).unwrap();
    let dropped = Some(SequenceRange { first: 8, last: 24 });
    log.close(3, dropped, 30).unwrap();
    let mut log = open(folder.path());
    let expected: Vec<u64> = (4..8).chain(25..=30).collect();
    assert_eq!((log.recovered, drain(&mut log), log.next_number()), (10, expected, 31));
    log.append(&[batch(SequenceRange { first: 31, last: 35 })]).unwrap();
    log.close(3, Some(SequenceRange { first: 8, last: 30 }), 35).unwrap();
    let mut log = open(folder.path());
    assert_eq!(drain(&mut log), (4..8).chain(31..=35).collect::<Vec<_>>());
    let checkpoint = Checkpoint { done: 3, dropped_start: 31, dropped_end: 36, ..Checkpoint::default() };
    let is_done = |first, last| Segment { first, last, bytes: 0 }.is_done(&checkpoint);
    assert_eq!(
        [(1, 3), (1, 4), (31, 35), (30, 35), (31, 36)].map(|(a, b)| is_done(a, b)),
        [true, false, true, false, false]
    );
}

#[test]
fn foreign_newer_and_damaged_folders_are_refused_and_left_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let open = |source| Spool::open(folder.path(), source, "p", 1, 10).map(|_| ()).map_err(|error| error.to_string());
    fs::write(folder.path().join("letters.txt"), "dear").unwrap();
    assert!(open(None).unwrap_err().contains("holds letters.txt"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    fs::remove_file(folder.path().join("letters.txt")).unwrap();
    open(Some("a")).unwrap();
    assert!(open(Some("b")).unwrap_err().contains("source a, not of b"));
    let log = folder.path().join("lane-000");
    for (name, bytes, needle) in [
        ("notes", &b"x"[..], "holds notes"),
        ("00000000000000000001.ticks", b"tsspool\x02...", "newer tickscope"),
        ("00000000000000000001.ticks", b"something else", "no part of a spool"),
        ("1.ticks", b"tsspool\x01", "holds 1.ticks"),
    ] {
        fs::write(log.join(name), bytes).unwrap();
        assert!(open(None).unwrap_err().contains(needle), "{needle}");
        assert_eq!(fs::read(log.join(name)).unwrap(), bytes);
        fs::remove_file(log.join(name)).unwrap();
    }
    for text in ["", "tickscope spool\n", "tickscope spool 1\nsource a\n"] {
        fs::write(folder.path().join(IDENTITY), text).unwrap();
        assert!(open(None).unwrap_err().contains("is damaged"), "{text}");
    }
    fs::write(folder.path().join(IDENTITY), "tickscope spool 2\nanything\n").unwrap();
    assert!(open(None).unwrap_err().contains("newer tickscope"));
    fs::remove_file(folder.path().join(IDENTITY)).unwrap();
    assert!(open(None).unwrap_err().contains("is damaged"), "logs without an identity");
}

#[test]
fn only_one_process_may_use_a_spool() {
    let folder = tempfile::tempdir().unwrap();
    let first = Spool::open(folder.path(), None, "p", 2, 10).unwrap();
    let second = Spool::open(folder.path(), None, "q", 2, 10).unwrap_err().to_string();
    assert!(second.contains("in use by another producer"), "{second}");
    drop(first);
    assert_eq!(Spool::open(folder.path(), None, "q", 2, 10).unwrap().source(), "p");
}

#[test]
fn one_valid_copy_of_the_checkpoint_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    log.append(&[batch(SequenceRange { first: 1, last: 5 })]).unwrap();
    log.reserve_numbers(3).unwrap();
    log.close(2, None, 9).unwrap();
    let path = folder.path().join(checkpoint::NAME);
    let sound = fs::read(&path).unwrap();
    for (damaged, expected) in [(0..512, None), (512..1024, None), (0..1024, Some(()))] {
        let mut bytes = sound.clone();
        bytes[damaged.clone()].fill(7);
        fs::write(&path, bytes).unwrap();
        let opened = SegmentLog::open(folder.path().to_owned(), 100, &lock());
        assert_eq!(opened.as_ref().err().map(|_| ()), expected, "{damaged:?}: {opened:?}");
        // With either copy, no number is reused and no tick is missing.
        if let Ok(log) = opened {
            assert!(log.next_number() >= 6 && log.recovered >= 3, "{log:?}");
        }
        fs::write(&path, &sound).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_truncated_file_yields_a_prefix_and_no_garbage(
        lengths in prop::collection::vec(1u64..20, 1..12),
        groups in prop::collection::vec(1usize..4, 12),
        cut: prop::sample::Index,
        noise in prop::collection::vec(any::<u8>(), 0..40),
        done in 0u64..40,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut log = open(folder.path());
        let mut batches: Vec<Batch> = ranges(&lengths).into_iter().map(batch).collect();
        let mut ends = Vec::new();
        let path = folder.path().join(format!("{:020}.ticks", 1));
        for group in groups {
            let group: Vec<Batch> = batches.drain(..group.min(batches.len())).collect();
            log.append(&group).unwrap();
            let last = group.iter().filter_map(Batch::range).map(|range| range.last).max();
            ends.extend(last.map(|last| (fs::metadata(&path).unwrap().len(), last)));
        }
        drop(log);
        let whole = fs::read(&path).unwrap();
        let cut = cut.index(whole.len() + 1);
        let mut bytes = whole[..cut].to_vec();
        bytes.extend_from_slice(&noise);
        // A truncated or overwritten head cannot be recognised as a segment.
        prop_assume!(cut >= 8 || noise.is_empty() && cut == 0);
        fs::write(&path, bytes).unwrap();
        let mut checkpoint = CheckpointFile::open(folder.path()).unwrap().unwrap();
        checkpoint.checkpoint.done = done;
        checkpoint.save().unwrap();

        let mut log = open(folder.path());
        let next = log.next_number();
        let numbers = drain(&mut log);
        let synced = ends.iter().filter(|(end, _)| *end <= cut as u64).map(|(_, last)| *last).max().unwrap_or(0);
        prop_assert_eq!(numbers.len() as u64, log.recovered);
        if let Some(last) = numbers.last() {
            prop_assert_eq!(&numbers, &(done + 1..=*last).collect::<Vec<_>>());
            prop_assert!(*last >= synced);
            prop_assert_eq!(next, last + 1);
        } else {
            prop_assert!(synced <= done);
        }
        // New messages are appended after the truncated part.
        log.append(&[batch(SequenceRange { first: next, last: next + 2 })]).unwrap();
        drop(log);
        let expected: Vec<u64> = numbers.into_iter().chain(next..next + 3).collect();
        prop_assert_eq!(drain(&mut open(folder.path())), expected);
    }

    #[test]
    fn no_bytes_panic_as_a_record(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
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
