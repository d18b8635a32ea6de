//! Discovery of the server to connect to, before each attempt.
//!
//! A single server needs none. Sentinels are asked for the master. The nodes of a cluster are asked for the owner of
//! the key's hash slot, unless one of them has just sent a redirection.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use redis::{Cmd, Value, from_redis_value, from_redis_value_ref};

use crate::client::connection::Connection;
use crate::client::error::{ClientError, SessionError, SessionResult, is_unknown};
use crate::client::redirect::{Redirect, hash_slot};
use crate::client::{Endpoint, Target};

/// Name of the connections used for discovery, in `CLIENT LIST`.
const CLIENT_NAME: &str = "tickscope-locator";

/// Most nodes of a cluster that are remembered; the specification advises to stay below a thousand nodes.
const NODES_MAX: usize = 1_024;

/// Most redirections followed in a row before the cluster is asked again: its nodes may disagree for a while.
const REDIRECTS_MAX: u32 = 5;

/// Finds and connects to the server of one key.
pub(super) struct Discovery {
    target: Target,
    /// Hash slot of the key, in a cluster.
    hash_slot: u16,
    /// Redirection to follow next.
    redirect: Option<Redirect>,
    /// Redirections followed in a row.
    redirects: u32,
    /// Server found last.
    endpoint: Endpoint,
    /// Sentinels or cluster nodes from the command line, and the nodes learned last.
    nodes: Vec<Endpoint>,
    /// Index of the node to ask next. Clients start at different nodes, so that the first one is not overloaded.
    next_node: usize,
    /// A server was probed for TLS, or has replied.
    tls_probed: bool,
}

impl Discovery {
    /// Creates the discovery for the server of `key`, which matters in a cluster only.
    pub(super) fn new(target: &Target, key: &[u8], rng: &mut ChaCha8Rng) -> Self {
        let nodes = target.nodes();
        Self {
            target: target.clone(),
            hash_slot: hash_slot(key),
            redirect: None,
            redirects: 0,
            endpoint: target.endpoint(),
            next_node: rng.random_range(0..nodes.len().max(1)),
            nodes: nodes.to_vec(),
            tls_probed: false,
        }
    }

    /// Finds the server and connects to it. `name` is shown in `CLIENT LIST`.
    pub(super) async fn connect(&mut self, name: &str) -> SessionResult<Connection> {
        let asking = self.find().await?;
        let mut connection = Connection::open(&self.endpoint, name, &mut self.tls_probed).await?;
        connection.asking = asking;
        if matches!(self.target, Target::Sentinel(_)) {
            let role: Option<String> = connection.info(Some("replication")).await?.get("role");
            if role.as_deref() == Some("slave") {
                // The sentinels named it as the master.
                return Err(SessionError::Transient(format!("{} is no longer the master", self.endpoint)));
            }
        }
        Ok(connection)
    }

    /// Server found last.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Accepts a redirection. Returns false after too many in a row; the cluster is then queried again.
    pub(super) fn follow(&mut self, redirect: Redirect) -> bool {
        self.redirects += 1;
        if self.redirects > REDIRECTS_MAX {
            self.redirects = 0;
            return false;
        }
        self.redirect = Some(redirect);
        true
    }

    /// Records that the server is the right one.
    pub(super) fn confirm(&mut self) {
        self.redirects = 0;
    }

    /// Stops the local server if this process runs it.
    pub(super) async fn shutdown(&self) {
        if let Target::Local { server, .. } = &self.target {
            server.shutdown().await;
        }
    }

    /// Sets the endpoint. Returns true if each command there must be preceded by `ASKING`.
    async fn find(&mut self) -> SessionResult<bool> {
        if let Some(Redirect { host, port, asking }) = self.redirect.take() {
            let same_host = self.endpoint.address().map_or("", |(host, _)| host);
            self.endpoint = self.endpoint.at(if host.is_empty() { same_host } else { &host }, port);
            return Ok(asking);
        }
        match self.target.clone() {
            Target::Server(_) => {}
            Target::Local { server, .. } => {
                server.ensure().await.map_err(|error| SessionError::Fatal(ClientError::Local(error)))?;
            }
            Target::Cluster(_) => {
                let hash_slot = self.hash_slot;
                let owner = |reply, node: &Endpoint| slot_owner(reply, hash_slot, node);
                self.endpoint = self.ask_nodes(redis::cmd("CLUSTER").arg("SLOTS"), owner).await?;
            }
            Target::Sentinel(sentinel) => {
                let command = redis::cmd("SENTINEL").arg("get-master-addr-by-name").arg(&sentinel.service).take();
                let master = |reply, _: &Endpoint| {
                    let (host, port): (String, u16) = from_redis_value(reply).ok()?;
                    Some((sentinel.master.at(&host, port), Vec::new()))
                };
                self.endpoint = self.ask_nodes(&command, master).await?;
            }
        }
        Ok(false)
    }

