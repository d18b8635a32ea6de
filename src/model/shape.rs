//! Recognition of the shape of a message: finds the rows that are trades, and each field of a tick in or around them.
//!
//! Recognition is slow and happens once for each shape; [`Signatures`] tell shapes apart. Names of keys decide first
//! ([`names`]), topics such as `trade` and `ticker` tell trades from other messages ([`topic`]), and the values decide
//! between candidates: a time has to be one, a size is not the product of another and the price.

mod announcement;
mod columns;
mod names;
mod resolve;
mod signature;
mod topic;

pub(crate) use announcement::announcement;
pub(crate) use columns::FIRST_NS as FIRST_ROW_NS;
pub(crate) use names::is_topic_key;
pub(crate) use signature::{Signatures, TIME_DIGITS_MIN, value_class};

use std::cmp::Reverse;

use crate::model::fields::{Field, FieldMap, Locator};
use crate::model::json::{Kind, Value};
use crate::model::path::{Path, Step};
use crate::model::shape::columns::Columns;
use crate::model::shape::names::{MarketPart, Words, is_letter_key, is_symbol_like};
use crate::model::shape::topic::{Topic, symbol_in, topic_of};
use crate::model::{Timestamp, parse_price, parse_timestamp};

/// Deepest row that is searched for. Feeds nest at most five levels.
const DEPTH_MAX: usize = 8;

/// Most values visited in one message. Rows stand near its start.
const VISITS_MAX: usize = 4_096;

/// Most elements of an array that are compared.
const ELEMENTS_MAX: usize = 64;

/// Context of a message that recognition takes into account.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    /// Name of the channel or stream.
    pub(crate) channel: Option<&'a str>,
    /// Receiver's clock.
    pub(crate) now: Timestamp,
    /// Set if an earlier message had rows with the size before the price.
    pub(crate) has_sizes_first: bool,
    /// Set if earlier messages announced symbols for numbers.
    pub(crate) has_announcements: bool,
    /// Fields located by the user.
    pub(crate) located: &'a FieldMap,
}

/// Outcome of a recognition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    /// Rows of trades, with the fields found.
    Trades(FieldMap),
    /// A message of another kind: an acknowledgement, a quote, a bar, an order book.
    Other,
    /// Several values are equally likely to be a field.
    Ambiguous {
        /// Name of the field.
        field: &'static str,
        /// Paths of the values.
        candidates: Vec<String>,
    },
    /// The message may be a trade, but lacks a field.
    Incomplete(FieldMap),
}

/// Row that may be a trade.
struct Candidate<'d> {
    /// Path of the row.
    path: Path,
    /// A row of this kind.
    row: Value<'d>,
    /// Containers around the row with their paths, outermost first.
    around: Vec<(Path, Value<'d>)>,
    /// Path of the price and the rank of its key.
    price: Path,
    price_rank: u8,
    columns: Option<Columns>,
    has_time: bool,
    topic: Option<Topic>,
}

impl Candidate<'_> {
    /// Higher is likelier: rows that are named trades, that have a time, whose price has the likelier name; then those
    /// that are nested less deeply.
    fn score(&self) -> (bool, bool, Reverse<u8>, Reverse<usize>) {
        let is_named = self.topic == Some(Topic::Trades);
        (is_named, self.has_time, Reverse(self.price_rank), Reverse(self.path.0.len()))
    }
}

/// Recognises the shape of `message`.
pub(crate) fn recognize(message: Value<'_>, context: Context<'_>) -> Shape {
    let mut search = Search { context, around: Vec::new(), found: Vec::new(), visits: 0 };
    if let Some(Locator::Path(price, _)) = context.located.get(Field::Price) {
        search.locate(message, price);
    } else {
        search.visit(message, &Path::default());
    }
    let Search { found, .. } = search;
    // The first one of the best.
    let Some(best) = found.iter().rev().max_by_key(|candidate| candidate.score()) else {
        return if resolve::has_tick_keys(message) { Shape::Incomplete(FieldMap::default()) } else { Shape::Other };
    };
    let rival = best.columns.and_then(|columns| columns.rival).map(|at| best.path.then(Step::Index(at)).to_string());
    let rivals: Vec<String> = found
        .iter()
        .filter(|other| other.score() == best.score() && other.price != best.price)
        .map(|other| other.price.to_string())
        .chain(rival)
        .collect();
    if !rivals.is_empty() {
        let candidates = [best.price.to_string()].into_iter().chain(rivals).collect();
        return Shape::Ambiguous { field: "price", candidates };
    }
    resolve::fields(best, context)
}

