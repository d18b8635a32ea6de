//! Location of the fields of a tick in a message, as `--fields` and the recognition of shapes give it.

use std::fmt;

use thiserror::Error;

use crate::model::path::{PATH_STEPS_MAX, Path, Pattern, Step};
use crate::model::{SYMBOL_BYTES_MAX, display_safe};

/// Field of a tick that a message can contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Symbol,
    Price,
    Timestamp,
    Size,
    Seq,
    Source,
}

impl Field {
    pub(crate) const ALL: [(Self, &'static str); 6] = [
        (Self::Symbol, "symbol"),
        (Self::Price, "price"),
        (Self::Timestamp, "timestamp"),
        (Self::Size, "size"),
        (Self::Seq, "seq"),
        (Self::Source, "source"),
    ];

    pub(crate) const COUNT: usize = Self::ALL.len();

    /// Fields without which there is no tick.
    pub(crate) const REQUIRED: [Self; 3] = [Self::Symbol, Self::Price, Self::Timestamp];

    /// Name in maps and logs.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// Place from which a field's value is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Locator {
    /// Value in the message, or the part of it that a pattern finds: `data.s`, `ch:market.*.trade`.
    Path(Path, Option<Pattern>),
    /// The given text: `'BTC'`.
    Text(String),
    /// Name of the channel or stream, or a part of it: `{channel}`, `{channel:trades.*}`.
    Channel(Option<Pattern>),
    /// Key for which `*` stands in the paths of the other fields: `{key}`.
    Key,
    /// Symbol that an earlier message on the same connection announced for the number at a path: `{announced:[0]}`.
    Announced(Path),
    /// Time of arrival; of a stream's entry, the time in its id: `{arrival}`, `{id}`.
    Arrival,
}

/// Reason why a `--fields` argument is invalid.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FieldMapError {
    /// A part has no `=`, or nothing on one side of it.
    #[error("--fields: {part:?} is not of the form field=path; write for example symbol=s,price=data[].p,timestamp=T")]
    Form {
        /// The invalid part.
        part: String,
    },
    /// The left side does not name a field.
    #[error("--fields: there is no field {name:?}; the fields are symbol, price, timestamp, size, seq, source")]
    Unknown {
        /// Text left of the `=`.
        name: String,
    },
    /// A field is mapped twice.
    #[error("--fields: {name} is mapped twice")]
    Twice {
        /// Name of the field.
        name: String,
    },
    /// Two fields have the same path, or the path of one is inside the other's.
    #[error("--fields: {path:?} is already taken by another field; each field needs a value of its own")]
    Taken {
        /// The conflicting path.
        path: String,
    },
    /// The path is malformed.
    #[error(
        "--fields: {path:?} is not a path; write keys and places such as data.p, data[].p, [2], [][2] or \"a.b\", of \
         at most {PATH_STEPS_MAX} steps"
    )]
    Path {
        /// The path.
        path: String,
    },
    /// The value in braces is not known, or not one of the field's.
    #[error(
        "--fields: {name} cannot be {value}; a symbol can be {{channel}}, {{channel:trades.*}}, {{key}} or 'BTC', a \
         timestamp {{arrival}} or {{id}}"
    )]
    Value {
        /// Name of the field.
        name: String,
        /// Text right of the `=`.
        value: String,
    },
    /// Two paths step through different arrays.
    #[error("--fields: {path:?} repeats over another array than an earlier path; all [] and * must be the same ones")]
    Arrays {
        /// The later path.
        path: String,
    },
}

/// Location of each field in a message.
///
/// # Examples
///
/// ```
/// use tickscope::model::FieldMap;
///
/// let fields = FieldMap::parse("symbol=data[].s, price=data[].p, timestamp=data[].T")?;
/// assert_eq!(fields.to_string(), "symbol=data[].s,price=data[].p,timestamp=data[].T");
/// # Ok::<(), tickscope::model::FieldMapError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldMap {
    locators: [Option<Locator>; Field::COUNT],
}

