//! Timers on threads' processor time, and what the signal that they send does.
//!
//! A handler of signals may do very little: whatever it interrupted may hold any lock and be in the middle of any
//! allocation. This one takes a free place by a try that never waits, copies registers into it, and has the kernel copy
//! the stack: a read of `/proc/self/mem` ends at an address that is not mapped, where a plain one would end the process.
//! (`process_vm_readv` would do the same, but the usual filter of a container forbids it.) Every place is there before the
//! first timer is.
//!
//! The handler stays when a profile has ended, since a signal may still be under way, and whatever else SIGPROF
//! would do, by default, is to end the process. `SA_RESTART` keeps interrupted system calls from failing.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc::{c_int, c_void, siginfo_t, ucontext_t};
use nix::sys::signal::{SaFlags, SigAction, SigEvent, SigHandler, SigSet, SigevNotify, Signal, sigaction};
use nix::sys::time::TimeSpec;
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;
use nix::unistd::gettid;

/// Copies that may wait to be looked at.
const PLACES: usize = 128;
/// Places that a thread tries before its sample is lost.
const TRIES: usize = 8;
/// Of a stack, from where the thread stands in it. Frames are several times larger without optimisation.
pub(super) const STACK_BYTES: usize = if cfg!(debug_assertions) { 256 << 10 } else { 64 << 10 };
/// This process's memory as a file: an address is an offset.
pub(super) const MEMORY: &str = "/proc/self/mem";

/// What unwinding needs of a thread's registers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Registers {
    /// Where the thread is in the code.
    pub(super) pc: u64,
    /// Where it is in its stack.
    pub(super) sp: u64,
    /// The frame pointer, where the code keeps one.
    pub(super) fp: u64,
    /// The link register.
    #[cfg(target_arch = "aarch64")]
    pub(super) lr: u64,
}

impl Registers {
    #[cfg(target_arch = "x86_64")]
    fn of(context: &ucontext_t) -> Registers {
        use nix::libc::{REG_RBP, REG_RIP, REG_RSP};
        let of = |register: c_int| context.uc_mcontext.gregs[register as usize].cast_unsigned();
        Registers { pc: of(REG_RIP), sp: of(REG_RSP), fp: of(REG_RBP) }
    }

    #[cfg(target_arch = "aarch64")]
    fn of(context: &ucontext_t) -> Registers {
        let machine = &context.uc_mcontext;
        Registers { pc: machine.pc, sp: machine.sp, fp: machine.regs[29], lr: machine.regs[30] }
    }
}

/// A thread at one instant.
pub(super) struct Sample<'a> {
    pub(super) thread: i32,
    pub(super) registers: Registers,
    /// From the stack pointer on.
    pub(super) stack: &'a [u8],
}

/// Where one sample goes.
struct Place {
    room: Option<Room>,
    taken: Option<Taken>,
}

struct Room {
    stack: Vec<u8>,
    memory: Arc<File>,
}

struct Taken {
    thread: i32,
    registers: Registers,
    stack_bytes: usize,
}

impl Place {
    const NONE: Place = Place { room: None, taken: None };
}

static PLACES_OF_SAMPLES: [Mutex<Place>; PLACES] = [const { Mutex::new(Place::NONE) }; PLACES];
/// Where the next sample looks first.
static NEXT: AtomicUsize = AtomicUsize::new(0);
/// Samples that found no place.
static LOST: AtomicU64 = AtomicU64::new(0);
/// Whether a signal means anything.
static SAMPLING: AtomicBool = AtomicBool::new(false);

#[allow(unsafe_code)]
extern "C" fn on_signal(_: c_int, _: *mut siginfo_t, context: *mut c_void) {
    let errno = Errno::last_raw();
    // SAFETY: it is installed with SA_SIGINFO, so the kernel's third argument points to the context of what was
    // interrupted, which is there until the handler returns and is changed by nobody else.
    let context = unsafe { context.cast::<ucontext_t>().as_ref() };
    if let Some(context) = context
        && SAMPLING.load(Ordering::Acquire)
    {
        keep(Registers::of(context));
    }
    Errno::set_raw(errno);
}

/// Copies the calling thread's stack into a free place.
fn keep(registers: Registers) {
    for _ in 0..TRIES {
        let at = NEXT.fetch_add(1, Ordering::Relaxed) % PLACES;
        let mut place = match PLACES_OF_SAMPLES[at].try_lock() {
            Ok(place) => place,
            Err(TryLockError::Poisoned(place)) => place.into_inner(),
            // Another sample goes there, or it is looked at, perhaps by the very thread that was interrupted.
            Err(TryLockError::WouldBlock) => continue,
        };
        if place.taken.is_none()
            && let Some(Room { stack, memory }) = &mut place.room
        {
            // As far as it is mapped.
            let stack_bytes = memory.read_at(stack, registers.sp).unwrap_or(0);
            place.taken = Some(Taken { thread: gettid().as_raw(), registers, stack_bytes });
            return;
        }
    }
    LOST.fetch_add(1, Ordering::Relaxed);
}

/// Timers on all threads, and the places; dropped, both are gone.
pub(super) struct Sampler {
    period: TimeSpec,
    timers: HashMap<i32, Timer>,
    names: HashMap<i32, String>,
}

