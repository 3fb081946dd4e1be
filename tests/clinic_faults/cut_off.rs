//! A node in a network namespace of its own, which is cut off from the others and
//! from PostgreSQL: what is sent there is lost, and nothing refuses it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::postgres_server::PostgresServer;
use crate::scene::{Scene, until};
use crate::skip::skip;

/// How many namespaces this process has made.
static MADE: AtomicU32 = AtomicU32::new(0);

/// A namespace with one line to the rest, both ends of which have addresses.
pub struct Namespace {
    name: String,
    outside: String,
    pub inside: String,
}

impl Namespace {
    /// None, and that is said, if this user may not make one.
    pub fn new() -> Option<Self> {
        // Tests run side by side in one process, or in several.
        let count = MADE.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let name = format!("tm{process}n{count}");
        if !rustix::process::geteuid().is_root() || !ip(&["netns", "add", &name]) {
            skip("only root may make a network namespace, with the package 'iproute2'");
            return None;
        }
        let line = process.wrapping_add(count * 8_192);
        let (high, low) = (line / 64 % 256, line % 64 * 4);
        let address = |last| format!("10.231.{high}.{}", low + last);
        let namespace = Self {
            outside: address(1),
            inside: address(2),
            name,
        };
        let Self {
            name,
            outside,
            inside,
        } = &namespace;
        let (line, end) = (format!("{name}o"), format!("{name}i"));
        let (outside, inside) = (format!("{outside}/30"), format!("{inside}/30"));
        for words in [
            &["link", "add", &line, "type", "veth", "peer", "name", &end][..],
            &["link", "set", &end, "netns", name],
            &["address", "add", &outside, "dev", &line],
            &["link", "set", &line, "up"],
            &["-n", name, "address", "add", &inside, "dev", &end],
            &["-n", name, "link", "set", "lo", "up"],
            &["-n", name, "link", "set", &end, "up"],
        ] {
            assert!(ip(words), "ip {words:?}");
        }
        Some(namespace)
    }

    /// Up or down: then what is sent is lost.
    pub fn set(&self, state: &str) {
        assert!(ip(&["link", "set", &format!("{}o", self.name), state]));
    }

    /// A clinic whose second node, and all patients but the first, are in it, and
    /// what the nodes are given as `--store`. The first patient is connected to the
    /// first node. None if there is nothing to test with.
    pub fn scene(&self, patients: &[&str]) -> Option<(Scene, String)> {
        let base = tempfile::tempdir().unwrap();
        let certificate = certificate(base.path(), &self.outside);
        let server = PostgresServer::start_at(&self.outside, Some(&certificate))?;
        let store = |server: &PostgresServer| {
            format!(
                "{}?sslrootcert={}",
                server.url(),
                server.certificate().display()
            )
        };
        let mut scene = Scene::on(server, patients, store);
        scene.kill_node("D2");
        scene.inside("D2", self.prefix(), &self.inside);
        scene.start_node("D2");
        for patient in patients {
            scene.watch(patient, &[]);
            scene.is_connected(patient, "D1");
            scene.knows(patient, &self.inside);
        }
        for patient in &patients[1..] {
            scene.end_watch(patient);
            scene.inside(patient, self.prefix(), "");
        }
        let store = scene.store.clone();
        Some((scene, store))
    }

    /// What stands before a program that runs in it.
    fn prefix(&self) -> Vec<String> {
        ["ip", "netns", "exec", &self.name]
            .map(str::to_owned)
            .to_vec()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The line goes with it.
        ip(&["netns", "delete", &self.name]);
        ip(&["link", "delete", &format!("{}o", self.name)]);
    }
}

fn ip(words: &[&str]) -> bool {
    let output = Command::new("ip").args(words).output();
    output.is_ok_and(|output| output.status.success())
}

/// A certificate for this address that signs for itself, with its key.
fn certificate(directory: &Path, address: &str) -> PathBuf {
    let (configuration, both) = (directory.join("conf"), directory.join("both.pem"));
    let text = format!(
        "[req]\ndistinguished_name = name\nx509_extensions = extensions\nprompt = no\n\
         [name]\ncommonName = database\n[extensions]\nsubjectAltName = IP:{address}\n\
         basicConstraints = critical, CA:FALSE\n"
    );
    fs::write(&configuration, text).unwrap();
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"])
        .args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-config"])
        .arg(&configuration)
        .arg("-keyout")
        .arg(&both)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut text = fs::read(&both).unwrap();
    text.extend(output.stdout);
    fs::write(&both, text).unwrap();
    both
}

#[test]
fn a_node_that_is_cut_off_keeps_its_sessions_and_comes_back_with_everything() {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    let Some((mut scene, _)) = namespace.scene(&["P1", "P2", "P3"]) else {
        return;
    };
    scene.watch("P2", &["--doctor-id", "D2"]);
    scene.is_connected("P2", "D2");
    scene.send_now("D1", None).unwrap();
    until("P2 has it", || {
        let sql = "SELECT count(*) FROM delivery WHERE patient = 'P2' AND delivered IS NULL";
        scene.number(sql) == 0
    });

    namespace.set("down");
    let cut = Instant::now();
    let line = scene.node_says("D2", "\"type\":\"store_away\"");
    assert!(line.contains("does not answer since"), "{line}");
    assert!(cut.elapsed() < Duration::from_secs(30), "{line}");
    // It takes nothing, and lets nobody in who has no session in its memory.
    let sentence = scene.send_now("D2", None).unwrap_err();
    assert!(sentence.contains("does not answer since"), "{sentence}");
    let written = scene.write("P2");
    scene.note(written).unwrap();
    scene.watch("P3", &["--doctor-id", "D2"]);
    let watch = scene.watches.get_mut("P3").unwrap();
    watch.expect("full or stopping");
    // The others go on.
    for _ in 0..3 {
        scene.send_now("D1", None).unwrap();
    }
    scene.send_now("D1", Some("P2")).unwrap();
    let written = scene.write("P1");
    scene.note(written).unwrap();
    // Longer than a line may be silent, and P2 has had none of it.
    while cut.elapsed() < Duration::from_secs(50) {
        let watch = scene.watches.get_mut("P2").unwrap();
        assert!(!watch.ends_within(Duration::from_secs(2)));
    }
    let said = scene.watches["P2"].transcript();
    assert!(!said.contains("\"type\":\"lost\""), "{said}");
    assert_eq!(said.matches("\"type\":\"received\"").count(), 1, "{said}");

    namespace.set("up");
    scene.node_says("D2", "\"type\":\"store_back\"");
    scene.is_connected("P3", "D2");
    until("it accepts again", || scene.send_now("D2", None).is_ok());
    scene.account();
    drop(namespace);
}

/// What a program does when it is run behind `prefix`.
pub fn behind(prefix: &[String], command: &Command) -> Command {
    let mut whole = Command::new(&prefix[0]);
    whole.args(&prefix[1..]).arg(command.get_program());
    whole.args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            whole.env(name, value);
        }
    }
    whole.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    if let Some(directory) = command.get_current_dir() {
        whole.current_dir(directory);
    }
    whole
}
