use clap::Parser;
use proptest::prelude::*;

use super::*;

/// A command line with a flag of every kind.
#[derive(Debug, Parser, PartialEq)]
#[command(name = "consumer")]
struct Probe {
    #[arg(long, default_value = "one")]
    word: String,
    #[arg(long, default_value_t = 7)]
    number: u16,
    #[arg(long, value_delimiter = ',')]
    list: Vec<String>,
    #[arg(long)]
    again: Vec<String>,
    #[arg(long, conflicts_with = "word")]
    switch: bool,
    #[arg(long, requires = "base")]
    speed: Option<f64>,
    #[arg(long)]
    base: Option<String>,
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
    #[command(flatten)]
    config: crate::cli::ConfigArgs,
}

/// Returns the settings of a command line, variables and a file.
fn settings(args: &[&str], variables: &[(&str, &str)], file: &str) -> Result<Settings, SettingsError> {
    let line = std::iter::once("consumer").chain(args.iter().copied()).map(OsString::from);
    let environment = Environment {
        args: line.collect(),
        variables: variables.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        ..Environment::default()
    };
    let matches = Probe::command().try_get_matches_from(&environment.args).unwrap();
    let given = environment.args[1..].to_vec();
    let (command, program) = (Probe::command(), OsString::from("consumer"));
    let mut settings = Settings { command, program, given, matches, applied: Vec::new(), notes: Vec::new() };
    let found = from_environment(&settings.command, &environment, |flag| !settings.is_set(flag));
    let found = found.collect::<Result<_, _>>()?;
    settings.apply(found)?;
    let found = file::settings(file, "t.toml", &settings.command)?;
    let unset = found.into_iter().filter(|setting| !settings.is_set(&setting.flag)).collect();
    settings.apply(unset)?;
    Ok(settings)
}

fn probe(args: &[&str], variables: &[(&str, &str)], file: &str) -> Probe {
    settings(args, variables, file).unwrap().args().unwrap()
}

fn error(args: &[&str], variables: &[(&str, &str)], file: &str) -> String {
    settings(args, variables, file).unwrap_err().to_string()
}

#[test]
fn the_command_line_overrides_the_environment_the_file_the_saved_view_and_the_default() {
    let (args, variables, file) = (["--word=cli"], [("TICKSCOPE_WORD", "env")], "[consumer]\nword = \"file\"");
    let saved = [("word", "saved".to_owned())];
    for (from_args, from_env, from_file, from_saved) in
        (0..16).map(|bits| (bits & 1 > 0, bits & 2 > 0, bits & 4 > 0, bits & 8 > 0))
    {
        let args = if from_args { &args[..] } else { &[] };
        let variables = if from_env { &variables[..] } else { &[] };
        let mut settings = settings(args, variables, if from_file { file } else { "" }).unwrap();
        if from_saved {
            assert!(settings.add_ui_state(&saved, "view.toml").is_empty());
        }
        let (word, origin) = match (from_args, from_env, from_file, from_saved) {
            (true, ..) => ("cli", Origin::CommandLine),
            (_, true, ..) => ("env", Origin::Environment),
            (_, _, true, _) => ("file", Origin::File),
            (_, _, _, true) => ("saved", Origin::UiState),
            _ => ("one", Origin::Default),
        };
        assert_eq!((settings.args::<Probe>().unwrap().word.as_str(), settings.origin("word")), (word, origin));
    }
}

