//! The doctor's desk: every request, whether from the menu or a command, is
//! answered here.

use crate::doctor::control::{Answer, DeliveryReport, MessageReport, Present, Request};
use crate::doctor::office;
use crate::doctor::server::{Report, SendError, Sent, Server};
use crate::identity::id::Identifier;

/// A running server with what it needs to answer requests.
pub struct Desk {
    server: Server,
    /// Called when somebody asks the server to stop.
    on_stop: Box<dyn Fn() + Send + Sync>,
}

impl Desk {
    /// Puts a server behind a desk.
    #[must_use]
    pub fn new(server: Server, on_stop: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { server, on_stop }
    }

    /// The server.
    #[must_use]
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// Asks the program to stop.
    pub fn stop(&self) {
        (self.on_stop)();
    }

    /// Does what is asked and says what came of it.
    #[must_use]
    pub fn answer(&self, request: Request) -> Answer {
        match request {
            Request::List => Answer::Connected(self.connected()),
            Request::Broadcast { text } => sent(self.server.broadcast(&text, true)),
            Request::Message { patient, text } => match patient.parse::<Identifier>() {
                Ok(patient) => sent(self.server.message(&patient, &text)),
                Err(error) => Answer::Failed(error.to_string()),
            },
            Request::Report => {
                Answer::Report(self.server.report().iter().map(message_report).collect())
            }
            Request::Disconnect => Answer::Disconnected(self.server.disconnect_all()),
            Request::Stop => Answer::Stopping,
            Request::Office(request) => {
                Answer::Office(office::answer(self.server.practice(), request))
            }
        }
    }

    /// Whether there is a patient of this name; a sentence if not.
    ///
    /// # Errors
    /// The sentence.
    pub fn check_patient(&self, patient: &Identifier) -> Result<(), String> {
        self.server
            .check_patient(patient)
            .map_err(|error| error.to_string())
    }

    fn connected(&self) -> Vec<Present> {
        self.server
            .connected()
            .into_iter()
            .map(|present| Present {
                patient: present.patient.to_string(),
                since: present.since,
                silent_seconds: present.silent.as_secs(),
            })
            .collect()
    }
}

fn sent(result: Result<Sent, SendError>) -> Answer {
    match result {
        Ok(sent) => Answer::Sent {
            number: sent.number,
            devices: sent.devices,
            away: sent.away,
        },
        Err(error) => Answer::Failed(error.to_string()),
    }
}

fn message_report(report: &Report) -> MessageReport {
    let deliveries = report
        .outcomes
        .iter()
        .map(|outcome| DeliveryReport {
            patient: outcome.patient.to_string(),
            state: outcome.state.to_owned(),
            at: outcome.at,
        })
        .collect();
    MessageReport {
        number: report.number,
        written: report.message.written(),
        text: report.message.text().to_owned(),
        broadcast: report.is_broadcast,
        deliveries,
    }
}
