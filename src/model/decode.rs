//! Decoding of messages into ticks.
//!
//! Messages in the canonical form take a fast path. The shape of any other message is recognised once, and its fields
//! are then taken from the same places. Each field is parsed from its own digits or characters, so no value is rounded
//! on the way, and a bad element of an array is rejected without affecting the others.

mod fast_path;
mod template;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::model::decode::template::{Slots, Template};
use crate::model::fields::{Field, FieldMap, Locator};
use crate::model::json::{Document, Key, Kind, Value};
use crate::model::plan::{Plan, Row};
use crate::model::shape::{Context, Shape, Signatures, announcement, channel_symbol, recognize};
use crate::model::{
    Name, Reject, Rejection, Symbol, Tick, TickView, Timestamp, parse_price, parse_size, parse_timestamp,
};

/// Most shapes remembered. A connection has some ten; names of symbols as keys make more.
const SHAPES_MAX: usize = 1_024;

/// Most shapes reported. A feed that goes on changing its shape would otherwise flood the log.
const REPORTS_MAX: usize = 64;

/// Most numbers for which a symbol is remembered. Exchanges announce one for each subscription.
const ANNOUNCEMENTS_MAX: usize = 65_536;

/// Most templates of messages. A feed has one for each kind of trade and way of writing it.
const TEMPLATES_MAX: usize = 8;

/// Messages without a template after which the least used one is replaced. Messages that are never alike cost a
/// template now and then.
const MISSES_MAX: u32 = 64;

/// Origin of a message.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// Receiver's clock.
    pub now: Timestamp,
    /// Time of arrival; of a stream's entry, the time in its id. It is the time of ticks that have none. `None` for
    /// recorded messages, whose time it cannot be.
    pub arrival: Option<Timestamp>,
    /// Name of the channel or stream.
    pub channel: Option<&'a str>,
}

impl Origin<'_> {
    /// A recorded message, read at the time `now`.
    pub fn at(now: Timestamp) -> Self {
        Self { now, arrival: None, channel: None }
    }
}

/// Decodes the messages of one connection.
///
/// # Examples
///
/// ```
/// use tickscope::model::{Decoder, FieldMap, Origin, Timestamp};
///
/// let mut decoder = Decoder::new(FieldMap::default());
/// let origin = Origin::at(Timestamp::saturating_from_nanos(1_732_000_001_000_000_000));
/// let mut prices = Vec::new();
/// decoder.decode(br#"[{"s": "BTC", "p": "0.5", "T": 1732000000123}, {"s": "BTC"}]"#, origin, |tick| {
///     prices.push(tick.ok().map(|tick| tick.price.get()));
/// });
/// assert_eq!(prices, [Some(0.5), None]);
/// assert_eq!(decoder.take_report().as_deref(), Some("reading as: symbol=[].s,price=[].p,timestamp=[].T"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    /// Fields located by the user.
    located: FieldMap,
    /// Set if there are any, so that the fast path does not apply.
    has_located: bool,
    /// Plan for all messages, if the user located all necessary fields.
    fixed: Option<Arc<Plan>>,
    document: Document,
    signatures: Signatures,
    shapes: HashMap<u64, CachedShape, foldhash::fast::RandomState>,
    /// The templates of recent messages with their plans, the last used one first.
    templates: Vec<(Template, Arc<Plan>)>,
    /// Messages that no template fits, since one was made.
    misses: u32,
    /// Rows of a message, kept to reuse the memory.
    slots: Vec<Slots>,
    announcements: HashMap<u64, Symbol>,
    channel: LastChannel,
    /// Set once rows had the size before the price.
    has_sizes_first: bool,
    report: Option<String>,
    reports: usize,
}

/// Channel of the last message whose plan takes the symbol from the channel's name, and the symbol's place in it.
#[derive(Debug, Clone, Default)]
struct LastChannel {
    name: String,
    symbol: Option<Locator>,
}

impl LastChannel {
    /// Returns whether `plan` reads messages of `channel`: the symbol in its name, if the plan uses it, must be where
    /// it was in the name of the first channel.
    fn fits(&mut self, plan: &Plan, channel: Option<&str>) -> bool {
        let Some(locator @ Locator::Channel(_)) = plan.fields.get(Field::Symbol) else { return true };
        let Some(channel) = channel.filter(|_| plan.is_recognized) else { return true };
        if self.name != channel {
            channel.clone_into(&mut self.name);
            self.symbol = channel_symbol(channel);
        }
        self.symbol.as_ref() == Some(locator)
    }
}

#[derive(Debug, Clone)]
enum CachedShape {
    Trades(Arc<Plan>),
    Other,
}

