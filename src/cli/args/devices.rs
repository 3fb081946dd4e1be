//! Devices, tickets and fingerprints, as they are typed.

use argh::{ArgsInfo, FromArgs};

/// List the devices that are enrolled, with the fingerprints of their keys.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "devices",
    help_triggers("-h", "--help"),
    usage = "[PATIENT]",
    note = "A device's certificate is good for a year. A new ticket for the same patient\nbrings a new one, as a further device."
)]
pub struct Devices {
    /// identifier of the patient, such as P1; all patients if it is missing
    #[argh(positional, arg_name = "PATIENT")]
    pub patient: Option<String>,
}

/// Revoke a patient's devices for good.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "revoke",
    help_triggers("-h", "--help"),
    usage = "PATIENT [--device N] --reason TEXT [--yes]",
    note = "Without --device all devices of the patient and all open tickets for her.\nIt cannot be undone: a new ticket lets the patient in again."
)]
pub struct Revoke {
    /// identifier of the patient, such as P1
    #[argh(positional, arg_name = "PATIENT")]
    pub patient: String,
    /// number or short name of the device, as 'doctor devices' shows them
    #[argh(option)]
    pub device: Option<String>,
    /// why; it stands in the audit log
    #[argh(option)]
    pub reason: String,
    /// do not ask
    #[argh(switch)]
    pub yes: bool,
}

/// Let a device in again that was frozen because its ticket was used twice.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "unfreeze",
    help_triggers("-h", "--help"),
    usage = "PATIENT --device N --reason TEXT",
    note = "Phone the patient first: the key that 'patient status' shows must be the one\nthat 'doctor devices' shows. If it is not, somebody else has used the ticket:\nrevoke the device then."
)]
pub struct Unfreeze {
    /// identifier of the patient, such as P1
    #[argh(positional, arg_name = "PATIENT")]
    pub patient: String,
    /// number or short name of the device, as 'doctor devices' shows them
    #[argh(option)]
    pub device: String,
    /// why; it stands in the audit log
    #[argh(option)]
    pub reason: String,
}

/// List the tickets that were made, or take one back.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "tickets", help_triggers("-h", "--help"))]
pub struct Tickets {
    /// what to do; list them if it is missing
    #[argh(subcommand)]
    pub command: Option<TicketsCommand>,
}

/// The commands of `doctor tickets`.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand)]
#[expect(missing_docs, reason = "the variant's type has the words")]
pub enum TicketsCommand {
    List(ListTickets),
    Revoke(RevokeTicket),
}

/// List the tickets that were made.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "list", help_triggers("-h", "--help"))]
pub struct ListTickets {}

/// Take back a ticket that nobody has used yet.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "revoke", help_triggers("-h", "--help"))]
pub struct RevokeTicket {
    /// short name of the ticket, as it is listed
    #[argh(positional, arg_name = "TICKET")]
    pub ticket: String,
}

/// Show the fingerprints that patients compare over the phone.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "fingerprint",
    help_triggers("-h", "--help"),
    note = "The patient's side of it is 'patient status'."
)]
pub struct Fingerprint {}
