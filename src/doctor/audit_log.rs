//! The audit log of a running server: what the server tells goes into it, its
//! newest link is signed from time to time, and signed heads are copied to a
//! file that may lie elsewhere. Disks may be slow, so a thread of its own does
//! that.

mod heads;

use std::collections::BTreeSet;
use std::fmt;
use std::mem;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::audit::head::{HEAD_AFTER, Head};
use crate::audit::heads_file::{HeadsFile, HeadsFileError, Known, Record};
use crate::audit::papers::Papers;
use crate::audit::revocation::Revocation;
use crate::audit::{Action, Entry};
use crate::clock::{Timestamp, in_words};
use crate::doctor::event::{Departure, Event};
use crate::doctor::practice::{Practice, SERVER, STRANGER};
use crate::doctor::shared::{Settings, Shared};
use crate::handshake::doctor::RefusalReason;
use crate::identity::certificate::Serial;
use crate::random::OsRandom;
use crate::store::StoreError;

pub use heads::{log_and_sign, sign_head};

use heads::Judge;

/// How often it is looked whether there is something to do.
const TICK: Duration = Duration::from_millis(200);
/// How many heads are copied to the file at once.
const PAGE: usize = 100;

/// Why the log cannot be kept.
#[derive(Debug)]
pub enum AuditLogError {
    /// The store.
    Store(StoreError),
    /// The file of heads.
    HeadsFile(HeadsFileError),
}

impl fmt::Display for AuditLogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "{error}"),
            Self::HeadsFile(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for AuditLogError {}

impl From<StoreError> for AuditLogError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<HeadsFileError> for AuditLogError {
    fn from(error: HeadsFileError) -> Self {
        Self::HeadsFile(error)
    }
}

/// What the log says of something the server tells the doctor; nothing for what
/// is logged together with the change it tells of.
pub(super) fn entry_of(event: &Event, at: Timestamp) -> Option<Entry> {
    let by_patient = |patient: &str, action, detail: &str| {
        Some(Entry::new(at, patient, action, patient, detail))
    };
    match event {
        Event::Joined {
            patient,
            resumed,
            clock_off,
        } => {
            let how = if *resumed { "again" } else { "anew" };
            let clock = clock_off.map_or_else(String::new, |off| {
                format!(", with a clock that is off by {}", in_words(off))
            });
            by_patient(patient.as_str(), Action::Joined, &format!("{how}{clock}"))
        }
        Event::Superseded(patient) => by_patient(patient.as_str(), Action::Superseded, ""),
        Event::Left(patient, departure) => {
            let patient = patient.as_str();
            let actor = match departure {
                Departure::Asked | Departure::Lost | Departure::Misbehaved => patient,
                Departure::Expired | Departure::Stalled => SERVER,
            };
            let why = why(*departure);
            Some(Entry::new(at, actor, Action::Left, patient, why))
        }
        Event::Refused(address, reason) => {
            let subject = named_in(reason).unwrap_or_default();
            let detail = format!("{address} {reason}");
            Some(Entry::new(at, STRANGER, Action::Refused, subject, &detail))
        }
        Event::Blocked(address, time) => {
            let detail = format!("for {}", in_words(*time));
            let address = address.to_string();
            Some(Entry::new(at, SERVER, Action::Blocked, &address, &detail))
        }
        // Who has lifted it logs that.
        Event::Released { lifted: true, .. } => None,
        Event::Released {
            address, refused, ..
        } => {
            let detail = format!("{refused} first messages were turned away");
            let address = address.to_string();
            Some(Entry::new(at, SERVER, Action::Released, &address, &detail))
        }
        Event::Strangers(count) => {
            let detail = format!("{count} more, not told one by one");
            Some(Entry::new(at, STRANGER, Action::Refused, "", &detail))
        }
        Event::Trouble(sentence) => Some(Entry::new(at, SERVER, Action::Trouble, "", sentence)),
        Event::Enrolled(..) | Event::Delivered(..) | Event::Confirmed(..) | Event::Private(..) => {
            None
        }
    }
}

const fn why(departure: Departure) -> &'static str {
    match departure {
        Departure::Asked => "asked for it",
        Departure::Lost => "the connection was lost",
        Departure::Misbehaved => "broke the protocol",
        Departure::Expired => "session or certificate has ended",
        Departure::Stalled => "did not read",
    }
}

