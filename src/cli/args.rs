//! What was typed: the options and commands of both programs, as strings. What
//! they mean is checked in [`super::options`].

use std::ffi::OsString;
use std::fmt;

use argh::{ArgsInfo, FromArgs};

use super::Program;
use super::doctor::audit::Audit;
use super::doctor::messages::{self, Broadcast, Consult, Deliveries, Message, Report};
use super::doctor::patients::arguments::Patients;
use super::doctor::purge::Purge;
use super::exit::{Failure, print};
use super::normalise::{Normalised, normalise, see_help, usage};

pub mod authority;
pub mod backup;
pub mod blocks;
pub mod devices;
pub mod joining;
pub mod key;
pub mod keygen_group;
pub mod store;

/// What a command line asks for.
#[derive(Debug)]
pub enum Request<T> {
    /// To do the program's work.
    Run(T),
    /// To print this text, help or version, on standard output and end with
    /// success.
    Print(String),
}

impl<T> Request<T> {
    /// Answers a request for help or for the version; gives the arguments of any
    /// other.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub fn answer(self) -> Result<Option<T>, Failure> {
        match self {
            Self::Run(args) => Ok(Some(args)),
            Self::Print(text) => print(&text).map(|()| None),
        }
    }
}

/// The command line of `doctor`.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    help_triggers("-h", "--help"),
    description = "Server for a doctor: confidential messages to her patients, and emergency\nbroadcasts with a receipt from each. Without a command it serves and shows a\nmenu. Options may stand before or after the command.",
    usage = "[OPTIONS] [COMMAND]",
    example = "{command_name} --id D1\n    serve this machine, with the menu",
    example = "{command_name} --listen 0.0.0.0:7400 --public-address clinic.example:7400\n    serve everybody who reaches clinic.example",
    example = "{command_name} enrol P1\n    print a one-time ticket for the patient P1",
    example = "{command_name} broadcast \"The practice is closed today.\"",
    note = "Options may be written --public-address X, --public_address X or\n--public-address=X, and stand in a configuration file or in variables such\nas TELEMED_PUBLIC_ADDRESS. Commands but serve talk to the running server, if\nthere is one, through its data directory. -V or --version prints the\nversion.",
    error_code(0, "done"),
    error_code(1, "failed"),
    error_code(2, "the command line is wrong"),
    error_code(3, "no connection, or no answer in time"),
    error_code(
        4,
        "not authenticated, not for this role, or another key than expected"
    ),
    error_code(5, "the ticket is expired or used"),
    error_code(6, "a message was not confirmed in time"),
    error_code(7, "stored or received data is damaged"),
    error_code(130, "interrupted: Ctrl-C twice, or during a command")
)]
pub struct DoctorArgs {
    /// identifier of this doctor, such as D1; not needed if the data directory
    /// holds one identity
    #[argh(option)]
    pub id: Option<String>,
    /// address and port to listen on (default 127.0.0.1:7400, this machine
    /// only)
    #[argh(option)]
    pub listen: Option<String>,
    /// directory of keys and messages (default ~/.local/share/telemed/doctor)
    #[argh(option)]
    pub data: Option<String>,
    /// where the state is kept: the address of a PostgreSQL database,
    /// postgres://USER@HOST/DATABASE, never with a password (default: the file
    /// in the data directory)
    #[argh(option)]
    pub store: Option<String>,
    /// host and port at which patients reach this server; stands in tickets
    #[argh(option)]
    pub public_address: Option<String>,
    /// seconds that a patient's clock may differ (default 30)
    #[argh(option)]
    pub tolerance: Option<String>,
    /// refuse patients whose clock differs by more, instead of telling them
    #[argh(switch)]
    pub strict_clock: bool,
    /// ffdhe2048, ffdhe3072 (default) or ffdhe4096, or the path of a file made
    /// with keygen-group, such as ./own.group; used at the first start only
    #[argh(option)]
    pub group: Option<String>,
    /// handshakes one address may start at once (default 64)
    #[argh(option)]
    pub handshakes_per_address: Option<String>,
    /// how long an address is blocked, such as 24h (default 10min, and twice as
    /// long each time that follows, up to an hour)
    #[argh(option)]
    pub block: Option<String>,
    /// failures within 10 minutes that lead to it (default 20)
    #[argh(option)]
    pub block_after: Option<String>,
    /// file whose first line is the passphrase of the keys (default: what the
    /// service manager hands over, or else it is asked for)
    #[argh(option)]
    pub passphrase_file: Option<String>,
    /// keep the keys without a passphrase, without asking
    #[argh(switch)]
    pub plain_keys: bool,
    /// file to which the audit log's signed heads are written too, best on
    /// another machine's disk
    #[argh(option)]
    pub audit_heads: Option<String>,
    /// go on, this once, with an older copy of the clinic's database than was
    /// seen
    #[argh(switch)]
    pub accept_older_database: bool,
    /// configuration file (default ~/.config/telemed/doctor.toml, or else
    /// /etc/telemed/doctor.toml)
    #[argh(option)]
    pub config: Option<String>,
    /// print one JSON object a line, for programs
    #[argh(switch)]
    pub json: bool,
    /// print one object a line, fields separated by tabs, for scripts
    #[argh(switch)]
    pub plain: bool,
    /// what to do
    #[argh(subcommand)]
    pub command: Option<DoctorCommand>,
}

