//! A store that lives as long as the value, for tests.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use super::{
    CertificateRow, CertificateState, PrekeyRow, Store, StoreError, StoreFault, TicketRow,
    TicketState, stored_millis,
};
use crate::clock::Timestamp;

/// A [`Store`] in memory.
#[derive(Default, Debug)]
pub struct MemoryStore(Mutex<Tables>);

#[derive(Default, Debug)]
struct Tables {
    facts: BTreeMap<String, Vec<u8>>,
    tickets: BTreeMap<[u8; 16], TicketRow>,
    certificates: BTreeMap<[u8; 16], CertificateRow>,
    last_timestamps: BTreeMap<[u8; 16], Timestamp>,
    prekeys: BTreeMap<[u8; 8], PrekeyRow>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn tables(&self) -> Result<MutexGuard<'_, Tables>, StoreError> {
        self.0.lock().map_err(|_| fault(StoreFault::Poisoned))
    }
}

fn fault(fault: StoreFault) -> StoreError {
    StoreError::new(Path::new("memory"), fault)
}

/// A time after a stay in a database.
fn stored(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(stored_millis(at).unsigned_abs())
}

impl Tables {
    fn certificate_of_ticket(&self, id: &[u8; 16]) -> Option<&CertificateRow> {
        self.certificates
            .values()
            .find(|row| row.ticket.as_ref() == Some(id))
    }

    fn add_certificate(&mut self, row: CertificateRow) -> Result<(), StoreError> {
        let known = self.certificates.contains_key(&row.serial)
            || self.certificates.values().any(|other| {
                other.fingerprint == row.fingerprint
                    || (other.ticket.is_some() && other.ticket == row.ticket)
            });
        if known {
            return Err(fault(StoreFault::Duplicate));
        }
        if row.ticket.is_some_and(|id| !self.tickets.contains_key(&id)) {
            return Err(fault(StoreFault::Dangling));
        }
        let row = CertificateRow {
            created: stored(row.created),
            not_after: stored(row.not_after),
            ..row
        };
        self.certificates.insert(row.serial, row);
        Ok(())
    }

    fn ticket(&self, row: &TicketRow) -> TicketRow {
        TicketRow {
            id: row.id,
            subject: row.subject.clone(),
            secret: row.secret.duplicate(),
            created: stored(row.created),
            expires: stored(row.expires),
            state: row.state,
            serial: self.certificate_of_ticket(&row.id).map(|row| row.serial),
        }
    }
}

