//! Apache Parquet files of ticks: written by this program, and read as this program, pandas and polars write them.

#[cfg(feature = "parquet")]
mod column;
#[cfg(feature = "parquet")]
mod reader;
#[cfg(feature = "parquet")]
mod writer;

#[cfg(not(feature = "parquet"))]
#[path = "parquet/unavailable.rs"]
mod reader;

use std::io;

use thiserror::Error;

pub use reader::{ParquetReader, silence_caught_panics};
#[cfg(feature = "parquet")]
pub(super) use writer::ParquetWriter;

/// First and last bytes of a Parquet file.
pub const PARQUET_MAGIC: [u8; 4] = *b"PAR1";

/// Reasons why a Parquet file cannot be read, or not to its end.
#[derive(Debug, Error)]
pub enum ParquetError {
    /// The build lacks Parquet.
    #[error(
        "it is Parquet, and this program was built without it; write the file as CSV, or build the program with \
         `cargo build --release --features parquet`"
    )]
    Unavailable,
    /// The input cannot be read from its end, where Parquet has its metadata.
    #[error("it is Parquet, which is read from its end and cannot come through a pipe; name the file itself")]
    Pipe,
    /// Required columns are missing.
    #[error(
        "it has no column for {missing}; expected are columns such as timestamp, symbol, price, size in any order, \
         found are: {found}"
    )]
    Columns {
        /// Names of the missing columns.
        missing: String,
        /// Names of the file's columns, shortened and safe to display.
        found: String,
    },
    /// A column has an unusable type.
    #[error("its column {column} holds {found}; expected is {expected}")]
    Type {
        /// Column's name, safe to display.
        column: String,
        /// Type of the column.
        found: String,
        /// Description of the usable types.
        expected: &'static str,
    },
    /// The compression is none of those that pandas and polars use by default.
    #[error("it is compressed with {0}, which this program does not unpack; write it with snappy or zstd")]
    Codec(String),
    /// The file is truncated or corrupt.
    #[error("the Parquet file is cut off or damaged ({0}); fetch or write it again")]
    Damaged(String),
    /// The file cannot be read.
    #[error("reading stopped: {0}")]
    Read(#[from] io::Error),
}

#[cfg(test)]
#[cfg(feature = "parquet")]
mod tests;
