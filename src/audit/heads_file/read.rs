//! Reading the file, a line at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Take};
use std::path::{Path, PathBuf};

use crate::audit::head::Head;
use crate::audit::heads_file::line::{LineFault, parse};
use crate::audit::heads_file::{HeadsFileError, HeadsFileFault, Record};
use crate::audit::papers::Papers;
use crate::audit::revocation::Revocation;

/// The longest line, in bytes: certificates of the largest group need a
/// fraction of it.
const MAX_LINE: u64 = 1 << 18;

/// The file's lines, as far as it went when it was opened.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    len: u64,
    source: Take<BufReader<File>>,
    number: u64,
}

/// Opens the file. What is appended later is not read.
///
/// # Errors
/// [`HeadsFileError`] if it cannot be read.
pub fn open(path: &Path) -> Result<Lines, HeadsFileError> {
    let opened = File::open(path).and_then(|file| {
        let len = file.metadata()?.len();
        Ok((file, len))
    });
    let (file, len) = opened.map_err(|error| unreadable(path, error))?;
    Ok(Lines {
        source: BufReader::new(file).take(len),
        path: path.to_owned(),
        len,
        number: 0,
    })
}

fn unreadable(path: &Path, error: io::Error) -> HeadsFileError {
    HeadsFileError::new(path, HeadsFileFault::Read(error))
}

impl Lines {
    /// The same lines once more, from the first one on.
    ///
    /// # Errors
    /// [`HeadsFileError`] if the file cannot be read any more.
    pub fn again(&self) -> Result<Self, HeadsFileError> {
        let file = File::open(&self.path).map_err(|error| unreadable(&self.path, error))?;
        Ok(Self {
            source: BufReader::new(file).take(self.len),
            path: self.path.clone(),
            len: self.len,
            number: 0,
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next line's number, from 1 on, and its record; none for one that
    /// cannot be understood.
    fn next_line(&mut self) -> io::Result<Option<(u64, Option<Record>)>> {
        loop {
            let mut line = Vec::new();
            let read = (&mut self.source)
                .take(MAX_LINE)
                .read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if line.last() != Some(&b'\n') && line.len() as u64 == MAX_LINE {
                self.skip_line()?;
                return Ok(Some((self.number, None)));
            }
            match parse(&line) {
                Ok(record) => return Ok(Some((self.number, Some(record)))),
                Err(LineFault::Malformed) => return Ok(Some((self.number, None))),
                Err(LineFault::Torn) => {}
            }
        }
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.source.fill_buf()?;
            if buffer.is_empty() {
                return Ok(());
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(buffer.len(), |end| end + 1);
            self.source.consume(used);
            if end.is_some() {
                return Ok(());
            }
        }
    }
}

impl Iterator for Lines {
    type Item = Result<(u64, Option<Record>), HeadsFileError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_line().transpose()?;
        Some(next.map_err(|error| unreadable(&self.path, error)))
    }
}

/// All that a file says.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Contents {
    /// Certificates to check the heads with. They were not checked.
    pub papers: Vec<Papers>,
    /// Heads, the oldest first. They were not checked.
    pub heads: Vec<Head>,
    /// Certificates that were stopped, in the order in which that was noticed.
    /// They were not checked.
    pub revocations: Vec<Revocation>,
    /// Numbers of the lines that cannot be understood.
    pub unreadable: Vec<u64>,
}

/// Reads the whole file.
///
/// # Errors
/// [`HeadsFileError`] if it cannot be read.
pub fn read(path: &Path) -> Result<Contents, HeadsFileError> {
    let mut contents = Contents::default();
    for line in open(path)? {
        match line? {
            (_, Some(Record::Certificates(papers))) => contents.papers.push(papers),
            (_, Some(Record::Head(head))) => contents.heads.push(head),
            (_, Some(Record::Revocation(revocation))) => contents.revocations.push(revocation),
            (_, Some(Record::Other)) => {}
            (number, None) => contents.unreadable.push(number),
        }
    }
    Ok(contents)
}
