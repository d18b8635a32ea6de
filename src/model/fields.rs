//! Mapping from the keys of a message to the fields of a tick, so that other feeds' messages can be read as they are.

use thiserror::Error;

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
}

/// Maximum depth of a path of keys. Feeds nest two or three levels; the bound limits the recursion.
const PATH_DEPTH_MAX: usize = 8;

/// Reason why a `--fields` argument is invalid.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FieldMapError {
    /// A part has no `=`, or nothing on one side of it.
    #[error("--fields: {part:?} is not of the form field=key; write for example symbol=s,price=p,timestamp=data.T")]
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
    #[error("--fields: {path:?} is already taken by another field; each field needs a key of its own")]
    Taken {
        /// The conflicting path.
        path: String,
    },
    /// The path is too deep.
    #[error("--fields: {path:?} is nested deeper than 8 keys")]
    Deep {
        /// The path.
        path: String,
    },
}

/// Tree of keys with fields as leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Branch {
    pub(crate) children: Vec<(String, Node)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Leaf(Field),
    Branch(Branch),
}

impl Branch {
    /// Adds a field. Returns `false` if the path conflicts with another field's.
    fn insert(&mut self, path: &[&str], field: Field) -> bool {
        let Some((key, rest)) = path.split_first() else { return false };
        let existing = self.children.iter_mut().find(|(name, _)| name == key);
        match (existing, rest) {
            (None, []) => self.children.push(((*key).to_owned(), Node::Leaf(field))),
            (None, rest) => {
                let mut branch = Self::default();
                branch.insert(rest, field);
                self.children.push(((*key).to_owned(), Node::Branch(branch)));
            }
            (Some((_, Node::Branch(branch))), rest @ [_, ..]) => return branch.insert(rest, field),
            (Some(_), _) => return false,
        }
        true
    }
}

/// Location of each field in the JSON object of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldMap {
    pub(crate) root: Branch,
}

impl Default for FieldMap {
    /// The default keys: `symbol`, `price`, `timestamp`, `size`, `seq` and `source`.
    fn default() -> Self {
        let leaf = |(field, name): (Field, &str)| (name.to_owned(), Node::Leaf(field));
        Self { root: Branch { children: Field::ALL.map(leaf).into() } }
    }
}

impl FieldMap {
    /// Parses a map such as `symbol=s,price=p,timestamp=data.T`: field, equals sign, key, with dots to step into nested
    /// objects. Fields that are not mentioned keep their default keys, unless another field takes them.
    ///
    /// # Errors
    ///
    /// Returns a [`FieldMapError`] if a part is malformed, a field is unknown or mapped twice, or paths conflict.
    pub fn parse(text: &str) -> Result<Self, FieldMapError> {
        let mut root = Branch::default();
        let mut mapped = [false; Field::COUNT];
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let form = || FieldMapError::Form { part: part.to_owned() };
            let (name, path) = part.split_once('=').ok_or_else(form)?;
            let (name, path) = (name.trim(), path.trim());
            let keys: Vec<&str> = path.split('.').collect();
            if name.is_empty() || keys.iter().any(|key| key.is_empty()) {
                return Err(form());
            }
            if keys.len() > PATH_DEPTH_MAX {
                return Err(FieldMapError::Deep { path: path.to_owned() });
            }
            let known = Field::ALL.iter().find(|(_, known)| *known == name);
            let (field, _) = known.ok_or_else(|| FieldMapError::Unknown { name: name.to_owned() })?;
            if std::mem::replace(&mut mapped[*field as usize], true) {
                return Err(FieldMapError::Twice { name: name.to_owned() });
            }
            if !root.insert(&keys, *field) {
                return Err(FieldMapError::Taken { path: path.to_owned() });
            }
        }
        for (field, name) in Field::ALL {
            if !mapped[field as usize] {
                root.insert(&[name], field);
            }
        }
        Ok(Self { root })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_text_is_the_contract() {
        assert_eq!(FieldMap::parse("").unwrap(), FieldMap::default());
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text| FieldMap::parse(text).unwrap_err();
        assert_eq!(error("symbol"), FieldMapError::Form { part: "symbol".into() });
        assert_eq!(error("symbol="), FieldMapError::Form { part: "symbol=".into() });
        assert_eq!(error("price=a..b"), FieldMapError::Form { part: "price=a..b".into() });
        assert_eq!(error("prise=p"), FieldMapError::Unknown { name: "prise".into() });
        assert_eq!(error("price=p,price=q"), FieldMapError::Twice { name: "price".into() });
        assert_eq!(error("price=p,size=p"), FieldMapError::Taken { path: "p".into() });
        assert_eq!(error("price=p,size=p.x"), FieldMapError::Taken { path: "p.x".into() });
        assert_eq!(error("price=p.x,size=p"), FieldMapError::Taken { path: "p".into() });
        assert!(matches!(error("price=a.b.c.d.e.f.g.h.i"), FieldMapError::Deep { .. }));
    }
}
