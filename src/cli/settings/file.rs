//! The settings file `tickscope.toml`, with a section for each program and a key for each flag.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command};
use toml::de::{DeTable, DeValue};

use super::{CALL_ONLY, Origin, Setting, SettingsError, repeated, word};

/// Folder and file below the platform's folder for settings.
const FOLDER: &str = "tickscope";
const FILE: &str = "tickscope.toml";

/// Longest file: about a hundred times the length of all settings. It may be a pipe that never ends.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Sections, one for each program.
const SECTIONS: &[&str] = &["consumer", "producer"];

/// Reads the settings for `command` from the file at `named`, which must exist, or else from the user's file if there
/// is one.
pub(super) fn read(
    named: Option<&Path>,
    config_dir: Option<&Path>,
    command: &Command,
) -> Result<Vec<Setting>, SettingsError> {
    let default = config_dir.map(|dir| dir.join(FOLDER).join(FILE));
    let Some(path) = named.map(Path::to_owned).or(default) else { return Ok(Vec::new()) };
    let display = path.display().to_string();
    match text_of(&path) {
        Ok(text) => settings(&text, &display, command),
        Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => {
            let hint = if named.is_some() { "; --config names a file of settings that exists" } else { "" };
            Err(SettingsError::new(&format!("cannot read {display}: {error}{hint}")))
        }
    }
}

fn text_of(path: &PathBuf) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than a megabyte"));
    }
    Ok(text)
}

/// Parses the settings for `command` from a file's `text`. `display` is the file's name in error messages.
pub(super) fn settings(text: &str, display: &str, command: &Command) -> Result<Vec<Setting>, SettingsError> {
    let line = |at: usize| 1 + text.get(..at).unwrap_or(text).matches('\n').count();
    let wrong = |at: usize, what: &str| SettingsError::new(&format!("{display}, line {}: {what}", line(at)));
    let table = DeTable::parse(text).map_err(|error| {
        // Without the excerpt of the file, which may contain a password.
        wrong(error.span().map_or(0, |span| span.start), error.message().lines().next().unwrap_or("not TOML"))
    })?;
    let mut found = Vec::new();
    for (name, section) in table.get_ref() {
        let (name, at) = (name.get_ref(), name.span().start);
        let DeValue::Table(keys) = section.get_ref() else {
            let what = format!("'{name}' is outside of a section; put it below [consumer] or [producer]");
            return Err(wrong(at, &what));
        };
        if !SECTIONS.contains(&name.as_ref()) {
            let hint = nearest(name, SECTIONS.iter().copied()).map_or_else(
                || "; the sections are [consumer] and [producer]".to_owned(),
                |near| format!("; did you mean [{near}]?"),
            );
            return Err(wrong(at, &format!("unknown section [{name}]{hint}")));
        }
        if name != command.get_name() {
            continue;
        }
        // In the order of the file, so that the first error is reported.
        let mut keys: Vec<_> = keys.iter().collect();
        keys.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in keys {
            let (key, at) = (key.get_ref(), key.span().start);
            let arg = find_flag(command, key).map_err(|reason| wrong(at, &reason))?;
            let words = words(arg, key, value.get_ref()).map_err(|reason| wrong(at, &format!("'{key}' {reason}")))?;
            let location = format!("{display}, line {}: {key}", line(at));
            found.push(Setting { flag: key.clone().into_owned(), origin: Origin::File, location, words });
        }
    }
    Ok(found)
}

/// Finds the flag of a key. An error is the reason for which the key is invalid.
fn find_flag<'a>(command: &'a Command, key: &str) -> Result<&'a Arg, String> {
    if CALL_ONLY.contains(&key) {
        return Err(format!("'{key}' belongs on the command line and cannot be set in a file"));
    }
    let flags = || command.get_arguments().filter(|arg| arg.get_long().is_some_and(|flag| !CALL_ONLY.contains(&flag)));
    flags().find(|arg| arg.get_long() == Some(key)).ok_or_else(|| {
        let hint = nearest(key, flags().filter_map(Arg::get_long)).map_or_else(
            || format!("; the keys are the flags that {} --help lists", command.get_name()),
            |near| format!("; did you mean '{near}'?"),
        );
        format!("unknown key '{key}'{hint}")
    })
}

/// Returns the words of a command line that are equivalent to a value. An error describes the values that the flag
/// takes.
fn words(arg: &Arg, flag: &str, value: &DeValue<'_>) -> Result<Vec<OsString>, String> {
    match (arg.get_action(), value) {
        (ArgAction::SetTrue, DeValue::Boolean(on)) => Ok(repeated(flag, usize::from(*on))),
        (ArgAction::SetTrue, _) => Err("is a switch: true or false".to_owned()),
        (ArgAction::Count, value) => {
            let times = scalar(value).and_then(|text| text.parse::<u8>().ok());
            times.map(|times| repeated(flag, times.into())).ok_or_else(|| "is a count: 0, 1, 2, ..".to_owned())
        }
        (ArgAction::Append, DeValue::Array(values)) => {
            let texts = values.iter().map(|value| scalar(value.get_ref()));
            let texts: Option<Vec<String>> = texts.collect();
            let texts = texts.ok_or_else(|| "is a list of texts, such as [\"a\", \"b\"]".to_owned())?;
            Ok(texts.iter().map(|text| word(flag, OsStr::new(text))).collect())
        }
        (_, DeValue::Boolean(_)) => Err("takes a value in quotes or a number, not true or false".to_owned()),
        (_, DeValue::Array(_)) => Err("takes one value, not a list".to_owned()),
        (_, DeValue::Table(_)) => Err("takes a value, not a table".to_owned()),
        (_, value) => Ok(scalar(value).map(|text| word(flag, OsStr::new(&text))).into_iter().collect()),
    }
}

/// Returns a string, a number or a time as text.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) => {
            Some(i64::from_str_radix(number.as_str(), number.radix()).map_or(number.to_string(), |n| n.to_string()))
        }
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Boolean(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

/// Returns the most similar one of `known`, if it is similar enough.
fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let close = known.map(|other| (distance(word, other), other)).min();
    close.filter(|(distance, other)| *distance <= 2.max(other.len() / 3)).map(|(_, other)| other)
}

/// Returns the edit distance between two words (Levenshtein 1966), with `_` equal to `-`.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().map(|c| if c == '_' { '-' } else { c.to_ascii_lowercase() }).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in to.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}
