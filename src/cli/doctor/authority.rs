//! `doctor authority`: what needs the clinic's root key, and what is left to say
//! of it. The root's secret stays in this program: a running server is given
//! only what was signed with it.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use crate::cli::doctor::{
    ask_office, books, failed, joining, setup_failed, staff, store_failed, unexpected,
};
use crate::cli::exit::{Exit, Failure};
use crate::cli::input;
use crate::cli::options::{AuthorityTask, DoctorOptions, RootFile};
use crate::cli::output::Object;
use crate::cli::passphrase;
use crate::cli::text::{clean, sentence};
use crate::clock::{Clock, SystemClock};
use crate::control;
use crate::doctor::authority::{self, Answer, AuthorityError, Renewal, Replaced, Request, Shown};
use crate::doctor::office;
use crate::doctor::practice::Practice;
use crate::doctor::setup::{self, ROOT_KEY};
use crate::elgamal::SignSecret;
use crate::hex;
use crate::identity::certificate::VerifiedCertificate;
use crate::identity::data_dir;
use crate::identity::id::Identifier;
use crate::identity::key_file::{self, KeyFileFault, KeyKind};
use crate::identity::keyring;
use crate::identity::known_doctor::fingerprint_groups;
use crate::random::OsRandom;

/// Does what is asked.
pub fn run(options: &DoctorOptions, id: &Identifier, task: &AuthorityTask) -> Result<(), Failure> {
    books::check_is_doctor(options, id, &options.store)?;
    let answer = match task {
        AuthorityTask::Show => ask(options, id, Request::Show)?,
        AuthorityTask::Renew(root) => renew(options, id, root)?,
        AuthorityTask::MoveRoot(directory) => return move_root(options, id, directory),
        AuthorityTask::Sign { root, yes } => return joining::sign(options, id, root, *yes),
        AuthorityTask::RevokeDoctor {
            name,
            root,
            reason,
            devices,
            yes,
        } => return staff::revoke(options, id, (name, reason), (root, *devices), *yes),
        AuthorityTask::ReplaceKey { root, reason, yes } => {
            return replace_key(options, id, root, reason, *yes);
        }
    };
    options.form.print(&text(&answer), &objects(&answer))
}

fn ask(options: &DoctorOptions, id: &Identifier, request: Request) -> Result<Answer, Failure> {
    let request = office::Request::Authority(request);
    match ask_office(options, id, request, control::PATIENCE)? {
        office::Answer::Authority(answer) => Ok(answer),
        _ => Err(unexpected()),
    }
}

fn place(options: &DoctorOptions, id: &Identifier, file: &str) -> Result<PathBuf, Failure> {
    let directory = data_dir::location(&options.data, id.as_str()).map_err(|e| failed(&e))?;
    Ok(directory.join(file))
}

fn authority_failed(error: &AuthorityError) -> Failure {
    match error {
        AuthorityError::Store(error) => store_failed(error),
        AuthorityError::Setup(error) => setup_failed(error),
        AuthorityError::NotTheRoot => Failure::new(Exit::Refused, error.to_string()).hint(
            "name the right file with --root FILE; 'doctor authority show' has the fingerprint",
        ),
        _ => Failure::new(Exit::Failure, error.to_string()),
    }
}

/// The root's secret, from the file that was named or the usual one.
pub(super) fn root_secret(
    options: &DoctorOptions,
    id: &Identifier,
    root: &VerifiedCertificate,
    from: &RootFile,
) -> Result<SignSecret, Failure> {
    let usual = place(options, id, ROOT_KEY)?;
    let path = from.file.as_ref().unwrap_or(&usual);
    if from.file.is_none() && !usual.exists() {
        let sentence = "the clinic's root key does not lie on this machine";
        let hint = "fetch it from its drawer, and name the file: --root FILE";
        return Err(Failure::new(Exit::Usage, sentence).hint(hint));
    }
    let (kind, own) = (KeyKind::RootSigning, from.passphrase.as_deref());
    let (group, secret) = passphrase::load(path, kind, &options.keys, own)?;
    authority::root_secret(root, (&group, &secret)).map_err(|error| authority_failed(&error))
}

