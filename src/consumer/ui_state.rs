//! What one run keeps of how the chart looked for the next one: a small file of the user's own.
//!
//! Every value is written as its flag takes it, so that reading it back needs no rules of its own. Only what the user
//! changed by hand is written; the rest of the file stays as it was.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The form of the file that this program writes. One of a newer program is left alone.
const VERSION: u32 = 1;

/// Longest file that is read, in bytes: a thousand hidden symbols take a tenth of it.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Most symbols that are remembered as hidden.
const HIDDEN_MAX: usize = 1_000;

/// How the chart looked. What is `None` is not known, or was not changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UiState {
    /// As `--size` takes it.
    pub size: Option<String>,
    /// As `--scale` takes it.
    pub scale: Option<String>,
    /// As `--theme` takes it.
    pub theme: Option<String>,
    /// As `--axis` takes it.
    pub axis: Option<String>,
    /// As `--chart` takes it.
    pub chart: Option<String>,
    /// As `--layout` takes it.
    pub layout: Option<String>,
    /// As `--bars` takes it.
    pub bars: Option<String>,
    /// As `--window` takes it.
    pub window: Option<String>,
    /// The focused symbol's name; empty for none.
    pub focused: Option<String>,
    /// Names of the symbols that are switched off.
    pub hidden: Option<Vec<String>>,
}

/// The file: its version, then what is remembered.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Written {
    #[serde(default)]
    version: u32,
    #[serde(flatten)]
    remembered: UiState,
}

/// Why nothing can be remembered.
#[derive(Debug, Error)]
pub enum RememberError {
    /// The file is there and cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It does not say what it should.
    #[error("{path} is damaged and is ignored; the next change by hand writes it anew")]
    Damaged {
        /// Which.
        path: PathBuf,
    },
    /// A later program wrote it in a form of its own.
    #[error("{path} was written by a newer version of this program and is left alone")]
    Newer {
        /// Which.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error("cannot keep how the chart looked in {path}: {source}")]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl UiState {
    /// Reads the file; nothing is remembered where there is none.
    pub fn load(path: &Path) -> Result<Self, RememberError> {
        let read = |text: &mut String| fs::File::open(path)?.take(FILE_BYTES_MAX).read_to_string(text);
        let mut text = String::new();
        match read(&mut text) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(RememberError::Damaged { path: path.to_owned() });
            }
            Err(source) => return Err(RememberError::Read { path: path.to_owned(), source }),
            Ok(_) => {}
        }
        let damaged = || RememberError::Damaged { path: path.to_owned() };
        let table: toml::Table = text.parse().map_err(|_| damaged())?;
        // The version alone first: what else a newer file holds need not fit.
        match table.get("version").and_then(toml::Value::as_integer) {
            Some(version) if version > i64::from(VERSION) => Err(RememberError::Newer { path: path.to_owned() }),
            Some(_) => {
                let written: Written = table.try_into().map_err(|_| damaged())?;
                Ok(written.remembered)
            }
            None => Err(damaged()),
        }
    }

    /// What differs from how it was; the rest is `None`.
    #[must_use]
    pub fn changed_since(self, earlier: &Self) -> Self {
        fn changed<T: PartialEq>(now: Option<T>, then: Option<&T>) -> Option<T> {
            now.filter(|now| then != Some(now))
        }
        Self {
            size: changed(self.size, earlier.size.as_ref()),
            scale: changed(self.scale, earlier.scale.as_ref()),
            theme: changed(self.theme, earlier.theme.as_ref()),
            axis: changed(self.axis, earlier.axis.as_ref()),
            chart: changed(self.chart, earlier.chart.as_ref()),
            layout: changed(self.layout, earlier.layout.as_ref()),
            bars: changed(self.bars, earlier.bars.as_ref()),
            window: changed(self.window, earlier.window.as_ref()),
            focused: changed(self.focused, earlier.focused.as_ref()),
            hidden: changed(self.hidden, earlier.hidden.as_ref()),
        }
    }

    /// Writes what is known here over what the file has, whole or not at all: two programs that end at once leave the
    /// file of one of them, never a mixture of bytes.
    pub fn save(self, path: &Path) -> Result<(), RememberError> {
        if self == Self::default() {
            return Ok(());
        }
        let before = match Self::load(path) {
            Err(error @ RememberError::Newer { .. }) => return Err(error),
            loaded => loaded.unwrap_or_default(),
        };
        let mut remembered = self.over(before);
        if let Some(hidden) = &mut remembered.hidden {
            hidden.truncate(HIDDEN_MAX);
        }
        let failed = |source| RememberError::Write { path: path.to_owned(), source };
        let text = toml::to_string(&Written { version: VERSION, remembered });
        let text = text.map_err(|error| failed(io::Error::other(error)))?;
        write_whole(path, text.as_bytes()).map_err(failed)
    }

    fn over(self, before: Self) -> Self {
        Self {
            size: self.size.or(before.size),
            scale: self.scale.or(before.scale),
            theme: self.theme.or(before.theme),
            axis: self.axis.or(before.axis),
            chart: self.chart.or(before.chart),
            layout: self.layout.or(before.layout),
            bars: self.bars.or(before.bars),
            window: self.window.or(before.window),
            focused: self.focused.or(before.focused),
            hidden: self.hidden.or(before.hidden),
        }
    }

    /// The values that are flags, by flag.
    pub(super) fn flags(&self) -> Vec<(&'static str, String)> {
        let values = [
            ("size", &self.size),
            ("scale", &self.scale),
            ("theme", &self.theme),
            ("axis", &self.axis),
            ("chart", &self.chart),
            ("layout", &self.layout),
            ("bars", &self.bars),
            ("window", &self.window),
        ];
        let set = values.into_iter().filter_map(|(flag, value)| Some((flag, value.clone()?)));
        // An empty one stands for the flag not being given.
        set.filter(|(_, value)| !value.is_empty()).collect()
    }
}

/// Through a file of this process's own beside it, which then takes its place.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(format!(".{}", std::process::id()));
    let written = fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        // What is left of the attempt is of no use; that it cannot be removed adds nothing to the first error.
        let _ = fs::remove_file(&partial);
    }
    written
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
            assert!(matches!(UiState::load(&path), Err(RememberError::Damaged { .. })), "{text:?}");
        }
        fs::write(&path, b"\xff\xfe").unwrap();
        assert!(matches!(UiState::load(&path), Err(RememberError::Damaged { .. })));
        light().save(&path).unwrap();
        assert_eq!(UiState::load(&path).unwrap(), light());

        let newer = "version = 2\ntheme = { name = \"light\" }\n";
        fs::write(&path, newer).unwrap();
        assert!(matches!(light().save(&path), Err(RememberError::Newer { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), newer);
    }
}
