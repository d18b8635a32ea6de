//! TLS to a real PostgreSQL server, as strict as `sslmode` asks for.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tickscope::storage::db::{DbConfig, DbError, DbWriter, StoreReader, StoreUrl};

use super::crashes::kill_server_in_mid_load;
use super::fixture::{LIMIT, heard, keeper, numbered, wait_committed};
use crate::support::postgres::{PASSWORD, PostgresServer};

/// End years of validity: far in the future, and in the past.
const VALID: i32 = 2100;
const OVER: i32 = 2001;

/// Certificate authority of a test.
struct Authority {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// Certificate and private key, as PEM.
struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority of this test");
        let key = KeyPair::generate().unwrap();
        std::fs::write(dir.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), dir }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn sign(&self, names: &[&str], until: i32) -> Identity {
        let names: Vec<String> = names.iter().copied().map(str::to_owned).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 12, 31);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity { certificate, key: key.serialize_pem() }
    }

    /// Server with a certificate for `host`.
    fn server(&self, host: &str, until: i32) -> PostgresServer {
        let identity = self.sign(&[host], until);
        PostgresServer::start_with(&["ssl=on"], &[("server.crt", &identity.certificate), ("server.key", &identity.key)])
    }
}

/// URL of the server's database `ticks` for a host name, with parameters.
fn address(server: &PostgresServer, host: &str, query: &str) -> String {
    format!("{}?{query}", server.url("ticks").replace("127.0.0.1", host))
}

/// Stores a tick and reads it back. Returns whether the server saw an encrypted connection.
#[track_caller]
fn keeps_encrypted(server: &PostgresServer, address: &str, ms: i64) -> bool {
    let url: StoreUrl = address.parse().unwrap();
    let keeper = keeper(&url, None);
    assert_eq!(keeper.offer(heard(&[numbered("p", ms as u64, ms, 1.0)])), 0);
    wait_committed(&keeper, 1);
    let seen = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name LIKE 'tickscope%'";
    let seen = server.psql("ticks", seen);
    assert_eq!(keeper.close(LIMIT).written, 1);
    let mut reader = StoreReader::open(&url).unwrap();
    assert!(reader.span().unwrap().is_some_and(|(_, newest_ns)| newest_ns % 1_000_000_000 == ms * 1_000_000));
    seen == "t"
}

/// Checks that writer and reader fail with errors that contain `what` and not the password.
#[track_caller]
fn refuses(address: &str, what: &[&str]) {
    let url: StoreUrl = address.parse().unwrap();
    let writer = DbWriter::open(DbConfig { url: url.clone(), keep_age_ns: None, rows_waiting_max: 10 }).unwrap_err();
    let reader = StoreReader::open(&url).unwrap_err();
    for error in [writer, reader] {
        assert!(matches!(error, DbError::Tls { .. }), "{error}");
        let said = format!("{error} {error:?}");
        assert!(what.iter().all(|word| said.contains(word)), "{said}");
        assert!(!said.contains(PASSWORD) && !said.contains("s3cr"), "{said}");
    }
}

#[test]
fn each_sslmode_encrypts_and_verifies_as_documented() {
    let authority = Authority::new();
    let ca = authority.path("ca.pem");
    let server = authority.server("localhost", VALID);
    let encrypted = [
        (String::new(), "localhost"),
        ("sslmode=prefer".to_owned(), "127.0.0.1"),
        ("sslmode=require".to_owned(), "127.0.0.1"),
        (format!("sslmode=require&sslrootcert={ca}"), "127.0.0.1"),
        (format!("sslmode=verify-ca&sslrootcert={ca}"), "127.0.0.1"),
        (format!("sslmode=verify-full&sslrootcert={ca}"), "localhost"),
        (format!("sslrootcert={ca}&channel_binding=require"), "localhost"),
    ];
    for (ms, (query, host)) in encrypted.iter().enumerate() {
        assert!(keeps_encrypted(&server, &address(&server, host, query), ms as i64), "{query}");
    }
    assert!(!keeps_encrypted(&server, &address(&server, "localhost", "sslmode=disable"), 99));
    // The certificate is issued for localhost only.
    let query = format!("sslmode=verify-full&sslrootcert={ca}");
    refuses(&address(&server, "127.0.0.1", &query), &["made out to another name (localhost)", "Write the host"]);
    // This machine does not trust the issuer.
    let what = ["signed by an authority that is not trusted here", "sslrootcert=FILE"];
    refuses(&address(&server, "localhost", "sslmode=verify-full"), &what);
    for mode in ["verify-full", "verify-ca"] {
        let other = Authority::new();
        let query = format!("sslmode={mode}&sslrootcert={}", other.path("ca.pem"));
        refuses(&address(&server, "localhost", &query), &what);
    }
}

