//! Hashing and key derivation, all SHA-512, and every label there is.
//!
//! - `H(x)` is SHA-512, `H32(x)` its first 32 bytes ([`hash`], [`hash32`]).
//! - `HMAC(key, x)` is HMAC-SHA-512 (RFC 2104), [`hmac()`].
//! - `Ex(salt, ikm)` and `Xp(prk, label, context, n)` are HKDF-SHA-512 extract
//!   and expand (RFC 5869), [`extract`] and [`Prk::expand`].
//!
//! Wherever a label stands, its bytes are its length in one byte, then its
//! ASCII text. Each label is used for one thing.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha512};

use crate::secret::Secret;

/// The text that keeps one use of a hash or key apart from every other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Label(&'static str);

impl Label {
    /// The label as it is hashed: its length in one byte, then its text.
    #[must_use]
    pub fn encoded(self) -> Vec<u8> {
        crate::codec::Writer::new().lp8(self.0.as_bytes()).finish()
    }
}

/// Every label of the protocol.
pub mod label {
    use super::Label;

    /// Hash: the name of a group.
    pub const GROUP_ID: Label = Label("tmc1 group");
    /// Hash: the name of a signing key.
    pub const KEY_ID: Label = Label("tmc1 key id");
    /// Hash: transcript up to the second message's ciphertext.
    pub const TH2: Label = Label("tmc1 TH2");
    /// Hash: transcript of both first messages.
    pub const TH3: Label = Label("tmc1 TH3");
    /// Hash: transcript of a resumption.
    pub const TH_RESUME: Label = Label("tmc1 TH resume");
    /// Hash: the code both sides of an enrolment show.
    pub const CHECK_CODE: Label = Label("tmc1 check");

    /// Signature: a certificate.
    pub const SIG_CERTIFICATE: Label = Label("tmc1 cert");
    /// Signature: a doctor's prekey.
    pub const SIG_PREKEY: Label = Label("tmc1 prekey");
    /// Signature: the list of revoked doctors.
    pub const SIG_REVOKED: Label = Label("tmc1 revoked");
    /// Signature: the root's, on what a former doctor's key has certified.
    pub const SIG_CLOSING: Label = Label("tmc1 closing");
    /// Signature: a doctor's, on where her patients reach her.
    pub const SIG_ROSTER: Label = Label("tmc1 roster");
    /// Signature: the patient's, in the first message.
    pub const SIG_M1: Label = Label("tmc1 sig M1");
    /// Signature: the doctor's, in the second message.
    pub const SIG_M2: Label = Label("tmc1 sig M2");
    /// Signature: the doctor's, on a broadcast.
    pub const SIG_ENC_MSG: Label = Label("tmc1 sig ENC_MSG");
    /// Signature: the doctor's, on a message to chosen recipients.
    pub const SIG_DIRECT: Label = Label("tmc1 sig DIRECT");
    /// Signature: the patient's, on a confirmation.
    pub const SIG_ACK: Label = Label("tmc1 sig ACK");
    /// Signature: proof of possession, in the request for a certificate.
    pub const SIG_CSR: Label = Label("tmc1 csr");

    /// Key: seals the patient's half of the first message.
    pub const K1: Label = Label("tmc1 k1");
    /// Key: seals an alert.
    pub const ALERT: Label = Label("tmc1 alert");
    /// Salt: from the first secret to the second.
    pub const DERIVED: Label = Label("tmc1 derived");
    /// Key: seals the doctor's half of the second message.
    pub const K2: Label = Label("tmc1 k2");
    /// Salt: from the handshake to the session key.
    pub const MASTER: Label = Label("tmc1 master");
    /// Key: of the session key's verification.
    pub const CONFIRM: Label = Label("tmc1 confirm");
    /// HMAC: the third message.
    pub const M3: Label = Label("tmc1 M3");
    /// Key: records from the patient.
    pub const RECORD_P_TO_D: Label = Label("tmc1 record P to D");
    /// Key: records from the doctor.
    pub const RECORD_D_TO_P: Label = Label("tmc1 record D to P");
    /// Secret: a session's share in the group key.
    pub const GROUP_CONTRIBUTION: Label = Label("tmc1 group contribution");
    /// Key: of a device's receipts.
    pub const RECEIPT_KEY: Label = Label("tmc1 receipt key");
    /// Key: from which a session is resumed.
    pub const RESUMPTION: Label = Label("tmc1 resumption");
    /// Key: the patient's proof in a resumption.
    pub const BINDER_P: Label = Label("tmc1 binder P");
    /// Key: the doctor's proof in a resumption.
    pub const BINDER_D: Label = Label("tmc1 binder D");
    /// Salt: from a resumption to the session key.
    pub const RESUME_MASTER: Label = Label("tmc1 resume master");

