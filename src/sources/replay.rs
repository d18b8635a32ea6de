//! Replay of recorded ticks: CSV, or NDJSON with one tick or an array of ticks per line; either may be gzip-compressed.
//!
//! The input is streamed, so memory does not grow with its length. Rows that are not ticks are counted by reason and
//! skipped; only an input without any tick is an error. A CSV row ends with its line: if quotes contain a line break,
//! both lines are rejected, so that a stray quote costs a line or two and not the rest of the file.

use std::fmt::Write as _;
use std::io::{self, Read};

use thiserror::Error;

use crate::model::{Decoder, FieldMap, Origin, Reject, RejectCounts, Symbol, Tick, Timestamp};
use crate::sources::columns::{Columns, HeaderError};
use crate::sources::lines::{Line, Lines};

/// Reason why an input cannot be replayed.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The gzip stream is truncated, or reading failed.
    #[error("reading stopped after line {line}: {}", explain(.error))]
    Read {
        /// Number of the last line read.
        line: u64,
        /// Error of the operating system or the decompressor.
        error: io::Error,
    },
    /// The input has no lines.
    #[error(
        "it is empty; expected are CSV with a header line (timestamp,symbol,price[,size]) or one JSON object a line"
    )]
    Empty,
    /// The first line of a CSV file does not name the required columns.
    #[error(
        "its first line names no column for {missing}; expected is a header such as timestamp,symbol,price,size in any \
         order, found is: {found}"
    )]
    Header {
        /// Names of the missing columns.
        missing: String,
        /// The line, shortened and safe to display.
        found: String,
    },
    /// There were rows, but none of them is a tick.
    #[error("none of its rows is a tick: {0}")]
    NoTick(String),
    /// There were ticks, but the filter accepts none of them.
    #[error("none of its ticks has one of the symbols that were asked for and lies between --from and --to")]
    NothingSelected,
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the compressed data is cut off; fetch or write the file again".to_owned(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => "the compressed data is damaged".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    }
}

/// Format of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// NDJSON if the first line starts with `{` or `[`, otherwise CSV.
    Detect,
    /// NDJSON, whatever the first line is.
    Ndjson,
}

/// Filter of ticks by time and symbol.
#[derive(Debug, Clone, Default)]
pub struct TickFilter {
    /// Accepts only ticks at or after this instant.
    pub from: Option<Timestamp>,
    /// Accepts only ticks before this instant.
    pub to: Option<Timestamp>,
    /// Accepts only these symbols.
    pub symbols: Option<std::collections::BTreeSet<Symbol>>,
}

impl TickFilter {
    /// Returns whether the filter accepts `tick`.
    pub fn contains(&self, tick: &Tick) -> bool {
        self.from.is_none_or(|from| tick.timestamp >= from)
            && self.to.is_none_or(|to| tick.timestamp < to)
            && self.symbols.as_ref().is_none_or(|symbols| symbols.contains(&tick.symbol))
    }
}

/// Rejected rows: their number by reason, and the first one for each reason.
#[derive(Debug, Clone)]
pub struct Rejections {
    counts: RejectCounts,
    first: Vec<(Reject, u64)>,
    /// Unit of the numbers, "line" or "row".
    unit: &'static str,
}

impl Default for Rejections {
    /// No rejections of a text, numbered by lines.
    fn default() -> Self {
        Self { counts: RejectCounts::default(), first: Vec::new(), unit: "line" }
    }
}

impl Rejections {
    /// No rejections of a table, numbered by rows.
    pub fn of_rows() -> Self {
        Self { unit: "row", ..Self::default() }
    }

    /// Counts a rejection with its line or row, from 1. Returns whether it is the first one for its reason.
    pub fn add(&mut self, cause: Reject, line: u64) -> bool {
        self.counts.add(cause);
        let new = self.first.iter().all(|(known, _)| *known != cause);
        if new {
            self.first.push((cause, line));
        }
        new
    }

    /// Numbers of rejections by reason.
    pub fn counts(&self) -> &RejectCounts {
        &self.counts
    }

    /// Summary such as "`bad_price` 3 (first in line 17), `not_json` 1 (first in line 20)"; empty without rejections.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        for (cause, line) in &self.first {
            let count = self.counts.iter().find(|(name, _)| *name == cause.name()).map_or(0, |(_, count)| count);
            let comma = if text.is_empty() { "" } else { ", " };
            // Writing to a string cannot fail.
            let _ = write!(text, "{comma}{cause} {count} (first in {} {line})", self.unit);
        }
        text
    }
}

enum LineFormat {
    Csv(Box<Columns>),
    Ndjson(Box<Decoder>),
}

