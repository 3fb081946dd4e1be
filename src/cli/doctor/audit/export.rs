//! `doctor audit export`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::cli::doctor::audit::{Office, object, unexpected};
use crate::cli::exit::{Exit, Failure, print};
use crate::cli::output::Object;
use crate::doctor::audit::{Answer, Purpose, Request};
use crate::store::AuditFilter;

/// Where the export goes.
enum Target<'a> {
    Stdout,
    File(&'a Path, BufWriter<File>),
}

impl Target<'_> {
    fn write(&mut self, text: &str) -> Result<(), Failure> {
        match self {
            Self::Stdout => print(text),
            Self::File(path, file) => file
                .write_all(text.as_bytes())
                .map_err(|error| unwritable(path, &error)),
        }
    }

    fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Stdout => Ok(()),
            Self::File(path, file) => file
                .into_inner()
                .map_err(io::IntoInnerError::into_error)
                .and_then(|file| file.sync_all())
                .map_err(|error| unwritable(path, &error)),
        }
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let sentence = format!("cannot write '{}': {error}", path.display());
    let failure = Failure::new(Exit::Failure, sentence);
    match error.kind() {
        io::ErrorKind::AlreadyExists => failure.hint("name a file that does not exist yet"),
        _ => failure,
    }
}

/// Writes the log to a new file, or to standard output. A file that cannot be
/// finished is removed.
pub fn run(
    office: &Office<'_>,
    log: Option<&str>,
    file: Option<&Path>,
    filter: &AuditFilter,
) -> Result<(), Failure> {
    let Some(path) = file else {
        return write(office, log, filter, Target::Stdout).map(drop);
    };
    let opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| unwritable(path, &error))?;
    let target = Target::File(path, BufWriter::new(opened));
    let (entries, last) = write(office, log, filter, target).inspect_err(|_| {
        let _ = fs::remove_file(path);
    })?;
    let shown = path.display().to_string();
    let people = format!(
        "{entries} entries, up to number {last}, and the signed head of that one are in '{shown}'."
    );
    let exported = Object::new("audit_exported")
        .with("file", shown)
        .with("entries", entries)
        .with("last", last);
    office.options.form.print(&people, &[exported])
}

/// Gives how many entries were written, and the number of the last one.
fn write(
    office: &Office<'_>,
    log: Option<&str>,
    filter: &AuditFilter,
    mut target: Target<'_>,
) -> Result<(u64, u64), Failure> {
    let begin = Request::Begin {
        log: log.map(ToOwned::to_owned),
        purpose: Purpose::Export,
        filter: filter.clone(),
        newest: None,
    };
    let Answer::Begun { first, last, head } = office.ask(begin)? else {
        return Err(unexpected());
    };
    let mut entries = 0;
    office.pages(log, filter, (first, last), |rows| {
        entries += rows.len() as u64;
        let lines: Vec<_> = rows
            .iter()
            .map(|row| object(row, log).json() + "\n")
            .collect();
        target.write(&lines.concat())
    })?;
    target.write(&head.unwrap_or_default())?;
    target.finish()?;
    Ok((entries, last))
}
