//! The search for a symbol among hundreds.

use crate::chart::Key;

/// Longest text that is searched for: no symbol is longer.
const CHARS_MAX: usize = 64;

/// What is typed, and which of the findings is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::consumer) struct Query {
    pub(in crate::consumer) text: String,
    pub(in crate::consumer) chosen: usize,
    /// Nothing has come since it was opened: the stroke that opened it comes as text as well.
    fresh: bool,
}

/// What becomes of the search after a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Open,
    Closed,
    Taken(usize),
}

impl Query {
    pub(super) fn open() -> Self {
        Self { fresh: true, ..Self::default() }
    }

    pub(super) fn text(&mut self, c: char) {
        let opened_it = std::mem::take(&mut self.fresh) && c == '/';
        if !opened_it && !c.is_control() && self.text.chars().count() < CHARS_MAX {
            self.text.push(c);
            self.chosen = 0;
        }
    }

    pub(super) fn key(&mut self, key: Key, symbols: &[String]) -> Outcome {
        let found = find(symbols, &self.text);
        match key {
            Key::Escape => return Outcome::Closed,
            Key::Enter => return found.get(self.chosen).map_or(Outcome::Open, |symbol| Outcome::Taken(*symbol)),
            Key::Backspace => {
                self.text.pop();
                self.chosen = 0;
            }
            Key::Down | Key::Tab if self.chosen + 1 < found.len() => self.chosen += 1,
            Key::Up => self.chosen = self.chosen.saturating_sub(1),
            // A window reads letters as text.
            _ => {}
        }
        Outcome::Open
    }
}

/// Places of the symbols that a text finds, the best first: those that are it, begin with it, contain it, or have its
/// characters in this order. Case does not matter. An empty text finds all.
pub(in crate::consumer) fn find(symbols: &[String], text: &str) -> Vec<usize> {
    let wanted = text.trim().to_lowercase();
    let rank = |symbol: &String| {
        let symbol = symbol.to_lowercase();
        if symbol == wanted {
            Some(0)
        } else if symbol.starts_with(&wanted) {
            Some(1)
        } else if symbol.contains(&wanted) {
            Some(2)
        } else {
            let mut rest = symbol.chars();
            wanted.chars().all(|c| rest.any(|other| other == c)).then_some(3)
        }
    };
    let mut found: Vec<(u8, usize)> =
        symbols.iter().enumerate().filter_map(|(at, symbol)| Some((rank(symbol)?, at))).collect();
    found.sort_unstable();
    found.into_iter().map(|(_, at)| at).collect()
}

#[cfg(test)]
mod tests {
    use crate::consumer::interaction::search::*;

    fn symbols() -> Vec<String> {
        ["SPY", "IBM", "BAC", "AIG", "AI", "GAIN", "/ES"].map(str::to_owned).to_vec()
    }

    fn names(text: &str) -> Vec<String> {
        find(&symbols(), text).into_iter().map(|at| symbols()[at].clone()).collect()
    }

    #[test]
    fn the_best_finding_comes_first() {
        assert_eq!(names("ai"), ["AI", "AIG", "GAIN"]);
        assert_eq!(names("bm"), ["IBM"]);
        assert_eq!(names("sy"), ["SPY"]);
        assert_eq!(names("").len(), 7);
        assert!(names("xyz").is_empty());
    }

    #[test]
    fn keys_edit_choose_take_and_leave() {
        let symbols = symbols();
        let mut query = Query::open();
        query.text('/');
        assert_eq!(query.text, "", "the stroke that opened it is no text");
        for c in ['/', 'x'] {
            query.text(c);
        }
        assert_eq!(query.text, "/x");
        query.key(Key::Backspace, &symbols);
        assert_eq!(query.key(Key::Enter, &symbols), Outcome::Taken(6));
        query = Query::open();
        query.text('a');
        assert_eq!(query.key(Key::Down, &symbols), Outcome::Open);
        assert_eq!(query.key(Key::Enter, &symbols), Outcome::Taken(4), "AIG and AI begin with it, in their order");
        query.text('q');
        assert_eq!(query.key(Key::Enter, &symbols), Outcome::Open, "nothing is found, so nothing is taken");
        assert_eq!(query.key(Key::Escape, &symbols), Outcome::Closed);
    }
}