#[test]
fn every_kind_of_flag_is_set_by_a_variable() {
    let base = || probe(&[], &[], "");
    let from = |name: &str, value: &str| probe(&[], &[(name, value)], "");
    assert_eq!(from("TICKSCOPE_NUMBER", "9"), Probe { number: 9, ..base() });
    assert_eq!(from("TICKSCOPE_LIST", "a,b"), Probe { list: vec!["a".into(), "b".into()], ..base() });
    assert_eq!(from("TICKSCOPE_AGAIN", "a,b; c;"), Probe { again: vec!["a,b".into(), "c".into()], ..base() });
    assert_eq!(from("TICKSCOPE_VERBOSE", "2"), Probe { verbose: 2, ..base() });
    assert_eq!(from("TICKSCOPE_VERBOSE", "true"), Probe { verbose: 1, ..base() });
    for (value, switch) in [("1", true), ("TRUE", true), ("on", true), ("0", false), ("no", false), ("", false)] {
        assert_eq!(from("TICKSCOPE_SWITCH", value), Probe { switch, ..base() }, "{value}");
    }
    assert_eq!(from("TICKSCOPE_WORD", ""), base(), "an empty variable is none");
    assert_eq!(from("TICKSCOPE_WORD", "-x"), Probe { word: "-x".into(), ..base() });
}

#[test]
fn every_kind_of_flag_is_set_by_a_key() {
    let base = || probe(&[], &[], "");
    let from = |line: &str| probe(&[], &[], &format!("# mine\n[producer]\nnews = 1\n[consumer]\n{line}\n"));
    assert_eq!(from("number = 9"), Probe { number: 9, ..base() });
    assert_eq!(from("number = 0x1F"), Probe { number: 31, ..base() });
    assert_eq!(from("list = [\"a\", 2]"), Probe { list: vec!["a".into(), "2".into()], ..base() });
    assert_eq!(from("list = \"a,b\""), Probe { list: vec!["a".into(), "b".into()], ..base() });
    assert_eq!(from("again = [\"a;b\", \"c\"]"), Probe { again: vec!["a;b".into(), "c".into()], ..base() });
    assert_eq!(from("again = \"a;b\""), Probe { again: vec!["a;b".into()], ..base() });
    assert_eq!(from("switch = true"), Probe { switch: true, ..base() });
    assert_eq!(from("switch = false"), base());
    assert_eq!(from("word = 2013-10-07T13:30:00Z"), Probe { word: "2013-10-07T13:30:00Z".into(), ..base() });
    let both = Probe { speed: Some(0.5), base: Some("b".into()), ..base() };
    assert_eq!(from("speed = 0.5\nbase = \"b\""), both, "in any order");
}

#[test]
fn an_error_names_its_location_and_a_valid_value() {
    for (line, answer) in [
        ("wrod = 1", "t.toml, line 2: unknown key 'wrod'; did you mean 'word'?"),
        ("list_ = 1", "did you mean 'list'?"),
        ("flying-carpet = 1", "the keys are the flags that consumer --help lists"),
        ("config = \"x\"", "'config' belongs on the command line"),
        ("number = \"many\"", "t.toml, line 2: number: invalid value 'many' for '--number <NUMBER>'"),
        ("number = true", "'number' takes a value in quotes or a number"),
        ("word = [\"a\"]", "'word' takes one value, not a list"),
        ("switch = \"yes\"", "'switch' is a switch: true or false"),
        ("verbose = -1", "'verbose' is a count"),
        ("again = [[1]]", "'again' is a list of texts"),
        ("word = ", "t.toml, line 2: "),
        ("word = \"a\"\nword = \"b\"", "t.toml, line 3: "),
        ("word = \"a\"\nswitch = true", "t.toml, line 3: switch: cannot be used with t.toml, line 2: word"),
    ] {
        let error = error(&[], &[], &format!("[consumer]\n{line}"));
        assert!(error.contains(answer), "{line}: {error}");
    }
    assert!(
        error(&[], &[], "[consmer]").contains("t.toml, line 1: unknown section [consmer]; did you mean [consumer]?")
    );
    assert!(error(&[], &[], "\nword = 1").contains("t.toml, line 2: 'word' is outside of a section"));
    for (name, value) in [("NUMBER", "x"), ("SWITCH", "maybe"), ("VERBOSE", "loud"), ("SPEED", "fast")] {
        let name = format!("TICKSCOPE_{name}");
        let error = error(&["--base=b"], &[(&name, value)], "");
        assert!(error.starts_with(&format!("{name}: ")), "{error}");
    }
}

