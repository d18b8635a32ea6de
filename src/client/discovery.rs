//! Finds the server that is to be talked to, before each attempt to connect.
//!
//! With one server there is nothing to find. Sentinels are asked for the master; the nodes of a cluster are asked who
//! serves a key's slot, unless one of them has just said so by itself.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tracing::debug;

use crate::broker::LocalRedis;
use crate::client::connection::{ANSWER_TIMEOUT, Dialogue};
use crate::client::error::Cause;
use crate::client::error_advice::is_unknown;
use crate::client::redirect::{Redirect, slot};
use crate::client::target::Sentinel;
use crate::client::{ClientError, Endpoint, Target};
use crate::resp::value::Value;

/// Name of the connections that only ask where to go, in `CLIENT LIST`.
const CLIENT_NAME: &str = "tickscope-locator";

/// Nodes of a cluster that are remembered as places to ask; the specification advises to stay below a thousand nodes.
const NODES_MAX: usize = 1_024;

/// Redirections that are followed in a row before the cluster is asked as a whole: it may be in two minds.
const HOPS_MAX: u32 = 5;

/// A wrong password is, and no node can mend it; that one address is no sentinel's says nothing about the others.
fn is_the_same_everywhere(cause: &Cause) -> bool {
    matches!(cause, Cause::Lasting(ClientError::Refused { reply, .. }) if !is_unknown(reply, "SENTINEL"))
}

/// Knows the way to the server of one key.
pub(super) struct Locator {
    target: Target,
    local: Option<LocalRedis>,
    /// In a cluster.
    slot: Option<u16>,
    /// Where the last redirection pointed to.
    hint: Option<Redirect>,
    hops: u32,
    /// The server that was found last.
    found: Endpoint,
    /// The last one was found by an `ASK`.
    asking: bool,
    /// The nodes that were named.
    seeds: Vec<Endpoint>,
    /// These, and those that were heard of last, to be asked in turns.
    nodes: Vec<Endpoint>,
    /// Clients ask in different orders, so that not all of them turn to the first node at once.
    turn: usize,
    asked_for_tls: bool,
}

impl Locator {
    /// For the server of `key`, in a cluster; elsewhere all keys are in one place.
    pub(super) fn new(target: &Target, key: &[u8], rng: &mut ChaCha8Rng) -> Self {
        let local = match target {
            Target::Local { port } => Some(LocalRedis::new(*port)),
            _ => None,
        };
        let nodes = match target {
            Target::Cluster(nodes) => nodes.clone(),
            Target::Sentinel(sentinel) => sentinel.sentinels.clone(),
            Target::Given(_) | Target::Local { .. } => Vec::new(),
        };
        Self {
            target: target.clone(),
            local,
            slot: target.is_cluster().then(|| slot(key)),
            hint: None,
            hops: 0,
            found: target.endpoint(),
            asking: false,
            turn: rng.random_range(0..nodes.len().max(1)),
            seeds: nodes.clone(),
            nodes,
            asked_for_tls: false,
        }
    }

    /// The server to connect to now.
    pub(super) async fn locate(&mut self) -> Result<Endpoint, Cause> {
        if let Some(local) = &mut self.local {
            let role = local.ensure_served().await.map_err(|error| Cause::Lasting(error.into()))?;
            debug!(?role, "local server");
        }
        self.asking = false;
        if let Some(Redirect { host, port, asking }) = self.hint.take() {
            let host =
                if host.is_empty() { self.found.address().map_or("", |(host, _)| host).to_owned() } else { host };
            (self.found, self.asking) = (self.found.at(&host, port), asking);
            return Ok(self.found.clone());
        }
        let found = match &self.target {
            Target::Given(_) | Target::Local { .. } => return Ok(self.found.clone()),
            Target::Cluster(_) => self.ask_cluster().await,
            Target::Sentinel(sentinel) => {
                let sentinel = sentinel.clone();
                self.ask_sentinels(&sentinel).await
            }
        }?;
        self.found = found;
        Ok(self.found.clone())
    }

    /// The server that was found last, to be named in messages.
    pub(super) fn found(&self) -> &Endpoint {
        &self.found
    }

    /// Whether a server that only repeats what a master says is not the one that was meant.
    pub(super) fn wants_master(&self) -> bool {
        matches!(self.target, Target::Sentinel(_))
    }

    /// Whether each command there has to be announced with `ASKING`.
    pub(super) fn is_asking(&self) -> bool {
        self.asking
    }

