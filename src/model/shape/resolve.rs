//! Fields of a recognised row: each is looked for in the row, then in the containers around it, the nearest first.

use std::borrow::Cow;

use crate::model::fields::{Field, FieldMap, Locator};
use crate::model::json::{Kind, Value};
use crate::model::path::{Path, Step};
use crate::model::shape::names::{Words, is_side, is_symbol_like, is_topic_key};
use crate::model::shape::topic::{Topic, symbol_in, topic_of};
use crate::model::shape::{Candidate, Context, Shape, channel_symbol, is_own_form, is_price, is_time, topics};
use crate::model::{Price, Reject, SYMBOL_BYTES_MAX, Timestamp, parse_price, parse_timestamp};

/// Ranks of symbols that may be numbers, such as `"symbol": 700`.
const NUMERIC_SYMBOL_RANK_MAX: u8 = 2;

/// Rank from which keys are single letters, whose text may also be a side. `B` and `S` are symbols as well.
const LETTER_RANK: u8 = 6;

/// Rank of keys whose text is a symbol only if it is a pair.
const ID_RANK: u8 = 8;

/// Keys of the optional fields of this project's own messages.
const OWN_FIELDS: [(Field, &str); 3] = [(Field::Size, "size"), (Field::Seq, "seq"), (Field::Source, "source")];

/// Relative difference up to which a size counts as the product of another size and the price.
const PRODUCT_TOLERANCE: f64 = 1e-4;

/// Returns whether a message, or the first object in an array, has keys of a tick and names no other kind of message,
/// so that it is probably a tick that lacks fields. Values that are no messages at all count too.
pub(super) fn has_tick_keys(message: Value<'_>) -> bool {
    let object = message.elements().find(|element| element.kind() == Kind::Object).unwrap_or(message);
    match object.kind() {
        Kind::Object => {
            let is_plain = || object.entries().all(|(_, value)| !value.is_container());
            let has = |name| object.entries().any(|(key, _)| key.is(name));
            // An acknowledgement has the symbol of a subscription.
            let is_named =
                || has("price") || (has("symbol") && !object.entries().any(|(key, _)| is_topic_key(&key.text())));
            object.entries().next().is_none()
                || (is_named() && is_plain() && topics(object).all(|(topic, _)| topic == Topic::Trades))
        }
        Kind::Array => false,
        _ => true,
    }
}

/// Returns whether a row holds its symbol.
pub(super) fn has_symbol(row: Value<'_>) -> bool {
    symbol_among(row, &Path::default()).is_some()
}

/// Locates all fields of the row that `candidate` found.
pub(super) fn fields(candidate: &Candidate<'_>, context: Context<'_>) -> Shape {
    let Candidate { path, row, around, columns, .. } = candidate;
    let mut fields = context.located.clone();
    let own_form = is_own_form(*row, path);
    let at = |index: usize| Locator::Path(path.then(Step::Index(index)), None);
    let mut locate = |field: Field, find: &mut dyn FnMut() -> Option<Locator>| {
        if fields.get(field).is_none()
            && let Some(locator) = find()
        {
            fields.set(field, locator);
        }
    };
    locate(Field::Price, &mut || Some(Locator::Path(candidate.price.clone(), None)));
    locate(Field::Symbol, &mut || {
        let own = columns.as_ref().and_then(|columns| columns.symbol).map(at);
        own.or_else(|| symbol(candidate, context))
    });
    locate(Field::Timestamp, &mut || {
        let own = columns.as_ref().map(|columns| at(columns.time));
        let key = |name: &str| Locator::Path(path.then(Step::Key(name.to_owned())), None);
        let now = context.now;
        let nearest = || around.iter().rev().map(|(path, value)| (path, *value)).chain([]);
        own.or_else(|| own_form.then(|| key("timestamp")))
            .or_else(|| time_among(*row, path, now))
            .or_else(|| nearest().find_map(|(path, container)| time_among(container, path, now)))
            .or(Some(Locator::Arrival))
    });
    locate(Field::Size, &mut || match columns {
        Some(columns) => columns.size.map(at),
        None => size_among(*row, path),
    });
    // Any element of the own form may have the optional fields, whether the first one has them or not.
    if own_form && fields.is_own_form() {
        for (field, name) in OWN_FIELDS {
            if fields.get(field).is_none() {
                fields.set(field, Locator::Path(path.then(Step::Key(name.to_owned())), None));
            }
        }
    }
    let fields = with_any_key(fields, candidate);
    if fields.get(Field::Symbol).is_some() { Shape::Trades(fields) } else { Shape::Incomplete(fields) }
}

