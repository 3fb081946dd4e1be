//! What a patient knows of her doctor, and how news of it are checked.

mod error;

pub use error::TrustError;

use crate::clock::Timestamp;
use crate::codec::{DecodeError, Reader, Writer};
use crate::elgamal::{Element, Group, VerifyingKey};
use crate::identity::certificate::{
    self, Certificate, CertificateError, Fingerprint, Role, VerifiedCertificate,
};
use crate::identity::id::Identifier;
use crate::identity::prekey::VerifiedPrekey;
use crate::identity::revocation::RevokedDoctors;
use crate::random::Random;

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
        let root = bundle.pinned_root(pinned_root, now, random)?;
        let news = News::check(&root, None, &bundle, now)?;
        Self::of(root, news, doctor)
    }

    /// Reads back what was checked at `checked` and kept since, when the list
    /// of revoked doctors may have been shorter: see
    /// [`KnownDoctor::is_revoked`].
    ///
    /// # Errors
    /// [`TrustError`], saying which check failed.
    pub fn restore(
        body: &[u8],
        pinned_root: &Fingerprint,
        doctor: &Identifier,
        checked: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Self, TrustError> {
        let bundle = Bundle::decode(body)?;
        let root = bundle.pinned_root(pinned_root, checked, random)?;
        let news = News::verify(&root, None, &bundle, checked)?;
        Self::of(root, news, doctor)
    }

    fn of(root: VerifiedCertificate, news: News, doctor: &Identifier) -> Result<Self, TrustError> {
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

    /// Checks the body of a CERT frame from another doctor of the same clinic,
    /// who is seen for the first time. `listed` is the certificate with which
    /// she has said where she is reached.
    ///
    /// # Errors
    /// [`TrustError`], saying which check failed.
    pub fn colleague(
        &self,
        body: &[u8],
        listed: &VerifiedCertificate,
        own: Own<'_>,
        now: Timestamp,
    ) -> Result<Self, TrustError> {
        let bundle = Bundle::decode(body)?;
        self.check_clinic(&bundle)?;
        self.root.check_dates(now).map_err(TrustError::Root)?;
        let news = News::check(&self.root, None, &bundle, now)?;
        if !news.revoked.may_follow(&self.revoked) {
            return Err(TrustError::OlderRevocation);
        }
        check_doctor(listed, &news)?;
        check_own(&news, own)?;
        Self::of(self.root.clone(), news, &listed.subject().identifier)
    }

    /// Reads back what was checked of such a doctor at `checked`, and kept.
    ///
    /// # Errors
    /// [`TrustError`], saying which check failed.
    pub fn restore_colleague(
        &self,
        (certificate, prekey): (&[u8], &[u8]),
        listed: &VerifiedCertificate,
        checked: Timestamp,
    ) -> Result<Self, TrustError> {
        let bundle = Bundle {
            root: &[],
            certificate,
            prekey,
            revoked: self.revoked.as_bytes(),
            modulus: &[],
        };
        let news = News::verify(&self.root, Some(self), &bundle, checked)?;
        check_doctor(listed, &news)?;
        Self::of(self.root.clone(), news, &listed.subject().identifier)
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
        self.check_clinic(&bundle)?;
        self.check_news(bundle.certificate, bundle.prekey, bundle.revoked, own, now)
    }

    /// Whether it is of the clinic that is known.
    fn check_clinic(&self, bundle: &Bundle<'_>) -> Result<(), TrustError> {
        if bundle.root != self.root.as_bytes() {
            return Err(TrustError::ChangedRoot {
                known: self.root.fingerprint(),
                found: certificate::fingerprint(bundle.root),
            });
        }
        if !bundle.modulus.is_empty() && bundle.modulus != self.group().modulus_bytes() {
            return Err(TrustError::Group);
        }
        Ok(())
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
        check_doctor(&self.certificate, &news)?;
        check_own(&news, own)?;
        Ok(news)
    }

    /// Whether the clinic has revoked the newest certificate of hers that was
    /// seen.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.revoked.contains(&self.certificate.subject().serial)
    }

    /// Takes over the clinic's list of revoked doctors as another doctor of it
    /// has shown it, if it is later than the one that is known.
    pub fn raise_list(&mut self, revoked: &RevokedDoctors) {
        if revoked.may_follow(&self.revoked) {
            self.revoked = revoked.clone();
        }
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

/// Whether the news are of this doctor, with the key she has.
fn check_doctor(known: &VerifiedCertificate, news: &News) -> Result<(), TrustError> {
    let found = &news.certificate;
    if found.subject().identifier != known.subject().identifier {
        return Err(TrustError::OtherDoctor {
            wanted: known.subject().identifier.clone(),
            found: found.subject().identifier.clone(),
        });
    }
    if found.subject().signing_key != known.subject().signing_key {
        return Err(TrustError::ChangedKey {
            known: known.key_id(),
            found: found.key_id(),
        });
    }
    Ok(())
}

/// Whether nothing in the news is this side's own.
fn check_own(news: &News, own: Own<'_>) -> Result<(), TrustError> {
    let found = news.certificate.subject();
    if found.signing_key == *own.signing_key
        || news.prekey.key() == own.encryption_key
        || found.identifier == *own.identifier
    {
        return Err(TrustError::OwnKey);
    }
    Ok(())
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
        let news = Self::verify(root, known, bundle, now)?;
        if news.revoked.contains(&news.certificate.subject().serial) {
            return Err(TrustError::Revoked);
        }
        Ok(news)
    }

    /// The same, whether or not the doctor is in the list.
    fn verify(
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

    /// The root, if it is the pinned one.
    fn pinned_root(
        &self,
        pinned: &Fingerprint,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Result<VerifiedCertificate, TrustError> {
        // First of all, since it costs next to nothing: is it the pinned root?
        if certificate::fingerprint(self.root) != *pinned {
            return Err(TrustError::Root(CertificateError::WrongFingerprint));
        }
        let group = self.group(random)?;
        let root = Certificate::decode(self.root, &group).map_err(TrustError::Root)?;
        let root = VerifiedCertificate::root(root, pinned).map_err(TrustError::Root)?;
        root.check_dates(now).map_err(TrustError::Root)?;
        Ok(root)
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
