//! HELLO, AUTH, INFO, CONFIG, COMMAND: what a client may learn about the server.

use crate::broker::clients::check_name;
use crate::broker::commands;
use crate::broker::commands::{Begin, COMMANDS, KeySpec, Spec};
use crate::broker::dispatch::Session;
use crate::broker::glob;
use crate::broker::key_locks::Access;
use crate::broker::output_buffer::OutputLimits;
use crate::broker::streams::{NODE_BYTES_MAX, NODE_ENTRIES_MAX};
use crate::broker::subscriptions::{RouteTable, Routes};
use crate::resp::command::{Args, COMMAND_BYTES_MAX, strict_integer};
use crate::resp::scanner::BULK_BYTES_MAX;

/// The Redis whose behaviour is followed; clients decide by it what they may use.
const REDIS_VERSION: &str = "7.0.15";

impl Session {
    /// `HELLO [2|3 [AUTH user password] [SETNAME name]]`.
    pub(super) fn hello(&mut self, args: Args<'_>, routes: &mut RouteTable<'_>) {
        let resp3 = match args.get(1).map(strict_integer) {
            None => self.out.is_resp3(),
            Some(Some(2)) => false,
            Some(Some(3)) => true,
            Some(Some(_)) => return self.out.error("NOPROTO unsupported protocol version"),
            Some(None) => return self.out.error("ERR Protocol version is not an integer or out of range"),
        };
        let (mut login, mut name, mut index) = (None, None, 2);
        while let Some(option) = args.get(index) {
            match (args.get(index + 1), args.get(index + 2)) {
                (Some(user), Some(password)) if option.eq_ignore_ascii_case(b"auth") => {
                    login = Some((user, password));
                    index += 3;
                }
                (Some(value), _) if option.eq_ignore_ascii_case(b"setname") => {
                    if let Err(text) = check_name(value, "Client names") {
                        return self.out.error(text);
                    }
                    name = Some(value.to_vec());
                    index += 2;
                }
                _ => return self.error_quoting("ERR Syntax error in HELLO option '", option, "'"),
            }
        }
        if login.is_some_and(|(user, _)| user != b"default") {
            return self.wrong_password();
        }
        if let Some(name) = name {
            self.client.profile().name = name;
        }
        // Under the lock, so that a subscriber's messages change their form right before this reply.
        routes.write(|_| {
            if resp3 != self.out.is_resp3() {
                self.flush();
                self.client.set_resp3(resp3);
                self.out.set_resp3(resp3);
            }
            self.greet();
            if self.is_subscriber() {
                self.flush();
            }
        });
    }

    fn greet(&mut self) {
        let proto = if self.out.is_resp3() { 3 } else { 2 };
        self.out.map(7);
        self.out.bulk("server");
        self.out.bulk("redis");
        self.out.bulk("version");
        self.out.bulk(REDIS_VERSION);
        self.out.bulk("proto");
        self.out.integer(proto);
        self.out.bulk("id");
        self.out.integer(self.client.id as i64);
        self.out.bulk("mode");
        self.out.bulk("standalone");
        self.out.bulk("role");
        self.out.bulk("master");
        self.out.bulk("modules");
        self.out.array(0);
    }

    /// There is no password, so Redis's default user may log in with any, and nobody else can.
    pub(super) fn auth(&mut self, args: Args<'_>) {
        match args.len() {
            2 => self.out.error(
                "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
                 configuration is correct?",
            ),
            3 if args.at(1) == b"default" => self.out.simple("OK"),
            3 => self.wrong_password(),
            _ => self.syntax_error(),
        }
    }

    fn wrong_password(&mut self) {
        self.out.error("WRONGPASS invalid username-password pair or user is disabled.");
    }

    /// The names after INFO choose sections; none, or one of three collective names, chooses all.
    pub(super) fn info(&mut self, args: Args<'_>, access: &mut Access<'_>) {
        let all = ["all", "everything", "default"];
        let is_wanted = |section: &str| {
            args.len() == 1
                || args.iter_from(1).any(|name| {
                    name.eq_ignore_ascii_case(section.as_bytes())
                        || all.iter().any(|all| name.eq_ignore_ascii_case(all.as_bytes()))
                })
        };
        let (keys, bytes, waiting) = access.space.with(|space| (space.len(), space.bytes(), space.waiting.len()));
        let keyspace = if keys == 0 { String::new() } else { format!("db0:keys={keys},expires=0,avg_ttl=0\r\n") };
        let sections = [
            ("Server", self.info_server()),
            ("Clients", self.info_clients(waiting)),
            ("Memory", self.info_memory(bytes)),
            ("Stats", self.info_stats(&mut access.routes)),
            ("Replication", "role:master\r\nconnected_slaves:0\r\n".to_owned()),
            ("Keyspace", keyspace),
        ];
        let chosen: Vec<String> = sections
            .iter()
            .filter(|(name, _)| is_wanted(name))
            .map(|(name, fields)| format!("# {name}\r\n{fields}"))
            .collect();
        self.out.text(&chosen.join("\r\n"));
    }

