//! CLIENT: names, descriptions and ends of connections.

use std::sync::Arc;

use crate::broker::client::{ByKind, Client};
use crate::broker::connection::ServerConnection;
use crate::broker::output_buffer::CloseReason;
use crate::resp::command::{Args, strict_integer};

/// Longest name of a client or of its library. Every CLIENT LIST repeats it.
const NAME_BYTES_MAX: usize = 1024;

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
        let Some(attribute) = ["lib-name", "lib-ver"].into_iter().find(|name| args.is(2, name)) else {
            return self.error_quoting("ERR Unrecognized option '", args.at(2), "'");
        };
        if let Err(text) = check_name(args.at(3), attribute) {
            return self.replies.error(text);
        }
        let mut profile = self.client.profile();
        *(if attribute == "lib-name" { &mut profile.lib_name } else { &mut profile.lib_version }) = args.at(3).to_vec();
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

    pub(super) fn client_info(&mut self) {
        let line = self.describe(&self.client);
        self.replies.text(&line);
    }

    /// `CLIENT LIST [TYPE type]`.
    pub(super) fn client_list(&mut self, args: Args<'_>) {
        let mut clients = self.state.clients();
        if args.len() == 4 && args.is(2, "type") {
            let Some(is_of_type) = client_type(args.at(3)) else {
                return self.error_quoting("ERR Unknown client type '", args.at(3), "'");
            };
            clients.retain(is_of_type);
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
        let has_addr = |client: &Client, addr: &[u8]| client.addr.to_string().as_bytes() == addr;
        if args.len() == 3 {
            let Some(client) = clients.iter().find(|client| has_addr(client, args.at(2))) else {
                return self.replies.error("ERR No such client");
            };
            self.kill(client);
            return self.replies.simple("OK");
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
                b"addr" => clients.retain(|client| has_addr(client, value)),
                b"type" => match client_type(value) {
                    Some(is_of_type) => clients.retain(is_of_type),
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
        let ByKind { channels, patterns } = profile.subscriptions;
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

/// Returns the test for a type of clients in CLIENT LIST and CLIENT KILL, if there is such a type.
fn client_type(name: &[u8]) -> Option<fn(&Arc<Client>) -> bool> {
    match name.to_ascii_lowercase().as_slice() {
        b"normal" => Some(|client| !client.is_subscriber()),
        b"pubsub" => Some(|client| client.is_subscriber()),
        // There are no masters and replicas.
        b"master" | b"replica" | b"slave" => Some(|_| false),
        _ => None,
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
