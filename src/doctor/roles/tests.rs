use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::doctor::audit::Purpose;
use crate::doctor::control::{Answer, Request};
use crate::doctor::counter;
use crate::doctor::joining::ASSISTANTS_COLUMNS;
use crate::doctor::messages::addressees::Addressees;
use crate::doctor::records::Personal;
use crate::doctor::server::Server;
use crate::doctor::setup::{self, ROOT_KEY};
use crate::doctor::shared::Settings;
use crate::elgamal::{Group, SignSecret};
use crate::identity::authority::{DoctorIdentity, certify_staff};
use crate::identity::data_dir::{DATABASE, DataDir};
use crate::identity::key_file::{self, KeyKind};
use crate::random::OsRandom;
use crate::store::{AuditFilter, Store};
use crate::vault::{COLUMN_KEYS, Vault};

use audit::Request as Audit;
use authority::Request as Authority;
use backup::Request as Backup;
use blocks::Request as Blocks;
use correspondence::Request as Letters;
use deliveries::Request as Deliveries;
use devices::Request as Devices;
use joining::Request as Joining;
use office::Request as Office;
use patients::Request as Patients;
use staff::Request as Staff;

/// Every request there is, by its pattern, with whom it is for beside doctors: a
/// new one does not compile until it stands here, too.
macro_rules! requests {
    ($($pattern:pat => $request:expr, $who:expr;)*) => {
        fn requests() -> Vec<(Request, For)> {
            $(assert!(matches!($request, $pattern), "{}", stringify!($pattern));)*
            vec![$(($request, $who)),*]
        }

        #[expect(dead_code, reason = "what it is for is that it compiles")]
        fn is_every_request_listed(request: &Request) {
            match request {
                $($pattern => {})*
            }
        }
    };
}

fn name(name: &str) -> String {
    name.to_owned()
}

fn personal(text: &str) -> Personal {
    Personal::from(text.to_owned())
}

fn broadcast(tag: Option<&str>) -> Broadcast {
    Broadcast {
        text: name("The water is off."),
        tag: tag.map(name),
        ..Broadcast::default()
    }
}

fn list(verify: bool) -> Deliveries {
    Deliveries::List {
        message: None,
        missing: false,
        verify,
        unconfirmed: false,
    }
}

