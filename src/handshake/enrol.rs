//! Enrolment: a newcomer shows that she knows a ticket's secret, without
//! sending it, and that she holds the keys she wants certified.
//!
//! ```text
//! patient  -- E1: KEM to the prekey, box{y_s, y_e, proofs} -->  doctor
//! patient  <-- E2: KEM to y_e, box{certificate, proof} -------  doctor
//! patient  -- E3: HMAC, the certificate has arrived --------->  doctor
//! patient  <-- E4: HMAC, the certificate is active -----------  doctor
//! ```
//!
//! Without E4 the patient sends E1 again with the same keys and is given the
//! same certificate.

mod doctor;
mod patient;

pub use doctor::{Enrolled, ExpectConfirmation, answer};
pub use patient::{AwaitCertificate, AwaitDone, NewKeys, begin};

use crate::framing::Frame;
use crate::identity::ticket::TicketId;
use crate::kdf::{self, Label, Prk, label};
use crate::protocol::record::Mac;
use crate::secret::Secret;

/// What both sides know of the ticket: `kt = Ex(tid, secret)`.
struct TicketKey(Prk);

impl TicketKey {
    fn new(id: &TicketId, secret: &Secret<16>) -> Self {
        Self(kdf::extract(id, &[secret.expose()]))
    }

    fn mac(&self, label: Label, parts: &[&[u8]]) -> Mac {
        mac(&self.0, label, parts)
    }
}

fn mac(key: &Prk, label: Label, parts: &[&[u8]]) -> Mac {
    let key: Secret<64> = key.expand(label, &[]);
    kdf::hmac(key.expose(), parts)
}

/// A twelve-digit code that both sides show, to be compared over the phone:
/// the first 8 bytes of a hash over both messages, modulo 10^12.
#[must_use]
pub fn check_code(e1: &Frame, e2: &Frame) -> String {
    let hash = kdf::hash(&[&label::CHECK_CODE.encoded(), e1.as_bytes(), e2.as_bytes()]);
    let number = hash[..8]
        .iter()
        .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    let digits = format!("{:012}", number % 1_000_000_000_000);
    format!(
        "{} {} {} {}",
        &digits[..3],
        &digits[3..6],
        &digits[6..9],
        &digits[9..]
    )
}
