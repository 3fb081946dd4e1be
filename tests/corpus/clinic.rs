//! What must hold for every input whatever where a clinic's doctors are told of,
//! where somebody joins, and where its database is named; shared with `fuzz/`.

#![allow(clippy::expect_used, reason = "a check ends with what it cannot do")]

use std::sync::LazyLock;

use telemed::aes::SealingKey;
use telemed::clock::Timestamp;
use telemed::codec::Writer;
use telemed::elgamal::{Group, KemSecret, SignSecret};
use telemed::identity::authority::{DoctorIdentity, certify_staff, found_clinic};
use telemed::identity::certificate::Role;
use telemed::identity::join::{
    Answered, ColumnKeys, Grant, JoinAnswer, JoinRequest, JoinTicket, NewcomerKeys, is_join_ticket,
    looks_like_ticket,
};
use telemed::identity::roster::RosterEntry;
use telemed::kdf::{self, label};
use telemed::protocol::record::Roster;
use telemed::random::Random;
use telemed::secret::Secret;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Chance that repeats: Marsaglia's xorshift64.
struct Chance(u64);

impl Random for Chance {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0.to_be_bytes()[0]
        });
    }
}

/// A clinic, and somebody who joins it.
pub struct Scene {
    doctor: DoctorIdentity,
    /// Where the doctor is reached.
    pub entry: RosterEntry,
    /// The newcomer's ticket.
    pub ticket: JoinTicket,
    keys: NewcomerKeys,
    /// What she asks with.
    pub request: JoinRequest,
    /// What she is answered.
    pub answer: JoinAnswer,
    /// The one-time key of whoever answers.
    once: KemSecret,
}

/// The same on every run.
pub static SCENE: LazyLock<Scene> = LazyLock::new(|| {
    let mut random = Chance(0x7465_6c65_6d65_6402);
    let group = Group::ffdhe2048();
    let name = "D1".parse().expect("a name");
    let (root, doctor) = found_clinic(&group, &name, NOW, &mut random);
    let address = "praxis.example:7400".parse().expect("an address");
    let entry = RosterEntry::make(&doctor, &address, NOW, &mut random).expect("an entry");
    let (keys, ticket) = (newcomer(&group, &mut random), ticket(&doctor));
    let request = JoinRequest::make(&keys, &ticket, NOW, &mut random);
    let answered = answered(&root, &doctor, &request, &ticket, &mut random);
    let answer = JoinAnswer::make(&ticket, &request, &answered, &mut random).expect("an answer");
    Scene {
        once: KemSecret::generate(&group, &mut random),
        doctor,
        entry,
        ticket,
        keys,
        request,
        answer,
    }
});

fn newcomer(group: &Group, random: &mut Chance) -> NewcomerKeys {
    NewcomerKeys {
        signing: SignSecret::generate(group, random),
        once: KemSecret::generate(group, random),
    }
}

fn ticket(doctor: &DoctorIdentity) -> JoinTicket {
    JoinTicket {
        clinic: doctor.root.subject().clinic,
        root: doctor.root.fingerprint(),
        role: Role::Assistant,
        doctor: doctor.identifier().clone(),
        subject: "A1".parse().expect("a name"),
        id: [7; 16],
        secret: Secret::zero(),
        expires: NOW,
    }
}

fn answered(
    root: &SignSecret,
    doctor: &DoctorIdentity,
    request: &JoinRequest,
    ticket: &JoinTicket,
    random: &mut Chance,
) -> Answered {
    let (issuer, newcomer) = ((&doctor.root, root), (&ticket.subject, ticket.role));
    let key = request.signing_key.clone();
    let columns = vec![("message".to_owned(), Secret::zero())];
    Answered {
        certificate: certify_staff(issuer, newcomer, key, NOW, random),
        revoked_number: 0,
        grant: Grant::Columns(ColumnKeys::new(columns).expect("columns")),
    }
}

/// A record of the clinic's doctors, or one of their entries.
///
/// # Panics
/// If something is read that is not what was written.
pub fn roster(input: &[u8]) {
    let scene = &*SCENE;
    let mut entries = vec![input.to_vec()];
    if let Ok(roster) = Roster::decode(input) {
        assert_eq!(roster.encode(), input, "one way to write it");
        assert!(roster.0.len() <= Roster::MAX_ENTRIES);
        entries.extend(roster.0);
    }
    for entry in entries {
        let claimed = RosterEntry::doctor_in(&entry);
        if let Ok(read) = RosterEntry::accept(&entry, &scene.doctor.root, &scene.doctor.revoked) {
            assert_eq!(entry, scene.entry.as_bytes(), "nobody else has signed it");
            assert_eq!(claimed.as_ref(), Some(read.doctor()));
        }
    }
}

