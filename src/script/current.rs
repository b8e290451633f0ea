//! The context of the command that runs on this thread, for callbacks of Lua.
//!
//! `redis.call` is a function of the Lua state and lives as long as it; the context lives as long as one
//! command. A reference cannot express that, so the context's address is kept for the time of the call.

use std::cell::Cell;
use std::ptr;

use crate::command::Context;

thread_local! {
    static CURRENT: Cell<*mut Context<'static>> = const { Cell::new(ptr::null_mut()) };
}

/// Puts the address back, also when the stack unwinds.
struct Restore(*mut Context<'static>);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Runs `body`, in which [`with`] reaches this context.
pub(super) fn enter<R>(ctx: &mut Context<'_>, body: impl FnOnce() -> R) -> R {
    let address = ptr::from_mut(ctx).cast::<Context<'static>>();
    let _restore = Restore(CURRENT.replace(address));
    body()
}

/// Runs `body`, in which other contexts of this thread may come and go.
pub(super) fn apart<R>(body: impl FnOnce() -> R) -> R {
    let _restore = Restore(CURRENT.replace(ptr::null_mut()));
    body()
}

/// Gives the context of the script that runs on this thread to `work`; `None` outside a script, and inside
/// `work` itself.
#[allow(unsafe_code)]
pub(super) fn with<R>(work: impl for<'c, 'a> FnOnce(&'c mut Context<'a>) -> R) -> Option<R> {
    let address = CURRENT.replace(ptr::null_mut());
    let _restore = Restore(address);
    // SAFETY: the address is null or that of the context which an `enter` further up on this thread's stack
    // has borrowed exclusively; that `enter` takes the address away before its borrow ends. It is taken away
    // here too while `work` runs, so there is no second reference. `work` is generic over both lifetimes
    // and can keep nothing.
    unsafe { address.as_mut() }.map(work)
}