impl Decoder {
    /// Creates a decoder that takes the fields from where `located` says, and recognises those that it leaves out.
    pub fn new(located: FieldMap) -> Self {
        let is_complete = Field::REQUIRED.iter().all(|field| located.get(*field).is_some());
        let fixed = is_complete.then(|| Arc::new(Plan::new(located.clone())));
        Self { has_located: !located.is_empty(), located, fixed, ..Self::default() }
    }

    /// Calls `sink` with every tick and every rejection in `payload`, in order. Returns the number of its elements that
    /// are of another kind, such as changes of an order book among trades; 1 if the whole message is one, such as an
    /// acknowledgement.
    pub fn decode(&mut self, payload: &[u8], origin: Origin<'_>, mut sink: impl FnMut(Result<Tick, Reject>)) -> u64 {
        self.decode_borrowed(payload, origin, |result| {
            sink(result.map(|tick| tick.to_tick()).map_err(|rejection| rejection.cause));
        })
    }

    /// As [`decode`](Self::decode), with ticks that borrow from `payload`.
    #[inline]
    pub fn decode_borrowed(
        &mut self,
        payload: &[u8],
        origin: Origin<'_>,
        mut sink: impl FnMut(Result<TickView<'_>, Rejection<'_>>),
    ) -> u64 {
        let mut taken = 0;
        if !self.has_located {
            if let Some(tick) = fast_path::read(payload, origin.now) {
                sink(Ok(tick));
                return 0;
            }
            match fast_path::read_array(payload, origin.now, |tick| sink(Ok(tick))) {
                Ok(()) => return 0,
                Err(count) => taken = count,
            }
        }
        self.decode_general(payload, taken, origin, &mut sink)
    }

    /// Shape that was recognised since the last call, in words for a log.
    pub fn take_report(&mut self) -> Option<String> {
        self.report.take()
    }

    /// General path, which accepts every form and decides about rejections. Skips the first `taken` rows, which the
    /// fast path took.
    fn decode_general(
        &mut self,
        payload: &[u8],
        taken: usize,
        origin: Origin<'_>,
        sink: &mut dyn FnMut(Result<TickView<'_>, Rejection<'_>>),
    ) -> u64 {
        let Ok(text) = std::str::from_utf8(payload) else {
            sink(Err(Rejection::of_message(Reject::NotUtf8)));
            return 0;
        };
        let taken = match self.decode_by_template(text, taken, origin, sink) {
            Ok(()) => return 0,
            Err(taken) => taken,
        };
        // The document is taken out while its values are in use.
        let mut document = std::mem::take(&mut self.document);
        let is_json = document.read(text).is_ok();
        let mut others = 0;
        // Of a broken array, elements that stand for themselves are read.
        let is_list = |root: &Value<'_>| root.elements().next().is_some_and(|first| first.kind() == Kind::Object);
        if let Some(message) = document.root(text).filter(|root| is_json || is_list(root)) {
            others = self.decode_message(message, taken, origin, sink);
        }
        if !is_json {
            sink(Err(Rejection::of_message(Reject::NotJson)));
        }
        self.document = document;
        others
    }

    /// Decodes a message that is written as an earlier one.
    ///
    /// # Errors
    ///
    /// Returns the number of rows taken if a template fits in part only, or none does.
    fn decode_by_template(
        &mut self,
        text: &str,
        taken: usize,
        origin: Origin<'_>,
        sink: &mut dyn FnMut(Result<TickView<'_>, Rejection<'_>>),
    ) -> Result<(), usize> {
        let Self { templates, signatures, slots, announcements, channel, .. } = self;
        let fits = |(template, plan): &(Template, Arc<Plan>)| {
            template.find(text, signatures, slots) && channel.fits(plan, origin.channel)
        };
        let Some(at) = templates.iter().position(fits).filter(|_| taken == 0) else { return Err(taken) };
        templates[..=at].rotate_right(1);
        let plan = &templates[0].1;
        let announced = |number| announcements.get(&number).map(Symbol::as_str);
        for (row, slots) in slots.iter().enumerate() {
            sink(Ok(template::tick(plan, text, slots, announced, origin).ok_or(row)?));
        }
        Ok(())
    }

    /// Makes a template from a message that `plan` reads.
    fn learn_template(&mut self, message: Value<'_>, plan: &Arc<Plan>) {
        self.misses += 1;
        if self.templates.len() == TEMPLATES_MAX && self.misses < MISSES_MAX {
            return;
        }
        if let Some(template) = Template::new(message.text(), message, plan, &mut self.signatures) {
            self.templates.truncate(TEMPLATES_MAX - 1);
            self.templates.insert(0, (template, Arc::clone(plan)));
            self.misses = 0;
        }
    }

