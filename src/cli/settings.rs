//! Where a flag's value comes from: the command line, else the environment, else `tickscope.toml`, else what was
//! remembered from an earlier run, else its default. What a flag takes and what it may stand beside is known to clap
//! alone: a value from elsewhere is tried out as if it stood on the command line, so no rule is written down twice.

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

use super::{EXIT_USAGE, Environment, redacted};
use crate::model::display_safe;

/// Flags that say something about one call of the program and are no settings: they have no place in a file.
const CALL_ONLY: &[&str] = &["help", "version", "config", "print-config"];

/// Between the values of a flag that may be given more than once, in a variable. A comma may be part of one.
const REPEATED_SEPARATOR: char = ';';

/// Who set a value; the later ones win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody.
    Default,
    /// An earlier run.
    UiState,
    /// `tickscope.toml`.
    File,
    /// A variable.
    Environment,
    /// The command line.
    CommandLine,
}

/// Why the settings cannot be used. Its text is safe for a terminal and repeats no password.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct SettingsError(String);

impl SettingsError {
    fn new(text: &str) -> Self {
        let lines: Vec<_> = text.lines().map(|line| display_safe(line).into_owned()).collect();
        Self(redacted(&lines.join("\n")))
    }
}

/// An error about a setting, with where that stands unless it is the command line.
#[derive(Debug)]
pub struct Placed {
    place: Option<String>,
    error: Box<dyn Error + Send + Sync>,
}

impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        self.error.fmt(f)
    }
}

impl Error for Placed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// One flag as something other than the command line sets it.
#[derive(Debug, Clone)]
struct Setting {
    /// The long flag, without its dashes.
    flag: String,
    origin: Origin,
    /// What to name where it is wrong: the variable, or file, line and key.
    place: String,
    /// The same on the command line; empty for a switch that is off.
    words: Vec<OsString>,
}

/// The settings of one program, put together from everywhere.
#[derive(Debug)]
pub struct Settings {
    command: Command,
    program: OsString,
    given: Vec<OsString>,
    matches: ArgMatches,
    settled: Vec<Setting>,
    /// What was set and has no effect, and why.
    notes: Vec<String>,
}

/// The variable of a flag: `TICKSCOPE_LOCAL_PORT` of `local-port`. Redis's URL has the name that others use, too.
pub fn variable(flag: &str) -> String {
    if flag == "redis" {
        return "REDIS_URL".to_owned();
    }
    format!("TICKSCOPE_{}", flag.to_ascii_uppercase().replace('-', "_"))
}

impl Settings {
    /// Reads the command line, the environment and the file. When they cannot be used, or only help was wanted,
    /// everything has been said already and the exit code is returned.
    pub fn read<A: CommandFactory>(surroundings: &Environment) -> Result<Self, ExitCode> {
        let mut words = surroundings.args.iter().cloned();
        let program = words.next().unwrap_or_default();
        let given: Vec<OsString> = words.collect();
        let command = A::command();
        let (matches, settled) = match command.clone().try_get_matches_from(surroundings.args.iter()) {
            Ok(matches) => (matches, Vec::new()),
            Err(error) => lent(&command, &error, surroundings)?,
        };
        let mut settings = Self { command, program, given, matches, settled, notes: Vec::new() };
        settings.complete(surroundings).map_err(|error| refuse(&error))?;
        Ok(settings)
    }

    fn complete(&mut self, surroundings: &Environment) -> Result<(), SettingsError> {
        self.adopt(self.of_environment(surroundings)?)?;
        let named = self.matches.try_get_one::<PathBuf>("config").ok().flatten().cloned();
        let found = file::read(named.as_deref(), surroundings.config_dir.as_deref(), &self.command)?;
        let is_open = |setting: &Setting| !self.is_set(&setting.flag);
        self.adopt(found.into_iter().filter(is_open).collect())
    }

