//! What all workers share, and how a script is run.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bstr::BStr;
use mlua::{Lua, Table, Value};
use sha1::{Digest, Sha1};

use crate::clock::Clock;
use crate::command::context::Replay;
use crate::command::error::{AOF_FAILS, NOREPLICAS};
use crate::command::ports::{
    Library, LibraryFunction, RestoreLibraries, RunningFunction, ScriptCall, ScriptSource, Scripts as Port,
};
use crate::command::{CommandError, Context, Outcome, Reply, row};
use crate::config::Config;
use crate::observe::metrics::ScriptFigures;
use crate::resp::text_of;

use super::functions::Libraries;
use super::running::{BusyRun, LongRuns, Watch};
use super::sandbox::{Sandbox, give};
use super::shebang::{self, Flags};
use super::state::{self, Compiled, Scripts, Sha, Trials};
use super::usage::StateBytes;
use super::{api, call, convert, current};

/// Scripts and functions of one server.
#[derive(Debug)]
pub struct ScriptEngine {
    id: u64,
    clock: Clock,
    config: Config,
    pub(super) runs: Arc<LongRuns>,
    scripts: RwLock<HashMap<Sha, Arc<[u8]>>>,
    script_bytes: AtomicUsize,
    script_states: StateBytes,
    pub(super) function_states: StateBytes,
    /// Raised by SCRIPT FLUSH.
    version: AtomicU64,
    pub(super) libraries: Libraries,
    /// Scripts may call any command.
    all_commands: AtomicBool,
}

/// What the table keeps for a script beside its text: the entry, and the counts before the text.
const BESIDE_A_SCRIPT: usize = size_of::<(Sha, Arc<[u8]>)>() + 2 * size_of::<usize>();

/// Bytes of a registered function, without what its state holds.
fn bytes_of(function: &LibraryFunction) -> usize {
    size_of::<LibraryFunction>() + function.name.len() + function.description.as_ref().map_or(0, Vec::len)
}

const NOSCRIPT: CommandError = CommandError::fixed("NOSCRIPT No matching script. Please use EVAL.");

impl ScriptEngine {
    /// No scripts and no functions.
    pub fn new(clock: Clock, config: Config) -> ScriptEngine {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        ScriptEngine {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            clock,
            config,
            runs: Arc::default(),
            scripts: RwLock::default(),
            script_bytes: AtomicUsize::new(0),
            script_states: StateBytes::default(),
            function_states: StateBytes::default(),
            version: AtomicU64::new(0),
            libraries: Libraries::default(),
            all_commands: AtomicBool::new(false),
        }
    }

    fn kept(&self) -> RwLockReadGuard<'_, HashMap<Sha, Arc<[u8]>>> {
        self.scripts.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept_mut(&self) -> RwLockWriteGuard<'_, HashMap<Sha, Arc<[u8]>>> {
        self.scripts.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What scripts and functions take now.
    pub fn figures(&self) -> ScriptFigures {
        let mut figures = ScriptFigures {
            scripts: self.kept().len() as u64,
            script_bytes: self.script_bytes.load(Ordering::Relaxed) as u64,
            script_state_bytes: self.script_states.total(),
            function_state_bytes: self.function_states.total(),
            ..ScriptFigures::default()
        };
        for kept in self.libraries.lock().values() {
            let library = &kept.library;
            let functions: usize = library.functions.iter().map(bytes_of).sum();
            let bytes = size_of::<Library>() + library.name.len() + library.code.len() + functions;
            figures.libraries += 1;
            figures.functions += library.functions.len() as u64;
            figures.library_bytes += bytes as u64;
        }
        figures
    }

    /// The run that is past `busy-reply-threshold`, if one is.
    pub fn busy_run(&self) -> Option<BusyRun> {
        let long = self.runs.get().filter(|long| long.busy.load(Ordering::Relaxed))?;
        Some(BusyRun {
            function: long.function,
            name: long.name.clone(),
            began: long.began,
            wrote: long.wrote.load(Ordering::Relaxed),
        })
    }

