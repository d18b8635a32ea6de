//! Messages that announce a symbol for a number: the number then stands for the symbol in rows without keys.

use crate::model::Symbol;
use crate::model::json::{Kind, Value};
use crate::model::path::{Path, Step};
use crate::model::shape::names::Words;
use crate::model::shape::resolve::symbol_among;

/// Deepest object that may hold the symbol.
const DEPTH_MAX: usize = 5;

/// Number and symbol that `message` announces: `{"chanId": 5, "symbol": "tBTCUSD"}`, or an array that starts with the
/// number and holds the symbol: `[288, 1, [["i", {"currencyPair": "USDT_BTC"}]]]`.
pub(crate) fn announcement(message: Value<'_>) -> Option<(u64, Symbol)> {
    let number = match message.kind() {
        Kind::Object => {
            message.entries().find(|(key, _)| Words::new(&key.text()).is_channel_id()).map(|(_, value)| value)
        }
        _ => message.elements().next(),
    }?;
    let number = number.raw().parse().ok()?;
    Some((number, symbol_within(message, DEPTH_MAX)?))
}

fn symbol_within(value: Value<'_>, depth: usize) -> Option<Symbol> {
    if depth == 0 {
        return None;
    }
    if value.kind() == Kind::Object
        && let Some(Path(steps)) = symbol_among(value, &Path::default())
        && let Some(Step::Key(name)) = steps.first()
        && let Some((_, found)) = value.entries().find(|(key, _)| key.is(name))
    {
        return Symbol::new(&found.as_text()?);
    }
    let mut children = value.entries().map(|(_, child)| child).chain(value.elements());
    children.find_map(|child| symbol_within(child, depth - 1))
}
