//! Files are read back to the bit; damaged ones are errors and never panics.

use std::fs::File;
use std::path::Path;

use proptest::prelude::*;

use crate::model::{StreamId, Tick, Timestamp};
use crate::sources::TickFilter;
use crate::storage::parquet::*;
use crate::storage::{Origin, Row, TickColumns, TickFile, TickFormat};

const START_NS: i64 = 1_381_152_600_000_000_000;

/// Time after all ticks.
fn now() -> Timestamp {
    Timestamp::from_nanos(START_NS * 2).unwrap()
}

fn row(i: i64) -> Row<'static> {
    Row {
        symbol: ["SPY", "A,\"B\"\n", "\u{fc}n\u{ef}", "=1+1"][(i % 4) as usize],
        time_ns: START_NS + i * 1_000_003,
        price: [0.1 + 0.2, -0.0, 5e-324, 1.0 / 3.0, 9_007_199_254_740_993.0][(i % 5) as usize] * (1.0 + i as f64),
        size: (i % 3 != 0).then_some(i as f64 / 7.0),
        outlier: i % 10 == 0,
        origin: Origin { source: Some("p"), seq: Some(i as u64), id: Some(StreamId { ms: i as u64, seq: 0 }) },
    }
}

fn write(path: &Path, columns: TickColumns, count: i64) {
    let mut file = TickFile::create(path, TickFormat::Parquet, columns).unwrap();
    (0..count).for_each(|i| file.write(&row(i)).unwrap());
    assert_eq!(file.finish().unwrap(), count as u64);
}

fn read(path: &Path, selection: &TickFilter) -> Result<(Vec<Tick>, u64), ParquetError> {
    let mut table = ParquetReader::open(File::open(path)?, selection)?;
    let (mut ticks, mut rows) = (Vec::new(), 0);
    while table.read(now(), &mut |row, tick| {
        assert!(row > rows, "rows are numbered upwards");
        rows = row;
        ticks.extend(tick);
    })? {}
    Ok((ticks, table.rows_skipped()))
}

fn assert_same(tick: &Tick, row: &Row<'_>) {
    assert_eq!((tick.symbol.as_str(), tick.timestamp.as_nanos()), (row.symbol, row.time_ns));
    assert_eq!(tick.price.get().to_bits(), row.price.to_bits());
    assert_eq!(tick.size.map(f64::to_bits), row.size.map(f64::to_bits));
    assert_eq!((&tick.source, tick.seq), (&None, None), "replayed ticks get new numbers");
}

#[test]
fn written_rows_are_read_back_to_the_bit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ticks");
    for columns in [TickColumns::Bare, TickColumns::WithOrigin] {
        for count in [0, 1, 4_096, 300_000] {
            write(&path, columns, count);
            let (ticks, passed) = read(&path, &TickFilter::default()).unwrap();
            assert_eq!((ticks.len() as i64, passed), (count, 0));
            ticks.iter().zip(0..).for_each(|(tick, i)| assert_same(tick, &row(i)));
        }
    }
}

#[test]
fn groups_outside_the_filter_are_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ticks");
    write(&path, TickColumns::Bare, 600_000);
    let at = |i: i64| Timestamp::from_nanos(row(i).time_ns);
    let span = |selection: &TickFilter| ParquetReader::open(File::open(&path).unwrap(), selection).unwrap().span();
    assert_eq!(span(&TickFilter::default()), Some((START_NS, row(599_999).time_ns)));
    let late = TickFilter { from: at(530_000), ..TickFilter::default() };
    let (ticks, passed) = read(&path, &late).unwrap();
    assert_eq!((ticks.len(), passed), (600_000 - 524_288, 524_288), "the last of three groups");
    assert_same(&ticks[0], &row(524_288));
    assert_eq!(span(&late), Some((row(524_288).time_ns, row(599_999).time_ns)));
    let early = TickFilter { to: at(262_144), ..TickFilter::default() };
    assert_eq!(read(&path, &early).unwrap().0.len(), 262_144, "a span ends before its end");
    let none = TickFilter { to: Timestamp::from_nanos(START_NS), ..TickFilter::default() };
    assert_eq!(read(&path, &none).unwrap(), (Vec::new(), 600_000));
}

#[test]
fn unreadable_files_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ticks");
    for bytes in [&b""[..], b"PAR1", b"PAR1PAR1", b"PAR1\0\0\0\0PAR1", b"PAR1\xff\xff\xff\xffPAR1"] {
        std::fs::write(&path, bytes).unwrap();
        let error = read(&path, &TickFilter::default()).unwrap_err();
        assert!(matches!(error, ParquetError::Damaged(_)), "{error}");
        assert!(error.to_string().contains("fetch or write it again"), "{error}");
    }
    let pipe = ParquetReader::open(File::open("/dev/null").unwrap(), &TickFilter::default()).err().unwrap();
    assert!(matches!(pipe, ParquetError::Pipe), "{pipe}");
}

fn sample() -> (tempfile::TempDir, std::path::PathBuf, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ticks");
    write(&path, TickColumns::WithOrigin, 300);
    let bytes = std::fs::read(&path).unwrap();
    (dir, path, bytes)
}

#[test]
fn a_truncated_file_is_an_error() {
    let (_dir, path, bytes) = sample();
    // Every length at both ends, where the metadata is, and some in between.
    let (ends, length) = (1_500, bytes.len());
    let lengths = (0..ends).chain((ends..length - ends).step_by(13)).chain(length - ends..length);
    for length in lengths {
        std::fs::write(&path, &bytes[..length]).unwrap();
        assert!(read(&path, &TickFilter::default()).is_err(), "{length} of {} bytes", bytes.len());
    }
}

#[test]
fn a_flipped_bit_never_panics() {
    let (_dir, path, bytes) = sample();
    for at in (0..bytes.len()).step_by(5) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        std::fs::write(&path, &damaged).unwrap();
        let _ = read(&path, &TickFilter::default());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_damage_never_panics(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in proptest::option::of((any::<prop::sample::Index>(), 1_usize..40)),
    ) {
        use std::sync::LazyLock;
        static SAMPLE: LazyLock<(tempfile::TempDir, std::path::PathBuf, Vec<u8>)> = LazyLock::new(sample);
        let (dir, _, bytes) = &*SAMPLE;
        let mut damaged = bytes.clone();
        for (at, byte) in &changes {
            let at = at.index(damaged.len());
            damaged[at] = *byte;
        }
        if let Some((at, length)) = cut {
            let at = at.index(damaged.len());
            damaged.drain(at..(at + length).min(bytes.len()));
        }
        let path = dir.path().join("damaged");
        std::fs::write(&path, &damaged).unwrap();
        let _ = read(&path, &TickFilter::default());
    }
}
