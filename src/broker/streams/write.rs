//! XADD, XDEL, XTRIM, XSETID: what changes a stream's entries.

use crate::broker::streams::id;
use crate::broker::streams::id::NewId;
use crate::broker::streams::log::{NODE_ENTRIES_MAX, Trim, TrimTo};
use crate::broker::streams::{Answer, Call, Refusal, SYNTAX, is, word};
use crate::model::StreamId;

/// Most entries that an approximate trim removes if no limit is given, as in Redis: a hundred nodes.
const TRIM_LIMIT: i64 = 100 * NODE_ENTRIES_MAX as i64;

const INCOMPATIBLE: Refusal =
    Refusal::fixed("ERR syntax error, MAXLEN and MINID options at the same time are not compatible");

/// The options that XADD and XTRIM share, and the id that ends those of XADD.
#[derive(Debug, Default)]
struct Options {
    no_mkstream: bool,
    to: Option<TrimTo>,
    is_approximate: bool,
    limit: Option<i64>,
    /// `None` for `*`.
    id: Option<NewId>,
}

impl Options {
    fn trim(&self) -> Option<Trim> {
        let limit = self.limit.unwrap_or(if self.is_approximate { TRIM_LIMIT } else { 0 });
        self.to.map(|to| Trim { to, is_approximate: self.is_approximate, limit })
    }

    fn check_limit(&self, is_add: bool) -> Answer {
        let text = if self.to.is_none() && self.limit.is_some_and(|limit| limit != 0) {
            "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
        } else if self.to.is_none() && !is_add {
            "ERR syntax error, XTRIM must be called with a trimming strategy"
        } else if self.limit.is_some() && !self.is_approximate {
            "ERR syntax error, LIMIT cannot be used without the special ~ option"
        } else {
            return Ok(());
        };
        Err(Refusal::fixed(text))
    }
}

