//! What is wanted: strings from [`super::args`], and what the environment and a
//! configuration file say beside them, become checked values, once, with a
//! sentence for each that cannot.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::Program;
use super::args::{DoctorArgs, DoctorCommand, PatientArgs, PatientCommand, with_help};
use super::configuration::Configuration;
use super::doctor::messages;
use super::doctor::patients::PatientsTask;
use super::exit::Failure;
use super::normalise::usage;
use super::output::Form;
use super::text;
use crate::address::{Address, DEFAULT_PORT};
use crate::doctor::backup::BackupSchedule;
use crate::doctor::gate::BlockRule;
use crate::identity::certificate::Role;
use crate::identity::id::Identifier;
use crate::patient::control::Word;
use crate::store::StoreChoice;

mod audit;
mod authority;
mod backup;
mod backup_task;
mod blocks;
mod devices;
mod joining;
mod key;
mod keygen_group;
mod purge;
mod reach;
mod store;
mod ticket;
mod value;

pub use audit::{AuditTask, Verification};
pub use authority::{AuthorityTask, RootFile};
pub use backup_task::{BackupTask, CodeSource};
pub use devices::DevicesTask;
pub use key::{KeyOptions, KeyTask};
pub use keygen_group::KeygenGroupTask;
pub use purge::PurgeTask;
pub use reach::Reach;
pub use store::{CopyTask, StoreEnd};
pub use ticket::TicketSource;
pub(in crate::cli) use value::{CUT_OFF, new_name, seconds};
pub use value::{Environment, GroupName};
use value::{
    address, command, count, data_option, group, id_option, identifier, path, period, reachable,
    store_option, tolerance, usual_directory, validity, value,
};

/// Difference of clocks that is tolerated where nothing else is said.
pub const DEFAULT_TOLERANCE: Duration = Duration::from_secs(30);

/// Handshakes one address may start at once where nothing else is said.
const DEFAULT_HANDSHAKES: u32 = 64;

/// What `doctor` is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DoctorOptions {
    /// The doctor's identifier, if named.
    pub id: Option<Identifier>,
    /// Where to listen.
    pub listen: Address,
    /// The data directory.
    pub data: PathBuf,
    /// What a further command needs to find it: ` --data 'DIR'`, or nothing
    /// if it finds it by itself.
    pub data_option: String,
    /// The same without the store.
    pub(in crate::cli) place_option: String,
    /// Where the state is kept.
    pub store: StoreChoice,
    /// Where patients reach the server, if that was said.
    pub public_address: Option<Address>,
    /// How far a patient's clock may differ.
    pub tolerance: Duration,
    /// Whether a clock that differs by more is refused.
    pub strict_clock: bool,
    /// The group for new keys.
    pub group: GroupName,
    /// How many handshakes one address may start at once.
    pub handshakes_per_address: NonZeroU32,
    /// When an address is blocked, and for how long.
    pub block: BlockRule,
    /// The file to which the audit log's heads are written too.
    pub audit_heads: Option<PathBuf>,
    /// Where the passphrase of the keys comes from.
    pub keys: KeyOptions,
    /// Whether an older copy of the database is gone on with.
    pub accept_older_database: bool,
    /// Backups that are made by themselves, if any.
    pub backup: Option<BackupSchedule>,
    /// How results are printed.
    pub form: Form,
    /// What to do.
    pub task: DoctorTask,
}

/// The commands of `doctor`, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DoctorTask {
    /// Serve, with the menu.
    Menu,
    /// Serve without a menu.
    Serve,
    /// Print a ticket for this patient, good for this long if that was said.
    Enrol(Identifier, Option<Duration>),
    /// Print a ticket with which somebody joins the clinic.
    Invite(Identifier, Role, Option<Duration>),
    /// Join a clinic with this ticket, and wait so long for the answer.
    Join(TicketSource, Duration),
    /// Something about devices and tickets.
    Devices(DevicesTask),
    /// List the connected patients.
    List,
    /// List those of the whole clinic.
    ListClinic,
    /// About blocked addresses.
    Blocks(crate::doctor::blocks::Request),
    /// Disconnect everybody.
    Disconnect,
    /// Do something with the audit log.
    Audit(AuditTask),
    /// Delete for good.
    Purge(PurgeTask),
    /// Stop the running server.
    Stop,
    /// Something about patients' records.
    Patients(PatientsTask),
    /// About backups and the recovery code.
    Backup(BackupTask),
    /// Something about key files.
    Key(KeyTask),
    /// Something about messages.
    Messages(messages::Task),
    /// Search for a group.
    KeygenGroup(KeygenGroupTask),
    /// About the doctor's authority.
    Authority(AuthorityTask),
    /// Move the practice.
    CopyStore(CopyTask),
}

