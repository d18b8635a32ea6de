//! Files of typed columns, read back: Apache Parquet, as this program, pandas and polars write it.

use std::fs::File;
use std::io;

use thiserror::Error;

use crate::model::{Reject, Tick, Timestamp};
use crate::sources::TickFilter;

/// The first and the last bytes of a Parquet file.
pub const PARQUET_MAGIC: [u8; 4] = *b"PAR1";

/// Why a table cannot be read, or not to its end.
#[derive(Debug, Error)]
pub enum TableError {
    /// The build.
    #[error(
        "it is Parquet, and this program was built without it; write the file as CSV, or build the program with \
         `cargo build --release --features parquet`"
    )]
    NoParquet,
    /// Its table of contents is at its end.
    #[error("it is Parquet, which is read from its end and cannot come through a pipe; name the file itself")]
    Pipe,
    /// It does not name the columns.
    #[error(
        "it has no column for {missing}; expected are columns such as timestamp, symbol, price, size in any order, \
         found are: {found}"
    )]
    Columns {
        /// Names of what was not found.
        missing: String,
        /// Names of the columns, shortened and safe to show.
        found: String,
    },
    /// Values of a kind that means nothing here.
    #[error("its column {column} holds {found}; expected is {wanted}")]
    Type {
        /// Its name, safe to show.
        column: String,
        /// What it has.
        found: String,
        /// What it should have.
        wanted: &'static str,
    },
    /// Only the compressions that pandas and polars use unless told otherwise.
    #[error("it is compressed with {0}, which this program does not unpack; write it with snappy or zstd")]
    Codec(String),
    /// Bytes are missing or wrong.
    #[error("the Parquet file is cut off or damaged ({0}); fetch or write it again")]
    Damaged(String),
    /// The disk.
    #[error("reading stopped: {0}")]
    Read(#[from] io::Error),
}

/// An open table of ticks. It is read in batches of rows: memory stays the same however long it is.
pub struct TickTable {
    #[cfg(feature = "parquet")]
    reader: crate::storage::parquet::Reader,
    #[cfg(not(feature = "parquet"))]
    none: std::convert::Infallible,
}

impl TickTable {
    /// Opens a Parquet file and finds its columns. Groups of rows that have nothing of the selection's time are passed
    /// over, as far as the file tells; of the others all rows are given out.
    pub fn open(file: File, selection: &TickFilter) -> Result<Self, TableError> {
        if !file.metadata()?.is_file() {
            return Err(TableError::Pipe);
        }
        #[cfg(feature = "parquet")]
        let table = crate::storage::parquet::Reader::open(file, selection).map(|reader| Self { reader });
        #[cfg(not(feature = "parquet"))]
        let table = {
            drop((file, selection));
            Err(TableError::NoParquet)
        };
        table
    }

    /// Hands the next rows to `take`, each with its number from 1; `now` is the reader's clock. False at the end.
    pub fn read(
        &mut self,
        now: Timestamp,
        take: &mut impl FnMut(u64, Result<Tick, Reject>),
    ) -> Result<bool, TableError> {
        #[cfg(feature = "parquet")]
        let more = self.reader.read(now, take);
        #[cfg(not(feature = "parquet"))]
        let more = {
            let _ = (now, take);
            match self.none {}
        };
        more
    }

    /// Times of the first and the last row of the groups that are read, in nanoseconds, if the file tells.
    pub fn span(&self) -> Option<(i64, i64)> {
        #[cfg(feature = "parquet")]
        let span = self.reader.span();
        #[cfg(not(feature = "parquet"))]
        let span = match self.none {};
        span
    }

    /// Rows that were passed over because of their time.
    pub fn rows_passed(&self) -> u64 {
        #[cfg(feature = "parquet")]
        let rows = self.reader.rows_passed();
        #[cfg(not(feature = "parquet"))]
        let rows = match self.none {};
        rows
    }
}

/// For the binaries: keeps panics off the terminal that reading a damaged table turns into errors. The library that
/// decodes takes some kinds of damage for a defect of its own, and the process would tell of it before it is caught.
pub fn silence_caught_panics() {
    #[cfg(feature = "parquet")]
    crate::storage::parquet::silence_caught_panics();
}

#[cfg(test)]
mod tests;
