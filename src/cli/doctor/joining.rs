//! Joining a clinic: `doctor enrol-doctor`, `doctor authority sign`, and, on the
//! newcomer's side, `doctor enrol TICKET`.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::Program;
use crate::cli::doctor::authority::root_secret;
use crate::cli::doctor::{
    ask_office, books::commands_of, failed, setup_failed, store_failed, unexpected, vault_failed,
};
use crate::cli::exit::{Exit, Failure, eprint};
use crate::cli::input;
use crate::cli::options::{DoctorOptions, RootFile, TicketSource};
use crate::cli::output::Object;
use crate::cli::passphrase;
use crate::cli::text::{clean, clean_lines};
use crate::clock::{Clock, SystemClock};
use crate::control;
use crate::doctor::joining::{Answer, Asked, OthersTicket, Request, Unfit, Waiting};
use crate::doctor::newcomer::{Newcomer, NewcomerError, Progress};
use crate::doctor::practice::Practice;
use crate::doctor::{audit_log, member, office, setup};
use crate::elgamal::{SignSecret, VerifyingKey};
use crate::hex;
use crate::identity::authority::certify_staff;
use crate::identity::certificate::{Role, VerifiedCertificate};
use crate::identity::data_dir::{self, DataDir};
use crate::identity::id::Identifier;
use crate::identity::join::{JoinTicket, JoinTicketError};
use crate::identity::known_doctor::fingerprint_groups;
use crate::random::OsRandom;
use crate::store::{Store, StoreChoice};

/// How often the database is asked whether there is an answer.
const LOOK_EVERY: Duration = Duration::from_millis(250);

fn ask(options: &DoctorOptions, id: &Identifier, request: Request) -> Result<Answer, Failure> {
    let request = office::Request::Joining(request);
    match ask_office(options, id, request, control::PATIENCE)? {
        office::Answer::Joining(answer) => Ok(answer),
        _ => Err(unexpected()),
    }
}

/// Prints a ticket. It alone goes to standard output, so that it can be handed
/// on by a pipe.
pub fn invite(
    options: &DoctorOptions,
    id: &Identifier,
    (name, role): (&Identifier, Role),
    valid: Option<Duration>,
) -> Result<(), Failure> {
    let request = Request::Invite {
        subject: name.to_string(),
        role: role.word().to_owned(),
        valid_seconds: valid.map(|time| time.as_secs()),
    };
    let answer = ask(options, id, request)?;
    let Answer::Invited { text, expires, .. } = &answer else {
        return Err(unexpected());
    };
    eprint(&format!(
        "doctor: a ticket with which {name} joins the clinic as {role}, once, until {expires}; \
         she says: doctor --id {name} --store ADDRESS enrol TICKET\n"
    ));
    options.form.print(text, &objects(&answer))
}

/// Signs who asks to join, with the root's key, which stays in this program.
pub fn sign(
    options: &DoctorOptions,
    id: &Identifier,
    from: &RootFile,
    yes: bool,
) -> Result<(), Failure> {
    let Answer::Waiting(asked) = ask(options, id, Request::Waiting)? else {
        return Err(unexpected());
    };
    let Asked {
        waiting,
        unfit,
        others,
    } = asked;
    for request in &unfit {
        eprint(&unanswerable(request));
    }
    for request in &others {
        eprint(&others_to_answer(request));
    }
    if waiting.is_empty() && !unfit.is_empty() {
        let sentence = "there is no request to join that can be answered; nothing was signed";
        return Err(Failure::new(Exit::Integrity, sentence));
    }
    if waiting.is_empty() {
        let sentence = match others.is_empty() {
            true => "Nobody asks to join the clinic.".to_owned(),
            false => format!("Nobody asks to join the clinic with a ticket of {id}."),
        };
        return options.form.print(&sentence, &[]);
    }
    if !yes && !io::stdin().is_terminal() {
        let sentence = "nobody is there to be asked, nothing was signed";
        let waiting: Vec<_> = waiting.iter().map(asks).collect();
        eprint(&format!("{}\n", clean_lines(&waiting.join("\n"))));
        return Err(Failure::new(Exit::Usage, sentence).hint(
            "if they see the same fingerprints, say the same again with --yes; in a terminal it \
             is asked",
        ));
    }
    let directory = data_dir::location(&options.data, id.as_str()).map_err(|e| failed(&e))?;
    let papers = setup::look_at_store(&directory, &options.store, id)
        .and_then(|store| setup::load_papers(&*store, &mut OsRandom))
        .map_err(|error| setup_failed(&error))?;
    let secret = root_secret(options, id, &papers.root, from)?;
    for newcomer in &waiting {
        if !yes && !confirm(newcomer) {
            continue;
        }
        let certificate = certify(&papers.root, &secret, newcomer)?;
        let request = Request::Admit {
            ticket: newcomer.ticket,
            certificate: hex::encode(certificate.as_bytes()),
        };
        ask(options, id, request)?;
        let said = format!(
            "{} joins the clinic as {}.",
            newcomer.subject, newcomer.role
        );
        let object = Object::new("admitted")
            .with("name", newcomer.subject.as_str())
            .with("role", newcomer.role.as_str());
        options.form.print(&clean(&said), &[object])?;
    }
    Ok(())
}

