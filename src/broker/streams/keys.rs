//! DEL, EXISTS, TYPE, DBSIZE, KEYS, SCAN, FLUSHALL: keys whatever they hold, which is streams.

use bytes::Bytes;

use crate::broker::glob;
use crate::broker::streams::{Answer, Call, Refusal, SYNTAX, is, word};

/// Keys that SCAN looks at if no COUNT is given.
const SCAN_COUNT: usize = 10;

impl Call<'_> {
    /// DEL and UNLINK.
    pub(super) fn del(&mut self) {
        let deleted = self.args.iter_from(1).filter(|key| self.space.remove(key)).count();
        self.out.integer(deleted as i64);
    }

    pub(super) fn exists(&mut self) {
        let found = self.args.iter_from(1).filter(|key| self.space.stream(key).is_some()).count();
        self.out.integer(found as i64);
    }

    pub(super) fn type_of(&mut self) {
        self.out.simple(if self.space.stream(self.args.at(1)).is_some() { "stream" } else { "none" });
    }

    pub(super) fn dbsize(&mut self) {
        self.out.integer(self.space.len() as i64);
    }

    pub(super) fn keys(&mut self) {
        let (pattern, start, mut found) = (self.args.at(1), self.out.len(), 0);
        for key in self.space.streams.keys().filter(|key| glob_matches(pattern, key)) {
            self.out.bulk(key);
            found += 1;
        }
        self.out.array_from(start, found);
    }

    /// Keys in the order in which they were made, so that a scan meets each key that is there all the while once.
    pub(super) fn scan(&mut self) -> Answer {
        let cursor = cursor(self.args.at(1)).ok_or(Refusal::fixed("ERR invalid cursor"))?;
        let (mut count, mut pattern, mut kind, mut index) = (SCAN_COUNT, &b"*"[..], None, 2);
        while index < self.args.len() {
            if self.has_option(index, "count", 1) {
                count = usize::try_from(self.integer(index + 1)?).ok().filter(|count| *count > 0).ok_or(SYNTAX)?;
            } else if self.has_option(index, "match", 1) {
                pattern = self.args.at(index + 1);
            } else if self.has_option(index, "type", 1) {
                kind = Some(self.args.at(index + 1));
            } else {
                return Err(SYNTAX);
            }
            index += 2;
        }
        let mut rest = self.space.by_birth.range(cursor..);
        let seen: Vec<&Bytes> = rest.by_ref().take(count).map(|(_, key)| key).collect();
        let next = rest.next().map_or(0, |(birth, _)| *birth);
        self.out.array(2);
        self.out.bulk(next.to_string());
        let is_kind = kind.is_none_or(|kind| is(kind, "stream"));
        let start = self.out.len();
        let mut found = 0;
        for key in seen.into_iter().filter(|key| is_kind && glob_matches(pattern, key)) {
            self.out.bulk(key);
            found += 1;
        }
        self.out.array_from(start, found);
        Ok(())
    }

    /// FLUSHALL and FLUSHDB.
    pub(super) fn flush(&mut self) -> Answer {
        match self.args.len() {
            1 => {}
            2 if is(self.args.at(1), "sync") || is(self.args.at(1), "async") => {}
            _ => return Err(SYNTAX),
        }
        let keys: Vec<Bytes> = self.space.streams.keys().cloned().collect();
        for key in keys {
            self.space.remove(&key);
        }
        self.out.simple("OK");
        Ok(())
    }
}

/// As Redis, which does not look at a key if every key matches.
fn glob_matches(pattern: &[u8], key: &[u8]) -> bool {
    pattern == b"*" || glob::matches(pattern, key)
}

/// A cursor as C's `strtoul` reads it, of which only what SCAN has handed out matters.
fn cursor(text: &[u8]) -> Option<u64> {
    let text = word(text);
    if text.first().is_some_and(u8::is_ascii_whitespace) {
        return None;
    }
    if text.is_empty() { Some(0) } else { std::str::from_utf8(text).ok()?.parse().ok() }
}
