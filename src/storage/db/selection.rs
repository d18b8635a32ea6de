//! Reading a selection of symbols and times, with errors that name what the store has instead.

use std::ops::ControlFlow;

use thiserror::Error;

use crate::model::{Symbol, Timestamp};
use crate::sources::TickFilter;
use crate::storage::db::{DbError, StoreReader, TickRow};

/// Most symbols that an error lists: as many as fit a few lines of a terminal.
const SYMBOLS_LISTED_MAX: usize = 20;

/// Reasons why a selection has no ticks.
#[derive(Debug, Error)]
pub enum SelectionError {
    /// The store cannot be read.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The store has no ticks.
    #[error("the store {store} is empty: nothing has been kept in it yet")]
    Empty {
        /// Store's URL, without secrets.
        store: String,
    },
    /// The store lacks some of the selected symbols.
    #[error("the store {store} has no symbol {unknown}; it has {known}")]
    Symbols {
        /// Store's URL, without secrets.
        store: String,
        /// Selected symbols that the store lacks.
        unknown: String,
        /// Symbols of the store, shortened.
        known: String,
    },
    /// The store has ticks, but none of the selection.
    #[error("the store {store} has no tick of {symbols}{when}; it holds {oldest} to {newest}")]
    Nothing {
        /// Store's URL, without secrets.
        store: String,
        /// Selected symbols, shortened.
        symbols: String,
        /// Selected time range, in words.
        when: String,
        /// Time of the oldest tick of all symbols.
        oldest: String,
        /// Time of the newest tick of all symbols.
        newest: String,
    },
}

impl StoreReader {
    /// Narrows a selection to the store's time range, without reading ticks. Returns the first and the last possible
    /// time, in nanoseconds and both inclusive.
    ///
    /// # Errors
    ///
    /// [`SelectionError`] if the store cannot have any tick of the selection.
    pub fn resolve(&mut self, selection: &TickFilter) -> Result<(i64, i64), SelectionError> {
        let known = self.symbols()?;
        let Some((oldest_ns, newest_ns)) = self.span()? else {
            return Err(SelectionError::Empty { store: self.store.clone() });
        };
        let selected = selection.symbols.iter().flatten();
        let unknown: Vec<&Symbol> = selected.filter(|symbol| known.binary_search(symbol).is_err()).collect();
        if !unknown.is_empty() {
            let store = self.store.clone();
            return Err(SelectionError::Symbols { store, unknown: list(unknown, "or"), known: list(&known, "and") });
        }
        let from_ns = selection.from.map_or(oldest_ns, |from| from.as_nanos().max(oldest_ns));
        // The end is exclusive.
        let last_ns = selection.to.map_or(newest_ns, |to| (to.as_nanos() - 1).min(newest_ns));
        if from_ns > last_ns {
            return Err(self.no_ticks(selection, (oldest_ns, newest_ns)));
        }
        Ok((from_ns, last_ns))
    }

    /// Visits the ticks of a selection in order of time, then of arrival, until `visit` breaks. Returns how many there
    /// were.
    ///
    /// # Errors
    ///
    /// [`SelectionError`] if there is no such tick, or if the store cannot be read.
    pub fn read_selection(
        &mut self,
        selection: &TickFilter,
        visit: &mut impl FnMut(&TickRow) -> ControlFlow<()>,
    ) -> Result<u64, SelectionError> {
        let (from_ns, last_ns) = self.resolve(selection)?;
        let selects = |name: &str| {
            let symbols = selection.symbols.as_ref();
            symbols.is_none_or(|symbols| Symbol::new(name).is_some_and(|symbol| symbols.contains(&symbol)))
        };
        match self.read_until(selects, (from_ns, last_ns), None, visit)? {
            0 => {
                let span = self.span()?.unwrap_or((from_ns, last_ns));
                Err(self.no_ticks(selection, span))
            }
            count => Ok(count),
        }
    }

    fn no_ticks(&self, selection: &TickFilter, (oldest_ns, newest_ns): (i64, i64)) -> SelectionError {
        let text = |at: Timestamp| time_text(at.as_nanos());
        let when = match (selection.from.map(text), selection.to.map(text)) {
            (Some(from), Some(to)) => format!(" between {from} and {to}"),
            (Some(from), None) => format!(" at or after {from}"),
            (None, Some(to)) => format!(" before {to}"),
            (None, None) => String::new(),
        };
        let symbols = selection.symbols.as_ref().map(|symbols| list(symbols, "or"));
        SelectionError::Nothing {
            store: self.store.clone(),
            symbols: symbols.unwrap_or_else(|| "any symbol".to_owned()),
            when,
            oldest: time_text(oldest_ns),
            newest: time_text(newest_ns),
        }
    }
}

/// RFC 3339 in UTC.
fn time_text(time_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(time_ns.into()).map_or_else(|_| time_ns.to_string(), |at| at.to_string())
}

/// Lists symbols as "A, B and C" or "A, B, ... and 300 more"; safe to display.
fn list<'a>(symbols: impl IntoIterator<Item = &'a Symbol>, conjunction: &str) -> String {
    let symbols: Vec<String> = symbols.into_iter().map(ToString::to_string).collect();
    match symbols.as_slice() {
        [] => "none".to_owned(),
        [only] => only.clone(),
        [before @ .., last] if symbols.len() <= SYMBOLS_LISTED_MAX => {
            format!("{} {conjunction} {last}", before.join(", "))
        }
        _ => {
            let (listed, rest) = symbols.split_at(SYMBOLS_LISTED_MAX);
            format!("{} {conjunction} {} more", listed.join(", "), rest.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::storage::db::selection::*;

    #[test]
    fn long_lists_are_shortened() {
        let symbols: Vec<Symbol> = (0..320).filter_map(|n| Symbol::new(&format!("S{n}"))).collect();
        assert_eq!(list(&symbols[..0], "and"), "none");
        assert_eq!(list(&symbols[..1], "and"), "S0");
        assert_eq!(list(&symbols[..3], "or"), "S0, S1 or S2");
        let many = list(&symbols, "and");
        assert!(many.starts_with("S0, S1, ") && many.ends_with(", S19 and 300 more"), "{many}");
        assert_eq!(list(&[Symbol::new("A\u{1b}").unwrap()], "and"), "A\\u{1b}");
    }
}
