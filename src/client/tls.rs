//! TLS: trusted authorities, client certificates, and explanations of failures.
//!
//! rustls gets its provider, ring, explicitly: a second provider in the dependency tree would make the default ambiguous.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error, InvalidMessage, RootCertStore, crypto};

use crate::client::error_advice::excerpt;
use crate::model::display_safe;

/// Files for TLS. Without them, the authorities of this machine are trusted and no client certificate is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM file of the trusted authorities, instead of this machine's.
    pub ca: Option<PathBuf>,
    /// PEM file of the client certificate with its chain. Requires `key`.
    pub cert: Option<PathBuf>,
    /// PEM file of the private key of `cert`.
    pub key: Option<PathBuf>,
}

/// Error in the TLS setup. It repeats nothing of a file's content.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TlsError {
    /// A file is missing, unreadable, or has the wrong content.
    #[error("{option} {path}: {reason}")]
    File {
        /// Option that names the file.
        option: &'static str,
        /// Path of the file, safe to display.
        path: String,
        /// Cause.
        reason: String,
    },
    /// Only one of certificate and key was given.
    #[error("--tls-cert and --tls-key belong together: the certificate and its private key")]
    HalfIdentity,
    /// There is no trusted authority.
    #[error("this machine has no trusted authorities; name the server's with --tls-ca FILE")]
    NothingTrusted,
    /// The client certificate or its key is invalid.
    #[error("--tls-cert and --tls-key cannot be used: {0}")]
    Identity(String),
    /// No supported protocol version or cipher.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// Reads the files and creates a connector.
pub(super) fn connector(files: &TlsFiles) -> Result<TlsConnector, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Setup(error.to_string()))?
        .with_root_certificates(roots(files.ca.as_deref())?);
    let config = match (&files.cert, &files.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key)) => {
            let chain = certificates("--tls-cert", cert)?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| unusable("--tls-key", key, "private key", &error.to_string()))?;
            let config = builder.with_client_auth_cert(chain, key);
            config.map_err(|error| TlsError::Identity(display_safe(&error.to_string()).into_owned()))?
        }
        _ => return Err(TlsError::HalfIdentity),
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca {
        for certificate in certificates("--tls-ca", path)? {
            let added = roots.add(certificate);
            added.map_err(|error| unusable("--tls-ca", path, "usable certificate", &error.to_string()))?;
        }
    } else {
        // Some machines hold obsolete certificates that cannot be parsed; those are skipped.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() { Err(TlsError::NothingTrusted) } else { Ok(roots) }
}

fn certificates(option: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |reason: &str| unusable(option, path, "certificate", reason);
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| failed(&error.to_string()))?;
    if certificates.is_empty() { Err(failed("no section of this kind")) } else { Ok(certificates) }
}

fn unusable(option: &'static str, path: &Path, wanted: &str, reason: &str) -> TlsError {
    let reason = match std::fs::metadata(path) {
        Err(error) => format!("cannot be read ({error})"),
        Ok(_) => format!("holds no {wanted} in PEM form ({})", display_safe(reason)),
    };
    TlsError::File { option, path: display_safe(&path.display().to_string()).into_owned(), reason }
}

/// Performs the handshake over `stream` and verifies that the server is `host`.
pub(super) async fn handshake(connector: &TlsConnector, host: &str, stream: TcpStream) -> io::Result<Encrypted> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "this host name cannot appear in a certificate"))?;
    Ok(Encrypted { stream: connector.connect(name, stream).await? })
}

/// Error for a server that answers, but not in TLS.
pub(super) fn not_tls_error() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Error::InvalidMessage(InvalidMessage::InvalidContentType))
}

/// Returns true if the server answers like a Redis without TLS.
pub(super) async fn speaks_plain(mut stream: TcpStream) -> io::Result<bool> {
    // A server that requires a password, or refuses the client, answers with an error.
    stream.write_all(b"PING\r\n").await?;
    Ok(matches!(stream.read_u8().await?, b'+' | b'-'))
}

/// Returns true if the server answers in TLS, trusted or not.
pub(super) async fn speaks_tls(host: &str, stream: TcpStream) -> bool {
    let provider = Arc::new(crypto::ring::default_provider());
    let Ok(builder) = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions() else {
        return false;
    };
    let config = builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    match handshake(&TlsConnector::from(Arc::new(config)), host, stream).await {
        Ok(_) => true,
        Err(error) => matches!(reason(&error), Some(Error::InvalidCertificate(_) | Error::AlertReceived(_))),
    }
}

fn reason(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// Returns the cause, safe to display, and advice, if TLS caused the error.
pub(super) fn explain(error: &io::Error) -> Option<(String, &'static str)> {
    let (cause, advice) = match reason(error)? {
        Error::InvalidCertificate(error) => certificate_fault(error),
        Error::InvalidMessage(_) => {
            ("it does not answer in TLS".to_owned(), "Check the port; for a server without TLS write redis://")
        }
        Error::AlertReceived(alert) => (
            format!("it refuses this client ({alert:?})"),
            "It may require a client certificate: --tls-cert FILE --tls-key FILE",
        ),
        Error::PeerIncompatible(_) => {
            ("it offers only obsolete encryption".to_owned(), "TLS 1.2 or 1.3 must be enabled there")
        }
        other => (excerpt(&other.to_string()), "Check what listens there"),
    };
    Some((cause, advice))
}

fn certificate_fault(error: &CertificateError) -> (String, &'static str) {
    let (cause, advice) = match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            "its certificate comes from an authority that is not trusted here",
            "Name the authority that signed it with --tls-ca FILE",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            "its certificate is issued for another name",
            "Write the host in the URL as in the certificate, or get a certificate for this name",
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ("its certificate has expired", "Renew it on the server; if it is new, set this machine's clock")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("its certificate is not valid yet", "Set this machine's clock, or wait")
        }
        CertificateError::Revoked => ("its certificate was revoked", "Get a new one for the server"),
        other => {
            return (
                format!("its certificate cannot be accepted ({})", excerpt(&format!("{other:?}"))),
                "Get a valid one for the server, and name its authority with --tls-ca FILE",
            );
        }
    };
    (cause.to_owned(), advice)
}

/// Encrypted connection. If the server closes it without TLS's close_notify, as Redis does, the stream just ends. Missing
/// data shows as an incomplete frame, and the connection is opened again in any case.
pub(super) struct Encrypted {
    stream: TlsStream<TcpStream>,
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            other => other,
        }
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
