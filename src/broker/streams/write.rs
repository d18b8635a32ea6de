//! XADD, XDEL and XTRIM.

use crate::broker::streams::entry_log::{EntryLog, NODE_ENTRIES_MAX, Trim, TrimTo};
use crate::broker::streams::id::{self, NewId};
use crate::broker::streams::{CommandError, CommandResult, KeyCommand, SYNTAX, integer};
use crate::model::StreamId;

/// Most entries that an approximate trim without LIMIT removes, as in Redis: a hundred nodes.
const TRIM_LIMIT: u64 = 100 * NODE_ENTRIES_MAX as u64;

/// Options of XADD and XTRIM.
#[derive(Debug)]
struct WriteOptions {
    no_mkstream: bool,
    trim: Option<Trim>,
    /// `None` for `*`.
    id: Option<NewId>,
    /// Index of the argument behind the options and XADD's id.
    end: usize,
}

impl KeyCommand<'_> {
    pub(in crate::broker) fn xadd(&mut self) -> CommandResult {
        let WriteOptions { no_mkstream, trim, id, end } = self.write_options(true)?;
        let pairs: Vec<&[u8]> = self.args.iter_from(end).collect();
        if pairs.is_empty() || pairs.len() % 2 == 1 {
            return Err(CommandError::text("ERR wrong number of arguments for 'xadd' command"));
        }
        if matches!(id, Some(NewId { ms: 0, seq: Some(0) })) {
            return Err(CommandError::text("ERR The ID specified in XADD must be greater than 0-0"));
        }
        let key = self.args.at(1);
        if no_mkstream && self.keyspace.stream(key).is_none() {
            self.replies.null();
            return Ok(());
        }
        let id = new_id(self.keyspace.last_id(key), id, self.now_ms)?;
        self.keyspace.create(key);
        self.keyspace.edit_log(key, |log| {
            log.append(id, &pairs);
            trim.map_or(0, |trim| log.trim(&trim))
        });
        self.keyspace.blocked.signal(key);
        self.replies.id(id);
        Ok(())
    }

    pub(in crate::broker) fn xtrim(&mut self) -> CommandResult {
        let trim = self.write_options(false)?.trim.ok_or(SYNTAX)?;
        let deleted = self.keyspace.edit_log(self.args.at(1), |log| log.trim(&trim));
        self.reply_count(deleted.unwrap_or(0) as usize)
    }

    pub(in crate::broker) fn xdel(&mut self) -> CommandResult {
        let key = self.args.at(1);
        if self.keyspace.stream(key).is_none() {
            return self.reply_count(0);
        }
        let ids = self.ids(2)?;
        let delete = |log: &mut EntryLog| ids.iter().filter(|id| log.delete(**id)).count();
        let deleted = self.keyspace.edit_log(key, delete);
        self.reply_count(deleted.unwrap_or(0))
    }

    /// Parses the options of XADD and XTRIM, up to XADD's id or the end of the arguments.
    fn write_options(&self, is_add: bool) -> Result<WriteOptions, CommandError> {
        let (mut no_mkstream, mut to, mut is_approximate, mut limit, mut id) = (false, None, false, None, None);
        let mut options = self.args.options(2);
        while !(options.is_empty() || (is_add && options.take("*", 0))) {
            let is_len = options.take("maxlen", 1);
            if is_len || options.take("minid", 1) {
                if to.is_some() {
                    let text = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible";
                    return Err(CommandError::text(text));
                }
                is_approximate = options.take("~", 1);
                if !is_approximate {
                    options.take("=", 1);
                }
                to = Some(if is_len {
                    TrimTo::Len(natural(options.value(), "ERR The MAXLEN argument must be >= 0.")?)
                } else {
                    TrimTo::Id(id::exact(options.value())?)
                });
            } else if options.take("limit", 1) {
                limit = Some(natural(options.value(), "ERR The LIMIT argument must be >= 0.")?);
            } else if is_add && options.take("nomkstream", 0) {
                no_mkstream = true;
            } else if is_add {
                id = Some(id::parse_new(options.value(), 0)?);
                break;
            } else {
                return Err(SYNTAX);
            }
        }
        let text = if to.is_none() && limit.is_some_and(|limit| limit != 0) {
            "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
        } else if to.is_none() && !is_add {
            "ERR syntax error, XTRIM must be called with a trimming strategy"
        } else if limit.is_some() && !is_approximate {
            "ERR syntax error, LIMIT cannot be used without the special ~ option"
        } else {
            let limit = limit.unwrap_or(if is_approximate { TRIM_LIMIT } else { 0 });
            let trim = to.map(|to| Trim { to, is_approximate, limit });
            return Ok(WriteOptions { no_mkstream, trim, id, end: options.index() });
        };
        Err(CommandError::text(text))
    }
}

/// Parses an integer; `text` is the error if it is negative.
fn natural(word: &[u8], text: &'static str) -> Result<u64, CommandError> {
    u64::try_from(integer(word)?).map_err(|_| CommandError::text(text))
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