/// A ticket for joining, as it is typed.
///
/// # Panics
/// As [`roster`].
pub fn join_ticket(input: &[u8]) {
    let typed = String::from_utf8_lossy(input);
    let read = typed.parse::<JoinTicket>();
    if let Ok(ticket) = read {
        assert!(is_join_ticket(&typed) && looks_like_ticket(&typed));
        let again: JoinTicket = ticket.to_text().parse().expect("what it says of itself");
        assert_eq!(again.to_text(), ticket.to_text());
        assert!(ticket.role.is_staff());
    }
}

/// A request to join: as it lies in the database, and with the proof that only who
/// has the ticket can make.
///
/// # Panics
/// As [`roster`].
pub fn join_request(input: &[u8]) {
    let scene = &*SCENE;
    let proved = [input, &proof(&scene.ticket, input)].concat();
    for bytes in [input, &proved] {
        let _ = JoinRequest::ticket_of(bytes);
        let read = JoinRequest::accept(bytes, &scene.ticket, &scene.doctor.root);
        if let Ok(request) = read {
            assert_eq!(request.as_bytes(), bytes);
            assert_eq!(JoinRequest::ticket_of(bytes), Some(scene.ticket.id));
        }
    }
}

fn proof(ticket: &JoinTicket, proved: &[u8]) -> [u8; 64] {
    let salt = kdf::extract(&ticket.id, &[ticket.secret.expose()]);
    let key: Secret<64> = salt.expand(label::JOIN_TICKET, &[]);
    kdf::hmac(key.expose(), &[proved])
}

/// An answer to it: as it lies in the database, and as what somebody has sealed
/// who has the ticket.
///
/// # Panics
/// As [`roster`].
pub fn join_answer(input: &[u8]) {
    let scene = &*SCENE;
    let open = |bytes: Vec<u8>| {
        let (ticket, request) = (&scene.ticket, &scene.request);
        let answer = JoinAnswer::from_bytes(bytes);
        answer.open(ticket, request, &scene.keys, &scene.doctor.root, NOW)
    };
    if open(input.to_vec()).is_ok() {
        assert_eq!(input, scene.answer.as_bytes(), "nobody else has sealed it");
    }
    if let Some(sealed) = sealed(scene, input)
        && let Ok(answered) = open(sealed)
    {
        assert_eq!(answered.certificate.subject().role, scene.ticket.role);
        assert_eq!(answered.grant.role(), scene.ticket.role);
    }
    if let Ok(keys) = ColumnKeys::decode(input) {
        assert_eq!(keys.encode().expose(), input, "one way to write it");
    }
}

/// This content as an answer; none if it is too long for one.
fn sealed(scene: &Scene, content: &[u8]) -> Option<Vec<u8>> {
    let ticket = &scene.ticket;
    let header = Writer::new()
        .u8(1)
        .bytes(&ticket.id)
        .bytes(scene.once.public().as_bytes())
        .finish();
    let bound = kdf::hash(&[scene.request.as_bytes()]);
    let ad = [&bound[..], &header];
    let salt = kdf::extract(&ticket.id, &[ticket.secret.expose()]);
    let shared = scene.once.agree(&scene.request.once);
    let key = kdf::extract(salt.secret().expose(), &[shared.expose()]);
    let key = SealingKey::new(key.expand(label::JOIN_ANSWER, &ad));
    let sealed = key.seal(0, &ad, content, &mut Chance(1));
    let fits = sealed.len() <= usize::from(u16::MAX);
    fits.then(|| Writer::new().bytes(&header).lp16(&sealed).finish())
}

/// Where a clinic's database is, as it is typed.
///
/// # Panics
/// As [`roster`].
#[cfg(feature = "postgres")]
pub fn store_address(input: &[u8]) {
    use telemed::store::PostgresAddress;

    let typed = String::from_utf8_lossy(input);
    match typed.parse::<PostgresAddress>() {
        Ok(address) => {
            assert_eq!(address.text(), typed);
            let again: PostgresAddress = address.text().parse().expect("the same again");
            assert_eq!(
                (again.place(), again.host(), again.user(), again.database()),
                (
                    address.place(),
                    address.host(),
                    address.user(),
                    address.database()
                )
            );
        }
        // What is wrong in it may be a password: none of it is shown.
        Err(error) => {
            let secret = typed.split_once(':').and_then(|(_, rest)| {
                let (before, _) = rest.split_once('@')?;
                before.split_once(':').map(|(_, password)| password)
            });
            if let Some(secret) = secret.filter(|secret| secret.len() > 24) {
                assert!(!error.to_string().contains(secret), "{error}");
            }
        }
    }
}
