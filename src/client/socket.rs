//! A raw connection to the server, for the one path on which every message counts.

use std::io;
use std::time::Duration;

use redis::{ConnectionAddr, ProtocolVersion};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use crate::client::connector::Transport;
use crate::client::{ClientError, Endpoint, tls};

/// How long a connection may take to open. A server on another continent answers in a third of that; one that was
/// unreachable and is back should not be waited for on an attempt that was made before.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(900);

/// How long the greeting of TLS may take: two journeys there and back, and the server's arithmetic.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);

/// First keepalive probe after this much silence, and between probes: the kernel's default is two hours.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// Sent bytes that stay unacknowledged for this long mean that the peer is gone.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(10);

/// How long something unknown may take to show what it speaks.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Opens a connection, without logging in.
pub(super) async fn connect(endpoint: &Endpoint) -> io::Result<Box<dyn Transport>> {
    match endpoint.connection_info().addr() {
        ConnectionAddr::Tcp(host, port) => {
            if let Some(dial) = endpoint.dial() {
                return within(CONNECT_TIMEOUT, dial.dial(host, *port)).await;
            }
            let stream = within(CONNECT_TIMEOUT, open(host, *port)).await?;
            let Some(connector) = endpoint.tls() else { return Ok(Box::new(stream)) };
            match within(HANDSHAKE_TIMEOUT, tls::handshake(connector, host, stream)).await {
                // A Redis without TLS waits for the end of what it takes for a line.
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    let plain = within(PROBE_TIMEOUT, async { tls::speaks_plainly(open(host, *port).await?).await });
                    Err(if plain.await.unwrap_or(false) { tls::no_tls() } else { error })
                }
                encrypted => Ok(Box::new(encrypted?)),
            }
        }
        #[cfg(unix)]
        ConnectionAddr::Unix(path) => {
            Ok(Box::new(within(CONNECT_TIMEOUT, tokio::net::UnixStream::connect(path)).await?))
        }
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "this kind of address is not supported here")),
    }
}

async fn within<T>(limit: Duration, opening: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(limit, opening).await {
        Ok(opened) => opened,
        Err(_) => {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {:.1} s", limit.as_secs_f64())))
        }
    }
}

async fn open(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
    Ok(stream)
}

/// What waiting cannot mend about `error`, if TLS is its reason.
pub(super) fn tls_fault(endpoint: &Endpoint, error: &io::Error) -> Option<ClientError> {
    let (what, advice) = tls::explanation(error)?;
    Some(ClientError::Tls { server: endpoint.to_string(), what, advice })
}

/// For a server that hung up before it said a word: whether it did because it expects TLS and was not greeted so.
pub(super) async fn missing_tls(endpoint: &Endpoint) -> Option<ClientError> {
    let ConnectionAddr::Tcp(host, port) = endpoint.connection_info().addr() else { return None };
    // What is reached in another way than over a socket has no TLS.
    if endpoint.tls().is_some() || endpoint.dial().is_some() {
        return None;
    }
    let probe = within(PROBE_TIMEOUT, async { Ok(tls::speaks_tls(host, open(host, *port).await?).await) });
    let expected = probe.await.unwrap_or(false);
    expected.then(|| ClientError::Tls {
        server: endpoint.to_string(),
        what: "it expects TLS".to_owned(),
        advice: "Write rediss:// in the URL",
    })
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
    if settings.db() != 0 {
        commands.push((redis::cmd("SELECT").arg(settings.db()).get_packed_command(), true));
    }
    // A courtesy to operators, which an ACL may refuse.
    commands.push((redis::cmd("CLIENT").arg("SETNAME").arg(name).get_packed_command(), false));
    commands
}
