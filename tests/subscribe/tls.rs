//! TLS connections with valid and invalid certificates, over a real redis-server.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;

use super::fixture::{LIMIT, assert_clean, finish, subscribed};
use crate::support::process::{Ended, Launch, consumer, producer};
use crate::support::server::{RedisServer, free_port};
use crate::support::wait::wait_until;

const SECRET: &str = "s3cr3t-w0rd";

/// Certificate authority of a test, and the files that it has signed.
struct Authority {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
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

    fn ca(&self) -> String {
        self.path("ca.pem")
    }

    /// Signs a certificate for `host` that is valid until the end of `until`. Returns the options for it and its key.
    fn sign(&self, host: &str, until: i32) -> [String; 2] {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 12, 31);
        let key = KeyPair::generate().unwrap();
        let files = ["cert", "key"].map(|kind| self.path(&format!("{host}-{until}-{kind}.pem")));
        std::fs::write(&files[0], params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        std::fs::write(&files[1], key.serialize_pem()).unwrap();
        files
    }

    /// Server that presents `identity`. Returns it with its port.
    fn server(&self, identity: &[String; 2], options: &[&str]) -> (RedisServer, u16) {
        let (port, ca) = (free_port(), self.ca());
        let port_text = port.to_string();
        let files = ["--tls-cert-file", &identity[0], "--tls-key-file", &identity[1], "--tls-ca-cert-file", &ca];
        let all = [&["--tls-port", &port_text][..], &files, options].concat();
        let server = RedisServer::start_with(&all);
        wait_until("the port for TLS", LIMIT, || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        (server, port)
    }
}

fn headless(url: &str) -> Launch {
    consumer().args(["--headless", "--stats", "json", "-v"]).env("REDIS_URL", url)
}

fn publishing(url: &str) -> Launch {
    producer().args(["--interval", "0", "--count", "20000", "--stats", "json", "-v"]).env("REDIS_URL", url)
}

/// Checks that both programs fail with status 1 and report `what` and `advice`.
#[track_caller]
fn both_refuse(url: &str, options: &[&str], what: &str, advice: &str) {
    for launch in [headless(url), publishing(url)] {
        let ended = launch.args(options).run(LIMIT).expect_code(1);
        let error = ended.stderr.lines().last().unwrap();
        assert!(error.starts_with("error: ") && error.contains(what) && error.contains(advice), "{ended:?}");
        assert_secret(&ended);
    }
}

#[track_caller]
fn assert_secret(ended: &Ended) {
    assert!(!ended.stderr.contains(SECRET) && !ended.stdout.contains(SECRET), "{ended:?}");
    assert_clean(ended);
}

/// Checks that every tick reaches the consumer.
#[track_caller]
fn ticks_flow(url: &str, options: &[&str]) {
    let listening = subscribed(headless(url).args(options));
    let ended = publishing(url).args(options).run(LIMIT).expect_code(0);
    assert_eq!((&ended.json()["sent"], &ended.json()["reconnects"]), (&20_000.into(), &0.into()));
    assert_secret(&ended);
    let report = finish(listening, 20_000, 0);
    assert_eq!((&report["received"], &report["lost"]), (&20_000.into(), &0.into()), "{report}");
}

#[test]
fn ticks_travel_encrypted_and_with_a_password() {
    let authority = Authority::new();
    let (_server, port) =
        authority.server(&authority.sign("localhost", 2100), &["--tls-auth-clients", "no", "--requirepass", SECRET]);
    let ca = authority.ca();
    for (scheme, tail) in [("rediss", ""), ("valkeys", "/0?protocol=resp3")] {
        ticks_flow(&format!("{scheme}://:{SECRET}@localhost:{port}{tail}"), &["--tls-ca", &ca]);
    }
    let ended = publishing(&format!("rediss://:{SECRET}@localhost:{port}")).env("TICKSCOPE_TLS_CA", &ca).run(LIMIT);
    assert!(ended.expect_code(0).stderr.contains(&format!("connected to rediss://localhost:{port}")));
    both_refuse(&format!("rediss://:{SECRET}x@localhost:{port}"), &["--tls-ca", &ca], "WRONGPASS", "Check user");
}

#[test]
fn a_server_that_is_killed_is_left_and_found_again() {
    let authority = Authority::new();
    let identity = authority.sign("localhost", 2100);
    let (server, port) = authority.server(&identity, &["--tls-auth-clients", "no"]);
    let mut listening = subscribed(headless(&format!("rediss://localhost:{port}")).args(["--tls-ca", &authority.ca()]));
    drop(server);
    // Redis closes the connection without TLS's `close_notify`, which is not reported as a protocol error.
    listening.wait_for_stderr("closed the connection", LIMIT);
    assert!(!listening.stderr().contains("close_notify"), "{listening:?}");
    assert_clean(&listening.stop("TERM", LIMIT).expect_code(0));
}

#[test]
fn a_certificate_that_does_not_hold_is_refused_with_the_reason() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (ca, other) = (authority.ca(), stranger.ca());
    let (_server, port) = authority.server(&authority.sign("localhost", 2100), &["--tls-auth-clients", "no"]);
    let url = format!("rediss://localhost:{port}");
    both_refuse(&url, &["--tls-ca", &other], "an authority that is not trusted here", "--tls-ca FILE");
    let by_address = format!("rediss://127.0.0.1:{port}");
    both_refuse(&by_address, &["--tls-ca", &ca], "made out to another name", "Write the host in the URL");
    let (_server, port) = authority.server(&authority.sign("localhost", 2020), &["--tls-auth-clients", "no"]);
    both_refuse(&format!("rediss://localhost:{port}"), &["--tls-ca", &ca], "has expired", "Renew it");
}

#[test]
fn tls_and_no_tls_are_told_apart() {
    let authority = Authority::new();
    let (server, port) = authority.server(&authority.sign("localhost", 2100), &["--tls-auth-clients", "no"]);
    let ca = authority.ca();
    let plain = format!("rediss://localhost:{}", server.port);
    both_refuse(&plain, &["--tls-ca", &ca], "it does not answer in TLS", "write redis://");
    both_refuse(&format!("redis://localhost:{port}"), &[], "it expects TLS", "Write rediss://");
}

#[test]
fn a_client_shows_its_certificate_to_a_server_that_asks() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (_server, port) = authority.server(&authority.sign("localhost", 2100), &["--tls-auth-clients", "yes"]);
    let url = format!("rediss://localhost:{port}");
    let ca = authority.ca();
    both_refuse(&url, &["--tls-ca", &ca], "refuses this client", "--tls-cert FILE --tls-key FILE");
    let [cert, key] = stranger.sign("client", 2100);
    let unknown = ["--tls-ca", &ca, "--tls-cert", &cert, "--tls-key", &key];
    both_refuse(&url, &unknown, "refuses this client", "--tls-cert FILE --tls-key FILE");
    let [cert, key] = authority.sign("client", 2100);
    ticks_flow(&url, &["--tls-ca", &ca, "--tls-cert", &cert, "--tls-key", &key]);
}

#[test]
fn a_unix_socket_with_a_password_carries_ticks_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("redis.sock");
    let name = path.to_str().unwrap();
    let _server = RedisServer::start_with(&["--unixsocket", name, "--requirepass", SECRET]);
    wait_until("the socket", LIMIT, || Path::new(name).exists());
    ticks_flow(&format!("unix://{name}?pass={SECRET}"), &[]);
    both_refuse(&format!("unix://{name}"), &[], "NOAUTH", "Give the password");
}
