//! `doctor audit verify`: looks at the database file itself, beside a running
//! server or without one. Of a copy no key is needed; the practice's own log is
//! held to its signing key and to the root that is noted beside it, since whoever
//! can write the database could put the certificates of a clinic of her own into
//! it.

use std::path::{Path, PathBuf};

use crate::audit::log_end;
use crate::audit::papers::Papers;
use crate::audit::verify::{Finding, HeadsFiles, Report, VerifyError, verify};
use crate::cli::doctor::audit::Office;
use crate::cli::doctor::{failed, setup_failed, store_failed, unexpected};
use crate::cli::exit::{Exit, Failure, print};
use crate::cli::normalise::usage;
use crate::cli::options::{DoctorOptions, Verification};
use crate::cli::output::{Form, Object};
use crate::cli::passphrase;
use crate::cli::text;
use crate::doctor::audit::Request;
use crate::doctor::seen;
use crate::doctor::setup::{self, SIGNING_KEY};
use crate::hex;
use crate::identity::certificate::{Fingerprint, fingerprint};
use crate::identity::data_dir;
use crate::identity::id::Identifier;
use crate::identity::key_file::KeyKind;
use crate::identity::keyring::Keyring;
use crate::identity::known_doctor::fingerprint_groups;
use crate::new_file::directory_of;
use crate::random::OsRandom;
use crate::store::{SqliteStore, Store};

/// Verifies a practice's log. A running server logs it; without one nothing is
/// written.
pub fn practice(
    options: &DoctorOptions,
    id: &Identifier,
    verification: &Verification,
) -> Result<(), Failure> {
    let office = Office::new(options, id);
    let logs = office.logs(verification.log.as_ref())?;
    let names: Vec<String> = logs.into_iter().flatten().collect();
    if !names.is_empty() {
        return of_members(&office, &names, verification);
    }
    office.ask_server(&Request::Verify { log: None })?;
    let location =
        data_dir::location(&options.data, id.as_str()).map_err(|error| failed(&error))?;
    let mut heads = verification.heads.clone();
    heads.extend(options.audit_heads.clone());
    let open = || {
        let store = setup::look_at_store(&location, &options.store, id);
        store.map_err(|error| setup_failed(&error))
    };
    let pinned = match verification.root.as_deref() {
        Some(root) => Pinned::Root(root),
        None => {
            let keyring = passphrase::keyring(&location, &options.keys)?;
            Pinned::Key(location.join(SIGNING_KEY), keyring)
        }
    };
    check(options.form, &heads, open, &pinned)
}

/// Verifies the logs of members of the clinic, each by its owner's certificate
/// under the root of her own who asks. That is logged first.
fn of_members(
    office: &Office<'_>,
    names: &[String],
    verification: &Verification,
) -> Result<(), Failure> {
    if names.len() > 1 && !verification.heads.is_empty() {
        return Err(usage(
            "--heads needs --doctor: it holds the heads of one log",
        ));
    }
    for name in names {
        let log = Some(name.clone());
        office.ask(Request::Verify { log })?;
    }
    let (options, id) = (office.options, office.id);
    let location = data_dir::location(&options.data, id.as_str()).map_err(|e| failed(&e))?;
    let store = setup::look_at_store(&location, &options.store, id);
    let store = store.map_err(|error| setup_failed(&error))?;
    let root = match &verification.root {
        Some(root) => root.clone(),
        None => own_root(office, &*store, &location)?.to_vec(),
    };
    let files = HeadsFiles::open(&verification.heads).map_err(|error| failed(&error))?;
    let clinic = store.clinic().ok_or_else(unexpected)?;
    let mut findings = 0;
    for name in names {
        let log = clinic.seen_by(name);
        let mut papers = Papers::stored(&*log).map_err(|error| store_failed(&error))?;
        papers.whose = name.parse().ok();
        let report = match papers.whose {
            Some(_) => verify(&*log, papers, &files, &root, &mut OsRandom),
            // Of nobody in particular, any doctor's copy would fit.
            None => Ok(Report {
                findings: vec![Finding::NoName],
                ..Report::default()
            }),
        };
        let mut report = report.map_err(|error| verify_failed(&error))?;
        let ended = log_end::of(&*store, name).map_err(|error| store_failed(&error))?;
        for each in &ended {
            let finding = each.check(&*log).map_err(|error| store_failed(&error))?;
            report.findings.extend(finding);
        }
        findings += report.findings.len();
        let mut said = vec![format!("Log of {}:", text::clean(name))];
        said.extend(checked(&report));
        said.extend(ended.iter().map(|each| text::clean(&each.note())));
        options
            .form
            .print(&said.join("\n"), &objects(&report, &root, Some(name)))?;
    }
    if options.form == Form::People {
        print(&format!("{}\n", left_open(verification, &root).join("\n")))?;
    }
    verdict(findings)
}

