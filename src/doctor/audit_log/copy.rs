//! Copying signed heads to the file that may lie elsewhere.

use std::collections::BTreeSet;

use super::AuditLogError;
use super::heads::Judge;
use crate::audit::head::Head;
use crate::audit::heads_file::{HeadsFile, Known, Record};
use crate::audit::papers::Papers;
use crate::audit::revocation::Revocation;
use crate::doctor::practice::Practice;
use crate::identity::certificate::Serial;
use crate::random::OsRandom;
use crate::store::StoreError;

/// How many heads are copied at once.
const PAGE: usize = 100;

/// The file of heads and how far it goes.
pub(super) struct Copy {
    file: HeadsFile,
    /// Number of the last entry whose head, if there is a good one, is in it.
    number: u64,
    /// Whether a head of the store was passed over, since it is no good one.
    pub(super) skipped: bool,
    /// What it says of stopped certificates.
    stopped: BTreeSet<(Serial, String)>,
    /// Number of a head in it that is not in the store.
    pub(super) unknown: Option<u64>,
}

impl Copy {
    pub(super) fn new(
        file: HeadsFile,
        known: Known,
        practice: &Practice,
    ) -> Result<Self, StoreError> {
        let store = &practice.store;
        let judge = Judge::new(practice)?;
        let stored = |head: &Head| -> Result<bool, StoreError> {
            let at_number = store.signed_heads(head.number, 1)?;
            Ok(at_number.first() == Some(head) && judge.is_good(practice, head)?)
        };
        let (number, unknown) = match known.newest {
            None => (0, None),
            Some(head) if stored(&head)? => (head.number, None),
            // It goes on with what comes from now on.
            Some(head) => {
                let last = store.audit_head()?;
                (last.map_or(0, |(number, _)| number), Some(head.number))
            }
        };
        Ok(Self {
            file,
            number,
            skipped: false,
            stopped: known.stopped,
            unknown,
        })
    }

    /// Appends what the file does not have yet.
    pub(super) fn update(&mut self, practice: &Practice) -> Result<(), AuditLogError> {
        let store = &practice.store;
        self.file.renew(Papers::of(&practice.identity()))?;
        for (serial, subject, state) in store.stopped_certificates()? {
            let key = (serial, state.word().to_owned());
            if self.stopped.contains(&key) {
                continue;
            }
            let doctor = practice.identity();
            let (whom, now) = ((serial, &*subject), practice.now());
            let line = Revocation::sign(&doctor, whom, &key.1, now, &mut OsRandom);
            self.file.append(&[Record::Revocation(line)])?;
            self.stopped.insert(key);
        }
        // What names an entry that is not there yet is nobody's head.
        let end = store.audit_head()?.map_or(0, |(number, _)| number);
        let judge = Judge::new(practice)?;
        loop {
            let mut heads = store.signed_heads(self.number.saturating_add(1), PAGE)?;
            heads.retain(|head| head.number <= end);
            let Some(last) = heads.last() else {
                return Ok(());
            };
            let number = last.number;
            let mut records = Vec::new();
            for head in heads {
                if judge.is_good(practice, &head)? {
                    records.push(Record::Head(head));
                } else {
                    self.skipped = true;
                }
            }
            self.file.append(&records)?;
            self.number = number;
        }
    }
}
