//! The processor time of processes, as the operating system counts it.

use std::fs;
use std::io;
use std::time::Duration;

/// What it is counted in, in milliseconds: USER_HZ is 100 on Linux (proc(5)).
pub const TICK_MILLIS: u64 = 10;

/// The time in a process's `stat`: the first `count` of its own in user and in
/// system mode, and those of its children who have ended (proc(5)).
pub fn of_stat(stat: &str, count: usize) -> io::Result<Duration> {
    let damaged = || io::Error::other("/proc: stat");
    let (_, fields) = stat.rsplit_once(')').ok_or_else(damaged)?;
    let fields = fields.split_whitespace().skip(11).take(count);
    let ticks: Vec<u64> = fields
        .map(str::parse)
        .collect::<Result<_, _>>()
        .map_err(|_| damaged())?;
    Ok(Duration::from_millis(
        ticks.iter().sum::<u64>() * TICK_MILLIS,
    ))
}

/// The time of all that is called `postgres` on this machine.
pub fn of_database() -> io::Result<Duration> {
    let mut sum = Duration::ZERO;
    for entry in fs::read_dir("/proc")?.flatten() {
        // A process may end while it is looked at: its parent has its time then.
        let Ok(comm) = fs::read_to_string(entry.path().join("comm")) else {
            continue;
        };
        if comm.trim_end() == "postgres"
            && let Ok(stat) = fs::read_to_string(entry.path().join("stat"))
        {
            sum += of_stat(&stat, 4)?;
        }
    }
    Ok(sum)
}