requests! {
    Request::List => Request::List, For::Assistants;
    Request::ListClinic => Request::ListClinic, For::Assistants;
    Request::Broadcast(Broadcast { tag: None, .. })
        => Request::Broadcast(broadcast(None)), For::Assistants;
    Request::Broadcast(Broadcast { tag: Some(_), .. })
        => Request::Broadcast(broadcast(Some("diabetes"))), For::Doctors;
    Request::Message { .. } => Request::Message {
        patient: name("P1"),
        text: name("Please call."),
        urgent: false,
        expires_seconds: None,
    }, For::Assistants;
    Request::Consult { .. }
        => Request::Consult { patient: name("P1"), end: false }, For::Doctors;
    Request::Blocks(Blocks::List) => Request::Blocks(Blocks::List), For::Doctors;
    Request::Blocks(Blocks::Lift(_)) => Request::Blocks(Blocks::Lift(None)), For::Doctors;
    Request::Disconnect => Request::Disconnect, For::Doctors;
    Request::Stop => Request::Stop, For::Doctors;
    Request::Office(Office::Enrol { .. }) => Request::Office(Office::Enrol {
        patient: name("P7"),
        public_address: Some(name("127.0.0.1:7400")),
        valid_seconds: None,
    }), For::Doctors;
    Request::Office(Office::Purge { .. }) => Request::Office(Office::Purge {
        before: Timestamp::from_millis(1),
        dry_run: false,
    }), For::Doctors;
    Request::Office(Office::Devices(Devices::List { .. }))
        => Request::Office(Office::Devices(Devices::List { patient: None })), For::Doctors;
    Request::Office(Office::Devices(Devices::Revoke { .. }))
        => Request::Office(Office::Devices(Devices::Revoke {
            patient: name("P1"),
            device: None,
            reason: name("lost"),
        })), For::Doctors;
    Request::Office(Office::Devices(Devices::Unfreeze { .. }))
        => Request::Office(Office::Devices(Devices::Unfreeze {
            patient: name("P1"),
            device: name("1"),
            reason: name("found"),
        })), For::Doctors;
    Request::Office(Office::Devices(Devices::Tickets))
        => Request::Office(Office::Devices(Devices::Tickets)), For::Doctors;
    Request::Office(Office::Devices(Devices::RevokeTicket { .. }))
        => Request::Office(Office::Devices(Devices::RevokeTicket { ticket: name("abcdef") })),
        For::Doctors;
    Request::Office(Office::Devices(Devices::Fingerprints))
        => Request::Office(Office::Devices(Devices::Fingerprints)), For::Doctors;
    Request::Office(Office::Audit(Audit::Logs))
        => Request::Office(Office::Audit(Audit::Logs)), For::Auditors;
    Request::Office(Office::Audit(Audit::Begin { .. }))
        => Request::Office(Office::Audit(Audit::Begin {
            log: None,
            purpose: Purpose::List,
            filter: AuditFilter::default(),
            newest: None,
        })), For::Auditors;
    Request::Office(Office::Audit(Audit::Page { .. }))
        => Request::Office(Office::Audit(Audit::Page {
            log: None,
            filter: AuditFilter::default(),
            first: 1,
            last: 1,
        })), For::Auditors;
    Request::Office(Office::Audit(Audit::Verify { .. }))
        => Request::Office(Office::Audit(Audit::Verify { log: None })), For::Auditors;
    Request::Office(Office::Patients(Patients::Show { .. }))
        => Request::Office(Office::Patients(Patients::Show { patient: name("P1") })),
        For::Assistants;
    Request::Office(Office::Patients(Patients::List { tag: None, .. }))
        => Request::Office(Office::Patients(Patients::List { archived: false, tag: None })),
        For::Assistants;
    Request::Office(Office::Patients(Patients::List { tag: Some(_), .. }))
        => Request::Office(Office::Patients(Patients::List {
            archived: false,
            tag: Some(personal("diabetes")),
        })), For::Doctors;
    Request::Office(Office::Patients(Patients::Search { .. }))
        => Request::Office(Office::Patients(Patients::Search { text: personal("Ada") })),
        For::Assistants;
    Request::Office(Office::Patients(Patients::Add { .. }))
        => Request::Office(Office::Patients(Patients::Add {
            patient: name("P7"),
            change: Box::default(),
        })), For::Doctors;
    Request::Office(Office::Patients(Patients::Edit { .. }))
        => Request::Office(Office::Patients(Patients::Edit {
            patient: name("P1"),
            base: None,
            change: Box::default(),
        })), For::Doctors;
    Request::Office(Office::Patients(Patients::Archive { .. }))
        => Request::Office(Office::Patients(Patients::Archive { patient: name("P1") })),
        For::Doctors;
    Request::Office(Office::Patients(Patients::Unarchive { .. }))
        => Request::Office(Office::Patients(Patients::Unarchive { patient: name("P1") })),
        For::Doctors;
    Request::Office(Office::Patients(Patients::Transfer { .. }))
        => Request::Office(Office::Patients(Patients::Transfer {
            patient: name("P1"),
            doctor: name("D2"),
        })), For::Doctors;
    Request::Office(Office::Patients(Patients::TransferAll { .. }))
        => Request::Office(Office::Patients(Patients::TransferAll {
            from: name("D2"),
            doctor: name("D1"),
        })), For::Doctors;
    Request::Office(Office::Staff(Staff::Show { .. }))
        => Request::Office(Office::Staff(Staff::Show {
            member: name("D2"),
            devices: None,
        })), For::Doctors;
    Request::Office(Office::Staff(Staff::Revoke { .. }))
        => Request::Office(Office::Staff(Staff::Revoke {
            member: name("D2"),
            list: name("00"),
            closed: Vec::new(),
            reason: name("has left"),
            devices: None,
        })), For::Doctors;
    Request::Office(Office::Patients(Patients::Note { .. }))
        => Request::Office(Office::Patients(Patients::Note {
            patient: name("P1"),
            begun: None,
            ended: None,
            text: personal("well"),
        })), For::Doctors;
    Request::Office(Office::Backup(Backup::Make { .. }))
        => Request::Office(Office::Backup(Backup::Make { file: "/nowhere/a.backup".into() })),
        For::Doctors;
    Request::Office(Office::Backup(Backup::Sharers))
        => Request::Office(Office::Backup(Backup::Sharers)), For::Doctors;
    Request::Office(Office::Backup(Backup::NewCode))
        => Request::Office(Office::Backup(Backup::NewCode)), For::Doctors;
    Request::Office(Office::Backup(Backup::KeepCode { .. }))
        => Request::Office(Office::Backup(Backup::KeepCode { wrapped: vec![1; 80] })),
        For::Doctors;
    Request::Office(Office::Backup(Backup::Wrapped))
        => Request::Office(Office::Backup(Backup::Wrapped)), For::Doctors;
    Request::Office(Office::Authority(Authority::Show))
        => Request::Office(Office::Authority(Authority::Show)), For::Doctors;
    Request::Office(Office::Authority(Authority::Renew(_)))
        => Request::Office(Office::Authority(Authority::Renew(name("00")))), For::Doctors;
    Request::Office(Office::Authority(Authority::RootMoved(_)))
        => Request::Office(Office::Authority(Authority::RootMoved(name("/media")))), For::Doctors;
    Request::Office(Office::Joining(Joining::Invite { .. }))
        => Request::Office(Office::Joining(Joining::Invite {
            subject: name("D9"),
            role: name("doctor"),
            valid_seconds: None,
        })), For::Doctors;
    Request::Office(Office::Joining(Joining::Waiting))
        => Request::Office(Office::Joining(Joining::Waiting)), For::Doctors;
    Request::Office(Office::Joining(Joining::Admit { .. }))
        => Request::Office(Office::Joining(Joining::Admit {
            ticket: [1; 16],
            certificate: name("00"),
        })), For::Doctors;
    Request::Office(Office::Deliveries(Deliveries::List { verify: false, .. }))
        => Request::Office(Office::Deliveries(list(false))), For::Assistants;
    Request::Office(Office::Deliveries(Deliveries::List { verify: true, .. }))
        => Request::Office(Office::Deliveries(list(true))), For::Doctors;
    Request::Office(Office::Deliveries(Deliveries::Unconfirmed { .. }))
        => Request::Office(Office::Deliveries(Deliveries::Unconfirmed {
            message: 1,
            phones: true,
        })), For::Assistants;
    Request::Office(Office::Letters(Letters::History { .. }))
        => Request::Office(Office::Letters(Letters::History {
            patient: name("P1"),
            last: None,
        })), For::Assistants;
    Request::Office(Office::Letters(Letters::Inbox { .. }))
        => Request::Office(Office::Letters(Letters::Inbox { all: true })), For::Doctors;
    Request::Office(Office::Letters(Letters::Shown { .. }))
        => Request::Office(Office::Letters(Letters::Shown { numbers: vec![1] })), For::Doctors;
}

