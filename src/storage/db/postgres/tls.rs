//! The way to a server, encrypted: whom to trust, whom to be, and what it means when that fails.
//!
//! rustls with ring, handed over explicitly: a second provider anywhere in the tree would make the default ambiguous.

use std::error::Error as _;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio_postgres::Error;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    self, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use crate::model::display_safe;
use crate::storage::db::DbError;
use crate::storage::db::url::{Encryption, PostgresUrl, Strictness, shown_path};

/// The name that servers from version 17 on expect in the greeting.
const ALPN: &[u8] = b"postgresql";

/// What the client library says of everything that goes wrong before the first encrypted byte.
const HANDSHAKE: &str = "error performing TLS handshake";

/// And of a server without TLS.
const NONE: &str = "server does not support TLS";

/// What to do about a file that cannot be used.
const NAME_ANOTHER: &str = "name another file in the store's address";

/// What went wrong, safe to show, and what to do about it.
type Fault = (String, &'static str);

/// Reads the files that the address names, and prepares TLS with them.
pub(super) fn connector(url: &PostgresUrl) -> Result<MakeRustlsConnect, DbError> {
    build(url.encryption()).map_err(|(cause, advice)| DbError::Tls { store: url.to_string(), cause, advice })
}

fn build(encryption: &Encryption) -> Result<MakeRustlsConnect, Fault> {
    let provider = Arc::new(ring::default_provider());
    let setup = |error: rustls::Error| (shown(&error), "use a release of this program as it was published");
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(setup)?;
    let roots = match encryption.strictness {
        Strictness::VerifyCa | Strictness::VerifyFull => Some(roots(encryption.authorities.as_deref())?),
        Strictness::Disable | Strictness::Prefer | Strictness::Require => None,
    };
    let builder = match roots {
        Some(roots) if encryption.strictness == Strictness::VerifyFull => builder.with_root_certificates(roots),
        roots => {
            let any_name = Arc::new(AnyName { roots, provider });
            builder.dangerous().with_custom_certificate_verifier(any_name)
        }
    };
    let mut config = match &encryption.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates("sslcert", certificate)?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| unusable("sslkey", key, "private key", &error.to_string()))?;
            let config = builder.with_client_auth_cert(chain, key);
            config.map_err(|error| (format!("sslcert and sslkey cannot be used: {}", shown(&error)), NAME_ANOTHER))?
        }
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(MakeRustlsConnect::new(config))
}

fn shown(error: &rustls::Error) -> String {
    display_safe(&error.to_string()).into_owned()
}

fn roots(authorities: Option<&Path>) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = authorities {
        for certificate in certificates("sslrootcert", path)? {
            let added = roots.add(certificate);
            added.map_err(|error| unusable("sslrootcert", path, "usable certificate", &error.to_string()))?;
        }
    } else {
        // Machines carry certificates of long ago that nobody can read any more; the others count.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        let cause = "this machine has no list of trusted authorities".to_owned();
        return Err((cause, "name the server's with sslrootcert=FILE in the store's address"));
    }
    Ok(roots)
}

fn certificates(parameter: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let failed = |reason: &str| unusable(parameter, path, "certificate", reason);
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| failed(&error.to_string()))?;
    if certificates.is_empty() { Err(failed("no section of this kind")) } else { Ok(certificates) }
}

fn unusable(parameter: &str, path: &Path, wanted: &str, reason: &str) -> Fault {
    let reason = match std::fs::metadata(path) {
        Err(error) => format!("cannot be read ({error})"),
        Ok(_) => format!("holds no {wanted} in PEM form ({})", display_safe(reason)),
    };
    (format!("{parameter}={} {reason}", shown_path(path)), NAME_ANOTHER)
}

/// Asks for no name; without authorities not even for those.
#[derive(Debug)]
struct AnyName {
    roots: Option<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl AnyName {
    /// Where no authority is asked for, a certificate too old or too odd to be read serves for encryption like any
    /// other. One that can be read has to be the server's own all the same: a password may be bound to it.
    fn judge(
        &self,
        signed: Result<HandshakeSignatureValid, rustls::Error>,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match signed {
            Err(rustls::Error::InvalidCertificate(CertificateError::BadEncoding | CertificateError::Other(_)))
                if self.roots.is_none() =>
            {
                Ok(HandshakeSignatureValid::assertion())
            }
            signed => signed,
        }
    }
}

impl ServerCertVerifier for AnyName {
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
        self.judge(verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge(verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Whether encryption is why there is no connection.
pub(super) fn is_reason(error: &Error) -> bool {
    error.to_string() == HANDSHAKE || reason(error).is_some()
}

fn reason(error: &Error) -> Option<&rustls::Error> {
    error.source()?.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()
}

/// What went wrong and what to do about it, where encryption itself is the reason.
pub(super) fn explanation(error: &Error) -> Option<Fault> {
    let Some(reason) = reason(error) else {
        let source = error.source()?.to_string();
        return (error.to_string() == HANDSHAKE && source == NONE).then(|| {
            let advice = "switch ssl on there, or take sslmode and sslrootcert out of the address if the way is safe";
            ("the server has no TLS".to_owned(), advice)
        });
    };
    Some(match reason {
        rustls::Error::InvalidCertificate(error) => certificate_fault(error),
        rustls::Error::AlertReceived(alert) => (
            format!("the server refuses this client ({alert:?})"),
            "it may ask for a certificate that it knows: sslcert=FILE&sslkey=FILE in the address",
        ),
        rustls::Error::PeerIncompatible(_) => {
            ("the server offers nothing but old and broken encryption".to_owned(), "enable TLS 1.2 or 1.3 there")
        }
        other => (shown(other), "look what listens there"),
    })
}

fn certificate_fault(error: &CertificateError) -> Fault {
    let authority = "name the authority that signed it with sslrootcert=FILE in the address";
    match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            ("the server's certificate is signed by an authority that is not trusted here".to_owned(), authority)
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<String> = presented.iter().map(|name| inner_name(name)).collect();
            let whose = if names.is_empty() {
                "for no name at all (it has no subjectAltName)".to_owned()
            } else {
                format!("for other names ({})", names.join(", "))
            };
            let advice = "write the host in the address as the certificate has it, or have one made for this name";
            (format!("the server's certificate is {whose}"), advice)
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            let advice = "renew it on the server; if it is new, set this machine's clock";
            ("the server's certificate has expired".to_owned(), advice)
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("the server's certificate is not valid yet".to_owned(), "set this machine's clock, or wait")
        }
        other => {
            let cause = format!("the server's certificate cannot be accepted ({})", display_safe(&other.to_string()));
            (cause, "have a certificate of version 3 made for the server, signed by an authority of its own")
        }
    }
}

/// `DnsName("db.example")` without the kind of name before it.
fn inner_name(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    display_safe(inner.trim_matches('"')).into_owned()
}
