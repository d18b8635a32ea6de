//! Entries to be moved to the dead letters.

use crate::client::stream_reader::Entry;
use crate::model::StreamId;

/// Copy of an entry that outlives the reply.
#[derive(Debug, Clone)]
pub(super) struct DeadLetter {
    pub(super) id: StreamId,
    pub(super) fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) reason: &'static str,
    /// Number of times that the entry was delivered.
    pub(super) deliveries: u64,
}

impl DeadLetter {
    pub(super) fn new(entry: &Entry<'_>, reason: &'static str, deliveries: u64) -> Self {
        let fields = entry.fields.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        Self { id: entry.id, fields, reason, deliveries }
    }

    pub(super) fn entry(&self) -> Entry<'_> {
        Entry { id: self.id, fields: self.fields.iter().map(|(name, value)| (&name[..], &value[..])).collect() }
    }
}
