//! What the system and the allocator say about this process: memory, CPU time, where it runs.
//!
//! Asking costs some system calls and an epoch of the allocator, so an answer is kept for
//! [`KEPT_NS`]; whoever shows it (INFO, a scrape) gets one of the last millisecond, since a client may
//! ask what its last command took. The time comes in from outside.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeVal;
use nix::unistd::{SysconfVar, sysconf};
use tikv_jemalloc_ctl::{Access, AsName, arenas, epoch, stats, stats_print, version};

use super::memory;
use super::metrics::Figures;

/// For how long an answer is good, in nanoseconds.
pub const KEPT_NS: u64 = 100_000_000;
/// For how long one is good that is shown.
const SHOWN_NS: u64 = 1_000_000;

/// What changes while the process runs. Bytes and seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Resident bytes of the process.
    pub rss: u64,
    /// Time in the program, all threads.
    pub cpu_user_seconds: f64,
    /// Time in the kernel, all threads.
    pub cpu_sys_seconds: f64,
    /// The main thread's time in the program, where the system tells it (Linux, by its clock ticks).
    pub cpu_user_main_thread_seconds: Option<f64>,
    /// The same in the kernel.
    pub cpu_sys_main_thread_seconds: Option<f64>,
    /// Bytes that the program has in use.
    pub in_use: u64,
    /// The allocator: bytes in live allocations, what threads keep for themselves included.
    pub allocated: u64,
    /// Bytes in pages that hold any of them.
    pub active: u64,
    /// Bytes that are resident.
    pub resident: u64,
    /// Bytes of address space that it keeps without memory behind.
    pub retained: u64,
    /// Bytes for its own books.
    pub metadata: u64,
}

/// What stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Facts {
    os: String,
    executable: String,
    total_memory: u64,
    allocator: String,
}

#[derive(Debug, Default)]
struct State {
    last: Option<(u64, Usage)>,
    peak: u64,
    at_startup: u64,
}

/// The process that we are.
#[derive(Debug)]
pub struct Process {
    facts: Facts,
    state: Mutex<State>,
}

impl Default for Process {
    fn default() -> Process {
        Process::new()
    }
}

impl Process {
    /// Reads what stays as it is.
    pub fn new() -> Process {
        let executable = std::env::current_exe().map(|path| path.to_string_lossy().into_owned());
        let facts = Facts {
            os: os(),
            executable: executable.unwrap_or_default(),
            total_memory: total_memory(),
            allocator: allocator_name(),
        };
        Process { facts, state: Mutex::default() }
    }

    /// The figures at a monotonic time, at most [`KEPT_NS`] old. Keeps the peak.
    pub fn usage(&self, now_ns: u64) -> Usage {
        self.look(now_ns, KEPT_NS).1
    }

    /// Notes what the server uses before it holds any data (`used_memory_startup`).
    pub fn note_startup(&self) {
        let usage = measure();
        self.state().at_startup = usage.in_use;
    }

    /// Fills in every figure that comes from here: `os`, `executable`, `process_id`, `mem_allocator`,
    /// `total_system_memory`, the CPU times, descriptors and address space with their limits, `used_memory`, its peak, start and rss, and the allocator's.
    pub fn fill(&self, now_ns: u64, figures: &mut Figures) {
        let ((peak, at_startup), usage) = self.look(now_ns, SHOWN_NS);
        figures.os.clone_from(&self.facts.os);
        figures.executable.clone_from(&self.facts.executable);
        figures.mem_allocator.clone_from(&self.facts.allocator);
        figures.process_id = std::process::id();
        figures.total_system_memory = self.facts.total_memory;
        figures.cpu_user_seconds = usage.cpu_user_seconds;
        figures.cpu_sys_seconds = usage.cpu_sys_seconds;
        figures.cpu_user_main_thread_seconds = usage.cpu_user_main_thread_seconds;
        figures.cpu_sys_main_thread_seconds = usage.cpu_sys_main_thread_seconds;
        figures.used_memory = usage.in_use;
        figures.used_memory_peak = peak;
        figures.used_memory_startup = at_startup;
        figures.used_memory_rss = usage.rss;
        figures.open_fds = open_fds();
        figures.max_fds = limit(Resource::RLIMIT_NOFILE);
        figures.virtual_memory = statm(0);
        figures.virtual_memory_max = limit(Resource::RLIMIT_AS);
        figures.allocator_allocated = usage.allocated;
        figures.allocator_active = usage.active;
        figures.allocator_resident = usage.resident;
        figures.allocator_retained = usage.retained;
        figures.allocator_metadata = usage.metadata;
    }