/// The patient whose name, ticket or certificate was shown.
fn named_in(reason: &RefusalReason) -> Option<&str> {
    match reason {
        RefusalReason::TooOften(patient)
        | RefusalReason::Alert(_, patient)
        | RefusalReason::WrongTicketProof(patient)
        | RefusalReason::KeysInUse(patient)
        | RefusalReason::TicketUsedTwice(patient) => Some(patient.as_str()),
        RefusalReason::Unexpected
        | RefusalReason::UnknownPrekey
        | RefusalReason::CannotBeOpened
        | RefusalReason::UnknownCertificate
        | RefusalReason::OwnKey
        | RefusalReason::BadSignature
        | RefusalReason::UnknownTicket
        | RefusalReason::Registry(_) => None,
    }
}

/// What a server does for its log.
pub(super) struct Keeper {
    copy: Option<Copy>,
    /// When the last head was signed, and for which entry.
    signed: (Instant, u64),
    head_every: Duration,
    retry_every: Duration,
    /// When the store, if it could not be used, and the file are looked at
    /// next.
    sign_at: Instant,
    copy_at: Instant,
    /// Whether it was told that something does not work.
    told: bool,
    /// Whether it was told that somebody else's heads are in the store.
    doubted: bool,
    /// Whether to look for those, as at the start and with every head.
    look: bool,
}

impl Keeper {
    /// Logs the start, signs a head and copies it. Gives a sentence too if the
    /// file of heads tells of more than there is.
    ///
    /// # Errors
    /// [`AuditLogError`]: a server whose log cannot be kept does not start.
    pub(super) fn start(
        practice: &Practice,
        settings: &Settings,
        address: SocketAddr,
    ) -> Result<(Self, Option<String>), AuditLogError> {
        let (mut copy, mut notice) = (None, None);
        if let Some(path) = &settings.audit_heads {
            let papers = Papers::of(&practice.identity());
            let (file, known) = HeadsFile::open(path, papers)?;
            let opened = Copy::new(file, known, practice)?;
            if let Some(number) = opened.unknown {
                notice = Some(format!(
                    "the file of audit heads '{}' has a head of entry {number} that this log \
                     does not fit: an older backup was restored, or the log was changed; check \
                     it: doctor audit verify",
                    path.display()
                ));
            }
            copy = Some(opened);
        }
        let version = env!("CARGO_PKG_VERSION");
        let detail = format!("telemed {version} on {address}");
        let entry = Entry::new(practice.now(), SERVER, Action::Started, "", &detail);
        let head = log_and_sign(practice, &[entry])?;
        let now = Instant::now();
        let mut keeper = Self {
            copy,
            signed: (now, head.number),
            head_every: settings.timing.audit_heads,
            retry_every: settings.timing.dates,
            sign_at: now,
            copy_at: now,
            told: false,
            doubted: false,
            look: true,
        };
        keeper.copy(practice)?;
        Ok((keeper, notice))
    }

    /// Looks after the log until the server stops, and once more then.
    pub(super) fn run(mut self, shared: &Shared) {
        while !shared.is_stopping() {
            thread::park_timeout(TICK);
            let done = self.look_after(&shared.practice, Instant::now());
            self.tell(shared, done);
            if mem::take(&mut self.look) {
                self.doubt(shared);
            }
        }
        // What goes wrong is told by the ledger itself.
        let _ = shared.ledger.settle();
        let practice = &shared.practice;
        let entry = Entry::new(practice.now(), SERVER, Action::Stopped, "", "");
        let done = log_and_sign(practice, &[entry])
            .map_err(AuditLogError::from)
            .and_then(|_| self.copy(practice));
        self.told = false;
        self.tell(shared, done);
    }

    /// Tells, once, if there is something in the store that was not put there
    /// by this program.
    fn doubt(&mut self, shared: &Shared) {
        let practice = &shared.practice;
        let skipped = self.copy.as_ref().is_some_and(|copy| copy.skipped);
        let found = match heads::doubt(practice) {
            Ok(None) if skipped => Some(heads::sentence("a head that is not the doctor's")),
            // What cannot be read is told by who needs it.
            found => found.ok().flatten(),
        };
        if let Some(sentence) = found
            && !self.doubted
        {
            self.doubted = true;
            shared.tell(Event::Trouble(sentence));
        }
    }

