//! HELLO, AUTH, INFO, COMMAND and the other commands about the server and the connection.

use std::sync::atomic::Ordering;

use crate::broker::client_commands::check_name;
use crate::broker::commands::{self, COMMANDS};
use crate::broker::connection::{Command, ServerConnection, arity_error};
use crate::broker::streams::Keyspace;
use crate::broker::subscriptions::Subscriptions;
use crate::resp::command::{Args, strict_integer};

/// Version of Redis whose behaviour the broker follows. Clients choose the commands that they use by it.
const REDIS_VERSION: &str = "7.0.15";

const US_PER_S: i64 = 1_000_000;

impl ServerConnection {
    /// `HELLO [2|3 [AUTH user password] [SETNAME name]]`. Runs under the write lock, so that a subscriber's messages
    /// change their form right before this reply.
    pub(super) fn hello(&mut self, args: Args<'_>) {
        let resp3 = match args.get(1).map(strict_integer) {
            None => self.replies.is_resp3(),
            Some(Some(2)) => false,
            Some(Some(3)) => true,
            Some(Some(_)) => return self.replies.error("NOPROTO unsupported protocol version"),
            Some(None) => return self.replies.error("ERR Protocol version is not an integer or out of range"),
        };
        let (mut login, mut name, mut options) = (None, None, args.options(2));
        while !options.is_empty() {
            if options.take("auth", 2) {
                (login, _) = (Some(options.value()), options.value());
            } else if options.take("setname", 1) {
                let value = options.value();
                if let Err(text) = check_name(value, "Client names") {
                    return self.replies.error(text);
                }
                name = Some(value);
            } else {
                return self.error_quoting("ERR Syntax error in HELLO option '", options.value(), "'");
            }
        }
        if login.is_some_and(|user| user != b"default") {
            return self.wrong_password();
        }
        if let Some(name) = name {
            self.client.profile().name = name.to_vec();
        }
        if resp3 != self.replies.is_resp3() {
            self.flush();
            self.client.set_resp3(resp3);
            self.replies.set_resp3(resp3);
        }
        self.greet(resp3);
        if self.is_subscriber() {
            self.flush();
        }
    }

    fn greet(&mut self, resp3: bool) {
        let replies = self.replies.map(7).bulk("server").bulk("redis").bulk("version").bulk(REDIS_VERSION);
        replies.bulk("proto").integer(if resp3 { 3 } else { 2 }).bulk("id").integer(self.client.id as i64);
        replies.bulk("mode").bulk("standalone").bulk("role").bulk("master").bulk("modules").array(0);
    }

    /// There is no password: Redis's default user may log in with any, and no other user exists.
    pub(super) fn auth(&mut self, args: Args<'_>) {
        match args.len() {
            2 => self.replies.error(
                "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
                 configuration is correct?",
            ),
            3 if args.at(1) == b"default" => self.replies.simple("OK"),
            3 => self.wrong_password(),
            _ => self.syntax_error(),
        }
    }

    fn wrong_password(&mut self) {
        self.replies.error("WRONGPASS invalid username-password pair or user is disabled.");
    }

    pub(super) fn ping(&mut self, args: Args<'_>) {
        if args.len() > 2 {
            return self.replies.error(arity_error("ping"));
        }
        if self.is_subscriber() && !self.replies.is_resp3() {
            self.replies.array(2).bulk("pong").bulk(args.at(1));
        } else if let Some(text) = args.get(1) {
            self.replies.bulk(text);
        } else {
            self.replies.simple("PONG");
        }
    }

    pub(super) fn select(&mut self, index: &[u8]) {
        match strict_integer(index).map(i32::try_from) {
            Some(Ok(0)) => self.replies.simple("OK"),
            Some(Ok(_)) => self.replies.error("ERR DB index is out of range"),
            _ => self.replies.error("ERR value is not an integer or out of range"),
        }
    }

    pub(super) fn time(&mut self) {
        let now_us = self.state.clock.now_us();
        self.replies.bulks(&[now_us / US_PER_S, now_us % US_PER_S].map(|number| number.to_string()));
    }

    pub(super) fn quit(&mut self) {
        self.replies.simple("OK");
        self.is_closing = true;
    }

