//! Clients that wait for entries of a stream, with redis-server and with the embedded broker.

use super::transcripts::normalized;
use crate::support::server::{Embedded, LIMIT, RedisServer, Wire};
use crate::support::wait::wait_until;

/// Runs a scenario on both servers, and compares the replies to its clients.
fn same(scenario: impl Fn(&mut Scenario)) {
    let (redis, embedded) = (RedisServer::start(), Embedded::start());
    let [expected, got] = [redis.port, embedded.port].map(|port| {
        let mut scenario_run = Scenario { port, control: Wire::connect(port), replies: Vec::new() };
        scenario(&mut scenario_run);
        scenario_run.expect_blocked(0);
        scenario_run.replies
    });
    assert!(expected.len() > 2);
    assert_eq!(expected, got);
}

struct Scenario {
    port: u16,
    control: Wire,
    replies: Vec<String>,
}

impl Scenario {
    fn client(&self) -> Wire {
        Wire::connect(self.port)
    }

    /// Sends a command from a client that does not block.
    fn run(&mut self, command: &str) {
        let answer = self.control.ask(command);
        self.note(command, &answer);
    }

    /// Sends a command that blocks its client, which is the `count`th.
    fn block(&mut self, client: &mut Wire, command: &str, count: usize) {
        client.command(command);
        self.expect_blocked(count);
    }

    fn expect_blocked(&mut self, count: usize) {
        let line = format!("blocked_clients:{count}\r\n");
        let port = self.port;
        wait_until(&format!("{count} clients to wait"), LIMIT, || {
            Wire::connect(port).ask("INFO clients").contains(&line)
        });
    }

    /// Reads and records the next reply to a client.
    fn receive(&mut self, name: &str, client: &mut Wire) {
        let answer = client.value();
        self.note(name, &answer);
    }

    fn note(&mut self, what: &str, answer: &str) {
        self.replies.push(format!("{what}: {}", normalized(answer)));
    }
}

#[test]
fn a_timeout_returns_nil_and_later_commands_wait_for_it() {
    same(|scenario| {
        for hello in ["HELLO 2", "HELLO 3"] {
            let mut client = scenario.client();
            client.ask(hello);
            client.command("XREAD BLOCK 30 STREAMS s $");
            client.command("XADD t 1-1 f v");
            client.command("XREAD BLOCK 30 STREAMS s t 0 0");
            for name in ["nil", "id", "entry"] {
                scenario.receive(name, &mut client);
            }
            scenario.run("DEL t");
        }
    });
}

#[test]
fn all_readers_receive_a_new_entry() {
    same(|scenario| {
        scenario.run("XADD s 1-1 f v");
        let mut clients: Vec<Wire> = (0..4).map(|_| scenario.client()).collect();
        clients[1].ask("HELLO 3");
        for (index, command) in [
            "XREAD BLOCK 0 STREAMS s $",
            "XREAD COUNT 1 BLOCK 0 STREAMS t s 5 1-1",
            "XREAD BLOCK 100000 STREAMS s 2-1",
            "XREAD BLOCK 0 STREAMS s s $ 0-5",
        ]
        .into_iter()
        .enumerate()
        {
            // The last one has entries to read at once.
            scenario.block(&mut clients[index], command, (index + 1).min(3));
        }
        scenario.receive("at once", &mut clients[3]);
        scenario.run("XADD t 4-1 f too-low");
        scenario.run("XADD s 2-1 f v");
        scenario.receive("first", &mut clients[0]);
        scenario.receive("second", &mut clients[1]);
        scenario.expect_blocked(1);
        for command in ["MULTI", "XADD s 3-1 f v", "XADD s 3-2 f v", "XDEL s 3-1", "EXEC"] {
            scenario.run(command);
        }
        scenario.receive("third", &mut clients[2]);
    });
}

#[test]
fn a_transaction_unblocks_readers_at_its_end() {
    same(|scenario| {
        let (mut one, mut two) = (scenario.client(), scenario.client());
        scenario.block(&mut one, "XREAD BLOCK 0 STREAMS s 0", 1);
        scenario.block(&mut two, "XREAD BLOCK 0 COUNT 2 STREAMS s 0", 2);
        for command in ["MULTI", "XADD s 1-1 f v", "XADD s 1-2 f v", "XADD s 1-3 f v", "XTRIM s MAXLEN 2", "EXEC"] {
            scenario.run(command);
        }
        scenario.receive("one", &mut one);
        scenario.receive("two", &mut two);
        scenario.block(&mut one, "XREAD BLOCK 0 STREAMS t $", 1);
        for command in ["MULTI", "XADD t 1-1 f v", "DEL t", "EXEC", "MULTI", "XADD t 1-1 f v", "XDEL t 1-1", "EXEC"] {
            scenario.run(command);
        }
        scenario.receive("what is gone already", &mut one);
        scenario.block(&mut one, "XREAD BLOCK 0 STREAMS t $", 1);
        scenario.run("XADD t MAXLEN 0 1-2 f v");
        scenario.receive("what was trimmed at once", &mut one);
    });
}

