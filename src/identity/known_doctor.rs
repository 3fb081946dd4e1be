//! What a patient knows of her doctor, and how news of it are checked.

use std::fmt;

use crate::clock::Timestamp;
use crate::codec::{DecodeError, Reader, Writer};
use crate::elgamal::{Element, Group, VerifyingKey};
use crate::identity::certificate::{
    self, Certificate, CertificateError, Fingerprint, KeyId, Role, VerifiedCertificate,
};
use crate::identity::id::Identifier;
use crate::identity::prekey::{PrekeyError, VerifiedPrekey};
use crate::identity::revocation::{RevocationError, RevokedDoctors};
use crate::random::Random;

/// Why what a server says of itself is not believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TrustError {
    /// It is not in the form the protocol wants.
    Malformed,
    /// The clinic's group is not one that keeps secrets.
    Group,
    /// The clinic's root certificate does not pass.
    Root(CertificateError),
    /// The doctor's certificate does not pass.
    Doctor(CertificateError),
    /// Somebody else answers.
    OtherDoctor {
        /// Who was asked for.
        wanted: Identifier,
        /// Who answered.
        found: Identifier,
    },
    /// The server belongs to another clinic than before.
    ChangedRoot {
        /// Fingerprint of the root certificate that is known.
        known: Fingerprint,
        /// Fingerprint of the one that was shown now.
        found: Fingerprint,
    },
    /// The doctor has another signing key than before.
    ChangedKey {
        /// Name of the key that was known.
        known: KeyId,
        /// Name of the key that was shown now.
        found: KeyId,
    },
    /// The prekey does not pass.
    Prekey(PrekeyError),
    /// The prekey is not valid now.
    PrekeyDates,
    /// The list of revoked doctors does not pass.
    Revocation(RevocationError),
    /// The list of revoked doctors is older than the one already seen.
    OlderRevocation,
    /// The doctor's certificate was revoked.
    Revoked,
    /// A name or key of the other side is this side's own.
    OwnKey,
    /// The doctor's dates pass by her clock, not by this device's.
    OwnClock(Timestamp),
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the server's description of itself is malformed"),
            Self::Group => f.write_str("the server names a group that would not keep secrets"),
            Self::Root(CertificateError::WrongFingerprint) => {
                f.write_str("the server belongs to another clinic than the ticket says")
            }
            Self::Root(error) => write!(f, "the clinic's root is not accepted: {error}"),
            Self::Doctor(error) => write!(f, "the doctor is not accepted: {error}"),
            Self::OtherDoctor { wanted, found } => {
                write!(f, "the server is doctor {found}, not {wanted}")
            }
            Self::ChangedRoot { known, found } => write!(
                f,
                "the server belongs to another clinic: the fingerprint of the clinic's root was \
                 {}, now it is {}",
                fingerprint_groups(known),
                fingerprint_groups(found)
            ),
            Self::ChangedKey { known, found } => write!(
                f,
                "the doctor's key has changed: it was {}, now it is {}",
                fingerprint_groups(known),
                fingerprint_groups(found)
            ),
            Self::Prekey(error) => write!(f, "{error}"),
            Self::PrekeyDates => f.write_str("the doctor's prekey is not valid now"),
            Self::Revocation(error) => write!(f, "{error}"),
            Self::OlderRevocation => {
                f.write_str("the list of revoked doctors is older than one seen before")
            }
            Self::Revoked => f.write_str("the clinic has revoked this doctor's certificate"),
            Self::OwnKey => f.write_str("the server shows this device's own name or key"),
            Self::OwnClock(doctor) => write!(
                f,
                "this device's clock is wrong: by the doctor's clock it is {doctor}"
            ),
        }
    }
}

impl std::error::Error for TrustError {}

impl From<DecodeError> for TrustError {
    fn from(_: DecodeError) -> Self {
        Self::Malformed
    }
}

/// A fingerprint or key id as a person reads it aloud: its first 20 bytes in
/// ten groups of four hexadecimal digits.
#[must_use]
pub fn fingerprint_groups(id: &[u8; 32]) -> String {
    let (pairs, _) = id[..20].as_chunks::<2>();
    let groups: Vec<String> = pairs
        .iter()
        .map(|[high, low]| format!("{high:02x}{low:02x}"))
        .collect();
    groups.join(" ")
}

/// The keys and name of this side, which the other side must not show.
#[derive(Clone, Copy)]
pub struct Own<'a> {
    /// This side's identifier.
    pub identifier: &'a Identifier,
    /// This side's signing key.
    pub signing_key: &'a VerifyingKey,
    /// This side's encryption key.
    pub encryption_key: &'a Element,
}

