//! Templates: the text of a message whose shape is known, as literal parts with values between them.
//!
//! Programs write messages of one kind alike, so that two of them differ only in their values. A template is made from
//! a message that took the general path. It compares the next ones with the literal parts and finds the values of the
//! fields without looking at keys. As the fast path, it only accepts; whatever differs is left to the general path.

use std::borrow::Cow;

use crate::model::decode::Origin;
use crate::model::decode::fast_path::{Scan, string_ends};
use crate::model::fields::{Field, Locator};
use crate::model::json::{Kind, Value};
use crate::model::path::{Path, Step};
use crate::model::plan::{Plan, Row};
use crate::model::shape::{FIRST_ROW_NS, Signatures, TIME_DIGITS_MIN, is_likely_time, is_topic_key, value_class};
use crate::model::{Name, Price, TickView, Timestamp, parse_price, parse_size, parse_timestamp};

/// Most values of a template, in all of its parts.
const VALUES_MAX: usize = 128;

/// Deepest message that a template is made from.
const DEPTH_MAX: usize = 16;

/// Most rows of a message that a template takes. Longer messages take the general path, which keeps no list of rows.
const ROWS_MAX: usize = 1_024;

/// Ranges of a row's fields in the text; those of strings without quotes.
pub(super) type Slots = [Option<(u32, u32)>; Field::COUNT];

/// A value, and the literal text before it.
#[derive(Debug, Clone)]
struct Hole {
    before: Box<[u8]>,
    kind: HoleKind,
    field: Option<Field>,
    /// Class of a value that is no field.
    class: u8,
}

#[derive(Debug, Clone)]
enum HoleKind {
    String,
    /// A string that names the kind of the message, and the signature of the kind.
    Topic {
        key: Box<str>,
        sample: Box<str>,
        kind: u64,
    },
    Number,
    Bool,
}

#[derive(Debug, Clone)]
pub(super) struct Template {
    /// Values before the rows; all values if nothing is repeated.
    head: Vec<Hole>,
    rows: Option<Rows>,
    /// Values behind the rows.
    tail: Vec<Hole>,
    /// Text behind the last value.
    end: Box<[u8]>,
}

/// Rows of an array: the text before the first one, the values of each, and the text behind its last value.
#[derive(Debug, Clone)]
struct Rows {
    open: Box<[u8]>,
    holes: Vec<Hole>,
    end: Box<[u8]>,
}

/// Values of a message in order, while a template is made.
struct Leaves<'d> {
    /// Key of the object that holds the value, and the value.
    all: Vec<(Option<Cow<'d, str>>, Value<'d>)>,
}

impl<'d> Leaves<'d> {
    fn collect(&mut self, key: Option<Cow<'d, str>>, value: Value<'d>, depth: usize) -> Option<()> {
        if depth == 0 || self.all.len() > VALUES_MAX {
            return None;
        }
        match value.kind() {
            Kind::Object => {
                for (key, child) in value.entries() {
                    self.collect(Some(key.text()), child, depth - 1)?;
                }
            }
            Kind::Array => {
                // A text beside containers may name the kind of the message, as that of a topic key.
                let key = value.elements().any(Value::is_container).then_some(Cow::Borrowed("topic"));
                for child in value.elements() {
                    self.collect(key.clone(), child, depth - 1)?;
                }
            }
            _ => self.all.push((key, value)),
        }
        Some(())
    }
}

impl Template {
    /// Makes a template from a message that `plan` reads. `None` for messages with escapes, null values or other
    /// characters than ASCII, and for plans that repeat over the values of objects or over arrays in arrays.
    pub(super) fn new(text: &str, message: Value<'_>, plan: &Plan, signatures: &mut Signatures) -> Option<Self> {
        let Some(Locator::Path(price, _)) = plan.fields.get(Field::Price) else { return None };
        if !text.is_ascii() || text.contains('\\') {
            return None;
        }
        let mut first = None;
        plan.rows(message, &mut |row| _ = first.get_or_insert(row));
        let row = first?;
        let repeated: Vec<usize> = (0..price.0.len()).filter(|at| price.0[*at].is_repeated()).collect();
        let lacks_time = plan.fields.get(Field::Timestamp) == Some(&Locator::Arrival);
        let mut maker = Maker { text, row, signatures, lacks_time, at: 0 };
        let (head, rows, tail) = match repeated.as_slice() {
            [] => (maker.holes(&[message])?, None, Vec::new()),
            [at] if price.0[*at] == Step::Each => {
                let array = find(message, &Path(price.0[..*at].to_vec()))?;
                let elements: Vec<Value<'_>> = array.elements().collect();
                let (first, last) = (elements.first().filter(|first| first.is_container())?, elements.last()?);
                let outside = |range: std::ops::Range<usize>| {
                    let mut leaves = Leaves { all: Vec::new() };
                    leaves.collect(None, message, DEPTH_MAX)?;
                    leaves.all.retain(|(_, value)| range.contains(&value.start()));
                    Some(leaves.all)
                };
                let head = outside(0..first.start())?;
                let tail = outside(last.end()..text.len())?;
                let head = maker.holes_of(head)?;
                let open = text.as_bytes()[maker.at..first.start()].into();
                maker.at = first.start();
                let holes = maker.holes(&[*first])?;
                let end = text.as_bytes()[maker.at..first.end()].into();
                maker.at = last.end();
                (head, Some(Rows { open, holes, end }), maker.holes_of(tail)?)
            }
            _ => return None,
        };
        let end = text.as_bytes()[maker.at..].into();
        Some(Self { head, rows, tail, end })
    }

