//! Server or servers named on the command line.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::client::{Endpoint, EndpointError, TlsFiles};

/// Most addresses in one URL. A name in DNS can stand for more.
const HOSTS_MAX: usize = 32;

/// Default port of a sentinel.
const SENTINEL_PORT: u16 = 26_379;

/// Future of a [`LocalServer`].
pub type LocalServerFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Server on this machine that is started on demand.
pub trait LocalServer: fmt::Debug + Send + Sync {
    /// Makes sure that a server listens on the port. Called before each connection attempt.
    fn ensure(&self) -> LocalServerFuture<'_, Result<(), Box<dyn Error + Send + Sync>>>;

    /// Stops the server if this process runs it.
    fn shutdown(&self) -> LocalServerFuture<'_, ()>;
}

/// Server to use: the one named on the command line, or the one shared on this machine.
///
/// # Examples
/// ```
/// use tickscope::client::{Target, TlsFiles};
///
/// let target = Target::parse_with("redis+sentinel://a,b/mymaster", false, &TlsFiles::default())?;
/// let text = "the master mymaster of the sentinels at redis://a:26379, redis://b:26379";
/// assert_eq!(target.to_string(), text);
/// # Ok::<(), tickscope::client::EndpointError>(())
/// ```
#[derive(Debug, Clone)]
pub enum Target {
    /// One server, from a URL.
    Server(Endpoint),
    /// The server on a loopback port, which is started if there is none.
    Local {
        /// Port on 127.0.0.1; Redis's default is 6379.
        port: u16,
        /// Starts the server.
        server: Arc<dyn LocalServer>,
    },
    /// A Redis Cluster: at least one of its nodes.
    Cluster(Vec<Endpoint>),
    /// The master that sentinels name.
    Sentinel(Sentinel),
}

/// Sentinels and the service that they watch.
#[derive(Debug, Clone)]
pub struct Sentinel {
    /// Addresses; at least one.
    pub(super) sentinels: Vec<Endpoint>,
    /// Name of the master.
    pub(super) service: String,
    /// Settings for the login to the master; the address is not used.
    pub(super) master: Endpoint,
}

impl Target {
    /// Parses the URL of an [`Endpoint`], or one of these, whose hosts are separated by commas:
    ///
    /// - `redis+cluster://[user:password@]host:7000[,host:7001]`, or the URL of an endpoint if `cluster` is true;
    /// - `redis+sentinel://[user:password@]host[:26379][,host]/service[/database]`. User and password belong to the
    ///   master, and are used for sentinels that require a password.
    ///
    /// `rediss+cluster://` and `rediss+sentinel://` use TLS.
    ///
    /// # Errors
    /// [`EndpointError`] if the URL is malformed or the TLS files cannot be used.
    pub fn parse_with(url: &str, cluster: bool, files: &TlsFiles) -> Result<Self, EndpointError> {
        let malformed = |reason| EndpointError::Malformed { reason };
        let url = url.trim();
        let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
        let (kind, plain) = match scheme.split_once('+') {
            Some((plain, kind @ ("cluster" | "sentinel"))) => (kind, plain),
            _ if cluster => ("cluster", scheme),
            _ => return Endpoint::parse_with(url, files).map(Self::Server),
        };
        if cluster && kind == "sentinel" {
            return Err(malformed("sentinels watch servers outside clusters: omit --cluster"));
        }
        if scheme.contains("unix") {
            return Err(malformed("the nodes of a cluster are reached by host and port"));
        }
        // `user:password@`, `/path` and `?query` include their punctuation, or are empty.
        let (rest, query) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        let hosts: Vec<&str> = hosts.split(',').map(str::trim).collect();
        if hosts.len() > HOSTS_MAX || hosts.contains(&"") {
            return Err(malformed("its list of hosts is empty or too long"));
        }
        let endpoints = |path: &str, port: u16| {
            let urls = hosts.iter().map(|host| {
                let host = if has_port(host) { (*host).to_owned() } else { format!("{host}:{port}") };
                Endpoint::parse_with(&format!("{plain}://{user}{host}{path}{query}"), files)
            });
            urls.collect::<Result<Vec<_>, _>>()
        };
        if kind == "cluster" {
            if !matches!(path, "" | "/" | "/0") {
                return Err(malformed("a cluster has database 0 only"));
            }
            return Ok(Self::Cluster(endpoints("", 6_379)?));
        }
        let path = path.trim_start_matches('/');
        let (service, database) = path.split_at(path.find('/').unwrap_or(path.len()));
        if service.is_empty() {
            return Err(malformed("the name under which the sentinels watch the master is missing: add /mymaster"));
        }
        let mut masters = endpoints(database, SENTINEL_PORT)?;
        let sentinels = endpoints("", SENTINEL_PORT)?;
        // The URL has at least one host.
        let master = masters.swap_remove(0);
        Ok(Self::Sentinel(Sentinel { sentinels, service: service.to_owned(), master }))
    }