impl FieldMap {
    /// Parses a map such as `symbol=s,price=data[].p,timestamp=data[].T`: field, equals sign, path. Keys are separated
    /// by dots, `[2]` is an element of an array, `[]` each element. Fields that are not mentioned are recognised.
    ///
    /// # Errors
    ///
    /// Returns a [`FieldMapError`] if a part is malformed, a field is unknown or mapped twice, or paths conflict.
    pub fn parse(text: &str) -> Result<Self, FieldMapError> {
        let mut map = Self::default();
        for part in split_parts(text).map(str::trim).filter(|part| !part.is_empty()) {
            let form = || FieldMapError::Form { part: part.to_owned() };
            let (name, value) = part.split_once('=').ok_or_else(form)?;
            let (name, value) = (name.trim(), value.trim());
            if name.is_empty() || value.is_empty() {
                return Err(form());
            }
            let known = Field::ALL.iter().find(|(_, known)| *known == name);
            let (field, _) = known.ok_or_else(|| FieldMapError::Unknown { name: name.to_owned() })?;
            let locator = parse_locator(*field, name, value)?;
            if map.locators[*field as usize].replace(locator).is_some() {
                return Err(FieldMapError::Twice { name: name.to_owned() });
            }
            map.check_last(*field)?;
        }
        let has_any_key = map.paths().any(|(_, path)| path.0.contains(&Step::AnyKey));
        if map.get(Field::Symbol) == Some(&Locator::Key) && !has_any_key {
            return Err(FieldMapError::Value {
                name: "symbol".to_owned(),
                value: "{key} without a * in a path".to_owned(),
            });
        }
        Ok(map)
    }

    pub(crate) fn get(&self, field: Field) -> Option<&Locator> {
        self.locators[field as usize].as_ref()
    }

    pub(crate) fn set(&mut self, field: Field, locator: Locator) {
        self.locators[field as usize] = Some(locator);
    }

    /// Returns whether no field is located.
    pub fn is_empty(&self) -> bool {
        self.locators.iter().all(Option::is_none)
    }

    /// Returns whether the fields have the keys of this project's own messages, alone or in an array.
    pub(crate) fn is_own_form(&self) -> bool {
        Field::ALL.iter().all(|(field, name)| match self.get(*field) {
            Some(Locator::Path(Path(steps), None)) => match steps.as_slice() {
                [before @ .., Step::Key(key)] => key == name && before.iter().all(|step| *step == Step::Each),
                _ => false,
            },
            Some(_) => false,
            None => !matches!(field, Field::Symbol | Field::Price | Field::Timestamp),
        })
    }

    /// Returns whether the size is found by its place in an array, before the price.
    pub(crate) fn has_size_first(&self) -> bool {
        let place = |field| match self.get(field) {
            Some(Locator::Path(path, _)) => path.0.last(),
            _ => None,
        };
        matches!(
            (place(Field::Size), place(Field::Price)),
            (Some(Step::Index(size)), Some(Step::Index(price))) if size < price
        )
    }

    /// Paths of all fields, in the order of [`Field::ALL`].
    pub(crate) fn paths(&self) -> impl Iterator<Item = (Field, &Path)> {
        Field::ALL.iter().filter_map(|(field, _)| match self.get(*field) {
            Some(Locator::Path(path, _) | Locator::Announced(path)) => Some((*field, path)),
            _ => None,
        })
    }

    /// Checks the path of `last` against those of the other fields.
    fn check_last(&self, last: Field) -> Result<(), FieldMapError> {
        let Some((_, path)) = self.paths().find(|(field, _)| *field == last) else { return Ok(()) };
        for (_, other) in self.paths().filter(|(field, _)| *field != last) {
            let shared = path.0.iter().zip(&other.0).take_while(|(a, b)| a == b).count();
            let (rest, others_rest) = (&path.0[shared..], &other.0[shared..]);
            if rest.is_empty() || others_rest.is_empty() {
                return Err(FieldMapError::Taken { path: path.to_string() });
            }
            if rest.iter().any(Step::is_repeated) && others_rest.iter().any(Step::is_repeated) {
                return Err(FieldMapError::Arrays { path: path.to_string() });
            }
        }
        Ok(())
    }
}

/// Splits at the commas outside quotes, brackets and braces.
fn split_parts(text: &str) -> impl Iterator<Item = &str> {
    let (mut quote, mut depth) = (None, 0_i32);
    text.split(move |c| {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') => depth -= 1,
            _ => {}
        }
        c == ',' && quote.is_none() && depth <= 0
    })
}

