//! Libraries of functions: what all workers share, and what one has loaded of it.
//!
//! A library is code that registers functions when it is run. The worker that gets FUNCTION LOAD runs it and,
//! if all is well, keeps its text for all; the others run it when they next need a function. So what a library
//! keeps in its own variables is a worker's own.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mlua::{MultiValue, Table, Value};

use crate::command::CommandError;
use crate::command::ports::{Library, LibraryFunction};

use super::engine::{ScriptEngine, no_state};
use super::fault::Raised;
use super::sandbox::Sandbox;
use super::shebang::{self, Flags};
use super::state::Registered;

/// A library that is loaded, with a number that no other has.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) id: u64,
    pub(super) library: Arc<Library>,
}

/// All libraries.
#[derive(Debug, Default)]
pub(super) struct Libraries {
    all: Mutex<BTreeMap<String, Kept>>,
    version: AtomicU64,
    pub(super) next: AtomicU64,
}

impl Libraries {
    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn changed(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }

    pub(super) fn delete(&self, name: &str) -> bool {
        let found = self.lock().remove(name).is_some();
        if found {
            self.changed();
        }
        found
    }

    pub(super) fn flush(&self) {
        self.lock().clear();
        self.changed();
    }

    pub(super) fn all(&self) -> Vec<Library> {
        self.lock().values().map(|kept| Library::clone(&kept.library)).collect()
    }

    pub(super) fn has_function(&self, name: &str) -> bool {
        let is_it = |function: &LibraryFunction| function.name.eq_ignore_ascii_case(name);
        self.lock().values().any(|kept| kept.library.functions.iter().any(is_it))
    }

    /// What a function says of itself.
    pub(super) fn flags(&self, name: &str) -> Option<Flags> {
        let is_it = |function: &&LibraryFunction| function.name.eq_ignore_ascii_case(name);
        let all = self.lock();
        let function = all.values().find_map(|kept| kept.library.functions.iter().find(is_it))?;
        Some(Flags::of_names(&function.flags))
    }
}

/// What a library registers while it is loaded.
#[derive(Default)]
pub(super) struct Loading {
    /// By [`folded`] name, with its description.
    functions: BTreeMap<String, (Registered, Option<Vec<u8>>)>,
}

/// One worker's libraries.
pub(super) struct Functions {
    pub(super) sandbox: Sandbox,
    /// By name in lower case: FCALL finds them in any.
    by_name: RefCell<HashMap<String, (u64, Registered)>>,
    version: Cell<u64>,
    loading: Rc<RefCell<Option<Loading>>>,
    /// All that code may name while it is loaded.
    narrow: Table,
}

impl Functions {
    fn new(sandbox: Sandbox) -> mlua::Result<Functions> {
        let loading: Rc<RefCell<Option<Loading>>> = Rc::default();
        let lua = &sandbox.lua;
        let redis: Value = sandbox.base.raw_get("redis")?;
        let narrow = lua.create_table()?;
        let own = Rc::clone(&loading);
        narrow.raw_set(
            "register_function",
            lua.create_function(move |_, arguments: MultiValue| {
                let mut loading = own.borrow_mut();
                let Some(loading) = &mut *loading else {
                    let text = b"redis.register_function can only be called on FUNCTION LOAD command";
                    return Err(Raised::new(text).raise());
                };
                register(loading, &arguments).map_err(|text| Raised::new(text.as_bytes()).raise())
            })?,
        )?;
        if let Value::Table(full) = &redis {
            for name in [
                "log",
                "LOG_DEBUG",
                "LOG_VERBOSE",
                "LOG_NOTICE",
                "LOG_WARNING",
                "REDIS_VERSION",
                "REDIS_VERSION_NUM",
            ] {
                narrow.raw_set(name, full.get::<Value>(name)?)?;
            }
        }
        // What it lacks is answered as a missing global is.
        narrow.set_metatable(sandbox.base.metatable())?;
        let narrow_redis = sandbox.protect(narrow)?;
        let narrow = lua.create_table()?;
        narrow.raw_set("redis", narrow_redis)?;
        narrow.set_metatable(sandbox.base.metatable())?;
        Ok(Functions { by_name: RefCell::default(), version: Cell::new(0), loading, narrow, sandbox })
    }

