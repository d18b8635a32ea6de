//! Replies of redis-server and of the embedded broker to the same bytes, compared byte by byte.

use crate::support::server::{Embedded, RedisServer, Wire, encode, on_both};

/// Sequences of commands, with words between spaces; `\0`, `\r`, `\n` and `\e` (nothing) are escapes. Each is sent in
/// one piece and followed by QUIT, over RESP2 and over RESP3.
const SEQUENCES: &[&[&str]] = &[
    &["PING", "PING hi", "PING a b", "ECHO", "ECHO a", "ECHO a b", "echo A", "TRACE"],
    &["HELLO", "HELLO 3", "HELLO 2", "HELLO 4", "HELLO 1", "HELLO x", "HELLO 03"],
    &["HELLO 3 SETNAME foo", "CLIENT GETNAME", "HELLO 3 SETNAME", "HELLO 3 FOO", "HELLO 3 SETNAME a\\nb"],
    &["HELLO 3 AUTH default x", "HELLO 3 AUTH u p", "HELLO 3 AUTH x", "hello 2 setname a setname b", "CLIENT GETNAME"],
    &["HELLO 3 F\\r\\nO", "HELLO x AUTH u p"],
    &["AUTH x", "AUTH default x", "AUTH u p", "AUTH", "AUTH a b c"],
    &["SELECT 0", "SELECT 16", "SELECT x", "SELECT -1", "SELECT", "SELECT 99999999999999999999", "SELECT 00"],
    &["CLIENT", "CLIENT GETNAME", "CLIENT SETNAME foo", "CLIENT GETNAME", "CLIENT SETNAME a\\nb", "CLIENT GETNAME"],
    &["CLIENT SETNAME foo", "CLIENT SETNAME \\e", "CLIENT GETNAME", "CLIENT SETNAME", "CLIENT SETNAME a b"],
    &["CLIENT ID x", "CLIENT FOO", "CLIENT foo a b", "CLIENT a\\r\\nb", "CLIENT NO-EVICT on", "CLIENT NO-EVICT x"],
    &["CLIENT LIST foo", "CLIENT LIST TYPE pubsub", "CLIENT LIST TYPE foo", "CLIENT LIST TYPE replica"],
    &["CLIENT KILL", "CLIENT KILL x", "CLIENT KILL ID x", "CLIENT KILL ID 0", "CLIENT KILL ID 99999", "CLIENT KILL ID"],
    &["CLIENT KILL FOO 1", "CLIENT KILL TYPE foo", "CLIENT KILL SKIPME x", "CLIENT KILL ID 99999 TYPE normal"],
    &["FOO", "FOO a b", "F\\r\\nOO a\\r\\nb", "foo \\e", "\\e", "FOO a\\0b", "EC\\0HO x", "PING\\r\\n", "CLIENT|ID"],
    &["PUBLISH a", "PUBLISH a b c", "PUBLISH a b", "SUBSCRIBE", "PSUBSCRIBE", "PUBLISH \\e \\e"],
    &["SUBSCRIBE a", "SUBSCRIBE a b", "SUBSCRIBE b b", "PING", "PING hi", "PING a b", "UNSUBSCRIBE b", "UNSUBSCRIBE"],
    &["UNSUBSCRIBE", "PUNSUBSCRIBE", "UNSUBSCRIBE foo bar", "PUNSUBSCRIBE x", "SUBSCRIBE a", "PUNSUBSCRIBE"],
    &["SUBSCRIBE a", "PSUBSCRIBE a*", "UNSUBSCRIBE x", "PUNSUBSCRIBE x", "UNSUBSCRIBE", "PUNSUBSCRIBE", "PUBLISH a x"],
    &["SUBSCRIBE a", "PUBLISH a x", "FOO", "FOO bar", "ECHO", "ECHO a", "CLIENT FOO", "CLIENT GETNAME", "MULTI"],
    &["SUBSCRIBE a", "PSUBSCRIBE ?", "PUBLISH a x", "PUBLISH b y", "PUBLISH cc z", "UNSUBSCRIBE a", "PUBLISH a w"],
    &["SUBSCRIBE a", "HELLO 3", "HELLO 2", "PUBLISH a x", "PING", "RESET", "PING", "PUBLISH a y"],
    &["SUBSCRIBE a", "RESET", "HELLO", "CLIENT GETNAME", "RESET x", "SUBSCRIBE b"],
    &["SUBSCRIBE \\e", "PSUBSCRIBE \\e", "PUBLISH \\e x", "UNSUBSCRIBE \\e"],
    &["PUBSUB", "PUBSUB CHANNELS", "PUBSUB NUMSUB", "PUBSUB NUMSUB a b", "PUBSUB NUMPAT", "PUBSUB NUMPAT x"],
    &["PUBSUB CHANNELS a*", "PUBSUB CHANNELS a b", "PUBSUB FOO", "SUBSCRIBE a", "PUBSUB CHANNELS", "PUBSUB NUMSUB a b"],
    &["SUBSCRIBE abc", "PSUBSCRIBE a* b*", "PUBSUB CHANNELS a*", "PUBSUB CHANNELS b*", "PUBSUB NUMPAT"],
    &["EXEC", "DISCARD", "MULTI", "MULTI", "PUBLISH a x", "PING", "EXEC", "EXEC"],
    &["MULTI", "FOO a", "PING", "EXEC", "MULTI", "PUBLISH a", "EXEC", "PING"],
    &["MULTI", "PING", "DISCARD", "EXEC", "MULTI", "EXEC", "MULTI", "SELECT 99", "ECHO a", "EXEC", "MULTI x"],
    &["MULTI", "SUBSCRIBE a b", "PUBLISH a x", "PING", "EXEC", "PING"],
    &["MULTI", "SUBSCRIBE a", "EXEC", "EXEC", "DISCARD", "RESET", "EXEC"],
    &["MULTI", "HELLO 3", "PING", "EXEC", "MULTI", "HELLO 2", "ECHO a", "EXEC"],
    &["MULTI", "RESET", "PING", "MULTI", "CLIENT FOO", "ECHO", "EXEC"],
    &["EXEC x", "MULTI", "EXEC x", "EXEC", "MULTI", "AUTH x", "EXEC", "MULTI", "CLIENT", "EXEC"],
    &["MULTI", "MULTI x", "EXEC", "MULTI", "PING", "QUIT", "PING"],
    &["COMMAND COUNT x", "COMMAND FOO", "COMMAND INFO nosuch"],
    &["INFO nosuch", "QUIT now", "PING"],
];

