//! Checks of a run's result, and the complaints that they yield.

use std::collections::BTreeSet;

use serde_json::Value;

use super::duplicates;
use super::oracle::{Kept, Numbers, Said, holes, missing, total};
use super::plan::Actor;

/// Complaints, and notes that are printed in any case.
#[derive(Default)]
pub struct Verdict {
    pub complaints: Vec<String>,
    pub figures: String,
}

impl Verdict {
    pub fn complain(&mut self, complaint: impl Into<String>) {
        self.complaints.push(complaint.into());
    }

    pub fn check(&mut self, holds: bool, complaint: impl FnOnce() -> String) {
        if !holds {
            self.complain(complaint());
        }
    }

    /// Checks that both hold the same numbers.
    fn same(&mut self, what: &str, found: &Numbers, expected: &Numbers) {
        if let Some(lost) = missing(expected, found) {
            self.complain(format!("{what} has lost{lost}"));
        }
        if let Some(more) = missing(found, expected) {
            self.complain(format!("{what} has, and the stream has not,{more}"));
        }
    }

    /// Checks that the stream holds what the producers report as sent, and nothing that was never made.
    pub fn on_producers(&mut self, said: &[Said], unruly_last: u64, stream: &Kept) {
        self.check(stream.ambiguous.is_empty(), || format!("numbers with two meanings: {:?}", stream.ambiguous));
        let [memory, spool, bounded] = said else { unreachable!("there are three producers") };
        let sent = [memory, bounded].map(|said| (said.source.clone(), said.sent.clone()));
        let mut expected = Numbers::from(sent);
        // Ticks of earlier runs were in the spool, and were sent from it.
        let last_life = spool.made.difference(&spool.sent).collect::<BTreeSet<_>>();
        let spooled = (1..=spool.made.last().copied().unwrap_or(0)).filter(|seq| !last_life.contains(seq));
        expected.insert(spool.source.clone(), spooled.collect());
        expected.insert(duplicates::SOURCE.to_owned(), (1..=unruly_last).collect());
        if let Some(lost) = missing(&expected, &stream.numbers) {
            self.complain(format!("the stream has lost{lost}"));
        }
        let mut made = expected;
        for said in said {
            made.get_mut(&said.source).unwrap().extend(&said.made);
        }
        if let Some(more) = missing(&stream.numbers, &made) {
            self.complain(format!("nobody has made what the stream holds:{more}"));
        }
    }

    /// Checks that a series map filled from the stream holds each of its ticks once.
    pub fn on_book(&mut self, report: &Value, stream: &Kept) {
        let figure = |name: &str| report[name].as_u64().unwrap();
        let all = total(&stream.numbers);
        let (kept, lost, rest) = (figure("kept"), figure("lost"), figure("too_late") + figure("evicted"));
        self.check(kept == all && rest == 0, || format!("the book keeps {kept} of {all} ticks: {report}"));
        self.check(figure("received") - figure("duplicates") == all, || format!("the book's sums: {report}"));
        self.check(lost == holes(&stream.numbers), || {
            format!("the book misses {lost} ticks, and the stream has {} holes", holes(&stream.numbers))
        });
        for (symbol, count) in &stream.by_symbol {
            let found = report["symbols"][symbol]["count"].as_u64();
            self.check(found == Some(*count), || format!("the book has {found:?} of {count} ticks of {symbol}"));
        }
    }

    /// Checks that a listener's loss count equals the numbers between its first and last of each source that it did not
    /// receive.
    pub fn on_listener(&mut self, actor: Actor, heard: &(Numbers, u64), report: &Value, stream: &Kept) -> u64 {
        let (heard, twice) = (&heard.0, heard.1);
        let lost = report["lost"].as_u64().unwrap();
        let (truth, distinct) = (holes(heard), total(heard));
        self.check(lost == truth, || format!("{actor} counts {lost} ticks as lost, and {truth} are: {report}"));
        let counted = report["received"].as_u64().unwrap() - report["duplicates"].as_u64().unwrap();
        self.check(counted == distinct && twice == 0, || {
            format!("{actor} counts {counted} ticks, keeps {distinct}, and {twice} of them twice: {report}")
        });
        if let Some(more) = missing(heard, &stream.numbers) {
            self.complain(format!("{actor} has heard what is not in the stream:{more}"));
        }
        lost
    }

    /// Checks that a store filled from the stream holds each of its ticks once.
    pub fn on_store(&mut self, what: &str, found: &(Numbers, u64), stream: &Kept) {
        let (rows, twice) = (&found.0, found.1);
        self.same(what, rows, &stream.numbers);
        self.check(twice == 0, || format!("{what} holds {twice} rows twice"));
    }
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use serde_json::json;

