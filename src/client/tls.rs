//! TLS over the client's sockets.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{Error, InvalidMessage};

use crate::tls::{Advice, OptionNames, TlsError, TlsFiles, Verification, client_config, explain, tls_error};

const OPTIONS: OptionNames = OptionNames { ca: "--tls-ca", cert: "--tls-cert", key: "--tls-key" };

const ADVICE: Advice = Advice {
    no_tls: "Check the port; for a server without TLS write redis://",
    untrusted_issuer: "Name the authority that signed it with --tls-ca FILE",
    client_refused: "It may ask for a certificate that it knows: --tls-cert FILE --tls-key FILE",
};

/// Creates a connector from `files`.
pub(super) fn connector(files: &TlsFiles) -> Result<TlsConnector, TlsError> {
    client_config(files, &OPTIONS, Verification::Full).map(|config| TlsConnector::from(Arc::new(config)))
}

/// Performs the handshake on `stream` and verifies that the server is `host`.
pub(super) async fn handshake(
    connector: &TlsConnector,
    host: &str,
    stream: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a certificate cannot carry this host name"))?;
    connector.connect(name, stream).await
}

/// Error for a server that answers, but not in TLS.
pub(super) fn not_tls_error() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Error::InvalidMessage(InvalidMessage::InvalidContentType))
}

/// Returns true if the server answers like a Redis without TLS.
pub(super) async fn speaks_plain(mut stream: TcpStream) -> io::Result<bool> {
    // A server that requires a login answers with an error, which counts.
    stream.write_all(b"PING\r\n").await?;
    Ok(matches!(stream.read_u8().await?, b'+' | b'-'))
}

/// Returns true if the server answers in TLS, trusted or not.
pub(super) async fn speaks_tls(host: &str, stream: TcpStream) -> bool {
    let Ok(config) = client_config(&TlsFiles::default(), &OPTIONS, Verification::None) else { return false };
    match handshake(&TlsConnector::from(Arc::new(config)), host, stream).await {
        Ok(_) => true,
        Err(error) => matches!(tls_error(&error), Some(Error::InvalidCertificate(_) | Error::AlertReceived(_))),
    }
}

/// Returns the cause, safe to display, and advice, if TLS caused the error.
pub(super) fn explain_error(error: &io::Error) -> Option<(String, &'static str)> {
    tls_error(error).map(|error| explain(error, &ADVICE))
}
