//! Flags of an export of stored ticks, which runs without a feed and without a chart.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::values::parse_export;
use super::{Args, ArgsError, parse_symbols};
use crate::cli::parse_time;
use crate::model::Timestamp;
use crate::sources::TickFilter;
use crate::storage::TickFormat;
use crate::storage::db::StoreUrl;

/// Flags that apply only to a run with a feed or a chart.
const LIVE_ONLY: [&str; 15] = [
    "demo", "channel", "stream", "redis", "cluster", "fields", "snapshot", "alert", "on_alert", "run_for", "keep",
    "stats", "outliers", "window", "history",
];

/// Flags of an export of stored ticks.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct StoredExportArgs {
    /// With --export and --store: export stored ticks from this time on (RFC 3339, Unix time, an age such as 1h, or
    /// start), and exit
    #[arg(long, value_name = "TIME", requires = "export", conflicts_with_all = LIVE_ONLY)]
    pub from: Option<String>,
    /// With --export and --store: export stored ticks before this time, and exit
    #[arg(long, value_name = "TIME", requires = "export", conflicts_with_all = LIVE_ONLY)]
    pub to: Option<String>,
}

/// Export of stored ticks.
#[derive(Debug, Clone)]
pub struct StoredExport {
    /// Database, which is only read.
    pub url: StoreUrl,
    /// Time span and symbols.
    pub selection: TickFilter,
    /// File to write.
    pub path: PathBuf,
    /// Format of the file.
    pub format: TickFormat,
}

/// Suffixes of the files that SQLite keeps for a database.
const SQLITE_SUFFIXES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Refuses an export that would overwrite the database it reads, however the two paths are written.
pub(super) fn check_apart(store: &StoreUrl, export: &Path) -> Result<(), ArgsError> {
    let StoreUrl::Sqlite(file) = store else { return Ok(()) };
    let (file, resolved) = (resolve(file), resolve(export));
    let is_store = SQLITE_SUFFIXES.iter().any(|suffix| {
        let mut name = file.clone().into_os_string();
        name.push(suffix);
        resolved.as_os_str() == name
    });
    if is_store { Err(ArgsError::ExportIsStore(export.to_owned())) } else { Ok(()) }
}

/// Resolves links and relative parts of a path. The file itself need not exist. If its directory does not exist either,
/// nothing can be written, and the path is returned as it is.
fn resolve(path: &Path) -> PathBuf {
    if let Ok(resolved) = path.canonicalize() {
        return resolved;
    }
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (directory.canonicalize(), path.file_name()) {
        (Ok(directory), Some(name)) => directory.join(name),
        _ => path.to_owned(),
    }
}