    pub(super) fn watch(&self) -> Watch {
        Watch::new(self.clock.clone(), self.config.clone(), Arc::clone(&self.runs))
    }

    pub(super) fn states(&self) -> Rc<state::States> {
        state::of(self.id)
    }

    /// This worker's state for scripts, made when first needed and anew after SCRIPT FLUSH.
    fn state(&self) -> Result<Rc<Scripts>, CommandError> {
        let version = self.version.load(Ordering::Acquire);
        let states = self.states();
        let mut state = states.scripts.borrow_mut();
        if let Some(state) = &*state
            && state.version.get() == version
        {
            return Ok(Rc::clone(state));
        }
        let made = Rc::new(Scripts::new(self.watch(), self.script_states.join(), version).map_err(no_state)?);
        *state = Some(Rc::clone(&made));
        Ok(made)
    }

    /// Compiles a script in this worker's state and keeps it for all.
    fn compile(&self, state: &Scripts, sha: Sha, body: &[u8]) -> Result<Compiled, CommandError> {
        let (flags, begin) = shebang::of_script(body).map_err(CommandError::err)?;
        let function = state.sandbox.compile(&body[begin..], "@user_script").map_err(|error| {
            CommandError::err(format_args!("Error compiling script (new function): {error}"))
        })?;
        let place = state.keep(function).map_err(no_state)?;
        let compiled = Compiled { place, flags, name: api::hex(&sha).into(), trials: Rc::default() };
        state.compiled.borrow_mut().insert(sha, compiled.clone());
        if !self.kept().contains_key(&sha) && self.kept_mut().insert(sha, body.into()).is_none() {
            self.script_bytes.fetch_add(body.len() + BESIDE_A_SCRIPT, Ordering::Relaxed);
        }
        state.sandbox.measure();
        Ok(compiled)
    }

    /// The compiled script that a call means.
    fn script(&self, state: &Scripts, call: &ScriptCall<'_>) -> Result<Compiled, CommandError> {
        let sha: Sha = match call.source {
            ScriptSource::Sha => digits(call.what).ok_or(NOSCRIPT)?,
            _ => Sha1::digest(call.what).into(),
        };
        if let Some(compiled) = state.compiled.borrow().get(&sha) {
            return Ok(compiled.clone());
        }
        if call.source == ScriptSource::Body {
            return self.compile(state, sha, call.what);
        }
        let body = self.kept().get(&sha).cloned().ok_or(NOSCRIPT)?;
        self.compile(state, sha, &body)
    }

    fn run_script(&self, ctx: &mut Context<'_>, call: &ScriptCall<'_>) -> Outcome {
        let state = self.state()?;
        let compiled = self.script(&state, call)?;
        let read_only = may_run(ctx, compiled.flags, call.read_only)?;
        if ctx.view.is_on_trial() && compiled.trials.decline() {
            ctx.view.give_up();
            return Ok(Reply::Sent);
        }
        let sandbox = &state.sandbox;
        let function = state.function(&compiled).map_err(no_state)?;
        let given = give(&sandbox.lua, bytes_given(call), || {
            let (keys, args) = arguments(&sandbox.lua, call)?;
            sandbox.base.raw_set("KEYS", keys)?;
            sandbox.base.raw_set("ARGV", args)
        });
        given.map_err(no_state)?;
        sandbox.watch.begin(&compiled.name, false, read_only);
        sandbox.watch.allow_oom.set(compiled.flags.has(Flags::ALLOW_OOM));
        let ended = run(ctx, sandbox, &compiled.trials, || sandbox.call(&function, None));
        sandbox.measure();
        if sandbox.is_full() {
            self.states().scripts.replace(None);
        }
        settle(ctx, sandbox, &compiled.name, ended)
    }