#[test]
fn consumers_are_served_in_the_order_in_which_they_blocked() {
    same(|scenario| {
        scenario.run("XGROUP CREATE s g $ MKSTREAM");
        scenario.run("XGROUP CREATE s h $");
        let mut clients: Vec<Wire> = (0..5).map(|_| scenario.client()).collect();
        clients[2].ask("HELLO 3");
        for (index, reader) in ["g c0", "g c1", "g c2", "g c3", "h c4 NOACK"].into_iter().enumerate() {
            let command = format!("XREADGROUP GROUP {reader} BLOCK 0 COUNT 2 STREAMS s >");
            scenario.block(&mut clients[index], &command, index + 1);
        }
        scenario.run("XADD s 1-1 f v");
        scenario.receive("0", &mut clients[0]);
        scenario.receive("4", &mut clients[4]);
        scenario.expect_blocked(3);
        for command in ["MULTI", "XADD s 1-2 f v", "XADD s 1-3 f v", "XADD s 1-4 f v", "EXEC"] {
            scenario.run(command);
        }
        scenario.receive("1", &mut clients[1]);
        scenario.receive("2", &mut clients[2]);
        scenario.run("XADD s 1-5 f v");
        scenario.receive("3", &mut clients[3]);
        for command in ["XPENDING s g - + 10", "XPENDING s h", "XINFO GROUPS s", "XINFO CONSUMERS s h"] {
            scenario.run(command);
        }
    });
}

#[test]
fn consumers_are_told_that_the_group_or_the_stream_was_deleted() {
    same(|scenario| {
        for command in ["XGROUP CREATE s g $ MKSTREAM", "XGROUP CREATE s h $", "XGROUP CREATE t g $ MKSTREAM"] {
            scenario.run(command);
        }
        let mut clients: Vec<Wire> = (0..4).map(|_| scenario.client()).collect();
        scenario.block(&mut clients[0], "XREADGROUP GROUP g c BLOCK 0 STREAMS s >", 1);
        scenario.block(&mut clients[1], "XREADGROUP GROUP h c BLOCK 0 STREAMS s >", 2);
        scenario.block(&mut clients[2], "XREADGROUP GROUP g c BLOCK 0 STREAMS t s > >", 3);
        scenario.block(&mut clients[3], "XREAD BLOCK 0 STREAMS s t $ $", 4);
        scenario.run("XGROUP DESTROY s g");
        scenario.receive("no group", &mut clients[0]);
        scenario.receive("no group in one of two", &mut clients[2]);
        scenario.expect_blocked(2);
        scenario.run("DEL s");
        scenario.receive("no stream", &mut clients[1]);
        scenario.run("XGROUP CREATE s h $ MKSTREAM");
        scenario.block(&mut clients[0], "XREADGROUP GROUP h c BLOCK 0 STREAMS s >", 2);
        scenario.run("FLUSHALL");
        scenario.receive("flushed", &mut clients[0]);
        scenario.run("XGROUP CREATE s h $ MKSTREAM");
        scenario.block(&mut clients[0], "XREADGROUP GROUP h c BLOCK 0 STREAMS s >", 2);
        for command in ["MULTI", "DEL s", "XADD s 1-1 f v", "EXEC"] {
            scenario.run(command);
        }
        scenario.receive("another stream", &mut clients[0]);
        scenario.receive("a reader that stayed all the while", &mut clients[3]);
    });
}

#[test]
fn a_client_that_closes_while_blocked_leaves_nothing() {
    same(|scenario| {
        scenario.run("XGROUP CREATE s g $ MKSTREAM");
        let (mut gone, mut killed, mut left) = (scenario.client(), scenario.client(), scenario.client());
        let id = killed.ask("CLIENT ID").trim().trim_start_matches(':').to_owned();
        scenario.block(&mut gone, "XREADGROUP GROUP g gone BLOCK 0 STREAMS s >", 1);
        gone.command("XADD s 9-9 never run");
        scenario.block(&mut killed, "XREADGROUP GROUP g killed BLOCK 0 STREAMS s >", 2);
        scenario.block(&mut left, "XREADGROUP GROUP g left BLOCK 0 STREAMS s >", 3);
        drop(gone);
        scenario.expect_blocked(2);
        let answer = scenario.control.ask(&format!("CLIENT KILL ID {id}"));
        scenario.note("kill", &answer);
        scenario.expect_blocked(1);
        scenario.run("XADD s 1-1 f v");
        scenario.receive("left", &mut left);
        scenario.run("XINFO CONSUMERS s g");
        scenario.run("XLEN s");
    });
}

#[test]
fn a_blocked_subscriber_still_receives_messages() {
    same(|scenario| {
        let mut client = scenario.client();
        client.ask("HELLO 3");
        client.ask("SUBSCRIBE c");
        scenario.block(&mut client, "XREAD BLOCK 0 STREAMS s $", 1);
        scenario.run("PUBLISH c hello");
        scenario.receive("message", &mut client);
        scenario.run("XADD s 1-1 f v");
        scenario.receive("entry", &mut client);
    });
}
