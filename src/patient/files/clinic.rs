//! What is kept of the doctors of a clinic: the one who enrolled the patient,
//! and the others.

use crate::clock::Timestamp;
use crate::codec::{DecodeError, Reader, Writer};
use crate::identity::certificate;
use crate::identity::data_dir::{DATABASE, DataDir};
use crate::identity::id::Identifier;
use crate::identity::known_doctor::{KnownDoctor, fingerprint_groups};
use crate::identity::roster::RosterEntry;
use crate::patient::colleagues::Colleagues;
use crate::patient::files::{Files, FilesError, doctor_facts};
use crate::random::Random;
use crate::store::{FactStore, SqliteStore, fact};

/// Version of the list.
const VERSION: u8 = 1;

impl Files {
    /// What is known of the doctor who enrolled the patient, checked again from
    /// the root down. She may have been revoked since.
    ///
    /// # Errors
    /// [`FilesError`] if something is missing or damaged.
    pub fn doctor(&self, random: &mut dyn Random) -> Result<KnownDoctor, FilesError> {
        let root = self.wanted(fact::ROOT_CERTIFICATE)?;
        let doctor = Writer::new()
            .lp16(&root)
            .lp16(&self.wanted(fact::DOCTOR_CERTIFICATE)?)
            .lp16(&self.wanted(fact::DOCTOR_PREKEY)?)
            .lp16(&self.wanted(fact::REVOKED_DOCTORS)?)
            .lp16(&self.store.fact(fact::GROUP)?.unwrap_or_default())
            .finish();
        let checked = <[u8; 8]>::try_from(&self.wanted(fact::DOCTOR_CHECKED)?[..])
            .map_err(|_| self.damaged(fact::DOCTOR_CHECKED, "wrong length"))?;
        KnownDoctor::restore(
            &doctor,
            &certificate::fingerprint(&root),
            &self.name.doctor,
            Timestamp::from_millis(u64::from_be_bytes(checked)),
            random,
        )
        .map_err(|error| self.damaged(fact::DOCTOR_CERTIFICATE, &error.to_string()))
    }

    /// Where she is reached: `host:port`.
    ///
    /// # Errors
    /// [`FilesError`] if it is missing or damaged.
    pub fn address(&self) -> Result<String, FilesError> {
        String::from_utf8(self.wanted(fact::ADDRESS)?)
            .map_err(|_| self.damaged(fact::ADDRESS, "it is no text"))
    }

    /// The doctors of the clinic of `home`, who enrolled the patient; all of it
    /// is checked again.
    ///
    /// # Errors
    /// [`FilesError`] if something is damaged.
    pub fn colleagues(&self, home: &KnownDoctor) -> Result<Colleagues, FilesError> {
        let mut colleagues = Colleagues::default();
        let listed = self.roster()?;
        for (since, bytes) in listed {
            let entry = RosterEntry::verify(&bytes, home.root())
                .map_err(|error| self.damaged(fact::ROSTER, &error.to_string()))?;
            let known = self.colleague(&entry, home)?;
            colleagues.put(entry, since);
            if let Some(known) = known {
                colleagues.learn(known);
            }
        }
        Ok(colleagues)
    }

    /// The entries as they are kept, each with the time it is known since.
    fn roster(&self) -> Result<Vec<(Timestamp, Vec<u8>)>, FilesError> {
        let bytes = self.store.fact(fact::ROSTER)?.unwrap_or_default();
        entries(&bytes).map_err(|_| self.damaged(fact::ROSTER, "it is malformed"))
    }

    /// The names of the clinic's doctors, without a look at their papers.
    pub(super) fn colleague_names(&self) -> Result<Vec<Identifier>, FilesError> {
        Ok(names(&self.roster()?))
    }

