//! The control of every claim about milliseconds: how long this machine itself takes a core away
//! from a thread that does nothing but look at the time.

use std::time::{Duration, Instant};

use crate::Outcome;
use crate::process::run_on;

/// Pauses of a spinning thread.
#[derive(Clone, Copy, Default)]
pub struct Gaps {
    /// Longer than 100 microseconds.
    pub over_100_us: u64,
    /// Longer than a millisecond.
    pub over_1_ms: u64,
    /// The longest.
    pub longest: Duration,
}

impl Gaps {
    /// Counts the time between two looks at the clock.
    pub fn count(&mut self, gap: Duration) {
        self.over_100_us += u64::from(gap > Duration::from_micros(100));
        self.over_1_ms += u64::from(gap > Duration::from_millis(1));
        self.longest = self.longest.max(gap);
    }

    /// As a report writes it.
    pub fn words(&self) -> String {
        let longest = self.longest.as_secs_f64() * 1e3;
        format!("{} over 0.1 ms, {} over 1 ms, longest {longest:.2} ms", self.over_100_us, self.over_1_ms)
    }
}

/// Spins on `core` for `time`, in a thread of its own.
pub fn spin(core: usize, time: Duration) -> Outcome<Gaps> {
    let spinning = std::thread::spawn(move || -> Outcome<Gaps> {
        run_on(&[core])?;
        let started = Instant::now();
        let mut gaps = Gaps::default();
        let mut last = started;
        while last - started < time {
            let now = Instant::now();
            gaps.count(now - last);
            last = now;
        }
        Ok(gaps)
    });
    spinning.join().map_err(|_| "the spinning thread panicked")?
}

/// The control before a measurement: every core that it will use, one after the other.
pub fn control(server_cores: &[usize], load_cores: &[usize]) -> Outcome<String> {
    let mut words = Vec::new();
    let mut cores: Vec<usize> = server_cores.iter().chain(load_cores).copied().collect();
    cores.sort_unstable();
    cores.dedup();
    for core in cores {
        let gaps = spin(core, Duration::from_secs(3))?;
        words.push(format!("core {core}: {}", gaps.words()));
    }
    Ok(format!(
        "Control: a thread that only spins for 3 s, with every server idle. {}. What the machine does by itself is no pause of a server.",
        words.join("; ")
    ))
}

/// A small generator of numbers that need no quality (xorshift64, Marsaglia 2003).
pub struct Random(u64);

impl Random {
    /// Starts from a fixed seed: every server gets the same keys in the same order.
    pub fn new() -> Random {
        Random(0x9e37_79b9_7f4a_7c15)
    }

    /// Starts from another: for threads that are to differ.
    pub fn seeded(seed: u64) -> Random {
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (seed + 1).wrapping_mul(0xbf58_476d_1ce4_e5b9));
        for _ in 0..8 {
            random.below(1);
        }
        random
    }

    /// 0 to `limit - 1`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