    /// Tells what does not work, once.
    fn tell(&mut self, shared: &Shared, done: Result<(), AuditLogError>) {
        match done {
            Ok(()) => {}
            Err(error) if !self.told => {
                self.told = true;
                shared.tell(Event::Trouble(error.to_string()));
            }
            Err(_) => {}
        }
    }

    fn look_after(&mut self, practice: &Practice, now: Instant) -> Result<(), AuditLogError> {
        if now >= self.sign_at {
            self.sign_at = now + self.retry_every;
            let last = practice.store.audit_head()?.map_or(0, |(number, _)| number);
            let (at, number) = self.signed;
            let is_old = last > number && now.duration_since(at) >= self.head_every;
            if is_old || last >= number.saturating_add(HEAD_AFTER) {
                self.sign(practice)?;
                self.look = true;
                self.copy_at = now;
            }
            self.sign_at = now + TICK;
        }
        if now >= self.copy_at {
            self.copy_at = now + self.retry_every;
            self.copy(practice)?;
            self.told = false;
        }
        Ok(())
    }

    fn sign(&mut self, practice: &Practice) -> Result<(), AuditLogError> {
        if let Some(head) = sign_head(practice)? {
            self.signed = (Instant::now(), head.number);
        }
        Ok(())
    }

    fn copy(&mut self, practice: &Practice) -> Result<(), AuditLogError> {
        self.copy
            .as_mut()
            .map_or(Ok(()), |copy| copy.update(practice))
    }
}

/// The file of heads and how far it goes.
struct Copy {
    file: HeadsFile,
    /// Number of the last entry whose head, if there is a good one, is in it.
    number: u64,
    /// Whether a head of the store was passed over, since it is no good one.
    skipped: bool,
    /// What it says of stopped certificates.
    stopped: BTreeSet<(Serial, String)>,
    /// Number of a head in it that is not in the store.
    unknown: Option<u64>,
}

impl Copy {
    fn new(file: HeadsFile, known: Known, practice: &Practice) -> Result<Self, StoreError> {
        let store = &practice.store;
        let judge = Judge::new(practice)?;
        let stored = |head: &Head| -> Result<bool, StoreError> {
            let at_number = store.signed_heads(head.number, 1)?;
            Ok(at_number.first() == Some(head) && judge.is_good(practice, head)?)
        };
        let (number, unknown) = match known.newest {
            None => (0, None),
            Some(head) if stored(&head)? => (head.number, None),
            // It goes on with what comes from now on.
            Some(head) => {
                let last = store.audit_head()?;
                (last.map_or(0, |(number, _)| number), Some(head.number))
            }
        };
        Ok(Self {
            file,
            number,
            skipped: false,
            stopped: known.stopped,
            unknown,
        })
    }

