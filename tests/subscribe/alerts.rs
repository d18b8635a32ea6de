//! Alerts of the real program: how often each rule fires, and the commands that it starts, which may fail or hang.

use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use super::fixture::{LIMIT, Publisher, START_S, finish, headless, listen, report, tick, wait_for_counts};
use crate::support::process::Running;
use crate::support::server::RedisServer;
use crate::support::wait::wait_until;

const CHANNEL: &str = "stock_prices";

fn publish(redis: &RedisServer, messages: impl IntoIterator<Item = String>) {
    Publisher::connect(redis.port).publish_all(CHANNEL, messages);
}

/// Ticks of one symbol at these prices, a second apart.
fn ticks(symbol: &str, prices: &[f64]) -> Vec<String> {
    prices.iter().zip(0..).map(|(price, second)| tick(symbol, *price, second)).collect()
}

/// Lines of a file that a command writes; none while it does not exist.
fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Path quoted for the shell.
fn word(path: &Path) -> String {
    format!("'{}'", path.display())
}

/// Number of alerts of a rule that a log line reports: its own, and those that the rate limit suppressed before it.
fn told(line: &str, rule: &str) -> Option<u64> {
    let more = |line: &str| line.split("[and ").nth(1)?.split(' ').next()?.parse::<u64>().ok();
    line.contains(&format!("alert: {rule} (")).then(|| 1 + more(line).unwrap_or(0))
}

