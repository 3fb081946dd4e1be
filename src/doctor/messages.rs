//! Messages in a practice's books: sealed when they are put in, opened when
//! they are taken out.
//!
//! A message exists once it is committed; only then is it sent. It is queued
//! when it is committed, sent when it is given to a device's connection,
//! delivered when the device has proved that it has it, and confirmed when a
//! person has signed that.

pub mod addressees;
pub(super) mod live;
pub(super) mod reseal;
pub mod senders;

use std::fmt;

use crate::codec::Writer;
use crate::doctor::authors::{self, Authors};
use crate::doctor::messages::addressees::Addressees;
use crate::doctor::practice::Practice;
use crate::doctor::staff;
use crate::hex;
use crate::identity::certificate::{Certificate, Fingerprint, Role, VerifiedCertificate};
use crate::protocol::message::{Boundary, Message, MessageId};
use crate::protocol::record::Ack;
use crate::random::OsRandom;
use crate::session::signed::{self, Parties};
use crate::store::StoreError;
use crate::store::messages::{BoundaryMark, IncomingRow, MessageRow};
use crate::vault::{ColumnError, column};

/// Why a message cannot be taken out of the books.
#[derive(Debug)]
pub enum BookError {
    /// The store.
    Store(StoreError),
    /// What lies under this message's number does not open.
    Sealed(u64),
    /// Nobody who may write to patients has written what lies under this message's
    /// number.
    Author(u64),
    /// What lies under this message's number is for others than the store says,
    /// or does not say for whom it is.
    Addressees(u64),
    /// What a device wrote lies under this number, and no doctor of this clinic has
    /// certified that device.
    Sender(u64),
}

impl fmt::Display for BookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "{error}"),
            Self::Sealed(number) => write!(
                f,
                "message {number} in the database is damaged, it does not open; keep the \
                 database and restore a backup"
            ),
            Self::Author(number) => write!(
                f,
                "message {number} is given to nobody: it lies under the assistants' key, and the \
                 name under it is that of no assistant of this clinic who may write; see who can \
                 write to the database"
            ),
            Self::Addressees(number) => write!(
                f,
                "message {number} is not for whom the database says it is, and is not given to \
                 them; see who can write to the database"
            ),
            Self::Sender(number) => write!(
                f,
                "message {number} to the doctors is of nobody whom a doctor of this clinic has \
                 enrolled; see who can write to the database"
            ),
        }
    }
}

impl std::error::Error for BookError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Sealed(_) | Self::Author(_) | Self::Addressees(_) | Self::Sender(_) => None,
        }
    }
}

impl From<StoreError> for BookError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A short name for a device, which tells a patient's devices apart: the first
/// six hexadecimal digits of its certificate's fingerprint.
#[must_use]
pub fn device_code(device: &Fingerprint) -> String {
    hex::encode(&device[..3])
}

/// What a message is to a consultation, as the store keeps it.
#[must_use]
pub fn mark_of(message: &Message) -> Option<BoundaryMark> {
    message.boundary().map(|boundary| match boundary {
        Boundary::Opens => BoundaryMark::Opens,
        Boundary::Closes => BoundaryMark::Closes,
    })
}

/// A message of the doctor's, or of the assistant's whose practice this is,
/// sealed with for whom it is.
///
/// # Errors
/// [`ColumnError`] if there is no key for it here.
pub fn seal(
    practice: &Practice,
    message: &Message,
    addressees: &Addressees,
) -> Result<Vec<u8>, ColumnError> {
    let (id, bytes) = (message.id().0, addressees.content(message));
    let column = match practice.role() {
        Role::Doctor => column::DOCTOR_MESSAGE,
        _ => column::STAFF_MESSAGE,
    };
    practice.vault.seal(column, &id, &bytes, &mut OsRandom)
}

/// A message of the doctor's as it was found in the books, to be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// It.
    Open(Message),
    /// It lies under the assistants' key, and its author is none of them; or it is
    /// for others than the store says.
    Doubted(Message),
    /// It is not for her who reads.
    Closed,
    /// What lies there does not open: it is damaged. Of a single message that is
    /// [`BookError::Sealed`].
    Damaged,
}

impl Found {
    /// The message, if it is open.
    #[must_use]
    pub const fn message(&self) -> Option<&Message> {
        match self {
            Self::Open(message) | Self::Doubted(message) => Some(message),
            Self::Closed | Self::Damaged => None,
        }
    }

    /// Whether it is given to nobody, because its author is none of those who
    /// could have written it, or it is for others.
    #[must_use]
    pub const fn is_doubted(&self) -> bool {
        matches!(self, Self::Doubted(_))
    }

    /// Whether it does not open any more.
    #[must_use]
    pub const fn is_damaged(&self) -> bool {
        matches!(self, Self::Damaged)
    }
}

