//! XINFO STREAM, XINFO GROUPS and XINFO CONSUMERS.

use crate::broker::streams::read::write_entry;
use crate::broker::streams::{CommandResult, KeyCommand, NO_KEY, no_group};

impl KeyCommand<'_> {
    pub(in crate::broker) fn xinfo_stream(&mut self) -> CommandResult {
        let stream = self.keyspace.stream(self.args.at(2)).ok_or(NO_KEY)?;
        if self.args.len() > 3 {
            return Err(self.subcommand_error());
        }
        let (replies, log) = (&mut *self.replies, &stream.log);
        replies.map(8);
        replies.bulk("length").integer(log.len as i64);
        replies.bulk("last-generated-id").id(log.last_id);
        replies.bulk("max-deleted-entry-id").id(log.max_deleted_id);
        replies.bulk("entries-added").integer(log.added as i64);
        replies.bulk("recorded-first-entry-id").id(log.first_id());
        replies.bulk("groups").integer(stream.groups.len() as i64);
        for (name, entry) in [("first-entry", log.all().next()), ("last-entry", log.all().next_back())] {
            replies.bulk(name);
            match entry {
                Some((id, fields)) => write_entry(replies, id, fields),
                None => _ = replies.null(),
            }
        }
        Ok(())
    }

    pub(in crate::broker) fn xinfo_groups(&mut self) -> CommandResult {
        let stream = self.keyspace.stream(self.args.at(2)).ok_or(NO_KEY)?;
        let replies = self.replies.array(stream.groups.len());
        for (name, group) in &stream.groups {
            replies.map(6).bulk("name").bulk(name);
            replies.bulk("consumers").integer(group.consumers.len() as i64);
            replies.bulk("pending").integer(group.pending.len() as i64);
            replies.bulk("last-delivered-id").id(group.last_id);
            replies.bulk("entries-read").integer_or_null(group.entries_read.map(|read| read as i64));
            replies.bulk("lag").integer_or_null(group.lag(&stream.log));
        }
        Ok(())
    }

    pub(in crate::broker) fn xinfo_consumers(&mut self) -> CommandResult {
        let (key, name) = (self.args.at(2), self.args.at(3));
        let stream = self.keyspace.stream(key).ok_or(NO_KEY)?;
        let group = stream.groups.get(name).ok_or_else(|| no_group(key, name))?;
        let replies = self.replies.array(group.consumers.len());
        for (name, consumer) in &group.consumers {
            replies.map(3).bulk("name").bulk(name);
            replies.bulk("pending").integer(consumer.pending.len() as i64);
            replies.bulk("idle").integer(self.now_ms.wrapping_sub(consumer.last_seen_ms).max(0));
        }
        Ok(())
    }
}