    fn colleague(
        &self,
        entry: &RosterEntry,
        home: &KnownDoctor,
    ) -> Result<Option<KnownDoctor>, FilesError> {
        let bytes = self.store.fact(&fact::colleague(entry.doctor()))?;
        // Empty: forgotten with an earlier enrolment.
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else {
            return Ok(None);
        };
        let known = |bytes| -> Result<KnownDoctor, String> {
            let mut reader = Reader::new(bytes);
            let malformed = |_| "it is malformed".to_owned();
            let checked = Timestamp::from_millis(reader.u64().map_err(malformed)?);
            let papers = (
                reader.lp16().map_err(malformed)?,
                reader.lp16().map_err(malformed)?,
            );
            reader.finish().map_err(malformed)?;
            home.restore_colleague(papers, entry.certificate(), checked)
                .map_err(|error| error.to_string())
        };
        let known = known(&bytes).map_err(|reason| self.damaged(fact::ROSTER, &reason))?;
        Ok(Some(known))
    }

    /// Keeps the doctors of the clinic.
    ///
    /// # Errors
    /// [`FilesError`] if that cannot be written.
    pub fn save_colleagues(&self, colleagues: &Colleagues) -> Result<(), FilesError> {
        let list = colleagues
            .all()
            .fold(Writer::new().u8(VERSION), |list, colleague| {
                list.u64(colleague.since.as_millis())
                    .lp16(colleague.entry.as_bytes())
            });
        Ok(self.store.set_facts(&[(fact::ROSTER, list.as_slice())])?)
    }

    /// Keeps what was learned of a doctor and checked at `now`, and the clinic's
    /// list of revoked doctors.
    ///
    /// # Errors
    /// [`FilesError`] if it cannot be written.
    pub fn save_doctor(&self, doctor: &KnownDoctor, now: Timestamp) -> Result<(), FilesError> {
        // What is kept is checked again as of `now` when it is loaded.
        if !doctor.prekey().is_valid_at(now) {
            return Ok(());
        }
        let name = &doctor.certificate().subject().identifier;
        if *name == self.name.doctor {
            let checked = now.as_millis().to_be_bytes();
            return Ok(self.store.set_facts(&doctor_facts(doctor, &checked))?);
        }
        let papers = Writer::new()
            .u64(now.as_millis())
            .lp16(doctor.certificate().as_bytes())
            .lp16(doctor.prekey().as_bytes())
            .finish();
        Ok(self.store.set_facts(&[
            (&fact::colleague(name), &papers[..]),
            (fact::REVOKED_DOCTORS, doctor.revoked().as_bytes()),
        ])?)
    }
}

/// Which clinic's doctors an identity has heard of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heard {
    /// The fingerprint of the clinic's root, in groups of digits.
    pub root: String,
    /// The doctors' names.
    pub doctors: Vec<Identifier>,
}

/// The same, read from a directory whose keys stay sealed; none if nobody is
/// enrolled there.
///
/// # Errors
/// [`FilesError`] if it cannot be read.
pub fn heard_of(directory: &DataDir) -> Result<Option<Heard>, FilesError> {
    let store = SqliteStore::open(&directory.path(DATABASE))?;
    let Some(root) = store.fact(fact::ROOT_CERTIFICATE)? else {
        return Ok(None);
    };
    let listed = store.fact(fact::ROSTER)?.unwrap_or_default();
    // Whoever uses what is damaged says so.
    let listed = entries(&listed).unwrap_or_default();
    Ok(Some(Heard {
        root: fingerprint_groups(&certificate::fingerprint(&root)),
        doctors: names(&listed),
    }))
}

fn names(listed: &[(Timestamp, Vec<u8>)]) -> Vec<Identifier> {
    let names = listed.iter();
    names
        .filter_map(|(_, entry)| RosterEntry::doctor_in(entry))
        .collect()
}

fn entries(bytes: &[u8]) -> Result<Vec<(Timestamp, Vec<u8>)>, DecodeError> {
    let mut entries = Vec::new();
    if bytes.is_empty() {
        return Ok(entries);
    }
    let mut reader = Reader::new(bytes);
    if reader.u8()? != VERSION {
        return Err(DecodeError);
    }
    while !reader.is_empty() {
        let since = Timestamp::from_millis(reader.u64()?);
        entries.push((since, reader.lp16()?.to_vec()));
    }
    Ok(entries)
}
