//! Table of all commands, with the arities, flags and key positions of Redis 7.0.

use crate::broker::client::SubscriptionKind::{Channel, Pattern};
use crate::broker::connection::{Command, Handler, ServerConnection};
use crate::broker::streams::Growth;

use Handler::{All, Connection, Keys, Subscriptions};

// Key positions: no keys, the first argument, all arguments, the argument of a subcommand.
const NONE: [i64; 3] = [0, 0, 0];
const FIRST: [i64; 3] = [1, 1, 1];
const EACH: [i64; 3] = [1, -1, 1];
const SECOND: [i64; 3] = [2, 2, 1];

// Flags that several commands share.
const PLAIN: &str = "noscript loading stale";
const ADMIN: &str = "admin noscript loading stale";
const LOGIN: &str = "noscript loading stale fast no_auth allow_busy";
const TRANSACTION: &str = "noscript loading stale fast allow_busy";
const SUBSCRIBER: &str = "pubsub noscript loading stale";
const PUBSUB: &str = "pubsub loading stale";
const QUICK: &str = "loading stale fast";
const READ: &str = "readonly";
const READ_FAST: &str = "readonly fast";
const WRITE: &str = "write";
const WRITE_FAST: &str = "write fast";
const ADD: &str = "write denyoom";
const ADD_FAST: &str = "write denyoom fast";
const READ_BLOCK: &str = "readonly blocking movablekeys";
const WRITE_BLOCK: &str = "write blocking movablekeys";

const NO_TRACKING: &str = "ERR client tracking is not supported by this server";

const fn command(name: &'static str, arity: i32, flags: &'static str, keys: [i64; 3], handler: Handler) -> Command {
    Command { name, arity, flags, keys, handler, subcommands: &[] }
}

/// A command that only has subcommands. Its arity and [`find`] keep its handler from being called.
const fn container(name: &'static str, subcommands: &'static [Command]) -> Command {
    let handler = Connection(|connection, _| connection.syntax_error());
    Command { name, arity: -2, flags: "", keys: NONE, handler, subcommands }
}

/// Finds a command, or a subcommand by its own name, in any case.
pub(super) fn find(commands: &'static [Command], name: &[u8]) -> Option<&'static Command> {
    let lowered = || name.iter().map(u8::to_ascii_lowercase);
    commands.binary_search_by(|command| own_name(command).bytes().cmp(lowered())).ok().map(|index| &commands[index])
}

fn own_name(command: &Command) -> &'static str {
    command.name.split_once('|').map_or(command.name, |(_, name)| name)
}

