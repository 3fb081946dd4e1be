//! The audit log of a running server: what the server tells goes into it, its
//! newest link is signed from time to time, and signed heads are copied to a
//! file that may lie elsewhere. Disks may be slow, so a thread of its own does
//! that.

mod copy;
mod entries;
mod heads;
#[cfg(test)]
mod tests;

use std::fmt;
use std::mem;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::audit::head::{HEAD_AFTER, Head};
use crate::audit::heads_file::{HeadsFile, HeadsFileError};
use crate::audit::papers::Papers;
use crate::audit::{Action, Entry};
use crate::doctor::event::Event;
use crate::doctor::practice::{Practice, SERVER};
use crate::doctor::shared::{Settings, Shared};
use crate::store::{StoreError, is_away};

pub(super) use entries::entry_of;
pub use heads::{log_and_sign, sign_head};

use copy::Copy;

/// How often it is looked whether there is something to do.
const TICK: Duration = Duration::from_millis(200);

/// Why the log cannot be kept.
#[derive(Debug)]
pub enum AuditLogError {
    /// The store.
    Store(StoreError),
    /// The file of heads.
    HeadsFile(HeadsFileError),
}

impl fmt::Display for AuditLogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "{error}"),
            Self::HeadsFile(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for AuditLogError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::HeadsFile(error) => Some(error),
        }
    }
}

impl From<StoreError> for AuditLogError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<HeadsFileError> for AuditLogError {
    fn from(error: HeadsFileError) -> Self {
        Self::HeadsFile(error)
    }
}

/// What a server does for its log.
pub(super) struct Keeper {
    copy: Option<Copy>,
    /// When the last head was signed, and for which entry.
    signed: (Instant, u64),
    /// That head, which need not be checked again.
    own: Head,
    head_every: Duration,
    retry_every: Duration,
    /// When the store, if it could not be used, and the file are looked at
    /// next.
    sign_at: Instant,
    copy_at: Instant,
    /// Whether it was told that something does not work.
    told: bool,
    /// Whether it was told that somebody else's heads are in the store.
    doubted: bool,
    /// Whether to look for those, as at the start and with every head.
    look: bool,
}

impl Keeper {
    /// Logs the start, signs a head and copies it. Gives a sentence too if the
    /// file of heads tells of more than there is.
    ///
    /// # Errors
    /// [`AuditLogError`]: a server whose log cannot be kept does not start.
    pub(super) fn start(
        practice: &Practice,
        settings: &Settings,
        address: SocketAddr,
    ) -> Result<(Self, Option<String>), AuditLogError> {
        let (mut copy, mut notice) = (None, None);
        if let Some(path) = &settings.audit_heads {
            let papers = Papers::of(&practice.identity());
            let (file, known) = HeadsFile::open(path, papers)?;
            let opened = Copy::new(file, known, practice)?;
            if let Some(number) = opened.unknown {
                notice = Some(format!(
                    "the file of audit heads '{}' has a head of entry {number} that this log \
                     does not fit: an older backup was restored, or the log was changed; check \
                     it: doctor audit verify",
                    path.display()
                ));
            }
            copy = Some(opened);
        }
        let version = env!("CARGO_PKG_VERSION");
        let detail = format!("telemed {version} on {address}");
        let entry = Entry::new(practice.now(), SERVER, Action::Started, "", &detail);
        let head = log_and_sign(practice, &[entry])?;
        let now = Instant::now();
        let mut keeper = Self {
            copy,
            signed: (now, head.number),
            own: head,
            head_every: settings.timing.audit_heads,
            retry_every: settings.timing.dates,
            sign_at: now,
            copy_at: now,
            told: false,
            doubted: false,
            look: true,
        };
        keeper.copy(practice)?;
        Ok((keeper, notice))
    }

    /// Looks after the log until the server stops, and once more then.
    pub(super) fn run(mut self, shared: &Shared) {
        while !shared.is_stopping() {
            thread::park_timeout(TICK);
            let done = self.look_after(&shared.practice, Instant::now());
            self.tell(shared, done);
            if mem::take(&mut self.look) {
                self.doubt(shared);
            }
        }
        // What goes wrong is told by the ledger itself.
        let _ = shared.ledger.settle();
        let practice = &shared.practice;
        let entry = Entry::new(practice.now(), SERVER, Action::Stopped, "", "");
        let done = log_and_sign(practice, &[entry])
            .map_err(AuditLogError::from)
            .and_then(|_| self.copy(practice));
        self.told = false;
        self.tell(shared, done);
    }

    /// Tells, once, if there is something in the store that was not put there
    /// by this program.
    fn doubt(&mut self, shared: &Shared) {
        let practice = &shared.practice;
        let skipped = self.copy.as_ref().is_some_and(|copy| copy.skipped);
        let found = match heads::doubt(practice, Some(&self.own)) {
            Ok(None) if skipped => Some(heads::sentence("a head that is not the doctor's")),
            // What cannot be read is told by who needs it.
            found => found.ok().flatten(),
        };
        if let Some(sentence) = found
            && !self.doubted
        {
            self.doubted = true;
            shared.tell(Event::Trouble(sentence));
        }
    }

    /// Tells what does not work, once.
    fn tell(&mut self, shared: &Shared, done: Result<(), AuditLogError>) {
        match done {
            Ok(()) => {}
            // The next look finds it back.
            Err(error) if is_away(&error) => {}
            Err(error) if !self.told => {
                self.told = true;
                shared.tell(Event::Trouble(error.to_string()));
            }
            Err(_) => {}
        }
    }

    fn look_after(&mut self, practice: &Practice, now: Instant) -> Result<(), AuditLogError> {
        if now >= self.sign_at {
            self.sign_at = now + self.retry_every;
            let last = practice.store.audit_head()?.map_or(0, |(number, _)| number);
            let (at, number) = self.signed;
            let is_old = last > number && now.duration_since(at) >= self.head_every;
            if is_old || last >= number.saturating_add(HEAD_AFTER) {
                self.sign(practice)?;
                self.look = true;
                self.copy_at = now;
            }
            self.sign_at = now + TICK;
        }
        if now >= self.copy_at {
            self.copy_at = now + self.retry_every;
            self.copy(practice)?;
            self.told = false;
        }
        Ok(())
    }

    fn sign(&mut self, practice: &Practice) -> Result<(), AuditLogError> {
        if let Some(head) = sign_head(practice)? {
            self.signed = (Instant::now(), head.number);
            self.own = head;
        }
        Ok(())
    }

    fn copy(&mut self, practice: &Practice) -> Result<(), AuditLogError> {
        self.copy
            .as_mut()
            .map_or(Ok(()), |copy| copy.update(practice))
    }
}
