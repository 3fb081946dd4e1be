//! The books of a practice: everything that is there whether a server runs or
//! not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use crate::audit::{Action, Entry};
use crate::clock::{Clock, Timestamp};
use crate::doctor::{backup, member, messages, records, tickets};
use crate::identity::authority::DoctorIdentity;
use crate::identity::certificate::{Fingerprint, Role, VerifiedCertificate};
use crate::identity::data_dir::DataDir;
use crate::identity::id::Identifier;
use crate::random::OsRandom;
use crate::store::nodes::Seat;
use crate::store::{Store, StoreError};
use crate::vault::{Vault, VaultError};

/// Who stands in the audit log for what the program does by itself.
pub const SERVER: &str = "server";
/// Who stands in the audit log for somebody who has not proved who she is.
pub const STRANGER: &str = "stranger";

/// A practice's directory, database and keys. Many threads share one.
pub struct Practice {
    /// Where it lies; locked for this program.
    pub directory: Arc<DataDir>,
    /// What survives a restart.
    pub store: Arc<dyn Store>,
    /// Seals and opens the content in it.
    pub vault: Arc<Vault>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Replaced as a whole when a prekey is renewed.
    identity: RwLock<Arc<DoctorIdentity>>,
    /// The certificates of the clinic's assistants that were found in the store and
    /// verified. The root's signature stays good: whether one is revoked or over is
    /// looked at whenever it is used.
    assistants: RwLock<Arc<Vec<VerifiedCertificate>>>,
    /// Whose the devices are whose certificates were verified.
    owners: RwLock<HashMap<Fingerprint, Identifier>>,
    /// The doctor's seat in her clinic, until her server has it.
    seat: Mutex<Option<Box<dyn Seat>>>,
}

impl Practice {
    /// A practice that was founded or loaded; its data key is made if it has
    /// none yet, and what an older version kept in clear, in one piece, or without
    /// the word for whom it is, is sealed as it is now. Copies of the database that a
    /// program which was killed has left are removed. One who works in a clinic
    /// without a node has nothing of that, and opens what she was given the keys to.
    ///
    /// # Errors
    /// [`VaultError`] if the data key cannot be read or made.
    pub fn open(
        directory: Arc<DataDir>,
        store: Arc<dyn Store>,
        identity: DoctorIdentity,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, VaultError> {
        let vault = match identity.certificate.subject().role {
            Role::Doctor => {
                let (vault, _) = Vault::open_or_create(&directory, &*store, &mut OsRandom)?;
                tickets::seal_old(&*store, &vault, &mut OsRandom)?;
                records::split_old(&*store, &vault, &*clock)?;
                messages::reseal::seal_old(&*store, &vault)?;
                // A copy that cannot be removed takes space and does no other harm.
                let _ = backup::sweep(&directory);
                vault
            }
            role => member::vault(&directory, &*store, role)?,
        };
        Ok(Self {
            directory,
            store,
            vault: Arc::new(vault),
            clock,
            identity: RwLock::new(Arc::new(identity)),
            assistants: RwLock::default(),
            owners: RwLock::default(),
            seat: Mutex::default(),
        })
    }

    /// Keeps the doctor's seat for her server.
    pub fn keep_seat(&self, seat: Option<Box<dyn Seat>>) {
        *self.seat.lock().unwrap_or_else(PoisonError::into_inner) = seat;
    }

    /// Her seat for her server, which is taken now if it was not, or was lost since;
    /// none where a store is one doctor's.
    pub(super) fn hand_over_seat(&self) -> Result<Option<Box<dyn Seat>>, StoreError> {
        let kept = self
            .seat
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let kept = kept.and_then(|mut seat| seat.beat().is_ok().then_some(seat));
        match (kept, self.store.nodes()) {
            (None, Some(nodes)) => nodes.take_seat(Instant::now(), &[]).map(Some),
            (kept, _) => Ok(kept),
        }
    }

    /// The doctor's keys and papers.
    #[must_use]
    pub fn identity(&self) -> Arc<DoctorIdentity> {
        let identity = self.identity.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&identity)
    }

    /// What she is whose practice this is: a doctor, or one who works in a clinic
    /// without a node.
    #[must_use]
    pub fn role(&self) -> Role {
        self.identity().certificate.subject().role
    }

    /// Goes on with other keys or papers of the same doctor.
    pub fn replace_identity(&self, identity: DoctorIdentity) {
        let mut current = self
            .identity
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(identity);
    }

    /// The assistants' certificates that were found until now.
    pub(super) fn assistants(&self) -> Arc<Vec<VerifiedCertificate>> {
        let found = self.assistants.read();
        Arc::clone(&found.unwrap_or_else(PoisonError::into_inner))
    }

    /// Goes on with those of this name that were found now.
    pub(super) fn set_assistant(&self, name: &Identifier, found: Vec<VerifiedCertificate>) {
        let mut known = self
            .assistants
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let others = known.iter().filter(|it| it.subject().identifier != *name);
        *known = Arc::new(others.cloned().chain(found).collect());
    }

    /// Whose this device is, if its certificate was verified before.
    pub(super) fn owner(&self, device: &Fingerprint) -> Option<Identifier> {
        let owners = self.owners.read().unwrap_or_else(PoisonError::into_inner);
        owners.get(device).cloned()
    }

    /// Its certificate is verified, and says this.
    pub(super) fn set_owner(&self, device: Fingerprint, owner: Identifier) {
        let mut owners = self.owners.write().unwrap_or_else(PoisonError::into_inner);
        owners.insert(device, owner);
    }

    /// What the clock shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// An entry for the audit log about what the doctor does now.
    #[must_use]
    pub fn by_doctor(&self, action: Action, subject: &str, detail: &str) -> Entry {
        let doctor = self.identity();
        Entry::new(
            self.now(),
            doctor.identifier().as_str(),
            action,
            subject,
            detail,
        )
    }

    /// Logs what the doctor does now and what changes nothing else.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written: it should not be done then.
    pub fn note(&self, action: Action, subject: &str, detail: &str) -> Result<(), StoreError> {
        let entry = self.by_doctor(action, subject, detail);
        self.store.append_audit(&[entry])
    }

    /// Logs that the doctor reads something, before it is shown.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written, saying that this is why nothing
    /// is shown.
    pub fn note_read(&self, action: Action, subject: &str, detail: &str) -> Result<(), StoreError> {
        self.note(action, subject, detail)
            .map_err(StoreError::not_logged)
    }
}
