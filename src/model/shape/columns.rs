//! Fields of rows without keys, found by their values: a time is a recent instant, a side is a word, prices of
//! neighbouring trades are close to each other, and sizes may have a sign.

use crate::model::json::Value;
use crate::model::shape::names::{is_side, is_symbol_like};
use crate::model::shape::topic::topic_of;
use crate::model::shape::{Context, is_time};
use crate::model::{Price, Timestamp, parse_price, parse_timestamp};

/// Longest row. Trades have three to eight columns.
const COLUMNS_MAX: usize = 16;

/// Earliest time in a row without keys, 2009-01-01. Earlier numbers are likelier to be ids.
pub(crate) const FIRST_NS: i64 = 1_230_768_000_000_000_000;

/// Least number of rows of which the spread of prices says anything.
const SPREAD_ROWS_MIN: usize = 3;

/// Ratio of two spreads that decides which column is the price.
const SPREAD_RATIO: f64 = 4.0;

/// Indexes of the fields in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) price: usize,
    /// Another column that is as likely to be the price.
    pub(super) rival: Option<usize>,
    pub(super) size: Option<usize>,
    pub(super) time: usize,
    pub(super) symbol: Option<usize>,
}

impl Columns {
    /// Finds the fields of `row` by the values of all `rows` of its length and kind. `None` if it is no trade,
    /// in particular if it has no time.
    pub(super) fn find(row: Value<'_>, rows: &[Value<'_>], context: Context<'_>) -> Option<Self> {
        let Context { now, has_sizes_first, .. } = context;
        let cells: Vec<Value<'_>> = row.elements().take(COLUMNS_MAX + 1).collect();
        if cells.len() > COLUMNS_MAX {
            return None;
        }
        let first_text = cells.first().and_then(|cell| cell.as_str().filter(|_| !is_number(*cell)));
        let is_alike = |other: &Vec<Value<'_>>| {
            other.len() == cells.len()
                && first_text.as_ref().is_none_or(|text| is_side(text) || other[0].as_str().as_ref() == Some(text))
        };
        let rows: Vec<Vec<Value<'_>>> = rows.iter().map(|row| row.elements().collect()).filter(is_alike).collect();
        let all = |at: usize, test: &dyn Fn(Value<'_>) -> bool| rows.iter().all(|row| test(row[at]));
        let columns = 0..cells.len();
        // The finest time is the trade's; an id may look like seconds.
        let times = columns.clone().filter(|at| all(*at, &|cell| is_recent(cell, now)));
        let time = times.max_by_key(|at| digits(cells[*at]))?;
        let numbers: Vec<usize> = columns.clone().filter(|at| *at != time && all(*at, &is_number)).collect();
        let symbol = columns.clone().filter(|at| all(*at, &is_symbol)).collect::<Vec<_>>();
        let symbol = if let [at] = symbol.as_slice() { Some(*at) } else { None };
        let (price, size, is_unclear) = price_and_size(&numbers, &rows, time)?;
        // With one number alone, every other column must be known, lest the price be one that is malformed.
        let is_known = |at: usize| at == price || at == time || Some(at) == symbol || all(at, &is_side_cell);
        if size.is_none() && !(0..cells.len()).all(is_known) {
            return None;
        }
        let (price, size, rival) = match size {
            Some(size) if is_unclear && has_sizes_first => (size, Some(price), None),
            Some(size) if is_unclear => (price, Some(size), Some(size)),
            _ => (price, size, None),
        };
        Some(Self { price, rival, size, time, symbol })
    }
}

fn number(cell: Value<'_>) -> Option<f64> {
    parse_price(&cell.as_text()?).ok().map(Price::get)
}

fn is_number(cell: Value<'_>) -> bool {
    number(cell).is_some()
}

fn is_side_cell(cell: Value<'_>) -> bool {
    cell.as_str().is_some_and(|text| is_side(&text))
}

fn is_recent(cell: Value<'_>, now: Timestamp) -> bool {
    is_time(cell, now)
        && cell.as_text().and_then(|text| parse_timestamp(&text).ok()).is_some_and(|time| time.as_nanos() >= FIRST_NS)
}

fn is_symbol(cell: Value<'_>) -> bool {
    let Some(text) = cell.as_str() else { return false };
    is_symbol_like(&text)
        && !is_number(cell)
        && !is_side(&text)
        && topic_of(&text).is_none()
        && text.chars().any(char::is_alphabetic)
}

/// Number of digits before the decimal point.
fn digits(cell: Value<'_>) -> usize {
    cell.as_text().map_or(0, |text| text.bytes().take_while(u8::is_ascii_digit).count())
}

/// Returns whether a column counts something: ids and flags are whole numbers in every row.
fn is_whole(at: usize, rows: &[Vec<Value<'_>>]) -> bool {
    rows.iter().all(|row| row[at].as_text().is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit())))
}

/// Tells price and size among the columns of numbers, and whether they may as well be the other way round.
fn price_and_size(numbers: &[usize], rows: &[Vec<Value<'_>>], time: usize) -> Option<(usize, Option<usize>, bool)> {
    let has_id = |at: &usize| is_whole(*at, rows) && (*at < time || rows.iter().all(|row| digits(row[*at]) >= 5));
    let is_flag = |at: &usize| rows.iter().all(|row| matches!(row[*at].raw(), "0" | "1" | "-1"));
    let mut left: Vec<usize> = numbers.to_vec();
    // Ids stand before the fields, flags anywhere.
    while left.len() > 2 && left.first().is_some_and(&has_id) {
        left.remove(0);
    }
    if left.len() > 2 {
        left.retain(|at| !is_flag(at));
    }
    let has_leading_id =
        left.len() < numbers.len() && numbers.first().is_some_and(|at| has_id(at) && !left.contains(at));
    let (a, b) = match left.as_slice() {
        [price] => return Some((*price, None, false)),
        [a, b] => (*a, *b),
        _ => return None,
    };
    let values = |at: usize| rows.iter().filter_map(move |row| number(row[at]));
    let is_negative = |at: usize| values(at).any(|value| value < 0.0);
    if is_negative(a) != is_negative(b) {
        return Some(if is_negative(a) { (b, Some(a), false) } else { (a, Some(b), false) });
    }
    let spread = |at: usize| {
        let (low, high) = values(at).fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
        (high - low) / high.abs().max(f64::MIN_POSITIVE)
    };
    if rows.len() >= SPREAD_ROWS_MIN {
        let (a_spread, b_spread) = (spread(a), spread(b));
        if a_spread > SPREAD_RATIO * b_spread {
            return Some((b, Some(a), false));
        }
        if b_spread > SPREAD_RATIO * a_spread {
            return Some((a, Some(b), false));
        }
    }
    // Rows of an id, a time and two numbers have either the size first or the price; all others have the price first.
    let is_plain = rows.iter().all(|row| row.iter().all(|cell| is_number(*cell)));
    let is_unclear = has_leading_id && is_plain && time < a;
    Some((a, Some(b), is_unclear))
}