impl Call<'_> {
    pub(super) fn xadd(&mut self) -> Answer {
        let (options, id_at) = self.options(true)?;
        let words = self.args.len().saturating_sub(id_at + 1);
        if words < 2 || words % 2 == 1 {
            return Err(Self::wrong_arity("xadd"));
        }
        if matches!(options.id, Some(NewId { ms: 0, seq: Some(0) })) {
            return Err(Refusal::fixed("ERR The ID specified in XADD must be greater than 0-0"));
        }
        let key = self.args.at(1);
        let last_id = match self.space.stream(key) {
            Some(stream) => stream.log.last_id,
            None if options.no_mkstream => {
                self.out.null();
                return Ok(());
            }
            None => StreamId::START,
        };
        let id = new_id(last_id, options.id, self.now_ms)?;
        self.space.create(key);
        let pairs: Vec<&[u8]> = self.args.iter_from(id_at + 1).collect();
        let trim = options.trim();
        self.space.edit_log(key, |log| {
            log.append(id, &pairs);
            trim.map_or(0, |trim| log.trim(&trim))
        });
        self.space.note_change(key);
        self.space.waiting.signal(key);
        id::reply(self.out, id);
        Ok(())
    }

    pub(super) fn xtrim(&mut self) -> Answer {
        let (options, _) = self.options(false)?;
        let Some(trim) = options.trim() else { return Err(SYNTAX) };
        let key = self.args.at(1);
        let deleted = self.space.edit_log(key, |log| log.trim(&trim)).unwrap_or(0);
        if deleted > 0 {
            self.space.note_change(key);
        }
        self.out.integer(deleted);
        Ok(())
    }

    pub(super) fn xdel(&mut self) -> Answer {
        let key = self.args.at(1);
        if self.space.stream(key).is_none() {
            self.out.integer(0);
            return Ok(());
        }
        let ids: Vec<StreamId> = self.args.iter_from(2).map(strict).collect::<Result<_, _>>()?;
        let delete = |log: &mut crate::broker::streams::Log| ids.iter().filter(|id| log.delete(**id)).count();
        let deleted = self.space.edit_log(key, delete).unwrap_or(0);
        if deleted > 0 {
            self.space.note_change(key);
        }
        self.out.integer(deleted as i64);
        Ok(())
    }

    pub(super) fn xsetid(&mut self) -> Answer {
        let id = strict(self.args.at(2))?;
        let (mut added, mut max_deleted, mut index) = (None, StreamId::START, 3);
        while index < self.args.len() {
            if self.has_option(index, "entriesadded", 1) {
                added = Some(self.integer(index + 1)?);
                if added < Some(0) {
                    return Err(Refusal::fixed("ERR entries_added must be positive"));
                }
            } else if self.has_option(index, "maxdeletedid", 1) {
                max_deleted = strict(self.args.at(index + 1))?;
                if id < max_deleted {
                    let text = "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id";
                    return Err(Refusal::fixed(text));
                }
            } else {
                return Err(SYNTAX);
            }
            index += 2;
        }
        let key = self.args.at(1);
        let stream = self.space.stream(key).ok_or(crate::broker::streams::NO_KEY)?;
        if stream.log.last_live_id().is_some_and(|last| id < last) {
            let text = "ERR The ID specified in XSETID is smaller than the target stream top item";
            return Err(Refusal::fixed(text));
        }
        if stream.log.len() > 0 && added.is_some_and(|added| stream.log.len() > added as u64) {
            let text = "ERR The entries_added specified in XSETID is smaller than the target stream length";
            return Err(Refusal::fixed(text));
        }
        self.space.edit_log(key, |log| {
            log.last_id = id;
            log.added = added.map_or(log.added, |added| added as u64);
            if max_deleted != StreamId::START {
                log.max_deleted_id = max_deleted;
            }
        });
        self.out.simple("OK");
        Ok(())
    }

    /// The options of XADD and XTRIM, and where they end: at XADD's id, or behind the last argument.
    fn options(&self, is_add: bool) -> Result<(Options, usize), Refusal> {
        let (mut options, mut index) = (Options::default(), 2);
        while index < self.args.len() {
            let arg = self.args.at(index);
            if is_add && word(arg) == b"*" {
                break;
            } else if self.has_option(index, "maxlen", 1) {
                index = self.trim_value(&mut options, index)?;
                let len = self.integer(index)?;
                if len < 0 {
                    return Err(Refusal::fixed("ERR The MAXLEN argument must be >= 0."));
                }
                options.to = Some(TrimTo::Len(len as u64));
            } else if self.has_option(index, "minid", 1) {
                index = self.trim_value(&mut options, index)?;
                options.to = Some(TrimTo::Id(strict(self.args.at(index))?));
            } else if self.has_option(index, "limit", 1) {
                index += 1;
                let limit = self.integer(index)?;
                if limit < 0 {
                    return Err(Refusal::fixed("ERR The LIMIT argument must be >= 0."));
                }
                options.limit = Some(limit);
            } else if is_add && is(arg, "nomkstream") {
                options.no_mkstream = true;
            } else if is_add {
                options.id = Some(strict_new(arg)?);
                break;
            } else {
                return Err(SYNTAX);
            }
            index += 1;
        }
        options.check_limit(is_add)?;
        Ok((options, index))
    }

    /// Where the value of MAXLEN or MINID stands, behind `~` or `=` if there is one.
    fn trim_value(&self, options: &mut Options, index: usize) -> Result<usize, Refusal> {
        if options.to.is_some() {
            return Err(INCOMPATIBLE);
        }
        let mark = word(self.args.at(index + 1));
        let is_marked = self.args.len() - 1 - index >= 2 && matches!(mark, b"~" | b"=");
        options.is_approximate = is_marked && mark == b"~";
        Ok(index + 1 + usize::from(is_marked))
    }
}

/// The id for a new entry behind `last`: the one wished for, or the clock's.
fn new_id(last: StreamId, wanted: Option<NewId>, now_ms: i64) -> Result<StreamId, Refusal> {
    let Some(after_last) = id::next(last) else {
        let text = "ERR The stream has exhausted the last possible ID, unable to add more items";
        return Err(Refusal::fixed(text));
    };
    let id = match wanted {
        None => after_last.max(StreamId { ms: now_ms as u64, seq: 0 }),
        Some(NewId { ms, seq: Some(seq) }) => StreamId { ms, seq },
        Some(NewId { ms, seq: None }) if ms != last.ms => StreamId { ms, seq: 0 },
        Some(NewId { seq: None, .. }) if last.seq == u64::MAX => {
            return Err(Refusal::fixed("ERR Elements are too large to be stored"));
        }
        Some(NewId { seq: None, .. }) => after_last,
    };
    if id <= last {
        let text = "ERR The ID specified in XADD is equal or smaller than the target stream top item";
        return Err(Refusal::fixed(text));
    }
    Ok(id)
}

/// An id proper, in which a missing second number is 0.
pub(super) fn strict(arg: &[u8]) -> Result<StreamId, Refusal> {
    id::parse_strict(arg, 0)
}

fn strict_new(arg: &[u8]) -> Result<NewId, Refusal> {
    id::parse_new(arg, 0)
}
