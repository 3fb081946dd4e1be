//! Opening a practice's books: for the server, which makes them at the first
//! start, and for a command while no server runs.

use std::sync::Arc;
use std::time::Instant;

use crate::audit::Action;
use crate::cli::Program;
use crate::cli::doctor::{code, failed, setup_failed, store_failed, vault_failed};
use crate::cli::exit::{Exit, Failure, eprint};
use crate::cli::key;
use crate::cli::options::{DoctorOptions, GroupName};
use crate::cli::passphrase;
use crate::clock::{Clock, SystemClock};
use crate::doctor::control::{Answer, Request};
use crate::doctor::not_done::NotDone;
use crate::doctor::practice::Practice;
use crate::doctor::roles::NotForRole;
use crate::doctor::{authority, counter, dismissal, member, office, recovery, seen, setup};
use crate::elgamal::Group;
use crate::identity::authority::DoctorIdentity;
use crate::identity::certificate::Role;
use crate::identity::data_dir::{self, DataDir};
use crate::identity::group_file;
use crate::identity::id::Identifier;
use crate::identity::known_doctor::fingerprint_groups;
use crate::random::OsRandom;
use crate::store::{Store, StoreChoice};

/// The practice of this doctor, made if there is none yet.
pub fn open_or_found(options: &DoctorOptions, id: &Identifier) -> Result<Practice, Failure> {
    let directory =
        DataDir::create_or_open(&options.data, id.as_str()).map_err(|error| failed(&error))?;
    open(options, id, directory, true)
}

/// The practice of this doctor, which must be there.
pub fn open_existing(options: &DoctorOptions, id: &Identifier) -> Result<Practice, Failure> {
    let location = data_dir::location(&options.data, id.as_str()).map_err(|e| failed(&e))?;
    if !location.exists() {
        return Err(unknown(options, id));
    }
    let directory =
        DataDir::create_or_open(&options.data, id.as_str()).map_err(|error| failed(&error))?;
    open(options, id, directory, false)
}

/// Whether she may be one who works in a clinic without a node. No store is asked
/// yet.
pub fn may_lack_node(options: &DoctorOptions, id: &Identifier) -> Result<bool, Failure> {
    let location = data_dir::location(&options.data, id.as_str()).map_err(|e| failed(&e))?;
    Ok(options.store != StoreChoice::File && member::may_lack_node(&location))
}

/// What she is who works in the clinic in this store without a node; none if she
/// is somebody else.
fn role_without_node(
    options: &DoctorOptions,
    id: &Identifier,
    choice: &StoreChoice,
) -> Result<Option<Role>, Failure> {
    let location = data_dir::location(&options.data, id.as_str()).map_err(|e| failed(&e))?;
    if *choice == StoreChoice::File || !member::may_lack_node(&location) {
        return Ok(None);
    }
    let store = setup::look_at_store(&location, choice, id).map_err(|e| setup_failed(&e))?;
    match member::lacks_node(&*store).map_err(|error| store_failed(&error))? {
        true => role_in(&*store).map(Some),
        false => Ok(None),
    }
}

fn role_in(store: &dyn Store) -> Result<Role, Failure> {
    let papers = member::papers(store, &mut OsRandom);
    let (_, certificate, _) = papers.map_err(|error| setup_failed(&error))?;
    Ok(certificate.subject().role)
}

/// Refuses one who works in a clinic without a node, and says what there is for
/// her.
pub fn check_has_node(options: &DoctorOptions, id: &Identifier) -> Result<(), Failure> {
    match role_without_node(options, id, &options.store)? {
        Some(role) => Err(no_node(options, id, role)),
        None => Ok(()),
    }
}

/// Refuses what is for doctors to her who is none: where no practice is asked that
/// would, or where a person would be asked before.
pub fn check_is_doctor(
    options: &DoctorOptions,
    id: &Identifier,
    store: &StoreChoice,
) -> Result<(), Failure> {
    match role_without_node(options, id, store)? {
        Some(role) => {
            let refusal = NotForRole {
                name: id.clone(),
                role,
            };
            Err(Failure::from(&NotDone::of(&refusal)))
        }
        None => Ok(()),
    }
}

