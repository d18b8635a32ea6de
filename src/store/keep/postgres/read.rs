//! Reading a server's store back.

use compact_str::CompactString;

use crate::store::keep::KeepError;
use crate::store::keep::reader::{Read, Source};
use crate::store::keep::url::PostgresUrl;

pub(in crate::store::keep) struct PostgresSource;

impl PostgresSource {
    pub(in crate::store::keep) fn open(url: &PostgresUrl) -> Result<Self, KeepError> {
        Err(KeepError::Read { store: url.to_string(), cause: "not there yet".into() })
    }
}

impl Source for PostgresSource {
    fn symbols(&mut self) -> Result<Vec<(i32, CompactString)>, String> {
        Ok(Vec::new())
    }
    fn span(&mut self) -> Result<Option<(i64, i64)>, String> {
        Ok(None)
    }
    fn block(&mut self, _: (i32, &str), _: i64, _: i64, _: usize) -> Result<Vec<Read>, String> {
        Ok(Vec::new())
    }
    fn time_before_newest(&mut self, _: i32, _: usize) -> Result<Option<i64>, String> {
        Ok(None)
    }
}
