//! Numbers, prices and durations as text for the chart, in the notation of market data terminals.

/// Most decimals shown of a price. Further digits of a computed price are noise.
const DECIMALS_MAX: usize = 8;

/// Formats an integer with thousands separators: `1,284,507`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a rate, with one decimal below ten: `3.2`, `84`, `1,284`.
pub(crate) fn rate(per_s: f64) -> String {
    if per_s > 0.0 && per_s < 9.95 { format!("{per_s:.1}") } else { count(per_s.round().max(0.0) as u64) }
}

/// Number of decimals that show `price` exactly, at most eight.
pub(crate) fn decimals_of(price: f64) -> usize {
    let mut scale = 1.0;
    for decimals in 0..DECIMALS_MAX {
        let scaled: f64 = price * scale;
        // A relative tolerance of 5e-13 accepts 0.1, which is not exact in binary, and rejects 0.1001.
        if (scaled - scaled.round()).abs() <= scaled.abs() * 5e-13 {
            return decimals;
        }
        scale *= 10.0;
    }
    DECIMALS_MAX
}

/// Formats a price with thousands separators and a true minus sign (U+2212): `1,182.50`.
pub(crate) fn price(value: f64, decimals: usize) -> String {
    /// Prices from here on use scientific notation: their digits are noise and would overflow the axis.
    const PLAIN_MAX: f64 = 1e12;
    if value.abs() >= PLAIN_MAX {
        return format!("{value:.4e}").replace('-', "\u{2212}");
    }
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    signed(value, "", &format!("{}{fraction}", count(whole.parse().unwrap_or_default())))
}

/// Prefixes the digits of a value with a true minus sign, or with `plus`. Digits that are all zero have no sign.
pub(crate) fn signed(value: f64, plus: &str, digits: &str) -> String {
    let sign = match digits.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
        true if value < 0.0 => "\u{2212}",
        true => plus,
        false => "",
    };
    format!("{sign}{digits}")
}

/// Formats a traded volume: `38,650`, `0.0125`, `12.4 M`.
pub(crate) fn quantity(value: f64) -> String {
    const UNITS: [(f64, &str); 3] = [(1e12, " T"), (1e9, " B"), (1e6, " M")];
    if let Some((unit, name)) = UNITS.iter().find(|(unit, _)| value >= 10.0 * unit) {
        return format!("{}{name}", price(value / unit, 1));
    }
    price(value, if value < 100.0 { decimals_of(value).min(4) } else { 0 })
}

/// Formats a change in percent, with its sign: `+0.24%`, `−0.07%`, `0.00%`.
pub(crate) fn percent(value: f64) -> String {
    let decimals = if value.abs() < 1_000.0 { 2 } else { 0 };
    signed(value, "+", &format!("{:.decimals$}%", value.abs()))
}

/// Formats a duration in nanoseconds in at most two units: `45 min`, `1 h 30 min`, `250 ms`.
pub(crate) fn span(ns: i64) -> String {
    const UNITS: [(i64, &str); 7] = [
        (86_400_000_000_000, "d"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "min"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "\u{b5}s"),
        (1, "ns"),
    ];
    let ns = ns.max(0);
    let Some(at) = UNITS.iter().position(|(unit, _)| ns >= *unit) else { return "0 s".to_owned() };
    let (unit, name) = UNITS[at];
    let (whole, rest) = (ns / unit, ns % unit);
    match UNITS.get(at + 1) {
        Some((finer, finer_name)) if whole < 10 && at < 3 && rest / finer > 0 => {
            format!("{whole} {name} {} {finer_name}", rest / finer)
        }
        _ => format!("{whole} {name}"),
    }
}

/// Formats a latency in milliseconds: `0.4 ms`, `12 ms`, `1.2 s`.
pub(crate) fn latency(ms: f64) -> String {
    match ms {
        ms if ms < 9.95 => format!("{ms:.1} ms"),
        ms if ms < 999.5 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1_000.0),
    }
}

#[cfg(test)]
mod tests {
    use crate::chart::format::*;

    #[test]
    fn figures_are_formatted_for_reading() {
        assert_eq!([count(0), count(999), count(1_000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([rate(0.0), rate(3.04), rate(84.4), rate(1284.0)], ["0", "3.0", "84", "1,284"]);
        assert_eq!(
            [price(1234.5, 2), price(-37.63, 2), price(-0.001, 2), price(5e15, 2)],
            ["1,234.50", "\u{2212}37.63", "0.00", "5.0000e15"]
        );
        assert_eq!(
            [percent(0.244), percent(-0.07), percent(-0.001), percent(12345.6)],
            ["+0.24%", "\u{2212}0.07%", "0.00%", "+12346%"]
        );
        assert_eq!(
            [quantity(38_650.0), quantity(0.0125), quantity(12.0), quantity(12_400_000.0), quantity(1e300)],
            ["38,650", "0.0125", "12", "12.4 M", "1.0000e288 T"]
        );
        assert_eq!([latency(0.42), latency(12.3), latency(1_234.0)], ["0.4 ms", "12 ms", "1.2 s"]);
    }

    #[test]
    fn spans_use_at_most_two_units() {
        for (ns, text) in [
            (0, "0 s"),
            (-5, "0 s"),
            (250_000_000, "250 ms"),
            (4_300_000_000, "4 s"),
            (90_000_000_000, "1 min 30 s"),
            (2_700_000_000_000, "45 min"),
            (5_400_000_000_000, "1 h 30 min"),
            (86_400_000_000_000, "1 d"),
        ] {
            assert_eq!(span(ns), text);
        }
    }

    #[test]
    fn decimals_follow_the_data() {
        for (value, decimals) in
            [(100.0, 0), (187.2, 1), (168.12, 2), (0.0001, 4), (1.0 / 3.0, 8), (-37.63, 2), (1e300, 0)]
        {
            assert_eq!(decimals_of(value), decimals, "{value}");
        }
    }
}
