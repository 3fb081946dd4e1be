//! A PostgreSQL server of a test's own, which it can stop, freeze and start
//! again. The programs come from Debian's packages, or from the directory PGBIN.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use postgres::{Client, NoTls};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use crate::skip::skip;

/// Says, where it is set, that there is PostgreSQL to test with.
const ADDRESS: &str = "TELEMED_TEST_POSTGRES";
/// Servers of different tests have addresses of their own.
const PORT: u16 = 5432;
/// Who may connect, beside whoever initdb lets in.
const LET_IN: &str = "\nhost all all 127.0.0.0/8 trust\nhost all all 10.0.0.0/8 trust\n";

/// A running server with an empty database.
pub struct PostgresServer {
    directory: TempDir,
    bin: PathBuf,
    /// Where it listens.
    host: String,
}

impl PostgresServer {
    /// None, and that is said, if there is no server to test with.
    pub fn start() -> Option<Self> {
        static SERVERS: AtomicU32 = AtomicU32::new(1);
        let number = SERVERS.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let (high, low) = (1 + process % 250, process / 250 % 250);
        Self::start_at(&format!("127.{high}.{low}.{number}"), None)
    }

    /// The same at an address of this machine, with a certificate for it and its
    /// key, both in one file, if others reach it there.
    pub fn start_at(host: &str, certificate: Option<&Path>) -> Option<Self> {
        let Some(bin) = programs() else {
            skip("no PostgreSQL server; 'make test-postgres' says what is needed");
            return None;
        };
        let server = Self {
            directory: tempfile::Builder::new()
                .prefix("telemed-faults.")
                .tempdir()
                .unwrap(),
            bin,
            host: host.to_owned(),
        };
        let directory = server.directory.path();
        fs::set_permissions(directory, fs::Permissions::from_mode(0o711)).unwrap();
        copy(&template(&server.bin), &server.data());
        if let Some(certificate) = certificate {
            for name in ["server.crt", "server.key"] {
                let path = server.data().join(name);
                fs::copy(certificate, &path).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
                give_away(&path);
            }
        }
        give_away(directory);
        server.start_again();
        Some(server)
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Its certificate, where it was given one.
    pub fn certificate(&self) -> PathBuf {
        self.data().join("server.crt")
    }

    /// What `--store` is given.
    pub fn url(&self) -> String {
        format!("postgres://telemed@{}:{PORT}/postgres", self.host)
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("{}:{PORT}", self.host)
    }

    /// A connection beside those of the programs.
    pub fn client(&self) -> Client {
        Client::connect(&self.url(), NoTls).unwrap()
    }

    /// Stops it: `fast` as an administrator does, `immediate` as a power cut
    /// does.
    pub fn stop(&self, how: &str) {
        self.control(&["-m", how, "stop"]);
    }

    /// Starts it, with what it had.
    pub fn start_again(&self) {
        self.control(&["start"]);
    }

    /// Stops all its processes where they are: connections stay, and nothing is
    /// answered.
    pub fn freeze(&self) {
        let (first, children) = self.processes();
        for process in [first].into_iter().chain(children) {
            signal(process, Signal::STOP);
        }
        // Those that were made meanwhile.
        for process in self.processes().1 {
            signal(process, Signal::STOP);
        }
    }

    /// Lets them go on.
    pub fn thaw(&self) {
        let (first, children) = self.processes();
        for process in children.into_iter().chain([first]) {
            signal(process, Signal::CONT);
        }
    }

    fn processes(&self) -> (i32, Vec<i32>) {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        let first: i32 = file.lines().next().unwrap().parse().unwrap();
        let task = format!("/proc/{first}/task/{first}/children");
        let children = fs::read_to_string(task).unwrap();
        let children = children.split_whitespace().map(|pid| pid.parse().unwrap());
        (first, children.collect())
    }

    fn control(&self, words: &[&str]) {
        let directory = self.directory.path().display();
        let ssl = match self.data().join("server.key").exists() {
            true => "on",
            false => "off",
        };
        let options = format!(
            "-c listen_addresses={} -c port={PORT} -c unix_socket_directories={directory} \
             -c ssl={ssl}",
            self.host
        );
        let done = as_postgres(&self.bin.join("pg_ctl"))
            .arg("-D")
            .arg(self.data())
            .args(["-w", "-s", "-l"])
            .arg(self.data().join("log"))
            .args(["-o", &options])
            .args(words)
            .stdout(Stdio::null())
            .status();
        assert!(done.unwrap().success(), "pg_ctl {words:?}");
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if self.data().join("postmaster.pid").exists() {
            self.thaw();
            let data = self.data();
            let _ = as_postgres(&self.bin.join("pg_ctl"))
                .arg("-D")
                .arg(data)
                .args(["-m", "immediate", "-w", "-s", "stop"])
                .status();
        }
    }
}

fn signal(process: i32, signal: Signal) {
    // One that has ended meanwhile needs none.
    let _ = kill_process(Pid::from_raw(process).unwrap(), signal);
}

/// Where the server's programs are; none if these tests are not to run.
fn programs() -> Option<PathBuf> {
    env::var_os(ADDRESS)?;
    let newest = || {
        let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
        let number = |path: &PathBuf| -> u32 {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.parse().unwrap_or(0)
        };
        let versions = versions.flatten().map(|entry| entry.path());
        Some(versions.max_by_key(number)?.join("bin"))
    };
    let bin = env::var_os("PGBIN").map(PathBuf::from).or_else(newest)?;
    bin.join("initdb").exists().then_some(bin)
}

/// The server refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    let mut command = match geteuid().is_root() {
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
            command.arg("--reset-env").arg(program);
            command
        }
        false => Command::new(program),
    };
    command.current_dir("/");
    command
}

fn give_away(path: &Path) {
    if geteuid().is_root() {
        run(Command::new("chown").arg("postgres:").arg(path));
    }
}

fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").arg("-a").arg(from).arg(to));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

/// An empty database's files, which are made once and copied.
fn template(bin: &Path) -> PathBuf {
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let lock = File::create(base.join("postgres-template.lock")).unwrap();
    lock.lock().unwrap();
    let version: String = bin
        .to_string_lossy()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let template = base.join(format!("postgres-template-1-{version}"));
    if !template.exists() {
        // Its user need not reach the directory of the build.
        let made = TempDir::new().unwrap();
        fs::set_permissions(made.path(), fs::Permissions::from_mode(0o711)).unwrap();
        give_away(made.path());
        let data = made.path().join("data");
        run(as_postgres(&bin.join("initdb"))
            .arg("-D")
            .arg(&data)
            .args(["-U", "telemed", "-A", "trust", "-E", "UTF8"])
            .args(["--locale=C", "--no-sync"]));
        let rules = data.join("pg_hba.conf");
        let text = fs::read_to_string(&rules).unwrap() + LET_IN;
        fs::write(&rules, text).unwrap();
        let part = template.with_extension("part");
        let _ = fs::remove_dir_all(&part);
        copy(&data, &part);
        fs::rename(part, &template).unwrap();
    }
    template
}
