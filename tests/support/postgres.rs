//! Private PostgreSQL server of a test, with its database cluster in a temporary directory.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::server::free_port;
use super::wait::{poll, wait_until};

/// Longest wait for the server. A start takes a second and a recovery a few; the machine may be busy.
const LIMIT: Duration = super::wait::GUARD;

/// User of every test, a superuser.
pub const USER: &str = "keeper";

/// Password of [`USER`], with characters that an address must escape.
pub const PASSWORD: &str = "s3cr:et@/";

/// [`PASSWORD`] in escaped form.
const PASSWORD_ESCAPED: &str = "s3cr%3Aet%40%2F";

/// If this variable is set, the databases of all tests except those of TLS use TimescaleDB, which must be installed.
const TIMESCALE: &str = "TICKSCOPE_TEST_TIMESCALEDB";

/// Settings that load the extension and disable its telemetry.
const TIMESCALE_SETTINGS: [&str; 2] = ["shared_preload_libraries=timescaledb", "timescaledb.telemetry_level=off"];

/// A server; killed when dropped.
pub struct PostgresServer {
    child: Option<Child>,
    port: u16,
    options: Vec<String>,
    timescale: bool,
    dir: TempDir,
}

/// Directory of the programs of the newest installed version, as packaged by Debian.
fn find_programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    let found = folders.into_iter().rev().find(|folder| folder.join("postgres").exists());
    found.unwrap_or_else(|| panic!("PostgreSQL is not installed: run `scripts/test install`"))
}

/// Returns `true` for root. The server refuses to run as root, so it is then run as Debian's user `postgres`.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

fn command(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
    command
}

fn run(command: &mut Command) -> String {
    let name = format!("{command:?}");
    let output = command.output().unwrap_or_else(|error| panic!("{name} did not start: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} failed: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

impl PostgresServer {
    /// Starts a server with a new cluster and an empty database `ticks`.
    pub fn start() -> Self {
        Self::start_as(std::env::var_os(TIMESCALE).is_some(), &[], &[])
    }

    /// As [`Self::start`], with settings such as `ssl=on` and with additional files in the data directory, such as the
    /// certificate `server.crt` and its key `server.key`.
    pub fn start_with(settings: &[&str], files: &[(&str, &str)]) -> Self {
        Self::start_as(false, settings, files)
    }

    /// Starts a server whose databases have TimescaleDB; `None` if it is not installed.
    pub fn start_timescale() -> Option<Self> {
        let folder = find_programs();
        let asked = Command::new(folder.join("pg_config")).arg("--sharedir").output();
        let shared = asked.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned()).unwrap_or_default();
        // Debian installs pg_config only with the development files.
        let version = folder.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
        let shared = [shared, format!("/usr/share/postgresql/{version}")];
        let control = |shared: &String| Path::new(shared).join("extension/timescaledb.control");
        shared.iter().any(|shared| control(shared).exists()).then(|| Self::start_as(true, &[], &[]))
    }

    fn start_as(timescale: bool, settings: &[&str], files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let password_file = dir.path().join("password");
        fs::write(&password_file, PASSWORD).unwrap();
        if is_root() {
            run(Command::new("chown").args(["-R", "postgres:postgres"]).arg(dir.path()));
        } else {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        }
        let mut initdb = command(&find_programs().join("initdb"));
        initdb.args(["--no-sync", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "--username", USER]);
        initdb.arg("--pwfile").arg(&password_file).arg("--pgdata").arg(dir.path().join("data"));
        run(initdb.current_dir("/"));
        for (name, text) in files {
            let path = dir.path().join("data").join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            if is_root() {
                run(Command::new("chown").arg("postgres:postgres").arg(&path));
            }
        }
        let settings = settings.iter().chain(TIMESCALE_SETTINGS.iter().filter(|_| timescale));
        let options = settings.flat_map(|setting| ["-c".to_owned(), (*setting).to_owned()]).collect();
        let mut server = Self { child: None, port: free_port(), options, timescale, dir };
        server.start_again();
        server.create("ticks");
        server
    }

    /// Restarts the server on the same port with its data; after a crash, it recovers first.
    pub fn start_again(&mut self) {
        let mut postgres = command(&find_programs().join("postgres"));
        postgres.arg("-D").arg(self.dir.path().join("data")).args(["-p", &self.port.to_string()]);
        // Buffers and log are sized for tests. Settings that make commits durable keep their defaults.
        postgres
            .args(["-h", "127.0.0.1", "-k", "", "-c", "max_wal_size=4GB", "-c", "shared_buffers=256MB"])
            .args(&self.options);
        let child = postgres.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.child = Some(child);
        wait_until("PostgreSQL to answer", LIMIT, || {
            TcpStream::connect(("127.0.0.1", self.port)).is_ok() && self.try_psql("postgres", "SELECT 1").is_some()
        });
    }

    /// Kills all processes of the server at once, as in a crash of the machine.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        drop(child.kill());
        drop(child.wait());
        // The child processes detect that the postmaster has exited, and release the shared memory.
        let data = self.dir.path().join("data");
        wait_until("PostgreSQL to be gone", LIMIT, || {
            let mut processes = fs::read_dir("/proc").into_iter().flatten().flatten();
            !processes.any(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == data))
        });
    }

    /// Port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Process id of the postmaster.
    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Address of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD_ESCAPED}@127.0.0.1:{}/{database}", self.port)
    }

    /// psql command that connects to a database; the caller adds arguments.
    pub fn psql_command(&self, database: &str) -> Command {
        let mut psql = Command::new("psql");
        psql.env("PGPASSWORD", PASSWORD).env("PGCONNECT_TIMEOUT", "5");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", USER, "-d", database]);
        psql.args(["-p", &self.port.to_string()]);
        psql
    }

    /// Runs a statement and returns its rows as lines, with the values separated by `|`.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        run(self.psql_command(database).args(["-c", sql])).trim_end().to_owned()
    }

    fn try_psql(&self, database: &str, sql: &str) -> Option<String> {
        let output = self.psql_command(database).args(["-c", sql]).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Creates an empty database and returns its address.
    pub fn create(&self, database: &str) -> String {
        self.psql("postgres", &format!("CREATE DATABASE {database}"));
        if self.timescale {
            self.psql(database, "CREATE EXTENSION timescaledb");
        }
        self.url(database)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // An immediate shutdown ends all processes. If only the postmaster is killed, its children survive for a
            // while.
            drop(Command::new("sh").args(["-c", &format!("kill -QUIT {}", child.id())]).status());
            let ended = poll(Duration::from_secs(5), || child.try_wait().ok().flatten());
            if ended.is_none() {
                drop(child.kill());
                drop(child.wait());
            }
        }
    }
}
