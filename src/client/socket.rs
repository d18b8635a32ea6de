//! Sockets to a server: TCP, TLS or Unix, or the streams of a [`Connector`](crate::client::Connector).

use std::io;
use std::time::Duration;

use redis::ConnectionAddr;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::timeouts::{CONNECT_TIMEOUT, HANDSHAKE_TIMEOUT, KEEPALIVE, PROBE_TIMEOUT};
use crate::client::{Endpoint, Transport, tls};

/// Opens a stream to the endpoint, without logging in.
pub(super) async fn connect(endpoint: &Endpoint) -> io::Result<Box<dyn Transport>> {
    match endpoint.info.addr() {
        ConnectionAddr::Tcp(host, port) => {
            if let Some(connector) = &endpoint.connector {
                return within(CONNECT_TIMEOUT, connector.connect(host, *port)).await;
            }
            let stream = within(CONNECT_TIMEOUT, open_tcp(host, *port)).await?;
            let Some(tls) = &endpoint.tls else { return Ok(Box::new(stream)) };
            match within(HANDSHAKE_TIMEOUT, tls::handshake(tls, host, stream)).await {
                // A Redis without TLS takes the handshake for the start of a line and waits for its end.
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    let probe = within(PROBE_TIMEOUT, async { tls::speaks_plain(open_tcp(host, *port).await?).await });
                    Err(if probe.await.unwrap_or(false) { tls::not_tls_error() } else { error })
                }
                encrypted => Ok(Box::new(encrypted?)),
            }
        }
        #[cfg(unix)]
        ConnectionAddr::Unix(path) => {
            Ok(Box::new(within(CONNECT_TIMEOUT, tokio::net::UnixStream::connect(path)).await?))
        }
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "addresses of this kind are not supported here")),
    }
}

/// Tells if a server that closed a plain connection before its first reply expects TLS.
pub(super) async fn expects_tls(endpoint: &Endpoint) -> bool {
    let ConnectionAddr::Tcp(host, port) = endpoint.info.addr() else { return false };
    if endpoint.tls.is_some() || endpoint.connector.is_some() {
        return false;
    }
    let probe = within(PROBE_TIMEOUT, async { Ok(tls::speaks_tls(host, open_tcp(host, *port).await?).await) });
    probe.await.unwrap_or(false)
}

async fn within<T>(limit: Duration, opening: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, opening).await.unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {:.1} s", limit.as_secs_f64())))
    })
}

async fn open_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(crate::client::timeouts::UNACKNOWLEDGED_MAX))?;
    Ok(stream)
}
