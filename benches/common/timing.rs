//! What benchmarks measure with: the processor's time, not the clock's, since
//! how fast a computer is moves by half with its other work; and medians of
//! rounds, each of which measures everything once.

#![allow(
    dead_code,
    reason = "each benchmark is a program of its own, and uses its part"
)]

use rustix::time::{ClockId, clock_gettime};

/// How long one sample takes at least, in seconds.
const SAMPLE: f64 = 0.003;

/// The processor's time that this thread has had, in seconds.
pub fn now() -> f64 {
    seconds(ClockId::ThreadCPUTime)
}

/// The processors' time that all threads of this program have had, in seconds.
pub fn now_of_all() -> f64 {
    seconds(ClockId::ProcessCPUTime)
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + 1e-9 * time.tv_nsec as f64
}

/// The value in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Whether the program was called with this argument.
pub fn has_argument(name: &str) -> bool {
    std::env::args().any(|argument| argument == name)
}

/// The number behind this argument.
pub fn number_after(name: &str) -> Option<f64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)?.parse().ok()
}

/// Something that is measured, in samples of many runs.
pub struct Row {
    /// What it is called.
    pub what: &'static str,
    /// On how many bytes it works.
    pub bytes: usize,
    run: Box<dyn FnMut()>,
    /// How often a run does it.
    repeats: u32,
    /// Runs in a sample.
    count: u32,
    /// Seconds for doing it once, for each round.
    times: Vec<f64>,
}

impl Row {
    pub fn new<T>(what: &'static str, bytes: usize, mut run: impl FnMut() -> T + 'static) -> Self {
        let mut row = Self {
            what,
            bytes,
            run: Box::new(move || {
                std::hint::black_box(run());
            }),
            repeats: 1,
            count: 0,
            times: Vec::new(),
        };
        // Counts how many runs are as long as a sample should be; warms up on
        // the way.
        let begun = now();
        let mut runs = 0;
        while now() - begun < 3.0 * SAMPLE {
            (row.run)();
            runs += 1;
        }
        row.count = (runs / 3).max(1);
        row
    }

    /// The same, of runs that do it so often.
    pub fn repeating(mut self, repeats: u32) -> Self {
        self.repeats = repeats;
        self
    }

    pub fn measure(&mut self) {
        let begun = now();
        for _ in 0..self.count {
            (self.run)();
        }
        let count = f64::from(self.count) * f64::from(self.repeats);
        self.times.push((now() - begun) / count);
    }

    /// Seconds for doing it once.
    pub fn median(&self) -> f64 {
        median(self.times.clone())
    }
}
