//! The commands that the broker knows, with what COMMAND tells about them. Arities, flags and categories are those of
//! Redis 7.0, where an arity counts the command's name and a negative one means "at least".

mod keys;

pub(super) use keys::{Begin, KeySpec};

/// Names a command in `match`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Auth,
    Client,
    ClientGetname,
    ClientHelp,
    ClientId,
    ClientInfo,
    ClientKill,
    ClientList,
    ClientNoEvict,
    ClientNoTouch,
    ClientSetinfo,
    ClientSetname,
    ClientTracking,
    ClientUnblock,
    Command,
    CommandCount,
    CommandDocs,
    CommandHelp,
    CommandInfo,
    CommandList,
    Config,
    ConfigGet,
    ConfigHelp,
    ConfigSet,
    Discard,
    Echo,
    Exec,
    Hello,
    Info,
    Key(KeyVerb),
    Multi,
    Ping,
    Psubscribe,
    Publish,
    Pubsub,
    PubsubChannels,
    PubsubHelp,
    PubsubNumpat,
    PubsubNumsub,
    Punsubscribe,
    Quit,
    Reset,
    Select,
    Subscribe,
    Time,
    Unsubscribe,
    Unwatch,
    Watch,
    Xgroup,
    XgroupHelp,
    Xinfo,
    XinfoHelp,
}

/// Names a command on keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyVerb {
    Dbsize,
    Del,
    Exists,
    Flush,
    Keys,
    Scan,
    Type,
    Xack,
    Xadd,
    Xautoclaim,
    Xclaim,
    Xdel,
    XgroupCreate,
    XgroupCreateconsumer,
    XgroupDelconsumer,
    XgroupDestroy,
    XgroupSetid,
    XinfoConsumers,
    XinfoGroups,
    XinfoStream,
    Xlen,
    Xpending,
    Xrange,
    Xread,
    Xreadgroup,
    Xrevrange,
    Xsetid,
    Xtrim,
}

/// One command, or one subcommand with its container's name before the bar.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) verb: Verb,
    pub(super) name: &'static str,
    pub(super) arity: i32,
    /// Separated by spaces, like `categories`.
    pub(super) flags: &'static str,
    pub(super) categories: &'static str,
    pub(super) group: &'static str,
    pub(super) since: &'static str,
    pub(super) summary: &'static str,
    pub(super) subcommands: &'static [Spec],
}

impl Spec {
    /// Whether a command of `len` words, its name included, has as many as it needs.
    pub(super) fn takes(&self, len: usize) -> bool {
        let needed = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { len >= needed } else { len == needed }
    }

    /// The subcommand called `name`, in any case.
    pub(super) fn subcommand(&self, name: &[u8]) -> Option<&'static Spec> {
        find(self.subcommands, name)
    }

    /// Where its keys are, if it has any.
    pub(super) fn key_spec(&self) -> Option<KeySpec> {
        match self.verb {
            Verb::Key(verb) => verb.key_spec(),
            _ => None,
        }
    }

    /// Hints for proxies, separated by spaces.
    pub(super) fn tips(&self) -> &'static str {
        match self.verb {
            Verb::ClientInfo | Verb::ClientList | Verb::Time => "nondeterministic_output",
            Verb::Command | Verb::CommandDocs | Verb::CommandInfo | Verb::CommandList => {
                "nondeterministic_output_order"
            }
            Verb::ConfigSet => "request_policy:all_nodes response_policy:all_succeeded",
            Verb::Info => "nondeterministic_output request_policy:all_shards response_policy:special",
            Verb::Ping => "request_policy:all_shards response_policy:all_succeeded",
            Verb::Key(verb) => verb.tips(),
            _ => "",
        }
    }

    /// Whether a RESP2 client may give this command while it is subscribed.
    pub(super) fn is_for_subscribers(&self) -> bool {
        matches!(
            self.verb,
            Verb::Subscribe
                | Verb::Unsubscribe
                | Verb::Psubscribe
                | Verb::Punsubscribe
                | Verb::Ping
                | Verb::Quit
                | Verb::Reset
        )
    }

    /// Whether it is refused when the streams have taken all the memory that they may.
    pub(super) fn adds_memory(&self) -> bool {
        matches!(self.verb, Verb::Key(verb) if verb.adds_memory())
    }

    /// Whether it takes effect within MULTI instead of being queued.
    pub(super) fn is_immediate(&self) -> bool {
        matches!(self.verb, Verb::Exec | Verb::Discard | Verb::Multi | Verb::Watch | Verb::Quit | Verb::Reset)
    }
}