    use super::*;

    /// `count` numbers of each source, without those in `but`.
    fn numbers(count: u64, but: &[(&str, u64)]) -> Numbers {
        let of_source = |source: &str| (1..=count).filter(|seq| !but.contains(&(source, *seq))).collect();
        let sources = ["memory", "spool", "bounded", duplicates::SOURCE];
        sources.into_iter().map(|source| (source.to_owned(), of_source(source))).collect()
    }

    fn stream(but: &[(&str, u64)]) -> Kept {
        let numbers = numbers(5, but);
        let by_symbol = [("SPY".to_owned(), total(&numbers))].into();
        Kept { entries: total(&numbers), numbers, by_symbol, ambiguous: Vec::new() }
    }

    fn said(source: &str, sent: &[u64], made: RangeInclusive<u64>) -> Said {
        let (sent, made): (BTreeSet<u64>, BTreeSet<u64>) = (sent.iter().copied().collect(), made.collect());
        Said { source: source.to_owned(), dropped: (made.len() - sent.len()) as u64, sent, made }
    }

    /// Number of complaints.
    fn count(judge: impl FnOnce(&mut Verdict)) -> usize {
        let mut verdict = Verdict::default();
        judge(&mut verdict);
        verdict.complaints.len()
    }

    #[test]
    fn what_was_sent_is_in_the_stream_and_what_is_there_was_made() {
        let bounded = || said("bounded", &[1, 4, 5], 1..=5);
        let all = [said("memory", &[1, 2, 3, 4, 5], 1..=5), said("spool", &[4, 5], 4..=5), bounded()];
        assert_eq!(count(|v| v.on_producers(&all, 5, &stream(&[]))), 0);
        // The spool's earlier run made 1 to 3.
        assert_eq!(count(|v| v.on_producers(&all, 5, &stream(&[("bounded", 2)]))), 0, "given up, and never came");
        for lost in [("memory", 4), ("bounded", 4), ("spool", 2), ("spool", 5), (duplicates::SOURCE, 1)] {
            assert_eq!(count(|v| v.on_producers(&all, 5, &stream(&[lost]))), 1, "{lost:?}");
        }
        assert_eq!(count(|v| v.on_producers(&all, 4, &stream(&[]))), 1, "one too many");
        let dropped = [said("memory", &[1, 2, 5], 1..=5), said("spool", &[1, 2, 3, 4, 5], 1..=5), bounded()];
        assert_eq!(count(|v| v.on_producers(&dropped, 5, &stream(&[("memory", 3)]))), 0, "one of two came");
    }

    #[test]
    fn stores_and_books_have_each_tick_once() {
        let stream = stream(&[("memory", 3)]);
        let rows = stream.numbers.clone();
        assert_eq!(count(|v| v.on_store("it", &(rows.clone(), 0), &stream)), 0);
        assert_eq!(count(|v| v.on_store("it", &(rows, 1), &stream)), 1);
        assert_eq!(count(|v| v.on_store("it", &(numbers(5, &[]), 0), &stream)), 1);
        assert_eq!(count(|v| v.on_store("it", &(numbers(4, &[("memory", 3)]), 0), &stream)), 1);
        let book = |kept: u64, lost: u64| {
            json!({
                "kept": kept, "lost": lost, "too_late": 0, "evicted": 0, "received": kept + 2, "duplicates": 2,
                "symbols": { "SPY": { "count": kept } },
            })
        };
        assert_eq!(count(|v| v.on_book(&book(19, 1), &stream)), 0);
        assert_eq!(count(|v| v.on_book(&book(19, 0), &stream)), 1);
        assert_eq!(count(|v| v.on_book(&book(18, 1), &stream)), 3);
    }

    #[test]
    fn a_listener_counts_what_it_did_not_hear() {
        let listener = |lost: u64, heard: Numbers| {
            let report = json!({ "lost": lost, "received": total(&heard) + 1, "duplicates": 1 });
            count(|v| _ = v.on_listener(Actor::Listener(1), &(heard, 0), &report, &stream(&[])))
        };
        assert_eq!(listener(0, numbers(5, &[])), 0);
        assert_eq!(listener(0, numbers(3, &[("memory", 1)])), 0, "before the first and behind the last is no loss");
        assert_eq!(listener(2, numbers(5, &[("memory", 3), ("spool", 2)])), 0);
        assert_eq!(listener(1, numbers(5, &[("memory", 3), ("spool", 2)])), 1);
        assert_eq!(listener(0, numbers(6, &[])), 1, "what was never sent");
    }
}
