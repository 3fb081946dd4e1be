//! The thread that writes to the disk what comes in crowds: receipts,
//! confirmations, messages from patients, entries of the audit log.
//!
//! A commit takes as long as the disk needs, for one change as for a thousand.
//! So the ledger takes everything that has queued up while the last commit ran
//! and commits it in one transaction, in the order in which it came. Whoever
//! writes says what is to be done once it is on the disk: nothing is shown or
//! answered before.

mod kept;
mod sendings;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::audit::Entry;
use crate::store::messages::{Change, Outcome};
use crate::store::{Store, StoreError, StoreFault, is_away};

use kept::Kept;
use sendings::Sendings;

/// How often it is told that the store cannot be written.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// So many changes at once are a crowd.
const CROWD: usize = 16;
/// How long more of a crowd is waited for at a time, as long as more comes.
const PAUSE: Duration = Duration::from_millis(2);
/// The same altogether.
const GATHERING: Duration = Duration::from_millis(20);

/// Why a change is not on the disk, or not known to be there.
#[derive(Clone, Debug)]
pub enum LedgerError {
    /// The store; the same error for all that were to be committed together.
    Store(Arc<StoreError>),
    /// The server has ended.
    Closed,
}

impl LedgerError {
    /// Whether the connection broke during the commit, so that nobody knows whether
    /// the change is on the disk.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::Store(error) => matches!(error.fault(), StoreFault::Unknown),
            Self::Closed => false,
        }
    }
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "{error}"),
            Self::Closed => f.write_str("the server has stopped; start it again"),
        }
    }
}

impl std::error::Error for LedgerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(&**error),
            Self::Closed => None,
        }
    }
}

/// What came of a change.
pub type Written = Result<Outcome, LedgerError>;

type OnWritten = Box<dyn FnOnce(Written) + Send>;

/// Changes, and as many to be told what came of them.
type Batch = (Vec<Change>, Vec<OnWritten>);

/// The queue of changes, and the one who commits them.
pub struct Ledger {
    store: Arc<dyn Store>,
    queue: Mutex<Queue>,
    changed: Condvar,
    commits: AtomicU64,
    /// What could not be logged yet.
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Queue {
    changes: Vec<Change>,
    /// One for each change.
    on_written: Vec<OnWritten>,
    /// Whether the ledger waits for a change.
    waiting: bool,
    stopping: bool,
    /// Nobody commits any more.
    closed: bool,
}

/// Closes the ledger when its thread ends, however it does: nobody is to wait
/// for a commit that never comes.
struct Closing<'a>(&'a Ledger);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.closed = true;
        let left = std::mem::take(&mut queue.on_written);
        queue.changes.clear();
        drop(queue);
        for on_written in left {
            on_written(Err(LedgerError::Closed));
        }
    }
}