struct Search<'d, 'a> {
    context: Context<'a>,
    around: Vec<(Path, Value<'d>)>,
    found: Vec<Candidate<'d>>,
    visits: usize,
}

impl<'d> Search<'d, '_> {
    fn visit(&mut self, value: Value<'d>, path: &Path) {
        self.visits += 1;
        if self.around.len() > DEPTH_MAX || self.visits > VISITS_MAX {
            return;
        }
        match value.kind() {
            Kind::Object => self.visit_object(value, path),
            Kind::Array => self.visit_array(value, path),
            // A message that is a bare number is a price.
            _ if path.0.is_empty() && is_price(value) => self.offer(value, path, path.clone(), 0, None),
            _ => {}
        }
    }

    fn visit_object(&mut self, object: Value<'d>, path: &Path) {
        let has_symbol_keys =
            object.entries().next().is_some() && object.entries().all(|(key, _)| is_symbol_like(&key.text()));
        if has_symbol_keys && object.entries().all(|(_, value)| is_price(value)) {
            let price = path.then(Step::AnyKey);
            return self.offer(object, path, price, 3, None);
        }
        if let Some((key, rank)) = Self::price_of(object, path) {
            self.offer(object, path, path.then(Step::Key(key)), rank, None);
        }
        let is_map = has_symbol_keys && object.entries().all(|(_, value)| value.is_container());
        self.around.push((path.clone(), object));
        for (key, child) in object.entries().filter(|(_, child)| child.is_container()) {
            let step = if is_map { Step::AnyKey } else { Step::Key(key.text().into_owned()) };
            self.visit(child, &path.then(step));
        }
        self.around.pop();
    }

    fn visit_array(&mut self, array: Value<'d>, path: &Path) {
        let containers = array.elements().take(ELEMENTS_MAX).filter(|element| element.is_container()).count();
        let count = array.elements().take(ELEMENTS_MAX).count();
        if containers == 0 && count > 1 {
            self.offer_columns(array, path);
            return;
        }
        // An array that starts with an object is a list, even with other values among its elements.
        let is_list = containers == count || array.elements().next().is_some_and(|first| first.kind() == Kind::Object);
        self.around.push((path.clone(), array));
        for (at, child) in array.elements().take(ELEMENTS_MAX).enumerate() {
            if child.is_container() {
                let step = if is_list { Step::Each } else { Step::Index(at) };
                self.visit(child, &path.then(step));
            }
        }
        self.around.pop();
    }

    /// Offers an array of scalars as a row.
    fn offer_columns(&mut self, row: Value<'d>, path: &Path) {
        let rows = match (path.0.last(), self.around.last()) {
            (Some(Step::Each), Some((_, array))) => array.elements().take(ELEMENTS_MAX).collect(),
            _ => vec![row],
        };
        let Some(columns) = Columns::find(row, &rows, self.context) else { return };
        let price = path.then(Step::Index(columns.price));
        self.offer(row, path, price, 1, Some(columns));
    }

    /// The likeliest price among the values of an object that may be a trade.
    fn price_of(object: Value<'d>, path: &Path) -> Option<(String, u8)> {
        let is_own_form = is_own_form(object, path);
        let prices = object.entries().filter_map(|(key, value)| {
            let text = key.text();
            let rank = Words::new(&text).price_rank()?;
            let is_named = text == "price" && (is_own_form || !value.is_container());
            (is_named || is_price(value)).then(|| (text.into_owned(), rank))
        });
        // The first one of the lowest rank.
        let price = prices.min_by_key(|(_, rank)| *rank)?;
        let parts: Vec<MarketPart> = object
            .entries()
            .filter(|(_, value)| value.is_container() || is_price(*value))
            .filter_map(|(key, _)| Words::new(&key.text()).market_part())
            .collect();
        let has = |part| parts.contains(&part);
        let is_quote = has(MarketPart::Bid) && has(MarketPart::Ask);
        let is_bar = has(MarketPart::High) && has(MarketPart::Low) || has(MarketPart::Open) && has(MarketPart::High);
        (is_own_form || !(is_quote || is_bar)).then_some(price)
    }

    fn offer(&mut self, row: Value<'d>, path: &Path, price: Path, price_rank: u8, columns: Option<Columns>) {
        if self.found.iter().any(|known| known.path == path.clone() && known.price == price) {
            return;
        }
        let now = self.context.now;
        let has_time = columns.is_some()
            || row.entries().any(|(key, value)| Words::new(&key.text()).time_rank().is_some() && is_time(value, now));
        let topic = if is_own_form(row, path) { Some(Topic::Trades) } else { self.topic(row, path) };
        let is_nested = path.0.len() > 1 && path.0.iter().any(Step::is_repeated);
        let is_dubious = topic.is_none() && !has_time && is_nested && !resolve::has_symbol(row);
        if topic == Some(Topic::Other) || is_dubious {
            return;
        }
        let around = self.around.clone();
        self.found.push(Candidate { path: path.clone(), row, around, price, price_rank, columns, has_time, topic });
    }

