//! Comparison of a producer's delivery report with the contents of streams.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use redis::streams::StreamRangeReply;
use serde_json::Value;

/// Generous limit of every wait; it only bounds a failing test.
pub const LIMIT: Duration = crate::support::wait::GUARD;

/// Ticks by source and number, each with all distinct payloads found.
pub type Found = BTreeMap<(String, u64), BTreeSet<String>>;

/// Payloads of all entries of a stream, in order.
pub fn entries(link: &mut redis::Connection, stream: &str) -> Vec<String> {
    let (mut payloads, mut from) = (Vec::new(), "-".to_owned());
    loop {
        let mut page = redis::cmd("XRANGE");
        let page: StreamRangeReply = page.arg(stream).arg(&from).arg("+").arg("COUNT").arg(5_000).query(link).unwrap();
        let Some(last) = page.ids.last() else { return payloads };
        from = format!("({}", last.id);
        for entry in &page.ids {
            assert_eq!(entry.map.len(), 1, "an entry has one field");
            payloads.push(entry.get("tick").unwrap());
        }
    }
}

/// Groups payloads by their source and number.
pub fn found(payloads: impl IntoIterator<Item = String>) -> Found {
    let mut found = Found::new();
    for payload in payloads {
        let tick: Value = serde_json::from_str(&payload).unwrap();
        let key = (tick["source"].as_str().unwrap().to_owned(), tick["seq"].as_u64().unwrap());
        found.entry(key).or_default().insert(payload);
    }
    found
}

fn ranges(value: &Value) -> Vec<(u64, u64)> {
    let pair = |pair: &Value| (pair[0].as_u64().unwrap(), pair[1].as_u64().unwrap());
    value.as_array().unwrap().iter().map(pair).collect()
}

/// Ticks that must have arrived according to a run's delivery report.
pub fn must_arrive(stats: &Value) -> BTreeSet<(String, u64)> {
    let mut must = BTreeSet::new();
    let mut sent = 0;
    for lane in stats["lanes"].as_array().unwrap() {
        assert_eq!(lane["dropped_ranges_cut"], false);
        let made = lane["first"].as_u64().map(|first| (first, lane["last"].as_u64().unwrap()));
        let own = ranges(&lane["recovered_ranges"]).into_iter().chain(made);
        let not_sent = [ranges(&lane["dropped_ranges"]), ranges(&lane["spooled_ranges"])].concat();
        let numbers = own
            .flat_map(|(first, last)| first..=last)
            .filter(|number| !not_sent.iter().any(|(first, last)| (*first..=*last).contains(number)));
        let source = lane["source"].as_str().unwrap();
        let before = must.len();
        must.extend(numbers.map(|number| (source.to_owned(), number)));
        assert_eq!((must.len() - before) as u64, lane["sent"].as_u64().unwrap(), "{lane}");
        sent += lane["sent"].as_u64().unwrap();
    }
    assert_eq!(sent, stats["sent"].as_u64().unwrap(), "{stats}");
    must
}

/// Checks that every sent tick was found, and that no number has two payloads.
#[track_caller]
pub fn assert_all_there(stats: &Value, found: &Found) {
    let missing: Vec<_> = must_arrive(stats).into_iter().filter(|key| !found.contains_key(key)).collect();
    assert!(missing.is_empty(), "{} are missing, such as {:?}; {stats}", missing.len(), missing.first());
    assert_one_face(found);
}

/// Checks that no number has two different payloads.
#[track_caller]
pub fn assert_one_face(found: &Found) {
    let double = found.iter().find(|(_, payloads)| payloads.len() != 1);
    assert_eq!(double, None, "one number, two ticks");
}

/// Checks that the numbers of each source are contiguous from 1.
#[track_caller]
pub fn assert_without_gap(found: &Found) {
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for (source, number) in found.keys() {
        let before = last.insert(source, *number).unwrap_or(0);
        assert_eq!(*number, before + 1, "a gap in {source}");
    }
    assert_one_face(found);
}
