//! Servers that refuse access, and passwords that must not be shown.

use super::fixture::{LIMIT, Publisher, assert_clean, finish, headless, subscribed, tick};
use crate::support::process::{Ended, consumer, producer};
use crate::support::server::RedisServer;

const SECRET: &str = "s3cr3t-w0rd";

/// Server with a password, a user with access to every channel and one with access to none of the tested channels.
fn guarded() -> RedisServer {
    let users = [
        format!("--user reader on >{SECRET} ~* &stock_prices +@all"),
        format!("--user deaf on >{SECRET} ~* resetchannels &other +@all"),
        format!("--user mute on >{SECRET} ~* &* +@all -subscribe"),
    ];
    let words = users.iter().flat_map(|user| user.split(' '));
    let options: Vec<&str> = ["--requirepass", SECRET].into_iter().chain(words).collect();
    RedisServer::start_with(&options)
}

fn at(server: &RedisServer, login: &str) -> String {
    format!("redis://{login}127.0.0.1:{}", server.port)
}

fn assert_secret(ended: &Ended, secret: &str) {
    for text in [&ended.stdout, &ended.stderr] {
        assert!(!text.contains(secret), "{ended:?}");
    }
    assert_clean(ended);
}

#[test]
fn each_refusal_says_what_to_do_and_shows_no_password() {
    let server = guarded();
    let cases: &[(String, &str, &str)] = &[
        (String::new(), "NOAUTH", "Give the password in the URL"),
        (":wrong-w0rd@".to_owned(), "WRONGPASS", "Check user and password"),
        ("nobody:wrong-w0rd@".to_owned(), "WRONGPASS", "Check user and password"),
        (format!("deaf:{SECRET}@"), "NOPERM", "Ask for an ACL rule that allows these channels"),
        (format!("mute:{SECRET}@"), "NOPERM", "Ask for an ACL rule that allows these channels"),
    ];
    for (login, code, advice) in cases {
        for protocol in ["", "?protocol=resp3"] {
            let url = at(&server, login) + "/" + protocol;
            // The environment is the recommended place for passwords: `ps` does not show them there.
            let launch = consumer().args(["--headless", "--stats", "json", "-vv"]).env("REDIS_URL", &url);
            let ended = launch.run(LIMIT).expect_code(1);
            assert!(ended.stderr.contains(code) && ended.stderr.contains(advice), "{url}: {ended:?}");
            assert!(ended.stderr.lines().last().unwrap().starts_with("error: "), "{ended:?}");
            for secret in [SECRET, "wrong-w0rd"] {
                assert_secret(&ended, secret);
            }
        }
    }
}

#[test]
fn a_password_where_none_is_set_is_told_apart() {
    let server = RedisServer::start();
    let url = at(&server, &format!(":{SECRET}@"));
    let ended = consumer().args(["--headless", "-vv"]).env("REDIS_URL", &url).run(LIMIT).expect_code(1);
    assert!(ended.stderr.contains("Omit the password from the URL"), "{ended:?}");
    assert_secret(&ended, SECRET);
}

#[test]
fn the_right_password_lets_in_and_shows_nowhere() {
    let server = guarded();
    let logins = [format!(":{SECRET}@"), format!("reader:{SECRET}@")];
    for (login, protocol) in logins.iter().zip(["", "?protocol=resp3"]) {
        let url = at(&server, login) + "/0" + protocol;
        let consumer = subscribed(consumer().args(["--headless", "--stats", "json", "-vv"]).env("REDIS_URL", &url));
        let command_line = std::fs::read_to_string(format!("/proc/{}/cmdline", consumer.id())).unwrap();
        assert!(command_line.contains("--headless") && !command_line.contains(SECRET));
        let mut publisher = Publisher::open(&url);
        publisher.publish_all("stock_prices", [tick("SPY", 168.5, 0)]);
        let stderr = consumer.stderr();
        assert!(
            !stderr.contains(SECRET) && stderr.contains(&format!("subscribed at redis://127.0.0.1:{}", server.port))
        );
        assert_eq!(finish(consumer, 1, 0)["kept"], 1);
    }
}

#[test]
fn a_url_that_cannot_be_read_is_not_repeated() {
    for url in [
        format!("redis://user:{SECRET}@host:port/0"),
        format!("redis://user:{SECRET}@host:99999"),
        format!("redis://user:{SECRET}@host/database"),
        format!("http://user:{SECRET}@host"),
        format!("rediss://user:{SECRET}@host:port"),
        format!("user:{SECRET}"),
        SECRET.to_owned(),
    ] {
        for program in [consumer(), producer()] {
            let ended = program.args(["--redis", &url]).run(LIMIT).expect_code(2);
            assert!(ended.stderr.contains("redis://"), "{ended:?}");
            assert_secret(&ended, SECRET);
        }
        // A stray argument may also be a URL with a password.
        let ended = headless(1).args([&url]).run(LIMIT).expect_code(2);
        assert!(ended.stderr.contains("unexpected argument"), "{ended:?}");
        if url.contains('@') {
            assert_secret(&ended, SECRET);
        }
    }
}