    /// Appends what the file does not have yet.
    fn update(&mut self, practice: &Practice) -> Result<(), AuditLogError> {
        let store = &practice.store;
        for (serial, subject, state) in store.stopped_certificates()? {
            let key = (serial, state.word().to_owned());
            if self.stopped.contains(&key) {
                continue;
            }
            let doctor = practice.identity();
            let (whom, now) = ((serial, &*subject), practice.now());
            let line = Revocation::sign(&doctor, whom, &key.1, now, &mut OsRandom);
            self.file.append(&[Record::Revocation(line)])?;
            self.stopped.insert(key);
        }
        // What names an entry that is not there yet is nobody's head.
        let end = store.audit_head()?.map_or(0, |(number, _)| number);
        let judge = Judge::new(practice)?;
        loop {
            let mut heads = store.signed_heads(self.number.saturating_add(1), PAGE)?;
            heads.retain(|head| head.number <= end);
            let Some(last) = heads.last() else {
                return Ok(());
            };
            let number = last.number;
            let mut records = Vec::new();
            for head in heads {
                if judge.is_good(practice, &head)? {
                    records.push(Record::Head(head));
                } else {
                    self.skipped = true;
                }
            }
            self.file.append(&records)?;
            self.number = number;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    use rusqlite::Connection;
    use tempfile::TempDir;

    use super::*;
    use crate::audit::heads_file;
    use crate::audit::verify::{Finding, HeadsFiles, verify};
    use crate::clock::{Clock, SystemClock};
    use crate::doctor::setup;
    use crate::elgamal::Group;
    use crate::identity::data_dir::{DATABASE, DataDir};

    fn practice(base: &Path) -> Practice {
        let directory = DataDir::create_or_open(base, "D1").unwrap();
        let store = setup::open_store(&directory).unwrap();
        let (doctor, group) = ("D1".parse().unwrap(), Group::ffdhe2048());
        let now = SystemClock.now();
        let identity =
            setup::found(&directory, &store, &group, &doctor, now, &mut OsRandom).unwrap();
        let (directory, store) = (Arc::new(directory), Arc::new(store));
        Practice::open(directory, store, identity, Arc::new(SystemClock)).unwrap()
    }

    fn start(practice: &Practice, settings: &Settings) -> Keeper {
        let address = "127.0.0.1:7400".parse().unwrap();
        Keeper::start(practice, settings, address).unwrap().0
    }

    fn happen(practice: &Practice, count: u64) {
        let entry = practice.by_doctor(Action::RecordRead, "P1", "");
        let entries: Vec<_> = (0..count).map(|_| entry.clone()).collect();
        practice.store.append_audit(&entries).unwrap();
    }

    #[test]
    fn a_head_is_signed_every_hour_if_anything_happened_and_every_thousand_entries() {
        let base = TempDir::new().unwrap();
        let practice = practice(base.path());
        let mut keeper = start(&practice, &Settings::default());
        let begin = keeper.signed.0;
        let mut newest_after = |minutes: u64| {
            let now = begin + Duration::from_secs(60 * minutes);
            keeper.look_after(&practice, now).unwrap();
            // As if the head had been signed at that time.
            if keeper.signed.0 != begin {
                keeper.signed.0 = begin.max(now);
            }
            let head = practice.store.newest_signed_head().unwrap().unwrap();
            head.number
        };
        // Each head is that of the entry that tells of it.
        assert_eq!(newest_after(90), 2);
        happen(&practice, 1);
        assert_eq!(newest_after(59), 2);
        assert_eq!(newest_after(91), 4);
        happen(&practice, 999);
        assert_eq!(newest_after(92), 4);
        happen(&practice, 1);
        assert_eq!(newest_after(93), 1_005);
    }

    #[test]
    fn a_file_that_fails_is_caught_up_with_later() {
        let base = TempDir::new().unwrap();
        let practice = practice(base.path());
        let disk = base.path().join("disk");
        fs::create_dir(&disk).unwrap();
        let settings = Settings {
            audit_heads: Some(disk.join("heads.jsonl")),
            ..Settings::default()
        };
        let mut keeper = start(&practice, &settings);
        let gone = base.path().join("gone");
        fs::rename(&disk, &gone).unwrap();
        let mut now = Instant::now();
        for _ in 0..2 {
            happen(&practice, HEAD_AFTER);
            now += Duration::from_secs(1);
            let error = keeper.look_after(&practice, now).unwrap_err();
            assert!(error.to_string().contains("cannot be written"), "{error}");
        }
        fs::rename(&gone, &disk).unwrap();
        now += settings.timing.dates;
        keeper.look_after(&practice, now).unwrap();
        let copied = heads_file::read(&disk.join("heads.jsonl")).unwrap();
        let kept = practice.store.signed_heads(0, 10).unwrap();
        assert_eq!((copied.heads, kept.len()), (kept.clone(), 3));
    }

    /// What somebody does to the database who has not got the key.
    fn put(practice: &Practice, sql: &str) {
        let connection = Connection::open(practice.directory.path(DATABASE)).unwrap();
        let sql = format!("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; {sql}");
        connection.execute_batch(&sql).unwrap();
    }

    #[test]
    fn a_head_that_nobody_signed_is_told_and_neither_stops_the_signing_nor_is_copied() {
        for number in [3, 4, 50, i64::MAX] {
            let base = TempDir::new().unwrap();
            let practice = practice(base.path());
            let settings = Settings {
                audit_heads: Some(base.path().join("heads.jsonl")),
                ..Settings::default()
            };
            let mut keeper = start(&practice, &settings);
            assert_eq!(heads::doubt(&practice).unwrap(), None);
            happen(&practice, 1);
            put(
                &practice,
                &format!(
                    "INSERT INTO audit_head SELECT {number}, link, at, certificate, signature
                     FROM audit_head"
                ),
            );
            let sentence = heads::doubt(&practice).unwrap().unwrap();
            assert!(sentence.contains("doctor audit verify"), "{sentence}");
            let head = sign_head(&practice).unwrap().unwrap();
            assert_eq!(practice.store.audit_head().unwrap().unwrap().0, 4);
            assert_eq!(head.number, 4);
            assert!(
                Judge::new(&practice)
                    .unwrap()
                    .is_good(&practice, &head)
                    .unwrap()
            );
            keeper.copy(&practice).unwrap();
            let copied = heads_file::read(&base.path().join("heads.jsonl")).unwrap();
            let numbers: Vec<_> = copied.heads.iter().map(|head| head.number).collect();
            assert_eq!(numbers, [2, 4], "{number}");
            // And after a start the same.
            let mut keeper = start(&practice, &settings);
            keeper.copy(&practice).unwrap();
            let copied = heads_file::read(&base.path().join("heads.jsonl")).unwrap();
            assert_eq!(copied.heads.last().unwrap().number, 6);
        }
    }

    #[test]
    fn an_entry_with_an_impossible_number_is_told_and_the_log_goes_on() {
        let base = TempDir::new().unwrap();
        let practice = practice(base.path());
        drop(start(&practice, &Settings::default()));
        put(
            &practice,
            &format!(
                "INSERT INTO audit_entry SELECT {}, at, actor, action, subject, detail, link
                 FROM audit_entry WHERE number = 1",
                i64::MAX
            ),
        );
        let sentence = heads::doubt(&practice).unwrap().unwrap();
        assert!(sentence.contains("impossible numbers"), "{sentence}");
        let keeper = start(&practice, &Settings::default());
        assert_eq!(keeper.signed.1, 4);
    }

    #[test]
    fn entries_that_leave_no_room_for_more_are_found_and_do_not_stop_the_log() {
        let base = TempDir::new().unwrap();
        let practice = practice(base.path());
        drop(start(&practice, &Settings::default()));
        let highest = [62, 52].map(|bits| (1_u64 << bits) - 1);
        for number in highest.iter().flat_map(|top| [*top, top - 5]) {
            put(
                &practice,
                &format!(
                    "INSERT INTO audit_entry SELECT {number}, at, actor, action, subject,
                     detail, link FROM audit_entry WHERE number = 1"
                ),
            );
            happen(&practice, 10);
        }
        let head = sign_head(&practice).unwrap().unwrap();
        assert_eq!(head.number, 2 + 40 + 1);
        assert_eq!(practice.store.audit_head().unwrap().unwrap().0, 43);
        let root = practice.identity().root.fingerprint();
        let papers = Papers::of(&practice.identity());
        let files = HeadsFiles::default();
        let report = verify(&*practice.store, papers, &files, &root, &mut OsRandom).unwrap();
        let missing = Finding::Missing {
            first: 44,
            last: highest[1] - 6,
        };
        assert_eq!(report.findings[0], missing);
        // Who goes on until there is no room at all is told so.
        put(
            &practice,
            &format!(
                "INSERT INTO audit_entry SELECT {}, at, actor, action, subject, detail, link
                 FROM audit_entry WHERE number = 1",
                (1_u64 << 42) - 1
            ),
        );
        let error = sign_head(&practice).unwrap_err();
        assert!(error.to_string().contains("audit log"), "{error}");
    }

    #[test]
    fn a_refused_patient_is_found_by_name_and_a_stranger_by_address() {
        let at = Timestamp::from_millis(5);
        let address = "192.0.2.7".parse().unwrap();
        let reason = RefusalReason::TooOften("P1".parse().unwrap());
        let entry = entry_of(&Event::Refused(address, reason), at).unwrap();
        assert_eq!((&*entry.actor, &*entry.subject), ("stranger", "P1"));
        let unknown = Event::Refused(address, RefusalReason::UnknownTicket);
        let entry = entry_of(&unknown, at).unwrap();
        assert_eq!(entry.detail, "192.0.2.7 showed a ticket not issued here");
    }

    #[test]
    fn the_check_code_of_an_enrolment_is_not_logged() {
        let event = Event::Enrolled("P1".parse().unwrap(), "1234 5678".to_owned());
        assert_eq!(entry_of(&event, Timestamp::default()), None);
    }
}
