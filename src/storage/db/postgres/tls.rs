//! TLS towards a PostgreSQL server, as `sslmode` asks for it.

use std::error::Error as _;
use std::io;

use tokio_postgres::Error;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls;

use crate::storage::db::backend::{Failure, StoreError, StoreResult};
use crate::storage::db::url::PostgresUrl;
use crate::tls::{Advice, OptionNames, client_config, explain, tls_error};

/// Protocol name that servers from version 17 on expect in the handshake.
const ALPN: &[u8] = b"postgresql";

/// Error text of the client library for all failures before the first encrypted byte.
const HANDSHAKE_ERROR: &str = "error performing TLS handshake";

/// Error text of the client library for a server without TLS.
const NO_TLS_ERROR: &str = "server does not support TLS";

const OPTIONS: OptionNames = OptionNames { ca: "sslrootcert", cert: "sslcert", key: "sslkey" };

const ADVICE: Advice = Advice {
    no_tls: "Check host and port in the store's URL",
    untrusted_issuer: "Name the authority that signed it with sslrootcert=FILE in the store's URL",
    client_refused: "It may ask for a certificate that it knows: sslcert=FILE&sslkey=FILE in the store's URL",
};

/// Reads the files that the URL names and prepares TLS.
pub(super) fn connector(url: &PostgresUrl) -> StoreResult<MakeRustlsConnect> {
    let advice = "Check sslrootcert, sslcert and sslkey in the store's URL";
    let mut config = client_config(&url.tls_files, &OPTIONS, url.verification)
        .map_err(|error| StoreError::new(Failure::Tls { advice }, error.to_string()))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(MakeRustlsConnect::new(config))
}

/// Reports whether the connection failed because of encryption.
pub(super) fn is_cause(error: &Error) -> bool {
    error.to_string() == HANDSHAKE_ERROR || rustls_error(error).is_some()
}

fn rustls_error(error: &Error) -> Option<&rustls::Error> {
    tls_error(error.source()?.downcast_ref::<io::Error>()?)
}

/// Explanation of an error that TLS itself is the reason of.
pub(super) fn explanation(error: &Error) -> Option<StoreError> {
    let (cause, advice) = if let Some(error) = rustls_error(error) {
        explain(error, &ADVICE)
    } else if error.to_string() == HANDSHAKE_ERROR && error.source()?.to_string() == NO_TLS_ERROR {
        let advice = "Set ssl=on there, or remove sslmode and sslrootcert from the URL if the network is trusted";
        ("the server has no TLS".to_owned(), advice)
    } else {
        return None;
    };
    Some(StoreError::new(Failure::Tls { advice }, cause))
}
