//! Replies of redis-server and of the embedded broker to random commands on streams.

use rand::{Rng, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::transcripts::normalized;
use crate::support::server::{Embedded, RedisServer, Wire, encode};

const SEEDS: u64 = 6;
const COMMANDS: usize = 2_000;

/// Generator of commands. Ids never come from the clock, and new ones mostly grow.
struct Generator {
    random: ChaCha8Rng,
    ms: u64,
}

impl Generator {
    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.random.random_range(0..words.len())]
    }

    fn key(&mut self) -> &'static str {
        self.pick(&["a", "a", "a", "b", "c"])
    }

    fn group(&mut self) -> &'static str {
        self.pick(&["g", "g", "g", "h", "none"])
    }

    fn consumer(&mut self) -> &'static str {
        self.pick(&["x", "y", "z"])
    }

    /// Returns an id close to those of the entries.
    fn id(&mut self) -> String {
        let ms = self.random.random_range(self.ms.saturating_sub(40)..=self.ms + 2);
        match self.random.random_range(0..12) {
            0 => "0".to_owned(),
            1 => ms.to_string(),
            _ => format!("{ms}-{}", self.random.random_range(0..4)),
        }
    }

    fn end(&mut self) -> String {
        match self.random.random_range(0..6) {
            0 => "-".to_owned(),
            1 => "+".to_owned(),
            2 => format!("({}", self.id()),
            _ => self.id(),
        }
    }

    fn ids(&mut self, most: usize) -> String {
        let count = self.random.random_range(1..=most);
        (0..count).map(|_| self.id()).collect::<Vec<_>>().join(" ")
    }

    fn count(&mut self) -> String {
        match self.random.random_range(0..3) {
            0 => format!(" COUNT {}", self.random.random_range(0..20)),
            _ => String::new(),
        }
    }

    fn trim(&mut self) -> String {
        // Approximate trims depend on the size of nodes, which differs from Redis's.
        let mark = self.pick(&["", "= "]);
        if self.random.random_bool(0.6) {
            format!("MAXLEN {mark}{}", self.random.random_range(20..250))
        } else {
            format!("MINID {mark}{}", self.ms.saturating_sub(self.random.random_range(5..60)))
        }
    }

    fn add(&mut self) -> String {
        if self.random.random_bool(0.4) {
            self.ms += self.random.random_range(1..3);
        }
        let id = match self.random.random_range(0..20) {
            0 => self.id(),
            _ => format!("{}-*", self.ms),
        };
        let trim = if self.random.random_bool(0.05) { self.trim() + " " } else { String::new() };
        let fields = match self.random.random_range(0..5) {
            0 => format!("f {} g {}", self.random.next_u32(), "y".repeat(self.random.random_range(0..200))),
            1 => format!("g {}", self.random.random_range(-5_000..5_000)),
            _ => "tick {}".to_owned(),
        };
        format!("XADD {} {trim}{id} {fields}", self.key())
    }

    fn claim(&mut self) -> String {
        let options =
            ["", "", " JUSTID", " FORCE", " RETRYCOUNT 5", " IDLE 1000", " TIME 1", " LASTID 30-0", " FORCE JUSTID"];
        let min_idle = self.pick(&["0", "0", "10000000"]);
        let (key, group, consumer, options) = (self.key(), self.group(), self.consumer(), self.pick(&options));
        format!("XCLAIM {key} {group} {consumer} {min_idle} {}{options}", self.ids(4))
    }

    fn group_command(&mut self) -> String {
        let (key, group, consumer, id) = (self.key(), self.group(), self.consumer(), self.id());
        match self.random.random_range(0..8) {
            0..3 => {
                format!("XGROUP CREATE {key} {group} {}", self.pick(&["0", "$", &id, "0 MKSTREAM", "$ ENTRIESREAD 3"]))
            }
            3 | 4 => format!("XGROUP SETID {key} {group} {}", self.pick(&["0", "$", &id, "0 ENTRIESREAD 2"])),
            5 => format!("XGROUP CREATECONSUMER {key} {group} {consumer}"),
            6 => format!("XGROUP DELCONSUMER {key} {group} {consumer}"),
            _ => format!("XGROUP DESTROY {key} {}", self.pick(&["h", "none"])),
        }
    }

    fn command(&mut self) -> String {
        let (key, group, consumer) = (self.key(), self.group(), self.consumer());
        match self.random.random_range(0..40) {
            0..14 => self.add(),
            14 => format!("XTRIM {key} {}", self.trim()),
            15 | 16 => format!("XDEL {key} {}", self.ids(5)),
            17 => format!("XRANGE {key} {} {}{}", self.end(), self.end(), self.count()),
            18 => format!("XREVRANGE {key} {} {}{}", self.end(), self.end(), self.count()),
            19 => format!("XREAD{} STREAMS a b {} {}", self.count(), self.id(), self.pick(&["0", "$"])),
            20..25 => {
                let from = if self.random.random_bool(0.7) { ">".to_owned() } else { self.id() };
                let no_ack = self.pick(&["", "", "", " NOACK"]);
                format!("XREADGROUP GROUP {group} {consumer}{}{no_ack} STREAMS {key} {from}", self.count())
            }
            25 | 26 => format!("XACK {key} {group} {}", self.ids(8)),
            27 => format!("XPENDING {key} {group}"),
            28 => {
                let idle = self.pick(&["", "", "IDLE 0 ", "IDLE 10000000 "]);
                let consumer = self.pick(&["", " x", " nobody"]);
                format!("XPENDING {key} {group} {idle}{} {} 10{consumer}", self.end(), self.end())
            }
            29 | 30 => self.claim(),
            31 => {
                let just_id = self.pick(&["", " JUSTID"]);
                let min_idle = self.pick(&["0", "10000000"]);
                let count = self.random.random_range(1..9);
                format!("XAUTOCLAIM {key} {group} {consumer} {min_idle} {} COUNT {count}{just_id}", self.id())
            }
            32 | 33 => self.group_command(),
            34 => format!("XINFO STREAM {key}{}", self.pick(&["", "", " FOO"])),
            35 | 37 => format!("XINFO GROUPS {key}"),
            36 => format!("XINFO CONSUMERS {key} {group}"),
            38 => format!("XLEN {key}"),
            _ => match self.random.random_range(0..10) {
                0 => format!("DEL {key}"),
                _ => format!("EXISTS {key} nosuch"),
            },
        }
    }
}