    /// Takes what an earlier run remembered, by flag. Returns what is wrong with it, which is then left out.
    pub fn add_remembered(&mut self, values: &[(&str, String)], place: &str) -> Vec<String> {
        let mut complaints = Vec::new();
        for (flag, value) in values {
            if self.is_set(flag) {
                continue;
            }
            let setting = Setting {
                flag: (*flag).to_owned(),
                origin: Origin::UiState,
                place: format!("{place}: {flag}"),
                words: vec![word(flag, OsStr::new(value))],
            };
            if let Err(error) = self.adopt(vec![setting]) {
                complaints.push(error.to_string());
            }
        }
        complaints
    }

    /// The program's arguments as known by now.
    pub fn args<A: FromArgMatches>(&self) -> Result<A, ExitCode> {
        A::from_arg_matches(&self.matches).map_err(|error| refuse(&SettingsError::new(&told(&error))))
    }

    /// The program's arguments, from everywhere. Where they were only to be looked at, they are printed and the exit
    /// code is returned.
    pub fn finish<A: FromArgMatches>(&self) -> Result<A, ExitCode> {
        if self.matches.try_get_one::<bool>("print_config").ok().flatten() == Some(&true) {
            let printed = super::print_stdout(&self.print());
            return Err(printed.map_or(ExitCode::from(super::EXIT_FAILURE), |()| ExitCode::SUCCESS));
        }
        self.args()
    }

    /// Logs what was set and has no effect, for those who ask for detail.
    pub fn tell(&self) {
        for note in &self.notes {
            tracing::debug!("{}", display_safe(note));
        }
    }

    /// Who set a flag.
    pub fn origin(&self, flag: &str) -> Origin {
        self.settled.iter().find(|setting| setting.flag == flag).map_or_else(
            || if self.is_given(flag) { Origin::CommandLine } else { Origin::Default },
            |setting| setting.origin,
        )
    }

