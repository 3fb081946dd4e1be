//! `doctor store copy`: moves a practice, and says how far it is.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use crate::cli::doctor::{books, failed, setup_failed, store_failed};
use crate::cli::exit::{Exit, Failure, eprint};
use crate::cli::options::{CopyTask, DoctorOptions, StoreEnd};
use crate::cli::output::{Form, Object};
use crate::doctor::seen;
use crate::identity::data_dir::{self, DATABASE, DataDir};
use crate::identity::id::Identifier;
use crate::store::{Copied, CopyError, CopyPlace, CopyProgress, Phase, StoreChoice, move_practice};

/// How often a person is told how far it is.
const TELL_EVERY: Duration = Duration::from_millis(200);
/// How wide the bar is.
const BAR: usize = 30;

/// Copies, compares, and leaves a mark in the old store.
pub fn copy(options: &DoctorOptions, id: &Identifier, task: &CopyTask) -> Result<(), Failure> {
    for end in [&task.from, &task.to] {
        if let StoreEnd::Usual(choice) = end {
            books::check_is_doctor(options, id, choice)?;
        }
    }
    // Held to the end, so that no server starts meanwhile.
    let directory =
        DataDir::open_existing(&options.data, id.as_str()).map_err(|error| failed(&error))?;
    let own = directory.path(DATABASE);
    let place = |end: &StoreEnd| match end {
        StoreEnd::Usual(StoreChoice::File) => CopyPlace::File(own.clone()),
        #[cfg(feature = "postgres")]
        StoreEnd::Usual(StoreChoice::Server(address)) => CopyPlace::Server(address.clone()),
        StoreEnd::File(path) => CopyPlace::File(path.clone()),
    };
    let (from, to) = (place(&task.from), place(&task.to));
    let mut locks = Vec::new();
    for end in [&from, &to] {
        if let Some(path) = end.file().filter(|path| **path != own) {
            locks.push(data_dir::lock_around(path).map_err(|error| failed(&error))?);
        }
    }
    let name = name_of(&task.to);
    let mut progress = Progress::new(options.form == Form::People && io::stderr().is_terminal());
    let copied = move_practice((&from, &to), id.as_str(), &name, &mut |at| {
        progress.tell(at)
    });
    progress.end();
    let copied = copied.map_err(|error| not_copied(&error, &again(options, id, task)))?;
    // It is not in the database any more that was seen before.
    seen::forget_database(&directory.path("")).map_err(|error| setup_failed(&error))?;
    options
        .form
        .print(&text(&copied, task, options, id), &objects(&copied, &name))
}

/// The same command once more.
fn again(options: &DoctorOptions, id: &Identifier, task: &CopyTask) -> String {
    let [from, to] = [&task.from, &task.to].map(name_of);
    let data = &options.data_option;
    format!("doctor{data} --id {id} store copy --from '{from}' --to '{to}'")
}

fn name_of(end: &StoreEnd) -> String {
    match end {
        StoreEnd::Usual(choice) => choice.to_string(),
        StoreEnd::File(path) => path.display().to_string(),
    }
}

fn not_copied(error: &CopyError, again: &str) -> Failure {
    match error {
        CopyError::Store(error) => store_failed(error).hint(format!(
            "the practice is where it was, and good; the copy goes on where it stopped with: \
             {again}"
        )),
        CopyError::Differs(..) => Failure::new(Exit::Integrity, error.to_string()).hint(format!(
            "the practice is where it was, and good; make the target anew, empty, and then: \
             {again}"
        )),
        _ => Failure::new(Exit::Failure, error.to_string())
            .hint("the practice is where it was, and good"),
    }
}

fn text(copied: &Copied, task: &CopyTask, options: &DoctorOptions, id: &Identifier) -> String {
    let name = name_of(&task.to);
    let found = |choice| format!("doctor{} --id {id}", options.found_in(choice));
    let mut lines: Vec<_> = copied
        .tables
        .iter()
        .map(|(table, rows)| format!("{table:<18}{rows:>12}"))
        .collect();
    let total: u64 = copied.tables.iter().map(|(_, rows)| rows).sum();
    let earlier = match copied.earlier {
        0 => String::new(),
        rows => format!(", {rows} of them by an earlier attempt"),
    };
    lines.push(format!(
        "{total} rows were copied{earlier}, read back and compared: all are the same."
    ));
    lines.push(match &task.to {
        StoreEnd::Usual(choice @ StoreChoice::File) => format!(
            "The practice is in its data directory now; leave --store out from now on, or say: {}",
            found(choice)
        ),
        #[cfg(feature = "postgres")]
        StoreEnd::Usual(choice @ StoreChoice::Server(_)) => {
            let doctor = found(choice);
            format!(
                "The practice is there now. From now on: {doctor}, or in the configuration file: \
                 store = \"{name}\". The old store is kept, and not used any more.\n\
                 Next: start the server there ({doctor} serve), make a backup ({doctor} backup \
                 FILE), and let colleagues join ({doctor} enrol-doctor NAME). When all is well, \
                 put the old store where backups are kept, or delete it."
            )
        }
        StoreEnd::File(_) => format!(
            "The practice is in '{name}' now; to use it, put it in the data directory's place of \
             'telemed.db'."
        ),
    });
    lines.join("\n")
}

fn objects(copied: &Copied, name: &str) -> Vec<Object> {
    let tables = copied.tables.iter().map(|(table, rows)| {
        Object::new("copied_table")
            .with("table", *table)
            .with("rows", *rows)
    });
    let total: u64 = copied.tables.iter().map(|(_, rows)| rows).sum();
    let whole = Object::new("store_copied")
        .with("to", name)
        .with("rows", total)
        .with("earlier", copied.earlier);
    tables.chain([whole]).collect()
}

/// How far it is, on one line of the terminal.
struct Progress {
    /// When it was last told; none if nobody is to be told.
    told: Option<Instant>,
}

impl Progress {
    fn new(telling: bool) -> Self {
        Self {
            told: telling.then(Instant::now),
        }
    }

    fn tell(&mut self, at: CopyProgress) {
        let now = Instant::now();
        if let Some(told) = &mut self.told
            && now.duration_since(*told) >= TELL_EVERY
        {
            *told = now;
            eprint(&format!("\r{}\x1b[K", line(at)));
        }
    }

    fn end(&self) {
        if self.told.is_some() {
            eprint("\r\x1b[K");
        }
    }
}

fn line(CopyProgress { phase, done, total }: CopyProgress) -> String {
    let full = match total {
        0 => BAR,
        total => (done as f64 / total as f64 * BAR as f64) as usize,
    };
    let what = match phase {
        Phase::Copying => "copied",
        Phase::Comparing => "compared",
    };
    format!(
        "[{}{}] {done} of {total} rows {what}",
        "#".repeat(full.min(BAR)),
        ".".repeat(BAR.saturating_sub(full)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_full_at_the_end() {
        let at = |done, total| {
            let phase = Phase::Copying;
            line(CopyProgress { phase, done, total })
        };
        assert!(at(0, 10).starts_with("[....."));
        assert!(at(5, 10).contains(&format!("{}{}", "#".repeat(15), ".".repeat(15))));
        assert_eq!(
            at(10, 10),
            format!("[{}] 10 of 10 rows copied", "#".repeat(30))
        );
        assert!(at(0, 0).contains(&"#".repeat(30)));
    }
}
