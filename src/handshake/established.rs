//! The end of a handshake: the last proof, and what is known of the patient then.

use crate::clock::Timestamp;
use crate::framing::Frame;
use crate::handshake::refusal::{Refusal, RefusalReason};
use crate::identity::authority::DoctorIdentity;
use crate::identity::certificate::{Fingerprint, VerifiedCertificate};
use crate::protocol::opcode::KEY_VERIFICATION;
use crate::protocol::sub;
use crate::secret::ct_eq;
use crate::session::SessionKey;

/// A patient whose session key was verified: she is there.
#[derive(Debug)]
pub struct Established {
    /// The doctor's own certificate, as the patient knows it now.
    pub doctor: Fingerprint,
    /// Number of the list of revoked doctors that the patient was shown.
    pub revoked_number: u64,
    /// Her certificate.
    pub certificate: VerifiedCertificate,
    /// The session key.
    pub session: SessionKey,
    /// When signatures were last exchanged with her.
    pub full_handshake: Timestamp,
    /// Whether this session goes on from an earlier one.
    pub resumed: bool,
    /// Her clock, when she began.
    pub their_time: Timestamp,
}

/// M2, or the answer to a resumption, is sent; M3 is awaited.
#[derive(Debug)]
pub struct ExpectProof(Established);

impl Established {
    /// Whether the patient was shown the papers that the doctor has now. If not she
    /// makes a full handshake, which shows them.
    #[must_use]
    pub fn knows(&self, identity: &DoctorIdentity) -> bool {
        self.doctor == identity.certificate.fingerprint()
            && self.revoked_number == identity.revoked.number()
    }
}

impl ExpectProof {
    pub(super) const fn new(established: Established) -> Self {
        Self(established)
    }

    /// Takes M3.
    ///
    /// # Errors
    /// [`Refusal`]: close.
    pub fn on_frame(self, frame: &Frame) -> Result<Established, Refusal> {
        if (frame.opcode(), frame.sub()) != (KEY_VERIFICATION, sub::M3) {
            return Err(RefusalReason::Unexpected.into());
        }
        if ct_eq(frame.body(), &self.0.session.verification()) {
            Ok(self.0)
        } else {
            Err(RefusalReason::BadSignature.into())
        }
    }
}