/// Which request cannot be answered, why, and what to do about it.
fn unanswerable(request: &Unfit) -> String {
    let [subject, why] = [&request.subject, &request.why].map(|text| clean(text));
    let ticket = &request.ticket;
    format!(
        "doctor: the request to join with ticket {ticket}, for {subject}, cannot be answered: \
         {why}\ndoctor: take it back with: doctor tickets revoke {ticket}; then make another: \
         doctor enrol-doctor\n"
    )
}

/// Whose ticket a request was made with that somebody else answers.
fn others_to_answer(request: &OthersTicket) -> String {
    let [subject, doctor] = [&request.subject, &request.doctor].map(|text| clean(text));
    let ticket = &request.ticket;
    format!(
        "doctor: {subject} asks to join with ticket {ticket} of {doctor}, who alone answers it: \
         doctor --id {doctor} authority sign\n"
    )
}

fn confirm(newcomer: &Waiting) -> bool {
    input::says_yes(&format!(
        "{}\nDoes she see the same? Type yes to sign: ",
        asks(newcomer)
    ))
}

fn asks(newcomer: &Waiting) -> String {
    format!(
        "{} asks to join the clinic as {}, with a ticket of {}; request {}",
        newcomer.subject,
        newcomer.role,
        newcomer.doctor,
        fingerprint_groups(&newcomer.request)
    )
}

fn certify(
    root: &VerifiedCertificate,
    secret: &SignSecret,
    newcomer: &Waiting,
) -> Result<VerifiedCertificate, Failure> {
    let key = hex::decode(&newcomer.key);
    let key = key.and_then(|key| VerifyingKey::from_bytes(root.group(), &key).ok());
    let subject: Option<Identifier> = newcomer.subject.parse().ok();
    let role = Role::staff_from_word(&newcomer.role);
    let (Some(key), Some(subject), Some(role)) = (key, subject, role) else {
        return Err(unexpected());
    };
    let (issuer, now) = ((root, secret), SystemClock.now());
    Ok(certify_staff(
        issuer,
        (&subject, role),
        key,
        now,
        &mut OsRandom,
    ))
}

/// Joins a clinic with a ticket, and waits so long for the answer.
pub fn join(options: &DoctorOptions, source: TicketSource, wait: Duration) -> Result<(), Failure> {
    let text = source.read(io::stdin().lock())?;
    let ticket: JoinTicket = text.parse().map_err(|error: JoinTicketError| {
        let failure = Failure::new(Exit::Usage, error.to_string());
        match error {
            // It says itself where one for joining comes from.
            JoinTicketError::ForPatient => failure,
            _ => failure.hint("a doctor of the clinic prints one with: doctor enrol-doctor NAME"),
        }
    })?;
    let id = options.id.as_ref().unwrap_or(&ticket.subject);
    if *id != ticket.subject {
        let sentence = format!("the ticket is for {}, not for {id}", ticket.subject);
        let hint = "leave out --id, or ask for another ticket";
        return Err(Failure::new(Exit::Usage, sentence).hint(hint));
    }
    let store = open_store(options, id)?;
    let mut directory =
        DataDir::create_or_open(&options.data, id.as_str()).map_err(|error| failed(&error))?;
    if !directory.is_sealed() && !directory.path(setup::SIGNING_KEY).exists() {
        passphrase::begin(&mut directory, &options.keys, options.form, Program::Doctor)?;
    }
    passphrase::unlock(&mut directory, &options.keys)?;
    let newcomer = Newcomer {
        directory: &directory,
        store: &*store,
        id,
        ticket: &ticket,
    };
    wait_for_answer(options, newcomer, wait)?;
    vouch(directory, store.into())?;
    let said = format!(
        "{id} has joined the clinic as {}. Its root: {}\n{}",
        ticket.role,
        fingerprint_groups(&ticket.root),
        next(options, id, ticket.role)
    );
    let object = Object::new("joined_clinic")
        .with("name", id.as_str())
        .with("role", ticket.role.word())
        .with("root", hex::encode(&ticket.root));
    options.form.print(&said, &[object])
}