/// Signs a new certificate, and has it taken over: by the running server, or in
/// the books.
fn renew(options: &DoctorOptions, id: &Identifier, root: &RootFile) -> Result<Answer, Failure> {
    let directory = place(options, id, "")?;
    let papers = setup::look_at_store(&directory, &options.store, id)
        .and_then(|store| setup::load_papers(&*store, &mut OsRandom))
        .map_err(|error| setup_failed(&error))?;
    let secret = root_secret(options, id, &papers.root, root)?;
    let now = SystemClock.now();
    let certificate = authority::new_certificate(&papers, &secret, now, &mut OsRandom)
        .map_err(|error| authority_failed(&error))?;
    ask(
        options,
        id,
        Request::Renew(hex::encode(certificate.as_bytes())),
    )
}

/// Copies the root key, compares, and only then removes the one here.
fn move_root(options: &DoctorOptions, id: &Identifier, directory: &Path) -> Result<(), Failure> {
    let from = place(options, id, ROOT_KEY)?;
    if !from.exists() {
        let sentence = format!("there is no '{}'", from.display());
        let data = &options.data_option;
        return Err(Failure::new(Exit::Failure, sentence).hint(format!(
            "it was moved already: 'doctor{data} --id {id} authority show' says where to"
        )));
    }
    let directory = std::path::absolute(directory).map_err(|error| failed(&error))?;
    let to = directory.join(ROOT_KEY);
    if is_same(&directory, &place(options, id, "")?) {
        let sentence = format!("the root key lies there already: '{}'", to.display());
        return Err(Failure::new(Exit::Failure, sentence)
            .hint("nothing was moved; name another directory, such as that of a memory stick"));
    }
    // A server neither changes nor needs the root's key; where none runs, nobody
    // else may change it meanwhile.
    let books = match is_served(options, id)? {
        true => None,
        false => Some(books::open_existing(options, id)?),
    };
    key_file::check_no_link(&from)
        .map_err(|fault| key_file::KeyFileError::new(&from, fault))
        .and_then(|()| key_file::copy(&keyring::current(&from), &to))
        .map_err(|error| not_moved(options, id, &from, &error))?;
    let request = Request::RootMoved(to.display().to_string());
    let noted = match &books {
        Some(practice) => {
            authority::answer(practice, &request).map_err(|error| authority_failed(&error))
        }
        None => ask(options, id, request),
    };
    if let Err(failure) = noted {
        // Two of them would be worse than one that was not moved.
        key_file::remove(&to).map_err(|error| failed(&error))?;
        return Err(failure);
    }
    keyring::remove(&from).map_err(|error| {
        let sentence = format!("the copy '{}' is whole, but {error}", to.display());
        Failure::new(Exit::Failure, sentence).hint("remove the one here yourself")
    })?;
    let said = format!(
        "The clinic's root key is '{}' now, and no longer here. Put it into a drawer, and keep a \
         copy of it in another one: without it the doctor's certificate cannot be renewed.",
        clean(&to.display().to_string())
    );
    let object = Object::new("root_moved")
        .with("from", from.display().to_string())
        .with("to", to.display().to_string());
    options.form.print(&said, &[object])
}

fn is_same(one: &Path, other: &Path) -> bool {
    let canonical = |path: &Path| fs::canonicalize(path).ok();
    canonical(one).is_some_and(|one| Some(one) == canonical(other))
}

fn not_moved(
    options: &DoctorOptions,
    id: &Identifier,
    from: &Path,
    error: &key_file::KeyFileError,
) -> Failure {
    let data = &options.data_option;
    let remedy = match error.fault() {
        KeyFileFault::Unguarded { .. } => format!(
            "; seal it first, with all keys here: doctor{data} --id {id} stop, then \
             doctor{data} --id {id} key passwd"
        ),
        KeyFileFault::Link { .. } => String::new(),
        _ => "; the directory must be there, and its files this user's alone, as on a stick \
              with a Linux file system"
            .to_owned(),
    };
    Failure::new(error.fault().into(), error.to_string()).hint(format!(
        "nothing was moved: the root key is still '{}'{remedy}",
        from.display()
    ))
}