/// Malformed commands, and inline commands.
const STREAMS: &[&str] = &[
    "PING\r\nPING\n  ping   hi  \r\n\r\nECHO \"a b\\x41\\n\"\r\nECHO 'a\\'b'\r\n*0\r\n*-1\r\n*-5\r\nPING\r\nQUIT\r\n",
    "PING\r\nECHO \"abc\r\nPING\r\n",
    "ECHO \"a\"b\r\n",
    "ECHO 'a\r\n",
    "*abc\r\n",
    "*\r\n",
    "*+1\r\n$4\r\nPING\r\n",
    "*01\r\n$4\r\nPING\r\n",
    "*-0\r\nPING\r\n",
    "*1\nX$4\r\nPING\r\n",
    "*2147483648\r\n",
    "*1\r\n:1\r\n",
    "*1\r\n\r\n",
    "*1\r\n*1\r\n$4\r\nPING\r\n",
    "*1\r\n$-1\r\n",
    "*1\r\n$-0\r\n\r\n",
    "*1\r\n$abc\r\n",
    "*1\r\n$\r\n",
    "*1\r\n$04\r\nPING\r\n",
    "*1\r\n$536870913\r\n",
    "*1\r\n$4\r\nPINGxx*1\r\n$4\r\nQUIT\r\n",
    "PING\r\nPING\r\n*1\r\n$abc\r\nPING\r\n",
    "Host: localhost\r\nPING\r\n",
    "POST / HTTP/1.1\r\n\r\nPING\r\n",
    "QUIT\r\nPING\r\n",
];

