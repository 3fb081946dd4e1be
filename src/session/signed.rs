//! What is signed inside a session, so that it convinces others as well.

use crate::clock::Timestamp;
use crate::elgamal::{InvalidSignature, SignSecret, VerifyingKey};
use crate::identity::certificate::Fingerprint;
use crate::kdf::label;
use crate::protocol::message::{Message, MessageId};
use crate::protocol::record::{Ack, Audience, Direct};
use crate::random::Random;

/// Doctor and patient of a session, by their certificates.
#[derive(Clone, Copy, Debug)]
pub struct Parties {
    /// Fingerprint of the doctor's certificate.
    pub doctor: Fingerprint,
    /// Fingerprint of the patient's certificate.
    pub patient: Fingerprint,
}

fn direct_parts(audience: Audience, message_hash: &[u8; 64], parties: &Parties) -> Vec<u8> {
    let patient: &[u8] = match audience {
        Audience::Everyone => &[],
        Audience::Chosen => &parties.patient,
    };
    [
        &[audience.to_byte()],
        &message_hash[..],
        &parties.doctor,
        patient,
    ]
    .concat()
}

/// Signs a message to everyone who missed it, or to this patient.
#[must_use]
pub fn sign_direct(
    doctor: &SignSecret,
    audience: Audience,
    message: Message,
    parties: &Parties,
    random: &mut dyn Random,
) -> Direct {
    let parts = direct_parts(audience, &message.hash(), parties);
    let signature = doctor.sign(label::SIG_DIRECT, &[&parts], random);
    Direct {
        audience,
        message,
        signature,
    }
}

/// Checks the doctor's signature on a DIRECT message.
///
/// # Errors
/// [`InvalidSignature`].
pub fn verify_direct(
    doctor: &VerifyingKey,
    direct: &Direct,
    parties: &Parties,
) -> Result<(), InvalidSignature> {
    let parts = direct_parts(direct.audience, &direct.message.hash(), parties);
    doctor.verify(label::SIG_DIRECT, &[&parts], &direct.signature)
}

fn ack_parts(id: MessageId, message_hash: &[u8; 64], at: Timestamp, parties: &Parties) -> Vec<u8> {
    [
        &id.0[..],
        message_hash,
        &at.as_millis().to_be_bytes(),
        &parties.patient,
        &parties.doctor,
    ]
    .concat()
}

/// Signs that a person confirmed a message.
#[must_use]
pub fn sign_ack(
    patient: &SignSecret,
    id: MessageId,
    message_hash: &[u8; 64],
    at: Timestamp,
    parties: &Parties,
    random: &mut dyn Random,
) -> Ack {
    let parts = ack_parts(id, message_hash, at, parties);
    let signature = patient.sign(label::SIG_ACK, &[&parts], random);
    Ack { id, at, signature }
}

/// Checks the patient's signature on a confirmation.
///
/// # Errors
/// [`InvalidSignature`].
pub fn verify_ack(
    patient: &VerifyingKey,
    ack: &Ack,
    message_hash: &[u8; 64],
    parties: &Parties,
) -> Result<(), InvalidSignature> {
    let parts = ack_parts(ack.id, message_hash, ack.at, parties);
    patient.verify(label::SIG_ACK, &[&parts], &ack.signature)
}