    fn decode_message(
        &mut self,
        message: Value<'_>,
        taken: usize,
        origin: Origin<'_>,
        sink: &mut dyn FnMut(Result<TickView<'_>, Rejection<'_>>),
    ) -> u64 {
        if message.kind() == Kind::Array && message.elements().next().is_none() {
            return 0;
        }
        let plan = match self.plan_for(message, origin) {
            Ok(plan) => plan,
            Err(Some(rejection)) => {
                sink(Err(rejection));
                return 0;
            }
            Err(None) => return 1,
        };
        let (mut at, mut others) = (0, 0);
        plan.rows(message, &mut |row| {
            at += 1;
            if at > taken {
                match decode_row(&plan, &row, &self.announcements, origin, sink) {
                    Ok(()) => {}
                    // Rows without keys that lack a field are changes of an order book, or the like.
                    Err(Reject::Missing) if plan.is_recognized && plan.is_positional() => others += 1,
                    Err(cause) => sink(Err(Rejection::of_row(cause, &row))),
                }
            }
        });
        self.learn_template(message, &plan);
        others
    }

    /// The plan by which a message is read.
    ///
    /// # Errors
    ///
    /// Returns the reason why there is none; `None` for a message of another kind.
    fn plan_for(&mut self, message: Value<'_>, origin: Origin<'_>) -> Result<Arc<Plan>, Option<Rejection<'static>>> {
        if let Some(plan) = &self.fixed {
            return Ok(Arc::clone(plan));
        }
        let signature = self.signatures.of(message);
        match self.shapes.get(&signature) {
            Some(CachedShape::Trades(plan)) if self.channel.fits(plan, origin.channel) => return Ok(Arc::clone(plan)),
            Some(CachedShape::Other) => {
                self.learn_announcement(message);
                return Err(None);
            }
            _ => {}
        }
        let context = Context {
            channel: origin.channel,
            now: origin.now,
            has_sizes_first: self.has_sizes_first,
            has_announcements: !self.announcements.is_empty(),
            located: &self.located,
        };
        match recognize(message, context) {
            Shape::Trades(fields) => {
                self.has_sizes_first |= fields.has_size_first();
                self.report_shape(&fields);
                let plan = Arc::new(Plan::recognized(fields));
                self.remember(signature, CachedShape::Trades(Arc::clone(&plan)));
                Ok(plan)
            }
            Shape::Other => {
                self.learn_announcement(message);
                self.remember(signature, CachedShape::Other);
                Err(None)
            }
            Shape::Incomplete(_) if !message.is_container() => {
                // The scanner accepts numbers that are not finite, and leaves escapes to those who need the text.
                let is_json = match message.kind() {
                    Kind::String => message.as_str().is_some(),
                    kind => kind != Kind::NotFinite,
                };
                let cause = if is_json { Reject::NotObject } else { Reject::NotJson };
                Err(Some(Rejection::of_message(cause)))
            }
            Shape::Incomplete(fields) => {
                self.learn_announcement(message);
                Ok(Arc::new(Plan::new(fields)))
            }
            Shape::Ambiguous { field, candidates } => {
                self.report(format!("{field} may be {}; choose one with --fields", candidates.join(" or ")));
                Err(Some(Rejection { missing: Some(field), ..Rejection::of_message(Reject::Missing) }))
            }
        }
    }

    fn remember(&mut self, signature: u64, shape: CachedShape) {
        if self.shapes.len() >= SHAPES_MAX {
            self.shapes.clear();
        }
        self.shapes.insert(signature, shape);
    }

    fn report_shape(&mut self, fields: &FieldMap) {
        let is_known = |known: &CachedShape| matches!(known, CachedShape::Trades(plan) if plan.fields == *fields);
        if !fields.is_own_form() && !self.shapes.values().any(is_known) {
            self.report(format!("reading as: {fields}"));
        }
    }

    fn report(&mut self, text: String) {
        if self.reports < REPORTS_MAX && self.report.is_none() {
            self.reports += 1;
            self.report = Some(text);
        }
    }

    /// Remembers the symbol that a message announces for a number, which stands for it in later messages.
    fn learn_announcement(&mut self, message: Value<'_>) {
        if let Some((number, symbol)) = announcement(message)
            && (self.announcements.len() < ANNOUNCEMENTS_MAX || self.announcements.contains_key(&number))
        {
            self.announcements.insert(number, symbol);
        }
    }
}

