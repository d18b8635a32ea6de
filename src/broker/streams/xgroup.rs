//! XGROUP and XACK.

use bytes::Bytes;

use crate::broker::streams::group::Group;
use crate::broker::streams::id;
use crate::broker::streams::{CommandError, CommandResult, KeyCommand};
use crate::model::StreamId;

impl KeyCommand<'_> {
    pub(in crate::broker) fn xgroup_create(&mut self) -> CommandResult {
        let (is_mkstream, entries_read) = self.group_options(true)?;
        let (key, group) = (self.args.at(2), self.args.at(3));
        if !is_mkstream {
            self.require_key()?;
        }
        if self.args.len() > 8 {
            return Err(self.subcommand_error());
        }
        let id = self.group_start(id::exact)?;
        self.keyspace.create(key);
        if self.keyspace.group(key, group).is_some() {
            return Err(CommandError::text("BUSYGROUP Consumer Group name already exists"));
        }
        let name = Bytes::copy_from_slice(group);
        let group = Group::new(id, entries_read);
        self.keyspace.bytes += name.len() + group.bytes();
        if let Some(stream) = self.keyspace.streams.get_mut(key) {
            stream.groups.insert(name, group);
        }
        self.replies.simple("OK");
        Ok(())
    }

    pub(in crate::broker) fn xgroup_setid(&mut self) -> CommandResult {
        let (_, entries_read) = self.group_options(false)?;
        self.require_group()?;
        if !matches!(self.args.len(), 5 | 7) {
            return Err(self.subcommand_error());
        }
        let id = self.group_start(|arg| id::parse(arg, 0))?;
        self.keyspace.edit_group(self.args.at(2), self.args.at(3), |group, _| {
            group.last_id = id;
            group.entries_read = entries_read;
        });
        self.replies.simple("OK");
        Ok(())
    }

    pub(in crate::broker) fn xgroup_destroy(&mut self) -> CommandResult {
        self.require_key()?;
        let (key, name) = (self.args.at(2), self.args.at(3));
        let group = self.keyspace.streams.get_mut(key).and_then(|stream| stream.groups.remove(name));
        if let Some(group) = &group {
            self.keyspace.bytes -= name.len() + group.bytes();
            self.keyspace.blocked.signal(key);
        }
        self.replies.integer(i64::from(group.is_some()));
        Ok(())
    }

    pub(in crate::broker) fn xgroup_createconsumer(&mut self) -> CommandResult {
        self.require_group()?;
        let (now_ms, name) = (self.now_ms, self.args.at(4));
        let create = |group: &mut Group, _: &_| group.create_consumer(name, now_ms);
        let is_new = self.keyspace.edit_group(self.args.at(2), self.args.at(3), create);
        self.replies.integer(i64::from(is_new == Some(true)));
        Ok(())
    }

    pub(in crate::broker) fn xgroup_delconsumer(&mut self) -> CommandResult {
        self.require_group()?;
        let name = self.args.at(4);
        let delete = |group: &mut Group, _: &_| group.delete_consumer(name);
        let pending = self.keyspace.edit_group(self.args.at(2), self.args.at(3), delete);
        self.replies.integer(pending.unwrap_or(0) as i64);
        Ok(())
    }

    pub(in crate::broker) fn xack(&mut self) -> CommandResult {
        let (key, group) = (self.args.at(1), self.args.at(2));
        if self.keyspace.group(key, group).is_none() {
            self.replies.integer(0);
            return Ok(());
        }
        let ids: Vec<StreamId> = self.args.iter_from(3).map(id::exact).collect::<Result<_, _>>()?;
        let acknowledge = |group: &mut Group, _: &_| ids.iter().filter(|id| group.acknowledge(**id)).count();
        let acknowledged = self.keyspace.edit_group(key, group, acknowledge);
        self.replies.integer(acknowledged.unwrap_or(0) as i64);
        Ok(())
    }

    /// Parses MKSTREAM and ENTRIESREAD behind the id.
    fn group_options(&self, is_create: bool) -> Result<(bool, Option<u64>), CommandError> {
        let (mut is_mkstream, mut entries_read, mut index) = (false, None, 5);
        while index < self.args.len() {
            if is_create && self.is(index, "mkstream") {
                is_mkstream = true;
                index += 1;
            } else if self.has_option(index, "entriesread", 1) {
                entries_read = match self.integer(index + 1)? {
                    -1 => None,
                    read @ 0.. => Some(read as u64),
                    _ => return Err(CommandError::text("ERR value for ENTRIESREAD must be positive or -1")),
                };
                index += 2;
            } else {
                return Err(self.subcommand_error());
            }
        }
        Ok((is_mkstream, entries_read))
    }

    /// Parses the id after which a group starts; `$` is the stream's last one.
    fn group_start(&self, parse: fn(&[u8]) -> Result<StreamId, CommandError>) -> Result<StreamId, CommandError> {
        match self.args.at(4) {
            b"$" => Ok(self.keyspace.last_id(self.args.at(2))),
            id => parse(id),
        }
    }

    fn require_key(&self) -> CommandResult {
        if self.keyspace.stream(self.args.at(2)).is_some() {
            return Ok(());
        }
        Err(CommandError::text(
            "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the \
             MKSTREAM option to create an empty stream automatically.",
        ))
    }

    fn require_group(&self) -> CommandResult {
        self.require_key()?;
        self.keyspace.known_group(self.args.at(2), self.args.at(3)).map(drop)
    }
}