    /// Where the first flag stands that `message` speaks of, unless that is the command line.
    pub fn place_of(&self, message: &str) -> Option<String> {
        let flags = message.split("--").skip(1).map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(rest.len());
            rest[..end].trim_end_matches('-')
        });
        // What is wrong with a server's URL is said in words of its own.
        let flags = flags.chain(message.contains("Redis URL").then_some("redis"));
        let mut places = flags.filter_map(|flag| self.settled.iter().find(|setting| setting.flag == flag));
        places.next().map(|setting| display_safe(&setting.place).into_owned())
    }

    /// `error` with the place of the setting that it speaks of.
    pub fn placed(&self, error: impl Error + Send + Sync + 'static) -> Placed {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str(&error.to_string());
            cause = error.source();
        }
        Placed { place: self.place_of(&message), error: Box::new(error) }
    }

    fn is_given(&self, flag: &str) -> bool {
        let arg = self.command.get_arguments().find(|arg| arg.get_long() == Some(flag));
        arg.is_some_and(|arg| {
            let source = self.matches.value_source(arg.get_id().as_str());
            source == Some(clap::parser::ValueSource::CommandLine)
        })
    }

    /// Whether anything has set the flag up to now.
    fn is_set(&self, flag: &str) -> bool {
        self.is_given(flag) || self.settled.iter().any(|setting| setting.flag == flag)
    }

    fn of_environment(&self, surroundings: &Environment) -> Result<Vec<Setting>, SettingsError> {
        let mut found = Vec::new();
        for arg in self.command.get_arguments() {
            let Some(flag) = arg.get_long().filter(|flag| !self.is_set(flag)) else { continue };
            let name = variable(flag);
            let Some(value) = surroundings.variable(&name) else { continue };
            let refused = |why: &str| SettingsError::new(&format!("{name}: {why}"));
            let words = words_of_text(arg, flag, value).map_err(|why| refused(&why))?;
            found.push(Setting { flag: flag.to_owned(), origin: Origin::Environment, place: name, words });
        }
        Ok(found)
    }

    /// Takes settings of one origin. One that cannot stand beside a stronger one gives way to it; one that cannot stand
    /// beside another of its own origin is an error.
    fn adopt(&mut self, mut waiting: Vec<Setting>) -> Result<(), SettingsError> {
        let stronger = self.settled.clone();
        loop {
            let before = waiting.len();
            let mut unmet = Vec::new();
            for setting in std::mem::take(&mut waiting) {
                match self.with(&self.settled, std::slice::from_ref(&setting)) {
                    Ok(matches) => {
                        self.matches = matches;
                        self.settled.push(setting);
                    }
                    Err(error) if error.kind() == ErrorKind::ArgumentConflict => self.give_way(&setting, &stronger)?,
                    // It may need one that comes later.
                    Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => unmet.push(setting),
                    Err(error) => return Err(SettingsError::new(&format!("{}: {}", setting.place, told(&error)))),
                }
            }
            if unmet.len() == before || unmet.is_empty() {
                let note = |setting: Setting| format!("{}: has no effect without what it belongs to", setting.place);
                self.notes.extend(unmet.into_iter().map(note));
                return Ok(());
            }
            waiting = unmet;
        }
    }

    fn give_way(&mut self, setting: &Setting, stronger: &[Setting]) -> Result<(), SettingsError> {
        let conflicts = |others: &[Setting]| {
            let outcome = self.with(others, std::slice::from_ref(setting));
            outcome.err().is_some_and(|error| error.kind() == ErrorKind::ArgumentConflict)
        };
        if !conflicts(stronger) {
            let own = self.settled.iter().filter(|other| other.origin == setting.origin);
            if let Some(other) = own.into_iter().find(|other| conflicts(std::slice::from_ref(other))) {
                let (place, other) = (&setting.place, &other.place);
                return Err(SettingsError::new(&format!("{place}: cannot be used with {other}; remove one of them")));
            }
        }
        self.notes.push(format!("{}: gives way to what cannot stand beside it", setting.place));
        Ok(())
    }

    /// What clap makes of the command line with these settings on it.
    fn with(&self, settled: &[Setting], more: &[Setting]) -> Result<ArgMatches, clap::Error> {
        let added = settled.iter().chain(more).flat_map(|setting| setting.words.iter());
        // The added ones first: what was given may end in `--`.
        let line = std::iter::once(&self.program).chain(added).chain(&self.given);
        self.command.clone().try_get_matches_from(line)
    }
}

/// The settings without which the command line is not complete, as a password's place is the environment, and what clap
/// makes of all. One of them may need another.
fn lent(
    command: &Command,
    error: &clap::Error,
    surroundings: &Environment,
) -> Result<(ArgMatches, Vec<Setting>), ExitCode> {
    let mut wanted = missing(error);
    if wanted.is_empty() {
        return Err(say(error));
    }
    let offered = offered(command, surroundings).map_err(|error| refuse(&error))?;
    let mut words = surroundings.args.iter();
    let (program, given): (_, Vec<&OsString>) = (words.next(), words.collect());
    let mut settled: Vec<Setting> = Vec::new();
    loop {
        let is_open = |flag: &String| settled.iter().all(|setting| setting.flag != *flag);
        let flags = wanted.iter().filter(|flag| is_open(flag));
        let found: Vec<_> = flags.filter_map(|flag| offered.get(flag)).cloned().collect();
        if found.is_empty() {
            return Err(say(error));
        }
        settled.extend(found);
        let added = settled.iter().flat_map(|setting| &setting.words);
        let line = program.into_iter().chain(added).chain(given.iter().copied());
        match command.clone().try_get_matches_from(line) {
            Ok(matches) => return Ok((matches, settled)),
            Err(error) => wanted = missing(&error),
        }
    }
}