    pub(super) fn find(&self, name: &str) -> Option<Registered> {
        self.by_name.borrow().get(&folded(name)).map(|(_, function)| function.clone())
    }

    /// Runs a library's code and gives what it registered.
    pub(super) fn load(&self, code: &[u8]) -> Result<Loading, CommandError> {
        let (_, begin) = shebang::of_library(code).map_err(CommandError::err)?;
        let body = self
            .sandbox
            .compile(&code[begin..], "@user_function")
            .map_err(|error| CommandError::err(format_args!("Error compiling function: {error}")))?;
        *self.loading.borrow_mut() = Some(Loading::default());
        self.sandbox.show(&self.narrow).map_err(no_state)?;
        self.sandbox.watch.begin_load();
        let ended = self.sandbox.call(&body, None);
        self.sandbox.watch.end_load();
        self.sandbox.show(&self.sandbox.base).map_err(no_state)?;
        let loaded = self.loading.borrow_mut().take().unwrap_or_default();
        match ended {
            Ok(_) => Ok(loaded),
            Err(error) => {
                Err(CommandError::err(format_args!("Error registering functions: {}", words(&error))))
            }
        }
    }

    fn keep(&self, id: u64, loaded: Loading) {
        let mut by_name = self.by_name.borrow_mut();
        for (name, (function, _)) in loaded.functions {
            by_name.insert(name, (id, function));
        }
    }
}

/// Names of functions differ by more than case.
pub(super) fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}

fn words(error: &Value) -> String {
    let text = match error {
        Value::Table(table) => table.raw_get::<Value>("err").ok(),
        other => Some(other.clone()),
    };
    match text {
        Some(Value::String(text)) => String::from_utf8_lossy(&text.as_bytes()).into_owned(),
        _ => "unknown error".to_owned(),
    }
}

/// Reads the arguments of `redis.register_function`.
fn register(loading: &mut Loading, arguments: &MultiValue) -> Result<(), String> {
    let (name, function, flags, description) = match arguments.len() {
        1 => named(arguments)?,
        2 => {
            let Some(name) = string(arguments.front()) else {
                return Err("first argument to redis.register_function must be a string".to_owned());
            };
            let Some(Value::Function(function)) = arguments.get(1) else {
                return Err("second argument to redis.register_function must be a function".to_owned());
            };
            (name, function.clone(), Flags(0), None)
        }
        _ => return Err("wrong number of arguments to redis.register_function".to_owned()),
    };
    if !shebang::is_name(&name) {
        return Err(
            "Library names can only contain letters, numbers, or underscores(_) and must be at least one \
                    character long"
                .to_owned(),
        );
    }
    let name = String::from_utf8_lossy(&name).into_owned();
    if loading.functions.contains_key(&folded(&name)) {
        return Err("Function already exists in the library".to_owned());
    }
    let registered = Registered { name: name.as_str().into(), function, flags, trials: Rc::default() };
    loading.functions.insert(folded(&name), (registered, description));
    Ok(())
}

type Named = (Vec<u8>, mlua::Function, Flags, Option<Vec<u8>>);

fn named(arguments: &MultiValue) -> Result<Named, String> {
    let Some(Value::Table(table)) = arguments.front() else {
        return Err(
            "calling redis.register_function with a single argument is only applicable to Lua table \
                    (representing named arguments)."
                .to_owned(),
        );
    };
    let (mut name, mut function, mut flags, mut description) = (None, None, Flags(0), None);
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(|error| error.to_string())?;
        let Some(key) = string(Some(&key)) else {
            return Err("named argument key given to redis.register_function is not a string".to_owned());
        };
        match &key.to_ascii_lowercase()[..] {
            b"function_name" => match string(Some(&value)) {
                Some(given) => name = Some(given),
                None => {
                    return Err(
                        "function_name argument given to redis.register_function must be a string".to_owned()
                    );
                }
            },
            b"description" => match string(Some(&value)) {
                Some(given) => description = Some(given),
                None => {
                    return Err(
                        "description argument given to redis.register_function must be a string".to_owned()
                    );
                }
            },
            b"callback" => match value {
                Value::Function(given) => function = Some(given),
                _ => {
                    return Err(
                        "callback argument given to redis.register_function must be a function".to_owned()
                    );
                }
            },
            b"flags" => match value {
                Value::Table(given) => flags = read_flags(&given)?,
                _ => return Err(
                    "flags argument to redis.register_function must be a table representing function flags"
                        .to_owned(),
                ),
            },
            _ => return Err("unknown argument given to redis.register_function".to_owned()),
        }
    }
    let name = name.ok_or("redis.register_function must get a function name argument")?;
    let function = function.ok_or("redis.register_function must get a callback argument")?;
    Ok((name, function, flags, description))
}