/// Opens a message of the doctor's, or of an assistant's, to be read.
///
/// # Errors
/// [`BookError`].
pub fn read(practice: &Practice, row: &MessageRow) -> Result<Found, BookError> {
    read_with(&Authors::new(practice), row)
}

/// The same as one of several.
pub(super) fn read_with(authors: &Authors<'_>, row: &MessageRow) -> Result<Found, BookError> {
    let (message, is_sure) = match take_out(authors.practice, row)? {
        TakenOut::Doctors(message, addressees) => (message, addressees.is_some()),
        TakenOut::Staff(message, addressees) => {
            let is_sure = addressees.is_some() && authors.is_known(&message)?;
            (message, is_sure)
        }
        TakenOut::Closed => return Ok(Found::Closed),
    };
    Ok(match is_sure {
        true => Found::Open(message),
        false => Found::Doubted(message),
    })
}

/// The same for a list: a message that is damaged must not hide the others, and is
/// [`Found::Damaged`].
pub(super) fn find_with(authors: &Authors<'_>, row: &MessageRow) -> Result<Found, BookError> {
    match read_with(authors, row) {
        Err(BookError::Sealed(_)) => Ok(Found::Damaged),
        found => found,
    }
}

/// Opens a message that is to be given to patients, and says to whom.
///
/// # Errors
/// [`BookError`]; [`BookError::Author`] if nobody who may write to them has
/// written it, [`BookError::Addressees`] if it is for others than the row says.
pub fn open(practice: &Practice, row: &MessageRow) -> Result<(Message, Addressees), BookError> {
    open_with(&Authors::new(practice), row)
}

/// The same as one of several.
pub(super) fn open_with(
    authors: &Authors<'_>,
    row: &MessageRow,
) -> Result<(Message, Addressees), BookError> {
    let (message, addressees) = match take_out(authors.practice, row)? {
        TakenOut::Doctors(message, addressees) => (message, addressees),
        TakenOut::Staff(message, addressees) if authors.may_be_given(&message)? => {
            (message, addressees)
        }
        TakenOut::Staff(..) => return Err(BookError::Author(row.number)),
        TakenOut::Closed => return Err(BookError::Sealed(row.number)),
    };
    let addressees = addressees.ok_or(BookError::Addressees(row.number))?;
    Ok((message, addressees))
}

/// Who wrote a message, in a clinic of several: by its own word, or else by the
/// store's.
///
/// # Errors
/// [`StoreError`].
pub fn author(
    practice: &Practice,
    row: &MessageRow,
    message: Option<&Message>,
) -> Result<Option<String>, StoreError> {
    if let Some(message) = message {
        return Ok(message.author().map(ToString::to_string));
    }
    match practice.store.clinic() {
        Some(clinic) => Ok(clinic.writers(&[row.number])?.remove(&row.number)),
        None => Ok(None),
    }
}

/// A message by the key under which it lay, with for whom it is; without, if that
/// is not whom the row names.
enum TakenOut {
    /// The doctors' own.
    Doctors(Message, Option<Addressees>),
    /// The one they share with assistants.
    Staff(Message, Option<Addressees>),
    /// Another than she has.
    Closed,
}

fn take_out(practice: &Practice, row: &MessageRow) -> Result<TakenOut, BookError> {
    let open = |column| practice.vault.open(column, &row.id, &row.sealed);
    let damaged = || BookError::Sealed(row.number);
    let closed = match open(column::DOCTOR_MESSAGE) {
        Ok(content) => {
            let (addressees, bytes) = apart(content.expose(), row).ok_or_else(damaged)?;
            let message = Message::decode(bytes).map_err(|_| damaged())?;
            return Ok(TakenOut::Doctors(message, addressees));
        }
        Err(error) => error,
    };
    if let Ok(bytes) = open(column::MESSAGE) {
        let message = Message::decode(bytes.expose()).map_err(|_| damaged())?;
        return Ok(TakenOut::Doctors(message, addressees_of_old(practice, row)));
    }
    match open(column::STAFF_MESSAGE) {
        Ok(content) => {
            let (addressees, bytes) = apart(content.expose(), row).ok_or_else(damaged)?;
            let message = authors::decode(bytes, row).ok_or_else(damaged)?;
            Ok(TakenOut::Staff(message, addressees))
        }
        // Whether it is damaged only those can tell who have the key to it.
        Err(ColumnError::Damaged) if closed == ColumnError::NoKey(column::DOCTOR_MESSAGE) => {
            Ok(TakenOut::Closed)
        }
        Err(error) => Err(not_opened(error, row.number)),
    }
}

/// For whom a message is, if the row says so too, and its bytes.
fn apart<'a>(content: &'a [u8], row: &MessageRow) -> Option<(Option<Addressees>, &'a [u8])> {
    let (addressees, bytes) = Addressees::decode(content).ok()?;
    Some((Some(addressees).filter(|it| it.fits(row)), bytes))
}

