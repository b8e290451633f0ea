//! A CPU profile of the running process: on which functions its threads spend processor time.
//!
//! While one is taken, each thread has a timer that counts its own processor time; when it fires, the thread is
//! interrupted for some microseconds, in which its registers and the bytes of its stack are copied, and nothing else:
//! nothing is allocated, no lock is waited for, no address is read that the kernel has not checked. What the bytes mean is
//! found out afterwards, elsewhere, from the tables that the compiler made. So neither code with wrong tables nor a
//! script's stack of its own can bring the server down, and it needs no frame pointers. Nobody asks: there is no timer,
//! no memory and no thread.
//!
//! In reading order: `sampler` (timers, the signal, copies), `modules` (what is mapped, and from a copy to addresses),
//! `symbols` (from addresses to names), `folded` (stacks by names), `flame` (an SVG of them), `pprof` (another form).

mod flame;
mod folded;
mod modules;
mod pprof;
mod sampler;
mod symbols;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::unistd::gettid;

use crate::clock::Clock;

use folded::Folded;
use modules::Modules;
use sampler::Sampler;
use symbols::{Call, Symbols};

/// How often the copies are looked at. A thread can fire once in a tick of the kernel, 4 ms as a rule.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How often threads are looked for that have begun.
const THREADS_EVERY: u32 = 10;
/// Different stacks that are kept; what comes later counts for its thread alone.
const STACKS: usize = 20_000;
/// The name of the thread that takes the profile.
const OWN_NAME: &str = "profile";

/// Whether somebody has the turn.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// For how long.
    pub time: Duration,
    /// Samples of a thread in a second of its own processor time. The kernel gives no more than its ticks: 100 to 1000.
    pub hz: u32,
}

/// Why there is no profile.
#[derive(Debug)]
pub enum ProfileError {
    /// Whoever wanted it does no longer.
    Unwanted,
    /// The system refuses what it takes.
    System {
        /// What was tried.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProfileError::Unwanted => f.write_str("nobody waits for the profile any longer"),
            ProfileError::System { what, source } => write!(f, "{what}: {source}"),
        }
    }
}

impl std::error::Error for ProfileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ProfileError::Unwanted => None,
            ProfileError::System { source, .. } => Some(source),
        }
    }
}

/// The right to take a profile, which one at a time has in a process.
#[derive(Debug)]
pub struct Turn(());

impl Drop for Turn {
    fn drop(&mut self) {
        TAKEN.store(false, Ordering::Release);
    }
}

/// The turn, unless somebody has it.
pub fn turn() -> Option<Turn> {
    // Made only for who has it: one that is dropped gives the turn back.
    if TAKEN.swap(true, Ordering::Acquire) { None } else { Some(Turn(())) }
}

/// A stack as it was found: addresses of code, the innermost first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Stack {
    thread: i32,
    addresses: Box<[u64]>,
    /// There is more of it than was copied.
    cut: bool,
}

/// What was found, with names.
#[derive(Debug)]
pub struct Profile {
    /// Each with the samples that had it.
    stacks: Vec<(Stack, u64)>,
    threads: HashMap<i32, String>,
    /// What each address stands for, the innermost call first.
    calls: HashMap<u64, Vec<Call>>,
    /// The file that each address comes from.
    modules: Vec<modules::Mapped>,
    samples: u64,
    lost: u64,
    begun_unix_ms: u64,
    time_ns: u64,
    /// Of the whole process, meanwhile.
    cpu_ns: u64,
    hz: u32,
}

impl Turn {
    /// Takes a profile, for as long as is wanted, on the calling thread. `wanted_still` is asked every some milliseconds.
    ///
    /// # Errors
    /// [`ProfileError`], when it is no longer wanted or the system does not let this process sample itself.
    pub fn take(&self, wanted: Wanted, wanted_still: impl Fn() -> bool) -> Result<Profile, ProfileError> {
        let clock = Clock::system();
        let system = |what| move |source| ProfileError::System { what, source };
        let mut modules = Modules::of_this_process().map_err(system("what is mapped cannot be read"))?;
        let mut sampler = Sampler::start(wanted.hz).map_err(system("threads cannot be sampled"))?;
        let begun_unix_ms = clock.unix_ms();
        let begun = clock.stamp();
        let cpu_before = process_cpu_ns();
        let until = begun.saturating_add(u64::try_from(wanted.time.as_nanos()).unwrap_or(u64::MAX));
        let mut found: HashMap<Stack, u64> = HashMap::new();
        let mut looks = 0u32;
        while clock.stamp() < until {
            std::thread::sleep(LOOK_EVERY.min(Duration::from_nanos(until.saturating_sub(clock.stamp()))));
            if !wanted_still() {
                return Err(ProfileError::Unwanted);
            }
            looks = looks.wrapping_add(1);
            if looks.is_multiple_of(THREADS_EVERY) {
                sampler.find_threads().map_err(system("threads cannot be found"))?;
            }
            sampler.each(|sample| count(&mut found, modules.stack(sample)));
        }
        let time_ns = clock.stamp() - begun;
        let cpu_ns = process_cpu_ns().saturating_sub(cpu_before);
        let (mut threads, lost) = sampler.stop(|sample| count(&mut found, modules.stack(sample)));
        threads.insert(gettid().as_raw(), OWN_NAME.to_owned());
        let mut symbols = Symbols::new(modules.mapped());
        let mut calls: HashMap<u64, Vec<Call>> = HashMap::new();
        for address in found.keys().flat_map(|stack| stack.addresses.iter()) {
            if !wanted_still() {
                return Err(ProfileError::Unwanted);
            }
            calls.entry(*address).or_insert_with(|| symbols.calls_at(*address));
        }
        drop(symbols);
        let samples = found.values().sum();
        let stacks = found.into_iter().collect();
        let modules = modules.into_mapped();
        let hz = wanted.hz;
        Ok(Profile { stacks, threads, calls, modules, samples, lost, begun_unix_ms, time_ns, cpu_ns, hz })
    }
}

