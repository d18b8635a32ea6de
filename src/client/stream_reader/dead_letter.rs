//! An entry that nobody can deal with, as a copy that outlives the answer that brought it.

use crate::client::stream_reader::Entry;
use crate::model::StreamId;

/// An entry on its way to the dead letters.
#[derive(Debug, Clone)]
pub(super) struct DeadLetter {
    pub(super) id: StreamId,
    pub(super) fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) reason: &'static str,
    pub(super) deliveries: u64,
}

impl DeadLetter {
    pub(super) fn of(entry: &Entry<'_>, reason: &'static str, deliveries: u64) -> Self {
        let fields = entry.fields.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        Self { id: entry.id, fields, reason, deliveries }
    }

    pub(super) fn entry(&self) -> Entry<'_> {
        Entry { id: self.id, fields: self.fields.iter().map(|(name, value)| (&name[..], &value[..])).collect() }
    }
}