/// The commands of `doctor`.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand)]
#[expect(missing_docs, reason = "each variant's type has the words")]
#[allow(
    clippy::large_enum_variant,
    reason = "argh takes no box, and one is made a run"
)]
pub enum DoctorCommand {
    Serve(Serve),
    Enrol(EnrolPatient),
    EnrolDoctor(joining::EnrolDoctor),
    List(List),
    Broadcast(Broadcast),
    Message(Message),
    Report(Report),
    Disconnect(Disconnect),
    Audit(Audit),
    Purge(Purge),
    Stop(Stop),
    Patients(Patients),
    Backup(backup::Backup),
    Restore(backup::Restore),
    RecoveryCode(backup::RecoveryCode),
    Key(key::Key),
    Deliveries(Deliveries),
    History(messages::History),
    Inbox(messages::Inbox),
    Consult(Consult),
    KeygenGroup(keygen_group::KeygenGroup),
    Blocks(blocks::Blocks),
    Devices(devices::Devices),
    Revoke(devices::Revoke),
    Unfreeze(devices::Unfreeze),
    Tickets(devices::Tickets),
    Fingerprint(devices::Fingerprint),
    Authority(authority::Authority),
    Store(store::Store),
}

/// Serve without a menu, ignoring standard input, until told to stop.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "serve", help_triggers("-h", "--help"))]
pub struct Serve {}

/// Print a ticket with which a patient enrols; or join a clinic with a ticket.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq)]
#[argh(subcommand, name = "enrol", help_triggers("-h", "--help"))]
pub struct EnrolPatient {
    /// identifier of the patient, such as P1; or a ticket for joining a clinic, -
    /// to read it from standard input
    #[argh(positional, arg_name = "PATIENT")]
    pub patient: String,
    /// with a ticket: how many seconds to wait for the answer (default 60)
    #[argh(option, arg_name = "seconds")]
    pub wait: Option<u32>,
    /// how long the ticket is good, from 1h to 30d (default 24h)
    #[argh(option)]
    pub valid: Option<String>,
}

impl fmt::Debug for EnrolPatient {
    /// Without what may be a ticket, which is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnrolPatient(..)")
    }
}

/// List the connected patients.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "list", help_triggers("-h", "--help"))]
pub struct List {
    /// of all doctors of the clinic, and to whom each is connected
    #[argh(switch)]
    pub clinic: bool,
}

/// Disconnect all patients.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "disconnect", help_triggers("-h", "--help"))]
pub struct Disconnect {}

/// Stop the running server.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "stop", help_triggers("-h", "--help"))]
pub struct Stop {}