/// What verifying the logs of members does not tell.
fn left_open(verification: &Verification, root: &[u8]) -> Vec<String> {
    let mut said = Vec::new();
    if verification.heads.is_empty() {
        said.push(ONLY_HEADS.to_owned());
    }
    said.push(
        "Of whom log and row among the staff were taken away together is not among these: compare \
         the names with those who work in the clinic."
            .to_owned(),
    );
    said.push(format!("The clinic's root is {}.", groups(root)));
    if verification.root.is_none() {
        said.push(
            "It was taken from what is noted in the directory here, or else from the certificate \
             of the signing.key here: compare it with the clinic's papers."
                .to_owned(),
        );
    }
    said
}

/// The root under which her own certificate is, which her own key belongs to.
fn own_root(
    office: &Office<'_>,
    store: &dyn Store,
    location: &Path,
) -> Result<Fingerprint, Failure> {
    if let Some(books) = office.books.get() {
        return Ok(books.identity().root.fingerprint());
    }
    let mut papers = Papers::stored(store).map_err(|error| store_failed(&error))?;
    let keyring = passphrase::keyring(location, &office.options.keys)?;
    hold_to_key(&mut papers, &location.join(SIGNING_KEY), &keyring)?;
    Ok(fingerprint(&papers.root))
}

/// Her key is public, and whoever writes to the database can certify it under a
/// root of her own: the root is held to the one that was noted beside it, too.
fn hold_to_key(papers: &mut Papers, path: &Path, keyring: &Keyring) -> Result<(), Failure> {
    let root = fingerprint(&papers.root);
    seen::check_root(directory_of(path), &root).map_err(|error| setup_failed(&error))?;
    let loaded = keyring.load(path, KeyKind::DoctorSigning);
    let (group, secret) = loaded.map_err(|error| failed(&error))?;
    match papers.hold_to((&group, &secret), &mut OsRandom) {
        true => Ok(()),
        false => Err(damaged(
            "the certificates in the database do not belong to this practice's signing.key",
        )),
    }
}

fn verify_failed(error: &VerifyError) -> Failure {
    match error {
        VerifyError::Store(error) => store_failed(error),
        VerifyError::HeadsFile(error) => failed(error),
    }
}

/// Verifies the log in a copy of a database.
pub fn copy(form: Form, verification: &Verification) -> Result<(), Failure> {
    let path = verification.database.clone().unwrap_or_default();
    let pinned = Pinned::Root(verification.root.as_deref().unwrap_or_default());
    let open = || -> Result<Box<dyn Store>, Failure> {
        let store = SqliteStore::open_copy(&path).map_err(|error| store_failed(&error))?;
        Ok(Box::new(store))
    };
    check(form, &verification.heads, open, &pinned)
}

/// What the heads are held to.
enum Pinned<'a> {
    /// The beginning of the root's fingerprint.
    Root(&'a [u8]),
    /// The root of the certificate that the key in this file belongs to, which
    /// this keyring opens.
    Key(PathBuf, Keyring),
}