/// What she does first.
fn next(options: &DoctorOptions, id: &Identifier, role: Role) -> String {
    let command = format!("doctor{} --id {id}", options.data_option);
    match role {
        Role::Doctor => format!(
            "Start her server: {command} --listen 0.0.0.0:7400 --public-address HOST:PORT\n\
             From then on the clinic's patients learn where she is when they connect, and reach \
             her with: patient --doctor-id {id}. She enrols others with: {command} enrol PATIENT"
        ),
        role => format!(
            "She has no server. She says what is to be done: {command} {}",
            commands_of(role)
        ),
    }
}

/// Signs for the beginning of her log.
fn vouch(directory: DataDir, store: Arc<dyn Store>) -> Result<(), Failure> {
    let now = SystemClock.now();
    let loaded = match member::lacks_node(&*store).map_err(|error| store_failed(&error))? {
        true => member::load(&directory, &*store, now, &mut OsRandom),
        false => setup::load(&directory, &*store, now, &mut OsRandom),
    };
    let identity = loaded.map_err(|error| setup_failed(&error))?;
    let practice = Practice::open(Arc::new(directory), store, identity, Arc::new(SystemClock))
        .map_err(|error| vault_failed(&error))?;
    let signed = audit_log::sign_head(&practice);
    signed.map(drop).map_err(|error| store_failed(&error))
}

/// The clinic's database; without one named there is none to join.
fn open_store(options: &DoctorOptions, id: &Identifier) -> Result<Box<dyn Store>, Failure> {
    if options.store == StoreChoice::File {
        return Err(newcomer_failed(&NewcomerError::OneDoctor));
    }
    setup::look_at_store(Path::new(""), &options.store, id).map_err(|error| setup_failed(&error))
}

fn wait_for_answer(
    options: &DoctorOptions,
    newcomer: Newcomer<'_>,
    wait: Duration,
) -> Result<(), Failure> {
    let deadline = Instant::now() + wait;
    let mut is_told = false;
    loop {
        let progress = newcomer.go_on(SystemClock.now(), &mut OsRandom);
        let Progress::Waiting { request } = progress.map_err(|e| newcomer_failed(&e))? else {
            return Ok(());
        };
        let doctor = &newcomer.ticket.doctor;
        if !is_told {
            eprint(&format!(
                "doctor: asked to join the clinic; request {}\n\
                 doctor: waiting for doctor {doctor}, whose server answers if the root key lies \
                 there; else she signs with: doctor --id {doctor} authority sign\n",
                fingerprint_groups(&request)
            ));
            is_told = true;
        }
        if Instant::now() >= deadline {
            let sentence = "the request to join was not answered yet; it stays in the database";
            return Err(Failure::new(Exit::Unreachable, sentence).hint(format!(
                "when doctor {doctor} has signed it, say the same again: doctor{} --id {} enrol \
                 TICKET",
                options.data_option, newcomer.ticket.subject
            )));
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn newcomer_failed(error: &NewcomerError) -> Failure {
    match error {
        NewcomerError::Store(error) => store_failed(error),
        NewcomerError::Setup(error) => setup_failed(error),
        NewcomerError::Vault(error) => vault_failed(error),
        NewcomerError::OneDoctor | NewcomerError::OtherName(_) => {
            Failure::new(Exit::Usage, error.to_string())
        }
        NewcomerError::UnknownTicket
        | NewcomerError::Revoked
        | NewcomerError::Ended(_)
        | NewcomerError::UsedByAnother
        | NewcomerError::Used => Failure::new(Exit::Ticket, error.to_string()),
        _ => Failure::new(Exit::Refused, error.to_string()),
    }
}

/// For people.
pub fn text(answer: &Answer) -> String {
    match answer {
        Answer::Invited { text, .. } => text.clone(),
        // The command that asks for it prints what came of it.
        Answer::Waiting(_) | Answer::Admitted => String::new(),
    }
}

/// For programs.
pub fn objects(answer: &Answer) -> Vec<Object> {
    match answer {
        Answer::Invited {
            subject,
            role,
            text,
            expires,
        } => vec![
            Object::new("join_ticket")
                .with("name", subject.as_str())
                .with("role", role.as_str())
                .with("ticket", text.as_str())
                .with("expires", *expires),
        ],
        // The command that asks for it prints what came of it.
        Answer::Waiting(_) | Answer::Admitted => Vec::new(),
    }
}
