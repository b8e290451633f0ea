//! A unit of work on a stack of its own, which its thread can leave in the middle and come back to.
//!
//! A script may run for as long as it likes, and it stands deep in the worker's stack while it does. For the
//! worker to turn to its other connections meanwhile, to refuse them or to be told to end the script, the
//! work is begun on a stack of its own: [`pause`] goes back to whoever called [`Strand::resume`], and the next
//! `resume` goes on where it paused. Nothing moves to another thread, and whoever never pauses pays for two
//! switches of some nanoseconds.
//!
//! What lives here: the switch. What never does: any knowledge of what is run.

use std::cell::Cell;
use std::io;
use std::marker::PhantomData;
use std::ptr;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

/// What who paused is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// Go on.
    GoOn,
    /// Come to an end, now.
    End,
}

type Pauser = Yielder<Resumed, ()>;

thread_local! {
    /// The strand that runs on this thread.
    static RUNNING: Cell<*const Pauser> = const { Cell::new(ptr::null()) };
}

/// Puts back which strand runs, also when the stack unwinds.
struct PutBack(*const Pauser);

impl Drop for PutBack {
    fn drop(&mut self) {
        RUNNING.set(self.0);
    }
}

/// The address space of a stack: what a thread's has. Memory is used where it is touched.
const STACK_BYTES: usize = 2 << 20;
/// Frames are several times larger without optimisation.
const DEBUG_STACK_BYTES: usize = 16 << 20;

/// A stack that can be used again.
pub struct Stack(DefaultStack);

impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stack")
    }
}

impl Stack {
    /// A stack with a guard page at its end.
    ///
    /// # Errors
    ///
    /// When the system has no more address space.
    pub fn new() -> io::Result<Stack> {
        let bytes = if cfg!(debug_assertions) { DEBUG_STACK_BYTES } else { STACK_BYTES };
        DefaultStack::new(bytes).map(Stack)
    }
}

/// Work on a stack of its own. Dropped in the middle, it is told to end and run until it has.
pub struct Strand<'a, T> {
    coroutine: Option<Coroutine<Resumed, (), T, DefaultStack>>,
    /// What the work borrows.
    borrowed: PhantomData<&'a mut ()>,
}

impl<T> std::fmt::Debug for Strand<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Strand")
    }
}

impl<'a, T> Strand<'a, T> {
    /// Work that begins with the first [`Strand::resume`].
    #[allow(unsafe_code)]
    pub fn new(stack: Stack, work: impl FnOnce() -> T + 'a) -> Strand<'a, T> {
        let body = move |pauser: &Pauser, _: Resumed| {
            RUNNING.set(ptr::from_ref(pauser));
            work()
        };
        // SAFETY: what is unchecked is that `body` and all on its stack outlives the coroutine, for it borrows for
        // 'a only. The strand carries 'a, so it cannot be resumed after it; and a strand that is dropped is
        // run to its end before. One that is leaked leaks its stack with it, and is never run again.
        let coroutine = unsafe { Coroutine::with_stack_unchecked(stack.0, body) };
        Strand { coroutine: Some(coroutine), borrowed: PhantomData }
    }

    /// Runs until the work pauses (`None`) or has ended. A panic of the work comes out here.
    ///
    /// # Panics
    ///
    /// When the work has ended before.
    pub fn resume(&mut self, how: Resumed) -> Option<T> {
        let _before = PutBack(RUNNING.get());
        match self.coroutine.as_mut().map(|coroutine| coroutine.resume(how)) {
            Some(CoroutineResult::Return(value)) => Some(value),
            Some(CoroutineResult::Yield(())) => None,
            None => unreachable!("only what has ended gives its stack back"),
        }
    }

    /// The stack of work that has ended.
    pub fn into_stack(mut self) -> Option<Stack> {
        let ended = self.coroutine.take_if(|coroutine| coroutine.done())?;
        Some(Stack(ended.into_stack()))
    }
}

impl<T> Drop for Strand<'_, T> {
    fn drop(&mut self) {
        while self.coroutine.as_ref().is_some_and(|coroutine| coroutine.started() && !coroutine.done()) {
            self.resume(Resumed::End);
        }
    }
}

/// Goes back to whoever resumed the strand that runs on this thread, until it is resumed again. `None`, at
/// once, outside a strand.
#[allow(unsafe_code)]
pub fn pause() -> Option<Resumed> {
    let running = RUNNING.get();
    // SAFETY: the pointer is null or that of the coroutine that runs now: `resume` puts back what was there before
    // whenever control leaves the coroutine, whichever way; and the pauser lives on the coroutine's own stack.
    let resumed = unsafe { running.as_ref() }?.suspend(());
    RUNNING.set(running);
    Some(resumed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_goes_on_where_it_paused() {
        let mut steps = Vec::new();
        let mut strand = Strand::new(Stack::new().unwrap(), || {
            for step in 0..3 {
                steps.push(step);
                assert_eq!(pause(), Some(Resumed::GoOn));
            }
            "done"
        });
        assert_eq!((0..3).map(|_| strand.resume(Resumed::GoOn)).collect::<Vec<_>>(), [None; 3]);
        assert_eq!(pause(), None, "this is not the strand");
        assert_eq!(strand.resume(Resumed::GoOn), Some("done"));
        let stack = strand.into_stack().unwrap();
        assert_eq!(Strand::new(stack, || 5).resume(Resumed::GoOn), Some(5));
        assert_eq!(steps, [0, 1, 2]);
    }

    #[test]
    fn strands_stand_in_one_another() {
        let mut outer = Strand::new(Stack::new().unwrap(), || {
            let mut inner = Strand::new(Stack::new().unwrap(), || pause().is_some());
            assert_eq!(inner.resume(Resumed::GoOn), None);
            assert!(pause().is_some(), "the outer one pauses while the inner one is in the middle");
            inner.resume(Resumed::GoOn)
        });
        assert_eq!(outer.resume(Resumed::GoOn), None);
        assert_eq!(outer.resume(Resumed::GoOn), Some(Some(true)));
    }

    #[test]
    fn what_is_dropped_in_the_middle_is_run_to_its_end() {
        let told = Cell::new(None);
        let mut strand = Strand::new(Stack::new().unwrap(), || told.set(pause()));
        assert_eq!(strand.resume(Resumed::GoOn), None);
        drop(strand);
        assert_eq!(told.get(), Some(Resumed::End));
        drop(Strand::new(Stack::new().unwrap(), || unreachable!("it never began")));
    }

    #[test]
    fn a_panic_comes_out_where_the_work_was_resumed() {
        let mut strand = Strand::new(Stack::new().unwrap(), || {
            pause();
            panic!("as told");
        });
        assert_eq!(strand.resume(Resumed::GoOn), None::<()>);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| strand.resume(Resumed::GoOn)));
        assert!(caught.is_err());
        assert_eq!(pause(), None);
    }
}