    /// Returns true if ticks are distributed over the nodes of a cluster.
    pub fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// Sentinels or cluster nodes to ask for the server.
    pub(super) fn nodes(&self) -> &[Endpoint] {
        match self {
            Self::Cluster(nodes) => nodes,
            Self::Sentinel(sentinel) => &sentinel.sentinels,
            Self::Server(_) | Self::Local { .. } => &[],
        }
    }

    /// Endpoint to connect to, or the first to ask.
    pub fn endpoint(&self) -> Endpoint {
        match self {
            Self::Server(endpoint) => endpoint.clone(),
            Self::Local { port, .. } => Endpoint::loopback(*port),
            // A cluster has at least one node, by construction.
            Self::Cluster(nodes) => nodes.first().cloned().unwrap_or_else(|| Endpoint::loopback(6_379)),
            Self::Sentinel(sentinel) => sentinel.master.clone(),
        }
    }
}

impl fmt::Display for Target {
    /// Omits credentials; safe for a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(_) | Self::Local { .. } => self.endpoint().fmt(f),
            Self::Cluster(nodes) => write!(f, "the cluster at {}", list(nodes)),
            Self::Sentinel(Sentinel { sentinels, service, .. }) => {
                let service = crate::model::display_safe(service);
                write!(f, "the master {service} of the sentinels at {}", list(sentinels))
            }
        }
    }
}

impl fmt::Display for Sentinel {
    /// Writes a URL without credentials; safe for a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = list(&self.sentinels).replace("rediss://", "").replace("redis://", "").replace(", ", ",");
        let scheme = if self.master.tls.is_some() { "rediss" } else { "redis" };
        write!(f, "{scheme}+sentinel://{hosts}/{}", crate::model::display_safe(&self.service))
    }
}

fn list(endpoints: &[Endpoint]) -> String {
    endpoints.iter().map(Endpoint::to_string).collect::<Vec<_>>().join(", ")
}

/// Returns true if the host has a port. Colons within the brackets of an IPv6 address do not count.
fn has_port(host: &str) -> bool {
    host.rsplit(']').next().is_some_and(|rest| rest.contains(':'))
}

#[cfg(test)]
mod tests {
    use crate::client::target::*;

    fn target(url: &str, cluster: bool) -> Result<Target, EndpointError> {
        Target::parse_with(url, cluster, &TlsFiles::default())
    }

    #[test]
    fn a_plain_url_is_one_server_unless_a_cluster_is_requested() {
        assert!(matches!(target("redis://h:1/2", false), Ok(Target::Server(_))));
        let Ok(Target::Cluster(nodes)) = target("redis://h:1", true) else { panic!("no cluster") };
        assert_eq!(nodes.len(), 1);
        let Ok(cluster @ Target::Cluster(_)) = target("redis+cluster://u:s3cret@a:7000,b,[::1]:7002", false) else {
            panic!("no cluster")
        };
        let shown = cluster.to_string();
        assert_eq!(shown, "the cluster at redis://a:7000, redis://b:6379, redis://[::1]:7002");
        assert!(!format!("{cluster:?}").contains("s3cret"));
    }

    #[test]
    fn sentinels_are_asked_for_a_service() {
        let Ok(shown @ Target::Sentinel(_)) = target("redis+sentinel://:pw@a,b:26380/mymaster/2", false) else {
            panic!("no sentinels")
        };
        let Target::Sentinel(sentinel) = &shown else { unreachable!() };
        assert_eq!(sentinel.master.info.redis_settings().db(), 2);
        assert_eq!(sentinel.sentinels[0].address(), Some(("a", 26_379)));
        let text = shown.to_string();
        assert_eq!(text, "the master mymaster of the sentinels at redis://a:26379, redis://b:26380");
    }

    #[test]
    fn contradictory_urls_are_rejected() {
        for (url, cluster) in [
            ("redis+cluster://", false),
            ("redis+cluster://a,,b", false),
            ("redis+cluster://a/3", false),
            ("redis+sentinel://a", false),
            ("redis+sentinel://a/m", true),
            ("unix:///run/redis.sock", true),
            ("ftp://a", true),
        ] {
            let error = target(url, cluster).expect_err(url).to_string();
            assert!(!error.contains("panicked"), "{error}");
        }
    }
}
