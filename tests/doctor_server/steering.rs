//! The control socket: commands from other processes to a running server.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use telemed::control;
use telemed::doctor::control::{Answer, Broadcast, Request};
use telemed::doctor::deliveries::{self, MessageReport};
use telemed::doctor::desk::Desk;
use telemed::doctor::office;
use telemed::identity::ticket::Ticket;
use tempfile::TempDir;

use crate::support::{Person, Practice, eventually};

const SOCKET: &str = "control.sock";

fn ask(directory: &Path, request: &Request) -> Option<Answer> {
    control::ask(directory, request, control::PATIENCE).unwrap()
}

/// A practice with a desk that listens.
struct Office {
    practice: Practice,
    desk: Arc<Desk>,
    stops: Arc<AtomicUsize>,
    base: TempDir,
    directory: PathBuf,
    address: std::net::SocketAddr,
}

impl Office {
    fn open() -> Self {
        Self::open_in("data")
    }

    fn open_in(directory: &str) -> Self {
        let mut practice = Practice::open();
        let address = practice.address();
        let base = TempDir::new().unwrap();
        let directory = base.path().join(directory);
        fs::create_dir_all(&directory).unwrap();
        let stops = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&stops);
        let server = practice.take_server();
        let reached_at = address.to_string().parse().unwrap();
        office::remember_address(server.practice(), &reached_at).unwrap();
        let desk = Arc::new(Desk::new(
            server,
            Box::new(move || {
                counted.fetch_add(1, Ordering::SeqCst);
            }),
        ));
        control::listen(&directory, &desk).unwrap();
        Self {
            practice,
            desk,
            stops,
            base,
            directory,
            address,
        }
    }

    fn ask(&self, request: &Request) -> Answer {
        ask(&self.directory, request).unwrap()
    }

    fn socket(&self) -> PathBuf {
        self.directory.join(SOCKET)
    }

    /// Sends bytes, says that no more follow, and reads the answer.
    fn ask_bytes(&self, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream
            .set_read_timeout(Some(crate::support::PATIENCE))
            .unwrap();
        // It may have answered and closed before all is written.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let mut reader = BufReader::new(stream);
        let mut lines = [String::new(), String::new()];
        for line in &mut lines {
            reader.read_line(line).unwrap();
        }
        let [ready, answer] = lines;
        assert_eq!(ready, "ready\n");
        answer
    }
}

fn enrol(patient: &str, public_address: Option<&str>) -> Request {
    Request::Office(office::Request::Enrol {
        patient: patient.to_owned(),
        public_address: public_address.map(str::to_owned),
        valid_seconds: None,
    })
}

fn broadcast(text: &str) -> Request {
    Request::Broadcast(Broadcast {
        text: text.to_owned(),
        ..Broadcast::default()
    })
}

fn deliveries(office: &Office) -> Vec<MessageReport> {
    let request = deliveries::Request::List {
        message: None,
        missing: false,
        verify: false,
        unconfirmed: false,
    };
    let request = Request::Office(office::Request::Deliveries(request));
    match office.ask(&request) {
        Answer::Office(office::Answer::Deliveries(deliveries::Answer::List {
            messages, ..
        })) => messages,
        other => panic!("{other:?}"),
    }
}

const fn nobody() -> Answer {
    Answer::Connected {
        renewal: None,
        elsewhere: Vec::new(),
        devices: Vec::new(),
        unread: 0,
        away: None,
    }
}

#[test]
fn every_request_is_answered() {
    let office = Office::open();
    assert_eq!(office.ask(&Request::List), nobody());
    let Answer::Office(office::Answer::Ticket { text, patient, .. }) =
        office.ask(&enrol("P1", None))
    else {
        panic!("no ticket");
    };
    assert_eq!(patient, "P1");
    let ticket: Ticket = text.parse().unwrap();
    assert_eq!(ticket.address, office.address.to_string());
    let mut person = Person::enrol(office.address, &ticket, &office.practice.clock);
    let mut session = person.connect(office.address);
    session.epoch();
    let Answer::Connected {
        devices: present, ..
    } = office.ask(&Request::List)
    else {
        panic!("no list");
    };
    assert_eq!(present.len(), 1);
    assert_eq!(present[0].patient, "P1");

    let text = "Zeilenumbruch\nund \"Anführung\"".to_owned();
    let sent = office.ask(&broadcast(&text));
    let Answer::Sent {
        number: 1,
        devices: 1,
        away: 0,
        code,
        ..
    } = sent
    else {
        panic!("{sent:?}");
    };
    assert_eq!(session.message().text, text);
    let sent = office.ask(&Request::Message {
        patient: "P1".into(),
        text: "only you".into(),
        urgent: false,
        expires_seconds: None,
    });
    assert!(matches!(sent, Answer::Sent { number: 2, to: Some(to), .. } if to == ["P1"]));
    assert_eq!(session.message().text, "only you");
    eventually("both are delivered", || {
        let messages = deliveries(&office);
        assert_eq!(messages.len(), 2);
        assert_eq!(
            [&*messages[0].kind, &*messages[1].kind],
            ["broadcast", "private"]
        );
        assert_eq!(messages[0].code, code);
        messages
            .iter()
            .flat_map(|message| &message.deliveries)
            .all(|delivery| delivery.state == "delivered")
    });
    assert_eq!(office.ask(&Request::Disconnect), Answer::Disconnected(1));
    session.disconnected();
    assert_eq!(office.ask(&Request::Stop), Answer::Stopping);
    eventually("stopped", || office.stops.load(Ordering::SeqCst) == 1);
}

