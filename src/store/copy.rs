//! Copying a practice from one store into another, row by row: to move it, and
//! to back up one that is not in a file.
//!
//! Rows are copied in the order of their keys, each batch in one transaction: how
//! far a copy is can be seen from what is there, so that one that was cut short
//! goes on where it stopped. Then everything is read back and compared. Until the
//! end a fact says that the target is a copy that is being made; nobody opens it
//! then.

mod file;
mod tables;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

pub(super) use file::FileEnd;
pub(super) use tables::{COUNTED, TABLES};

#[cfg(feature = "postgres")]
use super::PostgresAddress;
use super::{Place, StoreError, StoreFault, fact};

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Number,
    Bytes,
    Text,
    Flag,
}

/// Whose the rows of a table are, where several doctors share a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    /// The clinic's; nothing says who made one.
    Nobody,
    /// The clinic's; who made one stands beside it.
    Maker,
    /// Each doctor's own.
    Doctor,
    /// Depends on the name of the fact.
    Fact,
}

/// A table, as both kinds of store have it.
#[derive(Debug)]
pub(super) struct Table {
    pub name: &'static str,
    /// The columns, those of the primary key first.
    pub columns: &'static [(&'static str, Kind)],
    /// How many these are.
    pub key: usize,
    pub owner: Owner,
    /// How many rows to copy at once.
    pub batch: usize,
}

/// A value of a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Value {
    Null,
    Number(i64),
    Bytes(Vec<u8>),
    Text(String),
    Flag(bool),
}

/// The values of its columns.
pub(super) type Row = Vec<Value>;

/// A store, as a copy sees it.
pub(super) trait End {
    /// Rows behind this key in the order of keys, at most a batch.
    fn rows(&mut self, table: &Table, after: Option<&[Value]>) -> Result<Vec<Row>, StoreFault>;
    /// The key of the last row.
    fn last_key(&mut self, table: &Table) -> Result<Option<Row>, StoreFault>;
    fn count(&mut self, table: &Table) -> Result<u64, StoreFault>;
    /// Adds rows in one transaction.
    fn add(&mut self, table: &Table, rows: &[Row]) -> Result<(), StoreFault>;
    /// A fact about the copy.
    fn mark(&mut self, name: &str) -> Result<Option<Vec<u8>>, StoreFault>;
    /// Gives it another value, or takes it away.
    fn set_mark(&mut self, name: &str, value: Option<&[u8]>) -> Result<(), StoreFault>;
    /// The last numbers that were given in [`COUNTED`].
    fn counters(&mut self) -> Result<[i64; 2], StoreFault>;
    fn set_counters(&mut self, last: [i64; 2]) -> Result<(), StoreFault>;
    /// Deletes all rows.
    fn clear(&mut self) -> Result<(), StoreFault>;
    /// Whether there is something that a copy cannot take along, in a sentence.
    fn objection(&mut self) -> Result<Option<String>, StoreFault>;
    /// Where it is.
    fn place(&self) -> Place;
}

/// A store to copy from or to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CopyPlace {
    /// A `SQLite` file.
    File(PathBuf),
    /// A database on a server.
    #[cfg(feature = "postgres")]
    Server(Box<PostgresAddress>),
}

impl CopyPlace {
    /// The file, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            #[cfg(feature = "postgres")]
            Self::Server(_) => None,
        }
    }
}

/// What a copy does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// It writes rows.
    Copying,
    /// It reads them back.
    Comparing,
}

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CopyProgress {
    /// What it does.
    pub phase: Phase,
    /// How many rows that was done with.
    pub done: u64,
    /// How many there are.
    pub total: u64,
}

/// What was copied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copied {
    /// The tables with their rows.
    pub tables: Vec<(&'static str, u64)>,
    /// Rows that an earlier attempt had copied.
    pub earlier: u64,
}