    /// Finds the values of the rows of `text`. Returns `false`, with arbitrary `found`, if the text differs.
    pub(super) fn find(&self, text: &str, signatures: &mut Signatures, found: &mut Vec<Slots>) -> bool {
        found.clear();
        let mut reader = Reader { text, at: 0, signatures };
        let mut shared = Slots::default();
        let read = (|| {
            reader.holes(&self.head, &mut shared)?;
            let Some(rows) = &self.rows else {
                found.push(shared);
                return reader.end(&self.end);
            };
            reader.literal(&rows.open)?;
            loop {
                let mut slots = shared;
                reader.holes(&rows.holes, &mut slots)?;
                reader.literal(&rows.end)?;
                found.push(slots);
                let has_more = reader.literal(b",").is_some();
                if !has_more {
                    break;
                }
                if found.len() == ROWS_MAX {
                    return None;
                }
            }
            let mut behind = Slots::default();
            reader.holes(&self.tail, &mut behind)?;
            if behind.iter().any(Option::is_some) {
                for slots in found.iter_mut() {
                    for (slot, value) in slots.iter_mut().zip(behind) {
                        *slot = slot.or(value);
                    }
                }
            }
            reader.end(&self.end)
        })();
        read.is_some()
    }
}

fn find<'d>(message: Value<'d>, path: &Path) -> Option<Value<'d>> {
    path.0.iter().try_fold(message, |value, step| match step {
        Step::Key(key) => value.entries().find(|(name, _)| name.is(key)).map(|(_, child)| child),
        Step::Index(at) => value.elements().nth(*at),
        Step::Each | Step::AnyKey => None,
    })
}

struct Maker<'d, 's> {
    text: &'d str,
    row: Row<'d>,
    signatures: &'s mut Signatures,
    /// Set if ticks have the time of their arrival.
    lacks_time: bool,
    /// End of the last value.
    at: usize,
}

impl<'d> Maker<'d, '_> {
    fn holes(&mut self, values: &[Value<'d>]) -> Option<Vec<Hole>> {
        let mut leaves = Leaves { all: Vec::new() };
        for value in values {
            leaves.collect(None, *value, DEPTH_MAX)?;
        }
        self.holes_of(leaves.all)
    }

    fn holes_of(&mut self, leaves: Vec<(Option<Cow<'d, str>>, Value<'d>)>) -> Option<Vec<Hole>> {
        leaves.into_iter().map(|(key, value)| self.hole(key, value)).collect()
    }

    fn hole(&mut self, key: Option<Cow<'d, str>>, value: Value<'d>) -> Option<Hole> {
        let before = self.text.as_bytes()[self.at..value.start()].into();
        self.at = value.end();
        let kind = match (value.kind(), key) {
            (Kind::String, Some(key)) if is_topic_key(&key) => {
                let kind = self.signatures.of_topic_text(&key, value.raw());
                HoleKind::Topic { key: key.as_ref().into(), sample: value.raw().into(), kind }
            }
            (Kind::String, _) => HoleKind::String,
            (Kind::Number, _) => HoleKind::Number,
            (Kind::Bool, _) => HoleKind::Bool,
            _ => return None,
        };
        let is_field =
            |field: &&(Field, &str)| self.row.get(field.0).is_some_and(|found| found.start() == value.start());
        let field = Field::ALL.iter().find(is_field).map(|(field, _)| *field);
        let class = value_class(value.raw());
        // In another message, a number as long as a time may be the time that this one lacks.
        let is_settled = field.is_some() || !self.lacks_time || class < TIME_DIGITS_MIN;
        is_settled.then_some(Hole { before, kind, field, class })
    }
}

struct Reader<'t, 's> {
    text: &'t str,
    at: usize,
    signatures: &'s mut Signatures,
}

