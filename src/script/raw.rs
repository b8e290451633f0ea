//! `redis.call` and `redis.pcall`, on Lua's own C interface.
//!
//! Through mlua every argument and every value of a reply is a reference that is made and given up again, which costs
//! more than a small command. Here the words are read from Lua's stack and the reply is put onto it.
//!
//! An error of Lua leaves by `longjmp`, past every frame of Rust up to the next protected call, and no destructor
//! runs: "not enough memory" comes from whatever makes a value. So a call has two halves. In the first ([`run`]) Rust
//! does as it likes, and asks of Lua only what cannot fail. In the second ([`give`]) nothing has a destructor.

#![allow(unsafe_code)]

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CStr, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::rc::Rc;

use mlua::ffi;
use mlua::{Function, Lua, lua_State};

use super::call::{self, Came, OUTSIDE, Scratch};
use super::fault::Raised;
use super::running::Watch;

thread_local! {
    /// The watch over the code that runs.
    static WATCH: RefCell<Option<Rc<Watch>>> = const { RefCell::new(None) };
    /// A panic in a command. Nothing of Rust may unwind through Lua: it goes on once Lua has been left.
    static PANIC: RefCell<Option<Box<dyn Any + Send>>> = const { RefCell::new(None) };
}

/// Puts back what was watched before, also when the stack unwinds.
struct Restore(Option<Rc<Watch>>);

impl Drop for Restore {
    fn drop(&mut self) {
        WATCH.set(self.0.take());
    }
}

/// Runs Lua code under a watch.
pub(super) fn watched<R>(watch: &Rc<Watch>, body: impl FnOnce() -> R) -> R {
    let restore = Restore(WATCH.replace(Some(Rc::clone(watch))));
    let ended = body();
    drop(restore);
    if let Some(payload) = PANIC.take() {
        resume_unwind(payload);
    }
    ended
}

/// `redis.call`, which raises errors.
pub(super) fn call(lua: &Lua) -> mlua::Result<Function> {
    // SAFETY: the function leaves one value on the stack or raises an error, and has nothing to drop when it does.
    unsafe { lua.create_c_function(raising) }
}

/// `redis.pcall`, which returns them.
pub(super) fn pcall(lua: &Lua) -> mlua::Result<Function> {
    // SAFETY: as above.
    unsafe { lua.create_c_function(returning) }
}

/// `redis.call`.
///
/// # Safety
/// Lua calls it.
unsafe extern "C-unwind" fn raising(state: *mut lua_State) -> c_int {
    let came = run(state);
    // SAFETY: Lua calls this with a state that runs, and the frames up to Lua have nothing to drop. `came` is of the
    // last call of this thread.
    unsafe { give(state, came) };
    if matches!(came, Came::Error(..)) {
        // SAFETY: as above; the error is on top of the stack.
        unsafe { ffi::lua_error(state) };
    }
    1
}

/// `redis.pcall`.
///
/// # Safety
/// Lua calls it.
unsafe extern "C-unwind" fn returning(state: *mut lua_State) -> c_int {
    let came = run(state);
    // SAFETY: as in `raising`.
    unsafe { give(state, came) };
    1
}

/// The first half of a call: everything but its results.
fn run(state: *mut lua_State) -> Came {
    if PANIC.with_borrow(Option::is_some) {
        return fixed(b"ERR internal error");
    }
    let Some(watch) = WATCH.with_borrow(Clone::clone) else { return fixed_error() };
    let ran = catch_unwind(AssertUnwindSafe(|| call::call(&watch, |words| gather(state, words))));
    ran.unwrap_or_else(|payload| {
        PANIC.set(Some(payload));
        fixed(b"ERR internal error")
    })
}

fn fixed(words: &'static [u8]) -> Came {
    Came::Error(&raw const *words, true)
}

fn fixed_error() -> Came {
    Came::Error(&raw const *OUTSIDE, false)
}

/// Reads the words of a command from the stack.
fn gather(state: *mut lua_State, words: &mut Scratch) -> Result<(), Raised> {
    // SAFETY: the state is the one that called us; to ask for the height of its stack, for types, for a number that is
    // one and for a string that is one changes nothing and cannot fail. The string's bytes are copied while it is on
    // the stack, where the collector does not touch it.
    unsafe {
        for at in 1..=ffi::lua_gettop(state) {
            match ffi::lua_type(state, at) {
                ffi::LUA_TSTRING => {
                    let mut len = 0;
                    let bytes = ffi::lua_tolstring(state, at, &raw mut len);
                    words.word(std::slice::from_raw_parts(bytes.cast(), len));
                }
                ffi::LUA_TNUMBER => words.number(ffi::lua_tonumber(state, at)),
                _ => {
                    let text = b"Lua redis lib command arguments must be strings or integers";
                    return Err(Raised::new(text));
                }
            }
        }
    }
    Ok(())
}

/// The second half: puts a reply, or the table of an error, onto the stack.
///
/// # Safety
/// The state is one that calls a C function, which has been left by nothing that drops; the bytes of `came` stay.
unsafe fn give(state: *mut lua_State, came: Came) {
    // SAFETY: by the caller's promise, here and below. Nothing in this function or in those that it calls has a
    // destructor, so each call of Lua may leave them.
    unsafe {
        ffi::lua_settop(state, 0);
        match came {
            Came::Reply(reply) => Reader { rest: &*reply }.value(state),
            Came::Error(words, counted) => error(state, &*words, counted),
        }
    }
}

