//! What HOTKEYS counts: the time and the bytes that commands on each key took, from its START to its STOP.
//!
//! Unlike what the server always watches, this counts every command, or one in as many as SAMPLE says. Whoever runs
//! commands asks [`HotKeys::is_on`] and says what each took; the memory is fixed by COUNT, whatever the keys.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::data::sketch::{Cut, Heaviest, Sketch};

use super::Args;

/// Counters for each key that is to be shown, as in Redis: the more, the surer the first ones are.
const COUNTERS: usize = 10;
/// Workers count apart, so that they do not wait for each other.
const SLOTS: usize = 16;

/// What START has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Time by key.
    pub time: bool,
    /// Bytes by key.
    pub bytes: bool,
    /// Keys that GET shows.
    pub count: usize,
    /// One command in so many is counted.
    pub sample: u64,
    /// How long it goes on, milliseconds; 0 is until STOP.
    pub duration_ms: u64,
}

/// The counting that is under way, or was last.
#[derive(Clone, Copy, Debug)]
struct Run {
    wanted: Wanted,
    began_ms: u64,
    ended_ms: Option<u64>,
    /// The process's time in the program and in the kernel when it began, seconds.
    cpu_s: (f64, f64),
}

impl Run {
    /// When it ends, or has ended.
    fn end_ms(&self) -> u64 {
        let by_itself = match self.wanted.duration_ms {
            0 => u64::MAX,
            duration => self.began_ms.saturating_add(duration),
        };
        self.ended_ms.unwrap_or(u64::MAX).min(by_itself)
    }
}

/// What one slot has counted.
#[derive(Debug, Default)]
struct Counted {
    nanos: u64,
    bytes: u64,
    wanted: Option<Wanted>,
    keys: Option<Keys>,
    /// For the draw of what is counted.
    random: u64,
}

#[derive(Debug)]
struct Keys {
    time: Sketch<Cut<256>>,
    bytes: Sketch<Cut<256>>,
}

/// What GET shows.
#[derive(Debug)]
pub struct Shown {
    /// It is under way.
    pub active: bool,
    /// What was asked for.
    pub wanted: Wanted,
    /// When it began, milliseconds since 1970.
    pub began_ms: u64,
    /// How long it has lasted, or did.
    pub lasted_ms: u64,
    /// The process's time when it began, in the program and in the kernel, seconds.
    pub cpu_s: (f64, f64),
    /// Time of all commands on keys, nanoseconds.
    pub nanos: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Nanoseconds by key, the most first.
    pub by_time: Heaviest<Cut<256>>,
    /// Bytes by key, the most first.
    pub by_bytes: Heaviest<Cut<256>>,
}

/// What HOTKEYS counts.
#[derive(Debug, Default)]
pub struct HotKeys {
    on: AtomicBool,
    until_ms: AtomicU64,
    run: Mutex<Option<Run>>,
    slots: [Mutex<Counted>; SLOTS],
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Counts are whole after each step: a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HotKeys {
    /// Whether commands are counted.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Begins to count. False when it is under way.
    pub fn start(&self, now_ms: u64, wanted: Wanted, cpu_s: (f64, f64)) -> bool {
        let mut run = lock(&self.run);
        if run.as_ref().is_some_and(|run| now_ms < run.end_ms()) {
            return false;
        }
        let begun = Run { wanted, began_ms: now_ms, ended_ms: None, cpu_s };
        for (at, slot) in self.slots.iter().enumerate() {
            *lock(slot) = Counted { wanted: Some(wanted), random: now_ms ^ at as u64, ..Counted::default() };
        }
        self.until_ms.store(begun.end_ms(), Ordering::Relaxed);
        *run = Some(begun);
        self.on.store(true, Ordering::Release);
        true
    }

    /// Ends the counting. False when none is under way.
    pub fn stop(&self, now_ms: u64) -> bool {
        let mut run = lock(&self.run);
        self.on.store(false, Ordering::Relaxed);
        match &mut *run {
            Some(run) if now_ms < run.end_ms() => {
                run.ended_ms = Some(now_ms);
                true
            }
            _ => false,
        }
    }

    /// Forgets what was counted. False while it is under way.
    pub fn reset(&self, now_ms: u64) -> bool {
        let mut run = lock(&self.run);
        if run.as_ref().is_some_and(|run| now_ms < run.end_ms()) {
            return false;
        }
        self.on.store(false, Ordering::Relaxed);
        *run = None;
        self.slots.iter().for_each(|slot| *lock(slot) = Counted::default());
        true
    }

    /// A command has run, in so many nanoseconds, with a reply of so many bytes. `worker` did it.
    #[cold]
    pub fn ran(&self, worker: usize, now_ms: u64, args: &Args<'_>, nanos: u64, reply_bytes: usize) {
        let keys = args.keys();
        if keys.is_empty() {
            return;
        }
        if now_ms >= self.until_ms.load(Ordering::Relaxed) {
            self.on.store(false, Ordering::Relaxed);
            return;
        }
        let bytes = request_bytes(args) + reply_bytes as u64;
        let mut counted = lock(&self.slots[worker % SLOTS]);
        let Some(wanted) = counted.wanted else { return };
        counted.nanos += nanos;
        counted.bytes += bytes;
        counted.random =
            counted.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if wanted.sample > 1 && !(counted.random >> 32).is_multiple_of(wanted.sample) {
            return;
        }
        let counters = |on: bool| Sketch::new(if on { wanted.count * COUNTERS } else { 0 });
        let tally = counted
            .keys
            .get_or_insert_with(|| Keys { time: counters(wanted.time), bytes: counters(wanted.bytes) });
        let each = keys.len() as u64;
        for key in keys {
            let name = || Cut::of(args.get(key.arg as usize));
            if wanted.time {
                tally.time.add(key.hash, nanos / each, 0, name);
            }
            if wanted.bytes {
                tally.bytes.add(key.hash, bytes / each, 0, name);
            }
        }
    }

    /// What was counted; nothing before the first START, or since RESET.
    pub fn shown(&self, now_ms: u64) -> Option<Shown> {
        let run = (*lock(&self.run))?;
        let active = now_ms < run.end_ms();
        let (mut nanos, mut bytes) = (0, 0);
        let (mut by_time, mut by_bytes) = (Vec::new(), Vec::new());
        for slot in &self.slots {
            let counted = lock(slot);
            nanos += counted.nanos;
            bytes += counted.bytes;
            if let Some(keys) = &counted.keys {
                by_time.push(keys.time.clone());
                by_bytes.push(keys.bytes.clone());
            }
        }
        Some(Shown {
            active,
            wanted: run.wanted,
            began_ms: run.began_ms,
            lasted_ms: now_ms.min(run.end_ms()).saturating_sub(run.began_ms),
            cpu_s: run.cpu_s,
            nanos,
            bytes,
            by_time: Heaviest::of(&by_time),
            by_bytes: Heaviest::of(&by_bytes),
        })
    }
}

/// Bytes of a request as clients send them.
fn request_bytes(args: &Args<'_>) -> u64 {
    let digits = |number: usize| u64::from(number.checked_ilog10().unwrap_or(0)) + 1;
    let argument = |word: &[u8]| 5 + digits(word.len()) + word.len() as u64;
    3 + digits(args.len()) + args.all().map(argument).sum::<u64>()
}
