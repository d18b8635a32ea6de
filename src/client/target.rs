//! Which server, or servers, a program was told to use.

use std::fmt;

use crate::client::{Endpoint, EndpointError, TlsFiles};

/// Most addresses in one URL: a name server or a config file serves whoever has more.
const HOSTS_MAX: usize = 32;

/// Port of a sentinel, unless told otherwise.
const SENTINEL_PORT: u16 = 26_379;

/// The server a program was told to use, or the one that is shared on this machine when it was told nothing.
#[derive(Debug, Clone)]
pub enum Target {
    /// A URL was given: only this server will do, and no broker is ever started.
    Given(Endpoint),
    /// No URL: whatever serves this loopback port, or our own broker if nothing does.
    Local {
        /// Port on 127.0.0.1; Redis's own is 6379.
        port: u16,
    },
    /// A Redis Cluster, by some of its nodes; at least one.
    Cluster(Vec<Endpoint>),
    /// Whichever server the sentinels say is the master.
    Sentinel(Sentinel),
}

/// Sentinels, and what to ask them for.
#[derive(Debug, Clone)]
pub struct Sentinel {
    /// Where they are; at least one.
    pub(super) sentinels: Vec<Endpoint>,
    /// The name under which they watch the master.
    pub(super) service: String,
    /// How the master is to be logged in to; its address is not used.
    pub(super) master: Endpoint,
}

impl Target {
    /// Reads what an [`Endpoint`] reads, and beside it, with several hosts separated by commas:
    ///
    /// - `redis+cluster://[user:password@]host:7000[,host:7001]`, or a usual URL where `cluster` is true;
    /// - `redis+sentinel://[user:password@]host[:26379][,host]/service[/database]`. User and password are the master's;
    ///   sentinels that ask for one get it as well.
    ///
    /// `rediss+cluster://` and `rediss+sentinel://` are the same with TLS.
    pub fn parse_with(url: &str, cluster: bool, files: &TlsFiles) -> Result<Self, EndpointError> {
        let malformed = |reason| EndpointError::Malformed { reason };
        let url = url.trim();
        let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
        let (kind, plain) = match scheme.split_once('+') {
            Some((plain, kind @ ("cluster" | "sentinel"))) => (kind, plain),
            _ if cluster => ("cluster", scheme),
            _ => return Endpoint::parse_with(url, files).map(Self::Given),
        };
        if cluster && kind == "sentinel" {
            return Err(malformed("sentinels watch over servers outside clusters: leave --cluster out"));
        }
        if scheme.contains("unix") {
            return Err(malformed("the nodes of a cluster are reached by host and port"));
        }
        let parts = Parts::of(rest).ok_or(malformed("its list of hosts is empty or too long"))?;
        let endpoints = |path: &str, port: u16| {
            let urls = parts.hosts.iter().map(|host| {
                let host = if has_port(host) { (*host).to_owned() } else { format!("{host}:{port}") };
                Endpoint::parse_with(&format!("{plain}://{}{host}{path}{}", parts.user, parts.query), files)
            });
            urls.collect::<Result<Vec<_>, _>>()
        };
        if kind == "cluster" {
            if !matches!(parts.path, "" | "/" | "/0") {
                return Err(malformed("a cluster has database 0 alone"));
            }
            return Ok(Self::Cluster(endpoints("", 6_379)?));
        }
        let (service, database) = parts.path.trim_start_matches('/').split_once('/').map_or_else(
            || (parts.path.trim_start_matches('/'), String::new()),
            |(service, database)| (service, format!("/{database}")),
        );
        if service.is_empty() {
            return Err(malformed("the name under which the sentinels watch the master is missing: add /mymaster"));
        }
        let mut masters = endpoints(&database, SENTINEL_PORT)?;
        let sentinels = endpoints("", SENTINEL_PORT)?;
        // There is at least one host, so there is at least one of these.
        let master = masters.swap_remove(0);
        Ok(Self::Sentinel(Sentinel { sentinels, service: service.to_owned(), master }))
    }

    /// Whether ticks are spread over the nodes of a cluster.
    pub fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// Where to connect, or whom to ask where.
    pub fn endpoint(&self) -> Endpoint {
        match self {
            Self::Given(endpoint) => endpoint.clone(),
            Self::Local { port } => Endpoint::loopback(*port),
            // Both have at least one, by construction.
            Self::Cluster(nodes) => nodes.first().cloned().unwrap_or_else(|| Endpoint::loopback(6_379)),
            Self::Sentinel(sentinel) => sentinel.master.clone(),
        }
    }
}

impl fmt::Display for Target {
    /// Without credentials, safe for a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(_) | Self::Local { .. } => self.endpoint().fmt(f),
            Self::Cluster(nodes) => write!(f, "the cluster at {}", list(nodes)),
            Self::Sentinel(Sentinel { sentinels, service, .. }) => {
                let service = crate::model::display_safe(service);
                write!(f, "the master {service} of the sentinels at {}", list(sentinels))
            }
        }
    }
}

impl fmt::Display for Sentinel {
    /// As a URL without credentials, safe for a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = list(&self.sentinels).replace("rediss://", "").replace("redis://", "").replace(", ", ",");
        let scheme = if self.master.tls().is_some() { "rediss" } else { "redis" };
        write!(f, "{scheme}+sentinel://{hosts}/{}", crate::model::display_safe(&self.service))
    }
}

fn list(endpoints: &[Endpoint]) -> String {
    endpoints.iter().map(Endpoint::to_string).collect::<Vec<_>>().join(", ")
}

/// What stands behind `scheme://`.
struct Parts<'a> {
    /// `user:password@`, or nothing.
    user: &'a str,
    hosts: Vec<&'a str>,
    /// With its slash, or empty.
    path: &'a str,
    /// With its question mark, or empty.
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn of(rest: &'a str) -> Option<Self> {
        let (rest, query) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        let hosts: Vec<&str> = hosts.split(',').map(str::trim).collect();
        let fits = hosts.len() <= HOSTS_MAX && hosts.iter().all(|host| !host.is_empty());
        fits.then_some(Self { user, hosts, path, query })
    }
}

/// Whether a port stands behind the host; the colons within an IPv6 address's brackets are none.
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
    fn a_usual_url_is_one_server_unless_a_cluster_is_asked_for() {
        assert!(matches!(target("redis://h:1/2", false), Ok(Target::Given(_))));
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
        assert_eq!(sentinel.master.connection_info().redis_settings().db(), 2);
        assert_eq!(sentinel.sentinels[0].address(), Some(("a", 26_379)));
        let text = shown.to_string();
        assert_eq!(text, "the master mymaster of the sentinels at redis://a:26379, redis://b:26380");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
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