fn read_flags(table: &Table) -> Result<Flags, String> {
    let mut flags = Flags(0);
    for flag in table.sequence_values::<Value>() {
        let flag = flag.ok().and_then(|flag| string(Some(&flag)));
        let known = flag.and_then(|flag| Flags::named(&flag.to_ascii_lowercase()));
        flags.0 |= known.ok_or("unknown flag given")?;
    }
    Ok(flags)
}

fn string(value: Option<&Value>) -> Option<Vec<u8>> {
    match value? {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Integer(number) => Some(number.to_string().into_bytes()),
        Value::Number(number) => Some(super::convert::general(*number, 14).into_bytes()),
        _ => None,
    }
}

impl ScriptEngine {
    /// This worker's functions, up to date.
    pub(super) fn functions(&self) -> Result<Rc<Functions>, CommandError> {
        let states = self.states();
        let mut slot = states.functions.borrow_mut();
        let functions = match &*slot {
            Some(functions) => Rc::clone(functions),
            None => {
                let sandbox =
                    Sandbox::new(Rc::new(self.watch()), self.function_states.join()).map_err(no_state)?;
                Rc::clone(slot.insert(Rc::new(Functions::new(sandbox).map_err(no_state)?)))
            }
        };
        drop(slot);
        self.follow(&functions)?;
        Ok(functions)
    }

    /// Forgets libraries that are gone and loads those that are new.
    fn follow(&self, functions: &Functions) -> Result<(), CommandError> {
        let version = self.libraries.version.load(Ordering::Acquire);
        if functions.version.get() == version {
            return Ok(());
        }
        let kept: Vec<Kept> = self.libraries.lock().values().cloned().collect();
        let mut by_name = functions.by_name.borrow_mut();
        by_name.retain(|_, (id, _)| kept.iter().any(|kept| kept.id == *id));
        let here: Vec<u64> = by_name.values().map(|(id, _)| *id).collect();
        drop(by_name);
        for kept in kept.iter().filter(|kept| !here.contains(&kept.id)) {
            let loaded = functions.load(&kept.library.code)?;
            functions.keep(kept.id, loaded);
        }
        functions.version.set(version);
        functions.sandbox.measure();
        Ok(())
    }

    /// FUNCTION LOAD.
    pub(super) fn load(&self, code: &[u8], replace: bool) -> Result<String, CommandError> {
        let (name, _) = shebang::of_library(code).map_err(CommandError::err)?;
        if !replace && self.libraries.lock().contains_key(&name) {
            return Err(CommandError::err(format_args!("Library '{name}' already exists")));
        }
        let functions = self.functions()?;
        let loaded = functions.load(code)?;
        if loaded.functions.is_empty() {
            return Err(CommandError::fixed("ERR No functions registered"));
        }
        let mut all = self.libraries.lock();
        if !replace && all.contains_key(&name) {
            return Err(CommandError::err(format_args!("Library '{name}' already exists")));
        }
        let others = all.iter().filter(|(other, _)| **other != name);
        for (_, other) in others {
            let taken = other
                .library
                .functions
                .iter()
                .find(|function| loaded.functions.contains_key(&folded(&function.name)));
            if let Some(function) = taken {
                return Err(CommandError::err(format_args!("Function {} already exists", function.name)));
            }
        }
        let id = self.libraries.next.fetch_add(1, Ordering::Relaxed);
        let library = Library { name: name.clone(), code: code.to_vec(), functions: shown(&loaded) };
        all.insert(name.clone(), Kept { id, library: Arc::new(library) });
        drop(all);
        self.libraries.changed();
        functions.keep(id, loaded);
        self.follow(&functions)?;
        Ok(name)
    }
}

pub(super) fn shown(loaded: &Loading) -> Vec<LibraryFunction> {
    loaded
        .functions
        .values()
        .map(|(function, description)| LibraryFunction {
            name: function.name.to_string(),
            description: description.clone(),
            flags: function.flags.names(),
        })
        .collect()
}