/// The commands of one who works in a clinic without a node.
pub(super) const fn commands_of(role: Role) -> &'static str {
    match role {
        Role::Auditor => "audit list|search|verify|export",
        _ => "list|broadcast|message|deliveries|history|patients",
    }
}

fn no_node(options: &DoctorOptions, id: &Identifier, role: Role) -> Failure {
    let sentence = format!("{id} is an {role} of the clinic, and has no server: doctors have");
    let hint = format!(
        "say what to do: doctor{} --id {id} {}",
        options.data_option,
        commands_of(role)
    );
    Failure::new(Exit::Refused, sentence).hint(hint)
}

/// Answers a request from the books, where no server runs.
pub fn answer(practice: &Practice, request: Request) -> Answer {
    match (practice.role(), request) {
        (Role::Doctor, Request::Office(request)) => {
            Answer::Office(office::answer(practice, request))
        }
        (Role::Doctor, _) => Answer::Failed("no server is running".to_owned().into()),
        (_, request) => counter::answer(practice, request),
    }
}

fn unknown(options: &DoctorOptions, id: &Identifier) -> Failure {
    let sentence = format!("there is no doctor {id} in '{}'", options.data.display());
    let hint = format!(
        "the first start makes one: doctor{} --id {id}",
        options.data_option
    );
    Failure::new(Exit::Failure, sentence).hint(hint)
}

fn open(
    options: &DoctorOptions,
    id: &Identifier,
    mut directory: DataDir,
    may_found: bool,
) -> Result<Practice, Failure> {
    let store = setup::reopen_store(&directory, &options.store, id);
    let store = store.map_err(|error| setup_failed(&error))?;
    let is_new = setup::is_new(&*store).map_err(|error| setup_failed(&error))?;
    if is_new && !may_found {
        return Err(unknown(options, id));
    }
    if is_new && !directory.is_sealed() {
        passphrase::begin(&mut directory, &options.keys, options.form, Program::Doctor)?;
    }
    if !is_new {
        check_root(&directory, &*store)?;
    }
    if !is_new && member::lacks_node(&*store).map_err(|error| store_failed(&error))? {
        return match may_found {
            true => Err(no_node(options, id, role_in(&*store)?)),
            false => open_without_node(options, id, directory, store),
        };
    }
    // Before anything is changed: another server of hers may use it.
    let nodes = store.nodes().filter(|_| may_found);
    let seat = nodes.map(|nodes| nodes.take_seat(Instant::now(), &[]));
    let seat = seat.transpose().map_err(|error| store_failed(&error))?;
    passphrase::unlock(&mut directory, &options.keys)?;
    let identity = match is_new {
        true => found(options, id, &directory, &*store)?,
        false => {
            accept_older(options, &directory, &*store)?;
            load(id, &directory, &*store, may_found)?
        }
    };
    if may_found && !is_new {
        remove_leftovers(&directory, &*store)?;
        look_after_prekeys(&directory, &*store)?;
        key::say_state(Program::Doctor, &options.keys, &directory.path(""));
    }
    let practice = Practice::open(Arc::new(directory), store, identity, Arc::new(SystemClock))
        .map_err(|error| vault_failed(&error))?;
    practice.keep_seat(seat);
    let note = |action| practice.note(action, "", "").map_err(|e| store_failed(&e));
    if is_new {
        note(Action::Founded)?;
    }
    if may_found {
        match recovery::exists(&practice).map_err(|error| store_failed(&error))? {
            true => code::remind(&practice)?,
            false => code::first(&practice)?,
        }
    }
    Ok(practice)
}

