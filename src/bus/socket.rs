//! A raw connection to the server, for the one path on which every message counts.

use std::io;
use std::time::Duration;

use redis::{ConnectionAddr, ProtocolVersion};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::bus::Endpoint;

/// How long a connection may take to open. A server on another continent answers in a quarter of that.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// First keepalive probe after this much silence, and between probes: the kernel's default is two hours.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// Sent bytes that stay unacknowledged for this long mean that the peer is gone.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(10);

/// A stream of bytes, whatever carries it.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Opens a connection, without logging in.
pub(super) async fn connect(endpoint: &Endpoint) -> io::Result<Box<dyn Duplex>> {
    let opening = open(endpoint.connection_info().addr());
    match tokio::time::timeout(CONNECT_TIMEOUT, opening).await {
        Ok(opened) => opened,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer within 3 s")),
    }
}

async fn open(addr: &ConnectionAddr) -> io::Result<Box<dyn Duplex>> {
    match addr {
        ConnectionAddr::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            let socket = SockRef::from(&stream);
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE))?;
            #[cfg(target_os = "linux")]
            socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
            Ok(Box::new(stream))
        }
        #[cfg(unix)]
        ConnectionAddr::Unix(path) => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "this kind of address is not supported here")),
    }
}

/// The commands that log in to `endpoint` and name the connection, as one packed request each. The first must succeed
/// if `true` stands beside it.
pub(super) fn greeting(endpoint: &Endpoint, name: &str) -> Vec<(Vec<u8>, bool)> {
    let settings = endpoint.connection_info().redis_settings();
    let mut commands = Vec::new();
    let resp3 = !matches!(settings.protocol(), ProtocolVersion::RESP2);
    if resp3 {
        let mut hello = redis::cmd("HELLO");
        hello.arg(3);
        if let Some(password) = settings.password() {
            hello.arg("AUTH").arg(settings.username().unwrap_or("default")).arg(password);
        }
        commands.push((hello.get_packed_command(), true));
    } else if let Some(password) = settings.password() {
        let mut auth = redis::cmd("AUTH");
        if let Some(username) = settings.username() {
            auth.arg(username);
        }
        auth.arg(password);
        commands.push((auth.get_packed_command(), true));
    }
    // A courtesy to operators, which an ACL may refuse.
    commands.push((redis::cmd("CLIENT").arg("SETNAME").arg(name).get_packed_command(), false));
    commands
}
