//! The commands that the broker knows, with what COMMAND tells about them. Arities, flags and categories are those of
//! Redis 7.0, where an arity counts the command's name and a negative one means "at least".

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
    Unsubscribe,
    Unwatch,
    Watch,
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

    /// Hints for proxies, separated by spaces.
    pub(super) fn tips(&self) -> &'static str {
        match self.verb {
            Verb::ClientInfo | Verb::ClientList => "nondeterministic_output",
            Verb::Command | Verb::CommandDocs | Verb::CommandInfo | Verb::CommandList => {
                "nondeterministic_output_order"
            }
            Verb::ConfigSet => "request_policy:all_nodes response_policy:all_succeeded",
            Verb::Info => "nondeterministic_output request_policy:all_shards response_policy:special",
            Verb::Ping => "request_policy:all_shards response_policy:all_succeeded",
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

    /// Whether it takes effect within MULTI instead of being queued.
    pub(super) fn is_immediate(&self) -> bool {
        matches!(self.verb, Verb::Exec | Verb::Discard | Verb::Multi | Verb::Watch | Verb::Quit | Verb::Reset)
    }
}

/// The command called `name`, in any case.
pub(super) fn command(name: &[u8]) -> Option<&'static Spec> {
    find(COMMANDS, name)
}

fn find(specs: &'static [Spec], name: &[u8]) -> Option<&'static Spec> {
    let short = |spec: &Spec| spec.name.split_once('|').map_or(spec.name, |(_, short)| short);
    specs.iter().find(|spec| short(spec).as_bytes().eq_ignore_ascii_case(name))
}

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
            "connection", "7.2.0", "Accepted; there are no keys to touch")),
        one((Verb::ClientSetinfo, "client|setinfo", 4, PLAIN, AT_CONNECTION,
            "connection", "7.2.0", "Names this connection's client library")),
        one((Verb::ClientSetname, "client|setname", 3, PLAIN, AT_CONNECTION,
            "connection", "2.6.9", "Names this connection")),
        one((Verb::ClientTracking, "client|tracking", -3, PLAIN, AT_CONNECTION,
            "connection", "6.0.0", "Refused; there are no keys to track")),
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
    one((Verb::Discard, "discard", 1, TRANSACTION, AT_TRANSACTION,
        "transactions", "2.0.0", "Forgets the queued commands")),
    one((Verb::Echo, "echo", 2, QUICK, AT_FAST,
        "connection", "1.0.0", "Returns its argument")),
    one((Verb::Exec, "exec", 1, "noscript loading stale skip_slowlog", "@slow @transaction",
        "transactions", "1.2.0", "Runs the queued commands")),
    one((Verb::Hello, "hello", -1, LOGIN, AT_FAST,
        "connection", "6.0.0", "Chooses the protocol version")),
    one((Verb::Info, "info", -1, STALE, "@slow @dangerous",
        "server", "1.0.0", "Describes the server")),
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
    one((Verb::Select, "select", 2, QUICK, AT_FAST,
        "connection", "1.0.0", "Chooses database 0")),
    one((Verb::Subscribe, "subscribe", -2, SUBSCRIBER, AT_PUBSUB,
        "pubsub", "2.0.0", "Listens to channels")),
    one((Verb::Unsubscribe, "unsubscribe", -1, SUBSCRIBER, AT_PUBSUB,
        "pubsub", "2.0.0", "Stops listening to channels")),
    one((Verb::Unwatch, "unwatch", 1, TRANSACTION, AT_TRANSACTION,
        "transactions", "2.2.0", "Accepted; there are no keys to watch")),
    one((Verb::Watch, "watch", -2, TRANSACTION, AT_TRANSACTION,
        "transactions", "2.2.0", "Accepted; there are no keys to watch")),
];

#[cfg(test)]
mod tests {
    use super::*;

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
