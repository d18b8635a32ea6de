//! Clients that wait for entries of a stream, on redis-server and on the embedded broker.

use super::transcripts::without_times;
use crate::support::server::{Embedded, LIMIT, RedisServer, Wire};
use crate::support::wait::wait_until;

/// Plays a scene on both servers and compares what its clients saw.
fn same(scene: impl Fn(&mut Stage)) {
    let (redis, embedded) = (RedisServer::start(), Embedded::start());
    let [expected, got] = [redis.port, embedded.port].map(|port| {
        let mut stage = Stage { port, control: Wire::connect(port), seen: Vec::new() };
        scene(&mut stage);
        stage.expect_waiting(0);
        stage.seen
    });
    assert!(expected.len() > 2);
    assert_eq!(expected, got);
}

struct Stage {
    port: u16,
    control: Wire,
    seen: Vec<String>,
}

impl Stage {
    fn client(&self) -> Wire {
        Wire::connect(self.port)
    }

    /// A command by a client that does not wait.
    fn run(&mut self, command: &str) {
        let answer = self.control.ask(command);
        self.note(command, &answer);
    }

    /// Sends a command that makes its client wait, as the `count`th to do so.
    fn wait(&mut self, client: &mut Wire, command: &str, count: usize) {
        client.command(command);
        self.expect_waiting(count);
    }

    fn expect_waiting(&mut self, count: usize) {
        let line = format!("blocked_clients:{count}\r\n");
        let port = self.port;
        wait_until(&format!("{count} clients to wait"), LIMIT, || {
            Wire::connect(port).ask("INFO clients").contains(&line)
        });
    }

    /// The next thing that a client reads.
    fn hear(&mut self, name: &str, client: &mut Wire) {
        let answer = client.value();
        self.note(name, &answer);
    }

    fn note(&mut self, what: &str, answer: &str) {
        self.seen.push(format!("{what}: {}", without_times(answer)));
    }
}

#[test]
fn a_wait_in_vain_ends_with_nil_and_the_commands_behind_it_wait() {
    same(|stage| {
        for hello in ["HELLO 2", "HELLO 3"] {
            let mut client = stage.client();
            client.ask(hello);
            client.command("XREAD BLOCK 30 STREAMS s $");
            client.command("XADD t 1-1 f v");
            client.command("XREAD BLOCK 30 STREAMS s t 0 0");
            for name in ["nil", "id", "entry"] {
                stage.hear(name, &mut client);
            }
            stage.run("DEL t");
        }
    });
}

#[test]
fn all_readers_get_a_new_entry() {
    same(|stage| {
        stage.run("XADD s 1-1 f v");
        let mut clients: Vec<Wire> = (0..4).map(|_| stage.client()).collect();
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
            // The last has something to read at once.
            stage.wait(&mut clients[index], command, (index + 1).min(3));
        }
        stage.hear("at once", &mut clients[3]);
        stage.run("XADD t 4-1 f too-low");
        stage.run("XADD s 2-1 f v");
        stage.hear("first", &mut clients[0]);
        stage.hear("second", &mut clients[1]);
        stage.expect_waiting(1);
        for command in ["MULTI", "XADD s 3-1 f v", "XADD s 3-2 f v", "XDEL s 3-1", "EXEC"] {
            stage.run(command);
        }
        stage.hear("third", &mut clients[2]);
    });
}

#[test]
fn a_transaction_is_seen_at_its_end() {
    same(|stage| {
        let (mut one, mut two) = (stage.client(), stage.client());
        stage.wait(&mut one, "XREAD BLOCK 0 STREAMS s 0", 1);
        stage.wait(&mut two, "XREAD BLOCK 0 COUNT 2 STREAMS s 0", 2);
        for command in ["MULTI", "XADD s 1-1 f v", "XADD s 1-2 f v", "XADD s 1-3 f v", "XTRIM s MAXLEN 2", "EXEC"] {
            stage.run(command);
        }
        stage.hear("one", &mut one);
        stage.hear("two", &mut two);
        stage.wait(&mut one, "XREAD BLOCK 0 STREAMS t $", 1);
        for command in ["MULTI", "XADD t 1-1 f v", "DEL t", "EXEC", "MULTI", "XADD t 1-1 f v", "XDEL t 1-1", "EXEC"] {
            stage.run(command);
        }
        stage.hear("what is gone already", &mut one);
        stage.wait(&mut one, "XREAD BLOCK 0 STREAMS t $", 1);
        stage.run("XADD t MAXLEN 0 1-2 f v");
        stage.hear("what was trimmed at once", &mut one);
    });
}

#[test]
fn consumers_are_served_in_the_order_of_their_arrival() {
    same(|stage| {
        stage.run("XGROUP CREATE s g $ MKSTREAM");
        stage.run("XGROUP CREATE s h $");
        let mut clients: Vec<Wire> = (0..5).map(|_| stage.client()).collect();
        clients[2].ask("HELLO 3");
        for (index, reader) in ["g c0", "g c1", "g c2", "g c3", "h c4 NOACK"].into_iter().enumerate() {
            let command = format!("XREADGROUP GROUP {reader} BLOCK 0 COUNT 2 STREAMS s >");
            stage.wait(&mut clients[index], &command, index + 1);
        }
        stage.run("XADD s 1-1 f v");
        stage.hear("0", &mut clients[0]);
        stage.hear("4", &mut clients[4]);
        stage.expect_waiting(3);
        for command in ["MULTI", "XADD s 1-2 f v", "XADD s 1-3 f v", "XADD s 1-4 f v", "EXEC"] {
            stage.run(command);
        }
        stage.hear("1", &mut clients[1]);
        stage.hear("2", &mut clients[2]);
        stage.run("XADD s 1-5 f v");
        stage.hear("3", &mut clients[3]);
        for command in ["XPENDING s g - + 10", "XPENDING s h", "XINFO GROUPS s", "XINFO CONSUMERS s h"] {
            stage.run(command);
        }
    });
}