fn check(
    form: Form,
    heads: &[PathBuf],
    open: impl FnOnce() -> Result<Box<dyn Store>, Failure>,
    pinned: &Pinned<'_>,
) -> Result<(), Failure> {
    // The files first: what is written meanwhile is in the database, too.
    let files = HeadsFiles::open(heads).map_err(|error| failed(&error))?;
    let store = open()?;
    let mut papers = Papers::stored(&*store).map_err(|error| store_failed(&error))?;
    let own_root = fingerprint(&papers.root);
    let root = match pinned {
        Pinned::Root(root) => root,
        Pinned::Key(path, keyring) => {
            hold_to_key(&mut papers, path, keyring)?;
            &own_root[..]
        }
    };
    let report =
        verify(&*store, papers, &files, root, &mut OsRandom).map_err(|e| verify_failed(&e))?;
    let people = people(&report, heads, root, pinned);
    form.print(&people, &objects(&report, root, None))?;
    verdict(report.findings.len())
}

fn verdict(findings: usize) -> Result<(), Failure> {
    match findings {
        0 => Ok(()),
        1 => Err(damaged("something is wrong with the audit log")),
        count => Err(damaged(&format!(
            "{count} things are wrong with the audit log"
        ))),
    }
}

fn damaged(sentence: &str) -> Failure {
    Failure::new(Exit::Integrity, sentence).hint(
        "keep the database and every file of heads as they are, and compare them with backups",
    )
}

/// What was found, in sentences.
fn checked(report: &Report) -> Vec<String> {
    let mut lines: Vec<String> = report
        .findings
        .iter()
        .map(|finding| text::sentence(&finding.to_string()))
        .collect();
    if report.cut_short {
        lines.push("There is more, and it was not looked at.".to_owned());
    }
    let Report {
        entries,
        last,
        heads: fitting,
        vouched,
        ..
    } = report;
    lines.push(format!(
        "{entries} entries were checked, up to number {last}; {fitting} signed heads fit them."
    ));
    if report.findings.is_empty() {
        lines.push(format!(
            "Nothing was changed, removed, inserted or moved up to entry {vouched}."
        ));
    }
    if vouched < last {
        lines.push(format!(
            "No head vouches yet for what comes after number {vouched}."
        ));
    }
    lines
}

/// What the database alone does not show.
const ONLY_HEADS: &str = "Whether log and heads were written anew together, with the doctor's \
     key, or their newest were taken away, only heads that were kept elsewhere can show: --heads \
     FILE.";

fn people(report: &Report, heads: &[PathBuf], root: &[u8], pinned: &Pinned<'_>) -> String {
    let mut lines = checked(report);
    if heads.is_empty() {
        lines.push(ONLY_HEADS.to_owned());
    }
    lines.push(format!("The clinic's root is {}.", groups(root)));
    if let Pinned::Key(..) = pinned {
        lines.push(
            "It was taken from the certificate of this practice's signing.key: compare it with \
             the clinic's papers."
                .to_owned(),
        );
    }
    lines.join("\n")
}

fn groups(root: &[u8]) -> String {
    let mut padded = [0; 32];
    for (to, from) in padded.iter_mut().zip(root) {
        *to = *from;
    }
    fingerprint_groups(&padded)
}

fn objects(report: &Report, root: &[u8], log: Option<&str>) -> Vec<Object> {
    let findings = report.findings.iter().map(|finding| {
        Object::new("audit_finding")
            .with("kind", finding.word())
            .with("entry", finding.entry())
            .with("sentence", finding.to_string())
            .with("log", log)
    });
    let verified = Object::new("audit_verified")
        .with("entries", report.entries)
        .with("last", report.last)
        .with("heads", report.heads)
        .with("vouched", report.vouched)
        .with("findings", report.findings.len())
        .with("root", hex::encode(root))
        .with("log", log);
    findings.chain([verified]).collect()
}