/// Reader of recorded ticks.
///
/// # Examples
///
/// ```
/// use std::io::Cursor;
/// use tickscope::model::Timestamp;
/// use tickscope::sources::{Format, Replay, TickFilter};
///
/// let csv = "timestamp,symbol,price\n1381132800464,SPY,167.41\n1381132800465,IBM,oops\n";
/// let mut replay = Replay::open(Box::new(Cursor::new(csv)), Format::Detect, TickFilter::default())?;
/// let mut ticks = Vec::new();
/// while replay.read_line(Timestamp::now(), &mut ticks, |_, _| {})? {}
/// assert_eq!(ticks.len(), 1);
/// assert_eq!(replay.rejections().summary(), "bad_price 1 (first in line 3)");
/// # Ok::<(), tickscope::sources::ReplayError>(())
/// ```
pub struct Replay {
    lines: Lines,
    line_format: LineFormat,
    /// First line, if it was read to detect the format and is a row itself.
    pending: Option<Vec<u8>>,
    filter: TickFilter,
    rejections: Rejections,
    ticks: u64,
    selected: u64,
}

impl Replay {
    /// Opens a source. The format is detected by its first bytes, not by a name; blocks until the first line is read
    /// unless the format is given.
    ///
    /// # Errors
    ///
    /// Returns a [`ReplayError`] if reading fails, or if the format is detected and the source is empty or its header
    /// lacks a column.
    pub fn open(source: Box<dyn Read + Send>, format: Format, filter: TickFilter) -> Result<Self, ReplayError> {
        let read_error = |error| ReplayError::Read { line: 0, error };
        let lines = Lines::new(source).map_err(read_error)?;
        let line_format = LineFormat::Ndjson(Box::new(Decoder::new(FieldMap::default())));
        let (rejections, pending) = (Rejections::default(), None);
        let mut replay = Self { lines, line_format, pending, filter, rejections, ticks: 0, selected: 0 };
        if format == Format::Detect {
            replay.detect()?;
        }
        Ok(replay)
    }

    fn detect(&mut self) -> Result<(), ReplayError> {
        loop {
            let line = match self.lines.next() {
                Ok(Line::Text(text)) => text,
                Ok(Line::TooLong) => &b"(a line of more than a megabyte)"[..],
                Ok(Line::End) => return Err(ReplayError::Empty),
                Err(error) => return Err(ReplayError::Read { line: 0, error }),
            };
            match line.trim_ascii_start().first() {
                None => {}
                Some(b'{' | b'[') => {
                    self.pending = Some(line.to_vec());
                    return Ok(());
                }
                Some(_) => {
                    let columns = Columns::from_header(line)
                        .map_err(|HeaderError { missing, found }| ReplayError::Header { missing, found })?;
                    self.line_format = LineFormat::Csv(Box::new(columns));
                    return Ok(());
                }
            }
        }
    }

    /// Reads a line and appends its accepted ticks to `ticks`; `now` is the reader's clock. Returns `false` at the end.
    /// Calls `on_new_cause` with the first row of each reason for rejection and its line number.
    ///
    /// # Errors
    ///
    /// Returns [`ReplayError::Read`] if reading fails.
    pub fn read_line(
        &mut self,
        now: Timestamp,
        ticks: &mut Vec<Tick>,
        mut on_new_cause: impl FnMut(Reject, u64),
    ) -> Result<bool, ReplayError> {
        let pending = self.pending.take();
        let number = self.lines.number();
        let line = match pending.as_deref() {
            Some(line) => Line::Text(line),
            None => self.lines.next().map_err(|error| ReplayError::Read { line: number, error })?,
        };
        let number = if pending.is_some() { number } else { number + 1 };
        let (rejections, filter) = (&mut self.rejections, &self.filter);
        let (mut read, before) = (0, ticks.len());
        let mut take = |tick: Result<Tick, Reject>| match tick {
            Ok(tick) => {
                read += 1;
                if filter.contains(&tick) {
                    ticks.push(tick);
                }
            }
            Err(cause) => {
                if rejections.add(cause, number) {
                    on_new_cause(cause, number);
                }
            }
        };
        match (line, &mut self.line_format) {
            (Line::End, _) => return Ok(false),
            (Line::TooLong, _) => take(Err(Reject::TooLong)),
            (Line::Text(text), _) if text.trim_ascii().is_empty() => {}
            (Line::Text(text), LineFormat::Ndjson(decoder)) => {
                decoder.decode(text, Origin::at(now), take);
            }
            (Line::Text(text), LineFormat::Csv(columns)) => take(match columns.read(text) {
                Ok(tick) if tick.timestamp.is_too_far_ahead(now) => Err(Reject::Future),
                other => other,
            }),
        }
        self.ticks += read;
        self.selected += (ticks.len() - before) as u64;
        Ok(true)
    }

    /// Returns whether another line can be read without blocking.
    pub fn is_ready(&self) -> bool {
        self.lines.is_ready()
    }

    /// Rows rejected so far.
    pub fn rejections(&self) -> &Rejections {
        &self.rejections
    }

    /// Checks, at the end, that at least one tick was replayed.
    ///
    /// # Errors
    ///
    /// Returns a [`ReplayError`] that tells why there was none.
    pub fn check_played(&self) -> Result<(), ReplayError> {
        match (self.selected, self.ticks, self.rejections.counts().total()) {
            (1.., _, _) => Ok(()),
            (0, 1.., _) => Err(ReplayError::NothingSelected),
            (0, 0, 1..) => Err(ReplayError::NoTick(self.rejections.summary())),
            (0, 0, 0) => Err(ReplayError::Empty),
        }
    }
}

#[cfg(test)]
mod tests;