#[test]
fn random_commands_get_the_replies_of_redis() {
    let (redis, embedded) = (RedisServer::start(), Embedded::start());
    for seed in 0..SEEDS {
        let mut generator = Generator { random: ChaCha8Rng::seed_from_u64(seed), ms: 50 };
        let mut commands = vec![["HELLO 2", "HELLO 3"][seed as usize % 2].to_owned(), "FLUSHALL".to_owned()];
        commands.extend((0..COMMANDS).map(|_| generator.command()));
        let (mut old, mut new) = (Wire::connect(redis.port), Wire::connect(embedded.port));
        let mut useful = 0;
        for (index, command) in commands.iter().enumerate() {
            let stream = encode(command.split(' '));
            old.send(&stream);
            new.send(&stream);
            let [expected, got] = [&mut old, &mut new].map(|wire| normalized(&wire.value()));
            let is_greeting = index == 0;
            assert!(
                expected == got || is_greeting,
                "seed {seed}, command {index}: {command}\n--- redis-server:\n{}\n--- the broker:\n{}",
                expected.escape_debug(),
                got.escape_debug()
            );
            useful += usize::from(!expected.starts_with('-'));
        }
        new.ask("FLUSHALL");
        let memory = new.ask("INFO memory");
        assert!(memory.contains("used_memory:0\r\n"), "seed {seed}: memory is not freed: {memory}");
        assert!(useful > COMMANDS * 3 / 4, "seed {seed}: only {useful} commands had an effect");
    }
}
