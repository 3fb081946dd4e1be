//! The key schedule: from three Diffie-Hellman secrets to the session key.
//!
//! ```text
//! ES = Ex(gid, ss1)
//! k1 = Xp(ES, "k1", H(AD), 128)          ka = Xp(ES, "alert", H(AD), 128)
//! HS = Ex(Xp(ES, "derived", "", 64), ss2 ‖ ss3)
//! k2 = Xp(HS, "k2", TH2, 128)
//! MS = Ex(Xp(HS, "master", "", 64), TH3)
//! ```

use crate::aes::SealingKey;
use crate::elgamal::{Group, SharedSecret};
use crate::framing::Frame;
use crate::kdf::{self, Prk, label};
use crate::secret::Secret;
use crate::session::SessionKey;

/// Says what a first message is bound to: its bytes up to the end of the
/// ciphertext, the doctor's certificate and her prekey.
pub(super) fn binding(prefix: &[u8], doctor: &[u8; 32], prekey_hash: &[u8; 64]) -> Vec<u8> {
    [prefix, doctor, prekey_hash].concat()
}

/// ES with the hash of what the first message is bound to.
#[derive(Debug)]
pub(super) struct EarlySecret {
    secret: Prk,
    binding_hash: [u8; 64],
}

impl EarlySecret {
    pub(super) fn new(group: &Group, ss1: &SharedSecret, binding: &[u8]) -> Self {
        Self {
            secret: kdf::extract(group.id(), &[ss1.expose()]),
            binding_hash: kdf::hash(&[binding]),
        }
    }

    /// `H(AD)`, which the signature in the first message covers.
    pub(super) const fn binding_hash(&self) -> &[u8; 64] {
        &self.binding_hash
    }

    /// k1, which seals box1.
    pub(super) fn first_box_key(&self) -> SealingKey {
        SealingKey::new(self.secret.expand(label::K1, &[&self.binding_hash]))
    }

    /// The key that seals the request of an enrolment.
    pub(super) fn enrol_box_key(&self) -> SealingKey {
        SealingKey::new(self.secret.expand(label::ENROL_1, &[&self.binding_hash]))
    }

    /// ka, which seals a refusal.
    pub(super) fn alert_key(&self) -> SealingKey {
        SealingKey::new(self.secret.expand(label::ALERT, &[&self.binding_hash]))
    }

    /// HS.
    pub(super) fn handshake(&self, ss2: &SharedSecret, ss3: &SharedSecret) -> HandshakeSecret {
        let salt: Secret<64> = self.secret.expand(label::DERIVED, &[]);
        HandshakeSecret(kdf::extract(salt.expose(), &[ss2.expose(), ss3.expose()]))
    }

    /// The key an enrolment goes on with once both encryption keys are in it.
    pub(super) fn enrolment(&self, ss_e: &SharedSecret) -> Prk {
        let salt: Secret<64> = self.secret.expand(label::ENROL_DERIVED, &[]);
        kdf::extract(salt.expose(), &[ss_e.expose()])
    }
}

/// HS.
#[derive(Debug)]
pub(super) struct HandshakeSecret(Prk);

impl HandshakeSecret {
    /// k2, which seals box2.
    pub(super) fn second_box_key(&self, th2: &[u8; 64]) -> SealingKey {
        SealingKey::new(self.0.expand(label::K2, &[th2]))
    }

    /// MS.
    pub(super) fn session_key(&self, th3: [u8; 64]) -> SessionKey {
        let salt: Secret<64> = self.0.expand(label::MASTER, &[]);
        SessionKey::new(kdf::extract(salt.expose(), &[&th3]), th3)
    }
}

/// TH2: the first message and the second up to the end of its ciphertext.
pub(super) fn transcript_2(m1: &Frame, m2_prefix: &[u8]) -> [u8; 64] {
    transcript(label::TH2, m1.as_bytes(), m2_prefix)
}

/// TH3: both messages.
pub(super) fn transcript_3(m1: &Frame, m2: &Frame) -> [u8; 64] {
    transcript(label::TH3, m1.as_bytes(), m2.as_bytes())
}

/// A label and two frames, each with its length before it.
pub(super) fn transcript(label: kdf::Label, first: &[u8], second: &[u8]) -> [u8; 64] {
    let frames = crate::codec::Writer::new()
        .lp32(first)
        .lp32(second)
        .finish();
    kdf::hash(&[&label.encoded(), &frames])
}