/// Pushes an error as scripts see it.
///
/// # Safety
/// As for [`give`].
unsafe fn error(state: *mut lua_State, words: &[u8], counted: bool) {
    // SAFETY: as in `give`.
    unsafe {
        ffi::lua_createtable(state, 0, 2);
        text(state, words);
        ffi::lua_setfield(state, -2, c"err".as_ptr());
        if counted {
            ffi::lua_pushboolean(state, 1);
            ffi::lua_setfield(state, -2, c"ignore_error_stats_update".as_ptr());
        }
    }
}

/// Pushes a string.
///
/// # Safety
/// As for [`give`].
unsafe fn text(state: *mut lua_State, bytes: &[u8]) {
    // SAFETY: as in `give`; the bytes are read within the call.
    unsafe { ffi::lua_pushlstring_(state, bytes.as_ptr().cast(), bytes.len()) }
}

/// Reads a reply of our own encoder. It has no destructor.
struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    /// The text up to the next line's end.
    fn line(&mut self) -> &'b [u8] {
        let end = memchr::memchr(b'\r', self.rest).unwrap_or(self.rest.len());
        let line = &self.rest[..end];
        self.rest = self.rest.get(end + 2..).unwrap_or_default();
        line
    }

    fn count(&mut self) -> i64 {
        crate::data::parse_i64(self.line()).unwrap_or(0)
    }

    fn bytes(&mut self, len: usize) -> &'b [u8] {
        let bytes = self.rest.get(..len).unwrap_or_default();
        self.rest = self.rest.get(len + 2..).unwrap_or_default();
        bytes
    }

    fn double(&mut self) -> f64 {
        std::str::from_utf8(self.line()).ok().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
    }

    /// Pushes the value that comes next.
    ///
    /// # Safety
    /// As for [`give`].
    unsafe fn value(&mut self, state: *mut lua_State) {
        // SAFETY: as in `give`, in the whole body: every value is pushed onto a stack that has been asked for its room.
        unsafe {
            ffi::luaL_checkstack(state, 4, ptr::null());
            let Some((&marker, rest)) = self.rest.split_first() else { return ffi::lua_pushnil(state) };
            self.rest = rest;
            match marker {
                b':' => ffi::lua_pushnumber(state, self.count() as f64),
                b'$' => match self.count() {
                    len if len < 0 => ffi::lua_pushboolean(state, 0),
                    len => text(state, self.bytes(len as usize)),
                },
                b'*' | b'>' => match self.count() {
                    len if len < 0 => ffi::lua_pushboolean(state, 0),
                    len => self.array(state, len as usize),
                },
                b'+' => {
                    ffi::lua_createtable(state, 0, 1);
                    text(state, self.line());
                    ffi::lua_setfield(state, -2, c"ok".as_ptr());
                }
                b'-' => error(state, self.line(), true),
                b'#' => ffi::lua_pushboolean(state, (self.line() == b"t").into()),
                b',' => {
                    ffi::lua_createtable(state, 0, 1);
                    ffi::lua_pushnumber(state, self.double());
                    ffi::lua_setfield(state, -2, c"double".as_ptr());
                }
                b'(' => {
                    ffi::lua_createtable(state, 0, 1);
                    text(state, self.line());
                    ffi::lua_setfield(state, -2, c"big_number".as_ptr());
                }
                b'%' => self.pairs(state, c"map", true),
                b'~' => self.pairs(state, c"set", false),
                b'=' => self.verbatim(state),
                b'|' => {
                    // Scripts see no attributes, only the value behind them.
                    for _ in 0..self.count().max(0).saturating_mul(2) {
                        self.value(state);
                        ffi::lua_settop(state, -2);
                    }
                    self.value(state);
                }
                _ => {
                    self.line();
                    ffi::lua_pushnil(state);
                }
            }
        }
    }

    /// # Safety
    /// As for [`give`].
    unsafe fn array(&mut self, state: *mut lua_State, len: usize) {
        let len = c_int::try_from(len).unwrap_or(c_int::MAX);
        // SAFETY: as in `value`.
        unsafe {
            ffi::lua_createtable(state, len, 0);
            for at in 1..=len {
                self.value(state);
                ffi::lua_rawseti_(state, -2, at);
            }
        }
    }

    /// A map, or a set, whose members are keys to `true`.
    ///
    /// # Safety
    /// As for [`give`].
    unsafe fn pairs(&mut self, state: *mut lua_State, name: &'static CStr, map: bool) {
        // SAFETY: as in `value`.
        unsafe {
            ffi::lua_createtable(state, 0, 1);
            ffi::lua_createtable(state, 0, 0);
            for _ in 0..self.count() {
                self.value(state);
                if map {
                    self.value(state);
                } else {
                    ffi::lua_pushboolean(state, 1);
                }
                ffi::lua_rawset(state, -3);
            }
            ffi::lua_setfield(state, -2, name.as_ptr());
        }
    }

    /// # Safety
    /// As for [`give`].
    unsafe fn verbatim(&mut self, state: *mut lua_State) {
        let len = usize::try_from(self.count()).unwrap_or(0);
        let bytes = self.bytes(len);
        // SAFETY: as in `value`.
        unsafe {
            ffi::lua_createtable(state, 0, 1);
            ffi::lua_createtable(state, 0, 2);
            text(state, bytes.get(4..).unwrap_or_default());
            ffi::lua_setfield(state, -2, c"string".as_ptr());
            text(state, bytes.get(..3).unwrap_or_default());
            ffi::lua_setfield(state, -2, c"format".as_ptr());
            ffi::lua_setfield(state, -2, c"verbatim_string".as_ptr());
        }
    }
}