/// Why a practice was not copied. The source is as it was; the target is of no
/// use, and the same copy can go on with it.
#[derive(Debug)]
pub enum CopyError {
    /// One of the two stores.
    Store(StoreError),
    /// There is no practice in the source.
    NothingThere(Place),
    /// The source was moved elsewhere.
    Moved(Place, String),
    /// The target holds something else.
    NotEmpty(Place),
    /// Another practice is being copied to the target.
    OtherPractice(Place),
    /// Something that a copy cannot take along, or somebody who is at work there.
    Objection(Place, String),
    /// What was written is not what is read.
    Differs(Place, &'static str),
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "{error}"),
            Self::NothingThere(place) => write!(f, "there is no practice in '{place}' to copy"),
            Self::Moved(place, to) => {
                write!(f, "the practice in '{place}' was moved to {to} already")
            }
            Self::NotEmpty(place) => write!(
                f,
                "'{place}' is not empty, and what is in it is not from this copy: nothing was \
                 changed; name a new database, or move the file away"
            ),
            Self::OtherPractice(place) => write!(
                f,
                "the copy of another practice was begun in '{place}': nothing was changed; name a \
                 new database, or, if that copy is of no use any more, empty it first"
            ),
            Self::Objection(place, sentence) => write!(f, "'{place}' {sentence}"),
            Self::Differs(place, table) => write!(
                f,
                "the copy in '{place}' is not the same as the source, in the table '{table}': \
                 it is not used; empty it and copy again"
            ),
        }
    }
}

impl std::error::Error for CopyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

/// Moves a doctor's practice. `to_name` is what the source says from then on about
/// where it is.
///
/// # Errors
/// [`CopyError`].
pub fn move_practice(
    (from, to): (&CopyPlace, &CopyPlace),
    doctor: &str,
    to_name: &str,
    tell: &mut dyn FnMut(CopyProgress),
) -> Result<Copied, CopyError> {
    with_end(from, doctor, Role::Source, &mut |source| {
        // Before anything is made at the target.
        let origin = origin_of(source)?;
        let moved = at(source, |end| end.mark(fact::MOVED_TO))?;
        if let Some(other) = moved.as_ref().filter(|other| **other != to_name.as_bytes()) {
            let other = String::from_utf8_lossy(other).into_owned();
            return Err(CopyError::Moved(source.place(), other));
        }
        if let Some(sentence) = at(source, |end| end.objection())? {
            return Err(CopyError::Objection(source.place(), sentence));
        }
        with_end(to, doctor, Role::Target, &mut |target| {
            match (begin(target, &origin), &moved) {
                (Err(CopyError::NotEmpty(_)), Some(_)) => {
                    let to = to_name.to_owned();
                    return Err(CopyError::Moved(source.place(), to));
                }
                (begun, _) => begun?,
            }
            let copied = copy_all(source, target, tell)?;
            compare_all(source, target, tell)?;
            Ok(copied)
        })
    })
    .and_then(|copied| {
        // From here on the source is of the past, and then the target of use:
        // never both. Cut short in between, the same command ends it.
        with_end(from, doctor, Role::Marked, &mut |source| {
            at(source, |end| {
                end.set_mark(fact::MOVED_TO, Some(to_name.as_bytes()))
            })
        })?;
        with_end(to, doctor, Role::Target, &mut |target| {
            at(target, |end| end.set_mark(fact::COPYING, None))
        })?;
        Ok(copied)
    })
}

/// What a store is opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    /// To be read as it is at one moment.
    Source,
    /// To be marked as moved.
    Marked,
    /// To be written.
    Target,
}

#[cfg_attr(
    not(feature = "postgres"),
    expect(unused_variables, reason = "a file is nobody's view of it")
)]
fn with_end<T>(
    place: &CopyPlace,
    doctor: &str,
    role: Role,
    work: &mut dyn FnMut(&mut dyn End) -> Result<T, CopyError>,
) -> Result<T, CopyError> {
    match place {
        CopyPlace::File(path) => {
            let opened = match role {
                Role::Source => FileEnd::source(path),
                Role::Marked | Role::Target => FileEnd::target(path),
            };
            work(&mut opened.map_err(CopyError::Store)?)
        }
        #[cfg(feature = "postgres")]
        CopyPlace::Server(address) => {
            let moment = role == Role::Source;
            super::postgres::copy::with(address, doctor, moment, |end| work(end))
        }
    }
}

fn at<T>(
    end: &mut dyn End,
    work: impl FnOnce(&mut dyn End) -> Result<T, StoreFault>,
) -> Result<T, CopyError> {
    work(end).map_err(|fault| CopyError::Store(StoreError::new(end.place(), fault)))
}

/// What tells this state of this practice from any other: its root certificate
/// and the end of its audit log, to which every start of a server adds.
fn origin_of(source: &mut dyn End) -> Result<Vec<u8>, CopyError> {
    let root = at(source, |end| end.mark(fact::ROOT_CERTIFICATE))?;
    let Some(mut origin) = root else {
        return Err(CopyError::NothingThere(source.place()));
    };
    let entries = TABLES.iter().find(|table| table.name == "audit_entry");
    if let Some(table) = entries
        && let Some(key) = at(source, |end| end.last_key(table))?
        && let Some(Value::Number(number)) = key.first()
    {
        origin.extend(number.to_be_bytes());
    }
    Ok(origin)
}

