//! Where the passphrase of the keys comes from: a file that is named, a
//! credential of the service manager, a person at the terminal, in this order.
//! Never an argument or a variable: others on the machine can read those.

mod file;
mod prompt;

use std::io;
use std::path::Path;

use super::Program;
use super::exit::{Exit, Failure, eprint};
use super::options::KeyOptions;
use super::output::Form;
use crate::identity::data_dir::DataDir;
use crate::identity::key_file::{
    self, Closed, Cost, KeyFileError, KeyFileFault, KeyKind, Passphrase, Protection,
};
use crate::identity::keyring::{self, Keyring};
use crate::secret::SecretBytes;
use prompt::{Typed, Unseen};

/// How often a person may try.
const TRIES: usize = 3;

/// What to do where there is no passphrase.
const NAME_A_FILE: &str =
    "name a file that holds it with --passphrase-file FILE, or run this at a terminal";

/// The same for a key file that is sealed by itself.
const NAME_ITS_FILE: &str = "it may have a passphrase of its own: name a file that holds it with \
    --root-passphrase-file FILE, or run this at a terminal";

/// Unlocks the keys of a directory, if they are sealed.
///
/// # Errors
/// A [`Failure`], with [`Exit::Refused`] if the passphrase is wrong or missing.
pub fn unlock(directory: &mut DataDir, keys: &KeyOptions) -> Result<(), Failure> {
    unlock_with(directory, keys).map(drop)
}

/// The same; gives the passphrase if one was needed.
///
/// # Errors
/// As [`unlock`].
pub fn unlock_with(
    directory: &mut DataDir,
    keys: &KeyOptions,
) -> Result<Option<Passphrase>, Failure> {
    if !directory.is_sealed() || directory.keyring().is_unlocked() {
        return Ok(None);
    }
    let place = directory.path("");
    let ((), passphrase) = with(keys, &place, &mut |passphrase| directory.unlock(passphrase))?;
    Ok(Some(passphrase))
}

/// The keyring of a directory that another program may have locked.
///
/// # Errors
/// As [`unlock`].
pub fn keyring(directory: &Path, keys: &KeyOptions) -> Result<Keyring, Failure> {
    if !Keyring::is_sealed(directory) {
        return Ok(Keyring::plain());
    }
    let mut open = |passphrase: &Passphrase| Keyring::unlock(directory, passphrase);
    with(keys, directory, &mut open).map(|(keyring, _)| keyring)
}

/// Reads a key file that lies by itself, such as the root's in its drawer, plain
/// or sealed: the name of the group and the secret. `own` is the file with its
/// own passphrase, if it was named.
///
/// # Errors
/// A [`Failure`], with [`Exit::Refused`] if the passphrase is wrong or missing.
pub fn load(
    path: &Path,
    kind: KeyKind,
    keys: &KeyOptions,
    own: Option<&Path>,
) -> Result<([u8; 32], SecretBytes), Failure> {
    // A change of the passphrase may have been cut short beside it.
    let lies_in = &keyring::current(path);
    let closed = Closed::read(lies_in).map_err(|error| failed(&error))?;
    if closed.protection == Protection::Plain {
        return key_file::load(lies_in, kind).map_err(|error| failed(&error));
    }
    let mut open = |passphrase: &Passphrase| {
        let opened = key_file::load_sealed(lies_in, kind, passphrase);
        // The name that people know.
        opened.map_err(|error| error.at(path))
    };
    let opened = by_itself(keys, own, path, &mut open).map(|(key, _)| key);
    opened.map_err(
        |failure| match lies_in != path && failure.exit == Exit::Refused {
            true => failure.hint(
                "a change of the passphrase was cut short after it was made: the new passphrase is \
             the good one",
            ),
            false => failure,
        },
    )
}

/// Does something with the passphrase of a key file that is sealed by itself. It
/// may be that of the other keys; where it is not, a person is asked for its own.
///
/// # Errors
/// As [`with`].
pub fn by_itself<T>(
    keys: &KeyOptions,
    own: Option<&Path>,
    path: &Path,
    open: Open<'_, T>,
) -> Result<(T, Passphrase), Failure> {
    if let Some(file) = own {
        let passphrase = file::read(file, true)?;
        let opened = open(&passphrase).map_err(|error| failed_from(file, &error))?;
        return Ok((opened, passphrase));
    }
    let mut wrong = None;
    if let Some(passphrase) = from_file(keys)? {
        match open(&passphrase) {
            Ok(opened) => return Ok((opened, passphrase)),
            Err(error) if is_wrong(&error) => wrong = Some(error),
            Err(error) => return Err(failed(&error)),
        }
    }
    let shown = path.display();
    match (Unseen::open(), wrong) {
        (None, None) => {
            let sentence = format!("the key file '{shown}' is sealed, and no passphrase was given");
            Err(Failure::new(Exit::Refused, sentence).hint(NAME_ITS_FILE))
        }
        (None, Some(error)) => Err(failed(&error).hint(NAME_ITS_FILE)),
        (Some(mut terminal), wrong) => {
            if wrong.is_some() {
                terminal.say(&format!(
                    "The passphrase of the other keys does not open '{shown}': it has its own\n"
                ));
            }
            ask(&mut terminal, path, open)
        }
    }
}