    fn look(&self, now_ns: u64, kept_ns: u64) -> ((u64, u64), Usage) {
        let mut state = self.state();
        let usage = match state.last {
            Some((then, usage)) if now_ns.saturating_sub(then) < kept_ns => usage,
            _ => {
                let usage = measure();
                state.last = Some((now_ns, usage));
                state.peak = state.peak.max(usage.in_use);
                usage
            }
        };
        ((state.peak, state.at_startup), usage)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A look that panicked left an older answer, not a wrong one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the allocator give back at once what was one large piece (8 MiB and more), and not after ten seconds as it does
/// with all else: a reply that grows as it is made leaves several times its size behind.
///
/// # Errors
///
/// The allocator's own text.
pub fn give_back_large_pieces() -> Result<(), String> {
    // They have an arena of their own, behind the others, which is there from the first of them on.
    drop(std::hint::black_box(Vec::<u8>::with_capacity(16 << 20)));
    let threshold: Result<usize, _> = b"opt.oversize_threshold\0"[..].name().read();
    if threshold.is_ok_and(|bytes| bytes == 0) {
        return Err("it has no arena for large pieces".to_owned());
    }
    let others: u32 = b"opt.narenas\0"[..].name().read().map_err(|error| error.to_string())?;
    let name = format!("arena.{others}.dirty_decay_ms\0");
    name.name().write(0_isize).map_err(|error| error.to_string())
}

/// Gives memory that the allocator holds without need back to the system (MEMORY PURGE). What
/// threads keep for themselves stays with them.
///
/// # Errors
///
/// The allocator's own text.
pub fn purge() -> Result<(), String> {
    let count = arenas::narenas::read().map_err(|error| error.to_string())?;
    for arena in 0..count {
        for kind in ["dirty", "muzzy"] {
            let name = format!("arena.{arena}.{kind}_decay_ms\0");
            // An arena that was never used cannot be asked, and holds nothing.
            let before: Result<isize, _> = name.name().read();
            let Ok(before) = before else { continue };
            // A decay time of zero purges at once; the old one holds from then on.
            name.name().write(0_isize).map_err(|error| error.to_string())?;
            name.name().write(before).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

/// The allocator's own report (MEMORY MALLOC-STATS).
///
/// # Errors
///
/// When the report could not be written to memory.
pub fn allocator_report() -> io::Result<Vec<u8>> {
    let mut report = Vec::new();
    stats_print::stats_print(&mut report, stats_print::Options::default())?;
    Ok(report)
}

/// A number of the allocator's own by its name there (DEBUG MALLCTL), where looking changes nothing.
pub fn allocator_number(name: &str) -> Option<i64> {
    const LOOKED_AT: [&str; 4] = ["arenas.", "stats.", "opt.", "config."];
    let changes = name.ends_with(".create");
    if changes || name.contains('\0') || !LOOKED_AT.iter().any(|part| name.starts_with(part)) {
        return None;
    }
    let name = format!("{name}\0");
    if name.name().value_type_str() {
        return None;
    }
    // What is read has a size of its own, and only the right one is answered.
    let (long, short, flag): (Result<u64, _>, Result<u32, _>, Result<bool, _>) =
        (name.name().read(), name.name().read(), name.name().read());
    let long = long.ok().map(|number| number as i64);
    long.or_else(|| short.ok().map(i64::from)).or_else(|| flag.ok().map(i64::from))
}

/// Whether the allocator's own threads give memory back that has been free for a while (`jemalloc-bg-thread`).
pub fn return_memory_in_background(on: bool) {
    if let Err(error) = b"background_thread\0".name().write(on) {
        tracing::warn!(%error, "The allocator's threads could not be switched");
    }
}

fn measure() -> Usage {
    let (user, sys) = cpu_times();
    let main = main_thread_times();
    // The statistics are those of the last epoch.
    let _ = epoch::advance();
    let in_use = memory::in_use();
    memory::compare(in_use);
    let bytes = |read: Result<usize, tikv_jemalloc_ctl::Error>| read.unwrap_or(0) as u64;
    Usage {
        rss: rss(),
        cpu_user_seconds: user,
        cpu_sys_seconds: sys,
        cpu_user_main_thread_seconds: main.map(|times| times.0),
        cpu_sys_main_thread_seconds: main.map(|times| times.1),
        in_use,
        allocated: bytes(stats::allocated::read()),
        active: bytes(stats::active::read()),
        resident: bytes(stats::resident::read()),
        retained: bytes(stats::retained::read()),
        metadata: bytes(stats::metadata::read()),
    }
}

/// System, release and machine.
fn os() -> String {
    let Ok(name) = nix::sys::utsname::uname() else { return String::new() };
    let parts = [name.sysname(), name.release(), name.machine()];
    parts.map(|part| part.to_string_lossy().into_owned()).join(" ")
}

fn sysconf_u64(what: SysconfVar) -> u64 {
    sysconf(what).ok().flatten().and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
}

fn page_size() -> u64 {
    sysconf_u64(SysconfVar::PAGE_SIZE)
}

/// Memory of the machine, in bytes.
fn total_memory() -> u64 {
    sysconf_u64(SysconfVar::_PHYS_PAGES).saturating_mul(page_size())
}

/// `jemalloc-5.3.0` out of `5.3.0-0-g54eaed1d8b56b1aa528be3bdd1877e59c56fa90c`.
fn allocator_name() -> String {
    let full = version::read().unwrap_or("");
    format!("jemalloc-{}", full.split('-').next().unwrap_or(full))
}

/// Resident bytes.
fn rss() -> u64 {
    statm(1)
}

/// A figure of `/proc/self/statm`, which are pages, in bytes. 0 where there is no such file.
fn statm(at: usize) -> u64 {
    let Ok(text) = std::fs::read_to_string("/proc/self/statm") else { return 0 };
    let pages = text.split_ascii_whitespace().nth(at).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0).saturating_mul(page_size())
}

/// File descriptors that are open: Linux tells their number as the folder's size since 6.2, and before that they
/// are counted.
fn open_fds() -> u64 {
    const FOLDER: &str = "/proc/self/fd";
    match std::fs::metadata(FOLDER).map(|folder| folder.len()) {
        Ok(0) => std::fs::read_dir(FOLDER).map_or(0, |entries| entries.count() as u64),
        Ok(count) => count,
        Err(_) => 0,
    }
}

fn limit(of: Resource) -> u64 {
    getrlimit(of).map_or(0, |(soft, _)| soft)
}

/// User and system seconds of all threads.
fn cpu_times() -> (f64, f64) {
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    match getrusage(UsageWho::RUSAGE_SELF) {
        Ok(usage) => (seconds(usage.user_time()), seconds(usage.system_time())),
        Err(_) => (0.0, 0.0),
    }
}

/// User and system seconds of the main thread, whose id is the process's.
fn main_thread_times() -> Option<(f64, f64)> {
    let process = std::process::id();
    let text = std::fs::read_to_string(format!("/proc/self/task/{process}/stat")).ok()?;
    let ticks_a_second = sysconf_u64(SysconfVar::CLK_TCK);
    let (user, sys) = ticks(&text)?;
    (ticks_a_second > 0).then(|| (user as f64 / ticks_a_second as f64, sys as f64 / ticks_a_second as f64))
}

/// The fields `utime` and `stime` of proc(5)'s stat. The second field, a name in brackets, may hold
/// anything, brackets and spaces included.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    // `state` is the third field of all and the first here; utime is the 14th of all.
    let mut fields = behind_name.split_ascii_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "42 (a b) c) S 1 2 3 4 5 6 7 8 9 10 123 456 0 0 20 0 1";
        assert_eq!(ticks(stat), Some((123, 456)));
        assert_eq!(ticks("42 (a) S 1 2"), None);
        assert_eq!(ticks(""), None);
    }

    #[test]
    fn the_process_is_measured() {
        let process = Process::new();
        let mut figures = Figures::default();
        process.note_startup();
        process.fill(0, &mut figures);
        assert_eq!(figures.process_id, std::process::id());
        assert_eq!(figures.os.split(' ').next(), Some("Linux"));
        assert_eq!(figures.os.split(' ').count(), 3);
        assert!(figures.executable.starts_with('/'), "{}", figures.executable);
        assert!(figures.mem_allocator.starts_with("jemalloc-5."), "{}", figures.mem_allocator);
        assert!(figures.used_memory_rss > 1 << 20);
        assert!(figures.virtual_memory >= figures.used_memory_rss);
        assert!(figures.virtual_memory_max >= figures.virtual_memory);
        assert!((3..figures.max_fds).contains(&figures.open_fds), "{}", figures.open_fds);
        assert!(figures.total_system_memory > figures.used_memory_rss);
        assert!(figures.cpu_user_seconds + figures.cpu_sys_seconds > 0.0);
        assert!(figures.cpu_user_main_thread_seconds.is_some());
        assert!(figures.allocator_resident >= figures.allocator_active);
        assert!(figures.allocator_active >= figures.allocator_allocated);
        assert!(figures.allocator_metadata > 0);
        assert!(figures.used_memory <= figures.allocator_allocated);
    }

    #[test]
    fn an_answer_is_kept_for_a_while_and_the_peak_for_ever() {
        let process = Process::new();
        let first = process.usage(5);
        process.state().last = Some((5, Usage { rss: 7, ..first }));
        process.state().peak = 1 << 60;
        assert_eq!(process.usage(5 + KEPT_NS - 1).rss, 7);
        assert_ne!(process.usage(5 + KEPT_NS).rss, 7);
        let mut figures = Figures::default();
        process.state().last = Some((5 + KEPT_NS, Usage { rss: 7, ..first }));
        process.fill(5 + KEPT_NS + SHOWN_NS, &mut figures);
        assert_ne!(figures.used_memory_rss, 7, "what is shown is of now");
        assert_eq!(figures.used_memory_peak, 1 << 60);
    }

    #[test]
    fn the_allocator_reports_and_purges() {
        purge().expect("purges");
        let report = String::from_utf8_lossy(&allocator_report().expect("a report")).into_owned();
        assert!(report.contains("jemalloc statistics"), "{report}");
        let page = super::allocator_number("arenas.page").expect("a number");
        assert!(page >= 4096 && page.count_ones() == 1, "{page}");
        assert!(super::allocator_number("arenas.narenas").is_some_and(|count| count > 0));
        assert_eq!(super::allocator_number("config.stats"), Some(1));
        for other in
            ["arenas.create", "tcache.create", "nosuch", "", "arenas.page\0x", "stats.nosuch", "version"]
        {
            assert_eq!(super::allocator_number(other), None, "{other}");
        }
    }
}