/// A practice in a file, and those who could work in it if it were a clinic's.
struct Scene {
    base: TempDir,
    doctor: Practice,
}

impl Scene {
    fn new() -> Self {
        let base = TempDir::new().unwrap();
        let directory = DataDir::create_or_open(base.path(), "D1").unwrap();
        let store: Arc<dyn Store> = Arc::new(setup::open_store(&directory).unwrap());
        let (group, id) = (Group::ffdhe2048(), "D1".parse().unwrap());
        let now = SystemClock.now();
        let identity = setup::found(&directory, &*store, &group, &id, now, &mut OsRandom).unwrap();
        let clock = Arc::new(SystemClock);
        let doctor = Practice::open(Arc::new(directory), store, identity, clock).unwrap();
        let add = Office::Patients(Patients::Add {
            patient: name("P1"),
            change: Box::default(),
        });
        let _ = office::answer(&doctor, add);
        Self { base, doctor }
    }

    fn database(&self) -> Connection {
        Connection::open(self.doctor.directory.path(DATABASE)).unwrap()
    }

    /// Somebody's practice who has a certificate of this role, and an assistant's
    /// keys.
    fn member(&self, name: &str, role: Role) -> Practice {
        let own = self.doctor.identity();
        let root = root_secret(&self.doctor.directory.path(ROOT_KEY), own.group());
        let signing = SignSecret::generate(own.group(), &mut OsRandom);
        let id = name.parse().unwrap();
        let key = signing.verifying_key().clone();
        let certificate = certify_staff(
            (&own.root, &root),
            (&id, role),
            key,
            self.doctor.now(),
            &mut OsRandom,
        );
        let identity = DoctorIdentity {
            root: own.root.clone(),
            certificate,
            signing,
            prekeys: Vec::new(),
            revoked: own.revoked.clone(),
            closed: own.closed.clone(),
            earlier: Vec::new(),
        };
        let directory = DataDir::create_or_open(self.base.path(), name).unwrap();
        let keys = self.doctor.vault.column_keys(&ASSISTANTS_COLUMNS).unwrap();
        let path = directory.path(COLUMN_KEYS);
        key_file::remove(&path).unwrap();
        Vault::of_columns(self.doctor.vault.id(), keys)
            .save(&path, directory.keyring())
            .unwrap();
        let store = Arc::clone(&self.doctor.store);
        Practice::open(Arc::new(directory), store, identity, Arc::new(SystemClock)).unwrap()
    }
}