    fn run_function(&self, ctx: &mut Context<'_>, call: &ScriptCall<'_>) -> Outcome {
        let functions = self.functions()?;
        let Some(function) = functions.find(&String::from_utf8_lossy(call.what)) else {
            return Err(CommandError::fixed("ERR Function not found"));
        };
        let read_only = may_run(ctx, function.flags, call.read_only)?;
        if ctx.view.is_on_trial() && function.trials.decline() {
            ctx.view.give_up();
            return Ok(Reply::Sent);
        }
        let sandbox = &functions.sandbox;
        let given = give(&sandbox.lua, bytes_given(call), || arguments(&sandbox.lua, call));
        let arguments = given.map_err(no_state)?;
        sandbox.watch.begin(&function.name, true, read_only);
        sandbox.watch.allow_oom.set(function.flags.has(Flags::ALLOW_OOM));
        sandbox.watch.called_by(call.args.all());
        let ended = run(ctx, sandbox, &function.trials, || sandbox.call(&function.function, Some(arguments)));
        sandbox.measure();
        if sandbox.is_full() {
            self.states().functions.replace(None);
        }
        settle(ctx, sandbox, &function.name, ended)
    }
}

/// Refuses what a script's flags forbid. Whether it may only read.
fn may_run(ctx: &Context<'_>, flags: Flags, read_only: bool) -> Result<bool, CommandError> {
    if flags.has(Flags::SILENT) {
        return Ok(read_only);
    }
    if flags.has(Flags::NO_WRITES) {
        return Ok(true);
    }
    if let Some(why) = ctx.server.denies_writes() {
        return Err(blocked(&why));
    }
    if read_only {
        return Err(CommandError::fixed("ERR Can not execute a script with write flag using *_ro command."));
    }
    if ctx.server.replication().is_lacking() {
        return Err(CommandError::fixed(NOREPLICAS));
    }
    if ctx.out_of_memory && !flags.has(Flags::ALLOW_OOM) {
        return Err(CommandError::fixed(
            "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'",
        ));
    }
    Ok(false)
}

/// What a script that may write is told while nothing can be kept.
#[cold]
fn blocked(why: &CommandError) -> CommandError {
    const ADVICE: &str = "Writable scripts are blocked. Use 'no-writes' flag for read only scripts.";
    let why = why.text();
    CommandError::Text(match why.strip_prefix(AOF_FAILS) {
        Some(error) => format!(
            "MISCONF Redis is configured to persist data to AOF, but it's currently unable to persist to disk. \
             {ADVICE} AOF error: {error}"
        ),
        None => format!(
            "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. \
             {ADVICE}"
        ),
    }
    .into())
}

/// What a word takes beside its bytes, about: a string's head and its place in a table.
const BESIDE_A_WORD: usize = 40;

/// What KEYS and ARGV take, about.
fn bytes_given(call: &ScriptCall<'_>) -> usize {
    call.args.rest().map(|word| word.len() + BESIDE_A_WORD).sum()
}

/// KEYS and ARGV.
fn arguments(lua: &Lua, call: &ScriptCall<'_>) -> mlua::Result<(Table, Table)> {
    let words = || call.args.rest().map(BStr::new);
    let keys = lua.create_sequence_from(words().take(call.keys))?;
    Ok((keys, lua.create_sequence_from(words().skip(call.keys))?))
}

/// Runs `body` as the script of this context, and puts back what the script may have changed of it.
fn run(
    ctx: &mut Context<'_>,
    sandbox: &Sandbox,
    trials: &Trials,
    body: impl FnOnce() -> Result<Value, Value>,
) -> Result<Value, Value> {
    let on_trial = ctx.view.is_on_trial();
    sandbox.watch.on_trial.set(on_trial);
    let database = ctx.session.database;
    if ctx.collect_replay {
        ctx.replay = Replay::Nothing;
    }
    let ended = current::enter(ctx, body);
    if on_trial {
        if sandbox.watch.gave_up.take() {
            ctx.view.give_up();
        }
        trials.learn(ctx.view.is_given_up());
    }
    // An attempt that is undone has not happened.
    call::settle_counts(ctx);
    sandbox.watch.end();
    if ctx.session.database != database {
        ctx.session.select(database);
        ctx.view.select(database);
    }
    ended
}

