//! XADD, XDEL and XTRIM.

use crate::broker::streams::entry_log::{EntryLog, NODE_ENTRIES_MAX, Trim, TrimTo};
use crate::broker::streams::id::{self, NewId};
use crate::broker::streams::{CommandError, CommandResult, KeyCommand, SYNTAX};
use crate::model::StreamId;

/// Most entries that an approximate trim without LIMIT removes, as in Redis: a hundred nodes.
const TRIM_LIMIT: i64 = 100 * NODE_ENTRIES_MAX as i64;

/// Options of XADD and XTRIM, and the id that ends those of XADD.
#[derive(Debug, Default)]
struct WriteOptions {
    no_mkstream: bool,
    to: Option<TrimTo>,
    is_approximate: bool,
    limit: Option<i64>,
    /// `None` for `*`.
    id: Option<NewId>,
}

impl WriteOptions {
    fn trim(&self) -> Option<Trim> {
        let limit = self.limit.unwrap_or(if self.is_approximate { TRIM_LIMIT } else { 0 });
        self.to.map(|to| Trim { to, is_approximate: self.is_approximate, limit })
    }

    fn check(&self, is_add: bool) -> CommandResult {
        let text = if self.to.is_none() && self.limit.is_some_and(|limit| limit != 0) {
            "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
        } else if self.to.is_none() && !is_add {
            "ERR syntax error, XTRIM must be called with a trimming strategy"
        } else if self.limit.is_some() && !self.is_approximate {
            "ERR syntax error, LIMIT cannot be used without the special ~ option"
        } else {
            return Ok(());
        };
        Err(CommandError::text(text))
    }
}

impl KeyCommand<'_> {
    pub(in crate::broker) fn xadd(&mut self) -> CommandResult {
        let (options, id_at) = self.write_options(true)?;
        let words = self.args.len().saturating_sub(id_at + 1);
        if words < 2 || words % 2 == 1 {
            return Err(CommandError::text("ERR wrong number of arguments for 'xadd' command"));
        }
        if matches!(options.id, Some(NewId { ms: 0, seq: Some(0) })) {
            return Err(CommandError::text("ERR The ID specified in XADD must be greater than 0-0"));
        }
        let key = self.args.at(1);
        if options.no_mkstream && self.keyspace.stream(key).is_none() {
            self.replies.null();
            return Ok(());
        }
        let id = new_id(self.keyspace.last_id(key), options.id, self.now_ms)?;
        self.keyspace.create(key);
        let pairs: Vec<&[u8]> = self.args.iter_from(id_at + 1).collect();
        let trim = options.trim();
        self.keyspace.edit_log(key, |log| {
            log.append(id, &pairs);
            trim.map_or(0, |trim| log.trim(&trim))
        });
        self.keyspace.blocked.signal(key);
        id::reply(self.replies, id);
        Ok(())
    }

    pub(in crate::broker) fn xtrim(&mut self) -> CommandResult {
        let (options, _) = self.write_options(false)?;
        let trim = options.trim().ok_or(SYNTAX)?;
        let deleted = self.keyspace.edit_log(self.args.at(1), |log| log.trim(&trim));
        self.replies.integer(deleted.unwrap_or(0));
        Ok(())
    }

    pub(in crate::broker) fn xdel(&mut self) -> CommandResult {
        let key = self.args.at(1);
        let mut deleted = 0;
        if self.keyspace.stream(key).is_some() {
            let ids: Vec<StreamId> = self.args.iter_from(2).map(id::exact).collect::<Result<_, _>>()?;
            let delete = |log: &mut EntryLog| ids.iter().filter(|id| log.delete(**id)).count();
            deleted = self.keyspace.edit_log(key, delete).unwrap_or(0);
        }
        self.replies.integer(deleted as i64);
        Ok(())
    }

    /// Parses the options of XADD and XTRIM. Returns the index of their end: XADD's id, or the end of the arguments.
    fn write_options(&self, is_add: bool) -> Result<(WriteOptions, usize), CommandError> {
        let (mut options, mut index) = (WriteOptions::default(), 2);
        while index < self.args.len() {
            let arg = self.args.at(index);
            if is_add && arg == b"*" {
                break;
            } else if self.has_option(index, "maxlen", 1) {
                index = self.trim_value(&mut options, index)?;
                let len = self.integer(index)?;
                if len < 0 {
                    return Err(CommandError::text("ERR The MAXLEN argument must be >= 0."));
                }
                options.to = Some(TrimTo::Len(len as u64));
            } else if self.has_option(index, "minid", 1) {
                index = self.trim_value(&mut options, index)?;
                options.to = Some(TrimTo::Id(id::exact(self.args.at(index))?));
            } else if self.has_option(index, "limit", 1) {
                index += 1;
                let limit = self.integer(index)?;
                if limit < 0 {
                    return Err(CommandError::text("ERR The LIMIT argument must be >= 0."));
                }
                options.limit = Some(limit);
            } else if is_add && self.is(index, "nomkstream") {
                options.no_mkstream = true;
            } else if is_add {
                options.id = Some(id::parse_new(arg, 0)?);
                break;
            } else {
                return Err(SYNTAX);
            }
            index += 1;
        }
        options.check(is_add)?;
        Ok((options, index))
    }

    /// Returns the index of the value of MAXLEN or MINID, which may follow `~` or `=`.
    fn trim_value(&self, options: &mut WriteOptions, index: usize) -> Result<usize, CommandError> {
        if options.to.is_some() {
            let text = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible";
            return Err(CommandError::text(text));
        }
        let mark = self.args.at(index + 1);
        let is_marked = self.args.len() - 1 - index >= 2 && matches!(mark, b"~" | b"=");
        options.is_approximate = is_marked && mark == b"~";
        Ok(index + 1 + usize::from(is_marked))
    }
}

/// Returns the id of a new entry after `last`: the wanted one, or one from the clock.
fn new_id(last: StreamId, wanted: Option<NewId>, now_ms: i64) -> Result<StreamId, CommandError> {
    let Some(after_last) = id::next(last) else {
        let text = "ERR The stream has exhausted the last possible ID, unable to add more items";
        return Err(CommandError::text(text));
    };
    let id = match wanted {
        None => after_last.max(StreamId { ms: now_ms as u64, seq: 0 }),
        Some(NewId { ms, seq: Some(seq) }) => StreamId { ms, seq },
        Some(NewId { ms, seq: None }) if ms != last.ms => StreamId { ms, seq: 0 },
        Some(NewId { seq: None, .. }) if last.seq == u64::MAX => {
            return Err(CommandError::text("ERR Elements are too large to be stored"));
        }
        Some(NewId { seq: None, .. }) => after_last,
    };
    if id <= last {
        let text = "ERR The ID specified in XADD is equal or smaller than the target stream top item";
        return Err(CommandError::text(text));
    }
    Ok(id)
}
