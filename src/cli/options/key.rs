//! Where the passphrase of the keys comes from, and what is to be done with key
//! files.

use std::path::PathBuf;

use super::super::args::key::{Key, KeyCommand, PatientKey, PatientKeyCommand};
use super::super::configuration::Configuration;
use super::super::exit::Failure;
use super::super::normalise::usage;
use super::value::{Environment, path, value};

/// Where the passphrase comes from if not from a person.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KeyOptions {
    /// The file that was named.
    pub passphrase_file: Option<PathBuf>,
    /// What the service manager hands over, if it does.
    pub credential: Option<PathBuf>,
    /// Whether keys are to lie plain, without a question.
    pub plain_keys: bool,
    /// What a further command needs to find the data directory and the identity
    /// in it.
    pub data_option: String,
}

/// What is to be done with key files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyTask {
    /// Change how keys are protected.
    Passwd {
        /// The file with the new passphrase, if it is not asked for.
        new: Option<PathBuf>,
        /// A single key file, if not those of the data directory.
        file: Option<PathBuf>,
        /// The file with the passphrase of a key that has one of its own.
        own: Option<PathBuf>,
    },
    /// Show how they are.
    Show,
}

impl KeyOptions {
    /// The same, knowing what a further command needs to find them.
    pub(super) fn found_by(mut self, data_option: &str) -> Self {
        data_option.clone_into(&mut self.data_option);
        self
    }

    /// Checks what was typed and is said elsewhere.
    ///
    /// # Errors
    /// A usage error.
    pub(super) fn new(
        said: &Configuration,
        passphrase_file: Option<String>,
        plain_keys: bool,
        environment: Environment<'_>,
    ) -> Result<Self, Failure> {
        let passphrase_file = said.option("passphrase-file", passphrase_file, path)?;
        // systemd.exec(5), LoadCredential=.
        let credential = environment("CREDENTIALS_DIRECTORY")
            .map(|directory| PathBuf::from(directory).join("passphrase"))
            .filter(|credential| credential.exists());
        Ok(Self {
            passphrase_file,
            credential,
            plain_keys,
            data_option: String::new(),
        })
    }
}

impl KeyTask {
    pub(super) fn new(args: Key, plain_keys: bool) -> Result<Self, Failure> {
        match args.command {
            KeyCommand::Show(_) => Ok(Self::Show),
            KeyCommand::Passwd(args) => Ok(Self::Passwd {
                new: new_passphrase(args.new_passphrase_file, plain_keys)?,
                file: file("--file", args.file)?,
                own: file("--root-passphrase-file", args.root_passphrase_file)?,
            }),
        }
    }

    /// A patient has no key that lies by itself.
    pub(super) fn of_patient(args: PatientKey, plain_keys: bool) -> Result<Self, Failure> {
        match args.command {
            PatientKeyCommand::Show(_) => Ok(Self::Show),
            PatientKeyCommand::Passwd(args) => Ok(Self::Passwd {
                new: new_passphrase(args.new_passphrase_file, plain_keys)?,
                file: None,
                own: None,
            }),
        }
    }
}

fn file(name: &str, typed: Option<String>) -> Result<Option<PathBuf>, Failure> {
    typed.map(|typed| value(name, &typed, path)).transpose()
}

fn new_passphrase(typed: Option<String>, plain_keys: bool) -> Result<Option<PathBuf>, Failure> {
    if plain_keys && typed.is_some() {
        return Err(usage(
            "--plain-keys and --new-passphrase-file exclude each other",
        ));
    }
    file("--new-passphrase-file", typed)
}