impl Ledger {
    /// A ledger into which nothing was written yet. Nothing is committed
    /// before [`Ledger::run`] runs.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            queue: Mutex::default(),
            changed: Condvar::new(),
            commits: AtomicU64::new(0),
            kept: Arc::default(),
        }
    }

    /// Two lists of the same length, changed together: a panic elsewhere leaves
    /// them usable.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a change. `on_written` is called once it is on the disk, or is
    /// known not to get there, by the ledger's thread: it must not wait for
    /// anything.
    pub fn write(&self, change: Change, on_written: impl FnOnce(Written) + Send + 'static) {
        let on_written = Box::new(on_written);
        let mut queue = self.lock();
        if queue.closed {
            drop(queue);
            on_written(Err(LedgerError::Closed));
            return;
        }
        queue.changes.push(change);
        queue.on_written.push(on_written);
        let wakes = std::mem::take(&mut queue.waiting);
        drop(queue);
        if wakes {
            self.changed.notify_one();
        }
    }

    /// Queues a change and waits until it is on the disk. Never to be called by
    /// what [`Ledger::write`] was given.
    ///
    /// # Errors
    /// [`LedgerError`]; nothing of it is on the disk then, unless it
    /// [is not known](LedgerError::is_unknown).
    pub fn write_and_wait(&self, change: Change) -> Written {
        self.write_and_wait_with(change, |_| {})
    }

    /// The same; `on_written` is called as by [`Ledger::write`], before anything else
    /// is committed.
    ///
    /// # Errors
    /// As for [`Ledger::write_and_wait`].
    pub fn write_and_wait_with(
        &self,
        change: Change,
        on_written: impl FnOnce(&Written) + Send + 'static,
    ) -> Written {
        let (done, wait) = mpsc::sync_channel(1);
        self.write(change, move |written| {
            on_written(&written);
            let _ = done.send(written);
        });
        wait.recv().unwrap_or(Err(LedgerError::Closed))
    }

    /// Logs something that has happened, whether the store can be written or not.
    pub fn note(&self, entry: Entry) {
        self.log(vec![entry]);
    }

    /// What goes wrong is told by the ledger itself, and the entries are kept.
    fn log(&self, entries: Vec<Entry>) {
        let (kept, again) = (Arc::clone(&self.kept), entries.clone());
        self.write(Change::audit(entries), move |written| {
            if let Err(LedgerError::Store(_)) = written {
                kept::lock(&kept).put_back(again);
            }
        });
    }

    /// Logs what was kept while the store could not be written. Gives the number of
    /// entries that were too many to be kept, if there were such.
    pub fn log_kept(&self) -> Option<u64> {
        let (entries, lost) = kept::lock(&self.kept).take();
        if !entries.is_empty() {
            self.log(entries);
        }
        (lost > 0).then_some(lost)
    }

    /// Waits until everything that was written before is on the disk.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn settle(&self) -> Result<(), LedgerError> {
        self.write_and_wait(Change::audit(Vec::new())).map(drop)
    }

    /// How many transactions it took until now.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Ends the thread once it has committed what is queued.
    pub fn stop(&self) {
        self.lock().stopping = true;
        self.changed.notify_one();
    }

    /// The thread. What goes wrong is told in one sentence, however many
    /// changes it concerns, and not again and again.
    pub fn run(&self, trouble: impl Fn(String)) {
        let _closing = Closing(self);
        let mut told: Option<Instant> = None;
        let mut sendings = Sendings::default();
        loop {
            let batch = self.next(sendings.due());
            let is_last = batch.is_none();
            let batch = sendings.pass(batch.unwrap_or_default(), Instant::now(), is_last);
            if !batch.0.is_empty() {
                self.commit(batch, &mut told, &trouble);
            }
            if is_last {
                return;
            }
        }
    }

    fn commit(
        &self,
        (changes, on_written): Batch,
        told: &mut Option<Instant>,
        trouble: impl Fn(String),
    ) {
        match self.store.commit(&changes) {
            Ok(outcomes) => {
                *told = None;
                self.commits.fetch_add(1, Ordering::Relaxed);
                for (on_written, outcome) in on_written.into_iter().zip(outcomes) {
                    on_written(Ok(outcome));
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                // One that is away is told of once, by who looks after that.
                if !is_away(&*error) && told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                    *told = Some(Instant::now());
                    trouble(format!(
                        "what happens now cannot be kept, so receipts and messages from \
                         patients are not answered until it can: {error}"
                    ));
                }
                for on_written in on_written {
                    on_written(Err(LedgerError::Store(Arc::clone(&error))));
                }
            }
        }
    }

    /// Waits a moment for the rest of a crowd: a commit writes whole pages, and
    /// the receipts of one broadcast lie on the same ones. After a broadcast a few
    /// are the first of a crowd.
    fn gather<'a>(
        &'a self,
        mut queue: MutexGuard<'a, Queue>,
        mut is_first: bool,
    ) -> MutexGuard<'a, Queue> {
        let begun = Instant::now();
        loop {
            let count = queue.changes.len();
            let is_crowd = count >= CROWD || std::mem::take(&mut is_first);
            if !is_crowd || queue.stopping || begun.elapsed() >= GATHERING {
                return queue;
            }
            drop(queue);
            thread::sleep(PAUSE);
            queue = self.lock();
            if queue.changes.len() - count < CROWD {
                return queue;
            }
        }
    }

    /// Everything that has queued up, which is nothing if that time comes first;
    /// none once there is nothing left and the ledger is to end.
    fn next(&self, until: Option<Instant>) -> Option<Batch> {
        let mut queue = self.lock();
        loop {
            if !queue.changes.is_empty() {
                queue = self.gather(queue, until.is_some());
                let changes = std::mem::take(&mut queue.changes);
                return Some((changes, std::mem::take(&mut queue.on_written)));
            }
            if queue.stopping {
                // Under the same lock, so that nothing is queued in between.
                queue.closed = true;
                return None;
            }
            queue.waiting = true;
            let Some(until) = until else {
                queue = self
                    .changed
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                queue.waiting = false;
                return Some(Batch::default());
            }
            let waited = self.changed.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ledger(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    use super::*;
    use crate::audit::{Action, Entry};
    use crate::clock::Timestamp;
    use crate::store::{AuditStore, SqliteStore};

    fn change(number: u64) -> Change {
        let at = Timestamp::from_millis(number);
        Change::audit(vec![Entry::new(at, "P1", Action::Delivered, "", "")])
    }

    fn times(store: &dyn Store) -> Vec<u64> {
        let rows = store.audit(1, 10_000).unwrap();
        rows.iter().map(|row| row.at.as_millis()).collect()
    }

    #[test]
    fn what_has_queued_up_is_committed_in_order_and_then_told() {
        let store = Arc::new(SqliteStore::in_memory().unwrap());
        let ledger = Ledger::new(Arc::clone(&store) as Arc<dyn Store>);
        let told = Arc::new(AtomicUsize::new(0));
        for number in 0..1_000 {
            let (told, store) = (Arc::clone(&told), Arc::clone(&store));
            ledger.write(change(number), move |written| {
                assert_eq!(written.unwrap(), Outcome::New);
                // All of them were in one transaction.
                assert_eq!(store.audit_head().unwrap().unwrap().0, 1_000);
                told.fetch_add(1, Ordering::SeqCst);
            });
        }
        assert_eq!(store.audit_head().unwrap(), None);
        // What is left is written before the end.
        ledger.stop();
        ledger.run(|sentence| panic!("{sentence}"));
        assert_eq!(told.load(Ordering::SeqCst), 1_000);
        assert_eq!(times(&*store), (0..1_000).collect::<Vec<u64>>());
    }

    #[test]
    fn what_could_not_be_logged_is_logged_later_whatever_was_wrong() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("telemed.db");
        let store = Arc::new(SqliteStore::open(&path).unwrap());
        let other = rusqlite::Connection::open(&path).unwrap();
        let forbid = "CREATE TRIGGER forbidden BEFORE INSERT ON audit_entry
                      BEGIN SELECT RAISE(ABORT, 'no'); END";
        other.execute_batch(forbid).unwrap();
        let ledger = Ledger::new(Arc::clone(&store) as Arc<dyn Store>);
        let note = |number| {
            let at = Timestamp::from_millis(number);
            ledger.note(Entry::new(at, "P1", Action::Left, "", ""));
        };
        thread::scope(|scope| {
            scope.spawn(|| ledger.run(|_| {}));
            note(1);
            note(2);
            assert!(ledger.write_and_wait(change(9)).is_err());
            // Still not.
            assert_eq!(ledger.log_kept(), None);
            note(3);
            assert!(ledger.write_and_wait(change(9)).is_err());
            other.execute_batch("DROP TRIGGER forbidden").unwrap();
            assert_eq!(ledger.log_kept(), None);
            ledger.settle().unwrap();
            ledger.stop();
        });
        assert_eq!(times(&*store), [1, 2, 3]);
    }

    #[test]
    fn after_the_end_nobody_waits() {
        let store = Arc::new(SqliteStore::in_memory().unwrap());
        let ledger = Ledger::new(store);
        ledger.stop();
        ledger.run(|sentence| panic!("{sentence}"));
        let refused = ledger.write_and_wait(change(1)).unwrap_err();
        assert!(matches!(refused, LedgerError::Closed));
    }

    #[test]
    fn a_failed_commit_fails_all_of_it_is_told_once_and_ends_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("telemed.db");
        let store = Arc::new(SqliteStore::open(&path).unwrap());
        let ledger = Ledger::new(Arc::clone(&store) as Arc<dyn Store>);
        let other = rusqlite::Connection::open(&path).unwrap();
        let forbid = "CREATE TRIGGER forbidden BEFORE INSERT ON audit_entry
                      WHEN new.at = 7 BEGIN SELECT RAISE(ABORT, 'no'); END";
        other.execute_batch(forbid).unwrap();
        let troubles = Mutex::new(Vec::new());
        let failed = Arc::new(AtomicUsize::new(0));
        for number in 0..10 {
            let failed = Arc::clone(&failed);
            ledger.write(change(number), move |written| {
                assert!(matches!(written, Err(LedgerError::Store(_))));
                failed.fetch_add(1, Ordering::SeqCst);
            });
        }
        thread::scope(|scope| {
            scope.spawn(|| ledger.run(|sentence| troubles.lock().unwrap().push(sentence)));
            for _ in 0..3 {
                assert!(ledger.write_and_wait(change(7)).is_err());
            }
            other.execute_batch("DROP TRIGGER forbidden").unwrap();
            assert_eq!(ledger.write_and_wait(change(7)).unwrap(), Outcome::New);
            ledger.stop();
        });
        assert_eq!(failed.load(Ordering::SeqCst), 10);
        assert_eq!(times(&*store), [7]);
        let troubles = troubles.into_inner().unwrap();
        assert_eq!(troubles.len(), 1, "{troubles:?}");
        assert!(troubles[0].contains("telemed.db"), "{troubles:?}");
    }
}
