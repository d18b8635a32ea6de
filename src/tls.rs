//! TLS set-up shared by the Redis client and the PostgreSQL store: trusted roots, client certificates, server
//! verification, and explanations of failed handshakes.
//!
//! Uses rustls with ring, passed explicitly: a second provider anywhere in the dependency tree would make the process
//! default ambiguous.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use tokio_rustls::rustls;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::model::display_safe;

/// Longest part of a rustls error that is repeated, in characters.
const CAUSE_CHARS_MAX: usize = 200;

/// Files that TLS uses in addition to the roots that this machine trusts.
///
/// # Examples
///
/// ```
/// use tickscope::client::{Endpoint, TlsFiles};
///
/// let files = TlsFiles { ca: Some("/nowhere/ca.pem".into()), ..TlsFiles::default() };
/// assert!(Endpoint::parse_with("rediss://localhost", &files).is_err());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate authorities to trust instead of this machine's own, as PEM.
    pub ca: Option<PathBuf>,
    /// Client certificate, followed by its intermediates, as PEM. Requires `key`.
    pub cert: Option<PathBuf>,
    /// Private key of `cert`, as PEM.
    pub key: Option<PathBuf>,
}

/// Names under which the user passes [`TlsFiles`], for error messages.
#[derive(Debug)]
pub(crate) struct OptionNames {
    pub(crate) ca: &'static str,
    pub(crate) cert: &'static str,
    pub(crate) key: &'static str,
}

/// Reasons why TLS cannot be set up. None repeats a file's content.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TlsError {
    /// The file is missing, unreadable or holds something else.
    #[error("{option} {path}: {reason}")]
    File {
        /// Option that names the file.
        option: &'static str,
        /// Path, safe to display.
        path: String,
        /// Fault of the file.
        reason: String,
    },
    /// The machine trusts no authority, and none was named.
    #[error("this machine has no list of trusted authorities; name the server's with {option} FILE")]
    NoRoots {
        /// Option that names an authority.
        option: &'static str,
    },
    /// The client certificate or its key is unusable, or one of them is missing.
    #[error("{cert} and {key} {fault}")]
    Identity {
        /// Option that names the certificate.
        cert: &'static str,
        /// Option that names the key.
        key: &'static str,
        /// Fault of the two, safe to display.
        fault: String,
    },
    /// The provider lacks a protocol version or a cipher.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// Checks made on the server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verification {
    /// Trusted authority and matching host name.
    Full,
    /// Trusted authority, any host name.
    AuthorityOnly,
    /// Any certificate; the connection is encrypted but not authenticated.
    None,
}

/// Reads the files and builds a client configuration.
pub(crate) fn client_config(
    files: &TlsFiles,
    names: &OptionNames,
    verification: Verification,
) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Setup(safe_text(&error)))?;
    let roots = || root_store(names.ca, files.ca.as_deref());
    let builder = match verification {
        Verification::Full => builder.with_root_certificates(roots()?),
        Verification::AuthorityOnly | Verification::None => {
            let roots = if verification == Verification::None { None } else { Some(roots()?) };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyNameVerifier { roots, provider }))
        }
    };
    let identity_error = |fault: String| TlsError::Identity { cert: names.cert, key: names.key, fault };
    match (&files.cert, &files.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(cert), Some(key)) => {
            let chain = read_certificates(names.cert, cert)?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| file_error(names.key, key, "private key", &error.to_string()))?;
            let config = builder.with_client_auth_cert(chain, key);
            config.map_err(|error| identity_error(format!("cannot be used: {}", safe_text(&error))))
        }
        _ => Err(identity_error("belong together: the certificate and its private key".to_owned())),
    }
}

fn root_store(option: &'static str, ca: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca {
        for certificate in read_certificates(option, path)? {
            let added = roots.add(certificate);
            added.map_err(|error| file_error(option, path, "usable certificate", &error.to_string()))?;
        }
    } else {
        // System stores contain obsolete certificates that cannot be parsed; those are skipped.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() { Err(TlsError::NoRoots { option }) } else { Ok(roots) }
}

fn read_certificates(option: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |reason: &str| file_error(option, path, "certificate", reason);
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| failed(&error.to_string()))?;
    if certificates.is_empty() { Err(failed("no section of this kind")) } else { Ok(certificates) }
}