/// What `patient` is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PatientOptions {
    /// The patient's identifier, if named.
    pub id: Option<Identifier>,
    /// The doctor's identifier, if named.
    pub doctor_id: Option<Identifier>,
    /// Where the doctor's server is, if not where the ticket said.
    pub connect: Option<Address>,
    /// Whether another doctor of the clinic will do while she is not reached.
    pub failover: bool,
    /// The data directory.
    pub data: PathBuf,
    /// What a further command needs to find it: ` --data 'DIR'`, or nothing
    /// if it finds it by itself.
    pub data_option: String,
    /// How far the doctor's clock may differ.
    pub tolerance: Duration,
    /// Where the passphrase of the keys comes from.
    pub keys: KeyOptions,
    /// The command to run for every message.
    pub on_message: Option<String>,
    /// How results are printed.
    pub form: Form,
    /// What to do.
    pub task: PatientTask,
}

/// The commands of `patient`, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PatientTask {
    /// Connect, with the menu where a person is to read.
    Menu,
    /// Enrol with the ticket from there.
    Enrol(TicketSource),
    /// Show the doctor's messages.
    Inbox {
        /// Only those that are unread.
        unread: bool,
        /// Whether and how long to look for new ones.
        reach: Reach,
    },
    /// Send this text to the doctor.
    Send {
        /// What to say.
        text: String,
        /// What it is to a consultation.
        consultation: Option<Word>,
        /// Whether to connect for it, and how long to try.
        reach: Reach,
    },
    /// Confirm a message.
    Confirm {
        /// Its number or code.
        message: String,
        /// The same.
        reach: Reach,
    },
    /// Show what was said.
    History {
        /// Whether to look for new messages.
        connect: bool,
    },
    /// Say how things are.
    Status,
    /// List the clinic's doctors.
    Doctors,
    /// Stay connected, without a menu.
    Watch,
    /// Something about key files.
    Key(KeyTask),
}

impl DoctorOptions {
    /// Checks what was typed.
    ///
    /// # Errors
    /// A [`Failure`] with [`super::exit::Exit::Usage`].
    pub fn new(args: DoctorArgs, environment: Environment<'_>) -> Result<Self, Failure> {
        Self::checked(args, environment).map_err(|failure| with_help(Program::Doctor, failure))
    }

    /// What a further command needs to find the practice in this store, whichever
    /// it is in now.
    #[must_use]
    pub fn found_in(&self, store: &StoreChoice) -> String {
        match *store == self.store {
            true => self.data_option.clone(),
            false => self.place_option.clone() + &store_option(Some(&store.to_string())),
        }
    }