#[test]
fn consumers_hear_that_the_group_or_the_stream_is_gone() {
    same(|stage| {
        for command in ["XGROUP CREATE s g $ MKSTREAM", "XGROUP CREATE s h $", "XGROUP CREATE t g $ MKSTREAM"] {
            stage.run(command);
        }
        let mut clients: Vec<Wire> = (0..4).map(|_| stage.client()).collect();
        stage.wait(&mut clients[0], "XREADGROUP GROUP g c BLOCK 0 STREAMS s >", 1);
        stage.wait(&mut clients[1], "XREADGROUP GROUP h c BLOCK 0 STREAMS s >", 2);
        stage.wait(&mut clients[2], "XREADGROUP GROUP g c BLOCK 0 STREAMS t s > >", 3);
        stage.wait(&mut clients[3], "XREAD BLOCK 0 STREAMS s t $ $", 4);
        stage.run("XGROUP DESTROY s g");
        stage.hear("no group", &mut clients[0]);
        stage.hear("no group in one of two", &mut clients[2]);
        stage.expect_waiting(2);
        stage.run("DEL s");
        stage.hear("no stream", &mut clients[1]);
        stage.run("XGROUP CREATE s h $ MKSTREAM");
        stage.wait(&mut clients[0], "XREADGROUP GROUP h c BLOCK 0 STREAMS s >", 2);
        stage.run("FLUSHALL");
        stage.hear("flushed", &mut clients[0]);
        stage.run("XGROUP CREATE s h $ MKSTREAM");
        stage.wait(&mut clients[0], "XREADGROUP GROUP h c BLOCK 0 STREAMS s >", 2);
        for command in ["MULTI", "DEL s", "XADD s 1-1 f v", "EXEC"] {
            stage.run(command);
        }
        stage.hear("another stream", &mut clients[0]);
        stage.hear("a reader that stayed all the while", &mut clients[3]);
    });
}

#[test]
fn a_client_that_closes_while_it_waits_leaves_nothing() {
    same(|stage| {
        stage.run("XGROUP CREATE s g $ MKSTREAM");
        let (mut gone, mut killed, mut left) = (stage.client(), stage.client(), stage.client());
        let id = killed.ask("CLIENT ID").trim().trim_start_matches(':').to_owned();
        stage.wait(&mut gone, "XREADGROUP GROUP g gone BLOCK 0 STREAMS s >", 1);
        gone.command("XADD s 9-9 never run");
        stage.wait(&mut killed, "XREADGROUP GROUP g killed BLOCK 0 STREAMS s >", 2);
        stage.wait(&mut left, "XREADGROUP GROUP g left BLOCK 0 STREAMS s >", 3);
        drop(gone);
        stage.expect_waiting(2);
        let answer = stage.control.ask(&format!("CLIENT KILL ID {id}"));
        stage.note("kill", &answer);
        stage.expect_waiting(1);
        stage.run("XADD s 1-1 f v");
        stage.hear("left", &mut left);
        stage.run("XINFO CONSUMERS s g");
        stage.run("XLEN s");
    });
}

#[test]
fn a_wait_can_be_ended_from_outside() {
    same(|stage| {
        let mut clients: Vec<Wire> = (0..3).map(|_| stage.client()).collect();
        let ids: Vec<String> = clients
            .iter_mut()
            .map(|client| client.ask("CLIENT ID").trim().trim_start_matches(':').to_owned())
            .collect();
        for (index, client) in clients.iter_mut().enumerate() {
            stage.wait(client, "XREAD BLOCK 0 STREAMS s $", index + 1);
            client.command("PING");
        }
        let list = stage.control.ask("CLIENT LIST");
        let waiting = list.lines().filter(|line| line.contains(" flags=b ") && line.contains(" cmd=xread ")).count();
        stage.note("waiting", &waiting.to_string());
        for (id, reason) in ids.iter().zip(["", " TIMEOUT", " ERROR"]) {
            let answer = stage.control.ask(&format!("CLIENT UNBLOCK {id}{reason}"));
            stage.note(reason, &answer);
        }
        let answer = stage.control.ask(&format!("CLIENT UNBLOCK {}", ids[0]));
        stage.note("twice", &answer);
        for client in &mut clients {
            stage.hear("reply", client);
            stage.hear("pong", client);
        }
    });
}

#[test]
fn a_subscriber_that_waits_still_gets_messages() {
    same(|stage| {
        let mut client = stage.client();
        client.ask("HELLO 3");
        client.ask("SUBSCRIBE c");
        stage.wait(&mut client, "XREAD BLOCK 0 STREAMS s $", 1);
        stage.run("PUBLISH c hello");
        stage.hear("message", &mut client);
        stage.run("XADD s 1-1 f v");
        stage.hear("entry", &mut client);
    });
}
