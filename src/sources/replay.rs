//! Ticks that somebody recorded: CSV, or NDJSON, one tick or an array of ticks a line; either may be gzip-compressed.
//!
//! A recording is read as a stream: memory stays the same however long it is. A row that is no tick is counted by its
//! cause and passed over; only a recording without any tick is an error. A row of CSV ends with its line: of one that
//! goes on within quotes, both lines are rejected, so that a quote too many costs a line or two and not the file.

use std::fmt::Write as _;
use std::io::{self, Read};

use thiserror::Error;

use crate::model::{Decoder, FieldMap, Reject, RejectCounts, Symbol, Tick, Timestamp};
use crate::sources::columns::{Columns, HeaderError};
use crate::sources::lines::{Line, Lines};

/// Why a recording cannot be played.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The bytes end in the middle of a gzip stream, or the disk, pipe or network broke.
    #[error("reading stopped after line {line}: {}", explained(.error))]
    Read {
        /// The last line that was read.
        line: u64,
        /// What the operating system or the decompressor said.
        error: io::Error,
    },
    /// Not a single line.
    #[error(
        "it is empty; expected are CSV with a header line (timestamp,symbol,price[,size]) or one JSON object a line"
    )]
    Empty,
    /// The first line of a CSV file does not name the columns.
    #[error(
        "its first line names no column for {missing}; expected is a header such as timestamp,symbol,price,size in any \
         order, found is: {found}"
    )]
    Header {
        /// Names of the columns that were not found.
        missing: String,
        /// The line, shortened and safe to show.
        found: String,
    },
    /// There were rows, but none of them was a tick.
    #[error("none of its rows is a tick: {0}")]
    NoTick(String),
    /// There were ticks, but the filter left none.
    #[error("none of its ticks has one of the symbols that were asked for and lies between --from and --to")]
    NothingSelected,
}

fn explained(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the compressed data is cut off; fetch or write the file again".to_owned(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => "the compressed data is damaged".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    }
}

/// What form the lines have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// NDJSON if the first line starts with `{` or `[`, else CSV.
    Detect,
    /// NDJSON, whatever the first line is.
    Ndjson,
}

/// Which ticks of a recording are wanted.
#[derive(Debug, Clone, Default)]
pub struct TickFilter {
    /// Only ticks at or after this instant.
    pub from: Option<Timestamp>,
    /// Only ticks before this instant.
    pub to: Option<Timestamp>,
    /// Only these symbols.
    pub symbols: Option<std::collections::BTreeSet<Symbol>>,
}

impl TickFilter {
    /// Whether `tick` is wanted.
    pub fn contains(&self, tick: &Tick) -> bool {
        self.from.is_none_or(|from| tick.timestamp >= from)
            && self.to.is_none_or(|to| tick.timestamp < to)
            && self.symbols.as_ref().is_none_or(|symbols| symbols.contains(&tick.symbol))
    }
}

/// Rows that were no ticks: how many by cause, and where each cause was met first.
#[derive(Debug, Clone)]
pub struct Rejections {
    counts: RejectCounts,
    first: Vec<(Reject, u64)>,
    /// What is numbered.
    unit: &'static str,
}

impl Default for Rejections {
    /// Of a text: by lines.
    fn default() -> Self {
        Self { counts: RejectCounts::default(), first: Vec::new(), unit: "line" }
    }
}

impl Rejections {
    /// Of a table: by rows.
    pub fn of_rows() -> Self {
        Self { unit: "row", ..Self::default() }
    }

    /// Counts one more, with its line or row from 1. True when it is the first of its cause.
    pub fn add(&mut self, cause: Reject, line: u64) -> bool {
        self.counts.add(cause);
        let new = self.first.iter().all(|(known, _)| *known != cause);
        if new {
            self.first.push((cause, line));
        }
        new
    }

    /// How many by cause.
    pub fn counts(&self) -> &RejectCounts {
        &self.counts
    }

    /// "`bad_price` 3 (first in line 17), `not_json` 1 (first in line 20)"; empty when there are none.
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

enum Form {
    Csv(Box<Columns>),
    Ndjson(Decoder),
}

/// An open recording.
pub struct Replay {
    lines: Lines,
    form: Form,
    /// A first line that was read to tell the form, and is itself a row.
    pending: Option<Vec<u8>>,
    filter: TickFilter,
    rejections: Rejections,
    ticks: u64,
    selected: u64,
}

impl Replay {
    /// Starts to read: the form is told by the first bytes, never by a name. Waits for the first line unless the form
    /// is given.
    pub fn open(source: Box<dyn Read + Send>, format: Format, filter: TickFilter) -> Result<Self, ReplayError> {
        let read_error = |error| ReplayError::Read { line: 0, error };
        let lines = Lines::new(source).map_err(read_error)?;
        let form = Form::Ndjson(Decoder::new(FieldMap::default()));
        let (rejections, pending) = (Rejections::default(), None);
        let mut recording = Self { lines, form, pending, filter, rejections, ticks: 0, selected: 0 };
        if format == Format::Detect {
            recording.detect()?;
        }
        Ok(recording)
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
                    self.form = Form::Csv(Box::new(columns));
                    return Ok(());
                }
            }
        }
    }

    /// Reads one line and appends its wanted ticks to `ticks`; `now` is the reader's clock. False at the end.
    ///
    /// `noted` is called for the first row of each cause of rejection, with its line number.
    pub fn read_line(
        &mut self,
        now: Timestamp,
        ticks: &mut Vec<Tick>,
        mut noted: impl FnMut(Reject, u64),
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
                    noted(cause, number);
                }
            }
        };
        match (line, &mut self.form) {
            (Line::End, _) => return Ok(false),
            (Line::TooLong, _) => take(Err(Reject::TooLong)),
            (Line::Text(text), _) if text.trim_ascii().is_empty() => {}
            (Line::Text(text), Form::Ndjson(decoder)) => decoder.decode(text, now, take),
            (Line::Text(text), Form::Csv(columns)) => take(match columns.read(text) {
                Ok(tick) if tick.timestamp.is_too_far_ahead(now) => Err(Reject::Future),
                other => other,
            }),
        }
        self.ticks += read;
        self.selected += (ticks.len() - before) as u64;
        Ok(true)
    }

    /// Whether another line can be read without waiting for the source.
    pub fn is_ready(&self) -> bool {
        self.lines.is_ready()
    }

    /// What was rejected so far.
    pub fn rejections(&self) -> &Rejections {
        &self.rejections
    }

    /// After the end: an error unless there was at least one tick to play.
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
