//! Names of keys: how likely a key is to hold a field. Ranks start at 0, the most likely.

/// Lower-case words of a key: `contPrice`, `cont_price` and `cont-price` have the same ones.
pub(super) struct Words {
    raw: String,
    words: Vec<String>,
}

impl Words {
    pub(super) fn new(key: &str) -> Self {
        let mut words: Vec<String> = Vec::new();
        let (mut starts, mut was_lower) = (true, false);
        for c in key.chars() {
            if !c.is_alphanumeric() {
                (starts, was_lower) = (true, false);
                continue;
            }
            if starts || (was_lower && c.is_uppercase()) {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(c.to_lowercase());
            }
            (starts, was_lower) = (false, !c.is_uppercase());
        }
        Self { raw: key.to_owned(), words }
    }

    fn has(&self, list: &[&str]) -> bool {
        self.words.iter().any(|word| list.contains(&word.as_str()))
    }

    fn is_one(&self, list: &[&str]) -> bool {
        let joined = self.words.concat();
        list.contains(&joined.as_str())
    }

    /// Returns whether the key holds the number of a subscription.
    pub(super) fn is_channel_id(&self) -> bool {
        self.is_one(&["chanid", "channelid"])
    }

    /// Rank as a price. Prices of something other than a trade have none.
    pub(super) fn price_rank(&self) -> Option<u8> {
        match self.raw.as_str() {
            "price" => return Some(0),
            "p" => return Some(2),
            _ => {}
        }
        if self.has(&NO_TRADE_PRICE) {
            return None;
        }
        if self.is_one(&["price", "px", "tradeprice", "execprice", "dealprice", "fillprice", "matchprice", "pricestr"])
        {
            Some(1)
        } else if self.is_one(&["last", "lastprice", "lp", "ltp", "lasttradeprice", "lasttradedprice"]) {
            Some(5)
        } else if self.has(&["price", "px", "prc"]) {
            Some(4)
        } else if self.is_one(&["rate"]) {
            Some(6)
        } else if self.is_one(&["close", "value", "val", "mid"]) || self.raw == "c" {
            Some(7)
        } else {
            None
        }
    }

    /// Rank as a symbol.
    pub(super) fn symbol_rank(&self) -> Option<u8> {
        const NAMES: [&[&str]; 5] = [
            &["symbol", "sym"],
            &[
                "instrument",
                "instrumentid",
                "instrumentname",
                "instid",
                "productid",
                "product",
                "ticker",
                "tickersymbol",
            ],
            &["pair", "currencypair", "tradingpair", "market", "marketid", "marketsymbol", "contract", "contractcode"],
            &["symbolname", "symbolid", "securityid", "security", "code", "isin", "ric"],
            &["asset", "coin", "currency", "stock"],
        ];
        match self.raw.as_str() {
            "symbol" => Some(0),
            "s" => Some(6),
            "S" => Some(7),
            "id" | "i" => Some(8),
            _ => NAMES.iter().position(|names| self.is_one(names)).map(|at| at as u8 + 1),
        }
    }

    /// Rank as a size.
    pub(super) fn size_rank(&self) -> Option<u8> {
        if self.has(&NO_TRADE_SIZE) {
            return None;
        }
        if self.raw == "size" {
            Some(0)
        } else if self.is_one(&["qty", "quantity", "amount", "size", "sz", "volume"]) || self.raw == "s" {
            Some(1)
        } else if self.is_one(&["vol", "q", "lots", "shares", "amountstr"]) {
            Some(2)
        } else if self.has(&["qty", "quantity", "size", "volume", "amount", "vol", "sz"]) {
            Some(3)
        } else if self.has(&["amt"]) || self.raw == "v" {
            Some(4)
        } else {
            None
        }
    }

    /// Rank as the time of a trade. The time of a push or of its arrival comes last.
    pub(super) fn time_rank(&self) -> Option<u8> {
        match self.raw.as_str() {
            "T" => return Some(0),
            "t" => return Some(1),
            "E" => return Some(3),
            _ => {}
        }
        let is_time = self.has(&["time", "timestamp", "ts", "tm", "mts", "date", "datetime", "dtm", "dt", "epoch"])
            || self.words.last().is_some_and(|word| word == "at")
            || self.is_one(&["microtimestamp", "timestampms", "timestampus", "timestampns", "timems", "tradetime"]);
        if !is_time {
            None
        } else if self.has(&[
            "receipt", "receive", "received", "recv", "server", "send", "sent", "event", "push", "local", "data",
        ]) {
            Some(3)
        } else if self.has(&["trade", "exec", "executed", "match", "matched", "deal", "fill", "transact", "tradetime"])
        {
            Some(0)
        } else {
            Some(1)
        }
    }