#[test]
fn what_cannot_be_done_is_answered_with_the_reason() {
    let office = Office::open();
    let requests = [
        broadcast(""),
        broadcast("hello"),
        Request::Message {
            patient: "nobody".into(),
            text: "hello".into(),
            urgent: false,
            expires_seconds: None,
        },
        Request::Message {
            patient: "not a name".into(),
            text: "hello".into(),
            urgent: false,
            expires_seconds: None,
        },
        enrol("D1", None),
        enrol("P1", Some("no address")),
        broadcast(&"x".repeat(16_001)),
    ];
    for request in requests {
        let answer = office.ask(&request);
        assert!(
            matches!(
                answer,
                Answer::Failed(_) | Answer::Office(office::Answer::Failed(_))
            ),
            "{request:?}: {answer:?}"
        );
    }
}

#[test]
fn requests_that_are_none_are_refused_and_harm_nobody() {
    let office = Office::open();
    let too_long = [
        b"{\"broadcast\":{\"text\":\"",
        vec![b'x'; 200_000].as_slice(),
    ]
    .concat();
    let nested = vec![b'['; 50_000];
    let requests: [&[u8]; 9] = [
        b"\n",
        b"",
        b"{\n",
        b"\"unknown\"\n",
        b"{\"broadcast\":{\"text\":\"x\",\"more\":1}}\n",
        b"{\"broadcast\":{}}\n",
        b"\"list\" and more\n",
        b"\"\xff\xfe\"\n",
        &nested,
    ];
    for request in requests.into_iter().chain([too_long.as_slice()]) {
        let answer = office.ask_bytes(request);
        assert!(
            answer.starts_with("{\"failed\":"),
            "{answer:?} to {} bytes",
            request.len()
        );
    }
    assert_eq!(office.ask(&Request::List), nobody());
    assert!(office.desk.server().report(1_000).unwrap().is_empty());
}

#[test]
fn one_who_says_nothing_keeps_nobody_waiting() {
    let office = Office::open();
    let silent: Vec<UnixStream> = (0..5)
        .map(|_| UnixStream::connect(office.socket()).unwrap())
        .collect();
    (&silent[0]).write_all(b"\"li").unwrap();
    let begun = Instant::now();
    assert_eq!(office.ask(&Request::List), nobody());
    assert!(begun.elapsed() < Duration::from_secs(5));
    // Nor does it keep the server from ending.
    eventually("nobody else holds the desk", || {
        Arc::strong_count(&office.desk) == 1
    });
    drop(office);
    drop(silent);
}

#[test]
fn the_socket_is_its_owners_alone_and_goes_when_told() {
    let office = Office::open();
    let mode = fs::metadata(office.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    control::unlisten(&office.directory);
    assert!(!office.socket().exists());
    assert_eq!(ask(&office.directory, &Request::List), None);
}

#[test]
fn a_path_too_long_for_a_sockets_address_works() {
    let long = ["a-rather-long-name-for-a-directory"; 6].join("/");
    let office = Office::open_in(&long);
    assert!(office.directory.as_os_str().len() > 200);
    assert_eq!(office.ask(&Request::List), nobody());
    let mode = fs::metadata(office.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    control::unlisten(&office.directory);
    assert!(!office.socket().exists());
}

#[test]
fn a_socket_left_by_a_killed_program_is_replaced() {
    let office = Office::open();
    // Nobody listens behind it any more, as after a kill.
    let left = office.base.path().join("left");
    fs::create_dir(&left).unwrap();
    drop(std::os::unix::net::UnixListener::bind(left.join(SOCKET)).unwrap());
    assert!(left.join(SOCKET).exists());
    assert_eq!(ask(&left, &Request::List), None);
    control::listen(&left, &office.desk).unwrap();
    let answer = ask(&left, &Request::List);
    assert_eq!(answer, Some(nobody()));
}

#[test]
fn where_no_server_runs_nobody_answers() {
    let base = TempDir::new().unwrap();
    assert_eq!(ask(base.path(), &Request::List), None);
    assert_eq!(ask(Path::new("/nowhere"), &Request::List), None);
}

#[test]
fn an_address_said_once_is_remembered() {
    let office = Office::open();
    let address_in = |public_address: Option<&str>| match office.ask(&enrol("P1", public_address)) {
        Answer::Office(office::Answer::Ticket { address, .. }) => address,
        other => panic!("{other:?}"),
    };
    assert_eq!(address_in(None), office.address.to_string());
    assert_eq!(
        address_in(Some("practice.example:7400")),
        "practice.example:7400"
    );
    assert_eq!(address_in(None), "practice.example:7400");
}