/// A doctor as a patient knows her: everything checked back to the pinned root.
#[derive(Clone, Debug)]
pub struct KnownDoctor {
    root: VerifiedCertificate,
    certificate: VerifiedCertificate,
    prekey: VerifiedPrekey,
    revoked: RevokedDoctors,
}

/// The three things about a doctor that change, as they arrived and were
/// checked.
#[derive(Debug)]
pub struct News {
    /// Her certificate.
    pub certificate: VerifiedCertificate,
    /// Her newest prekey.
    pub prekey: VerifiedPrekey,
    /// The clinic's list of revoked doctors.
    pub revoked: RevokedDoctors,
}

impl KnownDoctor {
    /// Checks the body of a CERT frame from a server seen for the first time.
    ///
    /// # Errors
    /// [`TrustError`], saying which check failed.
    pub fn first_contact(
        body: &[u8],
        pinned_root: &Fingerprint,
        doctor: &Identifier,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Self, TrustError> {
        let bundle = Bundle::decode(body)?;
        // First of all, since it costs next to nothing: is it the pinned root?
        if certificate::fingerprint(bundle.root) != *pinned_root {
            return Err(TrustError::Root(CertificateError::WrongFingerprint));
        }
        let group = bundle.group(random)?;
        let root = Certificate::decode(bundle.root, &group).map_err(TrustError::Root)?;
        let root = VerifiedCertificate::root(root, pinned_root).map_err(TrustError::Root)?;
        root.check_dates(now).map_err(TrustError::Root)?;
        let news = News::check(&root, None, &bundle, now)?;
        if news.certificate.subject().identifier != *doctor {
            return Err(TrustError::OtherDoctor {
                wanted: doctor.clone(),
                found: news.certificate.subject().identifier.clone(),
            });
        }
        Ok(Self {
            root,
            certificate: news.certificate,
            prekey: news.prekey,
            revoked: news.revoked,
        })
    }

    /// Checks the body of a CERT frame from a doctor known already.
    ///
    /// # Errors
    /// [`TrustError`], saying which check failed.
    pub fn check_bundle(
        &self,
        body: &[u8],
        own: Own<'_>,
        now: Timestamp,
    ) -> Result<News, TrustError> {
        let bundle = Bundle::decode(body)?;
        if bundle.root != self.root.as_bytes() {
            return Err(TrustError::ChangedRoot {
                known: self.root.fingerprint(),
                found: certificate::fingerprint(bundle.root),
            });
        }
        if !bundle.modulus.is_empty() && bundle.modulus != self.group().modulus_bytes() {
            return Err(TrustError::Group);
        }
        self.check_news(bundle.certificate, bundle.prekey, bundle.revoked, own, now)
    }

    /// Checks a certificate, prekey and list that claim to be this doctor's.
    ///
    /// # Errors
    /// [`TrustError`], saying which check failed.
    pub fn check_news(
        &self,
        certificate: &[u8],
        prekey: &[u8],
        revoked: &[u8],
        own: Own<'_>,
        now: Timestamp,
    ) -> Result<News, TrustError> {
        let bundle = Bundle {
            root: &[],
            certificate,
            prekey,
            revoked,
            modulus: &[],
        };
        self.root.check_dates(now).map_err(TrustError::Root)?;
        let news = News::check(&self.root, Some(self), &bundle, now)?;
        let (known, found) = (self.certificate.subject(), news.certificate.subject());
        if found.identifier != known.identifier {
            return Err(TrustError::OtherDoctor {
                wanted: known.identifier.clone(),
                found: found.identifier.clone(),
            });
        }
        if found.signing_key != known.signing_key {
            return Err(TrustError::ChangedKey {
                known: self.certificate.key_id(),
                found: news.certificate.key_id(),
            });
        }
        if found.signing_key == *own.signing_key
            || news.prekey.key() == own.encryption_key
            || found.identifier == *own.identifier
        {
            return Err(TrustError::OwnKey);
        }
        Ok(news)
    }

    /// Takes over what is newer. A certificate or prekey is never replaced by
    /// one that begins earlier: a first message bound to what the doctor uses
    /// no more would be refused, again and again. With one exception: a prekey
    /// that is not valid at `now` gives way to one that is. It may have been
    /// learned while the clocks were ahead.
    pub fn learn(&mut self, news: News, now: Timestamp) {
        if news.certificate.subject().not_before >= self.certificate.subject().not_before {
            self.certificate = news.certificate;
        }
        let is_newer = news.prekey.not_before() >= self.prekey.not_before();
        let is_back_in_time = !self.prekey.is_valid_at(now) && news.prekey.is_valid_at(now);
        if is_newer || is_back_in_time {
            self.prekey = news.prekey;
        }
        self.revoked = news.revoked;
    }

    /// The body of a CERT frame that says all of this.
    #[must_use]
    pub fn to_bundle(&self) -> Vec<u8> {
        bundle(&self.root, &self.certificate, &self.prekey, &self.revoked)
    }

    /// The clinic's root.
    #[must_use]
    pub const fn root(&self) -> &VerifiedCertificate {
        &self.root
    }

    /// The doctor's certificate.
    #[must_use]
    pub const fn certificate(&self) -> &VerifiedCertificate {
        &self.certificate
    }

    /// The newest prekey of hers that was seen.
    #[must_use]
    pub const fn prekey(&self) -> &VerifiedPrekey {
        &self.prekey
    }

    /// The newest list of revoked doctors that was seen.
    #[must_use]
    pub const fn revoked(&self) -> &RevokedDoctors {
        &self.revoked
    }

    /// The clinic's group.
    #[must_use]
    pub fn group(&self) -> &Group {
        self.root.group()
    }
}

impl News {
    /// Checks in this order: doctor's certificate, prekey, list. What is known
    /// byte for byte already needs no signature verified again.
    fn check(
        root: &VerifiedCertificate,
        known: Option<&KnownDoctor>,
        bundle: &Bundle<'_>,
        now: Timestamp,
    ) -> Result<Self, TrustError> {
        let certificate = match known {
            Some(known) if known.certificate.as_bytes() == bundle.certificate => {
                known.certificate.clone()
            }
            _ => {
                let certificate = Certificate::decode(bundle.certificate, root.group())
                    .map_err(TrustError::Doctor)?;
                root.accept_issued(certificate)
                    .map_err(TrustError::Doctor)?
            }
        };
        if certificate.subject().role != Role::Doctor {
            return Err(TrustError::Doctor(CertificateError::WrongLink));
        }
        certificate.check_dates(now).map_err(TrustError::Doctor)?;
        let prekey = match known {
            Some(known) if known.prekey.as_bytes() == bundle.prekey => known.prekey.clone(),
            _ => VerifiedPrekey::accept(bundle.prekey, &certificate).map_err(TrustError::Prekey)?,
        };
        if !prekey.is_valid_at(now) {
            return Err(TrustError::PrekeyDates);
        }
        let revoked = match known {
            Some(known) if known.revoked.as_bytes() == bundle.revoked => known.revoked.clone(),
            _ => RevokedDoctors::accept(bundle.revoked, root).map_err(TrustError::Revocation)?,
        };
        if known.is_some_and(|known| !revoked.may_follow(&known.revoked)) {
            return Err(TrustError::OlderRevocation);
        }
        if revoked.contains(&certificate.subject().serial) {
            return Err(TrustError::Revoked);
        }
        Ok(Self {
            certificate,
            prekey,
            revoked,
        })
    }
}

/// The body of a CERT frame: root, doctor's certificate, prekey, revoked
/// doctors, and the group's prime if it is not a built-in one.
#[must_use]
pub fn bundle(
    root: &VerifiedCertificate,
    certificate: &VerifiedCertificate,
    prekey: &VerifiedPrekey,
    revoked: &RevokedDoctors,
) -> Vec<u8> {
    let group = root.group();
    let modulus = if group.is_built_in() {
        &[]
    } else {
        group.modulus_bytes()
    };
    Writer::new()
        .lp16(root.as_bytes())
        .lp16(certificate.as_bytes())
        .lp16(prekey.as_bytes())
        .lp16(revoked.as_bytes())
        .lp16(modulus)
        .finish()
}

/// The same, taken apart.
struct Bundle<'a> {
    root: &'a [u8],
    certificate: &'a [u8],
    prekey: &'a [u8],
    revoked: &'a [u8],
    modulus: &'a [u8],
}

impl<'a> Bundle<'a> {
    fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let bundle = Self {
            root: reader.lp16()?,
            certificate: reader.lp16()?,
            prekey: reader.lp16()?,
            revoked: reader.lp16()?,
            modulus: reader.lp16()?,
        };
        reader.finish()?;
        Ok(bundle)
    }

    /// The group the root names; one that is not built in passes every check
    /// of an imported group first.
    fn group(&self, random: &mut dyn Random) -> Result<Group, TrustError> {
        let named = Certificate::group_id(self.root).ok_or(TrustError::Malformed)?;
        let group = if self.modulus.is_empty() {
            Group::built_in(&named).ok_or(TrustError::Group)?
        } else {
            Group::import(self.modulus, random).map_err(|_| TrustError::Group)?
        };
        if *group.id() == named {
            Ok(group)
        } else {
            Err(TrustError::Group)
        }
    }
}