/// All commands, ordered by name.
#[rustfmt::skip] // One line for each command.
#[allow(clippy::redundant_closure_for_method_calls, reason = "methods of a type with a lifetime are not general enough")]
pub(super) static COMMANDS: &[Command] = &[
    command("auth", -2, LOGIN, NONE, Connection(|connection, args| connection.auth(args))),
    container("client", &[
        command("client|getname", 2, PLAIN, NONE, Connection(|connection, _| connection.client_getname())),
        command("client|id", 2, PLAIN, NONE, Connection(|connection, _| _ = connection.replies.integer(connection.client.id as i64))),
        command("client|info", 2, PLAIN, NONE, Connection(|connection, _| connection.client_info())),
        command("client|kill", -3, ADMIN, NONE, Connection(|connection, args| connection.client_kill(args))),
        command("client|list", -2, ADMIN, NONE, Connection(|connection, args| connection.client_list(args))),
        command("client|no-evict", 3, ADMIN, NONE, Connection(|connection, args| connection.client_switch(args.at(2)))),
        command("client|no-touch", 3, PLAIN, NONE, Connection(|connection, args| connection.client_switch(args.at(2)))),
        command("client|setinfo", 4, PLAIN, NONE, Connection(|connection, args| connection.client_setinfo(args))),
        command("client|setname", 3, PLAIN, NONE, Connection(|connection, args| connection.client_setname(args.at(2)))),
        // rueidis sends this command unless its cache is disabled, and reports the error.
        command("client|tracking", -3, PLAIN, NONE, Connection(|connection, _| connection.replies.error(NO_TRACKING))),
    ]),
    Command {
        arity: -1, flags: "loading stale", handler: Connection(ServerConnection::command_info),
        ..container("command", &[
            command("command|count", 2, "loading stale", NONE, Connection(|connection, _| _ = connection.replies.integer(COMMANDS.len() as i64))),
            command("command|info", -2, "loading stale", NONE, Connection(ServerConnection::command_info)),
        ])
    },
    command("dbsize", 1, READ_FAST, NONE, Keys(Growth::None, |call| call.dbsize())),
    command("del", -2, WRITE, EACH, Keys(Growth::None, |call| call.del())),
    command("discard", 1, TRANSACTION, NONE, Connection(|connection, _| connection.discard())),
    command("echo", 2, QUICK, NONE, Connection(|connection, args| _ = connection.replies.bulk(args.at(1)))),
    command("exec", 1, "noscript loading stale skip_slowlog", NONE, Connection(|connection, _| connection.exec())),
    command("exists", -2, READ_FAST, EACH, Keys(Growth::None, |call| call.exists())),
    command("flushall", -1, WRITE, NONE, Keys(Growth::None, |call| call.flush())),
    command("flushdb", -1, WRITE, NONE, Keys(Growth::None, |call| call.flush())),
    command("hello", -1, LOGIN, NONE, Subscriptions(|connection, args, _| connection.hello(args))),
    command("info", -1, "loading stale", NONE, All(ServerConnection::info)),
    command("keys", 2, READ, NONE, Keys(Growth::None, |call| call.keys())),
    command("multi", 1, TRANSACTION, NONE, Connection(|connection, _| connection.multi())),
    command("ping", -1, "fast", NONE, Connection(|connection, args| connection.ping(args))),
    command("psubscribe", -2, SUBSCRIBER, NONE, Subscriptions(|connection, args, all| connection.subscribe(Pattern, args, all))),
    command("publish", 3, "pubsub loading stale fast", NONE, Subscriptions(|connection, args, all| connection.publish(args, all))),
    container("pubsub", &[
        command("pubsub|channels", -2, PUBSUB, NONE, Subscriptions(|connection, args, all| connection.pubsub_channels(args, all))),
        command("pubsub|numpat", 2, PUBSUB, NONE, Subscriptions(|connection, _, all| connection.pubsub_numpat(all))),
        command("pubsub|numsub", -2, PUBSUB, NONE, Subscriptions(|connection, args, all| connection.pubsub_numsub(args, all))),
    ]),
    command("punsubscribe", -1, SUBSCRIBER, NONE, Subscriptions(|connection, args, all| connection.unsubscribe(Pattern, args, all))),
    command("quit", -1, LOGIN, NONE, Connection(|connection, _| connection.quit())),
    command("reset", 1, LOGIN, NONE, Subscriptions(|connection, _, all| connection.reset(all))),
    command("scan", -2, READ, NONE, Keys(Growth::None, |call| call.scan())),
    command("select", 2, QUICK, NONE, Connection(|connection, args| connection.select(args.at(1)))),
    command("subscribe", -2, SUBSCRIBER, NONE, Subscriptions(|connection, args, all| connection.subscribe(Channel, args, all))),
    command("time", 1, QUICK, NONE, Connection(|connection, _| connection.time())),
    command("type", 2, READ_FAST, FIRST, Keys(Growth::None, |call| call.type_of())),
    command("unlink", -2, WRITE_FAST, EACH, Keys(Growth::None, |call| call.del())),
    command("unsubscribe", -1, SUBSCRIBER, NONE, Subscriptions(|connection, args, all| connection.unsubscribe(Channel, args, all))),
    command("xack", -4, WRITE_FAST, FIRST, Keys(Growth::None, |call| call.xack())),
    command("xadd", -5, ADD_FAST, FIRST, Keys(Growth::Entries, |call| call.xadd())),
    command("xautoclaim", -6, WRITE_FAST, FIRST, Keys(Growth::Pending, |call| call.xautoclaim())),
    command("xclaim", -6, WRITE_FAST, FIRST, Keys(Growth::Pending, |call| call.xclaim())),
    command("xdel", -3, WRITE_FAST, FIRST, Keys(Growth::None, |call| call.xdel())),
    container("xgroup", &[
        command("xgroup|create", -5, ADD, SECOND, Keys(Growth::Entries, |call| call.xgroup_create())),
        command("xgroup|createconsumer", 5, ADD, SECOND, Keys(Growth::Entries, |call| call.xgroup_createconsumer())),
        command("xgroup|delconsumer", 5, WRITE, SECOND, Keys(Growth::None, |call| call.xgroup_delconsumer())),
        command("xgroup|destroy", 4, WRITE, SECOND, Keys(Growth::None, |call| call.xgroup_destroy())),
        command("xgroup|setid", -5, WRITE, SECOND, Keys(Growth::None, |call| call.xgroup_setid())),
    ]),
    container("xinfo", &[
        command("xinfo|consumers", 4, READ, SECOND, Keys(Growth::None, |call| call.xinfo_consumers())),
        command("xinfo|groups", 3, READ, SECOND, Keys(Growth::None, |call| call.xinfo_groups())),
        command("xinfo|stream", -3, READ, SECOND, Keys(Growth::None, |call| call.xinfo_stream())),
    ]),
    command("xlen", 2, READ_FAST, FIRST, Keys(Growth::None, |call| call.xlen())),
    command("xpending", -3, READ, FIRST, Keys(Growth::None, |call| call.xpending())),
    command("xrange", -4, READ, FIRST, Keys(Growth::None, |call| call.xrange(false))),
    command("xread", -4, READ_BLOCK, NONE, Keys(Growth::None, |call| call.xread(false))),
    command("xreadgroup", -7, WRITE_BLOCK, NONE, Keys(Growth::Pending, |call| call.xread(true))),
    command("xrevrange", -4, READ, FIRST, Keys(Growth::None, |call| call.xrange(true))),
    command("xtrim", -4, WRITE, FIRST, Keys(Growth::None, |call| call.xtrim())),
];

#[cfg(test)]
mod tests {
    use crate::broker::commands::*;

    #[test]
    fn names_are_ordered() {
        for commands in COMMANDS.iter().map(|command| command.subcommands).chain([COMMANDS]) {
            assert!(commands.is_sorted_by_key(own_name));
        }
    }

    #[test]
    fn commands_are_found_in_any_case_and_arities_hold() {
        let name = |commands, name: &[u8]| find(commands, name).map(|command| command.name);
        assert_eq!(name(COMMANDS, b"PubLish"), Some("publish"));
        assert!(find(COMMANDS, b"client|id").is_none() && find(COMMANDS, b"").is_none());
        assert!(find(COMMANDS, b"id").is_none() && find(COMMANDS, b"pub").is_none());
        let client = find(COMMANDS, b"client").unwrap();
        assert_eq!(name(client.subcommands, b"NO-EVICT"), Some("client|no-evict"));
        assert!(find(client.subcommands, b"client").is_none());
        for (name, len, accepted) in
            [("publish", 2, false), ("publish", 3, true), ("publish", 4, false), ("ping", 1, true)]
        {
            assert_eq!(find(COMMANDS, name.as_bytes()).unwrap().accepts(len), accepted, "{name} with {len} words");
        }
    }
}