impl KeyVerb {
    /// The commands with Redis's flag `denyoom`.
    pub(super) fn adds_memory(self) -> bool {
        matches!(self, Self::Xadd | Self::XgroupCreate | Self::XgroupCreateconsumer | Self::Xsetid)
    }

    /// Those that note for a group what it was given.
    pub(super) fn adds_pending(self) -> bool {
        matches!(self, Self::Xreadgroup | Self::Xclaim | Self::Xautoclaim)
    }

    fn tips(self) -> &'static str {
        match self {
            Self::Del | Self::Exists => "request_policy:multi_shard response_policy:agg_sum",
            Self::Dbsize => "request_policy:all_shards response_policy:agg_sum",
            Self::Flush => "request_policy:all_shards response_policy:all_succeeded",
            Self::Keys => "request_policy:all_shards nondeterministic_output_order",
            Self::Scan => "nondeterministic_output request_policy:special",
            Self::Xadd | Self::Xautoclaim | Self::Xclaim | Self::Xpending | Self::Xtrim | Self::XinfoConsumers => {
                "nondeterministic_output"
            }
            _ => "",
        }
    }
}

/// The command called `name`, in any case.
pub(super) fn command(name: &[u8]) -> Option<&'static Spec> {
    find(COMMANDS, name)
}