/// The books of one who works in a clinic without a node. Nothing in her directory
/// is changed but what she has seen of the clinic's papers, so that several of her
/// commands may run at once.
fn open_without_node(
    options: &DoctorOptions,
    id: &Identifier,
    mut directory: DataDir,
    store: Arc<dyn Store>,
) -> Result<Practice, Failure> {
    passphrase::unlock(&mut directory, &options.keys)?;
    accept_older(options, &directory, &*store)?;
    let identity = member::load(&directory, &*store, SystemClock.now(), &mut OsRandom)
        .map_err(|error| setup_failed(&error))?;
    check_name(&identity, id, &directory)?;
    let until = identity.certificate.subject().not_after;
    if until.since(SystemClock.now()) <= authority::REMIND {
        eprint(&format!(
            "doctor: the certificate of {id} ends on {until}; then {id} joins anew: a doctor of \
             the clinic says 'doctor authority revoke-doctor {id}' and 'doctor enrol-doctor {id}'\n"
        ));
    }
    let practice = Practice::open(Arc::new(directory), store, identity, Arc::new(SystemClock))
        .map_err(|error| vault_failed(&error))?;
    practice.directory.release();
    Ok(practice)
}

fn check_name(
    identity: &DoctorIdentity,
    id: &Identifier,
    directory: &DataDir,
) -> Result<(), Failure> {
    let identifier = identity.identifier();
    if identifier == id {
        return Ok(());
    }
    let sentence = format!(
        "'{}' belongs to {identifier}, not {id}",
        directory.path("").display()
    );
    Err(Failure::new(Exit::Failure, sentence))
}

/// Says which prekeys are missing, and removes those that are of no use to
/// anybody any more.
fn look_after_prekeys(directory: &DataDir, store: &dyn Store) -> Result<(), Failure> {
    let now = SystemClock.now();
    let missing = setup::missing_prekeys(directory, store, now);
    for name in missing.map_err(|error| setup_failed(&error))? {
        eprint(&format!(
            "doctor: note: '{}' is missing: patients who know only this prekey are told another \
             one when they connect, and nothing has to be done\n",
            directory.path(&name).display()
        ));
    }
    let removed = authority::remove_ended_prekeys(directory, store, now);
    let removed = removed.map_err(|error| setup_failed(&error))?;
    if !removed.is_empty() {
        eprint(&format!(
            "doctor: removed prekeys that the database does not name, more than 30 days old: {}\n",
            removed.join(", ")
        ));
    }
    Ok(())
}

/// Removes what commands that were cut short have left, and says so.
pub fn remove_leftovers(directory: &DataDir, store: &dyn Store) -> Result<(), Failure> {
    let removed = authority::remove_leftovers(directory, store);
    let removed = removed.map_err(|error| setup_failed(&error))?;
    if !removed.is_empty() {
        eprint(&format!(
            "doctor: removed keys that a command which was cut short had left, and that nothing \
             uses: {}\n",
            removed.join(", ")
        ));
    }
    Ok(())
}

/// The first start: makes a clinic, and says what it made.
fn found(
    options: &DoctorOptions,
    id: &Identifier,
    directory: &DataDir,
    store: &dyn Store,
) -> Result<DoctorIdentity, Failure> {
    let group = match &options.group {
        GroupName::Ffdhe2048 => Group::ffdhe2048(),
        GroupName::Ffdhe3072 => Group::ffdhe3072(),
        GroupName::Ffdhe4096 => Group::ffdhe4096(),
        GroupName::File(path) => {
            group_file::load(path, &mut OsRandom).map_err(|error| failed(&error))?
        }
    };
    eprint(&format!(
        "doctor: first start: making a clinic with doctor {id} ({})\n",
        group.name()
    ));
    let now = SystemClock.now();
    let identity = setup::found(directory, store, &group, id, now, &mut OsRandom)
        .map_err(|error| setup_failed(&error))?;
    let database = match &options.store {
        StoreChoice::File => "and the database".to_owned(),
        #[cfg(feature = "postgres")]
        StoreChoice::Server(_) => format!("the database is {}", options.store),
    };
    eprint(&format!(
        "doctor: keys are in '{}', {database}\n\
         doctor: the clinic's root key is '{}': move it to a memory stick in a drawer \
         (doctor{} --id {id} authority move-root DIR); it will be needed to renew the doctor's certificate \
         before {}\n\
         doctor: fingerprint of the clinic's root: {}\n",
        directory.path("").display(),
        directory.path(setup::ROOT_KEY).display(),
        options.data_option,
        identity.certificate.subject().not_after,
        fingerprint_groups(&identity.root.fingerprint())
    ));
    Ok(identity)
}