/// The command line of `patient`.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    help_triggers("-h", "--help"),
    description = "Client for a patient: receives the doctor's messages and answers them.\nWithout a command it connects and shows a menu. Options may stand before or\nafter the command.",
    usage = "[OPTIONS] [COMMAND]",
    example = "{command_name} enrol TELEMED1-...\n    once, with the ticket the doctor has given",
    example = "{command_name} enrol - < ticket.txt\n    the same, with the ticket from a file",
    example = "{command_name} --id P1 --doctor-id D1\n    connect, with the menu",
    example = "{command_name} inbox --unread\n    show what has come and nobody has seen",
    note = "Options may be written --doctor-id D1, --doctor_id D1 or\n--doctor-id=D1, and stand in a configuration file or in variables such as\nTELEMED_DOCTOR_ID. -V or --version prints the version.",
    error_code(0, "done"),
    error_code(1, "failed"),
    error_code(2, "the command line is wrong"),
    error_code(3, "no connection, or no answer in time"),
    error_code(4, "not authenticated, or a key is not the expected one"),
    error_code(5, "the ticket is expired or used"),
    error_code(6, "nothing came, or nothing arrived, in the time of --wait"),
    error_code(7, "stored or received data is damaged"),
    error_code(130, "interrupted: Ctrl-C twice, or during a command")
)]
pub struct PatientArgs {
    /// identifier of this patient, such as P1; not needed if the data directory
    /// holds one identity
    #[argh(option)]
    pub id: Option<String>,
    /// identifier of the doctor, such as D1; not needed if there is only one
    #[argh(option)]
    pub doctor_id: Option<String>,
    /// host and port of the doctor, if not those of the ticket
    #[argh(option)]
    pub connect: Option<String>,
    /// go on with another doctor of the clinic while the doctor is not reached
    #[argh(switch)]
    pub failover: bool,
    /// directory of keys and messages (default ~/.local/share/telemed/patient)
    #[argh(option)]
    pub data: Option<String>,
    /// seconds that the doctor's clock may differ (default 30)
    #[argh(option)]
    pub tolerance: Option<String>,
    /// file whose first line is the passphrase of the keys (default: what the
    /// service manager hands over, or else it is asked for)
    #[argh(option)]
    pub passphrase_file: Option<String>,
    /// keep the keys without a passphrase, without asking
    #[argh(switch)]
    pub plain_keys: bool,
    /// command to run for every message, with its text on standard input
    #[argh(option)]
    pub on_message: Option<String>,
    /// configuration file (default ~/.config/telemed/patient.toml, or else
    /// /etc/telemed/patient.toml)
    #[argh(option)]
    pub config: Option<String>,
    /// print one JSON object a line, for programs; without a menu
    #[argh(switch)]
    pub json: bool,
    /// print one object a line, fields separated by tabs, for scripts
    #[argh(switch)]
    pub plain: bool,
    /// what to do
    #[argh(subcommand)]
    pub command: Option<PatientCommand>,
}

/// The commands of `patient`.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand)]
#[expect(missing_docs, reason = "each variant's type has the words")]
pub enum PatientCommand {
    Enrol(EnrolWithTicket),
    Inbox(Inbox),
    Send(Send),
    Confirm(Confirm),
    History(History),
    Status(Status),
    Doctors(Doctors),
    Watch(Watch),
    Key(key::PatientKey),
}

/// Show the doctor's messages; they count as read then.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "inbox",
    help_triggers("-h", "--help"),
    error_code(6, "nothing came in the time of --wait")
)]
pub struct Inbox {
    /// only those that are unread
    #[argh(switch)]
    pub unread: bool,
    /// do not connect to look for new ones
    #[argh(switch)]
    pub offline: bool,
    /// wait so long for an unread one, whatever becomes of the connection; then
    /// exit with 6 if none has come
    #[argh(option, arg_name = "time")]
    pub wait: Option<String>,
}

/// Send a message to the doctor, now or as soon as there is a connection.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "send",
    help_triggers("-h", "--help"),
    note = "Other users of this machine can see what stands on a command line; with - as\nTEXT it is read from standard input, which they cannot.",
    error_code(6, "it did not arrive in the time of --wait")
)]
pub struct Send {
    /// the message, in quotation marks; - reads it from standard input
    #[argh(positional, arg_name = "TEXT")]
    pub text: String,
    /// begin a consultation with it
    #[argh(switch)]
    pub open: bool,
    /// end the consultation with it
    #[argh(switch)]
    pub close: bool,
    /// do not connect: it waits for the next connection
    #[argh(switch)]
    pub offline: bool,
    /// try so long, whatever becomes of the connection; then exit with 6 if it
    /// has not arrived
    #[argh(option, arg_name = "time")]
    pub wait: Option<String>,
}