fn file_error(option: &'static str, path: &Path, expected: &str, reason: &str) -> TlsError {
    let reason = match std::fs::metadata(path) {
        Err(error) => format!("cannot be read ({error})"),
        Ok(_) => format!("holds no {expected} in PEM form ({})", display_safe(reason)),
    };
    TlsError::File { option, path: display_safe(&path.display().to_string()).into_owned(), reason }
}

fn safe_text(error: &impl ToString) -> String {
    let text: String = error.to_string().chars().take(CAUSE_CHARS_MAX).collect();
    display_safe(text.trim_end_matches('.')).into_owned()
}

/// Verifier that ignores the host name and, without roots, the issuer too.
#[derive(Debug)]
struct AnyNameVerifier {
    roots: Option<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl AnyNameVerifier {
    /// Accepts a signature by a certificate that cannot be parsed if no authority is required: it encrypts like any
    /// other. A parsable certificate must still be the server's own, since channel binding may tie a password to it.
    fn tolerate_unparsable(
        &self,
        verified: Result<HandshakeSignatureValid, rustls::Error>,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match verified {
            Err(rustls::Error::InvalidCertificate(CertificateError::BadEncoding | CertificateError::Other(_)))
                if self.roots.is_none() =>
            {
                Ok(HandshakeSignatureValid::assertion())
            }
            verified => verified,
        }
    }
}

impl ServerCertVerifier for AnyNameVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.tolerate_unparsable(verify_tls12_signature(message, cert, dss, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.tolerate_unparsable(verify_tls13_signature(message, cert, dss, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Advice that names the caller's own options.
#[derive(Debug)]
pub(crate) struct Advice {
    /// Advice if a server does not answer in TLS.
    pub(crate) no_tls: &'static str,
    /// Advice if an issuer is not trusted.
    pub(crate) untrusted_issuer: &'static str,
    /// Advice if a server refuses the client.
    pub(crate) client_refused: &'static str,
}

/// TLS error inside an I/O error.
pub(crate) fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Cause of a failed handshake, safe to display, and the matching advice.
pub(crate) fn explain(error: &rustls::Error, advice: &Advice) -> (String, &'static str) {
    match error {
        rustls::Error::InvalidCertificate(error) => explain_certificate(error, advice),
        rustls::Error::InvalidMessage(_) => ("it does not answer in TLS".to_owned(), advice.no_tls),
        rustls::Error::AlertReceived(alert) => (format!("it refuses this client ({alert:?})"), advice.client_refused),
        rustls::Error::PeerIncompatible(_) => {
            ("it offers only obsolete, insecure encryption".to_owned(), "Enable TLS 1.2 or 1.3 on the server")
        }
        other => (safe_text(other), "Check host and port"),
    }
}

fn explain_certificate(error: &CertificateError, advice: &Advice) -> (String, &'static str) {
    let (cause, advice) = match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            ("is signed by an authority that is not trusted here".to_owned(), advice.untrusted_issuer)
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            (wrong_name(error), "Write the host in the URL as the certificate has it, or have one made for this name")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ("has expired".to_owned(), "Renew it on the server; if it is new, set this machine's clock")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("is not valid yet".to_owned(), "Set this machine's clock, or wait")
        }
        CertificateError::Revoked => ("was revoked".to_owned(), "Have a new one made for the server"),
        other => (
            format!("cannot be accepted ({})", safe_text(other)),
            "Have a certificate of version 3 made for the server, signed by an authority of its own",
        ),
    };
    (format!("its certificate {cause}"), advice)
}

fn wrong_name(error: &CertificateError) -> String {
    let CertificateError::NotValidForNameContext { presented, .. } = error else {
        return "is made out to another name".to_owned();
    };
    if presented.is_empty() {
        return "is made out to no name (it has no subjectAltName)".to_owned();
    }
    // rustls presents names as `DnsName("db.example")`.
    let inner = |name: &String| {
        let name = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
        safe_text(&name.trim_matches('"'))
    };
    let names: Vec<String> = presented.iter().map(inner).collect();
    format!("is made out to another name ({})", names.join(", "))
}