impl Sampler {
    /// Begins to sample every thread so many times in a second of its processor time.
    ///
    /// # Errors
    /// When the system refuses signals, timers or the copy of a stack.
    pub(super) fn start(hz: u32) -> io::Result<Sampler> {
        let memory = Arc::new(own_memory()?);
        install()?;
        for place in &PLACES_OF_SAMPLES {
            let room = Room { stack: vec![0; STACK_BYTES], memory: Arc::clone(&memory) };
            *locked(place) = Place { room: Some(room), taken: None };
        }
        LOST.store(0, Ordering::Relaxed);
        let period = TimeSpec::from(Duration::from_secs(1) / hz.max(1));
        let mut sampler = Sampler { period, timers: HashMap::new(), names: HashMap::new() };
        SAMPLING.store(true, Ordering::Release);
        sampler.find_threads()?;
        Ok(sampler)
    }

    /// Gives every thread a timer that has none, and ends those of threads that are gone.
    pub(super) fn find_threads(&mut self) -> io::Result<()> {
        let mut there = Vec::new();
        for entry in fs::read_dir("/proc/self/task")? {
            there.extend(entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()));
        }
        self.timers.retain(|thread, _| there.contains(thread));
        let mut refused = None;
        for thread in there {
            if self.timers.contains_key(&thread) {
                continue;
            }
            match timer_on(thread, self.period) {
                Ok(timer) => {
                    self.timers.insert(thread, timer);
                    let name = fs::read_to_string(format!("/proc/self/task/{thread}/comm"));
                    self.names.insert(thread, name.unwrap_or_default().trim_end().to_owned());
                }
                // It may have ended since.
                Err(error) => refused = Some(error),
            }
        }
        match refused {
            Some(error) if self.timers.is_empty() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Hands over the samples that have come, and makes their places free.
    pub(super) fn each(&self, mut see: impl FnMut(&Sample<'_>)) {
        for place in &PLACES_OF_SAMPLES {
            let mut place = locked(place);
            if let Some(Taken { thread, registers, stack_bytes }) = place.taken.take() {
                let stack =
                    place.room.as_ref().and_then(|room| room.stack.get(..stack_bytes)).unwrap_or_default();
                see(&Sample { thread, registers, stack });
            }
        }
    }

    /// Ends it: the names of the threads that were there, and how many samples found no place.
    pub(super) fn stop(mut self, see: impl FnMut(&Sample<'_>)) -> (HashMap<i32, String>, u64) {
        self.timers.clear();
        self.each(see);
        (std::mem::take(&mut self.names), LOST.load(Ordering::Relaxed))
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.timers.clear();
        SAMPLING.store(false, Ordering::Release);
        for place in &PLACES_OF_SAMPLES {
            *locked(place) = Place::NONE;
        }
    }
}

fn locked(place: &Mutex<Place>) -> MutexGuard<'_, Place> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A timer that sends the thread a signal whenever it has run for so long.
fn timer_on(thread: i32, period: TimeSpec) -> nix::Result<Timer> {
    // The kernel's number for the time that one thread has run (`CPUCLOCK_SCHED` and `CPUCLOCK_PERTHREAD_MASK` of
    // its posix-timers.h), which glibc makes the same way for a thread that it knows.
    let clock = ClockId::from_raw((!thread << 3) | 6);
    let notify = SigevNotify::SigevThreadId { signal: Signal::SIGPROF, thread_id: thread, si_value: 0 };
    let mut timer = Timer::new(clock, SigEvent::new(notify))?;
    timer.set(Expiration::IntervalDelayed(period, period), TimerSetTimeFlags::empty())?;
    Ok(timer)
}

#[allow(unsafe_code)]
fn install() -> io::Result<()> {
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_RESTART;
    let action = SigAction::new(SigHandler::SigAction(on_signal), flags, SigSet::empty());
    // SAFETY: the handler does nothing that is not safe in a signal: atomics, tries of locks that never wait, system
    // calls, and writes to memory that was there before; it keeps `errno` and cannot panic but by a wrong index, which
    // ends the process and never unwinds. Nobody else in this program wants SIGPROF.
    unsafe { sigaction(Signal::SIGPROF, &action) }?;
    Ok(())
}

/// This process's memory, if it may read that by way of the kernel.
fn own_memory() -> io::Result<File> {
    let memory = File::open(MEMORY)?;
    let known = [0x5au8; 16];
    let mut copy = [0u8; 16];
    memory.read_exact_at(&mut copy, known.as_ptr() as usize as u64)?;
    match copy == known {
        true => Ok(memory),
        false => Err(io::Error::other("a copy of memory is not what was copied")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_not_mapped_ends_a_copy_and_nothing_else() {
        let memory = own_memory().unwrap();
        let mut room = vec![0; STACK_BYTES];
        for nowhere in [0, 8, 1 << 62, u64::MAX - 3] {
            assert_eq!(memory.read_at(&mut room, nowhere).unwrap_or(0), 0, "{nowhere:#x}");
        }
        let known = vec![7u8; 3 * STACK_BYTES];
        let from = known.as_ptr() as usize + 5;
        assert_eq!(memory.read_at(&mut room, from as u64).unwrap(), STACK_BYTES);
        assert_eq!(room, known[..STACK_BYTES]);
    }

    #[test]
    fn a_thread_that_is_not_there_has_no_timer() {
        assert!(timer_on(i32::MAX >> 4, TimeSpec::new(1, 0)).is_err());
    }
}
