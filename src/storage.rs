//! Ticks that outlive the program: in databases ([`db`]), and in files for programs that read tables. The only module
//! that knows the formats.
//!
//! A file of ticks has one row a tick, in these columns:
//!
//! | column | CSV | Parquet |
//! |---|---|---|
//! | `symbol` | text, quoted where it must be | string |
//! | `time` | RFC 3339 in UTC, always with nine digits of fraction | timestamp in UTC, ns |
//! | `time_ns` | whole nanoseconds since the Unix epoch | none: `time` is as exact |
//! | `price` | the shortest decimal that reads back to the same bits | double |
//! | `size` | likewise; empty where a tick came without | double, null where a tick came without |
//! | `outlier` | `true` where a filter took the price for a slip of the finger, else `false` | boolean |
//!
//! What is written out of a database has three more, of which memory knows nothing:
//!
//! | column | CSV | Parquet |
//! |---|---|---|
//! | `source` | text; empty where a tick came without | string, null where a tick came without |
//! | `seq` | a whole number; likewise | unsigned, 64 bits, or null |
//! | `id` | the stream's entry, such as `1732000000000-0`; likewise | string, or null |
//!
//! A file holds data and not a spreadsheet: text is written as it came over the wire, also where it begins with `=`,
//! as symbols do (`=F`, `-X`). Nothing is put before it that a program would have to take away again; who opens a
//! stranger's ticks in a spreadsheet imports the column as text. For the same reason `NA` and `null` stay symbols: in
//! pandas, `read_csv(..., keep_default_na=False, na_values={"size": [""]}, float_precision="round_trip")` reads back
//! exactly what was written; of a file out of a database, `na_values` has `source`, `seq` and `id` too. Where some
//! ticks came without `seq`, pandas makes doubles of the others unless told otherwise, which are exact up to 2^53:
//! `dtype={"seq": "UInt64"}` keeps them, and of Parquet `dtype_backend="numpy_nullable"`.
//!
//! Read back is [Parquet](TickTable), this program's own and that of others; text is `market`'s.

mod atomic_file;
mod csv;
pub mod db;
#[cfg(feature = "parquet")]
mod parquet;
mod table;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::model::{StreamId, display_safe};
pub use atomic_file::AtomicFile;
pub use table::{PARQUET_MAGIC, TableError, TickTable, silence_caught_panics};

/// Whether this build reads and writes Parquet.
pub const HAS_PARQUET: bool = cfg!(feature = "parquet");

/// Form of a file of ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TickFormat {
    /// Text, one tick a line.
    Csv,
    /// Typed columns.
    Parquet,
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row<'a> {
    /// As it came over the wire.
    pub symbol: &'a str,
    /// Nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// Finite.
    pub price: f64,
    /// Traded volume, if it came with one; finite.
    pub size: Option<f64>,
    /// A filter took its price for a slip of the finger.
    pub outlier: bool,
    /// Where it came from, for files that tell.
    pub origin: Origin<'a>,
}

/// Where a tick came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origin<'a> {
    /// The producer's id.
    pub source: Option<&'a str>,
    /// The producer's running number.
    pub seq: Option<u64>,
    /// The entry of the stream that brought it.
    pub id: Option<StreamId>,
}

/// Which columns a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TickColumns {
    /// The tick alone.
    Bare,
    /// And its origin.
    WithOrigin,
}

/// Why a file was not written.
#[derive(Debug, Error)]
pub enum TickFileError {
    /// The file.
    #[error("cannot write {}: {source}; choose a folder that exists, is writable and has room", shown(.path))]
    Write {
        /// Where to.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The build.
    #[error(
        "cannot write {}: this program was built without Parquet; choose a name that ends in .csv, or build it with \
         `cargo build --release --features parquet`",
        shown(.path)
    )]
    NoParquet {
        /// Where to.
        path: PathBuf,
    },
}

fn shown(path: &Path) -> String {
    display_safe(&path.display().to_string()).into_owned()
}

enum Encoder {
    Csv(csv::Csv),
    #[cfg(feature = "parquet")]
    Parquet(Box<parquet::Parquet>),
}

/// A file of ticks in the making. It appears under its name when it is [finished](Self::finish), whole; dropped before,
/// it leaves nothing behind and an older file in place.
pub struct TickFile {
    path: PathBuf,
    encoder: Encoder,
    rows: u64,
}

impl TickFile {
    /// Begins a file.
    pub fn create(path: &Path, format: TickFormat, columns: TickColumns) -> Result<Self, TickFileError> {
        let written = |source| TickFileError::Write { path: path.to_owned(), source };
        let encoder = match format {
            TickFormat::Csv => csv::Csv::begin(AtomicFile::create(path).map_err(written)?, columns).map(Encoder::Csv),
            #[cfg(feature = "parquet")]
            TickFormat::Parquet => {
                let begun = parquet::Parquet::begin(AtomicFile::create(path).map_err(written)?, columns);
                begun.map(|encoder| Encoder::Parquet(Box::new(encoder)))
            }
            #[cfg(not(feature = "parquet"))]
            TickFormat::Parquet => return Err(TickFileError::NoParquet { path: path.to_owned() }),
        };
        Ok(Self { path: path.to_owned(), encoder: encoder.map_err(written)?, rows: 0 })
    }

    /// Adds a row.
    pub fn write(&mut self, row: &Row<'_>) -> Result<(), TickFileError> {
        let written = match &mut self.encoder {
            Encoder::Csv(csv) => csv.write(row),
            #[cfg(feature = "parquet")]
            Encoder::Parquet(parquet) => parquet.write(row),
        };
        written.map_err(|source| TickFileError::Write { path: self.path.clone(), source })?;
        self.rows += 1;
        Ok(())
    }

    /// Completes the file and puts it in its place; how many rows it has.
    pub fn finish(self) -> Result<u64, TickFileError> {
        let finished = match self.encoder {
            Encoder::Csv(csv) => csv.finish(),
            #[cfg(feature = "parquet")]
            Encoder::Parquet(parquet) => parquet.finish(),
        };
        finished.and_then(AtomicFile::finish).map_err(|source| TickFileError::Write { path: self.path, source })?;
        Ok(self.rows)
    }
}

#[cfg(test)]
mod tests;