impl Store for MemoryStore {
    fn fact(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.tables()?.facts.get(name).cloned())
    }

    fn set_facts(&self, facts: &[(&str, &[u8])]) -> Result<(), StoreError> {
        let facts = facts
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        self.tables()?.facts.extend(facts);
        Ok(())
    }

    fn remove_fact(&self, name: &str) -> Result<bool, StoreError> {
        Ok(self.tables()?.facts.remove(name).is_some())
    }

    fn add_ticket(&self, ticket: &TicketRow) -> Result<(), StoreError> {
        let mut tables = self.tables()?;
        if tables.tickets.contains_key(&ticket.id) {
            return Err(fault(StoreFault::Duplicate));
        }
        let row = tables.ticket(ticket);
        tables.tickets.insert(row.id, row);
        Ok(())
    }

    fn ticket(&self, id: &[u8; 16]) -> Result<Option<TicketRow>, StoreError> {
        let tables = self.tables()?;
        Ok(tables.tickets.get(id).map(|row| tables.ticket(row)))
    }

    fn tickets(&self) -> Result<Vec<TicketRow>, StoreError> {
        let tables = self.tables()?;
        let mut rows: Vec<_> = tables
            .tickets
            .values()
            .map(|row| tables.ticket(row))
            .collect();
        rows.sort_by_key(|row| (row.created, row.id));
        Ok(rows)
    }

    fn set_ticket_state(&self, id: &[u8; 16], state: TicketState) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        let Some(row) = tables.tickets.get_mut(id) else {
            return Ok(false);
        };
        if row.state != TicketState::Revoked && state != TicketState::Open {
            row.state = state;
        }
        Ok(row.state == state)
    }

    fn use_ticket(&self, id: &[u8; 16], certificate: &CertificateRow) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        match tables.tickets.get(id) {
            Some(row) if row.state == TicketState::Open => {}
            _ => return Ok(false),
        }
        tables.add_certificate(CertificateRow {
            ticket: Some(*id),
            ..certificate.clone()
        })?;
        if let Some(row) = tables.tickets.get_mut(id) {
            row.state = TicketState::Used;
        }
        Ok(true)
    }

    fn freeze_ticket(&self, id: &[u8; 16]) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        let Some(row) = tables.tickets.get_mut(id) else {
            return Ok(false);
        };
        if row.state != TicketState::Revoked {
            row.state = TicketState::Frozen;
        }
        for row in tables.certificates.values_mut() {
            if row.ticket.as_ref() == Some(id) && row.state != CertificateState::Revoked {
                row.state = CertificateState::Frozen;
            }
        }
        Ok(true)
    }

    fn add_certificate(&self, certificate: &CertificateRow) -> Result<(), StoreError> {
        self.tables()?.add_certificate(certificate.clone())
    }

    fn certificate(&self, serial: &[u8; 16]) -> Result<Option<CertificateRow>, StoreError> {
        Ok(self.tables()?.certificates.get(serial).cloned())
    }

    fn certificate_of_ticket(&self, id: &[u8; 16]) -> Result<Option<CertificateRow>, StoreError> {
        Ok(self.tables()?.certificate_of_ticket(id).cloned())
    }

    fn certificates(&self) -> Result<Vec<CertificateRow>, StoreError> {
        let mut rows: Vec<_> = self.tables()?.certificates.values().cloned().collect();
        rows.sort_by_key(|row| (row.created, row.serial));
        Ok(rows)
    }

    fn activate_certificate(&self, serial: &[u8; 16]) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        let Some(row) = tables.certificates.get_mut(serial) else {
            return Ok(false);
        };
        if row.state == CertificateState::Inactive {
            row.state = CertificateState::Active;
        }
        Ok(row.state == CertificateState::Active)
    }

    fn set_certificate_state(
        &self,
        serial: &[u8; 16],
        state: CertificateState,
    ) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        let Some(row) = tables.certificates.get_mut(serial) else {
            return Ok(false);
        };
        if row.state != CertificateState::Revoked {
            row.state = state;
        }
        Ok(row.state == state)
    }

    fn last_timestamp(&self, serial: &[u8; 16]) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.tables()?.last_timestamps.get(serial).copied())
    }

    fn advance_timestamp(&self, serial: &[u8; 16], at: Timestamp) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        let at = stored(at);
        let later = tables
            .last_timestamps
            .get(serial)
            .is_none_or(|kept| at > *kept);
        if later {
            tables.last_timestamps.insert(*serial, at);
        }
        Ok(later)
    }

    fn add_prekey(&self, prekey: &PrekeyRow) -> Result<(), StoreError> {
        let mut tables = self.tables()?;
        if tables.prekeys.contains_key(&prekey.kid) {
            return Err(fault(StoreFault::Duplicate));
        }
        let row = PrekeyRow {
            not_before: stored(prekey.not_before),
            not_after: stored(prekey.not_after),
            ..prekey.clone()
        };
        tables.prekeys.insert(row.kid, row);
        Ok(())
    }

    fn prekeys(&self) -> Result<Vec<PrekeyRow>, StoreError> {
        let mut rows: Vec<_> = self.tables()?.prekeys.values().cloned().collect();
        rows.sort_by_key(|row| (row.not_before, row.kid));
        Ok(rows)
    }

    fn remove_prekey(&self, kid: &[u8; 8]) -> Result<bool, StoreError> {
        Ok(self.tables()?.prekeys.remove(kid).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::MemoryStore;
    use crate::store::conformance::conformance_tests;

    conformance_tests!(Box::new(MemoryStore::new()));
}
