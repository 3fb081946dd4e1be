//! The control socket with programs that do nothing but answer.

use std::env;
use std::net::Shutdown;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::*;

/// Says everything twice.
struct Echo;

impl Handler for Echo {
    type Request = String;
    type Answer = String;

    fn answer(&self, request: String) -> String {
        request.repeat(2)
    }

    fn refuse(&self, reason: String) -> String {
        reason
    }
}

fn asked(directory: &Path, request: &str) -> Result<Option<String>, NoAnswer> {
    ask(directory, &request, PATIENCE)
}

#[test]
fn a_request_gets_its_answer_and_nonsense_a_sentence() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(asked(directory.path(), "ha").unwrap(), None);
    let echo = Arc::new(Echo);
    listen(directory.path(), &echo).unwrap();
    let answer = asked(directory.path(), "ha").unwrap();
    assert_eq!(answer.as_deref(), Some("haha"));
    let answer: Option<String> = ask(directory.path(), &7, PATIENCE).unwrap();
    assert!(answer.unwrap().starts_with("the request is malformed"));
    let socket = directory.path().join(SOCKET);
    assert_eq!(
        fs::metadata(socket).unwrap().permissions().mode() & 0o777,
        0o600
    );
    unlisten(directory.path());
    assert_eq!(asked(directory.path(), "ha").unwrap(), None);
}

#[test]
fn a_request_that_is_too_long_is_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let echo = Arc::new(Echo);
    listen(directory.path(), &echo).unwrap();
    let long = "x".repeat(2 * MAX_REQUEST as usize);
    let answer = asked(directory.path(), &long).unwrap().unwrap();
    assert!(answer.starts_with("the request is too long"), "{answer}");
}

#[test]
fn more_than_can_be_served_at_once_wait_for_a_place() {
    let directory = tempfile::tempdir().unwrap();
    let echo = Arc::new(Echo);
    listen(directory.path(), &echo).unwrap();
    let silent = || UnixStream::connect(directory.path().join(SOCKET)).unwrap();
    let mut held: Vec<_> = (0..AT_ONCE).map(|_| silent()).collect();
    let short = Duration::from_millis(200);
    let late = ask::<_, String>(directory.path(), &"ha", short).unwrap_err();
    assert!(late.is_late() && !late.was_asked, "{late:?}");
    held.clear();
    let answer = asked(directory.path(), "ha").unwrap();
    assert_eq!(answer.as_deref(), Some("haha"));
}

#[test]
fn who_has_hung_up_is_told_from_who_waits() {
    let (program, asker) = UnixStream::pair().unwrap();
    assert!(!has_hung_up(&program).unwrap());
    send(&asker, &"ha").unwrap();
    asker.shutdown(Shutdown::Write).unwrap();
    assert!(!has_hung_up(&program).unwrap());
    drop(asker);
    assert!(has_hung_up(&program).unwrap());
}

/// Notes what was asked.
#[derive(Default)]
struct Noting(Mutex<Vec<String>>);

impl Handler for Noting {
    type Request = String;
    type Answer = String;

    fn answer(&self, request: String) -> String {
        self.0.lock().unwrap().push(request);
        "done".to_owned()
    }

    fn refuse(&self, reason: String) -> String {
        reason
    }
}

#[test]
fn nothing_is_done_for_who_has_hung_up() {
    let noting = Arc::new(Noting::default());
    let request = |text: &str, waits: bool| {
        let (program, asker) = UnixStream::pair().unwrap();
        send(&asker, &text).unwrap();
        // He hangs up after the program was ready for him.
        let asker = Some(asker).filter(|_| waits);
        let _ = answer(&Arc::downgrade(&noting), &program);
        drop(asker);
    };
    request("gone", false);
    request("waiting", true);
    assert_eq!(*noting.0.lock().unwrap(), ["waiting"]);
}

#[test]
fn only_the_own_user_and_root_are_trusted() {
    let [root, ada, bob] = [0, 1000, 1001].map(Uid::from_raw);
    assert!(is_trusted(ada, ada) && is_trusted(root, ada) && is_trusted(root, root));
    assert!(!is_trusted(bob, ada) && !is_trusted(ada, root));
}

/// Where the test below asks when it is its own child.
const DIRECTORY: &str = "TELEMED_TEST_CONTROL";

#[test]
fn another_user_is_refused_where_the_files_let_him_through() {
    if let Some(directory) = env::var_os(DIRECTORY) {
        let refused = asked(Path::new(&directory), "ha").is_err();
        std::process::exit(if refused { 9 } else { 8 });
    }
    if !geteuid().is_root() {
        // Nobody else can become another user.
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let echo = Arc::new(Echo);
    listen(directory.path(), &echo).unwrap();
    let open = |path: &Path, mode| {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    };
    open(directory.path(), 0o755);
    open(&directory.path().join(SOCKET), 0o666);
    let name = "control::tests::another_user_is_refused_where_the_files_let_him_through";
    for (user, code) in [(0, 8), (65_534, 9)] {
        // By this name, since the other user may not reach the file's own.
        let child = Command::new("/proc/self/exe")
            .args([name, "--exact"])
            .env(DIRECTORY, directory.path())
            .current_dir("/")
            .uid(user)
            .gid(user)
            .output()
            .unwrap();
        assert_eq!(child.status.code(), Some(code), "{child:?}");
    }
}
