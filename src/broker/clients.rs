//! CLIENT: what a connection may learn and set about itself and the others.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::broker::client::Client;
use crate::broker::dispatch::Session;
use crate::broker::key_locks::Space;
use crate::broker::output_buffer::End;
use crate::resp::command::{Args, strict_integer};

/// Longest name of a client or of its library. Every CLIENT LIST repeats it.
const NAME_BYTES_MAX: usize = 1024;

/// Which clients CLIENT KILL means.
#[derive(Debug, Default)]
struct Filter {
    id: Option<u64>,
    addr: Option<Vec<u8>>,
    laddr: Option<Vec<u8>>,
    user: Option<Vec<u8>>,
    kind: Option<ClientType>,
    skips_self: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClientType {
    Normal,
    Pubsub,
    /// Masters and replicas, of which there are none.
    Replication,
}

impl ClientType {
    fn parse(name: &[u8]) -> Option<Self> {
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        if is("normal") {
            Some(Self::Normal)
        } else if is("pubsub") {
            Some(Self::Pubsub)
        } else if is("master") || is("replica") || is("slave") {
            Some(Self::Replication)
        } else {
            None
        }
    }

    fn of(client: &Client) -> Self {
        if client.is_subscriber() { Self::Pubsub } else { Self::Normal }
    }
}

impl Session {
    pub(super) fn client_getname(&mut self) {
        let name = self.client.profile().name.clone();
        if name.is_empty() { self.out.null() } else { self.out.bulk(name) }
    }

    pub(super) fn client_setname(&mut self, name: &[u8]) {
        if let Err(text) = check_name(name, "Client names") {
            return self.out.error(text);
        }
        self.client.profile().name = name.to_vec();
        self.out.simple("OK");
    }

    pub(super) fn client_setinfo(&mut self, attribute: &[u8], value: &[u8]) {
        let is_name = attribute.eq_ignore_ascii_case(b"lib-name");
        if !is_name && !attribute.eq_ignore_ascii_case(b"lib-ver") {
            return self.error_quoting("ERR Unrecognized option '", attribute, "'");
        }
        if let Err(text) = check_name(value, if is_name { "lib-name" } else { "lib-ver" }) {
            return self.out.error(text);
        }
        let mut profile = self.client.profile();
        let field = if is_name { &mut profile.lib_name } else { &mut profile.lib_version };
        *field = value.to_vec();
        drop(profile);
        self.out.simple("OK");
    }

    /// NO-EVICT and NO-TOUCH: nothing is ever evicted here, so either answer is kept.
    pub(super) fn client_switch(&mut self, value: &[u8]) {
        if value.eq_ignore_ascii_case(b"on") || value.eq_ignore_ascii_case(b"off") {
            self.out.simple("OK");
        } else {
            self.syntax_error();
        }
    }

    pub(super) fn client_info(&mut self) {
        self.refresh_profile("client|info");
        let line = self.describe(&self.client);
        self.out.text(&line);
    }

    pub(super) fn client_list(&mut self, args: Args<'_>) {
        self.refresh_profile("client|list");
        let mut clients = self.hub.clients();
        let option = args.at(2);
        if args.len() == 4 && option.eq_ignore_ascii_case(b"type") {
            let Some(kind) = ClientType::parse(args.at(3)) else {
                return self.error_quoting("ERR Unknown client type '", args.at(3), "'");
            };
            clients.retain(|client| ClientType::of(client) == kind);
        } else if args.len() > 3 && option.eq_ignore_ascii_case(b"id") {
            let ids: Option<BTreeSet<i64>> = args.iter_from(3).map(strict_integer).collect();
            let Some(ids) = ids else { return self.out.error("ERR Invalid client ID") };
            clients.retain(|client| ids.contains(&(client.id as i64)));
        } else if args.len() != 2 {
            return self.syntax_error();
        }
        let lines: String = clients.iter().map(|client| self.describe(client)).collect();
        self.out.text(&lines);
    }

    /// Both forms: `CLIENT KILL addr:port`, and the one with filters, which answers how many it closed.
    pub(super) fn client_kill(&mut self, args: Args<'_>) {
        let is_old_form = args.len() == 3;
        let filter = if is_old_form {
            Filter { addr: Some(args.at(2).to_vec()), ..Filter::default() }
        } else {
            match Filter::parse(args) {
                Ok(filter) => filter,
                Err(text) => return self.out.error(text),
            }
        };
        let mut meant = self.hub.clients();
        meant.retain(|client| self.is_meant(&filter, client));
        for client in &meant {
            self.kill(client);
        }
        match (is_old_form, meant.len()) {
            (true, 0) => self.out.error("ERR No such client"),
            (true, _) => self.out.simple("OK"),
            (false, count) => self.out.integer(count as i64),
        }
    }