    fn info_server(&self) -> String {
        let uptime = self.hub.started.elapsed().as_secs();
        let fields = [
            ("redis_version", REDIS_VERSION.to_owned()),
            ("server_name", "tickscope".to_owned()),
            ("tickscope_version", env!("CARGO_PKG_VERSION").to_owned()),
            ("redis_mode", "standalone".to_owned()),
            ("arch_bits", usize::BITS.to_string()),
            ("process_id", std::process::id().to_string()),
            ("tcp_port", self.hub.addr.port().to_string()),
            ("uptime_in_seconds", uptime.to_string()),
            ("uptime_in_days", (uptime / 86_400).to_string()),
        ];
        lines(&fields)
    }

    fn info_clients(&self, waiting: usize) -> String {
        let clients = self.hub.clients();
        let subscribers = clients.iter().filter(|client| client.is_subscriber()).count();
        let fields = [
            ("connected_clients", clients.len().to_string()),
            ("cluster_connections", "0".to_owned()),
            ("maxclients", self.hub.limits.clients_max.to_string()),
            ("blocked_clients", waiting.to_string()),
            ("pubsub_clients", subscribers.to_string()),
        ];
        lines(&fields)
    }

    /// The streams' memory, which alone is bounded by `maxmemory`.
    fn info_memory(&self, bytes: usize) -> String {
        lines(&[
            ("used_memory", bytes.to_string()),
            ("maxmemory", self.hub.limits.stream_bytes_max.to_string()),
            ("maxmemory_policy", "noeviction".to_owned()),
        ])
    }

    fn info_stats(&self, routes: &mut RouteTable<'_>) -> String {
        let stats = self.hub.stats();
        let (channels, patterns) = routes.read(Routes::counts);
        let fields = [
            ("total_connections_received", stats.connections.to_string()),
            ("total_commands_processed", self.hub.stats.commands_total().to_string()),
            ("rejected_connections", stats.refused.to_string()),
            ("pubsub_channels", channels.to_string()),
            ("pubsub_patterns", patterns.to_string()),
            ("client_output_buffer_limit_disconnections", stats.cut_off.to_string()),
            ("published_messages", stats.published.to_string()),
            ("delivered_messages", stats.delivered.to_string()),
        ];
        lines(&fields)
    }

    pub(super) fn config_get(&mut self, args: Args<'_>) {
        let is_wanted =
            |name: &str| args.iter_from(2).any(|pattern| glob::matches(&pattern.to_ascii_lowercase(), name.as_bytes()));
        let mut settings = self.settings().to_vec();
        settings.retain(|(name, _)| is_wanted(name));
        self.out.map(settings.len());
        for (name, value) in settings {
            self.out.bulk(name);
            self.out.bulk(value);
        }
    }

    /// Every setting is fixed when the broker starts.
    pub(super) fn config_set(&mut self, args: Args<'_>) {
        let name = args.at(2);
        if self.settings().iter().any(|(setting, _)| name.eq_ignore_ascii_case(setting.as_bytes())) {
            let text = "ERR CONFIG SET failed (possibly related to argument '";
            self.error_quoting(text, name, "') - can't set immutable config");
        } else {
            self.error_quoting("ERR Unknown option or number of arguments for CONFIG SET - '", name, "'");
        }
    }