/// Writes the reply of a script that has ended.
fn settle(ctx: &mut Context<'_>, sandbox: &Sandbox, name: &str, ended: Result<Value, Value>) -> Outcome {
    match ended {
        Ok(value) => {
            let mark = ctx.out.len();
            let resp3 = sandbox.watch.resp3.get();
            if let Err(error) = convert::to_reply(&value, ctx.out, resp3) {
                ctx.out.truncate(mark);
                return Err(no_state(error));
            }
            if ctx.out.as_slice().get(mark) == Some(&b'-') {
                returned_error(ctx, &value, mark).map_err(no_state)?;
            }
            Ok(Reply::Sent)
        }
        Err(Value::Table(table)) => failed(ctx, name, &table).map_err(no_state)?,
        Err(other) => {
            let words = match &other {
                Value::String(text) => text_of(&text.as_bytes()).into_owned(),
                _ => "execution failure".to_owned(),
            };
            let words: String = words.chars().take(100).collect();
            Err(CommandError::err(format_args!("Error running script {name}, {words}")))
        }
    }
}

/// Counts an error that a script answers of its own accord: it has failed. What a command has told it is counted.
#[cold]
fn returned_error(ctx: &Context<'_>, value: &Value, mark: usize) -> mlua::Result<()> {
    if ctx.view.is_given_up() {
        return Ok(());
    }
    let is_counted = match value {
        Value::Table(table) => table.raw_get::<Value>("ignore_error_stats_update")? == Value::Boolean(true),
        _ => false,
    };
    let stats = ctx.server.stats().worker(ctx.session.client.worker);
    stats.failed(ctx.command);
    if !is_counted {
        let text = &ctx.out.as_slice()[mark + 1..];
        let end = text.iter().position(|&byte| byte == b'\r').unwrap_or(text.len());
        stats.error(&text_of(&text[..end]));
    }
    Ok(())
}

/// The error reply for an error's table.
fn failed(ctx: &mut Context<'_>, name: &str, table: &Table) -> mlua::Result<Outcome> {
    let mut text = match table.raw_get::<Value>("err")? {
        Value::String(words) => text_of(&words.as_bytes()).into_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Number(number) => convert::general(number, 14),
        _ => "ERR unknown error".to_owned(),
    };
    let source: Value = table.raw_get("source")?;
    let line: Value = table.raw_get("line")?;
    let placed = matches!(line, Value::Integer(_) | Value::Number(_) | Value::String(_));
    match source {
        Value::String(source) if placed => {
            let source = String::from_utf8_lossy(&source.as_bytes()).into_owned();
            text.push_str(&format!(" script: {name}, on {source}:{}.", line.to_string()?));
        }
        _ => text.push_str(&format!(" script: {name}")),
    }
    if table.raw_get::<Value>("ignore_error_stats_update")? == Value::Boolean(true) {
        // The command that failed has counted it; the script itself has failed all the same.
        ctx.out.error(&text);
        // One that is run once more with the whole keyspace has not failed.
        if !ctx.view.is_given_up() {
            ctx.server.stats().worker(ctx.session.client.worker).failed(ctx.command);
        }
        return Ok(Ok(Reply::Sent));
    }
    Ok(Err(CommandError::Text(text.into())))
}

/// An error of the Lua state itself: its memory is used up.
pub(super) fn no_state(error: mlua::Error) -> CommandError {
    CommandError::err(format_args!("the script could not be run: {error}"))
}

/// A SHA-1 in hexadecimal digits.
fn digits(text: &[u8]) -> Option<Sha> {
    let mut sha = Sha::default();
    if text.len() != 40 {
        return None;
    }
    for (byte, pair) in sha.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |digit: u8| (digit as char).to_digit(16);
        *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
    }
    Some(sha)
}

impl Port for ScriptEngine {
    fn flags(&self, source: ScriptSource, what: &[u8], flags: row::Flags) -> row::Flags {
        let of = |body: &[u8]| shebang::of_script(body).ok().map(|(declared, _)| declared);
        let declared = match source {
            ScriptSource::Body => of(what),
            ScriptSource::Sha => {
                digits(what).and_then(|sha| self.kept().get(&sha).cloned()).and_then(|body| of(&body))
            }
            ScriptSource::Function => self.libraries.flags(&String::from_utf8_lossy(what)),
        };
        declared.map_or(flags, |declared| declared.of_call(flags))
    }