#[test]
fn command_sequences_get_the_replies_of_redis() {
    let (redis, embedded) = (RedisServer::start(), Embedded::start());
    for sequence in SEQUENCES {
        assert_sequence_same(&redis, &embedded, &[], sequence);
    }
}

/// Sends the commands `before` and `sequence` to both servers, over RESP2 and over RESP3, and compares the replies.
pub fn assert_sequence_same(redis: &RedisServer, embedded: &Embedded, before: &[&str], sequence: &[&str]) {
    for hello in ["HELLO 2", "HELLO 3"] {
        let commands =
            [hello].into_iter().chain(before.iter().copied()).chain(sequence.iter().copied()).chain(["QUIT"]);
        let stream: Vec<u8> = commands
            .flat_map(|command| {
                let words: Vec<String> = command.split(' ').map(unescape).collect();
                encode(words.iter().map(String::as_str))
            })
            .collect();
        assert_same(redis, embedded, &stream, &format!("{hello} {sequence:?}"));
    }
}

#[test]
fn other_input_gets_the_replies_of_redis() {
    let (redis, embedded) = (RedisServer::start(), Embedded::start());
    for stream in STREAMS {
        assert_same(&redis, &embedded, stream.as_bytes(), stream);
    }
    let long = "1".repeat(70_000);
    for prefix in ["", "*", "*1\r\n$"] {
        assert_same(&redis, &embedded, format!("{prefix}{long}").as_bytes(), &format!("{prefix:?} and many digits"));
    }
    for (name, args) in
        [("f".repeat(200), vec!["b"]), ("FOO".to_owned(), vec![&long[..60]; 5]), ("g".into(), vec!["x"; 99])]
    {
        let words = [name.as_str()].into_iter().chain(args).chain(["y"]);
        let stream = [encode(words.clone()), encode(["QUIT"].into_iter())].concat();
        assert_same(&redis, &embedded, &stream, &format!("an unknown command of {} words", words.count()));
    }
}

/// Sends `stream` to both servers, in one piece and byte by byte, and compares the replies.
fn assert_same(redis: &RedisServer, embedded: &Embedded, stream: &[u8], what: &str) {
    let pieces: &[usize] = if stream.len() < 500 { &[1, usize::MAX] } else { &[usize::MAX] };
    for piece in pieces {
        let [expected, got] = [redis.port, embedded.port].map(|port| transcript(port, stream, *piece));
        let at = expected.bytes().zip(got.bytes()).take_while(|(a, b)| a == b).count();
        let from = at.saturating_sub(200);
        let shown =
            |text: &str| text.as_bytes()[from.min(text.len())..(at + 400).min(text.len())].escape_ascii().to_string();
        assert!(
            expected == got,
            "{what}\n--- redis-server, from byte {from}:\n{}\n--- the broker:\n{}",
            shown(&expected),
            shown(&got)
        );
    }
}

/// Returns every byte that the server sends until it closes the connection, normalized: see [`normalized`], and with a
/// placeholder for the connection's id.
fn transcript(port: u16, stream: &[u8], piece: usize) -> String {
    use std::io::Write as _;
    let mut wire = Wire::connect(port);
    for part in stream.chunks(piece) {
        // The server may have closed the connection already.
        if wire.stream.write_all(part).is_err() {
            break;
        }
    }
    let text = String::from_utf8_lossy(&wire.rest()).into_owned();
    let mut parts = text.split("$2\r\nid\r\n:");
    let first = parts.next().unwrap_or_default().to_owned();
    let text = parts
        .fold(first, |text, part| text + "$2\r\nid\r\n:ID" + part.trim_start_matches(|c: char| c.is_ascii_digit()));
    normalized(&text)
}

