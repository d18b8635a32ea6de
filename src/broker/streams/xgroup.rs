//! XGROUP and XACK.

use bytes::Bytes;

use crate::broker::streams::group::Group;
use crate::broker::streams::{CommandError, CommandResult, KeyCommand, id, integer, no_group};
use crate::model::StreamId;

impl KeyCommand<'_> {
    pub(in crate::broker) fn xgroup_create(&mut self) -> CommandResult {
        let (is_mkstream, entries_read) = self.group_options(true)?;
        let (key, name) = (self.args.at(2), Bytes::copy_from_slice(self.args.at(3)));
        if !is_mkstream {
            self.require_key()?;
        }
        if self.args.len() > 8 {
            return Err(self.subcommand_error());
        }
        let group = Group::new(self.group_start(id::exact)?, entries_read);
        self.keyspace.create(key);
        if self.keyspace.group(key, &name).is_some() {
            return Err(CommandError::text("BUSYGROUP Consumer Group name already exists"));
        }
        self.keyspace.bytes += name.len() + group.bytes();
        if let Some(stream) = self.keyspace.streams.get_mut(key) {
            stream.groups.insert(name, group);
        }
        self.reply_ok()
    }

    pub(in crate::broker) fn xgroup_setid(&mut self) -> CommandResult {
        let (_, entries_read) = self.group_options(false)?;
        // As in Redis, this check precedes that of the arguments.
        self.edit_known_group(|_| ())?;
        if !matches!(self.args.len(), 5 | 7) {
            return Err(self.subcommand_error());
        }
        let id = self.group_start(|arg| id::parse(arg, 0))?;
        self.edit_known_group(|group| (group.last_id, group.entries_read) = (id, entries_read))?;
        self.reply_ok()
    }

    pub(in crate::broker) fn xgroup_destroy(&mut self) -> CommandResult {
        self.require_key()?;
        let (key, name) = (self.args.at(2), self.args.at(3));
        let group = self.keyspace.streams.get_mut(key).and_then(|stream| stream.groups.remove(name));
        if let Some(group) = &group {
            self.keyspace.bytes -= name.len() + group.bytes();
            self.keyspace.blocked.signal(key);
        }
        self.reply_count(usize::from(group.is_some()))
    }

    pub(in crate::broker) fn xgroup_createconsumer(&mut self) -> CommandResult {
        let (now_ms, name) = (self.now_ms, self.args.at(4));
        let is_new = self.edit_known_group(|group| {
            let is_new = !group.consumers.contains_key(name);
            if is_new {
                group.touch_consumer(name, now_ms);
            }
            is_new
        })?;
        self.reply_count(usize::from(is_new))
    }

    pub(in crate::broker) fn xgroup_delconsumer(&mut self) -> CommandResult {
        let name = self.args.at(4);
        let pending = self.edit_known_group(|group| group.delete_consumer(name))?;
        self.reply_count(pending)
    }

    pub(in crate::broker) fn xack(&mut self) -> CommandResult {
        let (key, group) = (self.args.at(1), self.args.at(2));
        if self.keyspace.group(key, group).is_none() {
            return self.reply_count(0);
        }
        let ids = self.ids(3)?;
        let acknowledge = |group: &mut Group, _: &_| ids.iter().filter(|id| group.acknowledge(**id)).count();
        let acknowledged = self.keyspace.edit_group(key, group, acknowledge);
        self.reply_count(acknowledged.unwrap_or(0))
    }

    /// Parses MKSTREAM and ENTRIESREAD behind the id.
    fn group_options(&self, is_create: bool) -> Result<(bool, Option<u64>), CommandError> {
        let (mut is_mkstream, mut entries_read, mut options) = (false, None, self.args.options(5));
        while !options.is_empty() {
            if is_create && options.take("mkstream", 0) {
                is_mkstream = true;
            } else if options.take("entriesread", 1) {
                entries_read = match integer(options.value())? {
                    -1 => None,
                    read @ 0.. => Some(read as u64),
                    _ => return Err(CommandError::text("ERR value for ENTRIESREAD must be positive or -1")),
                };
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

    /// Changes the group that the command names, which must exist.
    fn edit_known_group<R>(&mut self, edit: impl FnOnce(&mut Group) -> R) -> Result<R, CommandError> {
        self.require_key()?;
        let (key, name) = (self.args.at(2), self.args.at(3));
        let edited = self.keyspace.edit_group(key, name, |group, _| edit(group));
        edited.ok_or_else(|| no_group(key, name))
    }
}
