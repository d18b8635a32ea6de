//! CLIENT: names, descriptions and ends of connections.

use std::sync::Arc;

use crate::broker::client::Client;
use crate::broker::connection::ServerConnection;
use crate::broker::output_buffer::CloseReason;
use crate::resp::command::{Args, strict_integer};

/// Longest name of a client or of its library. Every CLIENT LIST repeats it.
const NAME_BYTES_MAX: usize = 1024;

/// Type of a client in CLIENT LIST and CLIENT KILL.
#[derive(Debug, PartialEq, Eq)]
enum ClientType {
    Normal,
    Subscriber,
    /// Masters and replicas, of which there are none.
    Replication,
}

impl ClientType {
    fn parse(name: &[u8]) -> Option<Self> {
        match name.to_ascii_lowercase().as_slice() {
            b"normal" => Some(Self::Normal),
            b"pubsub" => Some(Self::Subscriber),
            b"master" | b"replica" | b"slave" => Some(Self::Replication),
            _ => None,
        }
    }

    fn of(client: &Client) -> Self {
        if client.is_subscriber() { Self::Subscriber } else { Self::Normal }
    }
}

impl ServerConnection {
    pub(super) fn client_getname(&mut self) {
        let name = self.client.profile().name.clone();
        _ = if name.is_empty() { self.replies.null() } else { self.replies.bulk(name) };
    }

    pub(super) fn client_setname(&mut self, name: &[u8]) {
        if let Err(text) = check_name(name, "Client names") {
            return self.replies.error(text);
        }
        self.client.profile().name = name.to_vec();
        self.replies.simple("OK");
    }

    pub(super) fn client_setinfo(&mut self, args: Args<'_>) {
        let (attribute, value) = (args.at(2), args.at(3));
        let is_name = attribute.eq_ignore_ascii_case(b"lib-name");
        if !is_name && !attribute.eq_ignore_ascii_case(b"lib-ver") {
            return self.error_quoting("ERR Unrecognized option '", attribute, "'");
        }
        if let Err(text) = check_name(value, if is_name { "lib-name" } else { "lib-ver" }) {
            return self.replies.error(text);
        }
        let mut profile = self.client.profile();
        let field = if is_name { &mut profile.lib_name } else { &mut profile.lib_version };
        *field = value.to_vec();
        drop(profile);
        self.replies.simple("OK");
    }

    /// NO-EVICT and NO-TOUCH, which rueidis sends on request. They have no effect: nothing is evicted here.
    pub(super) fn client_switch(&mut self, value: &[u8]) {
        if value.eq_ignore_ascii_case(b"on") || value.eq_ignore_ascii_case(b"off") {
            self.replies.simple("OK");
        } else {
            self.syntax_error();
        }
    }

    pub(super) fn client_id(&mut self) {
        self.replies.integer(self.client.id as i64);
    }

    /// Key tracking is refused. rueidis sends this command unless its cache is disabled, and reports the error.
    pub(super) fn client_tracking(&mut self) {
        self.replies.error("ERR client tracking is not supported by this server");
    }

    pub(super) fn client_info(&mut self) {
        let line = self.describe(&self.client);
        self.replies.text(&line);
    }

    /// `CLIENT LIST [TYPE type]`.
    pub(super) fn client_list(&mut self, args: Args<'_>) {
        let mut clients = self.state.clients();
        if args.len() == 4 && args.at(2).eq_ignore_ascii_case(b"type") {
            let Some(kind) = ClientType::parse(args.at(3)) else {
                return self.error_quoting("ERR Unknown client type '", args.at(3), "'");
            };
            clients.retain(|client| ClientType::of(client) == kind);
        } else if args.len() != 2 {
            return self.syntax_error();
        }
        let lines: String = clients.iter().map(|client| self.describe(client)).collect();
        self.replies.text(&lines);
    }

