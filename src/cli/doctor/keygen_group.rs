//! `doctor keygen-group`: the search for a group, and how far it has come.

use std::io::{self, IsTerminal};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::doctor::failed;
use crate::cli::exit::{Failure, eprint};
use crate::cli::options::{DoctorOptions, KeygenGroupTask};
use crate::cli::output::{Form, Object};
use crate::elgamal::Group;
use crate::elgamal::generate::expected_candidates;
use crate::identity::group_file;
use crate::identity::known_doctor::fingerprint_groups;
use crate::random::OsRandom;

/// How often a person is told how far it has come.
const TELL_EVERY: Duration = Duration::from_millis(500);
/// How wide the bar is.
const BAR: usize = 15;

/// Searches, and writes what is found into the file.
pub fn run(options: &DoctorOptions, task: &KeygenGroupTask) -> Result<(), Failure> {
    group_file::check_place(&task.out).map_err(|error| failed(&error))?;
    let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let telling = options.form == Form::People && io::stderr().is_terminal();
    let progress = Progress::new(task.bits, telling);
    let group = Group::generate(task.bits, threads, &OsRandom, &|tested| {
        progress.tested(tested);
    })
    .map_err(|error| failed(&error))?;
    progress.end();
    group_file::save(&task.out, &group).map_err(|error| failed(&error))?;
    let object = Object::new("group_file")
        .with("file", task.out.display().to_string())
        .with("bits", task.bits)
        .with("id", crate::hex::encode(group.id()));
    options.form.print(&sentence(&group, &task.out), &[object])
}

fn sentence(group: &Group, file: &Path) -> String {
    let name = fingerprint_groups(group.id());
    let file = file.display().to_string();
    // Without a slash, --group would take it for the name of a group.
    let directory = if file.contains('/') { "" } else { "./" };
    format!(
        "The group is in '{file}'. Its name is {name}.\n\
         To found a clinic on it: doctor --id ID --group '{directory}{file}', at the first start."
    )
}

/// How far the search has come, on one line of the terminal.
struct Progress {
    expected: f64,
    begun: Instant,
    /// When it was last told; none if nobody is to be told.
    told: Option<Mutex<Instant>>,
}

impl Progress {
    fn new(bits: usize, telling: bool) -> Self {
        let begun = Instant::now();
        Self {
            expected: expected_candidates(bits),
            begun,
            told: telling.then(|| Mutex::new(begun)),
        }
    }

    fn tested(&self, tested: u64) {
        let Some(told) = &self.told else { return };
        // Another thread is telling already.
        let Ok(mut told) = told.try_lock() else {
            return;
        };
        let now = Instant::now();
        if now.duration_since(*told) >= TELL_EVERY {
            *told = now;
            let elapsed = now.duration_since(self.begun);
            eprint(&format!("\r{}\x1b[K", line(tested, self.expected, elapsed)));
        }
    }

    fn end(&self) {
        if self.told.is_some() {
            eprint("\r\x1b[K");
        }
    }
}

/// The bar shows how likely it was to have found one by now. It never gets to
/// its end, and the time that is left on average never gets shorter: each
/// candidate is as likely as the one before.
fn line(tested: u64, expected: f64, elapsed: Duration) -> String {
    let tested = tested.max(1) as f64;
    let likely = 1.0 - (-tested / expected).exp();
    let full = (likely * BAR as f64) as usize;
    let left = elapsed.mul_f64(expected / tested);
    format!(
        "[{}{}] {tested:.0} tested; {:.0} of 100 are found by now; on average {} more",
        "#".repeat(full),
        ".".repeat(BAR - full),
        100.0 * likely,
        duration(left),
    )
}

fn duration(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..100 => format!("{seconds} s"),
        seconds @ ..6_000 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h", seconds.div_ceil(3_600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_promises_nothing_that_luck_decides() {
        let minute = Duration::from_secs(60);
        let early = line(330, 3_300.0, minute / 10);
        assert_eq!(
            early,
            "[#..............] 330 tested; 10 of 100 are found by now; on average 60 s more"
        );
        assert!(early.len() < 80);
        let late = line(9_900, 3_300.0, 3 * minute);
        assert!(
            late.contains("95 of 100") && late.ends_with("60 s more"),
            "{late}"
        );
        assert!(line(u64::MAX, 3_300.0, minute).contains("####] "));
        assert!(line(0, 3_300.0, Duration::ZERO).contains("average 0 s"));
        assert_eq!(duration(Duration::from_secs(601)), "11 min");
        assert_eq!(duration(Duration::from_secs(7_000)), "2 h");
    }
}