/// What earlier versions sealed does not say for whom it is. In a file the row's
/// word is enough; where several share a store it is read and not given.
fn addressees_of_old(practice: &Practice, row: &MessageRow) -> Option<Addressees> {
    match practice.store.nodes() {
        Some(_) => None,
        None => Addressees::of_row(row),
    }
}

fn not_opened(error: ColumnError, number: u64) -> BookError {
    match error {
        ColumnError::NoKey(_) | ColumnError::NoDataKey => StoreError::from(error).into(),
        ColumnError::Damaged => BookError::Sealed(number),
    }
}

/// A message of a patient's, sealed.
///
/// # Errors
/// As [`seal`].
pub fn seal_incoming(
    practice: &Practice,
    device: &Fingerprint,
    message: &Message,
) -> Result<Vec<u8>, ColumnError> {
    let (row, bytes) = (incoming_row(device, message.id()), message.encode());
    let vault = &practice.vault;
    vault.seal(column::INCOMING, &row, &bytes, &mut OsRandom)
}

/// Opens a message of a patient's; whose it is [`senders`] says.
///
/// # Errors
/// [`BookError::Sealed`].
pub fn open_incoming(practice: &Practice, row: &IncomingRow) -> Result<Message, BookError> {
    let name = incoming_row(&row.device, MessageId(row.id));
    let opened = practice.vault.open(column::INCOMING, &name, &row.sealed);
    let bytes = opened.map_err(|error| not_opened(error, row.number))?;
    Message::decode(bytes.expose()).map_err(|_| BookError::Sealed(row.number))
}

fn incoming_row(device: &Fingerprint, id: MessageId) -> Vec<u8> {
    Writer::new().bytes(device).bytes(&id.0).finish()
}

/// A patient's signed confirmation, sealed.
///
/// # Errors
/// As [`seal`].
pub fn seal_confirmation(
    practice: &Practice,
    device: &Fingerprint,
    ack: &Ack,
) -> Result<Vec<u8>, ColumnError> {
    let row = confirmation_row(ack.id, device);
    let vault = &practice.vault;
    vault.seal(column::CONFIRMATION, &row, &ack.encode(), &mut OsRandom)
}

fn confirmation_row(id: MessageId, device: &Fingerprint) -> Vec<u8> {
    Writer::new().bytes(&id.0).bytes(device).finish()
}

/// Whether the confirmation that is on file for this message and device is one
/// that the owner of the device has signed: evidence, which anybody can check
/// who has the message and the two certificates.
///
/// # Errors
/// [`BookError`].
pub fn is_confirmation_genuine(
    practice: &Practice,
    row: &MessageRow,
    device: &Fingerprint,
) -> Result<bool, BookError> {
    let Some(sealed) = practice.store.confirmation(row.number, device)? else {
        return Ok(false);
    };
    let name = confirmation_row(MessageId(row.id), device);
    let Ok(bytes) = practice.vault.open(column::CONFIRMATION, &name, &sealed) else {
        return Ok(false);
    };
    let Ok(ack) = Ack::decode(bytes.expose()) else {
        return Ok(false);
    };
    let found = read(practice, row)?;
    let Some(message) = found.message() else {
        return Ok(false);
    };
    let doctor = practice.identity();
    let Some(bytes) = practice.store.certificate_bytes(device)? else {
        return Ok(false);
    };
    let Ok(certificate) = Certificate::decode(&bytes, doctor.group()) else {
        return Ok(false);
    };
    let hash = message.hash();
    // It names the certificate that the doctor had at the time, who is the one at
    // whose node it came; another one may have issued the device's.
    let doctors = doctors(practice)?;
    let accepted = |each: &VerifiedCertificate| each.accept_issued(certificate.clone()).ok();
    let issued = doctors.iter().find_map(accepted);
    Ok(issued.is_some_and(|device_certificate| {
        let key = &device_certificate.subject().signing_key;
        doctors.iter().any(|each| {
            let parties = Parties {
                doctor: each.fingerprint(),
                patient: *device,
            };
            signed::verify_ack(key, &ack, &hash, &parties).is_ok()
        })
    }))
}

/// The certificates of the doctors whose patients are the practice's: hers, those
/// she had before, and those of the clinic's other doctors, also of such as have
/// left: what was confirmed stays so.
fn doctors(practice: &Practice) -> Result<Vec<VerifiedCertificate>, StoreError> {
    let own = practice.identity();
    let mut all = own.earlier.clone();
    all.push(own.certificate.clone());
    let staff = staff::certificates(&*practice.store, &own.root)?.into_iter();
    all.extend(staff.filter(|each| each.subject().role == Role::Doctor));
    Ok(all)
}
