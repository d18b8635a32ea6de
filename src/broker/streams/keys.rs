//! Commands on keys of any type: DEL, EXISTS, TYPE, DBSIZE, KEYS, SCAN and FLUSHALL.

use bytes::Bytes;

use crate::broker::glob;
use crate::broker::streams::{CommandError, CommandResult, KeyCommand, SYNTAX};

/// Keys that SCAN inspects if no COUNT is given.
const SCAN_COUNT: usize = 10;

impl KeyCommand<'_> {
    /// DEL and UNLINK.
    pub(in crate::broker) fn del(&mut self) -> CommandResult {
        let deleted = self.args.iter_from(1).filter(|key| self.keyspace.remove(key)).count();
        self.replies.integer(deleted as i64);
        Ok(())
    }

    pub(in crate::broker) fn exists(&mut self) -> CommandResult {
        let found = self.args.iter_from(1).filter(|key| self.keyspace.stream(key).is_some()).count();
        self.replies.integer(found as i64);
        Ok(())
    }

    pub(in crate::broker) fn type_of(&mut self) -> CommandResult {
        self.replies.simple(if self.keyspace.stream(self.args.at(1)).is_some() { "stream" } else { "none" });
        Ok(())
    }

    pub(in crate::broker) fn dbsize(&mut self) -> CommandResult {
        self.replies.integer(self.keyspace.len() as i64);
        Ok(())
    }

    pub(in crate::broker) fn keys(&mut self) -> CommandResult {
        let pattern = self.args.at(1);
        let keys: Vec<&Bytes> = self.keyspace.streams.keys().filter(|key| key_matches(pattern, key)).collect();
        self.replies.array(keys.len());
        for key in keys {
            self.replies.bulk(key);
        }
        Ok(())
    }

    /// Returns keys in the order of their creation, so that a scan meets each key that exists throughout once.
    pub(in crate::broker) fn scan(&mut self) -> CommandResult {
        let cursor = std::str::from_utf8(self.args.at(1)).ok().and_then(|cursor| cursor.parse::<u64>().ok());
        let cursor = cursor.ok_or(CommandError::text("ERR invalid cursor"))?;
        let (mut count, mut pattern, mut is_type, mut index) = (SCAN_COUNT, &b"*"[..], true, 2);
        while index < self.args.len() {
            if self.has_option(index, "count", 1) {
                count = usize::try_from(self.integer(index + 1)?).ok().filter(|count| *count > 0).ok_or(SYNTAX)?;
            } else if self.has_option(index, "match", 1) {
                pattern = self.args.at(index + 1);
            } else if self.has_option(index, "type", 1) {
                is_type = self.is(index + 1, "stream");
            } else {
                return Err(SYNTAX);
            }
            index += 2;
        }
        let mut rest = self.keyspace.by_creation.range(cursor..).map(|(creation, key)| (*creation, key));
        let inspected: Vec<(u64, &Bytes)> = rest.by_ref().take(count).collect();
        let keys = inspected.iter().filter(|(_, key)| is_type && key_matches(pattern, key));
        self.replies.array(2);
        self.replies.bulk(rest.next().map_or(0, |(creation, _)| creation).to_string());
        self.replies.array(keys.clone().count());
        keys.for_each(|(_, key)| self.replies.bulk(key));
        Ok(())
    }

    /// FLUSHALL and FLUSHDB.
    pub(in crate::broker) fn flush(&mut self) -> CommandResult {
        match self.args.len() {
            1 => {}
            2 if self.is(1, "sync") || self.is(1, "async") => {}
            _ => return Err(SYNTAX),
        }
        let keys: Vec<Bytes> = self.keyspace.streams.keys().cloned().collect();
        for key in keys {
            self.keyspace.remove(&key);
        }
        self.replies.simple("OK");
        Ok(())
    }
}

/// As in Redis, `*` matches the empty key as well.
fn key_matches(pattern: &[u8], key: &[u8]) -> bool {
    pattern == b"*" || glob::matches(pattern, key)
}
