//! Layered settings. A flag's value comes from the command line, else from the environment, else from `tickscope.toml`,
//! else from the saved UI state of an earlier run, else from its default.
//!
//! Only clap knows the values that a flag takes and the flags that it conflicts with: a value from elsewhere is parsed
//! as if it were on the command line.

mod file;
mod print;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};
use thiserror::Error;

use crate::cli::environment::Environment;
use crate::cli::logging::{LogWriter, print_stdout};
use crate::cli::redact::redacted;
use crate::cli::{EXIT_FAILURE, EXIT_USAGE};
use crate::model::display_safe;

/// Flags that apply to one call of the program and cannot be in a file.
const CALL_ONLY: &[&str] = &["help", "version", "config", "print-config"];

/// Separator of the values of a repeatable flag in a variable. A comma may be part of a value.
const REPEATED_SEPARATOR: char = ';';

/// Origin of a value. Later ones take precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The flag's default.
    Default,
    /// The UI state that an earlier run saved.
    UiState,
    /// `tickscope.toml`.
    File,
    /// An environment variable.
    Environment,
    /// The command line.
    CommandLine,
}

/// Error in the settings. Its text is safe for a terminal and contains no password.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct SettingsError(String);

impl SettingsError {
    fn new(text: &str) -> Self {
        let lines: Vec<_> = text.lines().map(|line| display_safe(line).into_owned()).collect();
        Self(redacted(&lines.join("\n")))
    }
}

/// An error about a setting, with its location unless that is the command line.
#[derive(Debug)]
pub struct LocatedError {
    location: Option<String>,
    error: Box<dyn Error + Send + Sync>,
}

impl fmt::Display for LocatedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.location {
            write!(f, "{location}: ")?;
        }
        self.error.fmt(f)
    }
}

impl Error for LocatedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// A flag that is set elsewhere than on the command line.
#[derive(Debug, Clone)]
struct Setting {
    /// Long flag without its dashes.
    flag: String,
    origin: Origin,
    /// Variable, or file, line and key, for error messages.
    location: String,
    /// Equivalent words of a command line; empty for a switch that is off.
    words: Vec<OsString>,
}

/// Settings of one program from all origins.
#[derive(Debug)]
pub struct Settings {
    command: Command,
    program: OsString,
    given: Vec<OsString>,
    matches: ArgMatches,
    applied: Vec<Setting>,
    /// Settings without effect, with the reasons.
    notes: Vec<String>,
}

/// Returns the variable of a flag: `TICKSCOPE_LOCAL_PORT` for `local-port`, and the usual `REDIS_URL` for `redis`.
pub fn variable(flag: &str) -> String {
    if flag == "redis" {
        return "REDIS_URL".to_owned();
    }
    format!("TICKSCOPE_{}", flag.to_ascii_uppercase().replace('-', "_"))
}

impl Settings {
    /// Reads the command line, the environment and the file.
    ///
    /// # Errors
    ///
    /// Returns the exit status if they cannot be used, or if only help was requested. The message is printed already.
    pub fn read<A: CommandFactory>(environment: &Environment) -> Result<Self, ExitCode> {
        let mut words = environment.args.iter().cloned();
        let program = words.next().unwrap_or_default();
        let given: Vec<OsString> = words.collect();
        let command = A::command();
        let (matches, applied) = match command.clone().try_get_matches_from(environment.args.iter()) {
            Ok(matches) => (matches, Vec::new()),
            Err(error) => add_required(&command, &error, environment)?,
        };
        let mut settings = Self { command, program, given, matches, applied, notes: Vec::new() };
        settings.complete(environment).map_err(|error| print_error(&error))?;
        Ok(settings)
    }

    fn complete(&mut self, environment: &Environment) -> Result<(), SettingsError> {
        let found = from_environment(&self.command, environment, |flag| !self.is_set(flag));
        self.apply(found.collect::<Result<_, _>>()?)?;
        let named = self.matches.try_get_one::<PathBuf>("config").ok().flatten().cloned();
        let found = file::read(named.as_deref(), environment.config_dir.as_deref(), &self.command)?;
        let is_unset = |setting: &Setting| !self.is_set(&setting.flag);
        self.apply(found.into_iter().filter(is_unset).collect())
    }