/// The clinic has put this doctor out.
pub fn is_revoked(id: &Identifier) -> Failure {
    Failure::new(Exit::Refused, dismissal::sentence(id)).hint(
        "if that was a mistake, let her join again with new keys, in another directory and best \
         under another name, since patients' programs take no other key under this one: another \
         doctor makes a ticket with 'doctor enrol-doctor NAME'",
    )
}

/// Before anything is changed in a database: it may be another clinic's.
fn check_root(directory: &DataDir, store: &dyn Store) -> Result<(), Failure> {
    let checked = seen::check_stored_root(&directory.path(""), store);
    checked.map_err(|error| setup_failed(&error))
}

/// Goes on with an older copy of the database, if that was asked for.
fn accept_older(
    options: &DoctorOptions,
    directory: &DataDir,
    store: &dyn Store,
) -> Result<(), Failure> {
    if !options.accept_older_database {
        return Ok(());
    }
    let accepted = seen::accept_older(&directory.path(""), store, SystemClock.now());
    eprint(match accepted.map_err(|error| setup_failed(&error))? {
        Some(_) => {
            "doctor: note: this copy of the clinic's database is gone on with, as asked, and that \
             is logged; leave out --accept-older-database from now on\n"
        }
        None => {
            "doctor: note: the database is no older copy than was seen: \
             --accept-older-database was not needed\n"
        }
    });
    Ok(())
}

/// The doctor's keys and papers, made by an earlier start. With a certificate
/// that has ended nobody serves; what is on file can be read and saved.
fn load(
    id: &Identifier,
    directory: &DataDir,
    store: &dyn Store,
    serves: bool,
) -> Result<DoctorIdentity, Failure> {
    let now = SystemClock.now();
    let put_back = seen::put_back(&directory.path(""), store, now, &mut OsRandom);
    if let Some((older, newer)) = put_back.map_err(|error| setup_failed(&error))? {
        eprint(&format!(
            "doctor: note: the clinic's list of revoked doctors in the database was number \
             {older}, older than number {newer}, which was seen here; the newer one was put back: \
             see who can write to the database, or who has restored an old copy of it\n"
        ));
    }
    let put_back = seen::put_closed_back(&directory.path(""), store, now, &mut OsRandom);
    if put_back.map_err(|error| setup_failed(&error))? {
        eprint(
            "doctor: note: what the clinic's root has said of former doctors' keys was missing in \
             the database, or older than what was seen here; it was put back: see who can write \
             to the database, or who has restored an old copy of it\n",
        );
    }
    let mut identity =
        setup::load(directory, store, now, &mut OsRandom).map_err(|error| setup_failed(&error))?;
    check_name(&identity, id, directory)?;
    if identity.is_revoked() {
        return Err(is_revoked(id));
    }
    let renewal = authority::renewal_of(&identity.certificate, directory, store, now);
    let command = renewal.as_ref().map(authority::Renewal::command);
    if let Err(error) = identity.certificate.check_dates(now) {
        let sentence = format!("doctor {id} cannot serve: {error}");
        if serves {
            let renew = command.map_or_else(String::new, |command| {
                format!(
                    "; if they are right, renew the certificate with the clinic's root key:\n  \
                     {command}"
                )
            });
            return Err(Failure::new(Exit::Refused, sentence)
                .hint(format!("check this machine's date and time{renew}")));
        }
        eprint(&format!("doctor: note: {sentence}\n"));
        return Ok(identity);
    }
    if let (Some(renewal), Some(command)) = (renewal, command) {
        eprint(&format!(
            "doctor: {renewal}; renew it with the clinic's root key:\n  {command}\n"
        ));
    }
    setup::renew_prekeys(directory, store, &mut identity, now, &mut OsRandom)
        .map_err(|error| setup_failed(&error))?;
    Ok(identity)
}