    /// Part of a quote or bar that the key names.
    pub(super) fn market_part(&self) -> Option<MarketPart> {
        let is_single = self.raw.len() == 1;
        if self.has(&["bid", "bids"]) && !self.has(&["ask"]) || (is_single && self.raw == "b") {
            Some(MarketPart::Bid)
        } else if self.has(&["ask", "asks", "offer", "offers"]) && !self.has(&["bid"]) || (is_single && self.raw == "a")
        {
            Some(MarketPart::Ask)
        } else if self.words.first().is_some_and(|word| word.starts_with("open")) || (is_single && self.raw == "o") {
            Some(MarketPart::Open)
        } else if self.words.first().is_some_and(|word| word.starts_with("high")) || (is_single && self.raw == "h") {
            Some(MarketPart::High)
        } else if self.words.first().is_some_and(|word| word.starts_with("low")) || (is_single && self.raw == "l") {
            Some(MarketPart::Low)
        } else {
            None
        }
    }
}

/// Part of a quote or of a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MarketPart {
    Bid,
    Ask,
    Open,
    High,
    Low,
}

/// Words of prices that are not a trade's.
const NO_TRADE_PRICE: [&str; 22] = [
    "bid",
    "ask",
    "open",
    "high",
    "low",
    "avg",
    "average",
    "mark",
    "index",
    "limit",
    "stop",
    "prev",
    "previous",
    "change",
    "settle",
    "settlement",
    "underlying",
    "strike",
    "vwap",
    "best",
    "tick",
    "min",
];

/// Words of amounts that are not a trade's size.
const NO_TRADE_SIZE: [&str; 16] = [
    "bid",
    "ask",
    "open",
    "remaining",
    "cum",
    "cumulative",
    "total",
    "quote",
    "24h",
    "turnover",
    "best",
    "min",
    "max",
    "tick",
    "day",
    "interest",
];

/// Returns whether a key's text tells kinds of messages apart, or names the subscription.
#[inline]
pub(crate) fn is_topic_key(key: &str) -> bool {
    matches!(
        key,
        "type"
            | "e"
            | "event"
            | "ev"
            | "channel"
            | "channel_name"
            | "channelName"
            | "ch"
            | "topic"
            | "table"
            | "method"
            | "stream"
            | "subject"
            | "m"
            | "action"
            | "T"
            | "msg_type"
            | "msgType"
            | "messageType"
            | "event_type"
            | "eventType"
            | "name"
            | "feed"
            | "dataType"
            | "Type"
            | "Event"
            | "Channel"
            | "Topic"
            | "Stream"
            | "Name"
    )
}

/// Returns whether a key's text is a letter for each kind of message, such as `T` for a trade.
pub(super) fn is_letter_key(key: &str) -> bool {
    matches!(key, "T" | "ev")
}

/// Returns whether `text` names a side of a trade.
pub(super) fn is_side(text: &str) -> bool {
    const SIDES: [&str; 10] = ["b", "s", "buy", "sell", "bid", "ask", "buyer", "seller", "long", "short"];
    SIDES.iter().any(|side| side.eq_ignore_ascii_case(text))
}

/// Returns whether a key looks like a symbol and not like the name of a part of a message.
pub(super) fn is_symbol_like(key: &str) -> bool {
    key.len() > 1
        && key.chars().any(char::is_alphanumeric)
        && !key.chars().any(char::is_lowercase)
        && !key.chars().any(char::is_whitespace)
        && key.chars().any(|c| c.is_uppercase() || c == '-' || c == '/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_split_into_words() {
        let words = |key| Words::new(key).words;
        assert_eq!(words("contPrice"), ["cont", "price"]);
        assert_eq!(words("trade_time_ms"), ["trade", "time", "ms"]);
        assert_eq!(words("instId"), ["inst", "id"]);
        assert_eq!(words("T"), ["t"]);
        assert_eq!(words("bid-Price24h"), ["bid", "price24h"]);
        assert!(words("--").is_empty());
    }

    #[test]
    fn the_likeliest_name_comes_first() {
        let price = |key| Words::new(key).price_rank();
        assert!(price("price") < price("px") && price("px") < price("contPrice") && price("contPrice") < price("last"));
        for none in ["bidPrice", "open_price", "mark_price", "index_price", "vwap", "size", "change_price", "tick"] {
            assert_eq!(price(none), None, "{none}");
        }
        let time = |key| Words::new(key).time_rank();
        assert!(time("trade_time_ms") < time("timestamp") && time("T") < time("t") && time("T") < time("E"));
        assert!(time("timestamp") < time("receipt_timestamp"));
        let size = |key| Words::new(key).size_rank();
        assert!(size("size") < size("qty") && size("qty") < size("contQty") && size("contQty") < size("contAmt"));
        assert_eq!(size("volume_24h").or(size("bidSize")), None.or(size("volume_24h")));
    }
}