    /// Adds the saved UI state, as flags and values. Returns error messages for the values that are ignored.
    pub fn add_ui_state(&mut self, values: &[(&str, String)], location: &str) -> Vec<String> {
        let mut errors = Vec::new();
        for (flag, value) in values {
            if self.is_set(flag) {
                continue;
            }
            let setting = Setting {
                flag: (*flag).to_owned(),
                origin: Origin::UiState,
                location: format!("{location}: {flag}"),
                words: vec![word(flag, OsStr::new(value))],
            };
            if let Err(error) = self.apply(vec![setting]) {
                errors.push(error.to_string());
            }
        }
        errors
    }

    /// Returns the program's arguments as known so far.
    ///
    /// # Errors
    ///
    /// Returns the exit status if they are invalid. The message is printed already.
    pub fn args<A: FromArgMatches>(&self) -> Result<A, ExitCode> {
        A::from_arg_matches(&self.matches).map_err(|error| print_error(&SettingsError::new(&clap_message(&error))))
    }

    /// Returns the program's arguments from all origins.
    ///
    /// # Errors
    ///
    /// Returns the exit status if they are invalid, or if `--print-config` requested them. They are printed already.
    pub fn finish<A: FromArgMatches>(&self) -> Result<A, ExitCode> {
        if self.matches.try_get_one::<bool>("print_config").ok().flatten() == Some(&true) {
            let printed = print_stdout(&self.print());
            return Err(printed.map_or(ExitCode::from(EXIT_FAILURE), |()| ExitCode::SUCCESS));
        }
        self.args()
    }

    /// Logs settings without effect, at debug level.
    pub fn log_notes(&self) {
        for note in &self.notes {
            tracing::debug!("{}", display_safe(note));
        }
    }

    /// Returns the origin of a flag's value.
    pub fn origin(&self, flag: &str) -> Origin {
        self.applied.iter().find(|setting| setting.flag == flag).map_or_else(
            || if self.is_given(flag) { Origin::CommandLine } else { Origin::Default },
            |setting| setting.origin,
        )
    }