fn parse_locator(field: Field, name: &str, value: &str) -> Result<Locator, FieldMapError> {
    let unknown = || FieldMapError::Value { name: name.to_owned(), value: value.to_owned() };
    let is_text = matches!(field, Field::Symbol | Field::Source);
    if let Some(quoted) = value.strip_prefix('\'') {
        let text = quoted.strip_suffix('\'').filter(|text| (1..=SYMBOL_BYTES_MAX).contains(&text.len()));
        return text.filter(|_| is_text).map(|text| Locator::Text(text.to_owned())).ok_or_else(unknown);
    }
    if let Some(braced) = value.strip_prefix('{') {
        let braced = braced.strip_suffix('}').ok_or_else(unknown)?;
        let (kind, detail) = braced.split_once(':').map_or((braced, None), |(kind, detail)| (kind, Some(detail)));
        return match (kind, detail) {
            ("channel", None) if is_text => Some(Locator::Channel(None)),
            ("channel", Some(pattern)) if is_text => Pattern::parse(pattern).map(|p| Locator::Channel(Some(p))),
            ("key", None) if field == Field::Symbol => Some(Locator::Key),
            ("announced", Some(path)) if field == Field::Symbol => Path::parse(path).map(Locator::Announced),
            ("arrival" | "id", None) if field == Field::Timestamp => Some(Locator::Arrival),
            _ => None,
        }
        .ok_or_else(unknown);
    }
    let malformed = || FieldMapError::Path { path: value.to_owned() };
    if let Some(path) = Path::parse(value) {
        return Ok(Locator::Path(path, None));
    }
    // A colon within quotes belongs to a key.
    let colon = value.rfind('"').unwrap_or(0);
    let (path, pattern) = value[colon..].split_once(':').ok_or_else(malformed)?;
    let path = Path::parse(&value[..colon + path.len()]).ok_or_else(malformed)?;
    let pattern = Pattern::parse(pattern).filter(|_| is_text).ok_or_else(malformed)?;
    Ok(Locator::Path(path, Some(pattern)))
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path, None) => path.fmt(f),
            Self::Path(path, Some(pattern)) => write!(f, "{path}:{pattern}"),
            Self::Text(text) => write!(f, "'{}'", display_safe(text)),
            Self::Channel(None) => f.write_str("{channel}"),
            Self::Channel(Some(pattern)) => write!(f, "{{channel:{pattern}}}"),
            Self::Key => f.write_str("{key}"),
            Self::Announced(path) => write!(f, "{{announced:{path}}}"),
            Self::Arrival => f.write_str("{arrival}"),
        }
    }
}

impl fmt::Display for FieldMap {
    /// Writes the located fields in the form that [`FieldMap::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (field, name) in Field::ALL {
            if let Some(locator) = self.get(field) {
                write!(f, "{comma}{name}={locator}")?;
                comma = ",";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_written_as_they_are_parsed() {
        for text in [
            "",
            "symbol=s,price=p",
            "symbol=data[].s,price=data[].p,timestamp=ts,size=data[].v",
            "symbol={channel},price=.,timestamp={arrival}",
            "symbol={channel:trades.*},price=[][2],timestamp=[][0]",
            "symbol=ch:market.*.trade.detail,price=tick.data[].price",
            "symbol={key},price=update.*[].p,timestamp=update.*[].t",
            "symbol={announced:[0]},price=[1][][3]",
            "symbol='BTC, spot',price=\"a.b\".c",
            "symbol=\"a:b\":x*,price=p",
        ] {
            let map = FieldMap::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(map.to_string(), text);
        }
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text| FieldMap::parse(text).unwrap_err();
        assert_eq!(error("symbol"), FieldMapError::Form { part: "symbol".into() });
        assert_eq!(error("symbol="), FieldMapError::Form { part: "symbol=".into() });
        assert_eq!(error("price=a..b"), FieldMapError::Path { path: "a..b".into() });
        assert_eq!(error("price=a:x*"), FieldMapError::Path { path: "a:x*".into() });
        assert_eq!(error("prise=p"), FieldMapError::Unknown { name: "prise".into() });
        assert_eq!(error("price=p,price=q"), FieldMapError::Twice { name: "price".into() });
        assert_eq!(error("price=p,size=p"), FieldMapError::Taken { path: "p".into() });
        assert_eq!(error("price=p,size=p.x"), FieldMapError::Taken { path: "p.x".into() });
        assert_eq!(error("price=p.x,size=p"), FieldMapError::Taken { path: "p".into() });
        assert_eq!(error("price=a[].x,size=b[].x"), FieldMapError::Arrays { path: "b[].x".into() });
        for bad in ["price={channel}", "price='1'", "symbol={id}", "timestamp={key}", "symbol={channel:a}", "symbol='"]
        {
            assert!(matches!(error(bad), FieldMapError::Value { .. }), "{bad}");
        }
        let deep = format!("price={}", ["a"; PATH_STEPS_MAX + 1].join("."));
        assert!(matches!(error(&deep), FieldMapError::Path { .. }));
    }
}