    /// `CLIENT KILL addr:port`, and the form with the filters ID, ADDR, TYPE and SKIPME, which returns a count.
    pub(super) fn client_kill(&mut self, args: Args<'_>) {
        let own_id = self.client.id;
        let mut clients = self.state.clients();
        if args.len() == 3 {
            clients.retain(|client| client.addr.to_string().as_bytes() == args.at(2));
            match clients.first() {
                Some(client) => {
                    self.kill(client);
                    self.replies.simple("OK");
                }
                None => self.replies.error("ERR No such client"),
            }
            return;
        }
        if !args.len().is_multiple_of(2) {
            return self.syntax_error();
        }
        let mut skips_self = true;
        for index in (2..args.len()).step_by(2) {
            let value = args.at(index + 1);
            match args.at(index).to_ascii_lowercase().as_slice() {
                b"id" => match strict_integer(value) {
                    Some(id @ 1..) => clients.retain(|client| client.id == id as u64),
                    _ => return self.replies.error("ERR client-id should be greater than 0"),
                },
                b"addr" => clients.retain(|client| client.addr.to_string().as_bytes() == value),
                b"type" => match ClientType::parse(value) {
                    Some(kind) => clients.retain(|client| ClientType::of(client) == kind),
                    None => return self.error_quoting("ERR Unknown client type '", value, "'"),
                },
                b"skipme" if value.eq_ignore_ascii_case(b"yes") => skips_self = true,
                b"skipme" if value.eq_ignore_ascii_case(b"no") => skips_self = false,
                _ => return self.syntax_error(),
            }
        }
        clients.retain(|client| !(skips_self && client.id == own_id));
        for client in &clients {
            self.kill(client);
        }
        self.replies.integer(clients.len() as i64);
    }

    /// Closes a client. As in Redis, a client that kills itself still gets its reply.
    fn kill(&mut self, client: &Arc<Client>) {
        if client.id == self.client.id { self.is_closing = true } else { client.output.close(CloseReason::Killed) }
    }

    /// Returns a line of CLIENT LIST: the fields of Redis 7.0 that apply here, and the library's name from 7.2.
    fn describe(&self, client: &Client) -> String {
        let mut profile = client.profile().clone();
        if client.id == self.client.id {
            profile.last_command = self.last_command;
            profile.last_active = tokio::time::Instant::now();
        }
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let (channels, patterns) = client.subscriptions();
        let (queued_bytes, queued_pieces) = client.output.queued();
        let multi = profile.queued_commands.map_or(-1, |queued| queued as i64);
        let flags: String = [('P', client.is_subscriber()), ('x', multi >= 0), ('b', client.is_blocked())]
            .into_iter()
            .filter_map(|(flag, is_set)| is_set.then_some(flag))
            .collect();
        format!(
            "id={} addr={} laddr={} fd=0 name={} age={} idle={} flags={} db=0 sub={channels} psub={patterns} ssub=0 \
             multi={multi} oll={queued_pieces} omem={queued_bytes} tot-mem={queued_bytes} events=r cmd={} \
             user=default redir=-1 resp={} lib-name={} lib-ver={}\n",
            client.id,
            client.addr,
            self.state.addr,
            text(&profile.name),
            client.connected.elapsed().as_secs(),
            profile.last_active.elapsed().as_secs(),
            if flags.is_empty() { "N" } else { &flags },
            profile.last_command,
            if client.is_resp3() { 3 } else { 2 },
            text(&profile.lib_name),
            text(&profile.lib_version),
        )
    }
}

/// Checks that a name fits into a line of CLIENT LIST. An error is the text of the reply.
pub(super) fn check_name(name: &[u8], what: &str) -> Result<(), String> {
    if !name.iter().all(u8::is_ascii_graphic) {
        return Err(format!("ERR {what} cannot contain spaces, newlines or special characters."));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("ERR {what} cannot be longer than {NAME_BYTES_MAX} bytes."));
    }
    Ok(())
}
