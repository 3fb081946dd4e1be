//! The tokens that resume sessions: in memory only, one a certificate, each
//! used once.

use std::collections::HashMap;

use crate::clock::Timestamp;
use crate::handshake::doctor::Established;
use crate::handshake::registry::Resumable;
use crate::identity::certificate::Fingerprint;
use crate::kdf::Prk;
use crate::protocol::record::SessionToken;

/// All tokens that were given out and not used yet.
#[derive(Default, Debug)]
pub(super) struct Tokens {
    entries: HashMap<[u8; 32], Resumable>,
    /// The one token of each certificate: the keys of `entries`.
    of_device: HashMap<Fingerprint, [u8; 32]>,
}

impl Tokens {
    /// Remembers a session's token, in the place of an earlier one of the same
    /// certificate. One without a lifetime resumes nothing.
    pub(super) fn give(&mut self, token: &SessionToken, established: &Established) {
        let device = established.certificate.fingerprint();
        self.forget(&device);
        if token.lifetime.is_zero() {
            return;
        }
        self.of_device.insert(device, token.token);
        let resumable = Resumable {
            doctor: established.doctor,
            revoked_number: established.revoked_number,
            key: established.session.resumption_key(&token.token),
            certificate: established.certificate.clone(),
            full_handshake: established.full_handshake,
            expires: token.at.plus(token.lifetime),
        };
        self.entries.insert(token.token, resumable);
    }

    /// A copy of a token's key: the MAC under it is verified without the lock.
    pub(super) fn key(&self, token: &[u8; 32]) -> Option<Prk> {
        Some(self.entries.get(token)?.key.duplicate())
    }

    /// Removes a token and hands it out: once.
    pub(super) fn take(&mut self, token: &[u8; 32]) -> Option<Resumable> {
        let entry = self.entries.remove(token)?;
        self.of_device.remove(&entry.certificate.fingerprint());
        Some(entry)
    }

    /// Takes a certificate's token away.
    pub(super) fn forget(&mut self, device: &Fingerprint) {
        if let Some(token) = self.of_device.remove(device) {
            self.entries.remove(&token);
        }
    }

    /// Whose tokens there are.
    pub(super) fn devices(&self) -> Vec<Fingerprint> {
        self.of_device.keys().copied().collect()
    }

    /// Drops those that are over.
    pub(super) fn drop_ended(&mut self, now: Timestamp) {
        self.entries.retain(|_, entry| now <= entry.expires);
        let Self { entries, of_device } = self;
        of_device.retain(|_, token| entries.contains_key(token));
    }
}