fn find(specs: &'static [Spec], name: &[u8]) -> Option<&'static Spec> {
    let short = |spec: &Spec| spec.name.split_once('|').map_or(spec.name, |(_, short)| short);
    let mut lowered = [0; NAME_BYTES_MAX];
    let lowered = lowered.get_mut(..name.len())?;
    lowered.copy_from_slice(name);
    lowered.make_ascii_lowercase();
    let at = specs.binary_search_by(|spec| short(spec).as_bytes().cmp(lowered)).ok()?;
    specs.get(at)
}

/// Longest name of a command or a subcommand.
const NAME_BYTES_MAX: usize = 16;

/// The first fields of [`Spec`], in their order.
type Row = (Verb, &'static str, i32, &'static str, &'static str, &'static str, &'static str, &'static str);

const fn one(row: Row) -> Spec {
    with(row, &[])
}

const fn with(row: Row, subcommands: &'static [Spec]) -> Spec {
    let (verb, name, arity, flags, categories, group, since, summary) = row;
    Spec { verb, name, arity, flags, categories, group, since, summary, subcommands }
}

// Flags that several commands share.
const STALE: &str = "loading stale";
const PLAIN: &str = "noscript loading stale";
const ADMIN: &str = "admin noscript loading stale";
const LOGIN: &str = "noscript loading stale fast no_auth allow_busy";
const TRANSACTION: &str = "noscript loading stale fast allow_busy";
const SUBSCRIBER: &str = "pubsub noscript loading stale";
const SUBSCRIPTIONS: &str = "pubsub loading stale";
const QUICK: &str = "loading stale fast";

// Categories that several commands share.
const AT_CONNECTION: &str = "@slow @connection";
const AT_FAST: &str = "@fast @connection";
const AT_ADMIN: &str = "@admin @slow @dangerous @connection";
const AT_SERVER: &str = "@admin @slow @dangerous";
const AT_TRANSACTION: &str = "@fast @transaction";
const AT_PUBSUB: &str = "@pubsub @slow";
const AT_READ: &str = "@read @stream @slow";
const AT_WRITE: &str = "@write @stream @slow";
const AT_WRITE_FAST: &str = "@write @stream @fast";

/// All commands, by name.
#[rustfmt::skip] // A table: two lines a command.
pub(super) static COMMANDS: &[Spec] = &[
    one((Verb::Auth, "auth", -2, LOGIN, AT_FAST,
        "connection", "1.0.0", "Logs in; there is no password here")),
    with((Verb::Client, "client", -2, "", "@slow",
        "connection", "2.4.0", "Commands about connections"), &[
        one((Verb::ClientGetname, "client|getname", 2, PLAIN, AT_CONNECTION,
            "connection", "2.6.9", "This connection's name")),
        one((Verb::ClientHelp, "client|help", 2, STALE, AT_CONNECTION,
            "connection", "5.0.0", "Lists the subcommands")),
        one((Verb::ClientId, "client|id", 2, PLAIN, AT_CONNECTION,
            "connection", "5.0.0", "This connection's id")),
        one((Verb::ClientInfo, "client|info", 2, PLAIN, AT_CONNECTION,
            "connection", "6.2.0", "Describes this connection")),
        one((Verb::ClientKill, "client|kill", -3, ADMIN, AT_ADMIN,
            "connection", "2.4.0", "Closes connections")),
        one((Verb::ClientList, "client|list", -2, ADMIN, AT_ADMIN,
            "connection", "2.4.0", "Describes all connections")),
        one((Verb::ClientNoEvict, "client|no-evict", 3, ADMIN, AT_ADMIN,
            "connection", "7.0.0", "Accepted; nothing is ever evicted")),
        one((Verb::ClientNoTouch, "client|no-touch", 3, PLAIN, AT_CONNECTION,
            "connection", "7.2.0", "Accepted; keys do not age")),
        one((Verb::ClientSetinfo, "client|setinfo", 4, PLAIN, AT_CONNECTION,
            "connection", "7.2.0", "Names this connection's client library")),
        one((Verb::ClientSetname, "client|setname", 3, PLAIN, AT_CONNECTION,
            "connection", "2.6.9", "Names this connection")),
        one((Verb::ClientTracking, "client|tracking", -3, PLAIN, AT_CONNECTION,
            "connection", "6.0.0", "Refused; keys are not tracked")),
        one((Verb::ClientUnblock, "client|unblock", -3, ADMIN, AT_ADMIN,
            "connection", "5.0.0", "Ends the wait of a connection")),
    ]),
    with((Verb::Command, "command", -1, STALE, AT_CONNECTION,
        "server", "2.8.13", "Describes all commands"), &[
        one((Verb::CommandCount, "command|count", 2, STALE, AT_CONNECTION,
            "server", "2.8.13", "Counts the commands")),
        one((Verb::CommandDocs, "command|docs", -2, STALE, AT_CONNECTION,
            "server", "7.0.0", "Documents commands")),
        one((Verb::CommandHelp, "command|help", 2, STALE, AT_CONNECTION,
            "server", "5.0.0", "Lists the subcommands")),
        one((Verb::CommandInfo, "command|info", -2, STALE, AT_CONNECTION,
            "server", "2.8.13", "Describes commands")),
        one((Verb::CommandList, "command|list", -2, STALE, AT_CONNECTION,
            "server", "7.0.0", "Lists the commands' names")),
    ]),
    with((Verb::Config, "config", -2, "", "@slow",
        "server", "2.0.0", "Commands about the server's settings"), &[
        one((Verb::ConfigGet, "config|get", -3, ADMIN, AT_SERVER,
            "server", "2.0.0", "Reads settings")),
        one((Verb::ConfigHelp, "config|help", 2, STALE, "@slow",
            "server", "5.0.0", "Lists the subcommands")),
        one((Verb::ConfigSet, "config|set", -4, ADMIN, AT_SERVER,
            "server", "2.0.0", "Refused; the settings are fixed")),
    ]),
    one((Verb::Key(KeyVerb::Dbsize), "dbsize", 1, "readonly fast", "@keyspace @read @fast",
        "server", "1.0.0", "Counts the keys")),
    one((Verb::Key(KeyVerb::Del), "del", -2, "write", "@keyspace @write @slow",
        "generic", "1.0.0", "Deletes keys")),
    one((Verb::Discard, "discard", 1, TRANSACTION, AT_TRANSACTION,
        "transactions", "2.0.0", "Forgets the queued commands")),
    one((Verb::Echo, "echo", 2, QUICK, AT_FAST,
        "connection", "1.0.0", "Returns its argument")),
    one((Verb::Exec, "exec", 1, "noscript loading stale skip_slowlog", "@slow @transaction",
        "transactions", "1.2.0", "Runs the queued commands")),
    one((Verb::Key(KeyVerb::Exists), "exists", -2, "readonly fast", "@keyspace @read @fast",
        "generic", "1.0.0", "Counts which of the keys exist")),
    one((Verb::Key(KeyVerb::Flush), "flushall", -1, "write", "@keyspace @write @slow @dangerous",
        "server", "1.0.0", "Deletes all keys")),
    one((Verb::Key(KeyVerb::Flush), "flushdb", -1, "write", "@keyspace @write @slow @dangerous",
        "server", "1.0.0", "Deletes all keys")),
    one((Verb::Hello, "hello", -1, LOGIN, AT_FAST,
        "connection", "6.0.0", "Chooses the protocol version")),
    one((Verb::Info, "info", -1, STALE, "@slow @dangerous",
        "server", "1.0.0", "Describes the server")),
    one((Verb::Key(KeyVerb::Keys), "keys", 2, "readonly", "@keyspace @read @slow @dangerous",
        "generic", "1.0.0", "Lists keys by pattern")),
    one((Verb::Multi, "multi", 1, TRANSACTION, AT_TRANSACTION,
        "transactions", "1.2.0", "Queues the commands that follow")),
    one((Verb::Ping, "ping", -1, "fast", AT_FAST,
        "connection", "1.0.0", "Answers PONG")),
    one((Verb::Psubscribe, "psubscribe", -2, SUBSCRIBER, AT_PUBSUB,
        "pubsub", "2.0.0", "Listens to channels by pattern")),
    one((Verb::Publish, "publish", 3, "pubsub loading stale fast", "@pubsub @fast",
        "pubsub", "2.0.0", "Sends a message to a channel")),
    with((Verb::Pubsub, "pubsub", -2, "", "@slow",
        "pubsub", "2.8.0", "Commands about subscriptions"), &[
        one((Verb::PubsubChannels, "pubsub|channels", -2, SUBSCRIPTIONS, AT_PUBSUB,
            "pubsub", "2.8.0", "Lists channels with subscribers")),
        one((Verb::PubsubHelp, "pubsub|help", 2, STALE, "@slow",
            "pubsub", "6.2.0", "Lists the subcommands")),
        one((Verb::PubsubNumpat, "pubsub|numpat", 2, SUBSCRIPTIONS, AT_PUBSUB,
            "pubsub", "2.8.0", "Counts patterns with subscribers")),
        one((Verb::PubsubNumsub, "pubsub|numsub", -2, SUBSCRIPTIONS, AT_PUBSUB,
            "pubsub", "2.8.0", "Counts channels' subscribers")),
    ]),
    one((Verb::Punsubscribe, "punsubscribe", -1, SUBSCRIBER, AT_PUBSUB,
        "pubsub", "2.0.0", "Stops listening by pattern")),
    one((Verb::Quit, "quit", -1, LOGIN, AT_FAST,
        "connection", "1.0.0", "Closes the connection")),
    one((Verb::Reset, "reset", 1, LOGIN, AT_FAST,
        "connection", "6.2.0", "Makes the connection as good as new")),
    one((Verb::Key(KeyVerb::Scan), "scan", -2, "readonly", "@keyspace @read @slow",
        "generic", "2.8.0", "Lists keys, a few at a time")),
    one((Verb::Select, "select", 2, QUICK, AT_FAST,
        "connection", "1.0.0", "Chooses database 0")),
    one((Verb::Subscribe, "subscribe", -2, SUBSCRIBER, AT_PUBSUB,
        "pubsub", "2.0.0", "Listens to channels")),
    one((Verb::Time, "time", 1, QUICK, "@fast",
        "server", "2.6.0", "The time of day")),
    one((Verb::Key(KeyVerb::Type), "type", 2, "readonly fast", "@keyspace @read @fast",
        "generic", "1.0.0", "What a key holds")),
    one((Verb::Key(KeyVerb::Del), "unlink", -2, "write fast", "@keyspace @write @fast",
        "generic", "4.0.0", "Deletes keys")),
    one((Verb::Unsubscribe, "unsubscribe", -1, SUBSCRIBER, AT_PUBSUB,
        "pubsub", "2.0.0", "Stops listening to channels")),
    one((Verb::Unwatch, "unwatch", 1, TRANSACTION, AT_TRANSACTION,
        "transactions", "2.2.0", "Forgets the watched keys")),
    one((Verb::Watch, "watch", -2, TRANSACTION, AT_TRANSACTION,
        "transactions", "2.2.0", "Lets EXEC run only if keys have not changed")),
    one((Verb::Key(KeyVerb::Xack), "xack", -4, "write fast", AT_WRITE_FAST,
        "stream", "5.0.0", "Acknowledges entries")),
    one((Verb::Key(KeyVerb::Xadd), "xadd", -5, "write denyoom fast", AT_WRITE_FAST,
        "stream", "5.0.0", "Adds an entry to a stream")),
    one((Verb::Key(KeyVerb::Xautoclaim), "xautoclaim", -6, "write fast", AT_WRITE_FAST,
        "stream", "6.2.0", "Takes over entries that were left")),
    one((Verb::Key(KeyVerb::Xclaim), "xclaim", -6, "write fast", AT_WRITE_FAST,
        "stream", "5.0.0", "Takes entries over from another consumer")),
    one((Verb::Key(KeyVerb::Xdel), "xdel", -3, "write fast", AT_WRITE_FAST,
        "stream", "5.0.0", "Deletes entries")),
    with((Verb::Xgroup, "xgroup", -2, "", "@slow",
        "stream", "5.0.0", "Commands about consumer groups"), &[
        one((Verb::Key(KeyVerb::XgroupCreate), "xgroup|create", -5, "write denyoom", AT_WRITE,
            "stream", "5.0.0", "Makes a group")),
        one((Verb::Key(KeyVerb::XgroupCreateconsumer), "xgroup|createconsumer", 5, "write denyoom", AT_WRITE,
            "stream", "6.2.0", "Makes a consumer")),
        one((Verb::Key(KeyVerb::XgroupDelconsumer), "xgroup|delconsumer", 5, "write", AT_WRITE,
            "stream", "5.0.0", "Deletes a consumer")),
        one((Verb::Key(KeyVerb::XgroupDestroy), "xgroup|destroy", 4, "write", AT_WRITE,
            "stream", "5.0.0", "Deletes a group")),
        one((Verb::XgroupHelp, "xgroup|help", 2, "loading stale", "@stream @slow",
            "stream", "5.0.0", "Lists the subcommands")),
        one((Verb::Key(KeyVerb::XgroupSetid), "xgroup|setid", -5, "write", AT_WRITE,
            "stream", "5.0.0", "Sets from where a group reads on")),
    ]),
    with((Verb::Xinfo, "xinfo", -2, "", "@slow",
        "stream", "5.0.0", "Commands that describe streams"), &[
        one((Verb::Key(KeyVerb::XinfoConsumers), "xinfo|consumers", 4, "readonly", AT_READ,
            "stream", "5.0.0", "Describes the consumers of a group")),
        one((Verb::Key(KeyVerb::XinfoGroups), "xinfo|groups", 3, "readonly", AT_READ,
            "stream", "5.0.0", "Describes the groups of a stream")),
        one((Verb::XinfoHelp, "xinfo|help", 2, "loading stale", "@stream @slow",
            "stream", "5.0.0", "Lists the subcommands")),
        one((Verb::Key(KeyVerb::XinfoStream), "xinfo|stream", -3, "readonly", AT_READ,
            "stream", "5.0.0", "Describes a stream")),
    ]),
    one((Verb::Key(KeyVerb::Xlen), "xlen", 2, "readonly fast", "@read @stream @fast",
        "stream", "5.0.0", "Counts a stream's entries")),
    one((Verb::Key(KeyVerb::Xpending), "xpending", -3, "readonly", AT_READ,
        "stream", "5.0.0", "Lists entries that are not acknowledged")),
    one((Verb::Key(KeyVerb::Xrange), "xrange", -4, "readonly", AT_READ,
        "stream", "5.0.0", "Reads a range of entries")),
    one((Verb::Key(KeyVerb::Xread), "xread", -4, "readonly blocking movablekeys", "@read @stream @slow @blocking",
        "stream", "5.0.0", "Reads entries behind an id, or waits for them")),
    one((Verb::Key(KeyVerb::Xreadgroup), "xreadgroup", -7, "write blocking movablekeys",
        "@write @stream @slow @blocking",
        "stream", "5.0.0", "Reads entries for a consumer of a group, or waits for them")),
    one((Verb::Key(KeyVerb::Xrevrange), "xrevrange", -4, "readonly", AT_READ,
        "stream", "5.0.0", "Reads a range of entries, the last first")),
    one((Verb::Key(KeyVerb::Xsetid), "xsetid", -3, "write denyoom fast", AT_WRITE_FAST,
        "stream", "5.0.0", "Sets a stream's last id")),
    one((Verb::Key(KeyVerb::Xtrim), "xtrim", -4, "write", AT_WRITE,
        "stream", "5.0.0", "Deletes the first entries")),
];

#[cfg(test)]
mod tests {
    use crate::broker::commands::*;

    #[test]
    fn names_are_in_order_and_not_too_long() {
        let short = |spec: &Spec| spec.name.rsplit('|').next().unwrap();
        for specs in COMMANDS.iter().map(|spec| spec.subcommands).chain([COMMANDS]) {
            assert!(specs.is_sorted_by_key(short));
            assert!(specs.iter().all(|spec| short(spec).len() <= NAME_BYTES_MAX));
        }
    }

    #[test]
    fn names_are_found_in_any_case_and_arities_hold() {
        assert_eq!(command(b"PubLish").map(|spec| spec.verb), Some(Verb::Publish));
        assert!(command(b"client|id").is_none() && command(b"").is_none() && command(b"id").is_none());
        let client = command(b"client").unwrap();
        assert_eq!(client.subcommand(b"NO-EVICT").map(|spec| spec.name), Some("client|no-evict"));
        assert!(client.subcommand(b"client").is_none());
        for (name, len, taken) in
            [("publish", 2, false), ("publish", 3, true), ("publish", 4, false), ("ping", 1, true)]
        {
            assert_eq!(command(name.as_bytes()).unwrap().takes(len), taken, "{name} with {len} words");
        }
    }
}
