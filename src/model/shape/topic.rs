//! Texts that name a subscription or a kind of message: `trade`, `market.GRT-USDT.trade.detail`, `btcusdt@trade`,
//! `trades.BTC`. They tell trades from other messages, and often hold the symbol.

use crate::model::path::Pattern;

/// Separators between the parts of a topic. A symbol may contain one, such as `ETH/USD` and `BRK.B`.
const SEPARATORS: [char; 8] = [':', '@', '/', '|', '.', ',', ' ', '~'];

/// Separators within parts, used if the others find nothing.
const INNER_SEPARATORS: [char; 2] = ['_', '-'];

/// Parts of words that name messages other than trades.
const OTHER_PARTS: [&str; 13] = [
    "ticker",
    "book",
    "depth",
    "candle",
    "kline",
    "ohlc",
    "quote",
    "bbo",
    "liquidat",
    "funding",
    "heartbeat",
    "l2update",
    "level2",
];

/// Words that name messages other than trades.
const OTHER_WORDS: [&str; 9] = ["l2", "mark", "index", "bar", "bars", "spread", "instrument", "bids", "asks"];

/// Parts of words that name trades.
const TRADE_PARTS: [&str; 8] = ["trade", "match", "deal", "fill", "execution", "transaction", "tape", "prints"];

/// Words of topics that are no symbols.
const TOPIC_WORDS: [&str; 51] = [
    "all",
    "channel",
    "crypto",
    "data",
    "detail",
    "details",
    "equities",
    "equity",
    "event",
    "events",
    "exchange",
    "feed",
    "feeds",
    "forex",
    "full",
    "futures",
    "fx",
    "inverse",
    "json",
    "last",
    "linear",
    "live",
    "market",
    "markets",
    "marketdata",
    "md",
    "message",
    "messages",
    "option",
    "options",
    "perp",
    "perpetual",
    "price",
    "prices",
    "public",
    "raw",
    "realtime",
    "rt",
    "snapshot",
    "spot",
    "stock",
    "stocks",
    "stream",
    "streams",
    "swap",
    "tick",
    "ticks",
    "topic",
    "update",
    "updates",
    "ws",
];

/// Kind of message that a text names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    Trades,
    Other,
}

fn has_part(word: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| word.contains(part))
}

/// Kind of message that `text` names, and whether it says nothing else; `None` if it names neither kind. Parts in
/// capitals are symbols and name nothing, unless there are no others.
pub(super) fn topic_of(text: &str) -> Option<(Topic, bool)> {
    let is_separator = |c: char| SEPARATORS.contains(&c) || INNER_SEPARATORS.contains(&c);
    let parts = || text.split(is_separator).filter(|part| !part.is_empty());
    let has_lower = parts().any(|part| part.chars().any(char::is_lowercase));
    let is_exact = parts().count() == 1;
    let mut found = None;
    for part in parts().filter(|part| !has_lower || part.chars().any(char::is_lowercase)) {
        let word = part.to_lowercase();
        // In capitals, only a whole word counts: a symbol may contain one.
        let has_part = |parts: &[&str]| {
            if has_lower { has_part(&word, parts) } else { parts.contains(&word.trim_end_matches('s')) }
        };
        if has_part(&OTHER_PARTS) || OTHER_WORDS.contains(&word.as_str()) {
            return Some((Topic::Other, is_exact));
        }
        if has_part(&TRADE_PARTS) {
            found = Some((Topic::Trades, is_exact));
        }
    }
    found
}

fn is_topic_word(part: &str) -> bool {
    let word = part.to_lowercase();
    if part.contains(INNER_SEPARATORS) {
        return part.split(INNER_SEPARATORS).all(is_topic_word);
    }
    // Such as `v2`, `step0` and `100ms`.
    let is_detail = ["v", "step", "ms"].iter().any(|unit| {
        let digits = word.strip_prefix(unit).or(word.strip_suffix(unit));
        digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    });
    // A word in capitals is a symbol even if the same word is common in topics.
    let is_common =
        TOPIC_WORDS.contains(&word.as_str()) || has_part(&word, &TRADE_PARTS) || has_part(&word, &OTHER_PARTS);
    word.is_empty() || is_detail || (is_common && part != part.to_uppercase())
}

/// The symbol in a topic: the one run of parts that are no words of topics. `None` if there is no such run or several.
/// The pattern finds the symbols of similar topics.
pub(super) fn symbol_in(text: &str) -> Option<Pattern> {
    let run = run_in(text, &SEPARATORS)?;
    let run = match run {
        (start, end) if end - start == text.len() => run_in(text, &INNER_SEPARATORS)?,
        _ => run,
    };
    Some(Pattern::new(&text[..run.0], &text[run.1..]))
}

/// The one run of parts that are no words of topics; of several, the one behind the word for trades.
fn run_in(text: &str, separators: &[char]) -> Option<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    let mut behind_trades = None;
    let (mut at, mut is_open) = (0, false);
    for part in text.split(|c| separators.contains(&c)) {
        let end = at + part.len();
        if is_topic_word(part) {
            is_open = false;
            if has_part(&part.to_lowercase(), &TRADE_PARTS) {
                behind_trades = Some(runs.len());
            }
        } else if is_open && let Some(run) = runs.last_mut() {
            run.1 = end;
        } else {
            runs.push((at, end));
            is_open = true;
        }
        // All separators are ASCII.
        at = end + 1;
    }
    match runs.as_slice() {
        [run] => Some(*run),
        _ => runs.get(behind_trades?).copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_told_apart() {
        for trades in [
            "trade",
            "last_match",
            "aggTrade",
            "spot/trade:BOOK-EUR",
            "market.x.trade.detail",
            "TRADES",
            "trade.l3match",
            "live_trades_ethusd",
            "TICKERTOKEN_trades",
            "deals.update",
        ] {
            assert_eq!(topic_of(trades).map(|(topic, _)| topic), Some(Topic::Trades), "{trades}");
        }
        for other in ["ticker", "trade.ticker", "orderBookL2", "btcusdt@depth@100ms", "l2_updates", "kline_1m", "BOOK"]
        {
            assert_eq!(topic_of(other).map(|(topic, _)| topic), Some(Topic::Other), "{other}");
        }
        for none in ["subscribed", "market", "update", "", "AAPL", "X/UXBBOD", "MATCHX"] {
            assert!(topic_of(none).is_none(), "{none}");
        }
    }

    #[test]
    fn the_symbol_is_the_part_that_is_no_word() {
        for (text, symbol) in [
            ("market.GRT-USDT.trade.detail", "GRT-USDT"),
            ("btcusdt@trade", "btcusdt"),
            ("/market/match:DAPPT-BTC", "DAPPT-BTC"),
            ("spot/trade:ETH-EUR", "ETH-EUR"),
            ("trades:ZIG/USDT", "ZIG/USDT"),
            ("live_trades_ethusd", "ethusd"),
            ("trades.700", "700"),
            ("trade.TICK", "TICK"),
            ("lightning_executions_BTC_JPY", "BTC_JPY"),
            ("v3_trades.BRK.B", "BRK.B"),
        ] {
            let pattern = symbol_in(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(pattern.find(text), Some(symbol), "{text}");
        }
        for whole in ["BTC-USD", "AAPL"] {
            assert_eq!(symbol_in(whole).unwrap().find(whole), Some(whole));
        }
        for none in ["trades", "stock_prices", "", "a.prices.b"] {
            assert_eq!(symbol_in(none), None, "{none}");
        }
    }
}