/// Confirm a message, with this patient's signature.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "confirm",
    help_triggers("-h", "--help"),
    error_code(6, "it did not arrive in the time of --wait")
)]
pub struct Confirm {
    /// number or code of the message, as the inbox shows them
    #[argh(positional, arg_name = "MESSAGE")]
    pub message: String,
    /// do not connect: the confirmation waits for the next connection
    #[argh(switch)]
    pub offline: bool,
    /// try so long, whatever becomes of the connection; then exit with 6 if it
    /// has not arrived
    #[argh(option, arg_name = "time")]
    pub wait: Option<String>,
}

/// Show what was said in both directions, consultation by consultation.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "history", help_triggers("-h", "--help"))]
pub struct History {
    /// do not connect to look for new messages
    #[argh(switch)]
    pub offline: bool,
}

/// Say whether a program is connected, what is unread and what waits.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "status", help_triggers("-h", "--help"))]
pub struct Status {}

/// List the doctors of the clinic, and where each is reached.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "doctors", help_triggers("-h", "--help"))]
pub struct Doctors {}

/// Stay connected without a menu and make messages noticed, until told to stop.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "watch", help_triggers("-h", "--help"))]
pub struct Watch {}

/// Make this patient's keys and have them certified, with a ticket.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq)]
#[argh(subcommand, name = "enrol", help_triggers("-h", "--help"))]
pub struct EnrolWithTicket {
    /// the ticket, also in several pieces; - reads it from standard input
    #[argh(positional, arg_name = "TICKET")]
    pub ticket: Vec<String>,
}

impl fmt::Debug for EnrolWithTicket {
    /// Without the ticket, which is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnrolWithTicket({} words)", self.ticket.len())
    }
}

/// The command line of `doctor`, without the program's name.
///
/// # Errors
/// A [`Failure`] with [`super::exit::Exit::Usage`].
pub fn doctor(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Request<DoctorArgs>, Failure> {
    parse(Program::Doctor, arguments)
}

/// The command line of `patient`, without the program's name.
///
/// # Errors
/// A [`Failure`] with [`super::exit::Exit::Usage`].
pub fn patient(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Request<PatientArgs>, Failure> {
    parse(Program::Patient, arguments)
}

fn parse<T: FromArgs + ArgsInfo>(
    program: Program,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Request<T>, Failure> {
    let (context, arguments) = match normalise(program, &T::get_args_info(), arguments)? {
        Normalised::Version => {
            let version = env!("CARGO_PKG_VERSION");
            return Ok(Request::Print(format!("{program} {version}\n")));
        }
        Normalised::Help(mut words) => {
            words.push("--help".to_owned());
            (String::new(), words)
        }
        Normalised::Run { context, arguments } => (context, arguments),
    };
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match T::from_args(&[program.name()], &arguments) {
        Ok(args) => Ok(Request::Run(args)),
        Err(exit) if exit.status.is_ok() => Ok(Request::Print(exit.output)),
        Err(exit) => Err(see_help(&context, reworded(&exit.output))),
    }
}

/// argh's words for what the normaliser leaves to it: too few or too many
/// arguments of a command, and a command that is missing.
fn reworded(words: &str) -> Failure {
    const NO_ARGUMENT: &str = "Required positional arguments not provided:";
    const NO_OPTION: &str = "Required options not provided:";
    const NO_COMMAND: &str = "One of the following subcommands must be present:";
    let listed = |names: &str, last: &str| {
        let names: Vec<_> = names
            .split_whitespace()
            .filter(|name| *name != "help")
            .collect();
        names.join(last)
    };
    if let Some(names) = words.strip_prefix(NO_ARGUMENT) {
        usage(format!("the command needs {}", listed(names, " and ")))
    } else if let Some(names) = words.strip_prefix(NO_OPTION) {
        usage(format!("the command needs {}", listed(names, " and ")))
    } else if let Some(names) = words.strip_prefix(NO_COMMAND) {
        usage(format!("say what to do: {}", listed(names, " or ")))
    } else if let Some(word) = words.strip_prefix("Unrecognized argument: ") {
        let word = super::text::quoted(word.trim_end());
        usage(format!("{word} is one argument too many"))
            .hint("put a text of several words in quotation marks")
    } else {
        usage(words.trim_end())
    }
}

/// A usage error that also says where to read on.
pub(super) fn with_help(program: Program, failure: Failure) -> Failure {
    see_help(program.name(), failure)
}

#[cfg(test)]
mod tests;
