//! Paths to values of a message, such as `data[].p`, `[2]` or `"dotted.key"`, and the text they are written as.

use std::fmt;

use crate::model::display_safe;

/// Maximum number of steps. Feeds nest four or five levels; the bound limits the recursion.
pub(crate) const PATH_STEPS_MAX: usize = 16;

/// One step into a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// Value of a key.
    Key(String),
    /// Element of an array, counted from 0.
    Index(usize),
    /// Every element of an array.
    Each,
    /// Every value of an object, whatever its key.
    AnyKey,
}

impl Step {
    /// Returns whether the step leads to several values.
    pub(crate) fn is_repeated(&self) -> bool {
        matches!(self, Self::Each | Self::AnyKey)
    }
}

/// Steps from the whole message to a value; none for the message itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Path(pub(crate) Vec<Step>);

impl Path {
    /// Parses a path; `None` if it is malformed or has more than [`PATH_STEPS_MAX`] steps.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut steps = Vec::new();
        let mut rest = text;
        if rest == "." {
            return Some(Self::default());
        }
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('[') {
                let (index, after) = inner.split_once(']')?;
                let is_index = index.bytes().all(|byte| byte.is_ascii_digit());
                steps.push(match index {
                    "" => Step::Each,
                    _ if is_index => Step::Index(index.parse().ok()?),
                    _ => return None,
                });
                rest = after;
                continue;
            }
            if !steps.is_empty() {
                rest = rest.strip_prefix('.')?;
            }
            let (key, after) = read_key(rest)?;
            steps.push(key);
            rest = after;
        }
        (1..=PATH_STEPS_MAX).contains(&steps.len()).then_some(Self(steps))
    }

    /// The path one step longer.
    pub(crate) fn then(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }
}

/// Reads a key, in quotes or plain, from the start of `text`, and returns what follows it.
fn read_key(text: &str) -> Option<(Step, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (key, after) = quoted.split_once('"')?;
        return (!key.is_empty()).then(|| (Step::Key(key.to_owned()), after));
    }
    let end = text.find(['.', '[', ']', '"', '\'', '{', '}', ':', ',', '=']).unwrap_or(text.len());
    let (key, after) = text.split_at(end);
    match key {
        "" => None,
        "*" => Some((Step::AnyKey, after)),
        _ => Some((Step::Key(key.to_owned()), after)),
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(".");
        }
        for (at, step) in self.0.iter().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            match step {
                Step::Key(key) if key == "*" || key.contains(['.', '[', ']', '\'', '{', '}', ':', ',', '=', ' ']) => {
                    write!(f, "{dot}\"{}\"", display_safe(key))?;
                }
                Step::Key(key) => write!(f, "{dot}{}", display_safe(key))?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Each => f.write_str("[]")?,
                Step::AnyKey => write!(f, "{dot}*")?,
            }
        }
        Ok(())
    }
}

/// Text with one part that varies: `trades.*` matches `trades.BTC` and finds `BTC`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Pattern {
    before: String,
    after: String,
}

impl Pattern {
    pub(crate) fn new(before: &str, after: &str) -> Self {
        Self { before: before.to_owned(), after: after.to_owned() }
    }

    /// Returns whether the whole text varies.
    pub(crate) fn is_whole(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }

    /// Parses a text with one `*`; `None` if it has none or several.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (before, after) = text.split_once('*')?;
        (!after.contains('*')).then(|| Self::new(before, after))
    }

    /// The part of `text` that varies; `None` if the text does not match.
    pub(crate) fn find<'t>(&self, text: &'t str) -> Option<&'t str> {
        let found = text.strip_prefix(self.before.as_str())?.strip_suffix(self.after.as_str())?;
        (!found.is_empty()).then_some(found)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}*{}", display_safe(&self.before), display_safe(&self.after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_as_they_are_parsed() {
        for (text, steps) in [
            (".", 0),
            ("p", 1),
            ("data.T", 2),
            ("data[].s", 3),
            ("[2]", 1),
            ("[][2]", 2),
            ("[2][][3]", 3),
            ("params.data[].price", 4),
            ("\"a.b\"[0].c", 3),
            ("update.*[].p", 4),
        ] {
            let path = Path::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((path.to_string().as_str(), path.0.len()), (text, steps));
        }
        for bad in ["", "a..b", ".a", "a.", "[", "[x]", "[-1]", "[1", "a[]b", "\"a", "\"\"", "a b=c", "a,b"] {
            assert_eq!(Path::parse(bad), None, "{bad}");
        }
        assert!(Path::parse(&"[]".repeat(PATH_STEPS_MAX)).is_some());
        assert!(Path::parse(&"[]".repeat(PATH_STEPS_MAX + 1)).is_none());
    }

    #[test]
    fn patterns_find_the_part_that_varies() {
        let pattern = Pattern::parse("market.*.trade.detail").unwrap();
        assert_eq!(pattern.find("market.GRT-USDT.trade.detail"), Some("GRT-USDT"));
        for other in ["market..trade.detail", "market.trade.detail", "x.A.trade.detail", "market.A.trade"] {
            assert_eq!(pattern.find(other), None, "{other}");
        }
        assert_eq!(pattern.to_string(), "market.*.trade.detail");
        assert_eq!((Pattern::parse("a"), Pattern::parse("*a*")), (None, None));
    }
}