/// One more sample of a stack; of a new one where there are too many already, its thread's.
fn count(found: &mut HashMap<Stack, u64>, mut stack: Stack) {
    if found.len() >= STACKS && !found.contains_key(&stack) {
        stack = Stack { thread: stack.thread, addresses: Box::default(), cut: true };
    }
    *found.entry(stack).or_default() += 1;
}

/// Processor time of all threads so far, in the program and in the kernel.
fn process_cpu_ns() -> u64 {
    // It fails for an argument that is none.
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return 0 };
    let us = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    us.unsigned_abs() * 1_000
}

impl Profile {
    /// The stacks in text, a line each: names from the thread inwards joined by `;`, a space, the samples. It is what
    /// other makers of flame graphs take.
    pub fn folded(&self) -> String {
        self.by_names().text()
    }

    /// A flame graph as an SVG that stands for itself.
    pub fn flame_graph(&self) -> String {
        flame::svg(&self.in_words(), &self.by_names())
    }

    /// pprof's `Profile` message, not compressed.
    pub fn pprof(&self) -> Vec<u8> {
        pprof::message(self)
    }

    /// When it was begun, in milliseconds since 1970.
    pub fn begun_unix_ms(&self) -> u64 {
        self.begun_unix_ms
    }

    fn by_names(&self) -> Folded {
        let mut folded = Folded::default();
        for (stack, samples) in &self.stacks {
            let mut names = vec![self.thread_name(stack.thread)];
            if stack.cut {
                names.push("[the rest of the stack was not kept]");
            }
            let calls = stack.addresses.iter().rev().filter_map(|address| self.calls.get(address));
            let calls: Vec<&str> =
                calls.flat_map(|calls| calls.iter().rev()).map(|call| call.function.as_str()).collect();
            // Below this one is how every thread of Rust's begins, which tells nothing: its own backtraces leave it out.
            let begins = calls.iter().position(|name| name.ends_with("__rust_begin_short_backtrace"));
            names.extend(&calls[begins.map_or(0, |at| at + 1)..]);
            folded.add(names, *samples);
        }
        folded
    }

    fn thread_name(&self, thread: i32) -> &str {
        self.threads.get(&thread).map_or("[a thread that has ended]", String::as_str)
    }

    fn in_words(&self) -> String {
        let seconds = |ns: u64| ns as f64 / 1e9;
        let mut words = format!(
            "{:.1} s of processor time in {:.1} s: {} samples, {} asked for in a second of a thread's",
            seconds(self.cpu_ns),
            seconds(self.time_ns),
            self.samples,
            self.hz,
        );
        if self.lost > 0 {
            words.push_str(&format!("; {} more were lost", self.lost));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn burns_processor_time(until: &AtomicBool) -> u64 {
        let mut sum = 1u64;
        while !until.load(Ordering::Relaxed) {
            for step in 0..1_000u64 {
                sum = std::hint::black_box(sum.wrapping_mul(step | 1));
            }
        }
        sum
    }

    /// Profiles of one process come one after the other.
    fn waited_turn() -> Turn {
        loop {
            match turn() {
                Some(turn) => return turn,
                None => std::thread::yield_now(),
            }
        }
    }

    #[test]
    fn a_thread_that_works_is_found_with_its_function() {
        let turn = waited_turn();
        let until = AtomicBool::new(false);
        let profile = std::thread::scope(|scope| {
            let named = std::thread::Builder::new().name("busy-one".to_owned());
            let busy = named.spawn_scoped(scope, || burns_processor_time(&until)).unwrap();
            let profile = turn.take(Wanted { time: Duration::from_millis(1_500), hz: 99 }, || true);
            until.store(true, Ordering::Relaxed);
            busy.join().unwrap();
            profile.unwrap()
        });
        let folded = profile.folded();
        let mut of_it = folded.lines().filter(|line| line.starts_with("busy-one;"));
        let whole = of_it.find(|line| line.contains("burns_processor_time")).expect("its function");
        let second = whole.split(';').nth(1).unwrap();
        assert!(second.contains("a_thread_that_works"), "from where the thread begins: {whole}");
        assert!(profile.samples > 5 && profile.cpu_ns > 0 && profile.time_ns >= 1_500_000_000);
    }

    #[test]
    fn one_has_the_turn_and_who_does_not_want_it_any_longer_gets_none() {
        let held = waited_turn();
        assert!(turn().is_none());
        assert!(turn().is_none(), "to be refused takes it from nobody");
        let wanted = Wanted { time: Duration::from_secs(3_600), hz: 99 };
        assert!(matches!(held.take(wanted, || false), Err(ProfileError::Unwanted)));
        drop(held);
        drop(waited_turn());
    }

    #[test]
    fn too_many_stacks_count_for_their_thread() {
        let mut found = HashMap::new();
        for address in 0..STACKS as u64 + 7 {
            count(&mut found, Stack { thread: 1, addresses: [address].into(), cut: false });
        }
        let rest = Stack { thread: 1, addresses: Box::default(), cut: true };
        assert_eq!((found.len(), found.get(&rest)), (STACKS + 1, Some(&7)));
    }
}