/// Passes the tick of a row to `sink`.
///
/// # Errors
///
/// Returns the reason why the row is no tick.
fn decode_row(
    plan: &Plan,
    row: &Row<'_>,
    announcements: &HashMap<u64, Symbol>,
    origin: Origin<'_>,
    sink: &mut dyn FnMut(Result<TickView<'_>, Rejection<'_>>),
) -> Result<(), Reject> {
    let fields = &plan.fields;
    // Texts with escapes are owned, and a `TickView` borrows them.
    let symbol = symbol(fields, row, announcements, origin)?;
    let source = match fields.get(Field::Source) {
        Some(Locator::Text(text)) => Some(Cow::Borrowed(text.as_str())),
        Some(Locator::Channel(None)) => origin.channel.map(Cow::Borrowed),
        _ => row.get(Field::Source).and_then(Value::as_str),
    };
    sink(Ok(tick_of(plan, row, &symbol, source.as_deref(), origin)?));
    Ok(())
}

fn symbol<'d>(
    fields: &'d FieldMap,
    row: &Row<'d>,
    announcements: &'d HashMap<u64, Symbol>,
    origin: Origin<'d>,
) -> Result<Cow<'d, str>, Reject> {
    if row.has_duplicate {
        return Err(Reject::Duplicate);
    }
    if row.is_empty() && row.is_mismatch {
        return Err(Reject::NotObject);
    }
    match fields.get(Field::Symbol) {
        Some(Locator::Path(_, pattern)) => {
            let value = row.get(Field::Symbol).ok_or(Reject::Missing)?;
            let text = value.as_text().ok_or(Reject::Symbol)?;
            match (pattern, text) {
                (None, text) => Ok(text),
                (Some(pattern), Cow::Borrowed(text)) => pattern.find(text).map(Cow::Borrowed).ok_or(Reject::Symbol),
                (Some(pattern), Cow::Owned(text)) => {
                    pattern.find(&text).map(|found| Cow::Owned(found.to_owned())).ok_or(Reject::Symbol)
                }
            }
        }
        Some(Locator::Text(text)) => Ok(text.into()),
        Some(Locator::Channel(pattern)) => {
            let channel = origin.channel.ok_or(Reject::Missing)?;
            let found = pattern.as_ref().map_or(Some(channel), |pattern| pattern.find(channel));
            found.map(Cow::Borrowed).ok_or(Reject::Symbol)
        }
        Some(Locator::Key) => row.key.map(Key::text).ok_or(Reject::Missing),
        Some(Locator::Announced(_)) => {
            let number = row.get(Field::Symbol).and_then(|value| value.raw().parse().ok());
            let symbol = announcements.get(&number.ok_or(Reject::Missing)?);
            symbol.map(|symbol| symbol.as_str().into()).ok_or(Reject::Missing)
        }
        Some(Locator::Arrival) | None => Err(Reject::Missing),
    }
}

fn tick_of<'a>(
    plan: &Plan,
    row: &Row<'_>,
    symbol: &'a str,
    source: Option<&'a str>,
    origin: Origin<'_>,
) -> Result<TickView<'a>, Reject> {
    let symbol = Name::new(symbol).ok_or(Reject::Symbol)?;
    let price = row.get(Field::Price).ok_or(Reject::Missing)?;
    if price.kind() == Kind::NotFinite {
        return Err(Reject::NotFinite);
    }
    let price = parse_price(&price.as_text().ok_or(Reject::Price)?)?;
    let timestamp = if plan.fields.get(Field::Timestamp) == Some(&Locator::Arrival) {
        origin.arrival.ok_or(Reject::Missing)?
    } else {
        let value = row.get(Field::Timestamp).ok_or(Reject::Missing)?;
        parse_timestamp(&value.as_text().ok_or(Reject::Timestamp)?)?
    };
    if timestamp.is_too_far_ahead(origin.now) {
        return Err(Reject::Future);
    }
    // Python writes a size that is not known as NaN.
    let size = row.get(Field::Size).filter(|value| value.kind() != Kind::NotFinite);
    let size = size.map(|value| {
        let text = value.as_text().ok_or(Reject::Size)?;
        // Elsewhere the sign of a size tells buys from sells.
        parse_size(if plan.has_signed_sizes { text.strip_prefix('-').unwrap_or(&text) } else { &text })
    });
    let size = size.transpose()?;
    // Other producers may use these keys for something else, so values of another form count as absent.
    let seq =
        row.get(Field::Seq).filter(|value| value.kind() == Kind::Number).and_then(|value| value.raw().parse().ok());
    Ok(TickView { symbol, price, timestamp, size, seq, source: source.and_then(Name::new) })
}

#[cfg(test)]
mod tests;
