//! Flags of the database.

use std::path::Path;
use std::time::Duration;

use super::ArgsError;
use crate::cli::parse_duration;
use crate::storage::db::{DbConfig, StoreUrl};

/// Most rows that wait for the database: several seconds of a fast feed, in 120 MB, or twice that if ticks arrive one
/// by one.
const ROWS_WAITING_MAX: usize = 1_000_000;

/// Default database file below the platform's directory for user data.
pub(in crate::consumer) const STORE_FILE: &str = "tickscope/ticks.db";

/// Flags of the database.
#[derive(Debug, Clone, clap::Args)]
pub struct StoreArgs {
    /// Store every tick in a database: sqlite:FILE, postgres://... or mongodb://...; without a value, in a file of this
    /// user
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "")]
    pub store: Option<String>,
    /// Delete ticks from the store that are older than the newest tick by more than this, such as 30d
    #[arg(long, value_name = "TIME", requires = "store", value_parser = parse_duration)]
    pub keep: Option<Duration>,
}

impl StoreArgs {
    /// Configuration of the database; `None` without one. `data_dir` is the platform's directory for user data.
    pub(super) fn config(&self, data_dir: Option<&Path>) -> Result<Option<DbConfig>, ArgsError> {
        let Some(text) = &self.store else { return Ok(None) };
        let url = if text.trim().is_empty() {
            StoreUrl::Sqlite(data_dir.ok_or(ArgsError::NoDataDirectory)?.join(STORE_FILE))
        } else {
            text.parse()?
        };
        let keep_age_ns = self.keep.map(|age| match i64::try_from(age.as_nanos()) {
            Ok(age_ns) if age_ns > 0 && age <= super::WINDOW_MAX => Ok(age_ns),
            _ => Err(ArgsError::Keep),
        });
        Ok(Some(DbConfig { url, keep_age_ns: keep_age_ns.transpose()?, rows_waiting_max: ROWS_WAITING_MAX }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::args::Args;
    use clap::Parser;

    #[test]
    fn a_store_without_a_url_is_the_users_own_file() {
        let args = |words: &[&str]| Args::try_parse_from([&["consumer"], words].concat()).expect("flags").store;
        let config = |words: &[&str], dir: Option<&Path>| args(words).config(dir);
        let found = config(&["--store"], Some(Path::new("/data"))).unwrap().unwrap();
        assert_eq!(found.url, StoreUrl::Sqlite("/data/tickscope/ticks.db".into()));
        assert!(matches!(config(&["--store"], None), Err(ArgsError::NoDataDirectory)));
        let kept = config(&["--store", "sqlite:t.db", "--keep", "2h"], None).unwrap().unwrap();
        assert_eq!((kept.url, kept.keep_age_ns), (StoreUrl::Sqlite("t.db".into()), Some(7_200_000_000_000)));
        assert!(config(&[], None).unwrap().is_none());
    }
}
