//! A worker's Lua states and what it has compiled.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use mlua::{Function, Table};

use super::running::Watch;
use super::sandbox::Sandbox;
use super::shebang::Flags;

/// The SHA-1 of a script.
pub(super) type Sha = [u8; 20];

/// A compiled script.
#[derive(Clone)]
pub(super) struct Compiled {
    /// Its place in [`Scripts::functions`].
    pub(super) place: i64,
    pub(super) flags: Flags,
    pub(super) name: Rc<str>,
    pub(super) trials: Rc<Trials>,
}

/// What was learned from trying code with its declared keys alone. Code that wanted more is not tried for a
/// while, for longer each time it does so again.
#[derive(Debug, Default)]
pub(super) struct Trials {
    /// So many runs take the whole keyspace at once.
    skip: Cell<u32>,
    /// How many it will be after the next failure.
    next: Cell<u32>,
}

impl Trials {
    const FIRST: u32 = 4;
    const MOST: u32 = 1024;

    /// Whether a run that may be tried is not to be.
    pub(super) fn decline(&self) -> bool {
        let skip = self.skip.get();
        self.skip.set(skip.saturating_sub(1));
        skip > 0
    }

    /// How a trial went.
    pub(super) fn learn(&self, failed: bool) {
        if failed {
            let next = self.next.get().clamp(Trials::FIRST, Trials::MOST);
            self.skip.set(next);
            self.next.set(next * 2);
        } else {
            self.next.set(self.next.get() / 2);
        }
    }
}

/// A compiled function of a library.
#[derive(Clone)]
pub(super) struct Registered {
    /// As it was registered: FCALL may write it in other case.
    pub(super) name: Rc<str>,
    pub(super) function: Function,
    pub(super) flags: Flags,
    pub(super) trials: Rc<Trials>,
}

/// One Lua state with the scripts compiled in it.
pub(super) struct Scripts {
    pub(super) sandbox: Sandbox,
    pub(super) compiled: RefCell<HashMap<Sha, Compiled>>,
    /// The compiled functions. A handle for each would not do: there can be no more than some 8,000 handles.
    functions: Table,
    /// The version of the shared scripts that it is up to date with.
    pub(super) version: Cell<u64>,
}

/// What one worker has of one engine.
#[derive(Default)]
pub(super) struct States {
    pub(super) scripts: RefCell<Option<Rc<Scripts>>>,
    pub(super) functions: RefCell<Option<Rc<super::functions::Functions>>>,
}

thread_local! {
    /// The states of this thread by the engine's number: tests have several engines on a thread.
    static STATES: RefCell<HashMap<u64, Rc<States>>> = RefCell::default();
}

/// This thread's states of an engine.
pub(super) fn of(engine: u64) -> Rc<States> {
    STATES.with_borrow_mut(|states| Rc::clone(states.entry(engine).or_default()))
}

impl Scripts {
    pub(super) fn new(watch: Watch, held: Arc<AtomicUsize>, version: u64) -> mlua::Result<Scripts> {
        let sandbox = Sandbox::new(Rc::new(watch), held)?;
        Ok(Scripts {
            functions: sandbox.lua.create_table()?,
            sandbox,
            compiled: RefCell::default(),
            version: Cell::new(version),
        })
    }

    /// Keeps a compiled function. Gives its place.
    pub(super) fn keep(&self, function: Function) -> mlua::Result<i64> {
        let place = self.compiled.borrow().len() as i64 + 1;
        self.functions.raw_set(place, function)?;
        Ok(place)
    }

    /// The function of a script.
    pub(super) fn function(&self, compiled: &Compiled) -> mlua::Result<Function> {
        self.functions.raw_get(compiled.place)
    }
}
