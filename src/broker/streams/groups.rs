//! XGROUP and XACK: groups, their consumers, and what is done with.

use crate::broker::streams::group::Group;
use crate::broker::streams::id;
use crate::broker::streams::write::strict;
use crate::broker::streams::{Answer, Call, Refusal, is};
use crate::model::StreamId;

impl Call<'_> {
    pub(super) fn xgroup_create(&mut self) -> Answer {
        let (is_mkstream, entries_read) = self.group_options(true)?;
        let (key, group) = (self.args.at(2), self.args.at(3));
        if !is_mkstream {
            self.require_key()?;
        }
        if self.args.len() > 8 {
            return Err(self.wrong_subcommand());
        }
        let id = self.group_start(strict)?;
        self.space.create(key);
        if self.space.group(key, group).is_some() {
            return Err(Refusal::fixed("BUSYGROUP Consumer Group name already exists"));
        }
        let name = bytes::Bytes::copy_from_slice(group);
        let group = Group::new(id, entries_read);
        self.space.bytes += name.len() + group.bytes();
        if let Some(stream) = self.space.streams.get_mut(key) {
            stream.groups.insert(name, group);
        }
        self.out.simple("OK");
        Ok(())
    }

    pub(super) fn xgroup_setid(&mut self) -> Answer {
        let (_, entries_read) = self.group_options(false)?;
        self.require_group()?;
        if !matches!(self.args.len(), 5 | 7) {
            return Err(self.wrong_subcommand());
        }
        let id = self.group_start(|arg| id::parse(arg, 0))?;
        self.space.edit_group(self.args.at(2), self.args.at(3), |group, _| {
            group.last_id = id;
            group.entries_read = entries_read;
        });
        self.out.simple("OK");
        Ok(())
    }

    pub(super) fn xgroup_destroy(&mut self) -> Answer {
        self.require_key()?;
        let (key, name) = (self.args.at(2), self.args.at(3));
        let group = self.space.streams.get_mut(key).and_then(|stream| stream.groups.remove(name));
        if let Some(group) = &group {
            self.space.bytes -= name.len() + group.bytes();
            self.space.waiting.signal(key);
        }
        self.out.integer(i64::from(group.is_some()));
        Ok(())
    }

    pub(super) fn xgroup_createconsumer(&mut self) -> Answer {
        self.require_group()?;
        let (now_ms, name) = (self.now_ms, self.args.at(4));
        let create = |group: &mut Group, _: &_| group.create_consumer(name, now_ms);
        let is_new = self.space.edit_group(self.args.at(2), self.args.at(3), create);
        self.out.integer(i64::from(is_new == Some(true)));
        Ok(())
    }

    pub(super) fn xgroup_delconsumer(&mut self) -> Answer {
        self.require_group()?;
        let name = self.args.at(4);
        let pending = self.space.edit_group(self.args.at(2), self.args.at(3), |group, _| group.delete_consumer(name));
        self.out.integer(pending.unwrap_or(0) as i64);
        Ok(())
    }

    pub(super) fn xack(&mut self) -> Answer {
        let (key, group) = (self.args.at(1), self.args.at(2));
        if self.space.group(key, group).is_none() {
            self.out.integer(0);
            return Ok(());
        }
        let ids: Vec<StreamId> = self.args.iter_from(3).map(strict).collect::<Result<_, _>>()?;
        let settle = |group: &mut Group, _: &_| ids.iter().filter(|id| group.settle(**id)).count();
        let settled = self.space.edit_group(key, group, settle);
        self.out.integer(settled.unwrap_or(0) as i64);
        Ok(())
    }

    /// MKSTREAM and ENTRIESREAD behind the id.
    fn group_options(&self, is_create: bool) -> Result<(bool, Option<u64>), Refusal> {
        let (mut is_mkstream, mut entries_read, mut index) = (false, None, 5);
        while index < self.args.len() {
            if is_create && is(self.args.at(index), "mkstream") {
                is_mkstream = true;
                index += 1;
            } else if self.has_option(index, "entriesread", 1) {
                entries_read = match self.integer(index + 1)? {
                    -1 => None,
                    read @ 0.. => Some(read as u64),
                    _ => return Err(Refusal::fixed("ERR value for ENTRIESREAD must be positive or -1")),
                };
                index += 2;
            } else {
                return Err(self.wrong_subcommand());
            }
        }
        Ok((is_mkstream, entries_read))
    }

    /// The id that a group is to start behind; `$` is the stream's last one.
    fn group_start(&self, parse: impl Fn(&[u8]) -> Result<StreamId, Refusal>) -> Result<StreamId, Refusal> {
        match crate::broker::streams::word(self.args.at(4)) {
            b"$" => Ok(self.space.stream(self.args.at(2)).map_or(StreamId::START, |stream| stream.log.last_id)),
            _ => parse(self.args.at(4)),
        }
    }

    fn require_key(&self) -> Answer {
        if self.space.stream(self.args.at(2)).is_some() {
            return Ok(());
        }
        Err(Refusal::fixed(
            "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the \
             MKSTREAM option to create an empty stream automatically.",
        ))
    }

    fn require_group(&self) -> Answer {
        self.require_key()?;
        self.known_group(self.args.at(2), self.args.at(3))
    }

    /// As XGROUP and XINFO word it.
    pub(super) fn known_group(&self, key: &[u8], group: &[u8]) -> Answer {
        if self.space.group(key, group).is_some() {
            return Ok(());
        }
        let parts = [b"NOGROUP No such consumer group '", group, b"' for key name '", key, b"'"];
        Err(Refusal::joined(&parts))
    }
}