    /// Returns the location of the first flag that `message` names, unless that is the command line.
    pub fn location_of(&self, message: &str) -> Option<String> {
        let flags = message.split("--").skip(1).map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(rest.len());
            rest[..end].trim_end_matches('-')
        });
        // Errors about a server's URL do not name the flag.
        let flags = flags.chain(message.contains("Redis URL").then_some("redis"));
        let mut settings = flags.filter_map(|flag| self.applied.iter().find(|setting| setting.flag == flag));
        settings.next().map(|setting| display_safe(&setting.location).into_owned())
    }

    /// Adds the location of the setting that `error` names.
    pub fn locate(&self, error: impl Error + Send + Sync + 'static) -> LocatedError {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str(&error.to_string());
            cause = error.source();
        }
        LocatedError { location: self.location_of(&message), error: Box::new(error) }
    }

    fn is_given(&self, flag: &str) -> bool {
        let arg = self.command.get_arguments().find(|arg| arg.get_long() == Some(flag));
        arg.is_some_and(|arg| {
            let source = self.matches.value_source(arg.get_id().as_str());
            source == Some(clap::parser::ValueSource::CommandLine)
        })
    }

    /// Returns whether the flag is set so far.
    fn is_set(&self, flag: &str) -> bool {
        self.is_given(flag) || self.applied.iter().any(|setting| setting.flag == flag)
    }

    /// Applies settings of one origin. One that conflicts with an earlier origin has no effect. One that conflicts with
    /// another of its own origin is an error.
    fn apply(&mut self, mut waiting: Vec<Setting>) -> Result<(), SettingsError> {
        let earlier = self.applied.clone();
        loop {
            let before = waiting.len();
            let mut unmet = Vec::new();
            for setting in std::mem::take(&mut waiting) {
                match self.with(&self.applied, std::slice::from_ref(&setting)) {
                    Ok(matches) => {
                        self.matches = matches;
                        self.applied.push(setting);
                    }
                    Err(error) if error.kind() == ErrorKind::ArgumentConflict => {
                        self.check_conflict(&setting, &earlier)?;
                    }
                    // The missing flag may be set by a later setting.
                    Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => unmet.push(setting),
                    Err(error) => {
                        return Err(SettingsError::new(&format!("{}: {}", setting.location, clap_message(&error))));
                    }
                }
            }
            if unmet.len() == before || unmet.is_empty() {
                let note =
                    |setting: Setting| format!("{}: has no effect without the flag that it requires", setting.location);
                self.notes.extend(unmet.into_iter().map(note));
                return Ok(());
            }
            waiting = unmet;
        }
    }

    fn check_conflict(&mut self, setting: &Setting, earlier: &[Setting]) -> Result<(), SettingsError> {
        let conflicts = |others: &[Setting]| {
            let outcome = self.with(others, std::slice::from_ref(setting));
            outcome.err().is_some_and(|error| error.kind() == ErrorKind::ArgumentConflict)
        };
        if !conflicts(earlier) {
            let own = self.applied.iter().filter(|other| other.origin == setting.origin);
            if let Some(other) = own.into_iter().find(|other| conflicts(std::slice::from_ref(other))) {
                let (location, other) = (&setting.location, &other.location);
                return Err(SettingsError::new(&format!(
                    "{location}: cannot be used with {other}; remove one of them"
                )));
            }
        }
        self.notes.push(format!("{}: has no effect beside a setting of higher precedence", setting.location));
        Ok(())
    }

    /// Parses the command line with these settings added.
    fn with(&self, applied: &[Setting], more: &[Setting]) -> Result<ArgMatches, clap::Error> {
        let added = applied.iter().chain(more).flat_map(|setting| setting.words.iter());
        // The settings come first, because the command line may end with `--`.
        let line = std::iter::once(&self.program).chain(added).chain(&self.given);
        self.command.clone().try_get_matches_from(line)
    }
}

/// Completes a command line that lacks required flags with settings from the environment and the file. A setting may
/// require another one.
fn add_required(
    command: &Command,
    error: &clap::Error,
    environment: &Environment,
) -> Result<(ArgMatches, Vec<Setting>), ExitCode> {
    let mut missing = missing_flags(error);
    if missing.is_empty() {
        return Err(print_clap_error(error));
    }
    let available = available_settings(command, environment).map_err(|error| print_error(&error))?;
    let mut words = environment.args.iter();
    let (program, given): (_, Vec<&OsString>) = (words.next(), words.collect());
    let mut applied: Vec<Setting> = Vec::new();
    loop {
        let is_unset = |flag: &String| applied.iter().all(|setting| setting.flag != *flag);
        let flags = missing.iter().filter(|flag| is_unset(flag));
        let found: Vec<_> = flags.filter_map(|flag| available.get(flag)).cloned().collect();
        if found.is_empty() {
            return Err(print_clap_error(error));
        }
        applied.extend(found);
        let added = applied.iter().flat_map(|setting| &setting.words);
        let line = program.into_iter().chain(added).chain(given.iter().copied());
        match command.clone().try_get_matches_from(line) {
            Ok(matches) => return Ok((matches, applied)),
            Err(error) => missing = missing_flags(&error),
        }
    }
}

/// Returns the required flags that an error of clap names.
fn missing_flags(error: &clap::Error) -> Vec<String> {
    let named = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(named)) if error.kind() == ErrorKind::MissingRequiredArgument => named.as_slice(),
        _ => &[],
    };
    // In the form `--flag <VALUE>`.
    let end = |c: char| !c.is_ascii_lowercase() && c != '-';
    let flags = named.iter().filter_map(|named| named.strip_prefix("--")?.split(end).next());
    flags.map(str::to_owned).collect()
}