fn replace_key(
    options: &DoctorOptions,
    id: &Identifier,
    root: &RootFile,
    reason: &str,
    yes: bool,
) -> Result<(), Failure> {
    refuse_beside_server(options, id)?;
    let practice = books::open_existing(options, id)?;
    let certificate = &practice.identity().root;
    let secret = root_secret(options, id, certificate, root)?;
    if !yes {
        confirm(&practice)?;
    }
    books::remove_leftovers(&practice.directory, &*practice.store)?;
    let replaced = authority::replace_key(&practice, &secret, reason, &mut OsRandom)
        .map_err(|error| authority_failed(&error))?;
    let object = Object::new("key_replaced")
        .with("doctor", id.as_str())
        .with("old_key", hex::encode(&replaced.old))
        .with("key", hex::encode(&replaced.new))
        .with("revoked_number", replaced.revoked_number)
        .with("devices", replaced.devices)
        .with("patients", replaced.patients);
    options
        .form
        .print(&replaced_text(id, &replaced), &[object])?;
    let Some(why) = replaced.unfinished else {
        return Ok(());
    };
    let sentence = format!("the key was replaced, but its file is not in its place yet: {why}");
    Err(Failure::new(Exit::Failure, sentence).hint(format!(
        "put that right; the next start completes it: doctor{} --id {id}",
        options.data_option
    )))
}

/// Whether a server runs on the books.
fn is_served(options: &DoctorOptions, id: &Identifier) -> Result<bool, Failure> {
    let directory = place(options, id, "")?;
    let request = crate::doctor::control::Request::List;
    let answer = control::ask(&directory, &request, control::PATIENCE);
    let answer: Option<crate::doctor::control::Answer> = answer.unwrap_or_default();
    Ok(answer.is_some())
}

/// A server would go on with the old key.
fn refuse_beside_server(options: &DoctorOptions, id: &Identifier) -> Result<(), Failure> {
    if !is_served(options, id)? {
        return Ok(());
    }
    let sentence = "the server is running: nobody may be let in while the key is replaced";
    let hint = format!(
        "stop it first: doctor{} --id {id} stop",
        options.data_option
    );
    Err(Failure::new(Exit::Failure, sentence).hint(hint))
}

fn confirm(practice: &Practice) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        let sentence = "nobody is there to be asked, nothing was replaced";
        return Err(Failure::new(Exit::Usage, sentence)
            .hint("say the same again with --yes; in a terminal it is asked"));
    }
    let devices = authority::devices_at_stake(practice).map_err(|error| store_failed(&error))?;
    let whose = match practice.store.clinic() {
        Some(_) => "all patients whom this doctor has enrolled",
        None => "all patients",
    };
    let question = format!(
        "The certificates of {whose} are revoked ({devices} devices): each needs a new \
         ticket.\nReplace the signing key? Type yes: "
    );
    match input::says_yes(&question) {
        true => Ok(()),
        false => Err(Failure::new(Exit::Failure, "nothing was replaced")),
    }
}

fn replaced_text(id: &Identifier, replaced: &Replaced) -> String {
    let Replaced {
        old,
        new,
        revoked_number,
        devices,
        patients,
        unfinished: _,
    } = replaced;
    format!(
        "Doctor {id} has a new signing key.\n\
         old key: {}, revoked (list number {revoked_number})\n\
         new key: {}\n\
         Revoked: {devices} devices of {patients} patients. Their programs stop and show both \
         keys. Tell them the new one, best over the phone, and give each a new ticket:\n  \
         doctor enrol PATIENT",
        fingerprint_groups(old),
        fingerprint_groups(new)
    )
}

/// That it is time to renew, on lines of its own; nothing if it is not.
pub fn reminder(renewal: Option<&Renewal>) -> String {
    renewal.map_or_else(String::new, |renewal| {
        let command = renewal.command();
        format!("\n{} Renew it: {command}", sentence(&renewal.to_string()))
    })
}

/// For people.
pub fn text(answer: &Answer) -> String {
    match answer {
        Answer::Shown(shown) => shown_text(shown),
        Answer::Renewed {
            doctor,
            until,
            devices,
        } => {
            let back = match devices {
                0 => "Patients learn it at their next connection".to_owned(),
                1 => "1 device was disconnected and comes back by itself".to_owned(),
                count => format!("{count} devices were disconnected and come back by themselves"),
            };
            format!(
                "The certificate of doctor {doctor} is valid until {until}. {back}; nobody needs a \
                 new ticket."
            )
        }
        Answer::Noted => String::new(),
    }
}