#[test]
fn no_error_contains_a_password_or_a_control_character() {
    for file in [
        "[consumer]\nnumber = \"redis://u:s3cret@h\"",
        "[consumer]\nword = \"redis://u:s3cret@h",
        "[consumer]\n\"redis://u:s3cret@h\" = 1",
        "[consumer]\nnumber = \"\\u001b[2J://:s3cret@h\"",
    ] {
        let error = error(&[], &[], file);
        assert!(!error.contains("s3cret") && !error.contains('\u{1b}'), "{error}");
    }
}

#[test]
fn a_setting_that_conflicts_with_an_earlier_origin_has_no_effect() {
    let switched = probe(&["--switch"], &[("TICKSCOPE_WORD", "env")], "[consumer]\nword = \"file\"");
    assert_eq!((switched.switch, switched.word.as_str()), (true, "one"));
    let worded = probe(&["--word=cli"], &[("TICKSCOPE_SWITCH", "1")], "");
    assert_eq!((worded.switch, worded.word.as_str()), (false, "cli"));
    let from_env = settings(&[], &[("TICKSCOPE_WORD", "env")], "[consumer]\nswitch = true").unwrap();
    assert_eq!(from_env.args::<Probe>().unwrap().word, "env");
    assert_eq!(from_env.notes.len(), 1);
    let variables = [("TICKSCOPE_WORD", "env"), ("TICKSCOPE_SWITCH", "1")];
    assert!(error(&[], &variables, "").contains("cannot be used with TICKSCOPE_WORD"));
    // A setting that requires another flag applies with it, from any origin, and has no effect without it.
    assert_eq!(probe(&["--base=b"], &[("TICKSCOPE_SPEED", "2")], "").speed, Some(2.0));
    assert_eq!(probe(&[], &[("TICKSCOPE_SPEED", "2")], "").speed, None);
}

#[test]
fn an_invalid_saved_value_is_ignored_and_reported() {
    let mut settings = settings(&["--switch"], &[], "").unwrap();
    let values = [("number", "many".to_owned()), ("word", "x".to_owned()), ("base", "b".to_owned())];
    let errors = settings.add_ui_state(&values, "view.toml");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("view.toml: number: invalid value 'many'"), "{errors:?}");
    let probe: Probe = settings.args().unwrap();
    assert_eq!((probe.number, probe.word.as_str(), probe.base.as_deref()), (7, "one", Some("b")));
}

#[test]
fn an_error_gets_the_location_of_its_setting() {
    let settings = settings(&["--number=1"], &[("TICKSCOPE_WORD", "w")], "[consumer]\n\nbase = \"b\"").unwrap();
    let located = |text: &str| settings.locate(std::io::Error::other(text.to_owned())).to_string();
    assert_eq!(located("--word is odd"), "TICKSCOPE_WORD: --word is odd");
    assert_eq!(located("--number, --base: odd"), "t.toml, line 3: base: --number, --base: odd");
    assert_eq!(located("--number is odd"), "--number is odd");
}

proptest! {
    #[test]
    fn printed_settings_are_parsed_back(
        word in ".{0,12}", list in prop::collection::vec("[^,]{1,6}", 0..3), number: u16,
    ) {
        let args = [format!("--word={word}"), format!("--number={number}")];
        let args: Vec<String> = args.into_iter().chain(list.iter().map(|item| format!("--list={item}"))).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let first = settings(&args, &[], "").unwrap();
        let second = settings(&[], &[], &first.print()).unwrap();
        prop_assert_eq!(first.args::<Probe>().unwrap(), second.args::<Probe>().unwrap());
        let plain = |text: String| -> Vec<String> {
            text.lines().map(|line| line.rsplit_once("  # ").map_or(line, |(value, _)| value).to_owned()).collect()
        };
        prop_assert_eq!(plain(first.print()), plain(second.print()));
    }

    #[test]
    fn any_file_is_parsed_or_refused(text in "(?s).{0,60}") {
        drop(settings(&[], &[], &text));
    }
}
