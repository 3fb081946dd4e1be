//! The signature of the doctor who has made a ticket. It is kept, sealed, with the
//! ticket's secret: who has the data key and can write rows makes no ticket in her
//! name.
//!
//! ```text
//! signature = by the doctor's y_s, "tmc1 sig ticket", over
//!   version 1 ‖ clinic 16 ‖ root FP 32 ‖ tid 16 ‖ H(secret) 64 ‖ role 1
//!   ‖ LP8(doctor) ‖ LP8(subject) ‖ made 8 ‖ expiry 8
//! ```

use crate::clock::Timestamp;
use crate::codec::Writer;
use crate::elgamal::{SignSecret, VerifyingKey};
use crate::identity::authority::DoctorIdentity;
use crate::identity::certificate::{ClinicId, Fingerprint, Role};
use crate::identity::id::Identifier;
use crate::identity::ticket::TicketId;
use crate::kdf::{self, label};
use crate::random::Random;
use crate::secret::Secret;

/// Version of what is signed.
const VERSION: u8 = 1;

/// A doctor who makes tickets.
#[derive(Clone, Debug)]
pub struct Maker {
    clinic: ClinicId,
    root: Fingerprint,
    doctor: Identifier,
    key: VerifyingKey,
}

/// What a ticket says, and its secret.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// Names the ticket.
    pub id: &'a TicketId,
    /// What its holder proves to know.
    pub secret: &'a Secret<16>,
    /// What she will be: [`Role::Patient`], or one of [`Role::STAFF`].
    pub role: Role,
    /// Her identifier.
    pub subject: &'a Identifier,
    /// When the ticket was made.
    pub made: Timestamp,
    /// Last instant at which it is accepted.
    pub expires: Timestamp,
}

impl Maker {
    /// The doctor who has these papers.
    #[must_use]
    pub fn of(identity: &DoctorIdentity) -> Self {
        Self {
            clinic: identity.root.subject().clinic,
            root: identity.root.fingerprint(),
            doctor: identity.identifier().clone(),
            key: identity.signing.verifying_key().clone(),
        }
    }

    /// Her name.
    #[must_use]
    pub const fn doctor(&self) -> &Identifier {
        &self.doctor
    }

    fn signed(&self, ticket: &Made<'_>) -> Vec<u8> {
        Writer::new()
            .u8(VERSION)
            .bytes(&self.clinic)
            .bytes(&self.root)
            .bytes(ticket.id)
            .bytes(&kdf::hash(&[ticket.secret.expose()]))
            .u8(ticket.role.to_byte())
            .lp8(self.doctor.as_str().as_bytes())
            .lp8(ticket.subject.as_str().as_bytes())
            .u64(ticket.made.as_millis())
            .u64(ticket.expires.as_millis())
            .finish()
    }

    /// Signs a ticket with her key: 2L bytes.
    pub fn sign(&self, key: &SignSecret, ticket: &Made<'_>, random: &mut dyn Random) -> Vec<u8> {
        key.sign(label::SIG_TICKET, &[&self.signed(ticket)], random)
    }

    /// Whether she has signed this ticket, with the key she has now.
    #[must_use]
    pub fn has_signed(&self, ticket: &Made<'_>, signature: &[u8]) -> bool {
        let signed = self.signed(ticket);
        let verified = self.key.verify(label::SIG_TICKET, &[&signed], signature);
        verified.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elgamal::Group;
    use crate::identity::authority::found_clinic;
    use crate::random::OsRandom;
    use crate::testing::{NOW, at};

    #[test]
    fn a_tickets_signature_is_for_all_that_it_says_and_by_its_maker_alone() {
        let random = &mut OsRandom;
        let group = Group::ffdhe2048();
        let doctor = |name: &str| {
            let name = name.parse().unwrap();
            found_clinic(&group, &name, NOW, &mut OsRandom).1
        };
        let identity = doctor("D1");
        let maker = Maker::of(&identity);
        let (subject, other): (Identifier, Identifier) =
            ("P1".parse().unwrap(), "P2".parse().unwrap());
        let [secret, another] = [7, 8].map(|byte| Secret::from_slice(&[byte; 16]).unwrap());
        let ticket = Made {
            id: &[1; 16],
            secret: &secret,
            role: Role::Patient,
            subject: &subject,
            made: NOW,
            expires: at(60),
        };
        let signature = maker.sign(&identity.signing, &ticket, random);
        assert_eq!(signature.len(), 2 * group.element_len());
        assert!(maker.has_signed(&ticket, &signature));
        let role = Role::Doctor;
        let changed = [
            Made {
                id: &[2; 16],
                ..ticket
            },
            Made {
                secret: &another,
                ..ticket
            },
            Made { role, ..ticket },
            Made {
                subject: &other,
                ..ticket
            },
            Made {
                made: at(1),
                ..ticket
            },
            Made {
                expires: at(61),
                ..ticket
            },
        ];
        for ticket in changed {
            assert!(!maker.has_signed(&ticket, &signature), "{ticket:?}");
        }
        let others = Maker {
            doctor: other.clone(),
            ..maker.clone()
        };
        assert!(!others.has_signed(&ticket, &signature));
        let clinics = Maker {
            clinic: [0; 16],
            ..maker.clone()
        };
        assert!(!clinics.has_signed(&ticket, &signature));
        let roots = Maker {
            root: [0; 32],
            ..maker.clone()
        };
        assert!(!roots.has_signed(&ticket, &signature));
        let thief = doctor("D1");
        let forged = maker.sign(&thief.signing, &ticket, random);
        assert!(!maker.has_signed(&ticket, &forged));
        for short in [&[][..], &signature[1..]] {
            assert!(!maker.has_signed(&ticket, short));
        }
    }
}