/// The flags that clap misses.
fn missing(error: &clap::Error) -> Vec<String> {
    let named = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(named)) if error.kind() == ErrorKind::MissingRequiredArgument => named.as_slice(),
        _ => &[],
    };
    // As `--flag <VALUE>`.
    let end = |c: char| !c.is_ascii_lowercase() && c != '-';
    let flags = named.iter().filter_map(|named| named.strip_prefix("--")?.split(end).next());
    flags.map(str::to_owned).collect()
}

/// What the environment or else the file sets, by flag; of the command line only --config is looked at.
fn offered(command: &Command, surroundings: &Environment) -> Result<BTreeMap<String, Setting>, SettingsError> {
    let given = command.clone().ignore_errors(true).try_get_matches_from(surroundings.args.iter()).ok();
    let named = given.and_then(|given| given.try_get_one::<PathBuf>("config").ok().flatten().cloned());
    let named = named.or_else(|| surroundings.variable(&variable("config")).map(PathBuf::from));
    let found = file::read(named.as_deref(), surroundings.config_dir.as_deref(), command)?;
    let mut offered: BTreeMap<_, _> = found.into_iter().map(|setting| (setting.flag.clone(), setting)).collect();
    for arg in command.get_arguments() {
        let Some(flag) = arg.get_long() else { continue };
        let name = variable(flag);
        let words = surroundings.variable(&name).and_then(|value| words_of_text(arg, flag, value).ok());
        if let Some(words) = words {
            let setting = Setting { flag: flag.to_owned(), origin: Origin::Environment, place: name, words };
            offered.insert(flag.to_owned(), setting);
        }
    }
    Ok(offered)
}

/// `--flag=value`.
fn word(flag: &str, value: &OsStr) -> OsString {
    let mut word = OsString::from(format!("--{flag}="));
    word.push(value);
    word
}

/// What a variable says, as the command line says it.
fn words_of_text(arg: &Arg, flag: &str, value: &OsStr) -> Result<Vec<OsString>, String> {
    let text = value.to_str().map(str::trim);
    match arg.get_action() {
        ArgAction::SetTrue | ArgAction::Help | ArgAction::Version => match text.and_then(switch) {
            Some(on) => Ok(repeated(flag, usize::from(on))),
            None => Err("a switch is 1, true, yes or on, or else 0, false, no or off".to_owned()),
        },
        ArgAction::Count => {
            let times = text.and_then(|text| text.parse::<u8>().ok().or_else(|| switch(text).map(u8::from)));
            let times = times.ok_or_else(|| "how often: 0, 1, 2, ..".to_owned())?;
            Ok(repeated(flag, times.into()))
        }
        ArgAction::Append if arg.get_value_delimiter().is_none() => {
            let text = text.ok_or_else(|| "it is no UTF-8 text".to_owned())?;
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
    let words = BTreeMap::from([
        ("1", true),
        ("true", true),
        ("yes", true),
        ("on", true),
        ("0", false),
        ("false", false),
        ("no", false),
        ("off", false),
    ]);
    words.get(text.to_ascii_lowercase().as_str()).copied()
}

/// Tells what is wrong with the settings.
fn refuse(error: &SettingsError) -> ExitCode {
    super::Console::new().print_stderr(&format!("error: {error}"));
    ExitCode::from(EXIT_USAGE)
}

/// Tells clap's error, or its help, on the right stream; passwords in URLs are never repeated.
fn say(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && error.to_string().contains("://") {
        super::Console::new().print_stderr(redacted(&error.to_string()).trim_end());
    } else {
        // Like ours, clap's output may go to a closed pipe.
        error.print().ok();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(EXIT_USAGE))
}

/// What clap says is wrong, without how the command line looks.
fn told(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let end = ["\n\nUsage:", "\n\nFor more information"].iter().filter_map(|tail| text.find(tail)).min();
    let lines: Vec<&str> = text[..end.unwrap_or(text.len())].lines().map(str::trim_end).collect();
    lines.join("\n").trim_end().to_owned()
}