    /// Asks one node after the other until `read` finds a server in the reply. `read` also returns the nodes to
    /// remember.
    async fn ask_nodes(
        &mut self,
        command: &Cmd,
        read: impl Fn(Value, &Endpoint) -> Option<(Endpoint, Vec<Endpoint>)>,
    ) -> SessionResult<Endpoint> {
        let mut last = None;
        for _ in 0..self.nodes.len() {
            let node = self.nodes[self.next_node % self.nodes.len()].clone();
            self.next_node = self.next_node.wrapping_add(1);
            let asked = async {
                let mut connection = Connection::open(&node, CLIENT_NAME, &mut self.tls_probed).await?;
                connection.query(command).await
            };
            match asked.await.and_then(|reply| read(reply, &node).ok_or_else(|| self.unknown(&node))) {
                Ok((found, nodes)) => {
                    self.learn(nodes);
                    return Ok(found);
                }
                Err(error) if is_same_on_all_nodes(&error) => return Err(error),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| SessionError::Transient(format!("{} cannot be reached", self.target))))
    }

    fn unknown(&self, node: &Endpoint) -> SessionError {
        SessionError::Transient(match &self.target {
            Target::Sentinel(sentinel) => {
                let service = crate::model::display_safe(&sentinel.service);
                format!("the sentinel at {node} does not know a master named {service}")
            }
            _ => format!("the cluster node at {node} does not know the owner of hash slot {}", self.hash_slot),
        })
    }

    /// Remembers nodes to ask when those from the command line are gone.
    fn learn(&mut self, nodes: Vec<Endpoint>) {
        if nodes.is_empty() {
            return;
        }
        // Nodes learned before may have left the cluster.
        self.nodes = self.target.nodes().to_vec();
        for node in nodes {
            if self.nodes.len() < NODES_MAX && !self.nodes.iter().any(|known| known.address() == node.address()) {
                self.nodes.push(node);
            }
        }
    }
}

/// Returns true if every node gives the same answer, as for a wrong password. The answer of a node that is not a
/// sentinel does not apply to the others.
fn is_same_on_all_nodes(error: &SessionError) -> bool {
    matches!(error, SessionError::Fatal(ClientError::Refused { reply, .. }) if !is_unknown(reply, "SENTINEL"))
}

/// Reads a reply to `CLUSTER SLOTS`: ranges of hash slots with their nodes, the owner first. Returns the owner of
/// `hash_slot` and all nodes.
fn slot_owner(reply: Value, hash_slot: u16, node: &Endpoint) -> Option<(Endpoint, Vec<Endpoint>)> {
    let ranges: Vec<Vec<Value>> = from_redis_value(reply).ok()?;
    let (mut owner, mut nodes) = (None, Vec::new());
    for range in ranges {
        let [first, last, servers @ ..] = &range[..] else { continue };
        let bounds = (from_redis_value_ref(first), from_redis_value_ref(last));
        let has_slot = matches!(bounds, (Ok(first), Ok(last)) if (first..=last).contains(&hash_slot));
        for (at, server) in servers.iter().enumerate() {
            let Ok(server) = from_redis_value_ref::<Vec<Value>>(server) else { continue };
            let [host, port, ..] = &server[..] else { continue };
            let Ok(port) = from_redis_value_ref(port) else { continue };
            // A node that does not know its own address omits it.
            let host = from_redis_value_ref::<String>(host).unwrap_or_default();
            let host = if host.is_empty() || host == "?" { node.address()?.0 } else { &host };
            let server = node.at(host, port);
            if at == 0 && has_slot {
                owner = Some(server.clone());
            }
            if nodes.len() < NODES_MAX {
                nodes.push(server);
            }
        }
    }
    Some((owner?, nodes))
}
