//! UI state that one run leaves for the next: a small TOML file of the user's own.
//!
//! Values are written as their flags accept them, so that reading them back needs no rules of its own. Only what the
//! user changed by hand is written; other values in the file stay as they are.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::storage::AtomicFile;

/// Version of the file format. A file of a later version is left alone.
const VERSION: i64 = 1;

/// Longest file that is read, in bytes: a thousand hidden symbols take a tenth of it.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Most hidden symbols that are saved.
const HIDDEN_MAX: usize = 1_000;

/// Fields of [`UiState`] that are flags, by the flag's name.
const FLAGS: [&str; 8] = ["size", "scale", "theme", "axis", "chart", "layout", "bars", "window"];

/// State of the chart's controls. A field is `None` if it is unknown or was not changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UiState {
    /// Value of `--size`.
    pub size: Option<String>,
    /// Value of `--scale`.
    pub scale: Option<String>,
    /// Value of `--theme`.
    pub theme: Option<String>,
    /// Value of `--axis`.
    pub axis: Option<String>,
    /// Value of `--chart`.
    pub chart: Option<String>,
    /// Value of `--layout`.
    pub layout: Option<String>,
    /// Value of `--bars`.
    pub bars: Option<String>,
    /// Value of `--window`; empty if the flag is not set.
    pub window: Option<String>,
    /// Name of the focused symbol; empty for none.
    pub focused: Option<String>,
    /// Names of the hidden symbols.
    pub hidden: Option<Vec<String>>,
}

/// Error while reading or writing the file.
#[derive(Debug, Error)]
pub enum UiStateError {
    /// The file exists and cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The file is malformed.
    #[error("{0} is damaged and is ignored; the next change by hand replaces it")]
    Damaged(PathBuf),
    /// The file has a later format.
    #[error("{0} was written by a newer version of this program and is left alone")]
    Newer(PathBuf),
    /// The file cannot be written.
    #[error("cannot save the state of the chart in {path}: {source}")]
    Write {
        /// Path of the file.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
}

impl UiState {
    /// Reads the file. A missing file is an empty state.
    ///
    /// # Errors
    /// [`UiStateError`] if the file is unreadable, malformed or of a later version.
    pub fn load(path: &Path) -> Result<Self, UiStateError> {
        let damaged = || UiStateError::Damaged(path.to_owned());
        let read = |text: &mut String| fs::File::open(path)?.take(FILE_BYTES_MAX).read_to_string(text);
        let mut text = String::new();
        match read(&mut text) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(damaged()),
            Err(source) => return Err(UiStateError::Read { path: path.to_owned(), source }),
            Ok(_) => {}
        }
        let table: toml::Table = text.parse().map_err(|_| damaged())?;
        // The version is checked first, because other values of a later version may not fit.
        match table.get("version").and_then(toml::Value::as_integer) {
            Some(version) if version > VERSION => Err(UiStateError::Newer(path.to_owned())),
            Some(_) => table.try_into().map_err(|_| damaged()),
            None => Err(damaged()),
        }
    }

    /// Keeps the values that differ from `earlier`.
    #[must_use]
    pub fn changed_since(self, earlier: &Self) -> Self {
        let (mut table, earlier) = (self.to_table(), earlier.to_table());
        table.retain(|key, value| earlier.get(key) != Some(value));
        // Deserialization succeeds, because the values were serialized from the same fields above.
        table.try_into().unwrap_or_default()
    }

    /// Merges the known values into the file, which is replaced atomically. Writes nothing if no value is known.
    ///
    /// # Errors
    /// [`UiStateError::Newer`] if the file is of a later version, [`UiStateError::Write`] if it cannot be written.
    pub fn save(mut self, path: &Path) -> Result<(), UiStateError> {
        if self == Self::default() {
            return Ok(());
        }
        if let Some(hidden) = &mut self.hidden {
            hidden.truncate(HIDDEN_MAX);
        }
        let before = match Self::load(path) {
            Err(error @ UiStateError::Newer { .. }) => return Err(error),
            loaded => loaded.unwrap_or_default(),
        };
        let mut table = before.to_table();
        table.extend(self.to_table());
        table.insert("version".to_owned(), VERSION.into());
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
            let mut file = AtomicFile::create(path)?;
            file.write_all(table.to_string().as_bytes())?;
            file.finish()
        });
        written.map_err(|source| UiStateError::Write { path: path.to_owned(), source })
    }

    fn to_table(&self) -> toml::Table {
        // Strings and lists of strings always serialize.
        toml::Table::try_from(self).unwrap_or_default()
    }

    /// Values that are flags, by the flag's name. An empty value stands for a flag that is not set.
    pub(super) fn flags(&self) -> Vec<(&'static str, String)> {
        let table = self.to_table();
        let value = |flag: &'static str| Some((flag, table.get(flag)?.as_str()?.to_owned()));
        FLAGS.into_iter().filter_map(value).filter(|(_, value)| !value.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::consumer::ui_state::*;

    fn light() -> UiState {
        UiState { theme: Some("light".to_owned()), hidden: Some(vec!["A\"\n".to_owned()]), ..UiState::default() }
    }

    #[test]
    fn what_is_saved_is_loaded_and_the_rest_of_the_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/down/view.toml");
        assert_eq!(UiState::load(&path).unwrap(), UiState::default());
        light().save(&path).unwrap();
        assert_eq!(UiState::load(&path).unwrap(), light());
        let wider = UiState { size: Some("1400x800".to_owned()), ..UiState::default() };
        wider.clone().save(&path).unwrap();
        assert_eq!(UiState::load(&path).unwrap(), UiState { size: wider.size, ..light() });
        let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing else is left behind");
    }

    #[test]
    fn nothing_changed_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("view.toml");
        light().changed_since(&light()).save(&path).unwrap();
        assert!(!path.exists());
        let none_hidden = UiState { hidden: Some(Vec::new()), ..light() };
        let changed = none_hidden.changed_since(&light());
        assert_eq!(changed, UiState { hidden: Some(Vec::new()), ..UiState::default() });
    }

    #[test]
    fn a_damaged_file_is_told_and_written_anew_and_a_newer_one_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("view.toml");
        for text in ["", "theme = ", "version = 1\ntheme = 3\n", "\0\0", "theme = \"light\"\n"] {
            fs::write(&path, text).unwrap();
            assert!(matches!(UiState::load(&path), Err(UiStateError::Damaged { .. })), "{text:?}");
        }
        fs::write(&path, b"\xff\xfe").unwrap();
        assert!(matches!(UiState::load(&path), Err(UiStateError::Damaged { .. })));
        light().save(&path).unwrap();
        assert_eq!(UiState::load(&path).unwrap(), light());

        let newer = "version = 2\ntheme = { name = \"light\" }\n";
        fs::write(&path, newer).unwrap();
        assert!(matches!(light().save(&path), Err(UiStateError::Newer { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), newer);
    }
}