/// The passphrases of those keys in a directory that are sealed by themselves
/// and that none of the `known` ones opens. `file` has it, if it was named.
///
/// # Errors
/// As [`with`].
pub fn own(
    directory: &Path,
    known: &[&Passphrase],
    file: Option<&Path>,
) -> Result<Vec<Passphrase>, Failure> {
    let paths = keyring::own_passphrases(directory).map_err(|error| failed(&error))?;
    let mut found: Vec<Passphrase> = Vec::new();
    for path in paths {
        let closed = Closed::read(&path).map_err(|error| failed(&error))?;
        let mut open = |passphrase: &Passphrase| {
            let opened = closed.open_with_passphrase(passphrase).map(drop);
            opened.map_err(|fault| KeyFileError::new(&path, fault))
        };
        let mut known = known.iter().copied().chain(&found);
        if known.any(|passphrase| open(passphrase).is_ok()) {
            continue;
        }
        let ((), passphrase) = by_itself(&KeyOptions::default(), file, &path, &mut open)?;
        found.push(passphrase);
    }
    Ok(found)
}

/// What is tried with a passphrase.
type Open<'a, T> = &'a mut dyn FnMut(&Passphrase) -> Result<T, KeyFileError>;

/// Does something with the passphrase of the keys in `place`, and gives what came
/// of it and the passphrase. A person may try again.
///
/// # Errors
/// A [`Failure`], as of the last try.
pub fn with<T>(
    keys: &KeyOptions,
    place: &Path,
    open: Open<'_, T>,
) -> Result<(T, Passphrase), Failure> {
    if let Some(passphrase) = from_file(keys)? {
        let opened = open(&passphrase).map_err(|error| failed(&error))?;
        return Ok((opened, passphrase));
    }
    let shown = place.display();
    let Some(mut terminal) = Unseen::open() else {
        let sentence = format!("the keys in '{shown}' are sealed, and no passphrase was given");
        return Err(Failure::new(Exit::Refused, sentence).hint(NAME_A_FILE));
    };
    ask(&mut terminal, place, open)
}

/// Asks a person, who may try again.
fn ask<T>(
    terminal: &mut Unseen,
    place: &Path,
    open: Open<'_, T>,
) -> Result<(T, Passphrase), Failure> {
    let prompt = format!("Passphrase of '{}': ", place.display());
    let mut tried = 1;
    loop {
        let passphrase = match terminal.ask(&prompt).map_err(|error| unreadable(&error))? {
            Typed::Passphrase(passphrase) => passphrase,
            Typed::Nothing => return Err(Failure::new(Exit::Refused, "no passphrase was given")),
            Typed::Interrupted => return Err(interrupted()),
        };
        match open(&passphrase) {
            Ok(opened) => return Ok((opened, passphrase)),
            Err(error) if is_wrong(&error) && tried < TRIES => {
                terminal.say(&format!("{error}; try again\n"));
            }
            Err(error) => return Err(failed(&error)),
        }
        tried += 1;
    }
}

fn is_wrong(error: &KeyFileError) -> bool {
    matches!(error.fault(), KeyFileFault::WrongPassphrase)
}

/// How the keys of a directory that is begun now are to be protected: under a
/// passphrase, or, with nothing, not at all.
///
/// # Errors
/// A [`Failure`].
pub fn choose(keys: &KeyOptions, form: Form) -> Result<Option<Passphrase>, Failure> {
    if keys.plain_keys {
        return Ok(None);
    }
    if let Some(passphrase) = from_file(keys)? {
        return may_be_set(passphrase).map(Some);
    }
    // The other forms are for programs, which cannot answer.
    let terminal = match form {
        Form::People => Unseen::open(),
        Form::Plain | Form::Json => None,
    };
    let Some(mut terminal) = terminal else {
        return Ok(None);
    };
    terminal.say(
        "The keys can be sealed under a passphrase, which is asked for at every start then.\n",
    );
    let prompt = "New passphrase (at least 8 characters; an empty line for none): ";
    ask_twice(&mut terminal, prompt)
}