    /// `CLIENT UNBLOCK id [TIMEOUT|ERROR]`.
    pub(super) fn client_unblock(&mut self, args: Args<'_>, space: &mut Space<'_>) {
        if args.len() > 4 {
            let text = "ERR unknown subcommand or wrong number of arguments for '";
            return self.error_quoting(text, args.at(1), "'. Try CLIENT HELP.");
        }
        let is_error = match args.get(3) {
            None => false,
            Some(reason) if reason.eq_ignore_ascii_case(b"timeout") => false,
            Some(reason) if reason.eq_ignore_ascii_case(b"error") => true,
            Some(_) => return self.out.error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"),
        };
        let Some(id) = strict_integer(args.at(2)) else {
            return self.out.error("ERR value is not an integer or out of range");
        };
        let client = self.hub.clients().into_iter().find(|client| client.id as i64 == id);
        let was_waiting = client.is_some_and(|client| {
            space.with(|space| {
                space.waiting.release(&client, |out| {
                    if is_error { out.error("UNBLOCKED client unblocked via CLIENT UNBLOCK") } else { out.null_array() }
                })
            })
        });
        self.out.integer(i64::from(was_waiting));
    }

    fn is_meant(&self, filter: &Filter, client: &Client) -> bool {
        let is =
            |wanted: &Option<Vec<u8>>, value: &str| wanted.as_ref().is_none_or(|wanted| wanted == value.as_bytes());
        filter.id.is_none_or(|id| id == client.id)
            && is(&filter.addr, &client.addr.to_string())
            && is(&filter.laddr, &self.hub.addr.to_string())
            && is(&filter.user, "default")
            && filter.kind.is_none_or(|kind| kind == ClientType::of(client))
            && !(filter.skips_self && client.id == self.client.id)
    }

    /// A client that kills itself still gets its reply, as in Redis.
    fn kill(&mut self, client: &Arc<Client>) {
        if client.id == self.client.id { self.close_after_replies() } else { client.outbox.end(End::Killed) }
    }

    fn refresh_profile(&self, command: &'static str) {
        let mut profile = self.client.profile();
        profile.command = command;
        profile.active = tokio::time::Instant::now();
    }

    /// A line of CLIENT LIST: the fields of Redis 7.0 that mean something here, and the library's name from 7.2.
    fn describe(&self, client: &Client) -> String {
        let shown = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let profile = client.profile().clone();
        let (channels, patterns) = client.subscriptions();
        let (queued_bytes, queued_pieces) = client.outbox.queued();
        let multi = profile.queued_commands.map_or(-1, |queued| queued as i64);
        let flags: String = [('P', client.is_subscriber()), ('x', multi >= 0), ('b', client.is_waiting())]
            .into_iter()
            .filter_map(|(flag, is_set)| is_set.then_some(flag))
            .collect();
        let fields = [
            ("id", client.id.to_string()),
            ("addr", client.addr.to_string()),
            ("laddr", self.hub.addr.to_string()),
            ("fd", "0".to_owned()),
            ("name", shown(&profile.name)),
            ("age", client.connected.elapsed().as_secs().to_string()),
            ("idle", profile.active.elapsed().as_secs().to_string()),
            ("flags", if flags.is_empty() { "N".to_owned() } else { flags }),
            ("db", "0".to_owned()),
            ("sub", channels.to_string()),
            ("psub", patterns.to_string()),
            ("ssub", "0".to_owned()),
            ("multi", multi.to_string()),
            ("oll", queued_pieces.to_string()),
            ("omem", queued_bytes.to_string()),
            ("tot-mem", queued_bytes.to_string()),
            ("events", "r".to_owned()),
            ("cmd", profile.command.to_owned()),
            ("user", "default".to_owned()),
            ("redir", "-1".to_owned()),
            ("resp", if client.is_resp3() { "3" } else { "2" }.to_owned()),
            ("lib-name", shown(&profile.lib_name)),
            ("lib-ver", shown(&profile.lib_version)),
        ];
        let fields = fields.map(|(name, value)| format!("{name}={value}"));
        fields.join(" ") + "\n"
    }
}

impl Filter {
    fn parse(args: Args<'_>) -> Result<Self, Vec<u8>> {
        let mut filter = Self { skips_self: true, ..Self::default() };
        if !args.len().is_multiple_of(2) {
            return Err(b"ERR syntax error".to_vec());
        }
        for index in (2..args.len()).step_by(2) {
            let value = args.at(index + 1);
            match args.at(index).to_ascii_lowercase().as_slice() {
                b"id" => match strict_integer(value) {
                    Some(id @ 1..) => filter.id = Some(id as u64),
                    _ => return Err(b"ERR client-id should be greater than 0".to_vec()),
                },
                b"addr" => filter.addr = Some(value.to_vec()),
                b"laddr" => filter.laddr = Some(value.to_vec()),
                b"user" if value == b"default" => filter.user = Some(value.to_vec()),
                b"user" => return Err([b"ERR No such user '", value, b"'"].concat()),
                b"type" => match ClientType::parse(value) {
                    Some(kind) => filter.kind = Some(kind),
                    None => return Err([b"ERR Unknown client type '", value, b"'"].concat()),
                },
                b"skipme" if value.eq_ignore_ascii_case(b"yes") => filter.skips_self = true,
                b"skipme" if value.eq_ignore_ascii_case(b"no") => filter.skips_self = false,
                _ => return Err(b"ERR syntax error".to_vec()),
            }
        }
        Ok(filter)
    }
}

/// Whether a name may stand in a line of CLIENT LIST.
pub(super) fn check_name(name: &[u8], what: &str) -> Result<(), String> {
    if !name.iter().all(u8::is_ascii_graphic) {
        return Err(format!("ERR {what} cannot contain spaces, newlines or special characters."));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("ERR {what} cannot be longer than {NAME_BYTES_MAX} bytes."));
    }
    Ok(())
}