impl<'t> Reader<'t, '_> {
    fn rest(&self) -> &'t [u8] {
        &self.text.as_bytes()[self.at..]
    }

    #[inline]
    fn literal(&mut self, literal: &[u8]) -> Option<()> {
        self.rest().starts_with(literal).then(|| self.at += literal.len())
    }

    fn end(&mut self, literal: &[u8]) -> Option<()> {
        (self.rest() == literal).then_some(())
    }

    fn holes(&mut self, holes: &[Hole], slots: &mut Slots) -> Option<()> {
        for hole in holes {
            self.literal(&hole.before)?;
            let length = match &hole.kind {
                HoleKind::String | HoleKind::Topic { .. } => string_length(self.rest())?,
                HoleKind::Number => number_length(self.rest())?,
                HoleKind::Bool => word_length(self.rest())?,
            };
            // All of it is ASCII.
            let value = self.text.get(self.at..self.at + length)?;
            if let HoleKind::Topic { key, sample, kind } = &hole.kind
                && value != sample.as_ref()
                && self.signatures.of_topic_text(key, value) != *kind
            {
                return None;
            }
            if hole.field.is_none() && value_class(value) != hole.class {
                return None;
            }
            if let Some(field) = hole.field {
                slots[field as usize] = Some((self.at as u32, (self.at + length) as u32));
            }
            self.at += length;
        }
        Some(())
    }
}

/// Length of a string of ASCII characters without escapes, up to its closing quote.
#[inline]
fn string_length(text: &[u8]) -> Option<usize> {
    let mut length = 0;
    loop {
        let rest = text.get(length..)?;
        let ends = string_ends(Scan(rest).word());
        let count = (ends.trailing_zeros() / 8) as usize;
        length += count;
        if ends != 0 {
            return (text.get(length) == Some(&b'"')).then_some(length);
        }
    }
}

/// Length of a JSON number.
#[inline]
fn number_length(text: &[u8]) -> Option<usize> {
    let digits = |at: usize| text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(text.first() == Some(&b'-'));
    let integer = digits(sign);
    if integer == 0 || (integer > 1 && text[sign] == b'0') {
        return None;
    }
    let mut at = sign + integer;
    if text.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        at += 1 + fraction;
        (fraction > 0).then_some(())?;
    }
    // Exponents are rare and left to the general path.
    (!matches!(text.get(at), Some(b'e' | b'E'))).then_some(at)
}

fn word_length(text: &[u8]) -> Option<usize> {
    [&b"true"[..], b"false"].into_iter().find(|word| text.starts_with(word)).map(<[u8]>::len)
}

/// The tick of a row that a template found; `None` leaves the row to the general path.
#[inline]
pub(super) fn tick<'t>(
    plan: &'t Plan,
    text: &'t str,
    slots: &Slots,
    announced: impl Fn(u64) -> Option<&'t str>,
    origin: Origin<'t>,
) -> Option<TickView<'t>> {
    let slot = |field: Field| slots[field as usize].and_then(|(start, end)| text.get(start as usize..end as usize));
    let symbol = match plan.fields.get(Field::Symbol)? {
        Locator::Path(_, None) => slot(Field::Symbol)?,
        Locator::Path(_, Some(pattern)) => pattern.find(slot(Field::Symbol)?)?,
        Locator::Text(text) => text,
        Locator::Channel(None) => origin.channel?,
        Locator::Channel(Some(pattern)) => pattern.find(origin.channel?)?,
        Locator::Announced(_) => announced(slot(Field::Symbol)?.parse().ok()?)?,
        Locator::Key | Locator::Arrival => return None,
    };
    let price = slot(Field::Price)?;
    let price = quick(price, Scan::decimal).and_then(Price::new).or_else(|| parse_price(price).ok())?;
    // A sign may tell the columns of a row apart.
    if price.get() < 0.0 && plan.is_positional() {
        return None;
    }
    let timestamp = match plan.fields.get(Field::Timestamp)? {
        Locator::Arrival => origin.arrival?,
        _ => {
            let text = slot(Field::Timestamp)?;
            let nanos = quick(text, Scan::nanos).and_then(|nanos| Timestamp::from_nanos(i64::try_from(nanos).ok()?));
            nanos.or_else(|| parse_timestamp(text).ok())?
        }
    };
    // Recognition may find another time in a message in which this one is none.
    let is_row_time = timestamp.as_nanos() >= FIRST_ROW_NS || !plan.is_positional();
    if !is_row_time || !is_likely_time(timestamp, origin.now) {
        return None;
    }
    let size = match slot(Field::Size) {
        None => None,
        Some(text) => {
            let text = if plan.has_signed_sizes { text.strip_prefix('-').unwrap_or(text) } else { text };
            Some(quick(text, Scan::magnitude).or_else(|| parse_size(text).ok())?)
        }
    };
    // Only messages of the own form have these, which mostly take the fast path.
    if slot(Field::Seq).is_some() || slot(Field::Source).is_some() {
        return None;
    }
    Some(TickView { symbol: Name::new(symbol)?, price, timestamp, size, seq: None, source: None })
}

/// Reads all of `text` with a reader of the fast path.
#[inline]
fn quick<'t, T>(text: &'t str, read: impl Fn(&mut Scan<'t>) -> Option<T>) -> Option<T> {
    let mut scan = Scan(text.as_bytes());
    let value = read(&mut scan)?;
    scan.0.is_empty().then_some(value)
}