/// Replaces times (any integer as large as one, and the idle times of XPENDING and XINFO), and removes the radix tree
/// from XINFO STREAM, which the broker does not have.
pub fn normalized(text: &str) -> String {
    let mut lines: Vec<&str> = text.split("\r\n").collect();
    while let Some(at) = lines.iter().position(|line| *line == "radix-tree-keys") {
        // The header of the map, its first field `length`, then two fields of the tree.
        lines[at - 5] = if lines[at - 5] == "%10" { "%8" } else { "*16" };
        lines.drain(at - 1..at + 5);
    }
    for index in 0..lines.len() {
        let is_number = |at: usize| lines.get(at).is_some_and(|line| line.starts_with(':'));
        // An id, a consumer, the idle time and the number of deliveries.
        let is_pending = lines[index] == "*4" && lines.get(index + 2).is_some_and(|id| id.contains('-'));
        if is_number(index) && lines[index].len() >= ":1000000000000".len() && !lines[index].starts_with(":-") {
            lines[index] = ":TIME";
        } else if lines[index] == "idle" && is_number(index + 1) {
            lines[index + 1] = ":IDLE";
        } else if is_pending && is_number(index + 5) && is_number(index + 6) {
            lines[index + 5] = ":IDLE";
        }
    }
    lines.join("\r\n")
}

fn unescape(word: &str) -> String {
    word.replace("\\0", "\0").replace("\\r", "\r").replace("\\n", "\n").replace("\\e", "")
}

/// Returns all words of up to `len` letters.
fn words(alphabet: &str, len: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut last = all.clone();
    for _ in 0..len {
        last = last.iter().flat_map(|word| alphabet.chars().map(move |c| format!("{word}{c}"))).collect();
        all.extend_from_slice(&last);
    }
    all
}

#[test]
fn patterns_match_what_redis_matches() {
    let channels = words("ab]-\\", 2);
    let patterns = words("ab*?[]^-\\", 4);
    let mut answers = Vec::new();
    let [redis, embedded] = [RedisServer::start().into(), Embedded::start().into()] as [Served; 2];
    for server in [&redis, &embedded] {
        let mut subscriber = Wire::connect(server.port());
        subscriber.send(&encode(["SUBSCRIBE"].into_iter().chain(channels.iter().map(String::as_str))));
        for _ in &channels {
            subscriber.value();
        }
        let mut wire = Wire::connect(server.port());
        let found: Vec<Vec<String>> = patterns
            .chunks(100)
            .flat_map(|chunk| {
                let ask = |pattern: &String| encode(["PUBSUB", "CHANNELS", pattern].into_iter());
                wire.send(&chunk.iter().flat_map(ask).collect::<Vec<u8>>());
                chunk.iter().map(|_| sorted_bulks(&wire.value())).collect::<Vec<_>>()
            })
            .collect();
        answers.push(found);
    }
    assert!(answers[0].iter().any(|found| found.len() > 1));
    for (pattern, (redis, broker)) in patterns.iter().zip(answers[0].iter().zip(&answers[1])) {
        assert_eq!(redis, broker, "the pattern {pattern}");
    }
}

/// One of the two servers.
enum Served {
    Redis(RedisServer),
    Embedded(Embedded),
}

impl Served {
    fn port(&self) -> u16 {
        match self {
            Self::Redis(server) => server.port,
            Self::Embedded(server) => server.port,
        }
    }
}

impl From<RedisServer> for Served {
    fn from(server: RedisServer) -> Self {
        Self::Redis(server)
    }
}

impl From<Embedded> for Served {
    fn from(server: Embedded) -> Self {
        Self::Embedded(server)
    }
}

fn sorted_bulks(array: &str) -> Vec<String> {
    let mut bulks: Vec<String> = array.split("\r\n").skip(2).step_by(2).map(str::to_owned).collect();
    bulks.sort_unstable();
    bulks
}