#[test]
fn an_expired_certificate_is_rejected_by_verifying_modes() {
    let authority = Authority::new();
    let server = authority.server("localhost", OVER);
    for mode in ["verify-full", "verify-ca"] {
        let query = format!("sslmode={mode}&sslrootcert={}", authority.path("ca.pem"));
        refuses(&address(&server, "localhost", &query), &["has expired", "Renew it"]);
    }
    assert!(keeps_encrypted(&server, &address(&server, "localhost", "sslmode=require"), 1), "nobody looks");
}

#[test]
fn a_server_without_tls_is_rejected_by_strict_modes() {
    let server = PostgresServer::start();
    for (ms, query) in ["", "sslmode=prefer", "sslmode=disable"].into_iter().enumerate() {
        assert!(!keeps_encrypted(&server, &address(&server, "127.0.0.1", query), ms as i64), "{query}");
    }
    let ca = Authority::new();
    let own = format!("sslmode=verify-ca&sslrootcert={}", ca.path("ca.pem"));
    for query in ["sslmode=require", &own, "sslmode=verify-full"] {
        refuses(&address(&server, "127.0.0.1", query), &["has no TLS", "Set ssl=on there"]);
    }
}

#[test]
fn a_client_certificate_is_presented() {
    let authority = Authority::new();
    let own = authority.sign(&["localhost"], VALID);
    let client = authority.sign(&["keeper"], VALID);
    let ca = std::fs::read_to_string(authority.path("ca.pem")).unwrap();
    let hba = "hostssl ticks all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n\
               hostnossl clear all 127.0.0.1/32 scram-sha-256\n\
               host postgres all 127.0.0.1/32 scram-sha-256\n";
    let files = [("server.crt", &*own.certificate), ("server.key", &own.key), ("ca.crt", &ca), ("pg_hba.conf", hba)];
    let server = PostgresServer::start_with(&["ssl=on", "ssl_ca_file=ca.crt"], &files);
    let files = [("client.pem", &client.certificate), ("client.key", &client.key)];
    for (name, text) in files {
        std::fs::write(authority.path(name), text).unwrap();
    }
    let identity = format!("sslcert={}&sslkey={}", authority.path("client.pem"), authority.path("client.key"));
    let url: StoreUrl = address(&server, "127.0.0.1", &format!("sslmode=require&{identity}")).parse().unwrap();
    let keeper = keeper(&url, None);
    keeper.offer(heard(&[numbered("p", 1, 1, 1.0)]));
    assert_eq!(keeper.close(LIMIT).written, 1);
    assert_eq!(StoreReader::open(&url).unwrap().symbols().unwrap().len(), 1);
    // Without a certificate, the server refuses.
    let url: StoreUrl = address(&server, "127.0.0.1", "sslmode=require").parse().unwrap();
    let error = StoreReader::open(&url).unwrap_err();
    assert!(matches!(&error, DbError::Refused { cause, .. } if cause.contains("certificate")), "{error}");
    // sslmode=prefer reaches a database that accepts plain connections only.
    let url: StoreUrl = server.create("clear").parse().unwrap();
    assert_eq!(super::fixture::keeper(&url, None).close(LIMIT).dropped, 0);
    assert!(StoreReader::open(&url).is_ok());
}

#[test]
fn unusable_tls_files_are_named() {
    let authority = Authority::new();
    let server = authority.server("localhost", VALID);
    let key = authority.path("key.pem");
    std::fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let ca = authority.path("ca.pem");
    for (query, what) in [
        ("sslrootcert=%2Fno%2Fsuch.pem".to_owned(), "sslrootcert /no/such.pem: cannot be read"),
        (format!("sslrootcert={key}"), "holds no certificate in PEM form"),
        (format!("sslrootcert={ca}&sslcert={ca}&sslkey={ca}"), "holds no private key in PEM form"),
        (format!("sslrootcert={ca}&sslcert={ca}&sslkey={key}"), "sslcert and sslkey cannot be used"),
    ] {
        refuses(
            &address(&server, "localhost", &query),
            &[what, "Check sslrootcert, sslcert and sslkey in the store's URL"],
        );
    }
    assert!(Path::new(&ca).exists());
}

#[test]
fn a_tls_server_killed_under_load_stores_exactly_once() {
    let authority = Authority::new();
    let server = authority.server("localhost", VALID);
    let query = format!("sslmode=verify-full&sslrootcert={}", authority.path("ca.pem"));
    let url: StoreUrl = address(&server, "localhost", &query).parse().unwrap();
    kill_server_in_mid_load(server, &url);
}
