//! Writing the file, which only grows.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::audit::head::Head;
use crate::audit::heads_file::read::open;
use crate::audit::heads_file::{HeadsFileError, HeadsFileFault, Record, json};
use crate::audit::papers::{Papers, Trust};
use crate::identity::certificate::{Serial, fingerprint};
use crate::random::OsRandom;

/// A file that heads are appended to. It is opened anew each time, so that it
/// may be moved away, and comes back with its disk.
#[derive(Debug)]
pub struct HeadsFile {
    path: PathBuf,
    papers: Papers,
}

/// What a file said when it was opened.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Known {
    /// The last head in it.
    pub newest: Option<Head>,
    /// Serial and state of each certificate that it names as stopped, with the
    /// signature of a doctor of this clinic.
    pub stopped: BTreeSet<(Serial, String)>,
}

impl HeadsFile {
    /// Opens the file, or makes it, and reads what it says. These papers stand
    /// in it from then on.
    ///
    /// # Errors
    /// [`HeadsFileError`] if it cannot be read or written, or if it belongs to
    /// another clinic.
    pub fn open(path: &Path, papers: Papers) -> Result<(Self, Known), HeadsFileError> {
        let file = Self {
            path: path.to_owned(),
            papers,
        };
        // Also shows that it can be written.
        file.append(&[])?;
        let mut known = Known::default();
        let mut is_named = false;
        let (mut everybody, mut stopped) = (vec![file.papers.clone()], Vec::new());
        for line in open(path)? {
            match line?.1 {
                Some(Record::Certificates(papers)) if papers.root != file.papers.root => {
                    return Err(HeadsFileError::new(path, HeadsFileFault::OtherClinic));
                }
                Some(Record::Certificates(papers)) => {
                    is_named |= papers == file.papers;
                    everybody.push(papers);
                }
                Some(Record::Head(head)) => known.newest = Some(head),
                Some(Record::Revocation(revocation)) => stopped.push(revocation),
                Some(Record::Other) | None => {}
            }
        }
        let trust = Trust::new(&fingerprint(&file.papers.root), &everybody, &mut OsRandom);
        stopped.retain(|line| {
            let is_signed = |trust: &Trust| trust.check_revocation(line).is_ok();
            trust.as_ref().is_some_and(is_signed)
        });
        let stopped = stopped.into_iter().map(|line| (line.serial, line.state));
        known.stopped.extend(stopped);
        if !is_named {
            file.append(&[Record::Certificates(file.papers.clone())])?;
        }
        Ok((file, known))
    }

    /// The doctor has these papers from now on: they stand in the file before
    /// what she signs with them.
    ///
    /// # Errors
    /// [`HeadsFileError`] if it cannot be written.
    pub fn renew(&mut self, papers: Papers) -> Result<(), HeadsFileError> {
        if papers != self.papers {
            self.append(&[Record::Certificates(papers.clone())])?;
            self.papers = papers;
        }
        Ok(())
    }

    /// Appends records, which are on the disk when this returns.
    ///
    /// # Errors
    /// [`HeadsFileError`]; some of the records may be in the file then.
    pub fn append(&self, records: &[Record]) -> Result<(), HeadsFileError> {
        self.try_append(records)
            .map_err(|error| HeadsFileError::new(&self.path, HeadsFileFault::Write(error)))
    }

    fn try_append(&self, records: &[Record]) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.path)?;
        let mut text = String::new();
        match last_byte(&mut file)? {
            None => text += &json(&Record::Certificates(self.papers.clone())),
            Some(b'\n') => {}
            // Somebody was interrupted here.
            Some(_) => text.push('\n'),
        }
        let is_new = text.len() > 1;
        text.extend(records.iter().map(json));
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        if is_new {
            let directory = self
                .path
                .parent()
                .filter(|path| !path.as_os_str().is_empty());
            File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(())
    }
}

fn last_byte(file: &mut File) -> io::Result<Option<u8>> {
    if file.metadata()?.len() == 0 {
        return Ok(None);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(Some(last[0]))
}
