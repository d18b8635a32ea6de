//! Commands on keys of any type: DEL, EXISTS, TYPE, DBSIZE, KEYS, SCAN and FLUSHALL.

use bytes::Bytes;

use crate::broker::glob;
use crate::broker::streams::{CommandError, CommandResult, KeyCommand, SYNTAX, integer};

/// Keys that SCAN inspects if no COUNT is given.
const SCAN_COUNT: usize = 10;

impl KeyCommand<'_> {
    /// DEL and UNLINK.
    pub(in crate::broker) fn del(&mut self) -> CommandResult {
        let deleted = self.args.iter_from(1).filter(|key| self.keyspace.remove(key)).count();
        self.reply_count(deleted)
    }

    pub(in crate::broker) fn exists(&mut self) -> CommandResult {
        let found = self.args.iter_from(1).filter(|key| self.keyspace.stream(key).is_some()).count();
        self.reply_count(found)
    }

    pub(in crate::broker) fn type_of(&mut self) -> CommandResult {
        self.replies.simple(if self.keyspace.stream(self.args.at(1)).is_some() { "stream" } else { "none" });
        Ok(())
    }

    pub(in crate::broker) fn dbsize(&mut self) -> CommandResult {
        self.reply_count(self.keyspace.len())
    }

    pub(in crate::broker) fn keys(&mut self) -> CommandResult {
        let pattern = self.args.at(1);
        let keys: Vec<&Bytes> = self.keyspace.streams.keys().filter(|key| key_matches(pattern, key)).collect();
        self.replies.bulks(&keys);
        Ok(())
    }

    /// Returns keys in the order of their creation, so that a scan meets each key that exists throughout once.
    pub(in crate::broker) fn scan(&mut self) -> CommandResult {
        let cursor = std::str::from_utf8(self.args.at(1)).ok().and_then(|cursor| cursor.parse::<u64>().ok());
        let cursor = cursor.ok_or(CommandError::text("ERR invalid cursor"))?;
        let (mut count, mut pattern, mut is_type) = (SCAN_COUNT, &b"*"[..], true);
        let mut options = self.args.options(2);
        while !options.is_empty() {
            if options.take("count", 1) {
                let wanted = usize::try_from(integer(options.value())?).ok();
                count = wanted.filter(|count| *count > 0).ok_or(SYNTAX)?;
            } else if options.take("match", 1) {
                pattern = options.value();
            } else if options.take("type", 1) {
                is_type = options.value().eq_ignore_ascii_case(b"stream");
            } else {
                return Err(SYNTAX);
            }
        }
        let mut rest = self.keyspace.by_creation.range(cursor..);
        let inspected: Vec<&Bytes> = rest.by_ref().take(count).map(|(_, key)| key).collect();
        let keys: Vec<&Bytes> = inspected.into_iter().filter(|key| is_type && key_matches(pattern, key)).collect();
        let next = rest.next().map_or(0, |(creation, _)| *creation);
        self.replies.array(2).bulk(next.to_string()).bulks(&keys);
        Ok(())
    }

    /// FLUSHALL and FLUSHDB.
    pub(in crate::broker) fn flush(&mut self) -> CommandResult {
        let is_known = self.args.is(1, "sync") || self.args.is(1, "async");
        if self.args.len() > 2 || (self.args.len() == 2 && !is_known) {
            return Err(SYNTAX);
        }
        let keys: Vec<Bytes> = self.keyspace.streams.keys().cloned().collect();
        for key in keys {
            self.keyspace.remove(&key);
        }
        self.reply_ok()
    }
}

/// As in Redis, `*` matches the empty key as well.
fn key_matches(pattern: &[u8], key: &[u8]) -> bool {
    pattern == b"*" || glob::matches(pattern, key)
}