/// Whether two are states of one practice: they begin with its root certificate,
/// which is longer than the number that may follow.
fn are_of_one(begun: &[u8], origin: &[u8]) -> bool {
    let shorter = begun.len().min(origin.len());
    let root = shorter.saturating_sub(size_of::<i64>());
    begun.get(..root) == origin.get(..root)
}

/// Takes an empty target, or one that this copy has begun with. What was begun
/// with another state of the practice is thrown away.
fn begin(target: &mut dyn End, origin: &[u8]) -> Result<(), CopyError> {
    if let Some(begun) = at(target, |end| end.mark(fact::COPYING))? {
        if !are_of_one(&begun, origin) {
            return Err(CopyError::OtherPractice(target.place()));
        }
        if begun != origin {
            at(target, |end| end.clear())?;
        }
    } else {
        for table in TABLES {
            if at(target, |end| end.count(table))? > 0 {
                return Err(CopyError::NotEmpty(target.place()));
            }
        }
        if let Some(sentence) = at(target, |end| end.objection())? {
            return Err(CopyError::Objection(target.place(), sentence));
        }
    }
    at(target, |end| end.set_mark(fact::COPYING, Some(origin)))
}

fn copy_all(
    source: &mut dyn End,
    target: &mut dyn End,
    tell: &mut dyn FnMut(CopyProgress),
) -> Result<Copied, CopyError> {
    let mut tables = Vec::new();
    let (mut earlier, mut total) = (0, 0);
    for table in TABLES {
        let count = at(source, |end| end.count(table))?;
        tables.push((table.name, count));
        total += count;
        earlier += at(target, |end| end.count(table))?;
    }
    let mut done = earlier;
    for table in TABLES {
        copy_table(source, target, table, &mut |rows| {
            done += rows;
            let phase = Phase::Copying;
            tell(CopyProgress { phase, done, total });
            true
        })?;
    }
    let counters = at(source, |end| end.counters())?;
    at(target, |end| end.set_counters(counters))?;
    Ok(Copied { tables, earlier })
}

/// Copies what the target does not have yet. False if it was not to go on.
fn copy_table(
    source: &mut dyn End,
    target: &mut dyn End,
    table: &Table,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> Result<bool, CopyError> {
    let mut after = at(target, |end| end.last_key(table))?;
    loop {
        let rows = at(source, |end| end.rows(table, after.as_deref()))?;
        let Some(last) = rows.last() else {
            return Ok(true);
        };
        at(target, |end| end.add(table, &rows))?;
        after = Some(last[..table.key].to_vec());
        if !go_on(rows.len() as u64) {
            return Ok(false);
        }
    }
}

/// Copies everything into a target that is thrown away if that fails. False if
/// it was not to go on.
#[cfg(feature = "postgres")]
pub(super) fn copy_once(
    source: &mut dyn End,
    target: &mut dyn End,
    go_on: &dyn Fn() -> bool,
) -> Result<bool, CopyError> {
    for table in TABLES {
        if !go_on() || !copy_table(source, target, table, &mut |_| go_on())? {
            return Ok(false);
        }
    }
    let counters = at(source, |end| end.counters())?;
    at(target, |end| end.set_counters(counters))?;
    Ok(true)
}

/// Reads all rows of both and compares them.
fn compare_all(
    source: &mut dyn End,
    target: &mut dyn End,
    tell: &mut dyn FnMut(CopyProgress),
) -> Result<(), CopyError> {
    let (mut done, mut total) = (0, 0);
    for table in TABLES {
        total += at(source, |end| end.count(table))?;
    }
    for table in TABLES {
        let mut after: Option<Row> = None;
        loop {
            let rows = at(source, |end| end.rows(table, after.as_deref()))?;
            let copies = at(target, |end| end.rows(table, after.as_deref()))?;
            if rows != copies {
                return Err(CopyError::Differs(target.place(), table.name));
            }
            let Some(last) = rows.last() else { break };
            after = Some(last[..table.key].to_vec());
            done += rows.len() as u64;
            let phase = Phase::Comparing;
            tell(CopyProgress { phase, done, total });
        }
    }
    if at(source, |end| end.counters())? != at(target, |end| end.counters())? {
        return Err(CopyError::Differs(target.place(), "counter"));
    }
    Ok(())
}
