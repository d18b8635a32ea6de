//! What somebody chose of a store: some symbols, some time; and why there is none of it.

use std::ops::ControlFlow;

use thiserror::Error;

use crate::model::{Symbol, Timestamp};
use crate::sources::TickFilter;
use crate::storage::db::{DbError, StoreReader, TickRow};

/// Symbols that are named in an error, at most: as many as fit a few lines of a terminal.
const NAMED_MAX: usize = 20;

/// Why nothing of a store can be had.
#[derive(Debug, Error)]
pub enum SelectedError {
    /// The store.
    #[error(transparent)]
    Keep(#[from] DbError),
    /// There is nothing in it.
    #[error("the store {store} is empty: nothing has been kept in it yet")]
    Empty {
        /// Where, without secrets.
        store: String,
    },
    /// Symbols that it does not have.
    #[error("the store {store} has no symbol {unknown}; it has {known}")]
    Symbols {
        /// Where, without secrets.
        store: String,
        /// Names of the symbols that were asked for in vain.
        unknown: String,
        /// Names of those that there are, shortened.
        known: String,
    },
    /// It has ticks, but not these.
    #[error("the store {store} has no tick of {symbols}{when}; it holds {oldest} to {newest}")]
    Nothing {
        /// Where, without secrets.
        store: String,
        /// Whose ticks were asked for, shortened.
        symbols: String,
        /// From when to when, as words.
        when: String,
        /// Time of the oldest tick of all symbols.
        oldest: String,
        /// Time of the newest.
        newest: String,
    },
}

impl StoreReader {
    /// Finds out, without reading it, whether the store may have ticks of a selection. The first and the last instant,
    /// in nanoseconds and both included, at which they can be.
    pub fn locate(&mut self, selection: &TickFilter) -> Result<(i64, i64), SelectedError> {
        let known = self.symbols()?;
        let Some((oldest_ns, newest_ns)) = self.span()? else {
            return Err(SelectedError::Empty { store: self.name().to_owned() });
        };
        let asked = selection.symbols.iter().flatten();
        let unknown: Vec<&Symbol> = asked.filter(|symbol| known.binary_search(symbol).is_err()).collect();
        if !unknown.is_empty() {
            let store = self.name().to_owned();
            return Err(SelectedError::Symbols { store, unknown: named(unknown, "or"), known: named(&known, "and") });
        }
        let from_ns = selection.from.map_or(oldest_ns, |from| from.as_nanos().max(oldest_ns));
        // What ends where time begins has nothing.
        let last_ns = selection.to.map_or(newest_ns, |to| (to.as_nanos() - 1).min(newest_ns));
        if from_ns > last_ns {
            return Err(self.nothing(selection, oldest_ns, newest_ns));
        }
        Ok((from_ns, last_ns))
    }

    /// Gives out the ticks of a selection in order of time, then of arrival, until `visit` breaks off. How many there
    /// were; not a single one is an error.
    pub fn read_selected(
        &mut self,
        selection: &TickFilter,
        visit: &mut impl FnMut(&TickRow) -> ControlFlow<()>,
    ) -> Result<u64, SelectedError> {
        let (from_ns, last_ns) = self.locate(selection)?;
        let is_wanted = |name: &str| match &selection.symbols {
            None => true,
            Some(symbols) => Symbol::new(name).is_some_and(|symbol| symbols.contains(&symbol)),
        };
        match self.read_until(is_wanted, from_ns, last_ns, visit)? {
            0 => {
                let (oldest_ns, newest_ns) = self.span()?.unwrap_or((from_ns, last_ns));
                Err(self.nothing(selection, oldest_ns, newest_ns))
            }
            count => Ok(count),
        }
    }

    fn nothing(&self, selection: &TickFilter, oldest_ns: i64, newest_ns: i64) -> SelectedError {
        let of_instant = |at: Timestamp| shown(at.as_nanos());
        let when = match (selection.from.map(of_instant), selection.to.map(of_instant)) {
            (Some(from), Some(to)) => format!(" between {from} and {to}"),
            (Some(from), None) => format!(" at or after {from}"),
            (None, Some(to)) => format!(" before {to}"),
            (None, None) => String::new(),
        };
        let symbols = selection.symbols.as_ref().map(|symbols| named(symbols, "or"));
        SelectedError::Nothing {
            store: self.name().to_owned(),
            symbols: symbols.unwrap_or_else(|| "any symbol".to_owned()),
            when,
            oldest: shown(oldest_ns),
            newest: shown(newest_ns),
        }
    }
}

/// An instant as text: RFC 3339 in UTC.
fn shown(time_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(time_ns.into()).map_or_else(|_| time_ns.to_string(), |at| at.to_string())
}

/// "A, B and C", "A, B or C", "A, B, .. and 300 more"; safe to show.
fn named<'a>(symbols: impl IntoIterator<Item = &'a Symbol>, last: &str) -> String {
    let symbols: Vec<String> = symbols.into_iter().map(ToString::to_string).collect();
    match symbols.as_slice() {
        [] => "none".to_owned(),
        [only] => only.clone(),
        [before @ .., end] if symbols.len() <= NAMED_MAX => format!("{} {last} {end}", before.join(", ")),
        _ => format!("{} {last} {} more", symbols[..NAMED_MAX].join(", "), symbols.len() - NAMED_MAX),
    }
}

#[cfg(test)]
mod tests {
    use crate::storage::db::selected::*;

    #[test]
    fn many_names_are_shortened() {
        let symbols: Vec<Symbol> = (0..320).filter_map(|n| Symbol::new(&format!("S{n}"))).collect();
        assert_eq!(named(&symbols[..0], "and"), "none");
        assert_eq!(named(&symbols[..1], "and"), "S0");
        assert_eq!(named(&symbols[..3], "or"), "S0, S1 or S2");
        let many = named(&symbols, "and");
        assert!(many.starts_with("S0, S1, ") && many.ends_with(", S19 and 300 more"), "{many}");
        assert_eq!(named(&[Symbol::new("A\u{1b}").unwrap()], "and"), "A\\u{1b}");
    }
}