/// Seals the keys of a directory that is begun now as [`choose`] has it, and says
/// so.
///
/// # Errors
/// A [`Failure`].
pub fn begin(
    directory: &mut DataDir,
    keys: &KeyOptions,
    form: Form,
    program: Program,
) -> Result<(), Failure> {
    let chosen = choose(keys, form)?;
    if let Some(passphrase) = &chosen {
        let sealed = directory.seal_keys(passphrase, Cost::STANDARD);
        sealed.map_err(|error| failed(&error))?;
    }
    say(program, keys, &directory.path(""), chosen.is_some());
    Ok(())
}

/// Says how the keys of a directory lie there.
pub fn say(program: Program, keys: &KeyOptions, directory: &Path, sealed: bool) {
    let data = &keys.data_option;
    let directory = directory.display();
    eprint(&match sealed {
        true => format!(
            "{program}: the keys in '{directory}' are sealed under the passphrase; nobody can \
             open them without it, so keep it safe\n"
        ),
        false => format!(
            "{program}: the keys lie unsealed in '{directory}', readable by this user only; \
             seal them with: {program}{data} key passwd\n"
        ),
    });
}

/// Says how a single key file lies there.
pub fn say_file(program: Program, keys: &KeyOptions, path: &Path, sealed: bool) {
    let (data, shown) = (&keys.data_option, path.display());
    eprint(&match sealed {
        true => format!(
            "{program}: the key file '{shown}' is sealed under the passphrase; nobody can open it \
             without it, so keep it safe\n"
        ),
        false => format!(
            "{program}: the key in '{shown}' lies unsealed, readable by this user only; seal it \
             with: {program}{data} key passwd --file '{}'\n",
            shown.to_string().replace('\'', r"'\''")
        ),
    });
}

/// A passphrase that is to be set: from this file, or from a person.
///
/// # Errors
/// A [`Failure`].
pub fn new(file: Option<&Path>) -> Result<Passphrase, Failure> {
    if let Some(file) = file {
        return may_be_set(file::read(file, true)?);
    }
    let none = |sentence: &str| {
        Failure::new(Exit::Usage, sentence).hint(
            "name a file that holds it with --new-passphrase-file FILE; --plain-keys takes the \
             passphrase off",
        )
    };
    let Some(mut terminal) = Unseen::open() else {
        return Err(none("the new passphrase is needed"));
    };
    let prompt = "New passphrase (at least 8 characters): ";
    ask_twice(&mut terminal, prompt)?.ok_or_else(|| none("no new passphrase was given"))
}

/// Asks until the same passphrase came twice; nothing for an empty line.
fn ask_twice(terminal: &mut Unseen, prompt: &str) -> Result<Option<Passphrase>, Failure> {
    for _ in 0..TRIES {
        let first = match terminal.ask(prompt).map_err(|error| unreadable(&error))? {
            Typed::Passphrase(first) => first,
            Typed::Nothing => return Ok(None),
            Typed::Interrupted => return Err(interrupted()),
        };
        if !first.may_be_set() {
            terminal.say("That is too short; try again\n");
            continue;
        }
        match terminal
            .ask("The same again: ")
            .map_err(|e| unreadable(&e))?
        {
            Typed::Passphrase(second) if second.is(&first) => return Ok(Some(first)),
            Typed::Interrupted => return Err(interrupted()),
            _ => terminal.say("The two differ; try again\n"),
        }
    }
    Err(Failure::new(Exit::Refused, "no passphrase was set"))
}

fn may_be_set(passphrase: Passphrase) -> Result<Passphrase, Failure> {
    if passphrase.may_be_set() {
        return Ok(passphrase);
    }
    let sentence = format!(
        "the new passphrase is too short: it needs at least {} characters",
        Passphrase::MIN_NEW
    );
    Err(Failure::new(Exit::Usage, sentence).hint("nothing was changed"))
}

/// The passphrase from the file that is named, or else from the service manager.
fn from_file(keys: &KeyOptions) -> Result<Option<Passphrase>, Failure> {
    match (&keys.passphrase_file, &keys.credential) {
        (Some(file), _) => file::read(file, true).map(Some),
        // Whom it belongs to and who may read it is the service manager's
        // business: it uses access control lists.
        (None, Some(credential)) => file::read(credential, false).map(Some),
        (None, None) => Ok(None),
    }
}