    fn run(&self, ctx: &mut Context<'_>, call: ScriptCall<'_>) -> Outcome {
        match call.source {
            ScriptSource::Function => self.run_function(ctx, &call),
            ScriptSource::Body | ScriptSource::Sha => self.run_script(ctx, &call),
        }
    }

    fn load_script(&self, body: &[u8]) -> Result<String, CommandError> {
        let state = self.state()?;
        let sha: Sha = Sha1::digest(body).into();
        let compiled = state.compiled.borrow().get(&sha).cloned();
        let name = match compiled {
            Some(compiled) => compiled.name,
            None => self.compile(&state, sha, body)?.name,
        };
        Ok(name.to_string())
    }

    fn has_script(&self, sha: &[u8]) -> bool {
        // As in Redis, whose table knows lower case only.
        let lower = !sha.iter().any(u8::is_ascii_uppercase);
        lower && digits(sha).is_some_and(|sha| self.kept().contains_key(&sha))
    }

    fn flush_scripts(&self) {
        let mut kept = self.kept_mut();
        kept.clear();
        self.script_bytes.store(0, Ordering::Relaxed);
        drop(kept);
        self.version.fetch_add(1, Ordering::Release);
    }

    fn tidy(&self) {
        let (states, version) = (self.states(), self.version.load(Ordering::Acquire));
        // A script that is in the middle of its run keeps its state until it has ended.
        if let Ok(mut state) = states.scripts.try_borrow_mut() {
            state.take_if(|state| state.version.get() != version);
        }
    }

    fn load_library(&self, code: &[u8], replace: bool) -> Result<String, CommandError> {
        self.load(code, replace)
    }

    fn delete_library(&self, name: &[u8]) -> bool {
        self.libraries.delete(&String::from_utf8_lossy(name))
    }

    fn restore_libraries(&self, codes: &[Vec<u8>], how: RestoreLibraries) -> Result<(), CommandError> {
        self.restore(codes, how)
    }

    fn flush_libraries(&self) {
        self.libraries.flush();
    }

    fn libraries(&self) -> Vec<Library> {
        self.libraries.all()
    }

    fn has_function(&self, name: &[u8]) -> bool {
        self.libraries.has_function(&String::from_utf8_lossy(name))
    }

    fn running_function(&self) -> Result<Option<RunningFunction>, CommandError> {
        let Some(long) = self.runs.get() else { return Ok(None) };
        if !long.function {
            return Err(BUSY_SCRIPT);
        }
        Ok(Some(RunningFunction {
            name: long.name.clone(),
            command: long.command.clone(),
            duration_ms: self.clock.stamp().saturating_sub(long.began) / 1_000_000,
        }))
    }

    fn kill(&self, function: bool) -> Result<(), CommandError> {
        let Some(long) = self.runs.get() else {
            return Err(CommandError::fixed("NOTBUSY No scripts in execution right now."));
        };
        if long.wrote.load(Ordering::Relaxed) {
            return Err(CommandError::fixed(
                "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either \
                 wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
            ));
        }
        match (function, long.function) {
            (false, true) => return Err(BUSY_FUNCTION),
            (true, false) => return Err(BUSY_SCRIPT),
            _ => long.kill.store(true, Ordering::Relaxed),
        }
        Ok(())
    }

    fn denies_commands(&self) -> bool {
        !self.all_commands.load(Ordering::Relaxed)
    }

    fn allow_all_commands(&self, on: bool) {
        self.all_commands.store(on, Ordering::Relaxed);
    }

    fn busy(&self) -> Option<CommandError> {
        let long = self.runs.get()?;
        let busy = long.busy.load(Ordering::Relaxed);
        busy.then(|| if long.function { BUSY_FUNCTION } else { BUSY_SCRIPT })
    }
}

const BUSY_SCRIPT: CommandError = CommandError::fixed(
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
);
const BUSY_FUNCTION: CommandError = CommandError::fixed(
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.",
);