    pub(super) fn reset(&mut self, subscriptions: &mut Subscriptions) {
        self.transaction = None;
        self.unsubscribe_all(subscriptions);
        self.replies.set_resp3(false);
        self.client.set_resp3(false);
        self.client.profile().name.clear();
        self.replies.simple("RESET");
    }

    /// `INFO [section ...]`. No section, `default`, `all` and `everything` stand for all sections. ioredis waits for a
    /// reply without `loading:1`.
    pub(super) fn info(&mut self, args: Args<'_>, subscriptions: &Subscriptions, keyspace: &Keyspace) {
        let (clients, stats, limits) = (self.state.clients(), self.state.stats(), self.state.limits);
        let subscribers = clients.iter().filter(|client| client.is_subscriber()).count();
        let uptime_s = self.state.started.elapsed().as_secs();
        let sections = [
            format!(
                "# Server\r\nredis_version:{REDIS_VERSION}\r\nserver_name:tickscope\r\ntickscope_version:{}\r\n\
                 redis_mode:standalone\r\narch_bits:{}\r\nprocess_id:{}\r\ntcp_port:{}\r\nuptime_in_seconds:{uptime_s}\
                 \r\nuptime_in_days:{}\r\n",
                env!("CARGO_PKG_VERSION"),
                usize::BITS,
                std::process::id(),
                self.state.addr.port(),
                uptime_s / 86_400,
            ),
            format!(
                "# Clients\r\nconnected_clients:{}\r\ncluster_connections:0\r\nmaxclients:{}\r\nblocked_clients:{}\r\n\
                 pubsub_clients:{subscribers}\r\n",
                clients.len(),
                limits.clients_max,
                keyspace.blocked.len(),
            ),
            format!(
                "# Memory\r\nused_memory:{}\r\nmaxmemory:{}\r\nmaxmemory_policy:noeviction\r\n",
                keyspace.bytes, limits.stream_bytes_max,
            ),
            format!(
                "# Stats\r\ntotal_connections_received:{}\r\ntotal_commands_processed:{}\r\nrejected_connections:{}\r\n\
                 pubsub_channels:{}\r\npubsub_patterns:{}\r\nclient_output_buffer_limit_disconnections:{}\r\n\
                 published_messages:{}\r\ndelivered_messages:{}\r\n",
                stats.connections,
                self.state.commands.load(Ordering::Relaxed),
                stats.refused,
                subscriptions.channels.len(),
                subscriptions.patterns.len(),
                stats.slow_consumers,
                stats.published,
                stats.delivered,
            ),
            "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n".to_owned(),
            match keyspace.len() {
                0 => "# Keyspace\r\n".to_owned(),
                keys => format!("# Keyspace\r\ndb0:keys={keys},expires=0,avg_ttl=0\r\n"),
            },
        ];
        let is_chosen = |section: &&String| {
            let title = section.lines().next().unwrap_or_default().trim_start_matches("# ");
            let is_named = |index| [title, "all", "everything", "default"].iter().any(|word| args.is(index, word));
            args.len() == 1 || (1..args.len()).any(is_named)
        };
        let chosen: Vec<&str> = sections.iter().filter(is_chosen).map(String::as_str).collect();
        self.replies.text(&chosen.join("\r\n"));
    }

    /// COMMAND and COMMAND INFO. Each command has the seven elements of Redis 6, of which the last, its access
    /// categories, is empty. Without COMMAND DOCS, redis-cli uses its own help texts.
    pub(super) fn command_info(&mut self, args: Args<'_>) {
        if args.len() <= 2 {
            self.replies.array(COMMANDS.len());
            return COMMANDS.iter().for_each(|command| self.describe_command(command));
        }
        let names = args.iter_from(2);
        self.replies.array(names.len());
        for name in names {
            match commands::find(COMMANDS, name) {
                Some(command) => self.describe_command(command),
                None => _ = self.replies.null(),
            }
        }
    }

    fn describe_command(&mut self, command: &Command) {
        let flags = command.flags.split_whitespace();
        self.replies.array(7).bulk(command.name).integer(i64::from(command.arity)).set(flags.clone().count());
        flags.for_each(|flag| self.replies.simple(flag));
        command.keys.iter().for_each(|position| _ = self.replies.integer(*position));
        self.replies.set(0);
    }
}