impl Args {
    /// Export of stored ticks, if one is requested. Ignores flags that do not concern it. `data_dir` is the platform's
    /// directory for user data, `now` the origin of ages.
    ///
    /// # Errors
    /// [`ArgsError`] if a flag is invalid.
    pub fn stored_export(&self, data_dir: Option<&Path>, now: Timestamp) -> Result<Option<StoredExport>, ArgsError> {
        let StoredExportArgs { from, to } = &self.stored_export;
        let Some(path) = self.export.clone().filter(|_| from.is_some() || to.is_some()) else { return Ok(None) };
        let time = |flag, text: &Option<String>| {
            text.as_deref().map(|text| parse_time(flag, text, now)).transpose().map_err(ArgsError::Time)
        };
        let (from, to) = (time("--from", from)?, time("--to", to)?);
        if from.zip(to).is_some_and(|(from, to)| from >= to) {
            return Err(ArgsError::ExportSpan);
        }
        let (path, format) = parse_export(path)?;
        let symbols = parse_symbols(&self.symbols)?;
        let symbols = (!symbols.is_empty()).then(|| BTreeSet::from_iter(symbols));
        let store = self.store.config(data_dir)?.ok_or(ArgsError::ExportWithoutStore)?;
        check_apart(&store.url, &path)?;
        Ok(Some(StoredExport { url: store.url, selection: TickFilter { from, to, symbols }, path, format }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NS_PER_S, Symbol};
    use clap::Parser;

    fn export(words: &[&str]) -> Result<Option<StoredExport>, String> {
        let args = Args::try_parse_from([&["consumer"], words].concat()).map_err(|error| error.to_string())?;
        let now = Timestamp::from_nanos(1_700_000_000 * NS_PER_S).unwrap();
        args.stored_export(Some(Path::new("/data")), now).map_err(|error| error.to_string())
    }

    #[test]
    fn from_and_to_select_a_span_of_the_store() {
        let words = ["--export", "t.csv", "--store", "sqlite:t.db", "--from", "1h", "--to", "2023-11-14T22:00:00Z"];
        let asked = export(&[&words[..], &["--symbols", "B,A", "--headless"]].concat()).unwrap().unwrap();
        assert_eq!((asked.url, asked.format), ("sqlite:t.db".parse().unwrap(), TickFormat::Csv));
        let TickFilter { from, to, symbols } = asked.selection;
        let at = |seconds: i64| Timestamp::from_nanos(seconds * NS_PER_S);
        assert_eq!((from, to), (at(1_700_000_000 - 3_600), at(1_699_999_200)));
        assert_eq!(symbols.unwrap().into_iter().collect::<Vec<_>>(), ["A", "B"].map(|name| Symbol::new(name).unwrap()));
        let all = export(&["--export", "t.csv", "--store", "--from", "start"]).unwrap().unwrap();
        assert_eq!(all.url, StoreUrl::Sqlite("/data/tickscope/ticks.db".into()));
        assert_eq!((all.selection.from, all.selection.to, all.selection.symbols), (at(0), None, None));
    }

    #[test]
    fn without_a_span_the_view_is_exported() {
        assert!(export(&["--export", "t.csv", "--store", "sqlite:t.db"]).unwrap().is_none());
        assert!(export(&["--store", "sqlite:t.db"]).unwrap().is_none());
    }

    #[test]
    fn an_export_never_replaces_its_own_store() {
        let in_view = |words: &[&str]| {
            let args = Args::try_parse_from([&["consumer"], words].concat()).map_err(|error| error.to_string())?;
            args.into_config(None).map(drop).map_err(|error| error.to_string())
        };
        let dir = tempfile::tempdir().unwrap();
        let there = dir.path().join("there.csv");
        std::fs::write(&there, "").unwrap();
        let (there, new) = (there.to_str().unwrap(), dir.path().join("new.csv"));
        let detour = dir.path().join("./x/../there.csv");
        std::fs::create_dir(dir.path().join("x")).unwrap();
        for (store, path, is_same) in [
            ("t.csv", "./t.csv", true),
            ("./t.csv", "t.csv", true),
            (there, detour.to_str().unwrap(), true),
            (new.to_str().unwrap(), dir.path().join("x/../new.csv").to_str().unwrap(), true),
            (there, new.to_str().unwrap(), false),
            ("t.csv", "t2.csv", false),
        ] {
            let store = format!("sqlite:{store}");
            let words = ["--export", path, "--store", &store];
            for refused in [export(&[&words[..], &["--from", "1h"]].concat()).map(drop), in_view(&words)] {
                assert_eq!(refused.is_err(), is_same, "{words:?}");
                assert!(refused.err().is_none_or(|error| error.contains("is a file of the store itself")), "{words:?}");
            }
        }
        let store = StoreUrl::Sqlite("t.db".into());
        for (path, is_same) in [("./t.db-wal", true), ("t.db-shm", true), ("t.db", true), ("t.dbx", false)] {
            assert_eq!(check_apart(&store, Path::new(path)).is_err(), is_same, "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_the_store_counts_as_the_store() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("t.db"), dir.path().join("t.csv"));
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let error = check_apart(&StoreUrl::Sqlite(file), &link);
        assert!(matches!(error, Err(ArgsError::ExportIsStore(path)) if path == link));
    }

    #[test]
    fn invalid_flags_are_explained() {
        let file = ["--export", "t.csv", "--from", "1h"];
        let stored = ["--export", "t.csv", "--store", "sqlite:t.db"];
        for (words, reason) in [
            (&["--from", "1h"][..], "--export"),
            (&file, "add --store URL"),
            (&[&stored[..], &["--from", "noon"]].concat(), "--from noon: a time is RFC 3339"),
            (&[&stored[..], &["--to", "1h", "--from", "30m"]].concat(), "--from must lie before --to"),
            (&[&file[..], &["--store", "oracle://h"]].concat(), "--store: stores are written as"),
            (&[&file[..], &["--store", "--demo"]].concat(), "--demo"),
            (&[&file[..], &["--store", "--redis", "redis://h"]].concat(), "--redis"),
            (&[&file[..], &["--store", "--stream", "s"]].concat(), "--stream"),
            (&[&file[..], &["--store", "--for", "1s"]].concat(), "--for"),
            (&[&file[..], &["--store", "--outliers", "5%"]].concat(), "--outliers"),
            (&[&file[..], &["--store", "--window", "5m"]].concat(), "--window"),
            (&[&file[..], &["--store", "--history", "2h"]].concat(), "--history"),
            (&[&file[..], &["--store", "--symbols", "A,A"]].concat(), "is listed twice"),
            (&["--export", "t.xlsx", "--from", "1h", "--store"], ".csv or .parquet"),
        ] {
            let error = export(words).unwrap_err();
            assert!(error.contains(reason), "{words:?}: {error}");
        }
    }
}
