//! Counts of missing, repeated and late ticks.

use serde_json::json;

use super::fixture::{Publisher, finish, listen, numbered, tick};
use crate::support::server::on_both;

const CHANNEL: &str = "stock_prices";

/// Description, the numbers of one producer with the second of each trade, ticks lost, ticks repeated.
type Case = (&'static str, &'static [(u64, u64)], u64, u64);

/// Checks all cases concurrently, each with its own consumer and channel.
fn account(name: &str, port: u16, cases: &[Case]) {
    let consumers: Vec<_> = cases.iter().map(|(what, ..)| listen(port, &["--channel", what])).collect();
    let mut publisher = Publisher::connect(port);
    for (what, numbers, ..) in cases {
        publisher.publish_all(what, numbers.iter().map(|(seq, offset_s)| numbered("p-1", *seq, *offset_s)));
    }
    for (consumer, (what, numbers, lost, duplicates)) in consumers.into_iter().zip(cases) {
        let report = finish(consumer, numbers.len() as u64, 0);
        assert_eq!(report["received"], numbers.len(), "{what} over {name}");
        assert_eq!((&report["lost"], &report["duplicates"]), (&json!(lost), &json!(duplicates)), "{what} over {name}");
        assert_eq!(report["kept"], numbers.len() as u64 - duplicates, "{what} over {name}");
    }
}

#[test]
fn holes_repetitions_and_late_ticks_are_told_apart() {
    on_both(|name, port| {
        account(
            name,
            port,
            &[
                ("no loss", &[(1, 0), (2, 1), (3, 2)], 0, 0),
                ("a start midway", &[(700, 0), (701, 1)], 0, 0),
                ("two holes", &[(1, 0), (2, 1), (5, 2), (6, 3), (16, 4)], 2 + 9, 0),
                ("repetitions", &[(1, 0), (2, 1), (2, 1), (3, 2), (1, 0), (3, 2)], 0, 3),
                ("another order", &[(1, 0), (3, 2), (2, 1), (6, 5), (5, 4), (4, 3)], 0, 0),
                ("a hole that is filled in part", &[(1, 0), (9, 8), (4, 3), (5, 4)], 5, 0),
                ("the same late tick twice", &[(1, 0), (4, 3), (2, 1), (2, 1)], 1, 1),
                ("a restart", &[(1, 0), (2, 1), (3, 2), (1, 10), (2, 11), (3, 12)], 0, 0),
                ("a loss on both sides of a restart", &[(1, 0), (4, 3), (1, 10), (3, 12)], 2 + 1, 0),
            ],
        );
    });
}

#[test]
fn producers_are_counted_apart_and_ticks_without_a_number_never_as_lost() {
    on_both(|name, port| {
        let consumer = listen(port, &[]);
        let mut publisher = Publisher::connect(port);
        // Three producers alternate: one is complete, one loses every second tick, one has no sequence numbers.
        let mut messages = Vec::new();
        for round in 0..500 {
            messages.push(numbered("whole", round + 1, round));
            messages.push(numbered("half", 2 * round + 1, round));
            messages.push(tick("SPY", 168.5, round));
        }
        publisher.publish_all(CHANNEL, &messages);
        let report = finish(consumer, messages.len() as u64, 0);
        assert_eq!((&report["received"], &report["kept"]), (&json!(1_500), &json!(1_500)), "{name}");
        assert_eq!((&report["lost"], &report["duplicates"]), (&json!(499), &json!(0)), "{name}");
    });
}

#[test]
fn a_loss_inside_an_array_is_seen_as_well() {
    on_both(|name, port| {
        let consumer = listen(port, &[]);
        let array = |numbers: &[u64]| {
            let ticks: Vec<String> = numbers.iter().map(|seq| numbered("p-1", *seq, *seq)).collect();
            format!("[{}]", ticks.join(","))
        };
        Publisher::connect(port).publish_all(CHANNEL, [array(&[1, 2, 3, 6]), array(&[6, 7, 10])]);
        let report = finish(consumer, 7, 0);
        assert_eq!(
            (&report["lost"], &report["duplicates"], &report["kept"]),
            (&json!(4), &json!(1), &json!(6)),
            "{name}"
        );
    });
}
