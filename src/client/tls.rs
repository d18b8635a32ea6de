//! TLS beneath a connection: whom to trust, whom to be, and what it means when that fails.
//!
//! rustls with ring, handed over explicitly: a second provider anywhere in the tree would make the default ambiguous.

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

use crate::client::error_advice::shown;
use crate::model::display_safe;

/// Files that TLS needs beyond what this machine trusts by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Authorities to trust, as PEM, instead of this machine's own.
    pub ca: Option<PathBuf>,
    /// The certificate to show to the server, with those that lead to its authority, as PEM. Only with `key`.
    pub cert: Option<PathBuf>,
    /// The private key of `cert`, as PEM.
    pub key: Option<PathBuf>,
}

/// Why TLS cannot be set up. Nothing of a file's content is repeated.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TlsError {
    /// A file that is not there, cannot be read, or does not hold what it should.
    #[error("{option} {path}: {reason}")]
    File {
        /// The option that names it.
        option: &'static str,
        /// Its path, safe to show.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// One without the other.
    #[error("--tls-cert and --tls-key belong together: the certificate and its private key")]
    HalfIdentity,
    /// Nothing to judge a certificate by.
    #[error("this machine has no list of trusted authorities; name the server's with --tls-ca FILE")]
    NothingTrusted,
    /// The certificate or its key cannot be used.
    #[error("--tls-cert and --tls-key cannot be used: {0}")]
    Identity(String),
    /// A version or a cipher that is not there.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// Reads all that `files` names and prepares TLS with it.
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
        // Machines carry certificates of long ago that nobody can read any more; the others count.
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

/// Greets the server at the other end of `stream` and checks that it is `host`.
pub(super) async fn handshake(connector: &TlsConnector, host: &str, stream: TcpStream) -> io::Result<Encrypted> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a certificate cannot carry this host name"))?;
    Ok(Encrypted { stream: connector.connect(name, stream).await? })
}

/// The error of a server that answers, and not in TLS.
pub(super) fn no_tls() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Error::InvalidMessage(InvalidMessage::InvalidContentType))
}

/// Whether whatever listens at the other end of `stream` answers like a Redis without TLS.
pub(super) async fn speaks_plainly(mut stream: TcpStream) -> io::Result<bool> {
    // One that waits for credentials, or lets nobody in, answers as well, with an error.
    stream.write_all(b"PING\r\n").await?;
    Ok(matches!(stream.read_u8().await?, b'+' | b'-'))
}

/// Whether whatever listens at the other end of `stream` answers in TLS, trusted or not.
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

/// What went wrong and what to do about it, where TLS itself is the reason: safe to show.
pub(super) fn explanation(error: &io::Error) -> Option<(String, &'static str)> {
    let (what, advice) = match reason(error)? {
        Error::InvalidCertificate(error) => certificate_fault(error),
        Error::InvalidMessage(_) => {
            ("it does not answer in TLS".to_owned(), "Check the port; for a server without TLS write redis://")
        }
        Error::AlertReceived(alert) => (
            format!("it refuses this client ({alert:?})"),
            "It may ask for a certificate that it knows: --tls-cert FILE --tls-key FILE",
        ),
        Error::PeerIncompatible(_) => {
            ("it offers nothing but old and broken encryption".to_owned(), "TLS 1.2 or 1.3 must be enabled there")
        }
        other => (shown(&other.to_string()), "Check what listens there"),
    };
    Some((what, advice))
}

fn certificate_fault(error: &CertificateError) -> (String, &'static str) {
    let (what, advice) = match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            "its certificate comes from an authority that is not trusted here",
            "Name the authority that signed it with --tls-ca FILE",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            "its certificate is made out to another name",
            "Write the host in the URL as the certificate has it, or have one made for this name",
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ("its certificate has expired", "Renew it on the server; if it is new, set this machine's clock")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("its certificate is not valid yet", "Set this machine's clock, or wait")
        }
        CertificateError::Revoked => ("its certificate was revoked", "Have a new one made for the server"),
        other => {
            return (
                format!("its certificate cannot be accepted ({})", shown(&format!("{other:?}"))),
                "Have a proper one made for the server, and name its authority with --tls-ca FILE",
            );
        }
    };
    (what.to_owned(), advice)
}

/// An encrypted connection. One that the server closes without TLS's own farewell, as Redis does, simply ends: what was
/// cut off is seen by the missing rest of a frame, and the connection is opened anew in any case.
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