    fn checked(args: DoctorArgs, environment: Environment<'_>) -> Result<Self, Failure> {
        let loopback = || Address {
            host: "127.0.0.1".to_owned(),
            port: DEFAULT_PORT,
        };
        let form = Form::chosen(args.json, args.plain)?;
        let plain_keys = args.plain_keys;
        let said = Configuration::read(Program::Doctor, args.config.as_deref(), environment)?;
        let place = data_option(args.config.as_deref(), args.data.as_deref());
        let again = place.clone() + &store_option(args.store.as_deref());
        let whose = again.clone() + &id_option("--id", args.id.as_deref());
        Ok(Self {
            id: said.option("id", args.id, identifier)?,
            listen: said
                .option("listen", args.listen, address)?
                .unwrap_or_else(loopback),
            data_option: again.clone(),
            place_option: place,
            data: said
                .option("data", args.data, path)?
                .map_or_else(|| usual_directory(Program::Doctor, environment), Ok)?,
            store: said
                .option("store", args.store, str::parse)?
                .unwrap_or_default(),
            public_address: said.option("public-address", args.public_address, reachable)?,
            tolerance: said
                .option("tolerance", args.tolerance, tolerance)?
                .unwrap_or(DEFAULT_TOLERANCE),
            strict_clock: said.switch("strict-clock", args.strict_clock)?,
            group: said
                .option("group", args.group, group)?
                .unwrap_or(GroupName::Ffdhe3072),
            handshakes_per_address: said
                .option("handshakes-per-address", args.handshakes_per_address, count)?
                .or(NonZeroU32::new(DEFAULT_HANDSHAKES))
                .unwrap_or(NonZeroU32::MIN),
            block: BlockRule {
                time: said.option("block", args.block, period)?,
                after: said
                    .option("block-after", args.block_after, count)?
                    .unwrap_or(BlockRule::default().after),
            },
            audit_heads: said.option("audit-heads", args.audit_heads, path)?,
            keys: KeyOptions::new(&said, args.passphrase_file, plain_keys, environment)?
                .found_by(&whose),
            accept_older_database: args.accept_older_database,
            backup: backup::schedule(&said)?,
            form,
            task: match args.command {
                Some(command) => doctor_task(command, plain_keys)?,
                None => menu(form)?,
            },
        })
    }
}

/// The menu is for people.
fn menu(form: Form) -> Result<DoctorTask, Failure> {
    match form {
        Form::People => Ok(DoctorTask::Menu),
        Form::Plain | Form::Json => Err(usage("--json and --plain need a command")
            .hint("to serve without a menu: doctor serve")),
    }
}

fn doctor_task(command: DoctorCommand, plain_keys: bool) -> Result<DoctorTask, Failure> {
    Ok(match command {
        DoctorCommand::Serve(_) => DoctorTask::Serve,
        DoctorCommand::EnrolDoctor(args) => joining::invite(&args)?,
        DoctorCommand::Enrol(args) if joining::is_ticket(&args) => joining::join(args)?,
        DoctorCommand::Enrol(args) => DoctorTask::Enrol(
            new_name("PATIENT", &args.patient)?,
            args.valid
                .map(|text| value("--valid", &text, validity))
                .transpose()?,
        ),
        DoctorCommand::Devices(args) => DoctorTask::Devices(DevicesTask::devices(&args)?),
        DoctorCommand::Revoke(args) => DoctorTask::Devices(DevicesTask::revoke(args)?),
        DoctorCommand::Unfreeze(args) => DoctorTask::Devices(DevicesTask::unfreeze(args)?),
        DoctorCommand::Tickets(args) => DoctorTask::Devices(DevicesTask::tickets(args)),
        DoctorCommand::Fingerprint(_) => DoctorTask::Devices(DevicesTask::fingerprints()),
        DoctorCommand::List(args) if args.clinic => DoctorTask::ListClinic,
        DoctorCommand::List(_) => DoctorTask::List,
        DoctorCommand::Broadcast(args) => DoctorTask::Messages(messages::Task::broadcast(args)?),
        DoctorCommand::Message(args) => DoctorTask::Messages(messages::Task::message(args)?),
        DoctorCommand::Report(_) => DoctorTask::Messages(messages::Task::report()),
        DoctorCommand::Deliveries(args) => DoctorTask::Messages(messages::Task::deliveries(args)?),
        DoctorCommand::History(args) => DoctorTask::Messages(messages::Task::history(args)?),
        DoctorCommand::Inbox(args) => DoctorTask::Messages(messages::Task::inbox(&args)),
        DoctorCommand::Consult(args) => DoctorTask::Messages(messages::Task::consult(&args)?),
        DoctorCommand::Blocks(args) => DoctorTask::Blocks(blocks::request(&args)?),
        DoctorCommand::Authority(args) => DoctorTask::Authority(AuthorityTask::new(args.command)?),
        DoctorCommand::Store(args) => DoctorTask::CopyStore(CopyTask::new(&args)?),
        DoctorCommand::Disconnect(_) => DoctorTask::Disconnect,
        DoctorCommand::Purge(args) => DoctorTask::Purge(PurgeTask::new(&args)?),
        DoctorCommand::Audit(args) => DoctorTask::Audit(AuditTask::new(args.command)?),
        DoctorCommand::Stop(_) => DoctorTask::Stop,
        DoctorCommand::Patients(args) => DoctorTask::Patients(PatientsTask::new(args.command)?),
        DoctorCommand::Backup(args) => DoctorTask::Backup(BackupTask::backup(args)?),
        DoctorCommand::Restore(args) => DoctorTask::Backup(BackupTask::restore(args)?),
        DoctorCommand::KeygenGroup(args) => DoctorTask::KeygenGroup(KeygenGroupTask::new(&args)?),
        DoctorCommand::RecoveryCode(args) => DoctorTask::Backup(BackupTask::recovery_code(args)?),
        DoctorCommand::Key(args) => DoctorTask::Key(KeyTask::new(args, plain_keys)?),
    })
}

