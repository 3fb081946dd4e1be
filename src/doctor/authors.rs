//! Whose word a message is that lies under the assistants' key. They share it, and
//! so does nobody else but the doctors, so that an assistant who can write to the
//! database could put any name under her words. What is no assistant's own is
//! given to nobody.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::doctor::practice::Practice;
use crate::doctor::staff;
use crate::identity::certificate::{Role, VerifiedCertificate};
use crate::identity::id::Identifier;
use crate::protocol::message::Message;
use crate::store::StoreError;
use crate::store::messages::MessageRow;

/// How long after an assistant's certificate has ended what she wrote before is
/// still given. The time under a message is her own word: with this she cannot go
/// on for longer by writing an earlier one.
pub(super) const GRACE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Reads a message that opened under the assistants' key: one for this very row,
/// with an author, and no part of a consultation.
pub(super) fn decode(bytes: &[u8], row: &MessageRow) -> Option<Message> {
    let message = Message::decode_for_several(bytes).ok()?;
    let fits = message.id().0 == row.id && message.author().is_some() && row.boundary.is_none();
    fits.then_some(message)
}

/// Tells who the authors of messages are, for as long as one question takes. The
/// certificates of a name are looked for in the database once at most, however
/// many messages bear it and whatever lies there under other names.
pub(super) struct Authors<'a> {
    pub(super) practice: &'a Practice,
    looked_for: RefCell<BTreeSet<Identifier>>,
}

impl<'a> Authors<'a> {
    pub(super) const fn new(practice: &'a Practice) -> Self {
        Self {
            practice,
            looked_for: RefCell::new(BTreeSet::new()),
        }
    }

    /// Whether an assistant of the clinic, of now or of earlier, is the author. A
    /// practice that was taken out of its clinic knows nobody else, and takes the
    /// doctor's word, who had it until then.
    pub(super) fn is_known(&self, message: &Message) -> Result<bool, StoreError> {
        let written = message.written();
        let is_hers = |of_her: &[&VerifiedCertificate]| of_her.iter().any(was_good(written));
        Ok(self.practice.store.clinic().is_none() || self.holds(message, is_hers)?)
    }

    /// Whether patients may be given it: its author is an assistant with a
    /// certificate that is not revoked and was good when it was written, by her
    /// clock, and one that is good now, or was not long ago.
    pub(super) fn may_be_given(&self, message: &Message) -> Result<bool, StoreError> {
        let (revoked, now) = (&self.practice.identity().revoked, self.practice.now());
        self.holds(message, |of_her| {
            let mut of_her = of_her.to_vec();
            of_her.retain(|certificate| !revoked.contains(&certificate.subject().serial));
            of_her.iter().any(was_good(message.written()))
                && of_her
                    .iter()
                    .any(|it| now <= it.subject().not_after.plus(GRACE))
        })
    }

    /// Whether this holds for the certificates of the assistants of the author's
    /// name: those that were found before, or else all.
    fn holds(
        &self,
        message: &Message,
        is_so: impl Fn(&[&VerifiedCertificate]) -> bool,
    ) -> Result<bool, StoreError> {
        let Some(author) = message.author() else {
            return Ok(false);
        };
        loop {
            let known = self.practice.assistants();
            let of_her = known.iter().filter(|it| it.subject().identifier == *author);
            if is_so(&of_her.collect::<Vec<_>>()) {
                return Ok(true);
            }
            let is_alone = self.practice.store.clinic().is_none();
            if is_alone || !self.looked_for.borrow_mut().insert(author.clone()) {
                return Ok(false);
            }
            self.look(author)?;
        }
    }

    /// Looks for the certificates of an assistant. What the root has signed stays so:
    /// it is asked again only for those who have come since.
    fn look(&self, author: &Identifier) -> Result<(), StoreError> {
        let (store, root) = (&*self.practice.store, &self.practice.identity().root);
        let mut of_her = staff::certificates_of(store, root, author)?;
        of_her.retain(|certificate| certificate.subject().role == Role::Assistant);
        self.practice.set_assistant(author, of_her);
        Ok(())
    }
}

fn was_good(written: Timestamp) -> impl Fn(&&VerifiedCertificate) -> bool {
    move |certificate| certificate.check_dates(written).is_ok()
}