/// Uses the key of the object around the rows as symbol if nothing else is one: `{"update": {"BTCUSD": [...]}}`.
fn with_any_key(mut fields: FieldMap, candidate: &Candidate<'_>) -> FieldMap {
    let has_any_key = candidate.price.0.contains(&Step::AnyKey);
    let last_key = candidate.path.0.iter().rposition(|step| matches!(step, Step::Key(key) if is_symbol_like(key)));
    let is_named = matches!(fields.get(Field::Symbol), None | Some(Locator::Channel(_)));
    if !is_named {
        return fields;
    }
    if has_any_key {
        fields.set(Field::Symbol, Locator::Key);
        return fields;
    }
    let Some(at) = last_key else { return fields };
    fields.set(Field::Symbol, Locator::Key);
    for (field, _) in Field::ALL {
        if let Some(Locator::Path(path, pattern)) = fields.get(field)
            && path.0.len() > at
            && path.0[..=at] == candidate.path.0[..=at]
        {
            let mut path = path.clone();
            path.0[at] = Step::AnyKey;
            let pattern = pattern.clone();
            fields.set(field, Locator::Path(path, pattern));
        }
    }
    fields
}

fn symbol(candidate: &Candidate<'_>, context: Context<'_>) -> Option<Locator> {
    let Candidate { path, row, around, .. } = candidate;
    let nearest = || around.iter().rev().map(|(path, value)| (path, *value));
    let plain = symbol_among(*row, path)
        .or_else(|| nearest().find_map(|(path, container)| symbol_among(container, path)))
        .or_else(|| nearest().find_map(|(path, container)| symbol_beside(container, path)));
    if let Some(path) = plain {
        return Some(Locator::Path(path, None));
    }
    let announced = around.first().filter(|(_, root)| {
        context.has_announcements && root.elements().next().is_some_and(|first| first.kind() == Kind::Number)
    });
    if announced.is_some() {
        return Some(Locator::Announced(Path(vec![Step::Index(0)])));
    }
    let topic = nearest().map(|(path, value)| (path.clone(), value)).chain([(path.clone(), *row)]);
    topic
        .into_iter()
        .find_map(|(path, container)| symbol_in_topic(container, &path))
        .or_else(|| context.channel.and_then(channel_symbol))
}

/// Path of the likeliest symbol among the values of an object, or the elements of an array of mixed kinds.
pub(super) fn symbol_among(container: Value<'_>, path: &Path) -> Option<Path> {
    let named = container.entries().filter_map(|(key, value)| {
        let name = key.text();
        let rank = Words::new(&name).symbol_rank()?;
        let is_likely = is_symbol(value, rank) && (rank < ID_RANK || value.as_str().is_some_and(|id| is_pair(&id)));
        (name == "symbol" || is_likely).then(|| (name.into_owned(), rank))
    });
    if let Some((name, _)) = named.min_by_key(|(_, rank)| *rank) {
        return Some(path.then(Step::Key(name)));
    }
    let is_mixed = container.elements().any(Value::is_container);
    let is_name = |element: Value<'_>| {
        let text = element.as_str();
        text.is_some_and(|text| {
            text.len() > 1 && !is_side(&text) && topic_of(&text).is_none() && text.chars().any(char::is_alphabetic)
        })
    };
    let found = container.elements().position(is_name).filter(|_| is_mixed)?;
    Some(path.then(Step::Index(found)))
}

/// Path of a symbol in an object beside the rows: `"arg": {"instId": "BTC-USDT"}`.
fn symbol_beside(container: Value<'_>, path: &Path) -> Option<Path> {
    let objects = container.entries().filter(|(_, value)| value.kind() == Kind::Object);
    objects.filter(|(key, _)| !is_symbol_like(&key.text())).find_map(|(key, value)| {
        let has_rows = value.entries().any(|(_, value)| value.is_container());
        (!has_rows).then(|| symbol_among(value, &path.then(Step::Key(key.text().into_owned()))))?
    })
}

