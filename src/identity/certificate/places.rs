//! What stands where in the bytes of a certificate that was checked before it was
//! stored: looked up by place.

use super::{Certificate, KeyId, Role, Serial, VERSION, VerifiedCertificate};
use crate::kdf::{self, label};

impl Certificate {
    /// Bytes before the first key of a certificate. The second one of a patient's
    /// comes behind a quarter of what follows. The stores' indexes go by both.
    pub const BEFORE_KEYS: usize = 1 + 16 + 16 + 32 + 32 + 1 + 32 + 8 + 8;

    /// Whether the certificate in `bytes` is for this key, as signing or as
    /// encryption key: looked up by place, since they were checked before they
    /// were stored.
    #[must_use]
    pub fn holds_key(bytes: &[u8], key: &[u8]) -> bool {
        bytes.get(Self::BEFORE_KEYS..).is_some_and(|keys| {
            keys.chunks_exact(key.len().max(1))
                .take(2)
                .any(|k| k == key)
        })
    }

    /// [`Certificate::key_id`] of the certificate in `bytes`, which were checked
    /// before they were stored: looked up by place, as [`Certificate::holds_key`].
    /// None if there is no place for it.
    #[must_use]
    pub fn key_id_in(bytes: &[u8]) -> Option<KeyId> {
        const ROLE: usize = 1 + 16 + 16 + 32 + 32;
        // One key or two, and a signature as long as two.
        let role = Role::from_byte(*bytes.get(ROLE)?).ok()?;
        let elements = if role.has_encryption_key() { 4 } else { 3 };
        let rest = bytes.get(Self::BEFORE_KEYS..)?;
        let key = rest.get(..rest.len() / elements)?;
        Some(kdf::hash32(&[&label::KEY_ID.encoded(), key]))
    }

    /// The serial number of the certificate in `bytes`, by its own word: looked up by
    /// place, before anything in it is checked.
    #[must_use]
    pub fn serial_in(bytes: &[u8]) -> Option<Serial> {
        bytes.get(1..)?.first_chunk().copied()
    }

    /// The name of the key that has signed the certificate in `bytes`, by its own
    /// word: looked up by place, as [`Certificate::holds_key`].
    #[must_use]
    pub fn issuer_in(bytes: &[u8]) -> Option<KeyId> {
        bytes.get(1 + 16 + 16..)?.first_chunk().copied()
    }
}

impl VerifiedCertificate {
    /// Whether `bytes` say of themselves that this one, a root's, has issued them to
    /// somebody who works in its clinic: all that is seen without computing. Its
    /// signature costs a thousand times as much to check.
    #[must_use]
    pub fn may_have_issued(&self, bytes: &[u8]) -> bool {
        const CLINIC: usize = 1 + 16;
        const ROLE: usize = CLINIC + 16 + 32 + 32;
        let len = Certificate::BEFORE_KEYS + 3 * self.group().element_len();
        let role = bytes.get(ROLE).map(|byte| Role::from_byte(*byte));
        bytes.len() == len
            && bytes.first() == Some(&VERSION)
            && bytes[CLINIC..].starts_with(&self.subject().clinic)
            && Certificate::issuer_in(bytes) == Some(self.key_id())
            && role.is_some_and(|role| role.is_ok_and(Role::is_staff))
            && Certificate::group_id(bytes).as_ref() == Some(self.group().id())
    }
}
