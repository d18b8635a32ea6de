//! Incremental search for a symbol.

use std::ops::ControlFlow;

use crate::chart::Key;

/// Longest search text, in characters. No symbol is longer.
const CHARS_MAX: usize = 64;

/// Most search results shown. More would hide the chart.
pub(crate) const RESULTS_MAX: usize = 10;

/// The open search box.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SymbolSearch {
    pub(crate) text: String,
    /// Index of the selected match.
    pub(crate) selected: usize,
    /// No text has arrived yet. The `/` that opens the search arrives once more, as text.
    is_new: bool,
}

impl SymbolSearch {
    pub(super) fn open() -> Self {
        Self { is_new: true, ..Self::default() }
    }

    /// Number of results above the first one shown. The list scrolls so that the selected result is always shown.
    pub(crate) fn results_skipped(&self) -> usize {
        (self.selected + 1).saturating_sub(RESULTS_MAX)
    }

    pub(super) fn text(&mut self, c: char) {
        let is_opening_key = std::mem::take(&mut self.is_new) && c == '/';
        if !is_opening_key && !c.is_control() && self.text.chars().count() < CHARS_MAX {
            self.text.push(c);
            self.selected = 0;
        }
    }

    /// Handles a key. Breaks if it closes the search, with the index of the symbol chosen if there is one. Printable
    /// keys have no effect here, for they arrive as text as well.
    pub(super) fn key(&mut self, key: Key, symbols: &[String]) -> ControlFlow<Option<usize>> {
        let matches = matching_symbols(symbols, &self.text);
        match key {
            Key::Escape => return ControlFlow::Break(None),
            Key::Enter if self.selected < matches.len() => return ControlFlow::Break(Some(matches[self.selected])),
            Key::Backspace => {
                self.text.pop();
                self.selected = 0;
            }
            Key::Down | Key::Tab if self.selected + 1 < matches.len() => self.selected += 1,
            Key::Up => self.selected = self.selected.saturating_sub(1),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Indices of the symbols that match a text, ignoring case. Best match first: equal, then prefix, substring, and
/// subsequence. An empty text matches all.
pub(crate) fn matching_symbols(symbols: &[String], text: &str) -> Vec<usize> {
    let needle = text.trim().to_lowercase();
    let rank = |symbol: &String| {
        let symbol = symbol.to_lowercase();
        if symbol == needle {
            Some(0)
        } else if symbol.starts_with(&needle) {
            Some(1)
        } else if symbol.contains(&needle) {
            Some(2)
        } else {
            let mut rest = symbol.chars();
            needle.chars().all(|c| rest.any(|other| other == c)).then_some(3)
        }
    };
    let mut matches: Vec<(u8, usize)> =
        symbols.iter().enumerate().filter_map(|(index, symbol)| Some((rank(symbol)?, index))).collect();
    matches.sort_unstable();
    matches.into_iter().map(|(_, index)| index).collect()
}

#[cfg(test)]
mod tests {
    use crate::chart::interaction::search::*;

    fn symbols() -> Vec<String> {
        ["SPY", "IBM", "BAC", "AIG", "AI", "GAIN", "/ES"].map(str::to_owned).to_vec()
    }

    fn names(text: &str) -> Vec<String> {
        matching_symbols(&symbols(), text).into_iter().map(|at| symbols()[at].clone()).collect()
    }

    #[test]
    fn the_best_match_comes_first() {
        assert_eq!(names("ai"), ["AI", "AIG", "GAIN"]);
        assert_eq!(names("bm"), ["IBM"]);
        assert_eq!(names("sy"), ["SPY"]);
        assert_eq!(names("").len(), 7);
        assert!(names("xyz").is_empty());
    }

    #[test]
    fn keys_edit_select_choose_and_close() {
        let symbols = symbols();
        let mut query = SymbolSearch::open();
        query.text('/');
        assert_eq!(query.text, "", "the opening key is not part of the text");
        for c in ['/', 'x'] {
            query.text(c);
        }
        assert_eq!(query.text, "/x");
        assert_eq!(query.key(Key::Backspace, &symbols), ControlFlow::Continue(()));
        assert_eq!(query.key(Key::Enter, &symbols), ControlFlow::Break(Some(6)));
        query = SymbolSearch::open();
        query.text('a');
        assert_eq!(query.key(Key::Down, &symbols), ControlFlow::Continue(()));
        assert_eq!(
            query.key(Key::Enter, &symbols),
            ControlFlow::Break(Some(4)),
            "AIG and AI are prefix matches, in the order of symbols"
        );
        query.text('q');
        assert_eq!(query.key(Key::Enter, &symbols), ControlFlow::Continue(()), "nothing matches, so nothing is chosen");
        assert_eq!(query.key(Key::Escape, &symbols), ControlFlow::Break(None));
    }
}