#[test]
fn two_clients_receive_what_redis_sends_them() {
    on_both(|server, port| {
        let (mut old, mut new, mut publisher) = (Wire::connect(port), Wire::connect(port), Wire::connect(port));
        new.ask("HELLO 3");
        assert_eq!(old.ask("SUBSCRIBE ticks"), "*3\r\n$9\r\nsubscribe\r\n$5\r\nticks\r\n:1\r\n", "{server}");
        assert_eq!(new.ask("PSUBSCRIBE t*"), ">3\r\n$10\r\npsubscribe\r\n$2\r\nt*\r\n:1\r\n", "{server}");
        assert_eq!(publisher.ask("PUBLISH ticks one"), ":2\r\n", "{server}");
        assert_eq!(publisher.ask("PUBLISH tocks two"), ":1\r\n", "{server}");
        assert_eq!(publisher.ask("PUBLISH xicks three"), ":0\r\n", "{server}");
        assert_eq!(old.ask("UNSUBSCRIBE ticks"), "*3\r\n$7\r\nmessage\r\n$5\r\nticks\r\n$3\r\none\r\n", "{server}");
        assert_eq!(old.value(), "*3\r\n$11\r\nunsubscribe\r\n$5\r\nticks\r\n:0\r\n", "{server}");
        assert_eq!(publisher.ask("PUBLISH ticks four"), ":1\r\n", "{server}");
        old.command("QUIT");
        new.command("QUIT");
        assert_eq!(String::from_utf8(old.rest()).unwrap(), "+OK\r\n", "{server}");
        let pmessage = |channel: &str, text: &str| {
            format!(">4\r\n$8\r\npmessage\r\n$2\r\nt*\r\n$5\r\n{channel}\r\n${}\r\n{text}\r\n", text.len())
        };
        let expected = pmessage("ticks", "one") + &pmessage("tocks", "two") + &pmessage("ticks", "four") + "+OK\r\n";
        assert_eq!(String::from_utf8(new.rest()).unwrap(), expected, "{server}");
    });
}

#[test]
fn client_ids_grow_and_a_client_can_be_killed() {
    on_both(|server, port| {
        let (mut one, mut two) = (Wire::connect(port), Wire::connect(port));
        let id = |wire: &mut Wire| wire.ask("CLIENT ID").trim().trim_start_matches(':').parse::<u64>().unwrap();
        let (first, second) = (id(&mut one), id(&mut two));
        assert!(first < second, "{server}");
        two.ask("SUBSCRIBE a");
        let list = one.ask("CLIENT LIST TYPE pubsub");
        assert!(list.contains(&format!("id={second} ")) && list.contains(" sub=1 psub=0 "), "{server}: {list}");
        assert_eq!(one.ask("CLIENT KILL TYPE pubsub"), ":1\r\n", "{server}");
        assert!(two.rest().is_empty(), "{server}");
        assert_eq!(one.ask(&format!("CLIENT KILL ID {first} SKIPME no")), ":1\r\n", "{server}");
        assert!(one.rest().is_empty(), "{server}");
    });
}

/// COMMAND INFO has the elements of Redis 6: Redis's first six, and an empty set instead of the access categories.
#[test]
fn commands_are_described_as_redis_describes_them() {
    let (redis, embedded) = (RedisServer::start(), Embedded::start());
    let describe = |port: u16, command: &[&str]| -> Vec<redis::Value> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}/")).unwrap();
        redis::cmd("COMMAND").arg(command).query(&mut client.get_connection().unwrap()).unwrap()
    };
    let commands = describe(embedded.port, &[]);
    assert!(commands.len() > 40);
    for command in commands {
        let redis::Value::Array(fields) = command else { panic!("{command:?}") };
        let redis::Value::BulkString(name) = &fields[0] else { panic!("{fields:?}") };
        let name = String::from_utf8_lossy(name).into_owned();
        let expected = describe(redis.port, &["INFO", &name]).remove(0);
        let redis::Value::Array(expected) = expected else { panic!("redis-server does not know {name}: {expected:?}") };
        assert_eq!(fields[..6], expected[..6], "{name}");
        assert_eq!(fields[6], redis::Value::Array(Vec::new()), "{name}");
        assert_eq!(fields.len(), 7, "{name}");
    }
}