    /// Those that tools such as redis-benchmark ask for, by name.
    fn settings(&self) -> [(&'static str, String); 15] {
        let OutputLimits { hard_bytes, soft_bytes, soft_time } = self.hub.limits.output();
        let output = format!("normal 0 0 0 slave 0 0 0 pubsub {hard_bytes} {soft_bytes} {}", soft_time.as_secs());
        [
            ("appendonly", "no".to_owned()),
            ("bind", self.hub.addr.ip().to_string()),
            ("client-output-buffer-limit", output),
            ("client-query-buffer-limit", COMMAND_BYTES_MAX.to_string()),
            ("databases", "1".to_owned()),
            ("maxclients", self.hub.limits.clients_max.to_string()),
            ("maxmemory", self.hub.limits.stream_bytes_max.to_string()),
            ("maxmemory-policy", "noeviction".to_owned()),
            ("port", self.hub.addr.port().to_string()),
            ("proto-max-bulk-len", BULK_BYTES_MAX.to_string()),
            ("save", String::new()),
            ("stream-node-max-bytes", NODE_BYTES_MAX.to_string()),
            ("stream-node-max-entries", NODE_ENTRIES_MAX.to_string()),
            ("tcp-keepalive", "0".to_owned()),
            ("timeout", "0".to_owned()),
        ]
    }

    pub(super) fn command_all(&mut self) {
        self.out.array(COMMANDS.len());
        for spec in COMMANDS {
            self.describe_command(spec);
        }
    }

    pub(super) fn command_info(&mut self, args: Args<'_>) {
        if args.len() == 2 {
            return self.command_all();
        }
        let names = args.iter_from(2);
        self.out.array(names.len());
        for name in names {
            match by_full_name(name) {
                Some(spec) => self.describe_command(spec),
                None => self.out.null(),
            }
        }
    }

    pub(super) fn command_docs(&mut self, args: Args<'_>) {
        let chosen: Vec<&Spec> = if args.len() == 2 {
            COMMANDS.iter().collect()
        } else {
            args.iter_from(2).filter_map(by_full_name).collect()
        };
        self.document(&chosen);
    }

    pub(super) fn command_list(&mut self, args: Args<'_>) {
        let is_filtered = args.len() == 5
            && args.at(2).eq_ignore_ascii_case(b"filterby")
            && args.at(3).eq_ignore_ascii_case(b"pattern");
        if args.len() != 2 && !is_filtered {
            return self.syntax_error();
        }
        let is_wanted = |spec: &&Spec| !is_filtered || glob::matches(args.at(4), spec.name.as_bytes());
        let names: Vec<&str> = COMMANDS.iter().filter(is_wanted).map(|spec| spec.name).collect();
        self.out.array(names.len());
        for name in names {
            self.out.bulk(name);
        }
    }

    /// HELP of a container: its subcommands with what they do.
    pub(super) fn help(&mut self, spec: &Spec) {
        let container = spec.name.split('|').next().unwrap_or_default();
        let Some(container) = commands::command(container.as_bytes()) else { return };
        self.out.array(1 + 2 * container.subcommands.len());
        let name = container.name.to_ascii_uppercase();
        self.out.simple(&format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
        for spec in container.subcommands {
            self.out.simple(&spec.name.rsplit('|').next().unwrap_or_default().to_ascii_uppercase());
            self.out.simple(&format!("    {}.", spec.summary));
        }
    }

    /// The ten elements of COMMAND INFO.
    fn describe_command(&mut self, spec: &Spec) {
        self.out.array(10);
        self.out.bulk(spec.name);
        self.out.integer(i64::from(spec.arity));
        self.words(spec.flags);
        let keys = spec.key_spec();
        keys.map_or([0; 3], |keys| keys.positions()).into_iter().for_each(|position| self.out.integer(position));
        self.words(spec.categories);
        let tips = spec.tips().split_whitespace();
        self.out.set(tips.clone().count());
        tips.for_each(|tip| self.out.bulk(tip));
        self.out.set(usize::from(keys.is_some()));
        if let Some(keys) = keys {
            self.describe_keys(&keys);
        }
        self.out.set(spec.subcommands.len());
        for spec in spec.subcommands {
            self.describe_command(spec);
        }
    }

    fn describe_keys(&mut self, keys: &KeySpec) {
        self.out.map(if keys.notes.is_some() { 4 } else { 3 });
        if let Some(notes) = keys.notes {
            self.out.bulk("notes");
            self.out.bulk(notes);
        }
        self.out.bulk("flags");
        self.words(keys.flags);
        self.out.bulk("begin_search");
        self.out.map(2);
        self.out.bulk("type");
        match keys.begin {
            Begin::Index(index) => {
                self.out.bulk("index");
                self.numbers("spec", &[("index", index)]);
            }
            Begin::Keyword(word, start) => {
                self.out.bulk("keyword");
                self.out.bulk("spec");
                self.out.map(2);
                self.out.bulk("keyword");
                self.out.bulk(word);
                self.out.bulk("startfrom");
                self.out.integer(start);
            }
        }
        self.out.bulk("find_keys");
        self.out.map(2);
        self.out.bulk("type");
        self.out.bulk("range");
        self.numbers("spec", &[("lastkey", keys.last), ("keystep", 1), ("limit", keys.limit)]);
    }

    fn numbers(&mut self, name: &str, fields: &[(&str, i64)]) {
        self.out.bulk(name);
        self.out.map(fields.len());
        for (field, value) in fields {
            self.out.bulk(field);
            self.out.integer(*value);
        }
    }

    fn words(&mut self, words: &str) {
        let words = words.split_whitespace();
        self.out.set(words.clone().count());
        words.for_each(|word| self.out.simple(word));
    }

    fn document(&mut self, specs: &[&Spec]) {
        self.out.map(specs.len());
        for spec in specs {
            self.out.bulk(spec.name);
            self.out.map(if spec.subcommands.is_empty() { 3 } else { 4 });
            for (field, value) in [("summary", spec.summary), ("since", spec.since), ("group", spec.group)] {
                self.out.bulk(field);
                self.out.bulk(value);
            }
            if !spec.subcommands.is_empty() {
                self.out.bulk("subcommands");
                self.document(&spec.subcommands.iter().collect::<Vec<_>>());
            }
        }
    }
}

/// Fields of INFO.
fn lines(fields: &[(&str, String)]) -> String {
    let lines: Vec<String> = fields.iter().map(|(name, value)| format!("{name}:{value}\r\n")).collect();
    lines.concat()
}

/// A command, or a subcommand as `client|id`.
fn by_full_name(name: &[u8]) -> Option<&'static Spec> {
    match name.iter().position(|byte| *byte == b'|') {
        None => commands::command(name),
        Some(bar) => commands::command(&name[..bar])?.subcommand(&name[bar + 1..]),
    }
}