/// Returns whether a process runs. A zombie does not.
fn is_running(id: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(id).join("stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

#[track_caller]
fn stop(consumer: Running) -> Value {
    report(&consumer.stop("TERM", LIMIT).expect_code(0))
}

#[test]
fn levels_and_moves_fire_exactly_as_often_as_they_should() {
    let redis = RedisServer::start();
    let rules = ["AAPL > 190", "AAPL <= 189", "AAPL moves 2% in 3s", "SPY moves 1.5 in 1m", "* >= 1000", "MSFT > 1"];
    let args: Vec<&str> = rules.iter().flat_map(|rule| ["--alert", *rule]).collect();
    let consumer = listen(redis.port, &args);
    // Rises above 190 twice, falls to 189 or below three times including the first tick, and moves 2 % within 3 s
    // twice.
    let prices = [189.0, 190.0, 191.0, 192.0, 190.0, 191.0, 188.0, 187.0, 190.0, 189.0, 1_000.0];
    publish(&redis, ticks("AAPL", &prices));
    // A rise over two minutes in three messages: the rule counts a move only if both ends are within its window.
    publish(&redis, [tick("SPY", 168.0, 0), tick("SPY", 169.5, 60), tick("SPY", 171.0, 121)]);
    let report = finish(consumer, 14, 0);
    let counts = json!({
        "AAPL > 190": 3, "AAPL <= 189": 3, "AAPL moves 2% in 3s": 2, "SPY moves 1.5 in 1m": 1, "* >= 1000": 1,
        "MSFT > 1": 0,
    });
    assert_eq!((&report["alerts"], &report["hooks"]), (&counts, &Value::Null));
}

#[test]
fn silence_fires_once_from_the_subscription_on_and_once_after_each_tick() {
    let redis = RedisServer::start();
    let consumer = listen(redis.port, &["--alert", "SPY stale 500ms", "--alert", "* stale 700ms"]);
    let said = |needle: &str, times: usize| {
        wait_until(&format!("{needle:?} {times} times"), LIMIT, || consumer.stderr().matches(needle).count() == times);
    };
    said("alert: SPY stale 500ms (nothing from SPY)", 1);
    said("alert: * stale 700ms (nothing from SPY)", 1);
    publish(&redis, [tick("QQQ", 78.0, 0), tick("SPY", 168.5, 0)]);
    said("alert: SPY stale 500ms (nothing from SPY)", 2);
    // A rule logs at most one line per second, so the two alerts share a line or not, depending on timing.
    let told = || -> u64 { consumer.stderr().lines().filter_map(|line| told(line, "* stale 700ms")).sum() };
    wait_until("the silence of both by the rule for all", LIMIT, || told() == 3);
    let stopped = stop(consumer);
    assert_eq!(stopped["alerts"], json!({"SPY stale 500ms": 2, "* stale 700ms": 3}));
}

#[test]
fn the_command_reads_the_tick_and_knows_the_rule() {
    let redis = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let (stdin, rule) = (folder.path().join("stdin"), folder.path().join("rule"));
    let command = format!(
        "cat >>{}; echo loud; echo \"to the log\" >&2; echo \"$TICKSCOPE_FIRED_RULE|$TICKSCOPE_FIRED_SYMBOL\" >>{}",
        word(&stdin),
        word(&rule)
    );
    let consumer = listen(redis.port, &["--alert", "AAPL > 190", "--alert", "SPY stale 3s", "--on-alert", &command]);
    let full = r#"{"symbol":"AAPL","price":190.5,"timestamp":1381152600.25,"size":100,"seq":7,"source":"p"}"#;
    publish(&redis, [full.to_owned(), tick("AAPL", 191.0, 1)]);
    wait_until("both commands", LIMIT, || lines(&rule).len() == 2);
    // The alert for silence may fire before the ticks are published.
    let mut rules = lines(&rule);
    rules.sort_unstable();
    assert_eq!(rules, ["AAPL > 190|AAPL", "SPY stale 3s|SPY"]);
    // A symbol without ticks passes no tick to its command.
    assert_eq!(lines(&stdin), [full]);
    let ended = consumer.stop("TERM", LIMIT).expect_code(0);
    assert!(ended.stderr.contains("output of the --on-alert command: to the log"), "{ended:?}");
    assert!(!ended.stdout.contains("loud") && !ended.stderr.contains("loud"), "{ended:?}");
    assert_eq!(report(&ended)["hooks"], json!({"started": 2, "failed": 0, "dropped": 0}));
}

#[test]
fn a_trembling_price_starts_one_command_a_second_and_the_rest_is_counted() {
    let redis = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stdin");
    let started = Instant::now();
    let command = format!("cat >>{}", word(&file));
    let mut consumer = listen(redis.port, &["--alert", "AAPL > 190", "--on-alert", &command]);
    let crossings = |range: Range<u32>| range.map(|n| tick("AAPL", 190.0 + f64::from(n % 2), n.into()));
    publish(&redis, crossings(0..2));
    wait_until("the first command", LIMIT, || lines(&file).len() == 1);
    publish(&redis, crossings(2..100));
    wait_for_counts(&mut consumer, 100, 0);
    // The last command receives the newest crossing.
    let newest = format!("\"timestamp\":{}", START_S + 99);
    wait_until("the last command", LIMIT, || lines(&file).last().is_some_and(|line| line.contains(&newest)));
    let ended = consumer.stop("TERM", LIMIT).expect_code(0);
    let (report, seconds) = (report(&ended), started.elapsed().as_secs());
    assert_eq!(report["alerts"], json!({"AAPL > 190": 50}));
    let [starts, failed, dropped] =
        ["started", "failed", "dropped"].map(|name| report["hooks"][name].as_u64().unwrap());
    assert_eq!((starts, failed, starts + dropped), (lines(&file).len() as u64, 0, 50));
    assert!((2..=2 + seconds).contains(&starts), "{starts} within {seconds} s");
    assert!(ended.stderr.contains(&format!("was not started for {dropped} alerts")), "{ended:?}");
    // The log is rate-limited too, and its counts add up.
    let said = ended.stderr.lines().filter(|line| line.contains("(AAPL at 191)"));
    let told: Vec<u64> = said.filter_map(|line| told(line, "AAPL > 190")).collect();
    assert!(told.len() as u64 <= 2 + seconds && told.iter().sum::<u64>() == 50, "{told:?}");
}

#[test]
fn a_command_that_hangs_is_killed_with_all_it_started_and_holds_nobody_up() {
    let redis = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ids");
    let command = format!("echo $$ >>{0}; sleep 600 & echo $! >>{0}; wait", word(&file));
    let mut consumer = listen(redis.port, &["--alert", "* > 1", "--on-alert", &command]);
    publish(&redis, [tick("AAPL", 2.0, 0)]);
    wait_until("the command", LIMIT, || lines(&file).len() == 2);
    // Ticks are received while the command hangs.
    publish(&redis, (0..5_000).map(|n| tick("AAPL", 0.5, n)));
    wait_for_counts(&mut consumer, 5_001, 0);
    assert!(lines(&file).iter().all(|id| is_running(id)));
    consumer.wait_for_stderr("the command of --on-alert did not end and was killed after 10s", LIMIT);
    wait_until("the end of both processes", LIMIT, || !lines(&file).iter().any(|id| is_running(id)));
    // The shell was a direct child of the program; it must not stay as a zombie.
    wait_until("the shell to be collected", LIMIT, || !Path::new("/proc").join(&lines(&file)[0]).exists());
    // Another command hangs at the shutdown, which waits for it briefly and then kills it.
    publish(&redis, [tick("AAPL", 2.0, 9_000)]);
    wait_until("the second command", LIMIT, || lines(&file).len() == 4);
    let ended = consumer.stop("TERM", LIMIT).expect_code(0);
    assert!(ended.stderr.contains("did not end and was killed at the end of the run"), "{ended:?}");
    wait_until("the end of all processes", LIMIT, || !lines(&file).iter().any(|id| is_running(id)));
    assert_eq!(report(&ended)["hooks"], json!({"started": 2, "failed": 2, "dropped": 0}));
}

#[test]
fn a_command_that_is_missing_or_fails_is_told_and_harms_nothing() {
    let redis = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runs");
    for (command, status) in [("no-such-program-here", 127), ("exit 3", 3), ("exec <&-; exit 4", 4)] {
        std::fs::write(&file, "").unwrap();
        let command = format!("echo $$ >>{}; {command}", word(&file));
        let mut consumer = listen(redis.port, &["--alert", "* > 1", "--on-alert", &command]);
        publish(&redis, [tick("A", 2.0, 0), tick("B", 2.0, 0)]);
        consumer.wait_for_stderr(&format!("the command of --on-alert ended with exit status: {status}"), LIMIT);
        // The second failure is counted, and not logged within the rate limit. The shutdown would kill a command that
        // still runs.
        wait_until("the second command, and its end", LIMIT, || {
            let ids = lines(&file);
            ids.len() == 2 && !ids.iter().any(|id| is_running(id))
        });
        let ended = consumer.stop("TERM", LIMIT).expect_code(0);
        assert_eq!(ended.stderr.matches("the command of --on-alert ended").count(), 1, "{ended:?}");
        let rest = format!("failed 1 more times; the last time it ended with exit status: {status}");
        assert!(ended.stderr.contains(&rest), "{ended:?}");
        let report = report(&ended);
        assert_eq!(report["hooks"], json!({"started": 2, "failed": 2, "dropped": 0}), "{command}");
        assert_eq!((&report["received"], &report["alerts"]), (&json!(2), &json!({"* > 1": 2})));
    }
}

#[test]
fn what_comes_over_the_wire_reaches_no_terminal_as_it_is() {
    let redis = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("symbol");
    let command = format!("printenv TICKSCOPE_FIRED_SYMBOL >{}", word(&file));
    let mut consumer = listen(redis.port, &["--alert", "* > 1", "--on-alert", &command]);
    publish(&redis, [tick(r"\u001b[31mEVIL\u202e\u0000;rm", 2.0, 0)]);
    consumer.wait_for_stderr(r"alert: * > 1 (\u{1b}[31mEVIL\u{202e}\u{0};rm at 2)", LIMIT);
    wait_until("the command", LIMIT, || lines(&file) == [r"\u{1b}[31mEVIL\u{202e}\u{0};rm"]);
    assert_eq!(stop(consumer)["hooks"]["failed"], 0);
}

#[test]
fn rules_that_make_no_sense_are_answered_with_what_would() {
    for (args, said) in [
        (&["--alert", "AAPL>190"][..], "separate all parts by spaces, as in 'AAPL > 190'"),
        (&["--alert", "AAPL moves 2% in 1x"], "\"1x\" is not a duration; it must be above 0 and at most 100 years"),
        (&["--alert", "SPY stale"], "must be followed by one duration, such as 'SPY stale 10s'"),
        (&["--alert", "A > 1", "--alert", "A  >  1"], "--alert: A > 1 is given twice"),
        (&["--symbols", "A,B", "--alert", "C > 1"], "--alert C > 1: C is not among --symbols"),
        (&["--alert", "\u{1b}[31m = 1"], "--alert \"\\u{1b}[31m = 1\": \"=\" is not a condition"),
    ] {
        let ended = headless(9).args(args).run(LIMIT).expect_code(2);
        assert!(ended.stderr.starts_with("error: --alert") && ended.stderr.contains(said), "{ended:?}");
    }
    // A command without a rule is accepted with a warning.
    let consumer = headless(9).args(["--on-alert", "true", "--for", "0.3"]);
    let ended = consumer.run(LIMIT).expect_code(0);
    assert!(ended.stderr.contains("--on-alert has no effect without --alert"), "{ended:?}");
}