fn root_secret(path: &Path, group: &Group) -> SignSecret {
    let (_, secret) = key_file::load(path, KeyKind::RootSigning).unwrap();
    SignSecret::from_bytes(group, secret.expose()).unwrap()
}

/// Counts up whenever another connection has changed anything.
fn changes(database: &Connection) -> i64 {
    let version = database.query_row("PRAGMA data_version", [], |row| row.get(0));
    version.unwrap()
}

/// Whether it was refused for who she is.
fn is_refused(answer: &Answer) -> bool {
    match answer {
        Answer::Failed(sentence) | Answer::Office(office::Answer::Failed(sentence)) => {
            sentence.contains(" of this clinic, who ")
        }
        _ => false,
    }
}

#[test]
fn every_request_is_answered_to_those_it_is_for_and_changes_nothing_for_others() {
    let scene = Scene::new();
    let database = scene.database();
    for role in [Role::Assistant, Role::Auditor] {
        let practice = scene.member("A1", role);
        for (request, who) in requests() {
            let is_hers = match role {
                Role::Assistant => who == For::Assistants,
                _ => who == For::Auditors,
            };
            let before = changes(&database);
            let answer = counter::answer(&practice, request.clone());
            assert_eq!(
                is_refused(&answer),
                !is_hers,
                "{role}: {request:?}: {answer:?}"
            );
            assert!(
                is_hers || changes(&database) == before,
                "{role}: {request:?} has changed something"
            );
            // The office, which a server asks, refuses by itself.
            if let (Request::Office(request), false) = (request, is_hers) {
                let answer = Answer::Office(office::answer(&practice, request.clone()));
                assert!(is_refused(&answer), "{role}: {request:?}: {answer:?}");
                assert_eq!(
                    changes(&database),
                    before,
                    "{request:?} has changed something"
                );
            }
        }
    }
    for (request, _) in requests() {
        assert_eq!(check(&scene.doctor, &request), Ok(()), "{request:?}");
    }
}

#[test]
fn a_refusal_says_who_she_is_and_what_she_may() {
    let scene = Scene::new();
    let refusal = |role| {
        let practice = scene.member("A1", role);
        check(&practice, &Request::Stop).unwrap_err().to_string()
    };
    let said = refusal(Role::Assistant);
    assert!(
        said.starts_with("A1 is an assistant of this clinic"),
        "{said}"
    );
    assert!(said.contains("writes to patients"), "{said}");
    let said = refusal(Role::Auditor);
    assert!(
        said.starts_with("A1 is an auditor of this clinic"),
        "{said}"
    );
    assert!(said.contains("audit logs"), "{said}");
}

#[test]
fn nobody_but_a_doctor_has_a_server() {
    let scene = Scene::new();
    for role in [Role::Assistant, Role::Auditor] {
        let practice = Arc::new(scene.member("A1", role));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let refused = Server::start(listener, practice, Settings::default());
        let refused = refused.map(drop).unwrap_err().to_string();
        assert!(refused.contains("only a doctor"), "{refused}");
    }
}

#[test]
fn an_assistants_keys_open_no_doctors_text_whatever_is_asked() {
    let scene = Scene::new();
    let practice = scene.member("A1", Role::Assistant);
    let message = crate::protocol::message::Message::new(
        "for a doctor's eyes",
        false,
        practice.now(),
        &mut OsRandom,
    );
    let message = message.unwrap();
    let addressees = Addressees::One("P1".parse().unwrap());
    let sealed = crate::doctor::messages::seal(&scene.doctor, &message, &addressees).unwrap();
    for column in ASSISTANTS_COLUMNS {
        assert!(
            practice
                .vault
                .open(column, &message.id().0, &sealed)
                .is_err()
        );
    }
    assert!(practice.vault.key().is_err());
}
