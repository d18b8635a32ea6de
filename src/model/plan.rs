//! Extraction of the rows of a message: the values that a [`FieldMap`] locates, once for each element that its paths
//! repeat over.

use crate::model::fields::{Field, FieldMap};
use crate::model::json::{Key, Kind, Value};
use crate::model::path::Step;

/// Paths of all fields as a tree, so that a message is walked once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    root: Branch,
    /// The fields that the tree was made from.
    pub(crate) fields: FieldMap,
    /// Set if the fields were recognised and not given by the user.
    pub(crate) is_recognized: bool,
    /// Set if a size below zero is that of a sell.
    pub(crate) has_signed_sizes: bool,
}

#[derive(Debug, Clone, Default)]
struct Branch {
    /// Fields whose paths end here.
    fields: Vec<Field>,
    keys: Vec<(String, Branch)>,
    indexes: Vec<(usize, Branch)>,
    /// The branch of every element. A map's paths repeat over the same containers, so no walk meets two of them.
    repeated: Option<Box<(Step, Branch)>>,
}

impl Branch {
    fn child(&mut self, step: &Step) -> &mut Self {
        match step {
            Step::Key(key) => child_of(&mut self.keys, key),
            Step::Index(index) => child_of(&mut self.indexes, index),
            Step::Each | Step::AnyKey => {
                let repeated = self.repeated.get_or_insert_with(|| Box::new((step.clone(), Self::default())));
                &mut repeated.1
            }
        }
    }
}

fn child_of<'b, K: Clone + PartialEq>(children: &'b mut Vec<(K, Branch)>, name: &K) -> &'b mut Branch {
    let at = children.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
        children.push((name.clone(), Branch::default()));
        children.len() - 1
    });
    &mut children[at].1
}

/// Values of one row.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Row<'d> {
    values: [Option<Value<'d>>; Field::COUNT],
    /// Key for which `*` stands.
    pub(crate) key: Option<Key<'d>>,
    /// Set if a located key occurs twice.
    pub(crate) has_duplicate: bool,
    /// Set if a value that has to contain fields is neither object nor array as the paths expect.
    pub(crate) is_mismatch: bool,
}

impl<'d> Row<'d> {
    /// Value of a field, unless it is absent or null.
    #[inline]
    pub(crate) fn get(&self, field: Field) -> Option<Value<'d>> {
        self.values[field as usize].filter(|value| value.kind() != Kind::Null)
    }

    /// Returns whether no field was found.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.iter().all(Option::is_none)
    }
}

/// Elements that remain to be walked.
type Repeated<'p, 'd> = Option<(&'p (Step, Branch), Value<'d>)>;

impl Plan {
    pub(crate) fn new(fields: FieldMap) -> Self {
        let mut root = Branch::default();
        for (field, path) in fields.paths() {
            path.0.iter().fold(&mut root, |branch, step| branch.child(step)).fields.push(field);
        }
        let has_signed_sizes = !fields.is_own_form();
        Self { root, fields, is_recognized: false, has_signed_sizes }
    }

    /// The plan for fields that were recognised.
    pub(crate) fn recognized(fields: FieldMap) -> Self {
        Self { is_recognized: true, ..Self::new(fields) }
    }

    /// Returns whether the price is found by its place in an array.
    pub(crate) fn is_positional(&self) -> bool {
        self.fields.paths().any(|(field, path)| field == Field::Price && matches!(path.0.last(), Some(Step::Index(_))))
    }

    /// Calls `each` with every row of `message`, in order.
    pub(crate) fn rows<'d>(&self, message: Value<'d>, each: &mut impl FnMut(Row<'d>)) {
        walk(&self.root, message, Row::default(), each);
    }
}

/// Collects the fields of `value`, then repeats over its elements, or passes the row to `each` if there is nothing to
/// repeat over. The recursion is as deep as the paths.
fn walk<'d>(branch: &Branch, value: Value<'d>, mut row: Row<'d>, each: &mut impl FnMut(Row<'d>)) {
    let mut repeated = None;
    collect(branch, value, &mut row, &mut repeated);
    let Some((step_and_branch, container)) = repeated else { return each(row) };
    let (step, branch) = step_and_branch;
    if *step == Step::AnyKey {
        for (key, element) in container.entries() {
            row.key = Some(key);
            walk(branch, element, row, each);
        }
    } else {
        for element in container.elements() {
            walk(branch, element, row, each);
        }
    }
}

fn collect<'p, 'd>(branch: &'p Branch, value: Value<'d>, row: &mut Row<'d>, repeated: &mut Repeated<'p, 'd>) {
    for field in &branch.fields {
        row.has_duplicate |= row.values[*field as usize].replace(value).is_some();
    }
    let expected = match (&branch.repeated, branch.keys.is_empty(), branch.indexes.is_empty()) {
        (_, false, _) => Kind::Object,
        (_, _, false) => Kind::Array,
        (Some(repeated), ..) => {
            if repeated.0 == Step::AnyKey {
                Kind::Object
            } else {
                Kind::Array
            }
        }
        _ => return,
    };
    if value.kind() != expected {
        row.is_mismatch = true;
        return;
    }
    if let Some(step_and_branch) = &branch.repeated {
        *repeated = Some((step_and_branch, value));
    }
    if !branch.keys.is_empty() {
        for (key, child) in value.entries() {
            if let Some((_, branch)) = branch.keys.iter().find(|(name, _)| key.is(name)) {
                collect(branch, child, row, repeated);
            }
        }
    }
    if !branch.indexes.is_empty() {
        for (at, child) in value.elements().enumerate() {
            if let Some((_, branch)) = branch.indexes.iter().find(|(index, _)| *index == at) {
                collect(branch, child, row, repeated);
            }
        }
    }
}
