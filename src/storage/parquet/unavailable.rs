//! Reader of a build without Parquet.

use std::convert::Infallible;
use std::fs::File;

use crate::model::{Reject, Tick, Timestamp};
use crate::sources::TickFilter;
use crate::storage::parquet::ParquetError;

/// Reader that cannot be opened, because this build lacks Parquet.
pub struct ParquetReader(Infallible);

impl ParquetReader {
    /// Always fails.
    ///
    /// # Errors
    ///
    /// [`ParquetError::Unavailable`], or [`ParquetError::Pipe`] for an input that is not a file.
    pub fn open(file: File, _filter: &TickFilter) -> Result<Self, ParquetError> {
        let is_file = file.metadata()?.is_file();
        drop(file);
        Err(if is_file { ParquetError::Unavailable } else { ParquetError::Pipe })
    }

    /// Unreachable.
    ///
    /// # Errors
    ///
    /// None.
    pub fn read(
        &mut self,
        _now: Timestamp,
        _visit: &mut impl FnMut(u64, Result<Tick, Reject>),
    ) -> Result<bool, ParquetError> {
        match self.0 {}
    }

    /// Unreachable.
    pub fn span(&self) -> Option<(i64, i64)> {
        match self.0 {}
    }

    /// Unreachable.
    pub fn rows_skipped(&self) -> u64 {
        match self.0 {}
    }
}

/// Does nothing: there is no decoder that may panic.
pub fn silence_caught_panics() {}