    /// Key: the group key of an epoch.
    pub const GROUP_KEY: Label = Label("tmc1 GK");
    /// Key: seals broadcasts of an epoch.
    pub const GROUP_SEAL: Label = Label("tmc1 group seal");
    /// Name: of a group key.
    pub const GROUP_KEY_ID: Label = Label("tmc1 group id");
    /// HMAC: a device's receipt for a broadcast.
    pub const RECEIPT: Label = Label("tmc1 receipt");
    /// HMAC: a device's receipt for any other message.
    pub const PRIVATE_RECEIPT: Label = Label("tmc1 private receipt");

    /// Key: seals a request for a certificate.
    pub const ENROL_1: Label = Label("tmc1 enrol 1");
    /// Salt: from an enrolment's first secret to its second.
    pub const ENROL_DERIVED: Label = Label("tmc1 enrol derived");
    /// Key: seals the certificate on its way.
    pub const ENROL_2: Label = Label("tmc1 enrol 2");
    /// Key: the patient's confirmation of an enrolment.
    pub const ENROL_CONFIRM: Label = Label("tmc1 enrol confirm");
    /// Key: the doctor's confirmation of an enrolment.
    pub const ENROL_DONE: Label = Label("tmc1 enrol done");
    /// Key: the patient's proof of a ticket.
    pub const TICKET_P: Label = Label("tmc1 ticket P");
    /// Key: the doctor's proof of a ticket.
    pub const TICKET_D: Label = Label("tmc1 ticket D");
    /// HMAC-DRBG: the personalisation of a signature's nonce.
    pub const SIGN_NONCE: Label = Label("tmc1 sign nonce");

    /// Signature: the doctor's, on a ticket that she has made.
    pub const SIG_TICKET: Label = Label("tmc1 sig ticket");
    /// Signature: proof of possession, in a doctor's request to join a clinic.
    pub const SIG_JOIN_REQUEST: Label = Label("tmc1 join request");
    /// Key: the newcomer's proof of a ticket for joining.
    pub const JOIN_TICKET: Label = Label("tmc1 join ticket");
    /// Key: seals the answer to a request to join.
    pub const JOIN_ANSWER: Label = Label("tmc1 join answer");

    /// Hash: an entry of the audit log.
    pub const AUDIT: Label = Label("tmc1 audit");
    /// Signature: the doctor's, on the newest link of the audit log.
    pub const SIG_AUDIT_HEAD: Label = Label("tmc1 audit head");
    /// Signature: the doctor's, on what the file of heads says of a certificate
    /// that was stopped.
    pub const SIG_AUDIT_STOP: Label = Label("tmc1 audit stop");
    /// Hash: the name of a data key.
    pub const DATA_KEY_ID: Label = Label("tmc1 data key id");
    /// Key: a column of the database.
    pub const AT_REST: Label = Label("tmc1 at rest");
    /// Key: the data key wrapped under a recovery code.
    pub const RECOVERY: Label = Label("tmc1 recovery");
    /// Key: a backup.
    pub const BACKUP: Label = Label("tmc1 backup");
    /// Hash: the header of a backup.
    pub const BACKUP_HEADER: Label = Label("tmc1 backup header");
    /// Key: a key file sealed under a passphrase.
    pub const KEY_PASSPHRASE: Label = Label("tmc1 key passphrase");
    /// Key: a key file sealed under its directory's wrapping key.
    pub const KEY_WRAP: Label = Label("tmc1 key wrap");
    /// Name: of a wrapping key.
    pub const WRAPPING_KEY_ID: Label = Label("tmc1 wrapping key id");

    /// All of them, for the test that no two are the same.
    #[cfg(test)]
    pub(super) const ALL: [Label; 60] = [
        GROUP_ID,
        KEY_ID,
        TH2,
        TH3,
        TH_RESUME,
        CHECK_CODE,
        SIG_CERTIFICATE,
        SIG_PREKEY,
        SIG_REVOKED,
        SIG_CLOSING,
        SIG_ROSTER,
        SIG_M1,
        SIG_M2,
        SIG_ENC_MSG,
        SIG_DIRECT,
        SIG_ACK,
        SIG_CSR,
        K1,
        ALERT,
        DERIVED,
        K2,
        MASTER,
        CONFIRM,
        M3,
        RECORD_P_TO_D,
        RECORD_D_TO_P,
        GROUP_CONTRIBUTION,
        RECEIPT_KEY,
        RESUMPTION,
        BINDER_P,
        BINDER_D,
        RESUME_MASTER,
        GROUP_KEY,
        GROUP_SEAL,
        GROUP_KEY_ID,
        RECEIPT,
        PRIVATE_RECEIPT,
        ENROL_1,
        ENROL_DERIVED,
        ENROL_2,
        ENROL_CONFIRM,
        ENROL_DONE,
        TICKET_P,
        TICKET_D,
        SIGN_NONCE,
        SIG_TICKET,
        SIG_JOIN_REQUEST,
        JOIN_TICKET,
        JOIN_ANSWER,
        AUDIT,
        SIG_AUDIT_HEAD,
        SIG_AUDIT_STOP,
        DATA_KEY_ID,
        AT_REST,
        RECOVERY,
        BACKUP,
        BACKUP_HEADER,
        KEY_PASSPHRASE,
        KEY_WRAP,
        WRAPPING_KEY_ID,
    ];
}