/// Locator of a symbol within a topic: `"ch": "market.BTC-USDT.trade.detail"`.
fn symbol_in_topic(container: Value<'_>, path: &Path) -> Option<Locator> {
    container.entries().find_map(|(key, value)| {
        let name = key.text();
        let text = is_topic_key(&name).then(|| value.as_str())??;
        topic_of(&text)?;
        let pattern = symbol_in(&text)?;
        Some(Locator::Path(path.then(Step::Key(name.into_owned())), Some(pattern)))
    })
}

/// Returns whether an id is the name of a pair, such as `BTC-USD`.
fn is_pair(id: &str) -> bool {
    is_symbol_like(id) && id.contains(['-', '/', '_']) && id.chars().all(|c| !c.is_ascii_digit())
}

fn is_symbol(value: Value<'_>, rank: u8) -> bool {
    let Some(text) = value.as_text() else { return false };
    let is_number = value.kind() == Kind::Number || parse_price(&text).is_ok();
    (1..=SYMBOL_BYTES_MAX).contains(&text.len())
        && (rank < LETTER_RANK || !is_side(&text))
        && (!is_number || rank <= NUMERIC_SYMBOL_RANK_MAX)
        && !symbol_words(&text)
}

/// Returns whether a text consists of words of topics, such as `spot`.
fn symbol_words(text: &str) -> bool {
    text.chars().any(char::is_lowercase) && symbol_in(text).is_none()
}

fn time_among(container: Value<'_>, path: &Path, now: Timestamp) -> Option<Locator> {
    let times = container.entries().filter_map(|(key, value)| {
        let name = key.text();
        let rank = Words::new(&name).time_rank()?;
        // A time ahead of the clock is one with a mistake, which is rejected later.
        let is_ahead = !is_time(value, now) && is_ahead(value, now);
        let order = (is_ahead, rank, std::cmp::Reverse(resolution(value)));
        (is_ahead || is_time(value, now)).then(|| (name.into_owned(), order))
    });
    let (name, _) = times.min_by_key(|(_, order)| *order)?;
    Some(Locator::Path(path.then(Step::Key(name)), None))
}

fn is_ahead(value: Value<'_>, now: Timestamp) -> bool {
    match value.as_text().map(|text| parse_timestamp(&text)) {
        Some(Ok(time)) => time.is_too_far_ahead(now),
        Some(Err(cause)) => cause == Reject::Future,
        None => false,
    }
}

/// Number of decimals of a second that a time has.
fn resolution(value: Value<'_>) -> usize {
    let text = value.as_text().unwrap_or(Cow::Borrowed(""));
    let is_number = parse_price(&text).is_ok();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let decimals = fraction.bytes().take_while(u8::is_ascii_digit).count();
    // Whole seconds have ten digits.
    if is_number { decimals + whole.len().saturating_sub(10) } else { decimals }
}

fn size_among(row: Value<'_>, path: &Path) -> Option<Locator> {
    let number = |value: Value<'_>| parse_price(&value.as_text()?).ok().map(Price::get);
    let sizes: Vec<(String, u8, Option<f64>)> = row
        .entries()
        .filter_map(|(key, value)| {
            let name = key.text();
            let rank = Words::new(&name).size_rank()?;
            (name == "size" || is_price(value)).then(|| (name.into_owned(), rank, number(value)))
        })
        .collect();
    let prices = row.entries().filter_map(|(key, value)| {
        let rank = Words::new(&key.text()).price_rank()?;
        Some((rank, number(value)?))
    });
    let price = prices.min_by_key(|(rank, _)| *rank).map(|(_, price)| price);
    // A turnover is no size.
    let is_product = |value: Option<f64>| {
        let (Some(value), Some(price)) = (value, price) else { return false };
        let equals = |product: f64| (product - value).abs() <= PRODUCT_TOLERANCE * value.abs();
        value != 0.0 && price != 1.0 && sizes.iter().any(|(_, _, other)| other.is_some_and(|o| equals(o * price)))
    };
    let sized = sizes.iter().filter(|(name, _, value)| name == "size" || !is_product(*value));
    let (name, ..) = sized.min_by_key(|(_, rank, _)| *rank)?;
    Some(Locator::Path(path.then(Step::Key(name.clone())), None))
}
