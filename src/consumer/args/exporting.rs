//! Flags about an export out of a store: some time of it, and no chart.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::choices::parse_export;
use super::{Args, ArgsError, ExportFormat, parse_symbols};
use crate::cli::{TimeError, parse_time};
use crate::model::Timestamp;
use crate::sources::TickFilter;
use crate::storage::db::StoreUrl;

/// What only a run with a feed, or a chart, has a use for.
const OF_A_CHART: [&str; 15] = [
    "demo", "channel", "stream", "redis", "cluster", "fields", "snapshot", "alert", "on_alert", "run_for", "keep",
    "stats", "outliers", "window", "history",
];

/// See the module.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ExportingArgs {
    /// With --export and --store: write what the store holds from this time on (RFC 3339, Unix time, a time back such
    /// as 1h, or start), and end
    #[arg(long, value_name = "TIME", requires = "export", conflicts_with_all = OF_A_CHART)]
    pub from: Option<String>,
    /// With --export and --store: write what the store holds before this time, and end
    #[arg(long, value_name = "TIME", requires = "export", conflicts_with_all = OF_A_CHART)]
    pub to: Option<String>,
}

/// An export out of a store.
#[derive(Debug, Clone)]
pub struct StoredExport {
    /// The store. Nothing in it is changed.
    pub url: StoreUrl,
    /// What of it.
    pub selection: TickFilter,
    /// Where to.
    pub path: PathBuf,
    /// In which form.
    pub format: ExportFormat,
}

/// Why these flags make no sense.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ExportingError {
    /// No instant.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// A span without length.
    #[error("--from must lie before --to")]
    Span,
    /// Memory has no more than what is in view.
    #[error("--from and --to choose from a store: add --store URL, or --store alone for this user's own")]
    NoStore,
    /// The store would be gone.
    #[error("--export: {0:?} is a file of the store itself, which the export would replace; choose another name")]
    IsStore(PathBuf),
}

/// What SQLite puts behind a store's name for the files beside it.
const BESIDE: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Refuses an export that would take the place of the store that it comes from, however the two are written.
pub(super) fn check_apart(store: &StoreUrl, export: &Path) -> Result<(), ExportingError> {
    let StoreUrl::Sqlite(file) = store else { return Ok(()) };
    let (file, export_place) = (place_of(file), place_of(export));
    let is_store = BESIDE.iter().any(|behind| {
        let mut name = file.clone().into_os_string();
        name.push(behind);
        export_place.as_os_str() == name
    });
    if is_store { Err(ExportingError::IsStore(export.to_owned())) } else { Ok(()) }
}

/// Where a path leads. A file that is yet to be made has its place in its folder, and where that is not there either,
/// nothing can be written.
fn place_of(path: &Path) -> PathBuf {
    if let Ok(place) = path.canonicalize() {
        return place;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

impl Args {
    /// The export out of a store that was asked for, if one was; flags that have no part in it are not looked at.
    /// `data_dir` is where this platform keeps a user's data, `now` what a time back is counted from.
    pub fn stored_export(&self, data_dir: Option<&Path>, now: Timestamp) -> Result<Option<StoredExport>, ArgsError> {
        let ExportingArgs { from, to } = &self.exporting;
        let Some(path) = self.export.clone().filter(|_| from.is_some() || to.is_some()) else { return Ok(None) };
        let time = |flag, text: &Option<String>| {
            text.as_deref().map(|text| parse_time(flag, text, now)).transpose().map_err(ExportingError::Time)
        };
        let (from, to) = (time("--from", from)?, time("--to", to)?);
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            return Err(ExportingError::Span.into());
        }
        let (path, format) = parse_export(path)?;
        let symbols = parse_symbols(&self.symbols)?;
        let symbols = (!symbols.is_empty()).then(|| BTreeSet::from_iter(symbols));
        let store = self.durable.store(data_dir)?.ok_or(ExportingError::NoStore)?;
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
    fn a_span_of_a_store_is_asked_for() {
        let words = ["--export", "t.csv", "--store", "sqlite:t.db", "--from", "1h", "--to", "2023-11-14T22:00:00Z"];
        let asked = export(&[&words[..], &["--symbols", "B,A", "--headless"]].concat()).unwrap().unwrap();
        assert_eq!((asked.url, asked.format), ("sqlite:t.db".parse().unwrap(), ExportFormat::Csv));
        let TickFilter { from, to, symbols } = asked.selection;
        let at = |seconds: i64| Timestamp::from_nanos(seconds * NS_PER_S);
        assert_eq!((from, to), (at(1_700_000_000 - 3_600), at(1_699_999_200)));
        assert_eq!(symbols.unwrap().into_iter().collect::<Vec<_>>(), ["A", "B"].map(|name| Symbol::new(name).unwrap()));
        let all = export(&["--export", "t.csv", "--store", "--from", "start"]).unwrap().unwrap();
        assert_eq!(all.url, StoreUrl::Sqlite("/data/tickscope/ticks.db".into()));
        assert_eq!((all.selection.from, all.selection.to, all.selection.symbols), (at(0), None, None));
    }

    #[test]
    fn without_a_span_it_is_the_export_of_what_is_in_view() {
        assert!(export(&["--export", "t.csv", "--store", "sqlite:t.db"]).unwrap().is_none());
        assert!(export(&["--store", "sqlite:t.db"]).unwrap().is_none());
    }

    #[test]
    fn an_export_never_takes_the_place_of_its_store() {
        let in_view = |words: &[&str]| {
            let args = Args::try_parse_from([&["consumer"], words].concat()).map_err(|error| error.to_string())?;
            args.into_config().map(drop).map_err(|error| error.to_string())
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
    fn a_link_to_the_store_is_the_store() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("t.db"), dir.path().join("t.csv"));
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let error = check_apart(&StoreUrl::Sqlite(file), &link);
        assert_eq!(error, Err(ExportingError::IsStore(link)));
    }

    #[test]
    fn what_makes_no_sense_is_said() {
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
            (&[&file[..], &["--store", "--symbols", "A,A"]].concat(), "stands there twice"),
            (&["--export", "t.xlsx", "--from", "1h", "--store"], ".csv or .parquet"),
        ] {
            let error = export(words).unwrap_err();
            assert!(error.contains(reason), "{words:?}: {error}");
        }
    }
}