/// `H`: SHA-512 over all `parts`, one after the other. 64 bytes.
#[must_use]
pub fn hash(parts: &[&[u8]]) -> [u8; 64] {
    let mut hasher = Sha512::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// `H32`: the first 32 bytes of SHA-512 over all `parts`.
#[must_use]
pub fn hash32(parts: &[&[u8]]) -> [u8; 32] {
    let mut short = [0; 32];
    short.copy_from_slice(&hash(parts)[..32]);
    short
}

/// HMAC-SHA-512 over all `parts`, one after the other. 64 bytes.
///
/// What is computed here to check a peer's value must be compared with
/// [`crate::secret::ct_eq`].
#[must_use]
pub fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 64] {
    let mut mac = keyed(key);
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
fn keyed(key: &[u8]) -> Hmac<Sha512> {
    Hmac::<Sha512>::new_from_slice(key).expect("HMAC takes keys of every length")
}

/// A pseudorandom key, the output of HKDF's extract step. 64 bytes.
#[derive(Debug)]
pub struct Prk(Secret<64>);

/// `Ex(salt, ikm)`: HKDF-SHA-512 extract (RFC 5869, section 2.2); `ikm` is all
/// of `parts`, one after the other.
#[must_use]
pub fn extract(salt: &[u8], parts: &[&[u8]]) -> Prk {
    let mut mac = keyed(salt);
    for part in parts {
        mac.update(part);
    }
    let mut prk = Secret::zero();
    let mut bytes = mac.finalize().into_bytes();
    prk.expose_mut().copy_from_slice(&bytes);
    zeroize::Zeroize::zeroize(bytes.as_mut_slice());
    Prk(prk)
}

impl Prk {
    /// Takes 64 bytes that are uniformly random already.
    #[must_use]
    pub const fn from_secret(secret: Secret<64>) -> Self {
        Self(secret)
    }

    /// A second copy. Named, so that copies of secrets can be searched for.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }

    /// The key itself, 64 bytes.
    #[must_use]
    pub const fn secret(&self) -> &Secret<64> {
        &self.0
    }

    /// `Xp(self, label, context, N)`: HKDF-SHA-512 expand (RFC 5869, section
    /// 2.3); the context is all of `parts`, one after the other.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "N is a constant of ours, far below both limits"
    )]
    pub fn expand<const N: usize>(&self, label: Label, parts: &[&[u8]]) -> Secret<N> {
        let encoded = label.encoded();
        let mut info: Vec<&[u8]> = vec![&encoded];
        info.extend_from_slice(parts);
        let mut output = Secret::zero();
        Hkdf::<Sha512>::from_prk(self.0.expose())
            .expect("a pseudorandom key of 64 bytes is long enough")
            .expand_multi_info(&info, output.expose_mut())
            .expect("far less than 255 blocks are asked for");
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_labels_are_the_same() {
        for (position, label) in label::ALL.iter().enumerate() {
            assert!(label.0.is_ascii() && label.0.starts_with("tmc1 "));
            assert!(!label::ALL[..position].contains(label), "{label:?} twice");
        }
    }

    #[test]
    fn parts_are_hashed_one_after_the_other() {
        assert_eq!(hash(&[b"ab", b"", b"c"]), hash(&[b"abc"]));
        assert_eq!(hmac(b"key", &[b"ab", b"c"]), hmac(b"key", &[b"abc"]));
        assert_eq!(hash32(&[b"abc"]), hash(&[b"abc"])[..32]);
    }

    #[test]
    fn the_label_is_part_of_the_derivation() {
        let prk = extract(b"salt", &[b"ikm"]);
        let a: Secret<64> = prk.expand(label::K1, &[b"context"]);
        let b: Secret<64> = prk.expand(label::K2, &[b"context"]);
        let c: Secret<64> = prk.expand(label::K1, &[b"con", b"text"]);
        assert!(!a.ct_eq(&b));
        assert!(a.ct_eq(&c));
    }
}