/// A failure with the passphrase that this file holds.
fn failed_from(file: &Path, error: &KeyFileError) -> Failure {
    match error.fault() {
        KeyFileFault::WrongPassphrase => failed(error).hint(format!(
            "the passphrase was read from '{}'; name the right file",
            file.display()
        )),
        _ => failed(error),
    }
}

/// A failure of a key file.
pub fn failed(error: &KeyFileError) -> Failure {
    Failure::new(error.fault().into(), error.to_string())
}

fn unreadable(error: &io::Error) -> Failure {
    let sentence = format!("the passphrase cannot be read from the terminal: {error}");
    Failure::new(Exit::Failure, sentence)
}

fn interrupted() -> Failure {
    Failure::new(Exit::Interrupted, "interrupted; nothing was changed")
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::identity::key_file::KeyFile;
    use crate::identity::keyring::reseal;
    use crate::random::OsRandom;

    #[test]
    fn a_key_in_its_drawer_is_read_whether_it_is_sealed_or_not() {
        let drawer = tempfile::tempdir().unwrap();
        let (path, secret) = (drawer.path().join("root.key"), drawer.path().join("secret"));
        let key = KeyFile {
            kind: KeyKind::RootSigning,
            group: [7; 32],
            secret: SecretBytes::copy_of(&[171; 32]),
        };
        key_file::save(&path, &key).unwrap();
        fs::write(&secret, "correct horse\n").unwrap();
        fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
        let none = KeyOptions::default();
        assert!(load(&path, KeyKind::RootSigning, &none, None).is_ok());
        let keys = KeyOptions {
            passphrase_file: Some(secret.clone()),
            ..none
        };
        let passphrase = from_file(&keys).unwrap().unwrap();
        reseal(&path, None, Some((&passphrase, Cost::LEAST)), &mut OsRandom).unwrap();
        let (group, opened) = load(&path, KeyKind::RootSigning, &keys, None).unwrap();
        assert_eq!((group, opened.expose()), ([7; 32], &[171; 32][..]));
        fs::write(&secret, "battery staple\n").unwrap();
        let failure = load(&path, KeyKind::RootSigning, &keys, None).unwrap_err();
        assert_eq!(failure.exit, Exit::Refused);
        let hint = failure.hint.unwrap_or_default();
        assert!(hint.contains("--root-passphrase-file"), "{hint}");
        let own = drawer.path().join("own");
        fs::write(&own, "correct horse\n").unwrap();
        fs::set_permissions(&own, Permissions::from_mode(0o600)).unwrap();
        assert!(load(&path, KeyKind::RootSigning, &keys, Some(&own)).is_ok());
    }

    #[test]
    fn a_wrong_passphrase_is_said_of_the_file_that_people_know_and_of_where_it_came_from() {
        let base = tempfile::tempdir().unwrap();
        let mut directory = DataDir::create_or_open(base.path(), "D1").unwrap();
        let key = KeyFile {
            kind: KeyKind::RootSigning,
            group: [7; 32],
            secret: SecretBytes::copy_of(&[171; 32]),
        };
        let (path, next) = (directory.path("root.key"), directory.path(".root.key.next"));
        key_file::save(&path, &key).unwrap();
        let [old, new] = ["correct horse", "battery staple"].map(|text| {
            let file = base.path().join(text);
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
            KeyOptions {
                passphrase_file: Some(file),
                ..KeyOptions::default()
            }
        });
        let mut seal = |keys: &KeyOptions| {
            let passphrase = from_file(keys).unwrap().unwrap();
            directory.seal_keys(&passphrase, Cost::LEAST).unwrap();
            fs::read(&path).unwrap()
        };
        // As it is when the change was made and its last step was not.
        let before = seal(&old);
        let after = seal(&new);
        for (file, bytes) in [(&next, after), (&path, before)] {
            fs::write(file, bytes).unwrap();
            fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
        }
        let kind = KeyKind::RootSigning;
        assert!(load(&path, kind, &new, None).is_ok());
        let failure = load(&path, kind, &old, None).unwrap_err();
        assert!(!failure.sentence.contains(".next"), "{}", failure.sentence);
        let hint = failure.hint.unwrap_or_default();
        assert!(
            hint.contains("the new passphrase is the good one"),
            "{hint}"
        );

        fs::remove_file(&next).unwrap();
        let file = new.passphrase_file.as_deref();
        let failure = load(&path, kind, &old, file).unwrap_err();
        assert_eq!(failure.exit, Exit::Refused);
        let hint = failure.hint.unwrap_or_default();
        assert!(hint.contains("battery staple'"), "{hint}");
    }
}