    /// Kind of message that the row's context name. The name of the row's container weighs more than topics.
    fn topic(&self, row: Value<'d>, path: &Path) -> Option<Topic> {
        let mut keys = path.0.iter().rev().filter_map(|step| if let Step::Key(key) = step { Some(key) } else { None });
        if let Some((topic, _)) = keys.next().and_then(|key| topic_of(key)) {
            return Some(topic);
        }
        // The texts of a row without keys are values.
        let own = Some(row).filter(|row| row.kind() == Kind::Object);
        let named: Vec<(Topic, bool)> =
            self.around.iter().map(|(_, value)| *value).chain(own).flat_map(topics).collect();
        // A text that says nothing else outweighs those that say more.
        let exact = named.iter().filter(|(_, is_exact)| *is_exact);
        let others = named.iter().filter(|(_, is_exact)| !is_exact);
        let of = |topics: Vec<Topic>| topics.iter().find(|topic| **topic == Topic::Other).or(topics.first()).copied();
        of(exact.map(|(topic, _)| *topic).collect()).or_else(|| of(others.map(|(topic, _)| *topic).collect()))
    }

    /// Offers the row that holds the price at a path that the user gave.
    fn locate(&mut self, message: Value<'d>, price: &Path) {
        let (mut value, mut path) = (message, Path::default());
        let Some((last, steps)) = price.0.split_last() else {
            return self.offer(message, &path, price.clone(), 0, None);
        };
        for step in steps {
            let child = match step {
                Step::Key(key) => value.entries().find(|(name, _)| name.is(key)).map(|(_, child)| child),
                Step::AnyKey => value.entries().next().map(|(_, child)| child),
                Step::Index(at) => value.elements().nth(*at),
                Step::Each => value.elements().next(),
            };
            let Some(child) = child else { return };
            self.around.push((path.clone(), value));
            (value, path) = (child, path.then(step.clone()));
        }
        let holds_price = match last {
            Step::Key(key) => value.entries().any(|(name, _)| name.is(key)),
            Step::Index(at) => value.elements().nth(*at).is_some(),
            Step::Each | Step::AnyKey => value.is_container(),
        };
        if holds_price {
            let around = self.around.clone();
            let columns = Columns::find(value, &[value], self.context);
            self.found.push(Candidate {
                path,
                row: value,
                around,
                price: price.clone(),
                price_rank: 0,
                columns,
                has_time: false,
                topic: None,
            });
        }
    }
}

/// Kinds of messages that the texts in a container name, each with whether the text says nothing else.
fn topics(container: Value<'_>) -> impl Iterator<Item = (Topic, bool)> {
    let in_object = container.entries().flat_map(|(key, value)| {
        let name = key.text();
        // A subscription's parameters stand in an object of their own: `"arg": {"channel": "trades"}`.
        let inner = value.entries().filter_map(|(key, value)| topic_at(&key.text(), value)).collect::<Vec<_>>();
        topic_at(&name, value).into_iter().chain(inner)
    });
    let in_array = container.elements().filter_map(|element| topic_of(&element.as_str()?));
    in_object.chain(in_array.collect::<Vec<_>>())
}

fn topic_at(key: &str, value: Value<'_>) -> Option<(Topic, bool)> {
    let text = is_topic_key(key).then(|| value.as_str())??;
    if is_letter_key(key) && text.len() <= 2 {
        return Some((if text.eq_ignore_ascii_case("t") { Topic::Trades } else { Topic::Other }, true));
    }
    topic_of(&text)
}

/// Returns whether an object has the keys of this project's own messages and stands where these stand.
fn is_own_form(object: Value<'_>, path: &Path) -> bool {
    let has = |name| object.entries().any(|(key, _)| key.is(name));
    path.0.iter().all(|step| *step == Step::Each) && has("symbol") && has("price") && has("timestamp")
}

fn is_price(value: Value<'_>) -> bool {
    value.as_text().is_some_and(|text| parse_price(&text).is_ok())
}

/// Returns whether a value is the time of something that happened between 1990 and a day from now.
fn is_time(value: Value<'_>, now: Timestamp) -> bool {
    let time = value.as_text().and_then(|text| parse_timestamp(&text).ok());
    time.is_some_and(|time| is_likely_time(time, now))
}

/// Returns whether something is likely to have happened at `time`: between 1990 and a day from now.
pub(crate) fn is_likely_time(time: Timestamp, now: Timestamp) -> bool {
    const FIRST_NS: i64 = 631_152_000_000_000_000;
    time.as_nanos() >= FIRST_NS && !time.is_too_far_ahead(now)
}

/// The part of a channel's name that is a symbol.
pub(crate) fn channel_symbol(channel: &str) -> Option<Locator> {
    symbol_in(channel).map(|pattern| Locator::Channel(Some(pattern).filter(|pattern| !pattern.is_whole())))
}