impl PatientOptions {
    /// Checks what was typed.
    ///
    /// # Errors
    /// A [`Failure`] with [`super::exit::Exit::Usage`].
    pub fn new(args: PatientArgs, environment: Environment<'_>) -> Result<Self, Failure> {
        Self::checked(args, environment).map_err(|failure| with_help(Program::Patient, failure))
    }

    fn checked(args: PatientArgs, environment: Environment<'_>) -> Result<Self, Failure> {
        let said = Configuration::read(Program::Patient, args.config.as_deref(), environment)?;
        let again = data_option(args.config.as_deref(), args.data.as_deref());
        let whose = again.clone()
            + &id_option("--id", args.id.as_deref())
            + &id_option("--doctor-id", args.doctor_id.as_deref());
        Ok(Self {
            id: said.option("id", args.id, identifier)?,
            doctor_id: said.option("doctor-id", args.doctor_id, identifier)?,
            connect: said.option("connect", args.connect, reachable)?,
            failover: said.switch("failover", args.failover)?,
            data_option: again.clone(),
            data: said
                .option("data", args.data, path)?
                .map_or_else(|| usual_directory(Program::Patient, environment), Ok)?,
            tolerance: said
                .option("tolerance", args.tolerance, tolerance)?
                .unwrap_or(DEFAULT_TOLERANCE),
            keys: KeyOptions::new(&said, args.passphrase_file, args.plain_keys, environment)?
                .found_by(&whose),
            on_message: said.option("on-message", args.on_message, command)?,
            form: Form::chosen(args.json, args.plain)?,
            task: match args.command {
                Some(command) => patient_task(command, args.plain_keys)?,
                None => PatientTask::Menu,
            },
        })
    }
}

fn patient_task(command: PatientCommand, plain_keys: bool) -> Result<PatientTask, Failure> {
    Ok(match command {
        PatientCommand::Enrol(args) => PatientTask::Enrol(TicketSource::from_pieces(&args.ticket)?),
        PatientCommand::Inbox(args) => PatientTask::Inbox {
            unread: args.unread,
            reach: Reach::new(args.offline, args.wait.as_deref())?,
        },
        PatientCommand::Send(args) => {
            text::check_message(&args.text).map_err(usage)?;
            PatientTask::Send {
                consultation: match (args.open, args.close) {
                    (true, true) => return Err(usage("--open and --close exclude each other")),
                    (true, false) => Some(Word::Opens),
                    (false, true) => Some(Word::Closes),
                    (false, false) => None,
                },
                text: args.text,
                reach: Reach::new(args.offline, args.wait.as_deref())?,
            }
        }
        PatientCommand::Confirm(args) => PatientTask::Confirm {
            reach: Reach::new(args.offline, args.wait.as_deref())?,
            message: args.message,
        },
        PatientCommand::History(args) => PatientTask::History {
            connect: !args.offline,
        },
        PatientCommand::Status(_) => PatientTask::Status,
        PatientCommand::Doctors(_) => PatientTask::Doctors,
        PatientCommand::Watch(_) => PatientTask::Watch,
        PatientCommand::Key(args) => PatientTask::Key(KeyTask::of_patient(args, plain_keys)?),
    })
}

#[cfg(test)]
mod tests;
