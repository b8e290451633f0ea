//! Makes a Lua state in which scripts can be run.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mlua::{ChunkMode, Function, HookTriggers, Lua, LuaOptions, StdLib, Table, Value, VmState};

use super::fault::{self, Raised};
use super::running::{Ending, Watch};
use super::{api, lib, raw};

/// How many instructions pass between two looks at the time.
const LOOK_EVERY: u32 = 100_000;

/// A Lua state with its sandbox.
pub(super) struct Sandbox {
    pub(super) lua: Lua,
    /// What scripts know as `_G`: every chunk gets it as its environment.
    pub(super) globals: Table,
    /// The table behind it, where KEYS and ARGV are set.
    pub(super) base: Table,
    run: Function,
    protect: Function,
    show: Function,
    handler: Function,
    pub(super) watch: Rc<Watch>,
    /// What it may hold. A script that wants more gets "not enough memory".
    limit: Cell<usize>,
    full: Cell<bool>,
    /// Where others read how much it holds.
    held: Arc<AtomicUsize>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl Sandbox {
    pub(super) fn new(watch: Rc<Watch>, held: Arc<AtomicUsize>) -> mlua::Result<Sandbox> {
        let lua = Lua::new_with(
            StdLib::TABLE | StdLib::STRING | StdLib::MATH,
            LuaOptions::new().catch_rust_panics(false),
        )?;
        let native = lua.create_table()?;
        native.raw_set("redis", api::redis(&lua, &watch)?)?;
        native.raw_set("math", api::math(&lua, &watch)?)?;
        lib::add(&lua, &native)?;
        let convert = lua.create_function(|lua, value: Value| match value {
            Value::Error(error) => fault::plain(lua, &error),
            other => Ok(other),
        })?;
        let place = lua.create_table()?;
        let compile = compile_function(&lua, &place)?;
        let deprecated = watch.deprecated_api();
        let (globals, base, run, protect, show) = lua
            .load(include_str!("sandbox.lua"))
            .set_name("=sandbox")
            .call::<(Table, Table, Function, Function, Function)>((native, convert, compile, deprecated))?;
        place.raw_set("globals", &globals)?;
        let handler = lua.create_function(handle)?;
        hook(&lua, &watch)?;
        let sandbox = Sandbox {
            lua,
            globals,
            base,
            run,
            protect,
            show,
            handler,
            watch,
            limit: Cell::new(0),
            full: Cell::new(false),
            held,
        };
        // What making it has left behind is as much as what stays.
        sandbox.lua.gc_collect()?;
        sandbox.measure();
        Ok(sandbox)
    }

    /// Compiles text. Bytecode is refused: crafted bytecode can read and write any memory.
    pub(super) fn compile(&self, code: &[u8], name: &str) -> Result<Function, String> {
        compile(&self.lua, code, name, &self.globals)
    }

    /// Runs a compiled chunk or a function. What it returns, or the error as a table (or, when memory ran
    /// out, a string).
    pub(super) fn call(&self, body: &Function, arguments: Option<(Table, Table)>) -> Result<Value, Value> {
        let limit = self.watch.memory_limit();
        if self.limit.replace(limit) != limit {
            self.lua
                .set_memory_limit(limit)
                .map_err(|error| fault::plain(&self.lua, &error).unwrap_or(Value::Nil))?;
        }
        // What mlua panics at is that there are more than some 8,000 values at once in our hands: arguments of one
        // call, or results.
        let ended = raw::watched(&self.watch, || {
            catch_unwind(AssertUnwindSafe(|| match arguments {
                Some((keys, args)) => self.run.call::<(bool, Value)>((&self.handler, body, keys, args)),
                None => self.run.call((&self.handler, body)),
            }))
        });
        let ended = ended.unwrap_or_else(|_| {
            self.full.set(true);
            Err(Raised::new(b"too many values in one call").raise())
        });
        if self.watch.was_killed() {
            // Every line ends in an error once a script is killed; the next one starts afresh.
            self.watch.reset_kill();
            if hook(&self.lua, &self.watch).is_err() {
                tracing::warn!("the watch over scripts could not be set again");
            }
        }
        // Lua refuses what goes beyond the limit without having collected first.
        if self.lua.used_memory() > limit / 2 {
            let _ = self.lua.gc_collect();
            self.full.set(self.full.get() || self.lua.used_memory() > limit / 2);
        }
        match ended {
            Ok((true, value)) => Ok(value),
            Ok((false, error)) => Err(error),
            Err(error) => Err(fault::plain(&self.lua, &error).unwrap_or(Value::Nil)),
        }
    }

    /// Says how much it holds now.
    pub(super) fn measure(&self) {
        self.held.store(self.lua.used_memory(), Ordering::Relaxed);
    }

    /// Whether so much is held for good that the state had better be made anew.
    pub(super) fn is_full(&self) -> bool {
        self.full.get()
    }

    /// What `_G` stands in front of, from now on.
    pub(super) fn show(&self, table: &Table) -> mlua::Result<()> {
        self.show.call(table)
    }

    /// The read-only front of a table.
    pub(super) fn protect(&self, table: Table) -> mlua::Result<Table> {
        self.protect.call(table)
    }
}

/// What a script is given at once without asking whether its memory suffices.
const FREE_BYTES: usize = 4 * 1024;

/// Makes Lua values of `bytes` bytes. While there is a limit of memory, mlua makes each of them in a protected call of
/// its own, which costs more than all else: for a few bytes the limit is lifted meanwhile. What they add counts from
/// the script's own next step on.
pub(super) fn give<T>(lua: &Lua, bytes: usize, make: impl FnOnce() -> mlua::Result<T>) -> mlua::Result<T> {
    if bytes > FREE_BYTES {
        return make();
    }
    let limit = lua.set_memory_limit(0)?;
    let made = make();
    lua.set_memory_limit(limit)?;
    made
}

fn compile(lua: &Lua, code: &[u8], name: &str, globals: &Table) -> Result<Function, String> {
    // The parser keeps the name where the collector does not look; here it does.
    let _kept = lua.create_string(name).map_err(|_| "not enough memory".to_owned())?;
    lua.load(code)
        .set_name(name)
        .set_mode(ChunkMode::Text)
        .set_environment(globals.clone())
        .into_function()
        .map_err(|error| match error {
            mlua::Error::SyntaxError { message, .. } => message,
            mlua::Error::MemoryError(_) => "not enough memory".to_owned(),
            other => other.to_string(),
        })
}

/// `loadstring`: the function, or nil and the error.
fn compile_function(lua: &Lua, place: &Table) -> mlua::Result<Function> {
    let place = place.clone();
    lua.create_function(move |lua, (code, name): (mlua::String, mlua::String)| {
        let globals: Table = place.raw_get("globals")?;
        let name = name
            .as_bytes()
            .iter()
            .map(|&byte| if byte == 0 { ' ' } else { byte as char })
            .collect::<String>();
        match compile(lua, &code.as_bytes(), &name, &globals) {
            Ok(function) => Ok((Value::Function(function), Value::Nil)),
            Err(error) => Ok((Value::Nil, Value::String(lua.create_string(error)?))),
        }
    })
}

/// The handler of a script's errors: a table with the words and the place.
fn handle(lua: &Lua, error: Value) -> mlua::Result<Value> {
    let error = match error {
        Value::Error(error) => fault::plain(lua, &error)?,
        other => other,
    };
    let place = |level: usize| {
        lua.inspect_stack(level, |debug| {
            let source = debug.source();
            let text = source.source.map(|text| text.into_owned()).unwrap_or_default();
            (
                source.what == "C" || text == "=sandbox" || text == "=(tail call)",
                text,
                debug.current_line().map_or(-1, |line| line as i64),
            )
        })
    };
    // The frames of callbacks and of the sandbox are passed over: the place is where the script called them.
    let found = (1..8).map_while(place).find(|(ours, _, _)| !ours);
    let table = match error {
        Value::Table(table) => table,
        other => {
            let words = match &other {
                Value::String(words) => words.as_bytes().to_vec(),
                other => other.to_string()?.into_bytes(),
            };
            let text = match (&found, behind_sandbox(&words)) {
                (Some((_, source, line)), Some(rest)) => {
                    let place = format!("ERR {}:{line}: ", source.trim_start_matches('@'));
                    [place.as_bytes(), rest].concat()
                }
                (None, Some(rest)) => [b"ERR ", rest].concat(),
                _ => [b"ERR ", &words[..]].concat(),
            };
            let table = lua.create_table()?;
            table.raw_set("err", lua.create_string(&text)?)?;
            table
        }
    };
    if let Some((_, source, line)) = found {
        table.raw_set("source", source)?;
        table.raw_set("line", line)?;
    }
    Ok(Value::Table(table))
}

/// The words of an error that one of Lua's own functions raised behind a form of the sandbox.
fn behind_sandbox(words: &[u8]) -> Option<&[u8]> {
    let placed = words.strip_prefix(b"sandbox:")?;
    let digits = placed.iter().take_while(|byte| byte.is_ascii_digit()).count();
    placed[digits..].strip_prefix(b": ")
}

/// Looks at the time, and whether the script is to be killed, every so many instructions.
fn hook(lua: &Lua, watch: &Rc<Watch>) -> mlua::Result<()> {
    let looking = Rc::clone(watch);
    lua.set_global_hook(HookTriggers::new().every_nth_instruction(LOOK_EVERY), move |lua, _| {
        let Some(ending) = looking.look() else { return Ok(VmState::Continue) };
        // From now on every line fails, so that no pcall can go on.
        lua.set_global_hook(HookTriggers::EVERY_LINE, move |_, _| Err(ended(ending)))?;
        Err(ended(ending))
    })
}

fn ended(ending: Ending) -> mlua::Error {
    let words: &[u8] = match ending {
        Ending::Killed => b"Script killed by user with SCRIPT KILL...",
        Ending::GaveUp => b"the script is run again",
        Ending::LoadTimeout => b"FUNCTION LOAD timeout",
    };
    Raised::new(words).raise()
}
