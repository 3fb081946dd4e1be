//! Making tickets.

use std::fmt;
use std::time::Duration;

use crate::audit::Action;
use crate::doctor::practice::Practice;
use crate::identity::id::Identifier;
use crate::identity::ticket::Ticket;
use crate::random::{self, Random};
use crate::store::{StoreError, TicketRow, TicketState};

/// How long a ticket is good.
pub const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Why no ticket is made.
#[derive(Debug)]
pub enum TicketRefusal {
    /// Patients are not called like the doctor.
    OwnName(Identifier),
    /// The store.
    Store(StoreError),
}

impl fmt::Display for TicketRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnName(name) => write!(
                f,
                "{name} is the doctor's own identifier; choose another one for the patient"
            ),
            Self::Store(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for TicketRefusal {}

/// Makes a one-time ticket with which `subject` enrols at `address`, and stores
/// it.
///
/// # Errors
/// [`TicketRefusal`].
pub fn make(
    practice: &Practice,
    subject: &Identifier,
    address: &str,
    random: &mut dyn Random,
) -> Result<Ticket, TicketRefusal> {
    let identity = practice.identity();
    let now = practice.now();
    if subject == identity.identifier() {
        return Err(TicketRefusal::OwnName(subject.clone()));
    }
    let ticket = Ticket {
        root: identity.root.fingerprint(),
        address: address.to_owned(),
        doctor: identity.identifier().clone(),
        subject: subject.clone(),
        id: random::array(random),
        secret: random::secret(random),
        expires: now.plus(LIFETIME),
    };
    let row = TicketRow {
        id: ticket.id,
        subject: subject.to_string(),
        secret: ticket.secret.duplicate(),
        created: now,
        expires: ticket.expires,
        state: TicketState::Open,
        serial: None,
    };
    let detail = format!("good until {}", ticket.expires);
    let entry = practice.by_doctor(Action::TicketMade, subject.as_str(), &detail);
    practice
        .store
        .add_ticket(&row, &[entry])
        .map_err(TicketRefusal::Store)?;
    Ok(ticket)
}
