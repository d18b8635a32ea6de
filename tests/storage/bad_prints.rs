//! Outliers and late ticks in the SQL views.

use tickscope::storage::db::TickRow;

use super::fixture::{bare, heard, numbered, on_both};

#[test]
fn outliers_are_kept_with_a_flag_and_bars_are_made_without_them() {
    on_both(|place| {
        let slip = TickRow { outlier: true, ..numbered("p", 2, 1_000, 1_020.0) };
        let ticks = [numbered("p", 1, 0, 10.25), slip, numbered("p", 3, 2_000, 10.5), numbered("p", 4, 61_000, 10.75)];
        place.keep(vec![heard(&ticks)]);
        assert_eq!(place.ticks(), ticks, "what was flagged comes back with its flag");
        // The databases write booleans differently.
        let flagged =
            "SELECT count(*) FROM ticks_view WHERE (CASE WHEN outlier THEN 1 ELSE 0 END) = 1 AND price = 1020";
        assert_eq!(place.sql(flagged), "1");
        assert_eq!(place.sql("SELECT count(*) FROM ticks_view WHERE NOT outlier"), "3");
        let bars = "SELECT open, high, low, close, count FROM bars_1m ORDER BY time_ns";
        assert_eq!(place.sql(bars), "10.25|10.5|10.25|10.5|2\n10.75|10.75|10.75|10.75|1");
        for (view, bars) in [("bars_1s", "3"), ("bars_5m", "1"), ("bars_1h", "1"), ("bars_1d", "1")] {
            assert_eq!(place.sql(&format!("SELECT count(*) FROM {view}")), bars, "{view}");
            assert_eq!(place.sql(&format!("SELECT max(high) FROM {view}")), "10.75", "{view}");
        }
    });
}

#[test]
fn late_ticks_can_be_told_from_the_others() {
    on_both(|place| {
        let other = TickRow { symbol: "MSFT".into(), ..bare("MSFT", 0, 5.0) };
        place.keep(vec![heard(&[bare("AAPL", 5_000, 1.0), other, bare("AAPL", 2_000, 2.0), bare("AAPL", 6_000, 3.0)])]);
        place.keep(vec![heard(&[bare("AAPL", 5_999, 4.0), bare("AAPL", 6_000, 5.0)])]);
        let late = "SELECT symbol, price, late_ns / 1000000 FROM ticks_late ORDER BY price";
        assert_eq!(place.sql(late), "AAPL|2|3000\nAAPL|4|1", "same times are not late, nor are other symbols' ticks");
    });
}
