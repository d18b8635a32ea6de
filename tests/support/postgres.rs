//! A real PostgreSQL server of a test's own: a cluster in a folder that goes with it.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::server::free_port;
use super::wait::{poll, wait_until};

/// Starting a cluster takes a second, recovering one after a crash a few; the machine may be busy.
const LIMIT: Duration = super::wait::GUARD;

/// The user of every test; it may do everything.
pub const USER: &str = "keeper";

/// Its password, with signs that an address has to escape.
pub const PASSWORD: &str = "s3cr:et@/";

/// The same as it stands in an address.
const PASSWORD_ESCAPED: &str = "s3cr%3Aet%40%2F";

/// Set to anything, it gives the databases of all tests but those of TLS the extension, which has to be installed then.
const TIMESCALE: &str = "TICKSCOPE_TEST_TIMESCALEDB";

/// Loads the extension, and sends nothing to its makers.
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

/// A server refuses to run as root, so root runs it as Debian's own user for it.
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
    /// A new cluster with an empty database `ticks`.
    pub fn start() -> Self {
        Self::start_as(std::env::var_os(TIMESCALE).is_some(), &[], &[])
    }

    /// The same with settings, such as `ssl=on`, and with files in its folder, where `server.crt` and `server.key` are
    /// its certificate.
    pub fn start_with(settings: &[&str], files: &[(&str, &str)]) -> Self {
        Self::start_as(false, settings, files)
    }

    /// A new cluster whose databases have TimescaleDB; `None` where that is not installed.
    pub fn start_timescale() -> Option<Self> {
        let folder = find_programs();
        let asked = Command::new(folder.join("pg_config")).arg("--sharedir").output();
        let shared = asked.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned()).unwrap_or_default();
        // Debian has pg_config with its programs only where extensions are built.
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

    /// Starts it on the same port with what it had; after a crash it recovers first.
    pub fn start_again(&mut self) {
        let mut postgres = command(&find_programs().join("postgres"));
        postgres.arg("-D").arg(self.dir.path().join("data")).args(["-p", &self.port.to_string()]);
        // Small as tests are; whatever promises that a commit lasts stays as it is.
        postgres
            .args(["-h", "127.0.0.1", "-k", "", "-c", "max_wal_size=4GB", "-c", "shared_buffers=256MB"])
            .args(&self.options);
        let child = postgres.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.child = Some(child);
        wait_until("PostgreSQL to answer", LIMIT, || {
            TcpStream::connect(("127.0.0.1", self.port)).is_ok() && self.try_psql("postgres", "SELECT 1").is_some()
        });
    }

    /// Kills all of it at once, as a crash of the machine does.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        drop(child.kill());
        drop(child.wait());
        // Its processes notice that the first one is gone, and let go of what they share.
        let data = self.dir.path().join("data");
        wait_until("PostgreSQL to be gone", LIMIT, || {
            let mut processes = fs::read_dir("/proc").into_iter().flatten().flatten();
            !processes.any(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == data))
        });
    }

    /// On 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the first of its processes.
    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// The address of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD_ESCAPED}@127.0.0.1:{}/{database}", self.port)
    }

    /// psql, connected to a database; arguments follow.
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

    /// A new, empty database.
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
            // A fast shutdown ends all of its processes, which a kill of the first leaves to themselves for a while.
            drop(Command::new("sh").args(["-c", &format!("kill -QUIT {}", child.id())]).status());
            let ended = poll(Duration::from_secs(5), || child.try_wait().ok().flatten());
            if ended.is_none() {
                drop(child.kill());
                drop(child.wait());
            }
        }
    }
}
