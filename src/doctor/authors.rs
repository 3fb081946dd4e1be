//! Whose word a message is that lies under the assistants' key. They share it, and
//! so does nobody else but the doctors, so that an assistant who can write to the
//! database could put any name under her words. What is no assistant's own is
//! given to nobody.

use crate::doctor::member;
use crate::doctor::practice::Practice;
use crate::identity::certificate::VerifiedCertificate;
use crate::protocol::message::Message;
use crate::store::StoreError;
use crate::store::messages::MessageRow;

/// Reads a message that opened under the assistants' key: one for this very row,
/// with an author, and no part of a consultation.
pub(super) fn decode(bytes: &[u8], row: &MessageRow) -> Option<Message> {
    let message = Message::decode_for_several(bytes).ok()?;
    let fits = message.id().0 == row.id && message.author().is_some() && row.boundary.is_none();
    fits.then_some(message)
}

/// The certificate of the assistant whose name a message bears, if the root has
/// signed one; none where nobody but one doctor works.
fn certificate(
    practice: &Practice,
    message: &Message,
) -> Result<Option<VerifiedCertificate>, StoreError> {
    let (Some(clinic), Some(author)) = (practice.store.clinic(), message.author()) else {
        return Ok(None);
    };
    let root = &practice.identity().root;
    Ok(member::assistant(&clinic.staff()?, author.as_str(), root))
}

/// Whether an assistant of the clinic, of now or of earlier, is the author. A
/// practice that was taken out of its clinic knows nobody else, and takes the
/// doctor's word, who had it until then.
pub(super) fn is_known(practice: &Practice, message: &Message) -> Result<bool, StoreError> {
    Ok(practice.store.clinic().is_none() || certificate(practice, message)?.is_some())
}

/// Whether patients may be given it: its author is an assistant whose certificate
/// was valid when it was written, by her clock, and is not revoked.
pub(super) fn may_be_given(practice: &Practice, message: &Message) -> Result<bool, StoreError> {
    let Some(certificate) = certificate(practice, message)? else {
        return Ok(false);
    };
    let is_revoked = practice
        .identity()
        .revoked
        .contains(&certificate.subject().serial);
    Ok(!is_revoked && certificate.check_dates(message.written()).is_ok())
}