fn shown_text(shown: &Shown) -> String {
    let mut lines = vec![
        format!("Clinic's root:  {}", fingerprint_groups(&shown.root)),
        format!("  until {}", shown.root_ends),
        match (&shown.root_key, &shown.root_key_place) {
            (Some(here), _) => format!(
                "  its key lies on this machine: '{}'; move it to a stick: doctor{} authority \
                 move-root DIR",
                clean(here),
                clean(&shown.finds)
            ),
            (None, Some(place)) => format!(
                "  its key does not lie on this machine; it was moved to '{}'",
                clean(place)
            ),
            (None, None) => "  its key does not lie on this machine".to_owned(),
        },
        format!(
            "Doctor {}:  key {}",
            shown.doctor,
            fingerprint_groups(&shown.key)
        ),
        format!("  certificate {}", shown.serial),
        format!("  from {} until {}", shown.from, shown.until),
    ];
    for prekey in &shown.prekeys {
        let (kid, from, until) = (&prekey.kid, prekey.from, prekey.until);
        lines.push(format!("  prekey {kid} from {from} until {until}"));
    }
    lines.push(format!(
        "Revoked doctors: list number {}, {}",
        shown.revoked_number,
        match shown.revoked.len() {
            0 => "nobody".to_owned(),
            _ => format!("certificates {}", shown.revoked.join(", ")),
        }
    ));
    for name in &shown.unclosed {
        let (name, finds) = (clean(name), clean(&shown.finds));
        lines.push(format!(
            "What the key of {name} certifies is good still: an earlier version has revoked her. \
             Let the root close it:\n  doctor{finds} authority revoke-doctor {name} --reason TEXT"
        ));
    }
    for member in &shown.ending {
        let [first, second] = member.commands();
        let said = clean(&sentence(&member.to_string()));
        lines.push(format!("{said} She joins anew:\n  {first}\n  {second}"));
    }
    lines.join("\n") + &reminder(shown.renewal.as_ref())
}

/// For programs.
pub fn objects(answer: &Answer) -> Vec<Object> {
    match answer {
        Answer::Shown(shown) => shown_objects(shown),
        Answer::Renewed {
            doctor,
            until,
            devices,
        } => vec![
            Object::new("renewed")
                .with("doctor", doctor.as_str())
                .with("until", *until)
                .with("devices", *devices),
        ],
        Answer::Noted => Vec::new(),
    }
}

fn shown_objects(shown: &Shown) -> Vec<Object> {
    let authority = Object::new("authority")
        .with("doctor", shown.doctor.as_str())
        .with("root", hex::encode(&shown.root))
        .with("root_ends", shown.root_ends)
        .with("root_key", shown.root_key.clone())
        .with("root_key_place", shown.root_key_place.clone())
        .with("key", hex::encode(&shown.key))
        .with("serial", shown.serial.as_str())
        .with("from", shown.from)
        .with("until", shown.until)
        .with("revoked_number", shown.revoked_number)
        .with("revoked", shown.revoked.clone())
        .with("unclosed", shown.unclosed.clone());
    let prekeys = shown.prekeys.iter().map(|prekey| {
        Object::new("prekey")
            .with("kid", prekey.kid.as_str())
            .with("from", prekey.from)
            .with("until", prekey.until)
    });
    let ending = shown.ending.iter().map(|member| {
        Object::new("staff_ending")
            .with("name", member.name.as_str())
            .with("role", member.role.as_str())
            .with("until", member.until)
            .with("ended", member.left.is_none())
            .with("commands", member.commands().to_vec())
    });
    let renewal = shown.renewal.as_ref().map(renewal_object);
    std::iter::once(authority)
        .chain(prekeys)
        .chain(ending)
        .chain(renewal)
        .collect()
}

/// That it is time to renew, for programs.
pub fn renewal_object(renewal: &Renewal) -> Object {
    Object::new("renewal")
        .with("doctor", renewal.doctor.as_str())
        .with("until", renewal.until)
        .with("ended", renewal.left.is_none())
        .with("command", renewal.command())
}
