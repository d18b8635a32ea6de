//! Ticks that outlive the program: in databases ([`db`]), and in files for other programs.
//!
//! A tick file has one row a tick and these columns:
//!
//! | column | CSV | Parquet |
//! |---|---|---|
//! | `symbol` | text, quoted if necessary | string |
//! | `time` | RFC 3339 in UTC with nine fractional digits | timestamp in UTC, ns |
//! | `time_ns` | integer nanoseconds since the Unix epoch | none: `time` is as exact |
//! | `price` | shortest decimal that reads back to the same bits | double |
//! | `size` | likewise; empty if unknown | double, null if unknown |
//! | `outlier` | `true` if the bad-print filter rejected the price, else `false` | boolean |
//!
//! Files exported from a database have three more:
//!
//! | column | CSV | Parquet |
//! |---|---|---|
//! | `source` | text; empty if unknown | string, null if unknown |
//! | `seq` | integer; empty if unknown | unsigned, 64 bits, or null |
//! | `id` | stream entry, such as `1732000000000-0`; empty if unknown | string, or null |
//!
//! Text is written as it was received, even if it begins with `=`, as the symbols `=F` and `-X` do; a spreadsheet that
//! opens ticks of unknown origin should import the column as text. `NA` and `null` stay symbols: in pandas,
//! `read_csv(..., keep_default_na=False, na_values={"size": [""]}, float_precision="round_trip")` reads back exactly
//! what was written; for a file from a database, `na_values` includes `source`, `seq` and `id`. If some ticks lack
//! `seq`, pandas reads the others as doubles, exact up to 2^53; `dtype={"seq": "UInt64"}` keeps them, and for Parquet
//! `dtype_backend="numpy_nullable"`.
//!
//! [`ParquetReader`] reads Parquet files, this program's and others'; [`sources`](crate::sources) reads CSV.

mod atomic_file;
mod csv;
pub mod db;
mod parquet;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::model::{StreamId, display_safe};
pub use atomic_file::AtomicFile;
pub use parquet::{PARQUET_MAGIC, ParquetError, ParquetReader, silence_caught_panics};

/// Set if this build supports Parquet.
pub const HAS_PARQUET: bool = cfg!(feature = "parquet");

/// Format of a tick file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TickFormat {
    /// Comma-separated values.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// Row of a tick file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row<'a> {
    /// Symbol, as it was received.
    pub symbol: &'a str,
    /// Nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// Finite.
    pub price: f64,
    /// Traded volume, if known; finite.
    pub size: Option<f64>,
    /// The bad-print filter rejected the price.
    pub outlier: bool,
    /// Origin of the tick, for files [with origins](TickColumns::WithOrigin).
    pub origin: Origin<'a>,
}

/// Origin of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origin<'a> {
    /// Producer's id.
    pub source: Option<&'a str>,
    /// Producer's sequence number.
    pub seq: Option<u64>,
    /// Stream entry that contained the tick.
    pub id: Option<StreamId>,
}

/// Columns of a tick file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TickColumns {
    /// The tick alone.
    Bare,
    /// The tick and its origin.
    WithOrigin,
}

/// Reasons why a tick file was not written.
#[derive(Debug, Error)]
pub enum TickFileError {
    /// The file cannot be created or written.
    #[error("cannot write {}: {source}; choose a folder that exists, is writable and has room", display_path(.path))]
    Write {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The build lacks Parquet.
    #[error(
        "cannot write {}: this program was built without Parquet; choose a name that ends in .csv, or build it with \
         `cargo build --release --features parquet`",
        display_path(.path)
    )]
    NoParquet {
        /// Path of the file.
        path: PathBuf,
    },
}

/// Path that is safe to display.
fn display_path(path: &Path) -> String {
    display_safe(&path.display().to_string()).into_owned()
}

/// Encoder of a file format.
trait Encoder: Send {
    fn write(&mut self, row: &Row<'_>) -> io::Result<()>;

    /// Writes what is buffered and returns the complete file.
    fn finish(self: Box<Self>) -> io::Result<AtomicFile>;
}

/// Tick file being written. It appears under its name, complete, when it is [finished](Self::finish); dropped before,
/// it leaves nothing behind and an older file in place.
///
/// # Examples
///
/// ```
/// use tickscope::storage::{Origin, Row, TickColumns, TickFile, TickFormat};
///
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("ticks.csv");
/// let mut file = TickFile::create(&path, TickFormat::Csv, TickColumns::Bare)?;
/// let origin = Origin::default();
/// file.write(&Row { symbol: "AAPL", time_ns: 0, price: 187.2, size: None, outlier: false, origin })?;
/// assert_eq!(file.finish()?, 1);
/// assert!(std::fs::read_to_string(&path)?.ends_with("AAPL,1970-01-01T00:00:00.000000000Z,0,187.2,,false\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TickFile {
    path: PathBuf,
    encoder: Box<dyn Encoder>,
    rows: u64,
}

impl TickFile {
    /// Creates a file that is to become `path`.
    ///
    /// # Errors
    ///
    /// [`TickFileError`] if the file cannot be created, or if the build lacks the format.
    pub fn create(path: &Path, format: TickFormat, columns: TickColumns) -> Result<Self, TickFileError> {
        if format == TickFormat::Parquet && !HAS_PARQUET {
            return Err(TickFileError::NoParquet { path: path.to_owned() });
        }
        let begin = || -> io::Result<Box<dyn Encoder>> {
            let file = AtomicFile::create(path)?;
            Ok(match format {
                #[cfg(feature = "parquet")]
                TickFormat::Parquet => Box::new(parquet::ParquetWriter::begin(file, columns)?),
                _ => Box::new(csv::CsvWriter::begin(file, columns)?),
            })
        };
        let encoder = begin().map_err(|source| TickFileError::Write { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), encoder, rows: 0 })
    }

    /// Appends a row.
    ///
    /// # Errors
    ///
    /// [`TickFileError::Write`] if the disk fails.
    pub fn write(&mut self, row: &Row<'_>) -> Result<(), TickFileError> {
        let written = self.encoder.write(row);
        written.map_err(|source| TickFileError::Write { path: self.path.clone(), source })?;
        self.rows += 1;
        Ok(())
    }

    /// Completes the file and moves it to its path. Returns the number of rows.
    ///
    /// # Errors
    ///
    /// [`TickFileError::Write`] if the disk fails; an older file is still in place.
    pub fn finish(self) -> Result<u64, TickFileError> {
        let finished = self.encoder.finish().and_then(AtomicFile::finish);
        finished.map_err(|source| TickFileError::Write { path: self.path, source })?;
        Ok(self.rows)
    }
}

#[cfg(test)]
mod tests;