    /// A server has sent us elsewhere: whether to go there at once.
    pub(super) fn redirect(&mut self, to: Redirect) -> bool {
        self.hops += 1;
        if self.hops > HOPS_MAX {
            self.hops = 0;
            return false;
        }
        self.hint = Some(to);
        true
    }

    /// The server has proved to be the right one.
    pub(super) fn confirm(&mut self) {
        self.hops = 0;
    }

    /// Ends the broker, if it is ours.
    pub(super) async fn end(self) {
        if let Some(local) = self.local {
            local.shutdown().await;
        }
    }

    /// Asks one node after the other who serves the slot.
    async fn ask_cluster(&mut self) -> Result<Endpoint, Cause> {
        let slot = self.slot.unwrap_or_default();
        let question = redis::cmd("CLUSTER").arg("SLOTS").get_packed_command();
        self.ask_in_turns(&question, |answer, node| {
            let mut nodes = Vec::new();
            let mut owner = None;
            for range in answer.list() {
                let [first, last, servers @ ..] = range.list() else { continue };
                let (Some(first), Some(last)) = (first.number(), last.number()) else { continue };
                for (at, server) in servers.iter().enumerate() {
                    let [host, port, ..] = server.list() else { continue };
                    let host = host.text().and_then(|host| std::str::from_utf8(host).ok()).unwrap_or_default();
                    let Some(port) = port.number().and_then(|port| u16::try_from(port).ok()) else { continue };
                    // A node that does not know its own address leaves it out.
                    let host = if host.is_empty() || host == "?" { node.address()?.0 } else { host };
                    let server = node.at(host, port);
                    if at == 0 && (first..=last).contains(&u64::from(slot)) {
                        owner = Some(server.clone());
                    }
                    if nodes.len() < NODES_MAX {
                        nodes.push(server);
                    }
                }
            }
            owner.map(|owner| (owner, nodes))
        })
        .await
    }

    /// Asks one sentinel after the other where the master is.
    async fn ask_sentinels(&mut self, sentinel: &Sentinel) -> Result<Endpoint, Cause> {
        let mut question = redis::cmd("SENTINEL");
        question.arg("get-master-addr-by-name").arg(&sentinel.service);
        self.ask_in_turns(&question.get_packed_command(), |answer, _| {
            let [host, port] = answer.list() else { return None };
            let host = std::str::from_utf8(host.text()?).ok()?;
            Some((sentinel.master.at(host, u16::try_from(port.number()?).ok()?), Vec::new()))
        })
        .await
    }

    /// Puts a question to one node after the other until `read` makes a server of an answer, and further nodes.
    async fn ask_in_turns(
        &mut self,
        question: &[u8],
        read: impl Fn(&Value<'_>, &Endpoint) -> Option<(Endpoint, Vec<Endpoint>)>,
    ) -> Result<Endpoint, Cause> {
        let mut last = None;
        for _ in 0..self.nodes.len() {
            let node = self.nodes[self.turn % self.nodes.len()].clone();
            self.turn = self.turn.wrapping_add(1);
            let asked = async {
                let mut dialogue = Dialogue::open(&node, CLIENT_NAME, &mut self.asked_for_tls).await?;
                match dialogue.ask(question, ANSWER_TIMEOUT).await? {
                    Value::Error(text) => Err(Cause::refused(&node, &String::from_utf8_lossy(text))),
                    answer => read(&answer, &node).ok_or_else(|| self.target_unknown(&node)),
                }
            };
            match asked.await {
                Ok((found, further)) => {
                    self.learn(further);
                    return Ok(found);
                }
                Err(cause) if is_the_same_everywhere(&cause) => return Err(cause),
                Err(cause) => last = Some(cause),
            }
        }
        Err(last.unwrap_or_else(|| Cause::Passing(format!("{} cannot be reached", self.target))))
    }

    fn target_unknown(&self, node: &Endpoint) -> Cause {
        Cause::Passing(match &self.target {
            Target::Sentinel(sentinel) => {
                let service = crate::model::display_safe(&sentinel.service);
                format!("the sentinel at {node} knows no master named {service}")
            }
            _ => format!("the cluster node at {node} does not know who serves this part of the ticks"),
        })
    }

    /// Remembers nodes that may be asked when those from the command line are gone.
    fn learn(&mut self, further: Vec<Endpoint>) {
        if further.is_empty() {
            return;
        }
        // Addresses change where nodes come and go.
        self.nodes.clone_from(&self.seeds);
        for node in further {
            if self.nodes.len() >= NODES_MAX {
                return;
            }
            if !self.nodes.iter().any(|known| known.address() == node.address()) {
                self.nodes.push(node);
            }
        }
    }
}
