//! `--print-config`: the current settings in the form of a settings file.

use std::fmt::Write as _;

use clap::{Arg, ArgAction};

use super::{CALL_ONLY, Origin, Setting, Settings, word};
use crate::cli::redact::redacted;
use crate::model::is_display_safe;

/// Column of the comments, in characters, unless a value is longer.
const COMMENT_AT: usize = 34;

impl Settings {
    /// Returns all settings as a section of `tickscope.toml`, each with its origin. Passwords in URLs are masked.
    pub fn print(&self) -> String {
        let mut text = format!("[{}]\n", self.command.get_name());
        for arg in self.command.get_arguments() {
            let Some(flag) = arg.get_long().filter(|flag| !CALL_ONLY.contains(flag)) else { continue };
            let line = match self.value(arg) {
                None => format!("# {flag}: not set"),
                Some(value) => {
                    let (line, comment) = self.line(arg, flag, &value);
                    let pad = COMMENT_AT.saturating_sub(line.chars().count());
                    format!("{line}{:pad$}  # {comment}", "")
                }
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{line}");
        }
        text.trim_end().to_owned()
    }

    fn line(&self, arg: &Arg, flag: &str, value: &str) -> (String, &'static str) {
        let line = format!("{flag} = {value}");
        match self.origin(flag) {
            Origin::CommandLine => (line, "command line"),
            Origin::Environment => (line, "environment"),
            Origin::File => (line, "file"),
            Origin::UiState => (line, "saved view"),
            Origin::Default if self.is_compatible(arg, flag) => (line, "default"),
            Origin::Default => (format!("# {line}"), "default; conflicts with other settings"),
        }
    }

    /// Returns whether the default could be set together with the other settings.
    fn is_compatible(&self, arg: &Arg, flag: &str) -> bool {
        let raw = self.matches.get_raw(arg.get_id().as_str());
        let is_switch = matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::Count);
        let words = raw.filter(|_| !is_switch).into_iter().flatten().map(|value| word(flag, value)).collect();
        let setting = Setting { flag: flag.to_owned(), origin: Origin::Default, location: String::new(), words };
        self.with(&self.applied, &[setting]).is_ok()
    }

    /// Returns a flag's value as TOML; `None` if it has none.
    fn value(&self, arg: &Arg) -> Option<String> {
        let id = arg.get_id().as_str();
        match arg.get_action() {
            ArgAction::SetTrue => Some(self.matches.get_flag(id).to_string()),
            ArgAction::Count => Some(self.matches.get_count(id).to_string()),
            action => {
                let raw: Vec<String> =
                    self.matches.get_raw(id)?.map(|value| redacted(&value.to_string_lossy())).collect();
                if matches!(action, ArgAction::Append) {
                    let quoted: Vec<String> = raw.iter().map(|text| quoted(text)).collect();
                    return Some(format!("[{}]", quoted.join(", ")));
                }
                raw.first().map(|text| if is_number(text) { text.clone() } else { quoted(text) })
            }
        }
    }
}

/// Returns whether a text is a number that TOML parses back to the same text.
fn is_number(text: &str) -> bool {
    let whole = text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
    whole || (text.contains('.') && text.parse::<f64>().is_ok_and(|number| number.to_string() == text))
}

/// Returns a text as a basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if is_display_safe(c) => quoted.push(c),
            // Writing to a string cannot fail.
            c => drop(write!(quoted, "\\U{:08X}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}
