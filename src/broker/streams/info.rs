//! XINFO STREAM, XINFO GROUPS and XINFO CONSUMERS.

use crate::broker::streams::read::write_entry;
use crate::broker::streams::{CommandResult, KeyCommand, NO_KEY, id};
use crate::model::StreamId;
use crate::resp::encode::Encoder;

impl KeyCommand<'_> {
    pub(in crate::broker) fn xinfo_stream(&mut self) -> CommandResult {
        let stream = self.keyspace.stream(self.args.at(2)).ok_or(NO_KEY)?;
        if self.args.len() > 3 {
            return Err(self.subcommand_error());
        }
        let (replies, log) = (&mut *self.replies, &stream.log);
        replies.map(8);
        named_integer(replies, "length", Some(log.len() as i64));
        named_id(replies, "last-generated-id", log.last_id);
        named_id(replies, "max-deleted-entry-id", log.max_deleted_id);
        named_integer(replies, "entries-added", Some(log.added as i64));
        named_id(replies, "recorded-first-entry-id", log.first_id());
        named_integer(replies, "groups", Some(stream.groups.len() as i64));
        for (name, entry) in [("first-entry", log.all().next()), ("last-entry", log.all().next_back())] {
            replies.bulk(name);
            match entry {
                Some((id, fields)) => write_entry(replies, id, fields),
                None => replies.null(),
            }
        }
        Ok(())
    }

    pub(in crate::broker) fn xinfo_groups(&mut self) -> CommandResult {
        let stream = self.keyspace.stream(self.args.at(2)).ok_or(NO_KEY)?;
        self.replies.array(stream.groups.len());
        for (name, group) in &stream.groups {
            self.replies.map(6);
            self.replies.bulk("name");
            self.replies.bulk(name);
            named_integer(self.replies, "consumers", Some(group.consumers().len() as i64));
            named_integer(self.replies, "pending", Some(group.pending().len() as i64));
            named_id(self.replies, "last-delivered-id", group.last_id);
            named_integer(self.replies, "entries-read", group.entries_read.map(|read| read as i64));
            named_integer(self.replies, "lag", group.lag(&stream.log));
        }
        Ok(())
    }

    pub(in crate::broker) fn xinfo_consumers(&mut self) -> CommandResult {
        let key = self.args.at(2);
        self.keyspace.stream(key).ok_or(NO_KEY)?;
        let group = self.keyspace.known_group(key, self.args.at(3))?;
        self.replies.array(group.consumers().len());
        for (name, consumer) in group.consumers() {
            self.replies.map(3);
            self.replies.bulk("name");
            self.replies.bulk(name);
            named_integer(self.replies, "pending", Some(consumer.pending.len() as i64));
            named_integer(self.replies, "idle", Some(self.now_ms.wrapping_sub(consumer.last_seen_ms).max(0)));
        }
        Ok(())
    }
}

fn named_integer(replies: &mut Encoder, name: &str, value: Option<i64>) {
    replies.bulk(name);
    match value {
        Some(value) => replies.integer(value),
        None => replies.null(),
    }
}

fn named_id(replies: &mut Encoder, name: &str, id: StreamId) {
    replies.bulk(name);
    id::reply(replies, id);
}