/// Returns the settings of the environment and the file by flag. Of the command line, only --config is used.
fn available_settings(
    command: &Command,
    environment: &Environment,
) -> Result<BTreeMap<String, Setting>, SettingsError> {
    let given = command.clone().ignore_errors(true).try_get_matches_from(environment.args.iter()).ok();
    let named = given.and_then(|given| given.try_get_one::<PathBuf>("config").ok().flatten().cloned());
    let named = named.or_else(|| environment.variable(&variable("config")).map(PathBuf::from));
    let found = file::read(named.as_deref(), environment.config_dir.as_deref(), command)?;
    // Later ones replace earlier ones.
    let all = found.into_iter().chain(from_environment(command, environment, |_| true).filter_map(Result::ok));
    Ok(all.map(|setting| (setting.flag.clone(), setting)).collect())
}

/// Returns the settings of the environment for the flags that are wanted.
fn from_environment(
    command: &Command,
    environment: &Environment,
    is_wanted: impl Fn(&str) -> bool,
) -> impl Iterator<Item = Result<Setting, SettingsError>> {
    command.get_arguments().filter_map(move |arg| {
        let flag = arg.get_long().filter(|flag| is_wanted(flag))?;
        let name = variable(flag);
        let words = words_of_text(arg, flag, environment.variable(&name)?);
        let words = words.map_err(|reason| SettingsError::new(&format!("{name}: {reason}")));
        Some(words.map(|words| Setting { flag: flag.to_owned(), origin: Origin::Environment, location: name, words }))
    })
}

/// Returns `--flag=value`.
fn word(flag: &str, value: &OsStr) -> OsString {
    let mut word = OsString::from(format!("--{flag}="));
    word.push(value);
    word
}

/// Returns the words of a command line that are equivalent to a variable, or the reason why there are none.
fn words_of_text(arg: &Arg, flag: &str, value: &OsStr) -> Result<Vec<OsString>, String> {
    let text = value.to_str().map(str::trim);
    match arg.get_action() {
        ArgAction::SetTrue | ArgAction::Help | ArgAction::Version => match text.and_then(switch) {
            Some(on) => Ok(repeated(flag, usize::from(on))),
            None => Err("a switch is 1, true, yes or on, or 0, false, no or off".to_owned()),
        },
        ArgAction::Count => {
            let times = text.and_then(|text| text.parse::<u8>().ok().or_else(|| switch(text).map(u8::from)));
            let times = times.ok_or_else(|| "a count is 0, 1, 2, ..".to_owned())?;
            Ok(repeated(flag, times.into()))
        }
        ArgAction::Append if arg.get_value_delimiter().is_none() => {
            let text = text.ok_or_else(|| "it is not UTF-8 text".to_owned())?;
            let parts = text.split(REPEATED_SEPARATOR).map(str::trim).filter(|part| !part.is_empty());
            Ok(parts.map(|part| word(flag, OsStr::new(part))).collect())
        }
        _ => Ok(vec![word(flag, value)]),
    }
}

fn repeated(flag: &str, times: usize) -> Vec<OsString> {
    vec![OsString::from(format!("--{flag}")); times]
}

fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Prints an error in the settings.
fn print_error(error: &SettingsError) -> ExitCode {
    LogWriter::new().print_stderr(&format!("error: {error}"));
    ExitCode::from(EXIT_USAGE)
}

/// Prints clap's error or help on the right stream, without passwords in URLs.
fn print_clap_error(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && error.to_string().contains("://") {
        LogWriter::new().print_stderr(redacted(&error.to_string()).trim_end());
    } else {
        // The output may be a closed pipe.
        error.print().ok();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(EXIT_USAGE))
}

/// Returns clap's error message without the usage.
fn clap_message(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let end = ["\n\nUsage:", "\n\nFor more information"].iter().filter_map(|tail| text.find(tail)).min();
    let lines: Vec<&str> = text[..end.unwrap_or(text.len())].lines().map(str::trim_end).collect();
    lines.join("\n").trim_end().to_owned()
}
