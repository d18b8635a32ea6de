//! Comparison of published with stored ticks, as sets of (source, seq) with the number of occurrences.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

/// Sequence numbers by source.
pub type Numbers = BTreeMap<String, BTreeSet<u64>>;

/// Maximum number of ranges shown in a difference.
const RANGES_SHOWN: usize = 12;

/// Content of a stream.
#[derive(Debug, Default)]
pub struct Kept {
    pub numbers: Numbers,
    /// Number of entries, including repetitions.
    pub entries: u64,
    /// Number of ticks of each symbol, without repetitions.
    pub by_symbol: BTreeMap<String, u64>,
    /// Sequence numbers shared by different ticks.
    pub ambiguous: Vec<String>,
}

/// Reads a stream from its first to its last entry.
pub fn read_stream(connection: &mut redis::Connection, stream: &str) -> Kept {
    let mut kept = Kept::default();
    let mut texts: BTreeMap<(String, u64), String> = BTreeMap::new();
    let mut from = "-".to_owned();
    loop {
        let mut range = redis::cmd("XRANGE");
        range.arg(stream).arg(&from).arg("+").arg("COUNT").arg(10_000);
        let page: Vec<(String, Vec<(String, String)>)> = range.query(connection).unwrap();
        let Some((last, _)) = page.last() else { return kept };
        from = format!("({last}");
        for (_, fields) in page {
            let text = &fields[0].1;
            let tick: Value = serde_json::from_str(text).unwrap();
            let (source, seq) = (tick["source"].as_str().unwrap().to_owned(), tick["seq"].as_u64().unwrap());
            kept.entries += 1;
            if kept.numbers.entry(source.clone()).or_default().insert(seq) {
                *kept.by_symbol.entry(tick["symbol"].as_str().unwrap().to_owned()).or_default() += 1;
                texts.insert((source, seq), text.clone());
            } else if texts[&(source.clone(), seq)] != *text {
                kept.ambiguous.push(format!("{source} {seq}: {text}"));
            }
        }
    }
}

/// Returns the rows of a store, and the number of rows that repeat the source and number of another one. Both are empty
/// if the store does not exist yet.
pub fn read_store(path: &Path) -> (Numbers, u64) {
    let (mut numbers, mut twice) = (Numbers::new(), 0);
    let Ok(connection) = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY) else {
        return (numbers, twice);
    };
    connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    let mut rows = connection.prepare("SELECT source, seq FROM ticks_view").unwrap();
    let mut rows = rows.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let (source, seq): (String, i64) = (row.get(0).unwrap(), row.get(1).unwrap());
        twice += u64::from(!numbers.entry(source).or_default().insert(seq.cast_unsigned()));
    }
    (numbers, twice)
}

/// Total count of numbers of all sources.
pub fn total(numbers: &Numbers) -> u64 {
    numbers.values().map(|of_source| of_source.len() as u64).sum()
}

/// Count of numbers missing between the lowest and the highest of each source.
pub fn holes(numbers: &Numbers) -> u64 {
    let of_source = |seqs: &BTreeSet<u64>| match (seqs.first(), seqs.last()) {
        (Some(first), Some(last)) => last - first + 1 - seqs.len() as u64,
        _ => 0,
    };
    numbers.values().map(of_source).sum()
}

/// Describes the numbers in `left` that are not in `right`. `None` if there are none.
pub fn missing(left: &Numbers, right: &Numbers) -> Option<String> {
    let none = BTreeSet::new();
    let mut text = String::new();
    for (source, seqs) in left {
        let rest: Vec<u64> = seqs.difference(right.get(source).unwrap_or(&none)).copied().collect();
        if !rest.is_empty() {
            write!(text, " {} of {source} ({})", rest.len(), ranges(&rest)).unwrap();
        }
    }
    (!text.is_empty()).then_some(text)
}

fn ranges(seqs: &[u64]) -> String {
    let runs: Vec<&[u64]> = seqs.chunk_by(|a, b| a + 1 == *b).collect();
    let shown = runs.iter().take(RANGES_SHOWN).map(|run| match run {
        [only] => only.to_string(),
        run => format!("{}-{}", run[0], run[run.len() - 1]),
    });
    let more = if runs.len() > RANGES_SHOWN {
        format!(" and {} ranges more", runs.len() - RANGES_SHOWN)
    } else {
        String::new()
    };
    shown.collect::<Vec<_>>().join(", ") + &more
}

/// Delivery report of a producer: numbers that it sent, and numbers that it had to send, including those of earlier
/// runs.
pub struct Said {
    pub source: String,
    pub sent: BTreeSet<u64>,
    pub made: BTreeSet<u64>,
    pub dropped: u64,
}

/// Parses the delivery report of a producer's only shard.
pub fn account(report: &Value) -> Said {
    let lane = &report["lanes"][0];
    let span = |first: &Value, last: &Value| first.as_u64().unwrap()..=last.as_u64().unwrap();
    let ranges = |name: &str| lane[name].as_array().unwrap().iter().flat_map(move |range| span(&range[0], &range[1]));
    let mut made: BTreeSet<u64> = ranges("recovered_ranges").collect();
    if !lane["first"].is_null() {
        made.extend(span(&lane["first"], &lane["last"]));
    }
    let left: BTreeSet<u64> = ranges("dropped_ranges").chain(ranges("spooled_ranges")).collect();
    let sent: BTreeSet<u64> = made.difference(&left).copied().collect();
    assert_eq!(lane["dropped_ranges_cut"], false, "{lane}");
    assert_eq!(sent.len() as u64, lane["sent"].as_u64().unwrap(), "the account contradicts itself: {lane}");
    let source = lane["source"].as_str().unwrap().to_owned();
    Said { source, sent, made, dropped: lane["dropped"].as_u64().unwrap() }
}

#[test]
fn differences_are_told_in_ranges() {
    let numbers = |seqs: &[u64]| Numbers::from([("a".to_owned(), seqs.iter().copied().collect())]);
    assert_eq!(missing(&numbers(&[1, 2, 3]), &numbers(&[1, 2, 3, 4])), None);
    assert_eq!(missing(&numbers(&[1, 2, 3, 7]), &numbers(&[1])).unwrap(), " 3 of a (2-3, 7)");
    assert_eq!(missing(&numbers(&[9]), &Numbers::new()).unwrap(), " 1 of a (9)");
    assert_eq!((holes(&numbers(&[2, 3, 7])), total(&numbers(&[2, 3, 7]))), (3, 3));
}

#[test]
fn an_account_tells_what_was_sent() {
    let lane = serde_json::json!({
        "source": "p", "first": 4, "last": 9, "recovered_ranges": [[1, 1], [3, 3]], "sent": 5, "dropped": 2,
        "dropped_ranges": [[3, 3], [5, 5]], "dropped_ranges_cut": false, "spooled_ranges": [[9, 9]],
    });
    let said = account(&serde_json::json!({ "lanes": [lane] }));
    assert_eq!(said.sent, BTreeSet::from([1, 4, 6, 7, 8]));
    assert_eq!((said.made.len(), said.dropped, said.source.as_str()), (8, 2, "p"));
}
